/* SPDX-License-Identifier: MIT */
/*
 * Ranks whose popularity follows Zipf's law: rank k, from 0, comes with a probability of
 * 1 / ((k + 1)^theta zeta(n, theta)), where zeta(n, theta) = sum of i^-theta for i = 1 to n.
 *
 * Drawn without a table as in Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly
 * generating billion-record synthetic databases", SIGMOD 1994, and as in YCSB. Ranks 0 and 1 come
 * exactly so often; the others by a power of a uniform number that takes the sum for an integral:
 * with theta 0.99 rank 2 comes 15 to 20 % too often, rank 5 some 5 %, ranks from 10 on within 5 %,
 * the first tenth of all together within 3 %.
 */
#ifndef TXNSTORE_ZIPF_H
#define TXNSTORE_ZIPF_H

#include <stdint.h>

#include "txnstore/random.h"

#define ZIPF_THETA_DEFAULT 0.99
#define ZIPF_THETA_MAX 0.999 /* 1 would divide by nothing */

struct zipf {
	uint64_t items;
	double theta;
	double zeta;     /* zeta(items, theta) */
	double zeta_two; /* zeta(2, theta) */
	double alpha;    /* these two as in the paper */
	double eta;
};

/**
 * zipf_init - ranks 0 to @items - 1
 *
 * @theta: 0, all alike, to ZIPF_THETA_MAX
 * Takes microseconds whatever @items is: only the head of the sum is added up. Return: 0; -EINVAL
 * for no items or another theta.
 */
int zipf_init(struct zipf *zipf, uint64_t items, double theta);

/** zipf_extend - more items, at least as many as there were; a few more cost a few powers */
void zipf_extend(struct zipf *zipf, uint64_t items);

/** zipf_next - a rank */
uint64_t zipf_next(const struct zipf *zipf, struct random *random);

/** zipf_probability - of a rank, by the law */
double zipf_probability(const struct zipf *zipf, uint64_t rank);

/** zipf_zeta - sum of i^-@theta for i = @first to @last, both above 0; 0.0 where @last < @first */
double zipf_zeta(uint64_t first, uint64_t last, double theta);

#endif /* TXNSTORE_ZIPF_H */
