/* SPDX-License-Identifier: MIT */
/* The hash of a key: which shard has it, by its upper half, and which bucket, by its lower one. */
#ifndef TXNSTORE_KEY_HASH_H
#define TXNSTORE_KEY_HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "txnstore/random.h"

static inline uint64_t key_hash(const void *key, size_t len)
{
	const uint8_t *bytes = key;
	uint64_t hash = len, word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = random_mix(hash ^ le64toh(word));
	}
	word = 0;
	memcpy(&word, bytes, len);
	return random_mix(hash ^ le64toh(word));
}

static inline uint16_t key_shard(const void *key, size_t len, uint16_t shards)
{
	return (uint16_t)(((key_hash(key, len) >> 32) * shards) >> 32);
}

#endif /* TXNSTORE_KEY_HASH_H */
