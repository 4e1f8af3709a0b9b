/* SPDX-License-Identifier: MIT */
/*
 * struct buf describes a run of bytes in the heap: one segment of what was received or of what
 * an application allocated as an array. It is itself a heap object, usually with its bytes
 * directly behind it; otherwise it holds the object that they lie in. It may be a device's frame
 * (heap/frames.h): then the device's own structures may stand between it and the bytes.
 *
 * sga_buf of a library-made scatter-gather array points to its first buf.
 */
#ifndef DEMI_HEAP_BUF_H
#define DEMI_HEAP_BUF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "heap/heap.h"

/** Told when a device is done with the memory of a buf that it was given to send. */
struct buf_done {
	void (*done)(struct buf_done *self);
};

/* What a device has to know to send a packet; in the first buf of its chain, but for done. */
struct buf_transmit {
	struct buf_done *done; /* with BUF_DONE, in any buf of the chain */
	uint8_t network_bytes; /* of the IP header, which stands behind link_bytes of Ethernet */
	uint8_t link_bytes;
	uint8_t protocol; /* with BUF_CHECKSUM: IPPROTO_UDP or IPPROTO_TCP */
	bool is_v6;
} __attribute__((packed, aligned(4))); /* so that it takes no more room than a source */

/* Of a frame that several runtimes share a device for: which of them it has been given to. */
struct buf_steer {
	uint64_t tried;       /* bits: those that have had it */
	unsigned char *start; /* of the frame, as it was received */
	uint32_t length;
} __attribute__((packed, aligned(4)));

/* Flags of a buf. Received: */
#define BUF_CHECKED 1u /* the device has verified the checksum of UDP or TCP */
/* To be sent: */
#define BUF_CHECKSUM 2u /* the device completes it; the field has that of the pseudo header */
#define BUF_DONE 4u     /* transmit.done is to be told */
/* Of a stream, received: */
#define BUF_SHARED 8u /* more may be copied behind what it has */
/* Of a device that several runtimes share (netdev/spread.h), received: */
#define BUF_STEERED 64u    /* steer is valid: to one of them, as its ports say */
#define BUF_OVERHEARD 128u /* to all of them; another one answers */
/* Of what goes from one thread's heap to another thread: */
#define BUF_LENT 16u     /* the other thread gives it back; it outlives its runtime */
#define BUF_BORROWED 32u /* object is a lent buf, mostly of another heap */

/** Lent bufs that are given back together: see buf_give_back_all. */
#define BUF_GIVE_BACK_MAX 32u

struct buf {
	unsigned char *data; /* first byte of the run */
	uint32_t length;     /* bytes in the run */
	uint32_t capacity;   /* bytes of room behind the header; 0: none or by reference */
	struct buf *next;    /* next segment of the same array, NULL at the end */
	union {
		void *object;    /* that data lies in, held; NULL when it is this buf's own */
		uint32_t *state; /* of a frame that its device has not given yet: frame_give_at */
	};
	union {
		union { /* source of a datagram; family AF_UNSPEC: none */
			struct sockaddr any;
			struct sockaddr_in ipv4;
			struct sockaddr_in6 ipv6;
		} source;
		struct buf_transmit transmit;
		struct buf_steer steer;
		uint32_t sequence; /* of a stream: its first byte's, while it waits for others */
	};
	uint32_t flags; /* BUF_ */
};

_Static_assert(sizeof(struct buf) == 64, "a buf header is one cache line");

/** buf_alloc - a buf with @capacity bytes of room behind it, length 0; NULL: out of memory. */
struct buf *buf_alloc(struct heap *heap, uint32_t capacity);

/** buf_reference - a buf over @length bytes at @data inside the live @object, which it holds. */
struct buf *buf_reference(struct heap *heap, void *object, void *data, uint32_t length);

/**
 * buf_from_pointer - check a pointer that came from outside
 *
 * Return: the live buf at @ptr; NULL when there is none (nothing outside the heap is read).
 */
struct buf *buf_from_pointer(const struct heap *heap, const void *ptr);

/**
 * buf_free - drop the owner's hold on every buf of a chain, and theirs on their objects
 *
 * Legal while operations hold them. NULL is the empty chain. Return: 0; -EINVAL when @buf is not
 * a live buf of this heap or its owner has freed it before (nothing changes then), or when the
 * chain leads to such a pointer (the bufs before it are freed).
 */
int buf_free(struct heap *heap, struct buf *buf);

/**
 * buf_free_fast - as buf_free for one buf that nobody else holds, whose bytes are its own
 *
 * false: nothing was done; use buf_free.
 */
bool buf_free_fast(struct heap *heap, struct buf *buf);

/**
 * buf_free_all - free every live buf of the heap but those that are lent, when its runtime ends
 */
void buf_free_all(struct heap *heap);

/**
 * buf_hold, buf_release - take and drop an operation's hold on one segment, not on its chain
 *
 * With a buf by reference they hold its object too: the owner's buf_free drops the hold that
 * buf_reference took, so that each holder of the buf has its own on the object, and the bytes stay
 * until the last of them. All fields keep their values while the buf is held. Who holds a
 * chain walks it, and reads next before the release.
 */
void buf_hold(struct heap *heap, struct buf *buf);
void buf_release(struct heap *heap, struct buf *buf);

/* ---- From one thread's heap to another thread ---- */

/**
 * buf_lend - hand a chain to another thread, which reads it and gives each buf of it back
 *
 * Its owner does not touch it any more. It and what it refers to live until then, also when the
 * owner's runtime ends before.
 */
void buf_lend(struct buf *chain);

/**
 * buf_borrow - a chain of our own over the bytes of one that another thread has lent us
 *
 * buf_free of each buf of it gives one of the other back. Return: NULL when out of memory.
 */
struct buf *buf_borrow(struct heap *heap, struct buf *lent);

/**
 * buf_give_back_all - give back what buf_free has kept of lent bufs
 *
 * It keeps up to BUF_GIVE_BACK_MAX, so that the cache lines of the other heap go to and fro once for
 * many. Who borrows calls this now and then, and when its runtime ends.
 */
void buf_give_back_all(struct heap *heap);

/** buf_keeps_lent - whether buf_free keeps some */
bool buf_keeps_lent(const struct heap *heap);

/** buf_give_back - give a chain back that nobody has borrowed yet; @heap: the caller's own */
void buf_give_back(struct heap *heap, struct buf *lent);

/** buf_is_lent - whether a live buf that is lent starts here; its heap's owner asks */
bool buf_is_lent(const struct heap *heap, const void *ptr);

/** buf_free_lent - the heap's owner: another thread has given this one back. Return: as buf_free. */
int buf_free_lent(struct heap *heap, struct buf *buf);

#endif /* DEMI_HEAP_BUF_H */
