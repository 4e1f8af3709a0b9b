/* SPDX-License-Identifier: MIT */
/*
 * What the tests of streams share: a TCP that is nothing but what was asked of it. The tests play the
 * peer, by the events. At the end every connection must be closed and the heap empty. Included once
 * in a test.
 */
#ifndef DEMI_LIBOS_CATNIP_STREAM_TESTING_H
#define DEMI_LIBOS_CATNIP_STREAM_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/buf.h"
#include "libos/catnip/stream.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define OPERATIONS_MAX 64u
#define QUEUES_MAX 4u
#define WAITING_MAX 4u

struct tcp_conn {
	const struct tcp_events *events;
	void *owner;
	struct tcp_settings settings;
	struct tcp_conn *waiting[WAITING_MAX]; /* of a listener: to be accepted */
	unsigned int waiting_count;
	struct buf *queue; /* received, for tcp_take */
	struct ip_address local, peer;
	uint16_t local_port, peer_port;
	enum tcp_state state;
	bool ended;
	int error;
	bool is_aclosed; /* closed is to be told */
};

static struct rig {
	struct queue_context context;
	struct net net;
	struct catnip catnip;
	struct tcp_conn *last; /* that was opened */
	unsigned int conns;    /* that are there */
	unsigned int flushes, changes, forgotten, resets, shutdowns;
	int backlog;
	int connect_error, push_error, cancel_error, shutdown_error; /* what they return */
	bool closes_at_once; /* closed is told within tcp_close, with close_error */
	int close_error;
	char congestion[16];
} rig;

/* ---- Fakes ---- */

void net_flush(struct net *net)
{
	assert_ptr_equal(net, &rig.net);
	rig.flushes++;
}

static inline struct tcp_conn *conn_make(const struct tcp_events *events, void *owner, bool is_v6)
{
	struct tcp_conn *conn = calloc(1, sizeof(*conn));

	assert_non_null(conn);
	conn->events = events;
	conn->owner = owner;
	conn->settings.is_v6 = is_v6;
	conn->settings.no_delay = true;
	rig.conns++;
	return conn;
}

static inline void conn_drop(struct tcp_conn *conn)
{
	for (unsigned int i = 0; i < conn->waiting_count; i++)
		conn_drop(conn->waiting[i]);
	buf_free(rig.context.heap, conn->queue);
	free(conn);
	rig.conns--;
}

int tcp_open(struct tcp_conn **conn_out, struct net *net, const struct tcp_events *events,
	     void *owner, bool is_v6)
{
	assert_ptr_equal(net, &rig.net);
	*conn_out = rig.last = conn_make(events, owner, is_v6);
	return 0;
}

int tcp_bind(struct tcp_conn *conn, const struct ip_address *address, uint16_t port)
{
	if (conn->local_port)
		return -EINVAL;
	conn->local = *address;
	conn->local_port = port ? port : 40000;
	return 0;
}

int tcp_listen(struct tcp_conn *conn, int backlog)
{
	if (!conn->local_port)
		return -EDESTADDRREQ;
	conn->state = TCP_STATE_LISTEN;
	rig.backlog = backlog;
	return 0;
}

struct tcp_conn *tcp_accept(struct tcp_conn *listener, void *owner)
{
	struct tcp_conn *conn = listener->waiting[0];

	if (!listener->waiting_count)
		return NULL;
	listener->waiting_count--;
	memmove(&listener->waiting[0], &listener->waiting[1],
		listener->waiting_count * sizeof(listener->waiting[0]));
	conn->owner = owner;
	return conn;
}

uint32_t tcp_acceptable(const struct tcp_conn *listener)
{
	return listener->waiting_count;
}

int tcp_connect(struct tcp_conn *conn, const struct ip_address *peer, uint16_t port)
{
	if (rig.connect_error)
		return rig.connect_error;
	conn->peer = *peer;
	conn->peer_port = port;
	conn->state = TCP_STATE_SYN_SENT;
	return 0;
}

void tcp_cancel_connect(struct tcp_conn *conn)
{
	assert_int_equal(conn->state, TCP_STATE_SYN_SENT);
	conn->state = TCP_STATE_CLOSED;
	conn->peer_port = 0;
}

int tcp_push(struct tcp_conn *conn, const demi_sgarray_t *sga, void *push)
{
	(void)conn;
	assert_non_null(push);
	assert_true(sga->sga_numsegs >= 1);
	return rig.push_error;
}

int tcp_cancel_push(struct tcp_conn *conn, void *push)
{
	(void)conn;
	assert_non_null(push);
	return rig.cancel_error;
}

struct buf *tcp_take(struct tcp_conn *conn)
{
	struct buf *chain = conn->queue;

	conn->queue = NULL;
	return chain;
}

bool tcp_ended(const struct tcp_conn *conn, int *error_out)
{
	*error_out = conn->error;
	return conn->ended;
}

int tcp_take_error(struct tcp_conn *conn)
{
	int error = conn->error;

	conn->error = 0;
	return error;
}

int tcp_shutdown(struct tcp_conn *conn, int how)
{
	rig.shutdowns |= 1u << how;
	if (how != SHUT_WR && !rig.shutdown_error)
		conn->ended = true;
	return rig.shutdown_error;
}

void tcp_close(struct tcp_conn *conn, bool tell)
{
	void *owner = conn->owner;

	rig.resets += conn->settings.lingers && conn->settings.linger_s == 0;
	if (tell && rig.closes_at_once)
		conn->events->closed(owner, rig.close_error);
	conn->is_aclosed = tell;
	if (!tell || rig.closes_at_once)
		conn_drop(conn);
}

void tcp_forget_close(struct tcp_conn *conn)
{
	assert_true(conn->is_aclosed);
	rig.forgotten++;
	conn_drop(conn);
}

enum tcp_state tcp_state_of(const struct tcp_conn *conn)
{
	return conn->state;
}

bool tcp_local(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out)
{
	*ip_out = conn->local;
	*port_out = conn->local_port;
	return conn->local_port != 0;
}

bool tcp_peer(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out)
{
	*ip_out = conn->peer;
	*port_out = conn->peer_port;
	return conn->peer_port != 0;
}

struct tcp_settings *tcp_settings(struct tcp_conn *conn)
{
	return &conn->settings;
}

void tcp_settings_changed(struct tcp_conn *conn)
{
	(void)conn;
	rig.changes++;
}

int tcp_set_congestion(struct tcp_conn *conn, const char *name, size_t length)
{
	(void)conn;
	assert_true(length < sizeof(rig.congestion));
	if (length != 4 || memcmp(name, "reno", 4) != 0)
		return -ENOENT;
	strcpy(rig.congestion, "reno");
	return 0;
}

const char *tcp_congestion_of(const struct tcp_conn *conn)
{
	(void)conn;
	return rig.congestion;
}

void tcp_get_stats(const struct tcp_conn *conn, struct tcp_stats *stats)
{
	*stats = (struct tcp_stats){
		.state = conn->state,
		.sack = true,
		.window_scaling = true,
		.send_shift = 7,
		.receive_shift = 9,
		.mss_send = 1000,
		.srtt_ns = 1500000,
		.rtt_min_ns = UINT64_MAX,
		.cwnd = 10500,
		.ssthresh = UINT32_MAX,
		.path_mtu = 1500,
		.bytes_acked = UINT64_C(1) << 40,
	};
}

/* ---- Frame ---- */

static inline int rig_setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	strcpy(rig.congestion, "cubic");
	assert_int_equal(
		heap_create(&rig.context.heap, &(struct heap_options){.bytes_max = 8 << 20}), 0);
	assert_int_equal(op_table_init(&rig.context.ops, OPERATIONS_MAX), 0);
	assert_int_equal(queue_table_init(&rig.context.queues, QUEUES_MAX), 0);
	rig.net.heap = rig.context.heap;
	rig.net.options.tcp.buffer = 65536;
	rig.net.options.tcp.max_buffer = 1 << 20;
	rig.net.options.tcp.connect_timeout_ms = 180000;
	rig.net.options.tcp.rto_max_ms = 60000;
	rig.catnip.context = &rig.context;
	rig.catnip.net = &rig.net;
	return 0;
}

/* What is still open is closed, and what nobody has waited for is freed, as at the end of a runtime. */
static inline int rig_teardown(void **state)
{
	struct heap_stats stats;

	(void)state;
	for (int qd = QUEUE_DESCRIPTOR_FIRST; qd < (int)(QUEUE_DESCRIPTOR_FIRST + QUEUES_MAX);
	     qd++) {
		struct queue *queue = queue_lookup(&rig.context.queues, qd);

		if (!queue)
			continue;
		queue_table_remove(&rig.context.queues, queue);
		queue->ops->close(queue);
	}
	assert_int_equal(rig.conns, 0);
	assert_null(rig.catnip.starved);
	stream_pool_destroy(&rig.catnip);
	buf_free_all(rig.context.heap);
	heap_get_stats(rig.context.heap, &stats);
	assert_int_equal(stats.objects, 0);
	queue_table_fini(&rig.context.queues);
	op_table_fini(&rig.context.ops);
	heap_destroy(rig.context.heap);
	return 0;
}

/* ---- What tests do ---- */

static inline struct queue *stream_open(bool is_v6)
{
	struct queue *queue = NULL;

	assert_int_equal(stream_create(&rig.catnip, &queue, is_v6), 0);
	assert_int_equal(queue_table_add(&rig.context.queues, queue), 0);
	return queue;
}

static inline struct op *op_start(struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&rig.context.ops, opcode, queue, queue->qd);

	assert_non_null(op);
	return op;
}

/* It is complete: take it off the list, as a wait does, and give its result. */
static inline int op_outcome(struct op *op)
{
	assert_true(op_is_complete(op));
	op_unlink(&rig.context.ops, op);
	return op->error;
}

static const struct sockaddr_in address_v4 = {
	.sin_family = AF_INET, .sin_port = 0x5000, .sin_addr.s_addr = 0x0200000a};

static inline void stream_bind_and_listen(struct queue *queue)
{
	assert_int_equal(
		queue->ops->bind(queue, (const struct sockaddr *)&address_v4, sizeof(address_v4)),
		0);
	assert_int_equal(queue->ops->listen(queue, 5), 0);
}

static inline struct op *connect_start(struct queue *queue)
{
	struct op *op = op_start(queue, DEMI_OPC_CONNECT);

	assert_int_equal(queue->ops->connect(queue, op, (const struct sockaddr *)&address_v4,
					     sizeof(address_v4)),
			 0);
	return op;
}

/* An IPv4 socket that is connected; *@conn_out is what TCP has of it. */
static inline struct queue *stream_connected(struct tcp_conn **conn_out)
{
	struct queue *queue = stream_open(false);
	struct op *op = connect_start(queue);

	*conn_out = rig.last;
	(*conn_out)->state = TCP_STATE_ESTABLISHED;
	(*conn_out)->events->connected((*conn_out)->owner, 0);
	assert_int_equal(op_outcome(op), 0);
	op_free(&rig.context.ops, op);
	return queue;
}

#endif /* DEMI_LIBOS_CATNIP_STREAM_TESTING_H */
