/* SPDX-License-Identifier: MIT */
/*
 * The lossy group: what TCP makes of a path that loses packets, on a simulated link and in simulated
 * time, so that a figure is the same every time; a round is a seed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "bench.h"
#include "net/net.h"
#include "net/tcp/congestion.h"
#include "net/tcp/tcp.h"
#include "netdev/sim.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define PORT 80
#define PUSH_BYTES 65536u
#define PUSHES_MAX 64u /* under way */
#define BANDWIDTH UINT64_C(1000000000)
#define RATE_NS (30 * SECOND) /* of which a rate is taken, simulated */
#define PATIENCE_NS (600 * SECOND)
#define STEP_NS 4000u /* between two looks at what is ready, at least */

struct side {
	struct heap *heap;
	struct sched sched;
	struct netdev *device;
	struct net *net;
	struct tcp_conn *listener, *conn;
	uint64_t received; /* bytes */
	uint32_t pushes;   /* under way */
};

struct transfer {
	struct sim_link *link;
	struct side sender, receiver;
	unsigned char *bytes; /* PUSH_BYTES of the sender's heap */
	uint64_t now_ns;
};

/* A path, and what is measured on it. */
struct trial {
	const char *name;
	const char *label;
	const struct tcp_congestion_ops *congestion;
	uint32_t loss; /* of a million, both ways */
	uint64_t round_trip_ns;
	uint64_t bytes; /* 0: a rate is measured, otherwise the time that these take */
};

static const struct trial trials[] = {
	{"lossy/rate/cubic", "CUBIC", &tcp_cubic, 10000, 10 * MS, 0},
	{"lossy/rate/reno", "NewReno", &tcp_reno, 10000, 10 * MS, 0},
	{"lossy/mib/10ms", "1 MiB, 10 % lost, 10 ms", &tcp_cubic, 100000, 10 * MS, 1u << 20},
	{"lossy/mib/100us", "1 MiB, 10 % lost, 0.1 ms", &tcp_cubic, 100000, MS / 10, 1u << 20},
};
#define TRIALS (sizeof(trials) / sizeof(trials[0]))

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
	struct side *side = owner;

	for (const struct buf *at = buf; at; at = at->next)
		side->received += at->length;
	must(buf_free(side->heap, buf) == 0);
	return true;
}

static void ended(void *owner, int error)
{
	(void)owner;
	(void)error;
}

static void pushed(void *owner, void *push, int error)
{
	(void)push;
	(void)error;
	((struct side *)owner)->pushes--;
}

static void closed(void *owner, int error)
{
	(void)owner;
	(void)error;
}

static const struct tcp_events events = {acceptable, connected, received, ended, pushed, closed};

/* ---- Two stacks ---- */

static void open_side(struct transfer *transfer, struct side *side, unsigned int number,
		      const struct trial *trial, uint64_t seed)
{
	const struct net_address address = {
		ip_address_v4(0x0a500000u + number), 24, true, false, UINT64_MAX, UINT64_MAX};
	struct net_options options = {
		.sched = &side->sched,
		.now_ns = transfer->now_ns,
		.seed = {seed, number},
		.addresses = &address,
		.address_count = 1,
		.copy_max = 1024,
		.neighbours_max = 16,
		.neighbour_pending_max = 64,
		.reassembly_bytes_max = 1u << 20,
		.icmp_rate = 1000,
		.socket_bytes_max = 1u << 20,
	};

	must(heap_create(&side->heap, &(struct heap_options){.bytes_max = 256u << 20}) == 0);
	must(sched_init(&side->sched, transfer->now_ns) == 0);
	must(sim_device_create(&side->device, transfer->link, side->heap,
			       &(struct sim_device_options){.frames = 4096, .checksum = true}) ==
	     0);
	options.device = side->device;
	options.heap = side->heap;
	tcp_defaults(&options.tcp);
	options.tcp.congestion = trial->congestion;
	must(net_create(&side->net, &options) == 0);
}

static void close_side(struct side *side)
{
	if (side->conn)
		tcp_close(side->conn, false);
	if (side->listener)
		tcp_close(side->listener, false);
	net_destroy(side->net);
	netdev_close(side->device);
	sched_fini(&side->sched);
	heap_destroy(side->heap);
}

/* ---- Simulated time ---- */

static void poll_side(struct transfer *transfer, struct side *side)
{
	net_poll(side->net, transfer->now_ns);
	sched_poll(&side->sched, transfer->now_ns);
	net_flush(side->net);
}

static uint64_t next_of(const struct side *side)
{
	uint64_t timer_ns = timer_wheel_next_ns(&side->sched.timers);
	uint64_t frame_ns = side->device->ops->next_ns(side->device);

	if (side->net->tx_count || sched_has_ready(&side->sched))
		return 0;
	return timer_ns < frame_ns ? timer_ns : frame_ns;
}

static void step(struct transfer *transfer)
{
	uint64_t sender_ns, receiver_ns, next_ns;

	poll_side(transfer, &transfer->sender);
	poll_side(transfer, &transfer->receiver);
	sender_ns = next_of(&transfer->sender);
	receiver_ns = next_of(&transfer->receiver);
	next_ns = sender_ns < receiver_ns ? sender_ns : receiver_ns;
	if (next_ns < transfer->now_ns + STEP_NS)
		next_ns = transfer->now_ns + STEP_NS;
	must(next_ns != UINT64_MAX);
	transfer->now_ns = next_ns;
}

/* ---- A transfer ---- */

static void connect_sides(struct transfer *transfer)
{
	const struct ip_address any = ip_address_v4(0), peer = ip_address_v4(0x0a500002u);
	struct side *sender = &transfer->sender, *receiver = &transfer->receiver;

	must(tcp_open(&receiver->listener, receiver->net, &events, receiver, false) == 0);
	must(tcp_bind(receiver->listener, &any, PORT) == 0);
	must(tcp_listen(receiver->listener, 1) == 0);
	must(tcp_open(&sender->conn, sender->net, &events, sender, false) == 0);
	must(tcp_connect(sender->conn, &peer, PORT) == 0);
	while (!(receiver->conn = tcp_accept(receiver->listener, receiver)))
		step(transfer);
}

static void push_some(struct transfer *transfer, uint64_t *left)
{
	struct side *sender = &transfer->sender;

	while (*left > 0 && sender->pushes < PUSHES_MAX) {
		uint32_t bytes = *left < PUSH_BYTES ? (uint32_t)*left : PUSH_BYTES;
		demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{transfer->bytes, bytes}}};

		must(tcp_push(sender->conn, &sga, transfer->bytes) == 0);
		sender->pushes++;
		*left -= bytes;
	}
}

/* Until @bytes have come or the time is up, from the first push on. Return: the time, simulated. */
static uint64_t send_bytes(struct transfer *transfer, uint64_t bytes, uint64_t time_ns)
{
	uint64_t begin_ns = transfer->now_ns, left = bytes;

	while (transfer->receiver.received < bytes && transfer->now_ns < begin_ns + time_ns) {
		push_some(transfer, &left);
		step(transfer);
	}
	return transfer->now_ns - begin_ns;
}

/* Mbit/s, or milliseconds. */
static double run_trial(const struct trial *trial, uint64_t seed)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	double value;

	must(transfer != NULL);
	transfer->now_ns = SECOND;
	transfer->link = sim_link_create(&(struct sim_options){.seed = seed,
							       .delay_ns = trial->round_trip_ns / 2,
							       .bandwidth = BANDWIDTH,
							       .flight_max = 16384});
	must(transfer->link != NULL);
	open_side(transfer, &transfer->sender, 1, trial, seed);
	open_side(transfer, &transfer->receiver, 2, trial, seed);
	transfer->bytes = heap_alloc_io(transfer->sender.heap, PUSH_BYTES);
	memset(transfer->bytes, 7, PUSH_BYTES);
	connect_sides(transfer);
	sim_link_options(transfer->link)->loss = trial->loss;
	if (trial->bytes) {
		value = (double)send_bytes(transfer, trial->bytes, PATIENCE_NS) / 1e6;
	} else {
		send_bytes(transfer, UINT64_MAX, RATE_NS);
		value = (double)transfer->receiver.received * 8 / (RATE_NS / 1e9) / 1e6;
	}
	close_side(&transfer->sender);
	close_side(&transfer->receiver);
	sim_link_destroy(transfer->link);
	free(transfer);
	return value;
}

/* ---- The group ---- */

static struct figure *add_figure(const struct trial *trial, unsigned int rounds,
				 struct report *report)
{
	struct figure *figure = report_add(report, trial->bytes ? "ms" : "Mbit/s", rounds);

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "%s", trial->name);
	snprintf(figure->label, sizeof(figure->label), "%s", trial->label);
	snprintf(figure->section, sizeof(figure->section), "%s",
		 trial->bytes ? "the time, each way loses"
			      : "the rate, 1 % lost each way, 10 ms round trip");
	figure->higher_is_better = trial->bytes == 0;
	return figure;
}

static int run(const struct bench_options *options, struct report *report)
{
	for (size_t i = 0; i < TRIALS; i++) {
		struct figure *figure;

		if (!bench_wants(options, trials[i].name))
			continue;
		figure = add_figure(&trials[i], options->rounds, report);
		if (!figure)
			return -ENOMEM;
		for (unsigned int round = 0; round < options->rounds; round++) {
			figure->values[round] = run_trial(&trials[i], round + 1);
			if (round == 0 || figure->values[round] < figure->minimum)
				figure->minimum = figure->values[round];
		}
	}
	return 0;
}

static void list(void)
{
	for (size_t i = 0; i < TRIALS; i++)
		printf("  %-28s %s\n", trials[i].name, trials[i].label);
}

const struct bench_group lossy_group = {
	.name = "lossy",
	.title = "TCP on a path that loses packets, simulated: 1 Gbit/s",
	.help = "  In simulated time, so that it is the same every time and on every machine; a round is\n"
		"  a seed. bench/lossy/path.py measures Linux and Catnip on such a path.",
	.run = run,
	.list = list,
};
