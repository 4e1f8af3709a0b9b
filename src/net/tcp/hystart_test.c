/* SPDX-License-Identifier: MIT */
#include "net/tcp/congestion_testing.h"
#include "net/tcp/hystart.h"

#define BASE_NS (100 * MS_NS)
#define LONG_NS (113 * MS_NS) /* an eighth more, and then some */

static struct tcp_hystart hystart;

static void begin(void)
{
	start(&tcp_reno, MSS);
	tcp_hystart_init(&hystart);
}

/* @count acknowledgments of a segment, of a round that has more of them. */
static bool acknowledge(uint32_t count, uint64_t rtt_ns)
{
	bool over = false;

	for (uint32_t i = 0; i < count && !over; i++) {
		struct tcp_congestion_ack ack = {
			.acked_bytes = MSS,
			.rtt_ns = rtt_ns,
			.una = sender.una + MSS,
			.nxt = sender.una + CC->cwnd,
		};

		sender.una += MSS;
		over = tcp_hystart_acked(CC, &hystart, &ack);
	}
	return over;
}

/* The rest of the round, and the acknowledgment that ends it. */
static bool finish(uint64_t rtt_ns)
{
	bool over = false;
	uint32_t before = hystart.window_end;

	while (!over && hystart.window_end == before)
		over = acknowledge(1, rtt_ns);
	return over;
}

static bool is_conservative(void)
{
	return hystart.baseline_ns != UINT32_MAX;
}

/* The bytes that cwnd grows by for a segment. */
static uint32_t growth(uint64_t rtt_ns)
{
	uint32_t before = CC->cwnd;

	acknowledge(1, rtt_ns);
	return CC->cwnd - before;
}

static void enter_conservative(void)
{
	begin();
	acknowledge(1, BASE_NS);
	assert_false(finish(BASE_NS));
	acknowledge(8, LONG_NS);
	assert_true(is_conservative());
}

/* RFC 9406, 4.2 and 4.3: N bytes, up to L = 8 segments. */
static void hystart__grows_by_what_is_acknowledged_up_to_eight_segments(void **state)
{
	struct tcp_congestion_ack ack = {.acked_bytes = 8 * MSS, .rtt_ns = BASE_NS, .nxt = 1 << 20};

	(void)state;
	begin();
	assert_false(tcp_hystart_acked(CC, &hystart, &ack));
	assert_int_equal(CC->cwnd, 18 * MSS);
	ack.acked_bytes = UINT32_MAX;
	assert_false(tcp_hystart_acked(CC, &hystart, &ack));
	assert_int_equal(CC->cwnd, 26 * MSS);
}

static void hystart__goes_on_as_long_as_round_trips_are_even(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 0; i < 10; i++) {
		acknowledge(1, BASE_NS);
		assert_false(finish(i % 2 ? BASE_NS : BASE_NS + 12 * MS_NS));
		assert_false(is_conservative());
	}
}

/* RFC 9406, 4.2: eight samples, all longer by the threshold. */
static void hystart__becomes_conservative_with_eight_long_samples(void **state)
{
	(void)state;
	begin();
	acknowledge(1, BASE_NS);
	assert_false(finish(BASE_NS));
	acknowledge(7, LONG_NS);
	acknowledge(3, 0); /* without a sample */
	assert_false(is_conservative());
	acknowledge(1, LONG_NS);
	assert_true(is_conservative());
	/* 4.2: grows by a quarter. */
	assert_int_equal(growth(LONG_NS), MSS / 4);
}

/* RFC 9406, 4.2: RttThresh is an eighth, between 4 ms and 16 ms. */
static void hystart__has_a_threshold_between_4_and_16_ms(void **state)
{
	static const struct {
		uint64_t last_ns, threshold_ns;
	} cases[] = {
		{MS_NS / 100, 4 * MS_NS},
		{10 * MS_NS, 4 * MS_NS},
		{80 * MS_NS, 10 * MS_NS},
		{1000 * MS_NS, 16 * MS_NS},
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		uint64_t last_ns = cases[i / 2].last_ns;

		begin();
		acknowledge(1, last_ns);
		assert_false(finish(last_ns));
		acknowledge(8, last_ns + cases[i / 2].threshold_ns - i % 2);
		assert_int_equal(is_conservative(), i % 2 == 0);
	}
}

/* RFC 9406, 4.2: it was spurious. */
static void hystart__resumes_when_round_trips_become_shorter(void **state)
{
	(void)state;
	enter_conservative();
	assert_false(finish(LONG_NS));
	acknowledge(7, LONG_NS - 1);
	assert_true(is_conservative());
	acknowledge(1, LONG_NS - 1);
	assert_false(is_conservative());
	assert_int_equal(growth(LONG_NS), MSS);
	/* And the next time there are five rounds again. */
	assert_false(finish(LONG_NS));
	acknowledge(8, 2 * LONG_NS);
	assert_true(is_conservative());
	for (uint32_t i = 1; i < 5; i++)
		assert_false(finish(2 * LONG_NS));
	assert_true(finish(2 * LONG_NS));
}

/* RFC 9406, 4.2: CSS_ROUNDS is 5, and the round in which it began counts. */
static void hystart__is_over_after_five_conservative_rounds(void **state)
{
	(void)state;
	enter_conservative();
	for (uint32_t i = 1; i < 5; i++) {
		assert_false(finish(LONG_NS));
		assert_true(is_conservative());
	}
	assert_true(finish(LONG_NS));
	assert_true(is_conservative());
}

static void hystart__grows_by_whole_quarters(void **state)
{
	uint32_t before;

	(void)state;
	enter_conservative();
	before = CC->cwnd;
	for (uint32_t i = 0; i < 8; i++) {
		struct tcp_congestion_ack ack = {
			.acked_bytes = 1, .una = sender.una, .nxt = sender.una + CC->cwnd};

		tcp_hystart_acked(CC, &hystart, &ack);
	}
	assert_int_equal(CC->cwnd, before + 2);
}

/* A round trip of seconds tells nothing, but breaks nothing either. */
static void hystart__takes_very_long_round_trips_for_infinite(void **state)
{
	(void)state;
	begin();
	acknowledge(1, BASE_NS);
	assert_false(finish(BASE_NS));
	acknowledge(8, 10 * SECOND_NS);
	assert_false(is_conservative());
	assert_false(finish(10 * SECOND_NS));
	acknowledge(8, BASE_NS);
	assert_false(is_conservative());
}

/* Everything is acknowledged: the next round has no end until something is under way again. */
static void hystart__begins_no_round_while_nothing_is_under_way(void **state)
{
	struct tcp_congestion_ack ack = {.acked_bytes = MSS, .rtt_ns = BASE_NS, .una = 1, .nxt = 1};

	(void)state;
	begin();
	assert_false(tcp_hystart_acked(CC, &hystart, &ack));
	assert_int_equal(hystart.last_min_ns, BASE_NS);
	ack.una += MSS;
	ack.nxt += 20 * MSS;
	ack.rtt_ns = BASE_NS / 2;
	assert_false(tcp_hystart_acked(CC, &hystart, &ack));
	assert_int_equal(hystart.last_min_ns, BASE_NS);
	assert_int_equal(hystart.window_end, ack.nxt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hystart__grows_by_what_is_acknowledged_up_to_eight_segments),
		cmocka_unit_test(hystart__goes_on_as_long_as_round_trips_are_even),
		cmocka_unit_test(hystart__becomes_conservative_with_eight_long_samples),
		cmocka_unit_test(hystart__has_a_threshold_between_4_and_16_ms),
		cmocka_unit_test(hystart__resumes_when_round_trips_become_shorter),
		cmocka_unit_test(hystart__is_over_after_five_conservative_rounds),
		cmocka_unit_test(hystart__grows_by_whole_quarters),
		cmocka_unit_test(hystart__takes_very_long_round_trips_for_infinite),
		cmocka_unit_test(hystart__begins_no_round_while_nothing_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
