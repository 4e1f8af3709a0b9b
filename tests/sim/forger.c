/* SPDX-License-Identifier: MIT */
#include "forger.h"

#include <netinet/in.h>

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ipv4.h"

#define TRIP_NS (20 * MS) /* there and back, and more */
#define WINDOW 65535u

/* Who a station's device belongs to. */
static struct forger *forgers[STATIONS_MAX];

static struct eth_address mac_of(const struct station *station)
{
	return station->device->caps.mac;
}

/* ---- Heard ---- */

static void answer_for(struct forger *forger, const uint8_t *data, uint32_t length)
{
	uint8_t frame[ETH_HEADER_BYTES + ARP_BYTES];
	struct arp_packet request, reply;
	struct eth_header header = {.type = ETH_TYPE_ARP, .source = mac_of(forger->station)};

	if (arp_parse(&request, data, length) < 0 || request.operation != ARP_REQUEST)
		return;
	if (!ip_address_equal(&request.target_ip, &forger->own) &&
	    !ip_address_equal(&request.target_ip, &forger->also))
		return;
	reply = arp_reply(mac_of(forger->station), &request);
	header.destination = request.sender;
	eth_emit(frame, sizeof(frame), &header);
	arp_emit(frame + ETH_HEADER_BYTES, ARP_BYTES, &reply);
	station_send(forger->station, frame, sizeof(frame));
}

/* What comes in order is acknowledged; for all else the last acknowledgment is repeated. */
static void be_honest(struct forger *forger, const uint8_t *payload)
{
	const struct tcp_header *header = &forger->last;
	uint32_t length = forger->last_length;

	if (header->flags & (TCP_SYN | TCP_RST))
		return;
	if (!length && !(header->flags & TCP_FIN)) {
		/* A probe of a live connection. */
		if (header->sequence != forger->ack)
			forger_say(forger, TCP_ACK);
		return;
	}
	if (header->sequence == forger->ack) {
		for (uint32_t i = 0; i < length; i++)
			forger->wrong += payload[i] !=
					 stream_byte(forger->peer_seed, forger->received++);
		forger->ack += length + !!(header->flags & TCP_FIN);
	}
	forger_say(forger, TCP_ACK);
}

static void note(struct forger *forger, const uint8_t *data, uint32_t length)
{
	int at = tcp_parse(&forger->last, data, length);

	if (at < 0 || forger->last.destination_port != forger->port)
		return;
	assert_int_equal(tcp_options_parse(&forger->options, &forger->last, data), 0);
	forger->last_length = length - (uint32_t)at;
	if (forger->last_length > forger->length_max)
		forger->length_max = forger->last_length;
	forger->count++;
	forger->syns += !!(forger->last.flags & TCP_SYN);
	forger->resets += !!(forger->last.flags & TCP_RST);
	forger->fins += !!(forger->last.flags & TCP_FIN);
	forger->data += forger->last_length != 0;
	forger->pure_acks += !forger->last_length &&
			     (forger->last.flags & (TCP_SYN | TCP_RST | TCP_FIN)) == 0;
	if (forger->last.flags & TCP_SYN) {
		forger->irs = forger->last.sequence;
		forger->ack = forger->irs + 1;
	}
	if (forger->is_honest)
		be_honest(forger, data + at);
}

static void heard(struct station *station, const uint8_t *data, uint32_t length)
{
	struct forger *forger = forgers[station - station->world->stations];
	struct eth_header eth;
	struct ipv4_header ip;
	int at = eth_parse(&eth, data, length), more;

	if (at < 0)
		return;
	data += at;
	length -= (uint32_t)at;
	if (eth.type == ETH_TYPE_ARP)
		answer_for(forger, data, length);
	if (eth.type != ETH_TYPE_IPV4)
		return;
	more = ipv4_parse(&ip, data, length);
	if (more > 0 && ip.protocol == IPPROTO_TCP &&
	    ip_address_equal(&ip.destination, &forger->own))
		note(forger, data + more, ip.total_bytes - (uint32_t)more);
}

/* ---- Said ---- */

void forger_begin(struct forger *forger, struct station *station, unsigned int number,
		  struct station *victim, unsigned int victim_number)
{
	*forger = (struct forger){
		.station = station,
		.victim = victim,
		.own = V4(10, 0, 0, number),
		.peer = V4(10, 0, 0, victim_number),
		.window = WINDOW,
		.timestamp = 1000,
	};
	forgers[station - station->world->stations] = forger;
	station->heard = heard;
}

void forger_throw(struct forger *forger, const struct forged *forged)
{
	uint8_t frame[ETH_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES_MAX +
		      FORGER_PAYLOAD_MAX];
	uint32_t header_bytes = TCP_HEADER_BYTES + forged->options_bytes;
	uint32_t bytes = header_bytes + forged->length;
	uint8_t *segment = frame + ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
	const struct eth_header eth = {
		.destination = mac_of(forger->victim),
		.source = mac_of(forger->station),
		.type = ETH_TYPE_IPV4,
	};
	const struct ipv4_header ip = {
		.source = ip_address_is_unspecified(&forged->source) ? forger->own : forged->source,
		.destination = forger->peer,
		.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + bytes),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};
	const struct tcp_header tcp = {
		.source_port = forged->source_port ? forged->source_port : forger->port,
		.destination_port = forged->port ? forged->port : forger->peer_port,
		.sequence = forged->seq,
		.acknowledgment = forged->ack,
		.flags = forged->flags,
		.window = forged->window,
	};

	assert_true(forged->length <= FORGER_PAYLOAD_MAX && forged->options_bytes <= 40);
	eth_emit(frame, ETH_HEADER_BYTES, &eth);
	ipv4_emit(frame + ETH_HEADER_BYTES, IPV4_HEADER_BYTES, &ip);
	tcp_emit(segment, TCP_HEADER_BYTES, &tcp, NULL);
	segment[12] = (uint8_t)(header_bytes / 4 << 4);
	if (forged->options_bytes)
		memcpy(segment + TCP_HEADER_BYTES, forged->options, forged->options_bytes);
	if (forged->length)
		memcpy(segment + header_bytes, forged->payload, forged->length);
	store_be16(segment + TCP_CHECKSUM_OFFSET,
		   tcp_checksum(&ip.source, &ip.destination, segment, bytes));
	station_send(forger->station, frame, ETH_HEADER_BYTES + ip.total_bytes);
}

static void throw_own(struct forger *forger, struct forged *forged)
{
	uint8_t options[TCP_TIMESTAMP_BYTES];

	forged->ack = forger->ack;
	forged->window = forger->window;
	if (forger->has_timestamps) {
		store_be32(options, 0x0101080a);
		store_be32(options + 4, forger->timestamp);
		store_be32(options + 8, forger->options.timestamp);
		forged->options = options;
		forged->options_bytes = sizeof(options);
	}
	forger_throw(forger, forged);
}

void forger_say(struct forger *forger, uint8_t flags)
{
	throw_own(forger, &(struct forged){.seq = forger->seq, .flags = flags});
	forger->seq += !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

void forger_tell_at(struct forger *forger, uint64_t place, uint32_t length, uint8_t flags)
{
	uint8_t payload[FORGER_PAYLOAD_MAX];

	for (uint32_t i = 0; i < length; i++)
		payload[i] = stream_byte(forger->seed, place + i);
	throw_own(forger, &(struct forged){
				  .seq = forger->isn + 1 + (uint32_t)place,
				  .flags = TCP_ACK | flags,
				  .payload = payload,
				  .length = length,
			  });
}

void forger_tell(struct forger *forger, uint32_t length, uint8_t flags)
{
	forger_tell_at(forger, forger->seq - forger->isn - 1, length, flags);
	forger->seq += length + !!(flags & TCP_FIN);
}

bool forger_connect(struct forger *forger, uint16_t port, uint16_t peer_port, const void *options,
		    uint32_t options_bytes)
{
	struct world *world = forger->station->world;
	uint64_t syns = forger->syns;

	forger->port = port;
	forger->peer_port = peer_port;
	forger->seq = forger->isn;
	forger->received = 0;
	forger_throw(forger, &(struct forged){
				     .seq = forger->seq++,
				     .flags = TCP_SYN,
				     .window = forger->window,
				     .options = options,
				     .options_bytes = options_bytes,
			     });
	world_run(world, world->now_ns + TRIP_NS);
	if (forger->syns == syns)
		return false;
	forger_say(forger, TCP_ACK);
	world_run(world, world->now_ns + TRIP_NS);
	return true;
}
