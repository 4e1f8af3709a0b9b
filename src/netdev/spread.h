/* SPDX-License-Identifier: MIT */
/*
 * A device that several runtimes of the process share, though it has one queue. Each of them is joined to
 * it by two lanes (netdev/lane.h), whose frames are copied; one of them, the carrier, receives and sends
 * for all when it polls. spread_ports.h says to whom a packet goes; what is no packet of a flow (ARP,
 * ICMP, fragments, groups) goes to all, and one of them answers it.
 *
 * Runtimes come and go at any time, the carrier too: another one takes its place when it ends, or when it
 * has not polled for a while and does not sleep by demi_wait or demi_idle. The device, and the memory
 * that it receives into, are nobody's own, and end with the last runtime.
 */
#ifndef DEMI_NETDEV_SPREAD_H
#define DEMI_NETDEV_SPREAD_H

#include "netdev/netdev.h"
#include "netdev/spread_ports.h"

/** Opens the device that is to be shared, as netdev_open. */
typedef int spread_open_fn(struct netdev **device_out, const char *name,
			   const struct netdev_options *options);

/**
 * spread_open - a runtime's share of the device of that name
 * @slots: runtimes that may share it, 2 to SPREAD_SLOTS_MAX; the first one's number counts
 * @open_device: called by the first one, with a heap that is the device's
 *
 * Return: 0; -EBUSY (all slots are taken), -EINVAL (another configuration than that of those who are
 * there), -ENOMEM, what @open_device says, the failure of a device that has gone; logged.
 */
int spread_open(struct netdev **device_out, const char *name, const struct netdev_options *options,
		uint32_t slots, spread_open_fn *open_device);

/** What a stack does with a packet of which nothing is its own. */
enum spread_verdict {
	SPREAD_ANSWER, /* what it would do if it were alone */
	SPREAD_SILENT, /* another one may have it: drop it, and tell nobody */
	SPREAD_TAKEN,  /* it is on its way to another one, and the buf with it */
};

/* What follows is for stacks whose device has a share: device->share is not NULL. */

/**
 * spread_miss - nothing of a packet is ours; @buf: the frame, as far as it has come
 *
 * It stays as it is, unless it is taken.
 */
enum spread_verdict spread_miss(struct netdev *device, struct buf *buf);

/** spread_bind, spread_unbind - as spread_ports_bind and _unbind, for this runtime */
int spread_bind(struct netdev *device, enum spread_protocol protocol, uint16_t port, bool shares);
void spread_unbind(struct netdev *device, enum spread_protocol protocol, uint16_t port);

/** spread_is_at_home - whether packets of a flow come here though nobody claims its port */
bool spread_is_at_home(const struct netdev *device, const struct spread_flow *flow);

/** spread_enter, spread_leave - a flow begins or ends here; claims its port if it is not at home */
void spread_enter(struct netdev *device, const struct spread_flow *flow);
void spread_leave(struct netdev *device, const struct spread_flow *flow);

/**
 * spread_is_first - whether a packet of a flow that has come to all is this runtime's, if no flow of anybody
 * is it: who listens, or receives from everybody, asks
 */
bool spread_is_first(const struct netdev *device, const struct spread_flow *flow);

/** spread_slot - the number of this runtime among those who may share the device */
uint32_t spread_slot(const struct netdev *device);

/** spread_has_others - whether another runtime has a socket that is bound to the port */
bool spread_has_others(const struct netdev *device, enum spread_protocol protocol, uint16_t port);

#endif /* DEMI_NETDEV_SPREAD_H */
