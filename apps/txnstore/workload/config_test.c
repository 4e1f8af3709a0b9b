/* SPDX-License-Identifier: MIT */
/* Workloads by name, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "config.h"

static char message[WORKLOAD_MESSAGE_MAX];

static struct workload_config parsed(const char *name)
{
	struct workload_config config;

	assert_int_equal(workload_parse(name, &config, message), 0);
	return config;
}

static void assert_refused(const struct workload_config *config, const char *words)
{
	message[0] = '\0';
	assert_int_equal(workload_check(config, message), -EINVAL);
	assert_string_equal(message, words);
}

static void config__every_name_is_allowed_as_it_comes(void **state)
{
	(void)state;
	for (int i = 0; i < WORKLOAD_KINDS; i++) {
		const char *name = workload_kind_name((enum workload_kind)i);
		struct workload_config config = parsed(name);
		assert_int_equal(config.kind, i);
		assert_int_equal(workload_check(&config, message), 0);
	}
}

static void config__defaults_are_the_usual_ones(void **state)
{
	struct workload_config d = parsed("ycsb-d");
	struct workload_config t = parsed("ycsb-t");

	(void)state;
	assert_int_equal(d.key_bytes, 23);
	assert_int_equal(d.value_bytes, 1000);
	assert_int_equal(d.distribution, DISTRIBUTION_LATEST);
	assert_true(d.theta == 0.99);
	assert_int_equal(t.key_bytes, 64);
	assert_int_equal(t.value_bytes, 700);
	assert_int_equal(t.distribution, DISTRIBUTION_UNIFORM);
	assert_int_equal(t.operations, 1);
	assert_int_equal(t.mix.read_modify_write, 100);
}

static void config__unknown_names_are_told_the_known(void **state)
{
	enum distribution_kind distribution;
	struct workload_config config;
	char name[1000];

	(void)state;
	assert_int_equal(workload_parse("ycsb-g", &config, message), -EINVAL);
	assert_string_equal(message,
			    "workload 'ycsb-g'; allowed: ycsb-a to ycsb-f, ycsb-t, retwis");
	assert_int_equal(workload_parse("", &config, message), -EINVAL);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(workload_parse(name, &config, message), -EINVAL);
	assert_int_equal(workload_parse_distribution("latest", &distribution, message), 0);
	assert_int_equal(distribution, DISTRIBUTION_LATEST);
	assert_int_equal(workload_parse_distribution("normal", &distribution, message), -EINVAL);
	assert_string_equal(message,
			    "distribution 'normal'; allowed: uniform, zipfian, scrambled, latest");
}

static void config__sizes_have_limits(void **state)
{
	struct workload_config config = parsed("ycsb-a");

	(void)state;
	config.key_bytes = 7;
	assert_refused(&config, "key_bytes 7; allowed: 8 to 1024");
	config.key_bytes = 1025;
	assert_refused(&config, "key_bytes 1025; allowed: 8 to 1024");
	config.key_bytes = 1024;
	assert_int_equal(workload_check(&config, message), 0);
	config.value_bytes = 0;
	assert_refused(&config, "value_bytes 0; allowed: 1 to 1048576");
	config.value_bytes = 1048577;
	assert_refused(&config, "value_bytes 1048577; allowed: 1 to 1048576");
	config.value_bytes = 1048576;
	assert_int_equal(workload_check(&config, message), 0);
}

static void config__records_have_limits_and_need_keys(void **state)
{
	struct workload_config config = parsed("ycsb-a");
	struct workload_config retwis = parsed("retwis");

	(void)state;
	config.records = 0;
	assert_refused(&config, "records 0; allowed: 1 to 1099511627776");
	config.records = WORKLOAD_RECORDS_MAX + 1;
	assert_refused(&config, "records 1099511627777; allowed: 1 to 1099511627776");
	config.records = WORKLOAD_RECORDS_MAX;
	assert_int_equal(workload_check(&config, message), 0);
	config.key_bytes = 8;
	config.records = 10001;
	assert_refused(&config,
		       "records 10001 with key_bytes 8; allowed: 1 to 10000, or longer keys");
	config.records = 10000;
	assert_int_equal(workload_check(&config, message), 0);
	retwis.records = 9;
	assert_refused(&retwis, "records 9; allowed: 10 to 1099511627776");
}

static void config__operations_have_limits(void **state)
{
	struct workload_config config = parsed("ycsb-t");
	struct workload_config scans = parsed("ycsb-e");
	struct workload_config retwis = parsed("retwis");

	(void)state;
	config.operations = 0;
	assert_refused(&config, "operations 0; allowed: 1 to 100");
	config.operations = 101;
	assert_refused(&config, "operations 101; allowed: 1 to 100");
	config.operations = 100;
	assert_int_equal(workload_check(&config, message), 0);
	config.records = 99;
	assert_refused(&config,
		       "operations 100 with records 99; allowed: as many as there are records");
	scans.operations = 2;
	assert_refused(&scans, "operations 2 with scans; allowed: 1");
	retwis.operations = 2;
	assert_refused(&retwis, "operations 2 with retwis; allowed: 1");
}

static void config__theta_and_mix_have_limits(void **state)
{
	struct workload_config config = parsed("ycsb-a");

	(void)state;
	config.theta = 1.0;
	assert_refused(&config, "theta 1; allowed: 0 to 0.999");
	config.theta = NAN;
	assert_int_equal(workload_check(&config, message), -EINVAL);
	config.theta = 0.0;
	assert_int_equal(workload_check(&config, message), 0);
	config.mix.insert = 1;
	assert_refused(&config, "the mix of operations comes to 101 %; allowed: 100 %");
	config.mix = (struct workload_mix){.read = UINT32_MAX, .update = 101};
	assert_int_equal(workload_check(&config, message), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config__every_name_is_allowed_as_it_comes),
		cmocka_unit_test(config__defaults_are_the_usual_ones),
		cmocka_unit_test(config__unknown_names_are_told_the_known),
		cmocka_unit_test(config__sizes_have_limits),
		cmocka_unit_test(config__records_have_limits_and_need_keys),
		cmocka_unit_test(config__operations_have_limits),
		cmocka_unit_test(config__theta_and_mix_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
