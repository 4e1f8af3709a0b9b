/* SPDX-License-Identifier: MIT */
/*
 * Between the addresses of programs and those of the stack. A socket of the domain AF_INET6 reaches
 * IPv4 too, by mapped addresses (RFC 3493, section 3.7).
 */
#ifndef DEMI_LIBOS_CATNIP_SOCKADDR_H
#define DEMI_LIBOS_CATNIP_SOCKADDR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "wire/address.h"

/**
 * sockaddr_load - read an address that a program has given, at any alignment
 *
 * Return: 0; -EINVAL (too short, or longer than any), -EAFNOSUPPORT (not of the domain).
 */
int sockaddr_load(const struct sockaddr *address, socklen_t length, bool is_v6,
		  struct ip_address *ip, uint16_t *port);

/** sockaddr_store - write one, cut to the room in *@length, which becomes the true length */
void sockaddr_store(struct sockaddr *address, socklen_t *length, bool is_v6,
		    const struct ip_address *ip, uint16_t port);

#endif /* DEMI_LIBOS_CATNIP_SOCKADDR_H */
