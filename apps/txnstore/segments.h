/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_SEGMENTS_H
#define TXNSTORE_SEGMENTS_H

#include <demi/demi.h>

#include "txnstore/core/message.h"

/**
 * segments_of - a message as an array to be pushed
 * @before: bytes that stand before its header, at the start of what is returned
 *
 * What is large in it goes from where it stands, as memory of demi_malloc that is freed before it has
 * been sent is held by the library.
 * Return: to be freed by demi_free when the array has been pushed; NULL: no memory.
 */
uint8_t *segments_of(const struct message *message, size_t before, demi_sgarray_t *array);

#endif /* TXNSTORE_SEGMENTS_H */
