/* SPDX-License-Identifier: MIT */
/*
 * Packets to ourselves: copied when they are sent, delivered in the next poll round, so that a
 * transport that answers in its own receive function does not call itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/ip.h"

#define BURST_MAX 32u /* delivered in one poll round */

struct loopback_packet {
	struct ip_packet packet;
	struct buf *buf;
};

_Static_assert((NET_LOOPBACK_MAX & (NET_LOOPBACK_MAX - 1)) == 0, "the ring is masked");

static enum net_layer layer_of(const struct ip_packet *packet)
{
	return packet->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;
}

/* The packet as its receiver sees it; the header is for ICMP errors to quote. */
static struct buf *copy_packet(struct net *net, const struct ip_send *send, const struct buf *chain,
			       struct ip_packet *packet)
{
	struct buf *copy = ip_alloc(net, packet->total_bytes);

	if (!copy)
		return NULL;
	packet->header = copy->data;
	ip_emit(net, send, copy->data, packet->total_bytes - packet->header_bytes);
	copy->data += packet->header_bytes;
	for (; chain; chain = chain->next) {
		memcpy(copy->data + copy->length, chain->data, chain->length);
		copy->length += chain->length;
	}
	net_count_copy(net, copy->length);
	copy->flags = BUF_CHECKED;
	return copy;
}

static struct ip_packet packet_of(const struct ip_send *send, const struct buf *chain)
{
	uint32_t header_bytes = ip_header_bytes(send);
	bool is_v6 = !ip_address_is_v4(&send->path->destination);

	return (struct ip_packet){
		.source = send->source,
		.destination = send->path->destination,
		.protocol = send->protocol,
		.hop_limit = ip_hop_limit(send),
		.traffic_class = send->traffic_class,
		.is_v6 = is_v6,
		.to_group = send->path->to_group,
		.is_local = true,
		.header_bytes = header_bytes,
		.total_bytes = header_bytes + buf_chain_length(chain),
		.protocol_offset = send->router_alert ? IPV6_HEADER_BYTES : IPV6_NEXT_HEADER_OFFSET,
	};
}

int ip_tx_loopback(struct net *net, const struct ip_send *send, const struct buf *chain)
{
	struct ip_packet packet = packet_of(send, chain);
	struct loopback_packet *entry;
	struct buf *copy;

	/* Once, when the first such packet is sent; most stacks never do. */
	if (!net->loopback)
		net->loopback = calloc(NET_LOOPBACK_MAX, sizeof(*net->loopback));
	if (net->loopback_count == NET_LOOPBACK_MAX) {
		net_count_drop(net, layer_of(&packet), NET_DROP_QUEUE_FULL);
		return -ENOBUFS;
	}
	copy = net->loopback ? copy_packet(net, send, chain, &packet) : NULL;
	if (!copy) {
		net_count_drop(net, layer_of(&packet), NET_DROP_NO_MEMORY);
		return -ENOBUFS;
	}
	entry = &net->loopback[(net->loopback_head + net->loopback_count++) % NET_LOOPBACK_MAX];
	entry->packet = packet;
	entry->buf = copy;
	net_count_tx(net, layer_of(&packet), packet.total_bytes);
	return 0;
}

/* The packet sent first, taken out before anything looks at it: its receiver may send. */
static struct loopback_packet take(struct net *net)
{
	struct loopback_packet entry = net->loopback[net->loopback_head];

	net->loopback_head = (net->loopback_head + 1) % NET_LOOPBACK_MAX;
	net->loopback_count--;
	return entry;
}

unsigned int ip_poll_loopback(struct net *net)
{
	/* What is sent meanwhile waits for the next round. */
	unsigned int count = net->loopback_count < BURST_MAX ? net->loopback_count : BURST_MAX;

	for (unsigned int i = 0; i < count; i++) {
		struct loopback_packet entry = take(net);

		net_count_rx(net, layer_of(&entry.packet), entry.packet.total_bytes);
		ip_deliver(net, &entry.packet, entry.buf);
	}
	return count;
}

void ip_drop_loopback(struct net *net)
{
	while (net->loopback_count > 0)
		netdev_release(net->device, take(net).buf);
	free(net->loopback);
	net->loopback = NULL;
}
