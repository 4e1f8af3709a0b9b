/* SPDX-License-Identifier: MIT */
/* Two processes, each on a CPU of its own, that exchange messages: demi-bench-device, -stream. */
#ifndef BENCH_DEVICE_PAIR_H
#define BENCH_DEVICE_PAIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pair_end {
	const char *kind;   /* "raw", "demi", "lwip" or "kernel" */
	const char *device; /* of raw and lwip: EAL words; of demi:
			     * these, or net.dev, "afxdp:NAME"; of the kernel: "" */
	const char *ip;     /* its address */
	pid_t network;      /* run in the network namespace of this process; 0: in ours */
};

#define PAIR_WORDS_MAX 8u

/** What both processes do: PROGRAM KIND server|client CPU LOCAL_IP PEER_IP DEVICE WORD... */
struct pair_work {
	const char *program;               /* it stands beside this one */
	const char *words[PAIR_WORDS_MAX]; /* up to a NULL, unless all are there */
};

struct pair_result {
	double median_ns; /* of a round trip */
	double minimum_ns;
	/* Memory of a connection, if the program says so. */
	double resident_bytes;
	double allocated_bytes;
};

/** pair_run - measure once; 0, or -errno, something having been said on standard error */
int pair_run(const struct pair_work *work, const struct pair_end *server,
	     const struct pair_end *client, struct pair_result *result);

/** pair_memif - the devices of both ends of a memif that no others have; each of @size bytes */
void pair_memif(char *server, char *client, size_t size);

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
