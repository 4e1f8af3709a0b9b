/* SPDX-License-Identifier: MIT */
/*
 * Records as the store sees them: the key of a record's number, and values that follow from the
 * record and a sequence number, so that whoever reads one can tell whether it was ever written
 * there.
 *
 * A value begins, little endian, with its sequence number in 8 bytes, or in half of a value that is
 * shorter than 16, as many low bytes as there are. The rest are random bytes whose seed is the
 * record and the sequence number as it stands there: each of them catches a wrong value with 255
 * chances in 256. A single byte knows the record alone.
 */
#ifndef TXNSTORE_WORKLOAD_RECORD_H
#define TXNSTORE_WORKLOAD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/** WORKLOAD_SEQUENCE_FIRST - of the values that are there first; no transaction has it */
#define WORKLOAD_SEQUENCE_FIRST 0

/** workload_key_room - how many keys of key_bytes there are; record numbers are below it */
uint64_t workload_key_room(const struct workload_config *config);

/**
 * workload_key - the key of @record, which no other record has
 *
 * @key: key_bytes bytes of text: "user" and decimal digits, at most 19 of which tell, with
 *       zeros before them; no 0 behind it
 * The keys of neighbours lie far apart. @record must be below workload_key_room().
 */
void workload_key(const struct workload_config *config, uint64_t record, char *key);

/** workload_value - write to @value, value_bytes, what @record is worth at @sequence */
void workload_value(const struct workload_config *config, uint64_t record, uint64_t sequence,
		    void *value);

/**
 * workload_value_check - whether @value, @bytes long, could have been written for @record
 *
 * @sequence: which one, where it could; NULL: not asked for. Whole where value_bytes is 16 or more.
 */
bool workload_value_check(const struct workload_config *config, uint64_t record, const void *value,
			  size_t bytes, uint64_t *sequence);

#endif /* TXNSTORE_WORKLOAD_RECORD_H */
