/* SPDX-License-Identifier: MIT */
/* What routers say: path MTUs, prefixes; and addresses that somebody else has. */
#include "world.h"

#include "net/autoconf.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/ndp.h"
#include "wire/udp.h"

static struct world world;
static struct endpoint at_a, at_b;
static const struct sim_options calm = {.delay_ns = 10 * US};
static const struct eth_address mac_a = {{2, 0, 0, 0, 0, 1}}, router_mac = {{2, 0, 0, 0, 0, 3}};
static struct station *router;

static struct ip_address link_local(uint64_t low)
{
	return ip_address_v6_halves(0xfe80000000000000, low);
}

static void begin(bool autoconf)
{
	struct station_options station = {.autoconf = autoconf, .number = 1};

	world_begin(&world, &calm);
	station.device.mac = mac_a;
	endpoint_open(&at_a, station_add(&world, &station), 7);
	station.number = 2;
	station.device.mac = (struct eth_address){{2, 0, 0, 0, 0, 2}};
	endpoint_open(&at_b, station_add(&world, &station), 7);
	router = station_add_mute(&world, &(struct sim_device_options){.mac = router_mac});
}

static void end(void)
{
	endpoint_close(&at_a);
	endpoint_close(&at_b);
	world_end(&world);
}

static void from_router_v6(const struct eth_address *to, const struct ip_address *source,
			   const struct ip_address *destination, uint8_t *frame,
			   uint32_t payload_bytes)
{
	const struct eth_header eth = {
		.destination = *to, .source = router_mac, .type = ETH_TYPE_IPV6};
	const struct ipv6_header header = {
		.source = *source,
		.destination = *destination,
		.payload_bytes = (uint16_t)payload_bytes,
		.next_header = IPPROTO_ICMPV6,
		.hop_limit = 255,
	};

	eth_emit(frame, 14, &eth);
	ipv6_emit(frame + 14, IPV6_HEADER_BYTES, &header);
	station_send(router, frame, 54 + payload_bytes);
}

/* ---- Gateways of the configuration ---- */

/* As at hosters: no prefix of ours has the gateway, which is on the link, or it is link-local. */
static void sim__a_gateway_that_no_prefix_has_is_reached(void **state)
{
	const struct ip_address of_a[] = {V4(10, 0, 0, 2), link_local(0x000000fffe000002)};
	const struct ip_address of_b[] = {V4(10, 0, 0, 1), link_local(0x000000fffe000001)};
	struct station_options station = {.number = 1, .is_alone = true, .gateways = of_a};

	(void)state;
	world_begin(&world, &calm);
	station.device.mac = mac_a;
	endpoint_open(&at_a, station_add(&world, &station), 7);
	station.number = 2;
	station.gateways = of_b;
	station.device.mac = (struct eth_address){{2, 0, 0, 0, 0, 2}};
	endpoint_open(&at_b, station_add(&world, &station), 7);
	world_settle(&world);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(
			endpoint_send(&at_a, v6 ? V6(2) : V4(10, 0, 0, 2), 7, 1 + v6, 1000), 0);
		assert_int_equal(
			endpoint_send(&at_b, v6 ? V6(1) : V4(10, 0, 0, 1), 7, 1 + v6, 1000), 0);
		world_run(&world, world.now_ns + SECOND);
		assert_int_equal(at_a.received, 1 + v6);
		assert_int_equal(at_b.received, 1 + v6);
	}
	/* And what is behind it goes there too. */
	assert_int_equal(endpoint_send(&at_a, V4(192, 0, 2, 1), 7, 3, 1000), 0);
	assert_int_equal(
		endpoint_send(&at_a, ip_address_v6_halves(0x20010db800000000, 1), 7, 3, 1000), 0);
	world_run(&world, world.now_ns + SECOND);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		enum net_layer layer = v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;

		assert_int_equal(
			at_b.station->net->counters.layers[layer].drops[NET_DROP_NOT_FOR_US], 1);
	}
	end();
}

/* ---- Path MTU ---- */

/* "Too big" about a datagram of a's from @port to b: RFC 1191, RFC 8201. */
static void say_too_big(bool v6, uint16_t port, uint16_t mtu)
{
	const struct udp_header udp = {
		.source_port = port, .destination_port = 7, .total_bytes = 1400};
	struct ip_address a = v6 ? V6(1) : V4(10, 0, 0, 1), b = v6 ? V6(2) : V4(10, 0, 0, 2);
	uint8_t frame[200] = {0}, quoted[100] = {0};
	struct ip_address source = v6 ? V6(3) : V4(10, 0, 0, 3);
	int bytes;

	if (v6) {
		const struct ipv6_header header = {.source = a,
						   .destination = b,
						   .payload_bytes = 1400,
						   .next_header = IPPROTO_UDP,
						   .hop_limit = 60};
		const struct icmp6_message message = {.type = ICMP6_TYPE_TOO_BIG, .mtu = mtu};

		ipv6_emit(quoted, 40, &header);
		udp_emit(quoted + 40, 8, &udp);
		bytes = icmp6_emit(frame + 54, 100, &source, &a, &message, quoted, 60);
		assert_true(bytes > 0);
		from_router_v6(&mac_a, &source, &a, frame, (uint32_t)bytes);
		return;
	}
	const struct ipv4_header header = {.source = a,
					   .destination = b,
					   .total_bytes = 1420,
					   .ttl = 60,
					   .protocol = IPPROTO_UDP,
					   .dont_fragment = true};
	const struct icmp_message message = {.type = ICMP_TYPE_UNREACHABLE,
					     .code = ICMP_UNREACHABLE_TOO_BIG,
					     .next_hop_mtu = mtu};
	const struct eth_header eth = {
		.destination = mac_a, .source = router_mac, .type = ETH_TYPE_IPV4};

	ipv4_emit(quoted, 20, &header);
	udp_emit(quoted + 20, 8, &udp);
	bytes = icmp_emit(frame + 34, 100, &message, quoted, 40);
	assert_true(bytes > 0);
	eth_emit(frame, 14, &eth);
	ipv4_emit(frame + 14, 20,
		  &(struct ipv4_header){.source = source,
					.destination = a,
					.total_bytes = (uint16_t)(20 + bytes),
					.ttl = 60,
					.protocol = IPPROTO_ICMP});
	station_send(router, frame, 34 + (uint32_t)bytes);
}

static void sim__a_path_mtu_is_lowered_by_who_knows_the_flow(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct ip_address peer = v6 ? V6(2) : V4(10, 0, 0, 2);
		uint64_t frames;

		begin(false);
		world_settle(&world);
		assert_int_equal(endpoint_send(&at_a, peer, 7, 1, 1400), 0);
		world_run(&world, world.now_ns + SECOND);
		/* Nobody here has port 8. */
		say_too_big(v6, 8, 1300);
		world_run(&world, world.now_ns + SECOND);
		assert_int_equal(pmtu_find(at_a.station->net, &peer), 1500);
		frames = at_b.station->device->counters.rx_frames;
		assert_int_equal(endpoint_send(&at_a, peer, 7, 2, 1400), 0);
		world_run(&world, world.now_ns + SECOND / 2);
		assert_int_equal(at_b.station->device->counters.rx_frames, frames + 1);
		say_too_big(v6, 7, 1300);
		world_run(&world, world.now_ns + SECOND / 2);
		assert_int_equal(pmtu_find(at_a.station->net, &peer), 1300);
		frames = at_b.station->device->counters.rx_frames;
		assert_int_equal(endpoint_send(&at_a, peer, 7, 3, 1400), 0);
		world_run(&world, world.now_ns + SECOND / 2);
		assert_int_equal(at_b.station->device->counters.rx_frames, frames + 2);
		assert_int_equal(at_b.received, 3);
		at_a.udp.mtu_discover = IP_PMTUDISC_DO;
		assert_int_equal(endpoint_send(&at_a, peer, 7, 4, 1400), -EMSGSIZE);
		/* Ten minutes later it is tried again: RFC 1191, 6.3; RFC 8201, section 4. */
		world_run(&world, world.now_ns + 601 * SECOND);
		assert_int_equal(pmtu_find(at_a.station->net, &peer), 1500);
		end();
	}
}

/* ---- Advertisements ---- */

#define ADVERTISED_BYTES_MAX 32u

/* RFC 4861, 4.2: of no default router, with one option. */
static void advertise_option(const uint8_t *option, uint32_t option_bytes)
{
	uint8_t frame[54 + 16 + ADVERTISED_BYTES_MAX] = {0};
	const struct ip_address source = link_local(3), all = IPV6_ALL_NODES;
	const struct eth_address group = eth_address_of_group(&all);
	uint32_t bytes = 16 + option_bytes;
	uint8_t *message = frame + 54;
	uint64_t sum;

	message[0] = ICMP6_TYPE_ROUTER_ADVERTISEMENT;
	memcpy(message + 16, option, option_bytes);
	sum = checksum_pseudo(&source, &all, IPPROTO_ICMPV6, bytes);
	store_be16(message + 2, checksum_finish(checksum_add(sum, message, bytes)));
	from_router_v6(&group, &source, &all, frame, bytes);
}

/* 4.6.2: an autonomous prefix that is on the link. */
static void advertise(uint32_t valid_s, uint32_t preferred_s)
{
	uint8_t option[32] = {3, 4, 64, 0xc0};

	store_be32(option + 4, valid_s);
	store_be32(option + 8, preferred_s);
	store_be64(option + 16, 0x20010db800000000);
	advertise_option(option, sizeof(option));
}

/* 4.6.4 */
static void advertise_mtu(uint32_t mtu)
{
	uint8_t option[8] = {5, 1};

	store_be32(option + 4, mtu);
	advertise_option(option, sizeof(option));
}

/* RFC 4861, 6.3.4: it is the MTU of IPv6 on the link, and of nothing else. */
static void sim__an_advertised_mtu_is_of_ipv6_alone(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct ip_address peer = v6 ? V6(2) : V4(10, 0, 0, 2);
		uint64_t frames;

		begin(true);
		world_settle(&world);
		advertise_mtu(1280);
		world_run(&world, world.now_ns + SECOND);
		assert_int_equal(pmtu_find(at_a.station->net, &peer), v6 ? 1280 : 1500);
		assert_int_equal(endpoint_send(&at_a, peer, 7, 1, 100), 0);
		world_run(&world, world.now_ns + SECOND);
		frames = at_b.station->device->counters.rx_frames;
		assert_int_equal(endpoint_send(&at_a, peer, 7, 2, 1400), 0);
		world_run(&world, world.now_ns + SECOND / 2);
		assert_int_equal(at_b.station->device->counters.rx_frames, frames + 1 + v6);
		assert_int_equal(at_b.received, 2);
		at_a.udp.mtu_discover = IP_PMTUDISC_DO;
		assert_int_equal(endpoint_send(&at_a, peer, 7, 3, 1400), v6 ? -EMSGSIZE : 0);
		/* A router may take it back. */
		advertise_mtu(1500);
		world_run(&world, world.now_ns + SECOND);
		assert_int_equal(endpoint_send(&at_a, peer, 7, 4, 1400), 0);
		world_run(&world, world.now_ns + SECOND);
		end();
	}
}

/* Of the prefix and mac_a: RFC 4291, appendix A. */
static struct ip_address slaac_of_a(void)
{
	return ip_address_v6_halves(0x20010db800000000, 0x000000fffe000001);
}

static struct ip_address slaac_of_b(void)
{
	return ip_address_v6_halves(0x20010db800000000, 0x000000fffe000002);
}

static void sim__an_advertised_prefix_gives_addresses_until_it_expires(void **state)
{
	const struct ip_address ours = slaac_of_a(), theirs = slaac_of_b();

	(void)state;
	begin(true);
	world_settle(&world);
	assert_null(net_has_address(at_a.station->net, &ours));
	advertise(100, 50);
	world_run(&world, world.now_ns + 5 * SECOND);
	assert_non_null(net_has_address(at_a.station->net, &ours));
	assert_int_equal(endpoint_send(&at_a, theirs, 7, 1, 3000), 0);
	world_run(&world, world.now_ns + SECOND);
	assert_int_equal(at_b.received, 1);
	assert_true(ip_address_equal(&at_b.source, &ours));
	/* Preferred for 50 s, then for what is there already (RFC 4862, 5.5.4). */
	assert_false(net_has_address(at_a.station->net, &ours)->is_deprecated);
	world_run(&world, world.now_ns + 50 * SECOND);
	assert_true(net_has_address(at_a.station->net, &ours)->is_deprecated);
	world_run(&world, world.now_ns + 50 * SECOND);
	assert_null(net_has_address(at_a.station->net, &ours));
	assert_int_equal(endpoint_send(&at_a, theirs, 7, 2, 100), -ENETUNREACH);
	end();
}

/* ---- Duplicates ---- */

/* Answers whoever asks whether slaac_of_a() is free: RFC 4862, 5.4.4. */
static void claim(struct station *station, const uint8_t *data, uint32_t length)
{
	const struct ip_address target = slaac_of_a(), all = IPV6_ALL_NODES;
	const struct eth_address group = eth_address_of_group(&all);
	const struct ndp_message message = {
		.type = ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT,
		.target = target,
		.overrides = true,
		.has_target_link = true,
		.target_link = router_mac,
	};
	uint8_t frame[54 + 32];

	if (length < 78 || data[12] != 0x86 || data[54] != ICMP6_TYPE_NEIGHBOR_SOLICITATION ||
	    memcmp(data + 62, target.bytes, 16) != 0)
		return;
	station->count++;
	assert_int_equal(ndp_emit(frame + 54, 32, &target, &all, &message), 32);
	from_router_v6(&group, &target, &all, frame, 32);
}

static void sim__an_address_that_somebody_has_is_given_up(void **state)
{
	const struct ip_address ours = slaac_of_a(), theirs = slaac_of_b();

	(void)state;
	begin(true);
	world_settle(&world);
	router->heard = claim;
	advertise(1000, 500);
	world_run(&world, world.now_ns + 5 * SECOND);
	assert_int_equal(router->count, 1);
	assert_null(net_has_address(at_a.station->net, &ours));
	assert_non_null(net_has_address(at_b.station->net, &theirs));
	/* The same prefix does not bring it back. */
	advertise(1000, 500);
	world_run(&world, world.now_ns + 5 * SECOND);
	assert_null(net_has_address(at_a.station->net, &ours));
	end();
}

static void sim__a_configured_address_is_defended(void **state)
{
	const struct ip_address ours = V4(10, 0, 0, 1);
	struct station *second;

	(void)state;
	begin(false);
	world_settle(&world);
	second = station_add(&world, &(struct station_options){.number = 1});
	world_settle(&world);
	assert_non_null(net_has_address(at_a.station->net, &ours));
	assert_true(at_a.station->net->counters.layers[NET_LAYER_ARP].drops[NET_DROP_CONFLICT] +
			    second->net->counters.layers[NET_LAYER_ARP].drops[NET_DROP_CONFLICT] >
		    0);
	/* Neither answers the other's defence for ever: RFC 5227, 2.4, c. */
	assert_true(at_a.station->device->counters.tx_frames < 40);
	station_remove(second);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__a_gateway_that_no_prefix_has_is_reached),
		cmocka_unit_test(sim__a_path_mtu_is_lowered_by_who_knows_the_flow),
		cmocka_unit_test(sim__an_advertised_mtu_is_of_ipv6_alone),
		cmocka_unit_test(sim__an_advertised_prefix_gives_addresses_until_it_expires),
		cmocka_unit_test(sim__an_address_that_somebody_has_is_given_up),
		cmocka_unit_test(sim__a_configured_address_is_defended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
