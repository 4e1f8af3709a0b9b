/* SPDX-License-Identifier: MIT */
/* The medium of a simulated disk: an image in memory, of which only what was written is there. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "blkdev/sim_disk.h"

/* What is copied, compared and cleared as a whole, if anything of it was written. */
#define CHUNK_BYTES 65536u

struct sim_medium {
	unsigned char *image;
	uint64_t bytes;
	uint32_t block_bytes;
	bool in_use;
	uint32_t bad_count;
	uint64_t bad[SIM_MEDIUM_BAD_MAX]; /* bad[bad_count]: blocks that cannot be read */
	unsigned char touched[];          /* of each chunk: may hold another byte than zero */
};

static uint64_t chunk_count(const struct sim_medium *medium)
{
	return (medium->bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

static size_t chunk_bytes(const struct sim_medium *medium, uint64_t chunk)
{
	uint64_t left = medium->bytes - chunk * CHUNK_BYTES;

	return left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
}

static unsigned char *chunk_memory(const struct sim_medium *medium, uint64_t chunk)
{
	return medium->image + chunk * CHUNK_BYTES;
}

int sim_medium_create(struct sim_medium **medium_out, uint64_t bytes, uint32_t block_bytes)
{
	struct sim_medium *medium;

	if ((block_bytes != 512 && block_bytes != 4096) || bytes == 0 || bytes % block_bytes != 0 ||
	    bytes > SIM_MEDIUM_BYTES_MAX) {
		log_error("sim: %llu bytes in blocks of %u; give blocks of 512 or 4096 bytes, and "
			  "a multiple of that up to 1024G",
			  (unsigned long long)bytes, block_bytes);
		return -EINVAL;
	}
	medium = calloc(1, sizeof(*medium) + (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
	if (medium)
		medium->image = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!medium || medium->image == MAP_FAILED) {
		log_error("sim: no memory for a medium of %llu bytes; make it smaller",
			  (unsigned long long)bytes);
		free(medium);
		return -ENOMEM;
	}
	medium->bytes = bytes;
	medium->block_bytes = block_bytes;
	*medium_out = medium;
	return 0;
}

void sim_medium_destroy(struct sim_medium *medium)
{
	if (!medium)
		return;
	assert(!medium->in_use);
	munmap(medium->image, medium->bytes);
	free(medium);
}

uint64_t sim_medium_bytes(const struct sim_medium *medium)
{
	return medium->bytes;
}

uint32_t sim_medium_block_bytes(const struct sim_medium *medium)
{
	return medium->block_bytes;
}

bool sim_medium_take(struct sim_medium *medium)
{
	/* One that has a name may be wanted by several threads. */
	return !__atomic_exchange_n(&medium->in_use, true, __ATOMIC_ACQUIRE);
}

void sim_medium_give_back(struct sim_medium *medium)
{
	__atomic_store_n(&medium->in_use, false, __ATOMIC_RELEASE);
}

/* ---- Bytes ---- */

void sim_medium_read(const struct sim_medium *medium, uint64_t offset, void *to, size_t bytes)
{
	assert(offset <= medium->bytes && bytes <= medium->bytes - offset);
	if (bytes)
		memcpy(to, medium->image + offset, bytes);
}

/* They can be read again; usually there is none at all. */
static void heal(struct sim_medium *medium, uint64_t offset, size_t bytes)
{
	uint64_t first = offset / medium->block_bytes;
	uint64_t last = (offset + bytes - 1) / medium->block_bytes;

	for (uint32_t i = medium->bad_count; i-- > 0;) {
		if (medium->bad[i] >= first && medium->bad[i] <= last)
			medium->bad[i] = medium->bad[--medium->bad_count];
	}
}

void sim_medium_write(struct sim_medium *medium, uint64_t offset, const void *from, size_t bytes)
{
	assert(offset <= medium->bytes && bytes <= medium->bytes - offset);
	if (!bytes)
		return;
	memcpy(medium->image + offset, from, bytes);
	memset(medium->touched + offset / CHUNK_BYTES, 1,
	       (offset + bytes - 1) / CHUNK_BYTES - offset / CHUNK_BYTES + 1);
	heal(medium, offset, bytes);
}

void sim_medium_flip(struct sim_medium *medium, uint64_t bit)
{
	assert(bit / 8 < medium->bytes);
	medium->image[bit / 8] ^= (unsigned char)(1u << bit % 8);
	medium->touched[bit / 8 / CHUNK_BYTES] = 1;
}

int sim_medium_fail_block(struct sim_medium *medium, uint64_t block)
{
	assert(block < medium->bytes / medium->block_bytes);
	if (sim_medium_is_bad(medium, block))
		return 0;
	if (medium->bad_count == SIM_MEDIUM_BAD_MAX)
		return -ENOSPC;
	medium->bad[medium->bad_count++] = block;
	return 0;
}

bool sim_medium_is_bad(const struct sim_medium *medium, uint64_t block)
{
	for (uint32_t i = 0; i < medium->bad_count; i++) {
		if (medium->bad[i] == block)
			return true;
	}
	return false;
}

/* ---- The whole of it ---- */

static void chunk_clear(struct sim_medium *medium, uint64_t chunk)
{
	if (medium->touched[chunk])
		memset(chunk_memory(medium, chunk), 0, chunk_bytes(medium, chunk));
	medium->touched[chunk] = 0;
}

void sim_medium_clear(struct sim_medium *medium)
{
	for (uint64_t chunk = 0; chunk < chunk_count(medium); chunk++)
		chunk_clear(medium, chunk);
	medium->bad_count = 0;
}

void sim_medium_copy(struct sim_medium *medium, const struct sim_medium *from)
{
	assert(medium->bytes == from->bytes && medium->block_bytes == from->block_bytes);
	for (uint64_t chunk = 0; chunk < chunk_count(medium); chunk++) {
		if (!from->touched[chunk]) {
			chunk_clear(medium, chunk);
			continue;
		}
		memcpy(chunk_memory(medium, chunk), chunk_memory(from, chunk),
		       chunk_bytes(from, chunk));
		medium->touched[chunk] = 1;
	}
	memcpy(medium->bad, from->bad, sizeof(medium->bad));
	medium->bad_count = from->bad_count;
}

uint64_t sim_medium_differs(const struct sim_medium *medium, const struct sim_medium *other)
{
	assert(medium->bytes == other->bytes);
	for (uint64_t chunk = 0; chunk < chunk_count(medium); chunk++) {
		const unsigned char *one = chunk_memory(medium, chunk);
		const unsigned char *two = chunk_memory(other, chunk);
		size_t bytes = chunk_bytes(medium, chunk);

		if ((!medium->touched[chunk] && !other->touched[chunk]) ||
		    memcmp(one, two, bytes) == 0)
			continue;
		for (size_t i = 0; i < bytes; i++) {
			if (one[i] != two[i])
				return chunk * CHUNK_BYTES + i;
		}
	}
	return UINT64_MAX;
}
