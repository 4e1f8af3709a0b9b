/* SPDX-License-Identifier: MIT */
/* demi doctor: looks at the machine, changes nothing, and says what runs here and what would. */
#include "doctor.h"

#include <getopt.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "files.h"

#define DOCTOR "doctor"
#define EXIT_NO_NETWORK 1

enum option_number { OPTION_JSON = OPTION_FIRST, OPTION_ROOT, OPTION_HELP };

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"root", required_argument, NULL, OPTION_ROOT}, /* for tests: another machine's files */
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"usage: demi doctor [--json]\n"
	"\n"
	"Looks at the machine, without changing anything, and says for each library OS over each\n"
	"of its devices whether it can run here; and, where not, what is missing and the command\n"
	"that makes it.\n"
	"\n"
	"  --json   the same as one JSON object, described in demi-doctor(1)\n"
	"  --help\n"
	"\n"
	"The exit status is 0 when Catnip can run over some device, 1 when over none, 2 when the\n"
	"command line is wrong.\n";

const struct capability doctor_capabilities[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{CAP_NET_RAW, "CAP_NET_RAW"},
	{CAP_IPC_LOCK, "CAP_IPC_LOCK"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{CAP_BPF, "CAP_BPF"},
	{0, NULL},
};

const char *doctor_outcome(enum outcome outcome)
{
	static const char *const names[] = {[CAN_RUN] = "can run",
					    [IS_MISSING] = "missing",
					    [NOT_IN_BUILD] = "not in this build"};

	return names[outcome];
}

/* Return: -1: go on; else the exit status. */
static int parse(bool *as_json, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_JSON:
			*as_json = true;
			break;
		case OPTION_ROOT:
			files_set_root(optarg);
			break;
		case OPTION_HELP:
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return refuse_option(DOCTOR, EXIT_USAGE, option, argv);
		}
	}
	if (optind < argc)
		return refuse(DOCTOR, EXIT_USAGE, "'%s' is one word too many; see --help",
			      argv[optind]);
	return -1;
}

int doctor_command(int argc, char **argv)
{
	static struct finding finding;
	bool as_json = false;
	int status = parse(&as_json, argc, argv);

	if (status >= 0)
		return status;
	machine_look(&finding.machine);
	finding.verdict_count = verdict_all(finding.verdicts, &finding.machine);
	if (!as_json)
		doctor_print_text(&finding);
	else if (!doctor_print_json(&finding))
		return refuse(DOCTOR, EXIT_NO_NETWORK, "out of memory");
	return verdict_has_network(finding.verdicts, finding.verdict_count) ? EXIT_SUCCESS
									    : EXIT_NO_NETWORK;
}
