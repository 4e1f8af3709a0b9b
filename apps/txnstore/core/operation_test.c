/* SPDX-License-Identifier: MIT */
#include "operation.h"

#include <errno.h>

#include "testing.h"

static const uint16_t shards[] = {1, 4};
static const struct testing_access accesses[] = {
	{.key = "read", .version = 77},
	{.key = "written", .value = "value", .is_write = true},
	{.key = "deleted", .is_write = true},
};
#define ACCESSES (sizeof(accesses) / sizeof(*accesses))

static struct blob *example(void)
{
	struct operation operation = {.kind = OPERATION_PREPARE,
				      .client = 5,
				      .number = 6,
				      .finished_below = 3,
				      .shards = 2};

	return testing_operation(operation, shards, accesses, ACCESSES);
}

static void operation__is_read_as_it_was_written(void **state)
{
	struct blob *blob = example();
	struct operation operation;
	struct access access;
	struct reader sets;
	(void)state;

	assert_int_equal(operation_parse(&operation, blob->bytes, blob->len), 0);
	assert_int_equal(operation.client, 5);
	assert_int_equal(operation.number, 6);
	assert_int_equal(operation.finished_below, 3);
	assert_int_equal(operation.shards, 2);
	assert_int_equal(operation_shard(&operation, 1), 4);
	sets = operation.sets;
	operation_read(&sets, &access);
	assert_int_equal(access.version, 77);
	assert_memory_equal(access.key, "read", 4);
	operation_write_of(&sets, &access);
	assert_memory_equal(access.key, "written", 7);
	assert_int_equal(access.value_len, 5);
	assert_memory_equal(access.value, "value", 5);
	operation_write_of(&sets, &access);
	assert_null(access.value);
	assert_true(reader_ended(&sets));
	blob_release(blob);
}

static void operation__cut_anywhere_is_refused(void **state)
{
	struct blob *blob = example();
	struct operation operation;
	(void)state;

	for (uint32_t cut = 0; cut < blob->len; cut++)
		assert_int_equal(operation_parse(&operation, blob->bytes, cut), -EBADMSG);
	blob_release(blob);
}

static void assert_refused(struct operation operation, const uint16_t *list,
			   const struct testing_access *sets, size_t count)
{
	struct blob *blob = testing_operation(operation, list, sets, count);
	struct operation parsed;

	assert_int_equal(operation_parse(&parsed, blob->bytes, blob->len), -EBADMSG);
	blob_release(blob);
}

static void operation__that_cannot_be_is_refused(void **state)
{
	static const uint16_t twice[] = {4, 4}, far[] = {SHARDS_MAX};
	static const struct testing_access empty = {.key = "", .value = "v", .is_write = true};
	const struct operation good = {
		.kind = OPERATION_PREPARE, .client = 5, .number = 6, .shards = 2};
	struct operation bad;
	(void)state;

	bad = good, bad.kind = 9;
	assert_refused(bad, shards, accesses, ACCESSES);
	bad = good, bad.client = 0;
	assert_refused(bad, shards, accesses, ACCESSES);
	bad = good, bad.number = 0;
	assert_refused(bad, shards, accesses, ACCESSES);
	bad = good, bad.finished_below = 7;
	assert_refused(bad, shards, accesses, ACCESSES);
	bad = good, bad.shards = 0;
	assert_refused(bad, shards, accesses, ACCESSES);
	assert_refused(good, twice, accesses, ACCESSES);
	bad = good, bad.shards = 1;
	assert_refused(bad, far, accesses, ACCESSES);
	assert_refused(good, shards, &empty, 1);
	bad = good, bad.kind = OPERATION_DECIDE, bad.shards = 0;
	assert_refused(bad, NULL, accesses, ACCESSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operation__is_read_as_it_was_written),
		cmocka_unit_test(operation__cut_anywhere_is_refused),
		cmocka_unit_test(operation__that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
