/* SPDX-License-Identifier: MIT */
/*
 * Who may use the relay: users with passwords, and secrets that are shared with a service that hands
 * out credentials for a limited time (draft-uberti-behave-turn-rest: the user name is "EXPIRY:NAME",
 * the password the base64 of its HMAC-SHA1 with the secret).
 */
#ifndef RELAY_CREDENTIALS_H
#define RELAY_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stun_integrity.h"
#include "table.h"

#define CREDENTIALS_SECRETS_MAX 8u
#define CREDENTIALS_NAME_BYTES_MAX 508u /* RFC 8489, 14.3 */

struct credential; /* a user with a password */

struct credentials {
	struct stun_text realm;     /* the caller's; it must stay */
	struct table names, hashes; /* of struct credential, by name and by USERHASH */
	struct credentials_secret {
		char *text;
		size_t length;
	} secrets[CREDENTIALS_SECRETS_MAX];
	size_t secret_count;
	uint64_t seed;
};

/** credentials_init - @seed: secret and random. Return: 0, -ENOMEM. */
int credentials_init(struct credentials *credentials, struct stun_text realm, uint64_t seed,
		     size_t users);
void credentials_fini(struct credentials *credentials);

/**
 * credentials_add_user - one who may use the relay
 * @password: or "0x" and 32 hexadecimal digits: the MD5 key itself, as coturn's turnadmin makes it
 *
 * Return: 0, -ENOMEM, -EEXIST, -EINVAL (the name is empty or too long, or the key is none).
 */
int credentials_add_user(struct credentials *credentials, struct stun_text name,
			 struct stun_text password);

/** credentials_add_secret - Return: 0, -ENOMEM, -ENOSPC (too many), -EINVAL (it is empty). */
int credentials_add_secret(struct credentials *credentials, struct stun_text secret);

static inline bool credentials_is_empty(const struct credentials *credentials)
{
	return credentials->names.count == 0 && credentials->secret_count == 0;
}

/** credentials_name_of - whose USERHASH this is. Return: his name; text NULL: nobody's. */
struct stun_text credentials_name_of(const struct credentials *credentials,
				     const uint8_t hash[STUN_SHA256_BYTES]);

/**
 * credentials_key - a key that this user may have
 * @which: 0, 1, ... : with several secrets there are several
 * @unix_s: the time of day, which credentials of limited time end at
 * @person: set to the part of the name that is not a time: whose quota it is
 *
 * Return: 0; -ENOENT: no such user, no more keys, or the time is over.
 */
int credentials_key(const struct credentials *credentials, struct stun_text name, size_t which,
		    enum stun_algorithm algorithm, uint64_t unix_s, struct stun_key *key,
		    struct stun_text *person);

#endif /* RELAY_CREDENTIALS_H */
