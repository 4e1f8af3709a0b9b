/* SPDX-License-Identifier: MIT */
#include "net/group_testing.h"

static struct ip_packet packet_of(uint8_t ttl)
{
	return (struct ip_packet){
		.source = V4(10, 0, 0, 1),
		.destination = V4(224, 0, 0, 1),
		.protocol = 2,
		.hop_limit = ttl,
		.to_group = true,
		.is_frame = true,
	};
}

static void arrive(const void *bytes, uint32_t length, uint8_t ttl)
{
	struct ip_packet packet = packet_of(ttl);

	igmp_rx(&rig.net, &packet, rig_frame(bytes, length));
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
}

static void check_common(const struct sent *sent, struct ip_address destination)
{
	assert_true(ip_address_equal(&sent->destination, &destination));
	assert_int_equal(sent->send.protocol, 2);
	assert_int_equal(rig_sum(0, sent->bytes, sent->length), 0);
}

/* RFC 3376, section 4.2: sums by hand. */
static void igmp_report__bytes_of_version_3(void **state)
{
	static const uint8_t joins[] = {0x22, 0, 0xe8, 0xf9, 0, 0, 0, 1, 4, 0, 0, 0, 0xef, 1, 2, 3};
	const struct sent *sent = &rig.sent[0];

	(void)state;
	rig_join(V4(239, 1, 2, 3));
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(sent->length, sizeof(joins));
	assert_memory_equal(sent->bytes, joins, sizeof(joins));
	check_common(sent, V4(224, 0, 0, 22));
	assert_memory_equal(sent->link.bytes, "\x01\x00\x5e\x00\x00\x16", 6);
	assert_int_equal(sent->send.traffic_class, 0xc0);
	assert_int_equal(ip_address_low32(&sent->send.source), 0x0a000002);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_GROUP].tx_packets, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_GROUP].tx_bytes, sizeof(joins));
}

/* RFC 3376, 4.2.13: from 0.0.0.0 while there is no address. */
static void igmp_report__without_an_address(void **state)
{
	(void)state;
	rig.source4 = ip_address_v4(0);
	rig_join(V4(239, 1, 2, 3));
	assert_true(ip_address_equal(&rig.sent[0].send.source, &rig.source4));
}

static void igmp_report__of_64_groups(void **state)
{
	static const uint8_t query[] = {0x11, 1, 0xee, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	for (unsigned int i = 0; i < GROUPS_MAX; i++)
		rig_join(V4(239, 1, 0, i));
	rig_settle();
	arrive(query, sizeof(query), 1);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.sent[0].length, 8 + 64 * 8);
	assert_int_equal(rig.sent[0].bytes[7], 64);
	check_common(&rig.sent[0], V4(224, 0, 0, 22));
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(rig.sent[0].bytes[8 + 8 * i], 2);
		assert_int_equal(rig.sent[0].bytes[15 + 8 * i], i);
	}
	/* Two, where they do not fit into one packet: 24 + 8 + 33 * 8. */
	rig.net.mtu = 296;
	arrive(query, sizeof(query), 1);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 3);
	assert_int_equal(rig.sent[1].length, 8 + 33 * 8);
	assert_int_equal(rig.sent[2].length, 8 + 31 * 8);
	check_common(&rig.sent[2], V4(224, 0, 0, 22));
	for (unsigned int i = 0; i < 31; i++)
		assert_int_equal(rig.sent[2].bytes[15 + 8 * i], 33 + i);
	/* Just one: 24 + 8 + 64 * 8. */
	rig.net.mtu = 544;
	arrive(query, sizeof(query), 1);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 4);
}

/* RFC 2236, section 2 and 3: the report to the group, the leave to all routers. */
static void igmp_report__bytes_of_version_2(void **state)
{
	static const uint8_t query[] = {0x11, 10, 0xee, 0xf5, 0, 0, 0, 0};
	static const uint8_t reports[] = {0x16, 0, 0xf8, 0xfa, 0xef, 1, 2, 3};
	static const uint8_t leaves[] = {0x17, 0, 0xf7, 0xfa, 0xef, 1, 2, 3};

	(void)state;
	rig_join(V4(239, 1, 2, 3));
	rig_settle();
	arrive(query, sizeof(query), 1);
	rig_advance(SECOND + 10 * MS);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.sent[0].length, 8);
	assert_memory_equal(rig.sent[0].bytes, reports, 8);
	check_common(&rig.sent[0], V4(239, 1, 2, 3));
	assert_memory_equal(rig.sent[0].link.bytes, "\x01\x00\x5e\x01\x02\x03", 6);
	rig_leave(V4(239, 1, 2, 3));
	assert_memory_equal(rig.sent[1].bytes, leaves, 8);
	check_common(&rig.sent[1], V4(224, 0, 0, 2));
}

/* RFC 1112, appendix I: no word for leaving. */
static void igmp_report__version_1(void **state)
{
	static const uint8_t query[] = {0x11, 0, 0xee, 0xff, 0, 0, 0, 0};
	static const uint8_t reports[] = {0x12, 0, 0xfc, 0xfa, 0xef, 1, 2, 3};

	(void)state;
	rig_join(V4(239, 1, 2, 3));
	rig_settle();
	arrive(query, sizeof(query), 1);
	rig_advance(11 * SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_memory_equal(rig.sent[0].bytes, reports, 8);
	rig_leave(V4(239, 1, 2, 3));
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 1);
}

static void igmp_rx__what_is_no_query(void **state)
{
	static const uint8_t report[] = {0x16, 0, 0xf8, 0xfa, 0xef, 1, 2, 3};
	static const uint8_t query[] = {0x11, 1, 0xee, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t trace[] = {0x1f, 0, 0xe0, 0xff, 0, 0, 0, 0};
	uint8_t changed[sizeof(query)];

	(void)state;
	rig_join(V4(239, 1, 2, 3));
	rig_settle();
	/* Another member's report is as it should be. */
	arrive(report, sizeof(report), 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_GROUP].rx_packets, 1);
	assert_int_equal(rig_drops(WIRE_BAD_TYPE), 0);
	arrive(trace, sizeof(trace), 1);
	assert_int_equal(rig_drops(WIRE_BAD_TYPE), 1);
	/* From behind a router. */
	arrive(query, sizeof(query), 2);
	assert_int_equal(rig_drops(WIRE_BAD_HOP_LIMIT), 1);
	for (uint32_t length = 0; length < 8; length++)
		arrive(query, length, 1);
	assert_int_equal(rig_drops(WIRE_TRUNCATED), 8);
	memcpy(changed, query, sizeof(query));
	changed[2] ^= 1;
	arrive(changed, sizeof(changed), 1);
	assert_int_equal(rig_drops(WIRE_BAD_CHECKSUM), 1);
	rig_advance(20 * SECOND);
	assert_int_equal(rig.sent_count, 0);
	arrive(query, sizeof(query), 1);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(igmp_report__bytes_of_version_3),
		rig_test(igmp_report__without_an_address),
		rig_test(igmp_report__of_64_groups),
		rig_test(igmp_report__bytes_of_version_2),
		rig_test(igmp_report__version_1),
		rig_test(igmp_rx__what_is_no_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
