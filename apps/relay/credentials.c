/* SPDX-License-Identifier: MIT */
#include "credentials.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <stdlib.h>
#include <string.h>

#define HEX_KEY_CHARACTERS (2 * STUN_MD5_BYTES)
#define DIGITS_MAX 18 /* of a time, so that it is in 64 bits */

struct credential {
	struct table_node by_name, by_hash;
	uint8_t hash[STUN_SHA256_BYTES];
	struct stun_key md5, sha256; /* sha256: length 0 when the password is not known */
	size_t name_bytes;
	char name[];
};

static struct credential *of_name_node(struct table_node *node)
{
	return (struct credential *)((char *)node - offsetof(struct credential, by_name));
}

static struct credential *of_hash_node(struct table_node *node)
{
	return (struct credential *)((char *)node - offsetof(struct credential, by_hash));
}

int credentials_init(struct credentials *credentials, struct stun_text realm, uint64_t seed,
		     size_t users)
{
	int error;

	*credentials = (struct credentials){.realm = realm, .seed = seed};
	error = table_init(&credentials->names, users);
	if (!error)
		error = table_init(&credentials->hashes, users);
	if (error)
		table_fini(&credentials->names);
	return error;
}

void credentials_fini(struct credentials *credentials)
{
	struct table_node *node;

	while ((node = table_any(&credentials->names))) {
		table_remove(&credentials->names, node);
		free(of_name_node(node));
	}
	table_fini(&credentials->names);
	table_fini(&credentials->hashes);
	for (size_t i = 0; i < credentials->secret_count; i++)
		free(credentials->secrets[i].text);
	credentials->secret_count = 0;
}

static struct credential *find(const struct credentials *credentials, struct stun_text name)
{
	uint64_t hash = table_hash(credentials->seed, name.text, name.length);
	struct table_node *node = table_first(&credentials->names, hash);

	for (; node; node = table_next(node)) {
		struct credential *credential = of_name_node(node);

		if (credential->name_bytes == name.length &&
		    memcmp(credential->name, name.text, name.length) == 0)
			return credential;
	}
	return NULL;
}

static int hex_digit(char character)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = character ? strchr(digits, character) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

/* "0x" and a key; false: it is none. */
static bool key_from_hex(struct stun_key *key, struct stun_text text)
{
	if (text.length != 2 + HEX_KEY_CHARACTERS || memcmp(text.text, "0x", 2) != 0)
		return false;
	for (size_t i = 0; i < STUN_MD5_BYTES; i++) {
		int high = hex_digit(text.text[2 + 2 * i]), low = hex_digit(text.text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		key->bytes[i] = (uint8_t)(high << 4 | low);
	}
	key->length = STUN_MD5_BYTES;
	return true;
}

int credentials_add_user(struct credentials *credentials, struct stun_text name,
			 struct stun_text password)
{
	struct credential *credential;

	if (name.length == 0 || name.length > CREDENTIALS_NAME_BYTES_MAX)
		return -EINVAL;
	if (find(credentials, name))
		return -EEXIST;
	credential = calloc(1, sizeof(*credential) + name.length);
	if (!credential)
		return -ENOMEM;
	memcpy(credential->name, name.text, name.length);
	credential->name_bytes = name.length;
	if (!key_from_hex(&credential->md5, password)) {
		stun_key_make(&credential->md5, STUN_ALGORITHM_MD5, name, credentials->realm,
			      password);
		stun_key_make(&credential->sha256, STUN_ALGORITHM_SHA256, name, credentials->realm,
			      password);
	}
	stun_userhash(credential->hash, name, credentials->realm);
	table_add(&credentials->names, &credential->by_name,
		  table_hash(credentials->seed, name.text, name.length));
	table_add(&credentials->hashes, &credential->by_hash,
		  table_hash(credentials->seed, credential->hash, STUN_SHA256_BYTES));
	return 0;
}

int credentials_add_secret(struct credentials *credentials, struct stun_text secret)
{
	struct credentials_secret *added = &credentials->secrets[credentials->secret_count];

	if (secret.length == 0)
		return -EINVAL;
	if (credentials->secret_count == CREDENTIALS_SECRETS_MAX)
		return -ENOSPC;
	added->text = malloc(secret.length);
	if (!added->text)
		return -ENOMEM;
	memcpy(added->text, secret.text, secret.length);
	added->length = secret.length;
	credentials->secret_count++;
	return 0;
}

struct stun_text credentials_name_of(const struct credentials *credentials,
				     const uint8_t hash[STUN_SHA256_BYTES])
{
	struct table_node *node = table_first(
		&credentials->hashes, table_hash(credentials->seed, hash, STUN_SHA256_BYTES));

	for (; node; node = table_next(node)) {
		const struct credential *credential = of_hash_node(node);

		if (memcmp(credential->hash, hash, STUN_SHA256_BYTES) == 0)
			return (struct stun_text){credential->name, credential->name_bytes};
	}
	return (struct stun_text){0};
}

/* Splits "EXPIRY:NAME" or "EXPIRY"; false: it is neither, or the time is over. */
static bool is_in_time(struct stun_text name, uint64_t unix_s, struct stun_text *person)
{
	uint64_t expiry_s = 0;
	size_t digits = 0;

	while (digits < name.length && name.text[digits] >= '0' && name.text[digits] <= '9') {
		if (digits == DIGITS_MAX)
			return false;
		expiry_s = 10 * expiry_s + (uint64_t)(name.text[digits++] - '0');
	}
	if (digits == 0 || (digits < name.length && name.text[digits] != ':'))
		return false;
	*person = name;
	if (digits + 1 < name.length)
		*person = (struct stun_text){name.text + digits + 1, name.length - digits - 1};
	return expiry_s > unix_s;
}

static void key_of_secret(struct stun_key *key, enum stun_algorithm algorithm,
			  struct stun_text name, struct stun_text realm,
			  const struct credentials_secret *secret)
{
	uint8_t digest[STUN_SHA1_BYTES];
	char password[BASE64_ENCODE_RAW_LENGTH(STUN_SHA1_BYTES)];
	struct hmac_sha1_ctx context;

	hmac_sha1_set_key(&context, secret->length, (const uint8_t *)secret->text);
	hmac_sha1_update(&context, name.length, (const uint8_t *)name.text);
	hmac_sha1_digest(&context, sizeof(digest), digest);
	base64_encode_raw(password, sizeof(digest), digest);
	stun_key_make(key, algorithm, name, realm, (struct stun_text){password, sizeof(password)});
}

int credentials_key(const struct credentials *credentials, struct stun_text name, size_t which,
		    enum stun_algorithm algorithm, uint64_t unix_s, struct stun_key *key,
		    struct stun_text *person)
{
	const struct credential *credential = find(credentials, name);

	if (credential) {
		*key = algorithm == STUN_ALGORITHM_SHA256 ? credential->sha256 : credential->md5;
		*person = name;
		return which == 0 && key->length ? 0 : -ENOENT;
	}
	if (which >= credentials->secret_count || !is_in_time(name, unix_s, person))
		return -ENOENT;
	key_of_secret(key, algorithm, name, credentials->realm, &credentials->secrets[which]);
	return 0;
}
