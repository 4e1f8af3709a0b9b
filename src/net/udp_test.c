/* SPDX-License-Identifier: MIT */
#include <time.h> /* before linux/errqueue.h, which needs it */

#include <linux/errqueue.h>

#include "net/udp_testing.h"

#define PORT 5000
#define PEER_PORT 7000
#define PEER V4(10, 0, 0, 9)
#define GROUP V4(239, 1, 2, 3)
/* In front of the UDP header of a received frame: Ethernet and IPv4. */
#define LOWER_BYTES 34u

/* ---- Arrivals ---- */

struct arrival {
	struct ip_address source, destination;
	uint16_t source_port, destination_port;
	uint32_t length;  /* of the payload */
	uint32_t padding; /* behind it */
	uint32_t flags;
	bool to_group, is_local, no_checksum, bad_checksum;
};

static struct ip_packet packet_of(const struct arrival *arrival)
{
	return (struct ip_packet){
		.source = arrival->source,
		.destination = arrival->destination,
		.protocol = 17,
		.is_v6 = !ip_address_is_v4(&arrival->destination),
		.to_group = arrival->to_group,
		.is_local = arrival->is_local,
		.is_frame = true,
	};
}

static void write_datagram(uint8_t *at, const struct arrival *arrival)
{
	uint32_t total = arrival->length + 8, sum;

	for (uint32_t i = 0; i < arrival->length + arrival->padding; i++)
		at[8 + i] = (uint8_t)(i + 1);
	memcpy(at,
	       (uint8_t[]){(uint8_t)(arrival->source_port >> 8), (uint8_t)arrival->source_port,
			   (uint8_t)(arrival->destination_port >> 8),
			   (uint8_t)arrival->destination_port, (uint8_t)(total >> 8),
			   (uint8_t)total, 0, 0},
	       8);
	if (arrival->no_checksum)
		return;
	sum = 0xffff ^ rig_udp_sum(&arrival->source, &arrival->destination, at, total);
	sum ^= arrival->bad_checksum ? 0x0100 : 0;
	at[6] = (uint8_t)(sum >> 8);
	at[7] = (uint8_t)sum;
}

/* Returns the frame, whoever has it now. */
static struct buf *arrive(const struct arrival *arrival)
{
	struct ip_packet packet = packet_of(arrival);
	struct buf *frame = netdev_alloc(&rig.device);

	assert_non_null(frame);
	frame->data += LOWER_BYTES;
	frame->length = 8 + arrival->length + arrival->padding;
	frame->flags = arrival->flags;
	/* What a device may have left there. */
	memset(&frame->source, 0xee, sizeof(frame->source));
	write_datagram(frame->data, arrival);
	udp_rx(&rig.net, &packet, frame);
	return frame;
}

static struct arrival from_peer(uint32_t length)
{
	return (struct arrival){.source = PEER,
				.destination = V4(10, 0, 0, 2),
				.source_port = PEER_PORT,
				.destination_port = PORT,
				.length = length};
}

static struct buf *arrive_from_peer(uint32_t length)
{
	struct arrival arrival = from_peer(length);

	return arrive(&arrival);
}

static void check_payload(const struct buf *buf, uint32_t length)
{
	assert_int_equal(buf->length, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(buf->data[i], (uint8_t)(i + 1));
}

/* ---- One socket ---- */

static void udp_rx__payload_is_not_copied(void **state)
{
	struct test_socket socket;
	struct buf *frame;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	frame = arrive_from_peer(10);
	assert_ptr_equal(socket.last, frame);
	assert_ptr_equal(frame->data,
			 (unsigned char *)frame + rig.device.data_offset + LOWER_BYTES + 8);
	check_payload(frame, 10);
	assert_int_equal(frame->source.ipv4.sin_family, AF_INET);
	assert_int_equal(frame->source.ipv4.sin_port, htobe16(PEER_PORT));
	assert_int_equal(frame->source.ipv4.sin_addr.s_addr, htobe32(0x0a000009));
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].rx_packets, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].rx_bytes, 18);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	test_socket_free_last(&socket);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	test_socket_fini(&socket);
}

static void udp_rx__an_empty_datagram_is_one(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	arrive_from_peer(0);
	assert_int_equal(socket.received, 1);
	assert_int_equal(socket.last->length, 0);
	socket.wants = false;
	arrive_from_peer(0);
	assert_int_equal(udp_take(&socket.udp)->length == 0, 1);
	assert_null(udp_take(&socket.udp));
	test_socket_fini(&socket);
	/* The one that was taken. */
	buf_free_all(rig.heap);
}

static void udp_rx__source_of_ipv6_and_mapped(void **state)
{
	struct arrival arrival = from_peer(4);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY6, PORT);
	arrive(&arrival);
	assert_int_equal(socket.last->source.ipv6.sin6_family, AF_INET6);
	assert_memory_equal(socket.last->source.ipv6.sin6_addr.s6_addr,
			    "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x09", 16);
	arrival.source = V6(9);
	arrival.destination = V6(2);
	arrive(&arrival);
	assert_int_equal(socket.received, 2);
	assert_memory_equal(socket.last->source.ipv6.sin6_addr.s6_addr,
			    "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
	assert_int_equal(socket.last->source.ipv6.sin6_port, htobe16(PEER_PORT));
	assert_int_equal(socket.last->source.ipv6.sin6_scope_id, 0);
	assert_int_equal(socket.last->source.ipv6.sin6_flowinfo, 0);
	test_socket_fini(&socket);
}

static void udp_rx__v6_only_takes_no_ipv4(void **state)
{
	const struct ip_address any = ANY6;
	struct test_socket socket;

	(void)state;
	test_socket_init(&socket, true);
	socket.udp.v6_only = true;
	assert_int_equal(udp_bind(&socket.udp, &any, PORT), 0);
	arrive_from_peer(4);
	assert_int_equal(socket.received, 0);
	assert_int_equal(rig.icmp_errors, 1);
	test_socket_fini(&socket);
}

static void udp_rx__mapped_address_takes_no_ipv6(void **state)
{
	const struct ip_address any = ANY4;
	struct arrival arrival = from_peer(4);
	struct test_socket socket;

	(void)state;
	test_socket_init(&socket, true);
	assert_int_equal(udp_bind(&socket.udp, &any, PORT), 0);
	arrive(&arrival);
	assert_int_equal(socket.received, 1);
	arrival.source = V6(9);
	arrival.destination = V6(2);
	arrive(&arrival);
	assert_int_equal(socket.received, 1);
	assert_int_equal(rig_drops(NET_DROP_NO_PORT), 1);
	test_socket_fini(&socket);
}

/* RFC 768: 0 is none; RFC 8200, 8.1: not over IPv6. */
static void udp_rx__checksums(void **state)
{
	struct arrival arrival = from_peer(5);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY6, PORT);
	arrival.bad_checksum = true;
	arrive(&arrival);
	assert_int_equal(socket.received, 0);
	assert_int_equal(rig_drops(WIRE_BAD_CHECKSUM), 1);
	arrival.flags = BUF_CHECKED;
	arrive(&arrival);
	arrival.flags = 0;
	arrival.is_local = true;
	arrive(&arrival);
	assert_int_equal(socket.received, 2);
	arrival = from_peer(5);
	arrival.no_checksum = true;
	arrive(&arrival);
	assert_int_equal(socket.received, 3);
	arrival.source = V6(9);
	arrival.destination = V6(2);
	arrive(&arrival);
	assert_int_equal(socket.received, 3);
	assert_int_equal(rig_drops(WIRE_NO_CHECKSUM), 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].rx_packets, 5);
	test_socket_fini(&socket);
}

static void udp_rx__what_the_link_padded_is_cut_off(void **state)
{
	struct arrival arrival = from_peer(3);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	arrival.padding = 15;
	arrive(&arrival);
	check_payload(socket.last, 3);
	test_socket_fini(&socket);
}

static void udp_rx__hostile_lengths(void **state)
{
	static const struct {
		uint32_t length; /* of the IP payload */
		uint16_t total, port;
		unsigned int reason;
	} cases[] = {
		{0, 8, PORT, WIRE_TRUNCATED},        {7, 8, PORT, WIRE_TRUNCATED},
		{8, 0, PORT, WIRE_BAD_TOTAL_LENGTH}, {8, 7, PORT, WIRE_BAD_TOTAL_LENGTH},
		{8, 9, PORT, WIRE_TRUNCATED},        {20, 21, PORT, WIRE_TRUNCATED},
		{20, 65535, PORT, WIRE_TRUNCATED},   {20, 20, 0, WIRE_BAD_PORT},
	};
	struct arrival arrival = from_peer(0);
	struct ip_packet packet = packet_of(&arrival);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t before = rig_drops(cases[i].reason);
		struct buf *frame = netdev_alloc(&rig.device);
		/* At the end of the frame: the sanitizer sees what is read behind it. */
		unsigned char *end = (unsigned char *)frame + 2048;
		uint8_t header[20] = {PEER_PORT >> 8,
				      PEER_PORT & 0xff,
				      (uint8_t)(cases[i].port >> 8),
				      (uint8_t)cases[i].port,
				      (uint8_t)(cases[i].total >> 8),
				      (uint8_t)cases[i].total};

		frame->data = end - cases[i].length;
		frame->length = cases[i].length;
		memcpy(frame->data, header, cases[i].length);
		udp_rx(&rig.net, &packet, frame);
		assert_int_equal(rig_drops(cases[i].reason), before + 1);
		assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	}
	assert_int_equal(socket.received, 0);
	assert_int_equal(rig.icmp_errors, 0);
	test_socket_fini(&socket);
}

/* RFC 1122, 4.1.3.1; but never about what went to several: 3.2.2. */
static void udp_rx__no_port(void **state)
{
	struct arrival arrival = from_peer(4);

	(void)state;
	arrive(&arrival);
	assert_int_equal(rig.icmp_errors, 1);
	/* To us alone, in a frame to all. */
	arrival.to_group = true;
	arrive(&arrival);
	arrival.destination = GROUP;
	arrive(&arrival);
	assert_int_equal(rig.icmp_errors, 1);
	assert_int_equal(rig_drops(NET_DROP_NO_PORT), 3);
}

/* Which goes to one socket, as any packet to us alone. */
static void udp_rx__a_frame_to_all_with_a_packet_to_us(void **state)
{
	const struct ip_address own = V4(10, 0, 0, 2);
	struct arrival arrival = from_peer(4);
	struct test_socket sockets[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		test_socket_init(&sockets[i], false);
		sockets[i].udp.reuse_address = true;
		assert_int_equal(udp_bind(&sockets[i].udp, &own, PORT), 0);
	}
	arrival.to_group = true;
	arrive(&arrival);
	assert_int_equal(sockets[0].received + sockets[1].received, 1);
	test_socket_fini(&sockets[0]);
	test_socket_fini(&sockets[1]);
}

/* ---- Which socket ---- */

static void udp_rx__the_most_specific_wins(void **state)
{
	/* Bound in every order; bit 0 connected, 1 bound, 2 wildcard. */
	static const unsigned int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const struct ip_address peer = PEER, addresses[] = {V4(10, 0, 0, 2), V4(10, 0, 0, 2), ANY4};
	struct arrival arrival = from_peer(4);

	(void)state;
	for (size_t order = 0; order < COUNT_OF(orders); order++) {
		struct test_socket sockets[3];

		for (unsigned int i = 0; i < 3; i++) {
			unsigned int which = orders[order][i];

			test_socket_init(&sockets[which], false);
			sockets[which].udp.reuse_address = true;
			assert_int_equal(udp_bind(&sockets[which].udp, &addresses[which], PORT), 0);
		}
		assert_int_equal(udp_connect(&sockets[0].udp, &peer, PEER_PORT), 0);
		arrival = from_peer(4);
		arrive(&arrival);
		arrival.source_port++;
		arrive(&arrival);
		arrival = from_peer(4);
		arrival.source = V4(10, 0, 0, 8);
		arrive(&arrival);
		arrival.destination = V4(10, 0, 0, 3);
		arrive(&arrival);
		assert_int_equal(sockets[0].received, 1);
		assert_int_equal(sockets[1].received, 2);
		assert_int_equal(sockets[2].received, 1);
		for (unsigned int i = 0; i < 3; i++)
			test_socket_fini(&sockets[i]);
	}
	assert_int_equal(rig.icmp_errors, 0);
}

static void udp_rx__connected_hears_its_peer_alone(void **state)
{
	const struct ip_address peer = PEER;
	struct arrival arrival = from_peer(4);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	assert_int_equal(udp_connect(&socket.udp, &peer, PEER_PORT), 0);
	arrive(&arrival);
	arrival.source_port++;
	arrive(&arrival);
	arrival = from_peer(4);
	arrival.destination = V4(10, 0, 0, 3);
	arrive(&arrival);
	assert_int_equal(socket.received, 1);
	assert_int_equal(rig.icmp_errors, 2);
	test_socket_fini(&socket);
}

static void udp_rx__ipv4_goes_to_the_ipv4_socket_first(void **state)
{
	struct test_socket v4, v6;
	const struct ip_address any4 = ANY4, any6 = ANY6;

	(void)state;
	test_socket_init(&v4, false);
	test_socket_init(&v6, true);
	v4.udp.reuse_address = v6.udp.reuse_address = true;
	assert_int_equal(udp_bind(&v4.udp, &any4, PORT), 0);
	assert_int_equal(udp_bind(&v6.udp, &any6, PORT), 0);
	arrive_from_peer(4);
	assert_int_equal(v4.received, 1);
	assert_int_equal(v6.received, 0);
	test_socket_fini(&v4);
	test_socket_fini(&v6);
}

static void udp_rx__reuse_port_shares_by_source(void **state)
{
	const struct ip_address any = ANY4, other = V4(10, 0, 0, 3);
	struct test_socket sockets[4], elsewhere;
	unsigned int counts[4];

	(void)state;
	/* One that shares the port, but not the address. */
	test_socket_init(&elsewhere, false);
	elsewhere.udp.reuse_port = true;
	assert_int_equal(udp_bind(&elsewhere.udp, &other, PORT), 0);
	for (unsigned int i = 0; i < 4; i++) {
		test_socket_init(&sockets[i], false);
		sockets[i].udp.reuse_port = true;
		assert_int_equal(udp_bind(&sockets[i].udp, &any, PORT), 0);
	}
	for (unsigned int round = 0; round < 2; round++) {
		struct arrival arrival = from_peer(4);

		for (unsigned int i = 0; i < 4; i++)
			counts[i] = sockets[i].received;
		for (unsigned int i = 0; i < 400; i++) {
			arrival.source_port = (uint16_t)(1000 + i);
			arrive(&arrival);
		}
	}
	for (unsigned int i = 0; i < 4; i++) {
		/* 100 of 400 expected, standard deviation 8.7; and again the same ones. */
		assert_in_range(counts[i], 50, 150);
		assert_int_equal(sockets[i].received, 2 * counts[i]);
		test_socket_fini(&sockets[i]);
	}
	assert_int_equal(elsewhere.received, 0);
	test_socket_fini(&elsewhere);
}

/* ---- Groups: RFC 1122, 4.1.3.5 ---- */

static void udp_rx__every_member_gets_a_groups_datagram(void **state)
{
	const struct ip_address any = ANY4, group = GROUP;
	struct arrival arrival = from_peer(600);
	struct test_socket sockets[4]; /* three members; the last has not joined */
	struct buf *frame;
	unsigned int originals = 0;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		test_socket_init(&sockets[i], false);
		sockets[i].udp.reuse_address = true;
		assert_int_equal(udp_bind(&sockets[i].udp, i == 1 ? &group : &any, PORT), 0);
		if (i < 3)
			assert_int_equal(udp_join(&sockets[i].udp, &group), 0);
	}
	arrival.destination = GROUP;
	arrival.to_group = true;
	frame = arrive(&arrival);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(sockets[i].received, 1);
		check_payload(sockets[i].last, 600);
		assert_int_equal(sockets[i].last->source.ipv4.sin_port, htobe16(PEER_PORT));
		originals += sockets[i].last == frame;
	}
	assert_int_equal(originals, 1);
	assert_int_equal(sockets[3].received, 0);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	for (unsigned int i = 0; i < 4; i++)
		test_socket_fini(&sockets[i]);
}

static void udp_rx__a_copy_that_cannot_be_made_is_counted(void **state)
{
	const struct ip_address any = ANY4, group = GROUP;
	struct arrival arrival = from_peer(600);
	struct test_socket sockets[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		test_socket_init(&sockets[i], false);
		sockets[i].udp.reuse_address = true;
		assert_int_equal(udp_bind(&sockets[i].udp, &any, PORT), 0);
		assert_int_equal(udp_join(&sockets[i].udp, &group), 0);
	}
	arrival.destination = GROUP;
	arrival.to_group = true;
	heap_fail_after(rig.heap, 0);
	arrive(&arrival);
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(sockets[0].received + sockets[1].received, 1);
	assert_int_equal(rig_drops(NET_DROP_NO_MEMORY), 1);
	assert_int_equal(sockets[0].udp.queue_drops + sockets[1].udp.queue_drops, 1);
	for (unsigned int i = 0; i < 2; i++)
		test_socket_fini(&sockets[i]);
}

static void udp_rx__who_hears_a_group(void **state)
{
	const struct ip_address group = GROUP, other = V4(239, 1, 2, 4), peer = V4(10, 0, 0, 8);
	struct test_socket unicast, stranger, connected;
	struct arrival arrival = from_peer(4);

	(void)state;
	test_socket_bind(&unicast, V4(10, 0, 0, 2), PORT);
	assert_int_equal(udp_join(&unicast.udp, &group), 0);
	arrival.destination = GROUP;
	arrival.to_group = true;
	arrive(&arrival);
	test_socket_fini(&unicast);
	test_socket_bind(&stranger, ANY4, PORT);
	assert_int_equal(udp_join(&stranger.udp, &other), 0);
	arrive(&arrival);
	/* 224.0.0.1 nobody has to join. */
	assert_int_equal(stranger.received, 0);
	arrival.destination = V4(224, 0, 0, 1);
	arrive(&arrival);
	assert_int_equal(stranger.received, 1);
	test_socket_fini(&stranger);
	arrival.destination = GROUP;
	test_socket_bind(&connected, GROUP, PORT);
	assert_int_equal(udp_join(&connected.udp, &group), 0);
	assert_int_equal(udp_connect(&connected.udp, &peer, PEER_PORT), 0);
	arrive(&arrival);
	assert_int_equal(connected.received, 0);
	arrival.source = peer;
	arrive(&arrival);
	assert_int_equal(connected.received, 1);
	test_socket_fini(&connected);
	assert_int_equal(unicast.received, 0);
	assert_int_equal(rig_drops(NET_DROP_NO_PORT), 3);
}

static void udp_rx__broadcast_goes_to_all_without_an_address(void **state)
{
	const struct ip_address any4 = ANY4, any6 = ANY6, own = V4(10, 0, 0, 2);
	struct test_socket wild, dual, specific;
	struct arrival arrival = from_peer(4);

	(void)state;
	test_socket_init(&wild, false);
	test_socket_init(&dual, true);
	test_socket_init(&specific, false);
	wild.udp.reuse_address = dual.udp.reuse_address = specific.udp.reuse_address = true;
	assert_int_equal(udp_bind(&wild.udp, &any4, PORT), 0);
	assert_int_equal(udp_bind(&dual.udp, &any6, PORT), 0);
	assert_int_equal(udp_bind(&specific.udp, &own, PORT), 0);
	arrival.destination = V4(10, 0, 0, 255);
	arrival.to_group = true;
	arrive(&arrival);
	arrival.destination = V4(255, 255, 255, 255);
	arrive(&arrival);
	assert_int_equal(wild.received, 2);
	assert_int_equal(dual.received, 2);
	assert_int_equal(dual.last->source.any.sa_family, AF_INET6);
	assert_int_equal(specific.received, 0);
	test_socket_fini(&wild);
	test_socket_fini(&dual);
	test_socket_fini(&specific);
}

/* ---- What waits ---- */

static void udp_queue__keeps_the_order(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	arrive_from_peer(1);
	/* A pop that comes now takes what waits before. */
	socket.wants = true;
	arrive_from_peer(300);
	arrive_from_peer(2);
	assert_int_equal(socket.received, 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct buf *buf = udp_take(&socket.udp);

		check_payload(buf, (uint32_t[]){1, 300, 2}[i]);
		assert_null(buf->next);
		assert_int_equal(buf->source.ipv4.sin_port, htobe16(PEER_PORT));
		assert_int_equal(buf_free(rig.heap, buf), 0);
	}
	assert_null(udp_take(&socket.udp));
	assert_int_equal(socket.udp.queue_bytes, 0);
	assert_int_equal(rig.net.udp->queue_bytes, 0);
	arrive_from_peer(3);
	assert_int_equal(socket.received, 1);
	/* And once more from the start. */
	socket.wants = false;
	arrive_from_peer(4);
	assert_int_equal(socket.udp.queue_head->length, 4);
	test_socket_fini(&socket);
}

static void udp_queue__small_ones_do_not_keep_frames(void **state)
{
	struct test_socket socket;
	struct buf *frame;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	frame = arrive_from_peer(256);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	assert_ptr_not_equal(socket.udp.queue_head, frame);
	check_payload(socket.udp.queue_head, 256);
	assert_int_equal(socket.udp.queue_bytes, 64 + 256);
	frame = arrive_from_peer(257);
	assert_ptr_equal(socket.udp.queue_tail, frame);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	assert_int_equal(socket.udp.queue_bytes, 64 + 256 + 2048);
	test_socket_fini(&socket);
}

static void udp_queue__is_bounded_by_memory(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	socket.udp.queue_bytes_max = 2048 + 64 + 10;
	arrive_from_peer(1000);
	arrive_from_peer(11);
	assert_int_equal(socket.udp.queue_drops, 1);
	arrive_from_peer(10);
	assert_int_equal(socket.udp.queue_bytes, socket.udp.queue_bytes_max);
	arrive_from_peer(0);
	assert_int_equal(socket.udp.queue_drops, 2);
	assert_int_equal(rig_drops(NET_DROP_QUEUE_FULL), 2);
	/* Lowered below what is there. */
	socket.udp.queue_bytes_max = 1;
	arrive_from_peer(10);
	assert_int_equal(socket.udp.queue_drops, 3);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	test_socket_fini(&socket);
}

static void udp_queue__all_sockets_are_bounded_together(void **state)
{
	struct test_socket a, b;

	(void)state;
	test_socket_bind(&a, V4(10, 0, 0, 2), PORT);
	test_socket_bind(&b, V4(10, 0, 0, 3), PORT);
	a.wants = b.wants = false;
	rig.net.udp->queue_bytes_max = 2 * 2048 - 1;
	for (unsigned int i = 0; i < 2; i++) {
		struct arrival arrival = from_peer(1000);

		arrival.destination.bytes[15] = (uint8_t)(2 + i);
		arrive(&arrival);
	}
	assert_int_equal(a.udp.queue_drops, 0);
	assert_int_equal(b.udp.queue_drops, 1);
	/* One byte more is enough. */
	rig.net.udp->queue_bytes_max++;
	arrive_from_peer(1000);
	assert_int_equal(a.udp.queue_drops, 0);
	assert_int_equal(rig.net.udp->queue_bytes, 2 * 2048);
	test_socket_fini(&a);
	assert_int_equal(rig.net.udp->queue_bytes, 0);
	test_socket_fini(&b);
}

static void udp_queue__a_slow_reader_leaves_frames(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	for (unsigned int i = 0; i < 2 * RIG_FRAMES; i++)
		arrive_from_peer(1000);
	/* A quarter stays free. */
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES / 4);
	assert_int_equal(socket.udp.queue_drops, 0);
	for (unsigned int i = 0; i < 2 * RIG_FRAMES; i++) {
		struct buf *buf = udp_take(&socket.udp);

		check_payload(buf, 1000);
		assert_int_equal(buf_free(rig.heap, buf), 0);
	}
	test_socket_fini(&socket);
}

static void udp_queue__no_memory_for_a_copy(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	heap_fail_after(rig.heap, 0);
	arrive_from_peer(10);
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(rig_drops(NET_DROP_NO_MEMORY), 1);
	assert_int_equal(socket.udp.queue_drops, 1);
	assert_null(udp_take(&socket.udp));
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	test_socket_fini(&socket);
}

/* Of ip_alloc, as after reassembly and from ourselves: not a frame, and larger. */
static void udp_queue__what_is_no_frame_is_not_copied(void **state)
{
	struct arrival arrival = from_peer(100);
	struct ip_packet packet = packet_of(&arrival);
	struct buf *buf = buf_alloc(rig.heap, 4000);
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	heap_hold(rig.heap, buf);
	heap_free_buf(rig.heap, buf);
	write_datagram(buf->data, &arrival);
	buf->length = 108;
	packet.is_frame = false;
	udp_rx(&rig.net, &packet, buf);
	assert_ptr_equal(socket.udp.queue_head, buf);
	assert_int_equal(socket.udp.queue_bytes, 4064);
	check_payload(buf, 100);
	test_socket_fini(&socket);
}

static void udp_socket_fini__drops_what_waits(void **state)
{
	const struct ip_address groups[] = {GROUP, V4(239, 1, 2, 4)};
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.wants = false;
	assert_int_equal(udp_join(&socket.udp, &groups[0]), 0);
	assert_int_equal(udp_join(&socket.udp, &groups[1]), 0);
	arrive_from_peer(1000);
	arrive_from_peer(10);
	udp_socket_fini(&socket.udp);
	assert_int_equal(rig.joined_count, 0);
	assert_int_equal(rig.net.udp->queue_bytes, 0);
	assert_null(rig.net.udp->ports[PORT]);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	arrive_from_peer(10);
	assert_int_equal(rig_drops(NET_DROP_NO_PORT), 1);
}

/* ---- Errors ---- */

static struct quoted_packet quoted_of(void)
{
	return (struct quoted_packet){.source = V4(10, 0, 0, 2),
				      .destination = PEER,
				      .protocol = 17,
				      .source_port = PORT,
				      .destination_port = PEER_PORT};
}

/* RFC 1122, 4.1.3.3. */
static void udp_error__tells_the_connected_socket(void **state)
{
	struct quoted_packet quoted = quoted_of();
	const struct ip_address peer = PEER;
	struct test_socket socket;

	(void)state;
	assert_false(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	test_socket_bind(&socket, ANY4, PORT);
	assert_true(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	assert_int_equal(socket.failed, 0);
	assert_int_equal(udp_connect(&socket.udp, &peer, PEER_PORT), 0);
	assert_true(udp_error(&rig.net, &quoted, 0, 0));
	assert_int_equal(socket.failed, 0);
	assert_true(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	assert_int_equal(socket.failed, 1);
	assert_int_equal(socket.error, ECONNREFUSED);
	test_socket_fini(&socket);
}

static void udp_error__believes_nothing_else(void **state)
{
	const struct ip_address peer = PEER;
	struct quoted_packet quoted = quoted_of();
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, V4(10, 0, 0, 2), PORT);
	assert_int_equal(udp_connect(&socket.udp, &peer, PEER_PORT), 0);
	quoted.source_port++;
	assert_false(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	quoted = quoted_of();
	quoted.source = V4(10, 0, 0, 3);
	assert_false(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	quoted = quoted_of();
	quoted.destination_port++;
	udp_error(&rig.net, &quoted, ECONNREFUSED, 0);
	quoted = quoted_of();
	quoted.destination = V4(10, 0, 0, 8);
	udp_error(&rig.net, &quoted, ECONNREFUSED, 0);
	assert_int_equal(socket.failed, 0);
	test_socket_fini(&socket);
}

/* Also of a socket without a peer, with where the datagram went. */
static void udp_error__is_reported_to_who_asked(void **state)
{
	struct quoted_packet quoted = quoted_of();
	struct sock_extended_err report;
	struct test_socket socket;

	(void)state;
	quoted.error_type = 3;
	quoted.error_code = 4;
	test_socket_bind(&socket, ANY4, PORT);
	assert_true(udp_error(&rig.net, &quoted, ECONNREFUSED, 0));
	assert_int_equal(socket.failed, 0);
	socket.udp.receives_errors = true;
	assert_true(udp_error(&rig.net, &quoted, 0, 0));
	assert_true(udp_error(&rig.net, &quoted, EMSGSIZE, 1400));
	assert_int_equal(socket.failed, 0);
	socket.udp.mtu_discover = IP_PMTUDISC_DO;
	assert_true(udp_error(&rig.net, &quoted, EMSGSIZE, 1400));
	assert_int_equal(socket.failed, 1);
	assert_int_equal(socket.error, EMSGSIZE);
	assert_non_null(socket.last);
	assert_int_equal(socket.last->length, sizeof(report));
	memcpy(&report, socket.last->data, sizeof(report));
	assert_int_equal(report.ee_errno, EMSGSIZE);
	assert_int_equal(report.ee_origin, SO_EE_ORIGIN_ICMP);
	assert_int_equal(report.ee_type, 3);
	assert_int_equal(report.ee_code, 4);
	assert_int_equal(report.ee_info, 1400);
	assert_int_equal(be16toh(socket.last->source.ipv4.sin_port), PEER_PORT);
	assert_int_equal(be32toh(socket.last->source.ipv4.sin_addr.s_addr), 0x0a000009);
	test_socket_free_last(&socket);
	test_socket_fini(&socket);
}

static void udp_error__too_big_for_who_asked(void **state)
{
	const struct ip_address peer = PEER;
	struct quoted_packet quoted = quoted_of();
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	assert_int_equal(udp_connect(&socket.udp, &peer, PEER_PORT), 0);
	assert_true(udp_error(&rig.net, &quoted, EMSGSIZE, 0));
	assert_int_equal(socket.failed, 0);
	socket.udp.mtu_discover = IP_PMTUDISC_DO;
	assert_true(udp_error(&rig.net, &quoted, EMSGSIZE, 0));
	assert_int_equal(socket.failed, 1);
	test_socket_fini(&socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(udp_rx__payload_is_not_copied),
		rig_test(udp_rx__an_empty_datagram_is_one),
		rig_test(udp_rx__source_of_ipv6_and_mapped),
		rig_test(udp_rx__v6_only_takes_no_ipv4),
		rig_test(udp_rx__mapped_address_takes_no_ipv6),
		rig_test(udp_rx__checksums),
		rig_test(udp_rx__what_the_link_padded_is_cut_off),
		rig_test(udp_rx__hostile_lengths),
		rig_test(udp_rx__no_port),
		rig_test(udp_rx__a_frame_to_all_with_a_packet_to_us),
		rig_test(udp_rx__the_most_specific_wins),
		rig_test(udp_rx__connected_hears_its_peer_alone),
		rig_test(udp_rx__ipv4_goes_to_the_ipv4_socket_first),
		rig_test(udp_rx__reuse_port_shares_by_source),
		rig_test(udp_rx__every_member_gets_a_groups_datagram),
		rig_test(udp_rx__a_copy_that_cannot_be_made_is_counted),
		rig_test(udp_rx__who_hears_a_group),
		rig_test(udp_rx__broadcast_goes_to_all_without_an_address),
		rig_test(udp_queue__keeps_the_order),
		rig_test(udp_queue__small_ones_do_not_keep_frames),
		rig_test(udp_queue__is_bounded_by_memory),
		rig_test(udp_queue__all_sockets_are_bounded_together),
		rig_test(udp_queue__a_slow_reader_leaves_frames),
		rig_test(udp_queue__no_memory_for_a_copy),
		rig_test(udp_queue__what_is_no_frame_is_not_copied),
		rig_test(udp_socket_fini__drops_what_waits),
		rig_test(udp_error__tells_the_connected_socket),
		rig_test(udp_error__believes_nothing_else),
		rig_test(udp_error__is_reported_to_who_asked),
		rig_test(udp_error__too_big_for_who_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
