/* SPDX-License-Identifier: MIT */
#include "wire/icmp6.h"

#include "wire/bytes.h"
#include "wire/checksum.h"

#define CHECKSUM_OFFSET 2

static bool is_echo(uint8_t type)
{
	return type == ICMP6_TYPE_ECHO_REQUEST || type == ICMP6_TYPE_ECHO_REPLY;
}

/* 100, 101 and 200, 201 are for private experiments, 127 and 255 reserved: all unknown. */
static bool is_known(const struct icmp6_message *message)
{
	return (message->type && icmp6_is_error(message)) || is_echo(message->type) ||
	       message->type == ICMP6_TYPE_LISTENER_QUERY || icmp6_is_ndp(message) ||
	       message->type == ICMP6_TYPE_LISTENER_REPORT;
}

static void rest_parse(struct icmp6_message *message, uint32_t rest)
{
	message->identifier = 0;
	message->sequence = 0;
	message->mtu = 0;
	message->pointer = 0;
	if (is_echo(message->type)) {
		message->identifier = (uint16_t)(rest >> 16);
		message->sequence = (uint16_t)rest;
	} else if (message->type == ICMP6_TYPE_TOO_BIG) {
		message->mtu = rest;
	} else if (message->type == ICMP6_TYPE_PARAMETER_PROBLEM) {
		message->pointer = rest;
	}
}

static uint32_t rest_of(const struct icmp6_message *message)
{
	if (is_echo(message->type))
		return (uint32_t)message->identifier << 16 | message->sequence;
	if (message->type == ICMP6_TYPE_TOO_BIG)
		return message->mtu;
	return message->type == ICMP6_TYPE_PARAMETER_PROBLEM ? message->pointer : 0;
}

int icmp6_parse(struct icmp6_message *message, const struct ip_address *source,
		const struct ip_address *destination, const void *data, size_t length)
{
	uint64_t start, sum;

	if (length < ICMP6_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	start = load_be64(data);
	sum = checksum_pseudo(source, destination, IPPROTO_ICMPV6, (uint32_t)length);
	if (!checksum_is_valid(checksum_add(sum, data, length)))
		return -WIRE_BAD_CHECKSUM;
	message->type = (uint8_t)(start >> 56);
	message->code = (uint8_t)(start >> 48);
	if (!is_known(message))
		return -WIRE_BAD_TYPE;
	if (message->code && !icmp6_is_error(message))
		return -WIRE_BAD_CODE;
	rest_parse(message, (uint32_t)start);
	return ICMP6_HEADER_BYTES;
}

void icmp6_checksum_store(void *message, const struct ip_address *source,
			  const struct ip_address *destination, size_t length)
{
	uint8_t *bytes = message;
	uint64_t sum = checksum_pseudo(source, destination, IPPROTO_ICMPV6, (uint32_t)length);

	store_be16(bytes + CHECKSUM_OFFSET, 0);
	store_be16(bytes + CHECKSUM_OFFSET, checksum_finish(checksum_add(sum, bytes, length)));
}

int icmp6_emit(void *buffer, size_t room, const struct ip_address *source,
	       const struct ip_address *destination, const struct icmp6_message *message,
	       const void *payload, size_t payload_bytes)
{
	uint8_t *bytes = buffer;

	if (payload_bytes > UINT16_MAX || room < ICMP6_HEADER_BYTES + payload_bytes)
		return -WIRE_NO_ROOM;
	store_be32(bytes, (uint32_t)message->type << 24 | (uint32_t)message->code << 16);
	store_be32(bytes + 4, rest_of(message));
	if (payload && payload_bytes)
		memcpy(bytes + ICMP6_HEADER_BYTES, payload, payload_bytes);
	icmp6_checksum_store(bytes, source, destination, ICMP6_HEADER_BYTES + payload_bytes);
	return (int)(ICMP6_HEADER_BYTES + payload_bytes);
}
