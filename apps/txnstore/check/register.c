/* SPDX-License-Identifier: MIT */
/*
 * A cluster is a write with all reads of its value; in a linearization it is one run of operations, so
 * clusters have an order. One must come before another when any operation of it ended before any of
 * the other began, which its zone says: from the first end in it to the last begin. Where the end comes
 * first the zone is a forward one, during all of which the key has this value; in a backward one all
 * operations overlap, and one instant of it is enough. It holds exactly if no two forward zones overlap
 * and no backward zone lies inside of a forward one.
 */
#include "txnstore/check/register.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "txnstore/check/form.h"
#include "txnstore/check/why.h"

struct access {
	uint64_t key, value;
	size_t txn;
	bool write;
};

struct zone {
	uint64_t value;
	uint64_t first_end_ns, last_begin_ns;
	size_t first_to_end, last_to_begin; /* their transactions */
};

struct judge {
	const struct history *history;
	struct access *accesses; /* by key, by value, the write before the reads */
	size_t access_count;
	struct zone *zones; /* of one key; as much room as there are accesses */
	size_t zone_count;
	struct zone initial; /* of value 0: last_begin_ns alone, and only if it was read */
	bool initial_read;
	struct why why;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_accesses(const void *left, const void *right)
{
	const struct access *a = left, *b = right;
	int order = compare_numbers(a->key, b->key);

	if (!order)
		order = compare_numbers(a->value, b->value);
	if (!order)
		order = (int)b->write - (int)a->write;
	return order ? order : compare_numbers(a->txn, b->txn);
}

static bool is_forward(const struct zone *zone)
{
	return zone->first_end_ns < zone->last_begin_ns;
}

/* Forward ones come first, and then both in the order of their first ends. */
static int compare_zones(const void *left, const void *right)
{
	const struct zone *a = left, *b = right;
	int order = (int)is_forward(b) - (int)is_forward(a);

	return order ? order : compare_numbers(a->first_end_ns, b->first_end_ns);
}

static int collect(struct judge *judge, size_t *reads)
{
	const struct history *history = judge->history;

	for (size_t i = 0; i < history->txn_count; i++) {
		const struct history_txn *txn = &history->txns[i];
		const struct history_op *op = &history->ops[txn->first];

		if (txn->count != 1 || (op->kind == HISTORY_WRITE && op->value == 0)) {
			why_add(&judge->why, "transaction %zu: %s", i,
				txn->count != 1 ? "not one operation" : "0 is not to be written");
			return -EINVAL;
		}
		if (op->kind == HISTORY_READ && txn->outcome != HISTORY_COMMITTED)
			continue;
		if (op->kind == HISTORY_READ)
			(*reads)++;
		judge->accesses[judge->access_count++] = (struct access){
			op->key, op->value, .txn = i, .write = op->kind == HISTORY_WRITE};
	}
	if (judge->access_count)
		qsort(judge->accesses, judge->access_count, sizeof(*judge->accesses),
		      compare_accesses);
	for (size_t i = 1; i < judge->access_count; i++) {
		const struct access *a = &judge->accesses[i - 1], *b = &judge->accesses[i];

		if (b->write && a->key == b->key && a->value == b->value) {
			why_add(&judge->why,
				"transactions %zu and %zu both wrote %" PRIu64 " to key %" PRIu64,
				a->txn, b->txn, a->value, a->key);
			return -EINVAL;
		}
	}
	return 0;
}

static struct zone zone_of(const struct history *history, const struct access *accesses,
			   size_t count)
{
	struct zone zone = {.value = accesses->value, .first_end_ns = HISTORY_NEVER};

	zone.first_to_end = zone.last_to_begin = accesses->txn;
	for (size_t i = 0; i < count; i++) {
		const struct history_txn *txn = &history->txns[accesses[i].txn];

		if (txn->end_ns < zone.first_end_ns) {
			zone.first_end_ns = txn->end_ns;
			zone.first_to_end = accesses[i].txn;
		}
		if (txn->begin_ns > zone.last_begin_ns) {
			zone.last_begin_ns = txn->begin_ns;
			zone.last_to_begin = accesses[i].txn;
		}
	}
	return zone;
}

/* Whether reads can have seen their write at all. */
static int judge_cluster(struct judge *judge, const struct access *write, size_t count)
{
	const struct history_txn *writer = &judge->history->txns[write->txn];

	if (!write->write || writer->outcome == HISTORY_ABORTED) {
		const struct access *read = write->write ? write + 1 : write;

		why_add(&judge->why,
			"transaction %zu read %" PRIu64 " of key %" PRIu64
			", which was never written",
			read->txn, read->value, read->key);
		if (write->write)
			why_add(&judge->why, ": transaction %zu was aborted", write->txn);
		return 1;
	}
	for (size_t i = 1; i < count; i++) {
		if (judge->history->txns[write[i].txn].end_ns >= writer->begin_ns)
			continue;
		why_add(&judge->why,
			"transaction %zu read %" PRIu64 " of key %" PRIu64
			" and ended before transaction %zu, which wrote it, began",
			write[i].txn, write->value, write->key, write->txn);
		return 1;
	}
	return 0;
}

static int add_cluster(struct judge *judge, const struct access *accesses, size_t count)
{
	bool unread = accesses->write && count == 1;

	if (accesses->value == 0) {
		judge->initial = zone_of(judge->history, accesses, count);
		judge->initial_read = true;
		return 0;
	}
	/* Whether it happened cannot be told, and nothing is lost by taking it that it did not. */
	if (unread && judge->history->txns[accesses->txn].outcome != HISTORY_COMMITTED)
		return 0;
	if (judge_cluster(judge, accesses, count))
		return 1;
	judge->zones[judge->zone_count++] = zone_of(judge->history, accesses, count);
	return 0;
}

static int tell_pair(struct judge *judge, uint64_t key, const struct zone *a, const struct zone *b)
{
	why_add(&judge->why,
		"key %" PRIu64 ": value %" PRIu64 " was there before value %" PRIu64
		", as transaction %zu had ended before transaction %zu began, and after it, as "
		"transaction %zu had ended before transaction %zu began",
		key, a->value, b->value, a->first_to_end, b->last_to_begin, b->first_to_end,
		a->last_to_begin);
	return 1;
}

/* The initial value was there before all others, so nothing may have ended before it was read. */
static int judge_initial(struct judge *judge, uint64_t key)
{
	for (size_t i = 0; judge->initial_read && i < judge->zone_count; i++) {
		const struct zone *zone = &judge->zones[i];

		if (zone->first_end_ns >= judge->initial.last_begin_ns)
			continue;
		why_add(&judge->why,
			"key %" PRIu64
			": transaction %zu found nothing, and began after transaction "
			"%zu had ended with value %" PRIu64,
			key, judge->initial.last_to_begin, zone->first_to_end, zone->value);
		return 1;
	}
	return 0;
}

/* The last of @count forward zones that begins before @time_ns; NULL: none. */
static const struct zone *forward_before(const struct zone *zones, size_t count, uint64_t time_ns)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zones[middle].first_end_ns < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &zones[low - 1] : NULL;
}

static int judge_zones(struct judge *judge, uint64_t key)
{
	struct zone *zones = judge->zones;
	size_t forward = 0;

	if (judge->zone_count)
		qsort(zones, judge->zone_count, sizeof(*zones), compare_zones);
	while (forward < judge->zone_count && is_forward(&zones[forward]))
		forward++;
	for (size_t i = 1; i < forward; i++) {
		if (zones[i].first_end_ns < zones[i - 1].last_begin_ns)
			return tell_pair(judge, key, &zones[i - 1], &zones[i]);
	}
	/* As those do not overlap, only the last that begins before a backward one can hold it. */
	for (size_t i = forward; i < judge->zone_count; i++) {
		const struct zone *around = forward_before(zones, forward, zones[i].last_begin_ns);

		if (around && zones[i].first_end_ns < around->last_begin_ns)
			return tell_pair(judge, key, around, &zones[i]);
	}
	return 0;
}

/* Behind the last access of @key that begins at @first comes the next key; its place is returned. */
static int judge_key(struct judge *judge, size_t first, size_t *next)
{
	uint64_t key = judge->accesses[first].key;
	size_t end = first;

	judge->zone_count = 0;
	judge->initial_read = false;
	while (end < judge->access_count && judge->accesses[end].key == key) {
		uint64_t value = judge->accesses[end].value;
		size_t cluster = end;

		while (end < judge->access_count && judge->accesses[end].key == key &&
		       judge->accesses[end].value == value)
			end++;
		if (add_cluster(judge, &judge->accesses[cluster], end - cluster))
			return 1;
	}
	*next = end;
	return judge_initial(judge, key) || judge_zones(judge, key);
}

int check_register(const struct history *history, char *why, size_t size, size_t *judged)
{
	struct judge judge = {.history = history};
	size_t reads = 0, next = 0;

	why_init(&judge.why, why, size);
	if (judged)
		*judged = 0;
	int result = form_check(history, FORM_KIND(HISTORY_READ) | FORM_KIND(HISTORY_WRITE),
				&judge.why);
	if (result)
		return result;
	judge.accesses = calloc(history->txn_count + 1, sizeof(*judge.accesses));
	judge.zones = calloc(history->txn_count + 1, sizeof(*judge.zones));
	result = judge.accesses && judge.zones ? collect(&judge, &reads) : -ENOMEM;
	while (!result && next < judge.access_count)
		result = judge_key(&judge, next, &next);
	free(judge.accesses);
	free(judge.zones);
	if (judged && result >= 0)
		*judged = reads;
	return result;
}
