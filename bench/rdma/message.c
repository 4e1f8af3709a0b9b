/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-rdma all|libos BYTES N: N messages each way between two ends of a Catmint connection,
 * over the simulated device; under callgrind is counted
 *
 *	all    everything but what the device does: of each message its allocation, push, pop, waits
 *	libos  what Catmint does of it: its push and pop, and its turns of the fast path
 *	nothing  what the wrappers take that switch the counting on and off for "libos"
 *
 *
 * The device's calls of the datapath go through the ops of its context, which are wrapped here. The
 * library is linked in, to get at them.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <demi/demi.h>

#include "api/api.h"
#include "libos/catmint/catmint.h"

#ifdef BENCH_HAVE_VALGRIND
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT ((void)0)
#endif

#define PORT 7
#define WARM_UP 1000u

static struct ibv_context_ops device;
static int client, server;
static bool counts, counts_all;

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "demi-bench-rdma: %s\n", what);
	exit(1);
}

static void toggle(void)
{
	if (counts)
		CALLGRIND_TOGGLE_COLLECT;
}

/* ---- The device, not counted ---- */

static int uncounted_poll_cq(struct ibv_cq *cq, int room, struct ibv_wc *completions)
{
	int count;

	toggle();
	count = device.poll_cq(cq, room, completions);
	toggle();
	return count;
}

static int uncounted_post_send(struct ibv_qp *qp, struct ibv_send_wr *requests,
			       struct ibv_send_wr **bad)
{
	int error;

	toggle();
	error = device.post_send(qp, requests, bad);
	toggle();
	return error;
}

static int uncounted_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *requests,
				   struct ibv_recv_wr **bad)
{
	int error;

	toggle();
	error = device.post_srq_recv(srq, requests, bad);
	toggle();
	return error;
}

static void wrap_device(void)
{
	struct ibv_context_ops *ops = &catmint_of(api_runtime->libos)->verbs->ops;

	device = *ops;
	ops->poll_cq = uncounted_poll_cq;
	ops->post_send = uncounted_post_send;
	ops->post_srq_recv = uncounted_post_srq_recv;
}

/* ---- The libOS, as the API and the scheduler call it ---- */

static const struct queue_ops *queue_ops;
static coroutine_fn fast_path;

static void toggle_libos(void)
{
	if (!counts_all)
		toggle();
}

static int counted_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
			const struct sockaddr *address, socklen_t length)
{
	int error;

	toggle_libos();
	error = queue_ops->push(queue, op, sga, address, length);
	toggle_libos();
	return error;
}

static int counted_pop(struct queue *queue, struct op *op)
{
	int error;

	toggle_libos();
	error = queue_ops->pop(queue, op);
	toggle_libos();
	return error;
}

static enum coroutine_step counted_fast_path(struct coroutine *self, uint64_t now_ns)
{
	enum coroutine_step step;

	toggle_libos();
	step = fast_path(self, now_ns);
	toggle_libos();
	return step;
}

static void wrap_queue(int qd)
{
	static struct queue_ops wrapped;
	struct queue *queue = queue_lookup(&api_runtime->context.queues, qd);

	queue_ops = queue->ops == &wrapped ? queue_ops : queue->ops;
	wrapped = *queue_ops;
	wrapped.push = counted_push;
	wrapped.pop = counted_pop;
	queue->ops = &wrapped;
}

static void wrap_libos(void)
{
	struct catmint *mint = catmint_of(api_runtime->libos);

	wrap_queue(client);
	wrap_queue(server);
	/* The look at events, now and then, would be there for each few messages, as slow as this is. */
	mint->events_at_ns = UINT64_MAX;
	fast_path = mint->fast_path.resume;
	mint->fast_path.resume = counted_fast_path;
}

/* ---- The wrappers alone ---- */

static int no_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		   const struct sockaddr *address, socklen_t length)
{
	struct ibv_qp *qp = (struct ibv_qp *)(uintptr_t)sga;

	(void)queue;
	(void)op;
	(void)address;
	(void)length;
	return uncounted_post_send(qp, NULL, NULL);
}

static int no_pop(struct queue *queue, struct op *op)
{
	(void)queue;
	(void)op;
	return 0;
}

static enum coroutine_step no_fast_path(struct coroutine *self, uint64_t now_ns)
{
	(void)self;
	(void)now_ns;
	uncounted_poll_cq(NULL, 0, NULL);
	return COROUTINE_STEP_YIELD;
}

static int no_poll_cq(struct ibv_cq *cq, int room, struct ibv_wc *completions)
{
	(void)cq;
	(void)room;
	(void)completions;
	return 0;
}

static int no_post_send(struct ibv_qp *qp, struct ibv_send_wr *requests, struct ibv_send_wr **bad)
{
	(void)qp;
	(void)requests;
	(void)bad;
	return 0;
}

/* As often as for a message: a push that posts, a pop, a turn that polls. */
static void count_nothing(unsigned long messages)
{
	static const struct queue_ops ops = {.push = no_push, .pop = no_pop};

	queue_ops = &ops;
	fast_path = no_fast_path;
	device.poll_cq = no_poll_cq;
	device.post_send = no_post_send;
	counts = true;
	while (messages-- > 0) {
		counted_push(NULL, NULL, NULL, NULL, 0);
		counted_pop(NULL, NULL);
		counted_fast_path(NULL, 0);
	}
	counts = false;
}

/* ---- Two ends ---- */

static demi_qresult_t await(demi_qtoken_t token)
{
	demi_qresult_t result;

	must(demi_wait(&result, token, NULL) == 0 && result.qr_opcode != DEMI_OPC_FAILED,
	     "an operation failed");
	return result;
}

static void connect_ends(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	demi_qtoken_t accepting = 0, connecting = 0;
	int listener = -1;

	inet_pton(AF_INET, "10.81.0.1", &address.sin_addr);
	must(demi_socket(&listener, AF_INET, SOCK_STREAM, 0) == 0 &&
		     demi_bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		     demi_listen(listener, 1) == 0 && demi_accept(&accepting, listener) == 0,
	     "cannot listen");
	must(demi_socket(&client, AF_INET, SOCK_STREAM, 0) == 0 &&
		     demi_connect(&connecting, client, (struct sockaddr *)&address,
				  sizeof(address)) == 0,
	     "cannot connect");
	await(connecting);
	server = await(accepting).qr_value.ares.qd;
}

/* One message: the array is made anew each time, as an application does it. */
static void send_one(int from, int to, uint32_t bytes)
{
	demi_qtoken_t pushing = 0, popping = 0;
	demi_sgarray_t array = demi_sgaalloc(bytes);
	demi_qresult_t popped;

	must(array.sga_buf != NULL, "no memory");
	must(demi_pop(&popping, to) == 0, "cannot pop");
	must(demi_push(&pushing, from, &array) == 0, "cannot push");
	must(demi_sgafree(&array) == 0, "cannot free");
	popped = await(popping);
	must(popped.qr_value.sga.sga_segs[0].sgaseg_len == bytes, "not what was pushed");
	must(demi_sgafree(&popped.qr_value.sga) == 0, "cannot free");
	await(pushing);
}

int main(int argc, char **argv)
{
	unsigned long bytes, number;

	if (argc != 4) {
		fputs("usage: demi-bench-rdma all|libos|nothing BYTES NUMBER\n", stderr);
		return 2;
	}
	counts_all = strcmp(argv[1], "all") == 0;
	bytes = strtoul(argv[2], NULL, 10);
	number = strtoul(argv[3], NULL, 10);
	if (strcmp(argv[1], "nothing") == 0) {
		count_nothing(2 * number);
		return 0;
	}
	setenv("LIBOS", "catmint", 1);
	setenv("DEMI_CATMINT_DEVICE", "sim:,ip=10.81.0.1", 1);
	must(demi_init(NULL) == 0, "demi_init failed");
	connect_ends();
	wrap_device();
	wrap_libos();
	for (unsigned long i = 0; i < WARM_UP; i++) {
		send_one(client, server, (uint32_t)bytes);
		send_one(server, client, (uint32_t)bytes);
	}
	counts = true;
	if (counts_all)
		toggle();
	for (unsigned long i = 0; i < number; i++) {
		send_one(client, server, (uint32_t)bytes);
		send_one(server, client, (uint32_t)bytes);
	}
	if (counts_all)
		toggle();
	counts = false;
	demi_fini();
	return 0;
}
