/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <limits.h>

#include "guard.h"
#include "trace.h"

bool cursor_init(struct cursor *cursor, const struct iovec *pieces, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(left, pieces[i].iov_len, &left) || left > SSIZE_MAX)
			return false;
	*cursor = (struct cursor){.pieces = pieces, .count = count, .left = left};
	return true;
}

/* The next run of bytes in one piece, @most at most. */
static size_t cursor_run(struct cursor *cursor, size_t most, char **start)
{
	size_t run;

	while (cursor->count && cursor->offset == cursor->pieces->iov_len) {
		cursor->pieces++;
		cursor->count--;
		cursor->offset = 0;
	}
	if (!cursor->count)
		return 0;
	*start = (char *)cursor->pieces->iov_base + cursor->offset;
	run = cursor->pieces->iov_len - cursor->offset;
	return run < most ? run : most;
}

static void cursor_move(struct cursor *cursor, size_t bytes)
{
	cursor->offset += bytes;
	cursor->left -= bytes;
}

bool cursor_read(struct cursor *cursor, void *to, size_t bytes)
{
	char *start = NULL;

	while (bytes) {
		size_t run = cursor_run(cursor, bytes, &start);

		if (!run || !guard_copy(to, start, run))
			return false;
		cursor_move(cursor, run);
		to = (char *)to + run;
		bytes -= run;
	}
	return true;
}

bool cursor_write(struct cursor *cursor, const void *from, size_t bytes)
{
	char *start = NULL;

	while (bytes) {
		size_t run = cursor_run(cursor, bytes, &start);

		if (!run || !guard_copy(start, from, run))
			return false;
		cursor_move(cursor, run);
		from = (const char *)from + run;
		bytes -= run;
	}
	return true;
}

ssize_t transfer_send(struct socket *socket, struct transfer *transfer)
{
	if (transfer->flags & MSG_OOB) {
		trace_count(COUNT_NO_CALL);
		TRACE("urgent data on descriptor %d is refused", transfer->fd);
		return -EOPNOTSUPP;
	}
	return socket->type == SOCK_STREAM ? stream_send(socket, transfer)
					   : datagram_send(socket, transfer);
}

ssize_t transfer_receive(struct socket *socket, struct transfer *transfer)
{
	if (transfer->flags & MSG_OOB)
		return -EINVAL;
	if (transfer->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	return socket->type == SOCK_STREAM ? stream_receive(socket, transfer)
					   : datagram_receive(socket, transfer);
}
