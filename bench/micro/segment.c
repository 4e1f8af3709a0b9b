/* SPDX-License-Identifier: MIT */
/*
 * What TCP costs: two stacks on one core, joined by the device "loop", with owners that do nothing
 * but answer. Time stands still but for what the rounds make of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "cycles.h"
#include "micro.h"
#include "net/tcp/congestion.h"
#include "net/tcp/tcp.h"

#define CONNECTIONS_MAX 100000u
#define MESSAGE_BYTES 64u
#define BULK_BYTES 65536u
#define BULK_PUSHES 8u
#define FRAMES 4096u
#define ROUND_NS 1000u
#define PORT 80
#define PORTS 4u /* for one of them a client has not 100,000 of its own */
#define TURN 64u /* connections that speak before the stacks are polled: what a lane has room for */

struct side {
	struct heap *heap;
	struct sched sched;
	struct netdev *device;
	struct net *net;
	uint64_t received; /* bytes */
	uint64_t ended;
	bool echoes;
	struct tcp_conn *conns[CONNECTIONS_MAX]; /* the server's are in order of acceptance */
	uint32_t count;
};

struct segment_state {
	struct side client, server;
	struct tcp_conn *listeners[PORTS];
	uint64_t now_ns;
	uint32_t connections; /* that speak */
	uint32_t next;
	unsigned char *message;
	uint64_t pushed, acknowledged; /* pushes */
};

static struct segment_state *the_state;

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* ---- What owners are told ---- */

static void acceptable(void *owner)
{
	(void)owner;
}

static void connected(void *owner, int error)
{
	(void)owner;
	must(!error);
}

static bool received(void *owner, struct buf *buf)
{
	struct tcp_conn **place = owner;
	struct side *side = place < the_state->client.conns + CONNECTIONS_MAX &&
					    place >= the_state->client.conns
				    ? &the_state->client
				    : &the_state->server;

	side->received += buf->length;
	/* Another stack's memory is another heap's: the answer is a message of ours. */
	if (side->echoes) {
		demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{buf->data, buf->length}}};

		must(tcp_push(*place, &sga, owner) == 0);
	}
	must(buf_free(side->heap, buf) == 0);
	return true;
}

static void ended(void *owner, int error)
{
	(void)owner;
	(void)error;
	the_state->server.ended++;
}

static void pushed(void *owner, void *push, int error)
{
	(void)owner;
	(void)push;
	(void)error;
	the_state->acknowledged++;
}

static void closed(void *owner, int error)
{
	(void)owner;
	(void)error;
}

static const struct tcp_events events = {acceptable, connected, received, ended, pushed, closed};

/* ---- Two stacks ---- */

static int open_side(struct side *side, unsigned int number)
{
	static struct config config;
	struct netdev_options device = {.config = &config, .seed = number};
	const struct net_address address = {
		ip_address_v4(0x0a500000u + number), 24, true, false, UINT64_MAX, UINT64_MAX};
	struct net_options options = {
		.sched = &side->sched,
		.now_ns = ROUND_NS,
		.seed = {number, 1},
		.addresses = &address,
		.address_count = 1,
		.copy_max = 1024,
		.neighbours_max = 16,
		.neighbour_pending_max = 64,
		.reassembly_bytes_max = 1u << 20,
		.icmp_rate = 1000,
		.socket_bytes_max = 1u << 20,
	};
	int error = heap_create(&side->heap, &(struct heap_options){.bytes_max = 256u << 20});

	config.net.frames = FRAMES;
	if (!error)
		error = sched_init(&side->sched, ROUND_NS);
	device.heap = side->heap;
	if (!error)
		error = netdev_open(&side->device, "loop:bench", &device);
	options.device = side->device;
	options.heap = side->heap;
	tcp_defaults(&options.tcp);
	options.tcp.time_waits_max = 64;
	return error ? error : net_create(&side->net, &options);
}

static void poll_side(struct segment_state *state, struct side *side)
{
	net_poll(side->net, state->now_ns);
	sched_poll(&side->sched, state->now_ns);
	net_flush(side->net);
}

static void poll_both(struct segment_state *state)
{
	state->now_ns += ROUND_NS;
	poll_side(state, &state->server);
	poll_side(state, &state->client);
}

static void accept_all(struct segment_state *state)
{
	struct side *server = &state->server;
	struct tcp_conn *conn;

	for (uint32_t i = 0; i < PORTS; i++) {
		while (server->count < CONNECTIONS_MAX &&
		       (conn = tcp_accept(state->listeners[i], &server->conns[server->count])))
			server->conns[server->count++] = conn;
	}
}

static void connect_one(struct segment_state *state)
{
	const struct ip_address peer = ip_address_v4(0x0a500002u);
	struct side *client = &state->client;
	uint16_t port = (uint16_t)(PORT + client->count % PORTS);
	struct tcp_conn **place = &client->conns[client->count++];

	must(tcp_open(place, client->net, &events, place, false) == 0);
	must(tcp_connect(*place, &peer, port) == 0);
}

static void connect_all(struct segment_state *state, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		connect_one(state);
		while (state->server.count < state->client.count) {
			poll_both(state);
			accept_all(state);
		}
	}
	for (int i = 0; i < 100; i++)
		poll_both(state);
}

static void tear_down(void *argument)
{
	struct segment_state *state = argument;
	struct side *sides[] = {&state->client, &state->server};

	for (uint32_t i = 0; i < 2; i++) {
		struct side *side = sides[i];

		for (uint32_t j = 0; j < side->count; j++)
			tcp_close(side->conns[j], false);
		side->count = 0;
	}
	for (uint32_t i = 0; i < PORTS; i++)
		tcp_close(state->listeners[i], false);
	for (uint32_t i = 0; i < 2; i++) {
		heap_free(sides[i]->heap, i ? NULL : state->message);
		net_destroy(sides[i]->net);
		netdev_close(sides[i]->device);
		sched_fini(&sides[i]->sched);
		heap_destroy(sides[i]->heap);
	}
	free(state);
}

static int listen_all(struct segment_state *state)
{
	const struct ip_address any = ip_address_v4(0);
	int error = 0;

	for (uint32_t i = 0; !error && i < PORTS; i++) {
		struct tcp_conn **listener = &state->listeners[i];

		error = tcp_open(listener, state->server.net, &events, listener, false);
		if (!error)
			error = tcp_bind(*listener, &any, (uint16_t)(PORT + i));
		if (!error)
			error = tcp_listen(*listener, 1024);
	}
	return error;
}

static int set_up(void **state_out, uint64_t connections)
{
	struct segment_state *state = calloc(1, sizeof(*state));
	int error;

	if (!state)
		return -ENOMEM;
	the_state = state;
	state->connections = (uint32_t)connections;
	state->now_ns = ROUND_NS;
	error = open_side(&state->client, 1);
	if (!error)
		error = open_side(&state->server, 2);
	if (!error)
		error = listen_all(state);
	if (error)
		return error;
	state->message = heap_alloc_io(state->client.heap, BULK_BYTES);
	memset(state->message, 7, BULK_BYTES);
	connect_all(state, connections);
	*state_out = state;
	return 0;
}

/* ---- Echo ---- */

static int set_up_echo(void **state_out, uint64_t connections)
{
	int error = set_up(state_out, connections);

	if (!error)
		((struct segment_state *)*state_out)->server.echoes = true;
	return error;
}

/* One that speaks, all others idle. */
static int set_up_idle(void **state_out, uint64_t connections)
{
	int error = set_up_echo(state_out, connections);

	if (!error)
		((struct segment_state *)*state_out)->connections = 1;
	return error;
}

static void push_message(struct segment_state *state, uint32_t bytes)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{state->message, bytes}}};

	must(tcp_push(state->client.conns[state->next], &sga, &state->message) == 0);
	state->next = (state->next + 1) % state->connections;
	state->pushed++;
}

/* Round trips: as many at a time as there are connections, up to TURN. */
static uint64_t run_echo(void *argument, uint64_t iterations)
{
	struct segment_state *state = argument;
	uint32_t turn = state->connections < TURN ? state->connections : TURN;
	uint64_t target = state->client.received;

	for (uint64_t done = 0; done < iterations; done += turn) {
		for (uint32_t i = 0; i < turn; i++)
			push_message(state, MESSAGE_BYTES);
		target += (uint64_t)turn * MESSAGE_BYTES;
		net_flush(state->client.net);
		while (state->client.received < target)
			poll_both(state);
	}
	return 0;
}

/* ---- Bulk ---- */

static uint64_t run_bulk(void *argument, uint64_t iterations)
{
	struct segment_state *state = argument;
	uint64_t target = state->pushed + iterations;

	while (state->acknowledged < target) {
		while (state->pushed < target && state->pushed - state->acknowledged < BULK_PUSHES)
			push_message(state, BULK_BYTES);
		poll_both(state);
	}
	return 0;
}

/* ---- Connections ---- */

static uint64_t run_connect(void *argument, uint64_t iterations)
{
	struct segment_state *state = argument;
	struct side *client = &state->client, *server = &state->server;

	for (uint64_t done = 0; done < iterations; done += TURN) {
		server->ended = 0;
		for (uint32_t i = 0; i < TURN; i++)
			connect_one(state);
		while (server->count < client->count) {
			poll_both(state);
			accept_all(state);
		}
		for (uint32_t i = 0; i < TURN; i++)
			tcp_close(client->conns[--client->count], false);
		while (server->ended < TURN)
			poll_both(state);
		for (uint32_t i = 0; i < TURN; i++)
			tcp_close(server->conns[--server->count], false);
		for (int i = 0; i < 4; i++)
			poll_both(state);
	}
	return 0;
}

#define IDLE_RATIO_MAX 1.05
#define ROUND_TRIP_NS_MAX 667.0  /* 1.5 million round trips a second: 3 million echoes */
#define BULK_NS_MAX 26214.0      /* 20 Gbit/s */
#define CONNECTION_NS_MAX 5000.0 /* 200,000 a second */

const struct micro segment_micros[] = {
	{.name = "segment/echo-1",
	 .label = "round trip of 64 B, both ends: 1 connection",
	 .unit = "ns",
	 .argument = 1,
	 .counted = 16000,
	 .set_up = set_up_echo,
	 .run = run_echo,
	 .tear_down = tear_down},
	{.name = "segment/echo-idle",
	 .label = "the same, 99,999 idle connections beside it",
	 .unit = "ns",
	 .argument = CONNECTIONS_MAX,
	 .against = "segment/echo-1",
	 .goal_kind = GOAL_RATIO,
	 .goal = IDLE_RATIO_MAX,
	 .counted = 16000,
	 .counter = "round trip of 64 B, among 100,000 connections",
	 .set_up = set_up_idle,
	 .run = run_echo,
	 .tear_down = tear_down},
	{.name = "segment/echo-1000",
	 .label = "round trip of 64 B, both ends: 1,000 connections",
	 .unit = "ns",
	 .argument = 1000,
	 .goal_kind = GOAL_VALUE,
	 .goal = ROUND_TRIP_NS_MAX,
	 .counted = 64000,
	 .set_up = set_up_echo,
	 .run = run_echo,
	 .tear_down = tear_down},
	{.name = "segment/bulk",
	 .label = "64 KiB pushed by reference, received: 1 connection",
	 .unit = "ns",
	 .argument = 1,
	 .goal_kind = GOAL_VALUE,
	 .goal = BULK_NS_MAX,
	 .set_up = set_up,
	 .run = run_bulk,
	 .tear_down = tear_down},
	{.name = "segment/connect",
	 .label = "connect, accept, close both ends",
	 .unit = "ns",
	 .goal_kind = GOAL_VALUE,
	 .goal = CONNECTION_NS_MAX,
	 .set_up = set_up,
	 .run = run_connect,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(segment_micros, options, report);
}

static void list(void)
{
	micro_list(segment_micros);
}

const struct bench_group segment_group = {
	.name = "segment",
	.title = "TCP on one core, both ends, over the device \"loop\"",
	.help = "  Two stacks in one thread, without a libOS above. Both ends' work and the copying of\n"
		"  the loop are in each figure.",
	.run = run_group,
	.list = list,
};
