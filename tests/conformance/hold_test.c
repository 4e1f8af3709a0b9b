/* SPDX-License-Identifier: MIT */
#include "common.h"
int main(void) { return EXIT_SKIPPED; }
