/* SPDX-License-Identifier: MIT */
#include "base/spsc_ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void *element(uintptr_t number)
{
	return (void *)number;
}

static void ring__holds_as_many_as_it_was_made_for(void **state)
{
	static const uint32_t limits[] = {1, 2, 3, 7, 8, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct spsc_ring ring;

		assert_int_equal(spsc_ring_init(&ring, limits[i]), 0);
		assert_null(spsc_ring_peek(&ring));
		assert_true(spsc_ring_is_drained(&ring));
		for (uintptr_t n = 1; n <= limits[i]; n++) {
			assert_true(spsc_ring_has_room(&ring));
			assert_true(spsc_ring_put(&ring, element(n)));
			assert_false(spsc_ring_is_drained(&ring));
		}
		assert_false(spsc_ring_has_room(&ring));
		assert_false(spsc_ring_put(&ring, element(9999)));
		for (uintptr_t n = 1; n <= limits[i]; n++) {
			assert_ptr_equal(spsc_ring_peek(&ring), element(n));
			assert_ptr_equal(spsc_ring_peek(&ring), element(n));
			spsc_ring_advance(&ring);
			assert_true(spsc_ring_has_room(&ring));
		}
		assert_null(spsc_ring_peek(&ring));
		assert_true(spsc_ring_is_drained(&ring));
		spsc_ring_fini(&ring);
	}
}

/* The indices wrap around at 2^32. */
static void ring__goes_on_when_its_indices_overflow(void **state)
{
	struct spsc_ring ring;

	(void)state;
	assert_int_equal(spsc_ring_init(&ring, 3), 0);
	ring.producer.tail = ring.producer.head_seen = UINT32_MAX - 4;
	ring.consumer.head = ring.consumer.tail_seen = UINT32_MAX - 4;
	for (uintptr_t n = 1; n < 20; n++) {
		assert_true(spsc_ring_put(&ring, element(2 * n)));
		assert_true(spsc_ring_put(&ring, element(2 * n + 1)));
		assert_ptr_equal(spsc_ring_peek(&ring), element(2 * n));
		spsc_ring_advance(&ring);
		assert_true(spsc_ring_put(&ring, element(7)));
		assert_true(spsc_ring_has_room(&ring) == false ||
			    ring.producer.tail - ring.consumer.head < 3);
		assert_ptr_equal(spsc_ring_peek(&ring), element(2 * n + 1));
		spsc_ring_advance(&ring);
		assert_ptr_equal(spsc_ring_peek(&ring), element(7));
		spsc_ring_advance(&ring);
	}
	assert_null(spsc_ring_peek(&ring));
	spsc_ring_fini(&ring);
}

#define ELEMENTS 300000u

static void *produce(void *argument)
{
	struct spsc_ring *ring = argument;

	for (uintptr_t n = 1; n <= ELEMENTS; n++) {
		while (!spsc_ring_put(ring, element(n)))
			sched_yield();
	}
	return NULL;
}

static void ring__from_thread_to_thread(void **state)
{
	struct spsc_ring ring;
	pthread_t producer;

	(void)state;
	assert_int_equal(spsc_ring_init(&ring, 100), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
	for (uintptr_t n = 1; n <= ELEMENTS; n++) {
		void *found;

		while (!(found = spsc_ring_peek(&ring)))
			sched_yield();
		assert_ptr_equal(found, element(n));
		spsc_ring_advance(&ring);
	}
	assert_int_equal(pthread_join(producer, NULL), 0);
	assert_null(spsc_ring_peek(&ring));
	spsc_ring_fini(&ring);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring__holds_as_many_as_it_was_made_for),
		cmocka_unit_test(ring__goes_on_when_its_indices_overflow),
		cmocka_unit_test(ring__from_thread_to_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
