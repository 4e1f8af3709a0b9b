/* SPDX-License-Identifier: MIT */
#include "libos/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "heap/buf.h"
#include "heap/heaps.h"
#include "queue/guard.h"
#include "queue/joined_queue.h"

struct heap_options runtime_heap_options(const struct config *config, heap_wrong_free *wrong_free)
{
	static const enum heap_huge_pages huge_pages[] = {
		[CONFIG_HUGE_PAGES_AUTO] = HEAP_HUGE_PAGES_AUTO,
		[CONFIG_HUGE_PAGES_RESERVED] = HEAP_HUGE_PAGES_RESERVED,
		[CONFIG_HUGE_PAGES_OFF] = HEAP_HUGE_PAGES_OFF,
	};

	return (struct heap_options){
		.bytes_max = config->heap.max_bytes,
		.huge_pages = huge_pages[config->heap.huge_pages],
		.lock = config->heap.lock == CONFIG_ON,
		.protect = config->heap.protect == CONFIG_ON,
		.wrong_free = wrong_free,
	};
}

/* Free memory is kept so long for those who want it back. */
#define PURGE_DELAY_NS UINT64_C(250000000)

static void log_heap(const struct heap *heap, const struct config *config)
{
	struct heap_stats stats;

	if (config->heap.protect == CONFIG_ON &&
	    config->heap.huge_pages == CONFIG_HUGE_PAGES_RESERVED)
		log_warning("heap.huge_pages: reserved has no effect with heap.protect: on");
	heap_get_stats(heap, &stats);
	log_info("heap: up to %llu MiB of %s, %s", (unsigned long long)stats.bytes_max >> 20,
		 stats.bytes_reserved_huge ? "reserved huge pages" : "ordinary pages",
		 stats.bytes_locked ? "locked in memory" : "not locked in memory");
}

static int context_init(struct queue_context *context, const struct config *config,
			uint64_t (*clock)(void), heap_wrong_free *wrong_free)
{
	const struct heap_options options = runtime_heap_options(config, wrong_free);
	int error;

	context->clock = clock;
	context->now_ns = clock();
	error = heaps_create(&context->heap, &options);
	if (!error) {
		log_heap(context->heap, config);
		error = sched_init(&context->sched, context->now_ns);
	}
	if (!error)
		error = op_table_init(&context->ops, config->runtime.operations_max);
	if (!error && config->heap.protect == CONFIG_ON)
		error = guard_create(&context->ops.guard, context->heap,
				     config->runtime.operations_max);
	if (!error)
		error = queue_table_init(&context->queues, config->runtime.queues_max);
	if (error)
		log_error(
			"cannot start the runtime: %s; lower heap.max_bytes, "
			"runtime.operations_max or runtime.queues_max, or raise ulimit -v%s",
			strerror(-error),
			config->heap.huge_pages == CONFIG_HUGE_PAGES_RESERVED
				? ", or reserve huge pages of 2 MiB (sysctl vm.nr_hugepages), or set "
				  "heap.huge_pages: auto"
				: "");
	return error;
}

static void context_fini(struct queue_context *context)
{
	queue_table_fini(&context->queues);
	guard_destroy(context->ops.guard);
	op_table_fini(&context->ops);
	sched_fini(&context->sched);
	if (!context->heap)
		return;
	/* Arrays go with the runtime; what came from malloc stays until it is freed. */
	buf_free_all(context->heap);
	buf_give_back_all(context->heap);
	heaps_retire(context->heap);
}

int runtime_create(struct runtime **runtime_out, const struct config *config,
		   uint64_t (*clock)(void), heap_wrong_free *wrong_free)
{
	const struct libos_ops *ops = libos_find(config->libos);
	struct runtime *runtime;
	int error;

	if (!ops) {
		log_error("%s: \"%s\" is no libOS of this build; allowed: %s", config->origin.libos,
			  config->libos, libos_names());
		return -ENOTSUP;
	}
	runtime = calloc(1, sizeof(*runtime));
	if (!runtime)
		return -ENOMEM;
	runtime->config = *config;
	runtime->give_way.yields_ns_max = config->runtime.give_way_us * NS_PER_US;
	error = context_init(&runtime->context, config, clock, wrong_free);
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

void runtime_purge(struct runtime *runtime)
{
	uint64_t now_ns = runtime->context.now_ns;

	if (runtime->purge_at_ns == 0)
		runtime->purge_at_ns = now_ns + PURGE_DELAY_NS;
	if (now_ns < runtime->purge_at_ns)
		return;
	runtime->purge_at_ns = 0;
	heap_purge(runtime->context.heap);
}

static void forget_queue(struct queue *queue)
{
	if (queue && queue->ops->forget)
		queue->ops->forget(queue);
}

void runtime_forget(struct runtime *runtime, bool is_own)
{
	const struct queue_table *queues = &runtime->context.queues;
	const struct op_table *ops = &runtime->context.ops;

	for (uint32_t slot = 0; slot < queues->used; slot++)
		forget_queue(queues->queues[slot]);
	/* Queues with an aclose pending have no descriptor any more. */
	for (uint32_t slot = 0; slot < ops->used; slot++) {
		const struct op *op = &ops->slots[slot];

		if (op->state == OP_PENDING && op->opcode == DEMI_OPC_CLOSE)
			forget_queue(op->queue);
	}
	runtime->is_forgotten = true;
	runtime->libos->ops->forget(runtime->libos);
	heaps_disown(runtime->context.heap, is_own);
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
	joined_queues_destroy(runtime->context.joined);
	runtime->libos->ops->stop(runtime->libos);
	context_fini(&runtime->context);
	free(runtime);
}
