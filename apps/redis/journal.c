/* SPDX-License-Identifier: MIT */
#include <bio.h>
#include <server.h>

#define DEMI_REDIS_JOURNAL_ITSELF
#include "journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "endpoint.h"

/* From here on Redis frees what it has written instead of using it again: see flushAppendOnlyFile. */
#define REFERENCE_BYTES_MIN 4000u
/* What may be on its way to the device; beyond it a write waits. */
#define UNWRITTEN_MAX (64u << 20)

/** A record that is on its way. */
struct writing {
	struct writing *next;
	demi_qtoken_t token;
	uint64_t hold; /* that waits for it, or would */
	size_t bytes;
};

/** A log that is open for appending. */
struct journal {
	struct journal *next;
	int fd; /* a number of the kernel's, that nothing else has */
	int qd;
	int error; /* of a record that could not be written, a positive errno */
	struct writing *writing;
	struct writing **writing_end;
	size_t unwritten;
};

static struct journal *journals;
static uint64_t last_hold;
static int has_failed; /* and nobody is to hear of anything any more */

static int fail(int error)
{
	errno = error;
	return -1;
}

static int has_name_of_log(const char *path)
{
	static int has_logs = -1;
	char libos[64] = "";

	if (has_logs < 0) {
		demi_config("libos", libos, sizeof(libos));
		has_logs = strstr(libos, "cattree") != NULL;
	}
	return has_logs && strstr(path, ".incr") != NULL && !endpoint_is_child();
}

struct search {
	const char *path;
	struct stat *result;
};

static int visit(const demi_log_t *log, void *context)
{
	struct search *search = context;

	if (strcmp(log->log_name, search->path) != 0)
		return 0;
	memset(search->result, 0, sizeof(*search->result));
	search->result->st_mode = S_IFREG | 0600;
	search->result->st_size = log->log_end != log->log_first ? (off_t)log->log_bytes : 0;
	return EEXIST;
}

/* Return: 0, ENOENT, or what keeps the store from telling. */
static int stat_log(const char *path, struct stat *result)
{
	struct search search = {.path = path, .result = result};
	int error = demi_log_each(visit, &search);

	if (error == 0)
		return ENOENT;
	return error == EEXIST ? 0 : error;
}

int journal_is_log(const char *path)
{
	struct stat result;

	/* A file of a server that had no logs stays one, lest what is in it be forgotten. */
	return has_name_of_log(path) &&
	       (stat_log(path, &result) != ENOENT || stat(path, &result) != 0);
}

static struct journal *journal_of(int fd)
{
	struct journal *journal = journals;

	while (journal != NULL && journal->fd != fd)
		journal = journal->next;
	return endpoint_is_child() ? NULL : journal;
}

/*
 * What waits for no record any more is sent. Records become durable in any order, and a log's are in the
 * order of their holds.
 */
static void release(void)
{
	uint64_t durable = last_hold;

	if (has_failed)
		return;
	for (const struct journal *journal = journals; journal != NULL; journal = journal->next)
		if (journal->writing != NULL && journal->writing->hold <= durable)
			durable = journal->writing->hold - 1;
	endpoint_release(durable);
}

/* Commands were executed that nobody may hear of, and that cannot be taken back: see flushAppendOnlyFile. */
static void failed(struct journal *journal, int error)
{
	journal->error = error;
	if (!endpoint_is_held() || has_failed)
		return;
	has_failed = 1;
	/* By another of its records perhaps: what is left to do is to close the connections. */
	if (endpoint_is_ending())
		return;
	serverLog(LL_WARNING,
		  "Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. "
		  "Exiting...",
		  strerror(error));
	exit(1);
}

/* The outcome of the record that @link leads to. */
static void written(struct journal *journal, struct writing **link, const demi_qresult_t *result)
{
	struct writing *writing = *link;

	*link = writing->next;
	if (journal->writing_end == &writing->next)
		journal->writing_end = link;
	journal->unwritten -= writing->bytes;
	zfree(writing);
	if (result->qr_opcode != DEMI_OPC_PUSH)
		failed(journal, (int)result->qr_ret);
	if (endpoint_is_held())
		release();
}

static void completed(const demi_qresult_t *result)
{
	struct journal *journal = journals;
	struct writing **link;

	while (journal != NULL && journal->qd != result->qr_qd)
		journal = journal->next;
	if (journal == NULL)
		return;
	link = &journal->writing;
	while (*link != NULL && (*link)->token != result->qr_qt)
		link = &(*link)->next;
	if (*link != NULL)
		written(journal, link, result);
}

/* Waits until at most @left bytes are on their way. */
static void wait_until_written(struct journal *journal, size_t left)
{
	demi_qresult_t result;

	while (journal->writing != NULL && journal->unwritten > left) {
		int error = endpoint_await(journal->writing->token, &result);

		if (error != 0) {
			result.qr_opcode = DEMI_OPC_FAILED;
			result.qr_ret = error;
		}
		written(journal, &journal->writing, &result);
	}
}

/* Everything that anybody waits for. */
static void settle(void)
{
	for (struct journal *journal = journals; journal != NULL; journal = journal->next)
		wait_until_written(journal, 0);
}

static int open_log(const char *path, int flags)
{
	struct journal *journal = zcalloc(sizeof(*journal));
	int error = demi_open(&journal->qd, path, (flags & ~O_APPEND) | O_WRONLY, 0);

	journal->fd = error == 0 ? eventfd(0, EFD_CLOEXEC) : -1;
	if (journal->fd < 0) {
		if (error == 0)
			error = errno, demi_close(journal->qd);
		zfree(journal);
		return fail(error);
	}
	journal->writing_end = &journal->writing;
	journal->next = journals;
	journals = journal;
	endpoint_on_other(completed);
	endpoint_on_settle(settle);
	return journal->fd;
}

int journal_open(const char *path, int flags, ...)
{
	va_list arguments;
	unsigned int mode;

	va_start(arguments, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned int) : 0;
	va_end(arguments);
	/* Of a file that is to be emptied nothing has to stay. */
	if (has_name_of_log(path) && (flags & O_TRUNC) != 0)
		unlink(path);
	return journal_is_log(path) ? open_log(path, flags) : open(path, flags, mode);
}

static int push_record(struct journal *journal, const char *from, size_t bytes)
{
	struct writing *writing = zmalloc(sizeof(*writing));
	demi_sgarray_t sga = {.sga_numsegs = 1};
	demi_sgarray_t copy = {.sga_buf = NULL};
	int error;

	if (bytes < REFERENCE_BYTES_MIN) {
		copy = demi_sgaalloc(bytes);
		if (copy.sga_buf != NULL)
			memcpy(copy.sga_segs[0].sgaseg_buf, from, bytes);
		sga = copy;
	} else {
		sga.sga_segs[0].sgaseg_buf = (void *)from;
		sga.sga_segs[0].sgaseg_len = (uint32_t)bytes;
	}
	error = sga.sga_numsegs != 0 ? demi_push(&writing->token, journal->qd, &sga) : ENOMEM;
	if (copy.sga_buf != NULL)
		demi_sgafree(&copy);
	if (error != 0) {
		zfree(writing);
		return error;
	}
	writing->next = NULL;
	writing->hold = last_hold + 1;
	writing->bytes = bytes;
	*journal->writing_end = writing;
	journal->writing_end = &writing->next;
	journal->unwritten += bytes;
	return 0;
}

ssize_t journal_write(int fd, const void *from, size_t size)
{
	struct journal *journal = journal_of(fd);
	size_t bytes;
	int error;

	if (journal == NULL)
		return write(fd, from, size);
	if (journal->error != 0)
		return fail(journal->error);
	bytes = size < DEMI_LOG_RECORD_BYTES_MAX ? size : DEMI_LOG_RECORD_BYTES_MAX;
	wait_until_written(journal, UNWRITTEN_MAX);
	error = push_record(journal, from, bytes);
	return error == 0 ? (ssize_t)bytes : fail(error);
}

int journal_commit(int fd)
{
	struct journal *journal = journal_of(fd);

	if (journal == NULL)
		return fdatasync(fd);
	if (journal->error != 0)
		return fail(journal->error);
	if (journal->writing != NULL)
		last_hold = endpoint_hold();
	return 0;
}

int journal_fdatasync(int fd)
{
	struct journal *journal = journal_of(fd);

	if (journal == NULL)
		return fdatasync(fd);
	wait_until_written(journal, 0);
	return journal->error == 0 ? 0 : fail(journal->error);
}

int journal_close(int fd)
{
	struct journal *journal = journal_of(fd);
	struct journal **link = &journals;

	if (journal == NULL)
		return close(fd);
	wait_until_written(journal, 0);
	demi_close(journal->qd);
	while (*link != journal)
		link = &(*link)->next;
	*link = journal->next;
	zfree(journal);
	return close(fd);
}

void journal_background_fsync(int fd)
{
	if (journal_of(fd) == NULL)
		bioCreateFsyncJob(fd);
	/* What was written to a log is on its way already. */
}

void journal_background_close(int fd, int need_fsync)
{
	if (journal_of(fd) == NULL)
		bioCreateCloseJob(fd, need_fsync);
	else
		journal_close(fd);
}

int journal_rename(const char *from, const char *to)
{
	int error;

	if (!journal_is_log(from))
		return rename(from, to);
	error = demi_rename(from, to);
	return error == 0 ? 0 : fail(error);
}

int journal_unlink(const char *path)
{
	int error;

	if (!journal_is_log(path))
		return bg_unlink(path);
	error = demi_unlink(path);
	return error == 0 ? 0 : fail(error);
}

int journal_stat(const char *path, struct stat *result)
{
	int error = has_name_of_log(path) ? stat_log(path, result) : ENOENT;

	if (error == ENOENT)
		return stat(path, result);
	return error == 0 ? 0 : fail(error);
}

int journal_exists(const char *path)
{
	struct stat result;

	return journal_stat(path, &result) == 0;
}

int journal_ftruncate(int fd, off_t bytes)
{
	return journal_of(fd) != NULL ? 0 : ftruncate(fd, bytes);
}

off_t journal_lseek(int fd, off_t offset, int whence)
{
	return journal_of(fd) != NULL ? 0 : lseek(fd, offset, whence);
}
