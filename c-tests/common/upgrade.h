/* The step of a conversation where TLS begins. */
#ifndef SSLSOCK_TESTS_UPGRADE_H
#define SSLSOCK_TESTS_UPGRADE_H

#include <sslsock.h>

/*
 * Turns the connected socket into TLS, trusting $SSLSOCK_PKI/ca.pem alone, towards a peer called `name`. Ends the
 * program with the library's own text when the handshake fails. Returns the handle, which is the caller's to free;
 * `fd` goes on carrying plain send and recv.
 */
ssl_socket *upgrade(int fd, const char *name);

/* Ends the program with the name and text of the handle's error (NULL: this thread's last). */
_Noreturn void upgrade_failed(const char *what, ssl_socket *s);

#endif
