/* SPDX-License-Identifier: MIT */
#include "blkdev/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkdev/sim_disk.h"

#define DEPTH_DEFAULT 64u
#define BYTES_MAX_DEFAULT (1u << 20)
#define MEMORY_ALIGNMENT_DEFAULT 4u
#define MEMORY_ALIGNMENT_MAX 4096u
#define CACHE_BLOCKS_DEFAULT 1024u
#define TIMEOUT_NS_DEFAULT UINT64_C(1000000000)

/* ---- What becomes of a request ---- */

static uint64_t draw_latency(struct sim_disk *disk, const struct blk_request *request)
{
	const struct sim_disk_options *options = &disk->options;
	uint64_t latency_ns = options->latency_ns;

	if (options->spread_ns)
		latency_ns += sim_draw(disk, options->spread_ns + 1);
	if (request->operation == BLK_FLUSH || request->durable)
		latency_ns += options->flush_ns;
	return latency_ns;
}

static int draw_error(struct sim_disk *disk, const struct blk_request *request)
{
	const struct sim_disk_options *options = &disk->options;
	const uint32_t rates[] = {
		[BLK_READ] = options->read_error,
		[BLK_WRITE] = options->write_error,
		[BLK_FLUSH] = options->flush_error,
		[BLK_TRIM] = options->trim_error,
	};

	if (sim_happens(disk, rates[request->operation]))
		return -EIO;
	return sim_happens(disk, options->timeout) ? -ETIMEDOUT : 0;
}

static uint64_t draw_place(struct sim_disk *disk, const struct blk_request *request)
{
	const struct sim_disk_options *options = &disk->options;
	uint32_t rate = 0;

	if (request->operation == BLK_READ)
		rate = options->misdirect_read;
	else if (request->operation == BLK_WRITE)
		rate = options->misdirect_write;
	if (!sim_happens(disk, rate))
		return request->block;
	return sim_draw(disk, disk->blkdev.caps.block_count - request->block_count + 1);
}

static struct sim_disk_fate draw_fate(struct sim_disk *disk, const struct blk_request *request)
{
	struct sim_disk_fate fate = {
		.latency_ns = draw_latency(disk, request),
		.block = draw_place(disk, request),
		.error = draw_error(disk, request),
	};

	if (disk->options.hook)
		disk->options.hook(disk->options.hook_context, disk->requests, request, &fate);
	assert(request->block_count <= disk->blkdev.caps.block_count &&
	       fate.block <= disk->blkdev.caps.block_count - request->block_count);
	if (fate.error == -ETIMEDOUT)
		fate.latency_ns = disk->options.timeout_ns ? disk->options.timeout_ns
							   : TIMEOUT_NS_DEFAULT;
	disk->counters.misdirected += fate.block != request->block;
	return fate;
}

/* ---- Requests ---- */

/* Behind all that end at the same time or earlier. */
static void insert(struct sim_disk *disk, struct sim_slot *slot)
{
	struct sim_slot **place = &disk->under_way;

	while (*place && (*place)->end_ns <= slot->end_ns)
		place = &(*place)->next;
	slot->next = *place;
	*place = slot;
	disk->blkdev.under_way++;
}

static void check_gone(struct sim_disk *disk, uint64_t now_ns)
{
	if (disk->blkdev.failure || !disk->options.gone_ns || now_ns < disk->options.gone_ns)
		return;
	disk->blkdev.failure = -ENODEV;
	log_error("%s: the disk is gone, as gone_ns has it", disk->blkdev.name);
}

static int sim_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns)
{
	struct sim_disk *disk = sim_disk_of(device);
	struct sim_slot *slot = disk->free;
	struct sim_disk_fate fate;

	check_gone(disk, now_ns);
	if (device->failure)
		return device->failure;
	if (!slot)
		return -EAGAIN;
	disk->free = slot->next;
	fate = draw_fate(disk, request);
	slot->request = request;
	slot->number = disk->requests++;
	slot->end_ns = now_ns + fate.latency_ns;
	slot->block = fate.block;
	slot->error = fate.error;
	slot->sequence = disk->cache.sequence;
	if (request->operation == BLK_WRITE)
		memset(slot->applied, 0, (request->block_count + 63) / 64 * sizeof(uint64_t));
	blkdev_count(device, request);
	device->counters.commands++;
	insert(disk, slot);
	return 0;
}

/* The next to end does; @error: in place of how it would have, or 0. */
static void end_first(struct sim_disk *disk, int error)
{
	struct sim_slot *slot = disk->under_way;
	struct blk_request *request = slot->request;
	struct blkdev_counters *counters = &disk->blkdev.counters;

	disk->counters.failed += slot->error && !error;
	if (error)
		slot->error = error;
	error = disk->cut ? slot->error : sim_effect(disk, slot);
	disk->under_way = slot->next;
	slot->next = disk->free;
	disk->free = slot;
	disk->blkdev.under_way--;
	counters->errors += error != 0;
	if (error == -ETIMEDOUT) {
		counters->timeouts++;
		counters->resets++;
	}
	request->done(request, error);
}

static unsigned int sim_poll(struct blkdev *device, uint64_t now_ns)
{
	struct sim_disk *disk = sim_disk_of(device);
	/* What is submitted meanwhile ends at the next poll, even if it takes no time. */
	uint64_t requests = disk->requests;
	unsigned int ended = 0;

	check_gone(disk, now_ns);
	while (disk->under_way && disk->under_way->number < requests &&
	       (device->failure || disk->under_way->end_ns <= now_ns)) {
		end_first(disk, device->failure);
		ended++;
	}
	return ended;
}

static uint64_t sim_next_ns(const struct blkdev *device)
{
	const struct sim_disk *disk = sim_disk_of_const(device);
	uint64_t next_ns;

	if (!disk->under_way)
		return UINT64_MAX;
	next_ns = disk->under_way->end_ns;
	if (disk->options.gone_ns && disk->options.gone_ns < next_ns)
		next_ns = disk->options.gone_ns;
	return device->failure ? 0 : next_ns;
}

/* ---- Birth and death ---- */

static void disk_free(struct sim_disk *disk)
{
	sim_cache_fini(&disk->cache);
	free(disk->slots);
	free(disk->applied);
	free(disk);
}

static void sim_forget(struct blkdev *device)
{
	/* The medium is a copy of the parent's now. */
	sim_medium_give_back(sim_disk_of(device)->medium);
	sim_disk_names_forget();
}

static void sim_close(struct blkdev *device)
{
	struct sim_disk *disk = sim_disk_of(device);
	bool is_gone = device->failure != 0;

	/* Nothing is accepted any more. */
	device->failure = -ENODEV;
	if (is_gone && !disk->cut)
		sim_disk_cut(device, &(struct sim_disk_cut){.kept = NULL});
	while (disk->under_way)
		end_first(disk, -ECANCELED);
	if (!disk->cut)
		sim_cache_flush(&disk->cache, disk->medium, UINT64_MAX);
	sim_medium_give_back(disk->medium);
	if (disk->owns_medium)
		sim_medium_destroy(disk->medium);
	disk_free(disk);
}

static const struct blkdev_ops sim_ops = {
	.kind = "sim",
	.submit = sim_submit,
	.poll = sim_poll,
	.next_ns = sim_next_ns,
	.forget = sim_forget,
	.close = sim_close,
};

static bool rates_are_right(const struct sim_disk_options *options)
{
	const uint32_t rates[] = {
		options->read_error,      options->write_error, options->flush_error,
		options->trim_error,      options->timeout,     options->misdirect_read,
		options->misdirect_write, options->rot,         options->tear,
	};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (rates[i] > SIM_DISK_MILLION)
			return false;
	}
	return true;
}

static int check(const struct sim_disk_options *options)
{
	const char *wrong = NULL;

	if (options->depth < SIM_DISK_DEPTH_MIN || options->depth > SIM_DISK_DEPTH_MAX)
		wrong = "depth: give 16 to 4096";
	else if (options->bytes_max < SIM_DISK_BYTES_MIN ||
		 options->bytes_max > SIM_DISK_BYTES_MAX || options->bytes_max % 4096)
		wrong = "bytes_max: give a multiple of 4096 from 131072 to 16777216";
	else if (options->memory_alignment > MEMORY_ALIGNMENT_MAX ||
		 (options->memory_alignment & (options->memory_alignment - 1)))
		wrong = "memory_alignment: give a power of two up to 4096";
	else if (options->cache_blocks > SIM_DISK_CACHE_MAX)
		wrong = "cache_blocks: give 1 to 1048576";
	else if (options->tear_bytes != 8 && options->tear_bytes != 512)
		wrong = "tear_bytes: give 8 or 512";
	else if (options->latency_ns > SIM_DISK_TIME_MAX ||
		 options->spread_ns > SIM_DISK_TIME_MAX || options->flush_ns > SIM_DISK_TIME_MAX ||
		 options->timeout_ns > SIM_DISK_TIME_MAX)
		wrong = "times: give an hour at most";
	else if (!rates_are_right(options))
		wrong = "rates: give 0 to 1000000, per million";
	if (!wrong)
		return 0;
	log_error("sim: %s", wrong);
	return -EINVAL;
}

static void default_to(uint32_t *option, uint32_t value)
{
	if (*option == 0)
		*option = value;
}

static void caps_init(struct sim_disk *disk)
{
	const struct sim_disk_options *options = &disk->options;
	uint32_t block_bytes = sim_medium_block_bytes(disk->medium);

	disk->blkdev.caps = (struct blkdev_caps){
		.block_count = sim_medium_bytes(disk->medium) / block_bytes,
		.block_bytes = block_bytes,
		.memory_alignment = options->memory_alignment,
		.bytes_max = options->bytes_max,
		.depth = options->depth,
		.volatile_cache = !options->no_cache,
		.trim = !options->no_trim,
		.read_only = options->read_only,
		.polls_memory = true,
	};
}

static int storage_init(struct sim_disk *disk)
{
	uint32_t depth = disk->blkdev.caps.depth, block_bytes = disk->blkdev.caps.block_bytes;
	size_t words = (disk->blkdev.caps.bytes_max / block_bytes + 63) / 64;

	disk->slots = calloc(depth, sizeof(*disk->slots));
	disk->applied = calloc(depth * words, sizeof(*disk->applied));
	if (!disk->slots || !disk->applied ||
	    sim_cache_init(&disk->cache, disk->options.cache_blocks, block_bytes)) {
		log_error("sim: no memory for the disk; lower depth or cache_blocks");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < depth; i++) {
		disk->slots[i].applied = disk->applied + i * words;
		disk->slots[i].next = i + 1 < depth ? &disk->slots[i + 1] : NULL;
	}
	disk->free = disk->slots;
	return 0;
}

int sim_disk_create(struct blkdev **device_out, struct sim_medium *medium, struct heap *heap,
		    const struct sim_disk_options *options)
{
	struct sim_disk *disk = calloc(1, sizeof(*disk));
	int error;

	if (!disk)
		return -ENOMEM;
	disk->options = *options;
	default_to(&disk->options.depth, DEPTH_DEFAULT);
	default_to(&disk->options.bytes_max, BYTES_MAX_DEFAULT);
	default_to(&disk->options.memory_alignment, MEMORY_ALIGNMENT_DEFAULT);
	default_to(&disk->options.cache_blocks, CACHE_BLOCKS_DEFAULT);
	default_to(&disk->options.tear_bytes, 512);
	disk->blkdev.ops = &sim_ops;
	disk->blkdev.heap = heap;
	disk->medium = medium;
	disk->random_state = options->seed;
	snprintf(disk->blkdev.name, sizeof(disk->blkdev.name), "sim");
	caps_init(disk);
	error = check(&disk->options);
	if (!error)
		error = storage_init(disk);
	if (!error && !sim_medium_take(medium)) {
		log_error("sim: another disk has the medium; close that first");
		error = -EBUSY;
	}
	if (error) {
		disk_free(disk);
		return error;
	}
	*device_out = &disk->blkdev;
	return 0;
}

struct sim_disk_options *sim_disk_options(struct blkdev *device)
{
	return &sim_disk_of(device)->options;
}

const struct sim_disk_counters *sim_disk_counters(const struct blkdev *device)
{
	return &sim_disk_of_const(device)->counters;
}
