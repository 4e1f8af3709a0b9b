/* SPDX-License-Identifier: MIT */
#include "libos/drive.h"

#include <errno.h>

#include "base/log.h"
#include "blkdev/blkdev.h"

/* What a driver takes at its start, for its queues and what it reads. */
#define HEAP_BYTES (16u << 20)

int drive_health(const char *device, const struct config *config, uint64_t now_ns,
		 demi_health_fn_t tell, void *context)
{
	const struct heap_options heap_options = {.bytes_max = HEAP_BYTES};
	struct blkdev_options options = {.config = config, .now_ns = now_ns, .read_only = true};
	struct blkdev *drive = NULL;
	int error = heap_create(&options.heap, &heap_options);

	if (error)
		return error;
	error = blkdev_open(&drive, device, &options);
	if (!error && !drive->ops->tell_health) {
		log_error("%s: only NVMe drives tell of their health", drive->name);
		error = -EOPNOTSUPP;
	} else if (!error) {
		error = drive->ops->tell_health(drive, tell, context);
	}
	blkdev_close(drive);
	heap_destroy(options.heap);
	return error;
}
