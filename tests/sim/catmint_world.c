/* SPDX-License-Identifier: MIT */
#include "catmint_world.h"

#include "rdma/sim_device.h"

#define OPERATIONS 4096u
#define QUEUES 256u
#define STEP_NS (5 * US)
#define PATIENT_NS (200 * US)

struct world world;

/* SplitMix64. */
uint64_t world_random(uint64_t limit)
{
	uint64_t z = world.random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % limit;
}

bool world_chance(uint64_t many)
{
	return world_random(many) == 0;
}

void world_fail(int line, const char *format, ...)
{
	char text[200];
	va_list list;

	print_message("line %d, at %llu us, %s: ", line, (unsigned long long)(world.now_ns / US),
		      world.act);
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	print_message("%s; SEED=%llu tries it again\n", text, (unsigned long long)world.seed);
	abort();
}

void world_begin(uint64_t seed)
{
	world = (struct world){
		.seed = seed, .random_state = seed, .now_ns = 1000 * MS, .act = "begin"};
}

/* Each look takes a while: who waits for a time to come sees it come. */
static uint64_t clock_ns(void)
{
	return world.now_ns += 20 * US;
}

/* ---- Start and stop ---- */

static uint64_t objects_of(const struct host *host)
{
	struct heap_stats stats;

	heap_get_stats(host->context.heap, &stats);
	return stats.objects;
}

/* Looks whether the device's objects are gone, when it is closed. */
static const struct rdma_ops *sim_ops;

static void close_checked(struct rdma *rdma)
{
	const struct sim_device *device = sim_device_of(rdma);

	for (int i = 0; i < SIM_OBJECTS; i++)
		world_demand(device->counts[i] == 0, "%u objects of the device of kind %d are left",
			     device->counts[i], i);
	world_demand(device->counters.rnr == 0, "%llu messages found no receive buffer",
		     (unsigned long long)device->counters.rnr);
	world_demand(device->counters.overflowed == 0, "a completion queue has overflowed");
	sim_ops->close(rdma);
}

static void check_close(struct rdma *rdma)
{
	static struct rdma_ops ops;

	if (!sim_ops) {
		sim_ops = rdma->ops;
		ops = *sim_ops;
		ops.close = close_checked;
	}
	rdma->ops = &ops;
}

void host_start(struct host *host, unsigned int number, const char *words)
{
	struct queue_context *context = &host->context;
	int error;

	host->number = number;
	snprintf(host->config.catmint.device, sizeof(host->config.catmint.device),
		 "sim:w,ip=10.0.0.%u,ip=fd00::%u%s", number, number, words);
	context->clock = clock_ns;
	context->now_ns = world.now_ns;
	assert_int_equal(
		heap_create(&context->heap,
			    &(struct heap_options){.bytes_max = host->config.heap.max_bytes,
						   .huge_pages = HEAP_HUGE_PAGES_OFF}),
		0);
	assert_int_equal(sched_init(&context->sched, world.now_ns), 0);
	assert_int_equal(op_table_init(&context->ops, OPERATIONS), 0);
	assert_int_equal(queue_table_init(&context->queues, QUEUES), 0);
	error = catmint_ops.start(&host->libos, context, &host->config);
	world_demand(error == 0, "the start: %s", strerror(-error));
	host->mint = catmint_of(host->libos);
	check_close(host->mint->rdma);
	host->objects = objects_of(host);
	host->is_running = true;
}

static void close_all(struct host *host)
{
	struct queue_table *queues = &host->context.queues;
	struct op_table *ops = &host->context.ops;

	for (uint32_t slot = 0; slot < queues->used; slot++) {
		struct queue *queue = queues->queues[slot];

		if (!queue)
			continue;
		queue_table_remove(queues, queue);
		queue->ops->close(queue);
	}
	for (uint32_t slot = 0; slot < ops->used; slot++) {
		struct op *op = &ops->slots[slot];

		if (op->state == OP_PENDING && op->opcode == DEMI_OPC_CLOSE)
			op->queue->ops->cancel(op->queue, op);
	}
}

void host_stop(struct host *host)
{
	struct op_table *ops = &host->context.ops;

	host_wake(host);
	close_all(host);
	catmint_ops.stop(host->libos);
	host->is_running = false;
	for (uint32_t slot = 0; slot < ops->used; slot++)
		world_demand(ops->slots[slot].state != OP_PENDING,
			     "an operation of kind %u never completed", ops->slots[slot].opcode);
}

void host_end(struct host *host)
{
	struct queue_context *context = &host->context;

	world_demand(heap_is_empty(context->heap), "host %u: objects of the heap are left",
		     host->number);
	queue_table_fini(&context->queues);
	op_table_fini(&context->ops);
	sched_fini(&context->sched);
	heap_destroy(context->heap);
}

void host_wake(struct host *host)
{
	host->is_asleep = false;
	host->context.now_ns = world.now_ns;
}

/* ---- What it has ---- */

void host_assert_quiet(const struct host *host)
{
	const struct catmint *mint = host->mint;
	struct heap_stats stats;

	heap_get_stats(host->context.heap, &stats);
	world_demand(mint->connection_count == 0, "host %u: %u connections are left", host->number,
		     mint->connection_count);
	world_demand(mint->table.count == 0, "connections are left in the table");
	world_demand(mint->free_word_count == mint->limits.connections_max,
		     "host %u: words of counters are left: %u of %u are free", host->number,
		     mint->free_word_count, mint->limits.connections_max);
	world_demand(mint->opening == 0 && mint->listeners == 0, "%u are opening, %u listen",
		     mint->opening, mint->listeners);
	world_demand(mint->sends == 0, "%u requests are counted", mint->sends);
	world_demand(stats.objects == host->objects, "host %u: %llu objects of the heap, not %llu",
		     host->number, (unsigned long long)stats.objects,
		     (unsigned long long)host->objects);
	if (mint->failure)
		return;
	world_demand((int64_t)mint->receives == (int64_t)mint->spare,
		     "host %u: %u receive buffers, %d of nobody", host->number, mint->receives,
		     (int)mint->spare);
	world_demand(stats.frames_in_use == mint->receives,
		     "host %u: %llu frames in use, %u with the device", host->number,
		     (unsigned long long)stats.frames_in_use, mint->receives);
}

/* ---- Age ---- */

static bool is_new(const struct connection *connection)
{
	return connection->state == CONNECTION_CONNECTED && !connection->error &&
	       connection->sent == 0 && connection->received == 0 && connection->read == 0 &&
	       !connection->posted.head && !connection->chain.head;
}

/* A multiple of the room in queues, so that numbers find there what they found before. */
#define MESSAGES_LEFT 64u

static void age(struct connection *connection)
{
	uint32_t count = 0u - MESSAGES_LEFT, read = 0u - 3;

	connection->sent += count;
	connection->allowed += count;
	connection->peer_read += read;
	connection->granted += count;
	connection->told += count;
	connection->received += count;
	connection->consumed += count;
	connection->read += read;
	connection->read_told += read;
	connection->word_seen = message_counters_pack(
		(struct message_counters){connection->allowed, connection->peer_read});
	connection->mint->words[connection->word] = connection->word_seen;
}

void world_age(struct connection *first, struct connection *second)
{
	if (!is_new(first) || !is_new(second))
		return;
	age(first);
	age(second);
}

/* ---- Time ---- */

static bool has_woken(struct host *host)
{
	return world.now_ns >= host->wake_ns || poll(host->wakes, (nfds_t)host->wake_count, 0) > 0;
}

static uint64_t next_of(const struct host *host)
{
	uint64_t timer_ns = timer_wheel_next_ns(&host->context.sched.timers);
	uint64_t network_ns = host->mint->calls->next_ns(host->mint->rdma);

	return timer_ns < network_ns ? timer_ns : network_ns;
}

/* What a wait does that finds nothing complete. */
static void maybe_sleep(struct host *host)
{
	uint64_t timer_ns = timer_wheel_next_ns(&host->context.sched.timers);
	uint64_t timeout_ns = timer_ns == UINT64_MAX    ? UINT64_MAX
			      : timer_ns > world.now_ns ? timer_ns - world.now_ns
							: 0;

	if (!world.sleeps || host->context.ops.fresh.head || sched_has_ready(&host->context.sched))
		return;
	host->wake_count = catmint_ops.idle(host->libos, host->wakes, &timeout_ns);
	if (host->wake_count < 0)
		return;
	world_demand(!host->context.ops.fresh.head, "something has completed, and it sleeps");
	host->is_asleep = true;
	host->wake_ns = timeout_ns > UINT64_MAX - world.now_ns ? UINT64_MAX
							       : world.now_ns + timeout_ns;
}

static void step(struct host *host)
{
	if (host->is_asleep && !has_woken(host))
		return;
	host_wake(host);
	sched_poll(&host->context.sched, world.now_ns);
	maybe_sleep(host);
}

void world_step(void)
{
	uint64_t next_ns = world.now_ns + (world_chance(4) ? PATIENT_NS : STEP_NS), limit_ns;

	for (unsigned int i = 0; i < HOSTS; i++) {
		struct host *host = &world.hosts[i];

		if (!host->is_running)
			continue;
		step(host);
		limit_ns = next_of(host);
		if (limit_ns < next_ns)
			next_ns = limit_ns;
	}
	/* Polling takes a while, too. */
	world.now_ns += 50 + world_random(500);
	if (next_ns > world.now_ns)
		world.now_ns = next_ns;
}
