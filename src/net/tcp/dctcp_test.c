/* SPDX-License-Identifier: MIT */
#include "net/tcp/congestion_testing.h"

#define ALPHA_ONE (1u << 20)

/* A window of which @marked of @count acknowledgments have a mark. The window stays as it is. */
static void window(uint32_t count, uint32_t marked)
{
	uint32_t cwnd = count * MSS;

	for (uint32_t i = 0; i < count; i++) {
		CC->cwnd = CC->ssthresh = cwnd;
		sender.now_ns += MS_NS / count;
		ack_marked(MSS, i < marked ? MSS : 0, MS_NS);
	}
	CC->cwnd = CC->ssthresh = cwnd;
}

static double alpha(void)
{
	return (double)CC->dctcp.alpha / ALPHA_ONE;
}

/* RFC 8257, 3.3: alpha is 1 at first, so that the first mark halves. */
static void dctcp__begins_as_if_everything_were_marked(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 20 * MSS);
	assert_true(tcp_dctcp.needs_ecn);
	reduce(true);
	assert_int_equal(CC->cwnd, 10 * MSS);
}

/* RFC 8257, 3.3: DCTCP.Alpha * (1 - g) + g * M, with g = 1/16. */
static void dctcp__averages_with_a_sixteenth(void **state)
{
	double expected = 1;

	(void)state;
	start_at(&tcp_dctcp, 100 * MSS);
	window(1, 1); /* WindowEnd is SND.UNA at first: a window by itself */
	assert_int_equal(CC->dctcp.alpha, ALPHA_ONE);
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t marked = i * 37 % 101;

		/* The acknowledgment that ends a window is its last. */
		CC->dctcp.acked = CC->dctcp.marked = 0;
		CC->dctcp.window_end = sender.una + 99 * MSS;
		window(100, marked);
		expected = expected * 15 / 16 + marked / 100.0 / 16;
		assert_true(alpha() > expected - 1e-4 && alpha() < expected + 1e-4);
	}
}

static void dctcp__comes_to_the_share_of_marks(void **state)
{
	static const uint32_t marked[] = {0, 1, 5, 10, 25, 50, 99, 100};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(marked); i++) {
		double share = marked[i] / 100.0;

		start_at(&tcp_dctcp, 100 * MSS);
		for (uint32_t j = 0; j < 300; j++)
			window(100, marked[i]);
		assert_true(alpha() > share - 0.01 && alpha() < share + 0.01);
		/* 3.3: cwnd * (1 - alpha / 2). */
		reduce(true);
		assert_in_range(CC->cwnd, (uint32_t)(100 * MSS * (1 - share / 2 - 0.005)),
				(uint32_t)(100 * MSS * (1 - share / 2 + 0.005)));
	}
}

/* What integers round must not leave a rest that shrinks large windows. */
static void dctcp__forgets_marks_altogether(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 10 * MSS);
	for (uint32_t i = 0; i < 400; i++)
		window(10, 0);
	assert_int_equal(CC->dctcp.alpha, 0);
	CC->cwnd = TCP_CWND_LIMIT;
	reduce(true);
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT);
}

static void dctcp__stays_at_one_as_long_as_everything_is_marked(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 10 * MSS);
	for (uint32_t i = 0; i < 100; i++)
		window(10, 10);
	assert_int_equal(CC->dctcp.alpha, ALPHA_ONE);
}

/* RFC 8257, 3.3, step 4: once each window, across the wrap of sequence numbers. */
static void dctcp__observes_a_window_at_a_time(void **state)
{
	uint32_t changes = 0, before;

	(void)state;
	start_at(&tcp_dctcp, 100 * MSS);
	window(100, 0);
	for (uint32_t i = 0; i < 20 * 100; i++) {
		before = CC->dctcp.alpha;
		CC->cwnd = 100 * MSS;
		ack_marked(MSS, 0, MS_NS);
		changes += CC->dctcp.alpha != before;
	}
	assert_in_range(changes, 19, 20);
}

/* RFC 8257, 3.3, step 4: up to WindowEnd it goes on, also when nothing more has been sent. */
static void dctcp__observes_the_whole_window(void **state)
{
	struct tcp_congestion_ack seen = {.acked_bytes = MSS, .una = 0, .nxt = 2 * MSS};

	(void)state;
	start_at(&tcp_dctcp, 100 * MSS);
	CC->ops->seen(CC, &seen);
	for (uint32_t i = 1; i <= 2; i++) {
		seen.una = i * MSS;
		CC->ops->seen(CC, &seen);
		assert_int_equal(CC->dctcp.acked, i * MSS);
	}
	seen.una = seen.nxt = 2 * MSS + 1;
	CC->ops->seen(CC, &seen);
	assert_int_equal(CC->dctcp.acked, 0);
}

/* The application was at rest, and meanwhile somebody else has counted half of the numbers. */
static void dctcp__notices_an_end_from_long_ago(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 100 * MSS);
	window(100, 100);
	sender.una -= 100 * MSS + 1000;
	ack_marked(MSS, 0, MS_NS);
	assert_int_equal(CC->dctcp.acked, 0);
	assert_int_equal(CC->dctcp.window_end, sender.una + 99 * MSS);
}

/* RFC 8257, 3.3: marks are counted also when nothing grows. */
static void dctcp__counts_in_recovery(void **state)
{
	struct tcp_congestion_ack seen = {
		.acked_bytes = MSS, .marked_bytes = MSS, .una = 1, .nxt = 9};

	(void)state;
	start_at(&tcp_dctcp, 100 * MSS);
	CC->dctcp.alpha = 0;
	CC->ops->seen(CC, &seen);
	assert_int_equal(CC->dctcp.alpha, ALPHA_ONE / 16);
	assert_int_equal(CC->cwnd, 100 * MSS);
}

/* RFC 8257, 3.4. */
static void dctcp__grows_as_reno_does(void **state)
{
	(void)state;
	start(&tcp_dctcp, MSS);
	round_trip(MS_NS);
	assert_int_equal(CC->cwnd, 20 * MSS);
	start_at(&tcp_dctcp, 20 * MSS);
	for (uint32_t i = 1; i <= 20; i++) {
		round_trip(MS_NS);
		assert_int_equal(CC->cwnd, (20 + i) * MSS);
	}
}

/* RFC 8257, 3.5: a loss is answered as conventional TCP does, whatever alpha is. */
static void dctcp__halves_for_a_loss(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 20 * MSS);
	ack(19 * MSS, MS_NS);
	CC->dctcp.alpha = 0;
	reduce(false);
	assert_int_equal(CC->cwnd, 10 * MSS);
	/* What was counted toward a larger window is not for this one. */
	ack(9 * MSS, MS_NS);
	assert_int_equal(CC->cwnd, 10 * MSS);
	CC->cwnd = 20 * MSS;
	time_out();
	assert_int_equal(CC->ssthresh, 10 * MSS);
	assert_int_equal(CC->dctcp.alpha, 0);
}

/* RFC 5681, (4); RFC 3168, 6.1.2. */
static void dctcp__has_the_least_windows_of_reno(void **state)
{
	(void)state;
	start_at(&tcp_dctcp, 20 * MSS);
	for (uint32_t i = 0; i < 10; i++)
		reduce(true);
	assert_int_equal(CC->cwnd, MSS);
	reduce(false);
	assert_int_equal(CC->cwnd, 2 * MSS);
}

static void dctcp__does_not_overflow_at_the_largest_window(void **state)
{
	struct tcp_congestion_ack seen = {
		.acked_bytes = UINT32_MAX, .marked_bytes = UINT32_MAX, .una = 1, .nxt = 0x40000001};

	(void)state;
	start_at(&tcp_dctcp, TCP_CWND_LIMIT);
	for (uint32_t i = 0; i < 3; i++)
		CC->ops->seen(CC, &seen);
	seen.una = 0x40000002;
	CC->ops->seen(CC, &seen);
	assert_int_equal(CC->dctcp.alpha, ALPHA_ONE);
	reduce(true);
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dctcp__begins_as_if_everything_were_marked),
		cmocka_unit_test(dctcp__averages_with_a_sixteenth),
		cmocka_unit_test(dctcp__comes_to_the_share_of_marks),
		cmocka_unit_test(dctcp__forgets_marks_altogether),
		cmocka_unit_test(dctcp__stays_at_one_as_long_as_everything_is_marked),
		cmocka_unit_test(dctcp__observes_a_window_at_a_time),
		cmocka_unit_test(dctcp__observes_the_whole_window),
		cmocka_unit_test(dctcp__notices_an_end_from_long_ago),
		cmocka_unit_test(dctcp__counts_in_recovery),
		cmocka_unit_test(dctcp__grows_as_reno_does),
		cmocka_unit_test(dctcp__halves_for_a_loss),
		cmocka_unit_test(dctcp__has_the_least_windows_of_reno),
		cmocka_unit_test(dctcp__does_not_overflow_at_the_largest_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
