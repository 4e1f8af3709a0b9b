/* SPDX-License-Identifier: MIT */
/*
 * What of dpdk.args the EAL would take without a word, or answer by ending the process: words that
 * are no options, numbers that are none, calls for help. The rest it refuses by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "netdev/dpdk.h"

#define BLANKS " \t"
/* Options of one letter whose value, in this word or the next, is a number; and the others with one. */
#define NUMBER_LETTERS "mnr"
#define VALUE_LETTERS "abcdlsS" NUMBER_LETTERS

/* Long ones without a value; of some it may follow behind "=" alone. */
static const char *const lone_options[] = {
	"--create-uio-dev",
	"--huge-unlink",
	"--in-memory",
	"--legacy-mem",
	"--match-allocations",
	"--no-hpet",
	"--no-huge",
	"--no-pci",
	"--no-shconf",
	"--no-telemetry",
	"--single-file-segments",
	"--telemetry",
	"--version",
	"--vmware-tsc-map",
	"--xen-dom0",
};

/* The EAL's getopt takes abbreviations too. */
static bool is_help(const char *word)
{
	if (strncmp(word, "--", 2) == 0)
		return strlen(word) >= strlen("--he") && strncmp("--help", word, strlen(word)) == 0;
	for (const char *letter = word + 1; *letter; letter++) {
		if (*letter == 'h')
			return true;
		if (strchr(VALUE_LETTERS, *letter))
			return false; /* the rest is its value */
	}
	return false;
}

/* Whether the next word is the value of this option. */
static bool wants_next(const char *word)
{
	if (strncmp(word, "--", 2) != 0)
		return word[1] != '\0' && word[2] == '\0' && strchr(VALUE_LETTERS, word[1]);
	if (strchr(word, '='))
		return false;
	for (size_t i = 0; i < sizeof(lone_options) / sizeof(lone_options[0]); i++) {
		if (strcmp(word, lone_options[i]) == 0)
			return false;
	}
	return true;
}

/* @next: the word behind it, or NULL. Returns the value of an option of one letter that is a number. */
static const char *number_of(const char *word, const char *next)
{
	if (word[0] != '-' || word[1] == '\0' || !strchr(NUMBER_LETTERS, word[1]))
		return NULL;
	return word[2] ? word + 2 : next;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* Where @word stands in the middle; NULL: nothing is wrong with it. */
static const char *problem_of(const char *word, const char *next)
{
	const char *number = number_of(word, next);

	if (word[0] != '-' || word[1] == '\0')
		return "is no option, nor the value of one";
	if (is_help(word))
		return "would end the program; see the EAL parameters in DPDK's guide for Linux";
	/* Of a long one the EAL knows whether it has a value, or is one at all. */
	if (word[1] != '-' && wants_next(word) && !next)
		return "lacks its value";
	if (number && !is_number(number))
		return "has a value that is no whole number";
	return NULL;
}

int dpdk_words_check(const char *name, const char *args)
{
	char copy[sizeof(((struct config *)0)->dpdk.args)];
	char *rest, *next;

	snprintf(copy, sizeof(copy), "%s", args);
	for (char *word = strtok_r(copy, BLANKS, &rest); word; word = next) {
		const char *problem;

		next = strtok_r(NULL, BLANKS, &rest);
		problem = problem_of(word, next);
		if (problem) {
			log_error("%s: dpdk.args: \"%s\" %s; write it as in \"--no-huge -m 128\"",
				  name, word, problem);
			return -EINVAL;
		}
		if (wants_next(word))
			next = strtok_r(NULL, BLANKS, &rest);
	}
	return 0;
}
