/* SPDX-License-Identifier: MIT */
/* demi-txnstore client: transactions by hand, and by scripts, from lines of commands. */
#include "client_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo/arguments.h"
#include "echo/process.h"
#include "net_client.h"

#define PROGRAM_NAME "demi-txnstore client"
#define EXIT_ABORTED 3
#define EXIT_UNKNOWN 4
#define EXIT_FULL 5

static const char help[] =
	"usage: demi-txnstore client --config FILE [--timeout SECONDS] [COMMAND]...\n"
	"\n"
	"Do one transaction, or with no COMMAND those that the lines of standard input say.\n"
	"\n"
	"  get KEY            print its value, or a line '(none)'\n"
	"  put KEY VALUE      write it when the transaction commits\n"
	"  delete KEY         have it without a value\n"
	"  begin, commit, abort   on standard input, around those; a command alone is a transaction\n"
	"\n"
	"  --config FILE      the YAML file that all servers and clients have\n"
	"  --timeout SECONDS  of a read, and of a commit (5)\n"
	"  --help             this text\n"
	"\n"
	"The exit status is 0 if the last transaction was committed, 3 if it was aborted, so that nothing\n"
	"of it will be seen, 5 if that was so as the store is full, and 4 if no answer came: it may have\n"
	"been done, or be done yet.\n";

struct shell {
	struct net_client net;
	struct transaction *transaction;
	bool is_explicit; /* between begin and commit */
	bool is_waiting;
	bool is_over;    /* the transaction cannot commit any more */
	bool is_refused; /* one of its commands was: the others alone are not what was meant */
	int status;      /* of the program */
};

/* ---- Waiting ---- */

static int wait_for_it(struct shell *shell)
{
	while (shell->is_waiting) {
		int error = net_client_poll(&shell->net, 100 * NS_PER_MS);

		if (error && error != EINTR)
			return error;
		if (process_stop_requests())
			return EINTR;
	}
	return 0;
}

static void got(void *context, struct transaction *transaction, enum txn_got how, const void *value,
		uint32_t len)
{
	struct shell *shell = context;

	(void)transaction;
	shell->is_waiting = false;
	switch (how) {
	case TXN_FOUND:
		fwrite(value, 1, len, stdout);
		putchar('\n');
		break;
	case TXN_ABSENT:
		puts("(none)");
		break;
	case TXN_REFUSED_KEY:
		fprintf(stderr, PROGRAM_NAME ": a key has 1 to %u bytes\n", KEY_MAX);
		shell->is_refused = true;
		break;
	case TXN_CONFLICT:
	case TXN_TIMEOUT:
		shell->is_over = true;
		shell->status = how == TXN_CONFLICT ? EXIT_ABORTED : EXIT_UNKNOWN;
		puts(how == TXN_CONFLICT ? "(conflict)" : "(no answer)");
		break;
	}
}

static void ended(void *context, struct transaction *transaction, enum outcome outcome)
{
	struct shell *shell = context;

	(void)transaction;
	shell->is_waiting = false;
	shell->transaction = NULL;
	shell->status = outcome == OUTCOME_COMMITTED ? 0
			: outcome == OUTCOME_ABORTED ? EXIT_ABORTED
			: outcome == OUTCOME_FULL    ? EXIT_FULL
						     : EXIT_UNKNOWN;
}

/* ---- Commands ---- */

static int begin(struct shell *shell)
{
	if (!shell->transaction)
		shell->transaction = txn_begin(&shell->net.txns, process_now_ns());
	shell->is_over = shell->is_refused = false;
	return shell->transaction ? 0 : ENOMEM;
}

static void give_up(struct shell *shell)
{
	if (shell->transaction)
		txn_abort(shell->transaction);
	shell->transaction = NULL;
}

/* Return: 0 where the next command can be done, an errno. */
static int refused(struct shell *shell, int error)
{
	if (error != EMSGSIZE)
		return error;
	fprintf(stderr,
		PROGRAM_NAME
		": the transaction is too large: what it reads and writes of a shard has at most "
		"%u bytes; it is aborted\n",
		OPERATION_MAX);
	shell->transaction = NULL;
	shell->status = EXIT_FAILURE;
	return 0;
}

static int commit(struct shell *shell)
{
	static const char *const outcomes[] = {[0] = "committed",
					       [EXIT_ABORTED] = "aborted",
					       [EXIT_UNKNOWN] = "unknown",
					       [EXIT_FULL] = "full"};
	int error = 0;

	if (shell->is_over || shell->is_refused) {
		give_up(shell);
		if (shell->is_refused) {
			shell->status = EXIT_FAILURE;
			puts("aborted");
			return 0;
		}
	} else {
		shell->is_waiting = true;
		error = -txn_commit(shell->transaction, process_now_ns(), ended, shell);
		if (error)
			return refused(shell, error);
		error = wait_for_it(shell);
	}
	if (!error)
		puts(outcomes[shell->status]);
	return error;
}

/* A command that is not done. */
static void refuse(struct shell *shell, const char *name, const char *why)
{
	fprintf(stderr, PROGRAM_NAME ": '%s': %s\n", name, why);
	shell->is_refused = true;
	shell->status = EXIT_FAILURE;
}

/* Return: 0, also where it was refused; an errno. */
static int do_access(struct shell *shell, char *const *words)
{
	uint16_t key_len = (uint16_t)strnlen(words[1], UINT16_MAX);
	int error;

	if (!strcmp(words[0], "get")) {
		shell->is_waiting = true;
		error = -txn_get(shell->transaction, process_now_ns(), words[1], key_len, got,
				 shell);
		return error ? error : wait_for_it(shell);
	}
	if (!strcmp(words[0], "put"))
		error = -txn_put(shell->transaction, words[1], key_len, words[2],
				 (uint32_t)strlen(words[2]));
	else
		error = -txn_put(shell->transaction, words[1], key_len, NULL, 0);
	if (error != EINVAL)
		return error;
	fprintf(stderr, PROGRAM_NAME ": a key has 1 to %u bytes, a value at most %u\n", KEY_MAX,
		VALUE_MAX);
	shell->is_refused = true;
	return 0;
}

/* What is refused alone is no transaction. */
static int end_alone(struct shell *shell)
{
	if (!shell->is_refused)
		return commit(shell);
	give_up(shell);
	shell->status = EXIT_FAILURE;
	return 0;
}

/* How many words a command takes, itself among them; 0: there is no such command. */
static int words_of(const char *name)
{
	if (!strcmp(name, "put"))
		return 3;
	return !strcmp(name, "get") || !strcmp(name, "delete") ? 2 : 0;
}

/* ---- From the command line: all of it is one transaction ---- */

static int run_words(struct shell *shell, char *const *words, int count)
{
	int error = begin(shell), taken = 0;

	while (!error && taken < count) {
		int own = words_of(words[taken]);

		if (own == 0 || own > count - taken) {
			shell->status = argument_refuse(PROGRAM_NAME,
							own ? "'%s' lacks its key or value"
							    : "no command '%s'; --help tells them",
							words[taken]);
			give_up(shell);
			return 0;
		}
		error = do_access(shell, words + taken);
		taken += own;
	}
	return error ? error : end_alone(shell);
}

/* ---- From lines ---- */

/* The value is the rest of the line. */
static int split(char *line, char *words[3])
{
	int count = 0;

	line[strcspn(line, "\n")] = '\0';
	while (count < 2 && *line) {
		words[count++] = line;
		line += strcspn(line, " ");
		if (*line)
			*line++ = '\0';
	}
	if (*line)
		words[count++] = line;
	return count;
}

static int begin_explicit(struct shell *shell)
{
	if (shell->is_explicit) {
		refuse(shell, "begin", "there is a transaction already, which is aborted by it");
		return 0;
	}
	shell->is_explicit = true;
	return begin(shell);
}

static int end_explicit(struct shell *shell, const char *name)
{
	if (!shell->is_explicit) {
		refuse(shell, name, "no transaction");
		return 0;
	}
	shell->is_explicit = false;
	if (name[0] == 'c')
		return commit(shell);
	give_up(shell);
	return 0;
}

static int run_line(struct shell *shell, char *line)
{
	char *words[3];
	int count = split(line, words), error;

	if (count == 0)
		return 0;
	if (count == 1 && !strcmp(words[0], "begin"))
		return begin_explicit(shell);
	if (count == 1 && (!strcmp(words[0], "commit") || !strcmp(words[0], "abort")))
		return end_explicit(shell, words[0]);
	if (count != words_of(words[0])) {
		refuse(shell, words[0], "no such command, or not so many words");
		return 0;
	}
	error = shell->is_explicit ? 0 : begin(shell);
	if (!error)
		error = do_access(shell, words);
	return error || shell->is_explicit ? error : end_alone(shell);
}

static int run_lines(struct shell *shell)
{
	size_t room = 0;
	char *line = NULL;
	int error = 0;

	while (!error && getline(&line, &room, stdin) >= 0) {
		error = run_line(shell, line);
		fflush(stdout);
	}
	free(line);
	if (!error && shell->is_explicit)
		refuse(shell, "begin", "there is no commit behind it: the transaction is aborted");
	give_up(shell);
	return error;
}

/* ---- The program ---- */

static int parse(int argc, char **argv, const char **config_path, uint64_t *timeout_ns)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, status = -1;

	while (status < 0 && (option = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (option == 'c')
			status = argument_text(PROGRAM_NAME, "config", config_path);
		else if (option == 't')
			status = argument_seconds(PROGRAM_NAME, "timeout", 0.1, 3600, timeout_ns);
		else if (option == 'h')
			status = fputs(help, stdout) < 0;
		else
			status = argument_unknown(PROGRAM_NAME, option, argv);
	}
	if (status < 0 && !*config_path)
		status = argument_refuse(PROGRAM_NAME,
					 "--config is missing; --help tells what it is");
	return status;
}

static int run_shell(struct shell *shell, char *const *words, int count)
{
	int error = count ? run_words(shell, words, count) : run_lines(shell);

	net_client_finish(&shell->net, NS_PER_S);
	if (error && error != EINTR)
		fprintf(stderr, PROGRAM_NAME ": %s\n", net_client_why(error));
	return error ? EXIT_FAILURE : shell->status;
}

int client_command(int argc, char **argv)
{
	static struct cluster cluster;
	static struct shell shell;
	char text[CLUSTER_ERROR_BYTES];
	const char *config_path = NULL;
	uint64_t timeout_ns = 5 * NS_PER_S;
	int error, status = parse(argc, argv, &config_path, &timeout_ns);

	if (status >= 0)
		return status;
	if (cluster_load(&cluster, config_path, text) != 0) {
		fprintf(stderr, PROGRAM_NAME ": %s: %s\n", config_path, text);
		return EXIT_FAILURE;
	}
	process_prepare();
	error = demi_init(NULL);
	if (error) {
		fprintf(stderr, PROGRAM_NAME ": the library OS does not start: %s\n",
			strerror(error));
		return EXIT_FAILURE;
	}
	error = net_client_init(&shell.net, &cluster, timeout_ns);
	if (error)
		fprintf(stderr, PROGRAM_NAME ": %s\n", strerror(error));
	status = error ? EXIT_FAILURE : run_shell(&shell, argv + optind, argc - optind);
	if (!error)
		net_client_destroy(&shell.net);
	demi_fini();
	return status;
}
