/* SPDX-License-Identifier: MIT */
#include "transaction.h"

#include <errno.h>

#include "key_hash.h"

struct transaction *txn_begin(struct txn_client *client, uint64_t now_ns)
{
	const struct memory *memory = client->memory;
	struct transaction *transaction = memory->alloc(memory->context, sizeof(*transaction));

	client->caller.now_ns = now_ns;
	if (!transaction)
		return NULL;
	*transaction = (struct transaction){
		.client = client, .next = client->transactions, .link = &client->transactions};
	if (transaction->next)
		transaction->next->link = &transaction->next;
	client->transactions = transaction;
	return transaction;
}

static void free_items(struct transaction *transaction, struct txn_item *item)
{
	const struct memory *memory = transaction->client->memory;

	while (item) {
		struct txn_item *next = item->next;

		call_stop(&item->call);
		memory->free(memory->context, item);
		item = next;
	}
}

void txn_abort(struct transaction *transaction)
{
	const struct memory *memory = transaction->client->memory;

	free_items(transaction, transaction->reads);
	free_items(transaction, transaction->writes);
	call_stop(&transaction->confirmation);
	if (transaction->coordinator)
		transaction->coordinator->context = NULL;
	if (transaction->written)
		transaction->written->context = NULL;
	*transaction->link = transaction->next;
	if (transaction->next)
		transaction->next->link = transaction->link;
	memory->free(memory->context, transaction);
}

static struct txn_item *item_new(struct transaction *transaction, const void *key, uint16_t key_len,
				 const void *value, uint32_t len)
{
	const struct memory *memory = transaction->client->memory;
	struct txn_item *item = memory->alloc(memory->context, sizeof(*item) + key_len + len);

	if (!item)
		return NULL;
	*item = (struct txn_item){
		.owner = transaction,
		.shard = key_shard(key, key_len, transaction->client->config.caller.shards),
		.key_len = key_len,
		.len = len,
		.is_delete = !value,
	};
	memcpy(item->bytes, key, key_len);
	if (len)
		memcpy(item->bytes + key_len, value, len);
	return item;
}

static struct txn_item *find(struct txn_item *item, const void *key, uint16_t key_len)
{
	while (item && (item->key_len != key_len || memcmp(item->bytes, key, key_len) != 0))
		item = item->next;
	return item;
}

/* ---- Reads ---- */

static enum txn_got how_it_came(struct txn_item *item, const struct message *answer)
{
	struct transaction *transaction = item->owner;
	__auto_type shard = &transaction->shards[item->shard];

	if (answer->result != RESULT_FOUND && answer->result != RESULT_ABSENT)
		return TXN_CONFLICT;
	if (!shard->snapshot) {
		shard->snapshot = answer->snapshot;
		shard->view = answer->view;
	}
	shard->is_mixed |= shard->snapshot != answer->snapshot || shard->view != answer->view;
	item->version = answer->op;
	return answer->result == RESULT_FOUND ? TXN_FOUND : TXN_ABSENT;
}

static void item_came(struct txn_item *item, enum txn_got how, const void *value, uint32_t len)
{
	txn_got *got = item->got;

	call_stop(&item->call);
	item->has_come = true;
	item->owner->reads_coming--;
	item->owner->is_doomed |= how == TXN_CONFLICT || how == TXN_TIMEOUT;
	got(item->context, item->owner, how, value, len);
}

static void answered(struct call *call, const struct message *answer)
{
	struct txn_item *item = call->context;
	enum txn_got how;

	/* Whoever holds it is about to let it go: ask again after a while. */
	if ((answer->type != MESSAGE_GET_REPLY && answer->type != MESSAGE_QUORUM_GET_REPLY) ||
	    answer->result == RESULT_LOCKED)
		return;
	how = how_it_came(item, answer);
	item_came(item, how, answer->body, how == TXN_FOUND ? answer->body_len : 0);
}

int txn_get(struct transaction *transaction, uint64_t now_ns, const void *key, uint16_t key_len,
	    txn_got *got, void *context)
{
	struct txn_client *client = transaction->client;
	struct txn_item *item = find(transaction->writes, key, key_len);

	client->caller.now_ns = now_ns;
	if (key_len == 0 || key_len > KEY_MAX) {
		got(context, transaction, TXN_REFUSED_KEY, NULL, 0);
		return 0;
	}
	if (item) {
		got(context, transaction, item->is_delete ? TXN_ABSENT : TXN_FOUND,
		    item->bytes + key_len, item->len);
		return 0;
	}
	item = item_new(transaction, key, key_len, NULL, 0);
	if (!item)
		return -ENOMEM;
	item->got = got;
	item->context = context;
	item->deadline_ns = now_ns + client->config.timeout_ns;
	item->next = transaction->reads;
	transaction->reads = item;
	transaction->reads_coming++;
	transaction->shards[item->shard].reads++;
	item->call = (struct call){
		.message = {.type = client->config.is_weak ? MESSAGE_QUORUM_GET : MESSAGE_GET,
			    .shard = item->shard,
			    .client = client->config.id,
			    .snapshot = transaction->shards[item->shard].snapshot,
			    .body = item->bytes,
			    .body_len = key_len},
		.answered = answered,
		.context = item,
	};
	call_start(&client->caller, &item->call);
	return 0;
}

/* ---- Writes ---- */

int txn_put(struct transaction *transaction, const void *key, uint16_t key_len, const void *value,
	    uint32_t len)
{
	const struct memory *memory = transaction->client->memory;
	struct txn_item *item, **link = &transaction->writes;

	if (key_len == 0 || key_len > KEY_MAX || (value && len > VALUE_MAX))
		return -EINVAL;
	item = item_new(transaction, key, key_len, value, value ? len : 0);
	if (!item)
		return -ENOMEM;
	while (*link && ((*link)->key_len != key_len || memcmp((*link)->bytes, key, key_len) != 0))
		link = &(*link)->next;
	if (*link) {
		struct txn_item *old = *link;

		item->next = old->next;
		memory->free(memory->context, old);
	} else {
		transaction->shards[item->shard].writes++;
	}
	*link = item;
	return 0;
}

void transaction_write(const struct transaction *transaction, struct operation *operation,
		       const uint16_t *shards, uint16_t shard, struct writer *writer)
{
	operation->reads = transaction->shards[shard].reads;
	operation->writes = transaction->shards[shard].writes;
	operation_write(writer, operation, shards);
	for (const struct txn_item *item = transaction->reads; item; item = item->next)
		if (item->shard == shard)
			operation_write_read(writer, item->bytes, item->key_len, item->version);
	for (const struct txn_item *item = transaction->writes; item; item = item->next)
		if (item->shard == shard)
			operation_write_write(writer, item->bytes, item->key_len,
					      item->is_delete ? NULL : item->bytes + item->key_len,
					      item->len);
}

/* ---- Time ---- */

bool transaction_tick(struct transaction *transaction, uint64_t now_ns)
{
	if (transaction->ended) {
		if (now_ns < transaction->deadline_ns)
			return false;
		transaction_time_is_up(transaction);
		return true;
	}
	for (struct txn_item *item = transaction->reads; item; item = item->next) {
		if (item->has_come || now_ns < item->deadline_ns)
			continue;
		item_came(item, TXN_TIMEOUT, NULL, 0);
		return true;
	}
	return false;
}

uint64_t transaction_deadline(const struct transaction *transaction)
{
	uint64_t deadline_ns = UINT64_MAX;

	if (transaction->ended)
		return transaction->deadline_ns;
	for (const struct txn_item *item = transaction->reads; item; item = item->next)
		if (!item->has_come && item->deadline_ns < deadline_ns)
			deadline_ns = item->deadline_ns;
	return deadline_ns;
}
