/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller in memory, for unit tests and benchmarks: what it does it does in
 * nvme_fake_step, which the driver's waits call too. It knows nothing of the driver's code, and
 * counts as a violation what a controller would be right to refuse or to be confused by.
 */
#ifndef DEMI_BLKDEV_NVME_FAKE_H
#define DEMI_BLKDEV_NVME_FAKE_H

#include "blkdev/nvme.h"
#include "blkdev/nvme_spec.h"

#define FAKE_BLOCKS 8192u
#define FAKE_MAPPINGS_MAX 64u
#define FAKE_HELD_MAX 256u
#define FAKE_HEAP_IOVA (1ull << 32)
#define FAKE_CHUNKS ((FAKE_HEAP_IOVA >> NVME_CHUNK_SHIFT) + FAKE_MAPPINGS_MAX)
#define FAKE_EVENTS_MAX 8u

struct fake_queue {
	uint64_t sq, cq; /* IOVAs; 0: there is none */
	uint32_t sq_entries, cq_entries;
	uint32_t sq_head, cq_tail;
	uint16_t phase;
};

struct nvme_fake {
	struct nvme_bus bus;
	_Alignas(8) uint8_t registers[NVME_REGISTERS_BYTES];
	unsigned char *disk; /* [FAKE_BLOCKS << block_shift] */

	/* What it is; before it is started. */
	uint8_t block_shift;
	uint8_t mdts;
	bool sgl, volatile_cache, protected;
	uint16_t metadata_bytes;

	/* What it does, at any time. */
	bool never_ready, never_stops, never_shuts_down, ignores_admin;
	bool gone; /* registers read all ones, or */
	bool gone_as_zeroes;
	bool fatal;      /* CSTS.CFS */
	bool hold;       /* I/O commands are kept, for nvme_fake_complete */
	uint16_t status; /* without the phase; of the next fail_count commands of I/O */
	uint32_t fail_count;
	bool abort_works; /* of those that are held */
	uint8_t critical_warning;
	int map_error; /* of what is mapped next */

	/* What it has seen. */
	unsigned int violations;
	char violation[96]; /* the first */
	uint32_t enabled;   /* how many times */
	uint32_t aborts, logs_read, commands;
	uint32_t sgl_commands;
	bool shut_down, cut_off, closed, forgotten;
	struct nvme_sqe last; /* of I/O */
	struct nvme_dsm_range last_range;
	uint64_t waited_ns;

	/* Its own. */
	bool is_enabled;
	bool knows_queue_count; /* since it was enabled */
	struct fake_queue queues[2];
	struct {
		uint64_t iova;
		uint64_t address; /* as commands have it */
		unsigned char *start;
		size_t bytes;
	} mappings[FAKE_MAPPINGS_MAX];
	uint32_t mapping_count;
	uint64_t chunks[FAKE_CHUNKS];
	uint64_t next_address;
	struct nvme_sqe held[FAKE_HELD_MAX];
	uint32_t held_count;
	uint16_t events[FAKE_EVENTS_MAX];
	uint32_t event_count;
};

/** nvme_fake_create - one with 512-byte blocks, PRPs and a volatile cache; nvme_create closes it, does not free it */
struct nvme_fake *nvme_fake_create(void);
void nvme_fake_destroy(struct nvme_fake *fake);

/** nvme_fake_without_iommu - before it is opened */
void nvme_fake_without_iommu(struct nvme_fake *fake);

/** nvme_fake_step - look at the registers and serve all that was sent */
void nvme_fake_step(struct nvme_fake *fake);

/** nvme_fake_complete - end the @index-th of the held commands */
void nvme_fake_complete(struct nvme_fake *fake, uint32_t index, uint16_t status);

/** nvme_fake_post - a completion of the I/O queue, of any id */
void nvme_fake_post(struct nvme_fake *fake, uint16_t id, uint16_t status);

/** nvme_fake_event - an asynchronous event; @result: dword 0 of its completion */
void nvme_fake_event(struct nvme_fake *fake, uint32_t result);

/* nvme_fake_data.c */

/** nvme_fake_violation - the driver has broken a rule */
__attribute__((format(printf, 2, 3))) void nvme_fake_violation(struct nvme_fake *fake,
							       const char *format, ...);

/** nvme_fake_memory - what it knows by an address; NULL, and a violation: not all of it was mapped */
void *nvme_fake_memory(struct nvme_fake *fake, uint64_t address, size_t bytes);

/** nvme_fake_transfer - move the data of a read or a write */
void nvme_fake_transfer(struct nvme_fake *fake, const struct nvme_sqe *sqe);

#endif /* DEMI_BLKDEV_NVME_FAKE_H */
