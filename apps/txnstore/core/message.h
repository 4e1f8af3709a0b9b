/* SPDX-License-Identifier: MIT */
/*
 * What clients and replicas say to each other: a header of one length for all, then a body whose form
 * depends on the type. Numbers are little-endian. Any message may be lost, come twice, or late.
 */
#ifndef TXNSTORE_MESSAGE_H
#define TXNSTORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAGIC 0x31585444u /* "DTX1": the 1 is the version of the format */
#define MESSAGE_HEADER_LEN 88
#define MESSAGE_NOT_A_REPLICA UINT32_MAX

/* Limits of the format; a configuration may ask for less. */
#define KEY_MAX 1024u
#define VALUE_MAX (1u << 20)
#define BODY_MAX (8u << 20)
#define REPLICAS_MAX 9u
#define SHARDS_MAX 64u

enum message_type {
	/* A client to the primary of a shard, and what it answers. */
	MESSAGE_GET = 1,     /* snapshot: 0, or of the transaction's first read; body: the key */
	MESSAGE_GET_REPLY,   /* op: the version; snapshot; body: the value; result */
	MESSAGE_OPERATION,   /* body: an operation, see operation.h */
	MESSAGE_CONFIRM,     /* that what was read at a snapshot was the newest then */
	MESSAGE_REPLY,       /* to both: result */
	MESSAGE_NOT_PRIMARY, /* view: the replica's; its primary is the one to ask */
	/* Quorum mode: any replica. */
	MESSAGE_QUORUM_GET,
	MESSAGE_QUORUM_GET_REPLY,
	MESSAGE_QUORUM_PUT, /* op: the writer's stamp; body: key and value */
	MESSAGE_QUORUM_PUT_REPLY,
	/* Replicas of a shard: "Viewstamped Replication Revisited", MIT-CSAIL-TR-2012-021, section 4. */
	MESSAGE_PREPARE,    /* op: of the first entry; body: entries; without any, a heartbeat */
	MESSAGE_PREPARE_OK, /* op: all up to it are in the sender's log; nonce: of the PREPARE */
	MESSAGE_START_VIEW_CHANGE,
	MESSAGE_DO_VIEW_CHANGE, /* nonce: the last view in which the sender was normal */
	MESSAGE_START_VIEW,
	MESSAGE_GET_STATE, /* op: the first entry that is wanted; nonce: of the answers */
	MESSAGE_NEW_STATE, /* op: of the first entry in the body */
	MESSAGE_SNAPSHOT,  /* a part of one: see transfer.c */
	MESSAGE_RECOVERY,  /* nonce: of the answers */
	MESSAGE_RECOVERY_REPLY,
	MESSAGE_TYPE_END,
};

enum result {
	RESULT_NONE,
	RESULT_YES,       /* prepared, and all locks held; of one shard alone: committed */
	RESULT_NO,        /* a read is out of date or a key locked; nothing of it will be */
	RESULT_DONE,      /* a decision was carried out, now or before */
	RESULT_FORGOTTEN, /* of a transaction that all participants have carried out */
	RESULT_FOUND,
	RESULT_ABSENT,
	RESULT_LOCKED,   /* by a transaction whose outcome is not known here yet: ask again */
	RESULT_TOO_OLD,  /* the snapshot's versions are gone */
	RESULT_FULL,     /* too many clients, or no memory: nothing was done */
	RESULT_BAD,      /* not of the form, or over a limit of the configuration */
	RESULT_LARGE,    /* the answer does not fit into a datagram: ask by stream */
	RESULT_STRANGER, /* the configuration is another: not served here */
	RESULT_END,
};

struct message {
	uint8_t type;   /* enum message_type */
	uint8_t result; /* enum result */
	uint16_t shard;
	uint32_t from;          /* index of the replica, or MESSAGE_NOT_A_REPLICA */
	uint64_t configuration; /* sum of what all must agree on */
	uint64_t view, op, commit;
	uint64_t client, number; /* of a transaction */
	uint64_t snapshot;       /* reads are as of the operations below it; 0: of all until now */
	uint64_t nonce;
	uint64_t incarnation; /* of the sender: grows with each start */
	const void *body;
	uint32_t body_len;
	/* Of one that goes out: what follows on the wire, as a part of the body that stands elsewhere. */
	const void *tail;
	uint32_t tail_len;
	bool by_stream; /* of one that goes out: where there are datagrams, it is none */
};

/** message_header - write it to @header of MESSAGE_HEADER_LEN bytes; body and tail follow it on the wire */
void message_header(const struct message *message, void *header);

/** message_size - bytes of all of it */
static inline size_t message_size(const struct message *message)
{
	return MESSAGE_HEADER_LEN + (size_t)message->body_len + message->tail_len;
}

/** message_write - all of it, to @bytes of message_size */
void message_write(const struct message *message, void *bytes);

/**
 * message_parse - @bytes are one message, whole; its body stays where it is
 *
 * Return: 0, -EBADMSG: not of the form, -EPROTONOSUPPORT: of another version of it.
 */
int message_parse(struct message *message, const void *bytes, size_t len);

#endif /* TXNSTORE_MESSAGE_H */
