/* SPDX-License-Identifier: MIT */
/* One transaction at its client: what it has read, and what it will write. */
#ifndef TXNSTORE_TRANSACTION_H
#define TXNSTORE_TRANSACTION_H

#include "client.h"

/* A key that was read, or is being; or that is to be written. */
struct txn_item {
	struct txn_item *next;
	struct transaction *owner;
	struct call call; /* of a read under way */
	txn_got *got;
	void *context;
	uint64_t version;
	uint64_t deadline_ns;
	uint16_t shard, key_len;
	bool has_come;
	bool is_delete;
	uint32_t len;    /* of the value, of what is written */
	uint8_t bytes[]; /* key, value */
};

struct transaction {
	struct transaction *next, **link;
	struct txn_client *client;
	struct txn_item *reads, *writes;
	struct {
		uint64_t snapshot, view;
		uint32_t reads, writes;
		bool is_mixed; /* not all reads are as of `snapshot` in `view` */
	} shards[SHARDS_MAX];
	uint32_t reads_coming;
	bool is_doomed; /* a read met a conflict */
	struct coordinator *coordinator;
	struct writes *written;
	struct call confirmation;
	txn_ended *ended;
	void *ended_context;
	uint64_t deadline_ns; /* of the commit */
};

/** transaction_tick - Return: whether something was called, and it may be gone. */
bool transaction_tick(struct transaction *transaction, uint64_t now_ns);
uint64_t transaction_deadline(const struct transaction *transaction);

/** transaction_write - the operation of @shard, with its part of the sets, whose counts are put in */
void transaction_write(const struct transaction *transaction, struct operation *operation,
		       const uint16_t *shards, uint16_t shard, struct writer *writer);

/** transaction_time_is_up - client.c: its end is told, not known */
void transaction_time_is_up(struct transaction *transaction);

#endif /* TXNSTORE_TRANSACTION_H */
