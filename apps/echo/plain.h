/* SPDX-License-Identifier: MIT */
/* echo-plain's two roles, over Linux sockets and epoll. */
#ifndef ECHO_PLAIN_H
#define ECHO_PLAIN_H

#include "client.h"
#include "options.h"

#define PLAIN_EVENTS 32           /* taken by one epoll_wait */
#define PLAIN_RECEIVE_BYTES 65536 /* taken by one recv: a datagram always fits */
#define PLAIN_IDLE_POLLS 256      /* empty polls between two looks at the clock */

extern const struct client_io_ops plain_client_io;

/** plain_server_run - Return: the program's exit status. */
int plain_server_run(const struct options *options);

#endif /* ECHO_PLAIN_H */
