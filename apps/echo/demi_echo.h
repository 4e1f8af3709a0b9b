/* SPDX-License-Identifier: MIT */
/* demi-echo's two roles, over the public API alone. */
#ifndef ECHO_DEMI_ECHO_H
#define ECHO_DEMI_ECHO_H

#include <demi/types.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "options.h"

#define DEMI_ECHO_RESULTS 32 /* completed operations taken by one wait */

extern const struct client_io_ops demi_client_io;

/** demi_server_run - Return: the program's exit status. */
int demi_server_run(const struct options *options);

/** sga_length - bytes in all segments of an array. */
static inline size_t sga_length(const demi_sgarray_t *array)
{
	size_t length = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		length += array->sga_segs[i].sgaseg_len;
	return length;
}

#endif /* ECHO_DEMI_ECHO_H */
