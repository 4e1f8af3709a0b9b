/* SPDX-License-Identifier: MIT */
/*
 * A socket of the program. It starts undecided, as a socket of the kernel's; when it is bound,
 * connected or sent from, the rules say whose it is. One of the kernel's is taken out of the table,
 * and costs nothing from then on. One of ours has a queue of the library as soon as the runtime
 * runs; a pop, or an accept, is always under way on it, so that it is known at any time what can be
 * read.
 */
#ifndef SHIM_SOCKET_H
#define SHIM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <demi/demi.h>

#include "file.h"
#include "rule.h"

enum socket_state {
	SOCKET_OPEN, /* datagram sockets stay so */
	SOCKET_LISTENING,
	SOCKET_CONNECTING,
	SOCKET_CONNECTED,
	SOCKET_FAILED, /* the connection was reset, or could not be made */
};

/** What has been received and not read: an array of the library, or a connection. */
struct chunk {
	struct chunk *next;
	demi_sgarray_t sga;
	uint32_t segment, offset; /* of the first byte that has not been read */
	int qd;                   /* of an accepted connection */
};

struct inbox {
	struct chunk *head, **tail;
	size_t bytes;
	uint32_t count;
};

/** Pushes under way, oldest first: a ring. */
struct pushes {
	struct push_record {
		demi_qtoken_t qt;
		uint32_t bytes;
	} * ring;
	uint32_t capacity, head, count;
};

/** Options that the program set, to be set on the queue when there is one. */
struct option_record {
	struct option_record *next;
	int level, name;
	socklen_t length;
	unsigned char value[];
};

struct address {
	struct sockaddr_storage storage;
	socklen_t length; /* 0: none */
};

struct socket {
	struct file file;
	struct socket *next, **link; /* of all of ours */
	int domain, type, protocol;
	enum side side;
	enum socket_state state;
	int qd; /* -1: none, since the runtime does not run, or is the parent's */
	struct address bound, peer; /* as the program gave them */
	int backlog;
	int error;     /* SO_ERROR */
	bool is_bound; /* the queue is */
	bool has_end, read_is_shut, write_is_shut;
	bool wants_room;  /* somebody found no room to send */
	bool wants_empty; /* a close waits until all has been acknowledged; then POLLWRBAND is so */
	bool was_full;    /* a send found no room, and there has not been much since */
	bool is_full;     /* the library takes no push before one completes */
	demi_qtoken_t pop_qt, accept_qt, connect_qt;
	bool pops, accepts, connects; /* one is under way */
	struct inbox inbox;
	struct pushes pushes;
	size_t out_bytes, out_room;   /* pushed and not acknowledged; SO_SNDBUF */
	size_t in_room;               /* SO_RCVBUF: no pop is made beyond */
	size_t low_water;             /* SO_RCVLOWAT: of a stream, what a reader waits for; >= 1 */
	uint64_t receive_ns, send_ns; /* SO_RCVTIMEO, SO_SNDTIMEO; 0: none */
	struct option_record *options;
	bool tells_connect;  /* a connect that did not wait has not been told of its end */
	bool resets;         /* SO_LINGER of 0: closing it resets the connection */
	uint64_t linger_ns;  /* SO_LINGER of more: what close waits for; 0: nothing */
	bool may_broadcast;  /* SO_BROADCAST */
	bool sends_kernels;  /* it has sent to a peer of the kernel's, and that has been told */
	demi_sgarray_t held; /* pushed when one completes: the library has no place for it */
	bool is_corked;
	struct cork *cork; /* bytes that wait for more */
};

static inline struct socket *socket_of(struct file *file)
{
	return (struct socket *)file;
}

/** socket_new - one for a descriptor that is to be added; NULL: out of memory */
struct socket *socket_new(int domain, int type, int protocol);

/** socket_end - its last reference has gone */
void socket_end(struct socket *socket);

/** socket_events - which of poll's events are so now, by our half of it */
uint32_t socket_events(struct socket *socket);

/** socket_low_water - how much a stream must have for a reader; no more than it can have */
static inline size_t socket_low_water(const struct socket *socket)
{
	return socket->low_water < socket->in_room / 2 ? socket->low_water : socket->in_room / 2;
}

/** socket_take_error - SO_ERROR, once */
int socket_take_error(struct socket *socket);

/**
 * socket_decide - it is the kernel's from now on, or ours, or both
 * @fd: the call's descriptor
 */
void socket_decide(struct socket *socket, int fd, enum side side, const char *why);

/** socket_make - its queue, with what was set, bound and listened; 0 or -errno */
int socket_make(struct socket *socket);

/** socket_adopt - a new one gets the connection at the front of @listener's inbox; 0 or -ENOMEM */
int socket_adopt(struct socket *socket, struct socket *listener);

/** socket_conflicts - whether another of ours is bound where it wants to be */
bool socket_conflicts(const struct socket *socket);

/** socket_reset - give the queue up, as after a connect that failed */
void socket_reset(struct socket *socket);

/** socket_receive_more - keep a pop or an accept under way while there is room */
void socket_receive_more(struct socket *socket);

/** inbox_take - drop the first chunk, which has been read */
void inbox_take(struct inbox *inbox);

/** pushes_add - note a push; 0 or -ENOMEM, for which socket_reserve_push cares beforehand */
bool pushes_reserve(struct pushes *pushes);
void pushes_add(struct pushes *pushes, demi_qtoken_t qt, uint32_t bytes);

/** socket_has_room - whether poll says POLLOUT */
bool socket_has_room(const struct socket *socket);

/**
 * socket_wait - wait until one of @events, or an error, is so
 * @deadline_ns: 0: at once
 * @fd: when the kernel has a half of it, that too
 *
 * Return: 0, -EAGAIN, or -EINTR.
 */
int socket_wait(struct socket *socket, uint32_t events, uint64_t deadline_ns, int fd);

/**
 * socket_wait_kernel - wait until one of @events of a descriptor of the kernel's is so
 * @socket: of the call, which holds it
 *
 * Return: 0, -EINTR or -ENOMEM.
 */
int socket_wait_kernel(struct socket *socket, int fd, short events);

/** socket_deadline - when a call gives up: @flags with MSG_DONTWAIT, O_NONBLOCK, or @limit_ns */
uint64_t socket_deadline(const struct socket *socket, int flags, uint64_t limit_ns);

/* ---- For the engine ---- */

/** sockets_start - the runtime runs: make the queues that were put off */
void sockets_start(void);

/** sockets_complete - an operation has completed */
void sockets_complete(demi_qresult_t *result);

/** sockets_forget - in the child of a fork */
void sockets_forget(void);

/** sockets_shut_all - the process exits: nothing more is written */
void sockets_shut_all(void);

/** sockets_unsent - bytes that no peer has acknowledged, and connections closed before that wait */
uint64_t sockets_unsent(void);

/** sockets_close_all, sockets_closing - and how many connections still wait for their peers */
void sockets_close_all(void);
uint64_t sockets_closing(void);

#endif /* SHIM_SOCKET_H */
