/* SPDX-License-Identifier: MIT */
/*
 * Synchronous appends, one at a time: what one takes on a log, and beside it the least that an
 * append can be on the kernel's side, a write of the same bytes in whole blocks behind those of
 * before, by io_uring with O_DIRECT, and durable.
 *
 *     demi-bench-append log NAME BYTES COUNT [INFLIGHT]
 *     demi-bench-append raw FILE BLOCK BYTES COUNT
 *
 * prints the median of COUNT appends in nanoseconds. LIBOS and DEMI_BLK_DEV say where the log is; FILE
 * is written over. With INFLIGHT it keeps so many appends under way, and prints the time for each
 * and, behind it, the bytes that the device was given for one byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <demi/demi.h>

#include "base/clock.h"

#define COUNT_MAX 1000000u
#define BYTES_MAX (1u << 20)
#define INFLIGHT_MAX 1024u
/* What a log writes beside a record: header and table of its batch. */
#define HEADER_BYTES 80u
#define FILE_BYTES_MIN (32u << 20)

static int complain(const char *what, int error)
{
	fprintf(stderr, "demi-bench-append: %s: %s\n", what, strerror(error));
	return EXIT_FAILURE;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void print_median(uint64_t *times, uint32_t count)
{
	qsort(times, count, sizeof(*times), compare);
	printf("%" PRIu64 "\n", times[count / 2]);
}

/* ---- a log ---- */

static int make_room(int qd, uint64_t *durable)
{
	int64_t end = 0;
	int error = demi_seek(qd, 0, SEEK_END, &end);

	*durable = 0;
	return error ? error : demi_truncate(qd, end);
}

static int wait_for(demi_qtoken_t token)
{
	demi_qresult_t result;
	int error = demi_wait(&result, token, NULL);

	return error ? error : (int)result.qr_ret;
}

static int append_one(int qd, const demi_sgarray_t *sga)
{
	demi_qtoken_t token;
	int error = demi_push(&token, qd, sga);

	return error ? error : wait_for(token);
}

static int run_one_by_one(int qd, const demi_sgarray_t *sga, uint64_t *times, uint32_t count)
{
	uint64_t bytes = 0;
	int error = make_room(qd, &bytes);

	for (uint32_t i = 0; i < count && !error; i++) {
		uint64_t start = clock_now_ns();

		error = append_one(qd, sga);
		times[i] = clock_now_ns() - start;
		bytes += sga->sga_segs[0].sgaseg_len;
		if (!error && bytes > 8u << 20)
			error = make_room(qd, &bytes);
	}
	return error;
}

static int run_in_flight(int qd, const demi_sgarray_t *sga, uint32_t count, uint32_t in_flight)
{
	static demi_qtoken_t tokens[INFLIGHT_MAX];
	uint64_t start, before = 0, after = 0, bytes = 0;
	uint32_t pushed = 0, done = 0;
	int error = make_room(qd, &bytes);

	demi_stat(&before, "blkdev.write_bytes");
	start = clock_now_ns();
	while (done < count && !error) {
		while (pushed < count && pushed - done < in_flight && !error)
			error = demi_push(&tokens[pushed++ % in_flight], qd, sga);
		if (!error)
			error = wait_for(tokens[done++ % in_flight]);
	}
	start = clock_now_ns() - start;
	demi_stat(&after, "blkdev.write_bytes");
	if (!error)
		printf("%" PRIu64 " %.3f\n", start / count,
		       (double)(after - before) / ((double)count * sga->sga_segs[0].sgaseg_len));
	return error;
}

static int run_log(const char *name, uint32_t bytes, uint32_t count, uint32_t in_flight)
{
	static uint64_t times[COUNT_MAX];
	demi_sgarray_t sga;
	int qd, error = demi_init(NULL);

	if (error)
		return complain("start", error);
	sga = demi_sgaalloc(bytes);
	if (sga.sga_numsegs == 0)
		return complain("memory", ENOMEM);
	memset(sga.sga_segs[0].sgaseg_buf, 'a', bytes);
	error = demi_open(&qd, name, O_RDWR | O_CREAT, 0);
	if (!error)
		error = in_flight ? run_in_flight(qd, &sga, count, in_flight)
				  : run_one_by_one(qd, &sga, times, count);
	if (!error && !in_flight)
		print_median(times, count);
	demi_fini();
	return error ? complain(name, error) : EXIT_SUCCESS;
}

/* ---- io_uring alone ---- */

static int write_one(struct io_uring *ring, int fd, const void *memory, uint32_t bytes, uint64_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int result;

	io_uring_prep_write(sqe, fd, memory, bytes, at);
	sqe->rw_flags = RWF_DSYNC;
	io_uring_submit(ring);
	/* As the log does: it looks until it is done. */
	while (io_uring_peek_cqe(ring, &cqe) == -EAGAIN)
		;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result == (int)bytes ? 0 : result < 0 ? -result : EIO;
}

static int run_raw(const char *path, uint32_t block, uint32_t bytes, uint32_t count)
{
	uint32_t whole = (bytes + HEADER_BYTES + block - 1) / block * block;
	uint64_t *times = calloc(count, sizeof(*times));
	void *memory = aligned_alloc(4096, (whole + 4095) / 4096 * 4096);
	struct io_uring ring;
	uint64_t at = 0;
	int error, fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || !times || !memory)
		return complain(path, fd < 0 ? errno : ENOMEM);
	memset(memory, 'a', whole);
	error = -io_uring_queue_init(8, &ring, 0);
	for (uint32_t i = 0; i < count && !error; i++) {
		uint64_t start = clock_now_ns();

		error = write_one(&ring, fd, memory, whole, at);
		times[i] = clock_now_ns() - start;
		at = at + 2ull * whole > FILE_BYTES_MIN ? 0 : at + whole;
	}
	if (!error)
		print_median(times, count);
	close(fd);
	free(memory);
	free(times);
	return error ? complain(path, error) : EXIT_SUCCESS;
}

static uint32_t number(const char *text, uint32_t max)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (value == 0 || value > max) {
		fprintf(stderr, "demi-bench-append: \"%s\" is not a number from 1 to %u\n", text,
			max);
		exit(2);
	}
	return (uint32_t)value;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && argc <= 6 && strcmp(argv[1], "log") == 0)
		return run_log(argv[2], number(argv[3], BYTES_MAX), number(argv[4], COUNT_MAX),
			       argc == 6 ? number(argv[5], INFLIGHT_MAX) : 0);
	if (argc == 6 && strcmp(argv[1], "raw") == 0)
		return run_raw(argv[2], number(argv[3], 4096), number(argv[4], BYTES_MAX),
			       number(argv[5], COUNT_MAX));
	fputs("usage: demi-bench-append log NAME BYTES COUNT [INFLIGHT]\n"
	      "       demi-bench-append raw FILE BLOCK BYTES COUNT\n",
	      stderr);
	return 2;
}
