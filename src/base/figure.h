/* SPDX-License-Identifier: MIT */
/*
 * Figures that parts of the library count, by name, on their way to who asks for all of them. A part
 * has a function that tells each of its figures; demi_stats (src/api/stats.c) is who asks.
 */
#ifndef DEMI_BASE_FIGURE_H
#define DEMI_BASE_FIGURE_H

#include <stdint.h>

/**
 * figure_fn - one figure
 * @part, @name, @detail: "udp", "drops", "no_port" for udp.drops.no_port; @detail may be NULL, and
 *   capital letters in it stand for small ones. They may be gone after the call.
 */
typedef void figure_fn(void *context, const char *part, const char *name, const char *detail,
		       uint64_t value);

#endif /* DEMI_BASE_FIGURE_H */
