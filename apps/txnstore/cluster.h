/* SPDX-License-Identifier: MIT */
/*
 * What servers and clients of one store agree on, from a YAML file:
 *
 *     mode: serializable          # or quorum
 *     transport: tcp              # or udp, for messages that are not large
 *     f: 1                        # may be left out: a shard has 2f + 1 replicas
 *     shards:                     # of each its replicas, an odd number of them
 *       - [192.0.2.1:7100, 192.0.2.2:7100, 192.0.2.3:7100]
 *       - [192.0.2.1:7101, 192.0.2.2:7101, 192.0.2.3:7101]
 */
#ifndef TXNSTORE_CLUSTER_H
#define TXNSTORE_CLUSTER_H

#include "echo/address.h"
#include "txnstore/core/message.h"

#define CLUSTER_ERROR_BYTES 256

struct cluster {
	bool is_weak;
	bool is_udp;
	uint16_t shards;
	uint32_t replicas; /* of each shard */
	struct address addresses[SHARDS_MAX][REPLICAS_MAX];
	uint64_t configuration; /* a sum of all of it, which every message has */
};

/** cluster_load - Return: 0; -EINVAL, -errno of the file: @error says what is wrong, with the line */
int cluster_load(struct cluster *cluster, const char *path, char error[CLUSTER_ERROR_BYTES]);

#endif /* TXNSTORE_CLUSTER_H */
