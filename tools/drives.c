/* SPDX-License-Identifier: MIT */
/* The NVMe drives of a machine, and what each is in use for. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "machine.h"

#define CLASS_NVME 0x010802

/* Whether /dev/@device is @drive or a part of it: nvme0n1, nvme0n1p2. */
static bool is_part(const char *device, const char *drive)
{
	size_t length = strlen(drive);

	return strncmp(device, drive, length) == 0 &&
	       (device[length] == '\0' || device[length] == 'p');
}

/* Lines that begin with a device: "/dev/nvme0n1p1 / ext4 ...", and for swap without a second word. */
static bool look_in(struct drive *drive, const char *path, const char *use)
{
	FILE *file = files_open("%s", path);
	char line[LINE_BYTES];
	char device[64], place[48];

	while (file && !drive->use[0] && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "/dev/%63s %47s", device, place) == 2 &&
		    is_part(device, drive->name))
			snprintf(drive->use, sizeof(drive->use), "%s%s", use,
				 strcmp(use, "swap") == 0 ? "" : place);
	}
	if (file)
		fclose(file);
	return drive->use[0] != '\0';
}

static void look_for_holders(void *context, const char *part)
{
	struct drive *drive = context;
	char path[PATH_MAX];

	if (!is_part(part, drive->name))
		return;
	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", part);
	if (files_each(path, NULL, NULL))
		snprintf(drive->use, sizeof(drive->use), "part of another device");
}

static void add_block_device(void *context, const char *name)
{
	struct machine *machine = context;
	struct drive *drive = &machine->drives[machine->drive_count];

	if (machine->drive_count == DRIVES_MAX || strncmp(name, "nvme", 4) != 0)
		return;
	machine->drive_count++;
	snprintf(drive->name, sizeof(drive->name), "%.15s", name);
	snprintf(drive->driver, sizeof(drive->driver), "nvme");
	if (!look_in(drive, "/proc/mounts", "mounted on ") &&
	    !look_in(drive, "/proc/swaps", "swap"))
		files_each("/sys/class/block", look_for_holders, drive);
}

static void add_pci_device(void *context, const char *address)
{
	struct machine *machine = context;
	struct drive *drive = &machine->drives[machine->drive_count];
	char driver[DRIVER_BYTES];

	if (machine->drive_count == DRIVES_MAX ||
	    files_number("/sys/bus/pci/devices/%s/class", address) != CLASS_NVME)
		return;
	files_target(driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", address);
	if (strcmp(driver, "nvme") == 0)
		return; /* seen as a block device */
	machine->drive_count++;
	snprintf(drive->name, sizeof(drive->name), "%.15s", address);
	memcpy(drive->driver, driver, sizeof(drive->driver));
}

void machine_look_at_drives(struct machine *machine)
{
	files_each("/sys/block", add_block_device, machine);
	files_each("/sys/bus/pci/devices", add_pci_device, machine);
}
