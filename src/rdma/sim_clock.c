/* SPDX-License-Identifier: MIT */
#include "rdma/sim_clock.h"

#include <stdlib.h>

#include "base/log.h"

#define ROOM_FIRST 64u

static bool is_before(const struct sim_due *a, const struct sim_due *b)
{
	return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->number < b->number;
}

static void put(struct sim_clock *clock, uint32_t place, struct sim_due *due)
{
	clock->heap[place] = due;
	due->place = place;
}

static void sift_up(struct sim_clock *clock, struct sim_due *due, uint32_t place)
{
	while (place > 1 && is_before(due, clock->heap[place / 2])) {
		put(clock, place, clock->heap[place / 2]);
		place /= 2;
	}
	put(clock, place, due);
}

static void sift_down(struct sim_clock *clock, struct sim_due *due, uint32_t place)
{
	for (;;) {
		uint32_t child = 2 * place;

		if (child < clock->count && is_before(clock->heap[child + 1], clock->heap[child]))
			child++;
		if (child > clock->count || !is_before(clock->heap[child], due))
			break;
		put(clock, place, clock->heap[child]);
		place = child;
	}
	put(clock, place, due);
}

static void note_next(struct sim_clock *clock)
{
	clock->next_ns = clock->count > 0 ? clock->heap[1]->when_ns : UINT64_MAX;
}

static bool grow(struct sim_clock *clock)
{
	uint32_t room = clock->room ? 2 * clock->room : ROOM_FIRST;
	struct sim_due **heap = realloc(clock->heap, room * sizeof(struct sim_due *));

	if (!heap) {
		log_error("sim: no memory for what is under way");
		return false;
	}
	clock->heap = heap;
	clock->room = room;
	return true;
}

bool rdma_sim_clock_set(struct sim_clock *clock, struct sim_due *due, uint64_t when_ns,
			sim_happen *happen)
{
	rdma_sim_clock_clear(clock, due);
	if (clock->count + 1 >= clock->room && !grow(clock))
		return false;
	due->when_ns = when_ns;
	due->number = clock->number++;
	due->happen = happen;
	sift_up(clock, due, ++clock->count);
	note_next(clock);
	return true;
}

void rdma_sim_clock_remove(struct sim_clock *clock, struct sim_due *due)
{
	uint32_t place = due->place;
	struct sim_due *last;

	due->place = 0;
	last = clock->heap[clock->count--];
	if (last != due) {
		/* It may belong nearer to either end than the one whose place it takes. */
		sift_down(clock, last, place);
		sift_up(clock, last, last->place);
	}
	note_next(clock);
}

void rdma_sim_clock_run(struct sim_clock *clock)
{
	uint64_t now_ns = clock->now_ns;

	while (clock->next_ns <= now_ns) {
		struct sim_due *due = clock->heap[1];

		clock->now_ns = due->when_ns;
		rdma_sim_clock_clear(clock, due);
		due->happen(clock, due);
	}
	clock->now_ns = now_ns;
}
