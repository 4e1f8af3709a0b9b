/* SPDX-License-Identifier: MIT */
/*
 * A replica that has lost what it had: "VR Revisited", section 4.3. Until a quorum of the others, the
 * primary among them, has answered to this start of it, it takes part in nothing: they know then that
 * what it had promised before is not to be counted on.
 */
#include "replica_parts.h"

static void ask(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_RECOVERY);

	replica->sent_ns = replica->now_ns;
	message.nonce = replica->incarnation;
	replica_tell_all(replica, &message, false);
}

void recovery_begin(struct replica *replica)
{
	replica->status = REPLICA_RECOVERING;
	replica->reply_mask = 0;
	ask(replica);
}

static void answer(struct replica *replica, const struct message *message)
{
	struct message reply = replica_message(replica, MESSAGE_RECOVERY_REPLY);
	uint8_t body[REPLICAS_MAX * 8];
	struct writer writer = {.bytes = body, .room = sizeof(body)};

	if (replica->status != REPLICA_NORMAL)
		return;
	for (uint32_t i = 0; i < replica->config.count; i++)
		write_u64(&writer, replica->incarnations[i]);
	reply.nonce = message->nonce;
	reply.body = body;
	reply.body_len = (uint32_t)writer.len;
	replica_tell(replica, message->from, &reply, true);
}

static uint64_t latest_view(const struct replica *replica)
{
	uint64_t view = 0;

	for (uint32_t i = 0; i < replica->config.count; i++)
		if (replica->reply_mask & (1u << i) && replica->reply_view[i] > view)
			view = replica->reply_view[i];
	return view;
}

static void take_reply(struct replica *replica, const struct message *message)
{
	struct reader reader = reader_of(message->body, message->body_len);
	uint64_t view;

	if (replica->status != REPLICA_RECOVERING || message->nonce != replica->incarnation)
		return;
	for (uint32_t i = 0; i < replica->config.count; i++) {
		uint64_t incarnation = read_u64(&reader);

		if (i != replica->config.index && incarnation > replica->incarnations[i])
			replica->incarnations[i] = incarnation;
	}
	replica->reply_mask |= 1u << message->from;
	replica->reply_view[message->from] = message->view;
	view = latest_view(replica);
	if ((uint32_t)__builtin_popcount(replica->reply_mask) < replica_quorum(replica) ||
	    !(replica->reply_mask & (1u << replica_primary(replica, view))) ||
	    replica->reply_view[replica_primary(replica, view)] != view)
		return;
	if (replica->adoption.is_on && replica->view == view)
		return;
	replica->view = view;
	adoption_begin(replica, replica_primary(replica, view));
}

void recovery_receive(struct replica *replica, const struct message *message)
{
	if (message->type == MESSAGE_RECOVERY)
		answer(replica, message);
	else
		take_reply(replica, message);
}

void recovery_tick(struct replica *replica)
{
	/* The view of the answers may be over by now, so it goes on asking. */
	if (replica->now_ns - replica->sent_ns >= replica->config.retry_ns)
		ask(replica);
}
