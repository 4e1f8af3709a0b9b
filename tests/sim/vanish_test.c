/* SPDX-License-Identifier: MIT */
/*
 * Peers and paths that go: after each frame of a conversation nothing more comes through, one way or
 * both; a peer that was restarted and knows nothing any more; paths that carry no long packets, and
 * say so or do not. Every end comes to an end within its limits, and nothing is left.
 */
#include "stream.h"

#include <stdio.h>

#include "wire/bytes.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

#define PORT 80u
#define CONNECT_S 20u
#define RETRIES_S 30u
#define ORPHAN_S 10u
#define KEEP_S 5u
#define KEEP_PROBES 3u
/* Until the last of them has learned of it, and a while. */
#define LIMIT_NS ((CONNECT_S + RETRIES_S + 64) * SECOND)

static struct world world;
static struct station *server_station, *client_station;
static struct stream_listener listener;
static struct stream server, client;
static uint64_t frames, frames_max; /* seen, and that may pass before it is cut */
static unsigned int cut;            /* bit: what this station sends is, then */
static char progress[100];

static struct station_options station_with(unsigned int number)
{
	struct station_options options = {.number = number};

	tcp_defaults(&options.tcp);
	options.tcp.connect_timeout_ms = CONNECT_S * 1000;
	options.tcp.retries_timeout_ms = RETRIES_S * 1000;
	options.tcp.orphan_timeout_ms = ORPHAN_S * 1000;
	options.tcp.time_wait_ms = 1000;
	options.tcp.rto_max_ms = 4000;
	return options;
}

static void begin(const struct station_options *first, const struct station_options *second)
{
	world_begin(&world, &(struct sim_options){.seed = 1, .delay_ns = MS});
	server_station = station_add(&world, first);
	client_station = station_add(&world, second);
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	server.seed = client.peer_seed = 1;
	stream_listen(&listener, server_station, PORT, 8);
	world_settle(&world);
}

static void end(void)
{
	if (listener.conn)
		stream_unlisten(&listener);
	world_run(&world, world.now_ns + 1300 * SECOND);
	stream_assert_nothing_left(server_station);
	stream_assert_nothing_left(client_station);
	world_end(&world);
	progress[0] = '\0';
}

static int tell_progress(void **state)
{
	(void)state;
	if (!progress[0])
		return 0;
	print_error("failed at %lu us, %s; CAPTURE=FILE.pcapng captures it\n", world.now_ns / 1000,
		    progress);
	stream_report("client", 0, &client);
	stream_report("server", 0, &server);
	return 0;
}

static void keep_alive(struct stream *stream)
{
	struct tcp_settings *settings = tcp_settings(stream->conn);

	settings->keep_alive = true;
	settings->keep_idle_s = KEEP_S;
	settings->keep_interval_s = KEEP_S;
	settings->keep_probes = KEEP_PROBES;
	tcp_settings_changed(stream->conn);
}

static void connect_client(struct ip_address peer, const struct stream_plan *plan)
{
	stream_open(&client, client_station);
	client.plan = *plan;
	keep_alive(&client);
	assert_int_equal(stream_connect(&client, peer, PORT), 0);
}

static void accept_server(const struct stream_plan *plan)
{
	if (server.conn || server.is_closed || !tcp_acceptable(listener.conn))
		return;
	assert_true(stream_accept(&server, &listener));
	server.plan = *plan;
	keep_alive(&server);
}

/* ---- After each frame ---- */

static bool pass_some(struct world *in, unsigned int from, const struct sim_frame *frame)
{
	(void)in;
	(void)frame;
	return frames++ < frames_max || !(cut & 1u << from);
}

static bool is_over(const struct stream *stream)
{
	return stream->was_closed || stream->connect_error || stream->end_error || !stream->station;
}

/* What the application does about it: nothing is to be had any more. */
static void give_up(struct stream *stream)
{
	if (stream->conn && !stream->is_closed &&
	    (stream->connect_error || stream->end_error || stream->push_error))
		stream_close(stream);
}

static void converse(const struct stream_plan *server_plan)
{
	uint64_t until_ns = world.now_ns + LIMIT_NS;

	while ((!is_over(&client) || !is_over(&server)) && world.now_ns < until_ns) {
		accept_server(server_plan);
		stream_turn(&client);
		stream_turn(&server);
		give_up(&client);
		give_up(&server);
		world_run(&world, world.now_ns + 10 * MS);
	}
	assert_true(is_over(&client) && is_over(&server));
	give_up(&client);
	give_up(&server);
}

/* Either all was well, or it is said what was not. */
static void check(const struct stream *stream, const struct stream *other)
{
	static const int errors[] = {0, ETIMEDOUT, EHOSTUNREACH, ECONNRESET};
	const int told[] = {stream->connect_error, stream->end_error, stream->close_error,
			    stream->push_error};
	bool is_named = true;

	assert_int_equal(stream->wrong, 0);
	for (unsigned int i = 0; i < COUNT_OF(told); i++) {
		bool is_known = false;

		for (unsigned int j = 0; j < COUNT_OF(errors); j++)
			is_known |= told[i] == errors[j];
		is_named &= is_known;
	}
	assert_true(is_named);
	/* A reset is only had from a peer that was there to send it. */
	assert_true(cut != 3 || (stream->end_error != ECONNRESET && !stream->connect_error) ||
		    stream->connect_error != ECONNRESET);
	if (!stream->connect_error && !stream->end_error && !stream->close_error &&
	    !stream->push_error && stream->station) {
		assert_int_equal(stream->acknowledged, stream->plan.bytes);
		assert_int_equal(stream->received, other->plan.bytes);
	}
}

/* Return: whether it was over before anything was cut. */
static bool cut_after(uint64_t count, unsigned int who, const struct stream_plan *client_plan,
		      const struct stream_plan *server_plan)
{
	struct station_options first = station_with(2), second = station_with(1);

	snprintf(progress, sizeof(progress), "%u cut after %lu frames", who, count);
	begin(&first, &second);
	frames = 0;
	frames_max = count;
	cut = who;
	world.passes = pass_some;
	connect_client(V4(10, 0, 0, 2), client_plan);
	converse(server_plan);
	check(&client, &server);
	check(&server, &client);
	/* What waits to be accepted goes with the listener. */
	end();
	return frames_max >= frames;
}

static void cut_everywhere(const struct stream_plan *client_plan,
			   const struct stream_plan *server_plan)
{
	for (unsigned int who = 1; who <= 3; who++) {
		uint64_t count = 0;

		while (!cut_after(count, who, client_plan, server_plan))
			count++;
		/* It did go through all of it. */
		assert_true(count > 15);
		print_message("cut %u: a conversation of %lu frames\n", who, count);
	}
}

static void sim__who_vanishes_at_any_frame_is_noticed(void **state)
{
	const struct stream_plan talks = {.bytes = 8000, .push_bytes_max = 3000, .pushes_max = 2};
	const struct stream_plan listens = {
		.bytes = 100, .push_bytes_max = 100, .pushes_max = 1, .waits_for_end = true};

	(void)state;
	cut_everywhere(&talks, &talks);
	cut_everywhere(&talks, &listens);
	cut_everywhere(&listens, &talks);
}

/* ---- A socket that connects again ---- */

static bool pass_arp(struct world *in, unsigned int from, const struct sim_frame *frame)
{
	(void)in;
	(void)from;
	return load_be16(frame->data + 12) == ETH_TYPE_ARP;
}

static void sim__a_connect_after_one_that_failed_begins_anew(void **state)
{
	struct station_options first = station_with(2), second = station_with(1);
	const struct stream_plan plan = {.bytes = 1000, .push_bytes_max = 1000, .pushes_max = 1};
	uint64_t begin_ns;

	(void)state;
	snprintf(progress, sizeof(progress), "connecting again");
	begin(&first, &second);
	world.passes = pass_arp;
	connect_client(V4(10, 0, 0, 2), &plan);
	world_run(&world, world.now_ns + (CONNECT_S + 10) * SECOND);
	assert_int_equal(client.connect_error, ETIMEDOUT);
	/* Even the first SYN is lost: the second one comes after a second, as of any other. */
	client.connect_error = 0;
	begin_ns = world.now_ns;
	assert_int_equal(stream_connect(&client, V4(10, 0, 0, 2), PORT), 0);
	world_run(&world, world.now_ns + 500 * MS);
	world.passes = NULL;
	while (!client.is_connected && !client.connect_error)
		world_run(&world, world.now_ns + 10 * MS);
	assert_int_equal(client.connect_error, 0);
	assert_true(world.now_ns - begin_ns < 1500 * MS);
	converse(&plan);
	check(&client, &server);
	check(&server, &client);
	end();
}

/* ---- Half-open: RFC 9293, 3.5.1 ---- */

/* The peer is back and knows nothing. */
static void restart_client(void)
{
	struct station_options second = station_with(1);
	struct eth_address mac = client_station->device->caps.mac;

	/* Of what it says when it goes nothing arrives. */
	world.cut_off = 1u << sim_device_number(client_station->device);
	stream_drop(&client);
	world_run(&world, world.now_ns + 100 * MS);
	station_remove(client_station);
	world.cut_off = 0;
	second.device.mac = mac;
	client_station = station_add(&world, &second);
	world_settle(&world);
}

static void establish(const struct stream_plan *plan)
{
	connect_client(V4(10, 0, 0, 2), plan);
	while (!server.conn) {
		world_run(&world, world.now_ns + 10 * MS);
		accept_server(plan);
	}
	stream_turn(&client);
	stream_turn(&server);
	world_run(&world, world.now_ns + 10 * MS);
}

static void sim__a_restarted_peer_resets_what_it_does_not_know(void **state)
{
	struct station_options first = station_with(2), second = station_with(1);
	const struct stream_plan plan = {.bytes = 10000, .push_bytes_max = 1000, .pushes_max = 1};
	uint64_t until_ns;

	(void)state;
	snprintf(progress, sizeof(progress), "restarting");
	begin(&first, &second);
	establish(&plan);
	restart_client();
	until_ns = world.now_ns + 10 * SECOND;
	while (!server.end_error && world.now_ns < until_ns) {
		stream_turn(&server);
		world_run(&world, world.now_ns + 10 * MS);
	}
	assert_int_equal(server.end_error, ECONNRESET);
	stream_drop(&server);
	end();
}

/* A SYN from the port of a connection that is still there: the challenge's answer ends that. */
static void sim__a_restarted_peer_connects_from_the_same_port(void **state)
{
	struct station_options first = station_with(2), second = station_with(1);
	const struct stream_plan plan = {
		.bytes = 1000, .push_bytes_max = 1000, .pushes_max = 1, .waits_for_end = true};
	struct ip_address ip, any = ip_address_v6_halves(0, 0);
	uint16_t port;

	(void)state;
	snprintf(progress, sizeof(progress), "connecting from the same port");
	begin(&first, &second);
	establish(&plan);
	world_run(&world, world.now_ns + SECOND);
	assert_true(tcp_local(client.conn, &ip, &port));
	restart_client();
	memset(&client, 0, sizeof(client));
	client.peer_seed = 1;
	client.seed = 7;
	stream_open(&client, client_station);
	client.plan = plan;
	client.plan.waits_for_end = false;
	assert_int_equal(tcp_bind(client.conn, &any, port), 0);
	assert_int_equal(stream_connect(&client, V4(10, 0, 0, 2), PORT), 0);
	world_run(&world, world.now_ns + 4 * SECOND);
	assert_int_equal(server.end_error, ECONNRESET);
	stream_drop(&server);
	memset(&server, 0, sizeof(server));
	server.seed = 1;
	server.peer_seed = 7;
	assert_true(client.is_connected);
	converse(&plan);
	check(&client, &server);
	check(&server, &client);
	assert_int_equal(client.received, 1000);
	end();
}

/* ---- Paths that carry less than the link: RFC 1191, RFC 8201, RFC 4821 ---- */

static struct {
	uint32_t bytes; /* of a packet that it carries */
	bool is_v6, says_so;
	uint64_t dropped;
	/* Of the last one. */
	unsigned int from;
	uint8_t packet[ICMP_QUOTED_BYTES_MAX];
	uint32_t quoted_bytes;
	bool is_pending;
} path;

static bool pass_short(struct world *in, unsigned int from, const struct sim_frame *frame)
{
	uint32_t bytes = frame->length - ETH_HEADER_BYTES;

	(void)in;
	/* What may be fragmented is. */
	if (bytes <= path.bytes || (!path.is_v6 && !(frame->data[ETH_HEADER_BYTES + 6] & 0x40)))
		return true;
	path.dropped++;
	path.from = from;
	path.quoted_bytes = bytes < sizeof(path.packet) ? bytes : sizeof(path.packet);
	memcpy(path.packet, frame->data + ETH_HEADER_BYTES, path.quoted_bytes);
	path.is_pending = path.says_so;
	return false;
}

/* As the router in front of it. */
static void say_too_big(struct station *router)
{
	struct station *to = path.from == sim_device_number(server_station->device)
				     ? server_station
				     : client_station;
	uint8_t frame[1500], *ip = frame + ETH_HEADER_BYTES;
	const struct eth_header eth = {
		.destination = to->device->caps.mac,
		.source = router->device->caps.mac,
		.type = path.is_v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4,
	};
	unsigned int number = to == server_station ? 2 : 1;
	int length;

	if (!path.is_pending)
		return;
	path.is_pending = false;
	eth_emit(frame, ETH_HEADER_BYTES, &eth);
	if (path.is_v6) {
		const struct icmp6_message message = {.type = ICMP6_TYPE_TOO_BIG,
						      .mtu = path.bytes};
		struct ipv6_header header = {
			.source = V6(254),
			.destination = V6(number),
			.next_header = IPPROTO_ICMPV6,
			.hop_limit = 64,
		};

		length = icmp6_emit(ip + IPV6_HEADER_BYTES, 1400, &header.source,
				    &header.destination, &message, path.packet, path.quoted_bytes);
		header.payload_bytes = (uint16_t)length;
		length += ipv6_emit(ip, IPV6_HEADER_BYTES, &header);
	} else {
		const struct icmp_message message = {
			.type = ICMP_TYPE_UNREACHABLE,
			.code = ICMP_UNREACHABLE_TOO_BIG,
			.next_hop_mtu = (uint16_t)path.bytes,
		};
		struct ipv4_header header = {
			.source = V4(10, 0, 0, 254),
			.destination = V4(10, 0, 0, number),
			.protocol = IPPROTO_ICMP,
			.ttl = 64,
		};

		length = icmp_emit(ip + IPV4_HEADER_BYTES, 1400, &message, path.packet,
				   path.quoted_bytes);
		header.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + length);
		length += ipv4_emit(ip, IPV4_HEADER_BYTES, &header);
	}
	station_send(router, frame, ETH_HEADER_BYTES + (uint32_t)length);
}

/* Return: how long the conversation took. */
static uint64_t talk_over_path(uint32_t bytes, uint32_t bytes_later, bool is_v6, bool says_so)
{
	struct station_options first = station_with(2), second = station_with(1);
	const struct stream_plan plan = {.bytes = 300000, .push_bytes_max = 20000, .pushes_max = 4};
	struct station *router;
	uint64_t begin_ns;

	snprintf(progress, sizeof(progress), "a path of %u and then %u bytes, IPv%u, %s", bytes,
		 bytes_later, is_v6 ? 6 : 4, says_so ? "that says so" : "a black hole");
	memset(&path, 0, sizeof(path));
	path.bytes = bytes;
	path.is_v6 = is_v6;
	path.says_so = says_so;
	first.tcp.retries_timeout_ms = second.tcp.retries_timeout_ms = 60000;
	begin(&first, &second);
	router = station_add_mute(&world, &(struct sim_device_options){0});
	world.passes = pass_short;
	begin_ns = world.now_ns;
	connect_client(is_v6 ? V6(2) : V4(10, 0, 0, 2), &plan);
	while ((!is_over(&client) || !is_over(&server)) && world.now_ns < begin_ns + 120 * SECOND) {
		accept_server(&plan);
		stream_turn(&client);
		stream_turn(&server);
		world_run(&world, world.now_ns + MS);
		say_too_big(router);
		if (client.received > 100000)
			path.bytes = bytes_later;
	}
	begin_ns = world.now_ns - begin_ns;
	check(&client, &server);
	check(&server, &client);
	assert_int_equal(client.received, plan.bytes);
	assert_int_equal(server.received, plan.bytes);
	assert_true(path.dropped > 0);
	world.passes = NULL;
	end();
	return begin_ns;
}

static void sim__a_path_that_says_what_it_carries_costs_little(void **state)
{
	static const uint32_t sizes[] = {1499, 1400, 1280, 1006, 576, 300};

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(sizes); i++) {
		assert_true(talk_over_path(sizes[i], sizes[i], false, true) < 10 * SECOND);
		if (sizes[i] >= 1280)
			assert_true(talk_over_path(sizes[i], sizes[i], true, true) < 10 * SECOND);
	}
	/* And one that gets narrower. */
	assert_true(talk_over_path(1500, 1280, true, true) < 10 * SECOND);
	assert_true(talk_over_path(1500, 700, false, true) < 10 * SECOND);
	assert_true(talk_over_path(1300, 576, false, true) < 10 * SECOND);
}

static void sim__a_black_hole_is_found_out(void **state)
{
	static const uint32_t sizes[] = {1499, 1280, 1100, 600};

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(sizes); i++) {
		assert_true(talk_over_path(sizes[i], sizes[i], false, false) < 60 * SECOND);
		if (sizes[i] >= 1280)
			assert_true(talk_over_path(sizes[i], sizes[i], true, false) < 60 * SECOND);
	}
	assert_true(talk_over_path(1500, 1280, true, false) < 60 * SECOND);
	assert_true(talk_over_path(1500, 600, false, false) < 60 * SECOND);
}

/* ---- The own device ---- */

static void sim__a_device_that_fails_ends_all_sockets(void **state)
{
	const struct station_options first = station_with(1), second = station_with(2);
	const struct stream_plan plan = {
		.bytes = 1 << 20, .push_bytes_max = 10000, .pushes_max = 8};
	struct stream connecting = {0}, later = {0};
	struct endpoint endpoint;

	(void)state;
	begin(&first, &second);
	endpoint_open(&endpoint, client_station, 7);
	connect_client(V4(10, 0, 0, 1), &plan);
	world_run(&world, world.now_ns + 10 * MS);
	stream_turn(&client);
	assert_true(client.pushes > 0);
	stream_open(&connecting, client_station);
	assert_int_equal(stream_connect(&connecting, V4(10, 0, 0, 77), PORT), 0);

	net_fail(client_station->net, -ENETDOWN);
	assert_int_equal(client.end_error, ENETDOWN);
	assert_int_equal(client.push_error, ENETDOWN);
	assert_int_equal(client.pushes, 0);
	assert_int_equal(connecting.connect_error, ENETDOWN);
	assert_int_equal(endpoint.error, ENETDOWN);
	/* And what is tried from then on. */
	assert_int_equal(endpoint_send(&endpoint, V4(10, 0, 0, 1), 7, 0, 100), -ENETDOWN);
	stream_open(&later, client_station);
	assert_int_equal(stream_connect(&later, V4(10, 0, 0, 1), PORT), -ENETDOWN);

	stream_drop(&client);
	stream_drop(&connecting);
	stream_drop(&later);
	endpoint_close(&endpoint);
	/* The peer finds out by itself. */
	accept_server(&plan);
	stream_drop(&server);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sim__who_vanishes_at_any_frame_is_noticed, tell_progress),
		cmocka_unit_test_teardown(sim__a_connect_after_one_that_failed_begins_anew,
					  tell_progress),
		cmocka_unit_test_teardown(sim__a_restarted_peer_resets_what_it_does_not_know,
					  tell_progress),
		cmocka_unit_test_teardown(sim__a_restarted_peer_connects_from_the_same_port,
					  tell_progress),
		cmocka_unit_test_teardown(sim__a_path_that_says_what_it_carries_costs_little,
					  tell_progress),
		cmocka_unit_test_teardown(sim__a_black_hole_is_found_out, tell_progress),
		cmocka_unit_test_teardown(sim__a_device_that_fails_ends_all_sockets, tell_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
