/*
 * A TLS server over OpenSSL, in a process of its own: for more connections than tests/peer.py can take.
 *
 * Each connection is a conversation with a number: the client sends that and some bytes of the pattern that belong to
 * it, gets everything back, and ends with close_notify. Both sides compare every byte, so that one that strays from
 * one conversation to another is seen.
 */
#ifndef SSLSOCK_TESTS_QUICK_PEER_H
#define SSLSOCK_TESTS_QUICK_PEER_H

#include <stddef.h>
#include <sys/types.h>

#include <sslsock.h>

struct way;
struct quick_peer_record;

struct quick_peer {
    pid_t process;
    /* 127.0.0.2, in the host's order of bytes. */
    int port;
    size_t conversations;
    struct quick_peer_record *record;
};

/* For conversations 0 to `conversations` - 1. Skips the program where there is no OpenSSL. */
void quick_peer_start(struct quick_peer *peer, size_t conversations);

/* A plain, blocking connection. */
int quick_peer_connect(const struct quick_peer *peer);

/* The conversation on an upgraded connection, up to where the client would end it: so many bytes there and back. */
void quick_peer_talk(int fd, ssl_socket *s, const struct way *way, size_t number, size_t length);

/* Waits until each conversation has been had once, from beginning to close_notify; fails if any went wrong. */
void quick_peer_expect_all(const struct quick_peer *peer);

#endif
