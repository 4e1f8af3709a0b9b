/* SPDX-License-Identifier: MIT */
#include "nonce.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#define COOKIE "obMatJos2"
#define COOKIE_CHARACTERS (sizeof(COOKIE) - 1)
#define TIME_AT (COOKIE_CHARACTERS + 4)
#define TIME_CHARACTERS 8
#define HMAC_AT (TIME_AT + TIME_CHARACTERS)
#define HMAC_BYTES ((size_t)8)

_Static_assert(HMAC_AT + 2 * HMAC_BYTES == NONCE_CHARACTERS, "the parts of a nonce");

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const char hex[] = "0123456789abcdef";

static void put_hex(char *at, uint64_t value, size_t characters)
{
	while (characters-- > 0) {
		at[characters] = hex[value & 15];
		value >>= 4;
	}
}

static bool get_hex(const char *at, size_t characters, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < characters; i++) {
		const char *digit = at[i] ? strchr(hex, at[i]) : NULL;

		if (!digit)
			return false;
		*value = *value << 4 | (uint64_t)(digit - hex);
	}
	return true;
}

/* The features are the first bits of 24, which are base64 of four characters. */
static char feature_character(unsigned int features)
{
	return base64[(features & NONCE_PASSWORD_ALGORITHMS ? 32 : 0) |
		      (features & NONCE_USERNAME_ANONYMITY ? 16 : 0)];
}

/* The HMAC covers what stands before it, and the client. */
static void sign(char hmac[2 * HMAC_BYTES], const char *nonce, const struct nonce_key *key,
		 const struct net_address *client)
{
	struct hmac_sha256_ctx context;
	uint8_t digest[HMAC_BYTES];
	uint64_t value = 0;

	hmac_sha256_set_key(&context, sizeof(key->bytes), key->bytes);
	hmac_sha256_update(&context, HMAC_AT, (const uint8_t *)nonce);
	hmac_sha256_update(&context, sizeof(*client), (const uint8_t *)client);
	hmac_sha256_digest(&context, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		value = value << 8 | digest[i];
	put_hex(hmac, value, 2 * HMAC_BYTES);
}

void nonce_make(char nonce[NONCE_CHARACTERS], const struct nonce_key *key,
		const struct net_address *client, uint32_t now_s, unsigned int features)
{
	memcpy(nonce, COOKIE, COOKIE_CHARACTERS);
	memset(nonce + COOKIE_CHARACTERS, base64[0], 4);
	nonce[COOKIE_CHARACTERS] = feature_character(features);
	put_hex(nonce + TIME_AT, now_s, TIME_CHARACTERS);
	sign(nonce + HMAC_AT, nonce, key, client);
}

bool nonce_is_fresh(struct stun_text nonce, const struct nonce_key *key,
		    const struct net_address *client, uint32_t now_s, uint32_t lifetime_s)
{
	char hmac[2 * HMAC_BYTES];
	uint64_t made_s;

	if (nonce.length != NONCE_CHARACTERS)
		return false;
	sign(hmac, nonce.text, key, client);
	if (!memeql_sec(hmac, nonce.text + HMAC_AT, sizeof(hmac)) ||
	    !get_hex(nonce.text + TIME_AT, TIME_CHARACTERS, &made_s))
		return false;
	return lifetime_s == 0 || now_s - (uint32_t)made_s <= lifetime_s;
}

unsigned int nonce_features(struct stun_text nonce)
{
	const char *digit;
	unsigned int features = 0;

	if (nonce.length < TIME_AT || memcmp(nonce.text, COOKIE, COOKIE_CHARACTERS) != 0 ||
	    nonce.text[COOKIE_CHARACTERS] == '\0')
		return 0;
	digit = strchr(base64, nonce.text[COOKIE_CHARACTERS]);
	if (digit && (digit - base64) & 32)
		features |= NONCE_PASSWORD_ALGORITHMS;
	if (digit && (digit - base64) & 16)
		features |= NONCE_USERNAME_ANONYMITY;
	return features;
}
