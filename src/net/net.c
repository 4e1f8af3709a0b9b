/* SPDX-License-Identifier: MIT */
/* Birth and death of a stack, and its poll. */
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/autoconf.h"
#include "net/capture.h"
#include "net/eth.h"
#include "net/group.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "net/neighbour.h"
#include "net/tcp/fast.h"
#include "net/udp.h"
#include "net/udp_fast.h"

/* ---- What waits to be sent ---- */

/* Each frame once, when it is handed to the device for the first time. */
static void capture_batch(struct net *net)
{
	while (net->tx_captured < net->tx_count)
		capture_sent(net->capture, net->now_ns, net->tx[net->tx_captured++], NULL);
}

static void drop_batch(struct net *net)
{
	for (uint32_t i = 0; i < net->tx_count; i++)
		net_drop(net, net->tx[i], NET_LAYER_ETH, NET_DROP_DEVICE_FULL);
	net->tx_count = 0;
	net->tx_captured = 0;
	net->tx_stuck_ns = 0;
}

static void keep_rest(struct net *net, unsigned int taken)
{
	net->tx_count -= taken;
	net->tx_captured -= net->capture ? taken : 0;
	memmove(net->tx, net->tx + taken, net->tx_count * sizeof(net->tx[0]));
	if (taken || net->tx_stuck_ns == 0)
		net->tx_stuck_ns = net->now_ns;
	else if (net->now_ns - net->tx_stuck_ns > NET_STUCK_NS)
		drop_batch(net);
}

void net_flush(struct net *net)
{
	struct netdev *device = net->device;
	unsigned int taken;

	if (net->tx_count == 0)
		return;
	if (unlikely(net->capture != NULL))
		capture_batch(net);
	taken = device->ops->tx_burst(device, net->tx, net->tx_count, net->now_ns);
	if (likely(taken == net->tx_count)) {
		net->tx_count = 0;
		net->tx_captured = 0;
		net->tx_stuck_ns = 0;
		return;
	}
	keep_rest(net, taken);
}

/* ---- What comes in ---- */

static void receive_captured(struct net *net, struct buf *frame)
{
	capture_keep(net->capture, frame);
	net->drop_reason = 0;
	eth_rx(net, frame);
	capture_received(net->capture, net->now_ns,
			 net->drop_reason ? net_drop_name(net->drop_reason) : NULL);
}

/* The byte that tells the protocol, in a frame without a tag. */
#define PROTOCOL_OFFSET (ETH_HEADER_BYTES + 9)

static inline bool receive_fast(struct net *net, struct buf *frame)
{
	if (frame->length <= PROTOCOL_OFFSET)
		return false;
	return frame->data[PROTOCOL_OFFSET] == IPPROTO_TCP ? tcp_rx_fast(net, frame)
							   : udp_rx_fast(net, frame);
}

unsigned int net_poll(struct net *net, uint64_t now_ns)
{
	struct buf *frames[NETDEV_BURST_MAX];
	struct netdev *device = net->device;
	unsigned int count;

	net->now_ns = now_ns;
	if (net->tx_count)
		net_flush(net);
	count = device->ops->rx_burst(device, frames, NETDEV_BURST_MAX, now_ns);
	for (unsigned int i = 0; i < count; i++) {
		if (i + 1 < count)
			__builtin_prefetch(frames[i + 1]->data);
		if (unlikely(net->capture != NULL))
			receive_captured(net, frames[i]);
		else if (!receive_fast(net, frames[i]))
			eth_rx(net, frames[i]);
	}
	if (unlikely(net->loopback_count != 0))
		count += ip_poll_loopback(net);
	if (unlikely(net->capture != NULL))
		capture_flush(net->capture, now_ns);
	/* What the stack itself has answered; the application's answers come later. */
	if (net->tx_count)
		net_flush(net);
	return count;
}

void net_fail(struct net *net, int error)
{
	net->failure = error;
	net->generation++;
	udp_fail(net, -error);
	tcp_fail(net, -error);
}

/* ---- Birth and death ---- */

struct part {
	int (*create)(struct net *net);
	void (*destroy)(struct net *net);
};

/* In this order; destroyed in the opposite one. */
static const struct part parts[] = {
	{neighbour_table_create, neighbour_table_destroy},
	{pmtu_create, pmtu_destroy},
	{reassembly_create, reassembly_destroy},
	{icmp_create, icmp_destroy},
	{udp_create, udp_destroy},
	{tcp_create, tcp_destroy},
	{group_create, group_destroy},
	{autoconf_create, autoconf_destroy},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static int parts_create(struct net *net)
{
	for (size_t i = 0; i < PARTS; i++) {
		int error = parts[i].create(net);

		if (!error)
			continue;
		while (i-- > 0)
			parts[i].destroy(net);
		return error;
	}
	return 0;
}

static int check_mtu(struct net *net, const struct net_options *options)
{
	net->mtu = options->mtu ? options->mtu : net->device->caps.mtu;
	net->mtu_v6 = net->mtu;
	if (options->mtu > net->device->caps.mtu) {
		log_error("net.mtu: %u is more than %s can carry; set it to %u or less",
			  options->mtu, net->device->name, net->device->caps.mtu);
		return -EINVAL;
	}
	return 0;
}

static void init(struct net *net, const struct net_options *options)
{
	net->options = *options;
	net->options.addresses = NULL;
	net->options.gateways = NULL;
	net->options.routes = NULL;
	net->device = options->device;
	net->heap = options->heap;
	net->sched = options->sched;
	net->now_ns = options->now_ns;
	net->secret[0] = options->seed[0];
	net->secret[1] = options->seed[1];
	net->mac = options->device->caps.mac;
	net->vlan = options->vlan;
	net->link_bytes = options->vlan ? ETH_HEADER_BYTES_MAX : ETH_HEADER_BYTES;
	/* A push by reference would complete when others have followed, which may be never. */
	net->copy_max = net->device->caps.late_release ? UINT32_MAX : options->copy_max;
	net->capture = options->capture;
	net->generation = 1; /* 0 is that of a path that was never found */
}

int net_create(struct net **net_out, const struct net_options *options)
{
	struct net *net = calloc(1, sizeof(*net));
	int error;

	if (!net)
		return -ENOMEM;
	init(net, options);
	error = check_mtu(net, options);
	if (!error) {
		error = parts_create(net);
		if (error)
			log_error("the network stack cannot start: %s; lower "
				  "net.neighbours_max or net.reassembly_bytes_max",
				  strerror(-error));
	}
	if (error) {
		free(net);
		return error;
	}
	error = net_configure(net, options);
	if (error) {
		net_destroy(net);
		return error;
	}
	net_flush(net);
	*net_out = net;
	return 0;
}

void net_destroy(struct net *net)
{
	if (!net)
		return;
	for (size_t i = PARTS; i-- > 0;)
		parts[i].destroy(net);
	net_flush(net);
	drop_batch(net);
	ip_drop_loopback(net);
	free(net);
}
