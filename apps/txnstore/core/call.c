/* SPDX-License-Identifier: MIT */
#include "call.h"

void caller_init(struct caller *caller, const struct caller_config *config,
		 void (*send)(void *context, uint16_t shard, uint32_t replica,
			      const struct message *message),
		 void *context, uint64_t seed)
{
	*caller = (struct caller){
		.config = *config, .send = send, .context = context, .random = {.state = seed}};
}

/* Not all at the same time again. */
static uint64_t spread(struct caller *caller, uint64_t ns)
{
	return caller->now_ns + ns / 2 + random_below(&caller->random, ns + 1);
}

static void put(struct caller *caller, struct call *call)
{
	call->resend_ns = spread(caller, caller->config.retry_ns);
	if (!call->is_pinned)
		call->target = caller->primary[call->message.shard];
	call->is_silent = true;
	caller->send(caller->context, call->message.shard, call->target, &call->message);
}

void call_start(struct caller *caller, struct call *call)
{
	call->message.from = MESSAGE_NOT_A_REPLICA;
	call->message.by_stream = false;
	call->message.configuration = caller->config.configuration;
	call->message.nonce = random_next(&caller->random) | 1;
	call->next = caller->calls;
	call->link = &caller->calls;
	if (call->next)
		call->next->link = &call->next;
	caller->calls = call;
	put(caller, call);
}

void call_stop(struct call *call)
{
	if (!call->link)
		return;
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	call->link = NULL;
}

static struct call *call_of(struct caller *caller, const struct message *message)
{
	struct call *call = caller->calls;

	while (call &&
	       (call->message.nonce != message->nonce || call->message.shard != message->shard))
		call = call->next;
	return call;
}

/* Whoever answers so may know better; if it means itself, a view is about to begin. */
static void look_elsewhere(struct caller *caller, struct call *call, const struct message *message)
{
	uint32_t primary = (uint32_t)(message->view % caller->config.replicas);

	if (message->from != call->target)
		return;
	caller->primary[message->shard] = primary;
	call->resend_ns = spread(caller, primary == message->from ? caller->config.pause_ns
								  : caller->config.pause_ns / 8);
}

bool caller_receive(struct caller *caller, uint64_t now_ns, const struct message *message)
{
	struct call *call;

	caller->now_ns = now_ns;
	if (message->from >= REPLICAS_MAX)
		return false;
	call = call_of(caller, message);
	if (!call)
		return false;
	/* Whoever has another one may count its replicas otherwise. */
	if (message->configuration != caller->config.configuration) {
		if (message->result == RESULT_STRANGER)
			caller->strangers[message->shard] |= 1u << call->target;
		return false;
	}
	if (message->from >= caller->config.replicas)
		return false;
	caller->strangers[message->shard] &= ~(1u << message->from);
	call->is_silent = false;
	if (message->type == MESSAGE_NOT_PRIMARY) {
		look_elsewhere(caller, call, message);
		return true;
	}
	if (!call->is_pinned)
		caller->primary[message->shard] = message->from;
	if (message->result == RESULT_LARGE) {
		call->message.by_stream = true;
		put(caller, call);
		return true;
	}
	/* So that the answer may start calls, and free this one. */
	call->resend_ns = spread(caller, caller->config.pause_ns);
	call->answered(call, message);
	return true;
}

bool caller_is_stranger(const struct caller *caller)
{
	for (uint16_t shard = 0; shard < caller->config.shards; shard++)
		if ((uint32_t)__builtin_popcount(caller->strangers[shard]) >
		    caller->config.replicas / 2)
			return true;
	return false;
}

void caller_tick(struct caller *caller, uint64_t now_ns)
{
	caller->now_ns = now_ns;
	for (struct call *call = caller->calls; call; call = call->next) {
		uint16_t shard = call->message.shard;

		if (now_ns < call->resend_ns)
			continue;
		/* Of a replica that says nothing the next is asked. */
		if (call->is_silent && !call->is_pinned && call->target == caller->primary[shard])
			caller->primary[shard] = (call->target + 1) % caller->config.replicas;
		put(caller, call);
	}
}

uint64_t caller_deadline(const struct caller *caller)
{
	uint64_t deadline_ns = UINT64_MAX;

	for (const struct call *call = caller->calls; call; call = call->next)
		if (call->resend_ns < deadline_ns)
			deadline_ns = call->resend_ns;
	return deadline_ns;
}
