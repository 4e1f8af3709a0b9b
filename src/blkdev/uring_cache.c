/* SPDX-License-Identifier: MIT */
/* What the disk below a file says of its cache, and which durable writes that is best for. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "blkdev/uring.h"

/* Whether the attribute of the disk's queue is @text; a partition's queue is its disk's. */
static bool queue_says(dev_t device, const char *attribute, const char *text)
{
	static const char *const folders[] = {"queue", "../queue"};
	char path[128], said[32] = "";

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		FILE *file;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), folders[i], attribute);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(said, sizeof(said), file))
			said[0] = '\0';
		fclose(file);
		break;
	}
	said[strcspn(said, "\n")] = '\0';
	return strcmp(said, text) == 0;
}

static bool needs_thread(const struct uring_disk *disk)
{
	const struct uring_file *file = &disk->file;
	struct stat status;

	if (disk->has_control || file->is_block || !file->is_direct || fstat(file->fd, &status) < 0)
		return false;
	return !queue_says(status.st_dev, "fua", "1") &&
	       !queue_says(status.st_dev, "write_cache", "write through");
}

void uring_durable_start(struct uring_disk *disk, const struct uring_options *options)
{
	bool is_learnt = options->fua == URING_AUTO && needs_thread(disk);

	uring_durable_init(&disk->durable, !is_learnt,
			   is_learnt || (options->fua == URING_OFF && !disk->has_control));
}
