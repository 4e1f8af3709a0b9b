/* SPDX-License-Identifier: MIT */
/* For the tests of check_graph: a history, and what is found in it. Included once in a test. */
#ifndef TXNSTORE_CHECK_GRAPH_TESTING_H
#define TXNSTORE_CHECK_GRAPH_TESTING_H

#include "txnstore/check/graph.h"
#include "txnstore/check/text_history.h"

static struct history history;
static char why[1000];

static int setup(void **state)
{
	(void)state;
	history_init(&history);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	history_destroy(&history);
	return 0;
}

/* Committed, and beside all others that are made so. */
static void beside(const char *text)
{
	text_txn(&history, 'c', 1, 100, text);
}

static void assert_holds(void)
{
	int result = check_graph(&history, why, sizeof(why), NULL);

	if (result)
		fail_msg("%d: %s", result, why);
	assert_string_equal(why, "");
}

static void assert_violates(const char *class)
{
	int result = check_graph(&history, why, sizeof(why), NULL);
	size_t length = strlen(class);

	if (result != 1 || strncmp(why, class, length) != 0 ||
	    (why[length] != ':' && why[length] != ','))
		fail_msg("not %s but %d: %s", class, result, why);
}

#endif /* TXNSTORE_CHECK_GRAPH_TESTING_H */
