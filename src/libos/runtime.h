/* SPDX-License-Identifier: MIT */
/*
 * A runtime is one thread's datapath OS: heap, scheduler, tables and the libOS that serves its
 * descriptors. Nothing in it is shared between threads.
 */
#ifndef DEMI_LIBOS_RUNTIME_H
#define DEMI_LIBOS_RUNTIME_H

#include "libos/give_way.h"
#include "libos/libos.h"

struct runtime {
	struct queue_context context;
	struct config config;
	struct libos *libos;
	struct runtime *next;   /* in the list of all of the process */
	bool is_forgotten;      /* this is the child of a fork, and it is the parent's */
	uint64_t purge_at_ns;   /* when free memory goes back to the system; 0: there is none */
	uint64_t signals_at_ns; /* when a wait may next make a system call for signals */
	uint32_t waits_without_poll; /* waits in a row that found their operation complete */
	struct give_way give_way;    /* what waits have learnt */
};

/**
 * runtime_create - start a runtime
 * @config: copied
 * @clock: the time in ns, for the start and for calls that wait for a device
 * @wrong_free: told of wrong frees by other threads
 *
 * Return: 0, -ENOTSUP (no such libOS in this build), -ENOMEM, or the libOS's error; each has
 * been logged.
 */
int runtime_create(struct runtime **runtime_out, const struct config *config,
		   uint64_t (*clock)(void), heap_wrong_free *wrong_free);

/** runtime_heap_options - what the configuration says about a heap */
struct heap_options runtime_heap_options(const struct config *config, heap_wrong_free *wrong_free);

/** runtime_destroy - close every queue, stop the libOS, free everything */
void runtime_destroy(struct runtime *runtime);

/**
 * runtime_forget - in the child of a fork: the runtime is the parent's
 *
 * @is_own: it is that of the thread that forked
 *
 * Its descriptors are closed here, its objects may be used and freed. Calls what may be called in
 * the child of a process with threads.
 */
void runtime_forget(struct runtime *runtime, bool is_own);

/** runtime_purge - give memory back to the system when it has been free for a while */
void runtime_purge(struct runtime *runtime);

/** runtime_poll - one poll round at @now_ns */
static inline void runtime_poll(struct runtime *runtime, uint64_t now_ns)
{
	runtime->context.now_ns = now_ns;
	if (__builtin_expect(heap_has_remote(runtime->context.heap), false))
		heap_collect(runtime->context.heap);
	if (__builtin_expect(heap_is_dirty(runtime->context.heap), false))
		runtime_purge(runtime);
	sched_poll(&runtime->context.sched, now_ns);
}

#endif /* DEMI_LIBOS_RUNTIME_H */
