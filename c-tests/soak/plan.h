/*
 * What is to happen on each connection of the soak. Both processes make the same plan of a seed and a number, so that each
 * knows what the other one is about to do.
 */
#ifndef SSLSOCK_SOAK_PLAN_H
#define SSLSOCK_SOAK_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Random numbers that are the same on every machine. */
struct dice {
    uint64_t state;
};
uint64_t roll(struct dice *dice);
/* From 0 to `below` - 1. */
uint64_t roll_below(struct dice *dice, uint64_t below);
/* 1 to `most`, each order of magnitude as likely as the others. */
uint64_t roll_size(struct dice *dice, uint64_t most);

enum path { EXPLICIT, TCP_PAIR, UNIX_PAIR, PATHS };

enum ending {
    /* Whoever has sent everything ends its direction; both read to the end. */
    BOTH_HALF_CLOSE,
    /* The peer sends nothing before our direction has ended. */
    OURS_ENDS_FIRST,
    /* The other way round. */
    PEER_ENDS_FIRST,
    /* A close without a shutdown before, when all that the peer has said has been read. */
    OURS_CLOSES,
    /* The same while the peer goes on sending. */
    OURS_CLOSES_UNREAD,
    /* SO_LINGER {1, 0}. */
    OURS_RESETS,
    /* close_notify, and a close without reading what comes. */
    PEER_CLOSES,
    PEER_RESETS,
    /* The end of the TCP connection without close_notify; the peer goes on reading. */
    PEER_TRUNCATES,
    /* The peer closes instead of answering in the handshake. */
    PEER_DIES_IN_HANDSHAKE,
    /* So do we, between two calls of ssl_perform_handshake. */
    OURS_DIES_IN_HANDSHAKE,
    ENDINGS
};

struct plan {
    uint64_t number;
    /* Ours is the server. */
    bool server;
    bool ipv6;
    bool tls13;
    enum path path;
    enum ending ending;
    /* The descriptor of ours; two threads of the program's wait in its calls. */
    bool blocking;
    bool allow_truncation;
    /* In transparent mode: ssl_send, ssl_recv and ssl_shutdown rather than the system's calls. */
    bool handle_calls;
    /* In transparent mode: the handle is freed as soon as the handshake has been made. */
    bool freed_early;
    /* Otherwise: before the descriptor is closed, not after. */
    bool freed_first;
    /* The descriptor stays in the epoll instance during the upgrade. */
    bool watched_before;
    /* Where it need not: ours ends its direction when it has sent everything. */
    bool ends;
    /* The peer reads nothing before it has sent everything, as one thread with calls that wait would. */
    bool talks_first;
    bool ours_stalls;
    bool peer_stalls;
    /* How much each side sends, if nothing comes between. */
    uint64_t up;
    uint64_t down;
    /* After how much of it ours or the peer resets or truncates. */
    uint64_t up_cut;
    uint64_t down_cut;
    /* The largest piece of one call. */
    uint32_t ours_piece;
    uint32_t peer_piece;
};

void plan_make(struct plan *plan, uint64_t seed, uint64_t number);
const char *ending_name(enum ending ending);
const char *path_name(enum path path);
/* On stderr, in one line. */
void plan_print(const struct plan *plan);

/* A stream of bytes that tells any place in it from any other. `up` is from us to the peer. */
uint64_t stream_key(uint64_t seed, uint64_t number, bool up);
void stream_fill(unsigned char *bytes, size_t count, uint64_t key, uint64_t offset);
/* How many of these are the stream's. */
size_t stream_matches(const unsigned char *bytes, size_t count, uint64_t key, uint64_t offset);

/* The calls of a side that takes its time: how long it does not read, in turns of its loop. */
struct stall {
    uint64_t at;
    unsigned left;
};
void stall_begin(struct stall *stall, bool stalls, struct dice *dice);
/* Whether it is time for the next one; `until` becomes the turn when it is over. */
bool stall_due(struct stall *stall, uint64_t got, uint64_t turn, uint64_t *until, struct dice *dice);

#define MAX_PIECE 65536
/* Of who stalls: more than a segment on the loopback device, or the kernel sends by its persist timer alone. */
#define STALLING_BUFFER 131072

/* What is said in clear before the handshake. */
struct hello {
    char word[8];
    uint64_t number;
};
#define HELLO_WORD "STARTTLS"
#define GO 'G'

/* How a direction has ended for whoever reads it. */
enum end { NOT_READ, CLOSE_NOTIFY, TCP_END, RESET, TLS_ERROR };
const char *end_name(enum end end);

/* What the peer says of a connection when it is over: through a pipe, in one piece. */
struct outcome {
    uint64_t number;
    uint64_t got;
    uint64_t sent;
    int32_t end;
    /* close_notify has been sent. */
    uint8_t notified;
    uint8_t open;
    /* A byte was not the stream's, or nothing happened for a long time. */
    uint8_t wrong;
    uint8_t hangs;
    char text[80];
};

#define ORDERS_FD 3
#define OUTCOMES_FD 4
/* Where nothing has happened for so long, something hangs. */
#define HANG_SECONDS 60

#endif
