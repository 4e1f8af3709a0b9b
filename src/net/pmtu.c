/* SPDX-License-Identifier: MIT */
/*
 * What routers have said of the MTUs of paths (RFC 1191, RFC 8201). An entry lives ten minutes from
 * the last time that it was lowered (RFC 1191, section 6.3), so that a path that has become better
 * is found out; the table forgets the oldest when it is full.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "net/ip.h"

#define ENTRIES_MAX 256u
#define BUCKETS 256u
#define LIFETIME_NS (UINT64_C(600) * 1000000000)

struct pmtu_entry {
	struct ip_address destination;
	uint64_t expires_ns;
	uint32_t mtu;
	struct pmtu_entry *hash_next;
	struct pmtu_entry *older, *newer;
};

/* All entries live equally long: in the order in which they were lowered they expire. */
struct pmtu_table {
	struct net *net;
	struct timer timer; /* the oldest entry's */
	struct pmtu_entry *oldest, *newest;
	struct pmtu_entry *free; /* through newer */
	struct pmtu_entry *buckets[BUCKETS];
	struct pmtu_entry entries[ENTRIES_MAX];
};

/* What points to the entry of @destination, or the end of the chain where it would be. */
static struct pmtu_entry **find_link(const struct net *net, const struct ip_address *destination)
{
	uint64_t hash = net_hash(net, destination->bytes, sizeof(destination->bytes));
	struct pmtu_entry **link = &net->pmtu->buckets[hash % BUCKETS];

	while (*link && !ip_address_equal(&(*link)->destination, destination))
		link = &(*link)->hash_next;
	return link;
}

static void changed(struct net *net)
{
	/* 0 is that of a path that was never found. */
	if (++net->generation == 0)
		net->generation = 1;
}

static void append(struct pmtu_table *table, struct pmtu_entry *entry)
{
	entry->older = table->newest;
	entry->newer = NULL;
	*(table->newest ? &table->newest->newer : &table->oldest) = entry;
	table->newest = entry;
}

static void unlink_entry(struct pmtu_table *table, struct pmtu_entry *entry)
{
	*(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
}

static void drop_oldest(struct net *net)
{
	struct pmtu_table *table = net->pmtu;
	struct pmtu_entry *entry = table->oldest;

	*find_link(net, &entry->destination) = entry->hash_next;
	unlink_entry(table, entry);
	entry->newer = table->free;
	table->free = entry;
	changed(net);
}

static void arm(struct pmtu_table *table)
{
	struct timer_wheel *timers = &table->net->sched->timers;

	if (table->oldest)
		timer_arm(timers, &table->timer, table->oldest->expires_ns);
	else
		timer_cancel(timers, &table->timer);
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct pmtu_table *table = container_of(timer, struct pmtu_table, timer);

	while (table->oldest && table->oldest->expires_ns <= now_ns)
		drop_oldest(table->net);
	arm(table);
}

int pmtu_create(struct net *net)
{
	struct pmtu_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->net = net;
	timer_init(&table->timer, fire);
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		table->entries[i].newer = table->free;
		table->free = &table->entries[i];
	}
	net->pmtu = table;
	return 0;
}

void pmtu_destroy(struct net *net)
{
	timer_cancel(&net->sched->timers, &net->pmtu->timer);
	free(net->pmtu);
	net->pmtu = NULL;
}

uint32_t pmtu_find(struct net *net, const struct ip_address *destination)
{
	const struct pmtu_entry *entry = *find_link(net, destination);

	uint32_t link = net_mtu(net, destination);

	return entry && entry->mtu < link ? entry->mtu : link;
}

/* A new entry; the one lowered longest ago goes when there is no room. */
static struct pmtu_entry *make_entry(struct net *net, const struct ip_address *destination)
{
	struct pmtu_table *table = net->pmtu;
	struct pmtu_entry *entry, **link;

	if (!table->free)
		drop_oldest(net);
	entry = table->free;
	table->free = entry->newer;
	entry->destination = *destination;
	entry->hash_next = NULL;
	link = find_link(net, destination);
	*link = entry;
	return entry;
}

void pmtu_lower(struct net *net, const struct ip_address *destination, uint32_t mtu)
{
	struct pmtu_table *table = net->pmtu;
	struct pmtu_entry *entry;

	if (!ip_address_is_v4(destination) && mtu < IPV6_MTU_MIN)
		return;
	if (mtu < PMTU_V4_LOWEST)
		mtu = PMTU_V4_LOWEST;
	if (mtu >= pmtu_find(net, destination))
		return;
	entry = *find_link(net, destination);
	if (entry)
		unlink_entry(table, entry);
	else
		entry = make_entry(net, destination);
	append(table, entry);
	entry->mtu = mtu;
	entry->expires_ns = net->now_ns + LIFETIME_NS;
	changed(net);
	arm(table);
}

uint32_t pmtu_plateau(uint32_t total_bytes)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++) {
		if (plateaus[i] < total_bytes)
			return plateaus[i];
	}
	return 68;
}
