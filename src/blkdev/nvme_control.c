/* SPDX-License-Identifier: MIT */
/*
 * The controller's states, and what takes too long. A command that does not end in time is aborted
 * (5.1); when that does not help, the controller is reset (7.3.2), and when it does not come back, the
 * device has failed. Sections are those of the NVM Express Base Specification 1.4.
 */
#include <errno.h>

#include "base/log.h"
#include "blkdev/nvme_device.h"

/* Between two looks at a controller that works: a register of it takes about a microsecond. */
#define TEND_PERIOD_NS 10000000ull

/* From an abort to the reset, at most. */
#define ABORT_NS 5000000000ull

#define STEP_NS 100000ull

/* ---- States ---- */

void nvme_reset(struct nvme *nvme, uint64_t now_ns)
{
	nvme_write32(nvme, NVME_REG_CC, 0);
	nvme->queue.sq_rung = nvme->queue.sq_tail;
	nvme->state = NVME_DISABLING;
	nvme->deadline_ns = now_ns + nvme->transition_ns;
	nvme->tend_ns = now_ns;
}

void nvme_fail(struct nvme *nvme, int error, const char *why)
{
	if (why)
		log_error("%s: %s; the device is not used any more", nvme->device.name, why);
	nvme->bus->ops->cut_off(nvme->bus);
	nvme->state = NVME_FAILED;
	nvme->error = error;
	nvme->tend_ns = UINT64_MAX;
	nvme->device.failure = -ENODEV;
}

/* 7.6.1, once CSTS.RDY is 0: from now on the controller reaches none of the requests' memory. */
static unsigned int enable(struct nvme *nvme, uint64_t now_ns)
{
	unsigned int done = nvme_end_commands(nvme, -ETIMEDOUT);
	uint32_t mps = NVME_CAP_MPSMIN(nvme->capabilities);

	nvme_admin_start(nvme);
	nvme_write32(nvme, NVME_REG_AQA, (NVME_ADMIN_ENTRIES - 1) << 16 | (NVME_ADMIN_ENTRIES - 1));
	nvme_write64(nvme, NVME_REG_ASQ, NVME_ADDRESS(nvme, admin_sqes));
	nvme_write64(nvme, NVME_REG_ACQ, NVME_ADDRESS(nvme, admin_cqes));
	nvme_write32(nvme, NVME_REG_CC,
		     NVME_CC_IOCQES | NVME_CC_IOSQES | NVME_CC_MPS(mps) | NVME_CC_EN);
	nvme->state = NVME_ENABLING;
	nvme->deadline_ns = now_ns + nvme->transition_ns;
	return done;
}

static void configure(struct nvme *nvme, uint64_t now_ns)
{
	nvme->state = NVME_CONFIGURING;
	nvme->deadline_ns = now_ns + nvme->timeout_ns;
	nvme_setup_start(nvme);
}

static void configure_step(struct nvme *nvme, uint64_t now_ns)
{
	unsigned int stage = nvme->stage;
	int result;

	nvme_admin_poll(nvme);
	result = nvme_setup_step(nvme);
	if (result < 0) {
		nvme_fail(nvme, result, NULL);
	} else if (result > 0) {
		nvme->state = NVME_RUNNING;
		nvme_admin_post_events(nvme);
	} else if (nvme->stage != stage) {
		nvme->deadline_ns = now_ns + nvme->timeout_ns;
	}
}

/* One that changes its state. */
static unsigned int advance(struct nvme *nvme, uint32_t status, uint64_t now_ns)
{
	bool ready = (status & NVME_CSTS_RDY) != 0;

	switch (nvme->state) {
	case NVME_DISABLING:
		if (!ready)
			return enable(nvme, now_ns);
		break;
	case NVME_ENABLING:
		if (ready)
			configure(nvme, now_ns);
		break;
	default:
		configure_step(nvme, now_ns);
	}
	return 0;
}

static void check_deadline(struct nvme *nvme, uint64_t now_ns)
{
	if (nvme->state == NVME_RUNNING || nvme->state == NVME_FAILED || now_ns < nvme->deadline_ns)
		return;
	nvme_fail(nvme, -ETIMEDOUT,
		  nvme->state == NVME_DISABLING  ? "the controller does not stop"
		  : nvme->state == NVME_ENABLING ? "the controller does not become ready"
						 : "the controller does not answer a command");
}

/* ---- Time-outs ---- */

/* 5.1: dword 10 has the command's id above its queue's. */
static void abort_command(struct nvme *nvme, struct nvme_slot *slot, uint64_t now_ns)
{
	uint16_t number = (uint16_t)(slot - nvme->slots);
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_ABORT,
			       .dword10 = (uint32_t)number << 16 | NVME_IO_QUEUE};

	if (nvme_may_complain(nvme, now_ns))
		log_warning("%s: a command has not ended after %u ms; it is aborted",
			    nvme->device.name, nvme->settings.timeout_ms);
	nvme->device.counters.timeouts++;
	nvme->aborting = number;
	nvme->abort_due_ns = now_ns + (nvme->timeout_ns < ABORT_NS ? nvme->timeout_ns : ABORT_NS);
	slot->state = SLOT_ABORTED;
	slot->due_ns = nvme->abort_due_ns;
	nvme_admin_send(nvme, &sqe, ADMIN_ABORT);
}

/* Return: false: only a reset helps. */
static bool slot_tend(struct nvme *nvme, struct nvme_slot *slot, uint64_t now_ns)
{
	switch (slot->state) {
	case SLOT_DELAYED:
		nvme_send_again(nvme, slot, now_ns);
		return true;
	case SLOT_SENT:
		/* One at a time; the others have to wait, but not for an abort that is lost itself: the
		 * command that it was about may have ended long ago, and nobody else looks after it. */
		if (nvme->aborting != NVME_NO_SLOT)
			return now_ns < nvme->abort_due_ns;
		abort_command(nvme, slot, now_ns);
		return true;
	default:
		return false;
	}
}

static void slots_tend(struct nvme *nvme, uint64_t now_ns)
{
	for (uint32_t i = 0; i < nvme->device.caps.depth; i++) {
		struct nvme_slot *slot = &nvme->slots[i];

		if (slot->state == SLOT_FREE)
			continue;
		if (now_ns >= slot->due_ns && !slot_tend(nvme, slot, now_ns)) {
			log_warning("%s: the controller does not abort a command either; it is "
				    "reset",
				    nvme->device.name);
			nvme->device.counters.resets++;
			nvme_reset(nvme, now_ns);
			return;
		}
		/* What is due for another try comes sooner than the next look. */
		if (slot->state == SLOT_DELAYED && slot->due_ns < nvme->tend_ns)
			nvme->tend_ns = slot->due_ns;
	}
}

static void tend_running(struct nvme *nvme, uint32_t status, uint64_t now_ns)
{
	nvme->tend_ns = now_ns + TEND_PERIOD_NS;
	nvme_admin_poll(nvme);
	if (!(status & NVME_CSTS_RDY)) {
		log_warning("%s: the controller has stopped by itself; it is reset",
			    nvme->device.name);
		nvme->device.counters.resets++;
		nvme_reset(nvme, now_ns);
	} else if (nvme->device.under_way > 0) {
		slots_tend(nvme, now_ns);
	}
}

/* Ones are what is read where nothing answers; some bridges, and emulators, give zeroes, which no
 * version number is. */
static bool is_gone(const struct nvme *nvme, uint32_t status)
{
	return status == NVME_REG_GONE ||
	       (!(status & NVME_CSTS_RDY) && nvme_read32(nvme, NVME_REG_VS) == 0);
}

unsigned int nvme_tend(struct nvme *nvme, uint64_t now_ns)
{
	uint32_t status = nvme_read32(nvme, NVME_REG_CSTS);
	unsigned int done = 0;

	if (nvme->state == NVME_FAILED)
		return 0;
	if (is_gone(nvme, status))
		nvme_fail(nvme, -ENODEV, "the device is gone: it was pulled out or has lost power");
	else if ((status & NVME_CSTS_CFS) && nvme->state != NVME_DISABLING)
		nvme_fail(nvme, -ENODEV, "the controller reports a fatal error of its own");
	else if (nvme->state == NVME_RUNNING)
		tend_running(nvme, status, now_ns);
	else
		done = advance(nvme, status, now_ns);
	check_deadline(nvme, now_ns);
	if (nvme->state == NVME_FAILED) {
		done += nvme_end_commands(nvme, -ENODEV);
		done += nvme_end_backlog(nvme, -ENODEV);
	}
	return done;
}

bool nvme_wait_register(struct nvme *nvme, uint32_t offset, uint32_t mask, uint32_t value,
			uint64_t limit_ns)
{
	for (uint64_t waited_ns = 0; (nvme_read32(nvme, offset) & mask) != value;
	     waited_ns += STEP_NS) {
		if (waited_ns >= limit_ns || nvme_read32(nvme, offset) == NVME_REG_GONE)
			return false;
		nvme->bus->ops->wait(nvme->bus, STEP_NS);
	}
	return true;
}
