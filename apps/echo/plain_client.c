/* SPDX-License-Identifier: MIT */
/* The client's I/O over sockets and epoll. */
#include "plain.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

struct peer {
	uint32_t index;
	int fd;           /* -1: not open */
	uint8_t *message; /* [size]: the one that is being sent */
	size_t sent;      /* bytes of it that are out; size: all */
	bool awaits_room; /* epoll tells when it can be written */
};

struct client_io {
	struct workload *workload;
	struct peer *peers;
	uint8_t *messages; /* memory of all peers' */
	int epoll_fd;
	struct epoll_event events[PLAIN_EVENTS];
	uint8_t received[PLAIN_RECEIVE_BYTES];
};

static bool is_stream(const struct client_io *io)
{
	return io->workload->options->protocol == PROTOCOL_TCP;
}

static void fail(struct client_io *io, const struct peer *peer, const char *what, int error)
{
	const char *gone = "";

	if (error == ECONNRESET || error == ECONNREFUSED || error == EPIPE)
		gone = "server gone: ";
	workload_fail(io->workload, "%sconnection %u: %s: %s", gone, peer->index, what,
		      strerror(error));
}

static void await_room(struct client_io *io, struct peer *peer, bool awaits)
{
	struct epoll_event event = {.events = EPOLLIN | (awaits ? EPOLLOUT : 0),
				    .data.u32 = peer->index};

	if (peer->awaits_room == awaits)
		return;
	peer->awaits_room = awaits;
	epoll_ctl(io->epoll_fd, EPOLL_CTL_MOD, peer->fd, &event);
}

/* Returns whether the current message is out. */
static bool send_rest(struct client_io *io, struct peer *peer)
{
	size_t size = io->workload->options->size;

	while (peer->sent < size) {
		ssize_t sent = send(peer->fd, peer->message + peer->sent, size - peer->sent,
				    MSG_NOSIGNAL);
		if (sent >= 0) {
			peer->sent += (size_t)sent;
		} else if (errno == EAGAIN) {
			await_room(io, peer, true);
			return false;
		} else if (errno == ENOBUFS && !is_stream(io)) {
			peer->sent = size; /* a lost datagram like any other */
		} else if (errno != EINTR) {
			fail(io, peer, "send", errno);
			return false;
		}
	}
	await_room(io, peer, false);
	return true;
}

static void plain_client_send(struct client_io *io, uint32_t connection)
{
	struct peer *peer = &io->peers[connection];

	while (send_rest(io, peer) && workload_may_send(io->workload, connection)) {
		workload_send(io->workload, connection, peer->message);
		peer->sent = 0;
	}
}

static void receive(struct client_io *io, struct peer *peer)
{
	ssize_t length = recv(peer->fd, io->received, sizeof(io->received), 0);

	if (length < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail(io, peer, "receive", errno);
	} else if (!is_stream(io)) {
		workload_rx_datagram(io->workload, peer->index, io->received, (size_t)length);
	} else if (length == 0) {
		workload_fail(io->workload, "server gone: connection %u was closed", peer->index);
	} else {
		workload_rx_stream(io->workload, peer->index, io->received, (size_t)length);
	}
}

static bool plain_client_poll(struct client_io *io)
{
	int count = 0;

	for (int polls = 0; polls < PLAIN_IDLE_POLLS && count == 0; polls++)
		count = epoll_wait(io->epoll_fd, io->events, PLAIN_EVENTS, 0);
	bool freed = workload_tick(io->workload, process_now_ns());
	for (int i = 0; i < count && !io->workload->failure[0]; i++) {
		struct peer *peer = &io->peers[io->events[i].data.u32];
		if (io->events[i].events & ~(uint32_t)EPOLLOUT)
			receive(io, peer);
		plain_client_send(io, peer->index);
	}
	return freed;
}

/* Waits for a connect; a stream's is finished by its error. Returns a positive errno. */
static int finish_connect(int fd)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof(error);

	while (poll(&writable, 1, 100) <= 0) {
		if (process_stop_requests())
			return EINTR;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
		return errno;
	return error;
}

/* Returns a positive errno. */
static int connect_peer(struct client_io *io, struct peer *peer)
{
	const struct address *address = &io->workload->options->address;
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = peer->index};
	int type = is_stream(io) ? SOCK_STREAM : SOCK_DGRAM;
	int on = 1;

	peer->fd = socket(address->storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (peer->fd < 0)
		return errno;
	if (is_stream(io))
		setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(peer->fd, (const struct sockaddr *)&address->storage, address->length)) {
		int error = errno == EINPROGRESS ? finish_connect(peer->fd) : errno;
		if (error)
			return error;
	}
	return epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) ? errno : 0;
}

static bool connect_all(struct client_io *io)
{
	for (uint32_t i = 0; i < io->workload->options->connections; i++) {
		int error = connect_peer(io, &io->peers[i]);
		if (!error)
			continue;
		if (error == EINTR)
			workload_fail(io->workload, "interrupted before every connection was made");
		else
			workload_fail(io->workload, "cannot connect to %s: %s",
				      io->workload->options->address_text, strerror(error));
		return false;
	}
	return true;
}

static void plain_client_close(struct client_io *io)
{
	for (uint32_t i = 0; io->peers && i < io->workload->options->connections; i++) {
		if (io->peers[i].fd >= 0)
			close(io->peers[i].fd);
	}
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	free(io->peers);
	free(io->messages);
	free(io);
}

static struct client_io *plain_client_open(struct workload *workload)
{
	uint32_t connections = workload->options->connections;
	size_t size = workload->options->size;
	struct client_io *io = calloc(1, sizeof(*io));

	if (!io) {
		workload_fail(workload, "out of memory");
		return NULL;
	}
	io->workload = workload;
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	io->peers = calloc(connections, sizeof(*io->peers));
	io->messages = calloc(connections, size);
	if (io->epoll_fd < 0 || !io->peers || !io->messages) {
		workload_fail(workload, "%s", io->epoll_fd < 0 ? "no epoll" : "out of memory");
		free(io->peers); /* it has no descriptors yet */
		io->peers = NULL;
		plain_client_close(io);
		return NULL;
	}
	for (uint32_t i = 0; i < connections; i++)
		io->peers[i] = (struct peer){
			.index = i, .fd = -1, .message = io->messages + i * size, .sent = size};
	if (connect_all(io))
		return io;
	plain_client_close(io);
	return NULL;
}

const struct client_io_ops plain_client_io = {
	.open = plain_client_open,
	.send = plain_client_send,
	.poll = plain_client_poll,
	.close = plain_client_close,
};
