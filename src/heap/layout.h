/* SPDX-License-Identifier: MIT */
/*
 * How a heap lies in memory, for the files of this folder alone.
 *
 * The range is cut into units of 256 KiB. A unit is a superblock (objects of one size class), or
 * part of a run of units that is one large object, or part of a free run. The unit table has one
 * cache line for each unit, found by masking and shifting an address: what allocating and freeing
 * need of a superblock lies there and not at the superblock's start, where the lines of all
 * superblocks would compete for the same few cache sets, and where a stray write would find it.
 *
 * Each object has a state word at its superblock's start, off its own cache lines: who holds it
 * while it lives, the next free object while it does not. So neither allocating nor freeing
 * touches the object's memory.
 *
 * In front of the superblocks each class has a magazine: a stack of some objects that are free, so
 * that the common pair of calls touches no list and no counter of a superblock.
 */
#ifndef DEMI_HEAP_LAYOUT_H
#define DEMI_HEAP_LAYOUT_H

#include "heap/buf.h"
#include "heap/heap.h"
#include "heap/pages.h"

/* Some devices' libraries have the same macros. */
#ifndef likely
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#endif

#define UNIT_SHIFT 18
#define UNIT_BYTES ((size_t)1 << UNIT_SHIFT)
#define CHUNK_UNITS (PAGES_CHUNK_BYTES / UNIT_BYTES)
#define HEAP_BYTES_CAP (UINT64_C(1) << 40) /* a larger bytes_max is as good as this one */

#define CLASSES HEAP_CLASSES
/* Behind them, in the tables by class: one for each pool of frames (frames.h). */
#define CLASSES_ALL (CLASSES + HEAP_FRAME_POOLS_MAX)
#define CLASS_BYTES_MAX 114688u
#define TABLE_BYTES_MAX 1024u /* up to here a request's class comes from a table */

#define RECIPROCAL_SHIFT 40

/* Of an object in a magazine: not live. */
#define STATE_IN_MAGAZINE 0x00fe0000u
/* State word of an object. Live: flags and the number of holds. Not live: next free index. */
#define STATE_OWNED 0x80000000u
#define STATE_LIVE 0x40000000u
#define STATE_BUF 0x10000000u     /* the buffer of an array: heap_free_buf frees it */
#define STATE_CHECKED 0x20000000u /* allocated while the heap was checked: never the fast path */
#define STATE_HOLDS HEAP_HOLDS_MAX
#define STATE_NEW (STATE_OWNED | STATE_LIVE)
#define INDEX_NONE 0xffffu

#define BINS 23u

/* A magazine holds so many objects, between these limits as many as there are in so many bytes. */
#define MAGAZINE_OBJECTS_MIN 2u
#define MAGAZINE_OBJECTS_MAX 32u
#define MAGAZINE_BYTES_MAX 65536u

/* Freed objects that a checked heap keeps from being used again, so that tools see late uses. */
#define QUARANTINE_OBJECTS 256u

enum unit_kind {
	UNIT_UNUSED, /* never used, or inside a free run */
	UNIT_FREE,   /* first or last of a free run */
	UNIT_SUPERBLOCK,
	UNIT_LARGE,
	UNIT_LARGE_TAIL, /* any but the first of a large object */
};

enum place {
	PLACE_CURRENT, /* being allocated from */
	PLACE_PARTIAL, /* in its class's list: has a free object and one that is not */
	PLACE_FULL,    /* in no list */
	/* Of what is neither superblock nor large object: one that was freed started here. */
	PLACE_LARGE_FREED,
};

struct unit {
	union {
		struct {
			unsigned char *objects; /* the first one */
			uint32_t *states;       /* by object index */
			uint64_t reciprocal;    /* 2^40 / size, rounded up */
			uint32_t size;          /* of an object, bytes */
			uint16_t free;          /* index of the first free object, INDEX_NONE */
			uint16_t taken;         /* objects that are live or in the magazine */
		};
		struct {
			uint32_t units; /* of the run; valid in its first unit */
			uint32_t head;  /* index of the run's first unit; large tail, free end */
			uint32_t dirty; /* free run: at most so many units may be resident */
			uint32_t state; /* of a large object */
			uint64_t requested; /* of a large object, bytes; only in a checked heap */
			uint32_t
				remote_large; /* another thread has freed the large object; atomic */
		};
	};
	struct unit *next; /* in the class's partial list or the bin */
	struct unit *previous;
	uint32_t inverse; /* of the odd part of size, modulo 2^32 */
	/* 0, or on the list of units in which other threads freed: index + 1 of the next one, or
	 * REMOTE_LAST. Any thread may set it from 0, only the owner sets it to 0. */
	uint32_t remote_next;
	/* Objects that were allocated once; 0 unless a superblock. Other threads read it. */
	uint16_t carved;
	uint16_t magazine_offset; /* from the heap's first magazine to that of the class, bytes */
	uint8_t kind;
	uint8_t class_id;
	uint8_t place;
	uint8_t shift; /* size is an odd number times 2^shift */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct unit) == 64, "a unit's table entry is one cache line");

#define REMOTE_LAST UINT32_MAX

/* Parameters of a size class. A superblock starts with the state words, then the bits of what
 * other threads freed, then in a checked heap the sizes that were asked for. */
struct size_class {
	uint64_t reciprocal;
	uint32_t size;
	uint32_t inverse;        /* of the odd part of size, modulo 2^32 */
	uint32_t shift;          /* size is an odd number times 2^shift */
	uint32_t objects_offset; /* of the first object in the unit */
	uint32_t objects_bytes;  /* of all objects together */
	uint32_t count;          /* objects */
	uint32_t remote_offset;  /* from the state words to the remote bits, bytes */
	uint32_t sizes_offset;   /* from the state words to the sizes, bytes */
};

struct magazine_slot {
	void *object;
	uint32_t *state;
};

/* Three pointers and no counts: what the fast path reads is what it needs. */
struct magazine {
	struct magazine_slot *top; /* behind the object that goes out next */
	struct magazine_slot *bottom;
	struct magazine_slot *limit; /* as bottom in a checked heap, which has no magazines */
	struct magazine_slot slots[MAGAZINE_OBJECTS_MAX];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct magazine) * CLASSES_ALL <= UINT16_MAX, "offsets take 16 bits");

/* What is registered of a chunk, and which region it belongs to. */
struct chunk {
	uint64_t handles[HEAP_REGISTRARS_MAX];
	uint32_t region_first; /* index of the region's first chunk */
	uint32_t region_chunks;
};

struct registrar {
	const struct heap_registrar_ops *ops; /* NULL: this place is free */
	void *context;
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what other threads write stands alone */
struct heap {
	uint64_t bytes; /* of the range that may be used: whole units */
	unsigned char *base;
	struct unit *units;
	/* From the first magazine to that of a request of so many times 16 bytes, in bytes. */
	uint16_t magazine_by_16[TABLE_BYTES_MAX / 16 + 1];
	struct magazine magazines[CLASSES_ALL]; /* that of a pool has its slots elsewhere */

	/* Written by other threads, on a line of its own. */
	_Alignas(64) uint32_t remote_head; /* index + 1 of the first unit, 0: none */

	_Alignas(64) struct unit none; /* a superblock without a free object */
	struct unit *current[CLASSES]; /* never NULL: &none */
	struct unit *partial[CLASSES];
	struct unit *bins[BINS]; /* free runs of 2^i..2^(i+1)-1 units */
	struct size_class classes[CLASSES_ALL];
	struct heap_frames *frames[HEAP_FRAME_POOLS_MAX]; /* NULL: no such pool */
	struct pages pages;
	struct chunk *chunks;
	bool *used_before; /* by unit: used since its memory was last given back */
	struct registrar registrars[HEAP_REGISTRARS_MAX];
	size_t table_bytes;
	size_t chunks_bytes;
	uint32_t units_max;
	uint32_t units_fresh; /* units from here on were never accessible */
	uint32_t units_used;  /* in superblocks and large objects */
	uint64_t held_only_bytes;
	uint64_t held_only[CLASSES]; /* objects; large ones are not in it */
	uint64_t pinned;
	uint64_t remote_frees;       /* collected */
	struct heap_options options; /* as asked for */
	struct heap *next;           /* in the list of idle heaps */
	uint64_t fail_after; /* injection: allocations that still succeed; UINT64_MAX: off */
	bool checked;
	bool protect;
	uint16_t *page_holds; /* with protect: operations that protect the page */
	bool others_freed; /* another thread did: it may be looking yet when all objects are gone */
	bool abandoned; /* its owner is a thread of the parent, which may have been in the middle */
	bool ownerless; /* belongs to who holds the lock of heaps.c; atomic */
	bool dirty;     /* there may be a free run that is worth a purge */
	bool registered; /* with a device, which knows the pages: they must stay */
	uint32_t lent_count;
	void *lent[BUF_GIVE_BACK_MAX]; /* bufs of other heaps that are to be given back */
	uint32_t quarantine_next;
	void *quarantine[QUARANTINE_OBJECTS];
};

static inline uint32_t round_up(uint32_t value, uint32_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint32_t unit_index(const struct heap *heap, const struct unit *unit)
{
	return (uint32_t)(unit - heap->units);
}

static inline unsigned char *unit_memory(const struct heap *heap, const struct unit *unit)
{
	return heap->base + ((size_t)unit_index(heap, unit) << UNIT_SHIFT);
}

static inline struct unit *unit_at(const struct heap *heap, const void *ptr)
{
	return &heap->units[((uintptr_t)ptr - (uintptr_t)heap->base) >> UNIT_SHIFT];
}

/* Of a unit that is neither superblock nor large object. */
static inline bool unit_large_freed(const struct unit *unit)
{
	return unit->kind != UNIT_SUPERBLOCK && unit->place == PLACE_LARGE_FREED;
}

/* Whether its objects are a device's frames: then nobody but frames.c takes them. */
static inline bool unit_has_frames(const struct unit *unit)
{
	return unit->kind == UNIT_SUPERBLOCK && unit->class_id >= CLASSES;
}

static inline uint32_t object_index(const struct unit *unit, uint64_t inner_bytes)
{
	return (uint32_t)((inner_bytes * unit->reciprocal) >> RECIPROCAL_SHIFT);
}

static inline uint64_t unit_object_bytes(const struct unit *unit)
{
	if (likely(unit->kind == UNIT_SUPERBLOCK))
		return unit->size;
	return (uint64_t)unit->units << UNIT_SHIFT;
}

/** class_of_large - the class of a request of TABLE_BYTES_MAX..CLASS_BYTES_MAX */
static inline uint32_t class_of_large(size_t size)
{
	unsigned int log2 = 63u - (unsigned int)__builtin_clzl(size - 1);

	return 7 + (log2 - 8) * 4 + (((size - 1) >> (log2 - 2)) & 3);
}

static inline uint32_t magazine_count(const struct magazine *magazine)
{
	return (uint32_t)(magazine->top - magazine->bottom);
}

static inline uint32_t magazine_capacity(const struct magazine *magazine)
{
	return (uint32_t)(magazine->limit - magazine->bottom);
}

/* The bits of what other threads freed, one for each object of a superblock. */
static inline uint64_t *unit_remote_bits(const struct heap *heap, const struct unit *unit)
{
	return (uint64_t *)(void *)((char *)unit->states +
				    heap->classes[unit->class_id].remote_offset);
}

/* The sizes that were asked for, by object index; in a checked heap only. */
static inline uint32_t *unit_sizes(const struct heap *heap, const struct unit *unit)
{
	return (uint32_t *)(void *)((char *)unit->states +
				    heap->classes[unit->class_id].sizes_offset);
}

/*
 * The place among the states of the object that starts at @object, in a superblock.
 * UINT32_MAX: none ever did.
 *
 * Multiplying by the inverse of size's odd part and rotating its power of two away divides what is
 * a multiple, and makes everything else larger than any quotient (Granlund and Montgomery, Division
 * by Invariant Integers using Multiplication, section 9).
 */
static inline uint32_t object_index_exact(const struct unit *unit, const void *object)
{
	uint32_t product = (uint32_t)((uintptr_t)object - (uintptr_t)unit->objects) * unit->inverse;
	uint32_t index = product >> (unit->shift & 31) | product << (-unit->shift & 31);

	return likely(index < __atomic_load_n(&unit->carved, __ATOMIC_RELAXED)) ? index
										: UINT32_MAX;
}

#endif /* DEMI_HEAP_LAYOUT_H */
