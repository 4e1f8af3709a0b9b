/* SPDX-License-Identifier: MIT */
/*
 * fork(2) of a process with runtimes: the child has the parent's heap objects and none of its
 * runtimes, may start its own, and disturbs nothing of the parent's.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define FILLER (8 * MIB) /* more than two socket buffers take */

/* What a parent has when it forks. */
struct parent {
	struct pair pair;
	struct pair idle;
	demi_qtoken_t filler;
	demi_qtoken_t pending;
	demi_qtoken_t popping;
	unsigned char *objects[20];
	unsigned char *pushed;
	demi_sgarray_t array;
	int file;
	int queue;
};

static const size_t sizes[] = {1, 100, 5000, 60000, 300000};

static size_t size_of(size_t i)
{
	return sizes[i % COUNT_OF(sizes)];
}

static void parent_open(struct parent *parent)
{
	char path[128];
	demi_sgarray_t sga;

	pair_open(&parent->pair, &transport_ipv4);
	pair_open(&parent->idle, &transport_ipv4);
	for (size_t i = 0; i < COUNT_OF(parent->objects); i++) {
		parent->objects[i] = demi_malloc(size_of(i));
		pattern_fill(parent->objects[i], size_of(i), (unsigned int)i, 0);
	}
	parent->filler = push_pattern(parent->pair.client, FILLER, 1, 0);
	parent->pushed = demi_malloc(20000);
	pattern_fill(parent->pushed, 20000, 1, FILLER);
	sga = sga_of(parent->pushed, 20000);
	parent->pending = push_sga(parent->pair.client, &sga);
	parent->popping = pop(parent->idle.server);
	parent->array = sga_pattern(3000, 7, 0);
	check_call(demi_queue(&parent->queue), 0);
	if (!profile_get()->files)
		return;
	snprintf(path, sizeof(path), "%s/fork.%d", directory(), (int)getpid());
	check_call(demi_open(&parent->file, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	await_opcode(push_pattern(parent->file, 5000, 3, 0), DEMI_OPC_PUSH);
}

static void file_goes_on(int file)
{
	if (!profile_get()->files)
		return;
	await_opcode(push_pattern(file, 3000, 3, 5000), DEMI_OPC_PUSH);
	stream_expect(file, 8000, 3, 0);
}

/* Every byte comes, and every operation of before the fork completes. */
static void parent_goes_on(struct parent *parent)
{
	demi_qtoken_t qt;
	demi_qresult_t qr;

	stream_expect(parent->pair.server, FILLER + 20000, 1, 0);
	await_opcode(parent->filler, DEMI_OPC_PUSH);
	await_opcode(parent->pending, DEMI_OPC_PUSH);
	qt = push_pattern(parent->idle.client, 1000, 2, 0);
	qr = await_opcode(parent->popping, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 2, 0), 1000);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	for (int round = 0; round < 20; round++) {
		qt = push_pattern(parent->idle.server, 50000, 4, 0);
		stream_expect(parent->idle.client, 50000, 4, 0);
		await_opcode(qt, DEMI_OPC_PUSH);
	}
	file_goes_on(parent->file);
	pair_connect_at(parent->idle.listener, &parent->idle.address, &parent->pair.client,
			&parent->pair.server, __FILE__, __LINE__);
	qt = push_pattern(parent->pair.client, 10, 5, 0);
	stream_expect(parent->pair.server, 10, 5, 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	for (size_t i = 0; i < COUNT_OF(parent->objects); i++) {
		pattern_check(parent->objects[i], size_of(i), (unsigned int)i, 0);
		demi_free(parent->objects[i]);
	}
	pattern_check(parent->pushed, 20000, 1, FILLER);
	memset(parent->pushed, 1, 20000);
	demi_free(parent->pushed);
	pattern_check(parent->array.sga_segs[0].sgaseg_buf, 3000, 7, 0);
	check_call(demi_sgafree(&parent->array), 0);
}

/* ---- What a child does ---- */

static void child_uses_objects(const struct parent *parent)
{
	for (size_t i = 0; i < COUNT_OF(parent->objects); i++) {
		unsigned char *object = parent->objects[i];

		pattern_check(object, size_of(i), (unsigned int)i, 0);
		assert_true(demi_malloc_usable_size(object) >= size_of(i));
		memset(object, 0x11, size_of(i));
		if (i % 2) {
			object = demi_realloc(object, 2 * size_of(i));
			assert_non_null(object);
			assert_int_equal(object[0], 0x11);
		}
		demi_free(object);
	}
	/* Its push is the parent's: here it is memory as any other. */
	pattern_check(parent->pushed, 20000, 1, FILLER);
	memset(parent->pushed, 0x22, 20000);
	demi_free(parent->pushed);
	memset(parent->array.sga_segs[0].sgaseg_buf, 0x33, 3000);
	for (size_t i = 0; i < 100; i++) {
		unsigned char *object = demi_malloc(100 * i);

		assert_non_null(object);
		memset(object, 0x44, 100 * i);
		demi_free(object);
	}
}

static void child_has_no_runtime(struct parent *parent)
{
	struct timespec moment = milliseconds(1);
	demi_heap_stats_t stats;
	demi_sgarray_t sga;
	demi_qresult_t qr;
	demi_qtoken_t qt;
	int qd;

	check_call(demi_wait(&qr, parent->filler, &moment), ENOSYS);
	check_call(demi_wait_any(&qr, NULL, &parent->popping, 1, &moment), ENOSYS);
	check_call(demi_pop(&qt, parent->pair.server), ENOSYS);
	check_call(demi_push(&qt, parent->pair.client, &parent->array), ENOSYS);
	check_call(demi_close(parent->pair.client), ENOSYS);
	check_call(demi_aclose(&qt, parent->pair.client), ENOSYS);
	check_call(demi_cancel(parent->popping), ENOSYS);
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOSYS);
	check_call(demi_queue(&qd), ENOSYS);
	check_call(demi_heap_stats(&stats), ENOSYS);
	sga = parent->array;
	check_call(demi_sgafree(&sga), ENOSYS);
	assert_null(demi_sgaalloc(10).sga_buf);
	demi_fini();
}

static void child_has_a_runtime_of_its_own(void)
{
	struct pair pair;

	check_call(demi_init(NULL), 0);
	check_call(demi_init(NULL), EEXIST);
	pair_open(&pair, &transport_ipv4);
	for (int round = 0; round < 20; round++) {
		demi_qtoken_t qt = push_pattern(pair.client, 100000, 6, 0);

		stream_expect(pair.server, 100000, 6, 0);
		await_opcode(qt, DEMI_OPC_PUSH);
	}
	demi_fini();
}

static void child_body(void *argument)
{
	struct parent *parent = argument;

	child_has_no_runtime(parent);
	child_uses_objects(parent);
	child_has_a_runtime_of_its_own();
	child_has_a_runtime_of_its_own();
}

/* ---- Children beside the parent ---- */

/* A child that stays until it is told to go. */
struct companion {
	pid_t pid;
	int go; /* written to */
};

enum ending { ENDING_AT_ONCE, ENDING_EXIT };

static void companion_run(int ready, int go, void (*body)(void *), void *argument,
			  enum ending ending)
{
	char byte = 0;

	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	alarm(60);
	if (write(ready, &byte, 1) != 1)
		_exit(5);
	if (body)
		body(argument);
	while (read(go, &byte, 1) != 1)
		continue;
	if (ending == ENDING_AT_ONCE)
		_exit(0);
	exit(0);
}

/* When it returns the child is there and has let go of what is not its own. */
static void companion_start(struct companion *companion, void (*body)(void *), void *argument,
			    enum ending ending)
{
	int ready[2], go[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	fflush(stdout);
	companion->pid = fork();
	assert_true(companion->pid >= 0);
	if (companion->pid == 0)
		companion_run(ready[1], go[0], body, argument, ending);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	companion->go = go[1];
}

static void companion_end(struct companion *companion)
{
	char byte = 0;
	int status;

	assert_int_equal(write(companion->go, &byte, 1), 1);
	close(companion->go);
	assert_int_equal(waitpid(companion->pid, &status, 0), companion->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void start(bool protect)
{
	option_set("DEMI_HEAP_PROTECT", protect ? "on" : "off");
	check_call(demi_init(NULL), 0);
}

static void child_beside(bool protect)
{
	static struct child child;
	struct parent parent;

	start(protect);
	parent_open(&parent);
	child_run(&child, child_body, &parent);
	child_check_exit(&child);
	assert_string_equal(child.errors, "");
	parent_goes_on(&parent);
}

static void fork__child_uses_objects_and_starts_its_own_runtime(void **state)
{
	(void)state;
	child_beside(false);
}

static void fork__child_of_a_parent_with_protection(void **state)
{
	(void)state;
	child_beside(true);
}

/* Of several children each lives on while the parent does, and ends in its own way. */
static void fork__parent_goes_on_while_children_live(void **state)
{
	struct companion companions[6];

	(void)state;
	for (int protect = 0; protect < 2; protect++) {
		struct parent parent;

		start(protect);
		parent_open(&parent);
		for (size_t i = 0; i < COUNT_OF(companions); i++)
			companion_start(&companions[i], i % 3 ? child_body : NULL, &parent,
					i % 2 ? ENDING_AT_ONCE : ENDING_EXIT);
		for (size_t i = 0; i < COUNT_OF(companions) / 2; i++)
			companion_end(&companions[i]);
		parent_goes_on(&parent);
		for (size_t i = COUNT_OF(companions) / 2; i < COUNT_OF(companions); i++)
			companion_end(&companions[i]);
		demi_fini();
		options_restore();
	}
}

/* exit(3) of a child whose own runtime is not ended either. */
static void child_leaves_its_runtime(void *argument)
{
	struct pair pair;

	(void)argument;
	check_call(demi_init(NULL), 0);
	pair_open(&pair, &transport_ipv4);
	push_pattern(pair.client, FILLER, 6, 0);
	pop(pair.client);
}

static void fork__child_exits_with_a_runtime(void **state)
{
	struct companion companion;
	struct parent parent;

	(void)state;
	start(false);
	parent_open(&parent);
	companion_start(&companion, child_leaves_its_runtime, NULL, ENDING_EXIT);
	companion_end(&companion);
	parent_goes_on(&parent);
}

/* A grandchild of a child with its own runtime. */
static void child_forks_again(void *argument)
{
	struct companion companion;
	struct parent parent;

	(void)argument;
	check_call(demi_init(NULL), 0);
	parent_open(&parent);
	companion_start(&companion, child_body, &parent, ENDING_EXIT);
	companion_end(&companion);
	parent_goes_on(&parent);
	demi_fini();
}

static void fork__child_forks_again(void **state)
{
	struct companion companion;
	struct parent parent;

	(void)state;
	start(false);
	parent_open(&parent);
	companion_start(&companion, child_forks_again, NULL, ENDING_EXIT);
	companion_end(&companion);
	parent_goes_on(&parent);
}

/* Files under way in the kernel are the parent's. */
static void fork__file_pushes_under_way(void **state)
{
	demi_qtoken_t qts[40];
	struct companion companion;
	char path[128];
	int qd;

	(void)state;
	skip_unless(profile_get()->files, "no files");
	check_call(demi_init(NULL), 0);
	snprintf(path, sizeof(path), "%s/under-way", directory());
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	for (size_t i = 0; i < COUNT_OF(qts); i++) {
		qts[i] = push_pattern(qd, 50000, 3, 50000 * i);
		if (i == COUNT_OF(qts) / 2)
			drive();
	}
	companion_start(&companion, child_leaves_its_runtime, NULL, ENDING_EXIT);
	for (size_t i = 0; i < COUNT_OF(qts); i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
	stream_expect(qd, 50000 * COUNT_OF(qts), 3, 0);
	companion_end(&companion);
}

#define NEEDS_KERNEL_PEER() \
	skip_unless(profile_get()->kernel_peer, "plain sockets are no peers of this libOS")

/* ---- The end of a connection reaches the peer while a child lives ---- */

/* Reads a plain socket to its end. Return: bytes; -1: the end did not come. */
static ssize_t read_to_end(int fd)
{
	static unsigned char bytes[64 * KIB];
	int64_t end = now_ms() + 5000;
	ssize_t all = 0;

	while (now_ms() < end) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (got == 0)
			return all;
		if (got > 0)
			all += got;
		else
			drive();
	}
	return -1;
}

static void fork__close_reaches_the_peer_while_the_child_lives(void **state)
{
	struct companion companion;
	int listener, server, fd;
	TRANSPORT(transport, state);
	NEEDS_KERNEL_PEER();

	check_call(demi_init(NULL), 0);
	fd = peer_pair(transport, &listener, &server);
	companion_start(&companion, NULL, NULL, ENDING_AT_ONCE);
	await_opcode(push_pattern(server, 1000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(server), 0);
	assert_int_equal(read_to_end(fd), 1000);
	companion_end(&companion);
	close(fd);
}

static void fork__listener_closes_while_the_child_lives(void **state)
{
	struct companion companion;
	struct address address;
	demi_qtoken_t qt;
	int listener, qd;
	TRANSPORT(transport, state);

	check_call(demi_init(NULL), 0);
	listener = socket_listen(transport, &address);
	companion_start(&companion, NULL, NULL, ENDING_AT_ONCE);
	check_call(demi_close(listener), 0);
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
	await_error(qt, ECONNREFUSED);
	companion_end(&companion);
}

/* A close that was waiting for the peer when the process forked. */
static void fork__pending_aclose_reaches_the_peer_while_the_child_lives(void **state)
{
	struct companion companion;
	int listener, server, fd;
	demi_qtoken_t closing;
	TRANSPORT(transport, state);
	NEEDS_KERNEL_PEER();

	check_call(demi_init(NULL), 0);
	fd = peer_pair(transport, &listener, &server);
	push_pattern(server, FILLER, 1, 0);
	check_call(demi_aclose(&closing, server), 0);
	check_pending(closing);
	companion_start(&companion, NULL, NULL, ENDING_AT_ONCE);
	assert_int_equal(read_to_end(fd), FILLER);
	await_opcode(closing, DEMI_OPC_CLOSE);
	companion_end(&companion);
	close(fd);
}

/* ---- Several threads ---- */

static struct companion of_thread;

static void *fork_elsewhere(void *argument)
{
	(void)argument;
	companion_start(&of_thread, NULL, NULL, ENDING_AT_ONCE);
	return NULL;
}

static void *fork_elsewhere_with_runtime(void *argument)
{
	if (demi_init(NULL) != 0)
		return NULL;
	fork_elsewhere(argument);
	demi_fini();
	return NULL;
}

static void close_after_fork_by(void *(*run)(void *), const struct transport *transport)
{
	int listener, server, fd;
	pthread_t thread;

	check_call(demi_init(NULL), 0);
	fd = peer_pair(transport, &listener, &server);
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	await_opcode(push_pattern(server, 1000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(server), 0);
	assert_int_equal(read_to_end(fd), 1000);
	companion_end(&of_thread);
	close(fd);
	demi_fini();
}

static void fork__by_another_thread_leaves_the_connections_to_the_parent(void **state)
{
	TRANSPORT(transport, state);
	NEEDS_KERNEL_PEER();

	close_after_fork_by(fork_elsewhere, transport);
	close_after_fork_by(fork_elsewhere_with_runtime, transport);
}

static bool stop;
static unsigned int failures;

static void fail_unless(bool good)
{
	if (!good)
		__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

/* Threads that hold the locks of shared things as often as they can. */
static void *allocate_always(void *argument)
{
	(void)argument;
	for (size_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		void *object = demi_malloc(i % 3000);

		fail_unless(object);
		demi_free(object);
	}
	return NULL;
}

static void *start_always(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		demi_qtoken_t qt;
		demi_qresult_t qr;
		demi_sgarray_t sga;
		int qd = -1;

		fail_unless(demi_init(NULL) == 0);
		sga = demi_sgaalloc(3000);
		fail_unless(sga.sga_buf && demi_queue(&qd) == 0);
		fail_unless(demi_push(&qt, qd, &sga) == 0);
		fail_unless(demi_wait(&qr, qt, &wait_long) == 0);
		demi_fini();
	}
	return NULL;
}

static void *operate_always(void *argument)
{
	demi_qtoken_t qts[2];
	demi_qresult_t qrs[2];
	demi_sgarray_t sga;
	int qd = -1;

	(void)argument;
	fail_unless(demi_init(NULL) == 0 && demi_queue(&qd) == 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		sga = demi_sgaalloc(5000);
		fail_unless(sga.sga_buf && demi_pop(&qts[1], qd) == 0);
		fail_unless(demi_push(&qts[0], qd, &sga) == 0);
		fail_unless(demi_wait_all(qrs, qts, 2, &wait_long) == 0);
		fail_unless(demi_sgafree(&qrs[1].qr_value.sga) == 0);
		fail_unless(demi_sgafree(&sga) == 0);
	}
	demi_fini();
	return NULL;
}

static void child_of_many_threads(void *argument)
{
	void *object = demi_malloc(100);

	assert_non_null(object);
	demi_free(object);
	demi_free(argument);
	child_has_a_runtime_of_its_own();
}

static void fork__while_other_threads_work(void **state)
{
	static void *(*const runs[])(void *) = {allocate_always, allocate_always, start_always,
						operate_always};
	pthread_t threads[COUNT_OF(runs)];
	static struct child child;

	(void)state;
	skip_unless(!HAS_ASAN, "AddressSanitizer's own allocator may be locked in the child");
	for (int protect = 0; protect < 2; protect++) {
		start(protect);
		stop = false;
		for (size_t i = 0; i < COUNT_OF(runs); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, runs[i], NULL), 0);
		for (int round = 0; round < 12; round++) {
			void *object = demi_malloc(200);

			child_run(&child, child_of_many_threads, object);
			child_check_exit(&child);
			demi_free(object);
		}
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		for (size_t i = 0; i < COUNT_OF(runs); i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		demi_fini();
		options_restore();
		assert_int_equal(failures, 0);
	}
}

#define TEST_RAW_OVER(transport, function)                               \
	{                                                                \
		"[" #transport "] " #function, function, NULL, teardown, \
			(void *)(uintptr_t)&transport_##transport        \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(fork__child_uses_objects_and_starts_its_own_runtime),
		TEST_RAW(fork__child_of_a_parent_with_protection),
		TEST_RAW(fork__parent_goes_on_while_children_live),
		TEST_RAW(fork__child_exits_with_a_runtime),
		TEST_RAW(fork__child_forks_again),
		TEST_RAW(fork__file_pushes_under_way),
		TEST_RAW_OVER(ipv4, fork__close_reaches_the_peer_while_the_child_lives),
		TEST_RAW_OVER(unix, fork__close_reaches_the_peer_while_the_child_lives),
		TEST_RAW_OVER(ipv4, fork__listener_closes_while_the_child_lives),
		TEST_RAW_OVER(unix, fork__listener_closes_while_the_child_lives),
		TEST_RAW_OVER(ipv4, fork__pending_aclose_reaches_the_peer_while_the_child_lives),
		TEST_RAW_OVER(unix, fork__pending_aclose_reaches_the_peer_while_the_child_lives),
		TEST_RAW_OVER(ipv4, fork__by_another_thread_leaves_the_connections_to_the_parent),
		TEST_RAW_OVER(unix, fork__by_another_thread_leaves_the_connections_to_the_parent),
		TEST_RAW(fork__while_other_threads_work),
	};

	return suite_main("fork",
			  !profile_get() || (profile_get()->tcp && !profile_get()->keeps_forks_out),
			  "TCP, and runtimes of forks", tests, COUNT_OF(tests));
}
