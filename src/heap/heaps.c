/* SPDX-License-Identifier: MIT */
/*
 * A heap's range starts at a multiple of 1 GiB, so one table of the address space's gibibytes
 * finds the heap of a pointer with one load.
 *
 * A heap without an owner belongs to who holds the lock. A thread that frees an object may look at
 * the heap for a moment after another one has freed the last; so a heap that other threads freed
 * in is never unmapped, but kept, without its memory, for the next runtime.
 */
#include "heap/heaps.h"

#include <errno.h>
#include <pthread.h>

#include "heap/buf.h"
#include "heap/checked.h"
#include "heap/layout.h"

#define ADDRESS_BITS 47 /* of user space, on the machines that there are */
#define GIB_SHIFT 30
_Static_assert(HEAP_RANGE_ALIGNMENT >> GIB_SHIFT == 1, "one heap in a gibibyte");

struct heap heaps_none = {.fail_after = UINT64_MAX};

static struct heap *heap_by_gib[(size_t)1 << (ADDRESS_BITS - GIB_SHIFT)];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct heap *shared; /* of threads without a runtime; under the lock */
static struct heap *idle;   /* empty ones for the next runtime; under the lock */
static unsigned int kept;   /* ownerless ones that are not empty; under the lock */

/* ---- Fork: the child must find the lock free ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static void lock_take(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&lock);
}

static void lock_drop(void)
{
	pthread_mutex_unlock(&lock);
}

/* ---- Which heap ---- */

static void enter(const struct heap *range, struct heap *heap)
{
	size_t first = (uintptr_t)range->base >> GIB_SHIFT;
	size_t last = ((uintptr_t)range->base + range->pages.bytes - 1) >> GIB_SHIFT;

	for (size_t gib = first; gib <= last; gib++)
		__atomic_store_n(&heap_by_gib[gib], heap, __ATOMIC_RELEASE);
}

struct heap *heaps_find(const void *ptr)
{
	size_t gib = (uintptr_t)ptr >> GIB_SHIFT;
	struct heap *heap = NULL;

	if (gib < sizeof(heap_by_gib) / sizeof(heap_by_gib[0]))
		heap = __atomic_load_n(&heap_by_gib[gib], __ATOMIC_ACQUIRE);
	return heap && heap_owns(heap, ptr) ? heap : NULL;
}

/* ---- Birth ---- */

static bool heap_fits(const struct heap *heap, const struct heap_options *options)
{
	const struct heap_options *own = &heap->options;

	return own->bytes_max == options->bytes_max && own->huge_pages == options->huge_pages &&
	       own->checks == options->checks && own->lock == options->lock &&
	       own->protect == options->protect;
}

static struct heap *idle_take(const struct heap_options *options)
{
	for (struct heap **link = &idle; *link; link = &(*link)->next) {
		struct heap *heap = *link;

		if (!heap_fits(heap, options))
			continue;
		*link = heap->next;
		heap->options = *options;
		__atomic_store_n(&heap->ownerless, false, __ATOMIC_SEQ_CST);
		return heap;
	}
	return NULL;
}

int heaps_create(struct heap **heap_out, const struct heap_options *options)
{
	struct heap *heap;
	int error;

	lock_take();
	heap = idle_take(options);
	lock_drop();
	if (heap) {
		error = heap_revive(heap);
		if (error) {
			heaps_retire(heap);
			return error;
		}
	} else {
		error = heap_create(&heap, options);
		if (error)
			return error;
		enter(heap, heap);
	}
	*heap_out = heap;
	return 0;
}

/* ---- Death ---- */

/* Under the lock, for a heap without an owner: whether nothing is left of it. */
static bool put_to_rest(struct heap *heap)
{
	if (!heap_is_empty(heap))
		return false;
	if (!heap->others_freed) {
		enter(heap, NULL);
		heap_destroy(heap);
		return true;
	}
	heap_reset(heap);
	heap->next = idle;
	idle = heap;
	return true;
}

void heaps_retire(struct heap *heap)
{
	lock_take();
	__atomic_store_n(&heap->ownerless, true, __ATOMIC_SEQ_CST);
	if (!put_to_rest(heap)) {
		heap_purge_all(heap);
		kept++;
	}
	lock_drop();
}

void heaps_disown(struct heap *heap, bool is_own)
{
	lock_take();
	heap->abandoned = !is_own;
	__atomic_store_n(&heap->ownerless, true, __ATOMIC_SEQ_CST);
	/* What operations of the parent hold will never be released here. */
	kept++;
	lock_drop();
}

unsigned int heaps_kept(void)
{
	unsigned int count;

	lock_take();
	count = kept;
	lock_drop();
	return count;
}

/* ---- Freeing ---- */

/* Under the lock. */
static int free_ownerless(struct heap *heap, void *object)
{
	uint32_t used = heap->units_used;
	int error;

	if (heap->abandoned)
		return heap_drop(heap, object);
	error = buf_is_lent(heap, object) ? buf_free_lent(heap, object) : heap_free(heap, object);
	heap->remote_frees++;
	heap->others_freed = true;
	if (heap == shared) {
		if (heap_is_dirty(heap))
			heap_purge(heap);
	} else if (!error && put_to_rest(heap)) {
		kept--;
	} else if (heap->units_used < used) {
		heap_purge_all(heap);
	}
	return error;
}

/* Under the lock: whether nothing was left of it before, and it waits for the next runtime. */
static bool is_idle(const struct heap *heap)
{
	const struct heap *other = idle;

	while (other && other != heap)
		other = other->next;
	return other;
}

void heaps_collect(struct heap *heap)
{
	lock_take();
	if (__atomic_load_n(&heap->ownerless, __ATOMIC_SEQ_CST) && !heap->abandoned &&
	    heap_has_remote(heap)) {
		heap_collect(heap);
		/* It rests already when a thread's entry came after its free was collected. */
		if (heap != shared && !is_idle(heap) && put_to_rest(heap))
			kept--;
	}
	lock_drop();
}

int heaps_free(void *object, struct heap **heap_out)
{
	struct heap *heap = heaps_find(object);
	int error = -EAGAIN;

	*heap_out = heap;
	if (!heap)
		return -EFAULT;
	if (__atomic_load_n(&heap->ownerless, __ATOMIC_SEQ_CST)) {
		lock_take();
		if (__atomic_load_n(&heap->ownerless, __ATOMIC_SEQ_CST))
			error = free_ownerless(heap, object);
		lock_drop();
	}
	if (error != -EAGAIN)
		return error;
	error = heap_free_remote(heap, object);
	if (!error && __atomic_load_n(&heap->ownerless, __ATOMIC_SEQ_CST))
		heaps_collect(heap);
	return error;
}

/* ---- Threads without a runtime ---- */

void *heaps_shared_alloc(const struct heap_options *options, size_t alignment, size_t size,
			 bool zeroed)
{
	void *object = NULL;

	lock_take();
	if (!shared && heap_create(&shared, options) == 0) {
		shared->ownerless = true;
		enter(shared, shared);
	}
	if (shared)
		object = zeroed ? heap_alloc_zeroed(shared, size)
				: heap_alloc_aligned(shared, alignment, size);
	lock_drop();
	return object;
}

bool heaps_shared_exists(void)
{
	bool exists;

	lock_take();
	exists = shared != NULL;
	lock_drop();
	return exists;
}
