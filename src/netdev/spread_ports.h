/* SPDX-License-Identifier: MIT */
/*
 * Which of the runtimes that share a device has which port, and to whom a packet goes.
 *
 * Every flow has a home: one of the slots of runtimes, by a hash under a secret. A connection that a
 * runtime opens gets a local port with which it is at home there, so that nothing needs to be known of
 * it. What a runtime binds, and what it has of flows that are at home elsewhere, it claims: packets to a port
 * go to the first one from the home on around that has bound it, and to the home when nobody has. Who finds
 * nothing of his in a packet passes it on: to those with such flows, to the home, and, where a connection
 * might begin or there are none, to all who have bound the port. So it reaches the right one whatever was
 * bound and given back since the flow began, and nobody answers for another.
 *
 * Claims are read on the path of a packet and written when ports are bound and given back.
 */
#ifndef DEMI_NETDEV_SPREAD_PORTS_H
#define DEMI_NETDEV_SPREAD_PORTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"

/** Runtimes that share a device, at most: bits of a word. */
#define SPREAD_SLOTS_MAX 64u

enum spread_protocol { SPREAD_UDP, SPREAD_TCP, SPREAD_PROTOCOLS };

/** A flow, as we see it. */
struct spread_flow {
	struct ip_address local, remote;
	uint16_t local_port, remote_port;
	uint8_t protocol; /* enum spread_protocol */
	bool opens;       /* of a frame: it may begin a connection */
};

/** Of one port of one protocol: bits are slots. */
struct spread_claims {
	uint64_t bound;  /* have sockets that are bound to it */
	uint64_t shares; /* of these, those that let others bind it too (SO_REUSEPORT) */
	uint64_t flows;  /* have flows that are not at home there */
};

/** Of a device; shared by its runtimes. */
struct spread_ports {
	uint32_t slots; /* that flows have their homes in */
	uint64_t secret;
	pthread_mutex_t mutex;        /* for writers */
	struct spread_claims *claims; /* [SPREAD_PROTOCOLS * 65536] */
};

/** What one runtime has claimed, by port; its own alone. */
struct spread_holdings {
	uint32_t *bound; /* [SPREAD_PROTOCOLS * 65536]: sockets */
	uint32_t *flows; /* likewise: flows that are not at home */
};

/** spread_ports_init - no claims; @slots: 1 to SPREAD_SLOTS_MAX. 0 or -ENOMEM */
int spread_ports_init(struct spread_ports *ports, uint32_t slots, uint64_t secret);
void spread_ports_fini(struct spread_ports *ports);

/** spread_holdings_init - nothing is held; 0 or -ENOMEM */
int spread_holdings_init(struct spread_holdings *holdings);

/** spread_holdings_fini - give back what is held, and the memory */
void spread_holdings_fini(struct spread_holdings *holdings, struct spread_ports *ports,
			  uint32_t slot);

/** spread_home - the slot of a flow */
uint32_t spread_home(const struct spread_ports *ports, const struct spread_flow *flow);

/**
 * spread_ports_bind - one socket more of @slot is bound to a port
 * @shares: whether others may bind it too, who say so as well
 *
 * Return: 0; -EADDRINUSE: another runtime has it.
 */
int spread_ports_bind(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
		      enum spread_protocol protocol, uint16_t port, bool shares);
void spread_ports_unbind(struct spread_ports *ports, struct spread_holdings *holdings,
			 uint32_t slot, enum spread_protocol protocol, uint16_t port);

/** spread_ports_enter, spread_ports_leave - one flow more, one less, that is not at home where it is */
void spread_ports_enter(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
			enum spread_protocol protocol, uint16_t port);
void spread_ports_leave(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
			enum spread_protocol protocol, uint16_t port);

/** spread_is_bound_elsewhere - whether another slot has a socket that is bound to it */
bool spread_is_bound_elsewhere(const struct spread_ports *ports, uint32_t slot,
			       enum spread_protocol protocol, uint16_t port);

/**
 * spread_next - who is given a packet of a flow
 * @present: the slots that have a runtime; @tried: those that have had it
 *
 * Return: a slot; SPREAD_SLOTS_MAX: all who could have it have had it.
 */
uint32_t spread_next(const struct spread_ports *ports, const struct spread_flow *flow,
		     uint64_t present, uint64_t tried);

/**
 * spread_parse - the flow that a frame belongs to
 *
 * false: it is for everybody: no TCP or UDP, to a group, a fragment, with extension headers, or nothing
 * that makes sense.
 */
bool spread_parse(struct spread_flow *flow, const void *frame, size_t length);

#endif /* DEMI_NETDEV_SPREAD_PORTS_H */
