/* SPDX-License-Identifier: MIT */
/*
 * memif's driver serves its other side in the EAL's thread for interrupts and takes no lock: when that
 * side leaves, it unmaps the rings, whoever is reading them. Here that thread waits until nobody is.
 *
 * It is kept in a callback of ours, in which it sleeps until something is to be served. Then it asks
 * those who poll to keep out, serves, and lets them in again. Whoever polls writes to a word of its own
 * and reads another, without a fence: the other thread pays for both (membarrier(2)).
 */
#ifndef DEMI_NETDEV_DPDK_GATE_H
#define DEMI_NETDEV_DPDK_GATE_H

#include <stdatomic.h>
#include <stdbool.h>

/** A device's, whose thread alone polls it. */
struct dpdk_gate {
	atomic_bool is_inside;
};

/** Whether to keep out: written once in a device's life and again when its other side comes or goes. */
extern atomic_bool dpdk_gate_is_closed;

/** dpdk_gate_enter - before a burst. Return: false: not now. */
static inline bool dpdk_gate_enter(struct dpdk_gate *gate)
{
	atomic_store_explicit(&gate->is_inside, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(!atomic_load_explicit(&dpdk_gate_is_closed, memory_order_acquire), 1))
		return true;
	atomic_store_explicit(&gate->is_inside, false, memory_order_relaxed);
	return false;
}

/** dpdk_gate_leave - after it */
static inline void dpdk_gate_leave(struct dpdk_gate *gate)
{
	atomic_store_explicit(&gate->is_inside, false, memory_order_release);
}

/** dpdk_gate_open - keep a new device's gate; the EAL has started. Not one that cannot be: it is logged. */
void dpdk_gate_open(struct dpdk_gate *gate);
/** dpdk_gate_remove - its device is gone; of one that was not opened, too */
void dpdk_gate_remove(struct dpdk_gate *gate);

/**
 * dpdk_gate_settle - wait until the thread is through with the events that it had when we were called
 *
 * It takes many at once, and serves each by the number of its descriptor. One that was closed meanwhile
 * and whose number another has got would be served in its place, and memif's driver reads from it until
 * something comes. So nothing is opened before what was closed has settled. Not in that thread.
 */
void dpdk_gate_settle(void);

#endif /* DEMI_NETDEV_DPDK_GATE_H */
