/* SPDX-License-Identifier: MIT */
/* Blind attacks on established connections: RFC 5961, 3 to 5 and 7; RFC 9293, 3.10.7.4. */
#include "script.h"

/* ---- Resets: 3.2 ---- */

static void rfc5961_3_2__a_reset_with_the_next_number_is_taken(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = RST, .seq = 101);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	check(app_state() == TCP_STATE_CLOSED);
	expect_nothing(SECOND);
	script_end();
}

/* Within the window, but not exact: challenged. */
static void rfc5961_3_2__a_reset_in_the_window_is_challenged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = RST, .seq = 2);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = RST | ACK, .seq = 1000, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.ends == 0);
	/* The true peer's answer to the challenge is exact. */
	inject(.flags = RST, .seq = 1);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	script_end();
}

static void rfc5961_3_2__a_reset_outside_the_window_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	inject(.flags = RST, .seq = 100);
	inject(.flags = RST, .seq = 1);
	inject(.flags = RST, .seq = 0x40000000);
	inject(.flags = RST, .seq = 0x80000000);
	inject(.flags = RST | ACK, .seq = 0xc0000000, .ack = 1);
	expect_nothing(SECOND);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.ends == 0);
	script_end();
}

/* A sweep over the whole space that misses the one number changes nothing. */
static void rfc5961_3_2__a_sweep_of_resets_changes_nothing(void **state)
{
	script_begin(*state, &(struct script_options){.scaling = true});
	open_passive();
	pass_data(1, 0);
	for (uint32_t i = 0; i < 2048; i++)
		inject(.flags = RST, .seq = 7 + (i << 21));
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.ends == 0);
	script_skip();
	app_push(100);
	check(script_next(PROMPT_NS));
	script_end_quietly();
}

/* RFC 9293, 3.10.7.4: in SYN-RECEIVED as well. */
static void rfc5961_3_2__a_reset_in_the_window_is_challenged_in_syn_received(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject(.flags = RST, .seq = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script_counts().half_open == 1);
	inject(.flags = RST, .seq = 0x50000000);
	expect_nothing(100 * MS);
	check(script_counts().half_open == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	script_end();
}

static void rfc5961_3_2__resets_in_other_states_are_challenged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	inject(.flags = RST, .seq = 100);
	expect(.flags = ACK, .seq = 2, .ack = 1);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	script_end();
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	inject(.flags = RST, .seq = 100);
	script_skip();
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	script_end();
}

/* ---- SYNs: 4.2 ---- */

/* Whatever its number. */
static void rfc5961_4_2__a_syn_is_challenged(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 1000, 0x40000000, 0x80000000, 0xc0000000};

	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		script_flow(0, 0)->peer_sent = numbers[i] + 1 > 0x80000000 ? 1 : numbers[i] + 1;
		inject(.flags = SYN, .seq = numbers[i], .mss = 1460);
		expect(.flags = ACK, .seq = 1, .ack = 1);
		check(app_state() == TCP_STATE_ESTABLISHED);
		/* The rate of challenges is bounded. */
		advance(10 * SECOND);
	}
	check(script.app.ends == 0);
	script_end();
}

static void rfc5961_4_2__a_syn_ack_is_challenged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = SYN | ACK, .seq = 1, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = SYN | ACK, .seq = 5000, .ack = 1, .length = 10);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.received == 0);
	script_end();
}

static void rfc5961_4_2__syns_in_other_states_are_challenged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	inject(.flags = SYN, .seq = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 2, .ack = 1);
	check(app_state() == TCP_STATE_FIN_WAIT_1);
	script_end_quietly();
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_2();
	inject(.flags = SYN, .seq = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 2, .ack = 1);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	script_end();
	script_begin(*state, &(struct script_options){0});
	reach_close_wait();
	inject(.flags = SYN, .seq = 2, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	script_end();
}

/* ---- Data: 5.2 ---- */

/* An acknowledgment older than any window that ever was: text of who does not know. */
static void rfc5961_5_2__text_with_a_much_too_old_ack_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	pass_data(3, 0);
	inject(.flags = ACK, .seq = 1, .ack = 301 - 200000, .length = 10, .garbage = true);
	expect(.flags = ACK, .seq = 301, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 301 - 0x40000000, .length = 10, .garbage = true);
	expect(.flags = ACK, .seq = 301, .ack = 1);
	check(script.app.received == 0);
	script_end();
}

/* One that is old, but may be overtaken, is no reason to lose text. */
static void rfc5961_5_2__text_with_an_ack_that_is_a_little_old_is_taken(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	pass_data(3, 0);
	inject(.flags = ACK, .seq = 1, .ack = 101, .length = 50);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 301, .ack = 51);
	check(script.app.received == 50);
	script_end();
}

static void rfc5961_5_2__text_with_an_ack_of_unsent_data_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 2, .length = 10, .garbage = true);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 0x70000000);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.received == 0 && script.app.ends == 0);
	script_end();
}

/* ---- The rate: 7 ---- */

static void rfc5961_7__challenges_are_bounded(void **state)
{
	uint32_t challenges = 0;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 1000; i++)
		inject(.flags = SYN, .seq = 2, .mss = 1460);
	advance(PROMPT_NS);
	challenges = script_skip();
	check(challenges >= 1 && challenges <= 200);
	check(app_state() == TCP_STATE_ESTABLISHED);
	/* And after a while there are more. */
	advance(10 * SECOND);
	inject(.flags = SYN, .seq = 2, .mss = 1460);
	check(expect(.ignore = ANY_ACK, .flags = ACK, .seq = 1)->ack == 1);
	script_end();
}

/* What the bound has used up does not keep the true peer from its acknowledgments. */
static void rfc5961_7__the_bound_does_not_touch_acks_of_text(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 300; i++)
		inject(.flags = SYN, .seq = 2, .mss = 1460);
	script_skip();
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc5961_3_2__a_reset_with_the_next_number_is_taken),
		SCRIPT_TEST(rfc5961_3_2__a_reset_in_the_window_is_challenged),
		SCRIPT_TEST(rfc5961_3_2__a_reset_outside_the_window_is_dropped),
		SCRIPT_TEST(rfc5961_3_2__a_sweep_of_resets_changes_nothing),
		SCRIPT_TEST(rfc5961_3_2__a_reset_in_the_window_is_challenged_in_syn_received),
		SCRIPT_TEST(rfc5961_3_2__resets_in_other_states_are_challenged),
		SCRIPT_TEST(rfc5961_4_2__a_syn_is_challenged),
		SCRIPT_TEST(rfc5961_4_2__a_syn_ack_is_challenged),
		SCRIPT_TEST(rfc5961_4_2__syns_in_other_states_are_challenged),
		SCRIPT_TEST(rfc5961_5_2__text_with_a_much_too_old_ack_is_dropped),
		SCRIPT_TEST(rfc5961_5_2__text_with_an_ack_that_is_a_little_old_is_taken),
		SCRIPT_TEST(rfc5961_5_2__text_with_an_ack_of_unsent_data_is_dropped),
		SCRIPT_TEST(rfc5961_7__challenges_are_bounded),
		SCRIPT_TEST(rfc5961_7__the_bound_does_not_touch_acks_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
