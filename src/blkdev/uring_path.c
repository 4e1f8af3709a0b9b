/* SPDX-License-Identifier: MIT */
/* The path of a request: into the ring, into the kernel, and out of the ring. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/uring.h"

/* IORING_OP_URING_CMD of block devices, Linux 6.12: _IO(0x12, 0) of <linux/blkdev.h>. */
#define DISCARD_COMMAND 0x1200u

#define PUNCH (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)

static struct uring_disk *disk_of(struct blkdev *device)
{
	return (struct uring_disk *)(void *)device;
}

/* ---- Out ---- */

static bool is_transfer(const struct blk_request *request)
{
	return request->operation == BLK_READ || request->operation == BLK_WRITE;
}

static void prepare_transfer(struct uring_disk *disk, struct uring_slot *slot,
			     struct io_uring_sqe *sqe, const struct iovec *segments,
			     unsigned int count)
{
	const struct blk_request *request = slot->request;
	uint64_t offset = request->block * disk->blkdev.caps.block_bytes + slot->bytes_done;
	bool is_flushed = request->durable && slot->is_flushed;
	int flags = request->durable && !is_flushed ? RWF_DSYNC : 0;
	int buffer = -1;

	/* Only the data's ring knows them. */
	if (count == 1 && !disk->is_unpolled)
		buffer = uring_buffer_find(disk, segments->iov_base, segments->iov_len);
	if (request->operation == BLK_READ && buffer >= 0)
		io_uring_prep_read_fixed(sqe, 0, segments->iov_base,
					 (unsigned int)segments->iov_len, offset, buffer);
	else if (request->operation == BLK_READ)
		io_uring_prep_readv(sqe, 0, segments, count, offset);
	else if (buffer >= 0)
		io_uring_prep_write_fixed(sqe, 0, segments->iov_base,
					  (unsigned int)segments->iov_len, offset, buffer);
	else
		io_uring_prep_writev(sqe, 0, segments, count, offset);
	if (request->operation == BLK_WRITE)
		sqe->rw_flags = flags;
	slot->step = is_flushed ? URING_BEFORE_FLUSH : URING_LAST;
}

static void prepare_trim(const struct uring_disk *disk, const struct blk_request *request,
			 struct io_uring_sqe *sqe)
{
	uint64_t offset = request->block * disk->blkdev.caps.block_bytes;
	uint64_t bytes = (uint64_t)request->block_count * disk->blkdev.caps.block_bytes;

	if (!disk->file.is_block || !disk->has_discard_command) {
		io_uring_prep_fallocate(sqe, 0, PUNCH, (off_t)offset, (off_t)bytes);
		return;
	}
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, 0, NULL, 0, 0);
	sqe->cmd_op = DISCARD_COMMAND;
	sqe->addr = offset;
	sqe->addr3 = bytes;
}

/* Room there always is: the ring has an entry for each slot, and a slot is in it once at most. */
static void prepare(struct uring_disk *disk, struct uring_slot *slot, const struct iovec *segments,
		    unsigned int count)
{
	bool is_control = disk->has_control && (disk->is_unpolled || !is_transfer(slot->request));
	struct io_uring *uring = is_control ? &disk->control.uring : &disk->data.uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

	if (slot->request->operation == BLK_FLUSH || slot->step == URING_FLUSH)
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	else if (is_transfer(slot->request))
		prepare_transfer(disk, slot, sqe, segments, count);
	else
		prepare_trim(disk, slot->request, sqe);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, slot);
	disk->blkdev.counters.commands++;
	(is_control ? &disk->control : &disk->data)->given++;
}

static bool is_measure(const struct uring_disk *disk, const struct blk_request *request)
{
	return request->operation == BLK_WRITE && request->durable &&
	       (uint64_t)request->block_count * disk->blkdev.caps.block_bytes <=
		       URING_DURABLE_BYTES_MAX;
}

int uring_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns)
{
	struct uring_disk *disk = disk_of(device);
	struct uring_slot *slot = disk->free;

	if (device->failure || disk->closing)
		return -ENODEV;
	if (!slot)
		return -EAGAIN;
	disk->free = slot->next;
	slot->request = request;
	slot->bytes_done = 0;
	slot->step = URING_LAST;
	slot->start_ns = now_ns;
	slot->is_flushed = is_measure(disk, request) ? uring_durable_flushes(&disk->durable)
						     : disk->durable.flushes;
	device->under_way++;
	blkdev_count(device, request);
	prepare(disk, slot, request->segments, request->segment_count);
	return 0;
}

/* ---- In ---- */

static void finish(struct uring_disk *disk, struct uring_slot *slot, int error)
{
	struct blk_request *request = slot->request;

	slot->next = disk->free;
	disk->free = slot;
	disk->blkdev.under_way--;
	disk->ended++;
	disk->blkdev.counters.errors += error != 0;
	disk->blkdev.counters.timeouts += error == -ETIMEDOUT;
	if (!error && is_measure(disk, request))
		uring_durable_took(&disk->durable, slot->is_flushed, disk->now_ns - slot->start_ns);
	request->done(request, error);
}

static void fail(struct uring_disk *disk, int error, const char *what)
{
	if (disk->blkdev.failure)
		return;
	disk->blkdev.failure = -ENODEV;
	log_error("%s: %s: %s; it is not used any more", disk->blkdev.name, what, strerror(-error));
}

/* From what the kernel says to what a request is told. */
static int request_error(struct uring_disk *disk, int error)
{
	switch (error) {
	case 0:
	case -ENOSPC:
	case -EROFS:
	case -ETIMEDOUT:
	case -ECANCELED:
		return error;
	case -EDQUOT:
		return -ENOSPC;
	case -ENODEV:
	case -ENXIO:
		fail(disk, error, "the device is gone");
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* What a completion that was short left over goes on. */
static void go_on(struct uring_disk *disk, struct uring_slot *slot)
{
	const struct blk_request *request = slot->request;
	uint64_t skip = slot->bytes_done;
	unsigned int count = 0;

	for (unsigned int i = 0; i < request->segment_count; i++) {
		struct iovec segment = request->segments[i];

		if (skip >= segment.iov_len) {
			skip -= segment.iov_len;
			continue;
		}
		slot->rest[count++] = (struct iovec){(char *)segment.iov_base + skip,
						     segment.iov_len - skip};
		skip = 0;
	}
	prepare(disk, slot, slot->rest, count);
}

static bool is_over(const struct uring_disk *disk)
{
	return disk->closing || disk->blkdev.failure;
}

/* All of a transfer is there; a flush counts for what was written when it began, and no more. */
static void flush_behind(struct uring_disk *disk, struct uring_slot *slot)
{
	slot->step = URING_FLUSH;
	prepare(disk, slot, NULL, 0);
}

static void transferred(struct uring_disk *disk, struct uring_slot *slot, int32_t result)
{
	uint64_t bytes = (uint64_t)slot->request->block_count * disk->blkdev.caps.block_bytes;

	slot->bytes_done += (uint32_t)result;
	if (slot->bytes_done >= bytes && slot->step == URING_LAST)
		finish(disk, slot, 0);
	else if (result == 0) /* The file ends where it should have more. */
		finish(disk, slot, -EIO);
	else if (is_over(disk))
		finish(disk, slot, disk->closing ? -ECANCELED : -ENODEV);
	else if (slot->bytes_done >= bytes)
		flush_behind(disk, slot);
	else
		go_on(disk, slot);
}

/* A trim is advice: it is no error that there is nothing to be done. */
static void trimmed(struct uring_disk *disk, struct uring_slot *slot, int32_t result)
{
	bool is_refused = result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS;

	if (is_refused && disk->file.is_block && disk->has_discard_command && !disk->closing) {
		disk->has_discard_command = false;
		prepare(disk, slot, NULL, 0);
		return;
	}
	finish(disk, slot, is_refused ? 0 : request_error(disk, result));
}

/* It was not begun, for want of something that comes back. */
static void try_again(struct uring_disk *disk, struct uring_slot *slot)
{
	if (is_transfer(slot->request) && slot->step != URING_FLUSH)
		go_on(disk, slot);
	else
		prepare(disk, slot, NULL, 0);
}

static void reap_one(struct uring_disk *disk, const struct uring_ring *ring,
		     struct uring_slot *slot, int32_t result)
{
	/* The read at the start may have been of a hole, for which no driver was asked. */
	if (result == -EOPNOTSUPP && disk->has_control && ring == &disk->data) {
		disk->is_unpolled = true;
		result = -EAGAIN;
	}
	if ((result == -EAGAIN || result == -EINTR) && !is_over(disk))
		try_again(disk, slot);
	else if (slot->request->operation == BLK_TRIM)
		trimmed(disk, slot, result);
	else if (result < 0)
		finish(disk, slot, request_error(disk, result));
	else if (is_transfer(slot->request) && slot->step != URING_FLUSH)
		transferred(disk, slot, result);
	else
		finish(disk, slot, 0);
}

/* What has ended by now; a look at memory. */
static void reap(struct uring_disk *disk, struct uring_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&ring->uring, head, cqe)
	{
		struct uring_slot *slot = (struct uring_slot *)(uintptr_t)cqe->user_data;
		int32_t result = cqe->res;

		/* done may submit: the entry is free first. */
		io_uring_cq_advance(&ring->uring, 1);
		ring->given--;
		reap_one(disk, ring, slot, result);
	}
}

/* The ring cannot be submitted to any more: what the kernel has not taken from it never ends. */
static void give_up(struct uring_disk *disk, struct uring_ring *ring, int error)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	uint32_t head = __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);

	fail(disk, error, "io_uring");
	ring->is_broken = true;
	for (; head != sq->sqe_tail; head++, ring->given--)
		finish(disk,
		       (struct uring_slot *)(uintptr_t)sq->sqes[head & *sq->kring_mask].user_data,
		       -ENODEV);
}

/* Whether there is nothing to be hoped for; for want of memory the kernel takes less at a time. */
static bool is_final(int result)
{
	return result < 0 && result != -EAGAIN && result != -EBUSY && result != -EINTR &&
	       result != -ENOMEM;
}

static bool has_hidden_work(const struct uring_ring *ring)
{
	return IO_URING_READ_ONCE(*ring->uring.sq.kflags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Into the kernel, if there is a reason to. */
static void enter(struct uring_disk *disk, struct uring_ring *ring)
{
	struct io_uring *uring = &ring->uring;
	int result = 0;

	if (!ring->is_broken && io_uring_sq_ready(uring) > 0)
		result = io_uring_submit_and_get_events(uring);
	else if (has_hidden_work(ring) || (uring->flags & IORING_SETUP_IOPOLL))
		io_uring_get_events(uring);
	if (is_final(result))
		give_up(disk, ring, result);
}

static void disarm(struct uring_disk *disk)
{
	struct io_uring *uring = disk->has_control ? &disk->control.uring : &disk->data.uring;
	uint64_t events;

	disk->armed = false;
	io_uring_cq_eventfd_toggle(uring, false);
	while (read(disk->event_fd, &events, sizeof(events)) < 0 && errno == EINTR)
		;
}

unsigned int uring_poll(struct blkdev *device, uint64_t now_ns)
{
	struct uring_disk *disk = disk_of(device);
	uint64_t before = disk->ended;

	disk->now_ns = now_ns;
	if (disk->armed)
		disarm(disk);
	if (disk->data.given > 0) {
		enter(disk, &disk->data);
		reap(disk, &disk->data);
		/* A flush behind a write does not wait for the next poll. */
		if (io_uring_sq_ready(&disk->data.uring) > 0)
			enter(disk, &disk->data);
	}
	if (disk->control.given > 0) {
		enter(disk, &disk->control);
		reap(disk, &disk->control);
	}
	return (unsigned int)(disk->ended - before);
}

static bool has_ended(const struct uring_ring *ring)
{
	return io_uring_cq_ready(&ring->uring) > 0 || has_hidden_work(ring);
}

int uring_idle_fd(struct blkdev *device, bool *sleep_out)
{
	struct uring_disk *disk = disk_of(device);
	struct uring_ring *told = disk->has_control ? &disk->control : &disk->data;

	*sleep_out = true;
	if (device->under_way == 0)
		return disk->event_fd;
	/* Nobody but us sees what is polled end, or a ring that could not be used. */
	if (device->failure || (disk->has_control && disk->data.given > 0)) {
		*sleep_out = false;
		return disk->event_fd;
	}
	if (told->given > 0 && io_uring_sq_ready(&told->uring) > 0 &&
	    io_uring_submit(&told->uring) < 0) {
		*sleep_out = false;
		return disk->event_fd;
	}
	disk->armed = true;
	io_uring_cq_eventfd_toggle(&told->uring, true);
	/* What ended before the kernel could see that is not announced. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*sleep_out = !has_ended(told);
	return disk->event_fd;
}

/* ---- At the end ---- */

void uring_wait(struct uring_disk *disk, struct uring_ring *ring)
{
	struct io_uring_cqe *cqe;

	while (ring->given > 0) {
		int result = ring->is_broken ? io_uring_wait_cqe(&ring->uring, &cqe)
					     : io_uring_submit_and_wait(&ring->uring, 1);

		reap(disk, ring);
		if (is_final(result) && ring->is_broken)
			return;
		if (is_final(result))
			give_up(disk, ring, result);
	}
}
