/* SPDX-License-Identifier: MIT */
/*
 * What the driver stands on: registers in memory, and memory that the controller is allowed to
 * reach. VFIO is one such bus, the tests' controller is another.
 */
#ifndef DEMI_BLKDEV_NVME_BUS_H
#define DEMI_BLKDEV_NVME_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nvme_bus;

struct nvme_bus_ops {
	/* Let the controller reach [start, start + bytes), pages of ours, at @iova. Return: 0 or
	 * -errno, having logged what to do. */
	int (*map)(struct nvme_bus *bus, void *start, size_t bytes, uint64_t iova);
	void (*unmap)(struct nvme_bus *bus, size_t bytes, uint64_t iova);
	/* Let @ns pass at least; never on the path of a request. */
	void (*wait)(struct nvme_bus *bus, uint64_t ns);
	/* The controller reaches no memory from now on, whatever state it is in. */
	void (*cut_off)(struct nvme_bus *bus);
	/* As of struct blkdev_ops. close frees the bus. */
	void (*forget)(struct nvme_bus *bus);
	void (*close)(struct nvme_bus *bus);
};

/** Embedded by each; what is below the ops is set before it is handed to the driver. */
struct nvme_bus {
	const struct nvme_bus_ops *ops;
	volatile uint8_t *registers;
	size_t registers_bytes; /* NVME_REGISTERS_BYTES at least */
	/* Addresses that the controller can be given: for queues, NVME_MEMORY_BYTES (nvme_device.h)
	 * at a multiple of that, and for the heap, at a multiple of HEAP_RANGE_ALIGNMENT. */
	uint64_t queues_iova;
	uint64_t heap_iova;
	uint64_t heap_iova_bytes;
	/* NULL: these are the addresses that the controller knows. Otherwise there is no IOMMU, and it
	 * knows that of each NVME_CHUNK_BYTES of them by another, chunks[iova >> NVME_CHUNK_SHIFT],
	 * which map has set. */
	const uint64_t *chunks;
	bool huge_pages; /* memory has to be of reserved ones */
};

/** A huge page. */
#define NVME_CHUNK_SHIFT 21u
#define NVME_CHUNK_BYTES ((size_t)1 << NVME_CHUNK_SHIFT)

/** nvme_bus_address - what the controller is told for an IOVA */
static inline uint64_t nvme_bus_address(const uint64_t *chunks, uint64_t iova)
{
	if (__builtin_expect(!chunks, true))
		return iova;
	return chunks[iova >> NVME_CHUNK_SHIFT] + (iova & (NVME_CHUNK_BYTES - 1));
}

#endif /* DEMI_BLKDEV_NVME_BUS_H */
