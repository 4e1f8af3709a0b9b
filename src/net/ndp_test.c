/* SPDX-License-Identifier: MIT */
#include "net/link_testing.h"

#include "net/autoconf.h"
#include "net/icmp.h"

/* ---- What ndp.c calls ---- */

static struct heard {
	struct neighbour_news news;
	unsigned int learnt, conflicts, routers, gone;
	bool known;     /* what neighbour_learn says */
	bool limited;   /* no more answers */
	bool tentative; /* our addresses */
	struct eth_address conflict_link;
	uint16_t lifetime_s;
} heard;

bool neighbour_learn(struct net *net, const struct neighbour_news *news)
{
	(void)net;
	heard.news = *news;
	heard.learnt++;
	return heard.known;
}

void autoconf_conflict(struct net *net, const struct ip_address *ip, const struct eth_address *link)
{
	assert_non_null(net_has_address(net, ip));
	heard.conflict_link = *link;
	heard.conflicts++;
}

bool autoconf_is_tentative(const struct net *net, const struct ip_address *ip)
{
	(void)net;
	(void)ip;
	return heard.tentative;
}

void autoconf_router(struct net *net, const struct ip_address *router,
		     const struct ndp_message *message)
{
	(void)net;
	assert_int_equal(router->bytes[15], 9);
	heard.lifetime_s = message->lifetime_s;
	heard.routers++;
}

void autoconf_router_gone(struct net *net, const struct ip_address *ip)
{
	(void)net;
	assert_int_equal(ip->bytes[15], 9);
	heard.gone++;
}

bool icmp_neighbour_allows(struct net *net, enum net_layer layer)
{
	if (heard.limited)
		net_count_drop(net, layer, NET_DROP_RATE_LIMIT);
	return !heard.limited;
}

#define NEAR(last) ip_address_v6_halves(0xfe80000000000000, last)
#define GLOBAL(last) ip_address_v6_halves(0x20010db800000000, last)
#define SOLICITED(last) ip_address_v6_halves(0xff02000000000000, 0x1ff000000 | (last))
#define NOBODY ip_address_v6_halves(0, 0)

static int setup(void **state)
{
	link_setup(state);
	memset(&heard, 0, sizeof(heard));
	link_own(NEAR(1));
	link_own(GLOBAL(1));
	return 0;
}

/* fe80::9 at 02:00:00:00:00:19 asks for fe80::1. */
static const uint8_t solicitation[32] = {135, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0,
					 0,   0, 0, 0, 0, 0, 0, 1, 1,    1,    2, 0, 0, 0, 0, 0x19};
/* And says that it is there: solicited, override. */
static const uint8_t advertisement[32] = {136, 0, 0, 0, 0x60, 0, 0, 0, 0xfe, 0x80, 0,
					  0,   0, 0, 0, 0,    0, 0, 0, 0,    0,    0,
					  0,   9, 2, 1, 2,    0, 0, 0, 0,    0x19};
/* As a router for 1800 s. */
static const uint8_t router[16] = {134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0};

static struct ip_packet packet_of(struct ip_address source, struct ip_address destination)
{
	return (struct ip_packet){
		.source = source,
		.destination = destination,
		.protocol = IPPROTO_ICMPV6,
		.hop_limit = 255,
		.is_v6 = true,
		.to_group = ip_address_is_multicast(&destination),
		.link_source = MAC(9),
	};
}

/* The message lies in memory of just its length. */
static void receive_packet(const struct ip_packet *packet, const uint8_t *bytes, uint32_t length)
{
	struct buf buf = {.data = malloc(length ? length : 1), .length = length};

	assert_non_null(buf.data);
	if (length)
		memcpy(buf.data, bytes, length);
	ndp_rx(&at.net, packet, &buf);
	free(buf.data);
}

static void receive(struct ip_address source, struct ip_address destination, const uint8_t *bytes,
		    uint32_t length)
{
	struct ip_packet packet = packet_of(source, destination);

	receive_packet(&packet, bytes, length);
}

static void receive_changed(const uint8_t *bytes, unsigned int place, uint8_t value)
{
	uint8_t copy[32];

	memcpy(copy, bytes, 32);
	copy[place] = value;
	receive(NEAR(9), NEAR(1), copy, 32);
}

static void expect_sent(const uint8_t *bytes, uint32_t length, struct eth_address to)
{
	assert_int_equal(at.sent_count, 1);
	assert_int_equal(at.sent[0].type, 0x86dd);
	assert_int_equal(at.sent[0].length, length);
	assert_memory_equal(at.sent[0].bytes, bytes, length);
	assert_memory_equal(at.sent[0].to.bytes, to.bytes, 6);
	assert_int_equal(at.net.counters.layers[NET_LAYER_NDP].tx_packets, 1);
	assert_int_equal(at.net.counters.layers[NET_LAYER_NDP].tx_bytes, length - 40);
	assert_int_equal(at.net.counters.layers[NET_LAYER_IPV6].tx_packets, 1);
	assert_int_equal(at.net.counters.layers[NET_LAYER_IPV6].tx_bytes, length);
}

/* ---- Solicitations ---- */

/* RFC 4861, 7.2.4: solicited, override, no router, to the link address of the option. */
static const uint8_t answer[72] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x88, 0x00, 0x18, 0x15, 0x60,
	0x00, 0x00, 0x00, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x01, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
};

static void ndp_rx__answers_solicitations(void **state)
{
	(void)state;
	receive(NEAR(9), SOLICITED(1), solicitation, 32);
	expect_sent(answer, sizeof(answer), MAC(0x19));
	assert_int_equal(link_all_drops(NET_LAYER_NDP), 0);
	assert_true(heard.news.asks_us && heard.news.has_link && !heard.news.is_answer);
	assert_int_equal(heard.news.link.bytes[5], 0x19);
}

/* Without the option he is where the frame came from. */
static void ndp_rx__answers_a_probe_where_it_came_from(void **state)
{
	(void)state;
	receive(NEAR(9), NEAR(1), solicitation, 24);
	expect_sent(answer, sizeof(answer), MAC(9));
	assert_false(heard.news.has_link);
}

static void ndp_rx__answers_for_our_addresses_only(void **state)
{
	(void)state;
	receive_changed(solicitation, 23, 2);
	assert_int_equal(at.sent_count + heard.learnt, 0);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_NOT_FOR_US), 1);
}

static void ndp_rx__answers_at_a_bounded_rate(void **state)
{
	(void)state;
	heard.limited = true;
	receive(NEAR(9), SOLICITED(1), solicitation, 32);
	receive(NOBODY, SOLICITED(1), solicitation, 24);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_RATE_LIMIT), 2);
}

/* RFC 4862, 5.4.3 and RFC 4861, 7.2.4: who wants our address is told before all. */
static void ndp_rx__defends_against_detection(void **state)
{
	static const uint8_t expected[72] = {
		0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x01, 0x88, 0x00, 0xf9, 0x2a, 0x20, 0x00, 0x00, 0x00,
		0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x01, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	};
	uint8_t claim[24];

	(void)state;
	memcpy(claim, solicitation, 24);
	memcpy(claim + 8, GLOBAL(1).bytes, 16);
	receive(NOBODY, SOLICITED(1), claim, 24);
	expect_sent(expected, sizeof(expected), (struct eth_address){{0x33, 0x33, 0, 0, 0, 1}});
	assert_int_equal(heard.conflicts + heard.learnt, 0);
}

/* RFC 4862, 5.4.3: both of us are only trying. */
static void ndp_rx__detection_by_another_is_a_conflict_while_tentative(void **state)
{
	(void)state;
	heard.tentative = true;
	receive(NOBODY, SOLICITED(1), solicitation, 24);
	assert_int_equal(heard.conflicts, 1);
	assert_int_equal(heard.conflict_link.bytes[5], 9);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_CONFLICT), 1);
}

/* RFC 4429, 3.2: nobody's cache is overridden for an optimistic address. */
static void ndp_rx__overrides_not_while_tentative(void **state)
{
	(void)state;
	heard.tentative = true;
	receive(NEAR(9), SOLICITED(1), solicitation, 32);
	assert_int_equal(at.sent_count, 1);
	assert_int_equal(at.sent[0].bytes[44], 0x40);
}

static void ndp_rx__our_address_as_source_is_a_conflict(void **state)
{
	(void)state;
	receive(GLOBAL(1), SOLICITED(1), solicitation, 32);
	assert_int_equal(heard.conflicts, 1);
	assert_int_equal(at.sent_count + heard.learnt, 0);
}

/* Else we would send to ourselves what is for another. */
static void ndp_rx__our_link_address_is_nobody_elses(void **state)
{
	(void)state;
	heard.known = true;
	receive_changed(solicitation, 31, 1);
	receive_changed(advertisement, 31, 1);
	assert_int_equal(at.sent_count + heard.learnt, 0);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_SPOOFED), 2);
}

/* ---- Advertisements ---- */

static void ndp_rx__takes_answers_to_us(void **state)
{
	struct ip_address nine = NEAR(9);

	(void)state;
	heard.known = true;
	receive(NEAR(9), NEAR(1), advertisement, 32);
	assert_true(heard.news.is_answer && heard.news.overrides && heard.news.has_link);
	assert_false(heard.news.is_router || heard.news.asks_us);
	assert_true(ip_address_equal(&heard.news.ip, &nine));
	assert_int_equal(heard.news.link.bytes[5], 0x19);
	assert_int_equal(heard.gone, 1);
	receive_changed(advertisement, 4, 0xc0);
	assert_true(heard.news.is_answer && heard.news.is_router && !heard.news.overrides);
	assert_int_equal(heard.gone, 1);
	receive(NEAR(9), NEAR(1), advertisement, 24);
	assert_false(heard.news.has_link);
	assert_int_equal(link_all_drops(NET_LAYER_NDP), 0);
}

/* RFC 4861, 7.2.5: to all nodes it is no answer; 7.1.2: nor may it say that it were. */
static void ndp_rx__unsolicited_is_no_answer(void **state)
{
	uint8_t unsolicited[32];

	(void)state;
	receive(NEAR(9), IPV6_ALL_NODES, advertisement, 32);
	assert_int_equal(link_drops(NET_LAYER_NDP, WIRE_BAD_DESTINATION), 1);
	assert_int_equal(heard.learnt, 0);
	memcpy(unsolicited, advertisement, 32);
	unsolicited[4] = 0x20;
	receive(NEAR(9), IPV6_ALL_NODES, unsolicited, 32);
	assert_int_equal(heard.learnt, 1);
	assert_false(heard.news.is_answer);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_UNSOLICITED), 1);
	/* Even if it casts doubt, it ends no router. */
	heard.known = true;
	receive(NEAR(9), IPV6_ALL_NODES, unsolicited, 32);
	assert_int_equal(heard.gone, 0);
}

/* RFC 4862, 5.4.4. */
static void ndp_rx__advertisement_of_ours_is_a_conflict(void **state)
{
	(void)state;
	receive_changed(advertisement, 23, 1);
	assert_int_equal(heard.conflicts, 1);
	assert_int_equal(heard.conflict_link.bytes[5], 0x19);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_CONFLICT), 1);
	assert_int_equal(heard.learnt + at.sent_count, 0);
}

/* ---- Routers ---- */

/* RFC 4861, 6.1.2: from the link, and from a link-local address. */
static void ndp_rx__hears_routers_of_the_link_only(void **state)
{
	struct ip_packet packet = packet_of(NEAR(9), IPV6_ALL_NODES);

	(void)state;
	receive_packet(&packet, router, 16);
	assert_int_equal(heard.routers, 1);
	assert_int_equal(heard.lifetime_s, 1800);
	packet.hop_limit = 254;
	receive_packet(&packet, router, 16);
	assert_int_equal(link_drops(NET_LAYER_NDP, WIRE_BAD_HOP_LIMIT), 1);
	receive(GLOBAL(9), IPV6_ALL_NODES, router, 16);
	receive(NOBODY, IPV6_ALL_NODES, router, 16);
	assert_int_equal(link_drops(NET_LAYER_NDP, WIRE_BAD_SOURCE), 2);
	assert_int_equal(heard.routers, 1);
}

static void ndp_rx__refuses_redirects(void **state)
{
	uint8_t redirect[40] = {137, [8] = 0xfe, 0x80, [23] = 9, [24] = 0x20,
				1,   0xd,        0xb8, [39] = 7};

	(void)state;
	receive(NEAR(9), NEAR(1), redirect, 40);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_UNSOLICITED), 1);
	assert_int_equal(link_all_drops(NET_LAYER_NDP), 1);
	assert_int_equal(heard.learnt + heard.routers + at.sent_count, 0);
}

static void ndp_rx__is_no_router(void **state)
{
	static const uint8_t solicit[8] = {133};

	(void)state;
	receive(NEAR(9), IPV6_ALL_ROUTERS, solicit, 8);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_NOT_FOR_US), 1);
	assert_int_equal(at.sent_count, 0);
}

static void ndp_rx__counts_what_is_malformed(void **state)
{
	uint64_t before;

	(void)state;
	for (uint32_t length = 0; length < 24; length++) {
		receive(NEAR(9), NEAR(1), solicitation, length);
		receive(NEAR(9), NEAR(1), advertisement, length);
	}
	for (uint32_t length = 0; length < 16; length++)
		receive(NEAR(9), IPV6_ALL_NODES, router, length);
	assert_int_equal(link_drops(NET_LAYER_NDP, WIRE_TRUNCATED), 64);
	for (uint32_t length = 25; length < 32; length++)
		receive(NEAR(9), NEAR(1), advertisement, length);
	assert_int_equal(link_drops(NET_LAYER_NDP, WIRE_BAD_OPTION), 7);
	before = link_all_drops(NET_LAYER_NDP);
	assert_int_equal(before, 71);
	assert_int_equal(at.net.counters.layers[NET_LAYER_NDP].rx_packets, 71);
	assert_int_equal(heard.learnt + at.sent_count + heard.routers, 0);
}

/* ---- What we send ---- */

/* RFC 4861, 7.2.2; RFC 2464, section 7. */
static void ndp_ask__asks_the_group_or_one(void **state)
{
	static const uint8_t expected[72] = {
		0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0xfe, 0x80, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		0xff, 0x00, 0x00, 0x09, 0x87, 0x00, 0x7a, 0x89, 0x00, 0x00, 0x00, 0x00,
		0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x09, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	};
	struct ip_address ip = NEAR(9);
	struct eth_address one = MAC(0x19);

	(void)state;
	ndp_ask(&at.net, &ip, NULL);
	expect_sent(expected, sizeof(expected), (struct eth_address){{0x33, 0x33, 0xff, 0, 0, 9}});
	ndp_ask(&at.net, &ip, &one);
	assert_memory_equal(at.sent[1].bytes + 24, ip.bytes, 16);
	assert_memory_equal(at.sent[1].to.bytes, one.bytes, 6);
	/* RFC 4429, 3.2: no link address of a tentative source. */
	heard.tentative = true;
	ndp_ask(&at.net, &ip, NULL);
	assert_int_equal(at.sent[2].length, 64);
	at.net.address_count = 0;
	ndp_ask(&at.net, &ip, NULL);
	assert_int_equal(at.sent_count, 3);
}

/* RFC 4862, 5.4.2. */
static void ndp_detect__has_no_source(void **state)
{
	static const uint8_t expected[64] = {
		0x60, 0x00, 0x00, 0x00, 0x00, 0x18, 0x3a, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x02,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0x00, 0x00,
		0x01, 0x87, 0x00, 0x7c, 0x25, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x80, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
	};
	struct ip_address ip = NEAR(1);

	(void)state;
	ndp_detect(&at.net, &ip);
	expect_sent(expected, sizeof(expected), (struct eth_address){{0x33, 0x33, 0xff, 0, 0, 1}});
}

/* RFC 4861, 6.3.7. */
static void ndp_ask_routers__asks_all_of_them(void **state)
{
	static const uint8_t expected[56] = {
		0x60, 0x00, 0x00, 0x00, 0x00, 0x10, 0x3a, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0x02, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x85, 0x00,
		0x7a, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	};

	(void)state;
	ndp_ask_routers(&at.net);
	expect_sent(expected, sizeof(expected), (struct eth_address){{0x33, 0x33, 0, 0, 0, 2}});
	/* Without an address, and without saying where we are (RFC 4861, 4.1). */
	at.net.address_count = 0;
	ndp_ask_routers(&at.net);
	assert_int_equal(at.sent[1].length, 48);
	assert_memory_equal(at.sent[1].bytes + 8, NOBODY.bytes, 16);
}

static void ndp_announce__counts_when_no_frame_is_free(void **state)
{
	struct buf *frames[FRAMES];
	struct ip_address ip = NEAR(1);

	(void)state;
	for (unsigned int i = 0; i < FRAMES; i++)
		frames[i] = link_frame(NULL, 0);
	ndp_announce(&at.net, &ip);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_NO_FRAME), 1);
	for (unsigned int i = 0; i < FRAMES; i++)
		netdev_release(&at.device, frames[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ndp_rx__answers_solicitations),
		TEST(ndp_rx__answers_a_probe_where_it_came_from),
		TEST(ndp_rx__answers_for_our_addresses_only),
		TEST(ndp_rx__answers_at_a_bounded_rate),
		TEST(ndp_rx__defends_against_detection),
		TEST(ndp_rx__detection_by_another_is_a_conflict_while_tentative),
		TEST(ndp_rx__overrides_not_while_tentative),
		TEST(ndp_rx__our_address_as_source_is_a_conflict),
		TEST(ndp_rx__our_link_address_is_nobody_elses),
		TEST(ndp_rx__takes_answers_to_us),
		TEST(ndp_rx__unsolicited_is_no_answer),
		TEST(ndp_rx__advertisement_of_ours_is_a_conflict),
		TEST(ndp_rx__hears_routers_of_the_link_only),
		TEST(ndp_rx__refuses_redirects),
		TEST(ndp_rx__is_no_router),
		TEST(ndp_rx__counts_what_is_malformed),
		TEST(ndp_ask__asks_the_group_or_one),
		TEST(ndp_detect__has_no_source),
		TEST(ndp_ask_routers__asks_all_of_them),
		TEST(ndp_announce__counts_when_no_frame_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
