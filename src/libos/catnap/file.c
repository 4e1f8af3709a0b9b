/* SPDX-License-Identifier: MIT */
/*
 * Files on Catnap: pushes append, pops read at a cursor. Pushes are written back by a background
 * coroutine, all that are waiting in one durable write (group commit), while the next ones
 * collect. With io_uring the I/O is asynchronous; the epoll engine makes the same calls and waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container.h"
#include "heap/buf.h"
#include "libos/catnap/batch.h"
#include "libos/catnap/catnap.h"
#include "libos/catnap/push_request.h"

/* Segments of one write. */
#define WRITE_SEGMENTS 128u
#define OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC)

struct file_push {
	struct push_request request;
	struct op *op; /* NULL: completed before the kernel gave the memory back */
	struct file_push *next;
	bool writing; /* the kernel has its memory */
};

struct file {
	struct queue queue;
	struct catnap *catnap;
	struct coroutine writer; /* starts reads and writes */
	int fd;
	int access; /* O_RDONLY, O_WRONLY or O_RDWR */
	int64_t cursor;
	struct op_list pops;
	struct buf *read_buf;     /* not NULL: a read at cursor is under way */
	struct file_push *pushes; /* oldest first */
	struct file_push **pushes_end;
	uint32_t writing; /* of these, so many are being written */
	int write_error;  /* errno of the last push that failed */
	bool running;     /* inside file_run */
	bool closing;     /* has no descriptor: goes when nothing is under way */
	struct op *close_op;
	struct batch_request read;
	struct batch_request write;
	struct iovec iov[WRITE_SEGMENTS];
};

static struct file *file_of(struct queue *queue)
{
	return container_of(queue, struct file, queue);
}

static void complete(struct file *file, struct op *op, int error)
{
	op_complete(&file->catnap->context->ops, op, error);
}

static bool is_over(const struct file *file)
{
	return file->closing && !file->read_buf && !file->pushes;
}

static void destroy(struct file *file)
{
	struct op *op = file->close_op;

	/* In this order: the child of a fork finds the file by the operation. */
	if (op)
		complete(file, op, file->write_error);
	close(file->fd);
	free(file);
}

/* The last I/O may have been what a close waits for. Inside file_run, that sees to it itself. */
static void destroy_if_over(struct file *file)
{
	if (file->running || !is_over(file))
		return;
	sched_remove(&file->catnap->context->sched, &file->writer);
	destroy(file);
}

/* --- reading --- */

static void read_done(struct batch_request *request, int32_t result)
{
	struct file *file = container_of(request, struct file, read);
	struct op *op = op_list_take(&file->pops);
	struct buf *buf = file->read_buf;

	file->read_buf = NULL;
	if (op && result >= 0) {
		buf->length = (uint32_t)result;
		file->cursor += result;
		op->result.buf = buf;
		complete(file, op, 0);
	} else {
		/* Its pop was cancelled (the cursor stays for the next one), or the disk failed. */
		buf_free(file->catnap->context->heap, buf);
		if (op)
			complete(file, op, -result);
	}
	if (file->pops.head)
		sched_wake(&file->catnap->context->sched, &file->writer);
	destroy_if_over(file);
}

static void start_read(struct file *file)
{
	struct catnap *catnap = file->catnap;
	struct buf *buf = buf_alloc(catnap->context->heap, catnap->receive_bytes_max);
	ssize_t result;

	if (!buf) {
		complete(file, op_list_take(&file->pops), ENOMEM);
		return;
	}
	file->read_buf = buf;
	if (catnap->batch) {
		result = batch_read(catnap->batch, &file->read, file->fd, buf->data, buf->capacity,
				    file->cursor);
		if (result == 0)
			return;
	} else {
		result = pread(file->fd, buf->data, buf->capacity, file->cursor);
		if (result < 0)
			result = -errno;
	}
	read_done(&file->read, (int32_t)result);
}

/* --- writing --- */

/* Take the oldest push off the list and complete its operation, if that was not done before. */
static void finish_push(struct file *file, int error)
{
	struct heap *heap = file->catnap->context->heap;
	struct file_push *push = file->pushes;

	file->pushes = push->next;
	if (!file->pushes)
		file->pushes_end = &file->pushes;
	push_request_fini(&push->request, heap);
	if (error)
		file->write_error = error;
	if (push->op)
		complete(file, push->op, error);
	heap_free(heap, push);
}

static void write_done(struct batch_request *request, int32_t result)
{
	struct file *file = container_of(request, struct file, write);
	uint32_t writing = file->writing;
	size_t left = result > 0 ? (size_t)result : 0;

	file->writing = 0;
	for (struct file_push *push = file->pushes; push; push = push->next)
		push->writing = false;
	for (; writing > 0 && file->pushes; writing--) {
		if (result <= 0) {
			finish_push(file, result < 0 ? -result : EIO);
			continue;
		}
		left = push_request_advance(&file->pushes->request, left);
		if (push_request_is_done(&file->pushes->request))
			finish_push(file, 0);
		else if (file->pushes->op)
			break; /* the rest is written next */
		else
			finish_push(file, ECANCELED); /* closed meanwhile: nobody waits for it */
	}
	if (file->pushes)
		sched_wake(&file->catnap->context->sched, &file->writer);
	destroy_if_over(file);
}

static unsigned int gather_writes(struct file *file)
{
	unsigned int count = 0;

	for (struct file_push *push = file->pushes; push; push = push->next) {
		/* Whole pushes only, so that each is in one write; the first may be a rest. */
		if (WRITE_SEGMENTS - count < DEMI_SGARRAY_MAXSIZE)
			break;
		count += push_request_gather(&push->request, file->iov + count,
					     WRITE_SEGMENTS - count);
		push->writing = true;
		file->writing++;
	}
	return count;
}

static void start_write(struct file *file)
{
	struct batch *batch = file->catnap->batch;
	unsigned int count = gather_writes(file);
	ssize_t result;

	if (batch) {
		result = batch_append(batch, &file->write, file->fd, file->iov, count);
		if (result == 0)
			return;
	} else {
		result = pwritev2(file->fd, file->iov, (int)count, -1, RWF_DSYNC);
		if (result < 0)
			result = -errno;
	}
	write_done(&file->write, (int32_t)result);
}

static enum coroutine_step file_run(struct coroutine *self, uint64_t now_ns)
{
	struct file *file = container_of(self, struct file, writer);

	(void)now_ns;
	COROUTINE_BEGIN(self);
	while (!is_over(file)) {
		file->running = true;
		while (file->pops.head && !file->read_buf)
			start_read(file);
		if (file->pushes && !file->writing)
			start_write(file);
		file->running = false;
		if (!is_over(file))
			COROUTINE_BLOCK(self);
	}
	destroy(file);
	COROUTINE_END;
}

/* --- operations --- */

static int file_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		     const struct sockaddr *address, socklen_t length)
{
	struct file *file = file_of(queue);
	struct heap *heap = file->catnap->context->heap;
	struct file_push *push;
	int error;

	(void)length;
	if (address)
		return -EOPNOTSUPP;
	if (file->access == O_RDONLY)
		return -EBADF;
	push = heap_alloc(heap, sizeof(*push));
	if (!push)
		return -ENOMEM;
	error = push_request_init(&push->request, heap, sga);
	if (error) {
		heap_free(heap, push);
		return error;
	}
	error = push_request_copy(&push->request, sga);
	if (error) {
		push_request_fini(&push->request, heap);
		heap_free(heap, push);
		return error;
	}
	push->op = op;
	push->next = NULL;
	push->writing = false;
	op->request = push;
	*file->pushes_end = push;
	file->pushes_end = &push->next;
	sched_wake(&file->catnap->context->sched, &file->writer);
	return 0;
}

static int file_pop(struct queue *queue, struct op *op)
{
	struct file *file = file_of(queue);

	if (file->access == O_WRONLY)
		return -EBADF;
	op_list_append(&file->pops, op);
	sched_wake(&file->catnap->context->sched, &file->writer);
	return 0;
}

static int cancel_push(struct file *file, struct op *op)
{
	struct heap *heap = file->catnap->context->heap;
	struct file_push *push = op->request;
	struct file_push **link = &file->pushes;

	if (push->writing || push_request_is_started(&push->request))
		return -EBUSY;
	while (*link != push)
		link = &(*link)->next;
	*link = push->next;
	if (file->pushes_end == &push->next)
		file->pushes_end = link;
	push_request_fini(&push->request, heap);
	heap_free(heap, push);
	complete(file, op, ECANCELED);
	return 0;
}

/* Give up what is not in the kernel's hands, and let the rest finish without its operations. */
static void abandon(struct file *file)
{
	struct file_push **link = &file->pushes;
	struct file_push *push;

	op_cancel_all(&file->catnap->context->ops, &file->pops);
	while ((push = *link)) {
		struct op *op = push->op;

		push->op = NULL;
		if (push->writing) {
			link = &push->next;
		} else {
			*link = push->next;
			push_request_fini(&push->request, file->catnap->context->heap);
			heap_free(file->catnap->context->heap, push);
		}
		if (op)
			complete(file, op, ECANCELED);
	}
	file->pushes_end = link;
}

static void file_close(struct queue *queue)
{
	struct file *file = file_of(queue);

	abandon(file);
	file->closing = true;
	destroy_if_over(file);
}

static void file_aclose(struct queue *queue, struct op *op)
{
	struct file *file = file_of(queue);

	op_cancel_all(&file->catnap->context->ops, &file->pops);
	file->closing = true;
	file->close_op = op;
	destroy_if_over(file);
}

static int file_cancel(struct queue *queue, struct op *op)
{
	struct file *file = file_of(queue);
	struct op_table *ops = &file->catnap->context->ops;

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		return cancel_push(file, op);
	case DEMI_OPC_CLOSE:
		file->close_op = NULL;
		file_close(queue); /* the file may be gone now */
		op_complete(ops, op, ECANCELED);
		return 0;
	default:
		op_list_remove(&file->pops, op);
		complete(file, op, ECANCELED);
		return 0;
	}
}

static int file_size(const struct file *file, int64_t *size_out)
{
	struct stat status;

	if (fstat(file->fd, &status) < 0)
		return -errno;
	*size_out = status.st_size;
	return 0;
}

static int file_seek(struct queue *queue, int64_t offset, int whence, int64_t *position_out)
{
	struct file *file = file_of(queue);
	int64_t base = whence == SEEK_CUR ? file->cursor : 0;
	int error = whence == SEEK_END ? file_size(file, &base) : 0;

	if (error)
		return error;
	/* A read that lost its pop has still taken its place. */
	if (file->pops.head || file->read_buf)
		return -EBUSY;
	if (__builtin_add_overflow(base, offset, &base) || base < 0)
		return -EINVAL;
	file->cursor = base;
	if (position_out)
		*position_out = base;
	return 0;
}

static int file_truncate(struct queue *queue, int64_t offset)
{
	struct file *file = file_of(queue);
	int64_t size = 0;
	int error;

	if (file->access == O_RDONLY)
		return -EINVAL;
	if (file->pops.head || file->read_buf || file->pushes)
		return -EBUSY;
	error = file_size(file, &size);
	if (error)
		return error;
	if (offset > size)
		return -EINVAL;
	if (ftruncate(file->fd, offset) < 0 || fsync(file->fd) < 0)
		return -errno;
	if (file->cursor > offset)
		file->cursor = offset;
	return 0;
}

static void file_forget(struct queue *queue)
{
	close(file_of(queue)->fd);
}

static const struct queue_ops file_ops = {
	.close = file_close,
	.aclose = file_aclose,
	.forget = file_forget,
	.push = file_push,
	.pop = file_pop,
	.cancel = file_cancel,
	.seek = file_seek,
	.truncate = file_truncate,
};

/* --- opening --- */

/* Open a plain file; a descriptor or -errno. */
static int open_plain(const char *path, int flags, mode_t mode)
{
	struct stat status;
	int error = 0;
	/* O_NONBLOCK, so that opening a FIFO does not wait for its other end. */
	int fd = open(path, flags | O_APPEND | O_CLOEXEC | O_NONBLOCK, mode);

	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno;
	if (fstat(fd, &status) < 0)
		error = -errno;
	else if (S_ISDIR(status.st_mode))
		error = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	/* With O_NONBLOCK io_uring would fail a read that has to wait for the disk. */
	if (!error && fcntl(fd, F_SETFL, O_APPEND) < 0)
		error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

static struct file *file_create(struct catnap *catnap, int fd, int access)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->queue = (struct queue){.ops = &file_ops, .qd = -1};
	file->catnap = catnap;
	file->fd = fd;
	file->access = access;
	file->pushes_end = &file->pushes;
	file->read.done = read_done;
	file->write.done = write_done;
	if (sched_spawn(&catnap->context->sched, &file->writer, file_run) < 0) {
		free(file);
		return NULL;
	}
	return file;
}

/* Without this a sleeping wait would not be woken for a file. */
static int watch_files(struct catnap *catnap)
{
	int event_fd = catnap->batch ? batch_watch_files(catnap->batch) : -1;

	if (!catnap->batch)
		return 0;
	if (event_fd < 0)
		return event_fd;
	poller_watch_event(&catnap->poller, event_fd);
	return 0;
}

int catnap_open(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		mode_t mode)
{
	int access = flags & O_ACCMODE;
	struct file *file;
	int error, fd;

	if ((flags & ~OPEN_FLAGS) || access == O_ACCMODE)
		return -EINVAL;
	error = watch_files(catnap_of(libos));
	if (error)
		return error;
	fd = open_plain(path, flags, mode);
	if (fd < 0)
		return fd;
	/* A new file's name is durable only with its directory. */
	error = flags & O_CREAT ? catnap_sync_directory(path) : 0;
	file = error ? NULL : file_create(catnap_of(libos), fd, access);
	if (!file) {
		close(fd);
		return error ? error : -ENOMEM;
	}
	*queue_out = &file->queue;
	return 0;
}
