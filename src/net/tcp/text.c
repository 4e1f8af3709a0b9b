/* SPDX-License-Identifier: MIT */
/*
 * What is received: text in order goes to the owner or waits for it, text that is early waits for
 * what lies before, and the window tells how much more may come (RFC 9293, 3.8.6).
 */
#include <errno.h>
#include <string.h>

#include "net/tcp/conn.h"

/* Frames wait as long as 1 in so many is free; after that copies do. */
#define FREE_PART 4u
/* Payload up to this is copied when it must wait, since it would keep a whole frame. */
#define SMALL_BYTES_MAX 256u
/* Room of the bufs that such copies share, growing with what waits. */
#define SHARED_BYTES_MIN 448u
#define SHARED_BYTES 3968u
/* What waits may take so many times its window in frames; beyond, it is copied close together. */
#define WASTE_FACTOR 2u
#define ACK_EVERY 2u /* segments: RFC 9293, 3.8.6.3 */

/* ---- Memory ---- */

/* A byte may take as much as a thousand: what peers can have us keep is memory. */
static uint32_t memory_of(const struct buf *buf)
{
	return ((uint32_t)sizeof(*buf) + buf->capacity + 63) & ~63u;
}

static bool memory_is_full(const struct tcp_table *table)
{
	return table->queued_memory + table->early_memory >= table->queued_memory_max;
}

/* ---- The window ---- */

static uint32_t room_of(const struct tcp_conn *conn)
{
	const struct tcp_table *table = conn->table;

	if (memory_is_full(table) || conn->queued_bytes >= conn->rcv_buffer)
		return 0;
	return conn->rcv_buffer - conn->queued_bytes;
}

/* What the window field may say less than there is: RFC 7323, 2.4. */
static uint32_t rounding_of(const struct tcp_conn *conn)
{
	return (1u << conn->rcv_shift) - 1;
}

/*
 * The right edge never moves back, and not in small steps (3.8.6.2.2). Where it stays a peer may wait for
 * half of the window, and must have been told of that: rounding counts.
 */
static tcp_seq edge_of(const struct tcp_conn *conn)
{
	tcp_seq edge = conn->rcv_nxt + room_of(conn);
	uint32_t half = conn->rcv_buffer / 2, step = conn->mss;

	if (unlikely(step + rounding_of(conn) > half))
		step = half > rounding_of(conn) ? half - rounding_of(conn) : 1;
	return seq_diff(edge, conn->rcv_adv) < (int32_t)step ? conn->rcv_adv : edge;
}

uint16_t conn_window(struct tcp_conn *conn)
{
	uint32_t bytes = edge_of(conn) - conn->rcv_nxt;
	uint32_t window = bytes >> conn->rcv_shift;

	/*
	 * What was promised stays so, though rounded down the window can say less (RFC 7323, 2.4):
	 * rounded up it would go on with every small segment, whether anybody took them or not.
	 */
	if (window > UINT16_MAX)
		window = UINT16_MAX;
	conn->rcv_adv = seq_max(conn->rcv_adv, conn->rcv_nxt + (window << conn->rcv_shift));
	return (uint16_t)window;
}

void conn_window_update(struct tcp_conn *conn)
{
	uint32_t before = conn->rcv_adv - conn->rcv_nxt, now = edge_of(conn) - conn->rcv_nxt;

	if (now == before || now / 2 + rounding_of(conn) < before || !is_synchronized(conn) ||
	    conn->fin_received)
		return;
	conn->ack_now = true;
	conn_wake(conn, WORK_ACK);
}

/* Whoever takes more in a round trip than half the window lets through is given twice that. */
static void measure_round(struct tcp_conn *conn, uint32_t bytes)
{
	uint64_t now_ns = now_of(conn);
	uint32_t most = options_of(conn)->max_buffer;

	conn->round_bytes += bytes;
	if (now_ns - conn->round_ns < conn->srtt_ns)
		return;
	most = most < window_limit(conn) ? most : window_limit(conn);
	if (!conn->settings.receive_bytes && conn->round_bytes > conn->rcv_buffer / 2 &&
	    conn->rcv_buffer < most)
		conn->rcv_buffer = conn->round_bytes < most / 2 ? 2 * conn->round_bytes : most;
	conn->round_ns = now_ns;
	conn->round_bytes = 0;
}

/* ---- The queue of what nobody has taken ---- */

static bool frames_are_scarce(const struct tcp_conn *conn)
{
	const struct heap_frames *frames = net_of(conn)->device->frames;

	return heap_frames_free(frames) < frames->count / FREE_PART;
}

static void append(struct tcp_conn *conn, struct buf *buf)
{
	*(conn->queue_tail ? &conn->queue_tail->next : &conn->queue_head) = buf;
	conn->queue_tail = buf;
	conn->queued_memory += memory_of(buf);
	conn->table->queued_memory += memory_of(buf);
}

/* Room behind what the last buf has; only those that were made here have any. */
static uint32_t room_at_tail(const struct tcp_conn *conn)
{
	const struct buf *tail = conn->queue_tail;

	if (!tail || !(tail->flags & BUF_SHARED))
		return 0;
	return tail->capacity - tail->length;
}

/* As much again as waits, so that neither the first byte takes much nor many take more each. */
static uint32_t shared_room(const struct tcp_conn *conn, uint32_t least)
{
	uint32_t room = conn->queued_bytes < SHARED_BYTES ? conn->queued_bytes : SHARED_BYTES;

	room = room > SHARED_BYTES_MIN ? room : SHARED_BYTES_MIN;
	return room > least ? room : least;
}

static bool copy(struct tcp_conn *conn, const struct buf *buf)
{
	struct buf *shared = conn->queue_tail;

	if (room_at_tail(conn) < buf->length) {
		shared = buf_alloc(net_of(conn)->heap, shared_room(conn, buf->length));
		if (!shared)
			return false;
		shared->flags |= BUF_SHARED;
		append(conn, shared);
	}
	memcpy(shared->data + shared->length, buf->data, buf->length);
	net_count_copy(net_of(conn), buf->length);
	shared->length += buf->length;
	return true;
}

/*
 * Small ones, which would keep a whole frame each; all of them when frames run out; and of a peer whose
 * segments fill their frames badly, or in turns with small ones.
 */
static bool should_copy(const struct tcp_conn *conn, const struct buf *buf)
{
	return buf->length <= SMALL_BYTES_MAX || frames_are_scarce(conn) ||
	       conn->queued_memory / WASTE_FACTOR >= conn->rcv_buffer;
}

/* @buf is the application's already. */
static void enqueue(struct tcp_conn *conn, struct buf *buf)
{
	conn->queued_bytes += buf->length;
	conn->table->counts.queued_bytes += buf->length;
	if (should_copy(conn, buf) && copy(conn, buf))
		buf_free(net_of(conn)->heap, buf);
	else
		append(conn, buf);
}

struct buf *tcp_take(struct tcp_conn *conn)
{
	struct buf *first = conn->queue_head, *last = first;
	uint32_t bytes, memory;

	if (!first)
		return NULL;
	bytes = first->length;
	memory = memory_of(first);
	for (unsigned int i = 1; i < DEMI_SGARRAY_MAXSIZE && last->next; i++) {
		last = last->next;
		bytes += last->length;
		memory += memory_of(last);
	}
	conn->queue_head = last->next;
	if (!conn->queue_head)
		conn->queue_tail = NULL;
	last->next = NULL;
	conn->queued_bytes -= bytes;
	conn->table->counts.queued_bytes -= bytes;
	conn->queued_memory -= memory;
	conn->table->queued_memory -= memory;
	measure_round(conn, bytes);
	conn_window_update(conn);
	return first;
}

/* The next bytes of the stream; @buf: with one hold, which passes. */
static void deliver(struct tcp_conn *conn, struct buf *buf)
{
	struct net *net = net_of(conn);

	conn->rcv_nxt += buf->length;
	conn->bytes_received += buf->length;
	conn->data_in++;
	conn->data_received_ns = net->now_ns;
	frame_give(net->heap, buf);
	buf->source.any.sa_family = AF_UNSPEC;
	if (unlikely(conn->reads_nothing || conn->is_freed)) {
		net_count_drop(net, NET_LAYER_TCP, NET_DROP_CLOSED);
		buf_free(net->heap, buf);
		return;
	}
	if (likely(!conn->queue_head && conn->owner)) {
		uint32_t bytes = buf->length;

		if (conn->events->received(conn->owner, buf)) {
			measure_round(conn, bytes);
			return;
		}
	}
	enqueue(conn, buf);
}

/* ---- What we acknowledge selectively: RFC 2018, section 4 ---- */

static tcp_seq end_of(const struct buf *buf)
{
	return buf->sequence + buf->length;
}

static void forget_sack(struct tcp_conn *conn, uint32_t place)
{
	conn->sacks_count--;
	memmove(&conn->sacks[place], &conn->sacks[place + 1],
		(conn->sacks_count - place) * sizeof(conn->sacks[0]));
}

/* The newest goes first, and swallows what it joins. */
static void remember_sack(struct tcp_conn *conn, tcp_seq left, tcp_seq right)
{
	for (uint32_t i = 0; i < conn->sacks_count;) {
		if (seq_after(conn->sacks[i].left, right) ||
		    seq_after(left, conn->sacks[i].right)) {
			i++;
			continue;
		}
		left = seq_min(left, conn->sacks[i].left);
		right = seq_max(right, conn->sacks[i].right);
		forget_sack(conn, i);
	}
	if (conn->sacks_count == TCP_SACKS)
		conn->sacks_count--;
	memmove(&conn->sacks[1], &conn->sacks[0], conn->sacks_count * sizeof(conn->sacks[0]));
	conn->sacks[0] = (struct tcp_sack_block){left, right};
	conn->sacks_count++;
}

static void trim_sacks(struct tcp_conn *conn)
{
	for (uint32_t i = 0; i < conn->sacks_count;) {
		if (seq_at_most(conn->sacks[i].right, conn->rcv_nxt))
			forget_sack(conn, i);
		else
			i++;
	}
}

/* ---- Early text ---- */

static void early_enter(struct tcp_conn *conn, const struct buf *buf)
{
	conn->early_count++;
	conn->table->counts.queued_bytes += buf->length;
	conn->table->early_memory += memory_of(buf);
}

static void early_leave(struct tcp_conn *conn, const struct buf *buf)
{
	conn->early_count--;
	conn->table->counts.queued_bytes -= buf->length;
	conn->table->early_memory -= memory_of(buf);
}

static void drop_early(struct tcp_conn *conn, struct buf *buf)
{
	early_leave(conn, buf);
	netdev_release(net_of(conn)->device, buf);
}

/* Behind the FIN there is nothing, whatever the peer has sent. */
static void cut_behind_fin(struct tcp_conn *conn, struct buf *buf)
{
	uint32_t cut = conn->fin_known && seq_after(end_of(buf), conn->fin_seq)
			       ? end_of(buf) - conn->fin_seq
			       : 0;

	cut = cut < buf->length ? cut : buf->length;
	buf->length -= cut;
	conn->table->counts.queued_bytes -= cut;
}

/* Deliver what has become the next; overlapping parts were received before. */
static void drain(struct tcp_conn *conn)
{
	struct buf *buf;

	while ((buf = conn->early_head) && seq_at_most(buf->sequence, conn->rcv_nxt)) {
		uint32_t known = conn->rcv_nxt - buf->sequence;

		cut_behind_fin(conn, buf);
		conn->early_head = buf->next;
		if (!conn->early_head)
			conn->early_tail = NULL;
		buf->next = NULL;
		if (known >= buf->length) {
			net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_DUPLICATE);
			drop_early(conn, buf);
			continue;
		}
		early_leave(conn, buf);
		buf_pull(buf, known);
		deliver(conn, buf);
	}
	trim_sacks(conn);
	if (conn->fin_known && conn->rcv_nxt == conn->fin_seq && !conn->fin_received)
		conn_peer_closed(conn);
}

/* The buf behind which @seq belongs; NULL: before all. */
static struct buf *predecessor(const struct tcp_conn *conn, tcp_seq seq)
{
	struct buf *before = NULL;

	if (conn->early_tail && seq_at_most(conn->early_tail->sequence, seq))
		return conn->early_tail;
	for (struct buf *buf = conn->early_head; buf && seq_at_most(buf->sequence, seq);
	     buf = buf->next)
		before = buf;
	return before;
}

/* Whether all of it waits here already, in one or more bufs behind @before. */
static bool is_covered(const struct tcp_conn *conn, const struct buf *before, tcp_seq seq,
		       tcp_seq end)
{
	const struct buf *buf = before ? before : conn->early_head;

	for (; buf && seq_at_most(buf->sequence, seq); buf = buf->next) {
		if (seq_after(end_of(buf), seq))
			seq = end_of(buf);
		if (seq_at_least(seq, end))
			return true;
	}
	return false;
}

/* RFC 2883, 4.2: the first part of it that waits here already, behind @before. */
static void note_overlap(struct tcp_conn *conn, const struct buf *before, tcp_seq seq, tcp_seq end)
{
	const struct buf *buf = before ? before : conn->early_head;

	for (; buf && seq_before(buf->sequence, end); buf = buf->next) {
		tcp_seq left = seq_max(seq, buf->sequence), right = seq_min(end, end_of(buf));

		if (seq_before(left, right)) {
			conn->duplicate = (struct tcp_sack_block){left, right};
			return;
		}
	}
}

/* So that a stream with a hole does not take all frames of the device. */
static struct buf *keepable(struct tcp_conn *conn, struct buf *buf)
{
	struct net *net = net_of(conn);
	struct buf *copy_of;

	if (!frames_are_scarce(conn) && buf->length > SMALL_BYTES_MAX)
		return buf;
	copy_of = ip_alloc(net, buf->length);
	if (!copy_of)
		return frames_are_scarce(conn) ? NULL : buf;
	memcpy(copy_of->data, buf->data, buf->length);
	net_count_copy(net, buf->length);
	copy_of->length = buf->length;
	netdev_release(net->device, buf);
	return copy_of;
}

static void insert(struct tcp_conn *conn, struct buf *before, struct buf *buf, tcp_seq seq)
{
	buf->sequence = seq;
	buf->next = before ? before->next : conn->early_head;
	*(before ? &before->next : &conn->early_head) = buf;
	if (!buf->next)
		conn->early_tail = buf;
	early_enter(conn, buf);
}

/* Return: whether it is kept. */
static bool keep_early(struct tcp_conn *conn, struct tcp_in *in)
{
	const struct tcp_table *table = conn->table;
	struct buf *before = predecessor(conn, in->seq), *buf = in->buf;
	tcp_seq end = in->seq + in->length;

	if (is_covered(conn, before, in->seq, end)) {
		conn->duplicate = (struct tcp_sack_block){in->seq, end};
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_DUPLICATE);
		return true;
	}
	if (conn->early_count >= table->options.out_of_order_max || memory_is_full(table) ||
	    table->early_memory >= table->early_memory_max) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_QUEUE_FULL);
		return false;
	}
	buf = keepable(conn, buf);
	if (!buf) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_NO_MEMORY);
		return false;
	}
	in->buf = NULL;
	note_overlap(conn, before, in->seq, end);
	insert(conn, before, buf, in->seq);
	return true;
}

/* RFC 5681, 4.2: each is acknowledged at once, so that the peer can tell what is missing. */
static void early_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	tcp_seq end = in->seq + in->length;

	if (in->length && keep_early(conn, in) && conn->has_sack)
		remember_sack(conn, in->seq, end);
	if ((in->flags & TCP_FIN) && !conn->fin_known) {
		conn->fin_known = true;
		conn->fin_seq = end;
	}
	tcp_ack_tx(conn);
}

/* ---- In ---- */

/* RFC 3168, 6.1.3; for DCTCP every change is told by itself (RFC 8257, 3.2). */
static void ecn_rx(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (conn->congestion.ops->needs_ecn) {
		if (in->length && in->is_marked != conn->echoes_mark) {
			if (conn->unacked_segments)
				tcp_ack_tx(conn);
			conn->echoes_mark = in->is_marked;
			conn->ack_now = true;
			conn_wake(conn, WORK_ACK);
		}
		return;
	}
	if (in->flags & TCP_CWR)
		conn->echoes_mark = false;
	if (in->is_marked)
		conn->echoes_mark = true;
}

/* What was received before, and what goes beyond the window or the peer's FIN. */
static void trim(struct tcp_conn *conn, struct tcp_in *in)
{
	int32_t known = seq_diff(conn->rcv_nxt, in->seq);
	tcp_seq edge = unlikely(conn->fin_known) ? seq_min(conn->fin_seq, conn->rcv_adv)
						 : conn->rcv_adv;
	int32_t beyond = seq_diff(in->seq + in->length, edge);

	if (unlikely(known > 0)) {
		uint32_t cut = (uint32_t)known < in->length ? (uint32_t)known : in->length;

		if (cut)
			conn->duplicate = (struct tcp_sack_block){in->seq, in->seq + cut};
		buf_pull(in->buf, cut);
		in->length -= cut;
		in->seq += cut;
	}
	if (unlikely(beyond > 0)) {
		in->length -= (uint32_t)beyond < in->length ? (uint32_t)beyond : in->length;
		in->flags &= (uint8_t)~TCP_FIN;
	}
	in->buf->length = in->length;
}

static void in_order_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	bool had_hole = conn->early_head || conn->fin_known;

	/* Before the owner sees it, who may answer at once. */
	conn->unacked_segments++;
	if (in->length) {
		struct buf *buf = in->buf;

		in->buf = NULL;
		deliver(conn, buf);
	}
	if (unlikely((in->flags & TCP_FIN) && !conn->fin_received))
		conn_peer_closed(conn);
	if (unlikely(had_hole))
		drain(conn);
	/* Where the peer's FIN was the end it is acknowledged. */
	if (unlikely(conn->state == TCP_STATE_TIME_WAIT))
		return;
	if (unlikely(had_hole)) {
		tcp_ack_tx(conn);
		return;
	}
	/*
	 * Who has answered what it received at once is given time to do so again. Others' peers wait
	 * for the acknowledgment: it goes when the application has had its turn. So do those of whose
	 * window little is left, who may not be able to send a second segment.
	 */
	if (likely(conn->unacked_segments == 0))
		return;
	if (conn->unacked_segments < ACK_EVERY && conn->answers &&
	    conn->rcv_adv - conn->rcv_nxt > conn->rcv_buffer / 2 &&
	    conn->duplicate.left == conn->duplicate.right) {
		conn_delay_ack(conn);
		return;
	}
	conn->ack_now = true;
	conn_wake(conn, WORK_ACK);
}

void tcp_text_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	uint32_t length;

	if (unlikely(conn->has_ecn))
		ecn_rx(conn, in);
	if (unlikely(conn->fin_received || !is_synchronized(conn))) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_CLOSED);
		return;
	}
	length = in->length;
	trim(conn, in);
	if (unlikely(!in->length && !(in->flags & TCP_FIN))) {
		/* It was a part of what we have. */
		if (length)
			net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_DUPLICATE);
		if (conn->duplicate.left != conn->duplicate.right) {
			conn->ack_now = true;
			conn_wake(conn, WORK_ACK);
		}
		return;
	}
	/* Nobody will read it: the peer should know (RFC 2525, 2.17). */
	if (unlikely(conn->is_freed && !conn->tells_closed && in->length)) {
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_CLOSED);
		conn_abort(conn, ECONNRESET);
		return;
	}
	if (likely(in->seq == conn->rcv_nxt))
		in_order_rx(conn, in);
	else
		early_rx(conn, in);
}

void tcp_text_free(struct tcp_conn *conn)
{
	struct buf *buf;

	while ((buf = conn->early_head)) {
		conn->early_head = buf->next;
		net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_CLOSED);
		drop_early(conn, buf);
	}
	conn->early_tail = NULL;
	conn->sacks_count = 0;
	/* What nobody will take. */
	while (conn->is_freed && (buf = tcp_take(conn)))
		buf_free(net_of(conn)->heap, buf);
}
