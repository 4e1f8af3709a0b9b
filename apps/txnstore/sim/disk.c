/* SPDX-License-Identifier: MIT */
/* A disk that writes in order, all that waits at once, and reports it after a while. */
#include <stdlib.h>
#include <string.h>

#include "txnstore/sim/world_parts.h"

static void records_destroy(struct records *records)
{
	while (records->count)
		free(records->list[--records->count].bytes);
	free(records->list);
	*records = (struct records){.count = 0};
}

static void records_add(struct records *records, const void *record, size_t len)
{
	if (records->count == records->room) {
		records->room = records->room ? 2 * records->room : 256;
		records->list = realloc(records->list, records->room * sizeof(*records->list));
		if (!records->list)
			abort();
	}
	records->list[records->count].bytes = malloc(len);
	if (!records->list[records->count].bytes)
		abort();
	memcpy(records->list[records->count].bytes, record, len);
	records->bytes += len;
	records->list[records->count++].len = len;
}

static void records_drop_last(struct records *records)
{
	records->bytes -= records->list[--records->count].len;
	free(records->list[records->count].bytes);
}

static void drop_held(struct node *node)
{
	while (node->held) {
		struct held *held = node->held;

		node->held = held->next;
		free(held);
	}
	node->held_end = &node->held;
}

static void release_held(struct node *node)
{
	while (node->held && node->held->record <= node->disk.durable) {
		struct held *held = node->held;

		node->held = held->next;
		if (!node->held)
			node->held_end = &node->held;
		(void)network_send_bytes(node, held->to, held->bytes, held->len);
		free(held);
	}
}

static void begin_write(struct node *node);

/* The first so many are on the disk; of a log that is not yet whole that says nothing. */
static void take_in(struct node *node, uint64_t number)
{
	struct disk *disk = &node->disk;

	if (disk->is_rewriting) {
		if (!disk->rewritten || number < disk->rewritten)
			return;
		disk->is_rewriting = false;
		records_destroy(&disk->before);
	}
	disk->durable = number;
	replica_written(&node->replica, node_now(node), number);
	release_held(node);
}

static void written(void *context, struct event *event)
{
	struct world *world = context;
	struct node *node = &world->nodes[event->node];

	if (event->life != node->life || !node->is_up)
		return;
	node->disk.is_busy = false;
	take_in(node, event->number);
	if (event->number < disk_last(&node->disk) && !node->disk.is_busy)
		begin_write(node);
	node_wake(node);
}

static void begin_write(struct node *node)
{
	struct world *world = node->world;
	struct event event = {.at_ns = world->now_ns + world->config.write_ns / 2 +
				       random_below(&world->random, world->config.write_ns),
			      .happen = written,
			      .node = node->index,
			      .life = node->life,
			      .number = disk_last(&node->disk)};

	node->disk.is_busy = true;
	(void)events_add(&world->events, &event);
}

void disk_write(struct node *node, const void *record, size_t len)
{
	struct world *world = node->world;

	records_add(&node->disk.now, record, len);
	if (world->config.log_room &&
	    node->disk.now.bytes + node->disk.before.bytes > world->config.log_room)
		world->is_overfull = true;
	if (!node->disk.is_busy)
		begin_write(node);
}

/* What a crash leaves of the log so far is what was durable of it when the new one was begun. */
void disk_rewrite(struct node *node, bool begins)
{
	struct disk *disk = &node->disk;

	if (!begins) {
		disk->rewritten = disk_last(disk);
		return;
	}
	if (!disk->is_rewriting) {
		while (disk_last(disk) > disk->durable && disk->now.count)
			records_drop_last(&disk->now);
		disk->before = disk->now;
	} else {
		records_destroy(&disk->now);
	}
	disk->first = node->replica.written;
	disk->now = (struct records){.count = 0};
	disk->is_rewriting = true;
	disk->rewritten = 0;
}

/* What had been given to it but was not durable may be there, up to any record. */
void disk_crash(struct node *node)
{
	struct disk *disk = &node->disk;

	if (disk->is_rewriting) {
		records_destroy(&disk->now);
		disk->now = disk->before;
		disk->before = (struct records){.count = 0};
		disk->is_rewriting = false;
	} else {
		uint64_t left = disk->durable + random_below(&node->world->random,
							     disk_last(disk) - disk->durable + 1);

		while (disk_last(disk) > left)
			records_drop_last(&disk->now);
	}
	disk->first = 0;
	disk->durable = disk->now.count;
	disk->is_busy = false;
	drop_held(node);
}

void disk_destroy(struct disk *disk)
{
	records_destroy(&disk->now);
	records_destroy(&disk->before);
	*disk = (struct disk){.is_busy = false};
}
