/* SPDX-License-Identifier: MIT */
/* demi-log cat: records as they are, one a line or one behind the other; demi-log dump: with their numbers, in hexadecimal. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define DUMP_BYTES 16u /* of a line */

/* Where reading stands. */
struct reader {
	const char *name;
	int qd;
	uint64_t first, end;
	int damaged; /* records that could not be read */
	void (*print)(const struct reader *reader, uint64_t record, const uint8_t *bytes,
		      size_t count);
};

static void print_line(const struct reader *reader, uint64_t record, const uint8_t *bytes,
		       size_t count)
{
	(void)reader;
	(void)record;
	fwrite(bytes, 1, count, stdout);
	putchar('\n');
}

static void print_raw(const struct reader *reader, uint64_t record, const uint8_t *bytes,
		      size_t count)
{
	(void)reader;
	(void)record;
	fwrite(bytes, 1, count, stdout);
}

static void print_dump(const struct reader *reader, uint64_t record, const uint8_t *bytes,
		       size_t count)
{
	printf("%s record %" PRIu64 ", %zu bytes\n", reader->name, record, count);
	for (size_t line = 0; line < count; line += DUMP_BYTES) {
		size_t here = count - line < DUMP_BYTES ? count - line : DUMP_BYTES;

		printf("%08zx ", line);
		for (size_t i = 0; i < DUMP_BYTES; i++) {
			if (i < here)
				printf(" %02x", bytes[line + i]);
			else
				fputs("   ", stdout);
		}
		fputs("  |", stdout);
		for (size_t i = 0; i < here; i++)
			putchar(isprint(bytes[line + i]) ? bytes[line + i] : '.');
		fputs("|\n", stdout);
	}
}

/* The record at the cursor, which moves on; 0 or an errno. */
static int read_one(struct reader *reader, uint64_t record)
{
	demi_qresult_t result;
	demi_qtoken_t token;
	demi_sgarray_t *sga = &result.qr_value.sga;
	int error = demi_pop(&token, reader->qd);

	if (!error)
		error = demi_wait(&result, token, NULL);
	if (error)
		return error;
	if (result.qr_opcode == DEMI_OPC_FAILED)
		return (int)result.qr_ret;
	reader->print(reader, record, sga->sga_segs[0].sgaseg_buf, sga->sga_segs[0].sgaseg_len);
	return demi_sgafree(sga);
}

/* What cannot be read is told, and left out. */
static int read_records(struct reader *reader, uint64_t from, uint64_t count)
{
	uint64_t record = from > reader->first ? from : reader->first;
	int error = 0;

	for (; record < reader->end && count > 0 && !error; record++, count--) {
		error = demi_seek(reader->qd, (int64_t)record, SEEK_SET, NULL);
		if (error)
			break;
		error = read_one(reader, record);
		if (error == EUCLEAN || error == EIO) {
			log_refuse("%s: record %" PRIu64 " cannot be read: %s", reader->name,
				   record,
				   error == EIO ? strerror(error) : "it is not what was written");
			reader->damaged++;
			error = 0;
		}
	}
	return error;
}

/* One log, of which a copy of the name is enough. */
struct find {
	const char *name;
	uint64_t first, end;
	bool found;
};

static int find_log(const demi_log_t *log, void *context)
{
	struct find *find = context;

	if (strcmp(log->log_name, find->name) != 0)
		return 0;
	find->first = log->log_first;
	find->end = log->log_end;
	find->found = true;
	return 0;
}

static int read_log(struct reader *reader, const struct log_options *options)
{
	struct find find = {.name = reader->name};
	int error = demi_log_each(find_log, &find);

	if (!error && !find.found)
		return log_refuse("there is no log \"%s\"; see demi log list", reader->name);
	reader->first = find.first;
	reader->end = find.end;
	if (!error)
		error = demi_open(&reader->qd, reader->name, O_RDONLY, 0);
	if (!error) {
		error = read_records(reader, options->from, options->count);
		demi_close(reader->qd);
	}
	if (error)
		return log_refuse("cannot read log \"%s\": %s", reader->name, strerror(error));
	if (ferror(stdout) || fflush(stdout))
		return log_refuse("cannot write");
	return reader->damaged ? EXIT_FAILURE : EXIT_SUCCESS;
}

int log_cat(const struct log_options *options)
{
	struct reader reader = {.name = options->name,
				.print = options->raw ? print_raw : print_line};

	return read_log(&reader, options);
}

struct names {
	char **names;
	size_t count;
};

static int add_name(const demi_log_t *log, void *context)
{
	struct names *names = context;
	char **more = realloc(names->names, (names->count + 1) * sizeof(*more));

	if (!more)
		return ENOMEM;
	names->names = more;
	more[names->count] = strdup(log->log_name);
	return more[names->count++] ? 0 : ENOMEM;
}

int log_dump(const struct log_options *options)
{
	struct names names = {0};
	int status = EXIT_SUCCESS;
	int error;

	if (options->name) {
		struct reader reader = {.name = options->name, .print = print_dump};

		return read_log(&reader, options);
	}
	error = demi_log_each(add_name, &names);
	if (error)
		status = log_refuse("cannot list the logs: %s", strerror(error));
	for (size_t i = 0; i < names.count; i++) {
		struct reader reader = {.name = names.names[i], .print = print_dump};

		if (!error && read_log(&reader, options) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
		free(names.names[i]);
	}
	free(names.names);
	return status;
}
