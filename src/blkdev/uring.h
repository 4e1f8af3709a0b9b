/* SPDX-License-Identifier: MIT */
/*
 * The device "uring": a file or a block device of the kernel's, through io_uring.
 *
 *   uring:FILE[,size=64M][,block=512|4096][,depth=N][,poll=on][,direct=off][,trim=on|off]
 *         [,durable=fua|flush][,read_only=on]
 *
 * Requests go to the submission ring at once and to the kernel with the next poll, all of them by
 * one system call; what has ended is found by a look at the completion ring's memory. A device is
 * used by the thread that opened it (IORING_SETUP_SINGLE_ISSUER), or with blk.threads: any by one thread
 * at a time. There is no timeout: the kernel's
 * drivers have theirs, and a request's memory is the kernel's until it ends it.
 *
 * Exclusive: a block device by O_EXCL, which mounts and others honour; a file by flock(2), which
 * other Demi processes do.
 */
#ifndef DEMI_BLKDEV_URING_H
#define DEMI_BLKDEV_URING_H

#include <liburing.h>
#include <linux/limits.h>

#include "blkdev/blkdev.h"
#include "blkdev/uring_durable.h"

#define URING_DEPTH_MIN 16u
#define URING_DEPTH_MAX 4096u
#define URING_DEPTH_DEFAULT 128u
#define URING_BYTES_MAX (1u << 20) /* of one request */
/* A device holds one request of 128 KiB at least, which every device can take. */
#define URING_SIZE_MIN (128u << 10)
/* Regions of the heap that the kernel is told of; it takes 16384, of up to 1 GiB each. */
#define URING_BUFFERS 1024u
#define URING_BUFFER_BYTES_MAX ((size_t)1 << 30)

enum uring_choice { URING_AUTO, URING_OFF, URING_ON };

/** What the name says. */
struct uring_options {
	char path[PATH_MAX];
	uint64_t size;        /* bytes of a file that is made; 0: none is */
	uint32_t block_bytes; /* 0: as the file has it */
	uint32_t depth;
	bool poll; /* IOPOLL where it can be */
	bool direct;
	enum uring_choice trim; /* auto: of block devices */
	enum uring_choice fua;  /* durable=fua, or flush; auto: see uring_durable_start */
	bool read_only;
};

/** What is behind the path. */
struct uring_file {
	int fd;      /* -1: closed */
	bool is_new; /* it was made */
	bool is_block;
	bool is_direct;
	bool read_only;
	uint32_t block_bytes;
	uint32_t memory_alignment;
	uint64_t block_count;
};

/* What the ring has of a request. */
enum uring_step { URING_LAST, URING_BEFORE_FLUSH, URING_FLUSH };

/* A request that the ring has. */
struct uring_slot {
	struct uring_slot *next; /* of those that are free */
	struct blk_request *request;
	enum uring_step step;
	bool is_flushed;     /* if it is a durable write: by a flush behind it */
	uint64_t start_ns;   /* when it was submitted */
	uint64_t bytes_done; /* by earlier completions that were short */
	struct iovec rest[BLK_SEGMENTS_MAX];
};

struct uring_ring {
	struct io_uring uring;
	uint32_t given; /* entries that are in the ring, or the kernel */
	bool is_broken; /* the kernel takes none any more */
};

struct uring_disk {
	struct blkdev blkdev;
	struct uring_file file;
	/* With IOPOLL the data's ring takes neither fsync nor fallocate: these have another then. */
	struct uring_ring data;
	struct uring_ring control;
	bool has_control;
	bool is_unpolled;         /* the driver refused: transfers go to control, too */
	bool has_discard_command; /* for all we know the kernel has BLOCK_URING_CMD_DISCARD */
	int event_fd;             /* -1: none */
	bool armed;               /* the ring tells event_fd */
	bool closing;
	bool any_thread;  /* blk.threads: any */
	bool has_buffers; /* the heap's regions are registered with data */
	unsigned int heap_number;
	uint64_t buffers_used[URING_BUFFERS / 64]; /* bit n % 64 of n / 64 */
	struct uring_slot *slots;                  /* slots[depth] */
	struct uring_slot *free;
	uint64_t ended; /* requests ever */
	struct uring_durable durable;
	uint64_t now_ns; /* of the last poll */
};

/** uring_parse - the words of a name; 0 or -EINVAL, logged */
int uring_parse(struct uring_options *parsed, const char *arguments);

/**
 * uring_file_open - open, lock and measure a file, having made it if it is to be
 *
 * Return: 0; -ENOENT, -EACCES, -EPERM, -EBUSY, -EINVAL (not a file; too small; a block size that
 * it has not), -ENOSPC and what the system says; logged.
 */
int uring_file_open(struct uring_file *file, const struct uring_options *options);

/** uring_file_close - let go of it at once, whoever of the kernel still refers to it */
void uring_file_close(struct uring_file *file);

/**
 * uring_durable_start - which ways there are to make the writes of a disk durable
 *
 * RWF_DSYNC alone for a block device, through the page cache, where the hardware is polled, and on a disk
 * that has FUA, or no cache that it loses: the kernel needs no thread for it there, or one anyway. Else it
 * is learnt. Where the kernel does not tell of the disk below a file, it is learnt, too.
 */
void uring_durable_start(struct uring_disk *disk, const struct uring_options *options);

/**
 * uring_rings_open - the rings of a disk whose file is open, having tried a read through them
 *
 * Return: 0; -ENOSYS, -EPERM (io_uring is not there, or not allowed), -ENOMEM, -EIO, logged.
 */
int uring_rings_open(struct uring_disk *disk, const struct uring_options *options);
void uring_rings_close(struct uring_disk *disk);

/** uring_buffers_register - tell the kernel the heap's regions, as far as it takes them; 0 or -errno */
int uring_buffers_register(struct uring_disk *disk);
void uring_buffers_unregister(struct uring_disk *disk);

/** uring_buffer_find - the registered buffer that [@memory, @memory + @bytes) lies in; -1: none */
int uring_buffer_find(const struct uring_disk *disk, const void *memory, size_t bytes);

/** uring_submit, uring_poll, uring_idle_fd - as in struct blkdev_ops */
int uring_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns);
unsigned int uring_poll(struct blkdev *device, uint64_t now_ns);
int uring_idle_fd(struct blkdev *device, bool *sleep_out);

/** uring_wait - until nothing that @ring has is under way; done has been called for all of it */
void uring_wait(struct uring_disk *disk, struct uring_ring *ring);

#endif /* DEMI_BLKDEV_URING_H */
