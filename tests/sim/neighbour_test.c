/* SPDX-License-Identifier: MIT */
/* Neighbours that go, come back as others, lie, or are too many. */
#include "world.h"

#include "net/neighbour_table.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/ndp.h"
#include "wire/udp.h"

static struct world world;
static struct endpoint at_a, at_b;
static const struct sim_options calm = {.delay_ns = 10 * US};

static const struct eth_address mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}},
				other_mac = {{2, 0, 0, 0, 0, 0x22}}, liar = {{2, 0, 0, 0, 0, 9}};

static struct station *add(unsigned int number, const struct eth_address *mac)
{
	return station_add(&world,
			   &(struct station_options){.number = number, .device = {.mac = *mac}});
}

static void begin(void)
{
	world_begin(&world, &calm);
	endpoint_open(&at_a, add(1, &mac_a), 7);
	endpoint_open(&at_b, add(2, &mac_b), 7);
	world_settle(&world);
}

static void end(void)
{
	endpoint_close(&at_a);
	endpoint_close(&at_b);
	world_end(&world);
}

static struct ip_address address_of_b(bool v6)
{
	return v6 ? V6(2) : V4(10, 0, 0, 2);
}

/* Send every half second until @error is returned. False: it never was within @seconds. */
static bool send_until(bool v6, int error, unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds * 2; i++) {
		if (endpoint_send(&at_a, address_of_b(v6), 7, 1, 100) == error)
			return true;
		world_run(&world, world.now_ns + SECOND / 2);
	}
	return false;
}

static void return_with_another_mac(bool v6, bool was_missed)
{
	begin();
	assert_int_equal(endpoint_send(&at_a, address_of_b(v6), 7, 1, 100), 0);
	world_run(&world, world.now_ns + SECOND);
	assert_int_equal(at_b.received, 1);
	endpoint_close(&at_b);
	station_remove(at_b.station);
	if (was_missed) {
		/* Reachable up to 45 s, delay 5 s, six questions (RFC 4861, section 10). */
		assert_true(send_until(v6, -EHOSTUNREACH, 70));
		world_run(&world, world.now_ns + 10 * SECOND);
	}
	endpoint_open(&at_b, add(2, &other_mac), 7);
	for (unsigned int i = 0; i < 120 && !at_b.received; i++) {
		endpoint_send(&at_a, address_of_b(v6), 7, 1, 100);
		world_run(&world, world.now_ns + SECOND / 2);
	}
	assert_true(at_b.received > 0);
	end();
}

static void sim__a_peer_that_is_gone_is_unreachable_until_it_comes_back(void **state)
{
	(void)state;
	return_with_another_mac(false, true);
	return_with_another_mac(true, true);
}

static void sim__a_peer_with_another_card_is_found_by_the_probe(void **state)
{
	(void)state;
	return_with_another_mac(false, false);
	return_with_another_mac(true, false);
}

static void sim__a_peer_that_never_was_is_unreachable(void **state)
{
	(void)state;
	begin();
	assert_int_equal(endpoint_send(&at_a, V4(10, 0, 0, 77), 7, 1, 100), 0);
	world_run(&world, world.now_ns + 3500 * MS);
	assert_int_equal(endpoint_send(&at_a, V4(10, 0, 0, 77), 7, 1, 100), -EHOSTUNREACH);
	assert_int_equal(
		at_a.station->net->counters.layers[NET_LAYER_ARP].drops[NET_DROP_NO_NEIGHBOUR], 2);
	end();
}

/* ---- Poison ---- */

/* What the liar gets that was not for everybody. */
static void count_stolen(struct station *station, const uint8_t *data, uint32_t length)
{
	assert_true(length >= 14);
	if (!memcmp(data, liar.bytes, 6) && (data[12] << 8 | data[13]) != ETH_TYPE_ARP)
		station->count++;
}

static void lie_by_arp(struct station *station, uint16_t operation, struct eth_address to)
{
	uint8_t frame[60] = {0};
	const struct eth_header eth = {.destination = to, .source = liar, .type = ETH_TYPE_ARP};
	const struct arp_packet packet = {
		.operation = operation,
		.sender = liar,
		.sender_ip = V4(10, 0, 0, 2),
		.target = operation == ARP_REPLY ? mac_a : (struct eth_address){{0}},
		.target_ip = V4(10, 0, 0, 1),
	};

	eth_emit(frame, 14, &eth);
	arp_emit(frame + 14, ARP_BYTES, &packet);
	station_send(station, frame, sizeof(frame));
}

static void lie_by_ndp(struct station *station, bool solicited)
{
	uint8_t frame[14 + IPV6_HEADER_BYTES + 32];
	const struct eth_header eth = {.destination = mac_a, .source = liar, .type = ETH_TYPE_IPV6};
	const struct ndp_message message = {
		.type = ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT,
		.target = V6(2),
		.solicited = solicited,
		.overrides = true,
		.has_target_link = true,
		.target_link = liar,
	};
	struct ipv6_header header = {
		.source = V6(2),
		.destination = V6(1),
		.next_header = IPPROTO_ICMPV6,
		.hop_limit = 255,
	};
	int bytes = ndp_emit(frame + 54, 32, &header.source, &header.destination, &message);

	assert_true(bytes > 0);
	header.payload_bytes = (uint16_t)bytes;
	eth_emit(frame, 14, &eth);
	ipv6_emit(frame + 14, IPV6_HEADER_BYTES, &header);
	station_send(station, frame, 54 + (uint32_t)bytes);
}

static void sim__lies_steal_no_packet_of_a_living_neighbour(void **state)
{
	struct station *mute;
	uint32_t sent = 0;

	(void)state;
	begin();
	mute = station_add_mute(&world, &(struct sim_device_options){.mac = liar});
	mute->heard = count_stolen;
	for (unsigned int round = 0; round < 300; round++) {
		endpoint_send(&at_a, address_of_b(round % 2), 7, sent++, 100);
		if (round > 1) {
			lie_by_arp(mute, ARP_REPLY, mac_a);
			lie_by_arp(mute, ARP_REPLY, eth_address_broadcast());
			lie_by_arp(mute, ARP_REQUEST, eth_address_broadcast());
			lie_by_ndp(mute, round % 3);
		}
		world_run(&world, world.now_ns + 300 * MS);
	}
	assert_int_equal(mute->count, 0);
	assert_int_equal(at_b.received, sent);
	end();
}

/* ---- Floods ---- */

static void count_neighbour(void *context, const struct neighbour *entry)
{
	(void)entry;
	++*(unsigned int *)context;
}

/* A datagram to a closed port from somebody who may not be there: it asks for an ICMP error. */
static void knock(struct station *station, uint32_t host)
{
	uint8_t frame[14 + 20 + 8];
	const struct eth_header eth = {.destination = mac_a, .source = liar, .type = ETH_TYPE_IPV4};
	const struct ipv4_header header = {
		.source = ip_address_v4(0x0a000000 | host),
		.destination = V4(10, 0, 0, 1),
		.total_bytes = 28,
		.ttl = 64,
		.protocol = IPPROTO_UDP,
	};
	const struct udp_header udp = {.source_port = 9, .destination_port = 9, .total_bytes = 8};

	eth_emit(frame, 14, &eth);
	ipv4_emit(frame + 14, 20, &header);
	udp_emit(frame + 34, 8, &udp);
	station_send(station, frame, sizeof(frame));
}

static void sim__a_flood_of_neighbours_is_bounded_and_keeps_the_living(void **state)
{
	struct station *mute;
	uint32_t sent = 0;

	(void)state;
	begin();
	mute = station_add_mute(&world, &(struct sim_device_options){.mac = liar});
	for (uint32_t i = 0; i < 5000; i++) {
		unsigned int count = 0;

		knock(mute, 3 + i % 250);
		if (i % 5 == 0)
			endpoint_send(&at_a, V4(10, 0, 0, (i * 7) % 250 + 3), 9, 0, 100);
		if (i % 50 == 0)
			endpoint_send(&at_a, address_of_b(false), 7, sent++, 100);
		world_run(&world, world.now_ns + MS);
		neighbour_each(at_a.station->net, count_neighbour, &count);
		assert_in_range(count, 0, NEIGHBOURS_MAX);
		assert_in_range(at_a.station->net->neighbours->unresolved.count, 0,
				NEIGHBOURS_MAX / 2);
		/* What waits leaves most frames to others. */
		assert_true(heap_frames_free(at_a.station->device->frames) > STATION_FRAMES / 2);
	}
	assert_int_equal(at_b.received, sent);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__a_peer_that_is_gone_is_unreachable_until_it_comes_back),
		cmocka_unit_test(sim__a_peer_with_another_card_is_found_by_the_probe),
		cmocka_unit_test(sim__a_peer_that_never_was_is_unreachable),
		cmocka_unit_test(sim__lies_steal_no_packet_of_a_living_neighbour),
		cmocka_unit_test(sim__a_flood_of_neighbours_is_bounded_and_keeps_the_living),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
