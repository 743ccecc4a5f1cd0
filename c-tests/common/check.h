/* Ends a test program: with 1 and a text that says where, or with 77 and the reason why there is nothing to test. */
#ifndef SSLSOCK_TESTS_CHECK_H
#define SSLSOCK_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define EXIT_SKIPPED 77

#define FAIL(...)                                       \
    do {                                                \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
        exit(EXIT_FAILURE);                             \
    } while (0)

#define CHECK(condition)                 \
    do {                                 \
        if (!(condition)) {              \
            FAIL("not so: %s", #condition); \
        }                                \
    } while (0)

#define SKIP(...)             \
    do {                      \
        printf("skipped: ");  \
        printf(__VA_ARGS__);  \
        putchar('\n');        \
        exit(EXIT_SKIPPED);   \
    } while (0)

#endif
