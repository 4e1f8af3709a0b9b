/* SPDX-License-Identifier: MIT */
/*
 * A queue of Catmint's that is a connection, or listens for them: a socket of the type SOCK_STREAM.
 *
 * connection.c and close.c are its life as a queue, setup.h how it comes to be and ends on the network, push.c and
 * output.c what goes out, input.c what comes in, large.c what is too long for a receive buffer, credit.c the
 * receive buffers, option.c its options.
 *
 * Numbers of messages are counted from the connection's start and go round: they are compared by their
 * difference.
 */
#ifndef DEMI_LIBOS_CATMINT_CONNECTION_H
#define DEMI_LIBOS_CATMINT_CONNECTION_H

#include "libos/catmint/catmint.h"
#include "libos/catmint/message.h"
#include "libos/catmint/send.h"
#include "sched/timer_wheel.h"
#include "wire/address.h"

enum connection_state {
	CONNECTION_OPEN, /* none of the following */
	CONNECTION_LISTENING,
	CONNECTION_CONNECTING, /* op is the connect */
	CONNECTION_ACCEPTING,  /* by us, and the peer does not know yet; no descriptor */
	CONNECTION_CONNECTED,  /* or was: it may have ended */
	CONNECTION_CLOSING,    /* op is the aclose, or NULL; no descriptor */
	CONNECTION_DYING,      /* the device gives back what it has; no descriptor */
};

/** Options that can be set and read, and on which nothing depends. */
struct connection_options {
	int send_buffer_bytes, receive_buffer_bytes;
	int keep_idle_s, keep_interval_s, keep_probes;
	int user_timeout_ms;
	int segment_bytes; /* TCP_MAXSEG; 0: not set */
};

struct connection {
	struct queue queue;
	struct catmint *mint;
	struct cm_target target;
	struct rdma_cm_id *id; /* NULL: none */
	struct ibv_qp *qp;     /* NULL: none */
	struct connection *all_next, **all_link;
	struct connection *list_next[CONNECTION_LISTS];
	bool can_push;  /* connected, and nothing stands in the way */
	bool can_pop;   /* connected, and nothing has ended it from the peer's side or ours */
	uint8_t listed; /* bit: enum connection_list */
	uint8_t state;  /* enum connection_state */
	uint16_t error; /* positive errno that has ended it; 0: none known of */
	uint16_t untold_error; /* likewise, or of a connect, until SO_ERROR tells it */
	uint16_t doom;         /* likewise, that the device says and that is to be handled */
	bool is_v6 : 1;
	bool reuse_address : 1;
	bool v6_only : 1;
	bool keeps_alive : 1;
	bool reuse_port : 1;
	bool no_delay : 1;
	bool is_bound : 1;
	bool write_shut : 1; /* no push any more */
	bool read_shut : 1;  /* pops end */
	bool end_sent : 1;   /* the last message has been queued */
	bool end_done : 1;   /* the peer's device has it, and all before it */
	bool end_received : 1;
	bool resets : 1;          /* closed without waiting for anything */
	bool is_disconnected : 1; /* the device knows that it has ended */
	bool is_opening : 1;      /* counted in mint->opening */
	bool farewell : 1;        /* the peer is told that we have everything */
	bool peer_is_out : 1;     /* it has used all its credits since the window grew */
	struct connection_options options;
	int linger_s;                        /* SO_LINGER; -1: off */
	struct sockaddr_storage local;       /* bound to */
	struct sockaddr_storage destination; /* of the connect */
	uint64_t deadline_ns;                /* of the connect, of the close */
	struct op *op;
	struct op_list inputs; /* pops; of a listener: accepts */
	struct timer timer;    /* of the set-up and of the close */

	/* Of a listener. */
	struct connection *listener; /* whose backlog it is in or for; NULL: none */
	struct connection *backlog, *backlog_tail, *backlog_next;
	uint32_t backlog_count, backlog_max; /* those that are being accepted count */

	/* Out. */
	uint32_t sent;     /* messages */
	uint32_t allowed;  /* that may have been sent: the peer's grant */
	uint32_t in_chain; /* requests */
	uint32_t posted_count;
	uint32_t unsignalled; /* posted since one asked for a completion */
	bool last_posted;     /* of one that dies: the request that comes back last */
	bool chain_signals;   /* the last of the chain is to ask for one */
	bool other_posted;    /* of the unsignalled, not all are short */
	struct send_list waiting, chain, posted;
	struct send *large, *large_tail; /* that the peer has not read yet */
	uint64_t large_bytes;            /* that the peer has been told of and has not read */
	uint32_t peer_read;              /* of our large messages */
	uint32_t word;                   /* index of the one that the peer writes to */
	uint32_t short_max;              /* bytes of a message that is copied */
	uint64_t word_seen;              /* what was in it when it was last looked at */
	uint64_t header_seen;            /* counters of the last header, as they came */
	struct message_hello peer;

	/* In. */
	uint32_t granted, told;   /* messages that the peer may have sent; as far as it knows */
	uint32_t received;        /* messages */
	uint32_t consumed;        /* of these: popped, or of no use to anybody */
	uint32_t window;          /* granted - consumed at the most */
	uint32_t read, read_told; /* the peer's large messages */
	struct buf *arrived,
		*arrived_tail; /* in order; those with BUF_LARGE are still to be read */
	struct buf *unread;    /* the first with BUF_LARGE whose read has not begun */
	uint32_t ahead_bytes;  /* of large messages that nobody has popped */
	uint32_t reads;        /* requests under way */
	struct buf **ring;     /* without a shared queue: those that the device has, by number */
	uint32_t ring_mask;
	uint64_t heard_ns;
};

/** Of a buf among those that have arrived: it is a large message's notice; see large.c. */
#define BUF_LARGE 16u

static inline struct connection *connection_of(struct queue *queue)
{
	return (struct connection *)queue;
}

/** connection_by_number - whose queue pair it is; NULL: none's */
static inline struct connection *connection_by_number(const struct catmint *mint, uint32_t number)
{
	return (struct connection *)pair_table_find(&mint->table, number);
}

static inline void connection_complete(const struct connection *connection, struct op *op,
				       int error)
{
	catmint_complete(connection->mint, op, error);
}

/* ---- connection.c ---- */

/** connection_create - an unbound socket; 0, -ENOBUFS (catmint.connections_max), -ENOMEM, or why there is no
 * device any more */
int connection_create(struct catmint *mint, struct queue **queue_out, bool is_v6);

/** connection_make - a connection without a descriptor, in the list of all; NULL: out of memory */
struct connection *connection_make(struct catmint *mint, bool is_v6);

/** connection_free - it has neither id nor queue pair, and is on no list */
void connection_free(struct connection *connection);

/** connection_look - can_push and can_pop, after what they depend on has changed */
void connection_look(struct connection *connection);

/** connection_list_add, connection_list_remove - put it on a list, once; take it off */
void connection_list_add(struct connection *connection, enum connection_list list);
void connection_list_remove(struct connection *connection, enum connection_list list);

/** connection_list_take - take the whole list, for one round; NULL at the end */
struct connection *connection_list_take(struct catmint *mint, enum connection_list list);

/** connection_list_next - the one behind, of a list that was taken; @connection is off it then */
struct connection *connection_list_next(struct connection *connection, enum connection_list list);

/**
 * connection_fail - the connection has ended by an error
 * @error: positive errno
 *
 * What has arrived can still be popped; everything else that is pending completes with @error.
 */
void connection_fail(struct connection *connection, int error);

/** connection_fail_all - the device is gone */
void connection_fail_all(struct catmint *mint, int error);

/** connection_accepted - one more is in @listener's backlog: serve accepts */
void connection_accepted(struct connection *listener);

/** connection_retry_accepts - of listeners whose accepts found no descriptor */
void connection_retry_accepts(struct catmint *mint);

/** connection_connected - the connect has succeeded (0), or failed with a positive errno */
void connection_connected(struct connection *connection, int error);

/**
 * connection_advance_close - has the close come to its end?
 *
 * Called when something that a close waits for has happened. The connection may be gone after it.
 */
void connection_advance_close(struct connection *connection);

/* ---- close.c ---- */

/** connection_shutdown, connection_close, connection_aclose, connection_cancel - as of queue_ops */
int connection_shutdown(struct queue *queue, int how);
void connection_close(struct queue *queue);
void connection_aclose(struct queue *queue, struct op *op);
int connection_cancel(struct queue *queue, struct op *op);

/* ---- setup.c, connect.c, accept.c, end.c, events.c ---- */

/** setup_bind - an id with an address; 0 or -errno */
int setup_bind(struct connection *connection, const struct ip_address *ip, uint16_t port);

/** setup_listen - 0 or -errno */
int setup_listen(struct connection *connection, int backlog);

/** setup_connect - begin; connection_connected tells the end. 0 or -errno */
int setup_connect(struct connection *connection, const struct ip_address *ip, uint16_t port);

/** setup_abandon - undo what setup_ has begun: no queue pair, no id */
void setup_abandon(struct connection *connection);

/** end_disconnect - tell the peer, as the device does; the queue pair has ended */
void end_disconnect(struct connection *connection);

/**
 * end_bury - the connection is nobody's: end it on the network, and free it when the device has given
 * everything back
 */
void end_bury(struct connection *connection);

/** end_run_dying - free those of which the device has nothing any more */
void end_run_dying(struct catmint *mint);

/** setup_handle - an event of its id; see struct cm_target */
void setup_handle(struct cm_target *target, const struct rdma_cm_event *event);

/** setup_local_address, setup_peer_address - its own address, or the peer's; -ENOTCONN when there is none */
int setup_local_address(const struct connection *connection, struct ip_address *ip, uint16_t *port);
int setup_peer_address(const struct connection *connection, struct ip_address *ip, uint16_t *port);

/* ---- push.c ---- */

/** push_array, push_cancel - the queue's push, and the cancelling of one */
int push_array(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
	       const struct sockaddr *address, socklen_t length);
int push_cancel_one(struct connection *connection, struct op *op);

/* ---- output.c ---- */

/** output_end - the last message, behind all that is pushed; false: out of memory, try again */
bool output_end(struct connection *connection);

/** output_complete - complete its operation, if it has one */
void output_complete(struct connection *connection, struct send *send, int error);

/** output_flush - give the chain to the device */
void output_flush(struct connection *connection);

/** output_flush_all - every connection's */
void output_flush_all(struct catmint *mint);

/** output_go_on - credits or room have come: send what waits */
void output_go_on(struct connection *connection);

/** output_done - the device has done the request and all before it; or not, with the error */
void output_done(struct send *send, enum ibv_wc_status status);

/** So often, in messages, is the word looked at that the peer writes to, at least. */
#define OUTPUT_LOOK_SHIFT 28

/** output_all_counters - what output_counters does when it is time to look, or large ones are under way */
void output_all_counters(struct connection *connection, struct message_counters counters);

/** output_counters - what the peer has granted and read */
static inline void output_counters(struct connection *connection, struct message_counters counters)
{
	if (unlikely(connection->large ||
		     (counters.granted ^ connection->allowed) >> OUTPUT_LOOK_SHIFT))
		output_all_counters(connection, counters);
	else if ((int32_t)(counters.granted - connection->allowed) > 0)
		connection->allowed = counters.granted;
}

/** output_watch - look whether the peer has written its counters */
void output_watch(struct catmint *mint);

/** output_fail - complete all that is pushed with @error; what the device has is held on */
void output_fail(struct connection *connection, int error);

/** output_finish - the peer has all of it: complete what is pushed */
void output_finish(struct connection *connection);

/** output_forget_large - take it off the list of those that the peer has to read */
void output_forget_large(struct connection *connection, const struct send *send);

/** output_enqueue - a message: it goes at once, or when there are credits and room */
void output_enqueue(struct connection *connection, struct send *send);

/**
 * output_detach - the application gets back what waits, with ECANCELED; it is sent from copies
 *
 * What the device has in its hands completes when it is done. Return: false: too much to be copied, or
 * out of memory.
 */
bool output_detach(struct connection *connection);

/** output_drop_posted - the device will give nothing back any more */
void output_drop_posted(struct connection *connection);

/** output_farewell - whether the peer has ended the connection having received everything; see message.h */
bool output_farewell(const struct connection *connection);

/** output_is_idle - the peer has all that was to be sent, the end too */
bool output_is_idle(const struct connection *connection);

/** output_may_post - whether the queue has room for one more request */
static inline bool output_may_post(const struct connection *connection)
{
	const struct catmint *mint = connection->mint;
	uint32_t count = connection->posted_count + connection->in_chain;

	return count < mint->limits.send_depth && mint->sends < mint->limits.sends_max;
}

static inline bool output_has_credit(const struct connection *connection)
{
	return connection->sent != connection->allowed &&
	       connection->large_bytes < connection->mint->limits.large_ahead_bytes;
}

/** output_is_free - whether a message would go at once */
static inline bool output_is_free(const struct connection *connection)
{
	return !connection->waiting.head && output_has_credit(connection) &&
	       output_may_post(connection);
}

/**
 * output_short - send a message that is copied, up to limits.copy_bytes, now
 *
 * Return: false: it cannot go at once, nothing was done.
 */
bool output_short(struct connection *connection, const void *data, uint32_t bytes);

/** output_chain - put a request on the chain; it goes with output_flush */
void output_chain(struct connection *connection, struct send *send);

/* ---- input.c ---- */

int input_pop(struct queue *queue, struct op *op);

/** input_received - a receive buffer of @connection's has been filled with @bytes */
void input_received(struct connection *connection, struct buf *buf, uint32_t bytes);

/** input_deliver - hand what has arrived to pops that wait */
void input_deliver(struct connection *connection);

/** input_end_pops - complete those that wait, with the end or an error */
void input_end_pops(struct connection *connection);

/** input_shut - nobody will pop what has arrived: the peer gets its credits and its memory back */
void input_shut(struct connection *connection);

/** input_discard - free what has arrived; no read is under way */
void input_discard(struct connection *connection);

/** input_discard_unread - likewise, from the first large message on that will never be read */
void input_discard_unread(struct connection *connection);

/* ---- large.c ---- */

/** large_init - @buf, whose data is a notice, waits among those that have arrived; false: it is none */
bool large_init(struct connection *connection, struct buf *buf);

/** large_begin - begin the reads that may begin */
void large_begin(struct connection *connection);

/** large_done - a read has ended */
void large_done(struct connection *connection, struct send *send, bool is_good);

/** large_is_read - whether all of it is there */
bool large_is_read(const struct buf *notice);

/** large_is_reading - whether a part of it is being read now */
bool large_is_reading(const struct buf *notice);

/** large_take - the buf with the bytes in place of the notice, which is freed */
struct buf *large_take(struct connection *connection, struct buf *notice);

/** large_drop - free the notice, and what was read; no read is under way */
void large_drop(struct connection *connection, struct buf *notice);

/* ---- credit.c ---- */

/** credit_init - once, before anything else here */
void credit_init(struct catmint *mint);

/** credit_start - the first buffers; 0, -ENOBUFS or -ENOMEM */
int credit_start(struct connection *connection);

/** credit_wanted - buffers that the window has room for; negative when it has shrunk */
static inline int32_t credit_wanted(const struct connection *connection)
{
	return (int32_t)(connection->consumed + connection->window - connection->granted);
}

/** credit_grant_now - post buffers for what was consumed, and see to it that the peer is told */
void credit_grant_now(struct connection *connection);

/** credit_grant - likewise, when it is worth it: half of the window at a time */
static inline void credit_grant(struct connection *connection)
{
	if (2 * credit_wanted(connection) >= (int32_t)connection->window)
		credit_grant_now(connection);
}

/** credit_tell_all - write counters to the peers that wait for them and were not told by a message */
void credit_tell_all(struct catmint *mint);

/** credit_write - write them to this one; false: no room */
bool credit_write(struct connection *connection);

/**
 * credit_farewell - tell the peer that all it has sent is here, before the connection ends
 *
 * Return: whether its device has that; false: connection_advance_close will be called again.
 */
bool credit_farewell(struct connection *connection);

/** credit_overdrawn - what credit_taken does when the peer had no credit for it */
bool credit_overdrawn(struct connection *connection);

/** credit_taken - a buffer has come back with a message; false: the peer had no credit for it */
static inline bool credit_taken(struct connection *connection)
{
	uint32_t left = connection->granted - connection->received;

	connection->mint->receives--;
	if (unlikely(left == 0))
		return credit_overdrawn(connection);
	connection->received++;
	if (unlikely(left == 1))
		connection->mint->dry++;
	return true;
}

/** credit_lost - a buffer of the shared queue has come back, and the connection is gone */
void credit_lost(struct catmint *mint);

/** credit_refill - post buffers in place of those that peers took without credit */
void credit_refill(struct catmint *mint);

/** credit_end - the queue pair is gone: its buffers are nobody's */
void credit_end(struct connection *connection);

#endif /* DEMI_LIBOS_CATMINT_CONNECTION_H */
