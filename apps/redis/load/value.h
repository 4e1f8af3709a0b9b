/* SPDX-License-Identifier: MIT */
/*
 * What stands in a value. Every byte follows from the key, the run, the version and the offset, so
 * that a value is verified where it was received, without a copy of it, and so that a value of another
 * key, one put together from two versions, and one that is too old show.
 *
 * A value of VALUE_STAMPED_MIN bytes or more begins, little endian, with the run (4 bytes) and the
 * version (8) that wrote it. The rest, or all of a shorter one, is a window on a table of random bytes,
 * whose place is a hash of key, run, version and size (of a shorter one: of key and size). The table's
 * period is prime, and it is written out once as long as the longest window, so that every value can be
 * sent from there by reference and compared in one piece.
 */
#ifndef REDIS_LOAD_VALUE_H
#define REDIS_LOAD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_PERIOD 8191
#define VALUE_STAMP_BYTES 12
#define VALUE_STAMPED_MIN 16 /* bytes of a value that has a stamp */

/* Bytes of the table for values of @size bytes. */
#define VALUE_TABLE_BYTES(size) ((size_t)(size) + VALUE_PERIOD)

struct value_table {
	uint32_t size;  /* bytes of a value */
	uint32_t stamp; /* bytes of its stamp: VALUE_STAMP_BYTES or 0 */
	uint8_t *bytes; /* [VALUE_TABLE_BYTES(size)], the caller's */
};

/* Which value it is; run and version are 0 in a value without a stamp. */
struct value_id {
	uint64_t key;
	uint32_t run;
	uint64_t version;
};

/** value_table_init - @bytes: VALUE_TABLE_BYTES(@size) of them, which are written here and never again */
void value_table_init(struct value_table *table, uint32_t size, uint8_t *bytes);

/** value_stamp - write the first table->stamp bytes of a value */
void value_stamp(const struct value_table *table, const struct value_id *id, uint8_t *stamp);

/** value_window - the table->size - table->stamp bytes behind it, in the table */
uint8_t *value_window(const struct value_table *table, const struct value_id *id);

/* A value that is being received. */
struct value_check {
	struct value_id id; /* run and version: 0 until the stamp has come */
	uint32_t offset;    /* bytes that came and were right */
	const uint8_t *window;
	uint8_t stamp[VALUE_STAMP_BYTES];
};

void value_check_begin(struct value_check *check, const struct value_table *table, uint64_t key);

/**
 * value_check_run - compare the next bytes; no more than the value's size in all
 *
 * A stamp is taken as it is. Return: whether they are right; if not, check->offset is that of the first
 * wrong one.
 */
bool value_check_run(struct value_check *check, const struct value_table *table,
		     const uint8_t *data, size_t length);

/** value_check_expected - the byte that is right at check->offset, behind the stamp */
uint8_t value_check_expected(const struct value_check *check, const struct value_table *table);

#endif /* REDIS_LOAD_VALUE_H */
