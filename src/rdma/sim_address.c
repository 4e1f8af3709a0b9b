/* SPDX-License-Identifier: MIT */
/* Addresses of the internet as devices have them: GIDs, IPv4 as ::ffff:a.b.c.d. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "rdma/sim_device.h"

#define V4_AT 12 /* in a GID */

static const unsigned char v4_prefix[V4_AT] = {[10] = 0xff, [11] = 0xff};

static const struct sockaddr_in *v4_of(const struct sockaddr *address)
{
	return (const struct sockaddr_in *)(const void *)address;
}

static const struct sockaddr_in6 *v6_of(const struct sockaddr *address)
{
	return (const struct sockaddr_in6 *)(const void *)address;
}

bool rdma_sim_gid(union ibv_gid *gid, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6) {
		memcpy(gid->raw, &v6_of(address)->sin6_addr, sizeof(gid->raw));
		return true;
	}
	memcpy(gid->raw, v4_prefix, V4_AT);
	memcpy(gid->raw + V4_AT, &v4_of(address)->sin_addr, sizeof(gid->raw) - V4_AT);
	return address->sa_family == AF_INET;
}

bool rdma_sim_gid_is_v4(const union ibv_gid *gid)
{
	return memcmp(gid->raw, v4_prefix, V4_AT) == 0;
}

bool rdma_sim_gid_equal(const union ibv_gid *a, const union ibv_gid *b)
{
	return memcmp(a->raw, b->raw, sizeof(a->raw)) == 0;
}

bool rdma_sim_is_wildcard(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&v6_of(address)->sin6_addr);
	return v4_of(address)->sin_addr.s_addr == INADDR_ANY;
}

/* It stands at the same place in both. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
	       "ports");

uint16_t rdma_sim_port(const struct sockaddr *address)
{
	return ntohs(v4_of(address)->sin_port);
}

void rdma_sim_set_port(struct sockaddr *address, uint16_t port)
{
	((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
}

int rdma_sim_address(const struct sim_device *device, const union ibv_gid *gid)
{
	for (unsigned int i = 0; i < device->address_count; i++) {
		if (rdma_sim_gid_equal(&device->addresses[i].gid, gid))
			return (int)i;
	}
	return -1;
}

int rdma_sim_address_of_family(const struct sim_device *device, int family)
{
	for (unsigned int i = 0; i < device->address_count; i++) {
		if (device->addresses[i].family == family)
			return (int)i;
	}
	return -1;
}

void rdma_sim_sockaddr(struct sockaddr_storage *address, const struct sim_device *device, int index,
		       uint16_t port)
{
	const struct sim_address *own = &device->addresses[index];
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(address, 0, sizeof(*address));
	if (own->family == AF_INET) {
		memcpy(&v4.sin_addr, own->gid.raw + V4_AT, sizeof(v4.sin_addr));
		memcpy(address, &v4, sizeof(v4));
	} else {
		memcpy(&v6.sin6_addr, own->gid.raw, sizeof(v6.sin6_addr));
		memcpy(address, &v6, sizeof(v6));
	}
}

struct sim_device *rdma_sim_device_with(const struct sim_network *network, const union ibv_gid *gid)
{
	struct sim_device *device = network->devices;

	while (device && rdma_sim_address(device, gid) < 0)
		device = device->next;
	return device;
}
