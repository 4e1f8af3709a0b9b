/* SPDX-License-Identifier: MIT */
/* Open addressing, at most half full. */
#include "libos/catmint/table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define SLOTS_MIN 64u

/* Devices number queue pairs one after the other: neighbours find neighbouring slots. */
static uint32_t slot_of(const struct pair_table *table, uint32_t number)
{
	return number & table->mask;
}

static void put(struct pair_table *table, struct pair_slot entry)
{
	uint32_t slot = slot_of(table, entry.number);

	while (table->slots[slot].owner)
		slot = (slot + 1) & table->mask;
	table->slots[slot] = entry;
}

static int grow(struct pair_table *table)
{
	struct pair_table old = *table;
	uint32_t slots = old.slots ? 2 * (old.mask + 1) : SLOTS_MIN;

	table->slots = calloc(slots, sizeof(table->slots[0]));
	if (!table->slots) {
		*table = old;
		return -ENOMEM;
	}
	table->mask = slots - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].owner)
			put(table, old.slots[i]);
	free(old.slots);
	return 0;
}

int pair_table_add(struct pair_table *table, uint32_t number, void *owner)
{
	if (!table->slots || 2 * (table->count + 1) > table->mask + 1) {
		int error = grow(table);

		if (error)
			return error;
	}
	put(table, (struct pair_slot){owner, number});
	table->count++;
	return 0;
}

void pair_table_remove(struct pair_table *table, uint32_t number)
{
	uint32_t slot = slot_of(table, number);

	while (table->slots[slot].number != number || !table->slots[slot].owner)
		slot = (slot + 1) & table->mask;
	table->slots[slot].owner = NULL;
	table->count--;
	/* Whoever was put behind it, because it stood there, moves up. */
	for (slot = (slot + 1) & table->mask; table->slots[slot].owner;
	     slot = (slot + 1) & table->mask) {
		struct pair_slot moved = table->slots[slot];

		table->slots[slot].owner = NULL;
		put(table, moved);
	}
}

void *pair_table_find(const struct pair_table *table, uint32_t number)
{
	uint32_t slot = slot_of(table, number);

	if (!table->slots)
		return NULL;
	while (table->slots[slot].owner) {
		if (table->slots[slot].number == number)
			return table->slots[slot].owner;
		slot = (slot + 1) & table->mask;
	}
	return NULL;
}

void pair_table_fini(struct pair_table *table)
{
	free(table->slots);
	*table = (struct pair_table){0};
}
