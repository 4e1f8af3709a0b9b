/* SPDX-License-Identifier: MIT */
#ifndef DEMI_BLKDEV_NVME_HEALTH_H
#define DEMI_BLKDEV_NVME_HEALTH_H

#include "blkdev/blkdev.h"

/** nvme_tell_health - as blkdev_ops.tell_health */
int nvme_tell_health(struct blkdev *device,
		     void (*tell)(const char *name, const char *value, void *context),
		     void *context);

#endif /* DEMI_BLKDEV_NVME_HEALTH_H */
