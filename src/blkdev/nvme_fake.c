/* SPDX-License-Identifier: MIT */
#include "blkdev/nvme_fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "blkdev/nvme_status.h"

#define PAGE_BYTES 4096u
#define CAP_MQES_LESS_ONE 255u
#define CAP_TO_UNITS 2u /* of 500 ms */
#define CQE_PHASE 1u

static struct nvme_fake *fake_of(struct nvme_bus *bus)
{
	return container_of(bus, struct nvme_fake, bus);
}

static uint32_t get32(const struct nvme_fake *fake, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, fake->registers + offset, sizeof(value));
	return value;
}

static uint64_t get64(const struct nvme_fake *fake, uint32_t offset)
{
	return get32(fake, offset) | (uint64_t)get32(fake, offset + 4) << 32;
}

static void set32(struct nvme_fake *fake, uint32_t offset, uint32_t value)
{
	memcpy(fake->registers + offset, &value, sizeof(value));
}

/* Of a queue's submissions: each has a pair, and the controller says how far they are apart. */
static uint32_t doorbell_of(const struct nvme_fake *fake, unsigned int number)
{
	return NVME_REG_DOORBELLS + 2 * number * (4u << NVME_CAP_DSTRD(get64(fake, NVME_REG_CAP)));
}

/* ---- Completions ---- */

static void post(struct nvme_fake *fake, unsigned int number, uint16_t id, uint16_t status,
		 uint32_t result)
{
	struct fake_queue *queue = &fake->queues[number];
	struct nvme_cqe *cqe;

	cqe = nvme_fake_memory(fake, queue->cq + queue->cq_tail * sizeof(*cqe), sizeof(*cqe));
	if (!cqe)
		return;
	*cqe = (struct nvme_cqe){.result = result,
				 .sq_head = (uint16_t)queue->sq_head,
				 .sq_id = (uint16_t)number,
				 .id = id,
				 .status = (uint16_t)(status | queue->phase)};
	if (++queue->cq_tail == queue->cq_entries) {
		queue->cq_tail = 0;
		queue->phase ^= CQE_PHASE;
	}
}

void nvme_fake_post(struct nvme_fake *fake, uint16_t id, uint16_t status)
{
	post(fake, 1, id, status, 0);
}

/* ---- I/O ---- */

static void serve(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	const struct nvme_dsm_range *range;

	switch (sqe->opcode) {
	case NVME_READ:
	case NVME_WRITE:
		nvme_fake_transfer(fake, sqe);
		break;
	case NVME_DATASET_MANAGEMENT:
		range = nvme_fake_memory(fake, sqe->data[0], sizeof(*range));
		if (range)
			fake->last_range = *range;
		break;
	case NVME_FLUSH:
		break;
	default:
		nvme_fake_violation(fake, "opcode %u", sqe->opcode);
	}
}

static void io_command(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	fake->commands++;
	fake->last = *sqe;
	if (sqe->namespace != 1)
		nvme_fake_violation(fake, "namespace %u", sqe->namespace);
	if (fake->hold) {
		if (fake->held_count == FAKE_HELD_MAX)
			nvme_fake_violation(fake, "more commands than entries");
		else
			fake->held[fake->held_count++] = *sqe;
		return;
	}
	if (fake->fail_count > 0) {
		fake->fail_count--;
		nvme_fake_post(fake, sqe->id, fake->status);
		return;
	}
	serve(fake, sqe);
	nvme_fake_post(fake, sqe->id, 0);
}

void nvme_fake_complete(struct nvme_fake *fake, uint32_t index, uint16_t status)
{
	struct nvme_sqe sqe = fake->held[index];

	memmove(&fake->held[index], &fake->held[index + 1],
		(--fake->held_count - index) * sizeof(sqe));
	if (status == 0)
		serve(fake, &sqe);
	nvme_fake_post(fake, sqe.id, status);
}

/* ---- Admin ---- */

static void identify(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	struct nvme_identify_controller controller = {.mdts = fake->mdts,
						      .version = 0x10400,
						      .async_event_limit = FAKE_EVENTS_MAX / 2 - 1,
						      .sqes = 0x66,
						      .cqes = 0x44,
						      .namespaces = 4,
						      .oncs = NVME_ONCS_DSM,
						      .vwc = fake->volatile_cache ? NVME_VWC_PRESENT
										  : 0,
						      .sgls = fake->sgl ? 1 : 0};
	struct nvme_identify_namespace namespace = {
		.blocks = sqe->namespace == 1 ? FAKE_BLOCKS : 0,
		.format = 3,
		.attributes = fake->protected ? NVME_NAMESPACE_PROTECTED : 0,
		.lba_formats[3] = {.block_shift = fake->block_shift,
				   .metadata_bytes = fake->metadata_bytes}};
	void *to = nvme_fake_memory(fake, sqe->data[0], NVME_IDENTIFY_BYTES);

	memcpy(controller.serial, "MEMORY  ", 8);
	if (!to)
		return;
	if (sqe->dword10 == NVME_CNS_CONTROLLER)
		memcpy(to, &controller, sizeof(controller));
	else
		memcpy(to, &namespace, sizeof(namespace));
}

static void read_log(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	struct nvme_log_smart log = {.critical_warning = fake->critical_warning,
				     .temperature_k = {0x40, 0x01},
				     .writes = {77}};
	void *to = nvme_fake_memory(fake, sqe->data[0], sizeof(log));

	fake->logs_read++;
	if ((sqe->dword10 & 0xff) != NVME_LOG_SMART || (sqe->dword10 >> 16) + 1 != sizeof(log) / 4)
		nvme_fake_violation(fake, "log page %#x", sqe->dword10);
	else if (to)
		memcpy(to, &log, sizeof(log));
}

static uint32_t abort_command(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	fake->aborts++;
	for (uint32_t i = 0; i < fake->held_count; i++) {
		if (fake->held[i].id == sqe->dword10 >> 16 && fake->abort_works) {
			nvme_fake_complete(fake, i, NVME_ABORT_REQUESTED << 1);
			return 0;
		}
	}
	return 1;
}

static void create_queue(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	struct fake_queue *queue = &fake->queues[1];
	uint32_t entries = (sqe->dword10 >> 16) + 1;

	if (!fake->knows_queue_count)
		nvme_fake_violation(fake, "a queue before their number is agreed on");
	if ((sqe->dword10 & 0xffff) != 1 ||
	    entries > NVME_CAP_MQES(get64(fake, NVME_REG_CAP)) + 1 ||
	    sqe->data[0] % PAGE_BYTES != 0 || !(sqe->dword11 & NVME_QUEUE_CONTIGUOUS))
		nvme_fake_violation(fake, "a queue that cannot be created");
	if (sqe->opcode == NVME_ADMIN_CREATE_CQ) {
		*queue = (struct fake_queue){
			.cq = sqe->data[0], .cq_entries = entries, .phase = CQE_PHASE};
		return;
	}
	if (!queue->cq || sqe->dword11 >> 16 != 1)
		nvme_fake_violation(fake, "a submission queue without its completion queue");
	queue->sq = sqe->data[0];
	queue->sq_entries = entries;
}

static void admin_command(struct nvme_fake *fake, const struct nvme_sqe *sqe)
{
	uint32_t result = 0;

	if (fake->ignores_admin)
		return;
	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		identify(fake, sqe);
		break;
	case NVME_ADMIN_GET_LOG:
		read_log(fake, sqe);
		break;
	case NVME_ADMIN_ABORT:
		result = abort_command(fake, sqe);
		break;
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		create_queue(fake, sqe);
		break;
	case NVME_ADMIN_DELETE_SQ:
		fake->queues[1].sq = 0;
		break;
	case NVME_ADMIN_DELETE_CQ:
		if (fake->queues[1].sq)
			nvme_fake_violation(fake, "a completion queue is deleted first");
		fake->queues[1].cq = 0;
		break;
	case NVME_ADMIN_SET_FEATURES:
		fake->knows_queue_count |= sqe->dword10 == NVME_FEATURE_QUEUES;
		break;
	case NVME_ADMIN_ASYNC_EVENT:
		if (fake->event_count == FAKE_EVENTS_MAX / 2)
			nvme_fake_violation(fake, "too many event requests");
		else
			fake->events[fake->event_count++] = sqe->id;
		return;
	default:
		nvme_fake_violation(fake, "admin opcode %u", sqe->opcode);
	}
	post(fake, 0, sqe->id, 0, result);
}

void nvme_fake_event(struct nvme_fake *fake, uint32_t result)
{
	if (fake->event_count > 0)
		post(fake, 0, fake->events[--fake->event_count], 0, result);
}

/* ---- States ---- */

static void enable(struct nvme_fake *fake)
{
	uint32_t sizes = get32(fake, NVME_REG_AQA);

	fake->is_enabled = true;
	fake->enabled++;
	fake->queues[0] = (struct fake_queue){.sq = get64(fake, NVME_REG_ASQ),
					      .cq = get64(fake, NVME_REG_ACQ),
					      .sq_entries = (sizes & 0xfff) + 1,
					      .cq_entries = (sizes >> 16 & 0xfff) + 1,
					      .phase = CQE_PHASE};
	fake->queues[1] = (struct fake_queue){0};
	fake->knows_queue_count = false;
	set32(fake, NVME_REG_CSTS, NVME_CSTS_RDY);
}

static void disable(struct nvme_fake *fake)
{
	fake->is_enabled = false;
	fake->held_count = 0;
	fake->event_count = 0;
	memset(fake->queues, 0, sizeof(fake->queues));
	memset(fake->registers + NVME_REG_DOORBELLS, 0, doorbell_of(fake, 2) - NVME_REG_DOORBELLS);
	set32(fake, NVME_REG_CSTS, 0);
}

static void serve_queue(struct nvme_fake *fake, unsigned int number)
{
	struct fake_queue *queue = &fake->queues[number];
	uint32_t tail = get32(fake, doorbell_of(fake, number));

	if (!queue->sq)
		return;
	if (tail >= queue->sq_entries) {
		nvme_fake_violation(fake, "doorbell %u of queue %u", tail, number);
		return;
	}
	while (queue->sq && queue->sq_head != tail) {
		const struct nvme_sqe *sqe = nvme_fake_memory(
			fake, queue->sq + queue->sq_head * sizeof(*sqe), sizeof(*sqe));

		if (++queue->sq_head == queue->sq_entries)
			queue->sq_head = 0;
		if (!sqe)
			return;
		if (number == 0)
			admin_command(fake, sqe);
		else
			io_command(fake, sqe);
	}
}

/* NVM Express 1.4, 7.6.2: I/O queues go before; who does not hear that they should cannot know. */
static void shut_down(struct nvme_fake *fake)
{
	if (!fake->shut_down && !fake->ignores_admin && (fake->queues[1].sq || fake->queues[1].cq))
		nvme_fake_violation(fake, "a shutdown before the queues are deleted");
	fake->shut_down = true;
	set32(fake, NVME_REG_CSTS, NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
}

void nvme_fake_step(struct nvme_fake *fake)
{
	uint32_t configuration = get32(fake, NVME_REG_CC);

	if (fake->gone) {
		memset(fake->registers, fake->gone_as_zeroes ? 0 : 0xff, sizeof(fake->registers));
		return;
	}
	if ((configuration & NVME_CC_EN) && !fake->is_enabled && !fake->never_ready)
		enable(fake);
	if (!(configuration & NVME_CC_EN) && fake->is_enabled && !fake->never_stops)
		disable(fake);
	if (!fake->is_enabled || fake->cut_off)
		return;
	if ((configuration & NVME_CC_SHN_MASK) == NVME_CC_SHN_NORMAL && !fake->never_shuts_down)
		shut_down(fake);
	if (fake->fatal)
		set32(fake, NVME_REG_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	serve_queue(fake, 0);
	serve_queue(fake, 1);
}

/* ---- The bus ---- */

static void add_mapping(struct nvme_fake *fake, unsigned char *start, size_t bytes, uint64_t iova,
			uint64_t address)
{
	if (fake->mapping_count == FAKE_MAPPINGS_MAX) {
		nvme_fake_violation(fake, "too many mappings");
		return;
	}
	fake->mappings[fake->mapping_count].iova = iova;
	fake->mappings[fake->mapping_count].address = address;
	fake->mappings[fake->mapping_count].start = start;
	fake->mappings[fake->mapping_count++].bytes = bytes;
}

/* What is side by side for us is not for the controller, and never in our order. */
static void add_chunks(struct nvme_fake *fake, unsigned char *start, size_t bytes, uint64_t iova)
{
	if (bytes % NVME_CHUNK_BYTES != 0 || iova % NVME_CHUNK_BYTES != 0)
		nvme_fake_violation(fake, "a mapping that is not of chunks");
	for (size_t offset = 0; offset < bytes; offset += NVME_CHUNK_BYTES) {
		fake->next_address -= 2 * NVME_CHUNK_BYTES;
		fake->chunks[(iova + offset) >> NVME_CHUNK_SHIFT] = fake->next_address;
		add_mapping(fake, start + offset, NVME_CHUNK_BYTES, iova + offset,
			    fake->next_address);
	}
}

static int fake_map(struct nvme_bus *bus, void *start, size_t bytes, uint64_t iova)
{
	struct nvme_fake *fake = fake_of(bus);

	if (fake->map_error)
		return fake->map_error;
	if (iova % PAGE_BYTES != 0 || (uintptr_t)start % PAGE_BYTES != 0)
		nvme_fake_violation(fake, "a mapping that is not of pages");
	if (bus->chunks)
		add_chunks(fake, start, bytes, iova);
	else
		add_mapping(fake, start, bytes, iova, iova);
	return 0;
}

static void fake_unmap(struct nvme_bus *bus, size_t bytes, uint64_t iova)
{
	struct nvme_fake *fake = fake_of(bus);
	size_t unmapped = 0;

	for (uint32_t i = fake->mapping_count; i-- > 0;) {
		if (fake->mappings[i].iova - iova >= bytes)
			continue;
		unmapped += fake->mappings[i].bytes;
		fake->mappings[i] = fake->mappings[--fake->mapping_count];
	}
	if (unmapped != bytes)
		nvme_fake_violation(fake, "what is unmapped was not mapped");
}

static void fake_wait(struct nvme_bus *bus, uint64_t ns)
{
	fake_of(bus)->waited_ns += ns;
	nvme_fake_step(fake_of(bus));
}

static void fake_cut_off(struct nvme_bus *bus)
{
	fake_of(bus)->cut_off = true;
}

static void fake_forget(struct nvme_bus *bus)
{
	fake_of(bus)->forgotten = true;
}

static void fake_close(struct nvme_bus *bus)
{
	struct nvme_fake *fake = fake_of(bus);

	if (fake->mapping_count > 0)
		nvme_fake_violation(fake, "%u mappings are left", fake->mapping_count);
	fake->closed = true;
}

static const struct nvme_bus_ops fake_ops = {
	.map = fake_map,
	.unmap = fake_unmap,
	.wait = fake_wait,
	.cut_off = fake_cut_off,
	.forget = fake_forget,
	.close = fake_close,
};

struct nvme_fake *nvme_fake_create(void)
{
	struct nvme_fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	fake->block_shift = 9;
	fake->volatile_cache = true;
	fake->abort_works = true;
	fake->disk = calloc(FAKE_BLOCKS, 4096);
	if (!fake->disk)
		abort();
	fake->bus = (struct nvme_bus){.ops = &fake_ops,
				      .registers = fake->registers,
				      .registers_bytes = sizeof(fake->registers),
				      .queues_iova = 2u << 20,
				      .heap_iova = FAKE_HEAP_IOVA,
				      .heap_iova_bytes = 1ull << 38};
	set32(fake, NVME_REG_CAP, CAP_MQES_LESS_ONE | 1u << 16 | CAP_TO_UNITS << 24);
	set32(fake, NVME_REG_CAP + 4, 1u << 5);
	set32(fake, NVME_REG_VS, 0x10400);
	return fake;
}

void nvme_fake_without_iommu(struct nvme_fake *fake)
{
	fake->bus.chunks = fake->chunks;
	fake->next_address = 1ull << 40;
}

void nvme_fake_destroy(struct nvme_fake *fake)
{
	free(fake->disk);
	free(fake);
}
