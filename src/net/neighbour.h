/* SPDX-License-Identifier: MIT */
/*
 * Who on the link has an IP address: the cache that ARP and NDP fill, one for both versions, with
 * the states of RFC 4861, section 7.3. Entries are made by what we send, never by what comes in;
 * the link address of one changes only by the answer to a question of ours.
 *
 * The table has options.neighbours_max entries, made at the start. At most half of them are of
 * addresses that have not answered, so that a scan of a prefix does not push out those who do
 * (RFC 6583, section 7). What waits for answers is bounded for each neighbour and in all.
 */
#ifndef DEMI_NET_NEIGHBOUR_H
#define DEMI_NET_NEIGHBOUR_H

#include "net/eth.h"

enum neighbour_state {
	NEIGHBOUR_FREE,
	NEIGHBOUR_NEW,        /* nothing was sent to it yet, and nobody asked */
	NEIGHBOUR_INCOMPLETE, /* asked by multicast or broadcast; packets wait */
	NEIGHBOUR_FAILED,     /* did not answer; packets are refused until hold time is over */
	/* From here on there is a link address. */
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_STALE, /* not confirmed lately */
	NEIGHBOUR_DELAY, /* it was used then: wait for a confirmation */
	NEIGHBOUR_PROBE, /* asked by unicast */
};

struct pending;

struct neighbour {
	/* The path of a packet reads and writes this line alone. */
	uint8_t state; /* enum neighbour_state */
	bool is_router;
	struct eth_address link;
	struct ip_address ip;
	uint64_t confirmed_until_ns; /* REACHABLE until then */
	uint64_t used_ns;            /* last packet to it */
	struct neighbour *hash_next;
	uint16_t type;       /* ETH_TYPE_ of its packets */
	uint8_t probes_sent; /* of the state */
	bool is_doubtful;    /* somebody else claims the address: ask it at the next use */
	uint32_t pending_count;

	struct net *net;

	struct timer timer;
	struct pending *pending_head, *pending_tail; /* frames that wait, from the IP header on */
	struct neighbour *older, *newer;             /* in the list of its kind */
	uint64_t listed_ns;                          /* used_ns as it was put there */
	uint64_t confirmed_ns;                       /* last confirmation */
	uint64_t held_until_ns;                      /* FAILED */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct neighbour, timer) == 64, "what a packet needs is one cache line");

int neighbour_table_create(struct net *net); /* sets net->neighbours; 0 or -ENOMEM */
void neighbour_table_destroy(struct net *net);

/**
 * neighbour_get - the entry of an on-link address, made if there is none
 *
 * When the table is full, or half full of what has not answered, one goes: of the addresses that
 * have not answered the one asked first, of the others one that was used long ago. A path that
 * knew it is invalid, since the generation changes. Never NULL.
 */
struct neighbour *neighbour_get(struct net *net, const struct ip_address *ip);

/** neighbour_find - the entry, or NULL */
struct neighbour *neighbour_find(const struct net *net, const struct ip_address *ip);

/** neighbour_tx_slow - neighbour_tx for all states */
int neighbour_tx_slow(struct net *net, struct neighbour *neighbour, struct buf *buf);

/**
 * neighbour_tx - send an IP packet to a neighbour: now, or when it has answered
 * @buf: the chain, from the IP header on; ownership passes
 *
 * Of packets that wait too many the oldest goes (RFC 4861, 7.2.2). Drops are counted for ARP or
 * NDP. Return: 0; -EHOSTUNREACH: it has not answered lately, the packet was dropped; -ENOBUFS:
 * nothing can wait.
 */
static inline int neighbour_tx(struct net *net, struct neighbour *neighbour, struct buf *buf)
{
	if (unlikely(neighbour->state != NEIGHBOUR_REACHABLE ||
		     net->now_ns >= neighbour->confirmed_until_ns))
		return neighbour_tx_slow(net, neighbour, buf);
	neighbour->used_ns = net->now_ns;
	eth_tx(net, buf, &neighbour->link, neighbour->type);
	return 0;
}

/** neighbour_confirm - the upper layer knows that it is reached (RFC 4861, 7.3.1) */
void neighbour_confirm(struct net *net, struct neighbour *neighbour);

/** struct neighbour_news - what ARP or NDP has heard of a neighbour */
struct neighbour_news {
	struct ip_address ip;
	struct eth_address link;
	bool has_link;
	bool is_answer; /* addressed to us: ARP reply, solicited advertisement */
	bool overrides; /* NDP's flag; true for ARP */
	bool is_router; /* NDP, of an answer */
	bool asks_us;   /* a request to us by that neighbour: it wants to talk */
};

/**
 * neighbour_learn - apply it (RFC 4861, 7.2.5; RFC 826 as RFC 5227 and good sense restrict it)
 *
 * It makes no entry. An answer counts while we ask: the first one to a multicast or broadcast
 * question; to a unicast question one with the link address that was asked. All else at most casts
 * doubt on an entry whose link address differs: at its next use we ask the old one (by unicast),
 * and only when that does not answer, everybody.
 * Return: whether it changed anything, or was the neighbour that @news says who asks us.
 */
bool neighbour_learn(struct net *net, const struct neighbour_news *news);

/**
 * neighbour_set_times - what a router advertises (RFC 4861, 6.3.4); 0: as before
 *
 * Reachable time is kept within 5 s and an hour, that between questions within 250 ms and 10 s.
 */
void neighbour_set_times(struct net *net, uint32_t reachable_ms, uint32_t retransmit_ms);

/** neighbour_each - for reports: state, addresses, in no order */
void neighbour_each(struct net *net, void (*visit)(void *context, const struct neighbour *entry),
		    void *context);

/* ---- ARP (arp.c) ---- */

/** arp_rx - an ARP packet, behind the Ethernet header; ownership of @buf passes */
void arp_rx(struct net *net, const struct eth_header *eth, struct buf *buf);

/** arp_ask - send a request for @ip to @to: all, when NULL, or the neighbour that is probed */
void arp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to);

/** arp_detect - ask whether anybody else uses @ip (RFC 5227, 2.1.1) */
void arp_detect(struct net *net, const struct ip_address *ip);

/** arp_announce - tell the link, once, that an IPv4 address is ours (RFC 5227, 2.3) */
void arp_announce(struct net *net, const struct ip_address *ip);

/* ---- NDP (ndp.c) ---- */

/**
 * ndp_rx - a neighbour discovery message that icmp6_parse has taken
 * @packet: as for icmp6_rx; ownership of @buf stays with the caller
 *
 * Redirects are refused: whoever is on the link could have our packets, and the first hop that
 * they improve on works as well.
 */
struct ip_packet;
void ndp_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf);

/** ndp_ask - send a solicitation for @ip: to its solicited-node group, or to @to when not NULL */
void ndp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to);

/** ndp_detect - ask whether anybody else uses @ip (RFC 4862, 5.4.2) */
void ndp_detect(struct net *net, const struct ip_address *ip);

/** ndp_announce - an unsolicited advertisement of an address of ours, to all nodes */
void ndp_announce(struct net *net, const struct ip_address *ip);

/** ndp_ask_routers - a router solicitation to all routers (RFC 4861, 6.3.7) */
void ndp_ask_routers(struct net *net);

#endif /* DEMI_NET_NEIGHBOUR_H */
