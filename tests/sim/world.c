/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>

#include "net/capture.h"
#include "netdev/spread.h"

#define BEGIN_NS SECOND
#define STEP_NS US /* from round to round, at least */
#define ROUNDS_MAX 10000000u
#define QUIET_NS (1300 * SECOND) /* after that neighbours are forgotten too */
#define SETTLE_NS (12 * SECOND)

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	return hash;
}

/* SplitMix64. */
uint64_t world_random(struct world *world, uint64_t limit)
{
	uint64_t z = world->random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % limit;
}

uint64_t seeds_of(uint64_t otherwise)
{
	const char *value = getenv("SEEDS");

	return value ? strtoull(value, NULL, 0) : otherwise;
}

bool seed_is_ours(uint64_t seed)
{
	const char *value = getenv("SIM_PART");
	unsigned int part = 0, parts = 1;

	if (value)
		assert_true(sscanf(value, "%u/%u", &part, &parts) == 2 && parts > 0);
	return seed % parts == part % parts;
}

/* ---- The link ---- */

static bool watch(void *context, unsigned int from, uint64_t number, struct sim_frame *frame)
{
	struct world *world = context;

	(void)number;
	world->trace = mix(world->trace, &world->now_ns, sizeof(world->now_ns));
	world->trace = mix(world->trace, &from, sizeof(from));
	world->trace = mix(world->trace, frame->data, frame->length);
	if (world->cut_off & 1u << from)
		return false;
	if (world->passes && !world->passes(world, from, frame))
		return false;
	if (world->invert && world_random(world, SIM_MILLION) < world->invert) {
		uint64_t bit = world_random(world, (uint64_t)frame->length * 8);

		frame->data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	return true;
}

void world_begin(struct world *world, const struct sim_options *options)
{
	struct sim_options own = *options;

	memset(world, 0, sizeof(*world));
	world->now_ns = BEGIN_NS;
	world->seed = options->seed;
	world->random_state = options->seed ^ 0x5bd1e995;
	own.filter = watch;
	own.filter_context = world;
	world->link = sim_link_create(&own);
	assert_non_null(world->link);
}

/* ---- Stations ---- */

#define SHARED_FRAMES 256u /* of each of those who share a device */

/* For whom the shared device is opened. */
static struct world *shared_world;
static const struct sim_device_options *shared_options;

static int open_shared(struct netdev **device_out, const char *name,
		       const struct netdev_options *options)
{
	struct sim_device_options device = *shared_options;

	(void)name;
	device.frames = STATION_FRAMES;
	return sim_device_create(device_out, shared_world->link, options->heap, &device);
}

static int share_device(struct station *station, const struct sim_device_options *options)
{
	const struct config config = {
		.net = {.frames = SHARED_FRAMES},
		.heap = {.max_bytes = 64u << 20, .huge_pages = CONFIG_HUGE_PAGES_OFF},
	};
	const struct netdev_options device = {
		.heap = station->heap, .config = &config, .seed = station->world->seed};

	shared_world = station->world;
	shared_options = options;
	station->frames = SHARED_FRAMES;
	return spread_open(&station->device, "sim", &device, SPREAD_SLOTS_MAX, open_shared);
}

static struct station *station_make(struct world *world, const struct sim_device_options *options,
				    bool shares)
{
	struct sim_device_options device = *options;
	struct station *station = world->stations;
	int error;

	while (station->device)
		station++;
	assert_true(station < world->stations + STATIONS_MAX);
	memset(station, 0, sizeof(*station));
	station->world = world;
	device.frames = STATION_FRAMES;
	assert_int_equal(
		heap_create(&station->heap, &(struct heap_options){.bytes_max = 64u << 20}), 0);
	assert_int_equal(sched_init(&station->sched, world->now_ns), 0);
	station->frames = STATION_FRAMES;
	if (shares)
		error = share_device(station, options);
	else
		error = sim_device_create(&station->device, world->link, station->heap, &device);
	assert_int_equal(error, 0);
	if (world->count <= (unsigned int)(station - world->stations))
		world->count = (unsigned int)(station - world->stations) + 1;
	return station;
}

struct station *station_add_mute(struct world *world, const struct sim_device_options *options)
{
	return station_make(world, options, false);
}

static void create_net(struct station *station, const struct station_options *options)
{
	const struct net_address addresses[] = {
		{V4(10, 0, 0, options->number), options->is_alone ? 32 : 24, true, false,
		 UINT64_MAX, UINT64_MAX},
		{V6(options->number), options->is_alone ? 128 : 64, true, false, UINT64_MAX,
		 UINT64_MAX},
	};
	const struct ip_address gateways[] = {V4(10, 0, 0, 254), V6(254)};
	struct net_options net_options = {
		.device = station->device,
		.heap = station->heap,
		.sched = &station->sched,
		.now_ns = station->world->now_ns,
		.seed = {station->world->seed, options->number},
		.addresses = addresses,
		.address_count = options->without_v6 ? 1 : 2,
		.gateways = options->gateways ? options->gateways : gateways,
		.gateway_count = !options->has_gateway && !options->gateways ? 0
				 : options->without_v6                       ? 1
									     : 2,
		.vlan = options->vlan,
		.autoconf = options->autoconf,
		.copy_max = options->copy_max ? options->copy_max : 256,
		.neighbours_max = NEIGHBOURS_MAX,
		.neighbour_pending_max = 16,
		.reassembly_bytes_max = 4u << 20,
		.icmp_rate = 1000,
		.socket_bytes_max = 1u << 20,
		.tcp = options->tcp,
	};

	if (options->shares)
		net_options.seed[1] += (uint64_t)(station - station->world->stations) << 16;
	if (station == station->world->stations && getenv("CAPTURE"))
		assert_int_equal(capture_open(&station->capture, getenv("CAPTURE"), "sim", 0), 0);
	net_options.capture = station->capture;

	assert_int_equal(net_create(&station->net, &net_options), 0);
}

struct station *station_add(struct world *world, const struct station_options *options)
{
	struct station *station = station_make(world, &options->device, options->shares);

	station->device->caps.late_release = options->late_release;
	create_net(station, options);
	return station;
}

void station_remove(struct station *station)
{
	net_destroy(station->net);
	/* What has left the queue is let go of. */
	if (station->net)
		assert_true(timer_wheel_next_ns(&station->sched.timers) == TIMER_NEVER);
	netdev_close(station->device);
	capture_close(station->capture);
	station->capture = NULL;
	assert_true(heap_is_empty(station->heap));
	heap_destroy(station->heap);
	sched_fini(&station->sched);
	station->device = NULL;
	station->net = NULL;
}

void station_send(struct station *station, const void *data, uint32_t length)
{
	struct buf *buf = netdev_alloc(station->device);

	assert_non_null(buf);
	memcpy(buf->data, data, length);
	buf->length = length;
	assert_int_equal(
		station->device->ops->tx_burst(station->device, &buf, 1, station->world->now_ns),
		1);
}

static void hear(struct station *station)
{
	struct netdev *device = station->device;
	struct buf *buf;

	while (device->ops->rx_burst(device, &buf, 1, station->world->now_ns)) {
		if (station->heard)
			station->heard(station, buf->data, buf->length);
		netdev_release_chain(device, buf);
	}
}

/* ---- Time ---- */

static uint64_t next_of(const struct station *station)
{
	uint64_t timer_ns = timer_wheel_next_ns(&station->sched.timers);
	uint64_t next_ns = station->device->ops->next_ns(station->device);

	if (station->net && (station->net->tx_count || station->net->loopback_count ||
			     sched_has_ready(&station->sched)))
		return 0;
	return timer_ns < next_ns ? timer_ns : next_ns;
}

static void poll_all(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		struct station *station = &world->stations[i];

		if (!station->device)
			continue;
		if (!station->net) {
			hear(station);
			continue;
		}
		net_poll(station->net, world->now_ns);
		sched_poll(&station->sched, world->now_ns);
		net_flush(station->net);
		assert_true(station->net->tx_count < NETDEV_BURST_MAX);
	}
}

void world_run(struct world *world, uint64_t until_ns)
{
	world->halts = false;
	for (;;) {
		uint64_t next_ns = UINT64_MAX;

		assert_true(++world->rounds < ROUNDS_MAX);
		poll_all(world);
		if (world->halts)
			return;
		for (unsigned int i = 0; i < world->count; i++) {
			if (world->stations[i].device && next_of(&world->stations[i]) < next_ns)
				next_ns = next_of(&world->stations[i]);
		}
		if (next_ns < world->now_ns + STEP_NS)
			next_ns = world->now_ns + STEP_NS;
		if (next_ns > until_ns)
			break;
		world->now_ns = next_ns;
	}
	if (world->now_ns < until_ns) {
		world->now_ns = until_ns;
		poll_all(world);
	}
}

void world_settle(struct world *world)
{
	world_run(world, world->now_ns + SETTLE_NS);
}

void world_end(struct world *world)
{
	world_run(world, world->now_ns + QUIET_NS);
	for (unsigned int i = 0; i < world->count; i++) {
		struct station *station = &world->stations[i];

		if (!station->device)
			continue;
		assert_true(timer_wheel_next_ns(&station->sched.timers) == TIMER_NEVER);
		assert_int_equal(heap_frames_free(station->device->frames), station->frames);
		assert_int_equal(heap_frames_free(station->device->shells), station->frames);
		station_remove(station);
	}
	sim_link_destroy(world->link);
}

/* ---- Accounts ---- */

void station_assert_accounts(const struct station *station, uint64_t datagrams)
{
	const struct net_counters *counters = &station->net->counters;
	const struct net_layer_counters *layers = counters->layers;
	uint64_t ip = layers[NET_LAYER_IPV4].rx_packets + layers[NET_LAYER_IPV6].rx_packets;

	assert_int_equal(layers[NET_LAYER_ETH].rx_packets, station->device->counters.rx_frames);
	assert_int_equal(layers[NET_LAYER_ETH].rx_packets,
			 net_counters_drops(counters, NET_LAYER_ETH) +
				 layers[NET_LAYER_ARP].rx_packets + ip);
	assert_int_equal(
		ip, net_counters_drops(counters, NET_LAYER_IPV4) +
			    net_counters_drops(counters, NET_LAYER_IPV6) +
			    layers[NET_LAYER_ICMP].rx_packets + layers[NET_LAYER_ICMP6].rx_packets +
			    layers[NET_LAYER_UDP].rx_packets + layers[NET_LAYER_TCP].rx_packets);
	assert_int_equal(layers[NET_LAYER_UDP].rx_packets,
			 net_counters_drops(counters, NET_LAYER_UDP) + datagrams);
}

/* ---- Datagrams ---- */

static uint64_t hash_of(const unsigned char *data, uint32_t length)
{
	return mix(mix(0xcbf29ce484222325, data, 8), data + DATAGRAM_BYTES_MIN,
		   length - DATAGRAM_BYTES_MIN);
}

static unsigned char byte_at(uint32_t number, uint32_t at)
{
	return (unsigned char)(at * 7 + (at >> 8) * 13 + number * 31);
}

void datagram_fill(unsigned char *data, uint32_t number, uint32_t length)
{
	uint64_t hash;

	for (uint32_t at = DATAGRAM_BYTES_MIN; at < length; at++)
		data[at] = byte_at(number, at);
	memcpy(data, &number, sizeof(number));
	memcpy(data + 4, &length, sizeof(length));
	hash = hash_of(data, length);
	memcpy(data + 8, &hash, sizeof(hash));
}

static bool is_right(const unsigned char *data, uint32_t length, uint32_t *number)
{
	uint64_t hash;
	uint32_t said;

	*number = 0;
	/* Of a short one there is only the pattern. */
	if (length < DATAGRAM_BYTES_MIN) {
		for (uint32_t at = 0; at < length; at++) {
			if (data[at] != byte_at(0, at))
				return false;
		}
		return true;
	}
	memcpy(number, data, sizeof(*number));
	memcpy(&said, data + 4, sizeof(said));
	memcpy(&hash, data + 8, sizeof(hash));
	return said == length && *number < DATAGRAMS_MAX && hash == hash_of(data, length);
}

static bool received(struct udp_socket *socket, struct buf *buf)
{
	struct endpoint *endpoint = (struct endpoint *)(void *)socket;
	uint32_t number;

	if (is_right(buf->data, buf->length, &number)) {
		endpoint->received++;
		endpoint->times[number]++;
	} else {
		endpoint->wrong++;
	}
	endpoint->length = buf->length;
	endpoint->source = ip_address_from_in6(&buf->source.ipv6.sin6_addr);
	assert_int_equal(buf_free(endpoint->station->heap, buf), 0);
	return true;
}

static void failed(struct udp_socket *socket, int error)
{
	((struct endpoint *)(void *)socket)->error = error;
}

static const struct udp_socket_ops endpoint_ops = {.received = received, .failed = failed};

void endpoint_open(struct endpoint *endpoint, struct station *station, uint16_t port)
{
	const struct ip_address any = ip_address_v6_halves(0, 0);

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->station = station;
	udp_socket_init(&endpoint->udp, station->net, &endpoint_ops, true);
	assert_int_equal(udp_bind(&endpoint->udp, &any, port), 0);
}

void endpoint_close(struct endpoint *endpoint)
{
	udp_socket_fini(&endpoint->udp);
}

int endpoint_send(struct endpoint *endpoint, struct ip_address peer, uint16_t port, uint32_t number,
		  uint32_t length)
{
	struct heap *heap = endpoint->station->heap;
	unsigned char *data = heap_alloc_io(heap, length);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{data, length}}};
	bool waits;
	int error;

	assert_non_null(data);
	if (length >= DATAGRAM_BYTES_MIN) {
		datagram_fill(data, number, length);
	} else {
		for (uint32_t at = 0; at < length; at++)
			data[at] = byte_at(0, at);
	}
	endpoint->station->net->now_ns = endpoint->station->world->now_ns;
	error = udp_tx(&endpoint->udp, &sga, &peer, port, NULL, &waits);
	assert_false(waits);
	assert_int_equal(heap_free(heap, data), 0);
	return error;
}
