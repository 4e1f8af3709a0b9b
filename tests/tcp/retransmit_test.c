/* SPDX-License-Identifier: MIT */
/*
 * Retransmission without SACK: RFC 6298, 5681, 6582, 6928, 5482; RFC 9293, 3.8.1 and 3.8.3. The
 * congestion control is NewReno, which these say in numbers.
 */
#include "script.h"

static struct script_options reno(uint64_t rtt_ns)
{
	struct script_options options = {.rtt_ns = rtt_ns, .tcp = script_tcp()};

	options.tcp.congestion = &tcp_reno;
	return options;
}

static void begin(const void *version, uint64_t rtt_ns)
{
	const struct script_options options = reno(rtt_ns);

	script_begin(version, &options);
	open_passive();
}

/* ---- The timer: RFC 6298 ---- */

static void rfc6298_5__the_timer_retransmits_and_backs_off(void **state)
{
	begin(*state, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(190 * MS, 250 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(390 * MS, 500 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(780 * MS, 1000 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(1560 * MS, 2000 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	check(app_pushed() == 1);
	expect_nothing(20 * SECOND);
	script_end();
}

/* (2.2): after one sample R the timeout is R + 4 * R / 2. */
static void rfc6298_2__the_first_sample_makes_the_timeout(void **state)
{
	begin(*state, 400 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(1180 * MS, 1300 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end();
}

static bool is_about(uint64_t ns, uint64_t wanted_ns)
{
	return ns >= wanted_ns - wanted_ns / 100 && ns <= wanted_ns + wanted_ns / 100;
}

/* (2.3): SRTT and RTTVAR by an eighth and a quarter: 400 + 4 * 150 ms. */
static void rfc6298_2__further_samples_are_smoothed(void **state)
{
	begin(*state, 400 * MS);
	pass_data(1, 400 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect_within(950 * MS, 1080 * MS, .flags = ACK, .seq = 101, .ack = 1, .length = 100);
	script_end();
}

/* (2.3), in numbers: seven eighths and an eighth; three quarters and a quarter, of what it was before. */
static void rfc6298_2__samples_have_their_weights(void **state)
{
	struct tcp_stats stats;

	begin(*state, 400 * MS);
	pass_data(1, 400 * MS);
	stats = app_stats();
	check(is_about(stats.srtt_ns, 400 * MS));
	check(is_about(stats.rttvar_ns, 150 * MS));
	pass_data(1, 240 * MS);
	stats = app_stats();
	check(is_about(stats.srtt_ns, 380 * MS));
	check(is_about(stats.rttvar_ns, 150 * MS * 3 / 4 + 40 * MS));
	/* A path that stays as it is has that round trip. */
	pass_data(60, 240 * MS);
	check(is_about(app_stats().srtt_ns, 240 * MS));
	script_end();
}

/* (2.4), as configured. */
static void rfc6298_2__the_timeout_is_not_below_its_minimum(void **state)
{
	struct script_options options = reno(0);

	options.tcp.rto_min_ms = 700;
	script_begin(*state, &options);
	open_passive();
	pass_data(5, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 501, .ack = 1, .length = 100);
	expect_within(690 * MS, 780 * MS, .flags = ACK, .seq = 501, .ack = 1, .length = 100);
	script_end();
}

/* (2.5), as configured. */
static void rfc6298_2__the_timeout_is_not_above_its_maximum(void **state)
{
	struct script_options options = reno(0);

	options.tcp.rto_max_ms = 1000;
	script_begin(*state, &options);
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	for (unsigned int i = 0; i < 12; i++)
		expect_within(190 * MS, 1100 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end();
}

/* (5.3): an acknowledgment of new data starts the timer anew. */
static void rfc6298_5__an_ack_of_new_data_restarts_the_timer(void **state)
{
	begin(*state, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_push(100);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	advance(150 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	/* 150 ms of RTT have made it longer than 200: but not before so much after this. */
	expect_within(190 * MS, 800 * MS, .flags = ACK, .seq = 101, .ack = 1, .length = 100);
	script_end();
}

/* A duplicate one does not. */
static void rfc6298_5__an_ack_of_nothing_new_does_not_restart_the_timer(void **state)
{
	begin(*state, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	advance(150 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 30000);
	expect_within(30 * MS, 100 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end();
}

/* (5.2): with all acknowledged it is off. */
static void rfc6298_5__with_all_acknowledged_nothing_is_sent_again(void **state)
{
	begin(*state, 0);
	pass_data(3, MS);
	expect_nothing(100 * SECOND);
	check(app_pushed() == 3);
	script_end();
}

/* (5.4) and RFC 5681, 3.1: the earliest segment, and a window of one. */
static void rfc6298_5__a_timeout_retransmits_the_first_segment_alone(void **state)
{
	uint32_t mss;

	begin(*state, 0);
	mss = script_mss();
	push_segments(6);
	expect_within(190 * MS, 250 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	expect_nothing(100 * MS);
	/* RFC 5681, 3.1: slow start: two for the next, at most three by RFC 3465. */
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = mss);
	advance(20 * MS);
	check(script_skip() <= 2);
	script_end();
}

/* RFC 5681, (4): ssthresh is half of what was under way, two segments at least. */
static void rfc5681_3_1__a_timeout_halves_the_threshold(void **state)
{
	uint32_t mss;

	begin(*state, 0);
	mss = script_mss();
	push_segments(8);
	expect_within(190 * MS, 250 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	check(app_stats().ssthresh == 4 * mss);
	check(app_stats().cwnd <= 2 * mss);
	/* A second timeout of the same segment lowers it no more. */
	expect_within(390 * MS, 500 * MS, .flags = ACK, .seq = 1, .ack = 1, .ignore = ANY_LENGTH);
	check(app_stats().ssthresh == 4 * mss);
	script_end_quietly();
}

/* RFC 6298, 3 (Karn): what was sent twice is not measured. */
static void rfc6298_3__what_was_sent_twice_makes_no_sample(void **state)
{
	uint64_t srtt_ns;

	begin(*state, 100 * MS);
	srtt_ns = app_stats().srtt_ns;
	check(srtt_ns > 90 * MS && srtt_ns < 110 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(290 * MS, 350 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	advance(MS);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	check(app_stats().srtt_ns == srtt_ns);
	/* RFC 1122, 4.2.3.1: the next one that was sent once makes one. */
	pass_data(1, 10 * MS);
	check(app_stats().srtt_ns < srtt_ns);
	script_end();
}

/* Nor does what a hole has held back, though it was sent once: it waited for the retransmission. */
static void rfc6298_3__what_a_hole_held_back_makes_no_sample(void **state)
{
	uint64_t srtt_ns;
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	srtt_ns = app_stats().srtt_ns;
	push_segments(2);
	expect_within(190 * MS, 300 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	advance(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss);
	check(app_pushed() == 1);
	check(app_stats().srtt_ns == srtt_ns);
	script_end();
}

/* RFC 6298, 5: only a new sample takes the doublings back, and what was sent twice makes none. */
static void rfc6298_5__a_doubled_timeout_stays_until_the_next_sample(void **state)
{
	begin(*state, 100 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(290 * MS, 350 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(580 * MS, 700 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	/* 300 ms, doubled twice. */
	app_push(100);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect_within(1150 * MS, 1400 * MS, .flags = ACK, .seq = 101, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 201);
	pass_data(1, 100 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 301, .ack = 1, .length = 100);
	expect_within(240 * MS, 360 * MS, .flags = ACK, .seq = 301, .ack = 1, .length = 100);
	script_end();
}

/* RFC 6298, 5.7: after a SYN that was lost the timeout begins at three seconds. */
static void rfc6298_5_7__after_a_lost_syn_the_first_timeout_is_three_seconds(void **state)
{
	struct script_options options = reno(0);

	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN);
	expect_within(980 * MS, 1100 * MS, .flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = script.options.mss);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(2900 * MS, 3200 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end();
}

/* ---- Windows of congestion ---- */

/* RFC 6928, 2: ten segments, and no more than 14,600 bytes unless two are longer. */
static void rfc6928_2__the_first_window_is_ten_segments(void **state)
{
	uint32_t mss, sent;

	begin(*state, 0);
	mss = script_mss();
	app_push(40 * mss);
	advance(50 * MS);
	sent = script_flow(0, 0)->host_sent - 1;
	check(sent <= 10 * mss && sent <= (14600 > 2 * mss ? 14600 : 2 * mss));
	check(sent >= 2 * mss);
	script_end_quietly();
}

/* RFC 6928, 2, and RFC 5681, 3.1: one segment after SYNs that were lost more than once. */
static void rfc5681_3_1__the_first_window_is_one_segment_after_lost_syns(void **state)
{
	struct script_options options = reno(0);
	uint32_t mss;

	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN);
	expect_within(980 * MS, 1100 * MS, .flags = SYN);
	expect_within(1980 * MS, 2200 * MS, .flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = script.options.mss);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	mss = script_mss();
	app_push(10 * mss);
	advance(50 * MS);
	check(script_flow(0, 0)->host_sent == 1 + mss);
	script_end_quietly();
}

/* RFC 5681, 3.1: slow start, with RFC 3465's limit: a segment or two more for each acknowledgment. */
static void rfc5681_3_1__slow_start_grows_by_what_is_acknowledged(void **state)
{
	uint32_t mss, before;

	begin(*state, 0);
	mss = script_mss();
	app_push(60 * mss);
	advance(20 * MS);
	before = script_flow(0, 0)->host_sent;
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	advance(5 * MS);
	check(script_flow(0, 0)->host_sent - before >= mss);
	check(script_flow(0, 0)->host_sent - before <= 2 * mss);
	before = script_flow(0, 0)->host_sent;
	inject(.flags = ACK, .seq = 1, .ack = 1 + 3 * mss);
	advance(5 * MS);
	check(script_flow(0, 0)->host_sent - before >= 2 * mss);
	check(script_flow(0, 0)->host_sent - before <= 4 * mss);
	script_end_quietly();
}

/* RFC 5681, 3.2 / RFC 3465, 2.3: acknowledging byte by byte opens the window no faster. */
static void rfc5681_3_1__divided_acks_do_not_blow_up_the_window(void **state)
{
	uint32_t mss, before;

	begin(*state, 0);
	mss = script_mss();
	app_push(100 * mss);
	advance(20 * MS);
	before = script_flow(0, 0)->host_sent;
	for (uint32_t i = 1; i <= 50; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1 + i * mss / 50);
	advance(20 * MS);
	check(script_flow(0, 0)->host_sent - before <= 3 * mss);
	script_end_quietly();
}

/* RFC 5681, 4.1: after an idle time no burst of an old window. */
static void rfc5681_4_1__after_an_idle_time_the_window_is_the_first_again(void **state)
{
	uint32_t mss, acked = 1, before;

	begin(*state, 0);
	mss = script_mss();
	app_push(150 * mss);
	while (!app_pushed()) {
		advance(5 * MS);
		script_skip();
		for (; acked + mss <= script_flow(0, 0)->host_sent; acked += mss)
			inject(.flags = ACK, .seq = 1, .ack = acked + mss);
	}
	check(app_stats().cwnd > 12 * mss);
	advance(20 * SECOND);
	app_push(40 * mss);
	before = script_flow(0, 0)->host_sent;
	advance(5 * MS);
	check(script_flow(0, 0)->host_sent - before <= 10 * mss);
	script_end_quietly();
}

/* ---- Fast retransmit: RFC 5681, 3.2; RFC 6582 ---- */

static void duplicate_acks(uint32_t ack, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		inject(.flags = ACK, .seq = 1, .ack = ack);
}

static void rfc5681_3_2__three_duplicate_acks_retransmit(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(5);
	advance(20 * MS);
	duplicate_acks(1, 2);
	expect_nothing(5 * MS);
	duplicate_acks(1, 1);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 5 * mss);
	check(app_pushed() == 1);
	expect_nothing(SECOND);
	script_end();
}

/* RFC 5681, 3.2, step 1; RFC 3042, 2: the first two let a new segment go, each. */
static void rfc3042_2__the_first_two_duplicate_acks_let_new_data_go(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(10);
	app_push(5 * mss);
	advance(20 * MS);
	check(script_skip() == 0);
	duplicate_acks(1, 1);
	expect(.flags = ACK, .seq = 1 + 10 * mss, .ack = 1, .length = mss);
	duplicate_acks(1, 1);
	expect(.flags = ACK, .seq = 1 + 11 * mss, .ack = 1, .length = mss);
	duplicate_acks(1, 1);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	script_end_quietly();
}

/* RFC 6582, 3.2: with one loss after the other each round trip repairs one, without the timer. */
static void rfc6582_3_2__many_losses_are_repaired_without_the_timer(void **state)
{
	uint32_t mss, acked = 1;
	uint64_t begin_ns;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(9);
	advance(20 * MS);
	begin_ns = script_now();
	/* The first, third, fifth and seventh are lost. */
	duplicate_acks(1, 5);
	for (unsigned int i = 0; i < 4; i++) {
		expect_within(0, 10 * MS, .flags = ACK, .seq = acked, .ack = 1, .length = mss);
		advance(20 * MS);
		acked += i < 3 ? 2 * mss : 3 * mss;
		inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	check(app_pushed() == 1);
	check(app_stats().timeouts == 0);
	check(script_now() - begin_ns < 150 * MS);
	script_end();
}

/* RFC 5681, (4) and 3.2, step 6: half of it, and it stays so. */
static void rfc5681_3_2__fast_recovery_halves_the_window(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(8);
	advance(20 * MS);
	duplicate_acks(1, 3);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	check(app_stats().ssthresh == 4 * mss);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 8 * mss);
	check(app_stats().cwnd <= 5 * mss);
	check(app_stats().ssthresh == 4 * mss);
	script_end();
}

/* RFC 5681, 2: what has text, or another window, or acknowledges something is no duplicate. */
static void rfc5681_2__window_updates_and_text_are_no_duplicate_acks(void **state)
{
	begin(*state, 20 * MS);
	push_segments(5);
	advance(20 * MS);
	for (uint32_t i = 0; i < 4; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1, .window = 50000 + i * 1000);
	expect_nothing(20 * MS);
	for (uint32_t i = 0; i < 4; i++)
		inject(.flags = ACK, .seq = 1 + i * 10, .ack = 1, .length = 10, .window = 53000);
	advance(20 * MS);
	while (script.heard_next < script.heard_count)
		check(script_next(0)->length == 0);
	script_end_quietly();
}

/* Nothing is under way: acknowledgments again mean nothing. */
static void rfc5681_2__duplicate_acks_with_nothing_under_way_do_nothing(void **state)
{
	begin(*state, 0);
	pass_data(1, 0);
	duplicate_acks(101, 10);
	expect_nothing(SECOND);
	check(app_stats().retransmissions == 0);
	script_end();
}

/* RFC 6582, 3.2, step 3: a partial acknowledgment retransmits the next at once. */
static void rfc6582_3_2__a_partial_ack_retransmits_the_next_hole(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(6);
	advance(20 * MS);
	duplicate_acks(1, 3);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	advance(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss);
	expect(.flags = ACK, .seq = 1 + 2 * mss, .ack = 1, .length = mss);
	advance(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 4 * mss);
	expect(.flags = ACK, .seq = 1 + 4 * mss, .ack = 1, .length = mss);
	advance(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 6 * mss);
	check(app_pushed() == 1);
	expect_nothing(SECOND);
	script_end();
}

/* RFC 6582, 3.2, step 1: within one recovery duplicates retransmit nothing twice. */
static void rfc6582_3_2__more_duplicate_acks_do_not_retransmit_again(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(10);
	advance(20 * MS);
	duplicate_acks(1, 3);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	duplicate_acks(1, 6);
	expect_nothing(10 * MS);
	script_end_quietly();
}

/* RFC 6582, 3.2: after a timeout the duplicates of what was sent before it start no recovery. */
static void rfc6582_3_2__duplicate_acks_after_a_timeout_do_not_retransmit(void **state)
{
	uint32_t mss;

	begin(*state, 0);
	mss = script_mss();
	push_segments(6);
	expect_within(190 * MS, 250 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 3 * mss);
	advance(10 * MS);
	script_skip();
	duplicate_acks(1 + 3 * mss, 4);
	/* What slow start retransmits anyway it has sent; not this one again. */
	advance(10 * MS);
	while (script.heard_next < script.heard_count)
		check(script_next(0)->seq != 1 + 3 * mss);
	script_end_quietly();
}

/*
 * RFC 6582, 3.2, step 2: duplicates of the very end of a recovery may be of what it sent needlessly. Only
 * what lies beyond it begins another.
 */
static void rfc6582_3_2__duplicate_acks_of_the_end_of_recovery_do_not_retransmit(void **state)
{
	uint32_t mss;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(10);
	advance(20 * MS);
	duplicate_acks(1, 3);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 10 * mss);
	check(app_pushed() == 1);
	script_skip();
	push_segments(5);
	duplicate_acks(1 + 10 * mss, 3);
	expect_nothing(10 * MS);
	/* Here it is a loss. */
	inject(.flags = ACK, .seq = 1, .ack = 1 + 11 * mss);
	duplicate_acks(1 + 11 * mss, 3);
	expect(.flags = ACK, .seq = 1 + 11 * mss, .ack = 1, .length = mss);
	script_end_quietly();
}

/* RFC 5681, 3.2, step 4, and RFC 3042: in recovery new data goes as segments leave the network. */
static void rfc5681_3_2__new_data_goes_in_recovery(void **state)
{
	uint32_t mss;
	bool is_new = false;

	begin(*state, 20 * MS);
	mss = script_mss();
	push_segments(10);
	app_push(5 * mss);
	advance(20 * MS);
	duplicate_acks(1, 9);
	advance(5 * MS);
	while (script.heard_next < script.heard_count) {
		if (script_next(0)->seq >= 1 + 10 * mss)
			is_new = true;
	}
	check(is_new);
	script_end_quietly();
}

/*
 * RFC 5681, (4): ssthresh is of the first timeout; another one of the same segment leaves it, and what there
 * was before: if all of it was a mistake (RFC 3522), that comes back.
 */
static void rfc5681_3_1__a_second_timeout_leaves_the_threshold(void **state)
{
	struct script_options options = reno(0);
	uint32_t mss, before, threshold, echo;

	options.timestamps = true;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	push_segments(8);
	before = app_stats().cwnd;
	echo = script_flow(0, 0)->host_echo;
	expect_within(190 * MS, 250 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = mss);
	threshold = app_stats().ssthresh;
	check(threshold == 4 * mss);
	expect_within(390 * MS, 500 * MS, .flags = ACK, .seq = 1, .ack = 1, .ignore = ANY_LENGTH);
	check(app_stats().timeouts == 2);
	check(app_stats().ssthresh == threshold);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1 + 8 * mss, .echo = echo);
	check(app_stats().cwnd >= before);
	check(app_stats().ssthresh > threshold);
	script_end();
}

/* ---- Acknowledgments and pushes ---- */

/* RFC 9293, 3.10.7.4: below SND.UNA it is ignored: nothing is complete by that. */
static void rfc9293_3_10_7_4__an_old_ack_completes_no_push(void **state)
{
	begin(*state, 0);
	pass_data(2, 0);
	check(app_pushed() == 2);
	app_push(100);
	expect(.flags = ACK, .seq = 201, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	advance(MS);
	check(app_pushed() == 2);
	check(script_counts().pieces == 1);
	inject(.flags = ACK, .seq = 1, .ack = 301);
	advance(MS);
	check(app_pushed() == 3);
	check(script_counts().pieces == 0);
	script_end();
}

/* Nor by an acknowledgment of a part. */
static void rfc9293_3_10_7_4__a_push_is_complete_when_its_last_byte_is(void **state)
{
	begin(*state, 0);
	app_push(1000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	inject(.flags = ACK, .seq = 1, .ack = 1000);
	advance(MS);
	check(app_pushed() == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1001);
	advance(MS);
	check(app_pushed() == 1);
	script_end();
}

/* 3.10.7.4: of what was not sent: answered by an acknowledgment, and dropped. */
static void rfc9293_3_10_7_4__an_ack_of_unsent_data_is_answered_and_dropped(void **state)
{
	begin(*state, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 102);
	expect(.flags = ACK, .seq = 101, .ack = 1);
	advance(MS);
	check(app_pushed() == 0);
	/* Its text neither. */
	inject(.flags = ACK, .seq = 1, .ack = 5000, .length = 10);
	expect(.flags = ACK, .seq = 101, .ack = 1);
	check(script.app.received == 0);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	advance(MS);
	check(app_pushed() == 1);
	script_end();
}

/* The middle of a segment: the rest is sent again, no more. */
static void rfc9293_3_10_8__what_is_sent_again_begins_at_the_first_missing_byte(void **state)
{
	const struct segment *again;

	begin(*state, 0);
	app_push(1000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	inject(.flags = ACK, .seq = 1, .ack = 401);
	again = script_next(2 * SECOND);
	check(again && again->length);
	/* With or without what was acknowledged; whole in any case. */
	check(again->seq <= 401 && again->seq + again->length == 1001);
	inject(.flags = ACK, .seq = 1, .ack = 1001);
	check(app_pushed() == 1);
	script_end();
}

/* The acknowledgment and window of a retransmission are of now. */
static void rfc9293_3_10_8__a_retransmission_acknowledges_what_has_come_since(void **state)
{
	begin(*state, 0);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 70);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 101, .ack = 71);
	expect_within(0, 500 * MS, .flags = ACK, .seq = 1, .ack = 71, .length = 100);
	script_end();
}

/* ---- Giving up: RFC 9293, 3.8.3; RFC 5482 ---- */

/* SHLD-11: not before 100 s; then the application is told. */
static void rfc9293_3_8_3__retransmissions_end_after_a_while(void **state)
{
	begin(*state, 0);
	app_push(100);
	advance(99 * SECOND);
	check(script.app.ends == 0 && script.app.told_count == 0);
	advance(3500 * SECOND);
	check(script_skip() >= 8);
	check(script.app.ends == 1 && script.app.end_error == ETIMEDOUT);
	check(script.app.told_count == 1 && script.app.told[0].error == ETIMEDOUT);
	check(app_state() == TCP_STATE_CLOSED);
	check(script_counts().pieces == 0 && script_counts().segments == 0);
	expect_nothing(300 * SECOND);
	script_end();
}

/* RFC 5482, 3.1: how long data may be without acknowledgment. */
static void rfc5482_3__the_user_timeout_ends_the_connection(void **state)
{
	begin(*state, 0);
	app_settings()->user_timeout_ms = 5000;
	tcp_settings_changed(script.app.conn);
	app_push(100);
	advance(4900 * MS);
	check(script.app.ends == 0);
	advance(10 * SECOND);
	check(script_skip() >= 3);
	check(script.app.ends == 1 && script.app.end_error == ETIMEDOUT);
	check(script.app.told_count == 1 && script.app.told[0].error == ETIMEDOUT);
	script_end();
}

/* It runs while something waits only, and each acknowledgment of new data starts it anew. */
static void rfc5482_3__the_user_timeout_counts_from_the_last_progress(void **state)
{
	begin(*state, 0);
	app_settings()->user_timeout_ms = 5000;
	tcp_settings_changed(script.app.conn);
	expect_nothing(20 * SECOND);
	push_segments(2);
	advance(4 * SECOND);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1 + script_mss());
	advance(4 * SECOND);
	check(script.app.ends == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * script_mss());
	script_skip();
	expect_nothing(60 * SECOND);
	check(script.app.ends == 0 && app_pushed() == 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc6298_5__the_timer_retransmits_and_backs_off),
		SCRIPT_TEST(rfc6298_2__the_first_sample_makes_the_timeout),
		SCRIPT_TEST(rfc6298_2__further_samples_are_smoothed),
		SCRIPT_TEST(rfc6298_2__samples_have_their_weights),
		SCRIPT_TEST(rfc6298_2__the_timeout_is_not_below_its_minimum),
		SCRIPT_TEST(rfc6298_2__the_timeout_is_not_above_its_maximum),
		SCRIPT_TEST(rfc6298_5__an_ack_of_new_data_restarts_the_timer),
		SCRIPT_TEST(rfc6298_5__an_ack_of_nothing_new_does_not_restart_the_timer),
		SCRIPT_TEST(rfc6298_5__with_all_acknowledged_nothing_is_sent_again),
		SCRIPT_TEST(rfc6298_5__a_timeout_retransmits_the_first_segment_alone),
		SCRIPT_TEST(rfc5681_3_1__a_timeout_halves_the_threshold),
		SCRIPT_TEST(rfc6298_3__what_was_sent_twice_makes_no_sample),
		SCRIPT_TEST(rfc6298_3__what_a_hole_held_back_makes_no_sample),
		SCRIPT_TEST(rfc6298_5__a_doubled_timeout_stays_until_the_next_sample),
		SCRIPT_TEST(rfc6298_5_7__after_a_lost_syn_the_first_timeout_is_three_seconds),
		SCRIPT_TEST(rfc6928_2__the_first_window_is_ten_segments),
		SCRIPT_TEST(rfc5681_3_1__the_first_window_is_one_segment_after_lost_syns),
		SCRIPT_TEST(rfc5681_3_1__slow_start_grows_by_what_is_acknowledged),
		SCRIPT_TEST(rfc5681_3_1__divided_acks_do_not_blow_up_the_window),
		SCRIPT_TEST(rfc5681_4_1__after_an_idle_time_the_window_is_the_first_again),
		SCRIPT_TEST(rfc5681_3_2__three_duplicate_acks_retransmit),
		SCRIPT_TEST(rfc3042_2__the_first_two_duplicate_acks_let_new_data_go),
		SCRIPT_TEST(rfc6582_3_2__many_losses_are_repaired_without_the_timer),
		SCRIPT_TEST(rfc5681_3_2__fast_recovery_halves_the_window),
		SCRIPT_TEST(rfc5681_2__window_updates_and_text_are_no_duplicate_acks),
		SCRIPT_TEST(rfc5681_2__duplicate_acks_with_nothing_under_way_do_nothing),
		SCRIPT_TEST(rfc6582_3_2__a_partial_ack_retransmits_the_next_hole),
		SCRIPT_TEST(rfc6582_3_2__more_duplicate_acks_do_not_retransmit_again),
		SCRIPT_TEST(rfc6582_3_2__duplicate_acks_after_a_timeout_do_not_retransmit),
		SCRIPT_TEST(rfc5681_3_2__new_data_goes_in_recovery),
		SCRIPT_TEST(rfc9293_3_10_7_4__an_old_ack_completes_no_push),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_push_is_complete_when_its_last_byte_is),
		SCRIPT_TEST(rfc9293_3_10_7_4__an_ack_of_unsent_data_is_answered_and_dropped),
		SCRIPT_TEST(rfc9293_3_10_8__what_is_sent_again_begins_at_the_first_missing_byte),
		SCRIPT_TEST(rfc9293_3_10_8__a_retransmission_acknowledges_what_has_come_since),
		SCRIPT_TEST(rfc9293_3_8_3__retransmissions_end_after_a_while),
		SCRIPT_TEST(rfc5482_3__the_user_timeout_ends_the_connection),
		SCRIPT_TEST(rfc5482_3__the_user_timeout_counts_from_the_last_progress),
		SCRIPT_TEST(rfc5681_3_1__a_second_timeout_leaves_the_threshold),
		SCRIPT_TEST(rfc6582_3_2__duplicate_acks_of_the_end_of_recovery_do_not_retransmit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
