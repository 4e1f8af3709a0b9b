/* SPDX-License-Identifier: MIT */
#include "wire/mld.h"

#include "wire/bytes.h"
#include "wire/icmp6.h"

#define QUERY_V2_BYTES 28

/* RFC 3810, section 5.1.3: from 32,768 on a floating point number, in ms. */
static uint32_t response_ms(uint16_t code)
{
	return code < 0x8000 ? code : ((code & 0xfffu) | 0x1000) << ((code >> 12 & 7) + 3);
}

int mld_query_parse(struct mld_query *query, const struct ip_address *source, uint8_t hop_limit,
		    const void *data, size_t length)
{
	const struct ip_address all = ip_address_v6_halves(0, 0);
	const uint8_t *bytes = data;
	uint64_t start;
	size_t sources;

	if (length < MLD_QUERY_BYTES)
		return -WIRE_TRUNCATED;
	start = load_be64(bytes);
	if (start >> 56 != ICMP6_TYPE_LISTENER_QUERY)
		return -WIRE_BAD_TYPE;
	if (hop_limit != MLD_HOP_LIMIT)
		return -WIRE_BAD_HOP_LIMIT;
	if (!ip_address_is_link_local(source))
		return -WIRE_BAD_SOURCE;
	query->group = ip_address_v6(bytes + 8);
	/* 0.0.0.0 in the form of IPv6 is none, and not all of them either. */
	if (query->group.bytes[0] != 0xff && !ip_address_equal(&query->group, &all))
		return -WIRE_BAD_TARGET;
	query->version = 1;
	query->response_max_ms = (uint16_t)(start >> 16);
	/* Version 2 is recognised by its length: RFC 3810, section 8.1. */
	if (length < QUERY_V2_BYTES)
		return length == MLD_QUERY_BYTES ? MLD_QUERY_BYTES : -WIRE_TRUNCATED;
	query->version = 2;
	query->response_max_ms = response_ms((uint16_t)(start >> 16));
	sources = load_be16(bytes + 26);
	if (sources * IP_ADDRESS_BYTES > length - QUERY_V2_BYTES)
		return -WIRE_TRUNCATED;
	return (int)(QUERY_V2_BYTES + sources * IP_ADDRESS_BYTES);
}

int mld_report_emit(void *buffer, size_t room, const struct ip_address *source,
		    enum group_record record, const struct ip_address *groups, size_t count)
{
	const struct ip_address destination = MLD_V2_ROUTERS;
	uint8_t *bytes = buffer;
	size_t at = MLD_REPORT_BYTES;

	if (count > (UINT16_MAX - MLD_REPORT_BYTES) / MLD_RECORD_BYTES ||
	    room < at + count * MLD_RECORD_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(bytes, (uint64_t)ICMP6_TYPE_LISTENER_REPORT << 56 | count);
	for (size_t i = 0; i < count; i++, at += MLD_RECORD_BYTES) {
		store_be32(bytes + at, (uint32_t)record << 24);
		memcpy(bytes + at + 4, groups[i].bytes, IP_ADDRESS_BYTES);
	}
	icmp6_checksum_store(bytes, source, &destination, at);
	return (int)at;
}
