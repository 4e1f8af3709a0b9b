/* SPDX-License-Identifier: MIT */
/*
 * Programs that use Catmint at random, and who judges what they are told: the bytes of each direction of a
 * connection are those that were pushed, in order; each operation completes once, with an outcome that
 * what has happened explains.
 */
#ifndef DEMI_TESTS_SIM_CATMINT_JUDGE_H
#define DEMI_TESTS_SIM_CATMINT_JUDGE_H

#include "catmint_world.h"

#define CHANNELS 24u
#define PORT_LISTEN 80u
#define PORT_FIRST 10000u /* of clients: and the channel's number */
#define PUSH_BYTES_MAX (3u << 20)

struct end;

/** Something pushed. */
struct push {
	struct push *next; /* in the stream */
	struct end *end;   /* that pushed it */
	uint32_t number;   /* which its bytes follow from */
	uint32_t bytes;
	uint32_t received; /* of these */
	bool is_pending;
	bool is_withdrawn;    /* cancelled: in no stream */
	bool is_copied;       /* it may complete before it goes */
	int error;            /* once it is complete */
	uint32_t piece_count; /* that the program keeps until it is complete */
	void *pieces[DEMI_SGARRAY_MAXSIZE];
	uint32_t piece_bytes[DEMI_SGARRAY_MAXSIZE];
};

/** One direction, as it should be: what the end pushed and the other has not received. */
struct stream {
	struct push *head, *tail; /* of those that are pending or have not been received */
	uint64_t pushed, received;
};

enum end_state { END_NONE, END_CONNECTING, END_OPEN, END_CLOSED };

struct end {
	struct channel *channel;
	struct host *host;
	struct queue *queue;
	enum end_state state;
	struct stream out;
	unsigned int pops, pushes; /* pending */
	bool is_shut;              /* for writing, by us */
	bool is_deaf;              /* for reading */
	bool has_ended;            /* the peer's end, or an error, was popped */
	bool is_aborted;           /* something was done after which data may be lost */
	int error;                 /* that an operation completed with */
};

struct channel {
	struct end ends[2]; /* who connected; who accepted */
	bool was_refused;
};

/** What the programs may do, and what may come of it. */
struct judge {
	struct channel channels[CHANNELS];
	unsigned int channel_count;
	struct queue *listeners[HOSTS];
	unsigned int accepts[HOSTS];
	unsigned int pushes_max; /* of an end at a time; when they are many they are short */
	bool is_gentle;  /* nobody cancels, resets, or closes before the other's end has come */
	bool has_faults; /* of a kind that ends connections */
	bool is_short;   /* of memory, or of room: anything may be refused */
	bool is_small;   /* the heap: it may be full for good */
	bool is_over;    /* nothing new is begun */
	uint64_t pushed, received, connected, failed;
};

extern struct judge judge;

/** judge_begin, judge_end - forget everything; of the end, free what programs still have */
void judge_begin(void);
void judge_end(void);

/** judge_bytes - what a push has */
const unsigned char *judge_bytes(uint32_t number);

/** judge_pushed - @push is the last of its end's stream; judge_unpushed - it was cancelled */
void judge_pushed(struct push *push);
void judge_unpushed(struct push *push);

/** judge_issued - who the operation is for: @end, @push, or the listener of a host */
void judge_issued(struct host *host, const struct op *op, struct end *end, struct push *push);

/** judge_refused - it was not begun, and is free; judge_find - whose it is */
void judge_refused(struct host *host, struct op *op);
void judge_find(const struct host *host, const struct op *op, struct end **end_out,
		struct push **push_out);

/** judge_take - what has completed, of all hosts */
void judge_take(void);

/** judge_assert_all_arrived - of connections that nothing has happened to */
void judge_assert_all_arrived(void);

/** judge_expect_anything - everything is ended while it is under way */
void judge_expect_anything(void);

static inline struct end *judge_peer(const struct end *end)
{
	return &end->channel->ends[end == &end->channel->ends[0]];
}

/* ---- catmint_program.c ---- */

void program_listen(struct host *host);

/** program_act - something at random */
void program_act(void);

/** program_finish - one round of bringing everything to its end; true: that is done */
bool program_finish(void);

/** program_close - at once, whatever there is */
void program_close(struct end *end);

/** program_unlisten - close the listeners */
void program_unlisten(void);

#endif /* DEMI_TESTS_SIM_CATMINT_JUDGE_H */
