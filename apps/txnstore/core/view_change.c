/* SPDX-License-Identifier: MIT */
/*
 * A primary that is not heard of is replaced: "VR Revisited", section 4.2, but for the logs, of which
 * DO_VIEW_CHANGE says only how far they go.
 */
#include "replica_parts.h"

/* How long to wait for a primary; longer where the last view did not come to be, and never the same. */
static void draw_patience(struct replica *replica)
{
	replica->patience_ns = replica->config.election_ns +
			       random_below(&replica->random, replica->config.election_ns);
}

void view_change_heard(struct replica *replica)
{
	replica->heard_ns = replica->now_ns;
	draw_patience(replica);
}

static void send_start(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_START_VIEW_CHANGE);

	replica->sent_ns = replica->now_ns;
	replica_tell_all(replica, &message, true);
}

/* Its vote: how good its log is, and which replicas it knows to have started anew. */
static void send_vote(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_DO_VIEW_CHANGE);
	uint8_t body[REPLICAS_MAX * 8];
	struct writer writer = {.bytes = body, .room = sizeof(body)};

	for (uint32_t i = 0; i < replica->config.count; i++)
		write_u64(&writer, replica->incarnations[i]);
	message.op = replica_op(replica);
	message.commit = replica->shard.applied;
	message.nonce = replica->last_normal;
	message.body = body;
	message.body_len = (uint32_t)writer.len;
	replica->has_voted = true;
	replica_tell(replica, replica_primary(replica, replica->view), &message, true);
}

static void send_start_view(struct replica *replica)
{
	struct message message = replica_message(replica, MESSAGE_START_VIEW);

	message.op = replica_op(replica);
	replica_tell_all(replica, &message, true);
}

static void become_primary(struct replica *replica)
{
	replica->status = REPLICA_NORMAL;
	replica->last_normal = replica->view;
	replica_lead(replica);
	send_start_view(replica);
}

void view_change_adopted(struct replica *replica)
{
	become_primary(replica);
}

/* Which of the votes has the log that holds all that can have been committed. */
static uint32_t best_vote(const struct replica *replica)
{
	uint32_t best = replica->config.index;

	for (uint32_t i = 0; i < replica->config.count; i++) {
		const struct do_view_change *vote = &replica->votes[i],
					    *other = &replica->votes[best];

		if (vote->is_there &&
		    (vote->last_normal > other->last_normal ||
		     (vote->last_normal == other->last_normal && vote->op > other->op)))
			best = i;
	}
	return best;
}

/* Those that have come, and not of a replica that is known to have started anew since. */
static uint32_t vote_count(const struct replica *replica)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < replica->config.count; i++)
		count += replica->votes[i].is_there &&
			 replica->votes[i].incarnation >= replica->incarnations[i];
	return count;
}

static void count_votes(struct replica *replica)
{
	uint32_t best;

	if (replica->status != REPLICA_VIEW_CHANGE || replica->adoption.is_on ||
	    !replica->has_voted || vote_count(replica) < replica_quorum(replica))
		return;
	for (uint32_t i = 0; i < replica->config.count; i++)
		if (replica->votes[i].incarnation < replica->incarnations[i])
			replica->votes[i].is_there = false;
	best = best_vote(replica);
	for (uint32_t i = 0; i < replica->config.count; i++)
		if (replica->votes[i].is_there && replica->votes[i].commit > replica->commit)
			replica->commit = replica->votes[i].commit;
	view_change_heard(replica);
	if (best != replica->config.index) {
		adoption_begin(replica, best);
		return;
	}
	record_install(replica, replica_op(replica), NULL, NULL);
	become_primary(replica);
}

/* What this replica knows of itself. */
static void vote_for_itself(struct replica *replica)
{
	replica->has_voted = true;
	replica->votes[replica->config.index] = (struct do_view_change){
		.is_there = true,
		.last_normal = replica->last_normal,
		.op = replica_op(replica),
		.commit = replica->shard.applied,
		.incarnation = replica->incarnation,
	};
	count_votes(replica);
}

/* Enough want this view: its primary is told how good the log is. */
static void count_starts(struct replica *replica)
{
	if (replica->status != REPLICA_VIEW_CHANGE || replica->has_voted ||
	    replica->adoption.is_on ||
	    (uint32_t)__builtin_popcount(replica->start_mask) < replica_quorum(replica))
		return;
	if (replica_primary(replica, replica->view) == replica->config.index)
		vote_for_itself(replica);
	else
		send_vote(replica);
}

void view_change_begin(struct replica *replica, uint64_t view)
{
	adoption_end(replica);
	requests_refuse(replica);
	replica->status = REPLICA_VIEW_CHANGE;
	replica->view = view;
	replica->start_mask = 1u << replica->config.index;
	replica->has_voted = false;
	replica->is_asking = false;
	memset(replica->votes, 0, sizeof(replica->votes));
	replica->views_begun++;
	record_view(replica);
	view_change_heard(replica);
	send_start(replica);
	count_starts(replica);
}

static void take_vote(struct replica *replica, const struct message *message)
{
	if (replica->status != REPLICA_VIEW_CHANGE ||
	    replica_primary(replica, replica->view) != replica->config.index)
		return;
	(void)replica_know_all(replica, message);
	replica->votes[message->from] = (struct do_view_change){
		.is_there = true,
		.last_normal = message->nonce,
		.op = message->op,
		.commit = message->commit,
		.incarnation = message->incarnation,
	};
	/* It has seen that enough want this view. */
	replica->start_mask |= 1u << message->from;
	if (!replica->has_voted && !replica->adoption.is_on)
		vote_for_itself(replica);
	else
		count_votes(replica);
}

static void start_view(struct replica *replica, const struct message *message)
{
	if (message->from != replica_primary(replica, replica->view) ||
	    replica->status != REPLICA_VIEW_CHANGE || replica->adoption.is_on)
		return;
	view_change_heard(replica);
	adoption_begin(replica, message->from);
}

void view_change_receive(struct replica *replica, const struct message *message)
{
	if (replica->status == REPLICA_RECOVERING || message->view < replica->view)
		return;
	if (message->view > replica->view)
		view_change_begin(replica, message->view);
	if (message->type == MESSAGE_START_VIEW) {
		start_view(replica, message);
	} else if (replica_leads(replica)) {
		/* The sender does not know that the view has begun. */
		send_start_view(replica);
	} else if (message->type == MESSAGE_DO_VIEW_CHANGE) {
		take_vote(replica, message);
	} else if (replica->status == REPLICA_VIEW_CHANGE) {
		replica->start_mask |= 1u << message->from;
		count_starts(replica);
	}
}

void view_change_tick(struct replica *replica)
{
	if (replica->now_ns - replica->heard_ns >= replica->patience_ns) {
		view_change_begin(replica, replica->view + 1);
		return;
	}
	if (replica->adoption.is_on ||
	    replica->now_ns - replica->sent_ns < replica->config.retry_ns)
		return;
	send_start(replica);
	if (replica->has_voted && replica_primary(replica, replica->view) != replica->config.index)
		send_vote(replica);
}
