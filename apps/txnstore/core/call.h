/* SPDX-License-Identifier: MIT */
/*
 * Questions to the primaries of shards, asked again until they are answered: where the primary is not
 * known it is looked for, replica by replica. Every question may be asked twice, as what it asks for is
 * done once.
 */
#ifndef TXNSTORE_CALL_H
#define TXNSTORE_CALL_H

#include "message.h"
#include "operation.h"
#include "txnstore/random.h"

struct caller_config {
	uint16_t shards;
	uint32_t replicas; /* of each shard */
	uint64_t configuration;
	uint64_t retry_ns;
	uint64_t pause_ns; /* before a question is put again of which the answer was "not now" */
};

struct call;

/* A call that this does not stop, since the answer was "not now", is put again after a pause. */
typedef void call_answered(struct call *call, const struct message *answer);

struct call {
	struct call *next, **link;
	struct message message; /* with its body, which is the owner's */
	call_answered *answered;
	void *context;
	uint64_t resend_ns;
	uint32_t target; /* replica that was asked last */
	bool is_silent;  /* it has said nothing since */
	bool is_pinned;  /* no other is asked */
};

struct caller {
	struct caller_config config;
	void (*send)(void *context, uint16_t shard, uint32_t replica,
		     const struct message *message);
	void *context;
	struct call *calls;
	struct random random;
	uint32_t primary[SHARDS_MAX];   /* as far as is known */
	uint32_t strangers[SHARDS_MAX]; /* bit i: replica i has another configuration */
	uint64_t now_ns;
};

void caller_init(struct caller *caller, const struct caller_config *config,
		 void (*send)(void *context, uint16_t shard, uint32_t replica,
			      const struct message *message),
		 void *context, uint64_t seed);

/** call_start - put @call's message, of which type, shard, body and what the type needs are set */
void call_start(struct caller *caller, struct call *call);
/** call_stop - no answer is waited for any more; of a call that is not running too */
void call_stop(struct call *call);

/** caller_receive - Return: whether @message answers a call. */
bool caller_receive(struct caller *caller, uint64_t now_ns, const struct message *message);
/** caller_is_stranger - whether a majority of a shard has another configuration: it will not answer */
bool caller_is_stranger(const struct caller *caller);
void caller_tick(struct caller *caller, uint64_t now_ns);
uint64_t caller_deadline(const struct caller *caller);

#endif /* TXNSTORE_CALL_H */
