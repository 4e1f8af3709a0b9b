/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

#define ENOUGH "--listen", "127.0.0.1:0", "--relay-ip", "127.0.0.1", "--realm", "r", "--user", "u:p"
#define EXIT_USAGE 2
#define PARSE(...) parse((const char *[]){"demi-relay", __VA_ARGS__, NULL})

static struct options options;

static int parse(const char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	options_free(&options);
	return options_parse(&options, argc, (char **)(uintptr_t)argv);
}

static int tear_down(void **state)
{
	(void)state;
	options_free(&options);
	return 0;
}

static int load(const char *text, char error[OPTIONS_ERROR_BYTES])
{
	char path[] = "/tmp/demi-relay-XXXXXX";
	int fd = mkstemp(path);
	int result;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	error[0] = '\0';
	result = options_load(&options, path, error);
	unlink(path);
	return result;
}

static void options__that_are_enough_are_enough(void **state)
{
	(void)state;
	assert_int_equal(PARSE(ENOUGH), -1);
	assert_int_equal(options.listener_count, 1);
	assert_string_equal(options.turn.realm, "r");
	assert_string_equal(options.users->text, "u:p");
	assert_int_equal(options.turn.relay_ip[0].family, NET_V4);
	assert_false(options.turn.filter.allow_loopback);
	assert_int_equal(PARSE(ENOUGH, "--allow-loopback-peers", "--max-rate=5000"), -1);
	assert_true(options.turn.filter.allow_loopback);
	assert_int_equal(options.turn.bytes_per_s, 5000);
}

static void options__that_are_wrong_are_refused(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--relay-ip", "127.0.0.1"), EXIT_USAGE);
	assert_int_equal(PARSE("--listen", "127.0.0.1:0"), EXIT_USAGE);
	assert_int_equal(PARSE("--listen", "127.0.0.1:0", "--relay-ip", "::1"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--no-auth"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--no-udp", "--no-tcp"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--user", "nobody"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--lifetime", "0"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--lifetime", "4000"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--lifetime", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--ports", "5-4"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--ports", "1-65536"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--deny-peer", "10.0.0.0/33"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--forward", "127.0.0.1:1"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--nothing"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "word"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--realm"), EXIT_USAGE);
	assert_int_equal(PARSE(ENOUGH, "--config", "/nonexistent"), EXIT_USAGE);
}

static void file__has_the_same_words(void **state)
{
	(void)state;
	char error[OPTIONS_ERROR_BYTES];

	assert_int_equal(PARSE(ENOUGH), -1);
	assert_int_equal(load("listen: [127.0.0.1:3478, '[::1]:3478']\n"
			      "realm: example.org\n"
			      "user:\n  - a:b\n  - c:d\n"
			      "max-allocations: 7\n"
			      "allow-private-peers: yes\n"
			      "deny-peer: 10.0.0.0/8\n",
			      error),
			 0);
	assert_int_equal(options.listener_count, 3);
	assert_string_equal(options.turn.realm, "example.org");
	assert_string_equal(options.users->next->next->text, "c:d");
	assert_int_equal(options.turn.allocations_max, 7);
	assert_true(options.turn.filter.allow_private);
	assert_int_equal(options.turn.filter.denied_count, 1);
}

static void file__that_is_wrong_is_refused_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{"realm: r\nnothing: 1\n", "line 2: there is no 'nothing'"},
		{"realm: r\nlifetime: long\n", "line 2: lifetime 'long' is not a whole number"},
		{"realm: {a: b}\n", "line 1: a value is expected"},
		{"- realm\n", "line 1: the file is a mapping"},
		{"realm: 'r\n", "line "},
		{"allow-private-peers: perhaps\n", "allowed: yes, no"},
		{"? [a]\n: b\n", "line 1: a key is the name of an option"},
		{"listen: [[127.0.0.1:1]]\n", "line 1: a value is expected"},
		{"realm: \"r\\0s\"\n", "zero byte"},
	};
	char error[OPTIONS_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(load(wrong[i].text, error), -EINVAL);
		assert_non_null(strstr(error, wrong[i].said));
	}
	assert_int_equal(load("", error), 0);
}

static void command_line__counts_more_than_the_file(void **state)
{
	(void)state;
	char path[] = "/tmp/demi-relay-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "lifetime: 700\nmax-lifetime: 800\n";

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(PARSE(ENOUGH, "--max-lifetime", "900", "--config", path), -1);
	unlink(path);
	assert_int_equal(options.turn.lifetime_s, 700);
	assert_int_equal(options.turn.lifetime_max_s, 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(options__that_are_enough_are_enough, tear_down),
		cmocka_unit_test_teardown(options__that_are_wrong_are_refused, tear_down),
		cmocka_unit_test_teardown(file__has_the_same_words, tear_down),
		cmocka_unit_test_teardown(file__that_is_wrong_is_refused_with_its_line, tear_down),
		cmocka_unit_test_teardown(command_line__counts_more_than_the_file, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
