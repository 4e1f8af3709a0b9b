/* SPDX-License-Identifier: MIT */
/* What strangers must not guess: initial numbers, RFC 6528, and ports, RFC 6056. */
#include "net/tcp/conn.h"
#include "script.h"

#define CONNECTIONS 32u

static uint32_t iss_of_syn(uint16_t peer_port)
{
	inject(.flags = SYN, .mss = 1460, .peer_port = peer_port);
	expect(.flags = SYN | ACK, .ack = 1, .peer_port = peer_port);
	return script_flow(peer_port, 0)->host_iss;
}

/* RFC 6528, 3; RFC 9293, SHLD-1, MUST-9: from one connection's number another's does not follow. */
static void rfc6528_3__numbers_of_other_connections_cannot_be_foretold(void **state)
{
	uint32_t numbers[CONNECTIONS];
	unsigned int near = 0;

	script_begin(*state, &(struct script_options){.seed = 3});
	app_listen();
	for (uint16_t i = 0; i < CONNECTIONS; i++)
		numbers[i] = iss_of_syn((uint16_t)(6000 + i));
	for (unsigned int i = 1; i < CONNECTIONS; i++) {
		int32_t step = (int32_t)(numbers[i] - numbers[i - 1]);

		if (step > -(1 << 24) && step < 1 << 24)
			near++;
	}
	/* Of 2^32 numbers 1 in 128 is so near by chance. */
	check(near <= 4);
	script_end();
}

/* The upper bits are not all that changes. */
static void rfc6528_3__all_bits_of_the_number_vary(void **state)
{
	uint32_t ones = 0, zeros = 0;

	script_begin(*state, &(struct script_options){.seed = 4});
	app_listen();
	for (uint16_t i = 0; i < CONNECTIONS; i++) {
		uint32_t number = iss_of_syn((uint16_t)(6000 + i));

		ones |= number;
		zeros |= ~number;
	}
	check(ones == UINT32_MAX && zeros == UINT32_MAX);
	script_end();
}

/* RFC 6528, 3; MUST-8: of the same connection again it has moved on with the clock, 4 us a tick. */
static void rfc6528_3__the_same_connection_later_has_a_higher_number(void **state)
{
	uint32_t first, second;

	script_begin(*state, &(struct script_options){.seed = 5});
	app_listen();
	first = iss_of_syn(PEER_PORT);
	inject(.flags = RST, .seq = 1);
	advance(10 * SECOND);
	script_renew(0, 0, PEER_ISS + 50000);
	second = iss_of_syn(PEER_PORT);
	check((int32_t)(second - first) > 0);
	/* 2,500,000 ticks; a clock of another rate would do, but not one that stands. */
	check(second - first > 10000);
	script_end();
}

/* Another secret, another number. */
static void rfc6528_3__the_number_depends_on_a_secret(void **state)
{
	uint32_t numbers[4];

	for (uint64_t i = 0; i < COUNT_OF(numbers); i++) {
		script_begin(*state, &(struct script_options){.seed = 100 + i});
		app_listen();
		numbers[i] = iss_of_syn(PEER_PORT);
		script_end_quietly();
	}
	for (unsigned int i = 1; i < COUNT_OF(numbers); i++)
		check(numbers[i] != numbers[i - 1]);
	check(numbers[1] - numbers[0] != numbers[2] - numbers[1]);
	script_begin(*state, &(struct script_options){0});
	script_end();
}

/* Of active opens too. */
static void rfc6528_3__numbers_of_active_opens_cannot_be_foretold(void **state)
{
	uint32_t numbers[8], near = 0;

	script_begin(*state, &(struct script_options){.seed = 6});
	app_open();
	for (unsigned int i = 0; i < COUNT_OF(numbers); i++) {
		uint16_t peer_port = (uint16_t)(PEER_PORT + i);

		script_touch();
		check(tcp_connect(script.app.conn, &script.peer_ip, peer_port) == 0);
		expect(.flags = SYN, .peer_port = peer_port);
		numbers[i] = script_flow(peer_port, 0)->host_iss;
		script_touch();
		tcp_cancel_connect(script.app.conn);
	}
	for (unsigned int i = 1; i < COUNT_OF(numbers); i++) {
		int32_t step = (int32_t)(numbers[i] - numbers[i - 1]);

		if (step > -(1 << 24) && step < 1 << 24)
			near++;
	}
	check(near <= 2);
	script_end();
}

/* RFC 6056, 3: ports of our own choice are no sequence to strangers, and are not low. */
static void rfc6056_3__ports_cannot_be_foretold(void **state)
{
	uint16_t ports[16];
	unsigned int steps = 0;

	script_begin(*state, &(struct script_options){.seed = 7});
	for (unsigned int i = 0; i < COUNT_OF(ports); i++) {
		uint16_t peer_port = (uint16_t)(PEER_PORT + i);

		app_open();
		check(tcp_connect(script.app.conn, &script.peer_ip, peer_port) == 0);
		expect(.flags = SYN, .peer_port = peer_port);
		ports[i] = script.active_port;
		check(ports[i] >= 1024);
		script_touch();
		tcp_close(script.app.conn, false);
		script.app.conn = NULL;
	}
	for (unsigned int i = 1; i < COUNT_OF(ports); i++) {
		int step = ports[i] - ports[i - 1];

		if (step >= -4 && step <= 4)
			steps++;
	}
	check(steps <= 3);
	script_end();
}

/* An active open whose search for a port begins at @port; the port that it was given. */
static uint16_t connect_near(uint16_t peer_port, uint16_t port)
{
	struct tcp_table *table;
	uint32_t counter;

	app_open();
	table = script.app.conn->table;
	counter = table->port_counter;
	check(tcp_connect(script.app.conn, &script.peer_ip, peer_port) == 0);
	expect(.flags = SYN, .peer_port = peer_port);
	script_touch();
	tcp_cancel_connect(script.app.conn);
	/* It counts modulo the number of ports that there are to choose from. */
	table->port_counter = counter + TCP_PORTS - 10000u + port - script.active_port;
	check(tcp_connect(script.app.conn, &script.peer_ip, peer_port) == 0);
	expect(.flags = SYN, .peer_port = peer_port);
	return script.active_port;
}

/* RFC 6056, 3.3: only the four numbers together need to be unlike those of any other connection. */
static void rfc6056_3_3__connections_to_different_peers_share_a_port(void **state)
{
	struct tcp_conn *first, *second;
	uint16_t port;

	script_begin(*state, &(struct script_options){.seed = 8});
	app_open();
	check(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT) == 0);
	expect(.flags = SYN, .peer_port = PEER_PORT);
	first = script.app.conn;
	port = script.active_port;
	check(connect_near(PEER_PORT + 1, port) == port);
	second = script.app.conn;
	check(connect_near(PEER_PORT, port) == port + 1);
	script_touch();
	tcp_close(first, false);
	tcp_close(second, false);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc6528_3__numbers_of_other_connections_cannot_be_foretold),
		SCRIPT_TEST(rfc6528_3__all_bits_of_the_number_vary),
		SCRIPT_TEST(rfc6528_3__the_same_connection_later_has_a_higher_number),
		SCRIPT_TEST(rfc6528_3__the_number_depends_on_a_secret),
		SCRIPT_TEST(rfc6528_3__numbers_of_active_opens_cannot_be_foretold),
		SCRIPT_TEST(rfc6056_3__ports_cannot_be_foretold),
		SCRIPT_TEST(rfc6056_3_3__connections_to_different_peers_share_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
