/* SPDX-License-Identifier: MIT */
/*
 * The server over sockets and epoll. What a recv returns is appended to the log and made durable,
 * if there is one, and sent back. What the socket does not take at once is kept, and the
 * connection is not read until it is out.
 */
#include "plain.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "serving.h"

#define BACKLOG 1024
#define RETRY_PERIOD_NS (10 * NS_PER_MS)

struct connection {
	struct connection *next, *previous; /* in server.connections */
	int fd;
	uint8_t *rest; /* what is still to be sent; NULL: nothing */
	size_t rest_length;
	size_t rest_sent;
};

struct server {
	const struct options *options;
	struct serving serving;
	struct connection *connections;
	int fd; /* listens, or carries all datagrams */
	int log_fd;
	int epoll_fd;
	uint64_t accept_again_ns; /* accepting is suspended until then; 0: it is not */
	uint64_t unanswered;      /* connections with a rest */
	struct epoll_event events[PLAIN_EVENTS];
	uint8_t received[PLAIN_RECEIVE_BYTES];
};

static bool is_stream(const struct server *server)
{
	return server->options->protocol == PROTOCOL_TCP;
}

/* The server's own socket has no connection: its events carry NULL. Returns a positive errno. */
static int watch(struct server *server, int operation, int fd, struct connection *connection,
		 uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	return epoll_ctl(server->epoll_fd, operation, fd, &event) ? errno : 0;
}

static void connection_close(struct server *server, struct connection *connection)
{
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->rest)
		server->unanswered--;
	close(connection->fd);
	free(connection->rest);
	free(connection);
}

static void connection_fail(struct server *server, struct connection *connection, const char *what,
			    int error)
{
	serving_complain(&server->serving, what, error);
	connection_close(server, connection);
}

static void connection_open(struct server *server, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int error = connection ? watch(server, EPOLL_CTL_ADD, fd, connection, EPOLLIN) : ENOMEM;
	int on = 1;

	if (error) {
		serving_complain(&server->serving, "accept", error);
		free(connection);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->fd = fd;
	connection->next = server->connections;
	if (connection->next)
		connection->next->previous = connection;
	server->connections = connection;
	server->serving.connections++;
}

static void accept_one(struct server *server)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		connection_open(server, fd);
	} else if (errno != EAGAIN && errno != EINTR) {
		serving_complain(&server->serving, "accept", errno);
		watch(server, EPOLL_CTL_MOD, server->fd, NULL, 0);
		server->accept_again_ns = process_now_ns() + RETRY_PERIOD_NS;
	}
}

/* Returns a positive errno. */
static int log_append(const struct server *server, const uint8_t *data, size_t length)
{
	while (length) {
		ssize_t written = write(server->log_fd, data, length);
		if (written < 0 && errno != EINTR)
			return errno;
		if (written > 0) {
			data += written;
			length -= (size_t)written;
		}
	}
	return fdatasync(server->log_fd) ? errno : 0;
}

/* Returns bytes sent, or -1 with errno; 0 when there is no room. */
static ssize_t send_some(int fd, const uint8_t *data, size_t length)
{
	ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return sent;
}

/* Returns a positive errno. */
static int keep_rest(struct server *server, struct connection *connection, const uint8_t *data,
		     size_t length)
{
	connection->rest = malloc(length);
	if (!connection->rest)
		return ENOMEM;
	memcpy(connection->rest, data, length);
	connection->rest_length = length;
	connection->rest_sent = 0;
	server->unanswered++;
	return watch(server, EPOLL_CTL_MOD, connection->fd, connection, EPOLLOUT);
}

static void send_rest(struct server *server, struct connection *connection)
{
	ssize_t sent = send_some(connection->fd, connection->rest + connection->rest_sent,
				 connection->rest_length - connection->rest_sent);

	if (sent < 0) {
		connection_fail(server, connection, "send", errno);
		return;
	}
	connection->rest_sent += (size_t)sent;
	if (connection->rest_sent < connection->rest_length)
		return;
	free(connection->rest);
	connection->rest = NULL;
	server->unanswered--;
	int error = watch(server, EPOLL_CTL_MOD, connection->fd, connection, EPOLLIN);
	if (error)
		connection_fail(server, connection, "epoll", error);
}

static void echo_stream(struct server *server, struct connection *connection)
{
	ssize_t length = recv(connection->fd, server->received, sizeof(server->received), 0);
	int error = 0;

	if (length < 0 && errno != EAGAIN && errno != EINTR)
		connection_fail(server, connection, "receive", errno);
	else if (length == 0)
		connection_close(server, connection);
	if (length <= 0)
		return;
	serving_received(&server->serving, (uint64_t)length);
	if (server->log_fd >= 0)
		error = log_append(server, server->received, (size_t)length);
	if (error) {
		connection_fail(server, connection, "log", error);
		return;
	}
	ssize_t sent = send_some(connection->fd, server->received, (size_t)length);
	if (sent < 0)
		error = errno;
	else if (sent < length)
		error = keep_rest(server, connection, server->received + sent,
				  (size_t)(length - sent));
	if (error)
		connection_fail(server, connection, "send", error);
}

static void echo_datagram(struct server *server)
{
	struct sockaddr_storage source;
	socklen_t source_length = sizeof(source);
	ssize_t length = recvfrom(server->fd, server->received, sizeof(server->received), 0,
				  (struct sockaddr *)&source, &source_length);
	int error = 0;

	if (length < 0 && errno != EAGAIN && errno != EINTR)
		serving_complain(&server->serving, "receive", errno);
	if (length <= 0) /* an empty datagram is not answered, as Demi cannot */
		return;
	serving_received(&server->serving, (uint64_t)length);
	if (server->log_fd >= 0)
		error = log_append(server, server->received, (size_t)length);
	if (error) {
		serving_complain(&server->serving, "log", error);
		return;
	}
	if (sendto(server->fd, server->received, (size_t)length, 0,
		   (const struct sockaddr *)&source, source_length) < 0)
		serving_complain(&server->serving, "send", errno);
}

static void on_event(struct server *server, const struct epoll_event *event)
{
	struct connection *connection = event->data.ptr;

	if (!connection && is_stream(server))
		accept_one(server);
	else if (!connection)
		echo_datagram(server);
	else if (connection->rest)
		send_rest(server, connection);
	else
		echo_stream(server, connection);
}

static void serve(struct server *server)
{
	uint64_t now_ns = process_now_ns();

	while (!serving_is_over(&server->serving, now_ns, server->unanswered)) {
		int count = 0;
		for (int polls = 0; polls < PLAIN_IDLE_POLLS && count == 0; polls++)
			count = epoll_wait(server->epoll_fd, server->events, PLAIN_EVENTS, 0);
		now_ns = process_now_ns();
		for (int i = 0; i < count; i++) {
			struct connection *connection = server->events[i].data.ptr;
			if (serving_is_stopping(&server->serving) &&
			    !(connection && connection->rest))
				continue;
			on_event(server, &server->events[i]);
		}
		if (server->accept_again_ns && now_ns >= server->accept_again_ns) {
			server->accept_again_ns = 0;
			watch(server, EPOLL_CTL_MOD, server->fd, NULL, EPOLLIN);
		}
	}
}

/* Says what failed; returns -1. */
static int failed(const struct server *server, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", server->options->program, what, strerror(errno));
	return -1;
}

static int start(struct server *server)
{
	const struct address *address = &server->options->address;
	int type = is_stream(server) ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	int on = 1;

	if (server->options->log) {
		server->log_fd = open(server->options->log,
				      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (server->log_fd < 0)
			return failed(server, server->options->log);
	}
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return failed(server, "epoll");
	server->fd = socket(address->storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0)
		return failed(server, "socket");
	if (is_stream(server))
		setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server->fd, (const struct sockaddr *)&address->storage, address->length))
		return failed(server, server->options->address_text);
	if (is_stream(server) && listen(server->fd, BACKLOG))
		return failed(server, "listen");
	if (watch(server, EPOLL_CTL_ADD, server->fd, NULL, EPOLLIN))
		return failed(server, "epoll");
	if (getsockname(server->fd, (struct sockaddr *)&bound, &length))
		return failed(server, "getsockname");
	serving_listening(stdout, (const struct sockaddr *)&bound);
	return 0;
}

static void finish(struct server *server)
{
	while (server->connections)
		connection_close(server, server->connections);
	if (server->fd >= 0)
		close(server->fd);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	if (server->log_fd >= 0)
		close(server->log_fd);
}

int plain_server_run(const struct options *options)
{
	struct server server = {.options = options, .fd = -1, .log_fd = -1, .epoll_fd = -1};
	int status = EXIT_FAILURE;

	serving_init(&server.serving, options);
	if (start(&server) == 0) {
		serve(&server);
		serving_summary(stdout, (const struct serving *const[]){&server.serving}, 1);
		status = EXIT_SUCCESS;
	}
	finish(&server);
	return status;
}
