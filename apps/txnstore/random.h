/* SPDX-License-Identifier: MIT */
/*
 * Numbers of a seed, for the generator of loads and for the simulation: splitmix64 (Steele, Lea and
 * Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). Nobody must guess at them.
 */
#ifndef TXNSTORE_RANDOM_H
#define TXNSTORE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/** random_mix - the finalizer: every bit of @bits in every bit of what comes */
static inline uint64_t random_mix(uint64_t bits)
{
	bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
	bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
	return bits ^ (bits >> 31);
}

static inline uint64_t random_next(struct random *random)
{
	random->state += 0x9e3779b97f4a7c15u;
	return random_mix(random->state);
}

/** random_below - 0 to @limit - 1, @limit not 0; a bias of 2^-64 times @limit */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)random_next(random) * limit) >> 64);
}

/** random_real - from 0, below 1 */
static inline double random_real(struct random *random)
{
	return (double)(random_next(random) >> 11) * 0x1p-53;
}

/** random_chance - true so often */
static inline bool random_chance(struct random *random, double probability)
{
	return random_real(random) < probability;
}

#endif /* TXNSTORE_RANDOM_H */
