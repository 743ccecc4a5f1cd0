/*
 * One connection that a probe is made with: in clear from beginning to end, or upgraded where the probe says so. Its
 * peer does step by step what it is told (tests/controlled_peer.py).
 *
 * A probe writes down with tell() what the calls answered. Whatever keeps it from going on ends the process with a
 * message.
 */
#ifndef SSLSOCK_TESTS_CALLS_CONNECTION_H
#define SSLSOCK_TESTS_CALLS_CONNECTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <sslsock.h>

#define OUTCOME_SIZE 1024

/* What the connection is, and what becomes of it. */
struct kind {
    const char *name;
    /* The variable that says where the peer listens. */
    const char *peer;
    int upgraded;
    /* SSL_FLAG_*. */
    uint32_t flags;
};

struct connection {
    const struct kind *kind;
    int fd;
    /* NULL in clear. */
    ssl_socket *socket;
    int control;
    /* How much of the pattern has been sent and received. */
    size_t sent;
    size_t received;
    /* What getpeername and getsockname answered at the beginning. */
    struct sockaddr_storage peer_address;
    struct sockaddr_storage own_address;
    socklen_t peer_address_length;
    socklen_t own_address_length;
    char outcome[OUTCOME_SIZE];
};

/* Connects, in clear. The descriptor is blocking. */
void open_connection(struct connection *c, const struct kind *kind);

/* Where TLS begins, if it does. What a probe does before it is done to a socket in clear in any case. */
void upgrade_here(struct connection *c);

/* Has the peer do something, which it has to answer with "ok". */
void order(struct connection *c, const char *format, ...);

/* The same in two steps, for what the peer can only do while this side does its part. */
void begin_order(struct connection *c, const char *format, ...);
void await_order(struct connection *c);

/* Has the peer do something; what it answers, valid until the next call. */
const char *ask(struct connection *c, const char *format, ...);

/* The peer sends so much more of the pattern, and it can be received at once. */
void peer_sends(struct connection *c, size_t length);

/* Waits until exactly so much can be received. */
void await_bytes(struct connection *c, size_t length);

/* The peer's direction is over, in order, and that can be seen. */
void peer_ends(struct connection *c);

/* The peer resets the connection, and that can be seen. */
void peer_resets(struct connection *c);

/* Waits until poll shows POLLERR and POLLHUP. */
void await_reset(int fd);

/* The peer reads so much more of the pattern. Checks that it is what was sent. */
void peer_takes(struct connection *c, size_t length);

/* Fills in the pattern's next bytes to be sent, and counts them as sent. */
void next_bytes(struct connection *c, void *buffer, size_t length);

/* Checks that these are the next bytes to be received, and counts them. */
void check_bytes(struct connection *c, const void *buffer, size_t length);

/* Receives exactly so much and checks it. */
void receive_all(struct connection *c, size_t length);

/* Adds to the outcome; the pieces are joined with ", ". */
void tell(struct connection *c, const char *format, ...);

/* What a call answered, as a text: a number, or errno's name after -1. Valid for a few more calls. */
const char *answer(ssize_t value);

/* The names of poll or epoll events, which are the same numbers. */
const char *events_text(unsigned events);

#endif
