/* SPDX-License-Identifier: MIT */
/* Instructions of a program, counted by valgrind's callgrind. */
#ifndef BENCH_INSTRUCTIONS_H
#define BENCH_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

/** instructions_can_count - whether there is valgrind */
bool instructions_can_count(void);

/**
 * instructions_count - run a program under callgrind
 * @program: its path and arguments, up to a NULL
 * @toggles: it says by itself what is to be counted; otherwise all is
 *
 * Return: 0, or -errno.
 */
int instructions_count(const char *const program[], bool toggles, uint64_t *count_out);

#endif /* BENCH_INSTRUCTIONS_H */
