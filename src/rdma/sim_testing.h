/* SPDX-License-Identifier: MIT */
/* For the tests of the provider "sim": two devices on one network, and connections between them. */
#ifndef DEMI_RDMA_SIM_TESTING_H
#define DEMI_RDMA_SIM_TESTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rdma/sim.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define PORT 7000
#define BUFFER_BYTES 65536u

/* A device, and all that a program makes of it first. */
struct node {
	struct rdma *rdma;
	const struct rdma_ops *ops;
	struct ibv_context *context;
	struct rdma_event_channel *channel;
	struct ibv_pd *pd;
	struct ibv_comp_channel *comp_channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq; /* NULL: queue pairs have their own */
	struct ibv_mr *mr;
	unsigned char *memory; /* BUFFER_BYTES */
	struct rdma_cm_id *listener;
	struct rdma_cm_id *id; /* of the connection */
	struct ibv_qp *qp;
};

static uint64_t now_ns;
static uint64_t since_ns;
static const uint64_t *open_clock = &now_ns; /* of devices that are opened */
static struct node a, b;
static int cq_entries = 256;
static int signal_all;
static struct ibv_qp_cap cap = {
	.max_send_wr = 16,
	.max_recv_wr = 16,
	.max_send_sge = 4,
	.max_recv_sge = 4,
	.max_inline_data = 64,
};

static struct sockaddr *v4(const char *address, uint16_t port)
{
	static struct sockaddr_in places[4];
	static unsigned int next;
	struct sockaddr_in *place = &places[next++ % 4];

	*place = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	assert_int_equal(inet_pton(AF_INET, address, &place->sin_addr), 1);
	return (struct sockaddr *)place;
}

/* ---- Devices ---- */

static void node_open(struct node *node, const char *words)
{
	const struct rdma_options options = {.now_ns = open_clock};
	struct ibv_context **list;

	memset(node, 0, sizeof(*node));
	assert_int_equal(rdma_open(&node->rdma, words, &options), 0);
	node->ops = node->rdma->ops;
	list = node->ops->get_devices(node->rdma, NULL);
	node->context = list[0];
	node->ops->free_devices(list);
	node->channel = node->ops->create_event_channel(node->rdma);
	node->pd = node->ops->alloc_pd(node->context);
	node->comp_channel = node->ops->create_comp_channel(node->context);
	node->cq = node->ops->create_cq(node->context, cq_entries, node, node->comp_channel, 0);
	assert_non_null(node->cq);
	node->memory = malloc(BUFFER_BYTES);
	memset(node->memory, 0, BUFFER_BYTES);
	node->mr = node->ops->reg_mr(node->pd, node->memory, BUFFER_BYTES,
				     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
					     IBV_ACCESS_REMOTE_WRITE);
	assert_non_null(node->mr);
}

static void node_close(struct node *node)
{
	if (node->id && node->id->qp)
		node->ops->destroy_qp(node->id);
	if (node->id)
		assert_int_equal(node->ops->destroy_id(node->id), 0);
	if (node->listener)
		assert_int_equal(node->ops->destroy_id(node->listener), 0);
	if (node->srq)
		assert_int_equal(node->ops->destroy_srq(node->srq), 0);
	assert_int_equal(node->ops->dereg_mr(node->mr), 0);
	assert_int_equal(node->ops->destroy_cq(node->cq), 0);
	assert_int_equal(node->ops->destroy_comp_channel(node->comp_channel), 0);
	assert_int_equal(node->ops->dealloc_pd(node->pd), 0);
	node->ops->destroy_event_channel(node->channel);
	rdma_close(node->rdma);
	free(node->memory);
}

/* Two devices; @words of the network and of both. */
static void __attribute__((unused)) start(const char *words)
{
	/* A test that fails leaves its own. */
	static unsigned int network;
	char text[256];

	now_ns = since_ns = 0;
	snprintf(text, sizeof(text), "sim:test%u,ip=10.0.0.1,ip=fd00::1,%s", ++network, words);
	node_open(&a, text);
	snprintf(text, sizeof(text), "sim:test%u,ip=10.0.0.2,ip=fd00::2,%s", network, words);
	node_open(&b, text);
}

static void __attribute__((unused)) end(void)
{
	node_close(&a);
	node_close(&b);
}

/* ---- Time ---- */

/* Lets pass the time until the next thing happens. False: nothing will. */
static bool step(void)
{
	uint64_t next = a.ops->next_ns(a.rdma);

	if (next == UINT64_MAX)
		return false;
	if (next > now_ns)
		now_ns = next;
	assert_int_equal(ibv_poll_cq(a.cq, 0, NULL), 0);
	return true;
}

/* Lets happen all that will; time is counted from here on. */
static void __attribute__((unused)) settle(void)
{
	while (step())
		;
	since_ns = now_ns;
}

static uint64_t __attribute__((unused)) passed_ns(void)
{
	return now_ns - since_ns;
}

static bool is_readable(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 1;
}

/* ---- Completions ---- */

/* The next completion, whenever it comes. */
static struct ibv_wc next_wc(struct node *node)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(node->cq, 1, &wc) == 0)
		assert_true(step());
	return wc;
}

static void __attribute__((unused))
expect_wc(struct node *node, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = next_wc(node);

	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
}

static void __attribute__((unused)) expect_no_wc(struct node *node)
{
	struct ibv_wc wc;

	assert_int_equal(ibv_poll_cq(node->cq, 1, &wc), 0);
}

/* ---- Events ---- */

/* Fetches the next event, which has to be of that kind. It is for the caller to acknowledge. */
static struct rdma_cm_event *next_event(struct node *node, enum rdma_cm_event_type type)
{
	struct rdma_cm_event *event;

	while (node->ops->get_cm_event(node->channel, &event)) {
		assert_int_equal(errno, EAGAIN);
		assert_true(step());
	}
	assert_int_equal(event->event, type);
	return event;
}

static int expect_event(struct node *node, enum rdma_cm_event_type type)
{
	struct rdma_cm_event *event = next_event(node, type);
	int status = event->status;

	assert_int_equal(node->ops->ack_cm_event(event), 0);
	return status;
}

static void __attribute__((unused)) expect_no_event(struct node *node)
{
	struct rdma_cm_event *event;

	assert_int_equal(node->ops->get_cm_event(node->channel, &event), -1);
	assert_int_equal(errno, EAGAIN);
}

static void __attribute__((unused)) expect_async(struct node *node, enum ibv_event_type type)
{
	struct ibv_async_event event;

	assert_true(is_readable(node->context->async_fd));
	assert_int_equal(node->ops->get_async_event(node->context, &event), 0);
	assert_int_equal(event.event_type, type);
	node->ops->ack_async_event(&event);
}

/* ---- Ids ---- */

static uint16_t __attribute__((unused)) port_of(const struct sockaddr *address)
{
	return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static __attribute__((unused)) struct rdma_cm_id *make_id(struct node *node,
							  enum rdma_port_space space)
{
	struct rdma_cm_id *id;

	assert_int_equal(node->ops->create_id(node->channel, &id, node, space), 0);
	return id;
}

static void __attribute__((unused)) destroy_id(struct node *node, struct rdma_cm_id *id)
{
	assert_int_equal(node->ops->destroy_id(id), 0);
}

/* ---- Connections ---- */

static void make_qp(struct node *node, struct rdma_cm_id *id, enum ibv_qp_type type)
{
	struct ibv_qp_init_attr attributes = {
		.send_cq = node->cq,
		.recv_cq = node->cq,
		.srq = node->srq,
		.cap = cap,
		.qp_type = type,
		.sq_sig_all = signal_all,
	};

	assert_int_equal(node->ops->create_qp(id, node->pd, &attributes), 0);
	node->id = id;
	node->qp = id->qp;
}

static void listen_at(struct node *node, struct sockaddr *address, enum rdma_port_space space)
{
	assert_int_equal(node->ops->create_id(node->channel, &node->listener, node, space), 0);
	assert_int_equal(node->ops->bind_addr(node->listener, address), 0);
	assert_int_equal(node->ops->listen(node->listener, 8), 0);
}

/* An id of @node that knows the way to @address. */
static struct rdma_cm_id *resolve_to(struct node *node, struct sockaddr *address,
				     enum rdma_port_space space)
{
	struct rdma_cm_id *id;

	assert_int_equal(node->ops->create_id(node->channel, &id, node, space), 0);
	assert_int_equal(node->ops->resolve_addr(id, NULL, address, 1000), 0);
	assert_int_equal(expect_event(node, RDMA_CM_EVENT_ADDR_RESOLVED), 0);
	assert_int_equal(node->ops->resolve_route(id, 1000), 0);
	assert_int_equal(expect_event(node, RDMA_CM_EVENT_ROUTE_RESOLVED), 0);
	return id;
}

/* Lets @node take the next connection that is asked of it, with a queue pair. */
static void take_request(struct node *node, enum ibv_qp_type type)
{
	struct rdma_cm_event *event = next_event(node, RDMA_CM_EVENT_CONNECT_REQUEST);

	make_qp(node, event->id, type);
	node->ops->ack_cm_event(event);
}

/* a connects to b. */
static void __attribute__((unused))
connect_with(struct rdma_conn_param *connect, struct rdma_conn_param *accept)
{
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, connect), 0);
	take_request(&b, IBV_QPT_RC);
	assert_int_equal(b.ops->accept(b.id, accept), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_ESTABLISHED), 0);
}

static void __attribute__((unused)) start_connected(const char *words)
{
	start(words);
	connect_with(NULL, NULL);
}

static enum ibv_qp_state __attribute__((unused)) state_of(const struct node *node)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attributes;

	assert_int_equal(node->ops->query_qp(node->qp, &attributes, IBV_QP_STATE, &init), 0);
	return attributes.qp_state;
}

/* ---- Requests ---- */

static struct ibv_sge segment(const struct node *node, size_t at, size_t bytes)
{
	return (struct ibv_sge){
		.addr = (uintptr_t)(node->memory + at),
		.length = (uint32_t)bytes,
		.lkey = node->mr->lkey,
	};
}

static int __attribute__((unused))
post_recv(struct node *node, uint64_t wr_id, size_t at, size_t bytes)
{
	struct ibv_sge sge = segment(node, at, bytes);
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};
	struct ibv_recv_wr *bad = NULL;

	return node->srq ? ibv_post_srq_recv(node->srq, &wr, &bad)
			 : ibv_post_recv(node->qp, &wr, &bad);
}

static int post_request(struct node *node, const struct ibv_send_wr *from, size_t at, size_t bytes)
{
	struct ibv_sge sge = segment(node, at, bytes);
	struct ibv_send_wr wr = *from, *bad = NULL;

	wr.sg_list = &sge;
	wr.num_sge = 1;
	return ibv_post_send(node->qp, &wr, &bad);
}

static int __attribute__((unused))
post_send(struct node *node, uint64_t wr_id, size_t at, size_t bytes)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};

	return post_request(node, &wr, at, bytes);
}

/* Reads or writes memory of @peer. */
static int __attribute__((unused))
post_remote(struct node *node, uint64_t wr_id, enum ibv_wr_opcode opcode, size_t at, size_t bytes,
	    const struct node *peer, size_t peer_at)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htonl(77),
		.wr.rdma.remote_addr = (uintptr_t)(peer->memory + peer_at),
		.wr.rdma.rkey = peer->mr->rkey,
	};

	return post_request(node, &wr, at, bytes);
}

#endif /* DEMI_RDMA_SIM_TESTING_H */
