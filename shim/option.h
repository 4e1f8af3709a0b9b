/* SPDX-License-Identifier: MIT */
/* Socket options, ioctl and fcntl of the sockets in the table. */
#ifndef SHIM_OPTION_H
#define SHIM_OPTION_H

#include <sys/socket.h>

#include "socket.h"

/** option_set, option_get - as the system calls; 0 or -errno */
int option_set(struct socket *socket, int fd, int level, int name, const void *value,
	       socklen_t length);
int option_get(struct socket *socket, int fd, int level, int name, void *value, socklen_t *length);

/**
 * option_tell - demi_setsockopt(3), but for errors of ICMP (IP_RECVERR): nobody here takes the reports
 * that the stack would make of them
 */
int option_tell(int qd, int level, int name, const void *value, socklen_t length);

/** option_is_lost - one that was taken before the stack could say: trace and count it */
void option_is_lost(int level, int name, int error);

/** option_control - ioctl(2); what it returns, or -errno */
int option_control(struct socket *socket, int fd, unsigned long request, void *argument);

#endif /* SHIM_OPTION_H */
