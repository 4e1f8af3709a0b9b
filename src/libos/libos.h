/* SPDX-License-Identifier: MIT */
/*
 * A libOS makes queues of its kind and polls its device. Queues move the operations; see
 * queue/queue.h.
 */
#ifndef DEMI_LIBOS_LIBOS_H
#define DEMI_LIBOS_LIBOS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <demi/log.h>

#include "base/config.h"
#include "base/figure.h"
#include "queue/queue.h"

struct libos;

#define LIBOS_WAKES_MAX 4
/** Of these, what one libOS has: two may work together. */
#define LIBOS_WAKES_OF_ONE 2
/** What others may add to a libOS's sleep: a second libOS, and other runtimes. */
#define LIBOS_OTHERS_MAX (LIBOS_WAKES_OF_ONE + 1)

struct libos_ops {
	const char *name; /* as in LIBOS and the configuration */

	/*
	 * Start on the context; required. The fast path is added to its scheduler here.
	 * Return: 0 or -errno, having logged what is wrong and what to do.
	 */
	int (*start)(struct libos **libos_out, struct queue_context *context,
		     const struct config *config);
	/* Release everything; the queues have been closed. Required. */
	void (*stop)(struct libos *libos);

	/* In the child of a fork: as queue_ops.forget. Required. */
	void (*forget)(struct libos *libos);

	/* Make a queue without a descriptor; the caller gives it one. NULL: has none of the kind. */
	int (*socket)(struct libos *libos, struct queue **queue_out, int domain, int type,
		      int protocol);
	int (*open)(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		    mode_t mode);

	/* Give what open opens another name, or take its name away; durable on return, and those that
	 * have it open keep it. 0 or -errno. NULL: there are no such names. */
	int (*rename)(struct libos *libos, const char *path, const char *new_path);
	int (*unlink)(struct libos *libos, const char *path);

	/*
	 * Whether threads of the kernel work for us (a durable write): a wait that spins for long
	 * would keep them from a CPU that they need. Optional.
	 */
	bool (*kernel_works)(const struct libos *libos);

	/* Everything that is counted, zeroes too, always in the same order. Optional. */
	void (*tell_figures)(struct libos *libos, figure_fn *tell, void *context);

	/*
	 * Sleep in the kernel until the device has work, or one of @others, or @timeout_ns are over
	 * (UINT64_MAX: never), with @signals as the mask meanwhile. Required.
	 * @others: @other_count descriptors more to wait for, LIBOS_OTHERS_MAX at most
	 * Return: 0, -EINTR when a handler ran.
	 */
	int (*sleep)(struct libos *libos, uint64_t timeout_ns, const sigset_t *signals,
		     const struct pollfd *others, int other_count);

	/*
	 * For somebody who sleeps instead: what to wait for, and how long at most. It holds until
	 * the next poll. @wakes: room for LIBOS_WAKES_MAX. @timeout_ns in: UINT64_MAX, or when it ends
	 * anyway; out: no later than that. Required.
	 * Return: how many descriptors, LIBOS_WAKES_OF_ONE at most (of a pair twice as many), or -EAGAIN when there is work and no reason to sleep.
	 */
	int (*idle)(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns);

	/* As demi_log_each and demi_log_check, for one that has logs. Return: what @visit returned, or
	 * -errno; the number of problems, or -errno. */
	int (*each_log)(struct libos *libos, demi_log_fn_t visit, void *context);
	int64_t (*check_logs)(struct libos *libos, demi_log_problem_fn_t tell, void *context);

	/* Whether only the thread that started it may call it. Optional: it does not matter. */
	bool (*stays_in_thread)(const struct libos *libos);
};

struct libos {
	const struct libos_ops *ops;
};

/**
 * libos_find - the libOS of a name, or that of two that work together
 * @name: "catnip", or "catnip+cattree": the first has sockets, the second logs and nothing else
 *
 * Return: NULL when it is unknown or was left out of the build.
 */
const struct libos_ops *libos_find(const char *name);

/** libos_find_pair - the two of "FIRST+SECOND"; false: it is not such a name */
bool libos_find_pair(const char *name, const struct libos_ops **first_out,
		     const struct libos_ops **second_out);

/** libos_names - names that libos_find knows, separated by ", " */
const char *libos_names(void);

/**
 * libos_sleep_idle - a sleep for a libOS whose idle names all that it waits for
 *
 * Parameters and return value are those of sleep.
 */
int libos_sleep_idle(struct libos *libos, uint64_t timeout_ns, const sigset_t *signals,
		     const struct pollfd *others, int other_count);

#endif /* DEMI_LIBOS_LIBOS_H */
