/* SPDX-License-Identifier: MIT */
/* Bytes in and out of a connection. */
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "cork.h"
#include "engine.h"
#include "real.h"
#include "transfer.h"

/* One push: more would only make the copy colder. */
#define PUSH_BYTES_MAX 65536u

/* ---- Out ---- */

/* Whether bytes can be taken now. Return: 0, -EAGAIN, or why never. */
static int can_send(struct socket *socket)
{
	if (socket->state == SOCKET_CONNECTING)
		return -EAGAIN;
	if (socket->error)
		return -socket_take_error(socket);
	if (socket->state != SOCKET_CONNECTED || socket->write_is_shut)
		return -EPIPE;
	/* Once there was no room, there is none before poll says so: as in the kernel. */
	if (socket->was_full && !socket_has_room(socket))
		return -EAGAIN;
	socket->was_full = socket->out_bytes >= socket->out_room || socket->is_full;
	return socket->was_full ? -EAGAIN : 0;
}

static int wait_for_room(struct socket *socket, uint64_t deadline_ns)
{
	int error = can_send(socket);

	while (error == -EAGAIN) {
		socket->wants_room = true;
		if (!deadline_ns) {
			engine_poll();
			return can_send(socket);
		}
		error = socket_wait(socket, POLLOUT, deadline_ns, -1);
		if (error)
			return error;
		error = can_send(socket);
	}
	return error;
}

static int push(struct socket *socket, demi_sgarray_t *sga, size_t bytes)
{
	demi_qtoken_t qt;
	int error = pushes_reserve(&socket->pushes) ? demi_push(&qt, socket->qd, sga) : ENOMEM;

	/* Its bytes have been taken from the program already: it goes when one before it completes. */
	if ((error == ENOBUFS || error == EAGAIN || error == ENOMEM) && socket->pushes.count) {
		socket->held = *sga;
		socket->is_full = true;
		socket->out_bytes += bytes;
		return 0;
	}
	demi_sgafree(sga);
	if (error)
		return error == EAGAIN ? -ENOBUFS : -error;
	pushes_add(&socket->pushes, qt, (uint32_t)bytes);
	socket->out_bytes += bytes;
	return 0;
}

void stream_push_held(struct socket *socket)
{
	demi_qtoken_t qt;
	size_t bytes = 0;
	int error;

	if (!socket->held.sga_numsegs)
		return;
	for (uint32_t i = 0; i < socket->held.sga_numsegs; i++)
		bytes += socket->held.sga_segs[i].sgaseg_len;
	error = pushes_reserve(&socket->pushes) ? demi_push(&qt, socket->qd, &socket->held)
						: ENOMEM;
	if ((error == ENOBUFS || error == EAGAIN || error == ENOMEM) && socket->pushes.count)
		return;
	if (error)
		socket->out_bytes -= bytes;
	else
		pushes_add(&socket->pushes, qt, (uint32_t)bytes);
	demi_sgafree(&socket->held);
	socket->held.sga_numsegs = 0;
	socket->is_full = false;
}

/* Where bytes go: the segments of an array, in their order. */
typedef ssize_t fill_fn(void *source, void *to, size_t bytes);

/* Return: bytes filled in, less than wanted at the source's end; or -errno. */
static ssize_t fill_segments(demi_sgarray_t *sga, fill_fn *fill, void *source)
{
	size_t filled = 0;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		size_t room = sga->sga_segs[i].sgaseg_len;
		ssize_t got = fill(source, sga->sga_segs[i].sgaseg_buf, room);

		if (got < 0) {
			/* What has been read before goes. */
			sga->sga_numsegs = filled ? i : sga->sga_numsegs;
			return filled ? (ssize_t)filled : got;
		}
		filled += (size_t)got;
		if ((size_t)got < room) {
			sga->sga_segs[i].sgaseg_len = (uint32_t)got;
			sga->sga_numsegs = got ? i + 1 : i;
			break;
		}
	}
	return (ssize_t)filled;
}

/* A push of up to @bytes. Return: how many, 0 at the source's end, or -errno. */
static ssize_t send_piece(struct socket *socket, fill_fn *fill, void *source, size_t bytes)
{
	demi_sgarray_t sga;
	ssize_t filled;
	int error;

	if (socket->cork) {
		error = cork_flush(socket);
		if (error)
			return error;
	}
	if (bytes > PUSH_BYTES_MAX)
		bytes = PUSH_BYTES_MAX;
	sga = demi_sgaalloc(bytes);
	if (!sga.sga_numsegs)
		return -ENOBUFS;
	filled = fill_segments(&sga, fill, source);
	if (filled <= 0) {
		sga.sga_numsegs = sga.sga_numsegs ? sga.sga_numsegs : 1;
		demi_sgafree(&sga);
		return filled;
	}
	error = push(socket, &sga, (size_t)filled);
	return error ? error : filled;
}

/* Bytes that wait for more. As send_piece. */
static ssize_t cork_piece(struct socket *socket, fill_fn *fill, void *source, size_t bytes)
{
	size_t room = cork_room(socket);
	ssize_t filled;

	if (room == 0) {
		int error = cork_flush(socket);

		if (error)
			return error;
		room = cork_room(socket);
		if (room == 0)
			return -ENOBUFS;
	}
	filled = fill(source, cork_end(socket), bytes < room ? bytes : room);
	if (filled > 0)
		cork_add(socket, (size_t)filled);
	return filled;
}

static ssize_t send_all(struct socket *socket, fill_fn *fill, void *source, size_t bytes,
			uint64_t deadline_ns, bool waits_for_more)
{
	size_t sent = 0;

	while (sent < bytes) {
		ssize_t got = wait_for_room(socket, deadline_ns);

		if (!got && (waits_for_more || socket->cork) && bytes - sent < PUSH_BYTES_MAX / 4)
			got = cork_piece(socket, fill, source, bytes - sent);
		else if (!got)
			got = send_piece(socket, fill, source, bytes - sent);
		if (got == -EAGAIN && deadline_ns && engine.now_ns < deadline_ns)
			continue;
		if (got < 0 && !sent)
			return got;
		if (got <= 0)
			break;
		sent += (size_t)got;
	}
	/* What waited and this together are enough. */
	if (socket->cork && !waits_for_more)
		cork_flush(socket);
	return (ssize_t)sent;
}

static ssize_t fill_from_memory(void *source, void *to, size_t bytes)
{
	return cursor_read(source, to, bytes) ? (ssize_t)bytes : -EFAULT;
}

ssize_t stream_send(struct socket *socket, struct transfer *transfer)
{
	uint64_t deadline_ns = socket_deadline(socket, transfer->flags, socket->send_ns);
	int error;

	if (transfer->cursor.left == 0) {
		error = can_send(socket);
		return error == -EAGAIN ? 0 : error;
	}
	return send_all(socket, fill_from_memory, &transfer->cursor, transfer->cursor.left,
			deadline_ns, socket->is_corked || (transfer->flags & MSG_MORE));
}

/* ---- Files ---- */

struct file_source {
	int fd;
	bool has_offset;
	off_t offset;
};

static ssize_t fill_from_file(void *source, void *to, size_t bytes)
{
	struct file_source *file = source;
	ssize_t got = file->has_offset ? pread(file->fd, to, bytes, file->offset)
				       : real()->read(file->fd, to, bytes);

	if (got < 0)
		return errno == EISDIR ? -EINVAL : -errno;
	file->offset += got;
	return got;
}

/* Before Linux 6.5 a pipe cannot be asked not to wait; whether it would can. */
static bool pipe_is_ready(int fd, short events)
{
	struct pollfd pipe = {.fd = fd, .events = events};

	return real()->poll(&pipe, 1, 0) > 0;
}

static ssize_t fill_from_pipe(void *source, void *to, size_t bytes)
{
	const struct iovec piece = {.iov_base = to, .iov_len = bytes};
	int fd = *(int *)source;
	ssize_t got = real()->preadv2(fd, &piece, 1, -1, RWF_NOWAIT);

	if (got < 0 && errno == EOPNOTSUPP) {
		if (!pipe_is_ready(fd, POLLIN))
			return -EAGAIN;
		got = real()->read(fd, to, bytes);
	}
	return got < 0 ? -errno : got;
}

ssize_t stream_splice(struct socket *socket, int pipe_fd, size_t bytes, bool waits)
{
	uint64_t deadline_ns = socket_deadline(socket, waits ? 0 : MSG_DONTWAIT, socket->send_ns);
	ssize_t got;

	for (;;) {
		int error = wait_for_room(socket, deadline_ns);

		if (error)
			return error;
		got = send_piece(socket, fill_from_pipe, &pipe_fd, bytes);
		if (got != -EAGAIN || !waits)
			return got;
		error = socket_wait_kernel(socket, pipe_fd, POLLIN);
		if (error)
			return error;
	}
}

ssize_t stream_write_pipe(int pipe_fd, const void *from, size_t bytes)
{
	const struct iovec piece = {.iov_base = (void *)from, .iov_len = bytes};
	ssize_t got = real()->pwritev2(pipe_fd, &piece, 1, -1, RWF_NOWAIT);

	if (got < 0 && errno == EOPNOTSUPP) {
		if (!pipe_is_ready(pipe_fd, POLLOUT))
			return -EAGAIN;
		/* So much finds a place, then. */
		got = real()->write(pipe_fd, from, bytes < PIPE_BUF ? bytes : PIPE_BUF);
	}
	return got < 0 ? -errno : got;
}

ssize_t stream_send_file(struct socket *socket, int in_fd, off_t *offset, size_t bytes)
{
	struct file_source source = {
		.fd = in_fd, .has_offset = offset != NULL, .offset = offset ? *offset : 0};
	uint64_t deadline_ns = socket_deadline(socket, 0, socket->send_ns);
	ssize_t sent = send_all(socket, fill_from_file, &source, bytes, deadline_ns,
				socket->is_corked);

	if (offset && sent >= 0)
		*offset = source.offset;
	return sent;
}

/* ---- In ---- */

/* Copy out of one array what fits, without taking it. Return: bytes, or -EFAULT. */
static ssize_t copy_chunk(struct chunk *chunk, struct cursor *cursor, bool discards)
{
	uint32_t offset = chunk->offset;
	size_t copied = 0;

	for (uint32_t i = chunk->segment; i < chunk->sga.sga_numsegs && cursor->left; i++) {
		const demi_sgaseg_t *segment = &chunk->sga.sga_segs[i];
		size_t run = segment->sgaseg_len - offset;

		if (run > cursor->left)
			run = cursor->left;
		if (discards)
			cursor->left -= run;
		else if (!cursor_write(cursor, (char *)segment->sgaseg_buf + offset, run))
			return copied ? (ssize_t)copied : -EFAULT;
		copied += run;
		offset = 0;
	}
	return (ssize_t)copied;
}

/* @bytes at the front of the inbox have been read. */
static void consume(struct socket *socket, size_t bytes)
{
	struct chunk *chunk = socket->inbox.head;

	socket->inbox.bytes -= bytes;
	while (bytes) {
		uint32_t run = chunk->sga.sga_segs[chunk->segment].sgaseg_len - chunk->offset;

		if (run > bytes) {
			chunk->offset += (uint32_t)bytes;
			return;
		}
		bytes -= run;
		chunk->offset = 0;
		chunk->segment++;
		if (chunk->segment == chunk->sga.sga_numsegs) {
			inbox_take(&socket->inbox);
			chunk = socket->inbox.head;
		}
	}
}

/* Return: bytes, 0 when there are none, -EFAULT. */
static ssize_t copy_inbox(struct socket *socket, struct transfer *transfer)
{
	bool peeks = transfer->flags & MSG_PEEK;
	size_t copied = 0;

	for (struct chunk *chunk = socket->inbox.head; chunk && transfer->cursor.left;) {
		struct chunk *next = chunk->next;
		ssize_t got = copy_chunk(chunk, &transfer->cursor, transfer->flags & MSG_TRUNC);

		if (got < 0)
			return copied ? (ssize_t)copied : got;
		copied += (size_t)got;
		if (!peeks)
			consume(socket, (size_t)got);
		chunk = next;
	}
	if (copied && !peeks)
		socket_receive_more(socket);
	return (ssize_t)copied;
}

/* Nothing is in the inbox. Return: 0: it is the end; -EAGAIN, or an error. */
static int why_nothing(struct socket *socket)
{
	if (socket->error)
		return -socket_take_error(socket);
	if (socket->has_end || socket->read_is_shut)
		return 0;
	if (socket->state == SOCKET_OPEN || socket->state == SOCKET_LISTENING)
		return -ENOTCONN;
	return -EAGAIN;
}

/* How much ends the wait of a call. */
static size_t wanted_bytes(const struct socket *socket, const struct transfer *transfer, bool waits)
{
	size_t most = transfer->cursor.left, low_water = socket_low_water(socket);

	if (!waits)
		return 1;
	if (transfer->flags & MSG_WAITALL)
		return most;
	return low_water < most ? low_water : most;
}

ssize_t stream_receive(struct socket *socket, struct transfer *transfer)
{
	uint64_t deadline_ns = socket_deadline(socket, transfer->flags, socket->receive_ns);
	size_t wanted = wanted_bytes(socket, transfer, deadline_ns != 0);
	size_t received = 0;

	for (;;) {
		ssize_t got = copy_inbox(socket, transfer);
		int error = 0;

		if (got < 0)
			return received ? (ssize_t)received : got;
		received += (size_t)got;
		if (socket->inbox.head && transfer->cursor.left == 0)
			return (ssize_t)received;
		if (received && (received >= wanted || (transfer->flags & MSG_PEEK)))
			return (ssize_t)received;
		if (!got)
			error = why_nothing(socket);
		if (!got && error != -EAGAIN)
			return received ? (ssize_t)received : error;
		error = socket_wait(socket, POLLIN, deadline_ns, -1);
		if (error && !socket->inbox.head)
			return received ? (ssize_t)received : error;
	}
}
