/* SPDX-License-Identifier: MIT */
#include "shard.h"

#include <errno.h>
#include <string.h>

#include "shard_tables.h"

/* Values not smaller than so big a part of what they came in stay there; others are copied. */
#define SHARE_OF_BLOB 2

/* ---- Locks ---- */

static void operation_of(const struct txn *txn, struct operation *operation)
{
	(void)operation_parse(operation, txn->blob->bytes, txn->blob->len);
}

static int lock_items(struct shard *shard, const struct operation *operation, uint64_t op)
{
	struct reader sets = operation->sets;
	struct access access;
	struct item *item;

	for (uint32_t i = 0; i < operation->reads; i++) {
		operation_read(&sets, &access);
		item = store_item(&shard->store, access.key, access.key_len);
		if (!item)
			return -ENOMEM;
		item->readers++;
	}
	for (uint32_t i = 0; i < operation->writes; i++) {
		operation_write_of(&sets, &access);
		item = store_item(&shard->store, access.key, access.key_len);
		if (!item)
			return -ENOMEM;
		item->locked_at = op;
	}
	return 0;
}

/* Every key of both sets has its item, as it was locked. */
static void unlock_items(struct shard *shard, const struct operation *operation)
{
	struct reader sets = operation->sets;
	struct access access;
	struct item *item;

	for (uint32_t i = 0; i < operation->reads; i++) {
		operation_read(&sets, &access);
		item = store_find(&shard->store, access.key, access.key_len);
		item->readers--;
		store_item_settle(&shard->store, item);
	}
	for (uint32_t i = 0; i < operation->writes; i++) {
		operation_write_of(&sets, &access);
		item = store_find(&shard->store, access.key, access.key_len);
		if (!item)
			continue; /* a key that stands there twice */
		item->locked_at = 0;
		store_item_settle(&shard->store, item);
	}
}

#ifdef TXNSTORE_WITHOUT_READ_CHECK
/* A control of the checkers: they must see what it breaks not to look at keys that are read alone. */
static bool is_checked(const struct operation *operation, const struct access *read)
{
	struct reader sets = operation->sets;
	struct access access;
	bool found = false;

	for (uint32_t i = 0; i < operation->reads; i++)
		operation_read(&sets, &access);
	for (uint32_t i = 0; i < operation->writes; i++) {
		operation_write_of(&sets, &access);
		found |= access.key_len == read->key_len &&
			 !memcmp(access.key, read->key, read->key_len);
	}
	return found;
}
#else
static bool is_checked(const struct operation *operation, const struct access *read)
{
	(void)operation;
	(void)read;
	return true;
}
#endif

/* Nothing that was read has changed, and nobody who has voted is in the way. */
static bool is_valid(const struct shard *shard, const struct operation *operation)
{
	struct reader sets = operation->sets;
	struct access access;
	const struct item *item;

	for (uint32_t i = 0; i < operation->reads; i++) {
		operation_read(&sets, &access);
		item = store_find(&shard->store, access.key, access.key_len);
		if (!is_checked(operation, &access))
			continue;
		if (item_version(item) != access.version)
			return false;
		if (item && item->locked_at)
			return false;
	}
	for (uint32_t i = 0; i < operation->writes; i++) {
		operation_write_of(&sets, &access);
		item = store_find(&shard->store, access.key, access.key_len);
		if (item && (item->locked_at || item->readers))
			return false;
	}
	return true;
}

/* ---- Writes ---- */

static int write_value(struct shard *shard, struct item *item, uint64_t voted, struct blob *blob,
		       const struct access *access)
{
	uint64_t op = shard->applied;
	struct blob *own;
	int error;

	if (!access->value)
		return store_put(&shard->store, item, op, voted, NULL, NULL, 0);
	if (access->value_len >= blob->len / SHARE_OF_BLOB)
		return store_put(&shard->store, item, op, voted, blob, access->value,
				 access->value_len);
	own = blob_new(shard->memory, access->value_len);
	if (!own)
		return -ENOMEM;
	memcpy(own->bytes, access->value, access->value_len);
	error = store_put(&shard->store, item, op, voted, own, own->bytes, own->len);
	blob_release(own);
	return error;
}

/* Visible from the operation on that is being applied; voted for by @voted, perhaps the same. */
static int write_all(struct shard *shard, const struct operation *operation, uint64_t voted,
		     struct blob *blob)
{
	struct reader sets = operation->sets;
	struct access access;

	for (uint32_t i = 0; i < operation->reads; i++)
		operation_read(&sets, &access);
	for (uint32_t i = 0; i < operation->writes; i++) {
		struct item *item;
		int error;

		operation_write_of(&sets, &access);
		item = store_item(&shard->store, access.key, access.key_len);
		error = item ? write_value(shard, item, voted, blob, &access) : -ENOMEM;
		if (error)
			return error;
		if (!item->readers && !item->locked_at)
			store_item_settle(&shard->store, item);
	}
	return 0;
}

/* ---- The three operations ---- */

static int prepare(struct shard *shard, struct txn *txn, const struct operation *operation,
		   struct blob *blob, const uint8_t *bytes, uint32_t len)
{
	int error;

	if (!is_valid(shard, operation)) {
		txn->state = TXN_REFUSED;
		return 0;
	}
	if (operation->shards == 1) {
		txn->state = TXN_COMMITTED;
		return write_all(shard, operation, txn->op, blob);
	}
	txn->state = TXN_PREPARED;
	if (bytes == blob->bytes && len == blob->len) {
		txn->blob = blob_hold(blob);
	} else {
		txn->blob = blob_new(shard->memory, len);
		if (!txn->blob)
			return -ENOMEM;
		memcpy(txn->blob->bytes, bytes, len);
	}
	shard_list_prepared(shard, txn);
	error = lock_items(shard, operation, txn->op);
	return error;
}

static int decide(struct shard *shard, struct txn *txn, bool commits)
{
	struct operation operation;
	int error = 0;

	if (txn->state != TXN_PREPARED)
		return 0;
	operation_of(txn, &operation);
	if (commits)
		error = write_all(shard, &operation, txn->op, txn->blob);
	unlock_items(shard, &operation);
	txn->state = commits ? TXN_COMMITTED : TXN_ABORTED;
	shard_unlist_prepared(txn);
	blob_release(txn->blob);
	txn->blob = NULL;
	return error;
}

static enum result vote_of(const struct txn *txn)
{
	return txn->state == TXN_PREPARED || txn->state == TXN_COMMITTED ? RESULT_YES : RESULT_NO;
}

/* A transaction of which this shard has not heard. */
static int apply_first(struct shard *shard, struct txn *txn, const struct operation *operation,
		       struct blob *blob, const uint8_t *bytes, uint32_t len, enum result *result)
{
	int error = 0;

	if (operation->kind == OPERATION_PREPARE)
		error = prepare(shard, txn, operation, blob, bytes, len);
	else
		txn->state = operation->kind == OPERATION_REFUSE ? TXN_REFUSED : TXN_ABORTED;
	*result = operation->kind == OPERATION_DECIDE ? RESULT_DONE : vote_of(txn);
	return error;
}

int shard_apply(struct shard *shard, uint64_t op, uint64_t time_ns, struct blob *blob,
		const uint8_t *bytes, uint32_t len, enum result *result)
{
	struct operation operation;
	struct client *client;
	struct txn *txn;

	shard->applied = op;
	*result = RESULT_BAD;
	if (operation_parse(&operation, bytes, len) != 0)
		return 0;
	*result = RESULT_FULL;
	if (shard_client(shard, operation.client, time_ns, &client) != 0)
		return -ENOMEM;
	if (!client)
		return 0;
	shard_finish_below(shard, client, operation.finished_below);
	txn = shard_find_txn(client, operation.number);
	if (!txn) {
		*result = RESULT_FORGOTTEN;
		if (operation.number < client->finished_below)
			return 0;
		/* Nothing is committed of what nobody has prepared. */
		*result = RESULT_BAD;
		if (operation.kind == OPERATION_DECIDE && operation.commits)
			return 0;
		txn = shard_add_txn(shard, client, operation.number, op);
		if (!txn)
			return -ENOMEM;
		return apply_first(shard, txn, &operation, blob, bytes, len, result);
	}
	if (operation.kind != OPERATION_DECIDE) {
		*result = vote_of(txn);
		return 0;
	}
	*result = RESULT_DONE;
	return decide(shard, txn, operation.commits);
}

enum result shard_result(const struct shard *shard, uint64_t id, uint64_t number)
{
	const struct client *client = shard_find_client(shard, id);
	const struct txn *txn;

	if (!client)
		return RESULT_NONE;
	if (number < client->finished_below)
		return RESULT_FORGOTTEN;
	txn = shard_find_txn(client, number);
	return txn ? vote_of(txn) : RESULT_NONE;
}

/* ---- Items of a snapshot ---- */

bool shard_write_item(const struct item *item, uint64_t snapshot, struct writer *writer)
{
	bool is_between;
	const struct version *version = item_at(item, snapshot, &is_between);

	if (!version)
		return false;
	write_u16(writer, item->key_len);
	write_u32(writer, version->len);
	write_u64(writer, version->op);
	write_bytes(writer, item->key, item->key_len);
	write_bytes(writer, version->value, version->len);
	return true;
}

int shard_read_item(struct shard *shard, struct reader *reader)
{
	uint16_t key_len = read_u16(reader);
	uint32_t len = read_u32(reader);
	uint64_t op = read_u64(reader);
	const void *key = read_bytes(reader, key_len);
	const void *value = read_bytes(reader, len);
	struct item *item;
	struct blob *blob;
	int error;

	if (reader->failed || key_len == 0 || key_len > KEY_MAX || len > VALUE_MAX || op == 0)
		return -EBADMSG;
	item = store_item(&shard->store, key, key_len);
	if (item && item->newest)
		return 0; /* has come before */
	blob = item ? blob_new(shard->memory, len) : NULL;
	if (!blob)
		return -ENOMEM;
	memcpy(blob->bytes, value, len);
	error = store_put(&shard->store, item, op, op, blob, blob->bytes, len);
	blob_release(blob);
	return error;
}

int shard_lock_prepared(struct shard *shard)
{
	int error = 0;

	for (struct txn *txn = shard->prepared; txn && !error; txn = txn->next_prepared) {
		struct operation operation;

		operation_of(txn, &operation);
		error = lock_items(shard, &operation, txn->op);
	}
	return error;
}
