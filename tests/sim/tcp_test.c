/* SPDX-License-Identifier: MIT */
/*
 * TCP between whole stacks: whatever the link does, each byte arrives once, in order and unchanged,
 * and nothing is left at the end. SEEDS=N in the environment tries N seeds; a seed that fails
 * is printed, and SEED=N replays it, with a capture of the link in the file that CAPTURE names.
 */
#include "stream.h"

#include <stdio.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* Under a sanitizer each takes five times as long. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SEEDS 400
#else
#define SEEDS 2000
#endif
#define STREAMS_MAX 3u
#define PATIENCE_NS (3600 * SECOND)

static struct world world;
static struct stream_listener listener;
static struct stream clients[STREAMS_MAX], servers[STREAMS_MAX];
static unsigned int stream_count;

/* ---- A conversation by its seed ---- */

static uint32_t maybe(uint32_t limit)
{
	return world_random(&world, 2) ? (uint32_t)world_random(&world, limit) : 0;
}

static struct sim_options random_link(uint64_t seed)
{
	struct sim_options options = {.seed = seed};

	world.random_state = seed;
	options.delay_ns = world_random(&world, 4) ? world_random(&world, 20 * MS) : 0;
	options.jitter_ns = maybe(2000000);
	if (world_random(&world, 2)) {
		options.bandwidth = 1000000 + world_random(&world, 1000000000);
		options.queue_frames = 8 + (uint32_t)world_random(&world, 200);
	}
	options.loss = maybe(100000);
	options.duplicate = maybe(50000);
	options.reorder = maybe(100000);
	options.truncate = maybe(10000);
	return options;
}

static const struct tcp_congestion_ops *random_congestion(void)
{
	static const char *const names[] = {"cubic", "reno", "dctcp"};
	const char *name = names[world_random(&world, 3)];

	return tcp_congestion_find(name, strlen(name));
}

static struct station_options random_station(unsigned int number)
{
	struct station_options options = {.number = number};

	tcp_defaults(&options.tcp);
	options.tcp.timestamps = world_random(&world, 4);
	options.tcp.sack = world_random(&world, 4);
	options.tcp.window_scaling = world_random(&world, 4);
	options.tcp.ecn = world_random(&world, 2);
	options.tcp.congestion = random_congestion();
	options.tcp.buffer = 2000 + maybe(200000);
	options.tcp.max_buffer = options.tcp.buffer + maybe(2000000);
	options.tcp.delayed_ack_ms = (uint32_t)world_random(&world, 3) * 20;
	options.copy_max = 1 + maybe(2000);
	options.device.mtu = world_random(&world, 3) ? 1500
						     : 1280 + (uint32_t)world_random(&world, 7700);
	options.device.checksum = world_random(&world, 2);
	options.device.asynchronous_tx = world_random(&world, 2);
	options.device.segments_max = 1 + (uint32_t)world_random(&world, 8);
	return options;
}

static struct stream_plan random_plan(void)
{
	return (struct stream_plan){
		.bytes = world_random(&world, 8) ? 1 + world_random(&world, 200000) : 0,
		.push_bytes_max = world_random(&world, 2)
					  ? 100
					  : 1 + (uint32_t)world_random(&world, 40000),
		.pushes_max = 1 + (uint32_t)world_random(&world, STREAM_PUSHES_MAX),
		.laziness = maybe(20),
		.waits_for_end = world_random(&world, 3) == 0,
	};
}

static void begin(uint64_t seed)
{
	struct sim_options link = random_link(seed);
	struct station_options first = random_station(1), second = random_station(2);
	/* A link has one MTU. */
	uint64_t state;

	second.device.mtu = first.device.mtu;
	state = world.random_state;
	world_begin(&world, &link);
	world.random_state = state;
	world.invert = maybe(20000);
	stream_listen(&listener, station_add(&world, &second), 80, 8);
	station_add(&world, &first);
	stream_count = 1 + (unsigned int)world_random(&world, STREAMS_MAX);
	memset(clients, 0, sizeof(clients));
	memset(servers, 0, sizeof(servers));
}

static void connect_one(struct stream *client)
{
	struct ip_address peer = world_random(&world, 2) ? V4(10, 0, 0, 2) : V6(2);

	client->connect_error = 0;
	assert_int_equal(stream_connect(client, peer, 80), 0);
}

static void connect_all(void)
{
	for (unsigned int i = 0; i < stream_count; i++) {

		stream_open(&clients[i], &world.stations[1]);
		clients[i].plan = random_plan();
		clients[i].seed = i;
		clients[i].peer_seed = 1000;
		connect_one(&clients[i]);
	}
}

/* Which client it is: by the port. */
static void match(struct stream *server)
{
	struct ip_address ip;
	uint16_t port, client_port;

	assert_true(tcp_peer(server->conn, &ip, &port));
	for (unsigned int i = 0; i < stream_count; i++) {
		if (clients[i].conn && tcp_local(clients[i].conn, &ip, &client_port) &&
		    client_port == port)
			server->peer_seed = clients[i].seed;
	}
}

static void accept_some(void)
{
	for (unsigned int i = 0; i < stream_count; i++) {
		if (servers[i].conn || servers[i].is_connected)
			continue;
		if (!stream_accept(&servers[i], &listener))
			return;
		servers[i].plan = random_plan();
		servers[i].seed = 1000;
		match(&servers[i]);
	}
}

static bool all_closed(void)
{
	for (unsigned int i = 0; i < stream_count; i++) {
		if (!clients[i].was_closed || !servers[i].was_closed)
			return false;
	}
	return true;
}

static void converse(void)
{
	uint64_t until_ns = world.now_ns + PATIENCE_NS;

	/* Two that only wait for one another's end would wait for ever. */
	for (unsigned int i = 0; i < stream_count; i++)
		clients[i].plan.waits_for_end = false;
	while (!all_closed() && world.now_ns < until_ns) {
		accept_some();
		for (unsigned int i = 0; i < stream_count; i++) {
			/* All questions for the neighbour were lost. */
			if (clients[i].connect_error == EHOSTUNREACH)
				connect_one(&clients[i]);
			stream_turn(&clients[i]);
			stream_turn(&servers[i]);
		}
		world_run(&world, world.now_ns + 1 + world_random(&world, 5 * MS));
	}
}

static void check(const struct stream *stream, uint64_t expected)
{
	assert_int_equal(stream->wrong, 0);
	assert_int_equal(stream->received, expected);
	assert_int_equal(stream->acknowledged, stream->plan.bytes);
	assert_int_equal(stream->push_error, 0);
	assert_int_equal(stream->end_error, 0);
	assert_true(stream->was_closed);
	assert_int_equal(stream->close_error, 0);
}

static void finish(void)
{
	uint64_t to_servers = 0, to_clients = 0, all = 0;

	for (unsigned int i = 0; i < stream_count; i++) {
		to_servers += servers[i].received;
		to_clients += clients[i].received;
		all += clients[i].plan.bytes + servers[i].plan.bytes;
		assert_int_equal(clients[i].connect_error, 0);
	}
	assert_int_equal(to_servers + to_clients, all);
	for (unsigned int i = 0; i < stream_count; i++) {
		const struct stream *server = &servers[i];

		check(server, clients[server->peer_seed].plan.bytes);
		check(&clients[server->peer_seed], server->plan.bytes);
	}
	stream_unlisten(&listener);
}

static void end(void)
{
	world_run(&world, world.now_ns + 1300 * SECOND);
	stream_assert_nothing_left(&world.stations[0]);
	stream_assert_nothing_left(&world.stations[1]);
	world_end(&world);
}

static uint64_t current_seed;

/* What a failed seed had come to, and how to see it again. */
static int tell_seed(void **state)
{
	(void)state;
	if (!current_seed)
		return 0;
	print_error("failed at %lu us: SEED=%lu CAPTURE=FILE.pcapng replays it\n",
		    world.now_ns / 1000, current_seed);
	for (unsigned int i = 0; i < stream_count; i++) {
		stream_report("client", i, &clients[i]);
		stream_report("server", i, &servers[i]);
	}
	return 0;
}

static void run_seed(uint64_t seed)
{
	current_seed = seed;
	begin(seed);
	world_settle(&world);
	connect_all();
	converse();
	finish();
	end();
	current_seed = 0;
}

static void sim__whatever_the_link_does_each_byte_arrives_once(void **state)
{
	const char *one = getenv("SEED");
	uint64_t seeds = seeds_of(SEEDS);

	(void)state;
	if (one) {
		run_seed(strtoull(one, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		if (seed_is_ours(seed))
			run_seed(seed);
	}
}

static void sim__a_station_talks_to_itself(void **state)
{
	const struct stream_plan plan = {
		.bytes = 3000000, .push_bytes_max = 100000, .pushes_max = 16};
	struct station *station;
	uint64_t begin_ns;

	(void)state;
	world_begin(&world, &(struct sim_options){0});
	station = station_add(&world, &(struct station_options){.number = 1});
	world_settle(&world);
	stream_count = 1;
	memset(clients, 0, sizeof(clients));
	memset(servers, 0, sizeof(servers));
	stream_listen(&listener, station, 80, 8);
	stream_open(&clients[0], station);
	clients[0].plan = servers[0].plan = plan;
	clients[0].peer_seed = 1000;
	begin_ns = world.now_ns;
	assert_int_equal(stream_connect(&clients[0], V4(10, 0, 0, 1), 80), 0);
	while (!servers[0].conn) {
		world_run(&world, world.now_ns + US);
		stream_accept(&servers[0], &listener);
	}
	assert_true(world.now_ns - begin_ns < MS);
	servers[0].plan = plan;
	servers[0].seed = 1000;
	while (!all_closed()) {
		stream_turn(&clients[0]);
		stream_turn(&servers[0]);
		world_run(&world, world.now_ns + US);
	}
	/* Nothing was lost, so nothing had to wait for a timer. */
	assert_true(world.now_ns - begin_ns < 100 * MS);
	check(&clients[0], plan.bytes);
	check(&servers[0], plan.bytes);
	stream_unlisten(&listener);
	world_run(&world, world.now_ns + 1300 * SECOND);
	stream_assert_nothing_left(station);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__a_station_talks_to_itself),
		cmocka_unit_test_teardown(sim__whatever_the_link_does_each_byte_arrives_once,
					  tell_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
