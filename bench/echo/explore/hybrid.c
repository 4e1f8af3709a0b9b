/* SPDX-License-Identifier: MIT */
/*
 * Exploration: io_uring multishot poll for readiness, direct recv and send system calls.
 *
 * coop: COOP_TASKRUN, so that poll completions are also posted on the way out of any recv or send;
 * with one connection the flag alone says who is readable and recv is called without an enter.
 * defer: DEFER_TASKRUN, an enter collects the completions.
 */
#include "../echo_bench.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RX_BYTES (2 * ECHO_MSG_MAX)

struct hybrid {
	struct echo_end *end;
	struct io_uring ring;
	bool guess; /* one connection: flag set means recv at once */
	void *buf;
};

static int arm_poll(struct hybrid *h, unsigned int conn)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&h->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_multishot(sqe, (int)conn, POLLIN);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = conn;
	return 0;
}

static int try_recv(struct hybrid *h, unsigned int conn)
{
	struct echo_conn *c = &h->end->conns[conn];
	ssize_t n;

	if (c->fd < 0)
		return 0;
	n = recv(c->fd, h->buf, RX_BYTES, 0);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		c->fd = -1;
	return echo_send_all(c->fd, echo_rx(h->end, conn, h->buf, n));
}

static int on_cqes(struct hybrid *h)
{
	struct io_uring_cqe *cqe;
	unsigned int seen = 0;
	unsigned int head;
	int rc = 0;

	io_uring_for_each_cqe(&h->ring, head, cqe)
	{
		unsigned int conn = (unsigned int)cqe->user_data;
		bool more = cqe->flags & IORING_CQE_F_MORE;

		seen++;
		/* After a guess mostly in vain, but a message may have come since. */
		rc = try_recv(h, conn);
		if (!rc && !more)
			rc = arm_poll(h, conn);
		if (rc)
			break;
	}
	io_uring_cq_advance(&h->ring, seen);
	return rc;
}

static int spin(struct hybrid *h)
{
	while (h->end->nopen) {
		unsigned int flags = IO_URING_READ_ONCE(*h->ring.sq.kflags);
		int rc;

		if (h->guess && flags & IORING_SQ_TASKRUN) {
			rc = try_recv(h, 0);
			if (rc)
				return rc;
		} else if (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW) ||
			   io_uring_sq_ready(&h->ring)) {
			rc = io_uring_submit_and_get_events(&h->ring);
			if (rc < 0 && rc != -EINTR)
				return rc;
		}
		rc = on_cqes(h);
		if (rc)
			return rc;
	}
	return 0;
}

static int run(struct echo_end *end, unsigned int flags, bool guess)
{
	unsigned int nconns = end->params->nconns;
	struct hybrid h = {.end = end, .guess = guess && nconns == 1};
	int fds[ECHO_CONNS_MAX];
	int rc;

	h.buf = malloc(RX_BYTES);
	rc = h.buf ? echo_open(end) : -ENOMEM;
	if (rc)
		return rc;
	rc = io_uring_queue_init(512, &h.ring,
				 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG | flags);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < nconns; i++)
		fds[i] = end->conns[i].fd;
	rc = io_uring_register_files(&h.ring, fds, nconns);
	if (!rc && io_uring_register_ring_fd(&h.ring) < 0)
		rc = -EINVAL;
	for (unsigned int i = 0; !rc && i < nconns; i++)
		rc = arm_poll(&h, i);
	if (!rc && io_uring_submit(&h.ring) < 0)
		rc = -EINVAL;
	/* What came before the polls were armed. */
	for (unsigned int i = 0; !rc && i < nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	for (unsigned int i = 0; !rc && i < nconns; i++)
		rc = try_recv(&h, i);
	if (!rc)
		rc = spin(&h);
	io_uring_queue_exit(&h.ring);
	free(h.buf);
	return rc;
}

static int run_coop(struct echo_end *end)
{
	return run(end, IORING_SETUP_COOP_TASKRUN, true);
}

static int run_defer(struct echo_end *end)
{
	return run(end, IORING_SETUP_DEFER_TASKRUN, false);
}

/*
 * epoll says who is readable; one enter carries the sends of the last batch and the receives of
 * this one, all MSG_DONTWAIT, so that every request completes inline and no task work is made.
 */
static int run_epoll_sqe(struct echo_end *end)
{
	static uint8_t bufs[ECHO_CONNS_MAX][8192];
	struct epoll_event events[ECHO_CONNS_MAX];
	unsigned int nconns = end->params->nconns;
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct io_uring ring;
	int fds[ECHO_CONNS_MAX];
	int rc = echo_open(end);

	if (!rc)
		rc = io_uring_queue_init(1024, &ring,
					 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
						 IORING_SETUP_TASKRUN_FLAG);
	if (rc)
		return rc;
	for (unsigned int i = 0; !rc && i < nconns; i++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = i};

		fds[i] = end->conns[i].fd;
		if (epoll_ctl(epfd, EPOLL_CTL_ADD, end->conns[i].fd, &ev) < 0)
			rc = -errno;
	}
	io_uring_register_files(&ring, fds, nconns);
	io_uring_register_ring_fd(&ring);
	for (unsigned int i = 0; !rc && i < nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	while (!rc && end->nopen) {
		int n = epoll_wait(epfd, events, ECHO_CONNS_MAX, 0);
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;

		for (int i = 0; i < n; i++) {
			unsigned int conn = events[i].data.u32;
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_recv(sqe, (int)conn, bufs[conn], 8192, MSG_DONTWAIT);
			sqe->flags |= IOSQE_FIXED_FILE;
			sqe->user_data = conn;
		}
		if (!io_uring_sq_ready(&ring))
			continue;
		io_uring_submit(&ring);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			unsigned int conn = (unsigned int)cqe->user_data;
			struct io_uring_sqe *sqe;
			struct echo_out out;

			seen++;
			if (cqe->user_data >> 32) {
				if (cqe->res < 0)
					rc = cqe->res;
				continue;
			}
			if (cqe->res == -EAGAIN)
				continue;
			out = echo_rx(end, conn, bufs[conn], cqe->res);
			if (!out.bytes)
				continue;
			sqe = io_uring_get_sqe(&ring);
			io_uring_prep_send(sqe, (int)conn, out.data, out.bytes,
					   MSG_DONTWAIT | MSG_NOSIGNAL);
			sqe->flags |= IOSQE_FIXED_FILE;
			sqe->user_data = conn | 1ull << 32;
		}
		io_uring_cq_advance(&ring, seen);
		if (io_uring_sq_ready(&ring) && seen)
			io_uring_submit(&ring);
	}
	io_uring_queue_exit(&ring);
	close(epfd);
	return rc;
}

static const struct echo_impl epoll_sqe = {"epoll-sqe", run_epoll_sqe};
static const struct echo_impl coop = {"hybrid-coop", run_coop};
static const struct echo_impl defer = {"hybrid-defer", run_defer};

const struct echo_impl *const hybrid_impls[] = {&epoll_sqe, &coop, &defer, NULL};
