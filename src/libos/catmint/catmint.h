/* SPDX-License-Identifier: MIT */
/*
 * Catmint: the libOS over RDMA. The device does the transport; here is what it lacks: buffers, flow
 * control, connections with the life that sockets have.
 *
 * One device context, protection domain and completion queue serve all connections of a runtime. What
 * is pushed is sent from where it lies, and what is received is handed to the application where the
 * device has put it. A sender never has more messages under way than the receiver has buffers for
 * (credits), so that the device never finds none.
 *
 * Source: Zhang et al., "The Demikernel Datapath OS", SOSP 2021, section 6.2.
 */
#ifndef DEMI_LIBOS_CATMINT_CATMINT_H
#define DEMI_LIBOS_CATMINT_CATMINT_H

#include "base/clock.h"
#include "base/container.h"
#include "heap/buf.h"
#include "libos/catmint/pool.h"
#include "libos/catmint/table.h"
#include "libos/libos.h"
#include "rdma/rdma.h"

struct catmint;
struct connection;
struct dgrams;
struct send;

/** Receive buffers that are posted together. */
#define CATMINT_RECEIVES_AT_ONCE 16u

/** What the configuration asks for, as far as the device has it. */
struct catmint_limits {
	uint32_t receive_bytes;   /* of a receive buffer: header and payload */
	uint32_t receive_buffers; /* that busy connections share */
	uint32_t receives_max;    /* buffers that the device may have at a time */
	uint32_t credits_min;     /* of each connection */
	uint32_t credits_max;     /* of a busy one */
	uint32_t send_depth;      /* requests of one connection */
	uint32_t signal_every;    /* so many of a connection's requests at the most tell nothing */
	uint32_t sends_max;       /* that tell, of all connections */
	uint32_t sends_quiet;     /* with more under way each tells */
	uint32_t copy_bytes;      /* a message's payload that is copied into its request */
	uint32_t inline_bytes; /* of a request, with the header, that the device copies; 0: none */
	uint32_t pieces_max;   /* runs of memory of one request */
	uint32_t large_bytes;  /* of a message that the peer reads */
	uint64_t large_ahead_bytes; /* of large messages that a peer is told of at a time */
	uint32_t reads_max;         /* that a connection has under way */
	uint32_t connections_max;
	uint32_t datagram_buffers;  /* of each datagram socket */
	uint32_t datagrams_waiting; /* while their destination is looked for, each */
	uint64_t connect_timeout_ns;
	uint64_t close_timeout_ns;
	uint64_t keepalive_ns; /* 0: none */
};

/* Everything that is counted. */
#define CATMINT_COUNTERS(X)                                                                          \
	X(connections_opened)                                                                        \
	X(connections_refused) /* by us: no room, or not of our kind */                              \
	X(connections_failed)                                                                        \
	X(messages_sent)                                                                             \
	X(messages_received)                                                                         \
	X(bytes_sent)                                                                                \
	X(bytes_received)                                                                            \
	X(large_sent)                                                                                \
	X(large_received)                                                                            \
	X(copied_bytes)    /* of pushes: short, foreign, or in more pieces than a request takes */   \
	X(credit_writes)   /* counters that went by a write of their own */                          \
	X(credit_waits)    /* pushes that waited for credits */                                      \
	X(buffers_missing) /* the heap had no memory for a receive buffer */                         \
	X(probes)                                                                                    \
	X(datagrams_sent)                                                                            \
	X(datagrams_received)                                                                        \
	X(datagrams_dropped)                                                                         \
	X(datagrams_strange) /* what was received is none of Catmint's, or its source is not true */ \
	X(datagrams_refused) /* destinations where nobody had the port */                            \
	X(datagram_parts_sent)                                                                       \
	X(datagram_parts_received)                                                                   \
	X(datagram_resolutions)

struct catmint_counters {
#define CATMINT_COUNTER(name) uint64_t name;
	CATMINT_COUNTERS(CATMINT_COUNTER)
#undef CATMINT_COUNTER
};

/** Whom an event of a connection's set-up is for; the context of an rdma_cm_id. */
struct cm_target {
	/* @event has been acknowledged: it and its private data are copies, the id may be destroyed. */
	void (*handle)(struct cm_target *self, const struct rdma_cm_event *event);
};

/** Lists of connections with something to be done, that a connection can be on, each once. */
enum connection_list {
	LIST_FLUSHING, /* has a chain for the device */
	LIST_OWING,    /* the peer waits for counters */
	LIST_WATCHING, /* waits for counters of the peer's */
	LIST_HUNGRY,   /* found no memory for receive buffers, or for a large message */
	LIST_STARVED,  /* a listener whose accept found no descriptor */
	LIST_DOOMED,   /* the device says that it has failed; see device_events */
	LIST_DYING,
	CONNECTION_LISTS
};

/** Of what a runtime has to do in its next round: buffers are missing in the shared queue. */
#define CATMINT_REFILL (1u << CONNECTION_LISTS)

struct catmint {
	struct libos libos;
	struct queue_context *context;
	struct coroutine fast_path;
	struct catmint_limits limits;
	struct catmint_counters counters;

	/* The device; see device.h. */
	struct rdma *rdma;
	const struct rdma_ops *calls;
	struct ibv_context *verbs;
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq; /* NULL: each connection has a queue of its own */
	struct rdma_event_channel *events;
	struct sockaddr_storage source; /* of sockets that are not bound; AF_UNSPEC: by the route */
	unsigned int registrar;         /* of the heap's regions; handles are struct ibv_mr * */
	uint32_t unacked_events;        /* of the completion channel */
	uint8_t port;
	bool is_port_down; /* or was, when what completes now failed; see device_events */
	bool is_port_back;
	bool is_registered;
	bool is_short;         /* the device has refused memory, and that has been said */
	bool is_armed;         /* the next completion wakes */
	int failure;           /* -errno: the device is gone; 0: it is there */
	int doom;              /* likewise, as soon as the device has said so */
	int wake_fd;           /* an epoll set: events, and what the device tells by itself */
	uint64_t events_at_ns; /* when to look at those next */

	/* Counters of this side's senders, which peers write to. */
	uint64_t *words;
	struct ibv_mr *words_mr;
	uint32_t *free_words; /* a stack */
	uint32_t free_word_count;

	/* Requests; see send.h. */
	struct send *free_sends;
	unsigned int
		short_flags; /* of a message that is copied: whether the device copies it too */
	struct send_slab *slabs;
	struct pool pool; /* of receive buffers */
	/* Chained for good; who posts fewer of them ends the chain, and mends it. */
	struct ibv_recv_wr receive_requests[CATMINT_RECEIVES_AT_ONCE];
	struct ibv_sge receive_pieces[CATMINT_RECEIVES_AT_ONCE];
	/* That the device has or gets: each comes back with a completion when its queue pair fails. */
	uint32_t sends;
	uint32_t lasts;    /* of these SEND_LAST */
	uint32_t receives; /* buffers that the device has */
	/* Of these in the shared queue: no connection's. Below 0: so many that connections count on a peer
	 * has taken who had no credit. */
	int32_t spare;
	uint32_t dry; /* connections whose peer can send nothing */

	struct pair_table table;        /* of connections */
	struct connection *connections; /* all, through all_next */
	uint32_t connection_count;
	uint32_t share; /* receive buffers that one of them may have when it is busy */
	struct connection *lists[CONNECTION_LISTS];
	uint32_t busy; /* bit: enum connection_list, which is not empty; CATMINT_REFILL */
	uint32_t listeners;
	uint32_t opening; /* connections being set up or taken down: look at events often */
	uint32_t naps;    /* in a row */
	struct timer keepalive;

	struct dgrams *dgrams; /* datagram sockets; NULL: there was none yet */
};

extern const struct libos_ops catmint_ops;

static inline struct catmint *catmint_of(struct libos *libos)
{
	return (struct catmint *)libos;
}

/** catmint_collects - whether what is pushed now waits for more of it */
static inline bool catmint_collects(const struct catmint *mint)
{
	return mint->context->ops.fresh.head != NULL;
}

static inline void catmint_complete(const struct catmint *mint, struct op *op, int error)
{
	op_complete(&mint->context->ops, op, error);
}

/** catmint_lkey - the device's key for memory of the heap, up to @bytes_out from there */
static inline uint32_t catmint_lkey(const struct catmint *mint, const void *memory,
				    size_t *bytes_out)
{
	const struct ibv_mr *mr = (const struct ibv_mr *)heap_handle(
		mint->context->heap, mint->registrar, memory, bytes_out);

	return mr->lkey;
}

/** catmint_start_probes - there is a connection: look now and then whether its peer is silent */
void catmint_start_probes(struct catmint *mint);

/** catmint_drain - handle completions until there are none; returns how many there were */
unsigned int catmint_drain(struct catmint *mint);

/** catmint_socket - the libOS's socket: a connection or datagrams; -ENOTSUP for all others */
int catmint_socket(struct libos *libos, struct queue **queue_out, int domain, int type,
		   int protocol);

#endif /* DEMI_LIBOS_CATMINT_CATMINT_H */
