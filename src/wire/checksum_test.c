/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/checksum.h"

/* The definition: 16 bits at a time, in network byte order. */
static uint16_t naive(const uint8_t *data, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* RFC 1071, section 3: the words 0001 f203 f4f5 f6f7 have the sum ddf2. */
static void checksum__of_the_example_of_rfc_1071(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(checksum_partial(checksum_add(0, data, sizeof(data))), 0xddf2);
	assert_int_equal(checksum_finish(checksum_add(0, data, sizeof(data))), 0x220d);
}

static void checksum__is_that_of_the_definition(void **state)
{
	uint8_t *data = malloc(4096 + 64);

	(void)state;
	test_fill(data, 4096 + 64);
	for (size_t length = 0; length <= 4096; length += length < 600 ? 1 : 97)
		for (size_t align = 0; align < 9; align++)
			assert_int_equal(checksum_finish(checksum_add(0, data + align, length)),
					 naive(data + align, length));
	free(data);
}

static void checksum__carries_from_every_width(void **state)
{
	uint8_t data[1500];

	(void)state;
	memset(data, 0xff, sizeof(data));
	for (size_t length = 1; length <= sizeof(data); length++)
		assert_int_equal(checksum_finish(checksum_add(0, data, length)),
				 naive(data, length));
	assert_int_equal(checksum_add_words(UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(checksum_fold(0xffffffff00000001), 1);
	assert_int_equal(checksum_fold(0), 0);
}

static void checksum__adds_pieces_of_odd_lengths(void **state)
{
	uint8_t data[700];

	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		struct checksum checksum = {0};
		size_t at = 0, piece;

		test_fill(data, sizeof(data));
		while (at < sizeof(data)) {
			piece = test_random() % 200;
			if (piece > sizeof(data) - at)
				piece = sizeof(data) - at;
			checksum_append(&checksum, data + at, piece);
			at += piece;
		}
		assert_int_equal(checksum_finish(checksum.sum), naive(data, sizeof(data)));
	}
}

static void checksum__of_a_packet_with_its_checksum_is_valid(void **state)
{
	uint8_t data[40];

	(void)state;
	for (size_t round = 0; round < 1000; round++) {
		test_fill(data, sizeof(data));
		store_be16(data + 10, 0);
		store_be16(data + 10, checksum_finish(checksum_add(0, data, sizeof(data))));
		assert_true(checksum_is_valid(checksum_add(0, data, sizeof(data))));
		data[test_random() % 40] ^= (uint8_t)(1 << test_random() % 8);
		assert_false(checksum_is_valid(checksum_add(0, data, sizeof(data))));
	}
	memset(data, 0, sizeof(data));
	assert_false(checksum_is_valid(checksum_add(0, data, sizeof(data))));
}

/* RFC 1624, section 4: the header of its example, whose sum may not become ffff. */
static void checksum__is_updated_as_rfc_1624_says(void **state)
{
	uint8_t data[64];

	(void)state;
	assert_int_equal(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
	for (size_t round = 0; round < 2000; round++) {
		size_t at = test_random() % 15 * 4;
		uint32_t word = (uint32_t)test_random(), before, updated;

		test_fill(data, sizeof(data));
		before = load_be32(data + at);
		updated = checksum_update32(naive(data, sizeof(data)), before, word);
		store_be32(data + at, word);
		assert_int_equal(updated, naive(data, sizeof(data)));
	}
}

static void checksum__covers_the_pseudo_header(void **state)
{
	uint8_t v4[12], v6[40];
	struct ip_address a, b;

	(void)state;
	for (size_t round = 0; round < 200; round++) {
		/* RFC 9293, section 3.1: addresses, zero, protocol, length */
		test_fill(v4, sizeof(v4));
		v4[8] = 0;
		a = ip_address_v4(load_be32(v4));
		b = ip_address_v4(load_be32(v4 + 4));
		assert_int_equal(
			checksum_finish(checksum_pseudo(&a, &b, v4[9], load_be16(v4 + 10))),
			naive(v4, sizeof(v4)));
		/* RFC 8200, section 8.1: addresses, 32 bits of length, zeros, next header */
		test_fill(v6, sizeof(v6));
		memset(v6 + 36, 0, 3);
		a = ip_address_v6(v6);
		b = ip_address_v6(v6 + 16);
		assert_int_equal(
			checksum_finish(checksum_pseudo(&a, &b, v6[39], load_be32(v6 + 32))),
			naive(v6, sizeof(v6)));
	}
}

/* RFC 768: a computed zero is transmitted as all ones. */
static void checksum__of_udp_is_never_0(void **state)
{
	static const uint8_t ones[] = {0xff, 0xff};

	(void)state;
	assert_int_equal(checksum_finish(checksum_add(0, ones, 2)), 0);
	assert_int_equal(checksum_finish_udp(checksum_add(0, ones, 2)), 0xffff);
	assert_int_equal(checksum_finish_udp(checksum_add(0, ones, 1)), 0x00ff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum__of_the_example_of_rfc_1071),
		cmocka_unit_test(checksum__is_that_of_the_definition),
		cmocka_unit_test(checksum__carries_from_every_width),
		cmocka_unit_test(checksum__adds_pieces_of_odd_lengths),
		cmocka_unit_test(checksum__of_a_packet_with_its_checksum_is_valid),
		cmocka_unit_test(checksum__is_updated_as_rfc_1624_says),
		cmocka_unit_test(checksum__covers_the_pseudo_header),
		cmocka_unit_test(checksum__of_udp_is_never_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
