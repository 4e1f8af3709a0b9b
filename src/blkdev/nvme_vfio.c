/* SPDX-License-Identifier: MIT */
/*
 * The kernel's documentation of VFIO (Documentation/driver-api/vfio.rst) has the order of the steps:
 * container, group, IOMMU, device. Whatever it refuses has a message of its own.
 */
#include "blkdev/nvme_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "blkdev/blkdev.h"
#include "blkdev/nvme_physical.h"
#include "blkdev/nvme_spec.h"
#include "heap/heap.h"

#define CONTAINER "/dev/vfio/vfio"

#define QUEUES_IOVA_ALIGNMENT (2ull << 20)
#define IOMMU_INFO_BYTES 4096u

/* Where no kernel tells: what the smallest IOMMUs translate, less what x86 has for interrupts. */
#define IOVA_BITS_MIN 39u
#define IOVA_INTERRUPTS_END 0xfef00000ull

/* Without an IOMMU these are ours alone; a heap of all address space has a place. */
#define CHUNKS_HEAP_IOVA ((uint64_t)HEAP_RANGE_ALIGNMENT)
#define CHUNKS_HEAP_BYTES (1ull << 42)
#define CHUNKS_MAX ((CHUNKS_HEAP_IOVA + CHUNKS_HEAP_BYTES) >> NVME_CHUNK_SHIFT)

struct vfio {
	struct nvme_bus bus;
	char name[sizeof(((struct blkdev *)0)->name)];
	char address[NVME_ADDRESS_BYTES];
	struct nvme_group group_of;
	uint64_t *chunks;             /* [CHUNKS_MAX], without an IOMMU */
	int container, group, device; /* descriptors, -1 */
	uint64_t config_offset;       /* of the PCI configuration space, in the device */
};

static unsigned long iommu_type(const struct vfio *vfio)
{
	return vfio->group_of.no_iommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
}

static struct vfio *vfio_of(struct nvme_bus *bus)
{
	return container_of(bus, struct vfio, bus);
}

/* ---- Ops ---- */

static void say_map_error(const struct vfio *vfio, size_t bytes, int error)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (error == ENOMEM && limit.rlim_cur != RLIM_INFINITY)
		log_error("%s: cannot lock %zu KiB more in memory for the device, beyond the "
			  "limit of %llu KiB: raise it (ulimit -l unlimited, or LimitMEMLOCK= of a "
			  "service)",
			  vfio->name, bytes >> 10, (unsigned long long)limit.rlim_cur >> 10);
	else if (error == ENOSPC)
		log_error("%s: the IOMMU takes no more pieces of memory: raise the module "
			  "parameter vfio_iommu_type1.dma_entry_limit",
			  vfio->name);
	else
		log_error("%s: the kernel does not let the device reach %zu KiB of memory: %s",
			  vfio->name, bytes >> 10, strerror(error));
}

static int vfio_map(struct nvme_bus *bus, void *start, size_t bytes, uint64_t iova)
{
	struct vfio *vfio = vfio_of(bus);
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ |
							VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)start,
					       .iova = iova,
					       .size = bytes};
	int error;

	if (ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map) == 0)
		return 0;
	error = errno;
	say_map_error(vfio, bytes, error);
	return -error;
}

static void vfio_unmap(struct nvme_bus *bus, size_t bytes, uint64_t iova)
{
	struct vfio *vfio = vfio_of(bus);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = bytes};

	if (ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0)
		log_error("%s: the kernel does not take %zu KiB of memory away from the device: %s",
			  vfio->name, bytes >> 10, strerror(errno));
}

/* Without an IOMMU nothing has to be told to the kernel. */
static int physical_map(struct nvme_bus *bus, void *start, size_t bytes, uint64_t iova)
{
	struct vfio *vfio = vfio_of(bus);

	return nvme_physical_find(vfio->name, start, bytes,
				  &vfio->chunks[iova >> NVME_CHUNK_SHIFT]);
}

static void physical_unmap(struct nvme_bus *bus, size_t bytes, uint64_t iova)
{
	memset(&vfio_of(bus)->chunks[iova >> NVME_CHUNK_SHIFT], 0,
	       (bytes >> NVME_CHUNK_SHIFT) * sizeof(uint64_t));
}

static void vfio_wait(struct nvme_bus *bus, uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
				.tv_nsec = (long)(ns % 1000000000u)};

	(void)bus;
	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

/* Return: whether the device's registers, and its way to memory, are as asked now. */
static bool set_command(struct vfio *vfio, uint16_t set, uint16_t clear)
{
	off_t offset = (off_t)(vfio->config_offset + PCI_COMMAND);
	uint16_t command;

	if (pread(vfio->device, &command, sizeof(command), offset) != sizeof(command))
		return false;
	command = (uint16_t)((command | set) & ~clear);
	return pwrite(vfio->device, &command, sizeof(command), offset) == sizeof(command);
}

static void vfio_cut_off(struct nvme_bus *bus)
{
	set_command(vfio_of(bus), 0, PCI_COMMAND_MASTER);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* When the last descriptor closes, the kernel resets the device and unmaps its memory. */
static void vfio_forget(struct nvme_bus *bus)
{
	struct vfio *vfio = vfio_of(bus);

	if (bus->registers)
		munmap((void *)(uintptr_t)bus->registers, bus->registers_bytes);
	bus->registers = NULL;
	close_one(&vfio->device);
	close_one(&vfio->group);
	close_one(&vfio->container);
}

static void vfio_close(struct nvme_bus *bus)
{
	struct vfio *vfio = vfio_of(bus);

	vfio_forget(bus);
	if (vfio->chunks)
		munmap(vfio->chunks, CHUNKS_MAX * sizeof(*vfio->chunks));
	free(vfio);
}

static const struct nvme_bus_ops vfio_ops = {
	.map = vfio_map,
	.unmap = vfio_unmap,
	.wait = vfio_wait,
	.cut_off = vfio_cut_off,
	.forget = vfio_forget,
	.close = vfio_close,
};

static const struct nvme_bus_ops physical_ops = {
	.map = physical_map,
	.unmap = physical_unmap,
	.wait = vfio_wait,
	.cut_off = vfio_cut_off,
	.forget = vfio_forget,
	.close = vfio_close,
};

/* ---- Container and group ---- */

static int open_container(struct vfio *vfio)
{
	vfio->container = open(CONTAINER, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0) {
		int error = errno;

		log_error("%s: cannot open " CONTAINER ": %s; %s", vfio->name, strerror(error),
			  error == EACCES || error == EPERM
				  ? "let this user open it (chmod 666 " CONTAINER ")"
				  : "load the kernel's VFIO (modprobe vfio-pci)");
		return -error;
	}
	if (ioctl(vfio->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(vfio->container, VFIO_CHECK_EXTENSION, iommu_type(vfio)) <= 0) {
		log_error("%s: %s", vfio->name,
			  vfio->group_of.no_iommu
				  ? "the kernel's VFIO is not allowed to do without an IOMMU any "
				    "more: write Y to "
				    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
				  : "the kernel's VFIO knows no IOMMU of type 1: load that "
				    "(modprobe vfio_iommu_type1)");
		return -ENOTSUP;
	}
	return 0;
}

static int say_group_error(const struct vfio *vfio, const char *path, int error)
{
	switch (error) {
	case EBUSY:
		log_error("%s: another process has the device, or another runtime of this one (%s "
			  "is open): end it, or use another device",
			  vfio->name, path);
		break;
	case EACCES:
	case EPERM:
		if (vfio->group_of.no_iommu) {
			log_error("%s: only root may have a device that is behind no IOMMU",
				  vfio->name);
			break;
		}
		log_error("%s: this user may not open %s: make it the user's (chown USER %s)",
			  vfio->name, path, path);
		break;
	default:
		log_error("%s: cannot open %s: %s; give the device to vfio-pci again "
			  "(" NVME_BIND_COMMAND " %s)",
			  vfio->name, path, strerror(error), vfio->address);
	}
	return -error;
}

static int open_group(struct vfio *vfio)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%u", vfio->group_of.no_iommu ? "noiommu-" : "",
		 vfio->group_of.number);
	vfio->group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->group < 0)
		return say_group_error(vfio, path, errno);
	if (ioctl(vfio->group, VFIO_GROUP_GET_STATUS, &status) != 0)
		return say_group_error(vfio, path, errno);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		nvme_pci_say_not_viable(vfio->name, vfio->group_of.number);
		return -EPERM;
	}
	return 0;
}

static int join(struct vfio *vfio)
{
	int error;

	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) == 0 &&
	    ioctl(vfio->container, VFIO_SET_IOMMU, iommu_type(vfio)) == 0)
		return 0;
	error = errno;
	log_error("%s: the kernel does not put IOMMU group %u to use: %s; dmesg tells why (where "
		  "interrupts are not remapped, the module parameter "
		  "vfio_iommu_type1.allow_unsafe_interrupts lets it)",
		  vfio->name, vfio->group_of.number, strerror(error));
	return -error;
}

/* ---- Addresses ---- */

static void consider_range(struct nvme_bus *bus, uint64_t first, uint64_t last)
{
	uint64_t queues = first < QUEUES_IOVA_ALIGNMENT ? QUEUES_IOVA_ALIGNMENT
							: first + (-first % QUEUES_IOVA_ALIGNMENT);
	uint64_t heap = first < HEAP_RANGE_ALIGNMENT ? HEAP_RANGE_ALIGNMENT
						     : first + (-first % HEAP_RANGE_ALIGNMENT);

	/* The heap is above the first gibibyte, queues are in it. */
	if (bus->queues_iova == 0 && last < UINT64_MAX &&
	    queues + QUEUES_IOVA_ALIGNMENT <= last + 1 &&
	    queues + QUEUES_IOVA_ALIGNMENT <= HEAP_RANGE_ALIGNMENT)
		bus->queues_iova = queues;
	if (heap < last && last - heap + 1 > bus->heap_iova_bytes) {
		bus->heap_iova = heap;
		bus->heap_iova_bytes = last - heap + 1;
	}
}

static void consider_ranges(struct nvme_bus *bus, const unsigned char *info, uint32_t bytes,
			    uint32_t offset)
{
	while (offset >= sizeof(struct vfio_iommu_type1_info) &&
	       offset + sizeof(struct vfio_iommu_type1_info_cap_iova_range) <= bytes) {
		const struct vfio_iommu_type1_info_cap_iova_range *ranges = (const void *)(info +
											   offset);

		offset = ranges->header.next;
		if (ranges->header.id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			continue;
		for (uint32_t i = 0; i < ranges->nr_iovas; i++)
			consider_range(bus, ranges->iova_ranges[i].start,
				       ranges->iova_ranges[i].end);
	}
}

/* Any will do: the controller is not told them. */
static int choose_own_addresses(struct vfio *vfio)
{
	void *chunks = mmap(NULL, CHUNKS_MAX * sizeof(*vfio->chunks), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (chunks == MAP_FAILED) {
		log_error("%s: no memory for the addresses of memory", vfio->name);
		return -ENOMEM;
	}
	vfio->chunks = chunks;
	vfio->bus.chunks = chunks;
	vfio->bus.huge_pages = true;
	vfio->bus.queues_iova = QUEUES_IOVA_ALIGNMENT;
	vfio->bus.heap_iova = CHUNKS_HEAP_IOVA;
	vfio->bus.heap_iova_bytes = CHUNKS_HEAP_BYTES;
	log_warning("%s: no IOMMU keeps the device from memory that it was not given", vfio->name);
	return 0;
}

static int choose_addresses(struct vfio *vfio)
{
	struct nvme_bus *bus = &vfio->bus;
	union {
		struct vfio_iommu_type1_info info;
		unsigned char bytes[IOMMU_INFO_BYTES];
	} said = {.info.argsz = IOMMU_INFO_BYTES};

	if (ioctl(vfio->container, VFIO_IOMMU_GET_INFO, &said) == 0 &&
	    (said.info.flags & VFIO_IOMMU_INFO_CAPS) && said.info.argsz <= IOMMU_INFO_BYTES)
		consider_ranges(bus, said.bytes, said.info.argsz, said.info.cap_offset);
	if (bus->heap_iova_bytes == 0) {
		consider_range(bus, 0, IOVA_INTERRUPTS_END - (1ull << 20) - 1);
		consider_range(bus, IOVA_INTERRUPTS_END, (1ull << IOVA_BITS_MIN) - 1);
	}
	if (bus->queues_iova != 0)
		return 0;
	log_error("%s: the IOMMU has no addresses free in the first gibibyte", vfio->name);
	return -ENOTSUP;
}

/* ---- The device ---- */

static int say_device_error(const struct vfio *vfio, const char *what, int error)
{
	log_error("%s: VFIO does not %s: %s; dmesg may tell why", vfio->name, what,
		  strerror(error));
	return -error;
}

static int open_device(struct vfio *vfio)
{
	struct vfio_region_info config = {.argsz = sizeof(config),
					  .index = VFIO_PCI_CONFIG_REGION_INDEX};
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	void *registers;

	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, vfio->address);
	if (vfio->device < 0)
		return say_device_error(vfio, "hand out the device", errno);
	if (ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &config) != 0 ||
	    ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &bar) != 0)
		return say_device_error(vfio, "tell where the registers are", errno);
	if (bar.size < NVME_REGISTERS_BYTES || !(bar.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		log_error("%s: the registers, %llu bytes, cannot be mapped", vfio->name,
			  (unsigned long long)bar.size);
		return -ENOTSUP;
	}
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->device,
			 (off_t)bar.offset);
	if (registers == MAP_FAILED)
		return say_device_error(vfio, "map the registers", errno);
	vfio->bus.registers = registers;
	vfio->bus.registers_bytes = bar.size;
	vfio->config_offset = config.offset;
	if (!set_command(vfio, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0))
		return say_device_error(vfio, "switch the device on", EIO);
	return 0;
}

int nvme_vfio_open(struct nvme_bus **bus_out, const char *name, const char *address, bool no_iommu)
{
	struct vfio *vfio;
	struct nvme_group group;
	int error = nvme_pci_check(name, address, no_iommu, &group);

	if (error)
		return error;
	vfio = calloc(1, sizeof(*vfio));
	if (!vfio)
		return -ENOMEM;
	*vfio = (struct vfio){.bus.ops = group.no_iommu ? &physical_ops : &vfio_ops,
			      .group_of = group,
			      .container = -1,
			      .group = -1,
			      .device = -1};
	snprintf(vfio->name, sizeof(vfio->name), "%s", name);
	snprintf(vfio->address, sizeof(vfio->address), "%s", address);
	error = open_container(vfio);
	if (!error)
		error = open_group(vfio);
	if (!error)
		error = join(vfio);
	if (!error)
		error = group.no_iommu ? choose_own_addresses(vfio) : choose_addresses(vfio);
	if (!error)
		error = open_device(vfio);
	if (error) {
		vfio_close(&vfio->bus);
		return error;
	}
	*bus_out = &vfio->bus;
	return 0;
}
