/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the afxdp device share: a device on one end of a pair of interfaces, whose
 * other end stands in another network namespace.
 *
 *	device, 10.0.0.2 and fd00::2      kernel, 10.0.0.3
 *	kernel, 10.0.0.1
 *	   veth0, 02:00:00:00:00:0a ------ veth1, 02:00:00:00:00:0b
 */
#ifndef DEMI_NETDEV_AFXDP_TESTING_H
#define DEMI_NETDEV_AFXDP_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netdev/afxdp.h"
#include "netdev/kinds.h"
#include "netdev/link_testing.h"

#define US 2, 0, 0, 0, 0, 0x0a
#define PEER 2, 0, 0, 0, 0, 0x0b
#define IPV4_BYTES 20
#define OUR_IPV4 0x0a000002
#define HEADERS (ETH_HEADER_BYTES + IPV4_BYTES)

struct link {
	int here; /* the namespaces */
	int there;
	int peer;   /* packet socket on veth1 */
	int kernel; /* packet socket on veth0: what the kernel gets there */
	struct heap *heap;
	struct config config;
	struct netdev_options options;
	struct netdev *device;
};

static inline bool link_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline bool link_run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command) == 0;
}

/* Sockets made from now on stand there; what is open stays where it was made. */
static inline bool link_go(int namespace)
{
	return setns(namespace, CLONE_NEWNET) == 0;
}

static inline bool link_make_pair(struct link *link, unsigned int queues)
{
	link->here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (link_enter() != NULL)
		return false;
	link->there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return link_go(link->here) &&
	       link_run("ip link add veth0 address 02:00:00:00:00:0a numrxqueues %u numtxqueues %u "
			"type veth peer name veth1 address 02:00:00:00:00:0b numrxqueues %u "
			"numtxqueues %u",
			queues, queues, queues, queues) &&
	       link_run("ip link set veth1 netns /proc/%d/fd/%d", getpid(), link->there) &&
	       link_run("ip addr add 10.0.0.1/24 dev veth0 && ip link set veth0 up") &&
	       link_go(link->there) && link_run("ip link set lo up") &&
	       link_run("ip addr add 10.0.0.3/24 dev veth1 && ip link set veth1 up") &&
	       (link->peer = link_packet_socket("veth1")) >= 0 && link_go(link->here);
}

static const struct eth_address all_nodes[] = {
	{{0x33, 0x33, 0, 0, 0, 1}}, /* ff02::1 (RFC 4291, 2.7.1) */
	{{1, 0, 0x5e, 0, 0, 1}},    /* 224.0.0.1 (RFC 1112, section 4) */
};

static inline int link_device_open(struct link *link, const char *arguments)
{
	struct ip_address ours[2] = {ip_address_v4(0x0a000002),
				     ip_address_v6_halves(0xfd00000000000000, 2)};
	int error = afxdp_open(&link->device, arguments, &link->options);

	if (!error)
		error = link->device->ops->set_addresses(link->device, ours, 2);
	/* As each stack does. */
	for (size_t i = 0; i < sizeof(all_nodes) / sizeof(all_nodes[0]) && !error; i++)
		error = link->device->ops->set_group(link->device, all_nodes[i], true);
	return error;
}

static inline struct link *link_make(unsigned int queues)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link || !link_make_pair(link, queues))
		return NULL;
	link->kernel = link_packet_socket("veth0");
	config_defaults(&link->config);
	link->config.net.frames = LINK_FRAMES;
	link->options = (struct netdev_options){.config = &link->config};
	if (link->kernel < 0 ||
	    heap_create(&link->heap, &(struct heap_options){.bytes_max = LINK_HEAP_BYTES}))
		return NULL;
	link->options.heap = link->heap;
	return link;
}

static inline void link_remove(struct link *link)
{
	netdev_close(link->device);
	heap_destroy(link->heap);
	link_run("ip link del veth0");
	close(link->kernel);
	close(link->peer);
	close(link->there);
	close(link->here);
	free(link);
}

/* Why there can be no test here; NULL: there can. */
static inline const char *afxdp_missing(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return "this kernel has no AF_XDP";
	close(fd);
	return link_run("ip link add veth9 type veth peer name veth8 && ip link del veth9")
		       ? NULL
		       : "this kernel has no pairs of virtual interfaces";
}

/* An Ethernet header with this type; returns its length. */
static inline size_t frame_header(uint8_t *frame, const uint8_t *destination, uint16_t type)
{
	memcpy(frame, destination, ETH_ADDRESS_BYTES);
	memcpy(frame + 6, (const uint8_t[]){PEER}, ETH_ADDRESS_BYTES);
	store_be16(frame + 12, type);
	return ETH_HEADER_BYTES;
}

/* A UDP packet's IPv4 header; the rest of it, @payload_bytes of @fill, is for nobody to read. */
static inline size_t frame_ipv4(uint8_t *frame, uint32_t destination, uint8_t fill,
				size_t payload_bytes)
{
	static const uint8_t header[IPV4_BYTES] = {0x45, 0,  0, 0, 0,  0, 0, 0,
						   64,   17, 0, 0, 10, 0, 0, 3};
	uint8_t *ip = frame + frame_header(frame, (const uint8_t[]){US}, ETH_TYPE_IPV4);

	memcpy(ip, header, sizeof(header));
	store_be16(ip + 2, (uint16_t)(IPV4_BYTES + payload_bytes));
	store_be32(ip + 16, destination);
	memset(ip + IPV4_BYTES, fill, payload_bytes);
	return ETH_HEADER_BYTES + IPV4_BYTES + payload_bytes;
}

static inline bool peer_send(const struct link *link, const uint8_t *frame, size_t length)
{
	return send(link->peer, frame, length, 0) == (ssize_t)length;
}

/* ---- Fixtures and steps of tests ---- */

static inline int pair_setup(void **state)
{
	*state = link_make(1);
	return *state ? 0 : -1;
}

static inline int device_setup(void **state)
{
	if (pair_setup(state))
		return -1;
	return link_device_open(*state, "veth0");
}

static inline int device_teardown(void **state)
{
	link_remove(*state);
	return 0;
}

/* Frames that the kernel has to receive into. */
static inline uint32_t held(const struct link *link)
{
	const struct afxdp *afxdp = afxdp_of(link->device);
	uint32_t count = 0;

	for (uint32_t i = 0; i < afxdp->queue_count; i++)
		count += afxdp->queues[i].held;
	return count;
}

/* One frame, sent by the other end. */
static inline struct buf *receive(struct link *link, uint8_t fill, size_t payload_bytes)
{
	uint8_t frame[1514];
	size_t length = frame_ipv4(frame, OUR_IPV4, fill, payload_bytes);
	struct buf *buf = NULL;

	assert_true(peer_send(link, frame, length));
	assert_int_equal(link_rx(link->device, &buf, 1), 1);
	assert_int_equal(buf->length, length);
	assert_memory_equal(buf->data, frame, length);
	return buf;
}

/* A frame to be sent, of headers alone; @payload_bytes are said to follow. */
static inline struct buf *make_head(struct link *link, size_t payload_bytes)
{
	uint8_t frame[1514];
	struct buf *head = netdev_alloc(link->device);

	assert_non_null(head);
	frame_ipv4(frame, 0x0a000063, 0, payload_bytes);
	head->data -= HEADERS;
	head->length = HEADERS;
	memcpy(head->data, frame, HEADERS);
	return head;
}

static inline void transmit(struct link *link, struct buf *frame)
{
	assert_int_equal(link->device->ops->tx_burst(link->device, &frame, 1, link_now_ns()), 1);
}

/* The other end gets headers and @length bytes of payload. */
static inline void peer_gets(struct link *link, const void *payload, size_t length)
{
	uint8_t frame[2048];

	do {
		ssize_t received = link_receive(link->peer, frame, sizeof(frame));

		assert_true(received >= ETH_HEADER_BYTES);
		/* Not what the kernel has to say. */
		if (load_be16(frame + 12) != ETH_TYPE_IPV4)
			continue;
		assert_int_equal(received, HEADERS + length);
		assert_int_equal(load_be32(frame + ETH_HEADER_BYTES + 16), 0x0a000063);
		assert_memory_equal(frame + HEADERS, payload, length);
		return;
	} while (true);
}

#endif /* DEMI_NETDEV_AFXDP_TESTING_H */
