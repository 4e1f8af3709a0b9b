/* SPDX-License-Identifier: MIT */
#include "net/tcp/congestion_testing.h"
#include "net/tcp/cubic.h"

#include <math.h>
#include <stdlib.h>

#define BETA 0.7
#define C 0.4

/* ---- The RFC in double precision: windows in segments, times in seconds ---- */

struct model {
	double cwnd, cwnd_prior, w_max, w_est, k;
	uint64_t epoch_ns;
};

/* RFC 9438, 4.6 and 4.7. */
static void model_reduce(struct model *model)
{
	model->w_max = model->cwnd < model->w_max ? model->cwnd * (1 + BETA) / 2 : model->cwnd;
	model->cwnd_prior = model->cwnd;
	model->cwnd *= BETA;
	model->epoch_ns = 0;
}

static double model_w_cubic(const struct model *model, double t)
{
	return C * pow(t - model->k, 3) + model->w_max;
}

/* RFC 9438, 4.2 to 4.5. */
static void model_acked(struct model *model, double segments, uint64_t now_ns, uint64_t rtt_ns)
{
	double t, target;

	if (!model->epoch_ns) {
		model->epoch_ns = now_ns;
		model->w_max = fmax(model->w_max, model->cwnd);
		model->k = cbrt((model->w_max - model->cwnd) / C);
		model->w_est = model->cwnd;
	}
	t = (double)(now_ns - model->epoch_ns) / 1e9;
	model->w_est += (model->w_est < model->cwnd_prior ? 3 * (1 - BETA) / (1 + BETA) : 1) *
			segments / model->cwnd;
	if (model_w_cubic(model, t) < model->w_est) {
		model->cwnd = fmax(model->cwnd, model->w_est);
		return;
	}
	target = model_w_cubic(model, t + (double)rtt_ns / 1e9);
	target = fmin(fmax(target, model->cwnd), 1.5 * model->cwnd);
	model->cwnd += (target - model->cwnd) / model->cwnd * segments;
}

static struct model model;

static double segments(uint32_t bytes)
{
	return (double)bytes / MSS;
}

static void start_both(uint32_t cwnd_segments)
{
	start_at(&tcp_cubic, cwnd_segments * MSS);
	model = (struct model){.cwnd = cwnd_segments};
}

static void reduce_both(void)
{
	reduce(false);
	model_reduce(&model);
}

/* A round trip of both, with the acknowledgments of ours: each for @ack_segments. */
static void round_trip_both(uint64_t rtt_ns, uint32_t ack_segments)
{
	uint32_t left = CC->cwnd, step = ack_segments * MSS;
	uint64_t begin_ns = sender.now_ns, count = (left + step - 1) / step;

	for (uint64_t i = 1; left; i++) {
		uint32_t bytes = left < step ? left : step;

		sender.now_ns = begin_ns + rtt_ns * i / count;
		ack(bytes, rtt_ns);
		model_acked(&model, segments(bytes), sender.now_ns, rtt_ns);
		left -= bytes;
	}
}

static void assert_same(void)
{
	double ours = segments(CC->cwnd);

	if (fabs(ours - model.cwnd) > 2)
		fail_msg("cwnd is %f segments, but %f by the model", ours, model.cwnd);
}

/* ---- Arithmetic ---- */

static void cubic_root__is_the_largest_whole_number_below(void **state)
{
	uint32_t root = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000000; i++) {
		if ((uint64_t)(root + 1) * (root + 1) * (root + 1) == i)
			root++;
		assert_int_equal(tcp_cubic_root(i), root);
	}
}

static void cubic_root__is_exact_beside_each_cube(void **state)
{
	(void)state;
	for (uint64_t i = 1; i < UINT32_MAX; i += 1 + i / 100) {
		unsigned __int128 cube = (unsigned __int128)i * i * i;

		assert_int_equal(tcp_cubic_root(cube - 1), i - 1);
		assert_int_equal(tcp_cubic_root(cube), i);
		assert_int_equal(tcp_cubic_root(cube + 1), i);
	}
	assert_int_equal(tcp_cubic_root(((unsigned __int128)1 << 96) - 1), UINT32_MAX);
}

/* RFC 9438, 4.2, Figure 2. */
static void cubic__takes_k_until_w_max(void **state)
{
	static const uint32_t windows[] = {10, 100, 1000, 10000, 100000, 700000};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(windows); i++) {
		double k;

		start_at(&tcp_cubic, windows[i] * MSS);
		reduce(false);
		k = cbrt((windows[i] - segments(CC->cwnd)) / C);
		ack(MSS, 10 * MS_NS);
		assert_true(fabs(CC->cubic.stage.k_ticks / (double)(1 << 20) - k) < 2e-6);
	}
}

/* ---- Growth ---- */

/* RFC 9438, 4.2 to 4.5: whatever region that is. */
static void cubic__grows_as_the_model_does(void **state)
{
	static const uint32_t windows[] = {4, 10, 50, 100, 1000, 10000, 100000};
	static const uint64_t rtts_ms[] = {1, 10, 100, 300};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(windows) * COUNT_OF(rtts_ms); i++) {
		uint32_t rounds = windows[i / COUNT_OF(rtts_ms)] < 10000 ? 200 : 20;

		start_both(windows[i / COUNT_OF(rtts_ms)]);
		reduce_both();
		for (uint32_t j = 0; j < rounds && model.cwnd < 200000; j++) {
			round_trip_both(rtts_ms[i % COUNT_OF(rtts_ms)] * MS_NS, 2);
			assert_same();
		}
	}
}

/* With acknowledgments of each segment, and of many; those are few, and the windows small. */
static void cubic__grows_alike_however_it_is_acknowledged(void **state)
{
	static const uint32_t acks[] = {1, 2, 8, 44};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(acks); i++) {
		start_both(1000);
		reduce_both();
		for (uint32_t j = 0; j < 150; j++) {
			round_trip_both(100 * MS_NS, acks[i]);
			assert_same();
		}
		assert_in_range(CC->cwnd, 1000 * MSS, 1500 * MSS);
	}
}

/* RFC 9438, 4.4 and 4.5: concave up to W_max at K, then convex. */
static void cubic__is_concave_and_then_convex(void **state)
{
	double k = cbrt(3000 / C), before, growth[3];

	(void)state;
	start_at(&tcp_cubic, 10000 * MSS);
	reduce(false);
	for (uint32_t i = 0; i < 3; i++) {
		/* At 0, at K and at twice K. */
		while ((double)(sender.now_ns - START_NS) / 1e9 < i * k)
			round_trip(100 * MS_NS);
		if (i == 1)
			assert_in_range(CC->cwnd, 9998 * MSS, 10002 * MSS);
		before = segments(CC->cwnd);
		for (uint32_t j = 0; j < 5; j++)
			round_trip(100 * MS_NS);
		growth[i] = segments(CC->cwnd) - before;
	}
	assert_true(growth[0] > 10 * growth[1]);
	assert_true(growth[2] > 10 * growth[1]);
	assert_in_range(CC->cwnd, 12990 * MSS, 13400 * MSS);
}

/* RFC 9438, 4.2: target is not more than 1.5 * cwnd, however long the round trip. */
static void cubic__grows_by_no_more_than_half_in_a_round_trip(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 100 * MSS);
	reduce(false);
	ack(MSS, SECOND_NS);
	sender.now_ns += 1000 * SECOND_NS;
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t before = CC->cwnd;

		for (uint32_t acked = 0; acked < before; acked += MSS)
			ack(MSS, 900 * SECOND_NS);
		/* (1 + 1 / 2n)^n: while it grows, so does what it may grow to. */
		assert_in_range(CC->cwnd, before / 2 * 3, before / 100 * 165);
	}
	ack(UINT32_MAX, 900 * SECOND_NS);
	assert_in_range(CC->cwnd, 0, TCP_CWND_LIMIT);
}

/* ---- The Reno-friendly region ---- */

/* RFC 9438, 4.3: alpha is 9/17 up to cwnd_prior, and 1 from there on. */
static void cubic__is_friendly_to_reno_at_small_windows(void **state)
{
	uint32_t rounds = 0, before;

	(void)state;
	start_at(&tcp_cubic, 20 * MSS);
	reduce(false);
	while (CC->cwnd < 20 * MSS) {
		round_trip(10 * MS_NS);
		rounds++;
	}
	/* 6 segments of 9/17 each: about as Reno for its 10 of 1. */
	assert_in_range(rounds, 11, 12);
	before = CC->cwnd;
	for (uint32_t i = 0; i < 10; i++)
		round_trip(10 * MS_NS);
	assert_in_range(CC->cwnd, before + 9 * MSS, before + 10 * MSS);
}

/* RFC 9438, 4.3: its average window is Reno's, of which Figure 3 tells 1.22 / sqrt(p). */
static void cubic__has_the_average_window_of_reno_at_short_round_trips(void **state)
{
	const struct tcp_congestion_ops *both[] = {&tcp_reno, &tcp_cubic};
	double average[2] = {0, 0};

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t rounds = 0;
		uint64_t bytes = 0;

		start_at(both[i], 40 * MSS);
		/* A loss for each thousand segments. */
		for (uint32_t losses = 0; losses < 200; rounds++) {
			bytes += CC->cwnd;
			round_trip(5 * MS_NS);
			if (bytes / (1000 * MSS) > losses) {
				reduce(false);
				losses++;
			}
		}
		average[i] = segments((uint32_t)(bytes / rounds));
	}
	assert_true(average[0] > 36 && average[0] < 41);
	assert_true(average[1] > 0.9 * average[0] && average[1] < 1.15 * average[0]);
}

/* RFC 9438, 4.7: it remembers less than it had, and alpha waits for what it had (4.3). */
static void cubic__leaves_room_when_its_window_shrinks(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 1000 * MSS);
	reduce(false);
	assert_int_equal(CC->cubic.stage.w_max, 1000 * MSS);
	round_trip(MS_NS);
	CC->cwnd = 900 * MSS;
	reduce(false);
	assert_int_equal(CC->cubic.stage.w_max, 765 * MSS);
	assert_int_equal(CC->cubic.stage.cwnd_prior, 900 * MSS);
	assert_int_equal(CC->cwnd, 630 * MSS);
	CC->cwnd = 800 * MSS;
	reduce(false);
	assert_int_equal(CC->cubic.stage.w_max, 800 * MSS);
}

/*
 * RFC 9438, 3.4 and 5.6: two that share a queue come to the same window. Both lose what they lose
 * at the same time, whenever there are more than 1000 segments.
 */
static void cubic__converges_to_a_fair_share(void **state)
{
	struct sender first, second;

	(void)state;
	start_at(&tcp_cubic, 900 * MSS);
	reduce(false);
	first = sender;
	start_at(&tcp_cubic, 20 * MSS);
	reduce(false);
	second = sender;
	for (uint32_t i = 0; i < 6000; i++) {
		bool is_full = first.congestion.cwnd + second.congestion.cwnd > 1000 * MSS;

		sender = first;
		is_full ? reduce(false) : round_trip(40 * MS_NS);
		first = sender;
		sender = second;
		is_full ? reduce(false) : round_trip(40 * MS_NS);
		second = sender;
	}
	assert_in_range(first.congestion.cwnd, second.congestion.cwnd / 100 * 95,
			second.congestion.cwnd / 100 * 105);
}

/* ---- Reductions ---- */

/* RFC 9438, 4.6. */
static void cubic__reduces_to_seven_tenths(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 100 * MSS);
	reduce(false);
	assert_int_equal(CC->cwnd, 70 * MSS);
	reduce(true);
	assert_int_equal(CC->cwnd, 49 * MSS);
}

/* RFC 9438, 4.6: 2 segments for a loss, and 1 for a mark. */
static void cubic__reduces_to_two_segments_or_one_for_a_mark(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 10 * MSS);
	for (uint32_t i = 0; i < 20; i++)
		reduce(false);
	assert_int_equal(CC->cwnd, 2 * MSS);
	for (uint32_t i = 0; i < 20; i++)
		reduce(true);
	assert_int_equal(CC->cwnd, MSS);
	for (uint32_t i = 0; i < 20; i++)
		round_trip(MS_NS);
	assert_in_range(CC->cwnd, 10 * MSS, 25 * MSS);
}

/* RFC 9438, 4.8: ssthresh by beta, and then K is 0 and W_max is where congestion avoidance began. */
static void cubic__begins_anew_after_a_timeout(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 1500 * MSS);
	reduce(false);
	CC->cwnd = 1000 * MSS;
	time_out();
	assert_int_equal(CC->ssthresh, 700 * MSS);
	while (tcp_congestion_in_slow_start(CC)) {
		assert_int_equal(CC->cubic.stage.epoch_ns, 0);
		ack(MSS, 100 * MS_NS);
	}
	assert_int_equal(CC->cwnd, 700 * MSS);
	model = (struct model){.cwnd = 700, .cwnd_prior = 1000};
	for (uint32_t i = 0; i < 100; i++) {
		round_trip_both(100 * MS_NS, 2);
		assert_same();
	}
	assert_int_equal(CC->cubic.stage.k_ticks, 0);
	assert_int_equal(CC->cubic.stage.w_max, 700 * MSS);
}

/* ---- Spurious reductions ---- */

/* RFC 9438, 4.9.2: all is as if nothing had been, and time has gone on. */
static void cubic__goes_on_as_before_when_a_loss_was_spurious(void **state)
{
	uint32_t cwnd, ssthresh;

	(void)state;
	start_both(1000);
	reduce_both();
	for (uint32_t i = 0; i < 30; i++)
		round_trip_both(100 * MS_NS, 2);
	for (uint32_t later = 0; later < 10; later++) {
		struct model before = model;
		struct tcp_cubic_stage stage = CC->cubic.stage;

		cwnd = CC->cwnd;
		ssthresh = CC->ssthresh;
		reduce_both();
		/* At once, or when the next stage has begun. */
		for (uint32_t i = 0; i < later; i++)
			round_trip_both(100 * MS_NS, 2);
		CC->cwnd = cwnd;
		CC->ssthresh = ssthresh;
		CC->ops->undone(CC, sender.now_ns);
		assert_memory_equal(&CC->cubic.stage, &stage, sizeof(stage));
		model = before;
		for (uint32_t i = 0; i < 20; i++) {
			round_trip_both(100 * MS_NS, 2);
			assert_same();
		}
	}
}

/* RFC 9438, 4.9.1: however often it expired. */
static void cubic__goes_on_as_before_when_a_timeout_was_spurious(void **state)
{
	struct tcp_cubic_stage stage;

	(void)state;
	start_at(&tcp_cubic, 1000 * MSS);
	reduce(false);
	round_trip(100 * MS_NS);
	stage = CC->cubic.stage;
	for (uint32_t i = 0; i < 3; i++) {
		time_out();
		assert_int_equal(CC->cubic.stage.epoch_ns, 0);
		assert_int_not_equal(CC->cubic.stage.cwnd_prior, MSS);
	}
	CC->ops->undone(CC, sender.now_ns);
	assert_memory_equal(&CC->cubic.stage, &stage, sizeof(stage));
}

static void cubic__goes_on_with_the_first_slow_start_when_its_loss_was_spurious(void **state)
{
	uint32_t cwnd;

	(void)state;
	start(&tcp_cubic, MSS);
	round_trip(10 * MS_NS);
	cwnd = CC->cwnd;
	reduce(false);
	round_trip(10 * MS_NS);
	CC->cwnd = cwnd;
	CC->ssthresh = TCP_SSTHRESH_INFINITE;
	CC->ops->undone(CC, sender.now_ns);
	round_trip(10 * MS_NS);
	assert_int_equal(CC->cwnd, 2 * cwnd);
	assert_true(tcp_congestion_in_slow_start(CC));
}

/* What is undone was not ours to reduce: there is nothing to go back to. */
static void cubic__knows_nothing_to_undo_after_the_first_slow_start(void **state)
{
	(void)state;
	start(&tcp_cubic, MSS);
	CC->ops->undone(CC, sender.now_ns);
	for (uint64_t i = 0; CC->ssthresh == TCP_SSTHRESH_INFINITE; i++)
		round_trip((10 + i) * i * MS_NS);
	CC->ops->undone(CC, sender.now_ns);
	ack(MSS, 10 * MS_NS);
	assert_in_range(CC->cubic.stage.w_max, CC->cwnd - MSS, CC->cwnd);
	assert_int_equal(CC->cubic.stage.epoch_ns, sender.now_ns);
}

/* ---- Time that does not count ---- */

/* RFC 9438, 4.2 and 5.8. */
static void cubic__does_not_count_idle_time(void **state)
{
	(void)state;
	start_both(1000);
	reduce_both();
	for (uint32_t i = 0; i < 100; i++) {
		round_trip_both(100 * MS_NS, 2);
		assert_same();
		if (i % 10 == 5) {
			sender.now_ns += 3600 * SECOND_NS;
			model.epoch_ns += 3600 * SECOND_NS;
			CC->ops->restarted(CC, 3600 * SECOND_NS);
		}
	}
}

/* RFC 9438, 5.8: no acknowledgments are told of then. A round trip of it may count. */
static void cubic__does_not_count_time_that_the_application_limits(void **state)
{
	(void)state;
	start_both(1000);
	reduce_both();
	for (uint32_t i = 0; i < 100; i++) {
		round_trip_both(100 * MS_NS, 2);
		assert_same();
		if (i % 10 == 5) {
			sender.now_ns += 3600 * SECOND_NS;
			model.epoch_ns += 3600 * SECOND_NS - 100 * MS_NS;
		}
	}
}

/* The application was at rest from before the epoch on. */
static void cubic__has_no_time_before_its_epoch(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 1000 * MSS);
	reduce(false);
	ack(MSS, 100 * MS_NS);
	CC->ops->restarted(CC, 10 * SECOND_NS);
	ack(MSS, 100 * MS_NS);
	assert_int_equal(CC->cubic.stage.epoch_ns, sender.now_ns);
	CC->ops->restarted(CC, UINT64_MAX);
	assert_int_equal(CC->cubic.stage.epoch_ns, sender.now_ns);
	assert_in_range(CC->cwnd, 700 * MSS, 701 * MSS);
}

/* Slow start after idle time (RFC 5681, 4.1) is not congestion avoidance; what follows is new. */
static void cubic__begins_a_stage_after_each_slow_start(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 1000 * MSS);
	reduce(false);
	round_trip(100 * MS_NS);
	CC->cwnd = 10 * MSS;
	while (tcp_congestion_in_slow_start(CC))
		round_trip(100 * MS_NS);
	sender.now_ns += MS_NS;
	ack(MSS, 100 * MS_NS);
	assert_in_range(CC->cubic.stage.epoch_ns, sender.now_ns - 100 * MS_NS, sender.now_ns);
	assert_int_equal(CC->cubic.stage.w_max, 1000 * MSS);
}

/* ---- The first slow start ---- */

static void cubic__doubles_in_the_first_slow_start(void **state)
{
	(void)state;
	start(&tcp_cubic, MSS);
	for (uint32_t i = 1; i <= 10; i++) {
		round_trip(10 * MS_NS);
		assert_int_equal(CC->cwnd, 14600u << i);
	}
}

/* RFC 9406, 4.2; RFC 9438, 4.10: K is 0, and W_max and cwnd_prior are cwnd. */
static void cubic__ends_the_first_slow_start_when_round_trips_become_longer(void **state)
{
	uint64_t rtt_ns = 10 * MS_NS;
	uint32_t cwnd;

	(void)state;
	start(&tcp_cubic, MSS);
	/* A path of 100 segments: beyond, they queue. */
	while (CC->ssthresh == TCP_SSTHRESH_INFINITE) {
		if (CC->cwnd > 100 * MSS)
			rtt_ns = 10 * MS_NS * CC->cwnd / (100 * MSS);
		round_trip(rtt_ns);
	}
	cwnd = CC->cwnd;
	/* Found out by 287 segments; then the rest of five rounds, a quarter more in each. */
	assert_in_range(cwnd, 287 * MSS, 900 * MSS);
	/* The rest of that round trip was congestion avoidance. */
	assert_in_range(CC->ssthresh, cwnd - MSS, cwnd);
	ack(MSS, rtt_ns);
	assert_int_equal(CC->cubic.stage.k_ticks, 0);
	assert_int_equal(CC->cubic.stage.w_max, CC->ssthresh);
	assert_int_equal(CC->cubic.stage.cwnd_prior, CC->ssthresh);
	model = (struct model){.cwnd = segments(CC->cwnd)};
	for (uint32_t i = 0; i < 20; i++) {
		round_trip_both(rtt_ns, 2);
		assert_same();
	}
}

static void cubic__ends_the_first_slow_start_with_a_loss(void **state)
{
	(void)state;
	start(&tcp_cubic, MSS);
	for (uint32_t i = 0; i < 5; i++)
		round_trip(10 * MS_NS);
	reduce(false);
	assert_int_equal(CC->cwnd, 224 * MSS);
	assert_int_equal(CC->cubic.stage.w_max, 320 * MSS);
	round_trip(10 * MS_NS);
	assert_in_range(CC->cwnd, 224 * MSS, 228 * MSS);
}

/* ssthresh became known by other means, before there was a loss. */
static void cubic__obeys_an_ssthresh_that_is_given(void **state)
{
	(void)state;
	start(&tcp_cubic, MSS);
	round_trip(10 * MS_NS);
	CC->ssthresh = 30 * MSS;
	for (uint32_t i = 0; i < 5; i++)
		round_trip(10 * MS_NS);
	assert_in_range(CC->cwnd, 30 * MSS, 36 * MSS);
	assert_int_equal(CC->cubic.stage.w_max, 30 * MSS);
}

/* ---- Limits ---- */

static void cubic__does_not_overflow_at_the_largest_window(void **state)
{
	(void)state;
	start_both(TCP_CWND_LIMIT / MSS);
	reduce_both();
	for (uint32_t i = 0; i < 5; i++) {
		round_trip_both(300 * MS_NS, 2);
		assert_same();
	}
	for (uint32_t i = 0; i < 1000; i++) {
		sender.now_ns += SECOND_NS;
		ack(CC->cwnd, SECOND_NS);
	}
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT);
	for (uint32_t i = 0; i < 3; i++) {
		CC->cubic.stage.w_est = TCP_CWND_LIMIT - 1;
		ack(UINT32_MAX, SECOND_NS);
		assert_int_equal(CC->cubic.stage.w_est, TCP_CWND_LIMIT);
	}
	reduce(false);
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT / 10 * 7 + 2);
}

static void cubic__stays_below_the_limit(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 100 * MSS);
	CC->cwnd_max = 110 * MSS + 7;
	for (uint32_t i = 0; i < 200; i++)
		round_trip(100 * MS_NS);
	assert_int_equal(CC->cwnd, CC->cwnd_max);
}

/* A connection that has never lost anything, of a clock that began at 0, and after a year. */
static void cubic__stands_any_time(void **state)
{
	(void)state;
	start_at(&tcp_cubic, 100 * MSS);
	sender.now_ns = 0;
	ack(MSS, MS_NS);
	assert_int_equal(CC->cubic.stage.epoch_ns, 1);
	for (uint32_t i = 0; i < 100; i++) {
		sender.now_ns += UINT64_MAX / 128;
		ack(MSS, sender.now_ns);
		assert_in_range(CC->cwnd, 100 * MSS, TCP_CWND_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cubic_root__is_the_largest_whole_number_below),
		cmocka_unit_test(cubic_root__is_exact_beside_each_cube),
		cmocka_unit_test(cubic__takes_k_until_w_max),
		cmocka_unit_test(cubic__grows_as_the_model_does),
		cmocka_unit_test(cubic__grows_alike_however_it_is_acknowledged),
		cmocka_unit_test(cubic__is_concave_and_then_convex),
		cmocka_unit_test(cubic__grows_by_no_more_than_half_in_a_round_trip),
		cmocka_unit_test(cubic__is_friendly_to_reno_at_small_windows),
		cmocka_unit_test(cubic__has_the_average_window_of_reno_at_short_round_trips),
		cmocka_unit_test(cubic__leaves_room_when_its_window_shrinks),
		cmocka_unit_test(cubic__converges_to_a_fair_share),
		cmocka_unit_test(cubic__reduces_to_seven_tenths),
		cmocka_unit_test(cubic__reduces_to_two_segments_or_one_for_a_mark),
		cmocka_unit_test(cubic__begins_anew_after_a_timeout),
		cmocka_unit_test(cubic__goes_on_as_before_when_a_loss_was_spurious),
		cmocka_unit_test(cubic__goes_on_as_before_when_a_timeout_was_spurious),
		cmocka_unit_test(
			cubic__goes_on_with_the_first_slow_start_when_its_loss_was_spurious),
		cmocka_unit_test(cubic__knows_nothing_to_undo_after_the_first_slow_start),
		cmocka_unit_test(cubic__does_not_count_idle_time),
		cmocka_unit_test(cubic__does_not_count_time_that_the_application_limits),
		cmocka_unit_test(cubic__has_no_time_before_its_epoch),
		cmocka_unit_test(cubic__begins_a_stage_after_each_slow_start),
		cmocka_unit_test(cubic__doubles_in_the_first_slow_start),
		cmocka_unit_test(cubic__ends_the_first_slow_start_when_round_trips_become_longer),
		cmocka_unit_test(cubic__ends_the_first_slow_start_with_a_loss),
		cmocka_unit_test(cubic__obeys_an_ssthresh_that_is_given),
		cmocka_unit_test(cubic__does_not_overflow_at_the_largest_window),
		cmocka_unit_test(cubic__stays_below_the_limit),
		cmocka_unit_test(cubic__stands_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
