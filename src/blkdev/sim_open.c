/* SPDX-License-Identifier: MIT */
/* Simulated disks by name, for the configuration: "sim:64M,block=4096,latency_us=10". */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkdev/kinds.h"
#include "blkdev/sim_disk.h"

#define NAME_BYTES_MAX 31
#define BLOCK_BYTES_DEFAULT 4096u
#define NS_PER_US 1000u
#define EXAMPLE "sim:64M,block=4096,latency_us=10"

/* A medium with a name. It stays, so that what was written is there when it is opened again. */
struct entry {
	struct entry *next;
	struct sim_medium *medium;
	char name[NAME_BYTES_MAX + 1];
};

/* Looked at when a disk is opened only. */
static struct entry *entries;
static pthread_mutex_t entries_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- Words ---- */

struct parsed {
	uint64_t bytes;
	uint32_t block_bytes;
	char name[NAME_BYTES_MAX + 1];
	struct sim_disk_options disk;
};

struct key {
	const char *name;
	size_t offset; /* in struct parsed */
	size_t bytes;  /* of the number there */
	uint64_t max;
	uint64_t unit; /* that it is multiplied by */
};

#define KEY(name, field, max, unit)                                                             \
	{                                                                                       \
		name, offsetof(struct parsed, field), sizeof(((struct parsed *)0)->field), max, \
			unit                                                                    \
	}
#define TIME_KEY(name, field) KEY(name, disk.field, SIM_DISK_TIME_MAX / NS_PER_US, NS_PER_US)
#define NUMBER_KEY(field) KEY(#field, disk.field, UINT32_MAX, 1)
#define SWITCH_KEY(field) KEY(#field, disk.field, 1, 1)

static const struct key keys[] = {
	KEY("block", block_bytes, UINT32_MAX, 1),
	KEY("seed", disk.seed, UINT64_MAX, 1),
	TIME_KEY("latency_us", latency_ns),
	TIME_KEY("spread_us", spread_ns),
	TIME_KEY("flush_us", flush_ns),
	TIME_KEY("timeout_us", timeout_ns),
	NUMBER_KEY(depth),
	NUMBER_KEY(bytes_max),
	NUMBER_KEY(memory_alignment),
	NUMBER_KEY(cache_blocks),
	SWITCH_KEY(no_cache),
	SWITCH_KEY(no_trim),
	SWITCH_KEY(read_only),
	NUMBER_KEY(read_error),
	NUMBER_KEY(write_error),
	NUMBER_KEY(flush_error),
	NUMBER_KEY(trim_error),
	NUMBER_KEY(timeout),
	NUMBER_KEY(misdirect_read),
	NUMBER_KEY(misdirect_write),
	NUMBER_KEY(rot),
	NUMBER_KEY(tear),
	NUMBER_KEY(tear_bytes),
};

/* The number at @text, and where it ends; false: there is none that fits. */
static bool parse_number(uint64_t *number_out, const char *text, const char **end_out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number_out = strtoull(text, &end, 10);
	*end_out = end;
	return errno == 0;
}

static bool store_number(struct parsed *parsed, const struct key *key, const char *text,
			 const char *end)
{
	unsigned char *place = (unsigned char *)parsed + key->offset;
	const char *stop;
	uint64_t number;

	if (!parse_number(&number, text, &stop) || stop != end || number > key->max)
		return false;
	number *= key->unit;
	/* Of the low bytes, whichever end they stand at. */
	if (key->bytes == sizeof(uint64_t))
		memcpy(place, &number, sizeof(number));
	else if (key->bytes == sizeof(uint32_t))
		memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
	else
		*place = (unsigned char)number;
	return true;
}

static bool is_key(const char *name, const char *word, size_t length)
{
	return strlen(name) == length && memcmp(name, word, length) == 0;
}

static bool parse_word(struct parsed *parsed, const char *word, size_t length)
{
	size_t key_length = strcspn(word, "=");
	size_t value_length;

	if (key_length >= length)
		return false;
	value_length = length - key_length - 1;
	if (is_key("name", word, key_length)) {
		if (value_length == 0 || value_length > NAME_BYTES_MAX)
			return false;
		memcpy(parsed->name, word + key_length + 1, value_length);
		parsed->name[value_length] = '\0';
		return true;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (is_key(keys[i].name, word, key_length))
			return store_number(parsed, &keys[i], word + key_length + 1, word + length);
	}
	return false;
}

/* "64M" at @text, up to @end. */
static bool parse_size(uint64_t *bytes_out, const char *text, const char *end)
{
	static const char suffixes[] = "KMG";
	const char *stop, *suffix;
	unsigned int shift = 0;

	if (!parse_number(bytes_out, text, &stop))
		return false;
	suffix = stop < end ? strchr(suffixes, *stop) : NULL;
	if (suffix) {
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		stop++;
	}
	if (stop != end || *bytes_out > SIM_MEDIUM_BYTES_MAX >> shift)
		return false;
	*bytes_out <<= shift;
	return true;
}

static int parse(struct parsed *parsed, const char *arguments)
{
	const char *at = arguments;
	size_t length = strcspn(at, ",");

	if (!parse_size(&parsed->bytes, at, at + length)) {
		log_error("sim:%.80s: begin with the size, up to 1024G, as in " EXAMPLE, arguments);
		return -EINVAL;
	}
	for (at += length; *at; at += length) {
		at++;
		length = strcspn(at, ",");
		if (!parse_word(parsed, at, length)) {
			log_error(
				"sim:%.80s: \"%.*s\" is not understood; give key=value, as in " EXAMPLE,
				arguments, (int)(length < 80 ? length : 80), at);
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- Media ---- */

static int entry_create(struct entry **entry_out, const struct parsed *parsed)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	int error;

	if (!entry)
		return -ENOMEM;
	error = sim_medium_create(&entry->medium, parsed->bytes, parsed->block_bytes);
	if (error) {
		free(entry);
		return error;
	}
	memcpy(entry->name, parsed->name, sizeof(entry->name));
	entry->next = entries;
	entries = entry;
	*entry_out = entry;
	return 0;
}

/* With the mutex. */
static int named_medium(struct sim_medium **medium_out, const struct parsed *parsed)
{
	struct entry *entry = entries;
	int error;

	while (entry && strcmp(entry->name, parsed->name) != 0)
		entry = entry->next;
	if (!entry) {
		error = entry_create(&entry, parsed);
		if (error)
			return error;
	}
	if (sim_medium_bytes(entry->medium) != parsed->bytes ||
	    sim_medium_block_bytes(entry->medium) != parsed->block_bytes) {
		log_error("sim: name=%s: was made with %llu bytes in blocks of %u; repeat that, or "
			  "give another name",
			  parsed->name, (unsigned long long)sim_medium_bytes(entry->medium),
			  sim_medium_block_bytes(entry->medium));
		return -EINVAL;
	}
	*medium_out = entry->medium;
	return 0;
}

static int open_named(struct blkdev **device_out, const struct parsed *parsed, struct heap *heap)
{
	struct sim_medium *medium;
	int error;

	pthread_mutex_lock(&entries_mutex);
	error = named_medium(&medium, parsed);
	if (!error)
		error = sim_disk_create(device_out, medium, heap, &parsed->disk);
	pthread_mutex_unlock(&entries_mutex);
	return error;
}

static int open_alone(struct blkdev **device_out, const struct parsed *parsed, struct heap *heap)
{
	struct sim_medium *medium;
	int error = sim_medium_create(&medium, parsed->bytes, parsed->block_bytes);

	if (error)
		return error;
	error = sim_disk_create(device_out, medium, heap, &parsed->disk);
	if (error)
		sim_medium_destroy(medium);
	else
		sim_disk_of(*device_out)->owns_medium = true;
	return error;
}

void sim_disk_names_forget(void)
{
	/* Another thread of the parent may have had it. */
	pthread_mutex_init(&entries_mutex, NULL);
}

int sim_disk_open(struct blkdev **device_out, const char *arguments,
		  const struct blkdev_options *options)
{
	struct parsed parsed = {.block_bytes = BLOCK_BYTES_DEFAULT, .disk.seed = options->seed};
	int error = parse(&parsed, arguments);

	if (error)
		return error;
	parsed.disk.read_only |= options->read_only;
	error = parsed.name[0] ? open_named(device_out, &parsed, options->heap)
			       : open_alone(device_out, &parsed, options->heap);
	if (!error)
		snprintf((*device_out)->name, sizeof((*device_out)->name), "sim:%.80s", arguments);
	return error;
}
