/* SPDX-License-Identifier: MIT */
/*
 * What the tests of ARP, NDP, the neighbour cache and autoconfiguration share: a stack on a device
 * whose frames are kept, and a clock. Included once in a test, as it has the fakes of eth.c,
 * hash.c and of the list of addresses.
 */
#ifndef DEMI_NET_LINK_TESTING_H
#define DEMI_NET_LINK_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/neighbour.h"

#define SECOND UINT64_C(1000000000)
#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define MAC(last) ((struct eth_address){{2, 0, 0, 0, 0, last}})
#define SENT_MAX 4096u
#define FRAMES 1024u

struct sent {
	struct eth_address to;
	uint16_t type;
	uint32_t length;
	uint8_t bytes[96];
};

static struct link {
	struct heap *heap;
	struct netdev device;
	struct sched sched;
	struct net net;
	struct sent sent[SENT_MAX];
	uint32_t sent_count;
	uint64_t random;
} at;

static const struct netdev_ops link_ops = {.kind = "test"};

void eth_tx(struct net *net, struct buf *buf, const struct eth_address *destination, uint16_t type)
{
	struct sent *sent = &at.sent[at.sent_count++];

	assert_true(at.sent_count < SENT_MAX);
	*sent = (struct sent){.to = *destination, .type = type, .length = buf->length};
	memcpy(sent->bytes, buf->data, buf->length < 96 ? buf->length : 96);
	netdev_release_chain(net->device, buf);
}

uint64_t net_random(struct net *net)
{
	(void)net;
	at.random = at.random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return at.random >> 16;
}

uint64_t net_hash(const struct net *net, const void *data, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	(void)net;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
	return hash >> 20;
}

const struct net_address *net_has_address(const struct net *net, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (ip_address_equal(&net->addresses[i].ip, ip))
			return &net->addresses[i];
	}
	return NULL;
}

/* The first of its version. */
int net_source_address(const struct net *net, const struct ip_address *destination,
		       struct ip_address *source_out)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		*source_out = net->addresses[i].ip;
		if (ip_address_is_v4(source_out) == ip_address_is_v4(destination))
			return 0;
	}
	return -EADDRNOTAVAIL;
}

static inline void link_own(struct ip_address ip)
{
	at.net.addresses[at.net.address_count++] = (struct net_address){
		.ip = ip,
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
		.preferred_until_ns = UINT64_MAX,
	};
}

static inline int link_setup(void **state)
{
	(void)state;
	memset(&at, 0, sizeof(at));
	assert_int_equal(heap_create(&at.heap, &(struct heap_options){.bytes_max = 16u << 20}), 0);
	assert_int_equal(netdev_init(&at.device, &link_ops, at.heap, 2048, 128, FRAMES, 64, 192),
			 0);
	at.net.device = &at.device;
	at.net.heap = at.heap;
	at.net.sched = &at.sched;
	at.net.mac = MAC(1);
	at.net.link_bytes = 14;
	at.net.mtu = 1500;
	at.net.mtu_v6 = 1500;
	at.net.now_ns = 1000 * SECOND;
	at.net.generation = 1;
	at.net.options.neighbours_max = 64;
	at.net.options.neighbour_pending_max = 4;
	assert_int_equal(sched_init(&at.sched, at.net.now_ns), 0);
	return 0;
}

/* Every frame has come back. */
static inline int link_teardown(void **state)
{
	(void)state;
	assert_int_equal(heap_frames_free(at.device.frames), FRAMES);
	sched_fini(&at.sched);
	netdev_fini(&at.device);
	heap_destroy(at.heap);
	return 0;
}

/* Time passes, in steps as a poll loop's. */
static inline void link_pass(uint64_t ns)
{
	uint64_t until_ns = at.net.now_ns + ns, next_ns;

	while ((next_ns = timer_wheel_next_ns(&at.sched.timers)) <= until_ns) {
		if (next_ns > at.net.now_ns)
			at.net.now_ns = next_ns;
		timer_wheel_expire(&at.sched.timers, at.net.now_ns);
		/* What was armed for now fires at the next call. */
		if (timer_wheel_next_ns(&at.sched.timers) <= at.net.now_ns)
			at.net.now_ns += 4096;
	}
	at.net.now_ns = until_ns > at.net.now_ns ? until_ns : at.net.now_ns;
	timer_wheel_expire(&at.sched.timers, at.net.now_ns);
}

/* A frame with these bytes, as received or to be sent. */
static inline struct buf *link_frame(const void *bytes, uint32_t length)
{
	struct buf *buf = netdev_alloc(&at.device);

	assert_non_null(buf);
	if (length)
		memcpy(buf->data, bytes, length);
	buf->length = length;
	return buf;
}

static inline uint64_t link_drops(enum net_layer layer, unsigned int reason)
{
	return at.net.counters.layers[layer].drops[reason];
}

static inline uint64_t link_all_drops(enum net_layer layer)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < NET_DROPS_END; i++)
		all += link_drops(layer, i);
	return all;
}

#endif /* DEMI_NET_LINK_TESTING_H */
