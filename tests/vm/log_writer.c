/* SPDX-License-Identifier: MIT */
/*
 * Writes records whose bytes follow from their numbers, for tests that end it at any moment, and
 * checks what is there then. LIBOS and DEMI_BLK_DEV say where.
 *
 *   log-writer write NAME    append for ever; "N" on standard output: records below N are durable
 *   log-writer check NAME N  0: all records are right, and none below N is missing
 */
#include <demi/demi.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_FLIGHT 16u
#define RECORD_BYTES_MAX (80u << 10)
/* Beyond so many records the older half is dropped, so that segments are used again. */
#define RECORDS_KEPT 400u

static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* Most are small, some fill many blocks, some none. */
static uint32_t length_of(uint64_t number)
{
	uint64_t random = mix(number);
	uint32_t bits = (uint32_t)(random % 17);

	return (uint32_t)(random >> 8) & ((1u << bits) - 1);
}

static void fill(unsigned char *bytes, uint32_t length, uint64_t number)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(mix(number ^ (uint64_t)(i / 8) << 32) >> i % 8 * 8);
}

static int complain(const char *what, uint64_t number, int error)
{
	fprintf(stderr, "log-writer: %s %" PRIu64 ": %s\n", what, number, strerror(error));
	return EXIT_FAILURE;
}

/* ---- writing ---- */

struct writer {
	int qd;
	uint64_t first, next, durable;
	demi_qtoken_t tokens[IN_FLIGHT]; /* by number */
};

static int push(struct writer *writer)
{
	uint32_t length = length_of(writer->next);
	demi_sgarray_t sga = demi_sgaalloc(length ? length : 1);
	int error;

	if (sga.sga_numsegs == 0)
		return ENOMEM;
	sga.sga_segs[0].sgaseg_len = length;
	fill(sga.sga_segs[0].sgaseg_buf, length, writer->next);
	error = demi_push(&writer->tokens[writer->next % IN_FLIGHT], writer->qd, &sga);
	demi_sgafree(&sga);
	writer->next += error == 0;
	return error;
}

static int take(struct writer *writer)
{
	demi_qresult_t result;
	int error = demi_wait(&result, writer->tokens[writer->durable % IN_FLIGHT], NULL);
	char line[32];
	int length;

	if (!error)
		error = (int)result.qr_ret;
	if (error)
		return error;
	length = snprintf(line, sizeof(line), "%" PRIu64 "\n", ++writer->durable);
	return write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : EPIPE;
}

static int drop(struct writer *writer)
{
	if (writer->durable - writer->first <= RECORDS_KEPT)
		return 0;
	writer->first = writer->durable - RECORDS_KEPT / 2;
	return demi_truncate(writer->qd, (int64_t)writer->first);
}

static int write_for_ever(const char *name)
{
	struct writer writer = {0};
	int64_t first = 0, end = 0;
	int error = demi_open(&writer.qd, name, O_RDWR | O_CREAT, 0);

	if (!error)
		error = demi_seek(writer.qd, 0, SEEK_CUR, &first);
	if (!error)
		error = demi_seek(writer.qd, 0, SEEK_END, &end);
	writer.first = (uint64_t)first;
	writer.next = writer.durable = (uint64_t)end;
	while (!error) {
		while (!error && writer.next - writer.durable < IN_FLIGHT)
			error = push(&writer);
		if (!error)
			error = take(&writer);
		if (!error)
			error = drop(&writer);
	}
	return complain("record", writer.durable, error);
}

/* ---- checking ---- */

static int check_one(int qd, uint64_t number)
{
	static unsigned char wanted[RECORD_BYTES_MAX];
	uint32_t length = length_of(number);
	const demi_sgaseg_t *segment;
	demi_qresult_t result;
	demi_qtoken_t token;
	bool is_right;
	int error = demi_pop(&token, qd);

	if (!error)
		error = demi_wait(&result, token, NULL);
	if (!error)
		error = (int)result.qr_ret;
	if (error)
		return error;
	segment = &result.qr_value.sga.sga_segs[0];
	fill(wanted, length, number);
	is_right = segment->sgaseg_len == length &&
		   memcmp(segment->sgaseg_buf, wanted, length) == 0;
	demi_sgafree(&result.qr_value.sga);
	return is_right ? 0 : EBADMSG;
}

static int check(const char *name, uint64_t durable)
{
	int64_t record = 0, end = 0;
	int qd, error = demi_open(&qd, name, O_RDONLY, 0);

	/* It may have been killed before there was a log. */
	if (error == ENOENT && durable == 0)
		return EXIT_SUCCESS;
	if (!error)
		error = demi_seek(qd, 0, SEEK_CUR, &record);
	if (!error)
		error = demi_seek(qd, 0, SEEK_END, &end);
	if (!error)
		error = demi_seek(qd, record, SEEK_SET, NULL);
	if (!error && (uint64_t)end < durable)
		return complain("missing: record", (uint64_t)end, ENODATA);
	for (; !error && record < end; record++)
		error = check_one(qd, (uint64_t)record);
	return error ? complain("record", (uint64_t)record, error) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	bool writes = argc == 3 && strcmp(argv[1], "write") == 0;
	int status, error;

	if (!writes && (argc != 4 || strcmp(argv[1], "check") != 0)) {
		fputs("usage: log-writer write NAME\n       log-writer check NAME N\n", stderr);
		return 2;
	}
	error = demi_init(NULL);
	if (error)
		return complain("start", 0, error);
	status = writes ? write_for_ever(argv[2]) : check(argv[2], strtoull(argv[3], NULL, 10));
	demi_fini();
	return status;
}
