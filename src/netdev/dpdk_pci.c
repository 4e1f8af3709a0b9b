/* SPDX-License-Identifier: MIT */
/*
 * Whose a PCI device is. DPDK passes over a device that it cannot have without saying so, and the
 * operator needs to know which of the reasons it is.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/dpdk.h"

#define DEVICES "/sys/bus/pci/devices"

bool dpdk_pci_is_there(const char *address)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "/%s", address);
	return access(path, F_OK) == 0;
}

/* The name of the kernel's driver that has it; "": none has. */
static void find_driver(const char *address, char *driver, size_t size)
{
	char path[128], target[256];
	const char *slash;
	ssize_t length;

	snprintf(path, sizeof(path), DEVICES "/%s/driver", address);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(driver, size, "%s", slash ? slash + 1 : "");
}

/* Drivers that hand the device on to a program, and those that DPDK works beside. */
static bool leaves_device_to_dpdk(const char *driver)
{
	return strstr(driver, "vfio") || strstr(driver, "uio") || strncmp(driver, "mlx", 3) == 0;
}

void dpdk_pci_say_why_not(const char *name, const char *address, const char *said)
{
	char driver[64];

	find_driver(address, driver, sizeof(driver));
	if (driver[0] == '\0')
		log_error("%s: no driver has the device: bind it to vfio-pci (modprobe vfio-pci; "
			  "dpdk-devbind.py -b vfio-pci %s)",
			  name, address);
	else if (!leaves_device_to_dpdk(driver))
		log_error("%s: the kernel has the device, for its driver %s: bind it to vfio-pci, "
			  "and the kernel has its interface no more (modprobe vfio-pci; "
			  "dpdk-devbind.py -b vfio-pci %s)",
			  name, driver, address);
	else
		log_error("%s: %s has the device, but DPDK does not get it: %s; see that no other "
			  "program uses it, that this user may open /dev/vfio, and that DPDK's "
			  "driver for it is installed",
			  name, driver, said);
}
