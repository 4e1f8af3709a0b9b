/* SPDX-License-Identifier: MIT */
#include "net/tcp/bulk.h"

#include <netinet/in.h>
#include <string.h>

#include "net/neighbour.h"
#include "net/tcp/fast.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

/* Fewer are not worth the preparation. */
#define RUN_MIN 2u
/* TCP's header with timestamps, and a round number of bytes to copy with what is below. */
#define TEMPLATE_BYTES (TCP_LOWER_BYTES + TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES + 4u)
#define SEQUENCE_OFFSET 4u

/** What the segments of a run have in common. */
struct run {
	struct tcp_conn *conn;
	struct tcp_piece *piece; /* that all of them lie in */
	uint32_t mss;
	uint32_t tcp_bytes;            /* of the header */
	uint64_t sum;                  /* of pseudo header and TCP header without sequence number */
	bool refers;                   /* to the payload; otherwise it is copied */
	uint8_t bytes[TEMPLATE_BYTES]; /* headers, TCP's at TCP_LOWER_BYTES */
};

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How many full segments of the piece that is next may go; as choose_length has it of each. */
static uint32_t room_for(const struct tcp_conn *conn, uint32_t most)
{
	const struct tcp_piece *piece = conn->piece_next;
	uint32_t bytes = piece->seq + piece->length - conn->snd_nxt;
	uint32_t pipe = pipe_of(conn), cwnd = conn->congestion.cwnd;
	int32_t window = window_left(conn);

	if (window <= 0 || cwnd <= pipe || conn->sent_count >= TCP_SENT_ANY_LENGTH)
		return 0;
	/* With the last byte of all goes PSH, and perhaps FIN. */
	bytes = min(bytes, conn->snd_end - conn->snd_nxt - 1);
	bytes = min(min(bytes, cwnd - pipe), (uint32_t)window);
	if (bytes < RUN_MIN * conn->mss)
		return 0;
	most = min(most, NETDEV_BURST_MAX - net_of(conn)->tx_count);
	most = min(most, TCP_SENT_ANY_LENGTH - conn->sent_count);
	return min(most, bytes / conn->mss);
}

/* Whether the payload can be where tcp_tx would have it: in a chain of two, or in the frame. */
static bool can_carry(const struct run *run)
{
	const struct netdev *device = net_of(run->conn)->device;

	if (run->refers)
		return device->caps.segments_max >= 2;
	return device->data_offset + run->tcp_bytes + run->mss <= heap_frames_bytes(device->frames);
}

/* @run has its connection, and zeroes. Return: false: these segments are not alike, or not for here. */
static bool begin(struct run *run, const struct tcp_out *out)
{
	struct tcp_conn *conn = run->conn;
	uint8_t *tcp = run->bytes + TCP_LOWER_BYTES;
	uint32_t length;

	run->piece = conn->piece_next;
	run->mss = out->length;
	run->refers = out->length > net_of(conn)->copy_max;
	run->tcp_bytes = conn->has_timestamps ? TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES
					      : TCP_HEADER_BYTES;
	length = run->tcp_bytes + run->mss;
	if (!can_carry(run) || !tcp_tx_ready(conn, length))
		return false;
	tcp_emit_plain(conn, out, tcp);
	tcp_lower_fill(conn, tcp, length);
	run->sum = checksum_add_words(conn->headers.pseudo_sum, htobe32(length));
	if (conn->headers.device_completes)
		store_be16(tcp + TCP_CHECKSUM_OFFSET, checksum_partial(run->sum));
	else
		run->sum = checksum_add(run->sum, tcp, run->tcp_bytes);
	return true;
}

static void leave_checksum(const struct run *run, struct buf *head)
{
	head->flags |= BUF_CHECKSUM;
	head->transmit.protocol = IPPROTO_TCP;
	head->transmit.is_v6 = run->conn->headers.is_v6;
	head->transmit.network_bytes = run->conn->headers.is_v6 ? IPV6_HEADER_BYTES
								: IPV4_HEADER_BYTES;
	head->transmit.link_bytes = net_of(run->conn)->link_bytes;
}

/* The frame of the segment at snd_nxt; NULL: the device has none. */
static struct buf *make_frame(const struct run *run)
{
	struct netdev *device = net_of(run->conn)->device;
	const struct tcp_headers *headers = &run->conn->headers;
	tcp_seq seq = run->conn->snd_nxt;
	unsigned char *payload = run->piece->data + (seq - run->piece->seq);
	struct buf *head = netdev_alloc(device);
	uint64_t sum;

	if (unlikely(!head))
		return NULL;
	memcpy(head->data - TCP_LOWER_BYTES, run->bytes, TEMPLATE_BYTES);
	store_be32(head->data + SEQUENCE_OFFSET, seq);
	if (headers->device_completes) {
		leave_checksum(run, head);
	} else {
		sum = checksum_add(checksum_add_words(run->sum, htobe32(seq)), payload, run->mss);
		store_be16(head->data + TCP_CHECKSUM_OFFSET, checksum_finish(sum));
	}
	head->length = headers->length + run->tcp_bytes;
	if (run->refers) {
		head->next = netdev_reference(device, payload, run->mss);
		if (unlikely(!head->next)) {
			netdev_release(device, head);
			return NULL;
		}
	} else {
		memcpy(head->data + run->tcp_bytes, payload, run->mss);
		head->length += run->mss;
	}
	head->data -= headers->length;
	return head;
}

static bool send_one(const struct run *run)
{
	struct tcp_conn *conn = run->conn;
	struct net *net = net_of(conn);
	struct tcp_sent *sent = sent_alloc(conn->table);
	struct buf *frame = sent ? make_frame(run) : NULL;

	if (unlikely(!frame)) {
		if (sent)
			sent_free(conn->table, sent);
		return false;
	}
	sent->next = NULL;
	sent->seq = conn->snd_nxt;
	sent->end = conn->snd_nxt + run->mss;
	sent->sent_ns = net->now_ns;
	sent->piece = run->piece;
	sent->flags = 0;
	*(conn->sent_tail ? &conn->sent_tail->next : &conn->sent_head) = sent;
	conn->sent_tail = sent;
	conn->snd_nxt = sent->end;
	net->tx[net->tx_count++] = frame;
	return true;
}

static void count(const struct run *run, uint32_t segments)
{
	const struct tcp_headers *headers = &run->conn->headers;
	struct net *net = net_of(run->conn);
	uint64_t tcp_bytes = run->tcp_bytes + run->mss;
	uint64_t ip_bytes = tcp_bytes + (headers->is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES);

	net_count_tx_run(net, NET_LAYER_TCP, segments, tcp_bytes);
	net_count_tx_run(net, headers->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4, segments, ip_bytes);
	net_count_tx_run(net, NET_LAYER_ETH, segments, headers->length + tcp_bytes);
	if (run->refers)
		run->conn->table->counts.referred_bytes += (uint64_t)segments * run->mss;
	else if (run->mss > net->options.copy_max)
		net->counters.copied_bytes += (uint64_t)segments * run->mss;
}

static void end(const struct run *run, const struct tcp_out *out, uint32_t segments)
{
	struct tcp_conn *conn = run->conn;
	struct net *net = net_of(conn);

	tcp_has_sent(conn, out, segments);
	count(run, segments);
	conn->sent_count += segments;
	if (!conn->stalled_ns)
		conn->stalled_ns = net->now_ns;
	if (seq_at_most(run->piece->seq + run->piece->length, conn->snd_nxt))
		conn->piece_next = run->piece->next;
	conn->path.neighbour->used_ns = net->now_ns;
}

uint32_t tcp_bulk_tx(struct tcp_conn *conn, uint32_t most)
{
	struct tcp_out out = {.flags = TCP_ACK};
	uint32_t room, sent = 0;
	struct run run = {.conn = conn};

	/* What asks for flags or for options of its own, or changes with each segment, is tcp_tx's. */
	if (conn->recovery != RECOVERY_NONE || conn->has_ecn || !tcp_is_plain(conn, &out) ||
	    conn_path(conn) < 0)
		return 0;
	room = room_for(conn, most);
	out.length = conn->mss;
	if (room < RUN_MIN || !begin(&run, &out))
		return 0;
	while (sent < room && send_one(&run))
		sent++;
	if (likely(sent))
		end(&run, &out, sent);
	return sent;
}
