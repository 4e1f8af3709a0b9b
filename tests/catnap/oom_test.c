/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the library fails once, and from each of them on all others: the call says
 * ENOMEM, or does its work all the same; nothing is lost; and with memory again the same runtime
 * and the same queues go on.
 */
#include "oom.h"

#include "catnap.h"

#include <fcntl.h>
#include <malloc.h>

#define LARGE (5 * MIB / 2) /* more than the heap begins with */
#define FILE_LARGE (3 * MIB / 2)
#define SEND_BUFFER 100000 /* a large push stays pending, and what is pushed behind it */
#define TRIALS_MAX 20000
#define EACH_OF 25 /* of so many allocations each fails, then some of many that are alike */

/* ---- Calls that may fail: then there is memory again, and they must succeed ---- */

static bool lacks_memory(int error, const char *call, int line)
{
	if (error == ENOMEM) {
		if (!oom_fired())
			print_error("%s: ENOMEM, but nothing has failed\n", call);
		_assert_true(oom_fired(), call, __FILE__, line);
		oom_disarm();
		return true;
	}
	check_call_at(error, 0, call, __FILE__, line);
	return false;
}

#define try_call(call)                                     \
	do {                                               \
		if (lacks_memory((call), #call, __LINE__)) \
			check_call((call), 0);             \
	} while (0)

static demi_sgarray_t try_array(size_t size, unsigned int seed, uint64_t offset)
{
	demi_sgarray_t sga = demi_sgaalloc(size);

	if (!sga.sga_buf) {
		assert_true(oom_fired());
		oom_disarm();
		sga = demi_sgaalloc(size);
	}
	assert_non_null(sga.sga_buf);
	pattern_fill(sga.sga_segs[0].sgaseg_buf, size, seed, offset);
	return sga;
}

static demi_qtoken_t try_push(int qd, demi_sgarray_t *sga)
{
	demi_qtoken_t qt = 0;

	try_call(demi_push(&qt, qd, sga));
	return qt;
}

static demi_qtoken_t try_push_array(int qd, size_t size, unsigned int seed, uint64_t offset)
{
	demi_sgarray_t sga = try_array(size, seed, offset);
	demi_qtoken_t qt = try_push(qd, &sga);

	check_call(demi_sgafree(&sga), 0);
	return qt;
}

static unsigned char foreign_memory[200000];

static demi_qtoken_t try_push_foreign(int qd, size_t size, unsigned int seed, uint64_t offset)
{
	demi_sgarray_t sga = sga_of(foreign_memory, size / 2);
	demi_qtoken_t qt;

	pattern_fill(foreign_memory, size, seed, offset);
	sga.sga_numsegs = 2;
	sga.sga_segs[1] = (demi_sgaseg_t){foreign_memory + size / 2, (uint32_t)(size - size / 2)};
	qt = try_push(qd, &sga);
	memset(foreign_memory, 0xee, size);
	return qt;
}

/* The next result of a pop; a pop that lacked memory has lost nothing. */
static demi_qresult_t try_pop(int qd)
{
	demi_qtoken_t qt;
	demi_qresult_t qr;

	for (;;) {
		try_call(demi_pop(&qt, qd));
		qr = await(qt);
		if (qr.qr_opcode == DEMI_OPC_POP)
			return qr;
		assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
		assert_true(lacks_memory((int)qr.qr_ret, "pop", __LINE__));
	}
}

static void try_expect(int qd, size_t size, unsigned int seed, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		demi_qresult_t qr = try_pop(qd);
		size_t got = sga_check(&qr.qr_value.sga, seed, offset + done);

		assert_true(got > 0);
		done += got;
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
}

/* A connection whose accept lacks memory is closed, and another one can be made. */
static void try_connect(int listener, const struct address *address, int *client, int *server)
{
	for (;;) {
		demi_qtoken_t accepting, connecting;
		demi_qresult_t accepted;

		try_call(demi_socket(client, address->any.sa_family, SOCK_STREAM, 0));
		try_call(demi_accept(&accepting, listener));
		try_call(demi_connect(&connecting, *client, &address->any, address->size));
		await_opcode(connecting, DEMI_OPC_CONNECT);
		accepted = await(accepting);
		if (accepted.qr_opcode == DEMI_OPC_ACCEPT) {
			*server = accepted.qr_value.ares.qd;
			return;
		}
		assert_true(lacks_memory((int)accepted.qr_ret, "accept", __LINE__));
		check_call(demi_close(*client), 0);
	}
}

static int try_listen(struct address *address)
{
	int qd = -1;

	try_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
	address_fresh(&transport_ipv4, address);
	try_call(demi_bind(qd, &address->any, address->size));
	socket_name(qd, address);
	try_call(demi_listen(qd, 64));
	return qd;
}

/* ---- Scenarios ---- */

static void streams(void)
{
	struct address address;
	int listener = try_listen(&address), client, server;
	demi_qtoken_t qts[5], closing;
	demi_qresult_t end;

	try_connect(listener, &address, &client, &server);
	send_buffer(client, SEND_BUFFER);
	qts[0] = try_push_array(client, 100, 1, 0);
	qts[1] = try_push_foreign(client, 3000, 1, 100);
	qts[2] = try_push_array(client, LARGE, 1, 3100);
	qts[3] = try_push_foreign(client, 150000, 1, LARGE + 3100);
	qts[4] = try_push_array(client, 5000, 1, LARGE + 153100);
	try_expect(server, LARGE + 158100, 1, 0);
	for (size_t i = 0; i < COUNT_OF(qts); i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	qts[0] = try_push_array(server, 200000, 2, 0);
	try_expect(client, 200000, 2, 0);
	await_opcode(qts[0], DEMI_OPC_PUSH);
	try_call(demi_aclose(&closing, client));
	end = try_pop(server);
	check_end(&end.qr_value.sga);
	await_opcode(closing, DEMI_OPC_CLOSE);
	check_call(demi_close(server), 0);
	check_call(demi_close(listener), 0);
}

#define CONNECTIONS 6

/* Many at a time: io_uring receives and sends them together. */
static void many_streams(void)
{
	struct address address;
	int listener = try_listen(&address), clients[CONNECTIONS], servers[CONNECTIONS];
	demi_qtoken_t pops[CONNECTIONS], pushes[2 * CONNECTIONS];
	size_t done = 0;

	for (size_t i = 0; i < CONNECTIONS; i++)
		try_connect(listener, &address, &clients[i], &servers[i]);
	for (size_t i = 0; i < CONNECTIONS; i++)
		try_call(demi_pop(&pops[i], servers[i]));
	for (size_t i = 0; i < CONNECTIONS; i++)
		pushes[i] = try_push_array(clients[i], 700, 1, i);
	while (done < CONNECTIONS) {
		demi_qresult_t qr;
		int place = -1;

		try_call(demi_wait_any(&qr, &place, pops, CONNECTIONS, &wait_long));
		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			assert_true(lacks_memory((int)qr.qr_ret, "pop", __LINE__));
			try_call(demi_pop(&pops[place], servers[place]));
			continue;
		}
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, place), 700);
		/* The answer, as long as other results of the round are left. */
		pushes[CONNECTIONS + done++] = try_push(servers[place], &qr.qr_value.sga);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		try_call(demi_pop(&pops[place], servers[place]));
	}
	for (size_t i = 0; i < CONNECTIONS; i++)
		try_expect(clients[i], 700, 1, i);
	for (size_t i = 0; i < 2 * CONNECTIONS; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		check_call(demi_close(servers[i]), 0);
		check_call(demi_close(clients[i]), 0);
		await_error(pops[i], ECANCELED);
	}
	check_call(demi_close(listener), 0);
}

static int try_datagram(struct address *address)
{
	int qd = -1;

	try_call(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0));
	address_fresh(&transport_ipv4, address);
	try_call(demi_bind(qd, &address->any, address->size));
	socket_name(qd, address);
	return qd;
}

static void datagrams(void)
{
	static const size_t sizes[] = {1, 1000, 9000, 40000};
	struct address from, to;
	int sender = try_datagram(&from), receiver = try_datagram(&to);

	for (size_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
		size_t size = sizes[i / 2];
		demi_sgarray_t sga = try_array(size, 1, 0);
		demi_qtoken_t sent, popping;
		demi_qresult_t qr;

		if (i % 2) {
			check_call(demi_sgafree(&sga), 0);
			pattern_fill(foreign_memory, size, 1, 0);
			sga = sga_of(foreign_memory, size);
		}
		for (;;) {
			try_call(demi_pop(&popping, receiver));
			try_call(demi_pushto(&sent, sender, &sga, &to.any, to.size));
			await_opcode(sent, DEMI_OPC_PUSH);
			qr = await(popping);
			if (qr.qr_opcode == DEMI_OPC_POP)
				break;
			/* It may have been dropped, as by the network. */
			assert_true(lacks_memory((int)qr.qr_ret, "pop", __LINE__));
			check_call(demi_close(receiver), 0);
			receiver = try_datagram(&to);
		}
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), size);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		if (i % 2 == 0)
			check_call(demi_sgafree(&sga), 0);
	}
	check_call(demi_close(sender), 0);
	check_call(demi_close(receiver), 0);
}

static void files(void)
{
	demi_qtoken_t qts[6], closing;
	char path[128];
	int qd = -1;

	snprintf(path, sizeof(path), "%s/oom", directory());
	try_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	qts[0] = try_push_array(qd, 100, 1, 0);
	qts[1] = try_push_foreign(qd, 5000, 1, 100);
	qts[2] = try_push_array(qd, FILE_LARGE, 1, 5100);
	qts[3] = try_push_foreign(qd, 100000, 1, FILE_LARGE + 5100);
	qts[4] = try_push_array(qd, 10, 1, FILE_LARGE + 105100);
	for (size_t i = 0; i < 5; i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	try_expect(qd, FILE_LARGE + 105110, 1, 0);
	try_call(demi_truncate(qd, 10));
	try_call(demi_seek(qd, 0, SEEK_SET, NULL));
	try_expect(qd, 10, 1, 0);
	qts[5] = try_push_array(qd, 10, 1, 10);
	try_call(demi_aclose(&closing, qd));
	await_opcode(qts[5], DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

#define ELEMENTS 70

static void memory_queues(void)
{
	int qds[2] = {-1, -1};

	for (size_t i = 0; i < 2; i++)
		try_call(demi_queue(&qds[i]));
	for (size_t i = 0; i < ELEMENTS; i++)
		await_opcode(i % 2 ? try_push_array(qds[0], 1 + i * 100, 1, i)
				   : try_push_foreign(qds[0], 2 + i * 100, 1, i),
			     DEMI_OPC_PUSH);
	for (size_t i = 0; i < ELEMENTS; i++) {
		demi_qresult_t qr = try_pop(qds[0]);

		assert_int_equal(sga_check(&qr.qr_value.sga, 1, i), (i % 2 ? 1 : 2) + i * 100);
		await_opcode(try_push(qds[1], &qr.qr_value.sga), DEMI_OPC_PUSH);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	/* The second one is closed with its elements. */
	check_call(demi_close(qds[0]), 0);
	check_call(demi_close(qds[1]), 0);
}

#define TOKENS 300

static void waits(void)
{
	static demi_qtoken_t qts[TOKENS];
	static demi_qresult_t qrs[TOKENS];
	int qds[TOKENS], count = 0;

	for (size_t i = 0; i < TOKENS; i++) {
		qds[i] = -1;
		try_call(demi_queue(&qds[i]));
		try_call(demi_pop(&qts[i], qds[i]));
	}
	for (size_t i = TOKENS; i-- > TOKENS - 20;) {
		demi_qresult_t qr;
		int place = -1;

		await_opcode(try_push_array(qds[i], 10, 1, i), DEMI_OPC_PUSH);
		try_call(demi_wait_any(&qr, &place, qts, TOKENS, &wait_long));
		assert_int_equal(place, i);
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, i), 10);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		try_call(demi_pop(&qts[i], qds[i]));
	}
	for (size_t i = 0; i < TOKENS; i++)
		check_call(demi_close(qds[i]), 0);
	try_call(demi_wait_all(qrs, qts, TOKENS / 2, &wait_long));
	try_call(demi_wait_next_n(qrs, TOKENS, &count, &wait_long));
	assert_int_equal(count, TOKENS / 2);
}

/* What is NULL is so for lack of memory; the second time it is not. */
#define try_alloc(call)                                  \
	({                                               \
		void *got = (call);                      \
                                                         \
		if (!got) {                              \
			assert_int_equal(errno, ENOMEM); \
			assert_true(oom_fired());        \
			oom_disarm();                    \
			got = (call);                    \
			assert_non_null(got);            \
		}                                        \
		got;                                     \
	})

static void objects(void)
{
	static const size_t sizes[] = {1, 100, 5000, 100000, 300000, LARGE};
	unsigned char *all[3][COUNT_OF(sizes)];

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t size = sizes[i];

		all[0][i] = try_alloc(demi_malloc(size));
		pattern_fill(all[0][i], size, 1, i);
		all[1][i] = try_alloc(demi_calloc(1, size));
		assert_int_equal(all[1][i][size - 1], 0);
		all[2][i] = try_alloc(demi_memalign(MIB, size));
		all[0][i] = try_alloc(demi_realloc(all[0][i], 3 * size));
		pattern_check(all[0][i], size, 1, i);
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < 3; k++)
			demi_free(all[k][i]);
	}
}

/* ---- Trials ---- */

/* With memory everything works. */
static void echo(void)
{
	struct pair pair;
	demi_qtoken_t qt;

	pair_open(&pair, &transport_ipv4);
	qt = push_pattern(pair.client, 300000, 1, 0);
	stream_expect(pair.server, 300000, 1, 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	check_call(demi_close(pair.client), 0);
	check_call(demi_close(pair.server), 0);
	check_call(demi_close(pair.listener), 0);
}

/* What a trial must leave as it was. */
struct before {
	int files;
	size_t mapped;
};

static struct before note_before(void)
{
	return (struct before){open_files(), mapped_bytes()};
}

static void check_as_before(const struct before *before)
{
	assert_int_equal(open_files(), before->files);
	/* ASan keeps what is freed, and finds what is not. */
	if (!HAS_ASAN)
		assert_in_range(mapped_bytes(), 0, before->mapped + MIB);
}

/* Return: whether something failed, so that there may be more to fail. */
static bool trial(void (*scenario)(void), enum oom_kind kind, uint64_t count)
{
	struct before before = note_before();
	demi_heap_stats_t stats;
	bool fired;

	check_call(demi_init(NULL), 0);
	oom_arm(kind, count);
	scenario();
	fired = oom_fired();
	oom_disarm();
	check_call(demi_heap_stats(&stats), 0);
	assert_int_equal(stats.bytes_held_only, 0);
	assert_int_equal(stats.objects, 0);
	echo();
	demi_fini();
	check_as_before(&before);
	return fired;
}

static void trials(void (*scenario)(void), uint64_t step)
{
	for (int kind = 0; kind < OOM_KINDS; kind++) {
		uint64_t count = 0;

		while (trial(scenario, kind, count)) {
			count += count < EACH_OF ? 1 : step;
			assert_true(count < TRIALS_MAX);
		}
		print_message("kind %d: %llu calls\n", kind, (unsigned long long)count);
	}
}

static void oom__streams(void **state)
{
	(void)state;
	trials(streams, 11);
}

static void oom__many_streams(void **state)
{
	(void)state;
	trials(many_streams, 7);
}

static void oom__datagrams(void **state)
{
	(void)state;
	trials(datagrams, 7);
}

static void oom__files(void **state)
{
	(void)state;
	trials(files, 11);
}

static void oom__memory_queues(void **state)
{
	(void)state;
	trials(memory_queues, 23);
}

static void oom__waits(void **state)
{
	(void)state;
	trials(waits, 61);
}

static void oom__objects(void **state)
{
	(void)state;
	trials(objects, 1);
}

static void oom__with_protection(void **state)
{
	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	print_message("datagrams\n");
	trials(datagrams, 7);
	print_message("memory queues\n");
	trials(memory_queues, 61);
	print_message("files\n");
	trials(files, 29);
	print_message("many streams\n");
	trials(many_streams, 13);
}

/* ---- Beginning and end ---- */

static bool trial_of_init(enum oom_kind kind, uint64_t count)
{
	struct before before = note_before();
	bool fired;
	int error;

	oom_arm(kind, count);
	error = demi_init(NULL);
	fired = oom_fired();
	oom_disarm();
	check_either(error, 0, ENOMEM);
	if (!fired)
		check_call(error, 0);
	if (error) {
		demi_sgarray_t sga;

		check_call(demi_queue(&(int){0}), ENOSYS);
		sga = demi_sgaalloc(1);
		assert_null(sga.sga_buf);
		/* The next one succeeds. */
		check_call(demi_init(NULL), 0);
	}
	echo();
	oom_arm(kind == OOM_HEAP ? OOM_FROM : kind, count);
	demi_fini();
	oom_disarm();
	check_as_before(&before);
	return fired;
}

static void trials_of_init(void)
{
	for (int kind = 0; kind < OOM_HEAP; kind++) {
		uint64_t count = 0;

		while (trial_of_init(kind, count))
			assert_true(++count < TRIALS_MAX);
		print_message("kind %d: %llu calls\n", kind, (unsigned long long)count);
	}
}

static void oom__init_and_fini(void **state)
{
	(void)state;
	trials_of_init();
	option_set("DEMI_HEAP_PROTECT", "on");
	trials_of_init();
	options_restore();
	option_set("DEMI_HEAP_HUGE_PAGES", "off");
	option_set("DEMI_HEAP_LOCK", "off");
	trials_of_init();
}

static void oom__init_with_a_configuration_file(void **state)
{
	char path[128];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/oom.yaml", directory());
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("heap:\n  max_bytes: 64M\n  lock: off\nqueue:\n  elements_max: 100\n", file);
	fclose(file);
	option_set("CONFIG_PATH", path);
	trials_of_init();
}

/* The heap of threads without a runtime, which is made by the first allocation. */
static void oom__objects_without_runtime(void **state)
{
	(void)state;
	for (int kind = 0; kind < OOM_HEAP; kind++) {
		for (uint64_t count = 0;; count++) {
			oom_arm(kind, count);
			objects();
			if (!oom_fired())
				break;
			oom_disarm();
		}
		oom_disarm();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		/* First, as long as the heap is not there. */
		cmocka_unit_test_teardown(oom__objects_without_runtime, teardown),
		cmocka_unit_test_teardown(oom__init_and_fini, teardown),
		cmocka_unit_test_teardown(oom__init_with_a_configuration_file, teardown),
		cmocka_unit_test_teardown(oom__objects, teardown),
		cmocka_unit_test_teardown(oom__memory_queues, teardown),
		cmocka_unit_test_teardown(oom__waits, teardown),
		cmocka_unit_test_teardown(oom__datagrams, teardown),
		cmocka_unit_test_teardown(oom__files, teardown),
		cmocka_unit_test_teardown(oom__many_streams, teardown),
		cmocka_unit_test_teardown(oom__streams, teardown),
		cmocka_unit_test_teardown(oom__with_protection, teardown),
	};

	/* What is freed goes back at once, so that what is mapped can be compared. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	return suite_main("oom", true, "memory", tests, COUNT_OF(tests));
}
