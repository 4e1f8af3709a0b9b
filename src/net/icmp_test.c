/* SPDX-License-Identifier: MIT */
#define RIG_IP_ALLOC
#include "net/ip_testing.h"

#include "net/icmp.h"
#include "net/tcp/tcp.h"
#include "net/udp.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"

#define MESSAGE_MAX 65536u

/* ---- Fakes ---- */

static struct {
	/* ip_tx */
	unsigned int sent;
	struct path path;
	struct ip_send send;
	struct buf *buf; /* the first of the chain, for its address alone */
	uint32_t bufs;
	uint32_t length;
	uint8_t bytes[MESSAGE_MAX];
	/* udp_error, pmtu_lower */
	unsigned int errors, tcp_errors, unreachable;
	struct quoted_packet quoted;
	int error;
	unsigned int lowered;
	uint32_t mtu;
	bool is_unknown; /* no socket has sent that */
	int path_error;
	uint32_t path_mtu;
	/* the listener's */
	unsigned int replies;
	struct icmp_echo echo;
	/* icmp6_tx_error */
	unsigned int errors6;
} called;

int path_find(struct net *net, struct path *path, const struct ip_address *destination)
{
	*path = (struct path){
		.destination = *destination,
		.source = ip_address_is_v4(destination) ? net->addresses[0].ip
							: net->addresses[1].ip,
		.mtu = called.path_mtu,
		.is_local = net_has_address(net, destination) != NULL,
	};
	return called.path_error;
}

uint32_t ip_header_bytes(const struct ip_send *send)
{
	return ip_address_is_v4(&send->path->destination) ? 20 : 40;
}

int ip_tx(struct net *net, const struct ip_send *send, struct buf *buf)
{
	called.sent++;
	called.send = *send;
	called.path = *send->path;
	called.buf = buf;
	called.bufs = 0;
	for (struct buf *at = buf; at; at = at->next)
		called.bufs++;
	called.length = rig_flatten(buf, called.bytes, sizeof(called.bytes));
	/* It must have the room that ip_tx and Ethernet need. */
	assert_true(buf->data - ((uint8_t *)buf + net->device->room_offset) >= 40 + 14);
	netdev_release_chain(net->device, buf);
	return 0;
}

bool udp_error(struct net *net, const struct quoted_packet *quoted, int error, uint32_t mtu)
{
	(void)net;
	(void)mtu;
	called.errors++;
	called.quoted = *quoted;
	called.error = error;
	return !called.is_unknown;
}

bool tcp_is_ours(struct net *net, const struct quoted_packet *quoted)
{
	(void)net;
	(void)quoted;
	return !called.is_unknown;
}

bool tcp_error(struct net *net, const struct quoted_packet *quoted, int error)
{
	called.tcp_errors++;
	/* The path's new MTU is known before. */
	assert_true(error != EMSGSIZE || called.is_unknown || called.lowered);
	(void)net;
	(void)quoted;
	called.error = error;
	return !called.is_unknown;
}

void tcp_unreachable(struct net *net, const struct quoted_packet *quoted)
{
	(void)net;
	called.unreachable++;
	called.quoted = *quoted;
}

void pmtu_lower(struct net *net, const struct ip_address *destination, uint32_t mtu)
{
	(void)net;
	(void)destination;
	called.lowered++;
	called.mtu = mtu;
}

uint32_t pmtu_plateau(uint32_t total_bytes)
{
	return total_bytes - 8;
}

void icmp6_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		    uint8_t code, uint32_t pointer)
{
	(void)net;
	(void)packet;
	(void)problem;
	(void)code;
	(void)pointer;
	called.errors6++;
}

/* ---- Messages ---- */

static struct ip_packet from_peer(bool is_v6)
{
	return (struct ip_packet){
		.source = is_v6 ? V6(7) : V4(10, 0, 0, 7),
		.destination = is_v6 ? V6(2) : V4(10, 0, 0, 2),
		.protocol = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.is_v6 = is_v6,
		.is_frame = true,
	};
}

static int setup(void **state)
{
	memset(&called, 0, sizeof(called));
	called.path_mtu = 1500;
	return rig_setup(state) || icmp_create(&rig.net);
}

static int teardown(void **state)
{
	icmp_destroy(&rig.net);
	return rig_teardown(state);
}

/* With its checksum. */
static struct buf *message_of(const uint8_t *bytes, uint32_t length)
{
	struct buf *buf = rig_frame(bytes, length);

	store_be16(buf->data + 2, 0);
	store_be16(buf->data + 2, (uint16_t)~rig_sum(buf->data, length, 0));
	return buf;
}

static uint64_t dropped(unsigned int reason)
{
	return rig_drops(NET_LAYER_ICMP, reason);
}

static const uint8_t request[] = {8, 0, 0, 0, 0x12, 0x34, 0, 7, 'p', 'a', 'y', 'l', 'o', 'a', 'd'};

/* ---- Echo ---- */

/* RFC 792, page 14; RFC 1122, section 3.2.2.6: the data comes back, from where it went. */
static void icmp_rx__answers_echo_in_the_frame_itself(void **state)
{
	struct ip_packet packet = from_peer(false);
	struct buf *buf = message_of(request, sizeof(request));

	(void)state;
	packet.traffic_class = 0x2e;
	buf->flags = BUF_CHECKED;
	icmp_rx(&rig.net, &packet, buf);
	assert_int_equal(called.sent, 1);
	assert_ptr_equal(called.buf, buf);
	assert_int_equal(called.length, sizeof(request));
	assert_int_equal(called.bytes[0], 0);
	assert_memory_equal(called.bytes + 4, request + 4, sizeof(request) - 4);
	assert_int_equal(rig_sum(called.bytes, called.length, 0), 0xffff);
	assert_true(ip_address_equal(&called.path.destination, &packet.source));
	assert_true(ip_address_equal(&called.send.source, &packet.destination));
	assert_int_equal(called.send.protocol, IPPROTO_ICMP);
	assert_int_equal(called.send.traffic_class, 0x2e);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_ICMP].tx_bytes, sizeof(request));
}

static void icmp_rx__answers_every_echo_with_a_right_checksum(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		uint8_t bytes[64] = {8};
		uint32_t length = 8 + i % 56;

		/* Few bits, so that sums of 0 and ffff come about. */
		for (uint32_t j = 4; i >= 60 && j < length; j++)
			bytes[j] = net_random(&rig.net) % 4 ? 0 : (uint8_t)net_random(&rig.net);
		if (i % 3 == 0)
			store_be16(bytes + 4, (uint16_t)(0xf7ff - (i & 1)));
		rig.net.now_ns += SECOND_NS;
		icmp_rx(&rig.net, &packet, message_of(bytes, length));
		assert_int_equal(called.sent, i + 1);
		assert_int_equal(rig_sum(called.bytes, called.length, 0), 0xffff);
	}
}

/* Of a device that leaves no room in front of what it receives. */
static void icmp_rx__answers_from_another_frame_without_head_room(void **state)
{
	struct ip_packet packet = from_peer(false);
	struct buf *buf = message_of(request, sizeof(request));

	(void)state;
	memmove((uint8_t *)buf + 64 + 20, buf->data, buf->length);
	buf->data = (uint8_t *)buf + 64 + 20;
	icmp_rx(&rig.net, &packet, buf);
	assert_int_equal(called.sent, 1);
	assert_ptr_not_equal(called.buf, buf);
	assert_int_equal(called.bytes[0], 0);
	assert_memory_equal(called.bytes + 4, request + 4, sizeof(request) - 4);
}

/* What was put together or has come by loopback is no frame; the largest ping: 65,507 bytes. */
static void icmp_rx__answers_large_echoes(void **state)
{
	static const uint32_t lengths[] = {8, 1480, 1481, 65515};
	struct ip_packet packet = from_peer(false);

	(void)state;
	packet.is_frame = false;
	packet.was_fragmented = true;
	for (uint32_t i = 0; i < COUNT_OF(lengths); i++) {
		struct buf *buf = ip_alloc(&rig.net, lengths[i]);
		static uint8_t payload[65536];

		for (uint32_t j = 0; j < lengths[i]; j++)
			buf->data[j] = payload[j] = (uint8_t)(j * 7);
		buf->length = lengths[i];
		memcpy(buf->data, request, 8);
		store_be16(buf->data + 2, (uint16_t)~rig_sum(buf->data, lengths[i], 0));
		icmp_rx(&rig.net, &packet, buf);
		assert_int_equal(called.sent, i + 1);
		assert_int_equal(called.length, lengths[i]);
		/* One frame if it fits one, and never a heap's buffer first. */
		assert_int_equal(called.bufs, lengths[i] <= 1480 ? 1 : 2);
		assert_memory_equal(called.bytes + 8, payload + 8, lengths[i] - 8);
		assert_int_equal(rig_sum(called.bytes, lengths[i], 0), 0xffff);
	}
}

static void icmp_rx__drops_echoes_without_frames(void **state)
{
	struct ip_packet packet = from_peer(false);
	struct buf *taken[RIG_FRAMES], *buf = ip_alloc(&rig.net, 2000);
	uint32_t count = 0;

	(void)state;
	packet.is_frame = false;
	memset(buf->data, 0, 2000);
	memcpy(buf->data, request, 8);
	buf->length = 2000;
	store_be16(buf->data + 2, (uint16_t)~rig_sum(buf->data, 2000, 0));
	while (heap_frames_free(rig.device.frames) > 0)
		taken[count++] = netdev_alloc(&rig.device);
	icmp_rx(&rig.net, &packet, buf);
	assert_int_equal(called.sent, 0);
	assert_int_equal(dropped(NET_DROP_NO_FRAME), 1);
	while (count > 0)
		netdev_release(&rig.device, taken[--count]);
}

/* RFC 1122, section 3.2.2.6. */
static void icmp_rx__is_silent_to_groups(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	packet.to_group = true;
	icmp_rx(&rig.net, &packet, message_of(request, sizeof(request)));
	assert_int_equal(called.sent, 0);
	assert_int_equal(dropped(WIRE_BAD_DESTINATION), 1);
}

static void icmp_rx__drops_what_the_parser_refuses(void **state)
{
	struct ip_packet packet = from_peer(false);
	uint8_t bytes[sizeof(request)];

	(void)state;
	for (uint32_t length = 0; length < 8; length++)
		icmp_rx(&rig.net, &packet, rig_frame(request, length));
	assert_int_equal(dropped(WIRE_TRUNCATED), 8);
	memcpy(bytes, request, sizeof(bytes));
	icmp_rx(&rig.net, &packet, rig_frame(bytes, sizeof(bytes)));
	assert_int_equal(dropped(WIRE_BAD_CHECKSUM), 1);
	bytes[0] = 5; /* redirect */
	icmp_rx(&rig.net, &packet, message_of(bytes, sizeof(bytes)));
	bytes[0] = 13; /* timestamp */
	icmp_rx(&rig.net, &packet, message_of(bytes, sizeof(bytes)));
	assert_int_equal(dropped(WIRE_BAD_TYPE), 2);
	assert_int_equal(called.sent, 0);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_ICMP].rx_packets, 11);
}

static void icmp_rx__drops_echo_without_a_way_back(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	called.path_error = -ENETUNREACH;
	icmp_rx(&rig.net, &packet, message_of(request, sizeof(request)));
	assert_int_equal(dropped(NET_DROP_NO_ROUTE), 1);
	packet.source = ip_address_v4(0);
	icmp_rx(&rig.net, &packet, message_of(request, sizeof(request)));
	assert_int_equal(dropped(WIRE_BAD_SOURCE), 1);
	assert_int_equal(called.sent, 0);
}

/* RFC 4443, section 4.2: to a group from an address of ours, with the checksum of that. */
static void icmp_echo_answer__turns_icmp6(void **state)
{
	/* fd00::2 and fd00::7, length 15, 58 */
	uint16_t pseudo = rig_sum((const uint8_t[]){0xfd, 0, 0, 2, 0xfd, 0, 0, 7, 0, 15, 0, 58}, 12,
				  0);
	uint8_t bytes[sizeof(request)];

	(void)state;
	memcpy(bytes, request, sizeof(bytes));
	bytes[0] = 128;
	for (int to_group = 0; to_group < 2; to_group++) {
		struct ip_packet packet = from_peer(true);
		uint16_t asked = pseudo;

		if (to_group) {
			packet.destination = IPV6_ALL_NODES;
			packet.to_group = true;
			asked = rig_sum(
				(const uint8_t[]){0xff, 2, 0, 1, 0xfd, 0, 0, 7, 0, 15, 0, 58}, 12,
				0);
		}
		store_be16(bytes + 2, 0);
		store_be16(bytes + 2, (uint16_t)~rig_sum(bytes, sizeof(bytes), asked));
		icmp_echo_answer(&rig.net, &packet, rig_frame(bytes, sizeof(bytes)));
		assert_int_equal(called.sent, to_group + 1);
		assert_int_equal(called.bytes[0], 129);
		assert_int_equal(rig_sum(called.bytes, called.length, pseudo), 0xffff);
		assert_true(ip_address_equal(&called.send.source, &rig.net.addresses[1].ip));
		assert_int_equal(called.send.protocol, IPPROTO_ICMPV6);
	}
}

static void on_reply(void *context, const struct ip_packet *packet, const struct icmp_echo *echo)
{
	assert_ptr_equal(context, &called);
	assert_false(packet->is_v6);
	called.replies++;
	called.echo = *echo;
	assert_memory_equal(echo->payload, request + 8, sizeof(request) - 8);
}

static void icmp_rx__tells_the_listener_of_replies(void **state)
{
	struct ip_packet packet = from_peer(false);
	uint8_t bytes[sizeof(request)];

	(void)state;
	memcpy(bytes, request, sizeof(bytes));
	bytes[0] = 0;
	icmp_rx(&rig.net, &packet, message_of(bytes, sizeof(bytes)));
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 1);
	icmp_set_echo_listener(&rig.net, on_reply, &called);
	icmp_rx(&rig.net, &packet, message_of(bytes, sizeof(bytes)));
	assert_int_equal(called.replies, 1);
	assert_int_equal(called.echo.identifier, 0x1234);
	assert_int_equal(called.echo.sequence, 7);
	assert_int_equal(called.echo.payload_bytes, sizeof(request) - 8);
	icmp_set_echo_listener(&rig.net, NULL, NULL);
	icmp_rx(&rig.net, &packet, message_of(bytes, sizeof(bytes)));
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 2);
}

static int ask(const struct ip_address *destination, uint16_t identifier, uint16_t sequence,
	       uint32_t bytes)
{
	return icmp_echo_send(&rig.net, &(struct icmp_echo_request){
						.destination = *destination,
						.identifier = identifier,
						.sequence = sequence,
						.payload_bytes = bytes,
					});
}

static void icmp_echo_send__asks(void **state)
{
	static const uint8_t expected[] = {8, 0, 0xed, 0xf5, 1, 2, 3, 4, 0, 1, 2, 3, 4};
	struct ip_address destination = V4(10, 0, 0, 7);

	(void)state;
	assert_int_equal(ask(&destination, 0x0102, 0x0304, 5), 0);
	assert_int_equal(called.length, sizeof(expected));
	assert_memory_equal(called.bytes, expected, sizeof(expected));
	assert_int_equal(ask(&destination, 1, 1, 65507), 0);
	assert_int_equal(called.length, 65515);
	assert_int_equal(ask(&destination, 1, 1, 65508), -EMSGSIZE);
	destination = V6(7);
	assert_int_equal(ask(&destination, 0x0102, 0x0304, 5), 0);
	assert_int_equal(called.bytes[0], 128);
	assert_int_equal(called.send.protocol, IPPROTO_ICMPV6);
	called.path_error = -ENETUNREACH;
	assert_int_equal(ask(&destination, 1, 1, 5), -ENETUNREACH);
	called.path_error = 0;
	heap_fail_after(rig.heap, 0);
	assert_int_equal(ask(&destination, 1, 1, 5), -ENOBUFS);
	heap_fail_after(rig.heap, UINT64_MAX);
}

/* ---- Errors out ---- */

/* A datagram of @payload_bytes that somebody sent to us, from its header on. */
static uint8_t offending[2048];

static struct ip_packet datagram(uint32_t payload_bytes)
{
	struct ip_packet packet = from_peer(false);

	for (uint32_t i = 0; i < 20 + payload_bytes; i++)
		offending[i] = (uint8_t)(i * 3 + 1);
	packet.protocol = IPPROTO_UDP;
	packet.header = offending;
	packet.header_bytes = 20;
	packet.total_bytes = 20 + payload_bytes;
	return packet;
}

static void tell(const struct ip_packet *packet, bool answers_group)
{
	icmp_tx_error(&rig.net, packet, ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, answers_group);
}

/* RFC 792; RFC 1122, section 3.2.2; RFC 1812, 4.3.2.3: as much as 576 bytes hold. */
static void icmp_tx_error__quotes_the_packet(void **state)
{
	struct ip_packet packet = datagram(12);

	(void)state;
	tell(&packet, false);
	assert_int_equal(called.sent, 1);
	assert_int_equal(called.length, 8 + 32);
	assert_memory_equal(called.bytes, "\x03\x03", 2);
	assert_memory_equal(called.bytes + 4, "\0\0\0\0", 4);
	assert_memory_equal(called.bytes + 8, offending, 32);
	assert_int_equal(rig_sum(called.bytes, called.length, 0), 0xffff);
	assert_true(ip_address_equal(&called.path.destination, &packet.source));
	assert_true(ip_address_equal(&called.send.source, &packet.destination));
	packet = datagram(1480);
	tell(&packet, false);
	assert_int_equal(called.length, 576 - 20);
	icmp_tx_error(&rig.net, &packet, ICMP_PROBLEM_PROTOCOL_UNREACHABLE, 0, 0, false);
	assert_memory_equal(called.bytes, "\x03\x02", 2);
	icmp_tx_error(&rig.net, &packet, ICMP_PROBLEM_REASSEMBLY_TIMEOUT, 0, 0, false);
	assert_memory_equal(called.bytes, "\x0b\x01", 2);
}

/* RFC 1122, section 3.2.2. */
static void icmp_tx_error__is_silent_where_it_must_be(void **state)
{
	static const uint32_t sources[] = {0, 0xe0000001, 0xf0000001, 0xffffffff, 0x0a0000ff};
	static const uint8_t errors[] = {3, 4, 5, 11, 12};
	struct ip_packet packet = datagram(12);

	(void)state;
	packet.to_group = true;
	tell(&packet, false);
	packet = datagram(12);
	packet.header = NULL;
	tell(&packet, false);
	for (uint32_t i = 0; i < COUNT_OF(sources); i++) {
		packet = datagram(12);
		packet.source = ip_address_v4(sources[i]);
		tell(&packet, false);
	}
	for (uint32_t i = 0; i < COUNT_OF(errors); i++) {
		packet = datagram(12);
		packet.protocol = IPPROTO_ICMP;
		offending[20] = errors[i];
		tell(&packet, false);
	}
	packet.total_bytes = 20; /* its type is not there */
	tell(&packet, false);
	assert_int_equal(called.sent, 0);
	packet = datagram(12);
	packet.protocol = IPPROTO_ICMP;
	offending[20] = 8;
	tell(&packet, false);
	assert_int_equal(called.sent, 1);
}

/* RFC 4443, section 2.4 (e). */
static void icmp_tx_error__knows_what_icmp6_may_answer(void **state)
{
	struct ip_packet packet = from_peer(true);

	(void)state;
	memset(offending, 0, sizeof(offending));
	packet.header = offending;
	packet.header_bytes = 40;
	packet.total_bytes = 60;
	for (uint32_t type = 0; type < 256; type++) {
		unsigned int before = called.errors6;

		rig.net.now_ns += SECOND_NS;
		offending[40] = (uint8_t)type;
		tell(&packet, false);
		assert_int_equal(called.errors6 - before, type >= 128 && type != 137);
	}
	called.errors6 = 0;
	packet.protocol = IPPROTO_UDP;
	packet.to_group = true;
	tell(&packet, false);
	assert_int_equal(called.errors6, 0);
	tell(&packet, true);
	assert_int_equal(called.errors6, 1);
	packet.source = ip_address_v6_halves(0, 0);
	tell(&packet, true);
	assert_int_equal(called.errors6, 1);
}

/* RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 (f): a token bucket. */
static void icmp_tx_error__is_bounded_in_rate(void **state)
{
	struct ip_packet packet = datagram(12);

	(void)state;
	rig.net.now_ns = SECOND_NS;
	for (uint32_t i = 0; i < 1000; i++)
		tell(&packet, false);
	assert_int_equal(called.sent, 100);
	assert_int_equal(dropped(NET_DROP_RATE_LIMIT), 900);
	/* A second's worth in ten parts, asked for twice as often. */
	for (uint32_t i = 0; i < 2000; i++) {
		rig.net.now_ns += SECOND_NS / 2000;
		tell(&packet, false);
	}
	assert_in_range(called.sent, 1099, 1101);
	/* Waiting long fills it no further. */
	rig.net.now_ns += 100 * SECOND_NS;
	called.sent = 0;
	for (uint32_t i = 0; i < 1000; i++)
		tell(&packet, false);
	assert_int_equal(called.sent, 100);
}

/* Echo has its own, wider bound, so that neither starves the other. */
static void icmp__bounds_echo_apart(void **state)
{
	struct ip_packet packet = from_peer(false), offender;
	unsigned int echoes = 0;

	(void)state;
	while (dropped(NET_DROP_RATE_LIMIT) == 0 && echoes < 100000) {
		icmp_rx(&rig.net, &packet, message_of(request, sizeof(request)));
		echoes++;
	}
	assert_int_equal(called.sent, 10000);
	offender = datagram(12);
	tell(&offender, false);
	assert_int_equal(called.sent, 10001);
	/* A rate of 0: none of either. */
	icmp_destroy(&rig.net);
	rig.net.options.icmp_rate = 0;
	assert_int_equal(icmp_create(&rig.net), 0);
	rig.net.now_ns += 10 * SECOND_NS;
	tell(&offender, false);
	icmp_rx(&rig.net, &packet, message_of(request, sizeof(request)));
	assert_int_equal(called.sent, 10001);
	/* The smallest rate still has a burst. */
	icmp_destroy(&rig.net);
	rig.net.options.icmp_rate = 1;
	assert_int_equal(icmp_create(&rig.net), 0);
	for (uint32_t i = 0; i < 100; i++)
		tell(&offender, false);
	assert_int_equal(called.sent, 10001 + 32);
}

/* Nobody takes us off the link by what he sends to closed ports. */
static void icmp_neighbour_allows__minds_no_errors(void **state)
{
	struct ip_packet packet = datagram(12);
	unsigned int answers = 0;

	(void)state;
	rig.net.now_ns = SECOND_NS;
	for (uint32_t i = 0; i < 1000; i++)
		tell(&packet, false);
	assert_true(icmp_neighbour_allows(&rig.net, NET_LAYER_ARP));
	/* Not even when no errors are wanted; but it has a bound. */
	icmp_destroy(&rig.net);
	rig.net.options.icmp_rate = 0;
	assert_int_equal(icmp_create(&rig.net), 0);
	while (answers < 100000 && icmp_neighbour_allows(&rig.net, NET_LAYER_NDP))
		answers++;
	assert_int_equal(answers, ICMP_NEIGHBOUR_RATE / 10);
}

static void icmp_tx_error__counts_what_fails(void **state)
{
	struct ip_packet packet = datagram(12);
	struct buf *taken[RIG_FRAMES];
	uint32_t count = 0;

	(void)state;
	called.path_error = -ENETUNREACH;
	tell(&packet, false);
	assert_int_equal(dropped(NET_DROP_NO_ROUTE), 1);
	called.path_error = 0;
	while (heap_frames_free(rig.device.frames) > 0)
		taken[count++] = netdev_alloc(&rig.device);
	tell(&packet, false);
	assert_int_equal(dropped(NET_DROP_NO_FRAME), 1);
	while (count > 0)
		netdev_release(&rig.device, taken[--count]);
	assert_int_equal(called.sent, 0);
}

/* ---- Errors in ---- */

/* An error about a datagram from our port 4660 to 10.9.9.9, port 22136; its bytes 4 to 7 @rest. */
static uint8_t error_bytes[8 + 28];

static void set_error(uint8_t type, uint8_t code, uint32_t rest)
{
	static const uint8_t quoted[] = {0x45, 0,    0x05, 0xdc, 0, 0, 0,  0, 60, 17,
					 0,    0,    10,   0,    0, 2, 10, 9, 9,  9,
					 0x12, 0x34, 0x56, 0x78, 0, 9, 0,  0};

	memset(error_bytes, 0, 8);
	memcpy(error_bytes + 8, quoted, sizeof(quoted));
	error_bytes[0] = type;
	error_bytes[1] = code;
	store_be32(error_bytes + 4, rest);
}

static void arrive(const struct ip_packet *packet)
{
	called.errors = 0;
	called.lowered = 0;
	icmp_rx(&rig.net, packet, message_of(error_bytes, sizeof(error_bytes)));
}

/* RFC 1122, section 3.2.2.1: passed up to the transport. */
static void icmp_rx__tells_errors_to_the_socket(void **state)
{
	static const struct {
		uint8_t type, code;
		int error;
	} cases[] = {
		{3, 0, ENETUNREACH},   {3, 1, EHOSTUNREACH},  {3, 2, ENOPROTOOPT},
		{3, 3, ECONNREFUSED},  {3, 4, EMSGSIZE},      {3, 5, EOPNOTSUPP},
		{3, 6, ENETUNREACH},   {3, 7, EHOSTUNREACH},  {3, 9, EACCES},
		{3, 10, EACCES},       {3, 13, EACCES},       {3, 15, EHOSTUNREACH},
		{11, 0, EHOSTUNREACH}, {11, 1, EHOSTUNREACH}, {12, 0, EPROTO},
	};
	const struct ip_address ours = V4(10, 0, 0, 2), theirs = V4(10, 9, 9, 9);
	struct ip_packet packet = from_peer(false);

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
		set_error(cases[i].type, cases[i].code, 0);
		arrive(&packet);
		assert_int_equal(called.errors, 1);
		assert_int_equal(called.error, cases[i].error);
		assert_int_equal(called.quoted.source_port, 0x1234);
		assert_int_equal(called.quoted.destination_port, 0x5678);
		assert_true(ip_address_equal(&called.quoted.source, &ours));
		assert_true(ip_address_equal(&called.quoted.destination, &theirs));
		assert_int_equal(called.lowered, cases[i].error == EMSGSIZE);
	}
	assert_int_equal(called.sent, 0);
}

/* RFC 1191, sections 3 and 5. */
static void icmp_rx__lowers_the_mtu_of_the_path(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	set_error(3, 4, 1400);
	arrive(&packet);
	assert_int_equal(called.mtu, 1400);
	/* An old router: the next plateau below the length of what it quotes. */
	set_error(3, 4, 0);
	arrive(&packet);
	assert_int_equal(called.mtu, 1492);
	/* Only for who has a socket there. */
	called.is_unknown = true;
	arrive(&packet);
	assert_int_equal(called.lowered, 0);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 1);
}

static void icmp_rx__tells_tcp_of_its_segments_alone(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	set_error(3, 4, 1400);
	error_bytes[8 + 9] = IPPROTO_TCP;
	arrive(&packet);
	assert_int_equal(called.tcp_errors, 1);
	assert_int_equal(called.error, EMSGSIZE);
	assert_int_equal(called.lowered, 1);
	assert_int_equal(called.errors, 0);
	called.is_unknown = true;
	set_error(3, 4, 1300);
	error_bytes[8 + 9] = IPPROTO_TCP;
	arrive(&packet);
	assert_int_equal(called.lowered, 0);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 1);
}

/* RFC 1122, 3.3.1.4: as if a router had said so. */
static void icmp_tell_unreachable__tells_the_socket_of_the_packet(void **state)
{
	struct buf packet = {.data = error_bytes + 8, .length = 28};

	(void)state;
	set_error(3, 1, 0);
	called.errors = called.unreachable = 0;
	icmp_tell_unreachable(&rig.net, &packet, false);
	assert_int_equal(called.errors, 1);
	assert_int_equal(called.error, EHOSTUNREACH);
	assert_int_equal(called.quoted.source_port, 0x1234);
	error_bytes[8 + 9] = IPPROTO_TCP;
	icmp_tell_unreachable(&rig.net, &packet, false);
	assert_int_equal(called.errors, 1);
	assert_int_equal(called.unreachable, 1);
	packet.length = 20;
	icmp_tell_unreachable(&rig.net, &packet, false);
	assert_int_equal(called.unreachable, 1);
}

/* RFC 5927: whoever invents an error must guess. */
static void icmp_rx__drops_errors_about_what_is_not_ours(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	set_error(3, 3, 0);
	error_bytes[8 + 15] = 3;
	arrive(&packet);
	assert_int_equal(called.errors, 0);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 1);
	set_error(3, 3, 0);
	error_bytes[8 + 9] = IPPROTO_SCTP;
	arrive(&packet);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 2);
	set_error(3, 3, 0);
	packet.to_group = true;
	arrive(&packet);
	assert_int_equal(dropped(WIRE_BAD_DESTINATION), 1);
	packet.to_group = false;
	/* Not the first fragment: it has no ports. */
	error_bytes[8 + 7] = 9;
	arrive(&packet);
	assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 1);
	/* Loopback is ours in what we have sent to ourselves. */
	set_error(3, 3, 0);
	store_be32(error_bytes + 20, 0x7f000001);
	arrive(&packet);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 3);
	assert_int_equal(called.errors, 0);
	packet.is_local = true;
	arrive(&packet);
	assert_int_equal(called.errors, 1);
	/* About an echo of ours: nobody to tell. */
	set_error(3, 1, 0);
	error_bytes[8 + 9] = IPPROTO_ICMP;
	arrive(&packet);
	assert_int_equal(called.errors, 0);
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 3);
}

static void icmp_rx__drops_short_quotations(void **state)
{
	struct ip_packet packet = from_peer(false);

	(void)state;
	set_error(3, 3, 0);
	for (uint32_t length = 8; length < sizeof(error_bytes); length++)
		icmp_rx(&rig.net, &packet, message_of(error_bytes, length));
	assert_int_equal(dropped(WIRE_TRUNCATED), 28);
	assert_int_equal(called.errors, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(icmp_rx__answers_echo_in_the_frame_itself),
		TEST(icmp_rx__answers_every_echo_with_a_right_checksum),
		TEST(icmp_rx__answers_from_another_frame_without_head_room),
		TEST(icmp_rx__answers_large_echoes),
		TEST(icmp_rx__drops_echoes_without_frames),
		TEST(icmp_rx__is_silent_to_groups),
		TEST(icmp_rx__drops_what_the_parser_refuses),
		TEST(icmp_rx__drops_echo_without_a_way_back),
		TEST(icmp_echo_answer__turns_icmp6),
		TEST(icmp_rx__tells_the_listener_of_replies),
		TEST(icmp_echo_send__asks),
		TEST(icmp_tx_error__quotes_the_packet),
		TEST(icmp_tx_error__is_silent_where_it_must_be),
		TEST(icmp_tx_error__knows_what_icmp6_may_answer),
		TEST(icmp_tx_error__is_bounded_in_rate),
		TEST(icmp_neighbour_allows__minds_no_errors),
		TEST(icmp__bounds_echo_apart),
		TEST(icmp_tx_error__counts_what_fails),
		TEST(icmp_rx__tells_errors_to_the_socket),
		TEST(icmp_rx__lowers_the_mtu_of_the_path),
		TEST(icmp_rx__tells_tcp_of_its_segments_alone),
		TEST(icmp_tell_unreachable__tells_the_socket_of_the_packet),
		TEST(icmp_rx__drops_errors_about_what_is_not_ours),
		TEST(icmp_rx__drops_short_quotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
