/* SPDX-License-Identifier: MIT */
/* A client of a store, over the queues of the library: the transactions of core/client.h, and their way. */
#ifndef TXNSTORE_NET_CLIENT_H
#define TXNSTORE_NET_CLIENT_H

#include "cluster.h"
#include "links.h"
#include "txnstore/core/client.h"

struct net_client {
	const struct cluster *cluster;
	struct links links;
	int replicas[SHARDS_MAX][REPLICAS_MAX];
	struct txn_client txns;
};

/** net_client_init - after demi_init. @timeout_ns: of a read, and of a commit. Return: 0, an errno. */
int net_client_init(struct net_client *client, const struct cluster *cluster, uint64_t timeout_ns);
void net_client_destroy(struct net_client *client);

/**
 * net_client_poll - what has come, and what is due, for @wait_ns at the most
 *
 * Return: 0, an errno; ESTALE: a majority of a shard has another configuration.
 */
int net_client_poll(struct net_client *client, uint64_t wait_ns);
/** net_client_why - an errno in words */
const char *net_client_why(int error);
/** net_client_finish - tell the shards what they are yet to hear, for @wait_ns at the most */
void net_client_finish(struct net_client *client, uint64_t wait_ns);

#endif /* TXNSTORE_NET_CLIENT_H */
