/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

#include "wire/ipv4.h"

/* ---- Fakes ---- */

static struct buf *sent[256];
static uint32_t sent_count;
static uint32_t fail_at; /* this packet and all after it */

int ip_tx_link(struct net *net, const struct path *path, struct buf *buf)
{
	(void)path;
	if (sent_count == fail_at) {
		netdev_release_chain(net->device, buf);
		return -EHOSTUNREACH;
	}
	assert_true(sent_count < COUNT_OF(sent));
	sent[sent_count++] = buf;
	return 0;
}

uint32_t ip_header_bytes(const struct ip_send *send)
{
	uint32_t bytes = ip_address_is_v4(&send->path->destination) ? 20 : 40;

	return bytes + (send->router_alert ? (bytes == 20 ? 4 : 8) : 0);
}

uint8_t ip_hop_limit(const struct ip_send *send)
{
	return send->hop_limit ? send->hop_limit : 64;
}

uint16_t ip_identification(struct net *net)
{
	(void)net;
	return 0x1234;
}

/* ---- A packet ---- */

static uint8_t payload[65536];
static struct path path;
static struct ip_send send_data;
static unsigned int done_count;

static void done_told(struct buf_done *self)
{
	(void)self;
	done_count++;
}

static struct buf_done done = {done_told};

static int setup(void **state)
{
	sent_count = 0;
	fail_at = UINT32_MAX;
	done_count = 0;
	path = (struct path){.destination = V4(10, 0, 0, 7), .mtu = 1500};
	send_data = (struct ip_send){
		.path = &path,
		.source = V4(10, 0, 0, 2),
		.protocol = IPPROTO_UDP,
		.traffic_class = 0xb8,
	};
	if (rig_setup(state) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(net_random(&rig.net) >> 8);
	return 0;
}

static void use_v6(void)
{
	path.destination = V6(7);
	send_data.source = V6(2);
}

static void release_sent(void)
{
	for (uint32_t i = 0; i < sent_count; i++)
		netdev_release_chain(&rig.device, sent[i]);
	sent_count = 0;
}

/* A frame with @head bytes of the payload and references to the rest, which *object_out has. */
static struct buf *chain_of(uint32_t head, uint32_t length, struct buf **object_out)
{
	struct buf *chain = rig_frame(payload, head), *object = buf_alloc(rig.heap, length - head);

	assert_non_null(object);
	memcpy(object->data, payload + head, length - head);
	chain->next = netdev_reference(&rig.device, object->data, length - head);
	chain->next->transmit.done = &done;
	chain->next->flags |= BUF_DONE;
	*object_out = object;
	return chain;
}

static int send_chain(struct buf *chain)
{
	return ip_tx_fragments(&rig.net, &send_data, chain, buf_chain_length(chain));
}

/* All of the fragments say the same as @payload, in order, and fit; headers of @header_bytes. */
static void expect_payload(uint32_t length, uint32_t header_bytes)
{
	static uint8_t packet[65536];
	uint32_t at = 0;

	for (uint32_t i = 0; i < sent_count; i++) {
		uint32_t bytes = rig_flatten(sent[i], packet, sizeof(packet));

		assert_true(bytes <= path.mtu && bytes > header_bytes);
		bytes -= header_bytes;
		assert_true(i + 1 == sent_count || bytes % 8 == 0);
		assert_true(at + bytes <= length);
		assert_memory_equal(packet + header_bytes, payload + at, bytes);
		at += bytes;
	}
	assert_int_equal(at, length);
}

/* ---- Tests ---- */

/* RFC 791, section 3.2. */
static void ip_tx_fragments__cuts_an_ipv4_packet(void **state)
{
	/* 45 b8, total 1500, identification 1234, more fragments, TTL 64, UDP, checksum */
	static const uint8_t first[] = {0x45, 0xb8, 0x05, 0xdc, 0x12, 0x34, 0x20, 0x00, 0x40, 0x11,
					0x2e, 0x1d, 10,   0,    0,    2,    10,   0,    0,    7};
	/* total 20 + 40, offset 2960 / 8 = 0172 */
	static const uint8_t last[] = {0x45, 0xb8, 0x00, 0x3c, 0x12, 0x34, 0x01, 0x72, 0x40, 0x11,
				       0x52, 0x4b, 10,   0,    0,    2,    10,   0,    0,    7};
	struct buf *object;

	(void)state;
	assert_int_equal(send_chain(chain_of(8, 3000, &object)), 0);
	assert_int_equal(sent_count, 3);
	assert_memory_equal(sent[0]->data, first, sizeof(first));
	assert_memory_equal(sent[2]->data, last, sizeof(last));
	expect_payload(3000, 20);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].tx_packets, 3);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].tx_bytes, 3060);
	release_sent();
	buf_free(rig.heap, object);
}

/* RFC 8200, section 4.5. */
static void ip_tx_fragments__cuts_an_ipv6_packet(void **state)
{
	/* payload 1456 of 1280 - 40 rounded down: 8 + 1448 */
	uint8_t header[] = {0x6b, 0x80, 0, 0, 0x05, 0xb0, 44, 64, 0xfd, 0,    0,  0, 0, 0, 0,
			    0,    0,    0, 0, 0,    0,    0,  0,  2,    0xfd, 0,  0, 0, 0, 0,
			    0,    0,    0, 0, 0,    0,    0,  0,  0,    7,    17, 0, 0, 1};
	uint32_t identification;
	struct buf *object;

	(void)state;
	use_v6();
	assert_int_equal(send_chain(chain_of(8, 1500, &object)), 0);
	assert_int_equal(sent_count, 2);
	assert_memory_equal(sent[0]->data, header, sizeof(header));
	identification = load_be32(sent[0]->data + 44);
	header[4] = 0;
	header[5] = 8 + 52;
	store_be16(header + 42, 1448); /* and no more */
	assert_memory_equal(sent[1]->data, header, sizeof(header));
	assert_int_equal(load_be32(sent[1]->data + 44), identification);
	expect_payload(1500, 48);
	release_sent();
	buf_free(rig.heap, object);
	/* RFC 7739: the next one does not follow from it. */
	assert_int_equal(send_chain(chain_of(8, 1500, &object)), 0);
	assert_true(load_be32(sent[0]->data + 44) - identification > 1000);
	release_sent();
	buf_free(rig.heap, object);
}

static void ip_tx_fragments__refers_to_the_payload(void **state)
{
	struct buf *object;

	(void)state;
	assert_int_equal(send_chain(chain_of(8, 2960, &object)), 0);
	assert_int_equal(sent_count, 2);
	/* The transport's header is behind IP's. */
	assert_int_equal(sent[0]->length, 28);
	assert_ptr_equal(sent[0]->next->data, object->data);
	assert_int_equal(sent[0]->next->length, 1472);
	assert_int_equal(sent[1]->length, 20);
	assert_ptr_equal(sent[1]->next->data, object->data + 1472);
	/* The application frees it, and it stays what it was. */
	buf_free(rig.heap, object);
	expect_payload(2960, 20);
	release_sent();
}

/* Whoever keeps a fragment longest. */
static void ip_tx_fragments__tells_when_the_last_is_released(void **state)
{
	static const uint8_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
	struct buf *object;

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(orders); i++) {
		assert_int_equal(send_chain(chain_of(8, 4440, &object)), 0);
		assert_int_equal(sent_count, 3);
		for (uint32_t j = 0; j < 3; j++) {
			assert_int_equal(done_count, i);
			netdev_release_chain(&rig.device, sent[orders[i][j]]);
		}
		assert_int_equal(done_count, i + 1);
		sent_count = 0;
		buf_free(rig.heap, object);
	}
}

/* A device that takes no chains. */
static void ip_tx_fragments__copies_for_a_device_without_chains(void **state)
{
	struct buf *object;

	(void)state;
	rig.device.caps.segments_max = 1;
	assert_int_equal(send_chain(chain_of(8, 65000, &object)), 0);
	assert_int_equal(done_count, 1);
	memset(object->data, 0, 64992);
	buf_free(rig.heap, object);
	for (uint32_t i = 0; i < sent_count; i++)
		assert_null(sent[i]->next);
	expect_payload(65000, 20);
	release_sent();
	assert_int_equal(done_count, 1);
}

static void ip_tx_fragments__copies_when_no_shell_is_free(void **state)
{
	struct buf *taken[RIG_FRAMES], *object, *chain = chain_of(8, 2960, &object);
	uint32_t count = 0;

	(void)state;
	while (heap_frames_free(rig.device.shells) > 1)
		taken[count++] = netdev_reference(&rig.device, object->data, 1);
	assert_int_equal(send_chain(chain), 0);
	assert_non_null(sent[0]->next);
	assert_null(sent[1]->next);
	expect_payload(2960, 20);
	/* The one that refers tells. */
	assert_int_equal(done_count, 0);
	release_sent();
	assert_int_equal(done_count, 1);
	while (count > 0)
		netdev_release(&rig.device, taken[--count]);
	buf_free(rig.heap, object);
}

/* Pieces of odd lengths at odd places, fewer or more than the device takes. */
static void ip_tx_fragments__takes_chains_of_any_shape(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		struct buf *object = buf_alloc(rig.heap, 12000), *chain, *tail;
		uint32_t at = 1 + (uint32_t)(net_random(&rig.net) % 200);

		memcpy(object->data, payload, 12000);
		chain = tail = rig_frame(payload, at);
		while (at < 9000) {
			uint32_t length = (uint32_t)(net_random(&rig.net) % 900);

			tail->next = netdev_reference(&rig.device, object->data + at, length);
			tail = tail->next;
			at += length;
		}
		rig.device.caps.segments_max = 1 + round % 6;
		path.mtu = 576 + round;
		if (round & 1)
			use_v6();
		else
			path.destination = V4(10, 0, 0, 7);
		assert_int_equal(send_chain(chain), 0);
		for (uint32_t i = 0; i < sent_count; i++) {
			uint32_t bufs = 0;

			for (struct buf *buf = sent[i]; buf; buf = buf->next)
				bufs++;
			assert_true(bufs <= rig.device.caps.segments_max);
		}
		expect_payload(at, round & 1 ? 48 : 20);
		release_sent();
		buf_free(rig.heap, object);
	}
}

/* The device cannot do it over several packets. */
static void ip_tx_fragments__completes_the_checksum(void **state)
{
	struct buf *object, *chain = chain_of(9, 3001, &object);
	uint16_t pseudo = rig_sum((const uint8_t[]){10, 0, 0, 2, 10, 0, 0, 7, 0, 17, 0x0b, 0xb9},
				  12, 0);
	uint16_t sum;

	(void)state;
	store_be16(chain->data + 6, pseudo);
	chain->flags |= BUF_CHECKSUM;
	payload[6] = payload[7] = 0;
	sum = (uint16_t)~rig_sum(payload, 3001, pseudo);
	store_be16(payload + 6, sum);
	assert_int_equal(send_chain(chain), 0);
	expect_payload(3001, 20);
	for (uint32_t i = 0; i < sent_count; i++)
		assert_false(sent[i]->flags & BUF_CHECKSUM);
	release_sent();
	buf_free(rig.heap, object);
}

static void ip_tx_fragments__sends_all_or_none(void **state)
{
	struct buf *taken[RIG_FRAMES], *object;
	uint32_t count = 0;

	(void)state;
	while (heap_frames_free(rig.device.frames) > 3)
		taken[count++] = netdev_alloc(&rig.device);
	/* One for the chain itself: two are left, three are needed. */
	assert_int_equal(send_chain(chain_of(8, 3000, &object)), -ENOBUFS);
	assert_int_equal(sent_count, 0);
	assert_int_equal(done_count, 1);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_NO_FRAME), 1);
	buf_free(rig.heap, object);
	while (count > 0)
		netdev_release(&rig.device, taken[--count]);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	/* No memory for who waits. */
	{
		struct buf *chain = chain_of(8, 3000, &object);

		heap_fail_after(rig.heap, 0);
		assert_int_equal(send_chain(chain), -ENOBUFS);
		heap_fail_after(rig.heap, UINT64_MAX);
	}
	assert_int_equal(sent_count, 0);
	assert_int_equal(done_count, 2);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_NO_MEMORY), 1);
	buf_free(rig.heap, object);
}

static void ip_tx_fragments__stops_at_an_unreachable_neighbour(void **state)
{
	struct buf *object;

	(void)state;
	fail_at = 0;
	assert_int_equal(send_chain(chain_of(8, 9000, &object)), -EHOSTUNREACH);
	assert_int_equal(sent_count, 0);
	assert_int_equal(done_count, 1);
	/* Who refused the first has counted that; of 7 (9,008 bytes in pieces of 1,480) the others. */
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_NO_NEIGHBOUR), 6);
	buf_free(rig.heap, object);
}

static void ip_tx_fragments__refuses_too_many(void **state)
{
	struct buf *object;

	(void)state;
	path.mtu = 532; /* 128 fragments of 512 bytes are 65,536 */
	assert_int_equal(send_chain(chain_of(8, 65000, &object)), 0);
	assert_int_equal(sent_count, 127);
	release_sent();
	buf_free(rig.heap, object);
	path.mtu = 500;
	assert_int_equal(send_chain(chain_of(8, 65000, &object)), -EMSGSIZE);
	buf_free(rig.heap, object);
	path.mtu = 27;
	assert_int_equal(send_chain(chain_of(8, 65000, &object)), -EMSGSIZE);
	buf_free(rig.heap, object);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_TOO_BIG), 2);
	assert_int_equal(done_count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ip_tx_fragments__cuts_an_ipv4_packet),
		TEST(ip_tx_fragments__cuts_an_ipv6_packet),
		TEST(ip_tx_fragments__refers_to_the_payload),
		TEST(ip_tx_fragments__tells_when_the_last_is_released),
		TEST(ip_tx_fragments__copies_for_a_device_without_chains),
		TEST(ip_tx_fragments__copies_when_no_shell_is_free),
		TEST(ip_tx_fragments__takes_chains_of_any_shape),
		TEST(ip_tx_fragments__completes_the_checksum),
		TEST(ip_tx_fragments__sends_all_or_none),
		TEST(ip_tx_fragments__stops_at_an_unreachable_neighbour),
		TEST(ip_tx_fragments__refuses_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
