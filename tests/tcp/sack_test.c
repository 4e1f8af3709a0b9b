/* SPDX-License-Identifier: MIT */
/* Selective acknowledgments: RFC 2018, 2883, 6675. */
#include "script.h"

static const struct script_options with_sack = {.sack = true};

/* ---- As the receiver: RFC 2018, 4 ---- */

/* RFC 2018, 2: permitted by both, or by none. */
static void rfc2018_2__sack_is_permitted_to_who_permits_it(void **state)
{
	script_begin(*state, &with_sack);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .sack_permitted = true);
	check(expect(.flags = SYN | ACK, .ack = 1)->sack_permitted);
	inject(.flags = SYN, .mss = 1460, .peer_port = 4001);
	check(!expect(.flags = SYN | ACK, .ack = 1, .peer_port = 4001)->sack_permitted);
	script_end();
}

static void rfc2018_2__an_active_open_permits_sack(void **state)
{
	script_begin(*state, &with_sack);
	app_connect();
	check(expect(.flags = SYN)->sack_permitted);
	script_end();
}

/* Where it is not permitted there is none: checked of every segment. */
static void rfc2018_4__without_permission_no_blocks_are_sent(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	check(expect(.flags = ACK, .seq = 1, .ack = 1)->sack_count == 0);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	check(expect(.flags = ACK, .seq = 1, .ack = 1)->sack_count == 0);
	script_end();
}

static void rfc2018_4__what_is_out_of_order_is_reported(void **state)
{
	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	check(expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 201}})
		      ->sack_count == 1);
	script_end();
}

/* The first block has what has just come, and all beside it. */
static void rfc2018_4__the_first_block_has_the_latest_segment(void **state)
{
	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 201}});
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2, .sack = {{301, 401}, {101, 201}});
	inject(.flags = ACK, .seq = 501, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 3,
	       .sack = {{501, 601}, {301, 401}, {101, 201}});
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 50);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 3,
	       .sack = {{101, 251}, {501, 601}, {301, 401}});
	script_end();
}

/* Neighbours become one. */
static void rfc2018_4__blocks_that_meet_are_one(void **state)
{
	const struct segment *ack;

	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 201}});
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{301, 401}});
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	ack = expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 401}});
	check(ack->sack_count == 1);
	script_end();
}

/* RFC 2018, 3: four blocks fit, three beside a timestamp. */
static void rfc2018_3__as_many_blocks_as_fit(void **state)
{
	const struct segment *ack = NULL;

	script_begin(*state, &with_sack);
	open_passive();
	for (uint32_t i = 0; i < 6; i++) {
		inject(.flags = ACK, .seq = 101 + i * 200, .ack = 1, .length = 100);
		ack = expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
			     .sack = {{101 + i * 200, 201 + i * 200}});
	}
	/* At least three: RFC 2018, 4 wants each block to be told three times. */
	check(ack->sack_count >= 3 && ack->sack_count <= 4);
	script_end();
}

static void rfc2018_3__three_blocks_fit_beside_a_timestamp(void **state)
{
	const struct segment *ack = NULL;

	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	for (uint32_t i = 0; i < 6; i++) {
		inject(.flags = ACK, .seq = 101 + i * 200, .ack = 1, .length = 100);
		ack = expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
			     .has_timestamp = true, .sack = {{101 + i * 200, 201 + i * 200}});
	}
	check(ack->sack_count == 3);
	check(ack->option_space <= 40);
	script_end();
}

/* Below the cumulative acknowledgment nothing is left to report. */
static void rfc2018_4__blocks_go_when_the_gap_is_filled(void **state)
{
	const struct segment *ack;

	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 201}});
	inject(.flags = ACK, .seq = 301, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2, .sack = {{301, 401}, {101, 201}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	ack = expect(.flags = ACK, .seq = 1, .ack = 201, .sack_count = 1, .sack = {{301, 401}});
	check(ack->sack_count == 1);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	check(expect(.flags = ACK, .seq = 1, .ack = 401)->sack_count == 0);
	script_end();
}

/* With a gap, our text has the blocks too, and still fits the MSS: checked of every segment. */
static void rfc2018_4__text_beside_a_gap_fits_with_its_blocks(void **state)
{
	uint32_t sent;

	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(4000);
	advance(20 * MS);
	sent = script_flow(0, 0)->host_sent;
	check(sent == 4001);
	script_skip();
	script_end();
}

/* ---- Duplicates: RFC 2883, 4 ---- */

/* 4.1: what was there already stands first, below the cumulative acknowledgment. */
static void rfc2883_4_1__a_duplicate_in_order_is_reported_first(void **state)
{
	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 201, .sack_count = 1, .sack = {{1, 101}});
	/* Once only. */
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 10);
	check(expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 211)->sack_count == 0);
	script_end();
}

/* 4.1: of what is out of order the block that it belongs to follows. */
static void rfc2883_4_1__a_duplicate_out_of_order_is_followed_by_its_block(void **state)
{
	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 300);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 401}});
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2, .sack = {{201, 301}, {101, 401}});
	script_end();
}

/* 4.2: of a segment that is new in part the old part. */
static void rfc2883_4_2__the_old_part_of_a_segment_is_reported(void **state)
{
	const struct segment *ack;

	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 51, .ack = 1, .length = 100);
	ack = expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 151);
	if (ack->sack_count) {
		check(ack->sack_count == 1);
		check(ack->sack[0].left == 51 && ack->sack[0].right == 101);
	}
	script_end();
}

/* Beside a gap: the duplicate, then the blocks of the gap. */
static void rfc2883_4_1__a_duplicate_beside_a_gap_stands_first(void **state)
{
	script_begin(*state, &with_sack);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 101, .sack_count = 1, .sack = {{201, 301}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 101, .sack_count = 2, .sack = {{1, 101}, {201, 301}});
	script_end();
}

/* ---- As the sender: RFC 2018, 5; RFC 6675 ---- */

static uint32_t mss;

/* Full segments under way on a path of 20 ms. */
static void begin_sending(const void *version, uint32_t count)
{
	struct script_options options = {.sack = true, .rtt_ns = 20 * MS, .tcp = script_tcp()};

	options.tcp.congestion = &tcp_reno;
	script_begin(version, &options);
	open_passive();
	mss = script_mss();
	push_segments(count);
	advance(20 * MS);
}

/* The number of the n-th segment, from 0. */
static uint32_t at(uint32_t n)
{
	return 1 + n * mss;
}

/* RFC 6675, 5: three segments above it are there: it is lost, and it alone. */
static void rfc6675_5__the_hole_below_three_segments_is_filled(void **state)
{
	begin_sending(*state, 6);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(2)}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(3)}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(4)}});
	expect_within(0, 10 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(6)}});
	expect_nothing(15 * MS);
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	advance(MS);
	check(app_pushed() == 1);
	expect_nothing(SECOND);
	script_end();
}

/* Two holes: both, each once; nothing of what the peer has. */
static void rfc6675_5__each_hole_is_filled_once(void **state)
{
	unsigned int times[10] = {0};

	begin_sending(*state, 10);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(2)}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{at(3), at(4)}, {at(1), at(2)}});
	for (uint32_t i = 5; i <= 10; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
		       .sack = {{at(3), at(i)}, {at(1), at(2)}});
	advance(15 * MS);
	while (script.heard_next < script.heard_count)
		times[(script_next(0)->seq - 1) / mss]++;
	for (unsigned int i = 0; i < 10; i++)
		check(times[i] == (i == 0 || i == 2));
	inject(.flags = ACK, .seq = 1, .ack = at(10));
	check(app_pushed() == 1);
	script_end();
}

/* RFC 6675, 5, (4.3), and RFC 6937: retransmissions count against the window. */
static void rfc6675_5__recovery_sends_no_more_than_leaves_the_network(void **state)
{
	uint32_t sent = 0;

	begin_sending(*state, 10);
	app_push(20 * mss);
	advance(MS);
	script_skip();
	for (uint32_t i = 2; i <= 9; i++) {
		inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(i)}});
		advance(MS);
	}
	while (script.heard_next < script.heard_count)
		sent += script_next(0)->length;
	/* Eight segments have left; the window is to be halved meanwhile. */
	check(sent <= 8 * mss);
	check(sent >= mss);
	script_end_quietly();
}

/* RFC 2018, 8: a receiver may forget: what was selectively acknowledged is not complete. */
static void rfc2018_8__a_selective_ack_completes_no_push(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = 20 * MS};

	script_begin(*state, &options);
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_push(200);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 200);
	advance(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 301}});
	check(app_pushed() == 0);
	check(script_counts().pieces == 2);
	script_end_quietly();
}

/* RFC 2018, 8: after a timeout all may be sent again; the peer that has forgotten gets it. */
static void rfc2018_8__a_receiver_that_forgets_is_served(void **state)
{
	uint32_t acked = 1;

	begin_sending(*state, 6);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(1), at(6)}});
	/* It has dropped everything since, and says no more than the cumulative number. */
	for (unsigned int i = 0; i < 100 && !app_pushed(); i++) {
		const struct segment *segment = script_next(20 * SECOND);

		check(segment);
		if (segment->seq <= acked && segment->seq + segment->length > acked)
			acked = segment->seq + segment->length;
		inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	check(app_pushed() == 1);
	check(script.app.ends == 0);
	script_end_quietly();
}

/* RFC 2018, 5: blocks of what was never sent, empty and reversed ones mean nothing. */
static void rfc2018_5__blocks_that_cannot_be_are_ignored(void **state)
{
	begin_sending(*state, 4);
	for (unsigned int i = 0; i < 4; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 4,
		       .sack = {{at(4), at(6)},
				{at(2), at(2)},
				{at(3), at(1)},
				{at(1) + 0x80000000, at(2) + 0x80000000}});
	advance(5 * MS);
	script_skip();
	/* Nothing was taken for there: all of it can be sent again, and the connection is well. */
	inject(.flags = ACK, .seq = 1, .ack = at(4));
	advance(MS);
	check(app_pushed() == 1);
	check(script_counts().segments == 0);
	check(script.app.ends == 0);
	pass_data(1, 0);
	script_end_quietly();
}

/* A block in the middle of segments: what it covers in part is not there as a whole. */
static void rfc2018_5__blocks_within_segments_lose_nothing(void **state)
{
	uint32_t acked = 1;

	begin_sending(*state, 6);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
	       .sack = {{at(1) + 10, at(2) + 700}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{at(3) + 1, at(3) + 2}, {at(1) + 10, at(2) + 700}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{at(4), at(6)}});
	for (unsigned int i = 0; i < 100 && !app_pushed(); i++) {
		const struct segment *segment = script_next(20 * SECOND);

		check(segment);
		if (segment->seq <= acked && segment->seq + segment->length > acked)
			acked = segment->seq + segment->length;
		inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	check(app_pushed() == 1);
	script_end_quietly();
}

/* RFC 2883, 4.3: what PAWS drops is a duplicate too, and told of as one. */
static void rfc2883_4_3__a_duplicate_that_paws_drops_is_reported(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 90000);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100, .timestamp = 89999);
	expect(.flags = ACK, .seq = 1, .ack = 101, .sack_count = 1, .sack = {{1, 101}});
	script_end();
}

/* RFC 2883, 5, and RFC 6675, 2: a report of a duplicate is no sign of a loss. */
static void rfc6675_2__reports_of_duplicates_are_no_duplicate_acks(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = 20 * MS};

	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	pass_data(2, 20 * MS);
	app_push(4 * mss);
	advance(10 * MS);
	script_skip();
	for (unsigned int i = 0; i < 5; i++)
		inject(.flags = ACK, .seq = 1, .ack = 201, .sack_count = 1, .sack = {{1, 101}});
	expect_nothing(5 * MS);
	check(app_stats().retransmissions == 0);
	script_end_quietly();
}

/* A partial acknowledgment in recovery: the next hole that the peer has not, at once. */
static void rfc6675_5__a_partial_ack_fills_the_next_hole(void **state)
{
	begin_sending(*state, 8);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{at(5), at(8)}, {at(1), at(3)}});
	advance(10 * MS);
	check(script_skip() >= 1);
	inject(.flags = ACK, .seq = 1, .ack = at(3), .sack_count = 1, .sack = {{at(5), at(8)}});
	advance(15 * MS);
	script_skip();
	/* Both of the second hole have been sent again by now. */
	check(app_stats().bytes_retransmitted >= 3 * mss);
	check(app_stats().bytes_retransmitted <= 4 * mss);
	inject(.flags = ACK, .seq = 1, .ack = at(8));
	check(app_pushed() == 1);
	script_end_quietly();
}

/* RFC 6675, 5.1: after a timeout what the peer reports again is not sent again. */
static void rfc6675_5_1__after_a_timeout_reports_still_count(void **state)
{
	begin_sending(*state, 6);
	/* Nothing is heard until the timer has sent the first one again. */
	advance(2 * SECOND);
	check(script_skip() >= 1);
	inject(.flags = ACK, .seq = 1, .ack = at(1), .sack_count = 1, .sack = {{at(2), at(6)}});
	advance(100 * MS);
	while (script.heard_next < script.heard_count) {
		const struct segment *segment = script_next(0);

		check(segment->seq >= at(1) && segment->seq + segment->length <= at(2));
	}
	inject(.flags = ACK, .seq = 1, .ack = at(6));
	check(app_pushed() == 1);
	script_end_quietly();
}

/* RFC 2883, 4.2.3: of one that waits out of order a part comes again, beside something new. */
static void rfc2883_4_2__the_known_part_of_an_early_segment_is_reported(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	inject(.flags = ACK, .seq = 1001, .ack = 1, .length = 500);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{1001, 1501}});
	/* Its end, and what is behind. */
	inject(.flags = ACK, .seq = 1301, .ack = 1, .length = 700);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{1301, 1501}, {1001, 2001}});
	/* What is before, and its beginning. */
	inject(.flags = ACK, .seq = 801, .ack = 1, .length = 300);
	expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{1001, 1101}, {801, 2001}});
	/* What only touches it is new. */
	inject(.flags = ACK, .seq = 701, .ack = 1, .length = 100);
	check(expect(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{701, 2001}})
		      ->sack_count == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 700);
	expect(.flags = ACK, .seq = 1, .ack = 2001);
	check(script.app.received == 2000);
	script_end();
}

/* How many segments are sent at once, one behind the other from @first on. */
static uint32_t sent_from(uint32_t first)
{
	const struct segment *segment;
	uint32_t count = 0;

	while ((segment = script_next(PROMPT_NS))) {
		check(segment->seq == first + count * mss && segment->length == mss);
		count++;
	}
	return count;
}

/*
 * RFC 6937, 3: on the way down to ssthresh every second segment that arrives lets one go; there, each. Of
 * ten that were under way five are.
 */
static void rfc6937_3__what_is_sent_is_in_proportion_to_what_is_delivered(void **state)
{
	static const uint32_t sent[] = {1, 1, 0, 0, 1, 1, 1};

	begin_sending(*state, 10);
	app_push(20 * mss);
	for (uint32_t i = 0; i < COUNT_OF(sent); i++) {
		uint32_t count = 0;

		inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
		       .sack = {{at(1), at(4 + i)}});
		while (script_next(PROMPT_NS))
			count++;
		check(count == sent[i]);
	}
	check(app_stats().ssthresh == 5 * mss);
	script_end_quietly();
}

/*
 * RFC 6937, 3: with less under way than ssthresh, which is five segments here, the window comes back as
 * slow start's does: what an acknowledgment tells of and one segment more, not all at once.
 */
static void rfc6937_3__below_the_threshold_the_window_grows_as_in_slow_start(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = 20 * MS, .tcp = script_tcp()};

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	push_segments(10);
	advance(20 * MS);
	/* Seven are lost, and nothing is under way. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
	       .sack = {{1 + 7 * mss, 1 + 10 * mss}});
	check(app_stats().ssthresh == 5 * mss);
	check(sent_from(1) == 4);
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss, .sack_count = 1,
	       .sack = {{1 + 7 * mss, 1 + 10 * mss}});
	check(sent_from(1 + 4 * mss) == 2);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss, .sack_count = 1,
	       .sack = {{1 + 7 * mss, 1 + 10 * mss}});
	check(sent_from(1 + 6 * mss) == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 10 * mss);
	check(app_pushed() == 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc2018_2__sack_is_permitted_to_who_permits_it),
		SCRIPT_TEST(rfc2018_2__an_active_open_permits_sack),
		SCRIPT_TEST(rfc2018_4__without_permission_no_blocks_are_sent),
		SCRIPT_TEST(rfc2018_4__what_is_out_of_order_is_reported),
		SCRIPT_TEST(rfc2018_4__the_first_block_has_the_latest_segment),
		SCRIPT_TEST(rfc2018_4__blocks_that_meet_are_one),
		SCRIPT_TEST(rfc2018_3__as_many_blocks_as_fit),
		SCRIPT_TEST(rfc2018_3__three_blocks_fit_beside_a_timestamp),
		SCRIPT_TEST(rfc2018_4__blocks_go_when_the_gap_is_filled),
		SCRIPT_TEST(rfc2018_4__text_beside_a_gap_fits_with_its_blocks),
		SCRIPT_TEST(rfc2883_4_1__a_duplicate_in_order_is_reported_first),
		SCRIPT_TEST(rfc2883_4_1__a_duplicate_out_of_order_is_followed_by_its_block),
		SCRIPT_TEST(rfc2883_4_2__the_old_part_of_a_segment_is_reported),
		SCRIPT_TEST(rfc2883_4_1__a_duplicate_beside_a_gap_stands_first),
		SCRIPT_TEST(rfc6675_5__the_hole_below_three_segments_is_filled),
		SCRIPT_TEST(rfc6675_5__each_hole_is_filled_once),
		SCRIPT_TEST(rfc6675_5__recovery_sends_no_more_than_leaves_the_network),
		SCRIPT_TEST(rfc2018_8__a_selective_ack_completes_no_push),
		SCRIPT_TEST(rfc2018_8__a_receiver_that_forgets_is_served),
		SCRIPT_TEST(rfc2018_5__blocks_that_cannot_be_are_ignored),
		SCRIPT_TEST(rfc2018_5__blocks_within_segments_lose_nothing),
		SCRIPT_TEST(rfc6675_2__reports_of_duplicates_are_no_duplicate_acks),
		SCRIPT_TEST(rfc6675_5__a_partial_ack_fills_the_next_hole),
		SCRIPT_TEST(rfc6675_5_1__after_a_timeout_reports_still_count),
		SCRIPT_TEST(rfc2883_4_2__the_known_part_of_an_early_segment_is_reported),
		SCRIPT_TEST(rfc2883_4_3__a_duplicate_that_paws_drops_is_reported),
		SCRIPT_TEST(rfc6937_3__below_the_threshold_the_window_grows_as_in_slow_start),
		SCRIPT_TEST(rfc6937_3__what_is_sent_is_in_proportion_to_what_is_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
