/* SPDX-License-Identifier: MIT */
/*
 * heap.protect: on. A write to the memory of a pending push ends the program, at once or when the
 * push is complete, with a report that says which; everything that is legal goes on working.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define FILLER (8 * MIB) /* more than two socket buffers take */

/* A connection whose pushes stay pending until the server reads. */
static struct pair pair;
static demi_qtoken_t filler;

static void backlog_open(void)
{
	demi_sgarray_t sga;

	pair_open(&pair, &transport_ipv4);
	sga = sga_pattern(FILLER, 1, 0);
	filler = push_sga(pair.client, &sga);
	check_call(demi_sgafree(&sga), 0);
	check_pending(filler);
}

static void backlog_read(size_t more)
{
	stream_expect(pair.server, FILLER + more, 1, 0);
	await_opcode(filler, DEMI_OPC_PUSH);
}

/* ---- Writes that are caught ---- */

demi_qtoken_t protect_test_pushes(const demi_sgarray_t *sga);

/* Not static, so that the report can name it. */
__attribute__((noinline, visibility("default"))) demi_qtoken_t
protect_test_pushes(const demi_sgarray_t *sga)
{
	demi_qtoken_t qt = 0;

	check_call(demi_push(&qt, pair.client, sga), 0);
	dprintf(STDERR_FILENO, "expected: qtoken 0x%llx on descriptor %d,\n",
		(unsigned long long)qt, pair.client);
	return qt;
}

/* What is in the segment is written to at @offset; then the push is completed. */
struct write {
	const char *name;
	size_t object;  /* bytes */
	size_t start;   /* of the segment in it */
	size_t length;  /* of the segment */
	size_t offset;  /* of the write in the segment */
	bool array;     /* of demi_sgaalloc */
	bool frees;     /* in front of the write */
	bool twice;     /* two pushes, of which one is completed in front of the write */
	bool elsewhere; /* by another thread */
};

static const struct write writes[] = {
	{"array, first byte", 5000, 0, 5000, 0, true, false, false, false},
	{"array, last byte", 5000, 0, 5000, 4999, true, false, false, false},
	{"array of one byte", 1, 0, 1, 0, true, false, false, false},
	{"array, small", 100, 0, 100, 50, true, false, false, false},
	{"array, large", 300000, 0, 300000, 150000, true, false, false, false},
	{"array, a part", 50000, 10000, 20000, 10000, true, false, false, false},
	{"array, a part, its first byte", 50000, 10001, 20000, 0, true, false, false, false},
	{"array, a part, its last byte", 50000, 10001, 20000, 19999, true, false, false, false},
	{"array, a part inside a page", 50000, 10001, 100, 50, true, false, false, false},
	{"array, freed", 5000, 0, 5000, 100, true, true, false, false},
	{"array, freed, small", 100, 0, 100, 99, true, true, false, false},
	{"array, freed, large", 300000, 0, 300000, 299999, true, true, false, false},
	{"array, by another thread", 5000, 0, 5000, 77, true, false, false, true},
	{"array, twice pushed", 5000, 0, 5000, 77, true, false, true, false},
	{"64 bytes", 64, 0, 64, 0, false, false, false, false},
	{"64 bytes, last one", 64, 0, 64, 63, false, false, false, false},
	{"64 bytes, a part", 64, 16, 16, 8, false, false, false, false},
	{"64 bytes, twice pushed", 64, 0, 64, 1, false, false, true, false},
	{"64 bytes, by another thread", 64, 0, 64, 1, false, false, false, true},
	{"5000 bytes", 5000, 0, 5000, 0, false, false, false, false},
	{"5000 bytes, page border", 5000, 0, 5000, 4096, false, false, false, false},
	{"5000 bytes, last one", 5000, 0, 5000, 4999, false, false, false, false},
	{"5000 bytes, twice pushed", 5000, 0, 5000, 1, false, false, true, false},
	{"300000 bytes", 300000, 0, 300000, 0, false, false, false, false},
	{"300000 bytes, last one", 300000, 0, 300000, 299999, false, false, false, false},
	{"300000 bytes, middle", 300000, 0, 300000, 123456, false, false, false, false},
	{"300000 bytes, a part", 300000, 100000, 100000, 1, false, false, false, false},
	{"300000 bytes, a part, last one", 300000, 100000, 100000, 99999, false, false, false,
	 false},
};

static void *write_byte(void *argument)
{
	volatile unsigned char *byte = argument;

	*byte = (unsigned char)~*byte;
	return NULL;
}

static void write_elsewhere(void *byte)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_byte, byte), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static demi_sgarray_t write_array(const struct write *write, demi_sgarray_t *whole)
{
	demi_sgarray_t sga;
	unsigned char *object;

	memset(whole, 0, sizeof(*whole));
	if (write->array) {
		*whole = demi_sgaalloc(write->object);
		sga = *whole;
		object = sga.sga_segs[0].sgaseg_buf;
	} else {
		object = demi_malloc(write->object);
		sga = sga_of(object, write->object);
	}
	pattern_fill(object + write->start, write->length, 1, FILLER);
	sga.sga_segs[0].sgaseg_buf = object + write->start;
	sga.sga_segs[0].sgaseg_len = (uint32_t)write->length;
	return sga;
}

static void do_write(void *argument)
{
	const struct write *write = argument;
	demi_sgarray_t whole, sga;
	unsigned char *byte;
	demi_qtoken_t qt;

	check_call(demi_init(NULL), 0);
	if (write->twice) {
		sga = write_array(write, &whole);
		backlog_open();
		qt = push_sga(pair.client, &sga);
		check_call(demi_cancel(qt), 0);
		await_error(qt, ECANCELED);
		qt = push_sga(pair.client, &sga);
		protect_test_pushes(&sga);
		check_call(demi_cancel(qt), 0);
		await_error(qt, ECANCELED);
	} else {
		backlog_open();
		sga = write_array(write, &whole);
		protect_test_pushes(&sga);
	}
	byte = (unsigned char *)sga.sga_segs[0].sgaseg_buf + write->offset;
	dprintf(STDERR_FILENO, "expected: write to %p,\n", (void *)byte);
	if (write->frees)
		check_call(demi_sgafree(&whole), 0);
	if (write->elsewhere)
		write_elsewhere(byte);
	else
		write_byte(byte);
	/* Not caught in the act: then it is when the push is complete. */
	for (;;)
		demi_sgafree(&(demi_sgarray_t){
			.sga_buf =
				await_opcode(pop(pair.server), DEMI_OPC_POP).qr_value.sga.sga_buf});
}

static void check_named(const struct child *child, const char *expected)
{
	const char *at = child->errors;

	while ((at = strstr(at, expected))) {
		char text[128];

		at += strlen("expected: ");
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, ",\n"), at);
		/* Once by the child itself, and again in the report. */
		if (child_count(child, text) >= 2)
			return;
	}
	print_error("%s", child->errors);
	fail_msg("the report has not what was %s", expected);
}

static void protect__write_to_a_pending_push_ends_the_program(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	for (size_t i = 0; i < COUNT_OF(writes); i++) {
		print_message("%s\n", writes[i].name);
		child_run(&child, do_write, (void *)(uintptr_t)&writes[i]);
		child_check_death(&child, SIGSEGV, SIGABRT);
		check_named(&child, "expected: write to");
		check_named(&child, "expected: qtoken");
		child_check_says(&child, "protect_test_pushes");
	}
}

/* A push to other queues than a stream. */
static void write_to_file_push(void *argument)
{
	demi_sgarray_t sga;
	char path[128];
	int qd;

	snprintf(path, sizeof(path), "%s/protect", (const char *)argument);
	check_call(demi_init(NULL), 0);
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	sga = sga_pattern(5000, 1, 0);
	push_sga(qd, &sga);
	write_byte(sga.sga_segs[0].sgaseg_buf);
}

static void write_to_queue_push(void *argument)
{
	demi_sgarray_t sga;
	int qd;

	(void)argument;
	check_call(demi_init(NULL), 0);
	check_call(demi_queue(&qd), 0);
	sga = sga_pattern(5000, 1, 0);
	push_sga(qd, &sga);
	push_sga(qd, &sga);
	write_byte(sga.sga_segs[0].sgaseg_buf);
}

static void protect__files_and_memory_queues_too(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	option_set("DEMI_QUEUE_ELEMENTS_MAX", "1");
	if (profile_get()->files) {
		child_run(&child, write_to_file_push, (void *)(uintptr_t)directory());
		child_check_death(&child, SIGSEGV, SIGABRT);
		child_check_says(&child, "descriptor 500");
	}
	child_run(&child, write_to_queue_push, NULL);
	child_check_death(&child, SIGSEGV, SIGABRT);
	child_check_says(&child, "descriptor 500");
}

/* ---- What is legal ---- */

static void write_after_completion(void *argument)
{
	const struct write *write = argument;
	demi_sgarray_t whole, sga;
	demi_qtoken_t qt;

	check_call(demi_init(NULL), 0);
	backlog_open();
	sga = write_array(write, &whole);
	qt = protect_test_pushes(&sga);
	/* Reading is allowed all the time. */
	pattern_check(sga.sga_segs[0].sgaseg_buf, write->length, 1, FILLER);
	backlog_read(write->length);
	await_opcode(qt, DEMI_OPC_PUSH);
	write_byte((unsigned char *)sga.sga_segs[0].sgaseg_buf + write->offset);
	memset(sga.sga_segs[0].sgaseg_buf, 7, write->length);
	if (write->array)
		check_call(demi_sgafree(&whole), 0);
	demi_fini();
}

static void write_beside(void *argument)
{
	const struct write *write = argument;
	demi_sgarray_t whole, sga;
	unsigned char *object;
	demi_qtoken_t qt;

	check_call(demi_init(NULL), 0);
	backlog_open();
	sga = write_array(write, &whole);
	object = (unsigned char *)sga.sga_segs[0].sgaseg_buf - write->start;
	qt = protect_test_pushes(&sga);
	memset(object, 7, write->start);
	memset(object + write->start + write->length, 7,
	       write->object - write->start - write->length);
	backlog_read(write->length);
	await_opcode(qt, DEMI_OPC_PUSH);
	memset(object, 8, write->object);
	demi_fini();
}

static void protect__legal_writes_go_on(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	for (size_t i = 0; i < COUNT_OF(writes); i++) {
		print_message("%s\n", writes[i].name);
		child_run(&child, write_after_completion, (void *)(uintptr_t)&writes[i]);
		child_check_exit(&child);
		child_run(&child, write_beside, (void *)(uintptr_t)&writes[i]);
		child_check_exit(&child);
	}
}

/* Buffers go round: popped, pushed on, freed, allocated again, written. */
static void echo_rounds(int in_push, int in_pop, int out_push, int out_pop, size_t most)
{
	for (size_t round = 0; round < 60; round++) {
		size_t size = 1 + round * 977 % most, done = 0;
		demi_qtoken_t sent = push_pattern(in_push, size, 2, 0), pushed = 0;

		while (done < size) {
			demi_qresult_t qr = await_opcode(pop(in_pop), DEMI_OPC_POP);

			size_t bytes = sga_bytes(&qr.qr_value.sga);

			/* The end of a file that the push has not reached yet is no message. */
			if (bytes > 0)
				pushed = push_sga(out_push, &qr.qr_value.sga);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			if (bytes > 0)
				await_opcode(pushed, DEMI_OPC_PUSH);
			done += bytes;
		}
		await_opcode(sent, DEMI_OPC_PUSH);
		stream_expect(out_pop, size, 2, 0);
	}
}

static void echo_tcp(void *argument)
{
	struct pair other;

	(void)argument;
	check_call(demi_init(NULL), 0);
	pair_open(&pair, &transport_ipv4);
	pair_open(&other, &transport_ipv4);
	echo_rounds(pair.client, pair.server, other.client, other.server, 300000);
	demi_fini();
}

static int datagram_to(const struct address *to)
{
	struct address own;
	int qd = socket_datagram(&transport_ipv4, &own);
	demi_qtoken_t qt;

	check_call(demi_connect(&qt, qd, &to->any, to->size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	return qd;
}

static void echo_udp(void *argument)
{
	struct address to[2];
	int pops[2];

	(void)argument;
	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < 2; i++)
		pops[i] = socket_datagram(&transport_ipv4, &to[i]);
	echo_rounds(datagram_to(&to[0]), pops[0], datagram_to(&to[1]), pops[1], 9000);
	demi_fini();
}

static void echo_files(void *argument)
{
	char path[128];
	int qds[2];

	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/protect.%zu", (const char *)argument, i);
		check_call(demi_open(&qds[i], path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	}
	echo_rounds(qds[0], qds[0], qds[1], qds[1], 100000);
	demi_fini();
}

static void echo_queues(void *argument)
{
	int qds[2];

	(void)argument;
	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < 2; i++)
		check_call(demi_queue(&qds[i]), 0);
	echo_rounds(qds[0], qds[0], qds[1], qds[1], 100000);
	demi_fini();
}

static void protect__echo_goes_on(void **state)
{
	static void (*const bodies[])(void *) = {echo_tcp, echo_udp, echo_files, echo_queues};
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		if (bodies[i] == echo_files && !profile_get()->files)
			continue;
		child_run(&child, bodies[i], (void *)(uintptr_t)directory());
		child_check_exit(&child);
		assert_string_equal(child.errors, "");
	}
}

/* Runtimes end with pushes pending, and begin again in the same memory. */
static void fini_with_pushes(void *argument)
{
	(void)argument;
	for (int round = 0; round < 5; round++) {
		unsigned char *object;
		demi_sgarray_t sga;

		check_call(demi_init(NULL), 0);
		backlog_open();
		push_pattern(pair.client, 5000, 1, 0);
		object = demi_malloc(20000);
		sga = sga_of(object, 20000);
		push_sga(pair.client, &sga);
		sga = sga_of(object + 5000, 10000);
		push_sga(pair.client, &sga);
		demi_fini();
		memset(object, round, 20000);
		demi_free(object);
	}
}

static void cancel_and_close(void *argument)
{
	demi_sgarray_t sga;
	demi_qtoken_t qts[2];

	(void)argument;
	check_call(demi_init(NULL), 0);
	backlog_open();
	sga = sga_pattern(50000, 1, 0);
	for (size_t i = 0; i < 2; i++)
		qts[i] = push_sga(pair.client, &sga);
	for (size_t i = 0; i < 2; i++) {
		check_call(demi_cancel(qts[i]), 0);
		await_error(qts[i], ECANCELED);
	}
	memset(sga.sga_segs[0].sgaseg_buf, 1, 50000);
	qts[0] = push_sga(pair.client, &sga);
	check_call(demi_close(pair.client), 0);
	await_error(qts[0], ECANCELED);
	memset(sga.sga_segs[0].sgaseg_buf, 2, 50000);
	check_call(demi_sgafree(&sga), 0);
	demi_fini();
}

/* A completed push of a buffer that another one still uses, and parts that share pages. */
static void parts_of_one_object(void *argument)
{
	demi_qtoken_t qts[30];
	unsigned char *object;

	(void)argument;
	check_call(demi_init(NULL), 0);
	backlog_open();
	object = demi_malloc(30000);
	pattern_fill(object, 30000, 1, FILLER);
	for (size_t i = 0; i < COUNT_OF(qts); i++) {
		demi_sgarray_t sga = sga_of(object + 1000 * i, 1000);

		qts[i] = push_sga(pair.client, &sga);
	}
	backlog_read(30000);
	for (size_t i = 0; i < COUNT_OF(qts); i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	memset(object, 3, 30000);
	demi_free(object);
	demi_fini();
}

#define MANY 10000

static void many_pushes(void *argument)
{
	static demi_qtoken_t qts[MANY];

	(void)argument;
	check_call(demi_init(NULL), 0);
	backlog_open();
	for (size_t i = 0; i < MANY; i++) {
		demi_sgarray_t sga = sga_pattern(100, 1, FILLER + 100 * i), spare;

		/* Pages between them that may be written to. */
		spare = demi_sgaalloc(100);
		qts[i] = push_sga(pair.client, &sga);
		memset(spare.sga_segs[0].sgaseg_buf, 1, 100);
		check_call(demi_sgafree(&sga), 0);
	}
	backlog_read(100 * MANY);
	for (size_t i = 0; i < MANY; i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	demi_fini();
}

/* Uses up what vm.max_map_count allows, but for a few. Return: whether it came so far. */
static bool exhaust_mappings(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 200000;
	char *range = mmap(NULL, pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(range != MAP_FAILED);
	for (size_t i = 0; i < pages; i += 2) {
		if (mprotect(range + i * page, page, PROT_READ) == 0)
			continue;
		/* Some must be left for others than this test. */
		for (size_t k = 2; k <= 40 && k <= i; k += 2)
			mprotect(range + (i - k) * page, page, PROT_NONE);
		return true;
	}
	return false;
}

static void pushes_without_mappings(void *argument)
{
	demi_qtoken_t qts[200];
	demi_sgarray_t sgas[200];
	unsigned char *object;

	(void)argument;
	check_call(demi_init(NULL), 0);
	backlog_open();
	object = demi_malloc(MIB);
	pattern_fill(object, MIB, 1, FILLER + 100 * 5000);
	for (size_t i = 0; i < 100; i++)
		sgas[i] = sga_pattern(5000, 1, FILLER + i * 5000);
	/* Side by side, so that one mapping has the pages of many. */
	for (size_t i = 0; i < 100; i++)
		qts[i] = push_sga(pair.client, &sgas[i]);
	if (!exhaust_mappings())
		_exit(EXIT_SKIPPED);
	for (size_t i = 100; i < 200; i++) {
		sgas[i] = sga_of(object + (i - 100) * 10000, 10000);
		qts[i] = push_sga(pair.client, &sgas[i]);
	}
	/* What is in the middle of them comes free first. */
	for (size_t i = 40; i < 60; i++) {
		check_call(demi_cancel(qts[i]), 0);
		await_error(qts[i], ECANCELED);
		memset(sgas[i].sga_segs[0].sgaseg_buf, 9, 5000);
	}
	for (size_t i = 0; i < 100; i++)
		check_call(demi_sgafree(&sgas[i]), 0);
	for (size_t i = 150; i < 160; i++) {
		check_call(demi_cancel(qts[i]), 0);
		await_error(qts[i], ECANCELED);
		/* The pages at its ends hold bytes of others, which are only compared. */
		memset(sgas[i].sga_segs[0].sgaseg_buf, 9, 10000);
	}
	demi_fini();
	memset(object, 1, MIB);
	demi_free(object);
}

static void protect__legal_uses_go_on(void **state)
{
	static const struct {
		const char *name;
		void (*body)(void *);
	} bodies[] = {
		{"fini with pushes pending", fini_with_pushes},
		{"cancel and close", cancel_and_close},
		{"parts of one object", parts_of_one_object},
		{"many pushes", many_pushes},
	};
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	/* Where TCP is the libOS's own, it keeps all of many_pushes. */
	option_set("DEMI_TCP_SEND_PIECES_MAX", "16384");
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		print_message("%s\n", bodies[i].name);
		child_run(&child, bodies[i].body, NULL);
		child_check_exit(&child);
		assert_string_equal(child.errors, "");
	}
}

static void protect__legal_uses_go_on_without_mappings(void **state)
{
	static struct child child;

	(void)state;
	skip_unless(!HAS_ASAN, "AddressSanitizer needs mappings of its own");
	option_set("DEMI_HEAP_PROTECT", "on");
	child_run(&child, pushes_without_mappings, NULL);
	skip_unless(!WIFEXITED(child.status) || WEXITSTATUS(child.status) != EXIT_SKIPPED,
		    "vm.max_map_count is too large to be reached");
	child_check_exit(&child);
}

/* ---- The application's own faults ---- */

static volatile sig_atomic_t own_faults;
static char *own_page;

static void own_handler(int number)
{
	(void)number;
	own_faults++;
	mprotect(own_page, 1, PROT_READ | PROT_WRITE);
}

static void own_action(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_addr != own_page || info->si_signo != number)
		_exit(4);
	own_handler(number);
}

static void own_faults_go_to_the_application(void *argument)
{
	struct sigaction action = {.sa_flags = argument ? SA_SIGINFO : 0};

	if (argument)
		action.sa_sigaction = own_action;
	else
		action.sa_handler = own_handler;
	own_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
	for (int round = 1; round <= 3; round++) {
		check_call(demi_init(NULL), 0);
		backlog_open();
		assert_int_equal(mprotect(own_page, 4096, PROT_NONE), 0);
		write_byte(own_page);
		assert_int_equal(own_faults, round);
		demi_fini();
	}
	/* And without a runtime. */
	assert_int_equal(mprotect(own_page, 4096, PROT_NONE), 0);
	write_byte(own_page);
	assert_int_equal(own_faults, 4);
}

static void own_fault_without_handler(void *argument)
{
	(void)argument;
	check_call(demi_init(NULL), 0);
	backlog_open();
	own_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	write_byte(own_page);
}

static void protect__the_applications_own_faults_stay_its_own(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	child_run(&child, own_faults_go_to_the_application, NULL);
	child_check_exit(&child);
	child_run(&child, own_faults_go_to_the_application, &child);
	child_check_exit(&child);
	assert_string_equal(child.errors, "");
	child_run(&child, own_fault_without_handler, NULL);
	child_check_death(&child, SIGSEGV, 0);
	assert_int_equal(child_count(&child, "demi:"), 0);
}

/* Ignoring the signal does not make a fault go away, nor the program hang. */
static void own_fault_ignored(void *argument)
{
	signal(SIGSEGV, SIG_IGN);
	own_fault_without_handler(argument);
}

static void protect__ignored_faults_end_the_program_all_the_same(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	child_run(&child, own_fault_ignored, NULL);
	child_check_death(&child, SIGSEGV, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(protect__write_to_a_pending_push_ends_the_program),
		TEST_RAW(protect__files_and_memory_queues_too),
		TEST_RAW(protect__legal_writes_go_on),
		TEST_RAW(protect__echo_goes_on),
		TEST_RAW(protect__legal_uses_go_on),
		TEST_RAW(protect__legal_uses_go_on_without_mappings),
		TEST_RAW(protect__the_applications_own_faults_stay_its_own),
		TEST_RAW(protect__ignored_faults_end_the_program_all_the_same),
	};

	return suite_main("protect", !profile_get() || profile_get()->tcp, "TCP", tests,
			  COUNT_OF(tests));
}
