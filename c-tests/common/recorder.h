/*
 * The recording peer (tests/recording_peer.py): it speaks in clear up to STARTTLS, then does what it was told, and
 * keeps every byte that it receives as it came off the wire. Everything ends the program with a message when it goes
 * wrong.
 */
#ifndef SSLSOCK_TESTS_RECORDER_H
#define SSLSOCK_TESTS_RECORDER_H

#include <stddef.h>

struct way;

#define RECORDER_TICKET 64

/* What the peer received of a connection. */
struct record {
    /* All of it, as it came. */
    unsigned char *raw;
    size_t raw_length;
    /* So much of it is the conversation up to STARTTLS. */
    size_t starttls;
    /* What came under TLS. */
    unsigned char *plain;
    size_t plain_length;
    /* "close_notify" or what happened instead. */
    char end[128];
};

/*
 * A plain, blocking connection to the peer over the way's transport, with the order (see tests/recording_peer.py)
 * given. Writes the connection's ticket, RECORDER_TICKET bytes.
 */
int recorder_connect(const struct way *way, const char *order, char *ticket);

/* Asks for TLS and reads the go-ahead, not a byte more. */
void recorder_starttls(int fd);

/* Returns when the peer has the ClientHello. */
void recorder_await_hello(const char *ticket);

/* Lets a peer go on that waits for it. */
void recorder_go(const char *ticket);

/* Waits until the connection is over. Call it once; record_free afterwards. */
struct record recorder_result(const char *ticket);

void record_free(struct record *record);

/* Whether the bytes are somewhere in what came. */
int record_has(const struct record *record, const char *text);

/* Checks that what came after STARTTLS is whole TLS records and nothing else. Returns how many. */
int record_check_tls(const struct record *record);

#endif
