/* SPDX-License-Identifier: MIT */
/* What the files of a simulated world call of each other's. */
#ifndef TXNSTORE_SIM_WORLD_PARTS_H
#define TXNSTORE_SIM_WORLD_PARTS_H

#include "txnstore/sim/world.h"

extern const struct memory world_memory;

/** node_now - what its clock says */
uint64_t node_now(const struct node *node);
/** node_wake - have it look at its deadlines when they are due */
void node_wake(struct node *node);

/* ---- node.c ---- */

/** node_start - a replica, from what its disk has. Return: 0, -ENOMEM, -EBADMSG. */
int node_start(struct node *node, enum replica_start how);
void node_start_client(struct node *node);
/** node_stop - as a crash does */
void node_stop(struct node *node);

/* ---- network.c ---- */

/** network_send - @message from @node to the node @to, or lose it. Return: false: that it is lost is known. */
bool network_send(struct node *node, uint32_t to, const struct message *message);
bool network_send_bytes(struct node *node, uint32_t to, const uint8_t *bytes, size_t len);
/** network_bytes - @message as it goes on the wire; NULL: no memory */
uint8_t *network_bytes(const struct message *message, size_t *len);

/* ---- disk.c ---- */

/** disk_last - the number of the last record that was given to it */
static inline uint64_t disk_last(const struct disk *disk)
{
	return disk->first + disk->now.count;
}

static inline bool disk_is_idle(const struct disk *disk)
{
	return disk->durable == disk_last(disk);
}

void disk_rewrite(struct node *node, bool begins);
void disk_write(struct node *node, const void *record, size_t len);
/** disk_crash - what is not durable is lost, but for a first part of it */
void disk_crash(struct node *node);
void disk_destroy(struct disk *disk);

/* ---- faults.c ---- */

void faults_begin(struct world *world);

#endif /* TXNSTORE_SIM_WORLD_PARTS_H */
