/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "netdev/sim.h"

/* ---- A stack over a simulated device, and what it says at its birth ---- */

static struct {
	struct heap *heap;
	struct sched sched;
	struct sim_link *link;
	struct netdev *device;
	struct net *net;
	bool autoconf;
	struct net_address addresses[NET_CONFIGURED_MAX + 1];
	struct ip_address gateways[2];
	struct net_route routes[2];
	unsigned int address_count, gateway_count, route_count;
	char said[1024];
} at;

static int setup(void **state)
{
	const struct sim_options calm = {.delay_ns = 1000};
	const struct sim_device_options device = {.mac = {{2, 0, 0, 0, 0, 1}}};

	(void)state;
	memset(&at, 0, sizeof(at));
	at.autoconf = true;
	assert_int_equal(heap_create(&at.heap, &(struct heap_options){.bytes_max = 32u << 20}), 0);
	assert_int_equal(sched_init(&at.sched, 1), 0);
	at.link = sim_link_create(&calm);
	assert_non_null(at.link);
	return sim_device_create(&at.device, at.link, at.heap, &device);
}

static int teardown(void **state)
{
	(void)state;
	net_destroy(at.net);
	netdev_close(at.device);
	sim_link_destroy(at.link);
	sched_fini(&at.sched);
	heap_destroy(at.heap);
	return 0;
}

static struct ip_address ip(const char *text)
{
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1)
		return ip_address_from_in(in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6), 1);
	return ip_address_from_in6(&in6);
}

static void address(const char *text, uint8_t bits)
{
	at.addresses[at.address_count++] = (struct net_address){
		.ip = ip(text),
		.prefix_bits = bits,
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
		.preferred_until_ns = UINT64_MAX,
	};
}

static void gateway(const char *text)
{
	at.gateways[at.gateway_count++] = ip(text);
}

static void route(const char *prefix, uint8_t bits, const char *via)
{
	struct ip_address address = ip(prefix);

	at.routes[at.route_count++] = (struct net_route){
		.prefix = address,
		.prefix_bits = (uint8_t)(bits + (ip_address_is_v4(&address) ? 96 : 0)),
		.gateway = ip(via),
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
	};
}

/* What is written to standard error meanwhile goes to at.said. */
static int create(void)
{
	const struct net_options options = {
		.device = at.device,
		.heap = at.heap,
		.sched = &at.sched,
		.now_ns = 1,
		.seed = {1, 2},
		.addresses = at.addresses,
		.address_count = at.address_count,
		.gateways = at.gateways,
		.gateway_count = at.gateway_count,
		.routes = at.routes,
		.route_count = at.route_count,
		.autoconf = at.autoconf,
		.neighbours_max = 16,
		.neighbour_pending_max = 4,
		.reassembly_bytes_max = 512u << 10,
	};
	int fds[2], saved = dup(2), error;
	ssize_t length;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], 2);
	close(fds[1]);
	error = net_create(&at.net, &options);
	dup2(saved, 2);
	close(saved);
	length = read(fds[0], at.said, sizeof(at.said) - 1);
	close(fds[0]);
	at.said[length > 0 ? length : 0] = '\0';
	return error;
}

/* One line, which says this. */
static void expect_refusal(const char *says)
{
	assert_int_equal(create(), -EINVAL);
	assert_null(at.net);
	if (!strstr(at.said, says))
		fail_msg("%s: not \"%s\"", at.said, says);
	assert_ptr_equal(strchr(at.said, '\n'), at.said + strlen(at.said) - 1);
}

static void expect_hop(const char *destination, const char *expected)
{
	struct ip_address to = ip(destination), hop, wanted = ip(expected);

	assert_int_equal(net_next_hop(at.net, &to, &hop), 0);
	assert_true(ip_address_equal(&hop, &wanted));
}

static void expect_start(void)
{
	assert_int_equal(create(), 0);
	assert_string_equal(at.said, "");
}

/* ---- Gateways ---- */

static void net_configure__takes_a_gateway_of_a_prefix(void **state)
{
	(void)state;
	address("10.0.0.2", 24);
	address("fd00::2", 64);
	gateway("10.0.0.1");
	gateway("fd00::1");
	expect_start();
	expect_hop("192.0.2.1", "10.0.0.1");
	expect_hop("2001:db8::1", "fd00::1");
}

/* RFC 4861, section 2.3: routers are known by their link-local addresses. */
static void net_configure__takes_a_link_local_gateway(void **state)
{
	(void)state;
	address("fd00::2", 64);
	gateway("fe80::1");
	route("2001:db8:1::", 48, "fe80::9");
	expect_start();
	expect_hop("2001:db8::1", "fe80::1");
	expect_hop("2001:db8:1::1", "fe80::9");
	expect_hop("fe80::1", "fe80::1");
}

/* All that it has of IPv6 is the router's to give. */
static void net_configure__takes_a_link_local_gateway_without_addresses(void **state)
{
	(void)state;
	gateway("fe80::1");
	expect_start();
	expect_hop("2001:db8::1", "fe80::1");
}

static void net_configure__takes_any_gateway_with_an_address_that_is_alone(void **state)
{
	(void)state;
	address("192.0.2.7", 32);
	address("2001:db8::7", 128);
	gateway("172.31.1.1");
	gateway("2001:db8:1::1");
	route("10.0.0.0", 8, "172.31.1.2");
	route("10.1.0.0", 16, "172.31.1.2");
	expect_start();
	expect_hop("8.8.8.8", "172.31.1.1");
	expect_hop("172.31.1.1", "172.31.1.1");
	expect_hop("10.2.3.4", "172.31.1.2");
	expect_hop("10.1.3.4", "172.31.1.2");
	/* Its neighbours are not on the link. */
	expect_hop("192.0.2.8", "172.31.1.1");
	expect_hop("2001:db8::8", "2001:db8:1::1");
	expect_hop("2001:db8:1::1", "2001:db8:1::1");
}

static void net_configure__refuses_a_gateway_elsewhere(void **state)
{
	(void)state;
	address("10.0.0.2", 24);
	/* Alone, but of the other version. */
	address("fd00::2", 128);
	gateway("10.9.0.1");
	expect_refusal("net.gw: gateway 10.9.0.1 is not on the link");
}

/* Link-local addresses are of one prefix, which the interface has. */
static void net_configure__refuses_a_link_local_gateway_of_another_prefix(void **state)
{
	(void)state;
	address("fd00::2", 128);
	gateway("fe80:0:0:1::1");
	expect_refusal("is not on the link");
}

static void net_configure__refuses_what_is_no_router(void **state)
{
	static const char *const wrong[] = {
		"10.0.0.0", "10.0.0.255", "224.0.0.1", "255.255.255.255", "127.0.0.1",
		"0.0.0.0",  "240.0.0.1",  "::",        "ff02::2",         "::1"};

	(void)state;
	address("10.0.0.2", 24);
	address("192.0.2.7", 32);
	address("fd00::2", 128);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		at.gateway_count = 0;
		gateway(wrong[i]);
		expect_refusal("is not the address of one host");
		assert_non_null(strstr(at.said, wrong[i]));
	}
}

static void net_configure__refuses_our_own_address(void **state)
{
	(void)state;
	address("10.0.0.2", 24);
	gateway("10.0.0.2");
	expect_refusal("is our own address");
	at.gateway_count = 0;
	gateway("fe80::ff:fe00:1");
	expect_refusal("is our own address");
}

static void net_configure__refuses_a_gateway_of_a_version_that_is_not_there(void **state)
{
	(void)state;
	at.autoconf = false;
	address("10.0.0.2", 32);
	gateway("fe80::1");
	expect_refusal("there is no IPv6 address");
	at.gateway_count = at.address_count = 0;
	address("fd00::2", 128);
	gateway("10.0.0.1");
	expect_refusal("there is no IPv4 address");
}

static void net_configure__names_the_prefix_as_it_was_written(void **state)
{
	(void)state;
	address("10.0.0.2", 24);
	route("10.1.0.0", 16, "10.0.0.1");
	route("10.1.0.0", 16, "10.0.0.3");
	expect_refusal("net.routes: 10.1.0.0/16 via 10.0.0.3: there is a route for that already");
}

/* ---- Addresses ---- */

static void add_many(unsigned int count)
{
	char text[32];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
		address(text, 24);
	}
}

/* And the link-local one, and those that routers give. */
static void net_configure__has_room_for_as_many_as_may_be_configured(void **state)
{
	(void)state;
	add_many(NET_CONFIGURED_MAX);
	expect_start();
	assert_int_equal(at.net->address_count, NET_CONFIGURED_MAX + 1);
}

static void net_configure__refuses_more(void **state)
{
	(void)state;
	add_many(NET_CONFIGURED_MAX + 1);
	expect_refusal("net.ip: 10.0.0.17/24: is one address too many");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(net_configure__takes_a_gateway_of_a_prefix),
		TEST(net_configure__takes_a_link_local_gateway),
		TEST(net_configure__takes_a_link_local_gateway_without_addresses),
		TEST(net_configure__takes_any_gateway_with_an_address_that_is_alone),
		TEST(net_configure__refuses_a_gateway_elsewhere),
		TEST(net_configure__refuses_a_link_local_gateway_of_another_prefix),
		TEST(net_configure__refuses_what_is_no_router),
		TEST(net_configure__refuses_our_own_address),
		TEST(net_configure__refuses_a_gateway_of_a_version_that_is_not_there),
		TEST(net_configure__names_the_prefix_as_it_was_written),
		TEST(net_configure__has_room_for_as_many_as_may_be_configured),
		TEST(net_configure__refuses_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
