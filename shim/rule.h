/* SPDX-License-Identifier: MIT */
/*
 * Which sockets are ours. Rules are looked at in their order, and the first that fits decides; where
 * none does, what is within the stack's own prefixes is ours.
 *
 *   demi|kernel [tcp|udp] ADDRESS[:PORT[-PORT]]
 *
 * ADDRESS is "*", 10.0.0.0/24, 10.0.0.7, [fd00::/64] or [fd00::7].
 */
#ifndef SHIM_RULE_H
#define SHIM_RULE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define RULES_MAX 32u
#define PREFIXES_MAX 32u

enum side {
	SIDE_UNDECIDED, /* neither bound nor connected */
	SIDE_KERNEL,
	SIDE_DEMI,
	SIDE_BOTH, /* a wildcard address, or datagrams to both */
};

/** Addresses that agree in their first bits; IPv4 as ::ffff:0:0/96. */
struct prefix {
	struct in6_addr address;
	unsigned int bits;
};

struct rule {
	enum side side;
	int type; /* SOCK_STREAM, SOCK_DGRAM; 0: any */
	struct prefix prefix;
	uint16_t port_first, port_last;
};

struct rules {
	struct rule rules[RULES_MAX];
	unsigned int count;
	struct prefix own[PREFIXES_MAX]; /* the stack's addresses, with their prefixes' lengths */
	unsigned int own_count;
	struct prefix kernel[PREFIXES_MAX]; /* the kernel's addresses, whole */
	unsigned int kernel_count;
};

/**
 * rules_parse - from the values of shim.rules and net.ip
 * @message: filled with what is wrong, and what would be right
 *
 * Return: 0 or -EINVAL.
 */
int rules_parse(struct rules *rules, const char *text, const char *own, char *message,
		size_t message_size);

/** rules_add_kernel - @address is one of the kernel's own; others than IPv4 and IPv6 are ignored */
void rules_add_kernel(struct rules *rules, const struct sockaddr *address);

/** rules_bind - whose a socket is that is bound to @address; SIDE_BOTH for wildcard addresses */
enum side rules_bind(const struct rules *rules, int type, const struct sockaddr *address);

/** rules_connect - whose a socket is that is connected to, or sends to, @address */
enum side rules_connect(const struct rules *rules, int type, const struct sockaddr *address);

/** address_is_wildcard - 0.0.0.0, ::, ::ffff:0.0.0.0 */
bool address_is_wildcard(const struct sockaddr *address);

/** address_port - in host order; 0 for families without */
uint16_t address_port(const struct sockaddr *address);

#endif /* SHIM_RULE_H */
