/* SPDX-License-Identifier: MIT */
/* Reading and writing our sockets: what all calls for it come down to. */
#ifndef SHIM_TRANSFER_H
#define SHIM_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "socket.h"

/** The program's memory, piece by piece; the pieces' list is ours, what they point to may be nothing. */
struct cursor {
	const struct iovec *pieces;
	size_t count;
	size_t offset; /* in the first */
	size_t left;   /* bytes in all */
};

/** cursor_init - @count pieces; false: their lengths are more than a call can return */
bool cursor_init(struct cursor *cursor, const struct iovec *pieces, size_t count);

/** cursor_read - copy the next @bytes of the program's memory to @to; false: EFAULT */
bool cursor_read(struct cursor *cursor, void *to, size_t bytes);

/** cursor_write - copy @bytes at @from to the program's memory; false: EFAULT */
bool cursor_write(struct cursor *cursor, const void *from, size_t bytes);

/** A call that reads or writes. */
struct transfer {
	struct cursor cursor;
	int flags; /* MSG_... */
	int fd;    /* for the kernel's half */
	/* Datagrams: where to, or from; ours. */
	struct address *address;
	int flags_out; /* MSG_TRUNC */
};

/** transfer_send, transfer_receive - bytes, or -errno; SIGPIPE is the caller's */
ssize_t transfer_send(struct socket *socket, struct transfer *transfer);
ssize_t transfer_receive(struct socket *socket, struct transfer *transfer);

/** stream_send_file - as sendfile(2): up to @bytes of @in_fd, from *@offset if there is one */
ssize_t stream_send_file(struct socket *socket, int in_fd, off_t *offset, size_t bytes);

/** stream_splice - what a pipe has, up to @bytes, in one piece; as splice(2) */
ssize_t stream_splice(struct socket *socket, int pipe_fd, size_t bytes, bool waits);

/** stream_write_pipe - what a pipe takes without waiting; -EAGAIN: nothing */
ssize_t stream_write_pipe(int pipe_fd, const void *from, size_t bytes);

/** stream_push_held - push what the library had no place for, if there is any */
void stream_push_held(struct socket *socket);

/* The two kinds. */
ssize_t stream_send(struct socket *socket, struct transfer *transfer);
ssize_t stream_receive(struct socket *socket, struct transfer *transfer);
ssize_t datagram_send(struct socket *socket, struct transfer *transfer);
ssize_t datagram_receive(struct socket *socket, struct transfer *transfer);

#endif /* SHIM_TRANSFER_H */
