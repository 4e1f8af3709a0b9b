/* SPDX-License-Identifier: MIT */
/* The path's MTU: RFC 1191, 8201, 4821; RFC 5927, 7 on who lies about it; RFC 9293, 3.7.2. */
#include "script.h"

#include "net/autoconf.h"
#include "wire/ndp.h"

#define SMALL_MTU 1300u

static uint32_t headers(void)
{
	return script.is_v6 ? 60 : 40;
}

/* Everything from @seq up to @end is heard, in segments no longer than @longest, in any order. */
static void expect_all(uint32_t seq, uint32_t end, uint32_t longest, uint64_t within_ns)
{
	static bool arrived[32768];
	uint64_t until_ns = script_now() + within_ns;

	assert_true(end <= COUNT_OF(arrived));
	memset(arrived, 0, sizeof(arrived));
	while (seq < end) {
		const struct segment *segment = script_next(
			until_ns > script_now() ? until_ns - script_now() : 0);

		if (!segment)
			script_fail(__FILE__, __LINE__, "not all was sent again", NULL);
		check(segment->length <= longest);
		check(segment->seq + segment->length <= end);
		for (uint32_t i = 0; i < segment->length; i++)
			arrived[segment->seq + i] = true;
		while (seq < end && arrived[seq])
			seq++;
		/* The window after a loss may be small. */
		if (seq < end)
			inject(.flags = ACK, .seq = 1, .ack = seq);
	}
}

/* RFC 1191, 6.4; RFC 8201, 5.4: what was too big is sent again at once, in smaller pieces. */
static void rfc1191_6_4__what_was_too_big_is_sent_again_at_once(void **state)
{
	const struct segment *again;
	uint32_t small;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	small = SMALL_MTU - headers();
	push_segments(3);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	again = script_next(PROMPT_NS);
	check(again && again->seq == 1 && again->length == small);
	inject(.flags = ACK, .seq = 1, .ack = 1 + small);
	expect_all(1 + small, 1 + 3 * script_mss(), small, SECOND);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 3 * script_mss());
	check(app_pushed() == 1);
	script_end_quietly();
}

/* New text is cut to the new size from then on. */
static void rfc1191_3__later_segments_fit_the_lowered_mtu(void **state)
{
	uint32_t small, mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	small = SMALL_MTU - headers();
	mss = script_mss();
	push_segments(1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	app_push(2 * small + 10);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = small);
	expect(.flags = ACK, .seq = 1 + mss + small, .ack = 1, .length = small);
	expect(.flags = ACK, .seq = 1 + mss + 2 * small, .ack = 1, .length = 10);
	script_end();
}

/* With timestamps their bytes come off as well. */
static void rfc1191_6_3__options_count_against_the_lowered_mtu(void **state)
{
	uint32_t small, mss;

	script_begin(*state, &(struct script_options){.timestamps = true});
	open_passive();
	small = SMALL_MTU - headers() - 12;
	mss = script_mss();
	push_segments(1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	app_push(2000);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = small);
	script_skip();
	script_end_quietly();
}

/* By the timer too: retransmissions do not keep their old boundaries. */
static void rfc1191_6_4__retransmissions_by_the_timer_are_cut_anew(void **state)
{
	uint32_t small, mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	small = SMALL_MTU - headers();
	mss = script_mss();
	push_segments(2);
	/* What is said about the second concerns the first as well. */
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1 + mss);
	advance(2 * SECOND);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	expect_all(1, 1 + 2 * mss, small, 20 * SECOND);
	script_end_quietly();
}

/* RFC 1191, 6.4: the routers drop, no congestion does: the window is not reduced for that. */
static void rfc1191_6_4__it_is_no_sign_of_congestion(void **state)
{
	struct script_options options = {.tcp = script_tcp()};
	uint32_t before;

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	push_segments(3);
	before = app_stats().cwnd;
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	/* In segments of the new size, that is: RFC 5681 counts in these. */
	check(app_stats().cwnd >= before * (SMALL_MTU - headers()) / script_mss() - SMALL_MTU);
	check(app_stats().ssthresh > before);
	script_end_quietly();
}

/* ---- Lies: RFC 5927, 7.2; RFC 1191, 3; RFC 8201, 4 ---- */

/* About a number that is not under way. */
static void rfc5927_7_2__a_number_that_is_not_under_way_is_not_believed(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	push_segments(1);
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	push_segments(2);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1 + 3 * mss);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 0x40000000);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 0x80000000);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 3 * mss);
	push_segments(2);
	script_end();
}

/* About ports that are not the connection's. */
static void rfc5927_7_2__ports_that_are_not_ours_are_not_believed(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	push_segments(1);
	script_flow(4001, 0)->host_iss = script_flow(0, 0)->host_iss;
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1, .peer_port = 4001);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + script_mss());
	push_segments(2);
	script_end();
}

/* It is never raised by a message. */
static void rfc1191_3__a_larger_mtu_is_not_believed(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){.mss = 8960});
	open_passive();
	mss = 1500 - headers();
	app_push(2 * mss);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = mss);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 9000, .seq = 1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 1500, .seq = 1);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss);
	app_push(mss + 1);
	expect(.flags = ACK, .seq = 1 + 2 * mss, .ack = 1, .length = mss);
	expect(.flags = ACK, .seq = 1 + 3 * mss, .ack = 1, .length = 1);
	script_end();
}

/* RFC 8201, 4: below 1280 nothing is believed; of IPv4 RFC 1191, 3 and RFC 9293, 3.7.1: no crumbs. */
static void rfc8201_4__a_tiny_mtu_does_not_make_crumbs(void **state)
{
	const struct segment *segment;
	uint32_t mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	push_segments(2);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 68, .seq = 1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 296, .seq = 1);
	advance(20 * MS);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss);
	app_push(5000);
	segment = script_next(PROMPT_NS);
	check(segment);
	if (script.is_v6)
		check(segment->length == mss);
	else
		check(segment->length >= 200);
	script_end_quietly();
}

/* RFC 1191, 5 and 7.1: an old router says nothing: the next lower plateau. */
static void rfc1191_5__an_old_router_lowers_to_a_plateau_v4(void **state)
{
	const struct segment *again;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	push_segments(2);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 0, .seq = 1, .quoted_length = 1460);
	again = script_next(PROMPT_NS);
	check(again && again->seq == 1 && again->length < 1460 && again->length >= 500);
	script_end_quietly();
}

/* ---- Afterwards ---- */

/* The handshake still offers what our link can receive: RFC 9293, 3.7.1, MUST-67. */
static void rfc9293_3_7_1__a_lowered_path_does_not_lower_our_offer(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	push_segments(1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	inject(.flags = SYN, .mss = 1460, .peer_port = 4001);
	expect(.flags = SYN | ACK, .ack = 1, .peer_port = 4001,
	       .mss = (uint16_t)(1500 - headers()));
	script_end_quietly();
}

/* What is known of the path is known to the next connection. */
static void rfc1191_3__the_next_connection_knows_the_path(void **state)
{
	uint32_t small;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	small = SMALL_MTU - headers();
	push_segments(1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	inject(.flags = RST, .seq = 1);
	script_touch();
	tcp_close(script.app.conn, false);
	script.app.conn = NULL;
	script_renew(0, 0, PEER_ISS + 100000);
	open_passive();
	app_push(2000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = small);
	script_skip();
	script_end_quietly();
}

/* RFC 1191, 6.3; RFC 8201, 4: not tried again within five minutes. */
static void rfc1191_6_3__a_larger_size_is_not_tried_within_five_minutes(void **state)
{
	uint32_t small, sent, acked;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	small = SMALL_MTU - headers();
	push_segments(1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = SMALL_MTU, .seq = 1);
	script_skip();
	acked = 1 + script_mss();
	inject(.flags = ACK, .seq = 1, .ack = acked);
	for (unsigned int minute = 0; minute < 4; minute++) {
		advance(60 * SECOND);
		app_push(2000);
		advance(PROMPT_NS);
		while (script.heard_next < script.heard_count)
			check(script_next(0)->length <= small);
		sent = script_flow(0, 0)->host_sent;
		check(sent == acked + 2000);
		inject(.flags = ACK, .seq = 1, .ack = sent);
		acked = sent;
	}
	script_end_quietly();
}

/* RFC 4821, 7.7; RFC 2923, 2.1: routers that drop and say nothing. */
static void rfc4821_7_7__a_black_hole_is_found_out(void **state)
{
	uint32_t acked = 1, end;
	uint64_t until_ns;

	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	app_push(20000);
	end = 20001;
	/* What is longer than 1,100 bytes never arrives; all else does, in order. */
	until_ns = script_now() + 90 * SECOND;
	while (acked < end && script_now() < until_ns) {
		const struct segment *segment = script_next(10 * SECOND);

		if (!segment || segment->length > 1100)
			continue;
		if (segment->seq <= acked && segment->seq + segment->length > acked)
			acked = segment->seq + segment->length;
		inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	check(acked == end);
	check(app_pushed() == 1);
	script_end_quietly();
}

/* RFC 9293, 3.7.1: a small link has a small MSS. */
static void rfc9293_3_7_1__segments_fit_a_small_link(void **state)
{
	script_begin(*state, &(struct script_options){.mtu = 1280});
	open_passive();
	push_segments(3);
	script_end();
}

/* A router says so while the stack runs. */
static void advertise_mtu(uint32_t mtu)
{
	const struct ip_address router = ip_address_v6_halves(0xfe80000000000000, 3);
	const struct ndp_message message = {.has_mtu = true, .mtu = mtu};

	script.host->net->options.autoconf = true;
	autoconf_router(script.host->net, &router, &message);
}

/* RFC 4861, 6.3.4: of IPv6's segments, those of connections that are there too. */
static void rfc4861_6_3_4__an_advertised_mtu_is_of_ipv6_alone(void **state)
{
	uint32_t mss = *state == SCRIPT_V6 ? 1280 - 60 : 1500 - 40;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	push_segments(2);
	advertise_mtu(1280);
	app_push(2 * mss);
	expect(.flags = ACK, .seq = 1 + 2 * script_mss(), .ack = 1, .length = mss);
	expect(.flags = ACK, .seq = 1 + 2 * script_mss() + mss, .ack = 1, .length = mss);
	script_end_quietly();
}

/* RFC 9293, 3.7.1: what is offered is what the link carries of that version. */
static void rfc4861_6_3_4__the_mss_offered_follows_the_advertised_mtu(void **state)
{
	uint16_t mss = *state == SCRIPT_V6 ? 1280 - 60 : 1500 - 40;

	script_begin(*state, &(struct script_options){0});
	advertise_mtu(1280);
	app_connect();
	expect(.flags = SYN, .mss = mss);
	script_end_quietly();
}

static void rfc4861_6_3_4__so_does_that_of_a_syn_cookie(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.syn_backlog_max = 1;
	script_begin(*state, &options);
	advertise_mtu(1280);
	app_listen();
	for (uint16_t i = 0; i < 2; i++) {
		inject(.flags = SYN, .mss = 1460, .peer_port = (uint16_t)(20000 + i));
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = (uint16_t)(20000 + i),
		       .mss = *state == SCRIPT_V6 ? 1280 - 60 : 1500 - 40);
	}
	check(script_counts().cookies_sent == 1);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc1191_6_4__what_was_too_big_is_sent_again_at_once),
		SCRIPT_TEST(rfc1191_3__later_segments_fit_the_lowered_mtu),
		SCRIPT_TEST(rfc1191_6_3__options_count_against_the_lowered_mtu),
		SCRIPT_TEST(rfc1191_6_4__retransmissions_by_the_timer_are_cut_anew),
		SCRIPT_TEST(rfc1191_6_4__it_is_no_sign_of_congestion),
		SCRIPT_TEST(rfc5927_7_2__a_number_that_is_not_under_way_is_not_believed),
		SCRIPT_TEST(rfc5927_7_2__ports_that_are_not_ours_are_not_believed),
		SCRIPT_TEST(rfc1191_3__a_larger_mtu_is_not_believed),
		SCRIPT_TEST(rfc8201_4__a_tiny_mtu_does_not_make_crumbs),
		SCRIPT_TEST_V4(rfc1191_5__an_old_router_lowers_to_a_plateau_v4),
		SCRIPT_TEST(rfc9293_3_7_1__a_lowered_path_does_not_lower_our_offer),
		SCRIPT_TEST(rfc1191_3__the_next_connection_knows_the_path),
		SCRIPT_TEST(rfc1191_6_3__a_larger_size_is_not_tried_within_five_minutes),
		SCRIPT_TEST(rfc4821_7_7__a_black_hole_is_found_out),
		SCRIPT_TEST(rfc9293_3_7_1__segments_fit_a_small_link),
		SCRIPT_TEST(rfc4861_6_3_4__an_advertised_mtu_is_of_ipv6_alone),
		SCRIPT_TEST(rfc4861_6_3_4__the_mss_offered_follows_the_advertised_mtu),
		SCRIPT_TEST(rfc4861_6_3_4__so_does_that_of_a_syn_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
