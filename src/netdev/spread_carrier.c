/* SPDX-License-Identifier: MIT */
/* What the carrier does for all when it polls. */
#include "netdev/spread_private.h"

#include <errno.h>
#include <string.h>

/* ---- From the device to the runtimes ---- */

/* @tried: with BUF_STEERED. */
static void give(struct spread *spread, uint32_t slot, const struct buf *frame, uint32_t flags,
		 uint64_t tried)
{
	struct lane *lane = &spread->slots[slot]->to_runtime;
	uint32_t filled = spread->filled[slot];
	struct lane_slot *to;

	if (lane_room(lane, filled + 1) <= filled || !lane_fits(lane, buf_chain_length(frame))) {
		__atomic_store_n(&spread->slots[slot]->lost, spread->slots[slot]->lost + 1,
				 __ATOMIC_RELAXED);
		return;
	}
	to = lane_slot_at(lane, lane->produced + filled);
	lane_fill(to, frame);
	to->flags = (frame->flags & BUF_CHECKED) | flags;
	to->steer.tried = tried;
	spread->filled[slot] = filled + 1;
	spread->to_publish |= bit_of(slot);
}

static void publish(struct spread *spread)
{
	while (spread->to_publish) {
		uint32_t slot = (uint32_t)__builtin_ctzll(spread->to_publish);

		spread->to_publish &= spread->to_publish - 1;
		lane_publish(&spread->slots[slot]->to_runtime, spread->filled[slot]);
		spread->filled[slot] = 0;
		bell_ring(spread->slots[slot]->bell);
	}
}

/* The carrier answers, who polls; if it has just gone, another one. */
static void give_all(struct spread *spread, const struct buf *frame, uint64_t present)
{
	uint64_t answering = bit_of(carrier_of(spread)) & present;

	if (!answering)
		answering = present & -present;
	for (; present; present &= present - 1) {
		uint32_t slot = (uint32_t)__builtin_ctzll(present);

		give(spread, slot, frame, bit_of(slot) == answering ? 0 : BUF_OVERHEARD, 0);
	}
}

/* @tried: those that have had it already, and have passed it on. */
static void steer(struct spread *spread, const struct buf *frame, uint64_t present, uint64_t tried)
{
	struct spread_flow flow;
	uint32_t slot;

	if (!spread_parse(&flow, frame->data, frame->length)) {
		give_all(spread, frame, present);
		return;
	}
	slot = spread_next(&spread->ports, &flow, present, tried);
	/* None: whoever passed it on knew of one that has gone. */
	if (slot < SPREAD_SLOTS_MAX)
		give(spread, slot, frame, BUF_STEERED, tried);
}

/* It is gone for good, which all find when they poll. */
static __attribute__((noinline)) void fail(struct spread *spread, uint64_t present)
{
	__atomic_store_n(&spread->failure, spread->real->failure, __ATOMIC_SEQ_CST);
	for (; present; present &= present - 1)
		bell_ring(spread->slots[__builtin_ctzll(present)]->bell);
}

static void receive(struct spread *spread, uint64_t present, uint64_t now_ns)
{
	struct netdev *real = spread->real;
	struct buf *frames[NETDEV_BURST_MAX];
	unsigned int count = real->ops->rx_burst(real, frames, NETDEV_BURST_MAX, now_ns);

	for (unsigned int i = 0; i < count; i++) {
		if (i + 1 < count)
			__builtin_prefetch(frames[i + 1]->data);
		steer(spread, frames[i], present, 0);
		netdev_release_chain(real, frames[i]);
	}
	if (unlikely(real->failure != spread->failure))
		fail(spread, present);
}

/* ---- From the runtimes to the device ---- */

/* As a stack does that is alone: a device that takes nothing for so long has lost it. */
#define STUCK_NS UINT64_C(10000000)

static void drop_stuck(struct spread *spread)
{
	for (uint32_t i = 0; i < spread->stuck_count; i++)
		netdev_release(spread->real, spread->stuck[i]);
	spread->real->counters.tx_errors += spread->stuck_count;
	spread->stuck_count = 0;
	spread->stuck_ns = 0;
}

/* Whether the device has taken all. */
static bool send_stuck(struct spread *spread, uint64_t now_ns)
{
	struct netdev *real = spread->real;
	unsigned int taken;

	if (spread->stuck_count == 0)
		return true;
	taken = real->ops->tx_burst(real, spread->stuck, spread->stuck_count, now_ns);
	spread->stuck_count -= taken;
	memmove(spread->stuck, spread->stuck + taken,
		spread->stuck_count * sizeof(spread->stuck[0]));
	if (spread->stuck_count == 0)
		spread->stuck_ns = 0;
	else if (taken || spread->stuck_ns == 0)
		spread->stuck_ns = now_ns;
	else if (now_ns - spread->stuck_ns > STUCK_NS)
		drop_stuck(spread);
	return spread->stuck_count == 0;
}

static struct buf *take_to_send(const struct lane_slot *slot, struct netdev *real)
{
	struct buf *frame = lane_take(slot, real);

	if (frame && (slot->flags & BUF_CHECKSUM)) {
		frame->transmit = slot->transmit;
		frame->transmit.done = NULL;
	}
	return frame;
}

/* What a runtime did not find to be its own; it is copied from its lane to another one's. */
static void pass_on(struct spread *spread, const struct lane_slot *slot, uint64_t present)
{
	const struct buf frame = {
		.data = (unsigned char *)slot->data,
		.length = slot->length,
		.flags = slot->flags & BUF_CHECKED,
	};

	steer(spread, &frame, present, slot->steer.tried);
}

static void serve_lane(struct spread *spread, struct lane *lane, uint64_t present, uint64_t now_ns)
{
	uint32_t available = lane_available(lane), done = 0;

	for (; done < available && spread->stuck_count < NETDEV_BURST_MAX; done++) {
		const struct lane_slot *slot = lane_slot_at(lane, lane->consumed + done);
		struct buf *frame;

		if (unlikely(slot->flags & BUF_STEERED)) {
			pass_on(spread, slot, present);
			continue;
		}
		frame = take_to_send(slot, spread->real);
		if (unlikely(!frame))
			break;
		spread->stuck[spread->stuck_count++] = frame;
	}
	if (done > 0)
		lane_consume(lane, done);
	send_stuck(spread, now_ns);
}

/* In the order in which they are looked at: each is the first one now and then. */
static uint64_t from(uint64_t slots, uint32_t first)
{
	return first ? slots >> first | slots << (SPREAD_SLOTS_MAX - first) : slots;
}

static void serve_lanes(struct spread *spread, uint64_t present, uint64_t now_ns)
{
	uint32_t first = spread->first_slot;
	/* Also of those that have gone: what they sent last goes out. */
	uint64_t used = from(used_of(spread), first);

	for (; used && send_stuck(spread, now_ns); used &= used - 1) {
		uint32_t slot = ((uint32_t)__builtin_ctzll(used) + first) % SPREAD_SLOTS_MAX;
		struct lane *lane = &spread->slots[slot]->to_carrier;

		/* Where it stops for want of room it goes on. */
		spread->first_slot = (slot + 1) % SPREAD_SLOTS_MAX;
		if (lane_available(lane) > 0)
			serve_lane(spread, lane, present, now_ns);
	}
	if (spread->real->ops->tx_reclaim)
		spread->real->ops->tx_reclaim(spread->real);
}

static bool knows(const struct ip_address *addresses, uint32_t count, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < count; i++)
		if (ip_address_equal(&addresses[i], ip))
			return true;
	return false;
}

/* Those of all: one that has just come has only some of them yet. */
static void tell_addresses(struct spread *spread)
{
	struct ip_address addresses[SPREAD_ADDRESSES_MAX];
	uint64_t present = present_of(spread);
	uint32_t count = 0;

	for (; present; present &= present - 1) {
		const struct spread_slot *slot = spread->slots[__builtin_ctzll(present)];

		for (uint32_t i = 0; i < slot->address_count; i++) {
			if (count < SPREAD_ADDRESSES_MAX &&
			    !knows(addresses, count, &slot->addresses[i]))
				addresses[count++] = slot->addresses[i];
		}
	}
	spread->real->ops->set_addresses(spread->real, addresses, count);
}

/* The first member has joined, or the last one has left. */
static void tell_groups(struct spread *spread)
{
	struct netdev *real = spread->real;

	for (uint32_t i = 0; i < spread->group_count;) {
		struct spread_group *group = &spread->groups[i];
		bool has_members = group->members != 0;

		if (has_members != group->is_told)
			real->ops->set_group(real, group->link, has_members);
		group->is_told = has_members;
		if (has_members)
			i++;
		else
			*group = spread->groups[--spread->group_count];
	}
}

static __attribute__((noinline)) void tell_device(struct spread *spread)
{
	pthread_mutex_lock(&spread->ports.mutex);
	if (spread->has_addresses)
		tell_addresses(spread);
	tell_groups(spread);
	spread->has_addresses = false;
	__atomic_store_n(&spread->has_news, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&spread->ports.mutex);
}

/* ---- Turns ---- */

/* One at a time is at the device: who was the carrier may not have seen yet that it is no more. */
static bool take_turn(struct spread *spread)
{
	uint32_t nobody = 0;

	return __atomic_compare_exchange_n(&spread->has_turn, &nobody, 1, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static void end_turn(struct spread *spread)
{
	__atomic_store_n(&spread->has_turn, 0, __ATOMIC_RELEASE);
}

/* Whoever has the turn tells the device. */
void spread_tell(struct spread *spread)
{
	__atomic_store_n(&spread->has_news, true, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&spread->ports.mutex);
	if (!take_turn(spread)) {
		spread_ring_carrier(spread);
		return;
	}
	tell_device(spread);
	end_turn(spread);
}

void carrier_turn(struct spread *spread, uint32_t slot, uint64_t now_ns)
{
	uint64_t present = present_of(spread);

	if (unlikely(!take_turn(spread)))
		return;
	if (likely(carrier_of(spread) == slot)) {
		__atomic_store_n(&spread->turns, spread->turns + 1, __ATOMIC_RELAXED);
		if (unlikely(__atomic_load_n(&spread->has_news, __ATOMIC_ACQUIRE)))
			tell_device(spread);
		serve_lanes(spread, present, now_ns);
		receive(spread, present, now_ns);
		publish(spread);
	}
	end_turn(spread);
	/* Who took our place may have found us here, and gone to sleep since. */
	if (unlikely(carrier_of(spread) != slot))
		spread_ring_carrier(spread);
}

static bool has_frames(const struct spread *spread)
{
	for (uint64_t used = used_of(spread); used; used &= used - 1)
		if (lane_available(&spread->slots[__builtin_ctzll(used)]->to_carrier) > 0)
			return true;
	return false;
}

int carrier_idle(struct spread *spread, uint32_t slot, bool *sleep_out)
{
	const struct netdev_ops *ops = spread->real->ops;
	int fd = -ENOENT;

	if (!take_turn(spread)) {
		*sleep_out = false;
		return fd;
	}
	if (carrier_of(spread) == slot) {
		fd = ops->idle_fd ? ops->idle_fd(spread->real, sleep_out) : -ENOTSUP;
		/* What cannot be sent waits for the device: see carrier_next_ns. */
		if (__atomic_load_n(&spread->has_news, __ATOMIC_SEQ_CST) ||
		    (spread->stuck_count == 0 && has_frames(spread)))
			*sleep_out = false;
	}
	end_turn(spread);
	return fd;
}

#define STUCK_NAP_NS UINT64_C(50000)

uint64_t carrier_next_ns(struct spread *spread, uint64_t now_ns)
{
	const struct netdev_ops *ops = spread->real->ops;
	uint64_t next_ns;

	if (!take_turn(spread))
		return now_ns;
	next_ns = ops->next_ns ? ops->next_ns(spread->real) : UINT64_MAX;
	if (spread->stuck_count > 0 && now_ns + STUCK_NAP_NS < next_ns)
		next_ns = now_ns + STUCK_NAP_NS;
	else if (spread->stuck_count == 0 && has_frames(spread))
		next_ns = now_ns;
	end_turn(spread);
	return next_ns;
}

struct netdev_counters carrier_counters(struct spread *spread)
{
	struct netdev_counters counters = {0};
	struct netdev *real = spread->real;

	if (!take_turn(spread))
		return counters;
	if (real->ops->update_counters)
		real->ops->update_counters(real);
	counters = real->counters;
	end_turn(spread);
	return counters;
}

#define FINISH_TURNS_MAX 64u /* a device that takes nothing any more is not waited for */

void carrier_finish(struct spread *spread, uint64_t now_ns)
{
	for (unsigned int i = 0; i < FINISH_TURNS_MAX; i++) {
		if (spread->stuck_count == 0 && !has_frames(spread))
			break;
		serve_lanes(spread, 0, now_ns);
	}
	drop_stuck(spread);
}
