/* SPDX-License-Identifier: MIT */
/*
 * The heap of one runtime: superblocks of one size class, aligned to their own size, so that
 * masking an object's address finds the header. One address range is reserved at the start, so
 * that two comparisons tell whether a pointer is ours at all.
 *
 * An object lives until its owner has freed it and the last operation has dropped its hold.
 * A heap belongs to one thread, its owner; only what says so may be called by another.
 */
#ifndef DEMI_HEAP_HEAP_H
#define DEMI_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/** Largest alignment that heap_alloc_aligned serves, bytes. */
#define HEAP_ALIGNMENT_MAX (2u << 20)

/** Holds that an object can count. One that has so many is pinned: never reused, but never wrong. */
#define HEAP_HOLDS_MAX 0x00ffffffu

/** In a heap with write protection smaller objects share their pages with others. */
#define HEAP_PROTECT_BYTES_MIN 1024u

/** A heap's range starts at a multiple of this, so that no two heaps share one. */
#define HEAP_RANGE_ALIGNMENT ((size_t)1 << 30)

/** Size classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling, to 112 KiB. */
#define HEAP_CLASSES 42u

/** Devices that can know the memory of one heap. */
#define HEAP_REGISTRARS_MAX 4u

/** Pools of frames (heap/frames.h) that one heap can have. */
#define HEAP_FRAME_POOLS_MAX 8u

enum heap_huge_pages {
	HEAP_HUGE_PAGES_AUTO,     /* reserved ones while there are any, else transparent ones */
	HEAP_HUGE_PAGES_RESERVED, /* nothing but reserved ones */
	HEAP_HUGE_PAGES_OFF,      /* ordinary pages */
};

/** Red zones, exact sizes and a quarantine, so that ASan and valgrind see wrong uses of objects. */
enum heap_checks {
	HEAP_CHECKS_AUTO, /* when one of these tools is there */
	HEAP_CHECKS_OFF,
	HEAP_CHECKS_ON,
};

/** Told that another thread freed what was not to be freed; called by heap_collect and by the owner's free. */
typedef void heap_wrong_free(const struct heap *heap, const void *object, int error);

struct heap_options {
	uint64_t bytes_max; /* bound on the memory in use; rounded up to 256 KiB, 1 TiB at most */
	enum heap_huge_pages huge_pages;
	enum heap_checks checks;
	bool lock; /* in memory, as far as the limits allow; not in a checked heap */
	/* Objects of HEAP_PROTECT_BYTES_MIN or more, and all of heap_alloc_io, get pages of their own. */
	bool protect;
	heap_wrong_free *wrong_free; /* NULL: nobody is told */
};

/**
 * heap_create - reserve the address range of a heap
 *
 * Return: 0, -EINVAL (bytes_max is 0), -ENOMEM (also: no reserved huge page where nothing else
 * will do).
 */
int heap_create(struct heap **heap_out, const struct heap_options *options);

/** heap_destroy - give everything back, live objects included; NULL is allowed. */
void heap_destroy(struct heap *heap);

/**
 * heap_reset - make an empty heap as new, without memory; heap_revive - let it be used again
 *
 * Other threads may look at it meanwhile. heap_revive: 0 or -ENOMEM.
 */
void heap_reset(struct heap *heap);
int heap_revive(struct heap *heap);

/**
 * heap_alloc - allocate @size bytes, aligned to 16 (to 64 from 64 bytes on); contents undefined
 *
 * @size 0 gives a unique object. Return: the object, NULL when bytes_max or the system's memory
 * is exhausted.
 */
void *heap_alloc(struct heap *heap, size_t size);

/** heap_alloc_aligned - as heap_alloc; @alignment: a power of two, <= HEAP_ALIGNMENT_MAX, or NULL. */
void *heap_alloc_aligned(struct heap *heap, size_t alignment, size_t size);

/** heap_alloc_io - as heap_alloc, for what devices read and write: see heap_options.protect */
void *heap_alloc_io(struct heap *heap, size_t size);

/** heap_alloc_buf - as heap_alloc_io, for what only heap_free_buf frees: an array's buffers */
void *heap_alloc_buf(struct heap *heap, size_t size);

/** heap_alloc_zeroed - as heap_alloc; all bytes are 0, and those that were already are not touched */
void *heap_alloc_zeroed(struct heap *heap, size_t size);

/**
 * heap_free - drop the owner's hold on an object
 *
 * Return: 0; -EFAULT when @object is not in this heap; -EINVAL when it is not the start of an
 * object, or is of heap_alloc_buf; -EALREADY when its owner has freed it before (-EINVAL once the superblock that it was in
 * has become empty and is used otherwise). Nothing changes on an error.
 */
int heap_free(struct heap *heap, void *object);

/**
 * heap_drop - free an object of a heap that nobody can put in order any more
 *
 * For the child of a fork, which may have caught another thread's heap at any point: only the
 * object's own state changes, its memory is not used again. Return: as heap_free.
 */
int heap_drop(struct heap *heap, void *object);

/** heap_free_buf - heap_free for objects of heap_alloc_buf; -EINVAL for others */
int heap_free_buf(struct heap *heap, void *object);

/**
 * heap_own - make a live object that nobody owns the application's, as of heap_alloc_buf, in place
 * of one hold
 */
void heap_own(struct heap *heap, void *object);

/** heap_is_buf - whether an object of heap_alloc_buf starts here that its owner has not freed */
bool heap_is_buf(const struct heap *heap, const void *object);

/**
 * heap_free_remote - heap_free by any other thread than the owner
 *
 * Lock-free. The object is free when the owner collects it; until then a second free by another
 * thread is -EALREADY, one by the owner is found by heap_collect.
 * Return: as heap_free.
 */
int heap_free_remote(struct heap *heap, void *object);

/** heap_has_remote - whether there may be something to collect: one load */
bool heap_has_remote(const struct heap *heap);

/** heap_collect - free what other threads have freed; the owner calls it now and then */
void heap_collect(struct heap *heap);

/** heap_owns - whether @ptr lies in this heap's range: two comparisons. Any thread. */
bool heap_owns(const struct heap *heap, const void *ptr);

/**
 * heap_object - the start of the object that @ptr points anywhere into
 *
 * Return: the object, NULL when @ptr is not inside an object that the owner or an operation holds.
 */
void *heap_object(const struct heap *heap, const void *ptr);

/**
 * heap_usable_size - bytes that may be used at @object, at least what was asked for
 *
 * In a checked heap exactly what was asked for. Any thread that the object was handed to.
 * Return: the bytes; 0 when no object that the owner or an operation holds starts at @object.
 */
size_t heap_usable_size(const struct heap *heap, const void *object);

/** heap_class_size - size of the class of objects at @ptr, bytes; 0: none. For reports; any thread. */
size_t heap_class_size(const struct heap *heap, const void *ptr);

/** heap_is_owned - whether an object of @size bytes or more starts here that its owner has not freed */
bool heap_is_owned(const struct heap *heap, const void *object, size_t size);

/**
 * heap_hold, heap_release - take and drop an operation's hold on an object
 * @ptr: anywhere in a live object of this heap
 *
 * The memory is reused after the owner's free and the last release.
 */
void heap_hold(struct heap *heap, void *ptr);
void heap_release(struct heap *heap, void *ptr);

/** heap_is_held - whether any operation holds the live object that @ptr, which is ours, points into */
bool heap_is_held(const struct heap *heap, const void *ptr);

/**
 * heap_each - call @visit for each object that its owner has not freed
 *
 * @visit may free that object and others, and allocate nothing.
 */
void heap_each(struct heap *heap, void (*visit)(struct heap *heap, void *object));

/** heap_trim - give empty superblocks back and what lies in magazines to its superblock */
void heap_trim(struct heap *heap);

/** heap_is_dirty - whether heap_purge would give memory to the system: one load */
bool heap_is_dirty(const struct heap *heap);

/**
 * heap_purge - give the memory of long free runs back to the system
 *
 * Not at the free, since what is freed is often allocated again soon, and faulting it in again
 * costs more than keeping it for a while; but a run of 256 MiB or more goes back at once.
 */
void heap_purge(struct heap *heap);

/** heap_purge_all - give all free memory back to the system */
void heap_purge_all(struct heap *heap);

/** heap_is_empty - whether no object lives, held or not; collects and trims first */
bool heap_is_empty(struct heap *heap);

/**
 * heap_fail_after - injection for tests: @count allocations more succeed, the ones after them fail
 *
 * UINT64_MAX ends it.
 */
void heap_fail_after(struct heap *heap, uint64_t count);

/* ---- Registration with devices ---- */

/** How one device learns of the heap's regions. Both run on the owner's thread. */
struct heap_registrar_ops {
	/* The device may use [start, start + bytes) from now on. Return: 0 with its handle for it, or
	 * a negative errno: the region is not used then. */
	int (*add)(void *context, void *start, size_t bytes, uint64_t *handle_out);
	/* The opposite, at heap_unregister. */
	void (*remove)(void *context, void *start, size_t bytes, uint64_t handle);
};

/**
 * heap_register - make a device know all regions of the heap, those of now and those to come
 * @number_out: the number by which heap_handle finds the device's handles
 *
 * From now on no page goes back to the system: the device knows where they are.
 * Return: 0; -ENOSPC (HEAP_REGISTRARS_MAX devices know it already); the error of ops->add, in which
 * case every region has been removed again.
 */
int heap_register(struct heap *heap, const struct heap_registrar_ops *ops, void *context,
		  unsigned int *number_out);

/** heap_unregister - remove every region from the device */
void heap_unregister(struct heap *heap, unsigned int number);

/**
 * heap_handle - the device's handle for the region that @ptr, which the heap owns, lies in
 * @bytes_out: bytes from @ptr to the region's end; an object may reach across it. NULL is allowed.
 */
uint64_t heap_handle(const struct heap *heap, unsigned int number, const void *ptr,
		     size_t *bytes_out);

/** heap_walk - call @visit for each region, in the order of addresses; stops when it returns not 0 */
int heap_walk(const struct heap *heap, int (*visit)(void *context, void *start, size_t bytes),
	      void *context);

/* ---- Statistics ---- */

struct heap_class_stats {
	uint64_t object_bytes;      /* size of each */
	uint64_t objects;           /* live, held ones included */
	uint64_t objects_held_only; /* freed by their owner, held by operations */
	uint64_t superblocks;
};

/** Counters; bytes count size classes, not requests. */
struct heap_stats {
	uint64_t bytes_max;
	uint64_t bytes_committed;     /* accessible address space */
	uint64_t bytes_reserved;      /* carved into superblocks and large objects */
	uint64_t bytes_in_use;        /* live objects, held ones included */
	uint64_t bytes_held_only;     /* freed by their owner, held by operations */
	uint64_t bytes_reserved_huge; /* of bytes_committed: in reserved huge pages */
	uint64_t bytes_locked;        /* of bytes_committed: locked in memory */
	uint64_t objects;             /* live objects */
	uint64_t objects_large;       /* of these: too large for a class */
	uint64_t objects_pinned;      /* had HEAP_HOLDS_MAX holds once, live for ever */
	uint64_t remote_frees;        /* objects that other threads freed, collected ones */
	/* Not in the figures above, but in bytes_reserved: what devices keep for what they receive. */
	uint64_t frames;
	uint64_t frames_in_use; /* of these: with a device, the application or an operation */
	struct heap_class_stats classes[HEAP_CLASSES];
};

/** heap_get_stats - the counters; takes a time that grows with the heap's superblocks. */
void heap_get_stats(const struct heap *heap, struct heap_stats *stats);

#endif /* DEMI_HEAP_HEAP_H */
