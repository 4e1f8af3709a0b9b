/* SPDX-License-Identifier: MIT */
/*
 * Exploration: readiness without epoll, or with less of it.
 *
 * direct: recv on each socket in turn, again and again.
 * peek-poll: poll(2) over all sockets, then recv and send.
 */
#include "echo_bench.h"

#include <poll.h>
#include <stdlib.h>
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
		fds[i] = (struct pollfd){ .fd = end->conns[i].fd, .events = POLLIN };
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

static const struct echo_impl direct = { .name = "direct", .run = run_direct };
static const struct echo_impl with_poll = { .name = "direct-poll", .run = run_poll };

const struct echo_impl *const direct_impls[] = { &direct, &with_poll, NULL };
