/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for groups: a host that joins and leaves, and is asked by routers of all
 * versions. The input is records of an action, a time and, for a message, its length and bytes.
 * What the host says must be of groups that it is or was in, and not come too often.
 */
#include "net_fuzz.h"

#include "wire/igmp.h"
#include "wire/mld.h"

#define GROUPS 8u
#define RECORDS_MAX 200u
#define IGMP_V2_BYTES 8u
#define ANSWERS_A_SECOND 4u /* about one group, or about all of them */
#define MLD_V1_REPORT 131u
#define MLD_V1_DONE 132u

static struct {
	bool is_in[GROUPS];
	bool was_in[GROUPS];
	unsigned int changes;
	unsigned int told;
} host;

static struct ip_address group_of(unsigned int number)
{
	if (number < GROUPS / 2)
		return V4(239, 1, 2, number);
	/* The last one is of the host itself, of which nobody is told. */
	return ip_address_v6_halves(number == GROUPS - 1 ? 0xff01000000000000 : 0xff05000000000000,
				    number);
}

/* The solicited-node groups of our addresses, and the one of all nodes: the stack's own. */
static bool is_of_stack(const struct ip_address *group)
{
	return load_be64(group->bytes) == 0xff02000000000000 && load_be32(group->bytes + 8) == 1 &&
	       group->bytes[12] == 0xff;
}

static void must_be_ours(const struct ip_address *group)
{
	for (unsigned int i = 0; i < GROUPS - 1; i++) {
		struct ip_address ours = group_of(i);

		if (host.was_in[i] && ip_address_equal(&ours, group))
			return;
	}
	must(is_of_stack(group));
}

/* ---- What the host says ---- */

static void check_igmp(const uint8_t *data, size_t length)
{
	struct ip_address group;

	host.told++;
	if (data[0] != IGMP_TYPE_REPORT_V3) {
		must(length == IGMP_V2_BYTES);
		must(data[0] == IGMP_TYPE_REPORT || data[0] == IGMP_TYPE_LEAVE || data[0] == 0x12);
		group = ip_address_v4(load_be32(data + 4));
		must_be_ours(&group);
		return;
	}
	must(length == 8 + (size_t)load_be16(data + 6) * IGMP_RECORD_BYTES);
	for (const uint8_t *at = data + 8; at < data + length; at += IGMP_RECORD_BYTES) {
		must(at[0] >= GROUP_RECORD_IS_EXCLUDE && at[0] <= GROUP_RECORD_TO_EXCLUDE);
		must(load_be32(at) % 0x1000000 == 0);
		group = ip_address_v4(load_be32(at + 4));
		must_be_ours(&group);
	}
}

static void check_mld(const uint8_t *data, size_t length)
{
	struct ip_address group;

	host.told++;
	if (data[0] != ICMP6_TYPE_LISTENER_REPORT) {
		must(length == MLD_QUERY_BYTES);
		group = ip_address_v6(data + 8);
		must_be_ours(&group);
		return;
	}
	must(length == MLD_REPORT_BYTES + (size_t)load_be16(data + 6) * MLD_RECORD_BYTES);
	for (const uint8_t *at = data + MLD_REPORT_BYTES; at < data + length;
	     at += MLD_RECORD_BYTES) {
		must(at[0] >= GROUP_RECORD_IS_EXCLUDE && at[0] <= GROUP_RECORD_TO_EXCLUDE);
		group = ip_address_v6(at + 4);
		must_be_ours(&group);
	}
}

static void check_sent(const uint8_t *data, size_t length)
{
	struct ipv4_header header;
	struct ipv6_header header6;
	struct ipv6_chain chain;
	int at = ipv4_parse(&header, data, length);

	if (at > 0) {
		if (header.protocol == IPPROTO_IGMP) {
			must(header.ttl == 1 && header.router_alert);
			check_igmp(data + at, header.total_bytes - (size_t)at);
		}
		return;
	}
	must(ipv6_parse(&header6, data, length) > 0);
	at = ipv6_chain_parse(&chain, &header6, data, length);
	if (chain.protocol == IPPROTO_ICMPV6 &&
	    (data[at] == ICMP6_TYPE_LISTENER_REPORT || data[at] == MLD_V1_REPORT ||
	     data[at] == MLD_V1_DONE)) {
		must(header6.hop_limit == 1);
		check_mld(data + at,
			  IPV6_HEADER_BYTES + (size_t)header6.payload_bytes - (size_t)at);
	}
}

/* ---- What happens to it ---- */

static void join_or_leave(unsigned int number)
{
	struct ip_address group = group_of(number);

	if (host.is_in[number])
		must(group_leave(rig.net, &group) == 0);
	else
		must(group_join(rig.net, &group) == 0);
	host.is_in[number] = !host.is_in[number];
	host.was_in[number] = true;
	host.changes++;
	must(group_is_member(rig.net, &group) == host.is_in[number]);
}

static void ask(bool v6, const uint8_t *message, size_t length)
{
	if (v6)
		rig_receive_message(
			&(struct ipv6_header){.source = ip_address_v6_halves(0xfe80000000000000, 9),
					      .destination = IPV6_ALL_NODES,
					      .next_header = IPPROTO_ICMPV6,
					      .hop_limit = 1},
			message, length);
	else
		rig_receive_message(&(struct ipv6_header){.source = V4(10, 0, 0, 1),
							  .destination = V4(224, 0, 0, 1),
							  .next_header = IPPROTO_IGMP,
							  .hop_limit = 1},
				    message, length);
}

/*
 * Reports: two of each change; for each group, and for all of them in one, four a second; and some
 * of the stack's own groups, whose change is told twice too.
 */
static void check_rate(uint64_t begin_ns)
{
	uint64_t seconds = (rig.now_ns - begin_ns) / SECOND_NS + 1;

	must(host.told <= 2 * (host.changes + 8) + (GROUPS + 8) * ANSWERS_A_SECOND * seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t begin_ns;

	memset(&host, 0, sizeof(host));
	rig_begin(&(struct rig_options){0});
	rig_create_net();
	rig.sent_packet = check_sent;
	begin_ns = rig.now_ns;
	for (unsigned int i = 0; i < RECORDS_MAX && size >= 3; i++) {
		unsigned int action = data[0], length = data[2];

		/* Up to 25 s, or up to 250 ms. */
		rig_run(rig.now_ns + data[1] * (action & 0x80 ? 100 : 1) * MILLISECOND_NS, 10000);
		data += 3;
		size -= 3;
		if (action & 0x40) {
			join_or_leave(action % GROUPS);
			continue;
		}
		if (length > size)
			length = (unsigned int)size;
		ask(action & 1, data, length);
		data += length;
		size -= length;
		check_rate(begin_ns);
	}
	rig_run(rig.now_ns + 3600 * SECOND_NS, 10000);
	check_rate(begin_ns);
	for (unsigned int i = 0; i < GROUPS; i++) {
		if (host.is_in[i])
			join_or_leave(i);
	}
	rig_end();
	rig.sent_packet = NULL;
	return 0;
}
