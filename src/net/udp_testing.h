/* SPDX-License-Identifier: MIT */
/*
 * What the tests of UDP share: a stack with the addresses 10.0.0.2/24, 10.0.0.3/24 and fd00::2 over
 * a device that is nothing but its frames, and fakes of IP, ICMP, paths and groups. At the end
 * every frame must be back and the heap empty. Included once in a test.
 */
#ifndef DEMI_NET_UDP_TESTING_H
#define DEMI_NET_UDP_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/group.h"
#include "net/icmp.h"
#include "net/udp.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define V6(low) ip_address_v6_halves(0xfd00000000000000, low)
#define ANY4 ip_address_v4(0)
#define ANY6 ip_address_v6_halves(0, 0)
#define RIG_FRAMES 64u
#define SENT_BYTES_MAX 66000u

static struct rig {
	struct heap *heap;
	struct sched sched;
	struct netdev device;
	struct net net;
	/* Of ip_tx. */
	struct buf *kept; /* the last chain, while the device is not done with it */
	bool keeps;
	int tx_error;
	unsigned int sent;
	struct ip_send send;
	struct ip_address destination;
	uint8_t bytes[SENT_BYTES_MAX];
	uint32_t length, segments;
	uint32_t first_flags;
	struct buf_transmit transmit;
	const unsigned char *first_data;
	/* Of the others. */
	unsigned int paths_found, icmp_errors;
	int path_error, group_error;
	uint32_t path_mtu;
	struct ip_address joined[16]; /* as often as it was */
	unsigned int joined_count;
} rig;

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

int path_find(struct net *net, struct path *path, const struct ip_address *destination)
{
	*path = (struct path){.destination = *destination, .mtu = rig.path_mtu};
	rig.paths_found++;
	if (rig.path_error)
		return rig.path_error;
	path->source = ip_address_is_v4(destination) ? V4(10, 0, 0, 2) : V6(2);
	path->to_group = ip_address_is_multicast(destination) ||
			 ip_address_is_broadcast(destination) ||
			 net_is_subnet_broadcast(net, destination);
	if (ip_address_is_loopback(destination) || net_has_address(net, destination)) {
		path->is_local = true;
		path->source = *destination;
		path->mtu = 65535;
	}
	path->generation = net->generation;
	return 0;
}

static inline void rig_release(void)
{
	netdev_release_chain(&rig.device, rig.kept);
	rig.kept = NULL;
}

int ip_tx(struct net *net, const struct ip_send *send, struct buf *buf)
{
	assert_ptr_equal(net, &rig.net);
	assert_null(rig.kept);
	rig.sent++;
	rig.send = *send;
	rig.destination = send->path->destination;
	rig.length = 0;
	rig.segments = 0;
	rig.first_flags = buf->flags;
	rig.transmit = buf->transmit;
	rig.first_data = buf->data;
	for (const struct buf *at = buf; at; at = at->next, rig.segments++) {
		assert_true(rig.length + at->length <= SENT_BYTES_MAX);
		memcpy(rig.bytes + rig.length, at->data, at->length);
		rig.length += at->length;
	}
	if (!rig.keeps || rig.tx_error)
		netdev_release_chain(net->device, buf);
	else
		rig.kept = buf;
	return rig.tx_error;
}

void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group)
{
	assert_ptr_equal(net, &rig.net);
	assert_int_equal(problem, ICMP_PROBLEM_PORT_UNREACHABLE);
	assert_false(packet->to_group || answers_group || code || pointer);
	rig.icmp_errors++;
}

int group_join(struct net *net, const struct ip_address *group)
{
	(void)net;
	if (!rig.group_error)
		rig.joined[rig.joined_count++] = *group;
	return rig.group_error;
}

int group_leave(struct net *net, const struct ip_address *group)
{
	(void)net;
	for (unsigned int i = 0; i < rig.joined_count; i++) {
		if (!ip_address_equal(&rig.joined[i], group))
			continue;
		rig.joined[i] = rig.joined[--rig.joined_count];
		return 0;
	}
	fail();
	return -ENOENT;
}

/* ---- The stack ---- */

static inline int rig_setup_heap(bool protect)
{
	struct heap_options options = {.bytes_max = 64u << 20, .protect = protect};
	struct net *net = &rig.net;

	memset(&rig, 0, sizeof(rig));
	if (heap_create(&rig.heap, &options) != 0 || sched_init(&rig.sched, 0) != 0 ||
	    netdev_init(&rig.device, NULL, rig.heap, 2048, 64, RIG_FRAMES, 64,
			64 + NETDEV_HEAD_ROOM) != 0)
		return -1;
	rig.device.caps.mtu = 1500;
	rig.device.caps.segments_max = 16;
	rig.path_mtu = 1500;
	net->device = &rig.device;
	net->heap = rig.heap;
	net->sched = &rig.sched;
	net->link_bytes = 14;
	net->mtu = 1500;
	net->mtu_v6 = 1500;
	net->copy_max = 1024;
	net->generation = 1;
	net->secret[0] = 0x0123456789abcdef;
	net->secret[1] = 0xfedcba9876543210;
	net->options.socket_bytes_max = 1u << 20;
	net->addresses[0] = (struct net_address){.ip = V4(10, 0, 0, 2), .prefix_bits = 24};
	net->addresses[1] = (struct net_address){.ip = V4(10, 0, 0, 3), .prefix_bits = 24};
	net->addresses[2] = (struct net_address){.ip = V6(2), .prefix_bits = 64};
	net->address_count = 3;
	return udp_create(net);
}

static inline int rig_setup(void **state)
{
	(void)state;
	return rig_setup_heap(false);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	udp_destroy(&rig.net);
	assert_int_equal(rig.joined_count, 0);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	assert_int_equal(heap_frames_free(rig.device.shells), RIG_FRAMES);
	netdev_fini(&rig.device);
	assert_true(heap_is_empty(rig.heap));
	heap_destroy(rig.heap);
	sched_fini(&rig.sched);
	return 0;
}

#define rig_test(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

static inline uint64_t rig_drops(unsigned int reason)
{
	return rig.net.counters.layers[NET_LAYER_UDP].drops[reason];
}

/* ---- Sockets ---- */

struct test_socket {
	struct udp_socket udp;
	bool wants;       /* a pop waits */
	struct buf *last; /* received and not yet freed */
	unsigned int received, failed;
	int error;
};

static inline void test_socket_free_last(struct test_socket *socket)
{
	assert_int_equal(buf_free(rig.heap, socket->last), 0);
	socket->last = NULL;
}

static bool test_received(struct udp_socket *udp, struct buf *buf)
{
	struct test_socket *socket = (struct test_socket *)udp;

	assert_ptr_equal(buf_from_pointer(rig.heap, buf), buf);
	assert_false(heap_is_held(rig.heap, buf));
	assert_null(buf->next);
	if (!socket->wants)
		return false;
	if (socket->last)
		test_socket_free_last(socket);
	socket->last = buf;
	socket->received++;
	return true;
}

static void test_failed(struct udp_socket *udp, int error)
{
	struct test_socket *socket = (struct test_socket *)udp;

	socket->failed++;
	socket->error = error;
}

static void test_reported(struct udp_socket *udp, int error, struct buf *report)
{
	test_failed(udp, error);
	((struct test_socket *)udp)->last = report;
}

static const struct udp_socket_ops test_ops = {test_received, test_failed, test_reported};

static inline void test_socket_init(struct test_socket *socket, bool is_v6)
{
	*socket = (struct test_socket){.wants = true};
	udp_socket_init(&socket->udp, &rig.net, &test_ops, is_v6);
}

/* A socket of the address's version. */
static inline void test_socket_bind(struct test_socket *socket, struct ip_address address,
				    uint16_t port)
{
	test_socket_init(socket, !ip_address_is_v4(&address));
	assert_int_equal(udp_bind(&socket->udp, &address, port), 0);
}

static inline void test_socket_fini(struct test_socket *socket)
{
	udp_socket_fini(&socket->udp);
	if (socket->last)
		test_socket_free_last(socket);
}

/* ---- Bytes ---- */

/* The sum of RFC 1071, section 4.1, word by word. */
static inline uint32_t rig_sum(uint32_t sum, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* 0xffff: the checksum that stands in @data is right (RFC 768; RFC 8200, section 8.1). */
static inline uint32_t rig_udp_sum(const struct ip_address *source,
				   const struct ip_address *destination, const uint8_t *data,
				   size_t length)
{
	size_t skip = ip_address_is_v4(destination) ? 12 : 0;
	uint32_t sum = rig_sum(17 + (uint32_t)length, source->bytes + skip, 16 - skip);

	sum = rig_sum(sum, destination->bytes + skip, 16 - skip);
	return rig_sum(sum, data, length);
}

#endif /* DEMI_NET_UDP_TESTING_H */
