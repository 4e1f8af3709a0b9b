/* SPDX-License-Identifier: MIT */
/* demi-txnstore: a replicated store of transactions: its servers, clients, its protocol in simulated time. */
#include <stdio.h>
#include <string.h>

#include "bench_command.h"
#include "check_command.h"
#include "client_command.h"
#include "server.h"
#include "sim_command.h"

static const char help[] =
	"usage: demi-txnstore server|client|bench|check|sim [OPTION]...\n"
	"       demi-txnstore --help | --version\n"
	"\n"
	"  server   one replica of one shard\n"
	"  client   transactions by hand, or by a script\n"
	"  bench    a load of transactions, measured\n"
	"  check    transactions of many clients at once, and a judgement on what they saw\n"
	"  sim      run the store and its clients in simulated time, with faults, and judge what\n"
	"           the clients saw\n"
	"\n"
	"'demi-txnstore COMMAND --help' tells the options of each.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"server", server_command}, {"client", client_command}, {"bench", bench_command},
	{"check", check_command},   {"sim", sim_command},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("demi-txnstore " TXNSTORE_VERSION);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc >= 2)
		fprintf(stderr,
			"demi-txnstore: no command '%s'; 'demi-txnstore --help' tells them\n",
			argv[1]);
	else
		fputs("demi-txnstore: a command is missing; 'demi-txnstore --help' tells them\n",
		      stderr);
	return 2;
}
