/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for what routers ask about groups, by IGMP and by MLD: the same bytes are both.
 * What a query wants to know is a group or all, and the time to answer has a bound.
 */
#include "wire_fuzz.h"

#include "wire/icmp6.h"
#include "wire/igmp.h"
#include "wire/mld.h"

#define IGMP_RESPONSE_MS_MAX 3174400u /* RFC 3376, section 4.1.1: 31,744 tenths of a second */
#define MLD_RESPONSE_MS_MAX 8387584u  /* RFC 3810, section 5.1.3 */
#define QUERY_V3_BYTES 12
#define QUERY_V2_BYTES 28

static void check_group(const struct ip_address *group, const struct ip_address *all)
{
	must(ip_address_equal(group, all) || ip_address_is_multicast(group));
}

static void by_igmp(const uint8_t *data, size_t size)
{
	const struct ip_address all = ip_address_v4(0);
	uint8_t *copy = copy_of(data, size);
	struct igmp_query query;
	int length;

	checked(igmp_query_parse(&query, data, size), size);
	mend(copy, size, 2, 0);
	length = checked(igmp_query_parse(&query, copy, size), size);
	if (length > 0) {
		must(copy[0] == IGMP_TYPE_QUERY && query.version >= 1 && query.version <= 3);
		must(query.version == 3 ? length >= QUERY_V3_BYTES : length == IGMP_BYTES);
		must(query.response_max_ms <= IGMP_RESPONSE_MS_MAX);
		check_group(&query.group, &all);
	}
	free(copy);
}

static void by_mld(const uint8_t *data, size_t size)
{
	static const struct ip_address source = {{0xfe, 0x80, [15] = 1}}, far = {{0x20, [15] = 1}},
				       all;
	struct mld_query query;
	int length = checked(mld_query_parse(&query, &source, MLD_HOP_LIMIT, data, size), size);

	must(mld_query_parse(&query, &far, MLD_HOP_LIMIT, data, size) < 0);
	must(mld_query_parse(&query, &source, MLD_HOP_LIMIT + 1, data, size) < 0);
	if (length < 0)
		return;
	must(mld_query_parse(&query, &source, MLD_HOP_LIMIT, data, size) == length);
	must(data[0] == ICMP6_TYPE_LISTENER_QUERY && query.version >= 1 && query.version <= 2);
	must(query.version == 2 ? length >= QUERY_V2_BYTES : length == MLD_QUERY_BYTES);
	must(query.response_max_ms <= MLD_RESPONSE_MS_MAX);
	check_group(&query.group, &all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	by_igmp(data, size);
	by_mld(data, size);
	return 0;
}
