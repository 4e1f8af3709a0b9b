/* SPDX-License-Identifier: MIT */
#include "blkdev/uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/kinds.h"

static struct uring_disk *disk_of(struct blkdev *device)
{
	return (struct uring_disk *)(void *)device;
}

static void uring_forget(struct blkdev *device)
{
	struct uring_disk *disk = disk_of(device);

	/* Not to unlock it: the lock is of the parent's too. */
	close(disk->file.fd);
	close(disk->event_fd);
	close(disk->data.uring.ring_fd);
	if (disk->has_control)
		close(disk->control.uring.ring_fd);
}

static void disk_free(struct uring_disk *disk)
{
	free(disk->slots);
	free(disk);
}

static void uring_close(struct blkdev *device)
{
	struct uring_disk *disk = disk_of(device);

	disk->closing = true;
	uring_wait(disk, &disk->data);
	if (disk->has_control)
		uring_wait(disk, &disk->control);
	if (!disk->file.read_only && !device->failure && fdatasync(disk->file.fd) < 0)
		log_error("%s: what was not flushed may be lost: %s", device->name,
			  strerror(errno));
	uring_buffers_unregister(disk);
	uring_rings_close(disk);
	uring_file_close(&disk->file);
	disk_free(disk);
}

static const struct blkdev_ops uring_ops = {
	.kind = "uring",
	.submit = uring_submit,
	.poll = uring_poll,
	.idle_fd = uring_idle_fd,
	.forget = uring_forget,
	.close = uring_close,
};

/*
 * Holes that a trim punches in a file undo its allocation, which writes would have to wait for
 * again: a file is trimmed only if that is asked for.
 */
static bool has_trim(const struct uring_disk *disk, enum uring_choice choice)
{
	return !disk->file.read_only &&
	       (choice == URING_ON || (choice == URING_AUTO && disk->file.is_block));
}

static void caps_init(struct uring_disk *disk, const struct uring_options *options)
{
	const struct uring_file *file = &disk->file;

	disk->blkdev.caps = (struct blkdev_caps){
		.block_count = file->block_count,
		.block_bytes = file->block_bytes,
		.memory_alignment = file->memory_alignment,
		.bytes_max = URING_BYTES_MAX,
		.depth = options->depth,
		/* Of the device, the host's page cache, the hypervisor: nobody knows that there is none. */
		.volatile_cache = true,
		.trim = has_trim(disk, options->trim),
		.read_only = file->read_only,
		.stays_in_thread = !disk->any_thread,
		.polls_memory = !disk->has_control,
		/* Flushes, and durable writes of most file systems and drivers, are its workers'. */
		.kernel_works = true,
	};
}

static int slots_create(struct uring_disk *disk, uint32_t depth)
{
	disk->slots = calloc(depth, sizeof(*disk->slots));
	if (!disk->slots) {
		log_error("%s: no memory for depth=%u", disk->blkdev.name, depth);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < depth; i++)
		disk->slots[i].next = i + 1 < depth ? &disk->slots[i + 1] : NULL;
	disk->free = disk->slots;
	return 0;
}

static int start(struct uring_disk *disk, const struct uring_options *options)
{
	int error = uring_file_open(&disk->file, options);

	if (error)
		return error;
	error = slots_create(disk, options->depth);
	if (!error)
		error = uring_rings_open(disk, options);
	if (error) {
		uring_file_close(&disk->file);
		return error;
	}
	uring_durable_start(disk, options);
	error = uring_buffers_register(disk);
	if (error) {
		uring_rings_close(disk);
		uring_file_close(&disk->file);
		return error;
	}
	caps_init(disk, options);
	return 0;
}

int uring_disk_open(struct blkdev **device_out, const char *arguments,
		    const struct blkdev_options *options)
{
	struct uring_options parsed;
	struct uring_disk *disk;
	int error = uring_parse(&parsed, arguments);

	if (error)
		return error;
	parsed.read_only |= options->read_only;
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	disk->blkdev.ops = &uring_ops;
	disk->blkdev.heap = options->heap;
	disk->event_fd = -1;
	disk->any_thread = options->config && options->config->blk.threads == CONFIG_THREADS_ANY;
	disk->has_discard_command = true;
	snprintf(disk->blkdev.name, sizeof(disk->blkdev.name), "uring:%.80s", parsed.path);
	error = start(disk, &parsed);
	if (error) {
		disk_free(disk);
		return error;
	}
	*device_out = &disk->blkdev;
	return 0;
}
