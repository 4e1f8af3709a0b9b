/* SPDX-License-Identifier: MIT */
#include "libos/catnap/batch.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "heap/buf.h"
#include "libos/catnap/socket.h"

/* Segments of one send; longer backlogs take several rounds. */
#define SEND_SEGMENTS 16u

/* What the kernel reads of a send while it is submitted. */
struct send_slot {
	struct socket *socket;
	struct msghdr message;
	struct iovec iov[SEND_SEGMENTS];
};

struct receive_slot {
	struct socket *socket;
	struct buf *buf;
};

struct batch {
	struct io_uring ring;
	int event_fd; /* -1 until files are used */
	uint32_t entries;
	uint32_t files_in_flight;
	uint32_t transfers;      /* recvs and sends prepared and not yet reaped */
	struct socket **senders; /* senders[senders_count]: have pushes to send */
	uint32_t senders_count;
	uint32_t senders_capacity;
	struct send_slot *sends;       /* sends[entries] */
	struct receive_slot *receives; /* receives[entries] */
};

/* user_data: a file request's address, or a slot's number with one of these. */
#define TAG_SEND 1ull
#define TAG_RECEIVE 2ull
#define TAG_MASK 3ull
#define TAG_BITS 2

int batch_create(struct batch **batch_out, uint32_t entries)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN |
						  IORING_SETUP_TASKRUN_FLAG};
	struct batch *batch = calloc(1, sizeof(*batch));
	int error = -ENOMEM;

	if (!batch)
		return -ENOMEM;
	batch->event_fd = -1;
	batch->entries = entries;
	batch->sends = calloc(entries, sizeof(*batch->sends));
	batch->receives = calloc(entries, sizeof(*batch->receives));
	if (batch->sends && batch->receives)
		error = io_uring_queue_init_params(entries, &batch->ring, &params);
	if (error) {
		free(batch->sends);
		free(batch->receives);
		free(batch);
		return error;
	}
	/* Spares a lookup of the ring's descriptor in each call; a kernel that cannot is slower. */
	io_uring_register_ring_fd(&batch->ring);
	*batch_out = batch;
	return 0;
}

int batch_watch_files(struct batch *batch)
{
	int error;

	if (batch->event_fd >= 0)
		return batch->event_fd;
	batch->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (batch->event_fd < 0)
		return -errno;
	error = io_uring_register_eventfd(&batch->ring, batch->event_fd);
	if (error) {
		close(batch->event_fd);
		batch->event_fd = -1;
		return error;
	}
	io_uring_cq_eventfd_toggle(&batch->ring, false);
	return batch->event_fd;
}

static bool has_work(const struct batch *batch)
{
	return io_uring_cq_ready(&batch->ring) > 0 || (IO_URING_READ_ONCE(*batch->ring.sq.kflags) &
						       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

bool batch_before_sleep(struct batch *batch)
{
	if (batch->senders_count > 0)
		return false;
	if (!batch->files_in_flight)
		return true;
	io_uring_cq_eventfd_toggle(&batch->ring, true);
	/* What completed before the kernel could see that is not announced. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !has_work(batch);
}

void batch_after_sleep(struct batch *batch)
{
	if (batch->files_in_flight)
		io_uring_cq_eventfd_toggle(&batch->ring, false);
}

/* Completions of file I/O may stand between those of a batch. */
static bool is_file_request(const struct io_uring_cqe *cqe)
{
	return (cqe->user_data & TAG_MASK) == 0;
}

static void file_request_done(struct batch *batch, const struct io_uring_cqe *cqe)
{
	struct batch_request *request = (struct batch_request *)(uintptr_t)cqe->user_data;
	int32_t result = cqe->res;

	batch->files_in_flight--;
	request->done(request, result);
}

static void reap_one(struct batch *batch, const struct io_uring_cqe *cqe)
{
	uint32_t slot = (uint32_t)(cqe->user_data >> TAG_BITS);
	struct socket *socket;

	if (is_file_request(cqe)) {
		file_request_done(batch, cqe);
		return;
	}
	batch->transfers--;
	if ((cqe->user_data & TAG_MASK) == TAG_SEND) {
		socket = batch->sends[slot].socket;
		transfer_sent(socket, cqe->res);
	} else {
		socket = batch->receives[slot].socket;
		transfer_received(socket, batch->receives[slot].buf, cqe->res);
	}
	socket_update(socket);
}

/*
 * Submit what was prepared and take in every completion. Those of recvs and sends are there when
 * the submission returns, since MSG_DONTWAIT makes the kernel fail them rather than arm a poll;
 * the loop is for submissions that the kernel refused for the moment.
 */
static void submit_and_reap(struct batch *batch)
{
	struct io_uring_cqe *cqe;

	do {
		io_uring_submit(&batch->ring);
		while (io_uring_peek_cqe(&batch->ring, &cqe) == 0) {
			/* A handler of file I/O may submit again: free the entry first. */
			struct io_uring_cqe copy = {.user_data = cqe->user_data, .res = cqe->res};

			io_uring_cqe_seen(&batch->ring, cqe);
			reap_one(batch, &copy);
		}
	} while (batch->transfers > 0);
}

/* Room for a submission. What an earlier one of a file left behind is submitted first. */
static struct io_uring_sqe *take_sqe(struct batch *batch)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&batch->ring)))
		io_uring_submit(&batch->ring);
	return sqe;
}

static void prepare_receive(struct batch *batch, uint32_t slot, struct socket *socket,
			    struct buf *buf)
{
	struct io_uring_sqe *sqe = take_sqe(batch);

	batch->receives[slot] = (struct receive_slot){.socket = socket, .buf = buf};
	io_uring_prep_recv(sqe, socket->fd, buf->data, buf->capacity, MSG_DONTWAIT);
	sqe->user_data = (uint64_t)slot << TAG_BITS | TAG_RECEIVE;
	batch->transfers++;
}

void batch_receive(struct batch *batch, struct socket *const sockets[], uint32_t count)
{
	uint32_t prepared = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct buf *buf = transfer_receive_buf(sockets[i]);

		if (!buf) {
			socket_update(sockets[i]);
			continue;
		}
		prepare_receive(batch, prepared++, sockets[i], buf);
		if (prepared == batch->entries) {
			submit_and_reap(batch);
			prepared = 0;
		}
	}
	if (prepared)
		submit_and_reap(batch);
}

void batch_queue_send(struct batch *batch, struct socket *socket)
{
	if (socket->in_batch)
		return;
	if (batch->senders_count == batch->senders_capacity) {
		uint32_t capacity = batch->senders_capacity ? 2 * batch->senders_capacity : 64;
		struct socket **senders = realloc(batch->senders,
						  capacity * sizeof(struct socket *));

		if (!senders)
			return; /* the poller will say when it can be sent */
		batch->senders = senders;
		batch->senders_capacity = capacity;
	}
	socket->in_batch = true;
	batch->senders[batch->senders_count++] = socket;
}

bool batch_has_sends(const struct batch *batch)
{
	return batch->senders_count > 0;
}

void batch_forget(struct batch *batch, struct socket *socket)
{
	if (!socket->in_batch)
		return;
	socket->in_batch = false;
	for (uint32_t i = 0; i < batch->senders_count; i++) {
		if (batch->senders[i] == socket) {
			batch->senders[i] = batch->senders[--batch->senders_count];
			return;
		}
	}
}

static void prepare_send(struct batch *batch, uint32_t number, struct socket *socket)
{
	struct io_uring_sqe *sqe = take_sqe(batch);
	struct send_slot *slot = &batch->sends[number];
	unsigned int count = transfer_gather(socket, slot->iov, SEND_SEGMENTS);

	slot->socket = socket;
	if (count == 1) {
		io_uring_prep_send(sqe, socket->fd, slot->iov[0].iov_base, slot->iov[0].iov_len,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		slot->message = (struct msghdr){.msg_iov = slot->iov, .msg_iovlen = count};
		io_uring_prep_sendmsg(sqe, socket->fd, &slot->message, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	sqe->user_data = (uint64_t)number << TAG_BITS | TAG_SEND;
	batch->transfers++;
}

void batch_flush(struct batch *batch)
{
	uint32_t count = batch->senders_count;

	while (count) {
		uint32_t prepared = 0;

		while (prepared < batch->entries && count) {
			struct socket *socket = batch->senders[--count];

			socket->in_batch = false;
			if (socket->type == SOCK_DGRAM) {
				/* One call sends many, but not over many sockets. */
				transfer_flush(socket);
				socket_update(socket);
			} else if (socket->pushes.head) {
				prepare_send(batch, prepared++, socket);
			}
		}
		batch->senders_count = count;
		if (prepared)
			submit_and_reap(batch);
	}
}

static struct io_uring_sqe *file_sqe(struct batch *batch)
{
	struct io_uring_sqe *sqe = take_sqe(batch);

	if (!sqe) {
		io_uring_submit(&batch->ring);
		sqe = io_uring_get_sqe(&batch->ring);
	}
	return sqe;
}

int batch_read(struct batch *batch, struct batch_request *request, int fd, void *data,
	       uint32_t length, int64_t offset)
{
	struct io_uring_sqe *sqe = file_sqe(batch);

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_read(sqe, fd, data, length, (uint64_t)offset);
	io_uring_sqe_set_data(sqe, request);
	batch->files_in_flight++;
	io_uring_submit(&batch->ring);
	return 0;
}

int batch_append(struct batch *batch, struct batch_request *request, int fd,
		 const struct iovec *iov, unsigned int count)
{
	struct io_uring_sqe *sqe = file_sqe(batch);

	if (!sqe)
		return -EAGAIN;
	/* The descriptor appends (O_APPEND); the write ends when it is durable. */
	io_uring_prep_writev2(sqe, fd, iov, count, 0, RWF_DSYNC);
	io_uring_sqe_set_data(sqe, request);
	batch->files_in_flight++;
	io_uring_submit(&batch->ring);
	return 0;
}

bool batch_has_files(const struct batch *batch)
{
	return batch->files_in_flight > 0;
}

void batch_poll(struct batch *batch)
{
	struct io_uring_cqe *cqe;

	if (!batch->files_in_flight)
		return;
	/* What an earlier submission left behind. */
	if (io_uring_sq_ready(&batch->ring) > 0)
		io_uring_submit(&batch->ring);
	if (IO_URING_READ_ONCE(*batch->ring.sq.kflags) &
	    (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
		io_uring_get_events(&batch->ring);
	while (io_uring_peek_cqe(&batch->ring, &cqe) == 0) {
		struct io_uring_cqe copy = {.user_data = cqe->user_data, .res = cqe->res};

		io_uring_cqe_seen(&batch->ring, cqe);
		file_request_done(batch, &copy);
	}
}

void batch_disown(struct batch *batch)
{
	close(batch->ring.ring_fd);
	if (batch->event_fd >= 0)
		close(batch->event_fd);
}

void batch_destroy(struct batch *batch)
{
	while (batch->files_in_flight) {
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe(&batch->ring, &cqe) == 0)
			batch_poll(batch);
	}
	io_uring_queue_exit(&batch->ring);
	if (batch->event_fd >= 0)
		close(batch->event_fd);
	free(batch->senders);
	free(batch->sends);
	free(batch->receives);
	free(batch);
}
