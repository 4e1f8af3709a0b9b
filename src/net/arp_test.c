/* SPDX-License-Identifier: MIT */
#include "net/link_testing.h"

#include "net/autoconf.h"
#include "net/icmp.h"
#include "wire/arp.h"

/* ---- What arp.c calls ---- */

static struct heard {
	struct neighbour_news news;
	unsigned int learnt, conflicts;
	bool known;   /* what neighbour_learn says */
	bool limited; /* no more answers */
	struct eth_address conflict_link;
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

bool icmp_neighbour_allows(struct net *net, enum net_layer layer)
{
	if (heard.limited)
		net_count_drop(net, layer, NET_DROP_RATE_LIMIT);
	return !heard.limited;
}

static int setup(void **state)
{
	link_setup(state);
	memset(&heard, 0, sizeof(heard));
	link_own(V4(10, 0, 0, 1));
	link_own(V4(10, 0, 0, 2));
	return 0;
}

/* 10.0.0.9 at 02:00:00:00:00:09 asks 10.0.0.2. */
static const uint8_t request[28] = {0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 9,
				    10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
/* And tells 10.0.0.1 at 02:00:00:00:00:01 about itself. */
static const uint8_t reply[28] = {0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 9,
				  10, 0, 0, 9, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1};

static void receive_from(const uint8_t *bytes, uint32_t length, struct eth_address from,
			 struct eth_address to)
{
	struct eth_header eth = {.source = from, .destination = to, .type = ETH_TYPE_ARP};

	arp_rx(&at.net, &eth, link_frame(bytes, length));
	assert_int_equal(heap_frames_free(at.device.frames), FRAMES);
}

static void receive(const uint8_t *bytes)
{
	receive_from(bytes, 28, MAC(9), bytes[7] == 1 ? eth_address_broadcast() : MAC(1));
}

static void receive_changed(const uint8_t *bytes, unsigned int place, uint8_t value)
{
	uint8_t copy[28];

	memcpy(copy, bytes, 28);
	copy[place] = value;
	receive(copy);
}

static void expect_sent(const uint8_t *bytes, struct eth_address to)
{
	assert_int_equal(at.sent_count, 1);
	assert_int_equal(at.sent[0].type, 0x0806);
	assert_int_equal(at.sent[0].length, 28);
	assert_memory_equal(at.sent[0].bytes, bytes, 28);
	assert_memory_equal(at.sent[0].to.bytes, to.bytes, 6);
	assert_int_equal(at.net.counters.layers[NET_LAYER_ARP].tx_packets, 1);
	assert_int_equal(at.net.counters.layers[NET_LAYER_ARP].tx_bytes, 28);
}

/* RFC 826: the answer goes to who asks, from the address that was asked for. */
static void arp_rx__answers_for_our_addresses(void **state)
{
	static const uint8_t expected[28] = {0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 1,
					     10, 0, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 9};

	(void)state;
	receive(request);
	expect_sent(expected, MAC(9));
	assert_int_equal(link_all_drops(NET_LAYER_ARP), 0);
	assert_int_equal(at.net.counters.layers[NET_LAYER_ARP].rx_packets, 1);
	assert_int_equal(heard.learnt, 1);
	assert_true(heard.news.asks_us && heard.news.has_link && !heard.news.is_answer);
	assert_int_equal(heard.news.link.bytes[5], 9);
}

static void arp_rx__answers_nobody_else(void **state)
{
	(void)state;
	receive_changed(request, 27, 3);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_NOT_FOR_US), 1);
	assert_false(heard.news.asks_us);
	/* One of a neighbour that we know is news, not a drop. */
	heard.known = true;
	receive_changed(request, 27, 3);
	assert_int_equal(link_all_drops(NET_LAYER_ARP), 1);
}

/* RFC 5227, 2.1.1: a probe must be answered, and says nothing about its sender. */
static void arp_rx__answers_probes(void **state)
{
	static const uint8_t expected[28] = {0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1,
					     10, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0};
	uint8_t probe[28];

	(void)state;
	memcpy(probe, request, 28);
	memset(probe + 14, 0, 4);
	receive(probe);
	expect_sent(expected, MAC(9));
	assert_int_equal(heard.learnt, 0);
	assert_int_equal(heard.conflicts, 0);
}

static void arp_rx__answers_at_a_bounded_rate(void **state)
{
	(void)state;
	heard.limited = true;
	receive(request);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_RATE_LIMIT), 1);
}

static void arp_rx__takes_answers_to_us(void **state)
{
	(void)state;
	heard.known = true;
	receive(reply);
	assert_true(heard.news.is_answer && heard.news.overrides && !heard.news.asks_us);
	assert_true(ip_address_low32(&heard.news.ip) == 0x0a000009);
	assert_int_equal(heard.news.link.bytes[5], 9);
	assert_int_equal(link_all_drops(NET_LAYER_ARP), 0);
	heard.known = false;
	receive(reply);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_UNSOLICITED), 1);
	assert_int_equal(at.sent_count, 0);
}

/* Broadcast replies, and those to another, are no answers. */
static void arp_rx__gratuitous_replies_are_no_answers(void **state)
{
	(void)state;
	receive_from(reply, 28, MAC(9), eth_address_broadcast());
	assert_false(heard.news.is_answer);
	receive_changed(reply, 23, 7);
	assert_false(heard.news.is_answer);
	receive_changed(reply, 27, 7);
	assert_false(heard.news.is_answer);
	assert_int_equal(heard.learnt, 3);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_UNSOLICITED), 3);
}

static void arp_rx__sender_is_the_frames_source(void **state)
{
	(void)state;
	receive_from(request, 28, MAC(8), MAC(1));
	receive_from(reply, 28, MAC(8), MAC(1));
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_SPOOFED), 2);
	assert_int_equal(heard.learnt + at.sent_count, 0);
}

/* RFC 5227, 2.4: whatever the packet is for. */
static void arp_rx__finds_conflicts(void **state)
{
	(void)state;
	receive_changed(request, 17, 1);
	receive_changed(reply, 17, 2);
	assert_int_equal(heard.conflicts, 2);
	assert_int_equal(heard.conflict_link.bytes[5], 9);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_CONFLICT), 2);
	assert_int_equal(heard.learnt + at.sent_count, 0);
}

static void arp_rx__counts_what_is_malformed(void **state)
{
	(void)state;
	for (uint32_t length = 0; length < 28; length++)
		receive_from(request, length, MAC(9), MAC(1));
	assert_int_equal(link_drops(NET_LAYER_ARP, WIRE_TRUNCATED), 28);
	for (unsigned int place = 0; place < 8; place++)
		receive_changed(request, place, 0x77);
	assert_int_equal(link_drops(NET_LAYER_ARP, WIRE_BAD_TYPE), 8);
	receive_changed(request, 14, 127);
	assert_int_equal(link_drops(NET_LAYER_ARP, WIRE_BAD_SOURCE), 1);
	assert_int_equal(heard.learnt + at.sent_count + heard.conflicts, 0);
	assert_int_equal(at.net.counters.layers[NET_LAYER_ARP].rx_packets, 37);
}

static void arp_ask__asks_all_or_one(void **state)
{
	static const uint8_t expected[28] = {0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
					     10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9};
	struct ip_address ip = V4(10, 0, 0, 9);
	struct eth_address one = MAC(9);

	(void)state;
	arp_ask(&at.net, &ip, NULL);
	expect_sent(expected, eth_address_broadcast());
	arp_ask(&at.net, &ip, &one);
	assert_memory_equal(at.sent[1].bytes, expected, 28);
	assert_memory_equal(at.sent[1].to.bytes, one.bytes, 6);
	/* Without an address there is nobody to answer to. */
	at.net.address_count = 0;
	arp_ask(&at.net, &ip, NULL);
	assert_int_equal(at.sent_count, 2);
}

/* RFC 5227, 2.1.1 and 2.3. */
static void arp_detect__has_no_sender(void **state)
{
	static const uint8_t expected[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
					     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
	struct ip_address ip = V4(10, 0, 0, 2);

	(void)state;
	arp_detect(&at.net, &ip);
	expect_sent(expected, eth_address_broadcast());
}

static void arp_announce__is_a_request_for_itself(void **state)
{
	static const uint8_t expected[28] = {0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
					     10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
	struct ip_address ip = V4(10, 0, 0, 2);

	(void)state;
	arp_announce(&at.net, &ip);
	expect_sent(expected, eth_address_broadcast());
}

static void arp_tx__counts_when_no_frame_is_free(void **state)
{
	struct buf *frames[FRAMES];
	struct ip_address ip = V4(10, 0, 0, 2);

	(void)state;
	for (unsigned int i = 0; i < FRAMES; i++)
		frames[i] = link_frame(NULL, 0);
	arp_announce(&at.net, &ip);
	assert_int_equal(at.sent_count, 0);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_NO_FRAME), 1);
	for (unsigned int i = 0; i < FRAMES; i++)
		netdev_release(&at.device, frames[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arp_rx__answers_for_our_addresses),
		TEST(arp_rx__answers_nobody_else),
		TEST(arp_rx__answers_probes),
		TEST(arp_rx__answers_at_a_bounded_rate),
		TEST(arp_rx__takes_answers_to_us),
		TEST(arp_rx__gratuitous_replies_are_no_answers),
		TEST(arp_rx__sender_is_the_frames_source),
		TEST(arp_rx__finds_conflicts),
		TEST(arp_rx__counts_what_is_malformed),
		TEST(arp_ask__asks_all_or_one),
		TEST(arp_detect__has_no_sender),
		TEST(arp_announce__is_a_request_for_itself),
		TEST(arp_tx__counts_when_no_frame_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
