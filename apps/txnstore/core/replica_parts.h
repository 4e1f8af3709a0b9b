/* SPDX-License-Identifier: MIT */
/* What the files of a replica call of each other's. */
#ifndef TXNSTORE_REPLICA_PARTS_H
#define TXNSTORE_REPLICA_PARTS_H

#include "oplog.h"
#include "replica.h"

static inline uint64_t replica_op(const struct replica *replica)
{
	return oplog_last(&replica->log);
}

static inline uint32_t replica_quorum(const struct replica *replica)
{
	return replica->config.count / 2 + 1;
}

/* ---- replica.c ---- */

/** replica_live - bytes of a snapshot, about */
uint64_t replica_live(const struct replica *replica);
void replica_now(struct replica *replica, uint64_t now_ns);
/** replica_message - of @type, with what every message of a replica says of it */
struct message replica_message(const struct replica *replica, enum message_type type);
/** replica_tell - send @message to @to, Return: as of replica_ops; replica_tell_all: to every other */
bool replica_tell(struct replica *replica, uint32_t to, const struct message *message,
		  bool is_held);
void replica_tell_all(struct replica *replica, const struct message *message, bool is_held);
/** replica_know - replica @index has started with number @incarnation */
void replica_know(struct replica *replica, uint32_t index, uint64_t incarnation);
/** replica_know_all - what a message says of all of them. Return: the number that it has for this one. */
uint64_t replica_know_all(struct replica *replica, const struct message *message);
/** replica_fail - no memory for what the others do: this one goes on no more */
void replica_fail(struct replica *replica);

/* ---- normal.c ---- */

/** replica_lead - begin to be the primary of the view */
void replica_lead(struct replica *replica);
/** replica_execute - carry out what is committed */
void replica_execute(struct replica *replica);
/** replica_count_acks - commit what a quorum has */
void replica_count_acks(struct replica *replica);
/** replica_acknowledge - tell the primary what is in the log */
void replica_acknowledge(struct replica *replica, uint64_t nonce);
void normal_prepare(struct replica *replica, const struct message *message);
void normal_prepare_ok(struct replica *replica, const struct message *message);
/** normal_served - @to was sent, as it had asked for it, what comes up to @last */
void normal_served(struct replica *replica, uint32_t to, uint64_t last);
void normal_new_state(struct replica *replica, const struct message *message);
void normal_tick(struct replica *replica);
/** normal_propose - the next operation; @entry's blob is taken over */
void normal_propose(struct replica *replica, struct entry *entry);
/** normal_beat - heartbeat to all. Return: its nonce. */
uint64_t normal_beat(struct replica *replica);

/* ---- requests.c ---- */

void requests_receive(struct replica *replica, uint64_t peer, const struct message *message);
/** requests_confirmed - answer those whose heartbeat a quorum has answered */
void requests_confirmed(struct replica *replica);
/** requests_refuse - this replica is the primary no more */
void requests_refuse(struct replica *replica);

/* ---- view_change.c ---- */

void view_change_begin(struct replica *replica, uint64_t view);
void view_change_receive(struct replica *replica, const struct message *message);
void view_change_tick(struct replica *replica);
/** view_change_heard - from the primary: no new view is needed for a while */
void view_change_heard(struct replica *replica);
/** view_change_adopted - the primary-to-be has all that the best log has */
void view_change_adopted(struct replica *replica);

/* ---- transfer.c ---- */

/** adoption_begin - make the log what @source's is in this view */
void adoption_begin(struct replica *replica, uint32_t source);
void adoption_end(struct replica *replica);
void adoption_receive(struct replica *replica, const struct message *message);
void adoption_tick(struct replica *replica);
/** transfer_serve - answer a GET_STATE */
void transfer_serve(struct replica *replica, const struct message *message);

/* ---- snapshot.c ---- */

/* Tables of clients and transactions that are larger are not believed: of all clients, and what is prepared. */
#define SNAPSHOT_CLIENT_MAX 128u
static inline uint64_t snapshot_tables_max(const struct replica *replica)
{
	return (UINT64_C(256) << 20) +
	       (uint64_t)replica->config.limits.clients_max * SNAPSHOT_CLIENT_MAX;
}

/** snapshot_serve - a part of a snapshot, for a replica whose log ends before this one's begins */
void snapshot_serve(struct replica *replica, const struct message *message);
/** snapshot_receive - Return: 1: it is whole, 0: ask for more, -EBADMSG, -ENOMEM. */
int snapshot_receive(struct replica *replica, const struct message *message);
void snapshot_tick(struct replica *replica);

/* ---- recovery.c ---- */

void recovery_begin(struct replica *replica);
void recovery_receive(struct replica *replica, const struct message *message);
/** recovery_correct - whoever takes itself for an earlier start of @to hears of the last one */
void recovery_correct(struct replica *replica, uint32_t to);
void recovery_tick(struct replica *replica);

/* ---- record.c ---- */

void record_destroy(struct replica *replica);
/** record_identity - write whose log it is, which starts of the others are known, and if it was new */
void record_identity(struct replica *replica);
/** record_entry - write the last operation of the log */
void record_entry(struct replica *replica);
/** record_view - write that no view before this one is taken part in any more */
void record_view(struct replica *replica);
/**
 * record_install - write that the log is, behind @base, what @log says, and is of this view
 *
 * @shard: the state after @base, which is written, too; NULL: what the log had up to there stays
 */
void record_install(struct replica *replica, uint64_t base, const struct oplog *log,
		    const struct shard *shard);
/** record_rewrite - write the log anew if it has become long */
void record_rewrite(struct replica *replica);

#endif /* TXNSTORE_REPLICA_PARTS_H */
