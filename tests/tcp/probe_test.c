/* SPDX-License-Identifier: MIT */
/* Probes of shut windows: RFC 9293, 3.8.6.1; RFC 1122, 4.2.2.17; RFC 9293, 3.4 as their receiver. */
#include "script.h"

/*
 * At least one byte of new data or what was sent before: the byte at SND.NXT, or an empty segment
 * or one byte below it. Never a number that is higher: the peer would drop it and ask for the gap.
 */
static const struct segment *expect_probe(uint64_t from_ns, uint64_t to_ns, uint32_t next)
{
	const struct segment *probe = expect_within(from_ns, to_ns, .flags = ACK,
						    .ack = script_flow(0, 0)->peer_sent,
						    .ignore = ANY_SEQ | ANY_LENGTH);

	check((probe->seq == next && probe->length == 1) ||
	      (probe->seq == next - 1 && probe->length <= 1));
	return probe;
}

static void shut(void)
{
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(500);
}

/* SHLD-29, SHLD-30: the first after the retransmission timeout, then twice as long each. */
static void rfc9293_3_8_6_1__a_shut_window_is_probed_with_back_off(void **state)
{
	uint64_t event_ns, gap_ns;

	script_begin(*state, &(struct script_options){0});
	shut();
	event_ns = script.event_ns;
	gap_ns = expect_probe(150 * MS, 1200 * MS, 1)->at_ns - event_ns;
	for (unsigned int i = 0; i < 5; i++) {
		event_ns = script.event_ns;
		gap_ns = expect_probe(gap_ns * 7 / 4, gap_ns * 9 / 4, 1)->at_ns - event_ns;
	}
	script_end();
}

/* With the window shut after data: the number is SND.NXT, not one more. */
static void rfc9293_3_8_6_1__a_probe_has_the_number_of_the_next_byte(void **state)
{
	script_begin(*state, &(struct script_options){.window = 1000});
	open_passive();
	app_push(1500);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	inject(.flags = ACK, .seq = 1, .ack = 1001, .zero_window = true);
	expect_probe(150 * MS, 1200 * MS, 1001);
	/* The byte was not taken. */
	inject(.flags = ACK, .seq = 1, .ack = 1001, .zero_window = true);
	expect_probe(150 * MS, 3 * SECOND, 1001);
	script_end();
}

/* All of it arrives when the window opens, whether the probe's byte was taken or not. */
static void rfc9293_3_8_6_1__a_window_that_opens_after_a_probe_is_used(void **state)
{
	script_begin(*state, &(struct script_options){0});
	shut();
	expect_probe(150 * MS, 1200 * MS, 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	if (!script_next(PROMPT_NS))
		script_fail(__FILE__, __LINE__, "nothing is sent into the open window", NULL);
	advance(MS);
	check(script_flow(0, 0)->host_sent == 501);
	inject(.flags = ACK, .seq = 1, .ack = 501);
	check(app_pushed() == 1);
	script_end_quietly();
}

static void rfc9293_3_8_6_1__a_probe_that_was_taken_counts(void **state)
{
	const struct segment *probe;

	script_begin(*state, &(struct script_options){0});
	shut();
	probe = expect_probe(150 * MS, 1200 * MS, 1);
	if (probe->seq + probe->length == 2) {
		inject(.flags = ACK, .seq = 1, .ack = 2, .window = 5000);
		expect(.flags = ACK, .seq = 2, .ack = 1, .length = 499);
	} else {
		inject(.flags = ACK, .seq = 1, .ack = 1, .window = 5000);
		expect(.flags = ACK, .seq = 1, .ack = 1, .length = 500);
	}
	inject(.flags = ACK, .seq = 1, .ack = 501);
	check(app_pushed() == 1);
	script_end();
}

/* A probe that was taken with the window still shut: the next has the next byte. */
static void rfc9293_3_8_6_1__probes_advance_with_what_is_taken(void **state)
{
	const struct segment *probe;
	uint32_t next = 1;

	script_begin(*state, &(struct script_options){0});
	shut();
	for (unsigned int i = 0; i < 4; i++) {
		probe = expect_probe(150 * MS, 70 * SECOND, next);
		if ((int32_t)(probe->seq + probe->length - next) > 0)
			next = probe->seq + probe->length;
		inject(.flags = ACK, .seq = 1, .ack = next, .zero_window = true);
	}
	script_end();
}

/* MUST-37: as long as probes are answered the connection stays. */
static void rfc9293_3_8_6_1__a_window_may_stay_shut_for_hours(void **state)
{
	uint64_t end_ns;
	unsigned int probes = 0;

	script_begin(*state, &(struct script_options){0});
	shut();
	for (end_ns = script_now() + 3 * 3600 * SECOND; script_now() < end_ns; probes++) {
		/* At least each two minutes or so: RFC 6298, (2.5) lets 60 s and more be the most. */
		check(script_next(300 * SECOND));
		inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	}
	check(probes > 36);
	check(script.app.ends == 0 && script.app.told_count == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(script_next(PROMPT_NS));
	advance(MS);
	check(script_flow(0, 0)->host_sent == 501);
	script_end_quietly();
}

/* SHLD-17: nor does what was sent before the window shrank behind it, when the peer answers. */
static void rfc9293_3_8_6__text_beyond_a_shrunk_window_does_not_time_out(void **state)
{
	uint64_t end_ns;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(500);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 500);
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	for (end_ns = script_now() + 3600 * SECOND; script_now() < end_ns;) {
		check(script_next(300 * SECOND));
		inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	}
	check(script.app.ends == 0 && script.app.told_count == 0);
	inject(.flags = ACK, .seq = 1, .ack = 501);
	check(app_pushed() == 1);
	script_end_quietly();
}

/* SHLD-30: the answers, equal as they are, are no duplicate acknowledgments of a loss. */
static void check_answered_probes(const void *version, bool sack)
{
	struct script_options options = {.sack = sack, .tcp = script_tcp()};
	uint64_t event_ns, gap_ns;
	uint32_t threshold;

	options.tcp.congestion = &tcp_reno;
	script_begin(version, &options);
	shut();
	threshold = app_stats().ssthresh;
	event_ns = script.event_ns;
	gap_ns = expect_probe(150 * MS, 1200 * MS, 1)->at_ns - event_ns;
	for (unsigned int i = 0; i < 7; i++) {
		inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
		event_ns = script.event_ns;
		gap_ns = expect_probe(gap_ns * 3 / 2, gap_ns * 9 / 4, 1)->at_ns - event_ns;
	}
	check(app_stats().ssthresh == threshold);
	script_end();
}

static void rfc9293_3_8_6_1__answers_to_probes_are_no_duplicate_acks(void **state)
{
	check_answered_probes(*state, false);
}

static void rfc9293_3_8_6_1__answers_to_probes_are_no_duplicate_acks_with_sack(void **state)
{
	check_answered_probes(*state, true);
}

/* 3.8.3: but a peer that is gone is given up. */
static void rfc9293_3_8_3__probes_that_nobody_answers_end(void **state)
{
	script_begin(*state, &(struct script_options){0});
	shut();
	advance(100 * SECOND);
	check(script.app.ends == 0);
	advance(3600 * SECOND);
	check(script_skip() >= 5);
	check(script.app.ends == 1 && script.app.end_error == ETIMEDOUT);
	check(script.app.told_count == 1 && script.app.told[0].error == ETIMEDOUT);
	script_end();
}

/* Nothing to send, nothing to probe for. */
static void rfc9293_3_8_6_1__an_idle_connection_with_a_shut_window_is_not_probed(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	expect_nothing(100 * SECOND);
	script_end();
}

/* ---- Our own window is shut ---- */

static uint32_t shut_ours(void)
{
	uint32_t seq = 1;

	open_passive();
	while ((int32_t)(script_flow(0, 0)->receive_edge - seq) > 0) {
		uint32_t room = script_flow(0, 0)->receive_edge - seq;

		if (room > 1000)
			room = 1000;
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = room);
		seq += room;
		advance(DELAYED_NS);
	}
	script_skip();
	return seq;
}

/* 3.4: with a window of 0 a probe is answered and not taken. */
static void rfc9293_3_8_6_1__our_shut_window_answers_probes(void **state)
{
	const struct segment *answer;
	uint32_t seq;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 5000});
	seq = shut_ours();
	for (unsigned int i = 0; i < 5; i++) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1);
		answer = expect(.flags = ACK, .seq = 1, .ack = seq);
		check(answer->window == 0);
		advance(SECOND);
	}
	/* Of the form of an old byte too. */
	inject(.flags = ACK, .seq = seq - 1, .ack = 1, .length = 1);
	expect(.flags = ACK, .seq = 1, .ack = seq);
	check(app_take() == seq - 1);
	expect(.flags = ACK, .seq = 1, .ack = seq);
	inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = seq + 1);
	script_end_quietly();
}

/* The update was lost: the next probe's answer has the window. */
static void rfc9293_3_8_6_1__a_probes_answer_tells_of_a_window_that_has_opened(void **state)
{
	uint32_t seq;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 5000});
	seq = shut_ours();
	check(app_take() == seq - 1);
	advance(MS);
	script_skip();
	inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1);
	check(script_window(expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = seq + 1)) >
	      1000);
	script_end_quietly();
}

/* 3.10.7.4, MUST-66: acknowledgments and resets count with a shut window too. */
static void rfc9293_3_10_7_4__acks_are_taken_with_our_window_shut(void **state)
{
	uint32_t seq;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 5000});
	seq = shut_ours();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = seq, .length = 100);
	inject(.flags = ACK, .seq = seq, .ack = 101);
	advance(MS);
	check(app_pushed() == 1);
	script_end_quietly();
}

static void rfc9293_3_10_7_4__a_reset_is_taken_with_our_window_shut(void **state)
{
	uint32_t seq;
	int error = 0;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 5000});
	seq = shut_ours();
	inject(.flags = RST, .seq = seq);
	advance(MS);
	app_take();
	check(tcp_ended(script.app.conn, &error) && error == ECONNRESET);
	check(script_counts().connections == 0);
	script_end();
}

/* An ACK that comes with a byte beyond the window: the byte is dropped, the ACK may count. */
static void rfc9293_3_4__an_ack_with_a_probe_is_not_lost_for_ever(void **state)
{
	uint32_t seq;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 5000});
	seq = shut_ours();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = seq, .length = 100);
	inject(.flags = ACK, .seq = seq, .ack = 101, .length = 1);
	expect(.flags = ACK, .seq = 101, .ack = seq);
	inject(.flags = ACK, .seq = seq, .ack = 101);
	advance(MS);
	check(app_pushed() == 1);
	check(script.app.ends == 0);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_8_6_1__a_shut_window_is_probed_with_back_off),
		SCRIPT_TEST(rfc9293_3_8_6_1__a_probe_has_the_number_of_the_next_byte),
		SCRIPT_TEST(rfc9293_3_8_6_1__a_window_that_opens_after_a_probe_is_used),
		SCRIPT_TEST(rfc9293_3_8_6_1__a_probe_that_was_taken_counts),
		SCRIPT_TEST(rfc9293_3_8_6_1__probes_advance_with_what_is_taken),
		SCRIPT_TEST(rfc9293_3_8_6_1__a_window_may_stay_shut_for_hours),
		SCRIPT_TEST(rfc9293_3_8_6__text_beyond_a_shrunk_window_does_not_time_out),
		SCRIPT_TEST(rfc9293_3_8_6_1__answers_to_probes_are_no_duplicate_acks),
		SCRIPT_TEST(rfc9293_3_8_6_1__answers_to_probes_are_no_duplicate_acks_with_sack),
		SCRIPT_TEST(rfc9293_3_8_3__probes_that_nobody_answers_end),
		SCRIPT_TEST(rfc9293_3_8_6_1__an_idle_connection_with_a_shut_window_is_not_probed),
		SCRIPT_TEST(rfc9293_3_8_6_1__our_shut_window_answers_probes),
		SCRIPT_TEST(rfc9293_3_8_6_1__a_probes_answer_tells_of_a_window_that_has_opened),
		SCRIPT_TEST(rfc9293_3_10_7_4__acks_are_taken_with_our_window_shut),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_reset_is_taken_with_our_window_shut),
		SCRIPT_TEST(rfc9293_3_4__an_ack_with_a_probe_is_not_lost_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
