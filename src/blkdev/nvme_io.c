/* SPDX-License-Identifier: MIT */
/* The path of a request: from submit into commands, and from completions to done. */
#include <errno.h>

#include "base/log.h"
#include "blkdev/nvme_device.h"

/* Of one command, whose status says that another time it may succeed. */
#define RETRIES_MAX 3u
#define RETRY_DELAY_NS 1000000ull /* before the first; sixteen times as long before each other */

/* ---- Sending ---- */

void nvme_slots_start(struct nvme *nvme)
{
	nvme->free_slot = 0;
	for (uint32_t i = 0; i < nvme->device.caps.depth; i++) {
		nvme->slots[i].state = SLOT_FREE;
		nvme->slots[i].next_free = (uint16_t)(i + 1);
	}
	nvme->slots[nvme->device.caps.depth - 1].next_free = NVME_NO_SLOT;
}

static uint16_t slot_number(const struct nvme *nvme, const struct nvme_slot *slot)
{
	return (uint16_t)(slot - nvme->slots);
}

static void slot_free(struct nvme *nvme, struct nvme_slot *slot)
{
	slot->state = SLOT_FREE;
	slot->next_free = nvme->free_slot;
	nvme->free_slot = slot_number(nvme, slot);
}

/* Returns the bytes that the command moves. */
static uint32_t slot_send(struct nvme *nvme, struct nvme_slot *slot, uint64_t now_ns)
{
	uint16_t number = slot_number(nvme, slot);
	struct nvme_sqe *sqe = nvme_queue_next(&nvme->queue);
	uint32_t bytes = nvme_command_build(&nvme->format, slot->request, &slot->position, sqe,
					    nvme->memory->lists[number],
					    NVME_ADDRESS(nvme, lists[number]));

	sqe->id = number;
	slot->state = SLOT_SENT;
	slot->due_ns = now_ns + nvme->timeout_ns;
	nvme_queue_send(&nvme->queue);
	nvme->device.counters.commands++;
	return bytes;
}

void nvme_send_again(struct nvme *nvme, struct nvme_slot *slot, uint64_t now_ns)
{
	slot_send(nvme, slot, now_ns);
}

/* Make as much of a request into commands as there are slots for. */
static void request_send(struct nvme *nvme, struct blk_request *request, uint64_t now_ns)
{
	struct nvme_progress *progress = nvme_progress(request);

	while (!progress->sent && nvme->free_slot != NVME_NO_SLOT) {
		struct nvme_slot *slot = &nvme->slots[nvme->free_slot];
		uint32_t bytes;

		nvme->free_slot = slot->next_free;
		slot->request = request;
		slot->position = progress->position;
		slot->retries = 0;
		progress->commands++;
		bytes = slot_send(nvme, slot, now_ns);
		if (likely(bytes == (uint64_t)request->block_count << nvme->format.block_shift) ||
		    bytes == 0) {
			progress->sent = true;
			break;
		}
		nvme_position_advance(&nvme->format, request, &progress->position, bytes);
		progress->sent = progress->position.block == request->block_count;
	}
}

static void backlog_append(struct nvme *nvme, struct blk_request *request)
{
	if (nvme->backlog_first)
		nvme_progress(nvme->backlog_last)->next = request;
	else
		nvme->backlog_first = request;
	nvme->backlog_last = request;
}

int nvme_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns)
{
	struct nvme *nvme = nvme_of(device);
	struct nvme_progress *progress = nvme_progress(request);

	if (unlikely(device->failure || nvme->closing))
		return -ENODEV;
	if (unlikely(device->under_way == device->caps.depth))
		return -EAGAIN;
	*progress = (struct nvme_progress){0};
	device->under_way++;
	blkdev_count(device, request);
	if (likely(nvme->state == NVME_RUNNING && !nvme->backlog_first))
		request_send(nvme, request, now_ns);
	if (unlikely(!progress->sent))
		backlog_append(nvme, request);
	if (!nvme->polling)
		nvme_queue_ring(&nvme->queue);
	return 0;
}

/* ---- Ending ---- */

static void request_end(struct nvme *nvme, struct blk_request *request, int error)
{
	nvme->device.under_way--;
	if (unlikely(error))
		nvme->device.counters.errors++;
	request->done(request, error);
}

/* A command has let go of its slot. Return: whether that was the end of its request, too. */
static bool command_end(struct nvme *nvme, struct blk_request *request, int error)
{
	struct nvme_progress *progress = nvme_progress(request);

	if (unlikely(error) && !progress->error)
		progress->error = error;
	/* One that is not sent to its end is the first of the backlog, and ends there. */
	if (--progress->commands > 0 || unlikely(!progress->sent))
		return false;
	request_end(nvme, request, progress->error);
	return true;
}

/* Requests of the backlog, as far as there are slots; what has an error is not sent any further. */
static unsigned int backlog_send(struct nvme *nvme, uint64_t now_ns)
{
	unsigned int done = 0;

	while (nvme->backlog_first) {
		struct blk_request *request = nvme->backlog_first;
		struct nvme_progress *progress = nvme_progress(request);

		if (!progress->error && nvme->state == NVME_RUNNING)
			request_send(nvme, request, now_ns);
		if (!progress->error && !progress->sent)
			break;
		progress->sent = true;
		nvme->backlog_first = progress->next;
		if (progress->commands == 0) {
			request_end(nvme, request, progress->error);
			done++;
		}
	}
	return done;
}

unsigned int nvme_end_backlog(struct nvme *nvme, int error)
{
	for (struct blk_request *request = nvme->backlog_first; request;
	     request = nvme_progress(request)->next) {
		if (!nvme_progress(request)->error)
			nvme_progress(request)->error = error;
	}
	return backlog_send(nvme, 0);
}

unsigned int nvme_end_commands(struct nvme *nvme, int error)
{
	unsigned int done = 0;

	for (uint32_t i = 0; i < nvme->device.caps.depth; i++) {
		struct nvme_slot *slot = &nvme->slots[i];

		if (slot->state == SLOT_FREE)
			continue;
		slot_free(nvme, slot);
		done += command_end(nvme, slot->request, error);
	}
	return done;
}

static const char *operation_text(const struct blk_request *request)
{
	static const char *const texts[] = {[BLK_READ] = "a read",
					    [BLK_WRITE] = "a write",
					    [BLK_FLUSH] = "a flush",
					    [BLK_TRIM] = "a trim"};

	return texts[request->operation];
}

static void complain(struct nvme *nvme, const struct nvme_slot *slot, uint16_t status,
		     uint64_t now_ns)
{
	const struct blk_request *request = slot->request;

	if (!nvme_may_complain(nvme, now_ns))
		return;
	log_warning("%s: %s at block %llu has failed: %s (status %#x)", nvme->device.name,
		    operation_text(request),
		    (unsigned long long)(request->block + slot->position.block),
		    nvme_status_text(status), NVME_STATUS_OF(status));
}

/* A command that has ended with an error. Return: whether it will be sent again. */
static bool command_retry(struct nvme *nvme, struct nvme_slot *slot, uint16_t status,
			  uint64_t now_ns)
{
	if (!nvme_status_may_retry(status) || slot->retries == RETRIES_MAX ||
	    slot->state == SLOT_ABORTED) {
		complain(nvme, slot, status, now_ns);
		return false;
	}
	slot->state = SLOT_DELAYED;
	slot->due_ns = now_ns + (RETRY_DELAY_NS << 4 * slot->retries++);
	if (slot->due_ns < nvme->tend_ns)
		nvme->tend_ns = slot->due_ns;
	return true;
}

static bool completion_is_known(const struct nvme *nvme, uint16_t id)
{
	return id < nvme->device.caps.depth &&
	       (nvme->slots[id].state == SLOT_SENT || nvme->slots[id].state == SLOT_ABORTED);
}

static bool completion_take(struct nvme *nvme, const struct nvme_cqe *cqe, uint64_t now_ns)
{
	struct nvme_slot *slot;
	int error = 0;

	if (unlikely(!completion_is_known(nvme, cqe->id))) {
		log_error("%s: the controller has ended command %u, which it does not have: it "
			  "does not work as it should",
			  nvme->device.name, cqe->id);
		return false;
	}
	slot = &nvme->slots[cqe->id];
	if (unlikely(NVME_STATUS_OF(cqe->status) != NVME_SUCCESS)) {
		if (command_retry(nvme, slot, cqe->status, now_ns))
			return false;
		error = nvme_status_error(cqe->status);
	}
	slot_free(nvme, slot);
	return command_end(nvme, slot->request, error);
}

/* At most one round of the queue, since done may submit what ends at once. */
static unsigned int completions_take(struct nvme *nvme, uint64_t now_ns)
{
	unsigned int done = 0;
	struct nvme_cqe cqe;

	for (uint32_t i = 0; i < nvme->queue.entries && nvme_queue_take(&nvme->queue, &cqe); i++)
		done += completion_take(nvme, &cqe, now_ns);
	nvme_queue_give_back(&nvme->queue);
	return done;
}

unsigned int nvme_poll(struct blkdev *device, uint64_t now_ns)
{
	struct nvme *nvme = nvme_of(device);
	unsigned int done = 0;

	nvme->polling = true;
	nvme->now_ns = now_ns;
	if (likely(nvme->state == NVME_RUNNING))
		done = completions_take(nvme, now_ns);
	if (unlikely(now_ns >= nvme->tend_ns))
		done += nvme_tend(nvme, now_ns);
	if (unlikely(nvme->backlog_first != NULL))
		done += backlog_send(nvme, now_ns);
	nvme->polling = false;
	if (likely(nvme->state == NVME_RUNNING))
		nvme_queue_ring(&nvme->queue);
	return done;
}
