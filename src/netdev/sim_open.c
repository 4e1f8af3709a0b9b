/* SPDX-License-Identifier: MIT */
/* Links by name, for stations that the configuration makes: "sim:NAME,loss=1000,seed=7". */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "netdev/kinds.h"
#include "netdev/sim_link.h"

#define ARGUMENTS_BYTES_MAX 255

/* A link with a name. */
struct entry {
	struct entry *next;
	struct sim_link *link;
	pthread_t thread; /* whose it is */
	char name[ARGUMENTS_BYTES_MAX + 1];
	char words[ARGUMENTS_BYTES_MAX + 1]; /* that it was made with */
};

/* Stations meet here, when they are opened and closed only. */
static struct entry *entries;
static pthread_mutex_t entries_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- Words ---- */

struct parsed {
	char name[ARGUMENTS_BYTES_MAX + 1];
	const char *words; /* behind the name */
	struct sim_options link;
	struct sim_device_options device;
};

struct key {
	const char *name;
	size_t offset; /* in struct parsed */
	size_t bytes;  /* of the number there */
	uint64_t max;
};

#define LINK_KEY(field, max)                                          \
	{                                                             \
#field, offsetof(struct parsed, link.field),          \
			sizeof(((struct sim_options *)0)->field), max \
	}
#define DEVICE_KEY(field)                                           \
	{                                                           \
#field, offsetof(struct parsed, device.field), 1, 1 \
	}

static const struct key keys[] = {
	LINK_KEY(seed, UINT64_MAX),
	LINK_KEY(delay_ns, UINT64_C(3600000000000)),
	LINK_KEY(jitter_ns, UINT64_C(3600000000000)),
	LINK_KEY(bandwidth, UINT64_C(1000000000000)),
	LINK_KEY(queue_frames, SIM_QUEUE_FRAMES_MAX),
	LINK_KEY(queue_bytes, UINT32_MAX),
	LINK_KEY(loss, SIM_MILLION),
	LINK_KEY(duplicate, SIM_MILLION),
	LINK_KEY(reorder, SIM_MILLION),
	LINK_KEY(reorder_ns, UINT64_C(3600000000000)),
	LINK_KEY(corrupt, SIM_MILLION),
	LINK_KEY(truncate, SIM_MILLION),
	LINK_KEY(flight_max, 65536),
	DEVICE_KEY(checksum),
	DEVICE_KEY(asynchronous_tx),
	DEVICE_KEY(refuses),
};

/* Stores the number at @text, up to @end, if it is one and not too large. */
static bool store_number(struct parsed *parsed, const struct key *key, const char *text,
			 const char *end)
{
	unsigned char *place = (unsigned char *)parsed + key->offset;
	char *stop;
	uint64_t number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &stop, 10);
	if (errno || stop != end || number > key->max)
		return false;
	/* Of the low bytes, whichever end they stand at. */
	if (key->bytes == sizeof(uint64_t))
		memcpy(place, &number, sizeof(number));
	else if (key->bytes == sizeof(uint32_t))
		memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
	else
		*place = (unsigned char)number;
	return true;
}

static bool parse_word(struct parsed *parsed, const char *word, size_t length)
{
	size_t name_length = strcspn(word, "=");

	if (name_length >= length)
		return false;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strlen(keys[i].name) == name_length &&
		    memcmp(keys[i].name, word, name_length) == 0)
			return store_number(parsed, &keys[i], word + name_length + 1,
					    word + length);
	}
	return false;
}

static int parse(struct parsed *parsed, const char *arguments)
{
	const char *at = arguments;
	size_t length = strcspn(at, ",");

	if (strlen(arguments) > ARGUMENTS_BYTES_MAX) {
		log_error("sim:%s: longer than %d bytes", arguments, ARGUMENTS_BYTES_MAX);
		return -EINVAL;
	}
	if (!memchr(at, '=', length)) {
		memcpy(parsed->name, at, length);
		at += length + (at[length] == ',');
	}
	parsed->words = at;
	while (*at) {
		length = strcspn(at, ",");
		if (!parse_word(parsed, at, length)) {
			log_error("sim:%s: \"%.*s\" is not understood; give key=number, as in "
				  "sim:NAME,loss=1000,delay_ns=50000",
				  arguments, (int)length, at);
			return -EINVAL;
		}
		at += length + (at[length] == ',');
	}
	return 0;
}

/* ---- Links ---- */

static struct entry *entry_create(const struct parsed *parsed)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->link = sim_link_create(&parsed->link);
	if (!entry->link) {
		free(entry);
		return NULL;
	}
	entry->thread = pthread_self();
	memcpy(entry->name, parsed->name, sizeof(entry->name));
	snprintf(entry->words, sizeof(entry->words), "%s", parsed->words);
	entry->next = entries;
	entries = entry;
	return entry;
}

static int entry_check(const struct entry *entry, const struct parsed *parsed)
{
	if (!pthread_equal(entry->thread, pthread_self())) {
		log_error("sim:%s: the link belongs to another thread; give this one another name, "
			  "or use loop:NAME between threads",
			  parsed->name);
		return -EBUSY;
	}
	if (parsed->words[0] && strcmp(parsed->words, entry->words) != 0) {
		log_error("sim:%s: the link was made with \"%s\"; repeat that or give the name "
			  "alone",
			  parsed->name, entry->words);
		return -EINVAL;
	}
	return 0;
}

/* With the mutex. */
static int link_get(struct sim_link **link_out, const struct parsed *parsed)
{
	struct entry *entry = entries;
	int error;

	while (entry && strcmp(entry->name, parsed->name) != 0)
		entry = entry->next;
	if (entry) {
		error = entry_check(entry, parsed);
		if (error)
			return error;
	} else {
		entry = entry_create(parsed);
	}
	if (!entry) {
		log_error("sim:%s: no memory for the link; lower flight_max", parsed->name);
		return -ENOMEM;
	}
	*link_out = entry->link;
	return 0;
}

/* With the mutex: ends a link of ours without stations; those that tests made are theirs. */
static void link_put(struct sim_link *link)
{
	struct entry **place = &entries, *entry;

	while (*place && (*place)->link != link)
		place = &(*place)->next;
	entry = *place;
	if (!entry || !sim_link_is_empty(link))
		return;
	*place = entry->next;
	sim_link_destroy(link);
	free(entry);
}

void sim_names_close(struct sim_link *link)
{
	pthread_mutex_lock(&entries_mutex);
	link_put(link);
	pthread_mutex_unlock(&entries_mutex);
}

void sim_names_forget(void)
{
	entries = NULL;
	/* Another thread of the parent may have had it. */
	pthread_mutex_init(&entries_mutex, NULL);
}

int sim_open(struct netdev **device_out, const char *arguments,
	     const struct netdev_options *options)
{
	struct parsed parsed = {.link.seed = options->seed};
	struct sim_link *link;
	int error = parse(&parsed, arguments);

	if (error)
		return error;
	parsed.device.mac = options->mac;
	parsed.device.mtu = options->config->net.mtu;
	parsed.device.frames = options->config->net.frames;
	pthread_mutex_lock(&entries_mutex);
	error = link_get(&link, &parsed);
	if (!error) {
		error = sim_device_create(device_out, link, options->heap, &parsed.device);
		if (error)
			link_put(link);
	}
	pthread_mutex_unlock(&entries_mutex);
	if (!error)
		snprintf((*device_out)->name, sizeof((*device_out)->name), "sim:%.32s:%u",
			 parsed.name, sim_device_number(*device_out));
	return error;
}
