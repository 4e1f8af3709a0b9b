/* SPDX-License-Identifier: MIT */
#include "heap/frames.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap/buf.h"
#include "heap/testing.h"

#define BYTES_MAX ((uint64_t)16 << 20)
#define FRAME_BYTES 2048u
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int wrong_frees;
static int wrong_free_error;

static void count_wrong_free(const struct heap *heap, const void *object, int error)
{
	(void)heap;
	(void)object;
	wrong_frees++;
	wrong_free_error = error;
}

static int heap_setup(void **state, enum heap_checks checks, bool protect)
{
	struct heap_options options = {
		.bytes_max = BYTES_MAX,
		.checks = checks,
		.protect = protect,
		.wrong_free = count_wrong_free,
	};

	wrong_frees = 0;
	return heap_create((struct heap **)state, &options);
}

static int plain_setup(void **state)
{
	return heap_setup(state, HEAP_CHECKS_OFF, false);
}

static int checked_setup(void **state)
{
	return heap_setup(state, HEAP_CHECKS_ON, false);
}

static int protect_setup(void **state)
{
	return heap_setup(state, HEAP_CHECKS_AUTO, true);
}

static struct heap_frames *frames_create(struct heap *heap, uint32_t bytes, uint32_t count)
{
	struct heap_frames *frames = NULL;

	assert_int_equal(heap_frames_create(&frames, heap, bytes, count), 0);
	assert_non_null(frames);
	assert_int_equal(heap_frames_free(frames), count);
	return frames;
}

/* A frame that the application owns, whose array it is alone. */
static struct buf *frame_given(struct heap *heap, struct heap_frames *frames)
{
	struct buf *buf = frame_take(frames);

	assert_non_null(buf);
	*buf = (struct buf){.data = (unsigned char *)(buf + 1)};
	frame_give(heap, buf);
	return buf;
}

static struct heap_stats stats_of(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats;
}

static uint64_t frames_in_use(const struct heap *heap)
{
	return stats_of(heap).frames_in_use;
}

/* ---- Where they lie ---- */

struct seen {
	unsigned char *start;
	size_t bytes;
	unsigned char *last;
	uint32_t frame_bytes;
	uint32_t count;
};

static void see_frame(void *context, void *frame)
{
	struct seen *seen = context;
	unsigned char *object = frame;
	uint32_t alignment = seen->frame_bytes & -seen->frame_bytes;

	assert_true(object >= seen->start);
	assert_true(object + seen->frame_bytes <= seen->start + seen->bytes);
	if (seen->last)
		assert_true(object >= seen->last + seen->frame_bytes);
	assert_int_equal((uintptr_t)object % alignment, 0);
	memset(object, 0x5a, seen->frame_bytes);
	seen->last = object;
	seen->count++;
}

static void heap_frames_create__lie_aligned_in_one_run(void **state)
{
	static const struct {
		uint32_t wanted, bytes, count;
	} cases[] = {
		{2048, 2048, 1},  {2048, 2048, 1000}, {2049, 2560, 500},  {64, 64, 5000},
		{65, 128, 4096},  {1, 16, 3},         {16384, 16384, 31}, {9000, 10240, 100},
		{4096, 4096, 63}, {1536, 1536, 700},
	};
	struct heap *heap = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct heap_frames *frames = frames_create(heap, cases[i].wanted, cases[i].count);
		struct seen seen = {.frame_bytes = heap_frames_bytes(frames)};

		assert_int_equal(seen.frame_bytes, cases[i].bytes);
		seen.start = heap_frames_memory(frames, &seen.bytes);
		assert_int_equal((uintptr_t)seen.start % (256 << 10), 0);
		assert_int_equal(seen.bytes % (256 << 10), 0);
		assert_true(seen.bytes <
			    (size_t)cases[i].count * seen.frame_bytes * 17 / 16 + (512 << 10));
		heap_frames_each(frames, see_frame, &seen);
		assert_int_equal(seen.count, cases[i].count);
		heap_frames_destroy(heap, frames);
		assert_true(heap_is_empty(heap));
	}
}

static void heap_frames_create__refuses_what_cannot_be(void **state)
{
	struct heap_frames *frames = NULL;
	struct heap *heap = *state;

	assert_int_equal(heap_frames_create(&frames, heap, 0, 1), -EINVAL);
	assert_int_equal(heap_frames_create(&frames, heap, 2048, 0), -EINVAL);
	assert_int_equal(heap_frames_create(&frames, heap, HEAP_FRAME_BYTES_MAX + 1, 1), -EINVAL);
	assert_int_equal(heap_frames_create(&frames, heap, 2048, 8192), -ENOMEM);
	assert_int_equal(heap_frames_create(&frames, heap, 2048, UINT32_MAX), -ENOMEM);
	assert_int_equal(heap_frames_create(&frames, heap, 16384, UINT32_MAX), -ENOMEM);
	assert_int_equal(heap_frames_create(&frames, heap, 16, UINT32_MAX - 3), -ENOMEM);
	assert_null(frames);
	assert_true(heap_is_empty(heap));
	heap_frames_destroy(heap, NULL);
}

static void heap_frames_create__eight_pools_and_no_more(void **state)
{
	struct heap_frames *pools[HEAP_FRAME_POOLS_MAX], *more = NULL;
	struct heap *heap = *state;

	for (uint32_t i = 0; i < HEAP_FRAME_POOLS_MAX; i++)
		pools[i] = frames_create(heap, FRAME_BYTES, 10 + i);
	assert_int_equal(heap_frames_create(&more, heap, FRAME_BYTES, 1), -ENOSPC);
	for (uint32_t i = 0; i < HEAP_FRAME_POOLS_MAX; i++) {
		void *frame = frame_take(pools[i]);
		size_t bytes;
		unsigned char *start = heap_frames_memory(pools[i], &bytes);

		assert_true((unsigned char *)frame >= start);
		assert_true((unsigned char *)frame < start + bytes);
		assert_int_equal(heap_frames_free(pools[i]), 9 + i);
		frame_release(heap, frame);
		assert_int_equal(heap_frames_free(pools[i]), 10 + i);
	}
	/* The place of one that went is free again, for frames of another size. */
	heap_frames_destroy(heap, pools[3]);
	pools[3] = frames_create(heap, 64, 2000);
	frame_release(heap, frame_take(pools[3]));
	assert_int_equal(heap_frames_free(pools[3]), 2000);
	for (uint32_t i = 0; i < HEAP_FRAME_POOLS_MAX; i++)
		heap_frames_destroy(heap, pools[i]);
	assert_true(heap_is_empty(heap));
}

/* ---- Taking and releasing ---- */

static void frame_take__the_first_in_memory_is_first(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 200);
	unsigned char *last = NULL;

	for (uint32_t i = 0; i < 200; i++) {
		unsigned char *frame = frame_take(frames);

		assert_true(frame > last);
		last = frame;
	}
	assert_null(frame_take(frames));
	heap_frames_destroy(heap, frames);
	assert_false(heap_is_empty(heap));
}

static void frame_take__null_when_all_are_in_use(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 130);
	void *taken[130];

	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 130; i++) {
			taken[i] = frame_take(frames);
			assert_non_null(taken[i]);
			for (uint32_t j = 0; j < i; j++)
				assert_ptr_not_equal(taken[i], taken[j]);
			memset(taken[i], (int)i, FRAME_BYTES);
		}
		assert_null(frame_take(frames));
		assert_int_equal(heap_frames_free(frames), 0);
		assert_int_equal(frames_in_use(heap), 130);
		for (uint32_t i = 0; i < 130; i++) {
			assert_int_equal(((unsigned char *)taken[i])[FRAME_BYTES - 1], i);
			frame_release(heap, taken[i]);
			assert_int_equal(heap_frames_free(frames), i + 1);
		}
	}
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

static void frame_release__the_last_hold_puts_it_back(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 2);
	unsigned char *frame = frame_take(frames);

	heap_hold(heap, frame + 100);
	heap_hold(heap, frame);
	frame_release(heap, frame);
	frame_release(heap, frame);
	assert_int_equal(heap_frames_free(frames), 1);
	assert_true(heap_is_held(heap, frame));
	heap_release(heap, frame + 2047);
	assert_int_equal(heap_frames_free(frames), 2);
	assert_false(heap_is_held(heap, frame));
	assert_ptr_equal(frame_take(frames), frame);
	frame_release(heap, frame);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

/* It takes any object of the heap: the stack need not know which one it has. */
static void frame_release__serves_ordinary_objects(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 4);
	static const size_t sizes[] = {100, 2048, 300000};

	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		void *object = heap_alloc(heap, sizes[i]);

		heap_hold(heap, object);
		frame_release(heap, object);
		assert_int_equal(live_objects(heap), 1);
		heap_hold(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_true(stats_of(heap).bytes_held_only >= sizes[i]);
		frame_release(heap, object);
		assert_int_equal(stats_of(heap).bytes_held_only, 0);
		assert_int_equal(live_objects(heap), 0);
	}
	for (uint32_t i = 0; i < HEAP_CLASSES; i++)
		assert_int_equal(stats_of(heap).classes[i].objects_held_only, 0);
	assert_int_equal(heap_frames_free(frames), 4);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

static void frame_take__does_not_mix_with_ordinary_objects(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 50);
	size_t bytes;
	unsigned char *start = heap_frames_memory(frames, &bytes);
	void *objects[300], *taken[50];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 50; i++)
			taken[i] = frame_take(frames);
		for (size_t i = 0; i < ARRAY_LENGTH(objects); i++) {
			objects[i] = heap_alloc_buf(heap, FRAME_BYTES - 16);
			assert_true((uintptr_t)objects[i] - (uintptr_t)start >= bytes);
			memset(objects[i], 0xff, FRAME_BYTES - 16);
		}
		for (size_t i = 0; i < 50; i++)
			frame_release(heap, taken[i]);
		for (size_t i = 0; i < ARRAY_LENGTH(objects); i++)
			assert_int_equal(heap_free_buf(heap, objects[i]), 0);
		assert_int_equal(heap_frames_free(frames), 50);
		heap_trim(heap);
		heap_fail_after(heap, 0);
		taken[0] = frame_take(frames);
		heap_fail_after(heap, UINT64_MAX);
		assert_int_equal(heap_frames_free(frames), 49);
		frame_release(heap, taken[0]);
	}
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

/* ---- Given to the application ---- */

static void frame_give__the_application_frees_it_as_a_buffer(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 3);
	struct buf *buf = frame_take(frames);

	assert_false(heap_is_buf(heap, buf));
	assert_null(buf_from_pointer(heap, buf));
	assert_int_equal(buf_free(heap, buf), -EINVAL);
	assert_int_equal(heap_free_buf(heap, buf), -EALREADY);
	frame_release(heap, buf);

	assert_ptr_equal(frame_given(heap, frames), buf);
	assert_true(heap_is_buf(heap, buf));
	assert_true(heap_is_owned(heap, buf, FRAME_BYTES));
	assert_false(heap_is_owned(heap, buf, FRAME_BYTES + 1));
	assert_int_equal(heap_usable_size(heap, buf), FRAME_BYTES);
	assert_ptr_equal(buf_from_pointer(heap, buf), buf);
	assert_int_equal(heap_free(heap, buf), -EINVAL);
	assert_int_equal(heap_free_buf(heap, (unsigned char *)buf + 16), -EINVAL);
	assert_int_equal(heap_frames_free(frames), 2);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(heap_frames_free(frames), 3);

	assert_int_equal(heap_free_buf(heap, buf), -EALREADY);
	assert_int_equal(heap_free(heap, buf), -EALREADY);
	assert_int_equal(buf_free(heap, buf), -EINVAL);
	assert_false(heap_is_buf(heap, buf));
	assert_int_equal(heap_usable_size(heap, buf), 0);
	assert_int_equal(heap_frames_free(frames), 3);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

/* What was put together in the heap is handed on as a frame is. */
static void frame_give__of_another_object_counts_its_owner(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 70000);

	assert_non_null(buf);
	heap_hold(heap, buf);
	assert_int_equal(heap_free_buf(heap, buf), 0);
	assert_true(stats_of(heap).bytes_held_only > 0);
	frame_give(heap, buf);
	assert_int_equal(stats_of(heap).bytes_held_only, 0);
	assert_int_equal(stats_of(heap).objects, 1);
	assert_true(heap_is_buf(heap, buf));
	assert_false(heap_is_held(heap, buf));
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(stats_of(heap).objects, 0);
	assert_true(heap_is_empty(heap));
}

static void frame_give__other_holders_keep_it(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 2);
	struct buf *buf = frame_take(frames);

	*buf = (struct buf){.data = (unsigned char *)(buf + 1)};
	heap_hold(heap, buf);
	frame_give(heap, buf);
	assert_true(heap_is_held(heap, buf));
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(heap_free_buf(heap, buf), -EALREADY);
	assert_int_equal(stats_of(heap).bytes_held_only, 0);
	assert_int_equal(heap_frames_free(frames), 1);
	frame_release(heap, buf);
	assert_int_equal(heap_frames_free(frames), 2);

	/* And the other way round. */
	assert_ptr_equal(frame_take(frames), buf);
	heap_hold(heap, buf);
	frame_give(heap, buf);
	frame_release(heap, buf);
	assert_false(heap_is_held(heap, buf));
	assert_int_equal(heap_frames_free(frames), 1);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(heap_frames_free(frames), 2);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

static void heap_object__finds_a_frame_from_within(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 200);
	unsigned char *first = frame_take(frames), *second = frame_take(frames);
	size_t bytes;
	unsigned char *start = heap_frames_memory(frames, &bytes);

	assert_ptr_equal(heap_object(heap, first + 2047), first);
	assert_ptr_equal(heap_object(heap, second), second);
	assert_int_equal(heap_class_size(heap, second + 7), FRAME_BYTES);
	/* Before the first, in a free one, behind the last. */
	assert_null(heap_object(heap, start));
	assert_null(heap_object(heap, first - 1));
	assert_null(heap_object(heap, second + FRAME_BYTES));
	assert_null(heap_object(heap, start + bytes - 1));
	frame_release(heap, first);
	assert_null(heap_object(heap, first + 5));
	frame_release(heap, second);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

static void buf_free_all__takes_what_the_application_has_and_no_more(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 150);
	void *with_device = frame_take(frames);
	struct buf *held;

	for (int i = 0; i < 140; i++)
		frame_given(heap, frames);
	held = frame_given(heap, frames);
	heap_hold(heap, held);
	assert_non_null(buf_alloc(heap, 100));
	assert_int_equal(live_objects(heap), 1);
	buf_free_all(heap);
	assert_int_equal(live_objects(heap), 0);
	assert_int_equal(heap_frames_free(frames), 148);
	assert_ptr_equal(heap_object(heap, held), held);
	assert_ptr_equal(heap_object(heap, with_device), with_device);
	frame_release(heap, held);
	frame_release(heap, with_device);
	assert_int_equal(heap_frames_free(frames), 150);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

/* ---- By another thread ---- */

struct remote {
	struct heap *heap;
	void *object;
	int error;
};

static void *free_remote(void *context)
{
	struct remote *remote = context;

	remote->error = heap_free_remote(remote->heap, remote->object);
	return NULL;
}

/* Buffers of arrays are their own thread's to free; a frame is no exception and stays whole. */
static void heap_free_remote__is_told_as_wrong_for_a_frame(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 2);
	struct buf *buf = frame_given(heap, frames);
	struct remote remote = {.heap = heap, .object = buf};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, free_remote, &remote), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(remote.error, 0);
	heap_collect(heap);
	assert_int_equal(wrong_frees, 1);
	assert_int_equal(wrong_free_error, -EINVAL);
	assert_true(heap_is_buf(heap, buf));
	assert_int_equal(heap_frames_free(frames), 1);
	assert_int_equal(buf_free(heap, buf), 0);

	remote.object = buf;
	assert_int_equal(pthread_create(&thread, NULL, free_remote, &remote), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	heap_collect(heap);
	assert_int_equal(wrong_frees, 2);
	assert_int_equal(wrong_free_error, -EALREADY);
	assert_int_equal(heap_frames_free(frames), 2);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
}

/* ---- Statistics ---- */

static void heap_get_stats__counts_frames_apart(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 100);
	struct heap_frames *shells = frames_create(heap, 64, 100);
	struct buf *buf = frame_given(heap, frames);
	void *shell = frame_take(shells), *object = heap_alloc(heap, FRAME_BYTES - 16);
	struct heap_stats stats = stats_of(heap);

	assert_int_equal(stats.frames, 200);
	assert_int_equal(stats.frames_in_use, 2);
	assert_int_equal(stats.objects, 1);
	assert_int_equal(stats.bytes_in_use, heap_class_size(heap, object));
	assert_int_equal(stats.bytes_reserved, 3 * (256 << 10));

	heap_hold(heap, buf);
	assert_int_equal(buf_free(heap, buf), 0);
	stats = stats_of(heap);
	assert_int_equal(stats.frames_in_use, 2);
	assert_int_equal(stats.bytes_held_only, 0);
	frame_release(heap, buf);
	frame_release(heap, shell);
	stats = stats_of(heap);
	assert_int_equal(stats.frames, 200);
	assert_int_equal(stats.frames_in_use, 0);
	assert_int_equal(stats.bytes_held_only, 0);
	for (uint32_t i = 0; i < HEAP_CLASSES; i++)
		assert_int_equal(stats.classes[i].objects_held_only, 0);

	assert_int_equal(heap_free(heap, object), 0);
	heap_frames_destroy(heap, shells);
	assert_int_equal(stats_of(heap).frames, 100);
	heap_frames_destroy(heap, frames);
	assert_int_equal(stats_of(heap).frames, 0);
	assert_true(heap_is_empty(heap));
}

/* ---- The end ---- */

static void heap_frames_destroy__those_in_use_live_on(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 400);
	struct buf *owned = frame_given(heap, frames), *both = frame_given(heap, frames);
	struct buf *freed = frame_given(heap, frames);
	unsigned char *held = frame_take(frames), *twice = frame_take(frames);
	struct heap_stats stats;

	memset(held, 3, FRAME_BYTES);
	heap_hold(heap, both);
	heap_hold(heap, freed);
	heap_hold(heap, twice);
	assert_int_equal(buf_free(heap, freed), 0);
	heap_frames_destroy(heap, frames);

	stats = stats_of(heap);
	assert_int_equal(stats.frames, 0);
	assert_int_equal(stats.frames_in_use, 0);
	assert_int_equal(stats.objects, 5);
	/* The device's and the one that was freed: nobody owns them. */
	assert_int_equal(stats.bytes_held_only, 3 * FRAME_BYTES);
	assert_false(heap_is_empty(heap));
	assert_true(heap_is_buf(heap, owned));
	assert_int_equal(held[FRAME_BYTES - 1], 3);
	assert_ptr_equal(heap_object(heap, held + 9), held);

	assert_int_equal(buf_free(heap, owned), 0);
	assert_int_equal(heap_free_buf(heap, owned), -EALREADY);
	assert_int_equal(buf_free(heap, both), 0);
	frame_release(heap, both);
	frame_release(heap, freed);
	frame_release(heap, held);
	frame_release(heap, twice);
	assert_int_equal(live_objects(heap), 1);
	heap_release(heap, twice + 1000);
	stats = stats_of(heap);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.bytes_held_only, 0);
	for (uint32_t i = 0; i < HEAP_CLASSES; i++)
		assert_int_equal(stats.classes[i].objects_held_only, 0);
	assert_true(heap_is_empty(heap));
}

/* What is left of a pool serves ordinary objects of the size, also what was never a frame. */
static void heap_frames_destroy__the_memory_serves_its_class(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames = frames_create(heap, FRAME_BYTES, 5);
	unsigned char *kept = frame_take(frames), *objects[1000];
	size_t bytes, inside = 0;
	unsigned char *start = heap_frames_memory(frames, &bytes);

	memset(kept, 0xaa, FRAME_BYTES);
	heap_frames_destroy(heap, frames);
	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++) {
		objects[i] = heap_alloc(heap, FRAME_BYTES - 16);
		assert_non_null(objects[i]);
		memset(objects[i], (int)i, FRAME_BYTES - 16);
		inside += (size_t)(objects[i] - start) < bytes;
	}
	assert_true(inside >= 4);
	for (size_t i = 0; i < FRAME_BYTES; i++)
		assert_int_equal(kept[i], 0xaa);
	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++) {
		assert_int_equal(objects[i][FRAME_BYTES - 17], (unsigned char)i);
		assert_int_equal(heap_free(heap, objects[i]), 0);
	}
	frame_release(heap, kept);
	assert_true(heap_is_empty(heap));
}

static void heap_frames_destroy__out_of_order_and_again(void **state)
{
	struct heap *heap = *state;
	void *left[20];

	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		struct heap_frames *first = frames_create(heap, FRAME_BYTES, 300);
		struct heap_frames *second = frames_create(heap, 64, 300);

		left[i] = frame_take(i % 2 ? first : second);
		heap_frames_destroy(heap, first);
		heap_frames_destroy(heap, second);
	}
	assert_int_equal(live_objects(heap), ARRAY_LENGTH(left));
	for (size_t i = 0; i < ARRAY_LENGTH(left); i++)
		frame_release(heap, left[i]);
	assert_int_equal(live_objects(heap), 0);
	assert_true(heap_is_empty(heap));
}

/* Where a heap is full, its superblocks that are kept at hand make room. */
static void heap_frames_create__uses_all_of_the_heap(void **state)
{
	struct heap *heap = *state;
	struct heap_frames *frames;
	void *object;

	for (size_t size = 16; size < 100000; size *= 2)
		assert_int_equal(heap_free(heap, heap_alloc(heap, size)), 0);
	frames = frames_create(heap, 16384, (uint32_t)(BYTES_MAX / (256 << 10)) * 15);
	assert_null(heap_alloc(heap, 16));
	object = frame_take(frames);
	assert_non_null(object);
	frame_release(heap, object);
	heap_frames_destroy(heap, frames);
	assert_true(heap_is_empty(heap));
	assert_non_null(heap_alloc(heap, 16));
}

#define each_heap(function)                                                           \
	{#function, function, plain_setup, heap_teardown, NULL},                      \
		{#function "/checked", function, checked_setup, heap_teardown, NULL}, \
	{                                                                             \
#function "/protect", function, protect_setup, heap_teardown, NULL    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		each_heap(heap_frames_create__lie_aligned_in_one_run),
		each_heap(heap_frames_create__refuses_what_cannot_be),
		each_heap(heap_frames_create__eight_pools_and_no_more),
		each_heap(frame_take__the_first_in_memory_is_first),
		each_heap(frame_take__null_when_all_are_in_use),
		each_heap(frame_release__the_last_hold_puts_it_back),
		each_heap(frame_release__serves_ordinary_objects),
		each_heap(frame_take__does_not_mix_with_ordinary_objects),
		each_heap(frame_give__the_application_frees_it_as_a_buffer),
		each_heap(frame_give__of_another_object_counts_its_owner),
		each_heap(frame_give__other_holders_keep_it),
		each_heap(heap_object__finds_a_frame_from_within),
		each_heap(buf_free_all__takes_what_the_application_has_and_no_more),
		each_heap(heap_free_remote__is_told_as_wrong_for_a_frame),
		each_heap(heap_get_stats__counts_frames_apart),
		each_heap(heap_frames_destroy__those_in_use_live_on),
		/* With protection objects of this size have whole pages. */
		cmocka_unit_test_setup_teardown(heap_frames_destroy__the_memory_serves_its_class,
						plain_setup, heap_teardown),
		cmocka_unit_test_setup_teardown(heap_frames_destroy__the_memory_serves_its_class,
						checked_setup, heap_teardown),
		each_heap(heap_frames_destroy__out_of_order_and_again),
		each_heap(heap_frames_create__uses_all_of_the_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
