/* SPDX-License-Identifier: MIT */
/*
 * TCP by scripted segments: one station has the stack under test, a mute one plays its peer, as the
 * test says segment by segment, on a calm link in simulated time.
 *
 *	script_begin(*state, &(struct script_options){.timestamps = true});
 *	open_passive();
 *	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
 *	expect_within(0, 500 * MS, .flags = ACK, .seq = 1, .ack = 101);
 *	script_end();
 *
 * Sequence numbers are relative: each side's SYN is 0, its first byte 1. Both streams have one
 * pattern, which is checked byte by byte. Of every frame of the stack this is checked too, whatever
 * the test asks for: checksums, lengths, options only where they may be, acknowledgments of nothing
 * that was not sent, data within the peer's window and MSS, a window whose edge does not go back.
 *
 * A failure prints all segments so far, in the manner of tcpdump; "<" is injected, ">" heard.
 */
#ifndef DEMI_TESTS_TCP_SCRIPT_H
#define DEMI_TESTS_TCP_SCRIPT_H

#include "../sim/world.h"

#include "net/tcp/congestion.h"
#include "net/tcp/tcp.h"
#include "wire/tcp.h"

enum {
	FIN = TCP_FIN,
	SYN = TCP_SYN,
	RST = TCP_RST,
	PSH = TCP_PSH,
	ACK = TCP_ACK,
	URG = TCP_URG,
	ECE = TCP_ECE,
	CWR = TCP_CWR,
};

#define HOST_PORT 80u   /* of the stack; an active opener's is learned from its SYN */
#define PEER_PORT 4000u /* of the test */
#define LINK_NS (10 * US)
#define PROMPT_NS (2 * MS)    /* what is to be sent at once is sent within this */
#define DELAYED_NS (500 * MS) /* RFC 9293, 3.8.6.3: an acknowledgment waits no longer */
#define PEER_ISS 1000000u
#define PEER_WINDOW 65535u
#define SCRIPT_FLOWS_MAX 512u
#define SCRIPT_HEARD_MAX 4096u
#define SCRIPT_LINES_MAX 64u
#define SCRIPT_TOLD_MAX 256u

/* What of a pattern is not looked at. */
enum {
	ANY_SEQ = 1 << 0,
	ANY_ACK = 1 << 1,
	ANY_LENGTH = 1 << 2,
	ANY_FLAGS = 1 << 3,
	ANY_PORT = 1 << 4,
};

/** A segment: injected, heard, or a pattern for what is heard. */
struct segment {
	uint8_t flags;   /* as a pattern: exactly these, but PSH */
	uint32_t seq;    /* relative to its sender's SYN */
	uint32_t ack;    /* relative to the other's SYN */
	uint32_t length; /* bytes of payload */
	uint32_t window; /* the header's field; injected, 0 is script.peer_window */
	uint32_t ignore; /* of a pattern: ANY_ */

	/* Options. As a pattern: looked at where they are not 0. */
	uint16_t mss;
	bool scaling;
	uint8_t shift;
	bool sack_permitted;
	uint8_t sack_count;
	struct tcp_sack_block sack[TCP_SACK_BLOCKS_MAX]; /* relative to who receives the segment */
	bool has_timestamp; /* injected: by itself, once both have them */
	uint32_t timestamp; /* injected, 0: script_peer_time */
	uint32_t echo;      /* injected, 0: the last one heard */

	uint16_t peer_port; /* 0: PEER_PORT */
	uint16_t host_port; /* 0: HOST_PORT, or that of the stack's SYN */
	uint8_t traffic_class;
	uint16_t urgent;

	/* Injected only. */
	bool zero_window;
	bool no_timestamp;   /* though both have them */
	bool echoes_nothing; /* the echo is 0 */
	bool garbage;        /* the payload is not the stream's */
	bool bad_checksum;
	const uint8_t *options; /* instead of the options above */
	uint8_t option_bytes;   /* multiple of 4 */
	uint8_t offset_bytes;   /* header length that is claimed; 0: the right one */
	uint8_t reserved;       /* the four bits between offset and flags */
	const struct ip_address *source, *destination; /* NULL: the peer's, the stack's */
	bool to_all;                                   /* in a broadcast frame of Ethernet */

	/* Heard only. */
	uint64_t at_ns;       /* when the stack sent it */
	uint8_t option_space; /* bytes of options */
	uint8_t hop_limit;
	bool dont_fragment;
};

/** How a connection is opened and what the peer offers; all zero: options but MSS 1460 or 1440. */
struct script_options {
	uint16_t mss; /* the peer's; 0: the link's */
	bool no_mss;  /* it offers none */
	bool scaling; /* and shift */
	uint8_t shift;
	bool sack;
	bool timestamps;
	bool ecn;          /* asks for it, or grants it */
	uint32_t peer_iss; /* 0: PEER_ISS */
	uint16_t window;   /* of the peer, as in the header; 0: PEER_WINDOW */
	uint64_t rtt_ns;   /* before the SYN-ACK or the ACK of it is answered; 0: at once */
	uint32_t mtu;      /* of the link; 0: 1500 */
	uint64_t seed;
	bool no_delay_off;          /* Nagle */
	bool refuses;               /* the application takes no data by itself */
	bool reuse_address;         /* SO_REUSEADDR */
	uint32_t receive_bytes;     /* SO_RCVBUF */
	int backlog;                /* 0: 8 */
	struct net_tcp_options tcp; /* connections_max 0: script_tcp() */
};

struct script_told {
	uintptr_t push;
	int error;
};

/** The application: one socket. */
struct app {
	struct tcp_conn *conn;  /* NULL: closed by us */
	bool refuses;           /* takes no data by itself: app_take */
	uint32_t answers_bytes; /* pushed for each segment received; 0: none */
	uint32_t acceptable;
	uint32_t connects; /* times that it was told */
	int connect_error;
	uint64_t received; /* bytes, all of the pattern */
	uint32_t ends;
	int end_error;
	uint64_t pushed; /* bytes */
	uintptr_t pushes;
	uint32_t told_count;
	struct script_told told[SCRIPT_TOLD_MAX];
	uint32_t closes;
	int close_error;
};

/** One connection as the peer sees it: by its port and that of the stack. */
struct flow {
	uint16_t peer_port, host_port;
	uint32_t host_iss, peer_iss;
	bool is_known; /* the stack has sent a SYN */
	bool host_timestamps, peer_timestamps;
	bool host_sack, peer_sack;
	bool host_scaling, peer_scaling;
	uint8_t host_shift, peer_shift;
	uint16_t peer_mss;     /* 0: none was offered */
	uint32_t host_echo;    /* last timestamp heard */
	uint32_t peer_sent;    /* relative end of what was injected, in window or not */
	uint32_t host_sent;    /* relative end of what was heard */
	uint32_t send_edge;    /* relative; the furthest that the peer allowed */
	uint32_t receive_edge; /* relative; the furthest that the stack advertised */
	bool has_send_edge, has_receive_edge;
};

struct script {
	struct world world;
	struct station *host, *peer;
	struct ip_address host_ip, peer_ip;
	struct script_options options;
	bool is_v6;
	uint64_t begin_ns;
	uint64_t
		event_ns; /* of the last injection, call or match: what expect_within counts from */

	struct app listener, app;
	struct flow flows[SCRIPT_FLOWS_MAX];
	uint32_t flow_count;
	uint16_t active_port; /* of the stack's last SYN */
	uint32_t peer_window; /* what inject offers where the test does not say */

	/* Turned off by tests that go beyond them. */
	bool allows_beyond_window;
	bool allows_shrinking;
	bool allows_any_payload;

	struct segment heard[SCRIPT_HEARD_MAX];
	uint32_t heard_count, heard_next;
	uint32_t icmp_heard; /* ICMP errors of the stack's */

	char lines[SCRIPT_LINES_MAX][192];
	uint64_t line_count;
	bool is_over; /* nothing is looked at any more */
	bool halts;   /* time stands still when something is heard */
};

extern struct script script;

/** script_tcp - the defaults of the stack, to be changed */
struct net_tcp_options script_tcp(void);

/** script_begin - a stack and a peer; @version: of the test, SCRIPT_V4 or SCRIPT_V6 */
void script_begin(const void *version, const struct script_options *options);

/** script_end - no segment waits; all is closed by resets, time passes, and nothing is left */
void script_end(void);

/** script_end_quietly - likewise, when whatever the stack says last does not matter */
void script_end_quietly(void);

/* ---- Segments ---- */

void script_inject(const struct segment *segment);
const struct segment *script_expect(const char *file, int line, uint64_t from_ns, uint64_t to_ns,
				    const struct segment *pattern);
void script_expect_nothing(const char *file, int line, uint64_t ns);
_Noreturn void script_fail(const char *file, int line, const char *what,
			   const struct segment *pattern);

/** inject - the peer sends it, and it has arrived when this returns */
#define inject(...) script_inject(&(struct segment){__VA_ARGS__})

/** expect - the next segment of the stack, which is sent at once. Return: it, until the next call */
#define expect(...) script_expect(__FILE__, __LINE__, 0, PROMPT_NS, &(struct segment){__VA_ARGS__})

/** expect_within - the next one, sent so long after the last injection, call or match */
#define expect_within(from_ns, to_ns, ...) \
	script_expect(__FILE__, __LINE__, from_ns, to_ns, &(struct segment){__VA_ARGS__})

/** expect_nothing - the stack sends nothing for so long */
#define expect_nothing(ns) script_expect_nothing(__FILE__, __LINE__, ns)

/** check - a condition; what was sent so far is printed when it fails */
#define check(condition)                                                   \
	do {                                                               \
		if (!(condition))                                          \
			script_fail(__FILE__, __LINE__, #condition, NULL); \
	} while (0)

/** advance - let time pass; what the stack sends waits to be expected */
void advance(uint64_t ns);

/** script_next - the next segment of the stack within @ns, whatever it is; NULL: none */
const struct segment *script_next(uint64_t ns);

/** script_skip - forget what was heard and not expected; how many that were */
uint32_t script_skip(void);

uint64_t script_now(void);

/** script_flow - made when it is not there; ports 0: as in a segment */
struct flow *script_flow(uint16_t peer_port, uint16_t host_port);

/** script_renew - another incarnation of the flow: of the peer with this initial number */
void script_renew(uint16_t peer_port, uint16_t host_port, uint32_t peer_iss);

/** script_peer_time - the peer's clock for timestamps, ms */
uint32_t script_peer_time(void);

/** script_window - what the window of a segment heard means, bytes */
uint32_t script_window(const struct segment *segment);

/* ---- ICMP ---- */

enum script_icmp {
	ICMP_TOO_BIG,
	ICMP_NO_PORT,
	ICMP_NO_HOST,
	ICMP_NO_NETWORK,
	ICMP_NO_PROTOCOL,
	ICMP_PROHIBITED,
	ICMP_TIME_EXCEEDED,
	ICMP_BAD_FIELD,     /* parameter problem */
	ICMP_SOURCE_QUENCH, /* IPv4 alone */
};

struct icmp_injection {
	enum script_icmp kind;
	uint32_t mtu;
	uint32_t seq;                  /* relative, of the quoted segment */
	uint16_t peer_port, host_port; /* 0: as in a segment */
	uint32_t quoted_length;        /* bytes of the quoted segment's payload */
};

void script_inject_icmp(const struct icmp_injection *icmp);
#define inject_icmp(...) script_inject_icmp(&(struct icmp_injection){__VA_ARGS__})

/* ---- The application ---- */

/** app_listen - at HOST_PORT */
void app_listen(void);

/** app_accept - script.app becomes the connection */
void app_accept(void);

/** app_open - script.app is a socket with the options of the script */
void app_open(void);

/** app_connect - app_open, and to PEER_PORT */
void app_connect(void);

/** app_push - so many bytes in one push; app_try_push: what tcp_push returns */
void app_push(uint32_t length);
int app_try_push(uint32_t length);

/** app_take - all that waits; bytes */
uint32_t app_take(void);

/** app_pushed - pushes that were told to be whole; none must have failed */
uint32_t app_pushed(void);

void app_shutdown(int how);

/** app_close - and be told of it */
void app_close(void);

/** app_drop - close, and know it no more */
void app_drop(void);

/** app_linger_zero - the next close resets */
void app_linger_zero(void);

enum tcp_state app_state(void);
struct tcp_stats app_stats(void);
struct tcp_settings *app_settings(void);
struct tcp_counts script_counts(void);

/* ---- Openings ---- */

/** script_syn - the peer's SYN or SYN-ACK as the script's options say */
struct segment script_syn(uint8_t flags, uint32_t ack);

/** open_passive - the peer connects to a listener, and the connection is accepted */
void open_passive(void);

/** open_active - the stack connects */
void open_active(void);

/* ---- States: a connection is opened passively and brought there ---- */

void reach_syn_received(void);
void reach_fin_wait_1(void);
void reach_fin_wait_2(void);
void reach_close_wait(void);
void reach_closing(void);
void reach_last_ack(void);
void reach_time_wait(void);

/** pass_data - the stack pushes @count segments of 100 bytes, each acknowledged after @rtt_ns */
void pass_data(uint32_t count, uint64_t rtt_ns);

/** script_mss - payload of a full segment of the stack's */
uint32_t script_mss(void);

/** push_segments - so many full ones in one push, sent at once; the relative number of the first */
uint32_t push_segments(uint32_t count);

/** expect_refusal - the stack says nothing, or resets; no SYN-ACK, and no connection comes of it */
void expect_refusal(void);

/* ---- Between the files of the script ---- */

/** script_byte - of either stream, at an offset */
uint8_t script_byte(uint64_t offset);

/** script_hear - a frame has come to the peer */
void script_hear(struct station *station, const uint8_t *data, uint32_t length);

/** script_print - as a line in the manner of tcpdump */
void script_print(char *line, size_t room, char direction, uint64_t at_ns,
		  const struct segment *segment);

/** script_log - for a failure to print */
void script_log(char direction, uint64_t at_ns, const struct segment *segment);

/** script_touch - the stack's clock is right for a call, from which times count now */
void script_touch(void);

void script_app_free(void);

/* ---- Tests ---- */

extern const char SCRIPT_V4[], SCRIPT_V6[];

#define SCRIPT_TEST_V4(test)                                                  \
	{                                                                     \
#test "/ipv4", test, NULL, NULL, (void *)(uintptr_t)SCRIPT_V4 \
	}
#define SCRIPT_TEST_V6(test)                                                  \
	{                                                                     \
#test "/ipv6", test, NULL, NULL, (void *)(uintptr_t)SCRIPT_V6 \
	}

/** SCRIPT_TEST - a test of both versions, for a list of struct CMUnitTest */
#define SCRIPT_TEST(test) SCRIPT_TEST_V4(test), SCRIPT_TEST_V6(test)

#endif /* DEMI_TESTS_TCP_SCRIPT_H */
