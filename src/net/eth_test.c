/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "net/eth.h"
#include "net/group.h"
#include "net/ip.h"
#include "net/neighbour.h"

/* ---- A device that keeps what it is given, and what eth.c calls ---- */

static const struct eth_address mac = {{2, 0, 0, 0, 0, 1}}, peer = {{2, 0, 0, 0, 0, 2}};

static struct fixture {
	struct heap *heap;
	struct netdev device;
	struct net net;
	unsigned int ipv4, ipv6, arp, flushes;
	bool device_full;
	uint32_t length; /* of what the layer above got */
	uint8_t first;
} fixture;

static void take(struct net *net, struct buf *buf, unsigned int *count)
{
	fixture.length = buf->length;
	fixture.first = buf->data[0];
	++*count;
	netdev_release_chain(net->device, buf);
}

void ipv4_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	assert_true(eth_address_equal(&eth->source, &peer));
	take(net, buf, &fixture.ipv4);
}

void ipv6_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	(void)eth;
	take(net, buf, &fixture.ipv6);
}

void arp_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	(void)eth;
	take(net, buf, &fixture.arp);
}

bool group_has_link(const struct net *net, const struct eth_address *link)
{
	(void)net;
	return link->bytes[5] == 0x11;
}

void net_flush(struct net *net)
{
	fixture.flushes++;
	if (fixture.device_full)
		return;
	for (uint32_t i = 0; i < net->tx_count; i++)
		netdev_release_chain(net->device, net->tx[i]);
	net->tx_count = 0;
}

static const struct netdev_ops ops = {.kind = "test"};

static int setup(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	assert_int_equal(heap_create(&fixture.heap, &(struct heap_options){.bytes_max = 16u << 20}),
			 0);
	assert_int_equal(netdev_init(&fixture.device, &ops, fixture.heap, 2048, 64, 64,
				     sizeof(struct buf), sizeof(struct buf) + NETDEV_HEAD_ROOM),
			 0);
	fixture.net = (struct net){.device = &fixture.device,
				   .heap = fixture.heap,
				   .mac = mac,
				   .link_bytes = ETH_HEADER_BYTES};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_flush(&fixture.net);
	/* Whatever became of the frames, all are back. */
	assert_int_equal(heap_frames_free(fixture.device.frames), 64);
	assert_int_equal(heap_frames_free(fixture.device.shells), 64);
	netdev_fini(&fixture.device);
	heap_destroy(fixture.heap);
	return 0;
}

static void receive(const void *bytes, uint32_t length)
{
	struct buf *buf = netdev_alloc(&fixture.device);

	memcpy(buf->data, bytes, length);
	buf->length = length;
	eth_rx(&fixture.net, buf);
}

static uint64_t drops(unsigned int reason)
{
	return fixture.net.counters.layers[NET_LAYER_ETH].drops[reason];
}

static const uint8_t ipv4_frame[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 1, 2};

static void receive_changed(size_t at, uint8_t value)
{
	uint8_t frame[sizeof(ipv4_frame)];

	memcpy(frame, ipv4_frame, sizeof(frame));
	frame[at] = value;
	receive(frame, sizeof(frame));
}

/* ---- Tests ---- */

static void eth_rx__hands_the_packet_to_its_layer(void **state)
{
	static const uint8_t arp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0,
				      0,    0,    0,    2,    8,    6,    7};

	(void)state;
	receive(ipv4_frame, sizeof(ipv4_frame));
	assert_int_equal(fixture.ipv4, 1);
	assert_int_equal(fixture.length, 3);
	assert_int_equal(fixture.first, 0x45);
	receive_changed(12, 0x86);
	assert_int_equal(drops(NET_DROP_UNKNOWN_PROTOCOL), 1);
	receive(arp, sizeof(arp));
	assert_int_equal(fixture.arp, 1);
	assert_int_equal(fixture.net.counters.layers[NET_LAYER_ETH].rx_packets, 3);
	assert_int_equal(fixture.net.counters.layers[NET_LAYER_ETH].rx_bytes, 17 + 17 + 15);
}

static void eth_rx__drops_what_is_not_for_us(void **state)
{
	(void)state;
	receive_changed(5, 9);
	assert_int_equal(drops(NET_DROP_NOT_FOR_US), 1);
	/* A group: joined or not. */
	receive_changed(0, 3);
	assert_int_equal(drops(NET_DROP_NOT_FOR_US), 2);
	assert_int_equal(fixture.ipv4, 0);
	{
		uint8_t frame[sizeof(ipv4_frame)];

		memcpy(frame, ipv4_frame, sizeof(frame));
		frame[0] = 3;
		frame[5] = 0x11;
		receive(frame, sizeof(frame));
	}
	assert_int_equal(fixture.ipv4, 1);
}

static void eth_rx__drops_what_claims_to_come_from_us(void **state)
{
	(void)state;
	receive_changed(11, 1);
	assert_int_equal(drops(NET_DROP_OWN_ADDRESS), 1);
	/* A group can send nothing: IEEE 802.3, 3.2.3. */
	receive_changed(6, 3);
	assert_int_equal(drops(WIRE_BAD_SOURCE), 1);
	assert_int_equal(fixture.ipv4, 0);
}

static void eth_rx__counts_every_truncation(void **state)
{
	(void)state;
	for (uint32_t length = 0; length < ETH_HEADER_BYTES; length++)
		receive(ipv4_frame, length);
	assert_int_equal(drops(WIRE_TRUNCATED), ETH_HEADER_BYTES);
}

/* IEEE 802.1Q, clause 9.6: VLAN 0 is a priority alone. */
static void eth_rx__takes_its_vlan_only(void **state)
{
	static const uint8_t tagged[] = {2, 0, 0,    0, 0,    1, 2, 0, 0,    0,
					 0, 2, 0x81, 0, 0xe0, 5, 8, 0, 0x45, 1};
	static const uint8_t priority[] = {2, 0, 0,    0, 0,    1, 2, 0, 0,    0,
					   0, 2, 0x81, 0, 0xe0, 0, 8, 0, 0x45, 1};

	(void)state;
	receive(tagged, sizeof(tagged));
	assert_int_equal(drops(NET_DROP_OTHER_VLAN), 1);
	receive(priority, sizeof(priority));
	assert_int_equal(fixture.ipv4, 1);
	fixture.net.vlan = 5;
	receive(tagged, sizeof(tagged));
	assert_int_equal(fixture.ipv4, 2);
	assert_int_equal(fixture.length, 2);
	receive(priority, sizeof(priority));
	receive(ipv4_frame, sizeof(ipv4_frame));
	assert_int_equal(drops(NET_DROP_OTHER_VLAN), 3);
}

static struct buf *packet(uint32_t length)
{
	struct buf *buf = netdev_alloc(&fixture.device);

	memset(buf->data, 0xee, 200);
	buf->length = length;
	return buf;
}

static void eth_tx__writes_the_header_and_pads(void **state)
{
	static const uint8_t header[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
	struct buf *frame;

	(void)state;
	eth_tx(&fixture.net, packet(28), &peer, ETH_TYPE_IPV4);
	frame = fixture.net.tx[0];
	assert_int_equal(frame->length, 60);
	assert_memory_equal(frame->data, header, sizeof(header));
	/* What was in the frame before goes nowhere. */
	assert_int_equal(frame->data[41], 0xee);
	for (int i = 42; i < 60; i++)
		assert_int_equal(frame->data[i], 0);
	eth_tx(&fixture.net, packet(46), &peer, ETH_TYPE_IPV4);
	assert_int_equal(fixture.net.tx[1]->length, 60);
	assert_int_equal(fixture.net.tx[1]->data[59], 0xee);
	assert_int_equal(fixture.net.counters.layers[NET_LAYER_ETH].tx_bytes, 120);
}

/*
 * 10.0.0.1:1000 to 10.0.0.2:2000, "hi", as in the test of net_tap: the pseudo header's sum is 141e,
 * and with it the datagram's checksum 77b6. An empty TCP segment from 7 to 8, with 5 words of header
 * and otherwise nothing, and 1234 as the sum of its pseudo header, sums up to 6243.
 */
static void eth_tx__completes_the_checksum_of_what_it_pads(void **state)
{
	static const uint8_t udp[] = {0x03, 0xe8, 7, 0xd0, 0, 10, 0x14, 0x1e, 'h', 'i'};
	static const uint8_t tcp[20] = {[1] = 7, [3] = 8, [12] = 0x50, [16] = 0x12, [17] = 0x34};
	struct buf *packets[] = {packet(30), packet(40), packet(46)};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		packets[i]->flags |= BUF_CHECKSUM;
		packets[i]->transmit = (struct buf_transmit){.link_bytes = 14,
							     .network_bytes = 20,
							     .protocol = i == 1 ? IPPROTO_TCP
										: IPPROTO_UDP};
		if (i == 1)
			memcpy(packets[i]->data + 20, tcp, sizeof(tcp));
		else
			memcpy(packets[i]->data + 20, udp, sizeof(udp));
		eth_tx(&fixture.net, packets[i], &peer, ETH_TYPE_IPV4);
		assert_int_equal(packets[i]->length, 60);
	}
	assert_int_equal(load_be16(packets[0]->data + 34 + 6), 0x77b6);
	assert_int_equal(load_be16(packets[1]->data + 34 + 16), (uint16_t)~0x6243);
	assert_int_equal((packets[0]->flags | packets[1]->flags) & BUF_CHECKSUM, 0);
	/* Long enough: the device's. */
	assert_int_equal(load_be16(packets[2]->data + 34 + 6), 0x141e);
	assert_true(packets[2]->flags & BUF_CHECKSUM);
}

static void eth_tx__tags(void **state)
{
	static const uint8_t header[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0};

	(void)state;
	fixture.net.vlan = 5;
	fixture.net.link_bytes = ETH_HEADER_BYTES_MAX;
	eth_tx(&fixture.net, packet(100), &peer, ETH_TYPE_IPV4);
	assert_int_equal(fixture.net.tx[0]->length, 118);
	assert_memory_equal(fixture.net.tx[0]->data, header, sizeof(header));
}

static void eth_tx__flushes_a_full_batch_and_drops_when_nothing_goes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NETDEV_BURST_MAX; i++)
		eth_tx(&fixture.net, packet(100), &peer, ETH_TYPE_IPV4);
	assert_int_equal(fixture.flushes, 0);
	eth_tx(&fixture.net, packet(100), &peer, ETH_TYPE_IPV4);
	assert_int_equal(fixture.flushes, 1);
	assert_int_equal(fixture.net.tx_count, 1);
	fixture.device_full = true;
	for (unsigned int i = 0; i < NETDEV_BURST_MAX; i++)
		eth_tx(&fixture.net, packet(100), &peer, ETH_TYPE_IPV4);
	assert_int_equal(drops(NET_DROP_DEVICE_FULL), 1);
	assert_int_equal(fixture.net.tx_count, NETDEV_BURST_MAX);
	fixture.device_full = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(eth_rx__hands_the_packet_to_its_layer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(eth_rx__drops_what_is_not_for_us, setup, teardown),
		cmocka_unit_test_setup_teardown(eth_rx__drops_what_claims_to_come_from_us, setup,
						teardown),
		cmocka_unit_test_setup_teardown(eth_rx__counts_every_truncation, setup, teardown),
		cmocka_unit_test_setup_teardown(eth_rx__takes_its_vlan_only, setup, teardown),
		cmocka_unit_test_setup_teardown(eth_tx__writes_the_header_and_pads, setup,
						teardown),
		cmocka_unit_test_setup_teardown(eth_tx__completes_the_checksum_of_what_it_pads,
						setup, teardown),
		cmocka_unit_test_setup_teardown(eth_tx__tags, setup, teardown),
		cmocka_unit_test_setup_teardown(
			eth_tx__flushes_a_full_batch_and_drops_when_nothing_goes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
