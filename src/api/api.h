/* SPDX-License-Identifier: MIT */
/*
 * What the public calls share: find this thread's runtime, check the arguments, start an
 * operation. Here negative errno becomes positive.
 */
#ifndef DEMI_API_API_H
#define DEMI_API_API_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "libos/runtime.h"

/** The calling thread's runtime, or NULL. Read once in each call. */
extern _Thread_local struct runtime *api_runtime __attribute__((tls_model("initial-exec")));

static inline void api_restore_errno(const int *saved)
{
	errno = *saved;
}

/** API_KEEP_ERRNO - whatever the kernel says until the end of the scope, errno stays as it was */
#define API_KEEP_ERRNO \
	__attribute__((cleanup(api_restore_errno), unused)) const int saved_errno = errno

/** api_pointer_ok - whether a pointer may be used for objects of @alignment */
static inline bool api_pointer_ok(const void *pointer, size_t alignment)
{
	return pointer && ((uintptr_t)pointer & (alignment - 1)) == 0;
}

#define API_POINTER_OK(pointer) api_pointer_ok(pointer, _Alignof(__typeof__(*(pointer))))

/**
 * api_load_config - the configuration as file and environment give it now
 *
 * Return: 0 or a positive errno, having logged what is wrong.
 */
int api_load_config(struct config *config);

/** api_watch_thread - the calling thread has a runtime: end it with the thread, if not before */
void api_watch_thread(void);

/** api_find - the runtime and the queue of @qd; 0, ENOSYS or EBADF */
static inline int api_find(int qd, struct runtime **runtime_out, struct queue **queue_out)
{
	struct runtime *runtime = api_runtime;
	struct queue *queue;

	if (!runtime)
		return ENOSYS;
	queue = queue_lookup(&runtime->context.queues, qd);
	if (!queue)
		return EBADF;
	*runtime_out = runtime;
	*queue_out = queue;
	return 0;
}

/** api_find_for_op - as api_find, for a call that stores a token; also EFAULT */
static inline int api_find_for_op(const demi_qtoken_t *qt_out, int qd, struct runtime **runtime_out,
				  struct queue **queue_out)
{
	int error = api_find(qd, runtime_out, queue_out);

	if (!error && !API_POINTER_OK(qt_out))
		return EFAULT;
	return error;
}

/** api_started - the end of a call that starts an operation: its token, or its error */
static inline int api_started(struct runtime *runtime, struct op *op, int error,
			      demi_qtoken_t *qt_out)
{
	if (error) {
		op_free(&runtime->context.ops, op);
		return -error;
	}
	*qt_out = op_token(op);
	return 0;
}

/** api_give_descriptor - enter a new queue; closes it when there is no room */
int api_give_descriptor(struct runtime *runtime, struct queue *queue, int *qd_out);

#endif /* DEMI_API_API_H */
