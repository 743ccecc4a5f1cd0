/* What is compared between a connection in clear and an upgraded one. */
#ifndef SSLSOCK_TESTS_CALLS_PROBES_H
#define SSLSOCK_TESTS_CALLS_PROBES_H

#include "connection.h"

struct probe {
    /* As it stands in the README. */
    const char *name;
    void (*run)(struct connection *c);
};

/* Each ends with a probe without a name. */
extern const struct probe address_probes[];
extern const struct probe receiving_probes[];
extern const struct probe sending_probes[];
extern const struct probe waiting_probes[];
extern const struct probe epoll_probes[];
extern const struct probe ending_probes[];
extern const struct probe descriptor_probes[];
extern const struct probe option_probes[];

#endif
