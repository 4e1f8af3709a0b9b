/* SPDX-License-Identifier: MIT */
/* Datagrams between whole stacks on a link where nothing goes wrong. */
#include "world.h"

#include "net/group.h"
#include "net/icmp.h"
#include "wire/igmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

static struct world world;
static struct endpoint at_a, at_b, at_c;
static const struct sim_options calm = {.delay_ns = 10 * US};

static void begin_two(const struct sim_options *options, const struct station_options *more)
{
	struct station_options first = *more, second = *more;

	world_begin(&world, options);
	first.number = 1;
	second.number = 2;
	endpoint_open(&at_a, station_add(&world, &first), 7);
	endpoint_open(&at_b, station_add(&world, &second), 7);
	world_settle(&world);
}

static void end_two(void)
{
	endpoint_close(&at_a);
	endpoint_close(&at_b);
	world_end(&world);
}

static void sim__datagrams_of_both_versions_arrive_once(void **state)
{
	(void)state;
	begin_two(&calm, &(struct station_options){0});
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(endpoint_send(&at_a, V4(10, 0, 0, 2), 7, i, 20 + i * 7), 0);
		assert_int_equal(endpoint_send(&at_b, V6(1), 7, i, 20 + i * 7), 0);
		world_run(&world, world.now_ns + 50 * US);
	}
	assert_int_equal(at_a.received, 200);
	assert_int_equal(at_b.received, 200);
	assert_int_equal(at_a.wrong + at_b.wrong, 0);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(at_a.times[i] * 16 + at_b.times[i], 17);
	station_assert_accounts(at_a.station, 200);
	station_assert_accounts(at_b.station, 200);
	end_two();
}

static unsigned int echoes;

static void echoed(void *context, const struct ip_packet *packet, const struct icmp_echo *echo)
{
	(void)packet;
	assert_ptr_equal(context, &echoes);
	assert_int_equal(echo->identifier, 77);
	assert_int_equal(echo->sequence, echoes);
	for (uint32_t i = 0; i < echo->payload_bytes; i++)
		assert_int_equal(echo->payload[i], (uint8_t)i);
	echoes++;
}

static void sim__echoes_of_all_sizes_come_back(void **state)
{
	static const uint32_t sizes[] = {0, 1, 56, 1452, 1453, 1472, 1473, 8000, 65000};
	const struct ip_address peers[] = {V4(10, 0, 0, 2), V6(2)};
	uint16_t sequence = 0;

	(void)state;
	begin_two(&calm, &(struct station_options){0});
	echoes = 0;
	icmp_set_echo_listener(at_a.station->net, echoed, &echoes);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t version = 0; version < COUNT_OF(peers); version++) {
			at_a.station->net->now_ns = world.now_ns;
			assert_int_equal(icmp_echo_send(at_a.station->net,
							&(struct icmp_echo_request){
								.destination = peers[version],
								.identifier = 77,
								.sequence = sequence++,
								.payload_bytes = sizes[i],
							}),
					 0);
			world_run(&world, world.now_ns + 10 * MS);
			assert_int_equal(echoes, sequence);
		}
	}
	end_two();
}

/* ---- Sent later than it was taken ---- */

struct told {
	struct buf_done done;
	unsigned int times;
};

static void tell(struct buf_done *self)
{
	((struct told *)(void *)self)->times++;
}

/* The memory of @data is not given to others while the device has it. */
static void assert_not_reused(struct heap *heap, const unsigned char *data, uint32_t length)
{
	void *others[8];

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		others[i] = heap_alloc_io(heap, length);
		assert_ptr_not_equal(others[i], data);
		memset(others[i], 0xee, length);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++)
		heap_free(heap, others[i]);
}

static void sim__memory_of_a_push_is_told_done_once_and_not_before(void **state)
{
	const struct station_options later = {.device = {.asynchronous_tx = true}};
	const struct sim_options slow = {.bandwidth = 10000000};
	const struct ip_address peer = V4(10, 0, 0, 2);

	(void)state;
	begin_two(&slow, &later);
	assert_int_equal(endpoint_send(&at_a, peer, 7, 0, 100), 0);
	world_run(&world, world.now_ns + 10 * MS);
	for (uint32_t i = 1; i < 40; i++) {
		struct heap *heap = at_a.station->heap;
		uint32_t length = i % 2 ? 1200 : 20000;
		unsigned char *data = heap_alloc_io(heap, length);
		demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{data, length}}};
		struct told told = {.done = {tell}};
		bool waits;

		datagram_fill(data, i, length);
		at_a.station->net->now_ns = world.now_ns;
		assert_int_equal(udp_tx(&at_a.udp, &sga, &peer, 7, &told.done, &waits), 0);
		assert_true(waits);
		assert_int_equal(heap_free(heap, data), 0);
		/* One bit takes 100 ns: a frame of 1,242 bytes about a millisecond. */
		world_run(&world, world.now_ns + 500 * US);
		assert_int_equal(told.times, 0);
		assert_not_reused(heap, data, length);
		world_run(&world, world.now_ns + 30 * MS);
		assert_int_equal(told.times, 1);
		assert_int_equal(at_b.times[i], 1);
	}
	assert_int_equal(at_b.wrong, 0);
	end_two();
}

static void sim__nothing_waits_for_a_device_that_lets_go_late(void **state)
{
	static const uint32_t lengths[] = {100, 1200, 1472, 1473, 20000, 65507};
	const struct station_options late = {.device = {.asynchronous_tx = true},
					     .late_release = true};
	const struct sim_options slow = {.bandwidth = 100000000};
	const struct ip_address peer = V4(10, 0, 0, 2);

	(void)state;
	begin_two(&slow, &late);
	assert_int_equal(endpoint_send(&at_a, peer, 7, 0, 100), 0);
	world_run(&world, world.now_ns + 10 * MS);
	for (uint32_t i = 0; i < COUNT_OF(lengths); i++) {
		unsigned char *data = heap_alloc_io(at_a.station->heap, lengths[i]);
		demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{data, lengths[i]}}};
		struct told told = {.done = {tell}};
		bool waits;

		datagram_fill(data, i + 1, lengths[i]);
		at_a.station->net->now_ns = world.now_ns;
		assert_int_equal(udp_tx(&at_a.udp, &sga, &peer, 7, &told.done, &waits), 0);
		/* The application may write to it again. */
		assert_false(waits);
		assert_false(heap_is_held(at_a.station->heap, data));
		memset(data, 0xee, lengths[i]);
		heap_free(at_a.station->heap, data);
		world_run(&world, world.now_ns + 50 * MS);
		assert_int_equal(told.times, 0);
		assert_int_equal(at_b.times[i + 1], 1);
	}
	assert_int_equal(at_b.wrong, 0);
	end_two();
}

static void sim__a_full_device_refuses_and_nothing_is_lost_below_its_patience(void **state)
{
	const struct station_options refuses = {
		.device = {.asynchronous_tx = true, .refuses = true, .checksum = true}};
	const struct sim_options slow = {.bandwidth = 100000000, .queue_frames = 4};

	(void)state;
	begin_two(&slow, &refuses);
	assert_int_equal(endpoint_send(&at_a, V6(2), 7, 0, 100), 0);
	world_run(&world, world.now_ns + 10 * MS);
	for (uint32_t i = 1; i <= 30; i++)
		assert_int_equal(endpoint_send(&at_a, V6(2), 7, i, 1000), 0);
	world_run(&world, world.now_ns + 50 * MS);
	assert_int_equal(at_b.received, 31);
	assert_true(at_a.station->device->counters.tx_full > 0);
	end_two();
}

/* ---- VLANs ---- */

static void sim__a_vlan_is_for_its_members(void **state)
{
	(void)state;
	begin_two(&calm, &(struct station_options){.vlan = 5});
	endpoint_open(&at_c, station_add(&world, &(struct station_options){.number = 2}), 7);
	world_settle(&world);
	assert_int_equal(endpoint_send(&at_a, V4(10, 0, 0, 2), 7, 1, 3000), 0);
	assert_int_equal(endpoint_send(&at_a, V6(2), 7, 2, 3000), 0);
	world_run(&world, world.now_ns + SECOND);
	assert_int_equal(at_b.received, 2);
	assert_int_equal(at_c.received, 0);
	assert_true(at_c.station->net->counters.layers[NET_LAYER_ETH].drops[NET_DROP_OTHER_VLAN] >
		    0);
	endpoint_close(&at_c);
	end_two();
}

/* ---- Groups ---- */

static unsigned int reports_v4, reports_v6;

/* Reports of IGMPv3 to 224.0.0.22 and of MLDv2 to ff02::16: RFC 3376, 4.2.14; RFC 3810, 5.2.14. */
static void hear_reports(struct station *station, const uint8_t *data, uint32_t length)
{
	(void)station;
	if (length > 38 && data[12] == 0x08 && data[14 + 9] == 2 &&
	    load_be32(data + 30) == 0xe0000016)
		reports_v4++;
	if (length > 62 && data[12] == 0x86 && data[14 + 6] == 0 && data[14 + 48] == 143)
		reports_v6++;
}

/* A general query of IGMPv3 that wants answers within a second: RFC 3376, 4.1. */
static void ask_groups(struct station *station)
{
	uint8_t frame[14 + 20 + 12] = {1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0};
	const struct ipv4_header header = {
		.source = V4(10, 0, 0, 9),
		.destination = V4(224, 0, 0, 1),
		.total_bytes = 32,
		.ttl = 1,
		.protocol = 2,
	};

	ipv4_emit(frame + 14, 20, &header);
	frame[34] = IGMP_TYPE_QUERY;
	frame[35] = 10;
	store_be16(frame + 36, checksum_finish(checksum_add(0, frame + 34, 12)));
	station_send(station, frame, sizeof(frame));
}

static void sim__groups_are_heard_by_their_members_and_told_of(void **state)
{
	const struct ip_address groups[] = {V4(239, 1, 2, 3),
					    ip_address_v6_halves(0xff05000000000000, 0x77)};
	struct station *router;

	(void)state;
	begin_two(&calm, &(struct station_options){0});
	endpoint_open(&at_c, station_add(&world, &(struct station_options){.number = 3}), 7);
	router = station_add_mute(&world, &(struct sim_device_options){0});
	router->heard = hear_reports;
	world_settle(&world);
	reports_v4 = reports_v6 = 0;
	for (size_t i = 0; i < COUNT_OF(groups); i++)
		assert_int_equal(udp_join(&at_b.udp, &groups[i]), 0);
	world_run(&world, world.now_ns + 5 * SECOND);
	/* Each change is told twice: RFC 3376, 8.1; RFC 3810, 9.1. */
	assert_int_equal(reports_v4, 2);
	assert_int_equal(reports_v6, 2);
	for (size_t i = 0; i < COUNT_OF(groups); i++)
		assert_int_equal(endpoint_send(&at_a, groups[i], 7, (uint32_t)i, 1000), 0);
	world_run(&world, world.now_ns + SECOND);
	assert_int_equal(at_b.received, 2);
	assert_int_equal(at_c.received + at_a.received, 0);
	ask_groups(router);
	world_run(&world, world.now_ns + 2 * SECOND);
	assert_int_equal(reports_v4, 3);
	for (size_t i = 0; i < COUNT_OF(groups); i++)
		assert_int_equal(udp_leave(&at_b.udp, &groups[i]), 0);
	world_run(&world, world.now_ns + 5 * SECOND);
	assert_int_equal(reports_v4, 5);
	assert_int_equal(reports_v6, 4);
	for (size_t i = 0; i < COUNT_OF(groups); i++)
		assert_int_equal(endpoint_send(&at_a, groups[i], 7, (uint32_t)i, 1000), 0);
	world_run(&world, world.now_ns + SECOND);
	assert_int_equal(at_b.received, 2);
	endpoint_close(&at_c);
	end_two();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__datagrams_of_both_versions_arrive_once),
		cmocka_unit_test(sim__echoes_of_all_sizes_come_back),
		cmocka_unit_test(sim__memory_of_a_push_is_told_done_once_and_not_before),
		cmocka_unit_test(sim__nothing_waits_for_a_device_that_lets_go_late),
		cmocka_unit_test(sim__a_full_device_refuses_and_nothing_is_lost_below_its_patience),
		cmocka_unit_test(sim__a_vlan_is_for_its_members),
		cmocka_unit_test(sim__groups_are_heard_by_their_members_and_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
