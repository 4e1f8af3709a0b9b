/* SPDX-License-Identifier: MIT */
/* Frames and what stands right in them: ARP. */
#include "wire/testing.h"

#include "wire/arp.h"
#include "wire/eth.h"

static const uint8_t plain[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
				0,    0,    0,    0,    7,    0x08, 0x06};
static const uint8_t tagged[] = {2, 0, 0, 0,    0,    1,    2,    0,    0,
				 0, 0, 7, 0x81, 0x00, 0xa0, 0x64, 0x86, 0xdd};

/* Ethernet, IPv4, 6, 4, request; 02:..:07 10.0.0.7 asks 00:.. for 10.0.0.9 (RFC 826) */
static const uint8_t request[] = {0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 7,
				  10, 0, 0, 7, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9};

static struct eth_header header;
static struct arp_packet packet;

static int parse(const void *data, size_t length)
{
	return eth_parse(&header, data, length);
}

static int parse_arp(const void *data, size_t length)
{
	return arp_parse(&packet, data, length);
}

static void eth__is_parsed_with_and_without_a_tag(void **state)
{
	(void)state;
	assert_int_equal(test_parse(parse, plain, sizeof(plain)), 14);
	assert_int_equal(header.type, ETH_TYPE_ARP);
	assert_int_equal(eth_vlan(&header), 0);
	assert_int_equal(header.source.bytes[5], 7);
	assert_true(eth_address_is_multicast(&header.destination));
	assert_int_equal(test_parse(parse, tagged, sizeof(tagged)), 18);
	assert_int_equal(header.type, ETH_TYPE_IPV6);
	assert_int_equal(eth_vlan(&header), 100);
	assert_int_equal(header.tag >> 13, 5);
}

static void eth__refuses_what_is_none(void **state)
{
	uint8_t twice[22];

	(void)state;
	test_truncations(parse, plain, sizeof(plain), sizeof(plain));
	test_truncations(parse, tagged, sizeof(tagged), sizeof(tagged));
	assert_int_equal(test_changed(parse, plain, sizeof(plain), 6, 3), -WIRE_BAD_SOURCE);
	assert_int_equal(test_changed(parse, plain, sizeof(plain), 12, 5), -WIRE_BAD_TYPE);
	memcpy(twice, tagged, 16);
	memcpy(twice + 16, tagged + 12, 6);
	assert_int_equal(test_parse(parse, twice, sizeof(twice)), -WIRE_BAD_TYPE);
	memcpy(twice + 12, "\x88\xa8", 2);
	assert_int_equal(test_parse(parse, twice, sizeof(twice)), -WIRE_BAD_TYPE);
}

static void eth__is_emitted_as_parsed(void **state)
{
	uint8_t bytes[18];

	(void)state;
	parse(plain, sizeof(plain));
	assert_int_equal(eth_emit(bytes, 14, &header), 14);
	assert_memory_equal(bytes, plain, 14);
	assert_int_equal(eth_emit(bytes, 13, &header), -WIRE_NO_ROOM);
	parse(tagged, sizeof(tagged));
	assert_int_equal(eth_emit(bytes, 18, &header), 18);
	assert_memory_equal(bytes, tagged, 18);
	assert_int_equal(eth_emit(bytes, 17, &header), -WIRE_NO_ROOM);
}

static void arp__is_parsed_and_answered(void **state)
{
	static const uint8_t reply[] = {0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 9,
					10, 0, 0, 9, 2, 0, 0, 0, 0, 7, 10, 0, 0, 7};
	struct eth_address own = {{2, 0, 0, 0, 0, 9}};
	struct arp_packet answer;
	uint8_t bytes[28];

	(void)state;
	assert_int_equal(test_parse(parse_arp, request, sizeof(request)), 28);
	assert_int_equal(ip_address_low32(&packet.sender_ip), 0x0a000007);
	assert_int_equal(ip_address_low32(&packet.target_ip), 0x0a000009);
	answer = arp_reply(own, &packet);
	assert_int_equal(arp_emit(bytes, 27, &answer), -WIRE_NO_ROOM);
	assert_int_equal(arp_emit(bytes, 28, &answer), 28);
	assert_memory_equal(bytes, reply, 28);
	answer = arp_request(packet.sender, packet.sender_ip, packet.target_ip);
	arp_emit(bytes, 28, &answer);
	assert_memory_equal(bytes, request, 28);
}

static void arp__refuses_what_is_none(void **state)
{
	(void)state;
	test_truncations(parse_arp, request, sizeof(request), sizeof(request));
	for (size_t at = 0; at < 7; at++)
		assert_int_equal(test_changed(parse_arp, request, 28, at, 0x77), -WIRE_BAD_TYPE);
	for (unsigned int operation = 0; operation < 256; operation++)
		assert_int_equal(test_changed(parse_arp, request, 28, 7, (uint8_t)operation),
				 operation == 1 || operation == 2 ? 28 : -WIRE_BAD_TYPE);
	assert_int_equal(test_changed(parse_arp, request, 28, 8, 1), -WIRE_BAD_SOURCE);
	assert_int_equal(test_changed(parse_arp, request, 28, 14, 224), -WIRE_BAD_SOURCE);
	assert_int_equal(test_changed(parse_arp, request, 28, 14, 127), -WIRE_BAD_SOURCE);
}

/* RFC 5227, sections 2.1.1 and 2.3. */
static void arp__probes_and_announces(void **state)
{
	struct eth_address own = {{2, 0, 0, 0, 0, 9}};
	struct ip_address ip = ip_address_v4(0x0a000009);
	struct arp_packet probe = arp_probe(own, ip), claim = arp_announcement(own, ip);
	uint8_t bytes[28];

	(void)state;
	arp_emit(bytes, 28, &probe);
	assert_memory_equal(bytes + 14, "\0\0\0\0\0\0\0\0\0\0\x0a\0\0\x09", 14);
	assert_int_equal(test_parse(parse_arp, bytes, 28), 28);
	assert_true(ip_address_is_unspecified(&packet.sender_ip));
	/* In a reply it would be a lie. */
	assert_int_equal(test_changed(parse_arp, bytes, 28, 7, 2), -WIRE_BAD_SOURCE);
	arp_emit(bytes, 28, &claim);
	assert_memory_equal(bytes + 14, bytes + 24, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eth__is_parsed_with_and_without_a_tag),
		cmocka_unit_test(eth__refuses_what_is_none),
		cmocka_unit_test(eth__is_emitted_as_parsed),
		cmocka_unit_test(arp__is_parsed_and_answered),
		cmocka_unit_test(arp__refuses_what_is_none),
		cmocka_unit_test(arp__probes_and_announces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
