/* SPDX-License-Identifier: MIT */
#include "blob.h"

struct blob *blob_new(const struct memory *memory, uint32_t len)
{
	struct blob *blob = memory->alloc(memory->context, sizeof(*blob) + len);

	if (!blob)
		return NULL;
	blob->memory = memory;
	blob->holders = 1;
	blob->len = len;
	return blob;
}

void blob_release(struct blob *blob)
{
	if (blob && --blob->holders == 0)
		blob->memory->free(blob->memory->context, blob);
}
