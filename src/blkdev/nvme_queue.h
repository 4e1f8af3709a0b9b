/* SPDX-License-Identifier: MIT */
/*
 * A pair of queues in memory that the controller reaches, and their doorbells: NVM Express Base
 * Specification 1.4, 4.1. Entries are counted, so that neither queue is ever full: a pair takes one
 * command less than it has entries.
 */
#ifndef DEMI_BLKDEV_NVME_QUEUE_H
#define DEMI_BLKDEV_NVME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "blkdev/nvme_spec.h"

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

struct nvme_queue {
	struct nvme_sqe *sqes;                /* [entries] */
	const volatile struct nvme_cqe *cqes; /* [entries] */
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint32_t entries;          /* of each */
	uint32_t sq_tail, sq_rung; /* the next entry to fill; what the controller was told */
	uint32_t cq_head, cq_rung;
	uint16_t phase; /* of an entry that is new */
};

/** nvme_queue_reset - as the controller expects it when the queue is created */
static inline void nvme_queue_reset(struct nvme_queue *queue)
{
	queue->sq_tail = queue->sq_rung = 0;
	queue->cq_head = queue->cq_rung = 0;
	queue->phase = NVME_CQE_PHASE;
	memset((void *)(uintptr_t)queue->cqes, 0, queue->entries * sizeof(*queue->cqes));
}

/* What was written to memory is there for the device before what is written to its registers is.
 * x86 keeps that order by itself. */
static inline void nvme_write_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/* The phase is read before the rest of the entry is, and before the data. */
static inline void nvme_read_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshld" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/** nvme_queue_next - the entry to fill, which nvme_queue_send then takes */
static inline struct nvme_sqe *nvme_queue_next(const struct nvme_queue *queue)
{
	return &queue->sqes[queue->sq_tail];
}

static inline void nvme_queue_send(struct nvme_queue *queue)
{
	if (unlikely(++queue->sq_tail == queue->entries))
		queue->sq_tail = 0;
}

/** nvme_queue_ring - tell the controller of all that was sent */
static inline void nvme_queue_ring(struct nvme_queue *queue)
{
	if (queue->sq_rung == queue->sq_tail)
		return;
	nvme_write_barrier();
	*queue->sq_doorbell = queue->sq_rung = queue->sq_tail;
}

/** nvme_queue_take - the next completion; false: there is none */
static inline bool nvme_queue_take(struct nvme_queue *queue, struct nvme_cqe *cqe_out)
{
	const volatile struct nvme_cqe *cqe = &queue->cqes[queue->cq_head];
	uint16_t status = cqe->status;

	if ((status & NVME_CQE_PHASE) != queue->phase)
		return false;
	nvme_read_barrier();
	*cqe_out = (struct nvme_cqe){.result = cqe->result, .id = cqe->id, .status = status};
	if (unlikely(++queue->cq_head == queue->entries)) {
		queue->cq_head = 0;
		queue->phase ^= NVME_CQE_PHASE;
	}
	return true;
}

/** nvme_queue_give_back - let the controller use the entries that were taken */
static inline void nvme_queue_give_back(struct nvme_queue *queue)
{
	if (queue->cq_rung == queue->cq_head)
		return;
	*queue->cq_doorbell = queue->cq_rung = queue->cq_head;
}

#endif /* DEMI_BLKDEV_NVME_QUEUE_H */
