/* SPDX-License-Identifier: MIT */
/*
 * Synchronous appends, one at a time: what one takes on a log, and beside it the least that an
 * append can be on the kernel's side, a write of the same bytes in whole blocks behind those of
 * before, by io_uring with O_DIRECT, and durable.
 *
 *     demi-bench-append beside FILE BLOCK NAME BYTES COUNT
 *     demi-bench-append log NAME BYTES COUNT [INFLIGHT]
 *
 * LIBOS and DEMI_BLK_DEV say where the log is; FILE is written over. "beside" alternates between the
 * log, a raw write that is looked for until it is done, and one that is slept for, and prints their
 * medians of COUNT in nanoseconds: which of the two is faster depends on what else the CPUs do. "log"
 * prints the median of the log alone; with INFLIGHT it keeps so many appends under way, and prints
 * the time for each and, behind it, the bytes that the device was given for one byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdbool.h>
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

static uint64_t median(uint64_t *times, uint32_t count)
{
	qsort(times, count, sizeof(*times), compare);
	return times[count / 2];
}

/* ---- a log ---- */

/* A log is emptied after so many bytes, outside of what is timed. */
#define LOG_BYTES_MAX (8u << 20)

struct log_end {
	int qd;
	demi_sgarray_t sga;
	uint64_t bytes; /* since it was emptied */
};

static int make_room(struct log_end *log)
{
	int64_t end = 0;
	int error = demi_seek(log->qd, 0, SEEK_END, &end);

	log->bytes = 0;
	return error ? error : demi_truncate(log->qd, end);
}

static int wait_for(demi_qtoken_t token)
{
	demi_qresult_t result;
	int error = demi_wait(&result, token, NULL);

	return error ? error : (int)result.qr_ret;
}

static int append_one(struct log_end *log, uint64_t *took_ns)
{
	uint64_t start = clock_now_ns();
	demi_qtoken_t token;
	int error = demi_push(&token, log->qd, &log->sga);

	if (!error)
		error = wait_for(token);
	*took_ns = clock_now_ns() - start;
	log->bytes += log->sga.sga_segs[0].sgaseg_len;
	if (!error && log->bytes > LOG_BYTES_MAX)
		error = make_room(log);
	return error;
}

static int append_in_flight(struct log_end *log, uint32_t count, uint32_t in_flight)
{
	static demi_qtoken_t tokens[INFLIGHT_MAX];
	uint64_t start, before = 0, after = 0;
	uint32_t pushed = 0, done = 0;
	int error = 0;

	demi_stat(&before, "blkdev.write_bytes");
	start = clock_now_ns();
	while (done < count && !error) {
		while (pushed < count && pushed - done < in_flight && !error)
			error = demi_push(&tokens[pushed++ % in_flight], log->qd, &log->sga);
		if (!error)
			error = wait_for(tokens[done++ % in_flight]);
	}
	start = clock_now_ns() - start;
	demi_stat(&after, "blkdev.write_bytes");
	if (!error)
		printf("%" PRIu64 " %.3f\n", start / count,
		       (double)(after - before) /
			       ((double)count * log->sga.sga_segs[0].sgaseg_len));
	return error;
}

static int log_end_open(struct log_end *log, const char *name, uint32_t bytes)
{
	int error = demi_init(NULL);

	if (error)
		return error;
	log->sga = demi_sgaalloc(bytes);
	if (log->sga.sga_numsegs == 0)
		return ENOMEM;
	memset(log->sga.sga_segs[0].sgaseg_buf, 'a', bytes);
	error = demi_open(&log->qd, name, O_RDWR | O_CREAT, 0);
	return error ? error : make_room(log);
}

static int run_log(const char *name, uint32_t bytes, uint32_t count, uint32_t in_flight)
{
	static uint64_t times[COUNT_MAX];
	struct log_end log;
	int error = log_end_open(&log, name, bytes);

	if (!error && in_flight)
		error = append_in_flight(&log, count, in_flight);
	for (uint32_t i = 0; i < count && !error && !in_flight; i++)
		error = append_one(&log, &times[i]);
	if (!error && !in_flight)
		printf("%" PRIu64 "\n", median(times, count));
	demi_fini();
	return error ? complain(name, error) : EXIT_SUCCESS;
}

/* ---- io_uring alone ---- */

struct raw {
	struct io_uring ring;
	int fd;
	uint32_t bytes; /* of a write, whole blocks */
	uint64_t at;
	void *memory;
};

static int raw_open(struct raw *raw, const char *path, uint32_t block, uint32_t bytes)
{
	raw->bytes = (bytes + HEADER_BYTES + block - 1) / block * block;
	raw->at = 0;
	raw->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (raw->fd < 0)
		return errno;
	raw->memory = aligned_alloc(4096, (raw->bytes + 4095u) & ~(size_t)4095u);
	if (!raw->memory)
		return ENOMEM;
	memset(raw->memory, 'a', raw->bytes);
	return -io_uring_queue_init(8, &raw->ring, 0);
}

static int raw_write(struct raw *raw, bool sleeps, uint64_t *took_ns)
{
	uint64_t start = clock_now_ns();
	struct io_uring_sqe *sqe = io_uring_get_sqe(&raw->ring);
	struct io_uring_cqe *cqe;
	int result;

	io_uring_prep_write(sqe, raw->fd, raw->memory, raw->bytes, raw->at);
	sqe->rw_flags = RWF_DSYNC;
	io_uring_submit_and_wait(&raw->ring, sleeps);
	while (io_uring_peek_cqe(&raw->ring, &cqe) == -EAGAIN)
		;
	result = cqe->res;
	io_uring_cqe_seen(&raw->ring, cqe);
	*took_ns = clock_now_ns() - start;
	raw->at = raw->at + 2ull * raw->bytes > FILE_BYTES_MIN ? 0 : raw->at + raw->bytes;
	return result == (int)raw->bytes ? 0 : result < 0 ? -result : EIO;
}

/* ---- both ---- */

enum { LOG, SPINS, SLEEPS, WAYS };

/* So many of one kind in a row; the first is not counted, since it pays for what the other left. */
#define TURN 4u

static int one(struct log_end *log, struct raw *raw, int way, uint64_t *took_ns)
{
	return way == LOG ? append_one(log, took_ns) : raw_write(raw, way == SLEEPS, took_ns);
}

static int take_turns(struct log_end *log, struct raw *raw, uint64_t *times[WAYS], uint32_t count)
{
	for (uint32_t done = 0; done < count; done += TURN - 1)
		for (int way = 0; way < WAYS; way++)
			for (uint32_t i = 0; i < TURN; i++) {
				uint64_t took_ns;
				int error = one(log, raw, way, &took_ns);

				if (error)
					return error;
				if (i > 0 && done + i - 1 < count)
					times[way][done + i - 1] = took_ns;
			}
	return 0;
}

static int run_beside(const char *path, uint32_t block, const char *name, uint32_t bytes,
		      uint32_t count)
{
	uint64_t *times[WAYS];
	struct log_end log;
	struct raw raw;
	int error = log_end_open(&log, name, bytes);

	if (!error)
		error = raw_open(&raw, path, block, bytes);
	for (int way = 0; way < WAYS; way++)
		times[way] = calloc(count, sizeof(*times[way]));
	if (!error)
		error = take_turns(&log, &raw, times, count);
	for (int way = 0; way < WAYS && !error; way++)
		printf("%" PRIu64 "%s", median(times[way], count), way < WAYS - 1 ? " " : "\n");
	for (int way = 0; way < WAYS; way++)
		free(times[way]);
	demi_fini();
	return error ? complain(name, error) : EXIT_SUCCESS;
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
	if (argc == 7 && strcmp(argv[1], "beside") == 0)
		return run_beside(argv[2], number(argv[3], 4096), argv[4],
				  number(argv[5], BYTES_MAX), number(argv[6], COUNT_MAX));
	fputs("usage: demi-bench-append beside FILE BLOCK NAME BYTES COUNT\n"
	      "       demi-bench-append log NAME BYTES COUNT [INFLIGHT]\n",
	      stderr);
	return 2;
}
