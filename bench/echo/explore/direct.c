/* SPDX-License-Identifier: MIT */
/*
 * Exploration: readiness without epoll, or with less of it.
 *
 * direct: recv on each socket in turn, again and again.
 * peek-poll: poll(2) over all sockets, then recv and send.
 */
#include "../echo_bench.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RX_BYTES (2 * ECHO_MSG_MAX)

static int start(struct echo_end *end)
{
	int rc = echo_open(end);

	for (unsigned int i = 0; !rc && i < end->params->nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	return rc;
}

static int try_recv(struct echo_end *end, unsigned int conn, void *buf)
{
	struct echo_conn *c = &end->conns[conn];
	ssize_t n = recv(c->fd, buf, RX_BYTES, 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
	}
	return echo_send_all(c->fd, echo_rx(end, conn, buf, n));
}

static int run_direct(struct echo_end *end)
{
	void *buf = malloc(RX_BYTES);
	int rc = buf ? start(end) : -ENOMEM;

	while (!rc && end->nopen) {
		for (unsigned int i = 0; !rc && end->nopen && i < end->params->nconns; i++) {
			if (end->conns[i].fd >= 0)
				rc = try_recv(end, i, buf);
		}
	}
	free(buf);
	return rc;
}

static int run_poll(struct echo_end *end)
{
	struct pollfd fds[ECHO_CONNS_MAX];
	unsigned int nconns = end->params->nconns;
	void *buf = malloc(RX_BYTES);
	int rc = buf ? start(end) : -ENOMEM;

	for (unsigned int i = 0; i < nconns; i++)
		fds[i] = (struct pollfd){.fd = end->conns[i].fd, .events = POLLIN};
	while (!rc && end->nopen) {
		if (poll(fds, nconns, 0) <= 0)
			continue;
		for (unsigned int i = 0; !rc && i < nconns; i++) {
			if (fds[i].revents)
				rc = try_recv(end, i, buf);
			fds[i].fd = end->conns[i].fd;
		}
	}
	free(buf);
	return rc;
}

/* epoll, but all receives of a batch before all its sends. */
static int run_two_phase(struct echo_end *end)
{
	static uint8_t bufs[ECHO_CONNS_MAX][8192];
	struct epoll_event events[ECHO_CONNS_MAX];
	struct echo_out outs[ECHO_CONNS_MAX];
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int rc = echo_open(end);

	for (unsigned int i = 0; !rc && i < end->params->nconns; i++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = i};

		if (epoll_ctl(epfd, EPOLL_CTL_ADD, end->conns[i].fd, &ev) < 0)
			rc = -errno;
	}
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	while (!rc && end->nopen) {
		int n = epoll_wait(epfd, events, ECHO_CONNS_MAX, 0);

		for (int i = 0; i < n; i++) {
			unsigned int conn = events[i].data.u32;
			ssize_t got = recv(end->conns[conn].fd, bufs[conn], sizeof(bufs[conn]), 0);

			outs[i] = (struct echo_out){0};
			if (got < 0 && errno == EAGAIN)
				continue;
			if (got <= 0)
				close(end->conns[conn].fd);
			outs[i] = echo_rx(end, conn, bufs[conn], got);
		}
		for (int i = 0; !rc && i < n; i++)
			rc = echo_send_all(end->conns[events[i].data.u32].fd, outs[i]);
	}
	close(epfd);
	return rc;
}

static const struct echo_impl two_phase = {.name = "epoll-2ph", .run = run_two_phase};
static const struct echo_impl direct = {.name = "direct", .run = run_direct};
static const struct echo_impl with_poll = {.name = "direct-poll", .run = run_poll};

const struct echo_impl *const direct_impls[] = {&two_phase, &direct, &with_poll, NULL};
