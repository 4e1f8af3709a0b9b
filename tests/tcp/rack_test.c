/* SPDX-License-Identifier: MIT */
/* Losses detected by time, and probes of the tail: RFC 8985. */
#include "script.h"

#define RTT_NS (100 * MS)

static uint32_t mss;

static uint32_t at(uint32_t n)
{
	return 1 + n * mss;
}

/* A path of 100 ms that was measured often enough for the timeout to be its minimum or so. */
static void begin(const void *version)
{
	struct script_options options = {.sack = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};

	options.tcp.congestion = &tcp_reno;
	script_begin(version, &options);
	open_passive();
	mss = script_mss();
}

/* 6.2, step 5: one segment above it has come: it is lost a quarter of the RTT later. */
static void rfc8985_6_2__a_hole_is_lost_after_the_reordering_window(void **state)
{
	begin(*state);
	push_segments(3);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(2), at(3)}});
	expect_within(15 * MS, 40 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	/* The second is lost as well; when it goes the window says (RFC 6937). */
	if (!script_next(PROMPT_NS)) {
		inject(.flags = ACK, .seq = 1, .ack = at(1), .sack_count = 1,
		       .sack = {{at(2), at(3)}});
		expect(.flags = ACK, .seq = at(1), .ack = 1, .length = mss);
	}
	inject(.flags = ACK, .seq = 1, .ack = at(3));
	check(app_pushed() == 1);
	script_end();
}

/* 6.2, step 4: segments that come late within the window were not lost. */
static void rfc8985_6_2__reordering_within_the_window_retransmits_nothing(void **state)
{
	begin(*state);
	push_segments(3);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(2), at(3)}});
	advance(10 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(3));
	expect_nothing(SECOND);
	check(app_stats().retransmissions == 0);
	check(app_pushed() == 1);
	script_end();
}

/* 6.2.1 (step 4): with three segments above it there is no window until reordering was seen. */
static void rfc8985_6_2__three_segments_above_a_hole_need_no_window(void **state)
{
	begin(*state);
	push_segments(5);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(4)}});
	expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = at(5));
	script_end();
}

/* 6.2, step 4: once reordering was seen three segments alone prove nothing. */
static void rfc8985_6_2__reordering_that_was_seen_makes_it_patient(void **state)
{
	begin(*state);
	push_segments(5);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(2), at(3)}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(3)}});
	inject(.flags = ACK, .seq = 1, .ack = at(5));
	script_skip();
	push_segments(5);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(5), .sack_count = 1, .sack = {{at(6), at(9)}});
	expect_nothing(10 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(10));
	expect_nothing(SECOND);
	check(app_stats().retransmissions == 0);
	script_end();
}

/* 3.1 and 6.2: a retransmission that is lost is found by what was sent after it. */
static void rfc8985_6_2__a_lost_retransmission_is_sent_again_before_the_timeout(void **state)
{
	uint64_t again_ns;
	const struct segment *segment;

	begin(*state);
	push_segments(5);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(5)}});
	again_ns = expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss)->at_ns;
	/* New data behind it arrives, the retransmission does not. */
	push_segments(1);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(6)}});
	segment = expect_within(0, 60 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	check(segment->at_ns - again_ns < 190 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	check(app_pushed() == 2);
	script_end_quietly();
}

/* RFC 5681, 4.3: a retransmission that is lost tells of congestion once more. */
static void rfc5681_4_3__a_lost_retransmission_reduces_the_window_again(void **state)
{
	uint32_t threshold;

	begin(*state);
	push_segments(10);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(6)}});
	expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	threshold = app_stats().ssthresh;
	check(threshold == 5 * mss);
	/* The others of that flight have come: no reason for more than that. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(10)}});
	check(app_stats().ssthresh == threshold);
	push_segments(1);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(11)}});
	expect_within(0, 60 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	check(app_stats().ssthresh < threshold);
	script_end_quietly();
}

/* What is said to be lost only has come twice: each time the next one is given longer. */
static void lose_needlessly(uint64_t least_ns, uint64_t most_ns)
{
	uint32_t first = push_segments(2);

	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = first, .sack_count = 1,
	       .sack = {{first + mss, first + 2 * mss}});
	expect_within(least_ns, most_ns, .flags = ACK, .seq = first, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = first + 2 * mss, .sack_count = 1,
	       .sack = {{first, first + mss}});
	advance(RTT_NS);
	check(script_skip() == 0);
}

/* 6.2, step 4: each round trip with a D-SACK adds a quarter of the least, up to the smoothed one. */
static void rfc8985_6_2__reports_of_duplicates_make_it_patient(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};

	options.tcp.congestion = &tcp_reno;
	options.tcp.rto_min_ms = 1000; /* the timer stays out of it */
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	for (uint64_t quarters = 1; quarters <= 7; quarters++) {
		uint64_t wait_ns = (quarters < 4 ? quarters : 4) * RTT_NS / 4;

		lose_needlessly(wait_ns - 5 * MS, wait_ns + 10 * MS);
	}
	check(app_stats().timeouts == 0);
	script_end();
}

/* 6.2, step 1: on a path that has become longer the least round trip is forgotten, slowly. */
static void rfc8985_6_2__the_least_round_trip_is_of_lately(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = 10 * MS, .tcp = script_tcp()};
	uint64_t before_ns;

	script_begin(*state, &options);
	open_passive();
	pass_data(5, 10 * MS);
	before_ns = app_stats().rtt_min_ns;
	check(before_ns < 11 * MS);
	pass_data(200, 30 * MS);
	check(app_stats().rtt_min_ns > before_ns + 2 * MS);
	check(app_stats().rtt_min_ns < 20 * MS);
	pass_data(1, 8 * MS);
	check(app_stats().rtt_min_ns < 9 * MS);
	script_end();
}

/* 7.2: with more than one segment under way the tail is probed after two round trips. */
static void rfc8985_7_2__the_tail_is_probed_after_two_round_trips(void **state)
{
	begin(*state);
	push_segments(3);
	/* 200 ms; the timeout is 100 + 4 * 50. */
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(2), .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = at(3));
	check(app_pushed() == 1);
	expect_nothing(SECOND);
	script_end();
}

/* 7.2: the peer may wait for a second segment. Linux does for 40 ms, and a bit more. */
static void rfc8985_7_2__a_lone_segment_may_be_acknowledged_late(void **state)
{
	begin(*state);
	push_segments(1);
	/* 200 and 60 ms; the timeout is 100 + 4 * 50. */
	expect_within(250 * MS, 290 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = at(1));
	check(app_pushed() == 1);
	expect_nothing(SECOND);
	script_end();
}

/* 7.3: new data is the better probe. */
static void rfc8985_7_3__new_data_probes_rather_than_old(void **state)
{
	uint32_t sent;

	begin(*state);
	/* More than the first window: what is left is new. */
	app_push(14 * mss);
	advance(50 * MS);
	sent = script_flow(0, 0)->host_sent;
	script_skip();
	check(sent >= at(9) && sent <= at(10));
	expect_within(100 * MS, 400 * MS, .flags = ACK, .seq = sent, .ack = 1, .length = mss);
	script_end_quietly();
}

/* 7.3: with the peer's window full it is old data. */
static void rfc8985_7_3__a_full_window_is_probed_with_old_data(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};

	script_begin(*state, &options);
	script.peer_window = (uint32_t)script.options.mss * 2;
	open_passive();
	mss = script_mss();
	app_push(10 * mss);
	expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	expect(.flags = ACK, .seq = at(1), .ack = 1, .length = mss);
	expect_within(190 * MS, 310 * MS, .flags = ACK, .seq = at(1), .ack = 1, .length = mss);
	script_end_quietly();
}

/* 7.3: one probe; then the timer. */
static void rfc8985_7_3__one_probe_is_followed_by_the_timeout(void **state)
{
	begin(*state);
	push_segments(3);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(2), .ack = 1, .length = mss);
	expect_within(150 * MS, 700 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	script_end_quietly();
}

/* 7.4: an answer to the probe that reports the tail makes the rest recover without a timeout. */
static void rfc8985_7_4__a_probe_that_arrives_starts_recovery(void **state)
{
	begin(*state);
	push_segments(4);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(3), .ack = 1, .length = mss);
	/* A little more than the least round trip: else it might be the original's (6.2, step 2). */
	advance(RTT_NS + MS);
	inject(.flags = ACK, .seq = 1, .ack = at(1), .sack_count = 1, .sack = {{at(3), at(4)}});
	expect_within(0, 60 * MS, .flags = ACK, .seq = at(1), .ack = 1, .length = mss);
	if (!script_next(PROMPT_NS)) {
		inject(.flags = ACK, .seq = 1, .ack = at(2), .sack_count = 1,
		       .sack = {{at(3), at(4)}});
		expect(.flags = ACK, .seq = at(2), .ack = 1, .length = mss);
	}
	inject(.flags = ACK, .seq = 1, .ack = at(4));
	check(app_stats().timeouts == 0);
	check(app_pushed() == 1);
	script_end();
}

/* 7.4.2: the probe repaired a loss: the window is reduced for it. */
static void rfc8985_7_4__a_loss_that_the_probe_repaired_reduces_the_window(void **state)
{
	uint32_t before;

	begin(*state);
	push_segments(6);
	before = app_stats().cwnd;
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(5), .ack = 1, .length = mss);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	/* What is sent after it is acknowledged, and no duplicate was reported: it was lost. */
	push_segments(1);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(7));
	advance(RTT_NS);
	check(app_stats().cwnd < before);
	script_end();
}

/* 7.4.2: the original has arrived too: D-SACK says so, and nothing was lost. */
static void rfc8985_7_4__a_needless_probe_reduces_nothing(void **state)
{
	uint32_t before;

	begin(*state);
	push_segments(6);
	before = app_stats().cwnd;
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(5), .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(6), .sack_count = 1, .sack = {{at(5), at(6)}});
	check(app_stats().cwnd >= before);
	script_end();
}

/* 7.1: without SACK there are no probes of the tail: the timer alone. */
static void rfc8985_7_1__without_sack_the_tail_is_not_probed(void **state)
{
	struct script_options options = {.rtt_ns = RTT_NS};

	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	push_segments(3);
	expect_within(290 * MS, 350 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	script_end_quietly();
}

/* 6.3: at a timeout not everything is marked lost: what was sent just now is not. */
static void rfc8985_6_3__a_timeout_does_not_send_again_what_was_just_sent(void **state)
{
	begin(*state);
	push_segments(2);
	advance(150 * MS);
	script_skip();
	/* New data before the timeout of the first ones. */
	push_segments(1);
	advance(140 * MS);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = at(3));
	check(app_pushed() == 2);
	expect_nothing(SECOND);
	script_end();
}

/* 7.1: after a timeout nobody asks any more whether the probe before it has repaired a loss. */
static void rfc8985_7_1__a_timeout_forgets_the_probe(void **state)
{
	uint32_t threshold;

	begin(*state);
	push_segments(6);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(5), .ack = 1, .length = mss);
	expect_within(150 * MS, 700 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	check(app_stats().timeouts == 1);
	threshold = app_stats().ssthresh;
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	script_skip();
	push_segments(1);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(7));
	check(app_stats().ssthresh == threshold);
	script_end();
}

/* 7.3: how long the path is must have been measured since the last probe, or it may have become longer. */
static void rfc8985_7_3__no_probe_without_a_round_trip_since_the_last(void **state)
{
	begin(*state);
	push_segments(3);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(2), .ack = 1, .length = mss);
	/* Both came; which one is acknowledged nobody knows. */
	inject(.flags = ACK, .seq = 1, .ack = at(3), .sack_count = 1, .sack = {{at(2), at(3)}});
	push_segments(3);
	expect_within(280 * MS, 350 * MS, .flags = ACK, .seq = at(3), .ack = 1, .length = mss);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	/* Now it is measured. */
	push_segments(1);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = at(7));
	push_segments(3);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(9), .ack = 1, .length = mss);
	script_end_quietly();
}

/* Two segments of which nothing is heard, probed for, then two more, and the timeout of the first. */
static void time_out_before_young_ones(void **state)
{
	begin(*state);
	push_segments(2);
	expect_within(190 * MS, 260 * MS, .flags = ACK, .seq = at(1), .ack = 1, .length = mss);
	advance(250 * MS);
	push_segments(2);
	expect_within(0, 60 * MS, .flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	check(app_stats().timeouts == 1);
}

/* 6.3: nor at one that really is one, whatever the window lets go then. */
static void rfc8985_6_3__what_is_younger_than_a_round_trip_is_not_lost_by_a_timeout(void **state)
{
	time_out_before_young_ones(state);
	check(app_stats().lost_segments == 2);
	check(app_stats().cwnd == mss);
	advance(10 * MS);
	/* They were late. */
	inject(.flags = ACK, .seq = 1, .ack = at(2));
	expect_nothing(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(4));
	expect_nothing(SECOND);
	check(app_stats().retransmissions == 2);
	script_end();
}

/* 6.3 and 6.2: what was not lost by the timeout is found to be later, without another one. */
static void rfc8985_6_3__what_was_younger_may_be_lost_all_the_same(void **state)
{
	time_out_before_young_ones(state);
	advance(RTT_NS + MS);
	inject(.flags = ACK, .seq = 1, .ack = at(2));
	expect_within(0, 30 * MS, .flags = ACK, .seq = at(2), .ack = 1, .length = mss);
	check(app_stats().timeouts == 1);
	script_end_quietly();
}

/* 6.2, step 2: the echo tells that it is the first transmission that came, late. */
static void rfc8985_6_2__an_echo_from_before_the_retransmission_is_not_of_it(void **state)
{
	struct script_options options = {
		.sack = true, .timestamps = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};
	uint32_t first;

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	app_push(6 * mss);
	first = expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss)->timestamp;
	script_skip();
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(4)}},
	       .echo = first);
	expect(.flags = ACK, .seq = at(0), .ack = 1, .length = mss);
	advance(RTT_NS + 5 * MS);
	/* The fifth is missing as well, and has its time: nothing that was sent later has come. */
	inject(.flags = ACK, .seq = 1, .ack = at(4), .sack_count = 1, .sack = {{at(5), at(6)}},
	       .echo = first);
	expect_nothing(10 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(6), .echo = first);
	expect_nothing(SECOND);
	check(app_stats().retransmissions == 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc8985_6_2__a_hole_is_lost_after_the_reordering_window),
		SCRIPT_TEST(rfc8985_6_2__reordering_within_the_window_retransmits_nothing),
		SCRIPT_TEST(rfc8985_6_2__three_segments_above_a_hole_need_no_window),
		SCRIPT_TEST(rfc8985_6_2__reordering_that_was_seen_makes_it_patient),
		SCRIPT_TEST(rfc8985_6_2__a_lost_retransmission_is_sent_again_before_the_timeout),
		SCRIPT_TEST(rfc8985_7_2__the_tail_is_probed_after_two_round_trips),
		SCRIPT_TEST(rfc8985_7_2__a_lone_segment_may_be_acknowledged_late),
		SCRIPT_TEST(rfc8985_7_3__new_data_probes_rather_than_old),
		SCRIPT_TEST(rfc8985_7_3__a_full_window_is_probed_with_old_data),
		SCRIPT_TEST(rfc8985_7_3__one_probe_is_followed_by_the_timeout),
		SCRIPT_TEST(rfc8985_7_4__a_probe_that_arrives_starts_recovery),
		SCRIPT_TEST(rfc8985_7_4__a_loss_that_the_probe_repaired_reduces_the_window),
		SCRIPT_TEST(rfc8985_7_4__a_needless_probe_reduces_nothing),
		SCRIPT_TEST(rfc8985_7_1__without_sack_the_tail_is_not_probed),
		SCRIPT_TEST(rfc8985_6_3__a_timeout_does_not_send_again_what_was_just_sent),
		SCRIPT_TEST(rfc8985_7_3__no_probe_without_a_round_trip_since_the_last),
		SCRIPT_TEST(
			rfc8985_6_3__what_is_younger_than_a_round_trip_is_not_lost_by_a_timeout),
		SCRIPT_TEST(rfc8985_6_3__what_was_younger_may_be_lost_all_the_same),
		SCRIPT_TEST(rfc8985_6_2__an_echo_from_before_the_retransmission_is_not_of_it),
		SCRIPT_TEST(rfc5681_4_3__a_lost_retransmission_reduces_the_window_again),
		SCRIPT_TEST(rfc8985_6_2__reports_of_duplicates_make_it_patient),
		SCRIPT_TEST(rfc8985_6_2__the_least_round_trip_is_of_lately),
		SCRIPT_TEST(rfc8985_7_1__a_timeout_forgets_the_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
