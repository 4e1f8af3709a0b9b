/* SPDX-License-Identifier: MIT */
/*
 * The catalogue: which logs there are, which segments they have, and what of them was dropped. It is
 * a stream of changes in one of two regions. A full region is left for the other one, which starts
 * with a snapshot of everything and counts only once its header is there.
 */
#ifndef DEMI_LOG_CATALOGUE_H
#define DEMI_LOG_CATALOGUE_H

#include "log/stream.h"

struct log;
struct log_store;

/** A request that the device has no room for now. */
struct retry {
	struct retry *next;
	struct blk_request *request;
};

/** What stands for the catalogue's own stream where logs have their number. */
#define CATALOGUE_ID UINT32_MAX

/** Segments that one change tells of. */
#define CHANGE_SEGMENTS_MAX 64u
#define CHANGE_BYTES_MAX 320u

/** One change, on its way into the catalogue. */
struct change {
	struct log_append append;
	demi_sgaseg_t segment;
	uint8_t bytes[CHANGE_BYTES_MAX];
};

struct position;

struct catalogue {
	struct stream stream;
	uint64_t generation; /* of the region that counts */
	/* The header of the region before is still there, and goes before anything is written; the
	 * stream has no room until then, and so much afterwards. */
	bool has_old;
	uint32_t blocks_behind_old;
	struct {
		struct stream stream; /* in the other region */
		struct change *changes;
		uint32_t change_count;
		uint32_t pending;
		uint8_t *header; /* a block in the heap */
		struct iovec iov;
		struct blk_request request;
		struct retry retry;
		bool is_switched; /* the new header is there, the old one is taken away */
	} snapshot;
};

void change_log(struct change *change, const struct log *log);
void change_name(struct change *change, uint32_t id, const char *name);
void change_gone(struct change *change, uint32_t id);
void change_segments(struct change *change, uint32_t id, const uint32_t *numbers, uint32_t count);
void change_cut(struct change *change, uint32_t id, uint64_t first, uint32_t dropped);
void change_closed(struct change *change, uint32_t id, const struct position *end);
/** change_clean - behind change_closed of every log */
void change_clean(struct change *change);

/**
 * catalogue_apply - what a durable change means, in memory
 *
 * Return: 0; -ENOMEM; -EUCLEAN: it makes no sense.
 */
int catalogue_apply(struct log_store *store, const uint8_t *bytes, uint32_t count);

/** catalogue_begin - stand at the start of a region */
void catalogue_begin(struct log_store *store, const struct region *region);

/** catalogue_keep_old - recovery found the header of the region before as well */
void catalogue_keep_old(struct catalogue *catalogue);

/** catalogue_fini - free what it has */
void catalogue_fini(struct catalogue *catalogue);

/** catalogue_region - the first block, its header's, of a generation's region */
uint64_t catalogue_region(const struct log_store *store, uint64_t generation);

/** catalogue_has_room - whether a snapshot with one more log is small enough */
bool catalogue_has_room(const struct log_store *store);

/** catalogue_submit - make a change durable; its append.done is called. 0 or -errno */
int catalogue_submit(struct log_store *store, struct change *change);

/** catalogue_change - make a change durable, wait for that and apply it; 0 or -errno */
int catalogue_change(struct log_store *store, struct change *change);

#endif /* DEMI_LOG_CATALOGUE_H */
