/* SPDX-License-Identifier: MIT */
/*
 * The options of a TCP socket, with the limits that Linux has. What a kernel's socket understands and
 * this stack has no use for, such as SO_SNDBUF, is remembered and can be read.
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h> /* for all of struct tcp_info, of which <netinet/tcp.h> has a part */
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "libos/catnip/option.h"
#include "libos/catnip/stream.h"

#define HOP_LIMIT_DEFAULT 64
#define RECEIVE_BYTES_MIN 4096
#define KEEP_SECONDS_MAX 32767
#define KEEP_PROBES_MAX 127
#define SYN_RETRIES_MAX 127
#define MSS_MIN 88
#define MSS_MAX 32767
#define ECN_BITS 3 /* of the traffic class: TCP's own */
#define CONGESTION_NAME_BYTES 16

#define SETTINGS (tcp_settings(stream_of(queue)->conn))
OPTION_FLAG(keep_alive, SETTINGS->keep_alive)
OPTION_FLAG(reuse_address, SETTINGS->reuse_address)
OPTION_FLAG(reuse_port, SETTINGS->reuse_port)
OPTION_FLAG(no_delay, SETTINGS->no_delay)
OPTION_FLAG(broadcast, stream_of(queue)->broadcast)
OPTION_FIELD(send_buffer, int, stream_of(queue)->send_buffer_bytes)
OPTION_FIELD(keep_idle, uint32_t, SETTINGS->keep_idle_s)
OPTION_FIELD(keep_interval, uint32_t, SETTINGS->keep_interval_s)
OPTION_FIELD(keep_probes, uint8_t, SETTINGS->keep_probes)
OPTION_FIELD(user_timeout, uint32_t, SETTINGS->user_timeout_ms)
OPTION_HOPS(hop_limit, SETTINGS->hop_limit, HOP_LIMIT_DEFAULT)

static const struct net_tcp_options *configured(const struct queue *queue)
{
	return &((const struct stream *)queue)->catnip->net->options.tcp;
}

/* Where nobody has set it, as many as go before the connect is given up, with twice the time each. */
static int get_syn_retries(struct queue *queue)
{
	const struct net_tcp_options *tcp = configured(queue);
	uint32_t patience_ms = SETTINGS->user_timeout_ms, wait_ms = TCP_RTO_INITIAL_MS;
	uint64_t at_ms = wait_ms;
	int count = 0;

	if (SETTINGS->syn_retries)
		return SETTINGS->syn_retries;
	for (patience_ms = patience_ms ? patience_ms : tcp->connect_timeout_ms;
	     at_ms < patience_ms && count < SYN_RETRIES_MAX; count++) {
		wait_ms = wait_ms < tcp->rto_max_ms / 2 ? 2 * wait_ms : tcp->rto_max_ms;
		at_ms += wait_ms;
	}
	return count;
}

static int set_syn_retries(struct queue *queue, int value)
{
	SETTINGS->syn_retries = (uint8_t)value;
	return 0;
}

static int get_receive_buffer(struct queue *queue)
{
	uint32_t bytes = SETTINGS->receive_bytes;

	return (int)(bytes ? bytes : configured(queue)->buffer);
}

/* What the operator allows is the most, without an error, as of a kernel's socket. */
static int set_receive_buffer(struct queue *queue, int value)
{
	uint32_t most = configured(queue)->max_buffer;
	uint32_t wanted = (uint32_t)(value < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : value);

	SETTINGS->receive_bytes = wanted < most ? wanted : most;
	return 0;
}

/* While it connects, the error is the connect's. */
static int take_error(struct queue *queue)
{
	struct stream *stream = stream_of(queue);

	return stream->state == STREAM_CONNECTING ? 0 : tcp_take_error(stream->conn);
}

static int get_type(struct queue *queue)
{
	(void)queue;
	return SOCK_STREAM;
}

static int get_domain(struct queue *queue)
{
	return SETTINGS->is_v6 ? AF_INET6 : AF_INET;
}

static int get_protocol(struct queue *queue)
{
	(void)queue;
	return IPPROTO_TCP;
}

static int get_accepts(struct queue *queue)
{
	return stream_of(queue)->state == STREAM_LISTENING;
}

/* What one segment carries, once there is a connection; before, what was set. */
static int get_mss(struct queue *queue)
{
	struct stream *stream = stream_of(queue);
	struct tcp_stats stats;

	if (stream->state != STREAM_CONNECTED)
		return SETTINGS->mss_max ? SETTINGS->mss_max : (int)TCP_MSS_DEFAULT;
	tcp_get_stats(stream->conn, &stats);
	return (int)stats.mss_send;
}

static int set_mss(struct queue *queue, int value)
{
	if (value && value < MSS_MIN)
		return -EINVAL;
	SETTINGS->mss_max = (uint16_t)value;
	return 0;
}

/* Acknowledgments go by RFC 9293; asked for ones are for a while only on Linux too. */
static int get_quick_ack(struct queue *queue)
{
	(void)queue;
	return 1;
}

static int set_quick_ack(struct queue *queue, int value)
{
	(void)queue;
	(void)value;
	return 0;
}

static int get_v6_only(struct queue *queue)
{
	return SETTINGS->v6_only;
}

/* Which addresses it has is settled when it is bound. */
static int set_v6_only(struct queue *queue, int value)
{
	struct ip_address ip;
	uint16_t port;

	if (tcp_local(stream_of(queue)->conn, &ip, &port))
		return -EINVAL;
	SETTINGS->v6_only = value != 0;
	return 0;
}

static int get_traffic_class(struct queue *queue)
{
	return SETTINGS->traffic_class;
}

static int set_traffic_class(struct queue *queue, int value)
{
	SETTINGS->traffic_class = (uint8_t)(value & ~ECN_BITS);
	return 0;
}

/* -1 is the default, as of a number of hops (RFC 3542, section 6.5). */
static int get_traffic_class_v6(struct queue *queue)
{
	return get_traffic_class(queue);
}

static int set_traffic_class_v6(struct queue *queue, int value)
{
	return set_traffic_class(queue, value < 0 ? 0 : value);
}

static int get_mtu(struct queue *queue)
{
	struct stream *stream = stream_of(queue);
	struct tcp_stats stats;

	if (stream->state != STREAM_CONNECTED)
		return -ENOTCONN;
	tcp_get_stats(stream->conn, &stats);
	return (int)stats.path_mtu;
}

/* clang-format off */
static const struct option options[] = {
	OPTION_SET(SOL_SOCKET, SO_KEEPALIVE, 0, INT_MAX, keep_alive),
	OPTION_SET(SOL_SOCKET, SO_REUSEADDR, 0, INT_MAX, reuse_address),
	OPTION_SET(SOL_SOCKET, SO_REUSEPORT, 0, INT_MAX, reuse_port),
	OPTION_SET(SOL_SOCKET, SO_BROADCAST, 0, INT_MAX, broadcast),
	OPTION_SET(SOL_SOCKET, SO_RCVBUF, 1, INT_MAX, receive_buffer),
	OPTION_SET(SOL_SOCKET, SO_SNDBUF, 1, INT_MAX, send_buffer),
	OPTION_READ(SOL_SOCKET, SO_ERROR, take_error),
	OPTION_READ(SOL_SOCKET, SO_TYPE, get_type),
	OPTION_READ(SOL_SOCKET, SO_DOMAIN, get_domain),
	OPTION_READ(SOL_SOCKET, SO_PROTOCOL, get_protocol),
	OPTION_READ(SOL_SOCKET, SO_ACCEPTCONN, get_accepts),
	OPTION_SET(IPPROTO_TCP, TCP_NODELAY, 0, INT_MAX, no_delay),
	OPTION_SET(IPPROTO_TCP, TCP_MAXSEG, 0, MSS_MAX, mss),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPIDLE, 1, KEEP_SECONDS_MAX, keep_idle),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPINTVL, 1, KEEP_SECONDS_MAX, keep_interval),
	OPTION_SET(IPPROTO_TCP, TCP_KEEPCNT, 1, KEEP_PROBES_MAX, keep_probes),
	OPTION_SET(IPPROTO_TCP, TCP_SYNCNT, 1, SYN_RETRIES_MAX, syn_retries),
	OPTION_SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 0, INT_MAX, user_timeout),
	OPTION_SET(IPPROTO_TCP, TCP_QUICKACK, INT_MIN, INT_MAX, quick_ack),
	OPTION_SET(IPPROTO_IP, IP_TTL, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IP, IP_TOS, 0, 255, traffic_class),
	OPTION_READ(IPPROTO_IP, IP_MTU, get_mtu),
	OPTION_SET(IPPROTO_IPV6, IPV6_V6ONLY, 0, INT_MAX, v6_only),
	OPTION_SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IPV6, IPV6_TCLASS, -1, 255, traffic_class_v6),
	OPTION_READ(IPPROTO_IPV6, IPV6_MTU, get_mtu),
};
/* clang-format on */

/* --- those that are no int --- */

static int set_linger(struct stream *stream, const void *value, socklen_t length)
{
	struct tcp_settings *settings = tcp_settings(stream->conn);
	struct linger linger;
	int error = option_load(&linger, sizeof(linger), value, length);

	if (error)
		return error;
	settings->lingers = linger.l_onoff != 0;
	settings->linger_s = (uint32_t)linger.l_linger;
	return 0;
}

static int get_linger(struct stream *stream, void *value, socklen_t *length)
{
	const struct tcp_settings *settings = tcp_settings(stream->conn);
	struct linger linger = {.l_onoff = settings->lingers, .l_linger = (int)settings->linger_s};

	return option_store(&linger, sizeof(linger), value, length);
}

/* A name needs no end, and what follows one does not matter: as the kernel reads it. */
static int set_congestion(struct stream *stream, const char *value, socklen_t length)
{
	size_t room = length < CONGESTION_NAME_BYTES - 1 ? length : CONGESTION_NAME_BYTES - 1;

	if (length < 1 || length > INT_MAX)
		return -EINVAL;
	return tcp_set_congestion(stream->conn, value, strnlen(value, room));
}

/* Cut to the caller's room, as the kernel does it. */
static int store_cut(const void *structure, size_t size, void *value, socklen_t *length)
{
	if (*length < 1 || *length > INT_MAX)
		return -EINVAL;
	if (*length > size)
		*length = (socklen_t)size;
	memcpy(value, structure, *length);
	return 0;
}

static int get_congestion(const struct stream *stream, void *value, socklen_t *length)
{
	const char *found = tcp_congestion_of(stream->conn);
	char name[CONGESTION_NAME_BYTES] = "";

	memcpy(name, found, strnlen(found, sizeof(name) - 1));
	return store_cut(name, sizeof(name), value, length);
}

/* --- TCP_INFO --- */

/* In the order of enum tcp_state: those of Linux, which <netinet/tcp.h> names. */
static const uint8_t linux_states[] = {
	[TCP_STATE_CLOSED] = 7,       [TCP_STATE_LISTEN] = 10,     [TCP_STATE_SYN_SENT] = 2,
	[TCP_STATE_SYN_RECEIVED] = 3, [TCP_STATE_ESTABLISHED] = 1, [TCP_STATE_FIN_WAIT_1] = 4,
	[TCP_STATE_FIN_WAIT_2] = 5,   [TCP_STATE_CLOSE_WAIT] = 8,  [TCP_STATE_CLOSING] = 11,
	[TCP_STATE_LAST_ACK] = 9,     [TCP_STATE_TIME_WAIT] = 6,
};

static uint32_t in_units(uint64_t ns, uint64_t unit_ns)
{
	uint64_t units = ns / unit_ns;

	return units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
}

/* Windows are bytes here, and segments there. */
static uint32_t in_segments(uint32_t bytes, const struct tcp_stats *stats)
{
	return stats->mss_send ? bytes / stats->mss_send : bytes;
}

static void fill_times(struct tcp_info *info, const struct tcp_stats *stats)
{
	info->tcpi_rto = in_units(stats->rto_ns, NS_PER_US);
	info->tcpi_rtt = in_units(stats->srtt_ns, NS_PER_US);
	info->tcpi_rttvar = in_units(stats->rttvar_ns, NS_PER_US);
	info->tcpi_min_rtt = in_units(stats->rtt_min_ns, NS_PER_US);
	info->tcpi_last_data_sent = in_units(stats->last_sent_ns, 1000 * NS_PER_US);
	info->tcpi_last_data_recv = in_units(stats->last_received_ns, 1000 * NS_PER_US);
}

static void fill_windows(struct tcp_info *info, const struct tcp_stats *stats)
{
	info->tcpi_snd_mss = stats->mss_send;
	info->tcpi_rcv_mss = stats->mss_receive;
	info->tcpi_advmss = stats->mss_receive;
	info->tcpi_pmtu = stats->path_mtu;
	info->tcpi_snd_cwnd = in_segments(stats->cwnd, stats);
	/* As Linux says it: without any loss so far. */
	info->tcpi_snd_ssthresh = stats->ssthresh == UINT32_MAX
					  ? INT_MAX
					  : in_segments(stats->ssthresh, stats);
	info->tcpi_snd_wnd = stats->send_window;
	info->tcpi_rcv_space = stats->receive_window;
	info->tcpi_rcv_ssthresh = stats->receive_window;
	info->tcpi_notsent_bytes = stats->not_sent;
}

static void fill_counts(struct tcp_info *info, const struct tcp_stats *stats)
{
	info->tcpi_retransmits = stats->backoff;
	info->tcpi_backoff = stats->backoff;
	info->tcpi_unacked = stats->unacked_segments;
	info->tcpi_sacked = stats->sacked_segments;
	info->tcpi_lost = stats->lost_segments;
	info->tcpi_retrans = stats->retransmitted_segments;
	info->tcpi_reordering = stats->reordering;
	info->tcpi_total_retrans = (uint32_t)stats->retransmissions;
	info->tcpi_dsack_dups = (uint32_t)stats->dsacks_in;
	info->tcpi_delivered_ce = (uint32_t)stats->marks;
	info->tcpi_segs_in = (uint32_t)stats->segments_in;
	info->tcpi_segs_out = (uint32_t)stats->segments_out;
	info->tcpi_data_segs_in = (uint32_t)stats->data_segments_in;
	info->tcpi_data_segs_out = (uint32_t)stats->data_segments_out;
	info->tcpi_bytes_acked = stats->bytes_acked;
	info->tcpi_bytes_received = stats->bytes_received;
	info->tcpi_bytes_sent = stats->bytes_sent;
	info->tcpi_bytes_retrans = stats->bytes_retransmitted;
}

static int get_info(const struct stream *stream, void *value, socklen_t *length)
{
	struct tcp_info info = {0};
	struct tcp_stats stats;

	tcp_get_stats(stream->conn, &stats);
	info.tcpi_state = linux_states[stats.state];
	info.tcpi_options = (uint8_t)((stats.timestamps ? TCPI_OPT_TIMESTAMPS : 0) |
				      (stats.sack ? TCPI_OPT_SACK : 0) |
				      (stats.window_scaling ? TCPI_OPT_WSCALE : 0) |
				      (stats.ecn ? TCPI_OPT_ECN : 0));
	info.tcpi_snd_wscale = stats.send_shift & 15u;
	info.tcpi_rcv_wscale = stats.receive_shift & 15u;
	fill_times(&info, &stats);
	fill_windows(&info, &stats);
	fill_counts(&info, &stats);
	if (stats.state == TCP_STATE_LISTEN)
		info.tcpi_unacked = tcp_acceptable(stream->conn);
	return store_cut(&info, sizeof(info), value, length);
}

/* --- in and out --- */

int stream_set_option(struct queue *queue, int level, int name, const void *value, socklen_t length)
{
	struct stream *stream = stream_of(queue);
	int error;

	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return set_congestion(stream, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(stream, value, length);
	error = catnip_option_set(OPTION_TABLE(options), queue, SETTINGS->is_v6, level, name, value,
				  length);
	if (!error)
		tcp_settings_changed(stream->conn);
	return error;
}

int stream_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	struct stream *stream = stream_of(queue);

	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return get_congestion(stream, value, length);
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_info(stream, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return get_linger(stream, value, length);
	return catnip_option_get(OPTION_TABLE(options), queue, SETTINGS->is_v6, level, name, value,
				 length);
}
