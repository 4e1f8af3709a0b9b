/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

#include "wire/ipv4.h"

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
	called.length = buf->length;
	*whole_out = *packet;
	whole_out->was_fragmented = true;
	if (called.becomes_whole)
		return buf;
	netdev_release(net->device, buf);
	return NULL;
}

struct buf *ip_linearise(struct net *net, enum net_layer layer, struct buf *chain)
{
	struct buf *next = chain->next;

	assert_int_equal(layer, NET_LAYER_IPV4);
	called.linearised++;
	memcpy(chain->data + chain->length, next->data, next->length);
	chain->length += next->length;
	chain->next = NULL;
	netdev_release_chain(net->device, next);
	return chain;
}

/* ---- A packet from 10.0.0.7 to 10.0.0.2 with 8 bytes for UDP ---- */

static uint8_t packet[128];
static uint32_t packet_bytes;
static struct eth_header eth;

static int setup(void **state)
{
	static const uint8_t plain[] = {0x45, 0x2e, 0,   28,  0x12, 0x34, 0,   0,  61, 17,
					0,    0,    10,  0,   0,    7,    10,  0,  0,  2,
					'd',  'a',  't', 'a', 'g',  'r',  'a', 'm'};

	memset(&called, 0, sizeof(called));
	memset(packet, 0, sizeof(packet));
	memcpy(packet, plain, sizeof(plain));
	packet_bytes = sizeof(plain);
	eth = (struct eth_header){
		.destination = {{2, 0, 0, 0, 0, 2}},
		.source = {{2, 0, 0, 0, 0, 7}},
		.type = ETH_TYPE_IPV4,
	};
	return rig_setup(state);
}

static void mend_checksum(void)
{
	store_be16(packet + 10, 0);
	store_be16(packet + 10, (uint16_t)~rig_sum(packet, (packet[0] & 15) * 4u, 0));
}

/* Arrives with @padding bytes behind it. */
static void arrive_padded(uint32_t padding)
{
	mend_checksum();
	ipv4_rx(&rig.net, &eth, rig_frame(packet, packet_bytes + padding));
}

static void expect_drop(unsigned int reason)
{
	uint64_t before = rig_drops(NET_LAYER_IPV4, reason);

	called.count = 0;
	called.fragments = 0;
	arrive_padded(0);
	assert_int_equal(called.count, 0);
	assert_int_equal(called.fragments, 0);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, reason), before + 1);
}

static void expect_delivery(bool to_group)
{
	called.count = 0;
	arrive_padded(0);
	assert_int_equal(called.count, 1);
	assert_int_equal(called.packet.to_group, to_group);
}

static void set_destination(uint32_t address)
{
	store_be32(packet + 16, address);
}

static void set_source(uint32_t address)
{
	store_be32(packet + 12, address);
}

/* ---- Tests ---- */

static void ipv4_rx__delivers_what_is_for_us(void **state)
{
	const struct ip_address source = V4(10, 0, 0, 7), destination = V4(10, 0, 0, 2);

	(void)state;
	expect_delivery(false);
	assert_true(ip_address_equal(&called.packet.source, &source));
	assert_true(ip_address_equal(&called.packet.destination, &destination));
	assert_int_equal(called.packet.protocol, IPPROTO_UDP);
	assert_int_equal(called.packet.hop_limit, 61);
	assert_int_equal(called.packet.traffic_class, 0x2e);
	assert_false(called.packet.is_v6 || called.packet.is_local || called.packet.was_fragmented);
	assert_true(called.packet.is_frame);
	assert_int_equal(called.packet.header_bytes, 20);
	assert_int_equal(called.packet.total_bytes, 28);
	assert_true(eth_address_equal(&called.packet.link_source, &eth.source));
	assert_int_equal(called.length, 8);
	assert_int_equal(called.first, 'd');
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].rx_packets, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].rx_bytes, 28);
}

/* RFC 894: short frames are filled up. */
static void ipv4_rx__leaves_out_padding(void **state)
{
	(void)state;
	arrive_padded(18);
	assert_int_equal(called.length, 8);
	assert_int_equal(called.packet.total_bytes, 28);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].rx_bytes, 28);
}

static void ipv4_rx__skips_options(void **state)
{
	(void)state;
	memmove(packet + 24, packet + 20, 8);
	memset(packet + 20, 1, 4);
	packet[0] = 0x46;
	packet[3] = 32;
	packet_bytes = 32;
	expect_delivery(false);
	assert_int_equal(called.packet.header_bytes, 24);
	assert_int_equal(called.length, 8);
	assert_int_equal(called.first, 'd');
}

static void ipv4_rx__counts_what_the_parser_refuses(void **state)
{
	(void)state;
	for (packet_bytes = 0; packet_bytes < 28; packet_bytes++)
		expect_drop(WIRE_TRUNCATED);
	packet[0] = 0x65;
	expect_drop(WIRE_BAD_VERSION);
	packet[0] = 0x45;
	mend_checksum();
	packet[8]++;
	ipv4_rx(&rig.net, &eth, rig_frame(packet, packet_bytes));
	assert_int_equal(rig_drops(NET_LAYER_IPV4, WIRE_BAD_CHECKSUM), 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].rx_packets, 30);
}

/* RFC 1122, sections 3.2.1.3 and 3.3.6. */
static void ipv4_rx__looks_at_the_destination(void **state)
{
	(void)state;
	set_destination(0x0a000003);
	expect_drop(NET_DROP_NOT_FOR_US);
	set_destination(0x0a0000ff);
	expect_delivery(true);
	set_destination(0xffffffff);
	expect_delivery(true);
	set_destination(0xe0000001);
	expect_delivery(true);
	set_destination(0xef010203);
	expect_delivery(true);
	set_destination(0xef010204);
	expect_drop(NET_DROP_NO_MEMBER);
}

static void ipv4_rx__drops_unicast_in_a_frame_to_many(void **state)
{
	(void)state;
	eth.destination = eth_address_broadcast();
	expect_drop(NET_DROP_NOT_FOR_US);
	eth.destination = (struct eth_address){{1, 0, 0x5e, 0, 0, 1}};
	expect_drop(NET_DROP_NOT_FOR_US);
	set_destination(0xe0000001);
	expect_delivery(true);
}

static void ipv4_rx__looks_at_the_source(void **state)
{
	(void)state;
	set_source(0x0a000002);
	expect_drop(NET_DROP_OWN_ADDRESS);
	set_source(0x0a0000ff);
	expect_drop(WIRE_BAD_SOURCE);
	set_source(0xe0000001);
	expect_drop(WIRE_BAD_SOURCE);
	set_source(0xffffffff);
	expect_drop(WIRE_BAD_SOURCE);
	set_source(0x7f000001);
	expect_drop(WIRE_BAD_SOURCE);
	set_source(0x0a0000fb);
	expect_delivery(false);
	/* RFC 3376, section 4.2.13. */
	set_source(0);
	expect_drop(WIRE_BAD_SOURCE);
	packet[9] = IPPROTO_IGMP;
	set_destination(0xe0000001);
	expect_delivery(true);
}

static void ipv4_rx__hands_fragments_on(void **state)
{
	(void)state;
	packet[6] = 0x20; /* more */
	packet[7] = 5;
	arrive_padded(18);
	assert_int_equal(called.fragments, 1);
	assert_int_equal(called.count, 0);
	assert_int_equal(called.fragment.identification, 0x1234);
	assert_int_equal(called.fragment.offset_bytes, 40);
	assert_true(called.fragment.more_fragments);
	assert_false(called.fragment.is_v6);
	assert_int_equal(called.fragment.protocol, IPPROTO_UDP);
	assert_int_equal(called.fragment.skip_bytes, 0);
	assert_int_equal(called.length, 8);
	packet[6] = 0;
	called.becomes_whole = true;
	arrive_padded(0);
	assert_false(called.fragment.more_fragments);
	assert_int_equal(called.count, 1);
	assert_true(called.packet.was_fragmented);
	/* A lone "do not fragment" is no fragment. */
	packet[6] = 0x40;
	packet[7] = 0;
	arrive_padded(0);
	assert_int_equal(called.fragments, 2);
	assert_int_equal(called.count, 2);
}

/* RFC 1858, section 3.2.1; RFC 3128. */
static void ipv4_rx__drops_tiny_fragments_of_tcp(void **state)
{
	(void)state;
	packet[7] = 1;
	packet[9] = IPPROTO_TCP;
	expect_drop(WIRE_BAD_FRAGMENT);
	packet[9] = IPPROTO_UDP;
	arrive_padded(0);
	assert_int_equal(called.fragments, 1);
}

static void ipv4_rx__joins_what_a_device_has_scattered(void **state)
{
	struct buf *buf;

	(void)state;
	mend_checksum();
	buf = rig_frame(packet, 10);
	buf->next = rig_frame(packet + 10, 18);
	ipv4_rx(&rig.net, &eth, buf);
	assert_int_equal(called.linearised, 1);
	assert_int_equal(called.count, 1);
	assert_int_equal(called.length, 8);
	assert_false(called.packet.is_frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ipv4_rx__delivers_what_is_for_us),
		TEST(ipv4_rx__leaves_out_padding),
		TEST(ipv4_rx__skips_options),
		TEST(ipv4_rx__counts_what_the_parser_refuses),
		TEST(ipv4_rx__looks_at_the_destination),
		TEST(ipv4_rx__drops_unicast_in_a_frame_to_many),
		TEST(ipv4_rx__looks_at_the_source),
		TEST(ipv4_rx__hands_fragments_on),
		TEST(ipv4_rx__drops_tiny_fragments_of_tcp),
		TEST(ipv4_rx__joins_what_a_device_has_scattered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
