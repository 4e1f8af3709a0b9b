/* SPDX-License-Identifier: MIT */
/*
 * A lane: frames from one thread to one other, by copy, since each heap belongs to one thread. Its
 * memory is a ring of slots, each with room for a frame and what is known about it. Nothing on the
 * path of a frame is a system call; whoever has published frames rings the receiver's bell
 * (base/bell.h), and whoever is about to sleep looks once more at what is available.
 *
 * Each line is written by one side. The sender fills slots and makes them visible together; the
 * receiver takes from them and gives them back together.
 */
#ifndef DEMI_NETDEV_LANE_H
#define DEMI_NETDEV_LANE_H

#include "netdev/netdev.h"
#include "wire/eth.h"

/** Frames under way, at most; a power of two. */
#define LANE_FRAMES 256u

/** What a frame has in its slot before its bytes. */
struct lane_slot {
	uint32_t length;
	uint32_t flags; /* of the buf that is made of it */
	union {
		struct buf_steer steer;       /* with BUF_STEERED */
		struct buf_transmit transmit; /* with BUF_CHECKSUM; done has no meaning */
	};
	unsigned char data[];
};

struct lane {
	_Alignas(64) uint32_t produced; /* by the sender; modulo 2^32 as all counts here */
	uint32_t consumed_seen;         /* as it was when it was last looked at */
	_Alignas(64) uint32_t consumed; /* by the receiver */
	_Alignas(64) unsigned char *slots;
	uint32_t slot_bytes;
	uint32_t mtu;
	bool is_open; /* the receiver is there; written when it comes and goes */
};

/**
 * lane_init - a lane for frames of up to @mtu and an Ethernet header, with nobody at its end yet
 *
 * Return: 0 or -ENOMEM. Of a lane that is all zeroes lane_fini gives nothing back.
 */
int lane_init(struct lane *lane, uint32_t mtu);
void lane_fini(struct lane *lane);

/** lane_open - a receiver: what was sent before it came is not for it */
void lane_open(struct lane *lane);

/** lane_close - the receiver goes */
void lane_close(struct lane *lane);

static inline bool lane_is_open(const struct lane *lane)
{
	return __atomic_load_n(&lane->is_open, __ATOMIC_RELAXED);
}

static inline struct lane_slot *lane_slot_at(const struct lane *lane, uint32_t number)
{
	size_t offset = (size_t)(number & (LANE_FRAMES - 1)) * lane->slot_bytes;

	return (struct lane_slot *)(void *)(lane->slots + offset);
}

/* ---- The sender ---- */

/** lane_room - slots that are free; whether there are more than are known of is looked at for @wanted */
static inline uint32_t lane_room(struct lane *lane, uint32_t wanted)
{
	uint32_t room = LANE_FRAMES - (lane->produced - lane->consumed_seen);

	if (room < wanted) {
		lane->consumed_seen = __atomic_load_n(&lane->consumed, __ATOMIC_ACQUIRE);
		room = LANE_FRAMES - (lane->produced - lane->consumed_seen);
	}
	return room;
}

/** lane_fits - whether a slot has room for a frame of so many bytes */
static inline bool lane_fits(const struct lane *lane, uint32_t length)
{
	return length <= lane->mtu + ETH_HEADER_BYTES_MAX;
}

/**
 * lane_fill - copy a chain to a slot, which no flags and nothing else is said of yet
 *
 * Return: its bytes that were by reference.
 */
uint32_t lane_fill(struct lane_slot *slot, const struct buf *frame);

/** lane_publish - @count slots more that are filled are the receiver's, whose bell is to be rung */
static inline void lane_publish(struct lane *lane, uint32_t count)
{
	/* With the look of who goes to sleep: one of both sides sees what the other has written. */
	__atomic_store_n(&lane->produced, lane->produced + count, __ATOMIC_SEQ_CST);
}

/* ---- The receiver ---- */

/** lane_available - frames that are there */
static inline uint32_t lane_available(const struct lane *lane)
{
	return __atomic_load_n(&lane->produced, __ATOMIC_SEQ_CST) - lane->consumed;
}

/** lane_take - a frame of @device that is a copy of a slot's; NULL: it has none */
struct buf *lane_take(const struct lane_slot *slot, struct netdev *device);

/** lane_consume - @count slots are the sender's again */
static inline void lane_consume(struct lane *lane, uint32_t count)
{
	__atomic_store_n(&lane->consumed, lane->consumed + count, __ATOMIC_RELEASE);
}

#endif /* DEMI_NETDEV_LANE_H */
