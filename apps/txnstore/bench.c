/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo/process.h"

#define TIMEOUT_NS (10 * NS_PER_S)
#define WAIT_NS (10 * NS_PER_MS)

static void begin(struct lane *lane);
static void go_on(struct lane *lane);

static uint64_t now_of(const struct bench *bench)
{
	return bench->net.links.now_ns;
}

static void fail(struct bench *bench, int error)
{
	if (!bench->error)
		bench->error = error;
}

/* ---- One transaction ---- */

static uint16_t key_of(struct bench *bench, uint64_t record)
{
	workload_key(&bench->options->workload, record, bench->key);
	return (uint16_t)bench->options->workload.key_bytes;
}

static void put(struct lane *lane, uint64_t record, uint64_t sequence)
{
	struct bench *bench = lane->bench;
	uint16_t key_len = key_of(bench, record);
	int error;

	workload_value(&bench->options->workload, record, sequence, bench->value);
	error = txn_put(lane->transaction, bench->key, key_len, bench->value,
			bench->options->workload.value_bytes);
	if (error)
		fail(bench, -error);
}

static void count(struct bench *bench, struct lane *lane, enum outcome outcome)
{
	if (!bench->is_measuring)
		return;
	if (outcome == OUTCOME_COMMITTED) {
		bench->committed++;
		latency_record(&bench->latency, now_of(bench) - lane->due_ns);
	} else if (outcome == OUTCOME_ABORTED) {
		bench->aborted++;
	} else {
		bench->unknown++;
	}
}

/* Where nobody answers for as long as a transaction may take, nothing is tried again. */
static void note_answer(struct bench *bench, bool is_one)
{
	if (is_one)
		bench->answered_ns = now_of(bench);
	else if (now_of(bench) - bench->answered_ns >= TIMEOUT_NS)
		fail(bench, ETIMEDOUT);
}

/* What was aborted is tried again: its latency counts from when it was due. */
static void try_again(struct lane *lane)
{
	if (!lane->bench->is_loading)
		workload_renew(&lane->workload, &lane->txn);
	lane->step = 0;
	begin(lane);
}

static void ended(void *context, struct transaction *transaction, enum outcome outcome)
{
	struct lane *lane = context;
	struct bench *bench = lane->bench;

	(void)transaction;
	lane->transaction = NULL;
	note_answer(bench, outcome != OUTCOME_UNKNOWN);
	if (outcome == OUTCOME_FULL) {
		fail(bench, ENOSPC);
		lane->is_busy = false;
		return;
	}
	count(bench, lane, outcome);
	if (outcome == OUTCOME_ABORTED && !bench->is_ending) {
		try_again(lane);
		return;
	}
	/* The record may be there or not: once more does no harm. */
	if (bench->is_loading && outcome != OUTCOME_COMMITTED && !bench->is_ending) {
		try_again(lane);
		return;
	}
	bench->loaded += bench->is_loading;
	lane->is_busy = false;
}

static void give_up(struct lane *lane)
{
	txn_abort(lane->transaction);
	lane->transaction = NULL;
	count(lane->bench, lane, OUTCOME_ABORTED);
	if (lane->bench->is_ending)
		lane->is_busy = false;
	else
		try_again(lane);
}

static void got(void *context, struct transaction *transaction, enum txn_got how, const void *value,
		uint32_t len)
{
	struct lane *lane = context;
	struct bench *bench = lane->bench;
	const struct workload_op *op = &lane->txn.ops[lane->step];

	(void)transaction;
	note_answer(bench, how != TXN_TIMEOUT);
	if (how != TXN_FOUND && how != TXN_ABSENT) {
		give_up(lane);
		return;
	}
	bench->reads++;
	if (how == TXN_ABSENT)
		bench->absent++;
	else if (!workload_value_check(&bench->options->workload, op->record, value, len, NULL))
		bench->wrong++;
	if (op->kind == WORKLOAD_GET_PUT)
		put(lane, op->record, op->sequence);
	lane->step++;
	go_on(lane);
}

static void commit(struct lane *lane)
{
	int error = txn_commit(lane->transaction, now_of(lane->bench), ended, lane);

	if (error) {
		fail(lane->bench, -error);
		lane->transaction = NULL;
		lane->is_busy = false;
	}
}

static void go_on(struct lane *lane)
{
	struct bench *bench = lane->bench;
	const struct workload_op *op = &lane->txn.ops[lane->step];
	uint16_t key_len;
	int error;

	for (; lane->step < lane->txn.op_count && op->kind == WORKLOAD_PUT; op++, lane->step++)
		put(lane, op->record, op->sequence);
	if (lane->step == lane->txn.op_count) {
		commit(lane);
		return;
	}
	key_len = key_of(bench, op->record);
	error = txn_get(lane->transaction, now_of(bench), bench->key, key_len, got, lane);
	if (error)
		fail(bench, -error);
}

static void begin(struct lane *lane)
{
	struct bench *bench = lane->bench;

	lane->is_busy = true;
	lane->transaction = txn_begin(&bench->net.txns, now_of(bench));
	if (!lane->transaction) {
		fail(bench, ENOMEM);
		lane->is_busy = false;
		return;
	}
	if (bench->is_loading) {
		put(lane, lane->loading, WORKLOAD_SEQUENCE_FIRST);
		commit(lane);
	} else {
		go_on(lane);
	}
}

/* ---- All of them ---- */

/* Return: 0, an errno; EINTR where it was told to end. */
static int poll_once(struct bench *bench, uint64_t wait_ns)
{
	int error = net_client_poll(&bench->net, wait_ns);

	if (process_stop_requests())
		return EINTR;
	return error == EINTR ? 0 : error ? error : bench->error;
}

static bool any_busy(const struct bench *bench)
{
	for (uint32_t i = 0; i < bench->options->lanes; i++)
		if (bench->lanes[i].is_busy)
			return true;
	return false;
}

static int finish(struct bench *bench)
{
	int error = 0;

	bench->is_ending = true;
	while (!error && any_busy(bench))
		error = poll_once(bench, WAIT_NS);
	bench->is_ending = false;
	return error;
}

static void tell_progress(const struct bench *bench, uint64_t *next_ns)
{
	uint64_t records = bench->options->workload.records;
	unsigned percent = (unsigned)(bench->loaded * 100 / records);

	if (!isatty(STDERR_FILENO) || now_of(bench) < *next_ns)
		return;
	*next_ns = now_of(bench) + NS_PER_S / 10;
	fprintf(stderr, "\rloading [%-50.*s] %3u %%", (int)(percent / 2),
		"##################################################", percent);
	if (bench->loaded == records)
		fputc('\n', stderr);
}

int bench_load(struct bench *bench)
{
	uint64_t records = bench->options->workload.records, next_ns = 0;
	int error = 0;

	bench->is_loading = true;
	bench->answered_ns = now_of(bench);
	while (!error && bench->loaded < records) {
		for (uint32_t i = 0; i < bench->options->lanes; i++) {
			struct lane *lane = &bench->lanes[i];

			if (lane->is_busy || bench->next_record == records)
				continue;
			lane->loading = bench->next_record++;
			begin(lane);
		}
		error = poll_once(bench, WAIT_NS);
		tell_progress(bench, &next_ns);
	}
	next_ns = 0;
	tell_progress(bench, &next_ns);
	bench->is_loading = false;
	return error;
}

static int begin_due(struct bench *bench)
{
	for (uint32_t i = 0; i < bench->options->lanes; i++) {
		struct lane *lane = &bench->lanes[i];
		int error;

		if (lane->is_busy)
			continue;
		if (pacer_due(&bench->pacer, now_of(bench)) > now_of(bench))
			return 0;
		error = workload_next(&lane->workload, &lane->txn);
		if (error)
			return -error;
		lane->due_ns = pacer_take(&bench->pacer, now_of(bench));
		lane->step = 0;
		begin(lane);
	}
	return 0;
}

static uint64_t wait_of(const struct bench *bench)
{
	uint64_t due_ns = pacer_due(&bench->pacer, now_of(bench)), now_ns = now_of(bench);

	if (bench->options->pacing == PACER_CLOSED)
		return WAIT_NS;
	return due_ns <= now_ns ? WAIT_NS : due_ns - now_ns < WAIT_NS ? due_ns - now_ns : WAIT_NS;
}

static int run_until(struct bench *bench, uint64_t until_ns)
{
	int error = 0;

	while (!error && now_of(bench) < until_ns) {
		error = begin_due(bench);
		if (!error)
			error = poll_once(bench, wait_of(bench));
	}
	return error;
}

int bench_run(struct bench *bench)
{
	const struct bench_options *options = bench->options;
	uint64_t start_ns;
	int error;

	bench->net.links.now_ns = start_ns = process_now_ns();
	bench->answered_ns = start_ns;
	error = -pacer_init(&bench->pacer, options->pacing, options->rate ? options->rate : 1,
			    start_ns, options->seed);
	if (!error)
		error = run_until(bench, start_ns + options->warm_ns);
	bench->is_measuring = true;
	bench->began_ns = now_of(bench);
	if (!error)
		error = run_until(bench, start_ns + options->warm_ns + options->run_ns);
	bench->ended_ns = now_of(bench);
	bench->is_measuring = false;
	return error ? error : finish(bench);
}

int bench_init(struct bench *bench, const struct bench_options *options,
	       const struct cluster *cluster)
{
	int error;

	*bench = (struct bench){.options = options};
	latency_init(&bench->latency);
	bench->lanes = calloc(options->lanes, sizeof(*bench->lanes));
	bench->value = malloc(options->workload.value_bytes);
	bench->key = malloc(options->workload.key_bytes);
	if (!bench->lanes || !bench->value || !bench->key)
		return ENOMEM;
	for (uint32_t i = 0; i < options->lanes; i++) {
		bench->lanes[i].bench = bench;
		error = workload_init(&bench->lanes[i].workload, &options->workload, i,
				      options->lanes, options->seed);
		if (error)
			return -error;
	}
	return net_client_init(&bench->net, cluster, TIMEOUT_NS);
}

void bench_destroy(struct bench *bench)
{
	if (bench->net.cluster)
		net_client_destroy(&bench->net);
	free(bench->lanes);
	free(bench->value);
	free(bench->key);
}
