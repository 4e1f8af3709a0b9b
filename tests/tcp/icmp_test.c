/* SPDX-License-Identifier: MIT */
/* Errors of ICMP: RFC 9293, 3.9.2.2; RFC 1122, 4.2.3.9; RFC 5927, 4 to 6. */
#include "script.h"

static const enum script_icmp all_errors[] = {
	ICMP_NO_PORT,    ICMP_NO_HOST,       ICMP_NO_NETWORK, ICMP_NO_PROTOCOL,
	ICMP_PROHIBITED, ICMP_TIME_EXCEEDED, ICMP_BAD_FIELD,
};

/* ---- A connect: 3.9.2.2, SHLD-26 ---- */

static void rfc9293_3_9_2_2__a_port_that_is_unreachable_refuses_a_connect(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_NO_PORT, .seq = 0);
	advance(MS);
	check(script.app.connects == 1 && script.app.connect_error == ECONNREFUSED);
	expect_nothing(10 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

static void rfc9293_3_9_2_2__a_missing_protocol_fails_a_connect_v4(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_NO_PROTOCOL, .seq = 0);
	advance(MS);
	check(script.app.connects == 1 && script.app.connect_error != 0);
	expect_nothing(10 * SECOND);
	script_end();
}

/* Of ICMPv6 it is a parameter problem, and those are soft. */
static void rfc9293_3_9_2_2__a_parameter_problem_does_not_end_a_connect(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_BAD_FIELD, .seq = 0);
	if (script.is_v6)
		inject_icmp(.kind = ICMP_NO_PROTOCOL, .seq = 0);
	advance(100 * MS);
	check(script.app.connects == 0);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	script_end();
}

/* MUST-56: what may pass does not end the attempt; the application learns of it at the end. */
static void rfc9293_3_9_2_2__an_unreachable_host_does_not_end_a_connect(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.connect_timeout_ms = 10000;
	script_begin(*state, &options);
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_NO_HOST, .seq = 0);
	advance(500 * MS);
	check(script.app.connects == 0);
	check(app_state() == TCP_STATE_SYN_SENT);
	advance(30 * SECOND);
	check(script_skip() >= 2);
	check(script.app.connects == 1);
	check(script.app.connect_error == EHOSTUNREACH || script.app.connect_error == ETIMEDOUT);
	script_end();
}

static void rfc9293_3_9_2_2__a_connect_goes_on_after_an_unreachable_network(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_NO_NETWORK, .seq = 0);
	inject_icmp(.kind = ICMP_TIME_EXCEEDED, .seq = 0);
	advance(100 * MS);
	check(script.app.connects == 0);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	script_end();
}

/* RFC 5927, 4.1: who has not seen our SYN does not know its number. */
static void rfc5927_4_1__an_error_about_another_number_is_ignored_in_syn_sent(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject_icmp(.kind = ICMP_NO_PORT, .seq = 1);
	inject_icmp(.kind = ICMP_NO_PORT, .seq = UINT32_MAX);
	inject_icmp(.kind = ICMP_NO_PORT, .seq = 0x12345678);
	expect_nothing(500 * MS);
	check(script.app.connects == 0);
	check(app_state() == TCP_STATE_SYN_SENT);
	script_end();
}

/* ---- Established: RFC 5927, 5.2: errors that would be hard are soft ---- */

static void rfc5927_5_2__no_error_ends_an_established_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (size_t i = 0; i < COUNT_OF(all_errors); i++) {
		app_push(100);
		expect(.flags = ACK, .seq = 1 + (uint32_t)i * 100, .ack = 1, .length = 100);
		inject_icmp(.kind = all_errors[i], .seq = 1 + (uint32_t)i * 100);
		check(app_state() == TCP_STATE_ESTABLISHED);
		check(script.app.ends == 0);
		inject(.flags = ACK, .seq = 1, .ack = 101 + (uint32_t)i * 100);
	}
	check(app_pushed() == COUNT_OF(all_errors));
	script_end_quietly();
}

static void rfc5927_5_2__no_error_ends_a_closing_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_fin_wait_1();
	for (size_t i = 0; i < COUNT_OF(all_errors); i++)
		inject_icmp(.kind = all_errors[i], .seq = 1);
	check(app_state() == TCP_STATE_FIN_WAIT_1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_TIME_WAIT);
	script_end_quietly();
}

/* Of a number that is not under way nothing is remembered either. */
static void rfc5927_4_1__an_error_about_what_is_not_under_way_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	pass_data(1, 0);
	for (size_t i = 0; i < COUNT_OF(all_errors); i++) {
		inject_icmp(.kind = all_errors[i], .seq = 1);
		inject_icmp(.kind = all_errors[i], .seq = 101);
		inject_icmp(.kind = all_errors[i], .seq = 0x70000000);
	}
	expect_nothing(SECOND);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(tcp_take_error(script.app.conn) == 0);
	script_end();
}

/* RFC 9293, 3.9.2.2: the reason is told when the connection ends of it. */
static void rfc9293_3_9_2_2__a_soft_error_is_the_reason_of_a_timeout(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	app_settings()->user_timeout_ms = 5000;
	tcp_settings_changed(script.app.conn);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject_icmp(.kind = ICMP_NO_HOST, .seq = 1);
	advance(30 * SECOND);
	check(script.app.ends == 1);
	check(script.app.end_error == EHOSTUNREACH || script.app.end_error == ETIMEDOUT);
	script_end_quietly();
}

/* A half-open connection of a listener may go or stay: its peer is not harmed. */
static void rfc9293_3_9_2_2__an_error_about_a_syn_ack_is_survived(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject_icmp(.kind = ICMP_NO_HOST, .seq = 0);
	inject_icmp(.kind = ICMP_NO_PORT, .seq = 5);
	check(script_counts().half_open == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	script_end();
}

/* MUST-55; RFC 6633, 3: source quench is nothing. */
static void rfc6633_3__source_quench_is_ignored_v4(void **state)
{
	uint32_t before;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	push_segments(3);
	before = app_stats().cwnd;
	inject_icmp(.kind = ICMP_SOURCE_QUENCH, .seq = 1);
	check(app_stats().cwnd == before);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* About no connection at all, or a listener. */
static void rfc5927_4__an_error_about_no_connection_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	for (size_t i = 0; i < COUNT_OF(all_errors); i++)
		inject_icmp(.kind = all_errors[i], .seq = 1);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 1300, .seq = 1);
	expect_nothing(SECOND);
	check(tcp_state_of(script.listener.conn) == TCP_STATE_LISTEN);
	check(script.listener.ends == 0);
	open_passive();
	push_segments(1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_9_2_2__a_port_that_is_unreachable_refuses_a_connect),
		SCRIPT_TEST_V4(rfc9293_3_9_2_2__a_missing_protocol_fails_a_connect_v4),
		SCRIPT_TEST(rfc9293_3_9_2_2__a_parameter_problem_does_not_end_a_connect),
		SCRIPT_TEST(rfc9293_3_9_2_2__an_unreachable_host_does_not_end_a_connect),
		SCRIPT_TEST(rfc9293_3_9_2_2__a_connect_goes_on_after_an_unreachable_network),
		SCRIPT_TEST(rfc5927_4_1__an_error_about_another_number_is_ignored_in_syn_sent),
		SCRIPT_TEST(rfc5927_5_2__no_error_ends_an_established_connection),
		SCRIPT_TEST(rfc5927_5_2__no_error_ends_a_closing_connection),
		SCRIPT_TEST(rfc5927_4_1__an_error_about_what_is_not_under_way_is_ignored),
		SCRIPT_TEST(rfc9293_3_9_2_2__a_soft_error_is_the_reason_of_a_timeout),
		SCRIPT_TEST(rfc9293_3_9_2_2__an_error_about_a_syn_ack_is_survived),
		SCRIPT_TEST_V4(rfc6633_3__source_quench_is_ignored_v4),
		SCRIPT_TEST(rfc5927_4__an_error_about_no_connection_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
