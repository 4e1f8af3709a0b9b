/* SPDX-License-Identifier: MIT */
/* Questions to the kernel over netlink about one interface. Source: netlink(7), rtnetlink(7) */
#ifndef TOOLS_NETLINK_H
#define TOOLS_NETLINK_H

#include <stdint.h>

/** netlink_xdp_features - NETDEV_A_DEV_XDP_FEATURES; -1: not told */
int64_t netlink_xdp_features(unsigned int interface_index);

/** netlink_xdp_program - IFLA_XDP_PROG_ID; 0: none is attached, or not told */
uint32_t netlink_xdp_program(unsigned int interface_index);

#endif /* TOOLS_NETLINK_H */
