/* SPDX-License-Identifier: MIT */
/* Values as they are made and as they are compared, whole and in pieces; and the order of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "order.h"
#include "random.h"
#include "value.h"

static const uint32_t sizes[] = {1, 11, 12, 15, 16, 17, 64, VALUE_PERIOD, 3 * VALUE_PERIOD + 5};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct value_table make_table(uint32_t size)
{
	struct value_table table;
	uint8_t *bytes = malloc(VALUE_TABLE_BYTES(size));

	assert_non_null(bytes);
	value_table_init(&table, size, bytes);
	return table;
}

/* In a block of its own size. */
static uint8_t *make_value(const struct value_table *table, const struct value_id *id)
{
	uint8_t *value = malloc(table->size);

	assert_non_null(value);
	value_stamp(table, id, value);
	memcpy(value + table->stamp, value_window(table, id), table->size - table->stamp);
	return value;
}

static bool is_right(const struct value_table *table, uint64_t key, const uint8_t *value,
		     size_t first, struct value_check *check)
{
	value_check_begin(check, table, key);
	return value_check_run(check, table, value, first) &&
	       value_check_run(check, table, value + first, table->size - first);
}

static void value__what_was_made_is_right_in_any_pieces(void **state)
{
	const struct value_id id = {.key = 7, .run = 0xfedcba98, .version = UINT64_C(1) << 40};

	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		struct value_table table = make_table(sizes[i]);
		uint8_t *value = make_value(&table, &id);
		struct value_check check;

		for (size_t first = 0; first <= sizes[i]; first += first < 40 ? 1 : 997) {
			assert_true(is_right(&table, 7, value, first, &check));
			assert_int_equal(check.offset, sizes[i]);
			assert_int_equal(check.id.run, table.stamp ? id.run : 0);
			assert_int_equal(check.id.version, table.stamp ? id.version : 0);
		}
		value_check_begin(&check, &table, 7);
		for (size_t offset = 0; offset < sizes[i]; offset++)
			assert_true(value_check_run(&check, &table, value + offset, 1));
		free(value);
		free(table.bytes);
	}
}

static void value__each_wrong_byte_is_found(void **state)
{
	const struct value_id id = {.key = 99999, .run = 3, .version = 12};

	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		struct value_table table = make_table(sizes[i]);
		uint8_t *value = make_value(&table, &id);
		struct value_check check;

		for (size_t wrong = 0; wrong < sizes[i]; wrong += wrong < 40 ? 1 : 997) {
			uint8_t right = value[wrong];
			value[wrong] ^= 1;
			assert_false(is_right(&table, 99999, value, sizes[i] / 2, &check));
			/* A wrong stamp is one of another value, whose bytes do not come. */
			if (wrong >= table.stamp) {
				assert_int_equal(check.offset, wrong);
				assert_int_equal(value_check_expected(&check, &table), right);
			}
			value[wrong] = right;
		}
		free(value);
		free(table.bytes);
	}
}

static void value__another_one_is_wrong(void **state)
{
	const struct value_id old = {.key = 5, .run = 9, .version = 1};
	const struct value_id new = {.key = 5, .run = 9, .version = 2};
	struct value_table table = make_table(4096);
	uint8_t *value = make_value(&table, &old);
	uint8_t *later = make_value(&table, &new);
	struct value_check check;

	(void)state;
	assert_false(is_right(&table, 6, value, 0, &check));
	/* Of two versions. */
	memcpy(value + 2048, later + 2048, 2048);
	assert_false(is_right(&table, 5, value, 0, &check));
	assert_in_range(check.offset, 2048, 2064);
	/* Shifted. */
	memmove(later + 100, later + 101, 4096 - 101);
	assert_false(is_right(&table, 5, later, 0, &check));
	assert_in_range(check.offset, 100, 116);
	free(value);
	free(later);
	free(table.bytes);
}

static void order__settles_when_no_set_is_under_way(void **state)
{
	struct order_key key = {0};

	(void)state;
	order_set(&key, 3);
	assert_int_equal(key.settled, 0);
	order_answered(&key);
	assert_int_equal(key.settled, 3);
	/* Of two together either may be the last one. */
	order_set(&key, 5);
	order_set(&key, 8);
	order_answered(&key);
	assert_int_equal(key.settled, 3);
	order_answered(&key);
	assert_int_equal(key.settled, 5);
}

static void order__a_refused_set_settles_nothing(void **state)
{
	struct order_key key = {.settled = 3};

	(void)state;
	order_set(&key, 5);
	order_refused(&key);
	assert_int_equal(key.settled, 3);
	order_set(&key, 6);
	order_set(&key, 7);
	order_refused(&key);
	order_answered(&key);
	assert_int_equal(key.settled, 3);
	order_set(&key, 9);
	order_answered(&key);
	assert_int_equal(key.settled, 9);
}

static void random__stays_below_and_follows_from_the_seed(void **state)
{
	uint64_t one = 1, again = 1, other = 2;
	unsigned int counts[10] = {0}, same = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t number = random_below(&one, 10);
		assert_in_range(number, 0, 9);
		assert_int_equal(random_below(&again, 10), number);
		same += random_below(&other, 10) == number;
		counts[number]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 850, 1150);
	assert_in_range(same, 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value__what_was_made_is_right_in_any_pieces),
		cmocka_unit_test(value__each_wrong_byte_is_found),
		cmocka_unit_test(value__another_one_is_wrong),
		cmocka_unit_test(order__settles_when_no_set_is_under_way),
		cmocka_unit_test(order__a_refused_set_settles_nothing),
		cmocka_unit_test(random__stays_below_and_follows_from_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
