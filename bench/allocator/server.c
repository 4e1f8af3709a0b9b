/* SPDX-License-Identifier: MIT */
/*
 * What a server asks of its allocator: most objects small and soon freed, some for connections,
 * documents and caches large or long-lived. Some 200 MB live; everything is written, so that what
 * is resident is what the objects take and not what the kernel has yet to give.
 *
 * An object lives until a random choice falls on its slot: there are few slots for the
 * short-lived ones, which are chosen most of the time, and many for the long-lived.
 */
#include "allocator/calls.h"
#include "allocator/run.h"

#include <stdbool.h>

#define SHORT_SLOTS 2048u
#define LONG_SLOTS 150000u
#define SLOTS (SHORT_SLOTS + LONG_SLOTS)
#define STEPS_PER_MS 10000u
#define SHORT_PERCENT 85u
#define REALLOC_PERCENT 3u
#define BYTES_MAX (1u << 20)
#define PAGE_BYTES 4096u

struct slot {
	uint8_t *object; /* NULL: empty */
	uint32_t bytes;
	uint8_t mark; /* what was written */
};

struct request {
	uint32_t bytes;
	bool page_aligned;
};

/* Of 10,000: 7,905 of 16..511 B, 2,000 of 1..4 KiB, 90 of 16..64 KiB, 5 of 256 KiB..1 MiB. */
static struct request next_request(struct run *run)
{
	uint32_t kind = run_below(run, 10000);
	struct request request = {.page_aligned = false};

	if (kind < 7905) {
		request.bytes = run_size(run, 4, 9);
	} else if (kind < 9905) {
		request.bytes = run_size(run, 10, 12);
	} else if (kind < 9995) {
		request.bytes = run_size(run, 14, 16);
		request.page_aligned = kind % 8 == 0; /* buffers of devices and files */
	} else {
		request.bytes = run_size(run, 18, 20);
	}
	return request;
}

/* A byte in every page, and the last one; @from: what has been written before. */
static void write_object(struct slot *slot, uint32_t from)
{
	for (uint32_t i = from; i < slot->bytes; i += PAGE_BYTES)
		slot->object[i] = slot->mark;
	slot->object[slot->bytes - 1] = slot->mark;
}

static void check_object(const struct slot *slot)
{
	if (slot->object[0] != slot->mark || slot->object[slot->bytes - 1] != slot->mark)
		run_fail("server: an object was overwritten");
}

static void replace(struct run *run, struct slot *slot)
{
	struct request request = next_request(run);
	uint32_t old_bytes = 0;

	if (slot->object) {
		old_bytes = slot->bytes;
		check_object(slot);
		call_free(slot->object);
	}
	run_note(run, old_bytes, request.bytes);
	slot->object = run_must(request.page_aligned ? call_memalign(PAGE_BYTES, request.bytes)
						     : call_malloc(request.bytes));
	slot->bytes = request.bytes;
	slot->mark = (uint8_t)run->checksum;
	write_object(slot, 0);
}

/* A buffer that turned out to be too small. */
static void grow(struct run *run, struct slot *slot)
{
	uint32_t old_bytes = slot->bytes;
	uint32_t bytes = 2 * old_bytes;

	if (!slot->object || old_bytes > BYTES_MAX / 2)
		return;
	check_object(slot);
	run_note(run, old_bytes, bytes);
	slot->object = run_must(call_realloc(slot->object, bytes));
	if (slot->object[old_bytes - 1] != slot->mark)
		run_fail("server: realloc lost an object's contents");
	slot->bytes = bytes;
	write_object(slot, old_bytes);
}

static void step(struct run *run, struct slot *slots)
{
	uint32_t kind = run_below(run, 100);
	struct slot *slot;

	if (kind < SHORT_PERCENT)
		slot = &slots[run_below(run, SHORT_SLOTS)];
	else
		slot = &slots[SHORT_SLOTS + run_below(run, LONG_SLOTS)];
	if (kind < REALLOC_PERCENT)
		grow(run, slot);
	else
		replace(run, slot);
}

void server_run(struct run *run)
{
	struct slot *slots = run_table(SLOTS, sizeof(*slots));
	uint64_t steps = (uint64_t)run->time_ms * STEPS_PER_MS;

	run_begin(run);
	/* The long-lived come to life between short-lived ones, as they do in a program. */
	for (uint32_t i = SHORT_SLOTS; i < SLOTS; i++) {
		replace(run, &slots[i]);
		replace(run, &slots[run_below(run, SHORT_SLOTS)]);
	}
	for (uint64_t i = 0; i < steps; i++)
		step(run, slots);
	run_end(run, steps + LONG_SLOTS + LONG_SLOTS);
}
