/* SPDX-License-Identifier: MIT */
/* Figures, and how they are written: as a table for people, as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

enum goal_kind {
	GOAL_NONE,
	GOAL_VALUE, /* the median */
	GOAL_RATIO, /* the median ratio */
};

/** One figure: a value for each round. */
struct figure {
	char name[64];    /* unique: "echo/64/1/demi-uring/round-trip" */
	char section[64]; /* heading in the table; empty: none */
	char label[64];   /* line in the table */
	const char *unit;
	double *values; /* values[rounds] */
	unsigned int rounds;
	double minimum; /* of all samples of all rounds */
	bool higher_is_better;
	enum goal_kind goal_kind;
	double goal;                  /* at most; at least if higher_is_better */
	const struct figure *against; /* the ratio's denominator, round by round; NULL: no ratio */
};

struct report {
	struct figure **figures; /* figures[count] */
	unsigned int count;
	unsigned int printed; /* of them, printed by report_print_new */
};

/** report_add - a figure with room for @rounds values, all 0; NULL: out of memory. Stays valid. */
struct figure *report_add(struct report *report, const char *unit, unsigned int rounds);

/** report_fini - forget all figures */
void report_fini(struct report *report);

/** report_print_new - a table of the figures that were added since the last call */
void report_print_new(struct report *report, const char *title);

/** report_write - all figures as JSON; 0, or -errno */
int report_write(const struct report *report, const struct machine *machine, const char *path);

/** figure_median - of the rounds; figure_ratio - median of the ratios within the rounds */
double figure_median(const struct figure *figure);
double figure_ratio(const struct figure *figure);

/** median_of - sorts @values[@count], count >= 1 */
double median_of(double *values, unsigned int count);

#endif /* BENCH_REPORT_H */
