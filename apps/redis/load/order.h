/* SPDX-License-Identifier: MIT */
/*
 * How old a value may be that a GET returns: for each key, the version whose SET was answered and
 * that no older one can replace any more. Versions grow in the order in which SETs are handed out.
 * SETs of one key that are under way together may be carried out in either order, so a key settles
 * when none is under way any more, at the first one of those that were.
 */
#ifndef REDIS_LOAD_ORDER_H
#define REDIS_LOAD_ORDER_H

#include <stdint.h>

struct order_key {
	uint64_t settled; /* no older version may be returned; 0: any may */
	uint64_t first;   /* oldest one of those under way, or that were last */
	uint32_t under_way;
};

/** order_set - a SET of @version is handed out. */
static inline void order_set(struct order_key *key, uint64_t version)
{
	if (key->under_way++ == 0)
		key->first = version;
}

/** order_answered - one of the SETs under way was answered with OK. */
static inline void order_answered(struct order_key *key)
{
	if (--key->under_way == 0)
		key->settled = key->first;
}

/** order_refused - one of them was refused: from this group it cannot be told what there is now. */
static inline void order_refused(struct order_key *key)
{
	key->first = key->settled;
	key->under_way--;
}

#endif /* REDIS_LOAD_ORDER_H */
