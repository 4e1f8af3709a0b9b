/* SPDX-License-Identifier: MIT */
/*
 * Echo by hand over io_uring, spinning: the baseline of the uring engine.
 *
 * The loop spins on the ring's flags word in user space and enters the kernel only when there is
 * something to submit or when IORING_SQ_TASKRUN says that a completion is to be had; one enter
 * submits all sends of a batch and collects what has come meanwhile. Sockets are registered files;
 * one multishot recv serves a connection for its life, from a ring of provided buffers.
 */
#include "echo/echo.h"

#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define NENTRIES 512 /* of the submission queue; > 2 * ECHO_CONNS_MAX */
#define NBUFS 512    /* of the provided buffer ring; power of two, > ECHO_CONNS_MAX */
#define BUF_BYTES 8192
#define BUF_GROUP 0

enum op {
	OP_RECV,
	OP_SEND,
};

struct uring {
	struct echo_end *end;
	struct io_uring ring;
	struct io_uring_buf_ring *buf_ring;
	uint8_t *bufs; /* NBUFS * BUF_BYTES */
};

/* A request's user_data; bid is the buffer that a server's send keeps busy. */
union tag {
	struct {
		uint16_t conn;
		uint16_t bid;
		uint32_t op;
	};
	uint64_t u64;
};

static uint8_t *buf_of(const struct uring *u, unsigned int bid)
{
	return u->bufs + (size_t)bid * BUF_BYTES;
}

/* Hands a buffer back to the kernel. */
static void recycle(struct uring *u, unsigned int bid)
{
	io_uring_buf_ring_add(u->buf_ring, buf_of(u, bid), BUF_BYTES, (unsigned short)bid,
			      io_uring_buf_ring_mask(NBUFS), 0);
	io_uring_buf_ring_advance(u->buf_ring, 1);
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	while (!sqe) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

static void arm_recv(struct uring *u, unsigned int conn)
{
	struct io_uring_sqe *sqe = get_sqe(u);
	union tag tag = {.op = OP_RECV, .conn = (uint16_t)conn};

	io_uring_prep_recv_multishot(sqe, (int)conn, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
	sqe->buf_group = BUF_GROUP;
	sqe->user_data = tag.u64;
}

static void queue_send(struct uring *u, unsigned int conn, unsigned int bid, struct echo_out out)
{
	union tag tag = {.op = OP_SEND, .conn = (uint16_t)conn, .bid = (uint16_t)bid};
	struct io_uring_sqe *sqe;

	if (!out.bytes)
		return;
	sqe = get_sqe(u);
	io_uring_prep_send(sqe, (int)conn, out.data, out.bytes, MSG_WAITALL | MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = tag.u64;
}

static void on_recv(struct uring *u, unsigned int conn, const struct io_uring_cqe *cqe)
{
	bool ended = cqe->res <= 0 && cqe->res != -ENOBUFS;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		unsigned int bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		struct echo_out out = echo_rx(u->end, conn, buf_of(u, bid), cqe->res);

		queue_send(u, conn, bid, out);
		/* The server's answer is sent from the buffer itself: kept until then. */
		if (!out.bytes || u->end->role == ECHO_CLIENT)
			recycle(u, bid);
	} else if (ended) {
		echo_rx(u->end, conn, NULL, cqe->res);
	}
	if (!ended && !(cqe->flags & IORING_CQE_F_MORE))
		arm_recv(u, conn);
}

static int on_send(struct uring *u, unsigned int bid, int res)
{
	if (res < 0)
		return res;
	if (u->end->role == ECHO_SERVER)
		recycle(u, bid);
	return 0;
}

static int on_cqe(struct uring *u, const struct io_uring_cqe *cqe)
{
	union tag tag = {.u64 = cqe->user_data};

	if (tag.op == OP_SEND)
		return on_send(u, tag.bid, cqe->res);
	on_recv(u, tag.conn, cqe);
	return 0;
}

static bool must_enter(struct uring *u)
{
	return io_uring_sq_ready(&u->ring) ||
	       IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int step(void *state)
{
	struct uring *u = state;
	struct io_uring_cqe *cqe;
	unsigned int seen = 0;
	unsigned int head;
	int rc = 0;

	if (must_enter(u)) {
		rc = io_uring_submit_and_get_events(&u->ring);
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		rc = on_cqe(u, cqe);
		if (rc)
			return rc;
		seen++;
	}
	if (seen)
		io_uring_cq_advance(&u->ring, seen);
	return 0;
}

static int set_up_buffers(struct uring *u)
{
	size_t ring_bytes = NBUFS * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = {.ring_entries = NBUFS, .bgid = BUF_GROUP};

	u->bufs = aligned_alloc(4096, NBUFS * BUF_BYTES);
	if (!u->bufs)
		return -ENOMEM;
	memset(u->bufs, 0, NBUFS * BUF_BYTES);
	u->buf_ring = aligned_alloc(4096, ring_bytes);
	if (!u->buf_ring)
		return -ENOMEM;
	memset(u->buf_ring, 0, ring_bytes);
	io_uring_buf_ring_init(u->buf_ring);
	for (unsigned int bid = 0; bid < NBUFS; bid++)
		recycle(u, bid);
	reg.ring_addr = (uintptr_t)u->buf_ring;
	return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

static int set_up_ring(struct uring *u)
{
	unsigned int nconns = u->end->params->nconns;
	int fds[ECHO_CONNS_MAX];
	int rc;

	for (unsigned int i = 0; i < nconns; i++)
		fds[i] = u->end->conns[i].fd;
	rc = io_uring_register_files(&u->ring, fds, nconns);
	if (rc)
		return rc;
	rc = io_uring_register_ring_fd(&u->ring);
	return rc < 0 ? rc : 0;
}

static void detach(void *state)
{
	struct uring *u = state;

	io_uring_queue_exit(&u->ring);
	free(u->buf_ring);
	free(u->bufs);
	free(u);
}

static int attach(struct echo_end *end, void **state_out)
{
	struct uring *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return -ENOMEM;
	u->end = end;
	rc = io_uring_queue_init(NENTRIES, &u->ring,
				 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
					 IORING_SETUP_TASKRUN_FLAG);
	if (rc) {
		free(u);
		return rc;
	}
	rc = set_up_ring(u);
	if (!rc)
		rc = set_up_buffers(u);
	if (rc) {
		detach(u);
		return rc;
	}
	for (unsigned int i = 0; i < end->params->nconns; i++) {
		arm_recv(u, i);
		queue_send(u, i, 0, echo_start(end, i));
	}
	*state_out = u;
	return 0;
}

const struct echo_by_hand echo_by_hand_uring = {attach, step, detach};

static int run(struct echo_end *end)
{
	return echo_run_by_hand(end, &echo_by_hand_uring);
}

const struct echo_impl echo_uring = {.name = "uring", .run = run};
