/* SPDX-License-Identifier: MIT */
/*
 * The device "sim": a disk on the time that submit and poll are told. For tests: whatever happens
 * follows from the seed and the calls, so that a run can be repeated, and each kind of mishap has
 * its rate, its hook and its counter.
 *
 * What is written lies in the disk's volatile cache, block by block and each version of a block,
 * until a flush, a durable write of the block, or want of room brings it to the medium. A power cut
 * (sim_disk_cut) lets any of those versions, and any blocks of the writes that are under way, be
 * on the medium, and none of the others; the newest of a block that is wins. What was flushed, or
 * written as durable, is never lost.
 *
 * The medium outlives its disk, and may be looked at and changed while no request is under way.
 * A medium and its disk belong to one thread.
 */
#ifndef DEMI_BLKDEV_SIM_H
#define DEMI_BLKDEV_SIM_H

#include "blkdev/blkdev.h"

#define SIM_DISK_MILLION 1000000u
#define SIM_DISK_DEPTH_MIN 16u
#define SIM_DISK_DEPTH_MAX 4096u
#define SIM_DISK_BYTES_MIN (128u << 10)
#define SIM_DISK_BYTES_MAX (16u << 20) /* of one request, at most */
#define SIM_DISK_CACHE_MAX (1u << 20)  /* blocks */
#define SIM_DISK_TIME_MAX UINT64_C(3600000000000)
#define SIM_MEDIUM_BYTES_MAX (UINT64_C(1) << 40)
#define SIM_MEDIUM_BAD_MAX 64u

/* ---- The medium ---- */

struct sim_medium;

/**
 * sim_medium_create - a medium of zeroes; memory is used for what is written
 * @bytes: a multiple of @block_bytes, up to SIM_MEDIUM_BYTES_MAX
 * @block_bytes: 512 or 4096
 *
 * Return: 0, -EINVAL, -ENOMEM, logged.
 */
int sim_medium_create(struct sim_medium **medium_out, uint64_t bytes, uint32_t block_bytes);

/** sim_medium_destroy - after its disk has been closed; NULL is allowed */
void sim_medium_destroy(struct sim_medium *medium);

uint64_t sim_medium_bytes(const struct sim_medium *medium);
uint32_t sim_medium_block_bytes(const struct sim_medium *medium);

/** sim_medium_read, sim_medium_write - at any byte; the range lies within the medium */
void sim_medium_read(const struct sim_medium *medium, uint64_t offset, void *to, size_t bytes);
void sim_medium_write(struct sim_medium *medium, uint64_t offset, const void *from, size_t bytes);

/** sim_medium_flip - invert bit @bit, counted from the first byte's lowest */
void sim_medium_flip(struct sim_medium *medium, uint64_t bit);

/**
 * sim_medium_fail_block - from now on reads of @block end with -EIO, until it is written
 *
 * Return: 0, -ENOSPC (SIM_MEDIUM_BAD_MAX are so).
 */
int sim_medium_fail_block(struct sim_medium *medium, uint64_t block);

/** sim_medium_copy - make @medium what @from is; both have the same bytes and block_bytes */
void sim_medium_copy(struct sim_medium *medium, const struct sim_medium *from);

/** sim_medium_clear - zeroes again, and no bad block */
void sim_medium_clear(struct sim_medium *medium);

/** sim_medium_differs - the first byte in which two of one size differ; UINT64_MAX: in none */
uint64_t sim_medium_differs(const struct sim_medium *medium, const struct sim_medium *other);

/* ---- The disk ---- */

/** What becomes of a request, as drawn; a hook may change it. */
struct sim_disk_fate {
	uint64_t latency_ns;
	uint64_t block; /* where it goes: the request's, or another that leaves it room */
	/* 0; -EIO; -ETIMEDOUT (after timeout_ns); or another that done may be told. Of a write
	 * that fails any of the blocks have changed, of a flush any are on the medium, and what a
	 * failed read leaves in memory is noise. */
	int error;
};

/** Told of each request that the disk accepts; @number counts them from 0. */
typedef void sim_disk_hook(void *context, uint64_t number, const struct blk_request *request,
			   struct sim_disk_fate *fate);

/** What a disk is like and what happens to it; all zero: as below, at once, and nothing happens. */
struct sim_disk_options {
	uint64_t seed;
	uint64_t latency_ns; /* of each request */
	uint64_t spread_ns;  /* up to so much more: requests end in another order */
	uint64_t flush_ns;   /* so much more for flushes and durable writes */
	uint64_t timeout_ns; /* of requests that time out; 0: a second */
	uint64_t gone_ns;    /* from this moment on it is gone; 0: never */
	/* At creation only, as the seed: */
	uint32_t depth;            /* 0: 64 */
	uint32_t bytes_max;        /* of a request; 0: 1 MiB */
	uint32_t memory_alignment; /* 0: 4 */
	uint32_t cache_blocks;     /* versions in the volatile cache; 0: 1024 */
	bool no_cache;             /* what is done is on the medium */
	bool no_trim;
	bool read_only;
	/* Of a million requests of the kind: */
	uint32_t read_error;
	uint32_t write_error;
	uint32_t flush_error;
	uint32_t trim_error;
	uint32_t timeout;         /* of any kind */
	uint32_t misdirect_read;  /* of another place */
	uint32_t misdirect_write; /* to another place */
	/* Of a million blocks: */
	uint32_t rot;        /* that are read of the medium: a bit has changed there */
	uint32_t tear;       /* that may be lost at a random cut: kept in part */
	uint32_t tear_bytes; /* in pieces of so many: 8 or 512; 0: 512 */
	sim_disk_hook *hook;
	void *hook_context;
};

/** Mishaps that happened. */
struct sim_disk_counters {
	uint64_t failed; /* requests, by rate or hook; those that timed out too */
	uint64_t misdirected;
	uint64_t rotted;
	uint64_t kept, torn, lost; /* blocks at the cut */
};

/** What a power cut leaves of the blocks that may be lost. */
struct sim_disk_cut {
	/* Bit n % 64 of kept[n / 64]: block n of sim_disk_pending is on the medium; NULL: what is
	 * follows from the seed, and torn and torn_pieces are not looked at. */
	const uint64_t *kept;
	/* Likewise: of those that are, which only in part; NULL: none. */
	const uint64_t *torn;
	/* Bit n % 64: piece n of tear_bytes of a torn block is there. */
	uint64_t torn_pieces;
};

/**
 * sim_disk_create - a disk over @medium, which no other disk uses meanwhile
 *
 * Return: 0; -EINVAL, -EBUSY, -ENOMEM, logged.
 */
int sim_disk_create(struct blkdev **device_out, struct sim_medium *medium, struct heap *heap,
		    const struct sim_disk_options *options);

/** sim_disk_options - what happens from now on; rates, times and hook may be changed at any time */
struct sim_disk_options *sim_disk_options(struct blkdev *device);

const struct sim_disk_counters *sim_disk_counters(const struct blkdev *device);

/**
 * sim_disk_pending - what a power cut now may lose
 * @blocks: room for @room numbers of blocks, or NULL
 *
 * In order: a block that is written twice without a flush is there twice. First what lies in the
 * cache, then blocks of the writes under way, which may overwrite each other in any order.
 * Return: how many there are.
 */
size_t sim_disk_pending(const struct blkdev *device, uint64_t *blocks, size_t room);

/**
 * sim_disk_cut - the power fails
 *
 * From now on nothing reaches the medium. What is under way ends with -ENODEV at the next poll,
 * or with -ECANCELED by close; the medium may be given to another disk after close.
 */
void sim_disk_cut(struct blkdev *device, const struct sim_disk_cut *cut);

/*
 * By name, "sim:SIZE,key=value,...", as in sim:64M,block=4096,latency_us=10. SIZE has K, M or G
 * behind it. Keys are block (512 or 4096, which is the default), name, latency_us, spread_us,
 * flush_us, and numbers and switches (0 or 1) of struct sim_disk_options by their names.
 * The medium goes with its disk, but with name=NAME it stays as long as the process, and a disk
 * that is opened by that name again has it.
 */

#endif /* DEMI_BLKDEV_SIM_H */
