/* SPDX-License-Identifier: MIT */
/*
 * The power fails at every write of short pieces of work, with every prefix and, where these are not
 * too many, every subset of the blocks that may be lost, whole and torn. Then the log goes on, and
 * the power fails again.
 */
#include <stdio.h>

#include "log_judge.h"

#define PENDING_MAX 4096u
#define SUBSETS_OF 6u /* blocks of which all subsets are tried */
#define SOME_SUBSETS 24u
#define WORKS 8u

struct work {
	uint64_t seed;
	uint64_t bytes;
	uint32_t block_bytes;
	uint32_t acts;
	uint32_t changes; /* of the catalogue, in front: near the end of its region */
};

static struct judge judge;
static uint64_t kept[PENDING_MAX / 64], torn[PENDING_MAX / 64];

static void prepare(const struct work *work)
{
	const struct sim_disk_options options = {.latency_ns = 1000,
						 .memory_alignment = work->seed % 2 ? 4 : 512};
	struct judge_log *log;

	judge_begin(&judge, work->seed, work->bytes, work->block_bytes, &options);
	judge.no_huge = work->seed % 4 != 0;
	assert_int_equal(judge_open(&judge), 0);
	log = judge_create(&judge);
	for (uint32_t i = 0; i < work->changes; i++)
		judge_rename(&judge, log, (log->name + 1) % JUDGE_NAMES);
	judge.writes = 0;
}

static void act(const struct work *work)
{
	for (uint32_t i = 0; i < work->acts; i++)
		judge_act(&judge);
	judge_close(&judge);
}

/* Which blocks are kept is known only once the power fails: number @which of the ways. */
static void choose(size_t count, uint64_t which)
{
	uint64_t random = which * 0x9e3779b97f4a7c15;

	memset(kept, 0, sizeof(kept));
	memset(torn, 0, sizeof(torn));
	for (size_t i = 0; i < count && i < PENDING_MAX; i++) {
		bool is_kept, is_torn = false;

		random = random * 6364136223846793005 + 1442695040888963407;
		if (which <= count) {
			is_kept = i < which; /* a prefix, its last block torn every other time */
			is_torn = is_kept && i + 1 == which && judge.cut_at % 2;
		} else if (count <= SUBSETS_OF) {
			is_kept = (which - count - 1) >> i & 1;
		} else {
			is_kept = random >> 33 & 1;
			is_torn = (random >> 40) % 8 == 0;
		}
		kept[i / 64] |= (uint64_t)is_kept << i % 64;
		torn[i / 64] |= (uint64_t)is_torn << i % 64;
	}
	judge.cut = (struct sim_disk_cut){.kept = kept, .torn = torn, .torn_pieces = random >> 7};
}

static uint64_t ways(size_t count)
{
	if (count <= SUBSETS_OF)
		return count + 1 + (1u << count);
	/* Not all of the prefixes of a large write. */
	return count + 1 + SOME_SUBSETS;
}

/* Once more, with other mishaps; and at last without. */
static void go_on(uint64_t which)
{
	judge.cut_at = judge.writes + 1 + which % 7;
	if (judge_open(&judge) == 0) {
		for (int i = 0; i < 6; i++)
			judge_act(&judge);
	}
	judge_close(&judge);
	judge_replug(&judge);
	assert_int_equal(judge_open(&judge), 0);
	for (int i = 0; i < 4; i++)
		judge_act(&judge);
	judge_close(&judge);
	assert_int_equal(judge_open(&judge), 0);
	judge_close(&judge);
}

/* How many blocks may be lost then. Set by the first try, which keeps none of them. */
static size_t run(const struct work *work, uint64_t write, size_t count, uint64_t which)
{
	size_t pending;

	prepare(work);
	judge.cut_at = write;
	choose(count, which);
	/* Short of the cut itself nothing depends on which blocks are kept. */
	judge.cut_pending = 0;
	act(work);
	pending = judge.cut_pending;
	judge_replug(&judge);
	assert_int_equal(judge_open(&judge), 0);
	for (int i = 0; i < 4; i++)
		judge_act(&judge);
	judge_close(&judge);
	go_on(which);
	judge_end(&judge);
	return pending;
}

static void try_work(const struct work *work)
{
	uint64_t writes;

	prepare(work);
	act(work);
	writes = judge.writes;
	assert_int_equal(judge_open(&judge), 0);
	judge_close(&judge);
	judge_end(&judge);
	for (uint64_t write = 1; write <= writes; write++) {
		size_t count = run(work, write, 0, 0);
		uint64_t which, all = ways(count), stride = all / 96 + 1;

		for (which = 1; which < all; which += stride)
			run(work, write, count, which);
	}
}

static uint64_t seeds(void)
{
	const char *value = getenv("SEEDS");

	return value ? strtoull(value, NULL, 0) / 250 + 1 : WORKS;
}

static void cuts(uint32_t block_bytes, uint32_t changes)
{
	uint64_t count = seeds();

	for (uint64_t seed = 0; seed < count; seed++)
		try_work(&(struct work){
			.seed = 1000 * seed + block_bytes + changes,
			.bytes = 704u << 10,
			.block_bytes = block_bytes,
			.acts = 14,
			.changes = changes,
		});
	print_message("%llu cuts, %llu recoveries, %llu records read\n",
		      (unsigned long long)judge.cuts, (unsigned long long)judge.recoveries,
		      (unsigned long long)judge.read);
}

static void cut__at_every_write_of_blocks_of_512(void **state)
{
	(void)state;
	cuts(512, 0);
}

static void cut__at_every_write_of_blocks_of_4096(void **state)
{
	(void)state;
	cuts(4096, 0);
}

/* Regions have 31 blocks behind their header, and each change takes one. */
static void cut__while_the_catalogue_moves(void **state)
{
	(void)state;
	cuts(4096, 26);
}

int main(void)
{
	const struct heap_options options = {.bytes_max = 64u << 20,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut__at_every_write_of_blocks_of_512),
		cmocka_unit_test(cut__at_every_write_of_blocks_of_4096),
		cmocka_unit_test(cut__while_the_catalogue_moves),
	};
	int failures;

	judge_hush();
	assert_int_equal(heap_create(&judge.heap, &options), 0);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	heap_destroy(judge.heap);
	return failures;
}
