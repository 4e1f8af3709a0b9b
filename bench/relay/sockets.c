/* SPDX-License-Identifier: MIT */
/*
 * So many UDP sockets of Demi with a pop outstanding on each, every other one of IPv6: what of the
 * relay's memory is theirs. Says "ready" before there are any, and when there are all, each time waiting
 * for a byte.
 *
 * usage: demi-bench-relay-sockets COUNT IP IPV6 FIRST_PORT
 */
#include <arpa/inet.h>
#include <demi/demi.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for_word(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) < 0)
		err(1, "standard input");
}

static void check(const char *what, int error)
{
	if (error)
		errx(1, "%s: %s", what, strerror(error));
}

static void open_one(int family, const char *ip, uint16_t port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool is_four = family == AF_INET;
	demi_qtoken_t token;
	int qd;

	if (inet_pton(family, ip, is_four ? (void *)&four.sin_addr : &six.sin6_addr) != 1)
		errx(2, "%s is no such address", ip);
	check("socket", demi_socket(&qd, family, SOCK_DGRAM, 0));
	check("bind", is_four ? demi_bind(qd, (struct sockaddr *)&four, sizeof(four))
			      : demi_bind(qd, (struct sockaddr *)&six, sizeof(six)));
	check("pop", demi_pop(&token, qd));
}

int main(int argc, char **argv)
{
	unsigned long count, port;

	if (argc != 5)
		errx(2, "usage: demi-bench-relay-sockets COUNT IP IPV6 FIRST_PORT");
	count = strtoul(argv[1], NULL, 10);
	port = strtoul(argv[4], NULL, 10);
	if (port == 0 || port + (count + 1) / 2 > 65536)
		errx(2, "there are not so many ports");
	check("init", demi_init(NULL));
	wait_for_word();
	for (unsigned long i = 0; i < count; i++)
		open_one(i % 2 ? AF_INET6 : AF_INET, argv[2 + i % 2], (uint16_t)(port + i / 2));
	wait_for_word();
	demi_fini();
	return 0;
}
