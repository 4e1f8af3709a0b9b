/* SPDX-License-Identifier: MIT */
/*
 * Frames: objects of one size that a device has taken out of the heap for good, to receive into
 * and to write headers in. They lie in one run of superblocks, each has its state word, and the
 * application frees one as any other buffer; but what nobody holds goes back to the device's pool,
 * a stack, instead of to its class. So taking one is a pop, and what was received is handed
 * to the application by setting its state.
 *
 * Who takes a frame has one hold on it. It may be held further (heap_hold), and be given to the
 * application (frame_give). The last of all who lets go puts it back.
 */
#ifndef DEMI_HEAP_FRAMES_H
#define DEMI_HEAP_FRAMES_H

#include "heap/fast.h"

struct heap_frames;

/**
 * heap_frames_create - take @count frames of at least @bytes out of the heap
 * @bytes: up to HEAP_FRAME_BYTES_MAX; rounded up to a size class
 *
 * A frame is as aligned as its size is: 2048 bytes to 2048, 2560 to 512.
 * Return: 0; -EINVAL (no frames, or too large), -ENOSPC (HEAP_FRAME_POOLS_MAX pools), -ENOMEM.
 */
int heap_frames_create(struct heap_frames **frames_out, struct heap *heap, uint32_t bytes,
		       uint32_t count);

#define HEAP_FRAME_BYTES_MAX 16384u

/**
 * heap_frames_destroy - give all frames back to the heap; NULL is allowed
 *
 * Those that somebody still has live on as ordinary objects, until the last who has one lets go.
 */
void heap_frames_destroy(struct heap *heap, struct heap_frames *frames);

/** heap_frames_memory - the run that they lie in: its start, a multiple of 256 KiB, and its bytes */
void *heap_frames_memory(const struct heap_frames *frames, size_t *bytes_out);

/** heap_frames_bytes - the size of each */
uint32_t heap_frames_bytes(const struct heap_frames *frames);

/** heap_frames_each - call @visit for every frame, free or not, in the order of addresses */
void heap_frames_each(const struct heap_frames *frames, void (*visit)(void *context, void *frame),
		      void *context);

/** Frames that are free. */
static inline uint32_t heap_frames_free(const struct heap_frames *frames);

struct heap_frames {
	struct heap *heap;
	struct magazine *magazine; /* of all that are free */
	struct magazine_slot *slots;
	struct unit *units; /* the run's first */
	uint32_t unit_count;
	uint32_t count;
	uint32_t bytes;       /* of a frame */
	uint32_t class_id;    /* its own, from CLASSES on */
	uint32_t class_below; /* the class of this size, whose objects they become at the end */
};

static inline uint32_t heap_frames_free(const struct heap_frames *frames)
{
	return magazine_count(frames->magazine);
}

/** frame_take_at - as frame_take; *@state_out is for frame_give_at */
static inline void *frame_take_at(struct heap_frames *frames, uint32_t **state_out)
{
	struct magazine *magazine = frames->magazine;
	struct magazine_slot *top = magazine->top;

	if (unlikely(top == magazine->bottom))
		return NULL;
	magazine->top = --top;
	*top->state = STATE_LIVE | 1;
	*state_out = top->state;
	return top->object;
}

/** frame_take - a free frame, held once; NULL: all are in use */
static inline void *frame_take(struct heap_frames *frames)
{
	uint32_t *state;

	return frame_take_at(frames, &state);
}

/** frame_release - drop one hold on a frame or on any other object of the heap, given by its start */
static inline void frame_release(struct heap *heap, void *object)
{
	/* That an ordinary object was held after its owner's free has been counted. */
	if (unlikely(!unit_has_frames(unit_at(heap, object)) ||
		     !heap_free_fast(heap, object, STATE_LIVE | 1)))
		heap_release(heap, object);
}

/**
 * frame_give - the application becomes the owner, as of heap_alloc_buf, in place of one hold
 * @frame: or any other object, given by its start, that nobody owns
 */
static inline void frame_give(struct heap *heap, void *frame)
{
	struct unit *unit = unit_at(heap, frame);
	uint32_t *state;

	if (unlikely(!unit_has_frames(unit))) {
		heap_own(heap, frame);
		return;
	}
	state = &unit->states[object_index_exact(unit, frame)];
	*state = (*state - 1) | STATE_OWNED | STATE_BUF;
}

/** frame_give_at - as frame_give, by what frame_take_at has told; its frames are not destroyed yet */
static inline void frame_give_at(uint32_t *state)
{
	*state = (*state - 1) | STATE_OWNED | STATE_BUF;
}

#endif /* DEMI_HEAP_FRAMES_H */
