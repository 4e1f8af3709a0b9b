/* SPDX-License-Identifier: MIT */
/*
 * What a shard's replicas agree on, one after the other: a participant's part of a transaction is
 * prepared, its decision carried out, or a part that has not come refused for good.
 */
#ifndef TXNSTORE_OPERATION_H
#define TXNSTORE_OPERATION_H

#include "bytes.h"
#include "message.h"

/* Entries of a log in messages: view, time, length, and then the operation. */
#define OPLOG_HEAD 20u
/* What a client may ask for must go to the other replicas as well. */
#define OPERATION_MAX (BODY_MAX - OPLOG_HEAD)

enum operation_kind {
	/* Validate what was read, lock what was read and is written: the shard's vote. Of a transaction of
	 * this shard alone the vote is the outcome, and is carried out at once. */
	OPERATION_PREPARE = 1,
	OPERATION_DECIDE, /* all have voted yes, or one has not: carry it out, let go the locks */
	OPERATION_REFUSE, /* vote no, if there is no vote yet */
};

struct operation {
	enum operation_kind kind;
	bool commits; /* DECIDE */
	uint64_t client, number;
	uint64_t finished_below; /* the client's transactions below are over in every shard */
	uint16_t shards;         /* PREPARE: how many take part */
	const uint8_t *shard_list;
	uint32_t reads, writes;
	struct reader sets; /* then the sets of reads and of writes */
};

/* One of a set of reads, or of writes. */
struct access {
	const uint8_t *key;
	uint16_t key_len;
	uint64_t
		version; /* of a read: the operation that wrote what was seen, 0: nothing was there */
	const uint8_t *value; /* of a write; NULL: delete */
	uint32_t value_len;
};

/** operation_parse - whole, with every limit; what it returns points into @bytes. Return: 0, -EBADMSG. */
int operation_parse(struct operation *operation, const void *bytes, size_t len);

/** operation_write - the head of one, up to the sets, whose counts @operation says */
void operation_write(struct writer *writer, const struct operation *operation,
		     const uint16_t *shards);
void operation_write_read(struct writer *writer, const void *key, uint16_t key_len,
			  uint64_t version);
void operation_write_write(struct writer *writer, const void *key, uint16_t key_len,
			   const void *value, uint32_t value_len);

/** operation_read - the next of the set of reads, of a parsed operation, `reads` times */
void operation_read(struct reader *sets, struct access *access);
/** operation_write_of - then the next of the set of writes, `writes` times */
void operation_write_of(struct reader *sets, struct access *access);

static inline uint16_t operation_shard(const struct operation *operation, uint16_t index)
{
	struct reader reader = reader_of(operation->shard_list + 2 * (size_t)index, 2);

	return read_u16(&reader);
}

#endif /* TXNSTORE_OPERATION_H */
