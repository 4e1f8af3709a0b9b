/* SPDX-License-Identifier: MIT */
/* ICMPv6 (RFC 4443): its messages to those whom they concern, and its own errors. */
#include "wire/icmp6.h"

#include <errno.h>

#include "net/group.h"
#include "net/icmp.h"
#include "net/neighbour.h"

#define LAYER NET_LAYER_ICMP6

/* ---- Errors out ---- */

static struct icmp6_message message_of(enum icmp_problem problem, uint8_t code, uint32_t pointer)
{
	struct icmp6_message message = {.pointer = pointer};

	switch (problem) {
	case ICMP_PROBLEM_PORT_UNREACHABLE:
		message.type = ICMP6_TYPE_UNREACHABLE;
		message.code = ICMP6_UNREACHABLE_PORT;
		break;
	case ICMP_PROBLEM_PROTOCOL_UNREACHABLE:
		message.type = ICMP6_TYPE_PARAMETER_PROBLEM;
		message.code = ICMP6_PARAMETER_NEXT_HEADER;
		break;
	case ICMP_PROBLEM_REASSEMBLY_TIMEOUT:
		message.type = ICMP6_TYPE_TIME_EXCEEDED;
		message.code = ICMP6_TIME_EXCEEDED_REASSEMBLY;
		break;
	case ICMP_PROBLEM_PARAMETER:
		message.type = ICMP6_TYPE_PARAMETER_PROBLEM;
		message.code = code;
		break;
	}
	return message;
}

void icmp6_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		    uint8_t code, uint32_t pointer)
{
	const struct icmp6_message message = message_of(problem, code, pointer);
	uint32_t quoted_bytes = packet->total_bytes;
	struct icmp_answer answer;
	int bytes;

	if (!icmp_answer_begin(net, packet, &answer))
		return;
	if (quoted_bytes > ICMP6_QUOTED_BYTES_MAX)
		quoted_bytes = ICMP6_QUOTED_BYTES_MAX;
	if (quoted_bytes > answer.room - ICMP6_HEADER_BYTES)
		quoted_bytes = answer.room - ICMP6_HEADER_BYTES;
	bytes = icmp6_emit(answer.buf->data, answer.room, &answer.source, &packet->source, &message,
			   packet->header, quoted_bytes);
	icmp_answer_send(net, &answer, (uint32_t)bytes);
}

/* ---- Errors in ---- */

/* RFC 4443, 3.1; codes 2, 5 and 6: beyond the scope, ingress and egress policy, reject route. */
static int unreachable_error(uint8_t code)
{
	switch (code) {
	case ICMP6_UNREACHABLE_ROUTE:
		return ENETUNREACH;
	case ICMP6_UNREACHABLE_PROHIBITED:
	case 5:
	case 6:
		return EACCES;
	case ICMP6_UNREACHABLE_PORT:
		return ECONNREFUSED;
	default:
		return EHOSTUNREACH;
	}
}

static int error_of(const struct icmp6_message *message)
{
	switch (message->type) {
	case ICMP6_TYPE_UNREACHABLE:
		return unreachable_error(message->code);
	case ICMP6_TYPE_TOO_BIG:
		return EMSGSIZE;
	case ICMP6_TYPE_TIME_EXCEEDED:
		return EHOSTUNREACH;
	default:
		return EPROTO;
	}
}

/* 0, or why it is dropped. */
static unsigned int error_rx(struct net *net, const struct ip_packet *packet,
			     const struct icmp6_message *message, const struct buf *buf)
{
	struct quoted_packet quoted;
	int result = quoted_parse_v6(&quoted, buf->data + ICMP6_HEADER_BYTES,
				     buf->length - ICMP6_HEADER_BYTES);

	if (result < 0)
		return (unsigned int)-result;
	/* A packet to a group may be too big, and is still one of ours; but nobody says so to one. */
	if (packet->to_group)
		return WIRE_BAD_DESTINATION;
	/* No link carries less: RFC 8201, section 4. */
	if (message->type == ICMP6_TYPE_TOO_BIG && message->mtu < IPV6_MTU_MIN)
		return WIRE_BAD_TOTAL_LENGTH;
	quoted.error_type = message->type;
	quoted.error_code = message->code;
	return icmp_error_tell(net, packet, &quoted, error_of(message), message->mtu);
}

/* ---- All messages ---- */

/* 0, or why it is dropped. */
static unsigned int ndp(struct net *net, const struct ip_packet *packet, const struct buf *buf)
{
	/* Nobody honest has to fragment one: RFC 6980, section 5. */
	if (packet->was_fragmented)
		return WIRE_BAD_FRAGMENT;
	ndp_rx(net, packet, buf);
	return 0;
}

/* Everything but echo, which keeps the buf; 0, or why it is dropped. */
static unsigned int message_rx(struct net *net, const struct ip_packet *packet,
			       const struct icmp6_message *message, const struct buf *buf)
{
	if (icmp6_is_error(message))
		return error_rx(net, packet, message, buf);
	if (icmp6_is_ndp(message))
		return ndp(net, packet, buf);
	if (message->type != ICMP6_TYPE_LISTENER_QUERY)
		return WIRE_BAD_TYPE; /* reports are for routers */
	mld_rx(net, packet, buf);
	return 0;
}

void icmp6_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct icmp6_message message;
	unsigned int reason;
	int result = icmp6_parse(&message, &packet->source, &packet->destination, buf->data,
				 buf->length);

	net_count_rx(net, LAYER, buf->length);
	if (result < 0) {
		reason = (unsigned int)-result;
	} else if (message.type == ICMP6_TYPE_ECHO_REQUEST) {
		icmp_echo_answer(net, packet, buf);
		return;
	} else if (message.type == ICMP6_TYPE_ECHO_REPLY) {
		const struct icmp_echo echo = {
			.identifier = message.identifier,
			.sequence = message.sequence,
			.payload = buf->data + ICMP6_HEADER_BYTES,
			.payload_bytes = buf->length - ICMP6_HEADER_BYTES,
		};

		icmp_echo_tell(net, packet, &echo, buf);
		return;
	} else {
		reason = message_rx(net, packet, &message, buf);
	}
	if (reason)
		net_drop(net, buf, LAYER, reason);
	else
		netdev_release(net->device, buf);
}
