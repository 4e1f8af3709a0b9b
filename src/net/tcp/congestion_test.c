/* SPDX-License-Identifier: MIT */
#include "net/tcp/congestion_testing.h"

static const struct tcp_congestion_ops *const all[] = {&tcp_reno, &tcp_cubic, &tcp_dctcp};

static void congestion_find__knows_each_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		assert_ptr_equal(tcp_congestion_find(all[i]->name, strlen(all[i]->name)), all[i]);
		assert_non_null(strstr(tcp_congestion_names(), all[i]->name));
	}
	assert_string_equal(tcp_congestion_names(), "reno, cubic, dctcp");
}

/* As TCP_CONGESTION has it: whoever gives a buffer gives what is behind the string too. */
static void congestion_find__ends_at_the_terminator_or_the_length(void **state)
{
	(void)state;
	assert_ptr_equal(tcp_congestion_find("cubic", 6), &tcp_cubic);
	assert_ptr_equal(tcp_congestion_find("reno\0cubic", 10), &tcp_reno);
	assert_ptr_equal(tcp_congestion_find("renovate", 4), &tcp_reno);
	assert_null(tcp_congestion_find("renovate", 8));
	assert_null(tcp_congestion_find("reno", 3));
	assert_null(tcp_congestion_find("Reno", 4));
	assert_null(tcp_congestion_find("bbr", 3));
	assert_null(tcp_congestion_find("", 0));
	assert_null(tcp_congestion_find("", 1));
}

/* RFC 6928, 2: min(10*MSS, max(2*MSS, 14600)). */
static void congestion_initial__is_ten_segments_or_14600_bytes_or_two_segments(void **state)
{
	(void)state;
	assert_int_equal(tcp_congestion_initial(536), 5360);
	assert_int_equal(tcp_congestion_initial(1220), 12200);
	assert_int_equal(tcp_congestion_initial(1460), 14600);
	assert_int_equal(tcp_congestion_initial(1461), 14600);
	assert_int_equal(tcp_congestion_initial(7300), 14600);
	assert_int_equal(tcp_congestion_initial(8960), 17920);
	assert_int_equal(tcp_congestion_initial(65495), 130990);
	assert_int_equal(tcp_congestion_initial(UINT32_MAX), UINT32_MAX);
}

/* RFC 5681, 3.1: ssthresh is arbitrarily high. */
static void congestion_init__begins_with_slow_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		start(all[i], MSS);
		assert_ptr_equal(CC->ops, all[i]);
		assert_int_equal(CC->mss, MSS);
		assert_int_equal(CC->cwnd, 14600);
		assert_int_equal(CC->ssthresh, TCP_SSTHRESH_INFINITE);
		assert_true(tcp_congestion_in_slow_start(CC));
	}
}

static void congestion_init__obeys_the_limit(void **state)
{
	(void)state;
	CC->cwnd_max = 5000;
	tcp_congestion_init(CC, &tcp_reno, MSS, START_NS);
	assert_int_equal(CC->cwnd, 5000);
	/* But a window of less than a segment would end the connection. */
	CC->cwnd_max = 1000;
	tcp_congestion_init(CC, &tcp_reno, MSS, START_NS);
	assert_int_equal(CC->cwnd, MSS);
}

static void congestion_choose__keeps_the_windows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		for (size_t j = 0; j < COUNT_OF(all); j++) {
			start(all[i], MSS);
			round_trip(10 * MS_NS);
			reduce(false);
			round_trip(10 * MS_NS);
			CC->cwnd = 50000;
			CC->ssthresh = 40000;
			tcp_congestion_choose(CC, all[j], sender.now_ns);
			assert_int_equal(CC->cwnd, 50000);
			assert_int_equal(CC->ssthresh, 40000);
			assert_int_equal(CC->mss, MSS);
			/* And what the other has left behind does not matter. */
			round_trip(10 * MS_NS);
			assert_in_range(CC->cwnd, 50000, 50000 + 2 * MSS);
			reduce(false);
			assert_in_range(CC->ssthresh, 25000, 37000);
		}
	}
}

/* RFC 3465, 2.2 and 2.3: L is 2 segments. */
static void slow_start__counts_bytes_up_to_two_segments(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	assert_int_equal(tcp_congestion_slow_start(CC, 1), 0);
	assert_int_equal(CC->cwnd, 14601);
	assert_int_equal(tcp_congestion_slow_start(CC, 2 * MSS), 0);
	assert_int_equal(CC->cwnd, 14601 + 2 * MSS);
	assert_int_equal(tcp_congestion_slow_start(CC, 10 * MSS), 0);
	assert_int_equal(CC->cwnd, 14601 + 4 * MSS);
	assert_int_equal(tcp_congestion_slow_start(CC, UINT32_MAX), 0);
	assert_int_equal(CC->cwnd, 14601 + 6 * MSS);
}

/* RFC 3465, 2.3: L is 1 segment in the slow start after a timeout. */
static void slow_start__counts_one_segment_after_a_timeout(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->cwnd = 20 * MSS;
	time_out();
	assert_int_equal(tcp_congestion_slow_start(CC, 10 * MSS), 0);
	assert_int_equal(CC->cwnd, 2 * MSS);
}

static void slow_start__leaves_what_is_above_ssthresh(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->ssthresh = CC->cwnd + 100;
	assert_int_equal(tcp_congestion_slow_start(CC, 99), 0);
	assert_true(tcp_congestion_in_slow_start(CC));
	assert_int_equal(tcp_congestion_slow_start(CC, 500), 499);
	assert_int_equal(CC->cwnd, CC->ssthresh);
	assert_false(tcp_congestion_in_slow_start(CC));
	assert_int_equal(tcp_congestion_slow_start(CC, 500), 500);
	assert_int_equal(CC->cwnd, CC->ssthresh);
}

static void slow_start__ends_at_the_limit(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->cwnd_max = CC->cwnd + 100;
	assert_int_equal(tcp_congestion_slow_start(CC, 500), 0);
	assert_int_equal(CC->cwnd, CC->cwnd_max);
	/* One that was lowered afterwards takes nothing away. */
	CC->cwnd_max = 2000;
	assert_int_equal(tcp_congestion_slow_start(CC, 500), 0);
	assert_int_equal(CC->cwnd, 14700);
}

/* RFC 7323, 2.3. */
static void slow_start__ends_at_the_largest_window_of_tcp(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->cwnd_max = UINT32_MAX;
	CC->cwnd = TCP_CWND_LIMIT - 1;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(tcp_congestion_slow_start(CC, UINT32_MAX), 0);
		assert_int_equal(CC->cwnd, TCP_CWND_LIMIT);
	}
}

/* RFC 5681, 3.1, (3), as RFC 3465, 2.1, counts. */
static void avoid__grows_by_a_segment_for_each_window(void **state)
{
	uint32_t counter = 0;

	(void)state;
	start_at(&tcp_reno, 10 * MSS);
	tcp_congestion_avoid(CC, &counter, 10 * MSS - 1);
	assert_int_equal(CC->cwnd, 10 * MSS);
	tcp_congestion_avoid(CC, &counter, 3);
	assert_int_equal(CC->cwnd, 11 * MSS);
	assert_int_equal(counter, 2);
}

/* RFC 5681, 3.1: not more than a segment. */
static void avoid__saves_nothing_up(void **state)
{
	uint32_t counter = 0;

	(void)state;
	start_at(&tcp_reno, 10 * MSS);
	tcp_congestion_avoid(CC, &counter, 1000 * MSS);
	assert_int_equal(CC->cwnd, 11 * MSS);
	tcp_congestion_avoid(CC, &counter, 1);
	assert_int_equal(CC->cwnd, 11 * MSS);
	counter = UINT32_MAX;
	tcp_congestion_avoid(CC, &counter, UINT32_MAX);
	assert_int_equal(CC->cwnd, 12 * MSS);
	assert_int_equal(counter, 0);
}

/* RFC 5681, (4); RFC 3168, 6.1.2. */
static void part__is_at_least_two_segments_or_one_for_a_mark(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	assert_int_equal(tcp_congestion_part(CC, 10 * MSS, 1, 2, false), 5 * MSS);
	assert_int_equal(tcp_congestion_part(CC, 3 * MSS, 1, 2, false), 2 * MSS);
	assert_int_equal(tcp_congestion_part(CC, 3 * MSS, 1, 2, true), 3 * MSS / 2);
	assert_int_equal(tcp_congestion_part(CC, MSS, 1, 2, true), MSS);
	assert_int_equal(tcp_congestion_part(CC, 0, 1, 2, false), 2 * MSS);
	assert_int_equal(tcp_congestion_part(CC, UINT32_MAX, 7, 10, false), 3006477106u);
	assert_int_equal(tcp_congestion_part(CC, UINT32_MAX, 1u << 21, 1u << 21, true), UINT32_MAX);
}

/* RFC 5681, 3.2, (2): what limited transmit has sent does not count. */
static void flight__is_not_more_than_the_window(void **state)
{
	(void)state;
	start(&tcp_reno, MSS);
	CC->cwnd = 20 * MSS;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		tcp_congestion_choose(CC, all[i], START_NS);
		assert_int_equal(CC->ops->reduced(CC, 22 * MSS, false, START_NS),
				 all[i] == &tcp_cubic ? 14 * MSS : 10 * MSS);
		assert_int_equal(CC->ops->reduced(CC, 10 * MSS, false, START_NS),
				 all[i] == &tcp_cubic ? 7 * MSS : 5 * MSS);
	}
}

static uint32_t random_bits(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 32);
}

static void random_acked(void)
{
	uint32_t before = CC->cwnd;
	uint32_t bytes = random_bits() % 100 ? 1 + random_bits() % CC->cwnd : random_bits() | 1;

	ack_marked(bytes, random_bits() % 3 ? 0 : bytes, random_bits() % 4 ? random_bits() : 0);
	assert_in_range(CC->cwnd, before, UINT32_MAX);
	if (CC->cwnd > before)
		assert_in_range(CC->cwnd, 1, CC->cwnd_max ? CC->cwnd_max : TCP_CWND_LIMIT);
}

static void random_event(void)
{
	uint32_t cwnd = CC->cwnd, ssthresh = CC->ssthresh;

	sender.now_ns += random_bits() % 50 ? random_bits() % 1000000
					    : random_bits() * UINT64_C(1000);
	switch (random_bits() % 400) {
	case 0:
		reduce(random_bits() % 2);
		break;
	case 1:
		time_out();
		break;
	case 2:
		if (CC->ops->restarted)
			CC->ops->restarted(CC, random_bits() * UINT64_C(1000));
		break;
	case 3:
		reduce(random_bits() % 2);
		random_acked();
		CC->cwnd = cwnd;
		CC->ssthresh = ssthresh;
		if (CC->ops->undone)
			CC->ops->undone(CC, sender.now_ns);
		break;
	case 4:
		tcp_congestion_choose(CC, all[random_bits() % COUNT_OF(all)], sender.now_ns);
		break;
	default:
		random_acked();
	}
	assert_in_range(CC->ssthresh, CC->mss, UINT32_MAX);
	assert_in_range(CC->cwnd, CC->mss, UINT32_MAX);
}

static void congestion__keeps_its_bounds_whatever_comes(void **state)
{
	static const uint32_t sizes[] = {1, 88, 536, 1460, 8960, 65495};

	(void)state;
	for (size_t i = 0; i < 10 * COUNT_OF(sizes) * COUNT_OF(all); i++) {
		start(all[i % COUNT_OF(all)], sizes[i / COUNT_OF(all) % COUNT_OF(sizes)]);
		CC->cwnd_max = i % 2 ? 0 : 10 * CC->mss + random_bits() % 1000000;
		CC->cwnd = CC->mss + random_bits() % (i % 4 ? 10000 : TCP_CWND_LIMIT / 4);
		for (uint32_t event = 0; event < 2000; event++)
			random_event();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(congestion_find__knows_each_name),
		cmocka_unit_test(congestion_find__ends_at_the_terminator_or_the_length),
		cmocka_unit_test(
			congestion_initial__is_ten_segments_or_14600_bytes_or_two_segments),
		cmocka_unit_test(congestion_init__begins_with_slow_start),
		cmocka_unit_test(congestion_init__obeys_the_limit),
		cmocka_unit_test(congestion_choose__keeps_the_windows),
		cmocka_unit_test(slow_start__counts_bytes_up_to_two_segments),
		cmocka_unit_test(slow_start__counts_one_segment_after_a_timeout),
		cmocka_unit_test(slow_start__leaves_what_is_above_ssthresh),
		cmocka_unit_test(slow_start__ends_at_the_limit),
		cmocka_unit_test(slow_start__ends_at_the_largest_window_of_tcp),
		cmocka_unit_test(avoid__grows_by_a_segment_for_each_window),
		cmocka_unit_test(avoid__saves_nothing_up),
		cmocka_unit_test(part__is_at_least_two_segments_or_one_for_a_mark),
		cmocka_unit_test(flight__is_not_more_than_the_window),
		cmocka_unit_test(congestion__keeps_its_bounds_whatever_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
