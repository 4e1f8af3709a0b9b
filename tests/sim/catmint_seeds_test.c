/* SPDX-License-Identifier: MIT */
/*
 * Catmint between runtimes on a simulated network, with limits, programs and mishaps of all kinds, by
 * seed: SEEDS says how many, SEED tries one alone.
 */
#include "catmint_judge.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SEEDS 100u
#else
#define SEEDS 320u
#endif
#define QUIET_NS (2000 * MS) /* longer than anything waits */
#define PATIENCE_NS (60000 * MS)

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static uint32_t pick(uint32_t first, uint32_t second, uint32_t third)
{
	return world_chance(3) ? first : world_chance(2) ? second : third;
}

/* ---- What a seed's hosts are like ---- */

static void set_config(struct config *config)
{
	config_defaults(config);
	config->heap.max_bytes = judge.is_small ? 12u << 20 : 256u << 20;
	config->catmint.receive_bytes = pick(512, 4096, 15360);
	config->catmint.receive_buffers = pick(16, 100, 4096);
	config->catmint.credits_min = 1 + (uint32_t)world_random(4);
	config->catmint.credits_max = pick(2, 7, 64);
	config->catmint.shared_receive = world_chance(3) ? CONFIG_OFF : CONFIG_ON;
	config->catmint.send_depth = pick(8, 13, 128);
	config->catmint.completions = pick(64, 256, 32768);
	config->catmint.inline_bytes = pick(0, 256, 1024);
	config->catmint.rendezvous_bytes = pick(64 << 10, 200 << 10, 1 << 20);
	config->catmint.connections_max = 100;
	config->catmint.connect_timeout_ms = 200;
	config->catmint.close_timeout_ms = 300;
	config->catmint.keepalive_ms = pick(0, 10, 50);
	if (judge.has_faults && config->catmint.keepalive_ms == 0)
		config->catmint.keepalive_ms = 20;
}

static void set_network(struct rdma_sim_options *options, bool is_slow, bool is_lossy)
{
	options->delay_ns = is_slow ? world_random(30000) : 0;
	options->jitter_ns = is_slow ? world_random(20000) : 0;
	options->loss = is_lossy ? (uint32_t)world_random(300) : 0;
	options->retransmit_ns = 200 * US;
	options->cm_timeout_ns = 2 * MS;
	options->rnr_ns = 10 * US;
}

static void start_hosts(void)
{
	char words[100];

	for (unsigned int i = 0; i < HOSTS; i++) {
		struct host *host = &world.hosts[i];

		set_config(&host->config);
		snprintf(words, sizeof(words), ",seed=%llu%s%s%s%s", (unsigned long long)world.seed,
			 world_chance(4) ? ",max_srq=0" : "",
			 world_chance(4) ? ",max_inline=0" : "",
			 world_chance(4) ? ",max_sge=2" : "",
			 world_chance(4) ? ",max_rd_atom=1" : "");
		host_start(host, i + 1, words);
	}
	set_network(rdma_sim_options(world.hosts[0].mint->rdma), world.seed % 4 != 0,
		    world.seed % 4 == 2);
}

/* ---- Mishaps ---- */

static void fail_qp(const struct host *host)
{
	uint32_t which = (uint32_t)world_random(host->mint->connection_count + 1);

	for (struct connection *connection = host->mint->connections; connection;
	     connection = connection->all_next)
		if (connection->qp && which-- == 0) {
			rdma_sim_fail_qp(connection->qp);
			return;
		}
}

static void have_mishap(struct host *host)
{
	struct rdma *rdma = host->mint->rdma;

	world.act = "a mishap";
	switch (world.seed / 8 % 4) {
	case 0:
		rdma_sim_link(rdma, world_chance(3));
		break;
	case 1:
		if (world_chance(20)) {
			rdma_sim_remove(rdma);
			host->is_dead = true;
		}
		break;
	case 2:
		if (world_chance(20)) {
			rdma_sim_silence(rdma);
			host->is_dead = true;
		}
		break;
	default:
		fail_qp(host);
	}
}

static void be_short(struct host *host)
{
	heap_fail_after(host->context.heap, world_chance(3) ? world_random(5) : UINT64_MAX);
}

static void mend(void)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		struct host *host = &world.hosts[i];

		heap_fail_after(host->context.heap, UINT64_MAX);
		if (!host->is_dead)
			rdma_sim_link(host->mint->rdma, true);
	}
}

/* ---- A seed ---- */

static void act(void)
{
	uint32_t acts = 50 + (uint32_t)world_random(400), pace = pick(1, 3, 30);

	acts *= pace == 30 ? 3 : 1;

	for (uint32_t i = 0; i < acts; i++) {
		world.act = "acting";
		if (world_chance(pace))
			world_step();
		program_act();
		judge_take();
		if (judge.has_faults && world_chance(40))
			have_mishap(&world.hosts[world_random(HOSTS)]);
		if (judge.is_short && world_chance(20))
			be_short(&world.hosts[world_random(HOSTS)]);
	}
}

/* Whatever there is, they go. */
static void abort_all(void)
{
	judge_expect_anything();
	for (unsigned int i = 0; i < 2 * judge.channel_count; i++) {
		struct end *end = &judge.channels[i / 2].ends[i % 2];

		if (end->state == END_OPEN || end->state == END_CONNECTING)
			program_close(end);
	}
}

static void finish(void)
{
	uint64_t end_ns = world.now_ns + (judge.is_small ? QUIET_NS : PATIENCE_NS);

	mend();
	world.act = "finishing";
	while (!program_finish()) {
		world_step();
		judge_take();
		/* What is pushed may be all the memory that the other would need to receive. */
		if (judge.is_small && world.now_ns >= end_ns)
			break;
		world_demand(world.now_ns < end_ns, "it does not come to an end");
	}
	if (world.now_ns < end_ns)
		judge_assert_all_arrived();
	else
		abort_all();
	world.act = "being quiet";
	program_unlisten();
	judge.is_over = true;
	for (end_ns = world.now_ns + QUIET_NS; world.now_ns < end_ns;) {
		world_step();
		judge_take();
	}
	for (unsigned int i = 0; i < HOSTS; i++)
		host_assert_quiet(&world.hosts[i]);
}

static unsigned int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void try_seed(uint64_t seed)
{
	unsigned int descriptors = count_descriptors();

	world_begin(seed);
	judge_begin();
	judge.is_gentle = seed % 2 == 0;
	judge.has_faults = seed % 8 >= 6;
	judge.pushes_max = pick(2, 8, 50);
	judge.is_short = seed % 8 == 4 || seed % 8 == 5;
	judge.is_small = judge.is_short && world_chance(2);
	world.sleeps = world_chance(2);
	start_hosts();
	for (unsigned int i = 0; i < HOSTS; i++)
		program_listen(&world.hosts[i]);
	act();
	/* Or all is under way when they stop. */
	if (world_chance(5))
		judge_expect_anything();
	else
		finish();
	world.act = "stopping";
	for (unsigned int i = 0; i < HOSTS; i++) {
		host_stop(&world.hosts[i]);
		judge_take();
	}
	judge_end();
	for (unsigned int i = 0; i < HOSTS; i++)
		host_end(&world.hosts[i]);
	world_demand(count_descriptors() == descriptors, "descriptors are left");
}

static uint64_t pushed, received, connected, failed;

static void catmint__keeps_what_it_promises(void **state)
{
	uint64_t seed = number_of("SEED", 0), count = number_of("SEEDS", SEEDS);
	uint64_t first = number_of("SEED_FIRST", 1);

	(void)state;
	if (seed > 0) {
		try_seed(seed);
		return;
	}
	for (seed = first; seed < first + count; seed++) {
		try_seed(seed);
		pushed += judge.pushed;
		received += judge.received;
		connected += judge.connected;
		failed += judge.failed;
	}
	print_message(
		"%llu connections, %llu MiB pushed, %llu MiB popped, %llu operations failed\n",
		(unsigned long long)connected, (unsigned long long)pushed >> 20,
		(unsigned long long)received >> 20, (unsigned long long)failed);
}

/* What the library says of mishaps nobody hears. */
static void hush(void)
{
	int null = open("/dev/null", O_WRONLY);

	assert_true(null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(catmint__keeps_what_it_promises),
	};

	if (number_of("SEED", 0))
		log_set_level(CONFIG_LOG_DEBUG);
	else
		hush();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
