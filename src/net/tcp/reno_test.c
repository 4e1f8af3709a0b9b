/* SPDX-License-Identifier: MIT */
#include "net/tcp/congestion_testing.h"

/* RFC 5681, 3.1, (2), with RFC 3465. */
static void reno__doubles_in_slow_start(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	for (uint32_t i = 1; i <= 10; i++) {
		round_trip(10 * MS_NS);
		assert_int_equal(CC->cwnd, 14600u << i);
	}
	assert_true(tcp_congestion_in_slow_start(CC));
}

/* RFC 5681, 3.1, (3). */
static void reno__grows_by_a_segment_each_round_trip(void **state)
{
	(void)state;
	start_at(&tcp_reno, 20 * MSS);
	for (uint32_t i = 1; i <= 50; i++) {
		round_trip(10 * MS_NS);
		assert_int_equal(CC->cwnd, (20 + i) * MSS);
	}
}

static void reno__passes_from_slow_start_to_avoidance_within_an_acknowledgment(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->ssthresh = 11 * MSS;
	ack(12 * MSS, MS_NS);
	assert_int_equal(CC->cwnd, 12 * MSS);
}

/* RFC 5681, (4). */
static void reno__halves_for_a_loss(void **state)
{
	(void)state;
	start_at(&tcp_reno, 20 * MSS);
	ack(19 * MSS, MS_NS);
	reduce(false);
	assert_int_equal(CC->ssthresh, 10 * MSS);
	/* What was counted toward a larger window is not for this one. */
	ack(9 * MSS, MS_NS);
	assert_int_equal(CC->cwnd, 10 * MSS);
	ack(MSS, MS_NS);
	assert_int_equal(CC->cwnd, 11 * MSS);
	for (uint32_t i = 0; i < 10; i++)
		reduce(false);
	assert_int_equal(CC->cwnd, 2 * MSS);
}

/* RFC 3168, 6.1.2: as for a loss, but down to one segment. */
static void reno__halves_for_a_mark_down_to_one_segment(void **state)
{
	(void)state;
	start_at(&tcp_reno, 20 * MSS);
	reduce(true);
	assert_int_equal(CC->cwnd, 10 * MSS);
	for (uint32_t i = 0; i < 10; i++)
		reduce(true);
	assert_int_equal(CC->cwnd, MSS);
	ack(MSS, MS_NS);
	assert_int_equal(CC->cwnd, 2 * MSS);
}

/* RFC 5681, (4). */
static void reno__starts_slowly_up_to_half_after_a_timeout(void **state)
{
	(void)state;
	start_at(&tcp_reno, 20 * MSS);
	time_out();
	assert_int_equal(CC->ssthresh, 10 * MSS);
	for (uint32_t i = 2; i <= 10; i++) {
		ack(MSS, MS_NS);
		assert_int_equal(CC->cwnd, i * MSS);
	}
	ack(MSS, MS_NS);
	assert_int_equal(CC->cwnd, 10 * MSS);
}

/* RFC 5681, (4): FlightSize, and not cwnd, which may be less by then. */
static void reno__takes_half_of_the_whole_flight_for_a_timeout(void **state)
{
	(void)state;
	start_at(&tcp_reno, 20 * MSS);
	reduce(false);
	assert_int_equal(CC->ops->timed_out(CC, 20 * MSS, sender.now_ns), 10 * MSS);
}

static void reno__does_not_overflow_at_the_largest_window(void **state)
{
	(void)state;
	start_at(&tcp_reno, TCP_CWND_LIMIT - MSS);
	round_trip(10 * MS_NS);
	round_trip(10 * MS_NS);
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT);
	reduce(false);
	assert_int_equal(CC->cwnd, TCP_CWND_LIMIT / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reno__doubles_in_slow_start),
		cmocka_unit_test(reno__grows_by_a_segment_each_round_trip),
		cmocka_unit_test(
			reno__passes_from_slow_start_to_avoidance_within_an_acknowledgment),
		cmocka_unit_test(reno__halves_for_a_loss),
		cmocka_unit_test(reno__halves_for_a_mark_down_to_one_segment),
		cmocka_unit_test(reno__starts_slowly_up_to_half_after_a_timeout),
		cmocka_unit_test(reno__takes_half_of_the_whole_flight_for_a_timeout),
		cmocka_unit_test(reno__does_not_overflow_at_the_largest_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
