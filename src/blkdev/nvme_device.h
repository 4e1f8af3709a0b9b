/* SPDX-License-Identifier: MIT */
/*
 * What the files of the NVMe driver share: nvme.c (birth, death), nvme_control.c (states, time-outs,
 * resets), nvme_setup.c (the commands of a start), nvme_admin.c (the admin queue), nvme_io.c (the
 * path of a request).
 *
 * One state machine starts the controller, the first time and after a reset; the poll drives it, so
 * that a reset blocks nobody. A request becomes one command or several, each in a slot, whose number
 * is the command's id. What finds no slot, or no running controller, waits in the backlog.
 */
#ifndef DEMI_BLKDEV_NVME_DEVICE_H
#define DEMI_BLKDEV_NVME_DEVICE_H

#include "base/container.h"
#include "blkdev/nvme.h"
#include "blkdev/nvme_command.h"
#include "blkdev/nvme_queue.h"
#include "blkdev/nvme_status.h"

/* Largest of the controller's smallest pages that we serve. Queues begin at multiples of it. */
#define NVME_PAGE_BYTES_MAX (64u << 10)

#define NVME_ADMIN_ENTRIES 32u
#define NVME_IO_QUEUE 1u
#define NVME_EVENT_REQUESTS 4u /* asynchronous ones, kept posted */

/** The memory that is the controller's too, in the order of addresses. */
struct nvme_memory {
	_Alignas(NVME_PAGE_BYTES_MAX) struct nvme_sqe admin_sqes[NVME_ADMIN_ENTRIES];
	_Alignas(NVME_PAGE_BYTES_MAX) struct nvme_cqe admin_cqes[NVME_ADMIN_ENTRIES];
	_Alignas(NVME_PAGE_BYTES_MAX) struct nvme_sqe sqes[NVME_DEPTH_MAX + 1];
	_Alignas(NVME_PAGE_BYTES_MAX) struct nvme_cqe cqes[NVME_DEPTH_MAX + 1];
	_Alignas(NVME_PAGE_BYTES_MAX) union {
		struct nvme_identify_controller controller;
		struct nvme_identify_namespace namespace;
		struct nvme_log_smart smart;
	} answer; /* to the command of ADMIN_STEP */
	_Alignas(NVME_PAGE_BYTES_MAX) struct nvme_log_smart
		event_log; /* read as an event asks for it */
	_Alignas(NVME_PAGE_BYTES_MAX) uint8_t lists[NVME_DEPTH_MAX + 1][NVME_LIST_BYTES];
};

#define NVME_MEMORY_BYTES (2u << 20)
_Static_assert(sizeof(struct nvme_memory) <= NVME_MEMORY_BYTES, "it is mapped as a whole");
_Static_assert(NVME_MEMORY_BYTES == NVME_CHUNK_BYTES, "it is one piece without an IOMMU, too");

/** The address by which the controller knows a member of nvme->memory. */
#define NVME_ADDRESS(nvme, member) ((nvme)->memory_address + offsetof(struct nvme_memory, member))

/* Ids of commands in the admin queue. */
enum nvme_admin_id {
	ADMIN_STEP,      /* of the start, or of nvme_admin_run: one at a time */
	ADMIN_ABORT,     /* one at a time: the least that a controller must take */
	ADMIN_EVENT_LOG, /* one at a time */
	ADMIN_EVENT,     /* and NVME_EVENT_REQUESTS - 1 behind it */
};

enum nvme_state {
	NVME_DISABLING,   /* CC.EN is 0, CSTS.RDY is to become 0 */
	NVME_ENABLING,    /* CC.EN is 1, CSTS.RDY is to become 1 */
	NVME_CONFIGURING, /* a command of nvme_setup.c is under way */
	NVME_RUNNING,
	NVME_FAILED,
};

enum nvme_slot_state {
	SLOT_FREE,
	SLOT_SENT,    /* the controller has it */
	SLOT_ABORTED, /* likewise, and was told to abort it */
	SLOT_DELAYED, /* it is sent again when it is due */
};

/** A command of the I/O queue. */
struct nvme_slot {
	struct blk_request *request;
	uint64_t due_ns; /* when it has taken too long, or is to be sent again */
	struct nvme_position position;
	uint8_t state; /* enum nvme_slot_state */
	uint8_t retries;
	uint16_t next_free; /* a number */
};

/** What struct blk_request keeps for us. */
struct nvme_progress {
	struct blk_request *next;      /* in the backlog */
	struct nvme_position position; /* of what is to be made into commands yet */
	uint16_t commands;             /* in slots */
	bool sent;                     /* all of it has been made into commands */
	int32_t error;                 /* the first */
};

_Static_assert(sizeof(struct nvme_progress) <= sizeof(((struct blk_request *)0)->device), "room");

static inline struct nvme_progress *nvme_progress(struct blk_request *request)
{
	return (struct nvme_progress *)(void *)request->device;
}

struct nvme {
	struct blkdev device;
	struct nvme_bus *bus;
	struct nvme_format format;
	struct nvme_queue queue;
	struct nvme_slot slots[NVME_DEPTH_MAX];
	uint16_t free_slot; /* the first one's number; NVME_NO_SLOT */
	uint8_t state;      /* enum nvme_state */
	bool polling;       /* the doorbell is rung at the end of it */
	bool closing;
	struct blk_request *backlog_first, *backlog_last;
	uint64_t tend_ns;     /* when to look after the controller again */
	uint64_t now_ns;      /* of the last poll or submit */
	uint64_t complain_ns; /* when an error may be logged again */
	uint64_t timeout_ns;  /* for a command */

	/* Below: off the path. */
	struct nvme_memory *memory;
	uint64_t memory_address; /* as the controller knows it */
	struct nvme_settings settings;
	struct nvme_queue admin;
	uint64_t capabilities;  /* CAP */
	uint64_t transition_ns; /* CAP.TO: how long a change of CSTS.RDY takes at most */
	uint64_t deadline_ns;   /* of the present state */
	unsigned int stage;     /* of nvme_setup.c */
	bool step_done;         /* the command ADMIN_STEP has ended, like so: */
	struct nvme_cqe step_cqe;
	uint16_t aborting;     /* the slot that ADMIN_ABORT is about, NVME_NO_SLOT */
	uint64_t abort_due_ns; /* when that should have been answered */
	uint8_t warned;        /* of critical warnings: the last that was read */
	bool reading_event_log;
	uint32_t event_limit;        /* of the controller's, for requests posted */
	uint32_t shutdown_us;        /* how long a clean one takes at most, as it says */
	struct nvme_health identity; /* serial, model and firmware */
	unsigned char *heap_start;
	unsigned int registrar; /* HEAP_REGISTRARS_MAX: none */
	int error;              /* why it failed */
};

#define NVME_NO_SLOT UINT16_MAX

static inline struct nvme *nvme_of(const struct blkdev *device)
{
	return container_of(device, struct nvme, device);
}

static inline uint32_t nvme_read32(const struct nvme *nvme, uint32_t offset)
{
	return *(const volatile uint32_t *)(const volatile void *)(nvme->bus->registers + offset);
}

static inline void nvme_write32(struct nvme *nvme, uint32_t offset, uint32_t value)
{
	nvme_write_barrier();
	*(volatile uint32_t *)(volatile void *)(nvme->bus->registers + offset) = value;
}

/* Registers of 64 bits may be accessed as halves, and not every host bridge passes on more: 3.1. */
static inline uint64_t nvme_read64(const struct nvme *nvme, uint32_t offset)
{
	return nvme_read32(nvme, offset) | (uint64_t)nvme_read32(nvme, offset + 4) << 32;
}

static inline void nvme_write64(struct nvme *nvme, uint32_t offset, uint64_t value)
{
	nvme_write32(nvme, offset, (uint32_t)value);
	nvme_write32(nvme, offset + 4, (uint32_t)(value >> 32));
}

#define NVME_COMPLAIN_PERIOD_NS 1000000000ull

/** nvme_may_complain - whether to log what may happen to many commands at once */
static inline bool nvme_may_complain(struct nvme *nvme, uint64_t now_ns)
{
	if (now_ns < nvme->complain_ns)
		return false;
	nvme->complain_ns = now_ns + NVME_COMPLAIN_PERIOD_NS;
	return true;
}

/* nvme_admin.c */

/** nvme_admin_start - empty queues, as they are after CC.EN was 0 */
void nvme_admin_start(struct nvme *nvme);

/** nvme_admin_send - send a command; @sqe is copied */
void nvme_admin_send(struct nvme *nvme, const struct nvme_sqe *sqe, enum nvme_admin_id id);

/** nvme_admin_step - send the command that nvme->step_done is about */
void nvme_admin_step(struct nvme *nvme, const struct nvme_sqe *sqe);

/** nvme_admin_poll - take what has ended */
void nvme_admin_poll(struct nvme *nvme);

/** nvme_admin_post_events - ask for asynchronous events */
void nvme_admin_post_events(struct nvme *nvme);

/** nvme_admin_run - a command of a running controller, to its end; -EAGAIN, -ENODEV, -ETIMEDOUT, -EIO */
int nvme_admin_run(struct nvme *nvme, const struct nvme_sqe *sqe);

/** nvme_admin_log_smart - the command that reads the SMART log of the whole controller */
struct nvme_sqe nvme_admin_log_smart(uint64_t address);

/** nvme_say_warnings - log what a SMART log warns of, and did not the last time */
void nvme_say_warnings(struct nvme *nvme, uint8_t critical_warning);

/* nvme_setup.c */

/** nvme_setup_start - send the first command; the controller has become ready */
void nvme_setup_start(struct nvme *nvme);

/**
 * nvme_setup_step - go on when the command under way has ended
 *
 * Return: 0; 1 when the last has; -errno, having logged it
 */
int nvme_setup_step(struct nvme *nvme);

/* nvme_control.c */

/** nvme_reset - from any state to NVME_DISABLING */
void nvme_reset(struct nvme *nvme, uint64_t now_ns);

/**
 * nvme_tend - see to what takes too long, and to the controller's state
 *
 * Return: how many requests were done
 */
unsigned int nvme_tend(struct nvme *nvme, uint64_t now_ns);

/** nvme_fail - the controller is of no use any more; -errno is what requests that it had are told */
void nvme_fail(struct nvme *nvme, int error, const char *why);

/** nvme_wait_register - until (register & mask) is @value; false: it took longer than @limit_ns */
bool nvme_wait_register(struct nvme *nvme, uint32_t offset, uint32_t mask, uint32_t value,
			uint64_t limit_ns);

/* nvme_io.c */

int nvme_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns);
unsigned int nvme_poll(struct blkdev *device, uint64_t now_ns);

/** nvme_slots_start - all are free */
void nvme_slots_start(struct nvme *nvme);

/** nvme_send_again - a command that was delayed */
void nvme_send_again(struct nvme *nvme, struct nvme_slot *slot, uint64_t now_ns);

/**
 * nvme_end_commands - the controller has let go of all commands: their requests end with @error
 *
 * Return: how many requests were done
 */
unsigned int nvme_end_commands(struct nvme *nvme, int error);

/** nvme_end_backlog - requests that wait to be sent end with @error; returns how many */
unsigned int nvme_end_backlog(struct nvme *nvme, int error);

#endif /* DEMI_BLKDEV_NVME_DEVICE_H */
