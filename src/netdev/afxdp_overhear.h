/* SPDX-License-Identifier: MIT */
/*
 * Overhearing: copies of the frames that the kernel gets and we need too, broadcasts and those to
 * groups, through a packet socket whose ring is mapped, so that looking costs a load. Its
 * memberships also make the network card take the groups and the station address that only we use.
 */
#ifndef DEMI_NETDEV_AFXDP_OVERHEAR_H
#define DEMI_NETDEV_AFXDP_OVERHEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "netdev/netdev.h"

struct overhear {
	int fd; /* -1: none */
	unsigned char *ring;
	unsigned int interface_index;
	unsigned int next; /* slot of the ring */
};

/**
 * overhear_open - make the packet socket
 * @filter: descriptor of a socket filter (BPF_PROG_TYPE_SOCKET_FILTER), which stays the caller's
 *
 * Return: 0 or -errno, having logged it; overhear_close undoes it.
 */
int overhear_open(struct overhear *overhear, const char *name, unsigned int interface_index,
		  int filter);

/** overhear_close - also in the child of a fork, where it changes nothing for the parent */
void overhear_close(struct overhear *overhear);

/** overhear_set_station - make the interface take frames to a group or station, or not any more */
int overhear_set_station(struct overhear *overhear, struct eth_address station, bool member);

/** overhear_has - whether there is a frame: one load */
bool overhear_has(const struct overhear *overhear);

/**
 * overhear_next - the next frame, in a frame of the device; counts what is lost
 *
 * Return: the frame, NULL: that was none for us.
 */
struct buf *overhear_next(struct overhear *overhear, struct netdev *device);

#endif /* DEMI_NETDEV_AFXDP_OVERHEAR_H */
