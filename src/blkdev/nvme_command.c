/* SPDX-License-Identifier: MIT */
#include "blkdev/nvme_command.h"

#include <string.h>

#include "blkdev/nvme_queue.h"

/* A piece of a request's memory, as the device sees it. */
struct piece {
	uint64_t start;
	uint32_t bytes;
};

/* Where the next piece begins. */
struct place {
	uint32_t segment;
	uint32_t offset;
};

/* A segment's rest, up to @limit; where there is no IOMMU, up to the end of its huge page. */
static struct piece take_piece(const struct nvme_format *format, const struct blk_request *request,
			       struct place *place, uint32_t limit)
{
	const struct iovec *iovec = &request->segments[place->segment];
	uint64_t iova = (uintptr_t)iovec->iov_base + place->offset + format->iova_delta;
	uint32_t bytes = (uint32_t)iovec->iov_len - place->offset;

	if (unlikely(format->chunks != NULL)) {
		uint32_t in_chunk = (uint32_t)(NVME_CHUNK_BYTES - (iova & (NVME_CHUNK_BYTES - 1)));

		if (bytes > in_chunk) {
			place->offset += in_chunk;
			return (struct piece){nvme_bus_address(format->chunks, iova),
					      in_chunk < limit ? in_chunk : limit};
		}
		iova = nvme_bus_address(format->chunks, iova);
	}
	place->segment++;
	place->offset = 0;
	return (struct piece){iova, bytes < limit ? bytes : limit};
}

/* 4.3. Return: the bytes that are in it; less than @limit where memory has a gap inside of a page. */
static uint32_t build_prps(const struct nvme_format *format, const struct blk_request *request,
			   const struct nvme_position *position, uint32_t limit,
			   struct nvme_sqe *sqe, uint64_t *list, uint64_t list_address)
{
	uint64_t in_page = format->page_bytes - 1;
	struct place place = {position->segment, position->offset};
	struct piece piece = take_piece(format, request, &place, limit);
	uint64_t end = piece.start + piece.bytes;
	uint64_t page = (piece.start & ~in_page) + format->page_bytes; /* the next one */
	uint32_t bytes = piece.bytes;
	uint32_t count = 0;

	sqe->data[0] = piece.start;
	for (;;) {
		for (; page < end; page += format->page_bytes)
			list[count++] = page;
		if (bytes == limit)
			break;
		piece = take_piece(format, request, &place, limit - bytes);
		if (piece.start != end) {
			if ((piece.start | end) & in_page)
				break;
			page = piece.start;
		}
		end = piece.start + piece.bytes;
		bytes += piece.bytes;
	}
	sqe->data[1] = count == 0 ? 0 : count == 1 ? list[0] : list_address;
	return bytes;
}

static void build_sgl(const struct nvme_format *format, const struct blk_request *request,
		      const struct nvme_position *position, uint32_t limit, struct nvme_sqe *sqe,
		      struct nvme_sgl *list, uint64_t list_address)
{
	struct nvme_sgl first = {.address = list_address, .type = NVME_SGL_LAST_SEGMENT};
	struct place place = {position->segment, position->offset};
	uint32_t count = 0, bytes = 0;

	while (bytes < limit) {
		struct piece piece = take_piece(format, request, &place, limit - bytes);

		list[count++] = (struct nvme_sgl){
			.address = piece.start, .bytes = piece.bytes, .type = NVME_SGL_DATA};
		bytes += piece.bytes;
	}
	first.bytes = count * (uint32_t)sizeof(*list);
	if (count == 1)
		first = list[0];
	memcpy(sqe->data, &first, sizeof(first));
	sqe->flags = NVME_PSDT_SGL;
}

static uint32_t build_transfer(const struct nvme_format *format, const struct blk_request *request,
			       const struct nvme_position *position, struct nvme_sqe *sqe,
			       void *list, uint64_t list_address)
{
	uint64_t first = request->block + position->block;
	uint32_t left = (request->block_count - position->block) << format->block_shift;
	uint32_t limit = left < format->bytes_max ? left : format->bytes_max;
	uint32_t bytes = build_prps(format, request, position, limit, sqe, list, list_address);

	if (bytes < limit && format->sgl) {
		build_sgl(format, request, position, limit, sqe, list, list_address);
		bytes = limit;
	}
	sqe->dword10 = (uint32_t)first;
	sqe->dword11 = (uint32_t)(first >> 32);
	sqe->dword12 = (bytes >> format->block_shift) - 1;
	if (request->operation == BLK_READ) {
		sqe->opcode = NVME_READ;
	} else {
		sqe->opcode = NVME_WRITE;
		if (request->durable && format->volatile_cache)
			sqe->dword12 |= NVME_RW_FUA;
	}
	return bytes;
}

/* 6.7: one range, which lies in the list's memory; dword 10 is the number of them less one. */
static void build_trim(const struct blk_request *request, struct nvme_sqe *sqe,
		       struct nvme_dsm_range *list, uint64_t list_address)
{
	*list = (struct nvme_dsm_range){.blocks = request->block_count, .first = request->block};
	sqe->opcode = NVME_DATASET_MANAGEMENT;
	sqe->data[0] = list_address;
	sqe->dword11 = NVME_DSM_DEALLOCATE;
}

uint32_t nvme_command_build(const struct nvme_format *format, const struct blk_request *request,
			    const struct nvme_position *position, struct nvme_sqe *sqe, void *list,
			    uint64_t list_address)
{
	*sqe = (struct nvme_sqe){.namespace = format->namespace};
	switch (request->operation) {
	case BLK_FLUSH:
		sqe->opcode = NVME_FLUSH;
		return 0;
	case BLK_TRIM:
		build_trim(request, sqe, list, list_address);
		return 0;
	default:
		return build_transfer(format, request, position, sqe, list, list_address);
	}
}

void nvme_position_advance(const struct nvme_format *format, const struct blk_request *request,
			   struct nvme_position *position, uint32_t bytes)
{
	position->block += bytes >> format->block_shift;
	position->offset += bytes;
	while (position->segment < request->segment_count &&
	       position->offset >= request->segments[position->segment].iov_len)
		position->offset -= (uint32_t)request->segments[position->segment++].iov_len;
}
