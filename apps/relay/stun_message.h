/* SPDX-License-Identifier: MIT */
/*
 * Messages of STUN (RFC 8489) and TURN (RFC 8656): parsed where they lie, and built into a buffer of
 * the caller's. Nothing is kept, and nothing is believed: every length is checked before it is used.
 * ChannelData is no STUN message, see turn.h.
 */
#ifndef RELAY_STUN_MESSAGE_H
#define RELAY_STUN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_address.h"

#define STUN_HEADER_BYTES 20
#define STUN_ATTRIBUTE_BYTES 4 /* type and length, before the value */
#define STUN_TRANSACTION_BYTES 12
#define STUN_MAGIC 0x2112a442u
#define STUN_UNKNOWN_MAX 8 /* of the types that an answer names */

enum stun_method {
	STUN_METHOD_BINDING = 0x001,
	STUN_METHOD_ALLOCATE = 0x003,
	STUN_METHOD_REFRESH = 0x004,
	STUN_METHOD_SEND = 0x006,
	STUN_METHOD_DATA = 0x007,
	STUN_METHOD_CREATE_PERMISSION = 0x008,
	STUN_METHOD_CHANNEL_BIND = 0x009,
};

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };

/*
 * The attributes that a server reads or writes: name, type, and the least and the greatest number of
 * bytes that a value may have when it is read.
 */
#define STUN_ATTRIBUTES(X)                          \
	X(MAPPED_ADDRESS, 0x0001, 8, 20)            \
	X(USERNAME, 0x0006, 1, 513)                 \
	X(MESSAGE_INTEGRITY, 0x0008, 20, 20)        \
	X(ERROR_CODE, 0x0009, 4, 767)               \
	X(UNKNOWN_ATTRIBUTES, 0x000a, 0, 65535)     \
	X(CHANNEL_NUMBER, 0x000c, 4, 4)             \
	X(LIFETIME, 0x000d, 4, 4)                   \
	X(XOR_PEER_ADDRESS, 0x0012, 8, 20)          \
	X(DATA, 0x0013, 0, 65535)                   \
	X(REALM, 0x0014, 1, 767)                    \
	X(NONCE, 0x0015, 1, 767)                    \
	X(XOR_RELAYED_ADDRESS, 0x0016, 8, 20)       \
	X(REQUESTED_ADDRESS_FAMILY, 0x0017, 4, 4)   \
	X(EVEN_PORT, 0x0018, 1, 1)                  \
	X(REQUESTED_TRANSPORT, 0x0019, 4, 4)        \
	X(DONT_FRAGMENT, 0x001a, 0, 0)              \
	X(MESSAGE_INTEGRITY_SHA256, 0x001c, 16, 32) \
	X(PASSWORD_ALGORITHM, 0x001d, 4, 767)       \
	X(USERHASH, 0x001e, 32, 32)                 \
	X(XOR_MAPPED_ADDRESS, 0x0020, 8, 20)        \
	X(RESERVATION_TOKEN, 0x0022, 8, 8)          \
	X(ADDITIONAL_ADDRESS_FAMILY, 0x8000, 4, 4)  \
	X(ADDRESS_ERROR_CODE, 0x8001, 4, 767)       \
	X(PASSWORD_ALGORITHMS, 0x8002, 4, 767)      \
	X(ICMP, 0x8004, 8, 8)                       \
	X(SOFTWARE, 0x8022, 0, 767)                 \
	X(FINGERPRINT, 0x8028, 4, 4)

enum stun_type {
#define STUN_TYPE(name, type, least, most) STUN_TYPE_##name = (type),
	STUN_ATTRIBUTES(STUN_TYPE)
#undef STUN_TYPE
};

enum stun_attribute {
#define STUN_INDEX(name, type, least, most) STUN_##name,
	STUN_ATTRIBUTES(STUN_INDEX)
#undef STUN_INDEX
		STUN_ATTRIBUTE_COUNT
};

/* A message that was parsed; valid as long as its bytes are. */
struct stun_message {
	const uint8_t *bytes;
	const uint8_t *transaction; /* STUN_TRANSACTION_BYTES of it */
	uint32_t length;            /* bytes, header included */
	uint16_t method;
	uint8_t class;
	bool is_malformed;                  /* an attribute has a value of a wrong length */
	uint16_t at[STUN_ATTRIBUTE_COUNT];  /* where the first of its kind stands; 0: nowhere */
	uint16_t unknown[STUN_UNKNOWN_MAX]; /* types that are not known and have to be, once each */
	uint8_t unknown_count;
};

/**
 * stun_parse - take a message apart
 *
 * Of several attributes of one type the first counts. What stands behind MESSAGE-INTEGRITY is not
 * looked at, but for MESSAGE-INTEGRITY-SHA256, and FINGERPRINT, which is the last (RFC 8489, 14.5 to
 * 14.7). Neither is verified here, see stun_integrity.h.
 *
 * Return: 0; -EBADMSG: this is no STUN message, or it is cut, or lengths in it are wrong: it gets no
 * answer.
 */
int stun_parse(struct stun_message *message, const uint8_t *bytes, size_t length);

static inline bool stun_has(const struct stun_message *message, enum stun_attribute attribute)
{
	return message->at[attribute] != 0;
}

/** stun_value - the value of an attribute, and its @length in bytes; NULL: it is not there */
const uint8_t *stun_value(const struct stun_message *message, enum stun_attribute attribute,
			  size_t *length);

/** stun_value_32 - the first four bytes of the value of an attribute that is there */
uint32_t stun_value_32(const struct stun_message *message, enum stun_attribute attribute);

/**
 * stun_next_peer - the next XOR-PEER-ADDRESS of a message that has several
 * @place: 0 for the first; moved on
 *
 * Return: 1; 0 when there are no more; -EBADMSG when its value is no address.
 */
int stun_next_peer(const struct stun_message *message, size_t *place, struct net_address *peer);

/* --- to build --- */

struct stun_writer {
	uint8_t *bytes;
	size_t room;
	size_t length; /* so far */
	bool is_full;  /* something had no room: the message must not be sent */
};

/** stun_begin - the header of a message without attributes */
void stun_begin(struct stun_writer *writer, uint8_t *bytes, size_t room, enum stun_method method,
		enum stun_class class, const uint8_t transaction[STUN_TRANSACTION_BYTES]);

/** stun_add - an attribute, padded with zeros, and the header's length with it */
void stun_add(struct stun_writer *writer, enum stun_type type, const void *value, size_t length);

void stun_add_32(struct stun_writer *writer, enum stun_type type, uint32_t value);

/** stun_add_address - an address, obscured as XOR-MAPPED-ADDRESS is (RFC 8489, 14.2) */
void stun_add_address(struct stun_writer *writer, enum stun_type type,
		      const struct net_address *address);

/** stun_add_error - ERROR-CODE; @phrase may be empty */
void stun_add_error(struct stun_writer *writer, unsigned int code, const char *phrase);

/** stun_reserve - room for a value that is written later. Return: it; NULL: there is none. */
uint8_t *stun_reserve(struct stun_writer *writer, enum stun_type type, size_t length);

/**
 * stun_data_header - what stands before the payload of a Data indication
 * @transaction: of its own
 * @payload_bytes: how long the payload is that follows, and after it its padding
 *
 * Return: bytes written to @bytes, at most STUN_DATA_HEADER_BYTES_MAX.
 */
size_t stun_data_header(uint8_t *bytes, const struct net_address *peer,
			const uint8_t transaction[STUN_TRANSACTION_BYTES], size_t payload_bytes);

#define STUN_DATA_HEADER_BYTES_MAX \
	(STUN_HEADER_BYTES + STUN_ATTRIBUTE_BYTES + 20 + STUN_ATTRIBUTE_BYTES)

/** stun_padding - zero bytes that follow a value of this length */
static inline size_t stun_padding(size_t length)
{
	return -length & 3;
}

static inline uint16_t stun_get_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t stun_get_32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void stun_put_16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void stun_put_32(uint8_t *at, uint32_t value)
{
	stun_put_16(at, value >> 16);
	stun_put_16(at + 2, value & 0xffff);
}

#endif /* RELAY_STUN_MESSAGE_H */
