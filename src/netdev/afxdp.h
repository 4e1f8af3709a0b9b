/* SPDX-License-Identifier: MIT */
/*
 * What the files of the afxdp device share.
 *
 * The UMEM is the run of memory that the device's frames lie in, cut into chunks of 2048 bytes,
 * which is the size of a frame: a chunk is a frame, or heap state that no descriptor ever names.
 * So an address in a ring and a struct buf are one subtraction apart, and what the kernel has
 * written becomes the application's without a copy. A frame in the kernel's hands has one hold.
 */
#ifndef DEMI_NETDEV_AFXDP_H
#define DEMI_NETDEV_AFXDP_H

#include <linux/if.h>
#include <xdp/xsk.h>

#include "netdev/afxdp_overhear.h"
#include "netdev/afxdp_steer.h"
#include "netdev/netdev.h"

#define AFXDP_CHUNK_SHIFT 11u
#define AFXDP_CHUNK_BYTES (1u << AFXDP_CHUNK_SHIFT)
#define AFXDP_ROOM_OFFSET 64u /* struct buf; the kernel leaves it alone as head room */
/* The kernel receives behind XDP_PACKET_HEADROOM, 256 bytes, of its own. */
#define AFXDP_DATA_OFFSET (AFXDP_ROOM_OFFSET + 256u)
#define AFXDP_FRAME_BYTES_MAX (AFXDP_CHUNK_BYTES - AFXDP_DATA_OFFSET)
/* Frames for a queue to begin with. Few are better: they stay in the processor's cache. */
#define AFXDP_FILL_START 1024u
#define AFXDP_SENT_MAX 1024u  /* descriptors that the kernel has to send; a power of two */
#define AFXDP_SEGMENTS_MAX 8u /* what network cards that take several descriptors take */
#define AFXDP_QUEUES_MAX 64u  /* that one device serves */

/* One queue of the interface. Only the first one sends. */
struct afxdp_queue {
	struct xsk_socket *socket;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx;
	int fd;
	uint32_t number;     /* of the interface */
	uint32_t held;       /* frames in the kernel's hands to receive into */
	uint32_t wanted;     /* how many it is to have: FILL_START, more where many come at once */
	uint32_t peak;       /* the most that had come at a look, since wanted was looked at */
	struct buf *partial; /* start of a frame of several descriptors whose end is to come */
	struct buf *partial_last;
};

/* A descriptor that was sent, until its address comes back. */
struct afxdp_sent {
	struct buf *buf;
	uint64_t address;
	uint16_t next; /* of the same chunk, or free; a number from 1 on, 0: none */
};

/* What of a chunk is being sent, in the order of sending. */
struct afxdp_chunk {
	uint16_t first;
	uint16_t last;
};

struct afxdp {
	struct netdev device;
	char interface[IFNAMSIZ];
	unsigned char *memory; /* of the UMEM */
	size_t memory_bytes;
	struct xsk_umem *umem;
	struct afxdp_queue *queues;
	uint32_t queue_count;
	uint32_t queue_next; /* whose turn it is to be received from */
	uint32_t
		fill_count; /* frames that a queue's kernel side has at most: the size of its rings */
	uint32_t reserve;   /* frames that are left for sending */
	uint64_t *in_kernel; /* one bit a chunk: in some queue's hands to receive into */
	bool zero_copy;
	bool can_scatter; /* the kernel takes a frame of several descriptors */
	bool scatter;     /* and it is worth it */
	bool busy_poll;
	uint64_t kick_ns;       /* when to ask the kernel again to send; UINT64_MAX: not */
	uint64_t tend_ns;       /* when to ask for statistics again, and for the interface */
	uint64_t lost_no_frame; /* what they said the last time */
	uint64_t lost_errors;
	uint32_t sent_count;
	uint16_t sent_free;      /* the first one's number */
	struct afxdp_sent *sent; /* [1 .. AFXDP_SENT_MAX] */
	struct afxdp_chunk *chunks;
	struct steer steer;
	struct overhear overhear;
	bool is_down; /* the interface, as it was said last */
	int idle_fd;  /* epoll over all sockets */
};

struct afxdp_settings {
	enum config_afxdp_mode mode;
	uint32_t queue;       /* the first one */
	uint32_t queue_count; /* 0: all from that one on */
	uint32_t busy_poll_us;
};

static inline struct afxdp *afxdp_of(struct netdev *device)
{
	return (struct afxdp *)(void *)((char *)device - offsetof(struct afxdp, device));
}

/** afxdp_contains - whether @length bytes at @data are of one chunk of the UMEM, and not none */
static inline bool afxdp_contains(const struct afxdp *afxdp, const void *data, uint32_t length)
{
	uintptr_t offset = (uintptr_t)data - (uintptr_t)afxdp->memory;

	return offset < afxdp->memory_bytes && length != 0 &&
	       (offset & (AFXDP_CHUNK_BYTES - 1)) + length <= AFXDP_CHUNK_BYTES;
}

/* afxdp_interface.c */

/**
 * afxdp_interface_open - find the interface, what it can and which of its queues to serve
 *
 * Return: 0 or -errno, having logged it; then settings->queue_count is not 0.
 */
int afxdp_interface_open(struct afxdp *afxdp, struct afxdp_settings *settings);

/** afxdp_queues_say - "queue 0" or "queues 0 to 3" */
#define AFXDP_QUEUES_TEXT_BYTES 40
void afxdp_queues_say(const struct afxdp_settings *settings, char text[AFXDP_QUEUES_TEXT_BYTES]);

/**
 * afxdp_interface_watch - whether it is up, and there, a system call or two; what has changed is said
 *
 * When it is gone everything is let go of, and device.failure is -ENETDOWN.
 */
void afxdp_interface_watch(struct afxdp *afxdp);

/* afxdp.c */

/** afxdp_refuse - log why the device does not start; returns @error */
int afxdp_refuse(const struct afxdp *afxdp, const char *why, int error);

/** afxdp_let_go - detach, close all sockets, and release what the kernel had */
void afxdp_let_go(struct afxdp *afxdp);

/* afxdp_socket.c */

/**
 * afxdp_sockets_open - register the UMEM, make a socket for each queue and bind it
 *
 * The frames are there. Return: 0 or -errno, having logged it; afxdp_sockets_close undoes it.
 */
int afxdp_sockets_open(struct afxdp *afxdp, const struct afxdp_settings *settings);

/** afxdp_sockets_close - nothing of the UMEM is in the kernel's hands any more then */
void afxdp_sockets_close(struct afxdp *afxdp);

/* afxdp_rx.c */

/** afxdp_fill - give the kernel frames to receive into */
void afxdp_fill(struct afxdp *afxdp, struct afxdp_queue *queue);

/** afxdp_take_back - after afxdp_sockets_close: release the frames that it had for that */
void afxdp_take_back(struct afxdp *afxdp);

/** afxdp_statistics - bring the counters of what was lost up to date: one system call a queue */
void afxdp_statistics(struct afxdp *afxdp);

unsigned int afxdp_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
			    uint64_t now_ns);

/* afxdp_tx.c */

unsigned int afxdp_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
			    uint64_t now_ns);
void afxdp_tx_reclaim(struct netdev *device);

/** afxdp_kick - make the kernel send what is in the ring, if it wants to be told */
void afxdp_kick(struct afxdp *afxdp, uint64_t now_ns);

/** afxdp_drain - before the end: let what was handed over be sent, for 100 ms at most */
void afxdp_drain(struct afxdp *afxdp);

/** afxdp_drop_sent - after afxdp_sockets_close: release what was not sent */
void afxdp_drop_sent(struct afxdp *afxdp);

#endif /* DEMI_NETDEV_AFXDP_H */
