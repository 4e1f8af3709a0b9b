/* SPDX-License-Identifier: MIT */
/* MLD: queries in, reports out (RFC 3810; RFC 2710 for older routers). */
#include "wire/mld.h"

#include "net/group.h"
#include "wire/icmp6.h"

/* Of version 1: RFC 2710, 3.1. Both are a query's 24 bytes with another type and no time. */
#define TYPE_REPORT_V1 131
#define TYPE_DONE_V1 132
#define IP_BYTES (IPV6_HEADER_BYTES + IPV6_ROUTER_ALERT_BYTES)

/* ---- In ---- */

void mld_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf)
{
	struct mld_query query;
	int result = mld_query_parse(&query, &packet->source, packet->hop_limit, buf->data,
				     buf->length);

	net_count_rx(net, NET_LAYER_GROUP, buf->length);
	if (result < 0) {
		net_count_drop(net, NET_LAYER_GROUP, (unsigned int)-result);
		return;
	}
	group_query(net, &(struct group_query){
				 .group = query.group,
				 .response_max_ms = query.response_max_ms,
				 .version = query.version,
				 .is_v6 = true,
			 });
}

/* ---- Out ---- */

/* The link-local address, or none while there is none: RFC 3810, 5.2.13; RFC 3590. */
static struct ip_address source_to(const struct net *net, const struct ip_address *destination)
{
	struct ip_address source;

	if (net_source_address(net, destination, &source) < 0 || !ip_address_is_link_local(&source))
		source = ip_address_v6_halves(0, 0);
	return source;
}

static void tx(struct net *net, const struct ip_address *source,
	       const struct ip_address *destination, struct buf *buf, int length)
{
	buf->length = (uint32_t)length;
	group_tx(net, source, destination, IPPROTO_ICMPV6, buf);
}

static void report_v2(struct net *net, enum group_record record, const struct ip_address *groups,
		      uint32_t count)
{
	const struct ip_address destination = MLD_V2_ROUTERS;
	struct ip_address source = source_to(net, &destination);
	struct buf *buf = group_alloc(net);

	if (buf)
		tx(net, &source, &destination, buf,
		   mld_report_emit(buf->data, net->mtu_v6 - IP_BYTES, &source, record, groups,
				   count));
}

static void report_v1(struct net *net, bool leaves, const struct ip_address *group)
{
	const struct ip_address routers = IPV6_ALL_ROUTERS;
	const struct ip_address *destination = leaves ? &routers : group;
	const struct icmp6_message message = {.type = leaves ? TYPE_DONE_V1 : TYPE_REPORT_V1};
	/* Of a link's scope, as the report's sender must be, whatever the group's is. */
	struct ip_address source = source_to(net, &routers);
	struct buf *buf = group_alloc(net);

	if (buf)
		tx(net, &source, destination, buf,
		   icmp6_emit(buf->data, MLD_QUERY_BYTES, &source, destination, &message,
			      group->bytes, IP_ADDRESS_BYTES));
}

void mld_report(struct net *net, uint8_t version, enum group_record record,
		const struct ip_address *groups, uint32_t count)
{
	uint32_t most = (net->mtu_v6 - IP_BYTES - MLD_REPORT_BYTES) / MLD_RECORD_BYTES;

	if (version < GROUP_MLD_VERSION) {
		for (uint32_t i = 0; i < count; i++)
			report_v1(net, record == GROUP_RECORD_TO_INCLUDE, &groups[i]);
		return;
	}
	for (; count > most; groups += most, count -= most)
		report_v2(net, record, groups, most);
	report_v2(net, record, groups, count);
}
