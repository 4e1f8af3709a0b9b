/* SPDX-License-Identifier: MIT */
/* Who shares which device: coming and going, and what the stacks ask. */
#include "netdev/spread_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* ---- Those that are shared, by name ---- */

static struct spread *spreads;
static pthread_mutex_t spreads_mutex = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void)
{
	pthread_mutex_lock(&spreads_mutex);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&spreads_mutex);
}

/* The devices are the parent's: what the child opens is its own. */
static void after_fork_in_child(void)
{
	spreads = NULL;
	pthread_mutex_unlock(&spreads_mutex);
}

static void watch_forks(void)
{
	/* In this order: who holds our mutex may make bells. */
	bell_watch_forks();
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void forget_name(const struct spread *spread)
{
	struct spread **link = &spreads;

	while (*link && *link != spread)
		link = &(*link)->next;
	if (*link)
		*link = spread->next;
}

/* ---- Birth and death ---- */

static void slot_free(struct spread_slot *slot)
{
	if (!slot)
		return;
	lane_fini(&slot->to_runtime);
	lane_fini(&slot->to_carrier);
	if (slot->bell)
		bell_drop(slot->bell);
	free(slot);
}

static struct spread_slot *slot_create(uint32_t mtu)
{
	struct spread_slot *slot = aligned_alloc(_Alignof(struct spread_slot), sizeof(*slot));
	int error;

	if (!slot)
		return NULL;
	memset(slot, 0, sizeof(*slot));
	error = bell_create(&slot->bell);
	if (!error)
		error = lane_init(&slot->to_runtime, mtu);
	if (!error)
		error = lane_init(&slot->to_carrier, mtu);
	if (!error)
		return slot;
	slot_free(slot);
	return NULL;
}

static void spread_free(struct spread *spread)
{
	netdev_close(spread->real);
	heap_destroy(spread->heap);
	for (uint32_t slot = 0; slot < SPREAD_SLOTS_MAX; slot++)
		slot_free(spread->slots[slot]);
	spread_ports_fini(&spread->ports);
	free(spread);
}

/* A heap for what the device receives into, and for what is copied there to be sent. */
static int create_heap(struct heap **heap_out, const struct config *config)
{
	static const enum heap_huge_pages huge_pages[] = {
		[CONFIG_HUGE_PAGES_AUTO] = HEAP_HUGE_PAGES_AUTO,
		[CONFIG_HUGE_PAGES_RESERVED] = HEAP_HUGE_PAGES_RESERVED,
		[CONFIG_HUGE_PAGES_OFF] = HEAP_HUGE_PAGES_OFF,
	};
	const struct heap_options options = {
		.bytes_max = config->heap.max_bytes,
		.huge_pages = huge_pages[config->heap.huge_pages],
		.lock = config->heap.lock == CONFIG_ON,
	};

	return heap_create(heap_out, &options);
}

static void settings_fill(struct spread_settings *settings, const struct config *config)
{
	memset(settings, 0, sizeof(*settings));
	snprintf(settings->ip, sizeof(settings->ip), "%s", config->net.ip);
	snprintf(settings->mac, sizeof(settings->mac), "%s", config->net.mac);
	settings->vlan = config->net.vlan;
	settings->mtu = config->net.mtu;
	settings->runtimes_max = config->net.runtimes_max;
}

/* Packets go by ports alone: whoever gets one must take it. */
static int check_settings(const struct spread *spread, const struct config *config)
{
	struct spread_settings settings;

	settings_fill(&settings, config);
	if (memcmp(&settings, &spread->settings, sizeof(settings)) == 0)
		return 0;
	log_error(
		"net.dev: %s: those who share it have other settings; give all the same net.ip, net.mac, "
		"net.vlan, net.mtu and net.runtimes_max",
		spread->name);
	return -EINVAL;
}

static int spread_create(struct spread **spread_out, const char *name,
			 const struct netdev_options *options, uint32_t slots,
			 spread_open_fn *open_device)
{
	struct spread *spread = aligned_alloc(_Alignof(struct spread), sizeof(*spread));
	struct netdev_options device_options = *options;
	int error;

	if (!spread)
		return -ENOMEM;
	memset(spread, 0, sizeof(*spread));
	snprintf(spread->name, sizeof(spread->name), "%s", name);
	settings_fill(&spread->settings, options->config);
	error = spread_ports_init(&spread->ports, slots, options->seed);
	if (!error)
		error = create_heap(&spread->heap, options->config);
	if (error)
		log_error("%s: no memory to share it: %s", name, strerror(-error));
	device_options.heap = spread->heap;
	if (!error)
		error = open_device(&spread->real, name, &device_options);
	if (error) {
		spread_free(spread);
		return error;
	}
	*spread_out = spread;
	return 0;
}

/* ---- Coming and going ---- */

/* Under the mutex: a slot that is free, with its lanes. 0, -EBUSY or -ENOMEM. */
static int take_slot(const struct netdev_share *share, uint32_t *slot_out)
{
	struct spread *spread = share->spread;
	uint32_t slot = 0;

	while (slot < spread->ports.slots && (spread->present & bit_of(slot)))
		slot++;
	if (slot == spread->ports.slots)
		return -EBUSY;
	if (!spread->slots[slot])
		spread->slots[slot] = slot_create(spread->real->caps.mtu);
	*slot_out = slot;
	return spread->slots[slot] ? 0 : -ENOMEM;
}

static void enter(struct netdev_share *share)
{
	struct spread *spread = share->spread;

	lane_open(&slot_of(share)->to_runtime);
	if (spread->holders++ == 0)
		__atomic_store_n(&spread->carrier, share->slot, __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&spread->used, bit_of(share->slot), __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&spread->present, bit_of(share->slot), __ATOMIC_SEQ_CST);
}

static void tell_failure(const struct spread *spread, int error)
{
	if (error == -EBUSY)
		log_error("net.dev: %s: %u runtimes share it already; raise net.runtimes_max",
			  spread->name, spread->ports.slots);
	else
		log_error("net.dev: %s: cannot be shared: %s", spread->name, strerror(-error));
}

static int open_share(struct netdev **device_out, struct spread *spread,
		      const struct netdev_options *options)
{
	struct netdev_share *share = calloc(1, sizeof(*share));
	int error = -ENOMEM;

	if (share) {
		share->spread = spread;
		error = take_slot(share, &share->slot);
	}
	if (!error)
		error = share_init(share, options);
	if (error) {
		tell_failure(spread, error);
		free(share);
		return error;
	}
	enter(share);
	*device_out = &share->netdev;
	return 0;
}

int spread_open(struct netdev **device_out, const char *name, const struct netdev_options *options,
		uint32_t slots, spread_open_fn *open_device)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct spread *spread;
	bool is_new;
	int error = 0;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&spreads_mutex);
	for (spread = spreads; spread && strcmp(spread->name, name) != 0;)
		spread = spread->next;
	is_new = !spread;
	if (is_new)
		error = spread_create(&spread, name, options, slots, open_device);
	else
		error = check_settings(spread, options->config);
	if (!error && spread->failure) {
		log_error("net.dev: %s is gone: %s", name, strerror(-spread->failure));
		error = spread->failure;
	}
	if (!error)
		error = open_share(device_out, spread, options);
	if (is_new && !error) {
		spread->next = spreads;
		spreads = spread;
	} else if (is_new && spread) {
		spread_free(spread);
	}
	pthread_mutex_unlock(&spreads_mutex);
	return error;
}

/* Under the mutex: somebody else is the carrier from now on, and begins at once. */
static void hand_over(struct spread *spread, uint64_t present)
{
	__atomic_store_n(&spread->carrier, (uint32_t)__builtin_ctzll(present), __ATOMIC_SEQ_CST);
	spread_ring_carrier(spread);
}

/* Its groups and addresses. */
static void give_back(struct netdev_share *share)
{
	struct spread *spread = share->spread;

	pthread_mutex_lock(&spread->ports.mutex);
	for (uint32_t i = 0; i < spread->group_count; i++)
		spread->groups[i].members &= ~bit_of(share->slot);
	slot_of(share)->address_count = 0;
	spread->has_addresses = spread->real->ops->set_addresses != NULL;
	spread_tell(spread);
}

void spread_drop(struct netdev_share *share)
{
	struct spread *spread = share->spread;
	uint64_t present;

	pthread_mutex_lock(&spreads_mutex);
	present = __atomic_and_fetch(&spread->present, ~bit_of(share->slot), __ATOMIC_SEQ_CST);
	spread_holdings_fini(&share->holdings, &spread->ports, share->slot);
	give_back(share);
	if (present && carrier_of(spread) == share->slot)
		hand_over(spread, present);
	if (--spread->holders == 0) {
		carrier_finish(spread, share->now_ns);
		netdev_log(spread->real);
		forget_name(spread);
		spread_free(spread);
	}
	pthread_mutex_unlock(&spreads_mutex);
}

/* ---- For the stacks ---- */

/* To the carrier, who knows whom to ask next. */
static void pass_on(struct netdev_share *share, const struct buf *frame)
{
	struct lane *out = &slot_of(share)->to_carrier;
	struct lane_slot *slot;

	/* As of a device that has no room for it. */
	if (lane_room(out, 1) == 0) {
		share->netdev.counters.tx_errors++;
		return;
	}
	slot = lane_slot_at(out, out->produced);
	lane_fill(slot, frame);
	slot->flags = (frame->flags & BUF_CHECKED) | BUF_STEERED;
	slot->steer = frame->steer;
	lane_publish(out, 1);
	spread_ring_carrier(share->spread);
}

enum spread_verdict spread_miss(struct netdev *device, struct buf *buf)
{
	struct netdev_share *share = share_of(device);
	const struct spread *spread = share->spread;
	uint64_t present = present_of(spread);
	struct buf frame = {.flags = buf->flags, .steer = buf->steer};
	struct spread_flow flow;

	if (present == bit_of(share->slot))
		return SPREAD_ANSWER;
	if (!(buf->flags & BUF_STEERED))
		return SPREAD_SILENT;
	frame.data = buf->steer.start;
	frame.length = buf->steer.length;
	frame.steer.tried |= bit_of(share->slot);
	if (!spread_parse(&flow, frame.data, frame.length))
		return SPREAD_SILENT;
	if (spread_next(&spread->ports, &flow, present, frame.steer.tried) == SPREAD_SLOTS_MAX)
		return SPREAD_ANSWER;
	pass_on(share, &frame);
	netdev_release(device, buf);
	return SPREAD_TAKEN;
}

bool spread_is_first(const struct netdev *device, const struct spread_flow *flow)
{
	const struct netdev_share *share = share_of_const(device);
	const struct spread *spread = share->spread;

	return spread_next(&spread->ports, flow, present_of(spread), 0) == share->slot;
}

uint32_t spread_slot(const struct netdev *device)
{
	return share_of_const(device)->slot;
}

int spread_bind(struct netdev *device, enum spread_protocol protocol, uint16_t port, bool shares)
{
	struct netdev_share *share = share_of(device);

	return spread_ports_bind(&share->spread->ports, &share->holdings, share->slot, protocol,
				 port, shares);
}

void spread_unbind(struct netdev *device, enum spread_protocol protocol, uint16_t port)
{
	struct netdev_share *share = share_of(device);

	spread_ports_unbind(&share->spread->ports, &share->holdings, share->slot, protocol, port);
}

bool spread_is_at_home(const struct netdev *device, const struct spread_flow *flow)
{
	const struct netdev_share *share = share_of_const(device);

	return spread_home(&share->spread->ports, flow) == share->slot;
}

void spread_enter(struct netdev *device, const struct spread_flow *flow)
{
	struct netdev_share *share = share_of(device);

	if (!spread_is_at_home(device, flow))
		spread_ports_enter(&share->spread->ports, &share->holdings, share->slot,
				   flow->protocol, flow->local_port);
}

void spread_leave(struct netdev *device, const struct spread_flow *flow)
{
	struct netdev_share *share = share_of(device);

	if (!spread_is_at_home(device, flow))
		spread_ports_leave(&share->spread->ports, &share->holdings, share->slot,
				   flow->protocol, flow->local_port);
}

bool spread_has_others(const struct netdev *device, enum spread_protocol protocol, uint16_t port)
{
	const struct netdev_share *share = share_of_const(device);

	return spread_is_bound_elsewhere(&share->spread->ports, share->slot, protocol, port);
}
