/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of this folder share. Every packet is parsed from a copy of exactly its
 * length, so that the address sanitizer sees each byte that is read beyond.
 */
#ifndef DEMI_WIRE_TESTING_H
#define DEMI_WIRE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/error.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

typedef int (*test_parse_fn)(const void *data, size_t length);

/* xorshift64*: the same numbers in each run. */
static inline uint64_t test_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1d;
}

static inline void test_fill(void *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)data)[i] = (uint8_t)(test_random() >> 32);
}

static inline int test_parse(test_parse_fn parse, const void *data, size_t length)
{
	void *copy = calloc(length, 1);
	int result;

	assert_true(copy || !length);
	if (length)
		memcpy(copy, data, length);
	result = parse(copy, length);
	free(copy);
	return result;
}

/* Every beginning of a packet is refused: as truncated up to @fixed bytes, then for any reason. */
static inline void test_truncations(test_parse_fn parse, const void *data, size_t length,
				    size_t fixed)
{
	for (size_t cut = 0; cut < length; cut++) {
		int result = test_parse(parse, data, cut);

		assert_true(result < 0 && result > -(int)WIRE_ERRORS_END);
		if (cut < fixed)
			assert_int_equal(result, -WIRE_TRUNCATED);
	}
}

/* The packet with one byte changed. */
static inline int test_changed(test_parse_fn parse, const void *data, size_t length, size_t at,
			       uint8_t value)
{
	uint8_t copy[512];

	assert_true(length <= sizeof(copy) && at < length);
	memcpy(copy, data, length);
	copy[at] = value;
	return test_parse(parse, copy, length);
}

#endif /* DEMI_WIRE_TESTING_H */
