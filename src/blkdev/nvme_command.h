/* SPDX-License-Identifier: MIT */
/*
 * Requests as commands of NVMe: pure functions, which know neither queues nor a device.
 *
 * A command takes memory by reference, either as pages (PRP), of which only the first may begin and
 * only the last may end inside of a page, or as any list of pieces (SGL), where the controller has
 * that. What does not fit into one command continues in another.
 */
#ifndef DEMI_BLKDEV_NVME_COMMAND_H
#define DEMI_BLKDEV_NVME_COMMAND_H

#include "blkdev/blkdev.h"
#include "blkdev/nvme_bus.h"
#include "blkdev/nvme_spec.h"

/** Memory for the list of one command, aligned to its size, so that no page boundary is in it. */
#define NVME_LIST_BYTES 2048u
#define NVME_LIST_PRPS (NVME_LIST_BYTES / 8u)
/* Without an IOMMU one piece may lie in two huge pages, but no command is longer than one. */
_Static_assert(NVME_LIST_BYTES / sizeof(struct nvme_sgl) > BLK_SEGMENTS_MAX, "an SGL has room");

/** What is the same for all commands of a device. */
struct nvme_format {
	uint64_t iova_delta; /* what is added to an address of the heap for its IOVA, modulo 2^64 */
	const uint64_t *chunks; /* as of struct nvme_bus */
	uint32_t page_bytes;    /* of the controller */
	uint32_t bytes_max;     /* of one command: whole blocks, at most NVME_LIST_PRPS pages */
	uint32_t namespace;
	uint8_t block_shift;
	bool sgl;            /* the controller takes lists of pieces */
	bool volatile_cache; /* so that a durable write must say so */
};

/** How far a request has been made into commands. */
struct nvme_position {
	uint32_t segment;
	uint32_t offset; /* bytes of that segment */
	uint32_t block;  /* of the request */
};

/**
 * nvme_command_build - the next command of a request
 * @position: where it begins
 * @sqe: is filled, but for the id
 * @list: [NVME_LIST_BYTES], for what does not fit into @sqe; the device knows it as @list_address
 *
 * Return: the bytes that it moves; 0 for flush and trim, which are one command.
 * Source: NVM Express Base Specification 1.4, 4.3 (PRP), 4.4 (SGL), 6
 */
uint32_t nvme_command_build(const struct nvme_format *format, const struct blk_request *request,
			    const struct nvme_position *position, struct nvme_sqe *sqe, void *list,
			    uint64_t list_address);

/** nvme_position_advance - go on by @bytes, which nvme_command_build has returned */
void nvme_position_advance(const struct nvme_format *format, const struct blk_request *request,
			   struct nvme_position *position, uint32_t bytes);

#endif /* DEMI_BLKDEV_NVME_COMMAND_H */
