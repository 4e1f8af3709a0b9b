/* SPDX-License-Identifier: MIT */
/* Life of a Catnap socket: make, bind, listen, accept, connect, shut down, close. */
#include "libos/catnap/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/container.h"
#include "libos/catnap/batch.h"
#include "libos/catnap/option.h"

/* How often aclose looks whether the peer has everything, from and to. */
#define CLOSE_WAIT_NS_FIRST 50000ull
#define CLOSE_WAIT_NS_MAX 10000000ull

static const struct queue_ops socket_ops;
static void close_timer_fired(struct timer *timer, uint64_t now_ns);

static struct socket *socket_of(struct queue *queue)
{
	return container_of(queue, struct socket, queue);
}

static struct op_table *ops_of(const struct socket *socket)
{
	return &socket->catnap->context->ops;
}

void socket_update(struct socket *socket)
{
	uint8_t want = 0;

	if (socket->pops.head)
		want |= POLLER_WANT_INPUT;
	if (socket->state == SOCKET_CONNECTING || (socket->pushes.head && !socket->in_batch))
		want |= POLLER_WANT_OUTPUT;
	poller_update(&socket->catnap->poller, &socket->poller, socket, want);
}

int socket_check_address(const struct socket *socket, const struct sockaddr *address,
			 socklen_t length)
{
	socklen_t least = sizeof(struct sockaddr_in);
	sa_family_t family;

	if (length < sizeof(family) || length > sizeof(struct sockaddr_storage))
		return -EINVAL;
	/* It may lie in a packed structure, at any address. */
	memcpy(&family, (const char *)address + offsetof(struct sockaddr, sa_family),
	       sizeof(family));
	if (family != socket->domain)
		return -EAFNOSUPPORT;
	if (socket->domain == AF_UNIX) {
		least = offsetof(struct sockaddr_un, sun_path) + 1;
		return length >= least && length <= sizeof(struct sockaddr_un) ? 0 : -EINVAL;
	}
	if (socket->domain == AF_INET6)
		least = sizeof(struct sockaddr_in6);
	/* More is allowed: the size of a larger structure that begins with the address. */
	return length >= least ? 0 : -EINVAL;
}

/* Takes over @fd, whatever happens. */
static struct socket *socket_create(struct catnap *catnap, int fd, int domain, int type)
{
	struct socket *socket = calloc(1, sizeof(*socket));

	if (!socket) {
		close(fd);
		return NULL;
	}
	socket->queue = (struct queue){
		.ops = &socket_ops, .qd = -1, .takes_empty = type == SOCK_DGRAM};
	socket->catnap = catnap;
	socket->fd = fd;
	socket->domain = domain;
	socket->type = type;
	socket->poller.place = UINT32_MAX;
	timer_init(&socket->close_timer, close_timer_fired);
	socket->receive_size = SOCKET_RECEIVE_BYTES_FIRST;
	if (socket->receive_size > catnap->receive_bytes_max)
		socket->receive_size = catnap->receive_bytes_max;
	return socket;
}

static bool kind_served(int domain, int type, int protocol)
{
	if (domain == AF_UNIX)
		return type == SOCK_STREAM && protocol == 0;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	if (type == SOCK_STREAM)
		return protocol == 0 || protocol == IPPROTO_TCP;
	if (type != SOCK_DGRAM)
		return false;
	/* The last is for echoes: icmp(7), where it also says who may. */
	return protocol == 0 || protocol == IPPROTO_UDP ||
	       protocol == (domain == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static int open_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	return fd;
}

int catnap_socket(struct libos *libos, struct queue **queue_out, int domain, int type, int protocol)
{
	struct socket *socket;
	int fd;

	if (!kind_served(domain, type, protocol))
		return -ENOTSUP;
	fd = open_socket(domain, type, protocol);
	if (fd < 0)
		return fd;
	socket = socket_create(catnap_of(libos), fd, domain, type);
	if (!socket)
		return -ENOMEM;
	socket->cuts = type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP);
	*queue_out = &socket->queue;
	return 0;
}

static int socket_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct socket *socket = socket_of(queue);
	int error = socket_check_address(socket, address, length);

	if (error)
		return error;
	if (socket->bound || socket->state != SOCKET_OPEN)
		return -EINVAL;
	if (bind(socket->fd, address, length) < 0)
		return -errno;
	socket->bound = true;
	return 0;
}

static int socket_listen(struct queue *queue, int backlog)
{
	struct socket *socket = socket_of(queue);

	if (socket->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (socket->state == SOCKET_LISTENING)
		return -EADDRINUSE;
	if (socket->state != SOCKET_OPEN)
		return -EISCONN;
	if (!socket->bound)
		return -EDESTADDRREQ;
	if (listen(socket->fd, backlog > 0 ? backlog : 0) < 0)
		return -errno;
	socket->state = SOCKET_LISTENING;
	return 0;
}

static int socket_accept(struct queue *queue, struct op *op)
{
	struct socket *socket = socket_of(queue);

	if (socket->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_LISTENING)
		return -EINVAL;
	op_list_append(&socket->pops, op);
	socket_update(socket);
	return 0;
}

/* Take one connection from the kernel; its descriptor in our table, or -errno. */
static int accept_one(struct socket *listener)
{
	struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
	struct catnap *catnap = listener->catnap;
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	struct socket *socket;
	int fd;

	/* Without a descriptor to give it, a connection stays with the kernel: is there one? */
	if (queue_table_is_full(&catnap->context->queues))
		return poll(&waiting, 1, 0) > 0 ? -EMFILE : -EAGAIN;
	fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	socket = socket_create(catnap, fd, listener->domain, listener->type);
	if (!socket)
		return -ENOMEM;
	socket->state = SOCKET_CONNECTED;
	socket->bound = true;
	socket->lingers = listener->lingers;
	memcpy(&socket->peer, &peer, length);
	socket->peer_length = length;
	queue_table_add(&catnap->context->queues, &socket->queue);
	return socket->queue.qd;
}

/* A connection that died before it was accepted concerns nobody: accept(2), "Error handling". */
static bool accept_again(int error)
{
	return error == -EINTR || error == -ECONNABORTED || error == -EPROTO ||
	       error == -ENETDOWN || error == -ENOPROTOOPT || error == -EHOSTDOWN ||
	       error == -ENONET || error == -EHOSTUNREACH || error == -EOPNOTSUPP ||
	       error == -ENETUNREACH;
}

static void accept_pending(struct socket *listener)
{
	while (listener->pops.head) {
		int qd = accept_one(listener);
		struct op *op;

		if (accept_again(qd))
			continue;
		if (qd == -EAGAIN) {
			listener->poller.readable = false;
			return;
		}
		op = op_list_take(&listener->pops);
		op->result.accepted_qd = qd;
		op_complete(ops_of(listener), op, qd < 0 ? -qd : 0);
		/* Out of descriptors or memory: one is told, who may make room for the others. */
		if (qd < 0)
			return;
	}
}

static int check_connect(const struct socket *socket)
{
	switch (socket->state) {
	case SOCKET_LISTENING:
		return -EOPNOTSUPP;
	case SOCKET_CONNECTING:
		return -EINPROGRESS;
	case SOCKET_CONNECTED:
		return socket->type == SOCK_STREAM ? -EISCONN : 0;
	default:
		return 0;
	}
}

/* Remember the peer as the kernel has it: connecting to a wildcard address reaches ourselves. */
static void become_connected(struct socket *socket)
{
	socklen_t length = sizeof(socket->peer);

	socket->state = SOCKET_CONNECTED;
	socket->bound = true;
	if (getpeername(socket->fd, (struct sockaddr *)&socket->peer, &length) == 0)
		socket->peer_length = length;
}

static int socket_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			  socklen_t length)
{
	struct socket *socket = socket_of(queue);
	int error = socket_check_address(socket, address, length);

	if (!error)
		error = check_connect(socket);
	if (error)
		return error;
	error = connect(socket->fd, address, length) < 0 ? errno : 0;
	if (error && error != EINPROGRESS && error != EINTR) {
		op_complete(ops_of(socket), op, error);
		return 0;
	}
	if (error) {
		socket->poller.writable = false;
		socket->state = SOCKET_CONNECTING;
		socket->connect_op = op;
		socket_update(socket);
		return 0;
	}
	become_connected(socket);
	op_complete(ops_of(socket), op, 0);
	return 0;
}

/* How a connect ended: 0 or errno; EINPROGRESS when it has not. */
static int connect_outcome(const struct socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(int);
	int error = 0;

	if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	if (error)
		return error;
	/* What woke us may have been the end of an earlier attempt. */
	length = sizeof(peer);
	if (getpeername(socket->fd, (struct sockaddr *)&peer, &length) < 0)
		return errno == ENOTCONN ? EINPROGRESS : errno;
	return 0;
}

/* Linux answers the next connect with ECONNABORTED unless the socket is told to forget this one. */
static void forget_connect(const struct socket *socket)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	(void)connect(socket->fd, &none, sizeof(none));
}

static void finish_connect(struct socket *socket)
{
	struct op *op = socket->connect_op;
	int error = connect_outcome(socket);

	if (error == EINPROGRESS) {
		socket->poller.writable = false;
		return;
	}
	if (error)
		forget_connect(socket);
	socket->connect_op = NULL;
	socket->state = SOCKET_OPEN;
	if (!error)
		become_connected(socket);
	op_complete(ops_of(socket), op, error);
}

void socket_ready(struct socket *socket)
{
	if (socket->state == SOCKET_LISTENING)
		accept_pending(socket);
	else if (socket->state == SOCKET_CONNECTING)
		finish_connect(socket);
	else if (socket->pushes.head && (socket->ready_events & (POLLOUT | POLLERR | POLLHUP)))
		transfer_flush(socket);
	socket_update(socket);
}

/* --- the end --- */

/* With a time to linger close(2) would block us, even on a non-blocking socket. */
static void linger_in_background(const struct socket *socket)
{
	struct linger linger;
	socklen_t length = sizeof(linger);

	if (getsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, &length) < 0 ||
	    !linger.l_onoff || linger.l_linger == 0)
		return;
	linger.l_onoff = 0;
	setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Free the socket; its operations have been dealt with. */
static void destroy(struct socket *socket)
{
	poller_forget(&socket->catnap->poller, socket);
	if (socket->catnap->batch)
		batch_forget(socket->catnap->batch, socket);
	timer_cancel(&socket->catnap->context->sched.timers, &socket->close_timer);
	if (socket->lingers)
		linger_in_background(socket);
	close(socket->fd);
	free(socket);
}

static void cancel_inputs(struct socket *socket)
{
	op_cancel_all(ops_of(socket), &socket->pops);
	if (socket->connect_op)
		op_complete(ops_of(socket), socket->connect_op, ECANCELED);
	socket->connect_op = NULL;
}

static void drop_pushes(struct socket *socket)
{
	struct op *op;

	while ((op = op_list_take(&socket->pushes)))
		transfer_drop_push(socket, op, ECANCELED);
}

/* Datagrams that only wait for others to go with them are as good as sent. */
static void send_collected(struct socket *socket)
{
	if (socket->in_batch && socket->type == SOCK_DGRAM)
		transfer_flush(socket);
}

static void socket_close(struct queue *queue)
{
	struct socket *socket = socket_of(queue);

	cancel_inputs(socket);
	send_collected(socket);
	drop_pushes(socket);
	destroy(socket);
}

static bool is_tcp(const struct socket *socket)
{
	return socket->type == SOCK_STREAM && socket->domain != AF_UNIX;
}

/* 1: the peer has acknowledged everything; 0: not yet; -errno: it never will. */
static int peer_has_all(const struct socket *socket)
{
	struct tcp_info info;
	socklen_t info_length = sizeof(info), length = sizeof(int);
	int error = 0, unacknowledged = 0;

	/* An error that a send or recv was told of is not told again. */
	if (socket->send_error || socket->receive_error)
		return -(socket->send_error ? socket->send_error : socket->receive_error);
	if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error)
		return -error;
	if (!is_tcp(socket))
		return 1;
	if (ioctl(socket->fd, SIOCOUTQ, &unacknowledged) < 0 || unacknowledged == 0)
		return 1;
	if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &info_length) == 0 &&
	    info.tcpi_state == TCP_CLOSE)
		return -ECONNRESET;
	return 0;
}

static void finish_close(struct socket *socket, int error)
{
	struct op *op = socket->close_op;
	struct op_table *ops = ops_of(socket);

	/* In this order: the child of a fork finds the socket by the operation. */
	op_complete(ops, op, error);
	destroy(socket);
}

/* Close now, whatever the peer has. */
static void abort_close(struct socket *socket)
{
	drop_pushes(socket);
	finish_close(socket, ECANCELED);
}

/* The kernel tells nobody when the last byte is acknowledged: look, ever less often. */
static void close_timer_fired(struct timer *timer, uint64_t now_ns)
{
	struct socket *socket = container_of(timer, struct socket, close_timer);
	int outcome = peer_has_all(socket);

	if (outcome) {
		finish_close(socket, outcome < 0 ? -outcome : 0);
		return;
	}
	if (socket->close_wait_ns < CLOSE_WAIT_NS_MAX)
		socket->close_wait_ns *= 2;
	timer_arm(&socket->catnap->context->sched.timers, timer, now_ns + socket->close_wait_ns);
}

void socket_drained(struct socket *socket)
{
	struct queue_context *context = socket->catnap->context;

	if (socket->write_shut)
		shutdown(socket->fd, SHUT_WR);
	if (socket->state != SOCKET_CLOSING)
		return;
	/* Closed by the timer, never from here: the caller still works with the socket. */
	socket->close_wait_ns = CLOSE_WAIT_NS_FIRST;
	timer_arm(&context->sched.timers, &socket->close_timer, context->now_ns);
}

static void socket_aclose(struct queue *queue, struct op *op)
{
	struct socket *socket = socket_of(queue);
	bool connected = socket->state == SOCKET_CONNECTED;

	cancel_inputs(socket);
	socket->close_op = op;
	if (!socket->pushes.head && (!connected || !is_tcp(socket))) {
		finish_close(socket, 0);
		return;
	}
	socket->state = SOCKET_CLOSING;
	socket->write_shut = is_tcp(socket);
	if (!socket->pushes.head)
		socket_drained(socket);
	socket_update(socket);
}

static int socket_shutdown(struct queue *queue, int how)
{
	struct socket *socket = socket_of(queue);

	if (socket->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	if (how != SHUT_RD && !socket->write_shut) {
		socket->write_shut = true;
		if (!socket->pushes.head)
			socket_drained(socket);
	}
	/* A shutdown of reading alone wakes the pops: recv says that the stream has ended. */
	if (how != SHUT_WR && shutdown(socket->fd, SHUT_RD) < 0 && errno != ENOTCONN)
		return -errno;
	return 0;
}

/* --- the rest --- */

static int socket_cancel(struct queue *queue, struct op *op)
{
	struct socket *socket = socket_of(queue);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		if (push_request_is_started(op->request))
			return -EBUSY;
		op_list_remove(&socket->pushes, op);
		transfer_drop_push(socket, op, ECANCELED);
		if (!socket->pushes.head)
			socket_drained(socket);
		break;
	case DEMI_OPC_CONNECT:
		/* What the kernel has begun cannot be stopped: this socket is of no use any more. */
		cancel_inputs(socket);
		shutdown(socket->fd, SHUT_RDWR);
		socket->state = SOCKET_OPEN;
		socket->peer_length = 0;
		break;
	case DEMI_OPC_CLOSE:
		abort_close(socket);
		return 0;
	default:
		op_list_remove(&socket->pops, op);
		op_complete(ops_of(socket), op, ECANCELED);
	}
	socket_update(socket);
	return 0;
}

static int socket_set_option(struct queue *queue, int level, int name, const void *value,
			     socklen_t length)
{
	struct socket *socket = socket_of(queue);
	int error, on;

	/* An option is for what is pushed after it. */
	send_collected(socket);
	error = option_set(socket->fd, level, name, value, length);

	if (!error && level == SOL_SOCKET && name == SO_LINGER)
		socket->lingers = true;
	if (!error && socket->type == SOCK_DGRAM &&
	    ((level == IPPROTO_IP && name == IP_RECVERR) ||
	     (level == IPPROTO_IPV6 && name == IPV6_RECVERR))) {
		memcpy(&on, value, sizeof(on));
		socket->receives_errors = on != 0;
	}
	return error;
}

static int socket_get_option(struct queue *queue, int level, int name, void *value,
			     socklen_t *length)
{
	struct socket *socket = socket_of(queue);

	/* Reading the error takes it away from the connect that is waiting for it. */
	if (level == SOL_SOCKET && name == SO_ERROR && socket->state == SOCKET_CONNECTING) {
		if (*length < sizeof(int))
			return -EINVAL;
		memset(value, 0, sizeof(int));
		*length = sizeof(int);
		return 0;
	}
	return option_get(socket->fd, level, name, value, length);
}

static int socket_get_local_address(struct queue *queue, struct sockaddr *address,
				    socklen_t *length)
{
	return getsockname(socket_of(queue)->fd, address, length) < 0 ? -errno : 0;
}

static int socket_get_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct socket *socket = socket_of(queue);
	socklen_t room = *length;

	if (socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	/* Remembered: the kernel forgets it when the connection breaks. */
	memcpy(address, &socket->peer, room < socket->peer_length ? room : socket->peer_length);
	*length = socket->peer_length;
	return 0;
}

static void socket_forget(struct queue *queue)
{
	close(socket_of(queue)->fd);
}

static const struct queue_ops socket_ops = {
	.close = socket_close,
	.aclose = socket_aclose,
	.forget = socket_forget,
	.bind = socket_bind,
	.listen = socket_listen,
	.accept = socket_accept,
	.connect = socket_connect,
	.shutdown = socket_shutdown,
	.push = transfer_push,
	.pop = transfer_pop,
	.cancel = socket_cancel,
	.set_option = socket_set_option,
	.get_option = socket_get_option,
	.get_local_address = socket_get_local_address,
	.get_peer_address = socket_get_peer_address,
};
