/* SPDX-License-Identifier: MIT */
/* ARP (RFC 826), as strict as RFC 5227 and RFC 1122, 2.3.2, let it be. */
#include "wire/arp.h"

#include "net/autoconf.h"
#include "net/icmp.h"
#include "net/neighbour.h"

static void arp_tx(struct net *net, const struct arp_packet *packet, const struct eth_address *to)
{
	struct buf *buf = netdev_alloc(net->device);

	if (!buf) {
		net_count_drop(net, NET_LAYER_ARP, NET_DROP_NO_FRAME);
		return;
	}
	buf->length = (uint32_t)arp_emit(buf->data, ARP_BYTES, packet);
	net_count_tx(net, NET_LAYER_ARP, ARP_BYTES);
	eth_tx(net, buf, to, ETH_TYPE_ARP);
}

static void arp_broadcast(struct net *net, const struct arp_packet *packet)
{
	struct eth_address everybody = eth_address_broadcast();

	arp_tx(net, packet, &everybody);
}

void arp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to)
{
	struct arp_packet request;
	struct ip_address source;

	if (net_source_address(net, ip, &source) < 0)
		return;
	request = arp_request(net->mac, source, *ip);
	if (to)
		arp_tx(net, &request, to);
	else
		arp_broadcast(net, &request);
}

void arp_detect(struct net *net, const struct ip_address *ip)
{
	struct arp_packet probe = arp_probe(net->mac, *ip);

	arp_broadcast(net, &probe);
}

void arp_announce(struct net *net, const struct ip_address *ip)
{
	struct arp_packet announcement = arp_announcement(net->mac, *ip);

	arp_broadcast(net, &announcement);
}

/* To the frame's sender, which is the packet's: nothing is looked up, and no entry made. */
static void answer(struct net *net, const struct arp_packet *request)
{
	struct arp_packet reply;

	if (net->overhears || !icmp_neighbour_allows(net, NET_LAYER_ARP))
		return;
	reply = arp_reply(net->mac, request);
	arp_tx(net, &reply, &request->sender);
}

/* 0, or why the packet is dropped. */
static unsigned int request_rx(struct net *net, const struct arp_packet *packet)
{
	struct neighbour_news news = {
		.ip = packet->sender_ip,
		.link = packet->sender,
		.has_link = true,
		.overrides = true,
		.asks_us = net_has_address(net, &packet->target_ip) != NULL,
	};
	bool is_probe = ip_address_is_unspecified(&packet->sender_ip);
	bool changed = !is_probe && neighbour_learn(net, &news);

	if (news.asks_us)
		answer(net, packet);
	else if (!changed)
		return NET_DROP_NOT_FOR_US;
	return 0;
}

static unsigned int reply_rx(struct net *net, const struct eth_header *eth,
			     const struct arp_packet *packet)
{
	struct neighbour_news news = {
		.ip = packet->sender_ip,
		.link = packet->sender,
		.has_link = true,
		.overrides = true,
		.is_answer = eth_address_equal(&eth->destination, &net->mac) &&
			     eth_address_equal(&packet->target, &net->mac) &&
			     net_has_address(net, &packet->target_ip) != NULL,
	};

	return neighbour_learn(net, &news) ? 0 : NET_DROP_UNSOLICITED;
}

static unsigned int take(struct net *net, const struct eth_header *eth,
			 const struct arp_packet *packet)
{
	if (!eth_address_equal(&packet->sender, &eth->source))
		return NET_DROP_SPOOFED;
	/* RFC 5227, 2.4: from another station, as our own frames do not come so far. */
	if (net_has_address(net, &packet->sender_ip)) {
		autoconf_conflict(net, &packet->sender_ip, &packet->sender);
		return NET_DROP_CONFLICT;
	}
	return packet->operation == ARP_REQUEST ? request_rx(net, packet)
						: reply_rx(net, eth, packet);
}

void arp_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	struct arp_packet packet;
	unsigned int reason;
	int length;

	net_count_rx(net, NET_LAYER_ARP, buf->length);
	length = arp_parse(&packet, buf->data, buf->length);
	reason = length < 0 ? (unsigned int)-length : take(net, eth, &packet);
	if (reason)
		net_drop(net, buf, NET_LAYER_ARP, reason);
	else
		netdev_release_chain(net->device, buf);
}
