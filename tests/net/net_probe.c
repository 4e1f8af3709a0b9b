/* SPDX-License-Identifier: MIT */
/*
 * The other end of tests for which an echo is not enough.
 *
 *   net-probe group GROUP PORT    join, answer what comes to the group and to the port, one line
 *                                 each; SIGTERM: leave the group and end
 *   net-probe reply ADDRESS PORT  what a sockperf server does: answer the messages that ask for
 *                                 it, marked as the server's
 */
#include <arpa/inet.h>
#include <demi/demi.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of sockperf's header: the low byte of its flags. */
#define SOCKPERF_FLAGS_OFFSET 9
#define SOCKPERF_CLIENT 0x01
#define SOCKPERF_WANTS_ANSWER 0x02

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void check(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "net-probe: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static struct address parse(const char *host, const char *port)
{
	struct address address = {0};
	uint16_t number = htons((uint16_t)atoi(port));

	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = number;
		address.length = sizeof(address.v4);
	} else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = number;
		address.length = sizeof(address.v6);
	} else {
		fprintf(stderr, "net-probe: %s is no address\n", host);
		exit(EXIT_FAILURE);
	}
	return address;
}

static int change_membership(int qd, const struct address *group, bool join)
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

static int bound_socket(const struct address *local)
{
	int qd = -1;

	check(demi_socket(&qd, local->any.sa_family, SOCK_DGRAM, 0), "demi_socket");
	check(demi_bind(qd, &local->any, local->length), "demi_bind");
	return qd;
}

/* false: we are to end. */
static bool wait_for(demi_qtoken_t token, demi_qresult_t *result)
{
	const struct timespec period = {.tv_nsec = 50000000};

	while (!stopped) {
		int error = demi_wait(result, token, &period);

		if (error == 0)
			return true;
		if (error != ETIMEDOUT && error != EINTR)
			check(error, "demi_wait");
	}
	return false;
}

/* false: we are to end. */
static bool receive(int qd, demi_sgarray_t *array)
{
	demi_qtoken_t token;
	demi_qresult_t result;

	check(demi_pop(&token, qd), "demi_pop");
	if (!wait_for(token, &result))
		return false;
	check((int)result.qr_ret, "pop");
	*array = result.qr_value.sga;
	return true;
}

static void answer(int qd, demi_sgarray_t *array)
{
	struct address peer = {.length = sizeof(peer.v6)};
	demi_qtoken_t token;
	demi_qresult_t result;

	check(demi_sgaaddr(array, &peer.any, &peer.length), "demi_sgaaddr");
	check(demi_pushto(&token, qd, array, &peer.any, peer.length), "demi_pushto");
	if (wait_for(token, &result))
		check((int)result.qr_ret, "push");
}

static void serve_group(const char *group_text, const char *port)
{
	struct address group = parse(group_text, port);
	struct address local = parse(group.any.sa_family == AF_INET ? "0.0.0.0" : "::", port);
	int qd = bound_socket(&local);
	demi_sgarray_t array;

	check(change_membership(qd, &group, true), "joining the group");
	puts("ready");
	while (receive(qd, &array)) {
		printf("received %u bytes\n", array.sga_segs[0].sgaseg_len);
		answer(qd, &array);
		demi_sgafree(&array);
	}
	check(change_membership(qd, &group, false), "leaving the group");
	puts("left");
	check(demi_close(qd), "demi_close");
}

static void serve_sockperf(const char *host, const char *port)
{
	struct address local = parse(host, port);
	int qd = bound_socket(&local);
	demi_sgarray_t array;

	puts("ready");
	while (receive(qd, &array)) {
		unsigned char *message = array.sga_segs[0].sgaseg_buf;

		if (array.sga_segs[0].sgaseg_len > SOCKPERF_FLAGS_OFFSET &&
		    message[SOCKPERF_FLAGS_OFFSET] & SOCKPERF_WANTS_ANSWER) {
			message[SOCKPERF_FLAGS_OFFSET] &= (unsigned char)~SOCKPERF_CLIENT;
			answer(qd, &array);
		}
		demi_sgafree(&array);
	}
	check(demi_close(qd), "demi_close");
}

int main(int argc, char **argv)
{
	const struct demi_args args = {.argc = argc, .argv = argv};
	struct sigaction action = {.sa_handler = on_signal};

	if (argc != 4 || (strcmp(argv[1], "group") != 0 && strcmp(argv[1], "reply") != 0)) {
		fprintf(stderr, "usage: net-probe group GROUP PORT | reply ADDRESS PORT\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	check(demi_init(&args), "demi_init");
	if (strcmp(argv[1], "group") == 0)
		serve_group(argv[2], argv[3]);
	else
		serve_sockperf(argv[2], argv[3]);
	demi_fini();
	return EXIT_SUCCESS;
}
