/* SPDX-License-Identifier: MIT */
/* Received text: RFC 9293, 3.4, 3.8.6.3, 3.10.7.4; RFC 5681, 4.2; RFC 1122, 4.2.2.20, 4.2.2.21. */
#include "script.h"

static void rfc9293_3_10_7_4__text_in_order_is_delivered_and_acknowledged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 20; i++) {
		inject(.flags = ACK, .seq = 1 + i * 77, .ack = 1, .length = 77);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 78 + i * 77);
		check(script.app.received == 77 * (i + 1));
	}
	script_end();
}

static void rfc9293_3_10_7_4__text_of_an_active_open_is_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_active();
	inject(.flags = ACK | PSH, .seq = 1, .ack = 1, .length = 500);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 501);
	check(script.app.received == 500);
	script_end();
}

/* What has no ACK is dropped: the fifth step. */
static void rfc9293_3_10_7_4__text_without_ack_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = PSH, .seq = 1, .length = 100);
	inject(.flags = FIN, .seq = 1);
	inject(.flags = 0, .seq = 1, .length = 10);
	inject(.flags = 0, .seq = 1);
	expect_nothing(SECOND);
	check(script.app.received == 0);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* SYN and FIN, or everything at once, change no state. */
static void rfc9293_3_10_7_4__syn_fin_and_christmas_trees_change_nothing(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = SYN | FIN, .seq = 1);
	inject(.flags = SYN | FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = FIN | PSH | URG, .seq = 1);
	/* A RST whose number is not right, with all the rest. */
	inject(.flags = FIN | SYN | RST | PSH | ACK | URG, .seq = 100, .ack = 1);
	script_skip();
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.ends == 0 && script.app.received == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 11);
	script_end();
}

/* MUST-3. */
static void rfc9293_3_1__a_wrong_checksum_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .bad_checksum = true);
	inject(.flags = RST, .seq = 1, .bad_checksum = true);
	expect_nothing(SECOND);
	check(script.app.received == 0 && script.app.ends == 0);
	script_end();
}

static void rfc9293_3_1__a_wrong_data_offset_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10, .offset_bytes = 16);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10, .offset_bytes = 4);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10, .offset_bytes = 60);
	expect_nothing(SECOND);
	check(script.app.received == 0);
	script_end();
}

/* Reserved bits are not looked at. */
static void rfc9293_3_1__reserved_bits_are_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .reserved = 0xe);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	script_end();
}

/* 3.8.5: urgent data is received in line. */
static void rfc9293_3_8_5__urgent_data_is_in_line(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK | URG, .seq = 1, .ack = 1, .length = 100, .urgent = 50);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	inject(.flags = ACK | URG, .seq = 101, .ack = 1, .length = 10, .urgent = 65535);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 111);
	check(script.app.received == 110);
	script_end();
}

/* ---- Acceptability: 3.4, the four cases ---- */

static void rfc9293_3_4__a_segment_beyond_the_window_is_acknowledged_and_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1 + (64u << 20), .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1 + (64u << 20), .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script_counts().queued_bytes == 0);
	check(script.app.ends == 0);
	script_end();
}

static void rfc9293_3_4__an_old_segment_is_acknowledged_and_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 50);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	/* Half the space of numbers ago. */
	inject(.flags = ACK, .seq = 201 + 0x80000001, .ack = 1, .length = 50);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

/* An empty old segment, as a keep-alive is, is answered too. */
static void rfc9293_3_4__an_empty_segment_below_the_window_is_acknowledged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 0, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	script_end();
}

/* An acknowledgment is not answered: two stacks would not come to rest. */
static void rfc9293_3_10_7_4__an_acceptable_ack_is_not_answered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 10; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1);
	expect_nothing(SECOND);
	script_end();
}

/* ---- Overlaps ---- */

static void rfc9293_3_10_7_4__what_was_received_is_cut_off_in_front(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 51, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 151);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 151);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 152);
	check(script.app.received == 151);
	script_end();
}

/* Segments that overlap in what waits: no byte twice, none wrong. */
static void rfc9293_3_10_7_4__overlaps_out_of_order_are_put_together(void **state)
{
	static const struct {
		uint32_t seq, length;
	} segments[] = {{301, 100}, {101, 100}, {351, 200}, {51, 100},  {251, 100},
			{101, 400}, {601, 50},  {501, 120}, {481, 400}, {11, 900}};

	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (size_t i = 0; i < COUNT_OF(segments); i++) {
		inject(.flags = ACK, .seq = segments[i].seq, .ack = 1,
		       .length = segments[i].length);
		expect(.flags = ACK, .seq = 1, .ack = 1);
	}
	check(script.app.received == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	expect(.flags = ACK, .seq = 1, .ack = 911);
	check(script.app.received == 910);
	check(script_counts().queued_bytes == 0);
	script_end();
}

/* A segment over the window's edge is cut off behind; the rest comes again. */
static void rfc9293_3_10_7_4__what_is_beyond_the_edge_is_cut_off_behind(void **state)
{
	const struct segment *answer;
	uint32_t edge, ack = 1;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 4096});
	open_passive();
	edge = script_flow(0, 0)->receive_edge;
	for (uint32_t seq = 1; (int32_t)(seq - edge) < 0; seq += 1000) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1000);
		while ((answer = script_next(DELAYED_NS)))
			ack = answer->ack;
	}
	check((int32_t)(ack - edge) <= 0);
	/* At least all segments that were inside as a whole. */
	check((int32_t)(ack - (edge - 1000)) > 0);
	check(app_take() == ack - 1);
	script_skip();
	inject(.flags = ACK, .seq = ack, .ack = 1, .length = 1000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = ack + 1000);
	app_take();
	check(script.app.received == ack + 999);
	script_end_quietly();
}

/* ---- Reassembly: SHLD-31 ---- */

/* The segments in the order of one permutation of four. */
static void inject_permuted(uint32_t first, unsigned int permutation)
{
	bool used[4] = {false};
	unsigned int divisor = 6;

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int pick = permutation / divisor, at = 0;

		permutation %= divisor;
		divisor = i < 3 ? divisor / (3 - i) : 1;
		while (used[at] || pick--)
			at++;
		used[at] = true;
		inject(.flags = ACK, .seq = first + at * 100, .ack = 1, .length = 100);
	}
}

static void rfc9293_3_10_7_4__text_in_any_order_is_put_together(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	for (unsigned int i = 0; i < 24; i++) {
		inject_permuted(1 + i * 400, i);
		advance(DELAYED_NS);
		check(script_skip() >= 1);
		check(script.app.received == 400 * (i + 1));
	}
	inject(.flags = ACK, .seq = 0, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 9601);
	check(script_counts().queued_bytes == 0);
	script_end();
}

/* Many segments from the last to the first. */
static void rfc9293_3_10_7_4__text_in_reverse_order_is_put_together(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	for (uint32_t i = 30; i-- > 1;)
		inject(.flags = ACK, .seq = 1 + i * 500, .ack = 1, .length = 500);
	check(script_skip() == 29);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 500);
	expect(.flags = ACK, .seq = 1, .ack = 15001);
	check(script.app.received == 15000);
	script_end();
}

/* What waits for a gap is bounded; what does not fit comes again. */
static void rfc9293_3_10_7_4__what_waits_for_a_gap_is_bounded(void **state)
{
	struct net_tcp_options tcp = script_tcp();
	const struct segment *answer;
	uint32_t ack = 1;

	tcp.out_of_order_max = 16;
	script_begin(*state, &(struct script_options){.sack = true, .tcp = tcp});
	open_passive();
	for (uint32_t i = 0; i < 200; i++)
		inject(.flags = ACK, .seq = 101 + i * 200, .ack = 1, .length = 100);
	check(script_counts().queued_bytes <= 16 * 100);
	script_skip();
	/* All of it again, as a sender would that hears no more than the first gap. */
	for (uint32_t i = 0; i < 400; i++) {
		inject(.flags = ACK, .seq = 1 + i * 100, .ack = 1, .length = 100);
		check(script_flow(0, 0)->peer_sent >= 101);
		if (i % 50 == 49)
			advance(DELAYED_NS);
	}
	while ((answer = script_next(SECOND)))
		ack = answer->ack;
	check(ack == 40001);
	check(script.app.received == 40000);
	script_end();
}

/* ---- When to acknowledge: 3.8.6.3; RFC 5681, 4.2 ---- */

/* MUST-40: a lone segment's waits less than half a second. */
static void rfc9293_3_8_6_3__a_lone_segment_is_acknowledged_within_half_a_second(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 5; i++) {
		inject(.flags = ACK, .seq = 1 + i, .ack = 1, .length = 1);
		expect_within(0, 499 * MS, .flags = ACK, .seq = 1, .ack = 2 + i);
		advance(3 * SECOND);
	}
	script_end();
}

/* SHLD-19: every second full segment at once. */
static void rfc9293_3_8_6_3__every_second_full_segment_is_acknowledged_at_once(void **state)
{
	uint32_t mss, acks;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script.options.mss;
	for (uint32_t i = 0; i < 10; i++) {
		inject(.flags = ACK, .seq = 1 + i * 2 * mss, .ack = 1, .length = mss);
		inject(.flags = ACK, .seq = 1 + (i * 2 + 1) * mss, .ack = 1, .length = mss);
		advance(PROMPT_NS);
		acks = 0;
		while (script.heard_next < script.heard_count) {
			check(script_next(0)->ack <= 1 + (i * 2 + 2) * mss);
			acks++;
		}
		check(acks >= 1);
		check(script.heard[script.heard_count - 1].ack == 1 + (i * 2 + 2) * mss);
	}
	script_end();
}

/* RFC 5681, 4.2: SHOULD be sent at once, for the sender to recover. */
static void rfc5681_4_2__a_segment_out_of_order_is_acknowledged_at_once(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 1; i <= 4; i++) {
		inject(.flags = ACK, .seq = 1 + i * 100, .ack = 1, .length = 100);
		expect(.flags = ACK, .seq = 1, .ack = 1);
	}
	script_end();
}

static void rfc5681_4_2__a_segment_that_fills_a_gap_is_acknowledged_at_once(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	/* A part of the gap counts too. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 401);
	check(script.app.received == 400);
	script_end();
}

/* Duplicate acknowledgments carry the window unchanged, or they are none: RFC 5681, 2, (e). */
static void rfc5681_2__duplicate_acks_have_one_window(void **state)
{
	const struct segment *ack;
	uint32_t window = 0;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 1; i <= 4; i++) {
		inject(.flags = ACK, .seq = 1 + i * 100, .ack = 1, .length = 100);
		ack = expect(.flags = ACK, .seq = 1, .ack = 1);
		check(i == 1 || ack->window == window);
		window = ack->window;
	}
	script_end();
}

/* What is sent acknowledges by the way. */
static void rfc9293_3_8_6_3__data_carries_the_acknowledgment(void **state)
{
	const struct segment *answer;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_push(50);
	answer = expect(.flags = ACK, .seq = 1, .ack = 101, .ignore = ANY_LENGTH);
	if (!answer->length)
		expect(.flags = ACK, .seq = 1, .ack = 101, .length = 50);
	inject(.flags = ACK, .seq = 101, .ack = 51);
	/* And with that it is said. */
	expect_nothing(SECOND);
	script_end();
}

/* ---- Sequence numbers that wrap ---- */

static void rfc9293_3_4__received_text_crosses_the_end_of_the_numbers(void **state)
{
	script_begin(*state, &(struct script_options){.peer_iss = 0xffffff00, .sack = true});
	open_passive();
	for (uint32_t i = 0; i < 10; i++) {
		inject(.flags = ACK, .seq = 101 + i * 200, .ack = 1, .length = 100);
		expect(.flags = ACK, .seq = 1, .ack = 1 + i * 200, .sack_count = 1,
		       .sack = {{101 + i * 200, 201 + i * 200}});
		inject(.flags = ACK, .seq = 1 + i * 200, .ack = 1, .length = 100);
		expect(.flags = ACK, .seq = 1, .ack = 201 + i * 200);
	}
	check(script.app.received == 2000);
	script_end();
}

static void rfc9293_3_4__a_peer_whose_syn_is_the_last_number_is_served(void **state)
{
	script_begin(*state, &(struct script_options){.peer_iss = UINT32_MAX});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 102);
	check(script.app.received == 100 && script.app.ends == 1);
	script_end();
}

static void rfc9293_3_4__an_active_open_meets_the_end_of_the_numbers(void **state)
{
	script_begin(*state, &(struct script_options){.peer_iss = 0xfffffff0});
	open_active();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 1001);
	check(script.app.received == 1000);
	script_end();
}

static uint64_t drops(enum net_drop reason)
{
	return script.host->net->counters.layers[NET_LAYER_TCP].drops[reason];
}

/* Segments that bring nothing new, in front of the edge or behind it, are dropped, and counted. */
static void count__text_that_is_known_is_a_drop(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_skip();
	check(drops(NET_DROP_DUPLICATE) == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_skip();
	check(drops(NET_DROP_DUPLICATE) == 1);
	/* 201 to 300 waits, and the hole is filled by what has it too. */
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 300);
	script_skip();
	check(script.app.received == 400);
	check(drops(NET_DROP_DUPLICATE) == 2);
	script_end();
}

static void count__text_that_nobody_reads_is_a_drop(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_shutdown(SHUT_RD);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_skip();
	check(drops(NET_DROP_CLOSED) == 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_10_7_4__text_in_order_is_delivered_and_acknowledged),
		SCRIPT_TEST(rfc9293_3_10_7_4__text_of_an_active_open_is_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__text_without_ack_is_dropped),
		SCRIPT_TEST(rfc9293_3_10_7_4__syn_fin_and_christmas_trees_change_nothing),
		SCRIPT_TEST(rfc9293_3_1__a_wrong_checksum_is_dropped),
		SCRIPT_TEST(rfc9293_3_1__a_wrong_data_offset_is_dropped),
		SCRIPT_TEST(rfc9293_3_1__reserved_bits_are_ignored),
		SCRIPT_TEST(rfc9293_3_8_5__urgent_data_is_in_line),
		SCRIPT_TEST(rfc9293_3_4__a_segment_beyond_the_window_is_acknowledged_and_dropped),
		SCRIPT_TEST(rfc9293_3_4__an_old_segment_is_acknowledged_and_dropped),
		SCRIPT_TEST(rfc9293_3_4__an_empty_segment_below_the_window_is_acknowledged),
		SCRIPT_TEST(rfc9293_3_10_7_4__an_acceptable_ack_is_not_answered),
		SCRIPT_TEST(rfc9293_3_10_7_4__what_was_received_is_cut_off_in_front),
		SCRIPT_TEST(rfc9293_3_10_7_4__overlaps_out_of_order_are_put_together),
		SCRIPT_TEST(rfc9293_3_10_7_4__what_is_beyond_the_edge_is_cut_off_behind),
		SCRIPT_TEST(rfc9293_3_10_7_4__text_in_any_order_is_put_together),
		SCRIPT_TEST(rfc9293_3_10_7_4__text_in_reverse_order_is_put_together),
		SCRIPT_TEST(rfc9293_3_10_7_4__what_waits_for_a_gap_is_bounded),
		SCRIPT_TEST(rfc9293_3_8_6_3__a_lone_segment_is_acknowledged_within_half_a_second),
		SCRIPT_TEST(rfc9293_3_8_6_3__every_second_full_segment_is_acknowledged_at_once),
		SCRIPT_TEST(rfc5681_4_2__a_segment_out_of_order_is_acknowledged_at_once),
		SCRIPT_TEST(rfc5681_4_2__a_segment_that_fills_a_gap_is_acknowledged_at_once),
		SCRIPT_TEST(rfc5681_2__duplicate_acks_have_one_window),
		SCRIPT_TEST(rfc9293_3_8_6_3__data_carries_the_acknowledgment),
		SCRIPT_TEST(rfc9293_3_4__received_text_crosses_the_end_of_the_numbers),
		SCRIPT_TEST(rfc9293_3_4__a_peer_whose_syn_is_the_last_number_is_served),
		SCRIPT_TEST(rfc9293_3_4__an_active_open_meets_the_end_of_the_numbers),
		SCRIPT_TEST(count__text_that_is_known_is_a_drop),
		SCRIPT_TEST(count__text_that_nobody_reads_is_a_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
