/* SPDX-License-Identifier: MIT */
/* What the tests of devices on interfaces of the kernel share: a network of their own, frames. */
#ifndef DEMI_NETDEV_LINK_TESTING_H
#define DEMI_NETDEV_LINK_TESTING_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netdev/netdev.h"
#include "wire/eth.h"

#define LINK_SKIP 77
#define LINK_WAIT_NS 3000000000u
#define LINK_FRAMES 512u
#define LINK_HEAP_BYTES ((uint64_t)64 << 20)
#define LINK_TYPE 0x88b5 /* for experiments (IEEE 802, section 9.2.3) */

static inline uint64_t link_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A network namespace for this process, quiet: no IPv6 of the kernel's. 0, or why there is none. */
static inline const char *link_enter(void)
{
	int file;

	if (system("command -v ip >/dev/null 2>&1") != 0)
		return "there is no ip command (iproute2)";
	if (unshare(CLONE_NEWNET) != 0)
		return "may not make a network namespace: needs root";
	file = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return NULL;
	if (write(file, "1", 1) != 1)
		fprintf(stderr, "IPv6 of the kernel stays on\n");
	close(file);
	return NULL;
}

/* fork; the child does not outlive a test that fails. */
static inline pid_t link_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static inline int link_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	return LINK_SKIP;
}

/* A packet socket that sees what comes in on the interface, or -1. */
static inline int link_packet_socket(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htobe16(0x0003),
	};
	int ignore = 1;
	int bytes = 8 << 20;
	struct ifreq request = {0};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	strncpy(request.ifr_name, interface, sizeof(request.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFINDEX, &request) == 0)
		address.sll_ifindex = request.ifr_ifindex;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_PACKET, 23 /* PACKET_IGNORE_OUTGOING */, &ignore, sizeof(ignore)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The next frame within the time for waiting, its length; -1: none came. */
static inline ssize_t link_receive(int fd, void *buffer, size_t bytes)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	if (poll(&entry, 1, LINK_WAIT_NS / 1000000) != 1)
		return -1;
	return recv(fd, buffer, bytes, MSG_DONTWAIT);
}

/* Frames that the device receives, at least one unless the time for waiting passes. */
static inline unsigned int link_rx(struct netdev *device, struct buf **frames, unsigned int room)
{
	uint64_t end = link_now_ns() + LINK_WAIT_NS;
	unsigned int count = 0;

	while (count == 0 && link_now_ns() < end)
		count = device->ops->rx_burst(device, frames, room, link_now_ns());
	return count;
}

/* Let go of what has been sent, until all frames are free but @in_use of them. */
static inline bool link_settles(struct netdev *device, uint32_t in_use)
{
	uint64_t end = link_now_ns() + LINK_WAIT_NS;
	uint32_t all = device->frames->count - in_use;

	do {
		if (device->ops->tx_reclaim)
			device->ops->tx_reclaim(device);
		if (heap_frames_free(device->frames) == all)
			return true;
	} while (link_now_ns() < end);
	return false;
}

#endif /* DEMI_NETDEV_LINK_TESTING_H */
