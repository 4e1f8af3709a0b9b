/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>

#include "bytes.h"

void message_header(const struct message *message, void *header)
{
	struct writer writer = {.bytes = header, .room = MESSAGE_HEADER_LEN};

	write_u32(&writer, MESSAGE_MAGIC);
	write_u8(&writer, message->type);
	write_u8(&writer, message->result);
	write_u16(&writer, message->shard);
	write_u32(&writer, message->from);
	write_u32(&writer, message->body_len + message->tail_len);
	write_u64(&writer, message->configuration);
	write_u64(&writer, message->view);
	write_u64(&writer, message->op);
	write_u64(&writer, message->commit);
	write_u64(&writer, message->client);
	write_u64(&writer, message->number);
	write_u64(&writer, message->snapshot);
	write_u64(&writer, message->nonce);
	write_u64(&writer, message->incarnation);
}

void message_write(const struct message *message, void *bytes)
{
	uint8_t *body = (uint8_t *)bytes + MESSAGE_HEADER_LEN;

	message_header(message, bytes);
	if (message->body_len)
		memcpy(body, message->body, message->body_len);
	if (message->tail_len)
		memcpy(body + message->body_len, message->tail, message->tail_len);
}

int message_parse(struct message *message, const void *bytes, size_t len)
{
	struct reader reader = reader_of(bytes, len);
	uint32_t magic = read_u32(&reader);

	if (len < MESSAGE_HEADER_LEN)
		return -EBADMSG;
	if (magic != MESSAGE_MAGIC)
		return (magic ^ MESSAGE_MAGIC) >> 24 && !((magic ^ MESSAGE_MAGIC) & 0xffffff)
			       ? -EPROTONOSUPPORT
			       : -EBADMSG;
	message->type = read_u8(&reader);
	message->result = read_u8(&reader);
	message->shard = read_u16(&reader);
	message->from = read_u32(&reader);
	message->body_len = read_u32(&reader);
	message->configuration = read_u64(&reader);
	message->view = read_u64(&reader);
	message->op = read_u64(&reader);
	message->commit = read_u64(&reader);
	message->client = read_u64(&reader);
	message->number = read_u64(&reader);
	message->snapshot = read_u64(&reader);
	message->nonce = read_u64(&reader);
	message->incarnation = read_u64(&reader);
	message->body = reader.at;
	message->tail = NULL;
	message->tail_len = 0;
	message->by_stream = false;
	if (message->body_len != reader.left || message->body_len > BODY_MAX)
		return -EBADMSG;
	if (message->type == 0 || message->type >= MESSAGE_TYPE_END ||
	    message->result >= RESULT_END || message->shard >= SHARDS_MAX)
		return -EBADMSG;
	if (message->from != MESSAGE_NOT_A_REPLICA && message->from >= REPLICAS_MAX)
		return -EBADMSG;
	return 0;
}
