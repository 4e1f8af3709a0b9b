/* SPDX-License-Identifier: MIT */
#include "netdev/sim_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "netdev/sim_checksum.h"
#include "wire/eth.h"

#define FRAMES_DEFAULT 1024u
#define SEGMENTS_DEFAULT 64u
#define ROOM_OFFSET ((uint32_t)sizeof(struct buf))
#define DATA_OFFSET (ROOM_OFFSET + NETDEV_HEAD_ROOM)

static struct station *station_of(struct netdev *device)
{
	return (struct station *)(void *)device;
}

/* ---- A station's queue ---- */

/* Lets go of what has left by now. */
static void queue_retire(struct station *station, uint64_t now_ns)
{
	if (now_ns > station->now_ns)
		station->now_ns = now_ns;
	while (station->queue_count > 0) {
		struct departure *first = &station->queue[station->queue_head];

		if (first->depart_ns > station->now_ns)
			return;
		station->queue_head = (station->queue_head + 1) % SIM_QUEUE_FRAMES_MAX;
		station->queue_count--;
		station->queue_bytes -= first->length;
		netdev_release_chain(&station->netdev, first->chain);
	}
}

static bool queue_has_room(const struct station *station, uint32_t length)
{
	const struct sim_options *options = &station->link->options;
	uint32_t frames_max = SIM_QUEUE_FRAMES_MAX;

	/* Of what leaves at once only the memory waits here, and one frame is never too much. */
	if (!options->bandwidth || station->queue_count == 0)
		return station->queue_count < frames_max;
	if (options->queue_frames && options->queue_frames < frames_max)
		frames_max = options->queue_frames;
	return station->queue_count < frames_max &&
	       (!options->queue_bytes || station->queue_bytes + length <= options->queue_bytes);
}

/* When it leaves. */
static uint64_t queue_add(struct station *station, uint32_t length, struct buf *chain)
{
	uint64_t bandwidth = station->link->options.bandwidth, takes_ns = 0;
	uint32_t place = (station->queue_head + station->queue_count++) % SIM_QUEUE_FRAMES_MAX;

	if (station->busy_until_ns < station->now_ns)
		station->busy_until_ns = station->now_ns;
	if (bandwidth)
		takes_ns = (uint64_t)length * 8 * 1000000000 / bandwidth;
	station->busy_until_ns += takes_ns;
	station->queue_bytes += length;
	station->queue[place] = (struct departure){
		.depart_ns = station->busy_until_ns, .length = length, .chain = chain};
	return station->busy_until_ns;
}

/* ---- Out ---- */

/* The frame in one piece, with its checksum; false: it cannot be sent. */
static bool gather(struct station *station, const struct buf *frame)
{
	unsigned char *data = station->link->gathered;
	uint32_t length = 0, segments = 0;

	for (const struct buf *buf = frame; buf; buf = buf->next) {
		if (buf->length > station->netdev.caps.mtu + ETH_HEADER_BYTES_MAX - length ||
		    ++segments > station->netdev.caps.segments_max)
			return false;
		if (buf->length)
			memcpy(data + length, buf->data, buf->length);
		length += buf->length;
		if (buf->object)
			station->netdev.counters.tx_copied_bytes += buf->length;
	}
	if (length == 0 || !(frame->flags & BUF_CHECKSUM))
		return length > 0;
	/* Of a station that has not said it could, this is a mistake. */
	if (!station->options.checksum || !sim_checksum_complete(data, length, &frame->transmit))
		return false;
	return true;
}

static void transmit(struct station *station, struct buf *chain, uint32_t length)
{
	struct sim_link *link = station->link;
	struct sim_frame frame = {.data = link->gathered, .length = length};
	bool later = station->options.asynchronous_tx;
	uint64_t depart_ns;

	station->netdev.counters.tx_frames++;
	station->netdev.counters.tx_bytes += length;
	link->counters.sent++;
	if (!queue_has_room(station, length)) {
		link->counters.queue_full++;
		netdev_release_chain(&station->netdev, chain);
		return;
	}
	depart_ns = queue_add(station, length, later ? chain : NULL);
	sim_forward(station, &frame, depart_ns);
	if (!later)
		netdev_release_chain(&station->netdev, chain);
}

static unsigned int sim_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				 uint64_t now_ns)
{
	struct station *station = station_of(device);
	unsigned int taken = 0;

	queue_retire(station, now_ns);
	for (; taken < count; taken++) {
		uint32_t length = buf_chain_length(frames[taken]);

		if (station->options.refuses && !queue_has_room(station, length)) {
			device->counters.tx_full++;
			break;
		}
		if (!gather(station, frames[taken])) {
			device->counters.tx_errors++;
			netdev_release_chain(device, frames[taken]);
			continue;
		}
		transmit(station, frames[taken], length);
	}
	return taken;
}

static void sim_tx_reclaim(struct netdev *device)
{
	queue_retire(station_of(device), 0);
}

/* ---- In ---- */

static struct buf *receive(struct station *station, const struct packet *packet)
{
	struct netdev_counters *counters = &station->netdev.counters;
	struct buf *buf = NULL;

	if (packet->length > station->netdev.caps.mtu + ETH_HEADER_BYTES_MAX) {
		counters->rx_errors++;
	} else {
		buf = netdev_alloc(&station->netdev);
		counters->rx_no_frame += !buf;
	}
	if (!buf) {
		station->link->counters.no_frame++;
		return NULL;
	}
	memcpy(buf->data, packet->data, packet->length);
	buf->length = packet->length;
	if (station->options.checksum && sim_checksum_verify(buf->data, buf->length))
		buf->flags = BUF_CHECKED;
	counters->rx_frames++;
	counters->rx_bytes += packet->length;
	station->link->counters.delivered++;
	return buf;
}

static unsigned int sim_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				 uint64_t now_ns)
{
	struct station *station = station_of(device);
	unsigned int count = 0;

	queue_retire(station, now_ns);
	while (count < room && station->inbox && station->inbox->arrive_ns <= now_ns) {
		struct packet *packet = station->inbox;

		station->inbox = packet->next;
		frames[count] = receive(station, packet);
		count += frames[count] != NULL;
		sim_packet_free(station->link, packet);
	}
	return count;
}

static uint64_t sim_next_ns(const struct netdev *device)
{
	const struct station *station = (const struct station *)(const void *)device;
	const struct departure *first = &station->queue[station->queue_head];
	uint64_t next_ns = station->inbox ? station->inbox->arrive_ns : UINT64_MAX;

	/* Somebody may wait for its memory. */
	if (station->queue_count > 0 && first->chain && first->depart_ns < next_ns)
		next_ns = first->depart_ns;
	return next_ns;
}

/* ---- Birth and death ---- */

static void sim_forget(struct netdev *device)
{
	(void)device;
	sim_names_forget();
}

static void sim_close(struct netdev *device)
{
	struct station *station = station_of(device);
	struct sim_link *link = station->link;

	queue_retire(station, UINT64_MAX);
	while (station->inbox) {
		struct packet *packet = station->inbox;

		station->inbox = packet->next;
		sim_packet_free(link, packet);
	}
	link->stations[station->number] = NULL;
	netdev_fini(device);
	free(station);
	sim_names_close(link);
}

static const struct netdev_ops sim_ops = {
	.kind = "sim",
	.rx_burst = sim_rx_burst,
	.tx_burst = sim_tx_burst,
	.tx_reclaim = sim_tx_reclaim,
	.next_ns = sim_next_ns,
	.forget = sim_forget,
	.close = sim_close,
};

static int station_place(struct station *station)
{
	struct sim_link *link = station->link;

	while (station->number < SIM_STATIONS_MAX && link->stations[station->number])
		station->number++;
	if (station->number == SIM_STATIONS_MAX) {
		log_error("sim: a link has up to %u stations; use another link", SIM_STATIONS_MAX);
		return -ENOSPC;
	}
	return 0;
}

static void caps_init(struct station *station)
{
	static const struct eth_address none;
	const struct sim_device_options *options = &station->options;
	struct netdev_caps *caps = &station->netdev.caps;

	caps->mac = options->mac;
	if (eth_address_equal(&options->mac, &none))
		caps->mac = (struct eth_address){
			{2, 's', 'i', 'm', 0, (uint8_t)(station->number + 1)}};
	caps->mtu = options->mtu ? options->mtu : SIM_MTU_DEFAULT;
	caps->segments_max = options->segments_max ? options->segments_max : SEGMENTS_DEFAULT;
	caps->checksum_v4 = options->checksum;
	caps->checksum_v6 = options->checksum;
}

int sim_device_create(struct netdev **device_out, struct sim_link *link, struct heap *heap,
		      const struct sim_device_options *options)
{
	struct station *station = calloc(1, sizeof(*station));
	uint32_t frames = options->frames ? options->frames : FRAMES_DEFAULT;
	int error;

	if (!station)
		return -ENOMEM;
	station->link = link;
	station->options = *options;
	error = station_place(station);
	caps_init(station);
	snprintf(station->netdev.name, sizeof(station->netdev.name), "sim:%u", station->number);
	if (!error &&
	    (station->netdev.caps.mtu < SIM_MTU_MIN || station->netdev.caps.mtu > SIM_MTU_MAX)) {
		log_error("sim: net.mtu: %u is not possible; give %u to %u",
			  station->netdev.caps.mtu, SIM_MTU_MIN, SIM_MTU_MAX);
		error = -EINVAL;
	}
	if (!error)
		error = netdev_init(&station->netdev, &sim_ops, heap,
				    DATA_OFFSET + ETH_HEADER_BYTES_MAX + station->netdev.caps.mtu,
				    (uint32_t)sizeof(struct buf), frames, ROOM_OFFSET, DATA_OFFSET);
	if (error) {
		free(station);
		return error;
	}
	link->stations[station->number] = station;
	*device_out = &station->netdev;
	return 0;
}

unsigned int sim_device_number(const struct netdev *device)
{
	return ((const struct station *)(const void *)device)->number;
}
