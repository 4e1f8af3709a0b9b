/* SPDX-License-Identifier: MIT */
/*
 * The common datagram, foretold: what nearly every packet looks like is compared with it in a few
 * words, and what does not match goes the way of all packets (after Jacobson's header prediction
 * for TCP). Nothing is decided here otherwise than there; it is the same outcome sooner.
 */
#ifndef DEMI_NET_UDP_FAST_H
#define DEMI_NET_UDP_FAST_H

#include <netinet/in.h>
#include <string.h>

#include "net/udp.h"

/**
 * udp_rx_fast - take a frame that is a whole IPv4 datagram without options, to our only IPv4
 * address and the only socket of its port
 *
 * Return: whether it was taken; if not, nothing has changed, and it is eth_rx's.
 */
bool udp_rx_fast(struct net *net, struct buf *buf);

/** udp_leads_to - whether the headers that the socket keeps are to there */
static inline bool udp_leads_to(const struct udp_socket *socket, const struct ip_address *peer,
				uint16_t port)
{
	return socket->headers.generation == socket->net->generation &&
	       socket->headers.port == port && ip_address_equal(&socket->path.destination, peer);
}

/**
 * udp_leads_to_socket_address - the same of an address as the application gives it
 *
 * false for what is no struct sockaddr_in, and for a socket of IPv6.
 */
static inline bool udp_leads_to_socket_address(const struct udp_socket *socket,
					       const struct sockaddr *address, socklen_t length)
{
	uint64_t begin;

	if (socket->is_v6 || length != sizeof(struct sockaddr_in))
		return false;
	memcpy(&begin, address, sizeof(begin));
	return socket->headers.socket_address == begin &&
	       socket->headers.generation == socket->net->generation;
}

/**
 * udp_tx_fast - udp_tx for a datagram of up to copy_max bytes, to where the headers of the one before
 * lead (udp_leads_to), with a neighbour that is known to be there
 * @length: of all segments
 *
 * Return: whether it was sent; if not, nothing has changed, and it is udp_tx's.
 */
bool udp_tx_fast(struct udp_socket *socket, const demi_sgarray_t *sga, uint32_t length);

/**
 * udp_prepare_fast - after udp_tx has sent to @port along socket->path, which was the one before's too:
 * the headers for the next
 */
void udp_prepare_fast(struct udp_socket *socket, const struct ip_address *source, uint16_t port);

/** udp_forget_fast - an option that shows in headers has changed */
static inline void udp_forget_fast(struct udp_socket *socket)
{
	socket->headers.generation = 0;
	socket->path.generation = 0;
}

/** udp_give - a datagram to a socket: @buf is a frame, its data and length the payload, with source */
void udp_give(struct udp_socket *socket, struct buf *buf);

#endif /* DEMI_NET_UDP_FAST_H */
