/* SPDX-License-Identifier: MIT */
/*
 * Streams of one runtime that is alone on its link, to itself; what holds on every libOS is in
 * conformance/.
 */
#include "catnip.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

/* A listener bound to @text and a free port, which @address receives. */
static int listener_open(const char *text, struct address *address, int backlog)
{
	int qd = -1;

	*address = address_of(text, 0);
	check_call(demi_socket(&qd, address->any.sa_family, SOCK_STREAM, 0), 0);
	check_call(demi_bind(qd, &address->any, address->size), 0);
	check_call(demi_listen(qd, backlog), 0);
	socket_name(qd, address);
	return qd;
}

static int connect_start(const struct address *to, demi_qtoken_t *qt)
{
	int qd = -1;

	check_call(demi_socket(&qd, to->any.sa_family, SOCK_STREAM, 0), 0);
	check_call(demi_connect(qt, qd, &to->any, to->size), 0);
	return qd;
}

static int accept_one(int listener)
{
	demi_qtoken_t qt = 0;

	check_call(demi_accept(&qt, listener), 0);
	return await_opcode(qt, DEMI_OPC_ACCEPT).qr_value.ares.qd;
}

/* A connection to @to, of which @listener takes the other end. */
static void connect_to(int listener, const struct address *to, int *client, int *server)
{
	demi_qtoken_t qt;

	*client = connect_start(to, &qt);
	*server = accept_one(listener);
	await_opcode(qt, DEMI_OPC_CONNECT);
}

static void pair_of(const char *text, int *client, int *server)
{
	struct address address;
	int listener = listener_open(text, &address, 8);

	connect_to(listener, &address, client, server);
	check_call(demi_close(listener), 0);
}

static void exchange(int client, int server, size_t size, unsigned int seed)
{
	demi_qtoken_t pushing = push_pattern(client, size, seed, 0);

	stream_expect(server, size, seed, 0);
	await_opcode(pushing, DEMI_OPC_PUSH);
	pushing = push_pattern(server, size, seed + 1, 0);
	stream_expect(client, size, seed + 1, 0);
	await_opcode(pushing, DEMI_OPC_PUSH);
}

static void peer_name(int qd, struct address *address)
{
	memset(address, 0, sizeof(*address));
	address->size = sizeof(address->room);
	check_call(demi_getpeername(qd, &address->any, &address->size), 0);
}

static int option_value(int qd, int level, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	check_call(demi_getsockopt(qd, level, name, &value, &size), 0);
	assert_int_equal(size, sizeof(int));
	return value;
}

static void option_put(int qd, int level, int name, int value)
{
	check_call(demi_setsockopt(qd, level, name, &value, sizeof(value)), 0);
}

/* --- addresses --- */

static void stream__own_and_loopback_addresses(void **state)
{
	static const char *const texts[] = {"127.0.0.1", "127.200.3.4", "::1", OUR_IPV4, OUR_IPV6};
	int client, server;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		pair_of(texts[i], &client, &server);
		exchange(client, server, 5000, (unsigned int)i);
	}
}

static void stream__dual_stack_listener_hears_ipv4(void **state)
{
	struct address wildcard, to, name, mapped;
	int listener = listener_open("::", &wildcard, 8), client, server;

	(void)state;
	to = address_of(OUR_IPV4, ntohs(address_port(&wildcard)));
	connect_to(listener, &to, &client, &server);
	exchange(client, server, 1000, 1);
	socket_name(server, &name);
	mapped = address_of("::ffff:" OUR_IPV4, ntohs(address_port(&wildcard)));
	address_check(&name, &mapped);
	socket_name(client, &to);
	mapped = address_of("::ffff:" OUR_IPV4, ntohs(address_port(&to)));
	peer_name(server, &name);
	address_check(&name, &mapped);
	/* And the other way: an IPv6 socket reaches an IPv4 listener. */
	listener = listener_open(OUR_IPV4, &to, 8);
	to = address_of("::ffff:" OUR_IPV4, ntohs(address_port(&to)));
	connect_to(listener, &to, &client, &server);
	exchange(client, server, 1000, 3);
}

static void stream__v6_only_listener_does_not(void **state)
{
	struct address address = address_of("::", 0), to;
	demi_qtoken_t qt;
	int listener = -1, client;

	(void)state;
	check_call(demi_socket(&listener, AF_INET6, SOCK_STREAM, 0), 0);
	option_put(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	check_call(demi_bind(listener, &address.any, address.size), 0);
	check_call(demi_listen(listener, 8), 0);
	socket_name(listener, &address);
	to = address_of(OUR_IPV4, ntohs(address_port(&address)));
	connect_start(&to, &qt);
	await_error(qt, ECONNREFUSED);
	to = address_of("::ffff:" OUR_IPV4, ntohs(address_port(&address)));
	check_call(demi_socket(&client, AF_INET6, SOCK_STREAM, 0), 0);
	option_put(client, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	check_call(outcome(demi_connect(&qt, client, &to.any, to.size), qt), ENETUNREACH);
	check_call(demi_setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)),
		   EINVAL);
}

static void stream__unspecified_destination_is_ourselves(void **state)
{
	struct address wildcard, to, name;
	int listener = listener_open("0.0.0.0", &wildcard, 8), client, server;

	(void)state;
	connect_to(listener, &wildcard, &client, &server);
	exchange(client, server, 100, 1);
	to = address_of("127.0.0.1", ntohs(address_port(&wildcard)));
	peer_name(client, &name);
	address_check(&name, &to);
}

static void stream__same_port_of_two_addresses(void **state)
{
	struct address first, second;
	int one = listener_open(OUR_IPV4, &first, 8), other = -1, client, server;

	(void)state;
	second = address_of("127.0.0.1", ntohs(address_port(&first)));
	check_call(demi_socket(&other, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_bind(other, &second.any, second.size), 0);
	check_call(demi_listen(other, 8), 0);
	connect_to(one, &first, &client, &server);
	exchange(client, server, 100, 1);
	connect_to(other, &second, &client, &server);
	exchange(client, server, 100, 3);
}

/* --- connects that fail --- */

static void stream__connect_that_goes_nowhere(void **state)
{
	struct address far = address_of("203.0.113.7", 7), nowhere = address_of(OUR_IPV4, 0);
	struct address group = address_of("224.0.0.1", 7);
	demi_qtoken_t qt = 0;
	int qd = -1;

	(void)state;
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	check_call(outcome(demi_connect(&qt, qd, &far.any, far.size), qt), ENETUNREACH);
	check_call(outcome(demi_connect(&qt, qd, &group.any, group.size), qt), ENETUNREACH);
	check_call(demi_connect(&qt, qd, &nowhere.any, nowhere.size), EINVAL);
}

static void stream__socket_can_be_connected_after_a_failure(void **state)
{
	struct address address, shut, name;
	int listener = listener_open(OUR_IPV4, &address, 8), bound, client = -1, server;
	demi_qtoken_t qt;

	(void)state;
	/* Bound and not listening: it refuses. */
	shut = address_of(OUR_IPV4, 0);
	check_call(demi_socket(&bound, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_bind(bound, &shut.any, shut.size), 0);
	socket_name(bound, &shut);
	check_call(demi_socket(&client, AF_INET, SOCK_STREAM, 0), 0);
	for (int i = 0; i < 3; i++) {
		check_call(demi_connect(&qt, client, &shut.any, shut.size), 0);
		await_error(qt, ECONNREFUSED);
		name.size = sizeof(name.room);
		check_call(demi_getpeername(client, &name.any, &name.size), ENOTCONN);
		socket_name(client, &name);
		assert_int_equal(address_port(&name), 0);
	}
	check_call(demi_connect(&qt, client, &address.any, address.size), 0);
	server = accept_one(listener);
	await_opcode(qt, DEMI_OPC_CONNECT);
	exchange(client, server, 1000, 1);
}

static void stream__nobody_at_the_address_is_ehostunreach(void **state)
{
	struct address silent = address_of(SILENT_IPV4, 7);
	demi_qtoken_t qt;

	(void)state;
	connect_start(&silent, &qt);
	await_error(qt, EHOSTUNREACH);
}

static void stream__cancelled_connect_leaves_the_socket_as_before(void **state)
{
	struct address silent = address_of(SILENT_IPV4, 7), address, name;
	int listener = listener_open(OUR_IPV4, &address, 8), client, server;
	demi_qtoken_t qt;

	(void)state;
	client = connect_start(&silent, &qt);
	check_pending(qt);
	check_call(demi_cancel(qt), 0);
	await_error(qt, ECANCELED);
	socket_name(client, &name);
	assert_int_equal(address_port(&name), 0);
	check_call(demi_pop(&qt, client), ENOTCONN);
	check_call(demi_connect(&qt, client, &address.any, address.size), 0);
	server = accept_one(listener);
	await_opcode(qt, DEMI_OPC_CONNECT);
	exchange(client, server, 1000, 1);
}

static void stream__error_of_a_socket_is_told_once(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int client, server, error = 0;
	int64_t end = now_ms() + 10000;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	check_call(demi_setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	check_call(demi_close(server), 0);
	while (error == 0 && now_ms() < end) {
		drive();
		error = option_value(client, SOL_SOCKET, SO_ERROR);
	}
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(option_value(client, SOL_SOCKET, SO_ERROR), 0);
}

/* --- data --- */

static void stream__pushes_complete_when_acknowledged(void **state)
{
	demi_qtoken_t first, second;
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	first = push_pattern(client, 10, 1, 0);
	second = push_pattern(client, LARGE_BYTES, 1, 10);
	/* Nobody pops: the stack has it, and says so. */
	await_opcode(first, DEMI_OPC_PUSH);
	await_opcode(second, DEMI_OPC_PUSH);
	stream_expect(server, 10 + LARGE_BYTES, 1, 0);
}

static void stream__pop_takes_what_has_arrived(void **state)
{
	enum { COUNT = 20, BYTES = 1000 };
	uint64_t received = 0;
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	for (uint64_t i = 0; i < COUNT; i++)
		await_opcode(push_pattern(client, BYTES, 1, i * BYTES), DEMI_OPC_PUSH);
	while (received < COUNT * BYTES) {
		demi_qresult_t qr = await_opcode(pop(server), DEMI_OPC_POP);
		uint32_t segments = qr.qr_value.sga.sga_numsegs;
		size_t bytes = sga_check(&qr.qr_value.sga, 1, received);

		assert_in_range(segments, 1, DEMI_SGARRAY_MAXSIZE);
		assert_true(segments == DEMI_SGARRAY_MAXSIZE || received + bytes == COUNT * BYTES);
		/* A stream's bytes have no address. */
		assert_int_equal(qr.qr_value.sga.sga_addr.sin_family, AF_UNSPEC);
		received += bytes;
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	check_pending(pop(server));
}

static void stream__popped_segments_are_pushed_on(void **state)
{
	enum { BYTES = 200000 };
	int client, server;
	demi_qtoken_t pushing;
	size_t done = 0;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	pushing = push_pattern(client, BYTES, 1, 0);
	while (done < BYTES) {
		demi_qresult_t qr = await_opcode(pop(server), DEMI_OPC_POP);
		demi_qtoken_t echo = push_sga(server, &qr.qr_value.sga);
		size_t bytes = sga_bytes(&qr.qr_value.sga);

		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		stream_expect(client, bytes, 1, done);
		await_opcode(echo, DEMI_OPC_PUSH);
		done += bytes;
	}
	await_opcode(pushing, DEMI_OPC_PUSH);
}

static void stream__too_many_pieces_are_enobufs(void **state)
{
	demi_sgarray_t sga;
	demi_qtoken_t qts[64], qt = 0;
	int client, server, count = 0, error = 0;

	(void)state;
	option_set("DEMI_TCP_SEND_PIECES_MAX", "16");
	check_call(demi_init(NULL), 0);
	pair_of(OUR_IPV4, &client, &server);
	for (; count < 64; count++) {
		sga = sga_pattern(MIB, 1, (uint64_t)count * MIB);
		error = demi_push(&qts[count], client, &sga);
		if (error)
			break;
		check_call(demi_sgafree(&sga), 0);
	}
	check_call(error, ENOBUFS);
	assert_int_equal(count, 16);
	stream_expect(server, 16 * MIB, 1, 0);
	for (int i = 0; i < count; i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	check_call(demi_push(&qt, client, &sga), 0);
	stream_expect(server, MIB, 1, 16 * MIB);
	await_opcode(qt, DEMI_OPC_PUSH);
	check_call(demi_sgafree(&sga), 0);
}

static void stream__thousand_connections(void **state)
{
	enum { COUNT = 1000 };
	static demi_qtoken_t connects[COUNT], accepts[COUNT];
	static int clients[COUNT], servers[COUNT];
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, COUNT);

	(void)state;
	for (int i = 0; i < COUNT; i++)
		check_call(demi_accept(&accepts[i], listener), 0);
	for (int i = 0; i < COUNT; i++) {
		clients[i] = connect_start(&address, &connects[i]);
		if (i % 32 == 31)
			drive();
	}
	for (int i = 0; i < COUNT; i++) {
		await_opcode(connects[i], DEMI_OPC_CONNECT);
		servers[i] = await_opcode(accepts[i], DEMI_OPC_ACCEPT).qr_value.ares.qd;
	}
	for (unsigned int i = 0; i < COUNT; i++) {
		struct address here, there;
		size_t other = COUNT;

		/* Which client it is of, the ports tell. */
		peer_name(servers[i], &there);
		for (size_t j = 0; j < COUNT && other == COUNT; j++) {
			socket_name(clients[(i + j) % COUNT], &here);
			if (address_port(&here) == address_port(&there))
				other = (i + j) % COUNT;
		}
		assert_true(other < COUNT);
		exchange(clients[other], servers[i], 100 + i, i);
	}
	for (int i = 0; i < COUNT; i++) {
		check_call(demi_close(clients[i]), 0);
		stream_expect_end(servers[i]);
		check_call(demi_close(servers[i]), 0);
	}
}

/* --- the end --- */

static void stream__half_close_both_ways(void **state)
{
	int client, server;

	(void)state;
	pair_of(OUR_IPV6, &client, &server);
	exchange(client, server, 1000, 1);
	check_call(demi_shutdown(client, SHUT_WR), 0);
	stream_expect_end(server);
	for (uint64_t i = 0; i < 5; i++) {
		demi_qtoken_t pushing = push_pattern(server, 100000, 5, i * 100000);

		stream_expect(client, 100000, 5, i * 100000);
		await_opcode(pushing, DEMI_OPC_PUSH);
	}
	check_call(demi_shutdown(server, SHUT_WR), 0);
	stream_expect_end(client);
	check_call(demi_close(client), 0);
	check_call(demi_close(server), 0);
}

static void stream__close_with_unread_data_resets(void **state)
{
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	await_opcode(push_pattern(client, 1000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(server), 0);
	await_error(pop(client), ECONNRESET);
	/* Every pop is told. */
	await_error(pop(client), ECONNRESET);
}

/*
 * What is closed over is sent, as much as a send buffer would hold: as it was at the close, though the
 * program writes to its memory again.
 */
static void stream__close_sends_what_was_pushed(void **state)
{
	static const size_t sizes[] = {1, 1000, LARGE_BYTES, 100000, MIB};
	int client, server;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		demi_sgarray_t sga = sga_pattern(sizes[i], 1, 0);
		demi_qtoken_t qt;

		pair_of(OUR_IPV4, &client, &server);
		qt = push_sga(client, &sga);
		check_call(demi_close(client), 0);
		await_error(qt, ECANCELED);
		memset(sga.sga_segs[0].sgaseg_buf, 0xee, sizes[i]);
		check_call(demi_sgafree(&sga), 0);
		stream_expect(server, sizes[i], 1, 0);
		stream_expect_end(server);
		check_call(demi_close(server), 0);
	}
}

/* Who reads to the end must not take a part for the whole. */
static void stream__close_over_more_than_a_send_buffer_resets(void **state)
{
	demi_qtoken_t pushes[16];
	demi_qresult_t qr;
	uint64_t received = 0;
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	for (uint64_t i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_pattern(client, MIB, 1, i * MIB);
	check_call(demi_close(client), 0);
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		await_error(pushes[i], ECANCELED);
	for (;;) {
		qr = await(pop(server));
		if (qr.qr_opcode == DEMI_OPC_FAILED)
			break;
		assert_int_not_equal(sga_bytes(&qr.qr_value.sga), 0);
		received += sga_check(&qr.qr_value.sga, 1, received);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	assert_int_equal(qr.qr_ret, ECONNRESET);
	assert_true(received < COUNT_OF(pushes) * MIB);
}

static void stream__closed_listener_resets_what_nobody_accepted(void **state)
{
	enum { COUNT = 5 };
	demi_qtoken_t qt;
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, COUNT), clients[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		clients[i] = connect_start(&address, &qt);
		await_opcode(qt, DEMI_OPC_CONNECT);
		push_pattern(clients[i], 100, 1, 0);
	}
	check_call(demi_close(listener), 0);
	for (int i = 0; i < COUNT; i++)
		await_error(pop(clients[i]), ECONNRESET);
	connect_start(&address, &qt);
	await_error(qt, ECONNREFUSED);
}

/* A peer beyond the backlog tries again until there is room. */
static void stream__backlog_is_a_bound(void **state)
{
	demi_qtoken_t first, second;
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, 1), client, server;

	(void)state;
	connect_start(&address, &first);
	await_opcode(first, DEMI_OPC_CONNECT);
	/* The listener has heard of it too. */
	drive();
	client = connect_start(&address, &second);
	check_pending(second);
	accept_one(listener);
	await_opcode(second, DEMI_OPC_CONNECT);
	server = accept_one(listener);
	exchange(client, server, 100, 1);
}

static void stream__aclose_completes_after_its_pushes(void **state)
{
	enum { COUNT = 8 };
	demi_qtoken_t qts[COUNT + 1];
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	for (uint64_t i = 0; i < COUNT; i++)
		qts[i] = push_pattern(client, 100000, 1, i * 100000);
	check_call(demi_aclose(&qts[COUNT], client), 0);
	stream_expect(server, COUNT * 100000, 1, 0);
	stream_expect_end(server);
	for (int i = 0; i <= COUNT; i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, qts + i, COUNT + 1 - i, &wait_long), 0);
		assert_int_equal(offset, 0);
		assert_int_equal(qr.qr_opcode, i < COUNT ? DEMI_OPC_PUSH : DEMI_OPC_CLOSE);
	}
}

/* Nobody reads what came last, and still the peer gets all that was pushed before. */
static void stream__aclose_with_unread_data_delivers(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	demi_qtoken_t pushing, closing;
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	await_opcode(push_pattern(client, 1000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	pushing = push_pattern(server, 300000, 2, 0);
	check_call(demi_aclose(&closing, server), 0);
	stream_expect(client, 300000, 2, 0);
	await_opcode(pushing, DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

static void stream__aclose_can_be_cancelled(void **state)
{
	demi_qtoken_t pushing, closing;
	int client, server;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	pushing = push_pattern(client, 16 * MIB, 1, 0);
	check_call(demi_aclose(&closing, client), 0);
	check_pending(closing);
	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	await_error(pushing, ECANCELED);
}

/* Cancelled pushes were the last thing that the end waited for. */
static void stream__cancelled_pushes_let_the_end_follow(void **state)
{
	demi_qtoken_t first, second, closing;
	int client, server, error;

	(void)state;
	pair_of(OUR_IPV4, &client, &server);
	first = push_pattern(client, 16 * MIB, 1, 0);
	second = push_pattern(client, 1000, 2, 0);
	check_call(demi_aclose(&closing, client), 0);
	error = demi_cancel(second);
	check_call(error, 0);
	await_error(second, ECANCELED);
	stream_expect(server, 16 * MIB, 1, 0);
	stream_expect_end(server);
	await_opcode(first, DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

/* --- options --- */

static void stream__connections_inherit_the_options_of_their_listener(void **state)
{
	static const struct {
		int level, name, value;
	} cases[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},   {SOL_SOCKET, SO_SNDBUF, 70000},
		{SOL_SOCKET, SO_RCVBUF, 30000},  {IPPROTO_TCP, TCP_NODELAY, 0},
		{IPPROTO_TCP, TCP_KEEPIDLE, 17}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 5000},
		{IPPROTO_IP, IP_TOS, 0xb8},      {IPPROTO_IP, IP_TTL, 7},
	};
	struct linger linger = {.l_onoff = 1, .l_linger = 3}, got = {0};
	socklen_t size = sizeof(got);
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, 8), client, server;
	char name[16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		option_put(listener, cases[i].level, cases[i].name, cases[i].value);
	check_call(demi_setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	check_call(demi_setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	connect_to(listener, &address, &client, &server);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(option_value(server, cases[i].level, cases[i].name),
				 cases[i].value);
	check_call(demi_getsockopt(server, SOL_SOCKET, SO_LINGER, &got, &size), 0);
	assert_memory_equal(&got, &linger, sizeof(linger));
	size = sizeof(name);
	check_call(demi_getsockopt(server, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	assert_string_equal(name, "reno");
	size = sizeof(name);
	check_call(demi_getsockopt(client, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	assert_string_equal(name, "cubic");
	exchange(client, server, 100000, 1);
}

static void stream__congestion_is_what_is_configured(void **state)
{
	char name[16];
	socklen_t size = sizeof(name);
	int qd = -1;

	(void)state;
	option_set("DEMI_TCP_CONGESTION", "dctcp");
	check_call(demi_init(NULL), 0);
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_getsockopt(qd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	assert_string_equal(name, "dctcp");
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_CONGESTION, "vegas", 5), ENOENT);
}

static void stream__segments_are_no_longer_than_maxseg(void **state)
{
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, 8), client, server;
	struct tcp_info info;
	socklen_t size = sizeof(info);

	(void)state;
	option_put(listener, IPPROTO_TCP, TCP_MAXSEG, 600);
	connect_to(listener, &address, &client, &server);
	assert_in_range(option_value(client, IPPROTO_TCP, TCP_MAXSEG), 500, 600);
	exchange(client, server, 60000, 1);
	memset(&info, 0, sizeof(info));
	check_call(demi_getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_in_range(info.tcpi_snd_mss, 500, 600);
}

static void stream__info_tells_what_went_on(void **state)
{
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, 8), client, server;
	struct tcp_info info;
	socklen_t size = sizeof(info);

	(void)state;
	connect_to(listener, &address, &client, &server);
	exchange(client, server, 100000, 1);
	memset(&info, 0, sizeof(info));
	check_call(demi_getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
	assert_true(info.tcpi_options & TCPI_OPT_TIMESTAMPS);
	assert_true(info.tcpi_options & TCPI_OPT_SACK);
	assert_true(info.tcpi_options & TCPI_OPT_WSCALE);
	assert_int_equal(info.tcpi_unacked, 0);
	assert_true(info.tcpi_snd_cwnd > 0);
	/* A probe of the tail, when this process was kept from polling. */
	assert_true(info.tcpi_total_retrans < 10);
	size = sizeof(info);
	check_call(demi_getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_state, TCP_LISTEN);
	check_call(demi_shutdown(client, SHUT_WR), 0);
	stream_expect_end(server);
	size = 1;
	check_call(demi_getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_state, TCP_CLOSE_WAIT);
	assert_int_equal(option_value(client, IPPROTO_IP, IP_MTU) >= 1500, 1);
}

static void stream__small_receive_buffer_still_carries_everything(void **state)
{
	struct address address;
	int listener = listener_open(OUR_IPV4, &address, 8), client, server;

	(void)state;
	option_put(listener, SOL_SOCKET, SO_RCVBUF, 4096);
	connect_to(listener, &address, &client, &server);
	exchange(client, server, 300000, 1);
}

/* --- the configuration --- */

static void stream__without_every_extension(void **state)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	int client, server;

	(void)state;
	option_set("DEMI_TCP_TIMESTAMPS", "off");
	option_set("DEMI_TCP_WINDOW_SCALING", "off");
	option_set("DEMI_TCP_SACK", "off");
	check_call(demi_init(NULL), 0);
	pair_of(OUR_IPV4, &client, &server);
	exchange(client, server, 500000, 1);
	check_call(demi_getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(
		info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE), 0);
}

static void stream__too_many_sockets_are_an_error(void **state)
{
	int qds[17], error = 0, count = 0;

	(void)state;
	option_set("DEMI_TCP_CONNECTIONS_MAX", "16");
	check_call(demi_init(NULL), 0);
	while (count < 17 && (error = demi_socket(&qds[count], AF_INET, SOCK_STREAM, 0)) == 0)
		count++;
	check_call(error, ENOBUFS);
	assert_int_equal(count, 16);
	check_call(demi_close(qds[3]), 0);
	drive();
	check_call(demi_socket(&qds[3], AF_INET, SOCK_STREAM, 0), 0);
}

static void stream__half_open_connections_have_a_bound(void **state)
{
	int client, server;

	(void)state;
	/* SYN cookies from the first one on. */
	option_set("DEMI_TCP_SYN_BACKLOG_MAX", "0");
	check_call(demi_init(NULL), 0);
	pair_of(OUR_IPV4, &client, &server);
	exchange(client, server, 100000, 1);
	pair_of(OUR_IPV6, &client, &server);
	exchange(client, server, 100000, 3);
}

static void stream__sleeps_and_wakes(void **state)
{
	struct timespec moment = milliseconds(30);
	demi_qresult_t qr;
	int client, server;

	(void)state;
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	check_call(demi_init(NULL), 0);
	pair_of(OUR_IPV4, &client, &server);
	check_call(demi_wait(&qr, pop(server), &moment), ETIMEDOUT);
	push_pattern(client, 10, 1, 0);
	exchange(server, client, 300000, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(stream__own_and_loopback_addresses),
		TEST(stream__dual_stack_listener_hears_ipv4),
		TEST(stream__v6_only_listener_does_not),
		TEST(stream__unspecified_destination_is_ourselves),
		TEST(stream__same_port_of_two_addresses),
		TEST(stream__connect_that_goes_nowhere),
		TEST(stream__socket_can_be_connected_after_a_failure),
		TEST(stream__nobody_at_the_address_is_ehostunreach),
		TEST(stream__cancelled_connect_leaves_the_socket_as_before),
		TEST(stream__error_of_a_socket_is_told_once),
		TEST(stream__pushes_complete_when_acknowledged),
		TEST(stream__pop_takes_what_has_arrived),
		TEST(stream__popped_segments_are_pushed_on),
		TEST_RAW(stream__too_many_pieces_are_enobufs),
		TEST(stream__thousand_connections),
		TEST(stream__half_close_both_ways),
		TEST(stream__close_with_unread_data_resets),
		TEST(stream__close_sends_what_was_pushed),
		TEST(stream__close_over_more_than_a_send_buffer_resets),
		TEST(stream__closed_listener_resets_what_nobody_accepted),
		TEST(stream__backlog_is_a_bound),
		TEST(stream__aclose_completes_after_its_pushes),
		TEST(stream__aclose_with_unread_data_delivers),
		TEST(stream__aclose_can_be_cancelled),
		TEST(stream__cancelled_pushes_let_the_end_follow),
		TEST(stream__connections_inherit_the_options_of_their_listener),
		TEST_RAW(stream__congestion_is_what_is_configured),
		TEST(stream__segments_are_no_longer_than_maxseg),
		TEST(stream__info_tells_what_went_on),
		TEST(stream__small_receive_buffer_still_carries_everything),
		TEST_RAW(stream__without_every_extension),
		TEST_RAW(stream__too_many_sockets_are_an_error),
		TEST_RAW(stream__half_open_connections_have_a_bound),
		TEST_RAW(stream__sleeps_and_wakes),
	};

	return suite_main("stream", true, "streams", tests, COUNT_OF(tests));
}
