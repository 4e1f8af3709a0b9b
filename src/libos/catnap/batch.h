/* SPDX-License-Identifier: MIT */
/*
 * io_uring for Catnap: many recvs or sends in one system call, and asynchronous file I/O.
 *
 * The recvs and sends are non-blocking and complete while they are submitted, so that no socket
 * ever has one in flight.
 */
#ifndef DEMI_LIBOS_CATNAP_BATCH_H
#define DEMI_LIBOS_CATNAP_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct batch;
struct socket;

/** A read or write of a file that the ring has; embedded by its owner, who frees it when done. */
struct batch_request {
	/* @result: bytes or -errno */
	void (*done)(struct batch_request *request, int32_t result);
};

#ifdef DEMI_HAVE_URING

/** batch_create - a ring with @entries submissions; 0 or -errno (-ENOSYS, -EPERM: not allowed;
 * -ENOTSUP: not in this build) */
int batch_create(struct batch **batch_out, uint32_t entries);

/** batch_destroy - wait for what files have in flight, calling done, and free the ring */
void batch_destroy(struct batch *batch);

/** batch_disown - in the child of a fork: close the ring, which the parent uses, unseen */
void batch_disown(struct batch *batch);

/**
 * batch_watch_files - a descriptor that polls readable when batch_poll has work
 *
 * An eventfd: the ring itself would not wake a poll(2) for work that waits to be run in this
 * thread. It is silent but between batch_before_sleep and batch_after_sleep. Return: it, or -errno.
 */
int batch_watch_files(struct batch *batch);

/** batch_before_sleep - let completions wake the sleeper; false: there is work, do not sleep */
bool batch_before_sleep(struct batch *batch);
void batch_after_sleep(struct batch *batch);

/** batch_receive - recv on @count sockets, each with a pop pending, as one system call */
void batch_receive(struct batch *batch, struct socket *const sockets[], uint32_t count);

/** batch_queue_send - send what @socket has pushed at the next batch_flush */
void batch_queue_send(struct batch *batch, struct socket *socket);

/** batch_has_sends - whether any are queued */
bool batch_has_sends(const struct batch *batch);

/** batch_forget - @socket is going to be closed */
void batch_forget(struct batch *batch, struct socket *socket);

/** batch_flush - make the queued sends */
void batch_flush(struct batch *batch);

/** batch_read, batch_writev - start file I/O; durable when done. 0 or -EAGAIN (no room) */
int batch_read(struct batch *batch, struct batch_request *request, int fd, void *data,
	       uint32_t length, int64_t offset);
int batch_append(struct batch *batch, struct batch_request *request, int fd,
		 const struct iovec *iov, unsigned int count);

/** batch_has_files - whether file I/O is under way */
bool batch_has_files(const struct batch *batch);

/** batch_poll - call done for file I/O that has completed */
void batch_poll(struct batch *batch);

#else /* built without liburing: batch_create fails, so that nothing else is ever called */

#include <errno.h>

static inline int batch_create(struct batch **batch_out, uint32_t entries)
{
	(void)batch_out, (void)entries;
	return -ENOTSUP;
}

static inline void batch_destroy(struct batch *batch)
{
	(void)batch;
}

static inline void batch_disown(struct batch *batch)
{
	(void)batch;
}

static inline int batch_watch_files(struct batch *batch)
{
	(void)batch;
	return -ENOSYS;
}

static inline bool batch_before_sleep(struct batch *batch)
{
	(void)batch;
	return true;
}

static inline void batch_after_sleep(struct batch *batch)
{
	(void)batch;
}

static inline void batch_receive(struct batch *batch, struct socket *const sockets[],
				 uint32_t count)
{
	(void)batch, (void)sockets, (void)count;
}

static inline void batch_queue_send(struct batch *batch, struct socket *socket)
{
	(void)batch, (void)socket;
}

static inline bool batch_has_sends(const struct batch *batch)
{
	(void)batch;
	return false;
}

static inline void batch_forget(struct batch *batch, struct socket *socket)
{
	(void)batch, (void)socket;
}

static inline void batch_flush(struct batch *batch)
{
	(void)batch;
}

static inline int batch_read(struct batch *batch, struct batch_request *request, int fd, void *data,
			     uint32_t length, int64_t offset)
{
	(void)batch, (void)request, (void)fd, (void)data, (void)length, (void)offset;
	return -EAGAIN;
}

static inline int batch_append(struct batch *batch, struct batch_request *request, int fd,
			       const struct iovec *iov, unsigned int count)
{
	(void)batch, (void)request, (void)fd, (void)iov, (void)count;
	return -EAGAIN;
}

static inline bool batch_has_files(const struct batch *batch)
{
	(void)batch;
	return false;
}

static inline void batch_poll(struct batch *batch)
{
	(void)batch;
}

#endif /* DEMI_HAVE_URING */

#endif /* DEMI_LIBOS_CATNAP_BATCH_H */
