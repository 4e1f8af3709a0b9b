/* SPDX-License-Identifier: MIT */
/*
 * Catnap: the libOS over the kernel's sockets and files, for machines without bypass hardware.
 *
 * Sockets never have anything in the kernel's hands between two calls: a pop is a recv, a push a
 * send, both non-blocking, made when they will probably succeed. What makes it fast is when and
 * how they are made, which depends on the load (measured, see docs/performance.md):
 *  - few pops pending: recv is simply tried on each of them, in turns. A socket in no wait queue
 *    spares the sender the wake-up;
 *  - more: poll(2), and from some number of sockets on epoll, tells which are ready (poller.c);
 *  - several ready at a time: with io_uring, all their recvs are one system call, and so are the
 *    sends that answer them (batch.c);
 *  - datagrams for several pops of one socket are received by one call, and with io_uring's engine
 *    what is pushed to it meanwhile is sent by one.
 */
#ifndef DEMI_LIBOS_CATNAP_CATNAP_H
#define DEMI_LIBOS_CATNAP_CATNAP_H

#include "libos/catnap/poller.h"
#include "libos/libos.h"

struct batch;

/** No datagram is longer. */
#define CATNAP_SCRATCH_BYTES 65536u
/** Datagrams that one system call receives or sends, at most. */
#define CATNAP_BURST_MAX 16u

struct catnap {
	struct libos libos;
	struct queue_context *context;
	struct coroutine fast_path;
	struct poller poller;
	struct batch *batch; /* io_uring; NULL: the epoll engine */
	bool collects;       /* the last round's recvs were a batch: make the answers one too */
	uint32_t datagrams;  /* that this round has received */
	/* What of each datagram of a burst exceeds its buf. */
	unsigned char (*scratch)[CATNAP_SCRATCH_BYTES];
	uint32_t receive_bytes_max;
};

extern const struct libos_ops catnap_ops;

/** The poller has room for what others wait for. */
_Static_assert(POLLER_OTHERS_MAX == LIBOS_OTHERS_MAX, "");

/** catnap_socket, catnap_open - the libOS's socket and open */
int catnap_socket(struct libos *libos, struct queue **queue_out, int domain, int type,
		  int protocol);
int catnap_open(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		mode_t mode);

/** catnap_rename, catnap_unlink - the libOS's rename and unlink */
int catnap_rename(struct libos *libos, const char *path, const char *new_path);
int catnap_unlink(struct libos *libos, const char *path);

/** catnap_sync_directory - make the names of the directory that @path is in durable; 0 or -errno */
int catnap_sync_directory(const char *path);

static inline struct catnap *catnap_of(struct libos *libos)
{
	return (struct catnap *)libos;
}

#endif /* DEMI_LIBOS_CATNAP_CATNAP_H */
