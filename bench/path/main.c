/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-path TIME_MS: what TCP takes between a device and an application, a segment of 64 B.
 * demi-bench-path --count WAY N: makes N of them under callgrind, which counts on the way alone.
 *
 * Two runtimes in one thread, joined by the device "loop": ours, over the public API, and the peer.
 * The device of ours is wrapped, so that the moments when it hands over a frame and when it is given
 * one are known:
 *
 *	in    from the return of rx_burst, with the frame, to that of demi_wait, with the bytes
 *	out   from the call of demi_push to that of tx_burst, with the frame
 *
 * The library is linked in, since no public call changes a thread's runtime.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <demi/demi.h>

#include "api/api.h"
#include "api/heap.h"
#include "cycles.h"
#include "libos/catnip/catnip.h"

#ifdef BENCH_HAVE_VALGRIND
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT ((void)0)
#endif

#define MESSAGE_BYTES 64u
#define PORT 7
#define BATCH 1000u /* of exchanges, over which a mean is taken */
#define BATCHES_MAX 65536u
#define WARM_UP 20000u

enum way {
	WAY_IN,      /* nothing of ours is acknowledged by it */
	WAY_IN_ACK,  /* an answer to our last push, which completes */
	WAY_OUT,     /* a push */
	WAY_IN_ALL,  /* all of demi_wait but rx_burst */
	WAY_OUT_ALL, /* all of demi_push but tx_burst */
	WAYS,
};

static const char *const way_names[WAYS] = {"in", "in-ack", "out", "in-all", "out-all"};

struct end {
	struct runtime *runtime;
	int qd;
	demi_qtoken_t pop;
};

static struct end ours, peer;
static struct netdev_ops wrapped;
static const struct netdev_ops *device_ops; /* as they were */

/* The moments of a step, ticks. */
static struct {
	uint64_t called, in_begin, in_end, out_begin, out_end, returned;
} at;
static uint32_t frames_in;          /* of a step */
static enum way step = WAYS;        /* what is timed or counted now; WAYS: nothing */
static enum way to_count = WAYS;    /* the way on which callgrind counts; WAYS: times are taken */
static uint64_t batch_ticks[WAYS];  /* sums */
static uint32_t batch_counts[WAYS]; /* of how many */

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "demi-bench-path: %s\n", what);
	exit(1);
}

/* ---- Moments ---- */

/* One end of the way that is timed or counted in this step. */
static void mark(uint64_t *moment)
{
	if (to_count == WAYS)
		*moment = cycles_now();
	else if (step == to_count)
		CALLGRIND_TOGGLE_COLLECT;
}

/* A moment that is of no way that can be counted. */
static void note(uint64_t *moment)
{
	if (to_count == WAYS)
		*moment = cycles_now();
}

static unsigned int marking_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				     uint64_t now_ns)
{
	unsigned int count;

	if (step == WAYS || step == WAY_OUT)
		return device_ops->rx_burst(device, frames, room, now_ns);
	if (frames_in == 0)
		note(&at.in_begin);
	count = device_ops->rx_burst(device, frames, room, now_ns);
	if (count > 0 && frames_in == 0)
		mark(&at.in_end);
	frames_in += count;
	return count;
}

static unsigned int marking_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				     uint64_t now_ns)
{
	unsigned int taken;

	if (step != WAY_OUT)
		return device_ops->tx_burst(device, frames, count, now_ns);
	mark(&at.out_begin);
	taken = device_ops->tx_burst(device, frames, count, now_ns);
	note(&at.out_end);
	return taken;
}

static void add(enum way way, uint64_t ticks)
{
	batch_ticks[way] += ticks;
	batch_counts[way]++;
}

/* ---- Two runtimes ---- */

static void use(const struct end *end)
{
	api_runtime = end->runtime;
	api_heap = end->runtime->context.heap;
}

static void start(struct end *end, const char *ip)
{
	setenv("LIBOS", "catnip", 1);
	setenv("DEMI_NET_DEV", "loop:path", 1);
	setenv("DEMI_NET_IP", ip, 1);
	api_runtime = NULL;
	must(demi_init(NULL) == 0, "demi_init failed");
	end->runtime = api_runtime;
	must(demi_socket(&end->qd, AF_INET, SOCK_STREAM, 0) == 0, "demi_socket failed");
}

static void poll_end(const struct end *end)
{
	use(end);
	runtime_poll(end->runtime, clock_now_ns());
}

/* An operation that needs both ends to be polled. */
static demi_qresult_t finish(const struct end *end, const struct end *other, demi_qtoken_t token)
{
	static const struct timespec no_time;
	demi_qresult_t result;
	int error;

	do {
		poll_end(other);
		use(end);
		error = demi_wait(&result, token, &no_time);
	} while (error == ETIMEDOUT);
	must(!error && result.qr_opcode != DEMI_OPC_FAILED, "an operation failed");
	return result;
}

static void connect_ends(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	demi_qtoken_t accept_token = 0, connect_token = 0;
	int listening_qd;

	inet_pton(AF_INET, "10.81.0.1", &address.sin_addr);
	start(&ours, "10.81.0.1/24");
	listening_qd = ours.qd;
	must(demi_bind(listening_qd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		     demi_listen(listening_qd, 1) == 0 &&
		     demi_accept(&accept_token, listening_qd) == 0,
	     "cannot listen");
	start(&peer, "10.81.0.2/24");
	must(demi_connect(&connect_token, peer.qd, (struct sockaddr *)&address, sizeof(address)) ==
		     0,
	     "cannot connect");
	finish(&peer, &ours, connect_token);
	ours.qd = finish(&ours, &peer, accept_token).qr_value.ares.qd;
	must(demi_pop(&ours.pop, ours.qd) == 0, "cannot pop");
	use(&peer);
	must(demi_pop(&peer.pop, peer.qd) == 0, "cannot pop");
}

static void wrap_device(void)
{
	struct netdev *device = catnip_of(ours.runtime->libos)->device;

	device_ops = device->ops;
	wrapped = *device_ops;
	wrapped.rx_burst = marking_rx_burst;
	wrapped.tx_burst = marking_tx_burst;
	device->ops = &wrapped;
}

/* ---- An exchange ---- */

static void take_pop(struct end *end, demi_sgarray_t *array)
{
	must(array->sga_numsegs == 1 && array->sga_segs[0].sgaseg_len == MESSAGE_BYTES,
	     "not what was pushed");
	must(demi_sgafree(array) == 0 && demi_pop(&end->pop, end->qd) == 0, "cannot pop again");
}

/* The peer's message; it is in the ring then. */
static demi_qtoken_t peer_pushes(void)
{
	demi_sgarray_t array;
	demi_qtoken_t token = 0;

	use(&peer);
	array = demi_sgaalloc(MESSAGE_BYTES);
	must(array.sga_buf && demi_push(&token, peer.qd, &array) == 0, "the peer cannot push");
	must(demi_sgafree(&array) == 0, "the peer cannot free");
	use(&ours);
	return token;
}

static demi_sgarray_t receive(enum way way)
{
	demi_qresult_t result;
	int error;

	frames_in = 0;
	step = way;
	note(&at.called);
	error = demi_wait(&result, ours.pop, NULL);
	mark(&at.returned);
	step = WAYS;
	must(!error && result.qr_opcode == DEMI_OPC_POP, "nothing was popped");
	/* A late acknowledgment before it would be in the figure. */
	if (way < WAYS && frames_in == 1)
		add(way, at.returned - at.in_end);
	if (way == WAY_IN && frames_in == 1)
		add(WAY_IN_ALL, at.returned - at.called - (at.in_end - at.in_begin));
	return result.qr_value.sga;
}

/* Ours pushes what it has received. */
static demi_qtoken_t answer(const demi_sgarray_t *array)
{
	demi_qtoken_t token;
	int error;

	step = WAY_OUT;
	mark(&at.called);
	error = demi_push(&token, ours.qd, array);
	note(&at.returned);
	step = WAYS;
	must(!error, "cannot push");
	add(WAY_OUT, at.out_begin - at.called);
	add(WAY_OUT_ALL, at.returned - at.called - (at.out_end - at.out_begin));
	return token;
}

/* A message that acknowledges nothing, and is acknowledged by itself. */
static void exchange_plain(void)
{
	demi_qtoken_t pushed = peer_pushes();
	demi_sgarray_t array = receive(WAY_IN);

	take_pop(&ours, &array);
	finish(&peer, &ours, pushed);
}

/* A message that acknowledges the answer before it, and its answer, which acknowledges it. */
static void exchange_answered(void)
{
	static demi_qtoken_t answered;
	demi_qtoken_t pushed = peer_pushes();
	demi_sgarray_t array = receive(answered ? WAY_IN_ACK : WAYS);
	demi_qresult_t result;

	if (answered)
		finish(&ours, &peer, answered);
	answered = answer(&array);
	take_pop(&ours, &array);
	finish(&peer, &ours, pushed);
	result = finish(&peer, &ours, peer.pop);
	take_pop(&peer, &result.qr_value.sga);
}

/* ---- Figures ---- */

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* What two moments that follow one another are apart. */
static double mark_ticks(void)
{
	uint64_t start, first = 0, second = 0, sum = 0;

	for (start = 0; start < BATCH; start++) {
		mark(&first);
		mark(&second);
		sum += second - first;
	}
	return (double)sum / BATCH;
}

/* The mean of each way that exchanges go, ns; 0: they do not go it. */
static void run_batch(void (*exchange)(void), double means[WAYS])
{
	double apart = mark_ticks();

	memset(batch_ticks, 0, sizeof(batch_ticks));
	memset(batch_counts, 0, sizeof(batch_counts));
	for (uint32_t i = 0; i < BATCH; i++)
		exchange();
	for (uint32_t way = 0; way < WAYS; way++) {
		/* Between call and return of "all" two further moments have been taken. */
		double taken = way == WAY_IN_ALL || way == WAY_OUT_ALL ? 2 * apart : apart;

		means[way] = batch_counts[way]
				     ? ((double)batch_ticks[way] / batch_counts[way] - taken) /
					       cycles_per_ns()
				     : 0;
	}
}

static void measure(void (*exchange)(void), uint64_t time_ns)
{
	static double values[WAYS][BATCHES_MAX];
	uint64_t end_ns;
	uint32_t count = 0;

	for (uint32_t i = 0; i < WARM_UP; i++)
		exchange();
	end_ns = clock_now_ns() + time_ns;
	do {
		double means[WAYS];

		run_batch(exchange, means);
		for (uint32_t way = 0; way < WAYS; way++)
			values[way][count] = means[way];
		count++;
	} while (count < BATCHES_MAX && clock_now_ns() < end_ns);
	for (uint32_t way = 0; way < WAYS; way++) {
		qsort(values[way], count, sizeof(double), by_value);
		if (values[way][count - 1] > 0)
			printf("%s median %.1f minimum %.1f\n", way_names[way],
			       values[way][count / 2], values[way][0]);
	}
}

static void count(const char *name, uint64_t number)
{
	enum way way = WAY_IN;

	while (way < WAY_IN_ALL && strcmp(way_names[way], name) != 0)
		way++;
	must(way < WAY_IN_ALL, "there is no such way to be counted");
	to_count = way;
	while (number-- > 0) {
		if (way == WAY_IN)
			exchange_plain();
		else
			exchange_answered();
	}
}

int main(int argc, char **argv)
{
	bool counts = argc == 4 && strcmp(argv[1], "--count") == 0;

	if (argc != 2 && !counts) {
		fputs("usage: demi-bench-path TIME_MS\n"
		      "       demi-bench-path --count in|in-ack|out NUMBER\n",
		      stderr);
		return 2;
	}
	connect_ends();
	wrap_device();
	if (counts) {
		count(argv[2], strtoull(argv[3], NULL, 10));
	} else {
		uint64_t time_ns = strtoull(argv[1], NULL, 10) * 1000000;

		measure(exchange_plain, time_ns / 2);
		measure(exchange_answered, time_ns / 2);
	}
	use(&peer);
	demi_fini();
	use(&ours);
	demi_fini();
	return 0;
}
