/* SPDX-License-Identifier: MIT */
#include "coordinator.h"

#include <errno.h>

/* Of the operations without sets. */
#define SMALL_OPERATION_MAX 64u

struct coordinator *coordinator_new(struct caller *caller, const struct memory *memory,
				    uint16_t count, uint64_t client, uint64_t number)
{
	size_t size = sizeof(struct coordinator) + count * sizeof(struct participant);
	struct coordinator *coordinator = memory->alloc(memory->context, size);

	if (!coordinator)
		return NULL;
	memset(coordinator, 0, size);
	coordinator->caller = caller;
	coordinator->memory = memory;
	coordinator->count = count;
	coordinator->client = client;
	coordinator->number = number;
	for (uint16_t i = 0; i < count; i++)
		coordinator->participants[i].owner = coordinator;
	return coordinator;
}

static void give(struct coordinator *coordinator, void *memory)
{
	if (memory)
		coordinator->memory->free(coordinator->memory->context, memory);
}

void coordinator_destroy(struct coordinator *coordinator)
{
	for (uint16_t i = 0; i < coordinator->count; i++) {
		call_stop(&coordinator->participants[i].call);
		give(coordinator, coordinator->participants[i].body);
	}
	coordinator->memory->free(coordinator->memory->context, coordinator);
}

void coordinator_list(struct coordinator *coordinator, struct coordinator **list)
{
	coordinator->next = *list;
	coordinator->link = list;
	if (coordinator->next)
		coordinator->next->link = &coordinator->next;
	*list = coordinator;
}

void coordinator_drop(struct coordinator *coordinator)
{
	*coordinator->link = coordinator->next;
	if (coordinator->next)
		coordinator->next->link = coordinator->link;
	coordinator_destroy(coordinator);
}

static void put(struct participant *participant, call_answered *answered, uint8_t *body,
		uint32_t len)
{
	struct coordinator *coordinator = participant->owner;

	call_stop(&participant->call);
	give(coordinator, participant->body);
	participant->body = body;
	participant->call = (struct call){
		.message = {.type = MESSAGE_OPERATION,
			    .shard = participant->shard,
			    .client = coordinator->client,
			    .number = coordinator->number,
			    .body = body,
			    .body_len = len},
		.answered = answered,
		.context = participant,
	};
	call_start(coordinator->caller, &participant->call);
}

/* Return: 0, -ENOMEM. */
static int put_small(struct participant *participant, call_answered *answered,
		     enum operation_kind kind, bool commits)
{
	struct coordinator *coordinator = participant->owner;
	struct operation operation = {.kind = kind,
				      .commits = commits,
				      .client = coordinator->client,
				      .number = coordinator->number,
				      .finished_below = coordinator->finished_below};
	struct writer writer = {.room = SMALL_OPERATION_MAX};

	writer.bytes = coordinator->memory->alloc(coordinator->memory->context, writer.room);
	if (!writer.bytes)
		return -ENOMEM;
	operation_write(&writer, &operation, NULL);
	put(participant, answered, writer.bytes, (uint32_t)writer.len);
	return 0;
}

/* ---- The decision ---- */

static void finish_if_done(struct coordinator *coordinator)
{
	for (uint16_t i = 0; i < coordinator->count; i++)
		if (!coordinator->participants[i].is_done)
			return;
	coordinator->finished(coordinator);
}

static void carried_out(struct call *call, const struct message *answer)
{
	struct participant *participant = call->context;

	if (answer->type != MESSAGE_REPLY || answer->result == RESULT_FULL)
		return;
	call_stop(call);
	participant->is_done = true;
	finish_if_done(participant->owner);
}

static void tell_all(struct coordinator *coordinator)
{
	bool commits = coordinator->outcome == OUTCOME_COMMITTED;

	for (uint16_t i = 0; i < coordinator->count; i++) {
		struct participant *participant = &coordinator->participants[i];

		/* Of one alone the vote was the outcome; and who refuses has nothing to let go. */
		if (coordinator->count == 1 || participant->vote == RESULT_NO) {
			call_stop(&participant->call);
			participant->is_done = true;
		} else if (put_small(participant, carried_out, OPERATION_DECIDE, commits) != 0) {
			participant->is_done = true; /* the shard will ask */
		}
	}
	coordinator->decided(coordinator);
	finish_if_done(coordinator);
}

static void decide_if_known(struct coordinator *coordinator)
{
	bool all = true;

	if (coordinator->outcome != OUTCOME_NONE)
		return;
	for (uint16_t i = 0; i < coordinator->count; i++) {
		all &= coordinator->participants[i].vote == RESULT_YES;
		if (coordinator->participants[i].vote == RESULT_NO)
			coordinator->outcome = OUTCOME_ABORTED;
	}
	if (all)
		coordinator->outcome = OUTCOME_COMMITTED;
	if (coordinator->outcome != OUTCOME_NONE)
		tell_all(coordinator);
}

/* ---- The votes ---- */

/* Others have settled it already: nothing is to be told to anybody. */
static void settled_by_others(struct coordinator *coordinator)
{
	for (uint16_t i = 0; i < coordinator->count; i++) {
		call_stop(&coordinator->participants[i].call);
		coordinator->participants[i].is_done = true;
	}
	coordinator->outcome = OUTCOME_UNKNOWN;
	coordinator->decided(coordinator);
	coordinator->finished(coordinator);
}

static void voted(struct call *call, const struct message *answer)
{
	struct participant *participant = call->context;

	if (answer->type != MESSAGE_REPLY)
		return;
	switch (answer->result) {
	case RESULT_YES:
	case RESULT_NO:
		call_stop(call);
		participant->vote = answer->result;
		decide_if_known(participant->owner);
		break;
	case RESULT_BAD: /* at every time it is put */
		call_stop(call);
		participant->vote = RESULT_NO;
		decide_if_known(participant->owner);
		break;
	case RESULT_FULL: /* it may have been put twice: that it is not done is only sure once refused */
		participant->owner->is_full = true;
		if (participant->body[0] != OPERATION_REFUSE)
			(void)put_small(participant, voted, OPERATION_REFUSE, false);
		break;
	case RESULT_FORGOTTEN:
		settled_by_others(participant->owner);
		break;
	default:
		break;
	}
}

int coordinator_ask(struct coordinator *coordinator, uint16_t index, uint16_t shard, uint8_t *body,
		    uint32_t len)
{
	struct participant *participant = &coordinator->participants[index];

	participant->shard = shard;
	if (!body)
		return put_small(participant, voted, OPERATION_REFUSE, false);
	put(participant, voted, body, len);
	return 0;
}

void coordinator_knows_vote(struct coordinator *coordinator, uint16_t index, uint16_t shard)
{
	coordinator->participants[index].shard = shard;
	coordinator->participants[index].vote = RESULT_YES;
}
