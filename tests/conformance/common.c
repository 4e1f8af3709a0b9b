/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

const struct timespec wait_long = {.tv_sec = 10};
const struct timespec wait_none = {.tv_sec = 0};

const struct transport transport_ipv4 = {.name = "ipv4", .family = AF_INET};
const struct transport transport_ipv6 = {.name = "ipv6", .family = AF_INET6};
const struct transport transport_unix = {.name = "unix", .family = AF_UNIX};

/* ---- The frame ---- */

#define OPTIONS_MAX 8

static struct {
	char name[64];
	char *before; /* NULL: was not set */
} options[OPTIONS_MAX];
static size_t num_options;

int suite_main(const char *area, bool served, const char *what, const struct CMUnitTest *tests,
	       size_t num_tests)
{
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!profile_get()) {
		printf("skipped: no profile for LIBOS=%s\n", getenv("LIBOS"));
		return EXIT_SKIPPED;
	}
	if (!served) {
		printf("skipped: %s has no %s\n", profile_get()->libos, what);
		return EXIT_SKIPPED;
	}
	if (profile_get()->logs)
		disk_fresh(DISK_BYTES);
	error = demi_init(NULL);
	demi_fini();
	if (error == ENOTSUP || error == ENOSYS || error == EPERM) {
		printf("skipped: libOS or engine is not available: %s\n", strerror(error));
		return EXIT_SKIPPED;
	}
	return _cmocka_run_group_tests(area, tests, num_tests, NULL, NULL) == 0 ? EXIT_SUCCESS
										: EXIT_FAILURE;
}

int setup(void **state)
{
	(void)state;
	/* A program without suite_main. */
	if (profile_get() && profile_get()->logs && !getenv("DEMI_BLK_DEV"))
		disk_fresh(DISK_BYTES);
	return demi_init(NULL);
}

int setup_logs(void **state)
{
	disk_fresh(DISK_BYTES);
	return setup(state);
}

int teardown(void **state)
{
	(void)state;
	demi_fini();
	options_restore();
	return 0;
}

void options_restore(void)
{
	while (num_options > 0) {
		num_options--;
		if (options[num_options].before)
			setenv(options[num_options].name, options[num_options].before, 1);
		else
			unsetenv(options[num_options].name);
		free(options[num_options].before);
	}
}

void option_set(const char *name, const char *value)
{
	const char *before = getenv(name);

	assert_true(num_options < OPTIONS_MAX);
	snprintf(options[num_options].name, sizeof(options[num_options].name), "%s", name);
	options[num_options].before = before ? strdup(before) : NULL;
	num_options++;
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* In memory: latencies are made, and blocks and alignment are those of a drive, not of a file. */
static void disk_simulate(size_t bytes, const char *keys)
{
	static unsigned int serial;
	char device[200];

	snprintf(device, sizeof(device), "sim:%zu,name=disk%u,%.100s", bytes, serial++, keys);
	setenv("DEMI_BLK_DEV", device, 1);
}

const char *disk_fresh(size_t bytes)
{
	const char *keys = getenv("DEMI_TEST_DISK");
	static char path[96];
	char device[128];
	int fd;

	if (keys) {
		disk_simulate(bytes, keys);
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/disk", directory());
	snprintf(device, sizeof(device), "uring:%s", path);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	/* Without holes, whose writes would have to wait for their allocation. */
	assert_int_equal(posix_fallocate(fd, 0, (off_t)bytes), 0);
	close(fd);
	setenv("DEMI_BLK_DEV", device, 1);
	return path;
}

/* ---- Children ---- */

#define CHILD_SECONDS 60

static void child_prepare(int errors_fd)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS};
	struct rlimit none = {0};

	/* The runner of the tests must not catch them here, and go on with the next test. */
	for (size_t i = 0; i < COUNT_OF(signals); i++)
		signal(signals[i], SIG_DFL);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	setrlimit(RLIMIT_CORE, &none);
	dup2(errors_fd, STDERR_FILENO);
	close(errors_fd);
	alarm(CHILD_SECONDS);
}

static void child_read_errors(struct child *child, int fd)
{
	char rest[512];
	size_t size = 0;
	ssize_t got = 1;

	while (got > 0) {
		size_t room = sizeof(child->errors) - 1 - size;

		got = room ? read(fd, child->errors + size, room) : read(fd, rest, sizeof(rest));
		if (got > 0 && room)
			size += (size_t)got;
	}
	child->errors[size] = 0;
}

void child_run(struct child *child, void (*body)(void *argument), void *argument)
{
	int errors[2];
	pid_t pid;

	assert_int_equal(pipe(errors), 0);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(errors[0]);
		child_prepare(errors[1]);
		body(argument);
		_exit(0);
	}
	close(errors[1]);
	child_read_errors(child, errors[0]);
	close(errors[0]);
	assert_int_equal(waitpid(pid, &child->status, 0), pid);
}

static void child_print(const struct child *child)
{
	if (WIFSIGNALED(child->status))
		print_error("the child died of signal %d (%s)\n", WTERMSIG(child->status),
			    strsignal(WTERMSIG(child->status)));
	else
		print_error("the child ended with status %d\n", WEXITSTATUS(child->status));
	print_error("and wrote:\n%s", child->errors);
}

void child_check_exit_at(const struct child *child, const char *file, int line)
{
	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0)
		return;
	child_print(child);
	_fail(file, line);
}

void child_check_death_at(const struct child *child, int signal, int other, const char *file,
			  int line)
{
	if (WIFSIGNALED(child->status) &&
	    (WTERMSIG(child->status) == signal || (other && WTERMSIG(child->status) == other)))
		return;
	child_print(child);
	_fail(file, line);
}

size_t child_count(const struct child *child, const char *text)
{
	const char *at = child->errors;
	size_t count = 0;

	for (; (at = strstr(at, text)); at += strlen(text))
		count++;
	return count;
}

void child_check_says_at(const struct child *child, const char *text, const char *file, int line)
{
	if (strstr(child->errors, text))
		return;
	child_print(child);
	print_error("without saying \"%s\"\n", text);
	_fail(file, line);
}

/* ---- Checks ---- */

static const char *name_of(int error)
{
	return error == 0 ? "success" : strerrorname_np(error) ? strerrorname_np(error) : "?";
}

void check_either_at(int error, int first, int second, const char *call, const char *file, int line)
{
	if (error == first || error == second)
		return;
	print_error("%s: %s (%d), not %s or %s\n", call, name_of(error), error, name_of(first),
		    name_of(second));
	_fail(file, line);
}

void check_call_at(int error, int expected, const char *call, const char *file, int line)
{
	if (error == expected)
		return;
	print_error("%s: %s (%d), not %s\n", call, name_of(error), error, name_of(expected));
	_fail(file, line);
}

void check_fails_at(int error, const char *call, const char *file, int line)
{
	if (error > 0)
		return;
	print_error("%s: %d, not a positive errno\n", call, error);
	_fail(file, line);
}

void *null(void)
{
	static void *volatile nothing;

	return nothing;
}

/* ---- Time and waits ---- */

struct timespec milliseconds(long count)
{
	return (struct timespec){.tv_sec = count / 1000, .tv_nsec = count % 1000 * 1000000};
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

demi_qresult_t await_at(demi_qtoken_t qt, const char *file, int line)
{
	demi_qresult_t qr;

	memset(&qr, 0xa5, sizeof(qr));
	check_call_at(demi_wait(&qr, qt, &wait_long), 0, "demi_wait", file, line);
	_assert_true(qr.qr_qt == qt, "qr_qt is the token", file, line);
	if (qr.qr_opcode == DEMI_OPC_FAILED)
		_assert_true(qr.qr_ret > 0, "qr_ret of a failure is an errno", file, line);
	else
		_assert_true(qr.qr_ret == 0, "qr_ret of a success is 0", file, line);
	return qr;
}

demi_qresult_t await_opcode_at(demi_qtoken_t qt, enum demi_opcode opcode, const char *file,
			       int line)
{
	demi_qresult_t qr = await_at(qt, file, line);

	if (qr.qr_opcode == DEMI_OPC_FAILED)
		print_error("the operation failed: %s\n", name_of((int)qr.qr_ret));
	_assert_int_equal(qr.qr_opcode, opcode, file, line);
	return qr;
}

void await_error_at(demi_qtoken_t qt, int error, const char *file, int line)
{
	demi_qresult_t qr = await_at(qt, file, line);

	_assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED, file, line);
	check_call_at((int)qr.qr_ret, error, "the operation", file, line);
}

void check_pending_at(demi_qtoken_t qt, const char *file, int line)
{
	struct timespec moment = milliseconds(2);
	demi_qresult_t qr;

	for (int i = 0; i < 5; i++) {
		check_call_at(demi_wait(&qr, qt, &wait_none), ETIMEDOUT, "pending: demi_wait", file,
			      line);
	}
	check_call_at(demi_wait(&qr, qt, &moment), ETIMEDOUT, "pending: demi_wait", file, line);
}

int outcome_at(int error, const demi_qtoken_t *qt, const char *file, int line)
{
	if (error != 0)
		return error;
	return (int)await_at(*qt, file, line).qr_ret;
}

void drive(void)
{
	struct timespec moment = milliseconds(1);
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd;

	/* A pop that never completes. */
	check_call(demi_queue(&qd), 0);
	check_call(demi_pop(&qt, qd), 0);
	check_call(demi_wait(&qr, qt, &moment), ETIMEDOUT);
	check_call(demi_close(qd), 0);
	check_call(demi_wait(&qr, qt, &wait_none), 0);
}

/* ---- Data ---- */

static uint8_t pattern_byte(unsigned int seed, uint64_t offset)
{
	uint64_t mixed = (offset + 1) * 0x9e3779b97f4a7c15u;

	/* Neither a lost page nor two swapped ones give the same bytes. */
	return (uint8_t)((mixed >> 40) ^ (seed * 89));
}

void pattern_fill(void *data, size_t size, unsigned int seed, uint64_t offset)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern_byte(seed, offset + i);
}

void pattern_check_at(const void *data, size_t size, unsigned int seed, uint64_t offset,
		      const char *file, int line)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		uint8_t expected = pattern_byte(seed, offset + i);

		if (bytes[i] == expected)
			continue;
		print_error("byte %llu (%zu of %zu): 0x%02x, not 0x%02x\n",
			    (unsigned long long)(offset + i), i, size, bytes[i], expected);
		_fail(file, line);
	}
}

size_t sga_bytes(const demi_sgarray_t *sga)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < sga->sga_numsegs && i < DEMI_SGARRAY_MAXSIZE; i++)
		bytes += sga->sga_segs[i].sgaseg_len;
	return bytes;
}

size_t sga_check_at(const demi_sgarray_t *sga, unsigned int seed, uint64_t offset, const char *file,
		    int line)
{
	size_t done = 0;

	_assert_true(sga->sga_numsegs >= 1, "a segment at least", file, line);
	_assert_true(sga->sga_numsegs <= DEMI_SGARRAY_MAXSIZE, "not too many segments", file, line);
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		pattern_check_at(sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len, seed,
				 offset + done, file, line);
		done += sga->sga_segs[i].sgaseg_len;
	}
	return done;
}

void check_end_at(demi_sgarray_t *sga, const char *file, int line)
{
	_assert_int_equal(sga->sga_numsegs, 1, file, line);
	_assert_int_equal(sga->sga_segs[0].sgaseg_len, 0, file, line);
	check_call_at(demi_sgafree(sga), 0, "demi_sgafree of the end", file, line);
}

demi_sgarray_t sga_pattern(size_t size, unsigned int seed, uint64_t offset)
{
	demi_sgarray_t sga = demi_sgaalloc(size);

	assert_non_null(sga.sga_buf);
	assert_int_equal(sga.sga_numsegs, 1);
	assert_int_equal(sga.sga_segs[0].sgaseg_len, size);
	pattern_fill(sga.sga_segs[0].sgaseg_buf, size, seed, offset);
	return sga;
}

demi_sgarray_t sga_of(void *data, size_t size)
{
	demi_sgarray_t sga;

	memset(&sga, 0, sizeof(sga));
	sga.sga_numsegs = 1;
	sga.sga_segs[0].sgaseg_buf = data;
	sga.sga_segs[0].sgaseg_len = (uint32_t)size;
	return sga;
}

demi_qtoken_t push_pattern_at(int qd, size_t size, unsigned int seed, uint64_t offset,
			      const char *file, int line)
{
	demi_sgarray_t sga = sga_pattern(size, seed, offset);
	demi_qtoken_t qt = push_sga_at(qd, &sga, file, line);

	check_call_at(demi_sgafree(&sga), 0, "demi_sgafree", file, line);
	return qt;
}

demi_qtoken_t push_sga_at(int qd, const demi_sgarray_t *sga, const char *file, int line)
{
	demi_qtoken_t qt = 0;

	check_call_at(demi_push(&qt, qd, sga), 0, "demi_push", file, line);
	return qt;
}

demi_qtoken_t pop_at(int qd, const char *file, int line)
{
	demi_qtoken_t qt = 0;

	check_call_at(demi_pop(&qt, qd), 0, "demi_pop", file, line);
	return qt;
}

void stream_expect_at(int qd, uint64_t size, unsigned int seed, uint64_t offset, const char *file,
		      int line)
{
	uint64_t done = 0;

	while (done < size) {
		demi_qtoken_t qt = pop_at(qd, file, line);
		demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);
		size_t got = sga_check_at(&qr.qr_value.sga, seed, offset + done, file, line);

		_assert_int_equal(qr.qr_qd, qd, file, line);
		_assert_true(got > 0, "the stream has not ended", file, line);
		done += got;
		check_call_at(demi_sgafree(&qr.qr_value.sga), 0, "demi_sgafree", file, line);
	}
	_assert_int_equal(done, size, file, line);
}

void stream_expect_end_at(int qd, const char *file, int line)
{
	demi_qtoken_t qt = pop_at(qd, file, line);
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	check_end_at(&qr.qr_value.sga, file, line);
}

void stream_skip_cut_at(int qd, const char *file, int line)
{
	demi_qresult_t qr;
	uint32_t bytes;

	do {
		qr = await_at(pop_at(qd, file, line), file, line);
		if (qr.qr_opcode == DEMI_OPC_FAILED)
			break;
		bytes = qr.qr_value.sga.sga_segs[0].sgaseg_len;
		check_call_at(demi_sgafree(&qr.qr_value.sga), 0, "demi_sgafree", file, line);
	} while (bytes);
	if ((qr.qr_opcode == DEMI_OPC_FAILED) == profile_get()->sends_on &&
	    (qr.qr_opcode != DEMI_OPC_FAILED || qr.qr_ret == ECONNRESET))
		return;
	print_error("the stream ended with %s\n",
		    qr.qr_opcode == DEMI_OPC_FAILED ? name_of((int)qr.qr_ret) : "its end");
	_fail(file, line);
}

/* ---- Addresses and transports ---- */

static char directory_path[64];
static pid_t directory_owner;

static void directory_remove(void)
{
	DIR *dir;
	struct dirent *entry;

	/* Not at the end of a child. */
	if (getpid() != directory_owner)
		return;
	dir = opendir(directory_path);
	while (dir && (entry = readdir(dir))) {
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	rmdir(directory_path);
}

const char *directory(void)
{
	if (!directory_path[0]) {
		snprintf(directory_path, sizeof(directory_path), "/tmp/demi-conformance.XXXXXX");
		assert_non_null(mkdtemp(directory_path));
		directory_owner = getpid();
		atexit(directory_remove);
	}
	return directory_path;
}

bool transport_served(const struct transport *transport)
{
	const struct profile *profile = profile_get();

	if (transport->family == AF_UNIX)
		return profile->unix_stream;
	return (transport->family == AF_INET ? profile->ipv4 : profile->ipv6) != NULL;
}

static void address_parse(int family, const char *text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	address->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, text, &address->in.sin_addr), 1);
		address->size = sizeof(address->in);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &address->in6.sin6_addr), 1);
		address->size = sizeof(address->in6);
	}
}

void address_fresh(const struct transport *transport, struct address *address)
{
	static unsigned int serial;

	if (transport->family != AF_UNIX) {
		address_parse(transport->family,
			      transport->family == AF_INET ? profile_get()->ipv4
							   : profile_get()->ipv6,
			      address);
		return;
	}
	memset(address, 0, sizeof(*address));
	address->un.sun_family = AF_UNIX;
	snprintf(address->un.sun_path, sizeof(address->un.sun_path), "%s/socket.%u", directory(),
		 serial++);
	address->size = sizeof(address->un);
}

void address_wildcard(const struct transport *transport, struct address *address)
{
	address_parse(transport->family, transport->family == AF_INET ? "0.0.0.0" : "::", address);
}

void address_foreign(const struct transport *transport, struct address *address)
{
	address_parse(transport->family,
		      transport->family == AF_INET ? profile_get()->ipv4_foreign
						   : profile_get()->ipv6_foreign,
		      address);
}

bool address_silent(const struct transport *transport, struct address *address)
{
	const char *text = transport->family == AF_INET ? profile_get()->ipv4_silent
							: profile_get()->ipv6_silent;

	if (!text)
		return false;
	address_parse(transport->family, text, address);
	address_set_port(address, htons(7));
	return true;
}

in_port_t address_port(const struct address *address)
{
	return address->any.sa_family == AF_INET ? address->in.sin_port : address->in6.sin6_port;
}

void address_set_port(struct address *address, in_port_t port)
{
	if (address->any.sa_family == AF_INET)
		address->in.sin_port = port;
	else
		address->in6.sin6_port = port;
}

void address_check_at(const struct address *a, const struct address *b, const char *file, int line)
{
	_assert_int_equal(a->size, b->size, file, line);
	_assert_int_equal(a->any.sa_family, b->any.sa_family, file, line);
	_assert_int_equal(address_port(a), address_port(b), file, line);
	if (a->any.sa_family == AF_INET) {
		_assert_int_equal(a->in.sin_addr.s_addr, b->in.sin_addr.s_addr, file, line);
	} else {
		_assert_memory_equal(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr),
				     file, line);
	}
}

int socket_open_at(const struct transport *transport, int type, const char *file, int line)
{
	int qd = -1;

	check_call_at(demi_socket(&qd, transport->family, type, 0), 0, "demi_socket", file, line);
	_assert_true(qd >= 500, "descriptors start at 500", file, line);
	return qd;
}

void socket_name_at(int qd, struct address *address, const char *file, int line)
{
	memset(address, 0, sizeof(*address));
	address->size = sizeof(address->room);
	check_call_at(demi_getsockname(qd, &address->any, &address->size), 0, "demi_getsockname",
		      file, line);
}

static int socket_bound_at(const struct transport *transport, int type, struct address *address,
			   const char *file, int line)
{
	int qd = socket_open_at(transport, type, file, line);

	address_fresh(transport, address);
	check_call_at(demi_bind(qd, &address->any, address->size), 0, "demi_bind", file, line);
	if (transport->family != AF_UNIX) {
		socket_name_at(qd, address, file, line);
		_assert_true(address_port(address) != 0, "a port was chosen", file, line);
	}
	return qd;
}

int socket_listen_at(const struct transport *transport, struct address *address, const char *file,
		     int line)
{
	int qd = socket_bound_at(transport, SOCK_STREAM, address, file, line);

	check_call_at(demi_listen(qd, 64), 0, "demi_listen", file, line);
	return qd;
}

int socket_datagram_at(const struct transport *transport, struct address *address, const char *file,
		       int line)
{
	return socket_bound_at(transport, SOCK_DGRAM, address, file, line);
}

void pair_connect_at(int listener, const struct address *address, int *client, int *server,
		     const char *file, int line)
{
	demi_qtoken_t accepting, connecting;
	demi_qresult_t accepted, connected;

	check_call_at(demi_socket(client, address->any.sa_family, SOCK_STREAM, 0), 0, "demi_socket",
		      file, line);
	check_call_at(demi_accept(&accepting, listener), 0, "demi_accept", file, line);
	check_call_at(demi_connect(&connecting, *client, &address->any, address->size), 0,
		      "demi_connect", file, line);
	connected = await_opcode_at(connecting, DEMI_OPC_CONNECT, file, line);
	accepted = await_opcode_at(accepting, DEMI_OPC_ACCEPT, file, line);
	_assert_int_equal(connected.qr_qd, *client, file, line);
	_assert_int_equal(accepted.qr_qd, listener, file, line);
	*server = accepted.qr_value.ares.qd;
	_assert_true(*server >= 500, "descriptors start at 500", file, line);
	_assert_true(*server != listener && *server != *client, "a new descriptor", file, line);
}

void pair_open_at(struct pair *pair, const struct transport *transport, const char *file, int line)
{
	pair->listener = socket_listen_at(transport, &pair->address, file, line);
	pair_connect_at(pair->listener, &pair->address, &pair->client, &pair->server, file, line);
}

/* ---- Plain sockets of the kernel ---- */

int peer_listen(const struct transport *transport, struct address *address, int backlog)
{
	int fd = socket(transport->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	address_fresh(transport, address);
	assert_int_equal(bind(fd, &address->any, address->size), 0);
	assert_int_equal(listen(fd, backlog), 0);
	if (transport->family != AF_UNIX)
		assert_int_equal(getsockname(fd, &address->any, &address->size), 0);
	return fd;
}

int peer_connect(const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, &address->any, address->size) != 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Polls a plain socket for @events while the runtime goes on. */
static void peer_ready(int fd, short events)
{
	struct pollfd waiting = {.fd = fd, .events = events};
	int64_t end = now_ms() + 10000;

	while (poll(&waiting, 1, 0) == 0) {
		assert_true(now_ms() < end);
		drive();
	}
}

int peer_pair(const struct transport *transport, int *listener, int *server)
{
	struct address address;
	demi_qtoken_t accepting;
	demi_qresult_t accepted;
	int fd;

	*listener = socket_listen(transport, &address);
	check_call(demi_accept(&accepting, *listener), 0);
	fd = peer_connect(&address);
	accepted = await_opcode(accepting, DEMI_OPC_ACCEPT);
	*server = accepted.qr_value.ares.qd;
	peer_ready(fd, POLLOUT);
	return fd;
}

void peer_send(int fd, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t done = 0; done < size;) {
		ssize_t sent = send(fd, bytes + done, size - done, MSG_NOSIGNAL);

		if (sent < 0) {
			assert_int_equal(errno, EAGAIN);
			peer_ready(fd, POLLOUT);
		} else {
			done += (size_t)sent;
		}
	}
}

void peer_expect(int fd, size_t size, unsigned int seed, uint64_t offset)
{
	static uint8_t bytes[64 * KIB];

	for (size_t done = 0; done < size;) {
		size_t want = size - done < sizeof(bytes) ? size - done : sizeof(bytes);
		ssize_t got = recv(fd, bytes, want, 0);

		if (got < 0) {
			assert_int_equal(errno, EAGAIN);
			peer_ready(fd, POLLIN);
		} else {
			assert_true(got > 0);
			pattern_check(bytes, (size_t)got, seed, offset + done);
			done += (size_t)got;
		}
	}
}

void peer_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void read_statm(unsigned long *mapped, unsigned long *resident)
{
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", mapped, resident), 2);
	fclose(file);
}

size_t mapped_bytes(void)
{
	unsigned long mapped = 0, resident = 0;

	read_statm(&mapped, &resident);
	return mapped * (size_t)sysconf(_SC_PAGESIZE);
}

size_t resident_bytes(void)
{
	unsigned long mapped = 0, resident = 0;

	read_statm(&mapped, &resident);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}
