/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include <arpa/inet.h>

#include "wire/address.h"

static struct ip_address ip(const char *text)
{
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1)
		return ip_address_from_in(in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6), 1);
	return ip_address_from_in6(&in6);
}

enum kind {
	V4 = 1,
	MULTICAST = 2,
	LOOPBACK = 4,
	UNSPECIFIED = 8,
	LINK_LOCAL = 16,
	BROADCAST = 32,
};

static unsigned int kind_of(const struct ip_address *a)
{
	return (ip_address_is_v4(a) ? V4 : 0) | (ip_address_is_multicast(a) ? MULTICAST : 0) |
	       (ip_address_is_loopback(a) ? LOOPBACK : 0) |
	       (ip_address_is_unspecified(a) ? UNSPECIFIED : 0) |
	       (ip_address_is_link_local(a) ? LINK_LOCAL : 0) |
	       (ip_address_is_broadcast(a) ? BROADCAST : 0);
}

static void address__is_what_its_prefix_says(void **state)
{
	static const struct {
		const char *text;
		unsigned int kind;
	} cases[] = {
		{"0.0.0.0", V4 | UNSPECIFIED},
		{"0.0.0.1", V4},
		{"10.1.2.3", V4},
		{"126.255.255.255", V4},
		{"127.0.0.1", V4 | LOOPBACK},
		{"127.255.0.9", V4 | LOOPBACK},
		{"128.0.0.0", V4},
		{"169.253.255.255", V4},
		{"169.254.0.1", V4 | LINK_LOCAL},
		{"169.255.0.0", V4},
		{"223.255.255.255", V4},
		{"224.0.0.1", V4 | MULTICAST},
		{"239.255.255.255", V4 | MULTICAST},
		{"240.0.0.0", V4},
		{"255.255.255.255", V4 | BROADCAST},
		{"::", UNSPECIFIED},
		{"::1", LOOPBACK},
		{"::2", 0},
		{"::7f00:1", 0},
		{"::ffff:0:0:1", 0},
		{"1::ffff:127.0.0.1", 0},
		{"2001:db8::1", 0},
		{"fe7f::1", 0},
		{"fe80::1", LINK_LOCAL},
		{"febf:ffff::1", LINK_LOCAL},
		{"fec0::1", 0},
		{"ff02::1", MULTICAST},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ip_address address = ip(cases[i].text);

		if (kind_of(&address) != cases[i].kind)
			fail_msg("%s is %#x", cases[i].text, kind_of(&address));
	}
}

static void address__survives_conversion(void **state)
{
	struct ip_address v4 = ip("192.0.2.33"), v6 = ip("2001:db8::8:9"), back;
	struct in6_addr in6 = ip_address_to_in6(&v6);
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(ip_address_low32(&v4), 0xc0000221);
	back = ip_address_from_in(ip_address_to_in(&v4));
	assert_true(ip_address_equal(&v4, &back));
	back = ip_address_from_in6(&in6);
	assert_true(ip_address_equal(&v6, &back));
	assert_false(ip_address_equal(&v6, &v4));
	in6 = ip_address_to_in6(&v4);
	assert_string_equal(inet_ntop(AF_INET6, &in6, text, sizeof(text)), "::ffff:192.0.2.33");
	for (size_t i = 0; i < sizeof(v6.bytes); i++) {
		back = v6;
		back.bytes[i] ^= 1;
		assert_false(ip_address_equal(&v6, &back));
	}
}

/* RFC 4291, section 2.7.1, has this example; RFC 1112, 6.4, and RFC 2464, 7, the other two. */
static void address__has_its_groups(void **state)
{
	struct ip_address node = ip("4037::01:800:200e:8c6c"), group = ip("ff02::1:ff0e:8c6c"),
			  made;
	struct eth_address eth;

	(void)state;
	made = ip_address_solicited_node(&node);
	assert_true(ip_address_equal(&made, &group));
	eth = eth_address_of_group(&group);
	assert_memory_equal(eth.bytes, "\x33\x33\xff\x0e\x8c\x6c", 6);
	group = ip("239.129.2.3");
	eth = eth_address_of_group(&group);
	assert_memory_equal(eth.bytes, "\x01\x00\x5e\x01\x02\x03", 6);
	assert_true(eth_address_is_multicast(&eth));
	made = IPV6_ALL_ROUTERS;
	group = ip("ff02::2");
	assert_true(ip_address_equal(&made, &group));
}

static void error__has_a_name(void **state)
{
	(void)state;
	assert_string_equal(wire_error_name(0), "ok");
	assert_string_equal(wire_error_name(-WIRE_BAD_CHECKSUM), "bad checksum");
	assert_string_equal(wire_error_name(WIRE_NO_ROOM), "no room");
	assert_string_equal(wire_error_name(WIRE_ERRORS_END), "unknown");
	assert_string_equal(wire_error_name(INT32_MIN), "unknown");
	for (int i = 0; i < WIRE_ERRORS_END; i++)
		assert_string_not_equal(wire_error_name(-i), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address__is_what_its_prefix_says),
		cmocka_unit_test(address__survives_conversion),
		cmocka_unit_test(address__has_its_groups),
		cmocka_unit_test(error__has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
