/* SPDX-License-Identifier: MIT */
/*
 * The common segment, foretold (Jacobson's header prediction, extended to the layers below): a frame
 * that looks as nearly all do reaches its connection after a few comparisons, and one that is sent
 * gets link and IP headers that are ready. Nothing is decided here otherwise than by eth_rx, ipv4_rx,
 * tcp_rx and ip_tx; it is the same outcome sooner.
 */
#ifndef DEMI_NET_TCP_FAST_H
#define DEMI_NET_TCP_FAST_H

#include "net/tcp/conn.h"

/**
 * tcp_rx_fast - take a frame that is a whole IPv4 segment without IP options, to our only IPv4
 * address and a connection that is there
 *
 * Return: whether it was taken; if not, nothing has changed, and it is eth_rx's.
 */
bool tcp_rx_fast(struct net *net, struct buf *buf);

/**
 * tcp_tx_ready - whether the headers of a connection are ready, and its neighbour is known to be
 * there; makes them ready for the next time otherwise
 * @length: of the segment; one that has to be padded is not for here
 */
bool tcp_tx_ready(struct tcp_conn *conn, uint32_t length);

/**
 * tcp_tx_fast - ip_tx for a segment of a connection of which tcp_tx_ready said so
 * @head: a chain, data at the TCP header, its checksum done or left; ownership passes
 * @length: of the whole chain
 */
void tcp_tx_fast(struct tcp_conn *conn, struct buf *head, uint32_t length);

#endif /* DEMI_NET_TCP_FAST_H */
