/* SPDX-License-Identifier: MIT */
/* Sockets as their owners use them: open, connect, shut down, close, and what is told of them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "net/tcp/conn.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#define KEEP_IDLE_S 7200 /* RFC 9293, 3.8.4: no less than two hours by default */
#define KEEP_INTERVAL_S 75
#define KEEP_PROBES 9
#define FIRST_UNITS_MIN 4u /* of a scaled window, in the first one */

static struct ip_address any_of(const struct tcp_conn *conn)
{
	return conn->settings.is_v6 ? ip_address_v6_halves(0, 0) : ip_address_v4(0);
}

int tcp_open(struct tcp_conn **conn_out, struct net *net, const struct tcp_events *events,
	     void *owner, bool is_v6)
{
	struct tcp_conn *conn = conn_alloc(net->tcp);

	if (!conn)
		return net->tcp->conn_count >= net->tcp->options.connections_max ? -ENOBUFS
										 : -ENOMEM;
	conn->events = events;
	conn->owner = owner;
	conn->settings = (struct tcp_settings){
		.is_v6 = is_v6,
		.no_delay = true,
		.ecn = net->tcp->options.ecn,
		.keep_probes = KEEP_PROBES,
		.keep_idle_s = KEEP_IDLE_S,
		.keep_interval_s = KEEP_INTERVAL_S,
	};
	conn->congestion.ops = net->tcp->options.congestion;
	conn->local = any_of(conn);
	conn->remote = conn->local;
	net->tcp->counts.sockets++;
	*conn_out = conn;
	return 0;
}

int tcp_listen(struct tcp_conn *conn, int backlog)
{
	uint32_t count = backlog < 1 ? 1 : (uint32_t)backlog;

	if (conn->state == TCP_STATE_LISTEN)
		return -EADDRINUSE;
	if (conn->state != TCP_STATE_CLOSED)
		return -EINVAL;
	if (!conn->is_bound)
		return -EDESTADDRREQ;
	if (!conn_may_listen(conn))
		return -EADDRINUSE;
	conn->listens = calloc(1, sizeof(*conn->listens));
	if (!conn->listens)
		return -ENOMEM;
	conn->listens->backlog = count;
	conn->state = TCP_STATE_LISTEN;
	return 0;
}

/* ---- Connect ---- */

static struct ip_address loopback_like(const struct ip_address *ip)
{
	return ip_address_is_v4(ip) ? ip_address_v4(INADDR_LOOPBACK) : ip_address_v6_halves(0, 1);
}

static int check_peer(const struct tcp_conn *conn, const struct ip_address *peer)
{
	bool is_v4 = ip_address_is_v4(peer);

	if (!conn->settings.is_v6 && !is_v4)
		return -EAFNOSUPPORT;
	if (is_v4 && conn->settings.is_v6 && conn->settings.v6_only)
		return -ENETUNREACH;
	if (ip_address_is_multicast(peer) || ip_address_is_broadcast(peer) ||
	    net_is_subnet_broadcast(net_of(conn), peer))
		return -ENETUNREACH;
	return 0;
}

int conn_path(struct tcp_conn *conn)
{
	int error;

	if (likely(path_is_valid(net_of(conn), &conn->path, &conn->remote)))
		return 0;
	error = path_find(net_of(conn), &conn->path, &conn->remote);
	if (!error)
		conn_update_mss(conn);
	return error;
}

/* The address that the connection has here: the socket's own, or that of the path. */
static int choose_local(struct tcp_conn *conn)
{
	const struct ip_address any = any_of(conn);

	if (ip_address_is_unspecified(&conn->local) &&
	    ip_address_is_v4(&conn->local) <= ip_address_is_v4(&conn->path.source) &&
	    (ip_address_equal(&conn->local, &any) ||
	     ip_address_is_v4(&conn->local) == ip_address_is_v4(&conn->path.source))) {
		conn->local = conn->path.source;
		conn->address_chosen = true;
		return 0;
	}
	return ip_address_is_v4(&conn->local) == ip_address_is_v4(&conn->remote) ? 0 : -ENETUNREACH;
}

/*
 * The same connection as one before, which waits that no old segment of it comes any more: its
 * timestamps tell those apart (RFC 6191, section 2), and its sequence numbers go on.
 */
static bool can_reuse(const struct tcp_conn *conn)
{
	return conn->state == TCP_STATE_TIME_WAIT && conn->has_timestamps &&
	       now_of(conn) - conn->ts_recent_ns > UINT64_C(1000000000);
}

static int choose_port(struct tcp_conn *conn)
{
	struct tcp_conn *other;

	if (!conn->is_bound)
		return conn_autobind(conn);
	other = conn_find(conn->table, &conn->local, conn->local_port, &conn->remote,
			  conn->remote_port);
	if (!other)
		return 0;
	if (!can_reuse(other))
		return -EADDRINUSE;
	conn_make_way(other);
	return 0;
}

/* As it was before the connect. */
static void restore(struct tcp_conn *conn)
{
	if (conn->address_chosen)
		conn->local = any_of(conn);
	conn->address_chosen = false;
	if (conn->port_chosen) {
		conn_unbind(conn);
		conn->local_port = 0;
	}
	conn->remote = any_of(conn);
	conn->remote_port = 0;
}

static int begin_connect(struct tcp_conn *conn)
{
	int error;

	conn->path.generation = 0;
	error = path_find(net_of(conn), &conn->path, &conn->remote);
	if (!error)
		error = choose_local(conn);
	if (!error)
		error = choose_port(conn);
	if (error) {
		restore(conn);
		return error;
	}
	conn->is_passive = false;
	conn_begin(conn);
	conn->state = TCP_STATE_SYN_SENT;
	conn_enter(conn);
	if (tcp_output_syn(conn))
		return 0;
	conn_leave(conn);
	conn->state = TCP_STATE_CLOSED;
	restore(conn);
	return -ENOBUFS;
}

int tcp_connect(struct tcp_conn *conn, const struct ip_address *peer, uint16_t port)
{
	struct ip_address to = ip_address_is_unspecified(peer) ? loopback_like(peer) : *peer;
	int error;

	if (conn->state == TCP_STATE_LISTEN)
		return -EOPNOTSUPP;
	if (conn->state == TCP_STATE_SYN_SENT ||
	    (conn->state == TCP_STATE_SYN_RECEIVED && !conn->is_passive))
		return -EINPROGRESS;
	if (conn->state != TCP_STATE_CLOSED)
		return -EISCONN;
	if (port == 0)
		return -EINVAL;
	error = check_peer(conn, &to);
	if (error)
		return error;
	conn->remote = to;
	conn->remote_port = port;
	return begin_connect(conn);
}

void tcp_cancel_connect(struct tcp_conn *conn)
{
	void *owner = conn->owner;

	if (conn->state != TCP_STATE_SYN_SENT && conn->state != TCP_STATE_SYN_RECEIVED)
		return;
	conn->owner = NULL;
	conn_end(conn, 0);
	restore(conn);
	conn->owner = owner;
	conn->was_told_end = false;
}

/* ---- A connection's beginning ---- */

uint64_t tcp_tuple_hash(const struct net *net, const struct tcp_tuple *tuple,
			enum tcp_hash_domain domain, uint64_t other)
{
	struct {
		struct ip_address local, remote;
		uint16_t local_port, remote_port;
		uint32_t domain;
		uint64_t other;
	} key = {tuple->local, tuple->remote, tuple->local_port, tuple->remote_port, domain, other};

	return net_hash(net, &key, sizeof(key));
}

static struct tcp_tuple tuple_of(const struct tcp_conn *conn)
{
	return (struct tcp_tuple){conn->local, conn->remote, conn->local_port, conn->remote_port};
}

uint8_t conn_shift(const struct tcp_table *table, uint32_t bytes)
{
	uint32_t most = bytes ? bytes : table->options.max_buffer;
	uint32_t first = bytes ? bytes : table->options.buffer;
	uint8_t shift = 0;

	/* The first window must not be a few units that rounding takes away. */
	while (shift < TCP_WINDOW_SHIFT_MAX && most >> shift > UINT16_MAX &&
	       2u << shift <= first / FIRST_UNITS_MIN)
		shift++;
	return shift;
}

void conn_begin(struct tcp_conn *conn)
{
	const struct net_tcp_options *options = options_of(conn);
	struct tcp_table *table = conn->table;
	struct net *net = table->net;
	const struct tcp_tuple tuple = tuple_of(conn);

	conn->ts_offset = (uint32_t)tcp_tuple_hash(net, &tuple, HASH_TIMESTAMP, 0);
	/* RFC 6528: a clock of 4 us, and the secret of the four numbers. */
	conn->iss = (tcp_seq)(net->now_ns / 4096 + tcp_tuple_hash(net, &tuple, HASH_ISS, 0));
	/* RFC 9293, 3.6.1: larger than all that the one before has used. */
	if (table->has_iss_least && seq_before(conn->iss, table->iss_least))
		conn->iss = table->iss_least;
	table->has_iss_least = false;
	conn->snd_una = conn->snd_nxt = conn->undo_una = conn->recovery_end = conn->iss;
	conn->rack_fack = conn->rack_end = conn->cwr_end = conn->iss;
	conn->headers.generation = 0;
	conn->syn_was_lost = false;
	conn->snd_end = conn->iss + 1;
	conn->snd_wnd = conn->snd_wnd_max = 0;
	conn->rcv_shift = conn_shift(conn->table, conn->settings.receive_bytes);
	conn->rcv_buffer = conn->settings.receive_bytes ? conn->settings.receive_bytes
							: options->buffer;
	conn->peer_mss = ip_address_is_v4(&conn->remote) ? TCP_MSS_DEFAULT_V4 : TCP_MSS_DEFAULT_V6;
	conn->has_timestamps = options->timestamps;
	conn->has_sack = options->sack;
	conn->has_scaling = options->window_scaling;
	conn->has_ecn = conn->settings.ecn || conn->congestion.ops->needs_ecn;
	conn->srtt_ns = conn->rttvar_ns = 0;
	conn->rtt_min_ns = UINT64_MAX;
	conn->rto_ns = TCP_RTO_INITIAL_NS;
	conn->rack_window_factor = 1;
	conn->error = conn->soft_error = 0;
	conn->received_ns = net->now_ns;
	/* Of an attempt before, that failed. */
	conn->stalled_ns = 0;
	conn->syns_sent = conn->backoff = 0;
	conn->mss_limit = conn->mss_trials = 0;
	conn_update_mss(conn);
	tcp_congestion_init(&conn->congestion, conn->congestion.ops, conn->mss, net->now_ns);
}

static void limit_buffer(struct tcp_conn *conn)
{
	if (conn->rcv_buffer > window_limit(conn))
		conn->rcv_buffer = window_limit(conn);
}

void conn_negotiate(struct tcp_conn *conn, const struct tcp_options *options, uint32_t window)
{
	conn->has_timestamps &= options->has_timestamp;
	conn->has_sack &= options->sack_permitted;
	conn->has_scaling &= options->has_window_shift;
	conn->snd_shift = conn->has_scaling ? options->window_shift : 0;
	if (!conn->has_scaling)
		conn->rcv_shift = 0;
	limit_buffer(conn);
	if (conn->has_timestamps) {
		conn->ts_recent = options->timestamp;
		conn->ts_recent_ns = now_of(conn);
	}
	if (options->has_mss)
		conn->peer_mss = options->mss > TCP_MSS_MIN ? options->mss : TCP_MSS_MIN;
	/* That of a SYN is never scaled: RFC 7323, 2.2. */
	conn->snd_wnd = conn->snd_wnd_max = window;
	conn_update_mss(conn);
	tcp_congestion_init(&conn->congestion, conn->congestion.ops, conn->mss, now_of(conn));
}

/* RFC 6691: what the option says is without options; what is sent is not. */
void conn_update_mss(struct tcp_conn *conn)
{
	uint32_t headers = TCP_HEADER_BYTES + (ip_address_is_v4(&conn->remote) ? IPV4_HEADER_BYTES
									       : IPV6_HEADER_BYTES);
	uint32_t mss = conn->path.mtu > headers + TCP_MSS_MIN ? conn->path.mtu - headers
							      : TCP_MSS_MIN;

	if (mss > conn->peer_mss)
		mss = conn->peer_mss;
	if (conn->settings.mss_max && mss > conn->settings.mss_max)
		mss = conn->settings.mss_max;
	if (conn->mss_limit && mss > conn->mss_limit)
		mss = conn->mss_limit;
	if (conn->has_timestamps)
		mss -= TCP_TIMESTAMP_BYTES;
	conn->mss = mss;
	conn->congestion.mss = mss;
}

void conn_establish(struct tcp_conn *conn)
{
	bool was_active = !conn->is_passive;

	conn->state = TCP_STATE_ESTABLISHED;
	conn->backoff = 0;
	conn->stalled_ns = 0;
	/* Lost SYNs leave a longer time-out, and a window of one segment: RFC 6298, (5.7); 5681, 3.1. */
	if (conn->syn_was_lost) {
		conn->rto_ns = conn->srtt_ns ? conn->rto_ns : 3 * TCP_RTO_INITIAL_NS;
		conn->congestion.cwnd = conn->mss;
	}
	conn_keep_alive_arm(conn);
	if (was_active && conn->owner)
		conn->events->connected(conn->owner, 0);
}

/* ---- Its end ---- */

static void time_wait_leave(struct tcp_conn *conn)
{
	struct tcp_table *table = conn->table;

	*(conn->queue_previous ? &conn->queue_previous->queue_next
			       : &table->time_wait_head) = conn->queue_next;
	*(conn->queue_next ? &conn->queue_next->queue_previous
			   : &table->time_wait_tail) = conn->queue_previous;
	conn->queue_next = conn->queue_previous = NULL;
	table->counts.time_waits--;
}

/* The owner of one that has just come to its end. */
static void tell_end(struct tcp_conn *conn, enum tcp_state was, int error)
{
	void *owner = conn->owner;

	/* tcp_ended says so to who accepts it. */
	if (!owner) {
		conn->was_told_end = true;
	} else if (conn->tells_closed) {
		conn->tells_closed = false;
		conn->owner = NULL;
		conn->events->closed(owner, error);
	} else if (was == TCP_STATE_SYN_SENT ||
		   (was == TCP_STATE_SYN_RECEIVED && !conn->is_passive)) {
		restore(conn);
		conn->events->connected(owner, error ? error : ECONNABORTED);
	} else if (!conn->was_told_end) {
		conn->was_told_end = true;
		conn->events->ended(owner, error);
	}
}

void conn_end(struct tcp_conn *conn, int error)
{
	enum tcp_state was = conn->state;

	if (was == TCP_STATE_CLOSED)
		return;
	conn_timers_stop(conn);
	if (was == TCP_STATE_TIME_WAIT)
		time_wait_leave(conn);
	conn_leave(conn);
	/* While it is still known that it was not accepted. */
	if (was == TCP_STATE_SYN_RECEIVED && conn->listener)
		listener_forget(conn);
	conn->state = TCP_STATE_CLOSED;
	conn->error = (int16_t)error;
	tcp_output_free(conn, error ? error : ECONNABORTED);
	tcp_text_free(conn);
	tell_end(conn, was, error);
	if (conn->is_freed)
		conn_wake(conn, WORK_CLOSE);
}

void conn_make_way(struct tcp_conn *conn)
{
	conn->table->iss_least = conn->snd_nxt + 1;
	conn->table->has_iss_least = true;
	conn_end(conn, 0);
}

void conn_abort(struct tcp_conn *conn, int error)
{
	if (conn->state >= TCP_STATE_SYN_RECEIVED && conn->state != TCP_STATE_TIME_WAIT)
		tcp_reset_tx(conn);
	conn_end(conn, error);
}

void conn_time_wait(struct tcp_conn *conn)
{
	struct tcp_table *table = conn->table;

	if (conn->state == TCP_STATE_TIME_WAIT)
		time_wait_leave(conn);
	conn_timers_stop(conn);
	conn->state = TCP_STATE_TIME_WAIT;
	conn->slow_ns = now_of(conn) + (uint64_t)options_of(conn)->time_wait_ms * 1000000;
	conn->queue_previous = table->time_wait_tail;
	conn->queue_next = NULL;
	*(table->time_wait_tail ? &table->time_wait_tail->queue_next
				: &table->time_wait_head) = conn;
	table->time_wait_tail = conn;
	if (++table->counts.time_waits > table->options.time_waits_max)
		conn_end(table->time_wait_head, 0);
	if (!timer_is_armed(&table->time_wait_timer) && table->time_wait_head)
		timer_arm(&table->net->sched->timers, &table->time_wait_timer,
			  table->time_wait_head->slow_ns);
}

void time_wait_fire(struct timer *timer, uint64_t now_ns)
{
	struct tcp_table *table = container_of(timer, struct tcp_table, time_wait_timer);

	while (table->time_wait_head && table->time_wait_head->slow_ns <= now_ns)
		conn_end(table->time_wait_head, 0);
	if (table->time_wait_head)
		timer_arm(&table->net->sched->timers, timer, table->time_wait_head->slow_ns);
}

void conn_fin_acked(struct tcp_conn *conn)
{
	void *owner = conn->owner;

	if (conn->tells_closed) {
		conn->tells_closed = false;
		conn->owner = NULL;
		conn->events->closed(owner, 0);
	}
	switch (conn->state) {
	case TCP_STATE_FIN_WAIT_1:
		conn->state = TCP_STATE_FIN_WAIT_2;
		if (conn->is_freed)
			conn_orphan_arm(conn);
		break;
	case TCP_STATE_CLOSING:
		conn_time_wait(conn);
		break;
	case TCP_STATE_LAST_ACK:
		conn_end(conn, 0);
		break;
	default:
		break;
	}
}

void conn_peer_closed(struct tcp_conn *conn)
{
	conn->fin_received = true;
	conn->rcv_nxt++;
	/* It may lie at the edge of the window. */
	conn->rcv_adv = seq_max(conn->rcv_adv, conn->rcv_nxt);
	tcp_text_free(conn);
	if (conn->owner && !conn->was_told_end && !conn->is_freed) {
		conn->was_told_end = true;
		conn->events->ended(conn->owner, 0);
	}
	switch (conn->state) {
	case TCP_STATE_SYN_RECEIVED:
	case TCP_STATE_ESTABLISHED:
		conn->state = TCP_STATE_CLOSE_WAIT;
		break;
	case TCP_STATE_FIN_WAIT_1:
		conn->state = TCP_STATE_CLOSING;
		break;
	case TCP_STATE_FIN_WAIT_2:
		tcp_ack_tx(conn);
		conn_time_wait(conn);
		return;
	default:
		break;
	}
	conn->ack_now = true;
	conn_wake(conn, WORK_ACK);
}

/* ---- What owners do ---- */

static void want_fin(struct tcp_conn *conn)
{
	if (conn->fin_wanted)
		return;
	conn->fin_wanted = true;
	if (conn->state == TCP_STATE_ESTABLISHED)
		conn->state = TCP_STATE_FIN_WAIT_1;
	else if (conn->state == TCP_STATE_CLOSE_WAIT)
		conn->state = TCP_STATE_LAST_ACK;
	tcp_output(conn);
}

int tcp_shutdown(struct tcp_conn *conn, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (!is_synchronized(conn))
		return -ENOTCONN;
	if (how != SHUT_WR && !conn->reads_nothing) {
		conn->reads_nothing = true;
		if (!conn->was_told_end && conn->owner) {
			conn->was_told_end = true;
			conn->events->ended(conn->owner, 0);
		}
	}
	if (how != SHUT_RD)
		want_fin(conn);
	return 0;
}

/* Who closes without having read what has come tells the peer that it is lost: RFC 2525, 2.17. */
static bool must_reset(const struct tcp_conn *conn)
{
	/* Who waits for the end wants everything sent before. */
	return (conn->queue_head && !conn->reads_nothing && !conn->tells_closed) ||
	       (conn->settings.lingers && conn->settings.linger_s == 0);
}

static void free_queue(struct tcp_conn *conn)
{
	struct buf *buf;

	while ((buf = tcp_take(conn)))
		buf_free(net_of(conn)->heap, buf);
}

static void close_connection(struct tcp_conn *conn)
{
	bool is_told = conn->tells_closed;

	/* What waits in TIME-WAIT has nobody to be reset. */
	if (conn->state != TCP_STATE_TIME_WAIT &&
	    (must_reset(conn) || (!is_told && !pushes_keep(conn)))) {
		free_queue(conn);
		conn_abort(conn, ECONNRESET);
		return;
	}
	free_queue(conn);
	want_fin(conn);
	if (conn->state == TCP_STATE_FIN_WAIT_2)
		conn_orphan_arm(conn);
	/* Of an earlier shutdown. */
	if (conn->state == TCP_STATE_FIN_WAIT_2 || conn->state == TCP_STATE_TIME_WAIT)
		conn_fin_acked(conn);
}

void tcp_close(struct tcp_conn *conn, bool tell)
{
	enum tcp_state state = conn->state;
	void *owner = conn->owner;

	conn->is_freed = true;
	conn->tells_closed = tell;
	if (!tell)
		conn->owner = NULL;
	conn->table->counts.sockets--;
	if (state == TCP_STATE_CLOSED || state == TCP_STATE_LISTEN) {
		if (state == TCP_STATE_LISTEN)
			listener_close(conn);
		free_queue(conn);
		conn->state = TCP_STATE_CLOSED;
		conn->owner = NULL;
		conn_unbind(conn);
		conn_wake(conn, WORK_CLOSE);
		if (tell)
			conn->events->closed(owner, 0);
		return;
	}
	/* Its connection keeps the port, but no other socket need mind. */
	if (state == TCP_STATE_SYN_SENT || (state == TCP_STATE_SYN_RECEIVED && !conn->is_passive))
		conn_abort(conn, ECONNABORTED);
	else
		close_connection(conn);
	conn_unbind(conn);
}

void tcp_forget_close(struct tcp_conn *conn)
{
	conn->tells_closed = false;
	conn->owner = NULL;
	if (!pushes_keep(conn))
		conn_abort(conn, ECONNABORTED);
}

bool tcp_ended(const struct tcp_conn *conn, int *error_out)
{
	*error_out = 0;
	if (conn->fin_received || conn->reads_nothing)
		return true;
	*error_out = conn->error;
	return conn->state == TCP_STATE_CLOSED && conn->was_told_end;
}

int tcp_take_error(struct tcp_conn *conn)
{
	int error = conn->error ? conn->error : conn->soft_error;

	conn->error = 0;
	conn->soft_error = 0;
	return error;
}

/* ---- Addresses and settings ---- */

enum tcp_state tcp_state_of(const struct tcp_conn *conn)
{
	return (enum tcp_state)conn->state;
}

const char *tcp_state_name(enum tcp_state state)
{
	static const char *const names[] = {
		[TCP_STATE_CLOSED] = "CLOSED",           [TCP_STATE_LISTEN] = "LISTEN",
		[TCP_STATE_SYN_SENT] = "SYN-SENT",       [TCP_STATE_SYN_RECEIVED] = "SYN-RECEIVED",
		[TCP_STATE_ESTABLISHED] = "ESTABLISHED", [TCP_STATE_FIN_WAIT_1] = "FIN-WAIT-1",
		[TCP_STATE_FIN_WAIT_2] = "FIN-WAIT-2",   [TCP_STATE_CLOSE_WAIT] = "CLOSE-WAIT",
		[TCP_STATE_CLOSING] = "CLOSING",         [TCP_STATE_LAST_ACK] = "LAST-ACK",
		[TCP_STATE_TIME_WAIT] = "TIME-WAIT",
	};

	return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

bool tcp_local(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out)
{
	*ip_out = conn->local;
	*port_out = conn->local_port;
	return conn->local_port != 0;
}

bool tcp_peer(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out)
{
	*ip_out = conn->remote;
	*port_out = conn->remote_port;
	/* Of one that has ended too. */
	return conn->remote_port && conn->state != TCP_STATE_SYN_SENT;
}

struct tcp_settings *tcp_settings(struct tcp_conn *conn)
{
	return &conn->settings;
}

void tcp_settings_changed(struct tcp_conn *conn)
{
	if (conn->state < TCP_STATE_SYN_RECEIVED || conn->state == TCP_STATE_TIME_WAIT)
		return;
	conn_update_mss(conn);
	conn->path.generation = 0;
	conn->headers.generation = 0;
	if (conn->settings.receive_bytes > conn->rcv_buffer)
		conn->rcv_buffer = conn->settings.receive_bytes;
	limit_buffer(conn);
	conn_keep_alive_arm(conn);
	/* Nagle may have kept something back. */
	if (conn->settings.no_delay && is_synchronized(conn))
		conn_wake(conn, WORK_SEND);
}

int tcp_set_congestion(struct tcp_conn *conn, const char *name, size_t length)
{
	const struct tcp_congestion_ops *ops = tcp_congestion_find(name, length);

	if (!ops)
		return -ENOENT;
	if (conn->state <= TCP_STATE_SYN_SENT)
		conn->congestion.ops = ops;
	else
		tcp_congestion_choose(&conn->congestion, ops, now_of(conn));
	return 0;
}

const char *tcp_congestion_of(const struct tcp_conn *conn)
{
	return conn->congestion.ops->name;
}
