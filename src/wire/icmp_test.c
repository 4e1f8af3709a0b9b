/* SPDX-License-Identifier: MIT */
/* ICMP, ICMPv6, and the packets that their errors quote. */
#include "wire/testing.h"

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/quoted.h"

static struct icmp_message v4;
static struct icmp6_message v6;
static struct quoted_packet quoted;
static const struct ip_address near = {{0xfe, 0x80, [15] = 1}}, far = {{0xfe, 0x80, [15] = 2}};

static int parse(const void *data, size_t length)
{
	return icmp_parse(&v4, data, length);
}

static int parse6(const void *data, size_t length)
{
	return icmp6_parse(&v6, &near, &far, data, length);
}

static int parse_quoted(const void *data, size_t length)
{
	return quoted_parse_v4(&quoted, data, length);
}

static int parse_quoted6(const void *data, size_t length)
{
	return quoted_parse_v6(&quoted, data, length);
}

/* Echo request 0x1234, 5, "ping": its checksum by hand: ~(0800+1234+0005+7069+6e67) = 06f6. */
static const uint8_t echo[] = {8, 0, 0x06, 0xf6, 0x12, 0x34, 0, 5, 'p', 'i', 'n', 'g'};

static void icmp__echo_is_parsed_and_emitted(void **state)
{
	uint8_t bytes[sizeof(echo)];

	(void)state;
	assert_int_equal(test_parse(parse, echo, sizeof(echo)), 8);
	assert_int_equal(v4.identifier, 0x1234);
	assert_int_equal(v4.sequence, 5);
	assert_false(icmp_is_error(&v4));
	assert_int_equal(icmp_emit(bytes, sizeof(bytes), &v4, "ping", 4), sizeof(bytes));
	assert_memory_equal(bytes, echo, sizeof(echo));
	assert_int_equal(icmp_emit(bytes, sizeof(bytes), &v4, NULL, 4), sizeof(bytes));
	assert_memory_equal(bytes, echo, sizeof(echo));
	assert_int_equal(icmp_emit(bytes, sizeof(bytes) - 1, &v4, "ping", 4), -WIRE_NO_ROOM);
	test_truncations(parse, echo, sizeof(echo), 8);
	for (size_t at = 0; at < sizeof(echo); at++)
		assert_int_equal(test_changed(parse, echo, sizeof(echo), at, echo[at] ^ 4),
				 -WIRE_BAD_CHECKSUM);
}

static void icmp__knows_its_types_and_codes(void **state)
{
	static const int code_max[] = {[0] = 1, [3] = 16, [8] = 1, [11] = 2, [12] = 3};
	uint8_t bytes[8];

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		for (int code = 0; code < 20; code++) {
			struct icmp_message made = {.type = (uint8_t)type, .code = (uint8_t)code};
			int known = type < COUNT_OF(code_max) ? code_max[type] : 0;

			icmp_emit(bytes, sizeof(bytes), &made, NULL, 0);
			assert_int_equal(test_parse(parse, bytes, sizeof(bytes)),
					 !known         ? -WIRE_BAD_TYPE
					 : code < known ? 8
							: -WIRE_BAD_CODE);
		}
	}
}

/* RFC 1191, section 4; RFC 792, parameter problem. */
static void icmp__errors_carry_mtu_and_pointer(void **state)
{
	struct icmp_message made = {.type = 3, .code = 4, .next_hop_mtu = 1400};
	uint8_t bytes[8];

	(void)state;
	icmp_emit(bytes, 8, &made, NULL, 0);
	assert_memory_equal(bytes + 4, "\0\0\x05\x78", 4);
	assert_int_equal(test_parse(parse, bytes, 8), 8);
	assert_true(icmp_is_error(&v4));
	assert_int_equal(v4.next_hop_mtu, 1400);
	made = (struct icmp_message){.type = 12, .pointer = 20};
	icmp_emit(bytes, 8, &made, NULL, 0);
	assert_int_equal(bytes[4], 20);
	assert_int_equal(test_parse(parse, bytes, 8), 8);
	assert_int_equal(v4.pointer, 20);
}

static void icmp6__is_emitted_as_parsed(void **state)
{
	uint8_t bytes[64], payload[56];

	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		static const uint8_t types[] = {1, 2, 3, 4, 128, 129};
		struct icmp6_message made = {.type = types[test_random() % 6]};
		size_t length = test_random() % sizeof(payload);

		if (made.type >= 128) {
			made.identifier = (uint16_t)test_random();
			made.sequence = (uint16_t)test_random();
		} else {
			made.code = (uint8_t)test_random();
			made.mtu = made.type == 2 ? (uint32_t)test_random() : 0;
			made.pointer = made.type == 4 ? (uint32_t)test_random() : 0;
		}
		test_fill(payload, sizeof(payload));
		assert_int_equal(icmp6_emit(bytes, 7 + length, &near, &far, &made, payload, length),
				 -WIRE_NO_ROOM);
		assert_int_equal(
			icmp6_emit(bytes, sizeof(bytes), &near, &far, &made, payload, length),
			8 + length);
		assert_int_equal(test_parse(parse6, bytes, 8 + length), 8);
		assert_memory_equal(bytes + 8, payload, length);
		assert_true(v6.type == made.type && v6.code == made.code && v6.mtu == made.mtu &&
			    v6.pointer == made.pointer && v6.identifier == made.identifier &&
			    v6.sequence == made.sequence);
		assert_int_equal(icmp6_is_error(&v6), made.type < 128);
		test_truncations(parse6, bytes, 8, 8);
		bytes[test_random() % (8 + length)] ^= 1;
		assert_int_equal(test_parse(parse6, bytes, 8 + length), -WIRE_BAD_CHECKSUM);
	}
}

/* RFC 4443, section 2.4: an unknown error is taken, an unknown message not. */
static void icmp6__knows_its_types(void **state)
{
	uint8_t bytes[8];

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		struct icmp6_message made = {.type = (uint8_t)type};
		bool known = (type && type <= 130) || (type >= 133 && type <= 137) || type == 143;

		icmp6_emit(bytes, 8, &near, &far, &made, NULL, 0);
		assert_int_equal(test_parse(parse6, bytes, 8), known ? 8 : -WIRE_BAD_TYPE);
		made.code = 1;
		icmp6_emit(bytes, 8, &near, &far, &made, NULL, 0);
		assert_int_equal(test_parse(parse6, bytes, 8), !known       ? -WIRE_BAD_TYPE
							       : type < 128 ? 8
									    : -WIRE_BAD_CODE);
	}
}

static const uint8_t tcp_start[] = {0x30, 0x39, 0, 80, 0xde, 0xad, 0xbe, 0xef};

static void quoted__v4_tells_whose_it_is(void **state)
{
	struct ipv4_header made = {
		.source = ip_address_v4(0x0a000001),
		.destination = ip_address_v4(0x0a000002),
		.total_bytes = 1500,
		.protocol = IPPROTO_TCP,
	};
	uint8_t bytes[32] = {0};

	(void)state;
	ipv4_emit(bytes, sizeof(bytes), &made);
	memcpy(bytes + 20, tcp_start, 8);
	assert_int_equal(test_parse(parse_quoted, bytes, 28), 20);
	assert_int_equal(quoted.protocol, IPPROTO_TCP);
	assert_int_equal(quoted.source_port, 12345);
	assert_int_equal(quoted.destination_port, 80);
	assert_int_equal(quoted.sequence, 0xdeadbeef);
	assert_true(ip_address_equal(&quoted.source, &made.source));
	test_truncations(parse_quoted, bytes, 28, 28);
	/* A router has lowered the hops and not mended the checksum. */
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 8, 1), 20);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 0, 0x46), -WIRE_TRUNCATED);
	assert_int_equal(test_changed(parse_quoted, bytes, 32, 0, 0x46), 24);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 0, 0x44), -WIRE_BAD_HEADER_LENGTH);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 0, 0x65), -WIRE_BAD_VERSION);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 7, 1), -WIRE_BAD_FRAGMENT);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 9, IPPROTO_UDP), 20);
	assert_int_equal(quoted.sequence, 0);
	assert_int_equal(test_changed(parse_quoted, bytes, 28, 9, IPPROTO_ICMP), 20);
	assert_int_equal(quoted.source_port, 0xdead);
}

static void quoted__v6_tells_whose_it_is(void **state)
{
	struct ipv6_header made = {.source = near,
				   .destination = far,
				   .payload_bytes = 1400,
				   .next_header = IPPROTO_FRAGMENT};
	uint8_t bytes[64] = {0};

	(void)state;
	ipv6_emit(bytes, sizeof(bytes), &made);
	memcpy(bytes + 40, (uint8_t[]){6, 0, 0, 1, 0, 0, 0, 7}, 8);
	memcpy(bytes + 48, tcp_start, 8);
	for (size_t length = 56; length <= 64; length++) {
		assert_int_equal(test_parse(parse_quoted6, bytes, length), 48);
		assert_int_equal(quoted.protocol, IPPROTO_TCP);
		assert_int_equal(quoted.destination_port, 80);
		assert_true(ip_address_equal(&quoted.source, &near));
	}
	test_truncations(parse_quoted6, bytes, 56, 48);
	assert_int_equal(test_changed(parse_quoted6, bytes, 56, 43, 9), -WIRE_BAD_FRAGMENT);
	assert_int_equal(test_changed(parse_quoted6, bytes, 56, 0, 0x40), -WIRE_BAD_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(icmp__echo_is_parsed_and_emitted),
		cmocka_unit_test(icmp__knows_its_types_and_codes),
		cmocka_unit_test(icmp__errors_carry_mtu_and_pointer),
		cmocka_unit_test(icmp6__is_emitted_as_parsed),
		cmocka_unit_test(icmp6__knows_its_types),
		cmocka_unit_test(quoted__v4_tells_whose_it_is),
		cmocka_unit_test(quoted__v6_tells_whose_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
