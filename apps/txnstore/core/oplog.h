/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_OPLOG_H
#define TXNSTORE_OPLOG_H

#include "replica.h"

/** oplog_init - empty, the first operation to come being @first */
void oplog_init(struct oplog *log, uint64_t first);
void oplog_destroy(struct oplog *log, const struct memory *memory);

/** oplog_last - the number of the last operation, or the one before the first */
static inline uint64_t oplog_last(const struct oplog *log)
{
	return log->first + log->count - 1;
}

/** oplog_at - an operation that is there */
static inline struct entry *oplog_at(const struct oplog *log, uint64_t op)
{
	return &log->entries[op - log->first];
}

/** oplog_add - take over @entry with its hold on the blob. Return: 0, -ENOMEM: not taken. */
int oplog_add(struct oplog *log, const struct memory *memory, const struct entry *entry);
/** oplog_cut - drop what comes behind @op */
void oplog_cut(struct oplog *log, uint64_t op);
/** oplog_drop - drop what comes before @op, which becomes the first */
void oplog_drop(struct oplog *log, uint64_t op);

/* Bytes of an operation that is not copied to be sent. */
#define OPLOG_LARGE 4096u

/** oplog_room - of the entry @op, and of those behind it which are not large, up to @batch bytes */
size_t oplog_room(const struct oplog *log, uint64_t op, size_t batch);
/** oplog_write - entries from @op on, whole ones, as many as fit. Return: how many. */
uint32_t oplog_write(const struct oplog *log, uint64_t op, struct writer *writer);
/** oplog_write_head - of the entry @op what comes before the operation, OPLOG_HEAD bytes */
void oplog_write_head(const struct oplog *log, uint64_t op, struct writer *writer);
/** oplog_read - the next of a body, into a blob of its own. Return: 0, -EBADMSG, -ENOMEM. */
int oplog_read(struct reader *reader, const struct memory *memory, struct entry *entry);
/** oplog_size - bytes that an entry takes */
size_t oplog_size(const struct entry *entry);

#endif /* TXNSTORE_OPLOG_H */
