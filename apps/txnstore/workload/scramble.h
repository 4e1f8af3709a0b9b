/* SPDX-License-Identifier: MIT */
/*
 * A permutation of the numbers below a limit that looks like chance, so that neighbours lie apart
 * and yet no two numbers meet, as they would after a hash modulo the limit.
 *
 * Rounds of multiplication by odd numbers and of shifts, each of which can be undone, permute the
 * numbers of as many bits as the limit needs; what falls on or above the limit goes through again
 * (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Less
 * than two times on average. It is no cipher.
 */
#ifndef TXNSTORE_SCRAMBLE_H
#define TXNSTORE_SCRAMBLE_H

#include <stdint.h>

struct scramble {
	uint64_t limit;
	uint64_t mask; /* the bits of limit - 1 */
	uint32_t shift;
};

/** scramble_init - the one permutation of 0 to @limit - 1 that there is here, @limit not 0 */
void scramble_init(struct scramble *scramble, uint64_t limit);

/** scramble_of - where @number goes; it must be below the limit */
uint64_t scramble_of(const struct scramble *scramble, uint64_t number);

#endif /* TXNSTORE_SCRAMBLE_H */
