/* SPDX-License-Identifier: MIT */
#include "netdev/sim.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct heap *heap;
static struct sim_link *simulated;
static struct netdev *station[3];

static int heap_setup(void **state)
{
	(void)state;
	return heap_create(&heap, &(struct heap_options){.bytes_max = (uint64_t)64 << 20});
}

static int heap_teardown(void **state)
{
	(void)state;
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static void start(const struct sim_options *options, const struct sim_device_options *device)
{
	simulated = sim_link_create(options);
	assert_non_null(simulated);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(sim_device_create(&station[i], simulated, heap, device), 0);
		assert_int_equal(sim_device_number(station[i]), i);
	}
	station[2] = NULL;
}

static void end(void)
{
	for (unsigned int i = 0; i < ARRAY_LENGTH(station); i++)
		netdev_close(station[i]);
	sim_link_destroy(simulated);
}

static const struct sim_options no_mishap;
static const struct sim_device_options plain;

/* A frame of @length bytes from one station to another, recognised by @mark. */
static struct buf *frame_to(struct netdev *from, const struct netdev *to, uint32_t length,
			    uint32_t mark)
{
	struct buf *buf = netdev_alloc(from);

	assert_non_null(buf);
	buf->length = length;
	memset(buf->data, (int)mark, length);
	memcpy(buf->data, to->caps.mac.bytes, 6);
	memcpy(buf->data + 6, from->caps.mac.bytes, 6);
	buf->data[12] = 0x88;
	buf->data[13] = 0xb5;
	memcpy(buf->data + 14, &mark, sizeof(mark));
	return buf;
}

static uint32_t mark_of(const struct buf *buf)
{
	uint32_t mark;

	assert_true(buf->length >= 18);
	memcpy(&mark, buf->data + 14, sizeof(mark));
	return mark;
}

static unsigned int transmit(struct netdev *from, struct buf *buf, uint64_t now_ns)
{
	return from->ops->tx_burst(from, &buf, 1, now_ns);
}

static void send_mark(unsigned int from, unsigned int to, uint32_t mark, uint64_t now_ns)
{
	struct buf *buf = frame_to(station[from], station[to], 60, mark);

	assert_int_equal(transmit(station[from], buf, now_ns), 1);
}

/* The next frame that has arrived; NULL: none has. */
static struct buf *receive(unsigned int at, uint64_t now_ns)
{
	struct buf *buf = NULL;

	return station[at]->ops->rx_burst(station[at], &buf, 1, now_ns) ? buf : NULL;
}

static bool receive_mark(unsigned int at, uint64_t now_ns, uint32_t *mark_out)
{
	struct buf *buf = receive(at, now_ns);

	if (!buf)
		return false;
	*mark_out = mark_of(buf);
	netdev_release_chain(station[at], buf);
	return true;
}

static void assert_receives(unsigned int at, uint64_t now_ns, uint32_t mark)
{
	uint32_t found;

	assert_true(receive_mark(at, now_ns, &found));
	assert_int_equal(found, mark);
}

static void assert_receives_nothing(unsigned int at, uint64_t now_ns)
{
	assert_null(receive(at, now_ns));
}

/* ---- Without mishaps ---- */

static void sim__delivers_whole_frames_in_order(void **state)
{
	const uint32_t lengths[] = {18, 60, 1514, 1518};

	(void)state;
	start(&no_mishap, &plain);
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
		assert_int_equal(transmit(station[0],
					  frame_to(station[0], station[1], lengths[i], (uint32_t)i),
					  5),
				 1);
	for (uint32_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		struct buf *buf = receive(1, 5), *same;

		assert_non_null(buf);
		assert_int_equal(buf->length, lengths[i]);
		assert_null(buf->next);
		assert_int_equal(buf->flags, 0);
		assert_true(buf->data - (unsigned char *)buf >=
			    station[1]->room_offset + NETDEV_HEAD_ROOM);
		same = frame_to(station[0], station[1], lengths[i], i);
		assert_memory_equal(buf->data, same->data, lengths[i]);
		netdev_release_chain(station[0], same);
		netdev_release_chain(station[1], buf);
	}
	assert_receives_nothing(1, UINT64_MAX - 1);
	assert_receives_nothing(0, UINT64_MAX - 1);
	assert_int_equal(station[0]->counters.tx_frames, 4);
	assert_int_equal(station[0]->counters.tx_bytes, 18 + 60 + 1514 + 1518);
	assert_int_equal(station[1]->counters.rx_frames, 4);
	assert_int_equal(station[1]->counters.rx_bytes, 18 + 60 + 1514 + 1518);
	end();
}

static void sim__joins_chains_and_refuses_what_no_card_sends(void **state)
{
	struct sim_device_options two = {.segments_max = 2, .mtu = 1000};
	unsigned char *payload = heap_alloc(heap, 600);
	struct buf *head, *tail, *buf;

	(void)state;
	start(&no_mishap, &two);
	memset(payload, 'p', 600);
	head = frame_to(station[0], station[1], 100, 7);
	tail = netdev_reference(station[0], payload + 100, 500);
	head->next = tail;
	assert_int_equal(heap_free(heap, payload), 0);
	assert_int_equal(transmit(station[0], head, 0), 1);
	buf = receive(1, 0);
	assert_int_equal(buf->length, 600);
	assert_int_equal(mark_of(buf), 7);
	assert_int_equal(buf->data[99], 7);
	assert_int_equal(buf->data[100], 'p');
	assert_int_equal(buf->data[599], 'p');
	netdev_release_chain(station[1], buf);
	assert_int_equal(station[0]->counters.tx_copied_bytes, 500);
	assert_int_equal(heap_frames_free(station[0]->shells), 1024);

	/* Too long by a byte, and of three pieces. */
	head = frame_to(station[0], station[1], 1018, 1);
	head->next = frame_to(station[0], station[1], 18, 1);
	head->next->length = 1;
	assert_int_equal(transmit(station[0], head, 0), 1);
	head = frame_to(station[0], station[1], 100, 1);
	head->next = frame_to(station[0], station[1], 100, 1);
	head->next->next = frame_to(station[0], station[1], 100, 1);
	assert_int_equal(transmit(station[0], head, 0), 1);
	assert_int_equal(station[0]->counters.tx_errors, 2);
	assert_int_equal(station[0]->counters.tx_frames, 1);
	assert_receives_nothing(1, 0);
	assert_int_equal(heap_frames_free(station[0]->frames), 1024);
	end();
}

static void sim__a_hub_of_three(void **state)
{
	struct netdev nobody = {.caps.mac = {{2, 9, 9, 9, 9, 9}}};
	struct netdev group = {.caps.mac = {{1, 0, 0x5e, 0, 0, 1}}};

	(void)state;
	start(&no_mishap, &plain);
	assert_int_equal(sim_device_create(&station[2], simulated, heap, &plain), 0);
	send_mark(0, 2, 1, 0);
	assert_receives_nothing(1, 0);
	assert_receives(2, 0, 1);
	assert_int_equal(transmit(station[1], frame_to(station[1], &nobody, 60, 2), 0), 1);
	assert_int_equal(transmit(station[1], frame_to(station[1], &group, 60, 3), 0), 1);
	for (unsigned int at = 0; at < 3; at += 2) {
		assert_receives(at, 0, 2);
		assert_receives(at, 0, 3);
	}
	assert_receives_nothing(1, 0);
	/* One who goes loses what was under way to him, and nobody else does. */
	send_mark(0, 1, 4, 0);
	send_mark(2, 0, 5, 0);
	netdev_close(station[1]);
	station[1] = NULL;
	send_mark(0, 2, 6, 0);
	assert_receives(0, 0, 5);
	assert_receives(2, 0, 6);
	end();
}

static void sim_device_create__has_limits(void **state)
{
	struct netdev *all[SIM_STATIONS_MAX], *more = NULL;
	struct sim_device_options options = {.frames = 8, .mtu = 67};

	(void)state;
	simulated = sim_link_create(&no_mishap);
	assert_true(sim_link_is_empty(simulated));
	assert_int_equal(sim_device_create(&more, simulated, heap, &options), -EINVAL);
	options.mtu = SIM_MTU_MAX + 1;
	assert_int_equal(sim_device_create(&more, simulated, heap, &options), -EINVAL);
	options.mtu = 0;
	options.frames = 1 << 20;
	assert_int_equal(sim_device_create(&more, simulated, heap, &options), -ENOMEM);
	assert_true(sim_link_is_empty(simulated));
	options.frames = 8;
	/* The heap has so many pools, two for each. */
	for (unsigned int i = 0; i < HEAP_FRAME_POOLS_MAX / 2; i++)
		assert_int_equal(sim_device_create(&all[i], simulated, heap, &options), 0);
	assert_int_equal(sim_device_create(&more, simulated, heap, &options), -ENOSPC);
	assert_null(more);
	for (unsigned int i = 0; i < HEAP_FRAME_POOLS_MAX / 2; i++)
		netdev_close(all[i]);
	sim_link_destroy(simulated);
	sim_link_destroy(NULL);
}

/* ---- Time ---- */

static void sim__takes_its_delay(void **state)
{
	const struct sim_options slow = {.delay_ns = 50 * US};

	(void)state;
	start(&slow, &plain);
	assert_int_equal(station[1]->ops->next_ns(station[1]), UINT64_MAX);
	send_mark(0, 1, 1, 1 * MS);
	send_mark(0, 1, 2, 1 * MS + 7);
	assert_int_equal(station[1]->ops->next_ns(station[1]), 1050 * US);
	assert_int_equal(station[0]->ops->next_ns(station[0]), UINT64_MAX);
	assert_receives_nothing(1, 1050 * US - 1);
	assert_receives(1, 1050 * US, 1);
	assert_receives_nothing(1, 1050 * US);
	assert_int_equal(station[1]->ops->next_ns(station[1]), 1050 * US + 7);
	assert_receives(1, 1 * MS * 2, 2);
	end();
}

/* 1000 bytes at 8 Mbit/s are 1 ms. */
static void sim__serialises_at_its_bandwidth(void **state)
{
	const struct sim_options narrow = {.bandwidth = 8000000, .delay_ns = 100};

	(void)state;
	start(&narrow, &plain);
	for (uint32_t i = 0; i < 3; i++)
		transmit(station[0], frame_to(station[0], station[1], 1000, i), 0);
	/* The other direction has a bandwidth of its own. */
	transmit(station[1], frame_to(station[1], station[0], 500, 9), 0);
	assert_receives_nothing(0, 500 * US + 99);
	assert_receives(0, 500 * US + 100, 9);
	for (uint32_t i = 0; i < 3; i++) {
		assert_receives_nothing(1, (i + 1) * MS + 99);
		assert_receives(1, (i + 1) * MS + 100, i);
	}
	/* After a pause it starts anew. */
	transmit(station[0], frame_to(station[0], station[1], 1000, 4), 10 * MS);
	assert_int_equal(station[1]->ops->next_ns(station[1]), 11 * MS + 100);
	assert_receives(1, 11 * MS + 100, 4);
	end();
}

static void sim__drops_the_tail_of_a_full_queue(void **state)
{
	struct sim_options narrow = {.bandwidth = 8000000, .queue_frames = 3};

	(void)state;
	start(&narrow, &plain);
	for (uint32_t i = 0; i < 5; i++)
		transmit(station[0], frame_to(station[0], station[1], 1000, i), 0);
	assert_int_equal(sim_link_counters(simulated)->sent, 5);
	assert_int_equal(sim_link_counters(simulated)->queue_full, 2);
	/* The first has left. */
	transmit(station[0], frame_to(station[0], station[1], 1000, 5), 1 * MS);
	assert_int_equal(sim_link_counters(simulated)->queue_full, 2);
	assert_receives(1, 9 * MS, 0);
	assert_receives(1, 9 * MS, 1);
	assert_receives(1, 9 * MS, 2);
	assert_receives(1, 9 * MS, 5);
	assert_receives_nothing(1, 9 * MS);

	*sim_link_options(simulated) = (struct sim_options){.bandwidth = 8000000,
							    .queue_bytes = 2100};
	for (uint32_t i = 0; i < 3; i++)
		transmit(station[0], frame_to(station[0], station[1], 1000, i), 10 * MS);
	transmit(station[0], frame_to(station[0], station[1], 100, 3), 10 * MS);
	assert_int_equal(sim_link_counters(simulated)->queue_full, 3);
	assert_receives(1, 20 * MS, 0);
	assert_receives(1, 20 * MS, 1);
	assert_receives(1, 20 * MS, 3);
	assert_int_equal(heap_frames_free(station[0]->frames), 1024);
	end();
}

static void sim__a_queue_that_refuses_is_no_loss(void **state)
{
	struct sim_options narrow = {.bandwidth = 8000000, .queue_frames = 2};
	struct sim_device_options refuses = {.refuses = true};
	struct buf *frames[4];

	(void)state;
	start(&narrow, &refuses);
	for (uint32_t i = 0; i < 4; i++)
		frames[i] = frame_to(station[0], station[1], 1000, i);
	assert_int_equal(station[0]->ops->tx_burst(station[0], frames, 4, 0), 2);
	assert_int_equal(station[0]->counters.tx_full, 1);
	assert_int_equal(station[0]->ops->tx_burst(station[0], frames + 2, 2, 1 * MS - 1), 0);
	assert_int_equal(station[0]->ops->tx_burst(station[0], frames + 2, 2, 1 * MS), 1);
	assert_int_equal(station[0]->ops->tx_burst(station[0], frames + 3, 1, 5 * MS), 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_receives(1, 9 * MS, i);
	assert_int_equal(sim_link_counters(simulated)->queue_full, 0);
	end();
}

struct told {
	struct buf_done done;
	int count;
};

static void tell(struct buf_done *done)
{
	((struct told *)done)->count++;
}

static void sim__releases_what_has_left_the_queue(void **state)
{
	struct sim_options narrow = {.bandwidth = 8000000};
	struct sim_device_options later = {.asynchronous_tx = true};
	struct told told = {.done.done = tell};
	void *payload = heap_alloc(heap, 500);

	(void)state;
	start(&narrow, &later);
	for (int i = 0; i < 3; i++) {
		struct buf *head = frame_to(station[0], station[1], 500, (uint32_t)i);

		head->next = netdev_reference(station[0], payload, 500);
		head->next->flags = BUF_DONE;
		head->next->transmit.done = &told.done;
		transmit(station[0], head, 0);
	}
	assert_int_equal(heap_free(heap, payload), 0);
	assert_int_equal(told.count, 0);
	assert_int_equal(heap_frames_free(station[0]->shells), 1021);
	assert_int_equal(station[0]->ops->next_ns(station[0]), 1 * MS);
	station[0]->ops->tx_reclaim(station[0]);
	assert_int_equal(told.count, 0);
	assert_receives_nothing(0, 1 * MS);
	assert_int_equal(told.count, 1);
	assert_int_equal(heap_frames_free(station[0]->frames), 1022);
	assert_ptr_equal(heap_object(heap, payload), payload);
	assert_receives_nothing(0, 3 * MS - 1);
	assert_int_equal(told.count, 2);
	/* The end of the device is the end of waiting. */
	assert_receives(1, 9 * MS, 0);
	end();
	assert_int_equal(told.count, 3);
	assert_null(heap_object(heap, payload));
}

static void sim__releases_at_once_otherwise(void **state)
{
	struct sim_options narrow = {.bandwidth = 8000000};
	struct told told = {.done.done = tell};
	struct buf *buf;

	(void)state;
	start(&narrow, &plain);
	buf = frame_to(station[0], station[1], 500, 1);
	buf->flags = BUF_DONE;
	buf->transmit.done = &told.done;
	transmit(station[0], buf, 0);
	assert_int_equal(told.count, 1);
	assert_int_equal(station[0]->ops->next_ns(station[0]), UINT64_MAX);
	assert_receives(1, 9 * MS, 1);
	end();
}

/* ---- Mishaps ---- */

#define FRAMES 20000u

/* Sends FRAMES one after another, receives all, and returns how many arrived. */
static unsigned int run(const struct sim_options *options,
			void (*look)(void *context, const struct buf *buf), void *context)
{
	unsigned int count = 0;

	start(options, &plain);
	for (uint32_t i = 0; i < FRAMES + 20; i++) {
		struct buf *buf;

		if (i < FRAMES)
			transmit(station[0], frame_to(station[0], station[1], 64, i), i * US);
		while ((buf = receive(1, i < FRAMES ? i * US : UINT64_MAX - 1))) {
			look(context, buf);
			count++;
			netdev_release_chain(station[1], buf);
		}
	}
	return count;
}

static void assert_about(uint64_t count, uint64_t expected)
{
	assert_in_range(count, expected * 8 / 10, expected * 12 / 10);
}

/* What arrived, as one number. */
static void digest(void *context, const struct buf *buf)
{
	uint64_t *sum = context;

	for (uint32_t i = 0; i < buf->length; i++)
		*sum = (*sum ^ buf->data[i]) * 0x100000001b3;
	*sum ^= buf->length;
}

static void sim__loses(void **state)
{
	struct sim_options options = {.seed = 1, .loss = 100000};
	uint64_t sum = 0;
	unsigned int arrived;

	(void)state;
	arrived = run(&options, digest, &sum);
	assert_about(FRAMES - arrived, 2000);
	assert_int_equal(sim_link_counters(simulated)->lost, FRAMES - arrived);
	assert_int_equal(sim_link_counters(simulated)->delivered, arrived);
	end();
	options.loss = SIM_MILLION;
	assert_int_equal(run(&options, digest, &sum), 0);
	end();
}

struct order {
	uint32_t last;
	bool any;
	uint64_t backward, repeated;
};

static void look_at_order(void *context, const struct buf *buf)
{
	struct order *order = context;
	uint32_t mark = mark_of(buf);

	order->backward += order->any && mark < order->last;
	order->repeated += order->any && mark == order->last;
	order->last = mark;
	order->any = true;
}

static void sim__duplicates(void **state)
{
	const struct sim_options options = {.seed = 2, .duplicate = 50000};
	struct order order = {0};
	unsigned int arrived;

	(void)state;
	arrived = run(&options, look_at_order, &order);
	assert_about(arrived - FRAMES, 1000);
	assert_int_equal(sim_link_counters(simulated)->duplicated, arrived - FRAMES);
	assert_int_equal(order.repeated, arrived - FRAMES);
	assert_int_equal(order.backward, 0);
	end();
}

static void sim__reorders(void **state)
{
	const struct sim_options options = {.seed = 3, .delay_ns = 2 * US, .reorder = 50000};
	struct order order = {0};

	(void)state;
	assert_int_equal(run(&options, look_at_order, &order), FRAMES);
	assert_about(sim_link_counters(simulated)->reordered, 1000);
	assert_in_range(order.backward, sim_link_counters(simulated)->reordered / 2,
			sim_link_counters(simulated)->reordered);
	end();
}

static void sim__jitter_keeps_the_order(void **state)
{
	const struct sim_options options = {.seed = 4, .jitter_ns = 5 * US};
	struct order order = {0};

	(void)state;
	assert_int_equal(run(&options, look_at_order, &order), FRAMES);
	assert_int_equal(order.backward, 0);
	end();
}

struct bits {
	uint64_t frames, by_count[5];
	uint32_t mark;
};

static void count_bits(void *context, const struct buf *buf)
{
	struct bits *bits = context;
	uint32_t mark = bits->mark++, inverted = 0;
	struct buf *sent = frame_to(station[0], station[1], 64, mark);

	assert_int_equal(buf->length, 64);
	for (uint32_t i = 0; i < 64; i++)
		inverted += (uint32_t)__builtin_popcount(buf->data[i] ^ sent->data[i]);
	netdev_release_chain(station[0], sent);
	assert_true(inverted <= 3);
	bits->by_count[inverted]++;
	bits->frames += inverted > 0;
}

static void sim__corrupts_up_to_three_bits(void **state)
{
	const struct sim_options options = {.seed = 5, .corrupt = 100000};
	struct bits bits = {0};

	(void)state;
	assert_int_equal(run(&options, count_bits, &bits), FRAMES);
	assert_about(bits.frames, 2000);
	assert_int_equal(sim_link_counters(simulated)->corrupted, bits.frames);
	for (int count = 1; count <= 3; count++)
		assert_about(bits.by_count[count], bits.frames / 3);
	end();
}

static void count_short(void *context, const struct buf *buf)
{
	uint64_t *count = context;

	assert_in_range(buf->length, 1, 64);
	*count += buf->length < 64;
}

static void sim__truncates(void **state)
{
	const struct sim_options options = {.seed = 6, .truncate = 100000};
	uint64_t count = 0;

	(void)state;
	assert_int_equal(run(&options, count_short, &count), FRAMES);
	assert_about(count, 2000);
	assert_int_equal(sim_link_counters(simulated)->truncated, count);
	end();
}

static void sim__a_seed_repeats_a_run(void **state)
{
	struct sim_options options = {
		.seed = 7,
		.delay_ns = 10 * US,
		.jitter_ns = 5 * US,
		.loss = 20000,
		.duplicate = 20000,
		.reorder = 20000,
		.corrupt = 20000,
		.truncate = 20000,
	};
	uint64_t sums[3] = {0};
	struct sim_counters counters[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		options.seed = i < 2 ? 7 : 8;
		run(&options, digest, &sums[i]);
		counters[i] = *sim_link_counters(simulated);
		end();
	}
	assert_int_equal(sums[0], sums[1]);
	assert_memory_equal(&counters[0], &counters[1], sizeof(counters[0]));
	assert_int_not_equal(sums[0], sums[2]);
}

static bool drop_the_third(void *context, unsigned int from, uint64_t number,
			   struct sim_frame *frame)
{
	int *calls = context;

	++*calls;
	if (from != 0)
		return true;
	if (number == 1)
		frame->data[20] = 0xee;
	if (number == 3) {
		frame->length = 30;
		frame->delay_ns = 1 * MS;
	}
	return number != 2;
}

static void sim__a_filter_changes_the_nth_frame(void **state)
{
	int calls = 0;
	struct sim_options options = {.filter = drop_the_third, .filter_context = &calls};
	struct buf *buf;

	(void)state;
	start(&options, &plain);
	for (uint32_t i = 0; i < 5; i++)
		send_mark(0, 1, i, 0);
	send_mark(1, 0, 9, 0);
	assert_receives(1, 0, 0);
	buf = receive(1, 0);
	assert_int_equal(mark_of(buf), 1);
	assert_int_equal(buf->data[20], 0xee);
	netdev_release_chain(station[1], buf);
	/* Later than the one before it, and so is all that follows: that is no reordering. */
	assert_receives_nothing(1, 1 * MS - 1);
	buf = receive(1, 1 * MS);
	assert_int_equal(mark_of(buf), 3);
	assert_int_equal(buf->length, 30);
	netdev_release_chain(station[1], buf);
	assert_receives(1, 1 * MS, 4);
	assert_receives(0, 0, 9);
	assert_int_equal(calls, 6);
	assert_int_equal(sim_link_counters(simulated)->filtered, 1);
	end();
}

static void sim__bounds_what_is_under_way(void **state)
{
	struct sim_options options = {.flight_max = 5, .delay_ns = 1 * MS};

	(void)state;
	start(&options, &plain);
	for (uint32_t i = 0; i < 8; i++)
		send_mark(0, 1, i, 0);
	assert_int_equal(sim_link_counters(simulated)->flight_full, 3);
	for (uint32_t i = 0; i < 5; i++)
		assert_receives(1, 1 * MS, i);
	assert_receives_nothing(1, 1 * MS);
	send_mark(0, 1, 8, 1 * MS);
	assert_receives(1, 2 * MS, 8);
	end();
}

static void sim__loses_what_the_receiver_has_no_frame_for(void **state)
{
	struct sim_device_options few = {.frames = 2}, small = {.mtu = 100};
	struct buf *held[2];

	(void)state;
	start(&no_mishap, &few);
	for (uint32_t i = 0; i < 2; i++) {
		send_mark(0, 1, i, 0);
		held[i] = receive(1, 0);
		assert_non_null(held[i]);
	}
	send_mark(0, 1, 2, 0);
	assert_receives_nothing(1, 0);
	netdev_release_chain(station[1], held[0]);
	assert_receives_nothing(1, 0);
	assert_int_equal(station[1]->counters.rx_no_frame, 1);
	assert_int_equal(sim_link_counters(simulated)->no_frame, 1);
	netdev_release_chain(station[1], held[1]);
	assert_int_equal(sim_device_create(&station[2], simulated, heap, &small), 0);
	transmit(station[0], frame_to(station[0], station[2], 119, 3), 0);
	transmit(station[0], frame_to(station[0], station[2], 118, 4), 0);
	assert_receives(2, 0, 4);
	assert_int_equal(station[2]->counters.rx_errors, 1);
	end();
}

/* ---- Checksums ---- */

/* "hi!" over UDP from 10.0.0.1:1 to 10.0.0.2:2; what follows the packet is padding. */
static const unsigned char udp_v4[] = {
	2,    's', 'i', 'm', 0, 2,  2,    's',  'i', 'm', 0,    1,    8,   0, /* Ethernet */
	0x45, 0,   0,   31,  0, 0,  0,    0,    64,  17,  0x66, 0xcc, 10,  0,
	0,    1,   10,  0,   0, 2, /* IPv4 */
	0,    1,   0,   2,   0, 11, 0x62, 0x69, 'h', 'i', '!',  0xff, 0xff};
#define V4_UDP (14 + 20)
/* 0a00 + 0001 + 0a00 + 0002 + 0011 (UDP) + 000b, its length: the sum of the pseudo header.
 * With the ports, the length again and the data it is 9d96; inverted 6269. */
#define V4_PSEUDO_HIGH 0x14
#define V4_PSEUDO_LOW 0x1f

/* TCP SYN from fd00::1 port 1 to fd00::2 port 2; the pseudo header sums up to fa00 + 3 + 6 + 14 +
 * a carry = fa1e; with ports 3, offset 5002 and window ffff it is 4a24; inverted b5db. */
static const unsigned char tcp_v6[] = {
	2,    's',  'i',  'm',  0, 2,  2, 's', 'i',  'm', 0,    1, 0x86, 0xdd, /* Ethernet */
	0x60, 0,    0,    0,    0, 20, 6, 64,  0xfd, 0,   0,    0, 0,    0,
	0,    0,    0,    0,    0, 0,  0, 0,   0,    1,   0xfd, 0, 0,    0,
	0,    0,    0,    0,    0, 0,  0, 0,   0,    0,   0,    2, /* IPv6 */
	0,    1,    0,    2,    0, 0,  0, 0,   0,    0,   0,    0, 0x50, 2,
	0xff, 0xff, 0xb5, 0xdb, 0, 0};
#define V6_TCP (14 + 40)

static struct buf *frame_of(struct netdev *from, const unsigned char *data, size_t length)
{
	struct buf *buf = netdev_alloc(from);

	memcpy(buf->data, data, length);
	buf->length = (uint32_t)length;
	return buf;
}

static uint32_t flags_after(const unsigned char *data, size_t length)
{
	struct buf *buf = frame_of(station[0], data, length);
	uint32_t flags;

	assert_int_equal(transmit(station[0], buf, 0), 1);
	buf = receive(1, 0);
	assert_non_null(buf);
	assert_int_equal(buf->length, length);
	assert_memory_equal(buf->data, data, length);
	flags = buf->flags;
	netdev_release_chain(station[1], buf);
	return flags;
}

static void sim_checksum__completes(void **state)
{
	struct sim_device_options card = {.checksum = true};
	struct buf *buf;

	(void)state;
	start(&no_mishap, &card);
	assert_true(station[0]->caps.checksum_v4 && station[0]->caps.checksum_v6);
	buf = frame_of(station[0], udp_v4, sizeof(udp_v4));
	buf->data[V4_UDP + 6] = V4_PSEUDO_HIGH;
	buf->data[V4_UDP + 7] = V4_PSEUDO_LOW;
	buf->flags = BUF_CHECKSUM;
	buf->transmit = (struct buf_transmit){
		.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_UDP};
	assert_int_equal(transmit(station[0], buf, 0), 1);
	buf = receive(1, 0);
	assert_memory_equal(buf->data, udp_v4, sizeof(udp_v4));
	assert_int_equal(buf->flags, BUF_CHECKED);
	netdev_release_chain(station[1], buf);

	buf = frame_of(station[0], tcp_v6, sizeof(tcp_v6));
	buf->data[V6_TCP + 16] = 0xfa;
	buf->data[V6_TCP + 17] = 0x1e;
	buf->flags = BUF_CHECKSUM;
	buf->transmit = (struct buf_transmit){
		.link_bytes = 14, .network_bytes = 40, .protocol = IPPROTO_TCP, .is_v6 = true};
	assert_int_equal(transmit(station[0], buf, 0), 1);
	buf = receive(1, 0);
	assert_memory_equal(buf->data, tcp_v6, sizeof(tcp_v6));
	assert_int_equal(buf->flags, BUF_CHECKED);
	netdev_release_chain(station[1], buf);
	end();
}

static void sim_checksum__refuses_what_does_not_fit(void **state)
{
	static const struct {
		struct buf_transmit transmit;
		uint32_t length;
	} cases[] = {
		{{.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_ICMP}, 47},
		{{.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_TCP}, 47},
		{{.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_UDP}, 44},
		{{.link_bytes = 14, .network_bytes = 40, .protocol = IPPROTO_UDP}, 47},
		{{.link_bytes = 255, .network_bytes = 255, .protocol = IPPROTO_UDP}, 47},
	};
	struct sim_device_options card = {.checksum = true};
	struct buf *buf;

	(void)state;
	start(&no_mishap, &card);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		buf = frame_of(station[0], udp_v4, cases[i].length);
		buf->flags = BUF_CHECKSUM;
		buf->transmit = cases[i].transmit;
		assert_int_equal(transmit(station[0], buf, 0), 1);
		assert_int_equal(station[0]->counters.tx_errors, i + 1);
	}
	assert_receives_nothing(1, 0);
	end();
	/* And of a card that never said it would. */
	start(&no_mishap, &plain);
	buf = frame_of(station[0], udp_v4, sizeof(udp_v4));
	buf->flags = BUF_CHECKSUM;
	buf->transmit = (struct buf_transmit){
		.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_UDP};
	assert_int_equal(transmit(station[0], buf, 0), 1);
	assert_int_equal(station[0]->counters.tx_errors, 1);
	assert_int_equal(flags_after(udp_v4, sizeof(udp_v4)), 0);
	end();
}

static void sim_checksum__verifies(void **state)
{
	struct sim_device_options card = {.checksum = true};
	unsigned char frame[128];

	(void)state;
	start(&no_mishap, &card);
	assert_int_equal(flags_after(udp_v4, sizeof(udp_v4)), BUF_CHECKED);
	assert_int_equal(flags_after(tcp_v6, sizeof(tcp_v6)), BUF_CHECKED);
	/* Any byte from the IP header's source on to the packet's end. */
	for (size_t i = 26; i < sizeof(udp_v4) - 2; i++) {
		memcpy(frame, udp_v4, sizeof(udp_v4));
		frame[i] ^= 1;
		assert_int_equal(flags_after(frame, sizeof(udp_v4)), 0);
	}
	for (size_t i = 22; i < sizeof(tcp_v6); i++) {
		memcpy(frame, tcp_v6, sizeof(tcp_v6));
		frame[i] ^= 1;
		assert_int_equal(flags_after(frame, sizeof(tcp_v6)), 0);
	}
	/* No checksum (RFC 768), and a fragment, whose sum nobody knows. */
	memcpy(frame, udp_v4, sizeof(udp_v4));
	frame[V4_UDP + 6] = frame[V4_UDP + 7] = 0;
	assert_int_equal(flags_after(frame, sizeof(udp_v4)), 0);
	memcpy(frame, udp_v4, sizeof(udp_v4));
	frame[21] = 1;
	frame[25]--;
	assert_int_equal(flags_after(frame, sizeof(udp_v4)), 0);
	for (size_t length = 1; length < sizeof(udp_v4) - 2; length++)
		assert_int_equal(flags_after(udp_v4, length), 0);
	for (size_t length = 1; length < sizeof(tcp_v6); length++)
		assert_int_equal(flags_after(tcp_v6, length), 0);
	end();
}

/* ---- By name ---- */

static struct config config;

static int open_name(unsigned int at, const char *name)
{
	struct netdev_options options = {.heap = heap, .config = &config};

	config.net.frames = 16;
	return netdev_open(&station[at], name, &options);
}

static void sim_open__stations_of_a_name_share_a_link(void **state)
{
	(void)state;
	memset(station, 0, sizeof(station));
	assert_int_equal(open_name(0, "sim:a,delay_ns=1000,seed=3,checksum=1"), 0);
	assert_int_equal(open_name(1, "sim:a"), 0);
	assert_int_equal(open_name(2, "sim"), 0);
	assert_string_equal(station[1]->name, "sim:a:1");
	assert_true(station[0]->caps.checksum_v4);
	assert_false(station[1]->caps.checksum_v4);
	send_mark(0, 1, 5, 0);
	assert_receives_nothing(1, 999);
	assert_receives_nothing(2, 1000);
	assert_receives(1, 1000, 5);
	netdev_close(station[1]);
	station[1] = NULL;
	assert_int_equal(open_name(1, "sim:a,delay_ns=1000,seed=3,checksum=1"), 0);
	send_mark(0, 1, 6, 5000);
	assert_receives(1, 6000, 6);
	for (int i = 0; i < 3; i++)
		netdev_close(station[i]);
	/* With the last of them the link has gone, and a new one may be another. */
	assert_int_equal(open_name(0, "sim:a,loss=1000000"), 0);
	assert_int_equal(open_name(1, "sim:a"), 0);
	send_mark(0, 1, 7, 0);
	assert_receives_nothing(1, UINT64_MAX - 1);
	netdev_close(station[0]);
	netdev_close(station[1]);
}

static void sim_open__refuses_what_it_does_not_understand(void **state)
{
	static const char *const names[] = {

		"sim:a,b=1",      "sim:a,loss=1000001",
		"sim:a,loss=",    "sim:a,loss=-1",
		"sim:a,loss=1x",  "sim:a,,loss=1",
		"sim:a,loss=1,,", "sim:a,checksum=2",
		"sim:a,los=1",    "sim:a,losss=1",
		"sim:a,loss",     "sim:a,seed=18446744073709551616",
		"sim:a,loss=1 ",  "sim:a,queue_frames=1025",
	};
	char longer[400] = "sim:";

	(void)state;
	memset(station, 0, sizeof(station));
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		assert_int_equal(open_name(0, names[i]), -EINVAL);
	memset(longer + 4, 'x', 300);
	assert_int_equal(open_name(0, longer), -EINVAL);
	assert_int_equal(open_name(0, "sim:a,loss=1000000,seed=18446744073709551615"), 0);
	assert_int_equal(open_name(1, "sim:a,loss=1"), -EINVAL);
	config.net.mtu = 20;
	assert_int_equal(open_name(1, "sim:b"), -EINVAL);
	config.net.mtu = 0;
	netdev_close(station[0]);
}

static void *open_in_thread(void *result)
{
	*(int *)result = open_name(1, "sim:a");
	return NULL;
}

static void sim_open__a_link_belongs_to_one_thread(void **state)
{
	pthread_t thread;
	int error = 0;

	(void)state;
	memset(station, 0, sizeof(station));
	assert_int_equal(open_name(0, "sim:a"), 0);
	assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &error), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(error, -EBUSY);
	netdev_close(station[0]);
}

#define sim_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sim_test(sim__delivers_whole_frames_in_order),
		sim_test(sim__joins_chains_and_refuses_what_no_card_sends),
		sim_test(sim__a_hub_of_three),
		sim_test(sim_device_create__has_limits),
		sim_test(sim__takes_its_delay),
		sim_test(sim__serialises_at_its_bandwidth),
		sim_test(sim__drops_the_tail_of_a_full_queue),
		sim_test(sim__a_queue_that_refuses_is_no_loss),
		sim_test(sim__releases_what_has_left_the_queue),
		sim_test(sim__releases_at_once_otherwise),
		sim_test(sim__loses),
		sim_test(sim__duplicates),
		sim_test(sim__reorders),
		sim_test(sim__jitter_keeps_the_order),
		sim_test(sim__corrupts_up_to_three_bits),
		sim_test(sim__truncates),
		sim_test(sim__a_seed_repeats_a_run),
		sim_test(sim__a_filter_changes_the_nth_frame),
		sim_test(sim__bounds_what_is_under_way),
		sim_test(sim__loses_what_the_receiver_has_no_frame_for),
		sim_test(sim_checksum__completes),
		sim_test(sim_checksum__refuses_what_does_not_fit),
		sim_test(sim_checksum__verifies),
		sim_test(sim_open__stations_of_a_name_share_a_link),
		sim_test(sim_open__refuses_what_it_does_not_understand),
		sim_test(sim_open__a_link_belongs_to_one_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
