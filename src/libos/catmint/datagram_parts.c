/* SPDX-License-Identifier: MIT */
#include "libos/catmint/datagram_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_MAX ((UINT16_MAX + MESSAGE_UNIT_BYTES) / MESSAGE_UNIT_BYTES)
#define WORD_BITS 64u

struct entry {
	struct parts_key key;
	struct buf *buf; /* NULL: the entry is free */
	uint64_t until_ns;
	uint32_t missing; /* units */
	uint64_t there[(UNITS_MAX + WORD_BITS - 1) / WORD_BITS];
};

/* In the order of their age, as a ring would have them: few, and looked through. */
struct parts {
	struct heap *heap;
	uint32_t count;
	uint32_t bytes;
	uint64_t dropped;
	struct entry
		*order[PARTS_DATAGRAMS_MAX]; /* the first count: the oldest first; then free ones */
	struct entry entries[PARTS_DATAGRAMS_MAX];
};

int parts_create(struct parts **parts_out, struct heap *heap)
{
	struct parts *parts = calloc(1, sizeof(*parts));

	if (!parts)
		return -ENOMEM;
	parts->heap = heap;
	for (uint32_t i = 0; i < PARTS_DATAGRAMS_MAX; i++)
		parts->order[i] = &parts->entries[i];
	*parts_out = parts;
	return 0;
}

static uint32_t units_of(uint32_t bytes)
{
	return (bytes + MESSAGE_UNIT_BYTES - 1) / MESSAGE_UNIT_BYTES;
}

static bool is_same(const struct parts_key *a, const struct parts_key *b)
{
	return a->number == b->number && a->qpn == b->qpn && a->own_qpn == b->own_qpn &&
	       a->port == b->port && a->total == b->total &&
	       ip_address_equal(&a->source, &b->source);
}

/* Takes it out of the order; its buf is the caller's. */
static struct buf *take(struct parts *parts, uint32_t at)
{
	struct entry *entry = parts->order[at];
	struct buf *buf = entry->buf;

	parts->bytes -= entry->key.total;
	parts->count--;
	memmove(&parts->order[at], &parts->order[at + 1],
		(parts->count - at) * sizeof(struct entry *));
	parts->order[parts->count] = entry;
	entry->buf = NULL;
	return buf;
}

static void drop(struct parts *parts, uint32_t at)
{
	buf_free(parts->heap, take(parts, at));
	parts->dropped++;
}

void parts_destroy(struct parts *parts)
{
	if (!parts)
		return;
	while (parts->count > 0)
		drop(parts, 0);
	free(parts);
}

static uint32_t find(const struct parts *parts, const struct parts_key *key)
{
	uint32_t at = parts->count;

	/* The newest is the one that parts come of. */
	while (at > 0 && !is_same(&parts->order[at - 1]->key, key))
		at--;
	return at > 0 ? at - 1 : UINT32_MAX;
}

static uint32_t begin(struct parts *parts, const struct parts_key *key, uint64_t now_ns)
{
	struct entry *entry;
	struct buf *buf;

	while (parts->count == PARTS_DATAGRAMS_MAX ||
	       (parts->count > 0 && parts->bytes + key->total > PARTS_BYTES_MAX))
		drop(parts, 0);
	buf = buf_alloc(parts->heap, key->total);
	if (!buf) {
		parts->dropped++;
		return UINT32_MAX;
	}
	entry = parts->order[parts->count];
	entry->key = *key;
	entry->buf = buf;
	entry->until_ns = now_ns + PARTS_TIMEOUT_NS;
	entry->missing = units_of(key->total);
	memset(entry->there, 0, sizeof(entry->there));
	parts->bytes += key->total;
	return parts->count++;
}

/* false: some of it was there already. */
static bool note(struct entry *entry, uint32_t first, uint32_t count)
{
	for (uint32_t unit = first; unit < first + count; unit++)
		if (entry->there[unit / WORD_BITS] >> unit % WORD_BITS & 1)
			return false;
	for (uint32_t unit = first; unit < first + count; unit++)
		entry->there[unit / WORD_BITS] |= UINT64_C(1) << unit % WORD_BITS;
	entry->missing -= count;
	return true;
}

struct buf *parts_add(struct parts *parts, const struct parts_key *key, uint32_t offset,
		      const unsigned char *payload, uint32_t bytes, uint64_t now_ns)
{
	uint32_t at = find(parts, key);
	struct entry *entry;
	struct buf *buf;

	if (at == UINT32_MAX)
		at = begin(parts, key, now_ns);
	if (at == UINT32_MAX)
		return NULL;
	entry = parts->order[at];
	if (!note(entry, offset / MESSAGE_UNIT_BYTES, units_of(bytes)))
		return NULL;
	memcpy(entry->buf->data + offset, payload, bytes);
	if (entry->missing > 0)
		return NULL;
	buf = take(parts, at);
	buf->length = key->total;
	return buf;
}

uint64_t parts_expire(struct parts *parts, uint64_t now_ns)
{
	while (parts->count > 0 && parts->order[0]->until_ns <= now_ns)
		drop(parts, 0);
	return parts->count > 0 ? parts->order[0]->until_ns : UINT64_MAX;
}

void parts_forget(struct parts *parts, uint32_t own_qpn)
{
	for (uint32_t at = parts->count; at > 0; at--)
		if (parts->order[at - 1]->key.own_qpn == own_qpn)
			drop(parts, at - 1);
}

uint64_t parts_take_dropped(struct parts *parts)
{
	uint64_t dropped = parts->dropped;

	parts->dropped = 0;
	return dropped;
}
