/* SPDX-License-Identifier: MIT */
/*
 * One shard's state, and what each agreed operation does to it: the same on every replica, as it
 * depends on nothing but the operations before, their numbers and times. No network, no clock.
 *
 * A transaction commits if all shards that take part vote yes. A vote, once given, stays: so whoever
 * wants to know the outcome asks all of them, and no coordinator is needed for it. That what is locked
 * from the vote to the decision is neither read nor written by others makes transactions serial, in an
 * order that agrees with real time (two-phase locking from validation on).
 */
#ifndef TXNSTORE_SHARD_H
#define TXNSTORE_SHARD_H

#include "operation.h"
#include "store.h"

struct shard_limits {
	uint32_t clients_max;     /* of which is remembered what they did */
	uint64_t session_idle_ns; /* after so long without a word a client may be forgotten */
};

enum txn_state {
	TXN_PREPARED = 1, /* voted yes; holds locks */
	TXN_REFUSED,      /* voted no */
	TXN_COMMITTED,
	TXN_ABORTED, /* voted yes, and another shard no; or decided before it came */
};

struct txn {
	struct txn *older, *newer; /* of the client's, by their numbers */
	struct txn *next_prepared, **prepared_link;
	struct blob *blob; /* the operation, while it is prepared */
	uint64_t client, number;
	uint64_t op; /* of the vote */
	enum txn_state state;
	uint64_t
		asked_ns; /* the replica's own: when others were last asked for its outcome; 0: never */
};

struct client {
	struct client *next; /* of its bucket */
	struct client *older, *newer;
	struct txn *newest_txn, *oldest_txn;
	uint64_t id;
	uint64_t finished_below;
	uint64_t last_ns; /* time of its last operation */
};

struct shard {
	struct store store;
	const struct memory *memory;
	struct shard_limits limits;
	struct client **buckets;
	size_t bucket_count, client_count;
	struct client *oldest, *newest;
	struct txn *prepared; /* those that hold locks */
	uint64_t applied;     /* the last operation */
};

/** shard_init - Return: 0, -ENOMEM, -EINVAL: a limit is 0. */
int shard_init(struct shard *shard, const struct memory *memory, const struct shard_limits *limits);
void shard_destroy(struct shard *shard);
/** shard_move - have @to be what @from was, which is not to be used any more */
void shard_move(struct shard *to, const struct shard *from);

/**
 * shard_apply - carry out the next operation
 *
 * @op: its number, shard->applied + 1
 * @blob: of which @bytes, that operation_parse has found good, are a part; held as long as needed
 * @result: what to answer, enum result
 * Return: 0, -ENOMEM: the state is not to be used any more, as other replicas go on.
 */
int shard_apply(struct shard *shard, uint64_t op, uint64_t time_ns, struct blob *blob,
		const uint8_t *bytes, uint32_t len, enum result *result);

/** shard_result - of a transaction of client @id that this shard knows of; RESULT_NONE: it does not */
enum result shard_result(const struct shard *shard, uint64_t id, uint64_t number);

/* ---- A snapshot: the tables first, then items, each as it was after operation `applied` ---- */

/** shard_write_tables - clients and their transactions, as of now */
void shard_write_tables(const struct shard *shard, struct writer *writer);
/** shard_read_tables - into a shard just made. Return: 0, -EBADMSG, -ENOMEM. */
int shard_read_tables(struct shard *shard, struct reader *reader);
/** shard_write_item - one item as of @snapshot. Return: whether it had a value then. */
bool shard_write_item(const struct item *item, uint64_t snapshot, struct writer *writer);
/** shard_read_item - Return: 0, -EBADMSG, -ENOMEM. */
int shard_read_item(struct shard *shard, struct reader *reader);
/** shard_lock_prepared - after the last item: the locks of what is prepared. Return: 0, -ENOMEM. */
int shard_lock_prepared(struct shard *shard);

#endif /* TXNSTORE_SHARD_H */
