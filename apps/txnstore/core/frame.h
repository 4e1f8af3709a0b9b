/* SPDX-License-Identifier: MIT */
/*
 * Records in a file, which is bytes: before each its length, and a sum of it. What a crash leaves of the
 * last ones is told from what was whole, and has become something else since.
 */
#ifndef TXNSTORE_FRAME_H
#define TXNSTORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD 16u
#define FRAME_RECORD_MAX (16u << 20)
#define FRAME_MAX (FRAME_HEAD + FRAME_RECORD_MAX)

/** frame_head - what stands before @record, FRAME_HEAD bytes */
void frame_head(void *head, const void *record, uint32_t len);

/** frame_read - the record that @bytes begin with. Return: bytes of its frame; 0: none that is whole. */
size_t frame_read(const uint8_t *bytes, size_t len, const void **record, uint32_t *record_len);

/**
 * frame_is_torn - whether @bytes, which no whole frame begins, may be the end of a file that a crash has
 * left: the last frame, a part of it, or room that was never written
 */
bool frame_is_torn(const uint8_t *bytes, size_t len);

#endif /* TXNSTORE_FRAME_H */
