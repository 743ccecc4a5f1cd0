/* Sockets, as both processes of the soak make them. */
#ifndef SSLSOCK_SOAK_NET_H
#define SSLSOCK_SOAK_NET_H

#include <netinet/in.h>
#include <stdint.h>

#include "plan.h"

struct sockaddr_in address4(uint32_t host, uint16_t port);
struct sockaddr_in6 address6(uint16_t port);

/* Non-blocking, at every address of the family's; `port` becomes the port. */
int listen_at(int family, uint16_t *port);

/*
 * A blocking connection to one of the two. The loopback address differs from plan to plan, so that the ports of one alone
 * do not run out.
 */
int connect_as(const struct plan *plan, const struct sockaddr_in *four, const struct sockaddr_in6 *six);

void make_nonblocking(int fd);

/* Of a clock that only goes forward. */
uint64_t seconds(void);

#endif
