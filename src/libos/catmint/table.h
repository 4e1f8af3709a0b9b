/* SPDX-License-Identifier: MIT */
/* Who has a queue pair, by its number. */
#ifndef DEMI_LIBOS_CATMINT_TABLE_H
#define DEMI_LIBOS_CATMINT_TABLE_H

#include <stdint.h>

/** Of a slot; owner NULL: it is empty. */
struct pair_slot {
	void *owner;
	uint32_t number;
};

/** All zero: empty. */
struct pair_table {
	struct pair_slot *slots;
	uint32_t mask; /* slots - 1; a power of two */
	uint32_t count;
};

/** pair_table_add - 0 or -ENOMEM; nobody has the number yet */
int pair_table_add(struct pair_table *table, uint32_t number, void *owner);

/** pair_table_remove - somebody has it */
void pair_table_remove(struct pair_table *table, uint32_t number);

/** pair_table_find - who has it; NULL: nobody */
void *pair_table_find(const struct pair_table *table, uint32_t number);

/** pair_table_look - as pair_table_find, which neighbours of the first slot are left to */
static inline void *pair_table_look(const struct pair_table *table, uint32_t number)
{
	const struct pair_slot *slot = &table->slots[number & table->mask];

	/* An empty slot has nobody, and whoever has its number would be in it. */
	return table->slots && slot->number == number ? slot->owner
						      : pair_table_find(table, number);
}

void pair_table_fini(struct pair_table *table);

#endif /* DEMI_LIBOS_CATMINT_TABLE_H */
