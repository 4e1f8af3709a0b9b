/* SPDX-License-Identifier: MIT */
/* A drive's health in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "blkdev/nvme.h"
#include "blkdev/nvme_health.h"

#define VALUE_BYTES_MAX 64

struct teller {
	void (*tell)(const char *name, const char *value, void *context);
	void *context;
};

__attribute__((format(printf, 3, 4))) static void say(const struct teller *teller, const char *name,
						      const char *format, ...)
{
	char value[VALUE_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is a line above */
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	teller->tell(name, value, teller->context);
}

/* Each warning by itself: what a drive says of it differs in what is to be done. */
static void say_warnings(const struct teller *teller, const struct nvme_health *health)
{
	const struct {
		bool is_so;
		const char *words;
	} warnings[] = {
		{health->spare_low, "spare blocks are running out"},
		{health->too_hot_or_cold, "too hot, or too cold"},
		{health->unreliable, "errors make it unreliable"},
		{health->read_only, "it can only be read any more"},
		{health->backup_failed, "the backup of its memory has failed"},
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		if (warnings[i].is_so)
			say(teller, "warning", "%s", warnings[i].words);
		any |= warnings[i].is_so;
	}
	if (!any)
		say(teller, "warning", "none");
}

int nvme_tell_health(struct blkdev *device,
		     void (*tell)(const char *name, const char *value, void *context),
		     void *context)
{
	const struct teller teller = {tell, context};
	struct nvme_health health;
	int error = nvme_get_health(device, &health);

	if (error)
		return error;
	say(&teller, "model", "%s", health.model);
	say(&teller, "serial", "%s", health.serial);
	say(&teller, "firmware", "%s", health.firmware);
	say_warnings(&teller, &health);
	say(&teller, "temperature", "%" PRId32 " C", health.temperature_c);
	say(&teller, "spare", "%" PRIu32 " %%, warns below %" PRIu32 " %%", health.spare_percent,
	    health.spare_threshold_percent);
	say(&teller, "life used", "%" PRIu32 " %%", health.used_percent);
	say(&teller, "read", "%" PRIu64 " MB in %" PRIu64 " commands", health.bytes_read / 1000000,
	    health.reads);
	say(&teller, "written", "%" PRIu64 " MB in %" PRIu64 " commands",
	    health.bytes_written / 1000000, health.writes);
	say(&teller, "powered on", "%" PRIu64 " hours, %" PRIu64 " times", health.power_on_hours,
	    health.power_cycles);
	say(&teller, "unsafe shutdowns", "%" PRIu64, health.unsafe_shutdowns);
	say(&teller, "media errors", "%" PRIu64, health.media_errors);
	say(&teller, "errors logged", "%" PRIu64, health.errors_logged);
	return 0;
}
