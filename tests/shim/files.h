// SPDX-License-Identifier: MIT
/* What the checks of files share. */
#ifndef TESTS_SHIM_FILES_H
#define TESTS_SHIM_FILES_H

#include <stddef.h>

struct files_check {
	const char *name;
	void (*run)(void);
};

/* Each group is a table that ends with a check without a name. */
extern const struct files_check files_place_checks[];
extern const struct files_check files_name_checks[];
extern const struct files_check files_stream_checks[];
extern const struct files_check files_open_checks[];

/** say - one line of output, "what: ..." */
void say(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** outcome - prints what a call has returned, with the name of errno where that is -1; returns it */
long outcome(const char *what, long result);

/** must - the result of a call that has to work first */
long must(const char *what, long result);

/** at - the path of a name in the folder of files under test; valid until the next call but three */
const char *at(const char *name);

/** make - a file with these bytes, opened with @flags too */
int make(const char *name, const char *text, int flags);

/** say_file - its size and what is in it, opened anew */
void say_file(const char *what, const char *name);

/** say_text - what one pread(2) from @offset finds */
void say_text(const char *what, int fd, size_t offset);

/** nowhere - a pointer to no memory */
void *nowhere(void);

#endif
