/* SPDX-License-Identifier: MIT */
/* Options of segments and of IP: RFC 9293, 3.1, 3.2, 3.7.1; RFC 6691; RFC 7323, 2.2; RFC 2018, 2. */
#include "script.h"

#define OPTIONS(...)                               \
	.options = (const uint8_t[]){__VA_ARGS__}, \
	.option_bytes = sizeof((const uint8_t[]){__VA_ARGS__})

/* ---- The maximum segment size: 3.7.1 ---- */

/* MUST-15: without an offer 536 or 1220. */
static void rfc9293_3_7_1__without_an_mss_the_default_is_sent(void **state)
{
	script_begin(*state, &(struct script_options){.no_mss = true});
	open_passive();
	app_push(3000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = script.is_v6 ? 1220 : 536);
	script_skip();
	script_end_quietly();
}

static void rfc9293_3_7_1__a_syn_ack_without_an_mss_means_the_default(void **state)
{
	script_begin(*state, &(struct script_options){.no_mss = true});
	open_active();
	app_push(3000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = script.is_v6 ? 1220 : 536);
	script_skip();
	script_end_quietly();
}

/* MUST-16: no more than the peer's. */
static void rfc9293_3_7_1__the_peers_mss_is_kept(void **state)
{
	script_begin(*state, &(struct script_options){.mss = 700});
	open_passive();
	push_segments(4);
	script_end();
}

/* Nor than our own link carries, whatever the peer offers. */
static void rfc9293_3_7_1__an_mss_beyond_our_link_is_not_used(void **state)
{
	script_begin(*state, &(struct script_options){.mss = 8960});
	open_passive();
	app_push(20000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = script.is_v6 ? 1440 : 1460);
	script_skip();
	script_end_quietly();
}

/* SHLD-5, MUST-67; RFC 6691, 2: our offer is the link's, without IP's and TCP's fixed headers. */
static void rfc6691_2__our_mss_takes_no_options_off(void **state)
{
	script_begin(*state, &(struct script_options){.timestamps = true});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = 1);
	expect(.flags = SYN | ACK, .ack = 1, .mss = script.is_v6 ? 1440 : 1460);
	script_end();
}

static void rfc6691_2__our_mss_is_that_of_the_link(void **state)
{
	script_begin(*state, &(struct script_options){.mtu = 1300});
	app_connect();
	expect(.flags = SYN, .mss = script.is_v6 ? 1240 : 1260);
	script_end();
}

/* RFC 6691, 2: options that are sent come off the payload. */
static void rfc6691_2__timestamps_come_off_the_payload(void **state)
{
	script_begin(*state, &(struct script_options){.timestamps = true, .mss = 1000});
	open_passive();
	check(script_mss() == 988);
	push_segments(3);
	script_end();
}

/* A segment that offers next to nothing does not make us send headers for ever. */
static void rfc9293_3_7_1__a_silly_mss_is_survived(void **state)
{
	uint32_t acked = 1;

	script_begin(*state, &(struct script_options){.mss = 1});
	open_passive();
	app_push(2000);
	for (unsigned int i = 0; i < 3000 && !app_pushed(); i++) {
		const struct segment *segment = script_next(2 * SECOND);

		check(segment && segment->length >= 1);
		if (segment->seq + segment->length > acked)
			acked = segment->seq + segment->length;
		if (script.heard_next == script.heard_count)
			inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	check(app_pushed() == 1);
	script_end();
}

/* The application's own bound, both ways. */
static void rfc9293_3_7_1__the_applications_mss_bounds_both_ways(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_open();
	app_settings()->mss_max = 600;
	tcp_settings_changed(script.app.conn);
	check(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT) == 0);
	expect(.flags = SYN, .mss = 600);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(1500);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 600);
	expect(.flags = ACK, .seq = 601, .ack = 1, .length = 600);
	script_skip();
	script_end_quietly();
}

/* SHLD-28: as large as they may be, and the rest. */
static void rfc9293_3_9_1_2__a_large_push_goes_in_full_segments(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	app_push(2 * mss + 100);
	check(!(expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss)->flags & FIN));
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = mss);
	/* MUST-61: the last one says so. */
	check(expect(.flags = ACK, .seq = 1 + 2 * mss, .ack = 1, .length = 100)->flags & PSH);
	script_end();
}

/* MUST-65 as the receiver: an MSS on another segment says nothing. */
static void rfc9293_3_7_1__an_mss_on_another_segment_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, OPTIONS(2, 4, 0, 100));
	push_segments(2);
	script_end();
}

/* RFC 7323, 2.2: nor a scale. */
static void rfc7323_2_2__a_scale_on_another_segment_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){.scaling = true, .shift = 0, .window = 2000});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 2000, OPTIONS(3, 3, 10, 1));
	app_push(10000);
	advance(20 * MS);
	/* That no more than 2,000 bytes were sent is checked of every segment. */
	check(script_flow(0, 0)->host_sent > 1);
	script_end_quietly();
}

/* ---- Options as such: 3.1, 3.2 ---- */

/* MUST-6: unknown ones are skipped. */
static void rfc9293_3_2__unknown_options_of_a_syn_are_skipped(void **state)
{
	script_begin(*state, &(struct script_options){.mss = 700});
	app_listen();
	inject(.flags = SYN, OPTIONS(200, 6, 1, 2, 3, 4, 254, 2, 2, 4, 2, 188));
	script_flow(0, 0)->peer_mss = 700;
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	push_segments(2);
	script_end();
}

/* MUST-5: in any segment. */
static void rfc9293_3_2__unknown_options_of_text_are_skipped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, OPTIONS(77, 8, 0, 0, 0, 0, 0, 0));
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	script_end();
}

/* MUST-64: wherever they stand. */
static void rfc9293_3_1__options_need_no_alignment(void **state)
{
	script_begin(*state, &(struct script_options){.mss = 700});
	app_listen();
	inject(.flags = SYN, .window = 3000, OPTIONS(1, 3, 3, 2, 4, 2, 2, 4, 2, 188, 0, 0));
	script_flow(0, 0)->peer_mss = 700;
	script_flow(0, 0)->peer_scaling = true;
	script_flow(0, 0)->peer_shift = 2;
	script_flow(0, 0)->peer_sack = true;
	expect(.flags = SYN | ACK, .ack = 1, .scaling = true, .sack_permitted = true);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	push_segments(2);
	script_end();
}

/* Timestamps without the padding that most have. */
static void rfc7323_3_2__a_timestamp_needs_no_alignment(void **state)
{
	script_begin(*state, &(struct script_options){.timestamps = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100,
	       OPTIONS(8, 10, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0));
	check(expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101)->echo == 0x10005);
	script_end();
}

/* What follows the end of the list is padding. */
static void rfc9293_3_2__what_follows_the_end_of_the_list_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){.mss = 1400});
	app_listen();
	inject(.flags = SYN, OPTIONS(2, 4, 5, 120, 0, 2, 4, 0, 90, 3, 3, 7));
	script_flow(0, 0)->peer_mss = 1400;
	check(!expect(.flags = SYN | ACK, .ack = 1)->scaling);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	push_segments(2);
	script_end();
}

/* MUST-7: a wrong length is coped with: the segment is dropped, or the option. */
static void rfc9293_3_1__options_of_wrong_lengths_are_survived(void **state)
{
	static const uint8_t lists[][8] = {
		{2, 0, 5, 180, 0, 0, 0, 0},
		{2, 1, 5, 180, 0, 0, 0, 0},
		{2, 3, 5, 180, 0, 0, 0, 0},
		{2, 40, 5, 180, 0, 0, 0, 0},
		{1, 1, 1, 1, 1, 1, 1, 2},
		{3, 2, 7, 0, 0, 0, 0, 0},
		{3, 9, 7, 1, 1, 1, 1, 1},
		{8, 10, 0, 0, 0, 0, 0, 0},
		{8, 2, 0, 0, 0, 0, 0, 0},
		{4, 3, 1, 0, 0, 0, 0, 0},
		{255, 255, 255, 255, 255, 255, 255, 255},
		{5, 2, 0, 0, 5, 10, 1, 2},
	};

	script_begin(*state, &(struct script_options){0});
	app_listen();
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		inject(.flags = SYN, .peer_port = (uint16_t)(6000 + i), .options = lists[i],
		       .option_bytes = 8);
		advance(10 * MS);
	}
	while (script.heard_next < script.heard_count)
		check(script_next(0)->flags & (SYN | RST));
	open_passive();
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		inject(.flags = ACK, .seq = 1, .ack = 1, .options = lists[i], .option_bytes = 8);
		inject(.flags = ACK, .seq = 101, .ack = 1, .length = 10, .options = lists[i],
		       .option_bytes = 8);
	}
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end_quietly();
}

/* Of what the SYN has not, the SYN-ACK has nothing; of all else it may: every combination. */
static void rfc9293_3_2__a_syn_ack_answers_what_was_offered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	for (uint16_t i = 0; i < 8; i++) {
		uint16_t port = (uint16_t)(6000 + i);
		const struct segment *answer;

		inject(.flags = SYN, .mss = 1460, .scaling = i & 1, .shift = 3,
		       .sack_permitted = i & 2, .has_timestamp = i & 4, .timestamp = 99,
		       .peer_port = port);
		answer = expect(.flags = SYN | ACK, .ack = 1, .peer_port = port);
		check(answer->scaling == (bool)(i & 1));
		check(answer->sack_permitted == (bool)(i & 2));
		check(answer->has_timestamp == (bool)(i & 4));
		check(answer->mss);
	}
	script_end();
}

/* What is turned off is not offered. */
static void rfc9293_3_2__what_is_turned_off_is_not_offered(void **state)
{
	struct script_options options = {.tcp = script_tcp()};
	const struct segment *syn;

	options.tcp.timestamps = options.tcp.sack = options.tcp.window_scaling = false;
	script_begin(*state, &options);
	app_connect();
	syn = expect(.flags = SYN);
	check(!syn->has_timestamp && !syn->sack_permitted && !syn->scaling);
	check(syn->mss);
	script_end();
}

/* The whole set of a full SYN fits: 40 bytes at most, and each is there. */
static void rfc9293_3_2__a_syn_offers_all_that_we_can(void **state)
{
	const struct segment *syn;

	script_begin(*state, &(struct script_options){0});
	app_connect();
	syn = expect(.flags = SYN);
	check(syn->mss && syn->has_timestamp && syn->sack_permitted && syn->scaling);
	check(syn->shift <= TCP_WINDOW_SHIFT_MAX);
	check(syn->option_space <= 40);
	script_end();
}

/* ---- IP: 3.9 ---- */

/* MUST-49: the hop limit is 64 unless the application says otherwise. */
static void rfc9293_3_9_2__the_hop_limit_can_be_set(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	check(expect(.flags = SYN)->hop_limit == 64);
	script_touch();
	tcp_cancel_connect(script.app.conn);
	app_settings()->hop_limit = 17;
	tcp_settings_changed(script.app.conn);
	check(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT) == 0);
	check(expect(.flags = SYN, .ignore = ANY_SEQ)->hop_limit == 17);
	script_end();
}

/* 3.9.1.9: the differentiated services field. */
static void rfc9293_3_9_1_9__the_traffic_class_can_be_set(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_settings()->traffic_class = 0xb8;
	script_touch();
	tcp_settings_changed(script.app.conn);
	app_push(100);
	check(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100)->traffic_class == 0xb8);
	script_end();
}

/* RFC 1191, 3: our IPv4 segments are not to be fragmented, so that a router tells. */
static void rfc1191_3__segments_are_not_to_be_fragmented_v4(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(3000);
	for (unsigned int i = 0; i < 3; i++)
		check(script_next(PROMPT_NS)->dont_fragment);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_7_1__without_an_mss_the_default_is_sent),
		SCRIPT_TEST(rfc9293_3_7_1__a_syn_ack_without_an_mss_means_the_default),
		SCRIPT_TEST(rfc9293_3_7_1__the_peers_mss_is_kept),
		SCRIPT_TEST(rfc9293_3_7_1__an_mss_beyond_our_link_is_not_used),
		SCRIPT_TEST(rfc6691_2__our_mss_takes_no_options_off),
		SCRIPT_TEST(rfc6691_2__our_mss_is_that_of_the_link),
		SCRIPT_TEST(rfc6691_2__timestamps_come_off_the_payload),
		SCRIPT_TEST(rfc9293_3_7_1__a_silly_mss_is_survived),
		SCRIPT_TEST(rfc9293_3_7_1__the_applications_mss_bounds_both_ways),
		SCRIPT_TEST(rfc9293_3_9_1_2__a_large_push_goes_in_full_segments),
		SCRIPT_TEST(rfc9293_3_7_1__an_mss_on_another_segment_is_ignored),
		SCRIPT_TEST(rfc7323_2_2__a_scale_on_another_segment_is_ignored),
		SCRIPT_TEST(rfc9293_3_2__unknown_options_of_a_syn_are_skipped),
		SCRIPT_TEST(rfc9293_3_2__unknown_options_of_text_are_skipped),
		SCRIPT_TEST(rfc9293_3_1__options_need_no_alignment),
		SCRIPT_TEST(rfc7323_3_2__a_timestamp_needs_no_alignment),
		SCRIPT_TEST(rfc9293_3_2__what_follows_the_end_of_the_list_is_ignored),
		SCRIPT_TEST(rfc9293_3_1__options_of_wrong_lengths_are_survived),
		SCRIPT_TEST(rfc9293_3_2__a_syn_ack_answers_what_was_offered),
		SCRIPT_TEST(rfc9293_3_2__what_is_turned_off_is_not_offered),
		SCRIPT_TEST(rfc9293_3_2__a_syn_offers_all_that_we_can),
		SCRIPT_TEST(rfc9293_3_9_2__the_hop_limit_can_be_set),
		SCRIPT_TEST(rfc9293_3_9_1_9__the_traffic_class_can_be_set),
		SCRIPT_TEST_V4(rfc1191_3__segments_are_not_to_be_fragmented_v4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
