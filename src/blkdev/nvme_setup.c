/* SPDX-License-Identifier: MIT */
/*
 * The commands by which a controller that is ready becomes a block device, in the order of the NVM
 * Express Base Specification 1.4, 7.6.1. After a reset they are the same, and what the device was
 * must not have changed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "blkdev/nvme_device.h"

#define BLOCK_SHIFT_MIN 9u
#define BLOCK_SHIFT_MAX 12u

/* Of one request. It is divided into as many commands as it needs. */
#define REQUEST_BYTES_MAX (1u << 20)
_Static_assert(REQUEST_BYTES_MAX <= NVME_CHUNK_BYTES, "lists of pieces have room");

/* When a controller does not say how long it takes: 7.6.2 asks to wait for a second at least. */
#define SHUTDOWN_US_MIN 5000000u

/* ---- The controller ---- */

static struct nvme_sqe identify(struct nvme *nvme, uint32_t what, uint32_t namespace)
{
	memset(&nvme->memory->answer, 0, sizeof(nvme->memory->answer));
	return (struct nvme_sqe){.opcode = NVME_ADMIN_IDENTIFY,
				 .namespace = namespace,
				 .data = {NVME_ADDRESS(nvme, answer)},
				 .dword10 = what};
}

static struct nvme_sqe identify_controller(struct nvme *nvme)
{
	return identify(nvme, NVME_CNS_CONTROLLER, 0);
}

/* Without the spaces behind it. @to: [size + 1] */
static void copy_text(char *to, const char *from, size_t size)
{
	while (size > 0 && (from[size - 1] == ' ' || from[size - 1] == '\0'))
		size--;
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
	to[size] = '\0';
	for (char *byte = to; *byte; byte++) {
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	}
}

/* 5.15.2.2, MDTS. */
static uint32_t command_bytes_max(const struct nvme *nvme, uint8_t mdts)
{
	uint32_t list_bytes_max = NVME_LIST_PRPS * nvme->format.page_bytes;
	uint32_t bytes_max = list_bytes_max < REQUEST_BYTES_MAX ? list_bytes_max
								: REQUEST_BYTES_MAX;

	if (mdts > 0 && mdts < 16 && (uint64_t)nvme->format.page_bytes << mdts < bytes_max)
		bytes_max = nvme->format.page_bytes << mdts;
	return bytes_max;
}

static int take_controller(struct nvme *nvme)
{
	const struct nvme_identify_controller *said = &nvme->memory->answer.controller;
	struct blkdev_caps *caps = &nvme->device.caps;

	copy_text(nvme->identity.serial, said->serial, sizeof(said->serial));
	copy_text(nvme->identity.model, said->model, sizeof(said->model));
	copy_text(nvme->identity.firmware, said->firmware, sizeof(said->firmware));
	if ((said->sqes & 0xf) > 6 || said->sqes >> 4 < 6 || (said->cqes & 0xf) > 4 ||
	    said->cqes >> 4 < 4) {
		log_error("%s: the controller does not take queue entries of 64 and 16 bytes, "
			  "which every one must",
			  nvme->device.name);
		return -ENOTSUP;
	}
	if (nvme->settings.namespace == 0 || nvme->settings.namespace > said->namespaces) {
		log_error("%s: there is no namespace %u: the controller has numbers up to %u; give "
			  "one with namespace=",
			  nvme->device.name, nvme->settings.namespace, said->namespaces);
		return -ENOENT;
	}
	nvme->format.bytes_max = command_bytes_max(nvme, said->mdts);
	nvme->format.volatile_cache = (said->vwc & NVME_VWC_PRESENT) != 0;
	nvme->format.sgl = NVME_SGLS_SUPPORT(said->sgls) != 0;
	nvme->event_limit = said->async_event_limit + 1u;
	nvme->shutdown_us = said->rtd3_entry_us > SHUTDOWN_US_MIN ? said->rtd3_entry_us
								  : SHUTDOWN_US_MIN;
	caps->volatile_cache = nvme->format.volatile_cache;
	caps->trim = (said->oncs & NVME_ONCS_DSM) != 0;
	return 0;
}

/* ---- The namespace ---- */

static struct nvme_sqe identify_namespace(struct nvme *nvme)
{
	return identify(nvme, NVME_CNS_NAMESPACE, nvme->settings.namespace);
}

static int check_format(const struct nvme *nvme, const struct nvme_identify_namespace *said)
{
	const struct nvme_lba_format *format = &said->lba_formats[said->format & 0xf];
	const char *name = nvme->device.name;

	if (said->blocks == 0) {
		log_error(
			"%s: namespace %u is not active: create or attach it, or give another one "
			"with namespace=",
			name, nvme->settings.namespace);
		return -ENOENT;
	}
	if (format->block_shift != BLOCK_SHIFT_MIN && format->block_shift != BLOCK_SHIFT_MAX) {
		log_error("%s: namespace %u has blocks of 2^%u bytes, and we serve 512 and 4096: "
			  "format it (nvme format --block-size=4096), which erases it",
			  name, nvme->settings.namespace, format->block_shift);
		return -ENOTSUP;
	}
	if (format->metadata_bytes != 0 || (said->protection & 7) != 0) {
		log_error(
			"%s: namespace %u has %u bytes of metadata for each block%s, and we serve "
			"none: format it (nvme format --pi=0 with an --lbaf that has ms:0), which "
			"erases it",
			name, nvme->settings.namespace, format->metadata_bytes,
			said->protection & 7 ? ", with end-to-end protection" : "");
		return -ENOTSUP;
	}
	return 0;
}

static int take_namespace(struct nvme *nvme)
{
	const struct nvme_identify_namespace *said = &nvme->memory->answer.namespace;
	struct blkdev_caps *caps = &nvme->device.caps;
	int error = check_format(nvme, said);
	uint32_t block_bytes;

	if (error)
		return error;
	block_bytes = 1u << said->lba_formats[said->format & 0xf].block_shift;
	if (caps->block_bytes != 0 &&
	    (caps->block_bytes != block_bytes || caps->block_count != said->blocks)) {
		log_error("%s: namespace %u is another one since the controller was reset",
			  nvme->device.name, nvme->settings.namespace);
		return -ENODEV;
	}
	caps->block_bytes = block_bytes;
	caps->block_count = said->blocks;
	caps->bytes_max = REQUEST_BYTES_MAX;
	caps->memory_alignment = 4;
	caps->polls_memory = true;
	caps->read_only |= (said->attributes & NVME_NAMESPACE_PROTECTED) != 0;
	nvme->format.namespace = nvme->settings.namespace;
	nvme->format.block_shift = said->lba_formats[said->format & 0xf].block_shift;
	return 0;
}

/* ---- Queues ---- */

/* 5.21.1.7: one of each kind, less one. */
static struct nvme_sqe set_queue_count(struct nvme *nvme)
{
	(void)nvme;
	return (struct nvme_sqe){.opcode = NVME_ADMIN_SET_FEATURES, .dword10 = NVME_FEATURE_QUEUES};
}

/* 5.3. No interrupts. */
static struct nvme_sqe create_cq(struct nvme *nvme)
{
	nvme_queue_reset(&nvme->queue);
	return (struct nvme_sqe){.opcode = NVME_ADMIN_CREATE_CQ,
				 .data = {NVME_ADDRESS(nvme, cqes)},
				 .dword10 = (nvme->queue.entries - 1) << 16 | NVME_IO_QUEUE,
				 .dword11 = NVME_QUEUE_CONTIGUOUS};
}

/* 5.4 */
static struct nvme_sqe create_sq(struct nvme *nvme)
{
	return (struct nvme_sqe){.opcode = NVME_ADMIN_CREATE_SQ,
				 .data = {NVME_ADDRESS(nvme, sqes)},
				 .dword10 = (nvme->queue.entries - 1) << 16 | NVME_IO_QUEUE,
				 .dword11 = NVME_IO_QUEUE << 16 | NVME_QUEUE_CONTIGUOUS};
}

/* ---- Events and health ---- */

/* 5.21.1.11 */
static struct nvme_sqe ask_for_warnings(struct nvme *nvme)
{
	(void)nvme;
	return (struct nvme_sqe){.opcode = NVME_ADMIN_SET_FEATURES,
				 .dword10 = NVME_FEATURE_ASYNC_EVENTS,
				 .dword11 = NVME_ASYNC_SMART_WARNINGS};
}

static struct nvme_sqe read_health(struct nvme *nvme)
{
	return nvme_admin_log_smart(NVME_ADDRESS(nvme, answer));
}

static int take_health(struct nvme *nvme)
{
	uint8_t warning = nvme->memory->answer.smart.critical_warning;

	nvme_say_warnings(nvme, warning);
	nvme->device.caps.read_only |= (warning & NVME_WARNING_READ_ONLY) != 0;
	return 0;
}

/* ---- One after another ---- */

static const struct stage {
	const char *what; /* "cannot ..." */
	struct nvme_sqe (*command)(struct nvme *nvme);
	int (*take)(struct nvme *nvme); /* NULL: success is enough */
	bool optional;
} stages[] = {
	{"tell what it is", identify_controller, take_controller, false},
	{"tell what its namespace is", identify_namespace, take_namespace, false},
	{"provide queues", set_queue_count, NULL, false},
	{"create a completion queue", create_cq, NULL, false},
	{"create a submission queue", create_sq, NULL, false},
	{"report warnings", ask_for_warnings, NULL, true},
	{"tell its health", read_health, take_health, true},
};

#define STAGES (sizeof(stages) / sizeof(stages[0]))

static void send_stage(struct nvme *nvme, unsigned int stage)
{
	struct nvme_sqe sqe = stages[stage].command(nvme);

	nvme->stage = stage;
	nvme_admin_step(nvme, &sqe);
}

void nvme_setup_start(struct nvme *nvme)
{
	send_stage(nvme, 0);
}

/* What the command under way has brought. */
static int end_stage(struct nvme *nvme, const struct stage *stage)
{
	uint16_t status = nvme->step_cqe.status;

	if (NVME_STATUS_OF(status) == NVME_SUCCESS)
		return stage->take ? stage->take(nvme) : 0;
	if (stage->optional) {
		log_info("%s: the controller cannot %s: %s", nvme->device.name, stage->what,
			 nvme_status_text(status));
		return 0;
	}
	log_error("%s: the controller cannot %s: %s (status %#x)", nvme->device.name, stage->what,
		  nvme_status_text(status), NVME_STATUS_OF(status));
	return NVME_STATUS_OF(status) == NVME_INVALID_NAMESPACE ? -ENOENT : -EIO;
}

int nvme_setup_step(struct nvme *nvme)
{
	int error;

	if (!nvme->step_done)
		return 0;
	error = end_stage(nvme, &stages[nvme->stage]);
	if (error)
		return error;
	if (nvme->stage + 1 == STAGES)
		return 1;
	send_stage(nvme, nvme->stage + 1);
	return 0;
}
