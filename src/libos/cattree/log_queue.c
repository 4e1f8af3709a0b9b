/* SPDX-License-Identifier: MIT */
/*
 * Queues over logs: a push appends one record, by reference, and completes when it is durable; a
 * pop reads the record at the queue's cursor. Several queues of one log share its records and have
 * cursors of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <demi/file.h>

#include "heap/buf.h"
#include "libos/cattree/log_queue.h"

_Static_assert((uint64_t)DEMI_LOG_RECORD_BYTES_MAX == LOG_RECORD_BYTES_MAX &&
		       (uint64_t)DEMI_LOG_NAME_BYTES_MAX == LOG_NAME_BYTES_MAX,
	       "the public limits are those of the log");

#define OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC)

/* See to it in the next turn of the fast path: not here, where a device or a log has called us. */
static void stir(struct log_queue *queue)
{
	if (queue->stirred)
		return;
	queue->stirred = true;
	queue->next = queue->cattree->stirred;
	queue->cattree->stirred = queue;
}

static bool is_over(const struct log_queue *queue)
{
	return queue->closing && !queue->reading && !queue->pushes;
}

void log_queue_stir_if_over(struct log_queue *queue)
{
	if (is_over(queue))
		stir(queue);
}

static void destroy(struct log_queue *queue)
{
	queue->cattree->queues--;
	log_cursor_destroy(queue->cursor);
	log_close(queue->log);
	if (queue->close_op)
		log_queue_complete(queue, queue->close_op, queue->write_error);
	free(queue);
}

/* --- reading --- */

/* The record has no pop any more, or the cursor has been moved meanwhile. */
static void drop_read(struct log_queue *queue, struct buf *buf)
{
	if (buf)
		buf_free(queue->cattree->context->heap, buf);
	if (queue->seeks)
		return;
	queue->seeks = true;
	queue->seek_record = queue->read_record;
}

static void finish_pop(struct log_queue *queue, struct buf *buf, int error)
{
	struct op *op = op_list_take(&queue->pops);

	/* The end of the log is no bytes. */
	if (!error && !buf) {
		buf = buf_alloc(queue->cattree->context->heap, 0);
		error = buf ? 0 : -ENOMEM;
	}
	op->result.buf = buf;
	log_queue_complete(queue, op, -error);
}

static void read_done(struct log_read *read, struct buf *buf, int error)
{
	struct log_queue *queue = container_of(read, struct log_queue, read);

	queue->reading = false;
	if (queue->pops.head && !queue->seeks)
		finish_pop(queue, buf, error);
	else
		drop_read(queue, buf);
	if (queue->pops.head)
		stir(queue);
	log_queue_stir_if_over(queue);
}

static void start_reads(struct log_queue *queue)
{
	while (queue->pops.head && !queue->reading) {
		int error = 0;

		if (queue->seeks)
			error = log_cursor_seek(queue->cursor, queue->seek_record);
		queue->seeks = false;
		queue->read_record = log_cursor_record(queue->cursor);
		queue->reading = true;
		if (!error)
			error = log_read(queue->cursor, &queue->read);
		if (error) {
			queue->reading = false;
			finish_pop(queue, NULL, error);
		}
	}
}

void cattree_run_stirred(struct cattree *cattree)
{
	struct log_queue *queue = cattree->stirred;

	cattree->stirred = NULL;
	while (queue) {
		struct log_queue *next = queue->next;

		/* Until here it counts as stirred: what is at hand is read without another turn. */
		start_reads(queue);
		queue->stirred = false;
		if (is_over(queue))
			destroy(queue);
		queue = next;
	}
}

static int log_queue_pop(struct queue *base, struct op *op)
{
	struct log_queue *queue = log_queue_of(base);

	if (queue->access == O_WRONLY)
		return -EBADF;
	op_list_append(&queue->pops, op);
	if (!queue->reading)
		stir(queue);
	return 0;
}

/* --- ends --- */

static void abandon(struct log_queue *queue)
{
	op_cancel_all(&queue->cattree->context->ops, &queue->pops);
	log_queue_abandon_pushes(queue);
}

static void log_queue_close(struct queue *base)
{
	struct log_queue *queue = log_queue_of(base);

	abandon(queue);
	queue->closing = true;
	log_queue_stir_if_over(queue);
}

static void log_queue_aclose(struct queue *base, struct op *op)
{
	struct log_queue *queue = log_queue_of(base);

	op_cancel_all(&queue->cattree->context->ops, &queue->pops);
	queue->closing = true;
	queue->close_op = op;
	log_queue_stir_if_over(queue);
}

static int log_queue_cancel(struct queue *base, struct op *op)
{
	struct log_queue *queue = log_queue_of(base);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		return log_queue_cancel_push(queue, op);
	case DEMI_OPC_CLOSE:
		queue->close_op = NULL;
		log_queue_close(base);
		log_queue_complete(queue, op, ECANCELED);
		return 0;
	default:
		op_list_remove(&queue->pops, op);
		log_queue_complete(queue, op, ECANCELED);
		return 0;
	}
}

/* --- place --- */

static uint64_t cursor_position(const struct log_queue *queue, uint64_t first)
{
	uint64_t record = queue->read_record;

	if (queue->seeks)
		record = queue->seek_record;
	else if (!queue->reading)
		return log_cursor_record(queue->cursor);
	return record > first ? record : first;
}

static int log_queue_seek(struct queue *base, int64_t offset, int whence, int64_t *position_out)
{
	struct log_queue *queue = log_queue_of(base);
	struct log_status status;
	int64_t place = 0;

	log_status(queue->log, &status);
	if (queue->pops.head)
		return -EBUSY;
	if (whence == SEEK_CUR)
		place = (int64_t)cursor_position(queue, status.first);
	else if (whence == SEEK_END)
		place = (int64_t)status.end;
	if (__builtin_add_overflow(place, offset, &place) || place < 0 ||
	    (uint64_t)place < status.first || (uint64_t)place > status.end)
		return -EINVAL;
	queue->seeks = true;
	queue->seek_record = (uint64_t)place;
	if (position_out)
		*position_out = place;
	return 0;
}

static int log_queue_truncate(struct queue *base, int64_t offset)
{
	struct log_queue *queue = log_queue_of(base);

	if (queue->access == O_RDONLY)
		return -EINVAL;
	if (queue->pops.head)
		return -EBUSY;
	cattree_begin_call(queue->cattree);
	return log_truncate(queue->log, (uint64_t)offset);
}

static const struct queue_ops log_queue_ops = {
	.close = log_queue_close,
	.aclose = log_queue_aclose,
	.push = log_queue_push,
	.pop = log_queue_pop,
	.cancel = log_queue_cancel,
	.seek = log_queue_seek,
	.truncate = log_queue_truncate,
};

/* --- opening --- */

static struct log_queue *log_queue_create(struct cattree *cattree, struct log *log, int access)
{
	struct log_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->queue = (struct queue){.ops = &log_queue_ops, .qd = -1, .takes_empty = true};
	queue->cattree = cattree;
	queue->log = log;
	queue->access = access;
	queue->read.done = read_done;
	if (log_cursor_create(&queue->cursor, log) != 0) {
		free(queue);
		return NULL;
	}
	cattree->queues++;
	return queue;
}

static int drop_all(struct log *log)
{
	struct log_status status;

	log_status(log, &status);
	return status.end > status.first ? log_truncate(log, status.end) : 0;
}

static unsigned int log_flags(int flags)
{
	if (!(flags & O_CREAT))
		return 0;
	return LOG_CREATE | (flags & O_EXCL ? LOG_EXCLUSIVE : 0);
}

int cattree_open(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		 mode_t mode)
{
	struct cattree *cattree = cattree_of(libos);
	int access = flags & O_ACCMODE;
	struct log_queue *queue = NULL;
	struct log *log;
	int error;

	(void)mode; /* whose the device is, his is all of it */
	if ((flags & ~OPEN_FLAGS) || access == O_ACCMODE)
		return -EINVAL;
	if (access != O_RDONLY && cattree->device->caps.read_only)
		return -EROFS;
	cattree_begin_call(cattree);
	error = log_open(&log, cattree->store, path, log_flags(flags));
	if (error)
		return error;
	if (flags & O_TRUNC)
		error = drop_all(log);
	if (!error)
		queue = log_queue_create(cattree, log, access);
	if (!queue) {
		log_close(log);
		return error ? error : -ENOMEM;
	}
	*queue_out = &queue->queue;
	return 0;
}
