/* SPDX-License-Identifier: MIT */
#include "log/segments.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "log/store.h"

static uint32_t place_at(const struct segments *segments, uint32_t index)
{
	return (uint32_t)(((uint64_t)segments->first + index) % segments->count);
}

int segments_init(struct segments *segments, struct log_store *store, uint32_t count)
{
	*segments = (struct segments){.count = count, .store = store};
	segments->ring = calloc(count, sizeof(*segments->ring));
	segments->is_taken = calloc(count / 8 + 1, 1);
	return segments->ring && segments->is_taken ? 0 : -ENOMEM;
}

void segments_fini(struct segments *segments)
{
	free(segments->ring);
	free(segments->is_taken);
	segments->ring = NULL;
	segments->is_taken = NULL;
}

int segments_claim(struct segments *segments, uint32_t number)
{
	uint8_t bit = (uint8_t)(1u << number % 8);

	if (number >= segments->count || segments->is_taken[number / 8] & bit)
		return -EUCLEAN;
	segments->is_taken[number / 8] |= bit;
	return 0;
}

static void release_claim(struct segments *segments, uint32_t number)
{
	segments->is_taken[number / 8] &= (uint8_t) ~(1u << number % 8);
}

void segments_settle(struct segments *segments, uint32_t start)
{
	for (uint32_t i = 0; i < segments->count; i++) {
		uint32_t number = (uint32_t)(((uint64_t)start + i) % segments->count);

		if (!(segments->is_taken[number / 8] & 1u << number % 8))
			segments->ring[segments->free_count++] = number;
	}
	free(segments->is_taken);
	segments->is_taken = NULL;
}

int segments_take(struct segments *segments, uint32_t *number_out)
{
	if (segments->free_count == 0)
		return segments->waiting > 0 ? -EINPROGRESS : -ENOSPC;
	*number_out = segments->ring[segments->first];
	segments->first = place_at(segments, 1);
	segments->free_count--;
	return 0;
}

void segments_wake(struct segments *segments)
{
	while (segments->hungry) {
		struct log *log = segments->hungry;

		segments->hungry = log->next_hungry;
		log->stream.is_extending = false;
		stream_wake(&log->stream);
	}
}

static void trim_next(struct segments *segments);

static void trim_done(struct blk_request *request, int error)
{
	struct segments *segments = container_of(request, struct segments, trim);

	/* A device that will not be told loses some speed and no data. */
	(void)error;
	segments->is_trimming = false;
	segments->waiting--;
	segments->free_count++;
	segments_wake(segments);
	trim_next(segments);
}

static void trim_next(struct segments *segments)
{
	struct log_store *store = segments->store;

	while (segments->waiting > 0 && !segments->is_trimming) {
		uint32_t number = segments->ring[place_at(segments, segments->free_count)];

		segments->trim = (struct blk_request){
			.operation = BLK_TRIM,
			.block_count = store->superblock.segment_blocks,
			.block = segment_block(store, number),
			.done = trim_done,
		};
		segments->is_trimming = true;
		if (blkdev_submit(store->device, &segments->trim, *store->now_ns) == 0)
			return;
		segments->is_trimming = false;
		segments->waiting--;
		segments->free_count++;
		segments_wake(segments);
	}
}

void segments_give(struct segments *segments, uint32_t number)
{
	/* During recovery the catalogue frees what it gave before. */
	if (segments->is_taken) {
		release_claim(segments, number);
		return;
	}
	segments->ring[place_at(segments, segments->free_count + segments->waiting)] = number;
	segments->waiting++;
	if (segments->store->trim) {
		trim_next(segments);
		return;
	}
	segments->waiting--;
	segments->free_count++;
	segments_wake(segments);
}
