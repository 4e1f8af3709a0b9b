/* SPDX-License-Identifier: MIT */
/*
 * Over DPDK's virtual devices: two ends of a memif in one process, net_ring, which hands on what
 * is sent into it, and net_tap, whose driver does checksums.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netdev/kinds.h"
#include "netdev/link_testing.h"

#define FRAMES 512u
#define ROUND_TRIPS 100000u

/* ---- Fixtures ---- */

struct end {
	struct heap *heap;
	struct config config;
	struct netdev_options options;
	struct netdev *device;
};

struct pair {
	struct end server, client;
};

static void end_init(struct end *end)
{
	struct heap_options options = {.bytes_max = LINK_HEAP_BYTES};

	config_defaults(&end->config);
	end->config.net.frames = FRAMES;
	assert_int_equal(heap_create(&end->heap, &options), 0);
	end->options = (struct netdev_options){.heap = end->heap, .config = &end->config};
}

static void end_open(struct end *end, const char *arguments)
{
	end_init(end);
	assert_int_equal(dpdk_open(&end->device, arguments, &end->options), 0);
}

static void end_close(struct end *end)
{
	netdev_close(end->device);
	heap_destroy(end->heap);
}

static uint32_t frames_free(const struct end *end)
{
	return heap_frames_free(end->device->frames);
}

/* A frame whose payload is all @fill. */
static struct buf *make_frame(struct end *end, uint32_t payload_bytes, uint8_t fill)
{
	static const uint8_t header[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
	struct buf *buf = netdev_alloc(end->device);

	assert_non_null(buf);
	memcpy(buf->data, header, sizeof(header));
	memset(buf->data + sizeof(header), fill, payload_bytes);
	buf->length = (uint32_t)sizeof(header) + payload_bytes;
	return buf;
}

static unsigned int send_one(struct end *end, struct buf *buf)
{
	return end->device->ops->tx_burst(end->device, &buf, 1, 0);
}

static struct buf *receive_one(struct end *end)
{
	struct buf *buf = NULL;

	return link_rx(end->device, &buf, 1) == 1 ? buf : NULL;
}

static void assert_payload(const struct buf *buf, uint32_t payload_bytes, uint8_t fill)
{
	assert_int_equal(buf->length, ETH_HEADER_BYTES + payload_bytes);
	for (uint32_t i = 0; i < payload_bytes; i++)
		assert_int_equal(buf->data[ETH_HEADER_BYTES + i], fill);
}

/*
 * The frame is taken when there is room for it at @to, which has it once it has looked, and when the
 * thread that has just connected the two is done with it: the link is up a little before.
 */
static void send_first(struct end *from, struct end *to, struct buf *buf)
{
	const uint64_t limit_ns = link_now_ns() + LINK_WAIT_NS;
	struct buf *none = NULL;

	while (send_one(from, buf) == 0) {
		assert_true(link_now_ns() < limit_ns);
		assert_int_equal(to->device->ops->rx_burst(to->device, &none, 1, 0), 0);
	}
}

/* A client is open when its server knows it: the first frame is not lost, as an ARP request would be. */
static void exchange_first(struct pair *pair)
{
	struct buf *buf = make_frame(&pair->client, 50, 0);

	send_first(&pair->client, &pair->server, buf);
	buf = receive_one(&pair->server);
	assert_non_null(buf);
	netdev_release_chain(pair->server.device, buf);
	buf = make_frame(&pair->server, 50, 0);
	send_first(&pair->server, &pair->client, buf);
	buf = receive_one(&pair->client);
	assert_non_null(buf);
	netdev_release_chain(pair->client.device, buf);
}

static int pair_setup(void **state)
{
	static unsigned int number;
	struct pair *pair = calloc(1, sizeof(*pair));
	char arguments[128];

	assert_non_null(pair);
	*state = pair;
	number++;
	snprintf(arguments, sizeof(arguments), "net_memif0,role=server,socket=demi-test-%d-%u",
		 getpid(), number);
	end_open(&pair->server, arguments);
	snprintf(arguments, sizeof(arguments), "net_memif1,role=client,socket=demi-test-%d-%u",
		 getpid(), number);
	end_open(&pair->client, arguments);
	exchange_first(pair);
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	end_close(&pair->client);
	end_close(&pair->server);
	free(pair);
	return 0;
}

static int ring_setup(void **state)
{
	struct end *end = calloc(1, sizeof(*end));

	assert_non_null(end);
	*state = end;
	end_open(end, "net_ring0");
	return 0;
}

static int ring_teardown(void **state)
{
	struct end *end = *state;

	end_close(end);
	free(end);
	return 0;
}

/* ---- Opening ---- */

static void dpdk_open__says_what_the_device_can_do(void **state)
{
	struct pair *pair = *state;
	const struct netdev_caps *caps = &pair->client.device->caps;
	static const struct eth_address none;

	assert_int_equal(caps->mtu, 1500);
	assert_true(caps->segments_max >= 2);
	assert_false(caps->checksum_v4);
	assert_false(caps->shares_interface);
	assert_memory_not_equal(&caps->mac, &none, sizeof(none));
	assert_int_equal(caps->mac.bytes[0] & 1, 0);
	assert_true(heap_frames_bytes(pair->client.device->frames) >=
		    pair->client.device->data_offset + 1500 + ETH_HEADER_BYTES);
	assert_string_equal(pair->client.device->ops->kind, "dpdk");
}

static void dpdk_open__refuses_what_dpdk_does_not_know(void **state)
{
	static const struct {
		const char *arguments;
		int error;
	} cases[] = {
		{"", -EINVAL},
		{",role=client", -EINVAL},
		{"net_nonsense0", -ENODEV},
		{"net_memif9,role=nobody", -EINVAL},
		{"net_memif9,role=client,zero-copy=yes", -EINVAL},
		{"0000:ff:1f.7", -ENODEV},
		{"ff:1f.7", -ENODEV},
	};
	struct end end;

	(void)state;
	end_init(&end);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		end.device = NULL;
		assert_int_equal(dpdk_open(&end.device, cases[i].arguments, &end.options),
				 cases[i].error);
		assert_null(end.device);
	}
	assert_true(heap_is_empty(end.heap));
	heap_destroy(end.heap);
}

static void dpdk_open__refuses_a_device_that_is_open(void **state)
{
	struct pair *pair = *state;
	struct end other;

	end_init(&other);
	assert_int_equal(dpdk_open(&other.device, "net_memif1,role=client,id=7", &other.options),
			 -EEXIST);
	heap_destroy(other.heap);
	/* Nothing has happened to the one that is. */
	exchange_first(pair);
}

static void dpdk_open__refuses_a_second_device_on_one_heap_and_undoes_it(void **state)
{
	struct pair *pair = *state;
	struct netdev *other = NULL;

	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(dpdk_open(&other, "net_null7", &pair->client.options), -EEXIST);
	assert_null(other);
	exchange_first(pair);
}

static void dpdk_open__undoes_everything_without_memory(void **state)
{
	struct end end;

	(void)state;
	end_init(&end);
	end.config.net.frames = 1u << 20;
	assert_int_equal(dpdk_open(&end.device, "net_null7", &end.options), -ENOMEM);
	assert_true(heap_is_empty(end.heap));
	end.config.net.frames = FRAMES;
	assert_int_equal(dpdk_open(&end.device, "net_null7", &end.options), 0);
	end_close(&end);
}

static void dpdk_open__takes_frames_as_large_as_the_mtu(void **state)
{
	struct end end;

	(void)state;
	end_init(&end);
	end.config.net.mtu = 9000;
	assert_int_equal(dpdk_open(&end.device, "net_ring7", &end.options), 0);
	assert_int_equal(end.device->caps.mtu, 9000);
	assert_true(heap_frames_bytes(end.device->frames) >= end.device->data_offset + 9000 + 14);
	assert_int_equal(send_one(&end, make_frame(&end, 9000, 0x5a)), 1);
	struct buf *buf = receive_one(&end);

	assert_non_null(buf);
	assert_payload(buf, 9000, 0x5a);
	assert_null(buf->next);
	netdev_release_chain(end.device, buf);
	end_close(&end);
	/* More than the device can do, and it does what it can. */
	end_init(&end);
	end.config.net.mtu = 9000;
	assert_int_equal(
		dpdk_open(&end.device, "net_memif7,role=server,socket=demi-mtu", &end.options), 0);
	assert_int_equal(end.device->caps.mtu, 1500);
	end_close(&end);
}

static void dpdk_open__takes_the_station_address_of_the_options(void **state)
{
	struct end end;

	(void)state;
	end_init(&end);
	end.options.mac = (struct eth_address){{2, 1, 2, 3, 4, 5}};
	assert_int_equal(dpdk_open(&end.device, "net_ring7", &end.options), 0);
	assert_memory_equal(end.device->caps.mac.bytes, ((uint8_t[]){2, 1, 2, 3, 4, 5}), 6);
	end_close(&end);
}

static void dpdk_open__leaves_the_thread_as_it_was(void **state)
{
	sigset_t before, after;
	cpu_set_t cpus_before, cpus_after;
	char path[64];
	struct stat info;
	struct end end;

	(void)state;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus_before), &cpus_before), 0);
	end_open(&end, "net_null7");
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus_after), &cpus_after), 0);
	for (int number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(&before, number), sigismember(&after, number));
	assert_true(CPU_EQUAL(&cpus_before, &cpus_after));
	end_close(&end);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/dpdk/demi-%d", i ? "/tmp" : "/var/run", getpid());
		assert_int_equal(stat(path, &info), -1);
	}
}

static void dpdk_open__refuses_in_a_child_of_the_process(void **state)
{
	struct pair *pair = *state;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct netdev *other;
		struct config config = pair->client.config;
		struct netdev_options options = {.heap = pair->client.heap, .config = &config};

		pair->client.device->ops->forget(pair->client.device);
		_exit(dpdk_open(&other, "net_null7", &options) == -ENOTSUP ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	exchange_first(pair);
}

/* ---- Receiving ---- */

static void dpdk_rx__hands_out_the_frame_that_the_driver_filled(void **state)
{
	struct pair *pair = *state;
	struct netdev *device = pair->server.device;
	size_t bytes;
	char *memory = heap_frames_memory(device->frames, &bytes);
	struct buf *buf;

	assert_int_equal(frames_free(&pair->server), FRAMES);
	assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 1500, 0xa5)), 1);
	buf = receive_one(&pair->server);
	assert_non_null(buf);
	assert_payload(buf, 1500, 0xa5);
	assert_null(buf->next);
	assert_null(buf->object);
	assert_int_equal(buf->flags, 0);
	assert_true((char *)buf >= memory && (char *)buf < memory + bytes);
	assert_ptr_equal(heap_object(pair->server.heap, buf->data), buf);
	assert_true(buf->data >= (unsigned char *)buf + device->room_offset + NETDEV_HEAD_ROOM);
	assert_int_equal(frames_free(&pair->server), FRAMES - 1);
	netdev_release_chain(device, buf);
	assert_int_equal(frames_free(&pair->server), FRAMES);
}

static void dpdk_rx__leaves_alone_what_is_still_held(void **state)
{
	struct pair *pair = *state;
	struct buf *given, *held;

	assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 100, 1)), 1);
	given = receive_one(&pair->server);
	assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 100, 2)), 1);
	held = receive_one(&pair->server);
	assert_true(given && held && given != held);
	frame_give(pair->server.heap, given);
	heap_hold(pair->server.heap, held->data);
	netdev_release(pair->server.device, held);
	for (unsigned int i = 0; i < 4 * FRAMES; i++) {
		struct buf *buf;

		assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 100, 3)), 1);
		buf = receive_one(&pair->server);
		assert_true(buf && buf != given && buf != held);
		netdev_release_chain(pair->server.device, buf);
	}
	assert_payload(given, 100, 1);
	assert_payload(held, 100, 2);
	assert_int_equal(frames_free(&pair->server), FRAMES - 2);
	assert_int_equal(buf_free(pair->server.heap, given), 0);
	heap_release(pair->server.heap, held);
	assert_int_equal(frames_free(&pair->server), FRAMES);
}

static void dpdk_rx__counts_that_frames_ran_out_and_recovers(void **state)
{
	struct pair *pair = *state;
	struct netdev *server = pair->server.device;
	struct buf *taken[FRAMES];
	struct buf *buf = NULL;

	for (unsigned int i = 0; i < FRAMES; i++)
		taken[i] = netdev_alloc(server);
	assert_null(netdev_alloc(server));
	assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 100, 7)), 1);
	assert_int_equal(server->counters.rx_no_frame, 0);
	assert_int_equal(server->ops->rx_burst(server, &buf, 1, 0), 0);
	assert_true(server->counters.rx_no_frame > 0);
	for (unsigned int i = 0; i < FRAMES; i++)
		netdev_release(server, taken[i]);
	buf = receive_one(&pair->server);
	assert_non_null(buf);
	assert_payload(buf, 100, 7);
	netdev_release_chain(server, buf);
	assert_int_equal(frames_free(&pair->server), FRAMES);
}

static void dpdk_rx__makes_a_chain_of_many_segments(void **state)
{
	struct end *end = *state;
	struct buf *head = make_frame(end, 6, 1);
	struct buf *tail = netdev_alloc(end->device);
	struct buf *received;

	memcpy(tail->data, "segment", 7);
	tail->length = 7;
	head->next = tail;
	assert_int_equal(send_one(end, head), 1);
	received = receive_one(end);
	/* net_ring hands on the same memory. */
	assert_ptr_equal(received, head);
	assert_ptr_equal(received->next, tail);
	assert_null(tail->next);
	assert_payload(head, 6, 1);
	assert_int_equal(tail->length, 7);
	assert_memory_equal(tail->data, "segment", 7);
	assert_int_equal(end->device->counters.rx_bytes, 14 + 6 + 7);
	netdev_release_chain(end->device, received);
	assert_int_equal(frames_free(end), FRAMES);
	/* And each of them alone is a single segment again. */
	for (unsigned int i = 0; i < FRAMES; i++) {
		assert_int_equal(send_one(end, make_frame(end, 6, 2)), 1);
		received = receive_one(end);
		assert_payload(received, 6, 2);
		assert_null(received->next);
		netdev_release_chain(end->device, received);
	}
}

static void dpdk_rx__copies_what_another_pool_has_to_free(void **state)
{
	struct end *end = *state;
	unsigned char *payload = heap_alloc(end->heap, 64);
	struct buf *head = make_frame(end, 6, 1);
	struct buf *received;

	memset(payload, 9, 64);
	head->next = netdev_reference(end->device, payload, 64);
	assert_int_equal(send_one(end, head), 1);
	received = receive_one(end);
	assert_non_null(received);
	assert_null(received->next);
	assert_int_equal(received->length, 14 + 6 + 64);
	assert_int_equal(received->data[14], 1);
	assert_memory_equal(received->data + 20, payload, 64);
	assert_false(heap_is_held(end->heap, payload));
	assert_int_equal(heap_frames_free(end->device->shells), FRAMES);
	netdev_release_chain(end->device, received);
	assert_int_equal(frames_free(end), FRAMES);
	assert_int_equal(heap_free(end->heap, payload), 0);
}

/* ---- Sending ---- */

struct told {
	struct buf_done done;
	unsigned int times;
};

static void tell(struct buf_done *self)
{
	((struct told *)self)->times++;
}

static void dpdk_tx__sends_by_reference_and_tells_when_done(void **state)
{
	struct pair *pair = *state;
	struct told told = {.done = {tell}};
	unsigned char *payload = heap_alloc(pair->client.heap, 1000);
	struct buf *head = make_frame(&pair->client, 0, 0);
	struct buf *shell = netdev_reference(pair->client.device, payload + 100, 800);
	struct buf *buf;

	memset(payload, 0x11, 1000);
	memset(payload + 100, 0x77, 800);
	shell->flags |= BUF_DONE;
	shell->transmit.done = &told.done;
	head->next = shell;
	assert_true(heap_is_held(pair->client.heap, payload));
	assert_int_equal(send_one(&pair->client, head), 1);
	assert_true(link_settles(pair->client.device, 0));
	assert_int_equal(told.times, 1);
	assert_false(heap_is_held(pair->client.heap, payload));
	assert_int_equal(heap_frames_free(pair->client.device->shells), FRAMES);
	assert_int_equal(heap_free(pair->client.heap, payload), 0);
	buf = receive_one(&pair->server);
	assert_non_null(buf);
	assert_payload(buf, 800, 0x77);
	netdev_release_chain(pair->server.device, buf);
	/* Nothing is told twice, nor by the next who uses them. */
	for (unsigned int i = 0; i < FRAMES; i++) {
		buf = netdev_reference(pair->client.device, make_frame(&pair->client, 0, 0), 14);
		netdev_release(pair->client.device, buf->object);
		netdev_release(pair->client.device, buf);
	}
	assert_int_equal(told.times, 1);
	assert_true(link_settles(pair->client.device, 0));
}

static void dpdk_tx__sends_a_shell_alone(void **state)
{
	struct pair *pair = *state;
	struct buf *whole = make_frame(&pair->client, 300, 0x42);
	struct buf *shell = netdev_reference(pair->client.device, whole->data, whole->length);
	struct buf *buf;

	assert_int_equal(send_one(&pair->client, shell), 1);
	buf = receive_one(&pair->server);
	assert_non_null(buf);
	assert_payload(buf, 300, 0x42);
	netdev_release_chain(pair->server.device, buf);
	assert_true(link_settles(pair->client.device, 1));
	netdev_release(pair->client.device, whole);
	assert_true(link_settles(pair->client.device, 0));
}

static void dpdk_tx__leaves_a_frame_that_is_still_held(void **state)
{
	struct pair *pair = *state;
	struct buf *kept = make_frame(&pair->client, 200, 0x31);
	unsigned char *data = kept->data;

	/* As for sending it again: with other data in front each time. */
	for (unsigned int i = 0; i < 3; i++) {
		struct buf *buf;

		heap_hold(pair->client.heap, kept);
		kept->data = data;
		kept->length = 214;
		assert_int_equal(send_one(&pair->client, kept), 1);
		assert_true(link_settles(pair->client.device, 1));
		buf = receive_one(&pair->server);
		assert_non_null(buf);
		assert_payload(buf, 200, 0x31);
		netdev_release_chain(pair->server.device, buf);
	}
	netdev_release(pair->client.device, kept);
	assert_true(link_settles(pair->client.device, 0));
}

static void dpdk_tx__drops_what_can_never_be_sent_and_goes_on(void **state)
{
	struct pair *pair = *state;
	struct end *client = &pair->client;
	unsigned int segments = client->device->caps.segments_max;
	struct buf *frames[4] = {make_frame(client, 10, 1), make_frame(client, 1600, 2),
				 make_frame(client, 10, 3), make_frame(client, 10, 4)};
	struct buf *last = frames[2];

	for (unsigned int i = 0; i < segments; i++) {
		last->next = make_frame(client, 0, 0);
		last = last->next;
	}
	assert_int_equal(client->device->ops->tx_burst(client->device, frames, 4, 0), 4);
	assert_int_equal(client->device->counters.tx_errors, 2);
	for (uint8_t fill = 1; fill <= 4; fill += 3) {
		struct buf *buf = receive_one(&pair->server);

		assert_non_null(buf);
		assert_payload(buf, 10, fill);
		netdev_release_chain(pair->server.device, buf);
	}
	/* Shorter than an Ethernet header. */
	frames[0] = make_frame(client, 0, 0);
	frames[0]->length = 13;
	assert_int_equal(client->device->ops->tx_burst(client->device, frames, 1, 0), 1);
	assert_int_equal(client->device->counters.tx_errors, 3);
	assert_true(link_settles(client->device, 0));
}

static void dpdk_tx__takes_nothing_while_no_one_is_there(void **state)
{
	struct end end;
	struct buf *frames[2];
	struct buf *tail;

	(void)state;
	end_open(&end, "net_memif7,role=server,socket=demi-nobody");
	frames[0] = make_frame(&end, 100, 1);
	tail = make_frame(&end, 100, 2);
	frames[0]->next = tail;
	frames[1] = make_frame(&end, 100, 3);
	assert_int_equal(end.device->ops->tx_burst(end.device, frames, 2, 0), 0);
	assert_int_equal(end.device->counters.tx_full, 1);
	assert_int_equal(end.device->counters.tx_frames, 0);
	assert_int_equal(end.device->counters.tx_bytes, 0);
	/* They are ours as they were. */
	assert_payload(frames[0], 100, 1);
	assert_ptr_equal(frames[0]->next, tail);
	netdev_release_chain(end.device, frames[0]);
	netdev_release_chain(end.device, frames[1]);
	assert_int_equal(frames_free(&end), FRAMES);
	end_close(&end);
}

static void dpdk_tx__says_that_the_ring_is_full(void **state)
{
	struct pair *pair = *state;
	struct end *client = &pair->client;
	uint64_t full_before = client->device->counters.tx_full;
	unsigned int sent = 0, received = 0;
	struct buf *buf;

	/* Nobody receives: it fills up, and what it does not take stays ours. */
	for (;; sent++) {
		buf = make_frame(client, 60, (uint8_t)sent);
		if (send_one(client, buf) == 0)
			break;
		assert_true(sent < 1u << 20);
	}
	assert_int_equal(client->device->counters.tx_full - full_before, 1);
	netdev_release_chain(client->device, buf);
	for (; received < sent; received++) {
		buf = receive_one(&pair->server);
		assert_non_null(buf);
		assert_payload(buf, 60, (uint8_t)received);
		netdev_release_chain(pair->server.device, buf);
	}
	assert_true(link_settles(client->device, 0));
	assert_int_equal(send_one(client, make_frame(client, 60, 1)), 1);
}

/* ---- Both ---- */

static void dpdk__keeps_all_frames_over_many_round_trips(void **state)
{
	struct pair *pair = *state;
	struct netdev *server = pair->server.device, *client = pair->client.device;
	struct netdev_counters before = client->counters;
	unsigned int under_way = 0, returned = 0;

	while (returned < ROUND_TRIPS) {
		struct buf *frames[NETDEV_BURST_MAX];
		unsigned int count = 1 + returned % NETDEV_BURST_MAX;
		unsigned int taken = 0;

		for (unsigned int i = 0; i < count; i++)
			frames[i] = make_frame(&pair->client, 64, (uint8_t)i);
		while (taken < count)
			taken += client->ops->tx_burst(client, frames + taken, count - taken, 0);
		under_way = count;
		while (under_way > 0) {
			/* The server sends back the very frames that it has received. */
			unsigned int at = 0;

			count = server->ops->rx_burst(server, frames, NETDEV_BURST_MAX, 0);
			while (at < count)
				at += server->ops->tx_burst(server, frames + at, count - at, 0);
			count = client->ops->rx_burst(client, frames, NETDEV_BURST_MAX, 0);
			for (unsigned int i = 0; i < count; i++)
				netdev_release_chain(client, frames[i]);
			under_way -= count;
			returned += count;
		}
	}
	assert_true(link_settles(server, 0) && link_settles(client, 0));
	assert_int_equal(client->counters.rx_frames - before.rx_frames, returned);
	assert_int_equal(client->counters.tx_frames - before.tx_frames, returned);
	assert_int_equal(client->counters.rx_bytes - before.rx_bytes, 78ull * returned);
	assert_int_equal(client->counters.tx_bytes - before.tx_bytes, 78ull * returned);
}

static void dpdk_set_group__succeeds_on_ports_without_filters(void **state)
{
	struct pair *pair = *state;
	struct netdev *device = pair->client.device;

	for (unsigned int pass = 0; pass < 2; pass++) {
		for (uint8_t i = 0; i < 100; i++) {
			struct eth_address group = {{1, 0, 0x5e, 0, 0, i}};

			assert_int_equal(device->ops->set_group(device, group, pass == 0), 0);
		}
	}
	exchange_first(pair);
}

static void dpdk_idle_fd__has_none(void **state)
{
	struct pair *pair = *state;
	bool sleep;

	assert_int_equal(pair->client.device->ops->idle_fd(pair->client.device, &sleep), -ENOTSUP);
}

/* ---- Closing ---- */

static void dpdk_close__leaves_what_the_application_has(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	void *pair_state = pair;
	struct buf *given, *sent;

	(void)state;
	free(pair);
	pair_setup(&pair_state);
	pair = pair_state;
	assert_int_equal(send_one(&pair->client, make_frame(&pair->client, 100, 0x66)), 1);
	given = receive_one(&pair->server);
	assert_non_null(given);
	frame_give(pair->server.heap, given);
	sent = make_frame(&pair->client, 100, 0x67);
	netdev_close(pair->client.device);
	netdev_close(pair->server.device);
	assert_payload(given, 100, 0x66);
	assert_payload(sent, 100, 0x67);
	assert_false(heap_is_empty(pair->server.heap));
	assert_int_equal(buf_free(pair->server.heap, given), 0);
	heap_release(pair->client.heap, sent);
	assert_true(heap_is_empty(pair->server.heap));
	assert_true(heap_is_empty(pair->client.heap));
	heap_destroy(pair->client.heap);
	heap_destroy(pair->server.heap);
	free(pair);
}

static void dpdk_close__lets_the_device_be_opened_again(void **state)
{
	struct end end;

	(void)state;
	end_init(&end);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(dpdk_open(&end.device, "net_ring7", &end.options), 0);
		assert_int_equal(send_one(&end, make_frame(&end, 10, 1)), 1);
		netdev_release_chain(end.device, receive_one(&end));
		netdev_close(end.device);
		assert_true(heap_is_empty(end.heap));
	}
	heap_destroy(end.heap);
}

/* ---- Interfaces of the kernel's ---- */

/* What opening and closing it writes to standard error; false: it does not open. */
static bool open_saying(const char *arguments, char *said, size_t room)
{
	int fds[2], saved = dup(2);
	struct end end;
	ssize_t length;
	bool opens;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], 2);
	close(fds[1]);
	end_init(&end);
	opens = dpdk_open(&end.device, arguments, &end.options) == 0;
	if (opens)
		netdev_close(end.device);
	heap_destroy(end.heap);
	dup2(saved, 2);
	close(saved);
	length = read(fds[0], said, room - 1);
	close(fds[0]);
	said[length > 0 ? length : 0] = '\0';
	return opens;
}

static void dpdk_open__warns_of_an_interface_that_is_down(void **state)
{
	char said[1024];

	(void)state;
	if (system("ip tuntap add dev demidown mode tap 2>/dev/null") != 0)
		skip();
	assert_true(open_saying("net_af_packet7,iface=demidown", said, sizeof(said)));
	assert_non_null(strstr(said, "the interface demidown is down"));
	assert_non_null(strstr(said, "ip link set dev demidown up"));
	assert_int_equal(system("ip link set dev demidown up"), 0);
	assert_true(open_saying("net_af_packet7,iface=demidown", said, sizeof(said)));
	assert_string_equal(said, "");
	assert_int_equal(system("ip link del dev demidown"), 0);
}

/* ---- net_tap, whose other end is the kernel's ---- */

static struct eth_address kernels_address(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &request), 0);
	close(fd);
	return eth_address_load(request.ifr_hwaddr.sa_data);
}

/* Each end has an address of its own, or neither hears the other. */
static void dpdk__has_another_address_than_the_kernels_end(void **state)
{
	const struct eth_address wanted = {{2, 1, 2, 3, 4, 5}};
	struct end end;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct eth_address kernel;

		end_init(&end);
		end.options.seed = 7;
		if (i == 1)
			end.options.mac = wanted;
		if (dpdk_open(&end.device, "net_tap0,iface=demitap", &end.options) != 0) {
			heap_destroy(end.heap);
			skip();
		}
		kernel = kernels_address("demitap");
		assert_false(eth_address_equal(&end.device->caps.mac, &kernel));
		assert_int_equal(end.device->caps.mac.bytes[0] & 3, 2);
		if (i == 1)
			assert_true(eth_address_equal(&end.device->caps.mac, &wanted));
		assert_int_equal(end.device->caps.interface_index, if_nametoindex("demitap"));
		end_close(&end);
	}
}

/* ---- Checksums, by the driver of net_tap ---- */

/*
 * 10.0.0.1:1000 to 10.0.0.2:2000, "hi": the sum of the pseudo header (source 0a00 0001, destination
 * 0a00 0002, protocol 0011, length 000a) is 141e; with ports 03e8 07d0, length 000a and data 6869
 * it is 8849, whose complement is 77b6 (RFC 768).
 */
static const uint8_t datagram[] = {
	2,    0,    0, 0,    0,  2,  2,    0,    0,   0,   0,    1,    8, 0, /* Ethernet */
	0x45, 0,    0, 30,   0,  0,  0,    0,    64,  17,  0x66, 0xcd,       /* IPv4, */
	10,   0,    0, 1,    10, 0,  0,    2,                                /* its addresses */
	0x03, 0xe8, 7, 0xd0, 0,  10, 0x77, 0xb6, 'h', 'i',                   /* UDP */
};
#define CHECKSUM_AT 40u

static struct buf *make_datagram(struct end *end)
{
	struct buf *buf = netdev_alloc(end->device);

	memcpy(buf->data, datagram, sizeof(datagram));
	buf->length = sizeof(datagram);
	return buf;
}

/* The next frame that is a datagram: the kernel sends frames of its own. */
static bool packet_socket_finds(int fd, const uint8_t *expected, size_t bytes)
{
	uint8_t frame[2048];
	ssize_t length;

	while ((length = link_receive(fd, frame, sizeof(frame))) >= 0) {
		if ((size_t)length >= bytes && memcmp(frame, expected, bytes) == 0)
			return true;
	}
	return false;
}

static struct buf *receive_datagram(struct end *end)
{
	struct buf *buf;

	while ((buf = receive_one(end))) {
		if (buf->length >= sizeof(datagram) && memcmp(buf->data, datagram, 34) == 0)
			return buf;
		netdev_release_chain(end->device, buf);
	}
	return NULL;
}

static void dpdk__leaves_checksums_to_a_port_that_can(void **state)
{
	uint8_t wrong[sizeof(datagram)];
	struct end end;
	struct buf *buf;
	int fd;

	(void)state;
	end_init(&end);
	if (dpdk_open(&end.device, "net_tap0,iface=demitap", &end.options) != 0) {
		heap_destroy(end.heap);
		skip();
	}
	fd = link_packet_socket("demitap");
	assert_true(fd >= 0);
	assert_true(end.device->caps.checksum_v4 && end.device->caps.checksum_v6);
	/* The stack writes the pseudo header's sum, the port completes it. */
	buf = make_datagram(&end);
	buf->data[CHECKSUM_AT] = 0x14;
	buf->data[CHECKSUM_AT + 1] = 0x1e;
	buf->flags |= BUF_CHECKSUM;
	buf->transmit = (struct buf_transmit){
		.link_bytes = 14, .network_bytes = 20, .protocol = IPPROTO_UDP};
	assert_int_equal(send_one(&end, buf), 1);
	assert_true(packet_socket_finds(fd, datagram, sizeof(datagram)));
	assert_int_equal(send(fd, datagram, sizeof(datagram), 0), sizeof(datagram));
	buf = receive_datagram(&end);
	assert_non_null(buf);
	assert_int_equal(buf->flags, BUF_CHECKED);
	netdev_release_chain(end.device, buf);
	/* A wrong one is the stack's to find. */
	memcpy(wrong, datagram, sizeof(datagram));
	wrong[CHECKSUM_AT] ^= 1;
	assert_int_equal(send(fd, wrong, sizeof(wrong), 0), sizeof(wrong));
	buf = receive_datagram(&end);
	assert_non_null(buf);
	assert_int_equal(buf->flags, 0);
	netdev_release_chain(end.device, buf);
	close(fd);
	end_close(&end);
}

/* ---- */

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)

static bool eal_starts(void)
{
	struct end end;
	bool starts;

	end_init(&end);
	starts = dpdk_open(&end.device, "net_null0", &end.options) == 0;
	if (starts)
		netdev_close(end.device);
	heap_destroy(end.heap);
	return starts;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(dpdk_open__says_what_the_device_can_do),
		cmocka_unit_test(dpdk_open__refuses_what_dpdk_does_not_know),
		PAIR_TEST(dpdk_open__refuses_a_device_that_is_open),
		PAIR_TEST(dpdk_open__refuses_a_second_device_on_one_heap_and_undoes_it),
		cmocka_unit_test(dpdk_open__undoes_everything_without_memory),
		cmocka_unit_test(dpdk_open__takes_frames_as_large_as_the_mtu),
		cmocka_unit_test(dpdk_open__takes_the_station_address_of_the_options),
		cmocka_unit_test(dpdk_open__leaves_the_thread_as_it_was),
		PAIR_TEST(dpdk_open__refuses_in_a_child_of_the_process),
		PAIR_TEST(dpdk_rx__hands_out_the_frame_that_the_driver_filled),
		PAIR_TEST(dpdk_rx__leaves_alone_what_is_still_held),
		PAIR_TEST(dpdk_rx__counts_that_frames_ran_out_and_recovers),
		RING_TEST(dpdk_rx__makes_a_chain_of_many_segments),
		RING_TEST(dpdk_rx__copies_what_another_pool_has_to_free),
		PAIR_TEST(dpdk_tx__sends_by_reference_and_tells_when_done),
		PAIR_TEST(dpdk_tx__sends_a_shell_alone),
		PAIR_TEST(dpdk_tx__leaves_a_frame_that_is_still_held),
		PAIR_TEST(dpdk_tx__drops_what_can_never_be_sent_and_goes_on),
		cmocka_unit_test(dpdk_tx__takes_nothing_while_no_one_is_there),
		PAIR_TEST(dpdk_tx__says_that_the_ring_is_full),
		PAIR_TEST(dpdk__keeps_all_frames_over_many_round_trips),
		PAIR_TEST(dpdk_set_group__succeeds_on_ports_without_filters),
		PAIR_TEST(dpdk_idle_fd__has_none),
		cmocka_unit_test(dpdk_close__leaves_what_the_application_has),
		cmocka_unit_test(dpdk_close__lets_the_device_be_opened_again),
		cmocka_unit_test(dpdk_open__warns_of_an_interface_that_is_down),
		cmocka_unit_test(dpdk__has_another_address_than_the_kernels_end),
		cmocka_unit_test(dpdk__leaves_checksums_to_a_port_that_can),
	};

	/* For net_tap; without it, that test is skipped. */
	if (link_enter())
		fprintf(stderr, "in the network of the machine\n");
	if (!eal_starts())
		return link_skip("DPDK does not start");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
