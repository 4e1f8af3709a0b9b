/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netdev/afxdp_testing.h"

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
	assert_int_equal(afxdp_open(&other, "lo", &link->options), -EINVAL);
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

/* A queue stays taken for a while after the program that had it is detached. */
static void afxdp_open__waits_for_a_queue_that_is_being_let_go(void **state)
{
	struct link *link = *state;
	char byte = 0;
	int pipe_fds[2];
	pid_t child;

	assert_int_equal(pipe(pipe_fds), 0);
	child = link_fork();
	if (child == 0) {
		byte = link_device_open(link, "veth0") == 0 ? 'y' : 'n';
		steer_close(&afxdp_of(link->device)->steer);
		if (write(pipe_fds[1], &byte, 1) == 1)
			poll(NULL, 0, 200);
		_exit(0);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(link_device_open(link, "veth0"), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	netdev_release(link->device, receive(link, 1, 64));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* The child that has the device is gone without a chance to do anything. */
static void afxdp_open__leaves_no_program_when_killed(void **state)
{
	struct link *link = *state;
	char byte = 0;
	int pipe_fds[2];
	pid_t child;

	assert_int_equal(pipe(pipe_fds), 0);
	child = link_fork();
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
	child = link_fork();
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

/* So many frames come before anybody looks; how many are there then. */
static unsigned int receive_burst(struct link *link, unsigned int count)
{
	struct netdev *device = link->device;
	struct buf *frames[NETDEV_BURST_MAX];
	uint8_t frame[128];
	size_t length = frame_ipv4(frame, OUR_IPV4, 0, 64);
	unsigned int received = 0, got;

	for (unsigned int i = 0; i < count; i++)
		assert_true(peer_send(link, frame, length));
	got = link_rx(device, frames, NETDEV_BURST_MAX);
	while (got > 0) {
		received += got;
		while (got > 0)
			netdev_release(device, frames[--got]);
		got = device->ops->rx_burst(device, frames, NETDEV_BURST_MAX, 0);
	}
	return received;
}

static void afxdp_rx__has_more_frames_once_many_came_at_once(void **state)
{
	const unsigned int many = AFXDP_FILL_START / 4 * 3, more = AFXDP_FILL_START / 2 * 3;
	struct link *link = *state;
	const struct afxdp_queue *queue;
	struct buf *frame;

	link->config.net.frames = 4 * AFXDP_FILL_START;
	assert_int_equal(link_device_open(link, "veth0"), 0);
	queue = &afxdp_of(link->device)->queues[0];
	assert_int_equal(queue->wanted, AFXDP_FILL_START);
	assert_int_equal(receive_burst(link, many), many);
	assert_int_equal(queue->wanted, 2 * AFXDP_FILL_START);
	assert_int_equal(receive_burst(link, more), more);
	assert_int_equal(link->device->counters.rx_no_frame, 0);
	/* As many as half of all frames at most: the others are for what is kept, and for sending. */
	assert_int_equal(queue->wanted, 2 * AFXDP_FILL_START);
	/* It lasts for the period, and not beyond the next. */
	assert_int_equal(link->device->ops->rx_burst(link->device, &frame, 1, UINT64_MAX / 4), 0);
	assert_int_equal(queue->wanted, 2 * AFXDP_FILL_START);
	assert_int_equal(link->device->counters.rx_no_frame, 0);
	assert_int_equal(link->device->ops->rx_burst(link->device, &frame, 1, UINT64_MAX / 2), 0);
	assert_int_equal(queue->wanted, AFXDP_FILL_START);
	assert_int_equal(receive_burst(link, many), many);
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

/* ---- The interface's own fate ---- */

/* The other end notices the carrier a while after it is there, and drops what it sends before. */
static struct buf *receive_at_last(struct link *link)
{
	uint8_t frame[128];
	size_t length = frame_ipv4(frame, OUR_IPV4, 1, 64);
	struct buf *buf = NULL;

	for (int attempts = 0; attempts < 3; attempts++) {
		assert_true(peer_send(link, frame, length));
		if (link_rx(link->device, &buf, 1) == 1)
			break;
	}
	assert_non_null(buf);
	return buf;
}

static void afxdp_open__works_once_the_interface_is_up(void **state)
{
	struct link *link = *state;
	struct pollfd entry = {.events = POLLIN};
	bool sleep = false;

	assert_true(link_run("ip link set veth0 down"));
	assert_int_equal(link_device_open(link, "veth0"), 0);
	assert_true(afxdp_of(link->device)->is_down);
	/* The packet socket has an error for whoever asks; it must not wake us for ever. */
	entry.fd = link->device->ops->idle_fd(link->device, &sleep);
	assert_true(sleep);
	assert_int_equal(poll(&entry, 1, 0), 0);
	assert_true(link_run("ip link set veth0 up"));
	netdev_release(link->device, receive_at_last(link));
	link->device->ops->idle_fd(link->device, &sleep);
	assert_false(afxdp_of(link->device)->is_down);
	assert_int_equal(link->device->failure, 0);
}

/* Noticed by who sleeps, or by who looks again and again. */
static void afxdp_rx__fails_when_the_interface_is_removed(void **state)
{
	struct link *link = *state;
	const struct netdev_ops *ops;
	struct eth_address group = {{1, 0, 0x5e, 0, 0, 0xfb}};
	struct buf *buf, *kept;
	bool sleep;

	for (int i = 0; i < 2; i++) {
		struct pollfd entry = {.events = POLLIN};
		struct netdev *device = link->device;

		ops = device->ops;
		kept = receive(link, 1, 64);
		assert_true(link_run("ip link del veth0"));
		transmit(link, make_head(link, 0));
		if (i == 0)
			ops->idle_fd(device, &sleep);
		else
			assert_int_equal(ops->rx_burst(device, &buf, 1, UINT64_MAX / 2), 0);
		if (i == 0)
			assert_false(sleep);
		assert_int_equal(device->failure, -ENETDOWN);
		assert_int_equal(ops->rx_burst(device, &buf, 1, UINT64_MAX - 1), 0);
		entry.fd = ops->idle_fd(device, &sleep);
		assert_true(sleep);
		assert_int_equal(poll(&entry, 1, 0), 0);
		assert_int_equal(ops->set_group(device, group, true), 0);
		assert_int_equal(ops->set_addresses(device, NULL, 0), 0);
		transmit(link, make_head(link, 0));
		assert_true(device->counters.tx_errors > 0);
		/* All frames are free again, but the one that is kept. */
		assert_int_equal(heap_frames_free(device->frames), LINK_FRAMES - 1);
		netdev_release(device, kept);
		link_remove(link);
		assert_non_null(*state = link = link_make(1));
		assert_int_equal(link_device_open(link, "veth0"), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, device_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(afxdp_open__refuses_what_it_cannot_serve),
		PAIR_TEST(afxdp_open__refuses_zero_copy_that_the_driver_lacks),
		TEST(afxdp_open__says_what_it_can_do),
		TEST(afxdp_close__gives_all_frames_back),
		TEST(afxdp_close__sends_what_it_has_taken),
		TEST(afxdp_open__works_right_after_a_close),
		PAIR_TEST(afxdp_open__waits_for_a_queue_that_is_being_let_go),
		PAIR_TEST(afxdp_open__leaves_no_program_when_killed),
		TEST(afxdp_forget__leaves_the_device_to_the_parent),
		TEST(afxdp_rx__gives_the_frame_that_the_kernel_wrote_to),
		TEST(afxdp_rx__keeps_frames_for_sending),
		PAIR_TEST(afxdp_rx__has_more_frames_once_many_came_at_once),
		TEST(afxdp_idle_fd__becomes_readable_when_a_frame_comes),
		TEST(afxdp_rx__serves_several_queues),
		PAIR_TEST(afxdp_open__works_once_the_interface_is_up),
		TEST(afxdp_rx__fails_when_the_interface_is_removed),
	};
	const char *why = link_enter();

	if (!why)
		why = afxdp_missing();
	if (why)
		return link_skip(why);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
