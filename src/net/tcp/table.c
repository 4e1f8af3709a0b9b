/* SPDX-License-Identifier: MIT */
/* The connections of a stack, found by their four numbers, and the pools that all is made from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/tcp/conn.h"

/* Received bytes of all connections may take this part of the heap: 1 in so many. */
#define HEAP_PART 2u
#define EARLY_PART 8u /* what waits out of order: the windows of all stay open */
#define SLAB_BYTES 65536u
#define BUCKETS_MIN 1024u

struct tcp_slab {
	struct tcp_slab *next;
	uint64_t items[];
};

/* ---- Pools ---- */

/* A slab of items of @bytes each; @add puts one into its pool. */
static bool grow(struct tcp_table *table, size_t bytes,
		 void (*add)(struct tcp_table *table, void *item))
{
	struct tcp_slab *slab = malloc(SLAB_BYTES);
	size_t count = (SLAB_BYTES - sizeof(*slab)) / bytes;

	if (!slab)
		return false;
	slab->next = table->slabs;
	table->slabs = slab;
	for (size_t i = count; i-- > 0;)
		add(table, (unsigned char *)slab->items + i * bytes);
	return true;
}

static void add_conn(struct tcp_table *table, void *item)
{
	struct tcp_conn *conn = item;

	conn->hash_next = table->free_conns;
	table->free_conns = conn;
}

static void add_piece(struct tcp_table *table, void *item)
{
	struct tcp_piece *piece = item;

	piece->next = table->free_pieces;
	table->free_pieces = piece;
}

static void add_sent(struct tcp_table *table, void *item)
{
	struct tcp_sent *sent = item;

	sent->next = table->free_sents;
	table->free_sents = sent;
}

struct tcp_piece *piece_alloc(struct tcp_table *table)
{
	struct tcp_piece *piece;

	if (unlikely(!table->free_pieces) && !grow(table, sizeof(*piece), add_piece))
		return NULL;
	piece = table->free_pieces;
	table->free_pieces = piece->next;
	table->counts.pieces++;
	return piece;
}

void piece_free(struct tcp_table *table, struct tcp_piece *piece)
{
	heap_release(table->net->heap, piece->data);
	add_piece(table, piece);
	table->counts.pieces--;
}

struct tcp_sent *sent_alloc(struct tcp_table *table)
{
	struct tcp_sent *sent;

	if (unlikely(!table->free_sents) && !grow(table, sizeof(*sent), add_sent))
		return NULL;
	sent = table->free_sents;
	table->free_sents = sent->next;
	table->counts.segments++;
	return sent;
}

void sent_free(struct tcp_table *table, struct tcp_sent *sent)
{
	add_sent(table, sent);
	table->counts.segments--;
}

struct tcp_conn *conn_alloc(struct tcp_table *table)
{
	struct tcp_conn *conn;

	if (table->conn_count >= table->options.connections_max)
		return NULL;
	if (!table->free_conns && !grow(table, sizeof(*conn), add_conn))
		return NULL;
	conn = table->free_conns;
	table->free_conns = conn->hash_next;
	table->conn_count++;
	memset(conn, 0, sizeof(*conn));
	conn->table = table;
	timer_init(&conn->timer, conn_timer_fire);
	conn->retransmit_ns = conn->delayed_ack_ns = conn->slow_ns = UINT64_MAX;
	return conn;
}

void conn_free(struct tcp_conn *conn)
{
	add_conn(conn->table, conn);
	conn->table->conn_count--;
}

/* ---- By the four numbers ---- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * SipHash would cost more than all else that a segment needs here. Products with secrets, folded: a
 * peer chooses its address and port, and sees nothing of the table but how long we take.
 */
static inline uint32_t hash_of(const struct net *net, const struct ip_address *local,
			       uint16_t local_port, const struct ip_address *remote,
			       uint16_t remote_port)
{
	uint64_t words[4];
	uint64_t ports = (uint64_t)local_port << 16 | remote_port;

	memcpy(words, local, IP_ADDRESS_BYTES);
	memcpy(words + 2, remote, IP_ADDRESS_BYTES);
	ports = mix(words[0] ^ net->secret[1], words[1] ^ ports ^ net->secret[0]);
	return (uint32_t)mix(words[2] ^ ports, words[3] ^ net->secret[1]);
}

static struct tcp_conn **bucket_of(const struct tcp_conn *conn)
{
	const struct tcp_table *table = conn->table;

	return &table->buckets[hash_of(table->net, &conn->local, conn->local_port, &conn->remote,
				       conn->remote_port) &
			       table->bucket_mask];
}

struct tcp_conn *conn_find(const struct tcp_table *table, const struct ip_address *local,
			   uint16_t local_port, const struct ip_address *remote,
			   uint16_t remote_port)
{
	uint32_t hash = hash_of(table->net, local, local_port, remote, remote_port);
	struct tcp_conn *conn = table->buckets[hash & table->bucket_mask];

	for (; conn; conn = conn->hash_next) {
		if (conn->remote_port == remote_port && conn->local_port == local_port &&
		    ip_address_equal(&conn->remote, remote) &&
		    ip_address_equal(&conn->local, local))
			break;
	}
	return conn;
}

static struct spread_flow flow_of(const struct tcp_conn *conn)
{
	return (struct spread_flow){conn->local,       conn->remote, conn->local_port,
				    conn->remote_port, SPREAD_TCP,   false};
}

void conn_enter(struct tcp_conn *conn)
{
	struct netdev *device = net_of(conn)->device;
	struct tcp_conn **bucket = bucket_of(conn);

	conn->hash_next = *bucket;
	*bucket = conn;
	if (device->share) {
		const struct spread_flow flow = flow_of(conn);

		spread_enter(device, &flow);
	}
	conn->table->port_connections[conn->local_port]++;
	conn->table->counts.connections++;
}

void conn_leave(struct tcp_conn *conn)
{
	struct netdev *device = net_of(conn)->device;
	struct tcp_conn **link = bucket_of(conn);

	while (*link != conn)
		link = &(*link)->hash_next;
	*link = conn->hash_next;
	conn->hash_next = NULL;
	if (device->share) {
		const struct spread_flow flow = flow_of(conn);

		spread_leave(device, &flow);
	}
	conn->table->port_connections[conn->local_port]--;
	conn->table->counts.connections--;
}

/* ---- Birth and death ---- */

void tcp_defaults(struct net_tcp_options *options)
{
	*options = (struct net_tcp_options){
		.connections_max = 131072,
		.syn_backlog_max = 1024,
		.time_waits_max = 65536,
		.time_wait_ms = 60000,
		.buffer = 65536,
		.max_buffer = 4u << 20,
		.send_pieces_max = 4096,
		.out_of_order_max = 1024,
		.rto_min_ms = 200,
		.rto_max_ms = 120000,
		.delayed_ack_ms = 40,
		.connect_timeout_ms = 180000,
		.retries_timeout_ms = 900000,
		.orphan_timeout_ms = 60000,
		.timestamps = true,
		.window_scaling = true,
		.sack = true,
		.congestion = &tcp_cubic,
	};
}

static uint32_t bucket_count(uint32_t connections)
{
	uint32_t count = BUCKETS_MIN;

	while (count < connections)
		count *= 2;
	return count;
}

static void table_free(struct tcp_table *table)
{
	while (table->slabs) {
		struct tcp_slab *slab = table->slabs;

		table->slabs = slab->next;
		free(slab);
	}
	free(table->buckets);
	free(table->port_connections);
	free(table);
}

int tcp_create(struct net *net)
{
	struct tcp_table *table = calloc(1, sizeof(*table));
	uint32_t count;

	if (!table)
		return -ENOMEM;
	table->net = net;
	if (!net->options.tcp.connections_max)
		tcp_defaults(&net->options.tcp);
	table->options = net->options.tcp;
	/* Their pages come as they are used. */
	count = bucket_count(table->options.connections_max);
	table->buckets = calloc(count, sizeof(struct tcp_conn *));
	table->bucket_mask = count - 1;
	table->port_connections = calloc(TCP_PORTS, sizeof(table->port_connections[0]));
	table->port_counter = (uint32_t)net_random(net);
	table->queued_memory_max = net->heap->bytes / HEAP_PART;
	table->early_memory_max = net->heap->bytes / EARLY_PART;
	timer_init(&table->time_wait_timer, time_wait_fire);
	net->tcp = table;
	if (!table->buckets || !table->port_connections || background_create(table) < 0) {
		net->tcp = NULL;
		table_free(table);
		return -ENOMEM;
	}
	return 0;
}

/* A peer that is told learns sooner; one that has everything is not troubled. */
static void end_all(struct tcp_table *table)
{
	for (uint32_t i = 0; i <= table->bucket_mask; i++) {
		while (table->buckets[i]) {
			struct tcp_conn *conn = table->buckets[i];

			if (conn->state == TCP_STATE_TIME_WAIT ||
			    (conn->fin_sent && !conn->pieces_head))
				conn_end(conn, ECONNABORTED);
			else
				conn_abort(conn, ECONNABORTED);
		}
	}
}

void tcp_destroy(struct net *net)
{
	struct tcp_table *table = net->tcp;

	end_all(table);
	net_flush(net);
	timer_cancel(&net->sched->timers, &table->time_wait_timer);
	background_destroy(table);
	table_free(table);
	net->tcp = NULL;
}

void tcp_fail(struct net *net, int error)
{
	struct tcp_table *table = net->tcp;

	for (uint32_t i = 0; i <= table->bucket_mask; i++) {
		while (table->buckets[i])
			conn_end(table->buckets[i], error);
	}
	for (uint32_t i = 0; i < TCP_BOUND_BUCKETS; i++) {
		for (struct tcp_conn *conn = table->bound[i]; conn; conn = conn->bound_next) {
			if (conn->state == TCP_STATE_LISTEN && conn->owner)
				conn->events->ended(conn->owner, error);
		}
	}
}

void tcp_each(struct net *net, void (*visit)(void *context, const struct tcp_conn *conn),
	      void *context)
{
	const struct tcp_table *table = net->tcp;

	for (uint32_t i = 0; i < TCP_BOUND_BUCKETS; i++) {
		for (const struct tcp_conn *conn = table->bound[i]; conn; conn = conn->bound_next) {
			if (conn->state == TCP_STATE_LISTEN)
				visit(context, conn);
		}
	}
	for (uint32_t i = 0; i <= table->bucket_mask; i++) {
		for (const struct tcp_conn *conn = table->buckets[i]; conn; conn = conn->hash_next)
			visit(context, conn);
	}
}

void tcp_get_counts(const struct net *net, struct tcp_counts *counts)
{
	*counts = net->tcp->counts;
}
