/* SPDX-License-Identifier: MIT */
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int queue_table_init(struct queue_table *table, uint32_t capacity)
{
	memset(table, 0, sizeof(*table));
	if (capacity == 0)
		return -EINVAL;
	table->queues = calloc(capacity, sizeof(*table->queues));
	table->free = calloc(capacity, sizeof(*table->free));
	if (!table->queues || !table->free) {
		queue_table_fini(table);
		return -ENOMEM;
	}
	table->capacity = capacity;
	return 0;
}

void queue_table_fini(struct queue_table *table)
{
	free(table->queues);
	free(table->free);
	memset(table, 0, sizeof(*table));
}

bool queue_table_is_full(const struct queue_table *table)
{
	return table->free_count == 0 && table->used == table->capacity;
}

int queue_table_add(struct queue_table *table, struct queue *queue)
{
	uint32_t slot;

	if (queue_table_is_full(table))
		return -EMFILE;
	slot = table->free_count ? table->free[--table->free_count] : table->used++;
	table->queues[slot] = queue;
	queue->qd = (int32_t)(slot + QUEUE_DESCRIPTOR_FIRST);
	return 0;
}

void queue_table_remove(struct queue_table *table, struct queue *queue)
{
	uint32_t slot = (uint32_t)(queue->qd - QUEUE_DESCRIPTOR_FIRST);

	table->queues[slot] = NULL;
	table->free[table->free_count++] = slot;
	queue->qd = -1;
}
