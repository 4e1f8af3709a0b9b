/* SPDX-License-Identifier: MIT */
#include "timers.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 64

/* Places count from 1: the parent of n is n / 2. */
static struct timer **at(struct timers *timers, size_t place)
{
	return &timers->heap[place - 1];
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
	*at(timers, place) = timer;
	timer->place = (uint32_t)place;
}

static void sift_up(struct timers *timers, size_t place, struct timer *timer)
{
	while (place > 1 && (*at(timers, place / 2))->deadline_ns > timer->deadline_ns) {
		put(timers, place, *at(timers, place / 2));
		place /= 2;
	}
	put(timers, place, timer);
}

static void sift_down(struct timers *timers, size_t place, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * place;

		if (child > timers->count)
			break;
		if (child < timers->count &&
		    (*at(timers, child + 1))->deadline_ns < (*at(timers, child))->deadline_ns)
			child++;
		if ((*at(timers, child))->deadline_ns >= timer->deadline_ns)
			break;
		put(timers, place, *at(timers, child));
		place = child;
	}
	put(timers, place, timer);
}

void timers_fini(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}

int timers_reserve(struct timers *timers, size_t more)
{
	size_t room = timers->room ? timers->room : ROOM_MIN;
	struct timer **heap;

	if (timers->count + more <= timers->room)
		return 0;
	while (room < timers->count + more)
		room += room / 4;
	heap = realloc(timers->heap, room * sizeof(struct timer *));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

void timer_start(struct timers *timers, struct timer *timer, uint64_t deadline_ns)
{
	uint64_t before_ns = timer->deadline_ns;

	timer->deadline_ns = deadline_ns;
	if (timer->place == 0)
		sift_up(timers, ++timers->count, timer);
	else if (deadline_ns < before_ns)
		sift_up(timers, timer->place, timer);
	else
		sift_down(timers, timer->place, timer);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last;

	if (place == 0)
		return;
	timer->place = 0;
	last = *at(timers, timers->count--);
	if (last == timer)
		return;
	if (last->deadline_ns < timer->deadline_ns)
		sift_up(timers, place, last);
	else
		sift_down(timers, place, last);
}

struct timer *timers_take(struct timers *timers, uint64_t now_ns)
{
	struct timer *first;

	if (timers_next_ns(timers) > now_ns)
		return NULL;
	first = *at(timers, 1);
	timer_stop(timers, first);
	return first;
}

uint64_t timers_next_ns(const struct timers *timers)
{
	return timers->count ? timers->heap[0]->deadline_ns : UINT64_MAX;
}
