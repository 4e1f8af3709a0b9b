/* SPDX-License-Identifier: MIT */
/*
 * One thread allocates, another frees: what a thread that reads requests and a thread that serves
 * them do. The objects pass through a ring of one producer and one consumer, each on its own CPU.
 */
#include "allocator/calls.h"
#include "allocator/run.h"
#include "base/clock.h"
#include "pin.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define RING_OBJECTS 1024u /* a power of two */
#define OBJECTS_PER_MS 10000u
#define LINE_BYTES 64

/* Each end keeps what it last saw of the other's counter, and looks again only when it must. */
struct ring {
	uint64_t *objects[RING_OBJECTS];
	_Alignas(LINE_BYTES) _Atomic(uint64_t) pushed;
	uint64_t popped_seen; /* the producer's */
	_Alignas(LINE_BYTES) _Atomic(uint64_t) popped;
	uint64_t pushed_seen; /* the consumer's */
};

struct handoff {
	struct ring ring;
	pthread_barrier_t ready;
	uint64_t objects;
	uint64_t sum; /* of the words that the consumer read */
};

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static void push(struct ring *ring, uint64_t *object)
{
	uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);

	while (pushed - ring->popped_seen == RING_OBJECTS) {
		ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_acquire);
		relax();
	}
	ring->objects[pushed % RING_OBJECTS] = object;
	atomic_store_explicit(&ring->pushed, pushed + 1, memory_order_release);
}

static uint64_t *pop(struct ring *ring)
{
	uint64_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);
	uint64_t *object;

	while (popped == ring->pushed_seen) {
		ring->pushed_seen = atomic_load_explicit(&ring->pushed, memory_order_acquire);
		relax();
	}
	object = ring->objects[popped % RING_OBJECTS];
	atomic_store_explicit(&ring->popped, popped + 1, memory_order_release);
	return object;
}

static void pin(unsigned int cpu)
{
	if (bench_pin(cpu))
		run_fail("handoff: cannot have CPU 0 and CPU 1");
}

static void *consume(void *argument)
{
	struct handoff *handoff = argument;

	pin(1);
	if (calls_begin())
		run_fail("handoff: the consumer cannot start its runtime");
	pthread_barrier_wait(&handoff->ready);
	for (uint64_t i = 0; i < handoff->objects; i++) {
		uint64_t *object = pop(&handoff->ring);

		handoff->sum += *object;
		call_free(object);
	}
	calls_end();
	return NULL;
}

/* Return: the sum of the words that were written. */
static uint64_t produce(struct run *run, struct handoff *handoff)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < handoff->objects; i++) {
		uint32_t bytes = run_size(run, 6, 12);
		uint64_t *object = run_must(call_malloc(bytes));

		run_note(run, 0, bytes);
		*object = run->checksum;
		sum += run->checksum;
		push(&handoff->ring, object);
	}
	return sum;
}

void handoff_run(struct run *run)
{
	struct handoff *handoff = run_table(1, sizeof(*handoff));
	pthread_t consumer;
	uint64_t start_ns, sum;

	handoff->objects = (uint64_t)run->time_ms * OBJECTS_PER_MS;
	pin(0);
	if (pthread_barrier_init(&handoff->ready, NULL, 2) ||
	    pthread_create(&consumer, NULL, consume, handoff))
		run_fail("handoff: cannot start the consumer");
	pthread_barrier_wait(&handoff->ready);
	run_begin(run);
	start_ns = clock_now_ns();
	sum = produce(run, handoff);
	pthread_join(consumer, NULL);
	run->ns_per_operation = (double)(clock_now_ns() - start_ns) / (double)handoff->objects;
	run_peak(run);
	/* What is live at a time depends on the consumer: at most the ring. */
	run->live_bytes_max = 0;
	if (handoff->sum != sum)
		run_fail("handoff: an object was overwritten");
}
