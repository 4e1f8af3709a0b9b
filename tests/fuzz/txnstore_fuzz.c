/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for one replica of the store: bytes as messages, then messages as anybody may make them,
 * of clients and of the other replicas, and time that passes. It neither crashes nor reads outside, and
 * what it sends is of the form.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/core/frame.h"
#include "txnstore/core/quorum.h"
#include "txnstore/core/replica.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

#define MS UINT64_C(1000000)
#define CONFIGURATION 7u
#define REPLICAS 3u

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "txnstore_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

struct fuzz {
	struct replica replica;
	struct quorum quorum;
	uint64_t now_ns, written;
	bool refuses;
};

static void *take(void *context, size_t size)
{
	(void)context;
	return malloc(size);
}

static void give(void *context, void *memory)
{
	(void)context;
	free(memory);
}

static const struct memory memory = {.alloc = take, .free = give};

/* Written and read again it is the same. */
static void check_message(const struct message *message)
{
	size_t len = message_size(message);
	uint8_t *bytes = malloc(len);
	struct message again;

	must(bytes);
	message_write(message, bytes);
	must(message_parse(&again, bytes, len) == 0);
	must(again.type == message->type && again.view == message->view && again.op == message->op);
	must(again.nonce == message->nonce && again.body_len == len - MESSAGE_HEADER_LEN);
	free(bytes);
}

static bool send_message(void *context, uint32_t to, const struct message *message, bool is_held)
{
	const struct fuzz *fuzz = context;
	(void)is_held;

	must(to < REPLICAS);
	check_message(message);
	return !fuzz->refuses;
}

static void answer(void *context, uint64_t peer, const struct message *message, struct blob *blob)
{
	(void)context;
	(void)peer;
	(void)blob;
	check_message(message);
}

static void write_record(void *context, const void *record, size_t len)
{
	struct fuzz *fuzz = context;

	(void)record;
	must(len > 0);
	fuzz->written++;
}

static void rewrite(void *context, bool begins)
{
	(void)context;
	(void)begins;
}

static void in_doubt(void *context, const struct operation *operation)
{
	(void)context;
	must(operation->kind == OPERATION_PREPARE && operation->shards > 1);
}

static const struct replica_ops with_log = {send_message, answer, write_record, rewrite, in_doubt};
static const struct replica_ops without_log = {send_message, answer, NULL, NULL, in_doubt};

static void begin(struct fuzz *fuzz, uint8_t how)
{
	const struct replica_config config = {
		.index = how % REPLICAS,
		.count = REPLICAS,
		.configuration = CONFIGURATION,
		.heartbeat_ns = 5 * MS,
		.election_ns = 30 * MS,
		.retry_ns = 10 * MS,
		.doubt_ns = 20 * MS,
		.batch_bytes = 1024,
		.window = 8,
		.log_keep = 8,
		.versions_keep = 4,
		.bytes_max = 1 << 20,
		.rewrite_bytes = 1000,
		.log_room = how & 32 ? 4000 : 0,
		.limits = {.clients_max = 4, .session_idle_ns = 10 * MS},
	};

	memset(fuzz, 0, sizeof(*fuzz));
	must(replica_init(&fuzz->replica, &config, how & 8 ? &with_log : &without_log, fuzz,
			  &memory, how) == 0);
	fuzz->quorum = (struct quorum){.memory = &memory,
				       .configuration = CONFIGURATION,
				       .bytes_max = 200,
				       .answer = answer};
	must(quorum_init(&fuzz->quorum) == 0);
	replica_start(&fuzz->replica, 1, how & 16 ? REPLICA_START_LOST : REPLICA_START_NEW);
}

/* A message of few bytes, whose numbers are small ones or those that the replica waits for. */
static struct message draw_message(const struct fuzz *fuzz, struct reader *reader)
{
	struct message message = {.configuration = CONFIGURATION, .incarnation = 9};
	uint8_t from = read_u8(reader), nonce, len;

	message.from = from < REPLICAS ? from : MESSAGE_NOT_A_REPLICA;
	message.view = read_u8(reader);
	message.op = read_u8(reader);
	message.commit = read_u8(reader);
	message.snapshot = read_u8(reader);
	if (message.snapshot & 0x80)
		message.snapshot = (message.snapshot & 0x7f) == 0x7f
					   ? UINT64_MAX
					   : UINT64_C(1) << 63 | (message.snapshot & 0x7f);
	message.client = read_u8(reader);
	if (message.client == 0xff)
		message.client = fuzz->replica.adoption.cursor;
	message.number = read_u8(reader);
	message.result = read_u8(reader) % RESULT_END;
	nonce = read_u8(reader);
	message.nonce = nonce == 0xff ? fuzz->replica.adoption.nonce : nonce;
	len = read_u8(reader);
	message.body_len = len < reader->left ? len : (uint32_t)reader->left;
	message.body = read_bytes(reader, message.body_len);
	return message;
}

static void step(struct fuzz *fuzz, uint8_t type, struct reader *reader)
{
	struct message message;

	if (type == 0) {
		uint8_t passed = read_u8(reader);

		fuzz->now_ns += passed * MS;
		fuzz->refuses = passed & 64;
		replica_tick(&fuzz->replica, fuzz->now_ns);
		return;
	}
	message = draw_message(fuzz, reader);
	message.type = type;
	if (reader->failed)
		return;
	quorum_receive(&fuzz->quorum, 1, &message);
	replica_receive(&fuzz->replica, fuzz->now_ns, 1, &message);
	if (message.snapshot & 1)
		replica_written(&fuzz->replica, fuzz->now_ns, fuzz->written);
	(void)replica_deadline(&fuzz->replica);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = reader_of(data, size);
	struct message message;
	const void *record;
	uint32_t record_len;
	struct fuzz fuzz;

	(void)message_parse(&message, data, size);
	must(frame_read(data, size, &record, &record_len) <= size);
	(void)frame_is_torn(data, size);
	begin(&fuzz, read_u8(&reader));
	while (reader.left)
		step(&fuzz, read_u8(&reader) % MESSAGE_TYPE_END, &reader);
	quorum_destroy(&fuzz.quorum);
	replica_destroy(&fuzz.replica);
	return 0;
}
