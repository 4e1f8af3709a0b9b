/* SPDX-License-Identifier: MIT */
#include "netdev/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/kinds.h"
#include "wire/eth.h"

#define MTU_DEFAULT 1500u
#define SEGMENTS_MAX 64u /* any would do: they are copied */
#define ROOM_OFFSET ((uint32_t)sizeof(struct buf))
#define DATA_OFFSET (ROOM_OFFSET + NETDEV_HEAD_ROOM)

/* One direction. Each of its lines is written by one side, but for sleeping. */
struct lane {
	_Alignas(64) uint32_t produced; /* frames, by the sender; modulo 2^32 as all counts here */
	_Alignas(64) uint32_t consumed; /* by the receiver */
	_Alignas(64) uint32_t sleeping; /* set by the receiver: whoever clears it writes wake_fd */
	bool is_open;                   /* the receiver is there */
	int wake_fd;
	unsigned char *slots;
};

/* What a frame has in its slot before its bytes. */
struct slot {
	uint32_t length;
	uint32_t flags;
	unsigned char data[];
};

/* Both stations of a name; that of side 0 receives from lanes[0]. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lanes have cache lines of their own */
struct pair {
	struct pair *next;
	struct lane lanes[2];
	uint32_t mtu;
	uint32_t slot_bytes;
	bool taken[2];
	char name[LOOP_NAME_BYTES_MAX + 1];
};

struct loop {
	struct netdev netdev;
	struct pair *pair; /* NULL: alone */
	unsigned int side;
	struct lane *in;
	struct lane *out;
	uint32_t out_consumed; /* as it was when it was last looked at */
	bool announced;        /* that we sleep */
};

/* Pairs by name: stations of several threads meet here, when they are opened and closed only. */
static struct pair *pairs;
static pthread_mutex_t pairs_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct loop *loop_of(struct netdev *device)
{
	return (struct loop *)(void *)device;
}

static size_t lane_bytes(const struct pair *pair)
{
	return (size_t)LOOP_LANE_FRAMES * pair->slot_bytes;
}

static struct slot *slot_at(const struct pair *pair, const struct lane *lane, uint32_t number)
{
	size_t offset = (size_t)(number & (LOOP_LANE_FRAMES - 1)) * pair->slot_bytes;

	return (struct slot *)(void *)(lane->slots + offset);
}

/* ---- In ---- */

static struct buf *receive(struct loop *loop, const struct slot *slot)
{
	struct buf *buf = netdev_alloc(&loop->netdev);

	if (unlikely(!buf))
		return NULL;
	buf->length = slot->length;
	buf->flags = slot->flags;
	memcpy(buf->data, slot->data, slot->length);
	loop->netdev.counters.rx_bytes += slot->length;
	return buf;
}

static unsigned int loop_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				  uint64_t now_ns)
{
	struct loop *loop = loop_of(device);
	struct lane *in = loop->in;
	uint32_t consumed, available;
	unsigned int count = 0;

	(void)now_ns;
	if (!loop->pair)
		return 0;
	if (unlikely(loop->announced)) {
		loop->announced = false;
		__atomic_store_n(&in->sleeping, 0, __ATOMIC_RELAXED);
	}
	consumed = in->consumed;
	available = __atomic_load_n(&in->produced, __ATOMIC_ACQUIRE) - consumed;
	if (room > available)
		room = available;
	/* Without a frame to receive into they wait where they are, and the sender soon as well. */
	while (count < room &&
	       (frames[count] = receive(loop, slot_at(loop->pair, in, consumed + count))))
		count++;
	if (count > 0)
		__atomic_store_n(&in->consumed, consumed + count, __ATOMIC_RELEASE);
	device->counters.rx_frames += count;
	return count;
}

/* ---- Out ---- */

static uint32_t lane_room(struct loop *loop, unsigned int wanted)
{
	const struct lane *out = loop->out;
	uint32_t room = LOOP_LANE_FRAMES - (out->produced - loop->out_consumed);

	if (room < wanted) {
		loop->out_consumed = __atomic_load_n(&out->consumed, __ATOMIC_ACQUIRE);
		room = LOOP_LANE_FRAMES - (out->produced - loop->out_consumed);
	}
	return room;
}

static void fill(struct loop *loop, struct slot *slot, const struct buf *frame)
{
	slot->length = 0;
	slot->flags = frame->flags & BUF_CHECKSUM ? BUF_CHECKED : 0;
	for (; frame; frame = frame->next) {
		memcpy(slot->data + slot->length, frame->data, frame->length);
		slot->length += frame->length;
		if (frame->object)
			loop->netdev.counters.tx_copied_bytes += frame->length;
	}
}

/* Makes frames visible, and wakes a receiver who has said that he sleeps. */
static void publish(struct lane *out, uint32_t produced)
{
	static const uint64_t one = 1;
	ssize_t written;

	__atomic_store_n(&out->produced, produced, __ATOMIC_RELEASE);
	/* With the one of idle_fd: one of both sides sees what the other has written. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&out->sleeping, __ATOMIC_RELAXED)))
		return;
	if (__atomic_exchange_n(&out->sleeping, 0, __ATOMIC_RELAXED)) {
		written = write(out->wake_fd, &one, sizeof(one));
		(void)written; /* fails when it is readable already */
	}
}

static unsigned int loop_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				  uint64_t now_ns)
{
	struct loop *loop = loop_of(device);
	struct netdev_counters *counters = &device->counters;
	bool is_open = loop->pair && __atomic_load_n(&loop->out->is_open, __ATOMIC_RELAXED);
	uint32_t room = is_open ? lane_room(loop, count) : 0;
	uint32_t sent = 0;
	unsigned int taken = 0;

	(void)now_ns;
	for (; taken < count; taken++) {
		uint32_t length = buf_chain_length(frames[taken]);

		if (unlikely(!is_open || length > device->caps.mtu + ETH_HEADER_BYTES_MAX)) {
			counters->tx_errors++;
			netdev_release_chain(device, frames[taken]);
			continue;
		}
		if (unlikely(sent == room)) {
			counters->tx_full++;
			break;
		}
		fill(loop, slot_at(loop->pair, loop->out, loop->out->produced + sent),
		     frames[taken]);
		netdev_release_chain(device, frames[taken]);
		sent++;
		counters->tx_bytes += length;
	}
	counters->tx_frames += sent;
	if (sent > 0)
		publish(loop->out, loop->out->produced + sent);
	return taken;
}

/* ---- Sleep ---- */

static int loop_idle_fd(struct netdev *device, bool *sleep_out)
{
	struct loop *loop = loop_of(device);
	struct lane *in = loop->in;
	uint64_t ignored;
	ssize_t length;

	if (!loop->pair)
		return -ENOTSUP;
	/* What woke us the last time. */
	length = read(in->wake_fd, &ignored, sizeof(ignored));
	(void)length;
	__atomic_store_n(&in->sleeping, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*sleep_out = __atomic_load_n(&in->produced, __ATOMIC_ACQUIRE) == in->consumed;
	if (!*sleep_out)
		__atomic_store_n(&in->sleeping, 0, __ATOMIC_RELAXED);
	loop->announced = *sleep_out;
	return in->wake_fd;
}

/* ---- Pairs ---- */

static void pair_free(struct pair *pair)
{
	for (int side = 0; side < 2; side++) {
		if (pair->lanes[side].wake_fd >= 0)
			close(pair->lanes[side].wake_fd);
		if (pair->lanes[side].slots)
			munmap(pair->lanes[side].slots, lane_bytes(pair));
	}
	free(pair);
}

static bool lane_init(struct lane *lane, size_t bytes)
{
	/* Memory that is in use only as far as frames have come. */
	void *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	lane->slots = slots == MAP_FAILED ? NULL : slots;
	/* cppcheck-suppress memleak */
	return lane->slots && lane->wake_fd >= 0;
}

static struct pair *pair_create(const char *name, uint32_t mtu)
{
	struct pair *pair = aligned_alloc(_Alignof(struct pair), sizeof(*pair));
	uint32_t bytes = (uint32_t)sizeof(struct slot) + ETH_HEADER_BYTES_MAX + mtu;
	bool first, second;

	if (!pair)
		return NULL;
	memset(pair, 0, sizeof(*pair));
	snprintf(pair->name, sizeof(pair->name), "%s", name);
	pair->mtu = mtu;
	pair->slot_bytes = (bytes + 63) / 64 * 64;
	first = lane_init(&pair->lanes[0], lane_bytes(pair));
	second = lane_init(&pair->lanes[1], lane_bytes(pair));
	if (first && second)
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
		loop->out_consumed = __atomic_load_n(&loop->out->consumed, __ATOMIC_ACQUIRE);
		/* What was sent to another station in our place is not for us. */
		__atomic_store_n(&loop->in->consumed,
				 __atomic_load_n(&loop->in->produced, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		__atomic_store_n(&loop->in->is_open, true, __ATOMIC_RELEASE);
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
	__atomic_store_n(&loop->in->is_open, false, __ATOMIC_RELAXED);
	__atomic_store_n(&loop->in->sleeping, 0, __ATOMIC_RELAXED);
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
	struct loop *loop = loop_of(device);

	for (int side = 0; loop->pair && side < 2; side++) {
		int *fd = &loop->pair->lanes[side].wake_fd;

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
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
