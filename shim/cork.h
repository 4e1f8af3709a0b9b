/* SPDX-License-Identifier: MIT */
/*
 * TCP_CORK and MSG_MORE: bytes that wait for more, so that a header and the file behind it share a
 * segment. As on Linux they go after 200 ms at the latest.
 */
#ifndef SHIM_CORK_H
#define SHIM_CORK_H

#include <stdbool.h>
#include <stddef.h>

#include "socket.h"

/** cork_room - bytes that can be added at cork_end; 0: none, and it must be flushed first */
size_t cork_room(struct socket *socket);

/** cork_end - where the next bytes go; valid while there is room */
unsigned char *cork_end(struct socket *socket);

/** cork_add - @bytes have been written there */
void cork_add(struct socket *socket, size_t bytes);

/** cork_flush - push what waits; 0, or -EAGAIN when the library takes no push now */
int cork_flush(struct socket *socket);

/** cork_drop - forget what waits */
void cork_drop(struct socket *socket);

/** corks_forget - in the child of a fork: they hold the parent's memory */
void corks_forget(void);

/** corks_flush_old - those that have waited for too long; whether any waits still */
bool corks_flush_old(void);

#endif /* SHIM_CORK_H */
