/* SPDX-License-Identifier: MIT */
#include "libos/catnap/option.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static int tcp, udp;

static int setup(void **state)
{
	(void)state;
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return tcp >= 0 && udp >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	close(tcp);
	close(udp);
	return 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return option_set(fd, level, name, &value, sizeof(value));
}

static void option_set__takes_what_option_get_then_gives(void **state)
{
	socklen_t length = sizeof(int);
	int value = 0;

	(void)state;
	assert_int_equal(set_int(tcp, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	assert_int_equal(option_get(tcp, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	assert_int_not_equal(value, 0);
	assert_int_equal(length, sizeof(int));
}

static void option_set__of_fragments_reaches_a_datagram_socket(void **state)
{
	socklen_t length = sizeof(int);
	int value = 0;

	(void)state;
	assert_int_equal(set_int(udp, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO), 0);
	assert_int_equal(option_get(udp, IPPROTO_IP, IP_MTU_DISCOVER, &value, &length), 0);
	assert_int_equal(value, IP_PMTUDISC_DO);
	assert_int_equal(set_int(udp, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT), 0);
	assert_int_equal(set_int(udp, IPPROTO_IP, IP_MTU_DISCOVER, -1), -EINVAL);
}

static void option_set__refuses_levels_and_options_not_in_the_table(void **state)
{
	(void)state;
	assert_int_equal(set_int(tcp, 12345, 1, 1), -ENOTSUP);
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_RCVLOWAT, 1), -ENOPROTOOPT);
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_TYPE, 1), -ENOPROTOOPT);
	assert_int_equal(set_int(udp, IPPROTO_TCP, TCP_NODELAY, 1), -ENOPROTOOPT);
}

static void option_set__refuses_bad_values_and_lengths(void **state)
{
	struct linger linger = {1, 5};
	int one = 1;

	(void)state;
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_RCVBUF, 0), -EINVAL);
	assert_int_equal(set_int(tcp, IPPROTO_TCP, TCP_KEEPIDLE, -1), -EINVAL);
	assert_int_equal(option_set(tcp, SOL_SOCKET, SO_KEEPALIVE, &one, 1), -EINVAL);
	assert_int_equal(option_set(tcp, SOL_SOCKET, SO_KEEPALIVE, &one, (socklen_t)-1), -EINVAL);
	assert_int_equal(option_set(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(int)), -EINVAL);
	assert_int_equal(option_set(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

static void option_get__refuses_what_does_not_fit(void **state)
{
	socklen_t length = 1;
	int value;

	(void)state;
	assert_int_equal(option_get(tcp, SOL_SOCKET, SO_ERROR, &value, &length), -EINVAL);
	length = (socklen_t)-1;
	assert_int_equal(option_get(tcp, SOL_SOCKET, SO_ERROR, &value, &length), -EINVAL);
	length = sizeof(value);
	assert_int_equal(option_get(tcp, 12345, SO_ERROR, &value, &length), -ENOTSUP);
	assert_int_equal(option_get(tcp, SOL_SOCKET, SO_PEERCRED, &value, &length), -ENOPROTOOPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_set__takes_what_option_get_then_gives),
		cmocka_unit_test(option_set__of_fragments_reaches_a_datagram_socket),
		cmocka_unit_test(option_set__refuses_levels_and_options_not_in_the_table),
		cmocka_unit_test(option_set__refuses_bad_values_and_lengths),
		cmocka_unit_test(option_get__refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests_name("libos/catnap/option", tests, setup, teardown);
}
