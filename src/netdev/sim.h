/* SPDX-License-Identifier: MIT */
/*
 * The device "sim": stations on a simulated link, on the time that rx_burst and tx_burst are told.
 * For tests: whatever happens on the link follows from the seed and the calls, so a run can be
 * repeated, and each kind of mishap has its rate and its counter.
 *
 * A frame that is sent is copied and waits in its station's queue until the link's bandwidth has
 * let it out. Then it takes the delay, and is copied into a frame of each station that it is for:
 * the one with that address; all others when it is for a group or nobody has the address.
 *
 * A link and its stations belong to one thread.
 */
#ifndef DEMI_NETDEV_SIM_H
#define DEMI_NETDEV_SIM_H

#include "netdev/netdev.h"

#define SIM_STATIONS_MAX 8u
#define SIM_QUEUE_FRAMES_MAX 1024u
#define SIM_MTU_MIN 68u
#define SIM_MTU_MAX 9000u
#define SIM_MTU_DEFAULT 1500u
#define SIM_MILLION 1000000u

struct sim_link;

/** A frame on its way out, to be looked at or changed. */
struct sim_frame {
	unsigned char *data;
	uint32_t length;   /* may be made smaller */
	uint64_t delay_ns; /* further delay, 0 at first */
};

/**
 * Told of each frame that leaves the queue of station @from; @number counts its frames from 0.
 * Return: whether the frame goes on; false drops it.
 */
typedef bool sim_filter(void *context, unsigned int from, uint64_t number, struct sim_frame *frame);

/** What happens on a link; all zero: nothing does, at once. Rates are per million, by receiver. */
struct sim_options {
	uint64_t seed;
	uint64_t delay_ns;
	uint64_t jitter_ns; /* up to so much more; it changes no order */
	uint64_t bandwidth; /* bits of frames per second, for each sender; 0: infinite */
	uint32_t
		queue_frames; /* in a sender's queue, with a bandwidth; 0: SIM_QUEUE_FRAMES_MAX, which is the most */
	uint64_t queue_bytes; /* likewise; 0: any number */
	uint32_t loss;
	uint32_t duplicate;  /* arrives twice; each copy has a fate of its own from here on */
	uint32_t reorder;    /* arrives reorder_ns later than it would, after others */
	uint64_t reorder_ns; /* 0: three times delay and jitter, and 10 us */
	uint32_t corrupt;    /* 1 to 3 bits anywhere are inverted */
	uint32_t truncate;   /* the end is missing; 1 byte at least arrives */
	uint32_t flight_max; /* frames under way; 0: 2048; at creation only */
	sim_filter *filter;
	void *filter_context;
};

/** Of the whole link. sent = queue_full + filtered + what went on to one receiver or more. */
struct sim_counters {
	uint64_t sent;
	uint64_t queue_full; /* dropped */
	uint64_t filtered;
	uint64_t lost; /* this and all others: by receiver */
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t corrupted;
	uint64_t truncated;
	uint64_t flight_full; /* dropped since flight_max were under way */
	uint64_t delivered;
	uint64_t no_frame; /* dropped since the receiver had no frame, or too small ones */
};

/** What a station is like; all zero: as below. */
struct sim_device_options {
	struct eth_address mac; /* all zero: 02:73:69:6d:00:NUMBER, NUMBER from 1 */
	uint32_t mtu;           /* 0: SIM_MTU_DEFAULT */
	uint32_t segments_max;  /* of a chain; a longer one is not sent: tx_errors; 0: 64 */
	uint32_t frames;        /* 0: 1024 */
	bool checksum;          /* completes checksums, and verifies those that arrive */
	bool asynchronous_tx;   /* bufs are released when they have left the queue, not at once */
	bool refuses;           /* with its queue full it takes no frame, instead of dropping it */
};

/** sim_link_create - a link without stations; NULL: no memory */
struct sim_link *sim_link_create(const struct sim_options *options);

/** sim_link_destroy - after its stations have been closed; what is under way is lost; NULL is allowed */
void sim_link_destroy(struct sim_link *link);

/** sim_link_options - what happens from now on; may be changed at any time, but for the seed */
struct sim_options *sim_link_options(struct sim_link *link);

const struct sim_counters *sim_link_counters(const struct sim_link *link);

/**
 * sim_device_create - a further station of @link
 *
 * Return: 0; -ENOSPC (SIM_STATIONS_MAX), -EINVAL (mtu), -ENOMEM, logged.
 */
int sim_device_create(struct netdev **device_out, struct sim_link *link, struct heap *heap,
		      const struct sim_device_options *options);

/** sim_device_number - of a station on its link, from 0, as the filter is told */
unsigned int sim_device_number(const struct netdev *device);

/** sim_link_is_empty - whether it has no station */
bool sim_link_is_empty(const struct sim_link *link);

/*
 * By name, "sim:NAME,key=value,...": stations of one thread that give the same NAME, which may be
 * left out, are on one link. The first one says what happens on it, others repeat that or give
 * the name alone. Keys are the numbers of struct sim_options, and checksum, asynchronous_tx,
 * refuses (0 or 1) of the station's.
 */

#endif /* DEMI_NETDEV_SIM_H */
