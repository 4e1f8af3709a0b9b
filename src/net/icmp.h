/* SPDX-License-Identifier: MIT */
/*
 * ICMP and ICMPv6: echo is answered, errors are sent, at a bounded rate and never about what must
 * not be answered (RFC 1122, 3.2.2; RFC 4443, 2.4), and errors that come in are told to the socket
 * whose packet they quote.
 */
#ifndef DEMI_NET_ICMP_H
#define DEMI_NET_ICMP_H

#include "net/ip.h"
#include "wire/quoted.h"

/* Answers to questions for our link address, a second: whatever icmp_rate is. */
#define ICMP_NEIGHBOUR_RATE 20000u

/* Echoes that we answer for each error that we may send. */
#define ICMP_ECHO_RATE_FACTOR 100u

int icmp_create(struct net *net); /* sets net->icmp; 0 or -ENOMEM */
void icmp_destroy(struct net *net);

/** icmp_rx, icmp6_rx - a message; ownership of @buf passes */
void icmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf);
void icmp6_rx(struct net *net, const struct ip_packet *packet, struct buf *buf);

enum icmp_problem {
	ICMP_PROBLEM_PORT_UNREACHABLE,
	ICMP_PROBLEM_PROTOCOL_UNREACHABLE, /* IPv6: unrecognized next header */
	ICMP_PROBLEM_REASSEMBLY_TIMEOUT,
	ICMP_PROBLEM_PARAMETER, /* IPv6 alone: code and pointer of struct ipv6_chain */
};

/**
 * icmp_tx_error - tell the sender of a packet what was wrong with it
 * @packet: with header and total_bytes, which are quoted; before its buf is freed
 * @code, @pointer: for ICMP_PROBLEM_PARAMETER; else 0
 * @answers_group: may be sent although the packet went to a group (RFC 8200, 4.2)
 */
void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group);

/**
 * icmp_rate_allows - take a token of the bucket that bounds what we send on account of others:
 * options.icmp_rate a second, a tenth of it, but 32 at least, at once
 *
 * Counts the drop otherwise.
 */
bool icmp_rate_allows(struct net *net, enum net_layer layer);

/**
 * icmp_neighbour_allows - likewise for what we answer to ARP and NDP, of which there is more, so that
 * nobody can take us off the link by what he sends to closed ports
 */
bool icmp_neighbour_allows(struct net *net, enum net_layer layer);

/* ---- Echo ---- */

/** Told of an echo reply to us: its message from the payload on. */
struct icmp_echo {
	uint16_t identifier;
	uint16_t sequence;
	const uint8_t *payload;
	uint32_t payload_bytes;
};

typedef void icmp_echo_fn(void *context, const struct ip_packet *packet,
			  const struct icmp_echo *echo);

/** icmp_set_echo_listener - whom replies are told to from now on; NULL: they are dropped */
void icmp_set_echo_listener(struct net *net, icmp_echo_fn *listener, void *context);

/** An echo that is asked for. */
struct icmp_echo_request {
	struct ip_address destination;
	const struct ip_address *source; /* of the same version; NULL: chosen by the stack */
	uint16_t identifier;
	uint16_t sequence;
	const uint8_t *payload; /* NULL: 0, 1, 2, ... */
	uint32_t payload_bytes;
};

/**
 * icmp_echo_send - ask for an echo; the payload is copied
 *
 * Return: 0; -EMSGSIZE (more than 65,507), -ENOBUFS, and the errors of path_find and ip_tx.
 */
int icmp_echo_send(struct net *net, const struct icmp_echo_request *request);

/* ---- What icmp.c and icmp6.c share ---- */

/** An error that is being made: its message begins at data of the frame. */
struct icmp_answer {
	struct path path;
	struct ip_address source;
	struct buf *buf;
	uint32_t room; /* bytes */
};

/** icmp_answer_begin - a frame for an error about @packet; false: the drop has been counted */
bool icmp_answer_begin(struct net *net, const struct ip_packet *packet, struct icmp_answer *answer);

/** icmp_answer_send - send the @bytes that have been written into it */
void icmp_answer_send(struct net *net, struct icmp_answer *answer, uint32_t bytes);

/** icmp_echo_answer - send @buf, a request whose checksum is right, back; ownership passes */
void icmp_echo_answer(struct net *net, const struct ip_packet *packet, struct buf *buf);

/** icmp_echo_tell - an echo reply to the listener; ownership of @buf passes */
void icmp_echo_tell(struct net *net, const struct ip_packet *packet, const struct icmp_echo *echo,
		    struct buf *buf);

/**
 * icmp_error_tell - tell the transport of an error about a packet of ours
 * @error: positive errno
 * @mtu: for EMSGSIZE: what the path can carry
 *
 * Return: 0 or why the error is dropped.
 */
unsigned int icmp_error_tell(struct net *net, const struct ip_packet *packet,
			     const struct quoted_packet *quoted, int error, uint32_t mtu);

/**
 * icmp_tell_unreachable - tell the socket of a packet of ours that its first hop did not answer, as if
 * we had sent an ICMP error to ourselves (RFC 1122, 3.3.1.4)
 * @buf: the packet, from its IP header on; stays the caller's
 */
void icmp_tell_unreachable(struct net *net, const struct buf *buf, bool is_v6);

/** icmp6_tx_error - as icmp_tx_error, for a packet that may be answered */
void icmp6_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		    uint8_t code, uint32_t pointer);

#endif /* DEMI_NET_ICMP_H */
