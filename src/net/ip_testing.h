/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of IP share: a stack over a device that is nothing but its frames, with the
 * addresses 10.0.0.2/24 and fd00::2/64, and fakes of addresses, groups and the hash. At the end
 * every frame must be back and the heap empty. To be included once, by a test.
 */
#ifndef DEMI_NET_IP_TESTING_H
#define DEMI_NET_IP_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/group.h"
#include "net/ip.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define V6(low) ip_address_v6_halves(0xfd00000000000000, low)
#define SECOND_NS UINT64_C(1000000000)
#define RIG_FRAMES 256u

struct rig {
	struct heap *heap;
	struct sched sched;
	struct netdev device;
	struct net net;
	struct ip_address group; /* that we are a member of, beside 224.0.0.1 and ff02::1 */
};

static struct rig rig;

/* For what counts the heap's bytes: without the checks of the sanitizers. */
static enum heap_checks rig_checks;

/* ---- Fakes ---- */

const struct net_address *net_has_address(const struct net *net, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (ip_address_equal(&net->addresses[i].ip, ip))
			return &net->addresses[i];
	}
	return NULL;
}

bool net_is_subnet_broadcast(const struct net *net, const struct ip_address *ip)
{
	(void)net;
	return ip_address_is_v4(ip) && ip_address_low32(ip) == 0x0a0000ff;
}

bool group_is_member(const struct net *net, const struct ip_address *group)
{
	const struct ip_address nodes = IPV6_ALL_NODES;

	(void)net;
	return ip_address_low32(group) == 0xe0000001 || ip_address_equal(group, &nodes) ||
	       ip_address_equal(group, &rig.group);
}

/* FNV-1a: the tests do not depend on what it gives. */
uint64_t net_hash(const struct net *net, const void *data, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325 ^ net->secret[0];

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	return hash ^ hash >> 32;
}

/* xorshift64*: the same numbers in each run. */
uint64_t net_random(struct net *net)
{
	static uint64_t random_state = 0x9e3779b97f4a7c15;

	(void)net;
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

#ifdef RIG_IP_ALLOC
struct buf *ip_alloc(struct net *net, uint32_t capacity)
{
	struct buf *buf = buf_alloc(net->heap, capacity);

	if (buf) {
		heap_hold(net->heap, buf);
		heap_free_buf(net->heap, buf);
	}
	return buf;
}
#endif

/* ---- The stack ---- */

static inline int rig_setup(void **state)
{
	struct net *net = &rig.net;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	if (heap_create(&rig.heap, &(struct heap_options){.bytes_max = 64u << 20,
							  .checks = rig_checks}) != 0 ||
	    sched_init(&rig.sched, 0) != 0 ||
	    netdev_init(&rig.device, NULL, rig.heap, 2048, 64, RIG_FRAMES, 64,
			64 + NETDEV_HEAD_ROOM) != 0)
		return -1;
	rig.device.caps.mtu = 1500;
	rig.device.caps.segments_max = 16;
	rig.group = V4(239, 1, 2, 3);
	net->device = &rig.device;
	net->heap = rig.heap;
	net->sched = &rig.sched;
	net->link_bytes = 14;
	net->mtu = 1500;
	net->mtu_v6 = 1500;
	net->copy_max = 256;
	net->generation = 1;
	net->secret[0] = 0x0123456789abcdef;
	net->secret[1] = 0xfedcba9876543210;
	net->options.reassembly_bytes_max = 4u << 20;
	net->options.icmp_rate = 1000;
	net->addresses[0] = (struct net_address){.ip = V4(10, 0, 0, 2), .prefix_bits = 24};
	net->addresses[1] = (struct net_address){.ip = V6(2), .prefix_bits = 64};
	net->address_count = 2;
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	assert_int_equal(heap_frames_free(rig.device.shells), RIG_FRAMES);
	netdev_fini(&rig.device);
	assert_true(heap_is_empty(rig.heap));
	heap_destroy(rig.heap);
	sched_fini(&rig.sched);
	return 0;
}

/* A frame of the device with a copy of these bytes. */
static inline struct buf *rig_frame(const void *data, uint32_t length)
{
	struct buf *buf = netdev_alloc(&rig.device);

	assert_non_null(buf);
	memcpy(buf->data, data, length);
	buf->length = length;
	return buf;
}

static inline void rig_advance(uint64_t now_ns)
{
	rig.net.now_ns = now_ns;
	timer_wheel_expire(&rig.sched.timers, now_ns);
}

static inline uint64_t rig_drops(enum net_layer layer, unsigned int reason)
{
	return rig.net.counters.layers[layer].drops[reason];
}

/* The bytes of a chain together; returns how many. */
static inline uint32_t rig_flatten(const struct buf *buf, uint8_t *out, uint32_t room)
{
	uint32_t length = 0;

	for (; buf; buf = buf->next) {
		assert_true(length + buf->length <= room);
		memcpy(out + length, buf->data, buf->length);
		length += buf->length;
	}
	return length;
}

/* The sum of RFC 1071 word by word, to compare with. */
static inline uint16_t rig_sum(const uint8_t *data, uint32_t length, uint32_t sum)
{
	for (uint32_t i = 0; i < length; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#define rig_test(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif /* DEMI_NET_IP_TESTING_H */
