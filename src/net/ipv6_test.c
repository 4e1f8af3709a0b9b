/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

#include "net/icmp.h"
#include "wire/ipv6.h"

/* ---- Fakes ---- */

static struct {
	unsigned int count;
	struct ip_packet packet;
	uint32_t length;
	uint8_t first; /* byte of the payload */
	/* reassembly_add */
	unsigned int fragments;
	struct fragment fragment;
	bool becomes_whole;
	/* icmp_tx_error */
	unsigned int errors;
	uint8_t code;
	uint32_t pointer;
	bool answers_group;
	unsigned int linearised;
} called;

void ip_deliver(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	called.count++;
	called.packet = *packet;
	called.length = buf->length;
	called.first = buf->length ? buf->data[0] : 0;
	netdev_release(net->device, buf);
}

struct buf *reassembly_add(struct net *net, const struct fragment *fragment,
			   const struct ip_packet *packet, struct buf *buf,
			   struct ip_packet *whole_out)
{
	called.fragments++;
	called.fragment = *fragment;
	called.packet = *packet;
	called.length = buf->length;
	*whole_out = *packet;
	if (called.becomes_whole)
		return buf;
	netdev_release(net->device, buf);
	return NULL;
}

void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group)
{
	(void)net;
	assert_int_equal(problem, ICMP_PROBLEM_PARAMETER);
	assert_int_equal(packet->header[0] >> 4, 6);
	called.errors++;
	called.code = code;
	called.pointer = pointer;
	called.answers_group = answers_group;
}

struct buf *ip_linearise(struct net *net, enum net_layer layer, struct buf *chain)
{
	assert_int_equal(layer, NET_LAYER_IPV6);
	called.linearised++;
	net_drop(net, chain, layer, NET_DROP_NO_MEMORY);
	return NULL;
}

/* ---- A packet from fd00::7 to fd00::2 ---- */

static uint8_t packet[256];
static uint32_t packet_bytes;
static struct eth_header eth;

/* What stands behind the fixed header, and its first byte's name. */
static void set_payload(uint8_t next_header, const void *data, uint32_t length)
{
	packet[4] = 0;
	packet[5] = (uint8_t)length;
	packet[6] = next_header;
	memcpy(packet + 40, data, length);
	packet_bytes = 40 + length;
}

#define PAYLOAD(next_header, ...)                                \
	set_payload(next_header, (const uint8_t[]){__VA_ARGS__}, \
		    sizeof((const uint8_t[]){__VA_ARGS__}))
#define DATAGRAM 'd', 'a', 't', 'a', 'g', 'r', 'a', 'm'

static int setup(void **state)
{
	memset(&called, 0, sizeof(called));
	memset(packet, 0, sizeof(packet));
	packet[0] = 0x62;
	packet[1] = 0xe0;
	packet[7] = 61;
	packet[8] = packet[24] = 0xfd;
	packet[23] = 7;
	packet[39] = 2;
	PAYLOAD(17, DATAGRAM);
	eth = (struct eth_header){
		.destination = {{2, 0, 0, 0, 0, 2}},
		.source = {{2, 0, 0, 0, 0, 7}},
		.type = ETH_TYPE_IPV6,
	};
	return rig_setup(state);
}

static void arrive_padded(uint32_t padding)
{
	ipv6_rx(&rig.net, &eth, rig_frame(packet, packet_bytes + padding));
}

static void expect_drop(unsigned int reason)
{
	uint64_t before = rig_drops(NET_LAYER_IPV6, reason);

	called.count = called.fragments = called.errors = 0;
	arrive_padded(0);
	assert_int_equal(called.count, 0);
	assert_int_equal(called.fragments, 0);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, reason), before + 1);
}

static void expect_answer(unsigned int reason, uint8_t code, uint32_t pointer)
{
	expect_drop(reason);
	assert_int_equal(called.errors, 1);
	assert_int_equal(called.code, code);
	assert_int_equal(called.pointer, pointer);
}

static void expect_delivery(uint32_t header_bytes, uint32_t length)
{
	called.count = 0;
	arrive_padded(0);
	assert_int_equal(called.count, 1);
	assert_int_equal(called.packet.header_bytes, header_bytes);
	assert_int_equal(called.packet.total_bytes, packet_bytes);
	assert_int_equal(called.length, length);
	assert_int_equal(called.first, 'd');
}

/* ---- Tests ---- */

static void ipv6_rx__delivers_what_is_for_us(void **state)
{
	const struct ip_address source = V6(7), destination = V6(2);

	(void)state;
	expect_delivery(40, 8);
	assert_true(ip_address_equal(&called.packet.source, &source));
	assert_true(ip_address_equal(&called.packet.destination, &destination));
	assert_int_equal(called.packet.protocol, IPPROTO_UDP);
	assert_int_equal(called.packet.protocol_offset, 6);
	assert_int_equal(called.packet.hop_limit, 61);
	assert_int_equal(called.packet.traffic_class, 0x2e);
	assert_true(called.packet.is_v6 && called.packet.is_frame);
	assert_false(called.packet.is_local || called.packet.was_fragmented ||
		     called.packet.to_group);
	assert_true(eth_address_equal(&called.packet.link_source, &eth.source));
	arrive_padded(6);
	assert_int_equal(called.length, 8);
	assert_int_equal(called.packet.total_bytes, 48);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV6].rx_packets, 2);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV6].rx_bytes, 96);
}

static void ipv6_rx__counts_what_the_parser_refuses(void **state)
{
	(void)state;
	for (packet_bytes = 0; packet_bytes < 48; packet_bytes++)
		expect_drop(WIRE_TRUNCATED);
	packet[0] = 0x45;
	expect_drop(WIRE_BAD_VERSION);
	packet[0] = 0x60;
	packet[8] = 0xff;
	expect_drop(WIRE_BAD_SOURCE);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV6].rx_packets, 50);
}

static void ipv6_rx__looks_at_the_addresses(void **state)
{
	(void)state;
	packet[39] = 3;
	expect_drop(NET_DROP_NOT_FOR_US);
	packet[24] = 0xff;
	packet[25] = 2;
	expect_drop(NET_DROP_NO_MEMBER);
	packet[39] = 1;
	expect_delivery(40, 8);
	assert_true(called.packet.to_group);
	packet[23] = 2;
	expect_drop(NET_DROP_OWN_ADDRESS);
	packet[23] = 7;
	packet[24] = 0xfd;
	packet[25] = 0;
	packet[39] = 2;
	/* RFC 4443, 2.4 (e.4): nobody is told of errors in it. */
	eth.destination = (struct eth_address){{0x33, 0x33, 0, 0, 0, 1}};
	expect_delivery(40, 8);
	assert_true(called.packet.to_group);
}

/* RFC 4862, section 5.4.4: who has our address defends it from that address. */
static void ipv6_rx__lets_advertisements_from_our_address_through(void **state)
{
	(void)state;
	packet[23] = 2;
	PAYLOAD(58, 136, 0, 0, 0, 0, 0, 0, 0);
	arrive_padded(0);
	assert_int_equal(called.count, 1);
	PAYLOAD(58, 135, 0, 0, 0, 0, 0, 0, 0);
	expect_drop(NET_DROP_OWN_ADDRESS);
	PAYLOAD(17, 136, 0, 0, 0, 0, 0, 0, 0);
	expect_drop(NET_DROP_OWN_ADDRESS);
	packet[5] = 0;
	packet[6] = 58;
	packet_bytes = 40;
	expect_drop(NET_DROP_OWN_ADDRESS);
}

static void ipv6_rx__walks_extension_headers(void **state)
{
	(void)state;
	/* hop-by-hop with padding, destination options with an option to skip, UDP */
	PAYLOAD(0, 60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0x1e, 4, 0, 0, 0, 0, DATAGRAM);
	expect_delivery(56, 8);
	assert_int_equal(called.packet.protocol, IPPROTO_UDP);
	assert_int_equal(called.packet.protocol_offset, 48);
}

/* RFC 8200, section 4.2: bits 10 of the option's type, 11 not to groups. */
static void ipv6_rx__answers_bad_headers(void **state)
{
	(void)state;
	PAYLOAD(60, 17, 0, 0x9e, 4, 0, 0, 0, 0, DATAGRAM);
	expect_answer(WIRE_BAD_OPTION, 2, 42);
	assert_true(called.answers_group);
	PAYLOAD(60, 17, 0, 0xde, 4, 0, 0, 0, 0, DATAGRAM);
	expect_answer(WIRE_BAD_OPTION, 2, 42);
	assert_false(called.answers_group);
	PAYLOAD(60, 17, 0, 0x5e, 4, 0, 0, 0, 0, DATAGRAM);
	expect_drop(WIRE_BAD_OPTION);
	assert_int_equal(called.errors, 0);
	/* Hop-by-hop options that are not first (4.1); RFC 5095: a routing header of type 0. */
	PAYLOAD(60, 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, DATAGRAM);
	expect_answer(WIRE_BAD_EXTENSION, 1, 40);
	PAYLOAD(43, 17, 0, 0, 1, 0, 0, 0, 0, DATAGRAM);
	expect_answer(WIRE_SOURCE_ROUTE, 0, 42);
	/* 4.5: not a multiple of eight bytes, or beyond the end of any packet. */
	PAYLOAD(44, 17, 0, 0, 1, 0, 0, 0, 9, DATAGRAM, 'x');
	expect_answer(WIRE_BAD_FRAGMENT, 0, 4);
	PAYLOAD(44, 17, 0, 0xff, 0xf8, 0, 0, 0, 9, DATAGRAM);
	expect_answer(WIRE_BAD_FRAGMENT, 0, 42);
}

static void ipv6_rx__hands_fragments_on(void **state)
{
	(void)state;
	PAYLOAD(44, 17, 0, 0, 1, 1, 2, 3, 4, DATAGRAM);
	arrive_padded(6);
	assert_int_equal(called.fragments, 1);
	assert_int_equal(called.count, 0);
	assert_int_equal(called.fragment.identification, 0x01020304);
	assert_int_equal(called.fragment.offset_bytes, 0);
	assert_int_equal(called.fragment.protocol, IPPROTO_UDP);
	assert_int_equal(called.fragment.skip_bytes, 0);
	assert_true(called.fragment.more_fragments && called.fragment.is_v6);
	assert_true(called.packet.was_fragmented);
	assert_int_equal(called.packet.total_bytes, 56);
	assert_int_equal(called.length, 8);
	/* With a header in the fragmented part. */
	PAYLOAD(44, 60, 0, 0, 1, 1, 2, 3, 4, 17, 0, 1, 4, 0, 0, 0, 0, DATAGRAM);
	arrive_padded(0);
	assert_int_equal(called.fragment.protocol, IPPROTO_UDP);
	assert_int_equal(called.fragment.skip_bytes, 8);
	assert_int_equal(called.packet.header_bytes, 56);
	assert_int_equal(called.length, 16);
	/* The last one; its bytes are nobody's header. */
	called.becomes_whole = true;
	PAYLOAD(44, 60, 0, 0, 16, 1, 2, 3, 4, 'd', 'a', 't');
	arrive_padded(0);
	assert_int_equal(called.fragment.offset_bytes, 16);
	assert_false(called.fragment.more_fragments);
	assert_int_equal(called.fragments, 3);
	assert_int_equal(called.count, 1);
	assert_int_equal(called.length, 3);
	assert_int_equal(called.errors, 0);
}

/* RFC 6946. */
static void ipv6_rx__takes_atomic_fragments_as_they_are(void **state)
{
	(void)state;
	PAYLOAD(44, 17, 0, 0, 0, 1, 2, 3, 4, DATAGRAM);
	expect_delivery(48, 8);
	assert_int_equal(called.fragments, 0);
	assert_true(called.packet.was_fragmented);
}

/* RFC 7112, section 5. */
static void ipv6_rx__wants_the_whole_chain_in_the_first_fragment(void **state)
{
	uint8_t segment[8 + 24] = {6, 0, 0, 1, 0, 0, 0, 9};

	(void)state;
	/* TCP's header ends behind the fragment: 8, then 16 of 20, then 24 of 28 bytes. */
	PAYLOAD(44, 6, 0, 0, 1, 0, 0, 0, 9, DATAGRAM);
	expect_answer(WIRE_INCOMPLETE_CHAIN, 3, 0);
	segment[8 + 12] = 0x50;
	set_payload(44, segment, 24);
	expect_answer(WIRE_INCOMPLETE_CHAIN, 3, 0);
	segment[8 + 12] = 0x70;
	set_payload(44, segment, 32);
	expect_answer(WIRE_INCOMPLETE_CHAIN, 3, 0);
	segment[8 + 12] = 0x60;
	set_payload(44, segment, 32);
	arrive_padded(0);
	assert_int_equal(called.fragments, 1);
	/* Options that go on in the next fragment. */
	PAYLOAD(44, 60, 0, 0, 1, 0, 0, 0, 9, 17, 1, 1, 4, 0, 0, 0, 0);
	expect_answer(WIRE_INCOMPLETE_CHAIN, 3, 0);
	/* A first fragment that holds nothing of the transport. */
	PAYLOAD(44, 60, 0, 0, 1, 0, 0, 0, 9, 17, 0, 1, 4, 0, 0, 0, 0);
	expect_answer(WIRE_INCOMPLETE_CHAIN, 3, 0);
}

static void ipv6_rx__survives_chance(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 50000; round++) {
		uint8_t payload[120] = {0};
		uint32_t length = (uint32_t)(net_random(&rig.net) % sizeof(payload));
		static const uint8_t names[] = {0, 43, 44, 60, 17, 58};

		for (uint32_t i = 0; i < length; i++)
			payload[i] = (uint8_t)(net_random(&rig.net) % 8
						       ? names[i % 6] * (i % 8 == 0)
						       : net_random(&rig.net) >> 9);
		set_payload(names[net_random(&rig.net) % 6], payload, length);
		called.becomes_whole = round & 1;
		arrive_padded(round % 7);
	}
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV6].rx_packets, 50000);
}

static void ipv6_rx__joins_what_a_device_has_scattered(void **state)
{
	struct buf *buf = rig_frame(packet, 10);

	(void)state;
	buf->next = rig_frame(packet + 10, 38);
	ipv6_rx(&rig.net, &eth, buf);
	assert_int_equal(called.linearised, 1);
	assert_int_equal(called.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ipv6_rx__delivers_what_is_for_us),
		TEST(ipv6_rx__counts_what_the_parser_refuses),
		TEST(ipv6_rx__looks_at_the_addresses),
		TEST(ipv6_rx__lets_advertisements_from_our_address_through),
		TEST(ipv6_rx__walks_extension_headers),
		TEST(ipv6_rx__answers_bad_headers),
		TEST(ipv6_rx__hands_fragments_on),
		TEST(ipv6_rx__takes_atomic_fragments_as_they_are),
		TEST(ipv6_rx__wants_the_whole_chain_in_the_first_fragment),
		TEST(ipv6_rx__survives_chance),
		TEST(ipv6_rx__joins_what_a_device_has_scattered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
