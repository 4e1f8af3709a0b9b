/* SPDX-License-Identifier: MIT */
/* Kernel sockets that spin: non-blocking calls in a loop, so that no wake-up is in the figure. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/exchange.h"

static int fd = -1;
static uint32_t bytes;
static char payload[EXCHANGE_BYTES_MAX];

static int kernel_start(const struct exchange_options *options)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(EXCHANGE_PORT)};
	struct sockaddr_in peer = local;

	bytes = options->bytes;
	inet_pton(AF_INET, options->local_ip, &local.sin_addr);
	inet_pton(AF_INET, options->peer_ip, &peer.sin_addr);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0) {
		fprintf(stderr, "kernel: %s to %s: %s\n", options->local_ip, options->peer_ip,
			strerror(errno));
		return -errno;
	}
	return 0;
}

static int kernel_receive(uint64_t timeout_ns)
{
	uint64_t end_ns = timeout_ns ? exchange_now_ns() + timeout_ns : 0;

	while (recv(fd, payload, sizeof(payload), MSG_DONTWAIT) < 0) {
		/* The peer is not there yet: an ICMP error of an earlier datagram. */
		if (errno != EAGAIN && errno != ECONNREFUSED)
			return -errno;
		if (timeout_ns && exchange_now_ns() > end_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

static int kernel_send(char kind)
{
	memset(payload, kind, bytes);
	if (send(fd, payload, bytes, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
		return -errno;
	return 0;
}

static int kernel_serve(void)
{
	for (;;) {
		int error = kernel_receive(0);
		char kind = payload[0];

		if (!error && send(fd, payload, bytes, MSG_DONTWAIT) < 0 && errno != EAGAIN)
			error = -errno;
		if (error || kind == EXCHANGE_STOP)
			return error;
	}
}

static int kernel_round_trips(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int error = kernel_send(EXCHANGE_PING);

		if (!error)
			error = kernel_receive(0);
		if (error)
			return error;
	}
	return 0;
}

static void kernel_stop(void)
{
	close(fd);
}

const struct exchange kernel_exchange = {
	.name = "kernel",
	.start = kernel_start,
	.serve = kernel_serve,
	.send = kernel_send,
	.receive = kernel_receive,
	.round_trips = kernel_round_trips,
	.stop = kernel_stop,
};
