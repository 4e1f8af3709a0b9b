/* SPDX-License-Identifier: MIT */
/*
 * Who is not on the path and floods: segments guessed blindly against connections that others have,
 * SYNs from everywhere, more connections than anybody accepts, or than can wait in TIME_WAIT.
 * GUESSES=N in the environment makes N guesses and as many SYNs; SEED=N is another seed.
 */
#include "forger.h"

#include <stdio.h>

#define GUESSES 200000u
#define GUESSES_A_MS 200u
#define CHALLENGES_MAX 10u /* a second: RFC 5961, section 7 */
#define STREAMS_MAX 48u
#define PORT 80u
#define SERVER_SEED 1000u

static struct world world;
static struct station *server, *client, *other, *attacker;
static struct stream_listener listener;
static struct stream clients[STREAMS_MAX], servers[STREAMS_MAX];

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

/* ---- A world: a server, two clients, and somebody else ---- */

static struct station_options station_with(unsigned int number)
{
	struct station_options options = {.number = number, .has_gateway = true};

	tcp_defaults(&options.tcp);
	return options;
}

static void begin(const struct station_options *server_options,
		  const struct station_options *client_options)
{
	const struct station_options other_options = station_with(3);
	struct sim_options link = {.seed = number_of("SEED", 1), .delay_ns = 100 * US};

	world_begin(&world, &link);
	server = station_add(&world, server_options);
	client = station_add(&world, client_options);
	other = station_add(&world, &other_options);
	attacker = station_add_mute(&world, &(struct sim_device_options){0});
	memset(clients, 0, sizeof(clients));
	memset(servers, 0, sizeof(servers));
}

static void end(void)
{
	stream_unlisten(&listener);
	world_run(&world, world.now_ns + 1300 * SECOND);
	stream_assert_nothing_left(server);
	stream_assert_nothing_left(client);
	stream_assert_nothing_left(other);
	world_end(&world);
	world.link = NULL;
}

/* What a failed test had come to, and how to see it again. */
static int tell_seed(void **state)
{
	(void)state;
	if (!world.link)
		return 0;
	print_error("failed at %lu us: SEED=%lu GUESSES=%lu CAPTURE=FILE.pcapng replays it\n",
		    world.now_ns / 1000, number_of("SEED", 1), number_of("GUESSES", GUESSES));
	for (unsigned int i = 0; i < STREAMS_MAX && clients[i].station; i++) {
		stream_report("client", i, &clients[i]);
		stream_report("server", i, &servers[i]);
	}
	return 0;
}

static struct tcp_counts counts_of(const struct station *station)
{
	struct tcp_counts counts;

	tcp_get_counts(station->net, &counts);
	return counts;
}

static uint64_t heap_bytes(const struct station *station)
{
	struct heap_stats stats;

	heap_get_stats(station->heap, &stats);
	return stats.bytes_in_use;
}

/* ---- Pairs of streams ---- */

static void connect_one(unsigned int i, struct station *from, const struct stream_plan *plan)
{
	memset(&clients[i], 0, sizeof(clients[i]));
	memset(&servers[i], 0, sizeof(servers[i]));
	stream_open(&clients[i], from);
	clients[i].plan = *plan;
	clients[i].seed = i;
	clients[i].peer_seed = SERVER_SEED;
	assert_int_equal(stream_connect(&clients[i], V4(10, 0, 0, 2), PORT), 0);
}

/* Which client it is: by the port. */
static unsigned int client_of(const struct stream *accepted)
{
	struct ip_address ip;
	uint16_t port, client_port;

	assert_true(tcp_peer(accepted->conn, &ip, &port));
	for (unsigned int i = 0; i < STREAMS_MAX; i++) {
		if (clients[i].conn && tcp_local(clients[i].conn, &ip, &client_port) &&
		    client_port == port)
			return i;
	}
	fail_msg("nobody has connected from port %u", port);
	return 0;
}

static bool accept_one(const struct stream_plan *plan)
{
	struct stream *accepted = servers;

	while (accepted < servers + STREAMS_MAX && accepted->is_connected)
		accepted++;
	assert_true(accepted < servers + STREAMS_MAX || !tcp_acceptable(listener.conn));
	if (!tcp_acceptable(listener.conn) || !stream_accept(accepted, &listener))
		return false;
	accepted->plan = *plan;
	accepted->seed = SERVER_SEED;
	accepted->peer_seed = client_of(accepted);
	return true;
}

static void turn_all(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		stream_turn(&clients[i]);
		stream_turn(&servers[i]);
	}
}

static void check_one(unsigned int i)
{
	assert_int_equal(clients[i].wrong + servers[i].wrong, 0);
	assert_int_equal(clients[i].received, servers[i].plan.bytes);
	assert_int_equal(servers[i].received, clients[i].plan.bytes);
	assert_int_equal(clients[i].connect_error, 0);
	assert_int_equal(clients[i].end_error, 0);
	assert_int_equal(servers[i].end_error, 0);
	assert_true(clients[i].was_closed && servers[i].was_closed);
	assert_int_equal(clients[i].close_error, 0);
	assert_int_equal(servers[i].close_error, 0);
}

static bool is_over(unsigned int i)
{
	return clients[i].was_closed && servers[i].was_closed;
}

/* ---- Blind guesses: RFC 5961 ---- */

/* What the attacker knows of a connection, or has found out: all but its numbers. */
struct target {
	struct forger to_server, to_client;
};

static void aim(struct target *target, const struct stream *stream)
{
	struct ip_address ip;
	uint16_t port;

	assert_true(tcp_local(stream->conn, &ip, &port));
	forger_begin(&target->to_server, attacker, 1, server, 2);
	forger_begin(&target->to_client, attacker, 2, client, 1);
	target->to_server.port = target->to_client.peer_port = port;
	target->to_server.peer_port = target->to_client.port = PORT;
}

static void guess(struct forger *forger)
{
	static const uint8_t payload[100] = "not what was pushed";
	static const uint8_t flags[] = {
		TCP_RST, TCP_RST | TCP_ACK, TCP_SYN,           TCP_SYN | TCP_ACK,
		TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_ACK | TCP_PSH,
	};
	struct forged forged = {
		.seq = (uint32_t)world_random(&world, UINT64_C(1) << 32),
		.ack = (uint32_t)world_random(&world, UINT64_C(1) << 32),
		.flags = flags[world_random(&world, COUNT_OF(flags))],
		.window = (uint16_t)world_random(&world, 65536),
		.payload = payload,
	};

	if (forged.flags & TCP_PSH)
		forged.length = 1 + (uint32_t)world_random(&world, sizeof(payload));
	if (world_random(&world, 4) == 0)
		forged.source_port = (uint16_t)(1 + world_random(&world, 65535));
	forger_throw(forger, &forged);
}

/* Two connections, one that talks and one that is silent, and who guesses at all four ends. */
static void guess_at(struct target *targets, uint64_t guesses)
{
	while (guesses) {
		for (unsigned int i = 0; i < GUESSES_A_MS && guesses; i++, guesses--) {
			struct target *target = &targets[world_random(&world, 2)];

			guess(world_random(&world, 2) ? &target->to_server : &target->to_client);
		}
		turn_all(1);
		world_run(&world, world.now_ns + MS);
	}
}

static uint64_t segments_out(const struct stream *stream)
{
	struct tcp_stats stats;

	tcp_get_stats(stream->conn, &stats);
	assert_int_equal(stats.state, TCP_STATE_ESTABLISHED);
	return stats.segments_out;
}

static void endure_guesses(bool timestamps, uint64_t guesses)
{
	/* The smaller the window is, the less can be guessed: it does not grow here. */
	const struct stream_plan talk = {
		.bytes = UINT64_MAX, .push_bytes_max = 2000, .pushes_max = 1};
	const struct stream_plan silent = {.bytes = 1, .waits_for_end = true};
	struct station_options first = station_with(2), second = station_with(1);
	struct target targets[2];
	uint64_t before_ns, answers, out[2];

	first.tcp.max_buffer = second.tcp.max_buffer = 65536;
	first.tcp.timestamps = second.tcp.timestamps = timestamps;
	begin(&first, &second);
	stream_listen(&listener, server, PORT, 8);
	world_settle(&world);
	for (unsigned int i = 0; i < 2; i++) {
		connect_one(i, client, i ? &silent : &talk);
		world_run(&world, world.now_ns + 100 * MS);
		assert_true(accept_one(i ? &silent : &talk));
		aim(&targets[i], &clients[i]);
	}
	before_ns = world.now_ns;
	out[0] = segments_out(&clients[1]);
	out[1] = segments_out(&servers[1]);
	guess_at(targets, guesses);
	/* And text that hits what a true peer may have sent lately, three windows of 65,536. */
	answers = ((world.now_ns - before_ns) / SECOND + 2) * CHALLENGES_MAX + guesses / 20000;
	assert_true(segments_out(&clients[1]) - out[0] <= answers);
	assert_true(segments_out(&servers[1]) - out[1] <= answers);
	/* It went on, by more than half of what it would have done. */
	assert_true(servers[0].received > guesses / GUESSES_A_MS * 500);
	for (unsigned int i = 0; i < 2; i++) {
		clients[i].plan.bytes = clients[i].pushed;
		servers[i].plan.bytes = servers[i].pushed;
		clients[i].plan.waits_for_end = false;
	}
	while (!is_over(0) || !is_over(1)) {
		turn_all(2);
		world_run(&world, world.now_ns + 10 * MS);
	}
	check_one(0);
	check_one(1);
	end();
}

static void sim__blind_guesses_change_nothing(void **state)
{
	uint64_t guesses = number_of("GUESSES", GUESSES);

	(void)state;
	endure_guesses(false, guesses / 2);
	endure_guesses(true, guesses - guesses / 2);
}

/* ---- SYN flood: RFC 4987 ---- */

/* One of nearly all addresses that there are, behind the gateway. */
static struct ip_address random_source(void)
{
	return ip_address_v4((uint32_t)(11 + world_random(&world, 115)) << 24 |
			     (uint32_t)world_random(&world, 1 << 24));
}

static void flood(struct forger *forger, uint64_t syns)
{
	static const uint8_t options[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0};

	for (uint64_t i = 0; i < syns; i++)
		forger_throw(forger,
			     &(struct forged){
				     .source = random_source(),
				     .source_port = (uint16_t)(1 + world_random(&world, 65535)),
				     .seq = (uint32_t)world_random(&world, 1ull << 32),
				     .flags = TCP_SYN,
				     .window = 1000,
				     .options = options,
				     .options_bytes = i % 2 ? sizeof(options) : 0,
			     });
}

static void converse(struct forger *forger, unsigned int count, uint64_t syns, uint32_t half_max)
{
	const struct stream_plan plan = {.bytes = 50000, .push_bytes_max = 5000, .pushes_max = 4};
	uint64_t until_ns = world.now_ns + 60 * SECOND;
	bool is_done = false;

	for (unsigned int i = 0; i < count; i++)
		connect_one(i, i % 2 ? other : client, &plan);
	while ((!is_done || syns) && world.now_ns < until_ns) {
		uint64_t now = syns < GUESSES_A_MS ? syns : GUESSES_A_MS;

		flood(forger, now);
		syns -= now;
		while (accept_one(&plan))
			;
		turn_all(count);
		world_run(&world, world.now_ns + MS);
		assert_true(counts_of(server).half_open <= half_max);
		assert_true(counts_of(server).connections <= half_max + STREAMS_MAX);
		is_done = true;
		for (unsigned int i = 0; i < count; i++)
			is_done &= is_over(i);
	}
	for (unsigned int i = 0; i < count; i++)
		check_one(i);
}

static void sim__a_syn_flood_keeps_no_client_out(void **state)
{
	uint64_t syns = number_of("GUESSES", GUESSES), heap_before;
	struct station_options first = station_with(2), second = station_with(1);
	uint32_t half_max = first.tcp.syn_backlog_max;
	struct forger forger;

	(void)state;
	/* Of the clients one has timestamps, so that a cookie can tell all that it asked for. */
	second.tcp.timestamps = false;
	begin(&first, &second);
	stream_listen(&listener, server, PORT, 128);
	forger_begin(&forger, attacker, 9, server, 2);
	forger.also = V4(10, 0, 0, 254);
	forger.peer_port = PORT;
	world_settle(&world);
	converse(&forger, 2, 0, half_max);
	assert_int_equal(counts_of(server).cookies_sent, 0);
	heap_before = heap_bytes(server);
	/* Until there is no room for another. */
	for (unsigned int i = 0; i < half_max / 100 + 1; i++) {
		flood(&forger, 100);
		world_run(&world, world.now_ns + MS);
	}
	assert_int_equal(counts_of(server).half_open, half_max);
	for (unsigned int i = 0; i < 10; i++)
		converse(&forger, 2, syns / 10, half_max);
	assert_int_equal(counts_of(server).half_open, half_max);
	assert_in_range(counts_of(server).cookies_taken, 16, 20);
	assert_true(heap_bytes(server) - heap_before < 1u << 20);
	/* And when it is over. */
	world_run(&world, world.now_ns + 200 * SECOND);
	assert_int_equal(counts_of(server).half_open, 0);
	converse(&forger, 2, 0, half_max);
	end();
}

/* Somebody else's acknowledgments make no connection: a cookie is not guessed. */
static void sim__nobody_guesses_a_cookie(void **state)
{
	uint64_t guesses = number_of("GUESSES", GUESSES);
	struct station_options first = station_with(2), second = station_with(1);
	struct forger forger;

	(void)state;
	first.tcp.syn_backlog_max = 0;
	begin(&first, &second);
	stream_listen(&listener, server, PORT, 128);
	forger_begin(&forger, attacker, 9, server, 2);
	forger.also = V4(10, 0, 0, 254);
	forger.peer_port = PORT;
	world_settle(&world);
	converse(&forger, 2, 0, 0);
	assert_int_equal(counts_of(server).cookies_taken, 2);
	for (uint64_t i = 0; i < guesses; i++) {
		forger_throw(&forger, &(struct forged){
					      .source = random_source(),
					      .source_port = (uint16_t)(1 + i % 65535),
					      .seq = (uint32_t)world_random(&world, 1ull << 32),
					      .ack = (uint32_t)world_random(&world, 1ull << 32),
					      .flags = TCP_ACK,
					      .window = 1000,
				      });
		if (i % GUESSES_A_MS == 0)
			world_run(&world, world.now_ns + MS);
	}
	world_run(&world, world.now_ns + MS);
	assert_int_equal(counts_of(server).cookies_taken, 2);
	assert_int_equal(tcp_acceptable(listener.conn), 0);
	end();
}

/* ---- TIME_WAIT ---- */

static void sim__time_waits_are_bounded(void **state)
{
	const struct stream_plan asks = {.waits_for_end = true}, hangs_up = {0};
	struct station_options first = station_with(2), second = station_with(1);
	uint32_t batches = (uint32_t)(number_of("GUESSES", GUESSES) / 4000);

	(void)state;
	first.tcp.time_waits_max = 64;
	first.tcp.connections_max = 256;
	begin(&first, &second);
	stream_listen(&listener, server, PORT, 64);
	world_settle(&world);
	for (uint32_t batch = 0; batch < batches; batch++) {
		bool is_done = false;

		for (unsigned int i = 0; i < STREAMS_MAX; i++)
			connect_one(i, client, &asks);
		while (!is_done) {
			while (accept_one(&hangs_up))
				;
			turn_all(STREAMS_MAX);
			world_run(&world, world.now_ns + MS);
			assert_true(counts_of(server).time_waits <= 64);
			is_done = true;
			for (unsigned int i = 0; i < STREAMS_MAX; i++)
				is_done &= is_over(i);
		}
		for (unsigned int i = 0; i < STREAMS_MAX; i++)
			check_one(i);
		assert_true(counts_of(server).connections <= 64 + STREAMS_MAX);
	}
	assert_int_equal(counts_of(server).time_waits, 64);
	assert_int_equal(counts_of(client).time_waits, 0);
	end();
}

/* ---- More than are accepted ---- */

static void overflow(uint32_t syn_backlog, unsigned int count)
{
	const struct stream_plan plan = {.bytes = 1000, .push_bytes_max = 1000, .pushes_max = 1};
	struct station_options first = station_with(2), second = station_with(1);
	uint64_t until_ns;
	bool is_done = false;

	first.tcp.syn_backlog_max = syn_backlog;
	begin(&first, &second);
	stream_listen(&listener, server, PORT, 2);
	world_settle(&world);
	for (unsigned int i = 0; i < count; i++)
		connect_one(i, client, &plan);
	until_ns = world.now_ns + 170 * SECOND;
	for (unsigned int round = 0; !is_done && world.now_ns < until_ns; round++) {
		assert_true(tcp_acceptable(listener.conn) <= 2);
		if (round % 3 == 0)
			accept_one(&plan);
		turn_all(count);
		world_run(&world, world.now_ns + 100 * MS);
		is_done = true;
		for (unsigned int i = 0; i < count; i++)
			is_done &= is_over(i);
	}
	for (unsigned int i = 0; i < count; i++)
		check_one(i);
	end();
}

static void sim__who_finds_the_backlog_full_is_accepted_later(void **state)
{
	(void)state;
	overflow(64, STREAMS_MAX);
	overflow(4, 8);
	overflow(0, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sim__blind_guesses_change_nothing, tell_seed),
		cmocka_unit_test_teardown(sim__a_syn_flood_keeps_no_client_out, tell_seed),
		cmocka_unit_test_teardown(sim__nobody_guesses_a_cookie, tell_seed),
		cmocka_unit_test_teardown(sim__time_waits_are_bounded, tell_seed),
		cmocka_unit_test_teardown(sim__who_finds_the_backlog_full_is_accepted_later,
					  tell_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
