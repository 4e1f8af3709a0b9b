/* SPDX-License-Identifier: MIT */
#include "libos/catnip/stream_testing.h"

#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>

static int set(struct queue *queue, int level, int name, int value)
{
	return queue->ops->set_option(queue, level, name, &value, sizeof(value));
}

static int get(struct queue *queue, int level, int name)
{
	socklen_t length = sizeof(int);
	int value = -12345, error = queue->ops->get_option(queue, level, name, &value, &length);

	if (error)
		return error;
	assert_int_equal(length, sizeof(int));
	return value;
}

/* SYNs go after 1, 3, 7, 15, 31, 63 seconds, and then each minute. */
static void stream_option__syns_are_counted_as_far_as_the_connect_waits(void **state)
{
	struct queue *queue = stream_open(false);

	(void)state;
	rig.net.options.tcp.connect_timeout_ms = 63000;
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_SYNCNT), 5);
	rig.net.options.tcp.connect_timeout_ms = 184000;
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_SYNCNT), 8);
	assert_int_equal(set(queue, IPPROTO_TCP, TCP_USER_TIMEOUT, 500), 0);
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_SYNCNT), 0);
	assert_int_equal(set(queue, IPPROTO_TCP, TCP_SYNCNT, 3), 0);
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_SYNCNT), 3);
}

static void stream_option__numbers_are_kept_within_their_limits(void **state)
{
	static const struct {
		int level, name, initial, low, high, below, above; /* below, above: refused */
	} cases[] = {
		{SOL_SOCKET, SO_SNDBUF, 212992, 1, INT_MAX, 0, 0},
		{SOL_SOCKET, SO_RCVBUF, 65536, 4096, 1 << 20, 0, -1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 0, 1, 32767, 0, 32768},
		{IPPROTO_TCP, TCP_KEEPINTVL, 0, 1, 32767, 0, 32768},
		{IPPROTO_TCP, TCP_KEEPCNT, 0, 1, 127, 0, 128},
		{IPPROTO_TCP, TCP_SYNCNT, 7, 1, 127, 0, 128},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT_MAX, -1, INT_MIN},
		{IPPROTO_TCP, TCP_MAXSEG, 536, 88, 32767, 87, 32768},
		{IPPROTO_IP, IP_TTL, 64, 1, 255, 0, 256},
		{IPPROTO_IP, IP_TOS, 0, 4, 252, -1, 256},
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255, 1, 254, 0, 256},
		{IPPROTO_IPV6, IPV6_TCLASS, 252, 4, 248, -2, 256},
	};
	struct queue *queue = stream_open(true);
	unsigned int changes = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int level = cases[i].level, name = cases[i].name;

		assert_int_equal(get(queue, level, name), cases[i].initial);
		assert_int_equal(set(queue, level, name, cases[i].low), 0);
		assert_int_equal(get(queue, level, name), cases[i].low);
		assert_int_equal(set(queue, level, name, cases[i].high), 0);
		assert_int_equal(get(queue, level, name), cases[i].high);
		assert_int_equal(set(queue, level, name, cases[i].below), -EINVAL);
		assert_int_equal(set(queue, level, name, cases[i].above), -EINVAL);
		assert_int_equal(get(queue, level, name), cases[i].high);
		/* TCP is told of what was set, and of nothing else. */
		changes += 2;
		assert_int_equal(rig.changes, changes);
	}
}

static void stream_option__switches(void **state)
{
	static const struct {
		int level, name, initial;
	} cases[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 0}, {SOL_SOCKET, SO_REUSEADDR, 0},
		{SOL_SOCKET, SO_REUSEPORT, 0}, {SOL_SOCKET, SO_BROADCAST, 0},
		{IPPROTO_TCP, TCP_NODELAY, 1}, {IPPROTO_IPV6, IPV6_V6ONLY, 0},
	};
	struct queue *queue = stream_open(true);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int level = cases[i].level, name = cases[i].name;

		assert_int_equal(get(queue, level, name), cases[i].initial);
		assert_int_equal(set(queue, level, name, 77), 0);
		assert_int_equal(get(queue, level, name), 1);
		assert_int_equal(set(queue, level, name, 0), 0);
		assert_int_equal(get(queue, level, name), 0);
		assert_int_equal(set(queue, level, name, -1), -EINVAL);
	}
	/* Quick acknowledgments are taken note of, no more. */
	assert_int_equal(set(queue, IPPROTO_TCP, TCP_QUICKACK, 0), 0);
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_QUICKACK), 1);
}

static void stream_option__more_than_the_most_is_the_most(void **state)
{
	struct queue *queue = stream_open(false);

	(void)state;
	assert_int_equal(set(queue, SOL_SOCKET, SO_RCVBUF, INT_MAX), 0);
	assert_int_equal(get(queue, SOL_SOCKET, SO_RCVBUF), 1 << 20);
	assert_int_equal(set(queue, SOL_SOCKET, SO_RCVBUF, 1), 0);
	assert_int_equal(get(queue, SOL_SOCKET, SO_RCVBUF), 4096);
}

static void stream_option__bits_of_ecn_are_not_the_programs(void **state)
{
	struct queue *queue = stream_open(true);

	(void)state;
	assert_int_equal(set(queue, IPPROTO_IP, IP_TOS, 0xff), 0);
	assert_int_equal(get(queue, IPPROTO_IP, IP_TOS), 0xfc);
	assert_int_equal(set(queue, IPPROTO_IPV6, IPV6_TCLASS, 0x23), 0);
	assert_int_equal(get(queue, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
	assert_int_equal(set(queue, IPPROTO_IPV6, IPV6_TCLASS, -1), 0);
	assert_int_equal(get(queue, IPPROTO_IPV6, IPV6_TCLASS), 0);
}

static void stream_option__minus_one_is_the_default_of_hops(void **state)
{
	struct queue *queue = stream_open(true);

	(void)state;
	assert_int_equal(set(queue, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 3), 0);
	assert_int_equal(rig.last->settings.hop_limit, 3);
	assert_int_equal(set(queue, IPPROTO_IP, IP_TTL, -1), 0);
	assert_int_equal(rig.last->settings.hop_limit, 0);
	assert_int_equal(get(queue, IPPROTO_IP, IP_TTL), 64);
}

static void stream_option__v6_only_is_settled_at_bind(void **state)
{
	const struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	struct queue *queue = stream_open(true), *other = stream_open(false);

	(void)state;
	assert_int_equal(set(queue, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
	assert_int_equal(queue->ops->bind(queue, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(set(queue, IPPROTO_IPV6, IPV6_V6ONLY, 0), -EINVAL);
	assert_int_equal(get(queue, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(set(other, IPPROTO_IPV6, IPV6_V6ONLY, 1), -ENOPROTOOPT);
	assert_int_equal(get(other, IPPROTO_IPV6, IPV6_V6ONLY), -ENOPROTOOPT);
}

static void stream_option__what_a_socket_is(void **state)
{
	struct queue *v4 = stream_open(false), *v6 = stream_open(true);

	(void)state;
	assert_int_equal(get(v4, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	assert_int_equal(get(v4, SOL_SOCKET, SO_DOMAIN), AF_INET);
	assert_int_equal(get(v6, SOL_SOCKET, SO_DOMAIN), AF_INET6);
	assert_int_equal(get(v6, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	assert_int_equal(get(v4, SOL_SOCKET, SO_ACCEPTCONN), 0);
	stream_bind_and_listen(v4);
	assert_int_equal(get(v4, SOL_SOCKET, SO_ACCEPTCONN), 1);
	assert_int_equal(set(v4, SOL_SOCKET, SO_TYPE, 1), -ENOPROTOOPT);
	assert_int_equal(set(v4, SOL_SOCKET, SO_ACCEPTCONN, 1), -ENOPROTOOPT);
}

static void stream_option__wrong_levels_names_and_lengths(void **state)
{
	struct queue *queue = stream_open(false);
	char byte = 9, value[8] = {0};
	socklen_t length = 3;

	(void)state;
	assert_int_equal(set(queue, 12345, SO_KEEPALIVE, 1), -ENOTSUP);
	assert_int_equal(get(queue, -1, SO_KEEPALIVE), -ENOTSUP);
	assert_int_equal(set(queue, SOL_SOCKET, 12345, 1), -ENOPROTOOPT);
	assert_int_equal(get(queue, IPPROTO_TCP, 12345), -ENOPROTOOPT);
	assert_int_equal(get(queue, IPPROTO_UDP, 1), -ENOPROTOOPT);
	/* What would have to wait for more has no meaning where arrays have segments. */
	assert_int_equal(set(queue, IPPROTO_TCP, TCP_CORK, 1), -ENOPROTOOPT);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_NODELAY, value, 3),
			 -EINVAL);
	assert_int_equal(
		queue->ops->set_option(queue, IPPROTO_TCP, TCP_NODELAY, value, (socklen_t)-1),
		-EINVAL);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_NODELAY, value, 8), 0);
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_NODELAY, value, &length),
			 -EINVAL);
	length = (socklen_t)-1;
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_NODELAY, value, &length),
			 -EINVAL);
	/* Where a byte has been enough for ever. */
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_IP, IP_TTL, &byte, 1), 0);
	assert_int_equal(get(queue, IPPROTO_IP, IP_TTL), 9);
}

static void stream_option__linger(void **state)
{
	struct linger linger = {.l_onoff = 5, .l_linger = 7};
	struct queue *queue = stream_open(false);
	socklen_t length = sizeof(linger);

	(void)state;
	assert_int_equal(queue->ops->set_option(queue, SOL_SOCKET, SO_LINGER, &linger, length - 1),
			 -EINVAL);
	assert_false(rig.last->settings.lingers);
	assert_int_equal(queue->ops->set_option(queue, SOL_SOCKET, SO_LINGER, &linger, length), 0);
	assert_true(rig.last->settings.lingers);
	assert_int_equal(rig.last->settings.linger_s, 7);
	memset(&linger, 0, sizeof(linger));
	length = sizeof(linger) + 8;
	assert_int_equal(queue->ops->get_option(queue, SOL_SOCKET, SO_LINGER, &linger, &length), 0);
	assert_int_equal(length, sizeof(linger));
	assert_int_equal(linger.l_onoff, 1);
	assert_int_equal(linger.l_linger, 7);
}

static void stream_option__error_is_told_once_and_not_while_connecting(void **state)
{
	struct queue *queue = stream_open(false);
	struct op *op = connect_start(queue);
	struct tcp_conn *conn = rig.last;
	char value[4];
	socklen_t length = 3;

	(void)state;
	conn->error = ECONNREFUSED;
	assert_int_equal(get(queue, SOL_SOCKET, SO_ERROR), 0);
	conn->events->connected(conn->owner, ECONNREFUSED);
	assert_int_equal(op_outcome(op), ECONNREFUSED);
	/* Without room for it, it is not told. */
	assert_int_equal(queue->ops->get_option(queue, SOL_SOCKET, SO_ERROR, value, &length),
			 -EINVAL);
	assert_int_equal(get(queue, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	assert_int_equal(get(queue, SOL_SOCKET, SO_ERROR), 0);
}

static void stream_option__congestion_by_name(void **state)
{
	struct queue *queue = stream_open(false);
	char name[32];
	socklen_t length = sizeof(name);

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_CONGESTION, name, &length),
			 0);
	assert_int_equal(length, 16);
	assert_string_equal(name, "cubic");
	assert_int_equal(name[16], 'x');
	length = 3;
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_CONGESTION, name, &length),
			 0);
	assert_int_equal(length, 3);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_CONGESTION, "reno", 5), 0);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_CONGESTION, "renown", 4),
			 0);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_CONGESTION, "ren", 3),
			 -ENOENT);
	assert_int_equal(queue->ops->set_option(queue, IPPROTO_TCP, TCP_CONGESTION, "reno", 0),
			 -EINVAL);
	memset(name, 'r', sizeof(name));
	assert_int_equal(
		queue->ops->set_option(queue, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name)),
		-ENOENT);
	length = sizeof(name);
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_CONGESTION, name, &length),
			 0);
	assert_string_equal(name, "reno");
}

static void stream_option__info_in_the_units_of_linux(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct tcp_info info;
	socklen_t length = sizeof(info);

	(void)state;
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	assert_int_equal(length, sizeof(info));
	assert_int_equal(info.tcpi_state, 1);
	assert_int_equal(info.tcpi_options, TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	assert_int_equal(info.tcpi_snd_wscale, 7);
	assert_int_equal(info.tcpi_rcv_wscale, 9);
	assert_int_equal(info.tcpi_rtt, 1500);
	assert_int_equal(info.tcpi_min_rtt, UINT32_MAX);
	assert_int_equal(info.tcpi_snd_cwnd, 10);
	assert_int_equal(info.tcpi_snd_ssthresh, INT_MAX);
	assert_int_equal(info.tcpi_bytes_acked, UINT64_C(1) << 40);
	assert_int_equal(get(queue, IPPROTO_IP, IP_MTU), 1500);
	assert_int_equal(get(queue, IPPROTO_TCP, TCP_MAXSEG), 1000);
	assert_int_equal(set(queue, IPPROTO_TCP, TCP_INFO, 1), -ENOPROTOOPT);
}

static void stream_option__info_is_cut_to_the_room(void **state)
{
	struct queue *queue = stream_open(false);
	uint8_t bytes[4] = {0, 0xaa, 0xaa, 0xaa};
	socklen_t length = 1;

	(void)state;
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_INFO, bytes, &length), 0);
	assert_int_equal(length, 1);
	assert_int_equal(bytes[0], 7);
	assert_int_equal(bytes[1], 0xaa);
	length = 0;
	assert_int_equal(queue->ops->get_option(queue, IPPROTO_TCP, TCP_INFO, bytes, &length),
			 -EINVAL);
	assert_int_equal(get(queue, IPPROTO_IP, IP_MTU), -ENOTCONN);
}

static void stream_option__info_of_each_state(void **state)
{
	/* <netinet/tcp.h>, which cannot be included beside the kernel's. */
	static const uint8_t expected[] = {7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
	struct queue *queue = stream_open(false);
	struct tcp_conn *conn = rig.last;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		uint8_t value = 0;
		socklen_t length = 1;

		conn->state = (enum tcp_state)i;
		assert_int_equal(
			queue->ops->get_option(queue, IPPROTO_TCP, TCP_INFO, &value, &length), 0);
		assert_int_equal(value, expected[i]);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)
	static const struct CMUnitTest tests[] = {
		TEST(stream_option__syns_are_counted_as_far_as_the_connect_waits),
		TEST(stream_option__numbers_are_kept_within_their_limits),
		TEST(stream_option__switches),
		TEST(stream_option__more_than_the_most_is_the_most),
		TEST(stream_option__bits_of_ecn_are_not_the_programs),
		TEST(stream_option__minus_one_is_the_default_of_hops),
		TEST(stream_option__v6_only_is_settled_at_bind),
		TEST(stream_option__what_a_socket_is),
		TEST(stream_option__wrong_levels_names_and_lengths),
		TEST(stream_option__linger),
		TEST(stream_option__error_is_told_once_and_not_while_connecting),
		TEST(stream_option__congestion_by_name),
		TEST(stream_option__info_in_the_units_of_linux),
		TEST(stream_option__info_is_cut_to_the_room),
		TEST(stream_option__info_of_each_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
