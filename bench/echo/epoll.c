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

struct epoll_echo {
	struct echo_end *end;
	int epfd;
	uint8_t buf[RX_BYTES];
};

/* Receives all that is there and answers it. */
static int serve(struct epoll_echo *echo, unsigned int conn)
{
	struct echo_end *end = echo->end;
	int fd = end->conns[conn].fd;
	ssize_t n;
	int rc;

	do {
		n = recv(fd, echo->buf, RX_BYTES, 0);
		if (n < 0 && errno == EAGAIN)
			return 0;
		rc = echo_send_all(fd, echo_rx(end, conn, echo->buf, n));
		if (rc)
			return rc;
	} while (n == RX_BYTES);
	if (n <= 0)
		close(fd);
	return 0;
}

static int step(void *state)
{
	struct epoll_echo *echo = state;
	struct epoll_event events[ECHO_CONNS_MAX];
	int n = epoll_wait(echo->epfd, events, ECHO_CONNS_MAX, 0);
	int rc = 0;

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; !rc && i < n; i++)
		rc = serve(echo, events[i].data.u32);
	return rc;
}

static int watch(struct epoll_echo *echo, unsigned int conn)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = conn};

	return epoll_ctl(echo->epfd, EPOLL_CTL_ADD, echo->end->conns[conn].fd, &ev) ? -errno : 0;
}

static void detach(void *state)
{
	struct epoll_echo *echo = state;

	close(echo->epfd);
	free(echo);
}

static int attach(struct echo_end *end, void **state_out)
{
	struct epoll_echo *echo = calloc(1, sizeof(*echo));
	int rc = 0;

	if (!echo)
		return -ENOMEM;
	echo->end = end;
	echo->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (echo->epfd < 0)
		rc = -errno;
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++)
		rc = watch(echo, i);
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++)
		rc = echo_send_all(end->conns[i].fd, echo_start(end, i));
	if (rc)
		detach(echo);
	else
		*state_out = echo;
	return rc;
}

const struct echo_by_hand echo_by_hand_epoll = {attach, step, detach};

static int run(struct echo_end *end)
{
	return echo_run_by_hand(end, &echo_by_hand_epoll);
}

const struct echo_impl echo_epoll = {.name = "epoll", .run = run};
