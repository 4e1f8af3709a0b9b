/* SPDX-License-Identifier: MIT */
/*
 * AF_XDP: "afxdp:veth0", "afxdp:veth0,queue=1,queues=2,mode=copy". The interface stays the
 * kernel's, which keeps its own addresses on it; what is for ours comes here (afxdp_steer.h).
 *
 * Frames carry no word on checksums. So whoever sends to us from this machine must compute them:
 * at the other end of a veth, "ethtool -K veth1 tx off tso off gso off gro off".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/afxdp.h"
#include "netdev/kinds.h"
#include "wire/eth.h"

#define FILL_MAX 8192u
#define FILL_MIN 32u
#define RESERVE_MAX 64u

/* ---- What the name says ---- */

static bool parse_number(const char *text, uint32_t *number_out)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno || number > INT32_MAX)
		return false;
	*number_out = (uint32_t)number;
	return true;
}

static bool parse_mode(const char *text, enum config_afxdp_mode *mode_out)
{
	static const struct {
		const char *name;
		enum config_afxdp_mode mode;
	} modes[] = {
		{"auto", CONFIG_AFXDP_AUTO},
		{"copy", CONFIG_AFXDP_COPY},
		{"zero-copy", CONFIG_AFXDP_ZERO_COPY},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(text, modes[i].name) == 0) {
			*mode_out = modes[i].mode;
			return true;
		}
	}
	return false;
}

static bool parse_setting(const char *word, struct afxdp_settings *settings)
{
	if (strncmp(word, "queue=", 6) == 0)
		return parse_number(word + 6, &settings->queue);
	if (strncmp(word, "queues=", 7) == 0)
		return parse_number(word + 7, &settings->queue_count) &&
		       settings->queue_count - 1 < AFXDP_QUEUES_MAX;
	if (strncmp(word, "mode=", 5) == 0)
		return parse_mode(word + 5, &settings->mode);
	return false;
}

/* "veth0,queue=1": the interface and what is not as the configuration has it. */
static int parse_arguments(struct afxdp *afxdp, const char *arguments,
			   struct afxdp_settings *settings)
{
	char words[sizeof(afxdp->device.name)];
	char *rest = words;
	char *word;

	if ((size_t)snprintf(words, sizeof(words), "%s", arguments) >= sizeof(words))
		goto bad;
	word = strsep(&rest, ",");
	if (*word == '\0' || strlen(word) >= sizeof(afxdp->interface))
		goto bad;
	memcpy(afxdp->interface, word, strlen(word) + 1);
	snprintf(afxdp->device.name, sizeof(afxdp->device.name), "afxdp:%s", afxdp->interface);
	while ((word = strsep(&rest, ",")) != NULL) {
		if (!parse_setting(word, settings))
			goto bad;
	}
	return 0;
bad:
	log_error("net.dev: \"afxdp:%s\": give an interface, and what is not as configured, as in "
		  "afxdp:veth0,queue=0,queues=4,mode=auto (or copy, zero-copy)",
		  arguments);
	return -EINVAL;
}

/* ---- Calls ---- */

static int afxdp_set_group(struct netdev *device, struct eth_address group, bool member)
{
	struct afxdp *afxdp = afxdp_of(device);
	int error;

	if (device->failure)
		return 0;
	error = overhear_set_station(&afxdp->overhear, group, member);
	return error ? error : steer_set_station(&afxdp->steer, group, member);
}

/* Make the interface take what neighbours ask about these addresses, or not any more. */
static void set_solicited_nodes(struct afxdp *afxdp, const struct ip_address *addresses,
				unsigned int count, bool member)
{
	for (unsigned int i = 0; i < count; i++) {
		struct ip_address group = ip_address_solicited_node(&addresses[i]);

		if (!ip_address_is_v4(&addresses[i]))
			overhear_set_station(&afxdp->overhear, eth_address_of_group(&group),
					     member);
	}
}

static int afxdp_set_addresses(struct netdev *device, const struct ip_address *addresses,
			       unsigned int count)
{
	struct afxdp *afxdp = afxdp_of(device);

	if (device->failure)
		return 0;
	set_solicited_nodes(afxdp, addresses, count, true);
	set_solicited_nodes(afxdp, afxdp->steer.known, afxdp->steer.known_count, false);
	return steer_set_addresses(&afxdp->steer, addresses, count);
}

static int afxdp_idle_fd(struct netdev *device, bool *sleep_out)
{
	struct afxdp *afxdp = afxdp_of(device);

	*sleep_out = true;
	if (device->failure)
		return afxdp->idle_fd;
	afxdp_interface_watch(afxdp);
	/* Nothing wakes up for what has been sent; nor is it, while the interface is down. */
	afxdp_tx_reclaim(device);
	if (afxdp->sent_count && !afxdp->is_down)
		return -ENOTSUP;
	*sleep_out = device->failure == 0;
	return afxdp->idle_fd;
}

static void sockets_close(struct afxdp *afxdp)
{
	steer_close(&afxdp->steer);
	afxdp_sockets_close(afxdp);
	overhear_close(&afxdp->overhear);
}

static void idle_fd_close(struct afxdp *afxdp)
{
	if (afxdp->idle_fd >= 0)
		close(afxdp->idle_fd);
	afxdp->idle_fd = -1;
}

void afxdp_let_go(struct afxdp *afxdp)
{
	sockets_close(afxdp);
	if (afxdp->in_kernel)
		afxdp_take_back(afxdp);
	if (afxdp->chunks)
		afxdp_drop_sent(afxdp);
}

/*
 * Deleting a socket closes it and removes its rings from this process's memory, so in the child
 * of a fork it is as right as in the parent: what the parent has stays.
 */
static void afxdp_forget(struct netdev *device)
{
	sockets_close(afxdp_of(device));
	idle_fd_close(afxdp_of(device));
}

static void afxdp_close(struct netdev *device)
{
	struct afxdp *afxdp = afxdp_of(device);

	if (afxdp->umem)
		afxdp_drain(afxdp);
	afxdp_let_go(afxdp);
	idle_fd_close(afxdp);
	netdev_fini(device);
	free(afxdp->in_kernel);
	free(afxdp->chunks);
	free(afxdp->sent);
	free(afxdp->queues);
	free(afxdp);
}

static void afxdp_update_counters(struct netdev *device)
{
	afxdp_statistics(afxdp_of(device));
}

static const struct netdev_ops afxdp_ops = {
	.kind = "afxdp",
	.rx_burst = afxdp_rx_burst,
	.tx_burst = afxdp_tx_burst,
	.tx_reclaim = afxdp_tx_reclaim,
	.set_group = afxdp_set_group,
	.set_addresses = afxdp_set_addresses,
	.idle_fd = afxdp_idle_fd,
	.update_counters = afxdp_update_counters,
	.forget = afxdp_forget,
	.close = afxdp_close,
};

/* ---- Making one ---- */

/* A chunk that is not a frame, or not the whole of one, would be written to at random. */
static void frame_check(void *context, void *frame)
{
	bool *aligned = context;

	*aligned = *aligned && ((uintptr_t)frame & (AFXDP_CHUNK_BYTES - 1)) == 0;
}

int afxdp_refuse(const struct afxdp *afxdp, const char *why, int error)
{
	log_error("%s: %s", afxdp->device.name, why);
	return error;
}

static int refuse_memory(const struct afxdp *afxdp)
{
	log_error("%s: no memory; lower net.frames", afxdp->device.name);
	return -ENOMEM;
}

static int tables_make(struct afxdp *afxdp)
{
	size_t chunks = afxdp->memory_bytes >> AFXDP_CHUNK_SHIFT;

	/* The run is a multiple of 256 KiB: no remainder. */
	afxdp->in_kernel = calloc(chunks / 64, sizeof(afxdp->in_kernel[0]));
	afxdp->chunks = calloc(chunks, sizeof(afxdp->chunks[0]));
	afxdp->sent = calloc(AFXDP_SENT_MAX + 1, sizeof(afxdp->sent[0]));
	if (!afxdp->in_kernel || !afxdp->chunks || !afxdp->sent)
		return refuse_memory(afxdp);
	for (uint16_t i = 1; i < AFXDP_SENT_MAX; i++)
		afxdp->sent[i].next = i + 1;
	afxdp->sent_free = 1;
	return 0;
}

static int memory_make(struct afxdp *afxdp, const struct netdev_options *options)
{
	uint32_t frames = options->config->net.frames;
	bool aligned = true;
	int error;

	error = netdev_init(&afxdp->device, &afxdp_ops, options->heap, AFXDP_CHUNK_BYTES,
			    sizeof(struct buf), frames, AFXDP_ROOM_OFFSET, AFXDP_DATA_OFFSET);
	if (error)
		return error;
	heap_frames_each(afxdp->device.frames, frame_check, &aligned);
	if (!aligned || heap_frames_bytes(afxdp->device.frames) != AFXDP_CHUNK_BYTES) {
		log_error("%s: the heap's frames are no chunks of %u bytes", afxdp->device.name,
			  AFXDP_CHUNK_BYTES);
		return -EINVAL;
	}
	afxdp->memory = heap_frames_memory(afxdp->device.frames, &afxdp->memory_bytes);
	afxdp->fill_count = FILL_MAX;
	while (afxdp->fill_count > frames / 2 / afxdp->queue_count)
		afxdp->fill_count /= 2;
	if (afxdp->fill_count < FILL_MIN) {
		log_error("%s: %u frames are too few for %u queues; raise net.frames to %u or "
			  "more, or let the interface have fewer queues, see \"ethtool -L\"",
			  afxdp->device.name, frames, afxdp->queue_count,
			  FILL_MIN * 2 * afxdp->queue_count);
		return -EINVAL;
	}
	afxdp->reserve = frames / 8 < RESERVE_MAX ? frames / 8 : RESERVE_MAX;
	return tables_make(afxdp);
}

/* A station of our own beside the interface's. */
static int station_set(struct afxdp *afxdp, struct eth_address station)
{
	static const struct eth_address none;
	int error;

	if (eth_address_equal(&station, &none) ||
	    eth_address_equal(&station, &afxdp->device.caps.mac))
		return 0;
	afxdp->device.caps.mac = station;
	error = overhear_set_station(&afxdp->overhear, station, true);
	if (!error)
		error = steer_set_station(&afxdp->steer, station, true);
	if (error)
		log_error("%s: cannot receive for the address of net.mac: %s; leave it out",
			  afxdp->device.name, strerror(-error));
	return error;
}

/* Groups come with set_group. */
static int hear_broadcasts(struct afxdp *afxdp)
{
	int error = steer_set_station(&afxdp->steer, eth_address_broadcast(), true);

	if (error)
		return afxdp_refuse(afxdp, strerror(-error), error);
	return overhear_open(&afxdp->overhear, afxdp->device.name,
			     afxdp->device.caps.interface_index, steer_filter(&afxdp->steer));
}

static int idle_fd_make(struct afxdp *afxdp)
{
	struct epoll_event event = {.events = EPOLLIN};
	bool made;

	afxdp->idle_fd = epoll_create1(EPOLL_CLOEXEC);
	made = afxdp->idle_fd >= 0 &&
	       epoll_ctl(afxdp->idle_fd, EPOLL_CTL_ADD, afxdp->overhear.fd, &event) == 0;
	for (uint32_t i = 0; i < afxdp->queue_count && made; i++)
		made = epoll_ctl(afxdp->idle_fd, EPOLL_CTL_ADD, afxdp->queues[i].fd, &event) == 0;
	if (made)
		return 0;
	return afxdp_refuse(afxdp, strerror(errno), -errno);
}

static int queues_make(struct afxdp *afxdp, const struct afxdp_settings *settings)
{
	afxdp->queues = calloc(settings->queue_count, sizeof(afxdp->queues[0]));
	if (!afxdp->queues)
		return refuse_memory(afxdp);
	afxdp->queue_count = settings->queue_count;
	for (uint32_t i = 0; i < afxdp->queue_count; i++) {
		afxdp->queues[i].number = settings->queue + i;
		afxdp->queues[i].fd = -1;
	}
	return 0;
}

/* The program first: some drivers make their queues ready for it when it comes. */
static int start(struct afxdp *afxdp, struct afxdp_settings *settings,
		 const struct netdev_options *options)
{
	const char *name = afxdp->device.name;
	int error = afxdp_interface_open(afxdp, settings);

	if (!error)
		error = queues_make(afxdp, settings);
	if (!error)
		error = memory_make(afxdp, options);
	if (!error)
		error = steer_open(&afxdp->steer, name, afxdp->device.caps.interface_index);
	if (!error)
		error = hear_broadcasts(afxdp);
	if (!error)
		error = afxdp_sockets_open(afxdp, settings);
	if (!error)
		error = station_set(afxdp, options->mac);
	if (!error)
		error = idle_fd_make(afxdp);
	if (!error)
		afxdp_interface_watch(afxdp);
	return error;
}

int afxdp_open(struct netdev **device_out, const char *arguments,
	       const struct netdev_options *options)
{
	struct afxdp_settings settings = {
		.mode = options->config->afxdp.mode,
		.queue = options->config->afxdp.queue,
		.busy_poll_us = options->config->afxdp.busy_poll_us,
	};
	struct afxdp *afxdp = calloc(1, sizeof(*afxdp));
	int error;

	if (!afxdp)
		return -ENOMEM;
	afxdp->device.heap = options->heap;
	afxdp->device.caps.segments_max = AFXDP_SEGMENTS_MAX;
	afxdp->device.caps.shares_interface = true;
	afxdp->device.caps.polls_memory = true;
	afxdp->steer.link = -1;
	afxdp->overhear.fd = -1;
	afxdp->idle_fd = -1;
	afxdp->kick_ns = UINT64_MAX;
	error = parse_arguments(afxdp, arguments, &settings);
	if (!error)
		error = start(afxdp, &settings, options);
	if (error) {
		afxdp_close(&afxdp->device);
		return error;
	}
	*device_out = &afxdp->device;
	return 0;
}
