/* SPDX-License-Identifier: MIT */
/* Queues over a log that is a fake: the tests say when a record is durable, and what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/buf.h"
#include "libos/cattree/cattree.h"

#define APPENDS_MAX 16u

/* Record i has i bytes, so that 0 is an empty one. */
static struct rig {
	struct queue_context context;
	struct blkdev device;
	struct cattree cattree;
	struct log_append *appends[APPENDS_MAX]; /* not done, oldest first */
	unsigned int append_count;
	unsigned int being_written; /* of these the first so many */
	uint64_t first, end;
	uint64_t cursor; /* of the only queue that reads */
	struct log_read *reading;
	bool reads_at_once;
	int append_error, open_error, truncate_error;
	unsigned int open_flags;
	unsigned int logs, cursors; /* that are open */
	unsigned int calls;         /* that began */
} rig;

/* ---- Fakes ---- */

void cattree_begin_call(struct cattree *cattree)
{
	assert_ptr_equal(cattree, &rig.cattree);
	rig.calls++;
}

int log_open(struct log **log_out, struct log_store *store, const char *name, unsigned int flags)
{
	(void)store;
	assert_string_equal(name, "a log");
	rig.open_flags = flags;
	if (rig.open_error)
		return rig.open_error;
	*log_out = (struct log *)&rig;
	rig.logs++;
	return 0;
}

void log_close(struct log *log)
{
	assert_ptr_equal(log, &rig);
	rig.logs--;
}

void log_status(const struct log *log, struct log_status *status)
{
	(void)log;
	*status = (struct log_status){.name = "a log", .first = rig.first, .end = rig.end};
}

int log_truncate(struct log *log, uint64_t first)
{
	(void)log;
	if (rig.truncate_error)
		return rig.truncate_error;
	if (first < rig.first || first > rig.end)
		return -EINVAL;
	rig.first = first;
	return 0;
}

int log_append(struct log *log, struct log_append *append)
{
	(void)log;
	if (rig.append_error)
		return rig.append_error;
	assert_true(rig.append_count < APPENDS_MAX);
	rig.appends[rig.append_count++] = append;
	return 0;
}

static void append_end(unsigned int place, int error)
{
	struct log_append *append = rig.appends[place];

	assert_true(place < rig.append_count);
	rig.append_count--;
	memmove(&rig.appends[place], &rig.appends[place + 1],
		(rig.append_count - place) * sizeof(rig.appends[0]));
	if (place < rig.being_written)
		rig.being_written--;
	append->done(append, error);
}

int log_append_cancel(struct log *log, struct log_append *append)
{
	(void)log;
	for (unsigned int i = 0; i < rig.append_count; i++) {
		if (rig.appends[i] != append)
			continue;
		if (i < rig.being_written)
			return -EBUSY;
		append_end(i, -ECANCELED);
		return 0;
	}
	fail_msg("an append that is not there is cancelled");
	return -EINVAL;
}

int log_cursor_create(struct log_cursor **cursor_out, struct log *log)
{
	(void)log;
	*cursor_out = (struct log_cursor *)&rig.cursor;
	rig.cursor = rig.first;
	rig.cursors++;
	return 0;
}

void log_cursor_destroy(struct log_cursor *cursor)
{
	assert_ptr_equal(cursor, &rig.cursor);
	assert_null(rig.reading);
	rig.cursors--;
}

int log_cursor_seek(struct log_cursor *cursor, uint64_t record)
{
	(void)cursor;
	if (rig.reading)
		return -EBUSY;
	if (record > rig.end)
		return -EINVAL;
	rig.cursor = record;
	return 0;
}

uint64_t log_cursor_record(const struct log_cursor *cursor)
{
	(void)cursor;
	return rig.cursor > rig.first ? rig.cursor : rig.first;
}

static void read_end(int error)
{
	struct log_read *read = rig.reading;
	struct buf *buf = NULL;

	assert_non_null(read);
	rig.reading = NULL;
	if (rig.cursor < rig.first)
		rig.cursor = rig.first;
	if (!error && rig.cursor < rig.end) {
		buf = buf_alloc(rig.context.heap, 100);
		buf->length = (uint32_t)rig.cursor++;
	}
	read->done(read, buf, error);
}

int log_read(struct log_cursor *cursor, struct log_read *read)
{
	(void)cursor;
	if (rig.reading)
		return -EBUSY;
	rig.reading = read;
	if (rig.reads_at_once)
		read_end(0);
	return 0;
}

/* ---- Frame ---- */

static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.cattree.context = &rig.context;
	rig.cattree.device = &rig.device;
	assert_int_equal(
		heap_create(&rig.context.heap, &(struct heap_options){.bytes_max = 32u << 20}), 0);
	return op_table_init(&rig.context.ops, 64);
}

/* Everything that was opened, pushed or read must be gone. */
static int teardown(void **state)
{
	struct heap_stats stats;

	(void)state;
	cattree_run_stirred(&rig.cattree);
	heap_get_stats(rig.context.heap, &stats);
	heap_destroy(rig.context.heap);
	op_table_fini(&rig.context.ops);
	return stats.objects == 0 && rig.logs == 0 && rig.cursors == 0 && rig.cattree.queues == 0
		       ? 0
		       : -1;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static struct queue *queue_open(int flags)
{
	struct queue *queue;

	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", flags, 0), 0);
	assert_true(queue->takes_empty);
	return queue;
}

static struct op *start(struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&rig.context.ops, opcode, queue, 500);

	assert_non_null(op);
	return op;
}

static struct op *start_push(struct queue *queue, size_t size)
{
	demi_sgarray_t sga = {.sga_numsegs = 1};
	struct op *op = start(queue, DEMI_OPC_PUSH);
	void *memory = heap_alloc(rig.context.heap, size);

	sga.sga_segs[0].sgaseg_buf = memory;
	sga.sga_segs[0].sgaseg_len = (uint32_t)size;
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	/* The operation has it now. */
	assert_int_equal(heap_free(rig.context.heap, memory), 0);
	return op;
}

static struct op *start_pop(struct queue *queue)
{
	struct op *op = start(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

/* An operation that has completed, in its order, is taken by who waits. */
static void take(struct op *op, int error)
{
	assert_ptr_equal(rig.context.ops.fresh.head, op);
	assert_int_equal(op->error, error);
	op_unlink(&rig.context.ops, op);
	op_free(&rig.context.ops, op);
}

static void take_pop(struct op *op, uint32_t length)
{
	assert_true(op_is_complete(op));
	assert_non_null(op->result.buf);
	assert_int_equal(op->result.buf->length, length);
	buf_free(rig.context.heap, op->result.buf);
	take(op, 0);
}

static int64_t position(struct queue *queue, int64_t offset, int whence)
{
	int64_t place = -1;
	int error = queue->ops->seek(queue, offset, whence, &place);

	return error ? error : place;
}

/* ---- Pushes ---- */

static void log_queue_push__is_by_reference_until_durable(void **state)
{
	struct queue *queue = queue_open(O_WRONLY);
	struct op *op = start_push(queue, 5000);
	const demi_sgaseg_t *segment = &rig.appends[0]->segments[0];

	(void)state;
	assert_int_equal(rig.appends[0]->segment_count, 1);
	assert_int_equal(segment->sgaseg_len, 5000);
	/* It was freed, and lives. */
	assert_ptr_equal(heap_object(rig.context.heap, segment->sgaseg_buf), segment->sgaseg_buf);
	assert_false(op_is_complete(op));
	append_end(0, 0);
	take(op, 0);
	queue->ops->close(queue);
}

static void log_queue_push__failures(void **state)
{
	struct queue *queue = queue_open(O_WRONLY), *reader = queue_open(O_RDONLY);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{&rig, 1}}};
	struct op *op = start(queue, DEMI_OPC_PUSH);
	struct sockaddr address = {.sa_family = AF_INET};

	(void)state;
	assert_int_equal(queue->ops->push(queue, op, &sga, &address, sizeof(address)), -EOPNOTSUPP);
	assert_int_equal(reader->ops->push(reader, op, &sga, NULL, 0), -EBADF);
	sga.sga_segs[0].sgaseg_len = LOG_RECORD_BYTES_MAX + 1;
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -EMSGSIZE);
	sga.sga_segs[0].sgaseg_len = 10;
	rig.append_error = -ENOSPC;
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -ENOSPC);
	op_free(&rig.context.ops, op);
	/* That which fails later on says so itself. */
	rig.append_error = 0;
	op = start_push(queue, 100);
	append_end(0, -EIO);
	take(op, EIO);
	queue->ops->close(queue);
	reader->ops->close(reader);
}

static void log_queue_cancel__of_a_push(void **state)
{
	struct queue *queue = queue_open(O_WRONLY);
	struct op *ops[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		ops[i] = start_push(queue, 100 + i);
	rig.being_written = 1;
	assert_int_equal(queue->ops->cancel(queue, ops[0]), -EBUSY);
	assert_int_equal(queue->ops->cancel(queue, ops[1]), 0);
	take(ops[1], ECANCELED);
	append_end(0, 0);
	append_end(0, 0);
	take(ops[0], 0);
	take(ops[2], 0);
	queue->ops->close(queue);
}

/* ---- Pops ---- */

static void log_queue_pop__one_record_each_in_order(void **state)
{
	struct queue *queue = queue_open(O_RDWR);
	struct op *ops[4];

	(void)state;
	rig.end = 3;
	for (unsigned int i = 0; i < 4; i++)
		ops[i] = start_pop(queue);
	/* Not before the turn of the fast path. */
	assert_null(rig.reading);
	for (uint32_t i = 0; i < 4; i++) {
		cattree_run_stirred(&rig.cattree);
		assert_false(op_is_complete(ops[i]));
		read_end(0);
		take_pop(ops[i], i < 3 ? i : 0);
	}
	assert_int_equal(position(queue, 0, SEEK_CUR), 3);
	queue->ops->close(queue);
}

static void log_queue_pop__records_at_hand_are_served_in_one_turn(void **state)
{
	struct queue *queue = queue_open(O_RDONLY);
	struct op *ops[3];

	(void)state;
	rig.end = 2;
	rig.reads_at_once = true;
	for (unsigned int i = 0; i < 3; i++)
		ops[i] = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	take_pop(ops[0], 0);
	take_pop(ops[1], 1);
	take_pop(ops[2], 0);
	assert_null(rig.cattree.stirred);
	queue->ops->close(queue);
}

static void log_queue_pop__failure_leaves_the_cursor(void **state)
{
	struct queue *queue = queue_open(O_RDONLY), *writer = queue_open(O_WRONLY);
	struct op *op = start(writer, DEMI_OPC_POP);

	(void)state;
	assert_int_equal(writer->ops->pop(writer, op), -EBADF);
	op_free(&rig.context.ops, op);
	writer->ops->close(writer);
	cattree_run_stirred(&rig.cattree);
	rig.end = 5;
	rig.cursor = 2;
	op = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	read_end(-EUCLEAN);
	assert_null(op->result.buf);
	take(op, EUCLEAN);
	assert_int_equal(position(queue, 1, SEEK_CUR), 3);
	op = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	read_end(0);
	take_pop(op, 3);
	queue->ops->close(queue);
}

static void log_queue_cancel__of_a_pop_leaves_its_record_to_the_next(void **state)
{
	struct queue *queue = queue_open(O_RDONLY);
	struct op *ops[2];

	(void)state;
	rig.end = 9;
	rig.cursor = 4;
	/* One that waits behind it takes the record. */
	ops[0] = start_pop(queue);
	ops[1] = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(queue->ops->cancel(queue, ops[0]), 0);
	take(ops[0], ECANCELED);
	read_end(0);
	take_pop(ops[1], 4);
	/* And one that comes later reads it again. */
	ops[0] = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(queue->ops->cancel(queue, ops[0]), 0);
	take(ops[0], ECANCELED);
	assert_int_equal(position(queue, 0, SEEK_CUR), 5);
	read_end(0);
	assert_int_equal(position(queue, 0, SEEK_CUR), 5);
	ops[1] = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	read_end(0);
	take_pop(ops[1], 5);
	queue->ops->close(queue);
}

static void log_queue_seek__while_a_read_has_lost_its_pop(void **state)
{
	struct queue *queue = queue_open(O_RDONLY);
	struct op *op;

	(void)state;
	rig.end = 9;
	op = start_pop(queue);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(position(queue, 0, SEEK_CUR), -EBUSY);
	assert_int_equal(queue->ops->cancel(queue, op), 0);
	take(op, ECANCELED);
	assert_int_equal(position(queue, 7, SEEK_SET), 7);
	assert_int_equal(position(queue, 0, SEEK_CUR), 7);
	/* The pop gets the record that was chosen, not the one that comes. */
	op = start_pop(queue);
	read_end(0);
	assert_false(op_is_complete(op));
	cattree_run_stirred(&rig.cattree);
	read_end(0);
	take_pop(op, 7);
	queue->ops->close(queue);
}

static void log_queue_seek__limits(void **state)
{
	struct queue *queue = queue_open(O_RDONLY);

	(void)state;
	rig.end = 9;
	rig.first = 3;
	assert_int_equal(position(queue, 0, SEEK_CUR), 3);
	assert_int_equal(position(queue, 2, SEEK_SET), -EINVAL);
	assert_int_equal(position(queue, 10, SEEK_SET), -EINVAL);
	assert_int_equal(position(queue, 0, SEEK_END), 9);
	assert_int_equal(position(queue, 1, SEEK_CUR), -EINVAL);
	assert_int_equal(position(queue, INT64_MAX, SEEK_CUR), -EINVAL);
	assert_int_equal(position(queue, INT64_MIN, SEEK_END), -EINVAL);
	assert_int_equal(position(queue, -6, SEEK_CUR), 3);
	/* What is dropped behind the back of a cursor takes it along. */
	rig.first = 8;
	assert_int_equal(position(queue, 0, SEEK_CUR), 8);
	queue->ops->close(queue);
}

static void log_queue_truncate__is_of_records(void **state)
{
	struct queue *queue = queue_open(O_RDWR), *reader = queue_open(O_RDONLY);
	struct op *op;

	(void)state;
	rig.end = 9;
	rig.calls = 0;
	assert_int_equal(reader->ops->truncate(reader, 1), -EINVAL);
	reader->ops->close(reader);
	assert_int_equal(queue->ops->truncate(queue, 4), 0);
	assert_int_equal(rig.first, 4);
	assert_int_equal(queue->ops->truncate(queue, 10), -EINVAL);
	rig.truncate_error = -EIO;
	assert_int_equal(queue->ops->truncate(queue, 5), -EIO);
	assert_int_equal(rig.calls, 3);
	op = start_pop(queue);
	assert_int_equal(queue->ops->truncate(queue, 5), -EBUSY);
	assert_int_equal(queue->ops->cancel(queue, op), 0);
	take(op, ECANCELED);
	queue->ops->close(queue);
}

/* ---- Ends ---- */

static void log_queue_close__lets_finish_what_is_being_written(void **state)
{
	struct queue *queue = queue_open(O_RDWR);
	struct op *pushes[3], *popping = start_pop(queue);

	(void)state;
	rig.end = 2;
	cattree_run_stirred(&rig.cattree);
	for (unsigned int i = 0; i < 3; i++)
		pushes[i] = start_push(queue, 100);
	rig.being_written = 1;
	queue->ops->close(queue);
	take(popping, ECANCELED);
	for (unsigned int i = 0; i < 3; i++)
		take(pushes[i], ECANCELED);
	assert_int_equal(rig.append_count, 1);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(rig.cattree.queues, 1);
	append_end(0, 0);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(rig.cattree.queues, 1);
	read_end(0);
	/* Not inside of a call from the log, which has still to do with it. */
	assert_int_equal(rig.logs, 1);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(rig.logs, 0);
	assert_null(rig.context.ops.fresh.head);
}

static void log_queue_aclose__completes_when_all_is_durable(void **state)
{
	struct queue *queue = queue_open(O_RDWR);
	struct op *pushes[2], *popping = start_pop(queue), *closing;

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		pushes[i] = start_push(queue, 100);
	closing = start(queue, DEMI_OPC_CLOSE);
	queue->ops->aclose(queue, closing);
	take(popping, ECANCELED);
	append_end(0, -EIO);
	append_end(0, 0);
	assert_false(op_is_complete(closing));
	cattree_run_stirred(&rig.cattree);
	take(pushes[0], EIO);
	take(pushes[1], 0);
	/* It says that something is not there. */
	take(closing, EIO);
}

static void log_queue_cancel__of_a_close(void **state)
{
	struct queue *queue = queue_open(O_RDWR);
	struct op *push = start_push(queue, 100), *closing = start(queue, DEMI_OPC_CLOSE);

	(void)state;
	queue->ops->aclose(queue, closing);
	assert_int_equal(queue->ops->cancel(queue, closing), 0);
	take(push, ECANCELED);
	take(closing, ECANCELED);
	cattree_run_stirred(&rig.cattree);
	assert_int_equal(rig.logs, 0);
}

/* ---- Opening ---- */

static void cattree_open__flags(void **state)
{
	struct queue *queue;

	(void)state;
	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", O_RDWR | O_APPEND, 0),
			 -EINVAL);
	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", O_ACCMODE, 0), -EINVAL);
	queue = queue_open(O_RDWR | O_CREAT | O_CLOEXEC);
	assert_int_equal(rig.open_flags, LOG_CREATE);
	queue->ops->close(queue);
	queue = queue_open(O_RDWR | O_CREAT | O_EXCL);
	assert_int_equal(rig.open_flags, LOG_CREATE | LOG_EXCLUSIVE);
	queue->ops->close(queue);
	queue = queue_open(O_RDWR | O_EXCL);
	assert_int_equal(rig.open_flags, 0);
	queue->ops->close(queue);
	rig.end = 5;
	queue = queue_open(O_WRONLY | O_TRUNC);
	assert_int_equal(rig.first, 5);
	queue->ops->close(queue);
	rig.end = 6;
	rig.truncate_error = -EIO;
	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", O_WRONLY | O_TRUNC, 0),
			 -EIO);
	rig.open_error = -ENOENT;
	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", O_RDONLY, 0), -ENOENT);
	rig.device.caps.read_only = true;
	assert_int_equal(cattree_open(&rig.cattree.libos, &queue, "a log", O_WRONLY, 0), -EROFS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(log_queue_push__is_by_reference_until_durable),
		TEST(log_queue_push__failures),
		TEST(log_queue_cancel__of_a_push),
		TEST(log_queue_pop__one_record_each_in_order),
		TEST(log_queue_pop__records_at_hand_are_served_in_one_turn),
		TEST(log_queue_pop__failure_leaves_the_cursor),
		TEST(log_queue_cancel__of_a_pop_leaves_its_record_to_the_next),
		TEST(log_queue_seek__while_a_read_has_lost_its_pop),
		TEST(log_queue_seek__limits),
		TEST(log_queue_truncate__is_of_records),
		TEST(log_queue_close__lets_finish_what_is_being_written),
		TEST(log_queue_aclose__completes_when_all_is_durable),
		TEST(log_queue_cancel__of_a_close),
		TEST(cattree_open__flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
