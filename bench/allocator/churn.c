/* SPDX-License-Identifier: MIT */
/*
 * The keyspace of a store such as Redis: each entry is a key, a link of the dictionary and a value,
 * each an object. Values are overwritten, appended to and read, keys deleted and inserted. Then
 * half of the keys go and others come with values of other sizes, which shows what an allocator
 * makes of the holes.
 */
#include "allocator/calls.h"
#include "allocator/run.h"

#include <string.h>

#define KEYS 200000u
#define BUCKETS_AT_START 4u
#define SMALL_STEPS_PER_MS 4000u
#define LARGE_STEPS_PER_MS 6000u
#define APPENDED_BYTES_MAX 64u
#define VALUE_BYTES_MAX 4096u

struct key {
	uint64_t id;
	uint64_t text[]; /* 8..32 B that are never read */
};

struct entry {
	struct key *key;
	uint8_t *value;
	struct entry *next;
	uint32_t value_bytes;
	uint32_t key_bytes;
};

struct churn {
	struct run *run;
	struct entry **buckets; /* buckets[bucket_count], a power of two */
	uint64_t bucket_count;
	uint64_t *ids; /* ids[id_count]: the keys that are there, in no order */
	uint32_t id_count;
	uint64_t next_id;
	unsigned int low_bits, high_bits; /* of a value's size */
};

static uint64_t bucket_of(const struct churn *churn, uint64_t id)
{
	uint64_t hash = id * 0x9e3779b97f4a7c15u;

	return (hash ^ hash >> 32) & (churn->bucket_count - 1);
}

/* The place that points to the entry of @id, which exists. */
static struct entry **find(struct churn *churn, uint64_t id)
{
	struct entry **place = &churn->buckets[bucket_of(churn, id)];

	while ((*place)->key->id != id)
		place = &(*place)->next;
	return place;
}

static void link_entry(struct churn *churn, struct entry *entry)
{
	struct entry **bucket = &churn->buckets[bucket_of(churn, entry->key->id)];

	entry->next = *bucket;
	*bucket = entry;
}

static struct entry **make_buckets(struct churn *churn, uint64_t count)
{
	run_note(churn->run, 0, count * sizeof(struct entry *));
	return run_must(call_calloc(count, sizeof(struct entry *)));
}

static void rehash(struct churn *churn)
{
	struct entry **old = churn->buckets;
	uint64_t old_count = churn->bucket_count;

	churn->buckets = make_buckets(churn, 2 * old_count);
	churn->bucket_count = 2 * old_count;
	for (uint64_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct entry *entry = old[i];

			old[i] = entry->next;
			link_entry(churn, entry);
		}
	}
	run_note(churn->run, old_count * sizeof(struct entry *), 0);
	call_free(old);
}

static void check_value(const struct entry *entry)
{
	uint8_t mark = (uint8_t)entry->key->id;

	if (entry->value[0] != mark || entry->value[entry->value_bytes - 1] != mark)
		run_fail("churn: a value was overwritten");
}

/* The new value is there before the old one goes. */
static void set(struct churn *churn, struct entry *entry)
{
	uint32_t bytes = run_size(churn->run, churn->low_bits, churn->high_bits);
	uint8_t *value = run_must(call_malloc(bytes));

	memset(value, (uint8_t)entry->key->id, bytes);
	run_note(churn->run, entry->value_bytes, bytes);
	if (entry->value)
		check_value(entry);
	call_free(entry->value);
	entry->value = value;
	entry->value_bytes = bytes;
}

static void append(struct churn *churn, struct entry *entry)
{
	uint32_t more = 1 + run_below(churn->run, APPENDED_BYTES_MAX);
	uint32_t bytes = entry->value_bytes + more;

	if (bytes > VALUE_BYTES_MAX) {
		set(churn, entry);
		return;
	}
	check_value(entry);
	run_note(churn->run, entry->value_bytes, bytes);
	entry->value = run_must(call_realloc(entry->value, bytes));
	check_value(entry);
	memset(entry->value + entry->value_bytes, (uint8_t)entry->key->id, more);
	entry->value_bytes = bytes;
}

static void insert(struct churn *churn)
{
	struct entry *entry = run_must(call_malloc(sizeof(*entry)));
	uint32_t key_bytes = 16 + run_below(churn->run, 25);

	if (churn->id_count >= churn->bucket_count)
		rehash(churn);
	memset(entry, 0, sizeof(*entry));
	entry->key = run_must(call_malloc(key_bytes));
	memset(entry->key, 'k', key_bytes);
	entry->key->id = churn->next_id++;
	entry->key_bytes = key_bytes;
	run_note(churn->run, 0, sizeof(*entry) + key_bytes);
	set(churn, entry);
	link_entry(churn, entry);
	churn->ids[churn->id_count++] = entry->key->id;
}

static void remove_key(struct churn *churn, uint32_t index)
{
	struct entry **place = find(churn, churn->ids[index]);
	struct entry *entry = *place;

	check_value(entry);
	*place = entry->next;
	churn->ids[index] = churn->ids[--churn->id_count];
	run_note(churn->run, sizeof(*entry) + entry->key_bytes + entry->value_bytes, 0);
	call_free(entry->key);
	call_free(entry->value);
	call_free(entry);
}

static void step(struct churn *churn)
{
	uint32_t kind = run_below(churn->run, 100);
	uint32_t index = run_below(churn->run, churn->id_count);

	if (kind < 10) {
		remove_key(churn, index);
		insert(churn);
		return;
	}
	if (kind < 60)
		set(churn, *find(churn, churn->ids[index]));
	else if (kind < 75)
		append(churn, *find(churn, churn->ids[index]));
	else
		check_value(*find(churn, churn->ids[index]));
}

static void fill(struct churn *churn)
{
	while (churn->id_count < KEYS)
		insert(churn);
}

void churn_run(struct run *run)
{
	struct churn churn = {.run = run, .low_bits = 4, .high_bits = 8};
	uint64_t small_steps = (uint64_t)run->time_ms * SMALL_STEPS_PER_MS;
	uint64_t large_steps = (uint64_t)run->time_ms * LARGE_STEPS_PER_MS;

	churn.ids = run_table(KEYS, sizeof(*churn.ids));
	run_begin(run);
	churn.buckets = make_buckets(&churn, BUCKETS_AT_START);
	churn.bucket_count = BUCKETS_AT_START;
	fill(&churn);
	for (uint64_t i = 0; i < small_steps; i++)
		step(&churn);
	while (churn.id_count > KEYS / 2)
		remove_key(&churn, run_below(run, churn.id_count));
	churn.low_bits = 7;
	churn.high_bits = 11;
	fill(&churn);
	for (uint64_t i = 0; i < large_steps; i++)
		step(&churn);
	run_end(run, small_steps + large_steps + KEYS + KEYS);
}
