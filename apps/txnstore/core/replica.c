/* SPDX-License-Identifier: MIT */
#include "replica.h"

#include <errno.h>

#include "replica_parts.h"

static bool config_is_right(const struct replica_config *config)
{
	return config->count % 2 == 1 && config->count <= REPLICAS_MAX &&
	       config->index < config->count && config->shard < SHARDS_MAX &&
	       config->heartbeat_ns && config->election_ns > config->heartbeat_ns &&
	       config->retry_ns && config->doubt_ns && config->batch_bytes >= 1024 &&
	       config->batch_bytes <= BODY_MAX && config->window &&
	       config->log_keep >= config->window;
}

int replica_init(struct replica *replica, const struct replica_config *config,
		 const struct replica_ops *ops, void *context, const struct memory *memory,
		 uint64_t seed)
{
	if (!config_is_right(config))
		return -EINVAL;
	*replica = (struct replica){.config = *config,
				    .ops = ops,
				    .context = context,
				    .memory = memory,
				    .random = {.state = seed},
				    .status = REPLICA_RECOVERING};
	oplog_init(&replica->log, 1);
	oplog_init(&replica->staged, 1);
	return shard_init(&replica->shard, memory, &config->limits);
}

void replica_destroy(struct replica *replica)
{
	const struct memory *memory = replica->memory;

	adoption_end(replica);
	oplog_destroy(&replica->log, memory);
	shard_destroy(&replica->shard);
	if (replica->confirmations)
		memory->free(memory->context, replica->confirmations);
	if (replica->tables)
		memory->free(memory->context, replica->tables);
	record_destroy(replica);
}

/* Of an item, or of a client with a transaction, in a snapshot. */
#define ITEM_BYTES 14u
#define CLIENT_BYTES 64u

uint64_t replica_live(const struct replica *replica)
{
	const struct shard *shard = &replica->shard;

	return shard->store.live + ITEM_BYTES * shard->store.slot_count +
	       CLIENT_BYTES * shard->client_count;
}

/* A clock that goes back stands still here. */
void replica_now(struct replica *replica, uint64_t now_ns)
{
	if (now_ns > replica->now_ns)
		replica->now_ns = now_ns;
}

struct message replica_message(const struct replica *replica, enum message_type type)
{
	return (struct message){
		.type = (uint8_t)type,
		.shard = replica->config.shard,
		.from = replica->config.index,
		.configuration = replica->config.configuration,
		.view = replica->view,
		.commit = replica->commit,
		.incarnation = replica->incarnation,
	};
}

bool replica_tell(struct replica *replica, uint32_t to, const struct message *message, bool is_held)
{
	return replica->ops->send(replica->context, to, message, is_held);
}

void replica_tell_all(struct replica *replica, const struct message *message, bool is_held)
{
	for (uint32_t to = 0; to < replica->config.count; to++)
		if (to != replica->config.index)
			replica_tell(replica, to, message, is_held);
}

/*
 * With a log it is written before anybody hears that it is known: the promises of an earlier start must
 * not count again when this replica has started anew. Of the first start there is no earlier one.
 */
void replica_know(struct replica *replica, uint32_t index, uint64_t incarnation)
{
	if (incarnation <= replica->incarnations[index])
		return;
	replica->incarnations[index] = incarnation;
	if (incarnation > 1 && replica->ops->write && replica->status != REPLICA_FAILED)
		record_identity(replica);
}

uint64_t replica_know_all(struct replica *replica, const struct message *message)
{
	struct reader reader = reader_of(message->body, message->body_len);
	uint64_t own = 0;

	for (uint32_t i = 0; i < replica->config.count; i++) {
		uint64_t incarnation = read_u64(&reader);

		if (i == replica->config.index)
			own = incarnation;
		else
			replica_know(replica, i, incarnation);
	}
	return own;
}

void replica_fail(struct replica *replica)
{
	replica->status = REPLICA_FAILED;
}

void replica_start(struct replica *replica, uint64_t now_ns, enum replica_start how)
{
	replica->now_ns = now_ns;
	if (how == REPLICA_START_RESTORED && !replica->is_restored)
		how = REPLICA_START_LOST;
	if (how == REPLICA_START_LOST) {
		recovery_begin(replica);
		return;
	}
	if (!replica->incarnation)
		replica->incarnation = replica->incarnations[replica->config.index] = 1;
	replica->status = REPLICA_NORMAL;
	if (how == REPLICA_START_NEW) {
		replica->is_restored = true;
		if (replica->ops->write)
			record_identity(replica);
	}
	view_change_heard(replica);
	/* What a primary had proposed, others may have, and its own log not: it does not go on. */
	if (how == REPLICA_START_RESTORED && replica->config.count > 1 &&
	    (replica->view != replica->last_normal || replica_leads(replica)))
		view_change_begin(replica, replica->view + 1);
	else if (replica_leads(replica))
		replica_lead(replica);
}

static void receive_of_replica(struct replica *replica, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_PREPARE:
		normal_prepare(replica, message);
		break;
	case MESSAGE_PREPARE_OK:
		normal_prepare_ok(replica, message);
		break;
	case MESSAGE_START_VIEW_CHANGE:
	case MESSAGE_DO_VIEW_CHANGE:
	case MESSAGE_START_VIEW:
		view_change_receive(replica, message);
		break;
	case MESSAGE_GET_STATE:
		transfer_serve(replica, message);
		break;
	case MESSAGE_NEW_STATE:
	case MESSAGE_SNAPSHOT:
		if (replica->adoption.is_on)
			adoption_receive(replica, message);
		else
			normal_new_state(replica, message);
		break;
	case MESSAGE_RECOVERY:
	case MESSAGE_RECOVERY_REPLY:
		recovery_receive(replica, message);
		break;
	default:
		break;
	}
}

void replica_receive(struct replica *replica, uint64_t now_ns, uint64_t peer,
		     const struct message *message)
{
	uint32_t from = message->from;

	replica_now(replica, now_ns);
	if (replica->status == REPLICA_FAILED || message->shard != replica->config.shard ||
	    message->configuration != replica->config.configuration)
		return;
	if (from == MESSAGE_NOT_A_REPLICA) {
		requests_receive(replica, peer, message);
		return;
	}
	if (from >= replica->config.count || from == replica->config.index)
		return;
	if (message->type != MESSAGE_RECOVERY) {
		if (message->incarnation < replica->incarnations[from]) {
			recovery_correct(replica, from);
			return;
		}
		replica_know(replica, from, message->incarnation);
	}
	receive_of_replica(replica, message);
}

void replica_tick(struct replica *replica, uint64_t now_ns)
{
	replica_now(replica, now_ns);
	switch (replica->status) {
	case REPLICA_NORMAL:
		normal_tick(replica);
		break;
	case REPLICA_RECOVERING:
		recovery_tick(replica);
		break;
	case REPLICA_VIEW_CHANGE:
		view_change_tick(replica);
		break;
	case REPLICA_FAILED:
		return;
	}
	if (replica->adoption.is_on)
		adoption_tick(replica);
	snapshot_tick(replica);
	record_rewrite(replica);
}

uint64_t replica_deadline(const struct replica *replica)
{
	const struct adoption *adoption = &replica->adoption;
	/* What asks for another's log asks for nothing else, but where it also looks for that other. */
	bool adopts = adoption->is_on && replica->status != REPLICA_RECOVERING;
	uint64_t sent_ns = adopts ? adoption->sent_ns : replica->sent_ns;
	uint64_t retry_ns = sent_ns + replica->config.retry_ns;
	uint64_t patience_ns = replica->heard_ns + replica->patience_ns;

	switch (replica->status) {
	case REPLICA_NORMAL:
		if (replica_leads(replica)) {
			uint64_t beat_ns = replica->beat_ns + replica->config.heartbeat_ns;
			return beat_ns < retry_ns ? beat_ns : retry_ns;
		}
		return patience_ns;
	case REPLICA_VIEW_CHANGE:
		return patience_ns < retry_ns ? patience_ns : retry_ns;
	case REPLICA_RECOVERING:
		return retry_ns;
	default:
		return UINT64_MAX;
	}
}
