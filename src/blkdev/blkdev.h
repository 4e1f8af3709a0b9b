/* SPDX-License-Identifier: MIT */
/*
 * Block devices behind one ops table: they move whole blocks between a disk and the heap.
 *
 * A request is storage of who makes it, which belongs to the device from a submit that returns 0
 * until its done is called, and so does the memory that it names. Nothing is ordered: two requests
 * that are under way, and the blocks of one, reach the medium in any order and torn between any two
 * blocks; what is not flushed may never do.
 *
 * One thread uses a device. None of the functions on the path of a request blocks, allocates, or
 * reads a clock. Devices are made by blkdev_open, which is given "kind:arguments", or by the
 * functions of their own headers.
 */
#ifndef DEMI_BLKDEV_BLKDEV_H
#define DEMI_BLKDEV_BLKDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/figure.h"
#include "heap/heap.h"

/** Pieces of memory in one request. */
#define BLK_SEGMENTS_MAX 64u

enum blk_operation { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_TRIM };

struct blkdev;

struct blk_request {
	uint8_t operation; /* enum blk_operation */
	bool durable;      /* BLK_WRITE: done when the medium has it, as if flushed behind it */
	uint16_t segment_count;
	uint32_t block_count; /* read, write: the segments' bytes; trim: blocks; flush: 0 */
	uint64_t block;       /* the first */
	/* Memory of the device's heap, each piece aligned to caps.memory_alignment and a multiple of
	 * caps.block_bytes long. NULL for flush and trim. */
	const struct iovec *segments;
	/*
	 * Called once, from poll or close, never from submit. @error: 0; -EIO (the medium; what was
	 * read or written is undefined), -ENODEV (the device is gone for good), -ETIMEDOUT (it did
	 * not answer and has been reset), -EROFS, -ENOSPC, -ECANCELED (by close).
	 * It may submit, this request too.
	 */
	void (*done)(struct blk_request *request, int error);
	/* The device's own, while it has the request. */
	uint64_t device[6];
};

struct blkdev_ops {
	const char *kind; /* as in the configuration: "uring" of "uring:/var/lib/demi.img" */

	/*
	 * Start a request. Return: 0; -EAGAIN (caps.depth are under way: again after a poll);
	 * -ENODEV (gone for good). A request that breaks the rules above is a bug of the caller and
	 * caught by blkdev_submit's assertions. Any number of blocks up to caps.bytes_max and of
	 * segments up to BLK_SEGMENTS_MAX: the device splits where its commands take less. Required.
	 */
	int (*submit)(struct blkdev *device, struct blk_request *request, uint64_t now_ns);

	/* Take what has ended, calling done, and see to what takes too long. Return: how many
	 * requests were done. Required. */
	unsigned int (*poll)(struct blkdev *device, uint64_t now_ns);

	/*
	 * Before a sleep: a descriptor that becomes readable when a request ends; sleep_out false:
	 * one has ended already, do not sleep. -ENOTSUP: there is none, look again after a short
	 * sleep. Optional, as -ENOTSUP.
	 */
	int (*idle_fd)(struct blkdev *device, bool *sleep_out);

	/* When a request that is under way will end, where time is simulated; UINT64_MAX: there is
	 * none. Optional. */
	uint64_t (*next_ns)(const struct blkdev *device);

	/*
	 * Tell what the drive says of its health, name by name; waits for it. Optional: it says
	 * nothing. Return: 0 or -errno.
	 */
	int (*tell_health)(struct blkdev *device,
			   void (*tell)(const char *name, const char *value, void *context),
			   void *context);

	/* In the child of a fork: close the descriptors and touch nothing that is shared. Required. */
	void (*forget)(struct blkdev *device);

	/* End what is under way (waiting for the hardware to let go of memory, no longer than its
	 * timeout), shut the device down cleanly, give everything back and free it. Required. */
	void (*close)(struct blkdev *device);
};

/** What a device can do. The device fills it before it is handed out. */
struct blkdev_caps {
	uint64_t block_count;
	uint32_t block_bytes;      /* 512 or 4096 */
	uint32_t memory_alignment; /* of each segment's start, bytes: 4 for NVMe, 512 for a file */
	uint32_t bytes_max;        /* of one request; at least 128 KiB */
	uint32_t depth;            /* requests at a time; at least 16 */
	bool volatile_cache;       /* a write that is not durable may be lost until a flush */
	bool trim;                 /* has BLK_TRIM; what was trimmed reads as anything */
	bool read_only;
	bool polls_memory;    /* finding nothing costs poll a look at memory, no system call */
	bool stays_in_thread; /* only the thread that opened it may use it */
	bool kernel_works;    /* threads of the kernel need a CPU for it: give way to them */
};

/** Counters of a device; each is written by the device alone. */
struct blkdev_counters {
	uint64_t reads, read_bytes;
	uint64_t writes, write_bytes;
	uint64_t flushes;
	uint64_t trims;
	uint64_t errors;       /* requests that ended with an error */
	uint64_t timeouts;     /* commands that did not answer in time */
	uint64_t resets;       /* of the controller */
	uint64_t commands;     /* given to the hardware: more than requests where it splits them */
	uint64_t copied_bytes; /* of segments that the device could not take by reference */
};

/** Embedded by each device. */
struct blkdev {
	const struct blkdev_ops *ops;
	struct heap *heap;
	struct blkdev_caps caps;
	struct blkdev_counters counters;
	uint32_t under_way; /* requests that the device has */
	/* -errno once it is gone for good, which it has logged. 0: it works. */
	int failure;
	char name[96]; /* for messages: "uring:/var/lib/demi.img" */
};

/** What blkdev_open needs to know beside the name. */
struct blkdev_options {
	struct heap *heap;
	const struct config *config;
	uint64_t now_ns;
	uint64_t seed; /* for simulated disks */
	bool read_only;
};

/**
 * blkdev_open - make the device that a name of the configuration says
 * @name: "uring:FILE", "nvme:0000:00:05.0", "sim:..."
 *
 * Return: 0, -ENOTSUP (no such kind in this build), -EINVAL (arguments), -ENOENT, -ENODEV, -EBUSY
 * (another process has it, or it holds a mounted file system), -EPERM, -EACCES, -ENOMEM and what the
 * system says; each has been logged with what to do.
 */
int blkdev_open(struct blkdev **device_out, const char *name, const struct blkdev_options *options);

/** blkdev_kinds - the kinds of this build, separated by ", " */
const char *blkdev_kinds(void);

/** blkdev_close - as ops->close; NULL is allowed */
void blkdev_close(struct blkdev *device);

/** blkdev_tell - every counter as a figure of part "blkdev", zeroes too */
void blkdev_tell(const struct blkdev *device, figure_fn *tell, void *context);

/** blkdev_submit - ops->submit, having asserted that the request keeps the rules */
int blkdev_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns);

/** blkdev_count - for devices: one request more of its operation, which has been accepted */
static inline void blkdev_count(struct blkdev *device, const struct blk_request *request)
{
	struct blkdev_counters *counters = &device->counters;
	uint64_t bytes = (uint64_t)request->block_count * device->caps.block_bytes;

	switch (request->operation) {
	case BLK_READ:
		counters->reads++;
		counters->read_bytes += bytes;
		break;
	case BLK_WRITE:
		counters->writes++;
		counters->write_bytes += bytes;
		break;
	case BLK_FLUSH:
		counters->flushes++;
		break;
	default:
		counters->trims++;
	}
}

/** blkdev_poll - ops->poll */
static inline unsigned int blkdev_poll(struct blkdev *device, uint64_t now_ns)
{
	return device->ops->poll(device, now_ns);
}

#endif /* DEMI_BLKDEV_BLKDEV_H */
