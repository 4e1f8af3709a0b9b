/* SPDX-License-Identifier: MIT */
/* What a log's records come to, as bytes: how many, and a memory file of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "real.h"
#include "trace.h"

/* Descriptors of our own are kept from the low numbers, which programs expect to get. */
#define OWN_FD_MIN 512

#define TRUNCATE "truncate "
#define WORD_BYTES_MAX 40u

/* ---- Reading records ---- */

void log_read_ended(struct log *log, const demi_qresult_t *result)
{
	for (uint32_t i = 0; i < log->read_count; i++) {
		struct log_read *read = &log->reads[i];

		if (read->is_done || read->qt != result->qr_qt)
			continue;
		read->is_done = true;
		read->error = result->qr_opcode == DEMI_OPC_FAILED ? -(int)result->qr_ret : 0;
		read->sga = result->qr_value.sga;
		return;
	}
}

static bool is_read(void *log)
{
	return ((const struct log *)log)->reads[0].is_done;
}

static int start_read(struct log *log)
{
	struct log_read *read = &log->reads[log->read_count];
	int error = demi_pop(&read->qt, log->qd);

	read->is_done = false;
	if (!error)
		log->read_count++;
	return -error;
}

/* The oldest, whose array is the caller's then. */
static int take_read(struct log *log, demi_sgarray_t *sga)
{
	int error;

	log_wait(log, is_read, log);
	error = log->reads[0].error;
	*sga = log->reads[0].sga;
	memmove(log->reads, log->reads + 1, --log->read_count * sizeof(log->reads[0]));
	return error;
}

static void drop_reads(struct log *log)
{
	demi_sgarray_t sga;

	while (log->read_count)
		if (take_read(log, &sga) == 0)
			demi_sgafree(&sga);
}

/* ---- Replaying them ---- */

struct replay {
	int64_t size;
	bool is_escaped; /* the last record was an escape */
	int image;       /* -1: none */
};

static int write_image(int image, int64_t position, const char *from, size_t bytes)
{
	while (bytes) {
		ssize_t written = real()->pwrite(image, from, bytes, position);

		if (written <= 0)
			return -ENOMEM;
		from += written;
		position += written;
		bytes -= (size_t)written;
	}
	return 0;
}

/* Of "truncate N"; -1: it is none. */
static int64_t size_of_word(const char *word)
{
	const char *digits = word + strlen(TRUNCATE);
	long long size;
	char *end;

	if (strncmp(word, TRUNCATE, strlen(TRUNCATE)) != 0 || *digits < '0' || *digits > '9')
		return -1;
	errno = 0;
	size = strtoll(digits, &end, 10);
	return errno || *end ? -1 : size;
}

/* -EUCLEAN: nobody of ours wrote it. */
static int replay_word(struct replay *replay, const void *from, size_t bytes)
{
	char word[WORD_BYTES_MAX + 1] = "";
	int64_t size;

	if (bytes <= WORD_BYTES_MAX)
		memcpy(word, from, bytes);
	if (strcmp(word, "keep") == 0)
		return 0;
	size = size_of_word(word);
	if (size < 0 || size > replay->size)
		return -EUCLEAN;
	replay->size = size;
	return replay->image >= 0 && real()->ftruncate(replay->image, size) != 0 ? -errno : 0;
}

static int replay_record(struct replay *replay, const demi_sgarray_t *sga)
{
	const demi_sgaseg_t *segment = &sga->sga_segs[0];
	size_t bytes = segment->sgaseg_len;
	bool was_escaped = replay->is_escaped;

	replay->is_escaped = !was_escaped && bytes == 0;
	if (was_escaped)
		return replay_word(replay, segment->sgaseg_buf, bytes);
	if (replay->image >= 0 &&
	    write_image(replay->image, replay->size, segment->sgaseg_buf, bytes) != 0)
		return -ENOMEM;
	replay->size += (int64_t)bytes;
	return 0;
}

static int replay_records(struct log *log, struct replay *replay, int64_t count)
{
	int64_t started = 0;
	int error = 0;

	for (int64_t done = 0; done < count && !error; done++) {
		demi_sgarray_t sga;

		while (!error && started < count && log->read_count < LOG_READS_MAX) {
			error = start_read(log);
			started += !error;
		}
		if (error)
			break;
		error = take_read(log, &sga);
		if (error)
			break;
		error = replay_record(replay, &sga);
		demi_sgafree(&sga);
	}
	drop_reads(log);
	return error;
}

/* What has found no room is a part of the file all the same. */
static int replay_refused(const struct log *log, struct replay *replay)
{
	int error = 0;

	for (struct log_record *record = log->records; record && !error; record = record->next)
		error = replay_record(replay, &record->sga);
	return error;
}

static int replay_all(struct log *log, struct replay *replay)
{
	int64_t end = 0;
	int error;

	log_wait(log, log_is_quiet, log);
	error = -demi_seek(log->qd, 0, SEEK_END, &end);
	if (!error)
		error = -demi_seek(log->qd, log->first, SEEK_SET, NULL);
	if (!error)
		error = replay_records(log, replay, end - log->first);
	if (!error && !log->records)
		log->tail = replay->is_escaped ? LOG_TAIL_ESCAPE : LOG_TAIL_WHOLE;
	/* An escape that lost its words takes none of those. */
	replay->is_escaped = false;
	if (!error)
		error = replay_refused(log, replay);
	if (error) {
		fprintf(stderr,
			"demi: log %s cannot be read as a file: %s; `demi log check` tells what is "
			"wrong with the device's logs\n",
			log->name,
			error == -EUCLEAN ? "it is damaged, or a program of another kind wrote it"
					  : strerror(-error));
		return error == -ENOMEM ? -ENOMEM : -EIO;
	}
	log->size = replay->size;
	return 0;
}

int log_measure(struct log *log)
{
	struct replay replay = {.image = -1};

	return log->size >= 0 ? 0 : replay_all(log, &replay);
}

int log_find_tail(struct log *log)
{
	int64_t end = 0;
	demi_sgarray_t sga;
	int error;

	if (log->tail != LOG_TAIL_UNKNOWN || log->records)
		return 0;
	error = -demi_seek(log->qd, -1, SEEK_END, &end);
	if (!error)
		error = start_read(log);
	if (!error)
		error = take_read(log, &sga);
	/* That it is damaged says nothing: escapes are known by being empty. */
	if (error)
		return error == -EUCLEAN ? 0 : -EIO;
	log->tail = sga.sga_segs[0].sgaseg_len ? LOG_TAIL_WHOLE : LOG_TAIL_ESCAPE;
	/* Or it is the words of an escape, which are never empty. */
	demi_sgafree(&sga);
	return 0;
}

/* ---- The image ---- */

int log_make_image(struct log *log)
{
	int low, high;

	if (log->image >= 0)
		return 0;
	low = memfd_create("demi log", MFD_CLOEXEC);
	if (low < 0)
		return -errno;
	high = real()->fcntl(low, F_DUPFD_CLOEXEC, OWN_FD_MIN);
	if (high >= 0)
		real()->close(low);
	log->image = high >= 0 ? high : low;
	log->image_is_filled = false;
	return 0;
}

int log_fill_image(struct log *log)
{
	struct replay replay;
	int error;

	if (log->image_is_filled)
		return 0;
	error = log_make_image(log);
	if (!error && real()->ftruncate(log->image, 0) != 0)
		error = -errno;
	replay = (struct replay){.image = log->image};
	if (!error)
		error = replay_all(log, &replay);
	log->image_is_filled = !error;
	return error;
}

void log_drop_image(struct log *log)
{
	if (log->image >= 0)
		real()->close(log->image);
	log->image = -1;
	log->image_is_filled = false;
}

void log_image_append(struct log *log, int64_t position, const void *from, size_t bytes)
{
	/* Without memory for it, who reads next has it filled anew. */
	if (write_image(log->image, position, from, bytes) != 0)
		log->image_is_filled = false;
}

void log_image_cut(struct log *log, int64_t size)
{
	if (log->image >= 0 && log->image_is_filled && real()->ftruncate(log->image, size) != 0)
		log->image_is_filled = false;
}
