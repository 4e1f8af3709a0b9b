/* SPDX-License-Identifier: MIT */
/* What the files of the device "sim" share: the link and its stations as they are. */
#ifndef DEMI_NETDEV_SIM_LINK_H
#define DEMI_NETDEV_SIM_LINK_H

#include "netdev/sim.h"
#include "wire/eth.h"

#define SIM_FRAME_BYTES_MAX (SIM_MTU_MAX + ETH_HEADER_BYTES_MAX)

/* A frame under way to one station. */
struct packet {
	struct packet *next;
	uint64_t arrive_ns;
	uint32_t length;
	unsigned char *data; /* SIM_FRAME_BYTES_MAX */
};

/* A frame in its sender's queue. */
struct departure {
	uint64_t depart_ns;
	uint32_t length;
	struct buf *chain; /* to be released then; NULL: it has been */
};

struct station {
	struct netdev netdev;
	struct sim_link *link;
	unsigned int number;
	struct sim_device_options options;
	struct packet *inbox;                  /* by time of arrival */
	uint64_t arrived_ns[SIM_STATIONS_MAX]; /* the last in order, by sender */
	uint64_t now_ns;                       /* the latest that we were told */
	uint64_t busy_until_ns;                /* when the queue will be empty */
	uint64_t sent;                         /* frames, for the filter */
	uint64_t queue_bytes;
	uint32_t queue_head;
	uint32_t queue_count;
	struct departure queue[SIM_QUEUE_FRAMES_MAX];
};

struct sim_link {
	struct sim_options options;
	struct sim_counters counters;
	uint64_t random_state;
	struct station *stations[SIM_STATIONS_MAX];
	struct packet *free;
	struct packet *packets;
	unsigned char *memory;
	unsigned char gathered[SIM_FRAME_BYTES_MAX];
};

/** sim_packet_free - it is under way no more */
void sim_packet_free(struct sim_link *link, struct packet *packet);

/** sim_forward - a frame leaves the queue of @from at @depart_ns, for whoever it reaches */
void sim_forward(struct station *from, struct sim_frame *frame, uint64_t depart_ns);

/** sim_names_forget - in the child of a fork: the links by name are the parent's */
void sim_names_forget(void);

/** sim_names_close - a station is gone: end its link when that has a name and no other station */
void sim_names_close(struct sim_link *link);

#endif /* DEMI_NETDEV_SIM_LINK_H */
