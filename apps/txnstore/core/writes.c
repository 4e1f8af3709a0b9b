/* SPDX-License-Identifier: MIT */
#include "writes.h"

#include <errno.h>

struct writes *writes_new(struct caller *caller, const struct memory *memory, struct writes **list)
{
	struct writes *writes = memory->alloc(memory->context, sizeof(*writes));

	if (!writes)
		return NULL;
	*writes = (struct writes){.caller = caller, .memory = memory, .next = *list, .link = list};
	if (writes->next)
		writes->next->link = &writes->next;
	*list = writes;
	return writes;
}

void writes_drop(struct writes *writes)
{
	const struct memory *memory = writes->memory;

	while (writes->list) {
		struct write *write = writes->list;

		writes->list = write->next;
		for (uint32_t i = 0; i < REPLICAS_MAX; i++)
			call_stop(&write->calls[i].call);
		memory->free(memory->context, write->body);
		memory->free(memory->context, write);
	}
	*writes->link = writes->next;
	if (writes->next)
		writes->next->link = writes->link;
	memory->free(memory->context, writes);
}

static void answered(struct call *call, const struct message *answer)
{
	struct put_call *put = call->context;
	struct write *write = put->write;
	struct writes *writes = write->owner;
	uint32_t majority = writes->caller->config.replicas / 2 + 1;
	bool is_decided;

	if (answer->type != MESSAGE_QUORUM_PUT_REPLY)
		return;
	call_stop(call);
	write->answers++;
	if (answer->result == RESULT_FULL)
		is_decided = ++write->fulls == majority;
	else
		is_decided = write->answers - write->fulls == majority;
	if (!is_decided)
		return;
	writes->is_full |= answer->result == RESULT_FULL;
	if (--writes->left == 0)
		writes->done(writes);
}

int writes_add(struct writes *writes, uint16_t shard, uint64_t stamp, uint64_t client,
	       const void *key, uint16_t key_len, const void *value, uint32_t len)
{
	const struct memory *memory = writes->memory;
	struct write *write = memory->alloc(memory->context, sizeof(*write));
	struct writer writer = {.room = 6 + (size_t)key_len + (value ? len : 0)};

	if (!write)
		return -ENOMEM;
	memset(write, 0, sizeof(*write));
	writer.bytes = memory->alloc(memory->context, writer.room);
	if (!writer.bytes) {
		memory->free(memory->context, write);
		return -ENOMEM;
	}
	operation_write_write(&writer, key, key_len, value, len);
	write->body = writer.bytes;
	write->owner = writes;
	write->next = writes->list;
	writes->list = write;
	writes->left++;
	for (uint32_t i = 0; i < writes->caller->config.replicas; i++) {
		write->calls[i].write = write;
		write->calls[i].call = (struct call){
			.message = {.type = MESSAGE_QUORUM_PUT,
				    .shard = shard,
				    .op = stamp,
				    .client = client,
				    .body = write->body,
				    .body_len = (uint32_t)writer.len},
			.answered = answered,
			.context = &write->calls[i],
			.target = i,
			.is_pinned = true,
		};
	}
	return 0;
}

void writes_start(struct writes *writes)
{
	for (struct write *write = writes->list; write; write = write->next)
		for (uint32_t i = 0; i < writes->caller->config.replicas; i++)
			call_start(writes->caller, &write->calls[i].call);
}

bool writes_are_done(const struct writes *writes)
{
	for (const struct write *write = writes->list; write; write = write->next)
		if (write->answers < writes->caller->config.replicas)
			return false;
	return true;
}
