/* SPDX-License-Identifier: MIT */
/* What transactions come: mixes within five standard deviations, shapes always. Seeds are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define TXNS 20000

static struct workload_config parsed(const char *name)
{
	char message[WORKLOAD_MESSAGE_MAX];
	struct workload_config config;

	assert_int_equal(workload_parse(name, &config, message), 0);
	return config;
}

static struct workload started(const struct workload_config *config)
{
	struct workload workload;

	assert_int_equal(workload_init(&workload, config, 0, 1, 1), 0);
	return workload;
}

/* That so many of @total are @percent of them, as chance would have it. */
static void assert_percent(uint64_t count, uint64_t total, uint32_t percent)
{
	double probability = percent / 100.0;
	double mean = (double)total * probability;
	double bound = 5.0 * sqrt(mean * (1.0 - probability));

	if (fabs((double)count - mean) > bound)
		fail_msg("%.0f of %.0f, expected %.0f, at most %.0f apart", (double)count,
			 (double)total, mean, bound);
}

static void assert_well_formed(const struct workload_txn *txn)
{
	assert_in_range(txn->op_count, 1, WORKLOAD_OPS_MAX);
	for (uint32_t i = 0; i < txn->op_count; i++) {
		assert_int_equal(txn->ops[i].sequence == 0, txn->ops[i].kind == WORKLOAD_GET);
		for (uint32_t j = 0; j < i; j++)
			assert_true(txn->ops[i].record != txn->ops[j].record);
	}
}

/* Everything that comes of it, in numbers. */
struct seen {
	uint64_t ops, inserts, updates;
	uint64_t kinds[WORKLOAD_GET_PUT + 1];
	uint64_t txns[WORKLOAD_TXN_KINDS];
};

static struct seen run(struct workload *workload, int txns)
{
	struct seen seen = {0};
	struct workload_txn txn;

	for (int i = 0; i < txns; i++) {
		uint64_t known = workload->config.records + workload->inserted;
		assert_int_equal(workload_next(workload, &txn), 0);
		assert_well_formed(&txn);
		seen.txns[txn.kind]++;
		seen.ops += txn.op_count;
		for (uint32_t j = 0; j < txn.op_count; j++) {
			const struct workload_op *op = &txn.ops[j];
			bool insert = op->kind == WORKLOAD_PUT && op->record >= known;
			seen.kinds[op->kind]++;
			seen.inserts += insert;
			seen.updates += op->kind == WORKLOAD_PUT && !insert;
		}
	}
	return seen;
}

static void workload__mixes_of_ycsb(void **state)
{
	static const struct {
		const char *name;
		uint32_t reads, updates, inserts, read_modify_writes;
	} mixes[] = {
		{"ycsb-a", 50, 50, 0, 0}, {"ycsb-b", 95, 5, 0, 0},  {"ycsb-c", 100, 0, 0, 0},
		{"ycsb-d", 95, 0, 5, 0},  {"ycsb-f", 50, 0, 0, 50}, {"ycsb-t", 0, 0, 0, 100},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
		struct workload_config config = parsed(mixes[i].name);
		struct workload workload = started(&config);
		struct seen seen = run(&workload, TXNS);
		assert_int_equal(seen.ops, TXNS);
		assert_percent(seen.kinds[WORKLOAD_GET], TXNS, mixes[i].reads);
		assert_percent(seen.updates, TXNS, mixes[i].updates);
		assert_percent(seen.inserts, TXNS, mixes[i].inserts);
		assert_percent(seen.kinds[WORKLOAD_GET_PUT], TXNS, mixes[i].read_modify_writes);
		assert_int_equal(seen.inserts, workload.inserted);
	}
}

/* Lengths from 1 to 100, each about as often; numbers in a row, after the last the first. */
static void workload__scans_of_ycsb_e(void **state)
{
	struct workload_config config = parsed("ycsb-e");
	int lengths[WORKLOAD_SCAN_MAX + 1] = {0};
	struct workload workload;
	struct workload_txn txn;
	int scans = 0;

	(void)state;
	config.records = 1000;
	workload = started(&config);
	for (int i = 0; i < TXNS; i++) {
		uint64_t known = 1000 + workload.inserted;
		assert_int_equal(workload_next(&workload, &txn), 0);
		if (txn.kind != WORKLOAD_TXN_SCAN) {
			assert_int_equal(txn.op_count, 1);
			assert_int_equal(txn.ops[0].kind, WORKLOAD_PUT);
			assert_int_equal(txn.ops[0].record, known);
			continue;
		}
		scans++;
		lengths[txn.op_count]++;
		for (uint32_t j = 0; j < txn.op_count; j++) {
			assert_int_equal(txn.ops[j].kind, WORKLOAD_GET);
			assert_int_equal(txn.ops[j].record, (txn.ops[0].record + j) % known);
		}
	}
	assert_percent((uint64_t)scans, TXNS, 95);
	for (int i = 1; i <= WORKLOAD_SCAN_MAX; i++)
		assert_percent((uint64_t)lengths[i], (uint64_t)scans, 1);
}

static void workload__scans_of_few_records_get_all(void **state)
{
	struct workload_config config = parsed("ycsb-e");
	struct workload workload;

	(void)state;
	config.records = 3;
	workload = started(&config);
	run(&workload, 1000);
}

/* What a transaction of Retwis does, by its kind. */
static void check_retwis(const struct workload_txn *txn)
{
	static const uint32_t gets[] = {0, 0, 1, 2, 3}, puts[] = {0, 0, 3, 2, 5};
	uint32_t got = 0, put = 0;

	assert_in_range(txn->kind, WORKLOAD_TXN_ADD_USER, WORKLOAD_TXN_LOAD_TIMELINE);
	for (uint32_t i = 0; i < txn->op_count; i++) {
		got += txn->ops[i].kind != WORKLOAD_PUT;
		put += txn->ops[i].kind != WORKLOAD_GET;
	}
	if (txn->kind == WORKLOAD_TXN_LOAD_TIMELINE) {
		assert_in_range(got, 1, 10);
		assert_int_equal(put, 0);
		return;
	}
	assert_int_equal(got, gets[txn->kind]);
	assert_int_equal(put, puts[txn->kind]);
}

static void workload__retwis_has_its_mix_and_shapes(void **state)
{
	struct workload_config config = parsed("retwis");
	uint64_t kinds[WORKLOAD_TXN_KINDS] = {0};
	uint64_t timelines[11] = {0};
	struct workload workload;
	struct workload_txn txn;

	(void)state;
	config.distribution = DISTRIBUTION_SCRAMBLED;
	workload = started(&config);
	for (int i = 0; i < TXNS; i++) {
		assert_int_equal(workload_next(&workload, &txn), 0);
		assert_well_formed(&txn);
		check_retwis(&txn);
		kinds[txn.kind]++;
		if (txn.kind == WORKLOAD_TXN_LOAD_TIMELINE)
			timelines[txn.op_count]++;
	}
	assert_percent(kinds[WORKLOAD_TXN_ADD_USER], TXNS, 5);
	assert_percent(kinds[WORKLOAD_TXN_FOLLOW], TXNS, 15);
	assert_percent(kinds[WORKLOAD_TXN_POST_TWEET], TXNS, 30);
	assert_percent(kinds[WORKLOAD_TXN_LOAD_TIMELINE], TXNS, 50);
	for (int i = 1; i <= 10; i++)
		assert_percent(timelines[i], kinds[WORKLOAD_TXN_LOAD_TIMELINE], 10);
}

/* The latest record of a thousand is the most popular one, with 13 % of the reads. */
static void workload__ycsb_d_reads_the_latest(void **state)
{
	struct workload_config config = parsed("ycsb-d");
	uint64_t latest = 0, reads = 0;
	struct workload workload;
	struct workload_txn txn;

	(void)state;
	config.records = 1000;
	workload = started(&config);
	for (int i = 0; i < TXNS; i++) {
		uint64_t last = 999 + workload.inserted;
		assert_int_equal(workload_next(&workload, &txn), 0);
		if (txn.ops[0].kind != WORKLOAD_GET)
			continue;
		assert_true(txn.ops[0].record <= last);
		reads++;
		latest += txn.ops[0].record == last;
	}
	assert_in_range(latest * 1000 / reads, 110, 140);
}

/* Even where a transaction takes nearly or exactly all there are, of which few are popular. */
static void workload__records_of_a_transaction_differ(void **state)
{
	static const char *const names[] = {"ycsb-a", "ycsb-d", "ycsb-t"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct workload_config config = parsed(names[i]);
		struct workload workload;
		config.theta = ZIPF_THETA_MAX;
		config.operations = WORKLOAD_OPS_MAX;
		config.records = WORKLOAD_OPS_MAX;
		workload = started(&config);
		assert_int_equal(run(&workload, 50).ops, 50 * WORKLOAD_OPS_MAX);
	}
}

static void workload__follows_from_client_and_seed(void **state)
{
	struct workload_config config = parsed("ycsb-a");
	struct workload one, same, client, seed;
	struct workload_txn txn, other;
	int alike = 0;

	(void)state;
	assert_int_equal(workload_init(&one, &config, 0, 2, 1), 0);
	assert_int_equal(workload_init(&same, &config, 0, 2, 1), 0);
	assert_int_equal(workload_init(&client, &config, 1, 2, 1), 0);
	assert_int_equal(workload_init(&seed, &config, 0, 2, 2), 0);
	for (int i = 0; i < 1000; i++) {
		workload_next(&one, &txn);
		workload_next(&same, &other);
		assert_int_equal(txn.ops[0].kind, other.ops[0].kind);
		assert_int_equal(txn.ops[0].record, other.ops[0].record);
		assert_int_equal(txn.ops[0].sequence, other.ops[0].sequence);
		workload_next(&client, &other);
		alike += txn.ops[0].record == other.ops[0].record;
		workload_next(&seed, &other);
		alike += txn.ops[0].record == other.ops[0].record;
	}
	assert_in_range(alike, 0, 40);
}

#define CLIENTS 3
#define SEQUENCES 20000

/* Three clients at once: no record is inserted twice, no sequence number dealt out twice. */
static void workload__clients_do_not_meet(void **state)
{
	struct workload_config config = parsed("ycsb-d");
	static uint8_t inserted[SEQUENCES], dealt[SEQUENCES];
	struct workload clients[CLIENTS];
	struct workload_txn txn;

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++)
		assert_int_equal(workload_init(&clients[i], &config, i, CLIENTS, 1), 0);
	for (int i = 0; i < TXNS; i++) {
		assert_int_equal(workload_next(&clients[i % CLIENTS], &txn), 0);
		if (txn.ops[0].kind == WORKLOAD_GET)
			continue;
		assert_in_range(txn.ops[0].record, config.records, config.records + SEQUENCES - 1);
		assert_int_equal(inserted[txn.ops[0].record - config.records]++, 0);
		assert_in_range(txn.ops[0].sequence, 1, SEQUENCES - 1);
		assert_int_equal(dealt[txn.ops[0].sequence]++, 0);
	}
}

/* A client reads what is there from the beginning and what it has inserted itself, nothing else. */
static void workload__reads_no_other_clients_inserts(void **state)
{
	struct workload_config config = parsed("ycsb-d");
	struct workload workload;
	struct workload_txn txn;
	int own = 0;

	(void)state;
	assert_int_equal(workload_init(&workload, &config, 2, 5, 1), 0);
	for (int i = 0; i < TXNS; i++) {
		uint64_t inserted = workload.inserted;
		assert_int_equal(workload_next(&workload, &txn), 0);
		if (txn.ops[0].record < config.records || txn.ops[0].kind != WORKLOAD_GET)
			continue;
		own++;
		assert_int_equal((txn.ops[0].record - config.records) % 5, 2);
		assert_true((txn.ops[0].record - config.records) / 5 < inserted);
	}
	assert_true(own > 1000);
}

static void workload__another_attempt_writes_other_values(void **state)
{
	struct workload_config config = parsed("retwis");
	struct workload workload = started(&config);
	struct workload_txn txn, again, next;

	(void)state;
	do
		assert_int_equal(workload_next(&workload, &txn), 0);
	while (txn.kind != WORKLOAD_TXN_POST_TWEET);
	again = txn;
	workload_renew(&workload, &again);
	assert_well_formed(&again);
	assert_int_equal(again.op_count, txn.op_count);
	for (uint32_t i = 0; i < txn.op_count; i++) {
		assert_int_equal(again.ops[i].record, txn.ops[i].record);
		assert_true(again.ops[i].sequence > txn.ops[txn.op_count - 1].sequence);
	}
	do
		assert_int_equal(workload_next(&workload, &next), 0);
	while (next.kind == WORKLOAD_TXN_LOAD_TIMELINE);
	assert_true(next.ops[0].sequence > again.ops[again.op_count - 1].sequence);
}

static void workload__inserts_end_with_the_keys(void **state)
{
	struct workload_config config = parsed("ycsb-d");
	struct workload workload;
	struct workload_txn txn;
	int error = 0;

	(void)state;
	config.key_bytes = 8;
	config.records = 9990;
	workload = started(&config);
	for (int i = 0; i < TXNS && !error; i++)
		error = workload_next(&workload, &txn);
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(txn.op_count, 0);
	assert_int_equal(workload.inserted, 10);
}

static void workload__refuses_wrong_clients_and_configurations(void **state)
{
	struct workload_config config = parsed("ycsb-d");
	struct workload workload;

	(void)state;
	assert_int_equal(workload_init(&workload, &config, 0, 0, 1), -EINVAL);
	assert_int_equal(workload_init(&workload, &config, 3, 3, 1), -EINVAL);
	assert_int_equal(workload_init(&workload, &config, 0, WORKLOAD_CLIENTS_MAX + 1, 1),
			 -EINVAL);
	config.records = 0;
	assert_int_equal(workload_init(&workload, &config, 0, 1, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workload__mixes_of_ycsb),
		cmocka_unit_test(workload__scans_of_ycsb_e),
		cmocka_unit_test(workload__scans_of_few_records_get_all),
		cmocka_unit_test(workload__retwis_has_its_mix_and_shapes),
		cmocka_unit_test(workload__ycsb_d_reads_the_latest),
		cmocka_unit_test(workload__records_of_a_transaction_differ),
		cmocka_unit_test(workload__follows_from_client_and_seed),
		cmocka_unit_test(workload__clients_do_not_meet),
		cmocka_unit_test(workload__reads_no_other_clients_inserts),
		cmocka_unit_test(workload__another_attempt_writes_other_values),
		cmocka_unit_test(workload__inserts_end_with_the_keys),
		cmocka_unit_test(workload__refuses_wrong_clients_and_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
