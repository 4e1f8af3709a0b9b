/* SPDX-License-Identifier: MIT */
/* Bugs that were found once, each by what users saw of it. */
#include "catnap.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* So many pops pending that the sockets are asked about with epoll(7). */
#define MANY 140
#define FILES_NEEDED (2 * MANY + 100)

#define AT_ONCE_MS 5000 /* generously; less than wait_long and LINGER_S */

static void connections_pop(struct connection *connections, size_t count)
{
	for (size_t i = 0; i < count; i++)
		connections[i].pop = pop(connections[i].qd);
	/* Let what has to change over do so. */
	for (int i = 0; i < 20; i++)
		poll_once();
}

static void connections_cancel(const struct connection *connections, size_t count)
{
	/* All before a wait lets the runtime look. */
	for (size_t i = 0; i < count; i++)
		check_call(demi_cancel(connections[i].pop), 0);
	for (size_t i = 0; i < count; i++)
		await_error(connections[i].pop, ECANCELED);
}

static void restart_sleeping(void)
{
	options_restore();
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	catnap_restart();
}

static int64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- Files ---- */

static int file_open(const char *name)
{
	char path[128];
	int qd = -1;

	snprintf(path, sizeof(path), "%s/%s", directory(), name);
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	return qd;
}

#define PUSHES 20

/* A file that is being closed with pushes pending, of which @under_way: some have been started. */
static demi_qtoken_t file_closing(demi_qtoken_t *pushes, bool under_way)
{
	int qd = file_open("closing");
	demi_qtoken_t closing;

	for (size_t i = 0; i < PUSHES; i++) {
		pushes[i] = push_split(qd, 1000 + i, 1, 0, 3);
		if (under_way && i == PUSHES / 2)
			poll_once();
	}
	check_call(demi_aclose(&closing, qd), 0);
	return closing;
}

static void check_file_close_cancelled(bool under_way)
{
	demi_qtoken_t pushes[PUSHES], closing = file_closing(pushes, under_way);

	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	for (size_t i = 0; i < PUSHES; i++) {
		demi_qresult_t qr = await(pushes[i]);

		if (qr.qr_opcode == DEMI_OPC_FAILED)
			check_call((int)qr.qr_ret, ECANCELED);
		else
			assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	}
	/* What was under way has ended, and other files are not hurt. */
	check_call(demi_close(file_open("other")), 0);
	for (int i = 0; i < 5; i++)
		poll_once();
}

static void aclose__of_a_file_is_cancelled_with_pushes_pending(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		check_file_close_cancelled(false);
		check_file_close_cancelled(true);
	}
}

static void aclose__of_a_file_with_pushes_pending_when_the_runtime_ends(void **state)
{
	demi_qtoken_t pushes[PUSHES], closing;

	(void)state;
	for (int i = 0; i < 20; i++) {
		file_closing(pushes, false);
		catnap_restart();
		file_closing(pushes, true);
		catnap_restart();
		closing = file_closing(pushes, true);
		check_call(demi_cancel(closing), 0);
		catnap_restart();
	}
}

#define FILES_LIMIT 256

/* With @spare descriptors left; returns the outcome of demi_open. */
static int open_with_few_left(int *qd_out, size_t spare)
{
	static int fds[FILES_LIMIT];
	struct rlimit before, limit;
	size_t count = 0;
	char path[128];
	int error;

	snprintf(path, sizeof(path), "%s/few", directory());
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	if (limit.rlim_cur > FILES_LIMIT)
		limit.rlim_cur = FILES_LIMIT;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count < FILES_LIMIT && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	for (size_t i = 0; i < spare && count > 0; i++)
		close(fds[--count]);
	error = demi_open(qd_out, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	while (count > 0)
		close(fds[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return error;
}

/* What opens also works: no wait sleeps through the end of a write. */
static void open__with_few_descriptors_left_fails_or_works(void **state)
{
	(void)state;
	for (size_t spare = 0; spare < 5; spare++) {
		int qd = -1, error;
		int64_t began_ms;

		restart_sleeping();
		error = open_with_few_left(&qd, spare);
		if (error) {
			check_call(error, EMFILE);
			qd = file_open("few");
		}
		/* A wait whose time runs out looks once more: only the time tells. */
		began_ms = now_ms();
		await_opcode(push_pattern(qd, MIB, 2, 0), DEMI_OPC_PUSH);
		assert_true(now_ms() - began_ms < AT_ONCE_MS);
		stream_expect(qd, MIB, 2, 0);
		check_call(demi_close(qd), 0);
	}
}

/* ---- Datagrams that must wait ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Enter a network of our own, whose loopback has this MTU. */
static bool enter_network(int mtu)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_mtu = mtu};
	unsigned int user = geteuid();
	char map[32];
	int fd;
	bool up;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", user);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	up = fd >= 0 && ioctl(fd, SIOCSIFMTU, &request) == 0;
	request.ifr_flags = IFF_UP;
	up = up && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	if (fd >= 0)
		close(fd);
	return up;
}

/* One that takes a third of a second for each datagram. */
static bool enter_slow_network(void)
{
	return enter_network(65536) &&
	       system("PATH=$PATH:/usr/sbin:/sbin exec tc qdisc add dev lo root tbf "
		      "rate 40kbit burst 2kb limit 1mb >/dev/null 2>&1") == 0;
}

/* One whose packets are shorter than a datagram of DATAGRAM_BYTES. */
static bool enter_narrow_network(void)
{
	return enter_network(600);
}

/* Run @test in a process of its own, which cannot leave the network, with its own runtime. */
static void run_in_network(bool (*enter)(void), const char *name, CMUnitTestFunction test)
{
	const struct CMUnitTest tests[] = {
		{name, test, catnap_setup, catnap_teardown, NULL},
	};
	int status = -1;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(60); /* ends it, whatever it waits for */
		if (!enter())
			_exit(EXIT_SKIPPED);
		status = _cmocka_run_group_tests(name, tests, 1, NULL, NULL);
		fflush(NULL);
		_exit(status == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	skip_unless(!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SKIPPED,
		    "no network namespace can be made, or none with a queueing discipline (tc)");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

static void run_in_slow_network(const char *name, CMUnitTestFunction test)
{
	run_in_network(enter_slow_network, name, test);
}

#define DATAGRAM_BYTES 1400UL

struct slow_peer {
	struct address address;
	int fd;
	int qd;       /* ours, not connected */
	size_t count; /* datagrams that it is to get */
	demi_qtoken_t push;
};

/* Send to a new peer until a datagram has to wait; @length is what we say of its address. */
static void slow_peer_open(struct slow_peer *peer, socklen_t length)
{
	demi_sgarray_t sga = sga_pattern(DATAGRAM_BYTES, 3, 0);
	demi_qresult_t qr;
	int error = 0;

	/* What follows the address is not part of it. */
	memset(peer, 0x41, sizeof(*peer));
	peer->address.in = (struct sockaddr_in){.sin_family = AF_INET,
						.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	peer->address.size = sizeof(peer->address.in);
	peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(peer->fd >= 0);
	assert_int_equal(bind(peer->fd, &peer->address.any, peer->address.size), 0);
	assert_int_equal(getsockname(peer->fd, &peer->address.any, &peer->address.size), 0);
	peer->qd = socket_open(&transport_ipv4, SOCK_DGRAM);
	send_buffer(peer->qd, 2048);
	for (peer->count = 0; error == 0; peer->count++) {
		assert_true(peer->count < 64);
		check_call(demi_pushto(&peer->push, peer->qd, &sga, &peer->address.any, length), 0);
		error = demi_wait(&qr, peer->push, &wait_none);
		if (error == 0)
			assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	}
	check_call(error, ETIMEDOUT);
	check_call(demi_sgafree(&sga), 0);
}

static void slow_peer_expect(struct slow_peer *peer)
{
	static uint8_t bytes[2 * DATAGRAM_BYTES];
	int64_t end = now_ms() + 30000;

	while (peer->count > 0) {
		ssize_t got = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (got < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(now_ms() < end);
			drive();
			continue;
		}
		assert_int_equal(got, DATAGRAM_BYTES);
		pattern_check(bytes, DATAGRAM_BYTES, 3, 0);
		peer->count--;
	}
	close(peer->fd);
}

static void slow_pushto_long_address(void **state)
{
	struct slow_peer peer;

	(void)state;
	slow_peer_open(&peer, sizeof(struct sockaddr_storage));
	await_opcode(peer.push, DEMI_OPC_PUSH);
	slow_peer_expect(&peer);
	check_call(demi_close(peer.qd), 0);
}

static void pushto__that_waits_with_the_longest_address(void **state)
{
	(void)state;
	run_in_slow_network("pushto, long address", slow_pushto_long_address);
}

/* Answers to a burst wait for each other, but not beyond the socket's end. */
static void answer_burst(size_t size)
{
	struct sockaddr_in kernel = {.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(kernel);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	demi_qtoken_t pops[4], push;
	struct address there;
	int qd = socket_datagram(&transport_ipv4, &there);
	uint8_t bytes[DATAGRAM_BYTES];

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&kernel, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&kernel, &length), 0);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++) {
		pattern_fill(bytes, size, i, 0);
		assert_int_equal(sendto(fd, bytes, size, 0, &there.any, there.size), size);
	}
	for (unsigned int i = 0; i < COUNT_OF(pops); i++)
		check_call(demi_pop(&pops[i], qd), 0);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		check_call(demi_pushto(&push, qd, &qr.qr_value.sga, (struct sockaddr *)&kernel,
				       length),
			   0);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	check_call(demi_close(qd), 0);
	for (unsigned int i = 0; i < COUNT_OF(pops); i++) {
		assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), size);
		pattern_check(bytes, size, i, 0);
	}
	close(fd);
}

static void datagrams__that_wait_for_others_are_sent_at_close(void **state)
{
	(void)state;
	answer_burst(100);
}

static void narrow_burst(void **state)
{
	(void)state;
	answer_burst(1000);
	answer_burst(100);
}

/* Those of one length may go as one message, which the kernel refuses where each needs fragments. */
static void datagrams__that_wait_for_others_are_sent_where_each_needs_fragments(void **state)
{
	(void)state;
	run_in_network(enter_narrow_network, "narrow, burst", narrow_burst);
}

static void slow_aclose_sends(void **state)
{
	struct slow_peer peer;
	demi_qtoken_t qts[2];
	demi_qresult_t qr;

	(void)state;
	slow_peer_open(&peer, sizeof(struct sockaddr_in));
	check_call(demi_aclose(&qts[0], peer.qd), 0);
	qts[1] = peer.push;
	check_call(demi_wait_any(&qr, NULL, qts, 2, &wait_long), 0);
	assert_true(qr.qr_qt == peer.push);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	await_opcode(qts[0], DEMI_OPC_CLOSE);
	slow_peer_expect(&peer);
}

static void slow_aclose_ends(void **state)
{
	struct slow_peer peer;
	demi_qtoken_t closing;

	(void)state;
	/* Its push is cancelled. */
	slow_peer_open(&peer, sizeof(struct sockaddr_in));
	check_call(demi_aclose(&closing, peer.qd), 0);
	check_call(demi_cancel(peer.push), 0);
	await_error(peer.push, ECANCELED);
	await_opcode(closing, DEMI_OPC_CLOSE);
	peer.count--;
	slow_peer_expect(&peer);
	/* The close is cancelled. */
	slow_peer_open(&peer, sizeof(struct sockaddr_in));
	check_call(demi_aclose(&closing, peer.qd), 0);
	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	await_error(peer.push, ECANCELED);
	close(peer.fd);
	/* The runtime ends. */
	slow_peer_open(&peer, sizeof(struct sockaddr_in));
	check_call(demi_aclose(&closing, peer.qd), 0);
	close(peer.fd);
}

static void aclose__of_an_unconnected_socket_sends_the_datagram_that_waits(void **state)
{
	(void)state;
	run_in_slow_network("aclose, sent", slow_aclose_sends);
}

static void aclose__of_an_unconnected_socket_ends_with_its_datagram(void **state)
{
	(void)state;
	run_in_slow_network("aclose, cancelled", slow_aclose_ends);
}

/* ---- Divided streams ---- */

/* Every pop brings something though nothing more arrives; @text is all that comes. */
static void expect_text(struct connection *connection, const char *text)
{
	while (*text) {
		demi_qresult_t qr = await_opcode(connection->pop, DEMI_OPC_POP);
		size_t got = qr.qr_value.sga.sga_segs[0].sgaseg_len;

		assert_true(got > 0 && got <= strlen(text));
		assert_memory_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, text, got);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		text += got;
		connection->pop = pop(connection->qd);
	}
}

/* Until the other end's kernel has all; the runtime, which may not look before that, rests. */
static void peer_delivered(int fd)
{
	int64_t end = now_ms() + 10000;
	int left = 1;

	while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0) {
		assert_true(now_ms() < end);
		sched_yield();
	}
	assert_int_equal(left, 0);
}

static void send_around_urgent(int fd)
{
	assert_int_equal(send(fd, "abc!", 4, MSG_OOB | MSG_NOSIGNAL), 4);
	assert_int_equal(send(fd, "defg", 4, MSG_NOSIGNAL), 4);
	peer_delivered(fd);
}

static void send_around_descriptor(int fd)
{
	struct iovec iov = {.iov_base = (char[]){'a', 'b', 'c'}, .iov_len = 3};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), 3);
	assert_int_equal(send(fd, "defg", 4, MSG_NOSIGNAL), 4);
}

static void check_divided(const struct transport *transport, void (*send_divided)(int fd))
{
	static struct connection connections[MANY];
	struct address address;
	int listener = socket_listen(transport, &address);

	connections_open(listener, &address, connections, MANY);
	connections_pop(connections, MANY);
	for (size_t i = 0; i < MANY; i += 20) {
		send_divided(connections[i].fd);
		expect_text(&connections[i], "abcdefg");
		/* And again, now that the socket has been through it. */
		send_divided(connections[i].fd);
		expect_text(&connections[i], "abcdefg");
	}
	connections_close(connections, MANY);
	for (size_t i = 0; i < MANY; i++)
		await_error(connections[i].pop, ECANCELED);
	check_call(demi_close(listener), 0);
}

static void pop__goes_on_behind_urgent_data_among_many(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_divided(&transport_ipv4, send_around_urgent);
}

static void pop__goes_on_behind_a_passed_descriptor_among_many(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_divided(&transport_unix, send_around_descriptor);
}

/* ---- Sleeping ---- */

/* Of @count pops the last @cancelled are cancelled; data for them concerns nobody. */
static void check_sleeps(size_t count, size_t cancelled)
{
	static struct connection connections[2UL * MANY];
	struct timespec period = milliseconds(300);
	struct address address;
	int listener, qd;
	int64_t began_us;
	demi_qtoken_t qt;
	demi_qresult_t qr;

	restart_sleeping();
	listener = socket_listen(&transport_ipv4, &address);
	connections_open(listener, &address, connections, count);
	connections_pop(connections, count);
	connections_cancel(connections + count - cancelled, cancelled);
	for (size_t i = count - cancelled; i < count; i += 10) {
		peer_send(connections[i].fd, "x", 1);
		peer_delivered(connections[i].fd);
	}
	check_call(demi_queue(&qd), 0);
	qt = pop(qd);
	began_us = cpu_us();
	check_call(demi_wait(&qr, qt, &period), ETIMEDOUT);
	assert_true(cpu_us() - began_us < 60000);
	/* It is still there for who asks. */
	connections[count - cancelled].pop = pop(connections[count - cancelled].qd);
	expect_text(&connections[count - cancelled], "x");
	connections_close(connections, count);
	check_call(demi_close(listener), 0);
}

static void sleep__is_not_disturbed_by_data_for_cancelled_pops(void **state)
{
	(void)state;
	skip_unless(files_allowed(2UL * FILES_NEEDED), "too few descriptors are allowed");
	check_sleeps(MANY, MANY);
	/* So that it stays with epoll. */
	check_sleeps(2UL * MANY, MANY);
	check_sleeps(3, 3);
}

/* ---- Connecting ---- */

static void connect__is_refused_though_its_error_was_asked_for(void **state)
{
	struct address address;
	int listener = peer_listen(&transport_ipv4, &address, 1);

	(void)state;
	close(listener);
	for (int asked = 0; asked < 4; asked++) {
		int qd = socket_open(&transport_ipv4, SOCK_STREAM), error = -1;
		socklen_t length = sizeof(error);
		demi_qtoken_t qt;

		check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
		for (int i = 0; i < asked; i++) {
			check_call(demi_getsockopt(qd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
			assert_int_equal(length, sizeof(error));
			check_either(error, 0, ECONNREFUSED);
		}
		await_error(qt, ECONNREFUSED);
		check_call(demi_close(qd), 0);
	}
}

/* Connect to the wildcard address, which reaches ourselves, with a length of @length or the true. */
static void check_peer_name(const struct transport *transport, int type, socklen_t length)
{
	struct address address, wildcard, name = {.size = sizeof(name.room)};
	int listener = -1, qd = socket_open(transport, type);
	demi_qtoken_t qt;

	address_wildcard(transport, &wildcard);
	address_fresh(transport, &address);
	if (type == SOCK_STREAM)
		listener = peer_listen(transport, &address, 1);
	else
		address_set_port(&address, htons(9));
	address_set_port(&wildcard, address_port(&address));
	check_call(demi_connect(&qt, qd, &wildcard.any, length ? length : wildcard.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	check_call(demi_getpeername(qd, &name.any, &name.size), 0);
	address_check(&name, &address);
	check_call(demi_close(qd), 0);
	if (listener >= 0)
		close(listener);
}

static void getpeername__is_true_after_connecting_to_the_wildcard(void **state)
{
	static const struct transport *const transports[] = {&transport_ipv4, &transport_ipv6};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(transports); i++) {
		if (!transport_served(transports[i]))
			continue;
		check_peer_name(transports[i], SOCK_STREAM, 0);
		check_peer_name(transports[i], SOCK_STREAM, sizeof(struct sockaddr_storage));
		check_peer_name(transports[i], SOCK_DGRAM, 0);
		check_peer_name(transports[i], SOCK_DGRAM, sizeof(struct sockaddr_storage));
	}
}

/* ---- Lingering ---- */

#define LINGER_S 10

static void linger(int qd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};

	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

/* Everything that ends a socket at once, whether SO_LINGER is its own or the listener's. */
enum ending { END_CLOSE, END_CANCEL, END_FINI, ENDINGS };

static void check_ends_at_once(enum ending ending, bool inherited)
{
	struct address address;
	struct connection connection;
	demi_qtoken_t closing;
	int64_t began_ms;
	int listener = socket_listen(&transport_ipv4, &address);

	if (inherited)
		linger(listener);
	connections_open(listener, &address, &connection, 1);
	if (!inherited)
		linger(connection.qd);
	/* More than the peer, who reads nothing, has room for. */
	push_pattern(connection.qd, 16 * MIB, 1, 0);
	drive();
	began_ms = now_ms();
	switch (ending) {
	case END_CLOSE:
		check_call(demi_close(connection.qd), 0);
		break;
	case END_CANCEL:
		check_call(demi_aclose(&closing, connection.qd), 0);
		check_call(demi_cancel(closing), 0);
		break;
	default:
		catnap_restart();
	}
	assert_true(now_ms() - began_ms < AT_ONCE_MS);
	close(connection.fd);
	if (ending != END_FINI)
		check_call(demi_close(listener), 0);
}

static void close__returns_at_once_whatever_the_time_to_linger(void **state)
{
	(void)state;
	for (int ending = 0; ending < ENDINGS; ending++) {
		check_ends_at_once((enum ending)ending, false);
		check_ends_at_once((enum ending)ending, true);
	}
}

/* ---- Memory that cannot be read ---- */

#define ARRAYS 5

/* Of ARRAYS pushes the one at @bad is of memory that nobody may read. */
static void push_with_one_bad(int qd, void *unreadable, int bad, size_t offset, demi_qtoken_t *qts)
{
	for (int i = 0; i < ARRAYS; i++) {
		demi_sgarray_t sga = sga_of(unreadable, 100);

		if (i == bad) {
			qts[i] = push_sga(qd, &sga);
		} else {
			qts[i] = push_pattern(qd, 100, 4, offset);
			offset += 100;
		}
	}
}

static void await_one_bad(int bad, const demi_qtoken_t *qts)
{
	for (int i = 0; i < ARRAYS; i++) {
		if (i == bad)
			await_error(qts[i], EFAULT);
		else
			await_opcode(qts[i], DEMI_OPC_PUSH);
	}
}

/* What is pushed while other results of one look are at hand may be sent as one. */
static void check_bad_in_batch(const struct transport *transport, void *unreadable, int bad)
{
	struct connection connections[8];
	demi_qtoken_t qts[COUNT_OF(connections)][ARRAYS];
	struct address address;
	int listener = socket_listen(transport, &address);
	const size_t size = (ARRAYS - 1UL) * 100;

	connections_open(listener, &address, connections, COUNT_OF(connections));
	connections_pop(connections, COUNT_OF(connections));
	for (size_t i = 0; i < COUNT_OF(connections); i++)
		peer_send(connections[i].fd, "?", 1);
	for (size_t i = 0; i < COUNT_OF(connections); i++) {
		expect_text(&connections[i], "?");
		/* Every second one has nothing but good arrays. */
		push_with_one_bad(connections[i].qd, unreadable, i % 2 ? -1 : bad, 0, qts[i]);
	}
	for (size_t i = 0; i < COUNT_OF(connections); i++) {
		await_one_bad(i % 2 ? -1 : bad, qts[i]);
		peer_expect(connections[i].fd, i % 2 ? size + 100 : size, 4, 0);
	}
	connections_close(connections, COUNT_OF(connections));
	check_call(demi_close(listener), 0);
}

/* Behind one that fills the socket. */
static void check_bad_waiting(const struct transport *transport, void *unreadable, int bad)
{
	int listener, server, fd = peer_pair(transport, &listener, &server);
	demi_qtoken_t first, qts[ARRAYS];

	send_buffer(server, 8192);
	first = push_pattern(server, MIB, 4, 0);
	check_pending(first);
	push_with_one_bad(server, unreadable, bad, MIB, qts);
	peer_expect(fd, MIB + (ARRAYS - 1UL) * 100, 4, 0);
	await_opcode(first, DEMI_OPC_PUSH);
	await_one_bad(bad, qts);
	check_call(demi_close(server), 0);
	check_call(demi_close(listener), 0);
	close(fd);
}

static void push__of_unreadable_memory_fails_alone(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *unreadable = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(unreadable != MAP_FAILED);
	for (int bad = 0; bad < ARRAYS; bad++) {
		check_bad_in_batch(&transport_ipv4, unreadable, bad);
		check_bad_in_batch(&transport_unix, unreadable, bad);
		check_bad_waiting(&transport_ipv4, unreadable, bad);
		check_bad_waiting(&transport_unix, unreadable, bad);
	}
	munmap(unreadable, page);
}

/* ---- A full table ---- */

#define ACCEPTS 4

static void restart_with_small_table(void)
{
	options_restore();
	option_set("DEMI_RUNTIME_QUEUES_MAX", "256");
	catnap_restart();
}

/* Fill the table; the last @spare descriptors are returned, to be closed. */
static void fill_table(int *lasts, size_t spare)
{
	int qd;

	for (size_t i = 0; i < spare; i++)
		check_call(demi_queue(&lasts[i]), 0);
	while (demi_queue(&qd) == 0)
		;
	check_call(demi_queue(&qd), EMFILE);
}

static void check_accepted(demi_qtoken_t accepting, int fd)
{
	int qd = await_opcode(accepting, DEMI_OPC_ACCEPT).qr_value.ares.qd;
	uint8_t byte;

	pattern_fill(&byte, 1, 1, 0);
	peer_send(fd, &byte, 1);
	stream_expect(qd, 1, 1, 0);
	close(fd);
}

/* With @others connections that wait for data beside the listener. */
static void check_accepts_fail_one_at_a_time(size_t others)
{
	static struct connection connections[MANY];
	struct address address;
	int listener, lasts[ACCEPTS], fd, count;
	demi_qtoken_t accepting[ACCEPTS];
	demi_qresult_t qrs[ACCEPTS];

	restart_with_small_table();
	listener = socket_listen(&transport_ipv4, &address);
	connections_open(listener, &address, connections, others);
	connections_pop(connections, others);
	fill_table(lasts, ACCEPTS);
	for (size_t i = 0; i < ACCEPTS; i++)
		check_call(demi_accept(&accepting[i], listener), 0);
	fd = peer_connect(&address);
	for (size_t i = 0; i < ACCEPTS - 2; i++) {
		check_call(demi_wait_next_n(qrs, ACCEPTS, &count, &wait_long), 0);
		assert_int_equal(count, 1);
		assert_true(qrs[0].qr_qt == accepting[i]);
		assert_int_equal(qrs[0].qr_opcode, DEMI_OPC_FAILED);
		check_call((int)qrs[0].qr_ret, EMFILE);
	}
	/* With room again, the connection that has waited all the time is accepted. */
	for (size_t i = 0; i < ACCEPTS; i++)
		check_call(demi_close(lasts[i]), 0);
	check_accepted(accepting[ACCEPTS - 2], fd);
	check_pending(accepting[ACCEPTS - 1]);
	check_accepted(accepting[ACCEPTS - 1], peer_connect(&address));
	for (size_t i = 0; i < others; i++)
		close(connections[i].fd);
}

static void accept__fails_one_at_a_time_while_the_table_is_full(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_accepts_fail_one_at_a_time(0);
	check_accepts_fail_one_at_a_time(6);
	check_accepts_fail_one_at_a_time(MANY);
}

/* The connection that takes the last place does not make the accepts behind it fail. */
static void check_accepts_wait(size_t others)
{
	static struct connection connections[MANY];
	struct address address;
	int listener, last;
	demi_qtoken_t accepting[2];

	restart_with_small_table();
	listener = socket_listen(&transport_ipv4, &address);
	connections_open(listener, &address, connections, others);
	connections_pop(connections, others);
	fill_table(&last, 1);
	check_call(demi_close(last), 0);
	for (size_t i = 0; i < COUNT_OF(accepting); i++)
		check_call(demi_accept(&accepting[i], listener), 0);
	check_accepted(accepting[0], peer_connect(&address));
	check_pending(accepting[1]);
	for (size_t i = 0; i < others; i++)
		close(connections[i].fd);
}

static void accept__waits_for_a_connection_though_the_table_is_full(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_accepts_wait(0);
	check_accepts_wait(MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CATNAP_TEST(aclose__of_a_file_is_cancelled_with_pushes_pending),
		CATNAP_TEST(aclose__of_a_file_with_pushes_pending_when_the_runtime_ends),
		CATNAP_TEST(open__with_few_descriptors_left_fails_or_works),
		CATNAP_TEST(datagrams__that_wait_for_others_are_sent_at_close),
		CATNAP_TEST(datagrams__that_wait_for_others_are_sent_where_each_needs_fragments),
		cmocka_unit_test(pushto__that_waits_with_the_longest_address),
		cmocka_unit_test(aclose__of_an_unconnected_socket_sends_the_datagram_that_waits),
		cmocka_unit_test(aclose__of_an_unconnected_socket_ends_with_its_datagram),
		CATNAP_TEST(pop__goes_on_behind_urgent_data_among_many),
		CATNAP_TEST(pop__goes_on_behind_a_passed_descriptor_among_many),
		CATNAP_TEST(sleep__is_not_disturbed_by_data_for_cancelled_pops),
		CATNAP_TEST(connect__is_refused_though_its_error_was_asked_for),
		CATNAP_TEST(getpeername__is_true_after_connecting_to_the_wildcard),
		CATNAP_TEST(close__returns_at_once_whatever_the_time_to_linger),
		CATNAP_TEST(push__of_unreadable_memory_fails_alone),
		CATNAP_TEST(accept__fails_one_at_a_time_while_the_table_is_full),
		CATNAP_TEST(accept__waits_for_a_connection_though_the_table_is_full),
	};

	return suite_main("catnap/regression", true, "sockets", tests, COUNT_OF(tests));
}
