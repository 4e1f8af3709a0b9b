/* SPDX-License-Identifier: MIT */
#include "wire/icmp.h"

#include "wire/bytes.h"
#include "wire/checksum.h"

#define CHECKSUM_OFFSET 2

/* The greatest code of a type, -1 for one that we do not know. */
static int code_max(uint8_t type)
{
	switch (type) {
	case ICMP_TYPE_ECHO_REPLY:
	case ICMP_TYPE_ECHO_REQUEST:
		return 0;
	case ICMP_TYPE_UNREACHABLE:
		return ICMP_UNREACHABLE_CODE_MAX;
	case ICMP_TYPE_TIME_EXCEEDED:
		return ICMP_TIME_EXCEEDED_REASSEMBLY;
	case ICMP_TYPE_PARAMETER_PROBLEM:
		return 2; /* RFC 1108, section 2.6, has 1; 2 is a bad length */
	default:
		return -1;
	}
}

/* The second four bytes, which mean something else in each type. */
static void rest_parse(struct icmp_message *message, uint32_t rest)
{
	message->identifier = 0;
	message->sequence = 0;
	message->next_hop_mtu = 0;
	message->pointer = 0;
	if (!icmp_is_error(message)) {
		message->identifier = (uint16_t)(rest >> 16);
		message->sequence = (uint16_t)rest;
	} else if (message->type == ICMP_TYPE_PARAMETER_PROBLEM) {
		message->pointer = (uint8_t)(rest >> 24);
	} else if (message->type == ICMP_TYPE_UNREACHABLE &&
		   message->code == ICMP_UNREACHABLE_TOO_BIG) {
		message->next_hop_mtu = (uint16_t)rest;
	}
}

static uint32_t rest_of(const struct icmp_message *message)
{
	if (!icmp_is_error(message))
		return (uint32_t)message->identifier << 16 | message->sequence;
	if (message->type == ICMP_TYPE_PARAMETER_PROBLEM)
		return (uint32_t)message->pointer << 24;
	if (message->type == ICMP_TYPE_UNREACHABLE && message->code == ICMP_UNREACHABLE_TOO_BIG)
		return message->next_hop_mtu;
	return 0;
}

int icmp_parse(struct icmp_message *message, const void *data, size_t length)
{
	uint64_t start;

	if (length < ICMP_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	start = load_be64(data);
	if (!checksum_is_valid(checksum_add(0, data, length)))
		return -WIRE_BAD_CHECKSUM;
	message->type = (uint8_t)(start >> 56);
	message->code = (uint8_t)(start >> 48);
	if (code_max(message->type) < 0)
		return -WIRE_BAD_TYPE;
	if (message->code > code_max(message->type))
		return -WIRE_BAD_CODE;
	rest_parse(message, (uint32_t)start);
	return ICMP_HEADER_BYTES;
}

int icmp_emit(void *buffer, size_t room, const struct icmp_message *message, const void *payload,
	      size_t payload_bytes)
{
	uint8_t *bytes = buffer;

	if (payload_bytes > UINT16_MAX || room < ICMP_HEADER_BYTES + payload_bytes)
		return -WIRE_NO_ROOM;
	store_be32(bytes, (uint32_t)message->type << 24 | (uint32_t)message->code << 16);
	store_be32(bytes + 4, rest_of(message));
	if (payload && payload_bytes)
		memcpy(bytes + ICMP_HEADER_BYTES, payload, payload_bytes);
	store_be16(bytes + CHECKSUM_OFFSET,
		   checksum_finish(checksum_add(0, bytes, ICMP_HEADER_BYTES + payload_bytes)));
	return (int)(ICMP_HEADER_BYTES + payload_bytes);
}
