/* SPDX-License-Identifier: MIT */
/*
 * While nobody knows whose a socket is, an option is set on the kernel's and noted for ours. Later
 * it is set on whose it is. Some have a meaning in the shim alone, some have none here and are taken
 * all the same, since programs stop where these fail; the rest is refused.
 */
#include "option.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "cork.h"
#include "engine.h"
#include "guard.h"
#include "real.h"
#include "trace.h"

#define VALUE_BYTES_MAX 256u

struct name {
	int level, name;
};

/* Hints and kernel matters: a stack without them serves the program as well. */
static const struct name mild[] = {
	{SOL_SOCKET, SO_PRIORITY},         {SOL_SOCKET, SO_BUSY_POLL},
	{SOL_SOCKET, SO_INCOMING_CPU},     {SOL_SOCKET, SO_DONTROUTE},
	{SOL_SOCKET, SO_OOBINLINE},        {SOL_SOCKET, SO_RCVBUFFORCE},
	{SOL_SOCKET, SO_SNDBUFFORCE},      {SOL_SOCKET, SO_MAX_PACING_RATE},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT},   {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
	{IPPROTO_TCP, TCP_FASTOPEN},       {IPPROTO_TCP, TCP_WINDOW_CLAMP},
	{IPPROTO_TCP, TCP_LINGER2},        {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
	{IPPROTO_IP, IP_MTU_DISCOVER},     {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER}, {IPPROTO_IP, IP_RECVERR},
	{IPPROTO_IPV6, IPV6_RECVERR},
};

static bool is_mild(int level, int name)
{
	for (size_t i = 0; i < sizeof(mild) / sizeof(mild[0]); i++)
		if (mild[i].level == level && mild[i].name == name)
			return true;
	return false;
}

/* ---- Notes ---- */

static struct option_record *record_find(struct socket *socket, int level, int name)
{
	struct option_record *record = socket->options;

	while (record && (record->level != level || record->name != name))
		record = record->next;
	return record;
}

/* The order stays: some options depend on others. */
static int record_set(struct socket *socket, int level, int name, const void *value,
		      socklen_t length)
{
	struct option_record *old = record_find(socket, level, name);
	struct option_record **end = &socket->options;
	struct option_record *record;

	if (old && old->length == length) {
		memcpy(old->value, value, length);
		return 0;
	}
	record = malloc(sizeof(*record) + length);
	if (!record)
		return -ENOMEM;
	record->next = NULL;
	record->level = level;
	record->name = name;
	record->length = length;
	memcpy(record->value, value, length);
	while (*end && *end != old)
		end = &(*end)->next;
	if (old) {
		record->next = old->next;
		free(old);
	}
	*end = record;
	return 0;
}

/* ---- Those of the shim ---- */

static int set_time(uint64_t *ns, const void *value, socklen_t length)
{
	struct timeval time;

	if (length < sizeof(time))
		return -EINVAL;
	memcpy(&time, value, sizeof(time));
	if (time.tv_usec < 0 || time.tv_usec >= 1000000)
		return -EDOM;
	*ns = time.tv_sec < 0
		      ? 0
		      : (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_usec * NS_PER_US;
	return 0;
}

static int set_buffer(size_t *room, const void *value, socklen_t length)
{
	int bytes;

	if (length < sizeof(bytes))
		return -EINVAL;
	memcpy(&bytes, value, sizeof(bytes));
	/* As Linux, which counts its own overhead in. */
	*room = bytes < 2304 ? 4608 : 2 * (size_t)(bytes > INT_MAX / 2 ? INT_MAX / 2 : bytes);
	return 0;
}

/* The stack's window has the same bound. */
static int set_in_room(struct socket *socket, const void *value, socklen_t length)
{
	int error = set_buffer(&socket->in_room, value, length);
	int bytes = (int)(socket->in_room / 2);

	if (!error && socket->qd >= 0)
		demi_setsockopt(socket->qd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return error ? error : record_set(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* As Linux: of none there is one, and of less than none as much as there can be. */
static int set_low_water(struct socket *socket, const void *value, socklen_t length)
{
	int bytes;

	if (length < sizeof(bytes))
		return -EINVAL;
	memcpy(&bytes, value, sizeof(bytes));
	socket->low_water = bytes < 0 ? INT_MAX : bytes ? (size_t)bytes : 1;
	file_notify(&socket->file, POLLIN);
	return 0;
}

/* It is of close, which is ours. */
static int set_linger(struct socket *socket, const void *value, socklen_t length)
{
	struct linger linger;

	if (length < sizeof(linger))
		return -EINVAL;
	memcpy(&linger, value, sizeof(linger));
	socket->resets = linger.l_onoff && linger.l_linger == 0;
	socket->linger_ns = linger.l_onoff && linger.l_linger > 0
				    ? (uint64_t)linger.l_linger * NS_PER_S
				    : 0;
	return 0;
}

static int set_cork(struct socket *socket, const void *value, socklen_t length)
{
	int on;

	if (length < sizeof(on))
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	socket->is_corked = on != 0;
	if (!on)
		cork_flush(socket);
	return 0;
}

/* Return: 1: it is none of these. */
static int set_here(struct socket *socket, int level, int name, const void *value, socklen_t length)
{
	if (level == SOL_SOCKET && name == SO_RCVTIMEO)
		return set_time(&socket->receive_ns, value, length);
	if (level == SOL_SOCKET && name == SO_SNDTIMEO)
		return set_time(&socket->send_ns, value, length);
	if (level == IPPROTO_TCP && name == TCP_CORK && socket->type == SOCK_STREAM)
		return set_cork(socket, value, length);
	if (level == SOL_SOCKET && name == SO_SNDBUF)
		return set_buffer(&socket->out_room, value, length);
	if (level == SOL_SOCKET && name == SO_RCVBUF)
		return set_in_room(socket, value, length);
	if (level == SOL_SOCKET && name == SO_RCVLOWAT)
		return set_low_water(socket, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(socket, value, length);
	if (level == SOL_SOCKET && name == SO_BROADCAST && length >= sizeof(int))
		socket->may_broadcast = *(const int *)value != 0;
	return 1;
}

/* ---- Setting ---- */

int option_tell(int qd, int level, int name, const void *value, socklen_t length)
{
	if ((level == IPPROTO_IP && name == IP_RECVERR) ||
	    (level == IPPROTO_IPV6 && name == IPV6_RECVERR))
		return ENOPROTOOPT;
	return demi_setsockopt(qd, level, name, value, length);
}

void option_is_lost(int level, int name, int error)
{
	trace_count(is_mild(level, name) ? COUNT_MILD : COUNT_NO_OPTION);
	TRACE("option %d of level %d has no effect: %s", name, level, strerror(error));
}

static int refuse_option(int level, int name)
{
	trace_count(COUNT_NO_OPTION);
	TRACE("option %d of level %d is refused: the stack has none such", name, level);
	return -ENOPROTOOPT;
}

static int set_ours(struct socket *socket, int level, int name, const void *value, socklen_t length)
{
	int error = socket->qd >= 0 ? option_tell(socket->qd, level, name, value, length) : 0;

	if ((error == ENOTSUP || error == ENOPROTOOPT) && is_mild(level, name)) {
		trace_count(COUNT_MILD);
		error = 0;
	}
	if (error == ENOTSUP || error == ENOPROTOOPT)
		return refuse_option(level, name);
	return error ? -error : record_set(socket, level, name, value, length);
}

int option_set(struct socket *socket, int fd, int level, int name, const void *value,
	       socklen_t length)
{
	_Alignas(8) unsigned char copy[VALUE_BYTES_MAX];
	int here;

	if (length > sizeof(copy) || length > INT_MAX)
		return length > INT_MAX ? -EINVAL : -ENOPROTOOPT;
	/*
	 * Who has it sends with MSG_ZEROCOPY and waits for the reports of that, which would never come.
	 * While nobody knows whose the socket is, too: later is too late to say so.
	 */
	if (level == SOL_SOCKET && name == SO_ZEROCOPY)
		return refuse_option(level, name);
	if (!guard_copy(copy, value, length))
		return -EFAULT;
	/* An accepted one has no kernel's socket of its own. */
	if (socket->side != SIDE_DEMI && !socket->file.is_placeholder &&
	    real()->setsockopt(fd, level, name, copy, length) != 0)
		return -errno;
	here = set_here(socket, level, name, copy, length);
	if (here <= 0)
		return here;
	if (socket->side == SIDE_UNDECIDED || socket->side == SIDE_BOTH) {
		int error = socket->qd < 0 ? 0 : option_tell(socket->qd, level, name, copy, length);

		if (error)
			option_is_lost(level, name, error);
		return record_set(socket, level, name, copy, length);
	}
	return set_ours(socket, level, name, copy, length);
}

/* ---- Getting ---- */

static int store(const void *from, size_t size, void *value, socklen_t *length)
{
	socklen_t room;

	if (!guard_copy(&room, length, sizeof(room)))
		return -EFAULT;
	if (room > INT_MAX)
		return -EINVAL;
	if (room > size)
		room = (socklen_t)size;
	return guard_copy(value, from, room) && guard_copy(length, &room, sizeof(room)) ? 0
											: -EFAULT;
}

static int store_time(uint64_t ns, void *value, socklen_t *length)
{
	struct timeval time = {.tv_sec = (time_t)(ns / NS_PER_S),
			       .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};

	return store(&time, sizeof(time), value, length);
}

static int store_int(int number, void *value, socklen_t *length)
{
	return store(&number, sizeof(number), value, length);
}

static int store_linger(const struct socket *socket, void *value, socklen_t *length)
{
	struct linger linger = {.l_onoff = socket->resets || socket->linger_ns,
				.l_linger = (int)(socket->linger_ns / NS_PER_S)};

	return store(&linger, sizeof(linger), value, length);
}

/* Return: 1: it is none of these. */
static int get_here(struct socket *socket, int level, int name, void *value, socklen_t *length)
{
	if (level == IPPROTO_TCP && name == TCP_CORK && socket->type == SOCK_STREAM)
		return store_int(socket->is_corked, value, length);
	if (level != SOL_SOCKET)
		return 1;
	switch (name) {
	case SO_RCVTIMEO:
		return store_time(socket->receive_ns, value, length);
	case SO_SNDTIMEO:
		return store_time(socket->send_ns, value, length);
	case SO_SNDBUF:
		return store_int((int)(socket->out_room > INT_MAX ? INT_MAX : socket->out_room),
				 value, length);
	case SO_RCVBUF:
		return store_int((int)(socket->in_room > INT_MAX ? INT_MAX : socket->in_room),
				 value, length);
	case SO_RCVLOWAT:
		return store_int((int)socket_low_water(socket), value, length);
	case SO_LINGER:
		return store_linger(socket, value, length);
	case SO_ERROR:
		return store_int(socket_take_error(socket), value, length);
	case SO_TYPE:
		return store_int(socket->type, value, length);
	case SO_DOMAIN:
		return store_int(socket->domain, value, length);
	case SO_PROTOCOL:
		return store_int(socket->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, value,
				 length);
	case SO_ACCEPTCONN:
		return store_int(socket->state == SOCKET_LISTENING, value, length);
	default:
		return 1;
	}
}

int option_get(struct socket *socket, int fd, int level, int name, void *value, socklen_t *length)
{
	_Alignas(8) unsigned char copy[VALUE_BYTES_MAX];
	socklen_t room = sizeof(copy), wanted;
	const struct option_record *record;
	int error;

	if (socket->side == SIDE_UNDECIDED)
		return real()->getsockopt(fd, level, name, value, length) == 0 ? 0 : -errno;
	error = get_here(socket, level, name, value, length);
	if (error <= 0)
		return error;
	if (!guard_copy(&wanted, length, sizeof(wanted)))
		return -EFAULT;
	if (wanted < room)
		room = wanted;
	error = ENOPROTOOPT;
	if (socket->qd >= 0)
		error = demi_getsockopt(socket->qd, level, name, copy, &room);
	if (!error)
		return store(copy, room, value, length);
	record = record_find(socket, level, name);
	if (record)
		return store(record->value, record->length, value, length);
	if (error != ENOTSUP && error != ENOPROTOOPT)
		return -error;
	if (!socket->file.is_placeholder && (is_mild(level, name) || socket->qd < 0))
		return real()->getsockopt(fd, level, name, value, length) == 0 ? 0 : -errno;
	trace_count(COUNT_NO_OPTION);
	TRACE("option %d of level %d cannot be read: the stack has none such", name, level);
	return -ENOPROTOOPT;
}

/* ---- ioctl ---- */

/* A datagram socket tells of the next one only. */
static int readable_bytes(const struct socket *socket)
{
	const struct chunk *chunk = socket->inbox.head;
	size_t bytes = socket->type == SOCK_STREAM ? socket->inbox.bytes : 0;

	if (socket->state == SOCKET_LISTENING)
		return -EINVAL;
	for (uint32_t i = 0; socket->type == SOCK_DGRAM && chunk && i < chunk->sga.sga_numsegs; i++)
		bytes += chunk->sga.sga_segs[i].sgaseg_len;
	return bytes > INT_MAX ? INT_MAX : (int)bytes;
}

static int put_int(int number, void *argument)
{
	if (number < 0)
		return number;
	return guard_copy(argument, &number, sizeof(number)) ? 0 : -EFAULT;
}

int option_control(struct socket *socket, int fd, unsigned long request, void *argument)
{
	int on;

	switch (request) {
	case FIONBIO:
		if (!guard_copy(&on, argument, sizeof(on)))
			return -EFAULT;
		socket->file.is_nonblocking = on != 0;
		if (socket->side == SIDE_UNDECIDED && !socket->file.is_placeholder)
			real()->ioctl(fd, request, argument);
		return 0;
	case FIONREAD:
		if (socket->side == SIDE_UNDECIDED)
			break;
		if (!socket->inbox.bytes)
			engine_poll();
		return put_int(readable_bytes(socket), argument);
	case FIOASYNC:
		if (socket->side == SIDE_UNDECIDED)
			break;
		trace_count(COUNT_NO_CALL);
		TRACE("FIOASYNC on descriptor %d: no signals are sent for it", fd);
		break;
	case SIOCOUTQ:
		if (socket->side == SIDE_UNDECIDED)
			break;
		if (socket->state == SOCKET_LISTENING)
			return -EINVAL;
		return put_int((int)(socket->out_bytes > INT_MAX ? INT_MAX : socket->out_bytes),
			       argument);
	default:
		break;
	}
	on = real()->ioctl(fd, request, argument);
	return on < 0 ? -errno : on;
}
