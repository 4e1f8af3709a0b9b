/* SPDX-License-Identifier: MIT */
/* The rings of a disk, and the heap's memory that they know. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/uring.h"

/* A ring that was closed just now counts against the limit on locked memory a little longer. */
#define MEMORY_TRIES 20
#define MEMORY_WAIT_US 10000

/* ---- Rings ---- */

#define PLAIN_KIND 2u

/*
 * One thread submits and polls. Completions are run when it looks for them instead of in an
 * interrupt of whatever it does (DEFER_TASKRUN, Linux 6.1), and it sees in the ring's memory that
 * there are any (TASKRUN_FLAG). Older kernels have less of that. A ring that threads use by turns has
 * none of it: what completes interrupts the thread that submitted it.
 */
static int ring_create(const struct uring_disk *disk, struct uring_ring *ring, uint32_t entries,
		       unsigned int flags)
{
	static const unsigned int kinds[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		[PLAIN_KIND] = 0,
	};
	int error = -EINVAL;
	unsigned int tries = 0;

	for (size_t i = disk->any_thread ? PLAIN_KIND : 0;
	     error == -EINVAL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		do {
			struct io_uring_params params = {.flags = flags | kinds[i]};

			if (error == -ENOMEM)
				usleep(MEMORY_WAIT_US);
			error = io_uring_queue_init_params(entries, &ring->uring, &params);
		} while (error == -ENOMEM && ++tries < MEMORY_TRIES);
	}
	return error;
}

/* The file is number 0 of the ring, which spares looking it up in each call. */
static int ring_register(const struct uring_disk *disk, struct uring_ring *ring)
{
	int error = io_uring_register_files(&ring->uring, &disk->file.fd, 1);

	if (error) {
		io_uring_queue_exit(&ring->uring);
		return error;
	}
	/* Likewise of the ring, for this thread; a kernel that cannot is slower. */
	if (!disk->any_thread)
		io_uring_register_ring_fd(&ring->uring);
	return 0;
}

/* The file is to be closed when its descriptor is, not when the kernel comes to it. */
static void ring_destroy(struct uring_ring *ring)
{
	io_uring_unregister_files(&ring->uring);
	io_uring_queue_exit(&ring->uring);
}

/* Reads the first block; 0 or what the kernel says. */
static int try_read(struct uring_disk *disk)
{
	struct uring_file *file = &disk->file;
	struct io_uring *uring = &disk->data.uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
	struct io_uring_cqe *cqe;
	int error;
	void *block = aligned_alloc(4096, 4096);

	if (!block)
		return -ENOMEM;
	io_uring_prep_read(sqe, 0, block, file->block_bytes, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	do
		error = io_uring_submit_and_wait(uring, 1);
	while (error == -EINTR);
	if (error >= 0)
		error = io_uring_wait_cqe(uring, &cqe);
	if (error >= 0) {
		error = cqe->res < 0 ? cqe->res : 0;
		io_uring_cqe_seen(uring, cqe);
	}
	free(block);
	return error;
}

static void say_refused(const char *name, int error)
{
	if (error == -ENOSYS || error == -EPERM || error == -EACCES)
		log_error("%s: io_uring: %s; allow it (sysctl kernel.io_uring_disabled=0, or in "
			  "the container's seccomp profile)",
			  name, strerror(-error));
	else if (error == -ENOMEM)
		log_error("%s: io_uring: %s; lower depth= or raise the limit on locked memory",
			  name, strerror(-error));
	else
		log_error("%s: its first block cannot be read: %s", name, strerror(-error));
}

static int data_create(struct uring_disk *disk, uint32_t depth, unsigned int flags)
{
	int error = ring_create(disk, &disk->data, depth, flags);

	if (!error)
		error = ring_register(disk, &disk->data);
	if (error)
		return error;
	error = try_read(disk);
	if (error)
		ring_destroy(&disk->data);
	return error;
}

static int control_create(struct uring_disk *disk, uint32_t depth)
{
	int error = ring_create(disk, &disk->control, depth, 0);

	if (!error)
		error = ring_register(disk, &disk->control);
	disk->has_control = !error;
	return error;
}

/* Polling the hardware is for drivers with queues for it; whether they have any a read tells. */
static int polled_create(struct uring_disk *disk, uint32_t depth)
{
	int error = disk->file.is_direct ? data_create(disk, depth, IORING_SETUP_IOPOLL)
					 : -EOPNOTSUPP;

	if (error)
		return error;
	error = control_create(disk, depth);
	if (error)
		ring_destroy(&disk->data);
	return error;
}

static int create(struct uring_disk *disk, const struct uring_options *options)
{
	if (options->poll) {
		int error = polled_create(disk, options->depth);

		if (!error)
			return 0;
		log_warning("%s: poll=on: %s: its driver has no queues that are polled (as "
			    "nvme.poll_queues makes), so interrupts tell what has ended",
			    disk->blkdev.name, strerror(-error));
	}
	return data_create(disk, options->depth, 0);
}

/* Interrupts tell it; none come where it is polled, but of flushes. */
static int watch(struct uring_disk *disk)
{
	struct io_uring *uring = disk->has_control ? &disk->control.uring : &disk->data.uring;
	int error;

	disk->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	error = disk->event_fd < 0 ? -errno : io_uring_register_eventfd(uring, disk->event_fd);
	if (error) {
		log_error("%s: eventfd: %s", disk->blkdev.name, strerror(-error));
		return error;
	}
	io_uring_cq_eventfd_toggle(uring, false);
	return 0;
}

int uring_rings_open(struct uring_disk *disk, const struct uring_options *options)
{
	int error = create(disk, options);

	if (error) {
		say_refused(disk->blkdev.name, error);
		return error;
	}
	error = watch(disk);
	if (error)
		uring_rings_close(disk);
	return error;
}

void uring_rings_close(struct uring_disk *disk)
{
	ring_destroy(&disk->data);
	if (disk->has_control)
		ring_destroy(&disk->control);
	if (disk->event_fd >= 0)
		close(disk->event_fd);
}

/* ---- Memory ---- */

/* A handle is the buffer's number and 1; 0 means that the kernel does not know the region. */

static int buffer_set(struct uring_disk *disk, uint32_t number, void *start, size_t bytes)
{
	struct iovec iov = {start, bytes};
	int updated = io_uring_register_buffers_update_tag(&disk->data.uring, number, &iov, NULL,
							   1);

	return updated == 1 ? 0 : -EINVAL;
}

static int add_region(void *context, void *start, size_t bytes, uint64_t *handle_out)
{
	struct uring_disk *disk = context;

	*handle_out = 0;
	for (uint32_t i = 0; i < URING_BUFFERS && bytes <= URING_BUFFER_BYTES_MAX; i++) {
		uint64_t bit = UINT64_C(1) << i % 64;

		if (disk->buffers_used[i / 64] & bit)
			continue;
		/* Where the limit on locked memory is reached the kernel looks up each page. */
		if (buffer_set(disk, i, start, bytes) == 0) {
			disk->buffers_used[i / 64] |= bit;
			*handle_out = i + 1;
		}
		break;
	}
	return 0;
}

static void remove_region(void *context, void *start, size_t bytes, uint64_t handle)
{
	struct uring_disk *disk = context;

	(void)start, (void)bytes;
	if (!handle)
		return;
	buffer_set(disk, (uint32_t)handle - 1, NULL, 0);
	disk->buffers_used[(handle - 1) / 64] &= ~(UINT64_C(1) << (handle - 1) % 64);
}

static const struct heap_registrar_ops registrar = {.add = add_region, .remove = remove_region};

int uring_buffers_register(struct uring_disk *disk)
{
	int error;

	/* What goes through the page cache is copied there, whoever knows its pages. */
	if (!disk->file.is_direct ||
	    io_uring_register_buffers_sparse(&disk->data.uring, URING_BUFFERS) < 0)
		return 0;
	error = heap_register(disk->blkdev.heap, &registrar, disk, &disk->heap_number);
	if (error) {
		log_error("%s: the heap has as many devices as it can", disk->blkdev.name);
		return error;
	}
	disk->has_buffers = true;
	if (!disk->buffers_used[0])
		log_info("%s: none of the heap is registered with io_uring, which is slower: raise "
			 "the limit on locked memory (ulimit -l)",
			 disk->blkdev.name);
	return 0;
}

void uring_buffers_unregister(struct uring_disk *disk)
{
	if (!disk->has_buffers)
		return;
	heap_unregister(disk->blkdev.heap, disk->heap_number);
	io_uring_unregister_buffers(&disk->data.uring);
	disk->has_buffers = false;
}

int uring_buffer_find(const struct uring_disk *disk, const void *memory, size_t bytes)
{
	size_t room;
	uint64_t handle;

	if (!disk->has_buffers)
		return -1;
	handle = heap_handle(disk->blkdev.heap, disk->heap_number, memory, &room);
	return handle && bytes <= room ? (int)handle - 1 : -1;
}
