/* SPDX-License-Identifier: MIT */
#include "netdev/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "netdev/lane.h"
#include "netdev/netdev.h"

#define FRAMES 600u /* more than a lane has room for */

static struct heap *heap_create_one(void)
{
	struct heap *heap = NULL;

	assert_int_equal(
		heap_create(&heap, &(struct heap_options){.bytes_max = (uint64_t)32 << 20}), 0);
	return heap;
}

static int open_in(struct heap *heap, struct netdev **device_out, const char *name, uint32_t mtu)
{
	static struct config config; /* all threads write the same */
	struct config own = config;
	struct netdev_options options = {.heap = heap, .config = &own};

	own.net.frames = FRAMES;
	own.net.mtu = mtu;
	return netdev_open(device_out, name, &options);
}

static struct heap *heap;
static struct netdev *station[2];

static int heap_setup(void **state)
{
	(void)state;
	heap = heap_create_one();
	memset(station, 0, sizeof(station));
	return 0;
}

static int heap_teardown(void **state)
{
	(void)state;
	netdev_close(station[0]);
	netdev_close(station[1]);
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static void open_pair(void)
{
	assert_int_equal(open_in(heap, &station[0], "loop:pair", 0), 0);
	assert_int_equal(open_in(heap, &station[1], "loop:pair", 0), 0);
}

static struct buf *frame_of(struct netdev *device, uint32_t length, uint32_t mark)
{
	struct buf *buf = netdev_alloc(device);

	assert_non_null(buf);
	memset(buf->data, (int)mark, length);
	memcpy(buf->data, &mark, sizeof(mark));
	buf->length = length;
	return buf;
}

static unsigned int transmit(struct netdev *device, struct buf *buf)
{
	return device->ops->tx_burst(device, &buf, 1, 0);
}

static struct buf *receive(struct netdev *device)
{
	struct buf *buf = NULL;

	return device->ops->rx_burst(device, &buf, 1, 0) ? buf : NULL;
}

static uint32_t mark_of(const struct buf *buf)
{
	uint32_t mark;

	memcpy(&mark, buf->data, sizeof(mark));
	return mark;
}

static void assert_receives(struct netdev *device, uint32_t mark)
{
	struct buf *buf = receive(device);

	assert_non_null(buf);
	assert_int_equal(mark_of(buf), mark);
	netdev_release_chain(device, buf);
}

static bool is_readable(int file)
{
	struct pollfd poll_fd = {.fd = file, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

/* ---- One thread ---- */

static void loop__carries_frames_both_ways(void **state)
{
	static const uint32_t lengths[] = {14, 60, 1514, 1518};

	(void)state;
	open_pair();
	assert_string_equal(station[0]->name, "loop:pair");
	assert_int_equal(station[0]->caps.mtu, 1500);
	assert_false(eth_address_equal(&station[0]->caps.mac, &station[1]->caps.mac));
	for (int from = 0; from < 2; from++) {
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(
				transmit(station[from], frame_of(station[from], lengths[i], i)), 1);
		for (uint32_t i = 0; i < 4; i++) {
			struct buf *buf = receive(station[!from]);

			assert_int_equal(buf->length, lengths[i]);
			assert_int_equal(mark_of(buf), i);
			assert_int_equal(buf->data[lengths[i] - 1], i);
			assert_int_equal(buf->flags, 0);
			netdev_release_chain(station[!from], buf);
		}
		assert_null(receive(station[!from]));
		assert_int_equal(station[from]->counters.tx_frames, 4);
		assert_int_equal(station[from]->counters.tx_bytes, 14 + 60 + 1514 + 1518);
		assert_int_equal(station[!from]->counters.rx_frames, 4);
		assert_int_equal(station[!from]->counters.rx_bytes, 14 + 60 + 1514 + 1518);
		assert_int_equal(heap_frames_free(station[from]->frames), FRAMES);
	}
}

static int told;

static void tell(struct buf_done *done)
{
	(void)done;
	told++;
}

static void loop__joins_a_chain_and_lets_go_of_it(void **state)
{
	unsigned char *payload = heap_alloc(heap, 1000);
	struct buf_done done = {.done = tell};
	struct buf *head, *tail, *buf;

	(void)state;
	open_pair();
	told = 0;
	memset(payload, 'p', 1000);
	head = frame_of(station[0], 40, 5);
	tail = netdev_reference(station[0], payload, 1000);
	head->next = tail;
	head->flags = BUF_CHECKSUM;
	tail->flags = BUF_DONE;
	tail->transmit.done = &done;
	assert_int_equal(heap_free(heap, payload), 0);
	assert_int_equal(transmit(station[0], head), 1);
	assert_int_equal(told, 1);
	assert_null(heap_object(heap, payload));
	assert_int_equal(station[0]->counters.tx_copied_bytes, 1000);
	buf = receive(station[1]);
	assert_int_equal(buf->length, 1040);
	assert_int_equal(buf->data[39], 5);
	assert_int_equal(buf->data[40], 'p');
	assert_int_equal(buf->data[1039], 'p');
	assert_int_equal(buf->flags, BUF_CHECKED);
	netdev_release_chain(station[1], buf);
	assert_int_equal(heap_frames_free(station[0]->frames), FRAMES);
	assert_int_equal(heap_frames_free(station[0]->shells), FRAMES);
}

static void loop__is_full_after_so_many(void **state)
{
	struct buf *frames[NETDEV_BURST_MAX];
	uint32_t sent = 0, received = 0;

	(void)state;
	open_pair();
	for (int round = 0; round < 5; round++) {
		while (sent - received < LANE_FRAMES) {
			assert_int_equal(transmit(station[0], frame_of(station[0], 60, sent)), 1);
			sent++;
		}
		frames[0] = frame_of(station[0], 60, sent);
		frames[1] = frame_of(station[0], 60, sent + 1);
		assert_int_equal(station[0]->ops->tx_burst(station[0], frames, 2, 0), 0);
		assert_int_equal(station[0]->counters.tx_full, 2 * round + 1);
		assert_receives(station[1], received++);
		assert_int_equal(station[0]->ops->tx_burst(station[0], frames, 2, 0), 1);
		assert_int_equal(station[0]->counters.tx_full, 2 * round + 2);
		netdev_release_chain(station[0], frames[1]);
		sent++;
		for (int i = 0; i < 100; i++)
			assert_receives(station[1], received++);
	}
	while (received < sent) {
		unsigned int count = station[1]->ops->rx_burst(station[1], frames, NETDEV_BURST_MAX,
							       0);

		assert_true(count > 0);
		for (unsigned int i = 0; i < count; i++) {
			assert_int_equal(mark_of(frames[i]), received++);
			netdev_release_chain(station[1], frames[i]);
		}
	}
	assert_null(receive(station[1]));
}

static void loop__waits_for_a_frame_to_receive_into(void **state)
{
	void *taken[FRAMES];

	(void)state;
	open_pair();
	transmit(station[0], frame_of(station[0], 60, 1));
	transmit(station[0], frame_of(station[0], 60, 2));
	for (uint32_t i = 0; i < FRAMES; i++)
		taken[i] = netdev_alloc(station[1]);
	assert_null(receive(station[1]));
	for (uint32_t i = 0; i < FRAMES; i++)
		netdev_release(station[1], taken[i]);
	assert_receives(station[1], 1);
	assert_receives(station[1], 2);
}

static void loop__drops_what_it_cannot_carry(void **state)
{
	struct buf *head;

	(void)state;
	open_pair();
	head = frame_of(station[0], 1500, 1);
	head->next = frame_of(station[0], 19, 2);
	assert_int_equal(transmit(station[0], head), 1);
	assert_int_equal(station[0]->counters.tx_errors, 1);
	assert_int_equal(station[0]->counters.tx_frames, 0);
	assert_null(receive(station[1]));
	/* And what nobody is there for. */
	netdev_close(station[1]);
	station[1] = NULL;
	assert_int_equal(transmit(station[0], frame_of(station[0], 60, 3)), 1);
	assert_int_equal(station[0]->counters.tx_errors, 2);
	assert_int_equal(heap_frames_free(station[0]->frames), FRAMES);
}

static void loop__a_new_station_starts_with_an_empty_link(void **state)
{
	(void)state;
	open_pair();
	for (uint32_t i = 0; i < 200; i++)
		transmit(station[0], frame_of(station[0], 60, i));
	netdev_close(station[1]);
	station[1] = NULL;
	assert_int_equal(open_in(heap, &station[1], "loop:pair", 0), 0);
	assert_null(receive(station[1]));
	for (uint32_t i = 0; i < LANE_FRAMES; i++)
		assert_int_equal(transmit(station[0], frame_of(station[0], 60, i)), 1);
	for (uint32_t i = 0; i < LANE_FRAMES; i++)
		assert_receives(station[1], i);
	transmit(station[1], frame_of(station[1], 60, 77));
	assert_receives(station[0], 77);
}

static void loop_open__refuses_a_third_and_what_does_not_match(void **state)
{
	struct netdev *more = NULL;

	(void)state;
	assert_int_equal(open_in(heap, &station[0], "loop:pair", 2000), 0);
	assert_int_equal(open_in(heap, &more, "loop:pair", 1500), -EINVAL);
	assert_int_equal(open_in(heap, &station[1], "loop:pair", 2000), 0);
	assert_int_equal(open_in(heap, &more, "loop:pair", 2000), -EBUSY);
	assert_int_equal(open_in(heap, &more, "loop:a-name-of-too-many-bytes-in-it..", 0), -EINVAL);
	assert_int_equal(open_in(heap, &more, "loop:x", LOOP_MTU_MIN - 1), -EINVAL);
	assert_int_equal(open_in(heap, &more, "loop:x", LOOP_MTU_MAX + 1), -EINVAL);
	assert_null(more);
	transmit(station[0], frame_of(station[0], 2018, 1));
	assert_receives(station[1], 1);
}

static void loop_open__without_a_name_is_alone(void **state)
{
	bool sleep;

	(void)state;
	assert_int_equal(open_in(heap, &station[0], "loop", 0), 0);
	assert_int_equal(open_in(heap, &station[1], "loop", 0), 0);
	assert_int_equal(transmit(station[0], frame_of(station[0], 60, 1)), 1);
	assert_int_equal(station[0]->counters.tx_errors, 1);
	assert_null(receive(station[1]));
	assert_null(receive(station[0]));
	assert_int_equal(station[0]->ops->idle_fd(station[0], &sleep), -ENOTSUP);
}

/* ---- Sleep ---- */

static void loop_idle_fd__is_written_for_a_sleeper_only(void **state)
{
	bool sleep = true;
	int file;

	(void)state;
	open_pair();
	transmit(station[0], frame_of(station[0], 60, 1));
	file = station[1]->ops->idle_fd(station[1], &sleep);
	assert_true(file >= 0);
	assert_false(sleep);
	transmit(station[0], frame_of(station[0], 60, 2));
	assert_false(is_readable(file));
	assert_receives(station[1], 1);
	assert_receives(station[1], 2);

	assert_int_equal(station[1]->ops->idle_fd(station[1], &sleep), file);
	assert_true(sleep);
	assert_false(is_readable(file));
	transmit(station[0], frame_of(station[0], 60, 3));
	assert_true(is_readable(file));
	assert_receives(station[1], 3);
	/* Awake again, and what woke it is forgotten before the next sleep. */
	transmit(station[0], frame_of(station[0], 60, 4));
	assert_receives(station[1], 4);
	assert_int_equal(station[1]->ops->idle_fd(station[1], &sleep), file);
	assert_true(sleep);
	assert_false(is_readable(file));

	/* Woken by something else: nothing is written for it any more. */
	assert_null(receive(station[1]));
	transmit(station[0], frame_of(station[0], 60, 5));
	assert_false(is_readable(file));
	assert_receives(station[1], 5);
}

static void loop_forget__leaves_the_child_a_name_of_its_own(void **state)
{
	struct netdev *other[2];
	int status;
	pid_t child;

	(void)state;
	open_pair();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct heap *own = NULL;

		station[0]->ops->forget(station[0]);
		station[1]->ops->forget(station[1]);
		if (heap_create(&own, &(struct heap_options){.bytes_max = 32 << 20}) ||
		    open_in(own, &other[0], "loop:pair", 0) ||
		    open_in(own, &other[1], "loop:pair", 0))
			_exit(1);
		transmit(other[0], frame_of(other[0], 60, 1));
		_exit(receive(other[1]) ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_null(receive(station[1]));
	transmit(station[0], frame_of(station[0], 60, 3));
	assert_receives(station[1], 3);
}

/* ---- Two threads ---- */

#define EXCHANGED 100000u

struct side {
	pthread_t thread;
	pthread_barrier_t *barrier;
	bool *stop;          /* one of both has failed */
	const char *failure; /* NULL: none */
	uint64_t sleeps;
};

/* Sleeps when nothing has come, until a frame comes. */
static void wait_for_frames(struct side *side, struct netdev *device)
{
	bool sleep;
	struct pollfd poll_fd = {.fd = device->ops->idle_fd(device, &sleep), .events = POLLIN};

	if (!sleep)
		return;
	side->sleeps++;
	if (poll(&poll_fd, 1, 10000) != 1)
		side->failure = "no wake-up";
}

static uint32_t length_of(uint32_t mark)
{
	return 14 + mark * 7919 % 1500;
}

static uint32_t take(struct side *side, struct netdev *device, uint32_t received)
{
	struct buf *frames[NETDEV_BURST_MAX];
	unsigned int count = device->ops->rx_burst(device, frames, NETDEV_BURST_MAX, 0);

	for (unsigned int i = 0; i < count; i++) {
		struct buf *buf = frames[i];

		if (mark_of(buf) != received + i || buf->length != length_of(received + i) ||
		    buf->data[buf->length - 1] != (unsigned char)(received + i))
			side->failure = "a frame is wrong";
		netdev_release_chain(device, buf);
	}
	return received + count;
}

static uint32_t send_some(struct netdev *device, uint32_t sent)
{
	struct buf *frames[8];
	uint32_t count = 0, taken;

	for (; count < 8 && sent + count < EXCHANGED; count++) {
		frames[count] = netdev_alloc(device);
		frames[count]->length = length_of(sent + count);
		memset(frames[count]->data, (int)(sent + count), frames[count]->length);
		memcpy(frames[count]->data, &(uint32_t){sent + count}, 4);
	}
	taken = device->ops->tx_burst(device, frames, count, 0);
	for (uint32_t i = taken; i < count; i++)
		netdev_release_chain(device, frames[i]);
	return sent + taken;
}

static bool stopped(struct side *side)
{
	if (side->failure)
		__atomic_store_n(side->stop, true, __ATOMIC_RELAXED);
	return __atomic_load_n(side->stop, __ATOMIC_RELAXED);
}

/* Each sends what the other expects, and is never more than half a lane ahead of it. */
static void *exchange(void *context)
{
	struct side *side = context;
	struct heap *own = NULL;
	struct netdev *device = NULL;
	uint32_t sent = 0, received = 0;

	if (heap_create(&own, &(struct heap_options){.bytes_max = 32 << 20}) ||
	    open_in(own, &device, "loop:threads", 0)) {
		side->failure = "open";
		stopped(side);
	}
	pthread_barrier_wait(side->barrier);
	while (!stopped(side) && received < EXCHANGED) {
		uint32_t before = received;

		if (sent < EXCHANGED && sent < received + LANE_FRAMES / 2)
			sent = send_some(device, sent);
		received = take(side, device, received);
		if (received == before && (sent == EXCHANGED || sent > received))
			wait_for_frames(side, device);
	}
	while (!stopped(side) && sent < EXCHANGED)
		sent = send_some(device, sent);
	stopped(side);
	pthread_barrier_wait(side->barrier);
	netdev_close(device);
	if (own && !heap_is_empty(own))
		side->failure = "frames are missing";
	heap_destroy(own);
	return NULL;
}

static void loop__two_threads_exchange_frames_and_sleep(void **state)
{
	pthread_barrier_t barrier;
	bool stop = false;
	struct side sides[2] = {{.barrier = &barrier, .stop = &stop},
				{.barrier = &barrier, .stop = &stop}};

	(void)state;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&sides[i].thread, NULL, exchange, &sides[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(sides[i].thread, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_null(sides[i].failure);
	assert_true(sides[0].sleeps + sides[1].sleeps > 0);
	pthread_barrier_destroy(&barrier);
}

#define loop_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		loop_test(loop__carries_frames_both_ways),
		loop_test(loop__joins_a_chain_and_lets_go_of_it),
		loop_test(loop__is_full_after_so_many),
		loop_test(loop__waits_for_a_frame_to_receive_into),
		loop_test(loop__drops_what_it_cannot_carry),
		loop_test(loop__a_new_station_starts_with_an_empty_link),
		loop_test(loop_open__refuses_a_third_and_what_does_not_match),
		loop_test(loop_open__without_a_name_is_alone),
		loop_test(loop_idle_fd__is_written_for_a_sleeper_only),
		loop_test(loop_forget__leaves_the_child_a_name_of_its_own),
		loop_test(loop__two_threads_exchange_frames_and_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
