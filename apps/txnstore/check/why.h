/* SPDX-License-Identifier: MIT */
/* The text in which a checker says what it found, in a buffer of its caller's. */
#ifndef TXNSTORE_CHECK_WHY_H
#define TXNSTORE_CHECK_WHY_H

#include <stddef.h>

struct why {
	char *text; /* the caller's, always terminated; NULL only where size is 0 */
	size_t size;
	size_t used; /* without the terminator */
};

/** why_init - an empty text in @text, of @size bytes, which stay the caller's */
void why_init(struct why *why, char *text, size_t size);

/** why_add - behind what is there; what has no room is cut off */
void why_add(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif /* TXNSTORE_CHECK_WHY_H */
