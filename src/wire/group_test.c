/* SPDX-License-Identifier: MIT */
/* Membership of groups: IGMP and multicast listener discovery. */
#include "wire/testing.h"

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp6.h"
#include "wire/igmp.h"
#include "wire/mld.h"

static struct igmp_query query;
static struct mld_query query6;
static struct ip_address source = {{0xfe, 0x80, [15] = 1}};
static uint8_t hop_limit = 1;

static int parse(const void *data, size_t length)
{
	return igmp_query_parse(&query, data, length);
}

static int parse6(const void *data, size_t length)
{
	return mld_query_parse(&query6, &source, hop_limit, data, length);
}

/* The query with a right checksum. */
static int parse_fixed(const uint8_t *data, size_t length)
{
	uint8_t copy[64];

	memcpy(copy, data, length);
	store_be16(copy + 2, 0);
	store_be16(copy + 2, checksum_finish(checksum_add(0, copy, length)));
	return test_parse(parse, copy, length);
}

/* RFC 2236, section 2. */
static void igmp__reports_have_the_form_of_version_2(void **state)
{
	/* The checksum by hand: ~(1600 + ef01 + 0203) = f8fa, the carry brought round. */
	static const uint8_t expected[] = {0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3};
	struct ip_address group = ip_address_v4(0xef010203);
	uint8_t bytes[8];

	(void)state;
	assert_int_equal(igmp_emit(bytes, 7, IGMP_TYPE_REPORT, &group), -WIRE_NO_ROOM);
	assert_int_equal(igmp_emit(bytes, 8, IGMP_TYPE_REPORT, &group), 8);
	assert_memory_equal(bytes, expected, 8);
	assert_int_equal(test_parse(parse, bytes, 8), -WIRE_BAD_TYPE);
}

/* RFC 3376, section 4.2. */
static void igmp__reports_have_the_form_of_version_3(void **state)
{
	static const uint8_t expected[] = {0, 0, 0, 2, 4, 0, 0,   0, 239, 1,
					   2, 3, 4, 0, 0, 0, 239, 1, 2,   4};
	struct ip_address groups[] = {ip_address_v4(0xef010203), ip_address_v4(0xef010204)};
	uint8_t bytes[24];

	(void)state;
	for (size_t room = 0; room < 24; room++)
		assert_int_equal(igmp_report_emit(bytes, room, GROUP_RECORD_TO_EXCLUDE, groups, 2),
				 -WIRE_NO_ROOM);
	assert_int_equal(igmp_report_emit(bytes, 24, GROUP_RECORD_TO_EXCLUDE, groups, 2), 24);
	assert_int_equal(bytes[0], 0x22);
	assert_memory_equal(bytes + 4, expected, 20);
	assert_true(checksum_is_valid(checksum_add(0, bytes, 24)));
	assert_int_equal(igmp_report_emit(bytes, SIZE_MAX, GROUP_RECORD_TO_EXCLUDE, groups, 8192),
			 -WIRE_NO_ROOM);
}

static void igmp__queries_are_parsed(void **state)
{
	uint8_t v2[8] = {0x11, 100}, v3[20] = {0x11, 0x8f, 0, 0, 239, 1, 2, 3, 2, 125, 0, 2};

	(void)state;
	assert_int_equal(parse_fixed(v2, 8), 8);
	assert_int_equal(query.version, 2);
	assert_int_equal(query.response_max_ms, 10000);
	assert_true(ip_address_is_unspecified(&query.group));
	v2[1] = 0;
	assert_int_equal(parse_fixed(v2, 8), 8);
	assert_int_equal(query.version, 1);
	assert_int_equal(query.response_max_ms, 10000);
	assert_int_equal(parse_fixed(v3, 20), 20);
	assert_int_equal(query.version, 3);
	/* RFC 3376, section 4.1.1: (15 | 16) << (0 + 3) tenths */
	assert_int_equal(query.response_max_ms, 24800);
	for (size_t cut = 9; cut < 20; cut++)
		assert_int_equal(parse_fixed(v3, cut), -WIRE_TRUNCATED);
	v3[4] = 10;
	assert_int_equal(parse_fixed(v3, 20), -WIRE_BAD_TARGET);
	test_truncations(parse, v2, 8, 8);
	v2[3] = 1;
	assert_int_equal(test_parse(parse, v2, 8), -WIRE_BAD_CHECKSUM);
}

/* RFC 3810, section 5.2. */
static void mld__reports_have_the_form_of_version_2(void **state)
{
	struct ip_address groups[] = {{{0xff, 2, [15] = 9}}, {{0xff, 2, [15] = 10}}},
			  routers = MLD_V2_ROUTERS;
	struct icmp6_message message;
	uint8_t bytes[48];

	(void)state;
	for (size_t room = 0; room < 48; room++)
		assert_int_equal(
			mld_report_emit(bytes, room, &source, GROUP_RECORD_IS_EXCLUDE, groups, 2),
			-WIRE_NO_ROOM);
	assert_int_equal(mld_report_emit(bytes, 48, &source, GROUP_RECORD_IS_EXCLUDE, groups, 2),
			 48);
	assert_int_equal(icmp6_parse(&message, &source, &routers, bytes, 48), 8);
	assert_int_equal(message.type, ICMP6_TYPE_LISTENER_REPORT);
	assert_memory_equal(bytes + 4, "\0\0\0\2\2\0\0\0", 8);
	assert_memory_equal(bytes + 12, groups[0].bytes, 16);
	assert_memory_equal(bytes + 32, groups[1].bytes, 16);
}

/* RFC 3810, section 5.1. */
static void mld__queries_are_parsed(void **state)
{
	uint8_t bytes[44] = {130, 0, 0, 0, 0x90, 0x01, [8] = 0xff, 2, [27] = 1};

	(void)state;
	assert_int_equal(test_parse(parse6, bytes, 24), 24);
	assert_int_equal(query6.version, 1);
	assert_int_equal(query6.response_max_ms, 0x9001);
	assert_int_equal(test_parse(parse6, bytes, 44), 44);
	assert_int_equal(query6.version, 2);
	assert_int_equal(query6.response_max_ms, 0x1001 << 4);
	test_truncations(parse6, bytes, 24, 24);
	for (size_t cut = 25; cut < 44; cut++)
		assert_int_equal(test_parse(parse6, bytes, cut), -WIRE_TRUNCATED);
	assert_int_equal(test_changed(parse6, bytes, 24, 8, 0x20), -WIRE_BAD_TARGET);
	assert_int_equal(test_changed(parse6, bytes, 24, 0, 131), -WIRE_BAD_TYPE);
	hop_limit = 2;
	assert_int_equal(test_parse(parse6, bytes, 24), -WIRE_BAD_HOP_LIMIT);
	hop_limit = 1;
	source.bytes[0] = 0x20;
	assert_int_equal(test_parse(parse6, bytes, 24), -WIRE_BAD_SOURCE);
	source.bytes[0] = 0xfe;
}

/* All groups are asked for by ::, and not by ::ffff:0.0.0.0, the form that IPv4 has with us. */
static void mld__a_query_for_no_address_of_ipv4_is_refused(void **state)
{
	static const uint8_t all[24] = {130}, mapped[24] = {130, [18] = 0xff, 0xff};

	(void)state;
	assert_int_equal(test_parse(parse6, all, 24), 24);
	assert_int_equal(test_parse(parse6, mapped, 24), -WIRE_BAD_TARGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(igmp__reports_have_the_form_of_version_2),
		cmocka_unit_test(igmp__reports_have_the_form_of_version_3),
		cmocka_unit_test(igmp__queries_are_parsed),
		cmocka_unit_test(mld__reports_have_the_form_of_version_2),
		cmocka_unit_test(mld__queries_are_parsed),
		cmocka_unit_test(mld__a_query_for_no_address_of_ipv4_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
