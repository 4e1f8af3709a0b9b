/* SPDX-License-Identifier: MIT */
/*
 * Queues with a name, which join two runtimes: both in one thread, which takes them in turns, so that
 * each step of either is under control.
 */
#ifndef DEMI_TESTS_JOINED_H
#define DEMI_TESTS_JOINED_H

#include "common.h"

#define LIMIT 8 /* elements in each direction of setup_small */

/** other - the runtime that this thread does not have at the moment; NULL: there is none */
extern demi_runtime_t *other;

/** swap - take the other runtime */
void swap(void);

/** setup_two - the libOS under test, taken, and Catmem, which needs no device, as the other */
int setup_two(void **state);
/** setup_small - the same, with queues of LIMIT elements */
int setup_small(void **state);
int teardown_two(void **state);

#define TEST_TWO(function) cmocka_unit_test_setup_teardown(function, setup_two, teardown_two)
#define TEST_SMALL(function) cmocka_unit_test_setup_teardown(function, setup_small, teardown_two)

#define skip_unless_two() skip_unless(other != NULL, "over io_uring a runtime stays in its thread")

/** One end here, the other in the other runtime */
struct ends {
	int here;
	int there;
};

struct ends ends_open(const char *name);

/** objects - live ones of this runtime's heap, once what others have given back is collected */
uint64_t objects(void);

/** expect - a pop completes with @size bytes of the pattern, which are freed */
#define expect(qt, size, seed) expect_at((qt), (size), (seed), __FILE__, __LINE__)
void expect_at(demi_qtoken_t qt, size_t size, unsigned int seed, const char *file, int line);

/** expect_end - a pop completes with the end of the stream */
#define expect_end(qt) expect_end_at((qt), __FILE__, __LINE__)
void expect_end_at(demi_qtoken_t qt, const char *file, int line);

#endif /* DEMI_TESTS_JOINED_H */
