/* SPDX-License-Identifier: MIT */
#include "oplog.h"

#include <errno.h>

#define ROOM_FIRST 256u
void oplog_init(struct oplog *log, uint64_t first)
{
	*log = (struct oplog){.first = first};
}

void oplog_destroy(struct oplog *log, const struct memory *memory)
{
	oplog_cut(log, log->first - 1);
	if (log->entries)
		memory->free(memory->context, log->entries);
	log->entries = NULL;
	log->room = 0;
}

static bool grow(struct oplog *log, const struct memory *memory)
{
	size_t room = log->room ? 2 * log->room : ROOM_FIRST;
	struct entry *entries = memory->alloc(memory->context, room * sizeof(*entries));

	if (!entries)
		return false;
	if (log->count)
		memcpy(entries, log->entries, log->count * sizeof(*entries));
	if (log->entries)
		memory->free(memory->context, log->entries);
	log->entries = entries;
	log->room = room;
	return true;
}

int oplog_add(struct oplog *log, const struct memory *memory, const struct entry *entry)
{
	if (log->count == log->room && !grow(log, memory))
		return -ENOMEM;
	log->entries[log->count++] = *entry;
	log->bytes += oplog_size(entry);
	return 0;
}

static void give_up(struct oplog *log, struct entry *entry)
{
	log->bytes -= oplog_size(entry);
	blob_release(entry->blob);
}

void oplog_cut(struct oplog *log, uint64_t op)
{
	while (log->count && oplog_last(log) > op)
		give_up(log, &log->entries[--log->count]);
}

void oplog_drop(struct oplog *log, uint64_t op)
{
	size_t gone = 0;

	while (gone < log->count && log->first + gone < op)
		give_up(log, &log->entries[gone++]);
	memmove(log->entries, log->entries + gone, (log->count - gone) * sizeof(*log->entries));
	log->count -= gone;
	log->first = op;
}

size_t oplog_size(const struct entry *entry)
{
	return OPLOG_HEAD + entry->blob->len;
}

size_t oplog_room(const struct oplog *log, uint64_t op, size_t batch)
{
	size_t room = oplog_size(oplog_at(log, op));

	for (op++; op <= oplog_last(log); op++) {
		const struct entry *entry = oplog_at(log, op);

		if (room + oplog_size(entry) > batch || entry->blob->len >= OPLOG_LARGE)
			break;
		room += oplog_size(entry);
	}
	return room;
}

static void write_head(const struct entry *entry, struct writer *writer)
{
	write_u64(writer, entry->view);
	write_u64(writer, entry->time_ns);
	write_u32(writer, entry->blob->len);
}

void oplog_write_head(const struct oplog *log, uint64_t op, struct writer *writer)
{
	write_head(oplog_at(log, op), writer);
}

uint32_t oplog_write(const struct oplog *log, uint64_t op, struct writer *writer)
{
	uint32_t count = 0;

	for (; op <= oplog_last(log); op++, count++) {
		const struct entry *entry = oplog_at(log, op);

		if (writer->len + oplog_size(entry) > writer->room)
			break;
		write_head(entry, writer);
		write_bytes(writer, entry->blob->bytes, entry->blob->len);
	}
	return count;
}

int oplog_read(struct reader *reader, const struct memory *memory, struct entry *entry)
{
	struct operation operation;
	const void *bytes;
	uint32_t len;

	*entry = (struct entry){.view = read_u64(reader)};
	entry->time_ns = read_u64(reader);
	len = read_u32(reader);
	bytes = read_bytes(reader, len);
	if (reader->failed || operation_parse(&operation, bytes, len) != 0)
		return -EBADMSG;
	entry->blob = blob_new(memory, len);
	if (!entry->blob)
		return -ENOMEM;
	memcpy(entry->blob->bytes, bytes, len);
	return 0;
}
