/* SPDX-License-Identifier: MIT */
/*
 * Writes what enters and leaves a stack to a pcapng file; the reason why a frame was dropped is its
 * comment. For looking inside: it makes a system call now and then, and costs nothing when it is
 * not there.
 */
#ifndef DEMI_NET_CAPTURE_H
#define DEMI_NET_CAPTURE_H

#include <stdint.h>

#include "heap/buf.h"

struct capture;

/** Bytes of a frame that are kept; of a longer one the file tells the length only. */
#define CAPTURE_FRAME_BYTES_MAX 65536u

/**
 * capture_open - create the file; one that exists is replaced
 * @device_name: of the interface in the file
 * @unix_ns_at_zero: what to add to the stack's times to get nanoseconds since 1970
 *
 * Only its owner may read it. A later error of writing is logged, and ends the capture and nothing
 * else.
 * Return: 0; -EINVAL (a pipe: its reader could stop us), -ENOMEM or what open and write say, each
 * having been logged.
 */
int capture_open(struct capture **capture_out, const char *path, const char *device_name,
		 uint64_t unix_ns_at_zero);

/** capture_close - write what is left; NULL is allowed */
void capture_close(struct capture *capture);

/** capture_forget - in the child of a fork: close the descriptor, write nothing */
void capture_forget(struct capture *capture);

/**
 * capture_keep - copy a received frame before the stack changes it; capture_received - and its fate
 * @comment: why it was dropped; NULL: it was not
 *
 * Frames may be sent in between. capture_received without capture_keep does nothing.
 */
void capture_keep(struct capture *capture, const struct buf *frame);
void capture_received(struct capture *capture, uint64_t now_ns, const char *comment);

/** capture_sent - a frame as it is handed to the device; @comment as above */
void capture_sent(struct capture *capture, uint64_t now_ns, const struct buf *frame,
		  const char *comment);

/**
 * capture_flush - let readers of the file see everything so far, but for the last 100 ms of frames
 *
 * For each round of the stack: it compares two numbers unless there is something to write.
 * Before a sleep UINT64_MAX as @now_ns writes everything.
 */
void capture_flush(struct capture *capture, uint64_t now_ns);

#endif /* DEMI_NET_CAPTURE_H */
