/* SPDX-License-Identifier: MIT */
/* What a shard remembers of clients and their transactions, so that each is carried out once. */
#ifndef TXNSTORE_SHARD_TABLES_H
#define TXNSTORE_SHARD_TABLES_H

#include "shard.h"

struct client *shard_find_client(const struct shard *shard, uint64_t id);

/**
 * shard_client - found, or made in the place of the one that has been silent for longest
 *
 * @client: NULL when there are as many as may be, and none that may be forgotten
 * Return: 0, -ENOMEM.
 */
int shard_client(struct shard *shard, uint64_t id, uint64_t time_ns, struct client **client);

/** shard_finish_below - forget its transactions below @number, of which nobody will ask */
void shard_finish_below(struct shard *shard, struct client *client, uint64_t number);

struct txn *shard_find_txn(const struct client *client, uint64_t number);
/** shard_add_txn - Return: the new transaction, NULL: no memory */
struct txn *shard_add_txn(struct shard *shard, struct client *client, uint64_t number, uint64_t op);

void shard_list_prepared(struct shard *shard, struct txn *txn);
void shard_unlist_prepared(struct txn *txn);

#endif /* TXNSTORE_SHARD_TABLES_H */
