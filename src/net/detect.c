/* SPDX-License-Identifier: MIT */
/*
 * Who else has our addresses: RFC 5227 for IPv4, three probes and two announcements; RFC 4862,
 * 5.4, for IPv6, one solicitation and one announcement. Meanwhile the address is in use, as an
 * optimistic one (RFC 4429): questions from it do not tell our link address. Linux does not answer such
 * a one of whom it does not know, so that nothing is sent to it before the detection is over.
 */
#include <arpa/inet.h>

#include "base/container.h"
#include "base/log.h"
#include "net/autoconf_state.h"
#include "net/neighbour.h"

/* RFC 5227, 1.1. */
#define ANNOUNCE_INTERVAL_NS (2 * SECOND_NS)
#define ANNOUNCE_WAIT_NS (2 * SECOND_NS)
#define DEFEND_INTERVAL_NS (10 * SECOND_NS)
#define COMPLAIN_INTERVAL_NS (600 * SECOND_NS)

static unsigned int questions(const struct ip_address *ip)
{
	return ip_address_is_v4(ip) ? 3 : 1;
}

static unsigned int announcements(const struct ip_address *ip)
{
	return ip_address_is_v4(ip) ? 2 : 1;
}

static void ask(const struct detection *detection)
{
	if (ip_address_is_v4(&detection->ip))
		arp_detect(detection->net, &detection->ip);
	else
		ndp_detect(detection->net, &detection->ip);
}

static void announce(const struct detection *detection)
{
	if (ip_address_is_v4(&detection->ip))
		arp_announce(detection->net, &detection->ip);
	else
		ndp_announce(detection->net, &detection->ip);
}

static uint64_t random_ns(struct net *net, uint64_t range_ns)
{
	return net_random(net) % range_ns;
}

/* How long to listen behind the question that was just asked. */
static uint64_t pause_ns(const struct detection *detection)
{
	if (!ip_address_is_v4(&detection->ip))
		return SECOND_NS; /* RetransTimer: RFC 4862, 5.4 */
	if (detection->step == questions(&detection->ip))
		return ANNOUNCE_WAIT_NS;
	return SECOND_NS + random_ns(detection->net, SECOND_NS); /* PROBE_MIN to PROBE_MAX */
}

static void detection_fired(struct timer *timer, uint64_t now_ns)
{
	struct detection *detection = container_of(timer, struct detection, timer);
	struct timer_wheel *timers = &detection->net->sched->timers;
	unsigned int asked = questions(&detection->ip);

	if (!net_has_address(detection->net, &detection->ip))
		return; /* not ours any more */
	detection->step++;
	if (detection->step <= asked) {
		ask(detection);
		timer_arm(timers, timer, now_ns + pause_ns(detection));
		return;
	}
	announce(detection);
	if (detection->step < asked + announcements(&detection->ip))
		timer_arm(timers, timer, now_ns + ANNOUNCE_INTERVAL_NS);
}

static struct detection *find(const struct autoconf *autoconf, const struct ip_address *ip)
{
	for (unsigned int i = 0; i < NET_ADDRESSES_MAX; i++) {
		const struct detection *detection = &autoconf->detections[i];

		if (detection->net && ip_address_equal(&detection->ip, ip))
			return (struct detection *)detection;
	}
	return NULL;
}

/* There are as many places as we can have addresses. */
static struct detection *place(struct autoconf *autoconf)
{
	struct detection *detection = autoconf->detections;

	while (detection->net && net_has_address(detection->net, &detection->ip))
		detection++;
	if (detection->net)
		timer_cancel(&autoconf->net->sched->timers, &detection->timer);
	*detection = (struct detection){.net = autoconf->net};
	timer_init(&detection->timer, detection_fired);
	return detection;
}

void detection_start(struct autoconf *autoconf, const struct ip_address *ip)
{
	struct detection *detection = find(autoconf, ip);
	struct net *net = autoconf->net;

	if (!detection) {
		detection = place(autoconf);
		detection->ip = *ip;
	}
	detection->step = 0;
	timer_arm(&net->sched->timers, &detection->timer, net->now_ns + random_ns(net, SECOND_NS));
}

void detection_stop_all(struct autoconf *autoconf)
{
	for (unsigned int i = 0; i < NET_ADDRESSES_MAX; i++) {
		if (autoconf->detections[i].net)
			timer_cancel(&autoconf->net->sched->timers, &autoconf->detections[i].timer);
	}
}

bool autoconf_is_tentative(const struct net *net, const struct ip_address *ip)
{
	const struct detection *detection = net->autoconf ? find(net->autoconf, ip) : NULL;

	return detection && detection->step <= questions(ip);
}

/* ---- Conflicts ---- */

static void complain(const struct detection *detection, const struct eth_address *link, bool lost)
{
	const struct ip_address *ip = &detection->ip;
	const uint8_t *mac = link->bytes;
	bool is_v4 = ip_address_is_v4(ip);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(is_v4 ? AF_INET : AF_INET6, ip->bytes + (is_v4 ? 12 : 0), text, sizeof(text));
	log_error("net.ip: %s is used by another station too, %02x:%02x:%02x:%02x:%02x:%02x; %s",
		  text, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
		  lost ? "it was given up; set net.mac to an address that no other station has"
		       : "give one of the two another address");
}

void autoconf_conflict(struct net *net, const struct ip_address *ip, const struct eth_address *link)
{
	struct detection *detection = net->autoconf ? find(net->autoconf, ip) : NULL;
	const struct net_address *address = net_has_address(net, ip);
	struct ip_address copy = *ip;
	bool is_lost;

	if (!detection || !address)
		return;
	/* Later a forged message would do to take it from us. */
	is_lost = !address->is_static && autoconf_is_tentative(net, &copy);
	if (net->now_ns >= detection->complain_from_ns) {
		detection->complain_from_ns = net->now_ns + COMPLAIN_INTERVAL_NS;
		complain(detection, link, is_lost);
	}
	if (is_lost) {
		timer_cancel(&net->sched->timers, &detection->timer);
		slaac_lost(net->autoconf, &copy);
		net_remove_address(net, &copy);
	} else if (net->now_ns >= detection->defend_from_ns) {
		detection->defend_from_ns = net->now_ns + DEFEND_INTERVAL_NS;
		announce(detection);
	}
}
