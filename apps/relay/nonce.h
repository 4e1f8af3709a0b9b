/* SPDX-License-Identifier: MIT */
/*
 * Nonces that the server need not remember: the time, and an HMAC of it and of the client's address
 * with a key that only this process has. So a flood of requests costs no memory, and what was
 * recorded from one client is worth nothing to another.
 */
#ifndef RELAY_NONCE_H
#define RELAY_NONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_address.h"
#include "stun_integrity.h"

/* "obMatJos2", four characters of features (RFC 8489, 9.2.1), eight of time, sixteen of HMAC. */
#define NONCE_CHARACTERS 37

/** Features that a nonce announces (RFC 8489, 18.1). */
#define NONCE_PASSWORD_ALGORITHMS 1u /* bit 0, the leftmost */
#define NONCE_USERNAME_ANONYMITY 2u  /* bit 1 */

struct nonce_key {
	uint8_t bytes[STUN_SHA256_BYTES];
};

/** nonce_make - @now_s: a clock that only has to go on */
void nonce_make(char nonce[NONCE_CHARACTERS], const struct nonce_key *key,
		const struct net_address *client, uint32_t now_s, unsigned int features);

/**
 * nonce_is_fresh - whether we made it, for this client, at most @lifetime_s ago
 * @lifetime_s: 0: it does not grow old
 */
bool nonce_is_fresh(struct stun_text nonce, const struct nonce_key *key,
		    const struct net_address *client, uint32_t now_s, uint32_t lifetime_s);

/** nonce_features - which features a nonce announces, ours or not; 0: none */
unsigned int nonce_features(struct stun_text nonce);

#endif /* RELAY_NONCE_H */
