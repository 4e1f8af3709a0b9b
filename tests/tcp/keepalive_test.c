/* SPDX-License-Identifier: MIT */
/* Keep-alives: RFC 9293, 3.8.4; RFC 1122, 4.2.3.6. */
#include "script.h"

/* Below what is next, with nothing or one byte that the peer has: MAY-6, SHLD-12. */
static void expect_keep_alive(uint64_t from_ns, uint64_t to_ns, uint32_t next)
{
	const struct segment *probe;

	script.allows_any_payload = true;
	probe = expect_within(from_ns, to_ns, .flags = ACK, .seq = next - 1,
			      .ack = script_flow(0, 0)->peer_sent, .ignore = ANY_LENGTH);
	check(probe->length <= 1);
}

static void keep_alive(uint32_t idle_s, uint32_t interval_s, uint8_t probes)
{
	struct tcp_settings *settings = app_settings();

	settings->keep_alive = true;
	settings->keep_idle_s = idle_s;
	settings->keep_interval_s = interval_s;
	settings->keep_probes = probes;
	script_touch();
	tcp_settings_changed(script.app.conn);
}

/* MUST-25: off, and an idle connection lives as long as its ends do. */
static void rfc9293_3_8_4__an_idle_connection_is_left_alone(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	pass_data(1, 0);
	expect_nothing(3 * 86400 * SECOND);
	check(app_state() == TCP_STATE_ESTABLISHED);
	pass_data(1, 0);
	inject(.flags = ACK, .seq = 1, .ack = 201, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 201, .ack = 11);
	check(script.app.received == 10 && app_pushed() == 2);
	script_end();
}

/* MUST-28: two hours at least unless it is said otherwise. */
static void rfc9293_3_8_4__the_first_is_not_sent_within_two_hours(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_settings()->keep_alive = true;
	script_touch();
	tcp_settings_changed(script.app.conn);
	expect_nothing(7190 * SECOND);
	expect_keep_alive(7190 * SECOND, 8000 * SECOND, 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* MUST-26, MUST-27: after the idle time that was asked for, from the last that was heard. */
static void rfc9293_3_8_4__it_is_sent_after_the_idle_time(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	keep_alive(10, 2, 3);
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	/* Answered: the idle time begins again. */
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	advance(6 * SECOND);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	expect_keep_alive(9400 * MS, 10500 * MS, 1);
	script_end();
}

/* MUST-29: one that is not answered is no end; several are. */
static void rfc9293_3_8_4__probes_that_nobody_answers_end_the_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	keep_alive(10, 2, 3);
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	expect_keep_alive(1900 * MS, 2300 * MS, 1);
	expect_keep_alive(1900 * MS, 2300 * MS, 1);
	check(script.app.ends == 0);
	advance(5 * SECOND);
	check(script.app.ends == 1 && script.app.end_error == ETIMEDOUT);
	/* It may tell a peer that hears. */
	while (script.heard_next < script.heard_count)
		check(script_next(0)->flags & RST);
	check(script_counts().connections == 0);
	script_end();
}

static void rfc9293_3_8_4__a_late_answer_keeps_the_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	keep_alive(10, 2, 3);
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	expect_keep_alive(1900 * MS, 2300 * MS, 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	check(script.app.ends == 0);
	script_end();
}

/* A peer that was restarted resets. */
static void rfc9293_3_8_4__a_reset_in_answer_ends_the_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	keep_alive(10, 2, 3);
	expect_keep_alive(9900 * MS, 10500 * MS, 1);
	inject(.flags = RST, .seq = 1);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	script_end();
}

/* Those of the peer are answered, with a byte of garbage or without; nothing is delivered. */
static void rfc9293_3_8_4__the_peers_are_answered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	for (unsigned int i = 0; i < 5; i++) {
		advance(75 * SECOND);
		inject(.flags = ACK, .seq = 100, .ack = 1, .length = i % 2, .garbage = true);
		expect(.flags = ACK, .seq = 1, .ack = 101);
	}
	check(script.app.received == 100);
	script_end();
}

/* With text under way the timer of retransmissions watches the peer. */
static void rfc9293_3_8_4__none_is_sent_while_text_is_under_way(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	keep_alive(10, 2, 3);
	app_push(100);
	advance(20 * SECOND);
	while (script.heard_next < script.heard_count) {
		const struct segment *segment = script_next(0);

		check(segment->seq == 1 && segment->length == 100);
	}
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_8_4__an_idle_connection_is_left_alone),
		SCRIPT_TEST(rfc9293_3_8_4__the_first_is_not_sent_within_two_hours),
		SCRIPT_TEST(rfc9293_3_8_4__it_is_sent_after_the_idle_time),
		SCRIPT_TEST(rfc9293_3_8_4__probes_that_nobody_answers_end_the_connection),
		SCRIPT_TEST(rfc9293_3_8_4__a_late_answer_keeps_the_connection),
		SCRIPT_TEST(rfc9293_3_8_4__a_reset_in_answer_ends_the_connection),
		SCRIPT_TEST(rfc9293_3_8_4__the_peers_are_answered),
		SCRIPT_TEST(rfc9293_3_8_4__none_is_sent_while_text_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
