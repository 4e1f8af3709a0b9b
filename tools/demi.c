/* SPDX-License-Identifier: MIT */
/* demi: one command for what surrounds a program on Demi. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define WORD_MAX 16

static const struct command commands[] = {
	{"run", "run a program, unmodified, on Demi's network stack", run_command},
	{"doctor", "what runs on this machine, and what is missing for the rest", doctor_command},
	{"log", "the logs of a block device: list, read, check, format", log_command},
	{"nvme", "NVMe drives: who has them, and how they are", nvme_command},
	{"lab", "a network of namespaces to try things in", lab_command},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *file)
{
	fputs("usage: demi COMMAND [OPTION]...\n"
	      "\n",
	      file);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-8s  %s\n", commands[i].name, commands[i].summary);
	fputs("  help      the options of a command: demi help COMMAND\n"
	      "\n"
	      "  --help, --version\n"
	      "\n"
	      "Where to begin: demi doctor; then, as root,\n"
	      "  demi run --dev afxdp:eth1 --ip 10.0.0.2/24 -- redis-server --bind 10.0.0.2\n",
	      file);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many letters must be changed, added or left out to make one word the other (Levenshtein). */
static unsigned int distance(const char *wrong, const char *right)
{
	unsigned int row[WORD_MAX + 1];
	size_t width = strlen(right);

	for (unsigned int i = 0; i <= width; i++)
		row[i] = i;
	for (; *wrong; wrong++) {
		unsigned int diagonal = row[0]++;

		for (size_t i = 1; i <= width; i++) {
			unsigned int changed = diagonal + (*wrong != right[i - 1]);

			diagonal = row[i];
			row[i] = least(changed, least(row[i], row[i - 1]) + 1);
		}
	}
	return row[width];
}

/* What was meant: begins so, or differs in up to two letters; NULL: nothing here. */
static const char *meant(const char *word)
{
	unsigned int best_distance = 3;
	const char *best = NULL;

	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned int here = distance(word, commands[i].name);

		if (word[0] && strncmp(commands[i].name, word, strlen(word)) == 0)
			return commands[i].name;
		if (here < best_distance && here < strlen(commands[i].name)) {
			best = commands[i].name;
			best_distance = here;
		}
	}
	return best;
}

static int refuse_word(const char *word)
{
	const char *suggestion = meant(word);

	if (word[0] == '-')
		return refuse(NULL, EXIT_USAGE, "unknown option '%s'; see demi --help", word);
	if (suggestion)
		return refuse(NULL, EXIT_USAGE, "unknown command '%s'; did you mean %s?", word,
			      suggestion);
	return refuse(
		NULL, EXIT_USAGE,
		"unknown command '%s'; allowed: run, doctor, log, nvme, lab, help; see demi --help",
		word);
}

static int call(const char *word, int argc, char **argv)
{
	const struct command *command = find(word);

	return command ? command->run(argc, argv) : refuse_word(word);
}

static int help_command(int argc, char **argv)
{
	char option[] = "--help";

	if (argc < 2) {
		print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 2)
		return refuse(NULL, EXIT_USAGE, "help: '%s' is one word too many", argv[2]);
	if (strcmp(argv[1], "help") == 0)
		return help_command(1, argv);
	return call(argv[1], 2, (char *[]){argv[1], option, NULL});
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("demi %s\n", DEMI_VERSION);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return help_command(argc - 1, argv + 1);
	return call(argv[1], argc - 1, argv + 1);
}
