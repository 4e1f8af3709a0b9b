/* SPDX-License-Identifier: MIT */
#include "token_map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

static size_t home(const struct token_map *map, demi_qtoken_t token)
{
	return ((token * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->capacity - 1);
}

static size_t after(const struct token_map *map, size_t place)
{
	return (place + 1) & (map->capacity - 1);
}

void token_map_put(struct token_map *map, demi_qtoken_t token, void *value)
{
	size_t place = home(map, token);

	while (map->entries[place].value)
		place = after(map, place);
	map->entries[place] = (struct token_map_entry){.token = token, .value = value};
	map->count++;
}

int token_map_reserve(struct token_map *map)
{
	struct token_map grown = {0};

	if (2 * (map->count + 1) <= map->capacity)
		return 0;
	grown.capacity = map->capacity ? 2 * map->capacity : CAPACITY_MIN;
	grown.entries = calloc(grown.capacity, sizeof(*grown.entries));
	if (!grown.entries)
		return ENOMEM;
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->entries[i].value)
			token_map_put(&grown, map->entries[i].token, map->entries[i].value);
	}
	free(map->entries);
	*map = grown;
	return 0;
}

/* Moves later entries of the run up, so that no probe stops at the hole before it finds them. */
static void close_hole(struct token_map *map, size_t hole)
{
	size_t mask = map->capacity - 1;

	for (size_t place = after(map, hole); map->entries[place].value;
	     place = after(map, place)) {
		size_t distance = (place - home(map, map->entries[place].token)) & mask;
		if (distance < ((place - hole) & mask))
			continue;
		map->entries[hole] = map->entries[place];
		hole = place;
	}
	map->entries[hole].value = NULL;
}

void *token_map_take(struct token_map *map, demi_qtoken_t token)
{
	if (map->capacity == 0)
		return NULL;
	for (size_t place = home(map, token); map->entries[place].value;
	     place = after(map, place)) {
		void *value = map->entries[place].value;
		if (map->entries[place].token != token)
			continue;
		close_hole(map, place);
		map->count--;
		return value;
	}
	return NULL;
}

void token_map_fini(struct token_map *map)
{
	free(map->entries);
	*map = (struct token_map){0};
}
