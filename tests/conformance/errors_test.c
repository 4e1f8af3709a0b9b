/* SPDX-License-Identifier: MIT */
/*
 * What each call refuses. The lines of the tables are what the manual says; a call that is
 * refused must leave everything as it was.
 */
#include "common.h"

#include <fcntl.h>
#include <netinet/tcp.h>

#define NEEDS_TCP() skip_unless(profile_get()->tcp, "the libOS has no TCP")
#define NEEDS_UDP() skip_unless(profile_get()->udp, "the libOS has no UDP")
#define NEEDS_QUEUES() skip_unless(profile_get()->queues, "the libOS has no in-memory queues")

static int queue_open(void)
{
	int qd = -1;

	check_call(demi_queue(&qd), 0);
	return qd;
}

/* ---- NULL, -1 and other nonsense: an error, and no crash ---- */

static void errors__null_arguments(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	demi_sgarray_t sga;
	demi_qtoken_t qt = 0;
	demi_qresult_t qr;
	socklen_t size;
	struct pair pair;
	int value = 1, count, queue, unbound;

	NEEDS_TCP();
	NEEDS_QUEUES();
	pair_open(&pair, transport);
	queue = queue_open();
	unbound = socket_open(transport, SOCK_STREAM);
	address_fresh(transport, &address);
	sga = sga_pattern(10, 1, 0);

	check_fails(demi_socket(null(), transport->family, SOCK_STREAM, 0));
	check_fails(demi_bind(unbound, null(), address.size));
	check_fails(demi_accept(null(), pair.listener));
	check_fails(demi_connect(null(), unbound, &address.any, address.size));
	check_fails(demi_connect(&qt, unbound, null(), address.size));
	check_fails(demi_aclose(null(), pair.client));
	check_fails(demi_push(null(), pair.client, &sga));
	check_fails(demi_push(&qt, pair.client, null()));
	check_fails(demi_pushto(null(), unbound, &sga, &address.any, address.size));
	check_fails(demi_pushto(&qt, unbound, null(), &address.any, address.size));
	check_fails(demi_pushto(&qt, unbound, &sga, null(), address.size));
	check_fails(demi_pop(null(), pair.client));
	check_fails(demi_push(null(), queue, &sga));
	check_fails(demi_push(&qt, queue, null()));
	check_fails(demi_pop(null(), queue));
	size = sizeof(value);
	check_fails(demi_setsockopt(unbound, SOL_SOCKET, SO_KEEPALIVE, null(), size));
	check_fails(demi_getsockopt(unbound, SOL_SOCKET, SO_KEEPALIVE, null(), &size));
	check_fails(demi_getsockopt(unbound, SOL_SOCKET, SO_KEEPALIVE, &value, null()));
	size = sizeof(address.room);
	check_fails(demi_getsockname(pair.client, null(), &size));
	check_fails(demi_getsockname(pair.client, &address.any, null()));
	check_fails(demi_getpeername(pair.client, null(), &size));
	check_fails(demi_getpeername(pair.client, &address.any, null()));
	check_fails(demi_queue(null()));
	check_fails(demi_open(null(), "/dev/null", O_RDONLY, 0));
	check_fails(demi_open(&count, null(), O_RDONLY, 0));
	check_fails(demi_creat(null(), "/dev/null", 0600));
	check_fails(demi_creat(&count, null(), 0600));
	check_fails(demi_rename(null(), "/dev/null"));
	check_fails(demi_rename("/nonexistent/file", null()));
	check_fails(demi_unlink(null()));
	check_fails(demi_sgafree(null()));
	check_fails(demi_sgaaddr(null(), &address.any, &size));
	check_fails(demi_sgaaddr(&sga, null(), &size));
	check_fails(demi_sgaaddr(&sga, &address.any, null()));
	qt = pop(queue);
	check_fails(demi_wait(null(), qt, &wait_none));
	check_fails(demi_wait_any(null(), &count, &qt, 1, &wait_none));
	check_fails(demi_wait_any(&qr, &count, null(), 1, &wait_none));
	check_fails(demi_wait_all(null(), &qt, 1, &wait_none));
	check_fails(demi_wait_all(&qr, null(), 1, &wait_none));
	check_fails(demi_wait_next_n(null(), 1, &count, &wait_none));
	check_fails(demi_wait_next_n(&qr, 1, null(), &wait_none));

	/* Nothing of that began anything. */
	check_pending(qt);
	await_opcode(push_sga(pair.client, &sga), DEMI_OPC_PUSH);
	stream_expect(pair.server, 10, 1, 0);
	check_pending(pop(pair.server));
}

static void errors__descriptors_that_are_none_are_ebadf(void **state)
{
	TRANSPORT(transport, state);
	static const int bad[] = {-1, 0, 1, 2, 499, 100000, INT32_MAX, INT32_MIN};
	struct address address;
	uint8_t byte = 1;
	demi_sgarray_t sga = sga_of(&byte, 1);
	demi_qtoken_t qt;
	socklen_t size;
	int value = 1;

	address_fresh(transport, &address);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		check_call(demi_bind(bad[i], &address.any, address.size), EBADF);
		check_call(demi_listen(bad[i], 1), EBADF);
		check_call(demi_accept(&qt, bad[i]), EBADF);
		check_call(demi_connect(&qt, bad[i], &address.any, address.size), EBADF);
		check_call(demi_close(bad[i]), EBADF);
		check_call(demi_aclose(&qt, bad[i]), EBADF);
		check_call(demi_shutdown(bad[i], SHUT_WR), EBADF);
		check_call(demi_push(&qt, bad[i], &sga), EBADF);
		check_call(demi_pushto(&qt, bad[i], &sga, &address.any, address.size), EBADF);
		check_call(demi_pop(&qt, bad[i]), EBADF);
		size = sizeof(value);
		check_call(demi_setsockopt(bad[i], SOL_SOCKET, SO_KEEPALIVE, &value, size), EBADF);
		check_call(demi_getsockopt(bad[i], SOL_SOCKET, SO_KEEPALIVE, &value, &size), EBADF);
		size = sizeof(address.room);
		check_call(demi_getsockname(bad[i], &address.any, &size), EBADF);
		check_call(demi_getpeername(bad[i], &address.any, &size), EBADF);
		check_call(demi_seek(bad[i], 0, SEEK_SET, NULL), EBADF);
		check_call(demi_truncate(bad[i], 0), EBADF);
	}
}

static void errors__closed_descriptor_is_ebadf(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	uint8_t byte = 1;
	demi_sgarray_t sga = sga_of(&byte, 1);
	demi_qtoken_t qt;
	struct pair pair;
	socklen_t size;
	int value = 1, qds[3];

	NEEDS_TCP();
	address_fresh(transport, &address);
	pair_open(&pair, transport);
	qds[0] = pair.client;
	qds[1] = pair.server;
	qds[2] = pair.listener;
	for (size_t i = 0; i < COUNT_OF(qds); i++)
		check_call(demi_close(qds[i]), 0);
	for (size_t i = 0; i < COUNT_OF(qds); i++) {
		check_call(demi_close(qds[i]), EBADF);
		check_call(demi_aclose(&qt, qds[i]), EBADF);
		check_call(demi_bind(qds[i], &address.any, address.size), EBADF);
		check_call(demi_listen(qds[i], 1), EBADF);
		check_call(demi_accept(&qt, qds[i]), EBADF);
		check_call(demi_connect(&qt, qds[i], &address.any, address.size), EBADF);
		check_call(demi_shutdown(qds[i], SHUT_WR), EBADF);
		check_call(demi_push(&qt, qds[i], &sga), EBADF);
		check_call(demi_pop(&qt, qds[i]), EBADF);
		size = sizeof(value);
		check_call(demi_setsockopt(qds[i], SOL_SOCKET, SO_KEEPALIVE, &value, size), EBADF);
		size = sizeof(address.room);
		check_call(demi_getsockname(qds[i], &address.any, &size), EBADF);
	}
}

static void errors__misaligned_pointers_do_not_crash(void **state)
{
	TRANSPORT(transport, state);
	uint8_t room[sizeof(demi_qresult_t) + 1], address_room[sizeof(struct sockaddr_storage) + 1];
	uint8_t small_room[32], sga_room[sizeof(demi_sgarray_t) + 1];
	struct address address;
	demi_qresult_t *qr = (demi_qresult_t *)(void *)(room + 1);
	demi_sgarray_t *misplaced = (demi_sgarray_t *)(void *)(sga_room + 1);
	struct sockaddr *misaligned = (struct sockaddr *)(void *)(address_room + 1);
	demi_qtoken_t *qt_misaligned = (demi_qtoken_t *)(void *)(small_room + 1);
	demi_sgarray_t sga;
	demi_qtoken_t qt;
	int queue, qd;

	NEEDS_TCP();
	NEEDS_QUEUES();
	queue = queue_open();
	sga = sga_pattern(10, 2, 0);
	memcpy(misplaced, &sga, sizeof(sga));
	await_opcode(push_sga(queue, misplaced), DEMI_OPC_PUSH);
	if (demi_pop(qt_misaligned, queue) == 0) {
		memcpy(&qt, qt_misaligned, sizeof(qt));
		/* The result is packed: any address will do. */
		check_call(demi_wait(qr, qt, &wait_long), 0);
		assert_int_equal(qr->qr_opcode, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr->qr_value.sga, 2, 0), 10);
		check_call(demi_sgafree(&qr->qr_value.sga), 0);
	}
	check_call(demi_sgafree(misplaced), 0);
	qd = socket_open(transport, SOCK_STREAM);
	address_fresh(transport, &address);
	memcpy(misaligned, &address.any, address.size);
	assert_true(demi_bind(qd, misaligned, address.size) >= 0);
	check_call(demi_close(qd), 0);
}

/* ---- Sockets ---- */

static void errors__socket_of_a_wrong_kind_is_enotsup(void **state)
{
	TRANSPORT(transport, state);
	int qd = -7;

	check_call(demi_socket(&qd, AF_PACKET, SOCK_STREAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, AF_UNSPEC, SOCK_STREAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, -1, SOCK_STREAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, 12345, SOCK_STREAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_RAW, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_SEQPACKET, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, -1, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, 0, 0), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_STREAM, IPPROTO_UDP), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_DGRAM, IPPROTO_TCP), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_STREAM, 12345), ENOTSUP);
	check_call(demi_socket(&qd, transport->family, SOCK_STREAM, -1), ENOTSUP);
	if (profile_get()->tcp)
		check_call(demi_socket(&qd, transport->family, SOCK_STREAM, IPPROTO_TCP), 0);
	if (profile_get()->udp)
		check_call(demi_socket(&qd, transport->family, SOCK_DGRAM, IPPROTO_UDP), 0);
}

static void bind_errors(const struct transport *transport, int type)
{
	struct address address, other, taken;
	const struct transport *strange = transport->family == AF_INET ? &transport_ipv6
								       : &transport_ipv4;
	static const socklen_t lengths[] = {0, 1, 2, 8, (socklen_t)-1, INT32_MAX};
	int qd = socket_open(transport, type), second = socket_open(transport, type);

	address_fresh(transport, &address);
	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		check_call(demi_bind(qd, &address.any, lengths[i]), EINVAL);
	check_call(demi_bind(qd, &address.any, address.size - 1), EINVAL);

	address_wildcard(strange, &other);
	/* Long enough for either family, so that only the family is wrong. */
	check_call(demi_bind(qd, &other.any, sizeof(other.in6)), EAFNOSUPPORT);
	address_foreign(transport, &other);
	check_call(demi_bind(qd, &other.any, other.size), EADDRNOTAVAIL);

	check_call(demi_bind(qd, &address.any, address.size), 0);
	socket_name(qd, &taken);
	check_call(demi_bind(qd, &address.any, address.size), EINVAL);
	check_call(demi_bind(qd, &taken.any, taken.size), EINVAL);
	check_call(demi_bind(second, &taken.any, taken.size), EADDRINUSE);
	if (type == SOCK_STREAM) {
		check_call(demi_listen(qd, 8), 0);
		check_call(demi_bind(second, &taken.any, taken.size), EADDRINUSE);
	}
	/* As it would be at every address. */
	address_wildcard(transport, &other);
	address_set_port(&other, address_port(&taken));
	check_call(demi_bind(second, &other.any, other.size), EADDRINUSE);
	/* A socket that was refused can still be bound. */
	check_call(demi_bind(second, &address.any, address.size), 0);
}

static void errors__bind_tcp(void **state)
{
	TRANSPORT(transport, state);

	NEEDS_TCP();
	bind_errors(transport, SOCK_STREAM);
}

static void errors__bind_udp(void **state)
{
	TRANSPORT(transport, state);

	NEEDS_UDP();
	bind_errors(transport, SOCK_DGRAM);
}

static void errors__listen(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	struct pair pair;
	int qd;

	NEEDS_TCP();
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_listen(qd, 8), EDESTADDRREQ);
	address_fresh(transport, &address);
	check_call(demi_bind(qd, &address.any, address.size), 0);
	check_call(demi_listen(qd, 0), 0);
	check_call(demi_listen(qd, 8), EADDRINUSE);
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_bind(qd, &address.any, address.size), 0);
	check_call(demi_listen(qd, -1), 0);
	pair_open(&pair, transport);
	check_call(demi_listen(pair.client, 8), EISCONN);
	check_call(demi_listen(pair.server, 8), EISCONN);
	if (profile_get()->udp)
		check_call(demi_listen(socket_datagram(transport, &address), 8), EOPNOTSUPP);
}

static void errors__accept(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	struct pair pair;
	demi_qtoken_t qt;
	int qd;

	NEEDS_TCP();
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_accept(&qt, qd), EINVAL);
	address_fresh(transport, &address);
	check_call(demi_bind(qd, &address.any, address.size), 0);
	check_call(demi_accept(&qt, qd), EINVAL);
	pair_open(&pair, transport);
	check_call(demi_accept(&qt, pair.client), EINVAL);
	check_call(demi_accept(&qt, pair.server), EINVAL);
	if (profile_get()->udp)
		check_call(demi_accept(&qt, socket_datagram(transport, &address)), EOPNOTSUPP);
	if (profile_get()->queues)
		check_call(demi_accept(&qt, queue_open()), EOPNOTSUPP);
}

static void errors__connect(void **state)
{
	TRANSPORT(transport, state);
	const struct transport *strange = transport->family == AF_INET ? &transport_ipv6
								       : &transport_ipv4;
	struct address address, other;
	demi_qtoken_t qt, connecting;
	struct pair pair;
	int qd, error;

	NEEDS_TCP();
	pair_open(&pair, transport);
	address = pair.address;
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_connect(&qt, qd, &address.any, 0), EINVAL);
	check_call(demi_connect(&qt, qd, &address.any, address.size - 1), EINVAL);
	check_call(demi_connect(&qt, qd, &address.any, (socklen_t)-1), EINVAL);
	address_wildcard(strange, &other);
	address_set_port(&other, address_port(&address));
	check_call(demi_connect(&qt, qd, &other.any, sizeof(other.in6)), EAFNOSUPPORT);
	check_call(demi_connect(&qt, pair.listener, &address.any, address.size), EOPNOTSUPP);
	check_call(demi_connect(&qt, pair.client, &address.any, address.size), EISCONN);

	check_call(demi_connect(&connecting, qd, &address.any, address.size), 0);
	/* It may already have an answer, as the peer is near. */
	error = demi_connect(&qt, qd, &address.any, address.size);
	check_either(error, EINPROGRESS, EISCONN);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	check_call(demi_connect(&qt, qd, &address.any, address.size), EISCONN);
}

static void errors__names(void **state)
{
	TRANSPORT(transport, state);
	struct address address, name;
	int qd, listener;

	NEEDS_TCP();
	listener = socket_listen(transport, &address);
	qd = socket_open(transport, SOCK_STREAM);
	name.size = sizeof(name.room);
	check_call(demi_getpeername(qd, &name.any, &name.size), ENOTCONN);
	check_call(demi_getpeername(listener, &name.any, &name.size), ENOTCONN);
	socket_name(qd, &name);
	assert_int_equal(name.any.sa_family, transport->family);
	assert_int_equal(address_port(&name), 0);
}

static void errors__shutdown(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	struct pair pair;

	NEEDS_TCP();
	check_call(demi_shutdown(socket_open(transport, SOCK_STREAM), SHUT_WR), ENOTCONN);
	pair_open(&pair, transport);
	check_call(demi_shutdown(pair.client, -1), EINVAL);
	check_call(demi_shutdown(pair.client, 3), EINVAL);
	check_call(demi_shutdown(pair.listener, SHUT_WR), ENOTCONN);
	if (profile_get()->udp) {
		check_call(demi_shutdown(socket_datagram(transport, &address), SHUT_WR),
			   EOPNOTSUPP);
	}
	if (profile_get()->queues)
		check_call(demi_shutdown(queue_open(), SHUT_WR), EOPNOTSUPP);
	await_opcode(push_pattern(pair.client, 10, 1, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 10, 1, 0);
}

static void errors__push_and_pop_unconnected(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	uint8_t byte = 1;
	demi_sgarray_t sga = sga_of(&byte, 1);
	demi_qtoken_t qt = 0;
	int qd, listener;

	NEEDS_TCP();
	qd = socket_open(transport, SOCK_STREAM);
	listener = socket_listen(transport, &address);
	check_call(demi_push(&qt, qd, &sga), ENOTCONN);
	check_call(demi_pop(&qt, qd), ENOTCONN);
	check_either(demi_push(&qt, listener, &sga), ENOTCONN, EOPNOTSUPP);
	check_either(demi_pop(&qt, listener), ENOTCONN, EOPNOTSUPP);
	if (profile_get()->udp) {
		qd = socket_datagram(transport, &address);
		check_either(demi_push(&qt, qd, &sga), ENOTCONN, EDESTADDRREQ);
	}
}

static void errors__pushto(void **state)
{
	TRANSPORT(transport, state);
	const struct transport *strange = transport->family == AF_INET ? &transport_ipv6
								       : &transport_ipv4;
	struct address address, other;
	uint8_t byte = 1;
	demi_sgarray_t sga = sga_of(&byte, 1), empties = sga;
	demi_qtoken_t qt = 0;
	struct pair pair;
	int qd;

	NEEDS_UDP();
	qd = socket_datagram(transport, &address);
	check_call(demi_pushto(&qt, qd, &sga, &address.any, 0), EINVAL);
	check_call(demi_pushto(&qt, qd, &sga, &address.any, address.size - 1), EINVAL);
	check_call(demi_pushto(&qt, qd, &sga, &address.any, (socklen_t)-1), EINVAL);
	address_wildcard(strange, &other);
	check_call(demi_pushto(&qt, qd, &sga, &other.any, sizeof(other.in6)), EAFNOSUPPORT);
	/* A datagram may be empty, a segment beside others may not. */
	empties.sga_numsegs = 2;
	empties.sga_segs[1] = (demi_sgaseg_t){&byte, 0};
	check_call(demi_pushto(&qt, qd, &empties, &address.any, address.size), EINVAL);
	empties.sga_numsegs = 0;
	check_call(demi_pushto(&qt, qd, &empties, &address.any, address.size), EINVAL);
	check_pending(pop(qd));
	NEEDS_TCP();
	pair_open(&pair, transport);
	check_call(demi_pushto(&qt, pair.client, &sga, &pair.address.any, pair.address.size),
		   EOPNOTSUPP);
}

/* ---- Arrays ---- */

/* Every array that is wrong, pushed to @qd, which must stay as it is. */
static void bad_arrays_are_refused(int qd)
{
	uint8_t foreign[100] = {0};
	demi_sgarray_t sga;
	demi_qtoken_t qt;
	uint8_t *start;

	sga = sga_of(foreign, sizeof(foreign));
	sga.sga_numsegs = 0;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_numsegs = DEMI_SGARRAY_MAXSIZE + 1;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_numsegs = UINT32_MAX;
	check_call(demi_push(&qt, qd, &sga), EINVAL);

	sga = sga_of(foreign, 10);
	sga.sga_numsegs = 2;
	sga.sga_segs[1] = (demi_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = 0};
	check_call(demi_push(&qt, qd, &sga), EINVAL);

	sga = sga_of(NULL, 10);
	check_call(demi_push(&qt, qd, &sga), EFAULT);
	sga = sga_of(foreign, 10);
	sga.sga_numsegs = 3;
	sga.sga_segs[1] = (demi_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = 10};
	sga.sga_segs[2] = (demi_sgaseg_t){.sgaseg_buf = NULL, .sgaseg_len = 10};
	check_call(demi_push(&qt, qd, &sga), EFAULT);

	sga = sga_of(foreign, 10);
	sga.sga_buf = foreign;
	check_call(demi_push(&qt, qd, &sga), EFAULT);

	/* Out of the buffer: at its end, before its start, around the end of the address space. */
	sga = sga_pattern(1000, 1, 0);
	start = sga.sga_segs[0].sgaseg_buf;
	sga.sga_segs[0].sgaseg_len = 1000000;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_len = UINT32_MAX;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_buf = start + 900;
	sga.sga_segs[0].sgaseg_len = 5000;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_buf = start - 5000;
	sga.sga_segs[0].sgaseg_len = 10;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_buf = (void *)UINTPTR_MAX;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_buf = foreign;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_segs[0].sgaseg_buf = start;
	check_call(demi_sgafree(&sga), 0);
}

/* But by datagram sockets, whose messages may be empty. */
static void empty_array_is_refused(int qd)
{
	uint8_t foreign = 0;
	demi_sgarray_t sga = sga_of(&foreign, 0);
	demi_qtoken_t qt;

	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga = sga_pattern(10, 1, 0);
	sga.sga_segs[0].sgaseg_len = 0;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	check_call(demi_sgafree(&sga), 0);
}

static void errors__arrays_pushed_to_a_stream(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	NEEDS_TCP();
	pair_open(&pair, transport);
	bad_arrays_are_refused(pair.client);
	empty_array_is_refused(pair.client);
	await_opcode(push_pattern(pair.client, 10, 3, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 10, 3, 0);
	check_pending(pop(pair.server));
}

static void errors__arrays_pushed_to_a_datagram_socket(void **state)
{
	TRANSPORT(transport, state);
	struct address here;
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd;

	NEEDS_UDP();
	qd = socket_datagram(transport, &here);
	/* To itself. */
	check_call(demi_connect(&qt, qd, &here.any, here.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	bad_arrays_are_refused(qd);
	await_opcode(push_pattern(qd, 10, 4, 0), DEMI_OPC_PUSH);
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 4, 0), 10);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void errors__arrays_pushed_to_a_queue(void **state)
{
	int qd;

	(void)state;
	NEEDS_QUEUES();
	qd = queue_open();
	bad_arrays_are_refused(qd);
	empty_array_is_refused(qd);
	check_pending(pop(qd));
}

static void errors__sgaalloc(void **state)
{
	static const size_t sizes[] = {0, SIZE_MAX, SIZE_MAX - 4096, (size_t)UINT32_MAX + 1};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		demi_sgarray_t sga = demi_sgaalloc(sizes[i]);

		assert_null(sga.sga_buf);
		assert_int_equal(sga.sga_numsegs, 0);
		check_call(demi_sgafree(&sga), EINVAL);
	}
}

static void errors__sgafree(void **state)
{
	uint8_t foreign[64];
	demi_sgarray_t sga, copy, kept;

	(void)state;
	check_call(demi_sgafree(null()), EFAULT);
	sga = sga_of(foreign, sizeof(foreign));
	check_call(demi_sgafree(&sga), EINVAL);
	sga.sga_buf = foreign;
	check_call(demi_sgafree(&sga), EFAULT);
	sga = sga_of(foreign, sizeof(foreign));
	sga.sga_buf = malloc(100);
	assert_non_null(sga.sga_buf);
	check_call(demi_sgafree(&sga), EFAULT);
	free(sga.sga_buf);
	sga.sga_buf = (void *)16;
	check_call(demi_sgafree(&sga), EFAULT);

	/* A neighbour keeps the page in use. */
	kept = sga_pattern(100, 1, 0);
	sga = sga_pattern(100, 2, 0);
	copy = sga;
	check_call(demi_sgafree(&sga), 0);
	assert_null(sga.sga_buf);
	assert_int_equal(sga.sga_numsegs, 0);
	check_call(demi_sgafree(&sga), EINVAL);
	check_call(demi_sgafree(&copy), EINVAL);
	sga_check(&kept, 1, 0);
	check_call(demi_sgafree(&kept), 0);
}

static void errors__sgafree_looks_at_the_buffer_only(void **state)
{
	demi_sgarray_t sga;

	(void)state;
	/* The segment may have been moved, shrunk or overwritten since. */
	for (int i = 0; i < 100; i++) {
		sga = sga_pattern(2000, 1, 0);
		sga.sga_segs[0].sgaseg_buf = (uint8_t *)sga.sga_segs[0].sgaseg_buf + 700;
		sga.sga_segs[0].sgaseg_len = 1;
		check_call(demi_sgafree(&sga), 0);
		sga = sga_pattern(2000, 1, 0);
		sga.sga_segs[0].sgaseg_len = 0;
		check_call(demi_sgafree(&sga), 0);
	}
}

static void errors__sgaaddr(void **state)
{
	struct sockaddr_in6 address;
	socklen_t size = sizeof(address);
	demi_sgarray_t sga = sga_pattern(10, 1, 0), null_array;

	(void)state;
	check_call(demi_sgaaddr(&sga, (struct sockaddr *)&address, &size), EINVAL);
	check_call(demi_sgafree(&sga), 0);
	memset(&null_array, 0, sizeof(null_array));
	size = sizeof(address);
	check_call(demi_sgaaddr(&null_array, (struct sockaddr *)&address, &size), EINVAL);
}

/* ---- Tokens ---- */

static void token_is_unknown(demi_qtoken_t qt)
{
	demi_qresult_t qr;

	check_call(demi_wait(&qr, qt, &wait_none), EINVAL);
	check_call(demi_wait(&qr, qt, &wait_long), EINVAL);
	check_call(demi_wait(&qr, qt, NULL), EINVAL);
	check_call(demi_wait_any(&qr, NULL, &qt, 1, &wait_none), EINVAL);
	check_call(demi_wait_any(&qr, NULL, &qt, 1, NULL), EINVAL);
	check_call(demi_wait_all(&qr, &qt, 1, &wait_none), EINVAL);
	check_call(demi_wait_all(&qr, &qt, 1, NULL), EINVAL);
	check_call(demi_cancel(qt), EINVAL);
}

static void errors__unknown_tokens_are_einval(void **state)
{
	demi_qtoken_t used, pending;
	int qd;

	(void)state;
	NEEDS_QUEUES();
	/* First without any operation in the table, then with some. */
	for (int round = 0; round < 2; round++) {
		token_is_unknown(0);
		token_is_unknown(1);
		token_is_unknown(UINT64_MAX);
		token_is_unknown((demi_qtoken_t)1 << 32);
		token_is_unknown((demi_qtoken_t)1 << 63);
		token_is_unknown(UINT32_MAX);
		qd = queue_open();
		used = push_pattern(qd, 10, 1, 0);
		await_opcode(used, DEMI_OPC_PUSH);
		token_is_unknown(used);
	}
	qd = queue_open();
	pending = pop(qd);
	for (int bit = 0; bit < 64; bit++) {
		demi_qtoken_t forged = pending ^ ((demi_qtoken_t)1 << bit);

		token_is_unknown(forged);
	}
	/* The same slot, one operation later. */
	await_opcode(push_pattern(qd, 10, 1, 0), DEMI_OPC_PUSH);
	used = pending;
	{
		demi_qresult_t qr = await_opcode(used, DEMI_OPC_POP);

		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	pending = pop(qd);
	token_is_unknown(used);
	check_pending(pending);
}

static void errors__unknown_token_in_wait_all_uses_nothing_up(void **state)
{
	demi_qtoken_t qts[3] = {0, UINT64_MAX, 0};
	demi_qresult_t qrs[3];
	int qd;

	(void)state;
	NEEDS_QUEUES();
	qd = queue_open();
	qts[0] = pop(qd);
	qts[2] = pop(qd);
	await_opcode(push_pattern(qd, 10, 5, 0), DEMI_OPC_PUSH);
	check_call(demi_wait_all(qrs, qts, 3, &wait_long), EINVAL);
	qrs[0] = await_opcode(qts[0], DEMI_OPC_POP);
	assert_int_equal(sga_check(&qrs[0].qr_value.sga, 5, 0), 10);
	check_call(demi_sgafree(&qrs[0].qr_value.sga), 0);
	check_pending(qts[2]);
}

/* ---- Options ---- */

static void errors__socket_options(void **state)
{
	TRANSPORT(transport, state);
	struct linger linger = {.l_onoff = 1, .l_linger = 1};
	int qd, value = 1;
	socklen_t size = sizeof(value);

	NEEDS_TCP();
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_setsockopt(qd, 12345, SO_KEEPALIVE, &value, size), ENOTSUP);
	check_call(demi_getsockopt(qd, 12345, SO_KEEPALIVE, &value, &size), ENOTSUP);
	check_call(demi_setsockopt(qd, -1, SO_KEEPALIVE, &value, size), ENOTSUP);
	check_call(demi_setsockopt(qd, SOL_SOCKET, 12345, &value, size), ENOPROTOOPT);
	check_call(demi_getsockopt(qd, SOL_SOCKET, 12345, &value, &size), ENOPROTOOPT);
	check_call(demi_setsockopt(qd, IPPROTO_TCP, 12345, &value, size), ENOPROTOOPT);
	check_call(demi_getsockopt(qd, IPPROTO_TCP, 12345, &value, &size), ENOPROTOOPT);

	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, 0), EINVAL);
	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, 1), EINVAL);
	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger) - 1), EINVAL);
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &value, 2), EINVAL);
	value = 0;
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_KEEPIDLE, &value, size), EINVAL);
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_KEEPINTVL, &value, size), EINVAL);
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_KEEPCNT, &value, size), EINVAL);
	value = -1;
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_KEEPIDLE, &value, size), EINVAL);
	check_call(demi_setsockopt(qd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, size), EINVAL);

	value = 1;
	check_fails(demi_setsockopt(qd, SOL_SOCKET, SO_TYPE, &value, size));
	check_fails(demi_setsockopt(qd, SOL_SOCKET, SO_DOMAIN, &value, size));
	check_fails(demi_setsockopt(qd, SOL_SOCKET, SO_ERROR, &value, size));
	check_fails(demi_setsockopt(qd, SOL_SOCKET, SO_ACCEPTCONN, &value, size));
	check_fails(demi_setsockopt(qd, IPPROTO_TCP, TCP_INFO, &value, size));
	size = (socklen_t)-1;
	check_call(demi_getsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), EINVAL);
}

/* ---- The heap, where C says so ---- */

static void errors__heap(void **state)
{
	uint8_t *object;

	(void)state;
	demi_free(NULL);
	assert_null(demi_malloc(SIZE_MAX));
	assert_null(demi_malloc(SIZE_MAX - 64));
	assert_null(demi_calloc(SIZE_MAX, 2));
	assert_null(demi_calloc(SIZE_MAX / 2 + 2, 2));
	assert_null(demi_memalign(3, 10));
	assert_null(demi_memalign(0, 10));
	assert_null(demi_memalign(4u << 20, 10));
	assert_null(demi_memalign(64, SIZE_MAX - 10));
	for (size_t alignment = 1; alignment <= 2u << 20; alignment *= 2) {
		for (size_t size = 1; size <= 100000; size = size * 3 + 1) {
			object = demi_memalign(alignment, size);
			assert_non_null(object);
			assert_int_equal((uintptr_t)object % alignment, 0);
			memset(object, 0xee, size);
			demi_free(object);
		}
	}
	object = demi_calloc(100, 10);
	assert_non_null(object);
	assert_int_equal((uintptr_t)object % 16, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(object[i], 0);
	pattern_fill(object, 1000, 6, 0);
	assert_null(demi_realloc(object, SIZE_MAX - 64));
	pattern_check(object, 1000, 6, 0);
	object = demi_realloc(object, 500000);
	assert_non_null(object);
	pattern_check(object, 1000, 6, 0);
	object = demi_realloc(object, 100);
	assert_non_null(object);
	pattern_check(object, 100, 6, 0);
	demi_free(object);
}

/* ---- Drives ---- */

static void tell_nothing(const char *name, const char *value, void *context)
{
	(void)context;
	fail_msg("it tells of %s: %s", name, value);
}

static void body_health_of_no_drive(void *argument)
{
	(void)argument;
	check_call(demi_drive_health("sim:64M", tell_nothing, NULL), EOPNOTSUPP);
}

/* Beside a runtime and without one. How a drive is, only a machine that has one can ask. */
static void errors__drive_health(void **state)
{
	static const struct {
		const char *device;
		int error;
	} cases[] = {
		{"", EINVAL},          {"nosuch:thing", ENOTSUP},     {"nvme:", EINVAL},
		{"nvme:05.0", EINVAL}, {"nvme:0000:ff:1f.7", ENODEV},
	};
	demi_health_fn_t volatile nobody = NULL;
	struct child child;

	(void)state;
	check_call(demi_drive_health(null(), tell_nothing, NULL), EFAULT);
	check_call(demi_drive_health("sim:64M", nobody, NULL), EFAULT);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_call(demi_drive_health(cases[i].device, tell_nothing, NULL), cases[i].error);
	demi_fini();
	child_run(&child, body_health_of_no_drive, NULL);
	child_check_exit(&child);
	child_check_says(&child, "only NVMe drives tell of their health");
}

#define OVER_BOTH(function) TEST_OVER(ipv4, function), TEST_OVER(ipv6, function)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OVER(ipv4, errors__null_arguments),
		TEST_OVER(ipv4, errors__descriptors_that_are_none_are_ebadf),
		TEST_OVER(ipv4, errors__closed_descriptor_is_ebadf),
		TEST_OVER(ipv4, errors__misaligned_pointers_do_not_crash),
		OVER_BOTH(errors__socket_of_a_wrong_kind_is_enotsup),
		OVER_BOTH(errors__bind_tcp),
		OVER_BOTH(errors__bind_udp),
		OVER_BOTH(errors__listen),
		OVER_BOTH(errors__accept),
		OVER_BOTH(errors__connect),
		OVER_BOTH(errors__names),
		OVER_BOTH(errors__shutdown),
		OVER_BOTH(errors__push_and_pop_unconnected),
		OVER_BOTH(errors__pushto),
		OVER_BOTH(errors__arrays_pushed_to_a_stream),
		OVER_BOTH(errors__arrays_pushed_to_a_datagram_socket),
		TEST(errors__arrays_pushed_to_a_queue),
		TEST(errors__sgaalloc),
		TEST(errors__sgafree),
		TEST(errors__sgafree_looks_at_the_buffer_only),
		TEST(errors__sgaaddr),
		TEST(errors__unknown_tokens_are_einval),
		TEST(errors__unknown_token_in_wait_all_uses_nothing_up),
		OVER_BOTH(errors__socket_options),
		TEST(errors__heap),
		TEST(errors__drive_health),
	};

	return suite_main("errors", true, "errors", tests, COUNT_OF(tests));
}
