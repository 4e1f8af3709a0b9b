/* SPDX-License-Identifier: MIT */
#include "libos/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static int context_init(struct queue_context *context, const struct config *config, uint64_t now_ns)
{
	int error;

	context->now_ns = now_ns;
	error = heap_create(&context->heap, config->heap.max_bytes);
	if (!error)
		error = sched_init(&context->sched, now_ns);
	if (!error)
		error = op_table_init(&context->ops, config->runtime.operations_max);
	if (!error)
		error = queue_table_init(&context->queues, config->runtime.queues_max);
	if (error)
		log_error("cannot start the runtime: %s; lower heap.max_bytes, "
			  "runtime.operations_max or runtime.queues_max",
			  strerror(-error));
	return error;
}

static void context_fini(struct queue_context *context)
{
	queue_table_fini(&context->queues);
	op_table_fini(&context->ops);
	sched_fini(&context->sched);
	heap_destroy(context->heap);
}

int runtime_create(struct runtime **runtime_out, const struct config *config, uint64_t now_ns)
{
	const struct libos_ops *ops = libos_find(config->libos);
	struct runtime *runtime;
	int error;

	if (!ops) {
		log_error("%s: libOS \"%s\" is not in this build; allowed: %s",
			  config->origin.libos, config->libos, libos_names());
		return -ENOTSUP;
	}
	runtime = calloc(1, sizeof(*runtime));
	if (!runtime)
		return -ENOMEM;
	runtime->config = *config;
	error = context_init(&runtime->context, config, now_ns);
	if (!error)
		error = ops->start(&runtime->libos, &runtime->context, &runtime->config);
	if (error) {
		context_fini(&runtime->context);
		free(runtime);
		return error;
	}
	*runtime_out = runtime;
	return 0;
}

/* Queues with an aclose pending have no descriptor any more; their operations know them. */
static void cancel_closes(struct op_table *ops)
{
	for (uint32_t slot = 0; slot < ops->used; slot++) {
		struct op *op = &ops->slots[slot];

		if (op->state == OP_PENDING && op->opcode == DEMI_OPC_CLOSE)
			op->queue->ops->cancel(op->queue, op);
	}
}

void runtime_destroy(struct runtime *runtime)
{
	struct queue_table *queues = &runtime->context.queues;

	for (uint32_t slot = 0; slot < queues->used; slot++) {
		struct queue *queue = queues->queues[slot];

		if (!queue)
			continue;
		queue_table_remove(queues, queue);
		queue->ops->close(queue);
	}
	cancel_closes(&runtime->context.ops);
	runtime->libos->ops->stop(runtime->libos);
	context_fini(&runtime->context);
	free(runtime);
}
