/* SPDX-License-Identifier: MIT */
/*
 * Messages to the operator, on standard error, one line each: "demi: warning: ...". Never called
 * on the path of an I/O.
 */
#ifndef DEMI_BASE_LOG_H
#define DEMI_BASE_LOG_H

#include "base/config.h"

/** log_set_level - what is written from now on in the whole process; warning at the start. */
void log_set_level(enum config_log_level level);

void log_write(enum config_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(CONFIG_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(CONFIG_LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(CONFIG_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(CONFIG_LOG_DEBUG, __VA_ARGS__)

#endif /* DEMI_BASE_LOG_H */
