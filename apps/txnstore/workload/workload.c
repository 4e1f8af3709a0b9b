/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <errno.h>
#include <stdbool.h>

/* So often is a record drawn anew that the transaction has already. */
#define REDRAWS_MAX 32

#define TIMELINE_MAX 10

struct retwis {
	enum workload_txn_kind kind;
	uint32_t percent;
	uint32_t gets; /* the first of those put; of a timeline it is a random number */
	uint32_t puts;
};

static const struct retwis retwis_mix[] = {
	{WORKLOAD_TXN_ADD_USER, 5, 1, 3},
	{WORKLOAD_TXN_FOLLOW, 15, 2, 2},
	{WORKLOAD_TXN_POST_TWEET, 30, 3, 5},
	{WORKLOAD_TXN_LOAD_TIMELINE, 50, 0, 0},
};

int workload_init(struct workload *workload, const struct workload_config *config, uint32_t client,
		  uint32_t clients, uint64_t seed)
{
	char message[WORKLOAD_MESSAGE_MAX];

	if (clients > WORKLOAD_CLIENTS_MAX || client >= clients)
		return -EINVAL;
	if (workload_check(config, message))
		return -EINVAL;
	*workload = (struct workload){.config = *config, .client = client, .clients = clients};
	workload->random.state = random_mix(random_mix(seed) + client + 1);
	return distribution_init(&workload->distribution, config->distribution, config->records,
				 config->theta);
}

/* Those that this client knows of. */
static uint64_t known_records(const struct workload *workload)
{
	return workload->config.records + workload->inserted;
}

/* The number of the @index-th that this client knows of. */
static uint64_t record_at(const struct workload *workload, uint64_t index)
{
	uint64_t records = workload->config.records;

	if (index < records)
		return index;
	return records + workload->client + (index - records) * workload->clients;
}

static uint64_t next_sequence(struct workload *workload)
{
	return 1 + workload->client + workload->sequences++ * workload->clients;
}

static void append(struct workload *workload, struct workload_txn *txn, enum workload_op_kind kind,
		   uint64_t record)
{
	txn->ops[txn->op_count++] = (struct workload_op){
		.kind = kind,
		.record = record,
		.sequence = kind == WORKLOAD_GET ? 0 : next_sequence(workload),
	};
}

static bool contains(const struct workload_txn *txn, uint64_t record)
{
	for (uint32_t i = 0; i < txn->op_count; i++) {
		if (txn->ops[i].record == record)
			return true;
	}
	return false;
}

/* One that the transaction does not have yet; workload_check has seen to it that there is one. */
static uint64_t draw_record(struct workload *workload, const struct workload_txn *txn)
{
	uint64_t index = 0;

	for (uint32_t i = 0; i < REDRAWS_MAX; i++) {
		index = distribution_next(&workload->distribution, &workload->random);
		if (!contains(txn, record_at(workload, index)))
			return record_at(workload, index);
	}
	/* A transaction of nearly all the popular records: the next that is free. */
	do
		index = index + 1 < known_records(workload) ? index + 1 : 0;
	while (contains(txn, record_at(workload, index)));
	return record_at(workload, index);
}

static int append_insert(struct workload *workload, struct workload_txn *txn)
{
	uint64_t record = record_at(workload, known_records(workload));

	if (record >= workload_key_room(&workload->config))
		return -ENOSPC;
	append(workload, txn, WORKLOAD_PUT, record);
	workload->inserted++;
	distribution_extend(&workload->distribution, known_records(workload));
	return 0;
}

/* After the last record comes the first; where there are fewer than it asks for, all of them. */
static void append_scan(struct workload *workload, struct workload_txn *txn)
{
	uint64_t known = known_records(workload);
	uint64_t index = distribution_next(&workload->distribution, &workload->random);
	uint64_t count = 1 + random_below(&workload->random, WORKLOAD_SCAN_MAX);

	txn->kind = WORKLOAD_TXN_SCAN;
	for (uint64_t i = 0; i < count && i < known; i++) {
		append(workload, txn, WORKLOAD_GET, record_at(workload, index));
		index = index + 1 < known ? index + 1 : 0;
	}
}

static int append_operation(struct workload *workload, struct workload_txn *txn)
{
	const struct workload_mix *mix = &workload->config.mix;
	uint64_t lot = random_below(&workload->random, 100);
	enum workload_op_kind kind = WORKLOAD_GET_PUT;

	if (lot < mix->insert)
		return append_insert(workload, txn);
	lot -= mix->insert;
	if (lot < mix->scan) {
		append_scan(workload, txn);
		return 0;
	}
	lot -= mix->scan;
	if (lot < mix->read)
		kind = WORKLOAD_GET;
	else if (lot - mix->read < mix->update)
		kind = WORKLOAD_PUT;
	append(workload, txn, kind, draw_record(workload, txn));
	return 0;
}

static void next_retwis(struct workload *workload, struct workload_txn *out)
{
	const struct retwis *retwis = retwis_mix;
	uint64_t lot = random_below(&workload->random, 100);
	uint32_t count;

	while (lot >= retwis->percent)
		lot -= retwis++->percent;
	out->kind = retwis->kind;
	count = retwis->puts;
	if (retwis->kind == WORKLOAD_TXN_LOAD_TIMELINE)
		count = 1 + (uint32_t)random_below(&workload->random, TIMELINE_MAX);
	for (uint32_t i = 0; i < count; i++) {
		enum workload_op_kind kind = i < retwis->gets ? WORKLOAD_GET_PUT : WORKLOAD_PUT;
		if (retwis->puts == 0)
			kind = WORKLOAD_GET;
		append(workload, out, kind, draw_record(workload, out));
	}
}

int workload_next(struct workload *workload, struct workload_txn *out)
{
	out->op_count = 0;
	if (workload->config.kind == WORKLOAD_RETWIS) {
		next_retwis(workload, out);
		return 0;
	}
	out->kind = WORKLOAD_TXN_OPERATIONS;
	for (uint32_t i = 0; i < workload->config.operations; i++) {
		int error = append_operation(workload, out);
		if (error) {
			out->op_count = 0;
			return error;
		}
	}
	return 0;
}

void workload_renew(struct workload *workload, struct workload_txn *txn)
{
	for (uint32_t i = 0; i < txn->op_count; i++) {
		if (txn->ops[i].kind != WORKLOAD_GET)
			txn->ops[i].sequence = next_sequence(workload);
	}
}
