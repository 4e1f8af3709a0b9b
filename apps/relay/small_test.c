/* SPDX-License-Identifier: MIT */
/* The parts below the core: timers, tables, buckets, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bucket.h"
#include "net_address.h"
#include "table.h"
#include "timers.h"

#define COUNT 1000

struct thing {
	struct timer timer;
	struct table_node node;
	uint32_t key;
};

static struct thing things[COUNT];

/* The same numbers at each run. */
static uint32_t next(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

static void timers__come_in_order_whatever_is_moved_and_stopped(void **state)
{
	(void)state;
	struct timers timers = {0};
	uint32_t random = 1, running = 0, taken = 0;
	uint64_t last_ns = 0;
	struct timer *timer;

	memset(things, 0, sizeof(things));
	assert_int_equal(timers_reserve(&timers, COUNT), 0);
	for (unsigned int i = 0; i < 10 * COUNT; i++) {
		struct timer *one = &things[next(&random) % COUNT].timer;

		if (next(&random) % 4 == 0)
			timer_stop(&timers, one);
		else
			timer_start(&timers, one, next(&random));
	}
	for (unsigned int i = 0; i < COUNT; i++)
		running += things[i].timer.place != 0;
	assert_int_equal(running, timers.count);
	assert_null(timers_take(&timers, 0));
	while ((timer = timers_take(&timers, UINT64_MAX - 1))) {
		assert_true(timer->deadline_ns >= last_ns);
		assert_int_equal(timer->place, 0);
		last_ns = timer->deadline_ns;
		taken++;
	}
	assert_int_equal(taken, running);
	assert_int_equal(timers_next_ns(&timers), UINT64_MAX);
	timers_fini(&timers);
}

static void timers__are_not_taken_before_their_time(void **state)
{
	(void)state;
	struct timers timers = {0};

	memset(things, 0, sizeof(things));
	assert_int_equal(timers_reserve(&timers, 1), 0);
	timer_start(&timers, &things[0].timer, 100);
	assert_null(timers_take(&timers, 99));
	assert_ptr_equal(timers_take(&timers, 100), &things[0].timer);
	timers_fini(&timers);
}

static struct thing *find(const struct table *table, uint32_t key)
{
	struct table_node *node = table_first(table, table_hash(7, &key, sizeof(key)));

	for (; node; node = table_next(node)) {
		struct thing *thing = (struct thing *)((char *)node - offsetof(struct thing, node));

		if (thing->key == key)
			return thing;
	}
	return NULL;
}

static void table__finds_what_is_in_it(void **state)
{
	(void)state;
	struct table table;

	assert_int_equal(table_init(&table, COUNT / 10), 0); /* also with more than was foreseen */
	for (uint32_t i = 0; i < COUNT; i++) {
		things[i].key = i;
		table_add(&table, &things[i].node, table_hash(7, &i, sizeof(i)));
	}
	for (uint32_t i = 0; i < COUNT; i += 2)
		table_remove(&table, &things[i].node);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_ptr_equal(find(&table, i), i % 2 ? &things[i] : NULL);
	assert_int_equal(table.count, COUNT / 2);
	while (table_any(&table))
		table_remove(&table, table_any(&table));
	assert_int_equal(table.count, 0);
	table_fini(&table);
}

static void table__takes_at_most_a_slot_for_each(void **state)
{
	(void)state;
	struct table table;

	for (size_t limit = 16; limit < 5000; limit++) {
		assert_int_equal(table_init(&table, limit), 0);
		assert_true(table.mask + 1 <= limit && 2 * (table.mask + 1) > limit);
		table_fini(&table);
	}
}

/* Nobody who does not know the seed makes keys that fall together. */
static void hash__depends_on_seed_and_on_every_bit(void **state)
{
	(void)state;
	uint8_t key[40] = {0};
	uint64_t hash = table_hash(1, key, sizeof(key));

	assert_int_not_equal(hash, table_hash(2, key, sizeof(key)));
	assert_int_not_equal(hash, table_hash(1, key, sizeof(key) - 1));
	for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(hash, table_hash(1, key, sizeof(key)));
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void bucket__passes_the_rate_and_no_more(void **state)
{
	(void)state;
	static const uint64_t rates[] = {1, 999, 1000000, BUCKET_RATE_MAX};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct bucket bucket = {0};
		uint64_t now_ns = 1, passed = 0;
		uint64_t piece = rates[i] < 1000 ? 1 : rates[i] / 1000;

		/* Ten seconds in steps that fit no rate. */
		for (unsigned int step = 0; step < 30000; step++) {
			now_ns += 333333;
			while (bucket_take(&bucket, now_ns, rates[i], piece))
				passed += piece;
		}
		assert_in_range(passed, 10 * rates[i], 11 * rates[i]);
	}
}

static void bucket__without_a_rate_passes_all(void **state)
{
	(void)state;
	struct bucket bucket = {0};

	assert_true(bucket_take(&bucket, 1, 0, UINT64_MAX));
	assert_false(bucket_take(&bucket, 1, 10, 11));
}

static void address__is_read_and_written_alike(void **state)
{
	(void)state;
	static const char *const right[] = {"0.0.0.0:0", "192.0.2.1:65535", "[::]:1",
					    "[2001:db8::1]:3478"};
	static const char *const wrong[] = {"",         "1.2.3.4",    "1.2.3.4:", "1.2.3.4:65536",
					    "::1:5",    "[::1]",      "[::1:5",   "1.2.3:4",
					    "host:80",  "1.2.3.4:8 ", "[]:1",     ":80",
					    "[::1]x:1", "1.2.3.4:-1"};
	char text[NET_ADDRESS_TEXT_MAX];
	struct net_address address, again;
	struct sockaddr_storage storage;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_null(net_address_parse(&address, right[i]));
		assert_string_equal(net_address_format(&address, text), right[i]);
		net_address_to(&address, &storage);
		net_address_from(&again, (const struct sockaddr *)&storage);
		assert_true(net_address_equal(&address, &again));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(net_address_parse(&address, wrong[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers__come_in_order_whatever_is_moved_and_stopped),
		cmocka_unit_test(timers__are_not_taken_before_their_time),
		cmocka_unit_test(table__finds_what_is_in_it),
		cmocka_unit_test(table__takes_at_most_a_slot_for_each),
		cmocka_unit_test(hash__depends_on_seed_and_on_every_bit),
		cmocka_unit_test(bucket__passes_the_rate_and_no_more),
		cmocka_unit_test(bucket__without_a_rate_passes_all),
		cmocka_unit_test(address__is_read_and_written_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
