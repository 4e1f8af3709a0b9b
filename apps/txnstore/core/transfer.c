/* SPDX-License-Identifier: MIT */
/*
 * How a replica comes to have another's log: "VR Revisited", section 5.2. It is gathered beside its own
 * and taken over all at once: what this replica has is, up to then, what it has told others it has.
 */
#include <errno.h>

#include "replica_parts.h"

/* ---- The side that has it ---- */

/* A primary; or one that has voted, and whose log stands still until the view begins. */
static bool may_serve(const struct replica *replica, const struct message *message)
{
	return message->view == replica->view &&
	       (replica_leads(replica) ||
		(replica->status == REPLICA_VIEW_CHANGE && !replica->adoption.is_on));
}

static void serve_entries(struct replica *replica, const struct message *message)
{
	const struct memory *memory = replica->memory;
	struct message answer = replica_message(replica, MESSAGE_NEW_STATE);
	struct writer writer = {.room = 0};
	uint32_t count = 0;

	answer.op = message->op;
	answer.snapshot = replica_op(replica);
	answer.nonce = message->nonce;
	if (message->op <= replica_op(replica)) {
		writer.room = oplog_room(&replica->log, message->op, replica->config.batch_bytes);
		writer.bytes = memory->alloc(memory->context, writer.room);
		if (!writer.bytes)
			return;
		count = oplog_write(&replica->log, message->op, &writer);
	}
	answer.body = writer.bytes;
	answer.body_len = (uint32_t)writer.len;
	if (replica_tell(replica, message->from, &answer, true))
		normal_served(replica, message->from, message->op + count - 1);
	if (writer.bytes)
		memory->free(memory->context, writer.bytes);
}

void transfer_serve(struct replica *replica, const struct message *message)
{
	if (!may_serve(replica, message))
		return;
	if (message->op < replica->log.first)
		snapshot_serve(replica, message);
	else if (message->op <= replica_op(replica) + 1)
		serve_entries(replica, message);
}

/* ---- The side that wants it ---- */

static void ask(struct replica *replica)
{
	struct adoption *adoption = &replica->adoption;
	struct message message = replica_message(replica, MESSAGE_GET_STATE);

	adoption->sent_ns = replica->now_ns;
	message.nonce = adoption->nonce;
	message.op = oplog_last(&adoption->log) + 1;
	if (adoption->wants_snapshot) {
		message.op = 0;
		message.number = adoption->base;
		message.snapshot = adoption->cursor;
	}
	replica_tell(replica, adoption->source, &message, false);
}

void adoption_end(struct replica *replica)
{
	struct adoption *adoption = &replica->adoption;

	if (!adoption->is_on)
		return;
	oplog_destroy(&adoption->log, replica->memory);
	if (adoption->has_shard)
		shard_destroy(&adoption->shard);
	if (adoption->tables)
		replica->memory->free(replica->memory->context, adoption->tables);
	*adoption = (struct adoption){.is_on = false};
}

void adoption_begin(struct replica *replica, uint32_t source)
{
	struct adoption *adoption = &replica->adoption;

	adoption_end(replica);
	*adoption = (struct adoption){
		.is_on = true,
		.source = source,
		.nonce = random_next(&replica->random) | 1,
		.base = replica->shard.applied,
	};
	oplog_init(&adoption->log, adoption->base + 1);
	replica->transfers++;
	ask(replica);
}

/* The log of the view is here, up to what its source had. */
static void take_over(struct replica *replica)
{
	struct adoption *adoption = &replica->adoption;

	record_install(replica, adoption->base, &adoption->log,
		       adoption->has_shard ? &adoption->shard : NULL);
	if (adoption->has_shard) {
		shard_destroy(&replica->shard);
		shard_move(&replica->shard, &adoption->shard);
		adoption->has_shard = false;
		oplog_cut(&replica->log, replica->log.first - 1);
		replica->log.first = adoption->base + 1;
		replica->snapshots++;
	}
	oplog_cut(&replica->log, adoption->base);
	for (size_t i = 0; i < adoption->log.count; i++) {
		struct entry *entry = &adoption->log.entries[i];

		if (oplog_add(&replica->log, replica->memory, entry) != 0) {
			replica_fail(replica);
			return;
		}
		if (entry->time_ns > replica->last_time_ns)
			replica->last_time_ns = entry->time_ns;
	}
	adoption->log.count = 0;
	adoption_end(replica);
}

static void adopted(struct replica *replica)
{
	take_over(replica);
	if (replica->status == REPLICA_FAILED)
		return;
	replica->last_normal = replica->view;
	if (replica_primary(replica, replica->view) == replica->config.index) {
		view_change_adopted(replica);
		return;
	}
	replica->status = REPLICA_NORMAL;
	view_change_heard(replica);
	replica_execute(replica);
	if (replica->status == REPLICA_NORMAL)
		replica_acknowledge(replica, 0);
}

static int take_entries(struct replica *replica, const struct message *message)
{
	struct adoption *adoption = &replica->adoption;
	struct reader reader = reader_of(message->body, message->body_len);

	for (uint64_t op = message->op; reader.left; op++) {
		struct entry entry;
		int error = oplog_read(&reader, replica->memory, &entry);

		if (error)
			return error;
		if (op != oplog_last(&adoption->log) + 1) {
			blob_release(entry.blob);
			continue;
		}
		error = oplog_add(&adoption->log, replica->memory, &entry);
		if (error) {
			blob_release(entry.blob);
			return error;
		}
	}
	return 0;
}

static void receive_entries(struct replica *replica, const struct message *message)
{
	struct adoption *adoption = &replica->adoption;

	if (adoption->wants_snapshot || message->op != oplog_last(&adoption->log) + 1 ||
	    take_entries(replica, message) != 0)
		return;
	if (message->commit > replica->commit)
		replica->commit = message->commit;
	if (message->snapshot <= oplog_last(&adoption->log))
		adopted(replica);
	else
		ask(replica);
}

void adoption_receive(struct replica *replica, const struct message *message)
{
	struct adoption *adoption = &replica->adoption;
	int outcome;

	if (message->view != replica->view || message->from != adoption->source ||
	    message->nonce != adoption->nonce)
		return;
	replica->heard_ns = replica->now_ns;
	if (message->type == MESSAGE_NEW_STATE) {
		receive_entries(replica, message);
		return;
	}
	outcome = snapshot_receive(replica, message);
	if (outcome < 0) {
		adoption_begin(replica, adoption->source);
		return;
	}
	if (outcome == 1) {
		adoption->wants_snapshot = false;
		adoption->log.first = adoption->base + 1;
	}
	ask(replica);
}

void adoption_tick(struct replica *replica)
{
	if (replica->now_ns - replica->adoption.sent_ns >= replica->config.retry_ns)
		ask(replica);
}
