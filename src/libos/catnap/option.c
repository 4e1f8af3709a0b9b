/* SPDX-License-Identifier: MIT */
#include "libos/catnap/option.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct option {
	int level;
	int name;
	socklen_t size; /* least length of the value, bytes */
	bool set;       /* may be set, not only read */
	int minimum;    /* least value of an int option that may be set */
};

static const struct option options[] = {
	{SOL_SOCKET, SO_LINGER, sizeof(struct linger), true, 0},
	{SOL_SOCKET, SO_KEEPALIVE, sizeof(int), true, 0},
	{SOL_SOCKET, SO_REUSEADDR, sizeof(int), true, 0},
	{SOL_SOCKET, SO_REUSEPORT, sizeof(int), true, 0},
	{SOL_SOCKET, SO_BROADCAST, sizeof(int), true, 0},
	{SOL_SOCKET, SO_RCVBUF, sizeof(int), true, 1},
	{SOL_SOCKET, SO_SNDBUF, sizeof(int), true, 1},
	{SOL_SOCKET, SO_ERROR, sizeof(int), false, 0},
	{SOL_SOCKET, SO_TYPE, sizeof(int), false, 0},
	{SOL_SOCKET, SO_DOMAIN, sizeof(int), false, 0},
	{SOL_SOCKET, SO_ACCEPTCONN, sizeof(int), false, 0},
	{IPPROTO_TCP, TCP_NODELAY, sizeof(int), true, 0},
	{IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int), true, 1},
	{IPPROTO_TCP, TCP_KEEPINTVL, sizeof(int), true, 1},
	{IPPROTO_TCP, TCP_KEEPCNT, sizeof(int), true, 1},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, sizeof(int), true, 0},
	{IPPROTO_TCP, TCP_MAXSEG, sizeof(int), true, 0},
	{IPPROTO_TCP, TCP_INFO, 1, false, 0},
	{IPPROTO_IP, IP_MTU_DISCOVER, sizeof(int), true, IP_PMTUDISC_DONT},
	{IPPROTO_IP, IP_RECVERR, sizeof(int), true, 0},
	{IPPROTO_IPV6, IPV6_V6ONLY, sizeof(int), true, 0},
	{IPPROTO_IPV6, IPV6_RECVERR, sizeof(int), true, 0},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, sizeof(int), true, IPV6_PMTUDISC_DONT},
};

static int option_find(int level, int name, const struct option **option_out)
{
	bool level_known = false;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].level != level)
			continue;
		level_known = true;
		if (options[i].name == name) {
			*option_out = &options[i];
			return 0;
		}
	}
	return level_known ? -ENOPROTOOPT : -ENOTSUP;
}

/* The kernel answers EOPNOTSUPP for a level that the socket's protocol has not, say TCP on UDP. */
static int kernel_error(void)
{
	return errno == EOPNOTSUPP || errno == EPROTONOSUPPORT ? -ENOPROTOOPT : -errno;
}

int option_set(int fd, int level, int name, const void *value, socklen_t length)
{
	const struct option *option;
	int number;
	int error = option_find(level, name, &option);

	if (error)
		return error;
	if (!option->set)
		return -ENOPROTOOPT;
	if (length < option->size || length > INT32_MAX)
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	if (option->size == sizeof(int) && number < option->minimum)
		return -EINVAL;
	return setsockopt(fd, level, name, value, length) < 0 ? kernel_error() : 0;
}

int option_get(int fd, int level, int name, void *value, socklen_t *length)
{
	const struct option *option;
	int error = option_find(level, name, &option);

	if (error)
		return error;
	if (*length < option->size || *length > INT32_MAX)
		return -EINVAL;
	return getsockopt(fd, level, name, value, length) < 0 ? kernel_error() : 0;
}
