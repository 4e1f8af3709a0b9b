/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <errno.h>
#include <string.h>

#include "key_hash.h"

#define BUCKETS_FIRST 1024u
#define SLOTS_FIRST 1024u

static void *take(const struct store *store, size_t size)
{
	return store->memory->alloc(store->memory->context, size);
}

static void give(const struct store *store, void *memory)
{
	if (memory)
		store->memory->free(store->memory->context, memory);
}

int store_init(struct store *store, const struct memory *memory)
{
	*store = (struct store){
		.memory = memory, .bucket_count = BUCKETS_FIRST, .slot_room = SLOTS_FIRST};
	store->buckets = take(store, BUCKETS_FIRST * sizeof(*store->buckets));
	store->slots = take(store, SLOTS_FIRST * sizeof(*store->slots));
	if (!store->buckets || !store->slots) {
		give(store, store->buckets);
		give(store, store->slots);
		return -ENOMEM;
	}
	memset(store->buckets, 0, BUCKETS_FIRST * sizeof(*store->buckets));
	return 0;
}

static void version_free(struct store *store, struct version *version)
{
	store->bytes -= version->len;
	blob_release(version->blob);
	give(store, version);
}

static void item_free(struct store *store, struct item *item)
{
	store->live -= item->key_len + (item->newest ? item->newest->len : 0);
	while (item->newest) {
		struct version *version = item->newest;

		item->newest = version->older;
		version_free(store, version);
	}
	store->bytes -= item->key_len;
	give(store, item);
}

void store_destroy(struct store *store)
{
	for (size_t i = 0; i < store->slot_count; i++)
		item_free(store, store->slots[i]);
	give(store, store->buckets);
	give(store, store->slots);
	*store = (struct store){.memory = store->memory};
}

static struct item **bucket_of(const struct store *store, uint64_t hash)
{
	return &store->buckets[hash & (store->bucket_count - 1)];
}

struct item *store_find(const struct store *store, const void *key, uint16_t key_len)
{
	uint64_t hash = key_hash(key, key_len);
	struct item *item = *bucket_of(store, hash);

	while (item && (item->hash != hash || item->key_len != key_len ||
			memcmp(item->key, key, key_len) != 0))
		item = item->next;
	return item;
}

/* Twice the buckets. Without memory for them chains grow, and nothing is lost. */
static void buckets_grow(struct store *store)
{
	size_t count = store->bucket_count * 2;
	struct item **buckets = take(store, count * sizeof(*buckets));

	if (!buckets)
		return;
	memset(buckets, 0, count * sizeof(*buckets));
	give(store, store->buckets);
	store->buckets = buckets;
	store->bucket_count = count;
	for (size_t i = 0; i < store->slot_count; i++) {
		struct item *item = store->slots[i];
		struct item **bucket = bucket_of(store, item->hash);

		item->next = *bucket;
		*bucket = item;
	}
}

static bool slots_grow(struct store *store)
{
	struct item **slots = take(store, 2 * store->slot_room * sizeof(*slots));

	if (!slots)
		return false;
	memcpy(slots, store->slots, store->slot_count * sizeof(*slots));
	give(store, store->slots);
	store->slots = slots;
	store->slot_room *= 2;
	return true;
}

struct item *store_item(struct store *store, const void *key, uint16_t key_len)
{
	struct item *item = store_find(store, key, key_len);
	struct item **bucket;

	if (item)
		return item;
	if (store->slot_count == store->slot_room && !slots_grow(store))
		return NULL;
	item = take(store, sizeof(*item) + key_len);
	if (!item)
		return NULL;
	*item = (struct item){.hash = key_hash(key, key_len),
			      .key_len = key_len,
			      .slot = (uint32_t)store->slot_count};
	memcpy(item->key, key, key_len);
	bucket = bucket_of(store, item->hash);
	item->next = *bucket;
	*bucket = item;
	store->slots[store->slot_count++] = item;
	store->bytes += key_len;
	store->live += key_len;
	if (store->slot_count > store->bucket_count)
		buckets_grow(store);
	return item;
}

void store_item_settle(struct store *store, struct item *item)
{
	struct item **link = bucket_of(store, item->hash);
	struct item *last = store->slots[store->slot_count - 1];

	if (item->locked_at || item->readers)
		return;
	if (item->newest && (item->newest->blob || item->newest->op > store->horizon))
		return;
	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	store->slots[item->slot] = last;
	last->slot = item->slot;
	store->slot_count--;
	item_free(store, item);
}

const struct version *item_at(const struct item *item, uint64_t snapshot, bool *is_between)
{
	const struct version *version = item ? item->newest : NULL;

	*is_between = false;
	for (; version && version->op > snapshot; version = version->older)
		*is_between = version->voted <= snapshot;
	return version && version->blob ? version : NULL;
}

/* The newest that a read at the horizon would see stays; what is older goes. */
static void drop_old(struct store *store, struct item *item)
{
	struct version *version = item->newest;

	while (version && version->op > store->horizon)
		version = version->older;
	while (version && version->older) {
		struct version *old = version->older;

		version->older = old->older;
		version_free(store, old);
	}
}

int store_put(struct store *store, struct item *item, uint64_t op, uint64_t voted,
	      struct blob *blob, const uint8_t *value, uint32_t len)
{
	struct version *version = take(store, sizeof(*version));

	if (!version)
		return -ENOMEM;
	*version = (struct version){
		.older = item->newest, .op = op, .voted = voted, .value = value, .len = len};
	if (blob)
		version->blob = blob_hold(blob);
	store->live += len;
	store->live -= version->older ? version->older->len : 0;
	item->newest = version;
	store->bytes += len;
	drop_old(store, item);
	return 0;
}

void store_sweep(struct store *store, size_t count)
{
	for (; count && store->slot_count; count--) {
		struct item *item;

		store->sweep_slot = (store->sweep_slot ? store->sweep_slot : store->slot_count) - 1;
		if (store->sweep_slot >= store->slot_count)
			store->sweep_slot = store->slot_count - 1;
		item = store->slots[store->sweep_slot];
		drop_old(store, item);
		store_item_settle(store, item);
	}
}
