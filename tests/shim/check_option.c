// SPDX-License-Identifier: MIT
/* Options of sockets. socket(7), tcp(7), ip(7), ipv6(7) */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static void say_option(const char *what, int fd, int level, int name)
{
	int value = -77;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, &value, &len) != 0)
		outcome(what, -1);
	else
		say(what, "%d, %u bytes", value, len);
}

static void set_option(const char *what, int fd, int level, int name, int value)
{
	outcome(what, setsockopt(fd, level, name, &value, sizeof(value)));
}

/* What is set is read back. */
static void both(const char *what, int fd, int level, int name, int value)
{
	set_option(what, fd, level, name, value);
	say_option(what, fd, level, name);
}

static void facts(const char *what, int fd)
{
	say("of", "%s", what);
	say_option("SO_TYPE", fd, SOL_SOCKET, SO_TYPE);
	say_option("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
	say_option("SO_PROTOCOL", fd, SOL_SOCKET, SO_PROTOCOL);
	say_option("SO_ACCEPTCONN", fd, SOL_SOCKET, SO_ACCEPTCONN);
	say_error("SO_ERROR", fd);
}

static void what_it_is(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	int listening = listener(way->family, 1, NULL);
	int udp = socket(way->family, SOCK_DGRAM, 0);
	int fresh = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	facts("a connection", fd);
	facts("a listener", listening);
	facts("a datagram socket", udp);
	facts("a fresh socket", fresh);
	set_option("SO_TYPE cannot be set", fd, SOL_SOCKET, SO_TYPE, 1);
	set_option("nor SO_ACCEPTCONN", fd, SOL_SOCKET, SO_ACCEPTCONN, 1);
	set_option("nor SO_ERROR", fd, SOL_SOCKET, SO_ERROR, 1);
	close(fd);
	close(listening);
	close(udp);
	close(fresh);
}

static void of_all(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	both("SO_REUSEADDR", fd, SOL_SOCKET, SO_REUSEADDR, 1);
	both("SO_REUSEADDR off", fd, SOL_SOCKET, SO_REUSEADDR, 0);
	both("SO_REUSEPORT", fd, SOL_SOCKET, SO_REUSEPORT, 1);
	both("SO_KEEPALIVE", fd, SOL_SOCKET, SO_KEEPALIVE, 7);
	both("SO_KEEPALIVE off", fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	both("SO_BROADCAST", fd, SOL_SOCKET, SO_BROADCAST, 1);
	both("SO_OOBINLINE", fd, SOL_SOCKET, SO_OOBINLINE, 1);
	both("SO_PRIORITY", fd, SOL_SOCKET, SO_PRIORITY, 3);
	both("SO_DONTROUTE", fd, SOL_SOCKET, SO_DONTROUTE, 0);
	both("SO_RCVLOWAT", fd, SOL_SOCKET, SO_RCVLOWAT, 1);
	both("SO_MARK", fd, SOL_SOCKET, SO_MARK, 0);
	close(fd);
}

/* Linux doubles what is asked for, for its own bookkeeping: socket(7). */
static void buffers(const struct way *way)
{
	int slot, fd = stream(way, &slot), size = 0;
	socklen_t len = sizeof(size);

	both("SO_SNDBUF", fd, SOL_SOCKET, SO_SNDBUF, 65536);
	both("SO_RCVBUF", fd, SOL_SOCKET, SO_RCVBUF, 65536);
	set_option("SO_SNDBUF of nothing", fd, SOL_SOCKET, SO_SNDBUF, 0);
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len);
	say("is something", "%d", size > 0);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
	fd = socket(way->family, SOCK_DGRAM, 0);
	both("of datagrams, SO_RCVBUF", fd, SOL_SOCKET, SO_RCVBUF, 100000);
	close(fd);
}

static void lingering(const struct way *way)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 3};
	socklen_t len = sizeof(linger);
	int slot, fd = stream(way, &slot);

	outcome("set", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	memset(&linger, 0, sizeof(linger));
	outcome("get", getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len));
	say("is", "%d %d, %u bytes", linger.l_onoff, linger.l_linger, len);
	outcome("cut short", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4));
	linger.l_onoff = 0;
	outcome("off", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(fd);
}

static void of_tcp(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	say_option("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY);
	both("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY, 1);
	both("TCP_CORK", fd, IPPROTO_TCP, TCP_CORK, 1);
	both("TCP_CORK off", fd, IPPROTO_TCP, TCP_CORK, 0);
	both("TCP_KEEPIDLE", fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	both("TCP_KEEPINTVL", fd, IPPROTO_TCP, TCP_KEEPINTVL, 20);
	both("TCP_KEEPCNT", fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_option("TCP_KEEPIDLE of nothing", fd, IPPROTO_TCP, TCP_KEEPIDLE, 0);
	set_option("TCP_KEEPCNT of too many", fd, IPPROTO_TCP, TCP_KEEPCNT, 1000);
	both("TCP_USER_TIMEOUT", fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
	both("TCP_SYNCNT", fd, IPPROTO_TCP, TCP_SYNCNT, 3);
	set_option("TCP_QUICKACK", fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	set_option("TCP_LINGER2", fd, IPPROTO_TCP, TCP_LINGER2, 5);
	set_option("TCP_MAXSEG too small", fd, IPPROTO_TCP, TCP_MAXSEG, 1);
	set_option("an option that is none", fd, IPPROTO_TCP, 9999, 1);
	say_option("an option that is none", fd, IPPROTO_TCP, 9999);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
	fd = listener(way->family, 1, NULL);
	set_option("TCP_DEFER_ACCEPT", fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	set_option("TCP_FASTOPEN", fd, IPPROTO_TCP, TCP_FASTOPEN, 0);
	both("a listener's TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY, 1);
	close(fd);
}

/* What is set on the listener, its connections have. */
static void inherited(const struct way *way)
{
	int listening = listener(way->family, 4, NULL);

	set_option("TCP_NODELAY", listening, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option("SO_KEEPALIVE", listening, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option("TCP_KEEPIDLE", listening, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));
	wait_for(listening, POLLIN);
	int fd = (int)must("accept", accept(listening, NULL, NULL));
	say_option("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY);
	say_option("SO_KEEPALIVE", fd, SOL_SOCKET, SO_KEEPALIVE);
	say_option("TCP_KEEPIDLE", fd, IPPROTO_TCP, TCP_KEEPIDLE);
	close(fd);
	close(listening);
}

/* Held back while it is corked, sent when it is not. */
static void corked(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	set_option("cork", fd, IPPROTO_TCP, TCP_CORK, 1);
	outcome("write", write(fd, "hel", 3));
	say_peer("nothing is sent", "nothing %d", slot);
	outcome("write", write(fd, "lo", 2));
	set_option("uncork", fd, IPPROTO_TCP, TCP_CORK, 0);
	say_peer("text", "hear %d 5", slot);
	close(fd);
}

static void congestion(const struct way *way)
{
	char name[32] = "";
	socklen_t len = sizeof(name);
	int slot, fd = stream(way, &slot);

	outcome("get", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	say("has a name", "%d", name[0] != '\0');
	outcome("cubic", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5));
	outcome("one that is none", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
	close(fd);
}

static void information(const char *what, int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (outcome(what, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len)) == 0)
		say("state", "%d, %s", info.tcpi_state, len >= 104 ? "long enough" : "short");
}

static void state(const struct way *way)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int slot, fd = stream(way, &slot);

	information("established", fd);
	must("write", write(fd, "hello", 5));
	peer("hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	say("mss", "%d", info.tcpi_snd_mss > 500 && info.tcpi_snd_mss < 1461);
	say("window", "%d", info.tcpi_snd_cwnd > 0);
	say("rtt", "%d", info.tcpi_rtt > 0 && info.tcpi_rtt < 10000000);
	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	information("the peer has ended", fd);
	len = 8;
	outcome("cut short", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	say("length", "%u", len);
	say_option("as a number", fd, IPPROTO_TCP, TCP_INFO);
	close(fd);
	fd = socket(way->family, SOCK_STREAM, 0);
	information("fresh", fd);
	close(fd);
	fd = listener(way->family, 1, NULL);
	information("listening", fd);
	close(fd);
}

static void segment_size(const struct way *way)
{
	int slot, fd = stream(way, &slot), size = 0;
	socklen_t len = sizeof(size);

	outcome("get", getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &size, &len));
	say("likely", "%d", size >= 1380 && size <= 1460);
	close(fd);
}

static void of_ip(const struct way *way)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)way;
	both("IP_TOS", fd, IPPROTO_IP, IP_TOS, 0x10);
	say_option("IP_TTL", fd, IPPROTO_IP, IP_TTL);
	both("IP_TTL", fd, IPPROTO_IP, IP_TTL, 33);
	set_option("IP_TTL too large", fd, IPPROTO_IP, IP_TTL, 256);
	both("IP_MTU_DISCOVER", fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	set_option("an option that is none", fd, IPPROTO_IP, 9999, 1);
	set_option("an option of the other family", fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	say_option("IPV6_V6ONLY", fd, IPPROTO_IPV6, IPV6_V6ONLY);
	both("IPV6_V6ONLY", fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	both("IPV6_TCLASS", fd, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
	both("IPV6_UNICAST_HOPS", fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33);
	set_option("an option that is none", fd, IPPROTO_IPV6, 9999, 1);
	close(fd);
}

static void wrong(const struct way *way)
{
	int value = 1, fd = socket(way->family, SOCK_STREAM, 0);
	socklen_t len;

	set_option("a level that is none", fd, 9999, 1, 1);
	say_option("a level that is none", fd, 9999, 1);
	set_option("an option that is none", fd, SOL_SOCKET, 9999, 1);
	say_option("an option that is none", fd, SOL_SOCKET, 9999);
	outcome("cut short", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 2));
	outcome("cut short", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 2));
	outcome("cut short", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, 4));
	len = 2;
	outcome("read cut short", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
	say("length", "%u", len);
	len = 0;
	outcome("read nothing", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
	len = (socklen_t)-1;
	outcome("read less than nothing", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
	len = 64;
	char room[64];
	outcome("read with room to spare", getsockopt(fd, SOL_SOCKET, SO_TYPE, room, &len));
	say("length", "%u", len);
	close(fd);
	fd = socket(way->family, SOCK_DGRAM, 0);
	set_option("TCP's of datagrams", fd, IPPROTO_TCP, TCP_NODELAY, 1);
	close(fd);
}

const struct check option_checks[] = {
	{"what a socket is", what_it_is, EACH_WAY},
	{"options of all sockets", of_all, EACH_WAY},
	{"options of buffers", buffers, EACH_WAY},
	{"option of lingering", lingering, EACH_WAY},
	{"options of tcp", of_tcp, EACH_WAY},
	{"options inherited", inherited, EACH_FAMILY},
	{"corked", corked, EACH_WAY},
	{"congestion control", congestion, EACH_WAY},
	{"information on tcp", state, EACH_WAY},
	{"segment size", segment_size, EACH_WAY},
	{"options of ip", of_ip, ONCE},
	{"wrong options", wrong, EACH_FAMILY},
	{NULL, NULL, 0},
};
