/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for messages of STUN: what the parser finds lies in the message, means what the
 * message says, and is the same again once it is written. Also every address, HMAC and checksum that
 * an attacker can have computed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stun_integrity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "stun_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

static void check_values(const struct stun_message *message)
{
	for (unsigned int i = 0; i < STUN_ATTRIBUTE_COUNT; i++) {
		size_t length;
		const uint8_t *value = stun_value(message, (enum stun_attribute)i, &length);

		must((value != NULL) == stun_has(message, (enum stun_attribute)i));
		if (!value)
			continue;
		must(value >= message->bytes + STUN_HEADER_BYTES + STUN_ATTRIBUTE_BYTES);
		must(length <= (size_t)(message->bytes + message->length - value));
	}
	must(message->unknown_count <= STUN_UNKNOWN_MAX);
	for (unsigned int i = 0; i < message->unknown_count; i++) {
		must(message->unknown[i] < 0x8000);
		for (unsigned int j = 0; j < i; j++)
			must(message->unknown[i] != message->unknown[j]);
	}
}

static void check_peers(const struct stun_message *message)
{
	struct net_address peer;
	size_t place = 0, before = 0, count = 0;
	int result;

	while ((result = stun_next_peer(message, &place, &peer)) > 0) {
		uint8_t bytes[64];
		struct stun_writer writer;
		struct stun_message again;
		struct net_address read;
		size_t start = 0;

		must(place > before && place <= message->length && ++count <= message->length / 12);
		before = place;
		must(peer.family == NET_V4 || peer.family == NET_V6);
		stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_SEND, STUN_INDICATION,
			   message->transaction);
		stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &peer);
		must(!writer.is_full && stun_parse(&again, bytes, writer.length) == 0);
		must(stun_next_peer(&again, &start, &read) == 1);
		must(net_address_equal(&read, &peer));
	}
}

/* The message once more, with an integrity and a fingerprint behind it, which then are right. */
static void check_integrity(const struct stun_message *message)
{
	static uint8_t bytes[UINT16_MAX + 1];
	const struct stun_key key = {.bytes = "key", .length = 3};
	struct stun_writer writer = {.bytes = bytes, .room = UINT16_MAX, .length = message->length};
	struct stun_message again;

	stun_integrity_is_right(message, &key);
	stun_integrity_sha256_is_right(message, &key);
	stun_fingerprint_is_right(message);
	if (stun_has(message, STUN_FINGERPRINT))
		return;
	memcpy(bytes, message->bytes, message->length);
	stun_add_integrity(&writer, &key);
	stun_add_integrity_sha256(&writer, &key);
	stun_add_fingerprint(&writer);
	if (writer.is_full)
		return;
	must(stun_parse(&again, bytes, writer.length) == 0);
	must(again.method == message->method && again.class == message->class);
	must(stun_fingerprint_is_right(&again));
	if (stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256))
		return;
	if (!stun_has(message, STUN_MESSAGE_INTEGRITY))
		must(stun_integrity_is_right(&again, &key));
	must(stun_integrity_sha256_is_right(&again, &key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A block of its own, so that a byte too far is seen. */
	uint8_t *copy = malloc(size + 1);
	struct stun_message message;

	must(copy);
	memcpy(copy, data, size);
	copy = realloc(copy, size ? size : 1);
	must(copy);
	if (stun_parse(&message, copy, size) == 0) {
		must(message.length == size && size >= STUN_HEADER_BYTES && size % 4 == 0);
		check_values(&message);
		check_peers(&message);
		check_integrity(&message);
	}
	free(copy);
	return 0;
}
