/* SPDX-License-Identifier: MIT */
/*
 * What joins two runtimes: two rings, one each way, and a name until the second has come. One side
 * has made it, the other opens it; each pushes into its own ring and pops from the other's.
 *
 * Elements are chains of bufs that their pusher has lent (heap/buf.h), so that they pass by reference
 * and find their way home. The table of names has a lock; nothing of it is on the path of an element.
 */
#ifndef DEMI_QUEUE_JOINT_H
#define DEMI_QUEUE_JOINT_H

#include <stdbool.h>

#include "base/bell.h"
#include "base/spsc_ring.h"
#include "heap/buf.h"

#define JOINT_NAME_MAX 255u /* bytes without the end */

struct joint_side {
	struct spsc_ring ring; /* what this side pushes */
	/* Written seldom, read by the other side often. */
	struct bell *bell;  /* of this side's runtime; NULL until it has come */
	bool pops_no_more;  /* published by this side, as is the next */
	bool is_closed;     /* nor pushes */
	bool wants_to_know; /* this side sleeps until the other takes something from the ring */
	uint32_t popped;    /* with pops_no_more: of the other's elements, what was popped */
};

struct joint {
	struct joint_side sides[2];
	uint32_t holders;   /* sides that are in use */
	struct joint *next; /* in the table of names */
	char *name;         /* NULL: both have come */
};

/**
 * joint_create - the first side, which is number 0
 * @name: 1 to JOINT_NAME_MAX bytes; taken until the second comes or the first leaves
 * @elements_max: that wait in each direction, 1 or more
 * @bell: of the calling thread; held until both sides have left
 *
 * Return: 0, -EEXIST (the name is taken), -ENOMEM.
 */
int joint_create(struct joint **joint_out, const char *name, uint32_t elements_max,
		 struct bell *bell);

/** joint_open - the second side, number 1; 0 or -ENOENT (nobody waits under this name) */
int joint_open(struct joint **joint_out, const char *name, struct bell *bell);

/** joint_stop_popping - what the other side has pushed, or will, goes back to it */
void joint_stop_popping(struct joint *joint, unsigned int side, struct heap *heap);

/**
 * joint_leave - a side pushes and pops no more
 * @heap: of its thread
 *
 * What it has pushed the other may still pop; what the other has pushed goes back.
 */
void joint_leave(struct joint *joint, unsigned int side, struct heap *heap);

/** joint_is_left - whether the other side has left: what its ring has then is the last of it */
static inline bool joint_is_left(const struct joint *joint, unsigned int side)
{
	return __atomic_load_n(&joint->sides[1 - side].is_closed, __ATOMIC_SEQ_CST);
}

/** joint_is_deaf - whether the other side pops no more */
static inline bool joint_is_deaf(const struct joint *joint, unsigned int side)
{
	return __atomic_load_n(&joint->sides[1 - side].pops_no_more, __ATOMIC_SEQ_CST);
}

/** joint_has_lost - when the other side pops no more: whether it did not pop all that was pushed */
static inline bool joint_has_lost(const struct joint *joint, unsigned int side)
{
	return joint->sides[side].ring.producer.tail != joint->sides[1 - side].popped;
}

/** joint_ring_bell - the other side should look at what this side has done */
static inline void joint_ring_bell(const struct joint *joint, unsigned int side)
{
	struct bell *bell = __atomic_load_n(&joint->sides[1 - side].bell, __ATOMIC_SEQ_CST);

	if (bell)
		bell_ring(bell);
}

/** joint_take - drop what spsc_ring_peek has shown of the other side's ring */
static inline void joint_take(struct joint *joint, unsigned int side)
{
	struct joint_side *other = &joint->sides[1 - side];

	spsc_ring_advance(&other->ring);
	if (__builtin_expect(__atomic_load_n(&other->wants_to_know, __ATOMIC_SEQ_CST), 0)) {
		/* Before the look at the bell: who says once more that it wants to know has the last word. */
		__atomic_store_n(&other->wants_to_know, false, __ATOMIC_SEQ_CST);
		joint_ring_bell(joint, side);
	}
}

#endif /* DEMI_QUEUE_JOINT_H */
