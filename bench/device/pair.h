/* SPDX-License-Identifier: MIT */
/* Two processes of demi-bench-device, each on a CPU of its own, that exchange datagrams. */
#ifndef BENCH_DEVICE_PAIR_H
#define BENCH_DEVICE_PAIR_H

#include <stdint.h>
#include <sys/types.h>

struct pair_end {
	const char *kind;   /* "raw", "demi" or "kernel" */
	const char *device; /* of raw: EAL words; of demi: net.dev; of the kernel: "" */
	const char *ip;     /* its address */
	pid_t network;      /* run in the network namespace of this process; 0: in ours */
};

struct pair_result {
	double median_ns; /* of a round trip */
	double minimum_ns;
};

/** pair_run - measure for @time_ms; 0, or -errno, something having been said on standard error */
int pair_run(const struct pair_end *server, const struct pair_end *client, uint32_t bytes,
	     unsigned int time_ms, struct pair_result *result);

/**
 * pair_networks - two network namespaces joined by a veth pair, "bench0" in either
 *
 * They live as long as two processes do, which end with this program. Needs root and iproute2.
 * Return: 0, -EPERM, or another -errno.
 */
int pair_networks(pid_t *server_out, pid_t *client_out);

#define PAIR_SERVER_IP "10.78.0.2"
#define PAIR_CLIENT_IP "10.78.0.1"
#define PAIR_INTERFACE "bench0"

/** pair_address - give the server's end its address in the kernel, or take it away */
int pair_address(pid_t server, int present);

#endif /* BENCH_DEVICE_PAIR_H */
