/* SPDX-License-Identifier: MIT */
/* Opening connections, and refusing to: RFC 9293, 3.5 and 3.10.7.1 to 3.10.7.3; RFC 1122, 4.2. */
#include "script.h"

#include "net/tcp/conn.h"

/* ---- CLOSED: 3.10.7.1, 3.5.2 group 1 ---- */

/* Without ACK a reset has the number 0 and acknowledges all that the segment takes. */
static void rfc9293_3_5_2__a_syn_to_a_closed_port_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.flags = RST | ACK, .seq = 0, .ack = 1);
	inject(.flags = SYN, .seq = 0, .length = 20);
	expect(.flags = RST | ACK, .seq = 0, .ack = 21);
	script_end();
}

/* With ACK the reset has the number that was acknowledged, and no ACK. */
static void rfc9293_3_5_2__an_ack_to_a_closed_port_is_reset_with_its_number(void **state)
{
	script_begin(*state, &(struct script_options){0});
	inject(.flags = ACK, .seq = 5, .ack = 777);
	expect(.flags = RST, .seq = 777);
	inject(.flags = ACK, .seq = 5, .ack = 4294967000, .length = 100);
	expect(.flags = RST, .seq = 4294967000);
	inject(.flags = FIN | ACK, .seq = 5, .ack = 12);
	expect(.flags = RST, .seq = 12);
	inject(.flags = SYN | ACK, .seq = 5, .ack = 13);
	expect(.flags = RST, .seq = 13);
	script_end();
}

static void rfc9293_3_5_2__data_without_ack_to_a_closed_port_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	inject(.flags = PSH, .seq = 5, .length = 10);
	expect(.flags = RST | ACK, .seq = 0, .ack = 15);
	inject(.flags = FIN, .seq = 5, .length = 10);
	expect(.flags = RST | ACK, .seq = 0, .ack = 16);
	script_end();
}

/* A reset is never answered: two stacks would not come to rest. */
static void rfc9293_3_10_7_1__a_reset_to_a_closed_port_is_not_answered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	inject(.flags = RST, .seq = 5);
	inject(.flags = RST | ACK, .seq = 5, .ack = 7);
	inject(.flags = RST | SYN, .seq = 5);
	expect_nothing(SECOND);
	script_end();
}

/* ---- LISTEN: 3.10.7.2 ---- */

static void rfc9293_3_10_7_2__a_syn_is_answered_and_the_ack_establishes(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = SYN, .seq = 0, .mss = 1400);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	check(script_counts().half_open == 1);
	check(script.listener.acceptable == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(script.listener.acceptable == 1);
	check(tcp_acceptable(script.listener.conn) == 1);
	app_accept();
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script_counts().half_open == 0);
	expect_nothing(SECOND);
	script_end();
}

static void rfc9293_3_10_7_2__the_accepted_connection_knows_both_ends(void **state)
{
	struct ip_address ip;
	uint16_t port;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	check(tcp_peer(script.app.conn, &ip, &port));
	check(ip_address_equal(&ip, &script.peer_ip) && port == PEER_PORT);
	check(tcp_local(script.app.conn, &ip, &port));
	check(ip_address_equal(&ip, &script.host_ip) && port == HOST_PORT);
	script_end();
}

/* An acknowledgment to a listener can be of no connection. */
static void rfc9293_3_10_7_2__an_ack_to_a_listener_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = ACK, .seq = 5, .ack = 777);
	expect(.flags = RST, .seq = 777);
	inject(.flags = SYN | ACK, .seq = 5, .ack = 778);
	expect(.flags = RST, .seq = 778);
	inject(.flags = FIN | ACK, .seq = 5, .ack = 779, .length = 7);
	expect(.flags = RST, .seq = 779);
	check(script_counts().connections == 0);
	script_end();
}

static void rfc9293_3_10_7_2__a_reset_to_a_listener_is_ignored(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = RST, .seq = 5);
	inject(.flags = RST | ACK, .seq = 5, .ack = 1);
	inject(.flags = RST | SYN, .seq = 5);
	expect_nothing(2 * SECOND);
	check(script_counts().connections == 0);
	check(tcp_state_of(script.listener.conn) == TCP_STATE_LISTEN);
	script_end();
}

/* Of what has neither SYN nor ACK nothing comes. */
static void rfc9293_3_10_7_2__null_and_fin_segments_to_a_listener_open_nothing(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = 0, .seq = 0);
	inject(.flags = FIN, .seq = 0);
	inject(.flags = PSH | URG, .seq = 0, .length = 10);
	expect_refusal();
	script_end();
}

/* No stack sends SYN and FIN together: scanners do. */
static void rfc9293_3_10_7_2__a_syn_with_fin_opens_nothing(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = SYN | FIN, .seq = 0, .mss = 1460);
	expect_refusal();
	inject(.flags = SYN | FIN | PSH | URG, .seq = 0);
	expect_refusal();
	script_end();
}

static void rfc9293_3_10_7_2__a_christmas_tree_opens_nothing(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = FIN | SYN | RST | PSH | ACK | URG | ECE | CWR, .seq = 0, .ack = 9);
	inject(.flags = FIN | SYN | RST | PSH | URG, .seq = 0);
	expect_nothing(2 * SECOND);
	inject(.flags = FIN | PSH | URG, .seq = 0);
	expect_refusal();
	script_end();
}

/* What came with the SYN is kept, or asked for again. */
static void rfc9293_3_4__data_on_a_syn_is_delivered_once_established(void **state)
{
	const struct segment *answer;

	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = SYN, .seq = 0, .mss = 1460, .length = 10);
	answer = expect(.flags = SYN | ACK, .seq = 0, .ignore = ANY_ACK);
	check(answer->ack == 1 || answer->ack == 11);
	check(script.listener.acceptable == 0);
	inject(.flags = ACK, .seq = answer->ack, .ack = 1);
	app_accept();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 11);
	check(script.app.received == 10);
	script_end();
}

/* RFC 9293, MUST-57: what is not for one host is dropped without an answer. */
static void rfc9293_3_9_2_3__a_syn_to_a_group_is_dropped(void **state)
{
	struct ip_address group;

	script_begin(*state, &(struct script_options){0});
	group = script.is_v6 ? IPV6_ALL_NODES : V4(10, 0, 0, 255);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .destination = &group, .to_all = true);
	if (!script.is_v6) {
		group = V4(255, 255, 255, 255);
		inject(.flags = SYN, .mss = 1460, .destination = &group, .to_all = true);
	}
	expect_nothing(2 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

/* RFC 9293, MUST-63: nor is an answer sent to many. */
static void rfc9293_3_9_2_3__a_syn_from_a_group_is_dropped(void **state)
{
	struct ip_address group;

	script_begin(*state, &(struct script_options){0});
	group = script.is_v6 ? IPV6_ALL_NODES : V4(10, 0, 0, 255);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .source = &group);
	group = script.is_v6 ? ip_address_v6_halves(0, 0) : V4(224, 0, 0, 1);
	inject(.flags = SYN, .mss = 1460, .source = &group);
	inject(.flags = ACK, .source = &group);
	expect_nothing(2 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

/* Nor does the stack talk to itself, since somebody has forged its address. */
static void rfc9293_3_9_2_3__a_syn_from_our_own_address_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .source = &script.host_ip, .peer_port = HOST_PORT,
	       .host_port = HOST_PORT);
	expect_nothing(2 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

static void rfc9293_3_10_1__two_peers_of_one_listener_are_two_connections(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = SYN, .mss = 1460, .peer_port = 4001);
	expect(.flags = SYN | ACK, .ack = 1, .peer_port = 4001);
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 4001);
	check(tcp_acceptable(script.listener.conn) == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 50, .peer_port = 4001);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 51, .peer_port = 4001);
	check(script.app.received == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 60);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 61);
	check(script.app.received == 60);
	script_end();
}

/* ---- SYN-RECEIVED: 3.10.7.4 ---- */

/* The peer has not heard our SYN-ACK: it is the same again. */
static void rfc9293_3_10_7_4__a_syn_again_is_answered_as_before(void **state)
{
	struct segment syn;
	uint32_t iss;

	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	iss = script_flow(0, 0)->host_iss;
	syn = script_syn(SYN, 0);
	advance(300 * MS);
	script_inject(&syn);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	check(script_flow(0, 0)->host_iss == iss);
	check(script_counts().half_open == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	script_end();
}

/* RFC 6298, (2.1) and (5.5): a second at first, then twice that. */
static void rfc6298_5__the_syn_ack_is_sent_again_with_back_off(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	expect_within(980 * MS, 1100 * MS, .flags = SYN | ACK, .ack = 1);
	expect_within(1980 * MS, 2200 * MS, .flags = SYN | ACK, .ack = 1);
	expect_within(3980 * MS, 4400 * MS, .flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	expect_nothing(20 * SECOND);
	script_end();
}

static void rfc9293_3_8_3__a_half_open_connection_ends(void **state)
{
	uint32_t answers = 0;

	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	advance(1000 * SECOND);
	while (script_next(0))
		answers++;
	check(answers >= 2);
	check(script_counts().half_open == 0);
	check(script_counts().connections == 0);
	check(script.listener.acceptable == 0);
	script_end();
}

/* An acknowledgment of something else is reset; the connection waits on. */
static void rfc9293_3_10_7_4__a_wrong_ack_of_the_syn_ack_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject(.flags = ACK, .seq = 1, .ack = 100);
	expect(.flags = RST, .seq = 100);
	inject(.flags = ACK, .seq = 1, .ack = 0);
	expect(.flags = RST, .seq = 0);
	check(script_counts().half_open == 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	script_end();
}

/* A passive one returns to LISTEN; the application hears nothing. */
static void rfc9293_3_10_7_4__a_reset_in_syn_received_returns_to_listen(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject(.flags = RST, .seq = 1);
	expect_nothing(5 * SECOND);
	check(script_counts().connections == 0);
	check(script.listener.acceptable == 0);
	check(script.listener.ends == 0);
	check(tcp_state_of(script.listener.conn) == TCP_STATE_LISTEN);
	open_passive();
	script_end();
}

static void rfc9293_3_10_7_4__data_with_the_handshakes_ack_is_delivered(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	app_accept();
	check(script.app.received == 100);
	script_end();
}

static void rfc9293_3_10_7_4__a_fin_with_the_handshakes_ack_is_taken(void **state)
{
	int error = -1;

	script_begin(*state, &(struct script_options){0});
	reach_syn_received();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1, .length = 20);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 22);
	app_accept();
	check(script.app.received == 20);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	check(tcp_ended(script.app.conn, &error) && error == 0);
	script_end();
}

/* ---- SYN-SENT: 3.10.7.3 ---- */

static void rfc9293_3_5__an_active_open_is_three_segments(void **state)
{
	const struct segment *syn;

	script_begin(*state, &(struct script_options){0});
	app_connect();
	syn = expect(.flags = SYN);
	check(syn->ack == 0);
	check(syn->window > 0);
	check(app_state() == TCP_STATE_SYN_SENT);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	check(app_state() == TCP_STATE_ESTABLISHED);
	expect_nothing(SECOND);
	script_end();
}

/* RFC 6298, (2.1), (5.5): the handshake backs off too. */
static void rfc6298_5__the_syn_is_sent_again_with_back_off(void **state)
{
	uint32_t iss;

	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	iss = script_flow(0, 0)->host_iss;
	expect_within(980 * MS, 1100 * MS, .flags = SYN);
	expect_within(1980 * MS, 2200 * MS, .flags = SYN);
	expect_within(3980 * MS, 4400 * MS, .flags = SYN);
	expect_within(7980 * MS, 8800 * MS, .flags = SYN);
	check(script_flow(0, 0)->host_iss == iss);
	script_end();
}

/* RFC 9293, 3.8.3, MUST-23: for three minutes at least. */
static void rfc9293_3_8_3__an_unanswered_connect_fails_after_three_minutes(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	advance(179 * SECOND);
	check(script.app.connects == 0);
	check(script_skip() >= 4);
	advance(300 * SECOND);
	check(script.app.connects == 1);
	check(script.app.connect_error == ETIMEDOUT);
	check(app_state() == TCP_STATE_CLOSED);
	script_skip();
	expect_nothing(200 * SECOND);
	script_end();
}

/* MUST-21: the application sets how often. */
static void rfc9293_3_8_3__the_application_bounds_the_syns(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_open();
	app_settings()->syn_retries = 2;
	tcp_settings_changed(script.app.conn);
	check(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT) == 0);
	expect(.flags = SYN);
	expect_within(980 * MS, 1100 * MS, .flags = SYN);
	expect_within(1980 * MS, 2200 * MS, .flags = SYN);
	expect_nothing(20 * SECOND);
	check(script.app.connects == 1 && script.app.connect_error == ETIMEDOUT);
	script_end();
}

static void rfc9293_3_10_7_3__a_reset_of_our_syn_refuses(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = RST | ACK, .seq = 0, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == ECONNREFUSED);
	check(app_state() == TCP_STATE_CLOSED);
	expect_nothing(5 * SECOND);
	script_end();
}

/* Only who has seen the SYN can acknowledge it. */
static void rfc9293_3_10_7_3__a_reset_that_does_not_acknowledge_our_syn_is_dropped(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = RST, .seq = 0);
	inject(.flags = RST | ACK, .seq = 0, .ack = 0);
	inject(.flags = RST | ACK, .seq = 0, .ack = 2);
	inject(.flags = RST | ACK, .seq = 0, .ack = 12345678);
	expect_nothing(500 * MS);
	check(script.app.connects == 0);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	script_end();
}

/* An old SYN-ACK is reset by its number, and ours waits for the right one. */
static void rfc9293_3_10_7_3__a_syn_ack_of_another_syn_is_reset(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 5000, .mss = 1460);
	expect(.flags = RST, .seq = 5000);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 0, .mss = 1460);
	expect(.flags = RST, .seq = 0);
	check(app_state() == TCP_STATE_SYN_SENT);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	script_end();
}

/* Half-open: 3.5.1: the peer still has the last connection. */
static void rfc9293_3_5_1__an_ack_of_an_old_connection_is_reset_and_the_syn_repeated(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = ACK, .seq = 300, .ack = 4000000);
	expect(.flags = RST, .seq = 4000000);
	check(script.app.connects == 0);
	expect_within(900 * MS, 1100 * MS, .flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* An acceptable acknowledgment without SYN or RST is dropped; the fifth step. */
static void rfc9293_3_10_7_3__an_ack_without_syn_does_not_establish(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	expect_nothing(500 * MS);
	check(app_state() == TCP_STATE_SYN_SENT);
	check(script.app.connects == 0);
	script_end();
}

static void rfc9293_3_10_7_3__null_fin_and_syn_fin_change_nothing(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = 0, .seq = 0);
	inject(.flags = FIN, .seq = 0);
	inject(.flags = PSH | URG, .seq = 0, .length = 10);
	inject(.flags = SYN | FIN, .seq = 0);
	inject(.flags = SYN | FIN | ACK, .seq = 0, .ack = 1);
	expect_nothing(500 * MS);
	check(app_state() == TCP_STATE_SYN_SENT);
	check(script.app.connects == 0);
	script_end();
}

static void rfc9293_3_10_7_3__data_on_a_syn_ack_is_delivered(void **state)
{
	const struct segment *ack;

	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460, .length = 30);
	ack = expect(.flags = ACK, .seq = 1, .ignore = ANY_ACK);
	check(ack->ack == 1 || ack->ack == 31);
	if (ack->ack == 1) {
		script_skip();
		inject(.flags = ACK, .seq = 1, .ack = 1, .length = 30);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 31);
	}
	check(script.app.received == 30);
	script_end();
}

/* Our ACK was lost: the SYN-ACK again is acknowledged again. */
static void rfc9293_3_10_7_4__a_syn_ack_again_is_acknowledged(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_active();
	advance(SECOND);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* ---- Simultaneous open: 3.5, figure 7; MUST-10 ---- */

static void reach_crossing(void)
{
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	check(script.app.connects == 0);
	check(app_state() == TCP_STATE_SYN_RECEIVED);
}

static void rfc9293_3_5__syns_that_cross_make_one_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_crossing();
	/* As the peer answers ours: its number is one too old for the window, its ACK counts. */
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	script_skip();
	pass_data(1, 0);
	check(app_pushed() == 1);
	script_end();
}

static void rfc9293_3_5__a_crossing_syn_acknowledged_by_data_establishes(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_crossing();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 11);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.connects == 1 && script.app.received == 10);
	script_end();
}

static void rfc9293_3_5__the_syn_ack_of_a_crossing_is_sent_again(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_crossing();
	expect_within(900 * MS, 2200 * MS, .flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* The SYN-ACK of a crossing answers what the peer's SYN offered, as any other. */
static void rfc9293_3_5__a_crossing_negotiates_options(void **state)
{
	script_begin(
		*state,
		&(struct script_options){
			.scaling = true, .shift = 2, .mss = 700, .sack = true, .timestamps = true});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN, .seq = 0, .mss = 700, .scaling = true, .shift = 2,
	       .sack_permitted = true, .has_timestamp = true, .window = 20000);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1, .scaling = true, .sack_permitted = true,
	       .has_timestamp = true);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	/* That 700 and the timestamps are kept is checked of every segment. */
	push_segments(1);
	inject(.flags = ACK, .seq = 101, .ack = 1, .length = 100);
	expect(.flags = ACK, .seq = 1 + script_mss(), .ack = 1, .sack_count = 1,
	       .sack = {{101, 201}});
	script_end();
}

/* A peer that sends its SYN again meanwhile is answered again. */
static void rfc9293_3_5__a_crossing_syn_again_is_answered_again(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_crossing();
	advance(100 * MS);
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.ignore = ANY_FLAGS | ANY_SEQ, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* MUST-11: it came of an active open, so the application is told. */
static void rfc9293_3_5__a_reset_of_a_crossing_refuses(void **state)
{
	script_begin(*state, &(struct script_options){0});
	reach_crossing();
	inject(.flags = RST, .seq = 1);
	check(script.app.connects == 1 && script.app.connect_error == ECONNREFUSED);
	expect_nothing(5 * SECOND);
	script_end();
}

/* ---- Giving up; the backlog ---- */

/* ABORT and CLOSE in SYN-SENT: 3.10.4, 3.10.5. */
static void rfc9293_3_10_4__a_connect_that_is_given_up_sends_nothing_more(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	script_touch();
	tcp_cancel_connect(script.app.conn);
	check(script.app.connects == 0);
	/* An answer now is for nobody. */
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = RST, .seq = 1);
	expect_nothing(10 * SECOND);
	check(script.app.connects == 0);
	check(script_counts().connections == 0);
	script_end();
}

static void rfc9293_3_10_4__a_socket_closed_while_it_connects_sends_nothing_more(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	app_close();
	advance(MS);
	check(script.app.closes == 1);
	expect_nothing(10 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

/* No more than the backlog wait; who was too many comes in when there is room, and is not reset. */
static void rfc9293_3_10_1__a_full_backlog_takes_no_more_and_recovers(void **state)
{
	const struct segment *answer;

	script_begin(*state, &(struct script_options){.backlog = 1});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .peer_port = 5000);
	expect(.flags = SYN | ACK, .ack = 1, .peer_port = 5000);
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 5000);
	check(tcp_acceptable(script.listener.conn) == 1);
	inject(.flags = SYN, .mss = 1460);
	answer = script_next(PROMPT_NS);
	check(!answer || answer->flags == (SYN | ACK));
	if (answer)
		inject(.flags = ACK, .seq = 1, .ack = 1);
	check(tcp_acceptable(script.listener.conn) == 1);
	check(script_skip() == 0);
	app_accept();
	/* There is room: the peer tries again, as peers do. */
	if (answer)
		inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	else
		inject(.flags = SYN, .mss = 1460);
	if (!answer) {
		expect(.flags = SYN | ACK, .ack = 1);
		inject(.flags = ACK, .seq = 1, .ack = 1);
	}
	check(tcp_acceptable(script.listener.conn) == 1);
	script_end_quietly();
}

static void rfc9293_3_10_5__a_closed_listener_resets_what_waits_for_it(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	inject(.flags = SYN, .mss = 1460);
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10);
	script_skip();
	script_touch();
	tcp_close(script.listener.conn, false);
	script.listener.conn = NULL;
	check(expect(.flags = RST, .seq = 1, .ignore = ANY_FLAGS | ANY_ACK)->flags & RST);
	inject(.flags = ACK, .seq = 11, .ack = 1);
	expect(.flags = RST, .seq = 1);
	check(script_counts().connections == 0);
	script_end();
}

/* ---- Half-open connections: 3.5.1, figure 10 ---- */

/* The peer has been restarted: its SYN is challenged, its reset believed. */
static void rfc9293_3_5_1__a_restarted_peer_gets_rid_of_the_old_connection(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	pass_data(1, 0);
	inject(.flags = SYN, .seq = 123456789, .mss = 1460);
	expect(.flags = ACK, .seq = 101, .ack = 1);
	inject(.flags = RST, .seq = 1);
	check(script.app.ends == 1 && script.app.end_error == ECONNRESET);
	inject(.flags = SYN, .seq = 123456789, .mss = 1460);
	check(expect(.flags = SYN | ACK, .ack = 123456790)->flags);
	script_end_quietly();
}

/* Figure 8: an old SYN is answered, the peer resets, and the new one opens. */
static void rfc9293_3_5__an_old_duplicate_syn_does_no_harm(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_listen();
	script_renew(0, 0, 90000);
	inject(.flags = SYN, .mss = 1460);
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = RST, .seq = 1);
	script_renew(0, 0, 7000000);
	inject(.flags = SYN, .mss = 1460);
	expect(.flags = SYN | ACK, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end();
}

/* ---- Ports that are chosen ---- */

#define PORTS 55536u /* RFC 6056: those that are chosen from */

/* RFC 6056, 3.3.3: connections to different peers may have the same port: the four numbers tell them apart. */
static void rfc6056_3_3__ports_are_shared_by_different_destinations(void **state)
{
	static struct tcp_conn *conns[PORTS + 1000];
	static uint8_t users[65536];
	struct script_options options = {.tcp = script_tcp()};
	uint32_t shared = 0;

	script_begin(*state, &options);
	memset(users, 0, sizeof(users));
	/* So many are not looked at. */
	script.is_over = true;
	for (uint32_t i = 0; i < COUNT_OF(conns); i++) {
		struct ip_address local;
		uint16_t port;

		app_open();
		conns[i] = script.app.conn;
		script.app.conn = NULL;
		assert_int_equal(tcp_connect(conns[i], &script.peer_ip, (uint16_t)(1 + i % 65535)),
				 0);
		assert_true(tcp_local(conns[i], &local, &port));
		shared += users[port]++ > 0;
		if (i % 64 == 0)
			advance(US);
	}
	assert_true(shared >= 1000);
	/* An application that wants one of these for itself gets it no more than before. */
	app_open();
	assert_int_equal(tcp_bind(script.app.conn, &script.host_ip, conns[0]->local_port),
			 -EADDRINUSE);
	for (uint32_t i = 0; i < COUNT_OF(conns); i++)
		tcp_close(conns[i], false);
	script_end_quietly();
}

/* To the same one they may not, as long as there are ports. */
static void rfc6056_3_3__ports_to_one_destination_differ(void **state)
{
	static struct tcp_conn *conns[1000];
	static bool used[65536];

	script_begin(*state, &(struct script_options){0});
	memset(used, 0, sizeof(used));
	script.is_over = true;
	for (uint32_t i = 0; i < COUNT_OF(conns); i++) {
		app_connect();
		conns[i] = script.app.conn;
		script.app.conn = NULL;
		assert_false(used[conns[i]->local_port]);
		used[conns[i]->local_port] = true;
	}
	for (uint32_t i = 0; i < COUNT_OF(conns); i++)
		tcp_close(conns[i], false);
	script_end_quietly();
}

/* 3.9.1.1, MUST-46: nobody connects to a group or to all, though they be on the link. */
static void rfc9293_3_9_1_1__nobody_connects_to_a_group_or_to_all(void **state)
{
	const struct ip_address v4[] = {V4(224, 0, 0, 1), V4(239, 1, 2, 3), V4(255, 255, 255, 255),
					V4(10, 0, 0, 255)};
	const struct ip_address v6[] = {IPV6_ALL_NODES, IPV6_ALL_ROUTERS};

	script_begin(*state, &(struct script_options){0});
	app_open();
	for (size_t i = 0; i < (script.is_v6 ? COUNT_OF(v6) : COUNT_OF(v4)); i++)
		assert_int_equal(
			tcp_connect(script.app.conn, script.is_v6 ? &v6[i] : &v4[i], PEER_PORT),
			-ENETUNREACH);
	expect_nothing(5 * SECOND);
	check(script_counts().connections == 0);
	script_end();
}

/* 3.9.1.1, MUST-42: one may listen at the port from which another connection is being opened. */
static void rfc9293_3_9_1_1__one_listens_where_a_connection_is_being_opened(void **state)
{
	script_begin(*state, &(struct script_options){.reuse_address = true});
	app_open();
	assert_int_equal(tcp_bind(script.app.conn, &script.host_ip, HOST_PORT), 0);
	assert_int_equal(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT), 0);
	expect(.flags = SYN);
	app_listen();
	inject(.flags = SYN, .mss = 1460, .peer_port = 4001);
	expect(.flags = SYN | ACK, .ack = 1, .peer_port = 4001);
	/* Each goes its own way. */
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 4001);
	check(script.listener.acceptable == 1);
	script_end();
}

/*
 * RFC 1122, 3.3.1.4, and RFC 4861, 7.3.1: what the peer acknowledges tells that the first hop lives, so
 * that nobody asks it; where nothing is acknowledged it is asked.
 */
static void rfc1122_3_3_1_4__progress_confirms_the_first_hop(void **state)
{
	enum net_layer layer;
	uint64_t before;

	script_begin(*state, &(struct script_options){0});
	layer = script.is_v6 ? NET_LAYER_NDP : NET_LAYER_ARP;
	open_passive();
	pass_data(2, 0);
	before = script.host->net->counters.layers[layer].tx_packets;
	for (unsigned int i = 0; i < 100; i++) {
		pass_data(1, 0);
		advance(2 * SECOND);
	}
	check(script.host->net->counters.layers[layer].tx_packets == before);
	app_push(100);
	advance(200 * SECOND);
	check(script.host->net->counters.layers[layer].tx_packets > before);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_5_2__a_syn_to_a_closed_port_is_reset),
		SCRIPT_TEST(rfc9293_3_5_2__an_ack_to_a_closed_port_is_reset_with_its_number),
		SCRIPT_TEST(rfc9293_3_5_2__data_without_ack_to_a_closed_port_is_reset),
		SCRIPT_TEST(rfc9293_3_10_7_1__a_reset_to_a_closed_port_is_not_answered),
		SCRIPT_TEST(rfc9293_3_10_7_2__a_syn_is_answered_and_the_ack_establishes),
		SCRIPT_TEST(rfc9293_3_10_7_2__the_accepted_connection_knows_both_ends),
		SCRIPT_TEST(rfc9293_3_10_7_2__an_ack_to_a_listener_is_reset),
		SCRIPT_TEST(rfc9293_3_10_7_2__a_reset_to_a_listener_is_ignored),
		SCRIPT_TEST(rfc9293_3_10_7_2__null_and_fin_segments_to_a_listener_open_nothing),
		SCRIPT_TEST(rfc9293_3_10_7_2__a_syn_with_fin_opens_nothing),
		SCRIPT_TEST(rfc9293_3_10_7_2__a_christmas_tree_opens_nothing),
		SCRIPT_TEST(rfc9293_3_4__data_on_a_syn_is_delivered_once_established),
		SCRIPT_TEST(rfc9293_3_9_2_3__a_syn_to_a_group_is_dropped),
		SCRIPT_TEST(rfc9293_3_9_2_3__a_syn_from_a_group_is_dropped),
		SCRIPT_TEST(rfc9293_3_9_2_3__a_syn_from_our_own_address_is_dropped),
		SCRIPT_TEST(rfc9293_3_10_1__two_peers_of_one_listener_are_two_connections),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_syn_again_is_answered_as_before),
		SCRIPT_TEST(rfc6298_5__the_syn_ack_is_sent_again_with_back_off),
		SCRIPT_TEST(rfc9293_3_8_3__a_half_open_connection_ends),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_wrong_ack_of_the_syn_ack_is_reset),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_reset_in_syn_received_returns_to_listen),
		SCRIPT_TEST(rfc9293_3_10_7_4__data_with_the_handshakes_ack_is_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fin_with_the_handshakes_ack_is_taken),
		SCRIPT_TEST(rfc9293_3_5__an_active_open_is_three_segments),
		SCRIPT_TEST(rfc6298_5__the_syn_is_sent_again_with_back_off),
		SCRIPT_TEST(rfc9293_3_8_3__an_unanswered_connect_fails_after_three_minutes),
		SCRIPT_TEST(rfc9293_3_8_3__the_application_bounds_the_syns),
		SCRIPT_TEST(rfc9293_3_10_7_3__a_reset_of_our_syn_refuses),
		SCRIPT_TEST(rfc9293_3_10_7_3__a_reset_that_does_not_acknowledge_our_syn_is_dropped),
		SCRIPT_TEST(rfc9293_3_10_7_3__a_syn_ack_of_another_syn_is_reset),
		SCRIPT_TEST(
			rfc9293_3_5_1__an_ack_of_an_old_connection_is_reset_and_the_syn_repeated),
		SCRIPT_TEST(rfc9293_3_10_7_3__an_ack_without_syn_does_not_establish),
		SCRIPT_TEST(rfc9293_3_10_7_3__null_fin_and_syn_fin_change_nothing),
		SCRIPT_TEST(rfc9293_3_10_7_3__data_on_a_syn_ack_is_delivered),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_syn_ack_again_is_acknowledged),
		SCRIPT_TEST(rfc9293_3_5__syns_that_cross_make_one_connection),
		SCRIPT_TEST(rfc9293_3_5__a_crossing_syn_acknowledged_by_data_establishes),
		SCRIPT_TEST(rfc9293_3_5__the_syn_ack_of_a_crossing_is_sent_again),
		SCRIPT_TEST(rfc9293_3_5__a_crossing_negotiates_options),
		SCRIPT_TEST(rfc9293_3_5__a_crossing_syn_again_is_answered_again),
		SCRIPT_TEST(rfc9293_3_5__a_reset_of_a_crossing_refuses),
		SCRIPT_TEST(rfc9293_3_10_4__a_connect_that_is_given_up_sends_nothing_more),
		SCRIPT_TEST(rfc9293_3_10_4__a_socket_closed_while_it_connects_sends_nothing_more),
		SCRIPT_TEST(rfc9293_3_10_1__a_full_backlog_takes_no_more_and_recovers),
		SCRIPT_TEST(rfc9293_3_10_5__a_closed_listener_resets_what_waits_for_it),
		SCRIPT_TEST(rfc9293_3_5_1__a_restarted_peer_gets_rid_of_the_old_connection),
		SCRIPT_TEST(rfc9293_3_5__an_old_duplicate_syn_does_no_harm),
		SCRIPT_TEST_V4(rfc6056_3_3__ports_are_shared_by_different_destinations),
		SCRIPT_TEST(rfc6056_3_3__ports_to_one_destination_differ),
		SCRIPT_TEST(rfc9293_3_9_1_1__one_listens_where_a_connection_is_being_opened),
		SCRIPT_TEST(rfc1122_3_3_1_4__progress_confirms_the_first_hop),
		SCRIPT_TEST(rfc9293_3_9_1_1__nobody_connects_to_a_group_or_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
