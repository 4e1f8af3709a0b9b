/* SPDX-License-Identifier: MIT */
/* Address handles, by both addresses. */
#include <stdlib.h>

#include "libos/catmint/datagram.h"

static uint32_t bucket_of(const struct ip_address *local, const struct ip_address *remote)
{
	uint32_t sum = ip_address_low32(local) ^ ip_address_low32(remote);

	sum ^= sum >> 16;
	return (sum ^ sum >> 8) % DGRAM_HANDLE_BUCKETS;
}

struct address_handle *handle_find(const struct dgrams *dgrams, const struct ip_address *local,
				   const struct ip_address *remote)
{
	struct address_handle *handle = dgrams->handles[bucket_of(local, remote)];

	while (handle && (!ip_address_equal(&handle->remote, remote) ||
			  !ip_address_equal(&handle->local, local)))
		handle = handle->next;
	return handle;
}

static void unlink_handle(struct address_handle *handle)
{
	if (!handle->link)
		return;
	*handle->link = handle->next;
	if (handle->next)
		handle->next->link = handle->link;
	handle->link = NULL;
}

struct address_handle *handle_add(struct dgrams *dgrams, const struct ip_address *local,
				  const struct ip_address *remote, struct ibv_ah *ah)
{
	struct address_handle *handle = calloc(1, sizeof(*handle)), *before;
	struct address_handle **bucket = &dgrams->handles[bucket_of(local, remote)];

	if (!handle) {
		dgrams->mint->calls->destroy_ah(ah);
		return NULL;
	}
	before = handle_find(dgrams, local, remote);
	if (before)
		unlink_handle(before);
	handle->local = *local;
	handle->remote = *remote;
	handle->ah = ah;
	handle->made_ns = dgrams->mint->context->now_ns;
	handle->next = *bucket;
	handle->link = bucket;
	if (*bucket)
		(*bucket)->link = &handle->next;
	*bucket = handle;
	return handle;
}

void handle_release(struct dgrams *dgrams, struct address_handle *handle)
{
	if (--handle->users > 0)
		return;
	unlink_handle(handle);
	dgrams->mint->calls->destroy_ah(handle->ah);
	free(handle);
}
