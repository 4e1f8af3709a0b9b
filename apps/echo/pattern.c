/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <endian.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* The finalizer of splitmix64: every input bit reaches every output bit. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* The place of a message's first byte in the table. */
static size_t window(uint32_t connection, uint64_t sequence)
{
	return mix(sequence + connection * GOLDEN) % PATTERN_PERIOD;
}

/*
 * The client's sequence number is round x inflight + slot. Cut to few bytes it must still tell the
 * slot and at least two rounds apart, hence a multiple of the window.
 */
static uint64_t largest_multiple(uint32_t number_bytes, uint32_t inflight)
{
	if (number_bytes == 0 || number_bytes == sizeof(uint64_t))
		return 0;
	uint64_t numbers = UINT64_C(1) << (8 * number_bytes);
	return numbers - numbers % inflight;
}

void pattern_init(struct pattern *pattern, const struct options *options)
{
	pattern->size = options->size;
	pattern->prefix = 0;
	pattern->number_bytes = 0;
	if (options->size >= PATTERN_PREFIX_MAX) {
		pattern->prefix = PATTERN_PREFIX_MAX;
		pattern->number_bytes = sizeof(uint64_t);
	} else if (options->protocol == PROTOCOL_UDP) {
		pattern->number_bytes = options->size < 8 ? options->size : 8;
		pattern->prefix = pattern->number_bytes;
	}
	pattern->modulus = largest_multiple(pattern->number_bytes, options->inflight);
	for (size_t i = 0; i < PATTERN_PERIOD; i++)
		pattern->table[i] = (uint8_t)mix((i + 1) * GOLDEN);
}

static void make_prefix(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
			uint8_t prefix[PATTERN_PREFIX_MAX])
{
	uint64_t number = htole64(pattern_number(pattern, sequence));
	uint32_t connection_le = htole32(connection);
	uint32_t size = htole32(pattern->size);

	memcpy(prefix, &number, sizeof(number));
	memcpy(prefix + 8, &connection_le, sizeof(connection_le));
	memcpy(prefix + 12, &size, sizeof(size));
}

void pattern_fill(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		  uint8_t *message)
{
	uint8_t prefix[PATTERN_PREFIX_MAX];
	size_t offset = pattern->prefix;
	size_t place = (window(connection, sequence) + offset) % PATTERN_PERIOD;

	make_prefix(pattern, connection, sequence, prefix);
	memcpy(message, prefix, pattern->prefix);
	while (offset < pattern->size) {
		size_t run = PATTERN_PERIOD - place;
		if (run > pattern->size - offset)
			run = pattern->size - offset;
		memcpy(message + offset, pattern->table + place, run);
		offset += run;
		place = 0;
	}
}

static size_t equal_bytes(const uint8_t *one, const uint8_t *other, size_t length)
{
	size_t i = 0;

	if (memcmp(one, other, length) == 0)
		return length;
	while (one[i] == other[i])
		i++;
	return i;
}

size_t pattern_match(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		     size_t offset, const uint8_t *data, size_t length)
{
	size_t place = (window(connection, sequence) + offset) % PATTERN_PERIOD;
	size_t done = 0;

	if (offset < pattern->prefix) {
		uint8_t prefix[PATTERN_PREFIX_MAX];
		size_t run = pattern->prefix - offset;
		if (run > length)
			run = length;
		make_prefix(pattern, connection, sequence, prefix);
		done = equal_bytes(data, prefix + offset, run);
		if (done < run)
			return done;
		place = (place + run) % PATTERN_PERIOD;
	}
	while (done < length) {
		size_t run = PATTERN_PERIOD - place;
		if (run > length - done)
			run = length - done;
		size_t equal = equal_bytes(data + done, pattern->table + place, run);
		done += equal;
		if (equal < run)
			break;
		place = 0;
	}
	return done;
}

uint8_t pattern_byte(const struct pattern *pattern, uint32_t connection, uint64_t sequence,
		     size_t offset)
{
	uint8_t prefix[PATTERN_PREFIX_MAX];

	if (offset >= pattern->prefix)
		return pattern->table[(window(connection, sequence) + offset) % PATTERN_PERIOD];
	make_prefix(pattern, connection, sequence, prefix);
	return prefix[offset];
}

uint64_t pattern_number(const struct pattern *pattern, uint64_t sequence)
{
	return pattern->modulus ? sequence % pattern->modulus : sequence;
}

uint64_t pattern_read_number(const struct pattern *pattern, const uint8_t *message)
{
	uint64_t number = 0;

	memcpy(&number, message, pattern->number_bytes);
	return le64toh(number);
}
