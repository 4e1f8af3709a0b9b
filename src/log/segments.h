/* SPDX-License-Identifier: MIT */
/*
 * Which segments are free: they are handed out in the order in which they were freed, so that all
 * wear alike. A device that can trim is told of them before.
 */
#ifndef DEMI_LOG_SEGMENTS_H
#define DEMI_LOG_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "blkdev/blkdev.h"

struct log_store;

struct segments {
	uint32_t *
		ring; /* free ones, count entries from first on; then those that wait to be trimmed */
	uint32_t first;
	uint32_t free_count;
	uint32_t waiting;  /* to be trimmed, the first one being so now when is_trimming */
	uint32_t count;    /* of the device */
	uint8_t *is_taken; /* while recovering: a bit each */
	bool is_trimming;
	struct blk_request trim;
	struct log_store *store;
	struct log *hungry; /* logs that wait for one */
};

/** segments_init - all of them free but those that segments_take has; 0 or -ENOMEM */
int segments_init(struct segments *segments, struct log_store *store, uint32_t count);

/** segments_claim - while recovering: a log has it; 0, or -EUCLEAN: there is none, or another has */
int segments_claim(struct segments *segments, uint32_t number);

/** segments_settle - recovery is over: those that nobody has are free; @start: number of the first */
void segments_settle(struct segments *segments, uint32_t start);

void segments_fini(struct segments *segments);

/** segments_take - a free one; 0, -EINPROGRESS (one is being trimmed), -ENOSPC */
int segments_take(struct segments *segments, uint32_t *number_out);

/** segments_give - it is free, and durably nobody's */
void segments_give(struct segments *segments, uint32_t number);

/** segments_wake - logs that wait for a segment may ask again */
void segments_wake(struct segments *segments);

static inline bool segments_are_scarce(const struct segments *segments)
{
	return segments->free_count < segments->count / 8;
}

#endif /* DEMI_LOG_SEGMENTS_H */
