/* SPDX-License-Identifier: MIT */
#define RIG_IP_ALLOC
#include "net/ip_testing.h"

#include "wire/ipv4.h"

/* ---- Fakes ---- */

static struct {
	unsigned int count;
	uint32_t last_length;
	uint8_t last[65536];
	struct ip_packet packet;
	bool had_header;
	bool answers; /* each packet that is delivered sends another */
} delivered;

static struct path path_v4, path_v6;

uint32_t ip_header_bytes(const struct ip_send *send)
{
	return ip_address_is_v4(&send->path->destination) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

uint8_t ip_hop_limit(const struct ip_send *send)
{
	return send->hop_limit;
}

void ip_emit(struct net *net, const struct ip_send *send, uint8_t *room, uint32_t payload_bytes)
{
	(void)net;
	memset(room, 0xaa, ip_header_bytes(send));
	store_be32(room, payload_bytes);
}

static int send_to(const struct path *path, const void *data, uint32_t length)
{
	struct buf *buf = rig_frame(data, length);
	struct ip_send send = {
		.path = path,
		.source = path->destination,
		.protocol = IPPROTO_UDP,
		.hop_limit = 9,
		.traffic_class = 3,
	};
	int result = ip_tx_loopback(&rig.net, &send, buf);

	netdev_release_chain(&rig.device, buf);
	return result;
}

void ip_deliver(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	delivered.count++;
	delivered.packet = *packet;
	delivered.last_length = buf->length;
	memcpy(delivered.last, buf->data, buf->length);
	assert_null(buf->next);
	assert_true(buf->flags & BUF_CHECKED);
	delivered.had_header = packet->header == buf->data - packet->header_bytes &&
			       load_be32(packet->header) ==
				       packet->total_bytes - packet->header_bytes;
	netdev_release(net->device, buf);
	if (delivered.answers)
		send_to(&path_v4, "more", 4);
}

static int setup(void **state)
{
	memset(&delivered, 0, sizeof(delivered));
	path_v4 = (struct path){.destination = V4(127, 0, 0, 1), .is_local = true};
	path_v6 = (struct path){.destination = V6(2), .is_local = true};
	return rig_setup(state);
}

static int teardown(void **state)
{
	ip_drop_loopback(&rig.net);
	assert_null(rig.net.loopback);
	return rig_teardown(state);
}

/* ---- Tests ---- */

static void ip_tx_loopback__delivers_in_the_next_round(void **state)
{
	(void)state;
	assert_int_equal(ip_poll_loopback(&rig.net), 0);
	assert_int_equal(send_to(&path_v4, "hello", 5), 0);
	assert_int_equal(delivered.count, 0);
	assert_int_equal(ip_poll_loopback(&rig.net), 1);
	assert_int_equal(delivered.last_length, 5);
	assert_memory_equal(delivered.last, "hello", 5);
	assert_true(ip_address_equal(&delivered.packet.source, &path_v4.destination));
	assert_true(ip_address_equal(&delivered.packet.destination, &path_v4.destination));
	assert_int_equal(delivered.packet.protocol, IPPROTO_UDP);
	assert_int_equal(delivered.packet.hop_limit, 9);
	assert_int_equal(delivered.packet.traffic_class, 3);
	assert_true(delivered.packet.is_local && !delivered.packet.is_v6);
	assert_false(delivered.packet.is_frame || delivered.packet.was_fragmented);
	assert_true(delivered.had_header);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].tx_bytes, 25);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].rx_bytes, 25);
	assert_int_equal(ip_poll_loopback(&rig.net), 0);
}

static void ip_tx_loopback__joins_the_pieces_of_a_chain(void **state)
{
	struct ip_send send = {.path = &path_v6, .source = V6(2), .protocol = IPPROTO_UDP};
	struct buf *chain = rig_frame("head", 4), *object = buf_alloc(rig.heap, 65000);
	uint8_t expected[65004] = "head";

	(void)state;
	for (uint32_t i = 0; i < 65000; i++)
		object->data[i] = expected[4 + i] = (uint8_t)net_random(&rig.net);
	chain->next = netdev_reference(&rig.device, object->data, 1);
	chain->next->next = netdev_reference(&rig.device, object->data + 1, 64999);
	assert_int_equal(ip_tx_loopback(&rig.net, &send, chain), 0);
	netdev_release_chain(&rig.device, chain);
	/* The application may write into its buffer now. */
	memset(object->data, 0, 65000);
	buf_free(rig.heap, object);
	assert_int_equal(ip_poll_loopback(&rig.net), 1);
	assert_true(delivered.packet.is_v6);
	assert_true(delivered.had_header);
	assert_int_equal(delivered.last_length, sizeof(expected));
	assert_memory_equal(delivered.last, expected, sizeof(expected));
}

static void ip_tx_loopback__refuses_when_the_queue_is_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NET_LOOPBACK_MAX; i++)
		assert_int_equal(send_to(&path_v4, &i, sizeof(i)), 0);
	assert_int_equal(send_to(&path_v4, "x", 1), -ENOBUFS);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_QUEUE_FULL), 1);
	assert_int_equal(send_to(&path_v6, "x", 1), -ENOBUFS);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_QUEUE_FULL), 1);
	/* Each round takes its share, in order. */
	for (uint32_t round = 1; round <= NET_LOOPBACK_MAX / 32; round++) {
		uint32_t last = round * 32 - 1;

		assert_int_equal(ip_poll_loopback(&rig.net), 32);
		assert_memory_equal(delivered.last, &last, sizeof(last));
	}
	assert_int_equal(ip_poll_loopback(&rig.net), 0);
	assert_int_equal(send_to(&path_v4, "x", 1), 0);
}

static void ip_tx_loopback__refuses_without_memory(void **state)
{
	(void)state;
	heap_fail_after(rig.heap, 0);
	assert_int_equal(send_to(&path_v4, "x", 1), -ENOBUFS);
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_NO_MEMORY), 1);
	assert_int_equal(ip_poll_loopback(&rig.net), 0);
}

static void ip_poll_loopback__ends_although_receivers_answer(void **state)
{
	(void)state;
	delivered.answers = true;
	for (uint32_t i = 0; i < NET_LOOPBACK_MAX; i++)
		assert_int_equal(send_to(&path_v4, "x", 1), 0);
	assert_int_equal(ip_poll_loopback(&rig.net), 32);
	assert_int_equal(delivered.count, 32);
	assert_int_equal(rig.net.loopback_count, NET_LOOPBACK_MAX);
	/* What is left is freed at the end. */
}

static void ip_tx_loopback__keeps_that_it_went_to_a_group(void **state)
{
	struct path group = {.destination = rig.group, .to_group = true};

	(void)state;
	assert_int_equal(send_to(&group, "x", 1), 0);
	assert_int_equal(ip_poll_loopback(&rig.net), 1);
	assert_true(delivered.packet.to_group);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ip_tx_loopback__delivers_in_the_next_round),
		TEST(ip_tx_loopback__joins_the_pieces_of_a_chain),
		TEST(ip_tx_loopback__refuses_when_the_queue_is_full),
		TEST(ip_tx_loopback__refuses_without_memory),
		TEST(ip_poll_loopback__ends_although_receivers_answer),
		TEST(ip_tx_loopback__keeps_that_it_went_to_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
