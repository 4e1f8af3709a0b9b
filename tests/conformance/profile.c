/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CATNAP                                                                         \
	.ipv4 = "127.0.0.1", .ipv4_foreign = "203.0.113.77", .ipv6 = "::1",            \
	.ipv6_foreign = "2001:db8::77", .tcp = true, .udp = true, .unix_stream = true, \
	.queues = true, .kernel_peer = true

/* With the configuration that tests/meson.build gives it. */
#define CATNIP                                                                                 \
	.ipv4 = "10.0.0.1", .ipv4_foreign = "203.0.113.77", .ipv6 = "fd00::1",                 \
	.ipv6_foreign = "2001:db8::77", .ipv4_silent = "10.0.0.99", .ipv6_silent = "fd00::99", \
	.tcp = true, .sends_on = true, .udp = true, .queues = true

#define CATMINT                                                                                \
	.ipv4 = "10.0.0.1", .ipv4_foreign = "203.0.113.77", .ipv6 = "fd00::1",                 \
	.ipv6_foreign = "2001:db8::77", .ipv4_silent = "10.0.0.99", .ipv6_silent = "fd00::99", \
	.tcp = true, .sends_on = true, .udp = true, .queues = true

static const struct profile profiles[] = {
	{.libos = "catnap",
	 CATNAP,
	 .files = true,
	 .shares_addresses = true,
	 .wakes = true,
	 .device_delivers = true},
	{.libos = "catnip", CATNIP, .wakes = true},
	{.libos = "catmint", CATMINT, .wakes = true, .device_delivers = true, .pins_heap = true},
	{.libos = "catmem", .queues = true, .wakes = true},
	/* A block device has one runtime at a time. */
	{.libos = "cattree", .queues = true, .logs = true},
	{.libos = "catnap+cattree", CATNAP, .logs = true},
	{.libos = "catnip+cattree", CATNIP, .logs = true},
	{.libos = "catmint+cattree",
	 CATMINT,
	 .device_delivers = true,
	 .pins_heap = true,
	 .logs = true},
};

/* Only where kernel and libOS share their addresses does the kernel's answer count. */
static bool kernel_has_ipv6(const char *text)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool bound;

	if (fd < 0)
		return false;
	inet_pton(AF_INET6, text, &address.sin6_addr);
	bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return bound;
}

/* Libraries of real RDMA devices open them once for a process. */
static bool is_simulated(void)
{
	const char *device = getenv("DEMI_CATMINT_DEVICE");

	return device && strncmp(device, "sim:", 4) == 0;
}

const struct profile *profile_get(void)
{
	static struct profile found;
	const char *name = getenv("LIBOS");

	if (!name || !*name)
		name = "catnap";
	if (found.libos && strcmp(found.libos, name) == 0)
		return &found;
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].libos, name) != 0)
			continue;
		found = profiles[i];
		found.keeps_forks_out = strncmp(name, "catmint", 7) == 0 && !is_simulated();
		if (found.kernel_peer && found.ipv6 && !kernel_has_ipv6(found.ipv6))
			found.ipv6 = NULL;
		return &found;
	}
	return NULL;
}
