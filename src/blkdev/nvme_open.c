/* SPDX-License-Identifier: MIT */
/* "nvme:0000:00:05.0,namespace=1,depth=64,timeout_ms=30000,noiommu": the words, and what they are for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkdev/kinds.h"
#include "blkdev/nvme.h"
#include "blkdev/nvme_vfio.h"

#define ARGUMENTS_BYTES 80u

/* As long as the device's own. */
#define NAME_BYTES sizeof(((struct blkdev *)0)->name)

struct parsed {
	char name[NAME_BYTES];
	char address[NVME_ADDRESS_BYTES];
	struct nvme_settings settings;
	bool no_iommu; /* it may be behind none */
};

static bool is_address(const char *text)
{
	static const char form[] = "hhhh:hh:hh.d";

	for (size_t i = 0; i < sizeof(form); i++) {
		const char *allowed = form[i] == 'h' ? "0123456789abcdef" : "01234567";

		if (form[i] == 'h' || form[i] == 'd') {
			if (!text[i] || !strchr(allowed, text[i]))
				return false;
		} else if (text[i] != form[i]) {
			return false;
		}
	}
	return true;
}

static int parse_number(const struct parsed *parsed, const char *word, uint32_t min, uint32_t max,
			uint32_t *number_out)
{
	const char *text = strchr(word, '=') + 1;
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < min || number > max) {
		log_error("%s: \"%s\" is not a number from %u to %u", parsed->name, word, min, max);
		return -EINVAL;
	}
	*number_out = (uint32_t)number;
	return 0;
}

static int parse_word(struct parsed *parsed, const char *word)
{
	const struct {
		const char *key;
		uint32_t min, max;
		uint32_t *number;
	} keys[] = {
		{"namespace=", 1, UINT32_MAX - 1, &parsed->settings.namespace},
		{"depth=", NVME_DEPTH_MIN, NVME_DEPTH_MAX, &parsed->settings.depth},
		{"timeout_ms=", NVME_TIMEOUT_MS_MIN, NVME_TIMEOUT_MS_MAX,
		 &parsed->settings.timeout_ms},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strncmp(word, keys[i].key, strlen(keys[i].key)) == 0)
			return parse_number(parsed, word, keys[i].min, keys[i].max, keys[i].number);
	}
	if (strcmp(word, "noiommu") == 0) {
		parsed->no_iommu = true;
		return 0;
	}
	log_error("%s: \"%s\": behind the address there may be namespace=N, depth=N, "
		  "timeout_ms=N and noiommu, with commas between",
		  parsed->name, word);
	return -EINVAL;
}

static int parse(struct parsed *parsed, const char *arguments)
{
	char words[ARGUMENTS_BYTES];
	char *rest = words;
	const char *word;
	int error = 0;

	*parsed = (struct parsed){.settings = {.namespace = 1,
					       .depth = NVME_DEPTH_DEFAULT,
					       .timeout_ms = NVME_TIMEOUT_MS_DEFAULT}};
	snprintf(parsed->name, sizeof(parsed->name), "nvme:%s", arguments);
	if (strlen(arguments) >= sizeof(words)) {
		log_error("%s: more than %zu characters", parsed->name, sizeof(words) - 1);
		return -EINVAL;
	}
	snprintf(words, sizeof(words), "%s", arguments);
	word = strsep(&rest, ",");
	if (!is_address(word)) {
		log_error("%s: \"%s\" is not the address of a PCI device; write it as in "
			  "nvme:0000:00:05.0; lspci -D -d ::0108 lists those of NVMe",
			  parsed->name, word);
		return -EINVAL;
	}
	snprintf(parsed->address, sizeof(parsed->address), "%s", word);
	while (!error && (word = strsep(&rest, ",")) != NULL)
		error = parse_word(parsed, word);
	return error;
}

int nvme_open(struct blkdev **device_out, const char *arguments,
	      const struct blkdev_options *options)
{
	struct parsed parsed;
	struct nvme_bus *bus;
	int error = parse(&parsed, arguments);

	if (!error)
		error = nvme_vfio_open(&bus, parsed.name, parsed.address, parsed.no_iommu);
	if (!error)
		error = nvme_create(device_out, parsed.name, bus, &parsed.settings, options);
	return error;
}
