/* SPDX-License-Identifier: MIT */
/*
 * What of a replica is in its log, so that it is the same after a restart: operations, the view that it
 * takes part in, and, all at once by the last record of a row, what it took over from another.
 *
 * A record: its kind, a view, the number of an operation, and that of the last that was carried out; then, by kind, an entry as in messages, the
 * tables or items of a snapshot. The first one says whose log it is, and of which version all are.
 */
#include <errno.h>

#include "replica_parts.h"

#define RECORD_HEAD 25u
#define LOG_MAGIC 0x4c585444u /* "DTXL" */
#define LOG_VERSION 1u

enum record_kind {
	RECORD_ENTRY = 1, /* the next operation */
	RECORD_VIEW,      /* no view before this one is taken part in any more */
	RECORD_STAGED,    /* an operation that counts from the next INSTALL on */
	RECORD_TABLES,    /* a part of a snapshot's tables, behind their size in all; as STAGED */
	RECORD_ITEMS,     /* items of a snapshot; as STAGED */
	RECORD_INSTALL, /* behind this operation stands what was staged; the log is of this view */
	RECORD_INSTALL_SNAPSHOT, /* and up to it the snapshot */
	/* Whose log it is, and which starts of the others are known; whether it was new, as all were. */
	RECORD_IDENTITY = 16,
};

/* Room for a record with @size bytes behind its head. Return: false, and the replica goes on no more. */
static bool record_begin(struct replica *replica, struct writer *writer, size_t size)
{
	if (!replica->has_identity)
		record_identity(replica);
	*writer = (struct writer){.room = RECORD_HEAD + size, .len = RECORD_HEAD};
	writer->bytes = replica->memory->alloc(replica->memory->context, writer->room);
	if (!writer->bytes)
		replica_fail(replica);
	return writer->bytes;
}

static void record_end(struct replica *replica, struct writer *writer, enum record_kind kind,
		       uint64_t op)
{
	struct writer head = {.bytes = writer->bytes, .room = RECORD_HEAD};

	write_u8(&head, (uint8_t)kind);
	write_u64(&head, replica->view);
	write_u64(&head, op);
	write_u64(&head, replica->shard.applied);
	replica->written++;
	replica->log_bytes += writer->len;
	replica->log_taken += writer->len;
	replica->ops->write(replica->context, writer->bytes, writer->len);
	replica->memory->free(replica->memory->context, writer->bytes);
}

static void write_record(struct replica *replica, enum record_kind kind, uint64_t op,
			 const struct oplog *log)
{
	struct writer writer;

	if (!record_begin(replica, &writer, log ? oplog_size(oplog_at(log, op)) : 0))
		return;
	if (log) {
		struct oplog one = {.entries = oplog_at(log, op), .count = 1, .first = op};

		(void)oplog_write(&one, op, &writer);
	}
	record_end(replica, &writer, kind, op);
}

/* Once the last record is durable, so are the log's operations up to @op. */
static bool await(struct replica *replica, uint64_t op)
{
	const struct memory *memory = replica->memory;
	size_t room = replica->unwritten_room;

	if (!replica->unwritten || replica->unwritten_first + replica->unwritten_count == room) {
		void *grown = replica->unwritten;

		if (!replica->unwritten || replica->unwritten_count == room) {
			room = room ? 2 * room : 256;
			grown = memory->alloc(memory->context, room * sizeof(*replica->unwritten));
			if (!grown)
				return false;
		}
		if (replica->unwritten && replica->unwritten_count)
			memmove(grown, replica->unwritten + replica->unwritten_first,
				replica->unwritten_count * sizeof(*replica->unwritten));
		if (replica->unwritten && grown != replica->unwritten)
			memory->free(memory->context, replica->unwritten);
		replica->unwritten = grown;
		replica->unwritten_room = room;
		replica->unwritten_first = 0;
	}
	room = replica->unwritten_first + replica->unwritten_count++;
	replica->unwritten[room].record = replica->written;
	replica->unwritten[room].op = op;
	return true;
}

void record_entry(struct replica *replica)
{
	if (!replica->ops->write)
		return;
	write_record(replica, RECORD_ENTRY, replica_op(replica), &replica->log);
	if (replica->status != REPLICA_FAILED && !await(replica, replica_op(replica)))
		replica_fail(replica);
}

static void write_identity(const struct replica *replica, struct writer *writer)
{
	const struct replica_config *config = &replica->config;

	write_u32(writer, LOG_MAGIC);
	write_u16(writer, LOG_VERSION);
	write_u16(writer, config->shard);
	write_u16(writer, config->shards);
	write_u32(writer, config->index);
	write_u32(writer, config->count);
	write_u8(writer, replica->is_restored);
	for (uint32_t i = 0; i < config->count; i++)
		write_u64(writer, replica->incarnations[i]);
}

void record_identity(struct replica *replica)
{
	struct writer size = {.room = 0}, writer;

	replica->has_identity = true;
	write_identity(replica, &size);
	if (!record_begin(replica, &writer, size.len))
		return;
	write_identity(replica, &writer);
	record_end(replica, &writer, RECORD_IDENTITY, 0);
}

void record_view(struct replica *replica)
{
	if (replica->ops->write && replica->status != REPLICA_FAILED)
		write_record(replica, RECORD_VIEW, 0, NULL);
}

/* ---- Snapshots ---- */

static void write_tables(struct replica *replica, const struct shard *shard)
{
	const struct memory *memory = replica->memory;
	struct writer all = {.room = 0}, writer;

	shard_write_tables(shard, &all);
	all = (struct writer){.room = all.len};
	all.bytes = memory->alloc(memory->context, all.room);
	if (!all.bytes) {
		replica_fail(replica);
		return;
	}
	shard_write_tables(shard, &all);
	for (size_t at = 0, part; at < all.len; at += part) {
		part = all.len - at < replica->config.batch_bytes ? all.len - at
								  : replica->config.batch_bytes;
		if (!record_begin(replica, &writer, 8 + part))
			break;
		write_u64(&writer, all.len);
		write_bytes(&writer, all.bytes + at, part);
		record_end(replica, &writer, RECORD_TABLES, shard->applied);
	}
	memory->free(memory->context, all.bytes);
}

/* As many as a record of the usual size takes; one at least. Return: how many slots are left. */
static size_t write_items(struct replica *replica, const struct shard *shard, size_t slots)
{
	struct writer size = {.room = 0}, writer;
	size_t from = slots;

	do
		shard_write_item(shard->store.slots[--slots], shard->applied, &size);
	while (slots && size.len < replica->config.batch_bytes);
	if (!record_begin(replica, &writer, size.len))
		return 0;
	for (size_t slot = from; slot > slots; slot--)
		shard_write_item(shard->store.slots[slot - 1], shard->applied, &writer);
	record_end(replica, &writer, RECORD_ITEMS, shard->applied);
	return slots;
}

static void write_shard(struct replica *replica, const struct shard *shard)
{
	size_t slots = shard->store.slot_count;

	write_tables(replica, shard);
	while (slots && replica->status != REPLICA_FAILED)
		slots = write_items(replica, shard, slots);
}

void record_install(struct replica *replica, uint64_t base, const struct oplog *log,
		    const struct shard *shard)
{
	uint64_t last = log ? oplog_last(log) : base;

	if (!replica->ops->write)
		return;
	/* What was staged before a crash, and came to nothing, is forgotten by it. */
	record_view(replica);
	if (shard)
		write_shard(replica, shard);
	for (uint64_t op = base + 1; op <= last && replica->status != REPLICA_FAILED; op++)
		write_record(replica, RECORD_STAGED, op, log);
	/* What of the old log was on its way to the disk is not what counts now. */
	if (replica->durable_op > base)
		replica->durable_op = base;
	for (size_t i = 0; i < replica->unwritten_count; i++)
		if (replica->unwritten[replica->unwritten_first + i].op > base)
			replica->unwritten[replica->unwritten_first + i].op = base;
	if (replica->status != REPLICA_FAILED)
		write_record(replica, shard ? RECORD_INSTALL_SNAPSHOT : RECORD_INSTALL, base, NULL);
	if (replica->status != REPLICA_FAILED && !await(replica, last))
		replica_fail(replica);
}

/* The state, and the operations behind what was carried out, as they stand in the log. */
static void write_all(struct replica *replica)
{
	uint64_t view = replica->view;

	/* The log is of the last view that was normal, whatever this replica takes part in now. */
	replica->view = replica->last_normal;
	write_shard(replica, &replica->shard);
	for (uint64_t op = replica->shard.applied + 1; op <= replica_op(replica); op++)
		if (replica->status != REPLICA_FAILED)
			write_record(replica, RECORD_STAGED, op, &replica->log);
	if (replica->status != REPLICA_FAILED)
		write_record(replica, RECORD_INSTALL_SNAPSHOT, replica->shard.applied, NULL);
	replica->view = view;
	record_view(replica);
}

static bool has_grown(const struct replica *replica)
{
	const struct replica_config *config = &replica->config;
	uint64_t since = replica->log_bytes - replica->rewritten_bytes;

	if (config->log_room && replica->log_taken >= config->log_room / 5 * 2)
		return true;
	return config->rewrite_bytes && since >= config->rewrite_bytes &&
	       since >= replica->rewritten_bytes;
}

void record_rewrite(struct replica *replica)
{
	/* One that has lost what it had must not seem to have it again. */
	if (!replica->ops->write || replica->status == REPLICA_RECOVERING ||
	    replica->status == REPLICA_FAILED || replica->adoption.is_on ||
	    replica->durable < replica->rewritten || !has_grown(replica))
		return;
	replica->rewrites++;
	replica->log_bytes = replica->log_taken = 0;
	replica->ops->rewrite(replica->context, true);
	replica->has_identity = false;
	write_all(replica);
	replica->ops->rewrite(replica->context, false);
	replica->rewritten = replica->written;
	replica->rewritten_bytes = replica->log_bytes;
	if (replica->status != REPLICA_FAILED && !await(replica, replica_op(replica)))
		replica_fail(replica);
}

void replica_written(struct replica *replica, uint64_t now_ns, uint64_t records)
{
	replica_now(replica, now_ns);
	replica->durable = records;
	while (replica->unwritten_count &&
	       replica->unwritten[replica->unwritten_first].record <= records) {
		uint64_t op = replica->unwritten[replica->unwritten_first].op;

		if (op > replica->durable_op)
			replica->durable_op = op;
		replica->unwritten_first++;
		replica->unwritten_count--;
	}
	if (replica_leads(replica))
		replica_count_acks(replica);
	record_rewrite(replica);
}

/* ---- From the log ---- */

static int restore_entry(struct replica *replica, struct oplog *log, uint64_t op,
			 struct reader *reader)
{
	struct entry entry;
	int error = oplog_read(reader, replica->memory, &entry);

	if (error)
		return error;
	if (op == oplog_last(log) + 1)
		error = oplog_add(log, replica->memory, &entry);
	else
		error = -EBADMSG;
	if (error)
		blob_release(entry.blob);
	else if (entry.time_ns > replica->last_time_ns)
		replica->last_time_ns = entry.time_ns;
	return error;
}

static void drop_staged_shard(struct replica *replica)
{
	const struct memory *memory = replica->memory;

	if (replica->has_staged_shard)
		shard_destroy(&replica->staged_shard);
	replica->has_staged_shard = false;
	if (replica->staged_tables)
		memory->free(memory->context, replica->staged_tables);
	replica->staged_tables = NULL;
	replica->staged_tables_len = 0;
}

void record_destroy(struct replica *replica)
{
	drop_staged_shard(replica);
	oplog_destroy(&replica->staged, replica->memory);
	if (replica->unwritten)
		replica->memory->free(replica->memory->context, replica->unwritten);
}

static int begin_tables(struct replica *replica, uint64_t total)
{
	const struct memory *memory = replica->memory;

	drop_staged_shard(replica);
	if (total == 0 || total > snapshot_tables_max(replica))
		return -EBADMSG;
	replica->staged_tables = memory->alloc(memory->context, total);
	replica->staged_tables_total = total;
	return replica->staged_tables ? 0 : -ENOMEM;
}

static int restore_tables(struct replica *replica, struct reader *reader)
{
	uint64_t total = read_u64(reader);
	struct reader tables;
	int error = 0;

	/* The first part: what is whole has become a shard. */
	if (!replica->staged_tables || replica->has_staged_shard)
		error = begin_tables(replica, total);
	if (error)
		return error;
	if (reader->failed ||
	    reader->left > replica->staged_tables_total - replica->staged_tables_len)
		return -EBADMSG;
	memcpy(replica->staged_tables + replica->staged_tables_len, reader->at, reader->left);
	replica->staged_tables_len += reader->left;
	(void)read_bytes(reader, reader->left);
	if (replica->staged_tables_len < replica->staged_tables_total)
		return 0;
	error = shard_init(&replica->staged_shard, replica->memory, &replica->config.limits);
	if (error)
		return error;
	replica->has_staged_shard = true;
	tables = reader_of(replica->staged_tables, replica->staged_tables_total);
	error = shard_read_tables(&replica->staged_shard, &tables);
	return !error && !reader_ended(&tables) ? -EBADMSG : error;
}

static int restore_items(struct replica *replica, struct reader *reader)
{
	int error = replica->has_staged_shard ? 0 : -EBADMSG;

	while (reader->left && !error)
		error = shard_read_item(&replica->staged_shard, reader);
	return error;
}

static int restore_snapshot(struct replica *replica, uint64_t base)
{
	int error;

	if (!replica->has_staged_shard || replica->staged_shard.applied != base)
		return -EBADMSG;
	error = shard_lock_prepared(&replica->staged_shard);
	if (error)
		return error;
	store_set_horizon(&replica->staged_shard.store, base);
	shard_destroy(&replica->shard);
	shard_move(&replica->shard, &replica->staged_shard);
	replica->has_staged_shard = false;
	drop_staged_shard(replica);
	oplog_cut(&replica->log, replica->log.first - 1);
	replica->log.first = base + 1;
	replica->commit = base;
	return 0;
}

static int restore_install(struct replica *replica, uint64_t base)
{
	struct oplog *staged = &replica->staged;
	int error = 0;

	if (base > replica_op(replica) || base + 1 < replica->log.first ||
	    (staged->count && staged->first != base + 1))
		return -EBADMSG;
	oplog_cut(&replica->log, base);
	for (size_t i = 0; i < staged->count && !error; i++)
		error = oplog_add(&replica->log, replica->memory, &staged->entries[i]);
	if (error)
		return error;
	staged->count = 0;
	staged->bytes = 0;
	replica->last_normal = replica->view;
	replica->is_restored = true;
	return 0;
}

static bool is_own(const struct replica *replica, const struct log_identity *identity)
{
	const struct replica_config *config = &replica->config;

	return identity->shard == config->shard && identity->shards == config->shards &&
	       identity->index == config->index && identity->count == config->count;
}

static int restore_identity(struct replica *replica, struct reader *reader)
{
	struct log_identity identity;

	if (read_u32(reader) != LOG_MAGIC || read_u16(reader) != LOG_VERSION)
		return -EPROTONOSUPPORT;
	identity.shard = read_u16(reader);
	identity.shards = read_u16(reader);
	identity.index = read_u32(reader);
	identity.count = read_u32(reader);
	replica->is_restored |= read_u8(reader) != 0;
	if (!reader->failed && !is_own(replica, &identity)) {
		replica->other = identity;
		return -EXDEV;
	}
	for (uint32_t i = 0; i < replica->config.count; i++)
		replica->incarnations[i] = read_u64(reader);
	replica->incarnation = replica->incarnations[replica->config.index];
	replica->has_identity = true;
	return 0;
}

/* What was carried out had been committed; else all of a long log would be taken from the others again. */
static int restore_applied(struct replica *replica, uint64_t applied)
{
	if (applied > replica->commit)
		replica->commit = applied;
	replica_execute(replica);
	return replica->status == REPLICA_FAILED ? -ENOMEM : 0;
}

int replica_restore(struct replica *replica, const void *record, size_t len)
{
	struct reader reader = reader_of(record, len);
	uint8_t kind = read_u8(&reader);
	uint64_t view = read_u64(&reader), op = read_u64(&reader), applied = read_u64(&reader);
	int error;

	if (!replica->has_identity && kind != RECORD_IDENTITY)
		return -EPROTONOSUPPORT;
	if (reader.failed || view < replica->view)
		return -EBADMSG;
	replica->view = view;
	error = restore_applied(replica, applied);
	if (error)
		return error;
	switch (kind) {
	case RECORD_ENTRY:
		error = restore_entry(replica, &replica->log, op, &reader);
		break;
	case RECORD_STAGED:
		if (replica->staged.count == 0)
			replica->staged.first = op;
		error = restore_entry(replica, &replica->staged, op, &reader);
		break;
	case RECORD_TABLES:
		error = restore_tables(replica, &reader);
		break;
	case RECORD_ITEMS:
		error = restore_items(replica, &reader);
		break;
	case RECORD_INSTALL_SNAPSHOT:
		error = restore_snapshot(replica, op);
		if (!error)
			error = restore_install(replica, op);
		break;
	case RECORD_INSTALL:
		error = restore_install(replica, op);
		break;
	case RECORD_IDENTITY:
		error = restore_identity(replica, &reader);
		break;
	case RECORD_VIEW:
		drop_staged_shard(replica);
		oplog_cut(&replica->staged, replica->staged.first - 1);
		break;
	default:
		error = -EBADMSG;
	}
	replica->log_bytes += len;
	replica->log_taken += len;
	if (kind == RECORD_INSTALL_SNAPSHOT)
		replica->rewritten_bytes = replica->log_bytes;
	replica->durable_op = replica_op(replica);
	return !error && !reader_ended(&reader) ? -EBADMSG : error;
}
