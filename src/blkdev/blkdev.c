/* SPDX-License-Identifier: MIT */
#include "blkdev/blkdev.h"

#include <assert.h>
#include <errno.h>

void blkdev_close(struct blkdev *device)
{
	if (device)
		device->ops->close(device);
}

#ifndef NDEBUG
static bool range_is_right(const struct blkdev *device, const struct blk_request *request)
{
	return request->block_count > 0 && request->block < device->caps.block_count &&
	       request->block_count <= device->caps.block_count - request->block;
}

static bool segments_are_right(const struct blkdev *device, const struct blk_request *request)
{
	uint64_t bytes = 0;

	if (request->segment_count == 0 || request->segment_count > BLK_SEGMENTS_MAX)
		return false;
	for (unsigned int i = 0; i < request->segment_count; i++) {
		const struct iovec *segment = &request->segments[i];

		if (segment->iov_len == 0 || segment->iov_len % device->caps.block_bytes != 0 ||
		    (uintptr_t)segment->iov_base % device->caps.memory_alignment != 0 ||
		    !heap_owns(device->heap, segment->iov_base))
			return false;
		bytes += segment->iov_len;
	}
	return bytes == (uint64_t)request->block_count * device->caps.block_bytes &&
	       bytes <= device->caps.bytes_max;
}

static bool request_is_right(const struct blkdev *device, const struct blk_request *request)
{
	switch (request->operation) {
	case BLK_READ:
		return range_is_right(device, request) && segments_are_right(device, request);
	case BLK_WRITE:
		return range_is_right(device, request) && segments_are_right(device, request) &&
		       !device->caps.read_only;
	case BLK_FLUSH:
		return request->block_count == 0;
	case BLK_TRIM:
		return range_is_right(device, request) && device->caps.trim &&
		       !device->caps.read_only;
	default:
		return false;
	}
}
#endif

int blkdev_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns)
{
	assert(request_is_right(device, request));
	return device->ops->submit(device, request, now_ns);
}

void blkdev_tell(const struct blkdev *device, figure_fn *tell, void *context)
{
	const struct blkdev_counters *counters = &device->counters;

	tell(context, "blkdev", "reads", NULL, counters->reads);
	tell(context, "blkdev", "read_bytes", NULL, counters->read_bytes);
	tell(context, "blkdev", "writes", NULL, counters->writes);
	tell(context, "blkdev", "write_bytes", NULL, counters->write_bytes);
	tell(context, "blkdev", "flushes", NULL, counters->flushes);
	tell(context, "blkdev", "trims", NULL, counters->trims);
	tell(context, "blkdev", "errors", NULL, counters->errors);
	tell(context, "blkdev", "timeouts", NULL, counters->timeouts);
	tell(context, "blkdev", "resets", NULL, counters->resets);
	tell(context, "blkdev", "commands", NULL, counters->commands);
	tell(context, "blkdev", "copied_bytes", NULL, counters->copied_bytes);
}
