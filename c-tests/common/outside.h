/*
 * What tests with the headers of Windows CE need from outside these: they cannot include the system's own headers for
 * sockets, nor include/sslsock.h.
 */
#ifndef SSLSOCK_TESTS_OUTSIDE_H
#define SSLSOCK_TESTS_OUTSIDE_H

#include <stddef.h>

/* From now on sockets trust the tests' authority. */
void trust_the_tests(void);

/* And this one of the tests' certificates. */
void trust_certificate(const char *name);

/* Where the peer of this variable listens. */
const char *peer_host(const char *variable);
int peer_port(const char *variable);

/*
 * Runs the rest of the process with this as its /etc/hosts, in a mount namespace; skips the test where that is not
 * allowed. Before there are threads.
 */
void use_hosts(const char *text);

/* A port of 127.0.0.1, or of ::1, where a thread waits for one ClientHello and then hangs up. */
int hello_port(int family);

/* The name that was in it, "" for none. */
const char *hello_name(void);

/* A port of 127.0.0.1 where nobody listens. */
int refusing_port(void);

/* A signal with a handler arrives in this thread every millisecond from now on, and does not restart calls. */
void rain_signals(void);
unsigned long signals_arrived(void);

/* Runs this in another thread. */
void begin_elsewhere(void (*work)(void));
/* Waits until that thread has said `here` and then sleeps in a system call. */
void await_asleep_elsewhere(void);
void here(void);
void end_elsewhere(void);

/*
 * A port of 127.0.0.1 with a proxy for one connection to the peer of this variable. After trickle_begin what the peer
 * says is passed on byte by byte: each trickle_byte waits for the next one and passes it on, unless the descriptor of the
 * program's can be read before there is one; it answers whether it did.
 */
int trickle_port(const char *variable);
void trickle_begin(void);
int trickle_byte(int program);
/* Hangs up. */
void trickle_end(void);

#endif
