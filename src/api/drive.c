/* SPDX-License-Identifier: MIT */
#include <demi/drive.h>

#include "api/api.h"
#include "base/clock.h"
#include "libos/drive.h"

int demi_drive_health(const char *device, demi_health_fn_t tell, void *context)
{
	API_KEEP_ERRNO;
	struct config config;
	int error;

	if (!device || !tell)
		return EFAULT;
	error = api_load_config(&config);
	if (error)
		return error;
	return -drive_health(device, &config, clock_now_ns(), tell, context);
}
