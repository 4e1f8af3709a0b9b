/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/tcp.h"

static struct tcp_header header;
static struct tcp_options options;

static int parse(const void *data, size_t length)
{
	int result = tcp_parse(&header, data, length), error;

	if (result < 0)
		return result;
	error = tcp_options_parse(&options, &header, data);
	return error ? error : result;
}

/* From port 12345 to 80, sequence 1, acknowledging 2, ACK and PSH, window 512. */
static const uint8_t plain[] = {0x30, 0x39, 0,    80,   0, 0, 0, 1, 0, 0,
				0,    2,    0x50, 0x18, 2, 0, 0, 0, 0, 0};

/* The segment with these options and flags. */
static int parse_options(const uint8_t *bytes, size_t length, uint8_t flags)
{
	uint8_t segment[60];

	memcpy(segment, plain, 20);
	memcpy(segment + 20, bytes, length);
	segment[12] = (uint8_t)((20 + length) / 4 << 4);
	segment[13] = flags;
	return test_parse(parse, segment, 20 + length);
}

static void tcp__is_parsed(void **state)
{
	(void)state;
	assert_int_equal(test_parse(parse, plain, 20), 20);
	assert_int_equal(header.source_port, 12345);
	assert_int_equal(header.destination_port, 80);
	assert_int_equal(header.sequence, 1);
	assert_int_equal(header.acknowledgment, 2);
	assert_int_equal(header.flags, TCP_ACK | TCP_PSH);
	assert_int_equal(header.window, 512);
	assert_false(options.has_mss || options.has_timestamp || options.sack_count);
	test_truncations(parse, plain, 20, 20);
}

static void tcp__refuses_lying_fields(void **state)
{
	uint8_t segment[80] = {0};

	(void)state;
	memcpy(segment, plain, 20);
	for (uint8_t words = 0; words < 16; words++) {
		assert_int_equal(test_changed(parse, segment, 80, 12, (uint8_t)(words << 4)),
				 words < 5 ? -WIRE_BAD_HEADER_LENGTH : words * 4);
		assert_int_equal(test_changed(parse, segment, 20, 12, (uint8_t)(words << 4)),
				 words < 5   ? -WIRE_BAD_HEADER_LENGTH
				 : words > 5 ? -WIRE_TRUNCATED
					     : 20);
	}
	/* Reserved bits are ignored: RFC 9293, section 3.1. */
	assert_int_equal(test_changed(parse, segment, 20, 12, 0x5f), 20);
	assert_int_equal(test_changed(parse, segment, 20, 3, 0), -WIRE_BAD_PORT);
	memset(segment, 0, 2);
	assert_int_equal(test_parse(parse, segment, 20), -WIRE_BAD_PORT);
}

static void tcp__options_of_a_syn(void **state)
{
	/* size 1460, SACK permitted, timestamps, NOP, scale 7 */
	static const uint8_t bytes[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					0, 9, 0, 0,    0, 0, 1, 3,  3, 7};

	(void)state;
	assert_int_equal(parse_options(bytes, sizeof(bytes), TCP_SYN), 40);
	assert_true(options.has_mss && options.has_window_shift && options.sack_permitted &&
		    options.has_timestamp);
	assert_int_equal(options.mss, 1460);
	assert_int_equal(options.window_shift, 7);
	assert_int_equal(options.timestamp, 9);
	/* RFC 7323, section 2.2: in another segment they mean nothing. */
	assert_int_equal(parse_options(bytes, sizeof(bytes), TCP_ACK), 40);
	assert_false(options.has_mss || options.has_window_shift || options.sack_permitted);
	assert_true(options.has_timestamp);
}

static void tcp__options_are_taken_or_refused(void **state)
{
	static const struct {
		uint8_t bytes[12];
		int result;
	} cases[] = {
		{{0, 2, 0, 0}, 32}, /* nothing counts behind the end */
		{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, -WIRE_BAD_OPTION}, /* no length */
		{{2, 3, 0, 0}, -WIRE_BAD_OPTION},
		{{2, 5, 0, 0}, -WIRE_BAD_OPTION},
		{{3, 2, 0, 0}, -WIRE_BAD_OPTION},
		{{3, 4, 0, 0}, -WIRE_BAD_OPTION},
		{{4, 3, 0, 0}, -WIRE_BAD_OPTION},
		{{5, 2, 0, 0}, -WIRE_BAD_OPTION}, /* no block */
		{{5, 9, 0, 0}, -WIRE_BAD_OPTION},
		{{5, 11, 0, 0}, -WIRE_BAD_OPTION},
		{{5, 18, 0, 0}, -WIRE_BAD_OPTION}, /* beyond the header */
		{{8, 9, 0, 0}, -WIRE_BAD_OPTION},
		{{8, 11, 0, 0}, -WIRE_BAD_OPTION},
		{{8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1}, 32},
		{{8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10}, -WIRE_BAD_OPTION},
		{{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, 32},
		{{253, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9}, 32}, /* RFC 6994 */
		{{253, 13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9}, -WIRE_BAD_OPTION},
		{{253, 0, 0, 0}, -WIRE_BAD_OPTION},
		{{253, 1, 0, 0}, -WIRE_BAD_OPTION},
		{{253, 2, 254, 2}, 32},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(parse_options(cases[i].bytes, 12, TCP_ACK), cases[i].result);
		assert_int_equal(parse_options(cases[i].bytes, 12, TCP_SYN), cases[i].result);
	}
	/* RFC 7323, section 2.3. */
	assert_int_equal(parse_options((const uint8_t[]){3, 3, 255, 0}, 4, TCP_SYN), 24);
	assert_int_equal(options.window_shift, 14);
}

/* RFC 2018, section 3: 4 blocks at most, 5 cannot be said. */
static void tcp__reads_sack_blocks(void **state)
{
	uint8_t bytes[40] = {1, 1, 5, 34, 0, 0, 0, 9, 0, 0, 0, 11};

	(void)state;
	assert_int_equal(parse_options(bytes, 36, TCP_ACK), 56);
	assert_int_equal(options.sack_count, 4);
	assert_int_equal(options.sack[0].left, 9);
	assert_int_equal(options.sack[0].right, 11);
	bytes[3] = 42;
	assert_int_equal(parse_options(bytes, 40, TCP_ACK), -WIRE_BAD_OPTION);
}

static void tcp__short_cut_and_long_way_agree(void **state)
{
	uint8_t segment[32];
	struct tcp_options slow;

	(void)state;
	for (size_t round = 0; round < 1000; round++) {
		memcpy(segment, plain, 20);
		segment[12] = 0x80;
		test_fill(segment + 20, 12);
		memcpy(segment + 20, (uint8_t[]){1, 1, 8, 10}, 4);
		memset(&options, 0, sizeof(options));
		assert_int_equal(test_parse(parse, segment, 32), 32);
		assert_int_equal(tcp_options_parse_any(&slow, segment + 20, 12, TCP_ACK), 0);
		assert_memory_equal(&options, &slow, sizeof(slow));
	}
}

static struct tcp_options random_options(void)
{
	struct tcp_options made;
	uint64_t random = test_random();

	memset(&made, 0, sizeof(made));
	made.has_mss = random & 1;
	made.mss = made.has_mss ? (uint16_t)test_random() : 0;
	made.has_window_shift = random & 2;
	made.window_shift = made.has_window_shift ? random >> 8 & 7 : 0;
	made.sack_permitted = random & 4;
	made.has_timestamp = random & 8;
	made.timestamp = made.has_timestamp ? (uint32_t)test_random() : 0;
	made.timestamp_echo = made.has_timestamp ? (uint32_t)test_random() : 0;
	made.sack_count = random >> 32 & 3;
	if (made.has_mss && made.sack_count) /* no room for three beside the rest */
		made.sack_count = 1;
	for (size_t i = 0; i < made.sack_count; i++)
		made.sack[i] = (struct tcp_sack_block){(uint32_t)test_random(), (uint32_t)random};
	return made;
}

static void tcp__is_emitted_as_parsed(void **state)
{
	const struct ip_address a = ip_address_v4(0x0a000001), b = ip_address_v4(0x0a000002);
	uint8_t segment[60];

	(void)state;
	for (size_t round = 0; round < 5000; round++) {
		struct tcp_options made = random_options();
		struct tcp_header fixed = {
			.source_port = (uint16_t)test_random() | 1,
			.destination_port = (uint16_t)test_random() | 1,
			.sequence = (uint32_t)test_random(),
			.acknowledgment = (uint32_t)test_random(),
			.window = (uint16_t)test_random(),
			.urgent = (uint16_t)test_random(),
			.flags = (uint8_t)test_random() | TCP_SYN,
		};
		size_t length = 20 + tcp_options_bytes(&made);

		made.sack_count = made.sack_count > 2 && length < 20 + 4 + 24 ? 2 : made.sack_count;
		length = 20 + tcp_options_bytes(&made);
		fixed.header_bytes = (uint8_t)length;
		assert_true(length <= 60 && length % 4 == 0);
		assert_int_equal(tcp_emit(segment, length - 1, &fixed, &made), -WIRE_NO_ROOM);
		assert_int_equal(tcp_emit(segment, length, &fixed, &made), length);
		memset(&options, 0, sizeof(options));
		assert_int_equal(test_parse(parse, segment, length), length);
		assert_memory_equal(&header, &fixed, sizeof(fixed));
		if (made.sack_count == options.sack_count)
			assert_memory_equal(&options, &made, sizeof(made));
		else
			assert_true(options.sack_count < made.sack_count && length > 60 - 8);
		store_be16(segment + TCP_CHECKSUM_OFFSET, tcp_checksum(&a, &b, segment, length));
		assert_int_equal(tcp_verify(&a, &b, segment, length), 0);
		segment[test_random() % length] ^= 1;
		assert_int_equal(tcp_verify(&a, &b, segment, length), -WIRE_BAD_CHECKSUM);
	}
}

static void tcp__emits_as_many_sack_blocks_as_fit(void **state)
{
	struct tcp_options made = {.has_timestamp = true, .sack_count = 4};
	struct tcp_header fixed = {.source_port = 1, .destination_port = 2, .flags = TCP_ACK};
	uint8_t segment[60];

	(void)state;
	assert_int_equal(tcp_emit(segment, 60, &fixed, &made), 60);
	assert_int_equal(test_parse(parse, segment, 60), 60);
	assert_int_equal(options.sack_count, 3);
	made.has_timestamp = false;
	assert_int_equal(tcp_emit(segment, 60, &fixed, &made), 56);
	assert_int_equal(tcp_emit(segment, 20, &fixed, NULL), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp__is_parsed),
		cmocka_unit_test(tcp__refuses_lying_fields),
		cmocka_unit_test(tcp__options_of_a_syn),
		cmocka_unit_test(tcp__options_are_taken_or_refused),
		cmocka_unit_test(tcp__reads_sack_blocks),
		cmocka_unit_test(tcp__short_cut_and_long_way_agree),
		cmocka_unit_test(tcp__is_emitted_as_parsed),
		cmocka_unit_test(tcp__emits_as_many_sack_blocks_as_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
