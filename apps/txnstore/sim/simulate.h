/* SPDX-License-Identifier: MIT */
/* One seed: a world, a program of its clients, and the judgement on what they saw. */
#ifndef TXNSTORE_SIM_SIMULATE_H
#define TXNSTORE_SIM_SIMULATE_H

#include "txnstore/sim/world.h"
#include "txnstore/trial/program.h"

struct simulation {
	enum program_kind check;
	uint64_t seed;
	bool is_weak; /* quorum.h: what is checked is not promised */
};

struct verdict {
	int outcome; /* 0: all is as promised; 1: not; -ENOMEM, -EINVAL, -EBADMSG */
	char why[2048];
	uint64_t committed, aborted, unknown, judged;
	uint64_t crashes, lost_disks, partitions, views, transfers, snapshots, rewrites, resolved,
		full;
};

void simulate(const struct simulation *simulation, struct verdict *verdict);

#endif /* TXNSTORE_SIM_SIMULATE_H */
