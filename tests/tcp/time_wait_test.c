/* SPDX-License-Identifier: MIT */
/* TIME-WAIT: RFC 9293, 3.6 and 3.10.7.4; RFC 1122, 4.2.2.13; RFC 1337; RFC 6191. */
#include "script.h"

#include "net/tcp/conn.h"

#define TIME_WAIT_MS 10000u
#define TIME_WAIT_NS (TIME_WAIT_MS * MS)

static void begin(const void *version, bool timestamps)
{
	struct script_options options = {.timestamps = timestamps, .tcp = script_tcp()};

	options.tcp.time_wait_ms = TIME_WAIT_MS;
	script_begin(version, &options);
	reach_time_wait();
}

/* MUST-13: for two MSL, as configured. */
static void rfc9293_3_6__time_wait_lasts_two_msl(void **state)
{
	begin(*state, false);
	expect_nothing(TIME_WAIT_NS - 100 * MS);
	check(script_counts().time_waits == 1);
	advance(200 * MS);
	check(script_counts().time_waits == 0);
	check(script_counts().connections == 0);
	script_end();
}

/* By default a minute at least. */
static void rfc9293_3_4_2__two_msl_are_a_minute_or_more_by_default(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_time_wait();
	advance(59 * SECOND);
	check(script_counts().time_waits == 1);
	advance(200 * SECOND);
	check(script_counts().time_waits == 0);
	script_end();
}

/* The peer has not heard our acknowledgment: it is given again, and the time begins anew. */
static void rfc9293_3_10_7_4__a_fin_again_is_acknowledged_and_restarts_the_time(void **state)
{
	begin(*state, false);
	advance(TIME_WAIT_NS - SECOND);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	expect_nothing(TIME_WAIT_NS - 100 * MS);
	check(script_counts().time_waits == 1);
	advance(200 * MS);
	check(script_counts().time_waits == 0);
	script_end();
}

/* RFC 1122, 4.2.2.13; RFC 9293, 3.4: old text is acknowledged, and is nobody's. */
static void rfc9293_3_10_7_4__old_text_in_time_wait_is_acknowledged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 1, .ack = 101);
	inject(.flags = FIN | ACK, .seq = 101, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 102);
	check(app_state() == TCP_STATE_TIME_WAIT);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 2, .ack = 102);
	check(script.app.received == 100);
	check(app_state() == TCP_STATE_TIME_WAIT);
	script_end();
}

/* RFC 1337, 3, F1: a reset does not cut TIME-WAIT short. */
static void rfc1337_3__a_reset_in_time_wait_is_ignored(void **state)
{
	begin(*state, false);
	inject(.flags = RST, .seq = 2);
	inject(.flags = RST | ACK, .seq = 2, .ack = 2);
	inject(.flags = RST, .seq = 1);
	expect_nothing(SECOND);
	check(script_counts().time_waits == 1);
	script_end();
}

/* An acknowledgment that is right is not answered. */
static void rfc9293_3_10_7_4__an_ack_in_time_wait_is_not_answered(void **state)
{
	begin(*state, false);
	inject(.flags = ACK, .seq = 2, .ack = 2);
	expect_nothing(SECOND);
	check(script_counts().time_waits == 1);
	script_end();
}

/* Closed by the application too: the socket is gone, TIME-WAIT is not. */
static void rfc9293_3_6__time_wait_does_not_need_its_socket(void **state)
{
	begin(*state, false);
	script_touch();
	tcp_close(script.app.conn, false);
	script.app.conn = NULL;
	expect_nothing(SECOND);
	check(script_counts().time_waits == 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	script_end();
}

/* A linger time does not replace it. */
static void rfc9293_3_6__a_linger_time_does_not_replace_time_wait(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.time_wait_ms = TIME_WAIT_MS;
	script_begin(*state, &options);
	open_passive();
	app_settings()->lingers = true;
	app_settings()->linger_s = 1;
	tcp_settings_changed(script.app.conn);
	app_close();
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
	advance(5 * SECOND);
	check(script_counts().time_waits == 1);
	advance(6 * SECOND);
	check(script_counts().time_waits == 0);
	script_end();
}

/* ---- Reuse: RFC 9293, 3.6.1 (MAY-2); RFC 1122, 4.2.2.13; RFC 6191, 2 ---- */

/* A SYN with a number beyond the old ones opens; our number is beyond ours. */
static void rfc9293_3_6_1__a_syn_with_a_higher_number_reuses_time_wait(void **state)
{
	uint32_t old_end;

	begin(*state, false);
	old_end = script_flow(0, 0)->host_iss + 2;
	advance(SECOND);
	script_renew(0, 0, PEER_ISS + 100000);
	inject(.flags = SYN, .mss = 1460);
	expect(.flags = SYN | ACK, .ack = 1);
	check((int32_t)(script_flow(0, 0)->host_iss - old_end) >= 0);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(tcp_acceptable(script.listener.conn) == 1);
	script_end_quietly();
}

/*
 * RFC 9293, 3.6.1; RFC 1122, 4.2.2.13, (1): beyond the largest number that was used: a fast connection
 * has used more of them than the clock behind the initial number has ticked.
 */
static void rfc9293_3_6_1__our_new_number_is_beyond_all_old_ones(void **state)
{
	struct script_options options = {.tcp = script_tcp()};
	uint32_t acked = 1, old_end, mss;

	options.tcp.time_wait_ms = TIME_WAIT_MS;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	app_push(2000 * mss);
	while (!app_pushed()) {
		advance(100 * US);
		script_skip();
		for (uint32_t end = script_flow(0, 0)->host_sent; acked < end; acked += mss)
			inject(.flags = ACK, .seq = 1, .ack = acked + mss);
	}
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = acked, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = acked + 1);
	advance(DELAYED_NS);
	script_skip();
	check(app_state() == TCP_STATE_TIME_WAIT);
	old_end = script_flow(0, 0)->host_iss + acked + 1;
	script_renew(0, 0, PEER_ISS + 100000);
	inject(.flags = SYN, .mss = 1460);
	/* It need not be accepted (MAY-2); but if it is, then so. */
	advance(PROMPT_NS);
	check(script.heard_next < script.heard_count);
	if (script_next(0)->flags == (SYN | ACK))
		check((int32_t)(script_flow(0, 0)->host_iss - old_end) >= 0);
	script_end_quietly();
}

/* RFC 6191, 2: a later timestamp tells too, whatever the number is. */
static void rfc6191_2__a_syn_with_a_later_timestamp_reuses_time_wait(void **state)
{
	uint32_t old_end;

	begin(*state, true);
	old_end = script_flow(0, 0)->host_iss + 2;
	advance(2 * SECOND);
	script_renew(0, 0, PEER_ISS - 5000000);
	inject(.flags = SYN, .mss = 1460, .has_timestamp = true, .timestamp = script_peer_time());
	expect(.flags = SYN | ACK, .ack = 1);
	check((int32_t)(script_flow(0, 0)->host_iss - old_end) >= 0);
	script_end_quietly();
}

/* An old SYN, by both: the answer is what it was, and TIME-WAIT stays. */
static void rfc6191_2__an_old_syn_does_not_reuse_time_wait(void **state)
{
	begin(*state, true);
	advance(SECOND);
	inject(.flags = SYN, .seq = 0, .mss = 1460, .has_timestamp = true, .timestamp = 4000);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	check(script_counts().time_waits == 1);
	check(script_counts().half_open == 0);
	script_end();
}

static void rfc9293_3_6_1__a_syn_with_an_old_number_does_not_reuse_time_wait(void **state)
{
	begin(*state, false);
	advance(SECOND);
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	check(script_counts().time_waits == 1);
	check(script_counts().half_open == 0);
	script_end();
}

/* Nobody listens any more: a SYN is of no use. */
static void rfc9293_3_6_1__a_syn_to_time_wait_without_listener_opens_nothing(void **state)
{
	begin(*state, false);
	script_touch();
	tcp_close(script.listener.conn, false);
	script.listener.conn = NULL;
	script_renew(0, 0, PEER_ISS + 100000);
	inject(.flags = SYN, .mss = 1460);
	check(!script_next(PROMPT_NS) || script.heard[0].flags != (SYN | ACK));
	check(script_counts().half_open == 0);
	script_end_quietly();
}

/* RFC 1337: and so TIME-WAIT stays: the peer's FIN again is still answered. */
static void rfc9293_3_6_1__a_syn_that_is_not_accepted_does_not_end_time_wait(void **state)
{
	begin(*state, false);
	script_touch();
	tcp_close(script.listener.conn, false);
	script.listener.conn = NULL;
	inject(.flags = SYN, .seq = 100000, .mss = 1460);
	script_skip();
	check(script_counts().time_waits == 1);
	script_end_quietly();
}

/* ---- Bounds ---- */

/* Beyond net_tcp_options.time_waits_max the oldest ends early. */
static void rfc9293_3_6__the_number_of_time_waits_is_bounded(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.time_waits_max = 4;
	script_begin(*state, &options);
	app_listen();
	for (uint16_t i = 0; i < 10; i++) {
		uint16_t port = (uint16_t)(7000 + i);
		struct tcp_conn *conn;

		inject(.flags = SYN, .mss = 1460, .peer_port = port);
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = port);
		inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = port);
		script_touch();
		conn = tcp_accept(script.listener.conn, &script.app);
		check(conn);
		tcp_close(conn, false);
		expect(.flags = FIN | ACK, .seq = 1, .ack = 1, .peer_port = port);
		inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .peer_port = port);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2, .peer_port = port);
		check(script_counts().time_waits <= 4);
		check(script_counts().time_waits >= (i < 4 ? i + 1u : 4u));
	}
	/* The newest is there, the oldest gone. */
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .peer_port = 7009);
	expect(.flags = ACK, .seq = 2, .ack = 2, .peer_port = 7009);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .peer_port = 7000);
	expect(.flags = RST, .seq = 2, .peer_port = 7000);
	script_end();
}

/* A simultaneous close ends in it as well. */
static void rfc9293_3_6__a_simultaneous_close_ends_in_time_wait(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.time_wait_ms = TIME_WAIT_MS;
	script_begin(*state, &options);
	reach_closing();
	inject(.flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_TIME_WAIT);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect(.flags = ACK, .seq = 2, .ack = 2);
	advance(TIME_WAIT_NS + 100 * MS);
	check(script_counts().time_waits == 0);
	script_end();
}

/* RFC 7323, 5.3: one of an older connection, or of a forger, is no sign that the peer is still there. */
static void rfc7323_5_3__an_old_fin_does_not_restart_time_wait(void **state)
{
	uint32_t recent;

	begin(*state, true);
	recent = script.app.conn->ts_recent;
	advance(TIME_WAIT_NS - SECOND);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .timestamp = recent - 1000000);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .no_timestamp = true);
	check(script.app.conn->ts_recent == recent);
	advance(2 * SECOND);
	check(script_counts().time_waits == 0);
	script_end_quietly();
}

/* RFC 5961, 5.2: nor is one that acknowledges what was never sent; its timestamp is not believed. */
static void rfc5961_5_2__a_fin_with_an_impossible_ack_does_not_restart_time_wait(void **state)
{
	uint32_t recent;

	begin(*state, true);
	recent = script.app.conn->ts_recent;
	advance(TIME_WAIT_NS - SECOND);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 500000, .timestamp = recent + 1000000);
	inject(.flags = FIN, .seq = 1, .timestamp = recent + 1000000);
	check(script.app.conn->ts_recent == recent);
	advance(2 * SECOND);
	check(script_counts().time_waits == 0);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_6__time_wait_lasts_two_msl),
		SCRIPT_TEST(rfc9293_3_4_2__two_msl_are_a_minute_or_more_by_default),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_again_is_acknowledged_and_restarts_the_time),
		SCRIPT_TEST(rfc9293_3_10_7_4__old_text_in_time_wait_is_acknowledged),
		SCRIPT_TEST(rfc1337_3__a_reset_in_time_wait_is_ignored),
		SCRIPT_TEST(rfc9293_3_10_7_4__an_ack_in_time_wait_is_not_answered),
		SCRIPT_TEST(rfc9293_3_6__time_wait_does_not_need_its_socket),
		SCRIPT_TEST(rfc9293_3_6__a_linger_time_does_not_replace_time_wait),
		SCRIPT_TEST(rfc9293_3_6_1__a_syn_with_a_higher_number_reuses_time_wait),
		SCRIPT_TEST(rfc9293_3_6_1__our_new_number_is_beyond_all_old_ones),
		SCRIPT_TEST(rfc6191_2__a_syn_with_a_later_timestamp_reuses_time_wait),
		SCRIPT_TEST(rfc6191_2__an_old_syn_does_not_reuse_time_wait),
		SCRIPT_TEST(rfc9293_3_6_1__a_syn_with_an_old_number_does_not_reuse_time_wait),
		SCRIPT_TEST(rfc9293_3_6_1__a_syn_to_time_wait_without_listener_opens_nothing),
		SCRIPT_TEST(rfc9293_3_6_1__a_syn_that_is_not_accepted_does_not_end_time_wait),
		SCRIPT_TEST(rfc9293_3_6__the_number_of_time_waits_is_bounded),
		SCRIPT_TEST(rfc9293_3_6__a_simultaneous_close_ends_in_time_wait),
		SCRIPT_TEST(rfc7323_5_3__an_old_fin_does_not_restart_time_wait),
		SCRIPT_TEST(rfc5961_5_2__a_fin_with_an_impossible_ack_does_not_restart_time_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
