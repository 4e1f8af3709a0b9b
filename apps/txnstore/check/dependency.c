/* SPDX-License-Identifier: MIT */
#include "txnstore/check/dependency.h"

#include <errno.h>
#include <stdlib.h>

/* A transaction that counts has appended to the key what no read shows. */
struct late {
	uint32_t key, txn;
};

/* An end of a committed transaction. */
struct ending {
	uint64_t end_ns;
	uint32_t txn;
};

struct builder {
	struct digraph *graph;
	const struct lists *lists;
	uint32_t node_count;
	struct late *late; /* by key, by transaction; each once */
	uint32_t late_count;
	uint32_t late_node; /* two helpers for each: from it up, and from it down, within its key */
};

static int compare_late(const void *left, const void *right)
{
	const struct late *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->txn > b->txn) - (a->txn < b->txn);
}

static int compare_endings(const void *left, const void *right)
{
	const struct ending *a = left, *b = right;

	return (a->end_ns > b->end_ns) - (a->end_ns < b->end_ns);
}

static int add(struct builder *builder, uint32_t from, uint32_t to, enum dependency_kind kind,
	       uint32_t key)
{
	return digraph_add(builder->graph, (struct edge){from, to, kind, key});
}

static int add_onward(struct builder *builder, uint32_t from, uint32_t to)
{
	return add(builder, from, to, DEPENDENCY_ONWARD, 0);
}

/* Where (@key, @txn) stands among the late ones, or would. */
static uint32_t late_place(const struct builder *builder, uint32_t key, uint32_t txn)
{
	const struct late wanted = {key, txn};
	uint32_t low = 0, high = builder->late_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare_late(&builder->late[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t upward(const struct builder *builder, uint32_t late)
{
	return builder->late_node + 2 * late;
}

static uint32_t downward(const struct builder *builder, uint32_t late)
{
	return builder->late_node + 2 * late + 1;
}

static int collect_late(struct builder *builder)
{
	const struct lists *lists = builder->lists;
	uint32_t count = 0;

	builder->late = calloc((size_t)lists->append_count + 1, sizeof(*builder->late));
	if (!builder->late)
		return -ENOMEM;
	for (uint32_t i = 0; i < lists->append_count; i++) {
		const struct list_append *append = &lists->appends[i];

		if (append->position == LISTS_NONE && lists->counts[append->txn])
			builder->late[count++] = (struct late){append->key, append->txn};
	}
	if (count)
		qsort(builder->late, count, sizeof(*builder->late), compare_late);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || compare_late(&builder->late[i], &builder->late[i - 1]) != 0)
			builder->late[builder->late_count++] = builder->late[i];
	}
	builder->late_node = builder->node_count;
	builder->node_count += 2 * builder->late_count;
	return 0;
}

/* Two chains through the late ones of each key, so that one can be left out by going round it. */
static int chain_late(struct builder *builder)
{
	const struct late *late = builder->late;
	int result = 0;

	for (uint32_t i = 0; !result && i < builder->late_count; i++) {
		result = add_onward(builder, upward(builder, i), late[i].txn);
		if (!result)
			result = add_onward(builder, downward(builder, i), late[i].txn);
		if (result || i + 1 == builder->late_count || late[i].key != late[i + 1].key)
			continue;
		result = add_onward(builder, upward(builder, i), upward(builder, i + 1));
		if (!result)
			result = add_onward(builder, downward(builder, i + 1),
					    downward(builder, i));
	}
	return result;
}

/* @txn comes before all others that appended to @key what no read shows. */
static int add_before_late(struct builder *builder, uint32_t txn, enum dependency_kind kind,
			   uint32_t key)
{
	uint32_t begin = late_place(builder, key, 0), end = late_place(builder, key + 1, 0);
	uint32_t own = late_place(builder, key, txn);
	int result = 0;

	if (begin == end)
		return 0;
	if (own == end || builder->late[own].txn != txn)
		return add(builder, txn, upward(builder, begin), kind, key);
	if (own > begin)
		result = add(builder, txn, downward(builder, own - 1), kind, key);
	if (!result && own + 1 < end)
		result = add(builder, txn, upward(builder, own + 1), kind, key);
	return result;
}

static uint32_t appender(const struct lists *lists, const struct list_key *key, size_t position)
{
	return lists->appends[lists->versions[key->first + position]].txn;
}

static int add_key(struct builder *builder, uint32_t index)
{
	const struct lists *lists = builder->lists;
	const struct list_key *key = &lists->keys[index];
	int result = 0;

	for (size_t i = 1; !result && i < key->length; i++) {
		uint32_t before = appender(lists, key, i - 1), after = appender(lists, key, i);

		if (before != after)
			result = add(builder, before, after, DEPENDENCY_WW, index);
	}
	if (result || key->length == 0)
		return result;
	return add_before_late(builder, appender(lists, key, key->length - 1), DEPENDENCY_WW,
			       index);
}

/*
 * A transaction's first read of a key, of @count elements with its own at the end, says all that its
 * later ones do: those differ in what it appended between.
 */
static int add_read(struct builder *builder, uint32_t txn, uint32_t index, size_t count)
{
	const struct lists *lists = builder->lists;
	const struct list_key *key = &lists->keys[index];
	size_t others = count;
	int result = 0;

	while (others && appender(lists, key, others - 1) == txn)
		others--;
	if (others)
		result = add(builder, appender(lists, key, others - 1), txn, DEPENDENCY_WR, index);
	if (result)
		return result;
	if (count == key->length)
		return add_before_late(builder, txn, DEPENDENCY_RW, index);
	uint32_t next = appender(lists, key, count);
	return next == txn ? 0 : add(builder, txn, next, DEPENDENCY_RW, index);
}

static int add_reads(struct builder *builder, uint32_t txn)
{
	const struct lists *lists = builder->lists;
	const struct history_txn *range = &lists->history->txns[txn];
	uint32_t read_key = LISTS_NONE; /* operations stand by key */
	int result = 0;

	for (size_t i = 0; !result && i < range->count; i++) {
		const struct list_op *place = &lists->ops[range->first + i];
		const struct history_op *op = &lists->history->ops[place->op];

		if (op->kind != HISTORY_READ_LIST || place->key == read_key)
			continue;
		read_key = place->key;
		result = add_read(builder, txn, place->key, op->count);
	}
	return result;
}

/* The last of @endings before @begin_ns, plus one; 0: none. */
static uint32_t endings_before(const struct ending *endings, uint32_t count, uint64_t begin_ns)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (endings[middle].end_ns < begin_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A chain of helpers, one for each end in the order of time; a beginning hangs on the last before it. */
static int chain_endings(struct builder *builder, const struct ending *endings, uint32_t count)
{
	const struct lists *lists = builder->lists;
	uint32_t node = builder->node_count;
	int result = 0;

	builder->node_count += count;
	for (uint32_t i = 0; !result && i < count; i++) {
		result = add(builder, endings[i].txn, node + i, DEPENDENCY_REALTIME, 0);
		if (!result && i + 1 < count)
			result = add_onward(builder, node + i, node + i + 1);
	}
	for (uint32_t i = 0; !result && i < lists->history->txn_count; i++) {
		uint32_t before = endings_before(endings, count, lists->history->txns[i].begin_ns);

		if (lists->counts[i] && before)
			result = add_onward(builder, node + before - 1, i);
	}
	return result;
}

static int add_realtime(struct builder *builder)
{
	const struct history *history = builder->lists->history;
	struct ending *endings = calloc(history->txn_count + 1, sizeof(*endings));
	uint32_t count = 0;

	if (!endings)
		return -ENOMEM;
	for (uint32_t i = 0; i < history->txn_count; i++) {
		if (history->txns[i].outcome == HISTORY_COMMITTED)
			endings[count++] = (struct ending){history->txns[i].end_ns, i};
	}
	if (count)
		qsort(endings, count, sizeof(*endings), compare_endings);
	int result = chain_endings(builder, endings, count);
	free(endings);
	return result;
}

int dependency_build(struct digraph *graph, const struct lists *lists)
{
	struct builder builder = {.graph = graph, .lists = lists};
	const uint32_t txns = (uint32_t)lists->history->txn_count;

	digraph_init(graph);
	builder.node_count = txns;
	int result = collect_late(&builder);
	if (!result)
		result = chain_late(&builder);
	for (uint32_t i = 0; !result && i < lists->key_count; i++)
		result = add_key(&builder, i);
	for (uint32_t i = 0; !result && i < txns; i++) {
		if (lists->counts[i])
			result = add_reads(&builder, i);
	}
	if (!result)
		result = add_realtime(&builder);
	if (!result)
		result = digraph_finish(graph, builder.node_count);
	free(builder.late);
	return result;
}
