/* SPDX-License-Identifier: MIT */
/* Explicit congestion notification: RFC 3168, 6.1. */
#include "script.h"

#define ECN_MASK 3u
#define ECT_1 1u
#define ECT_0 2u
#define CE 3u

static bool is_ect(const struct segment *segment)
{
	unsigned int bits = segment->traffic_class & ECN_MASK;

	return bits == ECT_0 || bits == ECT_1;
}

static struct script_options with_ecn(void)
{
	struct script_options options = {.ecn = true, .tcp = script_tcp()};

	options.tcp.ecn = true;
	options.tcp.congestion = &tcp_reno;
	return options;
}

static void begin(const void *version, uint64_t rtt_ns)
{
	struct script_options options = with_ecn();

	options.rtt_ns = rtt_ns;
	script_begin(version, &options);
	open_passive();
}

/* ---- The handshake: 6.1.1 ---- */

/* A SYN-ACK grants with ECE alone; neither of both is ECN-capable itself. */
static void rfc3168_6_1_1__a_syn_that_asks_is_granted(void **state)
{
	struct script_options options = with_ecn();
	const struct segment *answer;

	options.tcp.ecn = false; /* granted to who asks */
	script_begin(*state, &options);
	app_listen();
	inject(.flags = SYN | ECE | CWR, .mss = 1460);
	answer = expect(.flags = SYN | ACK | ECE, .ack = 1);
	check((answer->traffic_class & ECN_MASK) == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	app_push(100);
	check(is_ect(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)));
	script_end();
}

static void rfc3168_6_1_1__an_active_open_asks(void **state)
{
	struct script_options options = with_ecn();
	const struct segment *syn;

	script_begin(*state, &options);
	app_connect();
	syn = expect(.flags = SYN | ECE | CWR);
	check((syn->traffic_class & ECN_MASK) == 0);
	inject(.flags = SYN | ACK | ECE, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(100);
	check(is_ect(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)));
	check(app_stats().ecn);
	script_end();
}

/* One that does not ask is not offered it. */
static void rfc3168_6_1_1__a_syn_that_does_not_ask_gets_none(void **state)
{
	static const uint8_t flags[] = {SYN, SYN | ECE, SYN | CWR};
	struct script_options options = with_ecn();

	script_begin(*state, &options);
	app_listen();
	for (uint16_t i = 0; i < COUNT_OF(flags); i++) {
		inject(.flags = flags[i], .mss = 1460, .peer_port = (uint16_t)(6000 + i));
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = (uint16_t)(6000 + i));
	}
	script_end();
}

/* A SYN that comes again without asking: the peer has given it up, and is not to have it. */
static void rfc3168_6_1_1__a_syn_that_asks_no_more_gets_none(void **state)
{
	struct script_options options = with_ecn();

	script_begin(*state, &options);
	app_listen();
	inject(.flags = SYN | ECE | CWR, .mss = 1460);
	expect(.flags = SYN | ACK | ECE, .ack = 1);
	inject(.flags = SYN, .mss = 1460);
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	check(!app_stats().ecn);
	app_push(100);
	check(!is_ect(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)));
	script_end();
}

/* What does not grant it, or reflects all bits, has not understood. */
static void rfc3168_6_1_1__a_syn_ack_that_does_not_grant_ends_it(void **state)
{
	static const uint8_t flags[] = {0, ECE | CWR, CWR};
	struct script_options options = with_ecn();

	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		script_begin(*state, &options);
		app_connect();
		expect(.flags = SYN | ECE | CWR);
		inject(.flags = (uint8_t)(SYN | ACK | flags[i]), .seq = 0, .ack = 1, .mss = 1460);
		expect(.flags = ACK, .seq = 1, .ack = 1);
		app_push(100);
		check((expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)->traffic_class &
		       ECN_MASK) == 0);
		check(!app_stats().ecn);
		script_end();
	}
}

/* 6.1.1.1: there are those who reset what asks. Who does not ask is refused in earnest. */
static void rfc3168_6_1_1_1__a_syn_that_is_reset_is_repeated_without_asking(void **state)
{
	struct script_options options = with_ecn();

	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN | ECE | CWR);
	inject(.flags = RST | ACK, .seq = 0, .ack = 1);
	expect(.flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	check(!app_stats().ecn);
	script_end_quietly();

	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN | ECE | CWR);
	inject(.flags = RST | ACK, .seq = 0, .ack = 1);
	expect(.flags = SYN);
	inject(.flags = RST | ACK, .seq = 0, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == ECONNREFUSED);
	expect_nothing(5 * SECOND);
	script_end();
}

/* 6.1.1.1: nor is one asked again that has been lost, with what comes behind. */
static void rfc3168_6_1_1_1__a_syn_that_nobody_answers_is_repeated_without_asking(void **state)
{
	struct script_options options = with_ecn();

	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN | ECE | CWR);
	expect_within(900 * MS, 1100 * MS, .flags = SYN);
	expect_within(1900 * MS, 2100 * MS, .flags = SYN);
	script_end_quietly();
}

/* ---- As the receiver: 6.1.3 ---- */

/* ECE on every acknowledgment from a mark until CWR. */
static void rfc3168_6_1_3__a_mark_is_echoed_until_cwr(void **state)
{
	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 201);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 301);
	inject(.flags = ACK | CWR, .seq = 301, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 401);
	inject(.flags = ACK, .seq = 401, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 501);
	script_end();
}

/* A mark on the very segment that has CWR begins anew. */
static void rfc3168_6_1_3__a_mark_with_cwr_is_echoed(void **state)
{
	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 101);
	inject(.flags = ACK | CWR, .seq = 101, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 201);
	script_end();
}

/* Text that we send echoes it as well. */
static void rfc3168_6_1_3__our_text_echoes_a_mark(void **state)
{
	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 101);
	app_push(50);
	expect(.flags = ACK | ECE, .seq = 1, .ack = 101, .length = 50);
	script_end();
}

/* 6.1.5: a mark on what was received before, or goes beyond the window, may be anybody's. */
static void rfc3168_6_1_5__a_mark_outside_of_the_window_is_not_echoed(void **state)
{
	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = CE);
	expect(.flags = ACK, .seq = 1, .ack = 101);
	script.allows_beyond_window = true;
	inject(.flags = ACK, .seq = 101 + 4000000, .ack = 1, .length = 100, .garbage = true,
	       .traffic_class = CE);
	expect(.flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	script_end();
}

/* ---- As the receiver with DCTCP: RFC 8257, 3.2 ---- */

static void begin_dctcp(const void *version)
{
	struct script_options options = with_ecn();

	options.tcp.congestion = &tcp_dctcp;
	script_begin(version, &options);
	open_passive();
}

/* ECE is that of the last segment; nobody waits for CWR. */
static void rfc8257_3_2__an_echo_is_of_the_last_segment(void **state)
{
	begin_dctcp(*state);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 201);
	/* CWR neither begins nor ends anything. */
	inject(.flags = ACK | CWR, .seq = 201, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK | ECE, .seq = 1, .ack = 301);
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100, .traffic_class = ECT_0);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 401);
	script_end();
}

/* 100 bytes without a mark from @seq on are answered: acknowledgments of what follows wait. */
static void answer(uint32_t seq)
{
	uint32_t ack = script_flow(0, 0)->host_sent;

	script.app.answers_bytes = 50;
	inject(.flags = ACK, .seq = seq, .ack = ack, .length = 100, .traffic_class = ECT_0);
	expect(.flags = ACK, .seq = ack, .ack = seq + 100, .length = 50);
	script.app.answers_bytes = 0;
}

/* What waits for its acknowledgment when the mark changes has it at once, with the echo of before; so has
 * the change, though its text may wait for an answer. */
static void rfc8257_3_2__a_change_is_acknowledged_at_once(void **state)
{
	begin_dctcp(*state);
	answer(1);
	inject(.flags = ACK, .seq = 101, .ack = 51, .length = 100, .traffic_class = ECT_0);
	expect_nothing(5 * MS);
	inject(.flags = ACK, .seq = 201, .ack = 51, .length = 100, .traffic_class = CE);
	expect(.flags = ACK, .seq = 51, .ack = 201);
	expect(.flags = ACK | ECE, .seq = 51, .ack = 301);
	/* Also where nothing waits. */
	answer(301);
	inject(.flags = ACK, .seq = 401, .ack = 101, .length = 100, .traffic_class = CE);
	expect(.flags = ACK | ECE, .seq = 101, .ack = 501);
	script_end();
}

/* 6.1.4: acknowledgments alone are not ECN-capable. */
static void rfc3168_6_1_4__acks_are_not_capable(void **state)
{
	const struct segment *ack;

	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = ECT_0);
	ack = expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check((ack->traffic_class & ECN_MASK) == 0);
	script_end();
}

/* Where it was not negotiated a mark says nothing. */
static void rfc3168_6_1_3__without_negotiation_a_mark_is_not_echoed(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .traffic_class = CE);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	script_end();
}

/* ---- As the sender: 6.1.2 ---- */

/* ECE: the window is halved as for a loss, nothing is sent again, and new text has CWR once. */
static void rfc3168_6_1_2__an_echo_reduces_the_window_and_is_confirmed(void **state)
{
	uint32_t mss, before;
	const struct segment *segment;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(8);
	advance(20 * MS);
	before = app_stats().cwnd;
	inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + 4 * mss);
	inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + 8 * mss);
	check(app_stats().ssthresh < before);
	app_push(100);
	segment = expect(.ignore = ANY_FLAGS, .seq = 1 + 8 * mss, .ack = 1, .length = 100);
	check(segment->flags & CWR);
	check(is_ect(segment));
	app_push(100);
	segment = expect(.ignore = ANY_FLAGS, .seq = 101 + 8 * mss, .ack = 1, .length = 100);
	check(!(segment->flags & CWR));
	check(app_stats().retransmissions == 0);
	check(app_stats().cwnd <= before);
	check(app_stats().marks >= 1);
	script_end();
}

/* Once a round trip: further echoes of the same window reduce it no more. */
static void rfc3168_6_1_2__echoes_of_one_window_reduce_once(void **state)
{
	uint32_t mss, threshold;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(10);
	advance(20 * MS);
	inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + mss);
	threshold = app_stats().ssthresh;
	check(threshold <= 5 * mss);
	for (uint32_t i = 2; i <= 9; i++)
		inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + i * mss);
	check(app_stats().ssthresh == threshold);
	check(app_stats().cwnd >= threshold - mss);
	script_end();
}

/* 6.1.5: what is sent again is not ECN-capable. */
static void rfc3168_6_1_5__retransmissions_are_not_capable(void **state)
{
	const struct segment *again;

	begin(*state, 0);
	app_push(100);
	check(is_ect(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)));
	again = script_next(2 * SECOND);
	check(again && again->seq == 1 && again->length == 100);
	check((again->traffic_class & ECN_MASK) == 0);
	script_end();
}

/* 6.1.6: nor is a probe of a shut window. */
static void rfc3168_6_1_6__window_probes_are_not_capable(void **state)
{
	const struct segment *probe;

	begin(*state, 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(100);
	probe = script_next(3 * SECOND);
	check(probe);
	check((probe->traffic_class & ECN_MASK) == 0);
	script_end();
}

/* Without negotiation its bits in an acknowledgment say nothing. */
static void rfc3168_6_1_2__without_negotiation_an_echo_is_ignored(void **state)
{
	uint32_t mss, before;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	push_segments(6);
	before = app_stats().cwnd;
	inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + 6 * mss);
	check(app_stats().cwnd >= before);
	app_push(100);
	check(!(expect(.flags = ACK, .seq = 1 + 6 * mss, .ack = 1, .length = 100)->flags & CWR));
	script_end();
}

/* The rest of the class is the application's. */
static void rfc3168_5__the_traffic_class_keeps_its_other_bits(void **state)
{
	const struct segment *segment;

	begin(*state, 0);
	app_settings()->traffic_class = 0xb8;
	script_touch();
	tcp_settings_changed(script.app.conn);
	app_push(100);
	segment = expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	check((segment->traffic_class & 0xfc) == 0xb8 && is_ect(segment));
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc3168_6_1_1__a_syn_that_asks_is_granted),
		SCRIPT_TEST(rfc3168_6_1_1__an_active_open_asks),
		SCRIPT_TEST(rfc3168_6_1_1__a_syn_that_does_not_ask_gets_none),
		SCRIPT_TEST(rfc3168_6_1_1__a_syn_ack_that_does_not_grant_ends_it),
		SCRIPT_TEST(rfc3168_6_1_3__a_mark_is_echoed_until_cwr),
		SCRIPT_TEST(rfc3168_6_1_3__a_mark_with_cwr_is_echoed),
		SCRIPT_TEST(rfc3168_6_1_3__our_text_echoes_a_mark),
		SCRIPT_TEST(rfc3168_6_1_4__acks_are_not_capable),
		SCRIPT_TEST(rfc3168_6_1_3__without_negotiation_a_mark_is_not_echoed),
		SCRIPT_TEST(rfc3168_6_1_2__an_echo_reduces_the_window_and_is_confirmed),
		SCRIPT_TEST(rfc3168_6_1_2__echoes_of_one_window_reduce_once),
		SCRIPT_TEST(rfc3168_6_1_5__retransmissions_are_not_capable),
		SCRIPT_TEST(rfc3168_6_1_6__window_probes_are_not_capable),
		SCRIPT_TEST(rfc3168_6_1_2__without_negotiation_an_echo_is_ignored),
		SCRIPT_TEST(rfc3168_5__the_traffic_class_keeps_its_other_bits),
		SCRIPT_TEST(rfc3168_6_1_1_1__a_syn_that_is_reset_is_repeated_without_asking),
		SCRIPT_TEST(rfc3168_6_1_1_1__a_syn_that_nobody_answers_is_repeated_without_asking),
		SCRIPT_TEST(rfc3168_6_1_1__a_syn_that_asks_no_more_gets_none),
		SCRIPT_TEST(rfc3168_6_1_5__a_mark_outside_of_the_window_is_not_echoed),
		SCRIPT_TEST(rfc8257_3_2__an_echo_is_of_the_last_segment),
		SCRIPT_TEST(rfc8257_3_2__a_change_is_acknowledged_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
