/* SPDX-License-Identifier: MIT */
/*
 * A segment arrives: RFC 9293, 3.10.7, in its order, with the stricter checks of RFC 5961 and those
 * of timestamps (RFC 7323, section 5).
 */
#include <errno.h>
#include <netinet/in.h>

#include "net/tcp/conn.h"

#define ECN_MASK 3u
#define ECN_CE 3u          /* RFC 3168, section 5 */
#define CHALLENGES_MAX 10u /* a second and connection: RFC 5961, section 7 */
#define SECOND_NS UINT64_C(1000000000)
/* RFC 7323, 5.5: a timestamp older than this says nothing. */
#define TIMESTAMP_OLD_NS (UINT64_C(24) * 24 * 3600 * SECOND_NS)

static void drop(const struct tcp_conn *conn, enum net_drop reason)
{
	net_count_drop(net_of(conn), NET_LAYER_TCP, reason);
}

void conn_challenge(struct tcp_conn *conn)
{
	uint64_t now_ns = now_of(conn);

	if (now_ns - conn->challenge_ns >= SECOND_NS) {
		conn->challenge_ns = now_ns;
		conn->challenges = 0;
	}
	if (conn->challenges >= CHALLENGES_MAX) {
		drop(conn, NET_DROP_RATE_LIMIT);
		return;
	}
	conn->challenges++;
	tcp_ack_tx(conn);
}

/* ---- SYN-SENT: RFC 9293, 3.10.7.3 ---- */

/* RFC 3168, 6.1.1.1: it may be for asking for ECN that the SYN is reset: once more, without. */
static void refused_rx(struct tcp_conn *conn)
{
	if (!conn->has_ecn || conn->syns_sent > 1 || !conn->sent_head) {
		conn_end(conn, ECONNREFUSED);
		return;
	}
	conn->has_ecn = false;
	tcp_output_again(conn, conn->sent_head);
	retransmit_arm(conn, true);
}

static void syn_sent_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	bool has_ack = in->flags & TCP_ACK;

	if (has_ack && (seq_at_most(in->ack, conn->iss) || seq_after(in->ack, conn->snd_nxt))) {
		drop(conn, NET_DROP_BAD_ACK);
		if (!(in->flags & TCP_RST))
			tcp_reset_answer(net_of(conn), in);
		return;
	}
	if (in->flags & TCP_RST) {
		if (has_ack)
			refused_rx(conn);
		else
			drop(conn, NET_DROP_UNSOLICITED);
		return;
	}
	if ((in->flags & (TCP_SYN | TCP_FIN)) != TCP_SYN) {
		drop(conn, NET_DROP_BAD_FLAGS);
		return;
	}
	conn->irs = in->seq;
	conn->rcv_nxt = conn->rcv_adv = conn->rcv_acked = in->seq + 1;
	conn->snd_wl1 = in->seq;
	conn->snd_wl2 = in->ack;
	conn_negotiate(conn, &in->options, in->window);
	if (!has_ack) {
		/* Both have sent theirs at the same time: ours once more, with an acknowledgment. */
		conn->has_ecn = false;
		conn->state = TCP_STATE_SYN_RECEIVED;
		if (conn->sent_head)
			tcp_output_again(conn, conn->sent_head);
		return;
	}
	conn->has_ecn &= (in->flags & (TCP_ECE | TCP_CWR)) == TCP_ECE;
	tcp_ack_rx(conn, in);
	conn_establish(conn);
	conn->ack_now = true;
	conn_wake(conn, WORK_ACK);
	in->seq++;
	tcp_text_rx(conn, in);
}

/* ---- Is it acceptable? RFC 9293, 3.10.7.4, first ---- */

static bool has_text(const struct tcp_in *in)
{
	return in->length || (in->flags & (TCP_SYN | TCP_FIN));
}

/* What lies wholly before the window was received before: RFC 2883, section 4. */
static void note_duplicate(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (in->length && seq_before(in->seq, conn->rcv_nxt))
		conn->duplicate = (struct tcp_sack_block){
			in->seq, seq_min(in->seq + in->length, conn->rcv_nxt)};
}

/*
 * Text that a true peer may have sent lately: it is acknowledged at once. Of all others that may be
 * no more than guesses (RFC 5961), so that they have only the rate of challenges.
 */
static bool is_near(const struct tcp_conn *conn, const struct tcp_in *in)
{
	uint32_t behind = 2 * conn->rcv_buffer;

	return has_text(in) &&
	       in->seq - (conn->rcv_nxt - behind) < behind + (conn->rcv_adv - conn->rcv_nxt);
}

static void answer_unacceptable(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (is_near(conn, in)) {
		note_duplicate(conn, in);
		tcp_ack_tx(conn);
	} else {
		conn_challenge(conn);
	}
}

static void refuse(struct tcp_conn *conn, const struct tcp_in *in)
{
	bool is_old = seq_before(in->seq, conn->rcv_nxt);

	drop(conn, is_old && in->length ? NET_DROP_DUPLICATE : NET_DROP_OUT_OF_WINDOW);
	if (in->flags & TCP_RST)
		return;
	/* The SYN-ACK was lost. But the other's, of a simultaneous open, is acknowledged: 3.5, figure 8. */
	if (conn->state == TCP_STATE_SYN_RECEIVED && (in->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	    in->seq == conn->irs && conn->sent_head) {
		/* RFC 3168, 6.1.1: whoever asks no more is not to be answered. */
		conn->has_ecn &= (in->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
		tcp_output_again(conn, conn->sent_head);
		return;
	}
	answer_unacceptable(conn, in);
}

/*
 * The acknowledgment of a peer whose data fills the window is to be heard, wherever it begins; of
 * text that comes to a closed window only that counts (3.10.7.4: "special allowance").
 */
static bool is_acceptable(struct tcp_conn *conn, struct tcp_in *in)
{
	uint32_t window = conn->rcv_adv - conn->rcv_nxt;
	tcp_seq end = in->seq + in->length + !!(in->flags & TCP_SYN) + !!(in->flags & TCP_FIN);

	if (end == in->seq)
		return in->seq - conn->rcv_nxt <= window;
	if (window == 0) {
		if (in->seq != conn->rcv_nxt || (in->flags & (TCP_SYN | TCP_RST)))
			return (in->flags & TCP_RST) && in->seq == conn->rcv_nxt;
		/* A FIN alone takes no room, and need not wait for any: so on Linux. */
		if (in->length == 0)
			return true;
		in->length = 0;
		in->flags &= (uint8_t)~TCP_FIN;
		conn->ack_now = true;
		conn_wake(conn, WORK_ACK);
		drop(conn, NET_DROP_OUT_OF_WINDOW);
		return true;
	}
	return seq_before(in->seq, conn->rcv_adv) && seq_after(end, conn->rcv_nxt);
}

static bool is_old(const struct tcp_conn *conn, const struct tcp_in *in)
{
	return (int32_t)(in->options.timestamp - conn->ts_recent) < 0 &&
	       now_of(conn) - conn->ts_recent_ns <= TIMESTAMP_OLD_NS;
}

/* RFC 7323, 5.3: protection against wrapped sequence numbers; resets are not looked at. */
static bool check_timestamp(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (!conn->has_timestamps || (in->flags & TCP_RST))
		return true;
	if (!in->options.has_timestamp) {
		drop(conn, NET_DROP_OLD_TIMESTAMP);
		return false;
	}
	if (!is_old(conn, in))
		return true;
	drop(conn, NET_DROP_OLD_TIMESTAMP);
	answer_unacceptable(conn, in);
	return false;
}

/* RFC 7323, 4.3, (2). */
static void remember_timestamp(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (!conn->has_timestamps || !in->options.has_timestamp ||
	    seq_after(in->seq, conn->rcv_acked))
		return;
	conn->ts_recent = in->options.timestamp;
	conn->ts_recent_ns = now_of(conn);
}

/* ---- RST and SYN: RFC 5961, sections 3 and 4 ---- */

static void rst_rx(struct tcp_conn *conn, const struct tcp_in *in)
{
	int error = conn->state == TCP_STATE_SYN_RECEIVED && !conn->is_passive ? ECONNREFUSED
									       : ECONNRESET;

	if (in->seq == conn->rcv_nxt) {
		/* Both have said all, and have it all. */
		if (conn->state >= TCP_STATE_CLOSING && !conn->pieces_head)
			error = 0;
		conn_end(conn, error);
		return;
	}
	drop(conn, NET_DROP_OUT_OF_WINDOW);
	conn_challenge(conn);
}

/* ---- Those who share the device ---- */

/* What opens a connection; or completes a handshake of which nothing was kept, as listener_rx has it. */
static bool opens(const struct net *net, const struct tcp_in *in)
{
	struct tcp_options options;

	switch (in->flags & (TCP_SYN | TCP_ACK | TCP_RST)) {
	case TCP_SYN:
		return true;
	case TCP_ACK:
		return cookie_check(net->tcp, in, &options);
	default:
		return false;
	}
}

/* Of what came to all who share the device one listener takes it. */
static bool is_first(const struct net *net, const struct tcp_in *in)
{
	const struct spread_flow flow = {
		in->packet->destination, in->packet->source, in->destination_port,
		in->source_port,         SPREAD_TCP,         false};

	return (in->buf->flags & BUF_STEERED) || spread_is_first(net->device, &flow);
}

/* Of a device that several runtimes share: whether the segment is taken care of. */
static bool is_of_others(struct net *net, struct tcp_in *in, const struct tcp_conn *listener)
{
	enum spread_verdict verdict;

	if (in->packet->is_local || (listener && opens(net, in) && is_first(net, in)))
		return false;
	verdict = spread_miss(net->device, in->buf);
	if (verdict == SPREAD_TAKEN)
		in->buf = NULL;
	return verdict != SPREAD_ANSWER;
}

/* ---- SYN-RECEIVED ---- */

/* Whether the connection is established by this acknowledgment. */
static bool syn_received_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	if (seq_at_most(in->ack, conn->snd_una) || seq_after(in->ack, conn->snd_nxt)) {
		drop(conn, NET_DROP_BAD_ACK);
		/* A late SYN may have opened this one beside another runtime's, of which it is. */
		if (!net_of(conn)->device->share || !is_of_others(net_of(conn), in, NULL))
			tcp_reset_answer(net_of(conn), in);
		return false;
	}
	/* Without room the peer believes that it is established, and will say so again. */
	if (conn->listener && !listener_promote(conn))
		return false;
	conn->snd_wl1 = in->seq;
	conn->snd_wl2 = in->ack - 1;
	conn_establish(conn);
	if (conn->listener && conn->listener->owner)
		conn->events->acceptable(conn->listener->owner);
	return true;
}

/* ---- TIME-WAIT ---- */

/* The peer's FIN again, as far as can be told: its number, its time, and what it acknowledges. */
static bool is_its_fin(const struct tcp_conn *conn, const struct tcp_in *in)
{
	return (in->flags & (TCP_FIN | TCP_ACK | TCP_SYN)) == (TCP_FIN | TCP_ACK) &&
	       in->seq + in->length + 1 == conn->rcv_nxt && ack_is_plausible(conn, in->ack) &&
	       (!conn->has_timestamps || (in->options.has_timestamp && !is_old(conn, in)));
}

/* RFC 1337: a reset does not end it. */
static void time_wait_rx(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (in->flags & TCP_RST) {
		drop(conn, NET_DROP_CLOSED);
		return;
	}
	/* It sends it again: ours was not acknowledged in its eyes. */
	if (is_its_fin(conn, in)) {
		remember_timestamp(conn, in);
		conn_time_wait(conn);
		tcp_ack_tx(conn);
		return;
	}
	drop(conn, NET_DROP_CLOSED);
	if (has_text(in) || in->seq != conn->rcv_nxt || in->ack != conn->snd_nxt)
		conn_challenge(conn);
}

/* Whether a SYN begins the connection anew: RFC 9293, 3.10.7.4; RFC 6191, section 2. */
static bool begins_anew(const struct tcp_conn *conn, const struct tcp_in *in)
{
	if (conn->state != TCP_STATE_TIME_WAIT ||
	    (in->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return false;
	if (conn->has_timestamps && in->options.has_timestamp &&
	    in->options.timestamp != conn->ts_recent)
		return (int32_t)(in->options.timestamp - conn->ts_recent) > 0;
	return seq_after(in->seq, conn->rcv_nxt);
}

/* Whether there is somebody who would take the new connection. */
static bool is_welcome(const struct net *net, const struct tcp_in *in)
{
	const struct tcp_conn *listener = listener_find(net->tcp, in->packet, in->destination_port,
							in->source_port);

	return listener && listener_has_room(listener);
}

/* No listener is here any more, and another runtime that shares the device has one. */
static bool is_welcome_elsewhere(const struct net *net, const struct tcp_in *in)
{
	return net->device->share && !in->packet->is_local &&
	       !listener_find(net->tcp, in->packet, in->destination_port, in->source_port) &&
	       spread_has_others(net->device, SPREAD_TCP, in->destination_port);
}

/* ---- All states ---- */

void conn_rx(struct tcp_conn *conn, struct tcp_in *in)
{
	conn->segments_in++;
	if (unlikely(conn->state == TCP_STATE_SYN_SENT)) {
		syn_sent_rx(conn, in);
		return;
	}
	if (unlikely(conn->state == TCP_STATE_TIME_WAIT)) {
		time_wait_rx(conn, in);
		return;
	}
	if (unlikely(!check_timestamp(conn, in)))
		return;
	if (unlikely(!is_acceptable(conn, in))) {
		refuse(conn, in);
		return;
	}
	if (unlikely(in->flags & (TCP_RST | TCP_SYN))) {
		if (in->flags & TCP_RST)
			rst_rx(conn, in);
		else
			conn_challenge(conn);
		return;
	}
	if (unlikely(!(in->flags & TCP_ACK))) {
		drop(conn, NET_DROP_BAD_FLAGS);
		return;
	}
	if (unlikely(conn->state == TCP_STATE_SYN_RECEIVED) && !syn_received_rx(conn, in))
		return;
	if (unlikely(!tcp_ack_rx(conn, in)) || unlikely(conn->state == TCP_STATE_CLOSED))
		return;
	/* Not before: a blind attacker's acknowledgment is hardly right (RFC 5961, 5.2). */
	conn->received_ns = now_of(conn);
	conn->keep_probes_sent = 0;
	remember_timestamp(conn, in);
	if (in->length || (in->flags & TCP_FIN))
		tcp_text_rx(conn, in);
}

/* 0 or -(enum wire_error). */
static inline int parse(const struct ip_packet *packet, struct buf *buf, struct tcp_in *in)
{
	struct tcp_header header;
	int bytes = tcp_parse(&header, buf->data, buf->length), error;

	if (unlikely(bytes < 0))
		return bytes;
	if (!(buf->flags & BUF_CHECKED) && !packet->is_local) {
		error = tcp_verify(&packet->source, &packet->destination, buf->data, buf->length);
		if (unlikely(error < 0))
			return error;
	}
	error = tcp_options_parse(&in->options, &header, buf->data);
	if (unlikely(error < 0))
		return error;
	in->packet = packet;
	in->buf = buf;
	in->seq = header.sequence;
	in->ack = header.acknowledgment;
	in->window = header.window;
	in->source_port = header.source_port;
	in->destination_port = header.destination_port;
	in->flags = header.flags;
	in->is_marked = (packet->traffic_class & ECN_MASK) == ECN_CE;
	buf_pull(buf, (uint32_t)bytes);
	buf->next = NULL;
	in->length = buf->length;
	return 0;
}

static __attribute__((noinline)) void no_connection(struct net *net, struct tcp_in *in)
{
	struct tcp_conn *listener = listener_find(net->tcp, in->packet, in->destination_port,
						  in->source_port);

	if (net->device->share && is_of_others(net, in, listener))
		return;
	if (listener) {
		listener_rx(listener, in);
		/* Where nothing came of the connection that another made way for. */
		net->tcp->has_iss_least = false;
		return;
	}
	net_count_drop(net, NET_LAYER_TCP, NET_DROP_NO_PORT);
	tcp_reset_answer(net, in);
}

void tcp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct tcp_conn *conn;
	struct tcp_in in;
	int error;

	net_count_rx(net, NET_LAYER_TCP, buf->length);
	error = parse(packet, buf, &in);
	if (unlikely(error < 0)) {
		net_drop(net, buf, NET_LAYER_TCP, (unsigned int)-error);
		return;
	}
	/* RFC 9293, 3.9.2.3: never from or to more than one. */
	if (unlikely(packet->to_group)) {
		net_drop(net, buf, NET_LAYER_TCP, NET_DROP_NOT_FOR_US);
		return;
	}
	conn = conn_find(net->tcp, &packet->destination, in.destination_port, &packet->source,
			 in.source_port);
	if (unlikely(conn && begins_anew(conn, &in)) &&
	    (is_welcome(net, &in) || is_welcome_elsewhere(net, &in))) {
		conn_make_way(conn);
		conn = NULL;
	}
	if (likely(conn != NULL))
		conn_rx(conn, &in);
	else
		no_connection(net, &in);
	if (in.buf)
		ip_free(net, packet, in.buf);
}

/* ---- ICMP ---- */

static struct tcp_conn *quoted_conn(const struct net *net, const struct quoted_packet *quoted)
{
	return conn_find(net->tcp, &quoted->source, quoted->source_port, &quoted->destination,
			 quoted->destination_port);
}

/* RFC 5927, 4.1: a sequence number that is under way is not easily guessed. */
static bool is_under_way(const struct tcp_conn *conn, const struct quoted_packet *quoted)
{
	return conn && conn->state != TCP_STATE_TIME_WAIT &&
	       seq_at_least(quoted->sequence, conn->snd_una) &&
	       seq_before(quoted->sequence, conn->snd_nxt);
}

bool tcp_is_ours(struct net *net, const struct quoted_packet *quoted)
{
	return is_under_way(quoted_conn(net, quoted), quoted);
}

/*
 * RFC 1191, 6.4: what was too long is sent again at once, in shorter pieces. That the path carries
 * less another connection may have been told before us. What was made since is not longer.
 */
static void path_has_shrunk(struct tcp_conn *conn)
{
	if (conn_path(conn) < 0)
		return;
	for (struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		if (sent->end - sent->seq - !!(sent->flags & SENT_FIN) > conn->mss)
			sent_lose(conn, sent);
	}
	if (conn->lost_bytes > conn->again_bytes)
		conn_wake(conn, WORK_RETRANSMIT);
}

bool tcp_error(struct net *net, const struct quoted_packet *quoted, int error)
{
	struct tcp_conn *conn = quoted_conn(net, quoted);

	if (!is_under_way(conn, quoted))
		return false;
	if (error == EMSGSIZE) {
		path_has_shrunk(conn);
	} else if (error) {
		/* RFC 5927, section 5: only before there is a connection is any of them believed. */
		if (conn->state == TCP_STATE_SYN_SENT &&
		    (error == ECONNREFUSED || error == ENOPROTOOPT))
			conn_end(conn, ECONNREFUSED);
		else
			conn->soft_error = (int16_t)error;
	}
	return true;
}

void tcp_unreachable(struct net *net, const struct quoted_packet *quoted)
{
	struct tcp_conn *conn = quoted_conn(net, quoted);

	if (!is_under_way(conn, quoted))
		return;
	if (conn->state == TCP_STATE_SYN_SENT)
		conn_end(conn, EHOSTUNREACH);
	else
		conn->soft_error = EHOSTUNREACH;
}
