/* SPDX-License-Identifier: MIT */
/* demi-log, which is also `demi log`: its options, and the library over the device. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum {
	OPTION_BLK = 256,
	OPTION_FROM,
	OPTION_COUNT,
	OPTION_JSON,
	OPTION_RAW,
	OPTION_SEGMENT,
	OPTION_OVERWRITE
};

static const struct command {
	const char *name;
	int (*run)(const struct log_options *options);
	int names_min, names_max;
} commands[] = {
	{"list", log_list, 0, 0}, {"cat", log_cat, 1, 1}, {"check", log_check, 0, 0},
	{"dump", log_dump, 0, 1}, {"format", NULL, 0, 0},
};

static const char usage[] =
	"usage: demi log list   [--blk DEVICE] [--json]\n"
	"       demi log cat    [--blk DEVICE] [--from N] [--count N] [--raw] NAME\n"
	"       demi log dump   [--blk DEVICE] [--from N] [--count N] [NAME]\n"
	"       demi log check  [--blk DEVICE]\n"
	"       demi log format [--blk DEVICE] [--segment BYTES] [--overwrite]\n"
	"\n"
	"  list     the logs: number of the first record, of the next one, and the space they have\n"
	"  cat      the records of a log, one a line\n"
	"  dump     records with their numbers, in hexadecimal; of all logs without NAME\n"
	"  check    read everything; exits with 1 when something is not what was written\n"
	"  format   make an empty store of logs; what else is on the device is lost with --overwrite\n"
	"\n"
	"  --blk DEVICE     such as uring:/var/lib/demi.img or nvme:0000:00:05.0; otherwise DEMI_BLK_DEV\n"
	"                   or blk.dev of the file that CONFIG_PATH names\n"
	"  --from N         begin with this record\n"
	"  --count N        that many records at most\n"
	"  --raw            no newline behind a record\n"
	"  --segment BYTES  what a log has at least; a power of two, 64K to 64M\n"
	"\n"
	"No program may have the device meanwhile.\n";

int log_refuse(const char *format, ...)
{
	va_list arguments;

	fputs("demi log: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

static int misused(const char *what, const char *word)
{
	log_refuse("%s%s%s; see demi log --help", what, word ? " " : "", word ? word : "");
	return EXIT_USAGE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

/* -1, or the exit status. */
static int parse(struct log_options *options, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"blk", required_argument, NULL, OPTION_BLK},
		{"from", required_argument, NULL, OPTION_FROM},
		{"count", required_argument, NULL, OPTION_COUNT},
		{"json", no_argument, NULL, OPTION_JSON},
		{"raw", no_argument, NULL, OPTION_RAW},
		{"segment", required_argument, NULL, OPTION_SEGMENT},
		{"overwrite", no_argument, NULL, OPTION_OVERWRITE},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_BLK:
			options->device = optarg;
			break;
		case OPTION_FROM:
			if (!parse_number(optarg, &options->from))
				return misused("--from takes a number, not", optarg);
			break;
		case OPTION_COUNT:
			if (!parse_number(optarg, &options->count))
				return misused("--count takes a number, not", optarg);
			break;
		case OPTION_JSON:
			options->json = true;
			break;
		case OPTION_RAW:
			options->raw = true;
			break;
		case OPTION_SEGMENT:
			options->segment = optarg;
			break;
		case OPTION_OVERWRITE:
			options->overwrite = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case ':':
			return misused("an argument is missing for", argv[optind - 1]);
		default:
			return misused("unknown option", argv[optind - 1]);
		}
	}
	return -1;
}

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
}

/* The library with logs alone. Who only looks writes nothing, a store on a blank device neither. */
static int start(const struct log_options *options, bool formats)
{
	int error;

	set("LIBOS", "cattree");
	set("DEMI_LIBOS", NULL);
	set("DEMI_BLK_DEV", options->device);
	set("DEMI_BLK_READ_ONLY", formats ? "off" : "on");
	set("DEMI_STORE_FORMAT", !formats ? "never" : options->overwrite ? "overwrite" : "auto");
	set("DEMI_STORE_SEGMENT_BYTES", options->segment);
	/* The library itself has said what is wrong. */
	error = demi_init(NULL);
	return error ? EXIT_FAILURE : -1;
}

static int count_log(const demi_log_t *log, void *context)
{
	(void)log;
	(*(uint64_t *)context)++;
	return 0;
}

/* The start has done it, unless there was a store already. */
static int format(const struct log_options *options)
{
	uint64_t logs = 0;
	int error = demi_log_each(count_log, &logs);

	if (error)
		return log_refuse("cannot list the logs: %s", strerror(error));
	if (logs > 0 && !options->overwrite)
		return log_refuse("there is a store of logs already, with %llu in it; --overwrite "
				  "makes a new one, and they are lost",
				  (unsigned long long)logs);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct log_options options = {.count = UINT64_MAX};
	const struct command *command;
	int status = parse(&options, argc, argv), names;

	if (status >= 0)
		return status;
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	command = find(argv[optind]);
	if (!command)
		return misused("unknown command", argv[optind]);
	names = argc - optind - 1;
	if (names < command->names_min)
		return misused("the name of a log is missing", NULL);
	if (names > command->names_max)
		return misused("one word too many:", argv[argc - 1]);
	options.name = names > 0 ? argv[optind + 1] : NULL;
	status = start(&options, !command->run);
	if (status >= 0)
		return status;
	status = command->run ? command->run(&options) : format(&options);
	demi_fini();
	return status;
}
