/* SPDX-License-Identifier: MIT */
/*
 * What happens to addresses by themselves: the link-local one of IPv6, duplicate address detection
 * (RFC 4862, 5.4, optimistic as RFC 4429; for IPv4 probes and defence as RFC 5227), and addresses
 * and routes from routers' advertisements (RFC 4861, 6.3; RFC 4862, 5.5).
 *
 * An address may be used while duplicates of it are looked for. One from the configuration stays,
 * whatever is found, and is defended; one that was made from a prefix goes.
 *
 * Interface identifiers are made of the MAC address (modified EUI-64): the stable opaque ones of
 * RFC 7217 need a secret that outlives the process.
 */
#ifndef DEMI_NET_AUTOCONF_H
#define DEMI_NET_AUTOCONF_H

#include "net/net.h"
#include "wire/ndp.h"

int autoconf_create(struct net *net); /* sets net->autoconf; 0 or -ENOMEM */
void autoconf_destroy(struct net *net);

/**
 * autoconf_start - begin: link-local address, detection for all addresses, router solicitation
 *
 * IPv6 is wanted when options.autoconf is set or an address of it is ours. Without
 * options.autoconf no router is asked or listened to.
 */
void autoconf_start(struct net *net);

/**
 * autoconf_address_added - detect duplicates of an address that has just become ours; announce it
 *
 * Before autoconf_start nothing happens, as that does it for all; nor does it twice for the same.
 */
void autoconf_address_added(struct net *net, const struct ip_address *ip);

/** autoconf_is_tentative - duplicates of this address of ours are being looked for */
bool autoconf_is_tentative(const struct net *net, const struct ip_address *ip);

/**
 * autoconf_conflict - another station with @link has used an address of ours
 *
 * The operator is told, at most every ten minutes. The address is defended at most every 10 s, and
 * kept (RFC 5227, 2.4, c), unless it is one of autoconfiguration that is tentative yet.
 */
void autoconf_conflict(struct net *net, const struct ip_address *ip,
		       const struct eth_address *link);

/**
 * autoconf_router - a router advertisement that ndp_parse has taken, from @router
 *
 * Counted as UNSOLICITED without options.autoconf. Four default routers, eight prefixes and eight
 * addresses are kept at most; what comes on top is ignored.
 */
void autoconf_router(struct net *net, const struct ip_address *router,
		     const struct ndp_message *message);

/** autoconf_router_gone - it says that it is no router any more (RFC 4861, 7.2.5) */
void autoconf_router_gone(struct net *net, const struct ip_address *ip);

/** autoconf_router_failed - a neighbour does not answer: use another router (RFC 4861, 6.3.6) */
void autoconf_router_failed(struct net *net, const struct ip_address *ip);

#endif /* DEMI_NET_AUTOCONF_H */
