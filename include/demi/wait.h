/* SPDX-License-Identifier: MIT */
/*
 * Waiting for operations. A timeout is relative: NULL waits for ever, zero polls once. A wait
 * that runs out returns ETIMEDOUT and leaves every operation pending; one that a signal handler
 * interrupts returns EINTR, likewise.
 */
#ifndef DEMI_WAIT_H
#define DEMI_WAIT_H

#include <stddef.h>
#include <time.h>

#include <demi/cc.h>
#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * demi_wait - wait for one operation
 *
 * Return: 0, EINVAL (unknown or used token, bad timeout), ETIMEDOUT, EINTR, ENOSYS, EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_wait(_Out_ demi_qresult_t *qr_out, _In_ demi_qtoken_t qt,
		     _In_opt_ const struct timespec *timeout);

/**
 * demi_wait_any - wait for the first of several operations to complete
 * @ready_offset: its place in @qts; may be NULL
 * @num_qts:      1 or more
 *
 * The cost does not grow with @num_qts. Among several complete ones the first to have completed
 * is returned; but one that an earlier call did not wait for, and whose token was then put into
 * the same array elsewhere than at the returned place or the end, may come later. An unknown token
 * among @qts is EINVAL, found while nothing is ready: at once among up to 64, a few at each look
 * among more.
 * Return: as demi_wait.
 */
ATTR_NONNULL(1, 3)
extern int demi_wait_any(_Out_ demi_qresult_t *qr_out, _Out_opt_ int *ready_offset,
			 _In_reads_(num_qts) const demi_qtoken_t qts[], _In_ int num_qts,
			 _In_opt_ const struct timespec *timeout);

/**
 * demi_wait_all - wait until every one of several operations has completed
 * @qrs_out: @num_qts results, in the order of @qts; written only on success
 *
 * All or nothing: on any error no token is used up. Return: as demi_wait; EINVAL also for a
 * token that stands in @qts twice.
 */
ATTR_NONNULL(1, 2)
extern int demi_wait_all(_Out_writes_(num_qts) demi_qresult_t qrs_out[],
			 _In_reads_(num_qts) const demi_qtoken_t qts[], _In_ int num_qts,
			 _In_opt_ const struct timespec *timeout);

/**
 * demi_wait_next_n - wait for whatever completes next on this thread, up to @num_qrs results
 * @num_qrs_out: results stored at @qr_out, in order of completion; also set (to 0) on ETIMEDOUT
 *
 * Return: 0 with at least one result; else as demi_wait.
 */
ATTR_NONNULL(1, 3)
extern int demi_wait_next_n(_Out_writes_(num_qrs) demi_qresult_t *qr_out, _In_ int num_qrs,
			    _Out_ int *num_qrs_out, _In_opt_ const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_WAIT_H */
