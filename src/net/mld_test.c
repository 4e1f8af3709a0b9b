/* SPDX-License-Identifier: MIT */
#include "net/group_testing.h"

#define ROUTER ip_address_v6_halves(0xfe80000000000000, 1)
#define GROUP GROUP6(0x123)

/* Type, code, checksum, time, reserved; group; flags, interval, number of sources. */
#define QUERY_V2(ms)                                         \
	{                                                    \
		130, 0, 0, 0, (ms) >> 8, (ms)&0xff, [27] = 0 \
	}

static struct ip_packet packet_of(void)
{
	return (struct ip_packet){
		.source = ROUTER,
		.destination = IPV6_ALL_NODES,
		.protocol = 58,
		.hop_limit = 1,
		.is_v6 = true,
		.to_group = true,
		.is_frame = true,
	};
}

static void arrive(const void *bytes, uint32_t length, const struct ip_packet *packet)
{
	struct buf *frame = rig_frame(bytes, length);

	mld_rx(&rig.net, packet, frame);
	/* It stays the caller's. */
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	netdev_release(&rig.device, frame);
}

/* RFC 8200, section 8.1: with the pseudo header, whose next header is ICMPv6's. */
static void check_common(const struct sent *sent, struct ip_address destination)
{
	uint32_t sum = 58 + sent->length;

	assert_true(ip_address_equal(&sent->destination, &destination));
	assert_int_equal(sent->send.protocol, 58);
	sum = 0xffff ^ (uint32_t)rig_sum(sum, sent->send.source.bytes, 16);
	sum = 0xffff ^ (uint32_t)rig_sum(sum, destination.bytes, 16);
	assert_int_equal(rig_sum(sum, sent->bytes, sent->length), 0);
}

/* RFC 3810, section 5.2. */
static void mld_report__bytes_of_version_2(void **state)
{
	/* fe80 + 2, ff02 + 16, 58 + 28, 8f00 + 1, 0400, ff05 + 123: the sum is 911c. */
	static const uint8_t joins[] = {143, 0, 0x6e, 0xe3, 0, 0, 0, 1, 4, 0, 0, 0, 0xff, 5,
					0,   0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 1,    0x23};
	const struct sent *sent = &rig.sent[0];

	(void)state;
	rig_join(GROUP);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(sent->length, sizeof(joins));
	assert_memory_equal(sent->bytes, joins, sizeof(joins));
	check_common(sent, ip_address_v6_halves(0xff02000000000000, 0x16));
	assert_memory_equal(sent->link.bytes, "\x33\x33\x00\x00\x00\x16", 6);
	assert_true(ip_address_equal(&sent->send.source, &rig.source6));
	assert_int_equal(sent->send.traffic_class, 0);
}

/* RFC 3810, 5.2.13: of the link, or none yet. */
static void mld_report__without_a_link_local_address(void **state)
{
	const struct ip_address none = ip_address_v6_halves(0, 0);

	(void)state;
	rig.source6 = none;
	rig_join(GROUP);
	rig.source6 = ip_address_v6_halves(0xfd00000000000000, 2);
	rig_join(GROUP6(2));
	assert_int_equal(rig.sent_count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(ip_address_equal(&rig.sent[i].send.source, &none));
		check_common(&rig.sent[i], ip_address_v6_halves(0xff02000000000000, 0x16));
	}
}

static void mld_report__of_more_than_a_packet_holds(void **state)
{
	static const uint8_t query[28] = QUERY_V2(100);
	const struct ip_packet packet = packet_of();

	(void)state;
	for (unsigned int i = 0; i < GROUPS_MAX; i++)
		rig_join(GROUP6(i));
	rig_settle();
	/* 48 + 8 + 61 * 20 = 1276. */
	rig.net.mtu_v6 = 1280;
	arrive(query, sizeof(query), &packet);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(rig.sent[0].length, 8 + 61 * 20);
	assert_int_equal(rig.sent[1].length, 8 + 3 * 20);
	assert_int_equal(rig.sent[1].bytes[7], 3);
	for (unsigned int i = 0; i < 2; i++)
		check_common(&rig.sent[i], ip_address_v6_halves(0xff02000000000000, 0x16));
	assert_int_equal(rig.sent[0].bytes[8], 2);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(rig.sent[1].bytes[27 + 20 * i], 61 + i);
	/* Just one: 48 + 8 + 64 * 20. */
	rig.net.mtu_v6 = 1336;
	arrive(query, sizeof(query), &packet);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 3);
}

/* RFC 2710, section 3 and 4. */
static void mld_report__to_a_router_of_version_1(void **state)
{
	static const uint8_t query[24] = {130, 0, 0, 0, 0x03, 0xe8};
	const struct ip_packet packet = packet_of();
	uint8_t expected[24] = {131, 0};

	(void)state;
	rig_join(GROUP);
	rig_settle();
	arrive(query, sizeof(query), &packet);
	rig_advance(SECOND + 10 * MS);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.sent[0].length, 24);
	check_common(&rig.sent[0], GROUP);
	memcpy(expected + 8, GROUP.bytes, 16);
	memcpy(expected + 2, rig.sent[0].bytes + 2, 2);
	assert_memory_equal(rig.sent[0].bytes, expected, 24);
	rig_leave(GROUP);
	check_common(&rig.sent[1], IPV6_ALL_ROUTERS);
	assert_int_equal(rig.sent[1].bytes[0], 132);
	assert_memory_equal(rig.sent[1].bytes + 8, GROUP.bytes, 16);
	assert_true(ip_address_equal(&rig.sent[1].send.source, &rig.source6));
}

/* RFC 3810, 5.1.14 and 6.2: what does not come from the link is not answered. */
static void mld_rx__hostile_queries(void **state)
{
	static const uint8_t query[28] = QUERY_V2(100);
	uint8_t changed[28];
	struct ip_packet packet = packet_of();

	(void)state;
	rig_join(GROUP);
	rig_settle();
	packet.hop_limit = 2;
	arrive(query, sizeof(query), &packet);
	assert_int_equal(rig_drops(WIRE_BAD_HOP_LIMIT), 1);
	packet = packet_of();
	packet.source = ip_address_v6_halves(0xfd00000000000000, 1);
	arrive(query, sizeof(query), &packet);
	assert_int_equal(rig_drops(WIRE_BAD_SOURCE), 1);
	packet = packet_of();
	for (uint32_t length = 0; length < 28; length++) {
		if (length != 24)
			arrive(query, length, &packet);
	}
	assert_int_equal(rig_drops(WIRE_TRUNCATED), 27);
	memcpy(changed, query, sizeof(query));
	changed[27] = 1; /* a source that is not there */
	arrive(changed, sizeof(changed), &packet);
	assert_int_equal(rig_drops(WIRE_TRUNCATED), 28);
	changed[27] = 0;
	changed[8] = 0xfe; /* no group */
	arrive(changed, sizeof(changed), &packet);
	assert_int_equal(rig_drops(WIRE_BAD_TARGET), 1);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 0);
	arrive(query, sizeof(query), &packet);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_GROUP].rx_packets, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(mld_report__bytes_of_version_2),
		rig_test(mld_report__without_a_link_local_address),
		rig_test(mld_report__of_more_than_a_packet_holds),
		rig_test(mld_report__to_a_router_of_version_1),
		rig_test(mld_rx__hostile_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
