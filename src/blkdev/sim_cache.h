/* SPDX-License-Identifier: MIT */
/*
 * The volatile cache of a simulated disk: every version of a block that was written since it was
 * last brought to the medium. Which of them would survive a power cut is nobody's to know, so all
 * are kept: a disk may have written an older one behind our back, and hold the newer one only.
 */
#ifndef DEMI_BLKDEV_SIM_CACHE_H
#define DEMI_BLKDEV_SIM_CACHE_H

#include "blkdev/sim.h"

#define SIM_CACHE_NONE UINT32_MAX

struct sim_version {
	uint64_t block;
	uint64_t sequence; /* counts all versions there ever were */
	uint64_t writer;   /* number of the request that wrote it */
	uint32_t next;     /* in the order they were added, or of those that are free */
	uint32_t previous;
	uint32_t below; /* in its bucket: an older one, of this block or another */
};

struct sim_cache {
	struct sim_version *versions; /* versions[capacity] */
	unsigned char *data;          /* data[capacity][block_bytes] */
	uint32_t *buckets;            /* buckets[bucket_mask + 1]: the newest of each */
	uint32_t bucket_mask;
	uint32_t capacity;
	uint32_t count;
	uint32_t block_bytes;
	uint32_t free;
	uint32_t oldest;
	uint32_t newest;
	uint64_t sequence; /* of the next */
};

/** sim_cache_init - an empty cache of @capacity versions; 0 or -ENOMEM */
int sim_cache_init(struct sim_cache *cache, uint32_t capacity, uint32_t block_bytes);
void sim_cache_fini(struct sim_cache *cache);

/** sim_cache_data - a version's bytes */
unsigned char *sim_cache_data(const struct sim_cache *cache, uint32_t version);

/** sim_cache_find - the newest version of @block; SIM_CACHE_NONE: there is none */
uint32_t sim_cache_find(const struct sim_cache *cache, uint64_t block);

/** sim_cache_find_writer - the version of @block that request @writer wrote; likewise */
uint32_t sim_cache_find_writer(const struct sim_cache *cache, uint64_t block, uint64_t writer);

/** sim_cache_add - a newest version of @block; count < capacity */
void sim_cache_add(struct sim_cache *cache, uint64_t block, uint64_t writer, const void *data);

/** sim_cache_drop - forget @version and all older ones of its block */
void sim_cache_drop(struct sim_cache *cache, uint32_t version);

/** sim_cache_persist - bring @version to the medium; it and older ones of its block leave */
void sim_cache_persist(struct sim_cache *cache, struct sim_medium *medium, uint32_t version);

/** sim_cache_flush - persist all versions whose sequence is below @sequence */
void sim_cache_flush(struct sim_cache *cache, struct sim_medium *medium, uint64_t sequence);

#endif /* DEMI_BLKDEV_SIM_CACHE_H */
