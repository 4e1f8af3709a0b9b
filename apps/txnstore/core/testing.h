/* SPDX-License-Identifier: MIT */
/* Memory and operations for tests. */
#ifndef TXNSTORE_TESTING_H
#define TXNSTORE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operation.h"
#include "shard.h"

static inline void *testing_take(void *context, size_t size)
{
	(void)context;
	return malloc(size);
}

static inline void testing_give(void *context, void *memory)
{
	(void)context;
	free(memory);
}

static const struct memory testing_memory = {.alloc = testing_take, .free = testing_give};

/* A key that is read, with its version; or written, with a value, or none to delete it. */
struct testing_access {
	const char *key;
	uint64_t version;
	const char *value;
	bool is_write;
};

/* An operation as a blob of its own. */
static inline struct blob *testing_operation(struct operation operation, const uint16_t *shards,
					     const struct testing_access *accesses, size_t count)
{
	uint8_t bytes[1024];
	struct writer writer = {.bytes = bytes, .room = sizeof(bytes)};
	struct blob *blob;

	for (size_t i = 0; i < count; i++) {
		operation.writes += accesses[i].is_write;
		operation.reads += !accesses[i].is_write;
	}
	operation_write(&writer, &operation, shards);
	for (size_t i = 0; i < count; i++)
		if (!accesses[i].is_write)
			operation_write_read(&writer, accesses[i].key,
					     (uint16_t)strlen(accesses[i].key),
					     accesses[i].version);
	for (size_t i = 0; i < count; i++)
		if (accesses[i].is_write)
			operation_write_write(
				&writer, accesses[i].key, (uint16_t)strlen(accesses[i].key),
				accesses[i].value,
				accesses[i].value ? (uint32_t)strlen(accesses[i].value) : 0);
	assert_true(writer_fits(&writer));
	blob = blob_new(&testing_memory, (uint32_t)writer.len);
	assert_non_null(blob);
	memcpy(blob->bytes, bytes, writer.len);
	return blob;
}

#endif /* TXNSTORE_TESTING_H */
