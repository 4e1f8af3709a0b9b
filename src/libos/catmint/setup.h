/* SPDX-License-Identifier: MIT */
/*
 * The files that make and end connections on the network, among themselves: setup.c has ids and queue
 * pairs, connect.c who asks for a connection, accept.c who is asked, end.c the end, events.c who an event is for.
 */
#ifndef DEMI_LIBOS_CATMINT_SETUP_H
#define DEMI_LIBOS_CATMINT_SETUP_H

#include "libos/catmint/connection.h"

/** Why a connection is not taken: the first byte of a rejection's private data. */
enum refusal {
	REFUSED_BUSY = 1, /* try again */
	REFUSED_VERSION = 2,
	REFUSED_STRANGE = 3,
};

/** setup_count_opening - whether it is being set up or taken down: then events are looked at often */
void setup_count_opening(struct connection *connection, bool is_opening);

/** setup_create_id, setup_bind_id - an id; one with an address, or none. 0 or -errno */
int setup_create_id(struct connection *connection);
int setup_bind_id(struct connection *connection, struct sockaddr_storage *address);

/** setup_prepare - queue pair and first buffers of a connection that has an id; 0 or -errno */
int setup_prepare(struct connection *connection);

/** setup_make_hello - ours, MESSAGE_HELLO_BYTES */
void setup_make_hello(const struct connection *connection, unsigned char *hello);

/** setup_parameters - what goes to the connection manager; @hello stays the caller's */
struct rdma_conn_param setup_parameters(const struct connection *connection,
					const unsigned char *hello);

/** setup_meet - the peer's hello is known: messages may go */
void setup_meet(struct connection *connection, const struct message_hello *peer);

/** connect_ - the steps of a connect, as events bring them */
void connect_give_up(struct connection *connection, int error);
void connect_address_resolved(struct connection *connection);
void connect_route_resolved(struct connection *connection);
void connect_established(struct connection *connection, const struct rdma_cm_event *event);
void connect_rejected(struct connection *connection, const struct rdma_cm_event *event);

/** accept_requested - somebody asks a listener; accept_established - and knows our answer */
void accept_requested(struct connection *listener, const struct rdma_cm_event *event);
void accept_established(struct connection *connection);

/** end_disconnected - the peer has ended it, or the device */
void end_disconnected(struct connection *connection);

#endif /* DEMI_LIBOS_CATMINT_SETUP_H */
