/* SPDX-License-Identifier: MIT */
/*
 * 64 runtimes that share a device, on a link that loses, doubles and reorders: every connection to them and of
 * theirs carries each byte once, whichever runtimes listen, come and go meanwhile. SEEDS=N in the
 * environment tries N seeds; a seed that fails is printed, and SEED=N replays it.
 */
#include "stream.h"

#include <stdio.h>

#include "netdev/spread.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* Under a sanitizer each takes five times as long. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SEEDS 2
#else
#define SEEDS 12
#endif
#define RUNTIMES 64u
#define PEER 1u /* its number; the runtimes' is the next one */
#define HOST 2u
#define INWARD 200u  /* connections to the runtimes */
#define OUTWARD 128u /* of theirs, two of each */
#define PAIRS (INWARD + OUTWARD)
#define PORT 80
#define PEER_PORT 81
#define PATIENCE_NS (600 * SECOND)

static struct world world;
static struct station *runtimes[RUNTIMES];
static struct stream_listener listeners[RUNTIMES], peer_listener;
/* Of each connection the end that has opened it, and the other one. */
static struct stream openers[PAIRS], acceptors[PAIRS];
static unsigned int accepted_by[RUNTIMES];

static struct stream_plan plan_of(void)
{
	return (struct stream_plan){
		.bytes = 1 + world_random(&world, 30000),
		.push_bytes_max = 1 + (uint32_t)world_random(&world, 8000),
		.pushes_max = 1 + (uint32_t)world_random(&world, 8),
		.laziness = world_random(&world, 2) ? 4 : 0,
	};
}

static void add_runtime(unsigned int i)
{
	runtimes[i] = station_add(&world,
				  &(struct station_options){.number = HOST, .shares = true});
}

static void begin(uint64_t seed)
{
	struct sim_options link = {.seed = seed,
				   .delay_ns = 50 * US,
				   .jitter_ns = 20000,
				   .loss = 10000,
				   .duplicate = 5000,
				   .reorder = 10000};

	world_begin(&world, &link);
	memset(openers, 0, sizeof(openers));
	memset(acceptors, 0, sizeof(acceptors));
	memset(accepted_by, 0, sizeof(accepted_by));
	for (unsigned int i = 0; i < RUNTIMES; i++)
		add_runtime(i);
	stream_listen(&peer_listener,
		      station_add(&world, &(struct station_options){.number = PEER}), PEER_PORT,
		      300);
	/* But for the first one, the carrier. */
	memset(listeners, 0, sizeof(listeners));
	for (unsigned int i = 1; i < RUNTIMES; i++)
		stream_listen_shared(&listeners[i], runtimes[i], PORT, 300);
	world_settle(&world);
}

static int connect_again(unsigned int i)
{
	bool is_inward = i < INWARD;

	return stream_connect(&openers[i], V4(10, 0, 0, is_inward ? HOST : PEER),
			      is_inward ? PORT : PEER_PORT);
}

static void open_one(unsigned int i)
{
	struct stream *opener = &openers[i];
	bool is_inward = i < INWARD;

	opener->plan = plan_of();
	opener->seed = i;
	opener->peer_seed = PAIRS + i;
	stream_open(opener, is_inward ? peer_listener.station : runtimes[i % RUNTIMES]);
	assert_int_equal(connect_again(i), 0);
}

/* Which connection it is: by the port of who has opened it. */
static unsigned int pair_of(const struct tcp_conn *conn, unsigned int first, unsigned int end)
{
	struct ip_address ip;
	uint16_t port, local_port;

	assert_true(tcp_peer(conn, &ip, &port));
	for (unsigned int i = first; i < end; i++) {
		if (openers[i].conn && tcp_local(openers[i].conn, &ip, &local_port) &&
		    local_port == port)
			return i;
	}
	fail_msg("a connection that nobody has opened");
	return 0;
}

/* Return: how many. */
static unsigned int accept_some(struct stream_listener *listener, unsigned int first,
				unsigned int end)
{
	unsigned int count = 0;

	for (unsigned int i = first; i < end && listener->conn; i++) {
		struct stream *acceptor = &acceptors[i];

		if (acceptor->conn || acceptor->is_connected)
			continue;
		if (!stream_accept(acceptor, listener))
			break;
		acceptor->plan = plan_of();
		acceptor->peer_seed = pair_of(acceptor->conn, first, end);
		acceptor->seed = PAIRS + acceptor->peer_seed;
		count++;
	}
	return count;
}

static void turn(void)
{
	for (unsigned int i = 0; i < RUNTIMES; i++)
		accepted_by[i] += accept_some(&listeners[i], 0, INWARD);
	accept_some(&peer_listener, INWARD, PAIRS);
	for (unsigned int i = 0; i < PAIRS; i++) {
		/* All questions for the neighbour were lost. */
		if (openers[i].connect_error == EHOSTUNREACH) {
			openers[i].connect_error = 0;
			assert_int_equal(connect_again(i), 0);
		}
		stream_turn(&openers[i]);
		stream_turn(&acceptors[i]);
	}
	world_run(&world, world.now_ns + 1 + world_random(&world, 2 * MS));
}

static unsigned int accepted(unsigned int first, unsigned int end)
{
	unsigned int count = 0;

	for (unsigned int i = first; i < end; i++)
		count += acceptors[i].is_connected;
	return count;
}

static void accept_all(unsigned int inward, unsigned int outward)
{
	uint64_t until_ns = world.now_ns + PATIENCE_NS;

	while (accepted(0, INWARD) < inward || accepted(INWARD, PAIRS) < outward) {
		assert_true(world.now_ns < until_ns);
		turn();
	}
}

static bool all_closed(void)
{
	for (unsigned int i = 0; i < PAIRS; i++) {
		if (!openers[i].was_closed || !acceptors[i].was_closed)
			return false;
	}
	return true;
}

/*
 * While the first half of the connections is under way: the carrier goes, a third listens no more,
 * those who have no connection go, and others come in their places, of whom some listen.
 */
static void change_runtimes(void)
{
	unsigned int busy = 0;

	for (unsigned int i = 0; i < RUNTIMES; i++) {
		busy += accepted_by[i] > 0;
		if (i % 3 == 0 && listeners[i].conn)
			stream_unlisten(&listeners[i]);
		if (accepted_by[i] || listeners[i].conn)
			continue;
		station_remove(runtimes[i]);
		add_runtime(i);
		if (i % 2)
			stream_listen_shared(&listeners[i], runtimes[i], PORT, 300);
	}
	/* 100 flows that a hash spreads over 63. */
	assert_true(busy > 30);
}

static void check(const struct stream *stream, uint64_t expected)
{
	assert_int_equal(stream->wrong, 0);
	assert_int_equal(stream->received, expected);
	assert_int_equal(stream->acknowledged, stream->plan.bytes);
	assert_int_equal(stream->connect_error, 0);
	assert_int_equal(stream->push_error, 0);
	assert_int_equal(stream->end_error, 0);
	assert_int_equal(stream->close_error, 0);
}

static void end(void)
{
	for (unsigned int i = 0; i < PAIRS; i++) {
		const struct stream *opener = &openers[acceptors[i].peer_seed];

		check(&acceptors[i], opener->plan.bytes);
		check(opener, acceptors[i].plan.bytes);
	}
	for (unsigned int i = 0; i < RUNTIMES; i++)
		if (listeners[i].conn)
			stream_unlisten(&listeners[i]);
	stream_unlisten(&peer_listener);
	world_run(&world, world.now_ns + 300 * SECOND);
	for (unsigned int i = 0; i < RUNTIMES; i++)
		stream_assert_nothing_left(runtimes[i]);
	world_end(&world);
}

static uint64_t current_seed;

static int tell_seed(void **state)
{
	(void)state;
	if (current_seed)
		print_error("failed at %lu us: SEED=%lu replays it\n", world.now_ns / 1000,
			    current_seed);
	return 0;
}

static void run_seed(uint64_t seed)
{
	uint64_t until_ns;

	current_seed = seed;
	begin(seed);
	for (unsigned int i = 0; i < INWARD / 2; i++)
		open_one(i);
	accept_all(INWARD / 2, 0);
	change_runtimes();
	for (unsigned int i = INWARD / 2; i < PAIRS; i++)
		open_one(i);
	accept_all(INWARD, OUTWARD);
	until_ns = world.now_ns + PATIENCE_NS;
	while (!all_closed() && world.now_ns < until_ns)
		turn();
	end();
	current_seed = 0;
}

static void sim__each_runtime_has_what_is_its_own(void **state)
{
	const char *one = getenv("SEED");
	uint64_t seeds = seeds_of(SEEDS);

	(void)state;
	if (one) {
		run_seed(strtoull(one, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		run_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sim__each_runtime_has_what_is_its_own, tell_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
