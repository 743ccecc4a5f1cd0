/*
 * The functions behind the headers for Windows CE sources: what each answers when it fails, and what its arguments are.
 * The linker's names, for tests that call them by their address; what a compiler sees is in include/wince.
 */
#ifndef SSLSOCK_TESTS_SHIMS_H
#define SSLSOCK_TESTS_SHIMS_H

#include <stdint.h>

#include "ways.h"

enum failed {
    /* Nothing is returned. */
    NOTHING,
    /* 0, FALSE or NULL; of the width that is compared, 32 bits or a pointer's. */
    ZERO,
    NO_POINTER,
    /* SOCKET_ERROR, INADDR_NONE; INVALID_SOCKET. */
    MINUS_ONE,
    MINUS_ONE_POINTER,
    /* 1: the length of an empty string; TRUE, of what never fails. */
    ONE,
    /* The largest int. */
    MOST,
    /* The error itself, not 0. */
    THE_ERROR
};

struct shim {
    const char *name;
    enum failed failed;
    /*
     * A letter for each argument:
     *   s  a socket                 i  any number
     *   p  a buffer to read from    o  a buffer to write to      n  the length in bytes of what is before it, as an int
     *   w  the length in wide characters of what is before it
     *   N, W  the same for lengths that have no sign: of what there is, never more than it has
     *   q  a structure              e  one with nothing in it
     *   b  a small number, of which some have a meaning
     *   g  a pointer that the library gave, or one that it did not give
     *   S  a set of sockets         T  a time, which is short
     *   m  a time in milliseconds, which is short
     *   v  a pointer to a number, which is read and written; at first it is the size of a buffer
     *   z  a narrow string          Z  a wide string     d  the name of a host, none that a name server would be asked for
     *   h  something opaque, which only NULL may stand for
     *   f  a function, which may be NULL
     */
    const char *arguments;
};

/* The table ends with a row without a name. */
extern const struct shim shims[];

/* NULL if there is none of that name. */
const struct shim *find_shim(const char *name);

/* Calls it with up to 12 arguments. What does not belong to the answer's type is cut off. */
intptr_t call_shim(const struct shim *shim, const intptr_t *arguments);

/* Whether this is what it answers when it fails. */
int has_failed(const struct shim *shim, intptr_t answer);

/* The names that the library exports, in ways that end with one without a name. */
const struct way *exported_names(void);

#endif
