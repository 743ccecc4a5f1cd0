/*
 * The test's peer: a TLS server that does what the first line of a connection tells it, and says afterwards what it
 * saw (tests/peer.py). Everything ends the program with a message when it goes wrong.
 */
#ifndef SSLSOCK_TESTS_PEER_H
#define SSLSOCK_TESTS_PEER_H

#include <stddef.h>
#include <sys/types.h>

/* What the peer saw of a connection. */
struct seen {
    /* How many bytes came in the pattern's order. */
    size_t bytes;
    /* "close_notify", "truncated", "reset" or the TLS error; some orders have more to say, see tests/peer.py. */
    char end[256];
};

/* A folder with ca.pem; skips the program without one. */
const char *pki_file(const char *name);

/* A plain, blocking connection to where the variable says. */
int peer_connect(const char *variable);

/* The same with a receive buffer of that size from the beginning; 0 for what the kernel thinks best. */
int peer_connect_with(const char *variable, int receive_buffer);

/* The same, and TLS has been asked for in clear: from here on the peer keeps what comes, under the process's ticket. */
int peer_connect_in_clear(const char *variable);

/* Checks that all of that was TLS. The connection has to be closed. */
void peer_saw_only_tls(void);

/* A name for an order to the peer that asks for a result; the same until the process ends. */
const char *peer_ticket(void);

/* What came of the order with this process's ticket. Waits until the connection is over. */
struct seen peer_result(void);

/* Checks that the peer got so many bytes, in order, all of them in TLS, and then close_notify. */
void peer_got(size_t bytes);

/* Lets the peer go on that waits for it, after the step "go" (tests/peer_steps.py). */
void peer_go(void);

/* The bytes of the pattern from `offset` on. */
void pattern_fill(unsigned char *buffer, size_t length, size_t offset);

/* Whether these are the pattern's bytes from `offset` on. */
int pattern_matches(const unsigned char *buffer, size_t length, size_t offset);

/* send() until all is sent, waiting with poll where the descriptor does not. */
void send_all(int fd, const void *buffer, size_t length);

/* The pattern from its beginning, `length` bytes. */
void send_pattern(int fd, size_t length);

/* recv() of exactly that much of the pattern, from `offset` on. */
void receive_pattern(int fd, size_t length, size_t offset);

/* recv() answers 0. */
void expect_end(int fd);

/* Waits for poll events; the events found. Fails after 20 s. */
short await_events(int fd, short events);

void set_nonblocking(int fd);

/* Milliseconds of a clock that only goes forward. */
long milliseconds(void);

void sleep_ms(long ms);

/* fork; with AddressSanitizer at a quiet moment, since a child's allocator stays locked if another thread was in it. */
pid_t quiet_fork(void);

/* How many descriptors the process has open. */
int open_descriptors(void);

/* Waits until it has so many. */
void await_descriptors(int count);

#endif
