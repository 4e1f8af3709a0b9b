/* SPDX-License-Identifier: MIT */
/* The NVMe drives of a machine, and what each is in use for. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "machine.h"

#define CLASS_NVME 0x010802
#define DISK_BYTES 64

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

/* What stands behind @word and a number, which @text begins with; NULL: it does not. */
static const char *past_part(const char *text, const char *word)
{
	size_t length = strlen(word), digits;

	if (strncmp(text, word, length) != 0)
		return NULL;
	digits = strspn(text + length, "0123456789");
	return digits > 0 ? text + length + digits : NULL;
}

/*
 * The name of a namespace's disk: nvme0n1. The paths to one that has several are disks, too, which
 * are hidden, and have names such as nvme0c1n1. Return: whether it is one or the other.
 */
static bool disk_of(char disk[DISK_BYTES], const char *name)
{
	const char *controller = past_part(name, "nvme");
	const char *path = controller ? past_part(controller, "c") : NULL;
	const char *rest = path ? path : controller;
	const char *end = rest ? past_part(rest, "n") : NULL;

	if (!end || *end)
		return false;
	snprintf(disk, DISK_BYTES, "%.*s%s", (int)(controller - name), name, rest);
	return true;
}

static bool is_namespace(const char *name)
{
	char disk[DISK_BYTES];

	return disk_of(disk, name) && strcmp(disk, name) == 0;
}

static void add_block_device(void *context, const char *name)
{
	struct machine *machine = context;
	struct drive *drive = &machine->drives[machine->drive_count];

	if (machine->drive_count == DRIVES_MAX || !is_namespace(name))
		return;
	machine->drive_count++;
	snprintf(drive->name, sizeof(drive->name), "%.15s", name);
	snprintf(drive->driver, sizeof(drive->driver), "nvme");
	if (!look_in(drive, "/proc/mounts", "mounted on ") &&
	    !look_in(drive, "/proc/swaps", "swap"))
		files_each("/sys/class/block", look_for_holders, drive);
}

/* A PCI device and what the kernel's driver has made of it. */
struct controller {
	struct machine *machine;
	const char *address;
};

static void note_address(void *context, const char *name)
{
	const struct controller *controller = context;
	struct machine *machine = controller->machine;
	char disk[DISK_BYTES];

	if (!disk_of(disk, name))
		return;
	for (unsigned int i = 0; i < machine->drive_count; i++) {
		struct drive *drive = &machine->drives[i];

		if (strcmp(drive->name, disk) == 0)
			snprintf(drive->pci, sizeof(drive->pci), "%.15s", controller->address);
	}
}

static void look_at_namespaces(void *context, const char *name)
{
	struct controller *controller = context;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme/%s", controller->address, name);
	files_each(path, note_address, controller);
}

static void look_at_controller(struct machine *machine, const char *address)
{
	struct controller controller = {.machine = machine, .address = address};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme", address);
	files_each(path, look_at_namespaces, &controller);
}

/* Who may open the group's file may use the drive. */
static void look_at_group(struct drive *drive, const char *address)
{
	char path[40], name[LINE_BYTES];

	files_target(drive->group, sizeof(drive->group), "/sys/bus/pci/devices/%s/iommu_group",
		     address);
	drive->no_iommu = files_line(name, "/sys/kernel/iommu_groups/%s/name", drive->group) &&
			  strcmp(name, "vfio-noiommu") == 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s%s", drive->no_iommu ? "noiommu-" : "",
		 drive->group);
	drive->may_open_group = drive->group[0] && files_allowed(path);
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
	if (strcmp(driver, "nvme") == 0) {
		look_at_controller(machine, address); /* seen as a block device */
		return;
	}
	machine->drive_count++;
	snprintf(drive->name, sizeof(drive->name), "%.15s", address);
	memcpy(drive->driver, driver, sizeof(drive->driver));
	look_at_group(drive, address);
}

void machine_look_at_drives(struct machine *machine)
{
	files_each("/sys/block", add_block_device, machine);
	files_each("/sys/bus/pci/devices", add_pci_device, machine);
}
