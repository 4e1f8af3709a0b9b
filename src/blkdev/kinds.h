/* SPDX-License-Identifier: MIT */
/* How each kind of block device is opened; for kinds.c. */
#ifndef DEMI_BLKDEV_KINDS_H
#define DEMI_BLKDEV_KINDS_H

#include "blkdev/blkdev.h"

/** As blkdev_open; @arguments: what stands behind "kind:", or "" */
typedef int blkdev_open_fn(struct blkdev **device_out, const char *arguments,
			   const struct blkdev_options *options);

blkdev_open_fn nvme_open; /* "nvme:0000:00:05.0,namespace=1,depth=64,timeout_ms=30000" */
blkdev_open_fn sim_disk_open;
#ifdef DEMI_HAVE_URING
blkdev_open_fn uring_disk_open;
#endif

#endif /* DEMI_BLKDEV_KINDS_H */
