/* SPDX-License-Identifier: MIT */
/*
 * What a host says and hears of IPv6 groups: multicast listener discovery, version 2 (RFC 3810),
 * and queries of version 1 (RFC 2710). Whole groups only, no lists of sources. Reports go to
 * MLD_V2_ROUTERS with a hop limit of 1, behind ipv6_router_alert_emit's header.
 */
#ifndef DEMI_WIRE_MLD_H
#define DEMI_WIRE_MLD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/error.h"
#include "wire/igmp.h"

#define MLD_HOP_LIMIT 1
#define MLD_V2_ROUTERS ip_address_v6_halves(0xff02000000000000, 0x16) /* RFC 3810, 5.2.14 */
#define MLD_QUERY_BYTES 24                                            /* of version 1 */
#define MLD_REPORT_BYTES 8                                            /* and the records */
#define MLD_RECORD_BYTES 20

struct mld_query {
	struct ip_address group;  /* ::: all groups are asked for */
	uint32_t response_max_ms; /* answer after a random time up to this */
	uint8_t version;          /* 1 or 2 */
};

/**
 * mld_query_parse - a query whose checksum icmp6_parse has verified
 * @source, @hop_limit: of the IPv6 header
 *
 * Return: 24, or 28 and the sources in version 2; -WIRE_TRUNCATED, -WIRE_BAD_TYPE;
 * -WIRE_BAD_SOURCE and -WIRE_BAD_HOP_LIMIT when it is not of the link (RFC 3810, section 5.1.14);
 * -WIRE_BAD_TARGET when the group is none.
 */
int mld_query_parse(struct mld_query *query, const struct ip_address *source, uint8_t hop_limit,
		    const void *data, size_t length);

/**
 * mld_report_emit - write a version 2 report on @count groups, each with the same record
 *
 * Return: its length, 8 + 20 * @count; -WIRE_NO_ROOM, also for more than 65,535 bytes.
 */
int mld_report_emit(void *buffer, size_t room, const struct ip_address *source,
		    enum group_record record, const struct ip_address *groups, size_t count);

#endif /* DEMI_WIRE_MLD_H */
