/* SPDX-License-Identifier: MIT */
#include "netdev/afxdp_steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/afxdp_maps.h"
#include "netdev/steer_object.h" /* made from steer.bpf.c by the build */
#include "netdev/xdp_log.h"

/* For a moment there are those that go and those that come. */
#define KNOWN_MAX (STEER_ADDRESSES_MAX / 2)

static int refuse(const char *name, const char *what, int error)
{
	if (error == -EPERM || error == -EACCES)
		log_error("%s: no permission to %s; it needs root or the capabilities CAP_NET_RAW, "
			  "CAP_BPF and CAP_NET_ADMIN",
			  name, what);
	else
		log_error(
			"%s: cannot %s: %s; AF_XDP needs Linux 5.9 or later with CONFIG_BPF_SYSCALL "
			"and CONFIG_XDP_SOCKETS",
			name, what, strerror(-error));
	return error;
}

static int load_program(struct steer *steer, const char *name)
{
	int error;

	xdp_log_begin();
	steer->object = bpf_object__open_mem(steer_object, sizeof(steer_object), NULL);
	error = steer->object ? bpf_object__load(steer->object) : -errno;
	xdp_log_end();
	if (error)
		return refuse(name, "load the XDP program", error);
	steer->sockets = bpf_object__find_map_fd_by_name(steer->object, "steer_sockets");
	steer->addresses = bpf_object__find_map_fd_by_name(steer->object, "steer_addresses");
	steer->stations = bpf_object__find_map_fd_by_name(steer->object, "steer_stations");
	return 0;
}

/* Of steer.bpf.c, where it is. */
static int program_named(const struct steer *steer, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(steer->object, name));
}

int steer_filter(const struct steer *steer)
{
	return program_named(steer, "overhear");
}

/* By the driver where it can, else above it. */
static int attach_program(struct steer *steer, const char *name, unsigned int interface_index)
{
	int program = program_named(steer, "steer");
	LIBBPF_OPTS(bpf_link_create_opts, options);
	uint32_t other = 0;
	int error;

	if (bpf_xdp_query_id((int)interface_index, 0, &other) == 0 && other != 0) {
		log_error(
			"%s: the interface has an XDP program already, number %u; end who uses it, "
			"or detach it with \"ip link set dev %s xdp off\"",
			name, other, strchr(name, ':') + 1);
		return -EBUSY;
	}
	for (int i = 0; i < 2; i++) {
		options.flags = i == 0 ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
		steer->generic = options.flags == XDP_FLAGS_SKB_MODE;
		steer->link = bpf_link_create(program, (int)interface_index, BPF_XDP, &options);
		if (steer->link >= 0)
			return 0;
		error = -errno;
		log_debug("%s: attaching XDP %s: %s", name, i == 0 ? "to the driver" : "above it",
			  strerror(-error));
	}
	steer->link = -1;
	return refuse(name, "attach the XDP program", error);
}

int steer_open(struct steer *steer, const char *name, unsigned int interface_index)
{
	int error;

	steer->link = -1;
	steer->known = calloc(KNOWN_MAX, sizeof(steer->known[0]));
	if (!steer->known)
		return refuse(name, "remember addresses", -ENOMEM);
	error = load_program(steer, name);
	return error ? error : attach_program(steer, name, interface_index);
}

void steer_close(struct steer *steer)
{
	if (steer->link >= 0)
		close(steer->link);
	steer->link = -1;
	bpf_object__close(steer->object);
	steer->object = NULL;
	free(steer->known);
	steer->known = NULL;
	steer->known_count = 0;
}

static int map_set(int map, const void *key, bool present)
{
	const uint8_t one = 1;

	if (present)
		return bpf_map_update_elem(map, key, &one, BPF_ANY) == 0 ? 0 : -errno;
	return bpf_map_delete_elem(map, key) == 0 || errno == ENOENT ? 0 : -errno;
}

int steer_add_socket(struct steer *steer, uint32_t queue, int socket)
{
	if (queue >= STEER_QUEUES_MAX)
		return -ENOSPC;
	return bpf_map_update_elem(steer->sockets, &queue, &socket, BPF_ANY) == 0 ? 0 : -errno;
}

int steer_set_station(struct steer *steer, struct eth_address station, bool ours)
{
	struct steer_station key = {{0}};

	memcpy(key.bytes, station.bytes, sizeof(station.bytes));
	return map_set(steer->stations, &key, ours);
}

static bool is_among(const struct ip_address *address, const struct ip_address *others,
		     unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (ip_address_equal(address, &others[i]))
			return true;
	}
	return false;
}

int steer_set_addresses(struct steer *steer, const struct ip_address *addresses, unsigned int count)
{
	int error = 0;

	if (count > KNOWN_MAX)
		return -ENOSPC;
	/* Those that stay are never out of the map. */
	for (unsigned int i = 0; i < steer->known_count && !error; i++) {
		if (!is_among(&steer->known[i], addresses, count))
			error = map_set(steer->addresses, steer->known[i].bytes, false);
	}
	for (unsigned int i = 0; i < count && !error; i++)
		error = map_set(steer->addresses, addresses[i].bytes, true);
	for (unsigned int i = 0; i < count; i++)
		steer->known[i] = addresses[i];
	steer->known_count = count;
	return error;
}
