/* SPDX-License-Identifier: MIT */
/*
 * What the targets for the stack share: a whole one with 10.0.0.2/24 and fd00::2/64 over a device
 * that is memory. Whatever it sends must be what its own parsers take, and at the end of an input
 * every frame is back, no timer is armed, and the heap is empty. To be included once, by a target.
 */
#ifndef DEMI_TESTS_FUZZ_NET_FUZZ_H
#define DEMI_TESTS_FUZZ_NET_FUZZ_H

#include "blocks.h"
#include "wire_fuzz.h"

#include "net/group.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "net/neighbour_table.h"
#include "net/tcp/tcp.h"
#include "net/udp.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define V6(low) ip_address_v6_halves(0xfd00000000000000, low)
#define MILLISECOND_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MILLISECOND_NS)

#define RIG_FRAMES 256u
#define RIG_MTU 1500u
#define RIG_KEEPS 16u /* frames, when the device sends later */
#define RIG_NEIGHBOURS 16u
#define RIG_PENDING 4u
#define RIG_CONNECTIONS 64u
#define RIG_REASSEMBLY_BYTES (512u << 10)

struct rig_options {
	uint16_t vlan;
	bool autoconf;
	bool sends_later;              /* the device keeps what it sends for a while */
	bool is_full;                  /* it takes every other frame only */
	bool checksum;                 /* it completes checksums */
	bool without_chain;            /* it takes no chains */
	uint32_t reassembly_bytes_max; /* 0: RIG_REASSEMBLY_BYTES */
};

static struct rig {
	struct heap *heap;
	struct sched sched;
	struct netdev device;
	struct net *net;
	struct rig_options options;
	struct buf *arriving; /* for the next rx_burst */
	struct buf *kept[RIG_KEEPS];
	unsigned int kept_count;
	unsigned int bursts;
	unsigned int blocks; /* large ones of those that outlive an input */
	uint64_t now_ns;
	uint64_t sent;
	/* Told of each packet that is sent, from its IP header on; NULL: nobody is. */
	void (*sent_packet)(const uint8_t *data, size_t length);
} rig;

/* ---- What the stack may send ---- */

static inline uint32_t rig_link_bytes(void)
{
	return rig.options.vlan ? ETH_HEADER_BYTES_MAX : ETH_HEADER_BYTES;
}

static inline void rig_check_udp(const struct buf *frame, const struct ip_address *source,
				 const struct ip_address *destination, const uint8_t *data,
				 size_t length)
{
	bool is_v6 = !ip_address_is_v4(source);
	struct udp_header header;

	must(udp_parse(&header, data, length, is_v6) > 0);
	must(header.total_bytes == length);
	if (frame->flags & BUF_CHECKSUM)
		must(header.checksum ==
		     checksum_partial(
			     checksum_pseudo(source, destination, IPPROTO_UDP, (uint32_t)length)));
	else
		must(udp_verify(&header, source, destination, data) == 0);
}

static inline void rig_check_tcp(const struct buf *frame, const struct ip_address *source,
				 const struct ip_address *destination, const uint8_t *data,
				 size_t length)
{
	struct tcp_options options;
	struct tcp_header header;

	must(tcp_parse(&header, data, length) > 0);
	must(tcp_options_parse(&options, &header, data) == 0);
	if (frame->flags & BUF_CHECKSUM)
		must(header.checksum ==
		     checksum_partial(
			     checksum_pseudo(source, destination, IPPROTO_TCP, (uint32_t)length)));
	else
		must(tcp_verify(source, destination, data, length) == 0);
}

static inline void rig_check_v4(const struct buf *frame, const uint8_t *data, size_t length)
{
	struct icmp_message message;
	struct ipv4_header header;
	size_t left;
	int at = ipv4_parse(&header, data, length);

	must(at > 0 && header.total_bytes <= RIG_MTU);
	must(length == header.total_bytes || length + rig_link_bytes() == ETH_FRAME_BYTES_MIN);
	data += at;
	left = header.total_bytes - (size_t)at;
	if (ipv4_is_fragment(&header))
		return;
	if (header.protocol == IPPROTO_UDP)
		rig_check_udp(frame, &header.source, &header.destination, data, left);
	else if (header.protocol == IPPROTO_TCP)
		rig_check_tcp(frame, &header.source, &header.destination, data, left);
	else if (header.protocol == IPPROTO_ICMP)
		must(icmp_parse(&message, data, left) > 0);
	else
		must(header.protocol == IPPROTO_IGMP &&
		     checksum_is_valid(checksum_add(0, data, left)));
}

/* No host parses what others report of their groups. */
static inline bool rig_is_report(uint8_t type)
{
	return type == ICMP6_TYPE_LISTENER_REPORT || type == 131 || type == 132;
}

static inline void rig_check_icmp6(const struct ipv6_header *header, uint8_t protocol,
				   const uint8_t *data, size_t length)
{
	struct icmp6_message message;

	must(protocol == IPPROTO_ICMPV6 && length >= 4);
	must(checksum_is_valid(checksum_add(
		checksum_pseudo(&header->source, &header->destination, protocol, (uint32_t)length),
		data, length)));
	must(rig_is_report(data[0]) ||
	     icmp6_parse(&message, &header->source, &header->destination, data, length) >= 0);
}

static inline void rig_check_v6(const struct buf *frame, const uint8_t *data, size_t length)
{
	struct ipv6_header header;
	struct ipv6_chain chain;
	size_t end;
	int at;

	must(ipv6_parse(&header, data, length) > 0);
	end = IPV6_HEADER_BYTES + (size_t)header.payload_bytes;
	must(end <= RIG_MTU);
	must(length == end || length + rig_link_bytes() == ETH_FRAME_BYTES_MIN);
	at = ipv6_chain_parse(&chain, &header, data, length);
	must(at > 0);
	if (chain.is_fragment)
		return;
	if (chain.protocol == IPPROTO_UDP)
		rig_check_udp(frame, &header.source, &header.destination, data + at,
			      end - (size_t)at);
	else if (chain.protocol == IPPROTO_TCP)
		rig_check_tcp(frame, &header.source, &header.destination, data + at,
			      end - (size_t)at);
	else
		rig_check_icmp6(&header, chain.protocol, data + at, end - (size_t)at);
}

static inline void rig_check_sent(const struct buf *frame)
{
	static uint8_t bytes[RIG_MTU + ETH_HEADER_BYTES_MAX];
	const struct eth_address *mac = &rig.device.caps.mac;
	struct eth_header eth;
	struct arp_packet arp;
	size_t length = 0;
	int at;

	for (const struct buf *buf = frame; buf; buf = buf->next) {
		must(buf->length <= sizeof(bytes) - length);
		memcpy(bytes + length, buf->data, buf->length);
		length += buf->length;
	}
	at = eth_parse(&eth, bytes, length);
	must(at == (int)rig_link_bytes() && eth_vlan(&eth) == rig.options.vlan);
	must(eth_address_equal(&eth.source, mac));
	must(!eth_address_equal(&eth.destination, mac));
	length -= (size_t)at;
	if (eth.type == ETH_TYPE_ARP) {
		must(arp_parse(&arp, bytes + at, length) > 0);
		must(eth_address_equal(&arp.sender, mac));
		return;
	}
	must(eth.type == ETH_TYPE_IPV4 || eth.type == ETH_TYPE_IPV6);
	if (eth.type == ETH_TYPE_IPV4)
		rig_check_v4(frame, bytes + at, length);
	else
		rig_check_v6(frame, bytes + at, length);
	if (rig.sent_packet)
		rig.sent_packet(bytes + at, length);
}

/* ---- The device ---- */

static inline void rig_let_go(void)
{
	for (unsigned int i = 0; i < rig.kept_count; i++)
		netdev_release_chain(&rig.device, rig.kept[i]);
	rig.kept_count = 0;
}

static unsigned int rig_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				 uint64_t now_ns)
{
	(void)device;
	(void)now_ns;
	must(room > 0);
	if (!rig.arriving)
		return 0;
	frames[0] = rig.arriving;
	rig.arriving = NULL;
	return 1;
}

static unsigned int rig_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				 uint64_t now_ns)
{
	unsigned int taken = rig.options.is_full && rig.bursts++ % 2 ? count / 2 : count;

	(void)now_ns;
	for (unsigned int i = 0; i < taken; i++) {
		rig.sent++;
		rig_check_sent(frames[i]);
		if (!rig.options.sends_later) {
			netdev_release_chain(device, frames[i]);
			continue;
		}
		if (rig.kept_count == RIG_KEEPS)
			rig_let_go();
		rig.kept[rig.kept_count++] = frames[i];
	}
	return taken;
}

static void rig_nothing(struct netdev *device)
{
	(void)device;
}

static const struct netdev_ops rig_ops = {
	.kind = "memory",
	.rx_burst = rig_rx_burst,
	.tx_burst = rig_tx_burst,
	.forget = rig_nothing,
	.close = rig_nothing,
};

/* ---- Birth and death ---- */

/* One heap and scheduler for all inputs, as they are slow to make: empty between them. */
static inline void rig_begin(const struct rig_options *options)
{
	if (!rig.heap) {
		must(heap_create(&rig.heap, &(struct heap_options){.bytes_max = 64u << 20}) == 0);
		must(sched_init(&rig.sched, SECOND_NS) == 0);
	}
	rig.options = *options;
	rig.blocks = blocks_used();
	rig.bursts = 0;
	rig.sent = 0;
	rig.now_ns = SECOND_NS;
	timer_wheel_init(&rig.sched.timers, rig.now_ns);
	must(netdev_init(&rig.device, &rig_ops, rig.heap,
			 64 + NETDEV_HEAD_ROOM + ETH_HEADER_BYTES_MAX + RIG_MTU, 64, RIG_FRAMES, 64,
			 64 + NETDEV_HEAD_ROOM) == 0);
	rig.device.caps = (struct netdev_caps){
		.mac = {{2, 0, 0, 0, 0, 1}},
		.mtu = RIG_MTU,
		.segments_max = options->without_chain ? 1 : 8,
		.checksum_v4 = options->checksum,
		.checksum_v6 = options->checksum,
	};
}

static inline struct net_options rig_net_options(void)
{
	struct net_options options = {
		.device = &rig.device,
		.heap = rig.heap,
		.sched = &rig.sched,
		.now_ns = rig.now_ns,
		.seed = {1, 2},
		.vlan = rig.options.vlan,
		.autoconf = rig.options.autoconf,
		.copy_max = 256,
		.neighbours_max = RIG_NEIGHBOURS,
		.neighbour_pending_max = RIG_PENDING,
		.reassembly_bytes_max = rig.options.reassembly_bytes_max
						? rig.options.reassembly_bytes_max
						: RIG_REASSEMBLY_BYTES,
		.icmp_rate = 1000,
		.socket_bytes_max = 64u << 10,
	};

	tcp_defaults(&options.tcp);
	/* Their table is made and looked through for each input. */
	options.tcp.connections_max = RIG_CONNECTIONS;
	return options;
}

static inline void rig_create_net(void)
{
	struct net_options options = rig_net_options();
	const struct net_address addresses[] = {
		{V4(10, 0, 0, 2), 24, true, false, UINT64_MAX, UINT64_MAX},
		{V6(2), 64, true, false, UINT64_MAX, UINT64_MAX},
	};
	const struct ip_address gateways[] = {V4(10, 0, 0, 1)};

	options.addresses = addresses;
	options.address_count = 2;
	options.gateways = gateways;
	options.gateway_count = 1;
	must(net_create(&rig.net, &options) == 0);
}

static inline void rig_end(void)
{
	net_destroy(rig.net);
	rig.net = NULL;
	rig_let_go();
	must(timer_wheel_next_ns(&rig.sched.timers) == TIMER_NEVER);
	must(heap_frames_free(rig.device.frames) == RIG_FRAMES);
	must(heap_frames_free(rig.device.shells) == RIG_FRAMES);
	netdev_fini(&rig.device);
	must(heap_is_empty(rig.heap));
	must(blocks_used() == rig.blocks);
}

/* ---- Time, and what holds at any time ---- */

static inline void rig_check_neighbour(void *context, const struct neighbour *entry)
{
	unsigned int *counts = context;

	must(entry->state != NEIGHBOUR_FREE);
	must(entry->pending_count <= RIG_PENDING);
	counts[entry->state >= NEIGHBOUR_REACHABLE]++;
}

static inline void rig_check(void)
{
	const struct net *net = rig.net;
	unsigned int counts[2] = {0, 0};

	must(net->address_count <= NET_ADDRESSES_MAX && net->route_count <= NET_ROUTES_MAX);
	must(net->tx_count <= NETDEV_BURST_MAX && net->loopback_count <= NET_LOOPBACK_MAX);
	must(net->mtu == RIG_MTU && net->mtu_v6 >= 1280 && net->mtu_v6 <= RIG_MTU);
	neighbour_each(rig.net, rig_check_neighbour, counts);
	must(counts[0] == net->neighbours->unresolved.count);
	must(counts[1] == net->neighbours->resolved.count);
	/* Those that do not answer any more come to the half that never have. */
	must(counts[0] + counts[1] <= RIG_NEIGHBOURS);
}

/* A poll round at @now_ns, with the timers that are due. */
static inline void rig_poll(uint64_t now_ns)
{
	rig.now_ns = now_ns;
	net_poll(rig.net, now_ns);
	sched_poll(&rig.sched, now_ns);
}

/* Let the time go on timer by timer. Return: how many rounds that took. */
static inline unsigned int rig_run(uint64_t until_ns, unsigned int rounds_max)
{
	unsigned int rounds = 0;

	while (rounds < rounds_max) {
		uint64_t next_ns = timer_wheel_next_ns(&rig.sched.timers);

		if (next_ns > until_ns && !rig.net->tx_count && !rig.net->loopback_count)
			break;
		rig_poll(next_ns > rig.now_ns && next_ns <= until_ns ? next_ns : rig.now_ns);
		rounds++;
	}
	if (until_ns > rig.now_ns)
		rig_poll(until_ns);
	return rounds;
}

/* A frame that arrives; the second half of it in a buf of its own when @split. */
static inline void rig_receive(const uint8_t *data, size_t length, size_t split)
{
	struct buf *buf = netdev_alloc(&rig.device);

	if (!buf)
		return;
	if (length > RIG_MTU + ETH_HEADER_BYTES_MAX)
		length = RIG_MTU + ETH_HEADER_BYTES_MAX;
	if (split > 0 && split < length) {
		buf->next = netdev_alloc(&rig.device);
		if (buf->next) {
			memcpy(buf->next->data, data + split, length - split);
			buf->next->length = (uint32_t)(length - split);
			length = split;
		}
	}
	memcpy(buf->data, data, length);
	buf->length = (uint32_t)length;
	rig.arriving = buf;
	rig_poll(rig.now_ns);
	must(!rig.arriving);
}

/*
 * A message of ICMP, ICMPv6 or IGMP that arrives, its checksum mended. @header says addresses,
 * protocol and hop limit, of both versions of IP.
 */
static inline void rig_receive_message(const struct ipv6_header *header, const uint8_t *message,
				       size_t length)
{
	static const struct eth_address peer = {{2, 0, 0, 0, 0, 9}};
	static uint8_t frame[ETH_HEADER_BYTES + RIG_MTU];
	bool is_v6 = !ip_address_is_v4(&header->source);
	struct eth_header eth = {rig.device.caps.mac, peer,
				 .type = is_v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4};
	size_t at = ETH_HEADER_BYTES + (is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES);
	struct ipv6_header with_length = *header;

	must(length <= sizeof(frame) - at);
	if (ip_address_is_multicast(&header->destination))
		eth.destination = eth_address_of_group(&header->destination);
	eth_emit(frame, ETH_HEADER_BYTES, &eth);
	with_length.payload_bytes = (uint16_t)length;
	if (is_v6)
		ipv6_emit(frame + ETH_HEADER_BYTES, IPV6_HEADER_BYTES, &with_length);
	else
		ipv4_emit(
			frame + ETH_HEADER_BYTES, IPV4_HEADER_BYTES,
			&(struct ipv4_header){.source = header->source,
					      .destination = header->destination,
					      .total_bytes = (uint16_t)(IPV4_HEADER_BYTES + length),
					      .ttl = header->hop_limit,
					      .protocol = header->next_header});
	if (length)
		memcpy(frame + at, message, length);
	mend(frame + at, length, 2,
	     is_v6 ? checksum_pseudo(&header->source, &header->destination, header->next_header,
				     (uint32_t)length)
		   : 0);
	rig_receive(frame, at + length, 0);
}

#endif /* DEMI_TESTS_FUZZ_NET_FUZZ_H */
