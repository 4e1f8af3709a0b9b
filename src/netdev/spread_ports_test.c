/* SPDX-License-Identifier: MIT */
#include "netdev/spread_ports.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 8u
#define ALL ((UINT64_C(1) << SLOTS) - 1)

static struct spread_ports ports;
static struct spread_holdings holdings[SLOTS];

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(spread_ports_init(&ports, SLOTS, 0x1234567890abcdef), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(spread_holdings_init(&holdings[i]), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++)
		spread_holdings_fini(&holdings[i], &ports, i);
	spread_ports_fini(&ports);
	return 0;
}

static int bind_port(uint32_t slot, uint16_t port, bool shares)
{
	return spread_ports_bind(&ports, &holdings[slot], slot, SPREAD_TCP, port, shares);
}

static void unbind_port(uint32_t slot, uint16_t port)
{
	spread_ports_unbind(&ports, &holdings[slot], slot, SPREAD_TCP, port);
}

static struct spread_flow flow_to(uint16_t local_port, uint16_t remote_port)
{
	return (struct spread_flow){ip_address_v4(0x0a000001),
				    ip_address_v4(0x0a000002),
				    local_port,
				    remote_port,
				    SPREAD_TCP,
				    false};
}

/* A flow whose home is @slot. */
static struct spread_flow flow_home_at(uint16_t local_port, uint32_t slot)
{
	struct spread_flow flow = flow_to(local_port, 1024);

	while (spread_home(&ports, &flow) != slot)
		flow.remote_port++;
	return flow;
}

static void home__is_spread_evenly(void **state)
{
	unsigned int counts[SLOTS] = {0};

	(void)state;
	for (uint32_t port = 0; port < 8000; port++) {
		struct spread_flow flow = flow_to(7000, (uint16_t)port);
		uint32_t home = spread_home(&ports, &flow);

		assert_true(home < SLOTS);
		assert_int_equal(home, spread_home(&ports, &flow));
		counts[home]++;
	}
	/* A thousand each; five standard deviations are 150. */
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_in_range(counts[i], 850, 1150);
}

static void next__is_home_where_nobody_claims(void **state)
{
	(void)state;
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct spread_flow flow = flow_home_at(9, slot);
		uint64_t others = ALL & ~(UINT64_C(1) << slot);

		assert_int_equal(spread_next(&ports, &flow, ALL, 0), slot);
		/* Who is not there gets nothing. */
		assert_int_not_equal(spread_next(&ports, &flow, others, 0), slot);
		assert_int_equal(spread_next(&ports, &flow, ALL, UINT64_C(1) << slot),
				 SPREAD_SLOTS_MAX);
	}
}

/* The order in which all are asked: of five at most. */
static void assert_order(const struct spread_flow *flow, const uint32_t order[5])
{
	uint64_t tried = 0;

	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(spread_next(&ports, flow, ALL, tried), order[i]);
		if (order[i] == SPREAD_SLOTS_MAX)
			break;
		tried |= UINT64_C(1) << order[i];
	}
}

static void next__asks_all_who_may_have_it(void **state)
{
	struct spread_flow flow = flow_home_at(80, 5);

	(void)state;
	assert_int_equal(bind_port(1, 80, true), 0);
	assert_int_equal(bind_port(3, 80, true), 0);
	assert_int_equal(bind_port(6, 80, true), 0);
	spread_ports_enter(&ports, &holdings[7], 7, SPREAD_TCP, 80);
	/* Not all who listen, for a segment of a connection. */
	assert_order(&flow, (uint32_t[5]){6, 7, 5, SPREAD_SLOTS_MAX});
	flow.opens = true;
	assert_order(&flow, (uint32_t[5]){6, 7, 5, 1, 3});
	unbind_port(6, 80);
	assert_int_equal(spread_next(&ports, &flow, ALL, 0), 1);
	/* The same port of the other protocol is another one. */
	flow.protocol = SPREAD_UDP;
	assert_int_equal(spread_next(&ports, &flow, ALL, 0), spread_home(&ports, &flow));
	spread_ports_leave(&ports, &holdings[7], 7, SPREAD_TCP, 80);
}

static void bind__is_shared_by_those_who_say_so(void **state)
{
	(void)state;
	assert_int_equal(bind_port(0, 80, false), 0);
	assert_int_equal(bind_port(1, 80, true), -EADDRINUSE);
	assert_int_equal(bind_port(1, 80, false), -EADDRINUSE);
	assert_true(spread_is_bound_elsewhere(&ports, 1, SPREAD_TCP, 80));
	assert_false(spread_is_bound_elsewhere(&ports, 0, SPREAD_TCP, 80));
	/* Its own sockets are the slot's business, but what one does not share nobody else gets. */
	assert_int_equal(bind_port(0, 80, true), 0);
	assert_int_equal(bind_port(1, 80, true), -EADDRINUSE);
	unbind_port(0, 80);
	assert_int_equal(bind_port(1, 80, true), -EADDRINUSE);
	unbind_port(0, 80);
	assert_int_equal(bind_port(1, 80, true), 0);
	assert_int_equal(bind_port(0, 80, true), 0);
	assert_int_equal(bind_port(2, 80, false), -EADDRINUSE);
	unbind_port(0, 80);
	unbind_port(1, 80);
	assert_int_equal(bind_port(2, 80, false), 0);
}

static void flows__are_found_without_a_listener(void **state)
{
	struct spread_flow flow = flow_home_at(80, 2);
	static const uint32_t with_flows[5] = {4, 2, SPREAD_SLOTS_MAX};
	static const uint32_t without[5] = {2, SPREAD_SLOTS_MAX};

	(void)state;
	assert_int_equal(bind_port(4, 80, true), 0);
	spread_ports_enter(&ports, &holdings[4], 4, SPREAD_TCP, 80);
	spread_ports_enter(&ports, &holdings[4], 4, SPREAD_TCP, 80);
	unbind_port(4, 80);
	assert_order(&flow, with_flows);
	/* That is no reason not to bind it. */
	assert_int_equal(bind_port(1, 80, false), 0);
	unbind_port(1, 80);
	spread_ports_leave(&ports, &holdings[4], 4, SPREAD_TCP, 80);
	assert_order(&flow, with_flows);
	spread_ports_leave(&ports, &holdings[4], 4, SPREAD_TCP, 80);
	assert_order(&flow, without);
}

static void holdings__go_with_their_runtime(void **state)
{
	struct spread_flow flow = flow_home_at(80, 2);

	(void)state;
	assert_int_equal(bind_port(4, 80, false), 0);
	spread_ports_enter(&ports, &holdings[4], 4, SPREAD_TCP, 81);
	spread_holdings_fini(&holdings[4], &ports, 4);
	assert_int_equal(spread_next(&ports, &flow, ALL, 0), 2);
	flow = flow_home_at(81, 3);
	assert_int_equal(spread_next(&ports, &flow, ALL, 0), 3);
	assert_int_equal(bind_port(1, 80, false), 0);
	assert_int_equal(spread_holdings_init(&holdings[4]), 0);
}

/* ---- What a frame says ---- */

static const uint8_t udp4[] = {
	2, 0,  0,  0, 0, 1,  2, 0, 0, 0,  0, 2, 8, 0,    0x45, 0, 0,  28, 0, 1, 0x40,
	0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0x12, 0x34, 0, 80, 0,  8, 0, 0,
};

static void parse__finds_addresses_and_ports(void **state)
{
	const struct ip_address local = ip_address_v4(0x0a000001);
	const struct ip_address remote = ip_address_v4(0x0a000002);
	uint8_t tagged[sizeof(udp4) + 4], v6[14 + 40 + 20] = {2, 0, 0, 0, 0, 1};
	struct spread_flow flow;

	(void)state;
	assert_true(spread_parse(&flow, udp4, sizeof(udp4)));
	assert_true(ip_address_equal(&flow.local, &local));
	assert_true(ip_address_equal(&flow.remote, &remote));
	assert_int_equal(flow.local_port, 80);
	assert_int_equal(flow.remote_port, 0x1234);
	assert_int_equal(flow.protocol, SPREAD_UDP);

	memcpy(tagged, udp4, 12);
	memcpy(tagged + 12, "\x81\0\0\5", 4);
	memcpy(tagged + 16, udp4 + 12, sizeof(udp4) - 12);
	tagged[27] = 6;
	assert_true(spread_parse(&flow, tagged, sizeof(tagged)));
	assert_int_equal(flow.local_port, 80);
	assert_int_equal(flow.protocol, SPREAD_TCP);

	memcpy(v6 + 12, "\x86\xdd\x60", 3);
	v6[14 + 6] = 6;
	v6[14 + 8] = 0xfd;
	v6[14 + 24] = 0xfc;
	v6[14 + 40 + 3] = 99;
	assert_true(spread_parse(&flow, v6, sizeof(v6)));
	assert_int_equal(flow.remote.bytes[0], 0xfd);
	assert_int_equal(flow.local.bytes[0], 0xfc);
	assert_int_equal(flow.local_port, 99);
}

static void parse__leaves_the_rest_to_all(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{0, 3},     /* to a group */
		{13, 6},    /* ARP */
		{14, 0x44}, /* a header too short */
		{14, 0x4f}, /* one that is longer than the frame */
		{20, 0x20}, /* the first fragment */
		{21, 1},    /* a later one */
		{23, 1},    /* ICMP */
	};
	uint8_t frame[sizeof(udp4)];
	struct spread_flow flow;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		memcpy(frame, udp4, sizeof(udp4));
		frame[changes[i].at] = changes[i].value;
		assert_false(spread_parse(&flow, frame, sizeof(frame)));
	}
	for (size_t length = 0; length < 38; length++)
		assert_false(spread_parse(&flow, udp4, length));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(home__is_spread_evenly),
		CASE(next__is_home_where_nobody_claims),
		CASE(next__asks_all_who_may_have_it),
		CASE(bind__is_shared_by_those_who_say_so),
		CASE(flows__are_found_without_a_listener),
		CASE(holdings__go_with_their_runtime),
		CASE(parse__finds_addresses_and_ports),
		CASE(parse__leaves_the_rest_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
