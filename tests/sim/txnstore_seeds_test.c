/* SPDX-License-Identifier: MIT */
/*
 * The store of transactions with many seeds, each with faults of its own: SEEDS says how many, SEED
 * tries one alone; the argument is what is checked. Then that the checks see what they are there for:
 * a store that promises nothing, and one that does not validate what was read, must fail them.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txnstore/sim/simulate.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* A sanitizer makes it several times slower, and looks at each step of what it sees. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SEEDS 400u
#else
#define SEEDS 3400u
#endif
#define CONTROL_SEEDS 100u

static enum program_kind check;

#ifndef TXNSTORE_WITHOUT_READ_CHECK
static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void add(struct verdict *sum, const struct verdict *verdict)
{
	sum->committed += verdict->committed;
	sum->unknown += verdict->unknown;
	sum->judged += verdict->judged;
	sum->crashes += verdict->crashes;
	sum->lost_disks += verdict->lost_disks;
	sum->partitions += verdict->partitions;
	sum->views += verdict->views;
	sum->transfers += verdict->transfers;
	sum->snapshots += verdict->snapshots;
	sum->rewrites += verdict->rewrites;
	sum->full += verdict->full;
	sum->resolved += verdict->resolved;
}

/* What seeds are for has happened: a judgement of nothing says nothing. */
static void assert_tried(const struct verdict *sum)
{
	assert_true(sum->committed > 0);
	assert_true(sum->unknown > 0);
	assert_true(sum->judged > 0);
	assert_true(sum->crashes > 0);
	assert_true(sum->lost_disks > 0);
	assert_true(sum->partitions > 0);
	assert_true(sum->views > 0);
	assert_true(sum->transfers > 0);
	assert_true(sum->snapshots > 0);
	assert_true(sum->rewrites > 0);
	/* Lists grow; accounts and registers do not. */
	assert_true(sum->full > 0 || check != PROGRAM_GRAPH);
	/* A transaction of one operation is of one shard, and never in doubt. */
	assert_true(sum->resolved > 0 || check == PROGRAM_REGISTER);
}

static void seeds__what_was_promised_holds(void **state)
{
	uint64_t only = number_of("SEED", 0), seeds = only ? 1 : number_of("SEEDS", SEEDS);
	struct verdict sum = {.outcome = 0};
	(void)state;

	for (uint64_t i = 0; i < seeds; i++) {
		struct simulation simulation = {.check = check, .seed = only ? only : i + 1};
		struct verdict verdict;

		simulate(&simulation, &verdict);
		if (verdict.outcome)
			fail_msg("SEED=%" PRIu64 ": %d: %s", simulation.seed, verdict.outcome,
				 verdict.why);
		add(&sum, &verdict);
	}
	if (seeds >= SEEDS)
		assert_tried(&sum);
}

static void seeds__one_does_the_same_again(void **state)
{
	struct simulation simulation = {.check = check, .seed = 3};
	struct verdict first, second;
	(void)state;

	simulate(&simulation, &first);
	simulate(&simulation, &second);
	assert_int_equal(first.committed, second.committed);
	assert_int_equal(first.aborted, second.aborted);
	assert_int_equal(first.unknown, second.unknown);
	assert_int_equal(first.judged, second.judged);
	assert_int_equal(first.views, second.views);
}

static void control__weak_mode_fails(void **state)
{
	uint64_t failed = 0;
	(void)state;

	for (uint64_t seed = 1; seed <= CONTROL_SEEDS; seed++) {
		struct simulation simulation = {.check = check, .seed = seed, .is_weak = true};
		struct verdict verdict;

		simulate(&simulation, &verdict);
		failed += verdict.outcome == 1;
	}
	assert_true(failed > CONTROL_SEEDS / 2);
}

#else
/* Two transactions that each read what the other writes: neither sees the other. */
static void control__without_the_read_check_there_are_g2_cycles(void **state)
{
	uint64_t cycles = 0;
	(void)state;

	for (uint64_t seed = 1; seed <= CONTROL_SEEDS; seed++) {
		struct simulation simulation = {.check = PROGRAM_GRAPH, .seed = seed};
		struct verdict verdict;

		simulate(&simulation, &verdict);
		cycles += verdict.outcome == 1 && !strncmp(verdict.why, "G2:", 3);
	}
	assert_true(cycles > 0);
}
#endif

int main(int argc, char **argv)
{
	static const char *const names[] = {"bank", "graph", "register"};
	const struct CMUnitTest tests[] = {
#ifndef TXNSTORE_WITHOUT_READ_CHECK
		cmocka_unit_test(seeds__what_was_promised_holds),
		cmocka_unit_test(seeds__one_does_the_same_again),
		cmocka_unit_test(control__weak_mode_fails),
#else
		cmocka_unit_test(control__without_the_read_check_there_are_g2_cycles),
#endif
	};

	for (unsigned i = 0; i < 3; i++)
		if (argc > 1 && !strcmp(argv[1], names[i]))
			check = (enum program_kind)i;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
