/* The kinds of connection, and of what takes its place, that a test is run with. */
#ifndef SSLSOCK_TESTS_WAYS_H
#define SSLSOCK_TESTS_WAYS_H

#include <stdint.h>

struct way {
    const char *name;
    /* The variable that says where the peer listens. */
    const char *peer;
    /* SSL_FLAG_*. */
    uint32_t flags;
};

/* Transparent mode: TCP over IPv4, over IPv6, an AF_UNIX connection; on every kind of inner pair. */
extern const struct way transparent_ways[];

/* Over IPv4 alone, on both kinds of inner pair. */
extern const struct way pair_ways[];

/* All of transparent_ways, and pair_ways with a peer that has TLS 1.2 and nothing newer. */
extern const struct way transparent_ways_and_versions[];

/* The plainest of them alone, for what does not depend on it. */
extern const struct way usual_way[];

/* Every kind of inner pair, and explicit mode, over one kind of connection. */
extern const struct way each_mode[];

/* The same connections in explicit mode. */
extern const struct way explicit_ways[];

int is_unix_connection(const struct way *way);

int has_unix_pair(const struct way *way);

#endif
