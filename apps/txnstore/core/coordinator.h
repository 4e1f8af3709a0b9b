/* SPDX-License-Identifier: MIT */
/*
 * The outcome of one transaction, and its way to all shards that take part: the votes are gathered, and
 * the decision, which they are, is told to all until all have carried it out. A client does so for what
 * it commits, and the primary of a shard for what a client has left in doubt.
 *
 * Two-phase commit: Gray, "Notes on data base operating systems", 1978; that a vote is replicated and
 * anybody may read it leaves no one in doubt for ever (Gray and Lamport, "Consensus on transaction
 * commit", ACM TODS 31(1), 2006).
 */
#ifndef TXNSTORE_COORDINATOR_H
#define TXNSTORE_COORDINATOR_H

#include "blob.h"
#include "call.h"

enum outcome {
	OUTCOME_NONE,
	OUTCOME_COMMITTED,
	OUTCOME_ABORTED,
	OUTCOME_UNKNOWN, /* it may still become one or the other */
	OUTCOME_FULL,    /* aborted, as there is no room for what it writes */
};

struct participant {
	struct coordinator *owner;
	struct call call;
	uint16_t shard;
	enum result vote; /* RESULT_NONE, YES, NO */
	bool is_done;     /* has carried out the decision, or needs none */
	uint8_t *body;    /* of the call; the participant's own */
};

struct coordinator {
	struct coordinator *next, **link;
	struct caller *caller;
	const struct memory *memory;
	uint64_t client, number;
	uint64_t finished_below; /* told with the decision */
	uint16_t count;
	enum outcome outcome;
	bool is_full; /* a shard has no room */
	/* Once, when the outcome is known. */
	void (*decided)(struct coordinator *coordinator);
	/* Once, when all have carried it out; it may be destroyed then. */
	void (*finished)(struct coordinator *coordinator);
	void *context;
	struct participant participants[];
};

/** coordinator_new - of @count shards, none of them set. NULL: no memory. */
struct coordinator *coordinator_new(struct caller *caller, const struct memory *memory,
				    uint16_t count, uint64_t client, uint64_t number);
void coordinator_destroy(struct coordinator *coordinator);
/** coordinator_list - put it in a list; coordinator_drop: take it out, and destroy it */
void coordinator_list(struct coordinator *coordinator, struct coordinator **list);
void coordinator_drop(struct coordinator *coordinator);

/**
 * coordinator_ask - ask participant @index for its vote
 *
 * @body: the operation PREPARE; or NULL, to have it refuse if it has not voted. Taken over; from the
 * coordinator's memory.
 */
int coordinator_ask(struct coordinator *coordinator, uint16_t index, uint16_t shard, uint8_t *body,
		    uint32_t len);
/** coordinator_knows_vote - participant @index has voted yes, as is known without asking */
void coordinator_knows_vote(struct coordinator *coordinator, uint16_t index, uint16_t shard);

#endif /* TXNSTORE_COORDINATOR_H */
