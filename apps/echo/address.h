/* SPDX-License-Identifier: MIT */
/* Socket addresses as people write them: 127.0.0.1:7000, [::1]:7000, localhost:7000. */
#ifndef ECHO_ADDRESS_H
#define ECHO_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

/* Room for "[IPv6%zone]:65535" and the final zero. */
#define ADDRESS_TEXT_MAX 80

struct address {
	struct sockaddr_storage storage;
	socklen_t length; /* bytes used in storage */
};

/**
 * address_parse - read HOST:PORT; names are resolved with getaddrinfo(3)
 *
 * Return: NULL, or what is wrong with @text, in words that follow "it is wrong because:".
 */
const char *address_parse(struct address *address, const char *text);

uint16_t address_port(const struct address *address);

/** address_format - write an address the way address_parse reads it. */
void address_format(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX]);

#endif /* ECHO_ADDRESS_H */
