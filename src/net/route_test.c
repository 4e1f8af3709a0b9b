/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "net/net.h"

#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static struct net_route route(struct ip_address prefix, uint8_t bits, struct ip_address gateway)
{
	return (struct net_route){.prefix = prefix,
				  .prefix_bits = bits,
				  .gateway = gateway,
				  .valid_until_ns = UINT64_MAX};
}

static const struct ip_address on_link; /* :: */

static void expect_hop(const struct net *net, struct ip_address destination, struct ip_address hop)
{
	struct ip_address found;

	assert_int_equal(net_next_hop(net, &destination, &found), 0);
	assert_true(ip_address_equal(&found, &hop));
}

static void expect_none(const struct net *net, struct ip_address destination)
{
	struct ip_address found;

	assert_int_equal(net_next_hop(net, &destination, &found), -ENETUNREACH);
}

/* RFC 1122, section 3.3.1.1: on the link directly, everything else through a gateway. */
static void net_next_hop__takes_the_longest_prefix(void **state)
{
	static struct net net;
	struct net_route all = route(V4(0, 0, 0, 0), 96, V4(10, 0, 0, 1));
	struct net_route link = route(V4(10, 0, 0, 2), 96 + 24, on_link);
	struct net_route more = route(V4(10, 1, 0, 0), 96 + 16, V4(10, 0, 0, 9));
	struct net_route host = route(V4(10, 1, 2, 3), 128, V4(10, 0, 0, 8));

	(void)state;
	expect_none(&net, V4(10, 0, 0, 7));
	assert_int_equal(net_add_route(&net, &all), 0);
	assert_int_equal(net_add_route(&net, &host), 0);
	assert_int_equal(net_add_route(&net, &link), 0);
	assert_int_equal(net_add_route(&net, &more), 0);
	expect_hop(&net, V4(10, 0, 0, 7), V4(10, 0, 0, 7));
	expect_hop(&net, V4(10, 0, 1, 7), V4(10, 0, 0, 1));
	expect_hop(&net, V4(10, 1, 2, 4), V4(10, 0, 0, 9));
	expect_hop(&net, V4(10, 1, 2, 3), V4(10, 0, 0, 8));
	expect_none(&net, ip_address_v6_halves(0x2001000000000000, 1));
}

static void net_next_hop__keeps_the_versions_apart(void **state)
{
	static struct net net;
	struct ip_address gateway = ip_address_v6_halves(0xfe80000000000000, 1);
	struct net_route all = route(on_link, 0, gateway);

	(void)state;
	assert_int_equal(net_add_route(&net, &all), 0);
	expect_hop(&net, ip_address_v6_halves(0x2001000000000000, 1), gateway);
	expect_none(&net, V4(10, 0, 0, 7));
}

static void net_next_hop__passes_over_what_has_expired(void **state)
{
	static struct net net;
	struct net_route all = route(V4(0, 0, 0, 0), 96, V4(10, 0, 0, 1));
	struct net_route brief = route(V4(10, 1, 0, 0), 96 + 16, V4(10, 0, 0, 9));

	(void)state;
	brief.valid_until_ns = 100;
	net.now_ns = 99;
	net_add_route(&net, &all);
	net_add_route(&net, &brief);
	expect_hop(&net, V4(10, 1, 2, 3), V4(10, 0, 0, 9));
	net.now_ns = 100;
	expect_hop(&net, V4(10, 1, 2, 3), V4(10, 0, 0, 1));
}

static void net_add_route__refuses_two_of_a_prefix_and_too_many(void **state)
{
	static struct net net;

	(void)state;
	for (uint32_t i = 0; i < NET_ROUTES_MAX; i++) {
		struct net_route one = route(ip_address_v4(i << 8), 96 + 24, on_link);

		assert_int_equal(net_add_route(&net, &one), 0);
		/* The bits behind the prefix do not make another one. */
		one.prefix = ip_address_v4(i << 8 | 5);
		assert_int_equal(net_add_route(&net, &one), -EEXIST);
	}
	assert_int_equal(net_add_route(&net, &(struct net_route){.prefix_bits = 129}), -EINVAL);
	assert_int_equal(net_add_route(&net, &(struct net_route){.prefix_bits = 1}), -ENOSPC);
}

static void net_remove_route__changes_the_generation(void **state)
{
	static struct net net;
	struct net_route one = route(V4(10, 1, 0, 0), 96 + 16, on_link);
	uint32_t generation;

	(void)state;
	net_add_route(&net, &one);
	generation = net.generation;
	assert_int_equal(net_remove_route(&net, &one.prefix, 96 + 15), -ENOENT);
	assert_int_equal(net.generation, generation);
	assert_int_equal(net_remove_route(&net, &one.prefix, 96 + 16), 0);
	assert_int_not_equal(net.generation, generation);
	expect_none(&net, V4(10, 1, 2, 3));
}

/* ---- Against a twin that looks at every bit of every route ---- */

static bool twin_has(const struct net_route *one, const struct ip_address *ip)
{
	for (unsigned int bit = 0; bit < one->prefix_bits; bit++) {
		if ((one->prefix.bytes[bit / 8] ^ ip->bytes[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	}
	return ip_address_is_v4(&one->prefix) == ip_address_is_v4(ip);
}

static const struct net_route *twin_find(const struct net_route *routes, unsigned int count,
					 const struct ip_address *ip)
{
	const struct net_route *best = NULL;

	for (unsigned int i = 0; i < count; i++) {
		if (twin_has(&routes[i], ip) &&
		    (!best || routes[i].prefix_bits > best->prefix_bits))
			best = &routes[i];
	}
	return best;
}

static struct ip_address some_address(void)
{
	/* Few different bytes, so that prefixes match often. */
	if (rand() % 2)
		return V4(10, rand() % 2, rand() % 3, rand() % 4);
	return ip_address_v6_halves(0x2001000000000000 | (uint64_t)(rand() % 3) << 16,
				    (uint64_t)(rand() % 3));
}

static void net_next_hop__agrees_with_a_naive_twin(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 300; round++) {
		struct net_route twins[NET_ROUTES_MAX];
		struct net net = {0};
		unsigned int count = 0;

		while (count < 30) {
			struct ip_address prefix = some_address();
			uint8_t bits = (uint8_t)(ip_address_is_v4(&prefix) ? 96 + rand() % 33
									   : rand() % 129);

			twins[count] = route(prefix, bits, ip_address_v4(count + 1));
			if (net_add_route(&net, &twins[count]) == 0)
				count++;
		}
		for (int i = 0; i < 100; i++) {
			struct ip_address ip = some_address(), hop;
			const struct net_route *twin = twin_find(twins, count, &ip);
			int error = net_next_hop(&net, &ip, &hop);

			assert_int_equal(error, twin ? 0 : -ENETUNREACH);
			assert_true(error || ip_address_equal(&hop, &twin->gateway));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_next_hop__takes_the_longest_prefix),
		cmocka_unit_test(net_next_hop__keeps_the_versions_apart),
		cmocka_unit_test(net_next_hop__passes_over_what_has_expired),
		cmocka_unit_test(net_add_route__refuses_two_of_a_prefix_and_too_many),
		cmocka_unit_test(net_remove_route__changes_the_generation),
		cmocka_unit_test(net_next_hop__agrees_with_a_naive_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
