/* SPDX-License-Identifier: MIT */
/* What is to happen in a simulation, in the order of time; at one time, in the order it was asked for. */
#ifndef TXNSTORE_SIM_EVENTS_H
#define TXNSTORE_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
	uint64_t at_ns, order;
	void (*happen)(void *context, struct event *event);
	uint32_t node;   /* whom it is about */
	uint64_t life;   /* of the node, where what was before a crash is not to happen */
	uint64_t number; /* the event's own */
	uint8_t *bytes;  /* the event's own, freed behind it; may be NULL */
	size_t len;
};

struct events {
	struct event *heap;
	size_t count, room;
	uint64_t order;
};

/** events_add - @event's bytes are taken over. Return: 0, -ENOMEM: they are freed. */
int events_add(struct events *events, const struct event *event);
/** events_take - the next, if it is due until @until_ns. Return: whether there was one. */
bool events_take(struct events *events, uint64_t until_ns, struct event *event);
void events_destroy(struct events *events);

#endif /* TXNSTORE_SIM_EVENTS_H */
