/* SPDX-License-Identifier: MIT */
/*
 * A device without a link, to measure what the stack itself costs: it receives the same datagram
 * without end, as fast as it is asked, and drops what is sent. It plays one peer, which answers
 * questions for its link address, so that what the stack sends goes all the way.
 *
 *	null:port=7,bytes=64,burst=32
 *
 * A burst of 1 is what a link without load gives: every datagram alone.
 *
 * The datagrams go to our first address, which they learn from set_addresses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "netdev/kinds.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

#define PEER_PORT 40000
#define PORT_DEFAULT 7
#define BYTES_DEFAULT 64
#define BYTES_MAX 1472 /* with the headers, the MTU */
#define HEADERS_BYTES (ETH_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES)

static const struct eth_address our_mac = {{2, 0, 0, 0, 0, 1}};
static const struct eth_address peer_mac = {{2, 0, 0, 0, 0, 2}};

struct null_device {
	struct netdev netdev;
	uint16_t port;
	uint16_t bytes;    /* of payload */
	uint16_t burst;    /* frames that are there at each look */
	bool has_question; /* an ARP request that is to be answered */
	struct arp_packet question;
	uint32_t frame_length; /* 0: we have no address yet */
	uint8_t frame[HEADERS_BYTES + BYTES_MAX];
};

static struct null_device *null_of(struct netdev *device)
{
	return (struct null_device *)device;
}

/* ---- In ---- */

static void build_frame(struct null_device *null, struct ip_address destination)
{
	struct eth_header eth = {
		.destination = null->netdev.caps.mac, .source = peer_mac, .type = ETH_TYPE_IPV4};
	struct ipv4_header ip = {
		/* A neighbour of ours, whatever the prefix: the other one of a pair. */
		.source = ip_address_v4(ip_address_low32(&destination) ^ 3),
		.destination = destination,
		.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + UDP_HEADER_BYTES + null->bytes),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
	};
	struct udp_header udp = {.source_port = PEER_PORT,
				 .destination_port = null->port,
				 .total_bytes = (uint16_t)(UDP_HEADER_BYTES + null->bytes)};
	uint8_t *udp_start = null->frame + ETH_HEADER_BYTES + IPV4_HEADER_BYTES;

	eth_emit(null->frame, ETH_HEADER_BYTES, &eth);
	ipv4_emit(null->frame + ETH_HEADER_BYTES, IPV4_HEADER_BYTES, &ip);
	memset(udp_start + UDP_HEADER_BYTES, 'x', null->bytes);
	udp_emit(udp_start, UDP_HEADER_BYTES, &udp);
	udp.checksum = udp_checksum(&ip.source, &ip.destination, udp_start, udp.total_bytes);
	udp_emit(udp_start, UDP_HEADER_BYTES, &udp);
	null->frame_length = (uint32_t)HEADERS_BYTES + null->bytes;
}

static int null_set_addresses(struct netdev *device, const struct ip_address *addresses,
			      unsigned int count)
{
	struct null_device *null = null_of(device);

	null->frame_length = 0;
	for (unsigned int i = 0; i < count && !null->frame_length; i++) {
		if (ip_address_is_v4(&addresses[i]))
			build_frame(null, addresses[i]);
	}
	return 0;
}

static struct buf *answer(struct null_device *null)
{
	struct buf *buf = netdev_alloc(&null->netdev);
	struct arp_packet reply = arp_reply(peer_mac, &null->question);
	struct eth_header eth = {
		.destination = null->netdev.caps.mac, .source = peer_mac, .type = ETH_TYPE_ARP};

	if (!buf)
		return NULL;
	null->has_question = false;
	eth_emit(buf->data, ETH_HEADER_BYTES, &eth);
	buf->length = ETH_HEADER_BYTES +
		      (uint32_t)arp_emit(buf->data + ETH_HEADER_BYTES, 64, &reply);
	return buf;
}

static unsigned int null_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				  uint64_t now_ns)
{
	struct null_device *null = null_of(device);
	unsigned int count = 0;

	(void)now_ns;
	if (unlikely(null->has_question && room > 0)) {
		frames[0] = answer(null);
		return frames[0] ? 1 : 0;
	}
	if (unlikely(null->frame_length == 0))
		return 0;
	if (room > null->burst)
		room = null->burst;
	for (; count < room; count++) {
		struct buf *buf = netdev_alloc(device);

		if (unlikely(!buf)) {
			device->counters.rx_no_frame++;
			break;
		}
		/* A card would have written it: without a copy we would measure cold memory less. */
		memcpy(buf->data, null->frame, null->frame_length);
		buf->length = null->frame_length;
		frames[count] = buf;
	}
	device->counters.rx_frames += count;
	device->counters.rx_bytes += (uint64_t)count * null->frame_length;
	return count;
}

/* ---- Out ---- */

static void look_for_question(struct null_device *null, const struct buf *frame)
{
	struct arp_packet packet;

	if (frame->length < ETH_HEADER_BYTES || load_be16(frame->data + 12) != ETH_TYPE_ARP)
		return;
	if (arp_parse(&packet, frame->data + ETH_HEADER_BYTES, frame->length - ETH_HEADER_BYTES) <
		    0 ||
	    packet.operation != ARP_REQUEST ||
	    ip_address_equal(&packet.sender_ip, &packet.target_ip) ||
	    ip_address_is_unspecified(&packet.sender_ip))
		return;
	null->question = packet;
	null->has_question = true;
}

static unsigned int null_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				  uint64_t now_ns)
{
	(void)now_ns;
	for (unsigned int i = 0; i < count; i++) {
		device->counters.tx_bytes += buf_chain_length(frames[i]);
		look_for_question(null_of(device), frames[i]);
		netdev_release_chain(device, frames[i]);
	}
	device->counters.tx_frames += count;
	return count;
}

/* ---- Birth and death ---- */

static void null_forget(struct netdev *device)
{
	(void)device;
}

static void null_close(struct netdev *device)
{
	netdev_fini(device);
	free(null_of(device));
}

static const struct netdev_ops null_ops = {
	.kind = "null",
	.rx_burst = null_rx_burst,
	.tx_burst = null_tx_burst,
	.set_addresses = null_set_addresses,
	.forget = null_forget,
	.close = null_close,
};

/* "NAME=NUMBER" at *@at, of @min to @max; steps behind it and the comma that may follow. */
static bool parse_number(const char **at, const char *name, unsigned long min, unsigned long max,
			 uint16_t *value_out)
{
	size_t length = strlen(name);
	unsigned long value;
	char *end;

	if (strncmp(*at, name, length) != 0 || (*at)[length] < '0' || (*at)[length] > '9')
		return false;
	value = strtoul(*at + length, &end, 10);
	if (value < min || value > max || (*end && *end != ','))
		return false;
	*value_out = (uint16_t)value;
	*at = *end ? end + 1 : end;
	return true;
}

/* "port=7,bytes=64,burst=32" */
static int parse(struct null_device *null, const char *arguments)
{
	const char *at = arguments;

	while (*at) {
		if (!parse_number(&at, "port=", 1, UINT16_MAX, &null->port) &&
		    !parse_number(&at, "bytes=", 0, BYTES_MAX, &null->bytes) &&
		    !parse_number(&at, "burst=", 1, NETDEV_BURST_MAX, &null->burst))
			return -EINVAL;
	}
	return 0;
}

int null_open(struct netdev **device_out, const char *arguments,
	      const struct netdev_options *options)
{
	static const struct eth_address none;
	struct null_device *null = calloc(1, sizeof(*null));
	int error;

	if (!null)
		return -ENOMEM;
	null->port = PORT_DEFAULT;
	null->bytes = BYTES_DEFAULT;
	null->burst = NETDEV_BURST_MAX;
	snprintf(null->netdev.name, sizeof(null->netdev.name), "null");
	error = parse(null, arguments);
	if (error)
		log_error("net.dev: \"null:%s\": give port=1..65535, bytes=0..%d and burst=1..%u, "
			  "as in null:port=7,bytes=64",
			  arguments, BYTES_MAX, NETDEV_BURST_MAX);
	else
		error = netdev_init(&null->netdev, &null_ops, options->heap, 2048, 64,
				    options->config->net.frames, sizeof(struct buf),
				    sizeof(struct buf) + NETDEV_HEAD_ROOM);
	if (error) {
		free(null);
		return error;
	}
	null->netdev.caps = (struct netdev_caps){
		.mac = eth_address_equal(&options->mac, &none) ? our_mac : options->mac,
		.mtu = 1500,
		.segments_max = 8,
	};
	*device_out = &null->netdev;
	return 0;
}
