/* SPDX-License-Identifier: MIT */
/* Datagrams over IPv4 and IPv6. */
#include <time.h> /* before linux/errqueue.h, which needs it */

#include <linux/errqueue.h>

#include "common.h"

/* The most that an IPv4 datagram carries; also served over IPv6. */
#define DATAGRAM_MAX 65507UL

#define pushto(qd, sga, address) pushto_at((qd), (sga), (address), __FILE__, __LINE__)
static demi_qtoken_t pushto_at(int qd, const demi_sgarray_t *sga, const struct address *to,
			       const char *file, int line)
{
	demi_qtoken_t qt = 0;

	check_call_at(demi_pushto(&qt, qd, sga, &to->any, to->size), 0, "demi_pushto", file, line);
	return qt;
}

#define send_pattern(qd, size, seed, address) \
	send_pattern_at((qd), (size), (seed), (address), __FILE__, __LINE__)
static void send_pattern_at(int qd, size_t size, unsigned int seed, const struct address *to,
			    const char *file, int line)
{
	demi_sgarray_t sga = sga_pattern(size, seed, 0);
	demi_qtoken_t qt = pushto_at(qd, &sga, to, file, line);

	check_call_at(demi_sgafree(&sga), 0, "demi_sgafree", file, line);
	await_opcode_at(qt, DEMI_OPC_PUSH, file, line);
}

#define source_check(sga, address) source_check_at((sga), (address), __FILE__, __LINE__)
static void source_check_at(const demi_sgarray_t *sga, const struct address *expected,
			    const char *file, int line)
{
	struct address source;
	struct sockaddr_in reported = sga->sga_addr;

	memset(&source, 0, sizeof(source));
	source.size = sizeof(source.room);
	check_call_at(demi_sgaaddr(sga, &source.any, &source.size), 0, "demi_sgaaddr", file, line);
	address_check_at(&source, expected, file, line);
	_assert_int_equal(reported.sin_family, expected->any.sa_family, file, line);
	if (expected->any.sa_family == AF_INET) {
		_assert_int_equal(reported.sin_port, expected->in.sin_port, file, line);
		_assert_int_equal(reported.sin_addr.s_addr, expected->in.sin_addr.s_addr, file,
				  line);
	}
}

#define receive_pattern(qd, size, seed, source) \
	receive_pattern_at((qd), (size), (seed), (source), __FILE__, __LINE__)
static void receive_pattern_at(int qd, size_t size, unsigned int seed, const struct address *source,
			       const char *file, int line)
{
	demi_qtoken_t qt = pop_at(qd, file, line);
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	_assert_int_equal(qr.qr_qd, qd, file, line);
	_assert_int_equal(sga_check_at(&qr.qr_value.sga, seed, 0, file, line), size, file, line);
	if (source)
		source_check_at(&qr.qr_value.sga, source, file, line);
	check_call_at(demi_sgafree(&qr.qr_value.sga), 0, "demi_sgafree", file, line);
}

static void udp__ping_pong(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	for (unsigned int i = 0; i < 1000; i++) {
		send_pattern(a, 64, i, &there);
		receive_pattern(b, 64, i, &here);
		send_pattern(b, 64, i + 1, &here);
		receive_pattern(a, 64, i + 1, &there);
	}
}

static void udp__datagrams_of_1_to_65507_bytes_arrive_whole(void **state)
{
	TRANSPORT(transport, state);
	static const size_t sizes[] = {1,    2,    511,  512,  1472, 1473,  1500,
				       2048, 4096, 8192, 8193, 9000, 32768, DATAGRAM_MAX};
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	for (unsigned int i = 0; i < COUNT_OF(sizes); i++) {
		send_pattern(a, sizes[i], i, &there);
		receive_pattern(b, sizes[i], i, &here);
	}
}

static void udp__too_large_is_emsgsize(void **state)
{
	TRANSPORT(transport, state);
	/* IPv6 has no header inside its length. */
	size_t size = transport->family == AF_INET ? DATAGRAM_MAX + 1 : 65528;
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_sgarray_t sga = sga_pattern(size, 1, 0);
	demi_qtoken_t qt = 0;

	check_call(outcome(demi_pushto(&qt, a, &sga, &there.any, there.size), qt), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
	sga = sga_pattern(MIB, 1, 0);
	check_call(outcome(demi_pushto(&qt, a, &sga, &there.any, there.size), qt), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
	send_pattern(a, 100, 2, &there);
	receive_pattern(b, 100, 2, &here);
}

static void udp__boundaries_are_kept(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	for (unsigned int i = 1; i <= 50; i++)
		send_pattern(a, i * 7, i, &there);
	for (unsigned int i = 1; i <= 50; i++)
		receive_pattern(b, i * 7, i, &here);
	check_pending(pop(b));
}

static void udp__segments_make_one_datagram(void **state)
{
	TRANSPORT(transport, state);
	static uint8_t bytes[DEMI_SGARRAY_MAXSIZE * 300];
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	pattern_fill(bytes, sizeof(bytes), 3, 0);
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++) {
		demi_sgarray_t sga = {.sga_numsegs = count};

		for (uint32_t i = 0; i < count; i++) {
			sga.sga_segs[i].sgaseg_buf = bytes + i * 300;
			sga.sga_segs[i].sgaseg_len = 300;
		}
		await_opcode(pushto(a, &sga, &there), DEMI_OPC_PUSH);
		receive_pattern(b, count * 300, 3, &here);
	}
}

static void udp__segment_moved_and_shrunk_inside_its_buffer(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_sgarray_t sga = demi_sgaalloc(4096);
	demi_qtoken_t qt;

	assert_non_null(sga.sga_buf);
	pattern_fill((uint8_t *)sga.sga_segs[0].sgaseg_buf + 42, 1000, 4, 0);
	sga.sga_segs[0].sgaseg_buf = (uint8_t *)sga.sga_segs[0].sgaseg_buf + 42;
	sga.sga_segs[0].sgaseg_len = 1000;
	qt = pushto(a, &sga, &there);
	check_call(demi_sgafree(&sga), 0);
	receive_pattern(b, 1000, 4, &here);
	await_opcode(qt, DEMI_OPC_PUSH);
}

static void udp__pops_take_datagrams_in_the_order_of_issue(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 16 };
	demi_qtoken_t pops[COUNT];
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	for (int i = 0; i < COUNT; i++)
		pops[i] = pop(b);
	check_pending(pops[0]);
	for (unsigned int i = 0; i < COUNT; i++)
		send_pattern(a, 100 + i, i, &there);
	for (unsigned int i = 0; i < COUNT; i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, pops + i, (int)(COUNT - i), &wait_long), 0);
		assert_int_equal(offset, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, i, 0), 100 + i);
		source_check(&qr.qr_value.sga, &here);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
}

static void udp__popped_array_can_be_pushed_back(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);

	for (unsigned int i = 0; i < 100; i++) {
		struct address source = {.size = sizeof(source.room)};
		demi_qtoken_t qt;
		demi_qresult_t qr;

		send_pattern(a, 1000, i, &there);
		qr = await_opcode(pop(b), DEMI_OPC_POP);
		check_call(demi_sgaaddr(&qr.qr_value.sga, &source.any, &source.size), 0);
		qt = pushto(b, &qr.qr_value.sga, &source);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await_opcode(qt, DEMI_OPC_PUSH);
		receive_pattern(a, 1000, i, &there);
	}
}

static uint32_t burst_length(unsigned int i)
{
	return i % 7 == 6 ? 3000 : 1 + 37 * i;
}

/* Many that are there at once, with a pop for each, and answers before anything is waited for. */
static void udp__burst_is_echoed_in_order(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_qtoken_t pops[20], pushes[COUNT_OF(pops)];

	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		send_pattern(a, burst_length(i), i, &there);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(b);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		assert_int_equal(sga_check(&qr.qr_value.sga, i, 0), burst_length(i));
		pushes[i] = pushto(b, &qr.qr_value.sga, &here);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		receive_pattern(a, burst_length(i), i, &there);
}

/* Lengths that a libOS might send as one, and those that must end such a run or be none of it. */
static const uint32_t run_lengths[] = {100,  100, 100,  60,   100, 100, 3,    3,    100, 1232, 1232,
				       1232, 5,   2000, 2000, 1,   1,   1400, 1400, 7,   7};

/* Datagrams to two places by turns, of one length or another: each arrives as it was. */
static void udp__runs_of_one_length_stay_apart(void **state)
{
	TRANSPORT(transport, state);
	struct address here[2], there;
	int a[] = {socket_datagram(transport, &here[0]), socket_datagram(transport, &here[1])};
	int b = socket_datagram(transport, &there);
	demi_qtoken_t pops[COUNT_OF(run_lengths)], pushes[COUNT_OF(run_lengths)];

	/* From one place: what comes from two may be in any order. */
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		send_pattern(a[0], run_lengths[i], i, &there);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(b);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		assert_int_equal(sga_check(&qr.qr_value.sga, i, 0), run_lengths[i]);
		pushes[i] = pushto(b, &qr.qr_value.sga, &here[i / 5 % 2]);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		receive_pattern(a[i / 5 % 2], run_lengths[i], i, &there);
}

static void udp__push_from_an_unbound_socket(void **state)
{
	TRANSPORT(transport, state);
	struct address there, chosen, source;
	int a = socket_open(transport, SOCK_DGRAM), b = socket_datagram(transport, &there);
	demi_qresult_t qr;

	send_pattern(a, 10, 5, &there);
	socket_name(a, &chosen);
	assert_int_not_equal(address_port(&chosen), 0);
	qr = await_opcode(pop(b), DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 5, 0), 10);
	source.size = sizeof(source.room);
	check_call(demi_sgaaddr(&qr.qr_value.sga, &source.any, &source.size), 0);
	assert_int_equal(address_port(&source), address_port(&chosen));
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	send_pattern(b, 20, 6, &source);
	receive_pattern(a, 20, 6, &there);
}

static void udp__wildcard_is_served(void **state)
{
	TRANSPORT(transport, state);
	struct address here, wildcard, there;
	int a = socket_datagram(transport, &here), b = socket_open(transport, SOCK_DGRAM);

	address_wildcard(transport, &wildcard);
	check_call(demi_bind(b, &wildcard.any, wildcard.size), 0);
	socket_name(b, &wildcard);
	assert_int_not_equal(address_port(&wildcard), 0);
	address_fresh(transport, &there);
	address_set_port(&there, address_port(&wildcard));
	send_pattern(a, 10, 7, &there);
	receive_pattern(b, 10, 7, &here);
	send_pattern(b, 10, 8, &here);
	receive_pattern(a, 10, 8, &there);
}

static void connect_datagram(int qd, const struct address *to)
{
	demi_qtoken_t qt = 0;
	demi_qresult_t qr;

	check_call(demi_connect(&qt, qd, &to->any, to->size), 0);
	qr = await_opcode(qt, DEMI_OPC_CONNECT);
	assert_int_equal(qr.qr_qd, qd);
}

static void udp__connected_socket_pushes_to_its_peer_and_hears_only_it(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there, stranger, name;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	int c = socket_datagram(transport, &stranger);
	demi_qtoken_t popping;
	demi_qresult_t qr;

	name.size = sizeof(name.room);
	check_call(demi_getpeername(a, &name.any, &name.size), ENOTCONN);
	connect_datagram(a, &there);
	name.size = sizeof(name.room);
	check_call(demi_getpeername(a, &name.any, &name.size), 0);
	address_check(&name, &there);
	await_opcode(push_pattern(a, 500, 9, 0), DEMI_OPC_PUSH);
	receive_pattern(b, 500, 9, &here);

	popping = pop(a);
	send_pattern(c, 50, 10, &here);
	check_pending(popping);
	send_pattern(b, 60, 11, &here);
	qr = await_opcode(popping, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 11, 0), 60);
	source_check(&qr.qr_value.sga, &there);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void udp__connect_again_changes_the_peer(void **state)
{
	TRANSPORT(transport, state);
	struct address here, first, second;
	int a = socket_datagram(transport, &here);
	int b = socket_datagram(transport, &first), c = socket_datagram(transport, &second);

	connect_datagram(a, &first);
	await_opcode(push_pattern(a, 10, 12, 0), DEMI_OPC_PUSH);
	receive_pattern(b, 10, 12, &here);
	connect_datagram(a, &second);
	await_opcode(push_pattern(a, 10, 13, 0), DEMI_OPC_PUSH);
	receive_pattern(c, 10, 13, &here);
	check_pending(pop(b));
}

static void udp__connected_and_never_bound(void **state)
{
	TRANSPORT(transport, state);
	struct address there, chosen;
	int a = socket_open(transport, SOCK_DGRAM), b = socket_datagram(transport, &there);

	connect_datagram(a, &there);
	socket_name(a, &chosen);
	assert_int_not_equal(address_port(&chosen), 0);
	await_opcode(push_pattern(a, 10, 14, 0), DEMI_OPC_PUSH);
	receive_pattern(b, 10, 14, &chosen);
	send_pattern(b, 10, 15, &chosen);
	receive_pattern(a, 10, 15, &there);
}

static void udp__refusal_does_not_wedge_a_connected_socket(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there, name;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	int64_t end = now_ms() + 10000;
	demi_qtoken_t qt = 0;
	bool heard = false;
	uint8_t expected;

	pattern_fill(&expected, 1, 77, 0);
	connect_datagram(a, &there);
	check_call(demi_close(b), 0);
	for (unsigned int i = 0; i < 5; i++) {
		demi_sgarray_t sga = sga_pattern(10, i, 0);
		int error = outcome(demi_push(&qt, a, &sga), qt);

		check_either(error, 0, ECONNREFUSED);
		check_call(demi_sgafree(&sga), 0);
		drive();
	}

	/* The port answers again, and so must the socket. */
	b = socket_open(transport, SOCK_DGRAM);
	check_call(demi_bind(b, &there.any, there.size), 0);
	socket_name(b, &name);
	while (!heard && now_ms() < end) {
		struct timespec moment = milliseconds(100);
		demi_sgarray_t sga = sga_pattern(10, 77, 0);
		demi_qresult_t qr;
		int error;

		check_either(outcome(demi_push(&qt, a, &sga), qt), 0, ECONNREFUSED);
		check_call(demi_sgafree(&sga), 0);
		qt = pop(b);
		error = demi_wait(&qr, qt, &moment);
		if (error == ETIMEDOUT) {
			check_call(demi_cancel(qt), 0);
			await_error(qt, ECANCELED);
			continue;
		}
		check_call(error, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		/* One from before may have been on its way when the port came back. */
		heard = memcmp(qr.qr_value.sga.sga_segs[0].sgaseg_buf, &expected, 1) == 0;
		assert_int_equal(sga_bytes(&qr.qr_value.sga), 10);
		if (heard)
			sga_check(&qr.qr_value.sga, 77, 0);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	assert_true(heard);

	/* Pops may report the refusals first. */
	heard = false;
	send_pattern(b, 30, 78, &here);
	while (!heard && now_ms() < end) {
		demi_qresult_t qr = await(pop(a));

		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			assert_int_equal(qr.qr_ret, ECONNREFUSED);
			continue;
		}
		assert_int_equal(sga_check(&qr.qr_value.sga, 78, 0), 30);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		heard = true;
	}
	assert_true(heard);
}

static void udp__refusal_does_not_reach_an_unconnected_socket(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there, gone;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	int c = socket_datagram(transport, &gone);
	demi_qtoken_t popping = pop(a);
	demi_qresult_t qr;

	check_call(demi_close(c), 0);
	for (unsigned int i = 0; i < 5; i++)
		send_pattern(a, 10, i, &gone);
	check_pending(popping);
	send_pattern(b, 40, 16, &here);
	qr = await_opcode(popping, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 16, 0), 40);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static int ask_for_errors(const struct transport *transport, int qd)
{
	int on = 1;

	return transport->family == AF_INET
		       ? demi_setsockopt(qd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on))
		       : demi_setsockopt(qd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

/* Of a datagram to @gone; it goes to the pop that waits. */
static void check_report(demi_qtoken_t popping, const struct transport *transport,
			 const struct address *gone)
{
	bool is_v4 = transport->family == AF_INET;
	demi_qresult_t qr = await(popping);
	struct sock_extended_err report;

	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	assert_int_equal(qr.qr_ret, ECONNREFUSED);
	assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
	assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizeof(report));
	memcpy(&report, qr.qr_value.sga.sga_segs[0].sgaseg_buf, sizeof(report));
	assert_int_equal(report.ee_errno, ECONNREFUSED);
	assert_int_equal(report.ee_origin, is_v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6);
	assert_int_equal(report.ee_type, is_v4 ? 3 : 1);
	assert_int_equal(report.ee_code, is_v4 ? 3 : 4);
	source_check(&qr.qr_value.sga, gone);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void udp__refusal_is_reported_to_who_asks(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there, gone;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	int c = socket_datagram(transport, &gone);
	int error = ask_for_errors(transport, a);

	skip_unless(error != ENOTSUP && error != ENOPROTOOPT && error != EOPNOTSUPP,
		    "this libOS knows no ICMP");
	check_call(error, 0);
	check_call(demi_close(c), 0);
	for (unsigned int i = 0; i < 10; i++) {
		demi_qtoken_t popping = pop(a);

		send_pattern(a, 10, i, &gone);
		check_report(popping, transport, &gone);
		/* It fails nothing else. */
		send_pattern(a, 20, i, &gone);
		send_pattern(a, 30, i, &there);
		receive_pattern(b, 30, i, &here);
		check_report(pop(a), transport, &gone);
		send_pattern(b, 40, i, &here);
		receive_pattern(a, 40, i, &there);
	}
}

/* Those behind the first are sent together, where a libOS does so. */
static void udp__refusal_among_datagrams_of_one_moment_is_reported(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there, gone;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	int c = socket_datagram(transport, &gone);
	int error = ask_for_errors(transport, a);
	const struct address *to[] = {&there, &gone, &there};

	skip_unless(error != ENOTSUP && error != ENOPROTOOPT && error != EOPNOTSUPP,
		    "this libOS knows no ICMP");
	check_call(error, 0);
	check_call(demi_close(c), 0);
	for (unsigned int i = 0; i < 10; i++) {
		demi_qtoken_t popping = pop(a), pushing[3];

		for (size_t j = 0; j < 3; j++) {
			demi_sgarray_t sga = sga_pattern(10, (unsigned int)j, 0);

			pushing[j] = pushto(a, &sga, to[j]);
			check_call(demi_sgafree(&sga), 0);
		}
		for (size_t j = 0; j < 3; j++)
			await_opcode(pushing[j], DEMI_OPC_PUSH);
		receive_pattern(b, 10, 0, &here);
		receive_pattern(b, 10, 2, &here);
		check_report(popping, transport, &gone);
	}
}

static void udp__overload_loses_datagrams_and_nothing_else(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 2000 };
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	unsigned int next = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		demi_sgarray_t sga = sga_pattern(1024, 0, 0);
		demi_qtoken_t qt;

		memcpy(sga.sga_segs[0].sgaseg_buf, &i, sizeof(i));
		qt = pushto(a, &sga, &there);
		check_call(demi_sgafree(&sga), 0);
		await_opcode(qt, DEMI_OPC_PUSH);
	}
	for (bool drained = false; !drained;) {
		struct timespec moment = milliseconds(200);
		demi_qtoken_t popping = pop(b);
		demi_qresult_t qr;
		uint32_t number;
		int error = demi_wait(&qr, popping, &moment);

		if (error == ETIMEDOUT) {
			/* Empty: what comes now arrives, at the pop that waits. */
			drained = true;
			send_pattern(a, 10, 99, &there);
			qr = await_opcode(popping, DEMI_OPC_POP);
			assert_int_equal(sga_check(&qr.qr_value.sga, 99, 0), 10);
		} else {
			check_call(error, 0);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			assert_int_equal(sga_bytes(&qr.qr_value.sga), 1024);
			memcpy(&number, qr.qr_value.sga.sga_segs[0].sgaseg_buf, sizeof(number));
			assert_in_range(number, next, COUNT - 1);
			next = number + 1;
		}
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	assert_true(next > 0);
}

static void udp__close_cancels_pending_pops(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pops[4];
	struct address here;
	demi_qresult_t qr;
	int a = socket_datagram(transport, &here);

	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(a);
	check_pending(pops[0]);
	check_call(demi_close(a), 0);
	for (size_t i = 0; i < COUNT_OF(pops); i++) {
		await_error(pops[i], ECANCELED);
		check_call(demi_wait(&qr, pops[i], &wait_none), EINVAL);
	}
}

static void udp__aclose_completes(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_sgarray_t sga = sga_pattern(100, 17, 0);
	demi_qtoken_t pushing, popping, closing;

	popping = pop(a);
	pushing = pushto(a, &sga, &there);
	check_call(demi_sgafree(&sga), 0);
	check_call(demi_aclose(&closing, a), 0);
	await_error(popping, ECANCELED);
	await_opcode(closing, DEMI_OPC_CLOSE);
	await_opcode(pushing, DEMI_OPC_PUSH);
	receive_pattern(b, 100, 17, &here);
	check_call(demi_close(a), EBADF);
}

static void udp__cancelled_pop_leaves_the_datagram_to_the_next(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t first, second;
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_qresult_t qr;

	first = pop(b);
	second = pop(b);
	check_pending(first);
	check_call(demi_cancel(first), 0);
	send_pattern(a, 100, 18, &there);
	await_error(first, ECANCELED);
	qr = await_opcode(second, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 18, 0), 100);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void udp__source_is_cut_to_the_room_there_is(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	uint8_t room[sizeof(struct sockaddr_storage)];
	socklen_t size = 4;
	demi_qresult_t qr;

	send_pattern(a, 10, 19, &there);
	qr = await_opcode(pop(b), DEMI_OPC_POP);
	memset(room, 0xa5, sizeof(room));
	check_call(demi_sgaaddr(&qr.qr_value.sga, (struct sockaddr *)(void *)room, &size), 0);
	assert_int_equal(size, here.size);
	assert_memory_equal(room, &here.any, 4);
	for (size_t i = 4; i < sizeof(room); i++)
		assert_int_equal(room[i], 0xa5);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

/* An array of one empty segment, as a pop gives it. */
static demi_sgarray_t empty_array(void *memory)
{
	return (demi_sgarray_t){.sga_numsegs = 1, .sga_segs = {{memory, 0}}};
}

/* From here and there: memory of the heap, of the program, an array that was popped. */
static void udp__empty_datagram_arrives(void **state)
{
	TRANSPORT(transport, state);
	struct address here, there;
	int a = socket_datagram(transport, &here), b = socket_datagram(transport, &there);
	demi_sgarray_t shrunk = demi_sgaalloc(10), popped;
	uint8_t byte = 1;
	demi_sgarray_t own = empty_array(&byte);
	demi_qtoken_t qt = 0;

	shrunk.sga_segs[0].sgaseg_len = 0;
	await_opcode(pushto(a, &shrunk, &there), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&shrunk), 0);
	await_opcode(pushto(a, &own, &there), DEMI_OPC_PUSH);
	for (int i = 0; i < 2; i++) {
		popped = await_opcode(pop(b), DEMI_OPC_POP).qr_value.sga;
		source_check(&popped, &here);
		assert_int_equal(popped.sga_numsegs, 1);
		assert_int_equal(popped.sga_segs[0].sgaseg_len, 0);
		/* And back. */
		await_opcode(pushto(b, &popped, &here), DEMI_OPC_PUSH);
		check_end(&popped);
		popped = await_opcode(pop(a), DEMI_OPC_POP).qr_value.sga;
		source_check(&popped, &there);
		check_end(&popped);
	}
	/* To a connected peer; what follows is the next one. */
	connect_datagram(a, &there);
	check_call(demi_push(&qt, a, &own), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	send_pattern(a, 1, 7, &there);
	popped = await_opcode(pop(b), DEMI_OPC_POP).qr_value.sga;
	check_end(&popped);
	receive_pattern(b, 1, 7, &here);
}

static void udp__empty_datagram_reaches_a_kernel_peer(void **state)
{
	TRANSPORT(transport, state);
	skip_unless(profile_get()->kernel_peer, "no plain socket reaches this libOS");
	struct address here, peer;
	int a = socket_datagram(transport, &here);
	int fd = socket(transport->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t byte = 1;
	demi_sgarray_t own = empty_array(&byte);

	assert_true(fd >= 0);
	address_fresh(transport, &peer);
	assert_int_equal(bind(fd, &peer.any, peer.size), 0);
	assert_int_equal(getsockname(fd, &peer.any, &peer.size), 0);
	await_opcode(pushto(a, &own, &peer), DEMI_OPC_PUSH);
	send_pattern(a, 1, 7, &peer);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	close(fd);
}

static void udp__empty_datagram_of_a_kernel_peer_is_an_empty_segment(void **state)
{
	TRANSPORT(transport, state);
	skip_unless(profile_get()->kernel_peer, "no plain socket reaches this libOS");
	struct address here, peer = {.size = sizeof(peer.room)};
	int a = socket_datagram(transport, &here);
	int fd = socket(transport->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	demi_qresult_t qr;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &here.any, here.size), 0);
	assert_int_equal(getsockname(fd, &peer.any, &peer.size), 0);
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	qr = await_opcode(pop(a), DEMI_OPC_POP);
	source_check(&qr.qr_value.sga, &peer);
	check_end(&qr.qr_value.sga);
	/* It was a datagram, not an end. */
	qr = await_opcode(pop(a), DEMI_OPC_POP);
	assert_int_equal(sga_bytes(&qr.qr_value.sga), 1);
	source_check(&qr.qr_value.sga, &peer);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	close(fd);
}

static void udp__options(void **state)
{
	TRANSPORT(transport, state);
	static const int names[] = {SO_REUSEADDR, SO_REUSEPORT, SO_BROADCAST};
	int a = socket_open(transport, SOCK_DGRAM), value;
	socklen_t size;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		value = 1;
		size = sizeof(value);
		check_call(demi_setsockopt(a, SOL_SOCKET, names[i], &value, size), 0);
		value = 0;
		check_call(demi_getsockopt(a, SOL_SOCKET, names[i], &value, &size), 0);
		assert_int_equal(value, 1);
	}
	size = sizeof(value);
	check_call(demi_getsockopt(a, SOL_SOCKET, SO_TYPE, &value, &size), 0);
	assert_int_equal(value, SOCK_DGRAM);
	size = sizeof(value);
	check_call(demi_getsockopt(a, SOL_SOCKET, SO_DOMAIN, &value, &size), 0);
	assert_int_equal(value, transport->family);
}

/* clang-format off */
#define UDP_FUNCTIONS(apply)                                                                       \
	apply(udp__ping_pong)                                                                      \
	apply(udp__datagrams_of_1_to_65507_bytes_arrive_whole)                                     \
	apply(udp__too_large_is_emsgsize)                                                          \
	apply(udp__boundaries_are_kept)                                                            \
	apply(udp__segments_make_one_datagram)                                                     \
	apply(udp__segment_moved_and_shrunk_inside_its_buffer)                                     \
	apply(udp__pops_take_datagrams_in_the_order_of_issue)                                      \
	apply(udp__popped_array_can_be_pushed_back)                                                \
	apply(udp__runs_of_one_length_stay_apart)                                                  \
	apply(udp__burst_is_echoed_in_order)                                                       \
	apply(udp__push_from_an_unbound_socket)                                                    \
	apply(udp__wildcard_is_served)                                                             \
	apply(udp__connected_socket_pushes_to_its_peer_and_hears_only_it)                          \
	apply(udp__connect_again_changes_the_peer)                                                 \
	apply(udp__connected_and_never_bound)                                                      \
	apply(udp__refusal_does_not_wedge_a_connected_socket)                                      \
	apply(udp__refusal_does_not_reach_an_unconnected_socket)                                   \
	apply(udp__refusal_is_reported_to_who_asks)                                                \
	apply(udp__refusal_among_datagrams_of_one_moment_is_reported)                                                \
	apply(udp__overload_loses_datagrams_and_nothing_else)                                      \
	apply(udp__close_cancels_pending_pops)                                                     \
	apply(udp__aclose_completes)                                                               \
	apply(udp__cancelled_pop_leaves_the_datagram_to_the_next)                                  \
	apply(udp__source_is_cut_to_the_room_there_is)                                             \
	apply(udp__empty_datagram_arrives)                                                         \
	apply(udp__empty_datagram_reaches_a_kernel_peer)                                           \
	apply(udp__empty_datagram_of_a_kernel_peer_is_an_empty_segment)                            \
	apply(udp__options)
/* clang-format on */

int main(void)
{
	/* clang-format off */
	static const struct CMUnitTest tests[] = {
		UDP_FUNCTIONS(TEST_OVER_IPV4)
		UDP_FUNCTIONS(TEST_OVER_IPV6)
	};
	/* clang-format on */

	return suite_main("udp", !profile_get() || profile_get()->udp, "UDP", tests,
			  COUNT_OF(tests));
}
