/* SPDX-License-Identifier: MIT */
/*
 * For tests of Catmint against peers that are not Catmint: one runtime (the victim) that listens, and raw
 * programs on its simulated network that send what they like. On simulated time. To be included once.
 */
#ifndef DEMI_LIBOS_CATMINT_TESTING_H
#define DEMI_LIBOS_CATMINT_TESTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/buf.h"
#include "libos/catmint/connection.h"
#include "rdma/sim.h"

#define RIG_US UINT64_C(1000)
#define RIG_PORT 80
#define RIG_STEPS_MAX 200000u
#define RAW_BUFFERS 64u
#define RAW_BUFFER_BYTES 1024u
#define RAW_MEMORY_BYTES (1u << 20)
/* What is sent stands behind the buffers. */
#define RAW_SEND_AT (RAW_BUFFERS * RAW_BUFFER_BYTES)

#define rig_must(condition)                                                                     \
	((condition) ? (void)0                                                                  \
		     : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), \
			abort()))

static uint64_t rig_now_ns;
static uint32_t rig_completions = 256; /* of the victim's device */
static uint32_t rig_connections = 32;
static uint64_t rig_heap_bytes = 64u << 20;
static uint32_t rig_keepalive_ms = 10000;
static uint64_t rig_large_bytes = 64u << 10;

static uint64_t rig_clock(void)
{
	return rig_now_ns += 10 * RIG_US;
}

/* ---- What the library says ---- */

static int rig_ear, rig_mouth;
static char rig_words[4096];

/* What goes to standard error is kept until rig_heard. */
static void __attribute__((unused)) rig_hear(void)
{
	int fds[2];

	rig_mouth = dup(STDERR_FILENO);
	rig_must(rig_mouth >= 0 && pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	rig_must(dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	rig_ear = fds[0];
}

static __attribute__((unused)) const char *rig_heard(void)
{
	ssize_t length;

	rig_must(dup2(rig_mouth, STDERR_FILENO) >= 0);
	close(rig_mouth);
	length = read(rig_ear, rig_words, sizeof(rig_words) - 1);
	close(rig_ear);
	rig_words[length > 0 ? length : 0] = '\0';
	return rig_words;
}

static unsigned int __attribute__((unused)) rig_count_lines(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* ---- The victim ---- */

static struct victim {
	struct queue_context context;
	struct config config;
	struct libos *libos;
	struct catmint *mint;
	struct queue *listener;
	uint64_t objects;
} victim;

static uint64_t victim_objects(void)
{
	struct heap_stats stats;

	heap_get_stats(victim.context.heap, &stats);
	return stats.objects;
}

static struct sockaddr_in rig_address(unsigned int number, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0x0a000000u + number)};
}

static struct queue *victim_socket(void)
{
	struct queue *queue;

	rig_must(catmint_ops.socket(victim.libos, &queue, AF_INET, SOCK_STREAM, 0) == 0);
	rig_must(queue_table_add(&victim.context.queues, queue) == 0);
	return queue;
}

static void victim_configure(struct config *config)
{
	config_defaults(config);
	config->catmint.receive_bytes = 512;
	config->catmint.receive_buffers = 64;
	config->catmint.completions = rig_completions;
	config->catmint.credits_max = 40;
	config->catmint.send_depth = 16;
	config->catmint.rendezvous_bytes = rig_large_bytes;
	config->catmint.connections_max = rig_connections;
	config->catmint.connect_timeout_ms = 100;
	config->catmint.close_timeout_ms = 100;
	config->catmint.keepalive_ms = rig_keepalive_ms;
}

/* All but the start. @words: of the device and the network, each with a comma before it. */
static void victim_prepare(const char *words)
{
	const struct heap_options heap = {.bytes_max = rig_heap_bytes,
					  .huge_pages = HEAP_HUGE_PAGES_OFF};
	struct queue_context *context = &victim.context;

	memset(&victim, 0, sizeof(victim));
	rig_now_ns = 1000000 * RIG_US;
	victim_configure(&victim.config);
	snprintf(victim.config.catmint.device, sizeof(victim.config.catmint.device),
		 "sim:hostile,ip=10.0.0.1%s", words);
	context->clock = rig_clock;
	context->now_ns = rig_now_ns;
	rig_must(heap_create(&context->heap, &heap) == 0);
	rig_must(sched_init(&context->sched, rig_now_ns) == 0);
	rig_must(op_table_init(&context->ops, rig_connections + 1024) == 0);
	rig_must(queue_table_init(&context->queues, rig_connections + 64) == 0);
}

static void victim_start(const char *words)
{
	struct sockaddr_in address = rig_address(1, RIG_PORT);

	victim_prepare(words);
	rig_must(catmint_ops.start(&victim.libos, &victim.context, &victim.config) == 0);
	victim.mint = catmint_of(victim.libos);
	rdma_sim_options(victim.mint->rdma)->retransmit_ns = 100 * RIG_US;
	rdma_sim_options(victim.mint->rdma)->rnr_ns = 20 * RIG_US;
	victim.objects = victim_objects();
	victim.listener = victim_socket();
	rig_must(victim.listener->ops->bind(victim.listener, (struct sockaddr *)&address,
					    sizeof(address)) == 0);
	rig_must(victim.listener->ops->listen(victim.listener, 16) == 0);
}

/* One round, and some time. */
static void rig_step(void)
{
	uint64_t next_ns = victim.mint->calls->next_ns(victim.mint->rdma);

	rig_now_ns += 5 * RIG_US;
	if (next_ns != UINT64_MAX && next_ns > rig_now_ns && next_ns < rig_now_ns + 100 * RIG_US)
		rig_now_ns = next_ns;
	victim.context.now_ns = rig_now_ns;
	sched_poll(&victim.context.sched, rig_now_ns);
}

static void __attribute__((unused)) rig_run(uint64_t ns)
{
	for (uint64_t end_ns = rig_now_ns + ns; rig_now_ns < end_ns;)
		rig_step();
}

static struct op *victim_issue(struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&victim.context.ops, opcode, queue, queue->qd);

	rig_must(op);
	return op;
}

/* Waits for it: its error. It stays, for its result, until victim_done. */
static int victim_wait(const struct op *op)
{
	for (unsigned int steps = 0; !op_is_complete(op); steps++) {
		rig_must(steps < RIG_STEPS_MAX);
		rig_step();
	}
	return op->error;
}

static void victim_done(struct op *op)
{
	op_unlink(&victim.context.ops, op);
	op_free(&victim.context.ops, op);
}

static struct queue *__attribute__((unused)) victim_accept(void)
{
	struct op *op = victim_issue(victim.listener, DEMI_OPC_ACCEPT);
	struct queue *queue;

	rig_must(victim.listener->ops->accept(victim.listener, op) == 0);
	rig_must(victim_wait(op) == 0);
	queue = queue_lookup(&victim.context.queues, op->result.accepted_qd);
	victim_done(op);
	return queue;
}

static void victim_close(struct queue *queue)
{
	queue_table_remove(&victim.context.queues, queue);
	queue->ops->close(queue);
}

/* What victim_prepare has made. */
static void victim_end(void)
{
	struct queue_context *context = &victim.context;

	rig_must(heap_is_empty(context->heap));
	queue_table_fini(&context->queues);
	op_table_fini(&context->ops);
	sched_fini(&context->sched);
	heap_destroy(context->heap);
}

/* Everybody has gone: nothing is left of them. */
static void __attribute__((unused)) victim_stop(void)
{
	const struct catmint *mint = victim.mint;
	struct heap_stats stats;

	victim_close(victim.listener);
	rig_run(300000 * RIG_US);
	heap_get_stats(victim.context.heap, &stats);
	rig_must(mint->connection_count == 0 && mint->table.count == 0);
	rig_must(mint->sends == 0 && mint->lasts == 0 && mint->dry == 0);
	rig_must(mint->free_word_count == mint->limits.connections_max);
	/* A device that is gone gives nothing back. */
	rig_must(mint->failure || (int32_t)mint->receives == mint->spare);
	rig_must(mint->failure || stats.frames_in_use == mint->receives);
	rig_must(stats.objects == victim.objects);
	catmint_ops.stop(victim.libos);
	victim_end();
}

/* ---- Raw programs ---- */

struct raw {
	struct rdma *rdma;
	const struct rdma_ops *calls;
	struct ibv_context *verbs;
	struct rdma_event_channel *events;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	unsigned char *memory;
	struct rdma_cm_id *id, *listener;
	struct message_hello peer;
	uint32_t received; /* messages */
	bool is_broken;    /* a request has failed */
	uint8_t reason;    /* of the last refusal: the first byte of its private data */
};

static void __attribute__((unused)) raw_open(struct raw *raw, unsigned int number)
{
	const struct rdma_options options = {.now_ns = &rig_now_ns};
	struct ibv_context **list;
	char name[64];

	memset(raw, 0, sizeof(*raw));
	snprintf(name, sizeof(name), "sim:hostile,ip=10.0.0.%u", number);
	rig_must(rdma_open(&raw->rdma, name, &options) == 0);
	raw->calls = raw->rdma->ops;
	list = raw->calls->get_devices(raw->rdma, NULL);
	raw->verbs = list[0];
	raw->calls->free_devices(list);
	raw->events = raw->calls->create_event_channel(raw->rdma);
	raw->pd = raw->calls->alloc_pd(raw->verbs);
	raw->cq = raw->calls->create_cq(raw->verbs, 4096, NULL, NULL, 0);
	raw->memory = calloc(1, RAW_MEMORY_BYTES);
	rig_must(raw->memory);
	raw->mr = raw->calls->reg_mr(raw->pd, raw->memory, RAW_MEMORY_BYTES,
				     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
					     IBV_ACCESS_REMOTE_WRITE);
	rig_must(raw->mr);
}

/* The connection is gone, as far as it knows. */
static void __attribute__((unused)) raw_leave(struct raw *raw)
{
	if (raw->id && raw->id->qp)
		raw->calls->destroy_qp(raw->id);
	if (raw->id)
		raw->calls->destroy_id(raw->id);
	raw->id = NULL;
	raw->received = 0;
	raw->is_broken = false;
}

static void __attribute__((unused)) raw_close(struct raw *raw)
{
	raw_leave(raw);
	if (raw->listener)
		raw->calls->destroy_id(raw->listener);
	raw->calls->dereg_mr(raw->mr);
	raw->calls->destroy_cq(raw->cq);
	raw->calls->dealloc_pd(raw->pd);
	raw->calls->destroy_event_channel(raw->events);
	rdma_close(raw->rdma);
	free(raw->memory);
}

/* A hello as it should be. */
static struct message_hello __attribute__((unused)) raw_hello(const struct raw *raw)
{
	return (struct message_hello){
		.receive_bytes = RAW_BUFFER_BYTES,
		.granted = RAW_BUFFERS / 2,
		.counters = (uintptr_t)(raw->memory + RAW_MEMORY_BYTES - 8),
		.counters_rkey = raw->mr->rkey,
		.large_bytes = 1 << 20,
	};
}

static void raw_post_receive(const struct raw *raw, uint32_t index)
{
	struct ibv_sge piece = {.addr = (uintptr_t)(raw->memory + index * RAW_BUFFER_BYTES),
				.length = RAW_BUFFER_BYTES,
				.lkey = raw->mr->lkey};
	struct ibv_recv_wr request = {.wr_id = index, .sg_list = &piece, .num_sge = 1}, *bad;

	rig_must(ibv_post_recv(raw->id->qp, &request, &bad) == 0);
}

static void raw_make_qp(struct raw *raw)
{
	struct ibv_qp_init_attr attributes = {
		.send_cq = raw->cq,
		.recv_cq = raw->cq,
		.cap = {.max_send_wr = 1024,
			.max_recv_wr = RAW_BUFFERS,
			.max_send_sge = 1,
			.max_recv_sge = 1},
		.qp_type = IBV_QPT_RC,
	};

	rig_must(raw->calls->create_qp(raw->id, raw->pd, &attributes) == 0);
	for (uint32_t i = 0; i < RAW_BUFFERS; i++)
		raw_post_receive(raw, i);
}

/* The next event, and its kind. Of private data the hello is kept. */
static enum rdma_cm_event_type raw_wait_event(struct raw *raw)
{
	struct rdma_cm_event *event;
	enum rdma_cm_event_type type;

	for (unsigned int steps = 0; raw->calls->get_cm_event(raw->events, &event); steps++) {
		rig_must(steps < RIG_STEPS_MAX);
		rig_step();
	}
	type = event->event;
	if (type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_CONNECT_REQUEST)
		message_hello_load(&raw->peer, event->param.conn.private_data,
				   event->param.conn.private_data_len);
	if (type == RDMA_CM_EVENT_CONNECT_REQUEST)
		raw->id = event->id;
	if (type == RDMA_CM_EVENT_REJECTED)
		raw->reason = *(const uint8_t *)event->param.conn.private_data;
	raw->calls->ack_cm_event(event);
	return type;
}

/* Who connects says for both sides how often they try; six is Catmint's count. */
static struct rdma_conn_param raw_parameters(const void *hello, uint8_t bytes)
{
	return (struct rdma_conn_param){.private_data = hello,
					.private_data_len = bytes,
					.responder_resources = 4,
					.initiator_depth = 4,
					.retry_count = 6,
					.rnr_retry_count = 7};
}

/* Waits for connections, at its own address, which ends with @number. */
static void __attribute__((unused)) raw_listen(struct raw *raw, unsigned int number)
{
	struct sockaddr_in address = rig_address(number, RIG_PORT);

	rig_must(raw->calls->create_id(raw->events, &raw->listener, NULL, RDMA_PS_TCP) == 0);
	rig_must(raw->calls->bind_addr(raw->listener, (struct sockaddr *)&address) == 0);
	rig_must(raw->calls->listen(raw->listener, 4) == 0);
}

/* All that comes before a connect to the victim. */
static void __attribute__((unused)) raw_prepare(struct raw *raw)
{
	struct sockaddr_in address = rig_address(1, RIG_PORT);

	rig_must(raw->calls->create_id(raw->events, &raw->id, NULL, RDMA_PS_TCP) == 0);
	rig_must(raw->calls->resolve_addr(raw->id, NULL, (struct sockaddr *)&address, 1000) == 0);
	rig_must(raw_wait_event(raw) == RDMA_CM_EVENT_ADDR_RESOLVED);
	rig_must(raw->calls->resolve_route(raw->id, 1000) == 0);
	rig_must(raw_wait_event(raw) == RDMA_CM_EVENT_ROUTE_RESOLVED);
	raw_make_qp(raw);
}

/* Connects to the victim; false: it was refused. */
static bool __attribute__((unused)) raw_connect(struct raw *raw, const void *hello, uint8_t bytes)
{
	struct rdma_conn_param parameters = raw_parameters(hello, bytes);

	raw_prepare(raw);
	rig_must(raw->calls->connect(raw->id, &parameters) == 0);
	return raw_wait_event(raw) == RDMA_CM_EVENT_ESTABLISHED;
}

static bool __attribute__((unused))
raw_connect_with(struct raw *raw, const struct message_hello *hello)
{
	unsigned char bytes[MESSAGE_HELLO_BYTES];

	message_hello_store(bytes, hello);
	return raw_connect(raw, bytes, sizeof(bytes));
}

/* What has completed. */
static void __attribute__((unused)) raw_poll(struct raw *raw)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(raw->cq, 1, &wc) > 0) {
		if (wc.status != IBV_WC_SUCCESS)
			raw->is_broken = true;
		else if (wc.opcode == IBV_WC_RECV)
			raw->received++;
	}
}

/* Any bytes; they are read when they arrive. @key: 0: a message, or the key that they are written with. */
static void __attribute__((unused))
raw_post(struct raw *raw, const void *bytes, uint32_t length, uint64_t address, uint32_t key)
{
	static uint32_t next;
	unsigned char *place = raw->memory + RAW_SEND_AT +
			       next++ % 64 * (RAW_MEMORY_BYTES - RAW_SEND_AT) / 128;
	struct ibv_sge piece = {.addr = (uintptr_t)place, .length = length, .lkey = raw->mr->lkey};
	struct ibv_send_wr request = {.sg_list = &piece,
				      .num_sge = 1,
				      .opcode = key ? IBV_WR_RDMA_WRITE : IBV_WR_SEND,
				      .send_flags = IBV_SEND_SIGNALED,
				      .wr.rdma = {.remote_addr = address, .rkey = key}},
			   *bad;

	memcpy(place, bytes, length);
	rig_must(ibv_post_send(raw->id->qp, &request, &bad) == 0);
}

static void __attribute__((unused))
raw_message(struct raw *raw, const struct message_header *header, const void *bytes,
	    uint32_t length)
{
	unsigned char message[4096];

	message_header_store(message, header);
	if (length > 0)
		memcpy(message + MESSAGE_HEADER_BYTES, bytes, length);
	raw_post(raw, message, MESSAGE_HEADER_BYTES + length, 0, 0);
}

#endif /* DEMI_LIBOS_CATMINT_TESTING_H */
