/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netdev/afxdp.h"
#include "netdev/afxdp_testing.h"

#define OUR_IPV4 0x0a000002
#define HEADERS (ETH_HEADER_BYTES + IPV4_BYTES)

static int pair_setup(void **state)
{
	*state = link_make(1);
	return *state ? 0 : -1;
}

static int link_setup(void **state)
{
	if (pair_setup(state))
		return -1;
	return link_device_open(*state, "veth0");
}

static int link_teardown(void **state)
{
	link_remove(*state);
	return 0;
}

/* Frames that the kernel has to receive into. */
static uint32_t held(const struct link *link)
{
	const struct afxdp *afxdp = afxdp_of(link->device);
	uint32_t count = 0;

	for (uint32_t i = 0; i < afxdp->queue_count; i++)
		count += afxdp->queues[i].held;
	return count;
}

/* One frame, sent by the other end. */
static struct buf *receive(struct link *link, uint8_t fill, size_t payload_bytes)
{
	uint8_t frame[1514];
	size_t length = frame_ipv4(frame, OUR_IPV4, fill, payload_bytes);
	struct buf *buf = NULL;

	assert_true(peer_send(link, frame, length));
	assert_int_equal(link_rx(link->device, &buf, 1), 1);
	assert_int_equal(buf->length, length);
	assert_memory_equal(buf->data, frame, length);
	return buf;
}

/* A frame to be sent, of headers alone; @payload_bytes are said to follow. */
static struct buf *make_head(struct link *link, size_t payload_bytes)
{
	uint8_t frame[1514];
	struct buf *head = netdev_alloc(link->device);

	assert_non_null(head);
	frame_ipv4(frame, 0x0a000063, 0, payload_bytes);
	head->data -= HEADERS;
	head->length = HEADERS;
	memcpy(head->data, frame, HEADERS);
	return head;
}

static void transmit(struct link *link, struct buf *frame)
{
	assert_int_equal(link->device->ops->tx_burst(link->device, &frame, 1, link_now_ns()), 1);
}

/* The other end gets headers and @length bytes of payload. */
static void peer_gets(struct link *link, const void *payload, size_t length)
{
	uint8_t frame[2048];

	do {
		ssize_t received = link_receive(link->peer, frame, sizeof(frame));

		assert_true(received >= ETH_HEADER_BYTES);
		/* Not what the kernel has to say. */
		if (load_be16(frame + 12) != ETH_TYPE_IPV4)
			continue;
		assert_int_equal(received, HEADERS + length);
		assert_int_equal(load_be32(frame + ETH_HEADER_BYTES + 16), 0x0a000063);
		assert_memory_equal(frame + HEADERS, payload, length);
		return;
	} while (true);
}

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

/* ---- Opening and closing ---- */

static void afxdp_open__refuses_what_it_cannot_serve(void **state)
{
	struct link *link = *state;
	struct netdev *other = NULL;

	assert_int_equal(afxdp_open(&other, "", &link->options), -EINVAL);
	assert_int_equal(afxdp_open(&other, "veth0,queue=-1", &link->options), -EINVAL);
	assert_int_equal(afxdp_open(&other, "veth0,queues=0", &link->options), -EINVAL);
	assert_int_equal(afxdp_open(&other, "veth0,mode=fast", &link->options), -EINVAL);
	assert_int_equal(afxdp_open(&other, "nowhere", &link->options), -ENODEV);
	assert_int_equal(afxdp_open(&other, "lo", &link->options), -ENETDOWN);
	assert_int_equal(afxdp_open(&other, "veth0,queue=7", &link->options), -EINVAL);
	assert_true(link_run("ip link set veth0 mtu 1711"));
	assert_int_equal(afxdp_open(&other, "veth0", &link->options), -EMSGSIZE);
	assert_true(link_run("ip link set veth0 mtu 1710"));
	assert_int_equal(afxdp_open(&link->device, "veth0", &link->options), 0);
	/* Whose program is there already. */
	assert_int_equal(afxdp_open(&other, "veth0", &link->options), -EBUSY);
	assert_null(other);
}

static void afxdp_open__refuses_zero_copy_that_the_driver_lacks(void **state)
{
	struct link *link = *state;

	assert_int_equal(afxdp_open(&link->device, "veth0,mode=zero-copy", &link->options),
			 -EOPNOTSUPP);
	assert_null(link->device);
	assert_false(link_run("ip link show dev veth0 | grep -q xdp"));
}

static void afxdp_open__says_what_it_can_do(void **state)
{
	struct link *link = *state;
	const struct netdev_caps *caps = &link->device->caps;

	assert_memory_equal(caps->mac.bytes, ((uint8_t[]){US}), 6);
	assert_int_equal(caps->mtu, 1500);
	assert_true(caps->segments_max >= 8);
	assert_true(caps->shares_interface);
	assert_false(caps->checksum_v4);
	assert_int_equal(link->device->data_offset, 320);
	assert_true(link_run("ip link show dev veth0 | grep -q xdp"));
}

static void afxdp_close__gives_all_frames_back(void **state)
{
	struct link *link = *state;
	struct buf *kept = receive(link, 7, 1000);

	/* What the application has lives on; the rest is free for others. */
	frame_give(link->heap, kept);
	netdev_close(link->device);
	link->device = NULL;
	assert_int_equal(kept->data[HEADERS + 999], 7);
	assert_false(heap_is_empty(link->heap));
	assert_int_equal(buf_free(link->heap, kept), 0);
	assert_true(heap_is_empty(link->heap));
	assert_false(link_run("ip link show dev veth0 | grep -q xdp"));
}

static void afxdp_close__sends_what_it_has_taken(void **state)
{
	struct link *link = *state;

	transmit(link, make_head(link, 0));
	netdev_close(link->device);
	link->device = NULL;
	peer_gets(link, "", 0);
}

static void afxdp_open__works_right_after_a_close(void **state)
{
	struct link *link = *state;

	for (int i = 0; i < 3; i++) {
		netdev_release(link->device, receive(link, (uint8_t)i, 64));
		netdev_close(link->device);
		assert_int_equal(link_device_open(link, "veth0,mode=copy"), 0);
	}
}

/* The child that has the device is gone without a chance to do anything. */
static void afxdp_open__leaves_no_program_when_killed(void **state)
{
	struct link *link = *state;
	char byte = 0;
	int pipe_fds[2];
	pid_t child;

	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (child == 0) {
		byte = link_device_open(link, "veth0") == 0 ? 'y' : 'n';
		if (write(pipe_fds[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_true(link_run("ip link show dev veth0 | grep -q xdp"));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(link_run("ip link show dev veth0 | grep -q xdp"));
	assert_int_equal(link_device_open(link, "veth0"), 0);
	netdev_release(link->device, receive(link, 1, 64));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void afxdp_forget__leaves_the_device_to_the_parent(void **state)
{
	struct link *link = *state;
	int pipe_fds[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (child == 0) {
		link->device->ops->forget(link->device);
		if (write(pipe_fds[1], "y", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	netdev_release(link->device, receive(link, 1, 64));
	/* The queue is free again although the child lives, and so has nothing of it. */
	netdev_close(link->device);
	link->device = NULL;
	assert_false(link_run("ip link show dev veth0 | grep -q xdp"));
	assert_int_equal(link_device_open(link, "veth0"), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* ---- Receiving ---- */

static void afxdp_rx__gives_the_frame_that_the_kernel_wrote_to(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *buf = receive(link, 'r', 1466);

	assert_ptr_equal(buf->data, (unsigned char *)buf + 320);
	assert_ptr_equal(heap_object(link->heap, buf->data), buf);
	assert_int_equal((uintptr_t)buf % 2048, 0);
	assert_null(buf->next);
	assert_null(buf->object);
	assert_int_equal(buf->flags, 0);
	assert_int_equal(device->counters.rx_frames, 1);
	assert_int_equal(device->counters.rx_bytes, 1500);
	assert_true(heap_is_held(link->heap, buf));
	netdev_release(device, buf);
	assert_true(link_settles(device, held(link)));
}

static void afxdp_rx__keeps_frames_for_sending(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *kept[LINK_FRAMES];
	struct buf *head;
	uint8_t frame[128];
	size_t length = frame_ipv4(frame, OUR_IPV4, 0, 64);
	unsigned int count = 0;

	/* All that can be received is, and kept. */
	while (count < LINK_FRAMES) {
		assert_true(peer_send(link, frame, length));
		if (device->ops->rx_burst(device, &kept[count], 1, 0) == 1)
			count++;
		else if (held(link) == 0)
			break;
	}
	assert_true(count < LINK_FRAMES);
	assert_true(heap_frames_free(device->frames) > 0);
	head = make_head(link, 0);
	transmit(link, head);
	peer_gets(link, "", 0);
	/* And goes on when they come back. */
	while (count > 0)
		netdev_release(device, kept[--count]);
	assert_int_equal(device->ops->rx_burst(device, kept, 1, 0), 0);
	netdev_release(device, receive(link, 1, 64));
	device->ops->rx_burst(device, kept, 1, UINT64_MAX - 1);
	assert_true(device->counters.rx_no_frame > 0);
}

static void afxdp_idle_fd__becomes_readable_when_a_frame_comes(void **state)
{
	static const uint8_t everybody[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct link *link = *state;
	struct netdev *device = link->device;
	struct pollfd entry = {.events = POLLIN};
	uint8_t frame[128];
	size_t length = frame_ipv4(frame, OUR_IPV4, 0, 64);
	struct buf *buf;
	bool sleep = false;

	entry.fd = device->ops->idle_fd(device, &sleep);
	assert_true(sleep);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(poll(&entry, 1, 0), 0);
		assert_true(peer_send(link, frame, length));
		assert_int_equal(poll(&entry, 1, 3000), 1);
		assert_int_equal(link_rx(device, &buf, 1), 1);
		netdev_release(device, buf);
		/* The second time by the other way in. */
		memcpy(frame, everybody, sizeof(everybody));
		store_be32(frame + ETH_HEADER_BYTES + 16, 0x0a0000ff);
	}
	assert_int_equal(poll(&entry, 1, 0), 0);
}

static void afxdp_rx__serves_several_queues(void **state)
{
	struct link *link = *state;
	struct netdev *device;
	unsigned int seen[2] = {0};
	uint8_t frame[128];
	size_t length = frame_ipv4(frame, OUR_IPV4, 0, 64);
	struct buf *buf;

	link_remove(link);
	*state = link = link_make(2);
	assert_non_null(link);
	assert_int_equal(link_device_open(link, "veth0,queues=2"), 0);
	device = link->device;
	/* The source port makes the kernel at the other end choose its queue. */
	for (uint16_t port = 1; port <= 64; port++) {
		uint32_t before = afxdp_of(device)->queues[0].held;

		store_be16(frame + HEADERS, port);
		assert_true(peer_send(link, frame, length));
		assert_int_equal(link_rx(device, &buf, 1), 1);
		assert_int_equal(load_be16(buf->data + HEADERS), port);
		seen[afxdp_of(device)->queues[0].held == before]++;
		netdev_release(device, buf);
	}
	assert_true(seen[0] > 0);
	assert_true(seen[1] > 0);
	assert_true(link_settles(device, held(link)));
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

/* The application sends what it has received, with headers of ours in front. */
static void afxdp_tx__sends_received_payload_from_where_it_is(void **state)
{
	struct link *link = *state;
	struct netdev *device = link->device;
	struct buf *received = receive(link, 's', 900);
	unsigned char *payload = received->data + HEADERS;
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
	assert_int_equal(device->counters.tx_copied_bytes, afxdp_of(device)->scatter ? 0 : 4 * 900);
	assert_false(heap_is_held(link->heap, received));
	assert_int_equal(buf_free(link->heap, received), 0);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(afxdp_open__refuses_what_it_cannot_serve),
		PAIR_TEST(afxdp_open__refuses_zero_copy_that_the_driver_lacks),
		TEST(afxdp_open__says_what_it_can_do),
		TEST(afxdp_close__gives_all_frames_back),
		TEST(afxdp_close__sends_what_it_has_taken),
		TEST(afxdp_open__works_right_after_a_close),
		PAIR_TEST(afxdp_open__leaves_no_program_when_killed),
		TEST(afxdp_forget__leaves_the_device_to_the_parent),
		TEST(afxdp_rx__gives_the_frame_that_the_kernel_wrote_to),
		TEST(afxdp_rx__keeps_frames_for_sending),
		TEST(afxdp_idle_fd__becomes_readable_when_a_frame_comes),
		TEST(afxdp_rx__serves_several_queues),
		TEST(afxdp_tx__sends_a_head),
		TEST(afxdp_tx__copies_what_the_kernel_does_not_see),
		TEST(afxdp_tx__copies_beside_what_others_use),
		TEST(afxdp_tx__sends_received_payload_from_where_it_is),
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
