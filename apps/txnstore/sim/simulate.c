/* SPDX-License-Identifier: MIT */
#include "txnstore/sim/simulate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(PROGRAM_CLIENTS_MAX >= SIM_CLIENTS_MAX, "all clients have a program");

#define FAULTS_NS (600 * NS_PER_MS)
#define QUIET_NS (300 * NS_PER_MS)   /* transactions without faults */
#define SETTLE_NS (1500 * NS_PER_MS) /* and then nothing but what was under way */

static uint64_t some(struct random *random, double probability, uint64_t from, uint64_t to)
{
	uint64_t number = from + random_below(random, to - from + 1);

	return random_chance(random, probability) ? number : 0;
}

/* Each seed has faults of its own: some all of them, some none. */
static struct world_config draw_config(struct random *random, uint64_t seed)
{
	static const uint32_t replicas[] = {1, 3, 3, 3, 3, 3, 5};
	struct world_config config = {
		.seed = seed,
		.shards = (uint16_t)(1 + random_below(random, 3)),
		.replicas = replicas[random_below(random, sizeof(replicas) / sizeof(*replicas))],
		.clients = 2 + (uint32_t)random_below(random, 5),
		.has_log = random_chance(random, 0.5),
		.lost = random_chance(random, 0.5) ? 0 : 0.1 * random_real(random),
		.doubled = random_chance(random, 0.5) ? 0 : 0.1 * random_real(random),
		.delay_ns = 50 * NS_PER_US + random_below(random, NS_PER_MS),
		.write_ns = random_chance(random, 0.7) ? 100 * NS_PER_US : 10 * NS_PER_MS,
		.log_room = some(random, 0.3, UINT64_C(20) << 10, UINT64_C(100) << 10),
		.crash_ns = some(random, 0.6, 20 * NS_PER_MS, 200 * NS_PER_MS),
		.partition_ns = some(random, 0.5, 50 * NS_PER_MS, 300 * NS_PER_MS),
		.jump_ns = some(random, 0.3, 20 * NS_PER_MS, 200 * NS_PER_MS),
		.client_crash_ns = some(random, 0.5, 20 * NS_PER_MS, 200 * NS_PER_MS),
		.faults_until_ns = FAULTS_NS,
	};

	return config;
}

/* ---- The program's stage ---- */

struct play {
	struct world world;
	struct program program;
};

static uint64_t stage_now(void *context)
{
	return ((struct play *)context)->world.now_ns;
}

static uint64_t stage_clock(void *context, uint32_t client)
{
	return world_clock(&((struct play *)context)->world, client);
}

static struct txn_client *stage_client(void *context, uint32_t client)
{
	return world_client(&((struct play *)context)->world, client);
}

static void stage_changed(void *context, uint32_t client)
{
	world_wake(&((struct play *)context)->world, client);
}

static void due(void *context, struct event *event)
{
	struct world *world = context;
	struct play *play = world->context;

	program_due(&play->program, event->node, event->number);
}

static void stage_later(void *context, uint32_t client, uint64_t ns, uint64_t number)
{
	world_after(&((struct play *)context)->world, client, ns, due, number);
}

static void client_up(void *context, uint32_t client)
{
	program_client_up(&((struct play *)context)->program, client);
}

static void client_down(void *context, uint32_t client)
{
	program_client_down(&((struct play *)context)->program, client);
}

static void set_stage(struct play *play, const struct simulation *simulation, uint64_t seed)
{
	const struct stage stage = {
		.now = stage_now,
		.clock = stage_clock,
		.client = stage_client,
		.changed = stage_changed,
		.later = stage_later,
		.context = play,
		.clients = play->world.config.clients,
	};

	program_init(&play->program, simulation->check, &stage, "", FAULTS_NS + QUIET_NS, seed);
	play->world.client_up = client_up;
	play->world.client_down = client_down;
	play->world.context = play;
}

/* ---- A simulation ---- */

static void count(const struct play *play, struct verdict *verdict)
{
	const struct program *program = &play->program;
	const struct world *world = &play->world;

	verdict->committed = program->committed;
	verdict->aborted = program->aborted;
	verdict->unknown = program->unknown;
	verdict->crashes = world->crashes;
	verdict->partitions = world->partitions;
	verdict->lost_disks = world->lost_disks;
	verdict->resolved = world->resolved;
	for (uint32_t i = 0; i < world->replica_count; i++) {
		verdict->views += world->nodes[i].replica.views_begun;
		verdict->transfers += world->nodes[i].replica.transfers;
		verdict->resolved += world->nodes[i].is_up ? world->nodes[i].resolver.resolved : 0;
		verdict->snapshots += world->nodes[i].replica.snapshots;
		verdict->full += world->nodes[i].replica.log_full;
		verdict->rewrites += world->nodes[i].replica.rewrites;
	}
}

static void judge(const struct program *program, struct verdict *verdict)
{
	size_t judged = 0;

	verdict->outcome = program_judge(program, verdict->why, sizeof(verdict->why), &judged);
	verdict->judged = judged;
}

static void run(struct play *play, struct verdict *verdict)
{
	const char *wrong;

	program_begin(&play->program);
	world_run(&play->world, FAULTS_NS + QUIET_NS + SETTLE_NS);
	wrong = world_settled(&play->world);
	program_end(&play->program);
	count(play, verdict);
	if (play->program.failed)
		verdict->outcome = -ENOMEM;
	else
		judge(&play->program, verdict);
	if (!verdict->outcome && wrong) {
		verdict->outcome = 1;
		snprintf(verdict->why, sizeof(verdict->why), "%s", wrong);
	}
}

void simulate(const struct simulation *simulation, struct verdict *verdict)
{
	struct random random = {.state = random_mix(simulation->seed)};
	struct world_config config = draw_config(&random, random_next(&random));
	struct play *play = malloc(sizeof(*play));

	*verdict = (struct verdict){.outcome = -ENOMEM};
	if (!play)
		return;
	config.is_weak = simulation->is_weak;
	verdict->outcome = world_init(&play->world, &config);
	if (!verdict->outcome) {
		set_stage(play, simulation, random_next(&random));
		run(play, verdict);
		play->world.client_down = NULL;
		program_destroy(&play->program);
		world_destroy(&play->world);
	}
	free(play);
}
