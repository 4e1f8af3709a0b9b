/* SPDX-License-Identifier: MIT */
/*
 * Steering: the XDP program (steer.bpf.c) on an interface that the kernel goes on using, and the
 * maps that tell it which frames are ours. A group's are the kernel's too, so they stay with it, and
 * the filter of a packet socket (afxdp_overhear.h) picks out what we read beside it. The program is
 * attached by a link, which exists as long as somebody has its descriptor: it vanishes with the
 * process, however that ends.
 */
#ifndef DEMI_NETDEV_AFXDP_STEER_H
#define DEMI_NETDEV_AFXDP_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/address.h"

struct bpf_object;

struct steer {
	struct bpf_object *object;
	int link; /* descriptor; -1: none */
	int sockets;
	int addresses;
	int stations;
	bool generic; /* attached above the driver, where zero-copy does not reach */
	struct ip_address *known;
	unsigned int known_count;
};

/**
 * steer_open - load the program and attach it; until told otherwise it passes all to the kernel
 * @name: of the device, for messages: "afxdp:veth0"
 *
 * Return: 0, -EBUSY (the interface has an XDP program already), -EPERM and what the kernel says,
 * having logged it; steer_close undoes it.
 */
int steer_open(struct steer *steer, const char *name, unsigned int interface_index);

/** steer_close - detach and forget everything; in the child of a fork it only closes descriptors */
void steer_close(struct steer *steer);

/** steer_add_socket - what is ours and comes by queue @queue goes to this AF_XDP socket */
int steer_add_socket(struct steer *steer, uint32_t queue, int socket);

/** steer_filter - descriptor of the filter for a packet socket; steer_close closes it */
int steer_filter(const struct steer *steer);

/**
 * steer_set_station - frames to @station are for us, or not any more: to one of our own for us
 * alone, to a group or all for the kernel and, by the filter, for us too
 *
 * Return: 0, -ENOSPC or -errno.
 */
int steer_set_station(struct steer *steer, struct eth_address station, bool ours);

/**
 * steer_set_addresses - these are our addresses, and no others, with what neighbours ask about them
 *
 * Return: 0, -ENOSPC or -errno.
 */
int steer_set_addresses(struct steer *steer, const struct ip_address *addresses,
			unsigned int count);

#endif /* DEMI_NETDEV_AFXDP_STEER_H */
