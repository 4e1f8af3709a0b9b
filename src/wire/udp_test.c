/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/udp.h"

static struct udp_header header;
static bool over_v6;

static int parse(const void *data, size_t length)
{
	return udp_parse(&header, data, length, over_v6);
}

/* From port 5 to port 53, 12 bytes, no checksum, "abcd". */
static const uint8_t sample[] = {0, 5, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};

static void udp__is_parsed(void **state)
{
	uint8_t padded[20] = {0};

	(void)state;
	over_v6 = false;
	assert_int_equal(test_parse(parse, sample, sizeof(sample)), 8);
	assert_int_equal(header.source_port, 5);
	assert_int_equal(header.destination_port, 53);
	assert_int_equal(header.total_bytes, 12);
	test_truncations(parse, sample, sizeof(sample), sizeof(sample));
	memcpy(padded, sample, sizeof(sample));
	assert_int_equal(test_parse(parse, padded, sizeof(padded)), 8);
}

static void udp__refuses_lying_fields(void **state)
{
	(void)state;
	over_v6 = false;
	for (unsigned int total = 0; total < 256; total++)
		assert_int_equal(test_changed(parse, sample, 12, 5, (uint8_t)total),
				 total < 8    ? -WIRE_BAD_TOTAL_LENGTH
				 : total > 12 ? -WIRE_TRUNCATED
					      : 8);
	assert_int_equal(test_changed(parse, sample, 12, 4, 1), -WIRE_TRUNCATED);
	assert_int_equal(test_changed(parse, sample, 12, 3, 0), -WIRE_BAD_PORT);
	assert_int_equal(test_changed(parse, sample, 12, 1, 0), 8);
}

/* RFC 8200, section 8.1. */
static void udp__needs_a_checksum_over_ipv6(void **state)
{
	(void)state;
	over_v6 = true;
	assert_int_equal(test_parse(parse, sample, sizeof(sample)), -WIRE_NO_CHECKSUM);
	assert_int_equal(test_changed(parse, sample, 12, 6, 1), 8);
}

static void udp__is_emitted_and_verified(void **state)
{
	uint8_t data[256];

	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		struct ip_address source, destination;
		struct udp_header made = {
			.source_port = (uint16_t)test_random(),
			.destination_port = (uint16_t)test_random() | 1,
			.total_bytes = (uint16_t)(8 + test_random() % (sizeof(data) - 8)),
		};

		over_v6 = test_random() & 1;
		source = over_v6 ? ip_address_v6_halves(test_random(), test_random())
				 : ip_address_v4((uint32_t)test_random());
		destination = over_v6 ? ip_address_v6_halves(test_random(), test_random())
				      : ip_address_v4((uint32_t)test_random());
		test_fill(data, sizeof(data));
		assert_int_equal(udp_emit(data, 7, &made), -WIRE_NO_ROOM);
		assert_int_equal(udp_emit(data, sizeof(data), &made), 8);
		store_be16(data + UDP_CHECKSUM_OFFSET,
			   udp_checksum(&source, &destination, data, made.total_bytes));
		assert_int_equal(test_parse(parse, data, made.total_bytes), 8);
		assert_int_not_equal(header.checksum, 0);
		assert_int_equal(udp_verify(&header, &source, &destination, data), 0);
		data[test_random() % made.total_bytes] ^= 0x10;
		assert_int_equal(udp_verify(&header, &source, &destination, data),
				 -WIRE_BAD_CHECKSUM);
		header.checksum = 0;
		assert_int_equal(udp_verify(&header, &source, &destination, data), 0);
		header.checksum = made.checksum;
		assert_memory_equal(&header, &made, sizeof(made));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp__is_parsed),
		cmocka_unit_test(udp__refuses_lying_fields),
		cmocka_unit_test(udp__needs_a_checksum_over_ipv6),
		cmocka_unit_test(udp__is_emitted_and_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
