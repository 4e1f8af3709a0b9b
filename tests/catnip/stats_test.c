/* SPDX-License-Identifier: MIT */
/*
 * What Catnip counts, as a program sees it, and what the figures prove: that in the steady state no
 * memory is allocated and no large payload copied.
 */
#include "catnip.h"

#include <stdlib.h>

#define SERVER_PORT 7000
#define CLOSED_PORT 7999
#define WARM_UP 500
#define ROUNDS 2000 /* each costs a turn of the scheduler where both ends share a CPU */

static uint64_t figure(const char *name)
{
	uint64_t value = UINT64_MAX;

	check_call(demi_stat(&value, name), 0);
	return value;
}

/* ---- The C library's allocations, of the thread that counts them ---- */

static _Thread_local bool counts_allocations;
static _Thread_local unsigned int allocations;

#if !HAS_ASAN
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

/* In place of the C library's, for the shared library too: the program exports its symbols. */
__attribute__((visibility("default"))) void *malloc(size_t size)
{
	allocations += counts_allocations;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	allocations += counts_allocations;
	return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	allocations += counts_allocations;
	return __libc_realloc(memory, size);
}
#endif

/* ---- Counting ---- */

static void stats__datagrams_to_ourselves(void **state)
{
	struct address server, client;
	int to = datagram_bound(OUR_IPV4, &server), from = datagram_bound(OUR_IPV4, &client);
	uint64_t sent = figure("udp.tx_packets"), received = figure("udp.rx_packets");
	uint64_t bytes = figure("udp.rx_bytes"), v6 = figure("ipv6.rx_packets");

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		datagram_send(from, &server, 100, i);
		datagram_expect(to, 100, i, &client);
	}
	assert_int_equal(figure("udp.tx_packets") - sent, 10);
	assert_int_equal(figure("udp.rx_packets") - received, 10);
	assert_int_equal(figure("udp.rx_bytes") - bytes, 10 * (8 + 100));
	assert_int_equal(figure("ipv6.rx_packets"), v6);
}

static void stats__a_drop_is_counted_by_its_reason(void **state)
{
	struct address client, closed = address_of(OUR_IPV4, CLOSED_PORT);
	int from = datagram_bound(OUR_IPV4, &client);
	uint64_t drops = figure("udp.drops.no_port"), errors = figure("icmp.rx_packets");
	demi_qtoken_t qt;

	(void)state;
	/* An unconnected socket is not told of errors. */
	check_call(demi_connect(&qt, from, &closed.any, closed.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	datagram_send(from, &closed, 100, 1);
	qt = pop(from);
	await_error(qt, ECONNREFUSED);
	assert_int_equal(figure("udp.drops.no_port") - drops, 1);
	assert_int_equal(figure("icmp.rx_packets") - errors, 1);
}

/* ---- Over a link, with a peer that sends everything back ---- */

static int listener;

static int open_servers(int *udp)
{
	struct address address = address_of(THEIR_IPV4, SERVER_PORT);

	check_call(demi_socket(udp, AF_INET, SOCK_DGRAM, 0), 0);
	check_call(demi_bind(*udp, &address.any, address.size), 0);
	check_call(demi_socket(&listener, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_bind(listener, &address.any, address.size), 0);
	check_call(demi_listen(listener, 8), 0);
	return 0;
}

/* Push back what a pop has brought, and pop again; nothing at the end of a stream. */
static void answer(demi_qresult_t *qr, bool is_stream)
{
	demi_sgarray_t *sga = &qr->qr_value.sga;
	struct address source = {.size = sizeof(source.room)};
	demi_qtoken_t qt = 0;

	if (sga->sga_segs[0].sgaseg_len == 0) {
		check_call(demi_sgafree(sga), 0);
		return;
	}
	if (is_stream) {
		check_call(demi_push(&qt, qr->qr_qd, sga), 0);
	} else {
		check_call(demi_sgaaddr(sga, &source.any, &source.size), 0);
		check_call(demi_pushto(&qt, qr->qr_qd, sga, &source.any, source.size), 0);
	}
	check_call(demi_sgafree(sga), 0);
	pop(qr->qr_qd);
}

static void *peer_main(void *argument)
{
	struct timespec moment = milliseconds(10);
	struct link_peer *peer = argument;
	int udp = -1, count;
	demi_qtoken_t qt;
	demi_qresult_t qr;

	check_call(demi_init(NULL), 0);
	open_servers(&udp);
	pop(udp);
	check_call(demi_accept(&qt, listener), 0);
	pthread_barrier_wait(&peer->started);
	while (!atomic_load(&peer->stops)) {
		if (demi_wait_next_n(&qr, 1, &count, &moment) != 0)
			continue;
		if (qr.qr_opcode == DEMI_OPC_ACCEPT)
			pop(qr.qr_value.ares.qd);
		else if (qr.qr_opcode == DEMI_OPC_POP)
			answer(&qr, qr.qr_qd != udp);
	}
	demi_fini();
	return NULL;
}

static int link_setup(void **state)
{
	return link_start(state, peer_main);
}

/* What must not change once everything that a program needs is there. */
struct steady {
	demi_heap_stats_t heap;
	uint64_t superblocks;
	uint64_t copied_bytes;
	uint64_t drops; /* of the layers that the messages go through */
};

static void read_steady(struct steady *steady)
{
	static demi_stat_t stats[2048];
	int count = 0;

	memset(steady, 0, sizeof(*steady));
	check_call(demi_heap_stats(&steady->heap), 0);
	for (uint32_t i = 0; i < steady->heap.class_count; i++)
		steady->superblocks += steady->heap.classes[i].superblocks;
	steady->copied_bytes = figure("net.copied_bytes");
	check_call(demi_stats(stats, COUNT_OF(stats), &count), 0);
	assert_in_range(count, 1, COUNT_OF(stats));
	for (int i = 0; i < count; i++) {
		const char *name = stats[i].stat_name;

		/* A peer that is not given the CPU for long is asked again, and answers twice. */
		if (strcmp(name, "tcp.drops.duplicate") == 0)
			continue;
		if (strncmp(name, "ipv4.drops.", 11) == 0 || strncmp(name, "udp.drops.", 10) == 0 ||
		    strncmp(name, "tcp.drops.", 10) == 0)
			steady->drops += stats[i].stat_value;
	}
}

/* The end of a message on a stream may come with a pop of its own. */
static void exchange(int qd, const struct address *to, size_t size, bool is_stream)
{
	demi_sgarray_t sga = demi_sgaalloc(size);
	demi_qtoken_t pushing = 0;
	size_t received = 0;

	assert_int_equal(sga.sga_numsegs, 1);
	if (is_stream)
		check_call(demi_push(&pushing, qd, &sga), 0);
	else
		check_call(demi_pushto(&pushing, qd, &sga, &to->any, to->size), 0);
	check_call(demi_sgafree(&sga), 0);
	while (received < size) {
		demi_qtoken_t popping = 0;
		demi_qresult_t qr;

		check_call(demi_pop(&popping, qd), 0);
		check_call(demi_wait(&qr, popping, &wait_long), 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		received += qr.qr_value.sga.sga_segs[0].sgaseg_len;
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	check_call(demi_wait(&(demi_qresult_t){0}, pushing, &wait_long), 0);
}

static void check_steady(int qd, const struct address *to, size_t size, bool is_stream)
{
	struct steady before, after;

	for (int i = 0; i < WARM_UP; i++)
		exchange(qd, to, size, is_stream);
	read_steady(&before);
	allocations = 0;
	counts_allocations = true;
	for (int i = 0; i < ROUNDS; i++)
		exchange(qd, to, size, is_stream);
	counts_allocations = false;
	read_steady(&after);
	assert_int_equal(allocations, 0);
	assert_int_equal(after.superblocks, before.superblocks);
	assert_int_equal(after.heap.objects, before.heap.objects);
	assert_int_equal(after.heap.objects_large, before.heap.objects_large);
	assert_int_equal(after.heap.bytes_committed, before.heap.bytes_committed);
	assert_int_equal(after.copied_bytes, before.copied_bytes);
	assert_int_equal(after.drops, before.drops);
}

/* Else that none is counted would show nothing: the library's own are. */
static void steady_state__allocations_are_seen(void **state)
{
	int qd = -1;

	(void)state;
	if (HAS_ASAN)
		skip();
	allocations = 0;
	counts_allocations = true;
	check_call(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0);
	counts_allocations = false;
	assert_true(allocations > 0);
}

static void steady_state__datagrams_allocate_and_copy_nothing(void **state)
{
	struct address ours, theirs = address_of(THEIR_IPV4, SERVER_PORT);
	int qd = datagram_bound(OUR_IPV4, &ours);

	(void)state;
	check_steady(qd, &theirs, 64, false);
	check_steady(qd, &theirs, LARGE_BYTES, false);
}

static void steady_state__streams_allocate_and_copy_nothing(void **state)
{
	struct address theirs = address_of(THEIR_IPV4, SERVER_PORT);
	demi_qtoken_t qt = 0;
	int qd = -1;

	(void)state;
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_connect(&qt, qd, &theirs.any, theirs.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	check_steady(qd, NULL, 64, true);
	check_steady(qd, NULL, LARGE_BYTES, true);
	check_call(demi_close(qd), 0);
}

/* The figure is not always the same: what cannot go by reference is copied, and counted. */
static void stats__copies_of_large_payloads_are_counted(void **state)
{
	static char foreign[LARGE_BYTES];
	struct address ours, theirs = address_of(THEIR_IPV4, SERVER_PORT);
	int qd = datagram_bound(OUR_IPV4, &ours);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs[0] = {foreign, sizeof(foreign)}};
	uint64_t copied = figure("net.copied_bytes");
	demi_qtoken_t qt = 0;

	(void)state;
	check_call(demi_pushto(&qt, qd, &sga, &theirs.any, theirs.size), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	assert_int_equal(figure("net.copied_bytes") - copied, sizeof(foreign));
}

#define TEST_LINK(function) cmocka_unit_test_setup_teardown(function, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stats__datagrams_to_ourselves),
		TEST(stats__a_drop_is_counted_by_its_reason),
		TEST(steady_state__allocations_are_seen),
		TEST_LINK(steady_state__datagrams_allocate_and_copy_nothing),
		TEST_LINK(steady_state__streams_allocate_and_copy_nothing),
		TEST_LINK(stats__copies_of_large_payloads_are_counted),
	};

	return cmocka_run_group_tests_name("catnip/stats", tests, NULL, NULL);
}
