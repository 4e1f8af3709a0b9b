/* SPDX-License-Identifier: MIT */
/*
 * The append-only file on logs (apps/redis/journal.h), by itself: on catnap+cattree, the store in a file of
 * the folder that the test runs in, anew each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include <server.h>

#define DEMI_REDIS_JOURNAL_ITSELF
#include "endpoint_table.h"
#include "journal.h"

#define LOG "appendonlydir/test.1.incr.aof"
#define OTHER "appendonlydir/other.1.incr.aof"
#define PLAIN "journal_test.base.rdb"
#define BYTES_MAX (1u << 20)

static unsigned int fsync_jobs, close_jobs;

/* ---- What Redis has ---- */

void *zcalloc(size_t bytes)
{
	return demi_calloc(1, bytes);
}

sds sdsempty(void)
{
	return demi_calloc(1, 256);
}

sds sdscatfmt(sds text, const char *format, const char *value)
{
	assert_string_equal(format, "%s.cut");
	snprintf(text, 256, "%s.cut", value);
	return text;
}

void sdsfree(sds text)
{
	demi_free(text);
}

void bioCreateFsyncJob(int fd)
{
	assert_true(fd >= 0);
	fsync_jobs++;
}

void bioCreateCloseJob(int fd, int need_fsync)
{
	assert_true(need_fsync == 0 || need_fsync == 1);
	close_jobs++;
	close(fd);
}

void serverLog(int level, const char *format, ...)
{
	fail_msg("Redis would log %s (%d)", format, level);
}

int bg_unlink(const char *path)
{
	return unlink(path);
}

/* ---- Steps ---- */

static char byte_at(size_t place)
{
	return (char)(place * 7 + place / 251);
}

/* @bytes of the pattern from @place on, in memory that goes right after the write. */
static void write_some(int fd, size_t place, size_t bytes)
{
	char *text = demi_malloc(bytes);

	assert_non_null(text);
	for (size_t i = 0; i < bytes; i++)
		text[i] = byte_at(place + i);
	assert_int_equal(journal_write(fd, text, bytes), bytes);
	demi_free(text);
}

static void read_all(const char *path, size_t bytes)
{
	static char text[BYTES_MAX];
	FILE *file = journal_fopen(path, "r");

	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(text[i], byte_at(i));
	assert_true(feof(file));
	assert_int_equal(fclose(file), 0);
}

static int open_new(const char *path)
{
	int fd = journal_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* ---- Tests ---- */

/* About the size from which on memory is written where it lies, and many before anybody waits. */
static void journal_write__gives_back_what_it_was_given(void **state)
{
	static const size_t sizes[] = {1, 3999, 4000, 4001, 17, 65536, 100001, 1};
	int fd = open_new(LOG);
	size_t place = 0;

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			write_some(fd, place, sizes[i]);
			place += sizes[i];
		}
		assert_int_equal(journal_fdatasync(fd), 0);
		read_all(LOG, place);
	}
	assert_int_equal(journal_close(fd), 0);
	read_all(LOG, place);
	/* It goes on where it ended. */
	fd = journal_open(LOG, O_WRONLY | O_APPEND | O_CREAT, 0600);
	assert_true(fd >= 0);
	write_some(fd, place, 5000);
	assert_int_equal(journal_close(fd), 0);
	read_all(LOG, place + 5000);
	assert_int_equal(journal_unlink(LOG), 0);
}

static void journal_fopen__seeks_to_its_start(void **state)
{
	int fd = open_new(LOG);
	char text[5];
	FILE *file;

	(void)state;
	write_some(fd, 0, 9000);
	assert_int_equal(journal_close(fd), 0);
	file = journal_fopen(LOG, "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), sizeof(text));
	assert_int_equal(fseek(file, 0, SEEK_SET), 0);
	assert_int_equal(fgetc(file), byte_at(0));
	fclose(file);
	assert_int_equal(journal_unlink(LOG), 0);
	assert_null(journal_fopen(LOG, "r"));
	assert_int_equal(errno, ENOENT);
}

static void journal_stat__knows_names(void **state)
{
	struct stat found;
	int fd;

	(void)state;
	assert_int_equal(journal_stat(LOG, &found), -1);
	assert_int_equal(errno, ENOENT);
	assert_false(journal_exists(LOG));
	fd = open_new(LOG);
	assert_int_equal(journal_stat(LOG, &found), 0);
	assert_int_equal(found.st_size, 0);
	write_some(fd, 0, 4321);
	assert_int_equal(journal_fdatasync(fd), 0);
	assert_int_equal(journal_stat(LOG, &found), 0);
	assert_true(found.st_size >= 4321);
	assert_true(S_ISREG(found.st_mode));
	assert_int_equal(journal_close(fd), 0);
	assert_int_equal(journal_rename(LOG, OTHER), 0);
	assert_false(journal_exists(LOG));
	read_all(OTHER, 4321);
	assert_int_equal(journal_unlink(OTHER), 0);
	assert_false(journal_exists(OTHER));
	assert_int_equal(journal_unlink(OTHER), -1);
	assert_int_equal(errno, ENOENT);
}

/* As redis-server does with a file whose end a crash has cut. */
static void journal_truncate__keeps_the_start(void **state)
{
	static const off_t kept[] = {150000, 65536, 4001, 1, 0};
	int fd = open_new(LOG);

	(void)state;
	write_some(fd, 0, 100000);
	write_some(fd, 100000, 100000);
	assert_int_equal(journal_close(fd), 0);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		assert_int_equal(journal_truncate(LOG, kept[i]), 0);
		read_all(LOG, (size_t)kept[i]);
	}
	assert_int_equal(journal_unlink(LOG), 0);
}

/* Until the records are durable nobody hears of anything; and the call does not wait for them. */
static void journal_commit__holds_until_it_is_durable(void **state)
{
	int one = open_new(LOG), two = open_new(OTHER);

	(void)state;
	assert_int_equal(journal_commit(one), 0);
	assert_false(endpoint_is_held());
	for (size_t i = 0; i < 20; i++) {
		write_some(one, i * 5000, 5000);
		assert_int_equal(journal_commit(one), 0);
		assert_true(endpoint_is_held());
		write_some(two, i * 100, 100);
		assert_int_equal(journal_commit(two), 0);
		if (i % 3 == 0)
			endpoint_look();
	}
	assert_true(endpoint_is_held());
	for (int i = 0; i < 1000000 && endpoint_is_held(); i++)
		endpoint_look();
	assert_false(endpoint_is_held());
	read_all(LOG, 100000);
	read_all(OTHER, 2000);
	/* To wait for it is to end it. */
	write_some(one, 100000, 100);
	assert_int_equal(journal_commit(one), 0);
	assert_true(endpoint_is_held());
	endpoint_settle();
	assert_false(endpoint_is_held());
	write_some(one, 100100, 100);
	assert_int_equal(journal_commit(one), 0);
	assert_int_equal(journal_close(one), 0);
	assert_false(endpoint_is_held());
	assert_int_equal(journal_close(two), 0);
	read_all(LOG, 100200);
	assert_int_equal(journal_unlink(LOG), 0);
	assert_int_equal(journal_unlink(OTHER), 0);
}

/* Two logs at a time, one of which is closed while the other has records under way. */
static void journal_close__leaves_the_other_alone(void **state)
{
	int one = open_new(LOG), two = open_new(OTHER);

	(void)state;
	assert_int_not_equal(one, two);
	for (size_t i = 0; i < 50; i++) {
		write_some(one, i * 5000, 5000);
		write_some(two, i * 100, 100);
	}
	journal_background_fsync(two);
	journal_background_close(two, 1);
	assert_int_equal(fsync_jobs + close_jobs, 0);
	write_some(one, 250000, 1);
	assert_int_equal(journal_fdatasync(one), 0);
	assert_int_equal(journal_close(one), 0);
	read_all(LOG, 250001);
	read_all(OTHER, 5000);
	assert_int_equal(journal_unlink(LOG), 0);
	assert_int_equal(journal_unlink(OTHER), 0);
}

/* The base and the manifest are files. */
static void journal_open__leaves_other_files_to_the_kernel(void **state)
{
	struct stat found;
	int fd = open_new(PLAIN);

	(void)state;
	assert_int_equal(journal_write(fd, "text", 4), 4);
	assert_int_equal(journal_fdatasync(fd), 0);
	assert_int_equal(journal_lseek(fd, 0, SEEK_CUR), 4);
	assert_int_equal(journal_ftruncate(fd, 2), 0);
	assert_int_equal(stat(PLAIN, &found), 0);
	assert_int_equal(found.st_size, 2);
	journal_background_fsync(fd);
	journal_background_close(fd, 0);
	assert_int_equal(fsync_jobs, 1);
	assert_int_equal(close_jobs, 1);
	assert_int_equal(journal_unlink(PLAIN), 0);
	assert_int_equal(stat(PLAIN, &found), -1);
}

/* What @path has as a file of the kernel's; -1: there is none. */
static off_t bytes_of_file(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 ? found.st_size : -1;
}

/* As a server leaves it that had no logs: until it is emptied, or gone, it stays what it is. */
static void journal_open__goes_on_with_a_file_that_was_one(void **state)
{
	struct stat found;
	int fd;

	(void)state;
	assert_true(mkdir("appendonlydir", 0700) == 0 || errno == EEXIST);
	fd = open(LOG, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	write_some(fd, 0, 4321);
	close(fd);
	assert_false(journal_is_log(LOG));
	assert_true(journal_exists(LOG));
	assert_int_equal(journal_stat(LOG, &found), 0);
	assert_int_equal(found.st_size, 4321);
	read_all(LOG, 4321);
	fd = journal_open(LOG, O_WRONLY | O_APPEND | O_CREAT, 0600);
	assert_true(fd >= 0);
	write_some(fd, 4321, 1000);
	assert_int_equal(journal_commit(fd), 0);
	assert_false(endpoint_is_held());
	assert_int_equal(journal_close(fd), 0);
	read_all(LOG, 5321);
	assert_int_equal(journal_truncate(LOG, 5000), 0);
	assert_int_equal(bytes_of_file(LOG), 5000);
	assert_int_equal(journal_rename(LOG, OTHER), 0);
	assert_int_equal(journal_unlink(OTHER), 0);
	assert_int_equal(bytes_of_file(OTHER), -1);
	/* A new one is a log, also where such a file was left lying about. */
	fd = open(LOG, O_WRONLY | O_CREAT, 0600);
	write_some(fd, 0, 100);
	close(fd);
	fd = open_new(LOG);
	assert_int_equal(bytes_of_file(LOG), -1);
	write_some(fd, 0, 200);
	assert_int_equal(journal_close(fd), 0);
	assert_true(journal_is_log(LOG));
	read_all(LOG, 200);
	assert_int_equal(journal_unlink(LOG), 0);
}

static int setup(void **state)
{
	(void)state;
	endpoint_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(journal_write__gives_back_what_it_was_given),
		cmocka_unit_test(journal_fopen__seeks_to_its_start),
		cmocka_unit_test(journal_stat__knows_names),
		cmocka_unit_test(journal_truncate__keeps_the_start),
		cmocka_unit_test(journal_commit__holds_until_it_is_durable),
		cmocka_unit_test(journal_close__leaves_the_other_alone),
		cmocka_unit_test(journal_open__leaves_other_files_to_the_kernel),
		cmocka_unit_test(journal_open__goes_on_with_a_file_that_was_one),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
