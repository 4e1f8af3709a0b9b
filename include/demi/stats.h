/* SPDX-License-Identifier: MIT */
/*
 * What the calling thread's runtime has counted since its start: packets and bytes in and out of the
 * device and of each layer of the network stack, and what was dropped, by reason. For reports and for
 * finding out why something does not arrive; the heap's statistics are in demi/heap.h.
 */
#ifndef DEMI_STATS_H
#define DEMI_STATS_H

#include <stdint.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Room for the name of a figure, its end included. */
#define DEMI_STAT_NAME_MAX 56

/** One figure: "udp.drops.no_port", and how often. It only grows. */
typedef struct demi_stat {
	char stat_name[DEMI_STAT_NAME_MAX];
	uint64_t stat_value; /* packets, or bytes where the name says so */
} demi_stat_t;

/**
 * demi_stats - all figures, zeroes too
 * @stats:         room for @num_stats of them, the caller's; may be NULL when that is 0
 * @num_stats_out: how many there are, which may be more than were stored
 *
 * Their names and order are the same during the life of a runtime. Catnap, over the kernel's stack,
 * has none. Not for the path of an I/O: it may make a system call, and writes some hundred names.
 * Return: 0, ENOSYS, EFAULT, EINVAL (@num_stats is negative).
 */
ATTR_NONNULL(3)
extern int demi_stats(_Out_writes_to_(num_stats, *num_stats_out) demi_stat_t stats[],
		      _In_ int num_stats, _Out_ int *num_stats_out);

/**
 * demi_stat - one figure
 * @name: as demi_stats gives it
 *
 * Return: 0, ENOSYS, EFAULT, ENOENT (there is none of this name).
 */
ATTR_NONNULL(1, 2)
extern int demi_stat(_Out_ uint64_t *value_out, _In_z_ const char *name);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_STATS_H */
