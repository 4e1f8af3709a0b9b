/* SPDX-License-Identifier: MIT */
/* TCP over IPv4 and IPv6: addresses, options, resets; what every stream does is in stream.c. */
#include "common.h"

#include <netinet/tcp.h>

#include "stream.h"

/* ---- Addresses ---- */

static void tcp__port_0_is_chosen_at_bind(void **state)
{
	TRANSPORT(transport, state);
	struct address asked, first, second;
	int a = socket_open(transport, SOCK_STREAM);
	int b = socket_open(transport, SOCK_STREAM);

	address_fresh(transport, &asked);
	check_call(demi_bind(a, &asked.any, asked.size), 0);
	check_call(demi_bind(b, &asked.any, asked.size), 0);
	socket_name(a, &first);
	socket_name(b, &second);
	assert_int_not_equal(address_port(&first), 0);
	assert_int_not_equal(address_port(&second), 0);
	assert_int_not_equal(address_port(&first), address_port(&second));
	address_set_port(&asked, address_port(&first));
	address_check(&first, &asked);
}

static void tcp__wildcard_is_served(void **state)
{
	TRANSPORT(transport, state);
	struct address wildcard, address, name;
	int listener = socket_open(transport, SOCK_STREAM);
	int client, server;

	address_wildcard(transport, &wildcard);
	check_call(demi_bind(listener, &wildcard.any, wildcard.size), 0);
	check_call(demi_listen(listener, 8), 0);
	socket_name(listener, &name);
	address_fresh(transport, &address);
	address_set_port(&address, address_port(&name));
	pair_connect(listener, &address, &client, &server);
	/* A connection knows the address that it really has. */
	socket_name(server, &name);
	address_check(&name, &address);
	await_opcode(push_pattern(client, 100, 1, 0), DEMI_OPC_PUSH);
	stream_expect(server, 100, 1, 0);
}

static void tcp__both_ends_agree_on_their_addresses(void **state)
{
	TRANSPORT(transport, state);
	struct address client, server, name;
	struct pair pair;

	pair_open(&pair, transport);
	socket_name(pair.client, &client);
	socket_name(pair.server, &server);
	address_check(&server, &pair.address);
	name.size = sizeof(name.room);
	check_call(demi_getpeername(pair.client, &name.any, &name.size), 0);
	address_check(&name, &server);
	name.size = sizeof(name.room);
	check_call(demi_getpeername(pair.server, &name.any, &name.size), 0);
	address_check(&name, &client);
}

static void tcp__accept_reports_the_address_of_the_peer(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t accepting, connecting;
	struct address address, name;
	struct sockaddr_in reported;
	demi_qresult_t accepted;
	int listener = socket_listen(transport, &address);
	int client = socket_open(transport, SOCK_STREAM);

	check_call(demi_accept(&accepting, listener), 0);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	accepted = await_opcode(accepting, DEMI_OPC_ACCEPT);
	reported = accepted.qr_value.ares.addr;
	socket_name(client, &name);
	assert_int_equal(reported.sin_family, transport->family);
	if (transport->family == AF_INET) {
		assert_int_equal(reported.sin_port, name.in.sin_port);
		assert_int_equal(reported.sin_addr.s_addr, name.in.sin_addr.s_addr);
	}
}

static void tcp__connect_from_a_bound_socket(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t accepting, connecting;
	struct address address, source, name;
	int listener = socket_listen(transport, &address);
	int client = socket_open(transport, SOCK_STREAM);
	demi_qresult_t accepted;

	address_fresh(transport, &source);
	check_call(demi_bind(client, &source.any, source.size), 0);
	socket_name(client, &source);
	check_call(demi_accept(&accepting, listener), 0);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	accepted = await_opcode(accepting, DEMI_OPC_ACCEPT);
	name.size = sizeof(name.room);
	check_call(demi_getpeername(accepted.qr_value.ares.qd, &name.any, &name.size), 0);
	address_check(&name, &source);
}

static void tcp__names_are_cut_to_the_room_there_is(void **state)
{
	TRANSPORT(transport, state);
	uint8_t room[sizeof(struct sockaddr_storage)];
	struct address whole;
	socklen_t size = 4;
	struct pair pair;

	pair_open(&pair, transport);
	socket_name(pair.client, &whole);
	memset(room, 0xa5, sizeof(room));
	check_call(demi_getsockname(pair.client, (struct sockaddr *)(void *)room, &size), 0);
	assert_int_equal(size, whole.size);
	assert_memory_equal(room, &whole.any, 4);
	for (size_t i = 4; i < sizeof(room); i++)
		assert_int_equal(room[i], 0xa5);

	size = 0;
	memset(room, 0xa5, sizeof(room));
	check_call(demi_getpeername(pair.client, (struct sockaddr *)(void *)room, &size), 0);
	assert_int_equal(size, whole.size);
	assert_int_equal(room[0], 0xa5);

	size = (socklen_t)-1;
	check_call(demi_getsockname(pair.client, (struct sockaddr *)(void *)room, &size), EINVAL);
	size = (socklen_t)-1;
	check_call(demi_getpeername(pair.client, (struct sockaddr *)(void *)room, &size), EINVAL);
}

static void tcp__port_is_free_again_after_close(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	int listener = socket_listen(transport, &address);

	for (int i = 0; i < 10; i++) {
		check_call(demi_close(listener), 0);
		listener = socket_open(transport, SOCK_STREAM);
		check_call(demi_bind(listener, &address.any, address.size), 0);
		check_call(demi_listen(listener, 0), 0);
	}
}

/* ---- Options ---- */

static void tcp__options_are_set_and_read_back(void **state)
{
	TRANSPORT(transport, state);
	static const struct {
		int level, name, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},   {SOL_SOCKET, SO_KEEPALIVE, 0},
		{SOL_SOCKET, SO_REUSEADDR, 1},   {SOL_SOCKET, SO_REUSEPORT, 1},
		{IPPROTO_TCP, TCP_NODELAY, 1},   {IPPROTO_TCP, TCP_NODELAY, 0},
		{IPPROTO_TCP, TCP_KEEPIDLE, 17}, {IPPROTO_TCP, TCP_KEEPINTVL, 7},
		{IPPROTO_TCP, TCP_KEEPCNT, 3},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 12345},
	};
	int qd = socket_open(transport, SOCK_STREAM);

	for (size_t i = 0; i < COUNT_OF(options); i++) {
		socklen_t size = sizeof(int);
		int value = options[i].value;

		check_call(demi_setsockopt(qd, options[i].level, options[i].name, &value, size), 0);
		value = -1;
		check_call(demi_getsockopt(qd, options[i].level, options[i].name, &value, &size),
			   0);
		assert_int_equal(size, sizeof(int));
		assert_int_equal(value, options[i].value);
	}
}

static void tcp__buffer_sizes_are_at_least_what_was_asked(void **state)
{
	TRANSPORT(transport, state);
	static const int names[] = {SO_RCVBUF, SO_SNDBUF};
	int qd = socket_open(transport, SOCK_STREAM);

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		socklen_t size = sizeof(int);
		int value = 32768;

		check_call(demi_setsockopt(qd, SOL_SOCKET, names[i], &value, size), 0);
		value = 0;
		check_call(demi_getsockopt(qd, SOL_SOCKET, names[i], &value, &size), 0);
		assert_true(value >= 32768);
	}
}

static void tcp__linger_is_set_and_read_back(void **state)
{
	TRANSPORT(transport, state);
	struct linger linger = {.l_onoff = 1, .l_linger = 5};
	socklen_t size = sizeof(linger);
	int qd = socket_open(transport, SOCK_STREAM);

	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, size), 0);
	memset(&linger, 0, sizeof(linger));
	check_call(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, &size), 0);
	assert_int_equal(size, sizeof(linger));
	assert_int_not_equal(linger.l_onoff, 0);
	assert_int_equal(linger.l_linger, 5);
}

static int option_read(int qd, int level, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	check_call(demi_getsockopt(qd, level, name, &value, &size), 0);
	assert_int_equal(size, sizeof(int));
	return value;
}

static void tcp__options_to_read_tell_the_state(void **state)
{
	TRANSPORT(transport, state);
	struct tcp_info info;
	socklen_t size = sizeof(info);
	struct pair pair;

	pair_open(&pair, transport);
	assert_int_equal(option_read(pair.client, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	assert_int_equal(option_read(pair.server, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	assert_int_equal(option_read(pair.client, SOL_SOCKET, SO_DOMAIN), transport->family);
	assert_int_equal(option_read(pair.client, SOL_SOCKET, SO_ERROR), 0);
	assert_int_equal(option_read(pair.client, SOL_SOCKET, SO_ACCEPTCONN), 0);
	assert_int_equal(option_read(pair.listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
	assert_true(option_read(pair.client, IPPROTO_TCP, TCP_MAXSEG) > 0);
	memset(&info, 0, sizeof(info));
	check_call(demi_getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_true(size > 0);
	assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
}

static void tcp__maxseg_can_be_set(void **state)
{
	TRANSPORT(transport, state);
	int qd = socket_open(transport, SOCK_STREAM);
	int value = 1000;

	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof(value)), 0);
	value = -5;
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof(value)), EINVAL);
}

static void tcp__options_hold_on_a_connection(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	int on = 1;

	pair_open(&pair, transport);
	check_call(demi_setsockopt(pair.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	assert_int_not_equal(option_read(pair.server, IPPROTO_TCP, TCP_NODELAY), 0);
	check_call(demi_setsockopt(pair.client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
	assert_int_not_equal(option_read(pair.client, SOL_SOCKET, SO_KEEPALIVE), 0);
	await_opcode(push_pattern(pair.client, 100, 1, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 100, 1, 0);
}

static void tcp__ipv6_only_keeps_ipv4_out(void **state)
{
	TRANSPORT(transport, state);
	int qd, on = 1;

	skip_unless(transport->family == AF_INET6, "an option of IPv6");
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_setsockopt(qd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	assert_int_equal(option_read(qd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
}

/* ---- Resets ---- */

static void tcp__linger_0_resets_the_peer(void **state)
{
	TRANSPORT(transport, state);
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	demi_qtoken_t popping;
	struct pair pair;

	pair_open(&pair, transport);
	popping = pop(pair.client);
	check_pending(popping);
	check_call(demi_setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	check_call(demi_close(pair.server), 0);
	await_error(popping, ECONNRESET);
	check_call(demi_close(pair.client), 0);
}

/* A connection that its other end can reset: a plain socket, where one reaches us, or one of ours. */
struct resettable {
	int listener, server;
	int fd;     /* -1: it is ours */
	int client; /* ours */
};

static struct resettable resettable_open(const struct transport *transport)
{
	struct resettable peer = {.fd = -1, .client = -1};
	struct pair pair;

	if (profile_get()->kernel_peer) {
		peer.fd = peer_pair(transport, &peer.listener, &peer.server);
		return peer;
	}
	pair_open(&pair, transport);
	peer.listener = pair.listener;
	peer.server = pair.server;
	peer.client = pair.client;
	return peer;
}

static void resettable_reset(const struct resettable *peer)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (peer->fd >= 0) {
		peer_reset(peer->fd);
		return;
	}
	check_call(demi_setsockopt(peer->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
		   0);
	check_call(demi_close(peer->client), 0);
}

static void tcp__reset_fails_pops_and_nothing_else(void **state)
{
	TRANSPORT(transport, state);
	struct resettable peer = resettable_open(transport);
	demi_qtoken_t pops[3], qt = 0;
	int listener = peer.listener, server = peer.server, other_client, other_server, error = 0;
	struct address address;
	demi_sgarray_t sga;

	socket_name(listener, &address);
	pair_connect(listener, &address, &other_client, &other_server);
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(server);
	check_pending(pops[0]);
	resettable_reset(&peer);
	await_error(pops[0], ECONNRESET);
	for (size_t i = 1; i < COUNT_OF(pops); i++) {
		demi_qresult_t qr = await(pops[i]);

		/* Either the same error or, once it was reported, the end. */
		if (qr.qr_opcode == DEMI_OPC_FAILED)
			assert_int_equal(qr.qr_ret, ECONNRESET);
		else
			check_end(&qr.qr_value.sga);
	}
	sga = sga_pattern(10, 1, 0);
	for (int i = 0; i < 3 && error == 0; i++)
		error = outcome(demi_push(&qt, server, &sga), qt);
	assert_true(error == EPIPE || error == ECONNRESET || error == ENOTCONN);
	check_call(demi_sgafree(&sga), 0);
	check_call(demi_close(server), 0);

	await_opcode(push_pattern(other_client, 100, 2, 0), DEMI_OPC_PUSH);
	stream_expect(other_server, 100, 2, 0);
	pair_connect(listener, &address, &other_client, &other_server);
	await_opcode(push_pattern(other_client, 100, 3, 0), DEMI_OPC_PUSH);
	stream_expect(other_server, 100, 3, 0);
}

static void tcp__reset_fails_pending_pushes(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 64 };
	struct resettable peer = resettable_open(transport);
	demi_qtoken_t pushes[COUNT];
	int server = peer.server, failed = 0;

	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(server, 256 * KIB, 4, i * 256 * KIB);
	check_pending(pushes[COUNT - 1]);
	resettable_reset(&peer);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await(pushes[i]);

		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			check_either((int)qr.qr_ret, ECONNRESET, EPIPE);
			failed++;
		} else {
			/* None succeeds after one that failed. */
			assert_int_equal(failed, 0);
		}
	}
	assert_true(failed > 0);
	check_call(demi_close(server), 0);
}

static void tcp__reset_in_the_backlog_leaves_the_listener(void **state)
{
	TRANSPORT(transport, state);
	skip_unless(profile_get()->kernel_peer, "no plain socket reaches this libOS");
	struct address address;
	int listener = socket_listen(transport, &address);
	demi_qtoken_t accepting;
	int client, server;

	for (int i = 0; i < 5; i++) {
		peer_reset(peer_connect(&address));
		drive();
	}
	/* Those may be accepted or not; the connections after them are. */
	for (int i = 0; i < 5; i++) {
		demi_qresult_t qr;
		struct timespec moment = milliseconds(50);

		check_call(demi_accept(&accepting, listener), 0);
		if (demi_wait(&qr, accepting, &moment) == ETIMEDOUT) {
			check_call(demi_cancel(accepting), 0);
			await_error(accepting, ECANCELED);
			break;
		}
		if (qr.qr_opcode == DEMI_OPC_ACCEPT)
			check_call(demi_close(qr.qr_value.ares.qd), 0);
	}
	pair_connect(listener, &address, &client, &server);
	await_opcode(push_pattern(client, 100, 5, 0), DEMI_OPC_PUSH);
	stream_expect(server, 100, 5, 0);
}

/* ---- A connection that does not come about ---- */

#define NEEDS_SILENCE()                                                       \
	skip_unless(profile_get()->kernel_peer || profile_get()->ipv4_silent, \
		    "there is nobody that does not answer")

/*
 * A connect that stays pending: nobody is there, or the backlog of a plain listener is full, its SYNs
 * are dropped.
 */
static int connect_stuck(const struct transport *transport, demi_qtoken_t *connecting,
			 struct address *address)
{
	int qd = socket_open(transport, SOCK_STREAM);

	if (!address_silent(transport, address)) {
		peer_listen(transport, address, 0);
		for (int i = 0; i < 4; i++)
			peer_connect(address);
	}
	check_call(demi_connect(connecting, qd, &address->any, address->size), 0);
	check_pending(*connecting);
	return qd;
}

static void tcp__connect_while_connecting_is_einprogress(void **state)
{
	TRANSPORT(transport, state);
	NEEDS_SILENCE();
	demi_qtoken_t connecting, qt;
	struct address address;
	demi_sgarray_t sga;
	int qd = connect_stuck(transport, &connecting, &address);

	check_call(demi_connect(&qt, qd, &address.any, address.size), EINPROGRESS);
	check_call(demi_pop(&qt, qd), ENOTCONN);
	sga = sga_pattern(10, 1, 0);
	check_call(demi_push(&qt, qd, &sga), ENOTCONN);
	check_call(demi_sgafree(&sga), 0);
	check_pending(connecting);
}

static void tcp__close_cancels_a_pending_connect(void **state)
{
	TRANSPORT(transport, state);
	NEEDS_SILENCE();
	demi_qtoken_t connecting;
	struct address address;
	demi_qresult_t qr;
	int qd = connect_stuck(transport, &connecting, &address);

	check_call(demi_close(qd), 0);
	await_error(connecting, ECANCELED);
	check_call(demi_wait(&qr, connecting, &wait_none), EINVAL);
}

static void tcp__cancel_of_a_pending_connect(void **state)
{
	TRANSPORT(transport, state);
	NEEDS_SILENCE();
	demi_qtoken_t connecting;
	struct address address;
	int qd = connect_stuck(transport, &connecting, &address);

	check_call(demi_cancel(connecting), 0);
	await_error(connecting, ECANCELED);
	check_call(demi_close(qd), 0);
}

static void tcp__aclose_cancels_a_pending_connect(void **state)
{
	TRANSPORT(transport, state);
	NEEDS_SILENCE();
	demi_qtoken_t connecting, closing;
	struct address address;
	int qd = connect_stuck(transport, &connecting, &address);

	check_call(demi_aclose(&closing, qd), 0);
	await_error(connecting, ECANCELED);
	await_opcode(closing, DEMI_OPC_CLOSE);
	check_call(demi_close(qd), EBADF);
}

/* ---- The table ---- */

/* clang-format off */
#define TCP_FUNCTIONS(apply)                                                                       \
	apply(tcp__port_0_is_chosen_at_bind)                                                       \
	apply(tcp__wildcard_is_served)                                                             \
	apply(tcp__both_ends_agree_on_their_addresses)                                             \
	apply(tcp__accept_reports_the_address_of_the_peer)                                         \
	apply(tcp__connect_from_a_bound_socket)                                                    \
	apply(tcp__names_are_cut_to_the_room_there_is)                                             \
	apply(tcp__port_is_free_again_after_close)                                                 \
	apply(tcp__options_are_set_and_read_back)                                                  \
	apply(tcp__buffer_sizes_are_at_least_what_was_asked)                                       \
	apply(tcp__linger_is_set_and_read_back)                                                    \
	apply(tcp__options_to_read_tell_the_state)                                                 \
	apply(tcp__maxseg_can_be_set)                                                              \
	apply(tcp__options_hold_on_a_connection)                                                   \
	apply(tcp__ipv6_only_keeps_ipv4_out)                                                       \
	apply(tcp__linger_0_resets_the_peer)                                                       \
	apply(tcp__reset_fails_pops_and_nothing_else)                                              \
	apply(tcp__reset_fails_pending_pushes)                                                     \
	apply(tcp__reset_in_the_backlog_leaves_the_listener)                                       \
	apply(tcp__connect_while_connecting_is_einprogress)                                        \
	apply(tcp__close_cancels_a_pending_connect)                                                \
	apply(tcp__cancel_of_a_pending_connect)                                                    \
	apply(tcp__aclose_cancels_a_pending_connect)
/* clang-format on */

int main(void)
{
	/* clang-format off */
	static const struct CMUnitTest tests[] = {
		STREAM_FUNCTIONS(TEST_OVER_IPV4)
		TCP_FUNCTIONS(TEST_OVER_IPV4)
		STREAM_FUNCTIONS(TEST_OVER_IPV6)
		TCP_FUNCTIONS(TEST_OVER_IPV6)
	};
	/* clang-format on */

	return suite_main("tcp", !profile_get() || profile_get()->tcp, "TCP", tests,
			  COUNT_OF(tests));
}
