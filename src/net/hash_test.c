/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "net/net.h"

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A: key 00..0f, input 00..0e. */
static void net_hash__is_siphash_2_4(void **state)
{
	struct net net = {.secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t input[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(input); i++)
		input[i] = i;
	assert_int_equal(net_hash(&net, input, sizeof(input)), 0xa129ca6149be45e5);
}

/* From the reference implementation's table of vectors: lengths 0, 8 and 63 of the same input. */
static void net_hash__takes_any_length(void **state)
{
	struct net net = {.secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t input[8] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_int_equal(net_hash(&net, input, 0), 0x726fdb47dd0e0e31);
	assert_int_equal(net_hash(&net, input, 8), 0x93f5f5799a932462);
}

static void net_random__repeats_from_its_seed_alone(void **state)
{
	struct net a = {.secret = {1, 2}}, b = {.secret = {1, 2}}, c = {.secret = {1, 3}};
	uint64_t first = net_random(&a), second = net_random(&a);

	(void)state;
	assert_int_not_equal(first, second);
	assert_int_equal(net_random(&b), first);
	assert_int_equal(net_random(&b), second);
	assert_int_not_equal(net_random(&c), first);
}

static void net_random__is_not_what_net_hash_tells(void **state)
{
	struct net net = {.secret = {1, 2}};
	uint64_t one = 1, random = net_random(&net);

	(void)state;
	assert_int_not_equal(random, net_hash(&net, &one, sizeof(one)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_hash__is_siphash_2_4),
		cmocka_unit_test(net_hash__takes_any_length),
		cmocka_unit_test(net_random__repeats_from_its_seed_alone),
		cmocka_unit_test(net_random__is_not_what_net_hash_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
