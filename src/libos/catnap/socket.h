/* SPDX-License-Identifier: MIT */
/* A Catnap socket, shared by control (socket.c), data (transfer.c), poller and batches. */
#ifndef DEMI_LIBOS_CATNAP_SOCKET_H
#define DEMI_LIBOS_CATNAP_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "libos/catnap/catnap.h"
#include "libos/catnap/push_request.h"
#include "queue/queue.h"

enum socket_state {
	SOCKET_OPEN, /* neither of the following */
	SOCKET_LISTENING,
	SOCKET_CONNECTING, /* connect_op is pending */
	SOCKET_CONNECTED,
	SOCKET_CLOSING, /* close_op is pending; no descriptor */
};

struct socket {
	struct queue queue;
	struct catnap *catnap;
	int fd;
	int domain;
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	enum socket_state state;
	struct poller_entry poller;
	short ready_events; /* POLL*, from poller_collect */
	bool bound;
	bool end_of_stream;     /* recv returned 0; every later pop gets it too */
	bool write_shut;        /* no push any more; shutdown(2) once pushes is empty */
	bool lingers;           /* SO_LINGER was set, here or on the listener */
	bool receives_errors;   /* IP_RECVERR, IPV6_RECVERR of a datagram socket */
	bool errors_wait;       /* reports of them may stand in the kernel's queue of errors */
	bool sends_alone;       /* a gathered send was refused: find out whose fault it is */
	bool cuts;              /* datagrams of one length may go as one message: see send.c */
	bool in_batch;          /* batch.c has it in its list of senders */
	uint8_t small_receives; /* in a row that used less than a quarter of the buffer */
	uint8_t receive_burst;  /* datagrams that came at once the last time */
	uint32_t receive_size;  /* bytes that the next recv is given room for */
	int receive_error;      /* errno of a broken stream; every later pop gets it too */
	int send_error;         /* errno that broke the stream's sending */
	struct op_list pops;    /* for a listening socket: accepts */
	struct op_list pushes;  /* op->request: struct push_request; the head may be sent in part */
	struct push_request first_request;
	bool first_request_used;
	struct op *connect_op;
	struct op *close_op;
	struct timer close_timer;
	uint64_t close_wait_ns; /* between two looks at whether the peer has it all */
	struct sockaddr_storage peer;
	socklen_t peer_length; /* 0: none */
};

/** Room that a stream's first recv is given, bytes; it follows what arrives. */
#define SOCKET_RECEIVE_BYTES_FIRST 2048u

/** socket_update - tell the poller what the socket's lists want now */
void socket_update(struct socket *socket);

/** socket_check_address - 0; -EAFNOSUPPORT or -EINVAL when @address does not fit the socket */
int socket_check_address(const struct socket *socket, const struct sockaddr *address,
			 socklen_t length);

/** socket_address_size - bytes of a checked address that are the address */
static inline socklen_t socket_address_size(const struct socket *socket, socklen_t length)
{
	if (socket->domain == AF_UNIX)
		return length;
	return socket->domain == AF_INET6 ? sizeof(struct sockaddr_in6)
					  : sizeof(struct sockaddr_in);
}

/** socket_ready - act on ready_events: finish a connect, accept, or flush what is pushed */
void socket_ready(struct socket *socket);

/* transfer.c */

/** transfer_push, transfer_pop - the queue's operations on data */
int transfer_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		  const struct sockaddr *address, socklen_t length);
int transfer_pop(struct queue *queue, struct op *op);

/** transfer_receive - serve pending pops by recv until there are none or there is no data */
void transfer_receive(struct socket *socket);

/** transfer_received - a stream's recv into @buf returned @result (bytes or -errno); takes @buf */
void transfer_received(struct socket *socket, struct buf *buf, ssize_t result);

/** transfer_receive_buf - a buf for the next recv of a stream; NULL: a pop failed with ENOMEM */
struct buf *transfer_receive_buf(struct socket *socket);

/** transfer_flush - send what is pushed until it is all gone or does not fit */
void transfer_flush(struct socket *socket);

/** transfer_gather - what to send next: @iov[@room] from the pushes; returns entries, 1 or more */
unsigned int transfer_gather(const struct socket *socket, struct iovec *iov, unsigned int room);

/** transfer_sent - a send of gathered bytes returned @result (bytes or -errno) */
void transfer_sent(struct socket *socket, ssize_t result);

/** transfer_drop_push - complete a pending push that is off its list, and release its memory */
void transfer_drop_push(struct socket *socket, struct op *op, int error);

/**
 * transfer_should_send_again - whether a send that has failed (errno) is to be made again
 *
 * On a socket that receives errors the kernel fails it with what an earlier datagram met, and that is for
 * a pop.
 */
bool transfer_should_send_again(struct socket *socket);

/** send_datagrams - transfer_flush, for datagrams (send.c) */
void send_datagrams(struct socket *socket);

/** report_receive - fail a pop, there is one, with the next report of an error, if there is one (report.c) */
void report_receive(struct socket *socket);

/** socket_drained - the last pending push is gone: shut down or close if that was waiting */
void socket_drained(struct socket *socket);

#endif /* DEMI_LIBOS_CATNAP_SOCKET_H */
