/* SPDX-License-Identifier: MIT */
/* The device of a runtime that shares one with others. */
#include "netdev/spread_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 64u /* any would do: they are copied */
#define ROOM_OFFSET ((uint32_t)sizeof(struct buf))
#define DATA_OFFSET (ROOM_OFFSET + NETDEV_HEAD_ROOM)

/* A carrier that has not polled for so long, and does not sleep, is doing something else. */
#define STALL_NS UINT64_C(1000000)
/* Who sleeps looks so often after the carrier. */
#define LOOK_AFTER_NS UINT64_C(100000000)

/* ---- Whose turn it is ---- */

static bool carrier_sleeps(const struct spread *spread)
{
	const struct bell *bell = spread->slots[carrier_of(spread)]->bell;

	return __atomic_load_n(&bell->is_awaited, __ATOMIC_SEQ_CST);
}

/*
 * A carrier that has not polled since we looked the last time: take its place, if it does not sleep. One
 * that says so and has not polled for long is woken: if it comes it has slept, and if not, we see the
 * next time that it does something else.
 */
static __attribute__((noinline)) void look_after_carrier(struct netdev_share *share,
							 uint64_t now_ns)
{
	struct spread *spread = share->spread;
	uint64_t turns = __atomic_load_n(&spread->turns, __ATOMIC_RELAXED);
	uint32_t carrier = carrier_of(spread);

	share->looked_ns = now_ns;
	if (turns != share->turns_seen || carrier == share->slot) {
		share->turns_seen = turns;
		share->turned_ns = now_ns;
		return;
	}
	if (carrier_sleeps(spread)) {
		if (now_ns - share->turned_ns < LOOK_AFTER_NS)
			return;
		share->turned_ns = now_ns;
		bell_ring(spread->slots[carrier]->bell);
		return;
	}
	/* It may be about to sleep as the carrier does, which it is not any more. */
	if (__atomic_compare_exchange_n(&spread->carrier, &carrier, share->slot, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		bell_ring(spread->slots[carrier]->bell);
}

/* ---- In ---- */

static unsigned int take_frames(struct netdev_share *share, struct buf **frames, unsigned int room)
{
	struct netdev *device = &share->netdev;
	struct lane *in = &slot_of(share)->to_runtime;
	uint32_t available = lane_available(in);
	unsigned int count = 0;

	if (room > available)
		room = available;
	for (; count < room; count++) {
		const struct lane_slot *slot = lane_slot_at(in, in->consumed + count);
		struct buf *frame = lane_take(slot, device);

		if (unlikely(!frame))
			break;
		if (frame->flags & BUF_STEERED)
			frame->steer = (struct buf_steer){slot->steer.tried, frame->data,
							  frame->length};
		device->counters.rx_bytes += frame->length;
		frames[count] = frame;
	}
	if (count > 0)
		lane_consume(in, count);
	device->counters.rx_frames += count;
	return count;
}

static unsigned int share_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				   uint64_t now_ns)
{
	struct netdev_share *share = share_of(device);
	struct spread *spread = share->spread;
	unsigned int count;

	share->now_ns = now_ns;
	if (unlikely(share->announced)) {
		share->announced = false;
		bell_wake(slot_of(share)->bell);
	}
	if (carrier_of(spread) == share->slot)
		carrier_turn(spread, share->slot, now_ns);
	count = take_frames(share, frames, room);
	if (unlikely(count == 0 && now_ns - share->looked_ns > STALL_NS))
		look_after_carrier(share, now_ns);
	device->failure = __atomic_load_n(&spread->failure, __ATOMIC_ACQUIRE);
	return count;
}

/* ---- Out ---- */

static unsigned int share_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				   uint64_t now_ns)
{
	struct netdev_share *share = share_of(device);
	struct netdev_counters *counters = &device->counters;
	struct lane *out = &slot_of(share)->to_carrier;
	uint32_t room = lane_room(out, count), sent = 0;
	unsigned int taken = 0;

	(void)now_ns;
	for (; taken < count; taken++) {
		const struct buf *frame = frames[taken];
		uint32_t length = buf_chain_length(frame);
		struct lane_slot *slot;

		if (unlikely(device->failure || !lane_fits(out, length))) {
			counters->tx_errors++;
			netdev_release_chain(device, frames[taken]);
			continue;
		}
		if (unlikely(sent == room)) {
			counters->tx_full++;
			break;
		}
		slot = lane_slot_at(out, out->produced + sent);
		counters->tx_copied_bytes += lane_fill(slot, frame);
		slot->flags = frame->flags & BUF_CHECKSUM;
		slot->transmit = frame->transmit;
		netdev_release_chain(device, frames[taken]);
		sent++;
		counters->tx_bytes += length;
	}
	counters->tx_frames += sent;
	if (sent > 0) {
		lane_publish(out, sent);
		spread_ring_carrier(share->spread);
	}
	return taken;
}

/* ---- What the carrier tells the device ---- */

static struct spread_group *find_group(struct spread *spread, const struct eth_address *link)
{
	for (uint32_t i = 0; i < spread->group_count; i++)
		if (eth_address_equal(&spread->groups[i].link, link))
			return &spread->groups[i];
	return NULL;
}

static int share_set_group(struct netdev *device, struct eth_address link, bool member)
{
	struct netdev_share *share = share_of(device);
	struct spread *spread = share->spread;
	struct spread_group *group;
	int error = 0;

	if (!spread->real->ops->set_group)
		return 0;
	pthread_mutex_lock(&spread->ports.mutex);
	group = find_group(spread, &link);
	if (!group && member && spread->group_count < SPREAD_GROUPS_MAX) {
		group = &spread->groups[spread->group_count++];
		*group = (struct spread_group){.link = link};
	}
	if (group && member)
		group->members |= bit_of(share->slot);
	else if (group)
		group->members &= ~bit_of(share->slot);
	else if (member)
		error = -ENOBUFS;
	spread_tell(spread);
	return error;
}

static int share_set_addresses(struct netdev *device, const struct ip_address *addresses,
			       unsigned int count)
{
	struct netdev_share *share = share_of(device);
	struct spread *spread = share->spread;

	if (!spread->real->ops->set_addresses)
		return 0;
	if (count > SPREAD_ADDRESSES_MAX)
		return -ENOSPC;
	pthread_mutex_lock(&spread->ports.mutex);
	memcpy(slot_of(share)->addresses, addresses, count * sizeof(addresses[0]));
	slot_of(share)->address_count = count;
	spread->has_addresses = true;
	spread_tell(spread);
	return 0;
}

/* ---- Sleep ---- */

static int share_idle_fd(struct netdev *device, bool *sleep_out)
{
	struct netdev_share *share = share_of(device);
	struct spread_slot *slot = slot_of(share);

	bell_await(slot->bell);
	*sleep_out = lane_available(&slot->to_runtime) == 0 &&
		     __atomic_load_n(&share->spread->failure, __ATOMIC_SEQ_CST) == device->failure;
	share->announced = *sleep_out;
	if (!*sleep_out)
		bell_wake(slot->bell);
	return slot->bell->fd;
}

/* What the carrier alone waits for. */
static int share_device_fd(struct netdev *device, bool *sleep_out)
{
	const struct netdev_share *share = share_of(device);

	if (carrier_of(share->spread) != share->slot)
		return -ENOENT;
	return carrier_idle(share->spread, share->slot, sleep_out);
}

static uint64_t share_next_ns(const struct netdev *device)
{
	const struct netdev_share *share = share_of_const(device);

	if (lane_available(&slot_of(share)->to_runtime) > 0)
		return share->now_ns;
	if (carrier_of(share->spread) != share->slot)
		return share->now_ns + LOOK_AFTER_NS;
	return carrier_next_ns(share->spread, share->now_ns);
}

/* What was lost on the way here; and in the device, as far as it tells, which the carrier counts. */
static void share_update_counters(struct netdev *device)
{
	const struct netdev_share *share = share_of(device);
	struct netdev_counters lost = {0};

	if (carrier_of(share->spread) == share->slot)
		lost = carrier_counters(share->spread);
	device->counters.rx_no_frame = lost.rx_no_frame +
				       __atomic_load_n(&slot_of(share)->lost, __ATOMIC_RELAXED);
	device->counters.rx_errors = lost.rx_errors;
}

/* ---- Birth and death ---- */

/* The lists are the parent's, the bells close their descriptors themselves. */
static void share_forget(struct netdev *device)
{
	struct netdev *real = share_of(device)->spread->real;

	real->ops->forget(real);
}

static void share_close(struct netdev *device)
{
	struct netdev_share *share = share_of(device);

	lane_close(&slot_of(share)->to_runtime);
	spread_drop(share);
	netdev_fini(device);
	free(share);
}

static const struct netdev_ops share_ops = {
	.kind = "share",
	.rx_burst = share_rx_burst,
	.tx_burst = share_tx_burst,
	.set_group = share_set_group,
	.set_addresses = share_set_addresses,
	.idle_fd = share_idle_fd,
	.device_fd = share_device_fd,
	.next_ns = share_next_ns,
	.update_counters = share_update_counters,
	.forget = share_forget,
	.close = share_close,
};

static void caps_init(struct netdev *device, const struct netdev_caps *real)
{
	device->caps = *real;
	device->caps.segments_max = SEGMENTS_MAX;
	device->caps.late_release = false;
}

int share_init(struct netdev_share *share, const struct netdev_options *options)
{
	const struct spread *spread = share->spread;
	const struct netdev_caps *caps = &spread->real->caps;
	int error;

	snprintf(share->netdev.name, sizeof(share->netdev.name), "%.40s share %u", spread->name,
		 share->slot);
	error = netdev_init(&share->netdev, &share_ops, options->heap,
			    DATA_OFFSET + ETH_HEADER_BYTES_MAX + caps->mtu,
			    (uint32_t)sizeof(struct buf), options->config->net.frames, ROOM_OFFSET,
			    DATA_OFFSET);
	if (error)
		return error;
	error = spread_holdings_init(&share->holdings);
	if (error) {
		netdev_fini(&share->netdev);
		return error;
	}
	caps_init(&share->netdev, caps);
	share->netdev.share = share;
	return 0;
}
