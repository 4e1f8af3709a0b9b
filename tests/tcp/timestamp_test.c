/* SPDX-License-Identifier: MIT */
/* Timestamps: RFC 7323, 3, 4, 5. That each segment has one, or none, is checked of all. */
#include "script.h"

static const struct script_options with_timestamps = {.timestamps = true};

/* ---- Negotiation: 3.2 ---- */

static void rfc7323_3_2__a_syn_offers_a_timestamp_and_echoes_nothing(void **state)
{
	const struct segment *syn;

	script_begin(*state, &with_timestamps);
	app_connect();
	syn = expect(.flags = SYN);
	check(syn->has_timestamp);
	check(syn->echo == 0);
	script_end();
}

static void rfc7323_3_2__a_syn_ack_echoes_the_syns_timestamp(void **state)
{
	const struct segment *answer;

	script_begin(*state, &with_timestamps);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = 123456);
	answer = expect(.flags = SYN | ACK, .ack = 1, .has_timestamp = true);
	check(answer->echo == 123456);
	script_end();
}

static void rfc7323_3_2__a_syn_without_timestamp_gets_none(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	/* That it has none is checked of every segment. */
	pass_data(2, 0);
	inject(.flags = ACK, .seq = 1, .ack = 201, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 201, .ack = 11);
	script_end();
}

/* An active opener that is answered without sends none from then on. */
static void rfc7323_3_2__a_syn_ack_without_timestamp_ends_them(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_active();
	check(script_flow(0, 0)->host_timestamps && !script_flow(0, 0)->peer_timestamps);
	pass_data(1, 0);
	check(!app_stats().timestamps);
	script_end();
}

static void rfc7323_3_2__they_can_be_turned_off(void **state)
{
	struct net_tcp_options tcp = script_tcp();

	tcp.timestamps = false;
	script_begin(*state, &(struct script_options){.timestamps = true, .tcp = tcp});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = 1);
	check(!expect(.flags = SYN | ACK, .ack = 1)->has_timestamp);
	script_end();
}

/* Once negotiated, a segment without one is dropped. */
static void rfc7323_3_2__a_segment_without_timestamp_is_dropped(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .no_timestamp = true);
	while (script_next(DELAYED_NS))
		;
	check(script.app.received == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	script_end();
}

static void rfc7323_3_2__a_reset_needs_no_timestamp(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = RST, .seq = 1, .no_timestamp = true);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	script_end();
}

/* Resets of a connection have one as well. */
static void rfc7323_3_2__a_reset_has_a_timestamp(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 7000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	app_linger_zero();
	app_close();
	check(expect(.flags = RST | ACK, .seq = 1, .ack = 101, .has_timestamp = true)->echo ==
	      7000);
	script_end();
}

/* One that was not negotiated is not looked at: the segment counts. */
static void rfc7323_3_2__a_timestamp_that_was_not_negotiated_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .has_timestamp = true,
	       .timestamp = 99);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .has_timestamp = true,
	       .timestamp = 1);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

/* ---- Which one to echo: 4.3 ---- */

static void rfc7323_4_3__the_echo_is_of_the_segment_that_advances(void **state)
{
	const struct segment *ack;

	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 7000);
	ack = expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(ack->echo == 7000);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 7100);
	ack = expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	check(ack->echo == 7100);
	script_end();
}

/* (3): with a gap it is that of the last one in order; filled, of what has filled it. */
static void rfc7323_4_3__the_echo_beside_a_gap_is_of_the_last_in_order(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 7000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100, .timestamp = 7200);
	check(expect(.flags = ACK, .seq = 1, .ack = 101)->echo == 7000);
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100, .timestamp = 7300);
	check(expect(.flags = ACK, .seq = 1, .ack = 101)->echo == 7000);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 7400);
	check(expect(.flags = ACK, .seq = 1, .ack = 401)->echo == 7400);
	script_end();
}

/* (2): of several that wait for one acknowledgment the first: the delay is part of it. */
static void rfc7323_4_3__a_delayed_ack_echoes_the_first_segment(void **state)
{
	const struct segment *ack;

	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10, .timestamp = 7000);
	inject(.flags = ACK, .seq = 11, .ack = 1, .length = 10, .timestamp = 7001);
	ack = script_next(DELAYED_NS);
	check(ack);
	/* It may have been sent for each. */
	check(ack->ack == 11 || ack->ack == 21);
	check(ack->echo == 7000);
	script_end_quietly();
}

/* ---- PAWS: 5.3 ---- */

/* R1: an older one is acknowledged, and dropped. */
static void rfc7323_5_3__a_segment_with_an_older_timestamp_is_dropped(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 90000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 89999,
	       .garbage = true);
	expect(.flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1, .timestamp = 80000);
	expect(.flags = ACK, .seq = 1, .ack = 101);
	check(script.app.ends == 0);
	/* An equal one is not older. */
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 90000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

/* An older one's acknowledgment counts neither. */
static void rfc7323_5_3__an_ack_with_an_older_timestamp_is_dropped(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 90000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 101, .length = 100);
	inject(.flags = ACK, .seq = 101, .ack = 101, .length = 10, .timestamp = 80000,
	       .garbage = true);
	advance(MS);
	script_skip();
	check(app_pushed() == 0);
	inject(.flags = ACK, .seq = 101, .ack = 101, .timestamp = 90001);
	advance(MS);
	check(app_pushed() == 1);
	script_end();
}

/* 5.3: a reset is not subject to it. */
static void rfc7323_5_3__a_reset_with_an_older_timestamp_is_taken(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 90000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = RST, .seq = 101, .has_timestamp = true, .timestamp = 5);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	script_end();
}

/* Timestamps are compared modulo 2^32. */
static void rfc7323_5_2__timestamps_wrap(void **state)
{
	script_begin(*state, &with_timestamps);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = 0xfffffff0);
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .timestamp = 0xfffffff8);
	app_accept();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 0xffffffff);
	check(expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101)->echo == 0xffffffff);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 5);
	check(expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201)->echo == 5);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100, .timestamp = 0xfffffffe,
	       .garbage = true);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

/* 5.5: after 24 days of silence the last one says nothing any more. */
static void rfc7323_5_5__a_timestamp_of_24_days_ago_is_not_compared_with(void **state)
{
	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 0x70000000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	advance(26 * 86400 * SECOND);
	script_skip();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .timestamp = 0x6fffff00);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

/* ---- Our clock: 5.4 ---- */

/* One tick a second at least, one a millisecond at most; it never goes back. */
static void rfc7323_5_4__our_clock_ticks_between_1_ms_and_1_s(void **state)
{
	uint32_t first, before, after = 0;

	script_begin(*state, &with_timestamps);
	open_passive();
	inject(.flags = ACK, .seq = 0, .ack = 1);
	first = before = expect(.flags = ACK, .seq = 1, .ack = 1)->timestamp;
	for (unsigned int i = 0; i < 20; i++) {
		advance(SECOND);
		inject(.flags = ACK, .seq = 0, .ack = 1);
		after = expect(.flags = ACK, .seq = 1, .ack = 1)->timestamp;
		check((int32_t)(after - before) >= 1);
		before = after;
	}
	check(after - first >= 19 && after - first <= 20100);
	script_end();
}

/* 5.4, 7.1 (SHOULD): connections have clocks of their own offset. */
static void rfc7323_7_1__connections_have_different_clocks(void **state)
{
	uint32_t timestamps[3];

	script_begin(*state, &with_timestamps);
	app_listen();
	for (uint16_t i = 0; i < 3; i++) {
		uint16_t port = (uint16_t)(6000 + i);

		inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = 1,
		       .peer_port = port);
		timestamps[i] = expect(.flags = SYN | ACK, .ack = 1, .peer_port = port)->timestamp;
	}
	check(timestamps[1] - timestamps[0] > 10);
	check(timestamps[2] - timestamps[1] > 10);
	check(timestamps[1] - timestamps[0] != timestamps[2] - timestamps[1]);
	script_end();
}

/* ---- Round trips: 4.1 ---- */

/* The echo tells the round trip of a retransmission too. */
static void rfc7323_4_1__a_retransmission_is_measured_by_its_echo(void **state)
{
	const struct segment *again;
	uint32_t echo;

	script_begin(*state, &(struct script_options){.timestamps = true, .rtt_ns = 100 * MS});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	again = expect_within(200 * MS, 400 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	echo = again->timestamp;
	advance(100 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 101, .echo = echo);
	/* About 100 ms, as before: certainly not the 400 since the first transmission. */
	check(app_stats().srtt_ns > 80 * MS && app_stats().srtt_ns < 130 * MS);
	check(app_pushed() == 1);
	script_end();
}

/* A lie about the echo does no harm: 4.1, RFC 7323, 7. */
static void rfc7323_7__an_echo_that_was_never_sent_makes_no_sample(void **state)
{
	script_begin(*state, &(struct script_options){.timestamps = true, .rtt_ns = 10 * MS});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	advance(10 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 101, .echo = script_flow(0, 0)->host_echo + 1000000);
	check(app_stats().srtt_ns < SECOND);
	app_push(100);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 201, .echoes_nothing = true);
	advance(MS);
	check(app_pushed() == 2);
	check(app_stats().srtt_ns < 10 * SECOND);
	check(app_stats().rto_ns <= 60 * SECOND);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc7323_3_2__a_syn_offers_a_timestamp_and_echoes_nothing),
		SCRIPT_TEST(rfc7323_3_2__a_syn_ack_echoes_the_syns_timestamp),
		SCRIPT_TEST(rfc7323_3_2__a_syn_without_timestamp_gets_none),
		SCRIPT_TEST(rfc7323_3_2__a_syn_ack_without_timestamp_ends_them),
		SCRIPT_TEST(rfc7323_3_2__they_can_be_turned_off),
		SCRIPT_TEST(rfc7323_3_2__a_segment_without_timestamp_is_dropped),
		SCRIPT_TEST(rfc7323_3_2__a_reset_needs_no_timestamp),
		SCRIPT_TEST(rfc7323_3_2__a_timestamp_that_was_not_negotiated_is_ignored),
		SCRIPT_TEST(rfc7323_4_3__the_echo_is_of_the_segment_that_advances),
		SCRIPT_TEST(rfc7323_4_3__the_echo_beside_a_gap_is_of_the_last_in_order),
		SCRIPT_TEST(rfc7323_4_3__a_delayed_ack_echoes_the_first_segment),
		SCRIPT_TEST(rfc7323_5_3__a_segment_with_an_older_timestamp_is_dropped),
		SCRIPT_TEST(rfc7323_5_3__an_ack_with_an_older_timestamp_is_dropped),
		SCRIPT_TEST(rfc7323_5_3__a_reset_with_an_older_timestamp_is_taken),
		SCRIPT_TEST(rfc7323_5_2__timestamps_wrap),
		SCRIPT_TEST(rfc7323_5_5__a_timestamp_of_24_days_ago_is_not_compared_with),
		SCRIPT_TEST(rfc7323_5_4__our_clock_ticks_between_1_ms_and_1_s),
		SCRIPT_TEST(rfc7323_7_1__connections_have_different_clocks),
		SCRIPT_TEST(rfc7323_4_1__a_retransmission_is_measured_by_its_echo),
		SCRIPT_TEST(rfc7323_7__an_echo_that_was_never_sent_makes_no_sample),
		SCRIPT_TEST(rfc7323_3_2__a_reset_has_a_timestamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
