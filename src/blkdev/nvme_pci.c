/* SPDX-License-Identifier: MIT */
/* Whose a PCI device is, and with whom it shares an IOMMU group, so that messages can say it. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/nvme_vfio.h"

#define DEVICES "/sys/bus/pci/devices"
#define GROUPS "/sys/kernel/iommu_groups"

/* Mass storage, non-volatile memory, NVM Express I/O: PCI's class codes. */
#define CLASS_NVME 0x010802u
#define CLASS_NONE UINT32_MAX

#define PATH_BYTES 320u
#define NAME_BYTES 64u

/* The last part of what a link of a device's points to; "": there is none. */
static void read_link(const char *address, const char *link, char name[NAME_BYTES])
{
	char path[PATH_BYTES], target[PATH_BYTES];
	const char *slash;
	ssize_t length;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, link);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, NAME_BYTES, "%.*s", (int)NAME_BYTES - 1, slash ? slash + 1 : "");
}

static uint32_t read_class(const char *address)
{
	char path[PATH_BYTES], line[NAME_BYTES] = "";
	FILE *file;
	char *end;
	unsigned long class;

	snprintf(path, sizeof(path), DEVICES "/%s/class", address);
	file = fopen(path, "re");
	if (!file)
		return CLASS_NONE;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	class = strtoul(line, &end, 16);
	return end == line ? CLASS_NONE : (uint32_t) class;
}

/* The kernel's own IOMMU-less groups are called so. */
static bool group_is_without_iommu(unsigned int group)
{
	char path[PATH_BYTES], line[NAME_BYTES] = "";
	FILE *file;

	snprintf(path, sizeof(path), GROUPS "/%u/name", group);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return strncmp(line, "vfio-noiommu", strlen("vfio-noiommu")) == 0;
}

static int check_group(const char *name, const char *address, bool no_iommu,
		       struct nvme_group *group_out)
{
	char group[NAME_BYTES];

	read_link(address, "iommu_group", group);
	*group_out = (struct nvme_group){.number = (unsigned int)strtoul(group, NULL, 10)};
	group_out->no_iommu = !group[0] || group_is_without_iommu(group_out->number);
	if (!group_out->no_iommu || no_iommu)
		return 0;
	log_error("%s: the device is behind no IOMMU, without which it could reach all memory: "
		  "switch on VT-d or AMD-Vi in the firmware, and start the kernel with "
		  "intel_iommu=on (Intel); or use a file: uring:FILE; or, if that may be, say so: "
		  "nvme:%s,noiommu",
		  name, address);
	return -ENOTSUP;
}

int nvme_pci_check(const char *name, const char *address, bool no_iommu,
		   struct nvme_group *group_out)
{
	uint32_t class = read_class(address);
	char driver[NAME_BYTES];

	if (class == CLASS_NONE) {
		log_error(
			"%s: this machine has no PCI device %s; lspci -D -d ::0108 lists those of "
			"NVMe",
			name, address);
		return -ENODEV;
	}
	if (class != CLASS_NVME) {
		log_error("%s: the device is no NVMe controller (its class is %06x, not %06x); "
			  "lspci -D -d ::0108 lists them",
			  name, class, CLASS_NVME);
		return -ENODEV;
	}
	read_link(address, "driver", driver);
	if (!driver[0]) {
		log_error("%s: no driver has the device: give it to vfio-pci (" NVME_BIND_COMMAND
			  " %s)",
			  name, address);
		return -ENODEV;
	}
	if (strcmp(driver, "vfio-pci") != 0) {
		log_error("%s: the kernel has the device, for its driver %s: give it to vfio-pci, "
			  "and the kernel has its disk no more (" NVME_BIND_COMMAND " %s)",
			  name, driver, address);
		return -EBUSY;
	}
	return check_group(name, address, no_iommu, group_out);
}

void nvme_pci_say_not_viable(const char *name, unsigned int group)
{
	char path[PATH_BYTES], driver[NAME_BYTES], others[PATH_BYTES] = "";
	size_t length = 0;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), GROUPS "/%u/devices", group);
	folder = opendir(path);
	/* cppcheck-suppress readdirCalled; the stream is our own */
	while (folder && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		read_link(entry->d_name, "driver", driver);
		if (!driver[0] || strcmp(driver, "vfio-pci") == 0 ||
		    strcmp(driver, "pcieport") == 0 || length + NAME_BYTES >= sizeof(others))
			continue;
		length += (size_t)snprintf(others + length, NAME_BYTES, "%s%.12s (%.32s)",
					   length > 0 ? ", " : "", entry->d_name, driver);
	}
	if (folder)
		closedir(folder);
	log_error("%s: the device shares its IOMMU group %u with others that the kernel uses: %s; "
		  "give those to vfio-pci too, or put the drive into another slot",
		  name, group, others);
}
