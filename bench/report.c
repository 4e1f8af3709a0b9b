/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double median_of(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare_double);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double median_ratio(const struct figure *figure, const struct figure *against)
{
	double *values = calloc(figure->rounds, sizeof(*values));
	double result;

	if (!values)
		return 0;
	for (unsigned int i = 0; i < figure->rounds; i++)
		values[i] = figure->values[i] / (against ? against->values[i] : 1);
	result = median_of(values, figure->rounds);
	free(values);
	return result;
}

double figure_median(const struct figure *figure)
{
	return median_ratio(figure, NULL);
}

double figure_ratio(const struct figure *figure)
{
	return median_ratio(figure, figure->against);
}

struct figure *report_add(struct report *report, const char *unit, unsigned int rounds)
{
	struct figure **figures = realloc(report->figures,
					  (report->count + 1) * sizeof(struct figure *));
	struct figure *figure;

	if (!figures)
		return NULL;
	report->figures = figures;
	figure = calloc(1, sizeof(*figure));
	if (!figure)
		return NULL;
	figure->values = calloc(rounds, sizeof(*figure->values));
	if (!figure->values) {
		free(figure);
		return NULL;
	}
	figure->unit = unit;
	figure->rounds = rounds;
	figures[report->count++] = figure;
	return figure;
}

void report_fini(struct report *report)
{
	for (unsigned int i = 0; i < report->count; i++) {
		free(report->figures[i]->values);
		free(report->figures[i]);
	}
	free(report->figures);
	memset(report, 0, sizeof(*report));
}

static bool goal_is_met(const struct figure *figure)
{
	double value = figure->goal_kind == GOAL_VALUE ? figure_median(figure)
						       : figure_ratio(figure);

	return figure->higher_is_better ? value >= figure->goal : value <= figure->goal;
}

static void print_figure(const struct figure *figure)
{
	printf("  %-40s %11.2f %11.2f %-13s", figure->label, figure_median(figure), figure->minimum,
	       figure->unit);
	if (figure->against)
		printf(" %6.3f", figure_ratio(figure));
	else if (figure->goal_kind != GOAL_NONE)
		printf(" %6s", "");
	if (figure->goal_kind != GOAL_NONE)
		printf("  %s %s %g: %s", figure->goal_kind == GOAL_RATIO ? "ratio" : "median",
		       figure->higher_is_better ? ">=" : "<=", figure->goal,
		       goal_is_met(figure) ? "met" : "NOT met");
	if (figure->against)
		printf("  (to %s)", figure->against->label);
	putchar('\n');
}

void report_print_new(struct report *report, const char *title)
{
	const char *section = "";

	if (report->printed == report->count)
		return;
	printf("\n%s\n  %-40s %11s %11s %-13s %6s  %s\n", title, "", "median", "minimum", "unit",
	       "ratio", "goal");
	for (; report->printed < report->count; report->printed++) {
		const struct figure *figure = report->figures[report->printed];

		if (strcmp(section, figure->section) != 0)
			printf("  -- %s\n", figure->section);
		section = figure->section;
		print_figure(figure);
	}
	fflush(stdout);
}

static json_t *goal_to_json(const struct figure *figure)
{
	return json_pack("{s:s, s:s, s:f, s:b}", "of",
			 figure->goal_kind == GOAL_RATIO ? "ratio" : "median", "is",
			 figure->higher_is_better ? "at least" : "at most", "value", figure->goal,
			 "met", goal_is_met(figure));
}

static json_t *figure_to_json(const struct figure *figure)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:f, s:f, s:i}", "name", figure->name, "label",
				   figure->label, "unit", figure->unit, "median",
				   figure_median(figure), "minimum", figure->minimum, "rounds",
				   (int)figure->rounds);
	json_t *values = json_array();

	for (unsigned int i = 0; i < figure->rounds; i++)
		json_array_append_new(values, json_real(figure->values[i]));
	json_object_set_new(object, "values", values);
	if (figure->against) {
		json_object_set_new(object, "ratio", json_real(figure_ratio(figure)));
		json_object_set_new(object, "ratio_to", json_string(figure->against->name));
	}
	if (figure->goal_kind != GOAL_NONE)
		json_object_set_new(object, "goal", goal_to_json(figure));
	return object;
}

static json_t *machine_to_json(const struct machine *machine)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:f, s:f}", "cpu", machine->cpu,
			 "cpus", (int)machine->cpus, "kernel", machine->kernel, "date",
			 machine->date, "compiler", machine->compiler, "build", machine->build,
			 "version", machine->version, "counter_ghz", machine->counter_ghz,
			 "load_at_start", machine->load);
}

int report_write(const struct report *report, const struct machine *machine, const char *path)
{
	json_t *figures = json_array();
	json_t *root;
	int rc;

	for (unsigned int i = 0; i < report->count; i++)
		json_array_append_new(figures, figure_to_json(report->figures[i]));
	root = json_pack("{s:o, s:o}", "machine", machine_to_json(machine), "figures", figures);
	if (!root)
		return -ENOMEM;
	errno = 0;
	rc = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(root);
	if (!rc)
		return 0;
	return errno ? -errno : -EIO;
}
