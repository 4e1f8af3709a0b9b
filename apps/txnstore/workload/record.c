/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <endian.h>
#include <string.h>

#include "scramble.h"
#include "txnstore/random.h"

#define PREFIX "user"
#define PREFIX_BYTES 4
#define DIGITS_MAX 19 /* 10^19 is below 2^64 */

static uint32_t digits_of(const struct workload_config *config)
{
	uint32_t digits = config->key_bytes - PREFIX_BYTES;

	return digits < DIGITS_MAX ? digits : DIGITS_MAX;
}

uint64_t workload_key_room(const struct workload_config *config)
{
	uint64_t room = 1;

	for (uint32_t i = digits_of(config); i > 0; i--)
		room *= 10;
	return room;
}

void workload_key(const struct workload_config *config, uint64_t record, char *key)
{
	struct scramble scramble;
	uint64_t number;

	scramble_init(&scramble, workload_key_room(config));
	number = scramble_of(&scramble, record);
	memcpy(key, PREFIX, PREFIX_BYTES);
	for (uint32_t i = config->key_bytes; i > PREFIX_BYTES; i--) {
		key[i - 1] = (char)('0' + number % 10);
		number /= 10;
	}
}

static size_t sequence_bytes(const struct workload_config *config)
{
	size_t half = config->value_bytes / 2;

	return half < sizeof(uint64_t) ? half : sizeof(uint64_t);
}

/* The random bytes behind the sequence number, @head its bytes as they stand in the value. */
static struct random tail_of(uint64_t record, const uint8_t *head, size_t head_bytes)
{
	uint64_t number = 0;

	memcpy(&number, head, head_bytes);
	return (struct random){random_mix(random_mix(record + 1) + le64toh(number))};
}

void workload_value(const struct workload_config *config, uint64_t record, uint64_t sequence,
		    void *value)
{
	uint8_t *bytes = value;
	size_t head = sequence_bytes(config);
	uint64_t word = htole64(sequence);
	struct random random;

	memcpy(bytes, &word, head);
	random = tail_of(record, bytes, head);
	for (size_t at = head, run; at < config->value_bytes; at += run) {
		run = config->value_bytes - at < sizeof(word) ? config->value_bytes - at
							      : sizeof(word);
		word = htole64(random_next(&random));
		memcpy(bytes + at, &word, run);
	}
}

bool workload_value_check(const struct workload_config *config, uint64_t record, const void *value,
			  size_t bytes, uint64_t *sequence)
{
	const uint8_t *found = value;
	size_t head = sequence_bytes(config);
	uint64_t word = 0;
	struct random random;

	if (bytes != config->value_bytes)
		return false;
	random = tail_of(record, found, head);
	for (size_t at = head, run; at < bytes; at += run) {
		run = bytes - at < sizeof(word) ? bytes - at : sizeof(word);
		word = htole64(random_next(&random));
		if (memcmp(found + at, &word, run) != 0)
			return false;
	}
	if (sequence) {
		word = 0;
		memcpy(&word, found, head);
		*sequence = le64toh(word);
	}
	return true;
}
