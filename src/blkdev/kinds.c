/* SPDX-License-Identifier: MIT */
/* Every kind of block device of this build; meson.build says which there are. */
#include "blkdev/kinds.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

#define EXAMPLE "uring:/var/lib/demi.img or nvme:0000:00:05.0"

static const struct {
	const char *name;
	blkdev_open_fn *open;
} kinds[] = {
	{"nvme", nvme_open},
	{"sim", sim_disk_open},
#ifdef DEMI_HAVE_URING
	{"uring", uring_disk_open},
#endif
};

const char *blkdev_kinds(void)
{
	static char names[64];
	size_t length = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!kinds[i].open)
			continue;
		if (length > 0)
			length = (size_t)(stpcpy(names + length, ", ") - names);
		length = (size_t)(stpcpy(names + length, kinds[i].name) - names);
	}
	return names;
}

int blkdev_open(struct blkdev **device_out, const char *name, const struct blkdev_options *options)
{
	size_t length = strcspn(name, ":");
	const char *arguments = name[length] == ':' ? name + length + 1 : "";

	if (!name[0]) {
		log_error(
			"blk.dev (DEMI_BLK_DEV): a log needs a block device; write it as in " EXAMPLE);
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].open && strlen(kinds[i].name) == length &&
		    memcmp(kinds[i].name, name, length) == 0)
			return kinds[i].open(device_out, arguments, options);
	}
	log_error("blk.dev (DEMI_BLK_DEV): \"%s\": no such kind of device in this build; give one "
		  "of %s, as in " EXAMPLE,
		  name, blkdev_kinds());
	return -ENOTSUP;
}
