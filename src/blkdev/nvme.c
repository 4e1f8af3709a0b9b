/* SPDX-License-Identifier: MIT */
/* Birth and death of an NVMe device, and its health. */
#include "blkdev/nvme.h"
#include "blkdev/nvme_health.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "blkdev/nvme_device.h"

#define STEP_NS 100000ull /* between two looks at what is waited for */

#define KELVIN_OF_0_C 273

/* ---- Memory ---- */

static int heap_add(void *context, void *start, size_t bytes, uint64_t *handle_out)
{
	struct nvme *nvme = context;
	size_t offset;

	/* The lowest comes first, and the others' addresses follow from it. */
	if (!nvme->heap_start) {
		nvme->heap_start = start;
		nvme->format.iova_delta = nvme->bus->heap_iova - (uintptr_t)start;
		nvme->format.chunks = nvme->bus->chunks;
	}
	offset = (size_t)((unsigned char *)start - nvme->heap_start);
	*handle_out = nvme->bus->heap_iova + offset;
	if (offset + bytes > nvme->bus->heap_iova_bytes) {
		log_error("%s: the device has addresses for %llu MiB of heap, no more: lower "
			  "heap.max_bytes (DEMI_HEAP_MAX_BYTES)",
			  nvme->device.name,
			  (unsigned long long)(nvme->bus->heap_iova_bytes >> 20));
		return -ENOSPC;
	}
	return nvme->bus->ops->map(nvme->bus, start, bytes, *handle_out);
}

static void heap_remove(void *context, void *start, size_t bytes, uint64_t handle)
{
	struct nvme *nvme = context;

	(void)start;
	nvme->bus->ops->unmap(nvme->bus, bytes, handle);
}

static const struct heap_registrar_ops heap_ops = {.add = heap_add, .remove = heap_remove};

/* NVME_MEMORY_BYTES; NULL, having logged it. */
static void *queues_memory(const struct nvme *nvme)
{
	int pages = nvme->bus->huge_pages ? MAP_HUGETLB | NVME_CHUNK_SHIFT << MAP_HUGE_SHIFT : 0;
	void *memory = mmap(NULL, NVME_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | pages, -1, 0);

	if (memory != MAP_FAILED)
		return memory;
	log_error("%s: no memory for queues: %s%s", nvme->device.name, strerror(errno),
		  pages ? "; without an IOMMU it is a reserved huge page of 2 MiB (sysctl "
			  "vm.nr_hugepages)"
			: "");
	return NULL;
}

/* What the controller may still reach must not become anybody else's: the child of a fork has none. */
static int memory_create(struct nvme *nvme)
{
	struct nvme_bus *bus = nvme->bus;
	void *memory = queues_memory(nvme);
	int error;

	if (!memory)
		return -ENOMEM;
	madvise(memory, NVME_MEMORY_BYTES, MADV_DONTFORK);
	error = bus->ops->map(bus, memory, NVME_MEMORY_BYTES, bus->queues_iova);
	if (error) {
		munmap(memory, NVME_MEMORY_BYTES);
		return error;
	}
	nvme->memory = memory;
	nvme->memory_address = nvme_bus_address(bus->chunks, bus->queues_iova);
	return 0;
}

static void memory_destroy(struct nvme *nvme)
{
	if (!nvme->memory)
		return;
	nvme->bus->ops->unmap(nvme->bus, NVME_MEMORY_BYTES, nvme->bus->queues_iova);
	munmap(nvme->memory, NVME_MEMORY_BYTES);
}

/* ---- Start ---- */

/* 3.1.24, 3.1.25: a pair for each queue, @stride apart. */
static volatile uint32_t *doorbell(const struct nvme *nvme, uint32_t number)
{
	uint32_t stride = 4u << NVME_CAP_DSTRD(nvme->capabilities);

	return (volatile uint32_t *)(volatile void *)(nvme->bus->registers + NVME_REG_DOORBELLS +
						      (size_t)number * stride);
}

static void queues_create(struct nvme *nvme)
{
	uint32_t entries_max = NVME_CAP_MQES(nvme->capabilities) + 1;
	uint32_t entries = nvme->settings.depth + 1;

	nvme->admin = (struct nvme_queue){.sqes = nvme->memory->admin_sqes,
					  .cqes = nvme->memory->admin_cqes,
					  .sq_doorbell = doorbell(nvme, 0),
					  .cq_doorbell = doorbell(nvme, 1),
					  .entries = NVME_ADMIN_ENTRIES};
	nvme->queue = (struct nvme_queue){.sqes = nvme->memory->sqes,
					  .cqes = nvme->memory->cqes,
					  .sq_doorbell = doorbell(nvme, 2 * NVME_IO_QUEUE),
					  .cq_doorbell = doorbell(nvme, 2 * NVME_IO_QUEUE + 1),
					  .entries = entries < entries_max ? entries : entries_max};
	nvme->device.caps.depth = nvme->queue.entries - 1;
	nvme_slots_start(nvme);
}

/* 3.1.1: what the controller can do at all. */
static int check_capabilities(struct nvme *nvme)
{
	uint64_t cap = nvme_read64(nvme, NVME_REG_CAP);
	const char *name = nvme->device.name;
	size_t doorbells_end = NVME_REG_DOORBELLS +
			       (2 * NVME_IO_QUEUE + 2) * (4ull << NVME_CAP_DSTRD(cap));

	nvme->capabilities = cap;
	nvme->transition_ns = (NVME_CAP_TO(cap) + 1) * NVME_CAP_TO_UNIT_NS;
	nvme->format.page_bytes = 1u << (NVME_PAGE_SHIFT_MIN + NVME_CAP_MPSMIN(cap));
	if (cap == UINT64_MAX || nvme_read32(nvme, NVME_REG_VS) == 0) {
		log_error("%s: the device's registers cannot be read: it has no power, or has been "
			  "pulled out",
			  name);
		return -ENODEV;
	}
	if (!NVME_CAP_CSS_NVM(cap) || nvme->format.page_bytes > NVME_PAGE_BYTES_MAX ||
	    NVME_CAP_MQES(cap) < NVME_DEPTH_MIN || doorbells_end > nvme->bus->registers_bytes) {
		log_error("%s: the controller does not serve blocks as we know it (CAP %#llx)",
			  name, (unsigned long long)cap);
		return -ENOTSUP;
	}
	return 0;
}

/* Until it runs, or has failed. The time that passes is at least what is counted. */
static int bring_up(struct nvme *nvme)
{
	nvme_reset(nvme, nvme->now_ns);
	for (;;) {
		nvme_tend(nvme, nvme->now_ns);
		if (nvme->state == NVME_RUNNING)
			return 0;
		if (nvme->state == NVME_FAILED)
			return nvme->error;
		nvme->bus->ops->wait(nvme->bus, STEP_NS);
		nvme->now_ns += STEP_NS;
	}
}

static int start(struct nvme *nvme)
{
	int error = check_capabilities(nvme);

	if (!error)
		error = memory_create(nvme);
	if (error)
		return error;
	queues_create(nvme);
	error = bring_up(nvme);
	if (!error)
		error = heap_register(nvme->device.heap, &heap_ops, nvme, &nvme->registrar);
	if (error) {
		nvme->registrar = HEAP_REGISTRARS_MAX;
		return error;
	}
	log_info(
		"%s: %s, serial %s, firmware %s: %llu blocks of %u bytes, %u commands at a time of "
		"up to %u KiB, %s%s",
		nvme->device.name, nvme->identity.model, nvme->identity.serial,
		nvme->identity.firmware, (unsigned long long)nvme->device.caps.block_count,
		nvme->device.caps.block_bytes, nvme->device.caps.depth,
		nvme->format.bytes_max >> 10,
		nvme->format.volatile_cache ? "a volatile write cache" : "no volatile write cache",
		nvme->device.caps.read_only ? ", read only" : "");
	return 0;
}

/* ---- End ---- */

/* 7.6.2: queues are deleted, the controller is told, and only then is it stopped. */
static void shut_down(struct nvme *nvme)
{
	const struct nvme_sqe delete_sq = {.opcode = NVME_ADMIN_DELETE_SQ,
					   .dword10 = NVME_IO_QUEUE};
	const struct nvme_sqe delete_cq = {.opcode = NVME_ADMIN_DELETE_CQ,
					   .dword10 = NVME_IO_QUEUE};
	uint32_t cc;

	if (nvme->state == NVME_RUNNING && !nvme_admin_run(nvme, &delete_sq))
		nvme_admin_run(nvme, &delete_cq);
	cc = nvme_read32(nvme, NVME_REG_CC) & ~NVME_CC_SHN_MASK;
	if (cc & NVME_CC_EN) {
		nvme_write32(nvme, NVME_REG_CC, cc | NVME_CC_SHN_NORMAL);
		if (!nvme_wait_register(nvme, NVME_REG_CSTS, NVME_CSTS_SHST_MASK,
					NVME_CSTS_SHST_DONE, nvme->shutdown_us * 1000ull))
			log_warning("%s: the controller does not shut down in time; what its cache "
				    "had may be lost",
				    nvme->device.name);
	}
	nvme_write32(nvme, NVME_REG_CC, 0);
	if (!nvme_wait_register(nvme, NVME_REG_CSTS, NVME_CSTS_RDY, 0, nvme->transition_ns))
		log_warning("%s: the controller does not stop; it is cut off from memory",
			    nvme->device.name);
	nvme->bus->ops->cut_off(nvme->bus);
}

static void release(struct nvme *nvme)
{
	if (nvme->registrar != HEAP_REGISTRARS_MAX)
		heap_unregister(nvme->device.heap, nvme->registrar);
	memory_destroy(nvme);
	nvme->bus->ops->close(nvme->bus);
	free(nvme);
}

static void nvme_close(struct blkdev *device)
{
	struct nvme *nvme = nvme_of(device);

	nvme->closing = true;
	/* It may abort, and then reset: each takes its time, and comes to an end. After that nothing is
	 * sent any more. */
	while (device->under_way > 0) {
		nvme_poll(device, nvme->now_ns);
		if (nvme->state != NVME_RUNNING)
			nvme_end_backlog(nvme, -ECANCELED);
		nvme->bus->ops->wait(nvme->bus, STEP_NS);
		nvme->now_ns += STEP_NS;
	}
	if (nvme->state != NVME_FAILED)
		shut_down(nvme);
	release(nvme);
}

/* The descriptors alone: the queues are not in the child's memory. */
static void nvme_forget(struct blkdev *device)
{
	struct nvme *nvme = nvme_of(device);

	nvme->bus->ops->forget(nvme->bus);
}

static const struct blkdev_ops nvme_ops = {
	.kind = "nvme",
	.submit = nvme_submit,
	.poll = nvme_poll,
	.tell_health = nvme_tell_health,
	.forget = nvme_forget,
	.close = nvme_close,
};

int nvme_create(struct blkdev **device_out, const char *name, struct nvme_bus *bus,
		const struct nvme_settings *settings, const struct blkdev_options *options)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int error;

	if (!nvme) {
		log_error("%s: no memory for the device", name);
		bus->ops->close(bus);
		return -ENOMEM;
	}
	snprintf(nvme->device.name, sizeof(nvme->device.name), "%s", name);
	nvme->device.ops = &nvme_ops;
	nvme->device.heap = options->heap;
	nvme->device.caps.read_only = options->read_only;
	nvme->bus = bus;
	nvme->settings = *settings;
	nvme->timeout_ns = settings->timeout_ms * 1000000ull;
	nvme->now_ns = options->now_ns;
	nvme->registrar = HEAP_REGISTRARS_MAX;
	error = start(nvme);
	if (error) {
		if (nvme->memory && nvme->state != NVME_FAILED)
			shut_down(nvme);
		release(nvme);
		return error;
	}
	*device_out = &nvme->device;
	return 0;
}

/* ---- Health ---- */

static void read_smart(struct nvme_health *health, const struct nvme_log_smart *said)
{
	const uint64_t unit_bytes = 512000;

	health->spare_low = (said->critical_warning & NVME_WARNING_SPARE) != 0;
	health->too_hot_or_cold = (said->critical_warning & NVME_WARNING_TEMPERATURE) != 0;
	health->unreliable = (said->critical_warning & NVME_WARNING_RELIABILITY) != 0;
	health->read_only = (said->critical_warning & NVME_WARNING_READ_ONLY) != 0;
	health->backup_failed = (said->critical_warning & NVME_WARNING_BACKUP) != 0;
	health->temperature_c = (said->temperature_k[0] | said->temperature_k[1] << 8) -
				KELVIN_OF_0_C;
	health->spare_percent = said->spare_percent;
	health->spare_threshold_percent = said->spare_threshold_percent;
	health->used_percent = said->used_percent;
	health->bytes_read = said->data_units_read[0] * unit_bytes;
	health->bytes_written = said->data_units_written[0] * unit_bytes;
	health->reads = said->reads[0];
	health->writes = said->writes[0];
	health->power_cycles = said->power_cycles[0];
	health->power_on_hours = said->power_on_hours[0];
	health->unsafe_shutdowns = said->unsafe_shutdowns[0];
	health->media_errors = said->media_errors[0];
	health->errors_logged = said->error_log_entries[0];
}

int nvme_get_health(struct blkdev *device, struct nvme_health *health)
{
	struct nvme *nvme = nvme_of(device);
	const struct nvme_sqe sqe = nvme_admin_log_smart(NVME_ADDRESS(nvme, answer));
	int error = nvme_admin_run(nvme, &sqe);

	if (error)
		return error;
	*health = nvme->identity;
	read_smart(health, &nvme->memory->answer.smart);
	return 0;
}
