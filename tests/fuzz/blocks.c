/* SPDX-License-Identifier: MIT */
/*
 * Large blocks of memory that are kept from one input to the next. A stack has tables of several
 * hundred KiB, which ASan would map for each input, and their shadow; that takes longer than all
 * that most inputs do. They are zeroed when they are handed out again, and may not be touched in
 * between, as if they were new. Linked with --wrap=calloc and --wrap=free.
 */
#include "blocks.h"

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES_MIN (16u << 10)
#define BLOCKS_MAX 64u

struct block {
	void *memory;
	size_t bytes;
	bool is_used;
};

static struct block blocks[BLOCKS_MAX];
static unsigned int block_count;

/* What is freed is kept from use for some inputs, not until it fills the caches many times over. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

static void *block_take(size_t bytes)
{
	for (unsigned int i = 0; i < block_count; i++) {
		struct block *block = &blocks[i];

		if (block->is_used || block->bytes != bytes)
			continue;
		block->is_used = true;
		ASAN_UNPOISON_MEMORY_REGION(block->memory, bytes);
		return memset(block->memory, 0, bytes);
	}
	return NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes < BLOCK_BYTES_MIN)
		return __real_calloc(count, size);
	memory = block_take(bytes);
	if (memory)
		return memory;
	memory = __real_calloc(count, size);
	if (memory && block_count < BLOCKS_MAX)
		blocks[block_count++] = (struct block){memory, bytes, true};
	return memory;
}

void __wrap_free(void *memory)
{
	for (unsigned int i = 0; memory && i < block_count; i++) {
		struct block *block = &blocks[i];

		if (block->memory != memory)
			continue;
		if (!block->is_used)
			abort();
		block->is_used = false;
		ASAN_POISON_MEMORY_REGION(memory, block->bytes);
		return;
	}
	__real_free(memory);
}

unsigned int blocks_used(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < block_count; i++)
		count += blocks[i].is_used;
	return count;
}
