/* SPDX-License-Identifier: MIT */
/* What netdev_open calls: each opens the device that @arguments, what stands behind "kind:", say. */
#ifndef DEMI_NETDEV_KINDS_H
#define DEMI_NETDEV_KINDS_H

#include "netdev/netdev.h"

typedef int netdev_open_fn(struct netdev **device_out, const char *arguments,
			   const struct netdev_options *options);

/** Returns as netdev_open, having logged what is wrong; dpdk and afxdp are not in every build. */
netdev_open_fn dpdk_open, afxdp_open, tap_open, loop_open, sim_open, null_open;

#endif /* DEMI_NETDEV_KINDS_H */
