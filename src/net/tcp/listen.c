/* SPDX-License-Identifier: MIT */
/*
 * Listeners: SYNs become connections in SYN-RECEIVED, a bounded number of them, and SYN cookies
 * beyond (RFC 4987, 3.6); what is established waits, in a bounded number too, to be accepted.
 */
#include <errno.h>
#include <stdlib.h>

#include "net/tcp/conn.h"

/* ---- Its lists ---- */

static void half_add(struct tcp_listener *listens, struct tcp_conn *conn)
{
	conn->queue_previous = NULL;
	conn->queue_next = listens->half_head;
	*(listens->half_head ? &listens->half_head->queue_previous : &listens->half_tail) = conn;
	listens->half_head = conn;
	listens->half_count++;
	conn->table->counts.half_open++;
}

static void half_remove(struct tcp_listener *listens, struct tcp_conn *conn)
{
	*(conn->queue_previous ? &conn->queue_previous->queue_next
			       : &listens->half_head) = conn->queue_next;
	*(conn->queue_next ? &conn->queue_next->queue_previous
			   : &listens->half_tail) = conn->queue_previous;
	conn->queue_next = conn->queue_previous = NULL;
	listens->half_count--;
	listens->refused_count -= conn->was_refused;
	conn->was_refused = false;
	conn->table->counts.half_open--;
}

static bool ready_is_full(const struct tcp_listener *listens)
{
	return listens->ready_count >= listens->backlog;
}

bool listener_promote(struct tcp_conn *conn)
{
	struct tcp_conn *listener = conn->listener;
	struct tcp_listener *listens = listener->listens;

	if (ready_is_full(listens)) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_QUEUE_FULL);
		listens->refused_count += !conn->was_refused;
		conn->was_refused = true;
		return false;
	}
	half_remove(listens, conn);
	*(listens->ready_tail ? &listens->ready_tail->queue_next : &listens->ready_head) = conn;
	listens->ready_tail = conn;
	listens->ready_count++;
	return true;
}

void listener_forget(struct tcp_conn *conn)
{
	half_remove(conn->listener->listens, conn);
	conn->listener = NULL;
	conn->is_freed = true;
}

static struct tcp_conn *ready_take(struct tcp_listener *listens)
{
	struct tcp_conn *conn = listens->ready_head;

	if (!conn)
		return NULL;
	listens->ready_head = conn->queue_next;
	if (!listens->ready_head)
		listens->ready_tail = NULL;
	listens->ready_count--;
	conn->queue_next = NULL;
	conn->listener = NULL;
	return conn;
}

bool listener_has_room(const struct tcp_conn *listener)
{
	return !ready_is_full(listener->listens);
}

/*
 * There is room again: who has waited longest is asked to acknowledge once more. Left to the timers,
 * those that came together would go on asking together, for one place.
 */
static void invite_refused(struct tcp_listener *listens)
{
	struct tcp_conn *conn = listens->half_tail;

	while (conn && !conn->was_refused)
		conn = conn->queue_previous;
	if (!conn)
		return;
	conn->was_refused = false;
	listens->refused_count--;
	if (conn->sent_head)
		tcp_output_again(conn, conn->sent_head);
}

struct tcp_conn *tcp_accept(struct tcp_conn *listener, void *owner)
{
	struct tcp_conn *conn = listener->listens ? ready_take(listener->listens) : NULL;

	if (!conn)
		return NULL;
	if (unlikely(listener->listens->refused_count))
		invite_refused(listener->listens);
	conn->owner = owner;
	conn->table->counts.sockets++;
	return conn;
}

uint32_t tcp_acceptable(const struct tcp_conn *listener)
{
	return listener->listens ? listener->listens->ready_count : 0;
}

void listener_close(struct tcp_conn *listener)
{
	struct tcp_listener *listens = listener->listens;
	struct tcp_conn *conn;

	while (listens->half_head)
		conn_abort(listens->half_head, ECONNRESET);
	while ((conn = ready_take(listens))) {
		conn->is_freed = true;
		if (conn->state == TCP_STATE_CLOSED) {
			tcp_text_free(conn);
			conn_wake(conn, WORK_CLOSE);
		} else {
			conn_abort(conn, ECONNRESET);
		}
	}
	free(listens);
	listener->listens = NULL;
}

/* ---- Connections that begin ---- */

static struct tcp_conn *make(struct tcp_conn *listener, const struct tcp_in *in)
{
	struct tcp_conn *conn = conn_alloc(listener->table);

	if (!conn)
		return NULL;
	conn->events = listener->events;
	conn->settings = listener->settings;
	conn->congestion.ops = listener->congestion.ops;
	conn->local = in->packet->destination;
	conn->remote = in->packet->source;
	conn->local_port = in->destination_port;
	conn->remote_port = in->source_port;
	conn->is_passive = true;
	if (conn_path(conn) < 0) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_NO_ROUTE);
		conn_free(conn);
		return NULL;
	}
	conn->listener = listener;
	return conn;
}

/* What a SYN with sequence number @irs and @options begins. */
static void begin(struct tcp_conn *conn, tcp_seq irs, const struct tcp_options *options,
		  uint32_t window)
{
	conn_begin(conn);
	conn->irs = irs;
	conn->rcv_nxt = conn->rcv_adv = conn->rcv_acked = irs + 1;
	conn->snd_wl1 = irs;
	conn_negotiate(conn, options, window);
	conn->state = TCP_STATE_SYN_RECEIVED;
	conn_enter(conn);
	half_add(conn->listener->listens, conn);
}

/* The window in the SYN-ACK, which is never scaled. */
static uint16_t cookie_window(const struct tcp_conn *listener)
{
	uint32_t bytes = listener->settings.receive_bytes ? listener->settings.receive_bytes
							  : listener->table->options.buffer;

	return (uint16_t)(bytes < UINT16_MAX ? bytes : UINT16_MAX);
}

static void answer_with_cookie(struct tcp_conn *listener, const struct tcp_in *in)
{
	struct tcp_table *table = listener->table;
	struct tcp_options options = {.has_mss = true};

	if (in->options.has_timestamp && table->options.timestamps) {
		options.has_timestamp = true;
		options.timestamp = cookie_timestamp(table, in);
		options.timestamp_echo = in->options.timestamp;
		options.sack_permitted = in->options.sack_permitted && table->options.sack;
		options.has_window_shift = in->options.has_window_shift &&
					   table->options.window_scaling;
		/* That of conn_begin, for a window that is not fixed. */
		options.window_shift = conn_shift(table, listener->settings.receive_bytes);
	}
	table->counts.cookies_sent++;
	table->cookie_ns = table->net->now_ns;
	tcp_synack_answer(table->net, in, cookie_make(table, in), &options,
			  cookie_window(listener));
}

static void syn_rx(struct tcp_conn *listener, struct tcp_in *in)
{
	struct tcp_listener *listens = listener->listens;
	struct tcp_conn *conn;

	if (ready_is_full(listens)) {
		net_count_drop(listener->table->net, NET_LAYER_TCP, NET_DROP_QUEUE_FULL);
		return;
	}
	conn = listens->half_count < listener->table->options.syn_backlog_max ? make(listener, in)
									      : NULL;
	if (!conn) {
		answer_with_cookie(listener, in);
		return;
	}
	begin(conn, in->seq, &in->options, in->window);
	/* RFC 3168, 6.1.1: asked for by both bits. */
	conn->has_ecn = (in->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
	if (!tcp_output_syn(conn))
		conn_end(conn, ENOMEM);
}

/* The end of a handshake of which nothing was kept. */
static void cookie_rx(struct tcp_conn *listener, struct tcp_in *in)
{
	struct tcp_listener *listens = listener->listens;
	struct tcp_options options;
	struct tcp_conn *conn;

	if (!cookie_check(listener->table, in, &options)) {
		tcp_reset_answer(listener->table->net, in);
		return;
	}
	if (ready_is_full(listens) || !(conn = make(listener, in))) {
		net_count_drop(listener->table->net, NET_LAYER_TCP, NET_DROP_QUEUE_FULL);
		return;
	}
	listener->table->counts.cookies_taken++;
	begin(conn, in->seq - 1, &options, in->window);
	conn->has_ecn = false;
	conn->iss = in->ack - 1;
	conn->snd_una = conn->undo_una = conn->recovery_end = conn->rack_fack = conn->iss;
	conn->cwr_end = conn->iss;
	conn->snd_nxt = conn->snd_end = in->ack;
	conn->rcv_adv = conn->rcv_nxt + cookie_window(listener);
	conn_rx(conn, in);
}

void listener_rx(struct tcp_conn *listener, struct tcp_in *in)
{
	/* RFC 9293, 3.10.7.2; a SYN that is a FIN too opens nothing. */
	if (in->flags & TCP_RST)
		net_count_drop(listener->table->net, NET_LAYER_TCP, NET_DROP_UNSOLICITED);
	else if ((in->flags & (TCP_ACK | TCP_SYN)) == (TCP_ACK | TCP_SYN))
		tcp_reset_answer(listener->table->net, in);
	else if (in->flags & TCP_ACK)
		cookie_rx(listener, in);
	else if ((in->flags & (TCP_SYN | TCP_FIN)) == TCP_SYN)
		syn_rx(listener, in);
	else
		net_count_drop(listener->table->net, NET_LAYER_TCP, NET_DROP_BAD_FLAGS);
}
