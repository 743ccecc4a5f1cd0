/* As common/outside.h: what a test with Winsock's headers cannot do itself. */
#ifndef SSLSOCK_TESTS_WINSOCK_SYSTEM_H
#define SSLSOCK_TESTS_WINSOCK_SYSTEM_H

/* Writes the address that a variable names, and answers its length. */
int peer_address(const char *variable, void *address);

/* Whether ssl_get_error_text(NULL) has this in it. */
int last_text_has(const char *text);

/* Whether O_NONBLOCK and FD_CLOEXEC are set. */
int is_nonblocking(int fd);
int is_closed_on_exec(int fd);

/* Of the sockets that are made from now on. */
#define SSL_FLAG_UNIX_PAIR_OF_THE_LIBRARY 1048576
#define SSL_FLAG_EXPLICIT_IO_OF_THE_LIBRARY 65536
void set_default_flags(unsigned flags);

#endif
