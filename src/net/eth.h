/* SPDX-License-Identifier: MIT */
/* Ethernet: frames in, and the header in front of what goes out. */
#ifndef DEMI_NET_ETH_H
#define DEMI_NET_ETH_H

#include "net/net.h"

/**
 * eth_rx - one frame of the device
 * @buf: the frame; ownership passes
 *
 * Drops what is not for us (another station's address, another VLAN, a group that we have not
 * joined) and what claims to come from us.
 */
void eth_rx(struct net *net, struct buf *buf);

/**
 * eth_tx - write the Ethernet header in front of @buf and put the frame in the transmit batch
 * @buf: a chain, the data from the IP or ARP header on, NETDEV_HEAD_ROOM or what is left of it in
 *   front; ownership passes
 *
 * The batch goes out when it is full or by net_flush.
 */
void eth_tx(struct net *net, struct buf *buf, const struct eth_address *destination, uint16_t type);

#endif /* DEMI_NET_ETH_H */
