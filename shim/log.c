/* SPDX-License-Identifier: MIT */
/* The table of logs, and their names. */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine.h"
#include "handler.h"
#include "real.h"
#include "trace.h"

/* Of st_dev: no device of the kernel's has this number, and names are found by it and st_ino. */
#define DEVICE_MAJOR 4095u
#define BLOCK_BYTES 4096

static struct log *logs;
static struct log **by_qd; /* [by_qd_count]; NULL: not a log's */
static uint32_t by_qd_count;
static uint64_t last_number;
/* In the child of a fork: the device is the parent's. */
static bool is_parents;

/* ---- Waiting ---- */

void log_wait(struct log *log, bool (*is_ready)(void *context), void *context)
{
	struct waiter *self = NULL;
	struct wait wait = {.is_ready = is_ready, .context = context, .deadline_ns = NEVER_NS};
	sigset_t blocked, before;

	if (is_ready(context))
		return;
	/* The operation goes on, so that no handler may run, nor jump away. */
	handlers_hold();
	sigfillset(&blocked);
	/* Of faults, which a copy of the program's memory may raise. */
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	log->holds++;
	while (!(self = waiter_begin(1)))
		engine_poll();
	waiter_watch(self, &log->watched);
	while (engine_wait(self, &wait) == -EINTR)
		;
	waiter_end(self);
	log->holds--;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	handlers_let();
}

static bool is_given(void *log)
{
	return !((const struct log *)log)->is_taken;
}

void log_take(struct log *log)
{
	while (log->is_taken)
		log_wait(log, is_given, log);
	log->is_taken = true;
}

void log_give(struct log *log)
{
	log->is_taken = false;
	file_notify(&log->watched, POLLOUT);
}

/* ---- Opening ---- */

static struct log *find(const char *name)
{
	struct log *log = logs;

	while (log && (log->is_removed || strcmp(log->name, name) != 0))
		log = log->next;
	return log;
}

static struct log *create(const char *name)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->number = ++last_number;
	log->qd = log->image = -1;
	log->size = -1;
	log->records_end = &log->records;
	snprintf(log->name, sizeof(log->name), "%s", name);
	clock_gettime(CLOCK_REALTIME, &log->modified);
	log->next = logs;
	logs = log;
	return log;
}

static void forget(struct log *log)
{
	struct log **link = &logs;

	while (*link != log)
		link = &(*link)->next;
	*link = log->next;
	free(log);
}

/* Whose a completed operation is. */
static int note_queue(struct log *log)
{
	struct log **more;
	uint32_t count;

	if ((uint32_t)log->qd < by_qd_count) {
		by_qd[log->qd] = log;
		return 0;
	}
	count = 2 * (uint32_t)log->qd + 16;
	more = realloc(by_qd, count * sizeof(*by_qd));
	if (!more)
		return -ENOMEM;
	memset(more + by_qd_count, 0, (count - by_qd_count) * sizeof(*by_qd));
	by_qd = more;
	by_qd_count = count;
	by_qd[log->qd] = log;
	return 0;
}

static void close_queue(struct log *log)
{
	if (log->qd < 0)
		return;
	if ((uint32_t)log->qd < by_qd_count)
		by_qd[log->qd] = NULL;
	demi_close(log->qd);
	log->qd = -1;
}

/* Return: 0 or -errno. */
static int open_queue(struct log *log, int flags)
{
	int64_t end = 0;
	int error = demi_open(&log->qd, log->name, O_RDWR | flags, 0);

	log->is_read_only = error == EROFS && !flags;
	if (log->is_read_only)
		error = demi_open(&log->qd, log->name, O_RDONLY, 0);
	if (error) {
		log->qd = -1;
		return -error;
	}
	error = note_queue(log);
	if (error) {
		close_queue(log);
		return error;
	}
	demi_seek(log->qd, 0, SEEK_CUR, &log->first);
	demi_seek(log->qd, 0, SEEK_END, &end);
	if (log->first == end) {
		log->size = 0;
		log->tail = LOG_TAIL_WHOLE;
	}
	return 0;
}

static int complain_child(const char *name)
{
	static bool is_told;

	if (!is_told)
		fprintf(stderr,
			"demi: %s: the child of a fork cannot use logs: the device is its parent's\n",
			name);
	is_told = true;
	return -EIO;
}

static int ready(const char *name)
{
	if (strlen(name) > DEMI_LOG_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	if (is_parents)
		return complain_child(name);
	return engine_start() ? -EIO : 0;
}

int log_open(struct log **log_out, const char *name, int flags)
{
	struct log *log;
	int error = ready(name);

	if (error)
		return error;
	log = find(name);
	if (log && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (log && log->qd < 0)
		error = open_queue(log, 0);
	if (!log) {
		log = create(name);
		error = log ? open_queue(log, flags & (O_CREAT | O_EXCL)) : -ENOMEM;
		if (log && error)
			forget(log);
	}
	if (error)
		return error;
	log->holds++;
	*log_out = log;
	return 0;
}

/* Nobody has it open: what found no room is lost, and who closed it was told. */
static void end_if_over(struct log *log)
{
	if (log->holds || log->under_way)
		return;
	log_drop_refused(log);
	log_drop_image(log);
	if (log->error)
		log->size = -1;
	close_queue(log);
	log->error = 0;
	if (log->is_removed)
		forget(log);
}

void log_drop(struct log *log)
{
	log->holds--;
	end_if_over(log);
}

/* ---- Names ---- */

int log_rename(const char *name, const char *new_name, bool replaces)
{
	struct log *from, *to = NULL;
	int error = log_open(&from, name, 0);

	if (error)
		return error;
	error = log_open(&to, new_name, 0);
	if (!error && !replaces)
		error = -EEXIST;
	else if (!error || error == -ENOENT)
		error = from == to ? 0 : -demi_rename(name, new_name);
	if (!error && from != to) {
		TRACE("log %s is %s", name, new_name);
		snprintf(from->name, sizeof(from->name), "%s", new_name);
		if (to)
			to->is_removed = true;
	}
	log_drop(from);
	if (to)
		log_drop(to);
	return error;
}

int log_remove(const char *name)
{
	struct log *log;
	int error = log_open(&log, name, 0);

	if (error)
		return error;
	error = -demi_unlink(name);
	if (!error) {
		TRACE("log %s is removed", name);
		log->is_removed = true;
	}
	log_drop(log);
	return error;
}

int log_stat(struct log *log, struct stat *status)
{
	int error = 0;

	if (log->size < 0) {
		log_take(log);
		error = log_measure(log);
		log_give(log);
	}
	if (error)
		return error;
	*status = (struct stat){
		.st_dev = makedev(DEVICE_MAJOR, 0),
		.st_ino = log->number,
		.st_mode = S_IFREG | (log->is_read_only ? 0444 : 0644),
		.st_nlink = !log->is_removed,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = log->size,
		.st_blksize = BLOCK_BYTES,
		.st_blocks = (log->size + 511) / 512,
		.st_atim = log->modified,
		.st_mtim = log->modified,
		.st_ctim = log->modified,
	};
	return 0;
}

/* ---- For the engine ---- */

bool logs_complete(demi_qresult_t *result)
{
	uint32_t qd = (uint32_t)result->qr_qd;
	struct log *log = qd < by_qd_count ? by_qd[qd] : NULL;

	if (!log)
		return false;
	log->holds++;
	log_record_ended(log, result);
	log_read_ended(log, result);
	file_notify(&log->watched, POLLOUT);
	log_drop(log);
	return true;
}

uint64_t logs_unsaved(void)
{
	uint64_t sum = 0;

	for (struct log *log = logs; log; log = log->next)
		sum += log->under_way + (log->under_way ? log->waiting_bytes : 0);
	return sum;
}

static void forget_file(int fd, struct file *file)
{
	(void)fd;
	if (file->kind == FILE_LOG)
		log_file_of(file)->is_parents = true;
}

void logs_forget(void)
{
	is_parents = true;
	by_qd_count = 0;
	for (struct log *log = logs; log; log = log->next) {
		/* The parent's memory, which is not given back, and whose operations are not ours. */
		log->qd = -1;
		log->records = NULL;
		log->records_end = &log->records;
		log->under_way = 0;
		log->waiting_bytes = 0;
		log->read_count = 0;
		log->is_taken = false;
		log->watched.watches = NULL;
	}
	file_for_each(forget_file);
}
