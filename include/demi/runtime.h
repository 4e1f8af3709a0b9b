/* SPDX-License-Identifier: MIT */
/*
 * A thread's runtime as a thing of its own: for programs with an event loop of theirs, and for those
 * whose threads take turns.
 */
#ifndef DEMI_RUNTIME_H
#define DEMI_RUNTIME_H

#include <poll.h>
#include <stddef.h>
#include <time.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A runtime that no thread has at the moment, see demi_detach(3). */
typedef struct demi_runtime demi_runtime_t;

/** Descriptors that demi_idle(3) may name at most. */
#define DEMI_IDLE_MAX 5

/**
 * demi_detach - take this thread's runtime away from it
 *
 * The runtime stands still until a thread, this or another one, attaches it: nothing is received,
 * acknowledged or sent again. Its descriptors and tokens stay valid. The thread may have another
 * one meanwhile. Costs a few nanoseconds.
 *
 * Return: 0, EFAULT, ENOSYS (no runtime), or EOPNOTSUPP (Catnap over io_uring stays in its thread).
 */
ATTR_NONNULL(1)
extern int demi_detach(_Out_ demi_runtime_t **runtime_out);

/**
 * demi_attach - make a detached runtime this thread's
 * @runtime: as demi_detach gave it; no other thread may have it
 *
 * Return: 0, EFAULT, EEXIST (the thread has a runtime), or EINVAL (this is the child of a fork, and
 * the runtime is the parent's).
 */
ATTR_NONNULL(1)
extern int demi_attach(_In_ demi_runtime_t *runtime);

/**
 * demi_idle - what to wait for before it is worth asking this runtime again
 * @wakes: filled with descriptors and the events that they are waited for with
 * @num_wakes: room, DEMI_IDLE_MAX at most are needed
 * @timeout_out: after this time it is worth asking in any case; tv_sec -1: no timer runs
 *
 * To be called after a wait found nothing, and before the program sleeps in poll(2) or the like;
 * afterwards wait again. What it says holds until the next call of any function of this runtime.
 *
 * Return: 0; EAGAIN: there is work, wait again at once; EFAULT, EINVAL (@num_wakes), ENOSYS.
 */
ATTR_NONNULL(1, 3, 4)
extern int demi_idle(_Out_writes_to_(num_wakes, *num_wakes_out) struct pollfd wakes[],
		     _In_ int num_wakes, _Out_ int *num_wakes_out,
		     _Out_ struct timespec *timeout_out);

/**
 * demi_config - the value of a key of the configuration, as demi_init(3) would read it now
 * @key: as in demi.conf(5): "net.ip"
 * @value: filled with its text, an end included: a number in decimal, a choice by its name
 * @size: of @value, bytes; 1,024 are enough for every key
 *
 * Needs no runtime. Return: 0, EFAULT, ENOENT (no such key), ENOSPC (@size), or what demi_init would
 * return for this configuration, having logged what is wrong.
 */
ATTR_NONNULL(1, 2)
extern int demi_config(_In_z_ const char *key, _Out_writes_bytes_(size) char *value,
		       _In_ size_t size);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_RUNTIME_H */
