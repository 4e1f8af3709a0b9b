/* SPDX-License-Identifier: MIT */
/* The store of logs as a program sees it: names, what outlives a runtime, and what the device is. */
#include "common.h"
#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void restart(void)
{
	demi_fini();
	check_call(demi_init(NULL), 0);
}

static void push_records(int qd, unsigned int count, unsigned int seed)
{
	for (unsigned int i = 0; i < count; i++)
		await_opcode(push_pattern(qd, 1000 + i, seed, i), DEMI_OPC_PUSH);
}

static void expect_records(int qd, unsigned int count, unsigned int seed)
{
	for (unsigned int i = 0; i < count; i++)
		record_expect(qd, 1000 + i, seed, i);
	stream_expect_end(qd);
}

static void check_missing(const char *name)
{
	int qd = -1;

	check_call(demi_open(&qd, name, O_RDONLY, 0), ENOENT);
}

/* ---- Durability ---- */

static void store__what_was_pushed_is_there_in_the_next_runtime(void **state)
{
	enum { LOGS = 10 };

	(void)state;
	for (unsigned int i = 0; i < LOGS; i++)
		push_records(log_open(log_name("kept", i), O_WRONLY | O_CREAT), 1 + i * 3, i);
	restart();
	for (unsigned int i = 0; i < LOGS; i++) {
		int qd = log_open(log_name("kept", i), O_RDWR);

		seek_to(qd, 0, SEEK_END, 1 + i * 3);
		seek_to(qd, 0, SEEK_SET, 0);
		expect_records(qd, 1 + i * 3, i);
		push_records(qd, 1, 99);
	}
	restart();
	for (unsigned int i = 0; i < LOGS; i++) {
		int qd = log_open(log_name("kept", i), O_RDWR);

		seek_to(qd, -1, SEEK_END, 1 + i * 3);
		expect_records(qd, 1, 99);
	}
}

/* The process is gone before anything could be tidied up. */
static void body_pushes_and_dies(void *argument)
{
	int qd;

	(void)argument;
	check_call(demi_init(NULL), 0);
	qd = log_open("killed", O_RDWR | O_CREAT);
	push_records(qd, 40, 1);
	check_call(demi_truncate(qd, 10), 0);
	raise(SIGKILL);
}

static void store__what_was_pushed_outlives_a_kill(void **state)
{
	struct child child;
	int qd, error;

	(void)state;
	skip_unless(disk_fresh(DISK_BYTES), "the device is no file");
	demi_fini();
	child_run(&child, body_pushes_and_dies, NULL);
	child_check_death(&child, SIGKILL, 0);
	/* The kernel lets go of what a killed process had in its rings when it comes to it. */
	for (int64_t limit = now_ms() + 10000; (error = demi_init(NULL)) == EBUSY;)
		assert_true(now_ms() < limit);
	check_call(error, 0);
	qd = log_open("killed", O_RDWR);
	seek_to(qd, 0, SEEK_CUR, 10);
	for (unsigned int i = 10; i < 40; i++)
		record_expect(qd, 1000 + i, 1, i);
	stream_expect_end(qd);
	push_records(qd, 3, 2);
	expect_records(qd, 3, 2);
}

static void store__numbers_outlive_a_runtime(void **state)
{
	int qd = log_open("numbers", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 20, 3);
	check_call(demi_truncate(qd, 20), 0);
	restart();
	qd = log_open("numbers", O_RDWR);
	seek_to(qd, 0, SEEK_CUR, 20);
	seek_to(qd, 0, SEEK_END, 20);
	push_records(qd, 2, 3);
	check_call(demi_truncate(qd, 21), 0);
	restart();
	qd = log_open("numbers", O_RDWR);
	seek_to(qd, 0, SEEK_CUR, 21);
	record_expect(qd, 1001, 3, 1);
	check_call(demi_seek(qd, 20, SEEK_SET, NULL), EINVAL);
}

/* ---- Names ---- */

static void store__open_errors(void **state)
{
	char name[DEMI_LOG_NAME_BYTES_MAX + 2];
	int qd = -1;

	(void)state;
	check_missing("missing");
	check_call(demi_open(&qd, "missing", O_RDWR | O_TRUNC, 0), ENOENT);
	check_call(demi_open(&qd, "", O_RDWR | O_CREAT, 0), EINVAL);
	log_open("there", O_RDWR | O_CREAT | O_EXCL);
	check_call(demi_open(&qd, "there", O_RDWR | O_CREAT | O_EXCL, 0), EEXIST);
	check_call(demi_open(&qd, "there", O_RDONLY | O_DIRECTORY, 0), EINVAL);
	check_call(demi_open(&qd, "there", O_ACCMODE, 0), EINVAL);
	check_call(demi_open(&qd, "there", -1, 0), EINVAL);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	check_call(demi_open(&qd, name, O_RDWR | O_CREAT, 0), ENAMETOOLONG);
	check_call(demi_rename("there", name), ENAMETOOLONG);
	name[DEMI_LOG_NAME_BYTES_MAX] = 0;
	push_records(log_open(name, O_RDWR | O_CREAT | O_CLOEXEC), 3, 4);
	/* A name is bytes: neither a path nor text. */
	push_records(log_open("/a/../b\n\xff", O_RDWR | O_CREAT), 2, 5);
	restart();
	expect_records(log_open(name, O_RDONLY), 3, 4);
	expect_records(log_open("/a/../b\n\xff", O_RDONLY), 2, 5);
	check_missing("/b\n\xff");
}

static void store__direction_must_fit(void **state)
{
	int writer = log_open("direction", O_WRONLY | O_CREAT);
	int reader = log_open("direction", O_RDONLY);
	demi_sgarray_t sga = sga_pattern(10, 6, 0);
	demi_qtoken_t qt;

	(void)state;
	check_call(demi_push(&qt, reader, &sga), EBADF);
	check_call(demi_pop(&qt, writer), EBADF);
	check_call(demi_sgafree(&sga), 0);
	stream_expect_end(reader);
}

static void store__socket_calls_are_refused(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int qd = log_open("socket", O_RDWR | O_CREAT);
	demi_sgarray_t sga = sga_pattern(10, 7, 0);
	demi_qtoken_t qt;

	(void)state;
	check_call(demi_bind(qd, (struct sockaddr *)&address, sizeof(address)), EOPNOTSUPP);
	check_call(demi_listen(qd, 1), EOPNOTSUPP);
	check_call(demi_accept(&qt, qd), EOPNOTSUPP);
	check_call(demi_shutdown(qd, SHUT_WR), EOPNOTSUPP);
	check_call(demi_pushto(&qt, qd, &sga, (struct sockaddr *)&address, sizeof(address)),
		   EOPNOTSUPP);
	check_call(demi_sgafree(&sga), 0);
	if (!profile_get()->tcp)
		check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), EOPNOTSUPP);
}

static void store__rename_takes_the_place_of_another(void **state)
{
	int old = log_open("old", O_RDWR | O_CREAT), new = log_open("new", O_RDWR | O_CREAT);

	(void)state;
	push_records(old, 4, 8);
	push_records(new, 2, 9);
	check_call(demi_rename("missing", "new"), ENOENT);
	check_call(demi_rename("old", ""), EINVAL);
	check_call(demi_rename("old", "old"), 0);
	check_call(demi_rename("old", "new"), 0);
	check_missing("old");
	/* Those that were open go on with what they had. */
	push_records(old, 1, 10);
	push_records(new, 1, 11);
	seek_to(new, 2, SEEK_SET, 2);
	expect_records(new, 1, 11);
	check_call(demi_close(new), 0);
	new = log_open("new", O_RDONLY);
	for (unsigned int i = 0; i < 4; i++)
		record_expect(new, 1000 + i, 8, i);
	record_expect(new, 1000, 10, 0);
	restart();
	check_missing("old");
	new = log_open("new", O_RDONLY);
	seek_to(new, 0, SEEK_END, 5);
}

static void store__unlink_frees_a_log_when_nobody_has_it(void **state)
{
	int qd = log_open("gone", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 5, 12);
	check_call(demi_unlink("missing"), ENOENT);
	check_call(demi_unlink("gone"), 0);
	check_call(demi_unlink("gone"), ENOENT);
	check_missing("gone");
	expect_records(qd, 5, 12);
	push_records(qd, 1, 13);
	expect_records(qd, 1, 13);
	/* Another one of the same name has nothing of it. */
	stream_expect_end(log_open("gone", O_RDWR | O_CREAT));
	restart();
	stream_expect_end(log_open("gone", O_RDONLY));
}

/* Of names that come and go nothing is left: neither in the catalogue nor on the disk. */
static void store__logs_come_and_go(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		int qd = log_open("comes", O_RDWR | O_CREAT | O_EXCL);

		await_opcode(push_pattern(qd, MIB, 14, i), DEMI_OPC_PUSH);
		record_expect(qd, MIB, 14, i);
		check_call(demi_close(qd), 0);
		if (i % 2)
			check_call(demi_rename("comes", "goes"), 0);
		check_call(demi_unlink(i % 2 ? "goes" : "comes"), 0);
	}
}

/* ---- The device ---- */

/* Returns how many records of a MiB it took. */
static unsigned int fill(int qd)
{
	for (unsigned int count = 0;; count++) {
		demi_sgarray_t sga = sga_pattern(MIB, 15, count);
		demi_qtoken_t qt = 0;
		int error = outcome(demi_push(&qt, qd, &sga), qt);

		check_call(demi_sgafree(&sga), 0);
		assert_true(count < DISK_BYTES / MIB);
		if (error == ENOSPC)
			return count;
		check_call(error, 0);
	}
}

static void store__full_device_is_enospc_and_truncate_frees(void **state)
{
	int qd = log_open("full", O_RDWR | O_CREAT);
	unsigned int count = fill(qd), again;

	(void)state;
	assert_true(count > DISK_BYTES / MIB / 2);
	for (unsigned int i = 0; i < count; i++)
		record_expect(qd, MIB, 15, i);
	stream_expect_end(qd);
	/* And after a start on the full device, as well. */
	restart();
	qd = log_open("full", O_RDWR);
	seek_to(qd, 0, SEEK_END, count);
	check_call(demi_truncate(qd, count), 0);
	again = fill(qd);
	assert_true(again + 2 >= count);
	for (unsigned int i = 0; i < again; i++)
		record_expect(qd, MIB, 15, i);
}

static void check_refused(int error)
{
	int qd;

	check_call(demi_init(NULL), error);
	check_call(demi_queue(&qd), ENOSYS);
}

static void store__device_that_is_none(void **state)
{
	(void)state;
	option_set("DEMI_BLK_DEV", "");
	check_refused(EINVAL);
	option_set("DEMI_BLK_DEV", "nosuch:thing");
	check_refused(ENOTSUP);
	if (!getenv("DEMI_TEST_DISK")) {
		option_set("DEMI_BLK_DEV", "uring:/nonexistent/disk");
		check_refused(ENOENT);
	}
}

static void store__device_that_is_too_small(void **state)
{
	(void)state;
	disk_fresh(256 * KIB);
	check_refused(ENOSPC);
	disk_fresh(DISK_BYTES);
	check_call(demi_init(NULL), 0);
}

/* What is on a disk is somebody's: it is not touched. */
static void store__device_with_foreign_content(void **state)
{
	char bytes[] = "somebody's data", seen[sizeof(bytes)] = {0};
	const char *path = disk_fresh(DISK_BYTES);
	int fd;

	(void)state;
	skip_unless(path, "the device is no file");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 512), sizeof(bytes));
	check_refused(EMEDIUMTYPE);
	assert_int_equal(pread(fd, seen, sizeof(seen), 512), sizeof(seen));
	assert_memory_equal(bytes, seen, sizeof(bytes));
	close(fd);
	disk_fresh(DISK_BYTES);
}

/* Reading is all that is left, and leaves no trace. */
static void store__device_that_is_only_read(void **state)
{
	int qd = log_open("read", O_RDWR | O_CREAT);
	demi_sgarray_t sga;
	demi_qtoken_t qt;

	(void)state;
	push_records(qd, 5, 17);
	check_call(demi_truncate(qd, 1), 0);
	option_set("DEMI_BLK_READ_ONLY", "on");
	restart();
	check_call(demi_open(&qd, "read", O_RDWR, 0), EROFS);
	check_call(demi_open(&qd, "read", O_WRONLY, 0), EROFS);
	check_call(demi_open(&qd, "read", O_RDONLY | O_TRUNC, 0), EROFS);
	check_call(demi_open(&qd, "another", O_RDONLY | O_CREAT, 0), EROFS);
	check_call(demi_unlink("read"), EROFS);
	check_call(demi_rename("read", "another"), EROFS);
	qd = log_open("read", O_RDONLY | O_CREAT);
	for (unsigned int i = 1; i < 5; i++)
		record_expect(qd, 1000 + i, 17, i);
	sga = sga_pattern(10, 17, 0);
	check_call(demi_push(&qt, qd, &sga), EBADF);
	check_call(demi_sgafree(&sga), 0);
	check_call(demi_truncate(qd, 2), EINVAL);
	option_set("DEMI_BLK_READ_ONLY", "off");
	restart();
	push_records(log_open("read", O_RDWR), 1, 17);
}

static void store__blank_device_that_is_only_read(void **state)
{
	(void)state;
	disk_fresh(DISK_BYTES);
	option_set("DEMI_BLK_READ_ONLY", "on");
	check_refused(ENODATA);
}

/* The kernel binds its rings to a thread; other devices go where they are taken. */
static void store__runtime_goes_with_its_device(void **state)
{
	demi_runtime_t *runtime;
	int qd = log_open("goes", O_RDWR | O_CREAT);

	(void)state;
	if (!getenv("DEMI_TEST_DISK")) {
		check_call(demi_detach(&runtime), EOPNOTSUPP);
	} else if (!profile_get()->kernel_peer) {
		check_call(demi_detach(&runtime), 0);
		check_call(demi_attach(runtime), 0);
	}
	push_records(qd, 1, 18);
}

static void body_finds_it_busy(void *argument)
{
	(void)argument;
	check_refused(EBUSY);
}

static void body_forks_and_leaves(void *argument)
{
	(void)argument;
	/* The parent's runtime is not ours. */
	check_call(demi_queue(&(int){0}), ENOSYS);
	exit(0);
}

static void store__device_has_one_process_at_a_time(void **state)
{
	demi_qtoken_t pushes[3];
	demi_qresult_t qr;
	struct child child;
	int qd, count;

	(void)state;
	skip_unless(disk_fresh(DISK_BYTES), "the device is no file");
	restart();
	qd = log_open("busy", O_RDWR | O_CREAT);
	push_records(qd, 3, 16);
	child_run(&child, body_finds_it_busy, NULL);
	child_check_exit(&child);
	child_check_says(&child, "another process");
	/* A child that ends leaves the parent's logs alone, and what is on its way. */
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_pattern(qd, 1000 + i, 16, i);
	check_call(demi_wait_next_n(&qr, 1, &count, &wait_none), ETIMEDOUT);
	child_run(&child, body_forks_and_leaves, NULL);
	child_check_exit(&child);
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	push_records(qd, 3, 16);
	seek_to(qd, 0, SEEK_SET, 0);
	for (int i = 0; i < 3; i++) {
		for (unsigned int record = 0; record < 3; record++)
			record_expect(qd, 1000 + record, 16, record);
	}
	stream_expect_end(qd);
}

static void *start_too(void *error)
{
	*(int *)error = demi_init(NULL);
	return NULL;
}

/* Of the runtimes of one process one has it, too; the other is told, and the first goes on. */
static void store__device_has_one_runtime_at_a_time(void **state)
{
	pthread_t thread;
	int qd, error = 0;

	(void)state;
	skip_unless(!profile_get()->tcp, "its network is told of first");
	qd = log_open("alone", O_RDWR | O_CREAT);
	push_records(qd, 2, 19);
	assert_int_equal(pthread_create(&thread, NULL, start_too, &error), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(error, EBUSY);
	push_records(qd, 2, 19);
	demi_close(qd);
	qd = log_open("alone", O_RDONLY);
	for (unsigned int i = 0; i < 4; i++)
		record_expect(qd, 1000 + i % 2, 19, i % 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_LOGS(store__what_was_pushed_is_there_in_the_next_runtime),
		TEST_LOGS(store__what_was_pushed_outlives_a_kill),
		TEST_LOGS(store__numbers_outlive_a_runtime),
		TEST_LOGS(store__open_errors),
		TEST_LOGS(store__direction_must_fit),
		TEST_LOGS(store__socket_calls_are_refused),
		TEST_LOGS(store__rename_takes_the_place_of_another),
		TEST_LOGS(store__unlink_frees_a_log_when_nobody_has_it),
		TEST_LOGS(store__logs_come_and_go),
		TEST_LOGS(store__full_device_is_enospc_and_truncate_frees),
		TEST_RAW(store__device_that_is_none),
		TEST_RAW(store__device_that_is_too_small),
		TEST_RAW(store__device_with_foreign_content),
		TEST_LOGS(store__device_that_is_only_read),
		TEST_RAW(store__blank_device_that_is_only_read),
		TEST_LOGS(store__runtime_goes_with_its_device),
		TEST_LOGS(store__device_has_one_process_at_a_time),
		TEST_LOGS(store__device_has_one_runtime_at_a_time),
	};

	return suite_main("log_store", !profile_get() || profile_get()->logs, "logs", tests,
			  COUNT_OF(tests));
}
