/* SPDX-License-Identifier: MIT */
#include "libos/catmint/destination.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 by the golden ratio, odd */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

/* Peers choose ports: without the secret they cannot choose the bucket. */
static uint32_t bucket_of(const struct destination_table *table, const struct destination_key *key)
{
	uint64_t hash = mix(table->seed, load_be64(key->remote.bytes));

	hash = mix(hash, load_be64(key->remote.bytes + 8));
	hash = mix(hash, load_be64(key->local.bytes + 8) ^ load_be64(key->local.bytes));
	hash = mix(hash, key->port);
	return (uint32_t)hash & table->mask;
}

int destination_table_init(struct destination_table *table, uint32_t most, uint64_t seed)
{
	*table = (struct destination_table){.mask = most - 1, .most = most, .seed = seed};
	table->entries = calloc(most, sizeof(table->entries[0]));
	table->buckets = calloc(most, sizeof(struct destination *));
	if (table->entries && table->buckets)
		return 0;
	destination_table_fini(table);
	return -ENOMEM;
}

void destination_table_fini(struct destination_table *table)
{
	free(table->entries);
	free(table->buckets);
	*table = (struct destination_table){0};
}

struct destination *destination_find(const struct destination_table *table,
				     const struct destination_key *key)
{
	struct destination *destination = table->buckets[bucket_of(table, key)];

	while (destination && !destination_has_key(destination, key))
		destination = destination->hash_next;
	return destination;
}

static void link_newest(struct destination_table *table, struct destination *destination)
{
	destination->newer = NULL;
	destination->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = destination;
	table->newest = destination;
}

static void unlink_age(struct destination_table *table, const struct destination *destination)
{
	*(destination->older ? &destination->older->newer : &table->oldest) = destination->newer;
	*(destination->newer ? &destination->newer->older : &table->newest) = destination->older;
}

void destination_use(struct destination_table *table, struct destination *destination)
{
	if (table->newest == destination)
		return;
	unlink_age(table, destination);
	link_newest(table, destination);
}

static struct destination *take_free(struct destination_table *table)
{
	struct destination *destination = table->free;

	if (destination)
		table->free = destination->hash_next;
	else if (table->used < table->most)
		destination = &table->entries[table->used++];
	return destination;
}

struct destination *destination_add(struct destination_table *table,
				    const struct destination_key *key)
{
	struct destination *destination = take_free(table), **bucket;

	if (!destination)
		return NULL;
	bucket = &table->buckets[bucket_of(table, key)];
	memset(destination, 0, sizeof(*destination));
	destination->key = *key;
	destination->hash_next = *bucket;
	*bucket = destination;
	link_newest(table, destination);
	return destination;
}

void destination_remove(struct destination_table *table, struct destination *destination)
{
	struct destination **link = &table->buckets[bucket_of(table, &destination->key)];

	while (*link != destination)
		link = &(*link)->hash_next;
	*link = destination->hash_next;
	unlink_age(table, destination);
	/* Port 0 is nobody's. */
	memset(destination, 0, sizeof(*destination));
	destination->hash_next = table->free;
	table->free = destination;
}
