/* SPDX-License-Identifier: MIT */
/*
 * Network devices behind one ops table: they move Ethernet frames between a link and the heap.
 *
 * A frame is a chain of struct buf. What a device receives, and what the stack writes headers in,
 * are frames of the heap (heap/frames.h) that the device has taken at its start; what it sends
 * beyond that are references to memory of the heap, in small frames without room, shells. So every
 * buffer is an object of the heap, whichever device it came from, and goes back to where it came
 * from when the last who holds it lets go.
 *
 * One thread uses a device. None of the functions on the path of a packet blocks, allocates, or
 * reads a clock. Devices are made by netdev_open, which is given "kind" or "kind:arguments", or by
 * the functions of their own headers.
 */
#ifndef DEMI_NETDEV_NETDEV_H
#define DEMI_NETDEV_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/figure.h"
#include "heap/buf.h"
#include "heap/frames.h"
#include "wire/address.h"

/** Frames that are received or sent in one call, at most. */
#define NETDEV_BURST_MAX 32u

/** In front of the data of a frame to be sent: room for headers, bytes. */
#define NETDEV_HEAD_ROOM 128u

struct netdev;
struct netdev_share;

struct netdev_ops {
	const char *kind; /* as in the configuration: "dpdk" of "dpdk:net_memif0" */

	/*
	 * Receive up to @room frames, each one buf or a chain, with one hold that is now the
	 * caller's; length is the frame's without its check sequence, flags say what was verified.
	 * The time is for simulated links. Return: how many. Required.
	 */
	unsigned int (*rx_burst)(struct netdev *device, struct buf **frames, unsigned int room,
				 uint64_t now_ns);

	/*
	 * Send frames in this order. Of those it takes the chains become the device's, which calls
	 * netdev_release for each buf when it needs its memory no more; the others stay the
	 * caller's. Return: how many it has taken from the start; it is full when not all. A frame
	 * that can never be sent (too long) it takes and drops. Required.
	 */
	unsigned int (*tx_burst)(struct netdev *device, struct buf **frames, unsigned int count,
				 uint64_t now_ns);

	/*
	 * Let go of what has been sent, where nobody else does: called while the stack waits for
	 * a buf_done or for a frame. Optional.
	 */
	void (*tx_reclaim)(struct netdev *device);

	/*
	 * Receive frames to this multicast address too, or not any more; optional, for devices
	 * that filter. Return: 0 or -errno.
	 */
	int (*set_group)(struct netdev *device, struct eth_address group, bool member);

	/*
	 * Our addresses, all of them, after each change: for devices that share the interface with the kernel and take
	 * what is for us only. Optional. Return: 0 or -errno.
	 */
	int (*set_addresses)(struct netdev *device, const struct ip_address *addresses,
			     unsigned int count);

	/*
	 * Before a sleep: a descriptor that becomes readable when a frame has arrived; wakes_out
	 * false: a frame has arrived already, do not sleep. -ENOTSUP: this device has none, look
	 * again after a short sleep. Optional, as -ENOTSUP.
	 */
	int (*idle_fd)(struct netdev *device, bool *sleep_out);

	/*
	 * Another descriptor, as idle_fd's: the device's, where idle_fd gives what other runtimes that
	 * share it wake us by. -ENOENT: another one waits for the device. Optional, as that.
	 */
	int (*device_fd)(struct netdev *device, bool *sleep_out);

	/* When a frame that is under way will be there; UINT64_MAX: there is none. Simulated links;
	 * optional. */
	uint64_t (*next_ns)(const struct netdev *device);

	/* Bring the counters up to date that the system or the card keeps. Optional. */
	void (*update_counters)(struct netdev *device);

	/* In the child of a fork: close the descriptors and touch nothing that is shared. Required. */
	void (*forget)(struct netdev *device);

	/* Give everything back, release what was not sent yet, and free the device. Required. */
	void (*close)(struct netdev *device);
};

/** What a device can do. The device fills it before it is handed out. */
struct netdev_caps {
	struct eth_address mac;
	uint32_t mtu;             /* bytes of an IP packet: 1500 */
	uint32_t interface_index; /* the kernel's, of the interface that it is; 0: of none */
	uint32_t segments_max;    /* bufs in the chain of a frame to be sent, 1 or more */
	bool checksum_v4;         /* serves BUF_CHECKSUM, for UDP and TCP over IPv4 */
	bool checksum_v6;
	bool shares_interface; /* with the kernel, which has the other addresses of it */
	bool polls_memory;     /* finding nothing costs rx_burst a look at memory, no system call */
	/* Keeps what was sent until it sends more: nobody should wait for it to let go of memory. */
	bool late_release;
};

/** Counters of a device; each is written by the device alone. */
struct netdev_counters {
	uint64_t rx_frames;
	uint64_t rx_bytes;
	uint64_t rx_no_frame; /* lost since no frame was free */
	uint64_t rx_errors;   /* lost in the device or the link, as far as it tells */
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t tx_full;         /* times that not all frames were taken */
	uint64_t tx_errors;       /* frames that were taken and could not be sent */
	uint64_t tx_copied_bytes; /* payload by reference that the device had to copy */
};

/** Embedded by each device. */
struct netdev {
	const struct netdev_ops *ops;
	struct heap *heap;
	struct heap_frames *frames; /* room for a whole frame of caps.mtu */
	struct heap_frames *shells; /* struct buf and what the device needs beside it */
	uint32_t room_offset; /* in a frame: from its start to the first byte that may be data */
	uint32_t data_offset; /* room_offset + NETDEV_HEAD_ROOM or more */
	struct netdev_caps caps;
	struct netdev_counters counters;
	/* -errno once it is gone for good, which it has logged: it receives nothing, and what it is
	 * given to send it takes and drops. 0: it works. The device writes it, when it is called. */
	int failure;
	struct netdev_share
		*share; /* of a device that several runtimes share; NULL: it is one's alone */
	char name[64];  /* for messages: "afxdp:veth0" */
};

/** What netdev_open needs to know beside the name. */
struct netdev_options {
	struct heap *heap;
	const struct config *config;
	/* Instead of the device's own; all zero: none. */
	struct eth_address mac;
	uint64_t seed; /* for simulated links */
};

/**
 * netdev_open - make the device that a name of the configuration says
 * @name: "dpdk:net_memif0,role=client", "afxdp:veth0", "tap:demi0", "loop:NAME", "sim:..."
 *
 * Return: 0, -ENOTSUP (no such kind in this build), -EINVAL (arguments), -ENODEV, -EPERM, -ENOMEM
 * and what the system says; each has been logged with what to do.
 */
int netdev_open(struct netdev **device_out, const char *name, const struct netdev_options *options);

/** netdev_kinds - the kinds of this build, separated by ", " */
const char *netdev_kinds(void);

/** netdev_close - as ops->close; NULL is allowed */
void netdev_close(struct netdev *device);

/** netdev_tell - every counter as a figure of part "device", zeroes too; update_counters first */
void netdev_tell(struct netdev *device, figure_fn *tell, void *context);

/** netdev_log - the counters at level info; update_counters first */
void netdev_log(struct netdev *device);

/**
 * netdev_init - what all devices have: ops, heap, frames and shells
 * @frame_bytes, @shell_bytes: sizes, with struct buf at the start; the device's own structures may
 *   follow up to room_offset
 * @frame_count: of each
 * @data_offset: where received data starts in a frame; at least @room_offset + NETDEV_HEAD_ROOM
 *
 * Every frame and shell is initialised once; what netdev_alloc does not set stays.
 * Return: 0 or -errno, having logged it; netdev_fini undoes it.
 */
int netdev_init(struct netdev *device, const struct netdev_ops *ops, struct heap *heap,
		uint32_t frame_bytes, uint32_t shell_bytes, uint32_t frame_count,
		uint32_t room_offset, uint32_t data_offset);

/**
 * netdev_station - the Ethernet address of ours on an interface whose other end is the kernel's, with
 * the address @kernel
 *
 * That of the options, or a locally administered one (IEEE 802, section 8.4), which is another one for
 * each seed and each @kernel: two interfaces may share a bridge.
 */
struct eth_address netdev_station(const struct netdev_options *options, struct eth_address kernel);

/** netdev_fini - give frames and shells back; those in use live on as objects of the heap */
void netdev_fini(struct netdev *device);

/**
 * netdev_alloc - a frame to be sent, or to be received into: length 0, data at data_offset
 *
 * With one hold, the caller's. NULL: all are in use.
 */
static inline struct buf *netdev_alloc(struct netdev *device)
{
	struct buf *buf = frame_take(device->frames);

	if (unlikely(!buf))
		return NULL;
	buf->data = (unsigned char *)buf + device->data_offset;
	buf->length = 0;
	buf->next = NULL;
	buf->flags = 0;
	return buf;
}

/**
 * netdev_reference - a shell over @length bytes at @data, which lie in one object of the heap
 *
 * It holds that object. NULL: all shells are in use.
 */
static inline struct buf *netdev_reference(struct netdev *device, void *data, uint32_t length)
{
	struct buf *buf = frame_take(device->shells);

	if (unlikely(!buf))
		return NULL;
	heap_hold(device->heap, data);
	buf->data = data;
	buf->length = length;
	buf->object = data;
	buf->next = NULL;
	buf->flags = 0;
	return buf;
}

/**
 * netdev_release - drop the hold on one buf, not on its chain: a frame, received or to be sent, or
 * a shell, which lets go of what it refers to; tells transmit.done
 */
static inline void netdev_release(struct netdev *device, struct buf *buf)
{
	if (buf->object) {
		heap_release(device->heap, buf->object);
		buf->object = NULL;
	}
	if (unlikely(buf->flags & BUF_DONE)) {
		buf->flags &= ~BUF_DONE;
		buf->transmit.done->done(buf->transmit.done);
	}
	frame_release(device->heap, buf);
}

/** netdev_release_chain - netdev_release for every buf of a frame; NULL is the empty chain */
static inline void netdev_release_chain(struct netdev *device, struct buf *buf)
{
	while (buf) {
		struct buf *next = buf->next;

		netdev_release(device, buf);
		buf = next;
	}
}

/** buf_chain_length - bytes of all bufs */
static inline uint32_t buf_chain_length(const struct buf *buf)
{
	uint32_t length = 0;

	for (; buf; buf = buf->next)
		length += buf->length;
	return length;
}

/** buf_prepend - @bytes more in front of the data, which the caller fills; there must be room */
static inline unsigned char *buf_prepend(struct buf *buf, uint32_t bytes)
{
	buf->data -= bytes;
	buf->length += bytes;
	return buf->data;
}

/** buf_pull - leave out the first @bytes of the data, at most its length */
static inline void buf_pull(struct buf *buf, uint32_t bytes)
{
	buf->data += bytes;
	buf->length -= bytes;
}

#endif /* DEMI_NETDEV_NETDEV_H */
