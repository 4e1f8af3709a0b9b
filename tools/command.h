/* SPDX-License-Identifier: MIT */
/* The commands of demi, what they say when they refuse, and how main calls them. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#define EXIT_USAGE 2
#define OPTION_FIRST 256 /* the least value that a long option may have for getopt_long */

struct command {
	const char *name;
	const char *summary; /* a line for `demi --help` */

	/*
	 * @argv[0] is the command's own name; --help is among the options of each.
	 * Return: the exit status of the process.
	 */
	int (*run)(int argc, char **argv);
};

int run_command(int argc, char **argv);
int doctor_command(int argc, char **argv);
int lab_command(int argc, char **argv);
int log_command(int argc, char **argv);
int nvme_command(int argc, char **argv);

/**
 * refuse - the one line that every refusal is, on standard error
 * @command: "run"; NULL: of demi itself
 *
 * Return: @status
 */
__attribute__((format(printf, 3, 4))) int refuse(const char *command, int status,
						 const char *format, ...);

/**
 * refuse_option - what getopt_long could not make sense of
 * @option: its result, ':' or '?', the options all being long, of values from OPTION_FIRST on
 *
 * Return: @status
 */
int refuse_option(const char *command, int status, int option, char **argv);

#endif /* TOOLS_COMMAND_H */
