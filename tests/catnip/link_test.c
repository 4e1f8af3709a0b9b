/* SPDX-License-Identifier: MIT */
/* Two runtimes, each in a thread of its own, on the two ends of a link inside the process. */
#include "catnip.h"

#define SERVER_PORT 7000
#define SHUT_PORT 7001

static int open_server(const char *text)
{
	struct address address = address_of(text, SERVER_PORT);
	int qd = -1;

	check_call(demi_socket(&qd, address.any.sa_family, SOCK_DGRAM, 0), 0);
	check_call(demi_bind(qd, &address.any, address.size), 0);
	return qd;
}

static void echo(demi_qresult_t *qr)
{
	demi_sgarray_t *sga = &qr->qr_value.sga;
	struct address source = {.size = sizeof(source.room)};
	demi_qtoken_t qt = 0;

	check_call(demi_sgaaddr(sga, &source.any, &source.size), 0);
	check_call(demi_pushto(&qt, qr->qr_qd, sga, &source.any, source.size), 0);
	check_call(demi_sgafree(sga), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
}

/* The other host: it sends back what it gets until it is told to stop. */
static void *peer_main(void *argument)
{
	struct timespec moment = milliseconds(10);
	struct link_peer *peer = argument;
	demi_qtoken_t pops[2];
	demi_qresult_t qr;
	int offset;

	check_call(demi_init(NULL), 0);
	pops[0] = pop(open_server(THEIR_IPV4));
	pops[1] = pop(open_server(THEIR_IPV6));
	pthread_barrier_wait(&peer->started);
	while (!atomic_load(&peer->stops)) {
		int error = demi_wait_any(&qr, &offset, pops, 2, &moment);

		if (error == ETIMEDOUT)
			continue;
		check_call(error, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		pops[offset] = pop(qr.qr_qd);
		echo(&qr);
	}
	demi_fini();
	return NULL;
}

static int link_setup(void **state)
{
	return link_start(state, peer_main);
}

static void exchange(const char *ours, const char *theirs, size_t size, unsigned int seed)
{
	struct address here, there = address_of(theirs, SERVER_PORT);
	int a = datagram_bound(ours, &here);

	datagram_send(a, &there, size, seed);
	datagram_expect(a, size, seed, &there);
	check_call(demi_close(a), 0);
}

static void link__datagrams_of_all_sizes_come_back(void **state)
{
	static const size_t sizes[] = {1,    64,   1023, 1024, 1025, 1451,  1452,
				       1453, 1472, 1473, 2960, 8192, 20000, 65507};

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(sizes); i++) {
		exchange(OUR_IPV4, THEIR_IPV4, sizes[i], i);
		exchange(OUR_IPV6, THEIR_IPV6, sizes[i], i);
	}
}

static void link__thousand_rounds(void **state)
{
	struct address here, there = address_of(THEIR_IPV4, SERVER_PORT);
	int a = datagram_bound(OUR_IPV4, &here);

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		datagram_send(a, &there, 64 + i, i);
		datagram_expect(a, 64 + i, i, &there);
	}
}

static void link__a_window_of_messages(void **state)
{
	enum { COUNT = 32, ROUNDS = 50 };
	struct address here, there = address_of(THEIR_IPV4, SERVER_PORT);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t pushes[COUNT];

	(void)state;
	/* Make the neighbours know each other: what waits for that is bounded. */
	datagram_send(a, &there, 1, 1);
	datagram_expect(a, 1, 1, &there);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < COUNT; i++)
			pushes[i] = datagram_push(a, &there, LARGE_BYTES, i);
		for (unsigned int i = 0; i < COUNT; i++)
			await_opcode(pushes[i], DEMI_OPC_PUSH);
		for (unsigned int i = 0; i < COUNT; i++)
			datagram_expect(a, LARGE_BYTES, i, &there);
	}
}

/* RFC 1122, 4.1.3.3: the application is told of errors. */
static void link__refusal_is_told_once(void **state)
{
	struct address here, shut = address_of(THEIR_IPV4, SHUT_PORT);
	int a = datagram_bound(OUR_IPV4, &here), error = -1;
	demi_qtoken_t qt = 0, popping;
	socklen_t size = sizeof(error);

	(void)state;
	check_call(demi_connect(&qt, a, &shut.any, shut.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	popping = pop(a);
	await_opcode(push_pattern(a, 10, 1, 0), DEMI_OPC_PUSH);
	await_error(popping, ECONNREFUSED);

	/* Without a pop: whoever comes first. */
	await_opcode(push_pattern(a, 10, 1, 0), DEMI_OPC_PUSH);
	while (error <= 0) {
		drive();
		check_call(demi_getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	}
	assert_int_equal(error, ECONNREFUSED);
	check_call(demi_getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	assert_int_equal(error, 0);
	check_pending(pop(a));
}

static void link__dont_fragment_is_emsgsize(void **state)
{
	struct address here, there = address_of(THEIR_IPV4, SERVER_PORT);
	int a = datagram_bound(OUR_IPV4, &here), value = IP_PMTUDISC_DO;
	demi_sgarray_t sga = sga_pattern(1473, 1, 0);
	demi_qtoken_t qt = 0;

	(void)state;
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof(value)), 0);
	check_call(outcome(demi_pushto(&qt, a, &sga, &there.any, there.size), qt), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
	datagram_send(a, &there, 1472, 2);
	datagram_expect(a, 1472, 2, &there);
}

static void link__foreign_and_own_segments_mix(void **state)
{
	static uint8_t foreign[3000];
	struct address here, there = address_of(THEIR_IPV4, SERVER_PORT);
	int a = datagram_bound(OUR_IPV4, &here);
	uint8_t *own = demi_malloc(3000);
	demi_sgarray_t sga = {.sga_numsegs = 2};
	demi_qtoken_t qt = 0;

	(void)state;
	assert_non_null(own);
	pattern_fill(own, 3000, 1, 0);
	pattern_fill(foreign, sizeof(foreign), 1, 3000);
	sga.sga_segs[0] = (demi_sgaseg_t){.sgaseg_buf = own, .sgaseg_len = 3000};
	sga.sga_segs[1] = (demi_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = sizeof(foreign)};
	check_call(demi_pushto(&qt, a, &sga, &there.any, there.size), 0);
	memset(foreign, 0, sizeof(foreign));
	demi_free(own);
	datagram_expect(a, 6000, 1, &there);
	await_opcode(qt, DEMI_OPC_PUSH);
}

#define LINK_TEST(function) cmocka_unit_test_setup_teardown(function, link_setup, link_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LINK_TEST(link__datagrams_of_all_sizes_come_back),
		LINK_TEST(link__thousand_rounds),
		LINK_TEST(link__a_window_of_messages),
		LINK_TEST(link__refusal_is_told_once),
		LINK_TEST(link__dont_fragment_is_emsgsize),
		LINK_TEST(link__foreign_and_own_segments_mix),
	};

	return suite_main("link", true, "datagrams", tests, COUNT_OF(tests));
}
