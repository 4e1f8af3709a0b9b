/* SPDX-License-Identifier: MIT */
/* demi-log: looks at the logs of a block device. What its commands share. */
#ifndef TOOLS_LOG_LOG_H
#define TOOLS_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <demi/demi.h>

#define EXIT_USAGE 2

struct log_options {
	const char *device;  /* --blk; NULL: the environment or the file says it */
	const char *name;    /* of the log; NULL: all */
	uint64_t from;       /* first record; the log's first when it is later */
	uint64_t count;      /* records at most */
	const char *segment; /* --segment, as given; NULL: what suits */
	bool json;
	bool raw; /* records without a newline behind each */
	bool overwrite;
};

/** log_refuse - one line on standard error; returns EXIT_FAILURE */
__attribute__((format(printf, 1, 2))) int log_refuse(const char *format, ...);

/* Each with the library running over the device, read only. Return: the exit status. */
int log_list(const struct log_options *options);
int log_cat(const struct log_options *options);
int log_dump(const struct log_options *options);
int log_check(const struct log_options *options);

#endif /* TOOLS_LOG_LOG_H */
