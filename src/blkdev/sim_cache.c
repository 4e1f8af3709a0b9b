/* SPDX-License-Identifier: MIT */
#include "blkdev/sim_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sim_cache_init(struct sim_cache *cache, uint32_t capacity, uint32_t block_bytes)
{
	uint32_t buckets = 1;

	while (buckets < capacity)
		buckets *= 2;
	*cache = (struct sim_cache){.capacity = capacity,
				    .block_bytes = block_bytes,
				    .bucket_mask = buckets - 1,
				    .oldest = SIM_CACHE_NONE,
				    .newest = SIM_CACHE_NONE,
				    .sequence = 1};
	cache->versions = calloc(capacity, sizeof(*cache->versions));
	cache->data = calloc(capacity, block_bytes);
	cache->buckets = malloc(buckets * sizeof(*cache->buckets));
	if (!cache->versions || !cache->data || !cache->buckets) {
		sim_cache_fini(cache);
		return -ENOMEM;
	}
	memset(cache->buckets, 0xff, buckets * sizeof(*cache->buckets));
	for (uint32_t i = 0; i < capacity; i++)
		cache->versions[i].next = i + 1 < capacity ? i + 1 : SIM_CACHE_NONE;
	return 0;
}

void sim_cache_fini(struct sim_cache *cache)
{
	free(cache->versions);
	free(cache->data);
	free(cache->buckets);
	memset(cache, 0, sizeof(*cache));
}

unsigned char *sim_cache_data(const struct sim_cache *cache, uint32_t version)
{
	return cache->data + (size_t)version * cache->block_bytes;
}

static uint32_t *bucket_of(const struct sim_cache *cache, uint64_t block)
{
	return &cache->buckets[(block * 0x9e3779b97f4a7c15 >> 32) & cache->bucket_mask];
}

uint32_t sim_cache_find(const struct sim_cache *cache, uint64_t block)
{
	uint32_t version = *bucket_of(cache, block);

	while (version != SIM_CACHE_NONE && cache->versions[version].block != block)
		version = cache->versions[version].below;
	return version;
}

uint32_t sim_cache_find_writer(const struct sim_cache *cache, uint64_t block, uint64_t writer)
{
	uint32_t version = *bucket_of(cache, block);

	while (version != SIM_CACHE_NONE && (cache->versions[version].block != block ||
					     cache->versions[version].writer != writer))
		version = cache->versions[version].below;
	return version;
}

void sim_cache_add(struct sim_cache *cache, uint64_t block, uint64_t writer, const void *data)
{
	uint32_t number = cache->free, *bucket = bucket_of(cache, block);
	struct sim_version *version = &cache->versions[number];

	assert(cache->count < cache->capacity);
	cache->free = version->next;
	cache->count++;
	*version = (struct sim_version){.block = block,
					.sequence = cache->sequence++,
					.writer = writer,
					.next = SIM_CACHE_NONE,
					.previous = cache->newest,
					.below = *bucket};
	*bucket = number;
	if (cache->newest != SIM_CACHE_NONE)
		cache->versions[cache->newest].next = number;
	else
		cache->oldest = number;
	cache->newest = number;
	memcpy(sim_cache_data(cache, number), data, cache->block_bytes);
}

/* Out of the order of all, to those that are free. */
static void release(struct sim_cache *cache, uint32_t number)
{
	struct sim_version *version = &cache->versions[number];

	if (version->previous != SIM_CACHE_NONE)
		cache->versions[version->previous].next = version->next;
	else
		cache->oldest = version->next;
	if (version->next != SIM_CACHE_NONE)
		cache->versions[version->next].previous = version->previous;
	else
		cache->newest = version->previous;
	version->next = cache->free;
	cache->free = number;
	cache->count--;
}

void sim_cache_drop(struct sim_cache *cache, uint32_t version)
{
	uint64_t block = cache->versions[version].block;
	uint32_t *link = bucket_of(cache, block);

	while (*link != version)
		link = &cache->versions[*link].below;
	while (*link != SIM_CACHE_NONE) {
		uint32_t number = *link;

		if (cache->versions[number].block != block) {
			link = &cache->versions[number].below;
			continue;
		}
		*link = cache->versions[number].below;
		release(cache, number);
	}
}

void sim_cache_persist(struct sim_cache *cache, struct sim_medium *medium, uint32_t version)
{
	sim_medium_write(medium, cache->versions[version].block * cache->block_bytes,
			 sim_cache_data(cache, version), cache->block_bytes);
	sim_cache_drop(cache, version);
}

void sim_cache_flush(struct sim_cache *cache, struct sim_medium *medium, uint64_t sequence)
{
	/* The oldest first, so that a newer version of the same block comes over it. */
	while (cache->oldest != SIM_CACHE_NONE &&
	       cache->versions[cache->oldest].sequence < sequence)
		sim_cache_persist(cache, medium, cache->oldest);
}
