/* SPDX-License-Identifier: MIT */
/* A block device by itself, without a runtime. */
#ifndef DEMI_LIBOS_DRIVE_H
#define DEMI_LIBOS_DRIVE_H

#include <demi/drive.h>

#include "base/config.h"

/** drive_health - as demi_drive_health; 0 or -errno */
int drive_health(const char *device, const struct config *config, uint64_t now_ns,
		 demi_health_fn_t tell, void *context);

#endif /* DEMI_LIBOS_DRIVE_H */
