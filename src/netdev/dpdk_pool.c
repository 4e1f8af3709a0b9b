/* SPDX-License-Identifier: MIT */
/*
 * Pools of mbufs that have no memory of their own: their objects are the frames and the shells of
 * a device, and stay with the heap. The EAL and the port learn where the heap is.
 */
#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "netdev/dpdk.h"

#define POOL_OPS_NAME "demi"

/* The EAL's bookkeeping of the heap's range, whose regions are multiples of it. */
#define RANGE_PAGE_BYTES ((size_t)2 << 20)

/* ---- operations of a pool; pool_config and pool_data are a struct pool ---- */

struct pool {
	struct netdev *device;
	struct heap_frames *frames;
	bool closing;
};

static int pool_ops_alloc(struct rte_mempool *mempool)
{
	mempool->pool_data = mempool->pool_config;
	return 0;
}

static void pool_ops_free(struct rte_mempool *mempool)
{
	(void)mempool; /* the frames are the heap's */
}

static int pool_ops_enqueue(struct rte_mempool *mempool, void *const *objects, unsigned int count)
{
	const struct pool *pool = mempool->pool_data;

	for (unsigned int i = 0; i < count; i++)
		netdev_release(pool->device, dpdk_buf_of(objects[i]));
	return 0;
}

/* All or none, as DPDK wants. */
static int pool_ops_dequeue(struct rte_mempool *mempool, void **objects, unsigned int count)
{
	const struct pool *pool = mempool->pool_data;

	/* rte_mempool_free takes every object, and forgets it: then we have none. */
	if (unlikely(pool->closing))
		return -ENOENT;
	if (unlikely(heap_frames_free(pool->frames) < count)) {
		pool->device->counters.rx_no_frame++;
		return -ENOBUFS;
	}
	for (unsigned int i = 0; i < count; i++) {
		struct buf *buf = frame_take(pool->frames);

		objects[i] = dpdk_mbuf_of(buf);
	}
	return 0;
}

static unsigned int pool_ops_get_count(const struct rte_mempool *mempool)
{
	const struct pool *pool = mempool->pool_data;

	return heap_frames_free(pool->frames);
}

struct populate {
	struct rte_mempool *mempool;
	rte_mempool_populate_obj_cb_t *add;
	void *add_context;
	unsigned int count;
	unsigned int room;
};

static void populate_frame(void *context, void *frame)
{
	struct populate *populate = context;
	void *object = dpdk_mbuf_of(frame);

	if (populate->count == populate->room)
		return;
	populate->add(populate->mempool, populate->add_context, object, (uintptr_t)object);
	populate->count++;
}

/* The chunk is what the frames lie in; where in it, the heap knows. */
static int pool_ops_populate(struct rte_mempool *mempool, unsigned int count_max, void *memory,
			     rte_iova_t iova, size_t bytes, rte_mempool_populate_obj_cb_t *add,
			     void *add_context)
{
	const struct pool *pool = mempool->pool_config;
	struct populate populate = {mempool, add, add_context, 0, count_max};

	(void)memory;
	(void)iova;
	(void)bytes;
	heap_frames_each(pool->frames, populate_frame, &populate);
	return (int)populate.count;
}

static const struct rte_mempool_ops pool_ops = {
	.name = POOL_OPS_NAME,
	.alloc = pool_ops_alloc,
	.free = pool_ops_free,
	.enqueue = pool_ops_enqueue,
	.dequeue = pool_ops_dequeue,
	.get_count = pool_ops_get_count,
	.populate = pool_ops_populate,
};

/* DPDK has a table of them by name, for the life of the process. */
static int register_ops(void)
{
	for (unsigned int i = 0; i < rte_mempool_ops_table.num_ops; i++) {
		if (strcmp(rte_mempool_ops_table.ops[i].name, POOL_OPS_NAME) == 0)
			return 0;
	}
	return rte_mempool_register_ops(&pool_ops) < 0 ? -ENOSPC : 0;
}

/* ---- making and closing them ---- */

static int pool_fill(struct rte_mempool *mempool, struct pool *pool, uint32_t room_bytes)
{
	struct rte_pktmbuf_pool_private mbufs = {.mbuf_data_room_size = (uint16_t)room_bytes};
	size_t bytes;
	void *memory = heap_frames_memory(pool->frames, &bytes);
	int count = rte_mempool_set_ops_byname(mempool, POOL_OPS_NAME, pool);

	if (count < 0)
		return count;
	rte_pktmbuf_pool_init(mempool, &mbufs);
	count = rte_mempool_populate_iova(mempool, memory, (uintptr_t)memory, bytes, NULL, NULL);
	if (count < 0)
		return count;
	rte_mempool_obj_iter(mempool, rte_pktmbuf_init, NULL);
	return 0;
}

/* @room_bytes: behind the mbuf. The struct pool is freed with the mempool. */
static int pool_create(struct rte_mempool **mempool_out, const struct dpdk_device *device,
		       struct heap_frames *frames, const char *what, uint32_t room_bytes)
{
	struct rte_mempool *mempool;
	struct pool *pool = calloc(1, sizeof(*pool));
	char name[RTE_MEMPOOL_NAMESIZE];
	int error;

	if (!pool)
		return -ENOMEM;
	pool->device = (struct netdev *)&device->netdev;
	pool->frames = frames;
	snprintf(name, sizeof(name), "demi-%s-%u", what, device->port);
	mempool = rte_mempool_create_empty(
		name, frames->count, (unsigned int)sizeof(struct rte_mbuf) + room_bytes, 0,
		sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY, 0);
	if (!mempool) {
		free(pool);
		return -rte_errno;
	}
	/* From the start, so that closing a half made one takes no frames either. */
	mempool->pool_config = pool;
	error = pool_fill(mempool, pool, room_bytes);
	*mempool_out = mempool;
	return error;
}

static void pool_destroy(struct rte_mempool *mempool)
{
	struct pool *pool;

	if (!mempool)
		return;
	pool = mempool->pool_config;
	pool->closing = true;
	rte_mempool_free(mempool);
	free(pool);
}

int dpdk_pool_open(struct dpdk_device *device)
{
	uint32_t room = heap_frames_bytes(device->netdev.frames) - DPDK_ROOM_OFFSET;
	int error = register_ops();

	if (!error)
		error = pool_create(&device->frame_pool, device, device->netdev.frames, "frames",
				    room);
	if (!error)
		error = pool_create(&device->shell_pool, device, device->netdev.shells, "shells",
				    0);
	if (error)
		log_error("%s: DPDK has no room for pools of %u frames: %s; give the EAL more "
			  "memory by dpdk.args, as in \"-m 256\"",
			  device->netdev.name, device->netdev.frames->count, strerror(-error));
	return error;
}

void dpdk_pool_close(struct dpdk_device *device)
{
	pool_destroy(device->frame_pool);
	pool_destroy(device->shell_pool);
	device->frame_pool = NULL;
	device->shell_pool = NULL;
}

/* ---- memory ---- */

/* A device without a way to map memory needs none: it copies, as memif does. */
static int memory_add(void *context, void *start, size_t bytes, uint64_t *handle_out)
{
	struct dpdk_device *device = context;

	*handle_out = 0;
	if (rte_dev_dma_map(device->rte_device, start, (uintptr_t)start, bytes) == 0)
		return 0;
	if (rte_errno == ENOTSUP && device->is_vdev)
		return 0;
	/* While it is being opened, dpdk_memory_open says so; later the heap only gets no larger. */
	if (device->knows_heap && !device->told_of_memory)
		log_warning("%s: the heap cannot grow, since the device does not take more memory: "
			    "%s; raise the limit of locked memory (ulimit -l)",
			    device->netdev.name, rte_strerror(rte_errno));
	device->told_of_memory |= device->knows_heap;
	return rte_errno > 0 ? -rte_errno : -EIO;
}

static void memory_remove(void *context, void *start, size_t bytes, uint64_t handle)
{
	const struct dpdk_device *device = context;

	(void)handle;
	rte_dev_dma_unmap(device->rte_device, start, (uintptr_t)start, bytes);
}

static const struct heap_registrar_ops memory_ops = {
	.add = memory_add,
	.remove = memory_remove,
};

static size_t range_bytes(const struct heap *heap)
{
	return (heap->bytes + RANGE_PAGE_BYTES - 1) & ~(RANGE_PAGE_BYTES - 1);
}

/*
 * The EAL gets the whole range at once: it has room for some dozen areas, a heap grows by hundreds
 * of regions, and this is bookkeeping that touches none of the memory.
 */
int dpdk_memory_open(struct dpdk_device *device)
{
	struct heap *heap = device->netdev.heap;
	int error;

	if (rte_extmem_register(heap->base, range_bytes(heap), NULL,
				(unsigned int)(range_bytes(heap) / RANGE_PAGE_BYTES),
				RANGE_PAGE_BYTES) < 0) {
		error = -rte_errno;
		log_error("%s: DPDK cannot take the heap's address range: %s; %s",
			  device->netdev.name, strerror(-error),
			  error == -EEXIST ? "close the runtime's other dpdk device"
					   : "lower heap.max_bytes");
		return error;
	}
	device->knows_range = true;
	error = heap_register(heap, &memory_ops, device, &device->registrar);
	if (error)
		log_error("%s: the device cannot be given the heap's memory: %s; raise the limit "
			  "of locked memory (ulimit -l) and see that the IOMMU is on",
			  device->netdev.name, strerror(-error));
	else
		device->knows_heap = true;
	return error;
}

void dpdk_memory_close(struct dpdk_device *device)
{
	struct heap *heap = device->netdev.heap;

	if (device->knows_heap)
		heap_unregister(heap, device->registrar);
	if (device->knows_range)
		rte_extmem_unregister(heap->base, range_bytes(heap));
	device->knows_heap = false;
	device->knows_range = false;
}
