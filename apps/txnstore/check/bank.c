/* SPDX-License-Identifier: MIT */
#include "txnstore/check/bank.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "txnstore/check/form.h"
#include "txnstore/check/why.h"

struct balance {
	uint64_t key;
	int64_t value;
};

struct sum {
	uint64_t keys; /* distinct ones */
	__int128 total;
	const struct balance *unlike; /* differs from the one before it, of the same key; or NULL */
};

static int compare_balances(const void *left, const void *right)
{
	const struct balance *a = left, *b = right;

	return (a->key > b->key) - (a->key < b->key);
}

/* @balances are sorted here. */
static struct sum add_up(struct balance *balances, size_t count)
{
	struct sum sum = {0};

	if (count)
		qsort(balances, count, sizeof(*balances), compare_balances);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || balances[i].key != balances[i - 1].key) {
			sum.keys++;
			sum.total += balances[i].value;
		} else if (balances[i].value != balances[i - 1].value) {
			sum.unlike = &balances[i];
		}
	}
	return sum;
}

static bool takes_all_in(const struct history *history, const struct history_txn *txn,
			 uint64_t accounts)
{
	if (txn->outcome != HISTORY_COMMITTED || txn->count < accounts)
		return false;
	for (size_t i = 0; i < txn->count; i++) {
		if (history->ops[txn->first + i].kind != HISTORY_READ)
			return false;
	}
	return true;
}

static size_t copy_balances(const struct history *history, size_t first, size_t count,
			    struct balance *balances)
{
	for (size_t i = 0; i < count; i++) {
		balances[i].key = history->ops[first + i].key;
		balances[i].value = (int64_t)history->ops[first + i].value;
	}
	return count;
}

/* A sum beyond 64 bits is told as the nearest that is not. */
static int64_t nearest(__int128 sum)
{
	return sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

static void tell(struct why *why, size_t txn, const struct sum *sum, int64_t total)
{
	if (sum->unlike)
		why_add(why, "transaction %zu read key %" PRIu64 " as %" PRId64 " and as %" PRId64,
			txn, sum->unlike->key, sum->unlike[-1].value, sum->unlike->value);
	else
		why_add(why,
			"transaction %zu read all %" PRIu64 " accounts: their sum was %" PRId64
			", not %" PRId64,
			txn, sum->keys, nearest(sum->total), total);
}

static int judge(const struct history *history, uint64_t accounts, int64_t total,
		 struct balance *balances, struct why *why, size_t *judged)
{
	size_t count = copy_balances(history, 0, history->op_count, balances);
	bool holds = true;

	if (add_up(balances, count).keys > accounts) {
		why_add(why, "more keys than %" PRIu64 " accounts", accounts);
		return -EINVAL;
	}
	for (size_t i = 0; i < history->txn_count; i++) {
		const struct history_txn *txn = &history->txns[i];

		if (!takes_all_in(history, txn, accounts))
			continue;
		count = copy_balances(history, txn->first, txn->count, balances);
		struct sum sum = add_up(balances, count);
		if (sum.keys != accounts)
			continue;
		(*judged)++;
		if (holds && (sum.unlike || sum.total != total)) {
			tell(why, i, &sum, total);
			holds = false;
		}
	}
	return holds ? 0 : 1;
}

int check_bank(const struct history *history, uint64_t accounts, int64_t total, char *why,
	       size_t size, size_t *judged)
{
	struct why reason;
	size_t count = 0;

	why_init(&reason, why, size);
	if (judged)
		*judged = 0;
	if (accounts == 0) {
		why_add(&reason, "a bank without accounts");
		return -EINVAL;
	}
	int result = form_check(history, FORM_KIND(HISTORY_READ) | FORM_KIND(HISTORY_WRITE),
				&reason);
	if (result)
		return result;
	struct balance *balances = calloc(history->op_count + 1, sizeof(*balances));
	if (!balances)
		return -ENOMEM;
	result = judge(history, accounts, total, balances, &reason, &count);
	free(balances);
	if (judged)
		*judged = count;
	return result;
}
