/* SPDX-License-Identifier: MIT */
#include <demi/libos.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "api/heap.h"
#include "base/clock.h"
#include "base/log.h"
#include "heap/heaps.h"
#include "queue/guard.h"

_Thread_local struct runtime *api_runtime;

/* The runtime of the parent's thread, in the child of a fork: not used, but not lost either. */
static struct runtime *forgotten;

static void after_fork_in_child(void)
{
	guard_forget_all();
	if (!api_runtime)
		return;
	runtime_forget(api_runtime);
	forgotten = api_runtime;
	api_runtime = NULL;
	api_heap = &heaps_none;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, after_fork_in_child);
}

int demi_init(const struct demi_args *args)
{
	API_KEEP_ERRNO;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *path = getenv("CONFIG_PATH");
	struct config config;
	char message[512];
	int error;

	(void)args;
	if (api_runtime)
		return EEXIST;
	if (path && !*path) {
		log_error("CONFIG_PATH is empty: name a file, or unset it");
		return EINVAL;
	}
	error = config_load(&config, path, environ, message, sizeof(message));
	if (error) {
		log_error("%s", message);
		return -error;
	}
	log_set_level(config.log.level);
	api_heap_set_on_error(config.heap.on_error);
	error = runtime_create(&api_runtime, &config, clock_now_ns(), api_heap_wrong_free);
	if (error)
		return -error;
	api_heap = api_runtime->context.heap;
	/* After the heap has done so: its lock is free when ours runs. */
	pthread_once(&once, watch_forks);
	return 0;
}

void demi_fini(void)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return;
	api_runtime = NULL;
	api_heap = &heaps_none;
	runtime_destroy(runtime);
}

int api_give_descriptor(struct runtime *runtime, struct queue *queue, int *qd_out)
{
	int error = queue_table_add(&runtime->context.queues, queue);

	if (error) {
		queue->ops->close(queue);
		return -error;
	}
	*qd_out = queue->qd;
	return 0;
}
