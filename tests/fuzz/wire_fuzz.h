/* SPDX-License-Identifier: MIT */
/*
 * What the targets for packets share. Most inputs would end at a wrong checksum, so that they work
 * on a copy, of exactly the input's length, whose checksum they have mended.
 */
#ifndef DEMI_TESTS_FUZZ_WIRE_FUZZ_H
#define DEMI_TESTS_FUZZ_WIRE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a target itself does for each byte is not worth following. */
#define NO_COVERAGE __attribute__((no_sanitize("coverage")))

#define must(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

static inline _Noreturn void fuzz_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

/* What every parser returns: a length within what it was given, or an error that has a name. */
static inline int checked(int result, size_t length)
{
	must(result < 0 ? result > -(int)WIRE_ERRORS_END : (size_t)result <= length);
	return result;
}

static inline uint8_t *copy_of(const void *data, size_t size)
{
	uint8_t *copy = malloc(size);

	must(copy || !size);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* Mend the 16 bits at @at of a run of bytes whose sum begins with @pseudo. */
static inline void mend(uint8_t *data, size_t length, size_t at, uint64_t pseudo)
{
	if (length < at + 2)
		return;
	store_be16(data + at, 0);
	store_be16(data + at, checksum_finish(checksum_add(pseudo, data, length)));
}

#endif /* DEMI_TESTS_FUZZ_WIRE_FUZZ_H */
