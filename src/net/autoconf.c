/* SPDX-License-Identifier: MIT */
/* Beginning and end of autoconfiguration, and the question for routers. */
#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "net/autoconf_state.h"
#include "net/neighbour.h"

/* RFC 4861, section 10. */
#define SOLICITATIONS_MAX 3
#define SOLICITATION_INTERVAL_NS (4 * SECOND_NS)

#define LINK_LOCAL_PREFIX UINT64_C(0xfe80000000000000)

/* RFC 4291, appendix A; RFC 2464, section 4: the bit that says "universal" is inverted. */
struct ip_address autoconf_address(const struct net *net, uint64_t prefix)
{
	const uint8_t *mac = net->mac.bytes;
	const uint8_t identifier[8] = {
		mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5],
	};

	return ip_address_v6_halves(prefix, load_be64(identifier));
}

/* ---- Routers are asked until one answers ---- */

static void solicitation_fired(struct timer *timer, uint64_t now_ns)
{
	struct autoconf *autoconf = container_of(timer, struct autoconf, solicitation_timer);

	ndp_ask_routers(autoconf->net);
	if (++autoconf->solicitations < SOLICITATIONS_MAX)
		timer_arm(&autoconf->net->sched->timers, timer, now_ns + SOLICITATION_INTERVAL_NS);
}

static void lifetime_fired(struct timer *timer, uint64_t now_ns)
{
	struct autoconf *autoconf = container_of(timer, struct autoconf, lifetime_timer);
	uint64_t next_ns = autoconf_earlier(router_expire(autoconf, now_ns),
					    slaac_expire(autoconf, now_ns));

	if (next_ns != UINT64_MAX)
		timer_arm(&autoconf->net->sched->timers, timer, next_ns);
}

/* ---- Birth and death ---- */

int autoconf_create(struct net *net)
{
	struct autoconf *autoconf = calloc(1, sizeof(*autoconf));

	if (!autoconf)
		return -ENOMEM;
	autoconf->net = net;
	timer_init(&autoconf->solicitation_timer, solicitation_fired);
	timer_init(&autoconf->lifetime_timer, lifetime_fired);
	net->autoconf = autoconf;
	return 0;
}

void autoconf_destroy(struct net *net)
{
	struct timer_wheel *timers = &net->sched->timers;

	detection_stop_all(net->autoconf);
	timer_cancel(timers, &net->autoconf->solicitation_timer);
	timer_cancel(timers, &net->autoconf->lifetime_timer);
	free(net->autoconf);
	net->autoconf = NULL;
}

static bool wants_v6(const struct net *net)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (!ip_address_is_v4(&net->addresses[i].ip))
			return true;
	}
	return net->options.autoconf;
}

static void add_link_local(struct net *net)
{
	struct net_address address = {
		.ip = autoconf_address(net, LINK_LOCAL_PREFIX),
		.prefix_bits = 64,
		.valid_until_ns = UINT64_MAX,
		.preferred_until_ns = UINT64_MAX,
	};

	/* One that is there already is of the configuration; there is room for it. */
	net_add_address(net, &address);
}

void autoconf_start(struct net *net)
{
	struct autoconf *autoconf = net->autoconf;

	autoconf->is_started = true;
	for (uint32_t i = 0; i < net->address_count; i++)
		detection_start(autoconf, &net->addresses[i].ip);
	if (wants_v6(net))
		add_link_local(net);
	if (net->options.autoconf)
		timer_arm(&net->sched->timers, &autoconf->solicitation_timer,
			  net->now_ns + net_random(net) % SECOND_NS);
}

void autoconf_address_added(struct net *net, const struct ip_address *ip)
{
	if (net->autoconf && net->autoconf->is_started)
		detection_start(net->autoconf, ip);
}
