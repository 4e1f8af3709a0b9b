/* SPDX-License-Identifier: MIT */
/*
 * The values of one shard, with the versions that transactions in progress may still read, and the
 * locks of those that have voted. Versions are numbers of operations of the shard, from 1.
 *
 * Bernstein and Goodman, "Multiversion concurrency control", ACM TODS 8(4), 1983; validation at the end:
 * Kung and Robinson, "On optimistic methods for concurrency control", ACM TODS 6(2), 1981.
 */
#ifndef TXNSTORE_STORE_H
#define TXNSTORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blob.h"

struct version {
	struct version *older;
	uint64_t op;       /* that made it visible */
	uint64_t voted;    /* that voted for it; locked from then on */
	struct blob *blob; /* that the value is in; NULL: deleted */
	const uint8_t *value;
	uint32_t len;
};

struct item {
	struct item *next; /* of its bucket */
	struct version *newest;
	uint64_t hash;
	uint64_t locked_at; /* the operation that locked it for writing; 0: none has */
	uint32_t readers;   /* transactions that have voted, and read it */
	uint32_t slot;
	uint16_t key_len;
	uint8_t key[];
};

struct store {
	const struct memory *memory;
	struct item **buckets; /* a power of two */
	size_t bucket_count;
	struct item **slots; /* dense but for free ones: how a snapshot goes through all items */
	size_t slot_count, slot_room, item_count;
	size_t sweep_slot;
	uint64_t horizon; /* versions that reads at snapshots below would need are gone */
	uint64_t bytes;   /* of keys and values of all versions */
	uint64_t live;    /* of keys and their newest values */
};

/** store_init - Return: 0, -ENOMEM. */
int store_init(struct store *store, const struct memory *memory);
void store_destroy(struct store *store);

/** store_find - NULL: there is no such key, and no lock on it */
struct item *store_find(const struct store *store, const void *key, uint16_t key_len);
/** store_item - found or made; NULL: no memory */
struct item *store_item(struct store *store, const void *key, uint16_t key_len);
/** store_item_settle - forget an item that has neither a value, nor a lock, nor a version to be read */
void store_item_settle(struct store *store, struct item *item);

/** item_version - number of its newest version, 0 where there is no value; of NULL too */
static inline uint64_t item_version(const struct item *item)
{
	return item && item->newest && item->newest->blob ? item->newest->op : 0;
}

/**
 * item_at - the version that is the newest at @snapshot; NULL: there was no value
 *
 * @is_between: whether the key was locked then for a write that has become visible since. Its writer may
 * have been told before the snapshot that it is there, so that nothing as of the snapshot can be said.
 */
const struct version *item_at(const struct item *item, uint64_t snapshot, bool *is_between);

/**
 * store_put - a new version of @item, that operation @op makes visible and @voted has voted for
 *
 * @blob: that @value stands in; held as long as the version is. NULL: delete. Versions that nobody can
 * read at or after the horizon go. Return: 0, -ENOMEM.
 */
int store_put(struct store *store, struct item *item, uint64_t op, uint64_t voted,
	      struct blob *blob, const uint8_t *value, uint32_t len);

/** store_set_horizon - no read will be at a snapshot below @op any more */
static inline void store_set_horizon(struct store *store, uint64_t op)
{
	if (op > store->horizon)
		store->horizon = op;
}

/** store_sweep - look at the next @count items for what nobody can read any more */
void store_sweep(struct store *store, size_t count);

#endif /* TXNSTORE_STORE_H */
