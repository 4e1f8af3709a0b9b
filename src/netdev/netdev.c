/* SPDX-License-Identifier: MIT */
#include "netdev/netdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* capacity and object are set here once: nobody changes the one, and a shell clears the other. */
struct frame_form {
	uint32_t capacity;
};

static void frame_init(void *context, void *frame)
{
	const struct frame_form *form = context;
	struct buf *buf = frame;

	*buf = (struct buf){.capacity = form->capacity};
}

int netdev_init(struct netdev *device, const struct netdev_ops *ops, struct heap *heap,
		uint32_t frame_bytes, uint32_t shell_bytes, uint32_t frame_count,
		uint32_t room_offset, uint32_t data_offset)
{
	struct frame_form form = {0};
	int error;

	device->ops = ops;
	device->heap = heap;
	device->room_offset = room_offset;
	device->data_offset = data_offset;
	error = heap_frames_create(&device->frames, heap, frame_bytes, frame_count);
	if (!error)
		error = heap_frames_create(&device->shells, heap, shell_bytes, frame_count);
	if (error) {
		log_error("%s: no memory for %u frames of %u bytes: %s; raise heap.max_bytes or "
			  "lower net.frames",
			  device->name, frame_count, frame_bytes, strerror(-error));
		netdev_fini(device);
		return error;
	}
	form.capacity = heap_frames_bytes(device->frames) - (uint32_t)sizeof(struct buf);
	heap_frames_each(device->frames, frame_init, &form);
	form.capacity = 0;
	heap_frames_each(device->shells, frame_init, &form);
	return 0;
}

/* Numbers that look random, the same for the same ones: splitmix64's finalizer. */
static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

struct eth_address netdev_station(const struct netdev_options *options, struct eth_address kernel)
{
	static const struct eth_address none;
	struct eth_address station = options->mac;
	uint64_t number = mix(options->seed ^ mix((uint64_t)load_be16(kernel.bytes) << 32 |
						  load_be32(kernel.bytes + 2)));

	if (!eth_address_equal(&station, &none))
		return station;
	memcpy(station.bytes, &number, sizeof(station.bytes));
	station.bytes[0] = (uint8_t)((station.bytes[0] & ~1u) | 2);
	if (eth_address_equal(&station, &kernel))
		station.bytes[5] ^= 1;
	return station;
}

void netdev_fini(struct netdev *device)
{
	heap_frames_destroy(device->heap, device->frames);
	heap_frames_destroy(device->heap, device->shells);
	device->frames = NULL;
	device->shells = NULL;
}

void netdev_tell(struct netdev *device, figure_fn *tell, void *context)
{
	const struct netdev_counters *counters = &device->counters;

	if (device->ops->update_counters)
		device->ops->update_counters(device);
	tell(context, "device", "rx_frames", NULL, counters->rx_frames);
	tell(context, "device", "rx_bytes", NULL, counters->rx_bytes);
	tell(context, "device", "rx_no_frame", NULL, counters->rx_no_frame);
	tell(context, "device", "rx_errors", NULL, counters->rx_errors);
	tell(context, "device", "tx_frames", NULL, counters->tx_frames);
	tell(context, "device", "tx_bytes", NULL, counters->tx_bytes);
	tell(context, "device", "tx_full", NULL, counters->tx_full);
	tell(context, "device", "tx_errors", NULL, counters->tx_errors);
	tell(context, "device", "tx_copied_bytes", NULL, counters->tx_copied_bytes);
}

void netdev_log(struct netdev *device)
{
	const struct netdev_counters *counters = &device->counters;

	if (device->ops->update_counters)
		device->ops->update_counters(device);
	log_info(
		"%s: %llu frames (%llu bytes) in, %llu (%llu) out; lost: %llu for want of a frame, "
		"%llu by the device, %llu that could not be sent",
		device->name, (unsigned long long)counters->rx_frames,
		(unsigned long long)counters->rx_bytes, (unsigned long long)counters->tx_frames,
		(unsigned long long)counters->tx_bytes, (unsigned long long)counters->rx_no_frame,
		(unsigned long long)counters->rx_errors, (unsigned long long)counters->tx_errors);
}

void netdev_close(struct netdev *device)
{
	if (device)
		device->ops->close(device);
}
