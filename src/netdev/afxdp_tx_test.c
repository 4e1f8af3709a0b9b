/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "netdev/afxdp_testing.h"

struct told {
	struct buf_done done;
	unsigned int times;
};

static void count_done(struct buf_done *self)
{
	((struct told *)self)->times++;
}

static void tell(struct told *told, struct buf *buf)
{
	*told = (struct told){.done.done = count_done};
	buf->flags |= BUF_DONE;
	buf->transmit.done = &told->done;
}

/* ---- Sending ---- */

static void afxdp_tx__sends_a_head(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *head = make_head(link, 500);
	struct told told;

	memset(head->data + HEADERS, 'h', 500);
	head->length += 500;
	tell(&told, head);
	transmit(link, head);
	peer_gets(link, head->data + HEADERS, 500);
	assert_true(link_settles(device, held(link)));
	assert_int_equal(told.times, 1);
	assert_int_equal(device->counters.tx_frames, 1);
	assert_int_equal(device->counters.tx_bytes, HEADERS + 500);
	assert_int_equal(device->counters.tx_copied_bytes, 0);
}

static void afxdp_tx__copies_what_the_kernel_does_not_see(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	uint8_t *payload = heap_alloc(link->heap, 1400);
	struct buf *head = make_head(link, 1400);
	struct told told;

	memset(payload, 'p', 700);
	memset(payload + 700, 'q', 700);
	head->next = netdev_reference(device, payload, 700);
	head->next->next = netdev_reference(device, payload + 700, 700);
	tell(&told, head->next->next);
	transmit(link, head);
	/* Its memory is free at once. */
	assert_int_equal(told.times, 1);
	assert_false(heap_is_held(link->heap, payload));
	assert_int_equal(heap_frames_free(device->shells), LINK_FRAMES);
	assert_int_equal(device->counters.tx_copied_bytes, 1400);
	peer_gets(link, payload, 1400);
	assert_true(link_settles(device, held(link)));
	heap_free(link->heap, payload);
}

/* A head that somebody else holds too, or that has no room, stays as it is. */
static void afxdp_tx__copies_beside_what_others_use(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	uint8_t *payload = heap_alloc(link->heap, 1000);

	memset(payload, 'p', 1000);
	for (int i = 0; i < 2; i++) {
		struct buf *head = make_head(link, 1000);

		if (i == 0)
			heap_hold(link->heap, head);
		else
			memmove((unsigned char *)head + 1500, head->data, HEADERS);
		head->data = i == 0 ? head->data : (unsigned char *)head + 1500;
		memset(head->data + HEADERS, 'x', 100);
		head->next = netdev_reference(device, payload, 1000);
		transmit(link, head);
		peer_gets(link, payload, 1000);
		assert_int_equal(device->counters.tx_copied_bytes,
				 (uint32_t)(i + 1) * (HEADERS + 1000));
		assert_int_equal(head->data[HEADERS], 'x');
		if (i == 0)
			heap_release(link->heap, head);
		assert_true(link_settles(device, held(link)));
	}
	heap_free(link->heap, payload);
}

/* The application sends what it has received, to several, with headers of ours in front. */
static void send_received_payload(struct link *link, uint64_t copied)
{
	struct netdev *device = link->device;
	struct buf *received = receive(link, 's', 900);
	unsigned char *payload = received->data + HEADERS;
	uint64_t before = device->counters.tx_copied_bytes;
	struct buf *heads[4];
	struct told told[4];

	frame_give(link->heap, received);
	for (int i = 0; i < 4; i++) {
		heads[i] = make_head(link, 900);
		heads[i]->next = netdev_reference(device, payload, 900);
		tell(&told[i], heads[i]->next);
	}
	assert_int_equal(device->ops->tx_burst(device, heads, 4, link_now_ns()), 4);
	for (int i = 0; i < 4; i++)
		peer_gets(link, payload, 900);
	assert_true(link_settles(device, held(link) + 1));
	for (int i = 0; i < 4; i++)
		assert_int_equal(told[i].times, 1);
	assert_int_equal(device->counters.tx_copied_bytes - before, copied);
	assert_false(heap_is_held(link->heap, received));
	assert_int_equal(buf_free(link->heap, received), 0);
	assert_true(link_settles(device, held(link)));
}

static void afxdp_tx__scatters_what_lies_in_the_umem(void **state)
{
	struct link *link = *state;
	struct afxdp *afxdp = afxdp_of(link->device);

	/* As in zero-copy, if the kernel is new enough. */
	afxdp->scatter = afxdp->can_scatter;
	send_received_payload(link, afxdp->can_scatter ? 0 : 4 * 900);
	afxdp->scatter = false;
	send_received_payload(link, 4 * 900);
}

/* Two parts of one chunk are sent, the second is done first: what a kernel may say. */
static void afxdp_tx__lets_go_of_what_was_sent_from_that_address(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct afxdp_queue *queue = &afxdp_of(device)->queues[0];
	struct buf *received = receive(link, 'z', 900);
	uint32_t producer = 0;
	uint32_t consumer = 0;
	uint64_t addresses[2];
	struct xsk_ring_cons real = queue->completion;
	struct xsk_ring_cons said = {.mask = 1,
				     .size = 2,
				     .producer = &producer,
				     .consumer = &consumer,
				     .ring = addresses};
	struct told told[2];

	for (uint32_t i = 0; i < 2; i++) {
		struct buf *shell = netdev_reference(device, received->data + 100 * i, 500);

		addresses[1 - i] = (uint64_t)(shell->data - afxdp_of(device)->memory);
		tell(&told[i], shell);
		queue->completion = said;
		transmit(link, shell);
	}
	for (uint32_t i = 0; i < 2; i++) {
		producer = i + 1;
		device->ops->tx_reclaim(device);
		assert_int_equal(told[1].times, 1);
		assert_int_equal(told[0].times, i);
	}
	assert_int_equal(heap_frames_free(device->shells), LINK_FRAMES);
	/* What the kernel has really said names nothing any more, and does no harm. */
	queue->completion = real;
	afxdp_of(device)->sent_count++;
	device->ops->tx_reclaim(device);
	afxdp_of(device)->sent_count--;
	netdev_release(device, received);
	assert_true(link_settles(device, held(link)));
}

static void afxdp_tx__sends_a_shell_with_headers_in_front(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *received = receive(link, 't', 900);
	unsigned char *start = received->data - 30;
	struct buf *head = make_head(link, 930);
	struct buf *shell;

	frame_give(link->heap, received);
	memcpy(start, head->data, HEADERS);
	netdev_release(device, head);
	shell = netdev_reference(device, start, HEADERS + 930);
	transmit(link, shell);
	peer_gets(link, start + HEADERS, 930);
	assert_true(link_settles(device, held(link) + 1));
	assert_int_equal(device->counters.tx_copied_bytes, 0);
	assert_int_equal(heap_frames_free(device->shells), LINK_FRAMES);
	assert_int_equal(buf_free(link->heap, received), 0);
	assert_true(link_settles(device, held(link)));
}

static void afxdp_tx__sends_a_long_chain(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *received = receive(link, 'u', 1000);
	struct buf *head = make_head(link, 40 * 20);
	struct buf **end = &head->next;

	afxdp_of(device)->scatter = afxdp_of(device)->can_scatter;
	for (unsigned int i = 0; i < 40; i++) {
		*end = netdev_reference(device, received->data + HEADERS + 20 * i, 20);
		end = &(*end)->next;
	}
	transmit(link, head);
	peer_gets(link, received->data + HEADERS, 40 * 20);
	netdev_release(device, received);
	assert_true(link_settles(device, held(link)));
}

static void afxdp_tx__drops_what_can_never_be_sent(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *frames[2] = {make_head(link, 0), make_head(link, 0)};
	uint8_t *payload = heap_alloc(link->heap, 2000);
	struct told told;

	frames[0]->next = netdev_reference(device, payload, 1519 - HEADERS);
	tell(&told, frames[0]->next);
	frames[1]->length = 13;
	assert_int_equal(device->ops->tx_burst(device, frames, 2, 0), 2);
	assert_int_equal(device->counters.tx_errors, 2);
	assert_int_equal(device->counters.tx_frames, 0);
	assert_int_equal(told.times, 1);
	assert_true(link_settles(device, held(link)));
	heap_free(link->heap, payload);
}

/* While the interface is down the ring fills; afterwards all of it is sent. */
static void afxdp_tx__waits_for_the_interface_to_come_up(void **state)
{
	struct link *link = *state;
	struct netdev *device;
	struct buf *received;
	struct buf *shell;
	unsigned int taken = 0;

	link->config.net.frames = 2 * AFXDP_SENT_MAX;
	assert_int_equal(link_device_open(link, "veth0"), 0);
	device = link->device;
	received = receive(link, 'v', 100);
	store_be32(received->data + ETH_HEADER_BYTES + 16, 0x0a000063);
	assert_true(link_run("ip link set veth0 down"));
	for (;; taken++) {
		shell = netdev_reference(device, received->data, received->length);
		if (device->ops->tx_burst(device, &shell, 1, link_now_ns()) == 0)
			break;
	}
	netdev_release(device, shell);
	assert_int_equal(taken, AFXDP_SENT_MAX);
	assert_int_equal(device->counters.tx_full, 1);
	assert_int_equal(heap_frames_free(device->shells), AFXDP_SENT_MAX);
	assert_true(link_run("ip link set veth0 up"));
	for (unsigned int i = 0; i < taken; i++) {
		/* Here it is sent, a part at a time. */
		assert_int_equal(device->ops->rx_burst(device, &shell, 1, link_now_ns()), 0);
		peer_gets(link, received->data + HEADERS, 100);
	}
	for (uint64_t end = link_now_ns() + LINK_WAIT_NS; link_now_ns() < end;) {
		device->ops->tx_reclaim(device);
		if (heap_frames_free(device->shells) == 2 * AFXDP_SENT_MAX)
			break;
	}
	assert_int_equal(heap_frames_free(device->shells), 2 * AFXDP_SENT_MAX);
	netdev_release(device, received);
}

static void afxdp_tx__is_full_while_no_frame_is_free(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *heads[LINK_FRAMES];
	unsigned int count = 0;
	uint8_t *payload = heap_alloc(link->heap, 100);
	struct buf *chain;

	/* The payload's shell is the head, and no frame is left to copy it to. */
	while ((heads[count] = netdev_alloc(device)) != NULL)
		count++;
	chain = netdev_reference(device, payload, 100);
	assert_int_equal(device->ops->tx_burst(device, &chain, 1, 0), 0);
	assert_int_equal(device->counters.tx_full, 1);
	assert_true(heap_is_held(link->heap, payload));
	netdev_release(device, chain);
	while (count > 0)
		netdev_release(device, heads[--count]);
	heap_free(link->heap, payload);
}

/* ---- Many ---- */

/* All that comes in goes back out, with a part of it by reference, and nothing is lost of ours. */
static void afxdp__conserves_frames(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *frames[NETDEV_BURST_MAX];
	uint8_t frame[2048];
	size_t length = frame_ipv4(frame, OUR_IPV4, 'w', 1000);
	unsigned int rounds = 100000 / 16;

	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int count = 0;

		/* In place and scattered, or copied into the head, by turns. */
		afxdp_of(device)->scatter = afxdp_of(device)->can_scatter && i % 2 == 0;
		for (unsigned int k = 0; k < 16; k++)
			assert_true(peer_send(link, frame, length));
		while (count < 16) {
			unsigned int more = link_rx(device, frames + count, 16 - count);

			assert_true(more > 0);
			count += more;
		}
		for (unsigned int k = 0; k < 16; k += 2) {
			struct buf *received = frames[k];

			frames[k] = make_head(link, 1000);
			frames[k]->next = netdev_reference(device, received->data + HEADERS, 1000);
			netdev_release(device, received);
		}
		for (unsigned int sent = 0; sent < 16;)
			sent += device->ops->tx_burst(device, frames + sent, 16 - sent,
						      link_now_ns());
		for (unsigned int k = 0; k < 16; k++)
			assert_int_equal(link_receive(link->peer, frame, sizeof(frame)), length);
		frame_ipv4(frame, OUR_IPV4, 'w', 1000);
	}
	assert_int_equal(device->counters.rx_frames, rounds * 16);
	assert_int_equal(device->counters.tx_frames, rounds * 16);
	assert_true(link_settles(device, held(link)));
	assert_int_equal(heap_frames_free(device->shells), LINK_FRAMES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, device_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(afxdp_tx__sends_a_head),
		TEST(afxdp_tx__copies_what_the_kernel_does_not_see),
		TEST(afxdp_tx__copies_beside_what_others_use),
		TEST(afxdp_tx__scatters_what_lies_in_the_umem),
		TEST(afxdp_tx__lets_go_of_what_was_sent_from_that_address),
		TEST(afxdp_tx__sends_a_shell_with_headers_in_front),
		TEST(afxdp_tx__sends_a_long_chain),
		TEST(afxdp_tx__drops_what_can_never_be_sent),
		PAIR_TEST(afxdp_tx__waits_for_the_interface_to_come_up),
		TEST(afxdp_tx__is_full_while_no_frame_is_free),
		TEST(afxdp__conserves_frames),
	};
	const char *why = link_enter();

	if (!why)
		why = afxdp_missing();
	if (why)
		return link_skip(why);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
