/*
 * A test program: a table of tests, each of which runs in a process of its own and passes if that ends with status 0.
 *
 * For each test one line is printed: "ok NAME", "not ok NAME: why" or "skip NAME: why"; the last line of the program
 * counts them. Lines that begin with "# " are figures that a test has measured. Arguments choose tests by parts of
 * their names; --list prints the names.
 */
#ifndef SSLSOCK_TESTS_TEST_H
#define SSLSOCK_TESTS_TEST_H

#include <stddef.h>

#include "check.h"

/* What a test is run with, once for each: see ways.h. */
struct way;

struct test {
    const char *name;
    void (*run)(const struct way *way);
    /* NULL: the test runs once, and gets NULL. */
    const struct way *ways;
    /* 0 for 60. */
    unsigned seconds;
};

/* How often to do something: `usual`, or in the long run (SSLSOCK_LONG is set) `thorough`. */
int rounds(int usual, int thorough);

/* Prints a line that is shown although the test passes: "# TEXT". The format is printf's. */
void note(const char *format, ...);

/* The value of main. The table ends with a test without a name. */
int run_tests(int argc, char **argv, const struct test *tests);

#endif
