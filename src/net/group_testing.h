/* SPDX-License-Identifier: MIT */
/*
 * What the tests of groups share: a stack with 10.0.0.2 and fe80::2 whose messages are kept, a
 * device that remembers which groups it was told of, and a clock. Included once in a test.
 */
#ifndef DEMI_NET_GROUP_TESTING_H
#define DEMI_NET_GROUP_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/group.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define GROUP6(low) ip_address_v6_halves(0xff05000000000000, low)
#define LINK_LOCAL ip_address_v6_halves(0xfe80000000000000, 2)
#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define RIG_FRAMES 64u
#define SENT_MAX 4096u

struct sent {
	uint64_t now_ns;
	struct ip_send send;
	struct ip_address destination;
	struct eth_address link;
	uint32_t length;
	uint8_t bytes[1500];
};

static struct rig {
	struct heap *heap;
	struct sched sched;
	struct netdev device;
	struct net net;
	struct sent *sent;
	uint32_t sent_count;
	struct ip_address source4, source6; /* unspecified: none */
	int device_error;
	struct eth_address filter[256];
	uint32_t filter_count;
} rig;

/* ---- Fakes ---- */

int ip_tx(struct net *net, const struct ip_send *send, struct buf *buf)
{
	struct sent *sent = &rig.sent[rig.sent_count++];

	assert_true(rig.sent_count <= SENT_MAX);
	assert_null(buf->next);
	assert_true(buf->length <= sizeof(sent->bytes));
	assert_true(send->path->to_group && !send->path->is_local && send->router_alert);
	assert_int_equal(send->hop_limit, 1);
	assert_int_equal(send->path->mtu, net_mtu(net, &send->path->destination));
	*sent = (struct sent){.now_ns = rig.sched.timers.now_tick << TIMER_TICK_SHIFT,
			      .send = *send,
			      .destination = send->path->destination,
			      .link = send->path->link_destination,
			      .length = buf->length};
	memcpy(sent->bytes, buf->data, buf->length);
	netdev_release_chain(net->device, buf);
	return 0;
}

int net_source_address(const struct net *net, const struct ip_address *destination,
		       struct ip_address *source_out)
{
	(void)net;
	*source_out = ip_address_is_v4(destination) ? rig.source4 : rig.source6;
	return ip_address_is_unspecified(source_out) ? -EADDRNOTAVAIL : 0;
}

static bool filter_has(struct eth_address link)
{
	for (uint32_t i = 0; i < rig.filter_count; i++) {
		if (eth_address_equal(&rig.filter[i], &link))
			return true;
	}
	return false;
}

/* Each address is told once, and taken back once. */
static int set_group(struct netdev *device, struct eth_address link, bool member)
{
	uint32_t at = 0;

	assert_ptr_equal(device, &rig.device);
	if (rig.device_error)
		return rig.device_error;
	assert_true(filter_has(link) != member);
	if (member) {
		rig.filter[rig.filter_count++] = link;
		return 0;
	}
	while (!eth_address_equal(&rig.filter[at], &link))
		at++;
	rig.filter[at] = rig.filter[--rig.filter_count];
	return 0;
}

static const struct netdev_ops rig_ops = {.kind = "test", .set_group = set_group};

/* ---- The stack ---- */

static inline int rig_setup(void **state)
{
	struct heap_options options = {.bytes_max = 16u << 20};
	struct net *net = &rig.net;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.sent = calloc(SENT_MAX, sizeof(*rig.sent));
	if (!rig.sent || heap_create(&rig.heap, &options) != 0 || sched_init(&rig.sched, 0) != 0 ||
	    netdev_init(&rig.device, &rig_ops, rig.heap, 2048, 64, RIG_FRAMES, 64,
			64 + NETDEV_HEAD_ROOM) != 0)
		return -1;
	rig.source4 = V4(10, 0, 0, 2);
	rig.source6 = LINK_LOCAL;
	net->device = &rig.device;
	net->heap = rig.heap;
	net->sched = &rig.sched;
	net->mtu = 1500;
	net->mtu_v6 = 1500;
	net->generation = 1;
	net->secret[0] = 0x0123456789abcdef;
	net->secret[1] = 0xfedcba9876543210;
	return group_create(net);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	if (rig.net.groups)
		group_destroy(&rig.net);
	/* No timer is left behind. */
	assert_int_equal(timer_wheel_next_ns(&rig.sched.timers), TIMER_NEVER);
	assert_int_equal(rig.filter_count, 0);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	netdev_fini(&rig.device);
	assert_true(heap_is_empty(rig.heap));
	heap_destroy(rig.heap);
	sched_fini(&rig.sched);
	free(rig.sent);
	return 0;
}

#define rig_test(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

/* Let time pass, in steps of 10 ms. */
static inline void rig_advance(uint64_t ns)
{
	for (uint64_t end_ns = rig.net.now_ns + ns; rig.net.now_ns < end_ns;) {
		rig.net.now_ns += 10 * MS;
		timer_wheel_expire(&rig.sched.timers, rig.net.now_ns);
	}
}

/* What was said of joining is over. */
static inline void rig_settle(void)
{
	rig_advance(2 * SECOND);
	rig.sent_count = 0;
}

static inline void rig_join(struct ip_address group)
{
	assert_int_equal(group_join(&rig.net, &group), 0);
}

static inline void rig_leave(struct ip_address group)
{
	assert_int_equal(group_leave(&rig.net, &group), 0);
}

static inline uint64_t rig_drops(unsigned int reason)
{
	return rig.net.counters.layers[NET_LAYER_GROUP].drops[reason];
}

/* The complement of the sum of RFC 1071, over a message whose checksum is right: 0. */
static inline uint16_t rig_sum(uint32_t sum, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A frame with these bytes, as the layer below gives it. */
static inline struct buf *rig_frame(const void *bytes, uint32_t length)
{
	struct buf *buf = netdev_alloc(&rig.device);

	assert_non_null(buf);
	memcpy(buf->data, bytes, length);
	buf->length = length;
	return buf;
}

#endif /* DEMI_NET_GROUP_TESTING_H */
