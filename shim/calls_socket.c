/* SPDX-License-Identifier: MIT */
/* Calls that make, name and connect sockets. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "calls.h"
#include "cork.h"
#include "engine.h"
#include "guard.h"
#include "option.h"
#include "places.h"
#include "real.h"
#include "starter.h"
#include "trace.h"

struct socket *call_enter(int fd)
{
	struct file *file = file_enter(fd);

	if (file && file->kind != FILE_SOCKET) {
		file_leave(file);
		return NULL;
	}
	return file ? socket_of(file) : NULL;
}

ssize_t call_leave(struct socket *socket, ssize_t outcome)
{
	file_leave(&socket->file);
	return call_return(outcome);
}

/* As call_leave, of a call at which a thread may be cancelled. */
static ssize_t wait_leave(struct socket *socket, ssize_t outcome)
{
	file_leave(&socket->file);
	if (outcome == -EINTR)
		engine_cancellation_point();
	return call_return(outcome);
}

/* ---- socket ---- */

/* Return: 0, or -errno with @fd closed. */
static int enter_table(int fd, int domain, int type, int protocol)
{
	struct socket *socket;
	int error = -ENOMEM;

	engine_lock();
	socket = socket_new(domain, type & 0xf, protocol);
	if (socket) {
		socket->file.is_nonblocking = (type & SOCK_NONBLOCK) != 0;
		error = file_add(fd, &socket->file);
		if (error)
			socket_end(socket);
	}
	engine_unlock();
	if (error)
		real()->close(fd);
	return error;
}

EXPORT int socket(int domain, int type, int protocol)
{
	int fd = real()->socket(domain, type, protocol);
	int kind = type & 0xf;

	if (fd < 0 || shim_is_inside || (domain != AF_INET && domain != AF_INET6) ||
	    !((kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) ||
	      (kind == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))) ||
	    !engine_is_configured())
		return fd;
	return (int)call_return(enter_table(fd, domain, type, protocol) ?: fd);
}

/* ---- Addresses ---- */

int address_take(struct address *address, const struct sockaddr *from, socklen_t length)
{
	if (length > sizeof(address->storage))
		return -EINVAL;
	memset(&address->storage, 0, sizeof(address->storage));
	if (!guard_copy(&address->storage, from, length))
		return -EFAULT;
	address->length = length;
	return length < sizeof(sa_family_t) ? -EINVAL : 0;
}

static int address_fits(const struct socket *socket, struct address *address)
{
	const struct sockaddr *name = (const struct sockaddr *)&address->storage;

	if (name->sa_family != socket->domain)
		return -EAFNOSUPPORT;
	if (socket->domain == AF_INET)
		return address->length < sizeof(struct sockaddr_in) ? -EINVAL : 0;
	/* The scope was not always a part of it (RFC 2133). */
	if (address->length < offsetof(struct sockaddr_in6, sin6_scope_id))
		return -EINVAL;
	if (address->length < sizeof(struct sockaddr_in6))
		address->length = sizeof(struct sockaddr_in6);
	return 0;
}

int address_give(const struct address *address, struct sockaddr *to, socklen_t *length)
{
	socklen_t room, cut;

	if (!guard_copy(&room, length, sizeof(room)))
		return -EFAULT;
	if (room > INT32_MAX)
		return -EINVAL;
	cut = room < address->length ? room : address->length;
	return guard_copy(to, &address->storage, cut) &&
			       guard_copy(length, &address->length, sizeof(room))
		       ? 0
		       : -EFAULT;
}

/* ---- bind ---- */

static struct sockaddr *name_of(struct address *address)
{
	return (struct sockaddr *)&address->storage;
}

static void set_port(struct address *address, uint16_t port)
{
	if (address->storage.ss_family == AF_INET)
		((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
}

/* The kernel's half first: it knows which ports are free there, and ours takes the same. */
static int bind_both(struct socket *socket, int fd, struct address *address)
{
	struct address bound = {.length = sizeof(bound.storage)};

	if (real()->bind(fd, name_of(address), address->length) != 0)
		return -errno;
	if (address_port(name_of(address)) == 0 &&
	    real()->getsockname(fd, name_of(&bound), &bound.length) == 0)
		set_port(address, address_port(name_of(&bound)));
	socket->bound = *address;
	/* A stream may still be connected to whom the kernel knows; datagrams may come at once. */
	if (socket->type != SOCK_DGRAM)
		return 0;
	socket_decide(socket, fd, SIDE_BOTH, "bound to every address");
	return engine.state == ENGINE_RUNS ? socket_make(socket) : 0;
}

/* What only the runtime can check is checked when it runs. */
static int bind_ours(struct socket *socket, int fd, struct address *address)
{
	int error = 0;

	socket_decide(socket, fd, SIDE_DEMI, "bound to an address of the stack");
	socket->bound = *address;
	if (engine.state == ENGINE_RUNS)
		error = socket_make(socket);
	else
		error = socket_conflicts(socket) ? -EADDRINUSE : 0;
	if (error)
		socket->bound.length = 0;
	return error;
}

static int bind_socket(struct socket *socket, int fd, struct address *address)
{
	int error = address_fits(socket, address);
	enum side side;

	if (error == -EAFNOSUPPORT && socket->side == SIDE_UNDECIDED)
		return real()->bind(fd, name_of(address), address->length) == 0 ? 0 : -errno;
	if (error)
		return error;
	if (socket->bound.length || socket->state != SOCKET_OPEN || socket->peer.length)
		return -EINVAL;
	side = rules_bind(&engine.rules, socket->type, name_of(address));
	if (side == SIDE_DEMI)
		return bind_ours(socket, fd, address);
	if (side == SIDE_BOTH)
		return bind_both(socket, fd, address);
	if (real()->bind(fd, name_of(address), address->length) != 0)
		return -errno;
	socket_decide(socket, fd, SIDE_KERNEL, "bound to an address that is not the stack's");
	return 0;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct socket *socket = call_enter(fd);
	struct address copy;
	int error;

	if (!socket)
		return real()->bind(fd, address, length);
	error = address_take(&copy, address, length);
	if (!error)
		error = bind_socket(socket, fd, &copy);
	return (int)call_leave(socket, error);
}

/* ---- listen ---- */

static int listen_ours(struct socket *socket, int backlog)
{
	bool again = socket->state == SOCKET_LISTENING;

	socket->backlog = backlog;
	socket->state = SOCKET_LISTENING;
	if (engine.state == ENGINE_OFF)
		starter_arm();
	if (again || engine.state != ENGINE_RUNS)
		return 0;
	/* With a queue it is bound already. */
	if (socket->qd >= 0) {
		int error = demi_listen(socket->qd, backlog);

		if (!error)
			socket_receive_more(socket);
		else
			socket->state = SOCKET_OPEN;
		return -error;
	}
	return socket_make(socket);
}

static int listen_socket(struct socket *socket, int fd, int backlog)
{
	if (socket->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_OPEN && socket->state != SOCKET_LISTENING)
		return -EINVAL;
	if (socket->side == SIDE_DEMI)
		return listen_ours(socket, backlog);
	if (real()->listen(fd, backlog) != 0)
		return -errno;
	if (socket->side == SIDE_UNDECIDED && !socket->bound.length) {
		/* It has a port of the kernel's choice, and every address. */
		socket->bound.length = sizeof(socket->bound.storage);
		real()->getsockname(fd, name_of(&socket->bound), &socket->bound.length);
	}
	if (socket->side == SIDE_UNDECIDED)
		socket_decide(socket, fd, SIDE_BOTH, "it listens on every address");
	return listen_ours(socket, backlog);
}

EXPORT int listen(int fd, int backlog)
{
	struct socket *socket = call_enter(fd);

	if (!socket)
		return real()->listen(fd, backlog);
	return (int)call_leave(socket, listen_socket(socket, fd, backlog));
}

/* ---- accept ---- */

/* Stands for all accepted connections in the kernel's table. */
static int placeholder = -1;

static int descriptor_new(bool closes_on_exec)
{
	int fd;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (placeholder >= 0) {
			fd = real()->fcntl(placeholder, closes_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD,
					   0);
			if (fd >= 0 || errno != EBADF)
				return fd < 0 ? -errno : fd;
		}
		/* The program may have closed it with all others. */
		placeholder = places_move(real()->socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		if (placeholder < 0)
			return -errno;
	}
	return -EMFILE;
}

/* The connection at the front of the inbox. Return: its descriptor or -errno. */
static int accept_ours(struct socket *listener, int flags, struct address *peer)
{
	struct socket *socket = socket_new(listener->domain, SOCK_STREAM, listener->protocol);
	int fd, error;

	if (!socket)
		return -ENOMEM;
	fd = descriptor_new(flags & SOCK_CLOEXEC);
	if (fd < 0) {
		socket_end(socket);
		return fd;
	}
	error = file_add(fd, &socket->file);
	if (error)
		socket_end(socket);
	else
		error = socket_adopt(socket, listener);
	if (error) {
		file_remove(fd);
		real()->close(fd);
		return error;
	}
	socket->file.is_nonblocking = (flags & SOCK_NONBLOCK) != 0;
	socket->file.is_placeholder = true;
	peer->length = sizeof(peer->storage);
	if (demi_getpeername(socket->qd, name_of(peer), &peer->length) != 0)
		peer->length = 0;
	socket->peer = *peer;
	trace_count(COUNT_ACCEPTED);
	TRACE("tcp descriptor %d is ours: accepted by the stack", fd);
	return fd;
}

static int accept_kernels(struct socket *listener, int fd, int flags, struct address *peer)
{
	int got;

	if (listener->side != SIDE_BOTH)
		return -EAGAIN;
	peer->length = sizeof(peer->storage);
	got = real()->accept4(fd, name_of(peer), &peer->length, flags);
	return got < 0 ? -errno : got;
}

static int accept_socket(struct socket *listener, int fd, int flags, struct address *peer)
{
	uint64_t deadline_ns = socket_deadline(listener, 0, listener->receive_ns);
	int error, got;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (listener->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (listener->state != SOCKET_LISTENING)
		return -EINVAL;
	error = socket_make(listener);
	if (error)
		return error;
	for (;;) {
		if (!listener->inbox.head)
			engine_poll();
		if (listener->inbox.head)
			return accept_ours(listener, flags, peer);
		if (listener->error)
			return -socket_take_error(listener);
		if (listener->state != SOCKET_LISTENING)
			return -EINVAL;
		got = accept_kernels(listener, fd, flags, peer);
		if (got != -EAGAIN || !deadline_ns)
			return got;
		error = socket_wait(listener, POLLIN, deadline_ns, fd);
		if (error)
			return error;
	}
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	struct address peer = {.length = 0};
	struct socket *listener;
	int got, error;

	engine_cancellation_point();
	listener = call_enter(fd);
	if (!listener)
		return real()->accept4(fd, address, length, flags);
	got = accept_socket(listener, fd, flags, &peer);
	if (got >= 0 && address) {
		error = address_give(&peer, address, length);
		if (error) {
			file_remove(got);
			real()->close(got);
			got = error;
		}
	}
	return (int)wait_leave(listener, got);
}

EXPORT int accept(int fd, struct sockaddr *address, socklen_t *length)
{
	if (!file_is_ours(fd))
		return real()->accept(fd, address, length);
	return accept4(fd, address, length, 0);
}

/* ---- connect ---- */

static int connect_datagram(struct socket *socket, struct address *address)
{
	int error = -demi_connect(&socket->connect_qt, socket->qd, name_of(address),
				  address->length);

	if (error)
		return error;
	socket->connects = true;
	socket->peer = *address;
	/* It sends nothing: it is done in the next round. */
	while (socket->connects)
		engine_poll();
	socket->is_bound = true;
	socket_receive_more(socket);
	return -socket_take_error(socket);
}

static int connect_result(struct socket *socket)
{
	if (socket->state == SOCKET_CONNECTED)
		return 0;
	return socket->error ? -socket_take_error(socket) : -ECONNABORTED;
}

static int connect_end(struct socket *socket, uint64_t deadline_ns)
{
	while (socket->state == SOCKET_CONNECTING) {
		int error = socket_wait(socket, POLLOUT, deadline_ns, -1);

		if (error)
			return error == -EAGAIN ? -EINPROGRESS : error;
	}
	socket->tells_connect = false;
	return connect_result(socket);
}

static int connect_stream(struct socket *socket, struct address *address)
{
	uint64_t deadline_ns = socket_deadline(socket, 0, socket->send_ns);
	int error;

	/* Where nobody can listen. */
	if (!address_port(name_of(address)))
		return -ECONNREFUSED;
	error = -demi_connect(&socket->connect_qt, socket->qd, name_of(address), address->length);
	if (error)
		return error;
	socket->connects = true;
	socket->peer = *address;
	socket->state = SOCKET_CONNECTING;
	socket->tells_connect = true;
	engine_poll();
	/* Even when it is made or refused already, as over a wire: SO_ERROR and poll tell. */
	return deadline_ns ? connect_end(socket, deadline_ns) : -EINPROGRESS;
}

static int connect_ours(struct socket *socket, int fd, struct address *address)
{
	int error;

	if (socket->side == SIDE_UNDECIDED)
		socket_decide(socket, fd, SIDE_DEMI, "connected to a peer of the stack's");
	if (socket->state == SOCKET_FAILED) {
		socket_reset(socket);
		socket->state = SOCKET_OPEN;
		socket->has_end = socket->write_is_shut = false;
		socket->error = 0;
	}
	error = socket_make(socket);
	if (error)
		return error;
	return socket->type == SOCK_STREAM ? connect_stream(socket, address)
					   : connect_datagram(socket, address);
}

/* A call for a connection that there is, or was. Return: 1: there is none; else what it returns. */
static int connect_state(struct socket *socket)
{
	/* The outcome of one that did not wait is told once. */
	bool tells = socket->tells_connect;
	uint64_t deadline_ns;

	if (socket->state != SOCKET_CONNECTING)
		socket->tells_connect = false;
	switch (socket->state) {
	case SOCKET_CONNECTING:
		/* One that a handler has ended, or that did not wait: it does now, if it may. */
		deadline_ns = socket_deadline(socket, 0, socket->send_ns);
		return deadline_ns ? connect_end(socket, deadline_ns) : -EALREADY;
	case SOCKET_CONNECTED:
		return tells ? 0 : -EISCONN;
	case SOCKET_LISTENING:
		return -EISCONN;
	case SOCKET_FAILED:
		return socket->error ? -socket_take_error(socket) : 1;
	default:
		return 1;
	}
}

/* AF_UNSPEC: without a peer again. */
static int disconnect(struct socket *socket)
{
	struct address name = {.length = sizeof(name.storage)};
	bool resets = socket->resets;

	if (socket->qd >= 0 && socket->type == SOCK_DGRAM && socket->peer.length &&
	    demi_getsockname(socket->qd, name_of(&name), &name.length) == 0)
		socket->bound = name;
	socket->resets = socket->type == SOCK_STREAM;
	socket_reset(socket);
	socket->resets = resets;
	socket->peer.length = 0;
	socket->state = SOCKET_OPEN;
	socket->has_end = socket->read_is_shut = socket->write_is_shut = false;
	socket->error = 0;
	return socket->type == SOCK_DGRAM ? socket_make(socket) : 0;
}

static int connect_socket(struct socket *socket, int fd, struct address *address)
{
	enum side side = socket->side;
	int error;

	if (side == SIDE_DEMI && name_of(address)->sa_family == AF_UNSPEC &&
	    socket->state != SOCKET_LISTENING)
		return disconnect(socket);
	if (socket->type == SOCK_STREAM && side != SIDE_UNDECIDED) {
		error = connect_state(socket);
		if (error != 1)
			return error;
	}
	error = address_fits(socket, address);
	if (side == SIDE_UNDECIDED && error)
		return real()->connect(fd, name_of(address), address->length) == 0 ? 0 : -errno;
	if (error)
		return error;
	if (side == SIDE_UNDECIDED || side == SIDE_BOTH)
		side = rules_connect(&engine.rules, socket->type, name_of(address));
	if (side == SIDE_DEMI)
		return connect_ours(socket, fd, address);
	if (socket->side == SIDE_UNDECIDED)
		socket_decide(socket, fd, SIDE_KERNEL,
			      "connected to a peer that is not the stack's");
	error = real()->connect(fd, name_of(address), address->length);
	return error == 0 ? 0 : -errno;
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	struct socket *socket;
	struct address copy;
	int error;

	engine_cancellation_point();
	socket = call_enter(fd);
	if (!socket)
		return real()->connect(fd, address, length);
	error = address_take(&copy, address, length);
	if (error)
		return (int)call_leave(socket, error);
	/* One of the kernel's may wait for its peer, without our lock. */
	if (socket->side == SIDE_UNDECIDED && address_fits(socket, &copy) == 0 &&
	    rules_connect(&engine.rules, socket->type, name_of(&copy)) == SIDE_KERNEL) {
		socket_decide(socket, fd, SIDE_KERNEL,
			      "connected to a peer that is not the stack's");
		file_leave(&socket->file);
		return real()->connect(fd, address, length);
	}
	return (int)wait_leave(socket, connect_socket(socket, fd, &copy));
}

/* Both have ended it, or one has reset it: as if there never had been one. */
static bool has_gone(struct socket *socket)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	if (socket->type != SOCK_STREAM)
		return false;
	if (socket->state != SOCKET_CONNECTED)
		return true;
	if (!socket->has_end || !socket->write_is_shut)
		return false;
	return demi_getsockopt(socket->qd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
	       info.tcpi_state == TCP_CLOSE || info.tcpi_state == TCP_TIME_WAIT;
}

/* ---- Names ---- */

EXPORT int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	struct socket *socket = call_enter(fd);
	struct address name = {.length = sizeof(name.storage)};

	if (!socket)
		return real()->getsockname(fd, address, length);
	if (socket->side != SIDE_DEMI) {
		int error = real()->getsockname(fd, address, length) == 0 ? 0 : -errno;

		return (int)call_leave(socket, error);
	}
	/* Which port it has been given is known only with a queue. */
	if (socket->qd < 0 && socket->bound.length && !address_port(name_of(&socket->bound)))
		socket_make(socket);
	if (socket->qd < 0 || demi_getsockname(socket->qd, name_of(&name), &name.length) != 0)
		name = socket->bound;
	if (!name.length) {
		name.storage.ss_family = (sa_family_t)socket->domain;
		name.length = socket->domain == AF_INET ? sizeof(struct sockaddr_in)
							: sizeof(struct sockaddr_in6);
	}
	return (int)call_leave(socket, address_give(&name, address, length));
}

EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	struct socket *socket = call_enter(fd);
	int error;

	if (!socket)
		return real()->getpeername(fd, address, length);
	if (socket->side == SIDE_UNDECIDED || !socket->peer.length || has_gone(socket))
		error = -ENOTCONN;
	else
		error = address_give(&socket->peer, address, length);
	return (int)call_leave(socket, error);
}

/* ---- Options ---- */

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	struct socket *socket = call_enter(fd);

	if (!socket)
		return real()->setsockopt(fd, level, name, value, length);
	return (int)call_leave(socket, option_set(socket, fd, level, name, value, length));
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct socket *socket = call_enter(fd);

	if (!socket)
		return real()->getsockopt(fd, level, name, value, length);
	return (int)call_leave(socket, option_get(socket, fd, level, name, value, length));
}

/* ---- shutdown ---- */

static int shut(struct socket *socket, int how)
{
	int error = 0;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (socket->type == SOCK_DGRAM ? !socket->peer.length
				       : socket->state != SOCKET_LISTENING && has_gone(socket))
		return -ENOTCONN;
	if (socket->state == SOCKET_LISTENING) {
		/* As Linux: a listener that is shut accepts no more, and a blocked accept returns. */
		if (how != SHUT_WR) {
			socket_reset(socket);
			socket->state = SOCKET_OPEN;
			file_notify(&socket->file, POLLIN | POLLHUP);
		}
		return 0;
	}
	if (how != SHUT_RD && !socket->write_is_shut) {
		cork_flush(socket);
		if (socket->type == SOCK_STREAM && socket->state == SOCKET_CONNECTED)
			error = -demi_shutdown(socket->qd, SHUT_WR);
		socket->write_is_shut = true;
	}
	if (how != SHUT_WR)
		socket->read_is_shut = true;
	file_notify(&socket->file, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	engine_poll();
	return error;
}

EXPORT int shutdown(int fd, int how)
{
	struct socket *socket = call_enter(fd);

	if (!socket)
		return real()->shutdown(fd, how);
	if (socket->side == SIDE_UNDECIDED || socket->side == SIDE_BOTH) {
		int error = real()->shutdown(fd, how) == 0 ? 0 : -errno;

		if (socket->side == SIDE_UNDECIDED)
			return (int)call_leave(socket, error);
	}
	return (int)call_leave(socket, shut(socket, how));
}
