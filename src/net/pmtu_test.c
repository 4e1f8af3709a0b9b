/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

static int setup(void **state)
{
	return rig_setup(state) || pmtu_create(&rig.net);
}

static int teardown(void **state)
{
	pmtu_destroy(&rig.net);
	return rig_teardown(state);
}

static uint32_t find(struct ip_address destination)
{
	return pmtu_find(&rig.net, &destination);
}

static void lower(struct ip_address destination, uint32_t mtu)
{
	pmtu_lower(&rig.net, &destination, mtu);
}

static void pmtu_find__is_that_of_the_link_at_first(void **state)
{
	(void)state;
	assert_int_equal(find(V4(10, 9, 9, 9)), 1500);
	assert_int_equal(find(V6(9)), 1500);
}

static void pmtu_lower__concerns_one_destination(void **state)
{
	(void)state;
	lower(V4(10, 9, 9, 9), 1400);
	lower(V6(9), 1300);
	assert_int_equal(find(V4(10, 9, 9, 9)), 1400);
	assert_int_equal(find(V6(9)), 1300);
	assert_int_equal(find(V4(10, 9, 9, 8)), 1500);
	assert_int_equal(find(V6(8)), 1500);
}

/* RFC 1191, section 3: never in response to a message. RFC 8201, section 4. */
static void pmtu_lower__never_raises(void **state)
{
	uint32_t generation;

	(void)state;
	lower(V4(10, 9, 9, 9), 1400);
	generation = rig.net.generation;
	lower(V4(10, 9, 9, 9), 1450);
	lower(V4(10, 9, 9, 9), 1400);
	lower(V4(10, 9, 9, 8), 1500);
	lower(V4(10, 9, 9, 8), 65535);
	assert_int_equal(find(V4(10, 9, 9, 9)), 1400);
	assert_int_equal(find(V4(10, 9, 9, 8)), 1500);
	assert_int_equal(rig.net.generation, generation);
}

static void pmtu_lower__makes_paths_look_again(void **state)
{
	uint32_t generation = rig.net.generation;

	(void)state;
	lower(V4(10, 9, 9, 9), 1400);
	assert_int_not_equal(rig.net.generation, generation);
	/* 0 would say that a path was never found. */
	rig.net.generation = UINT32_MAX;
	lower(V4(10, 9, 9, 9), 1399);
	assert_int_equal(rig.net.generation, 1);
}

static void pmtu_lower__has_a_floor(void **state)
{
	(void)state;
	lower(V4(10, 9, 9, 9), 68);
	assert_int_equal(find(V4(10, 9, 9, 9)), 576);
	/* RFC 8201, section 4: must be discarded. */
	lower(V6(9), 1279);
	assert_int_equal(find(V6(9)), 1500);
	lower(V6(9), 1280);
	assert_int_equal(find(V6(9)), 1280);
}

/* RFC 1191, section 6.3; RFC 8201, section 5.3. */
static void pmtu__is_forgotten_ten_minutes_after_it_was_lowered(void **state)
{
	uint32_t generation;

	(void)state;
	rig_advance(SECOND_NS);
	lower(V4(10, 9, 9, 9), 1400);
	lower(V4(10, 9, 9, 8), 1300);
	rig_advance(301 * SECOND_NS);
	lower(V4(10, 9, 9, 9), 1350);
	generation = rig.net.generation;
	rig_advance(600 * SECOND_NS);
	assert_int_equal(find(V4(10, 9, 9, 8)), 1300);
	assert_int_equal(rig.net.generation, generation);
	rig_advance(602 * SECOND_NS);
	assert_int_equal(find(V4(10, 9, 9, 8)), 1500);
	assert_int_equal(find(V4(10, 9, 9, 9)), 1350);
	assert_int_not_equal(rig.net.generation, generation);
	rig_advance(902 * SECOND_NS);
	assert_int_equal(find(V4(10, 9, 9, 9)), 1500);
	assert_int_equal(timer_wheel_next_ns(&rig.sched.timers), TIMER_NEVER);
}

/* All at one time, as a flood of lies within one poll round would be. */
static void pmtu__forgets_the_oldest_of_257(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 257; i++)
		lower(ip_address_v4(0x0b000000 + i), 1400);
	assert_int_equal(find(V4(11, 0, 0, 0)), 1500);
	for (uint32_t i = 1; i < 257; i++)
		assert_int_equal(find(ip_address_v4(0x0b000000 + i)), 1400);
}

/* What is lowered over and over takes a new place each time; the others must not suffer. */
static void pmtu__survives_any_order(void **state)
{
	uint32_t known[64];

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(known); i++)
		known[i] = 1500;
	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t i = (uint32_t)(net_random(&rig.net) % COUNT_OF(known));
		uint32_t mtu = 576 + (uint32_t)(net_random(&rig.net) % 1000);

		lower(ip_address_v4(0x0b000000 + i), mtu);
		known[i] = mtu < known[i] ? mtu : known[i];
		assert_int_equal(find(ip_address_v4(0x0b000000 + i)), known[i]);
	}
	for (uint32_t i = 0; i < COUNT_OF(known); i++)
		assert_int_equal(find(ip_address_v4(0x0b000000 + i)), known[i]);
}

/* RFC 1191, section 7.1. */
static void pmtu_plateau__is_the_next_one_below(void **state)
{
	(void)state;
	assert_int_equal(pmtu_plateau(65535), 32000);
	assert_int_equal(pmtu_plateau(4353), 4352);
	assert_int_equal(pmtu_plateau(1500), 1492);
	assert_int_equal(pmtu_plateau(1492), 1006);
	assert_int_equal(pmtu_plateau(508), 296);
	assert_int_equal(pmtu_plateau(100), 68);
	assert_int_equal(pmtu_plateau(0), 68);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pmtu_find__is_that_of_the_link_at_first),
		TEST(pmtu_lower__concerns_one_destination),
		TEST(pmtu_lower__never_raises),
		TEST(pmtu_lower__makes_paths_look_again),
		TEST(pmtu_lower__has_a_floor),
		TEST(pmtu__is_forgotten_ten_minutes_after_it_was_lowered),
		TEST(pmtu__forgets_the_oldest_of_257),
		TEST(pmtu__survives_any_order),
		TEST(pmtu_plateau__is_the_next_one_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
