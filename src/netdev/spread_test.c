/* SPDX-License-Identifier: MIT */
/* Several runtimes on one end of a link inside the process; who is at the other end is the peer. */
#include "netdev/spread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "wire/eth.h"

#define SHARES 3u
#define MS UINT64_C(1000000)

static struct runtime {
	struct heap *heap;
	struct netdev *device;
} runtimes[SHARES + 1], peer;

static uint64_t now_ns;
static uint32_t vlan;

static int open_with(struct runtime *runtime, uint32_t slots, spread_open_fn *open_device)
{
	struct config config = {.net = {.frames = 600}};
	struct netdev_options options = {.config = &config, .seed = 7};
	struct heap_options heap_options = {.bytes_max = UINT64_C(32) << 20};

	config.heap.max_bytes = UINT64_C(32) << 20;
	config.net.vlan = vlan;
	config.heap.huge_pages = CONFIG_HUGE_PAGES_OFF;
	if (!runtime->heap)
		assert_int_equal(heap_create(&runtime->heap, &heap_options), 0);
	options.heap = runtime->heap;
	if (slots)
		return spread_open(&runtime->device, "loop:wire", &options, slots, open_device);
	return netdev_open(&runtime->device, "loop:wire", &options);
}

static int open_share(struct runtime *runtime)
{
	return open_with(runtime, SHARES, netdev_open);
}

static void close_runtime(struct runtime *runtime)
{
	netdev_close(runtime->device);
	runtime->device = NULL;
	if (runtime->heap)
		assert_true(heap_is_empty(runtime->heap));
	heap_destroy(runtime->heap);
	runtime->heap = NULL;
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(open_with(&peer, 0, NULL), 0);
	for (unsigned int i = 0; i < SHARES; i++)
		assert_int_equal(open_share(&runtimes[i]), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= SHARES; i++)
		close_runtime(&runtimes[i]);
	close_runtime(&peer);
	return 0;
}

/* ---- Frames ---- */

static const uint8_t udp_frame[64] = {
	2, 0,  0,  0, 0, 1,  2, 0, 0, 0,  0, 2, 8, 0,    0x45, 0, 0,  28, 0, 1, 0x40,
	0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0x12, 0x34, 0, 80, 0,  8, 0, 0,
};
#define REMOTE_PORT_AT 34
#define LOCAL_PORT_AT 36
#define MARK_AT 42

static struct buf *frame_of(struct netdev *device, uint16_t remote_port, uint16_t local_port,
			    uint8_t mark)
{
	struct buf *buf = netdev_alloc(device);

	assert_non_null(buf);
	memcpy(buf->data, udp_frame, sizeof(udp_frame));
	store_be16(buf->data + REMOTE_PORT_AT, remote_port);
	store_be16(buf->data + LOCAL_PORT_AT, local_port);
	buf->data[MARK_AT] = mark;
	buf->length = sizeof(udp_frame);
	return buf;
}

static void transmit(struct netdev *device, struct buf *buf)
{
	assert_int_equal(device->ops->tx_burst(device, &buf, 1, now_ns), 1);
}

static struct buf *poll_device(struct netdev *device)
{
	struct buf *buf = NULL;

	return device->ops->rx_burst(device, &buf, 1, now_ns) ? buf : NULL;
}

static void release(struct netdev *device, struct buf *buf)
{
	assert_non_null(buf);
	netdev_release_chain(device, buf);
}

/* Which runtime has received a frame, with that; the first one polls first. */
static unsigned int who_receives(struct buf **buf_out)
{
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < SHARES; i++) {
			*buf_out = runtimes[i].device ? poll_device(runtimes[i].device) : NULL;
			if (*buf_out)
				return i;
		}
	}
	return SHARES;
}

static void assert_receives(unsigned int expected, uint8_t mark)
{
	struct buf *buf;

	assert_int_equal(who_receives(&buf), expected);
	assert_int_equal(buf->data[MARK_AT], mark);
	release(runtimes[expected].device, buf);
}

static int bind_udp(unsigned int runtime, uint16_t port)
{
	return spread_bind(runtimes[runtime].device, SPREAD_UDP, port, true);
}

/* The peer's port with which a flow to @local_port is at home at a runtime. */
static uint16_t port_at_home(unsigned int runtime, uint16_t local_port)
{
	struct spread_flow flow = {ip_address_v4(0x0a000001),
				   ip_address_v4(0x0a000002),
				   local_port,
				   1024,
				   SPREAD_UDP,
				   false};

	while (!spread_is_at_home(runtimes[runtime].device, &flow))
		flow.remote_port++;
	return flow.remote_port;
}

/* ---- Who gets what ---- */

static void packets__come_to_the_home_of_their_flow(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SHARES; i++) {
		transmit(peer.device, frame_of(peer.device, port_at_home(i, 9), 9, (uint8_t)i));
		assert_receives(i, (uint8_t)i);
	}
}

static void packets__come_to_who_has_bound_their_port(void **state)
{
	(void)state;
	assert_int_equal(bind_udp(2, 80), 0);
	for (unsigned int i = 0; i < SHARES; i++) {
		transmit(peer.device, frame_of(peer.device, port_at_home(i, 80), 80, (uint8_t)i));
		assert_receives(2, (uint8_t)i);
	}
	assert_int_equal(bind_udp(0, 80), 0);
	transmit(peer.device, frame_of(peer.device, port_at_home(0, 80), 80, 3));
	assert_receives(0, 3);
	transmit(peer.device, frame_of(peer.device, port_at_home(2, 80), 80, 4));
	assert_receives(2, 4);
	assert_int_equal(spread_bind(runtimes[1].device, SPREAD_UDP, 80, false), -EADDRINUSE);
}

/* ARP and the like, and what a device has not understood. */
static void packets__that_are_no_flow_come_to_all(void **state)
{
	struct buf *frame = frame_of(peer.device, 1, 2, 0), *received[SHARES];
	unsigned int answering = 0;

	(void)state;
	memset(frame->data, 0xff, 6);
	transmit(peer.device, frame);
	for (unsigned int i = 0; i < SHARES; i++) {
		received[i] = poll_device(runtimes[i].device);
		assert_non_null(received[i]);
		answering += !(received[i]->flags & BUF_OVERHEARD);
		/* Whose it is cannot be said, so that nobody says that it is nobody's. */
		assert_int_equal(spread_miss(runtimes[i].device, received[i]), SPREAD_SILENT);
		release(runtimes[i].device, received[i]);
	}
	assert_int_equal(answering, 1);
}

static void miss__passes_a_packet_on_to_all_who_may_have_it(void **state)
{
	struct buf *buf;

	(void)state;
	assert_int_equal(bind_udp(1, 80), 0);
	assert_int_equal(bind_udp(2, 80), 0);
	transmit(peer.device, frame_of(peer.device, port_at_home(0, 80), 80, 9));
	assert_int_equal(who_receives(&buf), 1);
	/* As far as a stack has come before it finds that out. */
	buf_pull(buf, 42);
	buf->length -= 4;
	assert_int_equal(spread_miss(runtimes[1].device, buf), SPREAD_TAKEN);
	/* The home, and then the others who have bound it. */
	assert_int_equal(who_receives(&buf), 0);
	assert_int_equal(buf->length, sizeof(udp_frame));
	assert_int_equal(buf->data[MARK_AT], 9);
	assert_int_equal(spread_miss(runtimes[0].device, buf), SPREAD_TAKEN);
	assert_int_equal(who_receives(&buf), 2);
	/* The last one tells the peer that there is nobody, and has the packet as it was. */
	buf_pull(buf, 42);
	assert_int_equal(spread_miss(runtimes[2].device, buf), SPREAD_ANSWER);
	assert_int_equal(buf->length, sizeof(udp_frame) - 42);
	release(runtimes[2].device, buf);
	assert_int_equal(who_receives(&buf), SHARES);
}

static void miss__of_one_that_is_alone_is_answered(void **state)
{
	struct buf *buf;

	(void)state;
	close_runtime(&runtimes[0]);
	close_runtime(&runtimes[2]);
	transmit(peer.device, frame_of(peer.device, 1, 2, 0));
	assert_int_equal(who_receives(&buf), 1);
	assert_int_equal(spread_miss(runtimes[1].device, buf), SPREAD_ANSWER);
	release(runtimes[1].device, buf);
}

/* ---- What they send ---- */

static void frames__of_all_go_out(void **state)
{
	struct buf *buf;

	(void)state;
	for (unsigned int i = 0; i < SHARES; i++) {
		struct netdev *device = runtimes[i].device;

		buf = frame_of(device, 1, 2, (uint8_t)(10 + i));
		buf->flags = BUF_CHECKSUM;
		buf->transmit = (struct buf_transmit){
			.network_bytes = 20, .link_bytes = 14, .protocol = 17};
		transmit(device, buf);
	}
	for (unsigned int i = 0; i < SHARES; i++)
		assert_null(poll_device(runtimes[i].device));
	for (unsigned int i = 0; i < SHARES; i++) {
		buf = poll_device(peer.device);
		assert_non_null(buf);
		assert_int_equal(buf->data[MARK_AT], 10 + i);
		/* The device has been left to complete the checksum, and says that it is right. */
		assert_int_equal(buf->flags, BUF_CHECKED);
		release(peer.device, buf);
	}
}

static void frames__of_who_has_gone_go_out(void **state)
{
	struct buf *buf;

	(void)state;
	transmit(runtimes[1].device, frame_of(runtimes[1].device, 1, 2, 5));
	close_runtime(&runtimes[1]);
	assert_null(poll_device(runtimes[0].device));
	buf = poll_device(peer.device);
	release(peer.device, buf);
	/* Of the last one too, who cannot poll any more. */
	transmit(runtimes[2].device, frame_of(runtimes[2].device, 1, 2, 6));
	close_runtime(&runtimes[0]);
	close_runtime(&runtimes[2]);
	buf = poll_device(peer.device);
	assert_non_null(buf);
	assert_int_equal(buf->data[MARK_AT], 6);
	release(peer.device, buf);
}

/* ---- Coming and going ---- */

static void runtimes__come_and_go(void **state)
{
	struct buf *buf;

	(void)state;
	assert_int_equal(open_share(&runtimes[SHARES]), -EBUSY);
	/* What was for one that has gone is not for the one in its place. */
	assert_int_equal(bind_udp(1, 80), 0);
	transmit(peer.device, frame_of(peer.device, 1, 80, 1));
	assert_null(poll_device(runtimes[0].device));
	close_runtime(&runtimes[1]);
	assert_int_equal(open_share(&runtimes[1]), 0);
	assert_int_equal(who_receives(&buf), SHARES);
	/* Its ports are free. */
	assert_int_equal(spread_bind(runtimes[2].device, SPREAD_UDP, 80, false), 0);
}

static void carrier__ends_and_another_goes_on(void **state)
{
	(void)state;
	assert_int_equal(bind_udp(2, 80), 0);
	close_runtime(&runtimes[0]);
	transmit(peer.device, frame_of(peer.device, 1, 80, 1));
	assert_receives(2, 1);
	close_runtime(&runtimes[1]);
	transmit(peer.device, frame_of(peer.device, 1, 80, 2));
	assert_receives(2, 2);
	assert_int_equal(open_share(&runtimes[0]), 0);
	transmit(peer.device, frame_of(peer.device, 1, 80, 3));
	assert_receives(2, 3);
}

/* It does something else, and comes back later. */
static void carrier__that_does_not_poll_is_replaced(void **state)
{
	struct buf *buf;

	(void)state;
	assert_int_equal(bind_udp(2, 80), 0);
	assert_null(poll_device(runtimes[0].device));
	transmit(peer.device, frame_of(peer.device, 1, 80, 1));
	/* Not at once: it was there a moment ago. */
	now_ns += 2 * MS;
	assert_null(poll_device(runtimes[1].device));
	now_ns += MS / 2;
	assert_null(poll_device(runtimes[1].device));
	now_ns += MS;
	assert_null(poll_device(runtimes[1].device));
	assert_null(poll_device(runtimes[1].device));
	buf = poll_device(runtimes[2].device);
	assert_non_null(buf);
	release(runtimes[2].device, buf);
	assert_null(poll_device(runtimes[0].device));
	transmit(peer.device, frame_of(peer.device, 1, 80, 2));
	assert_null(poll_device(runtimes[0].device));
	assert_null(poll_device(runtimes[2].device));
	assert_receives(2, 2);
}

/* It has asked what to sleep by, and computes instead. */
static void carrier__that_says_it_sleeps_is_woken_and_then_replaced(void **state)
{
	struct netdev *carrier = runtimes[0].device, *other = runtimes[1].device;
	bool sleeps = true;

	(void)state;
	assert_int_equal(bind_udp(1, 80), 0);
	now_ns += 2 * MS;
	assert_null(poll_device(carrier));
	assert_null(poll_device(other));
	carrier->ops->idle_fd(carrier, &sleeps);
	assert_true(sleeps);
	transmit(peer.device, frame_of(peer.device, 1, 80, 1));
	for (unsigned int i = 0; i < 110; i++) {
		now_ns += 2 * MS;
		if (i < 45)
			assert_null(poll_device(other));
	}
	assert_null(poll_device(other));
	now_ns += 2 * MS;
	assert_null(poll_device(other));
	assert_receives(1, 1);
}

/* ---- Sleep ---- */

static bool is_readable(int file)
{
	struct pollfd wake = {.fd = file, .events = POLLIN};

	return poll(&wake, 1, 0) == 1;
}

static void sleep__ends_for_what_is_ones_own(void **state)
{
	struct netdev *carrier = runtimes[0].device, *sleeper = runtimes[1].device;
	bool sleeps = true;
	int own, carriers;

	(void)state;
	assert_int_equal(bind_udp(1, 80), 0);
	own = sleeper->ops->idle_fd(sleeper, &sleeps);
	assert_true(own >= 0 && sleeps);
	assert_int_equal(sleeper->ops->device_fd(sleeper, &sleeps), -ENOENT);
	carriers = carrier->ops->idle_fd(carrier, &sleeps);
	assert_true(carriers >= 0 && sleeps);
	assert_true(carrier->ops->device_fd(carrier, &sleeps) >= 0 && sleeps);
	/* The carrier is woken by what others send. */
	transmit(runtimes[2].device, frame_of(runtimes[2].device, 1, 2, 0));
	assert_true(is_readable(carriers));
	assert_null(poll_device(carrier));
	release(peer.device, poll_device(peer.device));
	/* The other one by what it has received. */
	assert_false(is_readable(own));
	transmit(peer.device, frame_of(peer.device, 1, 80, 1));
	assert_null(poll_device(carrier));
	assert_true(is_readable(own));
	sleeper->ops->idle_fd(sleeper, &sleeps);
	assert_false(sleeps);
	assert_receives(1, 1);
	/* And when it is the carrier from now on. */
	sleeps = true;
	own = sleeper->ops->idle_fd(sleeper, &sleeps);
	assert_true(sleeps && !is_readable(own));
	close_runtime(&runtimes[0]);
	assert_true(is_readable(own));
	assert_true(sleeper->ops->device_fd(sleeper, &sleeps) >= 0);
}

/* ---- What the device is told ---- */

static struct {
	struct netdev_ops ops;
	unsigned int address_count;
	struct eth_address joined, left;
	unsigned int joins, leaves;
} told;

static int told_group(struct netdev *device, struct eth_address group, bool member)
{
	(void)device;
	if (member) {
		told.joined = group;
		told.joins++;
	} else {
		told.left = group;
		told.leaves++;
	}
	return 0;
}

static int told_addresses(struct netdev *device, const struct ip_address *addresses,
			  unsigned int count)
{
	(void)device;
	(void)addresses;
	told.address_count = count;
	return 0;
}

static int open_telling(struct netdev **device_out, const char *name,
			const struct netdev_options *options)
{
	int error = netdev_open(device_out, name, options);

	if (error)
		return error;
	told.ops = *(*device_out)->ops;
	told.ops.set_group = told_group;
	told.ops.set_addresses = told_addresses;
	(*device_out)->ops = &told.ops;
	return 0;
}

static void device__is_told_at_once(void **state)
{
	const struct eth_address first = {{1, 0, 0x5e, 0, 0, 1}}, second = {{1, 0, 0x5e, 0, 0, 2}};
	const struct ip_address addresses[2] = {ip_address_v4(1), ip_address_v4(2)};
	struct netdev *carrier, *other;

	(void)state;
	for (unsigned int i = 0; i < SHARES; i++)
		close_runtime(&runtimes[i]);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(open_with(&runtimes[i], SHARES, open_telling), 0);
	carrier = runtimes[0].device;
	other = runtimes[1].device;
	assert_int_equal(carrier->ops->set_addresses(carrier, addresses, 2), 0);
	/* One that has only some of them yet does not take them away. */
	assert_int_equal(other->ops->set_addresses(other, addresses, 1), 0);
	assert_int_equal(other->ops->set_group(other, first, true), 0);
	assert_int_equal(carrier->ops->set_group(carrier, first, true), 0);
	assert_int_equal(other->ops->set_group(other, second, false), 0);
	/* At once: what comes from now on is for us. */
	assert_int_equal(told.address_count, 2);
	assert_true(eth_address_equal(&told.joined, &first));
	assert_int_equal(told.joins, 1);
	assert_int_equal(told.leaves, 0);
	/* The last one who leaves takes the group along, and one that ends has left. */
	assert_int_equal(carrier->ops->set_group(carrier, first, false), 0);
	assert_int_equal(told.leaves, 0);
	close_runtime(&runtimes[1]);
	assert_int_equal(told.leaves, 1);
	assert_true(eth_address_equal(&told.left, &first));
}

static void settings__are_the_same_for_all(void **state)
{
	(void)state;
	close_runtime(&runtimes[1]);
	vlan = 5;
	assert_int_equal(open_share(&runtimes[1]), -EINVAL);
	vlan = 0;
	assert_int_equal(open_share(&runtimes[1]), 0);
}

/* ---- Threads ---- */

#define EXCHANGED 3000u

static bool peer_ends;

/* Sends back what comes. */
static void *run_peer(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&peer_ends, __ATOMIC_ACQUIRE)) {
		struct buf *buf = poll_device(peer.device), *back;

		if (!buf) {
			sched_yield();
			continue;
		}
		back = frame_of(peer.device, load_be16(buf->data + LOCAL_PORT_AT),
				load_be16(buf->data + REMOTE_PORT_AT), buf->data[MARK_AT]);
		release(peer.device, buf);
		while (peer.device->ops->tx_burst(peer.device, &back, 1, 0) == 0)
			sched_yield();
	}
	return NULL;
}

/* Some come late, some go early; whoever is the carrier, nothing is lost. */
static void *run_share(void *argument)
{
	unsigned int number = (unsigned int)((struct runtime *)argument - runtimes);
	struct netdev *device = runtimes[number].device;
	uint16_t port = (uint16_t)(100 + number);
	uint64_t time_ns = 0;
	unsigned int received = 0, sent = 0, count = EXCHANGED * (number + 1) / SHARES;

	while (received < count) {
		struct buf *buf = NULL;

		time_ns += 1000;
		if (device->ops->rx_burst(device, &buf, 1, time_ns)) {
			if (load_be16(buf->data + LOCAL_PORT_AT) != port ||
			    buf->data[MARK_AT] != (uint8_t)received)
				return buf;
			netdev_release(device, buf);
			received++;
		} else {
			sched_yield();
		}
		if (sent < count && sent < received + 32) {
			buf = frame_of(device, port, 7, (uint8_t)sent);
			if (device->ops->tx_burst(device, &buf, 1, time_ns))
				sent++;
			else
				netdev_release(device, buf);
		}
	}
	return NULL;
}

static void threads__exchange_all_that_is_theirs(void **state)
{
	pthread_t handles[SHARES + 1];
	void *wrong;

	(void)state;
	peer_ends = false;
	for (unsigned int i = 0; i < SHARES; i++)
		assert_int_equal(bind_udp(i, (uint16_t)(100 + i)), 0);
	assert_int_equal(pthread_create(&handles[SHARES], NULL, run_peer, NULL), 0);
	for (unsigned int i = 0; i < SHARES; i++)
		assert_int_equal(pthread_create(&handles[i], NULL, run_share, &runtimes[i]), 0);
	/* The carrier is the first one that is done, and ends. */
	for (unsigned int i = 0; i < SHARES; i++) {
		pthread_join(handles[i], &wrong);
		assert_null(wrong);
		close_runtime(&runtimes[i]);
	}
	__atomic_store_n(&peer_ends, true, __ATOMIC_RELEASE);
	pthread_join(handles[SHARES], NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(packets__come_to_the_home_of_their_flow),
		CASE(packets__come_to_who_has_bound_their_port),
		CASE(packets__that_are_no_flow_come_to_all),
		CASE(miss__passes_a_packet_on_to_all_who_may_have_it),
		CASE(miss__of_one_that_is_alone_is_answered),
		CASE(frames__of_all_go_out),
		CASE(frames__of_who_has_gone_go_out),
		CASE(runtimes__come_and_go),
		CASE(carrier__ends_and_another_goes_on),
		CASE(carrier__that_does_not_poll_is_replaced),
		CASE(carrier__that_says_it_sleeps_is_woken_and_then_replaced),
		CASE(sleep__ends_for_what_is_ones_own),
		CASE(device__is_told_at_once),
		CASE(settings__are_the_same_for_all),
		CASE(threads__exchange_all_that_is_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
