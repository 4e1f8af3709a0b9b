/* SPDX-License-Identifier: MIT */
/* Datagrams in and out. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "engine.h"
#include "real.h"
#include "transfer.h"

#define DATAGRAM_BYTES_MAX 65507u

/* ---- Out ---- */

/* What Linux says before it sends. */
static int check_address(const struct socket *socket, const struct address *to)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&to->storage;

	if (to->length < (socket->domain == AF_INET ? sizeof(struct sockaddr_in)
						    : offsetof(struct sockaddr_in6, sin6_scope_id)))
		return -EINVAL;
	if (socket->domain == AF_INET6 && to->storage.ss_family != AF_INET6 &&
	    to->storage.ss_family != AF_INET)
		return -EINVAL;
	if (to->storage.ss_family == AF_INET && v4->sin_addr.s_addr == INADDR_BROADCAST &&
	    !socket->may_broadcast)
		return -EACCES;
	return 0;
}

static int push(struct socket *socket, const demi_sgarray_t *sga, const struct address *to,
		size_t bytes)
{
	demi_qtoken_t qt;
	int error;

	if (!pushes_reserve(&socket->pushes))
		return -ENOBUFS;
	error = to && to->length ? demi_pushto(&qt, socket->qd, sga,
					       (const struct sockaddr *)&to->storage, to->length)
				 : demi_push(&qt, socket->qd, sga);
	if (error)
		return -error;
	/* So that an empty one counts too. */
	pushes_add(&socket->pushes, qt, (uint32_t)bytes + 1);
	socket->out_bytes += bytes + 1;
	return 0;
}

static int wait_for_room(struct socket *socket, uint64_t deadline_ns)
{
	int error = 0;

	if (socket->out_bytes >= socket->out_room)
		engine_poll();
	while (socket->out_bytes >= socket->out_room && !error) {
		socket->wants_room = true;
		error = deadline_ns ? socket_wait(socket, POLLOUT, deadline_ns, -1) : -EAGAIN;
	}
	return error;
}

ssize_t datagram_send(struct socket *socket, struct transfer *transfer)
{
	size_t bytes = transfer->cursor.left;
	demi_sgarray_t sga;
	int error;

	if (socket->error)
		return -socket_take_error(socket);
	if (socket->write_is_shut)
		return -EPIPE;
	if (bytes > DATAGRAM_BYTES_MAX)
		return -EMSGSIZE;
	error = transfer->address && transfer->address->length
			? check_address(socket, transfer->address)
			: 0;
	if (error)
		return error;
	error = wait_for_room(socket, socket_deadline(socket, transfer->flags, socket->send_ns));
	if (error)
		return error;
	sga = demi_sgaalloc(bytes ? bytes : 1);
	if (!sga.sga_numsegs)
		return -ENOBUFS;
	for (uint32_t i = 0; i < sga.sga_numsegs && !error && bytes; i++)
		if (!cursor_read(&transfer->cursor, sga.sga_segs[i].sgaseg_buf,
				 sga.sga_segs[i].sgaseg_len))
			error = -EFAULT;
	if (!bytes)
		sga.sga_segs[0].sgaseg_len = 0;
	if (!error)
		error = push(socket, &sga, transfer->address, bytes);
	demi_sgafree(&sga);
	if (error)
		return error;
	socket_receive_more(socket);
	return (ssize_t)bytes;
}

/* ---- In ---- */

static ssize_t copy_datagram(struct chunk *chunk, struct transfer *transfer)
{
	size_t bytes = 0, copied = 0;

	for (uint32_t i = 0; i < chunk->sga.sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &chunk->sga.sga_segs[i];
		size_t run = segment->sgaseg_len;

		bytes += run;
		if (run > transfer->cursor.left)
			run = transfer->cursor.left;
		if (!cursor_write(&transfer->cursor, segment->sgaseg_buf, run))
			return -EFAULT;
		copied += run;
	}
	if (copied < bytes)
		transfer->flags_out |= MSG_TRUNC;
	if (transfer->address) {
		transfer->address->length = sizeof(transfer->address->storage);
		if (demi_sgaaddr(&chunk->sga, (struct sockaddr *)&transfer->address->storage,
				 &transfer->address->length) != 0)
			transfer->address->length = 0;
	}
	return (ssize_t)(transfer->flags & MSG_TRUNC ? bytes : copied);
}

static ssize_t take_datagram(struct socket *socket, struct transfer *transfer)
{
	struct chunk *chunk = socket->inbox.head;
	ssize_t got = copy_datagram(chunk, transfer);

	if (transfer->flags & MSG_PEEK)
		return got;
	for (uint32_t i = 0; i < chunk->sga.sga_numsegs; i++)
		socket->inbox.bytes -= chunk->sga.sga_segs[i].sgaseg_len;
	inbox_take(&socket->inbox);
	socket_receive_more(socket);
	return got;
}

/* What the kernel's half has. Return: -EAGAIN: nothing. */
static ssize_t receive_from_kernel(struct transfer *transfer)
{
	struct address *from = transfer->address;
	struct msghdr message = {
		.msg_name = from ? &from->storage : NULL,
		.msg_namelen = from ? sizeof(from->storage) : 0,
		.msg_iov = (struct iovec *)transfer->cursor.pieces,
		.msg_iovlen = transfer->cursor.count,
	};
	ssize_t got = real()->recvmsg(transfer->fd, &message, transfer->flags | MSG_DONTWAIT);

	if (got < 0)
		return -errno;
	transfer->flags_out = message.msg_flags;
	if (from)
		from->length = message.msg_namelen;
	return got;
}

ssize_t datagram_receive(struct socket *socket, struct transfer *transfer)
{
	uint64_t deadline_ns = socket_deadline(socket, transfer->flags, socket->receive_ns);
	ssize_t got;
	int error;

	for (;;) {
		if (!socket->inbox.head)
			engine_poll();
		if (socket->error)
			return -socket_take_error(socket);
		if (socket->inbox.head)
			return take_datagram(socket, transfer);
		if (socket->read_is_shut)
			return 0;
		got = socket->side == SIDE_BOTH ? receive_from_kernel(transfer) : -EAGAIN;
		if (got != -EAGAIN || !deadline_ns)
			return got;
		error = socket_wait(socket, POLLIN, deadline_ns, transfer->fd);
		if (error)
			return error;
	}
}
