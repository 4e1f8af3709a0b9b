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

/* The runtimes of all threads, for the child of a fork alone. */
static pthread_mutex_t runtimes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct runtime *runtimes;

/* Those of the parent, in the child: not used, but not lost either. */
static struct runtime *forgotten;

static void before_fork(void)
{
	pthread_mutex_lock(&runtimes_lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&runtimes_lock);
}

static void after_fork_in_child(void)
{
	guard_forget_all();
	while (runtimes) {
		struct runtime *runtime = runtimes;

		runtimes = runtime->next;
		runtime_forget(runtime, runtime == api_runtime);
		runtime->next = forgotten;
		forgotten = runtime;
	}
	api_runtime = NULL;
	api_heap = &heaps_none;
	pthread_mutex_unlock(&runtimes_lock);
}

/* ---- Threads that end ---- */

static pthread_key_t thread_key; /* its value, in a thread that had a runtime once, is not NULL */
static bool has_thread_key;

/* Nobody would poll the runtime, close what its peers wait for, or give back what it has borrowed. */
static void thread_ends(void *value)
{
	/* Another destructor of this thread may make one anew. */
	*(bool *)value = false;
	if (!api_runtime)
		return;
	log_info("a thread ends that has a runtime: demi_fini");
	demi_fini();
}

void api_watch_thread(void)
{
	static _Thread_local bool is_watched __attribute__((tls_model("initial-exec")));

	if (is_watched || !has_thread_key)
		return;
	is_watched = pthread_setspecific(thread_key, &is_watched) == 0;
}

static void watch_forks_and_threads(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	has_thread_key = pthread_key_create(&thread_key, thread_ends) == 0;
}

static void enter(struct runtime *runtime)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	/* After the heap has done so: its lock is free when ours runs. */
	pthread_once(&once, watch_forks_and_threads);
	api_watch_thread();
	pthread_mutex_lock(&runtimes_lock);
	runtime->next = runtimes;
	runtimes = runtime;
	pthread_mutex_unlock(&runtimes_lock);
	api_runtime = runtime;
	api_heap = runtime->context.heap;
}

static void leave(struct runtime *runtime)
{
	struct runtime **link = &runtimes;

	api_runtime = NULL;
	api_heap = &heaps_none;
	pthread_mutex_lock(&runtimes_lock);
	while (*link != runtime)
		link = &(*link)->next;
	*link = runtime->next;
	pthread_mutex_unlock(&runtimes_lock);
}

int api_load_config(struct config *config)
{
	const char *path = getenv("CONFIG_PATH");
	char message[512];
	int error;

	if (path && !*path) {
		log_error("CONFIG_PATH is empty: name a file, or unset it");
		return EINVAL;
	}
	error = config_load(config, path, environ, message, sizeof(message));
	if (error)
		log_error("%s", message);
	return -error;
}

int demi_init(const struct demi_args *args)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct config config;
	int error;

	(void)args;
	if (api_runtime)
		return EEXIST;
	error = api_load_config(&config);
	if (error)
		return error;
	log_set_level(config.log.level);
	error = runtime_create(&runtime, &config, clock_now_ns, api_heap_wrong_free);
	if (!error)
		enter(runtime);
	return -error;
}

void demi_fini(void)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return;
	leave(runtime);
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
