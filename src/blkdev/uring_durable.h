/* SPDX-License-Identifier: MIT */
/*
 * How a file's writes are made durable, of two ways: by the write itself (RWF_DSYNC), or by a flush when
 * it has ended. What the former leaves to be done behind the write a workqueue of the kernel's does, on
 * the CPU that was interrupted and with the priority of any program; the latter is done by a thread of
 * io_uring's, with our priority on any CPU, which has to be woken. On a quiet machine the first is faster
 * by some microseconds, beside other programs slower by milliseconds. So both are tried now and then, and
 * the one with the lower median is taken. Times are arguments.
 */
#ifndef DEMI_BLKDEV_URING_DURABLE_H
#define DEMI_BLKDEV_URING_DURABLE_H

#include <stdbool.h>
#include <stdint.h>

/** Writes of each way that a decision is made of; odd. */
#define URING_DURABLE_SAMPLES 9u
/** Every so manieth write goes the other way: before the first decision, behind it, and at most. */
#define URING_DURABLE_PERIOD_FIRST 2u
#define URING_DURABLE_PERIOD_MIN 256u
#define URING_DURABLE_PERIOD_MAX 8192u
/** It is looked at anew when the way that is taken has become so many times slower. */
#define URING_DURABLE_WORSE 4u
/** Larger writes are no measure. */
#define URING_DURABLE_BYTES_MAX (64u << 10)

/** What a disk has learnt. */
struct uring_durable {
	bool is_fixed; /* there is no choice */
	bool flushes;  /* the way that is taken */
	uint32_t period;
	uint32_t until;     /* writes before one goes the other way */
	uint32_t counts[2]; /* samples since the last decision, by whether there is a flush */
	uint64_t ns[2][URING_DURABLE_SAMPLES]; /* the latest ones */
	uint64_t decided_ns; /* the median then of the way that is taken; 0: none yet */
};

/** uring_durable_init - @is_fixed: only @flushes; else that at first */
void uring_durable_init(struct uring_durable *durable, bool is_fixed, bool flushes);

/** uring_durable_flushes - whether the next write of up to URING_DURABLE_BYTES_MAX is flushed behind */
bool uring_durable_flushes(struct uring_durable *durable);

/** uring_durable_took - how long such a write took until it was durable */
void uring_durable_took(struct uring_durable *durable, bool flushes, uint64_t ns);

#endif /* DEMI_BLKDEV_URING_DURABLE_H */
