/* SPDX-License-Identifier: MIT */
/* Frames that wait for neighbours: bounded for each and in all, the oldest go first. */
#include <errno.h>
#include <stdlib.h>

#include "net/icmp.h"
#include "net/neighbour_table.h"

/* Of the device's frames so many may wait, or a link that is silent keeps us from all others. */
#define FRAMES_SHARE 4

static uint64_t pending_total(const struct net *net)
{
	uint64_t all = (uint64_t)net->neighbours->entry_count * net->options.neighbour_pending_max;
	uint64_t share = net->device->frames->count / FRAMES_SHARE;

	if (share < net->options.neighbour_pending_max)
		share = net->options.neighbour_pending_max;
	return all < share ? all : share;
}

int pending_create(struct net *net)
{
	struct neighbour_table *table = net->neighbours;
	uint64_t total = pending_total(net);

	table->pending_max = net->options.neighbour_pending_max;
	table->pendings = calloc(total ? total : 1, sizeof(*table->pendings));
	if (!table->pendings)
		return -ENOMEM;
	for (uint64_t i = 0; i < total; i++) {
		table->pendings[i].next = table->pending_free;
		table->pending_free = &table->pendings[i];
	}
	return 0;
}

void pending_destroy(struct neighbour_table *table)
{
	free(table->pendings);
}

/* Takes the first of a neighbour out of both lists. */
static struct buf *take(struct neighbour_table *table, struct neighbour *neighbour)
{
	struct pending *pending = neighbour->pending_head;
	struct buf *buf;

	if (!pending)
		return NULL;
	neighbour->pending_head = pending->next;
	if (!pending->next)
		neighbour->pending_tail = NULL;
	neighbour->pending_count--;
	*(pending->older ? &pending->older->newer : &table->pending_oldest) = pending->newer;
	*(pending->newer ? &pending->newer->older : &table->pending_newest) = pending->older;
	buf = pending->buf;
	*pending = (struct pending){.next = table->pending_free};
	table->pending_free = pending;
	return buf;
}

static void put(struct neighbour_table *table, struct neighbour *neighbour, struct buf *buf)
{
	struct pending *pending = table->pending_free;

	/* The caller has made room. */
	if (!pending)
		__builtin_unreachable();
	table->pending_free = pending->next;
	*pending = (struct pending){
		.buf = buf,
		.neighbour = neighbour,
		.older = table->pending_newest,
	};
	*(pending->older ? &pending->older->newer : &table->pending_oldest) = pending;
	table->pending_newest = pending;
	*(neighbour->pending_tail ? &neighbour->pending_tail->next
				  : &neighbour->pending_head) = pending;
	neighbour->pending_tail = pending;
	neighbour->pending_count++;
}

static void drop_first(struct neighbour *neighbour, enum net_drop reason)
{
	struct net *net = neighbour->net;

	net_drop(net, take(net->neighbours, neighbour), neighbour_layer(neighbour), reason);
}

int pending_add(struct neighbour *neighbour, struct buf *buf)
{
	struct net *net = neighbour->net;
	struct neighbour_table *table = net->neighbours;

	if (!table->pending_max) {
		net_drop(net, buf, neighbour_layer(neighbour), NET_DROP_QUEUE_FULL);
		return -ENOBUFS;
	}
	/* The oldest of all is the oldest of its neighbour as well. */
	if (neighbour->pending_count == table->pending_max)
		drop_first(neighbour, NET_DROP_QUEUE_FULL);
	else if (!table->pending_free)
		drop_first(table->pending_oldest->neighbour, NET_DROP_QUEUE_FULL);
	put(table, neighbour, buf);
	return 0;
}

void pending_send(struct neighbour *neighbour)
{
	struct buf *buf;

	while ((buf = take(neighbour->net->neighbours, neighbour)))
		eth_tx(neighbour->net, buf, &neighbour->link, neighbour->type);
}

void pending_drop(struct neighbour *neighbour, enum net_drop reason)
{
	while (neighbour->pending_head)
		drop_first(neighbour, reason);
}

void pending_refuse(struct neighbour *neighbour)
{
	struct net *net = neighbour->net;
	struct buf *buf;

	while ((buf = take(net->neighbours, neighbour))) {
		icmp_tell_unreachable(net, buf, neighbour->type == ETH_TYPE_IPV6);
		net_drop(net, buf, neighbour_layer(neighbour), NET_DROP_NO_NEIGHBOUR);
	}
}
