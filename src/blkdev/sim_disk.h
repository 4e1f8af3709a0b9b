/* SPDX-License-Identifier: MIT */
/* What the files of the device "sim" share: the disk as it is. */
#ifndef DEMI_BLKDEV_SIM_DISK_H
#define DEMI_BLKDEV_SIM_DISK_H

#include "blkdev/sim.h"
#include "blkdev/sim_cache.h"

/* A request under way. */
struct sim_slot {
	struct sim_slot *next; /* by end_ns, or of those that are free */
	struct blk_request *request;
	uint64_t number; /* counts all requests */
	uint64_t end_ns;
	uint64_t block;    /* where it goes, which a mishap may have changed */
	uint64_t sequence; /* flush: of the cache's next version when it was submitted */
	int error;
	/* Write: bit i % 64 of applied[i / 64]: block i has taken effect already. */
	uint64_t *applied;
};

struct sim_disk {
	struct blkdev blkdev;
	struct sim_disk_options options;
	struct sim_disk_counters counters;
	struct sim_medium *medium;
	bool owns_medium; /* it goes with the disk */
	bool cut;         /* nothing reaches the medium any more */
	struct sim_cache cache;
	uint64_t random_state;
	uint64_t requests;      /* accepted ever */
	struct sim_slot *slots; /* slots[depth] */
	struct sim_slot *free;
	struct sim_slot *under_way; /* the next to end first */
	uint64_t *applied;          /* of all slots */
};

static inline struct sim_disk *sim_disk_of(struct blkdev *device)
{
	return (struct sim_disk *)(void *)device;
}

static inline const struct sim_disk *sim_disk_of_const(const struct blkdev *device)
{
	return (const struct sim_disk *)(const void *)device;
}

/** sim_medium_take - become the one disk of it; false: there is one */
bool sim_medium_take(struct sim_medium *medium);
void sim_medium_give_back(struct sim_medium *medium);

/** sim_medium_is_bad - whether a read of @block fails */
bool sim_medium_is_bad(const struct sim_medium *medium, uint64_t block);

/** sim_draw - 0 to @bound - 1, as the seed has it; 0 for 0 */
uint64_t sim_draw(struct sim_disk *disk, uint64_t bound);

/** sim_happens - whether what happens @rate times of a million does now */
bool sim_happens(struct sim_disk *disk, uint32_t rate);

/** sim_effect - what the request of @slot does to medium and memory now that it ends; its error */
int sim_effect(struct sim_disk *disk, const struct sim_slot *slot);

/** sim_slot_data - the memory of block @index of a read or write */
unsigned char *sim_slot_data(const struct sim_disk *disk, const struct sim_slot *slot,
			     uint32_t index);

/** sim_disk_names_forget - in the child of a fork: media by name may be opened by it alone */
void sim_disk_names_forget(void);

static inline bool sim_slot_is_applied(const struct sim_slot *slot, uint32_t index)
{
	return slot->applied[index / 64] >> index % 64 & 1;
}

#endif /* DEMI_BLKDEV_SIM_DISK_H */
