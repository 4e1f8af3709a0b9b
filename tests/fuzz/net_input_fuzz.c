/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the whole way in, and back out, of a stack: frames, what an application
 * sends, and the time between them. The first two bytes choose what the device and the stack are
 * like; then come records of a length or an action (2 bytes, little endian), a time (2 bytes: 12
 * bits of milliseconds, 4 bits by how many powers of two they are more) and the frame's bytes.
 */
#include "net_fuzz.h"

#include "heap/buf.h"

#define RECORDS_MAX 64u
#define PORT 7u
#define PEER_PORT 9u
#define ACTION 0x8000u
#define PUSH_BYTES_MAX 65536u /* more than any datagram has */
#define HELD_MAX 64u
#define HOUR_NS (3600 * SECOND_NS)

/* In the first byte, beside those of the device. */
enum choice {
	CHOICE_MEND = 1, /* checksums of what arrives */
	CHOICE_VLAN = 2,
	CHOICE_AUTOCONF = 4,
	CHOICE_LATER = 8,
	CHOICE_FULL = 16,
	CHOICE_CHECKSUM = 32,
	CHOICE_SPLIT = 64,  /* what arrives is in two pieces */
	CHOICE_QUEUE = 128, /* nobody waits for datagrams: they are queued */
};

enum choice_more {
	CHOICE_ECHO = 1, /* the application answers */
	CHOICE_WITHOUT_CHAIN = 2,
	CHOICE_DF = 4,
};

static struct {
	struct udp_socket open;      /* of both versions */
	struct udp_socket connected; /* to 10.0.0.1 */
	struct buf *received[HELD_MAX];
	unsigned int received_count;
	bool waits;
	bool echoes;
	unsigned char *payload;
} app;

/* ---- Checksums ---- */

static void mend_upper(uint8_t protocol, const struct ip_address *source,
		       const struct ip_address *destination, uint8_t *data, size_t length)
{
	uint64_t pseudo = checksum_pseudo(source, destination, protocol, (uint32_t)length);

	if (protocol == IPPROTO_UDP && length >= UDP_HEADER_BYTES) {
		size_t total = load_be16(data + 4);

		if (total >= UDP_HEADER_BYTES && total <= length && load_be16(data + 6))
			mend(data, total, UDP_CHECKSUM_OFFSET,
			     checksum_pseudo(source, destination, protocol, (uint32_t)total));
	} else if (protocol == IPPROTO_TCP) {
		mend(data, length, TCP_CHECKSUM_OFFSET, pseudo);
	} else if (protocol == IPPROTO_ICMP || protocol == IPPROTO_IGMP) {
		mend(data, length, 2, 0);
	} else if (protocol == IPPROTO_ICMPV6) {
		mend(data, length, 2, pseudo);
	}
}

static void mend_v4(uint8_t *data, size_t length)
{
	struct ipv4_header header;
	size_t header_bytes = length ? (data[0] & 0xf) * 4u : 0;
	int at;

	if (header_bytes <= length)
		mend(data, header_bytes, IPV4_CHECKSUM_OFFSET, 0);
	at = ipv4_parse(&header, data, length);
	if (at > 0 && !ipv4_is_fragment(&header))
		mend_upper(header.protocol, &header.source, &header.destination, data + at,
			   header.total_bytes - (size_t)at);
}

static void mend_v6(uint8_t *data, size_t length)
{
	struct ipv6_header header;
	struct ipv6_chain chain;
	int at;

	if (ipv6_parse(&header, data, length) < 0)
		return;
	at = ipv6_chain_parse(&chain, &header, data, length);
	if (at > 0 && !chain.is_fragment)
		mend_upper(chain.protocol, &header.source, &header.destination, data + at,
			   IPV6_HEADER_BYTES + (size_t)header.payload_bytes - (size_t)at);
}

static void mend_frame(uint8_t *data, size_t length)
{
	struct eth_header header;
	int at = eth_parse(&header, data, length);

	if (at > 0 && header.type == ETH_TYPE_IPV4)
		mend_v4(data + at, length - (size_t)at);
	else if (at > 0 && header.type == ETH_TYPE_IPV6)
		mend_v6(data + at, length - (size_t)at);
}

/* ---- The application ---- */

static bool received(struct udp_socket *socket, struct buf *buf)
{
	(void)socket;
	must(buf_from_pointer(rig.heap, buf) == buf && !buf->next);
	must(!heap_is_held(rig.heap, buf));
	if (!app.waits || app.received_count == HELD_MAX)
		return false;
	app.received[app.received_count++] = buf;
	return true;
}

static void failed(struct udp_socket *socket, int error)
{
	must(socket->peer_port && error > 0);
}

static const struct udp_socket_ops app_ops = {.received = received, .failed = failed};

static void push(struct udp_socket *socket, unsigned char *data, uint32_t length,
		 const struct ip_address *peer, uint16_t port)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{data, length}}};
	bool waits;
	int error = udp_tx(socket, &sga, peer, port, NULL, &waits);

	must(!waits && error <= 0);
}

/* Back to who has sent it, from where it lies. */
static void echo(struct udp_socket *socket, struct buf *buf)
{
	struct ip_address peer;
	uint16_t port;

	if (socket->is_v6) {
		peer = ip_address_from_in6(&buf->source.ipv6.sin6_addr);
		port = be16toh(buf->source.ipv6.sin6_port);
	} else {
		peer = ip_address_from_in(buf->source.ipv4.sin_addr);
		port = be16toh(buf->source.ipv4.sin_port);
	}
	if (buf->length && port)
		push(socket, buf->data, buf->length, &peer, port);
}

/* Every byte is read, so that a tool sees those that are not there. */
static void consume(struct udp_socket *socket, struct buf *buf)
{
	static volatile uint64_t sum;

	sum = checksum_add(0, buf->data, buf->length);
	(void)sum;
	if (app.echoes)
		echo(socket, buf);
	must(buf_free(rig.heap, buf) == 0);
}

static void consume_waiting(void)
{
	struct udp_socket *socket = &app.open;

	for (unsigned int i = 0; i < app.received_count; i++) {
		struct buf *buf = app.received[i];

		socket = buf->source.any.sa_family == AF_INET6 ? &app.open : &app.connected;
		consume(socket, buf);
	}
	app.received_count = 0;
}

static void consume_queued(struct udp_socket *socket)
{
	struct buf *buf;

	while ((buf = udp_take(socket)))
		consume(socket, buf);
	must(!socket->queue_bytes);
}

static void app_begin(unsigned int more)
{
	const struct ip_address group = V4(239, 1, 2, 3), peer = V4(10, 0, 0, 1);
	const struct ip_address group6 = ip_address_v6_halves(0xff02000000000000, 0x1234);
	const struct ip_address any = ip_address_v6_halves(0, 0), ours = V4(10, 0, 0, 2);

	udp_socket_init(&app.open, rig.net, &app_ops, true);
	udp_socket_init(&app.connected, rig.net, &app_ops, false);
	must(udp_bind(&app.open, &any, PORT) == 0);
	must(udp_join(&app.open, &group6) == 0);
	must(udp_join(&app.open, &group) == 0);
	must(udp_bind(&app.connected, &ours, PEER_PORT) == 0);
	must(udp_connect(&app.connected, &peer, PEER_PORT) == 0);
	app.open.mtu_discover = more & CHOICE_DF ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT;
	app.connected.mtu_discover = app.open.mtu_discover;
	app.payload = heap_alloc(rig.heap, PUSH_BYTES_MAX);
	must(app.payload != NULL);
	memset(app.payload, 'p', PUSH_BYTES_MAX);
}

static void app_end(void)
{
	consume_waiting();
	udp_socket_fini(&app.open);
	udp_socket_fini(&app.connected);
	must(heap_free(rig.heap, app.payload) == 0);
}

/*
 * What the application does, by the bits of @action: who to (3), from which socket (1), and how much:
 * up to 64 KiB, in 8 bits and by how many powers of two they are more, so that most is short.
 */
static void act(unsigned int action)
{
	const struct ip_address peers[] = {
		V4(10, 0, 0, 1),
		V6(1),
		V4(10, 0, 0, (action >> 4) % 256),
		V6(action >> 4),
		V4(239, 1, 2, 3),
		ip_address_v6_halves(0xff02000000000000, 0x1234),
		V4(192, 0, 2, 1),
		V4(10, 0, 0, 2),
	};
	unsigned int shift = action >> 12 == 7 ? 8 : action >> 12;
	uint32_t length = ((action >> 4) % 256 + 1) << shift;

	if (action & 8) {
		push(&app.connected, app.payload, length, NULL, 0);
		/* As short as most are, or in fragments. */
		icmp_echo_send(rig.net,
			       &(struct icmp_echo_request){
				       .destination = peers[action % 8],
				       .identifier = 1,
				       .sequence = (uint16_t)action,
				       .payload_bytes = length < RIG_MTU ? length % 64 : 2000,
			       });
	} else {
		push(&app.open, app.payload, length, &peers[action % 8], PORT);
	}
}

/* ---- One input ---- */

/* What a peer can make us keep: no more than the options say, with the slack of size classes. */
static void check_memory(void)
{
	struct heap_stats stats;

	/* Whoever answers himself never ends. */
	app.echoes = false;
	for (int round = 0; round < 2; round++) {
		consume_waiting();
		consume_queued(&app.open);
		consume_queued(&app.connected);
		rig_poll(rig.now_ns);
	}
	consume_waiting();
	rig_let_go();
	heap_get_stats(rig.heap, &stats);
	must(stats.bytes_in_use <= 2 * (RIG_REASSEMBLY_BYTES + PUSH_BYTES_MAX));
	must(stats.bytes_held_only <= stats.bytes_in_use);
}

static uint64_t step_ns(unsigned int word)
{
	return ((uint64_t)(word & 0xfff) << (word >> 12)) * MILLISECOND_NS;
}

static void arrive(const uint8_t *data, size_t length, unsigned int choice)
{
	uint8_t *frame = copy_of(data, length);

	if (choice & CHOICE_MEND)
		mend_frame(frame, length);
	rig_receive(frame, length, choice & CHOICE_SPLIT ? length / 2 : 0);
	free(frame);
	consume_waiting();
}

static void run(const uint8_t *data, size_t size, unsigned int choice)
{
	for (unsigned int i = 0; i < RECORDS_MAX && size >= 4; i++) {
		unsigned int what = data[0] | (unsigned int)data[1] << 8;
		unsigned int time = data[2] | (unsigned int)data[3] << 8;
		size_t length = what & ACTION ? 0 : what;

		data += 4;
		size -= 4;
		if (length > size)
			length = size;
		if (time)
			rig_run(rig.now_ns + step_ns(time), 1000);
		if (what & ACTION)
			act(what & ~ACTION);
		else
			arrive(data, length, choice);
		rig_check();
		data += length;
		size -= length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int choice, more;

	if (size < 2)
		return 0;
	choice = data[0];
	more = data[1];
	app.waits = !(choice & CHOICE_QUEUE);
	app.echoes = more & CHOICE_ECHO;
	rig_begin(&(struct rig_options){
		.vlan = choice & CHOICE_VLAN ? 5 : 0,
		.autoconf = choice & CHOICE_AUTOCONF,
		.sends_later = choice & CHOICE_LATER,
		.is_full = choice & CHOICE_FULL,
		.checksum = choice & CHOICE_CHECKSUM,
		.without_chain = more & CHOICE_WITHOUT_CHAIN,
	});
	rig_create_net();
	app_begin(more);
	run(data + 2, size - 2, choice);
	check_memory();
	/* Nothing comes any more: the timers come to an end, or to what is hours away. */
	must(rig_run(rig.now_ns + HOUR_NS, 5000) < 5000);
	rig_check();
	app_end();
	rig_end();
	return 0;
}
