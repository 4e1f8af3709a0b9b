/* SPDX-License-Identifier: MIT */
/* Life of a runtime: before it, twice, again, in two threads, with a bad configuration. */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static void init__every_call_before_it_is_enosys(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr *any = (struct sockaddr *)&address;
	uint8_t byte = 1;
	demi_sgarray_t sga = sga_of(&byte, 1);
	socklen_t size = sizeof(address);
	demi_qtoken_t qt = 0;
	demi_qresult_t qr;
	int qd = -1, value = 1, count = -1;
	demi_heap_stats_t stats;
	int64_t position;

	(void)state;
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), ENOSYS);
	check_call(demi_bind(500, any, sizeof(address)), ENOSYS);
	check_call(demi_listen(500, 1), ENOSYS);
	check_call(demi_accept(&qt, 500), ENOSYS);
	check_call(demi_connect(&qt, 500, any, sizeof(address)), ENOSYS);
	check_call(demi_close(500), ENOSYS);
	check_call(demi_aclose(&qt, 500), ENOSYS);
	check_call(demi_shutdown(500, SHUT_WR), ENOSYS);
	check_call(demi_push(&qt, 500, &sga), ENOSYS);
	check_call(demi_pushto(&qt, 500, &sga, any, sizeof(address)), ENOSYS);
	check_call(demi_pop(&qt, 500), ENOSYS);
	check_call(demi_cancel(1), ENOSYS);
	check_call(demi_setsockopt(500, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)), ENOSYS);
	size = sizeof(value);
	check_call(demi_getsockopt(500, SOL_SOCKET, SO_KEEPALIVE, &value, &size), ENOSYS);
	size = sizeof(address);
	check_call(demi_getpeername(500, any, &size), ENOSYS);
	check_call(demi_getsockname(500, any, &size), ENOSYS);
	check_call(demi_queue(&qd), ENOSYS);
	check_call(demi_open(&qd, "/dev/null", O_RDONLY, 0), ENOSYS);
	check_call(demi_creat(&qd, "/dev/null", 0600), ENOSYS);
	check_call(demi_seek(500, 0, SEEK_SET, &position), ENOSYS);
	check_call(demi_truncate(500, 0), ENOSYS);
	check_call(demi_rename("/dev/null", "/nonexistent/file"), ENOSYS);
	check_call(demi_unlink("/nonexistent/file"), ENOSYS);
	check_call(demi_wait(&qr, 1, &wait_none), ENOSYS);
	qt = 1;
	check_call(demi_wait_any(&qr, NULL, &qt, 1, &wait_none), ENOSYS);
	check_call(demi_wait_all(&qr, &qt, 1, &wait_none), ENOSYS);
	check_call(demi_wait_next_n(&qr, 1, &count, &wait_none), ENOSYS);
	check_call(demi_sgafree(&sga), ENOSYS);
	check_call(demi_sgaaddr(&sga, any, &size), ENOSYS);
	sga = demi_sgaalloc(100);
	assert_null(sga.sga_buf);
	assert_int_equal(sga.sga_numsegs, 0);
	demi_free(NULL);
	check_call(demi_heap_stats(&stats), ENOSYS);
	demi_fini();
}

static void init__second_is_eexist(void **state)
{
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd;

	(void)state;
	check_call(demi_queue(&qd), 0);
	qt = push_pattern(qd, 10, 1, 0);
	check_call(demi_init(NULL), EEXIST);
	check_call(demi_init(NULL), EEXIST);
	await_opcode(qt, DEMI_OPC_PUSH);
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 10);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void init__fini_and_init_again(void **state)
{
	demi_qtoken_t qt = 0;
	demi_qresult_t qr;
	int qd;

	(void)state;
	for (int i = 0; i < 50; i++) {
		check_call(demi_init(NULL), 0);
		if (i > 0)
			check_call(demi_wait(&qr, qt, &wait_none), EINVAL);
		check_call(demi_queue(&qd), 0);
		assert_true(qd >= 500);
		qt = pop(qd);
		await_opcode(push_pattern(qd, 10, 1, 0), DEMI_OPC_PUSH);
		qr = await_opcode(qt, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 10);
		demi_fini();
		check_call(demi_queue(&qd), ENOSYS);
		demi_fini();
	}
}

static void init__takes_arguments_and_keeps_none(void **state)
{
	char name[] = "program", option[] = "--verbose";
	char *argv[] = {name, option, NULL};
	struct demi_args args = {.argc = 2, .argv = argv, .callback = NULL};
	int qd;

	(void)state;
	check_call(demi_init(&args), 0);
	memset(name, 'x', sizeof(name) - 1);
	memset(&args, 0xff, sizeof(args));
	memset(argv, 0xff, sizeof(argv));
	check_call(demi_queue(&qd), 0);
	demi_fini();
	memset(&args, 0, sizeof(args));
	check_call(demi_init(&args), 0);
}

static void init__descriptors_start_at_500(void **state)
{
	int qd;

	(void)state;
	check_call(demi_queue(&qd), 0);
	assert_true(qd >= 500);
	if (!profile_get()->tcp)
		return;
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	assert_true(qd >= 500);
}

static void init__errno_is_never_set(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	demi_qtoken_t qt = 0;
	demi_qresult_t qr;
	struct pair pair;
	int qd = -1;

	skip_unless(profile_get()->tcp, "the libOS has no TCP");
	address_foreign(transport, &address);
	errno = 4321;
	check_call(demi_init(NULL), EEXIST);
	check_call(demi_close(-1), EBADF);
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	check_call(demi_bind(qd, &address.any, address.size), EADDRNOTAVAIL);
	check_call(demi_pop(&qt, qd), ENOTCONN);
	check_call(demi_wait(&qr, UINT64_MAX, &wait_none), EINVAL);
	check_fails(demi_open(&qd, "/nonexistent/file", O_RDONLY, 0));
	assert_int_equal(errno, 4321);
	pair_open(&pair, transport);
	check_pending(pop(pair.server));
	await_opcode(push_pattern(pair.client, 10, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(pair.server), 0);
	assert_int_equal(errno, 4321);
	demi_fini();
	assert_int_equal(errno, 4321);
}

/* ---- Threads ---- */

/* cmocka's checks belong to the main thread: these say what failed and leave. */
#define require(condition)                                                  \
	do {                                                                \
		if (!(condition))                                           \
			return (void *)(uintptr_t)("require: " #condition); \
	} while (0)

/* For calls: also says which errno it was. */
#define require_ok(call)                                      \
	do {                                                  \
		int error_ = (call);                          \
		if (error_)                                   \
			return require_failed(#call, error_); \
	} while (0)

static void *require_failed(const char *call, int error)
{
	char text[256], *copy;

	snprintf(text, sizeof(text), "%s: %s", call, strerrorname_np(error));
	/* It outlives the thread. */
	copy = strdup(text);
	return copy ? copy : (void *)(uintptr_t)call;
}

struct meeting {
	pthread_barrier_t barrier;
	struct address address;
	const struct transport *transport;
};

static void *thread_without_init(void *argument)
{
	int qd;

	(void)argument;
	require(demi_queue(&qd) == ENOSYS);
	demi_fini();
	return NULL;
}

static void init__is_for_its_thread_alone(void **state)
{
	pthread_t thread;
	void *failure;
	int qd;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, thread_without_init, NULL), 0);
	assert_int_equal(pthread_join(thread, &failure), 0);
	if (failure)
		fail_msg("%s", (const char *)failure);
	check_call(demi_queue(&qd), 0);
}

static void *thread_with_runtime(void *argument)
{
	pthread_barrier_t *barrier = argument;
	demi_sgarray_t sga;
	demi_qtoken_t pushing, popping;
	demi_qresult_t qr;
	int qd, error;

	error = demi_init(NULL);
	pthread_barrier_wait(barrier);
	require_ok(error);
	require(demi_init(NULL) == EEXIST);
	require_ok(demi_queue(&qd));
	for (int i = 0; i < 10000; i++) {
		int number;

		sga = demi_sgaalloc(100);
		require(sga.sga_buf != NULL);
		memcpy(sga.sga_segs[0].sgaseg_buf, &i, sizeof(i));
		require_ok(demi_pop(&popping, qd));
		require_ok(demi_push(&pushing, qd, &sga));
		require_ok(demi_sgafree(&sga));
		require_ok(demi_wait(&qr, pushing, &wait_long));
		require_ok(demi_wait(&qr, popping, &wait_long));
		require(qr.qr_opcode == DEMI_OPC_POP);
		memcpy(&number, qr.qr_value.sga.sga_segs[0].sgaseg_buf, sizeof(number));
		require(number == i);
		require_ok(demi_sgafree(&qr.qr_value.sga));
	}
	demi_fini();
	require(demi_queue(&qd) == ENOSYS);
	return NULL;
}

static void init__two_threads_have_runtimes_of_their_own(void **state)
{
	pthread_barrier_t barrier;
	pthread_t threads[2];
	void *failures[2];
	int qd;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, thread_with_runtime, &barrier),
				 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], &failures[i]), 0);
	pthread_barrier_destroy(&barrier);
	for (int i = 0; i < 2; i++) {
		if (failures[i])
			fail_msg("%s", (const char *)failures[i]);
	}
	/* The main thread's is still there. */
	check_call(demi_queue(&qd), 0);
}

#define MEETING_ROUNDS 500
#define MEETING_BYTES 64

static int wait_in_thread(demi_qresult_t *qr, demi_qtoken_t qt)
{
	int error = demi_wait(qr, qt, &wait_long);

	return error ? error : qr->qr_opcode == DEMI_OPC_FAILED ? (int)qr->qr_ret : 0;
}

static void *thread_server(void *argument)
{
	struct meeting *meeting = argument;
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int listener = -1, connection, error;

	address_fresh(meeting->transport, &meeting->address);
	error = demi_init(NULL);
	if (!error)
		error = demi_socket(&listener, meeting->transport->family, SOCK_STREAM, 0);
	if (!error)
		error = demi_bind(listener, &meeting->address.any, meeting->address.size);
	if (!error)
		error = demi_listen(listener, 1);
	if (!error) {
		meeting->address.size = sizeof(meeting->address.room);
		error = demi_getsockname(listener, &meeting->address.any, &meeting->address.size);
	}
	pthread_barrier_wait(&meeting->barrier);
	require_ok(error);
	require_ok(demi_accept(&qt, listener));
	require_ok(wait_in_thread(&qr, qt));
	connection = qr.qr_value.ares.qd;
	for (size_t echoed = 0; echoed < (size_t)MEETING_ROUNDS * MEETING_BYTES;) {
		require_ok(demi_pop(&qt, connection));
		require_ok(wait_in_thread(&qr, qt));
		require(sga_bytes(&qr.qr_value.sga) > 0);
		echoed += sga_bytes(&qr.qr_value.sga);
		require_ok(demi_push(&qt, connection, &qr.qr_value.sga));
		require_ok(demi_sgafree(&qr.qr_value.sga));
		require_ok(wait_in_thread(&qr, qt));
	}
	require_ok(demi_aclose(&qt, connection));
	require_ok(wait_in_thread(&qr, qt));
	demi_fini();
	return NULL;
}

static void *thread_client(void *argument)
{
	struct meeting *meeting = argument;
	uint8_t sent[MEETING_BYTES], received[MEETING_BYTES];
	demi_sgarray_t sga = sga_of(sent, sizeof(sent));
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd, error;

	error = demi_init(NULL);
	pthread_barrier_wait(&meeting->barrier);
	require_ok(error);
	require_ok(demi_socket(&qd, meeting->transport->family, SOCK_STREAM, 0));
	require_ok(demi_connect(&qt, qd, &meeting->address.any, meeting->address.size));
	require_ok(wait_in_thread(&qr, qt));
	for (int i = 0; i < MEETING_ROUNDS; i++) {
		memset(sent, i, sizeof(sent));
		require_ok(demi_push(&qt, qd, &sga));
		require_ok(wait_in_thread(&qr, qt));
		for (size_t done = 0; done < sizeof(received);) {
			size_t got;

			require_ok(demi_pop(&qt, qd));
			require_ok(wait_in_thread(&qr, qt));
			got = sga_bytes(&qr.qr_value.sga);
			require(got > 0 && done + got <= sizeof(received));
			require(qr.qr_value.sga.sga_numsegs == 1);
			memcpy(received + done, qr.qr_value.sga.sga_segs[0].sgaseg_buf, got);
			done += got;
			require_ok(demi_sgafree(&qr.qr_value.sga));
		}
		require(memcmp(sent, received, sizeof(sent)) == 0);
	}
	demi_fini();
	return NULL;
}

static void init__two_threads_talk_over_tcp(void **state)
{
	TRANSPORT(transport, state);
	struct meeting meeting = {.transport = transport};
	pthread_t server, client;
	void *failures[2];

	skip_unless(profile_get()->tcp, "the libOS has no TCP");
	skip_unless(profile_get()->shares_addresses, "each runtime needs addresses of its own");
	pthread_barrier_init(&meeting.barrier, NULL, 2);
	assert_int_equal(pthread_create(&server, NULL, thread_server, &meeting), 0);
	assert_int_equal(pthread_create(&client, NULL, thread_client, &meeting), 0);
	assert_int_equal(pthread_join(server, &failures[0]), 0);
	assert_int_equal(pthread_join(client, &failures[1]), 0);
	pthread_barrier_destroy(&meeting.barrier);
	for (int i = 0; i < 2; i++) {
		if (failures[i])
			fail_msg("%s: %s", i ? "client" : "server", (const char *)failures[i]);
	}
}

/* ---- Configuration ---- */

#define init_fails(error) init_fails_at((error), __FILE__, __LINE__)
static void init_fails_at(int expected, const char *file, int line)
{
	int qd;

	check_call_at(demi_init(NULL), expected, "demi_init", file, line);
	/* There is no runtime then, nor half of one. */
	check_call_at(demi_queue(&qd), ENOSYS, "demi_queue", file, line);
}

static void init__unknown_libos_is_enotsup(void **state)
{
	const char *before = getenv("LIBOS");
	int files = open_files();

	(void)state;
	option_set("LIBOS", "nosuch");
	init_fails(ENOTSUP);
	option_set("LIBOS", before);
	assert_int_equal(open_files(), files);
	check_call(demi_init(NULL), 0);
}

static void init__bad_values_are_einval(void **state)
{
	static const struct {
		const char *name, *value;
	} bad[] = {
		{"DEMI_CATNAP_ENGINE", "nosuch"},
		{"DEMI_RUNTIME_IDLE", "nosuch"},
		{"DEMI_RUNTIME_OPERATIONS_MAX", "many"},
		{"DEMI_RUNTIME_OPERATIONS_MAX", "-1"},
		{"DEMI_RUNTIME_OPERATIONS_MAX", "0"},
		{"DEMI_RUNTIME_OPERATIONS_MAX", "99999999999999999999"},
		{"DEMI_RUNTIME_QUEUES_MAX", "16 or so"},
		{"DEMI_HEAP_MAX_BYTES", "16Q"},
		{"DEMI_LOG_LEVEL", "loud"},
	};
	int files = open_files();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		option_set(bad[i].name, bad[i].value);
		print_message("%s=%s\n", bad[i].name, bad[i].value);
		init_fails(EINVAL);
		options_restore();
	}
	assert_int_equal(open_files(), files);
	check_call(demi_init(NULL), 0);
}

static const char *config_file(const char *text)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/demi.yaml", directory());
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

static void init__bad_config_file_is_an_error(void **state)
{
	static const char *const bad[] = {
		"runtime: [",
		"runtime:\n  no_such_key: 1\n",
		"no_such_section:\n  key: 1\n",
		"runtime:\n  queues_max: plenty\n",
		"runtime:\n  queues_max: -4\n",
		"runtime: 7\n",
		"catnap:\n  engine: nosuch\n",
		"- a\n- list\n",
	};
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/missing.yaml", directory());
	option_set("CONFIG_PATH", path);
	init_fails(ENOENT);
	option_set("CONFIG_PATH", directory());
	check_fails(demi_init(NULL));
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		setenv("CONFIG_PATH", config_file(bad[i]), 1);
		print_message("%s\n", bad[i]);
		init_fails(EINVAL);
	}
}

static int count_queues(void)
{
	int count = 0, qd;

	while (demi_queue(&qd) == 0 && count < 1000)
		count++;
	return count;
}

static void init__config_file_is_read_and_environment_wins(void **state)
{
	(void)state;
	option_set("CONFIG_PATH", config_file("runtime:\n  queues_max: 24\n"));
	check_call(demi_init(NULL), 0);
	assert_int_equal(count_queues(), 24);
	demi_fini();
	option_set("DEMI_RUNTIME_QUEUES_MAX", "12");
	check_call(demi_init(NULL), 0);
	assert_int_equal(count_queues(), 12);
}

static void init__empty_config_file_means_defaults(void **state)
{
	int qd;

	(void)state;
	option_set("CONFIG_PATH", config_file(""));
	check_call(demi_init(NULL), 0);
	check_call(demi_queue(&qd), 0);
	demi_fini();
	setenv("CONFIG_PATH", config_file("# nothing but a comment\n"), 1);
	check_call(demi_init(NULL), 0);
}

/* ---- The end ---- */

/* One of everything, open, pending and complete but not waited for. */
static void *leave_everything_open(void)
{
	const struct profile *profile = profile_get();
	const struct transport *transport = &transport_ipv4;
	demi_qtoken_t qt;
	int qd;

	if (profile->queues) {
		check_call(demi_queue(&qd), 0);
		push_pattern(qd, 100000, 1, 0);
		check_call(demi_queue(&qd), 0);
		pop(qd);
	}
	if (profile->udp) {
		struct address address;
		demi_sgarray_t sga = sga_pattern(1000, 2, 0);

		qd = socket_datagram(transport, &address);
		pop(qd);
		/* One datagram for the pop, one for the buffer of the socket. */
		check_call(demi_pushto(&qt, qd, &sga, &address.any, address.size), 0);
		check_call(demi_pushto(&qt, qd, &sga, &address.any, address.size), 0);
	}
	if (profile->tcp) {
		struct address address;
		struct pair pair;

		pair_open(&pair, transport);
		pop(pair.client);
		for (uint64_t i = 0; i < 64; i++)
			push_pattern(pair.client, 256 * KIB, 3, i * 256 * KIB);
		pop(pair.server);
		check_call(demi_accept(&qt, pair.listener), 0);

		pair_open(&pair, transport);
		for (uint64_t i = 0; i < 64; i++)
			push_pattern(pair.client, 256 * KIB, 3, i * 256 * KIB);
		check_call(demi_aclose(&qt, pair.client), 0);

		/* An accept that has a connection which nobody fetches. */
		qd = socket_listen(transport, &address);
		check_call(demi_accept(&qt, qd), 0);
		check_call(demi_socket(&qd, transport->family, SOCK_STREAM, 0), 0);
		check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
		drive();
	}
	if (profile->files) {
		char path[128];

		snprintf(path, sizeof(path), "%s/left-open", directory());
		check_call(demi_creat(&qd, path, 0600), 0);
		push_pattern(qd, 100000, 4, 0);
	}
	sga_pattern(5000, 5, 0);
	return demi_malloc(5000);
}

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER true
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER false
#endif

static void init__fini_leaks_nothing(void **state)
{
	size_t mapped = 0;
	int files = -1;
	void *object;

	(void)state;
	directory();
	/* The first rounds may warm up what a process has only once. */
	for (int round = 0; round < 40; round++) {
		check_call(demi_init(NULL), 0);
		object = leave_everything_open();
		demi_fini();
		memset(object, 1, 5000);
		demi_free(object);
		if (round == 7) {
			files = open_files();
			mapped = mapped_bytes();
		}
	}
	assert_int_equal(open_files(), files);
	/* The address sanitizer keeps freed memory for a while, and looks for leaks itself. */
	if (!ADDRESS_SANITIZER)
		assert_in_range(mapped_bytes(), 0, mapped + 16 * MIB);
}

static void init__fini_restores_the_file_descriptors(void **state)
{
	int files = open_files();

	(void)state;
	check_call(demi_init(NULL), 0);
	demi_fini();
	assert_int_equal(open_files(), files);
	check_call(demi_init(NULL), 0);
	demi_free(leave_everything_open());
	demi_fini();
	assert_int_equal(open_files(), files);
}

static void init__buffers_of_results_not_waited_for_are_freed_by_fini(void **state)
{
	int qd;

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	for (int round = 0; round < 20; round++) {
		check_call(demi_init(NULL), 0);
		check_call(demi_queue(&qd), 0);
		for (uint64_t i = 0; i < 8; i++) {
			push_pattern(qd, MIB, 1, i * MIB);
			pop(qd);
		}
		demi_fini();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(init__every_call_before_it_is_enosys),
		TEST(init__second_is_eexist),
		TEST_RAW(init__fini_and_init_again),
		TEST_RAW(init__takes_arguments_and_keeps_none),
		TEST(init__descriptors_start_at_500),
		TEST_OVER(ipv4, init__errno_is_never_set),
		TEST(init__is_for_its_thread_alone),
		TEST(init__two_threads_have_runtimes_of_their_own),
		TEST_OVER(ipv4, init__two_threads_talk_over_tcp),
		TEST_RAW(init__unknown_libos_is_enotsup),
		TEST_RAW(init__bad_values_are_einval),
		TEST_RAW(init__bad_config_file_is_an_error),
		TEST_RAW(init__config_file_is_read_and_environment_wins),
		TEST_RAW(init__empty_config_file_means_defaults),
		TEST_RAW(init__fini_leaks_nothing),
		TEST_RAW(init__fini_restores_the_file_descriptors),
		TEST_RAW(init__buffers_of_results_not_waited_for_are_freed_by_fini),
	};

	return suite_main("init", true, "runtime", tests, COUNT_OF(tests));
}
