/* SPDX-License-Identifier: MIT */
#include "netdev/lane.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "wire/eth.h"

static size_t bytes_of(const struct lane *lane)
{
	return (size_t)LANE_FRAMES * lane->slot_bytes;
}

int lane_init(struct lane *lane, uint32_t mtu)
{
	uint32_t bytes = (uint32_t)sizeof(struct lane_slot) + ETH_HEADER_BYTES_MAX + mtu;
	void *slots;

	*lane = (struct lane){.mtu = mtu, .slot_bytes = (bytes + 63) / 64 * 64};
	/* Memory that is in use only as far as frames have come. */
	slots = mmap(NULL, bytes_of(lane), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (slots == MAP_FAILED)
		return -ENOMEM;
	lane->slots = slots;
	return 0;
}

void lane_fini(struct lane *lane)
{
	if (!lane->slots)
		return;
	munmap(lane->slots, bytes_of(lane));
	lane->slots = NULL;
}

void lane_open(struct lane *lane)
{
	__atomic_store_n(&lane->consumed, __atomic_load_n(&lane->produced, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	__atomic_store_n(&lane->is_open, true, __ATOMIC_RELEASE);
}

void lane_close(struct lane *lane)
{
	__atomic_store_n(&lane->is_open, false, __ATOMIC_RELAXED);
}

uint32_t lane_fill(struct lane_slot *slot, const struct buf *frame)
{
	uint32_t referred = 0;

	slot->length = 0;
	for (; frame; frame = frame->next) {
		memcpy(slot->data + slot->length, frame->data, frame->length);
		slot->length += frame->length;
		if (frame->object)
			referred += frame->length;
	}
	return referred;
}

struct buf *lane_take(const struct lane_slot *slot, struct netdev *device)
{
	struct buf *buf = netdev_alloc(device);

	if (unlikely(!buf))
		return NULL;
	buf->length = slot->length;
	buf->flags = slot->flags;
	memcpy(buf->data, slot->data, slot->length);
	return buf;
}
