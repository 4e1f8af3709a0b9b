/* SPDX-License-Identifier: MIT */
/* The device of a runtime: its context, completion queue, receive queue, memory. */
#ifndef DEMI_LIBOS_CATMINT_DEVICE_H
#define DEMI_LIBOS_CATMINT_DEVICE_H

#include "libos/catmint/catmint.h"

/**
 * device_open - open what the configuration says, and register the heap with it
 *
 * Fills limits with what the device has of what is asked for. Return: 0, or -errno, having logged what
 * is wrong and what to do; device_close in any case.
 */
int device_open(struct catmint *mint, const struct config *config);

/** device_close - all connections and sockets are gone; what was not opened is passed over */
void device_close(struct catmint *mint);

/** device_refused - the device has not taken so much memory, with a positive errno: say it, once */
void device_refused(struct catmint *mint, size_t bytes, int error);

/** device_forget - in the child of a fork: close the descriptors, touch nothing else */
void device_forget(const struct catmint *mint);

/**
 * device_events - handle what has come of set-ups, and what the device says by itself
 *
 * Makes system calls: not for every round, but at intervals and after a sleep.
 */
void device_events(struct catmint *mint);

/**
 * device_look - note what the device says by itself; device_events handles it
 *
 * Return: 0, or the -errno that the device has failed with, which is still to be handled, or was.
 */
int device_look(struct catmint *mint);

/**
 * device_arm - the next completion wakes who sleeps on channel->fd
 *
 * Return: 0, or -EAGAIN: some have come in between, do not sleep.
 */
int device_arm(struct catmint *mint);

/** device_disarm - take the events off the completion channel, after a sleep */
void device_disarm(struct catmint *mint);

#endif /* DEMI_LIBOS_CATMINT_DEVICE_H */
