/* SPDX-License-Identifier: MIT */
/* Numbers that follow from a seed: the generator splitmix64. */
#ifndef REDIS_LOAD_RANDOM_H
#define REDIS_LOAD_RANDOM_H

#include <stdint.h>

#define RANDOM_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/** random_mix - every input bit reaches every output bit, and no two inputs have the same output. */
static inline uint64_t random_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/** random_below - 0 <= the next number < @bound; @state is the seed at first. @bound: 1 or more */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	*state += RANDOM_GOLDEN;
	/* A product instead of a division; its bias is @bound / 2^64. */
	return (uint64_t)(((unsigned __int128)random_mix(*state) * bound) >> 64);
}

#endif /* REDIS_LOAD_RANDOM_H */
