/* SPDX-License-Identifier: MIT */
/*
 * Membership, and when to tell of it. RFC 3376, section 5, and RFC 3810, section 6, are the same in
 * this, for hosts without lists of sources.
 */
#include "net/group.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"

#define ALL_HOSTS 0xe0000001u
#define MS_NS UINT64_C(1000000)
#define CHANGE_REPORTS 2u                         /* robustness: RFC 3376, 8.1; RFC 3810, 9.1 */
#define CHANGE_INTERVAL_NS (1000 * MS_NS)         /* RFC 3376, 8.11; RFC 3810, 9.11 */
#define OLD_PRESENT_NS (UINT64_C(260000) * MS_NS) /* RFC 3376, 8.12; RFC 3810, 9.12 */
/* No two answers come closer, however often and urgently we are asked. */
#define ANSWER_SPACING_NS (250 * MS_NS)

#define LINKS_MAX (GROUPS_MAX + 2)

struct group {
	struct ip_address ip;
	uint32_t joins;       /* 0: free, or we are telling that we leave */
	uint8_t changes_left; /* reports of the last change that are still to be sent */
	enum group_record change;
	uint64_t told_ns;   /* when we have sent something about it */
	struct timer timer; /* the next report of a change, or an answer */
	struct net *net;
};

/* What we know of the routers that speak one protocol. */
struct querier {
	struct net *net;
	bool is_v6;
	uint8_t old_version;   /* the oldest that was heard of late */
	uint64_t old_until_ns; /* until then it counts */
	uint64_t told_ns;
	struct timer timer; /* the answer to a query for all groups */
};

struct group_table {
	/* For each frame to a group: their Ethernet addresses, and a bit for each. */
	uint64_t link_bits;
	uint32_t link_count;
	uint64_t links[LINKS_MAX];
	struct group groups[GROUPS_MAX];
	struct querier queriers[2]; /* of IGMP and MLD */
};

/* ---- What is where ---- */

static bool is_of_all(const struct ip_address *group)
{
	const struct ip_address hosts = ip_address_v4(ALL_HOSTS), nodes = IPV6_ALL_NODES;

	return ip_address_equal(group, &hosts) || ip_address_equal(group, &nodes);
}

/* Of some nobody is told: RFC 3376, section 5; RFC 3810, section 6. */
static bool is_told(const struct ip_address *group)
{
	if (is_of_all(group))
		return false;
	return ip_address_is_v4(group) || (group->bytes[1] & 0xf) > 1;
}

static bool is_v6(const struct group *group)
{
	return !ip_address_is_v4(&group->ip);
}

static bool is_free(const struct group *group)
{
	return group->joins == 0 && group->changes_left == 0;
}

/* A member, or one that we are leaving. */
static struct group *find(struct group_table *table, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct group *group = &table->groups[i];

		if (!is_free(group) && ip_address_equal(&group->ip, ip))
			return group;
	}
	return NULL;
}

bool group_is_member(const struct net *net, const struct ip_address *ip)
{
	const struct group *group;

	if (!ip_address_is_multicast(ip))
		return false;
	group = find(net->groups, ip);
	return (group && group->joins > 0) || is_of_all(ip);
}

/* ---- Ethernet addresses ---- */

static uint64_t link_key(const struct eth_address *link)
{
	return (uint64_t)load_be16(link->bytes) << 32 | load_be32(link->bytes + 2);
}

static uint64_t link_bit(uint64_t key)
{
	return UINT64_C(1) << (key % 64);
}

static bool has_key(const struct group_table *table, uint64_t key)
{
	if (likely(!(table->link_bits & link_bit(key))))
		return false;
	for (uint32_t i = 0; i < table->link_count; i++) {
		if (table->links[i] == key)
			return true;
	}
	return false;
}

bool group_has_link(const struct net *net, const struct eth_address *link)
{
	return has_key(net->groups, link_key(link));
}

static void links_add(struct group_table *table, const struct ip_address *ip)
{
	struct eth_address link = eth_address_of_group(ip);
	uint64_t key = link_key(&link);

	if (has_key(table, key))
		return;
	table->links[table->link_count++] = key;
	table->link_bits |= link_bit(key);
}

/* From the groups anew: several can have one address. */
static void links_make(struct group_table *table)
{
	const struct ip_address hosts = ip_address_v4(ALL_HOSTS), nodes = IPV6_ALL_NODES;

	table->link_bits = 0;
	table->link_count = 0;
	links_add(table, &hosts);
	links_add(table, &nodes);
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		if (table->groups[i].joins > 0)
			links_add(table, &table->groups[i].ip);
	}
}

static int tell_device(struct net *net, const struct ip_address *ip, bool member)
{
	if (!net->device->ops->set_group)
		return 0;
	return net->device->ops->set_group(net->device, eth_address_of_group(ip), member);
}

/* ---- Telling the routers ---- */

static struct querier *querier_of(struct net *net, bool v6)
{
	return &net->groups->queriers[v6];
}

static uint8_t newest(bool v6)
{
	return v6 ? GROUP_MLD_VERSION : GROUP_IGMP_VERSION;
}

/* The version to speak: RFC 3376, 7.2.1; RFC 3810, 8.2.1. */
static uint8_t version_of(const struct querier *querier, uint64_t now_ns)
{
	return now_ns < querier->old_until_ns ? querier->old_version : newest(querier->is_v6);
}

static void report(struct net *net, bool v6, uint64_t now_ns, enum group_record record,
		   const struct ip_address *groups, uint32_t count)
{
	uint8_t version = version_of(querier_of(net, v6), now_ns);

	if (v6)
		mld_report(net, version, record, groups, count);
	else
		igmp_report(net, version, record, groups, count);
}

/* Members of one version that are told of. */
static uint32_t collect(const struct group_table *table, bool v6, struct ip_address *groups)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		const struct group *group = &table->groups[i];

		if (group->joins > 0 && is_v6(group) == v6 && is_told(&group->ip))
			groups[count++] = group->ip;
	}
	return count;
}

static uint64_t random_up_to(struct net *net, uint64_t limit_ns)
{
	return net_random(net) % (limit_ns + 1);
}

static void tell_change(struct group *group, uint64_t now_ns)
{
	struct net *net = group->net;

	group->told_ns = now_ns;
	group->changes_left--;
	if (group->changes_left > 0)
		timer_arm(&net->sched->timers, &group->timer,
			  now_ns + random_up_to(net, CHANGE_INTERVAL_NS));
	report(net, is_v6(group), now_ns, group->change, &group->ip, 1);
}

static void group_fire(struct timer *timer, uint64_t now_ns)
{
	struct group *group = container_of(timer, struct group, timer);

	if (group->changes_left > 0) {
		tell_change(group, now_ns);
		return;
	}
	group->told_ns = now_ns;
	report(group->net, is_v6(group), now_ns, GROUP_RECORD_IS_EXCLUDE, &group->ip, 1);
}

static void querier_fire(struct timer *timer, uint64_t now_ns)
{
	struct querier *querier = container_of(timer, struct querier, timer);
	struct ip_address groups[GROUPS_MAX];
	uint32_t count = collect(querier->net->groups, querier->is_v6, groups);

	querier->told_ns = now_ns;
	if (count > 0)
		report(querier->net, querier->is_v6, now_ns, GROUP_RECORD_IS_EXCLUDE, groups,
		       count);
}

/* ---- Questions ---- */

/* Answer within the time asked for, but not twice, nor too soon after the last time. */
static void plan_answer(struct net *net, struct timer *timer, uint64_t told_ns,
			uint32_t response_max_ms)
{
	uint64_t at_ns = net->now_ns + random_up_to(net, response_max_ms * MS_NS);

	if (told_ns && at_ns < told_ns + ANSWER_SPACING_NS)
		at_ns = told_ns + ANSWER_SPACING_NS;
	if (!timer_is_armed(timer) || at_ns < timer->deadline_ns)
		timer_arm(&net->sched->timers, timer, at_ns);
}

static void plan_group_answer(struct group *group, const struct group_query *query)
{
	if (group->joins == 0 || is_v6(group) != query->is_v6 || !is_told(&group->ip))
		return;
	plan_answer(group->net, &group->timer, group->told_ns, query->response_max_ms);
}

static void note_version(struct net *net, struct querier *querier, uint8_t version)
{
	if (version >= newest(querier->is_v6))
		return;
	if (version < version_of(querier, net->now_ns)) {
		querier->old_version = version;
		/* It was to be in words that this router does not know. */
		timer_cancel(&net->sched->timers, &querier->timer);
	}
	querier->old_until_ns = net->now_ns + OLD_PRESENT_NS;
}

void group_query(struct net *net, const struct group_query *query)
{
	struct querier *querier = querier_of(net, query->is_v6);
	struct group_table *table = net->groups;
	struct group *group;

	note_version(net, querier, query->version);
	if (!ip_address_is_unspecified(&query->group)) {
		group = find(table, &query->group);
		if (group)
			plan_group_answer(group, query);
	} else if (version_of(querier, net->now_ns) == newest(query->is_v6)) {
		plan_answer(net, &querier->timer, querier->told_ns, query->response_max_ms);
	} else {
		for (uint32_t i = 0; i < GROUPS_MAX; i++)
			plan_group_answer(&table->groups[i], query);
	}
}

/* ---- Joining and leaving ---- */

static void change(struct group *group, enum group_record record)
{
	struct net *net = group->net;

	timer_cancel(&net->sched->timers, &group->timer);
	group->changes_left = 0;
	if (!is_told(&group->ip))
		return;
	group->change = record;
	group->changes_left = CHANGE_REPORTS;
	tell_change(group, net->now_ns);
}

/* A place for a group; one that we are leaving is given up for it. */
static struct group *place_of(struct net *net, const struct ip_address *ip)
{
	struct group_table *table = net->groups;
	struct group *place = find(table, ip);

	for (uint32_t i = 0; !place && i < GROUPS_MAX; i++) {
		if (is_free(&table->groups[i]))
			place = &table->groups[i];
	}
	for (uint32_t i = 0; !place && i < GROUPS_MAX; i++) {
		if (table->groups[i].joins == 0)
			place = &table->groups[i];
	}
	return place;
}

int group_join(struct net *net, const struct ip_address *ip)
{
	struct eth_address link = eth_address_of_group(ip);
	struct group *group;
	int error;

	if (!ip_address_is_multicast(ip))
		return -EINVAL;
	group = place_of(net, ip);
	if (!group)
		return -ENOSPC;
	if (group->joins > 0) {
		group->joins++;
		return 0;
	}
	error = group_has_link(net, &link) ? 0 : tell_device(net, ip, true);
	if (error)
		return error;
	if (!ip_address_equal(&group->ip, ip))
		group->told_ns = 0;
	group->ip = *ip;
	group->joins = 1;
	links_make(net->groups);
	change(group, GROUP_RECORD_TO_EXCLUDE);
	return 0;
}

int group_leave(struct net *net, const struct ip_address *ip)
{
	struct eth_address link = eth_address_of_group(ip);
	struct group *group = find(net->groups, ip);

	if (!group || group->joins == 0)
		return -ENOENT;
	if (--group->joins > 0)
		return 0;
	links_make(net->groups);
	if (!group_has_link(net, &link))
		tell_device(net, ip, false);
	change(group, GROUP_RECORD_TO_INCLUDE);
	return 0;
}

/* ---- Sending ---- */

struct buf *group_alloc(struct net *net)
{
	struct buf *buf = netdev_alloc(net->device);

	if (!buf)
		net_count_drop(net, NET_LAYER_GROUP, NET_DROP_NO_FRAME);
	return buf;
}

void group_tx(struct net *net, const struct ip_address *source,
	      const struct ip_address *destination, uint8_t protocol, struct buf *buf)
{
	/* Not of path_find, which wants an address of ours: there may be none yet. */
	const struct path path = {
		.destination = *destination,
		.source = *source,
		.next_hop = *destination,
		.generation = net->generation,
		.mtu = net_mtu(net, destination),
		.to_group = true,
		.link_destination = eth_address_of_group(destination),
	};
	const struct ip_send send = {
		.path = &path,
		.source = *source,
		.protocol = protocol,
		.hop_limit = IGMP_TTL,                                /* MLD's is the same */
		.traffic_class = protocol == IPPROTO_IGMP ? 0xc0 : 0, /* RFC 3376, section 4 */
		.router_alert = true,
	};

	net_count_tx(net, NET_LAYER_GROUP, buf->length);
	ip_tx(net, &send, buf);
}

/* ---- Birth and death ---- */

int group_create(struct net *net)
{
	const struct ip_address hosts = ip_address_v4(ALL_HOSTS), nodes = IPV6_ALL_NODES;
	struct group_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		table->groups[i].net = net;
		timer_init(&table->groups[i].timer, group_fire);
	}
	for (uint32_t i = 0; i < 2; i++) {
		table->queriers[i].net = net;
		table->queriers[i].is_v6 = i == 1;
		timer_init(&table->queriers[i].timer, querier_fire);
	}
	links_make(table);
	net->groups = table;
	/* What every host hears; a device that cannot has logged it. */
	tell_device(net, &hosts, true);
	tell_device(net, &nodes, true);
	return 0;
}

static void leave_all(struct net *net, bool v6)
{
	struct ip_address groups[GROUPS_MAX];
	uint32_t count = collect(net->groups, v6, groups);

	if (count > 0)
		report(net, v6, net->now_ns, GROUP_RECORD_TO_INCLUDE, groups, count);
}

/* Every Ethernet address once. */
static void clear_device(struct net *net)
{
	const struct group_table *table = net->groups;

	if (!net->device->ops->set_group)
		return;
	for (uint32_t i = 0; i < table->link_count; i++) {
		struct eth_address link;

		store_be16(link.bytes, (uint16_t)(table->links[i] >> 32));
		store_be32(link.bytes + 2, (uint32_t)table->links[i]);
		net->device->ops->set_group(net->device, link, false);
	}
}

void group_destroy(struct net *net)
{
	struct group_table *table = net->groups;

	leave_all(net, false);
	leave_all(net, true);
	clear_device(net);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		timer_cancel(&net->sched->timers, &table->groups[i].timer);
	for (uint32_t i = 0; i < 2; i++)
		timer_cancel(&net->sched->timers, &table->queriers[i].timer);
	free(table);
	net->groups = NULL;
}
