/* SPDX-License-Identifier: MIT */
/*
 * What the files of the shared device have together: spread.c is who comes and goes and what the stacks
 * ask, spread_share.c a runtime's device, spread_carrier.c what the carrier does for all.
 */
#ifndef DEMI_NETDEV_SPREAD_PRIVATE_H
#define DEMI_NETDEV_SPREAD_PRIVATE_H

#include "base/bell.h"
#include "base/container.h"
#include "netdev/lane.h"
#include "netdev/spread.h"

#define SPREAD_GROUPS_MAX 256u /* that all of them are in, together */
#define SPREAD_ADDRESSES_MAX 64u
#define SPREAD_NAME_BYTES_MAX 256u

/** The share of one runtime; netdev.share of its device points here. */
struct netdev_share {
	struct netdev netdev;
	struct spread *spread;
	uint32_t slot;
	struct spread_holdings holdings;
	bool announced; /* that it sleeps */
	/* Of the carrier: when it was looked after, what it had done then, and since when. */
	uint64_t looked_ns;
	uint64_t turns_seen;
	uint64_t turned_ns;
	uint64_t now_ns; /* of the last poll */
};

/** What joins a runtime to the others; it stays as long as the device. */
struct spread_slot {
	struct lane to_runtime, to_carrier;
	struct bell *bell; /* the runtime's */
	uint64_t lost;     /* frames that its lane had no room for; by who has the turn */
	/* Its addresses, under the ports' mutex. */
	uint32_t address_count;
	struct ip_address addresses[SPREAD_ADDRESSES_MAX];
};

/** A group that runtimes have joined, by its Ethernet address. */
struct spread_group {
	struct eth_address link;
	uint64_t members; /* bits: slots; none: to be left */
	bool is_told;     /* the device knows of it */
};

/** What must be the same for all. */
struct spread_settings {
	char ip[sizeof(((struct config *)NULL)->net.ip)];
	char mac[sizeof(((struct config *)NULL)->net.mac)];
	uint32_t vlan, mtu, runtimes_max;
};

/** What those who share a device have together. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what is written stands apart */
struct spread {
	struct spread *next;
	char name[SPREAD_NAME_BYTES_MAX];
	uint32_t holders;
	struct spread_ports ports;
	struct spread_settings settings;
	struct heap *heap;   /* the device's own */
	struct netdev *real; /* used by who has the turn */
	struct spread_slot *slots[SPREAD_SLOTS_MAX];

	/* Read by all for every burst, written when one comes or goes. */
	_Alignas(64) uint64_t present;
	uint64_t used; /* those that have ever been there */
	uint32_t carrier;
	int failure; /* the device's */

	/* Written by the carrier. */
	_Alignas(64) uint32_t has_turn; /* somebody is at the device */
	uint64_t turns;
	uint32_t first_slot;  /* whose lane is looked at first */
	uint32_t stuck_count; /* frames that the device did not take yet */
	uint64_t stuck_ns;    /* since when it has taken none; 0: it has */
	uint64_t to_publish;  /* bits: slots with frames that are not published yet */
	struct buf *stuck[NETDEV_BURST_MAX];
	uint32_t filled[SPREAD_SLOTS_MAX]; /* of these lanes to runtimes */

	/* What the device is to be told, written by all under the ports' mutex. */
	_Alignas(64) bool has_news;
	bool has_addresses;
	uint32_t group_count;
	struct spread_group groups[SPREAD_GROUPS_MAX];
};

static inline struct netdev_share *share_of(struct netdev *device)
{
	return container_of(device, struct netdev_share, netdev);
}

static inline const struct netdev_share *share_of_const(const struct netdev *device)
{
	return container_of(device, const struct netdev_share, netdev);
}

static inline uint64_t bit_of(uint32_t slot)
{
	return UINT64_C(1) << slot;
}

static inline uint64_t present_of(const struct spread *spread)
{
	return __atomic_load_n(&spread->present, __ATOMIC_ACQUIRE);
}

static inline uint64_t used_of(const struct spread *spread)
{
	return __atomic_load_n(&spread->used, __ATOMIC_ACQUIRE);
}

static inline uint32_t carrier_of(const struct spread *spread)
{
	return __atomic_load_n(&spread->carrier, __ATOMIC_SEQ_CST);
}

static inline struct spread_slot *slot_of(const struct netdev_share *share)
{
	return share->spread->slots[share->slot];
}

/** spread_ring_carrier - there is something for it in a lane, or for it to do */
static inline void spread_ring_carrier(const struct spread *spread)
{
	bell_ring(spread->slots[carrier_of(spread)]->bell);
}

/** carrier_turn - receive and send for all, if it is still us who does that */
void carrier_turn(struct spread *spread, uint32_t slot, uint64_t now_ns);

/**
 * carrier_idle - what the carrier sleeps by, as netdev_ops.device_fd; *@sleep_out false: not now
 *
 * -ENOENT: it is not the carrier any more.
 */
int carrier_idle(struct spread *spread, uint32_t slot, bool *sleep_out);

/** carrier_next_ns - when there is something to do for it, as netdev_ops.next_ns */
uint64_t carrier_next_ns(struct spread *spread, uint64_t now_ns);

/** carrier_counters - those of the device: what it has lost. All zeroes: somebody else is at it */
struct netdev_counters carrier_counters(struct spread *spread);

/** carrier_finish - the last one goes: send what has been given to be sent, as far as that goes */
void carrier_finish(struct spread *spread, uint64_t now_ns);

/**
 * spread_tell - under the ports' mutex, which is dropped: there is news for the device
 *
 * It knows it at the return, unless somebody is at the device, who tells it then.
 */
void spread_tell(struct spread *spread);

/** share_init - the device of a slot; 0 or -errno */
int share_init(struct netdev_share *share, const struct netdev_options *options);

/** spread_drop - the runtime of a slot goes; the last one frees what they had together */
void spread_drop(struct netdev_share *share);

#endif /* DEMI_NETDEV_SPREAD_PRIVATE_H */
