/* SPDX-License-Identifier: MIT */
/* The two shapes that `demi doctor` tells what it found in. */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include "machine.h"
#include "verdict.h"

struct finding {
	struct machine machine;
	struct verdict verdicts[VERDICTS_MAX];
	unsigned int verdict_count;
};

void doctor_print_text(const struct finding *finding);

/** doctor_print_json - one object; false: out of memory */
bool doctor_print_json(const struct finding *finding);

/* Of the capabilities that Demi may want; NULL after the last. */
struct capability {
	unsigned int number;
	const char *name;
};
extern const struct capability doctor_capabilities[];

/** doctor_outcome - "can run", "missing" or "not in this build" */
const char *doctor_outcome(enum outcome outcome);

#endif /* TOOLS_DOCTOR_H */
