/* SPDX-License-Identifier: MIT */
/*
 * What is known of the lists in a history: who appended each element, and for every key the order of
 * its versions, which its longest read shows: as elements are unique and a list only grows, every
 * state of a key names all that came before it (Kingsbury and Alvaro, "Elle", VLDB 2020, section 4).
 */
#ifndef TXNSTORE_CHECK_LISTS_H
#define TXNSTORE_CHECK_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "txnstore/check/history.h"
#include "txnstore/check/why.h"

#define LISTS_NONE UINT32_MAX

struct list_append {
	uint64_t element;
	uint32_t txn, key;
	uint32_t place;    /* its operation, in lists.ops */
	uint32_t position; /* in the order of the key; LISTS_NONE: no committed read has it */
	bool last;         /* its transaction appends nothing more to the key */
};

struct list_key {
	uint64_t name;        /* in the history */
	const uint64_t *seen; /* the longest read */
	uint32_t length;      /* of it */
	uint32_t reader;      /* its transaction; LISTS_NONE: no read of the key counts */
	size_t first;         /* in lists.versions, of length entries */
};

/* An operation; those of one transaction stand by key, and then in the order of the program. */
struct list_op {
	uint32_t key;    /* an index */
	uint32_t op;     /* in the history */
	uint32_t append; /* LISTS_NONE with a read */
};

struct lists {
	const struct history *history;
	struct list_key *keys; /* by name */
	uint32_t key_count;
	struct list_op *ops;         /* the ranges of the history's transactions hold here too */
	struct list_append *appends; /* by element */
	uint32_t append_count;
	uint32_t *versions; /* appends in the order of each key; set by versions_find */
	bool *counts; /* for each transaction, whether it has committed, as far as can be told */
};

/**
 * lists_init - the index of @history, which must stay; no reads are looked at yet
 *
 * Return: 0, -EINVAL an element is appended twice, -ENOMEM. lists_destroy follows in every case.
 */
int lists_init(struct lists *lists, const struct history *history, struct why *why);
void lists_destroy(struct lists *lists);

/** lists_find - the append of @element; NULL: there is none */
struct list_append *lists_find(const struct lists *lists, uint64_t element);

/** lists_run - how many of the @count operations from @ops on are on the key of the first */
size_t lists_run(const struct list_op *ops, size_t count);

#endif /* TXNSTORE_CHECK_LISTS_H */
