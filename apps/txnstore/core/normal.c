/* SPDX-License-Identifier: MIT */
/*
 * The normal case: the primary gives operations their numbers and sends them to all, a quorum of logs
 * makes them committed, all carry them out in order. "VR Revisited", section 4.1.
 */
#include "replica_parts.h"

/* So many items are looked at for each operation, for versions that nobody needs any more. */
#define SWEEP 2
/* Where there is no more room for them, more, and what reads may ask for is less. */
#define SWEEP_FULL 256
#define VERSIONS_FULL 16u

/* ---- Carrying out ---- */

static void answer_result(struct replica *replica, const struct entry *entry, enum result result)
{
	struct message reply = replica_message(replica, MESSAGE_REPLY);
	struct operation operation;

	(void)operation_parse(&operation, entry->blob->bytes, entry->blob->len);
	reply.result = (uint8_t)result;
	reply.client = operation.client;
	reply.number = operation.number;
	reply.nonce = entry->nonce;
	replica->ops->answer(replica->context, entry->peer, &reply, NULL);
}

static void set_horizon(struct replica *replica)
{
	uint64_t applied = replica->shard.applied, keep = replica->config.versions_keep, horizon;
	bool is_full = replica->shard.store.bytes >= replica->config.bytes_max;

	if (is_full && keep > VERSIONS_FULL)
		keep = VERSIONS_FULL;
	horizon = applied > keep ? applied - keep : 0;

	if (replica->pin_op && replica->pin_op < horizon)
		horizon = replica->pin_op;
	store_set_horizon(&replica->shard.store, horizon);
	store_sweep(&replica->shard.store, is_full ? SWEEP_FULL : SWEEP);
}

/*
 * Those that nobody who is up to date asks for; and those that take too much of the room of the logs of
 * the others, to whom a snapshot is less.
 */
static void drop_log(struct replica *replica)
{
	uint64_t applied = replica->shard.applied, keep = replica->config.log_keep;
	uint64_t bytes_max = replica->config.log_room / 5, first = replica->log.first, bytes;

	if (applied > 2 * keep && first < applied - 2 * keep)
		oplog_drop(&replica->log, applied - keep);
	bytes = replica->log.bytes;
	if (!bytes_max || bytes <= bytes_max)
		return;
	for (first = replica->log.first; first < applied && bytes > bytes_max / 2; first++)
		bytes -= oplog_size(oplog_at(&replica->log, first));
	oplog_drop(&replica->log, first);
}

void replica_execute(struct replica *replica)
{
	uint64_t op;

	while ((op = replica->shard.applied + 1) <= replica->commit && op <= replica_op(replica)) {
		struct entry *entry = oplog_at(&replica->log, op);
		enum result result;

		if (shard_apply(&replica->shard, op, entry->time_ns, entry->blob,
				entry->blob->bytes, entry->blob->len, &result) != 0) {
			replica_fail(replica);
			return;
		}
		if (entry->nonce && replica_leads(replica))
			answer_result(replica, entry, result);
		entry->nonce = 0;
		set_horizon(replica);
	}
	drop_log(replica);
}

/* ---- The primary ---- */

/* Of @count operations. Return: whether they are under way; if not, they wait for the next heartbeat. */
static bool send_entries(struct replica *replica, uint32_t to, const struct message *message,
			 uint32_t count)
{
	if (!replica_tell(replica, to, message, false)) {
		replica->flow[to] = FLOW_REFUSED;
		return false;
	}
	replica->next[to] += count;
	return true;
}

/* One operation that is large, where it stands. */
static bool send_large(struct replica *replica, uint32_t to, struct message message)
{
	const struct blob *blob = oplog_at(&replica->log, message.op)->blob;
	uint8_t head[OPLOG_HEAD];
	struct writer writer = {.bytes = head, .room = sizeof(head)};

	oplog_write_head(&replica->log, message.op, &writer);
	message.body = head;
	message.body_len = (uint32_t)writer.len;
	message.tail = blob->bytes;
	message.tail_len = blob->len;
	return send_entries(replica, to, &message, 1);
}

/* As many as a message takes. */
static bool send_batch(struct replica *replica, uint32_t to, struct message message)
{
	const struct memory *memory = replica->memory;
	struct writer writer = {
		.room = oplog_room(&replica->log, message.op, replica->config.batch_bytes)};
	uint32_t count;
	bool is_sent;

	writer.bytes = memory->alloc(memory->context, writer.room);
	if (!writer.bytes)
		return false;
	count = oplog_write(&replica->log, message.op, &writer);
	message.body = writer.bytes;
	message.body_len = (uint32_t)writer.len;
	is_sent = send_entries(replica, to, &message, count);
	memory->free(memory->context, writer.bytes);
	return is_sent;
}

/* One that is to ask for what it lacks sees by it that there is something. */
static void send_heartbeat(struct replica *replica, uint32_t to)
{
	struct message message = replica_message(replica, MESSAGE_PREPARE);

	message.op = replica->flow[to] == FLOW_PULLED ? replica_op(replica) + 1 : replica->next[to];
	message.nonce = replica->beat;
	replica_tell(replica, to, &message, false);
}

/* Entries from what @to is to get next. Return: whether they are under way. */
static bool send_prepare(struct replica *replica, uint32_t to)
{
	struct message message = replica_message(replica, MESSAGE_PREPARE);

	/* What is not in the log any more it asks for. */
	if (replica->next[to] < replica->log.first) {
		replica->flow[to] = FLOW_PULLED;
		send_heartbeat(replica, to);
		return false;
	}
	message.op = replica->next[to];
	message.nonce = replica->beat;
	return oplog_at(&replica->log, message.op)->blob->len >= OPLOG_LARGE
		       ? send_large(replica, to, message)
		       : send_batch(replica, to, message);
}

static void send_prepares(struct replica *replica, bool even_empty)
{
	for (uint32_t to = 0; to < replica->config.count; to++) {
		bool goes_on = replica->flow[to] == FLOW_PUSHED;

		if (to == replica->config.index)
			continue;
		if (even_empty && (!goes_on || replica->next[to] > replica_op(replica)))
			send_heartbeat(replica, to);
		while (goes_on && replica->next[to] <= replica_op(replica))
			goes_on = send_prepare(replica, to);
	}
}

uint64_t normal_beat(struct replica *replica)
{
	replica->beat++;
	replica->beat_ns = replica->now_ns;
	send_prepares(replica, true);
	return replica->beat;
}

void replica_lead(struct replica *replica)
{
	for (uint32_t i = 0; i < replica->config.count; i++) {
		replica->acked[i] = 0;
		replica->confirmed[i] = 0;
		replica->next[i] = replica_op(replica) + 1;
		replica->flow[i] = FLOW_PUSHED;
	}
	replica->view_start = replica_op(replica);
	replica->sent_ns = replica->now_ns;
	replica->beat_ns = replica->now_ns;
	replica_count_acks(replica);
}

/* The operation that a quorum has, this one with what is durable of its own. */
void replica_count_acks(struct replica *replica)
{
	uint64_t best = replica->commit;

	replica->acked[replica->config.index] = replica->ops->write ? replica->durable_op
								    : replica_op(replica);
	for (uint32_t i = 0; i < replica->config.count; i++) {
		uint32_t count = 0;

		for (uint32_t j = 0; j < replica->config.count; j++)
			count += replica->acked[j] >= replica->acked[i];
		if (count >= replica_quorum(replica) && replica->acked[i] > best)
			best = replica->acked[i];
	}
	replica->commit = best;
	replica_execute(replica);
}

void normal_propose(struct replica *replica, struct entry *entry)
{
	/* Time goes on, whatever the clock of a primary says. */
	if (replica->now_ns > replica->last_time_ns)
		replica->last_time_ns = replica->now_ns;
	entry->view = replica->view;
	entry->time_ns = replica->last_time_ns;
	if (oplog_add(&replica->log, replica->memory, entry) != 0) {
		blob_release(entry->blob);
		return;
	}
	record_entry(replica);
	send_prepares(replica, false);
	if (replica->config.count == 1 || !replica->ops->write)
		replica_count_acks(replica);
}

void normal_prepare_ok(struct replica *replica, const struct message *message)
{
	uint32_t from = message->from;

	if (!replica_leads(replica) || message->view != replica->view ||
	    message->op > replica_op(replica))
		return;
	if (message->nonce > replica->confirmed[from])
		replica->confirmed[from] = message->nonce;
	if (message->op > replica->acked[from]) {
		replica->acked[from] = message->op;
		if (replica->next[from] <= message->op)
			replica->next[from] = message->op + 1;
		replica_count_acks(replica);
	}
	if (message->op == replica_op(replica) && replica->flow[from] == FLOW_PULLED)
		replica->flow[from] = FLOW_PUSHED;
	requests_confirmed(replica);
}

/*
 * What one lacks goes to it as fast as it asks: what is new would only be in the way. Nothing is sent
 * again otherwise; whoever has lost something sees that with the next PREPARE, be it a heartbeat.
 */
void normal_served(struct replica *replica, uint32_t to, uint64_t last)
{
	if (!replica_leads(replica))
		return;
	replica->next[to] = last + 1;
	replica->flow[to] = last < replica_op(replica) ? FLOW_PULLED : FLOW_PUSHED;
}

static void beat_when_due(struct replica *replica)
{
	if (replica->now_ns - replica->beat_ns < replica->config.heartbeat_ns)
		return;
	for (uint32_t i = 0; i < replica->config.count; i++)
		if (replica->flow[i] == FLOW_REFUSED)
			replica->flow[i] = FLOW_PUSHED;
	normal_beat(replica);
}

static void ask_for_outcomes(struct replica *replica)
{
	for (struct txn *txn = replica->shard.prepared; txn; txn = txn->next_prepared) {
		struct operation operation;

		if (!txn->asked_ns)
			txn->asked_ns = replica->now_ns;
		if (replica->now_ns - txn->asked_ns < replica->config.doubt_ns)
			continue;
		txn->asked_ns = replica->now_ns;
		(void)operation_parse(&operation, txn->blob->bytes, txn->blob->len);
		replica->ops->in_doubt(replica->context, &operation);
	}
}

void normal_tick(struct replica *replica)
{
	if (!replica_leads(replica)) {
		if (replica->now_ns - replica->heard_ns >= replica->patience_ns)
			view_change_begin(replica, replica->view + 1);
		return;
	}
	beat_when_due(replica);
	if (replica->now_ns - replica->sent_ns >= replica->config.retry_ns) {
		replica->sent_ns = replica->now_ns;
		ask_for_outcomes(replica);
	}
}

/* ---- The others ---- */

void replica_acknowledge(struct replica *replica, uint64_t nonce)
{
	struct message message = replica_message(replica, MESSAGE_PREPARE_OK);

	message.op = replica_op(replica);
	message.nonce = nonce;
	replica_tell(replica, replica_primary(replica, replica->view), &message, true);
}

/* One question at a time: what a second one were answered would be the same. */
static void ask_for_missing(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_GET_STATE);

	if (replica->is_asking && replica->now_ns - replica->asked_ns < replica->config.retry_ns)
		return;
	replica->is_asking = true;
	replica->asked_ns = replica->now_ns;
	message.op = replica_op(replica) + 1;
	replica_tell(replica, replica_primary(replica, replica->view), &message, false);
}

/* Entries from @first on: those that come next are taken. Return: whether none is missing. */
static bool take_entries(struct replica *replica, uint64_t first, const struct message *message)
{
	struct reader reader = reader_of(message->body, message->body_len);

	if (first > replica_op(replica) + 1)
		return false;
	for (uint64_t op = first; reader.left; op++) {
		struct entry entry;

		if (oplog_read(&reader, replica->memory, &entry) != 0)
			return true;
		if (op <= replica_op(replica)) {
			blob_release(entry.blob);
			continue;
		}
		if (oplog_add(&replica->log, replica->memory, &entry) != 0) {
			blob_release(entry.blob);
			return true;
		}
		if (entry.time_ns > replica->last_time_ns)
			replica->last_time_ns = entry.time_ns;
		record_entry(replica);
	}
	return true;
}

static void follow(struct replica *replica, const struct message *message, uint64_t nonce)
{
	view_change_heard(replica);
	if (!take_entries(replica, message->op, message))
		ask_for_missing(replica);
	if (message->commit > replica->commit)
		replica->commit = message->commit;
	replica_execute(replica);
	if (replica->status == REPLICA_NORMAL)
		replica_acknowledge(replica, nonce);
}

void normal_prepare(struct replica *replica, const struct message *message)
{
	if (replica->status == REPLICA_RECOVERING || message->view < replica->view ||
	    message->from != replica_primary(replica, message->view))
		return;
	if (message->view == replica->view && replica->status == REPLICA_NORMAL) {
		follow(replica, message, message->nonce);
		return;
	}
	/* A view has begun without this one. */
	if (message->view == replica->view && replica->adoption.is_on) {
		view_change_heard(replica);
		return;
	}
	if (message->view > replica->view) {
		view_change_begin(replica, message->view);
		if (replica->status == REPLICA_FAILED)
			return;
	}
	view_change_heard(replica);
	adoption_begin(replica, message->from);
}

void normal_new_state(struct replica *replica, const struct message *message)
{
	if (replica->status != REPLICA_NORMAL || message->view != replica->view ||
	    message->from != replica_primary(replica, replica->view) || replica_leads(replica))
		return;
	if (message->type == MESSAGE_NEW_STATE) {
		replica->is_asking = false;
		follow(replica, message, 0);
		if (replica->status == REPLICA_NORMAL && message->snapshot > replica_op(replica))
			ask_for_missing(replica);
	} else {
		/* The primary has no such old operations any more. */
		replica->status = REPLICA_VIEW_CHANGE;
		adoption_begin(replica, message->from);
	}
}
