/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/autoconf.h"
#include "net/group.h"
#include "net/net.h"

/* ---- What address.c calls ---- */

static struct {
	unsigned int groups, routes, detections, tells, told;
	struct ip_address group;
	struct net_route route;
} calls;

int group_join(struct net *net, const struct ip_address *group)
{
	(void)net;
	calls.groups++;
	calls.group = *group;
	return 0;
}

int group_leave(struct net *net, const struct ip_address *group)
{
	(void)net;
	calls.groups--;
	calls.group = *group;
	return 0;
}

void autoconf_address_added(struct net *net, const struct ip_address *ip)
{
	(void)ip;
	assert_true(net->address_count > 0);
	calls.detections++;
}

int net_add_route(struct net *net, const struct net_route *route)
{
	(void)net;
	calls.routes++;
	calls.route = *route;
	return 0;
}

int net_remove_route(struct net *net, const struct ip_address *prefix, uint8_t prefix_bits)
{
	(void)net;
	calls.routes--;
	calls.route = (struct net_route){.prefix = *prefix, .prefix_bits = prefix_bits};
	return 0;
}

bool net_prefix_has(const struct ip_address *prefix, unsigned int bits, const struct ip_address *ip)
{
	return memcmp(prefix->bytes, ip->bytes, bits / 8) == 0;
}

static int tell(struct netdev *device, const struct ip_address *addresses, unsigned int count)
{
	(void)device;
	(void)addresses;
	calls.tells++;
	calls.told = count;
	return 0;
}

static const struct netdev_ops ops = {.set_addresses = tell};
static struct netdev device = {.ops = &ops};
static struct net net;

static int setup(void **state)
{
	(void)state;
	memset(&calls, 0, sizeof(calls));
	net = (struct net){.device = &device};
	return 0;
}

static struct ip_address ip(const char *text)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return ip_address_from_in(v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6), 1);
	return ip_address_from_in6(&v6);
}

static int add(const char *text, uint8_t bits)
{
	struct net_address address = {.ip = ip(text),
				      .prefix_bits = bits,
				      .is_static = true,
				      .valid_until_ns = UINT64_MAX,
				      .preferred_until_ns = UINT64_MAX};

	return net_add_address(&net, &address);
}

static void expect_source(const char *destination, const char *source)
{
	struct ip_address to = ip(destination), wanted = ip(source), found;

	assert_int_equal(net_source_address(&net, &to, &found), 0);
	assert_true(ip_address_equal(&found, &wanted));
}

/* ---- Tests ---- */

/* RFC 1122, section 3.2.1.3; RFC 4291, sections 2.5 and 2.7. */
static void net_add_address__refuses_what_no_host_has(void **state)
{
	static const struct {
		const char *text;
		uint8_t bits;
	} wrong[] = {
		{"0.0.0.0", 24},         {"0.1.2.3", 8},   {"127.0.0.1", 8},   {"224.0.0.1", 24},
		{"255.255.255.255", 32}, {"240.0.0.1", 8}, {"10.0.0.255", 24}, {"10.0.0.0", 24},
		{"10.0.0.1", 33},        {"::", 64},       {"::1", 128},       {"ff02::1", 64},
		{"fd00::1", 129},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(add(wrong[i].text, wrong[i].bits), -EINVAL);
	assert_int_equal(net.address_count, 0);
	assert_int_equal(calls.tells, 0);
}

/* RFC 3021: both addresses of a prefix of 31 bits are hosts'. */
static void net_add_address__takes_both_ends_of_a_point_to_point_link(void **state)
{
	struct ip_address last = ip("10.0.0.1");

	(void)state;
	assert_int_equal(add("10.0.0.0", 31), 0);
	assert_int_equal(add("10.0.0.1", 31), 0);
	assert_int_equal(add("10.0.0.9", 32), 0);
	assert_false(net_is_subnet_broadcast(&net, &last));
}

static void net_add_address__joins_routes_detects_and_tells(void **state)
{
	struct ip_address group = ip("ff02::1:ff00:2");

	(void)state;
	assert_int_equal(add("10.0.0.2", 24), 0);
	assert_int_equal(calls.groups, 0);
	assert_int_equal(calls.route.prefix_bits, 96 + 24);
	assert_int_equal(add("fd00::2", 64), 0);
	assert_int_equal(calls.groups, 1);
	assert_true(ip_address_equal(&calls.group, &group));
	assert_int_equal(calls.route.prefix_bits, 64);
	assert_int_equal(calls.routes, 2);
	assert_int_equal(calls.detections, 2);
	assert_int_equal(calls.told, 2);
	assert_int_equal(net.generation, 2);
	assert_int_equal(add("fd00::2", 64), -EEXIST);
}

static void net_add_address__has_room_for_so_many(void **state)
{
	char text[32];

	(void)state;
	for (unsigned int i = 0; i < NET_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
		assert_int_equal(add(text, 24), 0);
	}
	assert_int_equal(add("10.0.0.100", 24), -ENOSPC);
	assert_int_equal(add("10.0.0.3", 24), -EEXIST);
}

static void net_remove_address__keeps_the_route_that_another_needs(void **state)
{
	struct ip_address first = ip("10.0.0.2"), second = ip("10.0.0.3"), six = ip("fd00::2");

	(void)state;
	add("10.0.0.2", 24);
	add("10.0.0.3", 24);
	add("fd00::2", 64);
	calls.routes = 2;
	assert_int_equal(net_remove_address(&net, &first), 0);
	assert_int_equal(calls.routes, 2);
	assert_null(net_has_address(&net, &first));
	assert_non_null(net_has_address(&net, &second));
	assert_int_equal(net_remove_address(&net, &first), -ENOENT);
	assert_int_equal(net_remove_address(&net, &second), 0);
	assert_int_equal(calls.routes, 1);
	assert_int_equal(net_remove_address(&net, &six), 0);
	assert_int_equal(calls.groups, 0);
	assert_int_equal(calls.told, 0);
}

static void net_is_subnet_broadcast__knows_each_prefix(void **state)
{
	struct ip_address one = ip("10.0.0.255"), two = ip("10.1.255.255"), none = ip("10.0.1.255");
	struct ip_address six = ip("fd00::ffff");

	(void)state;
	add("10.0.0.2", 24);
	add("10.1.0.2", 16);
	add("fd00::2", 64);
	assert_true(net_is_subnet_broadcast(&net, &one));
	assert_true(net_is_subnet_broadcast(&net, &two));
	assert_false(net_is_subnet_broadcast(&net, &none));
	assert_false(net_is_subnet_broadcast(&net, &six));
}

/* RFC 6724, section 5, rules 1, 2, 3 and 8. */
static void net_source_address__prefers_by_the_rules(void **state)
{
	(void)state;
	add("10.0.0.2", 24);
	add("192.168.1.2", 24);
	add("fe80::2", 64);
	add("fd00::2", 64);
	add("2001:db8::2", 64);
	expect_source("10.0.0.9", "10.0.0.2");
	expect_source("192.168.1.9", "192.168.1.2");
	expect_source("192.168.7.9", "192.168.1.2");
	expect_source("fe80::9", "fe80::2");
	expect_source("ff02::1", "fe80::2");
	expect_source("2001:db8::9", "2001:db8::2");
	expect_source("fd00::9", "fd00::2");
	/* Of a group that leaves the link. */
	expect_source("ff0e::1", "fd00::2");
	net.addresses[4].is_deprecated = true;
	expect_source("2001:db8::9", "fd00::2");
	/* Rule 1: the very address. */
	expect_source("2001:db8::2", "2001:db8::2");
}

static void net_source_address__needs_one_of_the_version(void **state)
{
	struct ip_address to = ip("fd00::9"), found;

	(void)state;
	add("10.0.0.2", 24);
	assert_int_equal(net_source_address(&net, &to, &found), -EADDRNOTAVAIL);
}

static void net_source_address__minds_the_preferred_lifetime(void **state)
{
	(void)state;
	add("fd00::2", 64);
	add("fd01::2", 64);
	net.addresses[0].preferred_until_ns = 100;
	net.now_ns = 99;
	expect_source("fd00::9", "fd00::2");
	net.now_ns = 100;
	expect_source("fd00::9", "fd01::2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(net_add_address__refuses_what_no_host_has, setup),
		cmocka_unit_test_setup(net_add_address__takes_both_ends_of_a_point_to_point_link,
				       setup),
		cmocka_unit_test_setup(net_add_address__joins_routes_detects_and_tells, setup),
		cmocka_unit_test_setup(net_add_address__has_room_for_so_many, setup),
		cmocka_unit_test_setup(net_remove_address__keeps_the_route_that_another_needs,
				       setup),
		cmocka_unit_test_setup(net_is_subnet_broadcast__knows_each_prefix, setup),
		cmocka_unit_test_setup(net_source_address__prefers_by_the_rules, setup),
		cmocka_unit_test_setup(net_source_address__needs_one_of_the_version, setup),
		cmocka_unit_test_setup(net_source_address__minds_the_preferred_lifetime, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
