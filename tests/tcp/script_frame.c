/* SPDX-License-Identifier: MIT */
/* The peer's frames: made of segments, read into them, and held against what no stack may do. */
#include "script.h"

#include <stdio.h>

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/ndp.h"

#define FRAME_BYTES_MAX 9100u
#define PATTERN_PERIOD 65521u

/* ---- Both streams ---- */

uint8_t script_byte(uint64_t offset)
{
	uint32_t at = (uint32_t)(offset % PATTERN_PERIOD);

	return (uint8_t)(at * 7 + (at >> 8) * 13);
}

static bool is_stream(const uint8_t *data, uint32_t length, uint32_t seq)
{
	for (uint32_t i = 0; i < length; i++) {
		if (data[i] != script_byte((uint64_t)seq - 1 + i))
			return false;
	}
	return true;
}

/* ---- Flows ---- */

struct flow *script_flow(uint16_t peer_port, uint16_t host_port)
{
	struct flow *flow;

	if (!peer_port)
		peer_port = PEER_PORT;
	if (!host_port)
		host_port = script.active_port ? script.active_port : HOST_PORT;
	for (uint32_t i = 0; i < script.flow_count; i++) {
		flow = &script.flows[i];
		if (flow->peer_port == peer_port && flow->host_port == host_port)
			return flow;
	}
	assert_true(script.flow_count < SCRIPT_FLOWS_MAX);
	flow = &script.flows[script.flow_count++];
	*flow = (struct flow){.peer_port = peer_port,
			      .host_port = host_port,
			      .peer_iss = script.options.peer_iss};
	return flow;
}

void script_renew(uint16_t peer_port, uint16_t host_port, uint32_t peer_iss)
{
	struct flow *flow = script_flow(peer_port, host_port);

	*flow = (struct flow){
		.peer_port = flow->peer_port, .host_port = flow->host_port, .peer_iss = peer_iss};
}

static bool has_scaling(const struct flow *flow)
{
	return flow->host_scaling && flow->peer_scaling;
}

static bool has_timestamps(const struct flow *flow)
{
	return flow->host_timestamps && flow->peer_timestamps;
}

uint32_t script_window(const struct segment *segment)
{
	const struct flow *flow = script_flow(segment->peer_port, segment->host_port);
	bool is_scaled = has_scaling(flow) && !(segment->flags & SYN);

	return segment->window << (is_scaled ? flow->host_shift : 0);
}

/* The sequence space that a segment takes. */
static uint32_t space_of(const struct segment *segment)
{
	return segment->length + !!(segment->flags & SYN) + !!(segment->flags & FIN);
}

/* ---- Lines ---- */

static size_t print_flags(char *text, uint8_t flags)
{
	static const struct {
		uint8_t flag;
		char letter;
	} letters[] = {{SYN, 'S'}, {FIN, 'F'}, {RST, 'R'}, {PSH, 'P'},
		       {URG, 'U'}, {ECE, 'E'}, {CWR, 'W'}, {ACK, '.'}};
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		if (flags & letters[i].flag)
			text[count++] = letters[i].letter;
	}
	text[count] = '\0';
	return count;
}

static void append(char *line, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *line, size_t room, const char *format, ...)
{
	size_t length = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + length, room - length, format, arguments);
	va_end(arguments);
}

static void print_options(char *line, size_t room, const struct segment *segment)
{
	if (segment->mss)
		append(line, room, " mss %u", segment->mss);
	if (segment->scaling)
		append(line, room, " wscale %u", segment->shift);
	if (segment->sack_permitted)
		append(line, room, " sackOK");
	if (segment->has_timestamp)
		append(line, room, " TS %u ecr %u", segment->timestamp, segment->echo);
	for (unsigned int i = 0; i < segment->sack_count; i++)
		append(line, room, " sack %u:%u", segment->sack[i].left, segment->sack[i].right);
	if (segment->options)
		append(line, room, " %u bytes of options", segment->option_bytes);
}

void script_print(char *line, size_t room, char direction, uint64_t at_ns,
		  const struct segment *segment)
{
	char flags[10];

	print_flags(flags, segment->flags);
	snprintf(line, room, "%11.6f %c [%s] %u:%u(%u)", (double)(at_ns - script.begin_ns) / 1e9,
		 direction, flags, segment->seq, segment->seq + segment->length, segment->length);
	if (segment->flags & ACK)
		append(line, room, " ack %u", segment->ack);
	if (direction != '?')
		append(line, room, " win %u", segment->window);
	print_options(line, room, segment);
	if (segment->peer_port && segment->peer_port != PEER_PORT)
		append(line, room, " port %u", segment->peer_port);
	if (segment->traffic_class & 3)
		append(line, room, " ecn %u", segment->traffic_class & 3);
	if (segment->garbage)
		append(line, room, " garbage");
	if (segment->bad_checksum)
		append(line, room, " bad checksum");
}

void script_log(char direction, uint64_t at_ns, const struct segment *segment)
{
	script_print(script.lines[script.line_count++ % SCRIPT_LINES_MAX], sizeof(script.lines[0]),
		     direction, at_ns, segment);
}

/* ---- Out ---- */

static void send_frame(uint16_t type, const uint8_t *packet, uint32_t length, bool to_all)
{
	uint8_t frame[FRAME_BYTES_MAX];
	const struct eth_header header = {
		.destination = to_all ? eth_address_broadcast() : script.host->device->caps.mac,
		.source = script.peer->device->caps.mac,
		.type = type,
	};

	assert_true(ETH_HEADER_BYTES + length <= sizeof(frame));
	eth_emit(frame, sizeof(frame), &header);
	memcpy(frame + ETH_HEADER_BYTES, packet, length);
	station_send(script.peer, frame, ETH_HEADER_BYTES + length);
}

struct packet {
	struct ip_address source, destination;
	uint8_t protocol;
	uint8_t hop_limit;
	uint8_t traffic_class;
	bool to_all;
};

static uint32_t emit_ip(uint8_t *room, const struct packet *packet, uint32_t payload_bytes)
{
	const struct ipv4_header v4 = {
		.source = packet->source,
		.destination = packet->destination,
		.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + payload_bytes),
		.traffic_class = packet->traffic_class,
		.ttl = packet->hop_limit,
		.protocol = packet->protocol,
		.dont_fragment = true,
	};
	const struct ipv6_header v6 = {
		.source = packet->source,
		.destination = packet->destination,
		.payload_bytes = (uint16_t)payload_bytes,
		.traffic_class = packet->traffic_class,
		.next_header = packet->protocol,
		.hop_limit = packet->hop_limit,
	};

	if (!script.is_v6)
		return (uint32_t)ipv4_emit(room, IPV4_HEADER_BYTES, &v4);
	return (uint32_t)ipv6_emit(room, IPV6_HEADER_BYTES, &v6);
}

static void send_packet(const struct packet *packet, const uint8_t *payload, uint32_t length)
{
	uint8_t bytes[FRAME_BYTES_MAX];
	uint32_t header_bytes = emit_ip(bytes, packet, length);

	assert_true(header_bytes + length <= sizeof(bytes));
	memcpy(bytes + header_bytes, payload, length);
	send_frame(script.is_v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4, bytes, header_bytes + length,
		   packet->to_all);
}

/* The options as the test said them, and those that a segment of this flow has by itself. */
static void set_options(struct tcp_options *options, const struct flow *flow,
			const struct segment *segment)
{
	memset(options, 0, sizeof(*options));
	options->has_mss = segment->mss;
	options->mss = segment->mss;
	options->has_window_shift = segment->scaling;
	options->window_shift = segment->shift;
	options->sack_permitted = segment->sack_permitted;
	options->has_timestamp = segment->has_timestamp ||
				 (has_timestamps(flow) && !segment->no_timestamp &&
				  !(segment->flags & SYN));
	options->timestamp = segment->timestamp ? segment->timestamp : script_peer_time();
	options->timestamp_echo = segment->echo ? segment->echo : flow->host_echo;
	if (segment->echoes_nothing || !(segment->flags & ACK))
		options->timestamp_echo = 0;
	options->sack_count = segment->sack_count;
	for (unsigned int i = 0; i < segment->sack_count; i++) {
		options->sack[i].left = segment->sack[i].left + flow->host_iss;
		options->sack[i].right = segment->sack[i].right + flow->host_iss;
	}
}

static uint32_t emit_header(uint8_t *bytes, const struct flow *flow, const struct segment *segment,
			    const struct tcp_options *options)
{
	const struct tcp_header header = {
		.source_port = flow->peer_port,
		.destination_port = flow->host_port,
		.sequence = segment->seq + flow->peer_iss,
		.acknowledgment = segment->flags & ACK ? segment->ack + flow->host_iss
						       : segment->ack,
		.window = (uint16_t)segment->window,
		.urgent = segment->urgent,
		.flags = segment->flags,
	};
	int header_bytes = tcp_emit(bytes, TCP_HEADER_BYTES_MAX, &header, options);

	assert_true(header_bytes >= TCP_HEADER_BYTES);
	if (segment->options) {
		header_bytes = TCP_HEADER_BYTES + segment->option_bytes;
		memcpy(bytes + TCP_HEADER_BYTES, segment->options, segment->option_bytes);
		bytes[12] = (uint8_t)(header_bytes / 4 << 4);
	}
	if (segment->offset_bytes)
		bytes[12] = (uint8_t)(segment->offset_bytes / 4 << 4);
	bytes[12] |= segment->reserved & 0xf;
	return (uint32_t)header_bytes;
}

/* What the peer has offered in its SYN. */
static void note_offer(struct flow *flow, const struct segment *segment)
{
	flow->peer_timestamps = segment->has_timestamp;
	flow->peer_sack = segment->sack_permitted;
	flow->peer_scaling = segment->scaling;
	flow->peer_shift = segment->shift > 14 ? 14 : segment->shift;
	flow->peer_mss = segment->mss;
}

static void note_injected(struct flow *flow, const struct segment *segment)
{
	uint32_t end = segment->seq + space_of(segment);
	bool is_scaled = has_scaling(flow) && !(segment->flags & SYN);
	uint32_t edge = (segment->flags & ACK ? segment->ack : 1) +
			(segment->window << (is_scaled ? flow->peer_shift : 0));

	if ((segment->flags & SYN) && !segment->seq)
		note_offer(flow, segment);
	if (!(segment->flags & RST) && (int32_t)(end - flow->peer_sent) > 0)
		flow->peer_sent = end;
	if (!flow->has_send_edge || (int32_t)(edge - flow->send_edge) > 0)
		flow->send_edge = edge;
	flow->has_send_edge = true;
}

static uint32_t fill_payload(uint8_t *data, const struct segment *segment)
{
	uint32_t first = segment->seq + !!(segment->flags & SYN) - 1;

	for (uint32_t i = 0; i < segment->length; i++)
		data[i] = (uint8_t)(script_byte((uint64_t)first + i) ^
				    (segment->garbage ? 0xff : 0));
	return segment->length;
}

void script_inject(const struct segment *wanted)
{
	struct segment segment = *wanted;
	struct flow *flow = script_flow(segment.peer_port, segment.host_port);
	const struct packet packet = {
		.source = segment.source ? *segment.source : script.peer_ip,
		.destination = segment.destination ? *segment.destination : script.host_ip,
		.protocol = IPPROTO_TCP,
		.hop_limit = 64,
		.traffic_class = segment.traffic_class,
		.to_all = segment.to_all,
	};
	struct tcp_options options;
	uint8_t bytes[FRAME_BYTES_MAX];
	uint32_t length;

	if (!segment.window && !segment.zero_window)
		segment.window = script.peer_window;
	set_options(&options, flow, &segment);
	length = emit_header(bytes, flow, &segment, &options);
	length += fill_payload(bytes + length, &segment);
	store_be16(bytes + TCP_CHECKSUM_OFFSET, 0);
	store_be16(bytes + TCP_CHECKSUM_OFFSET,
		   (uint16_t)(tcp_checksum(&packet.source, &packet.destination, bytes, length) ^
			      (segment.bad_checksum ? 0x1111 : 0)));
	if (!segment.bad_checksum && !segment.source)
		note_injected(flow, &segment);
	segment.peer_port = flow->peer_port;
	segment.has_timestamp = options.has_timestamp;
	segment.timestamp = options.timestamp;
	segment.echo = options.timestamp_echo;
	script_log('<', script.world.now_ns, &segment);
	send_packet(&packet, bytes, length);
	advance(LINK_NS);
	script.event_ns = script.world.now_ns;
}

/* ---- ICMP ---- */

/* The packet of the stack's that a router quotes, as far as RFC 792 wants it and more. */
static uint32_t emit_quoted(uint8_t *bytes, const struct icmp_injection *icmp)
{
	const struct flow *flow = script_flow(icmp->peer_port, icmp->host_port);
	const struct packet packet = {
		.source = script.host_ip,
		.destination = script.peer_ip,
		.protocol = IPPROTO_TCP,
		.hop_limit = 63,
	};
	const struct tcp_header header = {
		.source_port = flow->host_port,
		.destination_port = flow->peer_port,
		.sequence = icmp->seq + flow->host_iss,
		.acknowledgment = flow->peer_iss + 1,
		.window = 1000,
		.flags = ACK,
	};
	uint32_t length = emit_ip(bytes, &packet, TCP_HEADER_BYTES + icmp->quoted_length);

	length += (uint32_t)tcp_emit(bytes + length, TCP_HEADER_BYTES, &header, NULL);
	return length;
}

static const struct {
	uint8_t type, code, type_v6, code_v6;
} icmp_kinds[] = {
	[ICMP_TOO_BIG] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_TOO_BIG, ICMP6_TYPE_TOO_BIG, 0},
	[ICMP_NO_PORT] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_PORT, ICMP6_TYPE_UNREACHABLE,
			  ICMP6_UNREACHABLE_PORT},
	[ICMP_NO_HOST] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_HOST, ICMP6_TYPE_UNREACHABLE,
			  ICMP6_UNREACHABLE_ADDRESS},
	[ICMP_NO_NETWORK] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_NETWORK,
			     ICMP6_TYPE_UNREACHABLE, ICMP6_UNREACHABLE_ROUTE},
	[ICMP_NO_PROTOCOL] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_PROTOCOL,
			      ICMP6_TYPE_PARAMETER_PROBLEM, ICMP6_PARAMETER_NEXT_HEADER},
	[ICMP_PROHIBITED] = {ICMP_TYPE_UNREACHABLE, ICMP_UNREACHABLE_PROHIBITED,
			     ICMP6_TYPE_UNREACHABLE, ICMP6_UNREACHABLE_PROHIBITED},
	[ICMP_TIME_EXCEEDED] = {ICMP_TYPE_TIME_EXCEEDED, ICMP_TIME_EXCEEDED_TRANSIT,
				ICMP6_TYPE_TIME_EXCEEDED, ICMP6_TIME_EXCEEDED_TRANSIT},
	[ICMP_BAD_FIELD] = {ICMP_TYPE_PARAMETER_PROBLEM, 0, ICMP6_TYPE_PARAMETER_PROBLEM,
			    ICMP6_PARAMETER_FIELD},
	[ICMP_SOURCE_QUENCH] = {4, 0, 0, 0},
};

void script_inject_icmp(const struct icmp_injection *icmp)
{
	const struct packet packet = {
		.source = script.peer_ip,
		.destination = script.host_ip,
		.protocol = script.is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.hop_limit = 64,
	};
	const struct icmp_message v4 = {
		.type = icmp_kinds[icmp->kind].type,
		.code = icmp_kinds[icmp->kind].code,
		.next_hop_mtu = (uint16_t)icmp->mtu,
	};
	const struct icmp6_message v6 = {
		.type = icmp_kinds[icmp->kind].type_v6,
		.code = icmp_kinds[icmp->kind].code_v6,
		.mtu = icmp->mtu,
		.pointer = icmp->kind == ICMP_NO_PROTOCOL ? IPV6_NEXT_HEADER_OFFSET : 0,
	};
	uint8_t quoted[128], bytes[256];
	uint32_t length = emit_quoted(quoted, icmp);
	int all;

	if (script.is_v6)
		all = icmp6_emit(bytes, sizeof(bytes), &packet.source, &packet.destination, &v6,
				 quoted, length);
	else
		all = icmp_emit(bytes, sizeof(bytes), &v4, quoted, length);
	assert_true(all > 0);
	snprintf(script.lines[script.line_count++ % SCRIPT_LINES_MAX], sizeof(script.lines[0]),
		 "%11.6f < ICMP kind %d mtu %u about %u",
		 (double)(script.world.now_ns - script.begin_ns) / 1e9, (int)icmp->kind, icmp->mtu,
		 icmp->seq);
	send_packet(&packet, bytes, (uint32_t)all);
	advance(LINK_NS);
	script.event_ns = script.world.now_ns;
}

/* ---- In: neighbours ---- */

static void hear_arp(const uint8_t *data, uint32_t length)
{
	struct arp_packet request, reply;
	uint8_t bytes[ARP_BYTES];

	if (arp_parse(&request, data, length) < 0 || request.operation != ARP_REQUEST ||
	    script.is_v6 || !ip_address_equal(&request.target_ip, &script.peer_ip))
		return;
	reply = arp_reply(script.peer->device->caps.mac, &request);
	arp_emit(bytes, sizeof(bytes), &reply);
	send_frame(ETH_TYPE_ARP, bytes, sizeof(bytes), false);
}

static void hear_icmp6(const struct ipv6_header *ip, const uint8_t *data, uint32_t length)
{
	const struct packet packet = {
		.source = script.peer_ip,
		.destination = ip->source,
		.protocol = IPPROTO_ICMPV6,
		.hop_limit = NDP_HOP_LIMIT,
	};
	struct ndp_message message, answer;
	uint8_t bytes[128];
	int all;

	if (data[0] < ICMP6_TYPE_ECHO_REQUEST)
		script.icmp_heard++;
	if (data[0] != ICMP6_TYPE_NEIGHBOR_SOLICITATION || !script.is_v6 ||
	    ndp_parse(&message, &ip->source, &ip->destination, ip->hop_limit, data, length) < 0 ||
	    !ip_address_equal(&message.target, &script.peer_ip) ||
	    ip_address_is_unspecified(&ip->source))
		return;
	answer = (struct ndp_message){
		.type = ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT,
		.target = script.peer_ip,
		.solicited = true,
		.overrides = true,
		.has_target_link = true,
		.target_link = script.peer->device->caps.mac,
	};
	all = ndp_emit(bytes, sizeof(bytes), &packet.source, &packet.destination, &answer);
	assert_true(all > 0);
	send_packet(&packet, bytes, (uint32_t)all);
}

/* ---- In: segments ---- */

/* What is wrong with the segment at hand: the test ends. */
static _Noreturn void refuse(const char *what, const struct segment *segment)
{
	script_fail(__FILE__, __LINE__, what, segment);
}

static void require(bool condition, const char *what, const struct segment *segment)
{
	if (!condition)
		refuse(what, segment);
}

/* Options as they stand there: what belongs to a SYN is on no other segment. */
static void check_option_bytes(const uint8_t *data, uint32_t header_bytes,
			       const struct segment *segment)
{
	for (uint32_t at = TCP_HEADER_BYTES; at < header_bytes;) {
		uint8_t kind = data[at];

		if (kind == 0) {
			for (; at < header_bytes; at++)
				require(!data[at], "padding that is not 0", segment);
			return;
		}
		if (kind == 1) {
			at++;
			continue;
		}
		require(at + 1 < header_bytes && data[at + 1] >= 2 &&
				at + data[at + 1] <= header_bytes,
			"an option of a wrong length", segment);
		require(kind == 2 || kind == 3 || kind == 4 || kind == 5 || kind == 8,
			"an option that was not asked for", segment);
		require((segment->flags & SYN) || kind == 5 || kind == 8,
			"an option of a SYN on another segment", segment);
		require(!(segment->flags & SYN) || kind != 5, "SACK on a SYN", segment);
		at += data[at + 1];
	}
}

static void check_negotiated(const struct flow *flow, const struct segment *segment)
{
	if (segment->flags & SYN) {
		if (!(segment->flags & ACK))
			return;
		/* RFC 7323, 2.2 and 3.2; RFC 2018, 2: only in answer to the same. */
		require(!segment->scaling || flow->peer_scaling, "a scale without one", segment);
		require(!segment->has_timestamp || flow->peer_timestamps, "a timestamp without one",
			segment);
		require(!segment->sack_permitted || flow->peer_sack, "SACK without it", segment);
		return;
	}
	/* RFC 7323, 3.2: on each segment from then on; of a reset it is free. */
	if (flow->is_known && !(segment->flags & RST))
		require(segment->has_timestamp == has_timestamps(flow),
			"timestamps other than negotiated", segment);
	if (segment->sack_count)
		require(flow->host_sack && flow->peer_sack, "SACK without it", segment);
	for (unsigned int i = 0; i < segment->sack_count; i++) {
		require((int32_t)(segment->sack[i].right - segment->sack[i].left) > 0,
			"an empty block", segment);
		require((int32_t)(segment->sack[i].right - flow->peer_sent) <= 0,
			"a block of what was not sent", segment);
	}
}

static void check_length(const struct flow *flow, const struct segment *segment)
{
	uint32_t mss = flow->peer_mss ? flow->peer_mss : script.is_v6 ? 1220 : 536;

	/* An offer that leaves no room for payload need not be kept. */
	if (mss < 88)
		mss = 88;
	/* RFC 6691, 2: options come off what fits. */
	require(segment->length + segment->option_space <= mss, "longer than the MSS", segment);
	if (!flow->has_send_edge || script.allows_beyond_window)
		return;
	/* A probe is one byte beyond: RFC 9293, 3.8.6.1. */
	require((int32_t)(segment->seq + segment->length - flow->send_edge) <= 1 &&
			(segment->length <= 1 ||
			 (int32_t)(segment->seq + segment->length - flow->send_edge) <= 0),
		"beyond the window", segment);
}

static void check_acknowledgment(struct flow *flow, const struct segment *segment)
{
	uint32_t edge = segment->ack + script_window(segment);
	uint32_t grain = has_scaling(flow) ? 1u << flow->host_shift : 1;

	require((int32_t)(segment->ack - flow->peer_sent) <= 0,
		"an acknowledgment of what was not sent", segment);
	if (segment->flags & RST)
		return;
	/* RFC 9293, 3.8.6: the edge does not go back, but by rounding (RFC 7323, 2.4). */
	if (flow->has_receive_edge && !script.allows_shrinking)
		require((int32_t)(edge + grain - flow->receive_edge) > 0, "a window that shrinks",
			segment);
	if (!flow->has_receive_edge || (int32_t)(edge - flow->receive_edge) > 0)
		flow->receive_edge = edge;
	flow->has_receive_edge = true;
}

/* The first SYN of a connection, or one again. */
static void note_syn(struct flow *flow, const struct tcp_header *header,
		     const struct segment *segment)
{
	if (flow->is_known && flow->host_iss == header->sequence)
		return;
	flow->is_known = true;
	flow->host_iss = header->sequence;
	flow->host_timestamps = segment->has_timestamp;
	flow->host_sack = segment->sack_permitted;
	flow->host_scaling = segment->scaling;
	flow->host_shift = segment->shift;
	flow->host_sent = 0;
	flow->has_receive_edge = false;
	if (!(segment->flags & ACK))
		script.active_port = flow->host_port;
}

static void read_options(struct segment *segment, const struct tcp_options *options,
			 const struct flow *flow)
{
	segment->mss = options->has_mss ? options->mss : 0;
	segment->scaling = options->has_window_shift;
	segment->shift = options->has_window_shift ? options->window_shift : 0;
	segment->sack_permitted = options->sack_permitted;
	segment->has_timestamp = options->has_timestamp;
	if (options->has_timestamp) {
		segment->timestamp = options->timestamp;
		segment->echo = options->timestamp_echo;
	}
	segment->sack_count = options->sack_count;
	for (unsigned int i = 0; i < options->sack_count; i++) {
		segment->sack[i].left = options->sack[i].left - flow->peer_iss;
		segment->sack[i].right = options->sack[i].right - flow->peer_iss;
	}
}

static void check_segment(struct flow *flow, const struct segment *segment, const uint8_t *payload)
{
	require((segment->flags & (ACK | RST)) || segment->flags == SYN ||
			segment->flags == (SYN | ECE | CWR),
		"neither an acknowledgment nor a reset nor a SYN", segment);
	require(!(segment->flags & SYN) || !(segment->flags & (FIN | RST)), "SYN with FIN or RST",
		segment);
	require(!(segment->flags & SYN) || segment->mss, "a SYN without MSS", segment);
	check_negotiated(flow, segment);
	if (segment->length) {
		require(!(segment->flags & (SYN | RST)), "data on a SYN or RST", segment);
		check_length(flow, segment);
		require(script.allows_any_payload ||
				is_stream(payload, segment->length, segment->seq),
			"bytes that were not pushed", segment);
	}
	if ((segment->flags & ACK) && flow->is_known)
		check_acknowledgment(flow, segment);
}

static void keep(const struct segment *segment)
{
	if (script.heard_next == script.heard_count)
		script.heard_next = script.heard_count = 0;
	assert_true(script.heard_count < SCRIPT_HEARD_MAX);
	script.heard[script.heard_count++] = *segment;
	script.world.halts = script.halts;
}

static void hear_tcp(struct segment *segment, const struct packet *packet, const uint8_t *data,
		     uint32_t length)
{
	struct tcp_header header = {0};
	struct tcp_options options;
	struct flow *flow;
	int header_bytes = tcp_parse(&header, data, length);

	assert_true(header_bytes >= TCP_HEADER_BYTES);
	assert_int_equal(tcp_verify(&packet->source, &packet->destination, data, length), 0);
	assert_int_equal(data[12] & 0xf, 0);
	assert_int_equal(tcp_options_parse(&options, &header, data), 0);
	segment->flags = header.flags;
	segment->peer_port = header.destination_port;
	segment->host_port = header.source_port;
	segment->window = header.window;
	segment->length = length - (uint32_t)header_bytes;
	segment->option_space = (uint8_t)(header_bytes - TCP_HEADER_BYTES);
	flow = script_flow(segment->peer_port, segment->host_port);
	read_options(segment, &options, flow);
	if (header.flags & SYN)
		note_syn(flow, &header, segment);
	segment->seq = header.sequence - flow->host_iss;
	segment->ack = header.flags & ACK ? header.acknowledgment - flow->peer_iss : 0;
	segment->urgent = header.urgent;
	script_log('>', segment->at_ns, segment);
	check_option_bytes(data, (uint32_t)header_bytes, segment);
	check_segment(flow, segment, data + header_bytes);
	if (options.has_timestamp)
		flow->host_echo = options.timestamp;
	if ((int32_t)(segment->seq + space_of(segment) - flow->host_sent) > 0)
		flow->host_sent = segment->seq + space_of(segment);
	keep(segment);
}

static void hear_ipv4(const uint8_t *data, uint32_t length)
{
	struct segment segment = {.at_ns = script.world.now_ns - LINK_NS};
	struct packet packet;
	struct ipv4_header ip;
	int header_bytes = ipv4_parse(&ip, data, length);

	assert_true(header_bytes > 0);
	packet = (struct packet){.source = ip.source, .destination = ip.destination};
	segment.traffic_class = ip.traffic_class;
	segment.hop_limit = ip.ttl;
	segment.dont_fragment = ip.dont_fragment;
	if (ip.protocol == IPPROTO_TCP && !script.is_over) {
		assert_false(ipv4_is_fragment(&ip));
		hear_tcp(&segment, &packet, data + header_bytes,
			 (uint32_t)(ip.total_bytes - header_bytes));
	}
	if (ip.protocol == IPPROTO_ICMP && data[header_bytes] != ICMP_TYPE_ECHO_REPLY)
		script.icmp_heard++;
}

static void hear_ipv6(const uint8_t *data, uint32_t length)
{
	struct segment segment = {.at_ns = script.world.now_ns - LINK_NS};
	struct packet packet;
	struct ipv6_header ip;

	assert_int_equal(ipv6_parse(&ip, data, length), IPV6_HEADER_BYTES);
	packet = (struct packet){.source = ip.source, .destination = ip.destination};
	segment.traffic_class = ip.traffic_class;
	segment.hop_limit = ip.hop_limit;
	segment.dont_fragment = true;
	if (ip.next_header == IPPROTO_TCP && !script.is_over)
		hear_tcp(&segment, &packet, data + IPV6_HEADER_BYTES, ip.payload_bytes);
	if (ip.next_header == IPPROTO_ICMPV6)
		hear_icmp6(&ip, data + IPV6_HEADER_BYTES, ip.payload_bytes);
}

void script_hear(struct station *station, const uint8_t *data, uint32_t length)
{
	struct eth_header eth = {0};
	int header_bytes = eth_parse(&eth, data, length);

	(void)station;
	assert_int_equal(header_bytes, ETH_HEADER_BYTES);
	data += header_bytes;
	length -= (uint32_t)header_bytes;
	if (eth.type == ETH_TYPE_ARP)
		hear_arp(data, length);
	else if (eth.type == ETH_TYPE_IPV4)
		hear_ipv4(data, length);
	else if (eth.type == ETH_TYPE_IPV6)
		hear_ipv6(data, length);
}
