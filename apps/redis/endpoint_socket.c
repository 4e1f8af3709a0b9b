/* SPDX-License-Identifier: MIT */
/*
 * Sockets as calls know them. One is of both worlds, the kernel's and Demi's, until it is bound or
 * connected: its address tells whose it is. The kernel's then remains as the holder of the number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "endpoint_table.h"

int endpoint_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type, protocol);
	struct endpoint *endpoint;
	int qd, error;

	if (fd < 0 || (domain != AF_INET && domain != AF_INET6) || endpoint_is_child())
		return fd;
	endpoint_start();
	error = demi_socket(&qd, domain, SOCK_STREAM, 0);
	if (error == ENOTSUP) /* The libOS has no sockets, or none of this family. */
		return fd;
	endpoint = error == 0 ? endpoint_new(fd, qd, ENDPOINT_NEW) : NULL;
	if (endpoint == NULL) {
		if (error == 0) {
			error = ENOMEM;
			demi_close(qd);
		}
		close(fd);
		return endpoint_fail(error);
	}
	endpoint->is_nonblocking = (type & SOCK_NONBLOCK) != 0;
	return fd;
}

/* It is the kernel's after all. */
static void leave_to_kernel(struct endpoint *endpoint)
{
	demi_close(endpoint->qd);
	endpoint_drop(endpoint);
}

int endpoint_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	int error;

	if (endpoint == NULL)
		return setsockopt(fd, level, name, value, size);
	if (level == SOL_SOCKET && name == SO_RCVTIMEO && size == sizeof(struct timeval)) {
		const struct timeval *timeout = value;

		endpoint->receive_timeout_ms = timeout->tv_sec * 1000 + timeout->tv_usec / 1000;
		return 0;
	}
	if (level == SOL_SOCKET && name == SO_SNDTIMEO)
		return 0; /* Pushes do not block. */
	error = demi_setsockopt(endpoint->qd, level, name, value, size);
	if (error == 0 && endpoint->kind == ENDPOINT_NEW)
		return setsockopt(fd, level, name, value, size);
	return error == 0 ? 0 : endpoint_fail(error);
}

int endpoint_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	int error;

	if (endpoint == NULL)
		return getsockopt(fd, level, name, value, size);
	if (level == SOL_SOCKET && name == SO_ERROR && *size == sizeof(int)) {
		*(int *)value = endpoint->error;
		return 0;
	}
	error = demi_getsockopt(endpoint->qd, level, name, value, size);
	return error == 0 ? 0 : endpoint_fail(error);
}

static void print_address(const struct sockaddr *address, char *text, size_t size)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, text, (socklen_t)size);
	else
		inet_ntop(AF_INET, &four->sin_addr, text, (socklen_t)size);
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
	return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

int endpoint_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	char text[INET6_ADDRSTRLEN];
	int error;

	if (endpoint == NULL)
		return bind(fd, address, size);
	error = is_loopback(address) && !endpoint_shares_addresses()
			? EADDRNOTAVAIL
			: demi_bind(endpoint->qd, address, size);
	if (error == 0)
		return 0;
	if ((error != EADDRNOTAVAIL && error != EAFNOSUPPORT) || endpoint_shares_addresses())
		return endpoint_fail(error);
	print_address(address, text, sizeof(text));
	fprintf(stderr, "redis-server: %s is no address of the datapath: the kernel serves it\n",
		text);
	leave_to_kernel(endpoint);
	return bind(fd, address, size);
}

int endpoint_listen(int fd, int backlog)
{
	struct endpoint *endpoint = endpoint_of(fd);
	int error;

	if (endpoint == NULL)
		return listen(fd, backlog);
	error = demi_listen(endpoint->qd, backlog);
	if (error != 0)
		return endpoint_fail(error);
	endpoint->kind = ENDPOINT_LISTENER;
	endpoint_receive(endpoint);
	return 0;
}

int endpoint_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	struct pollfd wanted = {.fd = fd, .events = POLLOUT};
	int error;

	if (endpoint == NULL)
		return connect(fd, address, size);
	if (is_loopback(address) && !endpoint_shares_addresses() &&
	    endpoint->kind == ENDPOINT_NEW) {
		leave_to_kernel(endpoint);
		return connect(fd, address, size);
	}
	error = demi_connect(&endpoint->connect, endpoint->qd, address, size);
	if (error != 0) {
		endpoint->connect = 0;
		return endpoint_fail(error);
	}
	endpoint->kind = ENDPOINT_CONNECTING;
	if (endpoint->is_nonblocking)
		return endpoint_fail(EINPROGRESS);
	endpoint_poll(&wanted, 1, -1);
	return endpoint->error == 0 ? 0 : endpoint_fail(endpoint->error);
}

int endpoint_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	struct endpoint *listener = endpoint_of(fd);
	struct endpoint *endpoint;
	int holder, qd;

	if (listener == NULL)
		return accept4(fd, address, size, flags);
	if (listener->accepted_count == 0)
		return endpoint_fail(listener->kind == ENDPOINT_LISTENER ? EAGAIN : EINVAL);
	holder = eventfd(0, EFD_CLOEXEC);
	if (holder < 0)
		return -1;
	qd = listener->accepted[0];
	listener->accepted_count--;
	memmove(listener->accepted, listener->accepted + 1,
		listener->accepted_count * sizeof(listener->accepted[0]));
	endpoint_receive(listener);
	endpoint = endpoint_new(holder, qd, ENDPOINT_STREAM);
	if (endpoint == NULL) {
		demi_close(qd);
		close(holder);
		return endpoint_fail(ENOMEM);
	}
	endpoint->is_nonblocking = (flags & SOCK_NONBLOCK) != 0;
	endpoint_receive(endpoint);
	if (address != NULL && endpoint_getpeername(holder, address, size) < 0)
		memset(address, 0, *size); /* It has gone already. */
	return holder;
}

int endpoint_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	int error;

	if (endpoint == NULL)
		return getpeername(fd, address, size);
	error = demi_getpeername(endpoint->qd, address, size);
	return error == 0 ? 0 : endpoint_fail(error);
}

int endpoint_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	int error;

	if (endpoint == NULL)
		return getsockname(fd, address, size);
	error = demi_getsockname(endpoint->qd, address, size);
	return error == 0 ? 0 : endpoint_fail(error);
}

int endpoint_fcntl(int fd, int command, ...)
{
	struct endpoint *endpoint = endpoint_of(fd);
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	if (endpoint != NULL && command == F_SETFL)
		endpoint->is_nonblocking = (argument & O_NONBLOCK) != 0;
	if (endpoint != NULL && command == F_GETFL && endpoint->kind != ENDPOINT_NEW)
		return O_RDWR | (endpoint->is_nonblocking ? O_NONBLOCK : 0);
	return fcntl(fd, command, argument);
}

static bool has_deferred(const struct endpoint *endpoint)
{
	const struct endpoint_sending *sending = endpoint->sending;

	while (sending != NULL && sending->deferred == NULL)
		sending = sending->next;
	return sending != NULL;
}

int endpoint_close(int fd)
{
	struct endpoint *endpoint = endpoint_of(fd);

	if (endpoint == NULL || endpoint_is_child())
		return close(fd);
	/* What was written comes before the end of the connection. */
	if (has_deferred(endpoint))
		endpoint_settle();
	endpoint_forget_input(endpoint);
	endpoint_unlist(endpoint);
	while (endpoint->accepted_count != 0)
		demi_close(endpoint->accepted[--endpoint->accepted_count]);
	/* Its number may be another's soon; its queue, and what holds memory, end when all was sent. */
	endpoint_detach(endpoint);
	endpoint->kind = ENDPOINT_CLOSING;
	if (demi_aclose(&endpoint->close, endpoint->qd) == 0) {
		endpoint_closing_count++;
	} else {
		demi_close(endpoint->qd);
		endpoint_drop(endpoint);
	}
	return close(fd);
}
