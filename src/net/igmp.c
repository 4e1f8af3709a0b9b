/* SPDX-License-Identifier: MIT */
/* IGMP: queries in, reports and leaves out (RFC 3376; RFC 2236 and RFC 1112 for older routers). */
#include "wire/igmp.h"

#include "net/group.h"
#include "wire/ipv4.h"

#define VERSION_LEAVES 2                      /* the first that has a message for it */
#define TYPE_REPORT_V1 ((enum igmp_type)0x12) /* RFC 1112, appendix I */
#define IP_BYTES (IPV4_HEADER_BYTES + 4)      /* with the router alert */

/* ---- In ---- */

/* What other members say; we need not know. */
static bool is_of_member(const struct buf *buf)
{
	uint8_t type = buf->length ? buf->data[0] : 0;

	return type == TYPE_REPORT_V1 || type == IGMP_TYPE_REPORT || type == IGMP_TYPE_LEAVE ||
	       type == IGMP_TYPE_REPORT_V3;
}

/* 0 or why it is dropped. A query comes from the link: every message has a TTL of 1. */
static int parse(const struct ip_packet *packet, const struct buf *buf, struct igmp_query *query)
{
	int result = igmp_query_parse(query, buf->data, buf->length);

	if (result >= 0 && packet->hop_limit != IGMP_TTL)
		return -WIRE_BAD_HOP_LIMIT;
	return result < 0 ? result : 0;
}

void igmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct igmp_query query;
	int error;

	net_count_rx(net, NET_LAYER_GROUP, buf->length);
	if (is_of_member(buf)) {
		ip_free(net, packet, buf);
		return;
	}
	error = parse(packet, buf, &query);
	if (error) {
		net_drop(net, buf, NET_LAYER_GROUP, (unsigned int)-error);
		return;
	}
	group_query(net, &(struct group_query){
				 .group = query.group,
				 .response_max_ms = query.response_max_ms,
				 .version = query.version,
			 });
	ip_free(net, packet, buf);
}

/* ---- Out ---- */

/* Ours, or none yet: RFC 3376, 4.2.13. */
static struct ip_address source_to(const struct net *net, const struct ip_address *destination)
{
	struct ip_address source;

	if (net_source_address(net, destination, &source) < 0)
		source = ip_address_v4(0);
	return source;
}

static void tx(struct net *net, const struct ip_address *destination, struct buf *buf, int length)
{
	struct ip_address source = source_to(net, destination);

	buf->length = (uint32_t)length;
	group_tx(net, &source, destination, IPPROTO_IGMP, buf);
}

static void report_v3(struct net *net, enum group_record record, const struct ip_address *groups,
		      uint32_t count)
{
	const struct ip_address destination = ip_address_v4(IGMP_V3_ROUTERS);
	uint32_t room = net->mtu - IP_BYTES;
	struct buf *buf = group_alloc(net);

	if (buf)
		tx(net, &destination, buf,
		   igmp_report_emit(buf->data, room, record, groups, count));
}

static void report_old(struct net *net, uint8_t version, bool leaves,
		       const struct ip_address *group)
{
	const struct ip_address routers = ip_address_v4(IGMP_ALL_ROUTERS);
	enum igmp_type type = version < VERSION_LEAVES ? TYPE_REPORT_V1 : IGMP_TYPE_REPORT;
	struct buf *buf;

	if (leaves && version < VERSION_LEAVES)
		return;
	buf = group_alloc(net);
	if (!buf)
		return;
	tx(net, leaves ? &routers : group, buf,
	   igmp_emit(buf->data, IGMP_BYTES, leaves ? IGMP_TYPE_LEAVE : type, group));
}

void igmp_report(struct net *net, uint8_t version, enum group_record record,
		 const struct ip_address *groups, uint32_t count)
{
	uint32_t most = (net->mtu - IP_BYTES - IGMP_BYTES) / IGMP_RECORD_BYTES;

	if (version < GROUP_IGMP_VERSION) {
		for (uint32_t i = 0; i < count; i++)
			report_old(net, version, record == GROUP_RECORD_TO_INCLUDE, &groups[i]);
		return;
	}
	for (; count > most; groups += most, count -= most)
		report_v3(net, record, groups, most);
	report_v3(net, record, groups, count);
}
