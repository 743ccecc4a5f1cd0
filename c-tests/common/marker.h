/* Something else that a process has open: nobody but its owner may change, read or close it, whatever its number. */
#ifndef SSLSOCK_TESTS_MARKER_H
#define SSLSOCK_TESTS_MARKER_H

#include <sys/types.h>

struct marker {
    /* A file has one; a pipe and a pair of sockets have two. */
    int fds[2];
    ino_t inodes[2];
    int flags[2];
    int kind;
};

#define MARKER_KINDS 3

/* Opens a file, a pipe or a pair of sockets with a few bytes in it. */
struct marker marker_open(int kind);

/* Whether one of its descriptors has this number. */
int marker_has(const struct marker *marker, int fd);

/* Fails if it is not exactly as it was opened. */
void marker_check(const struct marker *marker);

/* Checks it and closes it. */
void marker_close(struct marker *marker);

#endif
