/* SPDX-License-Identifier: MIT */
/* Data in and out of a Catnap socket: pops are recvs, pushes are sends. */
#include <errno.h>
#include <string.h>

#include "heap/buf.h"
#include "libos/catnap/batch.h"
#include "libos/catnap/socket.h"
#include "queue/sga.h"

/* Room in the buf of a datagram; what exceeds it is received into the scratch and moved. */
#define DATAGRAM_BYTES_FIRST 2048u
/* A recv that uses less than a quarter of its room so often in a row halves the room. */
#define SMALL_RECEIVES_MAX 16u

static struct socket *socket_of(struct queue *queue)
{
	return (struct socket *)queue;
}

static void complete(struct socket *socket, struct op *op, int error)
{
	op_complete(&socket->catnap->context->ops, op, error);
}

/* --- in --- */

static void complete_pop(struct socket *socket, struct buf *buf)
{
	struct op *op = op_list_take(&socket->pops);

	op->result.buf = buf;
	complete(socket, op, 0);
}

static void fail_pop(struct socket *socket, int error)
{
	complete(socket, op_list_take(&socket->pops), error);
}

/* The stream is at its end or broken: so is every pop from now on. */
static void complete_pops_at_end(struct socket *socket)
{
	while (socket->pops.head) {
		struct buf *buf;

		if (socket->receive_error) {
			fail_pop(socket, socket->receive_error);
			continue;
		}
		buf = buf_alloc(socket->catnap->context->heap, 1);
		if (buf)
			complete_pop(socket, buf);
		else
			fail_pop(socket, ENOMEM);
	}
}

/* Follow the size of what arrives, so that a small message does not occupy a large buffer. */
static void adapt_receive_size(struct socket *socket, uint32_t room, uint32_t received)
{
	if (received == room) {
		uint32_t most = socket->catnap->receive_bytes_max;

		socket->receive_size = 2 * room < most ? 2 * room : most;
		socket->small_receives = 0;
	} else if (received >= room / 4 || room <= SOCKET_RECEIVE_BYTES_FIRST) {
		socket->small_receives = 0;
	} else if (++socket->small_receives == SMALL_RECEIVES_MAX) {
		socket->receive_size = room / 2;
		socket->small_receives = 0;
	}
}

struct buf *transfer_receive_buf(struct socket *socket)
{
	struct buf *buf = buf_alloc(socket->catnap->context->heap, socket->receive_size);

	if (!buf)
		fail_pop(socket, ENOMEM);
	return buf;
}

/*
 * Whether less than there was room for is all there was: not when an end or urgent data may stand
 * behind it, nor on a Unix-domain socket, where passed descriptors divide the stream.
 */
static bool short_is_all(const struct socket *socket)
{
	return !socket->poller.hung_up && socket->domain != AF_UNIX;
}

void transfer_received(struct socket *socket, struct buf *buf, ssize_t result)
{
	uint32_t room = buf->capacity;

	if (result > 0) {
		if ((size_t)result < room && short_is_all(socket))
			socket->poller.readable = false;
		buf->length = (uint32_t)result;
		adapt_receive_size(socket, room, (uint32_t)result);
		complete_pop(socket, buf);
		return;
	}
	buf_free(socket->catnap->context->heap, buf);
	if (result == -EAGAIN) {
		socket->poller.readable = false;
	} else if (result == -ENOMEM || result == -ENOBUFS) {
		fail_pop(socket, (int)-result);
	} else if (result != -EINTR) {
		socket->end_of_stream = result == 0;
		socket->receive_error = (int)-result;
		complete_pops_at_end(socket);
	}
}

/* Serve one pop; returns whether another may succeed now. */
static bool receive_stream(struct socket *socket)
{
	struct buf *buf = transfer_receive_buf(socket);
	ssize_t result;
	bool more;

	if (!buf)
		return true;
	result = recv(socket->fd, buf->data, buf->capacity, MSG_DONTWAIT);
	if (result < 0)
		result = -errno;
	more = result == (ssize_t)buf->capacity || (result > 0 && !short_is_all(socket)) ||
	       result == -EINTR;
	transfer_received(socket, buf, result);
	return more;
}

/* A datagram that was longer than its first buf: move it into one that holds it all. */
static struct buf *gather_datagram(struct socket *socket, struct buf *first,
				   const unsigned char *rest, size_t length)
{
	struct buf *whole = buf_alloc(socket->catnap->context->heap, (uint32_t)length);

	if (whole) {
		memcpy(whole->data, first->data, DATAGRAM_BYTES_FIRST);
		memcpy(whole->data + DATAGRAM_BYTES_FIRST, rest, length - DATAGRAM_BYTES_FIRST);
		whole->source = first->source;
	}
	buf_free(socket->catnap->context->heap, first);
	return whole;
}

static void datagram_received(struct socket *socket, struct buf *buf, const unsigned char *rest,
			      size_t length)
{
	socket->catnap->datagrams++;
	if (length > DATAGRAM_BYTES_FIRST)
		buf = gather_datagram(socket, buf, rest, length);
	if (!buf) {
		/* The datagram is gone, as if the network had dropped it. */
		fail_pop(socket, ENOMEM);
		return;
	}
	buf->length = (uint32_t)length;
	complete_pop(socket, buf);
}

/* What is received into during one call. */
struct burst {
	struct buf *bufs[CATNAP_BURST_MAX];
	struct mmsghdr messages[CATNAP_BURST_MAX];
	struct iovec iov[CATNAP_BURST_MAX][2];
};

/* For as many pops as there are, up to @most. Return: how many; 0: out of memory. */
static unsigned int burst_prepare(struct socket *socket, struct burst *burst, unsigned int most)
{
	const struct op *op = socket->pops.head;
	unsigned int count = 0;

	for (; count < most && op; op = op->next) {
		struct buf *buf = buf_alloc(socket->catnap->context->heap, DATAGRAM_BYTES_FIRST);
		struct iovec *iov = burst->iov[count];

		if (!buf)
			break;
		iov[0] = (struct iovec){buf->data, DATAGRAM_BYTES_FIRST};
		iov[1] = (struct iovec){socket->catnap->scratch[count], CATNAP_SCRATCH_BYTES};
		burst->bufs[count] = buf;
		burst->messages[count++].msg_hdr = (struct msghdr){
			.msg_name = &buf->source,
			.msg_namelen = sizeof(buf->source),
			.msg_iov = iov,
			.msg_iovlen = 2,
		};
	}
	return count;
}

/* Datagrams received; -errno: none. */
static int burst_receive(const struct socket *socket, struct burst *burst, unsigned int count)
{
	ssize_t length;
	int received;

	if (count > 1) {
		received = recvmmsg(socket->fd, burst->messages, count, MSG_DONTWAIT, NULL);
		return received < 0 ? -errno : received;
	}
	length = recvmsg(socket->fd, &burst->messages[0].msg_hdr, MSG_DONTWAIT);
	burst->messages[0].msg_len = (unsigned int)length;
	return length < 0 ? -errno : 1;
}

/*
 * Serve up to @most pops. An error of a datagram socket concerns one pop; the next may succeed.
 * Return: how many more may succeed at once; 0: none.
 */
static unsigned int receive_datagrams(struct socket *socket, unsigned int most)
{
	struct burst burst;
	unsigned int count = burst_prepare(socket, &burst, most);
	int received;

	if (count == 0) {
		fail_pop(socket, ENOMEM);
		return 1;
	}
	received = burst_receive(socket, &burst, count);
	for (unsigned int i = received > 0 ? (unsigned int)received : 0; i < count; i++)
		buf_free(socket->catnap->context->heap, burst.bufs[i]);
	for (int i = 0; i < received; i++)
		datagram_received(socket, burst.bufs[i], socket->catnap->scratch[i],
				  burst.messages[i].msg_len);
	if (received == -EAGAIN)
		socket->poller.readable = false;
	else if (received < 0 && received != -EINTR && socket->receives_errors)
		socket->errors_wait = true;
	else if (received < 0 && received != -EINTR)
		fail_pop(socket, -received);
	if (received > 0)
		socket->receive_burst = (uint8_t)received;
	if (received < 0)
		return received != -EAGAIN;
	/* Fewer than there was room for were all. */
	if ((unsigned int)received < count)
		return 0;
	return 2 * count < CATNAP_BURST_MAX ? 2 * count : CATNAP_BURST_MAX;
}

void transfer_receive(struct socket *socket)
{
	/* Room for one more than came the last time: that it stays empty says that there are no others. */
	unsigned int burst = socket->receive_burst < CATNAP_BURST_MAX ? socket->receive_burst + 1u
								      : CATNAP_BURST_MAX;
	bool more = true;

	if (socket->type == SOCK_STREAM) {
		while (more && socket->pops.head)
			more = receive_stream(socket);
		return;
	}
	while (burst && socket->pops.head) {
		if (socket->errors_wait)
			report_receive(socket);
		else
			burst = receive_datagrams(socket, burst);
	}
}

int transfer_pop(struct queue *queue, struct op *op)
{
	struct socket *socket = socket_of(queue);

	if (socket->state == SOCKET_LISTENING)
		return -EOPNOTSUPP;
	if (socket->type == SOCK_STREAM && socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	op_list_append(&socket->pops, op);
	if (socket->end_of_stream || socket->receive_error)
		complete_pops_at_end(socket);
	else if (socket->pops.head == op)
		socket_update(socket);
	return 0;
}

/* --- out --- */

bool transfer_should_send_again(struct socket *socket)
{
	if (!socket->receives_errors || errno == EAGAIN || errno == EINTR)
		return false;
	socket->errors_wait = true;
	return true;
}

/* sendmsg without waiting; bytes or -errno. */
static ssize_t send_message(struct socket *socket, const struct msghdr *message)
{
	ssize_t result = sendmsg(socket->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (result < 0 && transfer_should_send_again(socket))
		result = sendmsg(socket->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return result < 0 ? -errno : result;
}

/* Likewise, of one segment. */
static ssize_t send_segment(struct socket *socket, const demi_sgaseg_t *segment,
			    const struct sockaddr *address, socklen_t length)
{
	ssize_t result = sendto(socket->fd, segment->sgaseg_buf, segment->sgaseg_len,
				MSG_DONTWAIT | MSG_NOSIGNAL, address, length);

	if (result < 0 && transfer_should_send_again(socket))
		result = sendto(socket->fd, segment->sgaseg_buf, segment->sgaseg_len,
				MSG_DONTWAIT | MSG_NOSIGNAL, address, length);
	return result < 0 ? -errno : result;
}

/* One send of an array, without waiting; bytes or -errno. */
static ssize_t send_array(struct socket *socket, const demi_sgarray_t *sga,
			  const struct sockaddr *address, socklen_t length)
{
	struct iovec iov[DEMI_SGARRAY_MAXSIZE];
	struct msghdr message = {.msg_name = (void *)(uintptr_t)address,
				 .msg_namelen = length,
				 .msg_iov = iov,
				 .msg_iovlen = sga->sga_numsegs};

	if (sga->sga_numsegs == 1)
		return send_segment(socket, &sga->sga_segs[0], address, length);
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		iov[i] = (struct iovec){sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len};
	return send_message(socket, &message);
}

/* The socket's own request serves the first pending push, so that it cannot fail half sent. */
static struct push_request *allocate_request(struct socket *socket)
{
	if (socket->first_request_used)
		return heap_alloc(socket->catnap->context->heap, sizeof(struct push_request));
	socket->first_request_used = true;
	return &socket->first_request;
}

static void free_request(struct socket *socket, struct push_request *request)
{
	struct heap *heap = socket->catnap->context->heap;

	if (request == &socket->first_request)
		socket->first_request_used = false;
	else
		heap_free(heap, request);
}

static void drop_request(struct socket *socket, struct push_request *request)
{
	push_request_fini(request, socket->catnap->context->heap);
	free_request(socket, request);
}

static int make_request(struct socket *socket, const demi_sgarray_t *sga,
			struct push_request **request_out)
{
	struct push_request *request = allocate_request(socket);
	int error;

	if (!request)
		return -ENOMEM;
	error = push_request_init(request, socket->catnap->context->heap, sga);
	if (error)
		free_request(socket, request);
	else
		*request_out = request;
	return error;
}

/* Keep a push for later. */
static void keep_push(struct socket *socket, struct op *op, struct push_request *request,
		      const struct sockaddr *address, socklen_t length)
{
	if (!address && socket->type == SOCK_DGRAM) {
		/* The peer of now, whoever it is when this can be sent. */
		address = (const struct sockaddr *)&socket->peer;
		length = socket->peer_length;
	}
	if (address) {
		request->address_length = socket_address_size(socket, length);
		memcpy(&request->address, address, request->address_length);
	}
	op->request = request;
	op_list_append(&socket->pushes, op);
}

void transfer_drop_push(struct socket *socket, struct op *op, int error)
{
	drop_request(socket, op->request);
	complete(socket, op, error);
}

static void advance_pushes(struct socket *socket, size_t sent)
{
	while (socket->pushes.head) {
		struct op *op = socket->pushes.head;
		struct push_request *request = op->request;

		sent = push_request_advance(request, sent);
		if (!push_request_is_done(request))
			return;
		op_list_remove(&socket->pushes, op);
		transfer_drop_push(socket, op, 0);
		if (sent == 0 || socket->type == SOCK_DGRAM)
			return;
	}
}

static void fail_pushes(struct socket *socket, int error)
{
	struct op *op;

	socket->send_error = error;
	while ((op = op_list_take(&socket->pushes)))
		transfer_drop_push(socket, op, error);
}

unsigned int transfer_gather(const struct socket *socket, struct iovec *iov, unsigned int room)
{
	unsigned int count = 0;

	for (const struct op *op = socket->pushes.head; op && count < room; op = op->next) {
		const struct push_request *request = op->request;

		count += push_request_gather(request, iov + count, room - count);
		if (socket->type == SOCK_DGRAM || socket->sends_alone)
			break;
	}
	return count;
}

/* A send of gathered bytes failed: whose fault was it? */
static void fail_gathered(struct socket *socket, int error)
{
	struct op *op = socket->pushes.head;

	/* Memory that the kernel could not read: that is one push's, and the others go on. */
	if (error == EFAULT && socket->type == SOCK_STREAM && !socket->sends_alone &&
	    op != socket->pushes.tail) {
		socket->sends_alone = true;
		return;
	}
	socket->sends_alone = false;
	if (socket->type == SOCK_DGRAM ||
	    (error == EFAULT && !push_request_is_started(op->request)))
		transfer_drop_push(socket, op_list_take(&socket->pushes), error);
	else
		fail_pushes(socket, error);
}

void transfer_sent(struct socket *socket, ssize_t result)
{
	if (result >= 0) {
		socket->sends_alone = false;
		advance_pushes(socket, (size_t)result);
	} else if (result == -EAGAIN) {
		socket->poller.writable = false;
	} else if (result != -EINTR) {
		fail_gathered(socket, (int)-result);
	}
	if (!socket->pushes.head)
		socket_drained(socket);
}

void transfer_flush(struct socket *socket)
{
	ssize_t result = 0;

	if (socket->type == SOCK_DGRAM) {
		send_datagrams(socket);
		return;
	}
	while (socket->pushes.head && result != -EAGAIN) {
		const struct push_request *request = socket->pushes.head->request;
		struct iovec iov[2 * DEMI_SGARRAY_MAXSIZE];
		struct msghdr message = {.msg_iov = iov};

		message.msg_iovlen = transfer_gather(socket, iov, 2 * DEMI_SGARRAY_MAXSIZE);
		if (request->address_length) {
			message.msg_name = (void *)(uintptr_t)&request->address;
			message.msg_namelen = request->address_length;
		}
		result = send_message(socket, &message);
		transfer_sent(socket, result);
	}
}

/*
 * While the application works off what one poll round brought, its answers are collected, and made
 * as one system call when it waits again; a lone message is sent at once.
 */
static bool should_collect(const struct socket *socket, const demi_sgarray_t *sga)
{
	const struct catnap *catnap = socket->catnap;

	/* A datagram that may be too long is refused at once. */
	if (socket->type == SOCK_DGRAM && sga_length(sga) > DATAGRAM_BYTES_FIRST)
		return false;
	return catnap->batch && (catnap->collects || batch_has_sends(catnap->batch) ||
				 catnap->context->ops.fresh.head);
}

static int check_push(const struct socket *socket, const struct sockaddr *address)
{
	if (socket->type == SOCK_STREAM) {
		if (address || socket->state == SOCKET_LISTENING)
			return -EOPNOTSUPP;
		if (socket->write_shut)
			return -EPIPE;
		return socket->state == SOCKET_CONNECTED ? 0 : -ENOTCONN;
	}
	if (!address && socket->state != SOCKET_CONNECTED)
		return -EDESTADDRREQ;
	return 0;
}

/* Try to send now. 1: the operation is complete; 0: @sent_out bytes are gone, keep the rest. */
static int push_now(struct socket *socket, struct op *op, const demi_sgarray_t *sga,
		    const struct sockaddr *address, socklen_t length, size_t *sent_out)
{
	ssize_t sent = send_array(socket, sga, address, length);

	*sent_out = 0;
	if (sent == -EMSGSIZE)
		return -EMSGSIZE;
	if (sent == -EAGAIN || sent == -EINTR) {
		socket->poller.writable = sent == -EINTR;
		return 0;
	}
	if (sent >= 0 && (size_t)sent < sga_length(sga)) {
		*sent_out = (size_t)sent;
		return 0;
	}
	complete(socket, op, sent < 0 ? (int)-sent : 0);
	return 1;
}

/* What cannot be sent now, in memory of our own: the application may reuse or unmap its own. */
static int push_later(struct socket *socket, struct op *op, struct push_request *request,
		      const demi_sgarray_t *sga, const struct sockaddr *address, socklen_t length)
{
	if (push_request_copy(request, sga) < 0) {
		bool started = push_request_is_started(request);

		drop_request(socket, request);
		complete(socket, op, EFAULT);
		/* A part of it is on its way: nothing can follow. */
		if (started)
			fail_pushes(socket, EFAULT);
		return 0;
	}
	keep_push(socket, op, request, address, length);
	if (!socket->in_batch)
		socket_update(socket);
	return 0;
}

int transfer_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		  const struct sockaddr *address, socklen_t length)
{
	struct socket *socket = socket_of(queue);
	bool foreign = sga_has_foreign(socket->catnap->context->heap, sga);
	struct push_request *request = NULL;
	int error = check_push(socket, address);
	size_t sent = 0;

	if (!error && address)
		error = socket_check_address(socket, address, length);
	/* Room for a copy is taken first: a push must not fail half sent. */
	if (!error && foreign)
		error = make_request(socket, sga, &request);
	if (error)
		return error;
	if (!socket->pushes.head) {
		if (!foreign && should_collect(socket, sga))
			batch_queue_send(socket->catnap->batch, socket);
		else
			error = push_now(socket, op, sga, address, length, &sent);
		if (error) {
			if (request)
				drop_request(socket, request);
			return error < 0 ? error : 0;
		}
	}
	if (!request)
		error = make_request(socket, sga, &request);
	if (error)
		return error;
	if (sent > 0)
		push_request_advance(request, sent);
	return push_later(socket, op, request, sga, address, length);
}
