/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers, driven from this process: no system call, interrupt or copy is on the path of a
 * request. "nvme:0000:00:05.0,namespace=1" opens one that vfio-pci has (nvme_open.c).
 */
#ifndef DEMI_BLKDEV_NVME_H
#define DEMI_BLKDEV_NVME_H

#include "blkdev/blkdev.h"
#include "blkdev/nvme_bus.h"

/** Commands under way: the default, and the bounds of what may be asked for. */
#define NVME_DEPTH_DEFAULT 255u
#define NVME_DEPTH_MIN 16u
#define NVME_DEPTH_MAX 255u

/**
 * When a command is given up, by default. The specification bounds only some; drives may take
 * seconds over a bad block, and this is what operating systems wait.
 */
#define NVME_TIMEOUT_MS_DEFAULT 30000u
#define NVME_TIMEOUT_MS_MIN 100u
#define NVME_TIMEOUT_MS_MAX 600000u

struct nvme_settings {
	uint32_t namespace;
	uint32_t depth;
	uint32_t timeout_ms;
};

/**
 * nvme_create - start the controller on a bus
 * @name: for messages
 * @bus: the device's from now on, closed also when it does not start
 *
 * Takes as long as the controller needs. Return: 0, -ENODEV (it does not work), -ENOENT (no such
 * namespace), -ENOTSUP (a format that we do not serve), -ETIMEDOUT, -EIO, -ENOMEM or what mapping
 * memory says; each has been logged.
 */
int nvme_create(struct blkdev **device_out, const char *name, struct nvme_bus *bus,
		const struct nvme_settings *settings, const struct blkdev_options *options);

/** What a drive tells of its health: NVM Express Base Specification 1.4, 5.14.1.2. */
struct nvme_health {
	bool spare_low, too_hot_or_cold, unreliable, read_only, backup_failed;
	int32_t temperature_c;
	uint32_t spare_percent, spare_threshold_percent;
	uint32_t used_percent;              /* of its expected life; may be more than 100 */
	uint64_t bytes_read, bytes_written; /* in steps of 512,000 */
	uint64_t reads, writes;             /* commands of the host */
	uint64_t power_cycles, power_on_hours, unsafe_shutdowns;
	uint64_t media_errors;
	uint64_t errors_logged;
	char serial[21], model[41], firmware[9];
};

/**
 * nvme_get_health - ask the drive how it is
 * @device: of this kind
 *
 * Waits for the answer; what ends meanwhile is done by the next poll.
 * Return: 0; -EAGAIN (it is being reset); -ENODEV; -ETIMEDOUT; -EIO
 */
int nvme_get_health(struct blkdev *device, struct nvme_health *health);

#endif /* DEMI_BLKDEV_NVME_H */
