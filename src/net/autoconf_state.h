/* SPDX-License-Identifier: MIT */
/* What autoconf.c, detect.c, router.c and slaac.c share, and nobody else. */
#ifndef DEMI_NET_AUTOCONF_STATE_H
#define DEMI_NET_AUTOCONF_STATE_H

#include "net/autoconf.h"

#define AUTOCONF_ROUTERS_MAX 4u
#define AUTOCONF_PREFIXES_MAX 8u
#define AUTOCONF_ADDRESSES_MAX 8u

#define SECOND_NS UINT64_C(1000000000)

/** The search for duplicates of one address, and its defence afterwards. */
struct detection {
	struct net *net; /* NULL: the place is free */
	struct ip_address ip;
	struct timer timer;
	uint8_t step; /* questions and announcements so far */
	uint64_t defend_from_ns;
	uint64_t complain_from_ns;
};

struct default_router {
	struct ip_address ip;
	uint64_t valid_until_ns;
};

/** A prefix that is on the link, and whose route we have added. */
struct link_prefix {
	struct ip_address prefix;
	uint8_t length_bits;
	uint64_t valid_until_ns; /* 0: the place is free */
};

/** An address made from a prefix. */
struct slaac_address {
	struct ip_address ip;
	uint64_t valid_until_ns; /* 0: the place is free */
	uint64_t preferred_until_ns;
	bool is_duplicate; /* it is another's; the place keeps us from taking it again */
};

struct autoconf {
	struct net *net;
	bool is_started;
	uint8_t solicitations;
	struct timer solicitation_timer;
	struct timer lifetime_timer;
	struct detection detections[NET_ADDRESSES_MAX];
	struct default_router routers[AUTOCONF_ROUTERS_MAX]; /* the first is used */
	uint32_t router_count;
	struct ip_address gateway; /* of the route that we have added, when has_route */
	bool has_route;
	struct link_prefix prefixes[AUTOCONF_PREFIXES_MAX];
	struct slaac_address addresses[AUTOCONF_ADDRESSES_MAX];
};

/** autoconf_until - when @seconds from now are over; UINT32_MAX is for ever, UINT64_MAX */
static inline uint64_t autoconf_until(uint64_t now_ns, uint32_t seconds)
{
	uint64_t until_ns;

	if (seconds == UINT32_MAX || __builtin_add_overflow(now_ns, seconds * SECOND_NS, &until_ns))
		return UINT64_MAX;
	return until_ns;
}

static inline uint64_t autoconf_earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/** autoconf_address - our address in the @prefix of 64 bits (RFC 4291, appendix A) */
struct ip_address autoconf_address(const struct net *net, uint64_t prefix);

/* detect.c */

/** detection_start - search anew */
void detection_start(struct autoconf *autoconf, const struct ip_address *ip);

/** detection_stop_all - no timer is armed behind it */
void detection_stop_all(struct autoconf *autoconf);

/* router.c: each *_expire drops what is over at @now_ns; returns when the next one is */

uint64_t router_expire(struct autoconf *autoconf, uint64_t now_ns);

/* slaac.c */

/** slaac_prefix - an autonomous prefix that is neither link-local nor a group */
void slaac_prefix(struct autoconf *autoconf, const struct ndp_prefix *prefix);

/** slaac_lost - @ip is another's: do not make it again while its prefix lives */
void slaac_lost(struct autoconf *autoconf, const struct ip_address *ip);

uint64_t slaac_expire(struct autoconf *autoconf, uint64_t now_ns);

#endif /* DEMI_NET_AUTOCONF_STATE_H */
