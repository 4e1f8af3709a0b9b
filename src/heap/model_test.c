/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a heap beside a shadow, which knows what must come of them.
 *
 * HEAP_TEST_STEPS and HEAP_TEST_SEED in the environment lengthen and replay the runs.
 */
#include "heap/heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "heap/layout.h"

#define MIB ((size_t)1 << 20)
#define SHADOWS 600u
#define MODEL_BYTES_MAX (24 * MIB)
#define EDGE_BYTES 128u

struct shadow {
	unsigned char *object; /* NULL: none */
	size_t size;
	size_t usable;
	size_t class_bytes;
	unsigned char fill;
	bool owned;
	bool pending; /* another thread has freed it, it may not be collected yet */
	unsigned int holds;
};

struct model {
	struct heap *heap;
	const struct heap_options *options;
	struct shadow shadows[SHADOWS];
	uintptr_t starts[SHADOWS]; /* what each uses, [start, end) */
	uintptr_t ends[SHADOWS];
	uint64_t random;
	uint64_t refused;
	uint64_t remote_frees;
	unsigned int log2_max; /* of the sizes, for a while */
};

static uint64_t model_random(struct model *model, uint64_t below)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random % below;
}

static struct shadow *random_shadow(struct model *model)
{
	return &model->shadows[model_random(model, SHADOWS)];
}

/* ---- Contents ---- */

static size_t edge_of(const struct shadow *shadow)
{
	return shadow->size < 2 * EDGE_BYTES ? shadow->size : EDGE_BYTES;
}

/* Small sizes in full, larger ones at their edges. */
static void shadow_fill(const struct shadow *shadow)
{
	size_t edge = edge_of(shadow);

	memset(shadow->object, shadow->fill, edge);
	memset(shadow->object + shadow->size - edge, shadow->fill, edge);
}

static void check_bytes(const unsigned char *bytes, size_t count, unsigned char expected)
{
	if (count && (bytes[0] != expected || memcmp(bytes, bytes + 1, count - 1) != 0))
		fail_msg("%zu bytes at %p are not all %u", count, (const void *)bytes, expected);
}

static void shadow_check(const struct shadow *shadow)
{
	size_t edge = edge_of(shadow);

	check_bytes(shadow->object, edge, shadow->fill);
	check_bytes(shadow->object + shadow->size - edge, edge, shadow->fill);
}

static void check_apart(const struct model *model, size_t number)
{
	uintptr_t start = model->starts[number];
	uintptr_t end = model->ends[number];
	unsigned int overlaps = 0;

	for (size_t i = 0; i < SHADOWS; i++)
		overlaps += (unsigned int)(model->starts[i] < end) & (start < model->ends[i]);
	if (overlaps != 1)
		fail_msg("objects overlap");
}

/* ---- Allocating ---- */

static size_t random_size(struct model *model)
{
	return model_random(model, (uint64_t)1 << model_random(model, model->log2_max + 1));
}

static bool is_page_own(const struct model *model, size_t size, bool io)
{
	return model->options->protect && (io || size >= HEAP_PROTECT_BYTES_MIN);
}

static void *alloc_somehow(struct model *model, size_t size, size_t *alignment_out)
{
	size_t natural = size >= 64 ? 64 : 16;
	unsigned char *object;

	*alignment_out = is_page_own(model, size, false) ? 4096 : natural;
	switch (model_random(model, 10)) {
	case 0:
	case 1:
		*alignment_out = (size_t)1
				 << model_random(model, model_random(model, 40) ? 13 : 22);
		return heap_alloc_aligned(model->heap, *alignment_out, size);
	case 2:
		*alignment_out = is_page_own(model, size, true) ? 4096 : natural;
		return heap_alloc_io(model->heap, size);
	case 3:
		object = heap_alloc_zeroed(model->heap, size);
		if (object)
			check_bytes(object, size, 0);
		return object;
	default:
		return heap_alloc(model->heap, size);
	}
}

static void model_alloc(struct model *model, struct shadow *shadow, size_t size)
{
	size_t number = (size_t)(shadow - model->shadows);
	size_t alignment;

	*shadow = (struct shadow){.size = size, .owned = true};
	shadow->object = alloc_somehow(model, size, &alignment);
	if (!shadow->object) {
		model->refused++;
		return;
	}
	shadow->usable = heap_usable_size(model->heap, shadow->object);
	shadow->class_bytes = heap_class_size(model->heap, shadow->object);
	shadow->fill = (unsigned char)model_random(model, 256);
	if (model->heap->checked)
		assert_int_equal(shadow->usable, size);
	assert_true(shadow->usable >= size && shadow->class_bytes >= shadow->usable);
	assert_int_equal((uintptr_t)shadow->object % alignment, 0);
	assert_int_equal((uintptr_t)shadow->object % (size >= 64 ? 64 : 16), 0);
	model->starts[number] = (uintptr_t)shadow->object;
	model->ends[number] = (uintptr_t)shadow->object + shadow->class_bytes;
	check_apart(model, number);
	shadow_fill(shadow);
}

static void shadow_forget(struct model *model, struct shadow *shadow)
{
	size_t number = (size_t)(shadow - model->shadows);

	shadow->object = NULL;
	model->starts[number] = 0;
	model->ends[number] = 0;
}

/* ---- Freeing ---- */

/* Everything that other threads have freed is free from here on. */
static void model_collect(struct model *model)
{
	heap_collect(model->heap);
	assert_false(heap_has_remote(model->heap));
	for (size_t i = 0; i < SHADOWS; i++)
		model->shadows[i].pending = false;
}

static void shadow_settle(struct model *model, struct shadow *shadow)
{
	int error;

	if (shadow->owned || shadow->holds)
		return;
	assert_null(heap_object(model->heap, shadow->object));
	assert_int_equal(heap_usable_size(model->heap, shadow->object), 0);
	error = heap_free(model->heap, shadow->object);
	assert_true(error == -EALREADY || error == -EINVAL);
	shadow_forget(model, shadow);
}

static void model_free(struct model *model, struct shadow *shadow)
{
	shadow_check(shadow);
	if (shadow->pending)
		model_collect(model);
	assert_int_equal(heap_free(model->heap, shadow->object), shadow->owned ? 0 : -EALREADY);
	shadow->owned = false;
	shadow_settle(model, shadow);
}

static void model_free_remote(struct model *model, struct shadow *shadow)
{
	if (!shadow->owned)
		return;
	shadow_check(shadow);
	assert_int_equal(heap_free_remote(model->heap, shadow->object), 0);
	assert_int_equal(heap_free_remote(model->heap, shadow->object), -EALREADY);
	assert_true(heap_has_remote(model->heap));
	model->remote_frees++;
	shadow->owned = false;
	shadow->pending = true;
	/* Without holds any allocation may collect it from here on. */
	if (!shadow->holds)
		shadow_forget(model, shadow);
}

static unsigned char *somewhere_inside(struct model *model, const struct shadow *shadow)
{
	return shadow->object + (shadow->usable ? model_random(model, shadow->usable) : 0);
}

static void model_hold(struct model *model, struct shadow *shadow)
{
	heap_hold(model->heap, somewhere_inside(model, shadow));
	shadow->holds++;
}

static void model_release(struct model *model, struct shadow *shadow)
{
	if (shadow->holds == 0)
		return;
	shadow_check(shadow);
	/* Whether the last release frees it depends on whether it was collected. */
	if (shadow->pending && shadow->holds == 1)
		model_collect(model);
	heap_release(model->heap, somewhere_inside(model, shadow));
	shadow->holds--;
	shadow_settle(model, shadow);
}

static void model_resize(struct model *model, struct shadow *shadow)
{
	struct shadow *bigger = random_shadow(model);
	size_t kept;

	if (bigger->object || !shadow->owned)
		return;
	model_alloc(model, bigger, random_size(model));
	if (!bigger->object)
		return;
	kept = shadow->size < bigger->size ? shadow->size : bigger->size;
	memcpy(bigger->object, shadow->object, kept < EDGE_BYTES ? kept : EDGE_BYTES);
	model_free(model, shadow);
	shadow_fill(bigger);
}

/* ---- Wrong uses, which change nothing ---- */

static void model_probe(struct model *model, struct shadow *shadow)
{
	unsigned char *inside = somewhere_inside(model, shadow);

	assert_ptr_equal(heap_object(model->heap, inside), shadow->object);
	if (inside != shadow->object) {
		assert_int_equal(heap_free(model->heap, inside), -EINVAL);
		assert_int_equal(heap_free_remote(model->heap, inside), -EINVAL);
		assert_int_equal(heap_usable_size(model->heap, inside), 0);
		assert_false(heap_is_owned(model->heap, inside, 0));
	}
	assert_int_equal(heap_usable_size(model->heap, shadow->object), shadow->usable);
	if (!shadow->pending)
		assert_int_equal(heap_is_owned(model->heap, shadow->object, shadow->usable),
				 shadow->owned);
	assert_false(heap_is_owned(model->heap, shadow->object, shadow->usable + 1));
}

static bool is_in_a_shadow(const struct model *model, uintptr_t address)
{
	for (size_t i = 0; i < SHADOWS; i++) {
		if (model->starts[i] <= address && address < model->ends[i])
			return true;
	}
	return false;
}

/* Anywhere in the range where no object is, and outside of it. */
static void model_free_wrongly(struct model *model)
{
	uintptr_t base = (uintptr_t)model->heap->base;
	uintptr_t address = base + model_random(model, MODEL_BYTES_MAX / 16) * 16;
	int error;

	assert_int_equal(heap_free(model->heap, model), -EFAULT);
	assert_int_equal(heap_free(model->heap, (void *)(base - 16)), -EFAULT);
	assert_int_equal(heap_free_remote(model->heap, (void *)(base + MODEL_BYTES_MAX)), -EFAULT);
	if (is_in_a_shadow(model, address))
		return;
	model_collect(model);
	error = heap_free(model->heap, (void *)address);
	assert_true(error == -EINVAL || error == -EALREADY);
	assert_null(heap_object(model->heap, (void *)address));
}

static void model_fail(struct model *model)
{
	uint64_t count = model_random(model, 3);

	heap_fail_after(model->heap, count);
	for (uint64_t i = 0; i < count; i++) {
		void *object = heap_alloc(model->heap, 100);

		if (object)
			assert_int_equal(heap_free(model->heap, object), 0);
	}
	assert_null(heap_alloc(model->heap, random_size(model)));
	assert_null(heap_alloc_zeroed(model->heap, 0));
	assert_null(heap_alloc_aligned(model->heap, 64, 64));
	heap_fail_after(model->heap, UINT64_MAX);
}

/* ---- Statistics ---- */

static void expect_shadow(struct heap_stats *expected, const struct shadow *shadow)
{
	expected->objects++;
	expected->bytes_in_use += shadow->class_bytes;
	expected->objects_large += shadow->class_bytes > CLASS_BYTES_MAX;
	if (!shadow->owned)
		expected->bytes_held_only += shadow->class_bytes;
	for (size_t i = 0; i < HEAP_CLASSES; i++) {
		if (expected->classes[i].object_bytes != shadow->class_bytes)
			continue;
		expected->classes[i].objects++;
		expected->classes[i].objects_held_only += !shadow->owned;
	}
}

static void check_classes(const struct heap_stats *stats, const struct heap_stats *expected)
{
	uint64_t bytes = (stats->bytes_in_use > 0 ? stats->objects_large : 0) << UNIT_SHIFT;

	for (size_t i = 0; i < HEAP_CLASSES; i++) {
		assert_int_equal(stats->classes[i].objects, expected->classes[i].objects);
		assert_int_equal(stats->classes[i].objects_held_only,
				 expected->classes[i].objects_held_only);
		bytes += stats->classes[i].superblocks << UNIT_SHIFT;
	}
	assert_true(bytes <= stats->bytes_reserved);
}

static void model_check_stats(struct model *model)
{
	struct heap_stats expected = {0};
	struct heap_stats stats;

	model_collect(model);
	heap_get_stats(model->heap, &stats);
	for (size_t i = 0; i < HEAP_CLASSES; i++)
		expected.classes[i].object_bytes = stats.classes[i].object_bytes;
	for (size_t i = 0; i < SHADOWS; i++) {
		if (model->shadows[i].object)
			expect_shadow(&expected, &model->shadows[i]);
	}
	assert_int_equal(stats.objects, expected.objects);
	assert_int_equal(stats.objects_large, expected.objects_large);
	assert_int_equal(stats.bytes_in_use, expected.bytes_in_use);
	assert_int_equal(stats.bytes_held_only, expected.bytes_held_only);
	assert_int_equal(stats.remote_frees, model->remote_frees);
	assert_int_equal(stats.objects_pinned, 0);
	assert_true(stats.bytes_reserved >= stats.bytes_in_use);
	assert_true(stats.bytes_reserved <= MODEL_BYTES_MAX);
	check_classes(&stats, &expected);
}

/* ---- Steps ---- */

static void use_object(struct model *model, struct shadow *shadow)
{
	uint64_t choice = model_random(model, 20);

	if (choice < 5)
		model_free(model, shadow);
	else if (choice < 7)
		model_free_remote(model, shadow);
	else if (choice < 10)
		model_hold(model, shadow);
	else if (choice < 15)
		model_release(model, shadow);
	else if (choice < 17)
		model_resize(model, shadow);
	else
		model_probe(model, shadow);
}

static void use_heap(struct model *model)
{
	switch (model_random(model, 8)) {
	case 0:
		heap_trim(model->heap);
		break;
	case 1:
		model_fail(model);
		break;
	case 2:
	case 3:
		model_collect(model);
		break;
	default:
		model_free_wrongly(model);
	}
}

/* Few sizes for a while fill superblocks and magazines; all sizes fill the heap. */
static void new_phase(struct model *model)
{
	model->log2_max = 20;
	if (model_random(model, 3) != 0)
		model->log2_max = 3 + (unsigned int)model_random(model, 14);
}

static void model_step(struct model *model, uint64_t step)
{
	struct shadow *shadow = random_shadow(model);

	if (model_random(model, 64) == 0)
		use_heap(model);
	else if (shadow->object)
		use_object(model, shadow);
	else
		model_alloc(model, shadow, random_size(model));
	if (step % 1024 == 0) {
		model_check_stats(model);
		new_phase(model);
	}
}

static void model_drain(struct model *model)
{
	for (size_t i = 0; i < SHADOWS; i++) {
		struct shadow *shadow = &model->shadows[i];

		if (shadow->object && shadow->owned)
			model_free(model, shadow);
		while (shadow->object)
			model_release(model, shadow);
	}
	model_check_stats(model);
	assert_true(heap_is_empty(model->heap));
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void fail_on_wrong_free(const struct heap *heap, const void *object, int error)
{
	(void)heap;
	fail_msg("%p freed wrongly by another thread: %d", object, error);
}

static void run_one(const struct heap_options *options, uint64_t seed, uint64_t steps)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->random = (seed + 1) * 0x9e3779b97f4a7c15u | 1;
	model->options = options;
	new_phase(model);
	assert_int_equal(heap_create(&model->heap, options), 0);
	for (uint64_t step = 1; step <= steps; step++) {
		model_step(model, step);
		if (step % 65536 == 0)
			model_drain(model);
	}
	model_drain(model);
	assert_non_null(heap_alloc(model->heap, MODEL_BYTES_MAX - 64));
	print_message("%llu allocations refused at the bound\n",
		      (unsigned long long)model->refused);
	heap_destroy(model->heap);
	free(model);
}

/* Seeds that are always the same, and one that never is. */
static void run(const struct heap_options *options, unsigned int seeds, uint64_t steps)
{
	const char *replayed = getenv("HEAP_TEST_SEED");
	uint64_t seed = environment_number("HEAP_TEST_SEED", (uint64_t)time(NULL));

	steps = environment_number("HEAP_TEST_STEPS", steps);
	print_message("HEAP_TEST_SEED=%llu\n", (unsigned long long)seed);
	run_one(options, seed, steps);
	for (unsigned int i = 1; i < seeds && !replayed; i++)
		run_one(options, i, steps);
}

static void heap__agrees_with_a_shadow(void **state)
{
	(void)state;
	run(&(struct heap_options){.bytes_max = MODEL_BYTES_MAX,
				   .checks = HEAP_CHECKS_OFF,
				   .wrong_free = fail_on_wrong_free},
	    5, 400000);
}

static void heap__agrees_with_a_shadow_without_huge_pages(void **state)
{
	(void)state;
	run(&(struct heap_options){.bytes_max = MODEL_BYTES_MAX,
				   .checks = HEAP_CHECKS_OFF,
				   .huge_pages = HEAP_HUGE_PAGES_OFF,
				   .wrong_free = fail_on_wrong_free},
	    2, 100000);
}

static void heap__agrees_with_a_shadow_when_checked(void **state)
{
	(void)state;
	run(&(struct heap_options){.bytes_max = MODEL_BYTES_MAX,
				   .checks = HEAP_CHECKS_ON,
				   .wrong_free = fail_on_wrong_free},
	    3, 400000);
}

static void heap__agrees_with_a_shadow_when_protected(void **state)
{
	(void)state;
	run(&(struct heap_options){.bytes_max = MODEL_BYTES_MAX,
				   .protect = true,
				   .wrong_free = fail_on_wrong_free},
	    3, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap__agrees_with_a_shadow),
		cmocka_unit_test(heap__agrees_with_a_shadow_without_huge_pages),
		cmocka_unit_test(heap__agrees_with_a_shadow_when_checked),
		cmocka_unit_test(heap__agrees_with_a_shadow_when_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
