/* SPDX-License-Identifier: MIT */
/* The weak mode, at its client: writes that go to all replicas, each until a majority has it. */
#ifndef TXNSTORE_WRITES_H
#define TXNSTORE_WRITES_H

#include "blob.h"
#include "call.h"

struct put_call {
	struct call call;
	struct write *write;
};

struct write {
	struct write *next;
	struct writes *owner;
	uint8_t *body;
	uint32_t answers, fulls;
	struct put_call calls[REPLICAS_MAX];
};

/* Of one transaction. */
struct writes {
	struct writes *next, **link;
	struct caller *caller;
	const struct memory *memory;
	struct write *list;
	uint32_t left; /* that no majority has yet */
	bool is_full;  /* one of them has no majority, which has no room for it */
	/* Once, when majorities have all of them, or have no room for one; the rest goes on. */
	void (*done)(struct writes *writes);
	void *context;
};

/** writes_new - in @list. NULL: no memory. */
struct writes *writes_new(struct caller *caller, const struct memory *memory, struct writes **list);
/** writes_drop - with all that is under way */
void writes_drop(struct writes *writes);
/**
 * writes_add - put @value under @key, or delete it with NULL
 *
 * @stamp, @client: which of two writes is the newer one. Return: 0, -ENOMEM.
 */
int writes_add(struct writes *writes, uint16_t shard, uint64_t stamp, uint64_t client,
	       const void *key, uint16_t key_len, const void *value, uint32_t len);
/** writes_start - send all of them */
void writes_start(struct writes *writes);
/** writes_are_done - whether all replicas have answered, so that it may be dropped */
bool writes_are_done(const struct writes *writes);

#endif /* TXNSTORE_WRITES_H */
