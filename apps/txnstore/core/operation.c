/* SPDX-License-Identifier: MIT */
#include "operation.h"

#include <errno.h>

#define DELETED UINT32_MAX

void operation_read(struct reader *sets, struct access *access)
{
	access->version = read_u64(sets);
	access->key_len = read_u16(sets);
	access->key = read_bytes(sets, access->key_len);
	access->value = NULL;
	access->value_len = 0;
}

void operation_write_of(struct reader *sets, struct access *access)
{
	access->version = 0;
	access->key_len = read_u16(sets);
	access->value_len = read_u32(sets);
	access->key = read_bytes(sets, access->key_len);
	access->value = NULL;
	if (access->value_len == DELETED)
		access->value_len = 0;
	else
		access->value = read_bytes(sets, access->value_len);
}

static bool key_is_wrong(const struct access *access)
{
	return access->key_len == 0 || access->key_len > KEY_MAX || access->value_len > VALUE_MAX;
}

/* Every key of the sets, once: nothing can go wrong with them afterwards. */
static bool sets_are_right(const struct operation *operation)
{
	struct reader sets = operation->sets;
	struct access access;

	for (uint32_t i = 0; i < operation->reads && !sets.failed; i++) {
		operation_read(&sets, &access);
		if (key_is_wrong(&access))
			return false;
	}
	for (uint32_t i = 0; i < operation->writes && !sets.failed; i++) {
		operation_write_of(&sets, &access);
		if (key_is_wrong(&access))
			return false;
	}
	return reader_ended(&sets);
}

static bool shards_are_right(const struct operation *operation)
{
	for (uint16_t i = 0; i < operation->shards; i++) {
		if (operation_shard(operation, i) >= SHARDS_MAX)
			return false;
		if (i && operation_shard(operation, i) <= operation_shard(operation, i - 1))
			return false;
	}
	return operation->shards > 0;
}

int operation_parse(struct operation *operation, const void *bytes, size_t len)
{
	struct reader reader = reader_of(bytes, len);

	operation->kind = read_u8(&reader);
	operation->commits = read_u8(&reader);
	operation->shards = read_u16(&reader);
	operation->client = read_u64(&reader);
	operation->number = read_u64(&reader);
	operation->finished_below = read_u64(&reader);
	operation->reads = read_u32(&reader);
	operation->writes = read_u32(&reader);
	operation->shard_list = read_bytes(&reader, 2 * (size_t)operation->shards);
	operation->sets = reader;
	if (reader.failed || operation->client == 0 || operation->number == 0 ||
	    operation->finished_below > operation->number)
		return -EBADMSG;
	if (operation->kind == OPERATION_PREPARE)
		return shards_are_right(operation) && sets_are_right(operation) ? 0 : -EBADMSG;
	if (operation->kind != OPERATION_DECIDE && operation->kind != OPERATION_REFUSE)
		return -EBADMSG;
	return operation->shards == 0 && operation->reads == 0 && operation->writes == 0 &&
			       reader_ended(&reader)
		       ? 0
		       : -EBADMSG;
}

void operation_write(struct writer *writer, const struct operation *operation,
		     const uint16_t *shards)
{
	write_u8(writer, (uint8_t)operation->kind);
	write_u8(writer, operation->commits);
	write_u16(writer, operation->shards);
	write_u64(writer, operation->client);
	write_u64(writer, operation->number);
	write_u64(writer, operation->finished_below);
	write_u32(writer, operation->reads);
	write_u32(writer, operation->writes);
	for (uint16_t i = 0; i < operation->shards; i++)
		write_u16(writer, shards[i]);
}

void operation_write_read(struct writer *writer, const void *key, uint16_t key_len,
			  uint64_t version)
{
	write_u64(writer, version);
	write_u16(writer, key_len);
	write_bytes(writer, key, key_len);
}

void operation_write_write(struct writer *writer, const void *key, uint16_t key_len,
			   const void *value, uint32_t value_len)
{
	write_u16(writer, key_len);
	write_u32(writer, value ? value_len : DELETED);
	write_bytes(writer, key, key_len);
	if (value)
		write_bytes(writer, value, value_len);
}
