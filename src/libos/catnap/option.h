/* SPDX-License-Identifier: MIT */
/* The socket options that Catnap serves: the kernel's, behind one table that says which. */
#ifndef DEMI_LIBOS_CATNAP_OPTION_H
#define DEMI_LIBOS_CATNAP_OPTION_H

#include <sys/socket.h>

/**
 * option_set, option_get - setsockopt(2) and getsockopt(2) on @fd, for options in the table
 *
 * Return: 0; -ENOTSUP (level); -ENOPROTOOPT (option, or not for this direction or socket);
 * -EINVAL (value or length); or the kernel's -errno.
 */
int option_set(int fd, int level, int name, const void *value, socklen_t length);
int option_get(int fd, int level, int name, void *value, socklen_t *length);

#endif /* DEMI_LIBOS_CATNAP_OPTION_H */
