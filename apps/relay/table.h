/* SPDX-License-Identifier: MIT */
/*
 * A hash table of things that carry their own link. Its size is fixed when it is made, from the limit
 * on how many things there may be, so that nothing is allocated later. Hashes have a secret seed:
 * nobody outside can choose keys that fall together.
 */
#ifndef RELAY_TABLE_H
#define RELAY_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	struct table_node **slots;
	size_t mask;  /* slots - 1 */
	size_t count; /* of things in it */
};

/** table_init - for about @limit things. Return: 0, -ENOMEM. */
int table_init(struct table *table, size_t limit);

/** table_fini - free the slots; the things are the caller's */
void table_fini(struct table *table);

/** table_hash - of @length bytes at @key */
uint64_t table_hash(uint64_t seed, const void *key, size_t length);

void table_add(struct table *table, struct table_node *node, uint64_t hash);

/** table_remove - take out what is in it */
void table_remove(struct table *table, struct table_node *node);

/** table_first, table_next - the things with this hash, whose keys the caller compares; NULL: no more */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

/** table_any - something that is in it; NULL: it is empty */
struct table_node *table_any(const struct table *table);

#endif /* RELAY_TABLE_H */
