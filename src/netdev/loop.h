/* SPDX-License-Identifier: MIT */
/*
 * The device "loop": a link inside the process, without a system call on the path of a frame.
 *
 * "loop:NAME" is one of the two stations on the link of that name, which may be in two threads,
 * each with its own runtime: a ring for each direction joins them, and frames are copied, since
 * each heap belongs to one thread. When a ring is full the sender is told. "loop" is alone on its
 * link: what it sends is dropped, and counted as tx_errors, as is what is sent to a station that
 * is not there (any more).
 *
 * Memory does not corrupt: a frame whose checksum the device was to complete arrives with the
 * field as it is and as BUF_CHECKED; all others are for the receiver to verify.
 */
#ifndef DEMI_NETDEV_LOOP_H
#define DEMI_NETDEV_LOOP_H

/** Limits of net.mtu for it; 1500 without. Both stations have the same. */
#define LOOP_MTU_MIN 68u
#define LOOP_MTU_MAX 9000u

/** Length of NAME, at most. */
#define LOOP_NAME_BYTES_MAX 31u

#endif /* DEMI_NETDEV_LOOP_H */
