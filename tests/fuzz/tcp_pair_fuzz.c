/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for TCP: two whole stacks, and the input between them. It is a program: what the
 * applications of both ends do, what becomes of each segment, segments of its own, and time. The
 * first four bytes choose what the stacks are like; then come operations, a byte each, the lower
 * four bits of which say what, the upper four how, and the bytes that each of them reads.
 *
 * Whatever happens, the lists and sums of each connection agree with one another, no byte arrives
 * that was not pushed for its place, unless the input has changed payload, and at the end, when both
 * ends have closed, nothing is left of anything.
 */
#include "blocks.h"
#include "wire_fuzz.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "heap/buf.h"
#include "net/net.h"
#include "net/tcp/conn.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#define MILLISECOND_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MILLISECOND_NS)
#define BEGIN_NS SECOND_NS
#define MTU 1500u
#define FRAMES 256u
#define FRAME_BYTES (MTU + ETH_HEADER_BYTES)
#define FLYING_MAX 64u
#define INBOX_MAX 64u
#define PAIRS 6u
#define OPERATIONS_MAX 128u
#define PUSHES_MAX 64u
#define PUSH_BYTES_MAX 8192u
#define PORT 80u
#define HOUR_NS (3600 * SECOND_NS)

/* In the first byte, of both stacks. */
enum choice {
	CHOICE_V6 = 1,
	CHOICE_WITHOUT_TIMESTAMPS = 2,
	CHOICE_WITHOUT_SACK = 4,
	CHOICE_WITHOUT_SCALING = 8,
	CHOICE_ECN = 16,
	CHOICE_CHECKSUM = 32, /* the devices complete and verify */
	CHOICE_COOKIES = 64,  /* no backlog of SYNs */
	CHOICE_SILENT = 128,  /* at the end nothing arrives any more */
};

/* In the second. */
enum choice_more {
	MORE_BUFFER = 3, /* of 4 KiB, by powers of four */
	MORE_COPY = 4,   /* payload is copied into frames */
	MORE_NAGLE = 8,
	MORE_KEEP_ALIVE = 16,
	MORE_CONGESTION = 96, /* two bits */
	MORE_TELL = 128,      /* at the end who closes is told */
};

enum operation {
	OP_DELIVER,
	OP_DROP,
	OP_DUPLICATE,
	OP_REORDER,
	OP_MUTATE,
	OP_INJECT,
	OP_TIME,
	OP_PUSH,
	OP_TAKE,
	OP_SHUTDOWN,
	OP_CLOSE,
	OP_ABORT,
	OP_CONNECT,
	OP_EXCHANGE, /* all is delivered, for some rounds */
	OP_SETTING,
	OP_ICMP,
};

struct frame {
	unsigned int from;
	uint32_t length;
	uint8_t bytes[FRAME_BYTES];
};

struct end {
	struct netdev device; /* first */
	struct heap *heap;
	struct sched sched;
	struct net *net;
	struct tcp_conn *listener;
	struct frame inbox[INBOX_MAX];
	unsigned int inbox_count;
};

/** One end of a connection. */
struct side {
	struct end *end;
	struct tcp_conn *conn;
	unsigned int pair;
	uint64_t pushed, received;
	uint32_t pushes; /* under way */
	bool is_lazy, has_ended, is_connected, is_closed;
};

static struct end ends[2];
static struct side sides[2][PAIRS];
static uint16_t pair_ports[PAIRS]; /* of the connecting side */
static bool is_tainted[PAIRS];     /* payload is not to be trusted */
static unsigned int pair_count;
static struct frame flying[FLYING_MAX];
static unsigned int flying_count;
static uint64_t now_ns;
static unsigned int choice, more;
static char push_names[PUSHES_MAX];
static unsigned int blocks = UINT_MAX; /* large ones that outlive an input */

static struct {
	const uint8_t *data;
	size_t size;
} input;

static uint8_t take8(void)
{
	if (!input.size)
		return 0;
	input.size--;
	return *input.data++;
}

static uint16_t take16(void)
{
	uint16_t low = take8();

	return (uint16_t)(low | take8() << 8);
}

/* Most changes are small, and some are not. */
static uint32_t take_difference(void)
{
	uint8_t kind = take8();

	if (kind < 128)
		return (uint32_t)kind - 64;
	if (kind < 192)
		return (uint32_t)(int32_t)(int16_t)take16();
	return (uint32_t)take16() << 16 | take16();
}

/* ---- Frames ---- */

static uint32_t ip_bytes(void)
{
	return choice & CHOICE_V6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
}

static struct ip_address address_of(unsigned int end)
{
	return choice & CHOICE_V6 ? ip_address_v6_halves(0xfd00000000000000, end + 1)
				  : ip_address_v4(0x0a000001 + end);
}

static uint8_t *segment_of(struct frame *frame)
{
	return frame->bytes + ETH_HEADER_BYTES + ip_bytes();
}

static bool is_segment(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETH_HEADER_BYTES;
	uint16_t type = load_be16(frame->bytes + 12);

	if (frame->length < ETH_HEADER_BYTES + ip_bytes() + TCP_HEADER_BYTES)
		return false;
	if (choice & CHOICE_V6)
		return type == ETH_TYPE_IPV6 && ip[6] == IPPROTO_TCP;
	/* Those that are in pieces, over the narrowest paths, go through as they are. */
	return type == ETH_TYPE_IPV4 && ip[9] == IPPROTO_TCP && !(load_be16(ip + 6) & 0x3fff);
}

static uint32_t segment_bytes(const struct frame *frame)
{
	return frame->length - ETH_HEADER_BYTES - ip_bytes();
}

/* Lengths and checksums, after a change. */
static void mend_frame(struct frame *frame)
{
	uint8_t *ip = frame->bytes + ETH_HEADER_BYTES;
	uint32_t length = segment_bytes(frame);
	struct ip_address source = address_of(frame->from), destination = address_of(!frame->from);

	if (choice & CHOICE_V6) {
		store_be16(ip + 4, (uint16_t)length);
	} else {
		store_be16(ip + 2, (uint16_t)(length + IPV4_HEADER_BYTES));
		mend(ip, IPV4_HEADER_BYTES, IPV4_CHECKSUM_OFFSET, 0);
	}
	mend(segment_of(frame), length, TCP_CHECKSUM_OFFSET,
	     checksum_pseudo(&source, &destination, IPPROTO_TCP, length));
}

/* The pair that a segment belongs to; PAIRS: to none. */
static unsigned int pair_of(struct frame *frame)
{
	uint16_t port = load_be16(segment_of(frame) + (frame->from ? 2 : 0));
	unsigned int pair = 0;

	while (pair < pair_count && pair_ports[pair] != port)
		pair++;
	return pair < pair_count ? pair : PAIRS;
}

static void taint(unsigned int pair)
{
	if (pair < PAIRS)
		is_tainted[pair] = true;
}

static void inbox_add(struct end *end, const struct frame *frame)
{
	if (end->inbox_count < INBOX_MAX)
		end->inbox[end->inbox_count++] = *frame;
}

static void fly(const struct frame *frame)
{
	if (flying_count == FLYING_MAX)
		memmove(flying, flying + 1, --flying_count * sizeof(flying[0]));
	flying[flying_count++] = *frame;
}

/* ---- The devices ---- */

static unsigned int rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
			     uint64_t time_ns)
{
	struct end *end = (struct end *)(void *)device;
	unsigned int count = end->inbox_count < room ? end->inbox_count : room, got = 0;

	(void)time_ns;
	for (unsigned int i = 0; i < count; i++) {
		struct buf *buf = netdev_alloc(device);

		/* Lost for want of a frame. */
		if (!buf)
			continue;
		memcpy(buf->data, end->inbox[i].bytes, end->inbox[i].length);
		buf->length = end->inbox[i].length;
		frames[got++] = buf;
	}
	end->inbox_count -= count;
	memmove(end->inbox, end->inbox + count, end->inbox_count * sizeof(end->inbox[0]));
	return got;
}

/* Without what fills up a short one. */
static uint32_t packet_end(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETH_HEADER_BYTES;

	return ETH_HEADER_BYTES +
	       (choice & CHOICE_V6 ? IPV6_HEADER_BYTES + load_be16(ip + 4) : load_be16(ip + 2));
}

static void check_sent(struct frame *frame, bool is_complete)
{
	struct ip_address source = address_of(frame->from), destination = address_of(!frame->from);
	struct tcp_options options;
	struct tcp_header header;

	must(packet_end(frame) <= frame->length);
	frame->length = packet_end(frame);
	if (!is_complete)
		mend_frame(frame);
	must(tcp_verify(&source, &destination, segment_of(frame), segment_bytes(frame)) == 0);
	must(tcp_parse(&header, segment_of(frame), segment_bytes(frame)) > 0);
	must(tcp_options_parse(&options, &header, segment_of(frame)) == 0);
	must((header.flags & (TCP_SYN | TCP_FIN)) != (TCP_SYN | TCP_FIN));
	must(header.flags & (TCP_ACK | TCP_SYN | TCP_RST));
}

static unsigned int tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
			     uint64_t time_ns)
{
	struct end *end = (struct end *)(void *)device;
	static struct frame frame;

	(void)time_ns;
	frame.from = (unsigned int)(end - ends);
	for (unsigned int i = 0; i < count; i++) {
		frame.length = 0;
		for (const struct buf *buf = frames[i]; buf; buf = buf->next) {
			must(buf->length <= FRAME_BYTES - frame.length);
			memcpy(frame.bytes + frame.length, buf->data, buf->length);
			frame.length += buf->length;
		}
		if (is_segment(&frame)) {
			check_sent(&frame, !(frames[i]->flags & BUF_CHECKSUM));
			fly(&frame);
		} else {
			inbox_add(&ends[!frame.from], &frame);
		}
		netdev_release_chain(device, frames[i]);
	}
	return count;
}

static void nothing(struct netdev *device)
{
	(void)device;
}

static const struct netdev_ops device_ops = {
	.kind = "memory",
	.rx_burst = rx_burst,
	.tx_burst = tx_burst,
	.forget = nothing,
	.close = nothing,
};

/* ---- What holds at any time ---- */

static void check_sents(const struct tcp_conn *conn)
{
	uint32_t sacked = 0, lost = 0, again = 0, count = 0;
	tcp_seq seq = conn->snd_una;

	for (const struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		uint32_t bytes = sent->end - sent->seq;

		must(sent->seq == seq && bytes > 0);
		must(!(sent->flags & SENT_SACKED) || !(sent->flags & (SENT_LOST | SENT_AGAIN)));
		must(!(sent->flags & SENT_AGAIN) || (sent->flags & SENT_LOST));
		must(sent->next || sent == conn->sent_tail);
		must(!sent->piece || (seq_at_most(sent->piece->seq, sent->seq) &&
				      seq_after(sent->piece->seq + sent->piece->length, seq)));
		seq = sent->end;
		count++;
		sacked += sent->flags & SENT_SACKED ? bytes : 0;
		lost += sent->flags & SENT_LOST ? bytes : 0;
		again += sent->flags & SENT_AGAIN ? bytes : 0;
	}
	must(seq == conn->snd_nxt && count == conn->sent_count);
	must(sacked == conn->sacked_bytes && lost == conn->lost_bytes);
	must(again == conn->again_bytes);
	must(conn->sent_head || !conn->sent_tail);
	/* Somebody will send it again. */
	must(!conn->sent_head || conn->state == TCP_STATE_TIME_WAIT ||
	     conn->retransmit_ns != UINT64_MAX);
}

static void check_pieces(const struct tcp_conn *conn)
{
	const struct tcp_piece *piece = conn->pieces_head;
	tcp_seq seq = piece ? piece->seq : conn->snd_end;
	uint32_t count = 0;

	must(!piece || seq_at_most(piece->seq, conn->snd_una) || conn->snd_una == conn->iss);
	for (; piece; piece = piece->next, count++) {
		must(piece->seq == seq && piece->length > 0);
		must(piece->next || piece == conn->pieces_tail);
		seq += piece->length;
	}
	must(seq == conn->snd_end && count == conn->pieces_count);
	must(seq_at_most(conn->snd_nxt, conn->snd_end + 1));
}

static void check_received(const struct tcp_conn *conn)
{
	uint32_t queued = 0, memory = 0, count = 0;

	for (const struct buf *buf = conn->queue_head; buf; buf = buf->next) {
		must(buf->length > 0);
		queued += buf->length;
		memory += ((uint32_t)sizeof(*buf) + buf->capacity + 63) & ~63u;
	}
	for (const struct buf *buf = conn->early_head; buf; buf = buf->next) {
		must(buf->length > 0);
		must(seq_after(buf->sequence + buf->length, conn->rcv_nxt));
		must(!buf->next || seq_at_most(buf->sequence, buf->next->sequence));
		must(buf->next || buf == conn->early_tail);
		count++;
	}
	must(queued == conn->queued_bytes);
	must(memory == conn->queued_memory);
	must(count == conn->early_count);
	must(count <= conn->table->options.out_of_order_max);
	must(seq_at_most(conn->rcv_nxt, conn->rcv_adv));
	must(conn->sacks_count <= TCP_SACKS);
	for (uint32_t i = 0; i < conn->sacks_count; i++)
		must(seq_before(conn->sacks[i].left, conn->sacks[i].right) &&
		     seq_after(conn->sacks[i].right, conn->rcv_nxt));
}

static void check_conn(void *context, const struct tcp_conn *conn)
{
	(void)context;
	must(conn->state != TCP_STATE_CLOSED);
	if (conn->state == TCP_STATE_LISTEN)
		return;
	check_sents(conn);
	check_pieces(conn);
	if (conn->state >= TCP_STATE_SYN_RECEIVED)
		check_received(conn);
}

static void check_all(bool thoroughly)
{
	/* Those of the applications; and those that they have closed, which takes longer to find. */
	for (unsigned int i = 0; i < 2 * PAIRS; i++) {
		const struct tcp_conn *conn = sides[i % 2][i / 2].conn;

		if (conn && conn->state != TCP_STATE_CLOSED)
			check_conn(NULL, conn);
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct tcp_counts counts;

		if (thoroughly)
			tcp_each(ends[i].net, check_conn, NULL);
		tcp_get_counts(ends[i].net, &counts);
		must(counts.half_open <= ends[i].net->options.tcp.syn_backlog_max + PAIRS);
		must(counts.time_waits <= ends[i].net->options.tcp.time_waits_max);
	}
}

/* ---- Applications ---- */

/* The byte at a place. */
NO_COVERAGE static uint8_t byte_at(unsigned int from, unsigned int pair, uint64_t place)
{
	uint64_t z = (place / 8 + 1) * 0x9e3779b97f4a7c15 ^
		     (uint64_t)(pair * 2 + from) * 0xd1342543de82ef95;

	z = (z ^ z >> 32) * 0xbf58476d1ce4e5b9;
	z ^= z >> 29;
	return (uint8_t)(z >> 8 * (place % 8));
}

static struct side *other_of(const struct side *side)
{
	return &sides[side->end == &ends[0]][side->pair];
}

NO_COVERAGE static void consume(struct side *side, struct buf *buf)
{
	unsigned int from = side->end == &ends[0];

	for (const struct buf *at = buf; at; at = at->next) {
		for (uint32_t i = 0; i < at->length; i++) {
			uint8_t expected = byte_at(from, side->pair, side->received++);

			must(at->data[i] == expected || is_tainted[side->pair]);
		}
	}
	must(side->received <= other_of(side)->pushed || is_tainted[side->pair]);
	must(buf_free(side->end->heap, buf) == 0);
}

static void acceptable(void *owner)
{
	(void)owner;
}

static void connected(void *owner, int error)
{
	struct side *side = owner;

	must(!side->is_connected && !side->is_closed && error >= 0);
	side->is_connected = !error;
}

static bool received(void *owner, struct buf *buf)
{
	struct side *side = owner;

	must(!side->has_ended && !side->is_closed);
	if (side->is_lazy)
		return false;
	consume(side, buf);
	return true;
}

static void ended(void *owner, int error)
{
	struct side *side = owner;

	must(!side->has_ended && !side->is_closed && error >= 0);
	side->has_ended = true;
}

static void pushed(void *owner, void *push, int error)
{
	struct side *side = owner;

	must(side->pushes > 0 && error >= 0);
	must((char *)push >= push_names && (char *)push < push_names + PUSHES_MAX);
	side->pushes--;
}

static void closed(void *owner, int error)
{
	struct side *side = owner;

	must(side->is_closed && side->conn && error >= 0 && !side->pushes);
	side->conn = NULL;
}

static const struct tcp_events events = {
	.acceptable = acceptable,
	.connected = connected,
	.received = received,
	.ended = ended,
	.pushed = pushed,
	.closed = closed,
};

static void take_all(struct side *side)
{
	struct buf *buf;

	while ((buf = tcp_take(side->conn)))
		consume(side, buf);
}

static void close_side(struct side *side, bool tell)
{
	if (!side->conn || side->is_closed)
		return;
	side->is_closed = true;
	tcp_close(side->conn, tell);
	if (!tell) {
		side->conn = NULL;
		side->pushes = 0;
	}
}

static void abort_side(struct side *side)
{
	if (!side->conn || side->is_closed)
		return;
	tcp_settings(side->conn)->lingers = true;
	tcp_settings(side->conn)->linger_s = 0;
	close_side(side, false);
}

/* Of a connection that nobody of ours began, nothing is wanted. */
static void accept_all(void)
{
	struct ip_address ip;
	struct side *side;
	uint16_t port;

	while (ends[1].listener && tcp_acceptable(ends[1].listener)) {
		struct tcp_conn *conn = ends[1].listener->listens->ready_head;
		unsigned int pair = 0;

		tcp_peer(conn, &ip, &port);
		port = conn->remote_port;
		while (pair < pair_count && (pair_ports[pair] != port || sides[1][pair].end))
			pair++;
		side = pair < pair_count ? &sides[1][pair] : NULL;
		must(tcp_accept(ends[1].listener, side) == conn);
		if (!side) {
			tcp_settings(conn)->lingers = true;
			tcp_close(conn, false);
			continue;
		}
		*side = (struct side){
			.end = &ends[1], .conn = conn, .pair = pair, .is_connected = true};
	}
}

static void connect_pair(void)
{
	struct ip_address peer = address_of(1), ip;
	struct side *side = &sides[0][pair_count];

	if (pair_count == PAIRS)
		return;
	*side = (struct side){.end = &ends[0], .pair = pair_count};
	if (tcp_open(&side->conn, ends[0].net, &events, side, true) < 0) {
		side->end = NULL;
		return;
	}
	tcp_settings(side->conn)->no_delay = !(more & MORE_NAGLE);
	tcp_settings(side->conn)->keep_alive = more & MORE_KEEP_ALIVE;
	tcp_settings(side->conn)->keep_idle_s = 1;
	tcp_settings(side->conn)->keep_interval_s = 1;
	must(tcp_connect(side->conn, &peer, PORT) == 0);
	must(tcp_local(side->conn, &ip, &pair_ports[pair_count]));
	pair_count++;
}

NO_COVERAGE static void push(struct side *side, uint32_t length, uint32_t pieces)
{
	demi_sgarray_t sga = {.sga_numsegs = pieces < length ? pieces : length};
	uint32_t from = side->end == &ends[1], part;
	unsigned char *data;
	int error;

	if (side->pushes == PUSHES_MAX)
		return;
	data = heap_alloc_io(side->end->heap, length);
	if (!data)
		return;
	for (uint32_t i = 0; i < length; i++)
		data[i] = byte_at(from, side->pair, side->pushed + i);
	part = length / sga.sga_numsegs;
	for (uint32_t i = 0; i < sga.sga_numsegs; i++)
		sga.sga_segs[i] = (demi_sgaseg_t){data + i * part, part};
	sga.sga_segs[sga.sga_numsegs - 1].sgaseg_len += length % sga.sga_numsegs;
	error = tcp_push(side->conn, &sga, &push_names[side->pushes]);
	must(heap_free(side->end->heap, data) == 0);
	must(error <= 0);
	if (error)
		return;
	side->pushes++;
	side->pushed += length;
}

/* ---- Rounds ---- */

static void poll_end(struct end *end)
{
	net_poll(end->net, now_ns);
	sched_poll(&end->sched, now_ns);
	net_flush(end->net);
}

static bool is_busy(const struct end *end)
{
	return end->inbox_count || end->net->tx_count || end->net->loopback_count ||
	       sched_has_ready(&end->sched);
}

/* Until nobody has anything to do. */
static void settle(void)
{
	unsigned int rounds = 0;

	do {
		poll_end(&ends[0]);
		poll_end(&ends[1]);
		accept_all();
		must(++rounds < 1000);
	} while (is_busy(&ends[0]) || is_busy(&ends[1]));
}

static void deliver(unsigned int place)
{
	struct frame *frame = &flying[place];

	inbox_add(&ends[!frame->from], frame);
	memmove(frame, frame + 1, (--flying_count - place) * sizeof(*frame));
}

static void deliver_all(void)
{
	unsigned int count = flying_count;

	while (count-- && flying_count)
		deliver(0);
	settle();
}

static uint64_t next_ns(void)
{
	uint64_t first = timer_wheel_next_ns(&ends[0].sched.timers);
	uint64_t second = timer_wheel_next_ns(&ends[1].sched.timers);

	return first < second ? first : second;
}

/* Let time go on by timers; a step of the wheel at least. Return: how many it took. */
static unsigned int pass(uint64_t until_ns, unsigned int rounds_max)
{
	unsigned int rounds = 0;

	while (rounds < rounds_max && next_ns() <= until_ns) {
		now_ns = next_ns() > now_ns + 4096 ? next_ns() : now_ns + 4096;
		settle();
		rounds++;
	}
	if (until_ns > now_ns)
		now_ns = until_ns;
	settle();
	return rounds;
}

/* ---- Segments that are changed, or made ---- */

/* The next of one direction; FLYING_MAX: there is none. */
static unsigned int next_from(unsigned int from)
{
	for (unsigned int i = 0; i < flying_count; i++) {
		if (flying[i].from == from)
			return i;
	}
	return FLYING_MAX;
}

static void mutate(struct frame *frame, unsigned int field)
{
	uint8_t *segment = segment_of(frame);
	uint32_t header = (uint32_t)(segment[12] >> 4) * 4, length = segment_bytes(frame);
	uint32_t options = header > TCP_HEADER_BYTES ? header - TCP_HEADER_BYTES : 0;
	uint32_t payload = header < length ? length - header : 0;
	unsigned int pair = pair_of(frame);
	uint8_t value;

	switch (field) {
	case 0:
		store_be32(segment + 4, load_be32(segment + 4) + take_difference());
		if (payload || (segment[13] & TCP_SYN))
			taint(pair);
		break;
	case 1:
		store_be32(segment + 8, load_be32(segment + 8) + take_difference());
		break;
	case 2:
		value = take8();
		segment[13] ^= value;
		if (value & TCP_SYN)
			taint(pair);
		break;
	case 3:
		store_be16(segment + 14, take16());
		break;
	case 4:
		if (options)
			segment[TCP_HEADER_BYTES + take8() % options] = take8();
		break;
	case 5:
		if (payload) {
			segment[header + take16() % payload] ^= (uint8_t)(1 + take8());
			taint(pair);
		}
		break;
	case 6:
		segment[12] = (uint8_t)(take8() << 4);
		taint(pair);
		break;
	case 7:
		frame->length -= take16() % (payload + 1);
		break;
	case 8:
		segment[13] |= TCP_URG;
		store_be16(segment + 18, take16());
		break;
	case 9:
		/* Congestion experienced. */
		if (choice & CHOICE_V6)
			frame->bytes[ETH_HEADER_BYTES + 1] |= 0x30;
		else
			frame->bytes[ETH_HEADER_BYTES + 1] |= 3;
		break;
	default:
		/* What was acknowledged selectively, or the time, by a word. */
		if (options >= 4)
			store_be32(segment + TCP_HEADER_BYTES + take8() % (options - 3),
				   take_difference());
		break;
	}
	mend_frame(frame);
}

static void fill_link(struct frame *frame)
{
	const struct eth_header eth = {
		.destination = ends[!frame->from].device.caps.mac,
		.source = ends[frame->from].device.caps.mac,
		.type = choice & CHOICE_V6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4,
	};

	eth_emit(frame->bytes, ETH_HEADER_BYTES, &eth);
}

static void fill_ip(struct frame *frame, uint8_t protocol, uint32_t length)
{
	uint8_t *ip = frame->bytes + ETH_HEADER_BYTES;

	if (choice & CHOICE_V6)
		ipv6_emit(ip, IPV6_HEADER_BYTES,
			  &(struct ipv6_header){
				  .source = address_of(frame->from),
				  .destination = address_of(!frame->from),
				  .payload_bytes = (uint16_t)length,
				  .next_header = protocol,
				  .hop_limit = 64,
			  });
	else
		ipv4_emit(ip, IPV4_HEADER_BYTES,
			  &(struct ipv4_header){
				  .source = address_of(frame->from),
				  .destination = address_of(!frame->from),
				  .total_bytes = (uint16_t)(IPV4_HEADER_BYTES + length),
				  .protocol = protocol,
				  .ttl = 64,
			  });
	frame->length = ETH_HEADER_BYTES + ip_bytes() + length;
}

/* The bytes that belong there, as far as they were pushed. */
NO_COVERAGE static void fill_payload(uint8_t *to, const struct side *receiver, unsigned int pair,
				     unsigned int from, uint32_t seq, uint32_t length)
{
	const struct tcp_conn *conn = receiver->conn;
	uint64_t place = conn ? seq - conn->irs - 1 : 0;

	if (!conn || (int32_t)(seq - conn->irs - 1) < 0 ||
	    place + length > sides[from][pair].pushed)
		taint(pair);
	for (uint32_t i = 0; i < length; i++)
		to[i] = byte_at(from, pair, place + i);
}

/* A segment that nobody has sent, by the numbers of the connection that it is for. */
static void inject(unsigned int from, unsigned int pair)
{
	static struct frame frame;
	const struct side *receiver = &sides[!from][pair];
	const struct tcp_conn *conn = receiver->conn;
	uint8_t flags = take8(), *segment, kind;
	struct tcp_header header = {
		.source_port = from ? PORT : pair_ports[pair],
		.destination_port = from ? pair_ports[pair] : PORT,
		.sequence = take_difference() + (conn ? conn->rcv_nxt : 0),
		.acknowledgment = take_difference() + (conn ? conn->snd_nxt : 0),
		.flags = flags,
		.window = take16(),
	};
	struct tcp_options options = {0};
	uint32_t length;
	int header_bytes;

	frame.from = from;
	kind = take8();
	options.has_timestamp = kind & 1;
	options.timestamp = take_difference() + (conn ? conn->ts_recent : 0);
	options.timestamp_echo = options.timestamp + 1;
	options.has_mss = kind & 2;
	options.mss = kind & 2 ? take16() : 0;
	options.has_window_shift = kind & 4;
	options.window_shift = kind & 4 ? take8() : 0;
	options.sack_permitted = kind & 8;
	options.sack_count = kind >> 4 & 3;
	for (unsigned int i = 0; i < options.sack_count; i++) {
		options.sack[i].left = (conn ? conn->snd_una : 0) + take_difference();
		options.sack[i].right = options.sack[i].left + take_difference();
	}
	length = kind & 64 ? take16() % 1400 : kind & 128 ? 1 : 0;
	fill_link(&frame);
	segment = segment_of(&frame);
	header_bytes = tcp_emit(segment, TCP_HEADER_BYTES_MAX, &header, &options);
	if (length)
		fill_payload(segment + header_bytes, receiver, pair, from, header.sequence, length);
	if (flags & TCP_SYN)
		taint(pair);
	fill_ip(&frame, IPPROTO_TCP, (uint32_t)header_bytes + length);
	mend_frame(&frame);
	inbox_add(&ends[!from], &frame);
	settle();
}

/* An error about a segment, from who should have received it. */
static void send_icmp(const struct frame *about, uint8_t kind, uint16_t mtu)
{
	static struct frame frame;
	uint32_t quoted = about->length - ETH_HEADER_BYTES;
	int length;

	quoted = quoted < 500 ? quoted : 500;
	frame.from = !about->from;
	fill_link(&frame);
	if (choice & CHOICE_V6) {
		const struct icmp6_message message = {
			.type = kind % 2 ? ICMP6_TYPE_TOO_BIG : ICMP6_TYPE_UNREACHABLE,
			.code = kind % 2 ? 0 : kind / 2 % 8,
			.mtu = kind % 2 ? mtu : 0,
		};
		struct ip_address source = address_of(frame.from);
		struct ip_address destination = address_of(about->from);

		length = icmp6_emit(segment_of(&frame), 600, &source, &destination, &message,
				    about->bytes + ETH_HEADER_BYTES, quoted);
	} else {
		const struct icmp_message message = {
			.type = ICMP_TYPE_UNREACHABLE,
			.code = kind % 2 ? ICMP_UNREACHABLE_TOO_BIG : kind / 2 % 16,
			.next_hop_mtu = kind % 2 ? mtu : 0,
		};

		length = icmp_emit(segment_of(&frame), 600, &message,
				   about->bytes + ETH_HEADER_BYTES, quoted);
	}
	if (length < 0)
		return;
	fill_ip(&frame, choice & CHOICE_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, (uint32_t)length);
	inbox_add(&ends[about->from], &frame);
	settle();
}

/* ---- Operations ---- */

static void change_setting(struct side *side, uint8_t value)
{
	struct tcp_settings *settings = tcp_settings(side->conn);

	switch (value % 6) {
	case 0:
		settings->no_delay = !settings->no_delay;
		break;
	case 1:
		settings->keep_alive = !settings->keep_alive;
		settings->keep_idle_s = 1;
		break;
	case 2:
		settings->user_timeout_ms = value * 10u;
		break;
	case 3:
		settings->mss_max = (uint16_t)(88 + value);
		break;
	case 4:
		settings->receive_bytes = 1000u + value * 100u;
		break;
	default:
		tcp_set_congestion(side->conn, value & 16 ? "reno" : "dctcp", value & 16 ? 4 : 5);
		break;
	}
	tcp_settings_changed(side->conn);
}

/* On the segments of one direction: the lowest bit of @how. */
static void operate_on_segment(enum operation operation, unsigned int how)
{
	static struct frame copy;
	unsigned int place = next_from(how & 1);
	struct frame *frame = flying + place;

	if (place == FLYING_MAX)
		return;
	switch (operation) {
	case OP_DELIVER:
		for (unsigned int i = 0; i <= how >> 1 && place < FLYING_MAX; i++) {
			deliver(place);
			place = next_from(how & 1);
		}
		settle();
		break;
	case OP_DROP:
		memmove(frame, frame + 1, (--flying_count - place) * sizeof(*frame));
		break;
	case OP_DUPLICATE:
		copy = *frame;
		fly(&copy);
		break;
	case OP_REORDER:
		copy = *frame;
		memmove(frame, frame + 1, (--flying_count - place) * sizeof(*frame));
		fly(&copy);
		break;
	case OP_MUTATE:
		mutate(frame, how >> 1 ? (how >> 1) - 1 : 7 + take8() % 4);
		break;
	default:
		send_icmp(frame, take8(), take16());
		break;
	}
}

/* On a side: the lowest bit says which end, the next two which pair. */
static void operate_on_side(enum operation operation, unsigned int how)
{
	unsigned int pair = pair_count ? (how >> 1 & 3) % pair_count : 0;
	struct side *side = &sides[how & 1][pair];
	uint8_t value = operation == OP_CLOSE || operation == OP_ABORT ? 0 : take8();

	if (!side->conn || side->is_closed)
		return;
	switch (operation) {
	case OP_PUSH:
		push(side, 1 + (value < 128 ? value : (value - 127u) * 64), 1 + (how >> 3) * 2);
		break;
	case OP_TAKE:
		side->is_lazy = value & 1;
		take_all(side);
		break;
	case OP_SHUTDOWN:
		tcp_shutdown(side->conn, value % 4);
		/* As tcp_shutdown says: what comes is dropped. */
		break;
	case OP_CLOSE:
		close_side(side, how >> 3);
		break;
	case OP_ABORT:
		abort_side(side);
		break;
	default:
		change_setting(side, value);
		break;
	}
	settle();
}

static void operate(uint8_t byte)
{
	enum operation operation = byte & 15;
	unsigned int how = byte >> 4;

	switch (operation) {
	case OP_DELIVER:
	case OP_DROP:
	case OP_DUPLICATE:
	case OP_REORDER:
	case OP_MUTATE:
	case OP_ICMP:
		operate_on_segment(operation, how);
		break;
	case OP_INJECT:
		if (pair_count)
			inject(how & 1, (how >> 1) % pair_count);
		break;
	case OP_TIME:
		pass(now_ns + (MILLISECOND_NS << how), 1000);
		break;
	case OP_CONNECT:
		connect_pair();
		settle();
		break;
	case OP_EXCHANGE:
		for (unsigned int i = 0; i <= how; i++) {
			deliver_all();
			if (how >= 8)
				pass(now_ns + 10 * MILLISECOND_NS, 100);
		}
		break;
	default:
		operate_on_side(operation, how);
		break;
	}
	check_all(operation == OP_EXCHANGE);
}

/* ---- One input ---- */

static void set_options(struct net_tcp_options *options)
{
	static const char *const names[] = {"cubic", "reno", "dctcp", "cubic"};
	const char *name = names[(more & MORE_CONGESTION) >> 5];

	tcp_defaults(options);
	options->connections_max = 64;
	options->syn_backlog_max = choice & CHOICE_COOKIES ? 0 : 3;
	options->time_waits_max = 2;
	options->time_wait_ms = 2000;
	options->buffer = 4096u << 2 * (more & MORE_BUFFER);
	options->max_buffer = 4 * options->buffer;
	options->send_pieces_max = 64;
	options->out_of_order_max = 8;
	options->connect_timeout_ms = 20000;
	options->retries_timeout_ms = 60000;
	options->orphan_timeout_ms = 10000;
	options->timestamps = !(choice & CHOICE_WITHOUT_TIMESTAMPS);
	options->sack = !(choice & CHOICE_WITHOUT_SACK);
	options->window_scaling = !(choice & CHOICE_WITHOUT_SCALING);
	options->ecn = choice & CHOICE_ECN;
	options->congestion = tcp_congestion_find(name, strlen(name));
}

static void begin_end(unsigned int number)
{
	struct end *end = &ends[number];
	const struct net_address addresses[] = {
		{ip_address_v4(0x0a000001 + number), 24, true, false, UINT64_MAX, UINT64_MAX},
		{ip_address_v6_halves(0xfd00000000000000, number + 1), 64, true, false, UINT64_MAX,
		 UINT64_MAX},
	};
	struct net_options options = {
		.device = &end->device,
		.sched = &end->sched,
		.now_ns = now_ns,
		.seed = {number, 2},
		.addresses = addresses,
		.address_count = 2,
		.copy_max = more & MORE_COPY ? 2000 : 100,
		.neighbours_max = 16,
		.neighbour_pending_max = 16,
		.reassembly_bytes_max = 64u << 10,
		.icmp_rate = 1000,
		.socket_bytes_max = 64u << 10,
	};

	/* Slow to make, and empty between inputs. */
	if (!end->heap) {
		must(heap_create(&end->heap, &(struct heap_options){.bytes_max = 32u << 20}) == 0);
		must(sched_init(&end->sched, now_ns) == 0);
	}
	timer_wheel_init(&end->sched.timers, now_ns);
	end->inbox_count = 0;
	must(netdev_init(&end->device, &device_ops, end->heap,
			 64 + NETDEV_HEAD_ROOM + ETH_HEADER_BYTES_MAX + MTU, 64, FRAMES, 64,
			 64 + NETDEV_HEAD_ROOM) == 0);
	end->device.caps = (struct netdev_caps){
		.mac = {{2, 0, 0, 0, 0, (uint8_t)(1 + number)}},
		.mtu = MTU,
		.segments_max = 4,
		.checksum_v4 = choice & CHOICE_CHECKSUM,
		.checksum_v6 = choice & CHOICE_CHECKSUM,
	};
	options.heap = end->heap;
	set_options(&options.tcp);
	must(net_create(&end->net, &options) == 0);
}

static void begin(void)
{
	struct ip_address any = ip_address_v6_halves(0, 0);

	now_ns = BEGIN_NS;
	memset(sides, 0, sizeof(sides));
	memset(is_tainted, 0, sizeof(is_tainted));
	pair_count = flying_count = 0;
	begin_end(0);
	begin_end(1);
	must(tcp_open(&ends[1].listener, ends[1].net, &events, NULL, true) == 0);
	must(tcp_bind(ends[1].listener, &any, PORT) == 0);
	must(tcp_listen(ends[1].listener, 2) == 0);
	/* Both look whether their addresses are taken. */
	pass(now_ns + 12 * SECOND_NS, 1000);
}

static bool is_over(void)
{
	struct tcp_counts first, second;

	tcp_get_counts(ends[0].net, &first);
	tcp_get_counts(ends[1].net, &second);
	return !first.connections && !second.connections;
}

static void end_end(struct end *end)
{
	struct tcp_counts counts;

	tcp_get_counts(end->net, &counts);
	must(!counts.sockets && !counts.connections && !counts.half_open && !counts.time_waits);
	must(!counts.pieces && !counts.segments && !counts.queued_bytes);
	must(end->net->tcp->conn_count == 0);
	net_destroy(end->net);
	end->net = NULL;
	must(timer_wheel_next_ns(&end->sched.timers) == TIMER_NEVER);
	must(heap_frames_free(end->device.frames) == FRAMES);
	must(heap_frames_free(end->device.shells) == FRAMES);
	netdev_fini(&end->device);
	must(heap_is_empty(end->heap));
}

/* Both applications close; then it is only a matter of time. */
static void end(void)
{
	uint64_t until_ns = now_ns + HOUR_NS;
	unsigned int rounds = 0;

	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		close_side(&sides[i % 2][i / 2], more & MORE_TELL);
	tcp_close(ends[1].listener, false);
	ends[1].listener = NULL;
	while (!is_over()) {
		must(now_ns < until_ns && ++rounds < 20000);
		if (choice & CHOICE_SILENT)
			flying_count = 0;
		while (flying_count)
			deliver(0);
		must(next_ns() != TIMER_NEVER || ends[0].inbox_count || ends[1].inbox_count);
		now_ns = next_ns() > now_ns + 4096 ? next_ns() : now_ns + 4096;
		settle();
		check_all(false);
	}
	check_all(true);
	/* Those that have ended are buried in the next round. */
	flying_count = 0;
	settle();
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		must(!sides[i % 2][i / 2].conn && !sides[i % 2][i / 2].pushes);
	end_end(&ends[0]);
	end_end(&ends[1]);
	must(blocks == UINT_MAX || blocks == blocks_used());
	blocks = blocks_used();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	choice = data[0];
	more = data[1];
	input.data = data + 2;
	input.size = size - 2;
	begin();
	for (unsigned int i = 0; i < OPERATIONS_MAX && input.size; i++)
		operate(take8());
	end();
	return 0;
}
