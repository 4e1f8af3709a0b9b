/* SPDX-License-Identifier: MIT */
/*
 * A ring of pointers from one thread to one other. Each side has a cache line of its own, and reads
 * the other's only when what it last saw there is used up: while the ring is neither empty nor full,
 * a line goes from core to core once for many elements.
 *
 * What a side publishes is sequentially consistent with what it reads afterwards: whoever puts an
 * element and then finds the other asleep, or finds it awake and leaves it to look, is right in both
 * cases (base/bell.h).
 */
#ifndef DEMI_BASE_SPSC_RING_H
#define DEMI_BASE_SPSC_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define SPSC_RING_LINE 64

/* Either side has all that it needs on its own line. */
struct spsc_ring {
	struct {
		_Alignas(SPSC_RING_LINE) void **slots; /* slots[mask + 1] */
		uint32_t mask;
		uint32_t elements_max; /* mask + 1 or less */
		uint32_t tail;         /* free-running; published */
		uint32_t head_seen;
	} producer;
	struct {
		_Alignas(SPSC_RING_LINE) void **slots;
		uint32_t mask;
		uint32_t head; /* free-running; published */
		uint32_t tail_seen;
	} consumer;
};

/** spsc_ring_init - room for @elements_max elements, 1 to 2^31; 0 or -ENOMEM */
static inline int spsc_ring_init(struct spsc_ring *ring, uint32_t elements_max)
{
	uint32_t size = 1;
	void **slots;

	while (size < elements_max)
		size *= 2;
	slots = calloc(size, sizeof(*slots));
	*ring = (struct spsc_ring){
		.producer = {.slots = slots, .mask = size - 1, .elements_max = elements_max},
		.consumer = {.slots = slots, .mask = size - 1},
	};
	return slots ? 0 : -ENOMEM;
}

/** spsc_ring_fini - free the ring, not what its elements point to */
static inline void spsc_ring_fini(struct spsc_ring *ring)
{
	free(ring->producer.slots);
}

/** spsc_ring_has_room - whether spsc_ring_put would succeed; the producer asks */
static inline bool spsc_ring_has_room(struct spsc_ring *ring)
{
	if (ring->producer.tail - ring->producer.head_seen < ring->producer.elements_max)
		return true;
	ring->producer.head_seen = __atomic_load_n(&ring->consumer.head, __ATOMIC_SEQ_CST);
	return ring->producer.tail - ring->producer.head_seen < ring->producer.elements_max;
}

/** spsc_ring_put - append @element; false: the ring is full */
static inline bool spsc_ring_put(struct spsc_ring *ring, void *element)
{
	if (!spsc_ring_has_room(ring))
		return false;
	ring->producer.slots[ring->producer.tail & ring->producer.mask] = element;
	__atomic_store_n(&ring->producer.tail, ring->producer.tail + 1, __ATOMIC_SEQ_CST);
	return true;
}

/** spsc_ring_is_drained - whether the consumer has taken all; the producer asks */
static inline bool spsc_ring_is_drained(struct spsc_ring *ring)
{
	if (ring->producer.tail != ring->producer.head_seen)
		ring->producer.head_seen = __atomic_load_n(&ring->consumer.head, __ATOMIC_SEQ_CST);
	return ring->producer.tail == ring->producer.head_seen;
}

/** spsc_ring_peek - the oldest element, which stays; NULL: the ring is empty */
static inline void *spsc_ring_peek(struct spsc_ring *ring)
{
	if (ring->consumer.head == ring->consumer.tail_seen) {
		ring->consumer.tail_seen = __atomic_load_n(&ring->producer.tail, __ATOMIC_SEQ_CST);
		if (ring->consumer.head == ring->consumer.tail_seen)
			return NULL;
	}
	return ring->consumer.slots[ring->consumer.head & ring->consumer.mask];
}

/** spsc_ring_advance - drop the element that spsc_ring_peek has returned */
static inline void spsc_ring_advance(struct spsc_ring *ring)
{
	__atomic_store_n(&ring->consumer.head, ring->consumer.head + 1, __ATOMIC_SEQ_CST);
}

#endif /* DEMI_BASE_SPSC_RING_H */
