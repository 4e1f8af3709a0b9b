/* SPDX-License-Identifier: MIT */
/* What the carrier does for all when it polls. */
#include "netdev/spread_private.h"

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
		spread->lost++;
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

/* One of them answers, always the same one while nobody comes or goes. */
static void give_all(struct spread *spread, const struct buf *frame, uint64_t present)
{
	uint32_t flags = 0;

	for (; present; present &= present - 1) {
		give(spread, (uint32_t)__builtin_ctzll(present), frame, flags, 0);
		flags = BUF_OVERHEARD;
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
		__atomic_store_n(&spread->failure, real->failure, __ATOMIC_RELEASE);
}

/* ---- From the runtimes to the device ---- */

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

static void serve_lanes(struct spread *spread, uint64_t present, uint64_t now_ns)
{
	/* Also of those that have gone: what they sent last goes out. */
	for (uint64_t used = used_of(spread); used && send_stuck(spread, now_ns);
	     used &= used - 1) {
		struct lane *lane = &spread->slots[__builtin_ctzll(used)]->to_carrier;

		if (lane_available(lane) > 0)
			serve_lane(spread, lane, present, now_ns);
	}
	if (spread->real->ops->tx_reclaim)
		spread->real->ops->tx_reclaim(spread->real);
}

/* Addresses of ours, and groups that runtimes have joined and left. */
static __attribute__((noinline)) void tell_device(struct spread *spread)
{
	struct netdev *real = spread->real;

	pthread_mutex_lock(&spread->ports.mutex);
	if (spread->has_addresses)
		real->ops->set_addresses(real, spread->addresses, spread->address_count);
	for (uint32_t i = 0; i < spread->group_count; i++)
		real->ops->set_group(real, spread->groups[i].group, spread->groups[i].member);
	spread->has_addresses = false;
	spread->group_count = 0;
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
}

static bool has_nothing_to_do(const struct spread *spread)
{
	uint64_t used = used_of(spread);

	if (spread->stuck_count > 0 || __atomic_load_n(&spread->has_news, __ATOMIC_SEQ_CST))
		return false;
	for (; used; used &= used - 1)
		if (lane_available(&spread->slots[__builtin_ctzll(used)]->to_carrier) > 0)
			return false;
	return true;
}

bool carrier_may_sleep(struct spread *spread)
{
	bool may_sleep;

	/* Somebody else has it, who is the carrier now. */
	if (!take_turn(spread))
		return false;
	may_sleep = has_nothing_to_do(spread);
	end_turn(spread);
	return may_sleep;
}

#define FINISH_TURNS_MAX 64u /* a device that takes nothing any more is not waited for */

void carrier_finish(struct spread *spread, uint64_t now_ns)
{
	for (unsigned int i = 0; i < FINISH_TURNS_MAX && !has_nothing_to_do(spread); i++)
		serve_lanes(spread, 0, now_ns);
	for (uint32_t i = 0; i < spread->stuck_count; i++)
		netdev_release(spread->real, spread->stuck[i]);
	spread->stuck_count = 0;
}
