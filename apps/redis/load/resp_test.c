/* SPDX-License-Identifier: MIT */
/* Replies cut out of a stream: every way to split it, what is no RESP2, and the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp.h"

#define TOLD_MAX 8192

/* What a stream came to, in letters; the runs of one bulk string are put together. */
static char told[TOLD_MAX];
static size_t told_bytes;

static void tell(const void *text, size_t length)
{
	assert_true(told_bytes + length < sizeof(told));
	memcpy(told + told_bytes, text, length);
	told_bytes += length;
	told[told_bytes] = '\0';
}

static void tell_event(const struct resp_event *event)
{
	static const char letters[] = "+-:_*$";
	char head[32];

	if (event->kind == RESP_BYTES) {
		assert_true(event->length > 0);
		tell(event->text, event->length);
		return;
	}
	if (event->kind == RESP_END) {
		tell("]", 1);
		return;
	}
	tell(head, (size_t)snprintf(head, sizeof(head), " %c", letters[event->kind]));
	if (event->kind == RESP_SIMPLE || event->kind == RESP_ERROR)
		tell(event->text, event->length);
	else if (event->kind != RESP_NIL)
		tell(head, (size_t)snprintf(head, sizeof(head), "%lld", (long long)event->integer));
	if (event->kind == RESP_BULK)
		tell("[", 1);
}

/* One piece, in a block of its own size, so that a read behind it is seen. */
static int feed(struct resp_parser *parser, const void *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	const uint8_t *data = copy;
	struct resp_event event;
	int result;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	while ((result = resp_next(parser, &data, &length, &event)) > 0)
		tell_event(&event);
	if (result == 0)
		assert_int_equal(length, 0);
	free(copy);
	return result;
}

static int feed_split(const char *stream, size_t length, size_t first, size_t second)
{
	struct resp_parser parser;

	told_bytes = 0;
	told[0] = '\0';
	resp_init(&parser, RESP_BULK_MAX);
	int result = feed(&parser, stream, first);
	if (!result)
		result = feed(&parser, stream + first, second - first);
	return result ? result : feed(&parser, stream + second, length - second);
}

static int feed_whole(const char *stream)
{
	size_t length = strlen(stream);

	return feed_split(stream, length, length, length);
}

static const char *wrong_of(const char *stream, uint32_t bulk_max)
{
	struct resp_parser parser;
	struct resp_event event;
	const uint8_t *data = NULL;
	size_t none = 0;

	resp_init(&parser, bulk_max);
	if (feed(&parser, stream, strlen(stream)) == 0)
		return "nothing";
	/* It stays so, also without any byte. */
	assert_int_equal(resp_next(&parser, &data, &none, &event), -EPROTO);
	assert_int_equal(feed(&parser, "+OK\r\n", 5), -EPROTO);
	return parser.wrong;
}

static void resp__tells_each_kind(void **state)
{
	(void)state;
	assert_int_equal(
		feed_whole("+OK\r\n-ERR no\r\n:-12\r\n$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*-1\r\n"
			   "*2\r\n:1\r\n+\r\n"),
		0);
	assert_string_equal(told, " +OK -ERR no :-12 $5[he\r\no] $0[] _ _ *2 :1 +");
}

static void resp__every_split_tells_the_same(void **state)
{
	static const char stream[] =
		"+OK\r\n$12\r\n0123456789\r\n\r\n-ERR x\r\n$-1\r\n:7\r\n$0\r\n\r\n*1\r\n";
	size_t length = sizeof(stream) - 1;
	char whole[TOLD_MAX];

	(void)state;
	assert_int_equal(feed_whole(stream), 0);
	strcpy(whole, told);
	for (size_t first = 0; first <= length; first++) {
		for (size_t second = first; second <= length; second++) {
			assert_int_equal(feed_split(stream, length, first, second), 0);
			assert_string_equal(told, whole);
		}
	}
}

static void resp__byte_by_byte_tells_the_same(void **state)
{
	static const char stream[] = "$10\r\nvalue\r\nend\r\n+PONG\r\n";
	struct resp_parser parser;

	(void)state;
	told_bytes = 0;
	resp_init(&parser, 10);
	for (size_t i = 0; i < sizeof(stream) - 1; i++)
		assert_int_equal(feed(&parser, stream + i, 1), 0);
	assert_string_equal(told, " $10[value\r\nend] +PONG");
}

static void resp__bytes_are_told_of_in_place(void **state)
{
	static const char stream[] = "$4\r\nabcd\r\n";
	const uint8_t *data = (const uint8_t *)stream;
	size_t length = sizeof(stream) - 1;
	struct resp_parser parser;
	struct resp_event event;

	(void)state;
	resp_init(&parser, RESP_BULK_MAX);
	assert_int_equal(resp_next(&parser, &data, &length, &event), 1);
	assert_int_equal(event.kind, RESP_BULK);
	assert_int_equal(resp_next(&parser, &data, &length, &event), 1);
	assert_int_equal(event.kind, RESP_BYTES);
	assert_ptr_equal(event.text, stream + 4);
	assert_int_equal(event.length, 4);
}

static void resp__refuses_what_is_none(void **state)
{
	static const struct {
		const char *stream, *wrong;
	} cases[] = {
		{"\r\n", "an empty line"},
		{"\n", "a line that does not end in carriage return and line feed"},
		{"+OK\n", "a line that does not end in carriage return and line feed"},
		{"+O\rK\r\n", "a carriage return inside a line"},
		{"HTTP/1.1 400\r\n", "a reply of unknown kind"},
		{"%1\r\n", "a reply of unknown kind"},
		{":\r\n", "a number that is none"},
		{":-\r\n", "a number that is none"},
		{":1x\r\n", "a number that is none"},
		{": 1\r\n", "a number that is none"},
		{":9223372036854775808\r\n", "a number that is none"},
		{":-9223372036854775809\r\n", "a number that is none"},
		{":99999999999999999999\r\n", "a number that is none"},
		{"$+3\r\n", "a number that is none"},
		{"$-2\r\n", "a length below 0"},
		{"*-2\r\n", "a length below 0"},
		{"$3\r\nabcd\r\n", "a value that goes on behind its length"},
		{"$3\r\nabc\rd", "a value that goes on behind its length"},
		{"$0\r\n+OK\r\n", "a value that goes on behind its length"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(wrong_of(cases[i].stream, RESP_BULK_MAX), cases[i].wrong);
}

static void resp__limits(void **state)
{
	char line[RESP_LINE_MAX + 8];

	(void)state;
	assert_string_equal(wrong_of("$64\r\n", 64), "nothing");
	assert_string_equal(wrong_of("$65\r\n", 64), "a longer value than is taken");
	assert_string_equal(wrong_of("$536870912\r\n", UINT32_MAX), "nothing");
	assert_string_equal(wrong_of("$536870913\r\n", UINT32_MAX), "a longer value than is taken");
	assert_string_equal(wrong_of("*1048576\r\n", 64), "nothing");
	assert_string_equal(wrong_of("*1048577\r\n", 64), "a longer array than is taken");
	assert_int_equal(feed_whole(":9223372036854775807\r\n:-9223372036854775808\r\n"), 0);
	assert_string_equal(told, " :9223372036854775807 :-9223372036854775808");

	memset(line, '+', sizeof(line));
	strcpy(line + RESP_LINE_MAX, "\r\n");
	assert_string_equal(wrong_of(line, 64), "nothing");
	strcpy(line + RESP_LINE_MAX, "+\r\n");
	assert_string_equal(wrong_of(line, 64), "a longer line than is taken");
	/* One without an end as well, before it has one. */
	strcpy(line + RESP_LINE_MAX, "\r");
	assert_string_equal(wrong_of(line, 64), "nothing");
	strcpy(line + RESP_LINE_MAX, "++");
	assert_string_equal(wrong_of(line, 64), "a longer line than is taken");
}

static void resp__the_longest_line_in_pieces(void **state)
{
	char line[RESP_LINE_MAX + 3];
	size_t length = RESP_LINE_MAX + 2;

	(void)state;
	memset(line, '+', sizeof(line));
	strcpy(line + RESP_LINE_MAX, "\r\n");
	for (size_t first = 0; first <= length; first++) {
		assert_int_equal(feed_split(line, length, first, length), 0);
		assert_int_equal(told_bytes, RESP_LINE_MAX + 1); /* a space before it */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resp__tells_each_kind),
		cmocka_unit_test(resp__every_split_tells_the_same),
		cmocka_unit_test(resp__byte_by_byte_tells_the_same),
		cmocka_unit_test(resp__bytes_are_told_of_in_place),
		cmocka_unit_test(resp__refuses_what_is_none),
		cmocka_unit_test(resp__limits),
		cmocka_unit_test(resp__the_longest_line_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
