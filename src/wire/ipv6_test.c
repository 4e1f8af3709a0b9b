/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include "wire/ipv6.h"

static struct ipv6_header header;
static struct ipv6_chain chain;

static int parse(const void *data, size_t length)
{
	return ipv6_parse(&header, data, length);
}

static int parse_chain(const void *data, size_t length)
{
	int result = ipv6_parse(&header, data, length);

	return result < 0 ? result : ipv6_chain_parse(&chain, &header, data, length);
}

static uint8_t packet[2200];

/* A packet from fe80::1 to @last of fe80:: or, for 255, to the group ff02::1. */
static size_t make(uint8_t next_header, const void *payload, size_t length, uint8_t last)
{
	struct ipv6_header made = {
		.source = ip_address_v6_halves(0xfe80000000000000, 1),
		.destination = ip_address_v6_halves(
			last == 255 ? 0xff02000000000000 : 0xfe80000000000000, last),
		.flow_label = 0xabcde,
		.payload_bytes = (uint16_t)length,
		.traffic_class = 0x9c,
		.next_header = next_header,
		.hop_limit = 64,
	};

	assert_int_equal(ipv6_emit(packet, 39, &made), -WIRE_NO_ROOM);
	assert_int_equal(ipv6_emit(packet, sizeof(packet), &made), 40);
	memcpy(packet + 40, payload, length);
	return 40 + length;
}

/* The result of the walk over @payload. */
static int walk(uint8_t next_header, const void *payload, size_t length)
{
	return test_parse(parse_chain, packet, make(next_header, payload, length, 2));
}

static void ipv6__is_parsed(void **state)
{
	static const uint8_t start[8] = {0x69, 0xca, 0xbc, 0xde, 0, 4, 17, 64};
	size_t length = make(17, "abcd", 4, 2);

	(void)state;
	assert_memory_equal(packet, start, sizeof(start));
	assert_int_equal(test_parse(parse, packet, length), 40);
	assert_int_equal(header.traffic_class, 0x9c);
	assert_int_equal(header.flow_label, 0xabcde);
	assert_int_equal(header.payload_bytes, 4);
	assert_int_equal(header.next_header, 17);
	assert_int_equal(header.hop_limit, 64);
	assert_true(ip_address_is_link_local(&header.source));
	test_truncations(parse, packet, length, length);
	assert_int_equal(test_parse(parse, packet, length + 9), 40);
	for (unsigned int version = 0; version < 16; version++)
		assert_int_equal(test_changed(parse, packet, length, 0, (uint8_t)(version << 4)),
				 version == 6 ? 40 : -WIRE_BAD_VERSION);
	for (unsigned int bytes = 0; bytes < 256; bytes++)
		assert_int_equal(test_changed(parse, packet, length, 5, (uint8_t)bytes),
				 bytes <= 4 ? 40 : -WIRE_TRUNCATED);
	assert_int_equal(test_parse(parse_chain, packet, length), 40);
	assert_int_equal(chain.protocol, 17);
	assert_int_equal(chain.protocol_offset, 6);
}

/* RFC 4291, sections 2.5.2, 2.5.3 and 2.7; RFC 4942, section 2.2. */
static void ipv6__refuses_impossible_addresses(void **state)
{
	size_t length = make(17, "abcd", 4, 2);
	struct ip_address mapped = ip_address_v4(0x0a000001), none = {{0}}, own = {{[15] = 1}};

	(void)state;
	assert_int_equal(test_changed(parse, packet, length, 8, 0xff), -WIRE_BAD_SOURCE);
	memcpy(packet + 8, mapped.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), -WIRE_BAD_SOURCE);
	memcpy(packet + 8, own.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), -WIRE_BAD_SOURCE);
	memcpy(packet + 8, none.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), 40);
	memcpy(packet + 24, none.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), -WIRE_BAD_DESTINATION);
	memcpy(packet + 24, own.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), -WIRE_BAD_DESTINATION);
	memcpy(packet + 24, mapped.bytes, 16);
	assert_int_equal(test_parse(parse, packet, length), -WIRE_BAD_DESTINATION);
	for (uint8_t scope = 0; scope < 16; scope++) {
		packet[24] = 0xff;
		assert_int_equal(test_changed(parse, packet, length, 25, 0x10 | scope),
				 scope <= 1 ? -WIRE_BAD_DESTINATION : 40);
	}
}

static void ipv6__walks_all_headers(void **state)
{
	static const uint8_t payload[] = {
		60, 0, 1, 4,  0, 0, 0, 0,                         /* hop-by-hop: padding */
		43, 0, 1, 2,  0, 0, 0, 0,                         /* destination options: padding */
		44, 0, 4, 0,  0, 0, 0, 0,                         /* routing, done */
		60, 0, 0, 0,  1, 2, 3, 4,                         /* fragment, atomic */
		6,  1, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* too much padding, see below */
		1,  2, 3, 4,
	};
	uint8_t copy[sizeof(payload)];
	size_t length;

	(void)state;
	assert_int_equal(walk(0, payload, sizeof(payload)), -WIRE_TOO_MANY_OPTIONS);
	memcpy(copy, payload, sizeof(payload));
	copy[34] = 30; /* an option that is to be skipped */
	assert_int_equal(walk(0, copy, sizeof(copy)), 88);
	assert_int_equal(chain.protocol, 6);
	assert_int_equal(chain.upper_offset, 88);
	assert_int_equal(chain.protocol_offset, 72);
	assert_true(chain.has_fragment_header && !chain.is_fragment && !chain.more_fragments);
	assert_int_equal(chain.fragment_identification, 0x01020304);
	assert_int_equal(chain.fragment_header_offset, 64);
	assert_int_equal(chain.fragment_next_offset, 56);
	assert_int_equal(chain.fragment_next_header, 60);
	length = make(0, copy, sizeof(copy), 2);
	test_truncations(parse_chain, packet, length, length);
	/* As truncated as the payload length says, whatever comes behind. */
	for (uint8_t bytes = 0; bytes < 48; bytes++)
		assert_int_equal(test_changed(parse_chain, packet, length, 5, bytes),
				 -WIRE_TRUNCATED);
}

static void ipv6__says_where_an_unknown_header_is_named(void **state)
{
	static const uint8_t payload[] = {200, 0, 1, 4, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(walk(60, payload, sizeof(payload)), 48);
	assert_int_equal(chain.protocol, 200);
	assert_int_equal(chain.protocol_offset, 40);
	assert_int_equal(walk(59, payload, sizeof(payload)), 40); /* no next header */
	assert_int_equal(chain.protocol, 59);
	assert_int_equal(walk(51, payload, sizeof(payload)), 40); /* AH is not known here */
	assert_int_equal(chain.protocol, 51);
}

/* RFC 8200, section 4.1. */
static void ipv6__takes_hop_by_hop_options_first_only(void **state)
{
	static const uint8_t payload[] = {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(walk(60, payload, sizeof(payload)), -WIRE_BAD_EXTENSION);
	assert_true(chain.answer);
	assert_int_equal(chain.problem_code, 1);
	assert_int_equal(chain.problem_pointer, 40);
	assert_int_equal(walk(0, payload, sizeof(payload)), -WIRE_BAD_EXTENSION);
}

/* RFC 8200, section 4.2: what to do is in the type's two high bits. */
static void ipv6__treats_unknown_options_as_they_ask(void **state)
{
	static const struct {
		uint8_t type;
		int result;
		bool answer, answer_group;
	} cases[] = {
		{0x1e, 48, false, false},
		{0x5e, -WIRE_BAD_OPTION, false, false},
		{0x9e, -WIRE_BAD_OPTION, true, true},
		{0xde, -WIRE_BAD_OPTION, true, false},
		{0xc2, -WIRE_BAD_OPTION, true, false}, /* jumbo payload */
	};
	uint8_t payload[] = {17, 0, 0, 0, 2, 0, 0, 0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		payload[3] = cases[i].type;
		assert_int_equal(walk(60, payload, sizeof(payload)), cases[i].result);
		assert_int_equal(chain.answer, cases[i].answer);
		if (chain.answer) {
			assert_int_equal(chain.problem_code, 2);
			assert_int_equal(chain.problem_pointer, 43);
		}
		assert_int_equal(
			test_parse(parse_chain, packet, make(0, payload, sizeof(payload), 255)),
			cases[i].result);
		assert_int_equal(chain.answer, cases[i].answer_group);
	}
}

static void ipv6__refuses_malformed_options(void **state)
{
	uint8_t payload[] = {17, 0, 0x1e, 4, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(walk(0, payload, sizeof(payload)), 48);
	for (unsigned int bytes = 5; bytes < 256; bytes++) {
		payload[3] = (uint8_t)bytes;
		assert_int_equal(walk(0, payload, sizeof(payload)), -WIRE_BAD_OPTION);
		assert_int_equal(chain.problem_pointer, 43);
	}
	memcpy(payload, (uint8_t[]){17, 0, 0x1e, 3, 0, 0, 0, 0x1e}, 8);
	assert_int_equal(walk(0, payload, sizeof(payload)), -WIRE_BAD_OPTION);
	assert_int_equal(chain.problem_pointer, 47);
}

/* RFC 8504, section 5.3. */
static void ipv6__bounds_what_a_packet_costs(void **state)
{
	uint8_t many[8 * (IPV6_EXTENSIONS_MAX + 1)] = {0}, options[32] = {17, 3};

	(void)state;
	for (size_t i = 0; i <= IPV6_EXTENSIONS_MAX; i++)
		memcpy(many + 8 * i, (uint8_t[]){60, 0, 1, 4, 0, 0, 0, 0}, 8);
	many[8 * (IPV6_EXTENSIONS_MAX - 1)] = 17;
	assert_int_equal(walk(60, many, sizeof(many)), 40 + 8 * IPV6_EXTENSIONS_MAX);
	many[8 * (IPV6_EXTENSIONS_MAX - 1)] = 60;
	assert_int_equal(walk(60, many, sizeof(many)), -WIRE_TOO_MANY_HEADERS);
	for (size_t at = 2; at < sizeof(options); at += 2)
		options[at] = 0x1e;
	assert_int_equal(walk(60, options, sizeof(options)), -WIRE_TOO_MANY_OPTIONS);
	memset(options + 2, 0, 30);
	assert_int_equal(walk(60, options, sizeof(options)), -WIRE_TOO_MANY_OPTIONS);
	memcpy(options, (uint8_t[]){17, 0, 0, 0, 0, 0, 0, 0}, 8);
	assert_int_equal(walk(60, options, 8), 48);
}

/* RFC 8200, section 4.4; RFC 5095. */
static void ipv6__follows_no_source_route(void **state)
{
	uint8_t payload[] = {17, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		payload[2] = (uint8_t)type;
		payload[3] = 0;
		assert_int_equal(walk(43, payload, sizeof(payload)), 48);
		payload[3] = 1;
		assert_int_equal(walk(43, payload, sizeof(payload)), -WIRE_SOURCE_ROUTE);
		assert_true(chain.answer);
		assert_int_equal(chain.problem_code, 0);
		assert_int_equal(chain.problem_pointer, 42);
	}
}

/* RFC 8200, section 4.5. */
static void ipv6__reads_fragments(void **state)
{
	uint8_t first[24] = {17, 0, 0, 1, 0, 0, 0, 9}, last[11] = {17, 0, 0, 0x10, 0, 0, 0, 9};

	(void)state;
	assert_int_equal(walk(44, first, sizeof(first)), 48);
	assert_true(chain.is_fragment && chain.more_fragments);
	assert_int_equal(chain.fragment_offset_bytes, 0);
	assert_int_equal(chain.fragment_next_offset, 6);
	assert_int_equal(walk(44, last, sizeof(last)), 48);
	assert_true(chain.is_fragment && !chain.more_fragments);
	assert_int_equal(chain.fragment_offset_bytes, 16);
	/* Not even looked at: it is in the middle of something. */
	last[0] = 60;
	assert_int_equal(walk(44, last, sizeof(last)), 48);
	assert_int_equal(chain.protocol, 60);
	/* Not the last one, and no multiple of 8 bytes. */
	assert_int_equal(walk(44, first, sizeof(first) - 1), -WIRE_BAD_FRAGMENT);
	assert_int_equal(chain.problem_pointer, 4);
	assert_int_equal(walk(44, first, 8), -WIRE_BAD_FRAGMENT);
	assert_false(chain.answer);
	/* It would end behind 65,535 bytes. */
	memcpy(last + 2, (uint8_t[]){0xff, 0xf8}, 2);
	last[0] = 17;
	assert_int_equal(walk(44, last, 8 + 3), 48);
	memcpy(first + 2, (uint8_t[]){0xff, 0xf8}, 2);
	assert_int_equal(walk(44, first, 8 + 8), -WIRE_BAD_FRAGMENT);
	assert_int_equal(chain.problem_pointer, 42);
	/* A fragment of a fragment. */
	memcpy(first, (uint8_t[]){44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1}, 16);
	assert_int_equal(walk(44, first, sizeof(first)), -WIRE_BAD_EXTENSION);
}

/* RFC 7112, section 5. */
static void ipv6__wants_the_whole_chain_in_a_first_fragment(void **state)
{
	uint8_t payload[] = {60, 0, 0, 1, 0, 0, 0, 9, 17, 1, 1, 4, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(walk(44, payload, sizeof(payload)), -WIRE_INCOMPLETE_CHAIN);
	assert_true(chain.answer);
	assert_int_equal(chain.problem_code, 3);
	payload[9] = 0;
	assert_int_equal(walk(44, payload, sizeof(payload)), 56);
}

static void ipv6__emits_fragments_and_router_alerts(void **state)
{
	uint8_t bytes[8];

	(void)state;
	for (size_t round = 0; round < 500; round++) {
		struct ipv6_chain made = {
			.fragment_next_header = 17,
			.more_fragments = test_random() & 1,
			.fragment_offset_bytes = (uint16_t)(test_random() % 8000 * 8),
			.fragment_identification = (uint32_t)test_random(),
		};
		uint8_t payload[16] = {0};

		assert_int_equal(ipv6_fragment_emit(payload, 7, &made), -WIRE_NO_ROOM);
		assert_int_equal(ipv6_fragment_emit(payload, 8, &made), 8);
		assert_int_equal(walk(44, payload, sizeof(payload)), 48);
		assert_int_equal(chain.more_fragments, made.more_fragments);
		assert_int_equal(chain.fragment_offset_bytes, made.fragment_offset_bytes);
		assert_int_equal(chain.fragment_identification, made.fragment_identification);
	}
	assert_int_equal(ipv6_router_alert_emit(bytes, 7, 58), -WIRE_NO_ROOM);
	assert_int_equal(ipv6_router_alert_emit(bytes, 8, 58), 8);
	assert_int_equal(walk(0, bytes, 8), 48);
	assert_true(chain.router_alert);
	assert_int_equal(chain.protocol, 58);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6__is_parsed),
		cmocka_unit_test(ipv6__refuses_impossible_addresses),
		cmocka_unit_test(ipv6__walks_all_headers),
		cmocka_unit_test(ipv6__says_where_an_unknown_header_is_named),
		cmocka_unit_test(ipv6__takes_hop_by_hop_options_first_only),
		cmocka_unit_test(ipv6__treats_unknown_options_as_they_ask),
		cmocka_unit_test(ipv6__refuses_malformed_options),
		cmocka_unit_test(ipv6__bounds_what_a_packet_costs),
		cmocka_unit_test(ipv6__follows_no_source_route),
		cmocka_unit_test(ipv6__reads_fragments),
		cmocka_unit_test(ipv6__wants_the_whole_chain_in_a_first_fragment),
		cmocka_unit_test(ipv6__emits_fragments_and_router_alerts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
