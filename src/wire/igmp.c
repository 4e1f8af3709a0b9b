/* SPDX-License-Identifier: MIT */
#include "wire/igmp.h"

#include "wire/bytes.h"
#include "wire/checksum.h"

#define CHECKSUM_OFFSET 2
#define QUERY_V3_BYTES 12
#define V1_RESPONSE_MS 10000 /* version 1 says none: RFC 2236, section 4 */

/* RFC 3376, section 4.1.1: from 128 on a floating point number. In tenths of a second. */
static uint32_t response_tenths(uint8_t code)
{
	return code < 128 ? code : ((code & 0xfu) | 0x10) << ((code >> 4 & 7) + 3);
}

/* Version 3 is recognised by its length, version 1 by its empty code: RFC 3376, section 7.1. */
static int versions_parse(struct igmp_query *query, const uint8_t *bytes, size_t length,
			  uint8_t code)
{
	size_t sources;

	query->version = 2;
	query->response_max_ms = code * 100u;
	if (length < QUERY_V3_BYTES) {
		if (length != IGMP_BYTES)
			return -WIRE_TRUNCATED;
		if (!code) {
			query->version = 1;
			query->response_max_ms = V1_RESPONSE_MS;
		}
		return IGMP_BYTES;
	}
	sources = load_be16(bytes + 10);
	if (sources * 4 > length - QUERY_V3_BYTES)
		return -WIRE_TRUNCATED;
	query->version = 3;
	query->response_max_ms = response_tenths(code) * 100;
	return (int)(QUERY_V3_BYTES + sources * 4);
}

int igmp_query_parse(struct igmp_query *query, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t start;

	if (length < IGMP_BYTES)
		return -WIRE_TRUNCATED;
	start = load_be64(bytes);
	if (!checksum_is_valid(checksum_add(0, bytes, length)))
		return -WIRE_BAD_CHECKSUM;
	if (start >> 56 != IGMP_TYPE_QUERY)
		return -WIRE_BAD_TYPE;
	query->group = ip_address_v4((uint32_t)start);
	if ((uint32_t)start && !ip_address_is_multicast(&query->group))
		return -WIRE_BAD_TARGET;
	return versions_parse(query, bytes, length, (uint8_t)(start >> 48));
}

int igmp_emit(void *buffer, size_t room, enum igmp_type type, const struct ip_address *group)
{
	uint8_t *bytes = buffer;

	if (room < IGMP_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(bytes, (uint64_t)type << 56 | ip_address_low32(group));
	store_be16(bytes + CHECKSUM_OFFSET, checksum_finish(checksum_add(0, bytes, IGMP_BYTES)));
	return IGMP_BYTES;
}

int igmp_report_emit(void *buffer, size_t room, enum group_record record,
		     const struct ip_address *groups, size_t count)
{
	uint8_t *bytes = buffer;
	size_t at = IGMP_BYTES;

	if (count > (UINT16_MAX - IGMP_BYTES) / IGMP_RECORD_BYTES ||
	    room < at + count * IGMP_RECORD_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(bytes, (uint64_t)IGMP_TYPE_REPORT_V3 << 56 | count);
	for (size_t i = 0; i < count; i++, at += IGMP_RECORD_BYTES)
		store_be64(bytes + at, (uint64_t)record << 56 | ip_address_low32(&groups[i]));
	store_be16(bytes + CHECKSUM_OFFSET, checksum_finish(checksum_add(0, bytes, at)));
	return (int)at;
}
