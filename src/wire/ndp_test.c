/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/icmp6.h"
#include "wire/ndp.h"

static struct ndp_message message;
static struct ip_address source, destination;
static uint8_t hop_limit = 255;

static const struct ip_address none,
	all_nodes = {{0xff, 2, [15] = 1}}, near = {{0xfe, 0x80, [15] = 1}},
	far = {{0xfe, 0x80, [13] = 0xa1, 0xa2, 0xa3}}, global = {{0x20, 1, 0xd, 0xb8, [15] = 9}};

static int parse(const void *data, size_t length)
{
	return ndp_parse(&message, &source, &destination, hop_limit, data, length);
}

static int parse_from(const struct ip_address *from, const struct ip_address *to, const void *data,
		      size_t length)
{
	source = *from;
	destination = *to;
	return test_parse(parse, data, length);
}

/* Emit and check with what the receiver does first. */
static size_t make(uint8_t *bytes, size_t room, const struct ndp_message *made)
{
	struct icmp6_message outer;
	int length = ndp_emit(bytes, room, &near, &far, made);

	assert_true(length > 0);
	assert_int_equal(icmp6_parse(&outer, &near, &far, bytes, (size_t)length), 8);
	assert_true(icmp6_is_ndp(&outer));
	for (int less = 0; less < length; less++)
		assert_int_equal(ndp_emit(bytes, (size_t)less, &near, &far, made), -WIRE_NO_ROOM);
	ndp_emit(bytes, room, &near, &far, made);
	return (size_t)length;
}

static struct ndp_message solicitation(void)
{
	return (struct ndp_message){
		.type = ICMP6_TYPE_NEIGHBOR_SOLICITATION,
		.target = far,
		.has_source_link = true,
		.source_link = {{2, 0, 0, 0, 0, 1}},
	};
}

/* RFC 4861, sections 4.3 and 4.6.1. */
static void ndp__solicitation_has_the_form_of_the_rfc(void **state)
{
	static const uint8_t expected[] = {0xfe, 0x80, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0,
					   0,    0xa1, 0xa2, 0xa3, 1, 1, 2, 0, 0, 0, 0, 1};
	struct ndp_message made = solicitation();
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(make(bytes, sizeof(bytes), &made), 32);
	assert_int_equal(bytes[0], 135);
	assert_memory_equal(bytes + 8, expected, sizeof(expected));
	assert_int_equal(parse_from(&near, &far, bytes, 32), 32);
	assert_true(ip_address_equal(&message.target, &far));
	assert_true(message.has_source_link && !message.has_target_link);
	/* Without its option it is a message, too. */
	assert_int_equal(parse_from(&near, &far, bytes, 24), 24);
	for (size_t cut = 0; cut < 32; cut++)
		if (cut != 24)
			assert_int_equal(parse_from(&near, &far, bytes, cut),
					 cut < 24 ? -WIRE_TRUNCATED : -WIRE_BAD_OPTION);
}

/* Sections 6.1, 7.1 and 8.1: what goes for all of them. */
static void ndp__comes_from_the_link_only(void **state)
{
	struct ndp_message made = solicitation();
	uint8_t bytes[32];

	(void)state;
	make(bytes, sizeof(bytes), &made);
	for (unsigned int hops = 0; hops < 256; hops++) {
		hop_limit = (uint8_t)hops;
		assert_int_equal(parse_from(&near, &far, bytes, 32),
				 hops == 255 ? 32 : -WIRE_BAD_HOP_LIMIT);
	}
	assert_int_equal(test_changed(parse, bytes, 32, 1, 1), -WIRE_BAD_CODE);
	assert_int_equal(test_changed(parse, bytes, 32, 0, 132), -WIRE_BAD_TYPE);
	assert_int_equal(test_changed(parse, bytes, 32, 0, 138), -WIRE_BAD_TYPE);
	made.type = 138;
	assert_int_equal(ndp_emit(bytes, 32, &near, &far, &made), -WIRE_BAD_TYPE);
}

static void ndp__refuses_lying_options(void **state)
{
	struct ndp_message made = solicitation();
	uint8_t bytes[24 + 8 * (NDP_OPTIONS_MAX + 1)];
	const size_t limit = 24 + 8 * NDP_OPTIONS_MAX;

	(void)state;
	make(bytes, sizeof(bytes), &made);
	assert_int_equal(parse_from(&near, &far, bytes, 32), 32);
	for (unsigned int units = 0; units < 256; units++)
		assert_int_equal(test_changed(parse, bytes, 32, 25, (uint8_t)units),
				 units == 1 ? 32 : -WIRE_BAD_OPTION);
	/* An address of a group is nobody's. */
	assert_int_equal(test_changed(parse, bytes, 32, 26, 3), -WIRE_BAD_OPTION);
	/* One that we do not know, or that does not belong here, may be anything but too long. */
	assert_int_equal(test_changed(parse, bytes, 32, 24, 200), 32);
	assert_false(message.has_source_link);
	assert_int_equal(test_changed(parse, bytes, 32, 24, 3), 32);
	bytes[24] = 200;
	bytes[25] = 2;
	assert_int_equal(parse_from(&near, &far, bytes, 32), -WIRE_BAD_OPTION);
	assert_int_equal(parse_from(&near, &far, bytes, 40), 40);
	for (size_t at = 24; at < sizeof(bytes); at += 8)
		memcpy(bytes + at, (uint8_t[]){200, 1, 0, 0, 0, 0, 0, 0}, 8);
	assert_int_equal(parse_from(&near, &far, bytes, limit), limit);
	assert_int_equal(parse_from(&near, &far, bytes, limit + 8), -WIRE_TOO_MANY_OPTIONS);
}

/* Section 7.1.1. */
static void ndp__solicitation_is_checked(void **state)
{
	struct ndp_message made = solicitation();
	struct ip_address group = ip_address_solicited_node(&far);
	uint8_t bytes[32];

	(void)state;
	make(bytes, sizeof(bytes), &made);
	assert_int_equal(parse_from(&none, &group, bytes, 24), 24);
	assert_int_equal(parse_from(&none, &group, bytes, 32), -WIRE_BAD_SOURCE);
	assert_int_equal(parse_from(&none, &far, bytes, 24), -WIRE_BAD_DESTINATION);
	assert_int_equal(parse_from(&none, &all_nodes, bytes, 24), -WIRE_BAD_DESTINATION);
	assert_int_equal(parse_from(&near, &all_nodes, bytes, 24), 24);
	assert_int_equal(test_changed(parse, bytes, 32, 8, 0xff), -WIRE_BAD_TARGET);
	memset(bytes + 8, 0, 16);
	assert_int_equal(parse_from(&near, &far, bytes, 24), -WIRE_BAD_TARGET);
}

/* Section 7.1.2. */
static void ndp__advertisement_is_checked(void **state)
{
	struct ndp_message made = {
		.type = ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT,
		.target = near,
		.solicited = true,
		.overrides = true,
		.has_target_link = true,
		.target_link = {{2, 0, 0, 0, 0, 1}},
	};
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(make(bytes, sizeof(bytes), &made), 32);
	assert_int_equal(bytes[4], 0x60);
	assert_int_equal(parse_from(&near, &far, bytes, 32), 32);
	assert_true(message.solicited && message.overrides && !message.router);
	assert_memory_equal(message.target_link.bytes, made.target_link.bytes, 6);
	assert_int_equal(parse_from(&near, &all_nodes, bytes, 32), -WIRE_BAD_DESTINATION);
	assert_int_equal(test_changed(parse, bytes, 32, 4, 0xa0), 32);
	assert_true(message.router);
	bytes[4] = 0;
	assert_int_equal(parse_from(&near, &all_nodes, bytes, 32), 32);
	assert_int_equal(test_changed(parse, bytes, 32, 8, 0xff), -WIRE_BAD_TARGET);
	test_truncations(parse, bytes, 24, 24);
}

/* Section 6.1.1. */
static void ndp__router_solicitation_is_checked(void **state)
{
	struct ndp_message made = solicitation();
	uint8_t bytes[16];

	(void)state;
	made.type = ICMP6_TYPE_ROUTER_SOLICITATION;
	assert_int_equal(make(bytes, sizeof(bytes), &made), 16);
	assert_int_equal(parse_from(&near, &all_nodes, bytes, 16), 16);
	assert_int_equal(parse_from(&none, &all_nodes, bytes, 16), -WIRE_BAD_SOURCE);
	assert_int_equal(parse_from(&none, &all_nodes, bytes, 8), 8);
	test_truncations(parse, bytes, 8, 8);
}

/* Sections 4.2, 4.6.2, 4.6.4 and 6.1.2. */
static void ndp__router_advertisement_is_emitted_as_parsed(void **state)
{
	uint8_t bytes[512];

	(void)state;
	for (size_t round = 0; round < 500; round++) {
		struct ndp_message made;
		size_t length;

		memset(&made, 0, sizeof(made));
		made.type = ICMP6_TYPE_ROUTER_ADVERTISEMENT;
		made.managed = test_random() & 1;
		made.other = test_random() & 1;
		made.hop_limit = (uint8_t)test_random();
		made.lifetime_s = (uint16_t)test_random();
		made.reachable_ms = (uint32_t)test_random();
		made.retransmit_ms = (uint32_t)test_random();
		made.has_mtu = test_random() & 1;
		made.mtu = made.has_mtu ? (uint32_t)test_random() : 0;
		made.prefix_count = (uint8_t)(test_random() % (NDP_PREFIXES_MAX + 1));
		for (size_t i = 0; i < made.prefix_count; i++) {
			made.prefixes[i].prefix = ip_address_v6_halves(test_random(),
								       test_random());
			made.prefixes[i].valid_s = (uint32_t)test_random();
			made.prefixes[i].preferred_s = (uint32_t)test_random();
			made.prefixes[i].length_bits = (uint8_t)(test_random() % 129);
			made.prefixes[i].on_link = test_random() & 1;
			made.prefixes[i].autonomous = test_random() & 1;
		}
		length = make(bytes, sizeof(bytes), &made);
		assert_int_equal(length, 16 + 8 * made.has_mtu + 32 * made.prefix_count);
		assert_int_equal(parse_from(&near, &all_nodes, bytes, length), length);
		assert_memory_equal(&message, &made, sizeof(made));
		assert_int_equal(parse_from(&global, &all_nodes, bytes, length), -WIRE_BAD_SOURCE);
		source = near;
		test_truncations(parse, bytes, 16, 16);
	}
}

static void ndp__prefixes_have_limits(void **state)
{
	struct ndp_message made = {.type = ICMP6_TYPE_ROUTER_ADVERTISEMENT, .prefix_count = 1};
	uint8_t bytes[16 + 32 * (NDP_PREFIXES_MAX + 1)];

	(void)state;
	make(bytes, sizeof(bytes), &made);
	source = near;
	for (unsigned int bits = 0; bits < 256; bits++)
		assert_int_equal(test_changed(parse, bytes, 48, 18, (uint8_t)bits),
				 bits <= 128 ? 48 : -WIRE_BAD_OPTION);
	for (size_t at = 48; at < sizeof(bytes); at += 32)
		memcpy(bytes + at, bytes + 16, 32);
	assert_int_equal(test_parse(parse, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(message.prefix_count, NDP_PREFIXES_MAX);
	made.prefix_count = NDP_PREFIXES_MAX + 1;
	assert_int_equal(ndp_emit(bytes, sizeof(bytes), &near, &far, &made), -WIRE_NO_ROOM);
}

/* Section 8.1. */
static void ndp__redirect_is_checked(void **state)
{
	struct ndp_message made = {
		.type = ICMP6_TYPE_REDIRECT,
		.target = far,
		.destination = global,
		.has_target_link = true,
		.target_link = {{2, 0, 0, 0, 0, 1}},
	};
	uint8_t bytes[48];

	(void)state;
	assert_int_equal(make(bytes, sizeof(bytes), &made), 48);
	assert_int_equal(parse_from(&near, &far, bytes, 48), 48);
	assert_true(ip_address_equal(&message.target, &far));
	assert_true(ip_address_equal(&message.destination, &global));
	assert_int_equal(parse_from(&global, &far, bytes, 48), -WIRE_BAD_SOURCE);
	source = near;
	assert_int_equal(test_changed(parse, bytes, 48, 24, 0xff), -WIRE_BAD_DESTINATION);
	assert_int_equal(test_changed(parse, bytes, 48, 8, 0x20), -WIRE_BAD_TARGET);
	memcpy(bytes + 8, global.bytes, 16);
	assert_int_equal(test_parse(parse, bytes, 48), 48);
	test_truncations(parse, bytes, 40, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ndp__solicitation_has_the_form_of_the_rfc),
		cmocka_unit_test(ndp__comes_from_the_link_only),
		cmocka_unit_test(ndp__refuses_lying_options),
		cmocka_unit_test(ndp__solicitation_is_checked),
		cmocka_unit_test(ndp__advertisement_is_checked),
		cmocka_unit_test(ndp__router_solicitation_is_checked),
		cmocka_unit_test(ndp__router_advertisement_is_emitted_as_parsed),
		cmocka_unit_test(ndp__prefixes_have_limits),
		cmocka_unit_test(ndp__redirect_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
