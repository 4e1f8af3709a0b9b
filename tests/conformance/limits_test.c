/* SPDX-License-Identifier: MIT */
/* What happens at the end of each resource, and that it is not the end of the program. */
#include "common.h"

#include <fcntl.h>
#include <sys/resource.h>

#define NEEDS_TCP() skip_unless(profile_get()->tcp, "the libOS has no TCP")

/* ---- Descriptors ---- */

static void limits__queues_max_is_emfile_and_recovers(void **state)
{
	int qds[16], qd;

	(void)state;
	option_set("DEMI_RUNTIME_QUEUES_MAX", "16");
	check_call(demi_init(NULL), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(qds); i++)
			check_call(demi_queue(&qds[i]), 0);
		for (int again = 0; again < 5; again++) {
			check_call(demi_queue(&qd), EMFILE);
			if (profile_get()->tcp)
				check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), EMFILE);
			if (profile_get()->udp)
				check_call(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), EMFILE);
			if (profile_get()->files)
				check_call(demi_open(&qd, "/dev/null", O_RDONLY, 0), EMFILE);
		}
		check_call(demi_close(qds[7]), 0);
		check_call(demi_queue(&qds[7]), 0);
		check_call(demi_queue(&qd), EMFILE);
		for (size_t i = 0; i < COUNT_OF(qds); i++)
			check_call(demi_close(qds[i]), 0);
	}
}

/*
 * An accept that finds no room for the connection fails with EMFILE or goes on waiting, and the
 * listener takes the next connection when there is room again.
 */
static void accept_without_room(int listener)
{
	struct timespec moment = milliseconds(300);
	demi_qtoken_t accepting;
	demi_qresult_t qr;
	int error;

	check_call(demi_accept(&accepting, listener), 0);
	error = demi_wait(&qr, accepting, &moment);
	if (error == ETIMEDOUT) {
		check_call(demi_cancel(accepting), 0);
		await_error(accepting, ECANCELED);
		return;
	}
	check_call(error, 0);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	assert_int_equal(qr.qr_ret, EMFILE);
}

static void accept_with_room(int listener, const struct address *address, int client)
{
	int64_t end = now_ms() + 10000;
	int other_client, other_server;

	/* The connection that waited, or else its client is told. */
	while (now_ms() < end) {
		struct timespec moment = milliseconds(300);
		demi_qtoken_t accepting;
		demi_qresult_t qr;
		int error;

		check_call(demi_accept(&accepting, listener), 0);
		error = demi_wait(&qr, accepting, &moment);
		if (error == 0 && qr.qr_opcode == DEMI_OPC_ACCEPT) {
			await_opcode(push_pattern(client, 10, 1, 0), DEMI_OPC_PUSH);
			stream_expect(qr.qr_value.ares.qd, 10, 1, 0);
			check_call(demi_close(qr.qr_value.ares.qd), 0);
			break;
		}
		if (error == ETIMEDOUT) {
			check_call(demi_cancel(accepting), 0);
			await_error(accepting, ECANCELED);
			qr = await(pop(client));
			if (qr.qr_opcode == DEMI_OPC_FAILED)
				assert_int_equal(qr.qr_ret, ECONNRESET);
			else
				check_end(&qr.qr_value.sga);
			break;
		}
		check_call(error, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
		assert_int_equal(qr.qr_ret, EMFILE);
	}
	assert_true(now_ms() < end);
	check_call(demi_close(client), 0);
	pair_connect(listener, address, &other_client, &other_server);
	await_opcode(push_pattern(other_client, 10, 2, 0), DEMI_OPC_PUSH);
	stream_expect(other_server, 10, 2, 0);
}

static void limits__accept_beyond_queues_max_leaves_the_listener(void **state)
{
	const struct transport *transport = &transport_ipv4;
	struct address address;
	demi_qtoken_t connecting;
	int listener, client, others[14], qd;

	(void)state;
	NEEDS_TCP();
	option_set("DEMI_RUNTIME_QUEUES_MAX", "16");
	check_call(demi_init(NULL), 0);
	listener = socket_listen(transport, &address);
	client = socket_open(transport, SOCK_STREAM);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		check_call(demi_queue(&others[i]), 0);
	check_call(demi_queue(&qd), EMFILE);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	for (int i = 0; i < 3; i++)
		accept_without_room(listener);
	for (int i = 0; i < 4; i++)
		check_call(demi_close(others[i]), 0);
	accept_with_room(listener, &address, client);
}

/* ---- File descriptors of the kernel ---- */

static struct rlimit files_before;

static int teardown_files(void **state)
{
	if (files_before.rlim_cur)
		setrlimit(RLIMIT_NOFILE, &files_before);
	files_before.rlim_cur = 0;
	return teardown(state);
}

/* Lets the process have @more file descriptors than it has now. */
static void files_limit(int more)
{
	struct rlimit limit;
	int highest = 0;

	if (!files_before.rlim_cur)
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &files_before), 0);
	/* The limit is on the number, and numbers are given from below. */
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			highest = fd;
	}
	for (int fd = 0; fd <= highest; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			assert_int_equal(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, fd), fd);
	}
	limit = files_before;
	limit.rlim_cur = (rlim_t)(highest + 1 + more);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void limits__no_file_descriptor_for_a_socket_is_emfile(void **state)
{
	int qds[32], count = 0, error = 0, qd;

	(void)state;
	NEEDS_TCP();
	skip_unless(profile_get()->kernel_peer, "this libOS needs no file descriptors");
	check_call(demi_init(NULL), 0);
	files_limit(8);
	while (count < 32 && (error = demi_socket(&qds[count], AF_INET, SOCK_STREAM, 0)) == 0)
		count++;
	check_call(error, EMFILE);
	assert_in_range(count, 1, 8);
	if (profile_get()->udp)
		check_call(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), EMFILE);
	if (profile_get()->files)
		check_call(demi_open(&qd, "/dev/null", O_RDONLY, 0), EMFILE);
	for (int round = 0; round < 10; round++) {
		check_call(demi_close(qds[0]), 0);
		check_call(demi_socket(&qds[0], AF_INET, SOCK_STREAM, 0), 0);
		check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), EMFILE);
	}
	/* In-memory queues need none. */
	check_call(demi_queue(&qd), 0);
}

static void limits__no_file_descriptor_for_an_accept_leaves_the_listener(void **state)
{
	const struct transport *transport = &transport_ipv4;
	struct address address;
	demi_qtoken_t connecting;
	int listener, client, taken[64], count = 0;

	(void)state;
	NEEDS_TCP();
	skip_unless(profile_get()->kernel_peer, "this libOS needs no file descriptors");
	check_call(demi_init(NULL), 0);
	listener = socket_listen(transport, &address);
	client = socket_open(transport, SOCK_STREAM);
	files_limit(6);
	while (count < 64 && (taken[count] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	assert_int_equal(errno, EMFILE);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	for (int i = 0; i < 3; i++)
		accept_without_room(listener);
	for (int i = 0; i < count; i++)
		close(taken[i]);
	accept_with_room(listener, &address, client);
}

/* ---- Operations ---- */

static void limits__operations_max_is_eagain_and_recovers(void **state)
{
	enum { MOST = 64 };
	demi_qtoken_t qts[MOST + 1], qt = 0;
	int qd, other, count, error;
	demi_sgarray_t sga;

	(void)state;
	option_set("DEMI_RUNTIME_OPERATIONS_MAX", "64");
	check_call(demi_init(NULL), 0);
	check_call(demi_queue(&qd), 0);
	check_call(demi_queue(&other), 0);
	sga = sga_pattern(10, 1, 0);
	for (int round = 0; round < 10; round++) {
		demi_qresult_t qr;

		count = 0;
		while ((error = demi_pop(&qts[count], qd)) == 0) {
			count++;
			assert_in_range(count, 1, MOST);
		}
		check_call(error, EAGAIN);
		assert_in_range(count, MOST / 2, MOST);
		for (int again = 0; again < 3; again++) {
			check_call(demi_pop(&qt, other), EAGAIN);
			check_call(demi_push(&qt, other, &sga), EAGAIN);
			check_call(demi_aclose(&qt, other), EAGAIN);
		}
		/* One ended is one to be had. */
		check_call(demi_cancel(qts[0]), 0);
		check_call(demi_pop(&qt, qd), EAGAIN);
		await_error(qts[0], ECANCELED);
		check_call(demi_push(&qts[0], other, &sga), 0);
		check_call(demi_pop(&qt, other), EAGAIN);
		await_opcode(qts[0], DEMI_OPC_PUSH);
		qr = await_opcode(pop(other), DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 10);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		/* A close needs no operation. */
		check_call(demi_close(qd), 0);
		for (int i = 1; i < count; i++)
			await_error(qts[i], ECANCELED);
		check_call(demi_queue(&qd), 0);
	}
	check_call(demi_sgafree(&sga), 0);
}

static void limits__operations_max_on_sockets(void **state)
{
	const struct transport *transport = &transport_ipv4;
	demi_qtoken_t pops[65], qt = 0;
	struct pair pair;
	demi_sgarray_t sga;
	int count = 0, error, unconnected;
	demi_qresult_t qr;
	size_t got;

	(void)state;
	NEEDS_TCP();
	option_set("DEMI_RUNTIME_OPERATIONS_MAX", "64");
	check_call(demi_init(NULL), 0);
	pair_open(&pair, transport);
	unconnected = socket_open(transport, SOCK_STREAM);
	sga = sga_pattern(100, 2, 0);
	while (count < 65 && (error = demi_pop(&pops[count], pair.server)) == 0)
		count++;
	check_call(error, EAGAIN);
	check_call(demi_push(&qt, pair.client, &sga), EAGAIN);
	check_call(demi_accept(&qt, pair.listener), EAGAIN);
	check_call(demi_connect(&qt, unconnected, &pair.address.any, pair.address.size), EAGAIN);
	check_call(demi_aclose(&qt, unconnected), EAGAIN);

	check_call(demi_cancel(pops[count - 1]), 0);
	await_error(pops[count - 1], ECANCELED);
	await_opcode(push_sga(pair.client, &sga), DEMI_OPC_PUSH);
	qr = await_opcode(pops[0], DEMI_OPC_POP);
	got = sga_check(&qr.qr_value.sga, 2, 0);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	assert_in_range(got, 1, 100);
	check_call(demi_sgafree(&sga), 0);
	/* The connect that was refused for want of an operation can be made now. */
	check_call(demi_close(pair.server), 0);
	for (int i = 1; i < count - 1; i++)
		await(pops[i]);
	check_call(demi_connect(&qt, unconnected, &pair.address.any, pair.address.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
}

/* ---- Memory ---- */

#define HEAP_BYTES (16 * MIB)

static demi_sgarray_t hoard[8192];
static int hoarded;

/* Takes all memory, from large pieces down to small ones. */
static void hoard_all(void)
{
	hoarded = 0;
	for (size_t size = MIB; size >= 1024; size /= 4) {
		while (hoarded < (int)COUNT_OF(hoard)) {
			demi_sgarray_t sga = demi_sgaalloc(size);

			if (!sga.sga_buf) {
				assert_int_equal(sga.sga_numsegs, 0);
				break;
			}
			memset(sga.sga_segs[0].sgaseg_buf, hoarded, size);
			hoard[hoarded++] = sga;
		}
	}
	assert_true(hoarded > 0);
	assert_true(hoarded < (int)COUNT_OF(hoard));
}

static void hoard_free(void)
{
	while (hoarded > 0)
		check_call(demi_sgafree(&hoard[--hoarded]), 0);
}

static void limits__heap_max_bytes_gives_the_null_array_and_recovers(void **state)
{
	static const size_t sizes[] = {64 * KIB, 1000, MIB, 200, 64 * KIB, 2 * MIB, 5000};

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		static demi_sgarray_t taken[HEAP_BYTES / 200];
		size_t count = 0;

		for (;;) {
			demi_sgarray_t sga = demi_sgaalloc(sizes[i]);

			if (!sga.sga_buf) {
				assert_int_equal(sga.sga_numsegs, 0);
				break;
			}
			assert_true(count < COUNT_OF(taken));
			memset(sga.sga_segs[0].sgaseg_buf, (int)count, sizes[i]);
			taken[count++] = sga;
		}
		print_message("%zu bytes: %zu times\n", sizes[i], count);
		assert_true(count * sizes[i] <= HEAP_BYTES);
		/* Headers and rounding must leave a good part of it. */
		assert_true(count * sizes[i] >= HEAP_BYTES / 4);
		for (size_t j = 0; j < count; j++) {
			const uint8_t *bytes = taken[j].sga_segs[0].sgaseg_buf;

			assert_int_equal(bytes[0], (uint8_t)j);
			assert_int_equal(bytes[sizes[i] - 1], (uint8_t)j);
			check_call(demi_sgafree(&taken[j]), 0);
		}
	}
}

static void limits__heap_max_bytes_holds_for_malloc_too(void **state)
{
	void *object;

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	check_call(demi_init(NULL), 0);
	assert_null(demi_malloc(HEAP_BYTES + 1));
	hoard_all();
	assert_null(demi_malloc(MIB));
	assert_null(demi_calloc(1, MIB));
	assert_null(demi_memalign(4096, MIB));
	object = hoard[0].sga_segs[0].sgaseg_buf;
	assert_non_null(object);
	hoard_free();
	object = demi_malloc(MIB);
	assert_non_null(object);
	demi_free(object);
}

static void limits__pop_without_memory_loses_no_data(void **state)
{
	TRANSPORT(transport, state);
	skip_unless(profile_get()->kernel_peer, "no plain socket reaches this libOS");
	static uint8_t bytes[100000];
	int listener, server, fd, starved = 0;
	uint64_t received = 0;

	NEEDS_TCP();
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	demi_fini();
	check_call(demi_init(NULL), 0);
	fd = peer_pair(transport, &listener, &server);
	pattern_fill(bytes, sizeof(bytes), 3, 0);
	peer_send(fd, bytes, 50000);
	hoard_all();
	for (int i = 0; i < 10 && received < 50000; i++) {
		demi_qtoken_t qt = 0;
		demi_qresult_t qr;
		int error = demi_pop(&qt, server);

		if (error == 0) {
			qr = await(qt);
			error = (int)qr.qr_ret;
			if (error == 0) {
				/* It may have had a buffer ready. */
				assert_true(sga_bytes(&qr.qr_value.sga) > 0);
				received += sga_check(&qr.qr_value.sga, 3, received);
				check_call(demi_sgafree(&qr.qr_value.sga), 0);
				continue;
			}
		}
		check_call(error, ENOMEM);
		starved++;
	}
	print_message("%d pops without memory\n", starved);
	hoard_free();
	peer_send(fd, bytes + 50000, 50000);
	stream_expect(server, sizeof(bytes) - received, 3, received);
	close(fd);
	stream_expect_end(server);
}

static void limits__push_without_memory_fails_or_is_sent_whole(void **state)
{
	TRANSPORT(transport, state);
	static uint8_t bytes[64 * KIB];
	demi_sgarray_t sga = sga_of(bytes, sizeof(bytes));
	uint64_t sent = 0;
	struct pair pair;

	NEEDS_TCP();
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	demi_fini();
	check_call(demi_init(NULL), 0);
	pair_open(&pair, transport);
	hoard_all();
	for (int i = 0; i < 5; i++) {
		struct timespec moment = milliseconds(100);
		demi_qtoken_t qt = 0;
		demi_qresult_t qr;
		int error;

		pattern_fill(bytes, sizeof(bytes), 4, sent);
		error = demi_push(&qt, pair.client, &sga);
		if (error == 0 && demi_wait(&qr, qt, &moment) == ETIMEDOUT) {
			/* It waits for the peer, which has no memory either. */
			hoard_free();
			sent += sizeof(bytes);
			stream_expect(pair.server, sent, 4, 0);
			await_opcode(qt, DEMI_OPC_PUSH);
			return;
		}
		if (error == 0)
			error = (int)qr.qr_ret;
		if (error == 0)
			sent += sizeof(bytes);
		else
			check_call(error, ENOMEM);
	}
	hoard_free();
	pattern_fill(bytes, sizeof(bytes), 4, sent);
	sent += sizeof(bytes);
	{
		demi_qtoken_t qt = push_sga(pair.client, &sga);

		stream_expect(pair.server, sent, 4, 0);
		await_opcode(qt, DEMI_OPC_PUSH);
	}
}

static void limits__queue_push_of_foreign_memory_without_memory_is_enomem(void **state)
{
	static uint8_t bytes[MIB];
	demi_sgarray_t sga = sga_of(bytes, sizeof(bytes));
	demi_qtoken_t qt = 0;
	int qd, error;

	(void)state;
	skip_unless(profile_get()->queues, "the libOS has no in-memory queues");
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	check_call(demi_init(NULL), 0);
	check_call(demi_queue(&qd), 0);
	hoard_all();
	check_call(outcome(demi_push(&qt, qd, &sga), qt), ENOMEM);
	/* The library's own memory needs no copy, at most a place in the queue. */
	error = outcome(demi_push(&qt, qd, &hoard[0]), qt);
	check_either(error, 0, ENOMEM);
	hoard_free();
	if (error == 0) {
		demi_qresult_t qr = await_opcode(pop(qd), DEMI_OPC_POP);

		assert_int_equal(sga_bytes(&qr.qr_value.sga), MIB);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
}

#define TEST_FILES(function) cmocka_unit_test_teardown(function, teardown_files)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(limits__queues_max_is_emfile_and_recovers),
		TEST_RAW(limits__accept_beyond_queues_max_leaves_the_listener),
		TEST_FILES(limits__no_file_descriptor_for_a_socket_is_emfile),
		TEST_FILES(limits__no_file_descriptor_for_an_accept_leaves_the_listener),
		TEST_RAW(limits__operations_max_is_eagain_and_recovers),
		TEST_RAW(limits__operations_max_on_sockets),
		TEST_RAW(limits__heap_max_bytes_gives_the_null_array_and_recovers),
		TEST_RAW(limits__heap_max_bytes_holds_for_malloc_too),
		TEST_OVER(ipv4, limits__pop_without_memory_loses_no_data),
		TEST_OVER(ipv4, limits__push_without_memory_fails_or_is_sent_whole),
		TEST_RAW(limits__queue_push_of_foreign_memory_without_memory_is_enomem),
	};

	return suite_main("limits", !profile_get() || profile_get()->queues, "in-memory queues",
			  tests, COUNT_OF(tests));
}
