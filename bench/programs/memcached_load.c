/* SPDX-License-Identifier: MIT */
/*
 * Asks a memcached over plain sockets: on each connection one request is under way, nine gets of
 * ten, the tenth a set. Says what it measured as a line of JSON; every answer's length is checked.
 *
 * usage: memcached-load ADDRESS PORT CONNECTIONS SECONDS VALUE_BYTES
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define VALUE_BYTES_MAX 65536
#define LATENCIES_MAX (1u << 24)
#define STORED_BYTES (sizeof("STORED\r\n") - 1)

struct connection {
	int fd;
	unsigned int turn;
	uint64_t asked_ns;
	size_t missing_bytes; /* of the answer */
};

static struct connection connections[CONNECTIONS_MAX];
static char set_request[VALUE_BYTES_MAX + 64], buffer[VALUE_BYTES_MAX + 64];
static size_t set_bytes, got_bytes;
static uint32_t *latencies_ns;
static size_t latency_count;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void ask(struct connection *connection)
{
	static const char get_request[] = "get key\r\n";
	const bool set = connection->turn++ % 10 == 0;
	const char *request = set ? set_request : get_request;
	size_t left = set ? set_bytes : sizeof(get_request) - 1;

	connection->missing_bytes = set ? STORED_BYTES : got_bytes;
	connection->asked_ns = clock_ns();
	while (left != 0) {
		ssize_t sent = send(connection->fd, request, left, 0);

		if (sent < 0)
			err(1, "send");
		request += sent;
		left -= (size_t)sent;
	}
}

static void answer(struct connection *connection)
{
	ssize_t got = recv(connection->fd, buffer, sizeof(buffer), 0);

	if (got <= 0)
		err(1, "recv");
	if ((size_t)got > connection->missing_bytes)
		errx(1, "an answer is %zu bytes too long", (size_t)got - connection->missing_bytes);
	connection->missing_bytes -= (size_t)got;
	if (connection->missing_bytes != 0)
		return;
	if (latency_count < LATENCIES_MAX)
		latencies_ns[latency_count++] = (uint32_t)(clock_ns() - connection->asked_ns);
	ask(connection);
}

static void make_requests(unsigned int value_bytes)
{
	int head = snprintf(set_request, sizeof(set_request), "set key 0 0 %u\r\n", value_bytes);

	memset(set_request + head, 'x', value_bytes);
	memcpy(set_request + head + value_bytes, "\r\n", 2);
	set_bytes = (size_t)head + value_bytes + 2;
	got_bytes = (size_t)snprintf(NULL, 0, "VALUE key 0 %u\r\n\r\nEND\r\n", value_bytes) +
		    value_bytes;
}

static void connect_all(char **words, unsigned int count, int epoll_fd)
{
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)atoi(words[1]))};
	const int on = 1;

	if (inet_pton(AF_INET, words[0], &peer.sin_addr) != 1)
		errx(2, "%s is not an address of IPv4", words[0]);
	for (unsigned int i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0)
			err(1, "connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connections[i].fd = fd;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
			err(1, "epoll_ctl");
		ask(&connections[i]);
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(uint64_t passed_ns)
{
	if (latency_count == 0)
		errx(1, "nothing was answered");
	qsort(latencies_ns, latency_count, sizeof(*latencies_ns), compare);
	printf("{\"rate\": %.0f, \"p50\": %.1f, \"p99\": %.1f}\n",
	       (double)latency_count * 1e9 / (double)passed_ns,
	       latencies_ns[latency_count / 2] / 1e3, latencies_ns[latency_count * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	const int epoll_fd = epoll_create1(0);
	unsigned int count, value_bytes;
	uint64_t start_ns, end_ns, now_ns;

	if (argc != 6)
		errx(2, "usage: memcached-load ADDRESS PORT CONNECTIONS SECONDS VALUE_BYTES");
	count = (unsigned int)atoi(argv[3]);
	value_bytes = (unsigned int)atoi(argv[5]);
	latencies_ns = malloc(LATENCIES_MAX * sizeof(*latencies_ns));
	if (count > CONNECTIONS_MAX || value_bytes > VALUE_BYTES_MAX || epoll_fd < 0 ||
	    latencies_ns == NULL)
		errx(2, "at most %d connections and %d bytes", CONNECTIONS_MAX, VALUE_BYTES_MAX);
	make_requests(value_bytes);
	connect_all(argv + 1, count, epoll_fd);
	start_ns = clock_ns();
	end_ns = start_ns + (uint64_t)(atof(argv[4]) * 1e9);
	while ((now_ns = clock_ns()) < end_ns) {
		int ready = epoll_wait(epoll_fd, events, 64, 1000);

		if (ready < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < ready; i++)
			answer(events[i].data.ptr);
	}
	report(now_ns - start_ns);
	return 0;
}
