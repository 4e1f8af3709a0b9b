/* SPDX-License-Identifier: MIT */
/* Sockets for echoes: requests to ourselves, whom the stack answers. */
#include "catnip.h"

#define HEADER_BYTES 8
#define SEQUENCE 0x1234

/* Long enough for what is on its way to ourselves: some poll rounds. */
static const struct timespec wait_short = {.tv_nsec = 20000000};

struct version {
	int domain, protocol;
	const char *ours, *loopback;
	uint8_t request, reply;
};

static const struct version versions[] = {
	{AF_INET, IPPROTO_ICMP, OUR_IPV4, "127.0.0.1", 8, 0},
	{AF_INET6, IPPROTO_ICMPV6, OUR_IPV6, "::1", 128, 129},
};

static int ping_open(const struct version *version)
{
	int qd = -1;

	check_call(demi_socket(&qd, version->domain, SOCK_DGRAM, version->protocol), 0);
	return qd;
}

/* A request with @size bytes of the pattern. */
static demi_sgarray_t request_of(const struct version *version, size_t size)
{
	demi_sgarray_t sga = sga_pattern(HEADER_BYTES + size, 3, 0);
	uint8_t *message = sga.sga_segs[0].sgaseg_buf;

	memset(message, 0, HEADER_BYTES);
	message[0] = version->request;
	message[6] = SEQUENCE >> 8;
	message[7] = SEQUENCE & 0xff;
	return sga;
}

static void ask(int qd, const struct version *version, const struct address *to, size_t size)
{
	demi_sgarray_t sga = request_of(version, size);
	demi_qtoken_t qt = 0;

	check_call(demi_pushto(&qt, qd, &sga, &to->any, to->size), 0);
	check_call(demi_sgafree(&sga), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
}

static void expect_reply(int qd, const struct version *version, const char *from, size_t size)
{
	demi_sgarray_t sent = request_of(version, size);
	demi_qresult_t qr = await_opcode(pop(qd), DEMI_OPC_POP);
	struct address source = {.size = sizeof(source.room)}, expected = address_of(from, 0), name;
	demi_sgaseg_t *segment = &qr.qr_value.sga.sga_segs[0];
	const uint8_t *message = segment->sgaseg_buf;

	assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
	assert_int_equal(segment->sgaseg_len, HEADER_BYTES + size);
	assert_int_equal(message[0], version->reply);
	assert_int_equal(message[6] << 8 | message[7], SEQUENCE);
	socket_name(qd, &name);
	assert_int_equal(message[4] << 8 | message[5], ntohs(address_port(&name)));
	assert_memory_equal(message + HEADER_BYTES,
			    (uint8_t *)sent.sga_segs[0].sgaseg_buf + HEADER_BYTES, size);
	check_call(demi_sgaaddr(&qr.qr_value.sga, &source.any, &source.size), 0);
	address_check(&source, &expected);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	check_call(demi_sgafree(&sent), 0);
}

static void ping__replies_come_to_who_asked(void **state)
{
	static const size_t sizes[] = {0, 1, 56, 1024, 1025, 1472, 1473, 9000, 65507};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		struct address to = address_of(version->ours, 0);
		int other = ping_open(version), qd = ping_open(version);
		demi_qtoken_t others = pop(other);

		ask(other, version, &to, 4);
		await_opcode(others, DEMI_OPC_POP);
		for (size_t size = 0; size < COUNT_OF(sizes); size++) {
			ask(qd, version, &to, sizes[size]);
			expect_reply(qd, version, version->ours, sizes[size]);
		}
		/* The other has got nothing of that. */
		assert_int_equal(demi_wait(&(demi_qresult_t){0}, pop(other), &wait_short),
				 ETIMEDOUT);
	}
}

static void ping__connected_needs_no_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		struct address to = address_of(version->loopback, 0),
			       peer = {.size = sizeof(peer.room)};
		demi_sgarray_t sga = request_of(version, 10);
		int qd = ping_open(version);
		demi_qtoken_t qt = 0;

		check_call(demi_push(&qt, qd, &sga), EDESTADDRREQ);
		check_call(demi_getpeername(qd, &peer.any, &peer.size), ENOTCONN);
		check_call(demi_connect(&qt, qd, &to.any, to.size), 0);
		await_opcode(qt, DEMI_OPC_CONNECT);
		check_call(demi_getpeername(qd, &peer.any, &peer.size), 0);
		address_check(&peer, &to);
		check_call(demi_push(&qt, qd, &sga), 0);
		await_opcode(qt, DEMI_OPC_PUSH);
		expect_reply(qd, version, version->loopback, 10);
		check_call(demi_sgafree(&sga), 0);
	}
}

static void ping__port_is_the_identifier(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		struct address at = address_of(version->ours, 777),
			       to = address_of(version->ours, 0);
		int qd = ping_open(version), other = ping_open(version);

		check_call(demi_bind(qd, &at.any, at.size), 0);
		check_call(demi_bind(qd, &at.any, at.size), EINVAL);
		check_call(demi_bind(other, &at.any, at.size), EADDRINUSE);
		ask(qd, version, &to, 8); /* expect_reply compares identifier and port */
		expect_reply(qd, version, version->ours, 8);
		check_call(demi_close(qd), 0);
		check_call(demi_bind(other, &at.any, at.size), 0);
	}
}

static void ping__other_messages_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		struct address to = address_of(version->ours, 0);
		demi_sgarray_t sga = request_of(version, 65508);
		int qd = ping_open(version);
		demi_qtoken_t qt = 0;
		uint8_t *message = sga.sga_segs[0].sgaseg_buf;

		check_call(demi_pushto(&qt, qd, &sga, &to.any, to.size), EMSGSIZE);
		sga.sga_segs[0].sgaseg_len = HEADER_BYTES - 1;
		check_call(demi_pushto(&qt, qd, &sga, &to.any, to.size), EINVAL);
		sga.sga_segs[0].sgaseg_len = HEADER_BYTES;
		message[0] = version->reply;
		check_call(demi_pushto(&qt, qd, &sga, &to.any, to.size), EINVAL);
		message[0] = version->request;
		message[1] = 1;
		check_call(demi_pushto(&qt, qd, &sga, &to.any, to.size), EINVAL);
		check_call(demi_sgafree(&sga), 0);
		check_call(demi_socket(&qd, version->domain, SOCK_STREAM, version->protocol),
			   ENOTSUP);
		check_call(demi_socket(&qd, version->domain, SOCK_DGRAM, versions[1 - i].protocol),
			   ENOTSUP);
	}
}

static void ping__what_nobody_asked_for_is_dropped(void **state)
{
	uint64_t before = 0, after = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		const char *name = i ? "icmp6.drops.unsolicited" : "icmp.drops.unsolicited";
		struct address to = address_of(version->ours, 0);
		int qd = ping_open(version), other = ping_open(version);

		check_call(demi_stat(&before, name), 0);
		ask(qd, version, &to, 8);
		/* Closed before the reply is there. */
		check_call(demi_close(qd), 0);
		assert_int_equal(demi_wait(&(demi_qresult_t){0}, pop(other), &wait_short),
				 ETIMEDOUT);
		check_call(demi_stat(&after, name), 0);
		assert_int_equal(after - before, 1);
	}
}

static void ping__close_cancels_pops_and_drops_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		const struct version *version = &versions[i];
		struct address to = address_of(version->ours, 0);
		int qd = ping_open(version), idle = ping_open(version);
		demi_qtoken_t waiting = pop(idle), cancelled = pop(idle), qt = 0;

		check_call(demi_cancel(cancelled), 0);
		await_error(cancelled, ECANCELED);
		ask(qd, version, &to, 8);
		ask(qd, version, &to, 8);
		expect_reply(qd, version, version->ours, 8);
		assert_int_equal(demi_wait(&(demi_qresult_t){0}, waiting, &wait_short), ETIMEDOUT);
		check_call(demi_aclose(&qt, qd), 0);
		await_opcode(qt, DEMI_OPC_CLOSE);
		check_call(demi_close(idle), 0);
		await_error(waiting, ECANCELED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ping__replies_come_to_who_asked),
		TEST(ping__connected_needs_no_address),
		TEST(ping__port_is_the_identifier),
		TEST(ping__other_messages_are_refused),
		TEST(ping__what_nobody_asked_for_is_dropped),
		TEST(ping__close_cancels_pops_and_drops_replies),
	};

	return cmocka_run_group_tests_name("catnip/ping", tests, NULL, NULL);
}
