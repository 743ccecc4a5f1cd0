/* What is left of a connection after a failed upgrade: nothing. */
#ifndef SSLSOCK_TESTS_DEAD_H
#define SSLSOCK_TESTS_DEAD_H

/*
 * Every send on the descriptor fails with EPIPE or ECONNRESET and no byte comes. What is sent is what a program would send
 * next that did not look at the result: a password.
 */
void expect_dead(int fd);

#endif
