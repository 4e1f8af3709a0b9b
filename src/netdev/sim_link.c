/* SPDX-License-Identifier: MIT */
/* What happens to frames between the stations. */
#include "netdev/sim_link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_DEFAULT 2048u
#define REORDER_NS_MIN 10000u

/* ---- Chance ---- */

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
static uint64_t draw(struct sim_link *link)
{
	uint64_t value = link->random_state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* 0 to @bound - 1. */
static uint64_t draw_below(struct sim_link *link, uint64_t bound)
{
	return bound ? draw(link) % bound : 0;
}

static bool happens(struct sim_link *link, uint32_t rate, uint64_t *counter)
{
	bool does = rate > 0 && draw_below(link, SIM_MILLION) < rate;

	*counter += does;
	return does;
}

/* ---- On the link ---- */

/* Behind all that arrive at the same time or earlier. */
static void inbox_add(struct station *to, struct packet *packet)
{
	struct packet **place = &to->inbox;

	while (*place && (*place)->arrive_ns <= packet->arrive_ns)
		place = &(*place)->next;
	packet->next = *place;
	*place = packet;
}

void sim_packet_free(struct sim_link *link, struct packet *packet)
{
	packet->next = link->free;
	link->free = packet;
}

/* One to three bits, each another: two times the same would leave the frame as it was. */
static void invert_bits(struct sim_link *link, struct packet *packet)
{
	uint64_t chosen[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	uint64_t count = 1 + draw_below(link, 3);

	for (uint64_t i = 0; i < count; i++) {
		uint64_t bit;

		do
			bit = draw_below(link, (uint64_t)packet->length * 8);
		while (bit == chosen[0] || bit == chosen[1]);
		packet->data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		chosen[i] = bit;
	}
}

static void damage(struct sim_link *link, struct packet *packet)
{
	if (happens(link, link->options.corrupt, &link->counters.corrupted))
		invert_bits(link, packet);
	if (packet->length > 1 && happens(link, link->options.truncate, &link->counters.truncated))
		packet->length = 1 + (uint32_t)draw_below(link, packet->length - 1);
}

/* When a frame arrives that leaves at @depart_ns. */
static uint64_t arrival(struct sim_link *link, struct station *to, unsigned int from,
			uint64_t depart_ns)
{
	const struct sim_options *options = &link->options;
	uint64_t arrive_ns = depart_ns + options->delay_ns;

	if (options->jitter_ns)
		arrive_ns += draw_below(link, options->jitter_ns + 1);
	if (happens(link, options->reorder, &link->counters.reordered)) {
		if (options->reorder_ns)
			return arrive_ns + options->reorder_ns;
		return arrive_ns + 3 * (options->delay_ns + options->jitter_ns) + REORDER_NS_MIN;
	}
	if (arrive_ns < to->arrived_ns[from])
		arrive_ns = to->arrived_ns[from];
	to->arrived_ns[from] = arrive_ns;
	return arrive_ns;
}

static void deliver(struct sim_link *link, struct station *to, unsigned int from,
		    const struct sim_frame *frame, uint64_t depart_ns)
{
	int copies = 1;

	if (happens(link, link->options.loss, &link->counters.lost))
		return;
	copies += happens(link, link->options.duplicate, &link->counters.duplicated);
	for (; copies > 0; copies--) {
		struct packet *packet = link->free;

		if (!packet) {
			link->counters.flight_full++;
			continue;
		}
		link->free = packet->next;
		packet->length = frame->length;
		memcpy(packet->data, frame->data, frame->length);
		damage(link, packet);
		packet->arrive_ns = arrival(link, to, from, depart_ns + frame->delay_ns);
		inbox_add(to, packet);
	}
}

/* The one station that has the frame's destination address; NULL: it is for all others. */
static struct station *receiver_of(const struct sim_link *link, const struct station *from,
				   const struct sim_frame *frame)
{
	struct eth_address address;

	if (frame->length < ETH_HEADER_BYTES)
		return NULL;
	address = eth_address_load(frame->data);
	for (unsigned int i = 0; i < SIM_STATIONS_MAX; i++) {
		struct station *to = link->stations[i];

		if (to && to != from && eth_address_equal(&to->netdev.caps.mac, &address))
			return to;
	}
	return NULL;
}

void sim_forward(struct station *from, struct sim_frame *frame, uint64_t depart_ns)
{
	struct sim_link *link = from->link;
	const uint32_t length __attribute__((unused)) = frame->length; /* for the assertion */
	struct station *only;

	if (link->options.filter && !link->options.filter(link->options.filter_context,
							  from->number, from->sent++, frame)) {
		link->counters.filtered++;
		return;
	}
	assert(frame->length <= length);
	only = receiver_of(link, from, frame);
	for (unsigned int i = 0; i < SIM_STATIONS_MAX; i++) {
		struct station *to = link->stations[i];

		if (to && to != from && (!only || to == only) && frame->length > 0)
			deliver(link, to, from->number, frame, depart_ns);
	}
}

/* ---- Birth and death ---- */

struct sim_link *sim_link_create(const struct sim_options *options)
{
	uint32_t count = options->flight_max ? options->flight_max : FLIGHT_DEFAULT;
	struct sim_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->options = *options;
	link->random_state = options->seed;
	link->packets = calloc(count, sizeof(link->packets[0]));
	link->memory = malloc((size_t)count * SIM_FRAME_BYTES_MAX);
	if (!link->packets || !link->memory) {
		sim_link_destroy(link);
		return NULL;
	}
	for (uint32_t i = count; i-- > 0;) {
		link->packets[i].data = link->memory + (size_t)i * SIM_FRAME_BYTES_MAX;
		sim_packet_free(link, &link->packets[i]);
	}
	return link;
}

void sim_link_destroy(struct sim_link *link)
{
	if (!link)
		return;
	assert(sim_link_is_empty(link));
	free(link->packets);
	free(link->memory);
	free(link);
}

bool sim_link_is_empty(const struct sim_link *link)
{
	for (unsigned int i = 0; i < SIM_STATIONS_MAX; i++)
		if (link->stations[i])
			return false;
	return true;
}

struct sim_options *sim_link_options(struct sim_link *link)
{
	return &link->options;
}

const struct sim_counters *sim_link_counters(const struct sim_link *link)
{
	return &link->counters;
}
