/* SPDX-License-Identifier: MIT */
/*
 * What a host says and hears of IPv4 groups: IGMP version 2 (RFC 2236) and 3 (RFC 3376). Whole
 * groups only, no lists of sources. Messages go out with a TTL of 1 and the router alert.
 */
#ifndef DEMI_WIRE_IGMP_H
#define DEMI_WIRE_IGMP_H

#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/error.h"

#define IGMP_TTL 1
#define IGMP_BYTES 8                 /* of version 2 */
#define IGMP_ALL_ROUTERS 0xe0000002u /* where version 2's leaves go */
#define IGMP_V3_ROUTERS 0xe0000016u  /* where version 3's reports go: RFC 3376, section 4.2.14 */
#define IGMP_RECORD_BYTES 8          /* of one group in a version 3 report */

enum igmp_type {
	IGMP_TYPE_QUERY = 0x11,
	IGMP_TYPE_REPORT = 0x16, /* version 2; goes to the group */
	IGMP_TYPE_LEAVE = 0x17,  /* version 2 */
	IGMP_TYPE_REPORT_V3 = 0x22,
};

/* RFC 3376, section 4.2.12; RFC 3810, section 5.2.12. Excluding no source is being a member. */
enum group_record {
	GROUP_RECORD_IS_INCLUDE = 1, /* with no source: not a member */
	GROUP_RECORD_IS_EXCLUDE = 2, /* answers a query */
	GROUP_RECORD_TO_INCLUDE = 3, /* leaves */
	GROUP_RECORD_TO_EXCLUDE = 4, /* joins */
};

struct igmp_query {
	struct ip_address group;  /* 0.0.0.0: all groups are asked for */
	uint32_t response_max_ms; /* answer after a random time up to this */
	uint8_t version;          /* 1 to 3: answer in no higher one */
};

/**
 * igmp_query_parse - a query, with its checksum; sources that version 3 asks for are skipped
 *
 * Return: 8, or 12 and the sources in version 3; -WIRE_TRUNCATED, -WIRE_BAD_CHECKSUM;
 * -WIRE_BAD_TYPE for everything but queries: what other hosts report need not concern us;
 * -WIRE_BAD_TARGET when the group is none.
 */
int igmp_query_parse(struct igmp_query *query, const void *data, size_t length);

/** igmp_emit - write a report or leave of version 2; 8 or -WIRE_NO_ROOM */
int igmp_emit(void *buffer, size_t room, enum igmp_type type, const struct ip_address *group);

/**
 * igmp_report_emit - write a version 3 report on @count groups, each with the same record
 *
 * Return: its length, 8 + 8 * @count; -WIRE_NO_ROOM, also for more than 65,535 bytes.
 */
int igmp_report_emit(void *buffer, size_t room, enum group_record record,
		     const struct ip_address *groups, size_t count);

#endif /* DEMI_WIRE_IGMP_H */
