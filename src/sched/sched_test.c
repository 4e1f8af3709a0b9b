/* SPDX-License-Identifier: MIT */
#include "sched/sched.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/container.h"

#define NOW_NS UINT64_C(1000000000)

static struct sched sched;

static int sched_setup(void **state)
{
	(void)state;
	return sched_init(&sched, NOW_NS);
}

static int sched_teardown(void **state)
{
	(void)state;
	sched_fini(&sched);
	return 0;
}

/* A coroutine that does what its test told it to, and counts. */
struct actor {
	struct coroutine coroutine;
	enum coroutine_step step; /* what each resume returns */
	unsigned int runs;
	uint64_t now_ns;         /* of the last run */
	struct coroutine *wakes; /* NULL: nobody */
	struct actor *removes;   /* NULL: nobody */
	struct actor *spawns;    /* NULL: nobody */
};

static enum coroutine_step actor_run(struct coroutine *self, uint64_t now_ns)
{
	struct actor *actor = container_of(self, struct actor, coroutine);

	actor->runs++;
	actor->now_ns = now_ns;
	if (actor->wakes)
		sched_wake(&sched, actor->wakes);
	if (actor->removes)
		sched_remove(&sched, &actor->removes->coroutine);
	if (actor->spawns)
		assert_int_equal(sched_spawn(&sched, &actor->spawns->coroutine, actor_run), 0);
	actor->wakes = NULL;
	actor->removes = NULL;
	actor->spawns = NULL;
	return actor->step;
}

static void spawn(struct actor *actor)
{
	assert_int_equal(sched_spawn(&sched, &actor->coroutine, actor_run), 0);
}

/* Many that have blocked: actors[i] has id i when the scheduler is new. */
static struct actor *spawn_blocked(size_t count)
{
	struct actor *actors = calloc(count, sizeof(*actors));

	assert_non_null(actors);
	for (size_t i = 0; i < count; i++)
		spawn(&actors[i]);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(actors[i].runs, 1);
		actors[i].runs = 0;
	}
	assert_false(sched_has_ready(&sched));
	return actors;
}

/* ---- sched_init ---- */

static void sched_init__has_nothing_to_run(void **state)
{
	(void)state;
	assert_false(sched_has_ready(&sched));
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	sched_poll(&sched, NOW_NS);
	assert_int_equal(sched.live, 0);
}

/* ---- sched_spawn ---- */

static void sched_spawn__is_runnable_at_once(void **state)
{
	struct actor actor = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	spawn(&actor);
	assert_true(sched_has_ready(&sched));
	assert_int_equal(actor.runs, 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS + 5), 1);
	assert_int_equal(actor.runs, 1);
	assert_int_equal(actor.now_ns, NOW_NS + 5);
	assert_int_equal(sched.live, 1);
}

static void sched_spawn__from_a_coroutine_runs_in_the_same_round(void **state)
{
	struct actor child = {.step = COROUTINE_STEP_DONE};
	struct actor parent = {.step = COROUTINE_STEP_BLOCK, .spawns = &child};

	(void)state;
	spawn(&parent);
	/* Its id, and so its place in the round, is behind its parent's. */
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
	assert_int_equal(child.runs, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(child.runs, 1);
	assert_int_equal(sched.live, 1);
}

static void sched_spawn__starts_at_the_first_state(void **state)
{
	struct actor actor = {.step = COROUTINE_STEP_DONE};

	(void)state;
	actor.coroutine.state = 77;
	spawn(&actor);
	assert_int_equal(actor.coroutine.state, 0);
}

static void sched_spawn__reuses_ids(void **state)
{
	struct actor *actors = spawn_blocked(200);
	struct actor again = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	actors[70].step = COROUTINE_STEP_DONE;
	sched_wake(&sched, &actors[70].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched.live, 199);
	spawn(&again);
	assert_int_equal(again.coroutine.id, 70);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(again.runs, 1);
	sched_remove(&sched, &again.coroutine);
	sched_remove(&sched, &actors[3].coroutine);
	for (int i = 0; i < 1000; i++) {
		spawn(&again);
		assert_true(again.coroutine.id < 200);
		sched_remove(&sched, &again.coroutine);
	}
	assert_int_equal(sched.live, 198);
	free(actors);
}

static void sched_spawn__eagain_when_all_ids_are_alive(void **state)
{
	struct actor *actors = spawn_blocked(SCHED_COROUTINES_MAX);
	struct actor *last = &actors[SCHED_COROUTINES_MAX - 1];
	struct actor more = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	assert_int_equal(sched.live, SCHED_COROUTINES_MAX);
	assert_int_equal(sched_spawn(&sched, &more.coroutine, actor_run), -EAGAIN);
	assert_int_equal(sched_spawn(&sched, &more.coroutine, actor_run), -EAGAIN);
	sched_wake(&sched, &last->coroutine);
	sched_wake(&sched, &actors[0].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
	assert_int_equal(last->runs, 1);
	sched_remove(&sched, &last->coroutine);
	spawn(&more);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(more.runs, 1);
	assert_int_equal(sched_spawn(&sched, &last->coroutine, actor_run), -EAGAIN);
	free(actors);
}

/* ---- sched_remove ---- */

static void sched_remove__of_a_runnable_one(void **state)
{
	struct actor first = {.step = COROUTINE_STEP_BLOCK};
	struct actor second = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	spawn(&first);
	spawn(&second);
	sched_remove(&sched, &first.coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(first.runs, 0);
	assert_int_equal(second.runs, 1);
	assert_int_equal(sched.live, 1);
}

static void sched_remove__of_the_only_runnable_one(void **state)
{
	struct actor actor = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	spawn(&actor);
	sched_remove(&sched, &actor.coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	/* One round later at most, so that an idle runtime may sleep. */
	assert_false(sched_has_ready(&sched));
	assert_int_equal(actor.runs, 0);
}

static void sched_remove__of_a_blocked_one(void **state)
{
	struct actor *actors = spawn_blocked(2);

	(void)state;
	sched_remove(&sched, &actors[0].coroutine);
	assert_int_equal(sched.live, 1);
	sched_wake(&sched, &actors[1].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(actors[0].runs, 0);
	free(actors);
}

/* @victim has not had its turn when @killer runs. */
static void check_remove_ahead(size_t killer, size_t victim)
{
	struct actor *actors = spawn_blocked(10000);

	actors[killer].removes = &actors[victim];
	sched_wake(&sched, &actors[killer].coroutine);
	sched_wake(&sched, &actors[victim].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(actors[victim].runs, 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(actors[victim].runs, 0);
	assert_int_equal(sched.live, 9999);
	free(actors);
}

static void sched_remove__of_a_later_one_of_the_block_that_runs(void **state)
{
	(void)state;
	check_remove_ahead(3, 60);
}

static void sched_remove__of_one_in_a_later_block(void **state)
{
	(void)state;
	check_remove_ahead(3, 64);
}

static void sched_remove__of_one_under_another_summary_word(void **state)
{
	(void)state;
	check_remove_ahead(3, 9000);
}

static void sched_remove__of_one_that_yielded_in_this_round(void **state)
{
	struct actor *actors = spawn_blocked(2);

	(void)state;
	actors[0].step = COROUTINE_STEP_YIELD;
	actors[1].removes = &actors[0];
	sched_wake(&sched, &actors[0].coroutine);
	sched_wake(&sched, &actors[1].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
	assert_int_equal(actors[0].runs, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(actors[0].runs, 1);
	assert_false(sched_has_ready(&sched));
	free(actors);
}

static void sched_remove__and_a_new_one_with_its_id_in_one_step(void **state)
{
	struct actor *actors = spawn_blocked(3);
	struct actor heir = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	actors[0].removes = &actors[2];
	actors[0].spawns = &heir;
	sched_wake(&sched, &actors[0].coroutine);
	sched_wake(&sched, &actors[2].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
	assert_int_equal(heir.coroutine.id, 2);
	assert_int_equal(heir.runs, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(actors[2].runs, 0);
	free(actors);
}

/* ---- sched_add_fast_path, sched_remove_fast_path ---- */

static char order[64];

struct poller {
	struct coroutine coroutine;
	char name;
	struct coroutine *wakes;
};

static enum coroutine_step poller_run(struct coroutine *self, uint64_t now_ns)
{
	struct poller *poller = container_of(self, struct poller, coroutine);
	size_t length = strlen(order);

	(void)now_ns;
	order[length] = poller->name;
	order[length + 1] = '\0';
	if (poller->wakes)
		sched_wake(&sched, poller->wakes);
	return COROUTINE_STEP_YIELD;
}

static void add_pollers(struct poller pollers[], size_t count)
{
	order[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		pollers[i] = (struct poller){.name = (char)('a' + i)};
		assert_int_equal(sched_add_fast_path(&sched, &pollers[i].coroutine, poller_run), 0);
	}
}

static void sched_add_fast_path__enospc_when_there_are_four(void **state)
{
	struct poller pollers[SCHED_FAST_PATHS_MAX + 1];

	(void)state;
	add_pollers(pollers, SCHED_FAST_PATHS_MAX);
	assert_int_equal(
		sched_add_fast_path(&sched, &pollers[SCHED_FAST_PATHS_MAX].coroutine, poller_run),
		-ENOSPC);
	sched_poll(&sched, NOW_NS);
	assert_int_equal(strlen(order), SCHED_FAST_PATHS_MAX);
}

static void sched_remove_fast_path__leaves_the_others(void **state)
{
	struct poller pollers[3];

	(void)state;
	add_pollers(pollers, 3);
	sched_poll(&sched, NOW_NS);
	sched_poll(&sched, NOW_NS);
	sched_remove_fast_path(&sched, &pollers[0].coroutine);
	order[0] = '\0';
	for (int i = 0; i < 4; i++)
		sched_poll(&sched, NOW_NS);
	assert_int_equal(strlen(order), 8);
	assert_null(strchr(order, 'a'));
	for (int i = 0; i < 8; i += 2)
		assert_int_not_equal(order[i], order[i + 1]);
	sched_remove_fast_path(&sched, &pollers[0].coroutine);
	sched_remove_fast_path(&sched, &pollers[1].coroutine);
	sched_remove_fast_path(&sched, &pollers[2].coroutine);
	order[0] = '\0';
	sched_poll(&sched, NOW_NS);
	assert_string_equal(order, "");
}

/* ---- sched_wake ---- */

static void sched_wake__twice_runs_once(void **state)
{
	struct actor *actors = spawn_blocked(1);

	(void)state;
	sched_wake(&sched, &actors[0].coroutine);
	sched_wake(&sched, &actors[0].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(actors[0].runs, 1);
	free(actors);
}

static void sched_wake__of_itself_runs_again_in_the_next_round(void **state)
{
	struct actor *actors = spawn_blocked(1);

	(void)state;
	actors[0].wakes = &actors[0].coroutine;
	sched_wake(&sched, &actors[0].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(actors[0].runs, 2);
	free(actors);
}

static void sched_wake__of_itself_in_its_last_step_is_lost(void **state)
{
	struct actor *actors = spawn_blocked(2);
	struct actor heir = {.step = COROUTINE_STEP_BLOCK};

	(void)state;
	actors[0].wakes = &actors[0].coroutine;
	actors[0].step = COROUTINE_STEP_DONE;
	sched_wake(&sched, &actors[0].coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	spawn(&heir);
	assert_int_equal(heir.coroutine.id, 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(actors[0].runs, 1);
	free(actors);
}

/* Woken by a coroutine, @sleeper runs exactly once, in this round or in the next one. */
static void check_wake(size_t waker, size_t sleeper)
{
	struct actor *actors = spawn_blocked(10000);
	unsigned int count;

	actors[waker].wakes = &actors[sleeper].coroutine;
	sched_wake(&sched, &actors[waker].coroutine);
	count = sched_run_ready(&sched, NOW_NS);
	assert_int_equal(count, 1 + actors[sleeper].runs);
	if (sleeper < waker)
		assert_int_equal(actors[sleeper].runs, 0);
	count += sched_run_ready(&sched, NOW_NS);
	assert_int_equal(count, 2);
	assert_int_equal(actors[sleeper].runs, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_false(sched_has_ready(&sched));
	free(actors);
}

static void sched_wake__from_another_of_the_block_to_one_before(void **state)
{
	(void)state;
	check_wake(60, 0);
}

static void sched_wake__from_another_of_the_block_to_one_behind(void **state)
{
	(void)state;
	check_wake(0, 63);
}

static void sched_wake__from_another_block_to_one_before(void **state)
{
	(void)state;
	check_wake(64, 63);
}

static void sched_wake__from_another_block_to_one_behind(void **state)
{
	(void)state;
	check_wake(63, 64);
}

static void sched_wake__across_summary_words(void **state)
{
	(void)state;
	check_wake(4095, 4096);
	sched_fini(&sched);
	assert_int_equal(sched_init(&sched, NOW_NS), 0);
	check_wake(8192, 1);
}

static void sched_wake__of_one_that_has_had_its_turn_waits_for_the_next_round(void **state)
{
	struct actor *actors = spawn_blocked(2);

	(void)state;
	sched_wake(&sched, &actors[0].coroutine);
	sched_wake(&sched, &actors[1].coroutine);
	actors[1].wakes = &actors[0].coroutine;
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
	assert_int_equal(actors[0].runs, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(actors[0].runs, 2);
	free(actors);
}

static void sched_wake__of_one_whose_turn_is_still_to_come_runs_it_once(void **state)
{
	struct actor *actors = spawn_blocked(100);

	(void)state;
	/* In the block that runs, and in a later one. */
	for (size_t later = 1; later < 100; later += 98) {
		sched_wake(&sched, &actors[0].coroutine);
		sched_wake(&sched, &actors[later].coroutine);
		actors[0].wakes = &actors[later].coroutine;
		assert_int_equal(sched_run_ready(&sched, NOW_NS), 2);
		assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
		assert_int_equal(actors[later].runs, 1);
	}
	free(actors);
}

/* ---- sched_run_ready ---- */

static void sched_run_ready__runs_each_once_a_round(void **state)
{
	struct actor *actors = spawn_blocked(5000);

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		actors[i].step = i % 2 ? COROUTINE_STEP_YIELD : COROUTINE_STEP_BLOCK;
		sched_wake(&sched, &actors[i].coroutine);
	}
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 5000);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2500);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 2500);
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(actors[i].runs, i % 2 ? 3 : 1);
	free(actors);
}

static void sched_run_ready__one_that_always_yields_starves_nobody(void **state)
{
	struct actor *actors = spawn_blocked(200);

	(void)state;
	actors[5].step = COROUTINE_STEP_YIELD;
	sched_wake(&sched, &actors[5].coroutine);
	for (unsigned int round = 1; round <= 1000; round++) {
		size_t other = 6 + round % 190;
		unsigned int before = actors[other].runs;

		sched_wake(&sched, &actors[other].coroutine);
		sched_wake(&sched, &actors[0].coroutine);
		assert_int_equal(sched_run_ready(&sched, NOW_NS), 3);
		assert_int_equal(actors[5].runs, round);
		assert_int_equal(actors[0].runs, round);
		assert_int_equal(actors[other].runs, before + 1);
	}
	free(actors);
}

static void sched_run_ready__two_that_wake_each_other_leave_the_round(void **state)
{
	struct actor *actors = spawn_blocked(100);

	(void)state;
	sched_wake(&sched, &actors[1].coroutine);
	for (unsigned int round = 1; round <= 100; round++) {
		actors[1].wakes = &actors[99].coroutine;
		actors[99].wakes = &actors[1].coroutine;
		assert_true(sched_run_ready(&sched, NOW_NS) <= 2);
		assert_true(actors[1].runs <= round && actors[99].runs <= round);
		assert_true(actors[1].runs + actors[99].runs >= round);
	}
	free(actors);
}

static void sched_run_ready__looks_only_at_runnable_ones(void **state)
{
	struct actor *actors = spawn_blocked(10000);

	(void)state;
	/* One that was looked at would crash. */
	for (size_t i = 0; i < 10000; i++)
		actors[i].coroutine.resume = i == 7777 ? actor_run : NULL;
	for (int round = 0; round < 100; round++) {
		sched_wake(&sched, &actors[7777].coroutine);
		assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	}
	assert_int_equal(actors[7777].runs, 100);
	free(actors);
}

static enum coroutine_step free_and_end(struct coroutine *self, uint64_t now_ns)
{
	(void)now_ns;
	free(self);
	return COROUTINE_STEP_DONE;
}

static void sched_run_ready__one_may_free_itself_in_its_last_step(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct coroutine *coroutine = malloc(sizeof(*coroutine));

		assert_non_null(coroutine);
		assert_int_equal(sched_spawn(&sched, coroutine, free_and_end), 0);
	}
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 100);
	assert_int_equal(sched.live, 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
}

/* ---- sched_poll ---- */

static void sched_poll__fast_paths_take_turns(void **state)
{
	struct poller pollers[3];

	(void)state;
	add_pollers(pollers, 3);
	for (int i = 0; i < 4; i++)
		sched_poll(&sched, NOW_NS);
	assert_string_equal(order, "abcbcacababc");
}

static void sched_poll__runs_what_a_fast_path_woke(void **state)
{
	struct actor *actors = spawn_blocked(1);
	struct poller poller;

	(void)state;
	add_pollers(&poller, 1);
	poller.wakes = &actors[0].coroutine;
	sched_poll(&sched, NOW_NS + 9);
	assert_int_equal(actors[0].runs, 1);
	assert_int_equal(actors[0].now_ns, NOW_NS + 9);
	assert_string_equal(order, "a");
	free(actors);
}

struct alarm {
	struct timer timer;
	struct coroutine *wakes;
	unsigned int fired;
};

static void alarm_fire(struct timer *timer, uint64_t now_ns)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);

	(void)now_ns;
	alarm->fired++;
	sched_wake(&sched, alarm->wakes);
}

static void sched_poll__fires_timers_before_it_runs_coroutines(void **state)
{
	struct actor *actors = spawn_blocked(1);
	struct alarm alarm = {.wakes = &actors[0].coroutine};

	(void)state;
	timer_init(&alarm.timer, alarm_fire);
	timer_arm(&sched.timers, &alarm.timer, NOW_NS + 1000000);
	sched_poll(&sched, NOW_NS + 999999);
	assert_int_equal(alarm.fired, 0);
	assert_int_equal(actors[0].runs, 0);
	sched_poll(&sched, NOW_NS + 1000000 + (1u << TIMER_TICK_SHIFT));
	assert_int_equal(alarm.fired, 1);
	assert_int_equal(actors[0].runs, 1);
	sched_poll(&sched, NOW_NS + 9000000);
	assert_int_equal(alarm.fired, 1);
	assert_int_equal(actors[0].runs, 1);
	free(actors);
}

/* ---- COROUTINE_ macros ---- */

struct sender {
	struct coroutine coroutine;
	unsigned int queued, sent, room, rounds;
	bool closed;
};

static enum coroutine_step sender_run(struct coroutine *self, uint64_t now_ns)
{
	struct sender *sender = container_of(self, struct sender, coroutine);

	(void)now_ns;
	COROUTINE_BEGIN(self);
	while (!sender->closed) {
		while (sender->queued) {
			while (!sender->room)
				COROUTINE_BLOCK(self);
			sender->room--;
			sender->queued--;
			sender->sent++;
			COROUTINE_YIELD(self);
		}
		sender->rounds++;
		COROUTINE_BLOCK(self);
	}
	COROUTINE_END;
}

static void coroutine__goes_on_where_it_stopped(void **state)
{
	struct sender sender = {.queued = 3, .room = 2};

	(void)state;
	assert_int_equal(sched_spawn(&sched, &sender.coroutine, sender_run), 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1); /* sends, yields */
	assert_int_equal(sender.sent, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1); /* sends, yields */
	assert_int_equal(sender.sent, 2);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1); /* no room: blocks */
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	assert_int_equal(sender.sent, 2);
	sched_wake(&sched, &sender.coroutine); /* spurious: blocks again */
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	sender.room = 1;
	sched_wake(&sched, &sender.coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sender.sent, 3);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1); /* nothing left: blocks */
	assert_int_equal(sender.rounds, 1);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
	sender.closed = true;
	sched_wake(&sched, &sender.coroutine);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 1);
	assert_int_equal(sched.live, 0);
	assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
}

/* ---- The scheduler against a naive twin: a flag for each coroutine ---- */

#define MODEL_PLACES 9000u /* more than two summary words */
#define MODEL_HOT 300u     /* what is woken and removed mostly, so that blocks are shared */

struct subject {
	struct coroutine coroutine;
	uint32_t place;
};

static struct {
	uint64_t random;
	struct subject *subjects[MODEL_PLACES]; /* NULL: does not live */
	bool runnable[MODEL_PLACES];
	bool due[MODEL_PLACES]; /* was runnable when the round began, and has not run */
	bool ran[MODEL_PLACES]; /* in this round */
	unsigned int runs;      /* in this round */
	uint32_t live;
	uint32_t current; /* place of the one that runs; MODEL_PLACES: none */
} model;

static uint32_t model_random(uint32_t limit)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return (uint32_t)((model.random >> 16) % limit);
}

static uint32_t model_place(void)
{
	return model_random(model_random(8) ? MODEL_HOT : MODEL_PLACES);
}

static enum coroutine_step model_run(struct coroutine *self, uint64_t now_ns);

static void model_spawn(uint32_t place)
{
	struct subject *subject = malloc(sizeof(*subject));

	assert_non_null(subject);
	subject->place = place;
	assert_int_equal(sched_spawn(&sched, &subject->coroutine, model_run), 0);
	model.subjects[place] = subject;
	model.runnable[place] = true;
	/* What had its turn in this round at this place was another one. */
	model.ran[place] = false;
	model.live++;
}

static void model_forget(uint32_t place)
{
	free(model.subjects[place]);
	model.subjects[place] = NULL;
	model.runnable[place] = false;
	model.due[place] = false;
	model.live--;
}

static void model_act(void)
{
	uint32_t place = model_place();

	if (!model.subjects[place]) {
		model_spawn(place);
	} else if (model_random(4) == 0 && place != model.current) {
		sched_remove(&sched, &model.subjects[place]->coroutine);
		model_forget(place);
	} else {
		sched_wake(&sched, &model.subjects[place]->coroutine);
		model.runnable[place] = true;
	}
}

static enum coroutine_step model_run(struct coroutine *self, uint64_t now_ns)
{
	uint32_t place = container_of(self, struct subject, coroutine)->place;
	uint32_t actions = model_random(4);

	assert_int_equal(now_ns, NOW_NS);
	assert_ptr_equal(&model.subjects[place]->coroutine, self);
	assert_true(model.runnable[place]);
	assert_false(model.ran[place]);
	model.runnable[place] = false;
	model.due[place] = false;
	model.ran[place] = true;
	model.runs++;
	model.current = place;
	for (uint32_t i = 0; i < actions; i++)
		model_act();
	model.current = MODEL_PLACES;
	switch (model_random(6)) {
	case 0:
		model_forget(place);
		return COROUTINE_STEP_DONE;
	case 1:
	case 2:
		model.runnable[place] = true;
		return COROUTINE_STEP_YIELD;
	default:
		return COROUTINE_STEP_BLOCK;
	}
}

static void model_round(void)
{
	unsigned int count;
	bool left = false;

	for (uint32_t place = 0; place < MODEL_PLACES; place++) {
		model.due[place] = model.runnable[place];
		model.ran[place] = false;
	}
	model.runs = 0;
	count = sched_run_ready(&sched, NOW_NS);
	assert_int_equal(count, model.runs);
	for (uint32_t place = 0; place < MODEL_PLACES; place++) {
		assert_false(model.due[place]);
		left |= model.runnable[place];
	}
	assert_int_equal(sched.live, model.live);
	if (left)
		assert_true(sched_has_ready(&sched));
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void sched__agrees_with_a_flag_for_each(void **state)
{
	uint64_t first = environment_number("SCHED_TEST_SEED", (uint64_t)time(NULL));
	uint64_t seeds = environment_number("SEEDS", 3);

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		print_message("SCHED_TEST_SEED=%llu\n", (unsigned long long)seed);
		model.random = seed * 0x9e3779b97f4a7c15u | 1;
		model.current = MODEL_PLACES;
		for (uint32_t place = 0; place < MODEL_PLACES; place++) {
			if (model_random(2))
				model_spawn(place);
		}
		for (int round = 0; round < 3000; round++) {
			for (uint32_t i = model_random(6); i > 0; i--)
				model_act();
			model_round();
		}
		for (uint32_t place = 0; place < MODEL_PLACES; place++) {
			if (!model.subjects[place])
				continue;
			sched_remove(&sched, &model.subjects[place]->coroutine);
			model_forget(place);
		}
		assert_int_equal(sched_run_ready(&sched, NOW_NS), 0);
		assert_false(sched_has_ready(&sched));
		assert_int_equal(sched.live, 0);
	}
}

#define sched_test(function) cmocka_unit_test_setup_teardown(function, sched_setup, sched_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sched_test(sched_init__has_nothing_to_run),
		sched_test(sched_spawn__is_runnable_at_once),
		sched_test(sched_spawn__from_a_coroutine_runs_in_the_same_round),
		sched_test(sched_spawn__starts_at_the_first_state),
		sched_test(sched_spawn__reuses_ids),
		sched_test(sched_spawn__eagain_when_all_ids_are_alive),
		sched_test(sched_remove__of_a_runnable_one),
		sched_test(sched_remove__of_the_only_runnable_one),
		sched_test(sched_remove__of_a_blocked_one),
		sched_test(sched_remove__of_a_later_one_of_the_block_that_runs),
		sched_test(sched_remove__of_one_in_a_later_block),
		sched_test(sched_remove__of_one_under_another_summary_word),
		sched_test(sched_remove__of_one_that_yielded_in_this_round),
		sched_test(sched_remove__and_a_new_one_with_its_id_in_one_step),
		sched_test(sched_add_fast_path__enospc_when_there_are_four),
		sched_test(sched_remove_fast_path__leaves_the_others),
		sched_test(sched_wake__twice_runs_once),
		sched_test(sched_wake__of_itself_runs_again_in_the_next_round),
		sched_test(sched_wake__of_itself_in_its_last_step_is_lost),
		sched_test(sched_wake__from_another_of_the_block_to_one_before),
		sched_test(sched_wake__from_another_of_the_block_to_one_behind),
		sched_test(sched_wake__from_another_block_to_one_before),
		sched_test(sched_wake__from_another_block_to_one_behind),
		sched_test(sched_wake__across_summary_words),
		sched_test(sched_wake__of_one_that_has_had_its_turn_waits_for_the_next_round),
		sched_test(sched_wake__of_one_whose_turn_is_still_to_come_runs_it_once),
		sched_test(sched_run_ready__runs_each_once_a_round),
		sched_test(sched_run_ready__one_that_always_yields_starves_nobody),
		sched_test(sched_run_ready__two_that_wake_each_other_leave_the_round),
		sched_test(sched_run_ready__looks_only_at_runnable_ones),
		sched_test(sched_run_ready__one_may_free_itself_in_its_last_step),
		sched_test(sched_poll__fast_paths_take_turns),
		sched_test(sched_poll__runs_what_a_fast_path_woke),
		sched_test(sched_poll__fires_timers_before_it_runs_coroutines),
		sched_test(coroutine__goes_on_where_it_stopped),
		sched_test(sched__agrees_with_a_flag_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
