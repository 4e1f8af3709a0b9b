/* SPDX-License-Identifier: MIT */
/* Neighbour discovery (RFC 4861), as a host; what routers say is autoconf's. */
#include "wire/ndp.h"

#include "net/autoconf.h"
#include "net/icmp.h"
#include "net/neighbour.h"
#include "wire/icmp6.h"
#include "wire/ipv6.h"

#define MESSAGE_BYTES_MAX 32 /* of what we send: a target and one link address */

/* ---- Out: whole packets, as the way to the one who asked is known without a route ---- */

struct way {
	struct ip_address source;
	struct ip_address destination;
	struct eth_address link;
};

static struct way way_to_group(struct ip_address source, struct ip_address group)
{
	return (struct way){source, group, eth_address_of_group(&group)};
}

static void message_tx(struct net *net, const struct way *way, const struct ndp_message *message)
{
	struct ipv6_header header = {
		.source = way->source,
		.destination = way->destination,
		.next_header = IPPROTO_ICMPV6,
		.hop_limit = NDP_HOP_LIMIT,
	};
	struct buf *buf = netdev_alloc(net->device);

	if (!buf) {
		net_count_drop(net, NET_LAYER_NDP, NET_DROP_NO_FRAME);
		return;
	}
	header.payload_bytes = (uint16_t)ndp_emit(buf->data + IPV6_HEADER_BYTES, MESSAGE_BYTES_MAX,
						  &way->source, &way->destination, message);
	ipv6_emit(buf->data, IPV6_HEADER_BYTES, &header);
	buf->length = IPV6_HEADER_BYTES + (uint32_t)header.payload_bytes;
	net_count_tx(net, NET_LAYER_NDP, header.payload_bytes);
	net_count_tx(net, NET_LAYER_IPV6, buf->length);
	eth_tx(net, buf, &way->link, ETH_TYPE_IPV6);
}

/* Nobody must remember us by an address that may be another's (RFC 4429, 3.2). */
static bool tells_link(const struct net *net, const struct ip_address *source)
{
	return !ip_address_is_unspecified(source) && !autoconf_is_tentative(net, source);
}

void ndp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to)
{
	struct ndp_message message = {
		.type = ICMP6_TYPE_NEIGHBOR_SOLICITATION,
		.target = *ip,
		.source_link = net->mac,
	};
	struct ip_address source;
	struct way way;

	if (net_source_address(net, ip, &source) < 0)
		return;
	message.has_source_link = tells_link(net, &source);
	way = way_to_group(source, ip_address_solicited_node(ip));
	if (to)
		way = (struct way){source, *ip, *to};
	message_tx(net, &way, &message);
}

void ndp_detect(struct net *net, const struct ip_address *ip)
{
	struct ndp_message message = {
		.type = ICMP6_TYPE_NEIGHBOR_SOLICITATION,
		.target = *ip,
	};
	struct way way = way_to_group(ip_address_v6_halves(0, 0), ip_address_solicited_node(ip));

	message_tx(net, &way, &message);
}

void ndp_ask_routers(struct net *net)
{
	struct ip_address routers = IPV6_ALL_ROUTERS, source;
	struct ndp_message message = {
		.type = ICMP6_TYPE_ROUTER_SOLICITATION,
		.source_link = net->mac,
	};
	struct way way;

	if (net_source_address(net, &routers, &source) < 0)
		source = ip_address_v6_halves(0, 0);
	message.has_source_link = tells_link(net, &source);
	way = way_to_group(source, routers);
	message_tx(net, &way, &message);
}

static void advertise(struct net *net, const struct way *way, const struct ip_address *ip,
		      bool solicited)
{
	struct ndp_message message = {
		.type = ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT,
		.target = *ip,
		.solicited = solicited,
		.overrides = !autoconf_is_tentative(net, ip), /* RFC 4429, 3.2 */
		.has_target_link = true,
		.target_link = net->mac,
	};

	message_tx(net, way, &message);
}

void ndp_announce(struct net *net, const struct ip_address *ip)
{
	struct way way = way_to_group(*ip, IPV6_ALL_NODES);

	advertise(net, &way, ip, false);
}

/* ---- In; each returns 0, or why the message is dropped ---- */

/* What would have us send to ourselves: our own frames do not come so far. */
static bool is_ours(const struct net *net, bool has_link, const struct eth_address *link)
{
	return has_link && eth_address_equal(link, &net->mac);
}

/* Somebody wants to have an address of ours (RFC 4862, 5.4.3). */
static unsigned int claim_rx(struct net *net, const struct ip_packet *packet,
			     const struct ndp_message *message)
{
	if (autoconf_is_tentative(net, &message->target)) {
		autoconf_conflict(net, &message->target, &packet->link_source);
		return NET_DROP_CONFLICT;
	}
	if (!net->overhears && icmp_neighbour_allows(net, NET_LAYER_NDP))
		ndp_announce(net, &message->target);
	return 0;
}

/* RFC 4861, 7.2.3 and 7.2.4; but no entry is made of who asks, he is answered where he is. */
static unsigned int solicitation_rx(struct net *net, const struct ip_packet *packet,
				    const struct ndp_message *message)
{
	struct neighbour_news news = {
		.ip = packet->source,
		.link = message->source_link,
		.has_link = message->has_source_link,
		.overrides = true,
		.asks_us = true,
	};
	struct way back = {message->target, packet->source, packet->link_source};

	if (!net_has_address(net, &message->target))
		return NET_DROP_NOT_FOR_US;
	if (ip_address_is_unspecified(&packet->source))
		return claim_rx(net, packet, message);
	if (net_has_address(net, &packet->source)) {
		autoconf_conflict(net, &packet->source, &packet->link_source);
		return NET_DROP_CONFLICT;
	}
	if (is_ours(net, news.has_link, &news.link))
		return NET_DROP_SPOOFED;
	neighbour_learn(net, &news);
	if (message->has_source_link)
		back.link = message->source_link;
	if (!net->overhears && icmp_neighbour_allows(net, NET_LAYER_NDP))
		advertise(net, &back, &message->target, true);
	return 0;
}

/* RFC 4861, 7.2.5. */
static unsigned int advertisement_rx(struct net *net, const struct ip_packet *packet,
				     const struct ndp_message *message)
{
	struct neighbour_news news = {
		.ip = message->target,
		.link = message->target_link,
		.has_link = message->has_target_link,
		.is_answer = message->solicited, /* to us: 7.1.2, by ndp_parse */
		.overrides = message->overrides,
		.is_router = message->router,
	};

	if (net_has_address(net, &message->target)) {
		autoconf_conflict(net, &message->target,
				  message->has_target_link ? &message->target_link
							   : &packet->link_source);
		return NET_DROP_CONFLICT;
	}
	if (is_ours(net, news.has_link, &news.link))
		return NET_DROP_SPOOFED;
	if (!neighbour_learn(net, &news))
		return NET_DROP_UNSOLICITED;
	if (news.is_answer && !message->router)
		autoconf_router_gone(net, &message->target);
	return 0;
}

static unsigned int take(struct net *net, const struct ip_packet *packet,
			 const struct ndp_message *message)
{
	switch (message->type) {
	case ICMP6_TYPE_NEIGHBOR_SOLICITATION:
		return solicitation_rx(net, packet, message);
	case ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT:
		return advertisement_rx(net, packet, message);
	case ICMP6_TYPE_ROUTER_ADVERTISEMENT:
		if (is_ours(net, message->has_source_link, &message->source_link))
			return NET_DROP_SPOOFED;
		autoconf_router(net, &packet->source, message);
		return 0;
	case ICMP6_TYPE_REDIRECT:
		return NET_DROP_UNSOLICITED;
	default: /* a router solicitation: we are none */
		return NET_DROP_NOT_FOR_US;
	}
}

void ndp_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf)
{
	struct ndp_message message;
	unsigned int reason;
	int length;

	net_count_rx(net, NET_LAYER_NDP, buf->length);
	length = ndp_parse(&message, &packet->source, &packet->destination, packet->hop_limit,
			   buf->data, buf->length);
	reason = length < 0 ? (unsigned int)-length : take(net, packet, &message);
	if (reason)
		net_count_drop(net, NET_LAYER_NDP, reason);
}
