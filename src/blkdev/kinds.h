/* SPDX-License-Identifier: MIT */
/* How each kind of block device is opened; for kinds.c. */
#ifndef DEMI_BLKDEV_KINDS_H
#define DEMI_BLKDEV_KINDS_H

#include "blkdev/blkdev.h"

/** As blkdev_open; @arguments: what stands behind "kind:", or "" */
typedef int blkdev_open_fn(struct blkdev **device_out, const char *arguments,
			   const struct blkdev_options *options);

#endif /* DEMI_BLKDEV_KINDS_H */
