/* SPDX-License-Identifier: MIT */
/*
 * One replica of a shard: viewstamped replication (Liskov and Cowling, "Viewstamped Replication
 * Revisited", MIT-CSAIL-TR-2012-021) of the operations of shard.h.
 *
 * It does no input or output of its own and reads no clock: messages and time come in as arguments, and
 * what it sends and writes goes out by `struct replica_ops`. Where it departs from the paper:
 *
 * - A view change carries no log: the new primary fetches what it lacks from the replica whose log is
 *   the best, which keeps still for it, so that messages stay small.
 * - Recovery without a disk, as it is in the paper, may bring back a replica that has forgotten what it
 *   promised to the primary of a view. Each start of a replica has a number, its incarnation, and a
 *   promise of one that is known to have gone is not counted (Michael, Ports, Sharma and Szekeres,
 *   "Recovering shared objects without stable storage", DISC 2017).
 *   No clock is asked for it: a replica that has lost what it had asks a quorum which numbers they know
 *   of, and takes a higher one. One that has its log has forgotten nothing, and keeps its number.
 * - With a log on a disk, what a replica says is held back until what it says is written.
 */
#ifndef TXNSTORE_REPLICA_H
#define TXNSTORE_REPLICA_H

#include "shard.h"
#include "txnstore/random.h"

struct replica_config {
	uint32_t index, count;  /* of this one; of all, 2f + 1 */
	uint16_t shard, shards; /* which one; of how many, which only the log tells */
	uint64_t configuration; /* messages of another are refused */
	uint64_t heartbeat_ns;  /* a primary without work is heard so often */
	uint64_t
		election_ns; /* without a word from it, a new view is begun after one to two of these */
	uint64_t retry_ns;      /* what is not answered is sent again */
	uint64_t doubt_ns;      /* so long prepared: the other shards are asked for the outcome */
	uint32_t batch_bytes;   /* of entries or items in a message */
	uint32_t window;        /* operations in progress; more are not taken */
	uint32_t log_keep;      /* operations kept, for replicas that were away */
	uint32_t versions_keep; /* a snapshot may be so many operations old */
	uint64_t bytes_max;     /* of keys and values; more are not taken */
	/* A log is written anew when so many bytes, and as many as it began with, were added; 0: never. */
	uint64_t rewrite_bytes;
	/*
	 * So much its log may take; 0: there is no limit. From two fifths on it is written anew, which takes
	 * a fifth at the most, since values of more are not taken; from a half on no writes are. What is left
	 * is for views, and for what the others tell; for them no more than a fifth of operations is kept.
	 */
	uint64_t log_room;
	struct shard_limits limits;
};

struct replica;

struct replica_ops {
	/*
	 * To a replica of the shard. @is_held: only once all records before are durable. Return: false: it is
	 * known not to go there, as the way is full, or there is none.
	 */
	bool (*send)(void *context, uint32_t to, const struct message *message, bool is_held);
	/* To a client, by what replica_receive got with its message. @blob: holds the body, may be NULL. */
	void (*answer)(void *context, uint64_t peer, const struct message *message,
		       struct blob *blob);
	/* The next record of the log: replica_written says when it is durable. NULL: there is no log. */
	void (*write)(void *context, const void *record, size_t len);
	/*
	 * @begins: records from here on are a new log, which is to take the place of the one before once
	 * all are durable that were written until it is called again with false; none of them is before.
	 */
	void (*rewrite)(void *context, bool begins);
	/* A transaction has been in doubt for long: ask the others, tell the outcome with a DECIDE. */
	void (*in_doubt)(void *context, const struct operation *operation);
};

/* How what is new comes to another replica. */
enum flow {
	FLOW_PUSHED,  /* as it is proposed */
	FLOW_REFUSED, /* not before the next heartbeat: the way there was full */
	FLOW_PULLED,  /* it lacks what was before, and asks for it, one batch after the other */
};

/* Places by which an operation that is asked for again is found, while it is under way. */
#define PROPOSED_MAX 2048u

enum replica_status { REPLICA_NORMAL, REPLICA_VIEW_CHANGE, REPLICA_RECOVERING, REPLICA_FAILED };

struct entry {
	uint64_t view, time_ns;
	struct blob *blob; /* the operation */
	uint64_t peer,
		nonce; /* of the client that waits for its result, at the primary; nonce 0: none */
};

/* A run of operations, from `first` on. */
struct oplog {
	struct entry *entries;
	size_t count, room;
	uint64_t first;
	uint64_t bytes; /* of all, as in messages */
};

struct confirmation {
	uint64_t peer;
	uint64_t nonce;  /* of the client */
	uint64_t needed; /* nonce of the PREPARE that is to be answered */
	uint64_t client, number;
};

/* What a replica gathers before it takes it over, all at once. */
struct adoption {
	bool is_on;
	uint32_t source;
	uint64_t nonce, sent_ns;
	struct oplog log;
	uint64_t
		base; /* the operation before log.first: own log, or the snapshot, is kept up to it */
	uint64_t goal; /* last operation of the source */
	bool has_shard, wants_snapshot;
	struct shard shard; /* of the snapshot */
	uint8_t *tables;
	size_t tables_len, tables_total;
	uint64_t cursor; /* in the snapshot */
};

/* What of a view change the primary-to-be has. */
struct do_view_change {
	bool is_there;
	uint64_t last_normal, op, commit, incarnation;
};

/* Whose a log is. */
struct log_identity {
	uint32_t index, count;
	uint16_t shard, shards;
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): one of a process, in the order of what it is for */
struct replica {
	struct replica_config config;
	const struct replica_ops *ops;
	void *context;
	const struct memory *memory;
	struct random random;
	uint64_t incarnation, incarnations[REPLICAS_MAX]; /* the last known of each; 0: none */

	enum replica_status status;
	uint64_t view, last_normal;
	struct oplog log;
	struct shard shard;
	uint64_t commit;
	uint64_t now_ns, last_time_ns;

	/* The primary's. */
	uint64_t acked[REPLICAS_MAX], next[REPLICAS_MAX], confirmed[REPLICAS_MAX];
	uint8_t flow[REPLICAS_MAX];      /* enum flow */
	uint64_t proposed[PROPOSED_MAX]; /* operations, by the nonces of those who asked for them */
	uint64_t view_start;             /* operations up to it are of earlier views */
	uint64_t beat, beat_ns;
	struct confirmation *confirmations;
	size_t confirmation_count, confirmation_room;

	/* A follower's: it has asked for what it lacks. */
	bool is_asking;
	uint64_t asked_ns;

	/* View changes. */
	uint64_t heard_ns, patience_ns, sent_ns;
	uint32_t start_mask; /* replicas that want this view */
	bool has_voted;      /* DO_VIEW_CHANGE was sent */
	struct do_view_change votes[REPLICAS_MAX];
	struct adoption adoption;

	/* Recovery without a disk. */
	uint64_t recovery_nonce;
	uint32_t reply_mask;
	uint64_t reply_view[REPLICAS_MAX];

	/* A snapshot that is being fetched from here. */
	uint8_t *tables;
	size_t tables_len;
	uint64_t pin_op, pin_ns;

	/* Records of the log: so many were written, and are durable; the last of each operation. */
	uint64_t written, durable;
	uint64_t durable_op;
	struct {
		uint64_t record, op;
	} * unwritten;
	size_t unwritten_first, unwritten_count, unwritten_room;
	/* Of the log, in all; of what it began with when it was last written anew, and that one's last. */
	uint64_t log_bytes, rewritten_bytes, rewritten;
	uint64_t log_taken; /* on its device, as far as is known: the owner may know it better */
	bool is_restored;   /* the log says what this replica was */
	bool has_identity;  /* the log says whose it is */
	struct log_identity other; /* whose it is, if it is another's */
	/* What replica_restore has read and what counts only from an INSTALL on. */
	struct oplog staged;
	bool has_staged_shard;
	struct shard staged_shard;
	uint8_t *staged_tables;
	size_t staged_tables_len, staged_tables_total;

	uint64_t views_begun, transfers, snapshots, rewrites; /* counted */
	uint64_t memory_full, log_full;                       /* writes refused for it */
};

/**
 * replica_init - an empty one; then either replica_restore with each record of its log, or nothing
 *
 * @seed: another one at each start
 * Return: 0, -ENOMEM, -EINVAL: a value of @config is out of range.
 */
int replica_init(struct replica *replica, const struct replica_config *config,
		 const struct replica_ops *ops, void *context, const struct memory *memory,
		 uint64_t seed);
void replica_destroy(struct replica *replica);

/**
 * replica_restore - take in the next record of the log
 *
 * Return: 0; -EBADMSG; -ENOMEM; -EPROTONOSUPPORT: of another version, or no log of a replica; -EXDEV: it is
 * `other`'s.
 */
int replica_restore(struct replica *replica, const void *record, size_t len);

/*
 * A log that says nothing of what the replica was, as it was lost, or as this one had not yet got from the
 * others what it had lost when it ended: is_restored is false, and it has to be START_LOST again.
 */
enum replica_start {
	REPLICA_START_NEW,      /* all are new, and empty */
	REPLICA_START_RESTORED, /* from its log */
	REPLICA_START_LOST,     /* what it had was in memory alone: ask the others */
};

void replica_start(struct replica *replica, uint64_t now_ns, enum replica_start how);

/** replica_receive - @peer: whoever is to get the answer, if @message is a client's */
void replica_receive(struct replica *replica, uint64_t now_ns, uint64_t peer,
		     const struct message *message);

/** replica_written - so many records are durable, in all */
void replica_written(struct replica *replica, uint64_t now_ns, uint64_t records);

/** replica_tick - what time has brought */
void replica_tick(struct replica *replica, uint64_t now_ns);
/** replica_deadline - when to call replica_tick next */
uint64_t replica_deadline(const struct replica *replica);

static inline uint32_t replica_primary(const struct replica *replica, uint64_t view)
{
	return replica->config.count > 1 ? (uint32_t)(view % replica->config.count) : 0;
}

static inline bool replica_leads(const struct replica *replica)
{
	return replica->status == REPLICA_NORMAL &&
	       replica_primary(replica, replica->view) == replica->config.index;
}

#endif /* TXNSTORE_REPLICA_H */
