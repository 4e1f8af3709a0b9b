/* SPDX-License-Identifier: MIT */
/*
 * The logs of a libOS that has logs, all of them: for tools. Single logs are opened by demi_open(3),
 * read by demi_pop(3) and cut by demi_truncate(3).
 */
#ifndef DEMI_LOG_H
#define DEMI_LOG_H

#include <stdint.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One log. */
typedef struct demi_log {
	const char *log_name; /* valid during the call that it is told in */
	uint64_t log_first;   /* number of the first record that was not dropped */
	uint64_t log_end;     /* number that the next record gets */
	uint64_t log_bytes;   /* of the device that it has */
	int log_damaged;      /* not 0: some of its records cannot be read */
} demi_log_t;

/** Told of one log. Return: 0 to go on; a positive number to stop. It may call no demi_ function. */
typedef int (*demi_log_fn_t)(const demi_log_t *log, void *context);

/**
 * demi_log_each - all logs, in the order of their names
 *
 * Return: 0, what @visit returned, ENOSYS, EFAULT, ENOMEM, EOPNOTSUPP (the libOS has no logs).
 */
ATTR_NONNULL(1)
extern int demi_log_each(_In_ demi_log_fn_t visit, _In_opt_ void *context);

/**
 * Told by demi_log_check of one problem, in words, with the record that has it; or, with @problem
 * NULL, of a log that is whole, with the number of its end. @log "": the device itself.
 */
typedef void (*demi_log_problem_fn_t)(const char *log, uint64_t record, const char *problem,
				      void *context);

/**
 * demi_log_check - read all records of all logs, and see whether they are what was written
 * @problems_out: how many there are; may be NULL
 *
 * Waits for the device. Return: 0, also when there are problems; ENOSYS, EFAULT, ENOMEM, EIO,
 * ENODEV, EOPNOTSUPP (the libOS has no logs).
 */
ATTR_NONNULL(1)
extern int demi_log_check(_In_ demi_log_problem_fn_t tell, _In_opt_ void *context,
			  _Out_opt_ uint64_t *problems_out);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_LOG_H */
