/* SPDX-License-Identifier: MIT */
/* Memory that devices may use: registered by its owner, reached by keys. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rdma/sim_device.h"

/* A key is the index of the region, and in its low byte a variant that differs from that of the
 * region which had the index before, and with this bit is the peer's. */
#define KEY_BITS 8
#define KEY_REMOTE 0x80u
#define KEY_VARIANTS 0x80u
#define MR_MAX (1u << 20)

static struct sim_pd *pd_of(struct ibv_pd *pd)
{
	return container_of(pd, struct sim_pd, pd);
}

struct ibv_pd *rdma_sim_alloc_pd(struct ibv_context *context)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_pd *pd = calloc(1, sizeof(*pd));
	struct sim_network *network;

	if (!pd)
		return NULL;
	network = rdma_sim_enter(device);
	if (device->removed) {
		rdma_sim_leave(network);
		free(pd);
		errno = EIO;
		return NULL;
	}
	pd->pd.context = context;
	pd->pd.handle = ++device->counts[SIM_PD];
	rdma_sim_leave(network);
	return &pd->pd;
}

int rdma_sim_dealloc_pd(struct ibv_pd *pd)
{
	struct sim_device *device = sim_device_of_context(pd->context);
	struct sim_network *network = rdma_sim_enter(device);
	bool is_used = pd_of(pd)->users > 0;

	device->counts[SIM_PD] -= !is_used;
	rdma_sim_leave(network);
	if (is_used)
		return EBUSY;
	free(pd_of(pd));
	return 0;
}

static int mr_add(struct sim_device *device, struct sim_mr *mr)
{
	uint32_t index;

	if (device->removed)
		return EIO;
	/* As the verbs demand it: what a peer may write its owner may write too. */
	if (mr->access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC) &&
	    !(mr->access & IBV_ACCESS_LOCAL_WRITE))
		return EINVAL;
	if (mr->mr.length > device->limits.memlock - device->registered)
		return ENOMEM;
	index = rdma_sim_table_add(&device->mrs, mr, MR_MAX);
	if (index == 0)
		return ENOMEM;
	mr->mr.lkey = index << KEY_BITS | device->variant++ % KEY_VARIANTS;
	mr->mr.rkey = mr->mr.lkey | KEY_REMOTE;
	mr->mr.handle = index;
	device->registered += mr->mr.length;
	device->counts[SIM_MR]++;
	pd_of(mr->mr.pd)->users++;
	return 0;
}

struct ibv_mr *rdma_sim_reg_mr(struct ibv_pd *pd, void *start, size_t bytes, int access)
{
	struct sim_device *device = sim_device_of_context(pd->context);
	struct sim_mr *mr = calloc(1, sizeof(*mr));
	struct sim_network *network;
	int error;

	if (!mr)
		return NULL;
	mr->mr = (struct ibv_mr){.context = pd->context, .pd = pd, .addr = start, .length = bytes};
	mr->access = access;
	network = rdma_sim_enter(device);
	error = mr_add(device, mr);
	rdma_sim_leave(network);
	if (!error)
		return &mr->mr;
	free(mr);
	errno = error;
	return NULL;
}

int rdma_sim_dereg_mr(struct ibv_mr *mr)
{
	struct sim_device *device = sim_device_of_context(mr->context);
	struct sim_network *network = rdma_sim_enter(device);

	device->mrs.entries[mr->handle] = NULL;
	device->registered -= mr->length;
	device->counts[SIM_MR]--;
	pd_of(mr->pd)->users--;
	rdma_sim_leave(network);
	free(container_of(mr, struct sim_mr, mr));
	return 0;
}

/* ---- Checks ---- */

static bool has_range(const struct ibv_mr *mr, uint64_t address, uint64_t bytes)
{
	uint64_t start = (uintptr_t)mr->addr;

	return address >= start && bytes <= mr->length && address - start <= mr->length - bytes;
}

static const struct sim_mr *mr_of_key(const struct sim_device *device, uint32_t key)
{
	return rdma_sim_table_get(&device->mrs, key >> KEY_BITS);
}

bool rdma_sim_may_use(const struct sim_device *device, const struct ibv_pd *pd,
		      const struct ibv_sge *segments, uint32_t count, int access)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct sim_mr *mr = mr_of_key(device, segments[i].lkey);

		if (!mr || mr->mr.lkey != segments[i].lkey || mr->mr.pd != pd ||
		    (mr->access & access) != access ||
		    !has_range(&mr->mr, segments[i].addr, segments[i].length))
			return false;
	}
	return true;
}

bool rdma_sim_may_reach(const struct sim_device *device, const struct ibv_pd *pd, uint64_t address,
			uint64_t bytes, uint32_t rkey, int access)
{
	const struct sim_mr *mr = mr_of_key(device, rkey);

	return mr && mr->mr.rkey == rkey && mr->mr.pd == pd && (mr->access & access) == access &&
	       has_range(&mr->mr, address, bytes);
}

/* ---- Data ---- */

uint64_t rdma_sim_bytes(const struct ibv_sge *segments, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += segments[i].length;
	return bytes;
}

void rdma_sim_copy(const struct ibv_sge *to, uint64_t offset, const struct ibv_sge *from,
		   uint32_t from_count)
{
	for (uint32_t i = 0; i < from_count; i++) {
		const unsigned char *data = (const unsigned char *)(uintptr_t)from[i].addr;
		uint64_t left = from[i].length;

		while (left > 0) {
			uint64_t part;

			for (; offset >= to->length; to++)
				offset -= to->length;
			part = to->length - offset < left ? to->length - offset : left;
			/* Both may be the same memory, of one device. */
			memmove((unsigned char *)(uintptr_t)to->addr + offset, data, part);
			data += part;
			left -= part;
			offset += part;
		}
	}
}
