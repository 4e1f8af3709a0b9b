/* SPDX-License-Identifier: MIT */
#include "segments.h"

#include <string.h>

/* A segment costs about as much as copying so many bytes. */
#define COPIED_MAX 512u

static void add(demi_sgarray_t *array, const void *bytes, uint32_t len)
{
	if (len)
		array->sga_segs[array->sga_numsegs++] = (demi_sgaseg_t){(void *)(uintptr_t)bytes,
									len};
}

uint8_t *segments_of(const struct message *message, size_t before, demi_sgarray_t *array)
{
	uint32_t copied = message->body_len <= COPIED_MAX ? message->body_len : 0;
	size_t len = before + MESSAGE_HEADER_LEN + copied;
	uint8_t *bytes = demi_malloc(len);

	if (!bytes)
		return NULL;
	message_header(message, bytes + before);
	if (copied)
		memcpy(bytes + before + MESSAGE_HEADER_LEN, message->body, copied);
	*array = (demi_sgarray_t){.sga_numsegs = 0};
	add(array, bytes, (uint32_t)len);
	if (!copied)
		add(array, message->body, message->body_len);
	add(array, message->tail, message->tail_len);
	return bytes;
}
