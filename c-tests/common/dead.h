/*
 * What a program does that does not look at the result of an upgrade: it goes on, with a password. After a failure
 * none of it may leave, and nothing may come that the peer has said in clear.
 */
#ifndef SSLSOCK_TESTS_DEAD_H
#define SSLSOCK_TESTS_DEAD_H

#include <sys/types.h>

#define PASSWORD "PASS hunter2\r\n"

/* Sends the password and receives, in all the ways that there are: every send fails and no byte comes. */
#define expect_dead(fd) expect_dead_at(__FILE__, __LINE__, fd)
void expect_dead_at(const char *file, int line, int fd);

/* A child process, made before the upgrade, with copies of two descriptors of the connection. */
struct forked {
    pid_t pid;
    int go;
};

struct forked fork_with(int fd, int other);

/* Lets the child try: the connection has to be as dead there as here. Ends the child. */
void expect_dead_in(struct forked child);

#endif
