/* SPDX-License-Identifier: MIT */
/*
 * The other end of tests for which an echo is not enough.
 *
 *   net-probe group GROUP PORT    join, answer what comes to the group and to the port, one line
 *                                 each; SIGTERM: leave the group and end
 *
 * and of TCP, see probe.h:
 *
 *   net-probe http ADDRESS PORT
 *   net-probe send ADDRESS PORT BYTES
 *   net-probe backlog ADDRESS PORT BACKLOG
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

static int change_membership(int qd, const struct probe_address *group, bool join)
{
	if (group->any.sa_family == AF_INET) {
		struct ip_mreq request = {.imr_multiaddr = group->v4.sin_addr};

		return demi_setsockopt(qd, IPPROTO_IP,
				       join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
				       sizeof(request));
	} else {
		struct ipv6_mreq request = {.ipv6mr_multiaddr = group->v6.sin6_addr};

		return demi_setsockopt(qd, IPPROTO_IPV6,
				       join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, &request,
				       sizeof(request));
	}
}

/* false: we are to end. */
static bool receive(int qd, demi_sgarray_t *array)
{
	demi_qtoken_t token;
	demi_qresult_t result;

	probe_check(demi_pop(&token, qd), "demi_pop");
	if (!probe_wait(token, &result))
		return false;
	probe_check((int)result.qr_ret, "pop");
	*array = result.qr_value.sga;
	return true;
}

static void answer(int qd, demi_sgarray_t *array)
{
	struct probe_address peer = {.length = sizeof(peer.v6)};
	demi_qtoken_t token;
	demi_qresult_t result;

	probe_check(demi_sgaaddr(array, &peer.any, &peer.length), "demi_sgaaddr");
	probe_check(demi_pushto(&token, qd, array, &peer.any, peer.length), "demi_pushto");
	if (probe_wait(token, &result))
		probe_check((int)result.qr_ret, "push");
}

static void serve_group(const char *group_text, const char *port)
{
	struct probe_address group = probe_parse(group_text, port);
	struct probe_address local = probe_parse(group.any.sa_family == AF_INET ? "0.0.0.0" : "::",
						 port);
	int qd = probe_bound(&local, SOCK_DGRAM);
	demi_sgarray_t array;

	probe_check(change_membership(qd, &group, true), "joining the group");
	puts("ready");
	while (receive(qd, &array)) {
		printf("received %u bytes\n", array.sga_segs[0].sgaseg_len);
		answer(qd, &array);
		demi_sgafree(&array);
	}
	probe_check(change_membership(qd, &group, false), "leaving the group");
	puts("left");
	probe_check(demi_close(qd), "demi_close");
}

static void run(const char *command, char **argv)
{
	struct probe_address address = probe_parse(argv[0], argv[1]);

	if (strcmp(command, "group") == 0)
		serve_group(argv[0], argv[1]);
	else if (strcmp(command, "http") == 0)
		probe_http(&address);
	else if (strcmp(command, "send") == 0)
		probe_send(&address, strtoull(argv[2], NULL, 10));
	else
		probe_backlog(&address, atoi(argv[2]));
}

int main(int argc, char **argv)
{
	static const char *const commands[] = {"group", "http", "send", "backlog"};
	const struct demi_args args = {.argc = argc, .argv = argv};
	size_t number = 0;

	while (argc > 1 && number < 4 && strcmp(argv[1], commands[number]) != 0)
		number++;
	if (argc < 4 || number == 4 || argc != (number < 2 ? 4 : 5)) {
		fprintf(stderr, "usage: net-probe group GROUP PORT | http ADDRESS PORT | "
				"send ADDRESS PORT BYTES | "
				"backlog ADDRESS PORT BACKLOG\n");
		return 2;
	}
	probe_catch_signals();
	setvbuf(stdout, NULL, _IOLBF, 0);
	probe_check(demi_init(&args), "demi_init");
	run(argv[1], argv + 2);
	demi_fini();
	return EXIT_SUCCESS;
}
