/* SPDX-License-Identifier: MIT */
/* Objects by small numbers. */
#include <stdlib.h>
#include <string.h>

#include "rdma/sim_device.h"

#define ROOM_FIRST 64u
#define INDEX_FIRST 2u /* the queue pairs 0 and 1 are the subnet's */

static bool grow(struct sim_table *table)
{
	uint32_t room = table->room ? 2 * table->room : ROOM_FIRST;
	void **entries = realloc(table->entries, room * sizeof(void *));

	if (!entries)
		return false;
	memset(entries + table->room, 0, (room - table->room) * sizeof(void *));
	table->entries = entries;
	table->room = room;
	return true;
}

uint32_t rdma_sim_table_add(struct sim_table *table, void *entry, uint32_t limit)
{
	uint32_t tried = 0;

	while (tried < table->room) {
		uint32_t index = (table->next + tried++) & (table->room - 1);

		if (index < INDEX_FIRST || table->entries[index])
			continue;
		table->entries[index] = entry;
		table->next = index + 1;
		return index;
	}
	table->next = table->room ? table->room : INDEX_FIRST;
	if (table->room >= limit + INDEX_FIRST || !grow(table))
		return 0;
	return rdma_sim_table_add(table, entry, limit);
}
