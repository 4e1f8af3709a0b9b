/* SPDX-License-Identifier: MIT */
#include "net/link_testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "net/autoconf.h"
#include "wire/icmp6.h"

/* ---- What autoconfiguration calls: lists of addresses and routes without their effects ---- */

static struct asked {
	unsigned int arp_detect, arp_announce, ndp_detect, ndp_announce, routers;
	uint64_t detect_ns[8], announce_ns[8], routers_ns[8];
	uint32_t reachable_ms, retransmit_ms;
} asked;

static void note(unsigned int *count, uint64_t *times)
{
	if (*count < 8)
		times[*count] = at.net.now_ns;
	++*count;
}

void arp_detect(struct net *net, const struct ip_address *ip)
{
	assert_non_null(net_has_address(net, ip));
	note(&asked.arp_detect, asked.detect_ns);
}

void arp_announce(struct net *net, const struct ip_address *ip)
{
	assert_non_null(net_has_address(net, ip));
	note(&asked.arp_announce, asked.announce_ns);
}

void ndp_detect(struct net *net, const struct ip_address *ip)
{
	assert_non_null(net_has_address(net, ip));
	asked.ndp_detect++;
}

void ndp_announce(struct net *net, const struct ip_address *ip)
{
	assert_non_null(net_has_address(net, ip));
	asked.ndp_announce++;
}

void ndp_ask_routers(struct net *net)
{
	(void)net;
	note(&asked.routers, asked.routers_ns);
}

void neighbour_set_times(struct net *net, uint32_t reachable_ms, uint32_t retransmit_ms)
{
	(void)net;
	asked.reachable_ms = reachable_ms;
	asked.retransmit_ms = retransmit_ms;
}

int net_add_address(struct net *net, const struct net_address *address)
{
	if (net_has_address(net, &address->ip))
		return -EEXIST;
	if (net->address_count == NET_ADDRESSES_MAX)
		return -ENOSPC;
	net->addresses[net->address_count++] = *address;
	autoconf_address_added(net, &address->ip);
	return 0;
}

int net_remove_address(struct net *net, const struct ip_address *ip)
{
	struct net_address *address = (struct net_address *)net_has_address(net, ip);

	assert_non_null(address);
	*address = net->addresses[--net->address_count];
	return 0;
}

static struct net_route *find_route(const struct ip_address *prefix, uint8_t bits)
{
	for (uint32_t i = 0; i < at.net.route_count; i++) {
		if (at.net.routes[i].prefix_bits == bits &&
		    ip_address_equal(&at.net.routes[i].prefix, prefix))
			return &at.net.routes[i];
	}
	return NULL;
}

int net_add_route(struct net *net, const struct net_route *route)
{
	if (find_route(&route->prefix, route->prefix_bits))
		return -EEXIST;
	assert_true(net->route_count < NET_ROUTES_MAX);
	net->routes[net->route_count++] = *route;
	return 0;
}

int net_remove_route(struct net *net, const struct ip_address *prefix, uint8_t prefix_bits)
{
	struct net_route *route = find_route(prefix, prefix_bits);

	assert_non_null(route);
	*route = net->routes[--net->route_count];
	return 0;
}

static int setup(void **state)
{
	link_setup(state);
	memset(&asked, 0, sizeof(asked));
	at.net.mac = (struct eth_address){{0x52, 0x54, 0, 0x12, 0x34, 0x56}};
	at.net.options.autoconf = true;
	return autoconf_create(&at.net);
}

static int teardown(void **state)
{
	autoconf_destroy(&at.net);
	assert_int_equal(timer_wheel_next_ns(&at.sched.timers), TIMER_NEVER);
	return link_teardown(state);
}

#define HOUR (3600 * SECOND)
#define NEAR(last) ip_address_v6_halves(0xfe80000000000000, last)
#define PREFIX(n) ip_address_v6_halves(0x20010db800000000 + (uint64_t)(n), 0)
#define IDENTIFIER UINT64_C(0x505400fffe123456)
#define MADE(n) ip_address_v6_halves(0x20010db800000000 + (uint64_t)(n), IDENTIFIER)

static const struct ip_address everywhere;

static const struct net_address *has(struct ip_address ip)
{
	return net_has_address(&at.net, &ip);
}

static const struct net_route *route_to(struct ip_address prefix, uint8_t bits)
{
	return find_route(&prefix, bits);
}

static struct ndp_message advertisement(uint16_t lifetime_s)
{
	return (struct ndp_message){
		.type = ICMP6_TYPE_ROUTER_ADVERTISEMENT,
		.lifetime_s = lifetime_s,
	};
}

static void add_prefix(struct ndp_message *message, struct ip_address prefix, uint32_t valid_s,
		       uint32_t preferred_s)
{
	message->prefixes[message->prefix_count++] = (struct ndp_prefix){
		.prefix = prefix,
		.valid_s = valid_s,
		.preferred_s = preferred_s,
		.length_bits = 64,
		.on_link = true,
		.autonomous = true,
	};
}

/* From a router, and time for its timers. */
static void advertise(unsigned int router, const struct ndp_message *message)
{
	struct ip_address ip = NEAR(router);

	autoconf_router(&at.net, &ip, message);
	link_pass(100000);
}

static void advertise_prefix(struct ip_address prefix, uint32_t valid_s, uint32_t preferred_s)
{
	struct ndp_message message = advertisement(1800);

	add_prefix(&message, prefix, valid_s, preferred_s);
	advertise(1, &message);
}

/* What is written to standard error meanwhile; lines. */
static int redirect(int *saved)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	*saved = dup(2);
	dup2(fds[1], 2);
	close(fds[1]);
	return fds[0];
}

static unsigned int lines(int fd, int saved, char *text, size_t room)
{
	ssize_t length = read(fd, text, room - 1);
	unsigned int count = 0;

	dup2(saved, 2);
	close(saved);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	for (const char *c = text; *c; c++)
		count += *c == '\n';
	return count;
}

/* ---- The start ---- */

/* RFC 4291, appendix A, and RFC 2464, section 5. */
static void autoconf_start__makes_the_link_local_address(void **state)
{
	struct ip_address expected = NEAR(IDENTIFIER);

	(void)state;
	autoconf_start(&at.net);
	assert_int_equal(at.net.address_count, 1);
	assert_memory_equal(at.net.addresses[0].ip.bytes, expected.bytes, 16);
	assert_int_equal(at.net.addresses[0].prefix_bits, 64);
	assert_false(at.net.addresses[0].is_static);
	assert_true(at.net.addresses[0].valid_until_ns == UINT64_MAX);
}

static void autoconf_start__leaves_ipv4_alone(void **state)
{
	(void)state;
	at.net.options.autoconf = false;
	link_own(V4(10, 0, 0, 1));
	autoconf_start(&at.net);
	assert_int_equal(at.net.address_count, 1);
	link_pass(100 * SECOND);
	assert_int_equal(asked.routers + asked.ndp_detect, 0);
}

/* With a static address IPv6 is wanted, but no router is asked or believed. */
static void autoconf_start__without_autoconf_hears_no_router(void **state)
{
	(void)state;
	at.net.options.autoconf = false;
	link_own(MADE(1));
	autoconf_start(&at.net);
	assert_int_equal(at.net.address_count, 2);
	link_pass(100 * SECOND);
	assert_int_equal(asked.routers, 0);
	advertise_prefix(PREFIX(2), 3600, 3600);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_UNSOLICITED), 1);
	assert_int_equal(at.net.address_count, 2);
	assert_int_equal(at.net.route_count, 0);
}

/* RFC 4861, 6.3.7: three times, 4 s apart, after at most a second. */
static void autoconf_start__asks_for_routers(void **state)
{
	uint64_t start_ns = at.net.now_ns;

	(void)state;
	autoconf_start(&at.net);
	assert_int_equal(asked.routers, 0);
	link_pass(100 * SECOND);
	assert_int_equal(asked.routers, 3);
	assert_true(asked.routers_ns[0] - start_ns <= SECOND + 10000);
	assert_in_range((asked.routers_ns[1] - asked.routers_ns[0]) / 1000000, 4000, 4001);
	assert_in_range((asked.routers_ns[2] - asked.routers_ns[1]) / 1000000, 4000, 4001);
}

static void autoconf_start__asks_until_a_router_answers(void **state)
{
	struct ndp_message message = advertisement(0);

	(void)state;
	autoconf_start(&at.net);
	link_pass(2 * SECOND);
	assert_int_equal(asked.routers, 1);
	advertise(1, &message); /* no default router */
	link_pass(4 * SECOND);
	assert_int_equal(asked.routers, 2);
	message.lifetime_s = 1800;
	advertise(1, &message);
	link_pass(20 * SECOND);
	assert_int_equal(asked.routers, 2);
}

/* ---- Detection ---- */

/* RFC 5227, 1.1 and 2.1.1: three probes 1 to 2 s apart, then two announcements. */
static void autoconf_start__detects_for_ipv4(void **state)
{
	uint64_t start_ns = at.net.now_ns;
	struct ip_address ip = V4(10, 0, 0, 1);

	(void)state;
	at.net.options.autoconf = false;
	link_own(ip);
	autoconf_start(&at.net);
	assert_true(autoconf_is_tentative(&at.net, &ip));
	link_pass(100 * SECOND);
	assert_false(autoconf_is_tentative(&at.net, &ip));
	assert_int_equal(asked.arp_detect, 3);
	assert_int_equal(asked.arp_announce, 2);
	assert_true(asked.detect_ns[0] - start_ns <= SECOND + 10000);
	for (unsigned int i = 1; i < 3; i++)
		assert_in_range((asked.detect_ns[i] - asked.detect_ns[i - 1]) / 1000000, 1000,
				2001);
	assert_in_range((asked.announce_ns[0] - asked.detect_ns[2]) / 1000000, 2000, 2001);
	assert_in_range((asked.announce_ns[1] - asked.announce_ns[0]) / 1000000, 2000, 2001);
}

/* RFC 4862, 5.1: one solicitation, and a second of listening. */
static void autoconf_address_added__detects_for_ipv6(void **state)
{
	struct net_address added = {.ip = MADE(1), .prefix_bits = 64, .is_static = true};

	(void)state;
	autoconf_start(&at.net);
	link_pass(10 * SECOND);
	assert_int_equal(asked.ndp_detect, 1);
	assert_int_equal(asked.ndp_announce, 1);
	net_add_address(&at.net, &added);
	assert_true(autoconf_is_tentative(&at.net, &added.ip));
	link_pass(SECOND + 100000);
	assert_int_equal(asked.ndp_detect, 2);
	assert_true(autoconf_is_tentative(&at.net, &added.ip));
	link_pass(SECOND + 100000);
	assert_int_equal(asked.ndp_announce, 2);
	assert_false(autoconf_is_tentative(&at.net, &added.ip));
}

static void autoconf_address_added__forgets_what_was_removed(void **state)
{
	(void)state;
	at.net.options.autoconf = false;
	autoconf_start(&at.net);
	for (unsigned int i = 0; i < 100; i++) {
		struct net_address added = {.ip = V4(10, 0, 0, 1 + i), .is_static = true};

		assert_int_equal(net_add_address(&at.net, &added), 0);
		if (i & 1)
			link_pass(SECOND);
		net_remove_address(&at.net, &added.ip);
	}
	memset(&asked, 0, sizeof(asked));
	link_pass(100 * SECOND);
	assert_int_equal(asked.arp_detect + asked.arp_announce, 0);
}

/* ---- Conflicts ---- */

/* RFC 5227, 2.4: defended once in ten seconds, and kept; the operator reads of it once. */
static void autoconf_conflict__storm_is_bounded(void **state)
{
	struct eth_address thief = MAC(66);
	struct ip_address ip = V4(10, 0, 0, 1);
	char text[4096];
	int saved, fd;

	(void)state;
	at.net.options.autoconf = false;
	link_own(ip);
	autoconf_start(&at.net);
	link_pass(20 * SECOND);
	memset(&asked, 0, sizeof(asked));
	fd = redirect(&saved);
	for (unsigned int i = 0; i < 10000; i++) {
		autoconf_conflict(&at.net, &ip, &thief);
		link_pass(SECOND / 100);
	}
	assert_int_equal(lines(fd, saved, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "10.0.0.1 is used by another station too, 02:00:00:00:00:42"));
	assert_int_equal(asked.arp_announce, 10);
	assert_non_null(has(ip));
	/* After ten minutes it is worth another line. */
	link_pass(600 * SECOND);
	fd = redirect(&saved);
	autoconf_conflict(&at.net, &ip, &thief);
	assert_int_equal(lines(fd, saved, text, sizeof(text)), 1);
}

/* RFC 4862, 5.4.5: an address of autoconfiguration goes, and does not come back. */
static void autoconf_conflict__tentative_address_is_given_up(void **state)
{
	struct eth_address other = MAC(66);
	struct ip_address ip = MADE(1);
	struct net_address configured = {.ip = ip, .is_static = true, .valid_until_ns = UINT64_MAX};
	char text[4096];
	int saved, fd;

	(void)state;
	autoconf_start(&at.net);
	advertise_prefix(PREFIX(1), 3600, 3600);
	assert_non_null(has(ip));
	fd = redirect(&saved);
	autoconf_conflict(&at.net, &ip, &other);
	assert_int_equal(lines(fd, saved, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "2001:db8:0:1:5054:ff:fe12:3456 "));
	assert_non_null(strstr(text, "net.mac"));
	assert_null(has(ip));
	advertise_prefix(PREFIX(1), 3600, 3600);
	assert_null(has(ip));
	/* Whoever configures it then has it for ever. */
	net_add_address(&at.net, &configured);
	advertise_prefix(PREFIX(1), 3600, 3600);
	assert_true(has(ip)->valid_until_ns == UINT64_MAX);
	net_remove_address(&at.net, &ip);
	/* Its time is over: nothing is removed twice, and the prefix may try again. */
	link_pass(2 * HOUR);
	advertise_prefix(PREFIX(1), 3600, 3600);
	assert_non_null(has(ip));
}

/* Later one forged message would be enough to take it from us: RFC 4862, 5.4.4 leaves it open. */
static void autoconf_conflict__established_address_stays(void **state)
{
	struct eth_address thief = MAC(66);
	struct ip_address ip = NEAR(IDENTIFIER);
	char text[4096];
	int saved, fd;

	(void)state;
	autoconf_start(&at.net);
	link_pass(10 * SECOND);
	memset(&asked, 0, sizeof(asked));
	fd = redirect(&saved);
	autoconf_conflict(&at.net, &ip, &thief);
	autoconf_conflict(&at.net, &ip, &thief);
	assert_int_equal(lines(fd, saved, text, sizeof(text)), 1);
	assert_non_null(has(ip));
	assert_int_equal(asked.ndp_announce, 1);
	/* What is not ours is nobody's conflict. */
	ip = NEAR(5);
	autoconf_conflict(&at.net, &ip, &thief);
	assert_int_equal(asked.ndp_announce, 1);
}

static void autoconf_conflict__static_address_stays_while_tentative(void **state)
{
	struct eth_address other = MAC(66);
	struct ip_address ip = MADE(7);
	char text[4096];
	int saved, fd;

	(void)state;
	link_own(ip);
	autoconf_start(&at.net);
	fd = redirect(&saved);
	autoconf_conflict(&at.net, &ip, &other);
	assert_int_equal(lines(fd, saved, text, sizeof(text)), 1);
	assert_non_null(has(ip));
	assert_int_equal(asked.ndp_announce, 1);
}

/* ---- Default routers: RFC 4861, 6.3.4 and 6.3.5 ---- */

static unsigned int gateway(void)
{
	const struct net_route *route = route_to(everywhere, 0);

	return route ? route->gateway.bytes[15] : 0;
}

static void autoconf_router__default_route_lives_as_long_as_said(void **state)
{
	struct ndp_message message = advertisement(1800);

	(void)state;
	autoconf_start(&at.net);
	assert_int_equal(gateway(), 0);
	advertise(1, &message);
	assert_int_equal(gateway(), 1);
	link_pass(1700 * SECOND);
	advertise(1, &message);
	link_pass(1790 * SECOND);
	assert_int_equal(gateway(), 1);
	link_pass(20 * SECOND);
	assert_int_equal(gateway(), 0);
	advertise(1, &message);
	message.lifetime_s = 0;
	advertise(1, &message);
	assert_int_equal(gateway(), 0);
	assert_int_equal(at.net.route_count, 0);
}

static void autoconf_router__others_wait_for_their_turn(void **state)
{
	struct ndp_message message = advertisement(1800);
	struct ip_address one = NEAR(1), three = NEAR(3);

	(void)state;
	autoconf_start(&at.net);
	for (unsigned int router = 1; router <= 100; router++)
		advertise(router, &message);
	assert_int_equal(gateway(), 1);
	autoconf_router_failed(&at.net, &three); /* not in use */
	assert_int_equal(gateway(), 1);
	autoconf_router_failed(&at.net, &one);
	assert_int_equal(gateway(), 2);
	message.lifetime_s = 0;
	advertise(2, &message);
	assert_int_equal(gateway(), 3);
	autoconf_router_gone(&at.net, &three);
	assert_int_equal(gateway(), 4);
	advertise(4, &message);
	/* The one that had failed; of the hundred only four were kept. */
	assert_int_equal(gateway(), 1);
	advertise(1, &message);
	assert_int_equal(gateway(), 0);
}

static void autoconf_router__configured_gateway_stays(void **state)
{
	struct ndp_message message = advertisement(1800);
	struct net_route configured = {.gateway = NEAR(99), .is_static = true};

	(void)state;
	net_add_route(&at.net, &configured);
	autoconf_start(&at.net);
	advertise(1, &message);
	assert_int_equal(gateway(), 99);
	link_pass(2000 * SECOND);
	assert_int_equal(gateway(), 99);
}

/* ---- What else an advertisement says ---- */

static void autoconf_router__mtu_is_within_bounds(void **state)
{
	static const uint32_t wrong[] = {0, 576, 1279, 1501, 9000, UINT32_MAX};
	struct ndp_message message = advertisement(1800);
	uint32_t generation;

	(void)state;
	autoconf_start(&at.net);
	message.has_mtu = true;
	for (unsigned int i = 0; i < 6; i++) {
		message.mtu = wrong[i];
		advertise(1, &message);
		assert_int_equal(at.net.mtu_v6, 1500);
	}
	generation = at.net.generation;
	message.mtu = 1280;
	advertise(1, &message);
	assert_int_equal(at.net.mtu_v6, 1280);
	assert_int_equal(at.net.mtu, 1500); /* IPv4's stays */
	assert_int_equal(at.net.generation, generation + 1);
	message.mtu = 1500;
	advertise(1, &message);
	assert_int_equal(at.net.mtu_v6, 1500);
}

static void autoconf_router__passes_times_on(void **state)
{
	struct ndp_message message = advertisement(1800);

	(void)state;
	autoconf_start(&at.net);
	message.reachable_ms = 20000;
	message.retransmit_ms = 500;
	advertise(1, &message);
	assert_int_equal(asked.reachable_ms, 20000);
	assert_int_equal(asked.retransmit_ms, 500);
}

/* RFC 4861, 6.3.4. */
static void autoconf_router__prefix_is_on_the_link_as_long_as_said(void **state)
{
	struct ndp_message message = advertisement(0);

	(void)state;
	autoconf_start(&at.net);
	/* Bits beyond the length say nothing. */
	add_prefix(&message, MADE(1), 100, 100);
	message.prefixes[0].autonomous = false;
	advertise(1, &message);
	assert_int_equal(at.net.route_count, 1);
	assert_non_null(route_to(PREFIX(1), 64));
	assert_true(ip_address_is_unspecified(&route_to(PREFIX(1), 64)->gateway));
	assert_int_equal(at.net.address_count, 1);
	link_pass(99 * SECOND);
	assert_int_equal(at.net.route_count, 1);
	link_pass(2 * SECOND);
	assert_int_equal(at.net.route_count, 0);
	message.prefixes[0].valid_s = UINT32_MAX;
	advertise(1, &message);
	link_pass(100000 * HOUR);
	assert_int_equal(at.net.route_count, 1);
	message.prefixes[0].valid_s = 0;
	advertise(1, &message);
	assert_int_equal(at.net.route_count, 0);
}

/* An advertisement must not take what was configured. */
static void autoconf_router__configured_route_stays(void **state)
{
	struct net_route configured = {.prefix = PREFIX(1), .prefix_bits = 64, .is_static = true};
	struct ndp_message message = advertisement(0);

	(void)state;
	net_add_route(&at.net, &configured);
	autoconf_start(&at.net);
	add_prefix(&message, PREFIX(1), 100, 100);
	advertise(1, &message);
	message.prefixes[0].valid_s = message.prefixes[0].preferred_s = 0;
	advertise(1, &message);
	link_pass(200 * SECOND);
	assert_non_null(route_to(PREFIX(1), 64));
}

static void autoconf_router__foolish_prefixes_are_ignored(void **state)
{
	const struct ip_address foolish[] = {
		NEAR(0), IPV6_ALL_NODES, everywhere, V4(10, 0, 0, 0), ip_address_v6_halves(0, 1),
	};

	(void)state;
	autoconf_start(&at.net);
	for (unsigned int i = 0; i < 5; i++) {
		struct ndp_message message = advertisement(0);

		add_prefix(&message, foolish[i], 3600, 3600);
		advertise(1, &message);
		message.prefixes[0].length_bits = 0;
		advertise(1, &message);
	}
	assert_int_equal(at.net.route_count, 0);
	assert_int_equal(at.net.address_count, 1);
}

/* A liar fills the lists, and no more. */
static void autoconf_router__flood_of_prefixes_is_bounded(void **state)
{
	(void)state;
	autoconf_start(&at.net);
	for (unsigned int n = 1; n <= 10000; n++) {
		struct ndp_message message = advertisement(1800);

		add_prefix(&message, PREFIX(n), 3600, 3600);
		advertise(1 + n % 50, &message);
	}
	assert_int_equal(at.net.route_count, 1 + 8);
	assert_int_equal(at.net.address_count, 1 + 8);
	assert_non_null(has(MADE(8)));
	assert_null(has(MADE(9)));
	link_pass(2 * HOUR);
	assert_int_equal(at.net.route_count, 0);
	assert_int_equal(at.net.address_count, 1);
}

/* ---- Addresses from prefixes: RFC 4862, 5.5.3 and 5.5.4 ---- */

static void slaac_prefix__makes_an_address(void **state)
{
	uint64_t now_ns;

	(void)state;
	autoconf_start(&at.net);
	now_ns = at.net.now_ns;
	advertise_prefix(PREFIX(1), 7200, 3600);
	assert_non_null(has(MADE(1)));
	assert_false(has(MADE(1))->is_static || has(MADE(1))->is_deprecated);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 2 * HOUR);
	assert_true(has(MADE(1))->preferred_until_ns == now_ns + HOUR);
	link_pass(HOUR - SECOND);
	assert_false(has(MADE(1))->is_deprecated);
	link_pass(2 * SECOND);
	assert_true(has(MADE(1))->is_deprecated);
	advertise_prefix(PREFIX(1), 7200, 3600);
	assert_false(has(MADE(1))->is_deprecated);
	link_pass(2 * HOUR + SECOND);
	assert_null(has(MADE(1)));
}

static void slaac_prefix__ignores_what_makes_no_address(void **state)
{
	struct ndp_message message = advertisement(0);

	(void)state;
	autoconf_start(&at.net);
	advertise_prefix(PREFIX(1), 3600, 3601);
	advertise_prefix(PREFIX(1), 0, 0);
	add_prefix(&message, PREFIX(1), 3600, 3600);
	message.prefixes[0].length_bits = 63;
	advertise(1, &message);
	message.prefixes[0].length_bits = 65;
	advertise(1, &message);
	message.prefixes[0].length_bits = 64;
	message.prefixes[0].autonomous = false;
	advertise(1, &message);
	assert_int_equal(at.net.address_count, 1);
}

/* 5.5.3, e: whoever is on the link cannot end an address, but in two hours. */
static void slaac_prefix__two_hours_are_left(void **state)
{
	uint64_t now_ns;

	(void)state;
	autoconf_start(&at.net);
	advertise_prefix(PREFIX(1), 86400, 86400);
	now_ns = at.net.now_ns;
	advertise_prefix(PREFIX(1), 10000, 10000);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 10000 * SECOND);
	now_ns = at.net.now_ns;
	advertise_prefix(PREFIX(1), 0, 0);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 2 * HOUR);
	assert_true(has(MADE(1))->is_deprecated);
	/* With less than that left a shorter one changes nothing, a longer one does. */
	link_pass(HOUR);
	advertise_prefix(PREFIX(1), 1, 1);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 2 * HOUR);
	now_ns = at.net.now_ns;
	advertise_prefix(PREFIX(1), 3700, 10);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 3700 * SECOND);
	now_ns = at.net.now_ns;
	advertise_prefix(PREFIX(1), 7201, 10);
	assert_true(has(MADE(1))->valid_until_ns == now_ns + 7201 * SECOND);
}

/* The longest finite time, late in a long life, does not wrap to a short one. */
static void slaac_prefix__lifetimes_do_not_overflow(void **state)
{
	(void)state;
	at.net.now_ns = UINT64_MAX - 100 * SECOND;
	timer_wheel_init(&at.sched.timers, at.net.now_ns);
	advertise_prefix(PREFIX(1), UINT32_MAX - 1, UINT32_MAX - 1);
	assert_non_null(has(MADE(1)));
	assert_true(has(MADE(1))->valid_until_ns == UINT64_MAX);
	assert_false(has(MADE(1))->is_deprecated);
	advertise_prefix(PREFIX(2), UINT32_MAX, UINT32_MAX);
	assert_true(has(MADE(2))->valid_until_ns == UINT64_MAX);
	assert_true(has(MADE(2))->preferred_until_ns == UINT64_MAX);
}

/* One that is configured is not ours to change. */
static void slaac_prefix__configured_address_stays(void **state)
{
	(void)state;
	link_own(MADE(1));
	autoconf_start(&at.net);
	advertise_prefix(PREFIX(1), 10, 10);
	link_pass(HOUR);
	assert_non_null(has(MADE(1)));
	assert_false(has(MADE(1))->is_deprecated);
	assert_true(has(MADE(1))->valid_until_ns == UINT64_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(autoconf_start__makes_the_link_local_address),
		TEST(autoconf_start__leaves_ipv4_alone),
		TEST(autoconf_start__without_autoconf_hears_no_router),
		TEST(autoconf_start__asks_for_routers),
		TEST(autoconf_start__asks_until_a_router_answers),
		TEST(autoconf_start__detects_for_ipv4),
		TEST(autoconf_address_added__detects_for_ipv6),
		TEST(autoconf_address_added__forgets_what_was_removed),
		TEST(autoconf_conflict__storm_is_bounded),
		TEST(autoconf_conflict__tentative_address_is_given_up),
		TEST(autoconf_conflict__established_address_stays),
		TEST(autoconf_conflict__static_address_stays_while_tentative),
		TEST(autoconf_router__default_route_lives_as_long_as_said),
		TEST(autoconf_router__others_wait_for_their_turn),
		TEST(autoconf_router__configured_gateway_stays),
		TEST(autoconf_router__mtu_is_within_bounds),
		TEST(autoconf_router__passes_times_on),
		TEST(autoconf_router__prefix_is_on_the_link_as_long_as_said),
		TEST(autoconf_router__configured_route_stays),
		TEST(autoconf_router__foolish_prefixes_are_ignored),
		TEST(autoconf_router__flood_of_prefixes_is_bounded),
		TEST(slaac_prefix__makes_an_address),
		TEST(slaac_prefix__ignores_what_makes_no_address),
		TEST(slaac_prefix__two_hours_are_left),
		TEST(slaac_prefix__lifetimes_do_not_overflow),
		TEST(slaac_prefix__configured_address_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
