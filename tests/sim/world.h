/* SPDX-License-Identifier: MIT */
/*
 * A world of whole stacks on one simulated link, each with a heap and a scheduler of its own, on
 * simulated time: what happens in it follows from its seed. At its end every frame and object must
 * be back and no timer armed.
 */
#ifndef DEMI_TESTS_SIM_WORLD_H
#define DEMI_TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/ip.h"
#include "net/net.h"
#include "net/udp.h"
#include "netdev/sim.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define V4(a, b, c, d) ip_address_v4((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define V6(low) ip_address_v6_halves(0xfd00000000000000, low)
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

#define STATIONS_MAX 66u
#define STATION_FRAMES 2048u
#define NEIGHBOURS_MAX 64u
#define PAYLOAD_MAX 65507u

struct world;

/** A host; @net NULL: only a device, whose frames the test makes and reads. */
struct station {
	struct world *world;
	struct heap *heap;
	struct sched sched;
	struct netdev *device;
	struct net *net;
	uint32_t frames;
	struct capture *capture; /* of the first, when CAPTURE of the environment names a file */
	/* Without a stack: told of each frame. */
	void (*heard)(struct station *station, const uint8_t *data, uint32_t length);
	uint64_t count; /* for it */
};

struct station_options {
	unsigned int number; /* the host's part of its addresses: 10.0.0.N/24 and fd00::N/64 */
	bool without_v6;
	bool autoconf;
	bool has_gateway; /* 10.0.0.254 and fd00::fe */
	/* Instead of those: one of each version. */
	const struct ip_address *gateways;
	/* It is one of several runtimes of a host, which have a device, and thus the addresses, together. */
	bool shares;
	bool is_alone; /* in its prefixes, which are /32 and /128 */
	uint16_t vlan;
	uint32_t copy_max;          /* 0: 256 */
	bool late_release;          /* netdev_caps */
	struct net_tcp_options tcp; /* connections_max 0: all are the defaults */
	struct sim_device_options device;
};

struct world {
	struct sim_link *link;
	struct station stations[STATIONS_MAX];
	unsigned int count; /* places of stations that have been in use */
	uint64_t now_ns;
	uint64_t seed;
	uint64_t random_state;
	uint64_t trace; /* hash of all frames sent, with their times */
	uint64_t rounds;
	/* Of every 1,000,000 frames so many have one bit inverted, which a checksum always sees. */
	uint32_t invert;
	unsigned int cut_off; /* bit: this station's frames go nowhere */
	bool halts;           /* set by who hears something: world_run ends with this round */
	/* Asked about each of the others; false drops it. NULL: all go on. */
	bool (*passes)(struct world *world, unsigned int from, const struct sim_frame *frame);
};

void world_begin(struct world *world, const struct sim_options *options);

/** world_end - close all, having run until no timer is left; nothing may be lost */
void world_end(struct world *world);

/** world_run - let everything happen that does up to @until_ns, or until world->halts is set */
void world_run(struct world *world, uint64_t until_ns);

/** world_settle - and so long that duplicates have been looked for and addresses announced */
void world_settle(struct world *world);

/** world_random - below @limit */
uint64_t world_random(struct world *world, uint64_t limit);

struct station *station_add(struct world *world, const struct station_options *options);

/** station_add_mute - a device without a stack */
struct station *station_add_mute(struct world *world, const struct sim_device_options *options);

/** station_remove - it is gone from the link; add others before */
void station_remove(struct station *station);

/** station_send - one frame of a station without stack */
void station_send(struct station *station, const void *data, uint32_t length);

/** station_assert_accounts - each frame received was counted where it went, or as dropped */
void station_assert_accounts(const struct station *station, uint64_t datagrams);

/* ---- Datagrams that tell whether they are whole: a number, a length, a hash, and a pattern ---- */

#define DATAGRAM_BYTES_MIN 16u
#define DATAGRAMS_MAX 4096u

/** A socket that checks what it receives. */
struct endpoint {
	struct udp_socket udp;
	struct station *station;
	uint64_t received; /* right ones */
	uint64_t wrong;
	int error;                    /* the last that it was told */
	uint8_t times[DATAGRAMS_MAX]; /* that each number has come */
	struct ip_address source;     /* of the last */
	uint32_t length;
};

/** endpoint_open - bound to a port, all addresses of both versions */
void endpoint_open(struct endpoint *endpoint, struct station *station, uint16_t port);
void endpoint_close(struct endpoint *endpoint);

/** endpoint_send - datagram @number of @length bytes, in an object of the heap; as udp_tx returns */
int endpoint_send(struct endpoint *endpoint, struct ip_address peer, uint16_t port, uint32_t number,
		  uint32_t length);

/** datagram_fill - the bytes of a datagram of DATAGRAM_BYTES_MIN or more */
void datagram_fill(unsigned char *data, uint32_t number, uint32_t length);

/** seeds_of - how many seeds a randomised test tries: SEEDS of the environment */
uint64_t seeds_of(uint64_t otherwise);

/** seed_is_ours - whether this process is the one of several to try it: SIM_PART=I/N, each its part */
bool seed_is_ours(uint64_t seed);

#endif /* DEMI_TESTS_SIM_WORLD_H */
