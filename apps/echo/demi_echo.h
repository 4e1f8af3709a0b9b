/* SPDX-License-Identifier: MIT */
/* demi-echo's two roles, over the public API alone. */
#ifndef ECHO_DEMI_ECHO_H
#define ECHO_DEMI_ECHO_H

#include <demi/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "client.h"
#include "options.h"
#include "serving.h"

#define DEMI_ECHO_RESULTS 32 /* completed operations taken by one wait */

extern const struct client_io_ops demi_client_io;

/**
 * demi_server_open - listen, on this thread's runtime
 * @address: where; it and @options stay until demi_server_close
 *
 * Return: what it counts; NULL: it has been said why not.
 */
struct serving *demi_server_open(const struct options *options,
				 const struct sockaddr_storage *address);

/** demi_server_address - where it listens, with the port that it got */
const struct sockaddr_storage *demi_server_address(struct serving *serving);

/** demi_server_serve - until the end. Return: the thread's exit status */
int demi_server_serve(struct serving *serving);

/** demi_server_close - free its memory; demi_fini has the rest */
void demi_server_close(struct serving *serving);

/**
 * demi_server_run, demi_client_run - the role in as many threads as the options say, each with a runtime
 *
 * Return: the program's exit status.
 */
int demi_server_run(const struct options *options);
int demi_client_run(const struct options *options);

/** sga_length - bytes in all segments of an array. */
static inline size_t sga_length(const demi_sgarray_t *array)
{
	size_t length = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		length += array->sga_segs[i].sgaseg_len;
	return length;
}

#endif /* ECHO_DEMI_ECHO_H */
