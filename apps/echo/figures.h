/* SPDX-License-Identifier: MIT */
/* The library's statistics, as demi-echo prints them. */
#ifndef ECHO_FIGURES_H
#define ECHO_FIGURES_H

#include <stdint.h>

/** figures_name_runtime - this thread's are told with its number: there are several */
void figures_name_runtime(uint32_t number);

/** figures_print - those that are not 0, a line each, to standard error */
void figures_print(const char *program);

/** figures_print_if_requested - when SIGUSR1 has come since the last call */
void figures_print_if_requested(const char *program);

#endif /* ECHO_FIGURES_H */
