/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

int table_init(struct table *table, size_t limit)
{
	size_t slots = SLOTS_MIN;

	/* At most one slot for each thing, and at most two things, when all are there. */
	while (2 * slots <= limit)
		slots *= 2;
	*table = (struct table){.mask = slots - 1};
	table->slots = calloc(slots, sizeof(struct table_node *));
	return table->slots ? 0 : -ENOMEM;
}

void table_fini(struct table *table)
{
	free(table->slots);
	*table = (struct table){0};
}

/* The 128-bit product of two words, folded: one step of a keyed multiplicative hash. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t table_hash(uint64_t seed, const void *key, size_t length)
{
	const unsigned char *bytes = key;
	uint64_t hash = seed ^ length;

	while (length > 0) {
		size_t part = length < sizeof(uint64_t) ? length : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, bytes, part);
		/* Neither factor can be made zero from outside: both have the seed. */
		hash = mix(hash ^ word ^ UINT64_C(0x9e3779b97f4a7c15),
			   seed | UINT64_C(0x8000000000000001));
		bytes += part;
		length -= part;
	}
	return mix(hash ^ seed, UINT64_C(0xd6e8feb86659fd93));
}

static struct table_node **slot(const struct table *table, uint64_t hash)
{
	return &table->slots[hash & table->mask];
}

void table_add(struct table *table, struct table_node *node, uint64_t hash)
{
	struct table_node **at = slot(table, hash);

	node->hash = hash;
	node->next = *at;
	*at = node;
	table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **at = slot(table, node->hash);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->count--;
}

static struct table_node *same_hash(struct table_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
	return same_hash(*slot(table, hash), hash);
}

struct table_node *table_next(const struct table_node *node)
{
	return same_hash(node->next, node->hash);
}

struct table_node *table_any(const struct table *table)
{
	for (size_t i = 0; table->count && i <= table->mask; i++) {
		if (table->slots[i])
			return table->slots[i];
	}
	return NULL;
}
