/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum: the complement of the ones' complement sum of 16-bit words (RFC 1071).
 *
 * A sum under way is 64 bits wide and in the host's byte order, which the sum does not mind
 * (RFC 1071, section 2, B); checksum_finish gives the field's value for store_be16. Sums of pieces
 * that begin at even offsets may be added in any order; struct checksum takes pieces of odd
 * lengths too, in their order.
 *
 *	sum = checksum_pseudo(&source, &destination, IPPROTO_TCP, length);
 *	sum = checksum_add(sum, segment, length); with a checksum field of 0
 *	store_be16(segment + TCP_CHECKSUM_OFFSET, checksum_finish(sum));
 *
 * On arrival the field is summed along, and checksum_is_valid answers. A device that completes
 * checksums wants the field to hold checksum_partial of the pseudo header alone.
 */
#ifndef DEMI_WIRE_CHECKSUM_H
#define DEMI_WIRE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/bytes.h"

/** checksum_add_words - two sums as one: 64 bits with the carry brought round */
static inline uint64_t checksum_add_words(uint64_t sum, uint64_t words)
{
	sum += words;
	return sum + (sum < words);
}

/**
 * checksum_add - sum the bytes of a piece that begins at an even offset; a last odd byte is
 * followed by a zero
 * @length: bytes, below 4 GiB
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t length);

/** checksum_fold - 64 bits to 16, in the host's byte order; 0 only for a sum of nothing but 0 */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half;

	sum += sum >> 32 | sum << 32;
	half = (uint32_t)(sum >> 32);
	half += half >> 16 | half << 16;
	return (uint16_t)(half >> 16);
}

/** checksum_partial - the sum itself, as the value of a field that a device is to complete */
static inline uint16_t checksum_partial(uint64_t sum)
{
	return be16toh(checksum_fold(sum));
}

/** checksum_finish - the value of the checksum field */
static inline uint16_t checksum_finish(uint64_t sum)
{
	return (uint16_t)~checksum_partial(sum);
}

/** checksum_is_valid - whether a sum that includes the checksum field is all ones */
static inline bool checksum_is_valid(uint64_t sum)
{
	return checksum_fold(sum) == 0xffff;
}

/** checksum_finish_udp - as checksum_finish; 0 would say "none", so it is 0xffff (RFC 768) */
static inline uint16_t checksum_finish_udp(uint64_t sum)
{
	uint16_t checksum = checksum_finish(sum);

	return checksum ? checksum : 0xffff;
}

/**
 * checksum_pseudo - the sum of the pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1)
 * @source, @destination: of one version, which decides the form
 * @length: bytes of the upper layer's header and data
 */
static inline uint64_t checksum_pseudo(const struct ip_address *source,
				       const struct ip_address *destination, uint8_t protocol,
				       uint32_t length)
{
	uint64_t sum = (uint64_t)htobe32(length) + htobe32(protocol), words[4];

	memcpy(&words[0], source->bytes, sizeof(source->bytes));
	memcpy(&words[2], destination->bytes, sizeof(destination->bytes));
	/* The prefix of a mapped address adds ffff, which is 0. */
	sum = checksum_add_words(sum, words[0]);
	sum = checksum_add_words(sum, words[1]);
	sum = checksum_add_words(sum, words[2]);
	return checksum_add_words(sum, words[3]);
}

/** struct checksum - a sum over pieces of any lengths; { 0 } or {.sum = checksum_pseudo(...)} */
struct checksum {
	uint64_t sum;
	bool odd; /* the next piece begins at an odd offset */
};

/** checksum_append - the next piece; one at an odd offset counts with its bytes exchanged */
void checksum_append(struct checksum *checksum, const void *data, size_t length);

/**
 * checksum_update16 - a checksum field after one 16-bit word of the data has changed
 *
 * Equation 3 of RFC 1624, section 3. All values as of load_be16. Of data that has a word other
 * than 0 it gives what a new sum would.
 */
static inline uint16_t checksum_update16(uint16_t checksum, uint16_t before, uint16_t after)
{
	uint32_t sum = (uint32_t)(uint16_t)~checksum + (uint16_t)~before + after;

	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/** checksum_update32 - as checksum_update16, for an aligned 32-bit word as of load_be32 */
static inline uint16_t checksum_update32(uint16_t checksum, uint32_t before, uint32_t after)
{
	checksum = checksum_update16(checksum, (uint16_t)(before >> 16), (uint16_t)(after >> 16));
	return checksum_update16(checksum, (uint16_t)before, (uint16_t)after);
}

#endif /* DEMI_WIRE_CHECKSUM_H */
