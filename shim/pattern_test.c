/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct patterns patterns;
static char message[256];

static void parse(const char *list)
{
	assert_int_equal(patterns_parse(&patterns, list, message, sizeof(message)), 0);
}

static void refused(const char *list, const char *words)
{
	assert_int_equal(patterns_parse(&patterns, list, message, sizeof(message)), -EINVAL);
	assert_non_null(strstr(message, words));
}

static void patterns_parse__lists(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(patterns.count, 0);
	assert_false(patterns_match(&patterns, "/"));
	parse(" /a/b , /c/*.log");
	assert_int_equal(patterns.count, 2);
	assert_string_equal(patterns.patterns[0], "/a/b");
	assert_string_equal(patterns.patterns[1], "/c/*.log");
}

static void patterns_parse__refuses_what_never_fits(void **state)
{
	char many[33 * 3 + 1] = "", *end = many;

	(void)state;
	refused("*.log", "absolute");
	refused("/a,,/b", "absolute");
	refused("/a//b", "never fits");
	refused("/a/../b", "never fits");
	for (unsigned int i = 0; i < 32; i++)
		end = stpcpy(end, i ? ",/a" : "/a");
	parse(many);
	assert_int_equal(patterns.count, 32);
	stpcpy(end, ",/b");
	refused(many, "more than 32");
}

static void patterns_match__kinds(void **state)
{
	(void)state;
	parse("/below/,/one/path,/wild/*.incr.aof,/set/[ab]?");
	assert_true(patterns_match(&patterns, "/below/x"));
	assert_true(patterns_match(&patterns, "/below/x/y"));
	assert_false(patterns_match(&patterns, "/below"));
	assert_false(patterns_match(&patterns, "/below/"));
	assert_false(patterns_match(&patterns, "/belowx"));
	assert_true(patterns_match(&patterns, "/one/path"));
	assert_true(patterns_match(&patterns, "/one/path/x"));
	assert_false(patterns_match(&patterns, "/one/paths"));
	assert_true(patterns_match(&patterns, "/wild/appendonly.aof.1.incr.aof"));
	assert_false(patterns_match(&patterns, "/wild/appendonly.aof.1.base.rdb"));
	assert_false(patterns_match(&patterns, "/wild/x/y.incr.aof"));
	assert_true(patterns_match(&patterns, "/set/b7"));
	assert_false(patterns_match(&patterns, "/set/c7"));
}

static void normalised(const char *folder, const char *path, const char *expected)
{
	char out[PATH_MAX];

	assert_int_equal(path_normalise(out, folder, path), 0);
	assert_string_equal(out, expected);
}

static void path_normalise__by_words_alone(void **state)
{
	(void)state;
	normalised("/home/x", "a", "/home/x/a");
	normalised("/home/x", "./a//b/.", "/home/x/a/b");
	normalised("/home/x", "../a", "/home/a");
	normalised("/home/x", "../../../../a", "/a");
	normalised("/home/x", "/a/./b/../c/", "/a/c");
	normalised("/home/x", "/..", "/");
	normalised("/", "a", "/a");
	normalised("/home/x", "...", "/home/x/...");
	normalised("/home/x", "..a/.b", "/home/x/..a/.b");
}

static void path_normalise__limits(void **state)
{
	char out[PATH_MAX], path[PATH_MAX + 1];

	(void)state;
	assert_int_equal(path_normalise(out, "/", ""), -ENOENT);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(path_normalise(out, "/", path), 0);
	assert_int_equal(strlen(out), PATH_MAX - 1);
	path[PATH_MAX - 1] = 'a';
	path[PATH_MAX] = '\0';
	assert_int_equal(path_normalise(out, "/", path), -ENAMETOOLONG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_parse__lists),
		cmocka_unit_test(patterns_parse__refuses_what_never_fits),
		cmocka_unit_test(patterns_match__kinds),
		cmocka_unit_test(path_normalise__by_words_alone),
		cmocka_unit_test(path_normalise__limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
