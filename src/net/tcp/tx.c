/* SPDX-License-Identifier: MIT */
/* Segments out: header, options, and payload, which is copied behind them or goes by reference. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/tcp/fast.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#define ECN_ECT0 2u /* RFC 3168, section 5 */
#define WINDOW_MAX 65535u
#define SACK_BYTES 4u /* with two NOPs */
#define SACK_BLOCK_BYTES 8u
#define SECOND_NS UINT64_C(1000000000)
#define RESETS_MIN 10000u /* a second, of those without a connection */
#define RESETS_SPREAD 5000u
#define LOCAL_PIECES_MAX 16u /* by reference in a segment to ourselves */

_Static_assert(NETDEV_HEAD_ROOM >= IPV6_HEADER_BYTES + ETH_HEADER_BYTES_MAX, "headers fit");

/* ---- Options ---- */

static void syn_options(const struct tcp_conn *conn, struct tcp_options *options)
{
	uint32_t headers = TCP_HEADER_BYTES + (ip_address_is_v4(&conn->remote) ? IPV4_HEADER_BYTES
									       : IPV6_HEADER_BYTES);
	uint32_t mtu = conn->path.is_local ? conn->path.mtu : net_mtu(net_of(conn), &conn->remote);
	uint32_t mss = mtu - headers;

	if (conn->settings.mss_max && mss > conn->settings.mss_max)
		mss = conn->settings.mss_max;
	options->has_mss = true;
	options->mss = (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
	options->has_window_shift = conn->has_scaling;
	options->window_shift = conn->rcv_shift;
	options->sack_permitted = conn->has_sack;
}

/* Bytes of options that a segment with @length bytes of payload may have beside timestamps. */
static uint32_t room_beside(const struct tcp_conn *conn, uint32_t length)
{
	uint32_t headers = TCP_HEADER_BYTES +
			   (ip_address_is_v4(&conn->remote) ? IPV4_HEADER_BYTES
							    : IPV6_HEADER_BYTES) +
			   (conn->has_timestamps ? TCP_TIMESTAMP_BYTES : 0);

	return conn->path.mtu > headers + length ? conn->path.mtu - headers - length : 0;
}

/*
 * As many blocks as the path carries beside the payload (RFC 6691): a full segment has none, but
 * what comes early is acknowledged by itself too.
 */
static void sack_options(struct tcp_conn *conn, uint32_t length, struct tcp_options *options)
{
	uint32_t room = room_beside(conn, length), most = TCP_SACK_BLOCKS_MAX;

	if (room < SACK_BYTES + TCP_SACK_BLOCKS_MAX * SACK_BLOCK_BYTES)
		most = room > SACK_BYTES ? (room - SACK_BYTES) / SACK_BLOCK_BYTES : 0;
	if (most && conn->duplicate.left != conn->duplicate.right) {
		options->sack[options->sack_count++] = conn->duplicate;
		conn->duplicate.right = conn->duplicate.left;
	}
	for (uint32_t i = 0; i < conn->sacks_count && options->sack_count < most; i++)
		options->sack[options->sack_count++] = conn->sacks[i];
}

static inline void fill_options(struct tcp_conn *conn, const struct tcp_out *out,
				struct tcp_options *options)
{
	options->has_mss = false;
	options->has_window_shift = false;
	options->sack_permitted = false;
	options->sack_count = 0;
	options->has_timestamp = conn->has_timestamps;
	if (options->has_timestamp) {
		options->timestamp = timestamp_of(conn);
		options->timestamp_echo = out->flags & TCP_ACK ? conn->ts_recent : 0;
	}
	if (unlikely(out->flags & TCP_SYN))
		syn_options(conn, options);
	else if (!conn->has_sack)
		conn->duplicate.right = conn->duplicate.left;
	else if (conn->sacks_count || conn->duplicate.left != conn->duplicate.right)
		sack_options(conn, out->length, options);
}

/* ---- Payload ---- */

/* Copy @length bytes of the stream from @seq on. */
static void gather(unsigned char *to, const struct tcp_piece *piece, tcp_seq seq, uint32_t length)
{
	while (length) {
		uint32_t skip = seq - piece->seq, part = piece->length - skip;

		part = part < length ? part : length;
		memcpy(to, piece->data + skip, part);
		to += part;
		seq += part;
		length -= part;
		piece = piece->next;
	}
}

/* Whether the pieces are few enough for the device; to ourselves all is copied anyway. */
static bool fits_chain(const struct tcp_conn *conn, const struct tcp_out *out)
{
	uint32_t most = conn->path.is_local ? LOCAL_PIECES_MAX
					    : net_of(conn)->device->caps.segments_max;
	tcp_seq end = out->seq + out->length;
	uint32_t count = 1;

	for (const struct tcp_piece *piece = out->piece; piece; piece = piece->next) {
		if (++count > most)
			return false;
		if (seq_at_least(piece->seq + piece->length, end))
			break;
	}
	return true;
}

static uint32_t room_behind(const struct buf *frame)
{
	const unsigned char *end = (const unsigned char *)(frame + 1) + frame->capacity;

	return (uint32_t)(end - frame->data) - frame->length;
}

/* Into the frame; a segment to ourselves may be longer: into memory that its shell alone keeps. */
static bool copy_payload(struct net *net, const struct tcp_out *out, struct buf *head)
{
	struct buf *copy;

	net_count_copy(net, out->length);
	if (likely(room_behind(head) >= out->length)) {
		gather(head->data + head->length, out->piece, out->seq, out->length);
		head->length += out->length;
		return true;
	}
	copy = ip_alloc(net, out->length);
	if (!copy)
		return false;
	gather(copy->data, out->piece, out->seq, out->length);
	head->next = netdev_reference(net->device, copy->data, out->length);
	heap_release(net->heap, copy);
	return head->next != NULL;
}

static bool refer(struct netdev *device, struct buf *head, const struct tcp_out *out)
{
	struct tcp_piece *piece = out->piece;
	uint32_t length = out->length;
	tcp_seq seq = out->seq;
	struct buf *last = head;

	while (length) {
		uint32_t skip = seq - piece->seq, part = piece->length - skip;

		part = part < length ? part : length;
		last->next = netdev_reference(device, piece->data + skip, part);
		if (unlikely(!last->next))
			return false;
		last = last->next;
		seq += part;
		length -= part;
		piece = piece->next;
	}
	return true;
}

/* @head has the header; behind it comes the payload. */
static bool add_payload(struct tcp_conn *conn, const struct tcp_out *out, struct buf *head)
{
	struct net *net = net_of(conn);

	if (likely(out->length <= net->copy_max) || !fits_chain(conn, out))
		return copy_payload(net, out, head);
	conn->table->counts.referred_bytes += out->length;
	return refer(net->device, head, out);
}

/* ---- Checksum ---- */

static void leave_checksum(struct buf *head, uint64_t pseudo, bool is_v6)
{
	store_be16(head->data + TCP_CHECKSUM_OFFSET, checksum_partial(pseudo));
	head->flags |= BUF_CHECKSUM;
	head->transmit.protocol = IPPROTO_TCP;
	head->transmit.is_v6 = is_v6;
}

/* As complete_checksum, with what of the pseudo header is always the same. */
static inline void complete_fast(const struct tcp_headers *headers, struct buf *head,
				 uint32_t length)
{
	struct checksum checksum = {
		.sum = checksum_add_words(headers->pseudo_sum, htobe32(length))};

	if (headers->device_completes) {
		leave_checksum(head, checksum.sum, headers->is_v6);
		return;
	}
	for (const struct buf *buf = head; buf; buf = buf->next)
		checksum_append(&checksum, buf->data, buf->length);
	store_be16(head->data + TCP_CHECKSUM_OFFSET, checksum_finish(checksum.sum));
}

static void complete_checksum(struct net *net, const struct path *path,
			      const struct ip_address *source, struct buf *head, uint32_t length)
{
	bool is_v6 = !ip_address_is_v4(&path->destination);
	uint64_t pseudo = checksum_pseudo(source, &path->destination, IPPROTO_TCP, length);
	struct checksum checksum = {.sum = pseudo};

	/* To ourselves nobody looks at it. */
	if (path->is_local)
		return;
	if (is_v6 ? net->device->caps.checksum_v6 : net->device->caps.checksum_v4) {
		leave_checksum(head, pseudo, is_v6);
		return;
	}
	for (const struct buf *buf = head; buf; buf = buf->next)
		checksum_append(&checksum, buf->data, buf->length);
	store_be16(head->data + TCP_CHECKSUM_OFFSET, checksum_finish(checksum.sum));
}

/* ---- Out ---- */

static struct tcp_header header_of(struct tcp_conn *conn, const struct tcp_out *out)
{
	struct tcp_header header = {
		.source_port = conn->local_port,
		.destination_port = conn->remote_port,
		.sequence = out->seq,
		.flags = out->flags,
	};
	uint32_t room = conn->rcv_buffer;

	if (likely(!(out->flags & TCP_SYN)))
		header.window = conn_window(conn);
	else
		header.window = (uint16_t)(room < WINDOW_MAX ? room : WINDOW_MAX);
	if (likely(out->flags & TCP_ACK)) {
		header.acknowledgment = conn->rcv_nxt;
		if (unlikely(conn->echoes_mark) && !(out->flags & TCP_SYN))
			header.flags |= TCP_ECE;
	}
	/* What a SYN promises is a window too. */
	if (unlikely(out->flags & TCP_SYN) && (out->flags & TCP_ACK))
		conn->rcv_adv = conn->rcv_nxt + header.window;
	return header;
}

static uint32_t emit_any(struct tcp_conn *conn, const struct tcp_out *out, uint8_t *to)
{
	const struct tcp_header header = header_of(conn, out);
	struct tcp_options options;

	fill_options(conn, out, &options);
	return (uint32_t)tcp_emit(to, TCP_HEADER_BYTES_MAX, &header, &options);
}

static int no_frame(struct net *net, struct buf *head)
{
	net_drop(net, head, NET_LAYER_TCP, NET_DROP_NO_FRAME);
	return -ENOBUFS;
}

int tcp_tx(struct tcp_conn *conn, const struct tcp_out *out)
{
	struct net *net = net_of(conn);
	struct ip_send send;
	struct buf *head;
	uint32_t length;
	int error = conn_path(conn);

	if (unlikely(error)) {
		/* As if the network had lost it. */
		conn->soft_error = (int16_t)-error;
		return 0;
	}
	/* The path is another one now. */
	if (unlikely(out->length > conn->mss))
		return -EMSGSIZE;
	head = netdev_alloc(net->device);
	if (unlikely(!head))
		return no_frame(net, NULL);
	if (likely(tcp_is_plain(conn, out)))
		head->length = tcp_emit_plain(conn, out, head->data);
	else
		head->length = emit_any(conn, out, head->data);
	length = head->length + out->length;
	if (out->length && unlikely(!add_payload(conn, out, head)))
		return no_frame(net, head);
	tcp_has_sent(conn, out, 1);
	net_count_tx(net, NET_LAYER_TCP, length);
	if (likely(!out->is_ect) && likely(tcp_tx_ready(conn, length))) {
		complete_fast(&conn->headers, head, length);
		tcp_tx_fast(conn, head, length);
		return 0;
	}
	send = (struct ip_send){
		.path = &conn->path,
		.source = conn->local,
		.protocol = IPPROTO_TCP,
		.hop_limit = conn->settings.hop_limit,
		.traffic_class = conn->settings.traffic_class | (out->is_ect ? ECN_ECT0 : 0),
		/* The path may carry less than is believed of any. */
		.dont_fragment = conn->path.mtu > PMTU_V4_LOWEST,
	};
	complete_checksum(net, &conn->path, &conn->local, head, length);
	error = ip_tx(net, &send, head);
	if (unlikely(error))
		conn->soft_error = (int16_t)-error;
	return 0;
}

void tcp_ack_tx(struct tcp_conn *conn)
{
	const struct tcp_out out = {.seq = conn->snd_nxt, .flags = TCP_ACK};

	/* Without a frame it is due at the next chance. */
	if (tcp_tx(conn, &out) < 0)
		conn_delay_ack(conn);
}

void tcp_reset_tx(struct tcp_conn *conn)
{
	const struct tcp_out out = {.seq = conn->snd_nxt, .flags = TCP_RST | TCP_ACK};

	tcp_tx(conn, &out);
}

/* ---- Without a connection ---- */

/*
 * A reset goes where the source address says, so that who forges that can have us send any number to
 * anybody. The bound is another one each second: one that is known would tell a forger whether his
 * segments had no connection (as CVE-2016-5696 did).
 */
static bool may_reset(struct net *net)
{
	struct tcp_table *table = net->tcp;

	if (net->now_ns - table->resets_ns >= SECOND_NS || !table->resets_ns) {
		table->resets_ns = net->now_ns;
		table->resets_left = RESETS_MIN + (uint32_t)(net_random(net) % RESETS_SPREAD);
	}
	if (table->resets_left == 0) {
		net_count_drop(net, NET_LAYER_TCP, NET_DROP_RATE_LIMIT);
		return false;
	}
	table->resets_left--;
	return true;
}

static void answer(struct net *net, const struct tcp_in *in, struct tcp_header *header,
		   const struct tcp_options *options)
{
	struct path path;
	struct ip_send send = {
		.path = &path,
		.source = in->packet->destination,
		.protocol = IPPROTO_TCP,
		.dont_fragment = true,
	};
	struct buf *head;

	if (path_find(net, &path, &in->packet->source) < 0) {
		net_count_drop(net, NET_LAYER_TCP, NET_DROP_NO_ROUTE);
		return;
	}
	head = netdev_alloc(net->device);
	if (!head) {
		net_count_drop(net, NET_LAYER_TCP, NET_DROP_NO_FRAME);
		return;
	}
	header->source_port = in->destination_port;
	header->destination_port = in->source_port;
	head->length = (uint32_t)tcp_emit(head->data, TCP_HEADER_BYTES_MAX, header, options);
	complete_checksum(net, &path, &in->packet->destination, head, head->length);
	net_count_tx(net, NET_LAYER_TCP, head->length);
	ip_tx(net, &send, head);
}

void tcp_reset_answer(struct net *net, const struct tcp_in *in)
{
	struct tcp_header header = {.flags = TCP_RST};

	if ((in->flags & TCP_RST) || !may_reset(net))
		return;
	if (in->flags & TCP_ACK) {
		header.sequence = in->ack;
	} else {
		header.flags |= TCP_ACK;
		header.acknowledgment = in->seq + in->length + !!(in->flags & TCP_SYN) +
					!!(in->flags & TCP_FIN);
	}
	answer(net, in, &header, NULL);
}

void tcp_synack_answer(struct net *net, const struct tcp_in *in, tcp_seq iss,
		       const struct tcp_options *options, uint16_t window)
{
	struct tcp_header header = {
		.sequence = iss,
		.acknowledgment = in->seq + 1,
		.flags = TCP_SYN | TCP_ACK,
		.window = window,
	};
	struct tcp_options with_mss = *options;
	uint32_t headers = TCP_HEADER_BYTES +
			   (in->packet->is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES);
	uint32_t mss = (in->packet->is_v6 ? net->mtu_v6 : net->mtu) - headers;

	with_mss.mss = (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
	answer(net, in, &header, &with_mss);
}
