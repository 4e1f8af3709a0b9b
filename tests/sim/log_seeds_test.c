/* SPDX-License-Identifier: MIT */
/*
 * Stores of logs on disks of all kinds, with mishaps of all kinds, with many seeds: SEEDS says how
 * many, SEED tries one alone.
 */
#include <errno.h>
#include <stdio.h>

#include "log_judge.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* A sanitizer makes it several times slower, and looks at each step of what it sees. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SEEDS 2000u
#else
#define SEEDS 10000u
#endif

static struct judge judge;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

/* What a seed's disk is like, by chance; seed by seed another kind of mishap. */
static struct sim_disk_options disk_of(uint64_t seed, uint64_t random, uint32_t block_bytes)
{
	struct sim_disk_options options = {
		.latency_ns = 1000,
		.spread_ns = random % 3 * 4000,
		.depth = random % 5 ? 0 : SIM_DISK_DEPTH_MIN,
		.bytes_max = random % 4 ? 0 : SIM_DISK_BYTES_MIN,
		.memory_alignment = random >> 8 & 1 ? 4 : block_bytes,
		.cache_blocks = random % 7 ? 0 : 16,
		.no_cache = random % 11 == 0,
		.tear = random % 2 ? 100000 : 0,
		.tear_bytes = random % 5 ? 512 : 8,
	};

	switch (seed % 8) {
	case 1:
		options.write_error = 20000;
		break;
	case 2:
		options.read_error = 20000;
		break;
	case 3:
		options.timeout = 10000;
		options.timeout_ns = 100000;
		break;
	case 4:
		options.rot = 2000;
		break;
	case 5:
		options.misdirect_write = 10000;
		break;
	case 6:
		/* Twice in a row at the end of a log is more than recovery looks. */
		options.misdirect_read = 2000;
		break;
	default:
		break;
	}
	return options;
}

static void begin(uint64_t seed)
{
	struct sim_disk_options options, still;
	uint32_t block_bytes;
	uint64_t random;

	judge.random = seed;
	random = judge_random(&judge, UINT64_MAX);
	block_bytes = random >> 9 & 1 ? 512 : 4096;
	options = still = disk_of(seed, random, block_bytes);
	still.write_error = still.read_error = still.timeout = 0;
	still.rot = still.misdirect_write = still.misdirect_read = 0;
	judge_begin(&judge, seed, ((640 + (random >> 16) % 1400) & ~UINT64_C(63)) << 10,
		    block_bytes, &still);
	judge.no_huge = random % 4 != 0;
	judge.is_lossy = options.rot || options.misdirect_read || options.misdirect_write;
	judge.disk_options = options;
	judge.disk_options.seed = seed;
	judge_replug(&judge);
}

/* The power fails sometime, or the disk is gone, or nothing at all happens. */
static void plan_end(uint64_t seed)
{
	judge.cut_at = judge_random(&judge, 4) ? judge.writes + 1 + judge_random(&judge, 40) : 0;
	if (seed % 8 == 7)
		sim_disk_options(judge.disk)->gone_ns = judge.now_ns + 1 +
							judge_random(&judge, 300000);
}

static void try_seed(uint64_t seed)
{
	begin(seed);
	for (int round = 0; round < 5; round++) {
		int error;

		plan_end(seed);
		error = judge_open(&judge);
		for (int i = 0; i < 24 && !error; i++)
			judge_act(&judge);
		judge_close(&judge);
		if (error == -ESTALE) {
			judge_end(&judge);
			return;
		}
		judge_replug(&judge);
	}
	*sim_disk_options(judge.disk) = (struct sim_disk_options){
		.hook = judge.disk_options.hook, .hook_context = &judge, .latency_ns = 1};
	if (judge_open(&judge) == 0) {
		judge_close(&judge);
		assert_int_equal(judge_open(&judge), 0);
	}
	judge_close(&judge);
	judge_end(&judge);
}

static void log__keeps_what_it_acknowledged(void **state)
{
	uint64_t seed = number_of("SEED", 0), count = number_of("SEEDS", SEEDS);

	(void)state;
	if (seed > 0) {
		try_seed(seed);
		return;
	}
	for (seed = 1; seed <= count; seed++)
		try_seed(seed);
	print_message("%llu cuts, %llu recoveries, %llu stores refused, %llu lost track of, "
		      "%llu records read\n",
		      (unsigned long long)judge.cuts, (unsigned long long)judge.recoveries,
		      (unsigned long long)judge.refused, (unsigned long long)judge.given_up,
		      (unsigned long long)judge.read);
}

int main(void)
{
	const struct heap_options options = {.bytes_max = 64u << 20,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log__keeps_what_it_acknowledged),
	};
	int failures;

	if (!getenv("SEED"))
		judge_hush();
	assert_int_equal(heap_create(&judge.heap, &options), 0);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	heap_destroy(judge.heap);
	return failures;
}
