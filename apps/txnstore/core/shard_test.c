/* SPDX-License-Identifier: MIT */
#include "shard.h"

#include <string.h>

#include "testing.h"

static struct shard shard;
static const uint16_t both[] = {0, 1};

static int setup(void **state)
{
	const struct shard_limits limits = {.clients_max = 2, .session_idle_ns = 1000};
	(void)state;

	return shard_init(&shard, &testing_memory, &limits);
}

static int teardown(void **state)
{
	(void)state;
	shard_destroy(&shard);
	return 0;
}

static enum result apply_at(uint64_t time_ns, struct operation operation,
			    const struct testing_access *accesses, size_t count)
{
	struct blob *blob = testing_operation(operation, both, accesses, count);
	enum result result;

	assert_int_equal(shard_apply(&shard, shard.applied + 1, time_ns, blob, blob->bytes,
				     blob->len, &result),
			 0);
	blob_release(blob);
	return result;
}

static enum result prepare(uint64_t client, uint64_t number, uint16_t shards,
			   const struct testing_access *accesses, size_t count)
{
	return apply_at(1,
			(struct operation){.kind = OPERATION_PREPARE,
					   .client = client,
					   .number = number,
					   .shards = shards},
			accesses, count);
}

static enum result simple(enum operation_kind kind, uint64_t client, uint64_t number, bool commits)
{
	return apply_at(
		1,
		(struct operation){
			.kind = kind, .client = client, .number = number, .commits = commits},
		NULL, 0);
}

static uint64_t version(const char *key)
{
	return item_version(store_find(&shard.store, key, (uint16_t)strlen(key)));
}

static void shard__one_alone_commits_at_once(void **state)
{
	const struct testing_access write = {.key = "a", .value = "1", .is_write = true};
	(void)state;

	assert_int_equal(prepare(1, 1, 1, &write, 1), RESULT_YES);
	assert_int_equal(version("a"), 1);
	assert_null(shard.prepared);
}

static void shard__of_two_nothing_is_seen_before_the_decision(void **state)
{
	const struct testing_access write = {.key = "a", .value = "1", .is_write = true};
	(void)state;

	assert_int_equal(prepare(1, 1, 2, &write, 1), RESULT_YES);
	assert_int_equal(version("a"), 0);
	assert_non_null(shard.prepared);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 1, true), RESULT_DONE);
	assert_int_equal(version("a"), 2);
	assert_null(shard.prepared);
}

static void shard__aborted_leaves_nothing(void **state)
{
	const struct testing_access sets[] = {{.key = "b"},
					      {.key = "a", .value = "1", .is_write = true}};
	(void)state;

	assert_int_equal(prepare(1, 1, 2, sets, 2), RESULT_YES);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 1, false), RESULT_DONE);
	assert_int_equal(shard.store.slot_count, 0);
	/* And what comes late of it does nothing. */
	assert_int_equal(prepare(1, 1, 2, sets, 2), RESULT_NO);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 1, true), RESULT_DONE);
	assert_int_equal(version("a"), 0);
}

static void shard__what_was_read_must_be_the_newest(void **state)
{
	const struct testing_access write = {.key = "a", .value = "1", .is_write = true};
	const struct testing_access old[] = {{.key = "a"},
					     {.key = "b", .value = "2", .is_write = true}};
	const struct testing_access new[] = {{.key = "a", .version = 1},
					     {.key = "b", .value = "2", .is_write = true}};
	(void)state;

	assert_int_equal(prepare(1, 1, 1, &write, 1), RESULT_YES);
	assert_int_equal(prepare(2, 1, 1, old, 2), RESULT_NO);
	assert_int_equal(version("b"), 0);
	assert_int_equal(prepare(2, 2, 1, new, 2), RESULT_YES);
	assert_int_equal(version("b"), 3);
}

static void shard__locks_keep_others_out_until_the_decision(void **state)
{
	const struct testing_access holds[] = {{.key = "r"},
					       {.key = "w", .value = "1", .is_write = true}};
	const struct testing_access reads_r = {.key = "r"}, reads_w = {.key = "w"};
	const struct testing_access writes_r = {.key = "r", .value = "2", .is_write = true};
	const struct testing_access writes_w = {.key = "w", .value = "2", .is_write = true};
	(void)state;

	assert_int_equal(prepare(1, 1, 2, holds, 2), RESULT_YES);
	assert_int_equal(prepare(2, 1, 1, &reads_r, 1), RESULT_YES);
	assert_int_equal(prepare(2, 2, 1, &reads_w, 1), RESULT_NO);
	assert_int_equal(prepare(2, 3, 1, &writes_r, 1), RESULT_NO);
	assert_int_equal(prepare(2, 4, 1, &writes_w, 1), RESULT_NO);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 1, false), RESULT_DONE);
	assert_int_equal(prepare(2, 5, 1, &writes_r, 1), RESULT_YES);
	assert_int_equal(prepare(2, 6, 1, &writes_w, 1), RESULT_YES);
}

static void shard__votes_stay(void **state)
{
	const struct testing_access write = {.key = "a", .value = "1", .is_write = true};
	(void)state;

	assert_int_equal(prepare(1, 1, 2, &write, 1), RESULT_YES);
	assert_int_equal(prepare(1, 1, 2, &write, 1), RESULT_YES);
	assert_int_equal(simple(OPERATION_REFUSE, 1, 1, false), RESULT_YES);
	assert_int_equal(simple(OPERATION_REFUSE, 1, 2, false), RESULT_NO);
	assert_int_equal(prepare(1, 2, 2, &write, 1), RESULT_NO);
	assert_int_equal(shard_result(&shard, 1, 1), RESULT_YES);
	assert_int_equal(shard_result(&shard, 1, 2), RESULT_NO);
	assert_int_equal(shard_result(&shard, 1, 3), RESULT_NONE);
}

static void shard__forgets_what_is_finished_but_no_lock(void **state)
{
	const struct testing_access write = {.key = "a", .value = "1", .is_write = true};
	const struct testing_access other = {.key = "b", .value = "1", .is_write = true};
	(void)state;

	assert_int_equal(prepare(1, 1, 1, &other, 1), RESULT_YES);
	assert_int_equal(prepare(1, 2, 2, &write, 1), RESULT_YES);
	assert_int_equal(apply_at(1,
				  (struct operation){.kind = OPERATION_REFUSE,
						     .client = 1,
						     .number = 3,
						     .finished_below = 3},
				  NULL, 0),
			 RESULT_NO);
	assert_int_equal(shard_result(&shard, 1, 1), RESULT_FORGOTTEN);
	assert_int_equal(prepare(1, 1, 1, &other, 1), RESULT_FORGOTTEN);
	/* A client that errs does not leave its locks behind. */
	assert_int_equal(simple(OPERATION_DECIDE, 1, 2, true), RESULT_DONE);
	assert_null(shard.prepared);
	assert_true(version("a") != 0);
}

static void shard__takes_a_new_client_for_one_long_silent(void **state)
{
	(void)state;

	assert_int_equal(simple(OPERATION_REFUSE, 1, 1, false), RESULT_NO);
	assert_int_equal(simple(OPERATION_REFUSE, 2, 1, false), RESULT_NO);
	assert_int_equal(simple(OPERATION_REFUSE, 3, 1, false), RESULT_FULL);
	assert_int_equal(
		apply_at(2000,
			 (struct operation){.kind = OPERATION_REFUSE, .client = 3, .number = 1},
			 NULL, 0),
		RESULT_NO);
	assert_int_equal(shard_result(&shard, 1, 1), RESULT_NONE);
	assert_int_equal(shard_result(&shard, 2, 1), RESULT_NO);
}

/* A second shard from a snapshot of the first, which has gone on since. */
static void copy(struct shard *to, uint64_t snapshot, const uint8_t *tables, size_t len)
{
	const struct shard_limits limits = {.clients_max = 2, .session_idle_ns = 1000};
	struct reader reader = reader_of(tables, len);
	uint8_t items[1000];

	assert_int_equal(shard_init(to, &testing_memory, &limits), 0);
	assert_int_equal(shard_read_tables(to, &reader), 0);
	assert_true(reader_ended(&reader));
	for (size_t i = shard.store.slot_count; i--;) {
		struct writer writer = {.bytes = items, .room = sizeof(items)};

		if (!shard_write_item(shard.store.slots[i], snapshot, &writer))
			continue;
		reader = reader_of(items, writer.len);
		assert_int_equal(shard_read_item(to, &reader), 0);
		assert_true(reader_ended(&reader));
	}
	assert_int_equal(shard_lock_prepared(to), 0);
}

static void shard__of_a_snapshot_goes_on_as_the_first_did(void **state)
{
	const struct testing_access first = {.key = "a", .value = "1", .is_write = true};
	const struct testing_access held[] = {{.key = "a", .version = 1},
					      {.key = "b", .value = "2", .is_write = true}};
	const struct testing_access later = {.key = "c", .value = "3", .is_write = true};
	uint8_t tables[1000];
	struct writer writer = {.bytes = tables, .room = sizeof(tables)};
	struct shard second, original;
	(void)state;

	assert_int_equal(prepare(1, 1, 1, &first, 1), RESULT_YES);
	assert_int_equal(prepare(1, 2, 2, held, 2), RESULT_YES);
	shard_write_tables(&shard, &writer);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 2, true), RESULT_DONE);
	assert_int_equal(prepare(2, 1, 1, &later, 1), RESULT_YES);
	copy(&second, 2, tables, writer.len);

	shard_move(&original, &shard);
	shard_move(&shard, &second);
	assert_int_equal(shard.applied, 2);
	assert_int_equal(version("a"), 1);
	assert_int_equal(version("b"), 0);
	assert_int_equal(version("c"), 0);
	assert_int_equal(shard_result(&shard, 1, 2), RESULT_YES);
	assert_int_equal(simple(OPERATION_DECIDE, 1, 2, true), RESULT_DONE);
	assert_int_equal(prepare(2, 1, 1, &later, 1), RESULT_YES);
	assert_int_equal(version("b"), 3);
	assert_int_equal(version("c"), 4);
	assert_int_equal(store_find(&shard.store, "a", 1)->readers, 0);
	assert_null(shard.prepared);
	shard_destroy(&shard);
	shard_move(&shard, &original);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shard__one_alone_commits_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(shard__of_two_nothing_is_seen_before_the_decision,
						setup, teardown),
		cmocka_unit_test_setup_teardown(shard__aborted_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(shard__what_was_read_must_be_the_newest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(shard__locks_keep_others_out_until_the_decision,
						setup, teardown),
		cmocka_unit_test_setup_teardown(shard__votes_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(shard__forgets_what_is_finished_but_no_lock, setup,
						teardown),
		cmocka_unit_test_setup_teardown(shard__takes_a_new_client_for_one_long_silent,
						setup, teardown),
		cmocka_unit_test_setup_teardown(shard__of_a_snapshot_goes_on_as_the_first_did,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
