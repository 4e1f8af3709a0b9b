/* SPDX-License-Identifier: MIT */
/* The admin queue: the commands of a start and of reports, aborts, and asynchronous events. */
#include <errno.h>

#include "base/log.h"
#include "blkdev/nvme_device.h"

#define STEP_NS 100000ull /* between two looks */

void nvme_admin_start(struct nvme *nvme)
{
	nvme_queue_reset(&nvme->admin);
	nvme->step_done = true;
	nvme->aborting = NVME_NO_SLOT;
	nvme->reading_event_log = false;
}

void nvme_admin_send(struct nvme *nvme, const struct nvme_sqe *sqe, enum nvme_admin_id id)
{
	struct nvme_sqe *entry = nvme_queue_next(&nvme->admin);

	*entry = *sqe;
	entry->id = (uint16_t)id;
	nvme_queue_send(&nvme->admin);
	nvme_queue_ring(&nvme->admin);
}

void nvme_admin_step(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	nvme->step_done = false;
	nvme_admin_send(nvme, sqe, ADMIN_STEP);
}

struct nvme_sqe nvme_admin_log_smart(uint64_t address)
{
	/* 5.14: dword 10 has the number of dwords less one in its upper half. */
	return (struct nvme_sqe){.opcode = NVME_ADMIN_GET_LOG,
				 .namespace = NVME_NAMESPACE_ALL,
				 .data = {address},
				 .dword10 = (NVME_LOG_SMART_BYTES / 4 - 1) << 16 | NVME_LOG_SMART};
}

/* ---- Events ---- */

static void post_event_request(struct nvme *nvme, uint16_t id)
{
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_ASYNC_EVENT};

	nvme_admin_send(nvme, &sqe, id);
}

void nvme_admin_post_events(struct nvme *nvme)
{
	for (uint16_t i = 0; i < NVME_EVENT_REQUESTS && i < nvme->event_limit; i++)
		post_event_request(nvme, ADMIN_EVENT + i);
}

void nvme_say_warnings(struct nvme *nvme, uint8_t critical_warning)
{
	static const struct {
		uint8_t bit;
		const char *text;
	} warnings[] = {
		{NVME_WARNING_SPARE, "it has hardly any spare blocks left: replace it soon"},
		{NVME_WARNING_TEMPERATURE, "it is too hot or too cold: see to its cooling"},
		{NVME_WARNING_RELIABILITY, "its medium is not reliable any more: replace it now"},
		{NVME_WARNING_READ_ONLY, "it lets itself be read only: save what is on it"},
		{NVME_WARNING_BACKUP, "what keeps its cache when power is lost has failed"},
	};

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		if (critical_warning & ~nvme->warned & warnings[i].bit)
			log_warning("%s: the drive warns: %s", nvme->device.name, warnings[i].text);
	}
	nvme->warned = critical_warning;
}

static void say_event(const struct nvme *nvme, uint32_t result)
{
	static const char *const notices[] = {"a namespace has changed: what is there now is seen "
					      "when the device is opened again",
					      "it activates other firmware, and stands still "
					      "meanwhile"};
	uint32_t info = NVME_EVENT_INFO(result);

	switch (NVME_EVENT_TYPE(result)) {
	case NVME_EVENT_SMART:
		break; /* its log says what it is */
	case NVME_EVENT_ERROR:
		log_error("%s: the controller reports an error of its own or of ours, number %u",
			  nvme->device.name, info);
		break;
	case NVME_EVENT_NOTICE:
		if (info < sizeof(notices) / sizeof(notices[0])) {
			log_warning("%s: the controller says that %s", nvme->device.name,
				    notices[info]);
			break;
		}
		__attribute__((fallthrough));
	default:
		log_info("%s: event %#x", nvme->device.name, result);
	}
}

/* Events of one type come again only when their log has been read: 5.2. */
static void event_ended(struct nvme *nvme, const struct nvme_cqe *cqe)
{
	if (NVME_STATUS_OF(cqe->status) != NVME_SUCCESS)
		return; /* it takes fewer of them */
	say_event(nvme, cqe->result);
	if (NVME_EVENT_TYPE(cqe->result) == NVME_EVENT_SMART && !nvme->reading_event_log) {
		struct nvme_sqe sqe = nvme_admin_log_smart(NVME_ADDRESS(nvme, event_log));

		nvme->reading_event_log = true;
		nvme_admin_send(nvme, &sqe, ADMIN_EVENT_LOG);
	}
	post_event_request(nvme, cqe->id);
}

static void event_log_ended(struct nvme *nvme, const struct nvme_cqe *cqe)
{
	nvme->reading_event_log = false;
	if (NVME_STATUS_OF(cqe->status) == NVME_SUCCESS)
		nvme_say_warnings(nvme, nvme->memory->event_log.critical_warning);
}

/* ---- What has ended ---- */

void nvme_admin_poll(struct nvme *nvme)
{
	struct nvme_cqe cqe;

	for (uint32_t i = 0; i < NVME_ADMIN_ENTRIES && nvme_queue_take(&nvme->admin, &cqe); i++) {
		switch (cqe.id) {
		case ADMIN_STEP:
			nvme->step_cqe = cqe;
			nvme->step_done = true;
			break;
		case ADMIN_ABORT:
			nvme->aborting = NVME_NO_SLOT;
			break;
		case ADMIN_EVENT_LOG:
			event_log_ended(nvme, &cqe);
			break;
		default:
			if (cqe.id < ADMIN_EVENT + NVME_EVENT_REQUESTS)
				event_ended(nvme, &cqe);
		}
	}
	nvme_queue_give_back(&nvme->admin);
}

int nvme_admin_run(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	if (nvme->device.failure)
		return nvme->device.failure;
	if (nvme->state != NVME_RUNNING || !nvme->step_done)
		return -EAGAIN;
	nvme_admin_step(nvme, sqe);
	for (uint64_t waited_ns = 0; waited_ns < nvme->timeout_ns; waited_ns += STEP_NS) {
		nvme_admin_poll(nvme);
		if (nvme->step_done)
			return nvme_status_error(nvme->step_cqe.status);
		nvme->bus->ops->wait(nvme->bus, STEP_NS);
	}
	return -ETIMEDOUT;
}
