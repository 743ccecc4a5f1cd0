/* What the process says on descriptor 2, or that it says nothing. */
#ifndef SSLSOCK_TESTS_QUIET_H
#define SSLSOCK_TESTS_QUIET_H

#include <stdio.h>

struct quiet {
    FILE *said;
    /* Descriptor 2 of before. */
    int before;
};

struct quiet listen_to_errors(void);

/* Puts everything back; whether something was said. */
int stop_listening(struct quiet *quiet);

#endif
