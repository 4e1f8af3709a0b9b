/* SPDX-License-Identifier: MIT */
/* Keys, one for each record; and values, which are known again and from one another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "record.h"

static struct workload_config sized(uint32_t key_bytes, uint32_t value_bytes)
{
	struct workload_config config = {.records = 1000};

	config.key_bytes = key_bytes;
	config.value_bytes = value_bytes;
	return config;
}

/* In a block of its own size, so that a byte too many is seen. */
static char *make_key(const struct workload_config *config, uint64_t record)
{
	char *key = malloc(config->key_bytes);

	assert_non_null(key);
	workload_key(config, record, key);
	return key;
}

static uint8_t *make_value(const struct workload_config *config, uint64_t record, uint64_t sequence)
{
	uint8_t *value = malloc(config->value_bytes);

	assert_non_null(value);
	workload_value(config, record, sequence, value);
	return value;
}

static void key__is_user_and_digits(void **state)
{
	static const uint32_t sizes[] = {8, 9, 22, 23, 24, 64, 1024};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct workload_config config = sized(sizes[i], 1);
		char *key = make_key(&config, 17);
		assert_memory_equal(key, "user", 4);
		for (uint32_t j = 4; j < sizes[i]; j++) {
			assert_in_range(key[j], '0', '9');
			if (j + 19 < sizes[i])
				assert_int_equal(key[j], '0');
		}
		free(key);
	}
}

static void key__room_is_what_the_digits_hold(void **state)
{
	struct workload_config config = sized(8, 1);

	(void)state;
	assert_int_equal(workload_key_room(&config), 10000);
	config.key_bytes = 23;
	assert_int_equal(workload_key_room(&config), UINT64_C(10000000000000000000));
	config.key_bytes = 1024;
	assert_int_equal(workload_key_room(&config), UINT64_C(10000000000000000000));
}

/* All that the shortest keys can be, each of them once. */
static void key__short_keys_are_all_used(void **state)
{
	struct workload_config config = sized(8, 1);
	uint8_t seen[10000] = {0};

	(void)state;
	for (uint64_t record = 0; record < 10000; record++) {
		char *key = make_key(&config, record);
		int number = 0;
		for (int i = 4; i < 8; i++)
			number = 10 * number + key[i] - '0';
		assert_int_equal(seen[number]++, 0);
		free(key);
	}
}

static int compare_keys(const void *one, const void *other)
{
	return memcmp(one, other, 23);
}

/* The first records and the last that there may be; and no two neighbours that begin alike. */
static void key__long_keys_are_unique_and_spread(void **state)
{
	struct workload_config config = sized(23, 1);
	size_t half = 10000;
	char(*keys)[23] = malloc(2 * half * sizeof(*keys));
	int alike = 0;

	(void)state;
	assert_non_null(keys);
	for (size_t i = 0; i < half; i++) {
		workload_key(&config, i, keys[i]);
		workload_key(&config, WORKLOAD_RECORDS_MAX - 1 - i, keys[half + i]);
		alike += i && memcmp(keys[i], keys[i - 1], 7) == 0;
	}
	assert_in_range(alike, 0, 50); /* one in a thousand by chance */
	qsort(keys, 2 * half, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < 2 * half; i++)
		assert_true(memcmp(keys[i - 1], keys[i], sizeof(*keys)) != 0);
	free(keys);
}

static void value__is_known_again(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 7, 8, 15, 16, 17, 23, 24, 25, 700, 1048576};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct workload_config config = sized(23, sizes[i]);
		uint64_t written = UINT64_C(0x0123456789abcdef);
		uint64_t mask = sizes[i] >= 16 ? UINT64_MAX
					       : (UINT64_C(1) << (8 * (sizes[i] / 2))) - 1;
		uint64_t found = 1;
		uint8_t *value = make_value(&config, 5, written);
		assert_true(workload_value_check(&config, 5, value, sizes[i], &found));
		assert_int_equal(found, written & mask);
		assert_true(workload_value_check(&config, 5, value, sizes[i], NULL));
		assert_false(workload_value_check(&config, 5, value, sizes[i] - 1, NULL));
		free(value);
	}
}

static void value__each_wrong_byte_is_found(void **state)
{
	struct workload_config config = sized(23, 700);
	uint8_t *value = make_value(&config, 5, 6);

	(void)state;
	for (size_t i = 0; i < 700; i++) {
		value[i] ^= 0x10;
		assert_false(workload_value_check(&config, 5, value, 700, NULL));
		value[i] ^= 0x10;
	}
	assert_true(workload_value_check(&config, 5, value, 700, NULL));
	free(value);
}

static void value__another_records_is_wrong(void **state)
{
	struct workload_config config = sized(23, 24);

	(void)state;
	for (uint64_t record = 0; record < 100; record++) {
		uint8_t *value = make_value(&config, record, 100 - record);
		for (uint64_t other = 0; other < 100; other++)
			assert_true(workload_value_check(&config, other, value, 24, NULL) ==
				    (other == record));
		free(value);
	}
}

/* Half of one write and half of another: what a store without atomic writes would show. */
static void value__two_halves_are_wrong(void **state)
{
	struct workload_config config = sized(23, 64);
	uint8_t *one = make_value(&config, 5, 1);
	uint8_t *other = make_value(&config, 5, 2);

	(void)state;
	memcpy(one + 32, other + 32, 32);
	assert_false(workload_value_check(&config, 5, one, 64, NULL));
	/* Of another record, whose numbers come to the same sum. */
	workload_value(&config, 5, 2, one);
	workload_value(&config, 6, 1, other);
	memcpy(one + 8, other + 8, 56);
	assert_false(workload_value_check(&config, 5, one, 64, NULL));
	memset(one, 0, 64);
	assert_false(workload_value_check(&config, 5, one, 64, NULL));
	free(one);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key__is_user_and_digits),
		cmocka_unit_test(key__room_is_what_the_digits_hold),
		cmocka_unit_test(key__short_keys_are_all_used),
		cmocka_unit_test(key__long_keys_are_unique_and_spread),
		cmocka_unit_test(value__is_known_again),
		cmocka_unit_test(value__each_wrong_byte_is_found),
		cmocka_unit_test(value__another_records_is_wrong),
		cmocka_unit_test(value__two_halves_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
