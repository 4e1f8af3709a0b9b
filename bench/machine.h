/* SPDX-License-Identifier: MIT */
/* What was measured on, and with. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

struct machine {
	char cpu[128];
	unsigned int cpus; /* that this program may use */
	char kernel[128];
	char date[32]; /* ISO 8601, UTC */
	const char *compiler;
	const char *build; /* Meson's build type */
	const char *version;
	double counter_ghz; /* rate of the time-stamp counter */
	double load;        /* average of the last minute, at the start */
};

/** machine_describe - find it all out; takes some milliseconds */
void machine_describe(struct machine *machine);

void machine_print(const struct machine *machine);

#endif /* BENCH_MACHINE_H */
