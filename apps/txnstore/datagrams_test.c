/* SPDX-License-Identifier: MIT */
/* Which numbers of a sender come for the first time; the rest is tried by tests/apps/txnstore_test.py. */
#include "datagrams.h"

#include "txnstore/core/testing.h"

static int setup(void **state)
{
	struct datagrams *datagrams = calloc(1, sizeof(*datagrams));

	if (!datagrams)
		return 1;
	datagrams->senders = calloc(DATAGRAM_SENDERS, sizeof(*datagrams->senders));
	*state = datagrams;
	return !datagrams->senders;
}

static int teardown(void **state)
{
	struct datagrams *datagrams = *state;

	free(datagrams->senders);
	free(datagrams);
	return 0;
}

static bool note(struct datagrams *datagrams, uint64_t id, uint64_t number)
{
	struct datagram_sender *sender;
	bool is_first = datagrams_note(datagrams, id, number, &sender);

	assert_int_equal(sender->id, id);
	return is_first;
}

static void datagrams_note__each_number_once(void **state)
{
	static const uint64_t numbers[] = {100, 99, 101, 163, 102, 164, 300, 237, 299};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		assert_true(note(*state, 7, numbers[i]));
		assert_false(note(*state, 7, numbers[i]));
	}
}

static void datagrams_note__too_late_is_lost(void **state)
{
	assert_true(note(*state, 7, 1000));
	assert_true(note(*state, 7, 1001 - DATAGRAM_WINDOW));
	assert_false(note(*state, 7, 1000 - DATAGRAM_WINDOW));
	assert_false(note(*state, 7, 0));
	assert_true(note(*state, 7, UINT64_MAX));
	assert_false(note(*state, 7, 1001));
}

static void datagrams_note__senders_have_numbers_of_their_own(void **state)
{
	for (uint64_t id = 1; id <= 100; id++)
		assert_true(note(*state, id, 5));
	for (uint64_t id = 1; id <= 100; id++)
		assert_false(note(*state, id, 5));
}

/* More senders than there is room for: those who speak stay, and the others are new again. */
static void datagrams_note__silent_senders_make_room(void **state)
{
	struct datagram_sender *speaker, *other;
	uint32_t generation;

	assert_true(datagrams_note(*state, 7, 1, &speaker));
	generation = speaker->generation;
	for (uint64_t id = 100; id < 100 + 4 * DATAGRAM_SENDERS; id++) {
		assert_true(datagrams_note(*state, id, 1, &other));
		assert_true(datagrams_note(*state, 7, id, &speaker));
	}
	assert_int_equal(speaker->generation, generation);
	assert_false(note(*state, 7, 100));
	assert_true(note(*state, 100, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams_note__each_number_once),
		TEST(datagrams_note__too_late_is_lost),
		TEST(datagrams_note__senders_have_numbers_of_their_own),
		TEST(datagrams_note__silent_senders_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
