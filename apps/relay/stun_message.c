/* SPDX-License-Identifier: MIT */
#include "stun_message.h"

#include <errno.h>
#include <string.h>

#define FAMILY_V4 1
#define FAMILY_V6 2

struct kind {
	uint16_t least, most; /* bytes of a value */
};

static const struct kind kinds[STUN_ATTRIBUTE_COUNT] = {
#define STUN_KIND(name, type, least, most) [STUN_##name] = {least, most},
	STUN_ATTRIBUTES(STUN_KIND)
#undef STUN_KIND
};

/* STUN_ATTRIBUTE_COUNT: it is not known. */
static enum stun_attribute attribute_of(uint16_t type)
{
	switch (type) {
#define STUN_CASE(name, number, least, most) \
	case number:                         \
		return STUN_##name;
		STUN_ATTRIBUTES(STUN_CASE)
#undef STUN_CASE
	default:
		return STUN_ATTRIBUTE_COUNT;
	}
}

static void note_unknown(struct stun_message *message, uint16_t type)
{
	if (type >= 0x8000) /* need not be understood */
		return;
	for (uint8_t i = 0; i < message->unknown_count; i++) {
		if (message->unknown[i] == type)
			return;
	}
	if (message->unknown_count < STUN_UNKNOWN_MAX)
		message->unknown[message->unknown_count++] = type;
}

/* What integrity does not cover does not count. */
static bool is_behind_integrity(const struct stun_message *message, enum stun_attribute attribute)
{
	if (attribute == STUN_FINGERPRINT)
		return false;
	if (stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256))
		return true;
	return stun_has(message, STUN_MESSAGE_INTEGRITY) &&
	       attribute != STUN_MESSAGE_INTEGRITY_SHA256;
}

static bool length_is_wrong(enum stun_attribute attribute, size_t length)
{
	/* A shortened HMAC is a whole number of words (RFC 8489, 14.6). */
	if (attribute == STUN_MESSAGE_INTEGRITY_SHA256 && length % 4 != 0)
		return true;
	return length < kinds[attribute].least || length > kinds[attribute].most;
}

static void note_attribute(struct stun_message *message, size_t at)
{
	uint16_t type = stun_get_16(message->bytes + at);
	size_t length = stun_get_16(message->bytes + at + 2);
	enum stun_attribute attribute = attribute_of(type);

	if (is_behind_integrity(message, attribute))
		return;
	if (attribute == STUN_ATTRIBUTE_COUNT) {
		note_unknown(message, type);
		return;
	}
	if (length_is_wrong(attribute, length))
		message->is_malformed = true;
	else if (!stun_has(message, attribute))
		message->at[attribute] = (uint16_t)at;
}

/* Whether what @bytes begin with is the header of a message that fills @length. */
static bool header_is_right(const uint8_t *bytes, size_t length)
{
	if (length < STUN_HEADER_BYTES || length > UINT16_MAX)
		return false;
	if ((bytes[0] & 0xc0) != 0 || stun_get_32(bytes + 4) != STUN_MAGIC)
		return false;
	size_t body = stun_get_16(bytes + 2);

	return body % 4 == 0 && body + STUN_HEADER_BYTES == length;
}

int stun_parse(struct stun_message *message, const uint8_t *bytes, size_t length)
{
	if (!header_is_right(bytes, length))
		return -EBADMSG;
	uint16_t type = stun_get_16(bytes);

	*message = (struct stun_message){
		.bytes = bytes,
		.transaction = bytes + 8,
		.length = (uint32_t)length,
		.method = (uint16_t)((type & 0xf) | (type & 0xe0) >> 1 | (type & 0x3e00) >> 2),
		.class = (uint8_t)((type & 0x10) >> 4 | (type & 0x100) >> 7),
	};
	for (size_t at = STUN_HEADER_BYTES; at < length;) {
		/* The body is whole words, so there is room for type and length. */
		size_t value = stun_get_16(bytes + at + 2);
		size_t end = at + STUN_ATTRIBUTE_BYTES + value + stun_padding(value);

		if (end > length || stun_has(message, STUN_FINGERPRINT))
			return -EBADMSG;
		note_attribute(message, at);
		at = end;
	}
	return 0;
}

const uint8_t *stun_value(const struct stun_message *message, enum stun_attribute attribute,
			  size_t *length)
{
	size_t at = message->at[attribute];

	*length = at ? stun_get_16(message->bytes + at + 2) : 0;
	return at ? message->bytes + at + STUN_ATTRIBUTE_BYTES : NULL;
}

uint32_t stun_value_32(const struct stun_message *message, enum stun_attribute attribute)
{
	return stun_get_32(message->bytes + message->at[attribute] + STUN_ATTRIBUTE_BYTES);
}

/* Where the bytes of an address are read from and written to, obscured either way. */
static void obscure(uint8_t *ip, size_t length, const uint8_t *message)
{
	/* The cookie and the transaction stand side by side (RFC 8489, 14.2). */
	for (size_t i = 0; i < length; i++)
		ip[i] ^= message[4 + i];
}

static int read_address(const struct stun_message *message, size_t at, struct net_address *address)
{
	const uint8_t *value = message->bytes + at + STUN_ATTRIBUTE_BYTES;
	size_t length = stun_get_16(message->bytes + at + 2);

	memset(address, 0, sizeof(*address));
	if (length == 8 && value[1] == FAMILY_V4)
		address->family = NET_V4;
	else if (length == 20 && value[1] == FAMILY_V6)
		address->family = NET_V6;
	else
		return -EBADMSG;
	address->port = (uint16_t)(stun_get_16(value + 2) ^ (STUN_MAGIC >> 16));
	memcpy(address->ip, value + 4, length - 4);
	obscure(address->ip, length - 4, message->bytes);
	return 1;
}

int stun_next_peer(const struct stun_message *message, size_t *place, struct net_address *peer)
{
	size_t at = *place ? *place : message->at[STUN_XOR_PEER_ADDRESS];
	size_t end = message->length;

	if (stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256))
		end = message->at[STUN_MESSAGE_INTEGRITY_SHA256];
	if (stun_has(message, STUN_MESSAGE_INTEGRITY))
		end = message->at[STUN_MESSAGE_INTEGRITY];
	while (at && at < end) {
		size_t length = stun_get_16(message->bytes + at + 2);
		size_t next = at + STUN_ATTRIBUTE_BYTES + length + stun_padding(length);

		*place = next;
		if (stun_get_16(message->bytes + at) == STUN_TYPE_XOR_PEER_ADDRESS)
			return read_address(message, at, peer);
		at = next;
	}
	return 0;
}

/* --- to build --- */

void stun_begin(struct stun_writer *writer, uint8_t *bytes, size_t room, enum stun_method method,
		enum stun_class class, const uint8_t transaction[STUN_TRANSACTION_BYTES])
{
	*writer = (struct stun_writer){.bytes = bytes, .room = room, .length = STUN_HEADER_BYTES};
	stun_put_16(bytes, (method & 0xfu) | (method & 0x70u) << 1 | (method & 0xf80u) << 2 |
				   (class & 1u) << 4 | (class & 2u) << 7);
	stun_put_16(bytes + 2, 0);
	stun_put_32(bytes + 4, STUN_MAGIC);
	memcpy(bytes + 8, transaction, STUN_TRANSACTION_BYTES);
}

uint8_t *stun_reserve(struct stun_writer *writer, enum stun_type type, size_t length)
{
	size_t padded = length + stun_padding(length);
	uint8_t *at = writer->bytes + writer->length;

	if (writer->room - writer->length < STUN_ATTRIBUTE_BYTES + padded) {
		writer->is_full = true;
		return NULL;
	}
	stun_put_16(at, type);
	stun_put_16(at + 2, length);
	memset(at + STUN_ATTRIBUTE_BYTES + length, 0, padded - length);
	writer->length += STUN_ATTRIBUTE_BYTES + padded;
	stun_put_16(writer->bytes + 2, writer->length - STUN_HEADER_BYTES);
	return at + STUN_ATTRIBUTE_BYTES;
}

void stun_add(struct stun_writer *writer, enum stun_type type, const void *value, size_t length)
{
	uint8_t *at = stun_reserve(writer, type, length);

	if (at && length)
		memcpy(at, value, length);
}

void stun_add_32(struct stun_writer *writer, enum stun_type type, uint32_t value)
{
	uint8_t *at = stun_reserve(writer, type, sizeof(value));

	if (at)
		stun_put_32(at, value);
}

/* @message: the header that obscures it. */
static void write_address(uint8_t *value, const uint8_t *message, const struct net_address *address)
{
	size_t length = net_ip_bytes(address->family);

	value[0] = 0;
	value[1] = address->family == NET_V4 ? FAMILY_V4 : FAMILY_V6;
	stun_put_16(value + 2, address->port ^ (STUN_MAGIC >> 16));
	memcpy(value + 4, address->ip, length);
	obscure(value + 4, length, message);
}

void stun_add_address(struct stun_writer *writer, enum stun_type type,
		      const struct net_address *address)
{
	uint8_t *value = stun_reserve(writer, type, 4 + net_ip_bytes(address->family));

	if (value)
		write_address(value, writer->bytes, address);
}

void stun_add_error(struct stun_writer *writer, unsigned int code, const char *phrase)
{
	size_t length = strlen(phrase);
	uint8_t *value = stun_reserve(writer, STUN_TYPE_ERROR_CODE, 4 + length);

	if (!value)
		return;
	value[0] = value[1] = 0;
	value[2] = (uint8_t)(code / 100);
	value[3] = (uint8_t)(code % 100);
	memcpy(value + 4, phrase, length);
}

size_t stun_data_header(uint8_t *bytes, const struct net_address *peer,
			const uint8_t transaction[STUN_TRANSACTION_BYTES], size_t payload_bytes)
{
	struct stun_writer writer;
	uint8_t *at;

	stun_begin(&writer, bytes, STUN_DATA_HEADER_BYTES_MAX, STUN_METHOD_DATA, STUN_INDICATION,
		   transaction);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, peer);
	at = bytes + writer.length;
	stun_put_16(at, STUN_TYPE_DATA);
	stun_put_16(at + 2, payload_bytes);
	writer.length += STUN_ATTRIBUTE_BYTES;
	stun_put_16(bytes + 2, writer.length - STUN_HEADER_BYTES + payload_bytes +
				       stun_padding(payload_bytes));
	return writer.length;
}
