/* SPDX-License-Identifier: MIT */
/*
 * Whole stacks on links that lose, repeat, reorder and damage what they carry, with many seeds:
 * SEEDS says how many, SIM_TEST_SEED which is the first.
 */
#include "world.h"

#define DATAGRAMS 300u

static struct world world;
static struct endpoint at_a, at_b;

static uint64_t first_seed(void)
{
	const char *value = getenv("SIM_TEST_SEED");

	return value ? strtoull(value, NULL, 0) : 1;
}

static struct sim_options stormy(uint64_t seed)
{
	return (struct sim_options){
		.seed = seed,
		.delay_ns = 100 * US,
		.jitter_ns = 100 * US,
		.loss = 50000,
		.duplicate = 20000,
		.reorder = 50000,
	};
}

static void begin(const struct sim_options *options, uint32_t mtu, bool checksum)
{
	struct station_options station = {
		.device = {.mtu = mtu, .checksum = checksum},
		.without_v6 = mtu && mtu < 1280,
	};

	world_begin(&world, options);
	station.number = 1;
	endpoint_open(&at_a, station_add(&world, &station), 7);
	station.number = 2;
	endpoint_open(&at_b, station_add(&world, &station), 7);
}

static void end(void)
{
	endpoint_close(&at_a);
	endpoint_close(&at_b);
	world_end(&world);
}

/* Until both know both addresses of the other, lost questions or not. */
static void meet(void)
{
	for (unsigned int i = 0; i < 40; i++) {
		endpoint_send(&at_a, i % 2 ? V4(10, 0, 0, 2) : V6(2), 7, DATAGRAMS, 100);
		endpoint_send(&at_b, i % 2 ? V4(10, 0, 0, 1) : V6(1), 7, DATAGRAMS, 100);
		world_run(&world, world.now_ns + 200 * MS);
	}
}

/* Every 200 us one each way, of either version. */
static void talk(uint32_t bytes_max)
{
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		uint32_t length = 16 + (uint32_t)world_random(&world, bytes_max - 16);
		bool v4 = world_random(&world, 2);

		endpoint_send(&at_a, v4 ? V4(10, 0, 0, 2) : V6(2), 7, i, length);
		endpoint_send(&at_b, v4 ? V6(1) : V4(10, 0, 0, 1), 7, i, length);
		world_run(&world, world.now_ns + 200 * US);
	}
	world_run(&world, world.now_ns + 5 * SECOND);
}

static void assert_no_more_than_the_link_repeats(const struct endpoint *endpoint)
{
	uint64_t repeated = 0;

	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		assert_in_range(endpoint->times[i], 0, 2);
		repeated += endpoint->times[i] > 1;
	}
	assert_true(repeated <= sim_link_counters(world.link)->duplicated);
	assert_int_equal(endpoint->wrong, 0);
}

static uint64_t damaged(const struct endpoint *endpoint)
{
	const struct net_layer_counters *layers = endpoint->station->net->counters.layers;

	return layers[NET_LAYER_UDP].drops[WIRE_BAD_CHECKSUM] +
	       layers[NET_LAYER_IPV4].drops[WIRE_BAD_CHECKSUM];
}

static void storm(uint64_t seed)
{
	struct sim_options options = stormy(seed);
	const struct sim_counters *link;
	uint64_t before_a, before_b;

	options.truncate = 10000;
	begin(&options, 0, seed % 2);
	world.invert = 20000;
	meet();
	before_a = at_a.received;
	before_b = at_b.received;
	talk(1400);
	link = sim_link_counters(world.link);
	assert_true(link->lost && link->duplicated && link->reordered && link->truncated);
	assert_true(damaged(&at_a) + damaged(&at_b) > 0);
	/* Of twenty one is lost, of fifty one repeated, of thirty one damaged. */
	assert_in_range(at_a.received - before_a, DATAGRAMS * 8 / 10, DATAGRAMS);
	assert_in_range(at_b.received - before_b, DATAGRAMS * 8 / 10, DATAGRAMS);
	assert_no_more_than_the_link_repeats(&at_a);
	assert_no_more_than_the_link_repeats(&at_b);
	station_assert_accounts(at_a.station, at_a.received);
	station_assert_accounts(at_b.station, at_b.received);
	end();
}

static void sim__a_storm_delivers_nothing_wrong_and_loses_no_frame(void **state)
{
	uint64_t seeds = seeds_of(20), first = first_seed();

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		print_message("SIM_TEST_SEED=%llu\n", (unsigned long long)seed);
		storm(seed);
	}
}

/* Of two or three inverted bits one checksum in some dozens sees nothing; but all is accounted. */
static void sim__damage_that_no_checksum_sees_harms_no_stack(void **state)
{
	uint64_t seeds = seeds_of(20), first = first_seed();

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		struct sim_options options = stormy(seed);

		options.corrupt = 300000;
		options.truncate = 50000;
		begin(&options, 0, seed % 2);
		meet();
		talk(5000);
		assert_true(at_a.received > DATAGRAMS / 10 && at_b.received > DATAGRAMS / 10);
		end();
	}
}

/* ---- The same seed, the same history ---- */

static uint64_t trace_of(uint64_t seed)
{
	struct sim_options options = stormy(seed);
	uint64_t trace;

	options.corrupt = 20000;
	begin(&options, 0, false);
	talk(6000);
	trace = world.trace;
	end();
	/* Also of the long time after that. */
	return trace ^ world.trace << 1;
}

static void sim__a_seed_has_one_history(void **state)
{
	uint64_t first = first_seed();

	(void)state;
	for (uint64_t seed = first; seed < first + 3; seed++) {
		assert_int_equal(trace_of(seed), trace_of(seed));
		assert_int_not_equal(trace_of(seed), trace_of(seed + 1));
	}
}

/* ---- Fragments ---- */

/* Edges of one fragment and of the longest datagram, then what lies between. */
static uint32_t size_of(uint32_t index, uint32_t mtu)
{
	const uint32_t edges[] = {
		1,
		2,
		7,
		8,
		9,
		mtu - 49,
		mtu - 48,
		mtu - 47,
		mtu - 28,
		mtu - 27,
		2 * (mtu - 20) - 8,
		2 * (mtu - 20) - 7,
		65506,
		65507,
	};

	if (index < COUNT_OF(edges))
		return edges[index];
	return 16 + (uint32_t)world_random(&world, PAYLOAD_MAX - 15);
}

static void send_sizes(uint32_t mtu, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = size_of(i, mtu);

		assert_int_equal(endpoint_send(&at_a, V4(10, 0, 0, 2), 7, 2 * i, length), 0);
		if (mtu >= 1280)
			assert_int_equal(endpoint_send(&at_a, V6(2), 7, 2 * i + 1, length), 0);
		world_run(&world, world.now_ns + 100 * MS);
	}
}

static void sim__every_size_arrives_in_fragments(void **state)
{
	static const uint32_t mtus[] = {1500, 1280, 576};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(mtus); i++) {
		begin(&(struct sim_options){.delay_ns = 10 * US}, mtus[i], false);
		world_settle(&world);
		send_sizes(mtus[i], 40);
		assert_int_equal(at_b.received, mtus[i] < 1280 ? 40 : 80);
		assert_int_equal(at_b.wrong, 0);
		end();
	}
}

static void sim__what_lacks_a_fragment_does_not_arrive(void **state)
{
	static const uint32_t mtus[] = {1500, 1280, 576};
	uint64_t seeds = seeds_of(20), first = first_seed(), received = 0, sent = 0;

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		struct sim_options options = stormy(seed);
		uint32_t mtu = mtus[seed % COUNT_OF(mtus)];

		options.loss = 10000;
		begin(&options, mtu, false);
		world_settle(&world);
		send_sizes(mtu, 30);
		assert_int_equal(at_b.wrong, 0);
		received += at_b.received;
		sent += mtu < 1280 ? 30 : 60;
		end();
	}
	/* Of so many fragments some are lost, of so many datagrams some are whole. */
	assert_true(received > sent / 5 && received < sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__a_storm_delivers_nothing_wrong_and_loses_no_frame),
		cmocka_unit_test(sim__damage_that_no_checksum_sees_harms_no_stack),
		cmocka_unit_test(sim__a_seed_has_one_history),
		cmocka_unit_test(sim__every_size_arrives_in_fragments),
		cmocka_unit_test(sim__what_lacks_a_fragment_does_not_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
