/* SPDX-License-Identifier: MIT */
/*
 * A queue of Catmint's that is a socket of the type SOCK_DGRAM, and what all of a runtime share.
 *
 * A socket that is bound has a queue pair of the type UD, with receive buffers of its own, and an id of
 * the connection manager's that tells peers its number. datagram.c is its life as a queue,
 * datagram_bind.c its address, datagram_option.c its options, datagram_pair.c the queue pair,
 * datagram_push.c what goes out, datagram_input.c what comes in, datagram_known.c where it goes,
 * datagram_seek.c how that is found and datagram_wait.c what waits for it, datagram_all.c what is
 * shared.
 *
 * Nothing here is reliable: what finds no buffer is gone, as with UDP, and nobody is told.
 */
#ifndef DEMI_LIBOS_CATMINT_DATAGRAM_H
#define DEMI_LIBOS_CATMINT_DATAGRAM_H

#include "libos/catmint/catmint.h"
#include "libos/catmint/datagram_parts.h"
#include "libos/catmint/destination.h"
#include "libos/catmint/message.h"
#include "libos/catmint/send.h"
#include "wire/address.h"

#define DGRAM_BYTES_MAX 65507u    /* as UDP over IPv4 has it */
#define DGRAM_BYTES_MAX_V6 65527u /* and over IPv6 */
#define DGRAM_GRH_BYTES 40u /* in front of what is received, whether there is a header or not */

/** Peers that are known at a time; a power of two. */
#define DGRAM_DESTINATIONS_MAX 4096u
/** Of a wr_id: a receive buffer of a datagram socket's. Beside the bit that all receives have. */
#define DGRAM_WR_ID 2u

/** How the device gets to an address: shared by all destinations there, and held by sends. */
struct address_handle {
	struct address_handle *next, **link; /* NULL: a newer one has taken its place */
	struct ip_address local, remote;
	struct ibv_ah *ah;
	uint64_t made_ns;
	uint32_t users;
};

#define DGRAM_HANDLE_BUCKETS 256u

/** What the datagram sockets of a runtime share. */
struct dgrams {
	struct catmint *mint;
	struct dgram_socket *sockets;
	struct dgram_pair *pairs;  /* all, those that end too */
	struct dgram_pair *work;   /* those with something to be done each round */
	struct dgram_pair *recent; /* that received last */
	struct pair_table table;
	uint32_t takes;        /* bytes that we take in one packet, the header among them */
	uint32_t inline_bytes; /* of a request, with the header, that the device copies; 0: none */
	uint32_t buffers_max;  /* that a queue pair can have */
	bool has_ip_header;    /* what comes shows who sent it: the port is Ethernet's */
	struct destination_table destinations;
	struct destination *seeking; /* through seeking_next */
	struct address_handle *handles[DGRAM_HANDLE_BUCKETS];
	struct parts *parts;
	struct timer timer; /* of parts */
};

/** A queue pair, which may live on when its socket is gone, until the device has given all back. */
struct dgram_pair {
	struct dgrams *dgrams;
	struct dgram_socket *socket; /* NULL: it ends */
	struct ibv_qp *qp;
	struct dgram_pair *all_next, **all_link;
	struct dgram_pair *work_next;
	bool in_work;
	bool is_doomed;    /* it has failed, the device says */
	bool is_stopped;   /* in the state of error: the device gives everything back */
	uint32_t buffers;  /* that the device is to have */
	uint32_t receives; /* and has */
	uint32_t in_chain, posted_count;
	uint32_t sought_count;    /* datagrams whose destinations are being looked for */
	uint32_t number;          /* of the next datagram that goes in parts */
	uint16_t port;            /* of the socket */
	struct send_list waiting; /* for room in the queue */
	struct send_list chain, posted;
};

/** Options that can be set and read, and on which nothing depends. */
struct dgram_options {
	struct linger linger;
	int send_buffer_bytes;
	int hop_limit, traffic_class, mtu_discover;
	bool keep_alive, reuse_port;
};

struct dgram_socket {
	struct queue queue;
	struct dgrams *dgrams;
	struct cm_target target;
	struct rdma_cm_id *id;   /* bound, and listening; NULL: it is not bound */
	struct dgram_pair *pair; /* NULL: it is not bound, or there was no room for a new one */
	struct dgram_socket *next, **link;
	bool is_v6 : 1;
	bool v6_only : 1;
	bool reuse_address : 1;
	bool broadcast : 1;
	struct ip_address bound; /* all zero: to every address */
	struct ip_address local; /* that getsockname tells: bound, or what a connect has chosen */
	uint16_t port;           /* 0: not bound */
	uint16_t peer_port;      /* 0: not connected */
	struct ip_address peer;
	struct destination *recent; /* whose datagram went or came last; look at its key */
	int error;                  /* positive errno of an earlier datagram; told once */
	uint32_t users;             /* pushes that are pending, and who must not lose it just now */
	struct op_list pops;
	struct op *close_op;   /* waits for pushes; the socket has no descriptor any more */
	struct op *connect_op; /* waits for the address of ours that leads to the peer */
	struct destination *connecting;
	struct ip_address connect_ip;
	uint16_t connect_port;
	struct buf *arrived, *arrived_tail;
	uint32_t arrived_count, arrived_bytes;
	uint32_t arrived_bytes_max; /* SO_RCVBUF */
	struct dgram_options options;
};

static inline struct dgram_socket *dgram_socket_of(struct queue *queue)
{
	return (struct dgram_socket *)queue;
}

static inline void dgram_complete(const struct dgram_socket *socket, struct op *op, int error)
{
	catmint_complete(socket->dgrams->mint, op, error);
}

/* ---- datagram_all.c ---- */

/** dgrams_get - what sockets share, made for the first one; 0 or -errno */
int dgrams_get(struct catmint *mint, struct dgrams **dgrams_out);

/** dgrams_destroy - the sockets are closed, and the device has nothing any more; NULL is allowed */
void dgrams_destroy(struct dgrams *dgrams);

/** dgrams_run - flush, post buffers, end what is over: each round, while there is work */
void dgrams_run(struct dgrams *dgrams);

/** dgrams_close - the runtime stops: sockets whose close still waits end at once */
void dgrams_close(struct dgrams *dgrams);

/** dgrams_end - and then: give up the queue pairs that are left, whatever the device has of them */
void dgrams_end(struct dgrams *dgrams);

/** dgrams_fail - the device is gone: everything that is pending ends with @error, a positive errno */
void dgrams_fail(struct dgrams *dgrams, int error);

/** dgrams_pair_failed - the device says that a queue pair has failed, which nothing else tells: in the next
 * round another one takes its place */
void dgrams_pair_failed(struct dgrams *dgrams, uint32_t number);

/** dgrams_watch_parts - something is put together: look at its time */
void dgrams_watch_parts(struct dgrams *dgrams);

/* ---- datagram_handle.c ---- */

/** handle_find - of one of our addresses to one of a peer's; NULL: there is none */
struct address_handle *handle_find(const struct dgrams *dgrams, const struct ip_address *local,
				   const struct ip_address *remote);

/** handle_add - @ah is the handle's now; an older one lives on while it is used. NULL: no memory */
struct address_handle *handle_add(struct dgrams *dgrams, const struct ip_address *local,
				  const struct ip_address *remote, struct ibv_ah *ah);

static inline struct address_handle *handle_hold(struct address_handle *handle)
{
	handle->users++;
	return handle;
}

/** handle_release - the last one destroys it */
void handle_release(struct dgrams *dgrams, struct address_handle *handle);

/* ---- datagram.c ---- */

/** dgram_create - an unbound socket; 0, -ENOMEM, or why nothing of its kind works here */
int dgram_create(struct catmint *mint, struct queue **queue_out, bool is_v6);

/** dgram_tell_error - an error of an earlier datagram: a pop that waits is told, or who comes next */
void dgram_tell_error(struct dgram_socket *socket, int error);

/** dgram_take_error - the error that is to be told, 0: none; it is told now */
int dgram_take_error(struct dgram_socket *socket);

/** dgram_connected - the connect has come to its end; @local: NULL: it is not known */
void dgram_connected(struct dgram_socket *socket, const struct ip_address *local, int error);

/** dgram_pushed - a push that was pending is complete. The socket may be gone after it. */
void dgram_pushed(struct dgram_socket *socket, struct op *op, int error);

/** dgram_release - one less has to do with it; one that was closed goes with the last of them */
void dgram_release(struct dgram_socket *socket);

/** dgram_broke - its queue pair has failed by itself: another one takes its place */
void dgram_broke(struct dgram_socket *socket);

/* ---- datagram_bind.c ---- */

/** dgram_bind_to - an id that listens, and a queue pair; 0 or -errno */
int dgram_bind_to(struct dgram_socket *socket, const struct ip_address *ip, uint16_t port);

/** dgram_ready - bound, if only to any address, and with a queue pair; 0 or -errno */
int dgram_ready(struct dgram_socket *socket);

/** dgram_unlisten - the port is free again; what was pushed still goes */
void dgram_unlisten(struct dgram_socket *socket);

/** dgram_unbind - the port is free again, and the queue pair ends */
void dgram_unbind(struct dgram_socket *socket);

/** dgram_own_address - an address of the device, of the version that @like has; false: there is none */
bool dgram_own_address(const struct dgrams *dgrams, const struct ip_address *like,
		       struct ip_address *ip_out);

/* ---- datagram_option.c ---- */

void dgram_option_init(struct dgram_socket *socket);

/** dgram_set_option, dgram_get_option - as datagram_set_option of Catnip's; groups: -EOPNOTSUPP */
int dgram_set_option(struct queue *queue, int level, int name, const void *value, socklen_t length);
int dgram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length);

/* ---- datagram_pair.c ---- */

/** dgram_pair_create - 0, -ENOBUFS (the device has buffers enough), -ENOMEM, or what the device says */
int dgram_pair_create(struct dgram_socket *socket, uint16_t port, struct dgram_pair **pair_out);

/** dgram_pair_send - a request, all of it filled in: it goes with the next flush, or when there is room */
void dgram_pair_send(struct dgram_pair *pair, struct send *send);

/** dgram_pair_flush - give the device what was sent */
void dgram_pair_flush(struct dgram_pair *pair);

/** dgram_pair_done - the device has done the request and all before it; or not, with the error */
void dgram_pair_done(struct send *last, enum ibv_wc_status status);

/** dgram_pair_drop - a request that will not go: it is freed, and its push complete with @error */
void dgram_pair_drop(struct send *send, int error);

/**
 * dgram_pair_bury - the socket has let go of it; pushes that are pending complete with @error
 *
 * Those that are complete still go, unless it is broken.
 */
void dgram_pair_bury(struct dgram_pair *pair, int error, bool is_broken);

/** dgram_pair_work - what there is to do for one on the list; whether it goes on it again */
bool dgram_pair_work(struct dgram_pair *pair);

/** dgram_pair_add_work - put it on the list, once */
void dgram_pair_add_work(struct dgram_pair *pair);

/** dgram_pair_free - whatever the device has it keeps */
void dgram_pair_free(struct dgram_pair *pair);

/* ---- datagram_fill.c ---- */

/** dgram_pair_fill - post receive buffers for those that have come back */
void dgram_pair_fill(struct dgram_pair *pair);

/* ---- datagram_push.c ---- */

int dgram_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
	       const struct sockaddr *address, socklen_t length);

/** dgram_dispatch - a whole datagram goes to a destination that is known, in parts if need be */
void dgram_dispatch(struct destination *destination, struct send *send);

/** dgram_cancel_push - -EBUSY: the device has some of it, or will */
int dgram_cancel_push(struct dgram_socket *socket, struct op *op);

/** dgram_load_peer - a destination that a program has given; 0 or -errno */
int dgram_load_peer(const struct dgram_socket *socket, const struct sockaddr *address,
		    socklen_t length, struct ip_address *ip, uint16_t *port);

/* ---- datagram_known.c ---- */

/** destination_get - the socket's way there: known, or being looked for; 0 or -errno */
int destination_get(struct dgram_socket *socket, const struct ip_address *ip, uint16_t port,
		    struct destination **destination_out);

/** destination_learn - a datagram has come from there, to our address @local: answers can go back */
void destination_learn(struct dgram_socket *socket, const struct ip_address *local,
		       const struct message_datagram *header, struct ibv_wc *wc,
		       struct ibv_grh *grh);

/** destination_room - bytes of payload that go there in one packet */
static inline uint32_t destination_room(const struct destination *destination)
{
	return destination->takes - MESSAGE_DATAGRAM_BYTES;
}

/* ---- datagram_seek.c ---- */

void destination_init_seek(struct destination *destination, struct dgrams *dgrams);

/** destination_seek - look for it, unless somebody does already; 0 or -errno: there is no way to it */
int destination_seek(struct destination *destination);

/** destination_found - it is known now; what waits goes */
void destination_found(struct destination *destination);

/** destination_set_handle - instead of the one that it has */
void destination_set_handle(struct destination *destination, struct address_handle *handle);

/** destination_forget - what waits for it is dropped, complete with @error */
void destination_forget(struct destination *destination, int error);

/* ---- datagram_wait.c ---- */

/** destination_wait - the datagram goes when the destination is known */
void destination_wait(struct destination *destination, struct send *send);

/** destination_take_waiting - the first that waits; NULL: none does */
struct send *destination_take_waiting(struct destination *destination);

/** destination_drop_all - drop what waits, pushes complete with @error */
void destination_drop_all(struct destination *destination, int error);

/** destination_drop_waiting - drop what waits of a queue pair, anywhere: all, or whose pushes are pending */
void destination_drop_waiting(struct dgrams *dgrams, const struct dgram_pair *pair, int error,
			      bool drops_all);

/** destination_cancel - drop it if it waits there, its push complete with ECANCELED; false: it does not */
bool destination_cancel(struct destination *destination, struct send *send);

/* ---- datagram_input.c ---- */

/** dgram_received - a receive buffer has come back, good or not */
void dgram_received(struct dgrams *dgrams, const struct ibv_wc *wc);

int dgram_pop(struct queue *queue, struct op *op);

/** dgram_discard - free what has arrived */
void dgram_discard(struct dgram_socket *socket);

#endif /* DEMI_LIBOS_CATMINT_DATAGRAM_H */
