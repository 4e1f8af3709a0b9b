/* SPDX-License-Identifier: MIT */
#include "txnstore/sim/events.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_FIRST 1024u

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

int events_add(struct events *events, const struct event *event)
{
	size_t i = events->count;

	if (i == events->room) {
		size_t room = events->room ? 2 * events->room : ROOM_FIRST;
		struct event *heap = realloc(events->heap, room * sizeof(*heap));

		if (!heap) {
			free(event->bytes);
			return -ENOMEM;
		}
		events->heap = heap;
		events->room = room;
	}
	events->count++;
	events->heap[i] = *event;
	events->heap[i].order = events->order++;
	while (i && is_before(&events->heap[i], &events->heap[(i - 1) / 2])) {
		struct event parent = events->heap[(i - 1) / 2];

		events->heap[(i - 1) / 2] = events->heap[i];
		events->heap[i] = parent;
		i = (i - 1) / 2;
	}
	return 0;
}

bool events_take(struct events *events, uint64_t until_ns, struct event *event)
{
	size_t i = 0, child;

	if (!events->count || events->heap[0].at_ns > until_ns)
		return false;
	*event = events->heap[0];
	events->heap[0] = events->heap[--events->count];
	while ((child = 2 * i + 1) < events->count) {
		struct event smaller;

		if (child + 1 < events->count &&
		    is_before(&events->heap[child + 1], &events->heap[child]))
			child++;
		if (!is_before(&events->heap[child], &events->heap[i]))
			break;
		smaller = events->heap[child];
		events->heap[child] = events->heap[i];
		events->heap[i] = smaller;
		i = child;
	}
	return true;
}

void events_destroy(struct events *events)
{
	for (size_t i = 0; i < events->count; i++)
		free(events->heap[i].bytes);
	free(events->heap);
	*events = (struct events){.count = 0};
}
