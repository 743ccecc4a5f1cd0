#define _GNU_SOURCE

#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "../common/check.h"

struct sockaddr_in address4(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

struct sockaddr_in6 address6(uint16_t port)
{
    return (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
}

int listen_at(int family, uint16_t *port)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in four = address4(INADDR_ANY, 0);
    struct sockaddr_in6 six = address6(0);
    socklen_t length = family == AF_INET ? sizeof four : sizeof six;
    void *address = family == AF_INET ? (void *)&four : (void *)&six;

    CHECK(fd >= 0);
    CHECK(bind(fd, address, length) == 0);
    CHECK(listen(fd, 4096) == 0);
    CHECK(getsockname(fd, address, &length) == 0);
    *port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
    return fd;
}

int connect_as(const struct plan *plan, const struct sockaddr_in *four, const struct sockaddr_in6 *six)
{
    int fd = socket(plan->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = *four;

    CHECK(fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(plan->number % 200));
    if (plan->ipv6 ? connect(fd, (const struct sockaddr *)six, sizeof *six) : connect(fd, (const struct sockaddr *)&to, sizeof to)) {
        FAIL("connect: %s", strerror(errno));
    }
    return fd;
}

void make_nonblocking(int fd)
{
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

uint64_t seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec;
}
