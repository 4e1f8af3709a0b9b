/* SPDX-License-Identifier: MIT */
/* Keys and sizes of the maps through which afxdp_steer.c tells steer.bpf.c what is ours. */
#ifndef DEMI_NETDEV_AFXDP_MAPS_H
#define DEMI_NETDEV_AFXDP_MAPS_H

#define STEER_QUEUES_MAX 256
#define STEER_ADDRESSES_MAX 1024
#define STEER_STATIONS_MAX 1024

/* An IP address as in wire/address.h, IPv4 mapped. */
struct steer_address {
	unsigned char bytes[16];
};

/* Where Ethernet frames go, our own station or a group that we are in; the last two bytes are 0. */
struct steer_station {
	unsigned char bytes[8];
};

#endif /* DEMI_NETDEV_AFXDP_MAPS_H */
