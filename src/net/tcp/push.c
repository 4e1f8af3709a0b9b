/* SPDX-License-Identifier: MIT */
/* Pushes: the memory that they give, kept until the peer has it. */
#include <errno.h>
#include <string.h>

#include "net/tcp/conn.h"

/* Sequence numbers that wait, with those under way and a FIN: half of them, or order is lost. */
#define WAITING_MAX (UINT32_C(0x7fffffff) - 1)

/* 0, or why nothing can be pushed. */
static int check(const struct tcp_conn *conn)
{
	if (likely((conn->state == TCP_STATE_ESTABLISHED || conn->state == TCP_STATE_CLOSE_WAIT) &&
		   !conn->fin_wanted))
		return 0;
	if (conn->state == TCP_STATE_CLOSED && conn->error)
		return -conn->error;
	return is_synchronized(conn) || conn->was_told_end ? -EPIPE : -ENOTCONN;
}

/* Memory of others may change when the push returns: a copy. NULL: no memory */
static unsigned char *keep(struct net *net, const demi_sgaseg_t *segment)
{
	struct buf *copy;

	if (likely(heap_owns(net->heap, segment->sgaseg_buf))) {
		heap_hold(net->heap, segment->sgaseg_buf);
		return segment->sgaseg_buf;
	}
	copy = ip_alloc(net, segment->sgaseg_len);
	if (!copy)
		return NULL;
	memcpy(copy->data, segment->sgaseg_buf, segment->sgaseg_len);
	net_count_copy(net, segment->sgaseg_len);
	return copy->data;
}

static struct tcp_piece *make(struct tcp_conn *conn, const demi_sgaseg_t *segment)
{
	struct tcp_piece *piece = piece_alloc(conn->table);

	if (unlikely(!piece))
		return NULL;
	piece->data = keep(net_of(conn), segment);
	if (unlikely(!piece->data)) {
		/* A free one holds nothing. */
		conn->table->counts.pieces--;
		piece->next = conn->table->free_pieces;
		conn->table->free_pieces = piece;
		return NULL;
	}
	piece->length = segment->sgaseg_len;
	piece->next = NULL;
	piece->push = NULL;
	return piece;
}

/* A chain of what the array's segments are; NULL: no memory. */
static struct tcp_piece *make_all(struct tcp_conn *conn, const demi_sgarray_t *sga,
				  struct tcp_piece **last_out)
{
	struct tcp_piece *first = NULL, **link = &first, *piece = NULL;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		piece = make(conn, &sga->sga_segs[i]);
		if (unlikely(!piece))
			break;
		*link = piece;
		link = &piece->next;
	}
	*last_out = piece;
	while (unlikely(!piece) && first) {
		struct tcp_piece *next = first->next;

		piece_free(conn->table, first);
		first = next;
	}
	return first;
}

/* RFC 5681, 4.1: after a while without sending, the window says nothing about the path. */
static void restart_window(struct tcp_conn *conn)
{
	struct tcp_congestion *congestion = &conn->congestion;
	uint64_t idle_ns = now_of(conn) - conn->data_sent_ns;
	uint32_t initial = tcp_congestion_initial(conn->mss);

	if (likely(idle_ns <= conn->rto_ns) || !conn->data_sent_ns)
		return;
	/* RFC 7661, 4.4.1: the way back is known to three quarters of what was used. */
	if (congestion->cwnd > initial) {
		if (congestion->ssthresh < congestion->cwnd / 4 * 3)
			congestion->ssthresh = congestion->cwnd / 4 * 3;
		congestion->cwnd = initial;
	}
	if (congestion->ops->restarted)
		congestion->ops->restarted(congestion, idle_ns);
}

static bool is_too_much(const struct tcp_conn *conn, const demi_sgarray_t *sga)
{
	uint64_t bytes = conn->snd_end - conn->snd_una;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		bytes += sga->sga_segs[i].sgaseg_len;
	return bytes > WAITING_MAX ||
	       conn->pieces_count + sga->sga_numsegs > options_of(conn)->send_pieces_max;
}

int tcp_push(struct tcp_conn *conn, const demi_sgarray_t *sga, void *push)
{
	struct tcp_piece *first, *last;
	int error = check(conn);

	if (unlikely(error))
		return error;
	if (unlikely(is_too_much(conn, sga)))
		return -ENOBUFS;
	first = make_all(conn, sga, &last);
	if (unlikely(!first))
		return -ENOMEM;
	last->push = push;
	*(conn->pieces_tail ? &conn->pieces_tail->next : &conn->pieces_head) = first;
	conn->pieces_tail = last;
	conn->pieces_count += sga->sga_numsegs;
	if (!conn->piece_next)
		conn->piece_next = first;
	for (struct tcp_piece *piece = first; piece; piece = piece->next) {
		piece->seq = conn->snd_end;
		conn->snd_end += piece->length;
	}
	if (conn->snd_una == conn->snd_nxt)
		restart_window(conn);
	tcp_output(conn);
	return 0;
}

/* The piece in front of those of @push, NULL: they are the first; false: there is none of it. */
static bool find_before(const struct tcp_conn *conn, const void *push,
			struct tcp_piece **before_out)
{
	struct tcp_piece *before = NULL;

	for (struct tcp_piece *piece = conn->pieces_head; piece; piece = piece->next) {
		if (piece->push == push) {
			*before_out = before;
			return true;
		}
		if (piece->push)
			before = piece;
	}
	return false;
}

int tcp_cancel_push(struct tcp_conn *conn, void *push)
{
	struct tcp_piece *before, *piece;
	uint32_t bytes = 0;
	bool is_last = false;

	if (!find_before(conn, push, &before))
		return -EBUSY;
	piece = before ? before->next : conn->pieces_head;
	if (seq_before(piece->seq, conn->snd_nxt))
		return -EBUSY;
	if (conn->piece_next == piece)
		conn->piece_next = NULL;
	while (!is_last) {
		struct tcp_piece *next = piece->next;

		is_last = piece->push == push;
		bytes += piece->length;
		conn->pieces_count--;
		piece_free(conn->table, piece);
		piece = next;
	}
	*(before ? &before->next : &conn->pieces_head) = piece;
	if (!piece)
		conn->pieces_tail = before;
	if (!conn->piece_next)
		conn->piece_next = piece;
	/* What follows moves up. */
	for (; piece; piece = piece->next)
		piece->seq -= bytes;
	conn->snd_end -= bytes;
	/* It may have been all that a FIN waited behind. */
	if (conn->fin_wanted)
		conn_wake(conn, WORK_SEND);
	return 0;
}

/* Its bytes from @start on, which lies in it, become our own. */
static bool copy_piece(struct net *net, struct tcp_piece *piece, tcp_seq start)
{
	uint32_t skip = start - piece->seq;
	struct buf *copy = ip_alloc(net, piece->length - skip);

	if (!copy)
		return false;
	memcpy(copy->data, piece->data + skip, piece->length - skip);
	net_count_copy(net, piece->length - skip);
	heap_release(net->heap, piece->data);
	piece->data = copy->data;
	piece->seq = start;
	piece->length -= skip;
	return true;
}

bool pushes_keep(struct tcp_conn *conn)
{
	tcp_seq limit = seq_max(conn->snd_una + options_of(conn)->max_buffer, conn->snd_nxt);

	if (seq_after(conn->snd_end, limit))
		return false;
	for (struct tcp_piece *piece = conn->pieces_head; piece; piece = piece->next) {
		piece->push = NULL;
		if (!copy_piece(net_of(conn), piece, seq_max(piece->seq, conn->snd_una)))
			return false;
	}
	return true;
}

void tcp_output_free(struct tcp_conn *conn, int error)
{
	struct tcp_sent *sent;
	struct tcp_piece *piece;

	while ((sent = conn->sent_head)) {
		conn->sent_head = sent->next;
		sent_free(conn->table, sent);
	}
	conn->sent_tail = NULL;
	conn->sent_count = 0;
	conn->sacked_bytes = conn->lost_bytes = conn->again_bytes = 0;
	while ((piece = conn->pieces_head)) {
		void *push = piece->push;

		conn->pieces_head = piece->next;
		piece_free(conn->table, piece);
		if (push && conn->owner)
			conn->events->pushed(conn->owner, push, error);
	}
	conn->pieces_tail = conn->piece_next = NULL;
	conn->pieces_count = 0;
}
