/* SPDX-License-Identifier: MIT */
/* Kernel sockets that spin: each connection is tried in turn, so that no wake-up is in the figure. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/stack.h"

#define CONNECTIONS_MAX 64u
/* A SYN that nobody heard is not worth waiting a second for. */
#define CONNECT_NS UINT64_C(100000000)

struct connection {
	int fd; /* -1: none */
	bool is_connecting;
	uint64_t give_up_ns; /* of connecting */
	uint64_t unsent;     /* bytes of messages */
};

static struct stack_options options;
static int listeners[STREAM_PORTS];
static struct connection connections[CONNECTIONS_MAX];
static char message[STREAM_MESSAGE_MAX], room[STREAM_MESSAGE_MAX];

static int kernel_start(const struct stack_options *given)
{
	options = *given;
	memset(listeners, 0xff, sizeof(listeners));
	memset(message, 'm', sizeof(message));
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
		connections[i].fd = -1;
	return options.connections <= CONNECTIONS_MAX ? 0 : -EMFILE;
}

static struct sockaddr_in address_of(const char *ip, uint32_t connection)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(stream_port(connection))};

	inet_pton(AF_INET, ip, &address.sin_addr);
	return address;
}

static int kernel_listen(void)
{
	int one = 1;

	for (uint32_t i = 0; i < STREAM_PORTS; i++) {
		struct sockaddr_in address = address_of(options.local_ip, i);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		listeners[i] = fd;
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		    listen(fd, 128) < 0) {
			perror("kernel: listen");
			return -errno;
		}
	}
	return 0;
}

static void keep(struct connection *connection, int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*connection = (struct connection){.fd = fd};
}

static int kernel_connect(uint32_t number)
{
	struct connection *connection = &connections[number];
	struct sockaddr_in address = address_of(options.peer_ip, number);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	keep(connection, fd);
	connection->is_connecting = true;
	connection->give_up_ns = stream_now_ns() + CONNECT_NS;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		connection->give_up_ns = 0;
	return 0;
}

static void end(uint32_t number)
{
	close(connections[number].fd);
	connections[number].fd = -1;
	stream_closed(number);
}

static void look_at_connect(uint32_t number)
{
	struct connection *connection = &connections[number];
	struct pollfd pollfd = {.fd = connection->fd, .events = POLLOUT};
	socklen_t size = sizeof(int);
	int error = 0;

	if (poll(&pollfd, 1, 0) == 1) {
		getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		connection->is_connecting = false;
		if (error)
			end(number);
		else
			stream_opened(number);
	} else if (stream_now_ns() > connection->give_up_ns) {
		end(number);
	}
}

static void accept_some(void)
{
	for (uint32_t i = 0; i < STREAM_PORTS; i++) {
		int fd = accept4(listeners[i], NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0)
			keep(&connections[stream_accepted()], fd);
	}
}

static int flush(struct connection *connection)
{
	while (connection->unsent > 0) {
		size_t bytes = connection->unsent < sizeof(message) ? connection->unsent
								    : sizeof(message);
		ssize_t sent = send(connection->fd, message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN ? 0 : -errno;
		connection->unsent -= (uint64_t)sent;
	}
	return 0;
}

static int kernel_send(uint32_t number, uint32_t bytes)
{
	connections[number].unsent += bytes;
	return flush(&connections[number]);
}

static int look_at(uint32_t number)
{
	struct connection *connection = &connections[number];
	ssize_t bytes;
	uint32_t due;
	int error = connection->unsent ? flush(connection) : 0;

	bytes = error ? error : recv(connection->fd, room, sizeof(room), MSG_DONTWAIT);
	if (bytes < 0 && errno == EAGAIN)
		return 0;
	if (bytes <= 0) {
		end(number);
		return 0;
	}
	due = stream_received(number, (uint32_t)bytes);
	return due ? kernel_send(number, due * stream_message_bytes()) : 0;
}

static int kernel_poll(void)
{
	static uint32_t turns;
	int error = 0;

	/* Seldom, since it is a system call for each port. */
	if (options.is_server && turns++ % 256 == 0)
		accept_some();
	for (uint32_t i = 0; !error && i < options.connections; i++) {
		if (connections[i].fd < 0)
			continue;
		if (connections[i].is_connecting)
			look_at_connect(i);
		else
			error = look_at(i);
	}
	return error;
}

static int kernel_close(uint32_t number)
{
	if (connections[number].fd < 0)
		return 0;
	/* The peer is told at once, whatever it has sent that nobody read. */
	shutdown(connections[number].fd, SHUT_RDWR);
	close(connections[number].fd);
	connections[number].fd = -1;
	return 0;
}

static uint64_t kernel_allocated(void)
{
	return 0;
}

static void kernel_stop(void)
{
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
		kernel_close(i);
	for (uint32_t i = 0; i < STREAM_PORTS; i++) {
		if (listeners[i] >= 0)
			close(listeners[i]);
	}
}

const struct stack kernel_stack = {
	.name = "kernel",
	.start = kernel_start,
	.listen = kernel_listen,
	.connect = kernel_connect,
	.send = kernel_send,
	.poll = kernel_poll,
	.close = kernel_close,
	.allocated = kernel_allocated,
	.stop = kernel_stop,
};
