/* SPDX-License-Identifier: MIT */
/* Allocating and freeing one object again and again, and an operation's hold on it. */
#include "heap/heap.h"

#include <demi/demi.h>

#include <errno.h>
#include <stdlib.h>

#include "micro.h"

#define HELD_BYTES 4096

struct holding {
	struct heap *heap;
	void *object;
};

/* Keeps the compiler from knowing where the pointer came from and whether it is used. */
static inline void *opaque(void *pointer)
{
	__asm__ volatile("" : "+r"(pointer) : : "memory");
	return pointer;
}

static int set_up_demi(void **state_out, uint64_t bytes)
{
	int error = demi_init(NULL);

	*state_out = (void *)(uintptr_t)bytes;
	return -error;
}

static void tear_down_demi(void *state)
{
	(void)state;
	demi_fini();
}

static uint64_t run_demi(void *state, uint64_t iterations)
{
	size_t bytes = (size_t)(uintptr_t)state;

	for (uint64_t i = 0; i < iterations; i++)
		demi_free(opaque(demi_malloc(bytes)));
	return 0;
}

static int set_up_libc(void **state_out, uint64_t bytes)
{
	*state_out = (void *)(uintptr_t)bytes;
	return 0;
}

static void tear_down_libc(void *state)
{
	(void)state;
}

static uint64_t run_libc(void *state, uint64_t iterations)
{
	size_t bytes = (size_t)(uintptr_t)state;

	for (uint64_t i = 0; i < iterations; i++)
		free(opaque(malloc(bytes)));
	return 0;
}

static void tear_down_hold(void *state)
{
	struct holding *holding = state;

	heap_destroy(holding->heap);
	free(holding);
}

static int set_up_hold(void **state_out, uint64_t argument)
{
	struct holding *holding = calloc(1, sizeof(*holding));
	int error;

	(void)argument;
	if (!holding)
		return -ENOMEM;
	error = heap_create(&holding->heap, &(struct heap_options){.bytes_max = 1u << 30});
	if (error) {
		free(holding);
		return error;
	}
	holding->object = heap_alloc(holding->heap, HELD_BYTES);
	if (!holding->object) {
		tear_down_hold(holding);
		return -ENOMEM;
	}
	*state_out = holding;
	return 0;
}

static uint64_t run_hold(void *state, uint64_t iterations)
{
	struct holding *holding = state;

	for (uint64_t i = 0; i < iterations; i++) {
		heap_hold(holding->heap, opaque(holding->object));
		heap_release(holding->heap, opaque(holding->object));
	}
	return 0;
}

#define LIBC(suffix, bytes)                                                                  \
	{                                                                                    \
		.name = "heap/libc-" #bytes, .label = "malloc, free: " suffix, .unit = "ns", \
		.argument = bytes, .set_up = set_up_libc, .run = run_libc,                   \
		.tear_down = tear_down_libc,                                                 \
	}
#define DEMI(suffix, bytes)                                                                      \
	{                                                                                        \
		.name = "heap/demi-" #bytes, .label = "demi_malloc, demi_free: " suffix,         \
		.unit = "ns", .argument = bytes, .against = "heap/libc-" #bytes,                 \
		.goal_kind = GOAL_RATIO, .goal = 1.05, .counted = 100000, .set_up = set_up_demi, \
		.run = run_demi, .tear_down = tear_down_demi,                                    \
	}

const struct micro heap_micros[] = {
	LIBC("64 B", 64),
	DEMI("64 B", 64),
	LIBC("1 KiB", 1024),
	DEMI("1 KiB", 1024),
	LIBC("4 KiB", 4096),
	DEMI("4 KiB", 4096),
	{
		.name = "heap/hold",
		.label = "hold, release",
		.unit = "ns",
		.goal_kind = GOAL_VALUE,
		.goal = 5,
		.counted = 100000,
		.counter = "heap: hold, release",
		.set_up = set_up_hold,
		.run = run_hold,
		.tear_down = tear_down_hold,
	},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(heap_micros, options, report);
}

static void list(void)
{
	micro_list(heap_micros);
}

const struct bench_group heap_group = {
	.name = "heap",
	.title = "heap, the same object again and again",
	.help = "  Allocate and free through the public API beside the C library's malloc, nothing\n"
		"  written; and the hold that an operation takes on an object and drops.",
	.run = run_group,
	.list = list,
};
