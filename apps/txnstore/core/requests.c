/* SPDX-License-Identifier: MIT */
/* What clients ask of the primary. */
#include "replica_parts.h"

static struct message answer_to(const struct replica *replica, const struct message *message,
				enum message_type type, enum result result)
{
	struct message answer = replica_message(replica, type);

	answer.client = message->client;
	answer.number = message->number;
	answer.nonce = message->nonce;
	answer.result = (uint8_t)result;
	return answer;
}

static void answer(struct replica *replica, uint64_t peer, const struct message *message,
		   enum message_type type, enum result result)
{
	struct message reply = answer_to(replica, message, type, result);

	replica->ops->answer(replica->context, peer, &reply, NULL);
}

/*
 * An earlier primary may have told clients what this one does not know yet to be committed: until it
 * does, it has nothing to say about values.
 */
static bool serves_reads(const struct replica *replica)
{
	return replica_leads(replica) && replica->shard.applied >= replica->view_start;
}

/* ---- Reads ---- */

static enum result read_value(struct replica *replica, const struct message *message,
			      uint64_t snapshot, const struct version **version)
{
	const struct item *item;
	bool is_between;

	*version = NULL;
	if (message->body_len == 0 || message->body_len > KEY_MAX)
		return RESULT_BAD;
	if (snapshot < replica->shard.store.horizon)
		return RESULT_TOO_OLD;
	item = store_find(&replica->shard.store, message->body, (uint16_t)message->body_len);
	if (item && item->locked_at && item->locked_at <= snapshot)
		return RESULT_LOCKED;
	*version = item_at(item, snapshot, &is_between);
	if (is_between) {
		*version = NULL;
		return RESULT_TOO_OLD;
	}
	return *version ? RESULT_FOUND : RESULT_ABSENT;
}

static void get(struct replica *replica, uint64_t peer, const struct message *message)
{
	uint64_t snapshot = message->snapshot ? message->snapshot - 1 : replica->shard.applied;
	const struct version *version;
	enum result result = read_value(replica, message, snapshot, &version);
	struct message reply = answer_to(replica, message, MESSAGE_GET_REPLY, result);

	reply.snapshot = snapshot + 1;
	if (version) {
		reply.op = version->op;
		reply.body = version->value;
		reply.body_len = version->len;
	}
	replica->ops->answer(replica->context, peer, &reply, version ? version->blob : NULL);
}

/* ---- Operations ---- */

/* A vote that was given stays, so it is answered without another operation. */
static bool answer_known(struct replica *replica, uint64_t peer, const struct message *message,
			 const struct operation *operation)
{
	enum result result = shard_result(&replica->shard, operation->client, operation->number);

	if (result == RESULT_NONE || operation->kind == OPERATION_DECIDE)
		return false;
	answer(replica, peer, message, MESSAGE_REPLY, result);
	return true;
}

/* What deletes alone makes room; what lets locks go is taken anyway. */
static bool takes_room(const struct operation *operation)
{
	struct reader sets = operation->sets;
	struct access access;

	if (operation->kind != OPERATION_PREPARE)
		return false;
	for (uint32_t i = 0; i < operation->reads; i++)
		operation_read(&sets, &access);
	for (uint32_t i = 0; i < operation->writes; i++) {
		operation_write_of(&sets, &access);
		if (access.value)
			return true;
	}
	return false;
}

static bool is_log_full(const struct replica *replica, uint32_t len)
{
	const struct replica_config *config = &replica->config;

	return replica->ops->write && config->log_room &&
	       (replica->log_taken + len > config->log_room / 2 ||
		replica_live(replica) + len > config->log_room / 5);
}

static bool is_full(struct replica *replica, const struct operation *operation, uint32_t len)
{
	bool memory = replica->shard.store.bytes >= replica->config.bytes_max;
	bool log = is_log_full(replica, len);

	if ((!memory && !log) || !takes_room(operation))
		return false;
	replica->memory_full += memory;
	replica->log_full += !memory;
	return true;
}

/*
 * What is asked again is not proposed again, which would only make longer what it waits for. The answer
 * goes where it was asked for last.
 */
static bool is_under_way(struct replica *replica, uint64_t peer, const struct message *message)
{
	uint64_t op = replica->proposed[message->nonce % PROPOSED_MAX];
	struct entry *entry;

	if (op <= replica->shard.applied || op > replica_op(replica))
		return false;
	entry = oplog_at(&replica->log, op);
	if (entry->nonce != message->nonce || entry->blob->len != message->body_len ||
	    memcmp(entry->blob->bytes, message->body, message->body_len) != 0)
		return false;
	entry->peer = peer;
	return true;
}

static void operation(struct replica *replica, uint64_t peer, const struct message *message)
{
	struct entry entry = {.peer = peer, .nonce = message->nonce};
	struct operation operation;

	if (message->body_len > OPERATION_MAX ||
	    operation_parse(&operation, message->body, message->body_len) != 0) {
		answer(replica, peer, message, MESSAGE_REPLY, RESULT_BAD);
		return;
	}
	if (answer_known(replica, peer, message, &operation) ||
	    is_under_way(replica, peer, message))
		return;
	if (is_full(replica, &operation, message->body_len)) {
		answer(replica, peer, message, MESSAGE_REPLY, RESULT_FULL);
		return;
	}
	/* The client sends it again. */
	if (replica_op(replica) - replica->shard.applied >= replica->config.window)
		return;
	entry.blob = blob_new(replica->memory, message->body_len);
	if (!entry.blob) {
		replica->memory_full++;
		answer(replica, peer, message, MESSAGE_REPLY, RESULT_FULL);
		return;
	}
	memcpy(entry.blob->bytes, message->body, message->body_len);
	replica->proposed[message->nonce % PROPOSED_MAX] = replica_op(replica) + 1;
	normal_propose(replica, &entry);
}

/* ---- That reads were up to date ---- */

static bool confirmations_grow(struct replica *replica)
{
	size_t room = replica->confirmation_room ? 2 * replica->confirmation_room : 64;
	const struct memory *memory = replica->memory;
	struct confirmation *grown = memory->alloc(memory->context, room * sizeof(*grown));

	if (!grown)
		return false;
	if (replica->confirmations) {
		memcpy(grown, replica->confirmations, replica->confirmation_count * sizeof(*grown));
		memory->free(memory->context, replica->confirmations);
	}
	replica->confirmations = grown;
	replica->confirmation_room = room;
	return true;
}

/*
 * They are, if this replica is still the primary of the view in which they were made: a quorum that
 * says so now has taken part in no later view when they were made.
 */
static void confirm(struct replica *replica, uint64_t peer, const struct message *message)
{
	if (message->view != replica->view) {
		answer(replica, peer, message, MESSAGE_REPLY, RESULT_NO);
		return;
	}
	if (replica->config.count == 1) {
		answer(replica, peer, message, MESSAGE_REPLY, RESULT_YES);
		return;
	}
	if (replica->confirmation_count >= replica->config.window ||
	    (replica->confirmation_count == replica->confirmation_room &&
	     !confirmations_grow(replica)))
		return;
	replica->confirmations[replica->confirmation_count++] = (struct confirmation){
		.peer = peer,
		.nonce = message->nonce,
		.needed = replica->beat + 1,
		.client = message->client,
		.number = message->number,
	};
	normal_beat(replica);
}

static void answer_confirmation(struct replica *replica, const struct confirmation *confirmation,
				enum result result)
{
	struct message reply = replica_message(replica, MESSAGE_REPLY);

	reply.client = confirmation->client;
	reply.number = confirmation->number;
	reply.nonce = confirmation->nonce;
	reply.result = (uint8_t)result;
	replica->ops->answer(replica->context, confirmation->peer, &reply, NULL);
}

void requests_confirmed(struct replica *replica)
{
	size_t left = 0;

	for (size_t i = 0; i < replica->confirmation_count; i++) {
		const struct confirmation *confirmation = &replica->confirmations[i];
		uint32_t count = 1;

		for (uint32_t j = 0; j < replica->config.count; j++)
			count += j != replica->config.index &&
				 replica->confirmed[j] >= confirmation->needed;
		if (count >= replica_quorum(replica))
			answer_confirmation(replica, confirmation, RESULT_YES);
		else
			replica->confirmations[left++] = *confirmation;
	}
	replica->confirmation_count = left;
}

void requests_refuse(struct replica *replica)
{
	for (size_t i = 0; i < replica->confirmation_count; i++)
		answer_confirmation(replica, &replica->confirmations[i], RESULT_NO);
	replica->confirmation_count = 0;
}

void requests_receive(struct replica *replica, uint64_t peer, const struct message *message)
{
	bool leads = message->type == MESSAGE_OPERATION ? replica_leads(replica)
							: serves_reads(replica);

	if (message->type != MESSAGE_GET && message->type != MESSAGE_OPERATION &&
	    message->type != MESSAGE_CONFIRM)
		return;
	if (message->nonce == 0 || !leads) {
		answer(replica, peer, message, MESSAGE_NOT_PRIMARY, RESULT_NONE);
		return;
	}
	if (message->type == MESSAGE_GET)
		get(replica, peer, message);
	else if (message->type == MESSAGE_OPERATION)
		operation(replica, peer, message);
	else
		confirm(replica, peer, message);
}
