/* SPDX-License-Identifier: MIT */
#include "queue/wait.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define OPERATIONS_MAX 32768u

static struct op_table table;

static int table_setup(void **state)
{
	(void)state;
	return op_table_init(&table, OPERATIONS_MAX);
}

static int table_teardown(void **state)
{
	(void)state;
	op_table_fini(&table);
	return 0;
}

static demi_qtoken_t start(void)
{
	struct op *op = op_alloc(&table, DEMI_OPC_POP, NULL, 500);

	assert_non_null(op);
	return op_token(op);
}

static struct op *op_of(demi_qtoken_t token)
{
	struct op *op = op_lookup(&table, token);

	assert_non_null(op);
	return op;
}

static void complete(demi_qtoken_t token)
{
	assert_false(op_is_complete(op_of(token)));
	op_complete(&table, op_of(token), 0);
}

static void fill(demi_qtoken_t qts[], uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		qts[i] = start();
}

static int look(const demi_qtoken_t qts[], uint32_t count, bool final, demi_qtoken_t *found,
		uint32_t *place)
{
	struct op *op = NULL;
	int result = wait_any_find(&table, qts, count, final ? WAIT_LOOK_GIVE_UP : WAIT_LOOK_AGAIN,
				   &op, place);

	if (result <= 0)
		return result;
	assert_non_null(op);
	*found = op_token(op);
	assert_true(*place < count);
	assert_true(qts[*place] == *found);
	assert_true(op_is_complete(op));
	op_free(&table, op);
	return result;
}

/* A whole wait that must return @expected; returns its place. */
static uint32_t expect_at(const demi_qtoken_t qts[], uint32_t count, demi_qtoken_t expected,
			  int line)
{
	demi_qtoken_t found = 0;
	uint32_t place = UINT32_MAX;
	int result;

	wait_any_begin(&table, qts, count);
	result = look(qts, count, false, &found, &place);
	if (!result)
		result = look(qts, count, true, &found, &place);
	_assert_int_equal(result, 1, __FILE__, line);
	_assert_true(found == expected, "the first to have completed", __FILE__, line);
	return place;
}

#define expect(qts, count, expected) expect_at((qts), (count), (expected), __LINE__)

static void expect_nothing_at(const demi_qtoken_t qts[], uint32_t count, int line)
{
	demi_qtoken_t found;
	uint32_t place;

	wait_any_begin(&table, qts, count);
	_assert_int_equal(look(qts, count, false, &found, &place), 0, __FILE__, line);
	_assert_int_equal(look(qts, count, true, &found, &place), 0, __FILE__, line);
}

#define expect_nothing(qts, count) expect_nothing_at((qts), (count), __LINE__)

/* ---- wait_any_begin, wait_any_find ---- */

static void wait_any_find__nothing_while_all_are_pending(void **state)
{
	demi_qtoken_t qts[100];

	(void)state;
	fill(qts, 100);
	for (int i = 0; i < 10; i++)
		expect_nothing(qts, 100);
}

static void wait_any_find__of_one(void **state)
{
	demi_qtoken_t qt = start();

	(void)state;
	complete(qt);
	assert_int_equal(expect(&qt, 1, qt), 0);
	assert_null(op_lookup(&table, qt));
	assert_null(table.fresh.head);
}

static void wait_any_find__first_completed_comes_first(void **state)
{
	static const int order[] = {7, 3, 9, 0, 5};
	demi_qtoken_t qts[10];

	(void)state;
	fill(qts, 10);
	for (int i = 0; i < 5; i++)
		complete(qts[order[i]]);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(expect(qts, 10, qts[order[i]]), order[i]);
		qts[order[i]] = start();
	}
	expect_nothing(qts, 10);
}

static void wait_any_find__completed_between_two_looks(void **state)
{
	demi_qtoken_t qts[1000], found;
	uint32_t place;

	(void)state;
	fill(qts, 1000);
	wait_any_begin(&table, qts, 1000);
	for (int i = 0; i < 200; i++)
		assert_int_equal(look(qts, 1000, false, &found, &place), 0);
	complete(qts[999]);
	complete(qts[3]);
	assert_int_equal(look(qts, 1000, false, &found, &place), 1);
	assert_int_equal(place, 999);
	qts[999] = start();
	assert_int_equal(expect(qts, 1000, qts[3]), 3);
}

static void wait_any_find__passes_over_what_is_not_in_the_array(void **state)
{
	demi_qtoken_t qts[10], others[10];

	(void)state;
	fill(qts, 10);
	fill(others, 10);
	for (int i = 0; i < 10; i++)
		complete(others[i]);
	complete(qts[4]);
	assert_int_equal(expect(qts, 10, qts[4]), 4);
	qts[4] = start();
	expect_nothing(qts, 10);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(expect(others + i, 10 - i, others[i]), 0);
}

static void wait_any_find__another_array_sees_what_the_first_passed_over(void **state)
{
	demi_qtoken_t first[3], second[3];

	(void)state;
	fill(first, 3);
	fill(second, 3);
	complete(second[2]);
	complete(second[0]);
	expect_nothing(first, 3);
	complete(first[1]);
	expect(first, 3, first[1]);
	first[1] = start();
	assert_int_equal(expect(second, 3, second[2]), 2);
	second[2] = start();
	assert_int_equal(expect(second, 3, second[0]), 0);
}

static void wait_any_find__a_token_that_stands_there_twice(void **state)
{
	demi_qtoken_t qts[5], found;
	uint32_t place;

	(void)state;
	fill(qts, 5);
	qts[4] = qts[1];
	complete(qts[1]);
	assert_int_equal(expect(qts, 5, qts[1]), 1);
	/* The other one is unknown now. */
	qts[1] = start();
	wait_any_begin(&table, qts, 5);
	assert_int_equal(look(qts, 5, true, &found, &place), -EINVAL);
}

static void wait_any_find__after_a_shorter_array(void **state)
{
	demi_qtoken_t qts[100];

	(void)state;
	fill(qts, 100);
	complete(qts[80]);
	expect_nothing(qts, 50);
	assert_int_equal(expect(qts, 100, qts[80]), 80);
	qts[80] = start();
	expect_nothing(qts, 100);
	complete(qts[99]);
	expect_nothing(qts, 99);
	expect_nothing(qts, 10);
	assert_int_equal(expect(qts, 100, qts[99]), 99);
}

static void wait_any_find__unknown_tokens_are_einval(void **state)
{
	demi_qtoken_t qts[64], found, stale = start();
	uint32_t place;

	(void)state;
	op_free(&table, op_of(stale));
	for (uint32_t bad = 0; bad < 64; bad++) {
		fill(qts, 64);
		qts[bad] = bad % 2 ? stale : 0;
		wait_any_begin(&table, qts, 64);
		assert_int_equal(look(qts, 64, true, &found, &place), -EINVAL);
	}
}

static void wait_any_find__an_unknown_token_far_back_is_found_in_time(void **state)
{
	demi_qtoken_t qts[10000], found;
	uint32_t place;
	int looks = 0, result = 0;

	(void)state;
	fill(qts, 10000);
	qts[9999] = 0;
	wait_any_begin(&table, qts, 10000);
	while (!result && looks++ < 10000)
		result = look(qts, 10000, false, &found, &place);
	assert_int_equal(result, -EINVAL);
	assert_true(looks <= 10000 / 16 + 1);
}

/* Completed and passed over, then put where begin does not look: not the returned place. */
static void wait_any_find__final_finds_what_was_passed_over_wherever_it_stands(void **state)
{
	demi_qtoken_t qts[1000], other = start(), found;
	uint32_t place;

	(void)state;
	fill(qts, 1000);
	complete(other);
	complete(qts[7]);
	expect(qts, 1000, qts[7]);
	qts[7] = start();
	qts[500] = other;
	wait_any_begin(&table, qts, 1000);
	assert_int_equal(look(qts, 1000, false, &found, &place), 0);
	assert_int_equal(look(qts, 1000, true, &found, &place), 1);
	assert_int_equal(place, 500);
	assert_true(found == other);
}

static void wait_any_find__what_was_passed_over_comes_in_its_order_too(void **state)
{
	demi_qtoken_t qts[3], others[2];

	(void)state;
	fill(qts, 3);
	fill(others, 2);
	complete(others[0]);
	complete(others[1]);
	complete(qts[0]);
	expect(qts, 3, qts[0]);
	/* The whole array is another one, though it stands where the old one stood. */
	qts[0] = others[1];
	qts[1] = others[0];
	assert_int_equal(expect(qts, 3, others[0]), 1);
	qts[1] = start();
	assert_int_equal(expect(qts, 3, others[1]), 0);
}

static void wait_any_find__what_was_passed_over_comes_before_what_completed_later(void **state)
{
	demi_qtoken_t qts[3], other = start();

	(void)state;
	fill(qts, 3);
	complete(other);
	complete(qts[0]);
	expect(qts, 3, qts[0]);
	complete(qts[1]);
	qts[0] = other;
	assert_int_equal(expect(qts, 3, other), 0);
	qts[0] = start();
	expect(qts, 3, qts[1]);
}

/* Neither at the returned place nor at the end, while others complete. */
static void wait_any_find__what_was_passed_over_is_not_starved_by_what_completes(void **state)
{
	demi_qtoken_t qts[3], other = start(), found = 0;
	uint32_t place = UINT32_MAX;
	int waits = 0;

	(void)state;
	fill(qts, 3);
	complete(other);
	complete(qts[0]);
	expect(qts, 3, qts[0]);
	qts[0] = start();
	qts[2] = other;
	do {
		complete(qts[0]);
		wait_any_begin(&table, qts, 3);
		assert_int_equal(look(qts, 3, false, &found, &place), 1);
		if (place == 0)
			qts[0] = start();
	} while (place != 2 && waits++ < 1000);
	assert_int_equal(place, 2);
	assert_true(found == other);
}

/* ---- What a look touches ---- */

#define MANY 10000u
#define UNTOUCHED 0xdeadbeefu

static demi_qtoken_t many[MANY];
static uint32_t hints[OPERATIONS_MAX];

/* Make every hint recognizable but that of @spared. */
static void mark_hints(demi_qtoken_t spared)
{
	for (uint32_t i = 0; i < table.used; i++) {
		hints[i] = table.slots[i].wait_hint;
		if (i != (uint32_t)spared)
			table.slots[i].wait_hint = UNTOUCHED;
	}
}

/* How many hints were read through since; those that were not are as before. */
static uint32_t count_touched(demi_qtoken_t spared)
{
	uint32_t touched = 0;

	for (uint32_t i = 0; i < table.used; i++) {
		if (i == (uint32_t)spared)
			continue;
		if (table.slots[i].wait_hint == UNTOUCHED)
			table.slots[i].wait_hint = hints[i];
		else
			touched++;
	}
	return touched;
}

enum pattern { PATTERN_REPLACE, PATTERN_SWAP_WITH_LAST, PATTERN_SHRINK_AND_GROW };

static uint32_t edit(enum pattern pattern, uint32_t count, uint32_t place, uint32_t step)
{
	if (pattern == PATTERN_REPLACE) {
		many[place] = start();
		return count;
	}
	many[place] = many[--count];
	if (pattern == PATTERN_SWAP_WITH_LAST || step % 2 == 0) {
		/* Back in another call. */
		return count;
	}
	many[count++] = start();
	if (count < MANY)
		many[count++] = start();
	return count;
}

static void check_touches(enum pattern pattern)
{
	uint32_t count = MANY;

	fill(many, count);
	complete(many[17]);
	many[17] = (expect(many, count, many[17]), start());
	for (uint32_t step = 0; step < 1000; step++) {
		demi_qtoken_t next = many[step * 7919 % count];
		uint32_t place, touched;

		/* The place of a token moved, replaced or appended shows at the next call. */
		wait_any_begin(&table, many, count);
		complete(next);
		mark_hints(next);
		place = expect(many, count, next);
		touched = count_touched(next);
		assert_true(touched <= 4);
		count = edit(pattern, count, place, step);
	}
}

static void wait_any_find__touches_little_when_the_returned_one_is_replaced(void **state)
{
	(void)state;
	check_touches(PATTERN_REPLACE);
}

static void wait_any_find__touches_little_when_the_last_one_moves(void **state)
{
	(void)state;
	check_touches(PATTERN_SWAP_WITH_LAST);
}

static void wait_any_find__touches_little_when_the_array_grows(void **state)
{
	(void)state;
	check_touches(PATTERN_SHRINK_AND_GROW);
}

static void wait_any_find__in_vain_touches_a_few_places(void **state)
{
	demi_qtoken_t found, other = start();
	uint32_t place;

	(void)state;
	fill(many, MANY);
	/* The first look reads through the array once, to see that it is not there. */
	complete(other);
	wait_any_begin(&table, many, MANY);
	assert_int_equal(look(many, MANY, false, &found, &place), 0);
	for (int i = 0; i < 1000; i++) {
		mark_hints(other);
		assert_int_equal(look(many, MANY, false, &found, &place), 0);
		assert_true(count_touched(other) <= 16);
	}
}

/* ---- wait_any against a scan of the whole array ---- */

#define ARRAYS 3u
#define LONGEST 10000u

struct array {
	demi_qtoken_t *qts; /* qts[LONGEST] */
	uint32_t count;     /* 1..LONGEST */
};

static struct {
	uint64_t random;
	struct array arrays[ARRAYS];
	demi_qtoken_t outside[1000]; /* in no array */
	uint32_t outside_count;
	uint64_t completed_at[OPERATIONS_MAX]; /* by slot: number of the completion, 0: pending */
	uint64_t completions;
	bool late; /* tokens enter an array even after a wait has passed them over */
} model;

static uint32_t model_random(uint32_t limit)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return (uint32_t)((model.random >> 16) % limit);
}

static demi_qtoken_t model_start(void)
{
	demi_qtoken_t token = start();

	model.completed_at[(uint32_t)token] = 0;
	return token;
}

static void model_complete(demi_qtoken_t token)
{
	if (model.completed_at[(uint32_t)token])
		return;
	complete(token);
	model.completed_at[(uint32_t)token] = ++model.completions;
}

static void swap(demi_qtoken_t *a, demi_qtoken_t *b)
{
	demi_qtoken_t saved = *a;

	*a = *b;
	*b = saved;
}

/* A token for an array: a new one, or one of those outside. */
static demi_qtoken_t model_take(void)
{
	uint32_t place;

	if (!model.outside_count || model_random(3))
		return model_start();
	place = model_random(model.outside_count);
	if (!model.late && op_of(model.outside[place])->state == OP_PARKED)
		return model_start();
	swap(&model.outside[place], &model.outside[--model.outside_count]);
	return model.outside[model.outside_count];
}

static void model_leave(demi_qtoken_t token)
{
	if (model.outside_count < sizeof(model.outside) / sizeof(model.outside[0])) {
		model.outside[model.outside_count++] = token;
		return;
	}
	/* The application waits for it by itself. */
	model_complete(token);
	op_unlink(&table, op_of(token));
	op_free(&table, op_of(token));
}

static void array_remove(struct array *array, uint32_t place)
{
	array->count--;
	memmove(&array->qts[place], &array->qts[place + 1],
		(array->count - place) * sizeof(array->qts[0]));
}

/* The token at @place has been returned: what applications do then. */
static void edit_returned(struct array *array, uint32_t place)
{
	switch (model_random(array->count > 1 ? 5 : 1)) {
	case 0:
	case 1:
		array->qts[place] = model_take();
		break;
	case 2:
		array->qts[place] = array->qts[--array->count];
		break;
	case 3:
		array_remove(array, place);
		break;
	default:
		array_remove(array, place);
		array->qts[array->count++] = model_take();
	}
}

static void shuffle(struct array *array)
{
	for (uint32_t i = array->count - 1; i > 0; i--)
		swap(&array->qts[i], &array->qts[model_random(i + 1)]);
}

/* What they do at any time. */
static void edit_freely(struct array *array)
{
	uint32_t place = model_random(array->count);

	switch (model_random(12)) {
	case 0:
		for (uint32_t i = model_random(5); i > 0 && array->count < LONGEST; i--)
			array->qts[array->count++] = model_take();
		break;
	case 1:
		if (array->count == 1 || array->count == LONGEST)
			break;
		memmove(&array->qts[place + 1], &array->qts[place],
			(array->count - place) * sizeof(array->qts[0]));
		array->qts[place] = model_take();
		array->count++;
		break;
	case 2:
		if (array->count == 1)
			break;
		model_leave(array->qts[place]);
		array_remove(array, place);
		break;
	case 3:
		model_leave(array->qts[place]);
		array->qts[place] = model_take();
		break;
	case 4:
		if (model_random(10) == 0)
			shuffle(array);
		break;
	case 5:
		if (model_random(20))
			break;
		/* To another length. */
		while (array->count > 1 && model_random(300))
			model_leave(array->qts[--array->count]);
		break;
	default:
		break;
	}
}

static void model_complete_some(struct array *array)
{
	for (uint32_t i = model_random(3); i > 0; i--)
		model_complete(array->qts[model_random(array->count)]);
	if (model.outside_count && model_random(3) == 0)
		model_complete(model.outside[model_random(model.outside_count)]);
	if (model_random(5) == 0) {
		struct array *other = &model.arrays[model_random(ARRAYS)];

		model_complete(other->qts[model_random(other->count)]);
	}
}

/* The naive twin: the number of the first completion in the array, 0: none. */
static uint64_t scan(const struct array *array)
{
	uint64_t first = 0;

	for (uint32_t i = 0; i < array->count; i++) {
		uint64_t at = model.completed_at[(uint32_t)array->qts[i]];

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

static int model_look(const struct array *array, bool final, uint32_t *place)
{
	uint64_t first = scan(array);
	demi_qtoken_t found = 0;
	int result = look(array->qts, array->count, final, &found, place);

	assert_true(result >= 0);
	if (final)
		assert_int_equal(result, first != 0);
	if (!model.late)
		assert_int_equal(result, first != 0);
	if (!result)
		return 0;
	assert_true(model.completed_at[(uint32_t)found] != 0);
	if (!model.late)
		assert_true(model.completed_at[(uint32_t)found] == first);
	return result;
}

static void model_wait(struct array *array)
{
	uint32_t place = 0;
	int result = 0;

	wait_any_begin(&table, array->qts, array->count);
	for (uint32_t looks = model_random(3); looks > 0 && !result; looks--) {
		result = model_look(array, false, &place);
		if (!result)
			model_complete_some(array);
	}
	if (!result)
		result = model_look(array, true, &place);
	if (result)
		edit_returned(array, place);
}

static void model_begin(uint64_t seed)
{
	static const uint32_t lengths[] = {1, 2, 16, 64, 65, 300, 5000, LONGEST};

	model.random = seed * 0x9e3779b97f4a7c15u | 1;
	model.outside_count = 0;
	model.completions = 0;
	for (uint32_t i = 0; i < ARRAYS; i++) {
		struct array *array = &model.arrays[i];

		array->count = lengths[model_random(sizeof(lengths) / sizeof(lengths[0]))];
		for (uint32_t place = 0; place < array->count; place++)
			array->qts[place] = model_start();
	}
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void model_run(uint64_t steps)
{
	uint64_t first = environment_number("WAIT_TEST_SEED", (uint64_t)time(NULL));
	uint64_t seeds = environment_number("SEEDS", 5);

	for (uint32_t i = 0; i < ARRAYS; i++) {
		model.arrays[i].qts = calloc(LONGEST, sizeof(demi_qtoken_t));
		assert_non_null(model.arrays[i].qts);
	}
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		uint32_t current = 0;

		print_message("WAIT_TEST_SEED=%llu\n", (unsigned long long)seed);
		op_table_fini(&table);
		assert_int_equal(op_table_init(&table, OPERATIONS_MAX), 0);
		model_begin(seed);
		for (uint64_t step = 0; step < steps; step++) {
			if (model_random(50) == 0)
				current = model_random(ARRAYS);
			model_complete_some(&model.arrays[current]);
			edit_freely(&model.arrays[current]);
			model_wait(&model.arrays[current]);
		}
	}
	for (uint32_t i = 0; i < ARRAYS; i++)
		free(model.arrays[i].qts);
}

static void wait_any__agrees_with_a_scan_in_the_order_of_completion(void **state)
{
	(void)state;
	model.late = false;
	model_run(4000);
}

static void wait_any__agrees_with_a_scan_whenever_tokens_enter(void **state)
{
	(void)state;
	model.late = true;
	model_run(4000);
}

/* ---- wait_all_check ---- */

static void wait_all_check__each_known_and_once(void **state)
{
	demi_qtoken_t qts[1000];

	(void)state;
	fill(qts, 1000);
	complete(qts[5]);
	assert_int_equal(wait_all_check(&table, qts, 1000), 0);
	assert_int_equal(wait_all_check(&table, qts, 1000), 0);
	qts[999] = qts[0];
	assert_int_equal(wait_all_check(&table, qts, 1000), -EINVAL);
	assert_int_equal(wait_all_check(&table, qts, 999), 0);
	qts[500] = qts[499];
	assert_int_equal(wait_all_check(&table, qts, 999), -EINVAL);
	qts[500] = start();
	assert_int_equal(wait_all_check(&table, qts, 999), 0);
}

static void wait_all_check__unknown_tokens_leave_no_mark(void **state)
{
	demi_qtoken_t qts[10], good;

	(void)state;
	fill(qts, 10);
	for (int bad = 0; bad < 10; bad++) {
		good = qts[bad];
		qts[bad] = good + (UINT64_C(1) << 32);
		assert_int_equal(wait_all_check(&table, qts, 10), -EINVAL);
		qts[bad] = UINT64_MAX;
		assert_int_equal(wait_all_check(&table, qts, 10), -EINVAL);
		qts[bad] = good;
		assert_int_equal(wait_all_check(&table, qts, 10), 0);
	}
}

/* ---- wait_take_next ---- */

static void expect_next(demi_qtoken_t token)
{
	struct op *op = wait_take_next(&table);

	assert_non_null(op);
	assert_true(op_token(op) == token);
	op_free(&table, op);
}

static void wait_take_next__null_without_any(void **state)
{
	(void)state;
	assert_null(wait_take_next(&table));
	start();
	assert_null(wait_take_next(&table));
}

static void wait_take_next__in_the_order_of_completion(void **state)
{
	demi_qtoken_t qts[5];

	(void)state;
	fill(qts, 5);
	for (int i = 4; i >= 0; i--)
		complete(qts[i]);
	for (int i = 4; i >= 0; i--)
		expect_next(qts[i]);
	assert_null(wait_take_next(&table));
}

static void wait_take_next__what_a_wait_any_passed_over_is_first(void **state)
{
	demi_qtoken_t qts[2], others[3];

	(void)state;
	fill(qts, 2);
	fill(others, 3);
	complete(others[0]);
	complete(others[1]);
	complete(qts[0]);
	complete(qts[1]);
	complete(others[2]);
	expect(qts, 2, qts[0]);
	expect_next(others[0]);
	expect_next(others[1]);
	expect_next(qts[1]);
	expect_next(others[2]);
}

static void wait_take_next__keeps_the_order_of_what_entered_an_array_late(void **state)
{
	demi_qtoken_t qts[2], others[2];

	(void)state;
	fill(qts, 2);
	fill(others, 2);
	complete(others[0]);
	complete(others[1]);
	complete(qts[0]);
	expect(qts, 2, qts[0]);
	qts[0] = others[0];
	complete(qts[1]);
	wait_any_begin(&table, qts, 2);
	expect_next(others[0]);
	expect_next(others[1]);
	expect_next(qts[1]);
}

#define table_test(function) cmocka_unit_test_setup_teardown(function, table_setup, table_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		table_test(wait_any_find__nothing_while_all_are_pending),
		table_test(wait_any_find__of_one),
		table_test(wait_any_find__first_completed_comes_first),
		table_test(wait_any_find__completed_between_two_looks),
		table_test(wait_any_find__passes_over_what_is_not_in_the_array),
		table_test(wait_any_find__another_array_sees_what_the_first_passed_over),
		table_test(wait_any_find__a_token_that_stands_there_twice),
		table_test(wait_any_find__after_a_shorter_array),
		table_test(wait_any_find__unknown_tokens_are_einval),
		table_test(wait_any_find__an_unknown_token_far_back_is_found_in_time),
		table_test(wait_any_find__final_finds_what_was_passed_over_wherever_it_stands),
		table_test(wait_any_find__what_was_passed_over_comes_in_its_order_too),
		table_test(wait_any_find__what_was_passed_over_comes_before_what_completed_later),
		table_test(wait_any_find__what_was_passed_over_is_not_starved_by_what_completes),
		table_test(wait_any_find__touches_little_when_the_returned_one_is_replaced),
		table_test(wait_any_find__touches_little_when_the_last_one_moves),
		table_test(wait_any_find__touches_little_when_the_array_grows),
		table_test(wait_any_find__in_vain_touches_a_few_places),
		table_test(wait_any__agrees_with_a_scan_in_the_order_of_completion),
		table_test(wait_any__agrees_with_a_scan_whenever_tokens_enter),
		table_test(wait_all_check__each_known_and_once),
		table_test(wait_all_check__unknown_tokens_leave_no_mark),
		table_test(wait_take_next__null_without_any),
		table_test(wait_take_next__in_the_order_of_completion),
		table_test(wait_take_next__what_a_wait_any_passed_over_is_first),
		table_test(wait_take_next__keeps_the_order_of_what_entered_an_array_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
