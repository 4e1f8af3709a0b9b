/* SPDX-License-Identifier: MIT */
/* From a queue token to what the program started under it: a hash table with linear probing. */
#ifndef ECHO_TOKEN_MAP_H
#define ECHO_TOKEN_MAP_H

#include <demi/types.h>
#include <stddef.h>

struct token_map_entry {
	demi_qtoken_t token;
	void *value; /* NULL: empty */
};

struct token_map {
	struct token_map_entry *entries;
	size_t capacity; /* a power of two, or 0; at most half is used */
	size_t count;
};

/** token_map_reserve - make room for one more. Return: 0, or ENOMEM. */
int token_map_reserve(struct token_map *map);

/** token_map_put - add a token that is not there; room was reserved. */
void token_map_put(struct token_map *map, demi_qtoken_t token, void *value);

/** token_map_take - remove a token. Return: its value, NULL when it is unknown. */
void *token_map_take(struct token_map *map, demi_qtoken_t token);

void token_map_fini(struct token_map *map);

#endif /* ECHO_TOKEN_MAP_H */
