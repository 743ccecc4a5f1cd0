/* The step of a conversation where TLS begins. */
#ifndef SSLSOCK_TESTS_UPGRADE_H
#define SSLSOCK_TESTS_UPGRADE_H

#include <sslsock.h>

struct way;

/*
 * Turns the connected socket into TLS, trusting $SSLSOCK_PKI/ca.pem alone, towards a peer called `name`. Ends the
 * program with the library's own text when the handshake fails. Returns the handle, which is the caller's to free;
 * `fd` goes on carrying plain send and recv.
 */
ssl_socket *upgrade(int fd, const char *name);

/* The same with flags: SSL_FLAG_*. */
ssl_socket *upgrade_with(int fd, const char *name, uint32_t flags);

/* Upgrades a connection to the tests' peer in this way, and gives the peer its order: a line, see tests/peer.py. */
ssl_socket *upgrade_to_peer(int fd, const struct way *way, const char *format, ...);

/* Plain send and recv after a transparent upgrade, ssl_send and ssl_recv in explicit mode; recv of the pattern. */
void send_through(ssl_socket *s, int fd, const struct way *way, const void *data, size_t length);
void receive_through(ssl_socket *s, int fd, const struct way *way, size_t length, size_t offset);

/* A whole conversation with the tests' peer in this way: so many bytes, a multiple of 1000, go there and come back. */
void echo_with_peer(const struct way *way, size_t bytes);

/* Sends the pattern's bytes from `offset` on, in whichever mode the connection is. */
void say_pattern(int fd, ssl_socket *s, const struct way *way, size_t length, size_t offset);

/* Checks that the text of the handle's error (NULL: this thread's last) has this part. */
void expect_error_text(ssl_socket *s, const char *part);

/* Ends the program with the name and text of the handle's error (NULL: this thread's last). */
_Noreturn void upgrade_failed(const char *what, ssl_socket *s);

#endif
