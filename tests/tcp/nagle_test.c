/* SPDX-License-Identifier: MIT */
/* When small text is sent: RFC 9293, 3.7.4 and 3.9.1.2; RFC 1122, 4.2.3.4. */
#include "script.h"

static const struct script_options nagle = {.no_delay_off = true};

/* MUST-17: turned off, as it is at first here: each push is a message. */
static void rfc9293_3_7_4__without_it_small_pushes_go_at_once(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 5; i++) {
		app_push(10);
		expect(.flags = ACK, .seq = 1 + i * 10, .ack = 1, .length = 10);
	}
	script_end();
}

/* SHLD-7: with it one small segment is under way at most. */
static void rfc9293_3_7_4__with_it_small_text_waits_for_the_ack(void **state)
{
	script_begin(*state, &nagle);
	open_passive();
	app_push(10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	app_push(20);
	app_push(30);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 11);
	advance(PROMPT_NS);
	check(script_flow(0, 0)->host_sent == 61);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 61);
	check(app_pushed() == 3);
	script_end();
}

/* Full segments never wait. */
static void rfc9293_3_7_4__full_segments_do_not_wait(void **state)
{
	uint32_t mss;

	script_begin(*state, &nagle);
	open_passive();
	mss = script_mss();
	app_push(10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	app_push(2 * mss);
	expect(.flags = ACK, .seq = 11, .ack = 1, .length = mss);
	expect(.flags = ACK, .seq = 11 + mss, .ack = 1, .length = mss);
	script_end();
}

/* The rest of a push of more than a segment waits while something is under way. */
static void rfc9293_3_7_4__the_small_rest_of_a_push_waits(void **state)
{
	uint32_t mss;

	script_begin(*state, &nagle);
	open_passive();
	mss = script_mss();
	app_push(mss + 10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = 10);
	script_end();
}

/* Pushes that together fill a segment are sent as one. */
static void rfc9293_3_7_4__what_waits_goes_when_it_fills_a_segment(void **state)
{
	uint32_t mss;

	script_begin(*state, &nagle);
	open_passive();
	mss = script_mss();
	app_push(10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	app_push(mss - 100);
	expect_nothing(20 * MS);
	app_push(100);
	expect(.flags = ACK, .seq = 11, .ack = 1, .length = mss);
	script_end();
}

/* With nothing under way nothing waits. */
static void rfc9293_3_7_4__with_nothing_under_way_small_text_goes_at_once(void **state)
{
	script_begin(*state, &nagle);
	open_passive();
	for (uint32_t i = 0; i < 5; i++) {
		app_push(10);
		expect(.flags = ACK, .seq = 1 + i * 10, .ack = 1, .length = 10);
		inject(.flags = ACK, .seq = 1, .ack = 11 + i * 10);
	}
	script_end();
}

/* The application may turn it off at any time. */
static void rfc9293_3_7_4__it_can_be_turned_off_on_a_connection(void **state)
{
	script_begin(*state, &nagle);
	open_passive();
	app_push(10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	app_settings()->no_delay = true;
	script_touch();
	tcp_settings_changed(script.app.conn);
	app_push(20);
	expect(.flags = ACK, .seq = 11, .ack = 1, .length = 20);
	script_end();
}

/* What waits is not forgotten when the application closes. */
static void rfc9293_3_10_4__what_waits_is_sent_before_a_fin(void **state)
{
	script_begin(*state, &nagle);
	open_passive();
	app_push(10);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	app_push(20);
	app_close();
	advance(PROMPT_NS);
	script_skip();
	if (script_flow(0, 0)->host_sent == 11) {
		inject(.flags = ACK, .seq = 1, .ack = 11);
		advance(PROMPT_NS);
	}
	check(script_flow(0, 0)->host_sent == 32);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 32);
	advance(DELAYED_NS);
	check(script.app.closes == 1 && script.app.close_error == 0);
	script_end_quietly();
}

/* MUST-60, MUST-61: the end of what was pushed says so, and nothing waits without end. */
static void rfc9293_3_9_1_2__the_end_of_a_push_has_psh(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_push(1);
	check(expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1)->flags & PSH);
	app_push(1000);
	check(expect(.flags = ACK, .seq = 2, .ack = 1, .length = 1000)->flags & PSH);
	script_end();
}

/* Pushes that the window held back are put together into full segments when it opens. */
static void rfc9293_3_9_1_2__small_pushes_that_wait_are_put_together(void **state)
{
	uint32_t segments = 0;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	for (unsigned int i = 0; i < 100; i++)
		app_push(50);
	expect_nothing(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	advance(PROMPT_NS);
	segments = script_skip();
	check(script_flow(0, 0)->host_sent == 5001);
	/* SHLD-28: five or so, not a hundred. */
	check(segments <= 20);
	inject(.flags = ACK, .seq = 1, .ack = 5001);
	advance(MS);
	check(app_pushed() == 100);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_7_4__without_it_small_pushes_go_at_once),
		SCRIPT_TEST(rfc9293_3_7_4__with_it_small_text_waits_for_the_ack),
		SCRIPT_TEST(rfc9293_3_7_4__full_segments_do_not_wait),
		SCRIPT_TEST(rfc9293_3_7_4__the_small_rest_of_a_push_waits),
		SCRIPT_TEST(rfc9293_3_7_4__what_waits_goes_when_it_fills_a_segment),
		SCRIPT_TEST(rfc9293_3_7_4__with_nothing_under_way_small_text_goes_at_once),
		SCRIPT_TEST(rfc9293_3_7_4__it_can_be_turned_off_on_a_connection),
		SCRIPT_TEST(rfc9293_3_10_4__what_waits_is_sent_before_a_fin),
		SCRIPT_TEST(rfc9293_3_9_1_2__the_end_of_a_push_has_psh),
		SCRIPT_TEST(rfc9293_3_9_1_2__small_pushes_that_wait_are_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
