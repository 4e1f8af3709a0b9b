/* SPDX-License-Identifier: MIT */
/*
 * Sockets of Demi under descriptor numbers of the kernel's, so that what Redis keeps by descriptor (its
 * event loop's tables, its limit of clients, its log lines) stays as it is. Calls have the names and the
 * conventions of the kernel's (-1 and errno); one on a descriptor that is none of ours goes to the
 * kernel, so that pipes, Unix sockets and addresses which the libOS does not have work on beside them.
 *
 * Everything here belongs to the thread that called endpoint_start.
 */
#ifndef DEMI_REDIS_ENDPOINT_H
#define DEMI_REDIS_ENDPOINT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <demi/demi.h>

#define ENDPOINT_HELD_MAX (DEMI_SGARRAY_MAXSIZE + 1)

struct endpoint;

/**
 * endpoint_start - start this thread's runtime
 *
 * Ends the program with a message if there is none to be had. Called again it does nothing.
 */
void endpoint_start(void);

/** endpoint_of - what is under a descriptor; NULL: something of the kernel's */
struct endpoint *endpoint_of(int fd);

int endpoint_socket(int domain, int type, int protocol);
int endpoint_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int endpoint_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
/**
 * endpoint_bind - loopback addresses are the kernel's, unless Catnap is at work anyway, and so is an address
 * that the libOS does not have; with a line in the log
 */
int endpoint_bind(int fd, const struct sockaddr *address, socklen_t size);
int endpoint_listen(int fd, int backlog);
/** endpoint_connect - loopback addresses are the kernel's, as above */
int endpoint_connect(int fd, const struct sockaddr *address, socklen_t size);
int endpoint_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int endpoint_getpeername(int fd, struct sockaddr *address, socklen_t *size);
int endpoint_getsockname(int fd, struct sockaddr *address, socklen_t *size);
/** endpoint_fcntl - F_GETFL and F_SETFL of O_NONBLOCK are ours, everything else is the kernel's */
int endpoint_fcntl(int fd, int command, ...);
/** endpoint_close - what was written still goes to the peer; see endpoint_finish */
int endpoint_close(int fd);

ssize_t endpoint_read(int fd, void *to, size_t size);
ssize_t endpoint_write(int fd, const void *from, size_t size);
ssize_t endpoint_writev(int fd, const struct iovec *pieces, int count);
/** endpoint_poll - for the few places that wait for one descriptor: @count is 1 */
int endpoint_poll(struct pollfd *wanted, nfds_t count, int timeout_ms);

/** A run of bytes that has arrived and was not read. Valid until something is taken. */
struct endpoint_piece {
	const char *from;
	size_t bytes;
};

/**
 * endpoint_pieces - what has arrived, in order
 * @pieces: filled; @room of them at most
 * Return: how many.
 */
size_t endpoint_pieces(const struct endpoint *endpoint, struct endpoint_piece *pieces, size_t room);

/** endpoint_take - be done with the first @bytes of what has arrived */
void endpoint_take(struct endpoint *endpoint, size_t bytes);

/** endpoint_input_bytes - how much has arrived and was not taken */
size_t endpoint_input_bytes(const struct endpoint *endpoint);

/** endpoint_input_full - true: no more arrives until some is taken */
bool endpoint_input_full(const struct endpoint *endpoint);

/**
 * endpoint_expect - do not tell of what has arrived before it is @bytes
 *
 * Until something is taken; and what is at its end, broken or full is told of in any case.
 */
void endpoint_expect(struct endpoint *endpoint, size_t bytes);

/** endpoint_room - true: a push is taken. Otherwise the descriptor becomes writable later. */
bool endpoint_room(const struct endpoint *endpoint);

/**
 * endpoint_push - send by reference
 * @sga: memory of the heap, neither to be written to nor freed until what is held is let go
 * @held: given to the function of endpoint_on_sent, when it was sent or never will be; @held_count of
 *   them, ENDPOINT_HELD_MAX at most
 * Return: 0, or -1 and errno: nothing was taken.
 */
int endpoint_push(struct endpoint *endpoint, const demi_sgarray_t *sga, void *const *held,
		  size_t held_count);

/**
 * endpoint_push_array - send an array of demi_sgaalloc, which is freed in any case
 *
 * Return: as endpoint_push.
 */
int endpoint_push_array(struct endpoint *endpoint, demi_sgarray_t *sga);

/**
 * endpoint_hold - keep back what is pushed from now on, on all endpoints, until endpoint_release
 *
 * So that nobody hears of what is not durable yet. What is kept back counts as unsent.
 * Return: the number of this hold, one more than the last one's.
 */
uint64_t endpoint_hold(void);

/** endpoint_release - push what was kept back by the hold @number and those before it */
void endpoint_release(uint64_t number);

/** endpoint_is_held - whether a hold has not ended */
bool endpoint_is_held(void);

/** endpoint_on_settle - who ends all holds, or the program, when something must not wait: @settle waits */
void endpoint_on_settle(void (*settle)(void));

/** endpoint_settle - end all holds: before something is done that cannot be kept back */
void endpoint_settle(void);

/** endpoint_on_sent - who is told of what was held during a push */
void endpoint_on_sent(void (*sent)(void *held));

/** endpoint_on_other - who is told of completions of queues that are no endpoint's */
void endpoint_on_other(void (*completed)(const demi_qresult_t *result));

/** endpoint_is_child - true in the child of a fork, where there is no runtime */
bool endpoint_is_child(void);

/** endpoint_is_ending - true once exit was called: everything is being closed, and nobody calls it again */
bool endpoint_is_ending(void);

/** What a descriptor is ready for, as endpoint_wait tells it. */
struct endpoint_ready {
	int fd;
	bool readable;
	bool writable;
};

/** endpoint_want - what a descriptor is to be told as ready for; of the kernel's: false */
bool endpoint_want(int fd, bool readable, bool writable);

/**
 * endpoint_wait - wait until a descriptor is ready for what is wanted of it
 * @ready: filled, @room of them at most
 * @timeout_ns: INT64_MAX waits for ever
 * @kernel_fd: an epoll descriptor to look at as well, or -1
 * Return: how many are ready; 0 also when @kernel_fd may be, or a signal came.
 */
size_t endpoint_wait(struct endpoint_ready *ready, size_t room, int64_t timeout_ns, int kernel_fd);

/** endpoint_await - wait for a token that is of no endpoint; what else happens meanwhile is noted */
int endpoint_await(demi_qtoken_t token, demi_qresult_t *result);

/** endpoint_finish - let what was written leave, for @timeout_ns at most, then end the runtime */
void endpoint_finish(int64_t timeout_ns);

#endif
