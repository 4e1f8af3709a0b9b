/* SPDX-License-Identifier: MIT */
/* A log read as the stream of bytes that its records are. */
#include <server.h>

#define DEMI_REDIS_JOURNAL_ITSELF
#include "journal.h"

#include <errno.h>

#include "endpoint.h"

/** A log that is read. */
struct reading {
	int qd;
	demi_sgarray_t record; /* sga_buf NULL: none */
	size_t at;             /* in the record */
	off_t position;
};

/* Return: 0: there is another record, 1: there is none, -1 and errno. */
static int next_record(struct reading *reading)
{
	demi_qresult_t result;
	demi_qtoken_t token;
	int error;

	if (reading->record.sga_buf != NULL)
		demi_sgafree(&reading->record);
	reading->record.sga_buf = NULL;
	error = demi_pop(&token, reading->qd);
	if (error == 0)
		error = endpoint_await(token, &result);
	if (error == 0 && result.qr_opcode != DEMI_OPC_POP)
		error = (int)result.qr_ret;
	if (error != 0) {
		errno = error;
		return -1;
	}
	reading->record = result.qr_value.sga;
	reading->at = 0;
	return reading->record.sga_segs[0].sgaseg_len == 0;
}

static ssize_t read_some(void *cookie, char *to, size_t room)
{
	struct reading *reading = cookie;
	size_t left;

	while (reading->record.sga_buf == NULL ||
	       reading->at == reading->record.sga_segs[0].sgaseg_len) {
		int status = next_record(reading);

		if (status != 0)
			return status < 0 ? -1 : 0;
	}
	left = reading->record.sga_segs[0].sgaseg_len - reading->at;
	if (left > room)
		left = room;
	memcpy(to, (char *)reading->record.sga_segs[0].sgaseg_buf + reading->at, left);
	reading->at += left;
	reading->position += (off_t)left;
	return (ssize_t)left;
}

/* To the start, or nowhere. */
static int seek(void *cookie, off64_t *offset, int whence)
{
	struct reading *reading = cookie;
	off_t wanted = *offset + (whence == SEEK_CUR ? reading->position : 0);

	if (whence == SEEK_END || (wanted != 0 && wanted != reading->position)) {
		errno = EINVAL;
		return -1;
	}
	if (wanted != reading->position) {
		int error = demi_seek(reading->qd, 0, SEEK_SET, NULL);

		if (error != 0) {
			errno = error;
			return -1;
		}
		if (reading->record.sga_buf != NULL)
			demi_sgafree(&reading->record);
		reading->record.sga_buf = NULL;
		reading->position = 0;
	}
	*offset = reading->position;
	return 0;
}

static int close_reading(void *cookie)
{
	struct reading *reading = cookie;

	if (reading->record.sga_buf != NULL)
		demi_sgafree(&reading->record);
	demi_close(reading->qd);
	zfree(reading);
	return 0;
}

FILE *journal_fopen(const char *path, const char *mode)
{
	const cookie_io_functions_t functions = {
		.read = read_some, .seek = seek, .close = close_reading};
	struct stat found;
	struct reading *reading;
	FILE *file;
	int error;

	if (mode[0] != 'r' || journal_stat(path, &found) != 0 || !journal_is_log(path))
		return fopen(path, mode);
	reading = zcalloc(sizeof(*reading));
	error = demi_open(&reading->qd, path, O_RDONLY, 0);
	if (error != 0) {
		zfree(reading);
		errno = error;
		return NULL;
	}
	file = fopencookie(reading, mode, functions);
	if (file == NULL)
		close_reading(reading);
	return file;
}

/* Copies the first @bytes of @from into a new log. Return: 0, or -1 and errno. */
static int copy(FILE *from, int to, off_t bytes)
{
	char *block = zmalloc(64 << 10);
	int status = 0;

	while (bytes > 0 && status == 0) {
		size_t count = fread(block, 1, bytes < (64 << 10) ? (size_t)bytes : 64 << 10, from);

		if (count == 0 || journal_write(to, block, count) != (ssize_t)count)
			status = -1;
		bytes -= (off_t)count;
		if (journal_fdatasync(to) != 0)
			status = -1;
	}
	zfree(block);
	return status;
}

int journal_truncate(const char *path, off_t bytes)
{
	sds other;
	FILE *from;
	int to, status;

	if (!journal_is_log(path))
		return truncate(path, bytes);
	other = sdscatfmt(sdsempty(), "%s.cut", path);
	from = journal_fopen(path, "r");
	to = from != NULL ? journal_open(other, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	status = to >= 0 ? copy(from, to, bytes) : -1;
	if (from != NULL)
		fclose(from);
	if (to >= 0)
		journal_close(to);
	if (status == 0)
		status = journal_rename(other, path);
	sdsfree(other);
	return status;
}
