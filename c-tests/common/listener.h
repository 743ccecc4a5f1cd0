/* A listening socket of the test's own, for what only the other side of a connection sees. */
#ifndef SSLSOCK_TESTS_LISTENER_H
#define SSLSOCK_TESTS_LISTENER_H

#include <stddef.h>
#include <sys/socket.h>

struct listener {
    int fd;
    struct sockaddr_storage address;
    socklen_t length;
};

/* On a free port of the family's loopback address. */
struct listener listen_on(int family);

/* An address of the family's loopback where nobody listens, for as long as the listener is not closed. */
struct listener refuse_on(int family);

/* connect, which has to succeed. */
void connect_to(int fd, const struct listener *listener);

/* The other end of the oldest connection. Waits for one, for at most 20 s. */
int accept_from(const struct listener *listener);

/* Reads to the end: how many bytes came, and whether the end was one (not a reset). */
struct arrived {
    size_t bytes;
    int clean;
};
struct arrived read_to_end(int fd);

/*
 * The host name in the ClientHello that comes next, "" if there is none. The pointer is good until the next call.
 */
const char *name_in_hello(int fd);

#endif
