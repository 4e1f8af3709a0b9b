/* SPDX-License-Identifier: MIT */
/*
 * TIMER_TEST_STEPS and TIMER_TEST_SEED in the environment lengthen and replay the random test.
 */
#include "sched/timer_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define TICK_NS (UINT64_C(1) << TIMER_TICK_SHIFT)
#define HOUR_NS (UINT64_C(3600) * 1000000000)
#define DAY_NS (24 * HOUR_NS)
#define START_NS (UINT64_C(123456789012) * TICK_NS)

/* ---- Fixture: a wheel and a timer that counts ---- */

struct counter {
	struct timer timer;
	struct timer_wheel *wheel;
	unsigned int fired;
	uint64_t fired_ns;
	struct timer *victim;     /* cancelled when this one fires */
	uint64_t again_ns;        /* armed again for then when it fires; 0: not */
	unsigned int again_times; /* that often */
};

static struct timer_wheel wheel;

static int wheel_setup(void **state)
{
	(void)state;
	timer_wheel_init(&wheel, START_NS);
	return 0;
}

static void counter_fire(struct timer *timer, uint64_t now_ns)
{
	struct counter *counter = (struct counter *)timer;

	assert_false(timer_is_armed(timer));
	assert_true(now_ns >= timer->deadline_ns);
	counter->fired++;
	counter->fired_ns = now_ns;
	if (counter->victim)
		timer_cancel(counter->wheel, counter->victim);
	if (counter->again_times) {
		counter->again_times--;
		timer_arm(counter->wheel, timer, counter->again_ns);
	}
}

static struct counter counter_new(void)
{
	struct counter counter = {.wheel = &wheel};

	timer_init(&counter.timer, counter_fire);
	return counter;
}

/* ---- timer_arm ---- */

static void timer_init__is_not_armed(void **state)
{
	struct counter counter = counter_new();

	(void)state;
	assert_false(timer_is_armed(&counter.timer));
	assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + DAY_NS), 0);
}

/* One timer alone, at every distance: not one nanosecond early, at most one tick late. */
static void timer_arm__fires_within_a_tick(void **state)
{
	(void)state;
	for (uint64_t ahead = 1; ahead < 500 * DAY_NS; ahead += ahead / 3 + 1) {
		struct counter counter = counter_new();
		uint64_t deadline = START_NS + 12345 + ahead;

		timer_wheel_init(&wheel, START_NS + 12345);
		timer_arm(&wheel, &counter.timer, deadline);
		assert_true(timer_is_armed(&counter.timer));
		assert_int_equal(timer_wheel_expire(&wheel, deadline - 1), 0);
		assert_true(timer_is_armed(&counter.timer));
		assert_int_equal(timer_wheel_expire(&wheel, deadline + TICK_NS - 1), 1);
		assert_int_equal(counter.fired, 1);
		assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
	}
}

static void timer_arm__on_a_tick_fires_on_it(void **state)
{
	struct counter counter = counter_new();

	(void)state;
	timer_arm(&wheel, &counter.timer, START_NS + 3 * TICK_NS);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + 3 * TICK_NS - 1), 0);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + 3 * TICK_NS), 1);
}

static void timer_arm__in_the_past_fires_at_the_next_expiry(void **state)
{
	static const uint64_t deadlines[] = {0, 1, START_NS - DAY_NS, START_NS - 1, START_NS};

	(void)state;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		struct counter counter = counter_new();

		timer_arm(&wheel, &counter.timer, deadlines[i]);
		assert_true(timer_wheel_next_ns(&wheel) <= START_NS);
		assert_int_equal(counter.fired, 0);
		assert_int_equal(timer_wheel_expire(&wheel, START_NS), 1);
		assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
	}
}

static void timer_arm__again_moves_the_deadline(void **state)
{
	struct counter counter = counter_new();

	(void)state;
	timer_arm(&wheel, &counter.timer, START_NS + 10 * TICK_NS);
	timer_arm(&wheel, &counter.timer, START_NS + HOUR_NS);
	timer_arm(&wheel, &counter.timer, 0);
	timer_arm(&wheel, &counter.timer, START_NS + 20 * TICK_NS);
	assert_int_equal(timer_wheel_next_ns(&wheel), START_NS + 20 * TICK_NS);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + 19 * TICK_NS), 0);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + 20 * TICK_NS), 1);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + DAY_NS), 0);
	assert_int_equal(counter.fired, 1);
}

static void timer_arm__beyond_the_top_level_waits(void **state)
{
	struct counter counter = counter_new();
	uint64_t deadline = START_NS + 3000 * DAY_NS;

	(void)state;
	timer_arm(&wheel, &counter.timer, deadline);
	for (uint64_t day = 1; day < 3000; day += 7)
		assert_int_equal(timer_wheel_expire(&wheel, START_NS + day * DAY_NS), 0);
	assert_int_equal(timer_wheel_expire(&wheel, deadline - 1), 0);
	assert_int_equal(timer_wheel_expire(&wheel, deadline + TICK_NS), 1);
}

static void timer_arm__for_the_end_of_time_never_fires_early(void **state)
{
	struct counter never = counter_new();
	struct counter last = counter_new();

	(void)state;
	timer_arm(&wheel, &never.timer, UINT64_MAX);
	timer_arm(&wheel, &last.timer, UINT64_MAX - TICK_NS);
	assert_true(timer_wheel_next_ns(&wheel) < TIMER_NEVER);
	assert_int_equal(timer_wheel_expire(&wheel, UINT64_MAX), 1);
	assert_int_equal(last.fired, 1);
	assert_true(timer_is_armed(&never.timer));
	assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER - 1);
	timer_cancel(&wheel, &never.timer);
	assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
}

/* ---- timer_cancel ---- */

static void timer_cancel__of_an_unarmed_timer_does_nothing(void **state)
{
	struct counter counter = counter_new();

	(void)state;
	timer_cancel(&wheel, &counter.timer);
	timer_arm(&wheel, &counter.timer, START_NS + 5 * TICK_NS);
	timer_cancel(&wheel, &counter.timer);
	timer_cancel(&wheel, &counter.timer);
	assert_false(timer_is_armed(&counter.timer));
	assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + DAY_NS), 0);
}

static void timer_cancel__takes_one_of_a_slot(void **state)
{
	struct counter counters[3];

	(void)state;
	for (unsigned int cancelled = 0; cancelled < 3; cancelled++) {
		timer_wheel_init(&wheel, START_NS);
		for (unsigned int i = 0; i < 3; i++) {
			counters[i] = counter_new();
			timer_arm(&wheel, &counters[i].timer, START_NS + HOUR_NS);
		}
		timer_cancel(&wheel, &counters[cancelled].timer);
		assert_int_equal(timer_wheel_expire(&wheel, START_NS + 2 * HOUR_NS), 2);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(counters[i].fired, i != cancelled);
	}
}

static void timer_cancel__of_an_overdue_timer(void **state)
{
	struct counter first = counter_new();
	struct counter second = counter_new();

	(void)state;
	timer_arm(&wheel, &first.timer, 0);
	timer_arm(&wheel, &second.timer, 0);
	timer_cancel(&wheel, &second.timer);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS), 1);
	assert_int_equal(first.fired, 1);
	timer_arm(&wheel, &first.timer, 0);
	timer_cancel(&wheel, &first.timer);
	assert_int_equal(timer_wheel_next_ns(&wheel), TIMER_NEVER);
}

/* ---- timer_wheel_expire ---- */

static void timer_wheel_expire__callback_cancels_its_neighbour(void **state)
{
	struct counter first = counter_new();
	struct counter second = counter_new();

	(void)state;
	first.victim = &second.timer;
	second.victim = &first.timer;
	timer_arm(&wheel, &first.timer, START_NS + TICK_NS);
	timer_arm(&wheel, &second.timer, START_NS + TICK_NS);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + TICK_NS), 1);
	assert_int_equal(first.fired + second.fired, 1);
	assert_false(timer_is_armed(&first.timer));
	assert_false(timer_is_armed(&second.timer));
}

static void timer_wheel_expire__callback_cancels_a_later_one(void **state)
{
	struct counter first = counter_new();
	struct counter second = counter_new();

	(void)state;
	first.victim = &second.timer;
	timer_arm(&wheel, &first.timer, START_NS + TICK_NS);
	timer_arm(&wheel, &second.timer, START_NS + HOUR_NS);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + DAY_NS), 1);
	assert_int_equal(first.fired, 1);
}

static void timer_wheel_expire__rearmed_for_the_past_waits_for_the_next_call(void **state)
{
	uint64_t now = START_NS + HOUR_NS;
	const uint64_t again[] = {1, START_NS + 2 * TICK_NS, now - TICK_NS, now};

	(void)state;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
		struct counter counter = counter_new();

		timer_wheel_init(&wheel, START_NS);
		counter.again_ns = again[i];
		counter.again_times = 2;
		timer_arm(&wheel, &counter.timer, START_NS + TICK_NS);
		assert_int_equal(timer_wheel_expire(&wheel, now), 1);
		assert_int_equal(timer_wheel_expire(&wheel, now), 1);
		assert_int_equal(timer_wheel_expire(&wheel, now), 1);
		assert_int_equal(timer_wheel_expire(&wheel, now), 0);
	}
}

static void timer_wheel_expire__rearmed_for_the_future_fires_then(void **state)
{
	(void)state;
	for (uint64_t ahead = 1; ahead < DAY_NS; ahead *= 3) {
		struct counter counter = counter_new();
		uint64_t now = START_NS + HOUR_NS + 77;

		timer_wheel_init(&wheel, START_NS);
		counter.again_ns = now + ahead;
		counter.again_times = 1;
		timer_arm(&wheel, &counter.timer, START_NS + TICK_NS);
		assert_int_equal(timer_wheel_expire(&wheel, now), 1);
		assert_int_equal(timer_wheel_expire(&wheel, now + ahead - 1), 0);
		assert_int_equal(timer_wheel_expire(&wheel, now + ahead + TICK_NS), 1);
	}
}

static void free_fire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	free(timer);
}

static void timer_wheel_expire__callback_frees_its_timer(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		struct timer *timer = malloc(sizeof(*timer));

		assert_non_null(timer);
		timer_init(timer, free_fire);
		timer_arm(&wheel, timer, START_NS + i * i * i * TICK_NS / 7);
	}
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + DAY_NS), 100);
}

static void timer_wheel_expire__earlier_time_fires_nothing(void **state)
{
	struct counter counter = counter_new();
	struct counter overdue = counter_new();

	(void)state;
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + HOUR_NS), 0);
	timer_arm(&wheel, &counter.timer, START_NS + HOUR_NS + 5 * TICK_NS);
	timer_arm(&wheel, &overdue.timer, START_NS);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS), 0);
	assert_int_equal(timer_wheel_expire(&wheel, 0), 0);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + HOUR_NS), 1);
	assert_int_equal(overdue.fired, 1);
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + HOUR_NS + 5 * TICK_NS), 1);
}

static void timer_wheel_expire__fires_a_million_in_one_call(void **state)
{
	enum { TIMERS = 1000000 };
	struct counter *counters = calloc(TIMERS, sizeof(*counters));

	(void)state;
	assert_non_null(counters);
	for (uint64_t i = 0; i < TIMERS; i++) {
		counters[i] = counter_new();
		timer_arm(&wheel, &counters[i].timer, START_NS + i * i % HOUR_NS);
	}
	assert_int_equal(timer_wheel_expire(&wheel, START_NS + HOUR_NS), TIMERS);
	free(counters);
}

/* ---- timer_wheel_next_ns ---- */

static void timer_wheel_next_ns__exact_below_64_ticks(void **state)
{
	(void)state;
	for (uint64_t position = 0; position < 130; position++) {
		for (uint64_t ticks = 1; ticks < 64; ticks++) {
			struct counter counter = counter_new();
			uint64_t now = START_NS + position * TICK_NS;

			timer_wheel_init(&wheel, now + 5);
			timer_arm(&wheel, &counter.timer, now + ticks * TICK_NS - 5);
			assert_int_equal(timer_wheel_next_ns(&wheel), now + ticks * TICK_NS);
		}
	}
}

static void timer_wheel_next_ns__exact_after_an_idle_time(void **state)
{
	struct counter counter = counter_new();
	uint64_t now = START_NS + 1000000 * TICK_NS;

	(void)state;
	assert_int_equal(timer_wheel_expire(&wheel, now), 0);
	timer_arm(&wheel, &counter.timer, now + 33 * TICK_NS);
	assert_int_equal(timer_wheel_next_ns(&wheel), now + 33 * TICK_NS);
}

/* Sleeping until next_ns leads to the deadline in a call for each level, never past it. */
static void timer_wheel_next_ns__leads_to_the_deadline(void **state)
{
	(void)state;
	for (uint64_t ahead = 1; ahead < 200 * DAY_NS; ahead += ahead / 3 + 1) {
		struct counter counter = counter_new();
		uint64_t deadline = START_NS + ahead;
		unsigned int calls = 0;

		timer_wheel_init(&wheel, START_NS);
		timer_arm(&wheel, &counter.timer, deadline);
		while (timer_is_armed(&counter.timer)) {
			uint64_t next = timer_wheel_next_ns(&wheel);

			assert_true(next < deadline + TICK_NS);
			timer_wheel_expire(&wheel, next);
			calls++;
		}
		assert_true(calls <= TIMER_WHEEL_LEVELS);
		assert_true(counter.fired_ns >= deadline);
		assert_true(counter.fired_ns < deadline + TICK_NS);
	}
}

/* ---- Random operations against an array that is searched ---- */

#define TWINS 300u

struct twin {
	struct timer timer;
	uint64_t tick; /* at which it is to fire */
	uint64_t call; /* expiries begun when it was armed */
	bool armed;    /* what the timer should be */
	bool exact;    /* next_ns must know it: armed less than 64 ticks ahead */
};

static struct {
	struct twin twins[TWINS];
	uint64_t random;
	uint64_t now_ns;
	uint64_t call;
	uint64_t fired_tick; /* of the last one in this call */
	bool expiring;
} model;

static uint64_t model_random(uint64_t below)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return model.random % below;
}

static uint64_t ceil_tick(uint64_t ns)
{
	return ns / TICK_NS + (ns % TICK_NS != 0);
}

/* Mostly near, sometimes beyond the top level, sometimes past. */
static uint64_t model_deadline(void)
{
	uint64_t distance = model_random(UINT64_C(1) << (1 + model_random(58)));

	if (model_random(8) == 0)
		return distance < model.now_ns ? model.now_ns - distance : 0;
	return model.now_ns + distance;
}

static void model_arm(struct twin *twin)
{
	uint64_t deadline = model_deadline();
	uint64_t now_tick = model.now_ns / TICK_NS;

	timer_arm(&wheel, &twin->timer, deadline);
	twin->tick = ceil_tick(deadline);
	twin->call = model.call;
	twin->armed = true;
	twin->exact = !model.expiring && twin->tick > now_tick && twin->tick < now_tick + 64;
}

static void model_cancel(struct twin *twin)
{
	timer_cancel(&wheel, &twin->timer);
	twin->armed = false;
}

static void model_operate(void)
{
	struct twin *twin = &model.twins[model_random(TWINS)];

	assert_int_equal(timer_is_armed(&twin->timer), twin->armed);
	if (model_random(3) == 0)
		model_cancel(twin);
	else
		model_arm(twin);
}

static void model_fire(struct timer *timer, uint64_t now_ns)
{
	struct twin *twin = (struct twin *)timer;

	assert_int_equal(now_ns, model.now_ns);
	assert_true(model.expiring);
	assert_true(twin->armed);
	assert_true(twin->tick <= now_ns / TICK_NS);
	assert_true(twin->call < model.call);
	assert_true(twin->tick >= model.fired_tick);
	model.fired_tick = twin->tick;
	twin->armed = false;
	for (uint64_t i = model_random(4); i > 0; i--)
		model_operate();
}

static void model_check_next(void)
{
	uint64_t next = timer_wheel_next_ns(&wheel);
	uint64_t earliest = UINT64_MAX;
	bool exact = false;

	for (size_t i = 0; i < TWINS; i++) {
		const struct twin *twin = &model.twins[i];

		if (twin->armed && twin->tick < earliest) {
			earliest = twin->tick;
			exact = twin->exact && twin->tick > model.now_ns / TICK_NS;
		}
	}
	if (earliest == UINT64_MAX)
		assert_int_equal(next, TIMER_NEVER);
	else if (earliest <= model.now_ns / TICK_NS)
		assert_int_equal(next, model.now_ns / TICK_NS * TICK_NS);
	else
		assert_true(next <= earliest * TICK_NS);
	/* Or a slot of timers further away cascades before. */
	if (exact && next < earliest * TICK_NS)
		assert_int_equal(next / TICK_NS % TIMER_WHEEL_SLOTS, 0);
}

static void model_expire(void)
{
	uint64_t due = 0;
	unsigned int fired;

	model.now_ns += model_random(UINT64_C(1) << (1 + model_random(model_random(50) + 1)));
	for (size_t i = 0; i < TWINS; i++) {
		struct twin *twin = &model.twins[i];

		/* What is overdue fires before the rest, in no order among itself. */
		if (twin->armed && twin->tick < wheel.now_tick)
			twin->tick = wheel.now_tick;
		due += twin->armed && twin->tick <= model.now_ns / TICK_NS;
	}
	model.call++;
	model.fired_tick = 0;
	model.expiring = true;
	fired = timer_wheel_expire(&wheel, model.now_ns);
	model.expiring = false;
	assert_true(fired <= due);
	for (size_t i = 0; i < TWINS; i++) {
		const struct twin *twin = &model.twins[i];

		assert_int_equal(timer_is_armed(&twin->timer), twin->armed);
		if (twin->armed && twin->call < model.call)
			assert_true(twin->tick > model.now_ns / TICK_NS);
	}
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void timer_wheel__agrees_with_a_searched_array(void **state)
{
	uint64_t steps = environment_number("TIMER_TEST_STEPS", 200000);
	uint64_t seed = environment_number("TIMER_TEST_SEED", (uint64_t)time(NULL));

	(void)state;
	print_message("TIMER_TEST_SEED=%llu\n", (unsigned long long)seed);
	model.random = seed * 0x9e3779b97f4a7c15u | 1;
	for (uint64_t i = 0; i < steps; i++) {
		if (i % 50000 == 0) {
			model.now_ns = model_random(UINT64_C(1) << 60);
			timer_wheel_init(&wheel, model.now_ns);
			for (size_t j = 0; j < TWINS; j++) {
				model.twins[j] = (struct twin){0};
				timer_init(&model.twins[j].timer, model_fire);
			}
		}
		if (model_random(4) == 0)
			model_expire();
		else
			model_operate();
		if (model_random(4) == 0)
			model_check_next();
	}
}

#define wheel_test(function) cmocka_unit_test_setup(function, wheel_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		wheel_test(timer_init__is_not_armed),
		wheel_test(timer_arm__fires_within_a_tick),
		wheel_test(timer_arm__on_a_tick_fires_on_it),
		wheel_test(timer_arm__in_the_past_fires_at_the_next_expiry),
		wheel_test(timer_arm__again_moves_the_deadline),
		wheel_test(timer_arm__beyond_the_top_level_waits),
		wheel_test(timer_arm__for_the_end_of_time_never_fires_early),
		wheel_test(timer_cancel__of_an_unarmed_timer_does_nothing),
		wheel_test(timer_cancel__takes_one_of_a_slot),
		wheel_test(timer_cancel__of_an_overdue_timer),
		wheel_test(timer_wheel_expire__callback_cancels_its_neighbour),
		wheel_test(timer_wheel_expire__callback_cancels_a_later_one),
		wheel_test(timer_wheel_expire__rearmed_for_the_past_waits_for_the_next_call),
		wheel_test(timer_wheel_expire__rearmed_for_the_future_fires_then),
		wheel_test(timer_wheel_expire__callback_frees_its_timer),
		wheel_test(timer_wheel_expire__earlier_time_fires_nothing),
		wheel_test(timer_wheel_expire__fires_a_million_in_one_call),
		wheel_test(timer_wheel_next_ns__exact_below_64_ticks),
		wheel_test(timer_wheel_next_ns__exact_after_an_idle_time),
		wheel_test(timer_wheel_next_ns__leads_to_the_deadline),
		wheel_test(timer_wheel__agrees_with_a_searched_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
