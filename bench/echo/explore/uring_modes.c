/* SPDX-License-Identifier: MIT */
/*
 * Exploration: the baseline over io_uring (../uring.c) with other ways to receive and send.
 *
 * The loop spins on the ring's flags word in user space and enters the kernel only when there is
 * something to submit or when IORING_SQ_TASKRUN says that a completion is to be had; one enter
 * submits all sends of a batch and collects what has come meanwhile. Sockets are registered files.
 */
#include "../echo_bench.h"

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

/* How to receive and send; the baseline keeps the fastest. */
struct mode {
	bool multishot;   /* one recv request a connection, buffers from a ring */
	bool poll_first;  /* single-shot: wait for data before the first attempt */
	bool direct_send; /* send by system call, not by SQE */
	bool flush_each;  /* an enter for each send */
	bool adaptive;    /* direct send when a batch has one completion */
};

struct uring {
	struct echo_end *end;
	struct mode mode;
	bool lone; /* adaptive: the batch at hand has one completion */
	struct io_uring ring;
	struct io_uring_buf_ring *buf_ring; /* multishot: NULL otherwise */
	uint8_t *bufs;                      /* NBUFS * BUF_BYTES; single-shot: one a connection */
};

/* A request's user_data; bid is the buffer that a send keeps busy. */
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

/* Hands a buffer back to the kernel; it is seen once the caller has advanced the ring by 1. */
static void recycle(struct uring *u, unsigned int bid)
{
	if (!u->buf_ring)
		return;
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
	union tag tag = {.op = OP_RECV, .conn = (uint16_t)conn, .bid = (uint16_t)conn};

	if (u->mode.multishot) {
		io_uring_prep_recv_multishot(sqe, (int)conn, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = BUF_GROUP;
	} else {
		io_uring_prep_recv(sqe, (int)conn, buf_of(u, conn), BUF_BYTES, 0);
	}
	if (u->mode.poll_first)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = tag.u64;
}

static int send_out(struct uring *u, unsigned int conn, unsigned int bid, struct echo_out out)
{
	union tag tag = {.op = OP_SEND, .conn = (uint16_t)conn, .bid = (uint16_t)bid};
	struct io_uring_sqe *sqe;

	if (!out.bytes)
		return 0;
	if (u->mode.direct_send || u->lone)
		return echo_send_all(u->end->conns[conn].fd, out);
	sqe = get_sqe(u);
	io_uring_prep_send(sqe, (int)conn, out.data, out.bytes, MSG_WAITALL | MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = tag.u64;
	if (u->mode.flush_each)
		io_uring_submit(&u->ring);
	return 0;
}

/* True when the answer to a received buffer still needs that buffer. */
static bool keeps_buffer(const struct uring *u, struct echo_out out)
{
	return out.bytes && u->end->role == ECHO_SERVER && !u->mode.direct_send && !u->lone;
}

static int on_recv(struct uring *u, unsigned int conn, const struct io_uring_cqe *cqe)
{
	bool has_buf = cqe->flags & IORING_CQE_F_BUFFER;
	unsigned int bid = has_buf ? cqe->flags >> IORING_CQE_BUFFER_SHIFT : conn;
	struct echo_out out = {0};
	int rc = 0;

	if (cqe->res != -ENOBUFS) {
		out = echo_rx(u->end, conn, buf_of(u, bid), cqe->res);
		rc = send_out(u, conn, bid, out);
		if (has_buf && !keeps_buffer(u, out))
			recycle(u, bid);
	}
	if (rc || (cqe->res <= 0 && cqe->res != -ENOBUFS))
		return rc;
	/* A single-shot server receives into the buffer it sends from: in order, after the send. */
	if (!(cqe->flags & IORING_CQE_F_MORE) && (u->mode.multishot || !keeps_buffer(u, out)))
		arm_recv(u, conn);
	return 0;
}

static int on_send(struct uring *u, union tag tag, int res)
{
	if (res < 0)
		return res;
	if (u->end->role == ECHO_CLIENT)
		return 0;
	if (u->mode.multishot)
		recycle(u, tag.bid);
	else
		arm_recv(u, tag.conn);
	return 0;
}

static bool must_enter(struct uring *u)
{
	return io_uring_sq_ready(&u->ring) ||
	       IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int spin(struct uring *u)
{
	while (u->end->nopen) {
		struct io_uring_cqe *cqe;
		unsigned int seen = 0;
		unsigned int head;

		if (must_enter(u)) {
			int rc = io_uring_submit_and_get_events(&u->ring);

			if (rc < 0 && rc != -EINTR)
				return rc;
		}
		u->lone = u->mode.adaptive && io_uring_cq_ready(&u->ring) <= 2;
		io_uring_for_each_cqe(&u->ring, head, cqe)
		{
			union tag tag = {.u64 = cqe->user_data};
			int rc = tag.op == OP_RECV ? on_recv(u, tag.conn, cqe)
						   : on_send(u, tag, cqe->res);

			if (rc)
				return rc;
			seen++;
		}
		if (seen)
			io_uring_cq_advance(&u->ring, seen);
	}
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
	if (!u->mode.multishot)
		return 0;
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

static int run(struct echo_end *end, struct mode mode)
{
	struct uring u = {.end = end, .mode = mode};
	int rc;

	rc = echo_open(end);
	if (rc)
		return rc;
	rc = io_uring_queue_init(NENTRIES, &u.ring,
				 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
					 IORING_SETUP_TASKRUN_FLAG);
	if (rc)
		return rc;
	rc = set_up_ring(&u);
	if (!rc)
		rc = set_up_buffers(&u);
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++) {
		arm_recv(&u, i);
		rc = send_out(&u, i, i, echo_start(end, i));
	}
	if (!rc)
		rc = spin(&u);
	io_uring_queue_exit(&u.ring);
	free(u.buf_ring);
	free(u.bufs);
	return rc;
}

static int run_multishot(struct echo_end *end)
{
	return run(end, (struct mode){.multishot = true});
}

static int run_multishot_direct(struct echo_end *end)
{
	return run(end, (struct mode){.multishot = true, .direct_send = true});
}

static int run_single(struct echo_end *end)
{
	return run(end, (struct mode){.multishot = false});
}

static int run_single_poll(struct echo_end *end)
{
	return run(end, (struct mode){.poll_first = true});
}

static int run_single_direct(struct echo_end *end)
{
	return run(end, (struct mode){.poll_first = true, .direct_send = true});
}

static int run_flush(struct echo_end *end)
{
	return run(end, (struct mode){.multishot = true, .flush_each = true});
}

static int run_adaptive(struct echo_end *end)
{
	return run(end, (struct mode){.multishot = true, .adaptive = true});
}

static const struct echo_impl flush = {"uring-ms-flush", run_flush};
static const struct echo_impl adaptive = {"uring-ms-adapt", run_adaptive};
static const struct echo_impl multishot = {"uring-ms", run_multishot};
static const struct echo_impl multishot_direct = {"uring-ms-dsend", run_multishot_direct};
static const struct echo_impl single = {"uring-ss", run_single};
static const struct echo_impl single_poll = {"uring-ss-pf", run_single_poll};
static const struct echo_impl single_direct = {"uring-ss-dsend", run_single_direct};

const struct echo_impl *const uring_mode_impls[] = {
	&flush,  &adaptive,    &multishot,     &multishot_direct,
	&single, &single_poll, &single_direct, NULL,
};
