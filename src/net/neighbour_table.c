/* SPDX-License-Identifier: MIT */
#include "net/neighbour_table.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRIES_MIN 4u /* two of each kind */
#define ENTRIES_MAX (1u << 20)
#define RETRANSMIT_NS UINT64_C(1000000000)
#define REACHABLE_NS UINT64_C(30000000000)
/* Entries that are looked at for one that was not used lately. */
#define VICTIM_TRIES 8u

/* ---- Lists by age ---- */

static bool is_resolved(const struct neighbour *neighbour)
{
	return neighbour->state >= NEIGHBOUR_REACHABLE;
}

static struct neighbour_list *list_of(const struct neighbour *neighbour)
{
	struct neighbour_table *table = neighbour->net->neighbours;

	return is_resolved(neighbour) ? &table->resolved : &table->unresolved;
}

static void list_remove(struct neighbour *neighbour)
{
	struct neighbour_list *list = list_of(neighbour);

	*(neighbour->older ? &neighbour->older->newer : &list->oldest) = neighbour->newer;
	*(neighbour->newer ? &neighbour->newer->older : &list->newest) = neighbour->older;
	list->count--;
}

static void list_append(struct neighbour *neighbour)
{
	struct neighbour_list *list = list_of(neighbour);

	neighbour->older = list->newest;
	neighbour->newer = NULL;
	*(list->newest ? &list->newest->newer : &list->oldest) = neighbour;
	list->newest = neighbour;
	list->count++;
	neighbour->listed_ns = neighbour->used_ns;
}

void neighbour_set_state(struct neighbour *neighbour, enum neighbour_state state)
{
	bool moves = state == NEIGHBOUR_INCOMPLETE ||
		     is_resolved(neighbour) != (state >= NEIGHBOUR_REACHABLE);

	if (moves)
		list_remove(neighbour);
	neighbour->state = (uint8_t)state;
	neighbour->probes_sent = 0;
	if (moves)
		list_append(neighbour);
}

/* ---- Entries by address ---- */

static struct neighbour **bucket_of(const struct net *net, const struct ip_address *ip)
{
	uint64_t hash = net_hash(net, ip->bytes, sizeof(ip->bytes));

	return &net->neighbours->buckets[hash & net->neighbours->bucket_mask];
}

struct neighbour *neighbour_find(const struct net *net, const struct ip_address *ip)
{
	struct neighbour *neighbour = *bucket_of(net, ip);

	while (neighbour && !ip_address_equal(&neighbour->ip, ip))
		neighbour = neighbour->hash_next;
	return neighbour;
}

void neighbour_free(struct neighbour *neighbour)
{
	struct net *net = neighbour->net;
	struct neighbour **link = bucket_of(net, &neighbour->ip);

	pending_drop(neighbour, NET_DROP_NO_NEIGHBOUR);
	timer_cancel(&net->sched->timers, &neighbour->timer);
	list_remove(neighbour);
	while (*link != neighbour)
		link = &(*link)->hash_next;
	*link = neighbour->hash_next;
	neighbour->state = NEIGHBOUR_FREE;
	neighbour->hash_next = net->neighbours->free;
	net->neighbours->free = neighbour;
	net->generation++;
}

/*
 * Sending does not sort the list, so who is at its old end may have been used since he was put
 * there: he goes to the new end. After a few such the one of them used longest ago has to go.
 */
static struct neighbour *resolved_victim(struct neighbour_table *table)
{
	struct neighbour *victim = NULL;

	for (unsigned int i = 0; i < VICTIM_TRIES; i++) {
		struct neighbour *oldest = table->resolved.oldest;

		if (oldest->used_ns == oldest->listed_ns)
			return victim && victim->used_ns < oldest->used_ns ? victim : oldest;
		if (!victim || oldest->used_ns < victim->used_ns)
			victim = oldest;
		list_remove(oldest);
		list_append(oldest);
	}
	return victim;
}

static void make_room(struct neighbour_table *table)
{
	if (table->unresolved.count >= table->unresolved_max)
		neighbour_free(table->unresolved.oldest);
	else if (!table->free)
		neighbour_free(resolved_victim(table));
}

struct neighbour *neighbour_get(struct net *net, const struct ip_address *ip)
{
	struct neighbour_table *table = net->neighbours;
	struct neighbour *neighbour = neighbour_find(net, ip), **bucket;

	if (neighbour)
		return neighbour;
	make_room(table);
	neighbour = table->free;
	table->free = neighbour->hash_next;
	bucket = bucket_of(net, ip);
	*neighbour = (struct neighbour){
		.state = NEIGHBOUR_NEW,
		.ip = *ip,
		.used_ns = net->now_ns,
		.hash_next = *bucket,
		.type = ip_address_is_v4(ip) ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6,
		.net = net,
	};
	*bucket = neighbour;
	timer_init(&neighbour->timer, neighbour_fired);
	timer_arm(&net->sched->timers, &neighbour->timer, net->now_ns + NEIGHBOUR_UNUSED_NS);
	list_append(neighbour);
	return neighbour;
}

void neighbour_each(struct net *net, void (*visit)(void *context, const struct neighbour *entry),
		    void *context)
{
	for (uint32_t i = 0; i < net->neighbours->entry_count; i++) {
		if (net->neighbours->entries[i].state != NEIGHBOUR_FREE)
			visit(context, &net->neighbours->entries[i]);
	}
}

/* ---- The table ---- */

static int entries_create(struct neighbour_table *table, uint32_t count)
{
	uint32_t buckets = 1;

	while (buckets < count)
		buckets *= 2;
	table->entries = aligned_alloc(64, count * sizeof(*table->entries));
	table->buckets = calloc(buckets, sizeof(struct neighbour *));
	if (!table->entries || !table->buckets)
		return -ENOMEM;
	memset(table->entries, 0, count * sizeof(*table->entries));
	table->entry_count = count;
	table->unresolved_max = count / 2;
	table->bucket_mask = buckets - 1;
	for (uint32_t i = count; i-- > 0;) {
		table->entries[i].hash_next = table->free;
		table->free = &table->entries[i];
	}
	return 0;
}

int neighbour_table_create(struct net *net)
{
	uint32_t count = net->options.neighbours_max;
	struct neighbour_table *table = calloc(1, sizeof(*table));
	int error;

	if (!table)
		return -ENOMEM;
	net->neighbours = table;
	table->retransmit_ns = RETRANSMIT_NS;
	table->reachable_base_ns = REACHABLE_NS;
	if (count < ENTRIES_MIN)
		count = ENTRIES_MIN;
	error = entries_create(table, count < ENTRIES_MAX ? count : ENTRIES_MAX);
	if (!error)
		error = pending_create(net);
	if (error)
		neighbour_table_destroy(net);
	return error;
}

void neighbour_table_destroy(struct net *net)
{
	struct neighbour_table *table = net->neighbours;

	for (uint32_t i = 0; i < table->entry_count; i++) {
		if (table->entries[i].state != NEIGHBOUR_FREE)
			neighbour_free(&table->entries[i]);
	}
	pending_destroy(table);
	free(table->buckets);
	free(table->entries);
	free(table);
	net->neighbours = NULL;
}
