/* SPDX-License-Identifier: MIT */
#include "netdev/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bell.h"
#include "base/log.h"
#include "netdev/kinds.h"
#include "netdev/lane.h"
#include "wire/eth.h"

#define MTU_DEFAULT 1500u
#define SEGMENTS_MAX 64u /* any would do: they are copied */
#define ROOM_OFFSET ((uint32_t)sizeof(struct buf))
#define DATA_OFFSET (ROOM_OFFSET + NETDEV_HEAD_ROOM)

/* Both stations of a name; that of side 0 receives from lanes[0]. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lanes have cache lines of their own */
struct pair {
	struct pair *next;
	struct lane lanes[2];
	struct bell *bells[2];
	uint32_t mtu;
	bool taken[2];
	char name[LOOP_NAME_BYTES_MAX + 1];
};

struct loop {
	struct netdev netdev;
	struct pair *pair; /* NULL: alone */
	unsigned int side;
	struct lane *in;
	struct lane *out;
	struct bell *bell, *peer_bell;
	bool announced; /* that we sleep */
};

/* Pairs by name: stations of several threads meet here, when they are opened and closed only. */
static struct pair *pairs;
static pthread_mutex_t pairs_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct loop *loop_of(struct netdev *device)
{
	return (struct loop *)(void *)device;
}

/* ---- In ---- */

static unsigned int loop_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				  uint64_t now_ns)
{
	struct loop *loop = loop_of(device);
	struct lane *in = loop->in;
	unsigned int count = 0;
	uint32_t available;

	(void)now_ns;
	if (!loop->pair)
		return 0;
	if (unlikely(loop->announced)) {
		loop->announced = false;
		bell_wake(loop->bell);
	}
	available = lane_available(in);
	if (room > available)
		room = available;
	/* Without a frame to receive into they wait where they are, and the sender soon as well. */
	while (count < room &&
	       (frames[count] = lane_take(lane_slot_at(in, in->consumed + count), device)))
		device->counters.rx_bytes += frames[count++]->length;
	if (count > 0)
		lane_consume(in, count);
	device->counters.rx_frames += count;
	return count;
}

/* ---- Out ---- */

static unsigned int loop_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				  uint64_t now_ns)
{
	struct loop *loop = loop_of(device);
	struct netdev_counters *counters = &device->counters;
	bool is_open = loop->pair && lane_is_open(loop->out);
	uint32_t room = is_open ? lane_room(loop->out, count) : 0;
	uint32_t sent = 0;
	unsigned int taken = 0;

	(void)now_ns;
	for (; taken < count; taken++) {
		uint32_t length = buf_chain_length(frames[taken]);
		struct lane_slot *slot;

		if (unlikely(!is_open || !lane_fits(loop->out, length))) {
			counters->tx_errors++;
			netdev_release_chain(device, frames[taken]);
			continue;
		}
		if (unlikely(sent == room)) {
			counters->tx_full++;
			break;
		}
		slot = lane_slot_at(loop->out, loop->out->produced + sent);
		counters->tx_copied_bytes += lane_fill(slot, frames[taken]);
		slot->flags = frames[taken]->flags & BUF_CHECKSUM ? BUF_CHECKED : 0;
		netdev_release_chain(device, frames[taken]);
		sent++;
		counters->tx_bytes += length;
	}
	counters->tx_frames += sent;
	if (sent > 0) {
		lane_publish(loop->out, sent);
		bell_ring(loop->peer_bell);
	}
	return taken;
}

/* ---- Sleep ---- */

static int loop_idle_fd(struct netdev *device, bool *sleep_out)
{
	struct loop *loop = loop_of(device);

	if (!loop->pair)
		return -ENOTSUP;
	bell_await(loop->bell);
	*sleep_out = lane_available(loop->in) == 0;
	loop->announced = *sleep_out;
	if (!*sleep_out)
		bell_wake(loop->bell);
	return loop->bell->fd;
}

/* ---- Pairs ---- */

static void pair_free(struct pair *pair)
{
	for (int side = 0; side < 2; side++) {
		lane_fini(&pair->lanes[side]);
		if (pair->bells[side])
			bell_drop(pair->bells[side]);
	}
	free(pair);
}

static struct pair *pair_create(const char *name, uint32_t mtu)
{
	struct pair *pair = aligned_alloc(_Alignof(struct pair), sizeof(*pair));
	int error = 0;

	if (!pair)
		return NULL;
	memset(pair, 0, sizeof(*pair));
	snprintf(pair->name, sizeof(pair->name), "%s", name);
	pair->mtu = mtu;
	for (int side = 0; side < 2 && !error; side++) {
		error = bell_create(&pair->bells[side]);
		if (!error)
			error = lane_init(&pair->lanes[side], mtu);
	}
	if (!error)
		return pair;
	pair_free(pair);
	return NULL;
}

static struct pair *pair_find(const char *name)
{
	for (struct pair *pair = pairs; pair; pair = pair->next)
		if (strcmp(pair->name, name) == 0)
			return pair;
	return NULL;
}

/* With the mutex: the pair of this name with a side that is free, or -errno, logged. */
static int pair_get(struct pair **pair_out, const char *name, uint32_t mtu)
{
	struct pair *pair = pair_find(name);

	if (pair && pair->taken[0] && pair->taken[1]) {
		log_error("loop:%s has two stations already; give another name", name);
		return -EBUSY;
	}
	if (pair && pair->mtu != mtu) {
		log_error("loop:%s: the other station's MTU is %u, this one's %u; give both the "
			  "same net.mtu",
			  name, pair->mtu, mtu);
		return -EINVAL;
	}
	if (!pair) {
		pair = pair_create(name, mtu);
		if (!pair) {
			log_error("loop:%s: no memory or no descriptor for its rings", name);
			return -ENOMEM;
		}
		pair->next = pairs;
		pairs = pair;
	}
	*pair_out = pair;
	return 0;
}

static int pair_join(struct loop *loop, const char *name)
{
	struct pair *pair;
	int error;

	pthread_mutex_lock(&pairs_mutex);
	error = pair_get(&pair, name, loop->netdev.caps.mtu);
	if (!error) {
		loop->pair = pair;
		loop->side = pair->taken[0];
		pair->taken[loop->side] = true;
		loop->in = &pair->lanes[loop->side];
		loop->out = &pair->lanes[!loop->side];
		loop->bell = pair->bells[loop->side];
		loop->peer_bell = pair->bells[!loop->side];
		lane_open(loop->in);
	}
	pthread_mutex_unlock(&pairs_mutex);
	return error;
}

static void pair_leave(struct loop *loop)
{
	struct pair *pair = loop->pair;

	if (!pair)
		return;
	pthread_mutex_lock(&pairs_mutex);
	lane_close(loop->in);
	pair->taken[loop->side] = false;
	if (!pair->taken[!loop->side]) {
		struct pair **link = &pairs;

		while (*link != pair)
			link = &(*link)->next;
		*link = pair->next;
		pair_free(pair);
	}
	pthread_mutex_unlock(&pairs_mutex);
}

/* ---- Birth and death ---- */

static void loop_close(struct netdev *device)
{
	pair_leave(loop_of(device));
	netdev_fini(device);
	free(loop_of(device));
}

/* The child has copies of the rings and of the names, with stations that it will never have. */
static void loop_forget(struct netdev *device)
{
	(void)device; /* the bells close their descriptors themselves */
	pairs = NULL;
	/* Another thread of the parent may have had it. */
	pthread_mutex_init(&pairs_mutex, NULL);
}

static const struct netdev_ops loop_ops = {
	.kind = "loop",
	.rx_burst = loop_rx_burst,
	.tx_burst = loop_tx_burst,
	.idle_fd = loop_idle_fd,
	.forget = loop_forget,
	.close = loop_close,
};

static int mtu_of(const struct config *config, uint32_t *mtu_out)
{
	uint32_t mtu = config->net.mtu ? config->net.mtu : MTU_DEFAULT;

	if (mtu < LOOP_MTU_MIN || mtu > LOOP_MTU_MAX) {
		log_error("loop: net.mtu: %u is not possible; give %u to %u", mtu, LOOP_MTU_MIN,
			  LOOP_MTU_MAX);
		return -EINVAL;
	}
	*mtu_out = mtu;
	return 0;
}

static void caps_init(struct loop *loop, const struct netdev_options *options)
{
	static const struct eth_address none;
	struct netdev_caps *caps = &loop->netdev.caps;

	caps->segments_max = SEGMENTS_MAX;
	caps->polls_memory = true;
	caps->checksum_v4 = true;
	caps->checksum_v6 = true;
	caps->mac = options->mac;
	if (eth_address_equal(&options->mac, &none))
		caps->mac = (struct eth_address){
			{2, 'l', 'o', 'o', 'p', (uint8_t)(loop->side + 1)}};
}

int loop_open(struct netdev **device_out, const char *arguments,
	      const struct netdev_options *options)
{
	struct loop *loop;
	uint32_t mtu;
	int error = mtu_of(options->config, &mtu);

	if (error)
		return error;
	if (strlen(arguments) > LOOP_NAME_BYTES_MAX) {
		log_error("loop:%s: give a name of up to %u bytes", arguments, LOOP_NAME_BYTES_MAX);
		return -EINVAL;
	}
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	loop->netdev.caps.mtu = mtu;
	snprintf(loop->netdev.name, sizeof(loop->netdev.name), "loop%s%s", *arguments ? ":" : "",
		 arguments);
	error = netdev_init(&loop->netdev, &loop_ops, options->heap,
			    DATA_OFFSET + ETH_HEADER_BYTES_MAX + mtu, (uint32_t)sizeof(struct buf),
			    options->config->net.frames, ROOM_OFFSET, DATA_OFFSET);
	if (!error && *arguments)
		error = pair_join(loop, arguments);
	if (error) {
		netdev_fini(&loop->netdev);
		free(loop);
		return error;
	}
	caps_init(loop, options);
	*device_out = &loop->netdev;
	return 0;
}
