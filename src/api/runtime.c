/* SPDX-License-Identifier: MIT */
/* A runtime apart from its thread, and what somebody else needs to know to sleep for it. */
#include <demi/runtime.h>

#include <string.h>

#include "api/api.h"
#include "api/heap.h"
#include "base/clock.h"
#include "base/config_key.h"
#include "heap/heaps.h"
#include "queue/joined_queue.h"

_Static_assert(DEMI_IDLE_MAX == LIBOS_WAKES_MAX + 1,
	       "a libOS fills the caller's array, but for what other runtimes wake us by");

int demi_detach(demi_runtime_t **runtime_out)
{
	struct runtime *runtime = api_runtime;
	const struct libos *libos;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(runtime_out))
		return EFAULT;
	libos = runtime->libos;
	if (libos->ops->stays_in_thread && libos->ops->stays_in_thread(libos))
		return EOPNOTSUPP;
	api_runtime = NULL;
	api_heap = &heaps_none;
	*runtime_out = (demi_runtime_t *)runtime;
	return 0;
}

int demi_attach(demi_runtime_t *runtime)
{
	struct runtime *attached = (struct runtime *)runtime;

	if (!API_POINTER_OK(attached))
		return EFAULT;
	if (api_runtime)
		return EEXIST;
	if (attached->is_forgotten)
		return EINVAL;
	api_watch_thread();
	api_runtime = attached;
	api_heap = attached->context.heap;
	return 0;
}

/* A wait_any parks what it passed over, which another wait may be for. */
static bool has_work(const struct queue_context *context)
{
	return sched_has_ready(&context->sched) || context->ops.fresh.head ||
	       context->ops.parked.head || heap_has_remote(context->heap);
}

static uint64_t time_to_timer(struct runtime *runtime)
{
	uint64_t timer_ns = timer_wheel_next_ns(&runtime->context.sched.timers);
	uint64_t now_ns = runtime->context.now_ns;

	if (timer_ns == UINT64_MAX)
		return UINT64_MAX;
	return timer_ns > now_ns ? timer_ns - now_ns : 0;
}

static struct timespec timespec_of(uint64_t timeout_ns)
{
	struct timespec never = {.tv_sec = -1};

	if (timeout_ns == UINT64_MAX)
		return never;
	return (struct timespec){.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				 .tv_nsec = (long)(timeout_ns % NS_PER_S)};
}

int demi_idle(struct pollfd wakes[], int num_wakes, int *num_wakes_out,
	      struct timespec *timeout_out)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct joined_queues *joined;
	uint64_t timeout_ns;
	int count, bell = -1;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(wakes) || !API_POINTER_OK(num_wakes_out) ||
	    !API_POINTER_OK(timeout_out))
		return EFAULT;
	if (num_wakes < DEMI_IDLE_MAX)
		return EINVAL;
	joined = runtime->context.joined;
	if (joined)
		bell = joined_queues_prepare_sleep(joined);
	if (has_work(&runtime->context))
		return EAGAIN;
	timeout_ns = time_to_timer(runtime);
	count = runtime->libos->ops->idle(runtime->libos, wakes, &timeout_ns);
	if (count < 0)
		return -count;
	if (bell >= 0)
		wakes[count++] = (struct pollfd){.fd = bell, .events = POLLIN};
	*num_wakes_out = count;
	*timeout_out = timespec_of(timeout_ns);
	return 0;
}

static const struct config_key *find_key(const char *name)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

int demi_config(const char *key, char *value, size_t size)
{
	API_KEEP_ERRNO;
	const struct config_key *found;
	struct config config;
	int error;

	if (!key || !value)
		return EFAULT;
	found = find_key(key);
	if (!found)
		return ENOENT;
	error = api_load_config(&config);
	if (error)
		return error;
	return config_key_get(&config, found, value, size) < size ? 0 : ENOSPC;
}
