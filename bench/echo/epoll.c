/* SPDX-License-Identifier: MIT */
/*
 * Echo by hand over epoll, spinning: the baseline of the epoll engine.
 *
 * epoll_wait with a zero timeout says which sockets are readable, one recv and one send serve each.
 * Edge-triggered spares the kernel a second look at each socket; the receive buffer is larger
 * than a message, so a short count proves that the socket is empty and no EAGAIN has to be asked.
 */
#include "echo/echo.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RX_BYTES (2 * ECHO_MSG_MAX)

/* Receives all that is there and answers it. */
static int serve(struct echo_end *end, unsigned int conn, void *buf)
{
	int fd = end->conns[conn].fd;
	ssize_t n;
	int rc;

	do {
		n = recv(fd, buf, RX_BYTES, 0);
		if (n < 0 && errno == EAGAIN)
			return 0;
		rc = echo_send_all(fd, echo_rx(end, conn, buf, n));
		if (rc)
			return rc;
	} while (n == RX_BYTES);
	if (n <= 0)
		close(fd);
	return 0;
}

static int spin(struct echo_end *end, int epfd, void *buf)
{
	struct epoll_event events[ECHO_CONNS_MAX];

	while (end->nopen) {
		int n = epoll_wait(epfd, events, ECHO_CONNS_MAX, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			int rc = serve(end, events[i].data.u32, buf);

			if (rc)
				return rc;
		}
	}
	return 0;
}

static int run(struct echo_end *end)
{
	void *buf = NULL;
	int epfd = -1;
	int rc;

	rc = echo_open(end);
	if (rc)
		return rc;
	buf = malloc(RX_BYTES);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!buf || epfd < 0) {
		rc = -errno;
		goto out;
	}
	for (unsigned int i = 0; i < end->params->nconns; i++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = i};

		if (epoll_ctl(epfd, EPOLL_CTL_ADD, end->conns[i].fd, &ev) < 0) {
			rc = -errno;
			goto out;
		}
	}
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	if (!rc)
		rc = spin(end, epfd, buf);
out:
	if (epfd >= 0)
		close(epfd);
	free(buf);
	return rc;
}

const struct echo_impl echo_epoll = {.name = "epoll", .run = run};
