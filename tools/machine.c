/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "files.h"
#include "words.h"

/* ---- This process ---- */

static void look_at_status(struct machine *machine)
{
	FILE *file = files_open("/proc/self/status");
	char line[LINE_BYTES];
	char *words[WORDS_MAX];

	while (file && fgets(line, sizeof(line), file)) {
		words_split(words, line);
		if (strcmp(words[0], "Uid:") == 0)
			machine->is_root = words_are(words[2], 10, 0); /* the effective one */
		if (strcmp(words[0], "CapEff:") == 0)
			words_number(words[1], 16, &machine->capabilities);
	}
	if (file)
		fclose(file);
}

/* "unlimited", -1, or a number; what is neither limits nothing. */
static int64_t limit_of(const char *word)
{
	uint64_t value;

	return words_number(word, 10, &value) && value <= INT64_MAX ? (int64_t)value : -1;
}

static void look_at_limits(struct machine *machine)
{
	FILE *file = files_open("/proc/self/limits");
	char line[LINE_BYTES];
	char *words[WORDS_MAX];

	machine->files_max = machine->memlock_bytes = -1;
	while (file && fgets(line, sizeof(line), file)) {
		words_split(words, line); /* "Max open files 1024 4096 files", soft and hard */
		if (strcmp(words[1], "open") == 0 && strcmp(words[2], "files") == 0)
			machine->files_max = limit_of(words[3]);
		if (strcmp(words[1], "locked") == 0 && strcmp(words[2], "memory") == 0)
			machine->memlock_bytes = limit_of(words[3]);
	}
	if (file)
		fclose(file);
}

bool machine_has_capability(const struct machine *machine, unsigned int capability)
{
	return machine->capabilities >> capability & 1;
}

/* ---- The system ---- */

/* "0-3,8": how many these are. */
static unsigned int count_cpus(const char *list)
{
	unsigned long count = 0;

	while (isdigit((unsigned char)*list)) {
		char *end;
		unsigned long first = strtoul(list, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		count += last >= first ? last - first + 1 : 0;
		list = end + (*end == ',');
	}
	return (unsigned int)count;
}

static void look_at_system(struct machine *machine)
{
	char line[LINE_BYTES];

	files_line(line, "/proc/sys/kernel/osrelease");
	snprintf(machine->kernel, sizeof(machine->kernel), "%.127s", line);
	files_line(line, "/sys/devices/system/cpu/online");
	snprintf(machine->cpus, sizeof(machine->cpus), "%.63s", line);
	machine->cpu_count = count_cpus(line);
	machine->unprivileged_bpf = (int)files_number("/proc/sys/kernel/unprivileged_bpf_disabled");
	machine->io_uring_disabled = (int)files_number("/proc/sys/kernel/io_uring_disabled");
	machine->io_uring_error = answers_io_uring();
	machine->af_xdp_error = answers_af_xdp();
}

/* Read word by word, since the line of flags is longer than others. */
static void look_at_processor(struct machine *machine)
{
	FILE *file = files_open("/proc/cpuinfo");
	char word[64];

	while (file && fscanf(file, "%63s", word) == 1) {
		machine->is_virtual |= strcmp(word, "hypervisor") == 0;
		machine->is_intel |= strcmp(word, "GenuineIntel") == 0;
	}
	if (file)
		fclose(file);
}

static void add_pages(void *context, const char *name)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	static const char prefix[] = "hugepages-"; /* 2048kB */
	struct machine *machine = context;
	struct pages *pages = &machine->pages[machine->page_sizes];

	if (machine->page_sizes == PAGE_SIZES_MAX || strncmp(name, prefix, strlen(prefix)) != 0)
		return;
	pages->kib = (unsigned int)strtoul(name + strlen(prefix), NULL, 10);
	int64_t total = files_number("%s/%s/nr_hugepages", folder, name);
	int64_t unused = files_number("%s/%s/free_hugepages", folder, name);
	pages->total = total > 0 ? (unsigned int)total : 0;
	pages->free = unused > 0 ? (unsigned int)unused : 0;
	machine->page_sizes++;
}

bool machine_can_load(const struct machine *machine, const char *file_name)
{
	static const char *const lists[] = {"modules.dep", "modules.builtin"};
	bool is_there = false;

	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		FILE *file = files_open("/lib/modules/%s/%s", machine->kernel, lists[i]);
		char line[LINE_BYTES];

		while (file && !is_there && fgets(line, sizeof(line), file)) {
			const char *end = strchr(line, ':');

			line[end ? end - line : (long)strcspn(line, "\n")] = '\0';
			is_there = strstr(line, file_name) != NULL;
		}
		if (file)
			fclose(file);
	}
	return is_there;
}

static void look_at_doors(struct machine *machine)
{
	machine->has_tun = files_allowed("/dev/net/tun");
	machine->knows_tun = files_exist("/sys/class/misc/tun") || files_exist("/dev/net/tun");
	machine->has_vfio = files_allowed("/dev/vfio/vfio");
	machine->knows_vfio_pci = files_exist("/sys/bus/pci/drivers/vfio-pci") ||
				  machine_can_load(machine, "/vfio-pci.ko");
	machine->iommu_groups = files_each("/sys/kernel/iommu_groups", NULL, NULL);
}

void machine_look(struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	answers_open();
	look_at_status(machine);
	look_at_limits(machine);
	look_at_system(machine);
	look_at_processor(machine);
	look_at_doors(machine);
	files_each("/sys/kernel/mm/hugepages", add_pages, machine);
	machine_look_at_interfaces(machine);
	machine_look_at_drives(machine);
	machine_look_at_rdma(machine);
	answers_close();
}
