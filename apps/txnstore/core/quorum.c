/* SPDX-License-Identifier: MIT */
#include "quorum.h"

#include "bytes.h"

#define DELETED UINT32_MAX

int quorum_init(struct quorum *quorum)
{
	int error = store_init(&quorum->store, quorum->memory);

	/* Older versions are of no use to anybody. */
	store_set_horizon(&quorum->store, UINT64_MAX);
	return error;
}

void quorum_destroy(struct quorum *quorum)
{
	store_destroy(&quorum->store);
}

static struct message answer_to(const struct quorum *quorum, const struct message *message,
				enum message_type type, enum result result)
{
	return (struct message){
		.type = (uint8_t)type,
		.result = (uint8_t)result,
		.shard = quorum->shard,
		.from = quorum->index,
		.configuration = quorum->configuration,
		.client = message->client,
		.number = message->number,
		.nonce = message->nonce,
	};
}

static void get(struct quorum *quorum, uint64_t peer, const struct message *message)
{
	struct message reply = answer_to(quorum, message, MESSAGE_QUORUM_GET_REPLY, RESULT_BAD);
	const struct version *version = NULL;
	const struct item *item;

	if (message->body_len && message->body_len <= KEY_MAX) {
		item = store_find(&quorum->store, message->body, (uint16_t)message->body_len);
		version = item && item->newest && item->newest->blob ? item->newest : NULL;
		reply.result = version ? RESULT_FOUND : RESULT_ABSENT;
	}
	if (version) {
		reply.op = version->op;
		reply.body = version->value;
		reply.body_len = version->len;
	}
	quorum->answer(quorum->context, peer, &reply, version ? version->blob : NULL);
}

/* By the writer's clock; of two at one time, by who they are. A deleted key keeps its stamp. */
static bool is_newer(const struct message *message, const struct item *item)
{
	if (!item->newest || message->op != item->newest->op)
		return !item->newest || message->op > item->newest->op;
	return message->client > item->newest->voted;
}

static enum result is_full(struct quorum *quorum)
{
	quorum->full++;
	return RESULT_FULL;
}

static enum result put(struct quorum *quorum, const struct message *message)
{
	struct reader reader = reader_of(message->body, message->body_len);
	uint16_t key_len = read_u16(&reader);
	uint32_t len = read_u32(&reader);
	const void *key = read_bytes(&reader, key_len);
	const void *value = read_bytes(&reader, len == DELETED ? 0 : len);
	struct item *item;
	struct blob *blob = NULL;
	int error;

	if (!reader_ended(&reader) || key_len == 0 || key_len > KEY_MAX ||
	    (len != DELETED && len > VALUE_MAX) || message->op == 0)
		return RESULT_BAD;
	if (len != DELETED && quorum->store.bytes + key_len + len > quorum->bytes_max)
		return is_full(quorum);
	item = store_item(&quorum->store, key, key_len);
	if (!item)
		return is_full(quorum);
	if (!is_newer(message, item))
		return RESULT_DONE;
	if (len != DELETED) {
		blob = blob_new(quorum->memory, len);
		if (!blob)
			return is_full(quorum);
		memcpy(blob->bytes, value, len);
	}
	error = store_put(&quorum->store, item, message->op, message->client, blob,
			  blob ? blob->bytes : NULL, blob ? len : 0);
	blob_release(blob);
	return error ? RESULT_FULL : RESULT_DONE;
}

void quorum_receive(struct quorum *quorum, uint64_t peer, const struct message *message)
{
	struct message reply;

	if (message->shard != quorum->shard || message->configuration != quorum->configuration ||
	    message->from != MESSAGE_NOT_A_REPLICA || message->nonce == 0)
		return;
	if (message->type == MESSAGE_QUORUM_GET) {
		get(quorum, peer, message);
	} else if (message->type == MESSAGE_QUORUM_PUT) {
		reply = answer_to(quorum, message, MESSAGE_QUORUM_PUT_REPLY, put(quorum, message));
		quorum->answer(quorum->context, peer, &reply, NULL);
	}
}
