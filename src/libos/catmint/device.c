/* SPDX-License-Identifier: MIT */
#include "libos/catmint/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "libos/catmint/connection.h"
#include "libos/catmint/datagram.h"
#include "libos/catmint/send.h"

/* Of the completion queue's entries so many in four are for what is received. */
#define RECEIVES_OF_FOUR 3
#define READS_MAX 16u
/* The receiver reads a few of the longest messages ahead; more would only tell where memory is. */
#define LARGE_AHEAD 4u
#define COMPLETIONS_MIN 64u /* as of catmint.completions; a device with fewer refuses */

/* --- the heap --- */

/* Who finds no memory asks again each round: it is said once, until some is taken again. */
void device_refused(struct catmint *mint, size_t bytes, int error)
{
	if (mint->is_short)
		return;
	mint->is_short = true;
	log_error("catmint: %s does not take %zu KiB of memory: %s%s", mint->verbs->device->name,
		  bytes >> 10, strerror(error),
		  error == ENOMEM ? "; raise the limit of locked memory (ulimit -l unlimited, or "
				    "LimitMEMLOCK= of the service), or make heap.max_bytes smaller"
				  : "");
}

static int add_region(void *context, void *start, size_t bytes, uint64_t *handle_out)
{
	struct catmint *mint = context;
	struct ibv_mr *mr = mint->calls->reg_mr(mint->pd, start, bytes,
						IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);

	if (!mr) {
		int error = errno;

		device_refused(mint, bytes, error);
		return -error;
	}
	mint->is_short = false;
	*handle_out = (uintptr_t)mr;
	return 0;
}

static void remove_region(void *context, void *start, size_t bytes, uint64_t handle)
{
	struct catmint *mint = context;

	(void)start;
	(void)bytes;
	mint->calls->dereg_mr((struct ibv_mr *)handle);
}

static const struct heap_registrar_ops registrar_ops = {add_region, remove_region};

static int register_heap(struct catmint *mint)
{
	int error = heap_register(mint->context->heap, &registrar_ops, mint, &mint->registrar);

	mint->is_registered = error == 0;
	return error;
}

/* --- which device --- */

static bool find_port(struct catmint *mint, struct ibv_context *verbs, uint32_t wanted)
{
	struct ibv_device_attr attributes;
	struct ibv_port_attr port;

	if (mint->calls->query_device(verbs, &attributes))
		return false;
	for (uint32_t i = 1; i <= attributes.phys_port_cnt; i++) {
		if (wanted && i != wanted)
			continue;
		if (mint->calls->query_port(verbs, (uint8_t)i, &port) ||
		    (!wanted && port.state != IBV_PORT_ACTIVE))
			continue;
		mint->port = (uint8_t)i;
		return true;
	}
	return false;
}

/* @found: one that it might have been, but for its ports; NULL: there is none. */
static int complain_none(const struct config *config, const char *found)
{
	const char *name = config->catmint.device;

	if (!found && name[0])
		log_error(
			"catmint.device: there is no RDMA device \"%s\", or this user may not open it; "
			"ibv_devices lists those that there are, and demi doctor says which may be opened",
			name);
	else if (!found)
		log_error(
			"catmint: there is no RDMA device, or this user may not open it; demi doctor "
			"says what is missing (over any Ethernet interface: modprobe rdma_rxe; rdma link "
			"add rxe0 type rxe netdev eth0)");
	else if (config->catmint.port)
		log_error("catmint.port: %s has no port %u; demi doctor lists those that there are",
			  found, config->catmint.port);
	else
		log_error(
			"catmint: no port of %s is up; set its interface up (demi doctor names it), or "
			"name another device by catmint.device",
			found);
	return -ENODEV;
}

static int find_device(struct catmint *mint, const struct config *config)
{
	const char *name = config->catmint.device, *found = NULL;
	int count = 0;
	struct ibv_context **list = mint->calls->get_devices(mint->rdma, &count);

	for (int i = 0; list && i < count && !mint->verbs; i++) {
		/* A simulated one is named by how it is made. */
		if (name[0] && !mint->calls->next_ns && strcmp(list[i]->device->name, name) != 0)
			continue;
		found = list[i]->device->name;
		if (find_port(mint, list[i], config->catmint.port))
			mint->verbs = list[i];
	}
	if (list)
		mint->calls->free_devices(list);
	return mint->verbs ? 0 : complain_none(config, found);
}

static int find_gid(const struct catmint *mint, uint32_t index, union ibv_gid *gid)
{
	const struct in6_addr *address = (const struct in6_addr *)gid->raw;
	const char *name = mint->verbs->device->name;

	/* An index that is not in use has zeroes. */
	if (mint->calls->query_gid(mint->verbs, mint->port, (int)index, gid) ||
	    IN6_IS_ADDR_UNSPECIFIED(address)) {
		log_error(
			"catmint.gid_index: port %u of %s has no GID %u; ibv_devinfo -v lists them",
			mint->port, name, index);
		return -EINVAL;
	}
	if (IN6_IS_ADDR_LINKLOCAL(address)) {
		log_error("catmint.gid_index: GID %u of port %u of %s is link-local, which no "
			  "socket can have; take that of another address (demi doctor lists them)",
			  index, mint->port, name);
		return -EINVAL;
	}
	return 0;
}

/* The address that a GID of RoCE stands for. */
static int find_source(struct catmint *mint, const struct config *config)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&mint->source;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&mint->source;
	union ibv_gid gid;
	int error;

	if (config->catmint.gid_index == 255)
		return 0;
	error = find_gid(mint, config->catmint.gid_index, &gid);
	if (error)
		return error;
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)gid.raw)) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, gid.raw + 12, sizeof(v4->sin_addr));
	} else {
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, gid.raw, sizeof(v6->sin6_addr));
	}
	return 0;
}

/* --- limits --- */

static uint32_t at_most(uint64_t wanted, int most)
{
	return most >= 0 && wanted > (uint64_t)most ? (uint32_t)most : (uint32_t)wanted;
}

static void set_limits(struct catmint *mint, const struct config *config,
		       const struct ibv_device_attr *device)
{
	struct catmint_limits *limits = &mint->limits;
	uint32_t completions = at_most(config->catmint.completions, device->max_cqe);

	if (completions < COMPLETIONS_MIN)
		completions = COMPLETIONS_MIN;

	*limits = (struct catmint_limits){
		.receive_bytes = (uint32_t)config->catmint.receive_bytes + MESSAGE_HEADER_BYTES,
		.receive_buffers = config->catmint.receive_buffers,
		.receives_max = completions / 4 * RECEIVES_OF_FOUR,
		.credits_min = config->catmint.credits_min,
		.credits_max = config->catmint.credits_max,
		/* And one to find the end of a queue by; see end.c. */
		.send_depth = at_most(config->catmint.send_depth, device->max_qp_wr - 1),
		.sends_max = completions - completions / 4 * RECEIVES_OF_FOUR - SEND_LASTS_MAX,
		.copy_bytes = config->catmint.inline_bytes,
		.inline_bytes = config->catmint.inline_bytes + MESSAGE_HEADER_BYTES,
		.pieces_max = at_most(SEND_PIECES_MAX, device->max_sge),
		.large_bytes = (uint32_t)config->catmint.rendezvous_bytes,
		.large_ahead_bytes = LARGE_AHEAD * config->catmint.rendezvous_bytes,
		.reads_max = at_most(at_most(READS_MAX, device->max_qp_rd_atom),
				     device->max_qp_init_rd_atom),
		.connections_max = at_most(config->catmint.connections_max, device->max_qp),
		.datagram_buffers = at_most(config->catmint.datagram_buffers, device->max_qp_wr),
		.datagrams_waiting = config->net.neighbour_pending_max,
		.connect_timeout_ns = config->catmint.connect_timeout_ms * (1000 * NS_PER_US),
		.close_timeout_ns = config->catmint.close_timeout_ms * (1000 * NS_PER_US),
		.keepalive_ns = config->catmint.keepalive_ms * (1000 * NS_PER_US),
	};
	/* What nobody asks about stays counted: half remain for use. */
	limits->sends_quiet = limits->sends_max / 2;
	limits->signal_every = limits->send_depth / 4;
	if (limits->credits_max < limits->credits_min)
		limits->credits_max = limits->credits_min;
	limits->credits_max = at_most(limits->credits_max, device->max_qp_wr);
	limits->credits_min = at_most(limits->credits_min, (int)limits->credits_max);
	if (limits->reads_max == 0)
		limits->reads_max = 1;
}

/* What is not there is done without, but for one piece beside the header. */
static int check_pieces(const struct catmint *mint)
{
	uint32_t most = mint->limits.pieces_max;

	if (most < SEND_PIECES_MIN) {
		log_error("catmint: %s takes %u piece of memory in a request, and it takes %u; "
			  "name another device by catmint.device",
			  mint->verbs->device->name, most, SEND_PIECES_MIN);
		return -ENODEV;
	}
	if (most < SEND_PIECES_MAX)
		log_info("catmint: %s takes %u pieces of memory in a request: what is pushed in "
			 "more is copied",
			 mint->verbs->device->name, most);
	return 0;
}

static int create_queues(struct catmint *mint, const struct config *config,
			 const struct ibv_device_attr *device)
{
	struct catmint_limits *limits = &mint->limits;
	uint32_t shared = at_most(limits->receives_max, device->max_srq_wr);
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = shared, .max_sge = 1}};

	mint->channel = mint->calls->create_comp_channel(mint->verbs);
	if (!mint->channel)
		return -errno;
	mint->cq = mint->calls->create_cq(
		mint->verbs, (int)(limits->receives_max + limits->sends_max + SEND_LASTS_MAX), NULL,
		mint->channel, 0);
	if (!mint->cq)
		return -errno;
	if (config->catmint.shared_receive == CONFIG_OFF)
		return 0;
	if (device->max_srq > 0)
		mint->srq = mint->calls->create_srq(mint->pd, &srq);
	if (mint->srq)
		limits->receives_max = shared;
	else
		log_info("catmint: %s has no shared receive queue: each connection has its own",
			 mint->verbs->device->name);
	return 0;
}

/* --- words of counters --- */

/* Peers write here and nowhere else. */
static int create_words(struct catmint *mint)
{
	uint32_t count = mint->limits.connections_max;
	size_t bytes = count * sizeof(mint->words[0]);
	void *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return -ENOMEM;
	mint->words = words;
	mint->free_words = malloc(count * sizeof(mint->free_words[0]));
	if (!mint->free_words)
		return -ENOMEM;
	while (mint->free_word_count < count) {
		mint->free_words[mint->free_word_count] = count - 1 - mint->free_word_count;
		mint->free_word_count++;
	}
	mint->words_mr = mint->calls->reg_mr(mint->pd, words, bytes,
					     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	return mint->words_mr ? 0 : -errno;
}

static void destroy_words(struct catmint *mint)
{
	if (mint->words_mr)
		mint->calls->dereg_mr(mint->words_mr);
	if (mint->words)
		munmap(mint->words, mint->limits.connections_max * sizeof(mint->words[0]));
	free(mint->free_words);
}

/* --- what tells of events --- */

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int watch(const struct catmint *mint, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int error = set_nonblocking(fd);

	if (!error && epoll_ctl(mint->wake_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		error = -errno;
	return error;
}

/* The library's errno is that of the first place where it has looked for the file. */
static int open_manager(struct catmint *mint)
{
	mint->events = mint->calls->create_event_channel(mint->rdma);
	if (mint->events)
		return 0;
	log_error("catmint: connections cannot be made: %s; is the module rdma_ucm there "
		  "(modprobe rdma_ucm), and may /dev/infiniband/rdma_cm be opened?",
		  strerror(errno));
	return -ENODEV;
}

static int create_events(struct catmint *mint)
{
	int error;

	mint->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	if (mint->wake_fd < 0)
		return -errno;
	error = watch(mint, mint->events->fd);
	if (!error)
		error = watch(mint, mint->verbs->async_fd);
	if (!error)
		error = set_nonblocking(mint->channel->fd);
	return error;
}

/* --- open and close --- */

/* Of a frame. A datagram that did not fit would end its receiver's queue pair. */
static uint32_t buffer_bytes(const struct catmint *mint)
{
	uint32_t datagram = DGRAM_GRH_BYTES;
	struct ibv_port_attr port;

	if (!mint->calls->query_port(mint->verbs, mint->port, &port))
		datagram += 128u << port.max_mtu;
	return mint->limits.receive_bytes > datagram ? mint->limits.receive_bytes : datagram;
}

static int open_parts(struct catmint *mint, const struct config *config,
		      const struct ibv_device_attr *device)
{
	int error = 0;

	mint->pd = mint->calls->alloc_pd(mint->verbs);
	if (!mint->pd)
		error = -errno;
	if (!error)
		error = create_queues(mint, config, device);
	if (!error)
		error = create_words(mint);
	if (!error)
		error = create_events(mint);
	if (error) {
		log_error("catmint: %s cannot be set up: %s%s", mint->verbs->device->name,
			  strerror(-error),
			  error == -ENOMEM
				  ? "; raise the limit of locked memory (ulimit -l unlimited)"
				  : "");
		return error;
	}
	credit_init(mint);
	error = register_heap(mint);
	if (!error)
		error = send_pool_create(mint);
	if (!error)
		error = pool_create(&mint->pool, mint->context->heap, buffer_bytes(mint),
				    mint->limits.receives_max + mint->limits.receive_buffers);
	/* What the device refused has been said. */
	if (error == -ENOMEM && !mint->is_short)
		log_error("catmint: there is no memory for requests and receive buffers; raise "
			  "heap.max_bytes");
	return error;
}

int device_open(struct catmint *mint, const struct config *config)
{
	struct rdma_options options = {.now_ns = &mint->context->now_ns};
	struct ibv_device_attr device;
	int error = rdma_open(&mint->rdma, config->catmint.device, &options);

	if (error)
		return error;
	mint->calls = mint->rdma->ops;
	error = find_device(mint, config);
	if (!error)
		error = -mint->calls->query_device(mint->verbs, &device);
	if (!error)
		error = find_source(mint, config);
	if (!error)
		error = open_manager(mint);
	if (error)
		return error;
	set_limits(mint, config, &device);
	error = check_pieces(mint);
	return error ? error : open_parts(mint, config, &device);
}

void device_close(struct catmint *mint)
{
	const struct rdma_ops *calls = mint->calls;

	if (mint->unacked_events)
		calls->ack_cq_events(mint->cq, mint->unacked_events);
	if (mint->is_registered)
		heap_unregister(mint->context->heap, mint->registrar);
	destroy_words(mint);
	send_pool_destroy(mint);
	if (mint->srq)
		calls->destroy_srq(mint->srq);
	if (mint->cq)
		calls->destroy_cq(mint->cq);
	if (mint->channel)
		calls->destroy_comp_channel(mint->channel);
	pool_destroy(&mint->pool);
	if (mint->pd)
		calls->dealloc_pd(mint->pd);
	if (mint->wake_fd >= 0)
		close(mint->wake_fd);
	if (mint->events)
		calls->destroy_event_channel(mint->events);
	rdma_close(mint->rdma);
}

void device_forget(const struct catmint *mint)
{
	close(mint->wake_fd);
	close(mint->events->fd);
	close(mint->channel->fd);
	/* What the parent has of the device would stay as long as the child has these. */
	close(mint->verbs->async_fd);
	if (mint->verbs->cmd_fd >= 0)
		close(mint->verbs->cmd_fd);
}
