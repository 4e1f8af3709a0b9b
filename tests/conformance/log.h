/* SPDX-License-Identifier: MIT */
/* Helpers of the tests of logs. Record i of a log is the pattern of a seed, shifted by i. */
#ifndef DEMI_TESTS_LOG_H
#define DEMI_TESTS_LOG_H

#include "common.h"

/** log_open - a queue over a log; it must succeed */
#define log_open(name, flags) log_open_at((name), (flags), __FILE__, __LINE__)
int log_open_at(const char *name, int flags, const char *file, int line);

/** log_name - "name.number", until the next call */
const char *log_name(const char *name, unsigned int number);

/** record_check - one segment with @size bytes of the pattern; frees it */
#define record_check(sga, size, seed, offset) \
	record_check_at((sga), (size), (seed), (offset), __FILE__, __LINE__)
void record_check_at(demi_sgarray_t *sga, size_t size, unsigned int seed, uint64_t offset,
		     const char *file, int line);

/** record_await - as record_check, of a pop that has been issued */
#define record_await(qt, size, seed, offset) \
	record_await_at((qt), (size), (seed), (offset), __FILE__, __LINE__)
void record_await_at(demi_qtoken_t qt, size_t size, unsigned int seed, uint64_t offset,
		     const char *file, int line);

/** record_expect - pop one record and check it */
#define record_expect(qd, size, seed, offset) \
	record_expect_at((qd), (size), (seed), (offset), __FILE__, __LINE__)
void record_expect_at(int qd, size_t size, unsigned int seed, uint64_t offset, const char *file,
		      int line);

#define seek_to(qd, offset, whence, expected)                                   \
	do {                                                                    \
		int64_t position_ = -1;                                         \
		check_call(demi_seek((qd), (offset), (whence), &position_), 0); \
		assert_int_equal(position_, (expected));                        \
	} while (0)

#endif /* DEMI_TESTS_LOG_H */
