/* SPDX-License-Identifier: MIT */
/*
 * The common segment, foretold (Jacobson's header prediction, extended to the layers below): a frame
 * that looks as nearly all do reaches its connection after a few comparisons, and one that is sent
 * gets link and IP headers that are ready. Nothing is decided here otherwise than by eth_rx, ipv4_rx,
 * tcp_rx and ip_tx; it is the same outcome sooner.
 */
#ifndef DEMI_NET_TCP_FAST_H
#define DEMI_NET_TCP_FAST_H

#include "net/eth.h"
#include "net/neighbour.h"
#include "net/tcp/conn.h"

/**
 * tcp_rx_fast - take a frame that is a whole IPv4 segment without IP options, to our only IPv4
 * address and a connection that is there
 *
 * Return: whether it was taken; if not, nothing has changed, and it is eth_rx's.
 */
bool tcp_rx_fast(struct net *net, struct buf *buf);

/** tcp_headers_prepare - make the headers of a connection ready, if its path is known */
void tcp_headers_prepare(struct tcp_conn *conn);

/**
 * tcp_tx_ready - whether the headers of a connection are ready, and its neighbour is known to be
 * there; makes them ready for the next time otherwise
 * @length: of the segment; one that has to be padded is not for here
 */
static inline bool tcp_tx_ready(struct tcp_conn *conn, uint32_t length)
{
	const struct neighbour *neighbour = conn->path.neighbour;
	const struct net *net = net_of(conn);

	if (unlikely(conn->headers.generation != net->generation)) {
		tcp_headers_prepare(conn);
		return false;
	}
	return neighbour->state == NEIGHBOUR_REACHABLE &&
	       net->now_ns < neighbour->confirmed_until_ns && net->tx_count < NETDEV_BURST_MAX &&
	       conn->headers.length + length >= ETH_FRAME_BYTES_MIN;
}

/**
 * tcp_tx_fast - ip_tx for a segment of a connection of which tcp_tx_ready said so
 * @head: a chain, data at the TCP header, its checksum done or left; ownership passes
 * @length: of the whole chain
 */
void tcp_tx_fast(struct tcp_conn *conn, struct buf *head, uint32_t length);

/**
 * tcp_lower_fill - the headers below TCP's of a connection of which tcp_tx_ready said so
 * @tcp: where the TCP header stands; TCP_LOWER_BYTES in front of it are written
 * @length: of the segment
 */
void tcp_lower_fill(const struct tcp_conn *conn, uint8_t *tcp, uint32_t length);

/** tcp_is_plain - has nothing but what nearly all segments have: an acknowledgment and, perhaps, timestamps */
static inline bool tcp_is_plain(const struct tcp_conn *conn, const struct tcp_out *out)
{
	return (out->flags & (TCP_ACK | TCP_SYN)) == TCP_ACK && !conn->sacks_count &&
	       !conn->echoes_mark && conn->duplicate.left == conn->duplicate.right;
}

/** tcp_emit_plain - the header of such a segment, its checksum 0; its bytes */
static inline uint32_t tcp_emit_plain(struct tcp_conn *conn, const struct tcp_out *out, uint8_t *to)
{
	uint32_t bytes = conn->has_timestamps ? TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES
					      : TCP_HEADER_BYTES;

	store_be64(to,
		   (uint64_t)conn->local_port << 48 | (uint64_t)conn->remote_port << 32 | out->seq);
	store_be64(to + 8, (uint64_t)conn->rcv_nxt << 32 | (uint64_t)(bytes / 4) << 28 |
				   (uint64_t)out->flags << 16 | conn_window(conn));
	store_be32(to + TCP_CHECKSUM_OFFSET, 0);
	if (likely(conn->has_timestamps)) {
		store_be32(to + TCP_HEADER_BYTES, 0x0101080a);
		store_be64(to + TCP_HEADER_BYTES + 4,
			   (uint64_t)timestamp_of(conn) << 32 | conn->ts_recent);
	}
	return bytes;
}

/** tcp_has_sent - what follows from @segments like @out having gone */
static inline void tcp_has_sent(struct tcp_conn *conn, const struct tcp_out *out, uint32_t segments)
{
	conn->segments_out += segments;
	if (likely(out->flags & TCP_ACK)) {
		if (out->length && conn->unacked_segments)
			conn->answers = true;
		conn->rcv_acked = conn->rcv_nxt;
		conn->unacked_segments = 0;
		conn->ack_now = false;
		conn->delayed_ack_ns = UINT64_MAX;
	}
	if (out->length) {
		conn->data_out += segments;
		conn->data_sent_ns = now_of(conn);
	}
}

#endif /* DEMI_NET_TCP_FAST_H */
