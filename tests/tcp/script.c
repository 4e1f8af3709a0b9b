/* SPDX-License-Identifier: MIT */
/* The script's time: what is injected, what is expected, how it begins and ends. */
#include "script.h"

#define SLACK_NS (20 * US) /* of a timer's tick and of rounds */
#define QUIET_NS (1300 * SECOND)

struct script script;
const char SCRIPT_V4[] = "ipv4", SCRIPT_V6[] = "ipv6";

struct net_tcp_options script_tcp(void)
{
	struct net_tcp_options options = {0};

	tcp_defaults(&options);
	return options;
}

uint64_t script_now(void)
{
	return script.world.now_ns;
}

void script_touch(void)
{
	script.host->net->now_ns = script.world.now_ns;
	script.event_ns = script.world.now_ns;
}

uint32_t script_peer_time(void)
{
	return (uint32_t)((script.world.now_ns - script.begin_ns) / MS) + 5000;
}

struct tcp_counts script_counts(void)
{
	struct tcp_counts counts;

	tcp_get_counts(script.host->net, &counts);
	return counts;
}

/* ---- Begin and end ---- */

static void set_options(const struct script_options *options)
{
	script.options = *options;
	if (!script.options.peer_iss)
		script.options.peer_iss = PEER_ISS;
	if (!script.options.backlog)
		script.options.backlog = 8;
	if (!script.options.mtu)
		script.options.mtu = SIM_MTU_DEFAULT;
	if (!script.options.mss)
		script.options.mss = (uint16_t)(script.options.mtu - (script.is_v6 ? 60 : 40));
	if (!script.options.tcp.connections_max)
		script.options.tcp = script_tcp();
	script.peer_window = options->window ? options->window : PEER_WINDOW;
}

void script_begin(const void *version, const struct script_options *options)
{
	const struct sim_options calm = {.delay_ns = LINK_NS, .seed = options->seed};
	struct station_options host = {.number = 1};

	memset(&script, 0, sizeof(script));
	script.is_v6 = version == SCRIPT_V6;
	script.host_ip = script.is_v6 ? V6(1) : V4(10, 0, 0, 1);
	script.peer_ip = script.is_v6 ? V6(2) : V4(10, 0, 0, 2);
	set_options(options);
	world_begin(&script.world, &calm);
	host.device.mtu = script.options.mtu;
	host.tcp = script.options.tcp;
	script.host = station_add(&script.world, &host);
	script.peer = station_add_mute(&script.world, &host.device);
	script.peer->heard = script_hear;
	world_settle(&script.world);
	script.begin_ns = script.event_ns = script.world.now_ns;
}

static void assert_nothing_left(void)
{
	const struct tcp_counts counts = script_counts();

	assert_int_equal(counts.sockets, 0);
	assert_int_equal(counts.connections, 0);
	assert_int_equal(counts.half_open, 0);
	assert_int_equal(counts.time_waits, 0);
	assert_int_equal(counts.pieces, 0);
	assert_int_equal(counts.segments, 0);
	assert_int_equal(counts.queued_bytes, 0);
}

void script_end_quietly(void)
{
	script.is_over = true;
	script_touch();
	script_app_free();
	world_run(&script.world, script.world.now_ns + QUIET_NS);
	assert_nothing_left();
	world_end(&script.world);
}

void script_end(void)
{
	/* What is under way comes in. */
	advance(2 * LINK_NS);
	if (script.heard_next < script.heard_count)
		script_fail(__FILE__, __LINE__, "the test asked for no more than was seen",
			    &script.heard[script.heard_next]);
	script_end_quietly();
}

/* ---- Time ---- */

void advance(uint64_t ns)
{
	world_run(&script.world, script.world.now_ns + ns);
}

/* Up to the next segment that is heard, or until then; false: there is none. */
static bool run_to_segment(uint64_t until_ns)
{
	script.halts = true;
	while (script.heard_next == script.heard_count && script.world.now_ns < until_ns)
		world_run(&script.world, until_ns);
	script.halts = false;
	return script.heard_next < script.heard_count;
}

const struct segment *script_next(uint64_t ns)
{
	if (!run_to_segment(script.world.now_ns + ns))
		return NULL;
	script.event_ns = script.heard[script.heard_next].at_ns;
	return &script.heard[script.heard_next++];
}

uint32_t script_skip(void)
{
	uint32_t count;

	advance(2 * LINK_NS);
	count = script.heard_count - script.heard_next;
	script.heard_next = script.heard_count = 0;
	return count;
}

/* ---- Expectations ---- */

void script_fail(const char *file, int line, const char *what, const struct segment *pattern)
{
	uint64_t first = script.line_count > SCRIPT_LINES_MAX ? script.line_count - SCRIPT_LINES_MAX
							      : 0;
	char wanted[192];

	for (uint64_t i = first; i < script.line_count; i++)
		print_error("%s\n", script.lines[i % SCRIPT_LINES_MAX]);
	print_error("at %.6f: %s\n", (double)(script.world.now_ns - script.begin_ns) / 1e9, what);
	if (pattern) {
		script_print(wanted, sizeof(wanted), '?', script.world.now_ns, pattern);
		print_error("%s\n", wanted);
	}
	_fail(file, line);
	abort();
}

static bool flags_match(const struct segment *heard, const struct segment *pattern)
{
	/* Where a push ends is not for the test to say. */
	return ((heard->flags ^ pattern->flags) & ~(unsigned int)PSH) == 0;
}

static bool options_match(const struct segment *heard, const struct segment *pattern)
{
	if (pattern->mss && heard->mss != pattern->mss)
		return false;
	if (pattern->has_timestamp && !heard->has_timestamp)
		return false;
	if (pattern->sack_permitted && !heard->sack_permitted)
		return false;
	if (pattern->scaling && !heard->scaling)
		return false;
	if (!pattern->sack_count)
		return true;
	if (heard->sack_count < pattern->sack_count)
		return false;
	return !memcmp(heard->sack, pattern->sack, pattern->sack_count * sizeof(heard->sack[0]));
}

static bool matches(const struct segment *heard, const struct segment *pattern)
{
	uint16_t peer_port = pattern->peer_port ? pattern->peer_port : PEER_PORT;

	return ((pattern->ignore & ANY_FLAGS) || flags_match(heard, pattern)) &&
	       ((pattern->ignore & ANY_SEQ) || heard->seq == pattern->seq) &&
	       ((pattern->ignore & ANY_ACK) || heard->ack == pattern->ack) &&
	       ((pattern->ignore & ANY_LENGTH) || heard->length == pattern->length) &&
	       ((pattern->ignore & ANY_PORT) || heard->peer_port == peer_port) &&
	       options_match(heard, pattern);
}

const struct segment *script_expect(const char *file, int line, uint64_t from_ns, uint64_t to_ns,
				    const struct segment *pattern)
{
	const struct segment *heard;
	uint64_t event_ns = script.event_ns;

	if (!run_to_segment(event_ns + to_ns + LINK_NS + SLACK_NS))
		script_fail(file, line, "expected, and not sent:", pattern);
	heard = &script.heard[script.heard_next];
	if (!matches(heard, pattern))
		script_fail(file, line, "another one was expected:", pattern);
	if (heard->at_ns + SLACK_NS < event_ns + from_ns)
		script_fail(file, line, "sent too early, expected later:", pattern);
	if (heard->at_ns > event_ns + to_ns + SLACK_NS)
		script_fail(file, line, "sent too late, expected before:", pattern);
	script.event_ns = heard->at_ns;
	script.heard_next++;
	return heard;
}

void script_expect_nothing(const char *file, int line, uint64_t ns)
{
	if (run_to_segment(script.world.now_ns + ns))
		script_fail(file, line, "nothing was expected, and this was sent:",
			    &script.heard[script.heard_next]);
}
