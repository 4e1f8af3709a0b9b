/* SPDX-License-Identifier: MIT */
/* Which of so many items is asked for next: YCSB's request distributions. */
#ifndef TXNSTORE_DISTRIBUTION_H
#define TXNSTORE_DISTRIBUTION_H

#include <stdint.h>

#include "scramble.h"
#include "txnstore/random.h"
#include "zipf.h"

enum distribution_kind {
	DISTRIBUTION_UNIFORM,   /* all alike */
	DISTRIBUTION_ZIPFIAN,   /* item 0 is the most popular, then 1, ... */
	DISTRIBUTION_SCRAMBLED, /* the same popularities, spread over the items by a permutation */
	DISTRIBUTION_LATEST,    /* the last item is the most popular, then the last but one, ... */
};
#define DISTRIBUTION_KINDS 4

struct distribution {
	enum distribution_kind kind;
	uint64_t items;
	struct zipf zipf;         /* not DISTRIBUTION_UNIFORM */
	struct scramble scramble; /* DISTRIBUTION_SCRAMBLED */
};

/** distribution_name - "uniform", "zipfian", "scrambled", "latest" */
const char *distribution_name(enum distribution_kind kind);

/**
 * distribution_init - over items 0 to @items - 1
 *
 * @theta: ignored where all are alike
 * Return: 0; -EINVAL where zipf_init says so, or for no items.
 */
int distribution_init(struct distribution *distribution, enum distribution_kind kind,
		      uint64_t items, double theta);

/**
 * distribution_extend - items have come, at the end
 *
 * The uniform and the latest know them at once. With the other two they are never drawn: as in
 * YCSB, the popularity of an item is not to change because others come.
 */
void distribution_extend(struct distribution *distribution, uint64_t items);

/** distribution_next - an item */
uint64_t distribution_next(const struct distribution *distribution, struct random *random);

#endif /* TXNSTORE_DISTRIBUTION_H */
