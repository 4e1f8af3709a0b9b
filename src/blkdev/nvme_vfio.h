/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers of PCI, by the kernel's VFIO: registers are mapped, memory goes through an IOMMU,
 * or, where there is none and that is asked for, by physical addresses.
 */
#ifndef DEMI_BLKDEV_NVME_VFIO_H
#define DEMI_BLKDEV_NVME_VFIO_H

#include <stdbool.h>

#include "blkdev/nvme_bus.h"

/** "0000:00:05.0", with its end. */
#define NVME_ADDRESS_BYTES 13u

/** How a controller is given to vfio-pci, in messages; its address follows. */
#define NVME_BIND_COMMAND "demi nvme bind"

/**
 * nvme_vfio_open - a controller that vfio-pci has
 * @name: for messages
 * @address: "0000:00:05.0"
 * @no_iommu: also one that is behind none
 *
 * Return: 0; -ENODEV (no such device, none of NVMe's, or without a driver), -EBUSY (the kernel or
 * another process has it), -EACCES, -EPERM (its group), -ENOTSUP (no IOMMU), -ENOMEM or what the
 * system says; each has been logged with what to do.
 */
int nvme_vfio_open(struct nvme_bus **bus_out, const char *name, const char *address, bool no_iommu);

/* nvme_pci.c */

/** What the kernel's VFIO makes one of, for each device of its own or for several. */
struct nvme_group {
	unsigned int number;
	bool no_iommu;
};

/**
 * nvme_pci_check - whether VFIO could have the device
 * @no_iommu: whether it may be behind none
 *
 * Return: 0; -ENODEV, -EBUSY or -ENOTSUP, having logged what to do.
 */
int nvme_pci_check(const char *name, const char *address, bool no_iommu,
		   struct nvme_group *group_out);

/** nvme_pci_say_not_viable - log which devices keep the group from being used */
void nvme_pci_say_not_viable(const char *name, unsigned int group);

#endif /* DEMI_BLKDEV_NVME_VFIO_H */
