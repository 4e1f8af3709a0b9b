/* SPDX-License-Identifier: MIT */
/* Power cuts: which of the blocks that are not flushed are on the medium afterwards. */
#include <errno.h>
#include <string.h>

#include "blkdev/sim_disk.h"

#define PIECE_BYTES_DEFAULT 512u
#define BLOCK_BYTES_MAX 4096u

/* Told of each block that may be lost; @index counts them. */
typedef void visit_pending(void *context, size_t index, uint64_t block, const unsigned char *data);

/* The write under way that was submitted next behind @number; NULL: none was. */
static const struct sim_slot *next_write(const struct sim_disk *disk, uint64_t number)
{
	const struct sim_slot *found = NULL;

	for (const struct sim_slot *slot = disk->under_way; slot; slot = slot->next) {
		if (slot->request->operation == BLK_WRITE && slot->number >= number &&
		    (!found || slot->number < found->number))
			found = slot;
	}
	return found;
}

/* Return: how many there are. */
static size_t each_pending(const struct sim_disk *disk, visit_pending *visit, void *context)
{
	const struct sim_cache *cache = &disk->cache;
	const struct sim_slot *slot;
	size_t count = 0;

	if (disk->cut)
		return 0;
	for (uint32_t version = cache->oldest; version != SIM_CACHE_NONE;
	     version = cache->versions[version].next)
		visit(context, count++, cache->versions[version].block,
		      sim_cache_data(cache, version));
	for (uint64_t number = 0; (slot = next_write(disk, number)); number = slot->number + 1) {
		for (uint32_t i = 0; i < slot->request->block_count; i++) {
			if (!sim_slot_is_applied(slot, i))
				visit(context, count++, slot->block + i,
				      sim_slot_data(disk, slot, i));
		}
	}
	return count;
}

struct listing {
	uint64_t *blocks;
	size_t room;
};

static void list_block(void *context, size_t index, uint64_t block, const unsigned char *data)
{
	const struct listing *listing = context;

	(void)data;
	if (index < listing->room)
		listing->blocks[index] = block;
}

size_t sim_disk_pending(const struct blkdev *device, uint64_t *blocks, size_t room)
{
	struct listing listing = {blocks, blocks ? room : 0};

	return each_pending(sim_disk_of_const(device), list_block, &listing);
}

/* ---- The cut ---- */

struct choice {
	struct sim_disk *disk;
	const struct sim_disk_cut *cut;
	uint32_t rate; /* of a million that are kept, where chance decides */
	size_t first;  /* and so many of the oldest are */
};

enum outcome { LOST, KEPT, TORN };

static bool has_bit(const uint64_t *bits, size_t index)
{
	return bits && (bits[index / 64] >> index % 64 & 1);
}

static enum outcome decide(const struct choice *choice, size_t index)
{
	struct sim_disk *disk = choice->disk;

	if (choice->cut->kept) {
		if (!has_bit(choice->cut->kept, index))
			return LOST;
		return has_bit(choice->cut->torn, index) ? TORN : KEPT;
	}
	if (sim_happens(disk, disk->options.tear))
		return TORN;
	return index < choice->first || sim_happens(disk, choice->rate) ? KEPT : LOST;
}

/* Of a torn block, some pieces of @data. */
static void put_torn(const struct choice *choice, uint64_t block, const unsigned char *data)
{
	struct sim_disk *disk = choice->disk;
	uint32_t block_bytes = disk->blkdev.caps.block_bytes;
	uint32_t piece = disk->options.tear_bytes ? disk->options.tear_bytes : PIECE_BYTES_DEFAULT;
	unsigned char torn[BLOCK_BYTES_MAX];

	sim_medium_read(disk->medium, block * block_bytes, torn, block_bytes);
	for (uint32_t at = 0; at < block_bytes; at += piece) {
		bool is_there = choice->cut->kept ? choice->cut->torn_pieces >> at / piece % 64 & 1
						  : sim_draw(disk, 2);

		if (is_there)
			memcpy(torn + at, data + at, piece);
	}
	sim_medium_write(disk->medium, block * block_bytes, torn, block_bytes);
}

static void cut_block(void *context, size_t index, uint64_t block, const unsigned char *data)
{
	const struct choice *choice = context;
	struct sim_disk *disk = choice->disk;

	switch (decide(choice, index)) {
	case KEPT:
		sim_medium_write(disk->medium, block * disk->blkdev.caps.block_bytes, data,
				 disk->blkdev.caps.block_bytes);
		disk->counters.kept++;
		break;
	case TORN:
		put_torn(choice, block, data);
		disk->counters.torn++;
		break;
	case LOST:
		disk->counters.lost++;
	}
}

void sim_disk_cut(struct blkdev *device, const struct sim_disk_cut *cut)
{
	struct sim_disk *disk = sim_disk_of(device);
	struct choice choice = {.disk = disk, .cut = cut};

	/* Some caches are emptied in order, others anyhow; and both ends of it are to be likely. */
	if (!cut->kept && sim_draw(disk, 4) == 0)
		choice.first = sim_draw(disk, sim_disk_pending(device, NULL, 0) + 1);
	else if (!cut->kept)
		choice.rate = (uint32_t)sim_draw(disk, SIM_DISK_MILLION + 1);
	each_pending(disk, cut_block, &choice);
	disk->cut = true;
	device->failure = -ENODEV;
}
