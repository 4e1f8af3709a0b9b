/* SPDX-License-Identifier: MIT */
#include "shard_tables.h"

#include <errno.h>
#include <string.h>

#include "txnstore/random.h"

#define BUCKETS 4096u

static void *take(const struct shard *shard, size_t size)
{
	return shard->memory->alloc(shard->memory->context, size);
}

static void give(const struct shard *shard, void *memory)
{
	shard->memory->free(shard->memory->context, memory);
}

int shard_init(struct shard *shard, const struct memory *memory, const struct shard_limits *limits)
{
	int error;

	*shard = (struct shard){.memory = memory, .limits = *limits, .bucket_count = BUCKETS};
	if (limits->clients_max == 0)
		return -EINVAL;
	error = store_init(&shard->store, memory);
	if (error)
		return error;
	shard->buckets = take(shard, BUCKETS * sizeof(*shard->buckets));
	if (!shard->buckets) {
		store_destroy(&shard->store);
		return -ENOMEM;
	}
	memset(shard->buckets, 0, BUCKETS * sizeof(*shard->buckets));
	return 0;
}

static void txn_free(struct shard *shard, struct txn *txn)
{
	blob_release(txn->blob);
	give(shard, txn);
}

static struct client **client_link(const struct shard *shard, uint64_t id)
{
	struct client **link = &shard->buckets[random_mix(id) & (shard->bucket_count - 1)];

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

struct client *shard_find_client(const struct shard *shard, uint64_t id)
{
	return *client_link(shard, id);
}

/* ---- The order in which clients were last heard of ---- */

static void order_remove(struct shard *shard, struct client *client)
{
	if (client->older)
		client->older->newer = client->newer;
	else
		shard->oldest = client->newer;
	if (client->newer)
		client->newer->older = client->older;
	else
		shard->newest = client->older;
}

static void order_add(struct shard *shard, struct client *client)
{
	client->newer = NULL;
	client->older = shard->newest;
	if (shard->newest)
		shard->newest->newer = client;
	else
		shard->oldest = client;
	shard->newest = client;
}

static void client_forget(struct shard *shard, struct client *client)
{
	struct client **link = client_link(shard, client->id);

	*link = client->next;
	order_remove(shard, client);
	while (client->newest_txn) {
		struct txn *txn = client->newest_txn;

		client->newest_txn = txn->older;
		txn_free(shard, txn);
	}
	give(shard, client);
	shard->client_count--;
}

void shard_destroy(struct shard *shard)
{
	while (shard->oldest)
		client_forget(shard, shard->oldest);
	if (shard->buckets)
		give(shard, shard->buckets);
	store_destroy(&shard->store);
	shard->buckets = NULL;
	shard->prepared = NULL;
}

void shard_move(struct shard *to, const struct shard *from)
{
	*to = *from;
	if (to->prepared)
		to->prepared->prepared_link = &to->prepared;
}

static bool has_prepared(const struct client *client)
{
	for (const struct txn *txn = client->newest_txn; txn; txn = txn->older)
		if (txn->state == TXN_PREPARED)
			return true;
	return false;
}

/* Return: whether there is room for one more now. */
static bool make_room(struct shard *shard, uint64_t time_ns)
{
	struct client *client = shard->oldest;

	if (shard->client_count < shard->limits.clients_max)
		return true;
	while (client && has_prepared(client))
		client = client->newer;
	if (!client || time_ns - client->last_ns < shard->limits.session_idle_ns)
		return false;
	client_forget(shard, client);
	return true;
}

static struct client *client_add(struct shard *shard, uint64_t id)
{
	struct client **link = client_link(shard, id);
	struct client *client = take(shard, sizeof(*client));

	if (!client)
		return NULL;
	*client = (struct client){.id = id, .next = *link, .finished_below = 1};
	*link = client;
	order_add(shard, client);
	shard->client_count++;
	return client;
}

int shard_client(struct shard *shard, uint64_t id, uint64_t time_ns, struct client **client)
{
	*client = shard_find_client(shard, id);
	if (!*client) {
		if (!make_room(shard, time_ns))
			return 0;
		*client = client_add(shard, id);
		if (!*client)
			return -ENOMEM;
	}
	(*client)->last_ns = time_ns;
	order_remove(shard, *client);
	order_add(shard, *client);
	return 0;
}

/* ---- Transactions ---- */

/* The newest of those up to @number. As a rule that is the first. */
static struct txn *newest_up_to(const struct client *client, uint64_t number)
{
	struct txn *txn = client->newest_txn;

	while (txn && txn->number > number)
		txn = txn->older;
	return txn;
}

struct txn *shard_find_txn(const struct client *client, uint64_t number)
{
	struct txn *txn = newest_up_to(client, number);

	return txn && txn->number == number ? txn : NULL;
}

static void txn_link(struct client *client, struct txn *txn, struct txn *older)
{
	struct txn *newer = older ? older->newer : client->oldest_txn;

	txn->older = older;
	txn->newer = newer;
	if (older)
		older->newer = txn;
	else
		client->oldest_txn = txn;
	if (newer)
		newer->older = txn;
	else
		client->newest_txn = txn;
}

static void txn_unlink(struct client *client, struct txn *txn)
{
	if (txn->older)
		txn->older->newer = txn->newer;
	else
		client->oldest_txn = txn->newer;
	if (txn->newer)
		txn->newer->older = txn->older;
	else
		client->newest_txn = txn->older;
}

struct txn *shard_add_txn(struct shard *shard, struct client *client, uint64_t number, uint64_t op)
{
	struct txn *txn = take(shard, sizeof(*txn));

	if (!txn)
		return NULL;
	*txn = (struct txn){.client = client->id, .number = number, .op = op};
	txn_link(client, txn, newest_up_to(client, number));
	return txn;
}

/* What holds locks stays: a client that errs does not leave them behind. */
void shard_finish_below(struct shard *shard, struct client *client, uint64_t number)
{
	struct txn *newer;

	if (number <= client->finished_below)
		return;
	client->finished_below = number;
	for (struct txn *txn = client->oldest_txn; txn && txn->number < number; txn = newer) {
		newer = txn->newer;
		if (txn->state == TXN_PREPARED)
			continue;
		txn_unlink(client, txn);
		txn_free(shard, txn);
	}
}

void shard_list_prepared(struct shard *shard, struct txn *txn)
{
	txn->next_prepared = shard->prepared;
	txn->prepared_link = &shard->prepared;
	if (shard->prepared)
		shard->prepared->prepared_link = &txn->next_prepared;
	shard->prepared = txn;
}

void shard_unlist_prepared(struct txn *txn)
{
	*txn->prepared_link = txn->next_prepared;
	if (txn->next_prepared)
		txn->next_prepared->prepared_link = txn->prepared_link;
}

/* ---- In a snapshot: from the oldest client, so that the order is what it was ---- */

static uint32_t txn_count(const struct client *client)
{
	uint32_t count = 0;

	for (const struct txn *txn = client->newest_txn; txn; txn = txn->older)
		count++;
	return count;
}

static void write_txn(const struct txn *txn, struct writer *writer)
{
	write_u64(writer, txn->number);
	write_u64(writer, txn->op);
	write_u8(writer, (uint8_t)txn->state);
	write_u32(writer, txn->blob ? txn->blob->len : 0);
	if (txn->blob)
		write_bytes(writer, txn->blob->bytes, txn->blob->len);
}

void shard_write_tables(const struct shard *shard, struct writer *writer)
{
	write_u64(writer, shard->applied);
	write_u32(writer, (uint32_t)shard->client_count);
	for (const struct client *client = shard->oldest; client; client = client->newer) {
		write_u64(writer, client->id);
		write_u64(writer, client->finished_below);
		write_u64(writer, client->last_ns);
		write_u32(writer, txn_count(client));
		for (const struct txn *txn = client->newest_txn; txn; txn = txn->older)
			write_txn(txn, writer);
	}
}

static int read_blob(struct shard *shard, struct txn *txn, const void *bytes, uint32_t len)
{
	struct operation operation;

	if (operation_parse(&operation, bytes, len) != 0 || operation.kind != OPERATION_PREPARE)
		return -EBADMSG;
	txn->blob = blob_new(shard->memory, len);
	if (!txn->blob)
		return -ENOMEM;
	memcpy(txn->blob->bytes, bytes, len);
	shard_list_prepared(shard, txn);
	return 0;
}

static int read_txn(struct shard *shard, struct client *client, struct reader *reader)
{
	uint64_t number = read_u64(reader), op = read_u64(reader);
	uint8_t state = read_u8(reader);
	uint32_t len = read_u32(reader);
	const void *bytes = read_bytes(reader, len);
	struct txn *txn;

	if (reader->failed || state < TXN_PREPARED || state > TXN_ABORTED ||
	    (state == TXN_PREPARED) != (len != 0))
		return -EBADMSG;
	txn = shard_add_txn(shard, client, number, op);
	if (!txn)
		return -ENOMEM;
	txn->state = state;
	return len ? read_blob(shard, txn, bytes, len) : 0;
}

int shard_read_tables(struct shard *shard, struct reader *reader)
{
	uint64_t applied = read_u64(reader);
	uint32_t clients = read_u32(reader);

	for (uint32_t i = 0; i < clients; i++) {
		uint64_t id = read_u64(reader);
		struct client *client;
		uint32_t txns;

		if (reader->failed || id == 0 || shard_find_client(shard, id))
			return -EBADMSG;
		client = client_add(shard, id);
		if (!client)
			return -ENOMEM;
		client->finished_below = read_u64(reader);
		client->last_ns = read_u64(reader);
		txns = read_u32(reader);
		for (uint32_t t = 0; t < txns; t++) {
			int error = read_txn(shard, client, reader);

			if (error)
				return error;
		}
	}
	shard->applied = applied;
	return reader->failed ? -EBADMSG : 0;
}
