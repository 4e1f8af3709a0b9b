/* SPDX-License-Identifier: MIT */
/*
 * Echo benchmark: the runner and the sockets.
 *
 * Implementations are interleaved within every round (A B C A B C ...), because the cost of moving
 * a cache line between virtual cores drifts by more than the differences of interest. Read the
 * ratios; never compare figures of two runs.
 */
#include "echo_bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMPLS_MAX 32
#define SIZES_MAX 8
#define ROUNDS_MAX 101
#define CELL_TIMEOUT_S 20

static const struct echo_impl *const *const families[] = {
	epoll_impls,      uring_impls,
#ifdef ECHO_EXPLORE
	uring_mode_impls, direct_impls, hybrid_impls, engine_impls,
#endif
};

struct options {
	const struct echo_impl *impls[IMPLS_MAX];
	unsigned int nimpls;
	size_t sizes[SIZES_MAX]; /* message sizes, bytes */
	unsigned int nsizes;
	unsigned int nconns[SIZES_MAX];
	unsigned int nnconns;
	unsigned int rounds;
	unsigned int run_ms;
};

/* What is kept of one cell. */
struct figure {
	double rtt_us; /* median round trip */
	double rtt_min_us;
	double msgs_per_s;
	long nivcsw; /* preemptions of both ends */
};

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int set_up_conn(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int accept_all(struct echo_end *end)
{
	struct sockaddr_in addr = loopback(end->params->port);
	int one = 1;
	int rc = 0;
	int lfd;

	lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lfd < 0)
		return -errno;
	if (setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(lfd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(lfd, ECHO_CONNS_MAX) < 0)
		rc = -errno;
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++) {
		end->conns[i].fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
		rc = end->conns[i].fd < 0 ? -errno : set_up_conn(end->conns[i].fd);
	}
	close(lfd);
	return rc;
}

static int connect_one(uint16_t port)
{
	struct sockaddr_in addr = loopback(port);

	for (int tries = 0; tries < 1000; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int connect_all(struct echo_end *end)
{
	for (unsigned int i = 0; i < end->params->nconns; i++) {
		int fd = connect_one(end->params->port);
		int rc = fd < 0 ? fd : set_up_conn(fd);

		if (rc)
			return rc;
		end->conns[i].fd = fd;
	}
	return 0;
}

int echo_open(struct echo_end *end)
{
	return end->role == ECHO_SERVER ? accept_all(end) : connect_all(end);
}

int echo_send_all(int fd, struct echo_out out)
{
	const uint8_t *data = out.data;

	while (out.bytes) {
		ssize_t n = send(fd, data, out.bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		out.bytes -= (size_t)n;
	}
	return 0;
}

static int pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* The body of a child process: one end of one cell. */
static int run_end(const struct echo_impl *impl, enum echo_role role,
		   const struct echo_params *params, struct echo_result *result)
{
	struct echo_end *end = calloc(1, sizeof(*end));
	struct rusage usage;
	int rc;

	if (!end)
		return -ENOMEM;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(CELL_TIMEOUT_S);
	rc = pin(role == ECHO_SERVER ? 0 : 1);
	if (rc)
		goto out;
	end->role = role;
	end->params = params;
	end->nopen = params->nconns;
	end->warm_ns = echo_now_ns() + ECHO_WARMUP_NS;
	end->result = result;
	memset(end->tx, 'x', sizeof(end->tx));
	for (unsigned int i = 0; i < ECHO_CONNS_MAX; i++)
		end->conns[i].fd = -1;
	rc = impl->run(end);
	if (!getrusage(RUSAGE_SELF, &usage))
		result->nivcsw[role] = usage.ru_nivcsw;
out:
	if (rc)
		fprintf(stderr, "%s %s: %s\n", impl->name,
			role == ECHO_SERVER ? "server" : "client", strerror(-rc));
	free(end);
	return rc;
}

static uint16_t pick_port(void)
{
	struct sockaddr_in addr = loopback(0);
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		addr.sin_port = 0;
	close(fd);
	return ntohs(addr.sin_port);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare_double);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Runs one cell; returns 0, or -1 when an end failed (it has said why). */
static int run_cell(const struct echo_impl *impl, struct echo_params params,
		    struct echo_result *result, struct figure *figure)
{
	bool failed = false;
	pid_t pids[2];

	params.port = pick_port();
	memset(result, 0, offsetof(struct echo_result, rtt_ns));
	fflush(stdout);
	for (int role = 0; role < 2; role++) {
		pids[role] = fork();
		if (pids[role] < 0) {
			perror("fork");
			exit(1);
		}
		if (!pids[role])
			_exit(run_end(impl, (enum echo_role)role, &params, result) ? 1 : 0);
	}
	for (int role = 0; role < 2; role++) {
		int status;

		if (waitpid(pids[role], &status, 0) < 0 || status)
			failed = true;
	}
	if (failed || !result->nsamples)
		return -1;
	qsort(result->rtt_ns, result->nsamples, sizeof(uint32_t), compare_u32);
	figure->rtt_us = result->rtt_ns[result->nsamples / 2] / 1e3;
	figure->rtt_min_us = result->rtt_ns[0] / 1e3;
	figure->msgs_per_s = (double)result->nmsgs * 1e9 / (double)result->elapsed_ns;
	figure->nivcsw = result->nivcsw[0] + result->nivcsw[1];
	return 0;
}

/*
 * Prints one line: medians and best over the rounds, and the ratio to the first implementation
 * as the median of the ratios within each round.
 */
static void print_line(const char *name, const struct figure *base, const struct figure *own,
		       unsigned int rounds)
{
	double rtt[ROUNDS_MAX], tput[ROUNDS_MAX], rtt_ratio[ROUNDS_MAX], tput_ratio[ROUNDS_MAX];
	double rtt_min_us = own[0].rtt_min_us;
	double rtt_best, tput_best;
	long nivcsw = 0;

	for (unsigned int r = 0; r < rounds; r++) {
		rtt[r] = own[r].rtt_us;
		tput[r] = own[r].msgs_per_s / 1e3;
		rtt_ratio[r] = own[r].rtt_us / base[r].rtt_us;
		tput_ratio[r] = own[r].msgs_per_s / base[r].msgs_per_s;
		if (own[r].rtt_min_us < rtt_min_us)
			rtt_min_us = own[r].rtt_min_us;
		nivcsw += own[r].nivcsw;
	}
	rtt_best = (median(rtt, rounds), rtt[0]);
	tput_best = (median(tput, rounds), tput[rounds - 1]);
	printf("%-16s %8.2f %8.2f %8.2f %7.3f | %8.1f %8.1f %7.3f | %6ld\n", name,
	       median(rtt, rounds), rtt_best, rtt_min_us, median(rtt_ratio, rounds),
	       median(tput, rounds), tput_best, median(tput_ratio, rounds), nivcsw);
}

static void run_all(const struct options *opt, struct echo_result *result)
{
	unsigned int ncombos = opt->nsizes * opt->nnconns;
	struct figure *figures;

	figures = calloc((size_t)ncombos * opt->nimpls * opt->rounds, sizeof(*figures));
	if (!figures) {
		perror("calloc");
		exit(1);
	}
#define FIGURE(combo, impl, round) \
	(&figures[((size_t)(combo)*opt->nimpls + (impl)) * opt->rounds + (round)])
	for (unsigned int r = 0; r < opt->rounds; r++) {
		for (unsigned int k = 0; k < ncombos; k++) {
			struct echo_params params = {
				.msg_bytes = opt->sizes[k / opt->nnconns],
				.nconns = opt->nconns[k % opt->nnconns],
				.run_ns = opt->run_ms * 1000000ull,
			};

			for (unsigned int i = 0; i < opt->nimpls; i++) {
				if (run_cell(opt->impls[i], params, result, FIGURE(k, i, r)))
					exit(1);
			}
		}
	}
	for (unsigned int k = 0; k < ncombos; k++) {
		printf("\n%zu B, %u connection(s), %u rounds of %u ms\n",
		       opt->sizes[k / opt->nnconns], opt->nconns[k % opt->nnconns], opt->rounds,
		       opt->run_ms);
		printf("%-16s %8s %8s %8s %7s | %8s %8s %7s | %6s\n", "", "rtt us", "best rd",
		       "min", "ratio", "k msg/s", "best rd", "ratio", "preem.");
		for (unsigned int i = 0; i < opt->nimpls; i++)
			print_line(opt->impls[i]->name, FIGURE(k, 0, 0), FIGURE(k, i, 0),
				   opt->rounds);
	}
#undef FIGURE
	free(figures);
}

static void usage(void)
{
	fprintf(stderr, "usage: echo_bench [-i impl,...] [-s bytes,...] [-c conns,...] "
			"[-r rounds] [-t ms]\nimplementations:");
	for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++) {
		for (size_t i = 0; families[f][i]; i++)
			fprintf(stderr, " %s", families[f][i]->name);
	}
	fprintf(stderr, "\n");
	exit(2);
}

/* Adds the implementations called name; all of them when name is NULL. */
static void add_impl(struct options *opt, const char *name)
{
	unsigned int before = opt->nimpls;

	for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++) {
		for (size_t i = 0; families[f][i] && opt->nimpls < IMPLS_MAX; i++) {
			if (!name || !strcmp(name, families[f][i]->name))
				opt->impls[opt->nimpls++] = families[f][i];
		}
	}
	if (opt->nimpls == before)
		usage();
}

/* Parses "a,b,c" into at most SIZES_MAX numbers of 1..max. */
static unsigned int parse_list(char *text, unsigned long max, void (*put)(void *, unsigned long),
			       void *ctx)
{
	unsigned int n = 0;

	for (char *word = strtok(text, ","); word && n < SIZES_MAX; word = strtok(NULL, ",")) {
		unsigned long value = strtoul(word, NULL, 10);

		if (value < 1 || value > max)
			usage();
		put(ctx, value);
		n++;
	}
	return n;
}

static void put_size(void *ctx, unsigned long value)
{
	struct options *opt = ctx;

	opt->sizes[opt->nsizes++] = value;
}

static void put_nconns(void *ctx, unsigned long value)
{
	struct options *opt = ctx;

	opt->nconns[opt->nnconns++] = (unsigned int)value;
}

static void parse_options(struct options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "i:s:c:r:t:")) != -1) {
		switch (c) {
		case 'i':
			for (char *w = strtok(optarg, ","); w; w = strtok(NULL, ","))
				add_impl(opt, w);
			break;
		case 's':
			parse_list(optarg, ECHO_MSG_MAX, put_size, opt);
			break;
		case 'c':
			parse_list(optarg, ECHO_CONNS_MAX, put_nconns, opt);
			break;
		case 'r':
			opt->rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 't':
			opt->run_ms = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		default:
			usage();
		}
	}
	if (!opt->rounds || opt->rounds > ROUNDS_MAX || !opt->run_ms)
		usage();
}

int main(int argc, char **argv)
{
	struct options opt = {.rounds = 7, .run_ms = 350};
	struct echo_result *result;

	parse_options(&opt, argc, argv);
	if (!opt.nimpls)
		add_impl(&opt, NULL);
	if (!opt.nsizes) {
		put_size(&opt, 64);
		put_size(&opt, 4096);
	}
	if (!opt.nnconns) {
		put_nconns(&opt, 1);
		put_nconns(&opt, 64);
	}
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (result == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	run_all(&opt, result);
	return 0;
}
