/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netdev/kinds.h"
#include "netdev/link_testing.h"

#define PAYLOAD_AT ETH_HEADER_BYTES

struct fixture {
	struct heap *heap;
	struct config config;
	struct netdev_options options;
	struct netdev *device;
	int kernel; /* packet socket at the kernel's end */
};

static int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	*state = fixture;
	config_defaults(&fixture->config);
	fixture->config.net.frames = LINK_FRAMES;
	assert_int_equal(
		heap_create(&fixture->heap, &(struct heap_options){.bytes_max = LINK_HEAP_BYTES}),
		0);
	fixture->options = (struct netdev_options){
		.heap = fixture->heap, .config = &fixture->config, .seed = 1};
	assert_int_equal(tap_open(&fixture->device, "tap0", &fixture->options), 0);
	fixture->kernel = link_packet_socket("tap0");
	assert_true(fixture->kernel >= 0);
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->kernel);
	netdev_close(fixture->device);
	heap_destroy(fixture->heap);
	free(fixture);
	return 0;
}

static size_t experiment(uint8_t *frame, size_t payload_bytes, uint8_t fill)
{
	static const uint8_t header[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

	memcpy(frame, header, sizeof(header));
	memset(frame + PAYLOAD_AT, fill, payload_bytes);
	return PAYLOAD_AT + payload_bytes;
}

/* ---- Opening ---- */

static void tap_open__makes_an_interface_that_is_up(void **state)
{
	struct fixture *fixture = *state;
	struct netdev_caps *caps = &fixture->device->caps;

	assert_int_equal(system("ip -o link show dev tap0 | grep -q '[<,]UP[,>]'"), 0);
	assert_int_equal(caps->mtu, 1500);
	assert_true(caps->segments_max >= 8);
	assert_false(caps->shares_interface);
	assert_int_equal(caps->interface_index, if_nametoindex("tap0"));
	/* Not a group's, locally administered. */
	assert_int_equal(caps->mac.bytes[0] & 3, 2);
}

static void tap_open__takes_the_station_address_of_the_options(void **state)
{
	struct fixture *fixture = *state;
	struct netdev_options options = fixture->options;
	struct netdev *other;

	options.mac = (struct eth_address){{2, 1, 2, 3, 4, 5}};
	assert_int_equal(tap_open(&other, "tap1", &options), 0);
	assert_memory_equal(other->caps.mac.bytes, ((uint8_t[]){2, 1, 2, 3, 4, 5}), 6);
	netdev_close(other);
}

static void tap_open__takes_the_mtu_of_a_lasting_interface(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *other;

	assert_int_equal(system("ip tuntap add dev tap2 mode tap && ip link set tap2 mtu 9000"), 0);
	assert_int_equal(tap_open(&other, "tap2", &fixture->options), 0);
	assert_int_equal(other->caps.mtu, 9000);
	assert_true(heap_frames_bytes(other->frames) >= 9000 + 18 + NETDEV_HEAD_ROOM);
	netdev_close(other);
	assert_int_equal(system("ip link show dev tap2 >/dev/null && ip link del tap2"), 0);
}

static void tap_open__refuses_what_it_cannot_serve(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *other = NULL;

	assert_int_equal(tap_open(&other, "", &fixture->options), -EINVAL);
	assert_int_equal(tap_open(&other, "a-name-that-is-too-long", &fixture->options), -EINVAL);
	assert_int_equal(tap_open(&other, "tap%d", &fixture->options), -EINVAL);
	assert_int_equal(tap_open(&other, "lo", &fixture->options), -EINVAL);
	assert_int_equal(tap_open(&other, "tap0", &fixture->options), -EBUSY);
	assert_int_equal(system("ip tuntap add dev tap3 mode tap && ip link set tap3 mtu 40000"),
			 0);
	assert_int_equal(tap_open(&other, "tap3", &fixture->options), -EMSGSIZE);
	assert_int_equal(system("ip link del tap3"), 0);
	assert_null(other);
}

static void tap_close__lets_it_be_opened_again(void **state)
{
	struct fixture *fixture = *state;

	netdev_close(fixture->device);
	assert_int_not_equal(system("ip link show dev tap0 >/dev/null 2>&1"), 0);
	assert_int_equal(tap_open(&fixture->device, "tap0", &fixture->options), 0);
}

/* ---- Receiving ---- */

static void tap_rx__gives_frames_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct buf *frames[NETDEV_BURST_MAX];
	uint8_t frame[1514];

	for (uint8_t i = 0; i < 5; i++) {
		size_t length = experiment(frame, 100u * i + 46, i);

		assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	}
	assert_int_equal(device->ops->rx_burst(device, frames, 3, 0), 3);
	assert_int_equal(device->ops->rx_burst(device, frames + 3, 29, 0), 2);
	assert_int_equal(device->ops->rx_burst(device, frames + 5, 27, 0), 0);
	for (uint8_t i = 0; i < 5; i++) {
		assert_int_equal(frames[i]->length, 100u * i + 60);
		assert_int_equal(frames[i]->data[frames[i]->length - 1], i);
		assert_int_equal(frames[i]->flags, 0);
		assert_null(frames[i]->next);
		assert_true(frames[i]->data >=
			    (unsigned char *)frames[i] + device->room_offset + NETDEV_HEAD_ROOM);
		netdev_release(device, frames[i]);
	}
	assert_int_equal(device->counters.rx_frames, 5);
	assert_int_equal(device->counters.rx_bytes, 60 * 5 + 1000);
	assert_true(link_settles(device, 0));
}

static void tap_rx__leaves_frames_in_the_kernel_while_none_is_free(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct buf *taken[LINK_FRAMES];
	struct buf *received;
	uint8_t frame[1514];
	size_t length = experiment(frame, 46, 7);

	for (unsigned int i = 0; i < LINK_FRAMES; i++)
		taken[i] = netdev_alloc(device);
	assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	assert_int_equal(device->ops->rx_burst(device, &received, 1, 0), 0);
	netdev_release(device, taken[0]);
	assert_int_equal(device->ops->rx_burst(device, &received, 1, 0), 1);
	assert_int_equal(received->data[PAYLOAD_AT], 7);
	taken[0] = received;
	for (unsigned int i = 0; i < LINK_FRAMES; i++)
		netdev_release(device, taken[i]);
	assert_true(link_settles(device, 0));
}

static void tap_rx__drops_frames_that_were_cut_off(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct buf *received;
	uint8_t frame[9014];
	size_t length = experiment(frame, 9000, 1);

	/* The interface's MTU grows behind our back. */
	assert_int_equal(system("ip link set tap0 mtu 9000"), 0);
	assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	length = experiment(frame, 46, 2);
	assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	while (device->ops->rx_burst(device, &received, 1, 0) == 0)
		;
	assert_int_equal(received->data[PAYLOAD_AT], 2);
	assert_int_equal(device->counters.rx_errors, 1);
	netdev_release(device, received);
	assert_true(link_settles(device, 0));
}

static void tap_idle_fd__becomes_readable_when_a_frame_comes(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct buf *received;
	uint8_t frame[1514];
	size_t length = experiment(frame, 46, 7);
	bool sleep = false;
	struct pollfd entry = {.events = POLLIN};

	entry.fd = device->ops->idle_fd(device, &sleep);
	assert_true(sleep);
	assert_int_equal(poll(&entry, 1, 0), 0);
	assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	assert_int_equal(poll(&entry, 1, 3000), 1);
	assert_int_equal(device->ops->rx_burst(device, &received, 1, 0), 1);
	assert_int_equal(poll(&entry, 1, 0), 0);
	netdev_release(device, received);
}

/* ---- Sending ---- */

static void tap_tx__sends_a_chain_as_one_frame(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	uint8_t *payload = heap_alloc(fixture->heap, 1000);
	struct buf *head = netdev_alloc(device);
	uint8_t frame[2000];

	memset(payload, 'a', 500);
	memset(payload + 500, 'b', 500);
	head->length = (uint32_t)experiment(head->data, 0, 0);
	head->next = netdev_reference(device, payload, 500);
	head->next->next = netdev_reference(device, payload + 500, 500);
	assert_int_equal(device->ops->tx_burst(device, &head, 1, 0), 1);
	assert_int_equal(link_receive(fixture->kernel, frame, sizeof(frame)), 1014);
	assert_memory_equal(frame, ((uint8_t[]){2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}),
			    14);
	assert_memory_equal(frame + 14, payload, 1000);
	assert_int_equal(device->counters.tx_frames, 1);
	assert_int_equal(device->counters.tx_bytes, 1014);
	assert_false(heap_is_held(fixture->heap, payload));
	assert_int_equal(heap_frames_free(device->shells), LINK_FRAMES);
	assert_true(link_settles(device, 0));
	heap_free(fixture->heap, payload);
}

struct told {
	struct buf_done done;
	unsigned int times;
};

static void count_done(struct buf_done *self)
{
	((struct told *)self)->times++;
}

static void tap_tx__drops_what_can_never_be_sent(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct told told = {.done.done = count_done};
	uint8_t *payload = heap_alloc(fixture->heap, 2000);
	struct buf *frames[2] = {netdev_alloc(device), netdev_alloc(device)};

	/* Longer than the MTU with a tag, and one of no Ethernet header. */
	frames[0]->length = (uint32_t)experiment(frames[0]->data, 0, 0);
	frames[0]->next = netdev_reference(device, payload, 1505);
	frames[0]->next->flags = BUF_DONE;
	frames[0]->next->transmit.done = &told.done;
	frames[1]->length = 3;
	memset(frames[1]->data, 0, 3);
	assert_int_equal(device->ops->tx_burst(device, frames, 2, 0), 2);
	assert_int_equal(device->counters.tx_errors, 2);
	assert_int_equal(device->counters.tx_frames, 0);
	assert_int_equal(told.times, 1);
	assert_true(link_settles(device, 0));
	heap_free(fixture->heap, payload);
}

static void tap_tx__conserves_frames(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	uint8_t frame[1514];
	size_t length = experiment(frame, 986, 3);

	for (unsigned int i = 0; i < 20000; i++) {
		struct buf *received;

		assert_int_equal(send(fixture->kernel, frame, length, 0), length);
		assert_int_equal(link_rx(device, &received, 1), 1);
		assert_int_equal(device->ops->tx_burst(device, &received, 1, 0), 1);
		assert_int_equal(link_receive(fixture->kernel, frame, sizeof(frame)), length);
	}
	assert_true(link_settles(device, 0));
}

/* ---- Forks ---- */

static void tap_forget__leaves_the_device_to_the_parent(void **state)
{
	struct fixture *fixture = *state;
	struct netdev *device = fixture->device;
	struct buf *received;
	uint8_t frame[1514];
	size_t length = experiment(frame, 46, 7);
	int status = 0;
	pid_t child = link_fork();

	if (child == 0) {
		bool sleep;
		int fd = device->ops->idle_fd(device, &sleep);

		device->ops->forget(device);
		_exit(fcntl(fd, F_GETFD) == -1 && errno == EBADF ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(send(fixture->kernel, frame, length, 0), length);
	assert_int_equal(link_rx(device, &received, 1), 1);
	netdev_release(device, received);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tap_open__makes_an_interface_that_is_up),
		TEST(tap_open__takes_the_station_address_of_the_options),
		TEST(tap_open__takes_the_mtu_of_a_lasting_interface),
		TEST(tap_open__refuses_what_it_cannot_serve),
		TEST(tap_close__lets_it_be_opened_again),
		TEST(tap_rx__gives_frames_in_order),
		TEST(tap_rx__leaves_frames_in_the_kernel_while_none_is_free),
		TEST(tap_rx__drops_frames_that_were_cut_off),
		TEST(tap_idle_fd__becomes_readable_when_a_frame_comes),
		TEST(tap_tx__sends_a_chain_as_one_frame),
		TEST(tap_tx__drops_what_can_never_be_sent),
		TEST(tap_tx__conserves_frames),
		TEST(tap_forget__leaves_the_device_to_the_parent),
	};
	const char *why = link_enter();

	if (why)
		return link_skip(why);
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		return link_skip("there is no /dev/net/tun");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
