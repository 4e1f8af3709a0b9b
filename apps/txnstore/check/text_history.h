/* SPDX-License-Identifier: MIT */
/* For tests: transactions written down in short. */
#ifndef TXNSTORE_CHECK_TEXT_HISTORY_H
#define TXNSTORE_CHECK_TEXT_HISTORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "txnstore/check/history.h"

#define TEXT_OPS_MAX 32
#define TEXT_ELEMENTS_MAX 64

static inline enum history_kind text_kind(char letter)
{
	static const char letters[] = "rwla";
	const char *found = strchr(letters, letter);

	assert_true(letter && found);
	return (enum history_kind)(found - letters);
}

/*
 * text_txn - @text has operations with spaces between: "r1:5" and "w1:5" of the register 1, "l1:5,6" and
 *	"a1:5" of the list 1, "l1:" an empty one; @end_ns 0: HISTORY_NEVER, and the outcome is unknown
 */
static inline void text_txn(struct history *history, char outcome, uint64_t begin_ns,
			    uint64_t end_ns, const char *text)
{
	struct history_txn txn = {.begin_ns = begin_ns, .end_ns = end_ns};
	struct history_op ops[TEXT_OPS_MAX];
	uint64_t elements[TEXT_ELEMENTS_MAX];
	size_t op_count = 0, element_count = 0;

	txn.outcome = outcome == 'c'   ? HISTORY_COMMITTED
		      : outcome == 'a' ? HISTORY_ABORTED
				       : HISTORY_UNKNOWN;
	if (txn.outcome == HISTORY_UNKNOWN)
		txn.end_ns = HISTORY_NEVER;
	while (*text) {
		struct history_op *op = &ops[op_count++];
		char *end;

		assert_true(op_count <= TEXT_OPS_MAX);
		*op = (struct history_op){.kind = text_kind(*text)};
		op->key = strtoull(text + 1, &end, 10);
		assert_int_equal(*end, ':');
		text = end + 1;
		op->first = element_count;
		while (*text && *text != ' ') {
			uint64_t number = strtoull(text, &end, 10);

			assert_true(end != text);
			if (op->kind == HISTORY_READ_LIST)
				elements[element_count++] = number;
			else
				op->value = number;
			text = end + (*end == ',');
		}
		op->count = element_count - op->first;
		text += *text == ' ';
	}
	assert_int_equal(history_add(history, &txn, ops, op_count, elements), 0);
}

#endif /* TXNSTORE_CHECK_TEXT_HISTORY_H */
