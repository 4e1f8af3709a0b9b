/* SPDX-License-Identifier: MIT */
/* What the controller in memory reads and writes, by the lists of pages and pieces that it is given. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blkdev/nvme_fake.h"

#define PAGE_BYTES 4096u

void nvme_fake_violation(struct nvme_fake *fake, const char *format, ...)
{
	va_list arguments;

	if (fake->violations++ > 0)
		return;
	va_start(arguments, format);
	vsnprintf(fake->violation, sizeof(fake->violation), format, arguments);
	va_end(arguments);
}

/* NULL: it knows nothing there. */
static unsigned char *mapped_at(const struct nvme_fake *fake, uint64_t address, size_t *bytes_out)
{
	for (uint32_t i = 0; i < fake->mapping_count; i++) {
		uint64_t offset = address - fake->mappings[i].address;

		if (offset < fake->mappings[i].bytes) {
			*bytes_out = fake->mappings[i].bytes - offset;
			return fake->mappings[i].start + offset;
		}
	}
	return NULL;
}

/* It may lie in several mappings, which are side by side for us as they are for the controller. */
void *nvme_fake_memory(struct nvme_fake *fake, uint64_t address, size_t bytes)
{
	size_t here = 0;
	unsigned char *memory = mapped_at(fake, address, &here);

	for (size_t known = here; memory && known < bytes; known += here) {
		if (mapped_at(fake, address + known, &here) != memory + known)
			memory = NULL;
	}
	if (!memory)
		nvme_fake_violation(fake, "%zu bytes at %#llx are not mapped", bytes,
				    (unsigned long long)address);
	return memory;
}

static void move(struct nvme_fake *fake, uint64_t address, uint32_t bytes, unsigned char **data,
		 bool to_memory)
{
	void *memory = nvme_fake_memory(fake, address, bytes);

	if (memory && to_memory)
		memcpy(memory, *data, bytes);
	else if (memory)
		memcpy(*data, memory, bytes);
	*data += bytes;
}

static void move_prps(struct nvme_fake *fake, const struct nvme_sqe *sqe, unsigned char *data,
		      uint32_t bytes, bool to_memory)
{
	uint32_t first = PAGE_BYTES - (uint32_t)(sqe->data[0] % PAGE_BYTES);
	const uint64_t *list = &sqe->data[1];
	uint32_t pages;

	if (sqe->data[0] % 4 != 0)
		nvme_fake_violation(fake, "PRP 1 is not of whole dwords");
	first = first < bytes ? first : bytes;
	move(fake, sqe->data[0], first, &data, to_memory);
	bytes -= first;
	pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	if (pages > 1) {
		if (sqe->data[1] % 8 != 0 ||
		    sqe->data[1] % PAGE_BYTES + (uint64_t)pages * 8 > PAGE_BYTES)
			nvme_fake_violation(fake, "a list of PRPs leaves its page");
		list = nvme_fake_memory(fake, sqe->data[1], (size_t)pages * 8);
	}
	for (uint32_t i = 0; list && i < pages; i++) {
		uint32_t part = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;

		if (list[i] % PAGE_BYTES != 0)
			nvme_fake_violation(fake, "PRP %u is not at the start of a page", i + 2);
		move(fake, list[i], part, &data, to_memory);
		bytes -= part;
	}
}

static void move_sgl(struct nvme_fake *fake, const struct nvme_sqe *sqe, unsigned char *data,
		     uint32_t bytes, bool to_memory)
{
	struct nvme_sgl first;
	const struct nvme_sgl *list = &first;
	uint32_t count = 1;

	memcpy(&first, sqe->data, sizeof(first));
	if (!fake->sgl)
		nvme_fake_violation(fake, "an SGL, which the controller does not have");
	if (first.type == NVME_SGL_LAST_SEGMENT) {
		count = first.bytes / (uint32_t)sizeof(*list);
		list = nvme_fake_memory(fake, first.address, first.bytes);
	}
	for (uint32_t i = 0; list && i < count; i++) {
		if (list[i].type != NVME_SGL_DATA || list[i].bytes > bytes ||
		    list[i].address % 4 != 0) {
			nvme_fake_violation(fake, "descriptor %u of an SGL is wrong", i);
			return;
		}
		move(fake, list[i].address, list[i].bytes, &data, to_memory);
		bytes -= list[i].bytes;
	}
	if (bytes != 0)
		nvme_fake_violation(fake, "an SGL is too short");
	fake->sgl_commands++;
}

void nvme_fake_transfer(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	uint64_t first = sqe->dword10 | (uint64_t)sqe->dword11 << 32;
	uint32_t blocks = (sqe->dword12 & 0xffff) + 1;
	uint32_t bytes = blocks << fake->block_shift;
	unsigned char *data = fake->disk + ((size_t)first << fake->block_shift);

	if (first + blocks > FAKE_BLOCKS) {
		nvme_fake_violation(fake, "blocks out of range");
		return;
	}
	if (fake->mdts && bytes > PAGE_BYTES << fake->mdts)
		nvme_fake_violation(fake, "%u bytes are more than MDTS lets", bytes);
	if (sqe->flags == NVME_PSDT_SGL)
		move_sgl(fake, sqe, data, bytes, sqe->opcode == NVME_READ);
	else
		move_prps(fake, sqe, data, bytes, sqe->opcode == NVME_READ);
}
