/* SPDX-License-Identifier: MIT */
/*
 * The client's side: transactions of reads and of writes, which stay with the client until it commits.
 * No input or output of its own, no clock: see call.h. Any number of transactions may be under way.
 *
 * What a transaction reads is of one point in time for each shard, and what its commit is answered with
 * is strictly serializable: as if it had happened all at once between the call and the answer.
 */
#ifndef TXNSTORE_CLIENT_H
#define TXNSTORE_CLIENT_H

#include "coordinator.h"
#include "writes.h"

struct client_config {
	uint64_t id; /* no other client has, or has had it; not 0 */
	struct caller_config caller;
	uint64_t timeout_ns; /* of a read, and of a commit */
	bool is_weak;        /* of quorum.h: what is said above on isolation does not hold */
	bool confirms_reads; /* reads of one shard alone are confirmed, not locked: they abort for no write */
};

struct txn_client {
	struct client_config config;
	const struct memory *memory;
	struct caller caller;
	uint64_t last_number;
	struct coordinator *coordinators; /* not finished yet */
	struct writes *writes;            /* of the weak mode, that not all have yet */
	/* The owner's: so far the clock of the day is ahead of that of `now_ns`; of stamps in the weak mode. */
	uint64_t day_ahead_ns;
	uint64_t last_stamp;
	struct transaction *transactions;
};

enum txn_got {
	TXN_FOUND,
	TXN_ABSENT,
	TXN_CONFLICT, /* cannot be read as of when the transaction began to read: abort it */
	TXN_TIMEOUT,
	TXN_REFUSED_KEY, /* the key is empty or too long */
};

struct transaction;

/* @value: until it returns */
typedef void txn_got(void *context, struct transaction *transaction, enum txn_got how,
		     const void *value, uint32_t len);
/* Once; the transaction is gone when it returns. */
typedef void txn_ended(void *context, struct transaction *transaction, enum outcome outcome);

void txn_client_init(struct txn_client *client, const struct client_config *config,
		     const struct memory *memory,
		     void (*send)(void *context, uint16_t shard, uint32_t replica,
				  const struct message *message),
		     void *context, uint64_t seed);
/** txn_client_destroy - what is under way is left to the shards; no function is called any more */
void txn_client_destroy(struct txn_client *client);

void txn_client_receive(struct txn_client *client, uint64_t now_ns, const struct message *message);
void txn_client_tick(struct txn_client *client, uint64_t now_ns);
uint64_t txn_client_deadline(const struct txn_client *client);

/** txn_begin - NULL: no memory */
struct transaction *txn_begin(struct txn_client *client, uint64_t now_ns);

/**
 * txn_get - read a key, of the transaction's own writes if it is there
 *
 * @got: called when it has come, perhaps before this returns. Return: 0, -ENOMEM.
 */
int txn_get(struct transaction *transaction, uint64_t now_ns, const void *key, uint16_t key_len,
	    txn_got *got, void *context);

/** txn_put - @value: copied; NULL: delete. Return: 0, -ENOMEM, -EINVAL: a key or value over the limit. */
int txn_put(struct transaction *transaction, const void *key, uint16_t key_len, const void *value,
	    uint32_t len);

/**
 * txn_commit - @ended: called with the outcome, perhaps before this returns
 *
 * Return: 0; -ENOMEM, -EMSGSIZE (what it has of a shard is more than OPERATION_MAX): @ended will not be
 * called, and the transaction is aborted; -EBUSY: a read is still under way.
 */
int txn_commit(struct transaction *transaction, uint64_t now_ns, txn_ended *ended, void *context);

/** txn_abort - forget it: no shard has heard of it */
void txn_abort(struct transaction *transaction);

#endif /* TXNSTORE_CLIENT_H */
