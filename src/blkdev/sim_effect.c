/* SPDX-License-Identifier: MIT */
/*
 * What a request does to the medium and to memory.
 *
 * It does so when it ends, but for what another request finds out: of two that are under way any
 * block of the one may be there before the other. So where a read or a write comes over blocks
 * that an unfinished write has as well, chance decides which of these have taken effect already.
 */
#include <string.h>

#include <errno.h>

#include "blkdev/sim_disk.h"

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
uint64_t sim_draw(struct sim_disk *disk, uint64_t bound)
{
	uint64_t value;

	if (!bound)
		return 0;
	value = disk->random_state += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return (value ^ value >> 31) % bound;
}

bool sim_happens(struct sim_disk *disk, uint32_t rate)
{
	return rate > 0 && sim_draw(disk, SIM_DISK_MILLION) < rate;
}

unsigned char *sim_slot_data(const struct sim_disk *disk, const struct sim_slot *slot,
			     uint32_t index)
{
	uint64_t offset = (uint64_t)index * disk->blkdev.caps.block_bytes;
	const struct iovec *segment = slot->request->segments;

	while (offset >= segment->iov_len)
		offset -= segment++->iov_len;
	return (unsigned char *)segment->iov_base + offset;
}

/* ---- Blocks ---- */

static void write_through(struct sim_disk *disk, uint64_t block, const unsigned char *data)
{
	uint32_t older = sim_cache_find(&disk->cache, block);

	if (older != SIM_CACHE_NONE)
		sim_cache_drop(&disk->cache, older);
	sim_medium_write(disk->medium, block * disk->blkdev.caps.block_bytes, data,
			 disk->blkdev.caps.block_bytes);
}

/* @writer: the number of the request. */
static void write_block(struct sim_disk *disk, uint64_t block, uint64_t writer,
			const unsigned char *data)
{
	struct sim_cache *cache = &disk->cache;

	if (disk->options.no_cache) {
		write_through(disk, block, data);
		return;
	}
	/* A full cache makes room with any version: all of them are in use. */
	if (cache->count == cache->capacity)
		sim_cache_persist(cache, disk->medium, (uint32_t)sim_draw(disk, cache->capacity));
	sim_cache_add(cache, block, writer, data);
}

static void apply(struct sim_disk *disk, const struct sim_slot *slot, uint32_t index)
{
	slot->applied[index / 64] |= UINT64_C(1) << index % 64;
	write_block(disk, slot->block + index, slot->number, sim_slot_data(disk, slot, index));
}

/* @block, which @slot reads or writes: what of it have others written that are under way? */
static void apply_others(struct sim_disk *disk, const struct sim_slot *slot, uint64_t block)
{
	for (struct sim_slot *other = disk->under_way; other; other = other->next) {
		const struct blk_request *request = other->request;

		if (other == slot || request->operation != BLK_WRITE || block < other->block ||
		    block - other->block >= request->block_count)
			continue;
		if (!sim_slot_is_applied(other, (uint32_t)(block - other->block)) &&
		    sim_draw(disk, 2))
			apply(disk, other, (uint32_t)(block - other->block));
	}
}

/* ---- Requests ---- */

static int read_block(struct sim_disk *disk, uint64_t block, unsigned char *data)
{
	uint32_t block_bytes = disk->blkdev.caps.block_bytes;
	uint32_t version = sim_cache_find(&disk->cache, block);

	if (version != SIM_CACHE_NONE) {
		memcpy(data, sim_cache_data(&disk->cache, version), block_bytes);
		return 0;
	}
	if (sim_medium_is_bad(disk->medium, block))
		return -EIO;
	if (sim_happens(disk, disk->options.rot)) {
		sim_medium_flip(disk->medium, block * block_bytes * 8 +
						      sim_draw(disk, (uint64_t)block_bytes * 8));
		disk->counters.rotted++;
	}
	sim_medium_read(disk->medium, block * block_bytes, data, block_bytes);
	return 0;
}

static int effect_read(struct sim_disk *disk, const struct sim_slot *slot)
{
	uint32_t block_bytes = disk->blkdev.caps.block_bytes;
	int error = slot->error;

	for (uint32_t i = 0; i < slot->request->block_count; i++) {
		unsigned char *data = sim_slot_data(disk, slot, i);

		if (error) {
			memset(data, (int)sim_draw(disk, 256), block_bytes);
			continue;
		}
		apply_others(disk, slot, slot->block + i);
		error = read_block(disk, slot->block + i, data);
	}
	return error;
}

/* A durable write is on the medium, or something newer is. */
static void persist(struct sim_disk *disk, const struct sim_slot *slot, uint32_t index)
{
	uint32_t version;

	if (!sim_slot_is_applied(slot, index)) {
		write_through(disk, slot->block + index, sim_slot_data(disk, slot, index));
		return;
	}
	version = sim_cache_find_writer(&disk->cache, slot->block + index, slot->number);
	if (version != SIM_CACHE_NONE)
		sim_cache_persist(&disk->cache, disk->medium, version);
}

static int effect_write(struct sim_disk *disk, const struct sim_slot *slot)
{
	for (uint32_t i = 0; i < slot->request->block_count; i++) {
		if (slot->error && sim_draw(disk, 2))
			continue;
		if (!sim_slot_is_applied(slot, i))
			apply_others(disk, slot, slot->block + i);
		if (slot->request->durable && !slot->error)
			persist(disk, slot, i);
		else if (!sim_slot_is_applied(slot, i))
			apply(disk, slot, i);
	}
	return slot->error;
}

static int effect_flush(struct sim_disk *disk, const struct sim_slot *slot)
{
	struct sim_cache *cache = &disk->cache;
	uint32_t next;

	if (!slot->error) {
		sim_cache_flush(cache, disk->medium, slot->sequence);
		return 0;
	}
	for (uint32_t version = cache->oldest; version != SIM_CACHE_NONE; version = next) {
		/* What leaves with it is older. */
		next = cache->versions[version].next;
		if (sim_draw(disk, 2))
			sim_cache_persist(cache, disk->medium, version);
	}
	return slot->error;
}

/* What was trimmed reads as anything: as before or as zeroes. */
static int effect_trim(struct sim_disk *disk, const struct sim_slot *slot)
{
	static const unsigned char zeroes[4096];

	for (uint32_t i = 0; i < slot->request->block_count; i++) {
		if (sim_draw(disk, 2))
			write_block(disk, slot->block + i, slot->number, zeroes);
	}
	return slot->error;
}

int sim_effect(struct sim_disk *disk, const struct sim_slot *slot)
{
	switch (slot->request->operation) {
	case BLK_READ:
		return effect_read(disk, slot);
	case BLK_WRITE:
		return effect_write(disk, slot);
	case BLK_FLUSH:
		return effect_flush(disk, slot);
	default:
		return effect_trim(disk, slot);
	}
}
