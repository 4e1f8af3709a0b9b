/* SPDX-License-Identifier: MIT */
/*
 * A queue of Catnip's that is a TCP socket. stream.c is its life, stream_data.c what goes in and out,
 * stream_option.c its options, stream_pool.c its memory.
 *
 * TCP holds the connection with all that is under way in it; here are the operations that wait for
 * it. A push is known to TCP by its struct op, so that neither a push nor a pop allocates anything.
 */
#ifndef DEMI_LIBOS_CATNIP_STREAM_H
#define DEMI_LIBOS_CATNIP_STREAM_H

#include <sys/socket.h>

#include "libos/catnip/catnip.h"
#include "net/tcp/tcp.h"

enum stream_state {
	STREAM_OPEN, /* none of the following */
	STREAM_LISTENING,
	STREAM_CONNECTING, /* op is the connect */
	STREAM_CONNECTED,  /* or was: the connection may have ended */
	STREAM_CLOSING,    /* op is the close; no descriptor */
};

struct stream {
	struct queue queue;
	struct catnip *catnip;
	struct tcp_conn *conn;
	struct op_list inputs; /* pops; of a listener: accepts */
	struct op_list pushes; /* that TCP has not told of yet */
	union {
		struct op *op;
		struct stream *starved_next; /* of a listener: see stream_retry_accepts */
		struct stream *free_next;    /* in the pool */
	};
	int send_buffer_bytes; /* SO_SNDBUF: what was set; nothing is copied here to be sent */
	uint16_t error;        /* positive errno that has ended the connection; 0: none known of */
	uint8_t state;         /* enum stream_state */
	bool write_shut : 1;   /* no push any more */
	bool is_starved : 1;
	bool broadcast : 1; /* SO_BROADCAST: likewise */
};

/* Together with a connection that is idle it takes no more than 1 KiB. */
_Static_assert(sizeof(struct stream) <= 80, "a stream is small");

static inline struct stream *stream_of(struct queue *queue)
{
	return (struct stream *)queue;
}

static inline void stream_complete(const struct stream *stream, struct op *op, int error)
{
	op_complete(&stream->catnip->context->ops, op, error);
}

/**
 * stream_send - what TCP has made goes to the device
 * @collects: catnip_collects, before anything was completed: it goes with what else is to be sent
 */
static inline void stream_send(const struct catnip *catnip, bool collects)
{
	if (!collects)
		net_flush(catnip->net);
}

/** stream_alloc - one without a connection, of a pool that grows by slabs; NULL: out of memory */
struct stream *stream_alloc(struct catnip *catnip);
void stream_free(struct stream *stream);

/** stream_pool_destroy - all streams have been freed */
void stream_pool_destroy(struct catnip *catnip);

/** stream_create - an unbound socket of one domain; 0, -ENOBUFS (tcp.connections_max) or -ENOMEM */
int stream_create(struct catnip *catnip, struct queue **queue_out, bool is_v6);

/**
 * stream_retry_accepts - let accepts try again that found no descriptor for their connection
 *
 * Each poll round, as long as there are any: somebody may have made room.
 */
void stream_retry_accepts(struct catnip *catnip);

/* ---- stream_data.c ---- */

/** stream_push, stream_pop - the queue's operations on data */
int stream_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		const struct sockaddr *address, socklen_t length);
int stream_pop(struct queue *queue, struct op *op);

/** stream_received, stream_ended, stream_pushed - of struct tcp_events; @owner is the stream */
bool stream_received(void *owner, struct buf *buf);
void stream_ended(void *owner, int error);
void stream_pushed(void *owner, void *push, int error);

/** stream_end_pops - nothing will come any more: complete those that wait with the end, or @error */
void stream_end_pops(struct stream *stream, int error);

/* ---- stream_option.c ---- */

/**
 * stream_set_option, stream_get_option - setsockopt(2), getsockopt(2)
 *
 * Return: 0; -ENOTSUP (level); -ENOPROTOOPT (option, or not for this direction or domain); -EINVAL
 * (value or length); what the option's function says.
 */
int stream_set_option(struct queue *queue, int level, int name, const void *value,
		      socklen_t length);
int stream_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length);

#endif /* DEMI_LIBOS_CATNIP_STREAM_H */
