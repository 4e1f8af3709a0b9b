/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>

#include "transaction.h"

void txn_client_init(struct txn_client *client, const struct client_config *config,
		     const struct memory *memory,
		     void (*send)(void *context, uint16_t shard, uint32_t replica,
				  const struct message *message),
		     void *context, uint64_t seed)
{
	*client = (struct txn_client){.config = *config, .memory = memory};
	caller_init(&client->caller, &config->caller, send, context, seed);
	/* Not all read from the same one. */
	if (config->is_weak)
		for (uint16_t shard = 0; shard < config->caller.shards; shard++)
			client->caller.primary[shard] = (uint32_t)(config->id %
								   config->caller.replicas);
}

void txn_client_destroy(struct txn_client *client)
{
	while (client->transactions)
		txn_abort(client->transactions);
	while (client->coordinators)
		coordinator_drop(client->coordinators);
	while (client->writes)
		writes_drop(client->writes);
}

void txn_client_receive(struct txn_client *client, uint64_t now_ns, const struct message *message)
{
	(void)caller_receive(&client->caller, now_ns, message);
}

static void drop_old_writes(struct txn_client *client)
{
	struct writes *writes = client->writes, *next;

	for (; writes; writes = next) {
		next = writes->next;
		if (writes_are_done(writes))
			writes_drop(writes);
	}
}

/* What takes too long is told so; a commit goes on, as nobody can take back the votes it has. */
void txn_client_tick(struct txn_client *client, uint64_t now_ns)
{
	struct transaction *transaction = client->transactions;

	caller_tick(&client->caller, now_ns);
	drop_old_writes(client);
	/* What is called may end any of them, so that it starts anew. */
	while (transaction)
		transaction = transaction_tick(transaction, now_ns) ? client->transactions
								    : transaction->next;
}

uint64_t txn_client_deadline(const struct txn_client *client)
{
	uint64_t deadline_ns = caller_deadline(&client->caller);

	for (const struct transaction *transaction = client->transactions; transaction;
	     transaction = transaction->next) {
		uint64_t own_ns = transaction_deadline(transaction);

		if (own_ns < deadline_ns)
			deadline_ns = own_ns;
	}
	return deadline_ns;
}

/* ---- Commit ---- */

static void end(struct transaction *transaction, enum outcome outcome)
{
	txn_ended *ended = transaction->ended;
	void *context = transaction->ended_context;

	transaction->ended = NULL;
	ended(context, transaction, outcome);
	txn_abort(transaction);
}

static void decided(struct coordinator *coordinator)
{
	struct transaction *transaction = coordinator->context;
	enum outcome outcome = coordinator->outcome;

	if (!transaction)
		return; /* its time was up */
	coordinator->context = NULL;
	transaction->coordinator = NULL;
	if (outcome == OUTCOME_ABORTED && coordinator->is_full)
		outcome = OUTCOME_FULL;
	end(transaction, outcome);
}

/* Transactions below are over in every shard. */
static uint64_t finished_below(const struct txn_client *client)
{
	uint64_t number = client->last_number + 1;

	for (const struct coordinator *coordinator = client->coordinators; coordinator;
	     coordinator = coordinator->next)
		if (coordinator->number < number)
			number = coordinator->number;
	return number;
}

static struct coordinator *coordinator_add(struct transaction *transaction, uint16_t count)
{
	struct txn_client *client = transaction->client;
	struct coordinator *coordinator = coordinator_new(
		&client->caller, client->memory, count, client->config.id, client->last_number + 1);

	if (!coordinator)
		return NULL;
	client->last_number++;
	coordinator_list(coordinator, &client->coordinators);
	coordinator->finished_below = finished_below(client);
	coordinator->decided = decided;
	coordinator->finished = coordinator_drop;
	coordinator->context = transaction;
	return coordinator;
}

/* The operation PREPARE of one shard. Return: 0, -ENOMEM, -EMSGSIZE. */
static int make_operation(struct transaction *transaction, const struct coordinator *coordinator,
			  const uint16_t *shards, uint16_t shard, struct writer *writer)
{
	struct operation operation = {.kind = OPERATION_PREPARE,
				      .client = coordinator->client,
				      .number = coordinator->number,
				      .finished_below = coordinator->finished_below,
				      .shards = coordinator->count};

	*writer = (struct writer){.room = 0};
	transaction_write(transaction, &operation, shards, shard, writer);
	if (writer->len > OPERATION_MAX)
		return -EMSGSIZE;
	*writer = (struct writer){.room = writer->len};
	writer->bytes = coordinator->memory->alloc(coordinator->memory->context, writer->room);
	if (!writer->bytes)
		return -ENOMEM;
	transaction_write(transaction, &operation, shards, shard, writer);
	return 0;
}

/* All operations first: where memory ends, or one is too large, no shard has heard of it yet. */
static int prepare_all(struct transaction *transaction, const uint16_t *shards, uint16_t count)
{
	struct coordinator *coordinator = coordinator_add(transaction, count);
	struct writer bodies[SHARDS_MAX];
	uint16_t made = 0;
	int error = 0;

	if (!coordinator)
		return -ENOMEM;
	while (made < count && !error) {
		error = make_operation(transaction, coordinator, shards, shards[made],
				       &bodies[made]);
		if (!error)
			made++;
	}
	if (error) {
		while (made--)
			coordinator->memory->free(coordinator->memory->context, bodies[made].bytes);
		coordinator_drop(coordinator);
		return error;
	}
	transaction->coordinator = coordinator;
	for (uint16_t i = 0; i < count; i++)
		(void)coordinator_ask(coordinator, i, shards[i], bodies[i].bytes,
				      (uint32_t)bodies[i].len);
	return 0;
}

static void confirmed(struct call *call, const struct message *answer)
{
	struct transaction *transaction = call->context;

	if (answer->type != MESSAGE_REPLY ||
	    (answer->result != RESULT_YES && answer->result != RESULT_NO))
		return;
	call_stop(call);
	end(transaction, answer->result == RESULT_YES ? OUTCOME_COMMITTED : OUTCOME_ABORTED);
}

static void confirm(struct transaction *transaction, uint16_t shard)
{
	transaction->confirmation = (struct call){
		.message = {.type = MESSAGE_CONFIRM,
			    .shard = shard,
			    .view = transaction->shards[shard].view},
		.answered = confirmed,
		.context = transaction,
	};
	call_start(&transaction->client->caller, &transaction->confirmation);
}

/* ---- Commit of the weak mode ---- */

static void majorities_have_answered(struct writes *writes)
{
	struct transaction *transaction = writes->context;

	if (!transaction)
		return;
	writes->context = NULL;
	transaction->written = NULL;
	end(transaction, writes->is_full ? OUTCOME_FULL : OUTCOME_COMMITTED);
}

/*
 * By the clock of the day, which is that of the other clients, too, as far as anything keeps them together;
 * newer than all that this client has written, whatever it does.
 */
static uint64_t next_stamp(struct txn_client *client)
{
	uint64_t day_ns = client->caller.now_ns + client->day_ahead_ns;

	if (day_ns > client->last_stamp)
		client->last_stamp = day_ns;
	return ++client->last_stamp;
}

static int write_to_all(struct transaction *transaction)
{
	struct txn_client *client = transaction->client;
	struct writes *writes = writes_new(&client->caller, client->memory, &client->writes);
	int error = writes ? 0 : -ENOMEM;

	for (struct txn_item *item = transaction->writes; item && !error; item = item->next)
		error = writes_add(writes, item->shard, next_stamp(client), client->config.id,
				   item->bytes, item->key_len,
				   item->is_delete ? NULL : item->bytes + item->key_len, item->len);
	if (error) {
		if (writes)
			writes_drop(writes);
		txn_abort(transaction);
		return error;
	}
	writes->context = transaction;
	writes->done = majorities_have_answered;
	transaction->written = writes;
	writes_start(writes);
	return 0;
}

int txn_commit(struct transaction *transaction, uint64_t now_ns, txn_ended *ended, void *context)
{
	struct txn_client *client = transaction->client;
	uint16_t shards[SHARDS_MAX], count = 0;
	int error;

	client->caller.now_ns = now_ns;
	if (transaction->reads_coming)
		return -EBUSY;
	transaction->ended = ended;
	transaction->ended_context = context;
	transaction->deadline_ns = now_ns + client->config.timeout_ns;
	for (uint16_t shard = 0; shard < client->config.caller.shards; shard++)
		if (transaction->shards[shard].reads || transaction->shards[shard].writes)
			shards[count++] = shard;
	if (count == 0 || transaction->is_doomed) {
		end(transaction, count == 0 ? OUTCOME_COMMITTED : OUTCOME_ABORTED);
		return 0;
	}
	if (client->config.is_weak) {
		if (transaction->writes)
			return write_to_all(transaction);
		end(transaction, OUTCOME_COMMITTED);
		return 0;
	}
	if (count == 1 && !transaction->shards[shards[0]].writes && client->config.confirms_reads &&
	    !transaction->shards[shards[0]].is_mixed) {
		confirm(transaction, shards[0]);
		return 0;
	}
	error = prepare_all(transaction, shards, count);
	if (error)
		txn_abort(transaction);
	return error;
}

void transaction_time_is_up(struct transaction *transaction)
{
	if (transaction->coordinator)
		transaction->coordinator->context = NULL;
	transaction->coordinator = NULL;
	if (transaction->written)
		transaction->written->context = NULL;
	transaction->written = NULL;
	/* What only was to confirm reads has changed nothing. */
	end(transaction, transaction->confirmation.link ? OUTCOME_ABORTED : OUTCOME_UNKNOWN);
}
