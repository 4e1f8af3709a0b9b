/* SPDX-License-Identifier: MIT */
/*
 * ICMPv6 (RFC 4443): the header that all of its messages have, echo and errors. The bodies of
 * neighbor discovery and of listener discovery are for ndp_parse and mld_query_parse.
 */
#ifndef DEMI_WIRE_ICMP6_H
#define DEMI_WIRE_ICMP6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/error.h"

#define ICMP6_HEADER_BYTES 8 /* as far as echo and errors have one form */
/* What an error quotes at most: IPV6_MTU_MIN altogether (RFC 4443, section 2.4, c). */
#define ICMP6_QUOTED_BYTES_MAX (1280 - 40 - ICMP6_HEADER_BYTES)

enum icmp6_type {
	ICMP6_TYPE_UNREACHABLE = 1,
	ICMP6_TYPE_TOO_BIG = 2,
	ICMP6_TYPE_TIME_EXCEEDED = 3,
	ICMP6_TYPE_PARAMETER_PROBLEM = 4,
	ICMP6_TYPE_ECHO_REQUEST = 128, /* from here on not an error */
	ICMP6_TYPE_ECHO_REPLY = 129,
	ICMP6_TYPE_LISTENER_QUERY = 130,
	ICMP6_TYPE_ROUTER_SOLICITATION = 133,
	ICMP6_TYPE_ROUTER_ADVERTISEMENT = 134,
	ICMP6_TYPE_NEIGHBOR_SOLICITATION = 135,
	ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT = 136,
	ICMP6_TYPE_REDIRECT = 137,
	ICMP6_TYPE_LISTENER_REPORT = 143, /* version 2 */
};

enum icmp6_unreachable_code {
	ICMP6_UNREACHABLE_ROUTE = 0,
	ICMP6_UNREACHABLE_PROHIBITED = 1,
	ICMP6_UNREACHABLE_ADDRESS = 3,
	ICMP6_UNREACHABLE_PORT = 4,
};

enum icmp6_time_exceeded_code {
	ICMP6_TIME_EXCEEDED_TRANSIT = 0,
	ICMP6_TIME_EXCEEDED_REASSEMBLY = 1,
};

enum icmp6_parameter_problem_code {
	ICMP6_PARAMETER_FIELD = 0,
	ICMP6_PARAMETER_NEXT_HEADER = 1,
	ICMP6_PARAMETER_OPTION = 2,
	ICMP6_PARAMETER_INCOMPLETE_CHAIN = 3, /* RFC 7112 */
};

struct icmp6_message {
	uint8_t type;
	uint8_t code;        /* an error's unknown one still says what its type does */
	uint16_t identifier; /* echo */
	uint16_t sequence;   /* echo */
	uint32_t mtu;        /* too big: bytes; may be less than IPV6_MTU_MIN, then it is a lie */
	uint32_t pointer;    /* parameter problem: the wrong byte of the quoted packet */
};

/** icmp6_is_error - whether the payload is a quoted packet, for quoted_parse_v6 */
static inline bool icmp6_is_error(const struct icmp6_message *message)
{
	return message->type < ICMP6_TYPE_ECHO_REQUEST;
}

static inline bool icmp6_is_ndp(const struct icmp6_message *message)
{
	return message->type >= ICMP6_TYPE_ROUTER_SOLICITATION &&
	       message->type <= ICMP6_TYPE_REDIRECT;
}

/**
 * icmp6_parse - a message, the whole upper layer of an IPv6 packet, with its checksum
 *
 * Errors of unknown types concern what we have sent as well, and are taken (RFC 4443, section 2.4,
 * a). Return: 8, the payload's offset; but ndp_parse and mld_query_parse read their messages from
 * the start. -WIRE_TRUNCATED, -WIRE_BAD_CHECKSUM, -WIRE_BAD_TYPE, -WIRE_BAD_CODE.
 */
int icmp6_parse(struct icmp6_message *message, const struct ip_address *source,
		const struct ip_address *destination, const void *data, size_t length);

/**
 * icmp6_emit - write an echo or an error with its checksum
 * @payload: as in icmp_emit
 *
 * Return: the length of all, -WIRE_NO_ROOM.
 */
int icmp6_emit(void *buffer, size_t room, const struct ip_address *source,
	       const struct ip_address *destination, const struct icmp6_message *message,
	       const void *payload, size_t payload_bytes);

/** icmp6_checksum_store - sum over a message of @length bytes and store it; for this folder */
void icmp6_checksum_store(void *message, const struct ip_address *source,
			  const struct ip_address *destination, size_t length);

#endif /* DEMI_WIRE_ICMP6_H */
