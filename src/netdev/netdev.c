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

void netdev_fini(struct netdev *device)
{
	heap_frames_destroy(device->heap, device->frames);
	heap_frames_destroy(device->heap, device->shells);
	device->frames = NULL;
	device->shells = NULL;
}

void netdev_close(struct netdev *device)
{
	if (device)
		device->ops->close(device);
}
