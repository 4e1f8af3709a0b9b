/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-device: one end of a ping-pong of datagrams, over a raw device, over Demi, or over the
 * kernel's sockets. Two of them, pinned to two CPUs, make a measurement. All wait by spinning.
 */
#ifndef BENCH_DEVICE_EXCHANGE_H
#define BENCH_DEVICE_EXCHANGE_H

#include <stdint.h>

#define EXCHANGE_BYTES_MAX 1472u
#define EXCHANGE_PORT 7777
/* Headers of Ethernet, IPv4 and UDP: what the raw device carries beside the payload. */
#define EXCHANGE_HEADER_BYTES 42u
/* First byte of a payload. */
#define EXCHANGE_PING 'p'
#define EXCHANGE_STOP 's'

struct exchange_options {
	const char *device; /* raw: EAL words; others: nothing */
	const char *local_ip;
	const char *peer_ip;
	uint32_t bytes; /* of payload */
};

/** One way to exchange datagrams. Each returns 0, or -errno having said what is wrong. */
struct exchange {
	const char *name;
	int (*start)(const struct exchange_options *options);
	/* Send back what comes until a stop does. */
	int (*serve)(void);
	/* Send one datagram, EXCHANGE_PING or _STOP. */
	int (*send)(char kind);
	/* Wait for one, up to @timeout_ns (0: for ever); -ETIMEDOUT. */
	int (*receive)(uint64_t timeout_ns);
	/* So many round trips, without a look at the clock. */
	int (*round_trips)(uint32_t count);
	void (*stop)(void);
};

extern const struct exchange raw_exchange;
extern const struct exchange demi_exchange;
extern const struct exchange kernel_exchange;

uint64_t exchange_now_ns(void);

#endif /* BENCH_DEVICE_EXCHANGE_H */
