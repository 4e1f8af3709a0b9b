/* SPDX-License-Identifier: MIT */
/*
 * What a load consists of: the workloads by name, their defaults, and what is allowed.
 *
 * ycsb-a to ycsb-f are the core workloads of Cooper and others, "Benchmarking cloud serving systems
 * with YCSB", SoCC 2010, each with `operations` of them in a transaction: A 50 % reads and 50 %
 * updates, B 95 and 5, C reads alone, D 95 % reads of the latest records and 5 % inserts, E 95 %
 * scans and 5 % inserts, F 50 % reads and 50 % read-modify-writes. The store has no scans: a scan
 * is a transaction that gets 1 to 100 records, uniformly, whose numbers follow one another.
 *
 * ycsb-t is a read-modify-write in each transaction, as Meerkat (Szekeres and others, EuroSys 2020)
 * uses the name. retwis is the mix of TAPIR (Zhang and others, SOSP 2015) and Meerkat: 5 %
 * add a user (1 get, 3 puts), 15 % follow (2, 2), 30 % post a tweet (3, 5), 50 % load a timeline (1
 * to 10, uniformly, 0). What is got there is also put, but for timelines.
 */
#ifndef TXNSTORE_WORKLOAD_CONFIG_H
#define TXNSTORE_WORKLOAD_CONFIG_H

#include <stdint.h>

#include "distribution.h"

#define WORKLOAD_KEY_BYTES_MIN 8
#define WORKLOAD_KEY_BYTES_MAX 1024
#define WORKLOAD_VALUE_BYTES_MIN 1
#define WORKLOAD_VALUE_BYTES_MAX (UINT32_C(1) << 20)
#define WORKLOAD_RECORDS_MIN 1
#define WORKLOAD_RECORDS_MAX (UINT64_C(1) << 40)
#define WORKLOAD_OPS_MAX 100 /* of a transaction */
#define WORKLOAD_SCAN_MAX 100
#define WORKLOAD_MESSAGE_MAX 192 /* bytes of a message, with its end */

enum workload_kind {
	WORKLOAD_YCSB_A,
	WORKLOAD_YCSB_B,
	WORKLOAD_YCSB_C,
	WORKLOAD_YCSB_D,
	WORKLOAD_YCSB_E,
	WORKLOAD_YCSB_F,
	WORKLOAD_YCSB_T,
	WORKLOAD_RETWIS,
};
#define WORKLOAD_KINDS 8

/* Of 100 operations; together 100. Not for retwis, whose mix is one of transactions. */
struct workload_mix {
	uint32_t read;
	uint32_t update; /* of a record that is there, without reading it */
	uint32_t insert; /* of a new record */
	uint32_t scan;
	uint32_t read_modify_write;
};

struct workload_config {
	enum workload_kind kind;
	uint64_t records;     /* that are there from the beginning: numbers 0 to records - 1 */
	uint32_t value_bytes; /* of every value */
	uint32_t key_bytes;   /* of every key */
	enum distribution_kind distribution;
	double theta;        /* of the distribution, unless it is uniform */
	uint32_t operations; /* in a transaction; 1 with scans and for retwis */
	struct workload_mix mix;
};

/** workload_kind_name - "ycsb-a" to "ycsb-f", "ycsb-t", "retwis" */
const char *workload_kind_name(enum workload_kind kind);

/**
 * workload_parse - a workload by its name, and everything else as is usual for it
 *
 * A million records and one operation; keys of 23 and values of 1000 bytes for YCSB's own
 * workloads, where a few records of all are popular (D: the latest); 64 and 700 and all records
 * alike for the other two. Return: 0; -EINVAL for an unknown name, with what is allowed in
 * @message.
 */
int workload_parse(const char *name, struct workload_config *config,
		   char message[WORKLOAD_MESSAGE_MAX]);

/** workload_parse_distribution - Return: 0; -EINVAL for an unknown name, as above. */
int workload_parse_distribution(const char *name, enum distribution_kind *distribution,
				char message[WORKLOAD_MESSAGE_MAX]);

/**
 * workload_check - whether all of it is allowed, and goes together
 *
 * Return: 0; -EINVAL, with what is wrong and what is allowed in @message.
 */
int workload_check(const struct workload_config *config, char message[WORKLOAD_MESSAGE_MAX]);

#endif /* TXNSTORE_WORKLOAD_CONFIG_H */
