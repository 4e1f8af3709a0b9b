/* SPDX-License-Identifier: MIT */
#include "stun_integrity.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

#define FINGERPRINT_MASK 0x5354554eu
#define LENGTH_AT 2 /* of the header's length field */

/*
 * An HMAC or checksum covers the message up to its own attribute, with the header's length as if
 * that attribute were the last.
 */
static void header_until(uint8_t header[STUN_HEADER_BYTES], const uint8_t *bytes, size_t at,
			 size_t value_bytes)
{
	memcpy(header, bytes, STUN_HEADER_BYTES);
	stun_put_16(header + LENGTH_AT,
		    at + STUN_ATTRIBUTE_BYTES + value_bytes - STUN_HEADER_BYTES);
}

static void hmac_sha1(uint8_t digest[STUN_SHA1_BYTES], const struct stun_key *key,
		      const uint8_t *bytes, size_t at)
{
	uint8_t header[STUN_HEADER_BYTES];
	struct hmac_sha1_ctx context;

	header_until(header, bytes, at, STUN_SHA1_BYTES);
	hmac_sha1_set_key(&context, key->length, key->bytes);
	hmac_sha1_update(&context, STUN_HEADER_BYTES, header);
	hmac_sha1_update(&context, at - STUN_HEADER_BYTES, bytes + STUN_HEADER_BYTES);
	hmac_sha1_digest(&context, STUN_SHA1_BYTES, digest);
}

static void hmac_sha256(uint8_t digest[STUN_SHA256_BYTES], const struct stun_key *key,
			const uint8_t *bytes, size_t at, size_t value_bytes)
{
	uint8_t header[STUN_HEADER_BYTES];
	struct hmac_sha256_ctx context;

	header_until(header, bytes, at, value_bytes);
	hmac_sha256_set_key(&context, key->length, key->bytes);
	hmac_sha256_update(&context, STUN_HEADER_BYTES, header);
	hmac_sha256_update(&context, at - STUN_HEADER_BYTES, bytes + STUN_HEADER_BYTES);
	hmac_sha256_digest(&context, STUN_SHA256_BYTES, digest);
}

/* CRC-32 of ISO HDLC, four bits at a time. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *bytes, size_t length)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

static uint32_t fingerprint(const uint8_t *bytes, size_t at)
{
	uint8_t header[STUN_HEADER_BYTES];
	uint32_t crc = UINT32_MAX;

	header_until(header, bytes, at, sizeof(crc));
	crc = crc32_update(crc, header, STUN_HEADER_BYTES);
	crc = crc32_update(crc, bytes + STUN_HEADER_BYTES, at - STUN_HEADER_BYTES);
	return ~crc ^ FINGERPRINT_MASK;
}

void stun_key_make(struct stun_key *key, enum stun_algorithm algorithm, struct stun_text user,
		   struct stun_text realm, struct stun_text password)
{
	const struct stun_text parts[] = {user, {":", 1}, realm, {":", 1}, password};
	struct sha256_ctx sha256;
	struct md5_ctx md5;

	sha256_init(&sha256);
	md5_init(&md5);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const uint8_t *bytes = (const uint8_t *)parts[i].text;

		if (algorithm == STUN_ALGORITHM_SHA256)
			sha256_update(&sha256, parts[i].length, bytes);
		else
			md5_update(&md5, parts[i].length, bytes);
	}
	key->length = algorithm == STUN_ALGORITHM_SHA256 ? STUN_SHA256_BYTES : STUN_MD5_BYTES;
	if (algorithm == STUN_ALGORITHM_SHA256)
		sha256_digest(&sha256, STUN_SHA256_BYTES, key->bytes);
	else
		md5_digest(&md5, STUN_MD5_BYTES, key->bytes);
}

void stun_userhash(uint8_t hash[STUN_SHA256_BYTES], struct stun_text user, struct stun_text realm)
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, user.length, (const uint8_t *)user.text);
	sha256_update(&context, 1, (const uint8_t *)":");
	sha256_update(&context, realm.length, (const uint8_t *)realm.text);
	sha256_digest(&context, STUN_SHA256_BYTES, hash);
}

bool stun_integrity_is_right(const struct stun_message *message, const struct stun_key *key)
{
	uint8_t digest[STUN_SHA1_BYTES];
	size_t length;
	const uint8_t *value = stun_value(message, STUN_MESSAGE_INTEGRITY, &length);

	if (!value)
		return false;
	hmac_sha1(digest, key, message->bytes, message->at[STUN_MESSAGE_INTEGRITY]);
	return memeql_sec(digest, value, sizeof(digest));
}

bool stun_integrity_sha256_is_right(const struct stun_message *message, const struct stun_key *key)
{
	uint8_t digest[STUN_SHA256_BYTES];
	size_t length;
	const uint8_t *value = stun_value(message, STUN_MESSAGE_INTEGRITY_SHA256, &length);

	if (!value)
		return false;
	hmac_sha256(digest, key, message->bytes, message->at[STUN_MESSAGE_INTEGRITY_SHA256],
		    length);
	return memeql_sec(digest, value, length);
}

bool stun_fingerprint_is_right(const struct stun_message *message)
{
	size_t at = message->at[STUN_FINGERPRINT];

	return at && stun_value_32(message, STUN_FINGERPRINT) == fingerprint(message->bytes, at);
}

void stun_add_integrity(struct stun_writer *writer, const struct stun_key *key)
{
	size_t at = writer->length;
	uint8_t *value = stun_reserve(writer, STUN_TYPE_MESSAGE_INTEGRITY, STUN_SHA1_BYTES);

	if (value)
		hmac_sha1(value, key, writer->bytes, at);
}

void stun_add_integrity_sha256(struct stun_writer *writer, const struct stun_key *key)
{
	size_t at = writer->length;
	uint8_t *value = stun_reserve(writer, STUN_TYPE_MESSAGE_INTEGRITY_SHA256,
				      STUN_SHA256_BYTES);

	if (value)
		hmac_sha256(value, key, writer->bytes, at, STUN_SHA256_BYTES);
}

void stun_add_fingerprint(struct stun_writer *writer)
{
	size_t at = writer->length;
	uint8_t *value = stun_reserve(writer, STUN_TYPE_FINGERPRINT, sizeof(uint32_t));

	if (value)
		stun_put_32(value, fingerprint(writer->bytes, at));
}
