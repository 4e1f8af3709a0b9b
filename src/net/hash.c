/* SPDX-License-Identifier: MIT */
/*
 * A keyed hash and random numbers from it. SipHash-2-4: Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012. Who does not know the secret can neither fill one chain of a table nor
 * foretell an identification from others.
 */
#include <endian.h>
#include <string.h>

#include "net/net.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
	sip->v0 = rotate_left(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotate_left(sip->v2, 32);
}

static inline void sip_word(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip_round(sip);
	sip->v0 ^= word;
}

static uint64_t siphash(const uint64_t key[2], const void *data, size_t length)
{
	struct sip sip = {
		.v0 = key[0] ^ 0x736f6d6570736575,
		.v1 = key[1] ^ 0x646f72616e646f6d,
		.v2 = key[0] ^ 0x6c7967656e657261,
		.v3 = key[1] ^ 0x7465646279746573,
	};
	const unsigned char *bytes = data;
	uint64_t word, last = (uint64_t)length << 56;

	for (size_t left = length; left >= 8; left -= 8, bytes += 8) {
		memcpy(&word, bytes, sizeof(word));
		sip_word(&sip, le64toh(word));
	}
	for (size_t i = 0; i < length % 8; i++)
		last |= (uint64_t)bytes[i] << (8 * i);
	sip_word(&sip, last);
	sip.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

uint64_t net_hash(const struct net *net, const void *data, size_t length)
{
	return siphash(net->secret, data, length);
}

uint64_t net_random(struct net *net)
{
	/* Another domain than net_hash: a key of its own. */
	const uint64_t key[2] = {net->secret[0] ^ 0x9e3779b97f4a7c15, ~net->secret[1]};

	net->random_count++;
	return siphash(key, &net->random_count, sizeof(net->random_count));
}
