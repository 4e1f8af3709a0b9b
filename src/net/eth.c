/* SPDX-License-Identifier: MIT */
#include "net/eth.h"

#include <netinet/in.h>
#include <string.h>

#include "net/group.h"
#include "net/ip.h"
#include "net/neighbour.h"
#include "wire/checksum.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* Whether a frame with this destination is for us; the device may have filtered or not. */
static bool is_for_us(const struct net *net, const struct eth_address *destination)
{
	const struct eth_address broadcast = eth_address_broadcast();

	if (likely(eth_address_equal(destination, &net->mac)))
		return true;
	if (!eth_address_is_multicast(destination))
		return false;
	return eth_address_equal(destination, &broadcast) || group_has_link(net, destination);
}

/* 0, or why the frame is dropped. */
static unsigned int check(const struct net *net, const struct eth_header *header)
{
	if (unlikely(!is_for_us(net, &header->destination)))
		return NET_DROP_NOT_FOR_US;
	if (unlikely(eth_vlan(header) != net->vlan))
		return NET_DROP_OTHER_VLAN;
	if (unlikely(eth_address_equal(&header->source, &net->mac)))
		return NET_DROP_OWN_ADDRESS;
	return 0;
}

static void receive(struct net *net, struct buf *buf)
{
	struct eth_header header;
	int header_bytes = eth_parse(&header, buf->data, buf->length);
	unsigned int reason;

	net_count_rx(net, NET_LAYER_ETH, buf_chain_length(buf));
	if (unlikely(header_bytes < 0)) {
		net_drop(net, buf, NET_LAYER_ETH, (unsigned int)-header_bytes);
		return;
	}
	reason = check(net, &header);
	if (unlikely(reason)) {
		net_drop(net, buf, NET_LAYER_ETH, reason);
		return;
	}
	buf_pull(buf, (uint32_t)header_bytes);
	if (likely(header.type == ETH_TYPE_IPV4))
		ipv4_rx(net, &header, buf);
	else if (header.type == ETH_TYPE_IPV6)
		ipv6_rx(net, &header, buf);
	else if (header.type == ETH_TYPE_ARP)
		arp_rx(net, &header, buf);
	else
		net_drop(net, buf, NET_LAYER_ETH, NET_DROP_UNKNOWN_PROTOCOL);
}

void eth_rx(struct net *net, struct buf *buf)
{
	net->overhears = (buf->flags & BUF_OVERHEARD) != 0;
	receive(net, buf);
	net->overhears = false;
}

/*
 * What was left to the device, of a short frame. Those that take the length of the datagram from
 * the frame's, as QEMU's e1000e, would count the padding in the pseudo header.
 */
static void complete_checksum(struct buf *buf)
{
	const struct buf_transmit *transmit = &buf->transmit;
	uint32_t start = (uint32_t)transmit->link_bytes + transmit->network_bytes;
	bool is_udp = transmit->protocol == IPPROTO_UDP;
	/* The field has the sum of the pseudo header and takes part. */
	uint64_t sum = checksum_add(0, buf->data + start, buf->length - start);

	store_be16(buf->data + start + (is_udp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET),
		   is_udp ? checksum_finish_udp(sum) : checksum_finish(sum));
	buf->flags &= ~BUF_CHECKSUM;
}

/* Short frames are padded with zeroes (RFC 1042), where they have the room for it. */
static uint32_t pad(struct buf *buf, uint32_t length)
{
	if (likely(length >= ETH_FRAME_BYTES_MIN) || buf->next || buf->object)
		return length;
	if (buf->flags & BUF_CHECKSUM)
		complete_checksum(buf);
	memset(buf->data + length, 0, ETH_FRAME_BYTES_MIN - length);
	buf->length = ETH_FRAME_BYTES_MIN;
	return ETH_FRAME_BYTES_MIN;
}

void eth_tx(struct net *net, struct buf *buf, const struct eth_address *destination, uint16_t type)
{
	struct eth_header header = {
		.destination = *destination,
		.source = net->mac,
		.type = type,
		.tag = net->vlan,
		.tagged = net->vlan != 0,
	};
	uint32_t length;

	eth_emit(buf_prepend(buf, net->link_bytes), net->link_bytes, &header);
	length = buf_chain_length(buf);
	net_count_tx(net, NET_LAYER_ETH, pad(buf, length));
	if (unlikely(net->tx_count == NETDEV_BURST_MAX))
		net_flush(net);
	if (unlikely(net->tx_count == NETDEV_BURST_MAX)) {
		net_drop(net, buf, NET_LAYER_ETH, NET_DROP_DEVICE_FULL);
		return;
	}
	net->tx[net->tx_count++] = buf;
}
