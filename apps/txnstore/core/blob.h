/* SPDX-License-Identifier: MIT */
/*
 * Memory with a count of those who hold it: what a message brought is held by the log and, value by
 * value, by the store, without a copy. Where it comes from is the caller's: a server takes the heap of
 * its runtime, so that values leave by reference; the simulation takes malloc.
 */
#ifndef TXNSTORE_BLOB_H
#define TXNSTORE_BLOB_H

#include <stddef.h>
#include <stdint.h>

struct memory {
	void *(*alloc)(void *context, size_t size); /* NULL: there is none left */
	void (*free)(void *context, void *memory);
	void *context;
};

struct blob {
	const struct memory *memory;
	uint32_t holders;
	uint32_t len;
	uint8_t bytes[];
};

/** blob_new - of @len bytes, held once; NULL: no memory */
struct blob *blob_new(const struct memory *memory, uint32_t len);

static inline struct blob *blob_hold(struct blob *blob)
{
	blob->holders++;
	return blob;
}

/** blob_release - one holder less; the last one frees it. NULL is allowed. */
void blob_release(struct blob *blob);

#endif /* TXNSTORE_BLOB_H */
