/* SPDX-License-Identifier: MIT */
/* The kernel sockets of the ends that are written by hand, and what every end starts with. */
#include "echo/echo.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

void echo_set_up(struct echo_end *end, enum echo_role role, const struct echo_params *params,
		 struct echo_result *result)
{
	end->role = role;
	end->params = params;
	end->nopen = params->nconns;
	end->warm_ns = echo_now_ns() + ECHO_WARMUP_NS;
	end->result = result;
	memset(end->tx, 'x', sizeof(end->tx));
	for (unsigned int i = 0; i < ECHO_CONNS_MAX; i++)
		end->conns[i].fd = -1;
}

int echo_set_up_socket(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int accept_all(struct echo_end *end)
{
	struct sockaddr_in addr = echo_loopback(end->params->port);
	int one = 1;
	int rc = 0;
	int lfd;

	lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lfd < 0)
		return -errno;
	if (setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(lfd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(lfd, ECHO_CONNS_MAX) < 0)
		rc = -errno;
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++) {
		end->conns[i].fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
		rc = end->conns[i].fd < 0 ? -errno : echo_set_up_socket(end->conns[i].fd);
	}
	close(lfd);
	return rc;
}

static int connect_one(uint16_t port)
{
	struct sockaddr_in addr = echo_loopback(port);

	for (int tries = 0; tries < 1000; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int connect_all(struct echo_end *end)
{
	for (unsigned int i = 0; i < end->params->nconns; i++) {
		int fd = connect_one(end->params->port);
		int rc = fd < 0 ? fd : echo_set_up_socket(fd);

		if (rc)
			return rc;
		end->conns[i].fd = fd;
	}
	return 0;
}

int echo_open(struct echo_end *end)
{
	return end->role == ECHO_SERVER ? accept_all(end) : connect_all(end);
}

int echo_send_all(int fd, struct echo_out out)
{
	const uint8_t *data = out.data;

	while (out.bytes) {
		ssize_t n = send(fd, data, out.bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		out.bytes -= (size_t)n;
	}
	return 0;
}

int echo_run_by_hand(struct echo_end *end, const struct echo_by_hand *by_hand)
{
	void *state;
	int rc = echo_open(end);

	if (!rc)
		rc = by_hand->attach(end, &state);
	if (rc)
		return rc;
	while (!rc && end->nopen)
		rc = by_hand->step(state);
	by_hand->detach(state);
	return rc;
}
