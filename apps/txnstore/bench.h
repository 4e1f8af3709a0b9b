/* SPDX-License-Identifier: MIT */
/* A load of transactions: lanes, each of which has one under way, and what became of them. */
#ifndef TXNSTORE_BENCH_H
#define TXNSTORE_BENCH_H

#include "bench_options.h"
#include "echo/latency.h"
#include "net_client.h"

struct bench;

struct lane {
	struct bench *bench;
	struct workload workload;
	struct workload_txn txn;
	struct transaction *transaction;
	uint32_t step;
	bool is_busy;
	uint64_t due_ns;
	uint64_t loading; /* the record that it puts there */
};

struct bench {
	const struct bench_options *options;
	struct net_client net;
	struct lane *lanes;
	struct pacer pacer;
	uint8_t *value; /* room for one */
	char *key;
	bool is_loading, is_measuring, is_ending;
	uint64_t next_record, loaded;
	uint64_t answered_ns;        /* when the last answer came */
	uint64_t began_ns, ended_ns; /* of what is measured */
	struct latency latency;
	uint64_t committed, aborted, unknown, reads, absent, wrong;
	int error;
};

/** bench_init - after demi_init. Return: 0, an errno. */
int bench_init(struct bench *bench, const struct bench_options *options,
	       const struct cluster *cluster);
void bench_destroy(struct bench *bench);

/** bench_load - put all records there. Return: 0, an errno; EINTR: it was told to end. */
int bench_load(struct bench *bench);
/** bench_run - warm up, and measure. Return: as bench_load. */
int bench_run(struct bench *bench);

#endif /* TXNSTORE_BENCH_H */
