/* SPDX-License-Identifier: MIT */
/*
 * UDP: sockets by local port, received datagrams to the application without a copy, what is pushed
 * to the device by reference (RFC 768, RFC 1122 section 4.1, RFC 8085). Knows nothing of libOSes:
 * the owner of a socket is told of datagrams and errors by its callbacks.
 *
 * udp.c receives, udp_port.c knows who has which port and group, udp_tx.c sends.
 */
#ifndef DEMI_NET_UDP_H
#define DEMI_NET_UDP_H

#include <demi/types.h>

#include "net/ip.h"
#include "netdev/spread.h"
#include "wire/quoted.h"

#define UDP_PAYLOAD_BYTES_MAX 65507u    /* over IPv4: 65,535 without both headers */
#define UDP_PAYLOAD_BYTES_MAX_V6 65527u /* over IPv6, whose length is without its header */

/** Groups that one socket can join. */
#define UDP_GROUPS_MAX 8u

struct udp_socket;

struct udp_socket_ops {
	/*
	 * A datagram has come, and none is queued: @buf is one buf of the application's now
	 * (heap_free_buf semantics), next is NULL, data and length are the payload, source is of
	 * the socket's domain. An empty datagram has length 0. Return: false when the owner does
	 * not want it now; it stays udp's then, which queues or drops it. Required.
	 */
	bool (*received)(struct udp_socket *socket, struct buf *buf);
	/* An ICMP error about a datagram to the connected peer: positive errno. Required. */
	void (*failed)(struct udp_socket *socket, int error);
	/*
	 * The same of a socket that receives errors, about a datagram to anybody: @report is one
	 * buf of the application's, a struct sock_extended_err (linux/errqueue.h); its source is
	 * where the datagram went. Required with receives_errors.
	 */
	void (*reported)(struct udp_socket *socket, int error, struct buf *report);
};

/** Headers of a datagram, as one copy: see udp_fast.h. */
#define UDP_HEADERS_BYTES 80u

struct udp_headers {
	uint32_t generation;  /* of the stack when they were made; 0: there are none */
	uint32_t payload_max; /* bytes that may follow */
	uint16_t port;        /* the destination's; its address is the path's */
	uint64_t
		socket_address; /* the destination as a struct sockaddr_in begins; of IPv6 no use */
	uint8_t length;         /* of the headers, which stand at the end of bytes */
	bool is_v6;
	bool device_completes; /* the checksum */
	bool is_fragmentable;  /* IPv4, which routers may fragment: each has a number of its own */
	uint64_t ip_sum;       /* of IPv4's header without length, number and checksum */
	uint64_t pseudo_sum;   /* of the pseudo header without length */
	uint64_t udp_sum;      /* of that and the UDP header without length and checksum */
	uint8_t bytes[UDP_HEADERS_BYTES];
};

/** How datagrams to groups of one version go out. */
struct udp_multicast {
	struct ip_address source; /* of a socket that is bound to none; unspecified: the best one */
	uint8_t hop_limit;        /* 0: they stay here */
	bool loop;                /* to ourselves too, as far as we are members */
};

/** A socket; storage of the owner, who sets options and reads the rest. */
struct udp_socket {
	const struct udp_socket_ops *ops;
	struct net *net;
	struct udp_socket *next; /* with the same local port */
	struct ip_address local; /* unspecified of its version: every address of ours */
	struct ip_address peer;  /* connected: nothing else is received */
	uint16_t local_port;     /* 0: not bound */
	uint16_t peer_port;      /* 0: not connected */
	bool is_v6;              /* domain; IPv4's addresses are mapped ones for it */
	bool port_chosen;        /* by us, when it was needed; so is address_chosen, by connect */
	bool address_chosen;
	/* Options; the first three are set before it is bound. */
	bool v6_only;
	bool reuse_address;   /* SO_REUSEADDR: several may listen to the same group and port */
	bool reuse_port;      /* SO_REUSEPORT: several share what comes, by source */
	bool broadcast;       /* SO_BROADCAST */
	bool receives_errors; /* IP_RECVERR, IPV6_RECVERR */
	uint8_t hop_limit;    /* 0: the default */
	uint8_t traffic_class;
	uint8_t mtu_discover; /* IP_PMTUDISC_*: DO and PROBE set dont_fragment, WANT atomic */
	struct udp_multicast multicast_v4, multicast_v6;
	struct path path;           /* to the last destination */
	struct udp_headers headers; /* to the same */
	/* Received and not yet taken. */
	struct buf *queue_head, *queue_tail; /* through next */
	uint32_t queue_bytes;                /* of memory, not of payload */
	uint32_t queue_bytes_max;
	uint64_t queue_drops;
	struct ip_address groups[UDP_GROUPS_MAX]; /* joined */
	uint32_t group_count;
};

/** udp_multicast_of - what the socket says of datagrams to this group */
static inline const struct udp_multicast *udp_multicast_of(const struct udp_socket *socket,
							   const struct ip_address *group)
{
	return ip_address_is_v4(group) ? &socket->multicast_v4 : &socket->multicast_v6;
}

/**
 * udp_path_source - the source of what goes along socket->path when the socket has no address: the
 * path's, or the one that was chosen for groups, while it is ours
 */
const struct ip_address *udp_path_source(const struct udp_socket *socket);

int udp_create(struct net *net); /* sets net->udp; 0 or -ENOMEM */
void udp_destroy(struct net *net);

/** udp_fail - the device is gone: tell all that are bound; @error: positive errno */
void udp_fail(struct net *net, int error);

/** udp_socket_init - not bound, not connected; queue_bytes_max is options.socket_bytes_max */
void udp_socket_init(struct udp_socket *socket, struct net *net, const struct udp_socket_ops *ops,
		     bool is_v6);

/** udp_socket_fini - unbind, leave its groups, drop what is queued */
void udp_socket_fini(struct udp_socket *socket);

/**
 * udp_bind - @port 0: one that is free, random ones first (RFC 6056, algorithm 1)
 * @address: of ours, unspecified, loopback, a group or broadcast
 *
 * Two sockets can have the same port when their addresses differ and neither is unspecified, or
 * one is for IPv4 and the other for IPv6 alone, or both say reuse_address, or both reuse_port.
 * Return: 0; -EINVAL (bound already; an IPv4 address with v6_only), -EAFNOSUPPORT (an IPv6 address
 * on an IPv4 socket), -EADDRNOTAVAIL, -EADDRINUSE (also: no port is free).
 */
int udp_bind(struct udp_socket *socket, const struct ip_address *address, uint16_t port);

/**
 * udp_connect - set the peer, or another one
 *
 * An unspecified peer is ourselves. A socket that is not bound gets a port by the secret (RFC 6056,
 * algorithm 3), one without an address the source address of the path.
 * Return: 0; -EINVAL (port 0), -EAFNOSUPPORT, -EACCES (broadcast without the option),
 * -EADDRINUSE, -ENETUNREACH (also: of another version than the bound address), and path_find's.
 */
int udp_connect(struct udp_socket *socket, const struct ip_address *peer, uint16_t port);

/** udp_disconnect - forget the peer, and the address and port that were not asked for */
void udp_disconnect(struct udp_socket *socket);

/**
 * udp_join, udp_leave - receive what is sent to a group and the socket's port
 *
 * Return: 0; -EINVAL (not a group), -EADDRINUSE (joined already), -ENOBUFS (too many of the socket
 * or of all), the device's error; -EADDRNOTAVAIL (not joined).
 */
int udp_join(struct udp_socket *socket, const struct ip_address *group);
int udp_leave(struct udp_socket *socket, const struct ip_address *group);

/** udp_take - the datagram received first, the application's; NULL: none */
struct buf *udp_take(struct udp_socket *socket);

/**
 * udp_tx - send @sga as one datagram
 * @sga: checked, no operation holds it yet; up to options.copy_max bytes are copied, more goes by
 *   reference, unless a part is not the heap's or the device takes no chains
 * @peer: NULL: the connected one, then @port means nothing
 * @done: told once when the device is done with the memory, but not before the return, and only
 *   if *@waits_out says so: it is false after errors, and when everything was copied or is done
 *   with already. NULL: nobody is told
 *
 * One segment that lies in a received frame, at the place where its payload started or before, has
 * its headers written in front of it, when nobody else has that frame in hand. A socket that is
 * not bound gets a port.
 * Return: 0; -EINVAL (port 0, no bytes), -EDESTADDRREQ (no peer), -EMSGSIZE, -EAFNOSUPPORT,
 * -EACCES (broadcast without the option), -EADDRINUSE (no port is free), -EADDRNOTAVAIL (the
 * socket's address is ours no more), -ENETUNREACH, -EHOSTUNREACH, -ENOBUFS. Drops are counted.
 */
int udp_tx(struct udp_socket *socket, const demi_sgarray_t *sga, const struct ip_address *peer,
	   uint16_t port, struct buf_done *done, bool *waits_out);

/** udp_rx - a datagram; ownership of @buf passes */
void udp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf);

/**
 * udp_error - an ICMP error about what @quoted says that we have sent
 * @error: positive errno for the socket that is connected so, or receives errors and is not connected;
 *   EMSGSIZE only if it does not let its datagrams be fragmented; 0: none, only the answer counts
 * @mtu: for EMSGSIZE: what the path can carry
 *
 * Return: whether there is a socket that can have sent it.
 */
bool udp_error(struct net *net, const struct quoted_packet *quoted, int error, uint32_t mtu);

/* ---- What the three files share ---- */

#define UDP_PORTS 65536u

struct udp_table {
	struct udp_socket *ports[UDP_PORTS]; /* by local port; linked by next */
	uint64_t queue_bytes;                /* of all sockets */
	uint64_t queue_bytes_max;
	uint16_t port_counter; /* RFC 6056, algorithm 3: next_ephemeral */
};

/** udp_autobind - bind a socket that is not bound to a free port, for @peer if it is not NULL; -errno */
int udp_autobind(struct udp_socket *socket, const struct ip_address *peer, uint16_t peer_port);

/**
 * udp_find_path - make socket->path the way to a destination
 *
 * Return: 0; -EAFNOSUPPORT, -ENETUNREACH (an IPv4 one with v6_only), -EACCES, and path_find's.
 */
int udp_find_path(struct udp_socket *socket, const struct ip_address *destination);

/** udp_unbind - give its port back; one that is not bound stays so */
void udp_unbind(struct udp_socket *socket);

/** udp_takes_version - whether a socket receives packets of this version at its address */
static inline bool udp_takes_version(const struct udp_socket *socket, bool is_v6)
{
	if (is_v6)
		return socket->is_v6 && !ip_address_is_v4(&socket->local);
	return !socket->is_v6 || ip_address_is_v4(&socket->local) ||
	       (!socket->v6_only && ip_address_is_unspecified(&socket->local));
}

/** udp_has_joined - whether the socket itself has */
static inline bool udp_has_joined(const struct udp_socket *socket, const struct ip_address *group)
{
	for (uint32_t i = 0; i < socket->group_count; i++) {
		if (ip_address_equal(&socket->groups[i], group))
			return true;
	}
	return false;
}

#endif /* DEMI_NET_UDP_H */
