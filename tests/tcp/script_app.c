/* SPDX-License-Identifier: MIT */
/* The script's application: a listener and one connection, and the ways into each state. */
#include "script.h"

/* ---- What it is told ---- */

static void acceptable(void *owner)
{
	((struct app *)owner)->acceptable++;
}

static void connected(void *owner, int error)
{
	struct app *app = owner;

	app->connects++;
	app->connect_error = error;
}

/* The bytes are the stream's; the application frees them. */
static uint32_t consume(struct app *app, struct buf *chain)
{
	uint32_t length = 0;

	for (const struct buf *buf = chain; buf; buf = buf->next) {
		assert_true(buf->length > 0);
		for (uint32_t i = 0; i < buf->length; i++)
			assert_int_equal(buf->data[i], script_byte(app->received + length + i));
		length += buf->length;
	}
	app->received += length;
	assert_int_equal(buf_free(script.host->heap, chain), 0);
	return length;
}

static bool received(void *owner, struct buf *buf)
{
	struct app *app = owner;

	assert_int_equal(app->ends, 0);
	if (app->refuses)
		return false;
	consume(app, buf);
	if (app->answers_bytes)
		app_push(app->answers_bytes);
	return true;
}

static void ended(void *owner, int error)
{
	struct app *app = owner;

	app->ends++;
	app->end_error = error;
	assert_int_equal(app->ends, 1);
}

static void pushed(void *owner, void *push, int error)
{
	struct app *app = owner;

	assert_true(app->told_count < SCRIPT_TOLD_MAX);
	app->told[app->told_count++] = (struct script_told){.push = (uintptr_t)push,
							    .error = error};
	/* In their order, each once. */
	assert_int_equal((uintptr_t)push, app->told_count);
}

static void closed(void *owner, int error)
{
	struct app *app = owner;

	app->closes++;
	app->close_error = error;
	assert_int_equal(app->closes, 1);
}

static const struct tcp_events events = {
	.acceptable = acceptable,
	.connected = connected,
	.received = received,
	.ended = ended,
	.pushed = pushed,
	.closed = closed,
};

/* ---- What it does ---- */

static void open_app(struct app *app)
{
	struct tcp_settings *settings;

	assert_int_equal(tcp_open(&app->conn, script.host->net, &events, app, script.is_v6), 0);
	settings = tcp_settings(app->conn);
	if (script.options.no_delay_off)
		settings->no_delay = false;
	settings->reuse_address = script.options.reuse_address;
	settings->receive_bytes = script.options.receive_bytes;
	tcp_settings_changed(app->conn);
	app->refuses = script.options.refuses;
}

void app_listen(void)
{
	script_touch();
	open_app(&script.listener);
	assert_int_equal(tcp_bind(script.listener.conn, &script.host_ip, HOST_PORT), 0);
	assert_int_equal(tcp_listen(script.listener.conn, script.options.backlog), 0);
}

void app_accept(void)
{
	script_touch();
	assert_true(script.listener.acceptable > 0);
	assert_null(script.app.conn);
	memset(&script.app, 0, sizeof(script.app));
	script.app.refuses = script.options.refuses;
	script.app.conn = tcp_accept(script.listener.conn, &script.app);
	assert_non_null(script.app.conn);
	if (!script.app.refuses)
		app_take();
	advance(US);
}

void app_open(void)
{
	script_touch();
	memset(&script.app, 0, sizeof(script.app));
	open_app(&script.app);
}

void app_connect(void)
{
	app_open();
	assert_int_equal(tcp_connect(script.app.conn, &script.peer_ip, PEER_PORT), 0);
}

int app_try_push(uint32_t length)
{
	struct app *app = &script.app;
	unsigned char *data = heap_alloc_io(script.host->heap, length);
	const demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{data, length}}};
	int error;

	assert_non_null(data);
	for (uint32_t i = 0; i < length; i++)
		data[i] = script_byte(app->pushed + i);
	script_touch();
	error = tcp_push(app->conn, &sga, (void *)(app->pushes + 1));
	if (!error) {
		app->pushes++;
		app->pushed += length;
	}
	/* The stack holds what it needs. */
	assert_int_equal(heap_free(script.host->heap, data), 0);
	return error;
}

void app_push(uint32_t length)
{
	assert_int_equal(app_try_push(length), 0);
}

uint32_t app_take(void)
{
	struct buf *chain;
	uint32_t length = 0;

	script_touch();
	while ((chain = tcp_take(script.app.conn)))
		length += consume(&script.app, chain);
	return length;
}

uint32_t app_pushed(void)
{
	for (uint32_t i = 0; i < script.app.told_count; i++)
		assert_int_equal(script.app.told[i].error, 0);
	return script.app.told_count;
}

void app_shutdown(int how)
{
	script_touch();
	assert_int_equal(tcp_shutdown(script.app.conn, how), 0);
}

void app_close(void)
{
	struct tcp_conn *conn = script.app.conn;

	script_touch();
	script.app.conn = NULL;
	tcp_close(conn, true);
}

void app_drop(void)
{
	struct tcp_conn *conn = script.app.conn;

	script_touch();
	script.app.conn = NULL;
	tcp_close(conn, false);
}

void app_linger_zero(void)
{
	struct tcp_settings *settings = tcp_settings(script.app.conn);

	settings->lingers = true;
	settings->linger_s = 0;
	tcp_settings_changed(script.app.conn);
}

void script_app_free(void)
{
	if (script.app.conn) {
		app_linger_zero();
		tcp_close(script.app.conn, false);
		script.app.conn = NULL;
	}
	if (script.listener.conn)
		tcp_close(script.listener.conn, false);
	script.listener.conn = NULL;
}

enum tcp_state app_state(void)
{
	return tcp_state_of(script.app.conn);
}

struct tcp_stats app_stats(void)
{
	struct tcp_stats stats;

	tcp_get_stats(script.app.conn, &stats);
	return stats;
}

struct tcp_settings *app_settings(void)
{
	return tcp_settings(script.app.conn);
}

/* ---- Openings ---- */

struct segment script_syn(uint8_t flags, uint32_t ack)
{
	const struct script_options *options = &script.options;

	return (struct segment){
		.flags = (uint8_t)(flags | (!options->ecn   ? 0
					    : (flags & ACK) ? ECE
							    : ECE | CWR)),
		.ack = ack,
		.mss = options->no_mss ? 0 : options->mss,
		.scaling = options->scaling,
		.shift = options->shift,
		.sack_permitted = options->sack,
		.has_timestamp = options->timestamps,
	};
}

void open_passive(void)
{
	struct segment syn = script_syn(SYN, 0);

	if (!script.listener.conn)
		app_listen();
	script_inject(&syn);
	expect(.flags = (uint8_t)(SYN | ACK | (script.options.ecn ? ECE : 0)), .seq = 0, .ack = 1);
	if (script.options.rtt_ns)
		advance(script.options.rtt_ns);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	check(app_state() == TCP_STATE_ESTABLISHED);
}

void open_active(void)
{
	struct segment syn = script_syn(SYN | ACK, 1);

	app_connect();
	expect(.flags = (uint8_t)(SYN | (script.options.tcp.ecn ? ECE | CWR : 0)));
	if (script.options.rtt_ns)
		advance(script.options.rtt_ns);
	script_inject(&syn);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(script.app.connects == 1);
	check(script.app.connect_error == 0);
	check(app_state() == TCP_STATE_ESTABLISHED);
}

/* ---- States ---- */

void reach_syn_received(void)
{
	struct segment syn = script_syn(SYN, 0);

	app_listen();
	script_inject(&syn);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
}

void reach_fin_wait_1(void)
{
	open_passive();
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_FIN_WAIT_1);
}

void reach_fin_wait_2(void)
{
	reach_fin_wait_1();
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
}

void reach_close_wait(void)
{
	open_passive();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	check(script.app.ends == 1);
	check(script.app.end_error == 0);
}

void reach_closing(void)
{
	reach_fin_wait_1();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_CLOSING);
}

void reach_last_ack(void)
{
	reach_close_wait();
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_LAST_ACK);
}

void reach_time_wait(void)
{
	reach_fin_wait_2();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
	check(app_state() == TCP_STATE_TIME_WAIT);
}

void pass_data(uint32_t count, uint64_t rtt_ns)
{
	uint32_t seq = script_flow(0, 0)->host_sent;
	uint32_t ack = script_flow(0, 0)->peer_sent;

	for (uint32_t i = 0; i < count; i++) {
		app_push(100);
		expect(.flags = ACK, .seq = seq, .ack = ack, .length = 100);
		if (rtt_ns > LINK_NS)
			advance(rtt_ns - LINK_NS);
		seq += 100;
		inject(.flags = ACK, .seq = ack, .ack = seq);
	}
}

uint32_t script_mss(void)
{
	const struct script_options *options = &script.options;
	uint32_t mss = options->no_mss ? (script.is_v6 ? 1220 : 536) : options->mss;

	return mss - (script_flow(0, 0)->peer_timestamps ? TCP_TIMESTAMP_BYTES : 0);
}

uint32_t push_segments(uint32_t count)
{
	uint32_t mss = script_mss();
	uint32_t first = script_flow(0, 0)->host_sent;

	app_push(count * mss);
	for (uint32_t i = 0; i < count; i++)
		expect(.flags = ACK, .seq = first + i * mss, .ack = script_flow(0, 0)->peer_sent,
		       .length = mss);
	return first;
}

void expect_refusal(void)
{
	const struct segment *segment;

	while ((segment = script_next(1500 * MS)))
		check(segment->flags & RST);
	check(script_counts().connections == 0);
	check(script.listener.acceptable == 0);
}
