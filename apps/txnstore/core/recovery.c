/* SPDX-License-Identifier: MIT */
/*
 * A replica that has lost what it had: "VR Revisited", section 4.3. It first asks a quorum of the others
 * which starts of it they know of. Then it starts as the next one: until a quorum, the primary among
 * them, has answered to that it takes part in nothing; they know then that what it had promised before is
 * not to be counted on. Whatever start has promised something was known to a quorum by then, and any two
 * have a member in common, so that no clock is needed for the number to be a higher one.
 */
#include "replica_parts.h"

/* What was new once, without having asked anybody, was the first start. */
#define INCARNATION_FIRST 1u

static void ask(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_RECOVERY);

	replica->sent_ns = replica->now_ns;
	message.nonce = replica->recovery_nonce;
	replica_tell_all(replica, &message, false);
}

/* @incarnation: 0: it is not known yet */
static void ask_as(struct replica *replica, uint64_t incarnation)
{
	adoption_end(replica);
	replica->incarnation = incarnation;
	replica->incarnations[replica->config.index] = incarnation;
	replica->recovery_nonce = random_next(&replica->random) | 1;
	replica->reply_mask = 0;
	ask(replica);
}

void recovery_begin(struct replica *replica)
{
	replica->status = REPLICA_RECOVERING;
	ask_as(replica, 0);
}

static void reply(struct replica *replica, uint32_t to, uint64_t nonce)
{
	struct message message = replica_message(replica, MESSAGE_RECOVERY_REPLY);
	uint8_t body[REPLICAS_MAX * 8];
	struct writer writer = {.bytes = body, .room = sizeof(body)};

	for (uint32_t i = 0; i < replica->config.count; i++)
		write_u64(&writer, replica->incarnations[i]);
	message.nonce = nonce;
	message.body = body;
	message.body_len = (uint32_t)writer.len;
	replica_tell(replica, to, &message, true);
}

static void answer(struct replica *replica, const struct message *message)
{
	if (replica->status != REPLICA_NORMAL)
		return;
	replica_know(replica, message->from, message->incarnation);
	reply(replica, message->from, message->nonce);
}

void recovery_correct(struct replica *replica, uint32_t to)
{
	if (replica->status != REPLICA_RECOVERING)
		reply(replica, to, 0);
}

static uint64_t latest_view(const struct replica *replica)
{
	uint64_t view = 0;

	for (uint32_t i = 0; i < replica->config.count; i++)
		if (replica->reply_mask & (1u << i) && replica->reply_view[i] > view)
			view = replica->reply_view[i];
	return view;
}

/*
 * A question of a start that came to nothing may come late, so that others take this one for an earlier
 * one: it has forgotten nothing, and takes the higher number.
 */
static void be_known(struct replica *replica, uint64_t incarnation)
{
	if (incarnation <= replica->incarnation)
		return;
	replica->incarnation = incarnation;
	replica_know(replica, replica->config.index, incarnation);
}

static bool is_answered(const struct replica *replica)
{
	return (uint32_t)__builtin_popcount(replica->reply_mask) >= replica_quorum(replica);
}

/* The starts that a quorum knows of are known: this is the next one. */
static void start_next(struct replica *replica)
{
	uint64_t known = replica->incarnations[replica->config.index];

	ask_as(replica, (known > INCARNATION_FIRST ? known : INCARNATION_FIRST) + 1);
}

static void take_reply(struct replica *replica, const struct message *message)
{
	uint64_t own = replica_know_all(replica, message), view;

	if (replica->status != REPLICA_RECOVERING) {
		be_known(replica, own);
		return;
	}
	if (message->nonce != replica->recovery_nonce)
		return;
	if (own > replica->incarnations[replica->config.index]) {
		replica->incarnations[replica->config.index] = own;
		if (replica->incarnation) {
			start_next(replica);
			return;
		}
	}
	replica->reply_mask |= 1u << message->from;
	replica->reply_view[message->from] = message->view;
	if (!replica->incarnation) {
		if (is_answered(replica))
			start_next(replica);
		return;
	}
	view = latest_view(replica);
	if (!is_answered(replica) ||
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
