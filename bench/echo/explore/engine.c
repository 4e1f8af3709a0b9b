/* SPDX-License-Identifier: MIT */
/* Exploration: few sockets by recv alone; many by poll/epoll for readiness and SQE batches. */
#include "../echo_bench.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FEW 4
#define FEW_READY 2

static uint8_t bufs[ECHO_CONNS_MAX][8192];

static int serve_direct(struct echo_end *end, unsigned int conn)
{
	struct echo_conn *c = &end->conns[conn];
	ssize_t n;

	if (c->fd < 0)
		return 0;
	n = recv(c->fd, bufs[conn], 8192, 0);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		c->fd = -1;
	return echo_send_all(c->fd, echo_rx(end, conn, bufs[conn], n));
}

static int serve_batch(struct echo_end *end, struct io_uring *ring, const unsigned int *conns,
		       int n)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	for (int i = 0; i < n; i++) {
		if (end->conns[conns[i]].fd < 0)
			continue;
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_recv(sqe, (int)conns[i], bufs[conns[i]], 8192, MSG_DONTWAIT);
		sqe->flags |= IOSQE_FIXED_FILE;
		sqe->user_data = conns[i];
	}
	io_uring_submit(ring);
	io_uring_for_each_cqe(ring, head, cqe)
	{
		unsigned int conn = (unsigned int)cqe->user_data;
		struct echo_out out;

		seen++;
		if (cqe->res == -EAGAIN)
			continue;
		if (cqe->res <= 0)
			end->conns[conn].fd = -1;
		out = echo_rx(end, conn, bufs[conn], cqe->res);
		if (!out.bytes)
			continue;
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_send(sqe, (int)conn, out.data, out.bytes,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
		sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
		sqe->user_data = 1000;
	}
	io_uring_cq_advance(ring, seen);
	io_uring_submit(ring);
	return io_uring_cq_ready(ring) ? -EIO : 0;
}

static int run(struct echo_end *end, bool use_epoll)
{
	unsigned int nconns = end->params->nconns;
	struct epoll_event events[ECHO_CONNS_MAX];
	struct pollfd pfds[ECHO_CONNS_MAX];
	unsigned int ready[ECHO_CONNS_MAX];
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int fds[ECHO_CONNS_MAX];
	struct io_uring ring;
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
		pfds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		if (use_epoll && nconns > FEW &&
		    epoll_ctl(epfd, EPOLL_CTL_ADD, end->conns[i].fd, &ev) < 0)
			rc = -errno;
	}
	io_uring_register_files(&ring, fds, nconns);
	io_uring_register_ring_fd(&ring);
	for (unsigned int i = 0; !rc && i < nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	while (!rc && end->nopen) {
		int n = 0;

		if (nconns <= FEW) {
			for (unsigned int i = 0; i < nconns && !rc; i++)
				rc = serve_direct(end, i);
			continue;
		}
		if (use_epoll) {
			n = epoll_wait(epfd, events, ECHO_CONNS_MAX, 0);
			for (int i = 0; i < n; i++)
				ready[i] = events[i].data.u32;
		} else if (poll(pfds, nconns, 0) > 0) {
			for (unsigned int i = 0; i < nconns; i++) {
				pfds[i].fd = end->conns[i].fd;
				if (pfds[i].revents)
					ready[n++] = i;
			}
		}
		if (n > FEW_READY)
			rc = serve_batch(end, &ring, ready, n);
		else
			for (int i = 0; i < n && !rc; i++)
				rc = serve_direct(end, ready[i]);
	}
	io_uring_queue_exit(&ring);
	close(epfd);
	return rc;
}

static int run_poll(struct echo_end *end)
{
	return run(end, false);
}

static int run_epoll(struct echo_end *end)
{
	return run(end, true);
}

static const struct echo_impl best_poll = {"best-poll", run_poll};
static const struct echo_impl best_epoll = {"best-epoll", run_epoll};

const struct echo_impl *const engine_impls[] = {&best_poll, &best_epoll, NULL};
