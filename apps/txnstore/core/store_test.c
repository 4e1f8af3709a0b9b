/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdio.h>
#include <string.h>

#include "testing.h"

static struct store store;

static int setup(void **state)
{
	(void)state;
	return store_init(&store, &testing_memory);
}

static int teardown(void **state)
{
	(void)state;
	store_destroy(&store);
	return 0;
}

static void put(const char *key, uint64_t op, uint64_t voted, const char *value)
{
	struct blob *blob = value ? blob_new(&testing_memory, (uint32_t)strlen(value)) : NULL;

	if (blob)
		memcpy(blob->bytes, value, strlen(value));
	assert_int_equal(store_put(&store, store_item(&store, key, (uint16_t)strlen(key)), op,
				   voted, blob, blob ? blob->bytes : NULL, blob ? blob->len : 0),
			 0);
	blob_release(blob);
}

static const char *at(const char *key, uint64_t snapshot, bool *is_between)
{
	static char text[100];
	const struct version *version = item_at(store_find(&store, key, (uint16_t)strlen(key)),
						snapshot, is_between);

	if (!version)
		return "";
	snprintf(text, sizeof(text), "%.*s", (int)version->len, (const char *)version->value);
	return text;
}

static void store__shows_what_was_there_at_a_snapshot(void **state)
{
	bool is_between;
	(void)state;

	put("key", 5, 5, "five");
	put("key", 8, 8, "eight");
	put("key", 9, 9, NULL);
	assert_string_equal(at("key", 4, &is_between), "");
	assert_string_equal(at("key", 5, &is_between), "five");
	assert_string_equal(at("key", 7, &is_between), "five");
	assert_string_equal(at("key", 8, &is_between), "eight");
	assert_string_equal(at("key", 9, &is_between), "");
	assert_false(is_between);
	assert_int_equal(item_version(store_find(&store, "key", 3)), 0);
}

static void store__tells_a_write_that_was_voted_for_before(void **state)
{
	bool is_between;
	(void)state;

	put("key", 5, 5, "five");
	put("key", 9, 7, "nine");
	at("key", 6, &is_between);
	assert_false(is_between);
	at("key", 7, &is_between);
	assert_true(is_between);
	at("key", 8, &is_between);
	assert_true(is_between);
	assert_string_equal(at("key", 9, &is_between), "nine");
	assert_false(is_between);
}

static void store__forgets_versions_below_the_horizon(void **state)
{
	bool is_between;
	uint64_t bytes;
	(void)state;

	put("key", 5, 5, "five");
	put("key", 6, 6, "six");
	put("key", 9, 9, "nine");
	bytes = store.bytes;
	store_set_horizon(&store, 7);
	store_sweep(&store, 1);
	assert_string_equal(at("key", 7, &is_between), "six");
	assert_string_equal(at("key", 9, &is_between), "nine");
	assert_int_equal(store.bytes, bytes - strlen("five"));
}

static void store__forgets_deleted_keys_that_nobody_holds(void **state)
{
	struct item *item;
	(void)state;

	put("key", 5, 5, "five");
	put("key", 6, 6, NULL);
	item = store_find(&store, "key", 3);
	store_item_settle(&store, item);
	assert_non_null(store_find(&store, "key", 3)); /* a read at 5 would want it */
	store_set_horizon(&store, 6);
	item->readers = 1;
	store_item_settle(&store, item);
	assert_non_null(store_find(&store, "key", 3));
	item->readers = 0;
	store_item_settle(&store, item);
	assert_null(store_find(&store, "key", 3));
	assert_int_equal(store.bytes, 0);
}

static void store__finds_each_of_many_keys(void **state)
{
	enum { MANY = 10000 };
	char key[16];
	(void)state;

	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		put(key, (uint64_t)i + 1, (uint64_t)i + 1, "value");
	}
	assert_int_equal(store.slot_count, MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(item_version(store_find(&store, key, (uint16_t)strlen(key))),
				 i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(store__shows_what_was_there_at_a_snapshot, setup,
						teardown),
		cmocka_unit_test_setup_teardown(store__tells_a_write_that_was_voted_for_before,
						setup, teardown),
		cmocka_unit_test_setup_teardown(store__forgets_versions_below_the_horizon, setup,
						teardown),
		cmocka_unit_test_setup_teardown(store__forgets_deleted_keys_that_nobody_holds,
						setup, teardown),
		cmocka_unit_test_setup_teardown(store__finds_each_of_many_keys, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
