/* SPDX-License-Identifier: MIT */
/* Operations on data, and the end of a descriptor. */
#include <demi/libos.h>
#include <demi/queue.h>

#include <string.h>

#include "api/api.h"
#include "queue/guard.h"
#include "queue/joined_queue.h"
#include "queue/joint.h"
#include "queue/memory_queue.h"
#include "queue/sga.h"

int demi_queue(int *qd_out)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct queue *queue;
	int error;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(qd_out))
		return EFAULT;
	error = memory_queue_create(&queue, &runtime->context, runtime->config.queue.elements_max);
	if (error)
		return -error;
	return api_give_descriptor(runtime, queue, qd_out);
}

static int check_name(const char *name)
{
	size_t length = strnlen(name, JOINT_NAME_MAX + 1);

	if (length == 0)
		return EINVAL;
	return length > JOINT_NAME_MAX ? ENAMETOOLONG : 0;
}

/* One side of a queue with a name: the first, or the second. */
static int join(int *qd_out, const char *name, bool is_first)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct queue *queue;
	int error;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(qd_out) || !name)
		return EFAULT;
	error = check_name(name);
	if (error)
		return error;
	/* First of all: what is joined and closed again the other end would hear of. */
	if (queue_table_is_full(&runtime->context.queues))
		return EMFILE;
	error = is_first ? joined_queue_create(&queue, &runtime->context, name,
					       runtime->config.queue.joined_elements_max)
			 : joined_queue_open(&queue, &runtime->context, name);
	if (error)
		return -error;
	return api_give_descriptor(runtime, queue, qd_out);
}

int demi_queue_create(int *qd_out, const char *name)
{
	return join(qd_out, name, true);
}

int demi_queue_open(int *qd_out, const char *name)
{
	return join(qd_out, name, false);
}

static __attribute__((noinline)) int
check_slowly(const struct runtime *runtime, const struct queue *queue, const demi_sgarray_t *sga)
{
	return -sga_check(runtime->context.heap, sga,
			  runtime->config.heap.foreign == CONFIG_FOREIGN_REFUSE,
			  queue->takes_empty);
}

static inline __attribute__((always_inline)) int start_push(demi_qtoken_t *qt_out, int qd,
							    const demi_sgarray_t *sga,
							    const struct sockaddr *address,
							    socklen_t length)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	struct op *op;
	int error = api_find_for_op(qt_out, qd, &runtime, &queue);

	if (error)
		return error;
	if (!sga)
		return EFAULT;
	if (!queue->ops->push)
		return EOPNOTSUPP;
	if (!sga_is_plain(runtime->context.heap, sga))
		error = check_slowly(runtime, queue, sga);
	if (error)
		return error;
	op = op_alloc(&runtime->context.ops, DEMI_OPC_PUSH, queue, qd);
	if (!op)
		return EAGAIN;
	error = queue->ops->push(queue, op, sga, address, length);
	if (!error && __builtin_expect(runtime->context.ops.guard != NULL, 0) &&
	    !op_is_complete(op))
		guard_push(runtime->context.ops.guard, op, sga);
	return api_started(runtime, op, error, qt_out);
}

int demi_push(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga)
{
	return start_push(qt_out, qd, sga, NULL, 0);
}

int demi_pushto(demi_qtoken_t *qt_out, int sockqd, const demi_sgarray_t *sga,
		const struct sockaddr *dest_addr, socklen_t size)
{
	if (!api_runtime)
		return ENOSYS;
	if (!dest_addr)
		return EFAULT;
	return start_push(qt_out, sockqd, sga, dest_addr, size);
}

int demi_pop(demi_qtoken_t *qt_out, int qd)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	struct op *op;
	int error = api_find_for_op(qt_out, qd, &runtime, &queue);

	if (error)
		return error;
	if (!queue->ops->pop)
		return EOPNOTSUPP;
	op = op_alloc(&runtime->context.ops, DEMI_OPC_POP, queue, qd);
	if (!op)
		return EAGAIN;
	return api_started(runtime, op, queue->ops->pop(queue, op), qt_out);
}

int demi_cancel(demi_qtoken_t qt)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct op *op;

	if (!runtime)
		return ENOSYS;
	op = op_lookup(&runtime->context.ops, qt);
	if (!op)
		return EINVAL;
	if (op_is_complete(op))
		return EALREADY;
	return -op->queue->ops->cancel(op->queue, op);
}

int demi_close(int qd)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	queue_table_remove(&runtime->context.queues, queue);
	queue->ops->close(queue);
	return 0;
}

int demi_aclose(demi_qtoken_t *qt_out, int qd)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	struct op *op;
	int error = api_find_for_op(qt_out, qd, &runtime, &queue);

	if (error)
		return error;
	op = op_alloc(&runtime->context.ops, DEMI_OPC_CLOSE, queue, qd);
	if (!op)
		return EAGAIN;
	queue_table_remove(&runtime->context.queues, queue);
	queue->ops->aclose(queue, op);
	return api_started(runtime, op, 0, qt_out);
}
