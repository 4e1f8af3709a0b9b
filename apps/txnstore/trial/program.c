/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/check/bank.h"
#include "txnstore/check/graph.h"
#include "txnstore/check/register.h"

#define PAUSE_NS UINT64_C(3000000)
/* So many keys at a time, and others after so many values: what is judged grows with the values of a key. */
#define KEYS 6u
#define KEYS_VALUES 1024u
#define KEY_BYTES 64u
#define TRANSFERS 0.7

static void next_step(struct run *run);
static void begin_later(struct run *run);

static uint16_t key_text(const struct run *run, uint64_t key, char text[KEY_BYTES])
{
	return (uint16_t)snprintf(text, KEY_BYTES, "%skey%u", run->program->prefix, (unsigned)key);
}

static uint64_t now_of(const struct program *program)
{
	return program->stage.now(program->stage.context);
}

static uint64_t clock_of(const struct run *run)
{
	return run->program->stage.clock(run->program->stage.context, run->client);
}

static uint64_t some_key(struct program *program)
{
	return program->last_value / KEYS_VALUES * KEYS + random_below(&program->random, KEYS);
}

/* ---- History ---- */

static void record(struct run *run, enum history_outcome outcome)
{
	struct program *program = run->program;
	struct history_txn txn = {.client = run->client,
				  .outcome = outcome,
				  .begin_ns = run->begin_ns,
				  .end_ns = HISTORY_NEVER};

	if (run->step == 0)
		return; /* not even a read has come */
	if (outcome != HISTORY_UNKNOWN)
		txn.end_ns = now_of(program);
	if (history_add(&program->history, &txn, run->ops, run->step, run->lists) != 0)
		program->failed = true;
	program->committed += outcome == HISTORY_COMMITTED;
	program->aborted += outcome == HISTORY_ABORTED;
	program->unknown += outcome == HISTORY_UNKNOWN;
}

static void ended(void *context, struct transaction *transaction, enum outcome outcome)
{
	struct run *run = context;

	(void)transaction;
	run->transaction = NULL;
	record(run, outcome == OUTCOME_COMMITTED                            ? HISTORY_COMMITTED
		    : outcome == OUTCOME_ABORTED || outcome == OUTCOME_FULL ? HISTORY_ABORTED
									    : HISTORY_UNKNOWN);
	if (outcome == OUTCOME_COMMITTED)
		run->program->is_set_up = true;
	begin_later(run);
}

/* Nobody has heard of it but this client. */
static void give_up(struct run *run)
{
	txn_abort(run->transaction);
	run->transaction = NULL;
	record(run, HISTORY_ABORTED);
	begin_later(run);
}

/* ---- What reads bring ---- */

static bool keep_list(struct run *run, const void *elements, size_t count)
{
	size_t room = run->list_count + count;

	if (room > run->list_room) {
		uint64_t *lists = realloc(run->lists, 2 * room * sizeof(*lists));

		if (!lists)
			return false;
		run->lists = lists;
		run->list_room = 2 * room;
	}
	if (count)
		memcpy(run->lists + run->list_count, elements, count * sizeof(*run->lists));
	run->list_count += count;
	return true;
}

static void append(struct run *run, struct history_op *op, const void *value, uint32_t len)
{
	uint8_t *longer = malloc(len + sizeof(op->value));
	char key[KEY_BYTES];
	uint16_t key_len = key_text(run, op->key, key);

	if (!longer) {
		run->program->failed = true;
		return;
	}
	if (len)
		memcpy(longer, value, len);
	memcpy(longer + len, &op->value, sizeof(op->value));
	if (txn_put(run->transaction, key, key_len, longer, len + (uint32_t)sizeof(op->value)) != 0)
		run->program->failed = true;
	free(longer);
}

static void take_value(struct run *run, struct history_op *op, const void *value, uint32_t len)
{
	switch (op->kind) {
	case HISTORY_READ:
		op->value = 0;
		if (len >= sizeof(op->value))
			memcpy(&op->value, value, sizeof(op->value));
		break;
	case HISTORY_READ_LIST:
		op->first = run->list_count;
		op->count = len / 8;
		if (!keep_list(run, value, len / 8))
			run->program->failed = true;
		break;
	case HISTORY_APPEND:
		append(run, op, value, len);
		break;
	case HISTORY_WRITE:
		break;
	}
}

static void got(void *context, struct transaction *transaction, enum txn_got how, const void *value,
		uint32_t len)
{
	struct run *run = context;

	(void)transaction;
	if (how != TXN_FOUND && how != TXN_ABSENT) {
		give_up(run);
		return;
	}
	take_value(run, &run->ops[run->step], value, len);
	run->step++;
	next_step(run);
}

/* ---- Steps ---- */

static void put_value(struct run *run, const struct history_op *op)
{
	char key[KEY_BYTES];
	uint16_t key_len = key_text(run, op->key, key);

	if (txn_put(run->transaction, key, key_len, &op->value, sizeof(op->value)) != 0)
		run->program->failed = true;
}

/* From the balances that were read to those that are written. */
static void transfer(struct run *run)
{
	uint64_t amount = 1 + random_below(&run->program->random, 5);

	run->is_transfer = false;
	run->count = 4;
	run->ops[2] = (struct history_op){
		.kind = HISTORY_WRITE, .key = run->ops[0].key, .value = run->ops[0].value - amount};
	run->ops[3] = (struct history_op){
		.kind = HISTORY_WRITE, .key = run->ops[1].key, .value = run->ops[1].value + amount};
}

static void commit(struct run *run)
{
	run->is_committing = true;
	if (txn_commit(run->transaction, clock_of(run), ended, run) != 0) {
		run->program->failed = true;
		run->transaction = NULL;
	}
}

static void next_step(struct run *run)
{
	struct program *program = run->program;

	if (run->step == run->count && run->is_transfer)
		transfer(run);
	while (run->step < run->count && run->ops[run->step].kind == HISTORY_WRITE)
		put_value(run, &run->ops[run->step++]);
	if (run->step < run->count) {
		char key[KEY_BYTES];
		uint16_t key_len = key_text(run, run->ops[run->step].key, key);

		if (txn_get(run->transaction, clock_of(run), key, key_len, got, run) != 0)
			program->failed = true;
		return;
	}
	commit(run);
}

/* ---- Transactions ---- */

static void make_bank(struct run *run)
{
	struct program *program = run->program;
	uint64_t from = random_below(&program->random, PROGRAM_ACCOUNTS);
	uint64_t to = random_below(&program->random, PROGRAM_ACCOUNTS - 1);

	if (!program->is_set_up || !random_chance(&program->random, TRANSFERS)) {
		run->count = PROGRAM_ACCOUNTS;
		for (uint32_t i = 0; i < PROGRAM_ACCOUNTS; i++)
			run->ops[i] = (struct history_op){
				.kind = program->is_set_up ? HISTORY_READ : HISTORY_WRITE,
				.key = i,
				.value = PROGRAM_BALANCE,
			};
		return;
	}
	run->is_transfer = true;
	run->count = 2;
	run->ops[0] = (struct history_op){.kind = HISTORY_READ, .key = from};
	run->ops[1] = (struct history_op){.kind = HISTORY_READ, .key = to + (to >= from)};
}

static void make_graph(struct run *run)
{
	struct program *program = run->program;

	run->count = 1 + (uint32_t)random_below(&program->random, 4);
	for (uint32_t i = 0; i < run->count; i++) {
		bool reads = random_chance(&program->random, 0.5);

		run->ops[i] = (struct history_op){
			.kind = reads ? HISTORY_READ_LIST : HISTORY_APPEND,
			.key = some_key(program),
			.value = reads ? 0 : ++program->last_value,
		};
	}
}

static void make_register(struct run *run)
{
	struct program *program = run->program;
	bool reads = random_chance(&program->random, 0.5);

	run->count = 1;
	run->ops[0] = (struct history_op){
		.kind = reads ? HISTORY_READ : HISTORY_WRITE,
		.key = some_key(program),
		.value = reads ? 0 : ++program->last_value,
	};
}

void program_due(struct program *program, uint32_t client, uint64_t number)
{
	const struct stage *stage = &program->stage;
	struct run *run = &program->runs[client];

	if (run->transaction || number != run->waits || now_of(program) >= program->until_ns)
		return;
	/* The first sets up the accounts for all. */
	if (program->kind == PROGRAM_BANK && !program->is_set_up && run->client != 0) {
		begin_later(run);
		return;
	}
	run->begin_ns = now_of(program);
	run->step = 0;
	run->list_count = 0;
	run->is_transfer = false;
	run->is_committing = false;
	if (program->kind == PROGRAM_BANK)
		make_bank(run);
	else if (program->kind == PROGRAM_GRAPH)
		make_graph(run);
	else
		make_register(run);
	run->transaction = txn_begin(stage->client(stage->context, client), clock_of(run));
	if (!run->transaction) {
		program->failed = true;
		return;
	}
	next_step(run);
	stage->changed(stage->context, client);
}

static void begin_later(struct run *run)
{
	const struct stage *stage = &run->program->stage;

	stage->later(stage->context, run->client,
		     1 + random_below(&run->program->random, 2 * PAUSE_NS), ++run->waits);
}

void program_client_up(struct program *program, uint32_t client)
{
	program->runs[client].transaction = NULL;
	begin_later(&program->runs[client]);
}

/* What it was about to commit may be committed, for all that anybody knows. */
void program_client_down(struct program *program, uint32_t client)
{
	struct run *run = &program->runs[client];

	run->waits++; /* what it was to begin, it does not */
	if (!run->transaction)
		return;
	record(run, run->is_committing ? HISTORY_UNKNOWN : HISTORY_ABORTED);
	run->transaction = NULL;
}

/* ---- The whole ---- */

void program_end(struct program *program)
{
	for (uint32_t i = 0; i < program->stage.clients; i++)
		program_client_down(program, i);
}

bool program_is_busy(const struct program *program)
{
	for (uint32_t i = 0; i < program->stage.clients; i++)
		if (program->runs[i].transaction)
			return true;
	return false;
}

int program_judge(const struct program *program, char *why, size_t why_bytes, size_t *judged_out)
{
	struct graph_judged graph = {.reads = 0};
	int outcome;

	switch (program->kind) {
	case PROGRAM_BANK:
		return check_bank(&program->history, PROGRAM_ACCOUNTS,
				  (int64_t)PROGRAM_ACCOUNTS * PROGRAM_BALANCE, why, why_bytes,
				  judged_out);
	case PROGRAM_GRAPH:
		outcome = check_graph(&program->history, why, why_bytes, &graph);
		*judged_out = graph.reads;
		return outcome;
	case PROGRAM_REGISTER:
		return check_register(&program->history, why, why_bytes, judged_out);
	}
	return -EINVAL;
}

void program_init(struct program *program, enum program_kind kind, const struct stage *stage,
		  const char *prefix, uint64_t until_ns, uint64_t seed)
{
	*program = (struct program){
		.kind = kind, .stage = *stage, .random = {.state = seed}, .until_ns = until_ns};
	snprintf(program->prefix, sizeof(program->prefix), "%s", prefix);
	history_init(&program->history);
	for (uint32_t i = 0; i < PROGRAM_CLIENTS_MAX; i++) {
		program->runs[i].program = program;
		program->runs[i].client = i;
	}
}

void program_destroy(struct program *program)
{
	history_destroy(&program->history);
	for (uint32_t i = 0; i < PROGRAM_CLIENTS_MAX; i++)
		free(program->runs[i].lists);
}

void program_begin(struct program *program)
{
	for (uint32_t i = 0; i < program->stage.clients; i++)
		begin_later(&program->runs[i]);
}
