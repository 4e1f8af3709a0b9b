/* SPDX-License-Identifier: MIT */
/*
 * The transactions that a client is to do, one after the other. No I/O, no clock, no memory of its
 * own: what comes follows from the configuration, the client's number and the seed.
 *
 * Several clients share the records that are there from the beginning. The records that a client
 * inserts are its own: client c of n takes the numbers records + c, records + c + n, ..., and it
 * alone asks for them. Sequence numbers of values, from 1, are dealt out likewise, so that no two
 * writes of a run write the same.
 */
#ifndef TXNSTORE_WORKLOAD_H
#define TXNSTORE_WORKLOAD_H

#include <stdint.h>

#include "config.h"
#include "distribution.h"
#include "record.h"
#include "txnstore/random.h"

#define WORKLOAD_CLIENTS_MAX (UINT32_C(1) << 20)

enum workload_op_kind {
	WORKLOAD_GET,
	WORKLOAD_PUT,     /* without reading it: an update or an insert */
	WORKLOAD_GET_PUT, /* a read-modify-write */
};

struct workload_op {
	enum workload_op_kind kind;
	uint64_t record;
	uint64_t sequence; /* of the value to be written; 0 with WORKLOAD_GET */
};

enum workload_txn_kind {
	WORKLOAD_TXN_OPERATIONS, /* of YCSB's mix */
	WORKLOAD_TXN_SCAN,
	WORKLOAD_TXN_ADD_USER, /* the four of Retwis */
	WORKLOAD_TXN_FOLLOW,
	WORKLOAD_TXN_POST_TWEET,
	WORKLOAD_TXN_LOAD_TIMELINE,
};
#define WORKLOAD_TXN_KINDS 6

struct workload_txn {
	enum workload_txn_kind kind;
	uint32_t op_count; /* 1 to WORKLOAD_OPS_MAX */
	struct workload_op
		ops[WORKLOAD_OPS_MAX]; /* of different records, in the order to be done */
};

struct workload {
	struct workload_config config;
	uint32_t client;
	uint32_t clients;
	struct distribution distribution;
	struct random random;
	uint64_t inserted;  /* records by this client */
	uint64_t sequences; /* dealt out by this client */
};

/**
 * workload_init - client @client of @clients, numbered from 0
 *
 * @config: copied
 * Clients of the same @seed do different things. Return: 0; -EINVAL for a configuration that
 * workload_check refuses, no clients, more than WORKLOAD_CLIENTS_MAX, or a number that is not below
 * theirs.
 */
int workload_init(struct workload *workload, const struct workload_config *config, uint32_t client,
		  uint32_t clients, uint64_t seed);

/**
 * workload_next - the next transaction, written to @out
 *
 * An insert counts from here on: whoever has several transactions under way may find that the
 * record is not there yet, as may he whose insert was aborted for good. Return: 0; -ENOSPC where
 * there is no key left for the record to be inserted, and then no operation is in @out.
 */
int workload_next(struct workload *workload, struct workload_txn *out);

/**
 * workload_renew - the same transaction for another attempt, with new sequence numbers
 *
 * So that what an aborted attempt wrote is known from what a later one did.
 */
void workload_renew(struct workload *workload, struct workload_txn *txn);

#endif /* TXNSTORE_WORKLOAD_H */
