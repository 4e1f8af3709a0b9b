/* SPDX-License-Identifier: MIT */
/*
 * A store and its clients in simulated time: hosts that fail and come back, a network that loses, delays,
 * doubles and parts, disks of which a crash tears off what was not yet durable, clocks that jump. All of
 * it follows from one seed.
 */
#ifndef TXNSTORE_SIM_WORLD_H
#define TXNSTORE_SIM_WORLD_H

#include "txnstore/core/client.h"
#include "txnstore/core/quorum.h"
#include "txnstore/core/replica.h"
#include "txnstore/core/resolver.h"
#include "txnstore/sim/events.h"

#define SIM_CLIENTS_MAX 16u
#define SIM_SHARDS_MAX 4u
#define SIM_NODES_MAX (SIM_SHARDS_MAX * REPLICAS_MAX + SIM_CLIENTS_MAX)

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)

struct world_config {
	uint64_t seed;
	uint16_t shards;
	uint32_t replicas; /* of each shard */
	uint32_t clients;
	bool is_weak; /* quorum.h */
	bool has_log;
	/* Of messages: */
	double lost, doubled;
	uint64_t delay_ns; /* half of it to one and a half times, and now and then far longer */
	uint64_t write_ns; /* of a disk, half of it to one and a half times */
	uint64_t log_room; /* of its logs; 0: any */
	/* Between one and the next, on average; 0: never */
	uint64_t crash_ns, partition_ns, jump_ns, client_crash_ns;
	uint64_t faults_until_ns; /* then all is healed */
};

/* Records, numbered from `first` + 1 on. */
struct records {
	struct record {
		uint8_t *bytes;
		size_t len;
	} * list;
	size_t count, room;
	size_t bytes; /* of all */
};

/* A disk with a log of records, those up to `durable` being so; and with the one before, until then. */
struct disk {
	struct records now, before;
	uint64_t first, durable;
	bool is_rewriting;  /* `before` is what a crash leaves */
	uint64_t rewritten; /* once this record is durable; 0: it is not yet written */
	bool is_busy;
};

/* What waits until the disk has written it. */
struct held {
	struct held *next;
	uint64_t record;
	uint32_t to;
	size_t len;
	uint8_t bytes[];
};

struct node {
	struct world *world;
	uint32_t index;
	bool is_up;
	uint64_t life;                     /* counts starts */
	uint64_t clock_ns;                 /* its clock is so far ahead */
	uint64_t wake_ns;                  /* of the tick that is on its way; 0: none */
	uint32_t side;                     /* of a partition */
	uint16_t under_way[SIM_NODES_MAX]; /* messages to others, that have not come yet */
	/* A replica */
	struct replica replica;
	struct quorum quorum; /* in place of it, in the weak mode */
	struct disk disk;
	bool is_lost; /* its disk was, and does not have again what the others told it */
	struct held *held, **held_end;
	struct resolver resolver;
	/* A client */
	struct txn_client client;
};

struct world {
	struct world_config config;
	struct events events;
	struct random random;
	struct node nodes[SIM_NODES_MAX];
	uint32_t node_count, replica_count;
	uint64_t now_ns;
	bool is_parted;
	/* A client is new, or new again: its program is to begin. */
	void (*client_up)(void *context, uint32_t client);
	void (*client_down)(void *context, uint32_t client);
	void *context;
	bool is_overfull; /* logs took more than there is */
	uint64_t clients_made;
	uint64_t crashes, partitions, lost_disks; /* counted */
	uint64_t resolved;                        /* by replicas that are gone */
};

/** world_init - Return: 0, -ENOMEM, -EINVAL. */
int world_init(struct world *world, const struct world_config *config);
void world_destroy(struct world *world);
/** world_run - until @until_ns */
void world_run(struct world *world, uint64_t until_ns);
/** world_client - of index 0 to config.clients - 1 */
struct txn_client *world_client(struct world *world, uint32_t client);
/** world_clock - what a client's clock says */
uint64_t world_clock(const struct world *world, uint32_t client);
/** world_wake - look at a client's deadlines again, after calls of its functions */
void world_wake(struct world *world, uint32_t client);
/** world_after - call @happen with a number at a later time, whatever has become of the client */
void world_after(struct world *world, uint32_t client, uint64_t ns,
		 void (*happen)(void *context, struct event *event), uint64_t number);

/** world_settled - what is wrong after all was healed and quiet; NULL: nothing */
const char *world_settled(struct world *world);

#endif /* TXNSTORE_SIM_WORLD_H */
