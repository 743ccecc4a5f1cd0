/* How much of the kernel's a process uses, to see that nothing stays behind. */
#ifndef SSLSOCK_TESTS_EXTENT_H
#define SSLSOCK_TESTS_EXTENT_H

struct extent {
    int descriptors;
    int threads;
    int relay_threads;
};

struct extent extent_now(void);

/*
 * Waits until the process has grown by nothing but a relay thread with its epoll instance and its eventfd, or shrunk by
 * that.
 */
void expect_nothing_left_since(const struct extent *before);

#endif
