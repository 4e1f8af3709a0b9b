/* SPDX-License-Identifier: MIT */
#include "libos/catmint/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MOST 64u

static struct destination_table table;

static struct destination_key key_of(uint32_t number)
{
	return (struct destination_key){.remote = ip_address_v4(0x0a000000u + number / 7),
					.port = (uint16_t)(1 + number % 7)};
}

static struct destination *add(uint32_t number)
{
	const struct destination_key key = key_of(number);

	return destination_add(&table, &key);
}

static struct destination *find(uint32_t number)
{
	const struct destination_key key = key_of(number);

	return destination_find(&table, &key);
}

static int setup(void **state)
{
	(void)state;
	return destination_table_init(&table, MOST, 42);
}

static int teardown(void **state)
{
	(void)state;
	destination_table_fini(&table);
	return 0;
}

static void destination__is_found_by_all_parts_of_its_key(void **state)
{
	struct destination_key key = key_of(1), other;
	struct destination *destination = destination_add(&table, &key);

	(void)state;
	assert_ptr_equal(destination_find(&table, &key), destination);
	other = key;
	other.port++;
	assert_null(destination_find(&table, &other));
	other = key;
	other.remote.bytes[15]++;
	assert_null(destination_find(&table, &other));
	other = key;
	other.local.bytes[3]++;
	assert_null(destination_find(&table, &other));
}

static void destination__the_table_is_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < MOST; i++)
		assert_non_null(add(i));
	assert_null(add(MOST));
	for (uint32_t i = 0; i < MOST; i++)
		assert_non_null(find(i));
	destination_remove(&table, find(5));
	assert_null(find(5));
	assert_non_null(add(MOST));
	assert_non_null(find(MOST));
	assert_null(add(5));
}

static void destination__the_oldest_was_not_used_for_longest(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		add(i);
	assert_ptr_equal(table.oldest, find(0));
	destination_use(&table, find(0));
	assert_ptr_equal(table.oldest, find(1));
	destination_use(&table, find(2));
	destination_use(&table, find(2));
	destination_remove(&table, find(1));
	assert_ptr_equal(table.oldest, find(3));
	destination_remove(&table, find(3));
	destination_remove(&table, find(0));
	destination_remove(&table, find(2));
	assert_null(table.oldest);
	assert_null(table.newest);
}

/* The same in the simplest way: numbers, the one that was used last behind. */
struct list {
	uint32_t numbers[MOST + 1];
	uint32_t count;
};

static bool list_remove(struct list *list, uint32_t number)
{
	uint32_t at = 0;

	while (at < list->count && list->numbers[at] != number)
		at++;
	if (at == list->count)
		return false;
	list->count--;
	memmove(&list->numbers[at], &list->numbers[at + 1],
		(list->count - at) * sizeof(list->numbers[0]));
	return true;
}

static void list_append(struct list *list, uint32_t number)
{
	list->numbers[list->count] = number;
	list->count++;
}

static void live_on(struct list *list, uint32_t number, bool is_removed)
{
	bool was_there = list_remove(list, number);

	assert_int_equal(find(number) != NULL, was_there);
	if (was_there && is_removed) {
		destination_remove(&table, find(number));
		return;
	}
	if (was_there) {
		destination_use(&table, find(number));
	} else if (list->count == MOST) {
		assert_null(add(number));
		assert_ptr_equal(table.oldest, find(list->numbers[0]));
		destination_remove(&table, table.oldest);
		list_remove(list, list->numbers[0]);
		assert_non_null(add(number));
	} else {
		assert_non_null(add(number));
	}
	list_append(list, number);
}

static void destination__a_long_life_is_as_that_of_a_list(void **state)
{
	static struct list list;
	uint64_t random = 1;

	(void)state;
	list.count = 0;
	for (uint32_t round = 0; round < 200000; round++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		live_on(&list, (uint32_t)(random >> 40) % (MOST + MOST / 2), random >> 60 == 0);
	}
	assert_in_range(list.count, 1, MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(destination__is_found_by_all_parts_of_its_key,
						setup, teardown),
		cmocka_unit_test_setup_teardown(destination__the_table_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(destination__the_oldest_was_not_used_for_longest,
						setup, teardown),
		cmocka_unit_test_setup_teardown(destination__a_long_life_is_as_that_of_a_list,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
