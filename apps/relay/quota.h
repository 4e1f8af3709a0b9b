/* SPDX-License-Identifier: MIT */
/*
 * Who has how many allocations. A person is known by a hash of his name, so that each takes the same
 * memory whatever names clients make up; he is forgotten with his last allocation.
 */
#ifndef RELAY_QUOTA_H
#define RELAY_QUOTA_H

#include <stdint.h>

#include "stun_integrity.h"
#include "table.h"

#define QUOTA_HASH_BYTES 24 /* of a SHA-256 */
#define QUOTA_SHOWN_BYTES 32

struct quota {
	struct table_node node;
	uint8_t hash[QUOTA_HASH_BYTES];
	uint32_t allocations;
	char shown[QUOTA_SHOWN_BYTES]; /* the name's beginning, for lines that people read */
};

/** quota_find - NULL: he has no allocation */
struct quota *quota_find(const struct table *quotas, struct stun_text person);

/** quota_add - one allocation more. Return: the person; NULL: out of memory. */
struct quota *quota_add(struct table *quotas, struct stun_text person);

/** quota_show - the beginning of a name, without what could upset a line or a terminal */
void quota_show(char shown[QUOTA_SHOWN_BYTES], struct stun_text person);

/** quota_drop - one less; the person is freed with the last */
void quota_drop(struct table *quotas, struct quota *quota);

#endif /* RELAY_QUOTA_H */
