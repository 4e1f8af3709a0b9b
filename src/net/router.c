/* SPDX-License-Identifier: MIT */
/*
 * What routers advertise: RFC 4861, 6.3.4. Their hop limit is not taken: 64 reaches everything, and
 * a forged low one would cut us off.
 */
#include <errno.h>
#include <string.h>

#include "net/autoconf_state.h"
#include "net/neighbour.h"
#include "wire/ipv6.h"

/* ---- Default routers: the first of the list has the route ---- */

static void install_first(struct autoconf *autoconf)
{
	struct net *net = autoconf->net;
	struct net_route route = {.valid_until_ns = UINT64_MAX}; /* the timer ends it */
	const struct ip_address *first = autoconf->router_count ? &autoconf->routers[0].ip : NULL;

	if (autoconf->has_route && (!first || !ip_address_equal(&autoconf->gateway, first))) {
		net_remove_route(net, &route.prefix, 0);
		autoconf->has_route = false;
	}
	if (autoconf->has_route || !first)
		return;
	/* One from the configuration stays. */
	route.gateway = *first;
	autoconf->has_route = net_add_route(net, &route) == 0;
	autoconf->gateway = *first;
}

static struct default_router *find_router(struct autoconf *autoconf, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < autoconf->router_count; i++) {
		if (ip_address_equal(&autoconf->routers[i].ip, ip))
			return &autoconf->routers[i];
	}
	return NULL;
}

static void remove_router(struct autoconf *autoconf, struct default_router *router)
{
	struct default_router *end = &autoconf->routers[--autoconf->router_count];

	memmove(router, router + 1, (size_t)(end - router) * sizeof(*router));
}

static void update_router(struct autoconf *autoconf, const struct ip_address *ip,
			  uint16_t lifetime_s)
{
	struct default_router *router = find_router(autoconf, ip);
	uint64_t until_ns = autoconf_until(autoconf->net->now_ns, lifetime_s);

	if (router && lifetime_s)
		router->valid_until_ns = until_ns;
	else if (router)
		remove_router(autoconf, router);
	else if (lifetime_s && autoconf->router_count < AUTOCONF_ROUTERS_MAX)
		autoconf->routers[autoconf->router_count++] = (struct default_router){*ip,
										      until_ns};
	install_first(autoconf);
}

void autoconf_router_gone(struct net *net, const struct ip_address *ip)
{
	struct default_router *router = net->autoconf ? find_router(net->autoconf, ip) : NULL;

	if (!router)
		return;
	remove_router(net->autoconf, router);
	install_first(net->autoconf);
}

void autoconf_router_failed(struct net *net, const struct ip_address *ip)
{
	struct autoconf *autoconf = net->autoconf;
	struct default_router first;

	if (!autoconf || !autoconf->has_route || !ip_address_equal(&autoconf->gateway, ip))
		return;
	first = autoconf->routers[0];
	remove_router(autoconf, &autoconf->routers[0]);
	autoconf->routers[autoconf->router_count++] = first;
	install_first(autoconf);
}

/* ---- Prefixes on the link ---- */

/* Link-local ones are to be ignored; groups, and what is no IPv6 address, are no prefixes. */
static bool is_sensible(const struct ndp_prefix *prefix)
{
	return load_be64(prefix->prefix.bytes) != 0 && prefix->length_bits != 0 &&
	       !ip_address_is_multicast(&prefix->prefix) &&
	       !ip_address_is_link_local(&prefix->prefix);
}

static struct ip_address masked(const struct ndp_prefix *prefix)
{
	unsigned int bits = prefix->length_bits;
	uint64_t high = load_be64(prefix->prefix.bytes), low = load_be64(prefix->prefix.bytes + 8);

	if (bits <= 64)
		return ip_address_v6_halves(bits ? high >> (64 - bits) << (64 - bits) : 0, 0);
	return ip_address_v6_halves(high, low >> (128 - bits) << (128 - bits));
}

static struct link_prefix *find_prefix(struct autoconf *autoconf, const struct ip_address *ip,
				       uint8_t length_bits)
{
	for (uint32_t i = 0; i < AUTOCONF_PREFIXES_MAX; i++) {
		struct link_prefix *prefix = &autoconf->prefixes[i];

		if (prefix->valid_until_ns && prefix->length_bits == length_bits &&
		    ip_address_equal(&prefix->prefix, ip))
			return prefix;
	}
	return NULL;
}

static void add_prefix(struct autoconf *autoconf, const struct ip_address *ip, uint8_t length_bits,
		       uint64_t until_ns)
{
	struct net_route route = {
		.prefix = *ip,
		.prefix_bits = length_bits,
		.valid_until_ns = UINT64_MAX,
	};

	for (uint32_t i = 0; i < AUTOCONF_PREFIXES_MAX; i++) {
		struct link_prefix *prefix = &autoconf->prefixes[i];

		if (prefix->valid_until_ns)
			continue;
		/* One that is there already is of the configuration, and stays. */
		if (net_add_route(autoconf->net, &route) == 0)
			*prefix = (struct link_prefix){*ip, length_bits, until_ns};
		return;
	}
}

static void remove_prefix(struct autoconf *autoconf, struct link_prefix *prefix)
{
	net_remove_route(autoconf->net, &prefix->prefix, prefix->length_bits);
	prefix->valid_until_ns = 0;
}

static void update_prefix(struct autoconf *autoconf, const struct ndp_prefix *advertised)
{
	uint64_t until_ns = autoconf_until(autoconf->net->now_ns, advertised->valid_s);
	struct ip_address ip = masked(advertised);
	struct link_prefix *prefix = find_prefix(autoconf, &ip, advertised->length_bits);

	if (prefix && advertised->valid_s)
		prefix->valid_until_ns = until_ns;
	else if (prefix)
		remove_prefix(autoconf, prefix);
	else if (advertised->valid_s)
		add_prefix(autoconf, &ip, advertised->length_bits, until_ns);
}

uint64_t router_expire(struct autoconf *autoconf, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = autoconf->router_count; i-- > 0;) {
		struct default_router *router = &autoconf->routers[i];

		if (router->valid_until_ns <= now_ns)
			remove_router(autoconf, router);
		else
			next_ns = autoconf_earlier(next_ns, router->valid_until_ns);
	}
	install_first(autoconf);
	for (uint32_t i = 0; i < AUTOCONF_PREFIXES_MAX; i++) {
		struct link_prefix *prefix = &autoconf->prefixes[i];

		if (!prefix->valid_until_ns)
			continue;
		if (prefix->valid_until_ns <= now_ns)
			remove_prefix(autoconf, prefix);
		else
			next_ns = autoconf_earlier(next_ns, prefix->valid_until_ns);
	}
	return next_ns;
}

/* ---- The advertisement ---- */

/* Of IPv6 alone (RFC 4861, 6.3.4). Never more than the device or the configuration allows. */
static void update_mtu(struct net *net, uint32_t mtu)
{
	if (mtu < IPV6_MTU_MIN || mtu > net->mtu || mtu == net->mtu_v6)
		return;
	net->mtu_v6 = mtu;
	net->generation++;
}

void autoconf_router(struct net *net, const struct ip_address *router,
		     const struct ndp_message *message)
{
	struct autoconf *autoconf = net->autoconf;

	if (!net->options.autoconf) {
		net_count_drop(net, NET_LAYER_NDP, NET_DROP_UNSOLICITED);
		return;
	}
	/* RFC 4861, 6.3.7: one that is no default router does not end the search. */
	if (message->lifetime_s)
		timer_cancel(&net->sched->timers, &autoconf->solicitation_timer);
	update_router(autoconf, router, message->lifetime_s);
	neighbour_set_times(net, message->reachable_ms, message->retransmit_ms);
	if (message->has_mtu)
		update_mtu(net, message->mtu);
	for (unsigned int i = 0; i < message->prefix_count; i++) {
		const struct ndp_prefix *prefix = &message->prefixes[i];

		if (!is_sensible(prefix))
			continue;
		if (prefix->on_link)
			update_prefix(autoconf, prefix);
		if (prefix->autonomous)
			slaac_prefix(autoconf, prefix);
	}
	timer_arm(&net->sched->timers, &autoconf->lifetime_timer, net->now_ns);
}
