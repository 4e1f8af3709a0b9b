/* SPDX-License-Identifier: MIT */
/* On a file in the current folder, and on a loop device where that may be made. */
#include "blkdev/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blkdev/request_testing.h"

#define MIB ((size_t)1 << 20)
#define FILE_BYTES (8 * MIB)
#define FILE_BLOCKS (FILE_BYTES / 4096)
#define WAIT_MS 20000

static struct heap *heap;
static struct blkdev *disk;
static char path[64];

static int heap_setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "./uring_test-%d.img", (int)getpid());
	return heap_create(&heap, &(struct heap_options){.bytes_max = (uint64_t)512 << 20});
}

static int heap_teardown(void **state)
{
	(void)state;
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static int open_name(const char *words)
{
	char name[256];

	snprintf(name, sizeof(name), "uring:%s%s", path, words);
	return blkdev_open(&disk, name, &(struct blkdev_options){.heap = heap});
}

/* A new file; skips the test where io_uring is not allowed. */
static void start(const char *words)
{
	char all[128];
	int error;

	snprintf(all, sizeof(all), ",size=8M%s", words);
	unlink(path);
	error = open_name(all);
	if (error == -ENOSYS || error == -EPERM) {
		print_message("io_uring is not allowed here\n");
		skip();
	}
	assert_int_equal(error, 0);
	test_ended = 0;
}

static void end(void)
{
	blkdev_close(disk);
	unlink(path);
}

/* Sleeps when there is nothing to do, as a libOS does. */
static void wait_until_done(const struct test_request *test)
{
	while (test->error == NOT_DONE) {
		bool sleep = true;
		struct pollfd wake = {.fd = disk->ops->idle_fd(disk, &sleep), .events = POLLIN};

		if (sleep)
			assert_int_equal(poll(&wake, 1, WAIT_MS), 1);
		blkdev_poll(disk, 0);
	}
}

static int finish(struct test_request *test)
{
	assert_int_equal(blkdev_submit(disk, &test->request, 0), 0);
	assert_int_equal(test->error, NOT_DONE);
	wait_until_done(test);
	return test->error;
}

static int do_write(uint64_t block, uint32_t blocks, int fill, bool durable)
{
	struct test_request write;
	int error;

	request_make(&write, disk, BLK_WRITE, block, blocks);
	memset(write.memory, fill, write.segment.iov_len);
	write.request.durable = durable;
	error = finish(&write);
	request_end(&write);
	return error;
}

/* Reads one block whose bytes are all the same; that byte, or the error; -1: they are not. */
static int do_read(uint64_t block)
{
	struct test_request read;
	int found;

	request_make(&read, disk, BLK_READ, block, 1);
	found = finish(&read);
	if (!found) {
		found = read.memory[0];
		for (uint32_t i = 1; i < read.segment.iov_len; i++)
			found = read.memory[i] == read.memory[0] ? found : -1;
	}
	request_end(&read);
	return found;
}

static int do_other(enum blk_operation operation, uint64_t block, uint32_t blocks)
{
	struct test_request test;

	request_make(&test, disk, operation, block, blocks);
	return finish(&test);
}

/* ---- Requests ---- */

static void uring__reads_what_was_written(void **state)
{
	struct stat status;

	(void)state;
	start("");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, FILE_BYTES);
	assert_true(status.st_blocks * 512 >= (off_t)FILE_BYTES);
	assert_int_equal(disk->caps.block_count, FILE_BLOCKS);
	assert_int_equal(disk->caps.block_bytes, 4096);
	assert_int_equal(disk->caps.depth, URING_DEPTH_DEFAULT);
	assert_true(disk->caps.polls_memory);
	assert_false(disk->caps.read_only);
	assert_int_equal(do_read(0), 0);
	assert_int_equal(do_write(0, 1, 'a', false), 0);
	assert_int_equal(do_write(FILE_BLOCKS - 1, 1, 'z', true), 0);
	assert_int_equal(do_read(0), 'a');
	assert_int_equal(do_read(FILE_BLOCKS - 1), 'z');
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	assert_int_equal(disk->counters.reads, 3);
	assert_int_equal(disk->counters.read_bytes, 3 * 4096);
	assert_int_equal(disk->counters.writes, 2);
	assert_int_equal(disk->counters.flushes, 1);
	assert_int_equal(disk->counters.errors, 0);
	blkdev_close(disk);
	assert_int_equal(open_name(""), 0);
	assert_int_equal(do_read(0), 'a');
	end();
}

static uint64_t random_state = 88172645463325252;

static uint32_t draw(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % bound;
}

#define LANES 8u
#define LANE_BLOCKS (FILE_BLOCKS / LANES)
#define SEGMENTS 9u

/* A request of a part of the disk that is its own. */
struct lane {
	struct test_request test;
	struct iovec segments[BLK_SEGMENTS_MAX];
	uint64_t first; /* of its part */
};

/* Cuts what is one segment into several, in another order in memory than on the disk. */
static void shape(struct lane *lane)
{
	uint32_t blocks = lane->test.request.block_count, at = 0, count = 0;
	unsigned char *memory_end = lane->test.memory + lane->test.segment.iov_len;

	while (at < blocks) {
		uint32_t piece = 1 + draw(blocks - at);

		if (count == SEGMENTS - 1)
			piece = blocks - at;
		memory_end -= (size_t)piece * 4096;
		lane->segments[count++] = (struct iovec){memory_end, (size_t)piece * 4096};
		at += piece;
	}
	lane->test.request.segments = lane->segments;
	lane->test.request.segment_count = (uint16_t)count;
}

static void lane_copy(const struct lane *lane, unsigned char *shadow, bool to_shadow)
{
	for (unsigned int i = 0; i < lane->test.request.segment_count; i++) {
		const struct iovec *segment = &lane->segments[i];

		if (to_shadow)
			memcpy(shadow, segment->iov_base, segment->iov_len);
		else
			assert_memory_equal(shadow, segment->iov_base, segment->iov_len);
		shadow += segment->iov_len;
	}
}

static void lane_step(struct lane *lane, unsigned char *shadow)
{
	uint32_t blocks = 1 + draw(draw(8) ? 12 : 256);
	uint64_t block = lane->first + draw((uint32_t)LANE_BLOCKS - blocks + 1);
	struct test_request *test = &lane->test;

	if (test->memory) {
		assert_int_equal(test->error, 0);
		if (test->request.operation == BLK_READ)
			lane_copy(lane, shadow + test->request.block * 4096, false);
		request_end(test);
	}
	request_make(test, disk, draw(2) ? BLK_WRITE : BLK_READ, block, blocks);
	shape(lane);
	if (test->request.operation == BLK_WRITE) {
		for (size_t i = 0; i < test->segment.iov_len; i += 8)
			memcpy(test->memory + i, &(uint64_t){random_state + i}, 8);
		test->request.durable = draw(16) == 0;
		lane_copy(lane, shadow + block * 4096, true);
	} else {
		memset(test->memory, 0xee, test->segment.iov_len);
	}
	assert_int_equal(blkdev_submit(disk, &test->request, 0), 0);
}

static void do_patterns(const char *words, unsigned int steps)
{
	unsigned char *shadow = calloc(1, FILE_BYTES);
	struct lane lanes[LANES];

	start(words);
	memset(lanes, 0, sizeof(lanes));
	for (unsigned int i = 0; i < steps; i++) {
		struct lane *lane = &lanes[draw(LANES)];

		lane->first = (uint64_t)(lane - lanes) * LANE_BLOCKS;
		if (lane->test.memory)
			wait_until_done(&lane->test);
		lane_step(lane, shadow);
	}
	for (unsigned int i = 0; i < LANES; i++) {
		if (!lanes[i].test.memory)
			continue;
		wait_until_done(&lanes[i].test);
		if (lanes[i].test.request.operation == BLK_READ)
			lane_copy(&lanes[i], shadow + lanes[i].test.request.block * 4096, false);
		request_end(&lanes[i].test);
	}
	end();
	free(shadow);
}

static void uring__moves_segments_of_any_shape(void **state)
{
	(void)state;
	do_patterns("", 600);
}

static void uring__moves_segments_through_the_page_cache(void **state)
{
	(void)state;
	do_patterns(",direct=off", 200);
}

static void uring__moves_segments_of_any_shape_whatever_makes_them_durable(void **state)
{
	(void)state;
	do_patterns(",durable=fua", 200);
	do_patterns(",durable=flush", 200);
	do_patterns(",durable=flush,poll=on", 200);
}

/* Commands tell it: a flush is one of its own, and begins only when the write has ended. */
static void uring__a_durable_write_is_flushed_as_it_is_told(void **state)
{
	(void)state;
	start(",durable=fua");
	assert_int_equal(do_write(7, 3, 'f', true), 0);
	assert_int_equal(disk->counters.commands, 1);
	end();
	start(",durable=flush");
	assert_int_equal(do_write(7, 3, 'w', false), 0);
	assert_int_equal(disk->counters.commands, 1);
	assert_int_equal(do_write(7, 3, 'd', true), 0);
	assert_int_equal(disk->counters.commands, 3);
	assert_int_equal(disk->counters.writes, 2);
	assert_int_equal(disk->counters.flushes, 0);
	assert_int_equal(do_read(9), 'd');
	assert_int_equal(disk->counters.errors, 0);
	end();
}

/* Here or with a warning by interrupts. */
static void uring__polls_where_it_can(void **state)
{
	(void)state;
	do_patterns(",poll=on", 200);
	start(",poll=on");
	assert_int_equal(do_write(1, 1, 'a', false), 0);
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	assert_int_equal(do_read(1), 'a');
	end();
}

static void uring__takes_memory_as_it_says(void **state)
{
	struct test_request write, read;

	(void)state;
	start("");
	/* Not aligned to more, and of all sizes. */
	request_make(&write, disk, BLK_WRITE, 3, 5);
	request_make(&read, disk, BLK_READ, 3, 4);
	write.segment.iov_base = write.memory + disk->caps.memory_alignment;
	write.segment.iov_len = 4 * 4096;
	write.request.block_count = 4;
	memset(write.memory, 'm', 5 * 4096);
	assert_int_equal(finish(&write), 0);
	assert_int_equal(finish(&read), 0);
	assert_memory_equal(read.memory, write.memory, 4 * 4096);
	request_end(&write);
	request_end(&read);
	end();
}

static void uring__takes_depth_requests_at_a_time(void **state)
{
	struct test_request reads[17];

	(void)state;
	start(",depth=16");
	assert_int_equal(disk->caps.depth, 16);
	for (unsigned int i = 0; i < 17; i++) {
		request_make(&reads[i], disk, BLK_READ, i, 1);
		assert_int_equal(blkdev_submit(disk, &reads[i].request, 0), i < 16 ? 0 : -EAGAIN);
	}
	assert_int_equal(disk->under_way, 16);
	wait_until_done(&reads[0]);
	assert_int_equal(finish(&reads[16]), 0);
	for (unsigned int i = 0; i < 17; i++) {
		wait_until_done(&reads[i]);
		assert_int_equal(reads[i].error, 0);
		request_end(&reads[i]);
	}
	assert_int_equal(disk->under_way, 0);
	end();
}

static unsigned int again;

static void submit_again(struct blk_request *request, int error)
{
	assert_int_equal(error, 0);
	if (++again < 40)
		assert_int_equal(blkdev_submit(disk, request, 0), 0);
}

static void uring__done_may_submit_and_poll_tells_how_many_ended(void **state)
{
	struct test_request read;
	unsigned int ended = 0;

	(void)state;
	start("");
	again = 0;
	request_make(&read, disk, BLK_READ, 0, 1);
	read.request.done = submit_again;
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	while (disk->under_way)
		ended += blkdev_poll(disk, 0);
	assert_int_equal(again, 40);
	assert_int_equal(ended, 40);
	assert_int_equal(blkdev_poll(disk, 0), 0);
	request_end(&read);
	end();
}

static void uring__splits_a_trim_from_what_is_beside_it(void **state)
{
	struct stat before, after;

	(void)state;
	start(",trim=on");
	assert_true(disk->caps.trim);
	assert_int_equal(do_write(0, 96, 't', true), 0);
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	stat(path, &before);
	assert_int_equal(do_other(BLK_TRIM, 32, 32), 0);
	stat(path, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(do_read(31), 't');
	assert_int_equal(do_read(64), 't');
	assert_int_equal(disk->counters.trims, 1);
	end();
	start("");
	assert_false(disk->caps.trim);
	end();
}

static void uring__a_file_that_has_become_shorter_is_an_error(void **state)
{
	(void)state;
	start("");
	assert_int_equal(truncate(path, FILE_BYTES / 2), 0);
	assert_int_equal(do_read(FILE_BLOCKS - 1), -EIO);
	assert_int_equal(do_read(0), 0);
	assert_int_equal(disk->counters.errors, 1);
	end();
}

/* Its end lies inside of the request: the part that is there is not taken for all. */
static void uring__half_a_read_is_an_error(void **state)
{
	struct test_request read;

	(void)state;
	start("");
	assert_int_equal(truncate(path, FILE_BYTES / 2), 0);
	request_make(&read, disk, BLK_READ, FILE_BLOCKS / 2 - 4, 8);
	assert_int_equal(finish(&read), -EIO);
	/* What was left over was asked for by a command of its own. */
	assert_int_equal(disk->counters.commands, 2);
	request_end(&read);
	end();
}

static void uring__close_ends_what_is_under_way(void **state)
{
	struct test_request writes[16];

	(void)state;
	start("");
	for (unsigned int i = 0; i < 16; i++) {
		request_make(&writes[i], disk, BLK_WRITE, 16 * i, 16);
		memset(writes[i].memory, 'c', writes[i].segment.iov_len);
		assert_int_equal(blkdev_submit(disk, &writes[i].request, 0), 0);
		if (i == 8)
			blkdev_poll(disk, 0);
	}
	end();
	for (unsigned int i = 0; i < 16; i++) {
		assert_true(writes[i].error == 0 || writes[i].error == -ECANCELED);
		request_end(&writes[i]);
	}
}

/* Some have been written, and wait for their flush. */
static void uring__close_ends_what_is_to_be_flushed(void **state)
{
	struct test_request writes[16];

	(void)state;
	start(",durable=flush");
	for (unsigned int i = 0; i < 16; i++) {
		request_make(&writes[i], disk, BLK_WRITE, i, 1);
		writes[i].request.durable = true;
		memset(writes[i].memory, 'c', writes[i].segment.iov_len);
		assert_int_equal(blkdev_submit(disk, &writes[i].request, 0), 0);
	}
	while (disk->counters.commands == 16)
		blkdev_poll(disk, 0);
	end();
	for (unsigned int i = 0; i < 16; i++) {
		assert_true(writes[i].error == 0 || writes[i].error == -ECANCELED);
		request_end(&writes[i]);
	}
}

static void uring__an_idle_device_has_a_descriptor_that_is_silent(void **state)
{
	struct pollfd wake = {.events = POLLIN};
	struct test_request read;
	bool sleep = false;

	(void)state;
	start("");
	wake.fd = disk->ops->idle_fd(disk, &sleep);
	assert_true(wake.fd >= 0 && sleep);
	assert_int_equal(poll(&wake, 1, 0), 0);
	for (unsigned int i = 0; i < 20; i++) {
		request_make(&read, disk, BLK_READ, i, 1);
		assert_int_equal(finish(&read), 0);
		/* Whatever woke us is over. */
		assert_int_equal(poll(&wake, 1, 0), 0);
		request_end(&read);
	}
	end();
}

/* ---- Memory ---- */

static void uring__knows_the_heap_as_it_grows(void **state)
{
	const struct uring_disk *uring;
	struct test_request read;
	unsigned char *large;

	(void)state;
	start("");
	uring = (const struct uring_disk *)(const void *)disk;
	large = heap_alloc(heap, 40 * MIB);
	assert_non_null(large);
	request_make(&read, disk, BLK_READ, 0, 1);
	read.segment.iov_base = (unsigned char *)((uintptr_t)(large + 39 * MIB) & ~(uintptr_t)4095);
	assert_int_equal(finish(&read), 0);
	/* Else the limit on locked memory may be in the way. */
	if (geteuid() == 0 && uring->file.is_direct) {
		assert_true(uring->has_buffers);
		assert_true(uring_buffer_find(uring, read.segment.iov_base, 4096) >= 0);
	}
	request_end(&read);
	heap_free(heap, large);
	end();
}

/* ---- Opening ---- */

static void uring_open__says_what_is_wrong(void **state)
{
	static const char *const words[] = {
		",size=",      ",size=0",      ",size=1T",     ",size=64M,",
		",colour=red", ",block=1024",  ",depth=15",    ",depth=4097",
		",poll",       ",poll=maybe",  ",trim=",       ",size=99999999999G",
		",size=4K",    ",size=131073", ",read_only=1", ",durable=on",
	};

	(void)state;
	unlink(path);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(open_name(words[i]), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(open_name(""), -ENOENT);
	assert_int_equal(open_name(",size=1M,read_only=on"), -ENOENT);
	assert_int_equal(blkdev_open(&disk, "uring:", &(struct blkdev_options){.heap = heap}),
			 -EINVAL);
	assert_int_equal(blkdev_open(&disk, "uring:/", &(struct blkdev_options){.heap = heap}),
			 -EINVAL);
	assert_int_equal(
		blkdev_open(&disk, "uring:/dev/null", &(struct blkdev_options){.heap = heap}),
		-EINVAL);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_name(""), -EINVAL);
	unlink(path);
	assert_int_equal(blkdev_open(&disk, "uring:/nonesuch/x,size=1M",
				     &(struct blkdev_options){.heap = heap}),
			 -ENOENT);
}

/* Makes a plain file of @bytes. */
static void make_file(off_t bytes)
{
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

/* The read at the start is of a hole, for which no driver is asked whether it can be polled. */
static void uring__goes_by_interrupts_when_a_driver_refuses_later(void **state)
{
	(void)state;
	start("");
	blkdev_close(disk);
	make_file(FILE_BYTES);
	assert_int_equal(open_name(",poll=on"), 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(do_write(i, 1, 'a' + (int)i, i % 2), 0);
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(do_read(i), 'a' + (int)i);
	assert_int_equal(disk->counters.errors, 0);
	end();
}

static void uring_open__keeps_to_the_size(void **state)
{
	(void)state;
	start("");
	blkdev_close(disk);
	assert_int_equal(open_name(",size=16M"), -EINVAL);
	assert_int_equal(open_name(",size=8M"), 0);
	blkdev_close(disk);
	make_file(100 << 10);
	assert_int_equal(open_name(""), -EINVAL);
	/* With holes; the block at the end that is not whole is not used. */
	make_file((1 << 20) + 100);
	assert_int_equal(open_name(""), 0);
	assert_int_equal(disk->caps.block_count, 256);
	blkdev_close(disk);
	/* What was begun. */
	make_file(0);
	assert_int_equal(open_name(",size=1M"), 0);
	assert_int_equal(do_write(255, 1, 'e', true), 0);
	end();
}

static void uring_open__more_than_there_is_leaves_no_file(void **state)
{
	(void)state;
	unlink(path);
	assert_true(open_name(",size=4000000G") < 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void uring_open__knows_what_may_not_be_written(void **state)
{
	(void)state;
	start("");
	assert_int_equal(do_write(7, 1, 'r', true), 0);
	blkdev_close(disk);
	assert_int_equal(open_name(",read_only=on"), 0);
	assert_true(disk->caps.read_only);
	assert_int_equal(do_read(7), 'r');
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	blkdev_close(disk);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(open_name(",trim=on"), 0);
	assert_true(disk->caps.read_only);
	assert_false(disk->caps.trim);
	assert_int_equal(do_read(7), 'r');
	end();
}

/* What opening it says in a child. */
static int open_in_child(const char *words)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char name[256];
		struct heap *own;
		struct blkdev *second;

		snprintf(name, sizeof(name), "uring:%s%s", path, words);
		if (heap_create(&own, &(struct heap_options){.bytes_max = 64 * MIB}))
			_exit(1);
		_exit(-blkdev_open(&second, name, &(struct blkdev_options){.heap = own}));
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void uring_open__is_exclusive(void **state)
{
	(void)state;
	start("");
	assert_int_equal(open_in_child(""), -EBUSY);
	assert_int_equal(open_in_child(",read_only=on"), -EBUSY);
	blkdev_close(disk);
	/* At once. */
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(open_name(""), 0);
		assert_int_equal(do_read(i), 0);
		blkdev_close(disk);
	}
	assert_int_equal(open_name(",read_only=on"), 0);
	assert_int_equal(open_in_child(",read_only=on"), 0);
	assert_int_equal(open_in_child(""), -EBUSY);
	end();
}

static void uring_forget__leaves_the_parent_alone(void **state)
{
	struct test_request read;
	int status;
	pid_t child;

	(void)state;
	start("");
	assert_int_equal(do_write(5, 1, 'p', false), 0);
	request_make(&read, disk, BLK_READ, 5, 1);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	blkdev_poll(disk, 0);
	child = fork();
	if (child == 0) {
		disk->ops->forget(disk);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	wait_until_done(&read);
	assert_int_equal(read.error, 0);
	assert_int_equal(read.memory[0], 'p');
	request_end(&read);
	/* And the lock is still there. */
	assert_int_equal(open_in_child(""), -EBUSY);
	assert_int_equal(do_read(5), 'p');
	end();
}

static void uring_open__takes_blocks_of_512_where_it_can(void **state)
{
	int error;

	(void)state;
	start("");
	blkdev_close(disk);
	error = open_name(",block=512");
	if (error == -EINVAL) {
		print_message("this file system has no direct I/O of 512 bytes\n");
		unlink(path);
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(disk->caps.block_bytes, 512);
	assert_int_equal(disk->caps.block_count, FILE_BYTES / 512);
	assert_int_equal(do_write(9, 1, '5', true), 0);
	assert_int_equal(do_read(9), '5');
	assert_int_equal(do_read(8), 0);
	assert_int_equal(do_read(10), 0);
	end();
}

/* ---- A block device ---- */

/* A loop device over the file; its descriptor, or -1: none may be made. */
static int loop_make(char *name, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int loop, file;

	if (control >= 0)
		close(control);
	if (number < 0)
		return -1;
	snprintf(name, size, "/dev/loop%d", number);
	loop = open(name, O_RDWR | O_CLOEXEC);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (loop < 0 || file < 0 || ioctl(loop, LOOP_SET_FD, file) < 0) {
		if (loop >= 0)
			close(loop);
		loop = -1;
	}
	if (file >= 0)
		close(file);
	return loop;
}

static void uring__drives_a_block_device(void **state)
{
	char name[32], file[64];
	struct stat before, after;
	int loop, other;

	(void)state;
	make_file(FILE_BYTES);
	loop = loop_make(name, sizeof(name));
	if (loop < 0) {
		unlink(path);
		print_message("no loop device may be made here\n");
		skip();
	}
	memcpy(file, path, sizeof(file));
	memcpy(path, name, sizeof(name));
	assert_int_equal(open_name(""), 0);
	assert_true(disk->caps.trim);
	assert_int_equal(disk->caps.block_bytes, 512);
	assert_int_equal(disk->caps.block_count, FILE_BYTES / 512);
	assert_int_equal(open_in_child(""), -EBUSY);
	assert_int_equal(do_write(0, 2048, 'l', true), 0);
	assert_int_equal(do_other(BLK_FLUSH, 0, 0), 0);
	stat(file, &before);
	assert_int_equal(do_other(BLK_TRIM, 512, 1024), 0);
	stat(file, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(do_read(511), 'l');
	assert_int_equal(do_read(1536), 'l');
	blkdev_close(disk);
	/* Another who holds it, as a mount does. */
	other = open(name, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(open_name(""), -EBUSY);
	close(other);
	assert_int_equal(open_name(",size=8M"), -EINVAL);
	assert_int_equal(open_name(",block=4096"), 0);
	assert_int_equal(disk->caps.block_count, FILE_BLOCKS);
	assert_int_equal(do_read(0), 'l');
	blkdev_close(disk);
	assert_int_equal(ioctl(loop, LOOP_CLR_FD), 0);
	close(loop);
	memcpy(path, file, sizeof(file));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uring__reads_what_was_written),
		cmocka_unit_test(uring__moves_segments_of_any_shape),
		cmocka_unit_test(uring__moves_segments_through_the_page_cache),
		cmocka_unit_test(uring__moves_segments_of_any_shape_whatever_makes_them_durable),
		cmocka_unit_test(uring__a_durable_write_is_flushed_as_it_is_told),
		cmocka_unit_test(uring__polls_where_it_can),
		cmocka_unit_test(uring__takes_memory_as_it_says),
		cmocka_unit_test(uring__takes_depth_requests_at_a_time),
		cmocka_unit_test(uring__done_may_submit_and_poll_tells_how_many_ended),
		cmocka_unit_test(uring__splits_a_trim_from_what_is_beside_it),
		cmocka_unit_test(uring__a_file_that_has_become_shorter_is_an_error),
		cmocka_unit_test(uring__half_a_read_is_an_error),
		cmocka_unit_test(uring__close_ends_what_is_under_way),
		cmocka_unit_test(uring__close_ends_what_is_to_be_flushed),
		cmocka_unit_test(uring__an_idle_device_has_a_descriptor_that_is_silent),
		cmocka_unit_test(uring__knows_the_heap_as_it_grows),
		cmocka_unit_test(uring_open__says_what_is_wrong),
		cmocka_unit_test(uring__goes_by_interrupts_when_a_driver_refuses_later),
		cmocka_unit_test(uring_open__keeps_to_the_size),
		cmocka_unit_test(uring_open__more_than_there_is_leaves_no_file),
		cmocka_unit_test(uring_open__knows_what_may_not_be_written),
		cmocka_unit_test(uring_open__is_exclusive),
		cmocka_unit_test(uring_forget__leaves_the_parent_alone),
		cmocka_unit_test(uring_open__takes_blocks_of_512_where_it_can),
		cmocka_unit_test(uring__drives_a_block_device),
	};

	return cmocka_run_group_tests_name("blkdev/uring", tests, heap_setup, heap_teardown);
}
