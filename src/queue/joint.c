/* SPDX-License-Identifier: MIT */
#include "queue/joint.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct joint *named; /* whose second side has not come; under the lock */

/* Under the lock. */
static void take_name(struct joint **link)
{
	struct joint *joint = *link;

	*link = joint->next;
	free(joint->name);
	joint->name = NULL;
}

/* ---- Fork: the child must find the lock free, and no names, whose threads it does not have ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	while (named)
		take_name(&named);
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void lock_take(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&lock);
}

static void lock_drop(void)
{
	pthread_mutex_unlock(&lock);
}

/* ---- Names ---- */

/* Under the lock: the link that leads to the joint of that name; to NULL when there is none. */
static struct joint **find(const char *name)
{
	struct joint **link = &named;

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static int enter(struct joint *joint)
{
	int error = -EEXIST;

	lock_take();
	if (!*find(joint->name)) {
		joint->next = named;
		named = joint;
		error = 0;
	}
	lock_drop();
	return error;
}

/* Nobody else can open it from now on. */
static void forget_name(const struct joint *joint)
{
	struct joint **link = &named;

	lock_take();
	while (*link && *link != joint)
		link = &(*link)->next;
	if (*link)
		take_name(link);
	lock_drop();
}

/* ---- Birth and death ---- */

static void destroy(struct joint *joint)
{
	for (unsigned int side = 0; side < 2; side++) {
		spsc_ring_fini(&joint->sides[side].ring);
		if (joint->sides[side].bell)
			bell_drop(joint->sides[side].bell);
	}
	free(joint->name);
	free(joint);
}

int joint_create(struct joint **joint_out, const char *name, uint32_t elements_max,
		 struct bell *bell)
{
	struct joint *joint = aligned_alloc(_Alignof(struct joint), sizeof(*joint));
	int error = 0;

	if (!joint)
		return -ENOMEM;
	*joint = (struct joint){.holders = 1, .name = strdup(name)};
	if (!joint->name)
		error = -ENOMEM;
	for (unsigned int side = 0; side < 2 && !error; side++)
		error = spsc_ring_init(&joint->sides[side].ring, elements_max);
	bell_hold(bell);
	joint->sides[0].bell = bell;
	if (!error)
		error = enter(joint);
	if (error) {
		destroy(joint);
		return error;
	}
	*joint_out = joint;
	return 0;
}

int joint_open(struct joint **joint_out, const char *name, struct bell *bell)
{
	struct joint **link, *joint;

	lock_take();
	link = find(name);
	joint = *link;
	if (joint) {
		take_name(link);
		__atomic_fetch_add(&joint->holders, 1, __ATOMIC_RELAXED);
		bell_hold(bell);
		__atomic_store_n(&joint->sides[1].bell, bell, __ATOMIC_SEQ_CST);
	}
	lock_drop();
	if (!joint)
		return -ENOENT;
	*joint_out = joint;
	return 0;
}

static void give_back_all(struct heap *heap, struct spsc_ring *ring)
{
	struct buf *element;

	while ((element = spsc_ring_peek(ring))) {
		spsc_ring_advance(ring);
		buf_give_back(heap, element);
	}
}

void joint_stop_popping(struct joint *joint, unsigned int side, struct heap *heap)
{
	struct joint_side *own = &joint->sides[side], *other = &joint->sides[1 - side];

	if (!own->pops_no_more) {
		own->popped = other->ring.consumer.head;
		__atomic_store_n(&own->pops_no_more, true, __ATOMIC_SEQ_CST);
	}
	give_back_all(heap, &other->ring);
	joint_ring_bell(joint, side);
}

void joint_leave(struct joint *joint, unsigned int side, struct heap *heap)
{
	forget_name(joint);
	joint_stop_popping(joint, side, heap);
	__atomic_store_n(&joint->sides[side].is_closed, true, __ATOMIC_SEQ_CST);
	joint_ring_bell(joint, side);
	if (__atomic_sub_fetch(&joint->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	/* What this side pushed and nobody has popped, and what the other did while we left. */
	give_back_all(heap, &joint->sides[side].ring);
	give_back_all(heap, &joint->sides[1 - side].ring);
	destroy(joint);
}
