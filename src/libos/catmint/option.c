/* SPDX-License-Identifier: MIT */
/*
 * The options of a connection. Those of TCP that programs set, and for which RDMA has no use, are
 * remembered and can be read.
 */
#include "libos/catmint/option.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "libos/catmint/connection.h"
#include "libos/catnip/option.h"

#define CONNECTION connection_of(queue)
OPTION_FLAG(keep_alive, CONNECTION->keeps_alive)
OPTION_FLAG(reuse_address, CONNECTION->reuse_address)
OPTION_FLAG(no_delay, CONNECTION->no_delay)
OPTION_FLAG(reuse_port, CONNECTION->reuse_port)
OPTION_FIELD(send_buffer, int, CONNECTION->options.send_buffer_bytes)
OPTION_FIELD(receive_buffer, int, CONNECTION->options.receive_buffer_bytes)
OPTION_FIELD(keep_idle, int, CONNECTION->options.keep_idle_s)
OPTION_FIELD(keep_interval, int, CONNECTION->options.keep_interval_s)
OPTION_FIELD(keep_probes, int, CONNECTION->options.keep_probes)
OPTION_FIELD(user_timeout, int, CONNECTION->options.user_timeout_ms)

#define BUFFER_BYTES 212992
#define KEEP_SECONDS_MAX 32767
#define KEEP_PROBES_MAX 127
#define SEGMENT_BYTES_MIN 88
#define SEGMENT_BYTES_MAX 32767

void option_init(struct connection_options *options)
{
	*options = (struct connection_options){
		.send_buffer_bytes = BUFFER_BYTES,
		.receive_buffer_bytes = BUFFER_BYTES,
		.keep_idle_s = 7200,
		.keep_interval_s = 75,
		.keep_probes = 9,
	};
}

/* What one message carries, once there is a connection; before, what was set. */
static int get_segment_bytes(struct queue *queue)
{
	const struct connection *connection = CONNECTION;

	if (connection->state == CONNECTION_CONNECTED)
		return (int)(connection->peer.receive_bytes - MESSAGE_HEADER_BYTES);
	return connection->options.segment_bytes ? connection->options.segment_bytes
						 : (int)connection->mint->limits.receive_bytes;
}

static int set_segment_bytes(struct queue *queue, int value)
{
	if (value && value < SEGMENT_BYTES_MIN)
		return -EINVAL;
	CONNECTION->options.segment_bytes = value;
	return 0;
}

static int get_v6_only(struct queue *queue)
{
	return CONNECTION->v6_only;
}

/* Before there is an address, as of a kernel's socket. */
static int set_v6_only(struct queue *queue, int value)
{
	if (CONNECTION->id || CONNECTION->is_bound)
		return -EINVAL;
	CONNECTION->v6_only = value != 0;
	return 0;
}

/* Told once. */
static int take_error(struct queue *queue)
{
	int error = CONNECTION->untold_error;

	CONNECTION->untold_error = 0;
	return error;
}

static int get_type(struct queue *queue)
{
	(void)queue;
	return SOCK_STREAM;
}

static int get_domain(struct queue *queue)
{
	return CONNECTION->is_v6 ? AF_INET6 : AF_INET;
}

static int get_protocol(struct queue *queue)
{
	(void)queue;
	return IPPROTO_TCP;
}

static int get_accepts(struct queue *queue)
{
	return CONNECTION->state == CONNECTION_LISTENING;
}

/* clang-format off */
static const struct option options[] = {
	OPTION_READ(SOL_SOCKET, SO_TYPE, get_type),
	OPTION_READ(SOL_SOCKET, SO_DOMAIN, get_domain),
	OPTION_READ(SOL_SOCKET, SO_PROTOCOL, get_protocol),
	OPTION_READ(SOL_SOCKET, SO_ACCEPTCONN, get_accepts),
	OPTION_READ(SOL_SOCKET, SO_ERROR, take_error),
	OPTION_SET(SOL_SOCKET, SO_REUSEADDR, INT_MIN, INT_MAX, reuse_address),
	OPTION_SET(SOL_SOCKET, SO_KEEPALIVE, INT_MIN, INT_MAX, keep_alive),
	OPTION_SET(SOL_SOCKET, SO_SNDBUF, 0, INT_MAX, send_buffer),
	OPTION_SET(SOL_SOCKET, SO_RCVBUF, 0, INT_MAX, receive_buffer),
	OPTION_SET(SOL_SOCKET, SO_REUSEPORT, INT_MIN, INT_MAX, reuse_port),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPIDLE, 1, KEEP_SECONDS_MAX, keep_idle),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPINTVL, 1, KEEP_SECONDS_MAX, keep_interval),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPCNT, 1, KEEP_PROBES_MAX, keep_probes),
	OPTION_SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 0, INT_MAX, user_timeout),
	OPTION_SET(IPPROTO_TCP, TCP_MAXSEG, 0, SEGMENT_BYTES_MAX, segment_bytes),
	OPTION_SET(IPPROTO_TCP, TCP_NODELAY, INT_MIN, INT_MAX, no_delay),
	OPTION_SET(IPPROTO_IPV6, IPV6_V6ONLY, INT_MIN, INT_MAX, v6_only),
};
/* clang-format on */

static int set_linger(struct connection *connection, const void *value, socklen_t length)
{
	struct linger linger;
	int error = option_load(&linger, sizeof(linger), value, length);

	if (!error)
		connection->linger_s = linger.l_onoff ? linger.l_linger : -1;
	return error;
}

static int get_linger(const struct connection *connection, void *value, socklen_t *length)
{
	struct linger linger = {
		.l_onoff = connection->linger_s >= 0,
		.l_linger = connection->linger_s >= 0 ? connection->linger_s : 0,
	};

	return option_store(&linger, sizeof(linger), value, length);
}

/* As far as it means something here: a message is a segment, credits are the window. */
static int get_info(const struct connection *connection, void *value, socklen_t *length)
{
	struct tcp_info info = {.tcpi_state = TCP_CLOSE};

	if (connection->state == CONNECTION_LISTENING)
		info.tcpi_state = TCP_LISTEN;
	else if (connection->state == CONNECTION_CONNECTING)
		info.tcpi_state = TCP_SYN_SENT;
	else if (connection->state == CONNECTION_CONNECTED && !connection->error)
		info.tcpi_state = connection->end_received ? TCP_CLOSE_WAIT
				  : connection->write_shut ? TCP_FIN_WAIT2
							   : TCP_ESTABLISHED;
	info.tcpi_snd_mss = connection->peer.receive_bytes;
	info.tcpi_rcv_mss = connection->mint->limits.receive_bytes;
	info.tcpi_unacked = connection->posted_count;
	info.tcpi_snd_cwnd = connection->allowed - connection->sent;
	if (*length < 1 || *length > INT_MAX)
		return -EINVAL;
	if (*length > sizeof(info))
		*length = sizeof(info);
	memcpy(value, &info, *length);
	return 0;
}

int connection_set_option(struct queue *queue, int level, int name, const void *value,
			  socklen_t length)
{
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(CONNECTION, value, length);
	return catnip_option_set(OPTION_TABLE(options), queue, CONNECTION->is_v6, level, name,
				 value, length);
}

int connection_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	if (level == SOL_SOCKET && name == SO_LINGER)
		return get_linger(CONNECTION, value, length);
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_info(CONNECTION, value, length);
	return catnip_option_get(OPTION_TABLE(options), queue, CONNECTION->is_v6, level, name,
				 value, length);
}
