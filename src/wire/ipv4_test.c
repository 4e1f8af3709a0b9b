/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/ipv4.h"

static struct ipv4_header header;

static int parse(const void *data, size_t length)
{
	return ipv4_parse(&header, data, length);
}

/* 192.168.0.1 to 192.168.0.199, UDP, 115 bytes: a much used example of the checksum, b861. */
static const uint8_t sample[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				   0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

/* Change 16 bits of a packet with @header_bytes and parse it with a right checksum. */
static int parse_fixed(const uint8_t *data, size_t length, size_t at, uint16_t value)
{
	uint8_t copy[512] = {0};

	memcpy(copy, data, length);
	store_be16(copy + at, value);
	store_be16(copy + 10, 0);
	store_be16(copy + 10, checksum_finish(checksum_add(0, copy, (copy[0] & 15) * 4u)));
	return test_parse(parse, copy, length);
}

static void ipv4__is_parsed(void **state)
{
	uint8_t packet[115] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	assert_int_equal(test_parse(parse, packet, sizeof(packet)), 20);
	assert_int_equal(header.total_bytes, 115);
	assert_int_equal(header.ttl, 64);
	assert_int_equal(header.protocol, 17);
	assert_true(header.dont_fragment && !ipv4_is_fragment(&header) && !header.router_alert);
	assert_int_equal(ip_address_low32(&header.source), 0xc0a80001);
	assert_int_equal(ip_address_low32(&header.destination), 0xc0a800c7);
	test_truncations(parse, packet, sizeof(packet), sizeof(packet));
}

static void ipv4__ignores_padding(void **state)
{
	uint8_t packet[200] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	assert_int_equal(test_parse(parse, packet, sizeof(packet)), 20);
	assert_int_equal(header.total_bytes, 115);
}

static void ipv4__refuses_lying_fields(void **state)
{
	uint8_t packet[115] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	for (unsigned int version = 0; version < 16; version++)
		if (version != 4)
			assert_int_equal(
				test_changed(parse, packet, 115, 0, (uint8_t)(version << 4 | 5)),
				-WIRE_BAD_VERSION);
	for (uint8_t words = 0; words < 5; words++)
		assert_int_equal(test_changed(parse, packet, 115, 0, 0x40 | words),
				 -WIRE_BAD_HEADER_LENGTH);
	for (unsigned int total = 0; total < 300; total++)
		assert_int_equal(parse_fixed(packet, 115, 2, (uint16_t)total),
				 total < 20    ? -WIRE_BAD_TOTAL_LENGTH
				 : total > 115 ? -WIRE_TRUNCATED
					       : 20);
	/* A header that is longer than the packet. */
	packet[0] = 0x4f;
	assert_int_equal(parse_fixed(packet, 115, 2, 59), -WIRE_BAD_TOTAL_LENGTH);
	packet[0] = 0x45;
	for (size_t at = 4; at < 20; at++)
		assert_int_equal(test_changed(parse, packet, 115, at, packet[at] ^ 1),
				 -WIRE_BAD_CHECKSUM);
}

/* RFC 1122, section 3.2.1.3. */
static void ipv4__refuses_impossible_addresses(void **state)
{
	uint8_t packet[115] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	assert_int_equal(parse_fixed(packet, 115, 12, 0x7f00), -WIRE_BAD_SOURCE);
	assert_int_equal(parse_fixed(packet, 115, 12, 0xe000), -WIRE_BAD_SOURCE);
	assert_int_equal(parse_fixed(packet, 115, 12, 0xefff), -WIRE_BAD_SOURCE);
	assert_int_equal(parse_fixed(packet, 115, 16, 0x7f00), -WIRE_BAD_DESTINATION);
	assert_int_equal(parse_fixed(packet, 115, 16, 0xe000), 20);
	memset(packet + 12, 0xff, 4);
	assert_int_equal(parse_fixed(packet, 115, 4, 0), -WIRE_BAD_SOURCE);
	memset(packet + 12, 0, 4);
	assert_int_equal(parse_fixed(packet, 115, 4, 0), 20);
	memset(packet + 16, 0xff, 4);
	assert_int_equal(parse_fixed(packet, 115, 4, 0), 20);
	memset(packet + 16, 0, 4);
	assert_int_equal(parse_fixed(packet, 115, 4, 0), -WIRE_BAD_DESTINATION);
}

static void ipv4__checks_fragments(void **state)
{
	uint8_t packet[116] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	store_be16(packet + 2, 116);
	assert_int_equal(parse_fixed(packet, 116, 6, 0x2001), 20);
	assert_true(header.more_fragments && ipv4_is_fragment(&header));
	assert_int_equal(header.fragment_offset_bytes, 8);
	store_be16(packet + 2, 115);
	assert_int_equal(parse_fixed(packet, 116, 6, 0x2001), -WIRE_BAD_FRAGMENT);
	assert_int_equal(parse_fixed(packet, 116, 6, 0x0001), 20);
	assert_true(!header.more_fragments && ipv4_is_fragment(&header));
	/* 65,528 and 95 bytes are more than there can be; so are 65,424 and 115. */
	assert_int_equal(parse_fixed(packet, 116, 6, 0x1fff), -WIRE_BAD_FRAGMENT);
	assert_int_equal(parse_fixed(packet, 116, 6, 65424 / 8), -WIRE_BAD_FRAGMENT);
	assert_int_equal(parse_fixed(packet, 116, 6, 65416 / 8), 20);
	store_be16(packet + 2, 20);
	assert_int_equal(parse_fixed(packet, 116, 6, 0x2001), -WIRE_BAD_FRAGMENT);
}

static void ipv4__looks_through_options(void **state)
{
	static const struct {
		uint8_t options[8];
		int result;
		bool router_alert;
	} cases[] = {
		{{0, 131, 0, 0, 9, 9, 9, 9}, 28, false}, /* nothing counts behind the end */
		{{1, 1, 1, 1, 1, 1, 1, 1}, 28, false},
		{{0x94, 4, 0, 0, 1, 1, 1, 0}, 28, true},
		{{0x94, 5, 0, 0, 0, 1, 1, 0}, -WIRE_BAD_OPTION, false},
		{{7, 7, 4, 0, 0, 0, 0, 0}, 28, false}, /* record route */
		{{7, 8, 4, 0, 0, 0, 0, 0}, 28, false},
		{{7, 9, 4, 0, 0, 0, 0, 0}, -WIRE_BAD_OPTION, false},
		{{7, 0, 4, 0, 0, 0, 0, 0}, -WIRE_BAD_OPTION, false},
		{{7, 1, 4, 0, 0, 0, 0, 0}, -WIRE_BAD_OPTION, false},
		{{1, 1, 1, 1, 1, 1, 1, 7}, -WIRE_BAD_OPTION, false}, /* no room for a length */
		{{131, 7, 4, 10, 0, 0, 1, 0}, -WIRE_SOURCE_ROUTE, false},
		{{1, 137, 7, 4, 10, 0, 0, 1}, -WIRE_SOURCE_ROUTE, false},
		{{222, 2, 222, 2, 222, 2, 222, 2}, 28, false},
	};
	uint8_t packet[40] = {0};

	(void)state;
	memcpy(packet, sample, sizeof(sample));
	packet[0] = 0x47;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		memcpy(packet + 20, cases[i].options, 8);
		assert_int_equal(parse_fixed(packet, 40, 2, 40), cases[i].result);
		if (cases[i].result > 0)
			assert_int_equal(header.router_alert, cases[i].router_alert);
	}
	memset(packet + 20, 1, 8);
	parse_fixed(packet, 40, 2, 40);
	test_truncations(parse, packet, 40, 20);
}

static void ipv4__is_emitted_as_parsed(void **state)
{
	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		struct ipv4_header made = {
			.source = ip_address_v4((uint32_t)test_random() % 0x7f000000),
			.destination = ip_address_v4(0x80000000 | (uint32_t)test_random()),
			.identification = (uint16_t)test_random(),
			.fragment_offset_bytes = (uint16_t)(test_random() % 1000 * 8),
			.traffic_class = (uint8_t)test_random(),
			.ttl = (uint8_t)test_random(),
			.protocol = (uint8_t)test_random(),
			.dont_fragment = test_random() & 1,
			.more_fragments = test_random() & 1,
			.router_alert = test_random() & 1,
		};
		uint8_t packet[64] = {0};
		int length = made.router_alert ? 24 : 20;

		made.header_bytes = (uint16_t)length;
		made.total_bytes = (uint16_t)(length + 16);
		assert_int_equal(ipv4_emit(packet, (size_t)length - 1, &made), -WIRE_NO_ROOM);
		assert_int_equal(ipv4_emit(packet, sizeof(packet), &made), length);
		assert_int_equal(test_parse(parse, packet, made.total_bytes), length);
		assert_true(ip_address_equal(&header.source, &made.source) &&
			    ip_address_equal(&header.destination, &made.destination));
		assert_memory_equal(&header.header_bytes, &made.header_bytes,
				    sizeof(made) - offsetof(struct ipv4_header, header_bytes));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4__is_parsed),
		cmocka_unit_test(ipv4__ignores_padding),
		cmocka_unit_test(ipv4__refuses_lying_fields),
		cmocka_unit_test(ipv4__refuses_impossible_addresses),
		cmocka_unit_test(ipv4__checks_fragments),
		cmocka_unit_test(ipv4__looks_through_options),
		cmocka_unit_test(ipv4__is_emitted_as_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
