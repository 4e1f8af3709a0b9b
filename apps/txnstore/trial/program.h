/* SPDX-License-Identifier: MIT */
/*
 * What clients do so that a checker can judge it: transfers between accounts of a bank, reads of and
 * appends to lists, single reads and writes of registers. Simulated clients, or real ones.
 */
#ifndef TXNSTORE_TRIAL_PROGRAM_H
#define TXNSTORE_TRIAL_PROGRAM_H

#include "txnstore/check/history.h"
#include "txnstore/core/client.h"
#include "txnstore/random.h"

#define PROGRAM_CLIENTS_MAX 16u
#define PROGRAM_PREFIX_BYTES 24u
#define PROGRAM_OPS_MAX 8u
#define PROGRAM_ACCOUNTS 8u
#define PROGRAM_BALANCE 100

enum program_kind { PROGRAM_BANK, PROGRAM_GRAPH, PROGRAM_REGISTER };

/** Where it is played. */
struct stage {
	uint64_t (*now)(
		void *context); /* ns, of one clock for all; never before what has happened */
	/* What a client's own clock says: that of its functions. */
	uint64_t (*clock)(void *context, uint32_t client);
	struct txn_client *(*client)(void *context, uint32_t client);
	/* Its functions were called: its deadlines may be others now. */
	void (*changed)(void *context, uint32_t client);
	/* Call program_due so much later. */
	void (*later)(void *context, uint32_t client, uint64_t ns, uint64_t number);
	void *context;
	uint32_t clients; /* up to PROGRAM_CLIENTS_MAX */
};

/* One client's transaction under way. */
struct run {
	struct program *program;
	uint32_t client;
	struct transaction *transaction;
	uint64_t begin_ns;
	struct history_op ops[PROGRAM_OPS_MAX];
	uint32_t count, step, waits;
	bool is_transfer, is_committing;
	uint64_t *lists; /* elements of its reads */
	size_t list_count, list_room;
};

struct program {
	enum program_kind kind;
	struct stage stage;
	char prefix[PROGRAM_PREFIX_BYTES]; /* of its keys */
	struct history history;
	struct random random;
	struct run runs[PROGRAM_CLIENTS_MAX];
	uint64_t last_value; /* unique ones */
	uint64_t until_ns;   /* no transaction is begun later */
	bool is_set_up;      /* accounts have their balances */
	bool failed;         /* no memory */
	uint64_t committed, aborted, unknown;
};

/** program_init - @prefix: keys that begin so have no values yet */
void program_init(struct program *program, enum program_kind kind, const struct stage *stage,
		  const char *prefix, uint64_t until_ns, uint64_t seed);
void program_destroy(struct program *program);
/** program_begin - let all clients begin */
void program_begin(struct program *program);
/** program_due - what `later` was to call */
void program_due(struct program *program, uint32_t client, uint64_t number);
/** program_is_busy - whether a transaction is under way */
bool program_is_busy(const struct program *program);
/** program_end - record what is still under way */
void program_end(struct program *program);

/** program_client_up - a client is new, or new again: it begins */
void program_client_up(struct program *program, uint32_t client);
/** program_client_down - a client is no more, with what it was about to do */
void program_client_down(struct program *program, uint32_t client);

/**
 * program_judge - what its checker says of its history
 * @judged_out: reads, or operations, that were looked at
 *
 * Return: 0; 1: @why says what is wrong; -ENOMEM.
 */
int program_judge(const struct program *program, char *why, size_t why_bytes, size_t *judged_out);

#endif /* TXNSTORE_TRIAL_PROGRAM_H */
