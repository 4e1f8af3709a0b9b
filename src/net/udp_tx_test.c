/* SPDX-License-Identifier: MIT */
#include "net/udp_testing.h"

#include "net/udp_fast.h"

#define PORT 5000
#define PEER V4(10, 0, 0, 9)
#define PEER_PORT 7000
/* What IP and Ethernet need in front of a UDP header: 40 + 8 + 18. */
#define LOWER_BYTES_MAX 66u

static unsigned int prepared;

void udp_prepare_fast(struct udp_socket *socket, const struct ip_address *source, uint16_t port)
{
	assert_true(ip_address_equal(source, &rig.send.source));
	assert_true(path_is_valid(socket->net, &socket->path, &rig.destination));
	assert_int_equal(port, rig.bytes[2] << 8 | rig.bytes[3]);
	prepared++;
}

static int setup_protected(void **state)
{
	(void)state;
	return rig_setup_heap(true);
}

/* ---- Arrays and sockets ---- */

/* Told when the device is done. */
static struct told {
	struct buf_done done;
	unsigned int count;
} told;

static void count_done(struct buf_done *self)
{
	((struct told *)self)->count++;
}

static void fill(unsigned char *data, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		data[i] = (unsigned char)(i * 7 + 3);
}

static demi_sgarray_t sga_of(void *data, uint32_t length)
{
	demi_sgarray_t sga = {.sga_numsegs = 1};

	sga.sga_segs[0] = (demi_sgaseg_t){data, length};
	return sga;
}

static void *filled(uint32_t length)
{
	unsigned char *data = heap_alloc(rig.heap, length);

	assert_non_null(data);
	fill(data, length);
	return data;
}

static int send_to(struct test_socket *sender, const demi_sgarray_t *sga, struct ip_address peer,
		   uint16_t port)
{
	bool waits = true;
	int error;

	told = (struct told){.done.done = count_done};
	error = udp_tx(&sender->udp, sga, &peer, port, &told.done, &waits);
	assert_ptr_equal(told.done.done, count_done);
	/* Never told within the call. */
	assert_int_equal(told.count, 0);
	if (waits) {
		assert_int_equal(error, 0);
		assert_non_null(rig.kept);
	}
	return waits ? 1 : error;
}

/* Send so many bytes of the heap to the peer: 0, 1 when it waits, or -errno. */
static int send_bytes(struct test_socket *sender, uint32_t length)
{
	void *data = filled(length);
	demi_sgarray_t sga = sga_of(data, length);
	int result = send_to(sender, &sga, PEER, PEER_PORT);

	heap_free(rig.heap, data);
	return result;
}

/* What ip_tx got is a datagram with this payload of @fill and a right checksum. */
static void check_sent(uint32_t length)
{
	unsigned char expected[2048];

	assert_true(length <= sizeof(expected));
	fill(expected, length);
	assert_int_equal(rig.length, 8 + length);
	assert_int_equal(rig.bytes[0] << 8 | rig.bytes[1], PORT);
	assert_int_equal(rig.bytes[2] << 8 | rig.bytes[3], PEER_PORT);
	assert_int_equal(rig.bytes[4] << 8 | rig.bytes[5], 8 + length);
	assert_memory_equal(rig.bytes + 8, expected, length);
	assert_int_equal(rig_udp_sum(&rig.send.source, &rig.destination, rig.bytes, rig.length),
			 0xffff);
	assert_int_not_equal(rig.bytes[6] << 8 | rig.bytes[7], 0);
}

static struct test_socket sender;

static void open_socket(struct ip_address address)
{
	test_socket_bind(&sender, address, PORT);
}

static void close_socket(void)
{
	if (rig.kept)
		rig_release();
	test_socket_fini(&sender);
}

/* ---- The short way ---- */

/* Ports 5000 and 7000 from 10.0.0.2 to 10.0.0.9: sums worked out by hand. */
static void udp_tx__bytes_of_a_datagram(void **state)
{
	static const uint8_t expected[] = {0x13, 0x88, 0x1b, 0x58, 0,  11,
					   0xf8, 0x8a, 'a',  'b',  'c'};
	char *data = heap_alloc(rig.heap, 3);
	demi_sgarray_t sga = sga_of(memcpy(data, "abc", 3), 3);

	(void)state;
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.length, sizeof(expected));
	assert_memory_equal(rig.bytes, expected, sizeof(expected));
	assert_int_equal(rig.send.protocol, 17);
	assert_int_equal(ip_address_low32(&rig.send.source), 0x0a000002);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].tx_packets, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].tx_bytes, 11);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__short_payload_is_copied(void **state)
{
	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_bytes(&sender, 1024), 0);
	assert_int_equal(rig.segments, 1);
	assert_int_equal(heap_frames_free(rig.device.shells), RIG_FRAMES);
	check_sent(1024);
	/* Room for what stands in front. */
	assert_true(rig.first_data - (unsigned char *)rig.kept - rig.device.room_offset >=
		    NETDEV_HEAD_ROOM);
	close_socket();
}

static void udp_tx__over_ipv6(void **state)
{
	void *data = filled(100);
	demi_sgarray_t sga = sga_of(data, 100);

	(void)state;
	open_socket(ANY6);
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), 0);
	assert_true(ip_address_equal(&rig.send.source, &rig.net.addresses[2].ip));
	check_sent(100);
	/* To IPv4 by the same socket. */
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(ip_address_low32(&rig.send.source), 0x0a000002);
	check_sent(100);
	heap_free(rig.heap, data);
	close_socket();
}

/* RFC 768: a sum of 0 is sent as all ones. */
static void udp_tx__a_checksum_of_0(void **state)
{
	uint8_t *data = heap_alloc(rig.heap, 2);
	demi_sgarray_t sga = sga_of(data, 2);

	(void)state;
	open_socket(ANY4);
	/* 0a00+0002 + 0a00+0009 + 0011 + 000a + 1388+1b58+000a = 0x4310: what is missing to ffff. */
	memcpy(data, "\xbc\xef", 2);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.bytes[6] << 8 | rig.bytes[7], 0xffff);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__the_device_sums(void **state)
{
	void *data = filled(100);
	demi_sgarray_t sga = sga_of(data, 100);
	uint32_t sum;

	(void)state;
	open_socket(ANY6);
	rig.device.caps.checksum_v4 = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_true(rig.first_flags & BUF_CHECKSUM);
	assert_int_equal(rig.transmit.protocol, 17);
	assert_false(rig.transmit.is_v6);
	/* The pseudo header alone, not inverted. */
	sum = 0x0a00 + 0x0002 + 0x0a00 + 0x0009 + 17 + 108;
	assert_int_equal(rig.bytes[6] << 8 | rig.bytes[7], sum);
	/* Only IPv4's. */
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), 0);
	assert_false(rig.first_flags & BUF_CHECKSUM);
	check_sent(100);
	rig.device.caps.checksum_v6 = true;
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), 0);
	assert_true(rig.first_flags & BUF_CHECKSUM);
	assert_true(rig.transmit.is_v6);
	heap_free(rig.heap, data);
	close_socket();
}

/* Only a short one that goes where the one before went makes headers for the next. */
static void udp_tx__prepares_the_next(void **state)
{
	(void)state;
	open_socket(ANY4);
	prepared = 0;
	assert_int_equal(send_bytes(&sender, 1024), 0);
	assert_int_equal(prepared, 0);
	assert_int_equal(send_bytes(&sender, 1024), 0);
	assert_int_equal(prepared, 1);
	assert_int_equal(send_bytes(&sender, 1025), 0);
	rig.tx_error = -ENOBUFS;
	assert_int_equal(send_bytes(&sender, 10), -ENOBUFS);
	assert_int_equal(prepared, 1);
	close_socket();
}

/* Headers are for who comes again. */
static void udp_tx__prepares_nothing_for_peers_by_turns(void **state)
{
	void *data = filled(100);
	demi_sgarray_t sga = sga_of(data, 100);

	(void)state;
	open_socket(ANY4);
	prepared = 0;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(send_to(&sender, &sga, V4(10, 0, 0, 8), PEER_PORT), 0);
		assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	}
	assert_int_equal(prepared, 0);
	heap_free(rig.heap, data);
	close_socket();
}

/* ---- By reference ---- */

static void udp_tx__long_payload_goes_by_reference(void **state)
{
	unsigned char *data = filled(1400);
	demi_sgarray_t sga = sga_of(data, 1400);

	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 1);
	assert_int_equal(rig.segments, 2);
	assert_ptr_equal(rig.kept->next->data, data);
	assert_true(heap_is_held(rig.heap, data));
	check_sent(1400);
	/* Freed by the application, it lives until the device is done. */
	heap_free(rig.heap, data);
	assert_ptr_equal(heap_object(rig.heap, data), data);
	rig_release();
	assert_int_equal(told.count, 1);
	assert_null(heap_object(rig.heap, data));
	close_socket();
}

/* Pieces of odd lengths: each at an odd offset counts with its bytes exchanged. */
static void udp_tx__segments_of_odd_lengths(void **state)
{
	static const uint32_t lengths[] = {1, 333, 2, 501, 7, 1, 400, 5};
	demi_sgarray_t sga = {.sga_numsegs = COUNT_OF(lengths)};
	unsigned char whole[2048], *at = whole;
	void *data[COUNT_OF(lengths)];

	(void)state;
	fill(whole, 1250);
	for (size_t i = 0; i < COUNT_OF(lengths); at += lengths[i++]) {
		data[i] = heap_alloc(rig.heap, lengths[i]);
		memcpy(data[i], at, lengths[i]);
		sga.sga_segs[i] = (demi_sgaseg_t){data[i], lengths[i]};
	}
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 1);
	assert_int_equal(rig.segments, 1 + COUNT_OF(lengths));
	check_sent(1250);
	for (struct buf *buf = rig.kept->next; buf->next; buf = buf->next)
		assert_false(buf->flags & BUF_DONE);
	rig_release();
	assert_int_equal(told.count, 1);
	/* The same, when the device takes fewer. */
	rig.device.caps.segments_max = COUNT_OF(lengths);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 1);
	check_sent(1250);
	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		heap_free(rig.heap, data[i]);
	close_socket();
}

static void udp_tx__foreign_memory_is_copied(void **state)
{
	unsigned char *own = filled(1100), foreign[300];
	demi_sgarray_t sga = sga_of(own, 1100);

	(void)state;
	memset(foreign, 5, sizeof(foreign));
	sga.sga_segs[sga.sga_numsegs++] = (demi_sgaseg_t){foreign, sizeof(foreign)};
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 1);
	assert_int_equal(rig.length, 1408);
	assert_memory_equal(rig.bytes + 8, own, 1100);
	assert_memory_equal(rig.bytes + 1108, foreign, 300);
	assert_false(heap_is_held(rig.heap, own));
	heap_free(rig.heap, own);
	close_socket();
}

/* More than a frame holds, and the device takes no chain of that length: a copy of our own. */
static void udp_tx__longer_than_a_frame(void **state)
{
	unsigned char *data = malloc(UDP_PAYLOAD_BYTES_MAX);
	demi_sgarray_t sga = sga_of(data, UDP_PAYLOAD_BYTES_MAX);

	(void)state;
	assert_non_null(data);
	fill(data, UDP_PAYLOAD_BYTES_MAX);
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	assert_int_equal(rig.length, UDP_PAYLOAD_BYTES_MAX + 8);
	assert_memory_equal(rig.bytes + 8, data, UDP_PAYLOAD_BYTES_MAX);
	assert_int_equal(rig_udp_sum(&rig.send.source, &rig.destination, rig.bytes, rig.length),
			 0xffff);
	/* Just what fits, and one more. */
	rig_release();
	sga.sga_segs[0].sgaseg_len = 2048 - rig.device.data_offset - 8;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 1);
	rig_release();
	sga.sga_segs[0].sgaseg_len++;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	rig_release();
	heap_fail_after(rig.heap, 0);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENOBUFS);
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(rig_drops(NET_DROP_NO_MEMORY), 1);
	free(data);
	close_socket();
}

/* ---- In a received frame ---- */

/* A frame that the application has, its payload @length bytes; as udp_rx gives it. */
static struct buf *received_frame(uint32_t room, uint32_t length)
{
	struct buf *frame = netdev_alloc(&rig.device);

	assert_non_null(frame);
	frame->data = (unsigned char *)frame + rig.device.room_offset + room;
	frame->length = length;
	fill(frame->data, length);
	frame_give(rig.heap, frame);
	return frame;
}

static bool is_in_place(const struct buf *frame)
{
	return rig.segments == 1 && rig.first_data == frame->data - 8;
}

static void udp_tx__headers_in_front_of_the_payload(void **state)
{
	struct buf *frame = received_frame(LOWER_BYTES_MAX + 8, 1400);
	demi_sgarray_t sga = sga_of(frame->data, 1400);

	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 1);
	assert_true(is_in_place(frame));
	check_sent(1400);
	/* One shell and no other frame; what a lower layer writes stays inside. */
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	assert_int_equal(heap_frames_free(rig.device.shells), RIG_FRAMES - 1);
	assert_ptr_equal(buf_prepend(rig.kept, LOWER_BYTES_MAX),
			 (unsigned char *)frame + rig.device.room_offset);
	assert_int_equal(buf_free(rig.heap, frame), 0);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES - 1);
	assert_int_equal(told.count, 0);
	rig_release();
	assert_int_equal(told.count, 1);
	assert_int_equal(heap_frames_free(rig.device.frames), RIG_FRAMES);
	close_socket();
}

static void udp_tx__in_place_even_for_one_segment(void **state)
{
	struct buf *frame = received_frame(200, 1400);
	demi_sgarray_t sga = sga_of(frame->data, 1400);

	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	rig.device.caps.segments_max = 1;
	rig.device.caps.checksum_v4 = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 1);
	assert_true(is_in_place(frame));
	assert_true(rig.first_flags & BUF_CHECKSUM);
	assert_true(rig.first_flags & BUF_DONE);
	rig_release();
	assert_int_equal(told.count, 1);
	buf_free(rig.heap, frame);
	close_socket();
}

/* A part of the payload, from its start on, is the application's choice. */
static void udp_tx__in_place_from_the_payloads_start_or_before(void **state)
{
	struct buf *frame = received_frame(200, 1500);
	demi_sgarray_t sga = sga_of(frame->data, 1300);

	(void)state;
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_ptr_equal(rig.first_data, frame->data - 8);
	sga = sga_of(frame->data - 20, 1300);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_ptr_equal(rig.first_data, frame->data - 28);
	/* In front of this are bytes of the application. */
	sga = sga_of(frame->data + 1, 1300);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	buf_free(rig.heap, frame);
	close_socket();
}

static void udp_tx__not_in_place_without_head_room(void **state)
{
	struct buf *frame = received_frame(LOWER_BYTES_MAX + 7, 1400);
	demi_sgarray_t sga = sga_of(frame->data, 1400);

	(void)state;
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	check_sent(1400);
	buf_free(rig.heap, frame);
	close_socket();
}

static void udp_tx__not_in_place_when_another_has_the_frame(void **state)
{
	struct buf *frame = received_frame(200, 1400);
	demi_sgarray_t sga = sga_of(frame->data, 1400);

	(void)state;
	open_socket(ANY4);
	heap_hold(rig.heap, frame);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	heap_release(rig.heap, frame);
	/* As the same payload that is still on its way elsewhere. */
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 1);
	assert_true(is_in_place(frame));
	{
		struct buf *first = rig.kept;

		rig.kept = NULL;
		assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT + 1), 1);
		assert_int_equal(rig.segments, 2);
		rig_release();
		/* Untouched by the second. */
		assert_int_equal(first->data[2] << 8 | first->data[3], PEER_PORT);
		netdev_release_chain(&rig.device, first);
	}
	buf_free(rig.heap, frame);
	close_socket();
}

static void udp_tx__not_in_place_with_a_second_segment(void **state)
{
	struct buf *frame = received_frame(200, 1300);
	unsigned char *more = filled(100);
	demi_sgarray_t sga = sga_of(frame->data, 1300);

	(void)state;
	sga.sga_segs[sga.sga_numsegs++] = (demi_sgaseg_t){more, 100};
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 3);
	heap_free(rig.heap, more);
	buf_free(rig.heap, frame);
	close_socket();
}

static void udp_tx__not_in_place_outside_of_frames(void **state)
{
	struct buf *buf = buf_alloc(rig.heap, 2000);
	demi_sgarray_t sga = sga_of(buf->data + 200, 1400);

	(void)state;
	buf->data += 200;
	fill(buf->data, 1400);
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	check_sent(1400);
	buf_free(rig.heap, buf);
	close_socket();
}

static void udp_tx__not_in_place_when_short(void **state)
{
	struct buf *frame = received_frame(200, 1024);
	demi_sgarray_t sga = sga_of(frame->data, 1024);

	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 1);
	assert_ptr_not_equal(rig.first_data, frame->data - 8);
	buf_free(rig.heap, frame);
	close_socket();
}

/* The pages of what was pushed may not be written to, but a lower layer would. */
static void udp_tx__not_in_place_with_write_protection(void **state)
{
	struct buf *frame = received_frame(200, 1400);
	demi_sgarray_t sga = sga_of(frame->data, 1400);

	(void)state;
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.segments, 2);
	buf_free(rig.heap, frame);
	close_socket();
}

/* ---- Who waits ---- */

static void udp_tx__done_within_the_call_is_not_told(void **state)
{
	(void)state;
	open_socket(ANY4);
	/* As to ourselves: copied and released before ip_tx returns. */
	rig.keeps = false;
	assert_int_equal(send_bytes(&sender, 1400), 0);
	assert_int_equal(rig.segments, 2);
	assert_int_equal(told.count, 0);
	rig.tx_error = -EHOSTUNREACH;
	assert_int_equal(send_bytes(&sender, 1400), -EHOSTUNREACH);
	assert_int_equal(told.count, 0);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_UDP].tx_packets, 1);
	close_socket();
}

static void udp_tx__nobody_waits(void **state)
{
	unsigned char *data = filled(1400);
	demi_sgarray_t sga = sga_of(data, 1400);
	const struct ip_address peer = PEER;
	bool waits = true;

	(void)state;
	open_socket(ANY4);
	rig.keeps = true;
	assert_int_equal(udp_tx(&sender.udp, &sga, &peer, PEER_PORT, NULL, &waits), 0);
	assert_false(waits);
	for (struct buf *buf = rig.kept; buf; buf = buf->next)
		assert_false(buf->flags & BUF_DONE);
	heap_free(rig.heap, data);
	close_socket();
}

/* ---- Errors ---- */

static void udp_tx__frames_and_shells_run_out(void **state)
{
	struct buf *frames[RIG_FRAMES], *shells[RIG_FRAMES], *frame = received_frame(200, 1400);
	unsigned char *data = filled(1400);
	demi_sgarray_t sga = sga_of(data, 1400), in_place = sga_of(frame->data, 1400);
	unsigned int count = RIG_FRAMES - 1;

	(void)state;
	open_socket(ANY4);
	for (unsigned int i = 0; i < count; i++) {
		frames[i] = netdev_alloc(&rig.device);
		assert_non_null(frames[i]);
	}
	assert_int_equal(send_bytes(&sender, 10), -ENOBUFS);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENOBUFS);
	for (unsigned int i = 0; i < count; i++)
		netdev_release(&rig.device, frames[i]);
	for (unsigned int i = 0; i < RIG_FRAMES; i++)
		shells[i] = netdev_reference(&rig.device, data, 1);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENOBUFS);
	assert_int_equal(send_to(&sender, &in_place, PEER, PEER_PORT), -ENOBUFS);
	rig.device.caps.segments_max = 1;
	assert_int_equal(rig_drops(NET_DROP_NO_FRAME), 4);
	assert_int_equal(rig.sent, 0);
	/* A copy needs none. */
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	for (unsigned int i = 0; i < RIG_FRAMES; i++)
		netdev_release(&rig.device, shells[i]);
	heap_free(rig.heap, data);
	buf_free(rig.heap, frame);
	close_socket();
}

static void udp_tx__what_cannot_be_sent(void **state)
{
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);
	bool waits;

	(void)state;
	open_socket(ANY4);
	assert_int_equal(send_to(&sender, &sga, PEER, 0), -EINVAL);
	assert_int_equal(udp_tx(&sender.udp, &sga, NULL, PEER_PORT, NULL, &waits), -EDESTADDRREQ);
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), -EAFNOSUPPORT);
	assert_int_equal(send_to(&sender, &sga, V4(255, 255, 255, 255), PEER_PORT), -EACCES);
	assert_int_equal(send_to(&sender, &sga, V4(10, 0, 0, 255), PEER_PORT), -EACCES);
	rig.path_error = -ENETUNREACH;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENETUNREACH);
	rig.path_error = 0;
	test_socket_fini(&sender);
	test_socket_init(&sender, true);
	sender.udp.v6_only = true;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENETUNREACH);
	test_socket_fini(&sender);
	open_socket(V6(2));
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -ENETUNREACH);
	assert_int_equal(rig.sent, 0);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__from_which_address(void **state)
{
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);

	(void)state;
	open_socket(V4(10, 0, 0, 3));
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(ip_address_low32(&rig.send.source), 0x0a000003);
	/* It is ours no more. */
	rig.net.addresses[1].ip = V4(10, 0, 0, 4);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -EADDRNOTAVAIL);
	test_socket_fini(&sender);
	open_socket(V4(127, 0, 0, 1));
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -EADDRNOTAVAIL);
	assert_int_equal(send_to(&sender, &sga, V4(127, 0, 0, 2), PEER_PORT), 0);
	assert_int_equal(ip_address_low32(&rig.send.source), 0x7f000001);
	test_socket_fini(&sender);
	/* Nobody sends from a group. */
	open_socket(V4(239, 1, 2, 3));
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(ip_address_low32(&rig.send.source), 0x0a000002);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__an_unspecified_peer_is_ourselves(void **state)
{
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);

	(void)state;
	open_socket(ANY6);
	assert_int_equal(send_to(&sender, &sga, ANY4, PEER_PORT), 0);
	assert_int_equal(ip_address_low32(&rig.destination), 0x7f000001);
	assert_int_equal(send_to(&sender, &sga, ANY6, PEER_PORT), 0);
	assert_true(ip_address_equal(&rig.destination, &(struct ip_address){{[15] = 1}}));
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__a_socket_without_a_port_gets_one(void **state)
{
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);

	(void)state;
	test_socket_init(&sender, false);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_in_range(sender.udp.local_port, 49152, 65535);
	assert_int_equal(rig.bytes[0] << 8 | rig.bytes[1], sender.udp.local_port);
	/* It hears answers at every address. */
	assert_true(ip_address_is_unspecified(&sender.udp.local));
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__to_the_connected_peer(void **state)
{
	const struct ip_address peer = PEER;
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);
	bool waits = true;

	(void)state;
	open_socket(ANY4);
	assert_int_equal(udp_connect(&sender.udp, &peer, PEER_PORT), 0);
	assert_int_equal(udp_tx(&sender.udp, &sga, NULL, 0, NULL, &waits), 0);
	assert_false(waits);
	check_sent(10);
	/* And to another one. */
	assert_int_equal(send_to(&sender, &sga, V4(10, 0, 0, 8), 1), 0);
	assert_int_equal(ip_address_low32(&rig.destination), 0x0a000008);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__the_path_is_found_once(void **state)
{
	(void)state;
	open_socket(ANY4);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(send_bytes(&sender, 10), 0);
	assert_int_equal(rig.paths_found, 1);
	rig.net.generation++;
	assert_int_equal(send_bytes(&sender, 10), 0);
	assert_int_equal(rig.paths_found, 2);
	close_socket();
}

/* ---- Lengths ---- */

static void udp_tx__the_longest(void **state)
{
	unsigned char *data = filled(UDP_PAYLOAD_BYTES_MAX_V6 + 1);
	demi_sgarray_t sga = sga_of(data, UDP_PAYLOAD_BYTES_MAX + 1);

	(void)state;
	open_socket(ANY6);
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), -EMSGSIZE);
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), 0);
	sga.sga_segs[0].sgaseg_len = UDP_PAYLOAD_BYTES_MAX;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.bytes[4] << 8 | rig.bytes[5], 65515);
	sga.sga_segs[0].sgaseg_len = UDP_PAYLOAD_BYTES_MAX_V6;
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), 0);
	assert_int_equal(rig.bytes[4] << 8 | rig.bytes[5], 65535);
	sga.sga_segs[0].sgaseg_len++;
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), -EMSGSIZE);
	/* 4 GiB and 10 bytes are not 10. */
	for (unsigned int i = 0; i < 2; i++)
		sga.sga_segs[i] = (demi_sgaseg_t){data, i ? 11 : UINT32_MAX};
	sga.sga_numsegs = 2;
	assert_int_equal(send_to(&sender, &sga, V6(9), PEER_PORT), -EMSGSIZE);
	heap_free(rig.heap, data);
	close_socket();
}

static void udp_tx__dont_fragment(void **state)
{
	(void)state;
	open_socket(ANY4);
	sender.udp.mtu_discover = IP_PMTUDISC_DONT;
	assert_int_equal(send_bytes(&sender, 1473), 0);
	assert_false(rig.send.dont_fragment || rig.send.atomic);
	sender.udp.mtu_discover = IP_PMTUDISC_WANT;
	assert_int_equal(send_bytes(&sender, 1473), 0);
	assert_false(rig.send.dont_fragment);
	assert_true(rig.send.atomic);
	sender.udp.mtu_discover = IP_PMTUDISC_DO;
	assert_int_equal(send_bytes(&sender, 1473), -EMSGSIZE);
	assert_int_equal(send_bytes(&sender, 1472), 0);
	assert_true(rig.send.dont_fragment);
	close_socket();
}

/* ---- Options ---- */

static void udp_tx__hop_limits(void **state)
{
	void *data = filled(10);
	demi_sgarray_t sga = sga_of(data, 10);
	const struct ip_address group6 = ip_address_v6_halves(0xff02000000000000, 0xfb);

	(void)state;
	open_socket(ANY6);
	sender.udp.broadcast = true;
	sender.udp.traffic_class = 0xb8;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 0);
	assert_int_equal(rig.send.traffic_class, 0xb8);
	assert_int_equal(send_to(&sender, &sga, V4(239, 1, 2, 3), PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 1);
	assert_true(rig.send.loop);
	assert_int_equal(send_to(&sender, &sga, group6, PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 1);
	assert_int_equal(send_to(&sender, &sga, V4(255, 255, 255, 255), PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 64);
	sender.udp.hop_limit = 7;
	sender.udp.multicast_v6.hop_limit = 9;
	sender.udp.multicast_v6.loop = false;
	assert_int_equal(send_to(&sender, &sga, PEER, PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 7);
	assert_int_equal(send_to(&sender, &sga, V4(10, 0, 0, 255), PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 7);
	assert_int_equal(send_to(&sender, &sga, group6, PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 9);
	assert_false(rig.send.loop);
	/* Each version has its own. */
	assert_int_equal(send_to(&sender, &sga, V4(239, 1, 2, 3), PEER_PORT), 0);
	assert_int_equal(rig.send.hop_limit, 1);
	assert_true(rig.send.loop);
	assert_false(rig.send.stays);
	sender.udp.multicast_v4.hop_limit = 0;
	assert_int_equal(send_to(&sender, &sga, V4(239, 1, 2, 3), PEER_PORT), 0);
	assert_true(rig.send.stays);
	heap_free(rig.heap, data);
	close_socket();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(udp_tx__bytes_of_a_datagram),
		rig_test(udp_tx__short_payload_is_copied),
		rig_test(udp_tx__over_ipv6),
		rig_test(udp_tx__a_checksum_of_0),
		rig_test(udp_tx__the_device_sums),
		rig_test(udp_tx__prepares_the_next),
		rig_test(udp_tx__prepares_nothing_for_peers_by_turns),
		rig_test(udp_tx__long_payload_goes_by_reference),
		rig_test(udp_tx__segments_of_odd_lengths),
		rig_test(udp_tx__foreign_memory_is_copied),
		rig_test(udp_tx__longer_than_a_frame),
		rig_test(udp_tx__headers_in_front_of_the_payload),
		rig_test(udp_tx__in_place_even_for_one_segment),
		rig_test(udp_tx__in_place_from_the_payloads_start_or_before),
		rig_test(udp_tx__not_in_place_without_head_room),
		rig_test(udp_tx__not_in_place_when_another_has_the_frame),
		rig_test(udp_tx__not_in_place_with_a_second_segment),
		rig_test(udp_tx__not_in_place_outside_of_frames),
		rig_test(udp_tx__not_in_place_when_short),
		cmocka_unit_test_setup_teardown(udp_tx__not_in_place_with_write_protection,
						setup_protected, rig_teardown),
		rig_test(udp_tx__done_within_the_call_is_not_told),
		rig_test(udp_tx__nobody_waits),
		rig_test(udp_tx__frames_and_shells_run_out),
		rig_test(udp_tx__what_cannot_be_sent),
		rig_test(udp_tx__from_which_address),
		rig_test(udp_tx__an_unspecified_peer_is_ourselves),
		rig_test(udp_tx__a_socket_without_a_port_gets_one),
		rig_test(udp_tx__to_the_connected_peer),
		rig_test(udp_tx__the_path_is_found_once),
		rig_test(udp_tx__the_longest),
		rig_test(udp_tx__dont_fragment),
		rig_test(udp_tx__hop_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
