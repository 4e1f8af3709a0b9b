/* SPDX-License-Identifier: MIT */
#include "run_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "config_file.h"
#include "place.h"
#include "settings.h"

#define RUN "run"

/* No letters: there are no short options, and what getopt_long met is told from these. */
enum option_number {
	OPTION_LIBOS = OPTION_FIRST,
	OPTION_DEV,
	OPTION_IP,
	OPTION_GW,
	OPTION_MAC,
	OPTION_CONFIG,
	OPTION_IDLE,
	OPTION_RULES,
	OPTION_BLK,
	OPTION_LOG_FILES,
	OPTION_TRACE,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{"libos", required_argument, NULL, OPTION_LIBOS},
	{"dev", required_argument, NULL, OPTION_DEV},
	{"ip", required_argument, NULL, OPTION_IP},
	{"gw", required_argument, NULL, OPTION_GW},
	{"mac", required_argument, NULL, OPTION_MAC},
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"idle", required_argument, NULL, OPTION_IDLE},
	{"rules", required_argument, NULL, OPTION_RULES},
	{"blk", required_argument, NULL, OPTION_BLK},
	{"log-files", required_argument, NULL, OPTION_LOG_FILES},
	{"trace", no_argument, NULL, OPTION_TRACE},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"usage: demi run [OPTION]... -- PROGRAM [ARGUMENT]...\n"
	"\n"
	"Runs a program as it is, with its sockets on Demi's network stack instead of the\n"
	"kernel's. Those outside of the stack's own networks stay the kernel's.\n"
	"\n"
	"  --dev KIND:NAME    the device, such as afxdp:eth1 or tap:demi0; demi doctor tells\n"
	"                     which this machine has\n"
	"  --ip ADDRESS/BITS  an address on it, such as 10.0.0.2/24; may be repeated\n"
	"  --gw ADDRESS       its gateway; may be repeated, once for each version of IP\n"
	"  --mac ADDRESS      its Ethernet address, such as 02:00:00:00:00:01\n"
	"  --libos NAME       library OS: catnip, catnap, catmint, or cattree, which has logs and no\n"
	"                     sockets, or two, as catnip+cattree; default: catnip, and the one with\n"
	"                     logs too where --blk or --log-files are given\n"
	"  --config FILE      further settings, and any of these: see demi.conf(5)\n"
	"  --idle sleep|spin  with nothing to do, leave the CPU to others, or answer soonest;\n"
	"                     default: sleep\n"
	"  --rules RULES      which sockets are Demi's; default: those in its networks\n"
	"  --blk KIND:NAME    the block device of logs, such as uring:/var/lib/demi.img\n"
	"  --log-files PATTERNS  which of its files are logs there, such as '/var/lib/app/*.log',\n"
	"                     several with commas between them; may be repeated\n"
	"  --trace            each decision of that kind, a line on standard error\n"
	"  --help\n"
	"\n"
	"What an option leaves out the environment says, and then FILE: LIBOS, CONFIG_PATH and\n"
	"DEMI_NET_DEV, DEMI_NET_IP, ..., as for every program on Demi.\n"
	"\n"
	"The exit status is the program's; 125: demi run failed, 126: the program cannot be run,\n"
	"127: it was not found.\n";

/* ---- Options ---- */

static int parse_text(const char *name, const char **value)
{
	if (optarg[0] == '\0')
		return refuse(RUN, EXIT_OURS, "--%s is empty; it needs a value", name);
	*value = optarg;
	return -1;
}

static int check_value(const char *name, const char *value, const char *(*check)(const char *))
{
	const char *wrong = check(value);

	return wrong ? refuse(RUN, EXIT_OURS, "--%s '%s': %s", name, value, wrong) : -1;
}

static int parse_checked(const char *name, const char **value, const char *(*check)(const char *))
{
	int status = parse_text(name, value);

	return status >= 0 ? status : check_value(name, optarg, check);
}

/* One element more of a list, or several with commas between them. */
static int parse_list(const char *name, char list[RUN_LIST_BYTES],
		      const char *(*check)(const char *))
{
	size_t length = strlen(list);
	char *copy = strdup(optarg);
	char *rest = copy;
	int status = -1;

	if (!copy || strlen(optarg) + 1 >= RUN_LIST_BYTES - length)
		status = refuse(RUN, EXIT_OURS, "--%s is too long; allowed: %d bytes in all", name,
				RUN_LIST_BYTES - 1);
	while (status < 0 && rest)
		status = check_value(name, strsep(&rest, ","), check);
	if (status < 0)
		snprintf(list + length, RUN_LIST_BYTES - length, "%s%s", length ? "," : "", optarg);
	free(copy);
	return status;
}

static bool has_logs(const char *libos)
{
	return strstr(libos, "cattree") != NULL;
}

static bool is_catnip(const char *libos)
{
	return strncmp(libos, "catnip", strlen("catnip")) == 0;
}

static int check_libos(const char *from, const char *name)
{
	static const char *const known[] = {"catnip",         "catnap",         "catmint",
					    "catnip+cattree", "catnap+cattree", "catmint+cattree",
					    "cattree"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i]) == 0)
			return -1;
	return refuse(RUN, EXIT_OURS,
		      "%s '%s': no such library OS; allowed: catnip, catnap, catmint, "
		      "catnip+cattree, catnap+cattree, catmint+cattree, cattree",
		      from, name);
}

static int parse_libos(struct run_options *options)
{
	options->libos = optarg;
	return check_libos("--libos", optarg);
}

static int parse_idle(struct run_options *options)
{
	options->idle = optarg;
	if (strcmp(optarg, "sleep") == 0 || strcmp(optarg, "spin") == 0)
		return -1;
	return refuse(RUN, EXIT_OURS, "--idle '%s'; allowed: sleep, spin", optarg);
}

static int parse_option(struct run_options *options, int option)
{
	switch (option) {
	case OPTION_LIBOS:
		return parse_libos(options);
	case OPTION_DEV:
		return parse_checked("dev", &options->dev, settings_check_device);
	case OPTION_IP:
		return parse_list("ip", options->ip, settings_check_address);
	case OPTION_GW:
		return parse_list("gw", options->gw, settings_check_gateway);
	case OPTION_MAC:
		return parse_checked("mac", &options->mac, settings_check_mac);
	case OPTION_CONFIG:
		return parse_text("config", &options->config);
	case OPTION_IDLE:
		return parse_idle(options);
	case OPTION_RULES:
		return parse_checked("rules", &options->rules, settings_check_rules);
	case OPTION_BLK:
		return parse_checked("blk", &options->blk, settings_check_block_device);
	case OPTION_LOG_FILES:
		return parse_list("log-files", options->log_files, settings_check_pattern);
	case OPTION_TRACE:
		options->trace = true;
		return -1;
	default:
		fputs(help, stdout);
		return EXIT_SUCCESS;
	}
}

/* ---- What they come to, with environment and file ---- */

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/* The file is read for what is missing here; whether its values are good the library says. */
static int read_file(struct run_options *options, struct config_file *file)
{
	const char *name = options->config ? options->config : environment("CONFIG_PATH");
	const char *from = options->config ? "--config" : "CONFIG_PATH";
	char wrong[256];

	memset(file, 0, sizeof(*file));
	if (!name)
		return -1;
	if (!place_absolute(options->config_path, name))
		return refuse(RUN, EXIT_OURS, "%s %s: the path is too long", from, name);
	if (!config_file_read(file, options->config_path, wrong))
		return refuse(RUN, EXIT_OURS, "%s %s: %s", from, name, wrong);
	return -1;
}

/* Of the options that only Catnip has, one that is given. */
static const char *catnip_option(const struct run_options *options)
{
	if (options->dev)
		return "--dev";
	if (options->gw[0])
		return "--gw";
	return options->mac ? "--mac" : NULL;
}

/* As the library will look for it; @from: where it was found. */
static const char *configured_libos(const struct config_file *file, const char **from)
{
	const char *value = environment(*from = "LIBOS");

	if (!value)
		value = environment(*from = "DEMI_LIBOS");
	if (!value && file->libos[0]) {
		*from = "libos of the file";
		value = file->libos;
	}
	return value;
}

/* Who names a block device, or files for it, means a libOS with logs too. */
static int add_logs(struct run_options *options)
{
	static char both[32];

	if ((!options->blk && !options->log_files[0]) || has_logs(options->libos))
		return -1;
	snprintf(both, sizeof(both), "%.15s+cattree", options->libos);
	options->libos = both;
	return -1;
}

/* Who names a device, a gateway or an Ethernet address means Catnip, and no other. */
static int choose_libos(struct run_options *options, const struct config_file *file)
{
	const char *named = catnip_option(options);
	const char *from = "--libos";

	if (!options->libos && !named)
		options->libos = configured_libos(file, &from);
	if (!options->libos)
		options->libos = "catnip";
	if (named && !is_catnip(options->libos))
		return refuse(RUN, EXIT_OURS,
			      "%s is for catnip; leave it out, or leave out --libos %s", named,
			      options->libos);
	if (check_libos(from, options->libos) >= 0)
		return EXIT_OURS;
	return add_logs(options);
}

/* Logs need a device, and files that are to be logs a libOS that has some. */
static int check_logs(const struct run_options *options, const struct config_file *file)
{
	bool names = options->log_files[0] || environment("DEMI_SHIM_LOG_FILES") ||
		     file->has_log_files;
	const char *variable = environment("DEMI_BLK_DEV");
	bool has_device = options->blk || variable || file->has_blk;
	const char *wrong;

	if (names && !has_logs(options->libos))
		return refuse(RUN, EXIT_OURS,
			      "files are to be logs (DEMI_SHIM_LOG_FILES, or shim.log_files of the "
			      "file), and %s has none; give --libos %s+cattree",
			      options->libos, options->libos);
	if (has_logs(options->libos) && !has_device)
		return refuse(RUN, EXIT_OURS,
			      "no block device is named for the logs: give --blk, as in --blk "
			      "uring:/var/lib/demi.img,size=1G, or DEMI_BLK_DEV, or --config FILE "
			      "with blk.dev");
	if (!has_logs(options->libos) || options->blk || !variable)
		return -1;
	wrong = settings_check_block_device(variable);
	return wrong ? refuse(RUN, EXIT_OURS, "DEMI_BLK_DEV '%s': %s", variable, wrong) : -1;
}

static int check_device(const struct run_options *options, const struct config_file *file)
{
	const char *variable = environment("DEMI_NET_DEV");
	const char *wrong;

	if (options->dev || (!variable && file->has_dev))
		return -1;
	if (!variable)
		return refuse(RUN, EXIT_OURS,
			      "no device is named: give --dev, as in --dev afxdp:eth1 --ip "
			      "10.0.0.2/24, or DEMI_NET_DEV, or --config FILE with net.dev; 'demi "
			      "doctor' tells which devices this machine has");
	wrong = settings_check_device(variable);
	return wrong ? refuse(RUN, EXIT_OURS, "DEMI_NET_DEV '%s': %s", variable, wrong) : -1;
}

/* Without an address no socket would be Demi's, whatever the libOS. */
static int check_addresses(const struct run_options *options, const struct config_file *file)
{
	if (options->ip[0] || environment("DEMI_NET_IP") || file->has_ip ||
	    strcmp(options->libos, "cattree") == 0)
		return -1;
	return refuse(RUN, EXIT_OURS,
		      "no address is named, so that no socket would be Demi's: give --ip, as in "
		      "--ip 10.0.0.2/24, or DEMI_NET_IP, or --config FILE with net.ip");
}

/* One for each version of IP, and each where it can be asked. */
static int check_gateways(const struct run_options *options)
{
	char before[RUN_LIST_BYTES] = "", copy[RUN_LIST_BYTES];
	char *rest = options->gw[0] ? copy : NULL, *one;

	snprintf(copy, sizeof(copy), "%s", options->gw);
	while ((one = strsep(&rest, ","))) {
		size_t length = strlen(before);
		const char *wrong = settings_check_way(one, before, options->ip);

		if (wrong)
			return refuse(RUN, EXIT_OURS, "--gw '%s': %s", one, wrong);
		snprintf(before + length, sizeof(before) - length, "%s%s", length ? "," : "", one);
	}
	return -1;
}

static int check_program(struct run_options *options, int argc, char **argv)
{
	if (optind == argc || argv[optind][0] == '\0')
		return refuse(RUN, EXIT_OURS,
			      "no program is named: demi run [OPTION]... -- PROGRAM [ARGUMENT]...; "
			      "see --help");
	options->program = argv + optind;
	return -1;
}

int run_options_parse(struct run_options *options, int argc, char **argv)
{
	static struct config_file file; /* options->libos may point into it */
	int option;
	int status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return refuse_option(RUN, EXIT_OURS, option, argv);
		status = parse_option(options, option);
		if (status >= 0)
			return status;
	}
	status = check_program(options, argc, argv);
	if (status < 0)
		status = read_file(options, &file);
	if (status < 0)
		status = choose_libos(options, &file);
	if (status < 0)
		status = check_logs(options, &file);
	if (status < 0 && is_catnip(options->libos))
		status = check_device(options, &file);
	if (status < 0)
		status = check_addresses(options, &file);
	if (status < 0)
		status = check_gateways(options);
	if (status < 0 && !options->idle && !environment("DEMI_RUNTIME_IDLE") && !file.has_idle)
		options->idle = "sleep";
	return status;
}
