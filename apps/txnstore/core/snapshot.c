/* SPDX-License-Identifier: MIT */
/*
 * A shard's state as it was after one operation, in parts, while it goes on: the tables of clients and
 * transactions are copied when it is begun, of items the versions of then are kept. Whoever fetches it
 * says where it is: a cursor is an offset in the tables, or, with the upper bit, how many of the slots
 * of items are left. They are gone through from the last to the first: an item that takes the place of
 * one that goes comes from those that were sent.
 */
#include <errno.h>

#include "replica_parts.h"

#define CURSOR_ITEMS (UINT64_C(1) << 63)
#define CURSOR_END UINT64_MAX
/* Without a question for so many times of a retry nobody is fetching. */
#define FORGOTTEN_RETRIES 100

/* ---- The side that has it ---- */

static void drop_tables(struct replica *replica)
{
	if (replica->tables)
		replica->memory->free(replica->memory->context, replica->tables);
	replica->tables = NULL;
	replica->tables_len = 0;
	replica->pin_op = 0;
}

void snapshot_tick(struct replica *replica)
{
	if (replica->pin_op &&
	    replica->now_ns - replica->pin_ns > FORGOTTEN_RETRIES * replica->config.retry_ns)
		drop_tables(replica);
}

static bool make_tables(struct replica *replica)
{
	struct writer writer = {.room = 0};

	drop_tables(replica);
	shard_write_tables(&replica->shard, &writer);
	writer = (struct writer){.room = writer.len};
	writer.bytes = replica->memory->alloc(replica->memory->context, writer.room);
	if (!writer.bytes)
		return false;
	shard_write_tables(&replica->shard, &writer);
	replica->tables = writer.bytes;
	replica->tables_len = writer.len;
	replica->pin_op = replica->shard.applied;
	return true;
}

static uint64_t write_tables(const struct replica *replica, uint64_t offset, struct writer *writer)
{
	size_t left = replica->tables_len - offset;
	size_t len = left < writer->room ? left : writer->room;

	write_bytes(writer, replica->tables + offset, len);
	return len < left ? offset + len : CURSOR_ITEMS | replica->shard.store.slot_count;
}

static uint64_t write_items(const struct replica *replica, uint64_t slots, struct writer *writer)
{
	while (slots) {
		struct writer before = *writer;

		shard_write_item(replica->shard.store.slots[slots - 1], replica->pin_op, writer);
		if (!writer_fits(writer)) {
			*writer = before;
			break;
		}
		slots--;
	}
	return slots ? CURSOR_ITEMS | slots : CURSOR_END;
}

/* The largest item fits, too. */
static size_t room_of(const struct replica *replica)
{
	size_t least = KEY_MAX + VALUE_MAX + 64;

	return replica->config.batch_bytes > least ? replica->config.batch_bytes : least;
}

void snapshot_serve(struct replica *replica, const struct message *message)
{
	const struct memory *memory = replica->memory;
	struct message answer = replica_message(replica, MESSAGE_SNAPSHOT);
	struct writer writer = {.room = room_of(replica)};
	uint64_t cursor = message->number == replica->pin_op ? message->snapshot : 0;
	uint64_t slots = cursor & ~CURSOR_ITEMS;

	if ((!replica->pin_op || replica->pin_op + 1 < replica->log.first) && !make_tables(replica))
		return;
	if (message->number != replica->pin_op)
		cursor = 0;
	writer.bytes = memory->alloc(memory->context, writer.room);
	if (!writer.bytes)
		return;
	replica->pin_ns = replica->now_ns;
	answer.op = replica->pin_op;
	answer.number = replica->tables_len;
	answer.client = cursor;
	answer.nonce = message->nonce;
	if (cursor & CURSOR_ITEMS && slots <= replica->shard.store.slot_count) {
		answer.snapshot = write_items(replica, slots, &writer);
	} else if (cursor < replica->tables_len) {
		answer.snapshot = write_tables(replica, cursor, &writer);
	} else {
		/* There are fewer slots now than were left: those behind have been sent. */
		answer.snapshot = CURSOR_ITEMS | replica->shard.store.slot_count;
	}
	answer.body = writer.bytes;
	answer.body_len = (uint32_t)writer.len;
	if (replica_tell(replica, message->from, &answer, true))
		normal_served(replica, message->from, replica->pin_op);
	memory->free(memory->context, writer.bytes);
}

/* ---- The side that wants it ---- */

static int begin(struct replica *replica, const struct message *message)
{
	struct adoption *adoption = &replica->adoption;
	const struct memory *memory = replica->memory;
	int error;

	if (adoption->has_shard)
		shard_destroy(&adoption->shard);
	adoption->has_shard = false;
	if (adoption->tables)
		memory->free(memory->context, adoption->tables);
	adoption->tables = NULL;
	oplog_cut(&adoption->log, adoption->log.first - 1);
	adoption->wants_snapshot = true;
	adoption->base = message->op;
	adoption->cursor = 0;
	adoption->tables_len = 0;
	adoption->tables_total = message->number;
	if (message->number == 0 || message->number > snapshot_tables_max(replica) ||
	    message->op == 0)
		return -EBADMSG;
	error = shard_init(&adoption->shard, memory, &replica->config.limits);
	if (error)
		return error;
	adoption->has_shard = true;
	adoption->tables = memory->alloc(memory->context, message->number);
	return adoption->tables ? 0 : -ENOMEM;
}

static int take_tables(struct adoption *adoption, const struct message *message)
{
	struct reader reader;
	int error;

	if (message->body_len > adoption->tables_total - adoption->tables_len)
		return -EBADMSG;
	memcpy(adoption->tables + adoption->tables_len, message->body, message->body_len);
	adoption->tables_len += message->body_len;
	if (adoption->tables_len < adoption->tables_total)
		return message->snapshot == adoption->tables_len ? 0 : -EBADMSG;
	if (!(message->snapshot & CURSOR_ITEMS))
		return -EBADMSG;
	reader = reader_of(adoption->tables, adoption->tables_len);
	error = shard_read_tables(&adoption->shard, &reader);
	if (error)
		return error;
	return reader_ended(&reader) && adoption->shard.applied == adoption->base ? 0 : -EBADMSG;
}

static int take_items(struct adoption *adoption, const struct message *message)
{
	struct reader reader = reader_of(message->body, message->body_len);
	int error = 0;

	while (reader.left && !error)
		error = shard_read_item(&adoption->shard, &reader);
	return error;
}

int snapshot_receive(struct replica *replica, const struct message *message)
{
	struct adoption *adoption = &replica->adoption;
	int error = 0;

	if (!adoption->has_shard || adoption->base != message->op)
		error = begin(replica, message);
	if (error || message->client != adoption->cursor)
		return error;
	error = adoption->cursor & CURSOR_ITEMS ? take_items(adoption, message)
						: take_tables(adoption, message);
	if (error)
		return error;
	adoption->cursor = message->snapshot;
	if (adoption->cursor != CURSOR_END)
		return 0;
	error = shard_lock_prepared(&adoption->shard);
	store_set_horizon(&adoption->shard.store, adoption->base);
	return error ? error : 1;
}
