/* SPDX-License-Identifier: MIT */
/* Streams over AF_UNIX. */
#include "common.h"

#include "stream.h"

static void unix__path_in_use_is_eaddrinuse(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	int other;

	socket_listen(transport, &address);
	other = socket_open(transport, SOCK_STREAM);
	check_call(demi_bind(other, &address.any, address.size), EADDRINUSE);
}

static void unix__directory_that_is_missing_is_enoent(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	int qd = socket_open(transport, SOCK_STREAM);

	address_fresh(transport, &address);
	snprintf(address.un.sun_path, sizeof(address.un.sun_path), "%s/none/socket", directory());
	check_call(demi_bind(qd, &address.any, address.size), ENOENT);
}

static void unix__connect_to_a_path_that_is_missing_is_enoent(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	demi_qtoken_t qt = 0;
	int qd = socket_open(transport, SOCK_STREAM);

	address_fresh(transport, &address);
	check_call(outcome(demi_connect(&qt, qd, &address.any, address.size), qt), ENOENT);
	check_call(demi_close(qd), 0);
}

static void unix__getsockname_gives_the_path(void **state)
{
	TRANSPORT(transport, state);
	struct address address, name;
	int listener = socket_listen(transport, &address);

	socket_name(listener, &name);
	assert_int_equal(name.any.sa_family, AF_UNIX);
	assert_string_equal(name.un.sun_path, address.un.sun_path);
	assert_true(name.size > offsetof(struct sockaddr_un, sun_path));
	assert_true(name.size <= sizeof(struct sockaddr_un));
}

static void unix__getpeername_gives_the_path_of_the_listener(void **state)
{
	TRANSPORT(transport, state);
	struct address name;
	struct pair pair;

	pair_open(&pair, transport);
	memset(&name, 0, sizeof(name));
	name.size = sizeof(name.room);
	check_call(demi_getpeername(pair.client, &name.any, &name.size), 0);
	assert_int_equal(name.any.sa_family, AF_UNIX);
	assert_string_equal(name.un.sun_path, pair.address.un.sun_path);
}

static void unix__other_types_are_enotsup(void **state)
{
	TRANSPORT(transport, state);
	int qd;

	check_call(demi_socket(&qd, transport->family, SOCK_DGRAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_SEQPACKET, 0), ENOTSUP);
}

int main(void)
{
	/* clang-format off */
	static const struct CMUnitTest tests[] = {
		STREAM_FUNCTIONS(TEST_OVER_UNIX)
		TEST_OVER_UNIX(unix__path_in_use_is_eaddrinuse)
		TEST_OVER_UNIX(unix__directory_that_is_missing_is_enoent)
		TEST_OVER_UNIX(unix__connect_to_a_path_that_is_missing_is_enoent)
		TEST_OVER_UNIX(unix__getsockname_gives_the_path)
		TEST_OVER_UNIX(unix__getpeername_gives_the_path_of_the_listener)
		TEST_OVER_UNIX(unix__other_types_are_enotsup)
	};
	/* clang-format on */

	return suite_main("unix", !profile_get() || profile_get()->unix_stream, "AF_UNIX", tests,
			  COUNT_OF(tests));
}
