/* SPDX-License-Identifier: MIT */
#define RIG_IP_ALLOC
#include "net/ip_testing.h"

#include "net/icmp.h"

#define HEADER_BYTES 20u
#define PIECE_MAX 1480u

/* ---- Fakes ---- */

static struct {
	unsigned int count;
	struct ip_packet packet;
	uint8_t quoted[2048];
} told;

void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group)
{
	(void)net;
	assert_int_equal(problem, ICMP_PROBLEM_REASSEMBLY_TIMEOUT);
	assert_int_equal(code, 0);
	assert_int_equal(pointer, 0);
	assert_false(answers_group);
	assert_true(packet->total_bytes <= sizeof(told.quoted));
	told.count++;
	told.packet = *packet;
	memcpy(told.quoted, packet->header, packet->total_bytes);
}

/* ---- Fragments of one payload ---- */

static uint8_t payload[65536];
static struct ip_packet whole;

static int setup(void **state)
{
	int error = rig_setup(state) || reassembly_create(&rig.net);

	memset(&told, 0, sizeof(told));
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(net_random(&rig.net) >> 8);
	return error;
}

static int setup_plain(void **state)
{
	int error;

	rig_checks = HEAP_CHECKS_OFF;
	error = setup(state);
	rig_checks = HEAP_CHECKS_AUTO;
	return error;
}

static int teardown(void **state)
{
	reassembly_destroy(&rig.net);
	assert_int_equal(timer_wheel_next_ns(&rig.sched.timers), TIMER_NEVER);
	return rig_teardown(state);
}

static struct fragment of_packet(uint32_t identification)
{
	return (struct fragment){
		.source = V4(10, 0, 0, 7),
		.destination = V4(10, 0, 0, 2),
		.identification = identification,
		.protocol = IPPROTO_UDP,
	};
}

/* Bytes of @payload from @start up to @end arrive, behind a header that says where it starts. */
static struct buf *arrive_as(struct fragment fragment, uint32_t start, uint32_t end, bool more)
{
	struct buf *buf = netdev_alloc(&rig.device);
	struct ip_packet packet = {
		.source = fragment.source,
		.destination = fragment.destination,
		.protocol = fragment.protocol,
		.is_v6 = fragment.is_v6,
		.is_frame = true,
		.header_bytes = HEADER_BYTES + fragment.skip_bytes,
		.total_bytes = HEADER_BYTES + end - start,
		.traffic_class = start == 0   ? 2
				 : start == 8 ? 3
					      : 0,
	};

	assert_non_null(buf);
	assert_true(end - start <= PIECE_MAX);
	memset(buf->data, 0x45, HEADER_BYTES);
	store_be32(buf->data, start);
	memcpy(buf->data + HEADER_BYTES, payload + start, end - start);
	buf->length = HEADER_BYTES + end - start;
	packet.header = buf->data;
	buf_pull(buf, HEADER_BYTES);
	fragment.offset_bytes = (uint16_t)start;
	fragment.more_fragments = more;
	return reassembly_add(&rig.net, &fragment, &packet, buf, &whole);
}

static struct buf *arrive(uint32_t identification, uint32_t start, uint32_t end, bool more)
{
	return arrive_as(of_packet(identification), start, end, more);
}

static void expect_payload(struct buf *buf, uint32_t from, uint32_t length)
{
	assert_non_null(buf);
	assert_null(buf->next);
	assert_int_equal(buf->length, length);
	assert_memory_equal(buf->data, payload + from, length);
	assert_true(whole.was_fragmented);
	assert_false(whole.is_frame);
	netdev_release(&rig.device, buf);
}

static uint64_t dropped(unsigned int reason)
{
	return rig_drops(NET_LAYER_IPV4, reason);
}

static uint64_t all_drops(void)
{
	uint64_t sum = 0;

	for (unsigned int reason = 0; reason < NET_DROPS_END; reason++)
		sum += dropped(reason);
	return sum;
}

static uint64_t in_use(void)
{
	struct heap_stats stats;

	heap_get_stats(rig.heap, &stats);
	return stats.bytes_in_use;
}

/* ---- Tests ---- */

/* RFC 791, section 3.2. */
static void reassembly_add__joins_in_any_order(void **state)
{
	static const uint8_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (uint32_t order = 0; order < COUNT_OF(orders); order++) {
		for (uint32_t i = 0; i < 3; i++) {
			uint32_t start = orders[order][i] * 1480u;
			uint32_t end = start == 2960 ? 3333 : start + 1480;
			struct buf *buf = arrive(order, start, end, end != 3333);

			if (i < 2) {
				assert_null(buf);
				continue;
			}
			/* The first fragment, as it came, is there to be quoted. */
			assert_ptr_equal(whole.header, buf->data - HEADER_BYTES);
			assert_int_equal(load_be32(whole.header), 0);
			assert_int_equal(whole.total_bytes, HEADER_BYTES + 1480);
			assert_int_equal(whole.header_bytes, HEADER_BYTES);
			expect_payload(buf, 0, 3333);
		}
	}
	assert_int_equal(all_drops(), 0);
}

static void reassembly_add__takes_the_longest_packet(void **state)
{
	struct buf *buf = NULL;

	(void)state;
	for (uint32_t start = 0; start < 65515; start += PIECE_MAX) {
		uint32_t end = start + PIECE_MAX < 65515 ? start + PIECE_MAX : 65515;

		assert_null(buf);
		buf = arrive(1, start, end, end < 65515);
	}
	expect_payload(buf, 0, 65515);
	/* From the end, so that its size is known first. */
	buf = arrive(2, 65120, 65515, false);
	for (uint32_t start = 65120; start > 0; start -= PIECE_MAX) {
		assert_null(buf);
		buf = arrive(2, start - PIECE_MAX, start, true);
	}
	expect_payload(buf, 0, 65515);
}

/* Cuts, orders and duplicates by chance. */
static void reassembly_add__joins_what_chance_has_cut(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 500; round++) {
		uint32_t starts[64], order[64], count = 0, at = 0;
		struct buf *buf = NULL;

		while (at < 20000 && count < 63) {
			starts[count] = at;
			order[count] = count;
			at += 8 * (1 + (uint32_t)(net_random(&rig.net) % 185));
			count++;
		}
		starts[count] = at;
		for (uint32_t i = count; i-- > 1;) {
			uint32_t other = (uint32_t)(net_random(&rig.net) % (i + 1));
			uint32_t swap = order[i];

			order[i] = order[other];
			order[other] = swap;
		}
		for (uint32_t i = 0; i < count; i++) {
			uint32_t piece = order[i], again = order[net_random(&rig.net) % (i + 1)];

			assert_null(buf);
			buf = arrive(round, starts[piece], starts[piece + 1], piece + 1 < count);
			if (!buf)
				assert_null(arrive(round, starts[again], starts[again + 1],
						   again + 1 < count));
		}
		expect_payload(buf, 0, at);
	}
}

static void reassembly_add__tells_packets_apart(void **state)
{
	struct fragment other_source = of_packet(1), other_destination = of_packet(1);
	struct fragment other_protocol = of_packet(1), v6 = of_packet(1), v6_other = of_packet(1);

	(void)state;
	other_source.source = V4(10, 0, 0, 8);
	other_destination.destination = rig.group;
	other_protocol.protocol = IPPROTO_TCP;
	v6.is_v6 = v6_other.is_v6 = true;
	v6_other.protocol = 44;
	assert_null(arrive(1, 0, 8, true));
	assert_null(arrive(2, 8, 16, false));
	assert_null(arrive_as(other_source, 8, 16, false));
	assert_null(arrive_as(other_destination, 8, 16, false));
	assert_null(arrive_as(other_protocol, 8, 16, false));
	/* RFC 8200, section 4.5: in IPv6 the protocol is the first fragment's. */
	assert_null(arrive_as(v6_other, 8, 16, false));
	expect_payload(arrive(1, 8, 16, false), 0, 16);
	expect_payload(arrive_as(v6, 0, 8, true), 0, 16);
	assert_int_equal(whole.protocol, IPPROTO_UDP);
	expect_payload(arrive_as(other_protocol, 0, 8, true), 0, 16);
	assert_int_equal(whole.protocol, IPPROTO_TCP);
}

static void reassembly_add__leaves_out_headers_of_the_first(void **state)
{
	struct fragment first = of_packet(1);

	(void)state;
	first.is_v6 = true;
	first.skip_bytes = 16;
	assert_null(arrive_as(first, 0, 24, true));
	first.skip_bytes = 0;
	first.protocol = 99;
	expect_payload(arrive_as(first, 24, 30, false), 16, 14);
	assert_int_equal(whole.protocol, IPPROTO_UDP);
	assert_int_equal(whole.header_bytes, HEADER_BYTES + 16);
}

/* RFC 3168, section 5.3. */
static void reassembly_add__keeps_that_a_router_was_congested(void **state)
{
	(void)state;
	assert_null(arrive(1, 0, 8, true));
	expect_payload(arrive(1, 8, 16, false), 0, 16);
	assert_int_equal(whole.traffic_class, 3);
	assert_null(arrive(2, 0, 16, true));
	expect_payload(arrive(2, 16, 20, false), 0, 20);
	assert_int_equal(whole.traffic_class, 2);
}

/* RFC 5722, section 4; RFC 8200, section 4.5. */
static void reassembly_add__discards_what_overlaps(void **state)
{
	static const struct {
		uint16_t start, end;
		bool more;
	} overlaps[] = {
		{0, 72, true},    /* reaches into it */
		{120, 144, true}, /* begins in it */
		{64, 80, true},   /* its start, shorter */
		{64, 136, true},  /* its start, longer */
		{72, 120, true},  /* inside */
		{0, 800, true},   /* around */
		{120, 130, false},
	};

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(overlaps); i++) {
		assert_null(arrive(i, 64, 128, true));
		assert_null(arrive(i, overlaps[i].start, overlaps[i].end, overlaps[i].more));
		assert_int_equal(dropped(NET_DROP_OVERLAP), 5 * i + 1);
		/* What would have made it whole comes too late. */
		assert_null(arrive(i, 0, 64, true));
		assert_null(arrive(i, 64, 128, true));
		assert_null(arrive(i, 128, 200, false));
		assert_null(arrive(i, 8, 16, true));
		assert_int_equal(dropped(NET_DROP_OVERLAP), 5 * i + 5);
	}
	/* After the timeout, without an error to the sender, the identification is free. */
	rig_advance(31 * SECOND_NS);
	assert_int_equal(told.count, 0);
	assert_int_equal(dropped(NET_DROP_TIMEOUT), 0);
	assert_null(arrive(0, 0, 64, true));
	expect_payload(arrive(0, 64, 70, false), 0, 70);
}

static void reassembly_add__ignores_exact_duplicates_only(void **state)
{
	(void)state;
	assert_null(arrive(1, 0, 64, true));
	assert_null(arrive(1, 0, 64, true));
	assert_null(arrive(1, 64, 128, true));
	assert_null(arrive(1, 0, 64, true));
	assert_int_equal(dropped(NET_DROP_OVERLAP), 2);
	expect_payload(arrive(1, 128, 130, false), 0, 130);
	/* The same place and other bytes: somebody wants to change it. */
	assert_null(arrive(2, 0, 64, true));
	payload[63] ^= 1;
	assert_null(arrive(2, 0, 64, true));
	assert_null(arrive(2, 64, 130, false));
	assert_int_equal(dropped(NET_DROP_OVERLAP), 4);
}

static void reassembly_add__discards_contradicting_ends(void **state)
{
	static const struct {
		uint16_t start, end;
		bool more;
	} second[] = {
		{8, 15, false},    /* ends before the other end */
		{128, 136, false}, /* and behind it */
		{128, 136, true},  /* goes on behind the end */
		{8, 128, true},    /* says that something follows the end */
	};

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(second); i++) {
		assert_null(arrive(i, 64, 128, false));
		assert_null(arrive(i, second[i].start, second[i].end, second[i].more));
		assert_null(arrive(i, 0, 64, true));
		assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 2 * i + 2);
	}
	/* The end lies before what is there already. */
	assert_null(arrive(9, 64, 128, true));
	assert_null(arrive(9, 0, 60, false));
	assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 9);
}

static void reassembly_add__refuses_sizes_that_no_packet_has(void **state)
{
	(void)state;
	assert_null(arrive(1, 8, 8, false));
	assert_null(arrive(2, 65528, 65536, false));
	assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 2);
	assert_null(arrive(3, 65528, 65535, false));
	assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 2);
}

/* CVE-2018-5391 and its like: tiny fragments in the worst order. */
static void reassembly_add__bounds_the_fragments_of_a_packet(void **state)
{
	uint32_t at = 60000;

	(void)state;
	for (uint32_t i = 0; i < REASSEMBLY_FRAGMENTS_MAX; i++, at -= 16)
		assert_null(arrive(1, at, at + 8, true));
	assert_int_equal(all_drops(), 0);
	assert_null(arrive(1, at, at + 8, true));
	assert_int_equal(dropped(NET_DROP_TABLE_FULL), 1);
	assert_null(arrive(1, at - 16, at - 8, true));
	assert_int_equal(dropped(NET_DROP_TABLE_FULL), 2);
}

static void reassembly__times_out(void **state)
{
	struct fragment v6 = of_packet(1);

	(void)state;
	v6.is_v6 = true;
	rig_advance(SECOND_NS);
	assert_null(arrive(1, 0, 1480, true));
	assert_null(arrive(2, 8, 16, true));
	assert_null(arrive_as(v6, 0, 8, true));
	rig_advance(20 * SECOND_NS);
	/* It counts from the first that has come (RFC 8200, section 4.5). */
	assert_null(arrive(1, 1480, 2960, true));
	rig_advance(31 * SECOND_NS - 10000);
	assert_int_equal(told.count, 0);
	rig_advance(31 * SECOND_NS + 10000);
	/* RFC 1122, section 3.3.2: with the first fragment in hand only. */
	assert_int_equal(told.count, 1);
	assert_int_equal(dropped(NET_DROP_TIMEOUT), 2);
	assert_int_equal(told.packet.total_bytes, HEADER_BYTES + 1480);
	assert_int_equal(load_be32(told.quoted), 0);
	assert_memory_equal(told.quoted + HEADER_BYTES, payload, 1480);
	rig_advance(61 * SECOND_NS - 10000);
	assert_int_equal(told.count, 1);
	rig_advance(61 * SECOND_NS + 10000);
	assert_int_equal(told.count, 2);
	assert_true(told.packet.is_v6);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_TIMEOUT), 1);
	assert_null(arrive(1, 2960, 2968, false));
}

/* One source alone: a quarter, and never the packets of others. */
static void reassembly__bounds_one_source(void **state)
{
	uint64_t before = in_use();
	struct fragment other = of_packet(0);

	(void)state;
	other.source = V4(10, 0, 0, 99);
	assert_null(arrive_as(other, 0, 8, true));
	for (uint32_t i = 0; i < 2000; i++) {
		assert_null(arrive(i, 64000, 64008, true));
		assert_true(in_use() - before <= (4u << 20) / 4 + 8192);
	}
	assert_true(dropped(NET_DROP_NO_MEMORY) > 1900);
	expect_payload(arrive_as(other, 8, 10, false), 0, 10);
	/* The newest are there. */
	assert_null(arrive(1999, 0, 8, true));
}

static void reassembly__bounds_all_sources(void **state)
{
	uint64_t before = in_use();

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		struct fragment fragment = of_packet(i);

		fragment.source = ip_address_v4(0x0b000000 + i);
		assert_null(arrive_as(fragment, 64000, 64008, true));
		assert_true(in_use() - before <= 4u << 20);
	}
	assert_true(dropped(NET_DROP_NO_MEMORY) > 4900);
}

static void reassembly__bounds_the_packets(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < REASSEMBLY_PACKETS_MAX; i++) {
		struct fragment fragment = of_packet(i);

		fragment.source = ip_address_v4(0x0b000000 + i);
		assert_null(arrive_as(fragment, 0, 8, true));
	}
	assert_int_equal(all_drops(), 0);
	assert_null(arrive(1, 0, 8, true));
	assert_int_equal(dropped(NET_DROP_NO_MEMORY), 1);
	for (uint32_t i = 0; i < REASSEMBLY_PACKETS_MAX; i++) {
		struct fragment fragment = of_packet(i);
		struct buf *buf;

		fragment.source = ip_address_v4(0x0b000000 + i);
		if (i == 0)
			continue; /* the oldest has gone */
		buf = arrive_as(fragment, 8, 16, false);
		expect_payload(buf, 0, 16);
	}
}

static void reassembly__survives_without_memory(void **state)
{
	(void)state;
	assert_null(arrive(1, 0, 8, true));
	heap_fail_after(rig.heap, 0);
	assert_null(arrive(2, 0, 8, true));
	/* Not even a larger buffer for the one that is there. */
	assert_null(arrive(1, 8000, 8008, true));
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(dropped(NET_DROP_NO_MEMORY), 2);
	assert_null(arrive(1, 8, 16, false));
	assert_int_equal(dropped(NET_DROP_NO_MEMORY), 3);
	assert_null(arrive(2, 0, 8, true));
	expect_payload(arrive(2, 8, 16, false), 0, 16);
	rig.net.options.reassembly_bytes_max = 0;
	assert_null(arrive(3, 0, 8, true));
	assert_int_equal(dropped(NET_DROP_NO_MEMORY), 4);
}

/* Any fragments at all: nothing is read or written wrongly, and the bound holds. */
static void reassembly__survives_chance(void **state)
{
	uint64_t before = in_use();

	(void)state;
	rig.net.options.reassembly_bytes_max = 512u << 10;
	for (uint32_t i = 0; i < 30000; i++) {
		struct fragment fragment = of_packet((uint32_t)(net_random(&rig.net) % 16));
		uint32_t start = (uint32_t)(net_random(&rig.net) % 200) * 8;
		uint32_t bytes = (uint32_t)(net_random(&rig.net) % 40) * 8;
		struct buf *buf;

		fragment.source = ip_address_v4(0x0b000000 + (uint32_t)(net_random(&rig.net) % 8));
		if (net_random(&rig.net) % 32 == 0)
			start += 60000;
		buf = arrive_as(fragment, start, start + bytes, net_random(&rig.net) % 4 != 0);
		if (buf)
			expect_payload(buf, 0, buf->length);
		/* The sanitizers' checks make objects larger. */
		assert_true(rig.heap->checked || in_use() - before <= 512u << 10);
		rig_advance(rig.net.now_ns + SECOND_NS / 64);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_PLAIN(name) cmocka_unit_test_setup_teardown(name, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reassembly_add__joins_in_any_order),
		TEST(reassembly_add__takes_the_longest_packet),
		TEST(reassembly_add__joins_what_chance_has_cut),
		TEST(reassembly_add__tells_packets_apart),
		TEST(reassembly_add__leaves_out_headers_of_the_first),
		TEST(reassembly_add__keeps_that_a_router_was_congested),
		TEST(reassembly_add__discards_what_overlaps),
		TEST(reassembly_add__ignores_exact_duplicates_only),
		TEST(reassembly_add__discards_contradicting_ends),
		TEST(reassembly_add__refuses_sizes_that_no_packet_has),
		TEST(reassembly_add__bounds_the_fragments_of_a_packet),
		TEST(reassembly__times_out),
		TEST_PLAIN(reassembly__bounds_one_source),
		TEST_PLAIN(reassembly__bounds_all_sources),
		TEST(reassembly__bounds_the_packets),
		TEST(reassembly__survives_without_memory),
		TEST(reassembly__survives_chance),
		TEST_PLAIN(reassembly__survives_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
