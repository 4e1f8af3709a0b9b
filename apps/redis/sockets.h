/* SPDX-License-Identifier: MIT */
/* The calls on sockets of the file that includes this, the last of its headers, go through endpoint.h. */
#ifndef DEMI_REDIS_SOCKETS_H
#define DEMI_REDIS_SOCKETS_H

#include "endpoint.h"

#define accept4(...) endpoint_accept4(__VA_ARGS__)
#define bind(...) endpoint_bind(__VA_ARGS__)
#define close(...) endpoint_close(__VA_ARGS__)
#define connect(...) endpoint_connect(__VA_ARGS__)
#define fcntl(...) endpoint_fcntl(__VA_ARGS__)
#define getpeername(...) endpoint_getpeername(__VA_ARGS__)
#define getsockname(...) endpoint_getsockname(__VA_ARGS__)
#define getsockopt(...) endpoint_getsockopt(__VA_ARGS__)
#define listen(...) endpoint_listen(__VA_ARGS__)
#define poll(...) endpoint_poll(__VA_ARGS__)
#define read(...) endpoint_read(__VA_ARGS__)
#define setsockopt(...) endpoint_setsockopt(__VA_ARGS__)
#define socket(...) endpoint_socket(__VA_ARGS__)
#define write(...) endpoint_write(__VA_ARGS__)
#define writev(...) endpoint_writev(__VA_ARGS__)

#endif
