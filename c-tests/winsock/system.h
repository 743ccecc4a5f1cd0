/*
 * What a test with Winsock's headers cannot do itself, since the system's socket headers and the library's own
 * sslsock.h are not for the same source.
 */
#ifndef SSLSOCK_TESTS_WINSOCK_SYSTEM_H
#define SSLSOCK_TESTS_WINSOCK_SYSTEM_H

/* Writes the address that a variable names, and answers its length. */
int peer_address(const char *variable, void *address);

/* From now on new sockets trust the CA of the tests. */
void trust_the_tests(void);

/* Whether ssl_get_error_text(NULL) has this in it. */
int last_text_has(const char *text);

/* Whether O_NONBLOCK and FD_CLOEXEC are set. */
int is_nonblocking(int fd);
int is_closed_on_exec(int fd);

#endif
