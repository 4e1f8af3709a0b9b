/* SPDX-License-Identifier: MIT */
/*
 * Memory as a device sees it that no IOMMU stands before: by physical addresses.
 *
 * Only reserved huge pages serve. The kernel moves others when it likes, and nothing would tell the
 * device; those it leaves where they are as long as they are mapped, unless memory is taken out of
 * the running machine.
 */
#ifndef DEMI_BLKDEV_NVME_PHYSICAL_H
#define DEMI_BLKDEV_NVME_PHYSICAL_H

#include <stddef.h>
#include <stdint.h>

/**
 * nvme_physical_find - the physical addresses of huge pages of this process
 * @name: for messages
 * @start, @bytes: whole chunks (NVME_CHUNK_BYTES) that may be written to, which are made resident,
 * and kept from children: a write after a fork would move them
 * @addresses: [bytes / NVME_CHUNK_BYTES]
 *
 * Return: 0; -EPERM (this user is not told), -ENOTSUP (other pages), -ENOMEM or what the system
 * says; each has been logged with what to do.
 * Source: Documentation/admin-guide/mm/pagemap.rst of the kernel
 */
int nvme_physical_find(const char *name, void *start, size_t bytes, uint64_t *addresses);

#endif /* DEMI_BLKDEV_NVME_PHYSICAL_H */
