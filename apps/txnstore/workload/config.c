/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

#define RECORDS_DEFAULT 1000000
#define YCSB_KEY_BYTES 23     /* "user" and 19 digits */
#define YCSB_VALUE_BYTES 1000 /* 10 fields of 100 bytes */
#define TXN_KEY_BYTES 64
#define TXN_VALUE_BYTES 700
#define RETWIS_RECORDS_MIN 10 /* those of the longest timeline are ten different ones */

struct preset {
	const char *name;
	enum distribution_kind distribution;
	struct workload_mix mix;
};

static const struct preset presets[WORKLOAD_KINDS] = {
	[WORKLOAD_YCSB_A] = {"ycsb-a", DISTRIBUTION_SCRAMBLED, {.read = 50, .update = 50}},
	[WORKLOAD_YCSB_B] = {"ycsb-b", DISTRIBUTION_SCRAMBLED, {.read = 95, .update = 5}},
	[WORKLOAD_YCSB_C] = {"ycsb-c", DISTRIBUTION_SCRAMBLED, {.read = 100}},
	[WORKLOAD_YCSB_D] = {"ycsb-d", DISTRIBUTION_LATEST, {.read = 95, .insert = 5}},
	[WORKLOAD_YCSB_E] = {"ycsb-e", DISTRIBUTION_SCRAMBLED, {.insert = 5, .scan = 95}},
	[WORKLOAD_YCSB_F] = {"ycsb-f",
			     DISTRIBUTION_SCRAMBLED,
			     {.read = 50, .read_modify_write = 50}},
	[WORKLOAD_YCSB_T] = {"ycsb-t", DISTRIBUTION_UNIFORM, {.read_modify_write = 100}},
	[WORKLOAD_RETWIS] = {"retwis", DISTRIBUTION_UNIFORM, {.read = 0}},
};

__attribute__((format(printf, 2, 3))) static int refuse(char message[WORKLOAD_MESSAGE_MAX],
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, WORKLOAD_MESSAGE_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

const char *workload_kind_name(enum workload_kind kind)
{
	return presets[kind].name;
}

static void set_defaults(struct workload_config *config, enum workload_kind kind)
{
	bool ycsb = kind <= WORKLOAD_YCSB_F;

	*config = (struct workload_config){
		.kind = kind,
		.records = RECORDS_DEFAULT,
		.value_bytes = ycsb ? YCSB_VALUE_BYTES : TXN_VALUE_BYTES,
		.key_bytes = ycsb ? YCSB_KEY_BYTES : TXN_KEY_BYTES,
		.distribution = presets[kind].distribution,
		.theta = ZIPF_THETA_DEFAULT,
		.operations = 1,
		.mix = presets[kind].mix,
	};
}

int workload_parse(const char *name, struct workload_config *config,
		   char message[WORKLOAD_MESSAGE_MAX])
{
	for (int i = 0; i < WORKLOAD_KINDS; i++) {
		if (strcmp(name, presets[i].name) == 0) {
			set_defaults(config, (enum workload_kind)i);
			return 0;
		}
	}
	return refuse(message, "workload '%.32s'; allowed: ycsb-a to ycsb-f, ycsb-t, retwis", name);
}

int workload_parse_distribution(const char *name, enum distribution_kind *distribution,
				char message[WORKLOAD_MESSAGE_MAX])
{
	for (int i = 0; i < DISTRIBUTION_KINDS; i++) {
		if (strcmp(name, distribution_name((enum distribution_kind)i)) == 0) {
			*distribution = (enum distribution_kind)i;
			return 0;
		}
	}
	return refuse(message, "distribution '%.32s'; allowed: uniform, zipfian, scrambled, latest",
		      name);
}

static int check_number(const char *name, uint64_t value, uint64_t least, uint64_t most,
			char message[WORKLOAD_MESSAGE_MAX])
{
	if (value >= least && value <= most)
		return 0;
	return refuse(message, "%s %" PRIu64 "; allowed: %" PRIu64 " to %" PRIu64, name, value,
		      least, most);
}

/* Keys of few bytes have few digits, and each record needs its own. */
static int check_records(const struct workload_config *config, char message[WORKLOAD_MESSAGE_MAX])
{
	uint64_t room = workload_key_room(config);
	uint64_t least = WORKLOAD_RECORDS_MIN;

	if (config->records > room && config->records <= WORKLOAD_RECORDS_MAX)
		return refuse(message,
			      "records %" PRIu64 " with key_bytes %" PRIu32
			      "; allowed: 1 to %" PRIu64 ", or longer keys",
			      config->records, config->key_bytes, room);
	if (config->kind == WORKLOAD_RETWIS)
		least = RETWIS_RECORDS_MIN;
	return check_number("records", config->records, least, WORKLOAD_RECORDS_MAX, message);
}

static int check_mix(const struct workload_config *config, char message[WORKLOAD_MESSAGE_MAX])
{
	const struct workload_mix *mix = &config->mix;
	uint64_t sum = (uint64_t)mix->read + mix->update + mix->insert + mix->scan +
		       mix->read_modify_write;

	if (config->kind == WORKLOAD_RETWIS || sum == 100)
		return 0;
	return refuse(message, "the mix of operations comes to %" PRIu64 " %%; allowed: 100 %%",
		      sum);
}

/* The records of a transaction are different ones. */
static int check_operations(const struct workload_config *config,
			    char message[WORKLOAD_MESSAGE_MAX])
{
	if (config->operations != 1 && (config->kind == WORKLOAD_RETWIS || config->mix.scan))
		return refuse(message, "operations %" PRIu32 " with %s; allowed: 1",
			      config->operations,
			      config->kind == WORKLOAD_RETWIS ? "retwis" : "scans");
	if (config->operations > config->records && config->operations <= WORKLOAD_OPS_MAX)
		return refuse(message,
			      "operations %" PRIu32 " with records %" PRIu64
			      "; allowed: as many as there are records",
			      config->operations, config->records);
	return check_number("operations", config->operations, 1, WORKLOAD_OPS_MAX, message);
}

static int check_distribution(const struct workload_config *config,
			      char message[WORKLOAD_MESSAGE_MAX])
{
	if ((unsigned int)config->distribution >= DISTRIBUTION_KINDS)
		return refuse(message, "distribution number %u; allowed: 0 to %d",
			      (unsigned int)config->distribution, DISTRIBUTION_KINDS - 1);
	if (config->theta >= 0.0 && config->theta <= ZIPF_THETA_MAX)
		return 0;
	return refuse(message, "theta %g; allowed: 0 to %g", config->theta, ZIPF_THETA_MAX);
}

int workload_check(const struct workload_config *config, char message[WORKLOAD_MESSAGE_MAX])
{
	int error;

	if ((unsigned int)config->kind >= WORKLOAD_KINDS)
		return refuse(message, "workload number %u; allowed: 0 to %d",
			      (unsigned int)config->kind, WORKLOAD_KINDS - 1);
	error = check_number("key_bytes", config->key_bytes, WORKLOAD_KEY_BYTES_MIN,
			     WORKLOAD_KEY_BYTES_MAX, message);
	if (!error)
		error = check_number("value_bytes", config->value_bytes, WORKLOAD_VALUE_BYTES_MIN,
				     WORKLOAD_VALUE_BYTES_MAX, message);
	if (!error)
		error = check_records(config, message);
	if (!error)
		error = check_distribution(config, message);
	if (!error)
		error = check_mix(config, message);
	if (!error)
		error = check_operations(config, message);
	return error;
}
