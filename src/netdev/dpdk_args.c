/* SPDX-License-Identifier: MIT */
/* The words that the EAL is started with: ours, where the operator gave none that say otherwise. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netdev/dpdk.h"

#define BLANKS " \t"

/* Memory of the EAL's own, for rings and drivers, MiB. */
#define HUGE_MIB 64u
#define ORDINARY_MIB 96u
#define HUGE_PAGE_MIB 2u
#define FREE_HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static __attribute__((format(printf, 2, 3))) void add_word(struct dpdk_arguments *line,
							   const char *format, ...)
{
	size_t room = sizeof(line->text) - line->used;
	va_list arguments;
	int length;

	if (line->count == DPDK_ARGUMENTS_MAX)
		return;
	va_start(arguments, format);
	length = vsnprintf(line->text + line->used, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		return;
	line->words[line->count++] = line->text + line->used;
	line->used += (size_t)length + 1;
}

/* Whether the word at @word is @option, with its value joined to it or not. */
static bool word_is(const char *word, size_t word_bytes, const char *option, size_t option_bytes)
{
	bool is_short = option_bytes == 2;

	return word_bytes >= option_bytes && memcmp(word, option, option_bytes) == 0 &&
	       (is_short || word_bytes == option_bytes || word[option_bytes] == '=');
}

static bool has_option(const char *args, const char *option, size_t option_bytes)
{
	for (const char *word = args + strspn(args, BLANKS); *word; word += strspn(word, BLANKS)) {
		size_t bytes = strcspn(word, BLANKS);

		if (word_is(word, bytes, option, option_bytes))
			return true;
		word += bytes;
	}
	return false;
}

bool dpdk_arguments_have(const char *args, const char *options)
{
	for (const char *option = options; *option; option += strspn(option, BLANKS)) {
		size_t bytes = strcspn(option, BLANKS);

		if (has_option(args, option, bytes))
			return true;
		option += bytes;
	}
	return false;
}

static unsigned long free_huge_mib(void)
{
	FILE *file = fopen(FREE_HUGE_PAGES, "re");
	char text[32] = "";

	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strtoul(text, NULL, 10) * HUGE_PAGE_MIB;
}

/*
 * Nothing of it is shared with other processes, nor named in a file system: --in-memory says so for
 * huge pages, --no-shconf for ordinary ones, with which DPDK refuses the former.
 */
static void add_memory_words(struct dpdk_arguments *line, const struct config *config)
{
	const char *args = config->dpdk.args;
	bool is_chosen = dpdk_arguments_have(args,
					     "--no-huge --in-memory --huge-dir --legacy-mem "
					     "--single-file-segments --huge-unlink --proc-type");
	bool is_huge = is_chosen ? !dpdk_arguments_have(args, "--no-huge")
				 : config->heap.huge_pages != CONFIG_HUGE_PAGES_OFF &&
					   free_huge_mib() >= HUGE_MIB;

	if (!is_chosen)
		add_word(line, "%s", is_huge ? "--in-memory" : "--no-huge");
	if (!is_huge && !dpdk_arguments_have(args, "--no-shconf --file-prefix --proc-type"))
		add_word(line, "--no-shconf");
	if (!dpdk_arguments_have(args, "-m --socket-mem")) {
		add_word(line, "-m");
		add_word(line, "%u", is_huge ? HUGE_MIB : ORDINARY_MIB);
	}
	if (!dpdk_arguments_have(args, "--file-prefix"))
		add_word(line, "--file-prefix=demi-%d", (int)getpid());
}

/* One lcore, the calling thread, on all processors that it may use: the EAL makes no workers. */
static void add_lcore_word(struct dpdk_arguments *line)
{
	char list[2048] = "";
	size_t used = 0;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	for (int first = 0; first < CPU_SETSIZE && used < sizeof(list) - 32; first++) {
		int last = first;

		if (!CPU_ISSET(first, &allowed))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &allowed))
			last++;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%d-%d",
					 used > 0 ? "," : "", first, last);
		first = last;
	}
	add_word(line, "--lcores=0@(%s)", list);
}

/* Returns: 0; -E2BIG. */
static int add_operators_words(struct dpdk_arguments *line, const char *args)
{
	char copy[sizeof(((struct config *)0)->dpdk.args)];
	char *rest;

	snprintf(copy, sizeof(copy), "%s", args);
	for (char *word = strtok_r(copy, BLANKS, &rest); word;
	     word = strtok_r(NULL, BLANKS, &rest)) {
		unsigned int before = line->count;

		add_word(line, "%s", word);
		if (line->count == before)
			return -E2BIG;
	}
	return 0;
}

int dpdk_arguments_make(struct dpdk_arguments *line, const struct config *config, const char *pci)
{
	const char *args = config->dpdk.args;

	*line = (struct dpdk_arguments){0};
	add_word(line, "demi");
	add_memory_words(line, config);
	if (!dpdk_arguments_have(args, "--lcores -l -c"))
		add_lcore_word(line);
	if (!dpdk_arguments_have(args, "--iova-mode"))
		add_word(line, "--iova-mode=va");
	if (!dpdk_arguments_have(args, "--telemetry --no-telemetry"))
		add_word(line, "--no-telemetry");
	if (!dpdk_arguments_have(args, "--log-level"))
		add_word(line, "--log-level=%s",
			 config->log.level == CONFIG_LOG_DEBUG ? "*:debug" : "error");
	/* DPDK takes either a list of devices to use or one to leave out. */
	if (pci && !dpdk_arguments_have(args, "-b --block"))
		add_word(line, "--allow=%s", pci);
	if (!pci && !dpdk_arguments_have(args, "-a --allow -b --block --no-pci"))
		add_word(line, "--no-pci");
	return add_operators_words(line, args);
}
