/* SPDX-License-Identifier: MIT */
/*
 * ICMP (RFC 792, RFC 1122, section 3.2.2): echo, and the errors that concern what we have sent.
 * Redirects, source quench (RFC 6633), timestamps and the rest are refused as of an unknown type.
 */
#ifndef DEMI_WIRE_ICMP_H
#define DEMI_WIRE_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/error.h"

#define ICMP_HEADER_BYTES 8
/* What of a packet an error quotes at most: 576 bytes altogether (RFC 1812, section 4.3.2.3). */
#define ICMP_QUOTED_BYTES_MAX (576 - 20 - ICMP_HEADER_BYTES)

enum icmp_type {
	ICMP_TYPE_ECHO_REPLY = 0,
	ICMP_TYPE_UNREACHABLE = 3,
	ICMP_TYPE_ECHO_REQUEST = 8,
	ICMP_TYPE_TIME_EXCEEDED = 11,
	ICMP_TYPE_PARAMETER_PROBLEM = 12,
};

enum icmp_unreachable_code {
	ICMP_UNREACHABLE_NETWORK = 0,
	ICMP_UNREACHABLE_HOST = 1,
	ICMP_UNREACHABLE_PROTOCOL = 2,
	ICMP_UNREACHABLE_PORT = 3,
	ICMP_UNREACHABLE_TOO_BIG = 4,
	ICMP_UNREACHABLE_PROHIBITED = 13, /* RFC 1812, section 5.2.7.1 */
	ICMP_UNREACHABLE_CODE_MAX = 15,
};

enum icmp_time_exceeded_code {
	ICMP_TIME_EXCEEDED_TRANSIT = 0,
	ICMP_TIME_EXCEEDED_REASSEMBLY = 1,
};

struct icmp_message {
	uint8_t type;
	uint8_t code;
	uint8_t pointer;       /* parameter problem, code 0: the wrong byte of the quoted packet */
	uint16_t identifier;   /* echo */
	uint16_t sequence;     /* echo */
	uint16_t next_hop_mtu; /* bytes, of "too big"; 0: an old router (RFC 1191, section 5) */
};

/** icmp_is_error - whether the payload is a quoted packet, for quoted_parse_v4 */
static inline bool icmp_is_error(const struct icmp_message *message)
{
	return message->type != ICMP_TYPE_ECHO_REPLY && message->type != ICMP_TYPE_ECHO_REQUEST;
}

/**
 * icmp_parse - a message, the whole payload of an IPv4 packet, with its checksum
 *
 * Return: 8, the payload's offset; -WIRE_TRUNCATED, -WIRE_BAD_CHECKSUM, -WIRE_BAD_TYPE,
 * -WIRE_BAD_CODE.
 */
int icmp_parse(struct icmp_message *message, const void *data, size_t length);

/**
 * icmp_emit - write a message with its checksum
 * @payload: echo data or quoted packet, @payload_bytes; NULL: it is in @buffer already, 8 bytes on
 *
 * Return: the length of all, -WIRE_NO_ROOM.
 */
int icmp_emit(void *buffer, size_t room, const struct icmp_message *message, const void *payload,
	      size_t payload_bytes);

#endif /* DEMI_WIRE_ICMP_H */
