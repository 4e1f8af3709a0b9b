/* SPDX-License-Identifier: MIT */
/*
 * MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489, 14.5 to 14.7), and the keys
 * of long-term credentials (9.2.2). SHA-1, SHA-256 and MD5 are nettle's.
 */
#ifndef RELAY_STUN_INTEGRITY_H
#define RELAY_STUN_INTEGRITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stun_message.h"

#define STUN_MD5_BYTES 16
#define STUN_SHA1_BYTES 20
#define STUN_SHA256_BYTES 32
#define STUN_KEY_BYTES_MAX 64

/** Numbers of PASSWORD-ALGORITHM (RFC 8489, 18.5). */
enum stun_algorithm { STUN_ALGORITHM_MD5 = 1, STUN_ALGORITHM_SHA256 = 2 };

struct stun_key {
	uint8_t bytes[STUN_KEY_BYTES_MAX];
	size_t length;
};

/** A run of characters that came in a message, or from the configuration. */
struct stun_text {
	const char *text;
	size_t length;
};

/** stun_key_make - the key of a long-term credential */
void stun_key_make(struct stun_key *key, enum stun_algorithm algorithm, struct stun_text user,
		   struct stun_text realm, struct stun_text password);

/** stun_userhash - USERHASH (RFC 8489, 14.4) */
void stun_userhash(uint8_t hash[STUN_SHA256_BYTES], struct stun_text user, struct stun_text realm);

/** stun_integrity_is_right - MESSAGE-INTEGRITY of a message that has it */
bool stun_integrity_is_right(const struct stun_message *message, const struct stun_key *key);

/** stun_integrity_sha256_is_right - MESSAGE-INTEGRITY-SHA256 of a message that has it */
bool stun_integrity_sha256_is_right(const struct stun_message *message, const struct stun_key *key);

/** stun_fingerprint_is_right - FINGERPRINT of a message that has it */
bool stun_fingerprint_is_right(const struct stun_message *message);

void stun_add_integrity(struct stun_writer *writer, const struct stun_key *key);
void stun_add_integrity_sha256(struct stun_writer *writer, const struct stun_key *key);
void stun_add_fingerprint(struct stun_writer *writer);

#endif /* RELAY_STUN_INTEGRITY_H */
