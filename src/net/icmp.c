/* SPDX-License-Identifier: MIT */
/*
 * ICMP (RFC 792, RFC 1122 section 3.2.2) and what ICMPv6 does alike: the bound on what is sent, who
 * may be answered, echo, and telling errors to transports.
 */
#include "net/icmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/tcp/tcp.h"
#include "net/udp.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"

#define SECOND_NS UINT64_C(1000000000)
#define BURST_SHARE 10u /* of a second's */
#define BURST_MIN 32u
#define CHECKSUM_AT 2u
#define ECHO_PAYLOAD_MAX (IPV4_PACKET_BYTES_MAX - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES)
#define CLASS_E 0xf0000000u /* RFC 1122, 3.2.1.3: no host's */

/* A token bucket as one number: the time at which it will be full again. */
struct bucket {
	uint64_t full_ns;
	uint64_t token_ns; /* time that brings one; 0: there are none */
	uint64_t burst_ns; /* that brings all but one */
};

struct icmp_state {
	struct bucket errors;
	struct bucket echoes;
	struct bucket neighbours;
	icmp_echo_fn *listener;
	void *context;
};

static enum net_layer layer_of(const struct ip_packet *packet)
{
	return packet->is_v6 ? NET_LAYER_ICMP6 : NET_LAYER_ICMP;
}

/* ---- The bound on what is sent on account of others ---- */

static struct bucket bucket_of(uint64_t rate)
{
	uint64_t burst = rate / BURST_SHARE;

	if (rate == 0)
		return (struct bucket){0};
	if (burst < BURST_MIN)
		burst = BURST_MIN;
	return (struct bucket){
		.token_ns = SECOND_NS / rate ? SECOND_NS / rate : 1,
		.burst_ns = SECOND_NS / rate * (burst - 1),
	};
}

static bool bucket_take(struct bucket *bucket, uint64_t now_ns)
{
	if (!bucket->token_ns)
		return false;
	if (bucket->full_ns < now_ns)
		bucket->full_ns = now_ns;
	if (bucket->full_ns - now_ns > bucket->burst_ns)
		return false;
	bucket->full_ns += bucket->token_ns;
	return true;
}

bool icmp_rate_allows(struct net *net, enum net_layer layer)
{
	if (bucket_take(&net->icmp->errors, net->now_ns))
		return true;
	net_count_drop(net, layer, NET_DROP_RATE_LIMIT);
	return false;
}

bool icmp_neighbour_allows(struct net *net, enum net_layer layer)
{
	if (bucket_take(&net->icmp->neighbours, net->now_ns))
		return true;
	net_count_drop(net, layer, NET_DROP_RATE_LIMIT);
	return false;
}

int icmp_create(struct net *net)
{
	net->icmp = calloc(1, sizeof(*net->icmp));
	if (!net->icmp)
		return -ENOMEM;
	net->icmp->errors = bucket_of(net->options.icmp_rate);
	net->icmp->neighbours = bucket_of(ICMP_NEIGHBOUR_RATE);
	net->icmp->echoes = bucket_of((uint64_t)net->options.icmp_rate * ICMP_ECHO_RATE_FACTOR);
	return 0;
}

void icmp_destroy(struct net *net)
{
	free(net->icmp);
	net->icmp = NULL;
}

/* ---- Errors out ---- */

/* Whether the packet is itself an error, or a redirect; one that we cannot read may be. */
static bool is_error(const struct ip_packet *packet)
{
	uint8_t type;

	if (packet->protocol != (packet->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return false;
	if (packet->total_bytes <= packet->header_bytes)
		return true;
	type = packet->header[packet->header_bytes];
	if (packet->is_v6)
		return type < ICMP6_TYPE_ECHO_REQUEST || type == ICMP6_TYPE_REDIRECT;
	return type != ICMP_TYPE_ECHO_REQUEST && type != ICMP_TYPE_ECHO_REPLY;
}

/* RFC 1122, 3.2.2; RFC 4443, 2.4 (e). Of fragments only first ones come here. */
static bool may_answer(const struct net *net, const struct ip_packet *packet, bool answers_group)
{
	const struct ip_address *source = &packet->source;

	if (net->overhears || !packet->header || is_error(packet) ||
	    (packet->to_group && !answers_group))
		return false;
	if (ip_address_is_unspecified(source) || ip_address_is_multicast(source))
		return false;
	return packet->is_v6 ||
	       (ip_address_low32(source) < CLASS_E && !net_is_subnet_broadcast(net, source));
}

bool icmp_answer_begin(struct net *net, const struct ip_packet *packet, struct icmp_answer *answer)
{
	enum net_layer layer = layer_of(packet);

	if (path_find(net, &answer->path, &packet->source) < 0) {
		net_count_drop(net, layer, NET_DROP_NO_ROUTE);
		return false;
	}
	/* From the address that was spoken to. */
	answer->source = packet->to_group ? answer->path.source : packet->destination;
	answer->buf = netdev_alloc(net->device);
	if (!answer->buf) {
		net_count_drop(net, layer, NET_DROP_NO_FRAME);
		return false;
	}
	answer->room = (uint32_t)sizeof(*answer->buf) + answer->buf->capacity -
		       net->device->data_offset;
	return true;
}

void icmp_answer_send(struct net *net, struct icmp_answer *answer, uint32_t bytes)
{
	bool is_v6 = !ip_address_is_v4(&answer->source);
	const struct ip_send send = {
		.path = &answer->path,
		.source = answer->source,
		.protocol = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
	};

	answer->buf->length = bytes;
	net_count_tx(net, is_v6 ? NET_LAYER_ICMP6 : NET_LAYER_ICMP, bytes);
	ip_tx(net, &send, answer->buf);
}

static void tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem)
{
	uint32_t quoted_bytes = packet->total_bytes;
	struct icmp_message message = {.type = ICMP_TYPE_UNREACHABLE};
	struct icmp_answer answer;
	int bytes;

	if (problem == ICMP_PROBLEM_REASSEMBLY_TIMEOUT) {
		message.type = ICMP_TYPE_TIME_EXCEEDED;
		message.code = ICMP_TIME_EXCEEDED_REASSEMBLY;
	} else {
		message.code = problem == ICMP_PROBLEM_PORT_UNREACHABLE ? ICMP_UNREACHABLE_PORT
									: ICMP_UNREACHABLE_PROTOCOL;
	}
	if (quoted_bytes > ICMP_QUOTED_BYTES_MAX)
		quoted_bytes = ICMP_QUOTED_BYTES_MAX;
	if (!icmp_answer_begin(net, packet, &answer))
		return;
	if (quoted_bytes > answer.room - ICMP_HEADER_BYTES)
		quoted_bytes = answer.room - ICMP_HEADER_BYTES;
	bytes = icmp_emit(answer.buf->data, answer.room, &message, packet->header, quoted_bytes);
	icmp_answer_send(net, &answer, (uint32_t)bytes);
}

void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group)
{
	if (!may_answer(net, packet, answers_group) || !icmp_rate_allows(net, layer_of(packet)))
		return;
	if (packet->is_v6)
		icmp6_tx_error(net, packet, problem, code, pointer);
	else
		tx_error(net, packet, problem);
}

/* ---- Echo ---- */

/*
 * What a device can send of a message that lies in the heap: in a frame if the packet fits one,
 * else its header in a frame and the rest by reference, which ip_tx takes apart. NULL: no frame.
 */
static struct buf *sendable(struct net *net, const struct path *path, uint32_t header_bytes,
			    struct buf *message)
{
	struct buf *head = netdev_alloc(net->device);
	uint32_t bytes = message->length;

	if (!head)
		return NULL;
	if (path->is_local || header_bytes + bytes > path->mtu)
		bytes = ICMP_HEADER_BYTES;
	memcpy(head->data, message->data, bytes);
	head->length = bytes;
	if (bytes == message->length)
		return head;
	head->next = netdev_reference(net->device, message->data + bytes, message->length - bytes);
	if (head->next)
		return head;
	netdev_release(net->device, head);
	return NULL;
}

/* Send a whole message; ownership of @buf passes. */
static int send_message(struct net *net, const struct ip_send *send, struct buf *buf, bool is_frame)
{
	enum net_layer layer = send->protocol == IPPROTO_ICMP ? NET_LAYER_ICMP : NET_LAYER_ICMP6;
	uint32_t header_bytes = ip_header_bytes(send), bytes = buf->length;
	unsigned char *room = (unsigned char *)buf + net->device->room_offset;

	if (!is_frame || (size_t)(buf->data - room) < header_bytes + net->link_bytes) {
		struct buf *chain = sendable(net, send->path, header_bytes, buf);

		netdev_release(net->device, buf);
		if (!chain) {
			net_count_drop(net, layer, NET_DROP_NO_FRAME);
			return -ENOBUFS;
		}
		buf = chain;
	}
	net_count_tx(net, layer, bytes);
	return ip_tx(net, send, buf);
}

/* Make a request the reply to it (RFC 792; RFC 4443, 4.2). */
static void turn(const struct ip_packet *packet, const struct ip_send *send, struct buf *buf)
{
	uint16_t checksum = load_be16(buf->data + CHECKSUM_AT);

	buf->flags = 0;
	if (!packet->is_v6) {
		buf->data[0] = ICMP_TYPE_ECHO_REPLY;
		checksum = checksum_update16(checksum, ICMP_TYPE_ECHO_REQUEST << 8,
					     ICMP_TYPE_ECHO_REPLY << 8);
		/* A message of zeroes only; these two are the same to every other. */
		store_be16(buf->data + CHECKSUM_AT, checksum ? checksum : 0xffff);
		return;
	}
	buf->data[0] = ICMP6_TYPE_ECHO_REPLY;
	checksum = checksum_update16(checksum, ICMP6_TYPE_ECHO_REQUEST << 8,
				     ICMP6_TYPE_ECHO_REPLY << 8);
	store_be16(buf->data + CHECKSUM_AT, checksum);
	/* The addresses have changed places, unless one was a group's. */
	if (packet->to_group)
		icmp6_checksum_store(buf->data, &send->source, &packet->source, buf->length);
}

void icmp_echo_answer(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct path path;
	struct ip_send send = {
		.path = &path,
		.source = packet->destination,
		.protocol = packet->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.traffic_class = packet->traffic_class,
	};

	if (net->overhears) {
		netdev_release(net->device, buf);
		return;
	}
	if (ip_address_is_unspecified(&packet->source)) {
		net_drop(net, buf, layer_of(packet), WIRE_BAD_SOURCE);
		return;
	}
	if (!bucket_take(&net->icmp->echoes, net->now_ns)) {
		net_drop(net, buf, layer_of(packet), NET_DROP_RATE_LIMIT);
		return;
	}
	if (path_find(net, &path, &packet->source) < 0) {
		net_drop(net, buf, layer_of(packet), NET_DROP_NO_ROUTE);
		return;
	}
	if (packet->to_group)
		send.source = path.source;
	turn(packet, &send, buf);
	send_message(net, &send, buf, packet->is_frame);
}

void icmp_set_echo_listener(struct net *net, icmp_echo_fn *listener, void *context)
{
	net->icmp->listener = listener;
	net->icmp->context = context;
}

void icmp_echo_tell(struct net *net, const struct ip_packet *packet, const struct icmp_echo *echo,
		    struct buf *buf)
{
	const struct icmp_state *state = net->icmp;

	if (!state->listener) {
		net_drop(net, buf, layer_of(packet), NET_DROP_UNSOLICITED);
		return;
	}
	state->listener(state->context, packet, echo);
	netdev_release(net->device, buf);
}

static void fill_payload(uint8_t *to, const struct icmp_echo_request *request)
{
	if (request->payload) {
		memcpy(to, request->payload, request->payload_bytes);
		return;
	}
	for (uint32_t i = 0; i < request->payload_bytes; i++)
		to[i] = (unsigned char)i;
}

/* An echo request in memory of the heap; NULL: there is none. */
static struct buf *make_request(struct net *net, const struct icmp_echo_request *request,
				const struct ip_address *source)
{
	const struct icmp_message message = {
		.type = ICMP_TYPE_ECHO_REQUEST,
		.identifier = request->identifier,
		.sequence = request->sequence,
	};
	const struct icmp6_message message6 = {
		.type = ICMP6_TYPE_ECHO_REQUEST,
		.identifier = request->identifier,
		.sequence = request->sequence,
	};
	struct buf *buf = ip_alloc(net, ICMP_HEADER_BYTES + request->payload_bytes);

	if (!buf)
		return NULL;
	buf->length = ICMP_HEADER_BYTES + request->payload_bytes;
	fill_payload(buf->data + ICMP_HEADER_BYTES, request);
	if (ip_address_is_v4(source))
		icmp_emit(buf->data, buf->length, &message, NULL, request->payload_bytes);
	else
		icmp6_emit(buf->data, buf->length, source, &request->destination, &message6, NULL,
			   request->payload_bytes);
	return buf;
}

int icmp_echo_send(struct net *net, const struct icmp_echo_request *request)
{
	bool is_v4 = ip_address_is_v4(&request->destination);
	struct ip_send send = {.protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6};
	struct path path;
	struct buf *buf;
	int error;

	if (request->payload_bytes > ECHO_PAYLOAD_MAX)
		return -EMSGSIZE;
	error = path_find(net, &path, &request->destination);
	if (error)
		return error;
	send.path = &path;
	send.source = request->source ? *request->source : path.source;
	buf = make_request(net, request, &send.source);
	if (!buf)
		return -ENOBUFS;
	return send_message(net, &send, buf, false);
}

/* ---- Errors in ---- */

/* A connection looks at the path's new MTU, so that has to be known first. */
static unsigned int tell_tcp(struct net *net, const struct quoted_packet *quoted, int error,
			     uint32_t mtu)
{
	if (error == EMSGSIZE && tcp_is_ours(net, quoted))
		pmtu_lower(net, &quoted->destination, mtu);
	return tcp_error(net, quoted, error) ? 0 : NET_DROP_UNSOLICITED;
}

unsigned int icmp_error_tell(struct net *net, const struct ip_packet *packet,
			     const struct quoted_packet *quoted, int error, uint32_t mtu)
{
	bool is_ours = ip_is_ours(net, &quoted->source) ||
		       (packet->is_local && ip_address_is_loopback(&quoted->source));

	if (!is_ours)
		return NET_DROP_UNSOLICITED;
	/* Nobody waits for what becomes of an echo. */
	if (quoted->protocol == (packet->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return 0;
	if (quoted->protocol == IPPROTO_TCP)
		return tell_tcp(net, quoted, error, mtu);
	if (quoted->protocol != IPPROTO_UDP)
		return NET_DROP_UNSOLICITED;
	/* Who guesses must guess a socket's port too (RFC 5927). */
	if (!udp_error(net, quoted, error, mtu))
		return NET_DROP_UNSOLICITED;
	if (error == EMSGSIZE && !ip_address_is_multicast(&quoted->destination))
		pmtu_lower(net, &quoted->destination, mtu);
	return 0;
}

void icmp_tell_unreachable(struct net *net, const struct buf *buf, bool is_v6)
{
	struct quoted_packet quoted;
	int result = is_v6 ? quoted_parse_v6(&quoted, buf->data, buf->length)
			   : quoted_parse_v4(&quoted, buf->data, buf->length);

	if (result < 0)
		return;
	quoted.error_type = is_v6 ? ICMP6_TYPE_UNREACHABLE : ICMP_TYPE_UNREACHABLE;
	quoted.error_code = is_v6 ? ICMP6_UNREACHABLE_ADDRESS : ICMP_UNREACHABLE_HOST;
	if (quoted.protocol == IPPROTO_TCP)
		tcp_unreachable(net, &quoted);
	else if (quoted.protocol == IPPROTO_UDP)
		udp_error(net, &quoted, EHOSTUNREACH, 0);
}

/* RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; by the code. */
static int unreachable_error(uint8_t code)
{
	static const int errors[ICMP_UNREACHABLE_CODE_MAX + 1] = {
		[ICMP_UNREACHABLE_NETWORK] = ENETUNREACH,
		[ICMP_UNREACHABLE_HOST] = EHOSTUNREACH,
		[ICMP_UNREACHABLE_PROTOCOL] = ENOPROTOOPT,
		[ICMP_UNREACHABLE_PORT] = ECONNREFUSED,
		[ICMP_UNREACHABLE_TOO_BIG] = EMSGSIZE,
		[5] = EOPNOTSUPP,   /* source route failed */
		[6] = ENETUNREACH,  /* network unknown */
		[7] = EHOSTUNREACH, /* host unknown */
		[8] = EHOSTUNREACH, /* source host isolated */
		[9] = EACCES,       /* network prohibited */
		[10] = EACCES,      /* host prohibited */
		[11] = ENETUNREACH, /* for this type of service */
		[12] = EHOSTUNREACH,
		[ICMP_UNREACHABLE_PROHIBITED] = EACCES,
		[14] = EHOSTUNREACH, /* precedence */
		[15] = EHOSTUNREACH,
	};

	return errors[code];
}

static int error_of(const struct icmp_message *message)
{
	if (message->type == ICMP_TYPE_UNREACHABLE)
		return unreachable_error(message->code);
	return message->type == ICMP_TYPE_TIME_EXCEEDED ? EHOSTUNREACH : EPROTO;
}

/* 0, or why it is dropped. */
static unsigned int error_rx(struct net *net, const struct ip_packet *packet,
			     const struct icmp_message *message, const struct buf *buf)
{
	const unsigned char *quotation = buf->data + ICMP_HEADER_BYTES;
	struct quoted_packet quoted;
	uint32_t mtu = message->next_hop_mtu;
	int result = quoted_parse_v4(&quoted, quotation, buf->length - ICMP_HEADER_BYTES);

	if (result < 0)
		return (unsigned int)-result;
	if (packet->to_group)
		return WIRE_BAD_DESTINATION;
	quoted.error_type = message->type;
	quoted.error_code = message->code;
	/* An old router does not say: RFC 1191, section 5. */
	if (mtu == 0)
		mtu = pmtu_plateau(load_be16(quotation + 2));
	return icmp_error_tell(net, packet, &quoted, error_of(message), mtu);
}

void icmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct icmp_message message;
	unsigned int reason = 0;
	int result = icmp_parse(&message, buf->data, buf->length);

	net_count_rx(net, NET_LAYER_ICMP, buf->length);
	if (result < 0) {
		reason = (unsigned int)-result;
	} else if (icmp_is_error(&message)) {
		reason = error_rx(net, packet, &message, buf);
	} else if (message.type == ICMP_TYPE_ECHO_REPLY) {
		const struct icmp_echo echo = {
			.identifier = message.identifier,
			.sequence = message.sequence,
			.payload = buf->data + ICMP_HEADER_BYTES,
			.payload_bytes = buf->length - ICMP_HEADER_BYTES,
		};

		icmp_echo_tell(net, packet, &echo, buf);
		return;
	} else if (packet->to_group) {
		/* It would multiply: RFC 1122, 3.2.2.6. */
		reason = WIRE_BAD_DESTINATION;
	} else {
		icmp_echo_answer(net, packet, buf);
		return;
	}
	if (reason)
		net_drop(net, buf, NET_LAYER_ICMP, reason);
	else
		netdev_release(net->device, buf);
}
