/* SPDX-License-Identifier: MIT */
/* Ends of connections: RFC 9293, 3.6, 3.5.3, 3.10.4, 3.10.5; RFC 1122, 4.2.2.13; RFC 2525, 2.17. */
#include "script.h"

/* ---- The orders of closing: 3.6 ---- */

/* Case 1: we close first. */
static void rfc9293_3_6__we_close_first(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_close();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	check(script.app.closes == 0);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
	check(script_counts().time_waits == 1);
	check(script_counts().sockets == 1); /* the listener's */
	script_end();
}

/* Case 2: the peer closes first; no TIME-WAIT here. */
static void rfc9293_3_6__the_peer_closes_first(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	app_close();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 2);
	check(script.app.closes == 0);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	check(script_counts().connections == 0);
	check(script_counts().time_waits == 0);
	script_end();
}

/* Case 3: both at once. */
static void rfc9293_3_6__both_close_at_once(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_closing();
	check(script.app.ends == 1 && script.app.end_error == 0);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_TIME_WAIT);
	expect_nothing(SECOND);
	script_end();
}

/* FIN-WAIT-1: a FIN that acknowledges ours leads to TIME-WAIT at once. */
static void rfc9293_3_10_7_4__a_fin_that_acknowledges_ours_leads_to_time_wait(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_TIME_WAIT);
	check(script.app.ends == 1 && script.app.end_error == 0);
	script_end();
}

static void rfc9293_3_10_4__what_was_pushed_goes_before_the_fin(void **state)
{
	const struct segment *data, *fin;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(100);
	app_close();
	data = expect(.ignore = ANY_FLAGS, .seq = 1, .ack = 1, .length = 100);
	if (!(data->flags & FIN)) {
		fin = expect(.flags = FIN | ACK, .seq = 101, .ack = 1);
		check(fin->length == 0);
	}
	inject(.flags = ACK, .seq = 1, .ack = 101);
	advance(MS);
	check(script.app.closes == 0);
	inject(.flags = ACK, .seq = 1, .ack = 102);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	script_end_quietly();
}

/* What the window holds back goes later, and then the FIN. */
static void rfc9293_3_10_4__a_close_waits_for_the_window(void **state)
{
	const struct segment *last;

	script_begin(*state, &(struct script_options){.window = 1000});
	open_passive();
	app_push(1500);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	app_close();
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1001);
	last = expect(.ignore = ANY_FLAGS, .seq = 1001, .ack = 1, .length = 500);
	if (!(last->flags & FIN))
		expect(.flags = FIN | ACK, .seq = 1501, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1502);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1502, .ack = 2);
	check(script.app.closes == 1 && script.app.close_error == 0);
	script_end();
}

/* ---- The peer's FIN ---- */

static void rfc9293_3_10_7_4__a_fin_with_data_ends_after_the_data(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 102);
	check(script.app.received == 100);
	check(script.app.ends == 1 && script.app.end_error == 0);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	script_end();
}

/* What waits for the application comes before the end. */
static void rfc9293_3_10_7_4__data_that_waits_is_taken_before_the_end(void **state)
{
	int error = -1;

	script_begin(*state, &(struct script_options){.refuses = true});
	open_passive();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 102);
	check(app_take() == 100);
	check(tcp_ended(script.app.conn, &error) && error == 0);
	script_end();
}

static void rfc9293_3_10_7_4__a_fin_out_of_order_waits_for_what_is_before_it(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1, .length = 50);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.ends == 0);
	check(app_state() == TCP_STATE_ESTABLISHED);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	/* The FIN may have been kept, or comes again. */
	if (expect(.flags = ACK, .seq = 1, .ignore = ANY_ACK)->ack != 152) {
		inject(.flags = FIN | ACK, .seq = 101, .ack = 1, .length = 50);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 152);
	}
	check(script.app.received == 150);
	check(script.app.ends == 1 && script.app.end_error == 0);
	script_end();
}

/* A lone FIN ahead of missing data is no end. */
static void rfc9293_3_10_7_4__a_lone_fin_ahead_of_missing_data_is_no_end(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	expect_nothing(SECOND);
	check(script.app.ends == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 60);
	inject(.flags = FIN | ACK, .seq = 61, .ack = 1, .length = 40);
	advance(DELAYED_NS);
	check(script_skip() >= 1);
	check(script_flow(0, 0)->receive_edge > 0);
	check(script.app.received == 100 && script.app.ends == 1);
	script_end();
}

static void rfc9293_3_10_7_4__a_fin_again_is_acknowledged_again(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	check(script.app.ends == 1);
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 1, .ack = 2);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_LAST_ACK);
	script_end();
}

static void rfc9293_3_10_7_4__a_fin_again_in_closing_is_acknowledged_again(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_closing();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_CLOSING);
	script_end();
}

/* CLOSE-WAIT: nothing can come behind a FIN. */
static void rfc9293_3_10_7_4__data_behind_a_fin_is_not_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	inject(.flags = ACK, .seq = 2, .ack = 1, .length = 10);
	while (script_next(SECOND))
		;
	check(script.app.received == 0);
	script_end_quietly();
}

/* ---- Half-closed connections: 3.6.1 ---- */

static void rfc9293_3_6_1__what_is_pushed_after_the_peers_fin_is_sent(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	app_push(300);
	expect(.flags = ACK, .seq = 1, .ack = 2, .length = 300);
	inject(.flags = ACK, .seq = 2, .ack = 301);
	advance(MS);
	check(app_pushed() == 1);
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 301, .ack = 2);
	inject(.flags = ACK, .seq = 2, .ack = 302);
	check(app_state() == TCP_STATE_CLOSED);
	script_end();
}

static void rfc9293_3_10_7_4__data_in_fin_wait_1_is_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 201);
	check(script.app.received == 200);
	inject(.flags = FIN | ACK, .seq = 201, .ack = 2, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 212);
	check(script.app.received == 210 && script.app.ends == 1);
	check(app_state() == TCP_STATE_TIME_WAIT);
	script_end();
}

static void rfc9293_3_10_7_4__data_in_fin_wait_2_is_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	for (uint32_t i = 0; i < 5; i++) {
		inject(.flags = ACK, .seq = 1 + i * 100, .ack = 2, .length = 100);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 101 + i * 100);
		advance(SECOND);
	}
	check(script.app.received == 500 && script.app.ends == 0);
	inject(.flags = FIN | ACK, .seq = 501, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 502);
	check(script.app.ends == 1 && script.app.end_error == 0);
	script_end();
}

/* Out of order too. */
static void rfc9293_3_10_7_4__data_out_of_order_in_fin_wait_2_is_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	inject(.flags = FIN | ACK, .seq = 101, .ack = 2, .length = 100);
	expect(.flags = ACK, .seq = 2, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2, .length = 100);
	if (expect(.flags = ACK, .seq = 2, .ignore = ANY_ACK)->ack != 202) {
		inject(.flags = FIN | ACK, .seq = 101, .ack = 2, .length = 100);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 202);
	}
	check(script.app.received == 200 && script.app.ends == 1);
	check(app_state() == TCP_STATE_TIME_WAIT);
	script_end();
}

/* A socket that waits half-closed does not die of it. */
static void rfc9293_3_6_1__a_half_closed_connection_waits_for_hours(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	expect_nothing(2 * 3600 * SECOND);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	inject(.flags = ACK, .seq = 1, .ack = 2, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 101);
	check(script.app.received == 100);
	script_end();
}

static void rfc9293_3_10_2__a_push_after_shutdown_fails(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	check(app_try_push(10) == -EPIPE);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_try_push(10) == -EPIPE);
	expect_nothing(SECOND);
	script_end();
}

/* ---- The FIN is reliable ---- */

static void rfc9293_3_10_4__a_fin_is_sent_again_until_it_is_acknowledged(void **state)
{
	const struct segment *again;
	uint64_t first_ns, gap_ns;

	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	first_ns = script.event_ns;
	again = expect_within(190 * MS, 1100 * MS, .flags = FIN | ACK, .seq = 1, .ack = 1);
	gap_ns = again->at_ns - first_ns;
	expect_within(gap_ns * 3 / 2, gap_ns * 3, .flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	expect_nothing(20 * SECOND);
	script_end();
}

static void rfc9293_3_10_4__a_fin_is_sent_again_in_last_ack(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_last_ack();
	expect_within(190 * MS, 1100 * MS, .flags = FIN | ACK, .seq = 1, .ack = 2);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_CLOSED);
	expect_nothing(20 * SECOND);
	script_end();
}

/* With the text before it, when both were lost. */
static void rfc9293_3_10_4__text_and_fin_are_sent_again_together(void **state)
{
	uint32_t end = 0;

	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	app_push(100);
	app_close();
	advance(MS);
	check(script_skip() >= 1);
	/* Whatever is sent again, in the end it has been all: 100 bytes and the FIN. */
	for (unsigned int i = 0; i < 8 && end != 102; i++) {
		const struct segment *again = script_next(5 * SECOND);

		check(again);
		end = again->seq + again->length + !!(again->flags & FIN);
		if (end != 102)
			inject(.flags = ACK, .seq = 1, .ack = end);
	}
	check(end == 102);
	inject(.flags = ACK, .seq = 1, .ack = 102);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	script_end_quietly();
}

/* An acknowledgment of the text alone: the FIN comes again. */
static void rfc9293_3_10_4__a_fin_that_was_lost_behind_its_text_is_sent_again(void **state)
{
	const struct segment *again;

	script_begin(*state, &(struct script_options){.sack = true, .timestamps = true});
	open_passive();
	app_push(100);
	app_close();
	advance(MS);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 101);
	again = script_next(5 * SECOND);
	check(again && (again->flags & FIN));
	check(again->seq + again->length == 101);
	inject(.flags = ACK, .seq = 1, .ack = 102);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	script_end_quietly();
}

/* Text behind the number of a FIN cannot be. */
static void rfc9293_3_10_7_4__text_behind_an_early_fin_is_not_delivered(void **state)
{
	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1, .length = 50);
	inject(.flags = ACK, .seq = 152, .ack = 1, .length = 50);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = FIN | ACK, .seq = 101, .ack = 1, .length = 50);
	advance(SECOND);
	script_skip();
	check(script.app.received == 150);
	check(script.app.ends == 1 && script.app.end_error == 0);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	script_end_quietly();
}

/* An acknowledgment of all but the FIN does not end LAST-ACK; nor one of too much. */
static void rfc9293_3_10_7_4__only_the_ack_of_our_fin_ends_last_ack(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_last_ack();
	inject(.flags = ACK, .seq = 2, .ack = 1);
	check(app_state() == TCP_STATE_LAST_ACK);
	inject(.flags = ACK, .seq = 2, .ack = 3);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_LAST_ACK);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_CLOSED);
	script_end();
}

/* After the end there is nothing: 3.10.7.1. */
static void rfc9293_3_10_7_1__a_segment_after_the_end_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_last_ack();
	inject(.flags = ACK, .seq = 2, .ack = 2);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	expect(.flags = RST, .seq = 2);
	script_end();
}

/* ---- Data that nobody reads: 3.6.1; RFC 1122, 4.2.2.13; RFC 2525, 2.17 ---- */

static void rfc9293_3_6_1__a_close_with_unread_data_resets(void **state)
{
	script_begin(*state, &(struct script_options){.refuses = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	app_drop();
	check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 1)->flags & RST);
	expect_nothing(10 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

/* An application that waits for the end of it may be meant to have all delivered before: SHLD-3. */
static void rfc9293_3_6_1__a_close_that_is_waited_for_with_unread_data_ends(void **state)
{
	script_begin(*state, &(struct script_options){.refuses = true});
	open_passive();
	app_push(50);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 50);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 51, .ack = 101);
	app_close();
	if (!(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 51)->flags & RST)) {
		inject(.flags = ACK, .seq = 101, .ack = 52);
		inject(.flags = ACK, .seq = 101, .ack = 52, .length = 10);
		check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 52)->flags & RST);
	}
	check(script.app.closes == 1);
	check(script_counts().connections == 0);
	script_end();
}

/* What comes after it is lost as well, and the peer is told. */
static void rfc9293_3_6_1__data_after_close_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_close();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	inject(.flags = ACK, .seq = 1, .ack = 2, .length = 100);
	check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 2)->flags & RST);
	check(script_counts().connections == 0);
	expect_nothing(10 * SECOND);
	script_end();
}

/* Before our FIN is acknowledged as well. */
static void rfc9293_3_6_1__data_in_fin_wait_1_after_close_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_drop();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 2)->flags & RST);
	check(script_counts().connections == 0);
	script_end();
}

/* ---- Abort: 3.10.5 ---- */

static void rfc9293_3_10_5__a_linger_time_of_zero_resets(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_linger_zero();
	app_close();
	check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 101)->flags & RST);
	expect_nothing(10 * SECOND);
	check(script_counts().connections == 0);
	check(script_counts().time_waits == 0);
	inject(.flags = ACK, .seq = 1, .ack = 101);
	expect(.flags = RST, .seq = 101);
	script_end();
}

static void rfc9293_3_10_5__an_abort_in_close_wait_resets(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	app_linger_zero();
	app_close();
	check(expect(.ignore = ANY_FLAGS | ANY_ACK, .seq = 1)->flags & RST);
	check(script_counts().connections == 0);
	script_end();
}

/* ---- Resets that arrive, in each state: 3.5.3, 3.10.7.4 ---- */

static void rfc9293_3_5_3__a_reset_in_established_wakes_who_reads_and_who_pushes(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = RST, .seq = 1);
	advance(MS);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	check(script.app.told_count == 1 && script.app.told[0].error == ECONNRESET);
	check(app_state() == TCP_STATE_CLOSED);
	check(app_try_push(10) < 0);
	expect_nothing(10 * SECOND);
	script_end();
}

/* RFC 9293, SHLD-2: it may say why. */
static void rfc9293_3_5_3__a_reset_with_data_is_a_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = RST | ACK, .seq = 1, .ack = 1, .length = 20);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	check(script.app.received == 0);
	expect_nothing(SECOND);
	script_end();
}

static void rfc9293_3_5_3__a_reset_in_fin_wait_1_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	inject(.flags = RST, .seq = 1);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	check(script_counts().connections == 0);
	expect_nothing(10 * SECOND);
	script_end();
}

static void rfc9293_3_5_3__a_reset_in_fin_wait_2_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	inject(.flags = RST, .seq = 1);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	check(script_counts().connections == 0);
	expect_nothing(10 * SECOND);
	script_end();
}

/* Everything had come already, so what is told is the pushes' loss. */
static void rfc9293_3_5_3__a_reset_in_close_wait_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 2, .length = 100);
	inject(.flags = RST, .seq = 2);
	advance(MS);
	check(script.app.told_count == 1 && script.app.told[0].error == ECONNRESET);
	check(app_state() == TCP_STATE_CLOSED);
	check(app_try_push(10) < 0);
	expect_nothing(10 * SECOND);
	script_end();
}

static void rfc9293_3_10_7_4__a_reset_in_closing_and_last_ack_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_closing();
	inject(.flags = RST, .seq = 2);
	check(app_state() == TCP_STATE_CLOSED);
	check(script_counts().connections == 0);
	script_end();
	script_begin(*state, &(struct script_options){0});
	reach_last_ack();
	inject(.flags = RST, .seq = 2);
	check(app_state() == TCP_STATE_CLOSED);
	expect_nothing(10 * SECOND);
	script_end();
}

/* MUST-12: who closed and lingers on is told of the reset. */
static void rfc9293_3_6__a_reset_after_close_is_told_to_who_waits(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(100);
	app_close();
	advance(MS);
	check(script_skip() >= 1);
	inject(.flags = RST, .seq = 1);
	advance(MS);
	check(script.app.closes == 1 && script.app.close_error == ECONNRESET);
	check(script_counts().connections == 0);
	script_end();
}

/* More is pushed than is kept: a FIN behind a part of it would say that this was all. */
static void rfc9293_3_10_4__a_close_that_cannot_keep_what_was_pushed_resets(void **state)
{
	struct net_tcp_options tcp = script_tcp();

	tcp.buffer = tcp.max_buffer = 65536;
	script_begin(*state, &(struct script_options){.tcp = tcp, .window = 1000});
	open_passive();
	app_push(65537);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	app_drop();
	expect(.flags = RST | ACK, .seq = 1001, .ack = 1);
	check(script_counts().connections == 0);
	script_end();
}

/* What fits is sent, and the FIN behind it. */
static void rfc9293_3_10_4__a_close_that_keeps_what_was_pushed_sends_it(void **state)
{
	struct net_tcp_options tcp = script_tcp();
	uint32_t acked = 1;

	tcp.buffer = tcp.max_buffer = 65536;
	script_begin(*state, &(struct script_options){.tcp = tcp, .window = 1000});
	open_passive();
	app_push(65536);
	app_drop();
	while (acked <= 65536) {
		const struct segment *segment = script_next(SECOND);

		check(segment && !(segment->flags & RST));
		check(!(segment->flags & FIN) || segment->seq + segment->length == 65537);
		acked = segment->seq + segment->length + !!(segment->flags & FIN);
		inject(.flags = ACK, .seq = 1, .ack = acked);
	}
	if (acked == 65537) {
		expect(.flags = FIN | ACK, .seq = 65537, .ack = 1);
		inject(.flags = ACK, .seq = 1, .ack = 65538);
	}
	script_end_quietly();
}

/* ---- Orphans ---- */

/* A peer that never closes is not waited for without end once the application has gone. */
static void rfc9293_3_6__an_orphan_in_fin_wait_2_ends(void **state)
{
	struct net_tcp_options tcp = script_tcp();

	tcp.orphan_timeout_ms = 5000;
	script_begin(*state, &(struct script_options){.tcp = tcp});
	open_passive();
	app_close();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	advance(4 * SECOND);
	check(script_counts().connections == 1);
	advance(1800 * SECOND);
	check(script_counts().connections == 0);
	script_end_quietly();
}

/* Nor a peer that has gone. */
static void rfc9293_3_8_3__an_orphan_whose_peer_is_silent_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(1000);
	app_close();
	advance(3600 * SECOND);
	check(script_skip() >= 3);
	check(script.app.closes == 1 && script.app.close_error == ETIMEDOUT);
	check(script_counts().connections == 0);
	check(script_counts().pieces == 0);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_6__we_close_first),
		SCRIPT_TEST(rfc9293_3_6__the_peer_closes_first),
		SCRIPT_TEST(rfc9293_3_6__both_close_at_once),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_that_acknowledges_ours_leads_to_time_wait),
		SCRIPT_TEST(rfc9293_3_10_4__what_was_pushed_goes_before_the_fin),
		SCRIPT_TEST(rfc9293_3_10_4__a_close_waits_for_the_window),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_with_data_ends_after_the_data),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_that_waits_is_taken_before_the_end),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_out_of_order_waits_for_what_is_before_it),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_lone_fin_ahead_of_missing_data_is_no_end),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_again_is_acknowledged_again),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_again_in_closing_is_acknowledged_again),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_behind_a_fin_is_not_delivered),
		SCRIPT_TEST(rfc9293_3_6_1__what_is_pushed_after_the_peers_fin_is_sent),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_in_fin_wait_1_is_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_in_fin_wait_2_is_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_out_of_order_in_fin_wait_2_is_delivered),
		SCRIPT_TEST(rfc9293_3_6_1__a_half_closed_connection_waits_for_hours),
		SCRIPT_TEST(rfc9293_3_10_2__a_push_after_shutdown_fails),
		SCRIPT_TEST(rfc9293_3_10_4__a_fin_is_sent_again_until_it_is_acknowledged),
		SCRIPT_TEST(rfc9293_3_10_4__a_fin_is_sent_again_in_last_ack),
		SCRIPT_TEST(rfc9293_3_10_4__text_and_fin_are_sent_again_together),
		SCRIPT_TEST(rfc9293_3_10_4__a_fin_that_was_lost_behind_its_text_is_sent_again),
		SCRIPT_TEST(rfc9293_3_10_7_4__text_behind_an_early_fin_is_not_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__only_the_ack_of_our_fin_ends_last_ack),
		SCRIPT_TEST(rfc9293_3_10_7_1__a_segment_after_the_end_is_reset),
		SCRIPT_TEST(rfc9293_3_6_1__a_close_with_unread_data_resets),
		SCRIPT_TEST(rfc9293_3_6_1__a_close_that_is_waited_for_with_unread_data_ends),
		SCRIPT_TEST(rfc9293_3_6_1__data_after_close_is_reset),
		SCRIPT_TEST(rfc9293_3_6_1__data_in_fin_wait_1_after_close_is_reset),
		SCRIPT_TEST(rfc9293_3_10_5__a_linger_time_of_zero_resets),
		SCRIPT_TEST(rfc9293_3_10_5__an_abort_in_close_wait_resets),
		SCRIPT_TEST(rfc9293_3_5_3__a_reset_in_established_wakes_who_reads_and_who_pushes),
		SCRIPT_TEST(rfc9293_3_5_3__a_reset_with_data_is_a_reset),
		SCRIPT_TEST(rfc9293_3_5_3__a_reset_in_fin_wait_1_ends),
		SCRIPT_TEST(rfc9293_3_5_3__a_reset_in_fin_wait_2_ends),
		SCRIPT_TEST(rfc9293_3_5_3__a_reset_in_close_wait_ends),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_reset_in_closing_and_last_ack_ends),
		SCRIPT_TEST(rfc9293_3_6__a_reset_after_close_is_told_to_who_waits),
		SCRIPT_TEST(rfc9293_3_10_4__a_close_that_cannot_keep_what_was_pushed_resets),
		SCRIPT_TEST(rfc9293_3_10_4__a_close_that_keeps_what_was_pushed_sends_it),
		SCRIPT_TEST(rfc9293_3_6__an_orphan_in_fin_wait_2_ends),
		SCRIPT_TEST(rfc9293_3_8_3__an_orphan_whose_peer_is_silent_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
