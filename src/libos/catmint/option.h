/* SPDX-License-Identifier: MIT */
/* The options of Catmint's sockets. */
#ifndef DEMI_LIBOS_CATMINT_OPTION_H
#define DEMI_LIBOS_CATMINT_OPTION_H

#include <sys/socket.h>

#include "queue/queue.h"

struct connection_options;

/** option_init - what Linux says by default */
void option_init(struct connection_options *options);

/**
 * connection_set_option, connection_get_option - setsockopt(2), getsockopt(2)
 *
 * Return: 0; -ENOTSUP (level); -ENOPROTOOPT (option, or not for this direction or domain); -EINVAL
 * (value or length).
 */
int connection_set_option(struct queue *queue, int level, int name, const void *value,
			  socklen_t length);
int connection_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length);

#endif /* DEMI_LIBOS_CATMINT_OPTION_H */
