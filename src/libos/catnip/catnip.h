/* SPDX-License-Identifier: MIT */
/*
 * Catnip: the libOS over a network stack of our own (src/net) and a device that it alone has
 * (src/netdev). What is received is handed to the application where the device has put it, and
 * what is pushed is sent from where it lies.
 *
 * One coroutine polls: the device and then all that it brought, up to the pops that complete.
 * What a push sends goes to the device at once, unless other results of the same poll round are
 * still to be handed out: then it is collected with the answers to those, and goes with the next
 * round (catnip_send_soon).
 */
#ifndef DEMI_LIBOS_CATNIP_CATNIP_H
#define DEMI_LIBOS_CATNIP_CATNIP_H

#include "libos/libos.h"
#include "net/capture.h"
#include "net/net.h"

struct ping;
struct push;
struct stream;
struct stream_slab;

struct catnip {
	struct libos libos;
	struct queue_context *context;
	struct coroutine fast_path;
	struct netdev *device;
	struct net *net;
	unsigned int looks;      /* at the device in one turn, when it has nothing */
	struct capture *capture; /* NULL: none */
	/* Requests of pushes that wait for the device; see push.h. */
	struct push *pushes;
	struct push *free_pushes;
	uint32_t pushes_waiting;
	uint32_t naps;          /* in a row */
	struct ping *pings;     /* sockets for echoes; ping.h */
	struct stream *starved; /* listeners: see stream_retry_accepts */
	/* The pool of streams; see stream_pool.c. */
	struct stream_slab *stream_slabs;
	struct stream *free_streams;
};

extern const struct libos_ops catnip_ops;

/** catnip_socket - the libOS's socket: a queue for datagrams or a stream; -ENOTSUP for all others */
int catnip_socket(struct libos *libos, struct queue **queue_out, int domain, int type,
		  int protocol);

static inline struct catnip *catnip_of(struct libos *libos)
{
	return (struct catnip *)libos;
}

/** catnip_collects - whether what is pushed now waits for more of it */
static inline bool catnip_collects(const struct catnip *catnip)
{
	return catnip->context->ops.fresh.head != NULL;
}

#endif /* DEMI_LIBOS_CATNIP_CATNIP_H */
