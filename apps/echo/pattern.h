/* SPDX-License-Identifier: MIT */
/*
 * What stands in a message. Every byte follows from the connection, the message's sequence number
 * and the offset, so that the client verifies an echo without keeping what it sent.
 *
 * A message of 16 bytes or more begins, little endian, with its sequence number (8 bytes), its
 * connection (4) and its size (4). A shorter datagram begins with as many low bytes of the
 * sequence number as fit, at most 8. The rest is a window on a table of random bytes, whose place
 * is a hash of connection and sequence number. The table's period is prime, so that blocks that
 * were swapped or shifted show.
 */
#ifndef ECHO_PATTERN_H
#define ECHO_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define PATTERN_PERIOD 8191
#define PATTERN_PREFIX_MAX 16

struct pattern {
	uint32_t size;         /* bytes in a message */
	uint32_t prefix;       /* bytes before the table's: 0..16 */
	uint32_t number_bytes; /* bytes of the sequence number in the prefix: 0..8 */
	uint64_t modulus;      /* sequence numbers go out modulo this; 0: 2^64 */
	uint8_t table[PATTERN_PERIOD];
};

void pattern_init(struct pattern *pattern, const struct options *options);

/** pattern_fill - write one whole message. */
void pattern_fill(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		  uint8_t *message);

/**
 * pattern_match - compare a run of a message's bytes with what they must be
 * @offset: of data[0] in the message; offset + length <= size
 *
 * Return: how many bytes are right before the first wrong one; @length when all are.
 */
size_t pattern_match(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		     size_t offset, const uint8_t *data, size_t length);

/** pattern_byte - what one byte must be. */
uint8_t pattern_byte(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		     size_t offset);

/** pattern_number - a sequence number as it goes out: modulo what the message has room for. */
uint64_t pattern_number(const struct pattern *pattern, uint64_t sequence);

/** pattern_read_number - the number in a received message. */
uint64_t pattern_read_number(const struct pattern *pattern, const uint8_t *message);

#endif /* ECHO_PATTERN_H */
