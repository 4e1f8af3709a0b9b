/* SPDX-License-Identifier: MIT */
/*
 * For tests of Catmint's datagrams: runtimes on a simulated network, on simulated time. To be included
 * once.
 */
#ifndef DEMI_LIBOS_CATMINT_DATAGRAM_TESTING_H
#define DEMI_LIBOS_CATMINT_DATAGRAM_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libos/catmint/datagram.h"
#include "queue/sga.h"
#include "rdma/sim.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define STEP_NS (5 * US)

struct host {
	struct queue_context context;
	struct config config;
	struct libos *libos;
	struct catmint *mint;
	uint64_t objects; /* of the heap, at first */
};

static struct host a, b;
static uint64_t now_ns;
static bool host_has_v6 = true;

static uint64_t host_clock(void)
{
	return now_ns += STEP_NS;
}

static uint64_t host_objects(const struct host *host)
{
	struct heap_stats stats;

	heap_get_stats(host->context.heap, &stats);
	return stats.objects;
}

static void host_start(struct host *host, unsigned int number, const char *words)
{
	const struct heap_options heap = {.bytes_max = 64u << 20,
					  .huge_pages = HEAP_HUGE_PAGES_OFF};
	struct queue_context *context = &host->context;
	char v6[24] = "";

	memset(host, 0, sizeof(*host));
	config_defaults(&host->config);
	host->config.catmint.completions = 4096;
	host->config.catmint.connections_max = 32;
	if (host_has_v6)
		snprintf(v6, sizeof(v6), ",ip=fd00::%u", number);
	snprintf(host->config.catmint.device, sizeof(host->config.catmint.device),
		 "sim:datagrams,ip=10.0.0.%u%s%s", number, v6, words);
	context->clock = host_clock;
	context->now_ns = now_ns;
	assert_int_equal(heap_create(&context->heap, &heap), 0);
	assert_int_equal(sched_init(&context->sched, now_ns), 0);
	assert_int_equal(op_table_init(&context->ops, 1024), 0);
	assert_int_equal(queue_table_init(&context->queues, 64), 0);
	host->objects = host_objects(host);
	assert_int_equal(catmint_ops.start(&host->libos, context, &host->config), 0);
	host->mint = catmint_of(host->libos);
}

/* @words: of the network and of both devices, each with a comma before it. */
static void start(const char *words)
{
	now_ns = 1000 * SECOND;
	host_start(&a, 1, words);
	host_start(&b, 2, words);
}

/* Everything must be back. */
static void host_end(struct host *host)
{
	struct queue_context *context = &host->context;

	for (uint32_t i = 0; i < context->queues.used; i++) {
		struct queue *queue = context->queues.queues[i];

		if (!queue)
			continue;
		queue_table_remove(&context->queues, queue);
		queue->ops->close(queue);
	}
	catmint_ops.stop(host->libos);
	assert_int_equal(timer_wheel_next_ns(&context->sched.timers), TIMER_NEVER);
	assert_int_equal(host_objects(host), host->objects);
	queue_table_fini(&context->queues);
	op_table_fini(&context->ops);
	sched_fini(&context->sched);
	heap_destroy(context->heap);
}

static void end(void)
{
	host_end(&a);
	host_end(&b);
}

static void step(void)
{
	now_ns += STEP_NS;
	a.context.now_ns = b.context.now_ns = now_ns;
	sched_poll(&a.context.sched, now_ns);
	sched_poll(&b.context.sched, now_ns);
}

static void run(uint64_t ns)
{
	for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;)
		step();
}

/* --- sockets --- */

static struct sockaddr_in address_of(unsigned int number, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0x0a000000u + number)};
}

static struct queue *socket_open(struct host *host)
{
	struct queue *queue;

	assert_int_equal(catmint_ops.socket(host->libos, &queue, AF_INET, SOCK_DGRAM, 0), 0);
	assert_int_equal(queue_table_add(&host->context.queues, queue), 0);
	return queue;
}

static struct queue *socket_bound(struct host *host, unsigned int number, uint16_t port)
{
	struct sockaddr_in address = address_of(number, port);
	struct queue *queue = socket_open(host);

	assert_int_equal(queue->ops->bind(queue, (struct sockaddr *)&address, sizeof(address)), 0);
	return queue;
}

static void socket_close(struct host *host, struct queue *queue)
{
	queue_table_remove(&host->context.queues, queue);
	queue->ops->close(queue);
}

static struct op *issue(struct host *host, struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&host->context.ops, opcode, queue, queue->qd);

	assert_non_null(op);
	return op;
}

/* Its error; it is free then. */
static int finish(struct host *host, struct op *op)
{
	int error;

	assert_true(op_is_complete(op));
	error = op->error;
	op_unlink(&host->context.ops, op);
	op_free(&host->context.ops, op);
	return error;
}

static int wait_for(struct host *host, struct op *op)
{
	for (uint64_t end_ns = now_ns + 10 * SECOND; !op_is_complete(op);) {
		assert_true(now_ns < end_ns);
		step();
	}
	return finish(host, op);
}

/* --- datagrams --- */

static uint8_t byte_of(uint32_t seed, uint32_t at)
{
	uint32_t value = (seed + 1) * 2654435761u ^ at * 40503u;

	return (uint8_t)(value >> 16 ^ value >> 8);
}

/* Four bytes of seed, where they fit, and what follows from it. In memory of the heap. */
static demi_sgarray_t make_array(struct host *host, uint32_t bytes, uint32_t seed)
{
	struct buf *buf = buf_alloc(host->context.heap, bytes ? bytes : 1);
	demi_sgarray_t sga;

	assert_non_null(buf);
	buf->length = bytes;
	for (uint32_t i = 0; i < bytes; i++)
		buf->data[i] = byte_of(seed, i);
	if (bytes >= sizeof(seed))
		memcpy(buf->data, &seed, sizeof(seed));
	sga_from_bufs(&sga, buf);
	return sga;
}

static void check_content(const struct buf *buf)
{
	uint32_t seed;

	if (buf->length < sizeof(seed))
		return;
	memcpy(&seed, buf->data, sizeof(seed));
	for (uint32_t i = sizeof(seed); i < buf->length; i++)
		assert_int_equal(buf->data[i], byte_of(seed, i));
}

/* The push; its array is freed at once. */
static struct op *push(struct host *host, struct queue *queue, const struct sockaddr_in *to,
		       uint32_t bytes, uint32_t seed)
{
	struct op *op = issue(host, queue, DEMI_OPC_PUSH);
	demi_sgarray_t sga = make_array(host, bytes, seed);

	assert_int_equal(queue->ops->push(queue, op, &sga, (const struct sockaddr *)to,
					  to ? sizeof(*to) : 0),
			 0);
	assert_int_equal(buf_free(host->context.heap, sga.sga_buf), 0);
	return op;
}

static struct op *pop(struct host *host, struct queue *queue)
{
	struct op *op = issue(host, queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

/* The length of what was popped, which is whole; UINT32_MAX: an error. *@seed: its number; NULL */
static uint32_t take(struct host *host, struct op *op, uint32_t *seed)
{
	struct buf *buf = op->result.buf;
	uint32_t length;

	if (finish(host, op))
		return UINT32_MAX;
	assert_null(buf->next);
	check_content(buf);
	length = buf->length;
	if (seed && length >= sizeof(*seed))
		memcpy(seed, buf->data, sizeof(*seed));
	assert_int_equal(buf_free(host->context.heap, buf), 0);
	return length;
}

static void expect(struct host *host, struct queue *queue, uint32_t bytes)
{
	struct op *op = pop(host, queue);

	for (uint64_t end_ns = now_ns + 10 * SECOND; !op_is_complete(op);) {
		assert_true(now_ns < end_ns);
		step();
	}
	assert_int_equal(take(host, op, NULL), bytes);
}

#endif /* DEMI_LIBOS_CATMINT_DATAGRAM_TESTING_H */
