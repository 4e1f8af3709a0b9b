/* SPDX-License-Identifier: MIT */
#include "scramble.h"

#include <assert.h>

struct round {
	uint64_t factor; /* odd, or it could not be undone */
	uint64_t summand;
};

/* The bits of square roots and of the golden ratio: nothing hidden in them. */
static const struct round rounds[] = {
	{0x9e3779b97f4a7c15u, 0x6a09e667f3bcc908u},
	{0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu},
	{0xa54ff53a5f1d36f1u, 0x510e527fade682d1u},
};

void scramble_init(struct scramble *scramble, uint64_t limit)
{
	uint32_t bits = limit > 1 ? 64 - (uint32_t)__builtin_clzll(limit - 1) : 0;

	scramble->limit = limit;
	scramble->mask = bits ? UINT64_MAX >> (64 - bits) : 0;
	scramble->shift = (bits + 1) / 2;
}

/* A product's low bits know nothing of the factor's high ones; the shift brings them down. */
static uint64_t permute(const struct scramble *scramble, uint64_t number)
{
	for (uint32_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		number = (number * rounds[i].factor + rounds[i].summand) & scramble->mask;
		number ^= number >> scramble->shift;
	}
	return number;
}

uint64_t scramble_of(const struct scramble *scramble, uint64_t number)
{
	/* A cycle that begins above the limit may never come below it. */
	assert(number < scramble->limit);
	if (scramble->limit == 1)
		return 0;
	do
		number = permute(scramble, number);
	while (number >= scramble->limit);
	return number;
}
